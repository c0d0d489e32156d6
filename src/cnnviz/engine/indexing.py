"""Shapes, slices, indices, joins."""

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
    Nonzero,
    Reshape,
    ScalarFromTensor,
    Split,
    TensorFromScalar,
    Tri,
)
from theano.tensor.elemwise import DimShuffle
from theano.tensor.extra_ops import CpuContiguous, RepeatOp
from theano.tensor.opt import Assert, MakeVector
from theano.tensor.subtensor import (
    AdvancedBooleanIncSubtensor,
    AdvancedBooleanSubtensor,
    AdvancedIncSubtensor,
    AdvancedIncSubtensor1,
    AdvancedSubtensor,
    AdvancedSubtensor1,
    IncSubtensor,
    Subtensor,
    get_idx_list,
)
from theano.tensor.type_other import SliceType

from cnnviz.engine.registry import UnsupportedOp, implements, torch_dtype

_REST = slice(1, None)  # all inputs but the first


# Views and copies


@implements(DimShuffle, view=True)
def dimshuffle(node):
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


def _to_shape(value, shape):
    # Theano allows one -1, and so does PyTorch.
    return value.reshape(shape)


@implements(Reshape, host=[1], view=True)
def reshape(node):
    return _to_shape


@implements(Flatten, view=True)
def flatten(node):
    keep = node.outputs[0].ndim - 1
    return lambda value: value.reshape(*value.shape[:keep], -1)


@implements(ViewOp, view=True)
def identity(node):
    return lambda value: value.view_as(value)


@implements(TensorFromScalar, ScalarFromTensor, view=True)
def scalar_conversion(node):
    return lambda value: value.view_as(value)


@implements(CpuContiguous, view=True)
def contiguous(node):
    return lambda value: value.contiguous()


@implements(DeepCopyOp)
def deep_copy(node):
    return torch.clone


@implements(Rebroadcast, view=True)
def rebroadcast(node):
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
def specify_shape(node):
    def run(value, shape):
        if tuple(value.shape) != tuple(shape):
            raise AssertionError(f"got shape {tuple(value.shape)}, expected {shape}")
        return value.view_as(value)

    return run


@implements(Assert, host=[_REST], view=True)
def assertion(node):
    def run(value, *conditions):
        if not np.all(conditions):
            raise AssertionError(node.op.msg)
        return value.view_as(value)

    return run


# New tensors


def _value_shape(shape):
    return tuple(map(int, shape))


@implements(Alloc, host=[_REST])
def alloc(node):
    def run(value, *shape):
        return value.expand(_value_shape(shape)).clone(memory_format=torch.contiguous_format)

    value = node.inputs[0]
    if isinstance(value, Constant) and value.data.size == 1:
        dtype = torch_dtype(node.outputs[0].type.dtype)
        number = value.data.item()
        return lambda value, *shape: value.new_full(_value_shape(shape), number, dtype=dtype)
    return run


@implements(AllocEmpty, host=[slice(None)], creates=True)
def alloc_empty(node, device):
    """Memory with whatever is in it, as in Theano."""
    dtype = torch_dtype(node.outputs[0].type.dtype)
    return lambda *shape: torch.empty(_value_shape(shape), dtype=dtype, device=device)


@implements(ARange, host=[slice(None)], creates=True)
def arange(node, device):
    dtype = torch_dtype(node.outputs[0].type.dtype)

    def run(start, stop, step):
        if (stop - start) * step <= 0:
            return torch.empty(0, dtype=dtype, device=device)
        return torch.arange(start, stop, step, dtype=dtype, device=device)

    return run


@implements(Eye, host=[slice(None)], creates=True)
def eye(node, device):
    """Ones on a diagonal."""
    dtype = torch_dtype(node.outputs[0].type.dtype)

    def run(rows, columns, diagonal):
        gap = torch.arange(columns, device=device) - torch.arange(rows, device=device)[:, None]
        return (gap == diagonal).to(dtype)

    return run


@implements(Tri, host=[slice(None)], creates=True)
def tri(node, device):
    """Ones on and below a diagonal."""
    dtype = torch_dtype(node.outputs[0].type.dtype)

    def run(rows, columns, diagonal):
        gap = torch.arange(columns, device=device) - torch.arange(rows, device=device)[:, None]
        return (gap <= diagonal).to(dtype)

    return run


@implements(ExtractDiag)
def extract_diagonal(node):
    op = node.op
    return lambda value: torch.diagonal(value, op.offset, op.axis1, op.axis2).clone()


@implements(AllocDiag)
def alloc_diagonal(node):
    op = node.op
    return lambda value: torch.diag_embed(value, op.offset, op.axis1, op.axis2)


@implements(MakeVector)
def make_vector(node):
    dtype = torch_dtype(node.outputs[0].type.dtype)
    return lambda *values: torch.stack([value.to(dtype) for value in values])


@implements(Join, host=[0])
def join(node):
    dtype = torch_dtype(node.outputs[0].type.dtype)
    return lambda axis, *values: torch.cat([value.to(dtype) for value in values], int(axis))


@implements(Split, host=[1, 2])
def split(node):
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
def repeat(node):
    def run(value, repeats):
        axis = node.op.axis
        if axis is None:
            value, axis = value.reshape(-1), 0
        if isinstance(repeats, tuple):
            repeats = torch.tensor(repeats, device=value.device)
        return torch.repeat_interleave(value, repeats, axis)

    return run


# Slices


def _indices(node, numbers):
    """What Theano's index list stands for, with the numbers put in."""
    return tuple(get_idx_list((None, *numbers), node.op.idx_list))


def _forward(value, index):
    """The value and the index with negative steps replaced by flips."""
    flips, forward = [], []
    for axis, entry in enumerate(index):
        if isinstance(entry, slice) and entry.step is not None and entry.step < 0:
            start, stop, step = entry.indices(value.shape[axis])
            count = max(0, -((start - stop) // step))
            first = start + (count - 1) * step
            flips.append(axis)
            entry = slice(first, start + 1, -step) if count else slice(0, 0)
        forward.append(entry)
    # An integer drops its axis.
    flips = [axis - sum(not isinstance(each, slice) for each in index[:axis]) for axis in flips]
    return tuple(forward), flips


@implements(Subtensor, host=[_REST], view=True)
def subtensor(node):
    """Slices and integers; PyTorch has no negative steps, so it flips."""

    def run(value, *numbers):
        index, flips = _forward(value, _indices(node, numbers))
        value = value[index]
        return value.flip(flips) if flips else value

    return run


@implements(IncSubtensor, host=[slice(2, None)], writes=[0])
def inc_subtensor(node, target):
    """``x[index] += y`` or ``x[index] = y``, on a copy or in place."""
    setting = node.op.set_instead_of_inc
    dtype = torch_dtype(node.outputs[0].type.dtype)

    def run(value, other, *numbers):
        result = value.clone() if target is None else value
        index, flips = _forward(value, _indices(node, numbers))
        part = result[index]
        # Where PyTorch would broadcast a leading axis away, Theano refuses.
        other = other.to(dtype)
        if flips:
            other = other.expand(part.shape).flip(flips)
        if setting:
            part.copy_(other)
        else:
            part.add_(other)
        return result

    return run


# Index arrays


def _checked(index, length):
    """Indices from 0 on, as int64.

    On the CPU PyTorch checks them itself; on a GPU an index out of range
    would end the process's use of the device, so there it is looked at.
    """
    index = index.long()
    if index.device.type != "cpu" and index.numel():
        low, high = torch.stack(torch.aminmax(index)).tolist()
        if low < -length or high >= length:
            raise IndexError(
                f"index {low if low < -length else high} is out of "
                f"range for an axis of length {length}"
            )
    return index


@implements(AdvancedSubtensor1)
def advanced_subtensor1(node):
    """Rows by their numbers."""
    return lambda value, index: value[_checked(index, value.shape[0])]


@implements(AdvancedIncSubtensor1, writes=[0])
def advanced_inc_subtensor1(node, target):
    """Rows increased (one that comes twice: twice) or set."""
    setting = node.op.set_instead_of_inc
    dtype = torch_dtype(node.outputs[0].type.dtype)

    def run(value, other, index):
        result = value.clone() if target is None else value
        index = _checked(index, value.shape[0])
        return result.index_put_((index,), other.to(dtype), accumulate=not setting)

    return run


def _refuse_variable_slices(node):
    for variable in node.inputs:
        if isinstance(variable.type, SliceType) and not isinstance(variable, Constant):
            raise UnsupportedOp(
                f"the node {node} takes a slice with variable ends beside index "
                "arrays, which the torch engine cannot do; slice in a step of its "
                "own, or compile this function with engine='theano'"
            )


def _advanced_index(value, entries):
    index = []
    for entry in entries:
        if isinstance(entry, torch.Tensor) and entry.dtype is not torch.bool:
            entry = entry.long()
        index.append(entry)
    return tuple(index)


@implements(AdvancedSubtensor, AdvancedBooleanSubtensor)
def advanced_subtensor(node):
    """Index arrays for several axes, masks, and constant slices."""
    _refuse_variable_slices(node)
    return lambda value, *entries: value[_advanced_index(value, entries)].clone()


@implements(AdvancedIncSubtensor, AdvancedBooleanIncSubtensor, writes=[0])
def advanced_inc_subtensor(node, target):
    _refuse_variable_slices(node)
    setting = node.op.set_instead_of_inc
    dtype = torch_dtype(node.outputs[0].type.dtype)

    def run(value, other, *entries):
        result = value.clone() if target is None else value
        index, other = _advanced_index(value, entries), other.to(dtype)
        if setting:
            result[index] = other
        elif all(isinstance(entry, torch.Tensor) for entry in index):
            result.index_put_(index, other, accumulate=True)
        else:
            # Positions of the indexed elements, so that doubles add up.
            places = torch.arange(result.numel(), device=result.device)
            places = places.reshape(result.shape)[index]
            flat = result.reshape(-1)
            flat.index_put_((places,), other.expand(places.shape), accumulate=True)
            result = flat.reshape(result.shape)
        return result

    return run


@implements(Nonzero)
def nonzero(node):
    """Indices of the elements that are not zero, a row for each axis."""
    return lambda value: torch.nonzero(value).T
