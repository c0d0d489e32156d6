"""The torch engine on a CUDA GPU; skipped where there is none."""

import numpy as np
import pytest

from cnnviz.runtime.backend import T, lasagne, theano

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    pytest.skip("no CUDA GPU here", allow_module_level=True)

from theano.sandbox.rng_mrg import MRG_RandomStreams  # noqa: E402
from theano.tensor.signal.pool import pool_2d  # noqa: E402

from cnnviz import engine  # noqa: E402
from cnnviz.networks import defauw, die  # noqa: E402


def on_both(make):
    """What a fresh graph gives on the CPU and on the GPU."""
    return [make(engine.mode(device, check=True)) for device in ("cpu", "cuda")]


def close(found, expected, tolerance):
    assert np.abs(found - expected).max() <= tolerance * max(np.abs(expected).max(), 1e-30)


@pytest.mark.parametrize("precision, tolerance", [("float32", 1e-5), ("float64", 1e-10)])
@pytest.mark.parametrize("name", die.NAMES)
def test_die360_networks_train_alike(name, precision, tolerance, monkeypatch):
    monkeypatch.setattr(theano.config, "floatX", precision)
    rng = np.random.RandomState(0)
    images = np.maximum(rng.randn(16, 1, 32, 32), 0).astype(precision)
    labels = rng.randint(0, 6, 16).astype(np.int32)

    def train(mode):
        network = die.build(name, seed=1)
        x, t = T.TensorType(precision, (False,) * 4)(), T.ivector()
        loss = lasagne.objectives.categorical_crossentropy(
            lasagne.layers.get_output(network, x), t
        ).mean()
        parameters = lasagne.layers.get_all_params(network, trainable=True)
        step = theano.function(
            [x, t],
            [loss, T.grad(loss, x)],
            mode=mode,
            updates=lasagne.updates.nesterov_momentum(loss, parameters, 0.006, 0.9),
        )
        results = [step(images, labels) for _ in range(10)]
        return [*results[0], *lasagne.layers.get_all_param_values(network)]

    cpu, gpu = on_both(train)
    for found, expected in zip(gpu, cpu):
        close(found, expected, tolerance)


def test_defauw_s_stack_in_double_precision(monkeypatch):
    monkeypatch.setattr(theano.config, "floatX", "float64")
    image = np.random.RandomState(0).randn(2, 3, 128, 128)

    def run(mode):
        lasagne.random.set_rng(np.random.RandomState(0))
        x = T.dtensor4()
        stack = defauw.convolutional_stack(lasagne.layers.InputLayer((None, 3, 128, 128)))
        output = lasagne.layers.get_output(stack, x)
        return theano.function([x], [output, T.grad(output.sum(), x)], mode=mode)(image)

    cpu, gpu = on_both(run)
    for found, expected in zip(gpu, cpu):
        close(found, expected, 1e-10)


def test_values_stay_on_the_gpu_and_updates_write_in_place():
    weight = theano.shared(np.ones((3, 3), np.float32))
    x = T.matrix()
    step = theano.function(
        [x], x.sum(), updates={weight: weight - T.dot(x, weight) / 2}, mode=engine.mode("cuda")
    )
    cell = weight.container.storage
    assert cell[0].is_cuda
    before = cell[0].data_ptr()
    step(torch.eye(3, device="cuda"))
    step(np.eye(3, dtype=np.float32))
    assert cell[0].data_ptr() == before
    np.testing.assert_allclose(weight.get_value(), 0.25)
    weight.set_value(np.zeros((3, 3), np.float32))
    assert cell[0].is_cuda and not weight.get_value().any()


def test_the_same_random_numbers():
    def draw(mode):
        sample = MRG_RandomStreams(3).uniform((50, 70), nstreams=100)
        function = theano.function([], sample, mode=mode)
        return np.array([function() for _ in range(3)])

    cpu, gpu = on_both(draw)
    np.testing.assert_array_equal(cpu, gpu)


def test_ties_follow_theano():
    def run(mode):
        x = T.ftensor4()
        return theano.function([x], T.grad(pool_2d(x, (3, 3), True, (2, 2)).sum(), x), mode=mode)(
            np.zeros((1, 1, 7, 7), np.float32)
        )

    cpu, gpu = on_both(run)
    np.testing.assert_array_equal(cpu, gpu)
    assert gpu.max() == 4


def test_an_index_out_of_range_does_not_end_the_device():
    x, i = T.matrix(), T.lvector()
    rows = theano.function([x, i], x[i], mode=engine.mode("cuda"))
    with pytest.raises(IndexError, match="out of range"):
        rows(np.zeros((2, 2), np.float32), np.array([2]))
    assert rows(np.ones((2, 2), np.float32), np.array([-1])).sum() == 2


def test_memory_of_intermediates_is_released():
    """A chain of twenty products needs room for a few, not for twenty."""
    x = T.matrix()
    y = x
    for _ in range(20):
        y = T.cosh(T.dot(x, y))
    function = theano.function([x], y.sum(), mode=engine.mode("cuda"))
    value = torch.zeros(2048, 2048, device="cuda")
    function(value)
    torch.cuda.reset_peak_memory_stats()
    start = torch.cuda.memory_allocated()
    function(value)
    assert torch.cuda.max_memory_allocated() - start < 5 * value.numel() * 4
    assert torch.cuda.memory_allocated() == start


def test_tf32_is_off_by_default():
    engine.mode("cuda", tf32=True)
    assert torch.backends.cudnn.allow_tf32
    engine.mode("cuda")
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
