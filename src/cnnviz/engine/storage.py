"""Where values live: NumPy arrays on the CPU, tensors on any other device.

A shared variable of Theano is a cell, a list of one element, inside a
``Container``.  On the CPU the cell goes on holding a NumPy array, whose
memory PyTorch uses directly, so that functions of both engines can share a
variable.  On another device the cell holds the tensor itself, and the
container translates: what reads it sees an array, what writes it sends one
to the device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from theano.gof.link import Container
from theano.tensor import TensorType

from cnnviz.engine.registry import UnsupportedOp, torch_dtype

if TYPE_CHECKING:
    from theano.gof import Variable

__all__ = [
    "DeviceContainer",
    "InputContainer",
    "adopt",
    "argument_reader",
    "channels_last_3d",
    "host_reader",
    "reader",
    "to_array",
    "to_tensor",
    "writer",
]


def _is_shareable(array: np.ndarray) -> bool:
    """Whether PyTorch can use an array's memory; it warns of what is read-only.

    Every stride counts, even that of an axis of length one, for which NumPy has no use
    and calls the array contiguous.
    """
    return (
        array.flags.writeable
        and array.dtype.isnative
        and all(step >= 0 and step % array.itemsize == 0 for step in array.strides)
    )


def _is_dense(array: np.ndarray) -> bool:
    """Whether the elements lie side by side, in any order of the axes."""
    order = sorted(range(array.ndim), key=lambda axis: -array.strides[axis])
    return array.transpose(order).flags.c_contiguous


def _copied(array: np.ndarray) -> np.ndarray:
    """A copy that PyTorch can share."""
    return array.astype(array.dtype.newbyteorder("="), order="K")


def to_tensor(value: np.ndarray | torch.Tensor | None, device: torch.device) -> torch.Tensor:
    """Tensor of an array on a device; on the CPU it shares the memory where it can."""
    if isinstance(value, torch.Tensor):
        return value if value.device == device else value.to(device)
    value = np.asarray(value)
    tensor = torch.from_numpy(value if _is_shareable(value) else _copied(value))
    return tensor if device.type == "cpu" else tensor.to(device)


def _own_tensor(value: np.ndarray, device: torch.device) -> torch.Tensor:
    """Tensor of an array, with memory of its own."""
    return to_tensor(_copied(np.asarray(value)), device)


def to_array(tensor: torch.Tensor) -> np.ndarray:
    """C-contiguous array of a tensor, for the caller of a function."""
    return tensor.contiguous().cpu().numpy()


def check_tensor(tensor: torch.Tensor, kind: Any, name: str) -> None:
    """Raise TypeError unless a tensor is a value of a Theano type."""
    wanted = torch_dtype(kind.dtype)
    # Theano's scalar types have no dimensions to speak of.
    single = getattr(kind, "broadcastable", ())
    if (
        tensor.dtype is not wanted
        or tensor.ndim != len(single)
        or any(one and length != 1 for one, length in zip(single, tensor.shape))
    ):
        raise TypeError(
            f"{name} must be a {kind}, not a tensor of {tensor.dtype} with "
            f"shape {tuple(tensor.shape)}"
        )


class DeviceContainer(Container):
    """A container whose value stays on a device.

    Reading gives a NumPy copy, which is read-only: writing into it could
    not reach the device.  Setting sends the value to the device.
    """

    def __get__(self) -> np.ndarray:
        value = self.storage[0]
        if isinstance(value, torch.Tensor):
            value = value.contiguous().to("cpu", copy=True).numpy()
            value.flags.writeable = False
        return value

    def __set__(self, value: np.ndarray) -> None:
        if isinstance(value, torch.Tensor):
            if self.readonly:
                raise TypeError(f"{self.name} is read-only")
            check_tensor(value, self.type, self.name or "the value")
            self.storage[0] = value.detach().to(self.device).clone()
            return
        super().__set__(value)
        if self.storage[0] is not None:
            # A copy: the caller keeps his array, whatever "borrow" says.
            self.storage[0] = _own_tensor(self.storage[0], self.device)

    data = property(__get__, __set__)
    value = property(__get__, __set__)

    def __deepcopy__(self, memo: Any) -> Any:
        new = Container(
            self.type,
            [np.array(self.__get__())],
            self.readonly,
            self.strict,
            self.allow_downcast,
            self.name,
        )
        memo[id(self)] = new
        return new

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return Container, (
            self.type,
            [np.array(self.__get__())],
            self.readonly,
            self.strict,
            self.allow_downcast,
            self.name,
        )


def adopt(container: Any, device: torch.device) -> None:
    """Move a container's value to a device, where it stays from now on.

    Raises
    ------
    UnsupportedOp
        When the value already lives on another device.
    """
    if isinstance(container, DeviceContainer):
        if container.device != device:
            raise UnsupportedOp(
                f"the shared variable {container.name} lives on "
                f"{container.device}, and a function that uses it is compiled "
                f"for {device}; use one device for both"
            )
        return
    if not isinstance(container.type, TensorType):
        return  # the linker refuses it, and names it
    value = container.storage[0]
    container.__class__ = DeviceContainer
    container.device = device
    container.storage[0] = _own_tensor(value, device)


class _TensorInputType:
    """A Theano type whose filter lets tensors of that type pass."""

    def __init__(self, kind: Any, name: str) -> None:
        self._kind = kind
        self._name = name

    def filter(
        self,
        value: int | np.ndarray | torch.Tensor,
        strict: bool = False,
        allow_downcast: Any = None,
    ) -> np.ndarray | torch.Tensor:
        if isinstance(value, torch.Tensor):
            check_tensor(value, self._kind, self._name)
            return value.detach()
        return self._kind.filter(value, strict, allow_downcast)

    def __getattr__(self, name) -> Any:
        return getattr(self._kind, name)


class InputContainer(Container):
    """Container of a function's argument: an array, or a tensor left on
    the device."""

    def __init__(self, variable: Variable, storage: np.ndarray | Sequence[Any]) -> None:
        super().__init__(variable, storage)
        self.type = _TensorInputType(variable.type, variable.name or "the argument")


def channels_last_3d(array: np.ndarray) -> np.ndarray:
    """The array with equal values, channels last in memory.

    Of shape ``(channels, rows, columns)`` both; an untied bias is added to
    feature maps that lie in memory this way.
    """
    return np.ascontiguousarray(array.transpose(1, 2, 0)).transpose(2, 0, 1)


def _prepared(array: np.ndarray, written: bool, relayout: bool) -> np.ndarray:
    if relayout:
        array = channels_last_3d(array)
    # What is written must reach the cell, and each element have a place of its own.
    if written and not (_is_shareable(array) and _is_dense(array)):
        array = _copied(array)
    return array


def reader(
    cell: Any, device: torch.device, written: bool = False, relayout: bool = False
) -> Callable[..., Any]:
    """Function that gives the tensor of a cell.

    Parameters
    ----------
    cell : list of one element
    device : torch.device
    written : bool
        The function's updates write into the value.
    relayout : bool
        Keep a three-dimensional array channels last in memory.
    """
    last_array, last_tensor = None, None

    def read():
        nonlocal last_array, last_tensor
        value = cell[0]
        if isinstance(value, torch.Tensor):
            return value
        if value is not last_array:
            if written or relayout:
                value = cell[0] = _prepared(np.asarray(value), written, relayout)
            last_array, last_tensor = value, to_tensor(value, device)
        return last_tensor

    return read


def argument_reader(cell: np.ndarray | Sequence[Any], device: torch.device) -> Callable[..., Any]:
    """Function that gives the tensor of an argument."""
    return lambda: to_tensor(cell[0], device)


def host_reader(cell: np.ndarray | Sequence[Any]) -> Callable[..., Any]:
    """Function that gives the Python number in a cell."""
    return lambda: cell[0].item()


def writer(cell: Any, device: torch.device) -> Callable[..., Any]:
    """Function that makes a tensor the new value of a cell."""

    def write(tensor):
        resident = isinstance(cell[0], torch.Tensor)
        cell[0] = tensor if resident else tensor.cpu().numpy()

    return write
