"""Pooling and its gradients."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from theano.tensor.signal.pool import (
    AveragePoolGrad,
    DownsampleFactorMaxGradGrad,
    MaxPoolGrad,
    Pool,
)

from cnnviz.engine.registry import implements

if TYPE_CHECKING:
    from theano.gof import Apply


def _every(first: int, length: int, stride: int) -> slice:
    """Slice that takes ``length`` places, each ``stride`` after the last."""
    return slice(first, first + (length - 1) * stride + 1 if length else first, stride)


class _Windows:
    """Windows of one pooling node, over the last axes of a value."""

    def __init__(
        self, node: Apply, parameters: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    ) -> None:
        self.ignore_border = node.op.ignore_border
        self.dimensions = node.op.ndim
        self.size, self.stride, self.pad = (tuple(map(int, parameter)) for parameter in parameters)

    def output_lengths(self, value: torch.Tensor) -> list[int]:
        shape = Pool.out_shape(
            value.shape, self.size, self.ignore_border, self.stride, self.pad, self.dimensions
        )
        return [int(length) for length in shape[-self.dimensions :]]

    def extend(self, value: torch.Tensor, lengths: Any, fill: float) -> torch.Tensor:
        """The value with its padding, and filled up to whole windows."""
        sides = []
        for axis in range(self.dimensions):
            length = value.shape[axis - self.dimensions]
            need = (lengths[axis] - 1) * self.stride[axis] + self.size[axis]
            pad = self.pad[axis]
            sides = [pad, max(pad, need - length - pad)] + sides
        return F.pad(value, sides, value=fill) if any(sides) else value

    def crop(self, extended: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """What :meth:`extend` added, taken away again."""
        for axis in range(self.dimensions):
            extended = extended.narrow(
                axis - self.dimensions, self.pad[axis], value.shape[axis - self.dimensions]
            )
        return extended

    def offsets(self, lengths: Any) -> Iterator[Any]:
        """For each place in a window: where it lies for all windows."""
        for place in itertools.product(*map(range, self.size)):
            yield (
                Ellipsis,
                *(
                    _every(first, length, stride)
                    for first, length, stride in zip(place, lengths, self.stride)
                ),
            )

    @staticmethod
    def places(
        value: torch.Tensor, axis: int, first: int, stride: int, length: int
    ) -> torch.Tensor:
        """Every ``stride``-th slice along an axis (from the end)."""
        index = _every(first, length, stride)
        return value[(Ellipsis, index) + (slice(None),) * (-1 - axis)]

    def is_simple(self, value: torch.Tensor, lengths: Sequence[int]) -> bool:
        """PyTorch's own pooling kernels do the same."""
        return (
            self.dimensions == 2
            and value.ndim == 4
            and value.is_floating_point()
            and self.ignore_border
            and min(*lengths, value.numel()) > 0
            and all(2 * pad <= size for pad, size in zip(self.pad, self.size))
        )


def _lowest(dtype: torch.dtype) -> float:
    return -float("inf") if dtype.is_floating_point else torch.iinfo(dtype).min


def _pool_max(windows: _Windows, value: torch.Tensor) -> torch.Tensor:
    """Maxima axis by axis: a window's maximum is that of its rows' maxima.

    Many times faster on the CPU than PyTorch's pooling kernel, which also
    looks for the maximum's position.
    """
    lengths = windows.output_lengths(value)
    value = windows.extend(value, lengths, _lowest(value.dtype))
    for axis, (size, stride, length) in enumerate(
        zip(windows.size, windows.stride, lengths), -windows.dimensions
    ):
        parts = [windows.places(value, axis, first, stride, length) for first in range(size)]
        value = parts[0] if size > 1 else parts[0].clone()
        for index, part in enumerate(parts[1:]):
            value = torch.maximum(value, part, out=value if index else None)
    return value


def _window_counts(windows: _Windows, value: torch.Tensor, lengths, padding_counts: bool) -> Any:
    """Number of elements that each window averages over."""
    ones = value.new_ones(value.shape[-windows.dimensions :])
    extended = windows.extend(ones, lengths, 0)
    if padding_counts:
        extended = F.pad(
            ones, [side for pad in reversed(windows.pad) for side in (pad, pad)], value=1
        )
        grown = [
            need - have
            for need, have in zip(windows.extend(ones, lengths, 0).shape, extended.shape)
        ]
        extended = F.pad(extended, [side for more in reversed(grown) for side in (0, more)])
    return sum(extended[place] for place in windows.offsets(lengths))


def _pool_sum(windows: _Windows, value: torch.Tensor, mode: str) -> Any:
    lengths = windows.output_lengths(value)
    extended = windows.extend(value, lengths, 0)
    result = sum(extended[place] for place in windows.offsets(lengths))
    if mode == "sum":
        return result
    return result / _window_counts(windows, value, lengths, mode == "average_inc_pad")


def _pool_mean(windows: _Windows, value: torch.Tensor, mode: str) -> torch.Tensor:
    lengths = windows.output_lengths(value)
    if windows.is_simple(value, lengths):
        return F.avg_pool2d(
            value,
            windows.size,
            windows.stride,
            windows.pad,
            count_include_pad=mode == "average_inc_pad",
            divisor_override=1 if mode == "sum" else None,
        )
    return _pool_sum(windows, value, mode)


@implements(Pool, host=[slice(1, None)])
def pool(node: Apply) -> Callable[..., Any]:
    mode = node.op.mode

    def run(value, *parameters):
        windows = _Windows(node, parameters)
        if mode == "max":
            return _pool_max(windows, value)
        return _pool_mean(windows, value, mode)

    return run


def _where_maximal(
    weight: torch.Tensor, value: torch.Tensor, maximum: torch.Tensor
) -> torch.Tensor:
    """``weight`` where value and maximum are equal, else zero.

    The maximum is never less, so equality is ``value - maximum >= 0``.
    PyTorch's threshold kernel says that in one pass, with the first number
    below zero as its threshold: a difference of two floats is zero only if
    they are equal.
    """
    below = -torch.finfo(value.dtype).smallest_normal * torch.finfo(value.dtype).eps
    gap = value - maximum
    return torch.ops.aten.threshold_backward.grad_input(weight, gap, below, grad_input=gap)


@implements(MaxPoolGrad, host=[slice(3, None)])
def max_pool_grad(node: Apply) -> Callable[..., Any]:
    """Every place that holds its window's maximum gets the full gradient.

    So Theano defines it; PyTorch's kernel gives all to the first such place.
    """

    def run(value, maximum, top, *parameters):
        windows = _Windows(node, parameters)
        lengths = maximum.shape[-windows.dimensions :]
        extended = windows.extend(value, lengths, _lowest(value.dtype))
        gradient = torch.zeros_like(extended)
        for place in windows.offsets(lengths):
            gradient[place].add_(_where_maximal(top, extended[place], maximum))
        return windows.crop(gradient, value).clone() if extended is not value else gradient

    return run


@implements(DownsampleFactorMaxGradGrad, host=[slice(3, None)])
def max_pool_grad_grad(node: Apply) -> Callable[..., Any]:
    """Sum, over the places of the maximum, of a second gradient."""

    def run(value, maximum, top, *parameters):
        windows = _Windows(node, parameters)
        lengths = maximum.shape[-windows.dimensions :]
        extended = windows.extend(value, lengths, _lowest(value.dtype))
        top = windows.extend(top, lengths, 0)
        return sum(
            _where_maximal(top[place], extended[place], maximum)
            for place in windows.offsets(lengths)
        )

    return run


@implements(AveragePoolGrad, host=[slice(2, None)])
def average_pool_grad(node: Apply) -> Callable[..., Any]:
    mode = node.op.mode

    def run(value, top, *parameters):
        windows = _Windows(node, parameters)
        lengths = top.shape[-windows.dimensions :]
        if mode != "sum":
            top = top / _window_counts(windows, value, lengths, mode == "average_inc_pad")
        extended = windows.extend(value, lengths, 0)
        gradient = torch.zeros_like(extended)
        for place in windows.offsets(lengths):
            gradient[place].add_(top)
        return windows.crop(gradient, value).clone() if extended is not value else gradient

    return run
