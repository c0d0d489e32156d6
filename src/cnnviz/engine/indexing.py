"""Slices and indices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from theano.gof.graph import Constant
from theano.tensor.basic import Nonzero
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

if TYPE_CHECKING:
    from theano.gof import Apply

REST = slice(1, None)  # all inputs but the first


# Views and copies


# New tensors


# Slices


def _indices(node: Apply, numbers: Sequence[int]) -> Sequence[int | slice]:
    """What Theano's index list stands for, with the numbers put in."""
    return tuple(get_idx_list((None, *numbers), node.op.idx_list))


def _forward(
    value: torch.Tensor, index: Sequence[int | slice]
) -> tuple[Sequence[int | slice], list[int]]:
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


@implements(Subtensor, host=[REST], view=True)
def subtensor(node: Apply) -> Callable[..., Any]:
    """Slices and integers; PyTorch has no negative steps, so it flips."""

    def run(value, *numbers):
        index, flips = _forward(value, _indices(node, numbers))
        value = value[index]
        return value.flip(flips) if flips else value

    return run


@implements(IncSubtensor, host=[slice(2, None)], writes=[0])
def inc_subtensor(node: Apply, target: int | None) -> Callable[..., Any]:
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


def _checked(index: torch.Tensor, length: int) -> torch.Tensor:
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
def advanced_subtensor1(node: Apply) -> Callable[..., Any]:
    """Rows by their numbers."""
    return lambda value, index: value[_checked(index, value.shape[0])]


@implements(AdvancedIncSubtensor1, writes=[0])
def advanced_inc_subtensor1(node: Apply, target: int | None) -> Callable[..., Any]:
    """Rows increased (one that comes twice: twice) or set."""
    setting = node.op.set_instead_of_inc
    dtype = torch_dtype(node.outputs[0].type.dtype)

    def run(value, other, index):
        result = value.clone() if target is None else value
        index = _checked(index, value.shape[0])
        return result.index_put_((index,), other.to(dtype), accumulate=not setting)

    return run


def _refuse_variable_slices(node: Apply) -> None:
    for variable in node.inputs:
        if isinstance(variable.type, SliceType) and not isinstance(variable, Constant):
            raise UnsupportedOp(
                f"the node {node} takes a slice with variable ends beside index "
                "arrays, which the torch engine cannot do; slice in a step of its "
                "own, or compile this function with engine='theano'"
            )


def _advanced_index(
    value: torch.Tensor, entries: Sequence[slice | torch.Tensor]
) -> Sequence[slice | torch.Tensor]:
    index = []
    for entry in entries:
        if isinstance(entry, torch.Tensor) and entry.dtype is not torch.bool:
            entry = entry.long()
        index.append(entry)
    return tuple(index)


@implements(AdvancedSubtensor, AdvancedBooleanSubtensor)
def advanced_subtensor(node: Apply) -> Callable[..., Any]:
    """Index arrays for several axes, masks, and constant slices."""
    _refuse_variable_slices(node)
    return lambda value, *entries: value[_advanced_index(value, entries)].clone()


@implements(AdvancedIncSubtensor, AdvancedBooleanIncSubtensor, writes=[0])
def advanced_inc_subtensor(node: Apply, target: int | None) -> Callable[..., Any]:
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
def nonzero(node: Any) -> Callable[..., Any]:
    """Indices of the elements that are not zero, a row for each axis."""
    return lambda value: torch.nonzero(value).T
