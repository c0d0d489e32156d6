"""Reductions, indices, shapes and random numbers of the torch engine."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from theano import scalar
from theano.compile.ops import ViewOp
from theano.sandbox.rng_mrg import DotModulo, MRG_RandomStreams
from theano.tensor import extra_ops
from theano.tensor.elemwise import CAReduce, ProdWithoutZeros

from cnnviz.runtime.backend import T, theano

torch = pytest.importorskip("torch")

from engine_parity import REFERENCE, assert_close, compare, compare_with_gradient, compiled, noted  # noqa: E402

from cnnviz import engine  # noqa: E402
from cnnviz.engine import random as engine_random  # noqa: E402

FLOATS = ("float32", "float64")
EXAMPLES = settings(max_examples=10)
SHAPE = (2, 3, 4)


def variable(dtype="float32", ndim=3, broadcastable=None):
    return T.TensorType(dtype, broadcastable or (False,) * ndim)()


def values(shape=SHAPE, dtype="float32", seed=0):
    rng = np.random.RandomState(seed)
    if np.dtype(dtype).kind == "f":
        return rng.randn(*shape).astype(dtype)
    return rng.randint(-3, 4, shape).astype(dtype)


# Reductions

AXES = st.sampled_from([None, 0, 1, 2, -1, (0, 1), (0, 2), (1, 2), (0, 1, 2), (2, 0)])


@pytest.mark.parametrize("reduce", [T.sum, T.prod, T.max, T.min, T.mean, T.var])
@EXAMPLES
@given(axis=AXES, dtype=st.sampled_from(FLOATS), keepdims=st.booleans(), seed=st.integers(0, 99))
def test_reductions(reduce, axis, dtype, keepdims, seed):
    x = variable(dtype)
    compare_with_gradient(
        [x], reduce(x, axis=axis, keepdims=keepdims), [values(dtype=dtype, seed=seed)]
    )


@pytest.mark.parametrize("dtype", ["bool", "int8", "int32", "int64"])
@EXAMPLES
@given(axis=AXES)
def test_reductions_of_integers(dtype, axis):
    x = variable(dtype)
    compare(
        [x],
        [T.sum(x, axis=axis), T.prod(x, axis=axis), T.all(x, axis=axis), T.any(x, axis=axis)],
        [values(dtype=dtype)],
    )


@pytest.mark.parametrize(
    "op", [scalar.and_, scalar.or_, scalar.xor, scalar.maximum, scalar.minimum]
)
def test_reductions_by_other_ops(op):
    x = variable("int32")
    compare([x], CAReduce(op, axis=(0, 2))(x), [values(dtype="int32")])


def test_a_reduction_that_pytorch_lacks():
    x = variable()
    with pytest.raises(engine.UnsupportedOp, match="cannot reduce by"):
        compiled([x], CAReduce(scalar.Mod(scalar.upcast_out, name="mod"), axis=0)(x))


def test_products_without_zeros():
    x = variable(ndim=2)
    compare(
        [x], ProdWithoutZeros(axis=1)(x), [np.array([[0, 2, 3], [0, 0, 0], [1, 2, 3]], "float32")]
    )


def test_empty_reductions():
    """Sum zero, product one; no maximum, in either."""
    x = variable(ndim=2)
    empty = np.zeros((0, 3), "float32")
    compare([x], [T.sum(x, axis=0), T.prod(x, axis=0), T.sum(x), T.all(x, axis=0)], [empty])
    with pytest.raises(Exception, match="[Rr]eduction|zero-size"):
        compiled([x], T.max(x, axis=0))(empty)


@EXAMPLES
@given(axis=AXES, seed=st.integers(0, 99))
def test_the_first_of_equal_maxima(axis, seed):
    """Few values, so that most maxima are tied."""
    x = variable()
    tied = np.random.RandomState(seed).randint(0, 2, SHAPE).astype("float32")
    maximum, position = T.max_and_argmax(x, axis=axis)
    found = compare(
        [x], [maximum, position, T.argmax(x, axis=axis), T.argmin(x, axis=axis)], [tied]
    )
    if not isinstance(axis, tuple):
        np.testing.assert_array_equal(found[1], np.argmax(tied, axis))


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_running_sums(axis):
    x = variable(ndim=2)
    for op in (extra_ops.cumsum, extra_ops.cumprod):
        compare_with_gradient([x], op(x, axis=axis), [values((3, 4)) + 3])


@pytest.mark.parametrize("axis", [None, 0, -1])
def test_sorting(axis):
    x = variable(ndim=2)
    compare([x], [T.sort(x, axis), T.argsort(x, axis)], [values((3, 4))])


# Products


@pytest.mark.parametrize(
    "shapes", [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4)), ((2, 0), (0, 3))]
)
@pytest.mark.parametrize(
    "dtypes", [("float32",) * 2, ("float64",) * 2, ("float32", "float64"), ("int32", "int64")]
)
def test_dot(shapes, dtypes):
    pair = [variable(dtype, len(shape)) for dtype, shape in zip(dtypes, shapes)]
    arrays = [values(shape, dtype) for dtype, shape in zip(dtypes, shapes)]
    if "int32" in dtypes:
        compare(pair, T.dot(*pair), arrays)
    else:
        compare_with_gradient(pair, T.dot(*pair), arrays)


def test_batched_and_tensor_products():
    x, y = variable(), variable()
    arrays = [values((2, 3, 4)), values((2, 4, 5))]
    compare_with_gradient([x, y], T.batched_dot(x, y), arrays)
    compare_with_gradient([x, y], T.tensordot(x, y, axes=[[0, 2], [0, 1]]), arrays)
    m = variable(ndim=2)
    compare([x, m], T.batched_dot(x, m), [values((2, 3, 4)), values((2, 4))])


# Shapes


@pytest.mark.parametrize(
    "order", [(2, 0, 1), ("x", 0, 1, 2), (0, "x", 2, 1), (0, 1, 2, "x", "x"), (1, 2, 0)]
)
def test_dimshuffle(order):
    x = variable()
    compare_with_gradient([x], x.dimshuffle(*order), [values()])


def test_dropped_axes():
    x = variable(broadcastable=(True, False, True))
    compare_with_gradient([x], x.dimshuffle(1), [values((1, 3, 1))])
    compare_with_gradient([x], T.patternbroadcast(x, (False, False, True)) * 2, [values((1, 3, 1))])


@pytest.mark.parametrize("shape", [(6, 4), (-1, 2), (24,), (1, 2, 3, 4)])
def test_reshape(shape):
    x = variable()
    compare_with_gradient([x], x.reshape(shape), [values()])
    compare([x], [T.flatten(x, 2), x.ravel(), T.basic.Flatten(2)(x)], [values()])


def test_reshape_to_a_computed_shape():
    x, n = variable(), T.lvector()
    compare([x, n], x.reshape((n[0], n[1])), [values(), np.array([6, 4])])
    compare([x, n], x.reshape(n, ndim=2), [values(), np.array([4, 6])])


def test_promises_about_shapes():
    x = variable(ndim=2)
    compare(
        [x],
        [
            T.unbroadcast(T.addbroadcast(x, 0), 0),
            T.specify_shape(x, (1, 3)),
            T.opt.assert_op(x, T.eq(x.shape[0], 1)) * 2,
            T.opt.assert_op(x, T.eq(x.sum(), x.sum())) * 2,
        ],
        [values((1, 3))],
    )
    for promise in (
        T.addbroadcast(x, 0),
        T.specify_shape(x, (1, 3)),
        T.opt.assert_op(x, T.eq(x.shape[0], 1)),
        T.opt.assert_op(x, T.all(x > 99)),
    ):
        with pytest.raises((ValueError, AssertionError)):
            compiled([x], promise * 2)(values((2, 3)))


def test_new_arrays():
    x, n = T.fscalar(), T.lscalar()
    given = [np.float32(1.5), np.int64(3)]
    compare(
        [x, n],
        [
            T.alloc(x, n, 2),
            T.zeros((n, 2)),
            T.ones_like(T.alloc(x, n)),
            T.alloc(np.float64(2), n),
            T.eye(n),
            T.eye(n, 4, 1),
            T.eye(4, n, -2),
            T.tri(n),
            T.tri(n, 5, 1),
            T.arange(n),
            T.arange(n, 9, 2),
            T.arange(9, n, -2),
            T.arange(n, 0),
            T.arange(x, 9, 0.7),
            T.stack([x, x * 2, n]),
            T.stack([n, n + 1]),
        ],
        given,
    )
    empty = compiled([n], T.basic.AllocEmpty("float32")(n, 2))(3)
    assert empty.shape == (3, 2) and empty.dtype == np.float32


def test_diagonals():
    x, v = variable(ndim=2), variable(ndim=1)
    compare_with_gradient([x], T.diag(x), [values((3, 3))])
    compare([v], [T.diag(v), T.basic.AllocDiag(1)(v)], [values((3,))])
    compare([x], T.basic.ExtractDiag(1)(x), [values((3, 4))])


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_join_and_split(axis):
    x, y = variable(ndim=2), variable(ndim=2)
    arrays = [values((4, 4)), values((4, 4), seed=1)]
    compare_with_gradient([x, y], T.concatenate([x, y, x], axis), arrays)
    parts = T.split(x, [1, 0, 3], 3, axis=axis % 2)
    compare([x], parts, arrays[:1])
    compare_with_gradient([x], parts[2] * 2, arrays[:1])
    with pytest.raises(ValueError, match="cannot split"):
        compiled([x], T.split(x, [1, 1], 2))(arrays[0])


def test_join_of_two_dtypes():
    x, y = variable("float32", 1), variable("int64", 1)
    compare([x, y], T.concatenate([x, y]), [values((3,)), np.arange(2)])


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_repeat_and_tile(axis):
    x, n = variable(ndim=2), T.lvector()
    compare_with_gradient([x], T.repeat(x, 2, axis), [values((2, 3))])
    compare([x], T.tile(x, (2, 3)), [values((2, 3))])
    count = {None: 6, 0: 2, 1: 3}[axis]
    compare([x, n], T.repeat(x, n, axis), [values((2, 3)), np.arange(count)])


# Indices

INDICES = [
    lambda x: x[1],
    lambda x: x[-1],
    lambda x: x[:, 1:],
    lambda x: x[..., ::2],
    lambda x: x[::-1],
    lambda x: x[:, ::-2],
    lambda x: x[:, 0, ::-1],
    lambda x: x[1:0],
    lambda x: x[:, 5:1:-1],
    lambda x: x[0, :, 1:3],
    lambda x: x[:, ::-1, ::-1],
    lambda x: x[x.shape[0] - 1, : x.shape[1] - 1],
]


@pytest.mark.parametrize("index", INDICES)
def test_slices(index):
    x = variable()
    compare_with_gradient([x], index(x), [values()])


@pytest.mark.parametrize("index", INDICES)
@pytest.mark.parametrize("change", [T.set_subtensor, T.inc_subtensor])
def test_changed_slices(index, change):
    x = variable()
    compare_with_gradient([x], change(index(x), T.constant(np.float32(2))), [values()])
    compare_with_gradient([x], change(index(x), index(T.exp(x))), [values()])


def test_index_arrays():
    x, i, j = variable(), T.ivector(), T.lvector()
    given = [values((4, 3, 2)), np.array([3, 0, -1, 3], "int32"), np.array([0, 2, 1, 0])]
    compare_with_gradient([x, i, j], x[i], given, wrt=[x])
    compare_with_gradient([x, i, j], x[i, j], given, wrt=[x])
    compare_with_gradient([x, i, j], x[:, j], given, wrt=[x])
    compare_with_gradient([x, i, j], x[i, :, 1] * 2, given, wrt=[x])
    compare_with_gradient([x, i, j], x.take(j, axis=1), given, wrt=[x])
    compare([x], T.nonzero(x > 0, return_matrix=True), given[:1])
    compare_with_gradient([x], x[T.nonzero(x > 0)], given[:1])
    compare([x], T.nonzero(x[:, 0, 0] > 0)[0], given[:1])


def test_masks():
    x, mask = variable(ndim=2), T.bmatrix()
    given = [values((3, 4)), np.eye(3, 4, dtype="int8")]
    compare_with_gradient([x, mask], x[T.neq(mask, 0)], given, wrt=[x])
    compare([x, mask], T.set_subtensor(x[T.neq(mask, 0)], 7), given)


def test_changed_rows_that_come_twice_count_twice():
    x, y, i = variable(ndim=2), variable(ndim=2), T.lvector()
    given = [values((4, 3)), values((3, 3)), np.array([2, -2, 0])]
    compare_with_gradient([x, y, i], T.inc_subtensor(x[i], y), given, wrt=[x, y])
    compare([x, y, i], T.set_subtensor(x[i], y), [*given[:2], np.array([2, 1, 0])])
    compare_with_gradient([x, y, i], T.inc_subtensor(x[i, i], y[0]), given, wrt=[x, y])
    compare_with_gradient([x, y, i], T.inc_subtensor(x[:, T.abs_(i)], y[0]), given, wrt=[x, y])


@pytest.mark.parametrize("bad", [[4], [-5]])
def test_indices_out_of_range(bad):
    x, i = variable(ndim=2), T.lvector()
    with pytest.raises(IndexError):
        compiled([x, i], x[i])(values((4, 3)), np.array(bad))


def test_a_slice_with_variable_ends_beside_index_arrays_is_refused():
    x, i, n = variable(), T.lvector(), T.lscalar()
    with pytest.raises(engine.UnsupportedOp, match="MakeSlice|variable ends"):
        compiled([x, i, n], x[i, :, :n])


def test_broadcasting_is_by_declaration():
    """PyTorch would also broadcast an undeclared axis of length 1, which
    Theano refuses; the difference is accepted."""
    x, y = variable(ndim=2), variable(ndim=2)
    given = [values((3, 4)), values((1, 4))]
    with pytest.raises(ValueError):
        compare([x, y], x * y, given)
    assert_close(compiled([x, y], x * y)(*given), given[0] * given[1])


def test_what_only_looks_at_a_value():
    x = variable(ndim=2)
    compare([x], [ViewOp()(x) * 2, extra_ops.CpuContiguous()(x.T) * 2], [values((2, 3))])
    index = T.argmax(x[0])
    twice = scalar.mul(T.scalar_from_tensor(index), T.scalar_from_tensor(index))
    compare([x], T.tensor_from_scalar(twice) + x, [values((2, 3))])


# Random numbers


def drawn(make, mode, calls=3):
    """What a few calls draw, and the generator's state after them."""
    generator = MRG_RandomStreams(5)
    function = noted(theano.function([], make(generator), mode=mode))
    found = [function() for _ in range(calls)]
    return [*found, *(state.get_value() for state, *_ in generator.state_updates)]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(3,), (5, 7), (2, 3, 4, 5), (40, 41)])
def test_the_same_random_numbers_to_the_bit(dtype, shape):
    """Fewer numbers than streams, as many, and more, over several calls."""

    def make(generator):
        # Seven streams, so that larger samples take several rounds.
        return generator.uniform(shape, dtype=dtype, nstreams=7)

    # C code, which rounds as the engine does; Theano's Python code multiplies
    # in double precision and may differ by one unit in the last place.
    ours, theirs = (
        drawn(make, mode) for mode in (engine.mode("cpu", check=True), theano.compile.Mode())
    )
    assert len(ours) == 4
    for found, expected in zip(ours, theirs):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    assert not np.array_equal(ours[0], ours[1])


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng: rng.binomial((6, 5), p=0.3, dtype="float32"),
        lambda rng: rng.normal((6, 5)),
        lambda rng: rng.uniform((6, 5), -1, 2),
    ],
)
def test_distributions(draw):
    ours, theirs = (drawn(draw, mode, 1) for mode in (engine.mode("cpu", check=True), REFERENCE))
    for found, expected in zip(ours, theirs):
        assert_close(found, expected)


def test_the_generator_s_largest_states():
    """Products stay below 2**63."""
    state = torch.tensor([[engine_random.M1 - 1] * 3 + [engine_random.M2 - 1] * 3])
    stepped, drawn = engine_random.step(state)
    a, b = engine_random.M1 - 1, engine_random.M2 - 1
    x = (2**22 * a + (2**7 + 1) * a) % engine_random.M1
    y = (2**15 * b + (2**15 + 1) * b) % engine_random.M2
    assert stepped.tolist() == [[x, a, a, y, b, b]]
    assert drawn.tolist() == [x - y + (engine_random.M1 if x <= y else 0)]


def test_streams_are_set_apart_by_products_modulo_a_number():
    matrices = [T.lmatrix() for _ in range(2)]
    vectors, moduli = [T.ivector() for _ in range(2)], [T.iscalar() for _ in range(2)]
    top = 2147483646
    given = [
        np.full((3, 3), top),
        np.full(3, top, "int32"),
        np.int32(2147483647),
        np.full((3, 3), top),
        np.arange(3, dtype="int32"),
        np.int32(2147462579),
    ]
    order = [matrices[0], vectors[0], moduli[0], matrices[1], vectors[1], moduli[1]]
    compare(order, DotModulo()(*order), given)


def test_sixteen_bit_random_numbers_are_refused():
    with pytest.raises(engine.UnsupportedOp, match="float16"):
        compiled([], MRG_RandomStreams(3).uniform((2,), dtype="float16"))
