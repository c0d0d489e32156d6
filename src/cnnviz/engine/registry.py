"""Which function builds the PyTorch implementation of which Theano Op."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from theano.gof import Apply

__all__ = [
    "Implementation",
    "UnsupportedOp",
    "implementation_of",
    "implements",
    "supported",
    "torch_dtype",
]

DTYPES = {
    name: getattr(torch, name)
    for name in (
        "bool",
        "uint8",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint16",
        "uint32",
        "uint64",
        "float16",
        "float32",
        "float64",
    )
}
# PyTorch stores and casts these, and does little else with them.
WIDE_UNSIGNED = (torch.uint16, torch.uint32, torch.uint64)


class UnsupportedOp(NotImplementedError):
    """A graph holds an Op, or a use of one, that the engine cannot run."""


def torch_dtype(name: str, what: str = "a value") -> torch.dtype:
    """PyTorch's dtype of that name.

    Raises
    ------
    UnsupportedOp
        For complex numbers.
    """
    try:
        return DTYPES[name]
    except KeyError:
        raise UnsupportedOp(
            f"{what} has dtype {name}; the torch engine computes with "
            f"{', '.join(DTYPES)}. Cast it, or compile this function with "
            "engine='theano'"
        ) from None


@dataclass(frozen=True)
class Implementation:
    """How the nodes of one Op class run."""

    #: From an Apply node (and, where ``writes`` is not empty, the position of
    #: an input that may be overwritten, or None) to a function of tensors.
    build: Callable
    #: Positions of inputs that are wanted as Python numbers or tuples of
    #: them: shapes, indices.  Negative positions count from the end; a slice
    #: stands for all positions in it.
    host: tuple = ()
    #: The result may share memory with an input.
    view: bool = False
    #: Positions of inputs whose memory the result may take: "any" or ints.
    writes: object = ()
    #: Makes tensors from numbers: the builder is told the device as well.
    creates: bool = False

    def host_positions(self, count: int) -> set[Any] | set[int]:
        """The positions in ``host``, for a node with ``count`` inputs."""
        positions = range(count)
        found = set()
        for entry in self.host:
            chosen = positions[entry]
            found.update([chosen] if isinstance(chosen, int) else chosen)
        return found


_IMPLEMENTATIONS: dict[Any, Any] = {}


def implements(
    *ops: Any,
    host: Sequence[Any] = (),
    view: bool = False,
    writes: Sequence[Any] = (),
    creates: bool = False,
) -> Callable[..., Any]:
    """Register a builder for Op classes; see :class:`Implementation`.

    A subclass of a registered class runs by the same builder unless it has
    one of its own.
    """

    def register(build):
        for op in ops:
            _IMPLEMENTATIONS[op] = Implementation(build, tuple(host), view, writes, creates)
        return build

    return register


def implementation_of(node: Apply) -> Implementation:
    """The implementation for a node.

    Raises
    ------
    UnsupportedOp
        Naming the Op and the node.
    """
    for kind in type(node.op).__mro__:
        if kind in _IMPLEMENTATIONS:
            return _IMPLEMENTATIONS[kind]
    kind = type(node.op)
    raise UnsupportedOp(
        f"the torch engine has no implementation of the Op {node.op} (class "
        f"{kind.__module__}.{kind.__name__}), which the node {node} needs. Add "
        "one (docs/engine.md says how), or compile this function with "
        "engine='theano'"
    )


def supported() -> list[Any]:
    """The Op classes that have an implementation, sorted by name."""
    return sorted(_IMPLEMENTATIONS, key=lambda op: op.__name__)
