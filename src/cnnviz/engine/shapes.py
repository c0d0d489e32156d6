"""Shapes of arrays, new arrays, and arrays put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from theano.compile.ops import DeepCopyOp, Rebroadcast, SpecifyShape, ViewOp
from theano.gof.graph import Constant
from theano.tensor.basic import (
    Alloc,
    AllocDiag,
    AllocEmpty,
    ARange,
    ExtractDiag,
    Eye,
    Flatten,
    Join,
    Reshape,
    ScalarFromTensor,
    Split,
    TensorFromScalar,
    Tri,
)
from theano.tensor.elemwise import DimShuffle
from theano.tensor.extra_ops import CpuContiguous, RepeatOp
from theano.tensor.opt import Assert, MakeVector

from cnnviz.engine.indexing import REST
from cnnviz.engine.registry import implements, torch_dtype

if TYPE_CHECKING:
    from theano.gof import Apply


@implements(DimShuffle, view=True)
def dimshuffle(node: Apply) -> Callable[..., Any]:
    """Axes dropped, permuted and added."""
    op = node.op
    order = [axis for axis in op.new_order if axis != "x"]
    added = [position for position, axis in enumerate(op.new_order) if axis == "x"]
    kept = [axis for axis in range(node.inputs[0].ndim) if axis not in op.drop]
    order = [kept.index(axis) for axis in order]
    index = tuple(None if axis == "x" else slice(None) for axis in op.new_order)

    def run(value):
        if op.drop:
            if any(value.shape[axis] != 1 for axis in op.drop):
                raise ValueError(
                    f"cannot drop axes {op.drop} of shape {tuple(value.shape)}: they are not 1 long"
                )
            value = value[
                tuple(0 if axis in op.drop else slice(None) for axis in range(value.ndim))
            ]
        if order != sorted(order):
            value = value.permute(order)
        return value[index] if added else value.view_as(value)

    if not op.drop and not added:
        return lambda value: value.permute(order)
    if not op.drop and order == sorted(order) and len(added) == 1:
        (position,) = added
        return lambda value: value.unsqueeze(position)
    return run


def _to_shape(value: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    # Theano allows one -1, and so does PyTorch.
    return value.reshape(shape)


@implements(Reshape, host=[1], view=True)
def reshape(node: Apply) -> Callable[..., Any]:
    return _to_shape


@implements(Flatten, view=True)
def flatten(node: Apply) -> Callable[..., Any]:
    keep = node.outputs[0].ndim - 1
    return lambda value: value.reshape(*value.shape[:keep], -1)


@implements(ViewOp, view=True)
def identity(node: Apply) -> Any:
    return lambda value: value.view_as(value)


@implements(TensorFromScalar, ScalarFromTensor, view=True)
def scalar_conversion(node: Apply) -> Callable[..., Any]:
    return lambda value: value.view_as(value)


@implements(CpuContiguous, view=True)
def contiguous(node: Apply) -> Callable[..., Any]:
    return lambda value: value.contiguous()


@implements(DeepCopyOp)
def deep_copy(node: Apply) -> Callable[..., Any]:
    return torch.clone


@implements(Rebroadcast, view=True)
def rebroadcast(node: Apply) -> Callable[..., Any]:
    """A view, after a look at the axes that are promised to be 1 long."""
    promised = [axis for axis, single in node.op.axis.items() if single]

    def run(value):
        for axis in promised:
            if value.shape[axis] != 1:
                raise ValueError(
                    f"dimension {axis} in Rebroadcast's input was "
                    f"supposed to be 1 (got {value.shape[axis]} instead)"
                )
        return value.view_as(value)

    return run


@implements(SpecifyShape, host=[1], view=True)
def specify_shape(node: Apply) -> Callable[..., Any]:
    def run(value, shape):
        if tuple(value.shape) != tuple(shape):
            raise AssertionError(f"got shape {tuple(value.shape)}, expected {shape}")
        return value.view_as(value)

    return run


@implements(Assert, host=[REST], view=True)
def assertion(node: Apply) -> Callable[..., Any]:
    def run(value, *conditions):
        if not np.all(conditions):
            raise AssertionError(node.op.msg)
        return value.view_as(value)

    return run


def _value_shape(shape: Sequence[int]) -> Sequence[int]:
    return tuple(map(int, shape))


@implements(Alloc, host=[REST])
def alloc(node: Apply) -> Callable[..., Any]:
    def run(value, *shape):
        return value.expand(_value_shape(shape)).clone(memory_format=torch.contiguous_format)

    value = node.inputs[0]
    if isinstance(value, Constant) and value.data.size == 1:
        dtype = torch_dtype(node.outputs[0].type.dtype)
        number = value.data.item()
        return lambda value, *shape: value.new_full(_value_shape(shape), number, dtype=dtype)
    return run


@implements(AllocEmpty, host=[slice(None)], creates=True)
def alloc_empty(node: Apply, device: torch.device) -> Callable[..., Any]:
    """Memory with whatever is in it, as in Theano."""
    dtype = torch_dtype(node.outputs[0].type.dtype)
    return lambda *shape: torch.empty(_value_shape(shape), dtype=dtype, device=device)


@implements(ARange, host=[slice(None)], creates=True)
def arange(node: Apply, device: torch.device) -> Callable[..., Any]:
    dtype = torch_dtype(node.outputs[0].type.dtype)

    def run(start, stop, step):
        if (stop - start) * step <= 0:
            return torch.empty(0, dtype=dtype, device=device)
        return torch.arange(start, stop, step, dtype=dtype, device=device)

    return run


@implements(Eye, host=[slice(None)], creates=True)
def eye(node: Apply, device: torch.device) -> Callable[..., Any]:
    """Ones on a diagonal."""
    dtype = torch_dtype(node.outputs[0].type.dtype)

    def run(rows, columns, diagonal):
        gap = torch.arange(columns, device=device) - torch.arange(rows, device=device)[:, None]
        return (gap == diagonal).to(dtype)

    return run


@implements(Tri, host=[slice(None)], creates=True)
def tri(node: Apply, device: torch.device) -> Callable[..., Any]:
    """Ones on and below a diagonal."""
    dtype = torch_dtype(node.outputs[0].type.dtype)

    def run(rows, columns, diagonal):
        gap = torch.arange(columns, device=device) - torch.arange(rows, device=device)[:, None]
        return (gap <= diagonal).to(dtype)

    return run


@implements(ExtractDiag)
def extract_diagonal(node: Apply) -> Callable[..., Any]:
    op = node.op
    return lambda value: torch.diagonal(value, op.offset, op.axis1, op.axis2).clone()


@implements(AllocDiag)
def alloc_diagonal(node: Apply) -> Callable[..., Any]:
    op = node.op
    return lambda value: torch.diag_embed(value, op.offset, op.axis1, op.axis2)


@implements(MakeVector)
def make_vector(node: Apply) -> Callable[..., Any]:
    dtype = torch_dtype(node.outputs[0].type.dtype)
    return lambda *values: torch.stack([value.to(dtype) for value in values])


@implements(Join, host=[0])
def join(node: Apply) -> Callable[..., Any]:
    dtype = torch_dtype(node.outputs[0].type.dtype)
    return lambda axis, *values: torch.cat([value.to(dtype) for value in values], int(axis))


@implements(Split, host=[1, 2])
def split(node: Apply) -> Callable[..., Any]:
    def run(value, axis, sizes):
        if (
            len(sizes) != node.op.len_splits
            or sum(sizes) != value.shape[axis]
            or min(sizes, default=0) < 0
        ):
            raise ValueError(
                f"cannot split an axis of length {value.shape[axis]} "
                f"into {node.op.len_splits} parts of sizes {sizes}"
            )
        parts = [part.clone() for part in torch.split(value, list(sizes), int(axis))]
        return parts if len(node.outputs) > 1 else parts[0]

    return run


@implements(RepeatOp, host=[1])
def repeat(node: Apply) -> Callable[..., Any]:
    def run(value, repeats):
        axis = node.op.axis
        if axis is None:
            value, axis = value.reshape(-1), 0
        if isinstance(repeats, tuple):
            repeats = torch.tensor(repeats, device=value.device)
        return torch.repeat_interleave(value, repeats, axis)

    return run
