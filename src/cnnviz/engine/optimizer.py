"""Which of Theano's graph optimizations run, and this engine's own.

Theano's canonicalization, stabilization and specialization stay.  What
prepares a graph for Theano's C code goes: BLAS calls, fused loops,
convolution as matrix product, in-place variants (the engine decides itself
what may be overwritten).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from theano import gof, scalar
from theano.gof.graph import Constant
from theano.gof.optdb import Query
from theano.tensor.elemwise import Elemwise
from theano.tensor.opt import in2out

from cnnviz.engine.elementwise import LeakyRectify, LeakyRectifySlope

if TYPE_CHECKING:
    from theano.gof import Apply, Variable

__all__ = ["query", "rectifiers"]

_EXCLUDED = (
    "inplace",
    "fusion",
    "BlasOpt",
    "specialize_device",
    "AbstractConvCheck",
    "scan_eqopt1",
    "scan_eqopt2",
    "scan_make_inplace",
)


def query() -> Any:
    """Theano's fast-run optimizations, less those for C code, and ours."""
    return Query(include=["fast_run"], exclude=_EXCLUDED).register(
        (in2out(rectifiers, name="rectifiers"), 48.9)
    )


def _applied(variable: Variable, kind) -> list[Variable] | None:
    """Inputs of the element-wise node of that kind behind a variable."""
    node = variable.owner
    if node is not None and isinstance(node.op, Elemwise) and type(node.op.scalar_op) is kind:
        return node.inputs
    return None


def _number(variable: Variable) -> float | None:
    """Value of a constant with one element, else None."""
    if isinstance(variable, Constant) and np.size(variable.data) == 1:
        return float(np.asarray(variable.data).item())
    return None


def _product(variable: Variable) -> tuple[float, list[Variable]]:
    """A variable as a coefficient and a list of factors."""
    coefficient, factors = 1.0, []
    for factor in _applied(variable, scalar.Mul) or [variable]:
        number = _number(factor)
        if number is None:
            factors.append(factor)
        else:
            coefficient *= number
    return coefficient, factors


def _same(first: Sequence[Variable], second: Sequence[Variable]) -> bool:
    return len(first) == len(second) and set(first) == set(second)


def _without(factors: Sequence[Variable], gone: Variable) -> list[Variable]:
    rest = list(factors)
    rest.remove(gone)
    return rest


def _argument(factors: Sequence[Variable], kind, others: Sequence[Variable]) -> Variable | None:
    """x, where the factors are ``kind(x)`` and the others."""
    for factor in factors:
        inside = _applied(factor, kind)
        if inside and _same(_without(factors, factor), others):
            return inside[0]
    return None


def _times(factors: Sequence[Variable], variable: Variable) -> Variable:
    """Product with the broadcasting of its factors."""
    for factor in factors:
        variable = variable * factor
    return variable


def _is_one(number: float) -> bool:
    return abs(number - 1) < 1e-6


def _rectifier(terms: Sequence[tuple[float, Sequence[Any]]]) -> Variable | None:
    """``a x + b |x|`` and ``a g + b g sgn(x)``, with a + b = 1."""
    for (a, plain), (b, other) in (terms, terms[::-1]):
        if not _is_one(a + b):
            continue
        if len(plain) == len(other) == 1:
            inside = _applied(other[0], scalar.Abs)
            if inside and inside[0] is plain[0]:
                return Elemwise(LeakyRectify(a - b))(inside[0])
        x = _argument(other, scalar.Sgn, plain)
        if x is not None:
            return _times(plain, Elemwise(LeakyRectifySlope(a - b))(x))
    return None


def _halved_sum(factors: Sequence[Variable]) -> Variable | None:
    """Among factors with coefficient one half: ``x + |x|`` and
    ``g + g sgn(x)``, which are twice a rectifier."""
    for factor in factors:
        terms = _applied(factor, scalar.Add)
        if terms and len(terms) == 2:
            halves = [(coefficient / 2, inside) for coefficient, inside in map(_product, terms)]
            rectified = _rectifier(halves)
            if rectified is not None:
                return _times(_without(factors, factor), rectified)
    return None


@gof.local_optimizer([Elemwise])
def rectifiers(node: Apply) -> list[Variable] | None:
    """Rectifiers and their derivatives, written as sums, become one Op each.

    ``theano.tensor.nnet.relu`` is ``a x + b |x|`` and its gradient
    ``a g + b g sgn(x)``; each is five passes over memory, and one or three
    when told what it is.
    """
    if not isinstance(node.op, Elemwise):
        return None
    output, kind = node.outputs[0], type(node.op.scalar_op)
    if np.dtype(output.dtype).kind != "f":
        return None
    if kind is scalar.Add and len(node.inputs) == 2:
        rectified = _rectifier([_product(input_) for input_ in node.inputs])
    elif kind is scalar.Mul:
        coefficient, factors = _product(output)
        rectified = _halved_sum(factors) if _is_one(2 * coefficient) else None
    else:
        return None
    return [rectified] if rectified is not None and rectified.type == output.type else None
