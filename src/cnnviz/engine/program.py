"""A graph as a straight-line program of PyTorch calls.

The nodes are put in order, it is decided where every value lives and when
it dies, and the program is written as Python source, one line a node::

    v12 = AbstractConv2d_12(v10, i1); del v10
    v13 = add_13(v12, v11); del v12, v11

It is compiled once and is there to be read: ``f.fn.source`` of a compiled
function ``f``.
"""

from __future__ import annotations

import itertools
import linecache
import re
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from theano import scalar
from theano.gof.graph import Constant
from theano.gof.link import raise_with_op
from theano.tensor import TensorType
from theano.tensor.elemwise import Elemwise

from cnnviz.engine import host
from cnnviz.engine.elementwise import operand_dtype
from cnnviz.engine.order import channels_last_inputs, ordered
from cnnviz.engine.registry import UnsupportedOp, implementation_of, torch_dtype
from cnnviz.engine.storage import (
    argument_reader,
    check_tensor,
    host_reader,
    reader,
    to_array,
    to_tensor,
    writer,
)

if TYPE_CHECKING:
    from theano.gof import Apply, FunctionGraph, Variable

    from cnnviz.engine.registry import Implementation

__all__ = ["Program"]

_serial = itertools.count(1)


def _check(value: torch.Tensor, kind) -> None:
    check_tensor(value, kind, "what the node gave")


def _title(op) -> str:
    """Name of an Op in the program."""
    op = getattr(op, "scalar_op", op)
    name = getattr(op, "name", None) or type(op).__name__
    return re.sub(r"\W", "_", name)


class Program:
    """A compiled graph: call it to run.

    Attributes
    ----------
    source : str
        The program.
    nodes : list
        Apply nodes in the order in which they run.
    """

    need_update_inputs = False  # the program stores its updates itself
    allow_gc = True  # and keeps nothing between calls

    def __init__(
        self,
        fgraph: FunctionGraph,
        updates: Mapping[Variable, Variable],
        cells: Sequence[Sequence[int | np.ndarray | torch.Tensor | None]],
        results: Sequence[list[Any]],
        device: torch.device,
        check: bool = False,
    ) -> None:
        self.device = device
        self.storage_map = {}  # wanted by Function.copy and Function.free
        self.nodes = ordered(fgraph, updates)
        self._fgraph, self._updates, self._checked = fgraph, updates, check
        self._results = results
        self._names = {}  # variable -> name in the program
        self._host = set()  # variables held as Python numbers or tuples
        self._root = {}  # variable -> the one whose memory it may use
        self._views = set()  # variables that only look at others' memory
        self._globals = {}
        self._lines = ["def program():"]
        self._node_of_line = {}
        self._find_last_uses()
        self._emit_inputs(cells)
        for index, node in enumerate(self.nodes):
            self._emit_node(index, node)
        self._emit_results(cells)
        self._compile()

    def __call__(self, output_subset: Any = None) -> list[np.ndarray | None]:
        try:
            with torch.inference_mode():
                values = self._run()
        except Exception as error:
            self._explain(error)
            raise
        # Where some of Theano's own code looks for them.
        for cell, value in zip(self._results, values):
            cell[0] = value
        return values

    def _explain(self, error) -> None:
        """Raise an error anew with the node that it comes of, where that can be told.

        Reading arguments and storing results belong to no node, and Theano's way of
        telling more may fail itself; the error must not be lost for that.
        """
        node = self._failed_node(error.__traceback__)
        if node is None:
            return
        try:
            raise_with_op(node, exc_info=(type(error), error, error.__traceback__))
        except Exception as told:
            if type(told) is type(error) and str(error) in str(told):
                raise told from None

    def _failed_node(self, trace) -> Apply | None:
        while trace is not None:
            if trace.tb_frame.f_code is self._run.__code__:
                return self._node_of_line.get(trace.tb_lineno)
            trace = trace.tb_next
        return None

    def _compile(self) -> None:
        self.source = "\n".join(self._lines) + "\n"
        name = f"<cnnviz.engine program {next(_serial)}>"
        exec(compile(self.source, name, "exec"), self._globals)
        self._run = self._globals["program"]
        # Tracebacks show the program's lines.
        linecache.cache[name] = (len(self.source), None, self.source.splitlines(True), name)
        weakref.finalize(self, linecache.cache.pop, name, None)

    # Names and lines

    def _bind(self, name: str, thing) -> str:
        """Name of a global that holds a thing."""
        while name in self._globals and self._globals[name] is not thing:
            name = f"{name}_{len(self._globals)}"
        self._globals[name] = thing
        return name

    def _line(self, text: str, node: Apply | None = None) -> None:
        self._lines.append("    " + text)
        self._node_of_line[len(self._lines)] = node

    # Life and death of values

    def _find_last_uses(self) -> None:
        self._last_use = {
            variable: index for index, node in enumerate(self.nodes) for variable in node.inputs
        }
        self._last_use.update(dict.fromkeys(self._fgraph.outputs, len(self.nodes)))
        # The new value may go where the old one was.
        self._place = {
            old: self.nodes.index(new.owner)
            for old, new in self._updates.items()
            if new.owner is not None
        }

    def _is_free(self, variable: Variable, index: int) -> bool:
        """Whether node ``index`` may write where a variable lies: nothing
        that shares the memory is read there or later, but the variable
        itself by that node, element for element."""
        root = self._root[variable]
        return all(
            self._last_use.get(each, -1) < index + (each is variable)
            for each, other in self._root.items()
            if other is root
        )

    def _may_overwrite(self, index: int, node: Apply, position: Any) -> bool:
        """Whether node ``index`` may write its result over an input."""
        variable, output = node.inputs[position], node.outputs[0]
        if variable not in self._root or variable in self._views or variable.type != output.type:
            return False
        root = self._root[variable]
        return root.owner is not None and self._is_free(variable, index)

    def _overwritten(self, index: int, node: Apply, writes: Any) -> int | None:
        """Position of the input whose memory the result takes, or None."""
        positions = range(len(node.inputs)) if writes == "any" else writes
        return next(
            (position for position in positions if self._may_overwrite(index, node, position)), None
        )

    def _updated(self, index: int, node: Apply) -> Variable | None:
        """The shared variable over whose old value the node may write its
        new one, or None."""
        output = node.outputs[0]
        for old, new in self._updates.items():
            if (
                new is output
                and len(node.outputs) == 1
                and old in self._root
                and old.type == new.type
                and self._is_free(old, index)
            ):
                return old
        return None

    # Inputs

    def _emit_inputs(
        self, cells: Sequence[Sequence[int | np.ndarray | torch.Tensor | None]]
    ) -> None:
        channels_last = channels_last_inputs(self._fgraph)
        for index, (variable, cell) in enumerate(zip(self._fgraph.inputs, cells)):
            if not variable.clients:
                continue
            if not isinstance(variable.type, (TensorType, scalar.Scalar)):
                raise UnsupportedOp(
                    f"the input {variable} is of Theano's type {variable.type}; "
                    "the torch engine takes tensors only (for random numbers "
                    "use theano.sandbox.rng_mrg.MRG_RandomStreams)"
                )
            torch_dtype(variable.type.dtype, f"the input {variable}")
            written = variable in self._updates
            if (
                host.is_host_input(variable)
                and not written
                and not isinstance(cell[0], torch.Tensor)
            ):
                self._host.add(variable)
                read = host_reader(cell)
            else:
                self._root[variable] = variable
                read = (
                    argument_reader(cell, self.device)
                    if cell[0] is None
                    else reader(cell, self.device, written, variable in channels_last)
                )
            name = self._names[variable] = f"i{index}"
            label = " ".join(f"{variable}: {variable.type}".split())
            self._line(f"{name} = {self._bind(f'read_{name}', read)}()  # {label}")

    # Nodes

    def _emit_node(self, index: int, node: Apply) -> None:
        run = self._host_node if host.runs_on_host(node, self._host) else self._device_node
        text = run(index, node)
        for variable in node.outputs:
            self._names[variable] = f"v{len(self._names)}"
        targets = ", ".join(self._names[variable] for variable in node.outputs)
        dead = [
            self._names[variable]
            for variable in dict.fromkeys(node.inputs)
            if self._last_use[variable] == index
            and variable in self._names
            and self._place.get(variable, -1) <= index
        ]
        dead += [
            self._names[variable] for variable in node.outputs if variable not in self._last_use
        ]
        self._line(f"{targets} = {text}" + (f"; del {', '.join(dead)}" if dead else ""), node)
        if self._checked:
            for variable in node.outputs:
                if variable in self._last_use and variable not in self._host:
                    kind = self._bind("type", variable.type)
                    self._line(
                        f"{self._bind('check', _check)}({self._names[variable]}, {kind})", node
                    )

    def _host_node(self, index: int, node: Apply) -> str:
        self._host.update(node.outputs)
        if host.is_shape_query(node):
            (value,) = node.inputs
            shape = (
                f"{self._bind('shape', np.shape)}({self._names[value]})"
                if value in self._host
                else f"{self._tensor(node, 0)}.shape"
            )
            part = getattr(node.op, "i", None)
            return f"tuple({shape})" if part is None else f"{shape}[{part}]"
        name = self._bind(f"{_title(node.op)}_{index}", host.host_function(node))
        arguments = [self._number(variable) for variable in node.inputs]
        return f"{name}({', '.join(arguments)})"

    def _device_node(self, index: int, node: Apply) -> str:
        implementation = implementation_of(node)
        for variable in node.outputs:
            torch_dtype(variable.type.dtype, f"the result of {node}")
        numbers = implementation.host_positions(len(node.inputs))
        arguments = [
            self._number(variable) if position in numbers else self._tensor(node, position)
            for position, variable in enumerate(node.inputs)
        ]
        for variable in node.outputs:
            self._root[variable] = variable
        if implementation.creates:
            run = implementation.build(node, self.device)
        elif implementation.writes:
            run, extra = self._writing(index, node, implementation)
            arguments += extra
        else:
            run = implementation.build(node)
        if implementation.view:
            self._note_view(node)
        return f"{self._bind(f'{_title(node.op)}_{index}', run)}({', '.join(arguments)})"

    def _writing(
        self, index: int, node: Apply, implementation: Implementation
    ) -> tuple[Callable[..., Any], list[str]]:
        """Function of a node that may take memory over, and where to."""
        old = self._updated(index, node) if implementation.writes == "any" else None
        if old is not None:
            self._root[node.outputs[0]] = old
            return implementation.build(node, None), [f"out={self._names[old]}"]
        target = self._overwritten(index, node, implementation.writes)
        if target is not None:
            self._root[node.outputs[0]] = self._root[node.inputs[target]]
        return implementation.build(node, target), []

    def _note_view(self, node: Apply) -> None:
        """The results share memory with the first tensor among the inputs."""
        for source in node.inputs:
            if source in self._root or isinstance(source, Constant):
                for variable in node.outputs:
                    self._root[variable] = self._root.get(source, source)
                self._views.update(node.outputs)
                return

    def _number(self, variable: Variable) -> str:
        """Expression for a value as Python number, tuple, or None."""
        if not isinstance(variable, Constant):
            name = self._names[variable]
            return (
                name if variable in self._host else f"{self._bind('as_host', host.as_host)}({name})"
            )
        if not isinstance(variable.type, (TensorType, scalar.Scalar)):
            return self._bind("constant", variable.data)
        value = host.plain(variable.data)
        return self._bind("constant", value) if isinstance(value, float) else repr(value)

    def _tensor(self, node: Apply, position: int) -> str:
        """Expression for an input of a node as tensor."""
        variable = node.inputs[position]
        # A kernel takes a zero-dimensional tensor on the CPU as a number.
        elementwise = isinstance(node.op, (Elemwise, scalar.ScalarOp))
        if isinstance(variable, Constant):
            if not isinstance(variable.type, (TensorType, scalar.Scalar)):
                return self._bind("constant", variable.data)
            data = np.asarray(variable.data)
            torch_dtype(str(data.dtype), f"the constant {variable}")
            if elementwise and data.size == 1:
                return self._bind(
                    "constant", torch.tensor(data.item(), dtype=operand_dtype(node, position))
                )
            return self._bind("constant", to_tensor(data.copy(), self.device))
        name = self._names[variable]
        if variable not in self._host:
            return name
        alone = elementwise and all(
            input_ in self._host or isinstance(input_, Constant) for input_ in node.inputs
        )
        dtype = operand_dtype(node, position) if elementwise else torch_dtype(variable.type.dtype)
        where = "" if elementwise and not alone else f", device={self._bind('device', self.device)}"
        return (
            f"{self._bind('tensor', torch.tensor)}({name}, "
            f"dtype={self._bind('dtype', dtype)}{where})"
        )

    # Results

    def _emit_results(
        self, cells: Sequence[Sequence[int | np.ndarray | torch.Tensor | None]]
    ) -> None:
        count = len(self._fgraph.outputs) - len(self._updates)
        taken = set()  # memory that has got an owner outside
        for old, new in self._updates.items():
            if self._root.get(new) is old and new not in self._views:
                continue  # written in place
            store = writer(cells[self._fgraph.inputs.index(old)], self.device)
            self._line(f"{self._bind('store', store)}({self._owned(new, taken)})")
        results = [self._array(variable, taken) for variable in self._fgraph.outputs[:count]]
        self._line(f"return [{', '.join(results + ['None'] * len(self._updates))}]")

    def _owned(self, variable: Variable, taken: set[Any] | set[Variable]) -> str:
        """Expression for a tensor whose memory nobody else has."""
        if isinstance(variable, Constant) or variable in self._host:
            return f"{self._bind('fresh', self._fresh(variable))}({self._number(variable)})"
        root = self._root[variable]
        name = self._names[variable]
        if root.owner is None or root in taken or variable in self._views:
            return f"{name}.clone()"
        taken.add(root)
        return name

    def _fresh(self, variable: Variable) -> Callable[..., Any]:
        dtype = torch_dtype(variable.type.dtype, f"the result {variable}")
        device = self.device
        return lambda value: torch.tensor(value, dtype=dtype, device=device)

    def _array(self, variable: Variable, taken: set[Any] | set[Variable]) -> str:
        return f"{self._bind('to_array', to_array)}({self._owned(variable, taken)})"
