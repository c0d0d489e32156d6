"""Shapes and indices: small numbers that stay on the host.

A graph computes some values only to shape others: lengths, indices, factors
like one over the number of images.  On a GPU each would cost a kernel, and
reading it back would make the host wait; even on the CPU a tensor for a
single integer is a waste.  Such values are Python numbers and tuples of
them, computed by Theano's own definition of the Op.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from theano import scalar
from theano.compile.ops import Rebroadcast, Shape, Shape_i
from theano.gof.graph import Constant
from theano.tensor import TensorType
from theano.tensor.basic import Join, ScalarFromTensor, TensorFromScalar
from theano.tensor.elemwise import CAReduce, DimShuffle, Elemwise
from theano.tensor.opt import Assert, MakeVector
from theano.tensor.subtensor import Subtensor

if TYPE_CHECKING:
    from theano.gof import Apply, Variable

__all__ = ["as_host", "host_function", "is_host_input", "is_shape_query", "plain", "runs_on_host"]

_OPS = (
    Elemwise,
    MakeVector,
    ScalarFromTensor,
    TensorFromScalar,
    Subtensor,
    Join,
    CAReduce,
    DimShuffle,
    Rebroadcast,
    Assert,
    scalar.ScalarOp,
)


def _is_small(variable: Variable) -> bool:
    """A number, or a vector of integers."""
    if isinstance(variable.type, scalar.Scalar):
        return True
    return isinstance(variable.type, TensorType) and (
        variable.ndim == 0 or variable.ndim == 1 and _is_discrete(variable)
    )


def _is_discrete(variable: Variable) -> bool:
    return np.dtype(variable.type.dtype).kind in "biu"


def is_host_input(variable: Variable) -> bool:
    """Whether an argument is used best as a Python number."""
    return _is_discrete(variable) and getattr(variable, "ndim", 0) == 0


def is_shape_query(node: Apply) -> bool:
    """Whether a node asks for (part of) the shape of its input."""
    return isinstance(node.op, (Shape, Shape_i))


def runs_on_host(node: Apply, on_host: set[Any] | set[Variable]) -> bool:
    """Whether a node is arithmetic with shapes and indices.

    Parameters
    ----------
    node : Apply
    on_host : set of variables
        Those known to be on the host.
    """
    return is_shape_query(node) or (
        isinstance(node.op, _OPS)
        and all(input_ in on_host or isinstance(input_, Constant) for input_ in node.inputs)
        and all(map(_is_small, [*node.inputs, *node.outputs]))
    )


def plain(value: Any) -> Any:
    """Python number, or tuple of them, of a NumPy value."""
    value = np.asarray(value).tolist()
    return tuple(value) if isinstance(value, list) else value


def as_host(value: Any) -> Any:
    """Python number, or tuple of them, of a tensor."""
    if isinstance(value, torch.Tensor):
        value = value.tolist()
        return tuple(value) if isinstance(value, list) else value
    return value


def _typed(variable: Variable) -> Callable[..., Any]:
    """Function from a plain value to what Theano's Python code expects."""
    dtype = np.dtype(variable.type.dtype)
    if isinstance(variable.type, scalar.Scalar):
        return dtype.type
    return lambda value: np.asarray(value, dtype)


def host_function(node: Apply) -> Callable[..., Any]:
    """Function of plain values that runs a node by Theano's definition."""
    if isinstance(node.op, MakeVector):
        return lambda *values: values
    if isinstance(node.op, (TensorFromScalar, ScalarFromTensor)):
        return lambda value: value
    operation = getattr(node.op, "scalar_op", node.op)
    if (
        isinstance(node.op, (Elemwise, scalar.ScalarOp))
        and getattr(node.outputs[0], "ndim", 0) == 0
    ):
        return _scalar_function(operation, node)
    cells = {each: [None] for each in [*node.inputs, *node.outputs]}
    thunk = node.op.make_thunk(
        node, cells, {each: [True] for each in cells}, no_recycling=[], impl="py"
    )
    inputs = [(cells[input_], _typed(input_)) for input_ in node.inputs]
    results = [cells[output] for output in node.outputs]

    def run(*values):
        for (cell, typed), value in zip(inputs, values):
            cell[0] = typed(value)
        thunk()
        made = [plain(cell[0]) for cell in results]
        return made[0] if len(made) == 1 else made

    return run


def _scalar_function(operation, node: Apply) -> Callable[..., Any]:
    result = np.dtype(node.outputs[0].type.dtype)
    types: list[Any] = [np.dtype(input_.type.dtype).type for input_ in node.inputs]
    if all(np.dtype(each).kind == "i" for each in [*types, result]):
        return lambda *values: int(operation.impl(*values))

    def run(*values):
        typed = [kind(value) for kind, value in zip(types, values)]
        return result.type(operation.impl(*typed)).item()

    return run
