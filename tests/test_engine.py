"""The torch engine's linker: where values live, what is overwritten, errors."""

import copy
import functools
import pickle
import warnings
import weakref

import array_layouts
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnviz.runtime.backend import T, lasagne, theano

torch = pytest.importorskip("torch")

from cnnviz import engine  # noqa: E402
from cnnviz.networks import die  # noqa: E402

CPU = torch.device("cpu")


@pytest.fixture(params=[False, True], ids=["arrays", "resident tensors"])
def mode(request):
    """The CPU's way, and that of every other device, run on the CPU."""
    return engine.mode("cpu", check=True, resident=request.param)


def shared(values, name=None):
    return theano.shared(np.asarray(values, np.float32), name)


# Shared variables


def test_updates_and_values(mode):
    counter = shared([1, 2, 3], "counter")
    step = theano.function([], counter.sum(), updates={counter: counter * 2}, mode=mode)
    assert [step().item() for _ in range(3)] == [6, 12, 24]  # old values
    np.testing.assert_array_equal(counter.get_value(), [8, 16, 24])
    counter.set_value(np.array([1, 0, 0], np.float32))
    assert step() == 1
    np.testing.assert_array_equal(counter.get_value(), [2, 0, 0])


def test_two_functions_share_a_variable(mode):
    weight = shared([1.0])
    up = theano.function([], updates={weight: weight + 1}, mode=mode)
    look = theano.function([], weight * 10, mode=mode)
    up()
    assert look() == 20
    weight.set_value(np.array([5], np.float32))
    up()
    assert look() == 60 and weight.get_value() == 6


def test_both_engines_share_a_variable_on_the_cpu():
    weight = shared([1.0])
    up = theano.function([], updates={weight: weight + 1}, mode=engine.mode("cpu"))
    up_c = theano.function([], updates={weight: weight * 10})
    up(), up_c(), up()
    assert weight.get_value() == 21


@pytest.mark.parametrize("dtype", ["bool", "int8", "int32", "int64", "float64"])
def test_a_shared_variable_keeps_its_dtype(mode, dtype):
    variable = theano.shared(np.ones(2, dtype))
    theano.function([], updates={variable: T.cast(variable + 1, dtype)}, mode=mode)()
    assert variable.get_value().dtype == dtype


def test_updates_write_in_place(mode):
    weight = shared(np.ones((4, 4)))
    rate = shared(0.5)
    x = T.matrix()
    step = theano.function(
        [x], updates={weight: weight - rate * T.dot(x.T, T.dot(x, weight))}, mode=mode
    )
    step(np.eye(4, dtype=np.float32))
    cell = weight.container.storage

    def address():
        value = cell[0]
        return value.data_ptr() if isinstance(value, torch.Tensor) else value.ctypes.data

    before = address()
    for _ in range(3):
        step(np.eye(4, dtype=np.float32))
    assert address() == before
    assert "out=" in step.fn.source and "store" not in step.fn.source
    np.testing.assert_allclose(weight.get_value(), 0.5**4)


def test_momentum_updates_write_in_place(mode):
    network = die.build("d5")
    images, labels = T.tensor4(), T.ivector()
    posterior = lasagne.layers.get_output(network, images)
    loss = lasagne.objectives.categorical_crossentropy(posterior, labels).mean()
    step = theano.function(
        [images, labels],
        loss,
        mode=mode,
        updates=lasagne.updates.nesterov_momentum(
            loss, lasagne.layers.get_all_params(network), 0.1, 0.9
        ),
    )
    assert "store" not in step.fn.source


def test_swapped_variables(mode):
    a, b = shared([1, 2]), shared([3, 4])
    theano.function([], updates=[(a, b), (b, a)], mode=mode)()
    np.testing.assert_array_equal(a.get_value(), [3, 4])
    np.testing.assert_array_equal(b.get_value(), [1, 2])
    theano.function([], updates=[(a, a + 1)], mode=mode)()
    np.testing.assert_array_equal(b.get_value(), [1, 2])


@pytest.mark.parametrize(
    "update",
    [
        lambda w: w.T,
        lambda w: w + w.T,
        lambda w: w[::-1],
        lambda w: 2 * w - w[:, ::-1],
        lambda w: T.dot(w, w),
        lambda w: w * w.sum(),
        lambda w: T.set_subtensor(w[0], w[1]),
        lambda w: T.inc_subtensor(w[1:], w[:-1]),
        lambda w: T.ones_like(w),
        lambda w: T.alloc(w[0, 0], 3, 3),
    ],
)
def test_an_update_reads_only_old_values(mode, update):
    start = np.arange(9, dtype=np.float32).reshape(3, 3)
    weight = theano.shared(start.copy())
    results = theano.function(
        [], [update(weight), weight], mode=mode, updates={weight: update(weight)}
    )()
    w = T.matrix()
    expected = theano.function([w], update(w), mode=theano.Mode("py", None))(start)
    np.testing.assert_array_equal(results[0], expected)
    np.testing.assert_array_equal(results[1], start)
    np.testing.assert_array_equal(weight.get_value(), expected)


@pytest.mark.parametrize(
    "expression",
    [
        lambda y: y * y.T,
        lambda y: y + y[::-1],
        lambda y: T.exp(y) * T.exp(y).T,
        lambda y: T.set_subtensor(y[0], y[:, 0]),
        lambda y: T.inc_subtensor(y[:, 0], y[0]),
        lambda y: (y + 1) * (y + 1).reshape((9,))[:3],
        lambda y: y.T.T + y.T,
    ],
)
def test_an_intermediate_is_not_overwritten_while_it_is_read(mode, expression):
    x = T.matrix()
    value = np.random.RandomState(0).randn(3, 3).astype(np.float32)
    found = theano.function([x], expression(T.tanh(x) * 2), mode=mode)(value)
    expected = theano.function([x], expression(T.tanh(x) * 2), mode=theano.Mode("py", None))(value)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_results_belong_to_the_caller(mode):
    weight = shared(np.ones((3, 3)))
    x = T.matrix()
    given = np.ones((3, 3), np.float32)
    y = T.exp(x)
    function = theano.function(
        [x],
        [
            x,
            x.T,
            weight,
            weight.T,
            weight[:2],
            y,
            y,
            y.T,
            y.reshape((9,)),
            T.constant(given),
            weight + x,
        ],
        updates={weight: weight + x},
        mode=mode,
    )
    results = function(given)
    storage = weight.container.storage[0]
    owners = [given, np.asarray(storage), *results]
    for first in range(len(owners)):
        for second in range(first):
            assert not np.shares_memory(owners[first], owners[second])
    kept = [result.copy() for result in results]
    function(given + 1)
    for result, before in zip(results, kept):
        np.testing.assert_array_equal(result, before)


def test_borrowed_values():
    variable = shared([1, 2])
    step = theano.function(
        [], updates={variable: variable + 1}, mode=engine.mode("cpu", resident=True)
    )
    borrowed = variable.get_value(borrow=True)
    with pytest.raises(ValueError, match="read-only"):
        borrowed[0] = 7  # it could not reach the device
    step()
    np.testing.assert_array_equal(borrowed, [1, 2])
    mine = np.array([5, 5], np.float32)
    variable.set_value(mine, borrow=True)
    step()
    np.testing.assert_array_equal(mine, 5)


def test_read_only_memory_is_never_written():
    """A memory-mapped data set, for example."""
    array = np.ones(3, np.float32)
    array.flags.writeable = False
    variable = theano.shared(array, borrow=True)
    theano.function([], updates={variable: variable + 1}, mode=engine.mode("cpu"))()
    np.testing.assert_array_equal(array, 1)
    np.testing.assert_array_equal(variable.get_value(), 2)


@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, lambda variable: pickle.loads(pickle.dumps(variable))],
    ids=["copied", "pickled"],
)
def test_a_resident_variable_is_copied_with_its_value(duplicate):
    variable = shared([1, 2], "w")
    theano.function([], updates={variable: variable + 1}, mode=engine.mode("cpu", resident=True))()
    other = duplicate(variable)
    theano.function([], updates={variable: variable + 1}, mode=engine.mode("cpu", resident=True))()
    np.testing.assert_array_equal(other.get_value(), [2, 3])
    other.set_value(np.zeros(2, np.float32))
    np.testing.assert_array_equal(variable.get_value(), [3, 4])


def test_a_variable_lives_on_one_device():
    variable = shared([1])
    theano.function([], variable, mode=engine.mode("cpu", resident=True))
    variable.container.device = torch.device("meta")
    with pytest.raises(engine.UnsupportedOp, match="lives on meta"):
        theano.function([], variable, mode=engine.mode("cpu", resident=True))


# Arguments


def test_arguments_may_be_tensors(mode):
    x = T.matrix("x")
    double = theano.function([x], 2 * x, mode=mode)
    given = torch.ones(2, 3)
    result = double(given)
    assert isinstance(result, np.ndarray) and (result == 2).all()
    assert (given == 1).all()
    with pytest.raises(TypeError, match="x must be a .*not a tensor of torch.float64"):
        double(given.double())
    with pytest.raises(TypeError, match=r"with shape \(3,\)"):
        double(torch.ones(3))


@functools.lru_cache
def doubling(ndim, resident):
    """Twice an argument plus a shared variable, which an update then adds one to.

    Theano's C code where ``resident`` is None.
    """
    x, kept = T.TensorType("float32", (False,) * ndim)(), shared(np.zeros((0,) * ndim))
    mode = None if resident is None else engine.mode("cpu", resident=resident)
    return kept, theano.function([x], 2 * x + kept, updates={kept: kept + 1}, mode=mode)


@settings(max_examples=60)
@given(st.data())
@pytest.mark.parametrize(
    "resident", [False, True, None], ids=["arrays", "resident tensors", "C code"]
)
def test_arrays_of_any_layout(resident, data):
    """As arguments and as values of shared variables; they are never written."""
    # A compiler for each number of dimensions would take long.
    array = data.draw(array_layouts.arrays(*(2, 2) if resident is None else (0, 3)))
    before = array.astype(np.float32)
    kept, double = doubling(array.ndim, resident)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept.set_value(array)
        np.testing.assert_array_equal(double(array), 3 * before)
        np.testing.assert_array_equal(kept.get_value(), before + 1)
    np.testing.assert_array_equal(array, before)


@settings(max_examples=30)
@given(st.data())
@pytest.mark.parametrize("resident", [False, True], ids=["arrays", "resident tensors"])
def test_updates_reach_a_borrowed_array_of_any_layout(resident, data):
    array = data.draw(array_layouts.arrays())
    before = array.astype(np.float32)
    kept, double = doubling(array.ndim, resident)
    kept.set_value(array, borrow=True)
    for count in range(3):
        np.testing.assert_array_equal(kept.get_value(), before + count)
        double(before)


def test_of_equal_places_in_memory_each_is_updated_once(mode):
    """Writable, and yet every element in the same place."""
    one = np.lib.stride_tricks.as_strided(np.ones(1, np.float32), (3,), (0,))
    variable = shared([0])
    step = theano.function([], updates={variable: variable + 1}, mode=mode)
    variable.set_value(one, borrow=True)
    step(), step()
    np.testing.assert_array_equal(variable.get_value(), [3, 3, 3])


def test_theano_s_own_conveniences(mode):
    """Default values, names, several shapes of return value, wrong types."""
    x, y = T.scalar("x"), T.scalar("y")
    function = theano.function([x, theano.In(y, value=3)], {"sum": x + y}, mode=mode)
    assert function(1) == {"sum": 4} and function(1, y=5)["sum"] == 6
    assert function(1)["sum"] == 4
    assert theano.function([x], [x + 1], mode=mode)(1) == [2]
    total = shared(0)
    assert theano.function([x], updates={total: x}, mode=mode)(4) == []
    assert total.get_value() == 4
    with pytest.raises(ValueError, match="Bad input argument"):
        function("text")


def test_a_function_can_be_copied(mode):
    x, total = T.scalar(), shared(0.0)
    add = theano.function([x], total, updates={total: total + x}, mode=mode)
    other = shared(10.0)
    add(1), add.copy(swap={total: other})(5)
    assert total.get_value() == 1 and other.get_value() == 15


# Memory


def test_intermediate_results_die_after_their_last_use(monkeypatch):
    """At no time more than two of a chain's tensors are alive."""
    made, most = [], []
    plain = torch.cosh

    def watched(value, **options):
        result = plain(value, **options)
        made.append(weakref.ref(result))
        most.append(sum(each() is not None for each in made))
        return result

    from theano import scalar

    from cnnviz.engine import elementwise

    monkeypatch.setitem(elementwise._IN_RESULT_DTYPE, scalar.Cosh, watched)
    x = T.matrix()
    y = x
    for _ in range(6):
        y = T.cosh(T.dot(x, y))
    function = theano.function([x], y, mode=engine.mode("cpu"))
    result = function(np.eye(2, dtype=np.float32))
    assert len(most) == 6 and max(most) <= 2
    del result
    assert not any(each() is not None for each in made)


def test_elementwise_chains_write_over_their_own_results():
    x = T.vector()
    function = theano.function([x], T.exp(T.sin(x) + 1) * 3, mode=engine.mode("cpu"))
    given = np.zeros(3, np.float32)
    np.testing.assert_allclose(function(given), 3 * np.exp(1), rtol=1e-6)
    np.testing.assert_array_equal(given, 0)


# Shapes and indices


def test_shapes_stay_on_the_host(mode):
    x = T.tensor4()
    half = x.shape[2] // 2
    y = x[:, :, :half].reshape((x.shape[0], -1)).sum(axis=1) / x.shape[0]
    function = theano.function([x], [y, x.shape, half], mode=mode)
    value = np.random.RandomState(0).rand(2, 3, 5, 4).astype(np.float32)
    found = function(value)
    np.testing.assert_allclose(found[0], value[:, :, :2].reshape(2, -1).sum(1) / 2, rtol=1e-6)
    np.testing.assert_array_equal(found[1], value.shape)
    assert found[1].dtype == np.int64 and found[2] == 2
    assert ".tolist" not in function.fn.source and "as_host" not in function.fn.source


def test_an_integer_argument_is_an_index(mode):
    x, i = T.matrix(), T.iscalar()
    function = theano.function([x, i], x[i] + i, mode=mode)
    value = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.testing.assert_array_equal(function(value, 2), value[2] + 2)
    np.testing.assert_array_equal(function(value, -1), value[2] - 1)
    with pytest.raises(IndexError):
        function(value, 3)


def test_an_index_computed_on_the_device(mode):
    x = T.matrix()
    function = theano.function([x], x[T.argmax(x[:, 0])], mode=mode)
    value = np.array([[1, 5], [3, 6], [2, 7]], np.float32)
    np.testing.assert_array_equal(function(value), [3, 6])


# Errors


class Strange(theano.Op):
    __props__ = ()

    def make_node(self, x):
        return theano.Apply(self, [x], [x.type()])

    def perform(self, node, inputs, outputs):
        outputs[0][0] = inputs[0] + 1


def test_an_unknown_op_is_named_when_the_function_is_compiled():
    x = T.matrix("photograph")
    with pytest.raises(engine.UnsupportedOp) as error:
        theano.function([x], Strange()(x), mode=engine.mode("cpu"))
    for word in ("Strange", "photograph", "docs/engine.md", "engine='theano'"):
        assert word in str(error.value)


def test_an_op_can_be_added():
    @engine.implements(Strange)
    def strange(node):
        return lambda value: value + 1

    try:
        x = T.vector()
        function = theano.function([x], Strange()(x) * 2, mode=engine.mode("cpu"))
        np.testing.assert_array_equal(function([1, 2]), [4, 6])
    finally:
        from cnnviz.engine import registry

        del registry._IMPLEMENTATIONS[Strange]


@pytest.mark.parametrize(
    "kind, words",
    [(T.zvector, "complex128"), (T.wvector, None), (lambda: T.vector(dtype="uint16"), "uint16")],
    ids=["complex", "int16", "uint16"],
)
def test_dtypes_that_pytorch_lacks(kind, words):
    x = kind()
    if words is None:
        theano.function([x], x + x, mode=engine.mode("cpu"))
        return
    with pytest.raises(engine.UnsupportedOp, match=words):
        theano.function([x], x + x, mode=engine.mode("cpu"))


def test_random_generators_of_numpy_are_refused_with_advice():
    from theano.tensor.shared_randomstreams import RandomStreams

    with pytest.raises(engine.UnsupportedOp, match="MRG_RandomStreams"):
        theano.function([], RandomStreams(1).uniform((2,)), mode=engine.mode("cpu"))


def test_an_error_while_running_names_the_node(mode):
    x, y = T.matrix("x"), T.matrix("y")
    function = theano.function([x, y], T.tanh(T.dot(x, y)), mode=mode)
    with pytest.raises(RuntimeError, match="Apply node that caused the error: dot"):
        function(np.ones((2, 3), np.float32), np.ones((2, 3), np.float32))
    # And works again.
    assert function(np.ones((2, 3), np.float32), np.ones((3, 1), np.float32)).shape == (2, 1)


class Particular(Exception):
    """Neither made of a text alone nor of any text."""

    def __init__(self, number, *rest):
        super().__init__(f"particular {int(number)}")


def failing(error):
    def fail(*arguments):
        raise error

    return fail


@pytest.mark.parametrize("step", ["read", "add", "to_array", "store"])
@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("no memory"),
        AttributeError("no such name"),
        KeyError('quoted "\'"'),
        UnicodeDecodeError("ascii", b"x", 0, 1, "not in range"),
        Particular(7),
    ],
)
def test_no_error_is_masked_wherever_it_is_raised(monkeypatch, step, error):
    """Also where arguments are read and results are stored, which are no nodes."""
    x, kept = T.matrix("x"), shared([[1]])
    function = theano.function([x], x + kept, updates={kept: x}, mode=engine.mode("cpu"))
    names = function.fn._globals
    steps = [name for name in names if name.lower().startswith(step)]
    assert steps, names.keys()
    for name in steps:
        monkeypatch.setitem(names, name, failing(error))
    with pytest.raises(type(error)) as caught:
        function(np.ones((1, 1), np.float32))
    assert str(error) in str(caught.value) or caught.value is error


@pytest.mark.parametrize("lost", ["maker", "node"])
def test_an_error_is_told_without_what_explains_it(lost):
    x = T.matrix("x")
    function = theano.function([x], T.dot(x, x), mode=engine.mode("cpu"))
    if lost == "maker":
        function.maker = None
    else:
        for node in function.fn.nodes:
            del node.fgraph
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        function(np.ones((2, 3), np.float32))


def test_the_check_notices_a_wrong_dtype(monkeypatch):
    from theano import scalar

    from cnnviz.engine import elementwise

    monkeypatch.setitem(
        elementwise._IN_RESULT_DTYPE,
        scalar.Cosh,
        lambda value, out=None: torch.cosh(value.double()),
    )
    x = T.vector()
    function = theano.function([x], T.cosh(x), mode=engine.mode("cpu", check=True))
    with pytest.raises(TypeError, match="torch.float64"):
        function(np.ones(2, np.float32))


@pytest.mark.parametrize(
    "name, words", [("gpu", "unknown device 'gpu'"), ("cuda:99", "is not there")]
)
def test_devices_that_are_not_there(name, words):
    with pytest.raises(ValueError, match=words):
        engine.mode(name)


def test_the_program_can_be_read():
    x = T.matrix("pictures")
    function = theano.function([x], T.nnet.softmax(x), mode=engine.mode("cpu"))
    assert "# pictures" in function.fn.source
    assert "Softmax" in function.fn.source and "return [" in function.fn.source


def test_modes_can_be_varied():
    """As Theano's users do: including and excluding optimizations."""
    x = T.matrix()
    mode = engine.mode("cpu", check=True).excluding("canonicalize").including("merge")
    function = theano.function([x], T.nnet.relu(x), mode=mode)
    assert "def program" in function.fn.source
    np.testing.assert_array_equal(function([[-1, 2]]), [[0, 2]])
