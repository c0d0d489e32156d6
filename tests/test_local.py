"""Evaluation on windows against whole passes, over random stacks of layers."""

import attributions
import numpy as np
import pytest
import random_networks
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cnnviz.attribution.gradient import TARGETS, LayersGradient
from cnnviz.attribution.occlusion_passes import WholePasses
from cnnviz.attribution.windowed import NotLocal, Stack, local_prefix, ops, ops_torch, trusted_stack
from cnnviz.attribution.windowed.forward import Occluded, multiply_adds
from cnnviz.networks import defauw, die, layers
from cnnviz.runtime import backend, threads
from cnnviz.runtime.backend import lasagne

L = lasagne.layers
# float32: sums of some hundred terms in another order; float64: the same.
# Shrinking a failing network would take minutes.
_PHASES = (Phase.explicit, Phase.generate)
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}


@pytest.fixture(params=["torch", "theano"])
def engine(request):
    backend.select(request.param)
    yield request.param
    backend.select()


def check_equal(found, expected, dtype):
    """Equal relative to the largest value, and NaN in the same places."""
    assert found.shape == expected.shape and found.dtype == expected.dtype == dtype
    scale = np.nanmax(np.abs(expected), initial=0)
    np.testing.assert_allclose(
        found, expected, rtol=0, atol=TOLERANCE[dtype] * scale + np.finfo(dtype).tiny
    )


def check_stack(layer, dtype, size, stride, fill):
    """All that is computed on windows, beside whole passes."""
    images = random_networks.images(layer, 2)
    with np.testing.suppress_warnings() as warned:
        warned.filter(UserWarning)  # feature pooling falls back in the gradient
        for aggregate in TARGETS:
            check_equal(
                *(
                    attributions.gradient(
                        layer, images, target=aggregate, raw=True, evaluation=method
                    )
                    for method in ("auto", "whole")
                ),
                dtype,
            )
    check_equal(
        *(
            attributions.occlusion(
                layer, images, window=size, stride=stride, baseline=fill, evaluation=method
            )
            for method in ("windows", "whole")
        ),
        dtype,
    )
    for aggregate in ("max", "sum"):
        check_equal(
            *(
                attributions.occlusion(
                    layer,
                    images,
                    target=aggregate,
                    window=size,
                    stride=stride,
                    baseline=fill,
                    evaluation=method,
                )
                for method in ("windows", "whole")
            ),
            dtype,
        )


@settings(max_examples=8, phases=_PHASES)
@given(
    random_networks.stacks("float64"),
    st.sampled_from([1, 3, 5, 15]),
    st.integers(1, 4),
    st.sampled_from([0.0, -1.5]),
)
def test_windows_equal_whole_passes_in_double_precision(layer, size, stride, fill):
    check_stack(layer, "float64", size, stride, fill)


@settings(max_examples=4, phases=_PHASES)
@given(random_networks.stacks("float32"), st.sampled_from([1, 3, 5]), st.integers(1, 3))
def test_windows_equal_whole_passes_in_single_precision(layer, size, stride):
    check_stack(layer, "float32", size, stride, 0.0)


# Theano's C code takes long to compile, and the windows are the same.
@pytest.mark.parametrize(
    "engine, name",
    [("torch", "pool1"), ("torch", "pool3"), ("torch", "pool5"), ("theano", "pool3")],
    indirect=["engine"],
)
def test_de_fauws_network_on_windows(engine, name):
    """Untied biases, strides, overlapping pools and *same* padding at every layer."""
    network = defauw.build(2, size=125, reduction=16)
    rng = np.random.RandomState(1)
    for parameter in L.get_all_params(network):
        value = parameter.get_value()
        parameter.set_value(value + np.float32(0.1) * rng.randn(*value.shape).astype(np.float32))
    layer = layers.find_layer(network, name)
    images = rng.randn(2, 3, 125, 125).astype(np.float32)
    for aggregate in TARGETS:
        check_equal(
            *(
                attributions.gradient(layer, images, [0, 1], aggregate, evaluation=method)
                for method in ("windows", "whole")
            ),
            "float32",
        )
    check_equal(
        *(
            attributions.occlusion(layer, images, [0, 1], stride=9, evaluation=method)
            for method in ("windows", "whole")
        ),
        "float32",
    )


def test_neurons_at_every_border():
    """Every neuron of a map, with windows shifted at all four borders."""
    layer = layers.find_layer(defauw.build(2, size=125, reduction=16), "pool4")
    stack = trusted_stack(layer)
    evaluate = Occluded(stack)
    images = random_networks.images(layer, 1)
    evaluate.keep(images, 0.0)
    whole = WholePasses(layer)
    whole.keep([images], 0.0)
    neurons = np.stack(np.indices(stack.shapes[-1]), -1).reshape(-1, 2)
    rng = np.random.RandomState(0)
    first = rng.randint(-5, 120, (len(neurons), 2))
    found, start = evaluate(first, (11, 11), neurons=neurons)
    expected, _ = whole(first, (11, 11), np.zeros(len(first), int))
    assert found.shape[2:] == (1, 1) and (start == neurons).all()
    rows, columns = neurons.T
    check_equal(found[:, :, 0, 0], expected[np.arange(len(rows)), :, rows, columns], "float32")


def test_maxima_shared_by_many_neurons_count_once_each():
    """On a flat image every position is maximal, which is a whole map's work."""
    layer = layers.find_layer(die.build("c2", seed=3), "pool2")
    flat = np.full((1, 1, 32, 32), 0.7, np.float32)
    check_equal(
        *(attributions.gradient(layer, flat, evaluation=method) for method in ("windows", "whole")),
        "float32",
    )


def test_one_neuron_costs_less_than_the_whole_map():
    stack = Stack(layers.find_layer(defauw.build(2), "pool5"))
    whole = 1.785e9  # multiply-adds of a forward pass
    assert whole / multiply_adds(stack, (11, 11)) == pytest.approx(6.5, rel=0.1)
    assert whole / multiply_adds(stack, (11, 11), neuron=True) == pytest.approx(22, rel=0.1)


def test_layers_that_are_not_local_are_refused_or_fall_back():
    images = L.InputLayer((None, 2, 9, 9), name="images")
    normalized = L.LocalResponseNormalization2DLayer(images, name="normalized")
    convolution = L.Conv2DLayer(normalized, 2, 3, name="convolution")
    with pytest.raises(NotLocal, match="'normalized' is not local"):
        trusted_stack(convolution)
    array = random_networks.images(convolution, 1)
    with pytest.warns(UserWarning, match="'normalized' is not local"):
        found = attributions.occlusion(convolution, array, window=3)
    check_equal(
        found, attributions.occlusion(convolution, array, window=3, evaluation="whole"), "float32"
    )
    assert local_prefix(convolution) is images


def test_a_layer_that_does_something_else_on_windows_is_noticed():
    class Centered(L.Conv2DLayer):
        def get_output_for(self, input, **kwargs):
            return super().get_output_for(input - input.mean(axis=(2, 3), keepdims=True), **kwargs)

    layer = Centered(L.InputLayer((None, 1, 8, 8)), 2, 3, name="centered")
    with pytest.raises(NotLocal, match="'centered' computes on windows something else"):
        trusted_stack(layer)


# --- The Ops ------------------------------------------------------------------


def tensors(*values):
    return [torch.from_numpy(np.ascontiguousarray(each)) for each in values]


def test_kernels_and_torchs_indexing_agree():
    """On a GPU the latter runs."""
    rng = np.random.RandomState(0)
    n, m, size = 5, 2, (6, 4)
    source = rng.randn(m, 7, 8, 3)
    images, start = rng.randint(0, m, n), rng.randint(-4, 8, (n, 2))
    box = np.column_stack([start + rng.randint(-2, 3, (n, 2)), np.full((n, 2), 3)])
    new, new_start = rng.randn(n, 3, 2, 3), start + rng.randint(-2, 3, (n, 2))
    arguments = (
        source,
        images,
        start,
        np.array([-9.0]),
        new,
        new_start,
        box,
        np.array([1.0, 2.0, 3.0]).reshape(1, 1, 1, 3),
    )
    found = ops.Cut().compute(*arguments, *size)
    np.testing.assert_array_equal(found, ops_torch.cut(*tensors(*arguments), *size))

    inside = rng.randint(0, 2, (n, 2))
    arguments = (rng.randn(n, *size, 3), source[0], inside)
    np.testing.assert_array_equal(
        ops.Add().compute(*arguments, *size), ops_torch.add(*tensors(*arguments), *size)
    )

    arguments = (new, new_start, source, images, start)
    np.testing.assert_array_equal(
        ops.Scale().compute(*arguments, *size), ops_torch.scale(*tensors(*arguments), *size)
    )


@pytest.mark.parametrize(
    "geometry",
    [
        [(3, 3), (2, 2), (0, 0)],
        [(2, 3), (1, 2), (1, 1)],
        [(2, 2), (3, 3), (0, 0)],
        [(9, 7), (1, 1), (0, 0)],
        [(9, 8), (1, 1), (0, 0)],
        [(5, 4), (2, 3), (1, 2)],
    ],
)
def test_pooling_backwards(geometry):
    """Against the definition, window by window, however many places a window has."""
    rng = np.random.RandomState(0)
    size, stride, pad = geometry
    below, slopes = rng.randint(0, 3, (2, 14, 13, 3)).astype(float), rng.rand(2, 14, 13, 3)
    counts = [
        (length + 2 * p - w) // s + 1
        for length, w, s, p in zip(below.shape[1:3], size, stride, pad)
    ]
    padded = np.pad(below, ((0, 0), *((p, p) for p in pad), (0, 0)), constant_values=-np.inf)
    pooled = np.empty((2, *counts, 3))
    gradient = rng.randn(2, *counts, 3)
    expected = np.zeros_like(padded)
    for i, j in np.ndindex(*counts):
        window = np.s_[
            :, i * stride[0] : i * stride[0] + size[0], j * stride[1] : j * stride[1] + size[1]
        ]
        pooled[:, i, j] = padded[window].max(axis=(1, 2))
        held = padded[window] == pooled[:, i : i + 1, j : j + 1]
        expected[window] += held * gradient[:, i : i + 1, j : j + 1]
    expected = expected[:, pad[0] : pad[0] + 14, pad[1] : pad[1] + 13] * slopes

    layer = L.MaxPool2DLayer(L.InputLayer((None, 3, 14, 13)), size, stride, pad)
    from cnnviz.attribution.windowed.stack import Block

    switches = ops.switches(below, pooled, Block(layer, []))
    images, zero = np.arange(2), np.zeros((2, 2), int)
    arguments = (gradient, zero, switches, slopes, images, zero, np.array(geometry))
    np.testing.assert_allclose(ops.PoolBack().compute(*arguments, 14, 13), expected, atol=1e-12)
    np.testing.assert_allclose(
        ops_torch.pool_back(*tensors(*arguments), 14, 13), expected, atol=1e-12
    )
    # On other windows: of the gradient at hand, and of what is asked for.
    starts, few = np.array([[1, 0], [0, 1]]), np.array([[-1, 2], [3, -2]])
    part = np.stack([g[i : i + 2, j : j + 2] for g, (i, j) in zip(gradient, starts)])
    arguments = (part, starts, switches, slopes, images, few, np.array(geometry))
    np.testing.assert_allclose(
        ops.PoolBack().compute(*arguments, 7, 6),
        ops_torch.pool_back(*tensors(*arguments), 7, 6),
        atol=1e-12,
    )


def test_many_threads_give_the_same(monkeypatch):
    rng = np.random.RandomState(0)
    arguments = (
        rng.randn(7, 40, 40, 8),
        np.zeros((7, 2), int),
        rng.rand(1, 40, 40, 8),
        np.zeros(7, int),
        np.zeros((7, 2), int),
        40,
        40,
    )
    results = []
    for count in (1, 3):
        monkeypatch.setattr(threads, "count", lambda: count)
        results.append(ops.Scale().compute(*arguments))
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("aggregate", TARGETS)
def test_layers_that_share_a_forward_pass_give_the_same_gradients(aggregate):
    pooling = layers.pooling_layers(defauw.build(2, size=125, reduction=16))
    gradients = LayersGradient(pooling, aggregate)
    images = random_networks.images(pooling[-1], 2)
    features = [[1, 0], [], [3], [0, 5], [2]]
    # Each aggregate on another image: whole passes for comparison take long.
    for image in (images[:1],) if aggregate == "max" else (images[1:],):
        found = {}
        for layer, k, values, *place in gradients.parts(image, features):
            found[layer, features[layer][k]] = full = np.zeros(image.shape[1:], np.float32)
            full[(slice(None), *place)] = values
        assert set(found) == {(layer, k) for layer, each in enumerate(features) for k in each}
        for (layer, k), values in found.items():
            check_equal(
                values,
                attributions.gradient(pooling[layer], image, [k], aggregate, raw=True)[0, 0],
                "float32",
            )


def test_layers_of_other_networks_share_nothing():
    few, others = (layers.pooling_layers(defauw.build(2, size=125, reduction=16)) for _ in range(2))
    with pytest.raises(ValueError, match="'pool1' is not below 'pool2'"):
        LayersGradient([few[0], others[1]])
