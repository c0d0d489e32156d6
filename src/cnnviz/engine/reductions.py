"""Sums, products, extrema and their positions, sorting, products of matrices."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from theano import scalar
from theano.tensor.basic import Argmax, Dot, MaxAndArgmax
from theano.tensor.blas import BatchedDot
from theano.tensor.elemwise import CAReduce, MulWithoutZeros
from theano.tensor.extra_ops import CumOp
from theano.tensor.sort import ArgSortOp, SortOp

from cnnviz.engine.registry import UnsupportedOp, implements, torch_dtype

if TYPE_CHECKING:
    from theano.gof import Apply


def _axes(node: Apply) -> Sequence[int]:
    """Reduced axes, in ascending order."""
    count = node.inputs[0].ndim
    axis = node.op.axis
    if axis is None:
        return tuple(range(count))
    axis = axis if isinstance(axis, (tuple, list)) else (axis,)
    return tuple(sorted(each % count for each in axis))


def _one_by_one(function: Callable[..., Any]) -> Callable[..., Any]:
    """Reduce along several axes with a kernel that takes one."""

    def run(value, axes):
        for axis in reversed(axes):
            value = function(value, axis)
        return value

    return run


def _prod_without_zeros(value: torch.Tensor, axis: int) -> torch.Tensor:
    product = torch.prod(torch.where(value == 0, 1, value), axis)
    return torch.where((value == 0).all(axis), 0, product)


_LOGICAL = {scalar.AND: torch.all, scalar.OR: torch.any}
_REDUCTIONS = {
    scalar.Mul: _one_by_one(torch.prod),
    MulWithoutZeros: _one_by_one(_prod_without_zeros),
    scalar.Maximum: torch.amax,
    scalar.Minimum: torch.amin,
}


def _bitwise(function: Callable[..., Any]) -> Callable[..., Any]:
    def run(value, axis):
        return functools.reduce(function, value.unbind(axis))

    return _one_by_one(run)


@implements(CAReduce)
def reduction(node: Apply) -> Callable[..., Any]:
    """Sum, Prod, All, Any, and ``CAReduce`` of maximum and minimum.

    Sums of float32 accumulate pairwise in float32, where Theano's C code
    accumulates in float64; both are exact to some units in the last place.
    """
    axes = _axes(node)
    kind = type(node.op.scalar_op)
    dtype = torch_dtype(node.outputs[0].type.dtype)
    source = torch_dtype(node.inputs[0].type.dtype)
    if not axes:
        return lambda value: value.to(dtype, copy=True)
    if kind is scalar.Add:
        return lambda value: torch.sum(value, list(axes), dtype=dtype)
    if kind in _LOGICAL and source is torch.bool:
        function = _one_by_one(_LOGICAL[kind])
    elif kind in (scalar.AND, scalar.OR, scalar.XOR):
        function = _bitwise(
            {
                scalar.AND: torch.bitwise_and,
                scalar.OR: torch.bitwise_or,
                scalar.XOR: torch.bitwise_xor,
            }[kind]
        )
    elif kind in _REDUCTIONS:
        function = _REDUCTIONS[kind]
    else:
        raise UnsupportedOp(
            f"the torch engine cannot reduce by {node.op.scalar_op}, which the "
            f"node {node} needs; compile this function with engine='theano'"
        )
    # Products of small integers would overflow in their own dtype.
    if source is dtype:
        return lambda value: function(value, axes)
    return lambda value: function(value.to(dtype), axes)


def _rows(value: torch.Tensor, axes: Sequence[int], count: int) -> torch.Tensor:
    """The reduced axes last, as one."""
    kept = [axis for axis in range(count) if axis not in axes]
    return value.permute(*kept, *axes).flatten(len(kept)) if axes else value


@implements(MaxAndArgmax)
def max_and_argmax(node: Apply) -> Callable[..., Any]:
    """The first of equal maxima, as NumPy and Theano have it."""
    axes, count = _axes(node), node.inputs[0].ndim
    if not axes:
        return lambda value: (value.clone(), torch.zeros_like(value, dtype=torch.int64))

    def run(value):
        value = _rows(value, axes, count)
        return torch.amax(value, -1), torch.argmax(value, -1)

    return run


@implements(Argmax)
def argmax(node: Apply) -> Callable[..., Any]:
    axes, count = _axes(node), node.inputs[0].ndim
    if not axes:
        return lambda value: torch.zeros_like(value, dtype=torch.int64)
    return lambda value: torch.argmax(_rows(value, axes, count), -1)


@implements(Dot)
def dot(node: Apply) -> Callable[..., Any]:
    dtype = torch_dtype(node.outputs[0].type.dtype)
    if all(torch_dtype(input_.type.dtype) is dtype for input_ in node.inputs):
        return torch.matmul
    return lambda first, second: torch.matmul(first.to(dtype), second.to(dtype))


@implements(BatchedDot)
def batched_dot(node: Apply) -> Callable[..., Any]:
    subscripts = {
        (3, 3): "bij,bjk->bik",
        (3, 2): "bij,bj->bi",
        (2, 3): "bj,bjk->bk",
        (2, 2): "bj,bj->b",
    }
    form = subscripts[tuple(input_.ndim for input_ in node.inputs)]
    return lambda first, second: torch.einsum(form, first, second)


@implements(CumOp)
def cumulative(node: Apply) -> Callable[..., Any]:
    function = torch.cumsum if node.op.mode == "add" else torch.cumprod
    dtype = torch_dtype(node.outputs[0].type.dtype)
    if node.op.axis is None:
        return lambda value: function(value.reshape(-1), 0, dtype=dtype)
    return lambda value: function(value, node.op.axis, dtype=dtype)


@implements(SortOp, host=[1])
def sort(node: Apply) -> Callable[..., Any]:
    def run(value, axis):
        if axis is None:
            value, axis = value.reshape(-1), 0
        return torch.sort(value, int(axis)).values

    return run


@implements(ArgSortOp, host=[1])
def argsort(node: Apply) -> Callable[..., Any]:
    dtype = torch_dtype(node.outputs[0].type.dtype)

    def run(value, axis):
        if axis is None:
            value, axis = value.reshape(-1), 0
        return torch.argsort(value, dim=int(axis), stable=True).to(dtype)

    return run
