"""Element-wise Ops: Theano's scalar Ops, applied to tensors.

Theano settles every dtype when the graph is built, and PyTorch by its own
rules when a kernel is called, which differ (int64 times float32 is float64
to Theano).  So operands are cast before each kernel, to the dtype in which
Theano computes, and the result has the dtype that Theano announced.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from theano import scalar
from theano.gof.graph import Constant
from theano.scalar import basic_scipy
from theano.tensor.elemwise import Elemwise, MulWithoutZeros
from theano.tensor.nnet import nnet, sigm

from cnnviz.engine.registry import WIDE_UNSIGNED, UnsupportedOp, implements, torch_dtype

if TYPE_CHECKING:
    from theano.gof import Apply

__all__ = ["LeakyRectify", "LeakyRectifySlope", "operand_dtype", "scalar_function"]


class LeakyRectify(scalar.UnaryScalarOp):
    """``x`` where it is positive and ``leakiness * x`` elsewhere.

    The optimizer of this engine puts it where a graph says the same by sums
    and absolute values, as Theano's ``nnet.relu`` does.
    """

    __props__ = ("leakiness",)

    def __init__(self, leakiness: float, name: Any = None) -> None:
        super().__init__(scalar.same_out, name=name)
        self.leakiness = leakiness

    def impl(self, x: Any) -> Any:
        return x if x > 0 else x * type(x)(self.leakiness)

    def c_code(self, *arguments: Any) -> None:
        raise NotImplementedError("runs on the torch engine only")


class LeakyRectifySlope(LeakyRectify):
    """Derivative of :class:`LeakyRectify` as Theano defines it: at zero the
    mean of both sides."""

    def impl(self, x: Any) -> Any:
        mean, half = self.coefficients()
        return type(x)(mean + half * np.sign(x))

    def coefficients(self) -> tuple[float, float]:
        """a and b of ``a + b * sign(x)``."""
        return (1 + self.leakiness) / 2, (1 - self.leakiness) / 2


def _n_ary(function):
    """Sum and product of any number of terms."""

    def run(first, *others, out=None):
        if not others:
            return first.clone() if out is None else out
        for term in others[:-1]:
            first = function(first, term)
        return function(first, others[-1], out=out)

    return run


def _into(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function without ``out``, given one."""

    def run(*operands, out=None):
        result = function(*operands)
        return result if out is None else out.copy_(result)

    return run


def _switch(
    condition: torch.Tensor,
    positive: torch.Tensor,
    negative: torch.Tensor,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    return torch.where(condition, positive, negative, out=out)


def _clip(
    value: torch.Tensor, low: torch.Tensor, high: torch.Tensor, out: torch.Tensor | None = None
) -> torch.Tensor:
    # The lower end goes first where the ends are the wrong way round.
    return torch.where(value < low, low, torch.minimum(value, high), out=out)


def _second(shape: Any, value: torch.Tensor, out=None) -> torch.Tensor:
    shape = torch.broadcast_shapes(shape.shape, value.shape)
    return value.expand(shape).clone() if out is None else out.copy_(value)


def _softplus(value: torch.Tensor) -> torch.Tensor:
    # Theano's own: beyond 30 the function is the identity to every digit.
    return torch.nn.functional.softplus(value, threshold=30)


def _round_half_away(value: torch.Tensor) -> torch.Tensor:
    return torch.copysign(torch.floor(torch.abs(value) + 0.5), value)


def _leaky_rectify(operation: LeakyRectify) -> Callable[..., Any]:
    slope = operation.leakiness
    if slope == 0:
        return lambda value, out=None: torch.clamp_min(value, 0, out=out)
    kernel = torch.ops.aten.leaky_relu
    return lambda value, out=None: (
        kernel(value, slope) if out is None else kernel.out(value, slope, out=out)
    )


def _leaky_rectify_slope(operation: LeakyRectifySlope) -> Callable[..., Any]:
    mean, half = operation.coefficients()

    def run(value, out=None):
        sign = torch.sign(value, out=out)
        return sign.mul_(half).add_(mean)

    return run


def _in_range(operation, dtype: torch.dtype) -> Callable[..., Any]:
    above = torch.gt if operation.openlow else torch.ge
    below = torch.lt if operation.openhi else torch.le
    return _into(lambda value, low, high: (above(value, low) & below(value, high)).to(dtype))


def _ultra_fast_sigmoid(value: torch.Tensor) -> torch.Tensor:
    # Definition in theano.tensor.nnet.sigm.
    half = 0.5 * value
    size = torch.abs(half)
    far = torch.where(
        size < 3,
        0.935409070603099 + 0.0458812946797165 * (size - 1.7),
        torch.full_like(size, 0.99505475368673),
    )
    near = 1.5 * size / (1 + size)
    return 0.5 * (torch.where(size < 1.7, near, far) * torch.sign(half) + 1)


# Ops that compute in the dtype of their result.
_IN_RESULT_DTYPE = {
    scalar.Add: _n_ary(torch.add),
    scalar.Mul: _n_ary(torch.mul),
    scalar.Sub: torch.sub,
    scalar.TrueDiv: torch.div,
    scalar.IntDiv: functools.partial(torch.div, rounding_mode="floor"),
    scalar.Mod: torch.remainder,
    scalar.Pow: torch.pow,
    scalar.Maximum: torch.maximum,
    scalar.Minimum: torch.minimum,
    scalar.Clip: _clip,
    scalar.Second: _second,
    scalar.Identity: _into(torch.clone),
    scalar.Abs: torch.abs,
    scalar.Sgn: torch.sign,
    scalar.Neg: torch.neg,
    scalar.Inv: torch.reciprocal,
    scalar.Sqr: torch.square,
    scalar.Sqrt: torch.sqrt,
    scalar.Exp: torch.exp,
    scalar.Exp2: torch.exp2,
    scalar.Expm1: torch.expm1,
    scalar.Log: torch.log,
    scalar.Log2: torch.log2,
    scalar.Log10: torch.log10,
    scalar.Log1p: torch.log1p,
    scalar.Ceil: torch.ceil,
    scalar.Floor: torch.floor,
    scalar.Trunc: torch.trunc,
    scalar.RoundHalfToEven: torch.round,
    scalar.RoundHalfAwayFromZero: _into(_round_half_away),
    scalar.Deg2Rad: torch.deg2rad,
    scalar.Rad2Deg: torch.rad2deg,
    scalar.Sin: torch.sin,
    scalar.Cos: torch.cos,
    scalar.Tan: torch.tan,
    scalar.ArcSin: torch.asin,
    scalar.ArcCos: torch.acos,
    scalar.ArcTan: torch.atan,
    scalar.ArcTan2: torch.atan2,
    scalar.Sinh: torch.sinh,
    scalar.Cosh: torch.cosh,
    scalar.Tanh: torch.tanh,
    scalar.ArcSinh: torch.asinh,
    scalar.ArcCosh: torch.acosh,
    scalar.ArcTanh: torch.atanh,
    basic_scipy.Erf: torch.erf,
    basic_scipy.Erfc: torch.erfc,
    basic_scipy.Erfinv: torch.erfinv,
    basic_scipy.GammaLn: torch.lgamma,
    basic_scipy.Psi: torch.digamma,
    basic_scipy.TriGamma: _into(functools.partial(torch.polygamma, 1)),
    sigm.ScalarSigmoid: torch.sigmoid,
    sigm.ScalarSoftplus: _into(_softplus),
    sigm.UltraFastScalarSigmoid: _into(_ultra_fast_sigmoid),
    nnet.ScalarSoftsign: _into(torch.nn.functional.softsign),
    scalar.Invert: torch.bitwise_not,
    scalar.AND: torch.bitwise_and,
    scalar.OR: torch.bitwise_or,
    scalar.XOR: torch.bitwise_xor,
    MulWithoutZeros: _into(lambda a, b: torch.where(a == 0, b, torch.where(b == 0, a, a * b))),
}
# Ops that compute in the common dtype of their operands, and give truth.
_IN_COMMON_DTYPE = {
    scalar.LT: torch.lt,
    scalar.GT: torch.gt,
    scalar.LE: torch.le,
    scalar.GE: torch.ge,
    scalar.EQ: torch.eq,
    scalar.NEQ: torch.ne,
    scalar.IsNan: _into(torch.isnan),
    scalar.IsInf: _into(torch.isinf),
}
# Ops with properties: from the scalar Op to a function.
_BUILT = {LeakyRectify: _leaky_rectify, LeakyRectifySlope: _leaky_rectify_slope}
# Rounding leaves integers alone in PyTorch, and Theano announces floats.
_CHANGES_KIND = (scalar.Ceil, scalar.Floor, scalar.Trunc)


def _scalar_op(node: Apply):
    return getattr(node.op, "scalar_op", node.op)


def operand_dtype(node: Apply, position: int) -> torch.dtype:
    """Torch dtype in which an operand of an element-wise node is wanted."""
    operation = _scalar_op(node)
    types = [variable.type.dtype for variable in node.inputs]
    if isinstance(operation, scalar.Cast):
        return torch_dtype(types[position])
    if isinstance(operation, scalar.Switch) and position == 0:
        return torch.bool
    if type(operation) in _IN_COMMON_DTYPE or isinstance(operation, scalar.InRange):
        return torch_dtype(scalar.upcast(*types), f"the comparison {node}")
    if isinstance(operation, scalar.Composite):
        return torch_dtype(types[position])
    dtype = torch_dtype(node.outputs[0].type.dtype, f"the result of {node}")
    if dtype in WIDE_UNSIGNED:
        raise UnsupportedOp(
            f"the node {node} computes with {dtype}, for which PyTorch lacks most "
            "kernels; cast to int64, or compile this function with engine='theano'"
        )
    return dtype


def scalar_function(node: Apply) -> Any:
    """Function ``(*operands, out=None)`` of an element-wise node.

    Raises
    ------
    UnsupportedOp
        Naming the scalar Op and the node.
    """
    operation = _scalar_op(node)
    kind = type(operation)
    if kind in _IN_RESULT_DTYPE:
        return _IN_RESULT_DTYPE[kind]
    if kind in _IN_COMMON_DTYPE:
        return _IN_COMMON_DTYPE[kind]
    if kind in _BUILT:
        return _BUILT[kind](operation)
    if kind is scalar.Switch:
        return _switch
    if kind is scalar.InRange:
        return _in_range(operation, torch_dtype(node.outputs[0].type.dtype))
    if isinstance(operation, scalar.Cast):
        dtype = torch_dtype(node.outputs[0].type.dtype)
        return _into(lambda value: value.to(dtype, copy=True))
    if isinstance(operation, scalar.Composite):
        return _composite(operation)
    raise UnsupportedOp(
        f"the torch engine has no implementation of the scalar Op {operation} "
        f"(class {kind.__module__}.{kind.__name__}), which the node {node} needs. "
        "Add one (docs/engine.md says how), or compile this function with "
        "engine='theano'"
    )


def _composite(operation) -> Callable[..., Any]:
    """A composite's graph, walked node by node."""
    graph = operation.fgraph
    steps = [(each, _with_casts(each, scalar_function(each))) for each in graph.toposort()]

    def run(*operands):
        values = dict(zip(graph.inputs, operands))

        def value_of(variable):
            if isinstance(variable, Constant):
                return torch.tensor(variable.data, dtype=torch_dtype(variable.type.dtype))
            return values[variable]

        for each, step in steps:
            values[each.outputs[0]] = step(*map(value_of, each.inputs))
        results = [value_of(variable) for variable in graph.outputs]
        return results[0].clone() if len(results) == 1 else [r.clone() for r in results]

    return _into(run) if len(graph.outputs) == 1 else run


def _with_casts(node: Apply, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, its operands cast where they need it."""
    dtypes = [
        None
        if isinstance(variable, Constant)
        and not isinstance(node.op, scalar.ScalarOp)
        or torch_dtype(variable.type.dtype) is operand_dtype(node, position)
        else operand_dtype(node, position)
        for position, variable in enumerate(node.inputs)
    ]
    if not any(dtypes):
        return function

    def run(*operands, **options):
        return function(
            *[
                operand if dtype is None else operand.to(dtype)
                for operand, dtype in zip(operands, dtypes)
            ],
            **options,
        )

    return run


@implements(Elemwise, scalar.ScalarOp, writes="any")
def elementwise(node: Apply, target: int | None) -> Callable[..., Any]:
    """Element-wise Op; writes over the operand ``target`` if there is one."""
    if len(node.outputs) > 1:
        target = None
    function = _with_casts(node, scalar_function(node))
    if target is None:
        return function
    if len(node.inputs) == 1:
        return lambda value: function(value, out=value)
    if len(node.inputs) == 2 and target == 0:
        return lambda first, second: function(first, second, out=first)
    return lambda *operands: function(*operands, out=operands[target])
