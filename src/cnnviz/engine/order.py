"""In which order a graph's nodes run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from theano.tensor import TensorType
from theano.tensor.elemwise import DimShuffle
from theano.tensor.nnet.abstract_conv import BaseAbstractConv
from theano.tensor.subtensor import Subtensor

if TYPE_CHECKING:
    from theano.gof import Apply, FunctionGraph, Variable

__all__ = ["channels_last_inputs", "ordered"]


def _readers(variable: Variable) -> set[Any] | set[Apply]:
    """Nodes that read a variable or a view of it."""
    readers = set()
    for node, _ in variable.clients:
        if node == "output":
            continue
        readers.add(node)
        if isinstance(node.op, (DimShuffle, Subtensor)):
            readers |= _readers(node.outputs[0])
    return readers


def ordered(fgraph: FunctionGraph, updates: Mapping[Variable, Variable]) -> list[Apply]:
    """Nodes in an order that lets updates overwrite what they update.

    A node that computes the new value of a shared variable waits, where it
    can, until everything else that reads the old value has run.

    Parameters
    ----------
    fgraph : FunctionGraph
    updates : dict
        From inputs to the outputs that they become.

    Returns
    -------
    list of Apply nodes
    """
    rivals = {}  # node -> readers of the old values that it could overwrite
    for old, new in updates.items():
        if new.owner is not None:
            rivals.setdefault(new.owner, set()).update(_readers(old) - {new.owner})
    order, done, waiting = [], set(), fgraph.toposort()

    def ready(node):
        return all(input_.owner is None or input_.owner in done for input_ in node.inputs)

    while waiting:
        held = []
        for node in waiting:
            if ready(node) and rivals.get(node, done) <= done:
                order.append(node)
                done.add(node)
            else:
                held.append(node)
        if len(held) == len(waiting):  # they wait for each other
            node = next(filter(ready, held))
            order.append(node)
            done.add(node)
            held.remove(node)
        waiting = held
    return order


def channels_last_inputs(fgraph: FunctionGraph) -> set[Any] | set[Variable]:
    """Inputs kept channels last: untied biases and their like."""
    if not any(isinstance(node.op, BaseAbstractConv) for node in fgraph.apply_nodes):
        return set()
    return {
        input_
        for input_ in fgraph.inputs
        if isinstance(input_.type, TensorType) and input_.ndim == 3
    }
