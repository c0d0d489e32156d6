"""Convolutions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from theano.tensor.nnet.abstract_conv import (
    AbstractConv,
    AbstractConv_gradInputs,
    AbstractConv_gradWeights,
    border_mode_to_pad,
)

from cnnviz.engine.registry import UnsupportedOp, implements

if TYPE_CHECKING:
    from theano.gof import Apply

_CONVOLUTIONS = {2: F.conv2d, 3: F.conv3d}
_LAYOUTS = {2: torch.channels_last, 3: torch.channels_last_3d}


class _Geometry:
    """Strides, padding and orientation of one convolution node."""

    def __init__(self, node: Apply) -> None:
        op = node.op
        if op.unshared:
            raise UnsupportedOp(
                f"the node {node} convolves with filters that differ from place "
                "to place, which PyTorch has no kernel for; compile this "
                "function with engine='theano'"
            )
        self.dimensions = op.convdim
        self.stride = list(op.subsample)
        self.dilation = list(op.filter_dilation)
        self.groups = op.num_groups
        self.border = op.border_mode
        self.flip = op.filter_flip
        self.layout = _LAYOUTS[op.convdim]

    def filters(self, weights: Any) -> torch.Tensor:
        """Filters as PyTorch wants them, for cross-correlation."""
        if self.flip:
            weights = weights.flip(*range(2, 2 + self.dimensions))
        return weights

    def padding(self, sizes: Any) -> tuple[tuple[int, int], tuple[int, int]]:
        """Rows of zeros before and after, for filters of these sizes."""
        dilated = [(size - 1) * dilation + 1 for size, dilation in zip(sizes, self.dilation)]
        return border_mode_to_pad(self.border, self.dimensions, dilated)

    def symmetric(self, sizes: Any) -> Any:
        """Padding to leave to the kernel, and what must be added before."""
        pairs = self.padding(sizes)
        common = [min(pair) for pair in pairs]
        rest = [side - less for pair, less in reversed(list(zip(pairs, common))) for side in pair]
        return common, rest if any(rest) else None

    def lay_out(self, value: torch.Tensor) -> torch.Tensor:
        return value.contiguous(memory_format=self.layout)

    def backward(
        self,
        top: torch.Tensor,
        image: torch.Tensor,
        weights: torch.Tensor,
        padding: Sequence[int],
        mask: Sequence[bool],
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, None]:
        return torch.ops.aten.convolution_backward(
            top,
            image,
            weights,
            None,
            self.stride,
            padding,
            self.dilation,
            False,
            [0] * self.dimensions,
            self.groups,
            mask,
        )


@implements(AbstractConv)
def convolution(node: Apply) -> Callable[..., Any]:
    geometry = _Geometry(node)
    kernel = _CONVOLUTIONS[geometry.dimensions]

    def run(image, weights):
        padding, rest = geometry.symmetric(weights.shape[2:])
        if rest:
            image = F.pad(image, rest)
        return kernel(
            geometry.lay_out(image),
            geometry.filters(weights),
            None,
            geometry.stride,
            padding,
            geometry.dilation,
            geometry.groups,
        )

    return run


@implements(AbstractConv_gradWeights, host=[2])
def convolution_grad_weights(node: Apply) -> Callable[..., Any]:
    geometry = _Geometry(node)

    def run(image, top, sizes):
        padding, rest = geometry.symmetric(sizes)
        if rest:
            image = F.pad(image, rest)
        shape = (top.shape[1], image.shape[1] // geometry.groups, *map(int, sizes))
        # With strides and filters of one pixel PyTorch 2.13's kernel for channels-last
        # maps writes beyond its memory on processors without AVX-512.
        corrupts = max(shape[2:]) == 1 < max(geometry.stride)
        top, image = (
            each.contiguous() if corrupts else geometry.lay_out(each) for each in (top, image)
        )
        weights = geometry.backward(
            top, image, top.new_empty(1).expand(shape), padding, [False, True, False]
        )[1]
        return geometry.filters(weights)

    return run


def _by_phases(
    geometry: _Geometry, weights: torch.Tensor, top: torch.Tensor, sizes: Sequence[int]
) -> torch.Tensor:
    """Gradient of a strided convolution's few input channels.

    Inputs whose places leave the same remainder (phase) when divided by the
    stride meet the same entries of the filters.  So one convolution of stride
    1 computes all phases, as channels, and they are put in their places:
    on the CPU nearly three times faster than PyTorch's kernel for 3 channels.
    """
    stride, (rows, columns) = geometry.stride[0], weights.shape[2:]
    outgoing, incoming = weights.shape[:2]
    taps = [-(-rows // stride), -(-columns // stride)]
    filters = F.pad(weights, [0, taps[1] * stride - columns, 0, taps[0] * stride - rows])
    filters = filters.reshape(outgoing, incoming, taps[0], stride, taps[1], stride)
    filters = (
        filters.permute(1, 3, 5, 0, 2, 4).flip(4, 5).reshape(incoming * stride**2, outgoing, *taps)
    )
    phases = F.conv2d(
        geometry.lay_out(top), geometry.lay_out(filters), padding=[tap - 1 for tap in taps]
    )
    result = F.pixel_shuffle(phases, stride)
    border = []
    for axis, (before, _) in zip((3, 2), reversed(geometry.padding((rows, columns)))):
        border += [-before, before + sizes[axis - 2] - result.shape[axis]]
    return F.pad(result, border)


def _has_phases(geometry: _Geometry, weights: torch.Tensor) -> bool:
    """Whether :func:`_by_phases` applies, and pays."""
    return (
        geometry.dimensions == 2
        and geometry.groups == 1
        and set(geometry.dilation) == {1}
        and len(set(geometry.stride)) == 1
        and 1 < geometry.stride[0] <= min(weights.shape[2:])
        and weights.shape[1] * geometry.stride[0] ** 2 <= 16
    )


@implements(AbstractConv_gradInputs, host=[2])
def convolution_grad_inputs(node: Apply) -> Callable[..., Any]:
    geometry = _Geometry(node)

    def run(weights, top, sizes):
        padding, rest = geometry.symmetric(weights.shape[2:])
        sizes = [int(size) for size in sizes]
        if _has_phases(geometry, weights):
            return _by_phases(geometry, geometry.filters(weights), top, sizes)
        padded = sizes
        if rest:
            padded = [
                size + sum(rest[2 * back : 2 * back + 2])
                for size, back in zip(sizes, reversed(range(geometry.dimensions)))
            ]
        # Only its shape and its layout count.
        image = torch.empty(
            (top.shape[0], weights.shape[1] * geometry.groups, *padded),
            dtype=top.dtype,
            device=top.device,
            memory_format=geometry.layout,
        )
        result: Any = geometry.backward(
            geometry.lay_out(top), image, geometry.filters(weights), padding, [True, False, False]
        )[0]
        return F.pad(result, [-each for each in rest]) if rest else result

    return run
