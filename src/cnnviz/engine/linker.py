"""Theano's linker protocol, and the compilation mode built on it.

Theano calls a *linker* the part that turns an optimized graph into something
that runs.  Here that is a :class:`~cnnviz.engine.program.Program`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from theano.compile.function_module import FunctionMaker
from theano.compile.mode import Mode
from theano.gof.link import Container, LocalLinker
from theano.gof.op import Op

from cnnviz.engine.program import Program
from cnnviz.engine.storage import DeviceContainer, InputContainer, adopt

if TYPE_CHECKING:
    import numpy as np
    from theano.gof import Apply, FunctionGraph, Variable

__all__ = ["TorchLinker", "TorchMode"]


def _folds_in_python(op, node: Apply) -> bool:
    """Whether Theano may compute an Op of constants by its Python code."""
    return type(op).perform is not Op.perform


# When Theano folds constants it makes C code for each kind of Op, whatever the
# mode: seconds of a compiler, one process at a time, for a handful of numbers.
Op.python_constant_folding = _folds_in_python


class TorchMode(Mode):
    """A compilation mode that runs on PyTorch; see :func:`cnnviz.engine.mode`."""

    def function_maker(
        self, inputs: Sequence[Any], outputs: Any, mode: TorchMode | None = None, **options: Any
    ) -> _Maker:
        """Called by ``theano.function``."""
        return _Maker(inputs, outputs, mode, **options)


class _Maker(FunctionMaker):
    """Moves shared variables to the device before the function is made."""

    def create(self, input_storage: Sequence[Any] | None = None, *args: Any, **options: Any) -> Any:
        if self.linker.resident:
            for value in input_storage or ():
                container = getattr(value, "container", value)
                if isinstance(container, Container):
                    adopt(container, self.linker.device)
        return super().create(input_storage, *args, **options)


class TorchLinker(LocalLinker):
    """Runs the nodes of a graph by PyTorch, on one device.

    Parameters
    ----------
    device : torch.device
    check : bool
        After every node, compare what it gave with the type that Theano
        announced; slow, for tests.
    resident : bool, optional
        Whether shared variables hold tensors; the default is true on every
        device but the CPU.
    """

    def __init__(self, device: Any, check: bool = False, resident: bool | None = None) -> None:
        self.device = device
        self.check = check
        self.resident = device.type != "cpu" if resident is None else resident
        self.allow_gc = True
        self.fgraph: Any = None
        self.updates: Any = {}

    def accept(
        self,
        fgraph: FunctionGraph,
        no_recycling: set[Any] | set[Variable] | None = None,
        profile: bool | None = None,
    ) -> TorchLinker:
        """A linker for this graph."""
        linker = type(self)(self.device, self.check, self.resident)
        linker.fgraph = fgraph
        return linker

    def accept_var_updates(self, updates: Any) -> None:
        """Input variables and the outputs that they become after a call."""
        self.updates = updates

    def make_all(
        self,
        input_storage: Sequence[Sequence[int | np.ndarray | torch.Tensor | None]] | None = None,
        output_storage: Any = None,
        storage_map: Mapping[Any, Any] | None = None,
    ) -> tuple[Program, list[Any], list[Any], list[Any], list[Apply]]:
        """The program, and containers of its inputs and outputs."""
        inputs, outputs = self.fgraph.inputs, self.fgraph.outputs
        input_storage = input_storage or [[None] for _ in inputs]
        output_storage = output_storage or [[None] for _ in outputs]
        program = Program(
            self.fgraph, self.updates, input_storage, output_storage, self.device, self.check
        )
        return (
            program,
            [self._container(*pair) for pair in zip(inputs, input_storage)],
            [
                Container(variable, cell, readonly=True)
                for variable, cell in zip(outputs, output_storage)
            ],
            [],
            program.nodes,
        )

    def _container(self, variable: Any, cell: Any):
        if isinstance(cell[0], torch.Tensor):
            container = DeviceContainer(variable, cell)
            container.device = self.device
            return container
        if cell[0] is None:
            return InputContainer(variable, cell)
        return Container(variable, cell)
