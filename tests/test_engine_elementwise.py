"""Element-wise Ops of the torch engine against Theano's definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from theano import scalar
from theano.scalar import basic_scipy
from theano.tensor.elemwise import Elemwise, MulWithoutZeros
from theano.tensor.nnet import nnet, sigm

from cnnviz.runtime.backend import T, theano

pytest.importorskip("torch")

from engine_parity import assert_close, compare, compare_with_gradient, compiled  # noqa: E402

from cnnviz.engine import elementwise  # noqa: E402

FLOATS = ("float32", "float64")
INTEGERS = ("int8", "int32", "int64")
EXAMPLES = settings(max_examples=8)


def array(rng, shape, dtype, low, high):
    if np.dtype(dtype).kind == "f":
        return rng.uniform(low, high, shape).astype(dtype)
    return rng.randint(int(np.floor(low)), int(np.ceil(high)) + 1, shape).astype(dtype)


# Scalar Op, its domain; tan and the like away from poles.
SMOOTH = [
    (scalar.exp, -3, 3),
    (scalar.exp2, -3, 3),
    (scalar.expm1, -3, 3),
    (scalar.log, 0.1, 5),
    (scalar.log2, 0.1, 5),
    (scalar.log10, 0.1, 5),
    (scalar.log1p, -0.9, 5),
    (scalar.sqr, -5, 5),
    (scalar.sqrt, 0.1, 5),
    (scalar.sin, -9, 9),
    (scalar.cos, -9, 9),
    (scalar.tan, -1.4, 1.4),
    (scalar.arcsin, -0.9, 0.9),
    (scalar.arccos, -0.9, 0.9),
    (scalar.arctan, -9, 9),
    (scalar.sinh, -3, 3),
    (scalar.cosh, -3, 3),
    (scalar.tanh, -3, 3),
    (scalar.arcsinh, -3, 3),
    (scalar.arccosh, 1.1, 5),
    (scalar.arctanh, -0.9, 0.9),
    (scalar.deg2rad, -360, 360),
    (scalar.rad2deg, -7, 7),
    (scalar.neg, -5, 5),
    (scalar.inv, 0.2, 5),
    (scalar.abs_, -5, 5),
    (scalar.sgn, -5, 5),
    (scalar.identity, -5, 5),
    (basic_scipy.erf, -3, 3),
    (basic_scipy.erfc, -3, 3),
    (basic_scipy.erfinv, -0.9, 0.9),
    (basic_scipy.gammaln, 0.5, 5),
    (sigm.scalar_sigmoid, -9, 9),
    (sigm.scalar_softplus, -9, 9),
    (nnet.scalar_softsign, -9, 9),
]
# These have no gradient in Theano, or a zero one.
STEPS = [
    (scalar.ceil, -5, 5),
    (scalar.floor, -5, 5),
    (scalar.trunc, -5, 5),
    (scalar.round_half_to_even, -5, 5),
    (scalar.round_half_away_from_zero, -5, 5),
    (scalar.isnan, -5, 5),
    (scalar.isinf, -5, 5),
    (sigm.ultra_fast_scalar_sigmoid, -9, 9),
]
BINARY = [
    (scalar.add, -5, 5),
    (scalar.sub, -5, 5),
    (scalar.mul, -5, 5),
    (scalar.true_div, 1, 5),
    (scalar.maximum, -5, 5),
    (scalar.minimum, -5, 5),
    (scalar.pow, 0.5, 3),
    (scalar.arctan2, 0.5, 5),
    (scalar.second, -5, 5),
    (MulWithoutZeros(scalar.upcast_out, name="mul_without_zeros"), -2, 2),
]
COMPARISONS = [scalar.lt, scalar.gt, scalar.le, scalar.ge, scalar.eq, scalar.neq]
BITWISE = [scalar.and_, scalar.or_, scalar.xor]


def name(value):
    return type(value[0] if isinstance(value, tuple) else value).__name__


@pytest.mark.parametrize("case", SMOOTH, ids=name)
@EXAMPLES
@given(
    seed=st.integers(0, 99),
    dtype=st.sampled_from(FLOATS),
    shape=st.sampled_from([(), (1,), (3, 4), (2, 0), (2, 1, 3)]),
)
def test_smooth_functions_and_their_gradients(case, seed, dtype, shape):
    op, low, high = case
    x = T.TensorType(dtype, (False,) * len(shape))("x")
    compare_with_gradient(
        [x], Elemwise(op)(x), [array(np.random.RandomState(seed), shape, dtype, low, high)]
    )


@pytest.mark.parametrize("case", STEPS, ids=name)
@EXAMPLES
@given(seed=st.integers(0, 99), dtype=st.sampled_from(FLOATS))
def test_steps(case, seed, dtype):
    op, low, high = case
    x = T.TensorType(dtype, (False, False))("x")
    values = array(np.random.RandomState(seed), (3, 4), dtype, low, high)
    values[0] = [0.5, -0.5, 1.5, 2.5]
    compare([x], Elemwise(op)(x), [values])


@pytest.mark.parametrize("case", BINARY, ids=name)
@EXAMPLES
@given(seed=st.integers(0, 99), dtypes=st.tuples(*[st.sampled_from(FLOATS)] * 2), row=st.booleans())
def test_two_operands_and_broadcasting(case, seed, dtypes, row):
    op, low, high = case
    rng = np.random.RandomState(seed)
    x = T.TensorType(dtypes[0], (False, False))("x")
    y = T.TensorType(dtypes[1], (row, False))("y")
    values = [
        array(rng, (3, 4), dtypes[0], low, high),
        array(rng, (1 if row else 3, 4), dtypes[1], low, high),
    ]
    output = Elemwise(op)(x, y)
    if isinstance(op, MulWithoutZeros):
        values = [np.round(value) for value in values]
        compare([x, y], output, values)
    else:
        compare_with_gradient([x, y], output, values)


@EXAMPLES
@given(seed=st.integers(0, 99), count=st.integers(1, 5), dtype=st.sampled_from(FLOATS))
def test_sums_and_products_of_many_terms(seed, count, dtype):
    rng = np.random.RandomState(seed)
    variables = [T.TensorType(dtype, (index == 1, False))() for index in range(count)]
    values = [array(rng, (1 if index == 1 else 2, 3), dtype, -2, 2) for index in range(count)]
    for op in (scalar.add, scalar.mul):
        if count > 1:
            compare_with_gradient(variables, Elemwise(op)(*variables), values)


@pytest.mark.parametrize("op", [scalar.int_div, scalar.mod], ids=name)
@pytest.mark.parametrize("dtype", INTEGERS + FLOATS)
def test_division_rounds_down(op, dtype):
    """Also for negative operands, as in Python and not as in C."""
    x, y = (T.TensorType(dtype, (False,))() for _ in range(2))
    values = [np.array([7, -7, 7, -7, 6, 0], dtype), np.array([2, 2, -2, -2, 3, 5], dtype)]
    (found,) = compare([x, y], Elemwise(op)(x, y), values)
    expected = values[0] // values[1] if op is scalar.int_div else values[0] % values[1]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "op",
    [scalar.add, scalar.mul, scalar.sub, scalar.maximum, scalar.minimum, scalar.true_div],
    ids=name,
)
@EXAMPLES
@given(dtypes=st.tuples(*[st.sampled_from(INTEGERS + FLOATS)] * 2), seed=st.integers(0, 99))
def test_mixed_dtypes_become_what_theano_announces(op, dtypes, seed):
    rng = np.random.RandomState(seed)
    x, y = (T.TensorType(dtype, (False,))() for dtype in dtypes)
    compare([x, y], Elemwise(op)(x, y), [array(rng, 5, dtype, 1, 9) for dtype in dtypes])


def test_dtypes_where_pytorch_differs():
    """int64 and float32 make float64 in Theano, float32 in PyTorch."""
    x, n = T.fvector(), T.lvector()
    values = [np.array([0.1, 0.2], "float32"), np.array([3, 2**40 + 1])]
    assert compare([x, n], x * n, values)[0].dtype == np.float64
    double = T.constant(np.float64(0.1))
    assert compare([x], x + double, values[:1])[0].dtype == np.float64
    # Theano divides integers in floatX, exact or not.
    assert compare([n], n / 2, [np.array([3, 5])])[0].dtype == np.float32
    # Rounding integers makes them floats in Theano.
    assert compare([n], T.floor(n), values[1:])[0].dtype == np.float64


@pytest.mark.parametrize("op", COMPARISONS, ids=name)
@EXAMPLES
@given(dtypes=st.tuples(*[st.sampled_from(INTEGERS + FLOATS)] * 2), seed=st.integers(0, 99))
def test_comparisons(op, dtypes, seed):
    rng = np.random.RandomState(seed)
    x, y = (T.TensorType(dtype, (False,))() for dtype in dtypes)
    compare([x, y], Elemwise(op)(x, y), [np.round(array(rng, 9, dtype, -2, 2)) for dtype in dtypes])


@pytest.mark.parametrize("op", BITWISE, ids=name)
@pytest.mark.parametrize("dtype", ("bool", *INTEGERS))
def test_bitwise(op, dtype):
    x, y = (T.TensorType(dtype, (False,))() for _ in range(2))
    values = [np.array(v).astype(dtype) for v in ([0, 1, 2, 3, 1], [1, 1, 3, 0, 0])]
    compare([x, y], [Elemwise(op)(x, y), Elemwise(scalar.invert)(x)], values)


@pytest.mark.parametrize("source", ("bool", *INTEGERS, *FLOATS))
@pytest.mark.parametrize("target", ("bool", *INTEGERS, *FLOATS))
def test_casts(source, target):
    x = T.TensorType(source, (False,))()
    compare([x], T.cast(x, target), [np.array([0, 1.7, -1.7, 100]).astype(source)])


@pytest.mark.parametrize("dtype", FLOATS)
def test_switch_and_clip(dtype):
    rng = np.random.RandomState(0)
    x, y = (T.TensorType(dtype, (False, False))() for _ in range(2))
    values = [array(rng, (3, 4), dtype, -2, 2) for _ in range(2)]
    compare_with_gradient([x, y], T.switch(x > 0, x * y, y), values)
    compare_with_gradient([x, y], T.switch(x, y, 3), values)
    compare_with_gradient([x, y], T.clip(x, -0.5, 1), values)
    compare_with_gradient([x, y], T.clip(x, y, 1), values)


@pytest.mark.parametrize("openlow", (False, True))
@pytest.mark.parametrize("openhi", (False, True))
def test_in_range(openlow, openhi):
    x = T.fvector()
    output = Elemwise(scalar.InRange(openlow, openhi))(
        x, T.constant(np.float32(1)), T.constant(np.float32(2))
    )
    compare([x], output, [np.array([0, 1, 1.5, 2, 3], "float32")])


@pytest.mark.parametrize("dtype", FLOATS)
def test_extremes(dtype):
    """Neither overflow nor cancellation far from zero."""
    x = T.TensorType(dtype, (False,))()
    far = np.array([-1000, -100, -30.5, -29.5, -20, 0, 20, 29.5, 30.5, 100, 1000], dtype)
    with np.errstate(over="ignore"):
        compare_with_gradient([x], T.nnet.sigmoid(x), [far])
        compare_with_gradient([x], T.nnet.softplus(x), [far])


def composite(dtype):
    x, y = scalar.get_scalar_type(dtype)("x"), scalar.get_scalar_type(dtype)("y")
    return scalar.Composite([x, y], [scalar.add(scalar.mul(x, y), scalar.sqr(x), 3)])


@pytest.mark.parametrize("dtype", FLOATS)
def test_composite(dtype):
    x, y = (T.TensorType(dtype, (False, False))() for _ in range(2))
    rng = np.random.RandomState(0)
    compare(
        [x, y],
        Elemwise(composite(dtype))(x, y),
        [array(rng, (2, 3), dtype, -2, 2) for _ in range(2)],
    )


def scalars_of(function):
    return [
        node.op.scalar_op
        for node in function.maker.fgraph.apply_nodes
        if isinstance(node.op, Elemwise)
    ]


@pytest.mark.parametrize("leakiness", (0, 0.01, 0.5))
@pytest.mark.parametrize("dtype", FLOATS)
def test_rectifiers_are_found_and_exact_at_zero(leakiness, dtype):
    x = T.TensorType(dtype, (False,))("x")
    g = T.TensorType(dtype, (False,))("g")
    output = T.nnet.relu(x, leakiness)
    gradient = T.grad(T.sum(output * g), x)
    values = [np.array([-2, -1e-3, 0, 0, 1e-3, 2], dtype), np.array([1, 2, 3, -4, 5, 6], dtype)]
    found = compare([x, g], [output, gradient], values)
    # At zero: the mean of both sides.
    np.testing.assert_allclose(found[1][2:4], np.array([3, -4]) * (1 + leakiness) / 2, rtol=1e-6)
    forward, backward = (scalars_of(compiled([x, g], out)) for out in (output, gradient))
    assert [type(op) for op in forward] == [elementwise.LeakyRectify]
    assert elementwise.LeakyRectifySlope in map(type, backward)
    assert not {scalar.Sgn, scalar.Abs} & set(map(type, forward + backward))


@pytest.mark.parametrize(
    "expression",
    [
        lambda x, y: 0.5 * x + 0.4 * abs(x),
        lambda x, y: 0.5 * x + 0.5 * abs(y),
        lambda x, y: 0.5 * (x + abs(y)),
        lambda x, y: x + abs(x),
        lambda x, y: 0.3 * y + 0.7 * y * T.sgn(x) * x,
        lambda x, y: 0.5 * x - 0.5 * abs(x),
    ],
)
def test_what_only_looks_like_a_rectifier(expression):
    x, y = T.fvectors("xy")
    values = [np.array([-2, 0, 3], "float32"), np.array([1, -2, -3], "float32")]
    compare_with_gradient([x, y], expression(x, y), values)


@pytest.mark.parametrize(
    "expression",
    [
        lambda x, y: 0.3 * y + 0.7 * y * T.sgn(x),
        lambda x, y: y * (0.5 + 0.5 * T.sgn(x)),
        lambda x, y: 0.5 * (y + y * T.sgn(x)) * x,
        lambda x, y: 2 * x * 0.5 * (y + abs(y)),
        lambda x, y: 0.75 * x + 0.25 * abs(x),
        lambda x, y: 1.5 * x - 0.5 * abs(x),
    ],
)
def test_what_is_a_rectifier_in_other_words(expression):
    x, y = T.fvectors("xy")
    values = [np.array([-2, 0, 3, 0.5], "float32"), np.array([1, -2, -3, 0], "float32")]
    compare([x, y], expression(x, y), values)


def test_values_that_are_not_finite():
    """NaN spreads as in Theano; three deliberate differences are shown."""
    x = T.fvector()
    odd = np.array([np.nan, np.inf, -np.inf], "float32")
    for op in (
        T.exp,
        T.tanh,
        T.isnan,
        T.isinf,
        lambda v: T.maximum(v, 0),
        lambda v: T.minimum(v, 0),
        lambda v: v * 2,
    ):
        compare([x], op(x), [odd])
    # Theano: x + |x| at minus infinity is NaN.  The engine knows better.
    found = compiled([x], T.nnet.relu(x))(odd)
    np.testing.assert_array_equal(found, [np.nan, np.inf, 0])
    # PyTorch's sign of NaN is zero, NumPy's NaN.
    np.testing.assert_array_equal(compiled([x], T.sgn(x))(odd), [0, 1, -1])


def test_integers_divided_by_zero_raise():
    """NumPy warns and gives 0, compiled C ends the process."""
    n = T.lvector()
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        compiled([n], 1 // n)(np.array([1, 0]))


def test_psi_and_its_derivative():
    """In float32: Theano's own series are good to nine digits only."""
    x = T.fvector()
    compare_with_gradient([x], T.psi(x), [np.linspace(0.5, 5, 9).astype("float32")])


def test_every_scalar_op_is_tested():
    tested = {basic_scipy.Psi, basic_scipy.TriGamma}
    tested |= {type(op) for op, *_ in SMOOTH + STEPS + BINARY}
    tested |= {type(op) for op in COMPARISONS + BITWISE}
    tested |= {
        scalar.IntDiv,
        scalar.Mod,
        scalar.Clip,
        scalar.Invert,
        elementwise.LeakyRectify,
        elementwise.LeakyRectifySlope,
    }
    tables = {**elementwise._IN_RESULT_DTYPE, **elementwise._IN_COMMON_DTYPE, **elementwise._BUILT}
    assert set(tables) == tested


def test_an_unknown_scalar_op_is_named():
    x = T.dvector()
    from cnnviz import engine

    with pytest.raises(engine.UnsupportedOp, match="Erfcx"):
        theano.function(
            [x],
            Elemwise(basic_scipy.Erfcx(scalar.upgrade_to_float_no_complex, name="erfcx"))(x),
            mode=engine.mode("cpu"),
        )


def test_the_comparison_itself_can_fail():
    with pytest.raises(AssertionError):
        assert_close(np.float32([1, 2]), np.float32([1, 2.0001]))
    with pytest.raises(AssertionError):
        assert_close(np.float64([1]), np.float32([1]))
