"""Activation maximization against hand-worked neurons and slow references."""

import importlib.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnviz.attribution.receptive_field import receptive_field
from cnnviz.feature_visualization import (
    activation_maximization,
    ascent,
    patch_network,
    starting_points,
)
from cnnviz.feature_visualization.ascent import Rule
from cnnviz.networks import defauw, die, layers
from cnnviz.runtime import backend
from cnnviz.runtime.backend import lasagne

L = lasagne.layers
nonlinearities = lasagne.nonlinearities


def linear_layer(kernels, side=5):
    """Valid cross-correlations with known kernels, and a ReLU to be ignored."""
    kernels = np.asarray(kernels, np.float32)
    inputs = L.InputLayer((None, kernels.shape[1], side, side), name="input")
    layer = L.Conv2DLayer(inputs, len(kernels), kernels.shape[2:], name="linear")
    layer.W.set_value(kernels[:, :, ::-1, ::-1])  # Lasagne 0.1 flips
    return layer


def fill(layer, seed=0):
    """Give every parameter, biases above all, values of its own."""
    rng = np.random.RandomState(seed)
    for parameter in L.get_all_params(layer):
        shape = parameter.get_value().shape
        if parameter.name and parameter.name.endswith("variance"):
            parameter.set_value(rng.uniform(0.5, 2, shape).astype(parameter.dtype))
        else:
            parameter.set_value(rng.randn(*shape).astype(parameter.dtype) * 0.3)
    return layer


def whole_maps(layer, images):
    """Linear activations by Lasagne itself, in the user's own network."""
    chain = L.get_all_layers(layer)
    last = next(each for each in reversed(chain) if hasattr(each, "nonlinearity"))
    nonlinearity, last.nonlinearity = last.nonlinearity, nonlinearities.identity
    try:
        x = backend.T.tensor4(dtype=images.dtype)
        return backend.function([x], L.get_output(layer, x, deterministic=True))(images)
    finally:
        last.nonlinearity = nonlinearity


def assert_reproduces(layer, neuron, seed=1):
    """The neuron's patch network against the whole network, all features."""
    network = patch_network.patch_network(layer, neuron)
    shape = L.get_all_layers(layer)[0].shape
    image = np.random.RandomState(seed).randn(1, *shape[1:]).astype(np.float32)
    top, left, bottom, right = network.box
    count = layer.output_shape[1]
    patches = np.repeat(image[:, :, top:bottom, left:right], count, axis=0)
    found, _ = network.evaluate(patches, np.arange(count))
    maps = whole_maps(layer, image)[0]
    np.testing.assert_allclose(
        found, maps[(slice(None), *network.neuron)], rtol=1e-4, atol=1e-5 * np.abs(maps).max()
    )
    return network


# The network of one neuron.


@pytest.fixture(scope="module")
def small_defauw():
    return fill(defauw.build(size=125, reduction=16))


@pytest.mark.parametrize(
    "name, neuron, box",
    [
        ("pool1", (15, 15), (57, 57, 68, 68)),
        ("pool1", (0, 30), (0, 117, 8, 125)),  # crosses the top and the right border
        ("conv5", (7, 0), (29, 0, 96, 40)),
        ("pool3", (3, 3), (21, 21, 104, 104)),
        ("pool3", (6, 2), (69, 5, 125, 88)),
        ("pool5", (0, 0), (0, 0, 125, 125)),  # sees more than there is
    ],
)
def test_patches_give_what_the_whole_network_gives(small_defauw, name, neuron, box):
    """With untied biases, strides, same padding and overlapping pools."""
    layer = layers.find_layer(small_defauw, name)
    network = assert_reproduces(layer, neuron)
    assert network.box == box == receptive_field(layer).box(*neuron, (125, 125))
    assert network.field == receptive_field(layer).size
    assert network.shape == (3, box[2] - box[0], box[3] - box[1])


@pytest.mark.parametrize(
    "name, field, box",
    [
        ("c1", 4, (15, 15, 19, 19)),
        ("c3", 22, (9, 9, 31, 31)),
        ("c9", 50, (0, 0, 32, 32)),
        ("c4", 46, (1, 1, 32, 32)),
    ],
)
def test_die_networks_and_the_central_neuron(name, field, box):
    layer = layers.pooling_layers(die.build(name, seed=2))[-1]
    network = assert_reproduces(fill(layer), None)
    assert network.field == (field, field)
    assert network.box == box == receptive_field(layer).box(*network.neuron, (32, 32))


def test_the_first_neuron_sees_the_top_left_part_of_its_field():
    """Section 5.3: exemplars end before the bottom right of the field."""
    layer = layers.find_layer(die.build("c3", seed=2), "pool3")
    network = patch_network.patch_network(layer, (0, 0))
    assert network.field == (22, 22) and network.box == (0, 0, 15, 15)


@st.composite
def stacks(draw):
    """A random stack of layers, and a neuron of it."""
    size = draw(st.integers(9, 14)), draw(st.integers(9, 14))
    network = L.InputLayer((draw(st.sampled_from([None, 2])), 2, *size), name="input")
    rectify = draw(st.sampled_from([nonlinearities.rectify, nonlinearities.LeakyRectify(0.3)]))
    numbers = st.integers(1, 3)
    for kind in draw(
        st.lists(
            st.sampled_from(["conv", "same", "normalized", "pool", "partial", "mean", "features"]),
            min_size=1,
            max_size=4,
        )
    ):
        options = dict(
            untie_biases=draw(st.booleans()),
            nonlinearity=rectify,
            W=lasagne.init.Normal(0.5),
            b=lasagne.init.Normal(0.5),
        )
        if kind == "conv":
            step = draw(numbers)
            pad = draw(st.sampled_from([0, 1, "full", "same"]))
            network = L.Conv2DLayer(
                network, 4, (draw(numbers) + 1, 3), stride=step, pad=pad, **options
            )
        elif kind == "same":
            network = layers.SameConv2DLayer(network, 4, 3, stride=draw(numbers), **options)
        elif kind == "normalized":
            network = layers.NormalizedConv2DLayer(network, 4, (3, 5), **options)
        elif kind == "pool":
            network = L.MaxPool2DLayer(
                network, 3, stride=draw(numbers), pad=draw(st.integers(0, 1))
            )
        elif kind == "partial":
            network = L.MaxPool2DLayer(network, 2, ignore_border=False)
        elif kind == "mean":
            network = L.Pool2DLayer(network, 2, stride=1, mode="average_inc_pad")
        elif network.output_shape[1] % 2 == 0:
            network = L.DropoutLayer(L.FeaturePoolLayer(network, 2))
        if min(network.output_shape[2:]) < 3:
            break
    rows, columns = network.output_shape[2:]
    return network, (draw(st.integers(0, rows - 1)), draw(st.integers(0, columns - 1)))


@settings(max_examples=25)
@given(stacks(), st.integers(0, 1000))
def test_any_stack_and_any_neuron(stack, seed):
    layer, neuron = stack
    shape = L.get_all_layers(layer)[0].shape
    network = patch_network.patch_network(layer, neuron)
    # Two images, since some of these networks are built for two.
    images = np.random.RandomState(seed).randn(2, *shape[1:]).astype(np.float32)
    top, left, bottom, right = network.box
    chain = [each for each in L.get_all_layers(layer) if hasattr(each, "nonlinearity")]
    maps = whole_maps(layer, images) if chain else network.maps(images)
    feature = seed % layer.output_shape[1]
    found, _ = network.evaluate(images[:, :, top:bottom, left:right], [feature] * 2)
    np.testing.assert_allclose(
        found, maps[(slice(None), feature, *neuron)], rtol=1e-4, atol=1e-5 * np.abs(maps).max()
    )


def test_gradients_are_those_of_the_whole_network_and_vanish_outside():
    layer = fill(layers.find_layer(die.build("c2"), "pool2"))
    network = patch_network.patch_network(layer, (0, 3))
    image = np.random.RandomState(0).randn(1, 1, 32, 32).astype(np.float32)
    x = backend.T.tensor4()
    first, convolution, pool = L.get_all_layers(layer)[-3:]
    below = L.get_output(first, x, deterministic=True)
    linear = pool.get_output_for(convolution.correlate(below))
    whole = backend.function([x], backend.T.grad(linear[0, 1, 0, 3], x))(image)[0]
    top, left, bottom, right = network.box
    assert (top, left, bottom, right) == (0, 9, 7, 19)
    _, found = network.evaluate(image[:, :, top:bottom, left:right], [1])
    np.testing.assert_allclose(found[0], whole[:, top:bottom, left:right], atol=1e-6)
    whole[:, top:bottom, left:right] = 0
    assert not whole.any()


def test_only_the_last_non_linearity_is_left_out():
    inputs = L.InputLayer((None, 1, 2, 2), name="input")
    first = L.Conv2DLayer(inputs, 1, 1, W=np.float32([[[[1]]]]))
    second = L.Conv2DLayer(first, 1, 1, W=np.float32([[[[-2]]]]))
    pooled = L.MaxPool2DLayer(second, 2)
    separate = L.NonlinearityLayer(
        L.Conv2DLayer(first, 1, 1, W=np.float32([[[[-2]]]]), nonlinearity=None)
    )
    image = np.float32([[[[-1, 3], [2, 1]]]])
    assert patch_network.patch_network(pooled).maps(image) == 0  # of 0 -6 -4 -2
    image[0, 0, 0, 0] = 5
    assert patch_network.patch_network(pooled).maps(image) == -2  # of -10 -6 -4 -2
    np.testing.assert_array_equal(
        patch_network.patch_network(separate).maps(image), [[[[-10, -6], [-4, -2]]]]
    )


def test_the_users_network_stays_and_its_new_parameters_count():
    layer = linear_layer([[[[1, 2]]]])
    before = dict(layer.__dict__)
    network = patch_network.patch_network(layer)
    assert layer.__dict__ == before and layer.nonlinearity is nonlinearities.rectify
    layer.b.set_value(np.float32([7]))
    found, _ = network.evaluate(np.zeros((1, 1, 1, 2)), [0])
    assert found == 7


def test_networks_in_float64_are_computed_in_float64():
    inputs = L.InputLayer((None, 1, 4, 4), name="input")
    layer = layers.SameConv2DLayer(
        inputs, 2, 3, W=np.random.RandomState(0).randn(2, 1, 3, 3), b=np.zeros(2)
    )
    network = patch_network.patch_network(layer, (0, 0))
    found = activation_maximization.maximize(
        network, starting_points.start_noise(network), rule=Rule(steps=2)
    )
    assert found.patches.dtype == network.maps(np.zeros((1, 1, 4, 4))).dtype == np.float64


def two_inputs():
    eyes = [L.InputLayer((None, 1, 4, 4)) for _ in range(2)]
    return L.ElemwiseSumLayer(eyes, name="both")


def odd_convolution():
    """A layer that does something else than its attributes say."""
    layer = linear_layer([[[[1, 2]]]])
    layer.get_output_for = lambda x, **_: x[:, :, :, 1:] * x.sum()
    return layer


@pytest.mark.parametrize(
    "build, neuron, message",
    [
        (lambda: die.build("c1"), None, "'output' gives 2-dimensional"),
        (
            lambda: L.ReshapeLayer(
                L.DenseLayer(L.InputLayer((None, 1, 4, 4)), 4, name="units"), ([0], 1, 2, 2)
            ),
            None,
            "'ReshapeLayer' has no receptive",
        ),
        (two_inputs, None, "'both' joins several inputs"),
        (
            lambda: L.Conv2DLayer(L.InputLayer((None, 1, None, 9), name="any"), 1, 3),
            None,
            "input 'any' has shape .* fixed size",
        ),
        (lambda: L.InputLayer((None, 1, 4, 4), name="image"), None, "'image' is an input"),
        (
            lambda: L.FeaturePoolLayer(L.InputLayer((None, 1, 4, 4)), 2, axis=2, name="rows"),
            None,
            "'rows' has no receptive field",
        ),
        (lambda: linear_layer([[[[1]]]]), (5, 0), r"neurons \(0, 0\) to \(4, 4\), not \(5, 0\)"),
        (lambda: linear_layer([[[[1]]]]), (0, -1), r"not \(0, -1\)"),
        (lambda: linear_layer([[[[1]]]]), (0, 0, 0), r"not \(0, 0, 0\)"),
        (
            lambda: L.Conv2DLayer(L.InputLayer((None, 1, 4, 4)), 1, 2, pad=3),
            (0, 0),
            "sees nothing of the image",
        ),
        (odd_convolution, None, "computes something else"),
    ],
)
def test_networks_and_neurons_that_are_refused(build, neuron, message):
    with pytest.raises(ValueError, match=message):
        patch_network.patch_network(build(), neuron)


# Starting points.


def test_start_maximum_finds_a_hidden_patch():
    kernel = np.float32([[[[1, -2], [3, 4]]]])
    network = patch_network.patch_network(linear_layer(kernel, side=6))
    images = np.random.RandomState(0).uniform(-1, 1, (7, 1, 6, 6)).astype(np.float32)
    images[4, 0, 3:5, 1:3] = 2 * kernel[0, 0]
    for batch_size in (1, 3, 100):
        found = starting_points.start_maximum(network, images, batch_size=batch_size)
        assert found.images == [4] and found.neurons.tolist() == [[3, 1]]
        np.testing.assert_array_equal(found.patches, 2 * kernel)
        assert found.activations == [60]  # 2 (1 + 4 + 9 + 16)


def test_start_maximum_pads_with_zeros_and_takes_the_first_of_equals():
    kernel = np.float32([[[[0, 0, 0], [0, 1, 0], [0, 0, 0]]]])
    inputs = L.InputLayer((None, 1, 4, 4), name="input")
    layer = layers.SameConv2DLayer(inputs, 1, 3, W=kernel)
    images = np.ones((3, 1, 4, 4), np.float32)
    found = starting_points.start_maximum(patch_network.patch_network(layer), images, batch_size=2)
    assert found.images == [0] and found.neurons.tolist() == [[0, 0]]
    np.testing.assert_array_equal(found.patches[0, 0], [[0, 0, 0], [0, 1, 1], [0, 1, 1]])
    # A neuron at the border: the same part of the field as its own patches.
    corner = patch_network.patch_network(layer, (0, 3))
    assert corner.shape == (1, 2, 2)
    images[2, 0, 3, 2] = 5
    found = starting_points.start_maximum(corner, images)
    assert found.images == [2] and found.neurons.tolist() == [[3, 2]]
    np.testing.assert_array_equal(found.patches[0, 0], [[1, 5], [0, 0]])


def test_start_maximum_reads_memory_maps_and_chosen_features(tmp_path):
    layer = fill(layers.find_layer(die.build("c2"), "pool2"))
    network = patch_network.patch_network(layer)
    images = np.random.RandomState(0).randn(5, 1, 32, 32).astype(np.float32)
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    whole = starting_points.start_maximum(network, images)
    found = starting_points.start_maximum(network, mapped, features=[2, 0], batch_size=2)
    maps = network.maps(images)
    for k, feature in enumerate([2, 0]):
        image, row, column = np.unravel_index(maps[:, feature].argmax(), (5, 8, 8))
        assert found.images[k] == image and found.neurons[k].tolist() == [row, column]
        assert found.activations[k] == pytest.approx(maps[:, feature].max(), rel=1e-5)
        np.testing.assert_array_equal(found.patches[k], whole.patches[feature])


def test_start_mean_is_the_patch_at_the_neurons_place():
    network = patch_network.patch_network(linear_layer(np.ones((2, 1, 2, 3)), side=5), (1, 2))
    image = np.arange(25.0).reshape(1, 5, 5)
    found = starting_points.start_mean(network, image)
    assert found.shape == (2, 1, 2, 3) and found.dtype == np.float32
    assert (found == [[7, 8, 9], [12, 13, 14]]).all()


def test_noise_depends_on_the_seed_and_the_feature_alone():
    network = patch_network.patch_network(linear_layer(np.ones((3, 1, 40, 40)), side=40))
    found = starting_points.start_noise(network, seed=4)
    np.testing.assert_array_equal(starting_points.start_noise(network, [2, 0], 4), found[[2, 0]])
    assert not np.isclose(found, starting_points.start_noise(network, seed=5)).all()
    assert not np.isclose(found[0], found[1]).all()
    assert abs(found.mean()) < 0.05 and abs(found.std() - 1) < 0.05


def test_starting_points_by_name():
    network = patch_network.patch_network(linear_layer(np.ones((2, 1, 2, 2))))
    images = np.random.RandomState(0).randn(3, 1, 5, 5).astype(np.float32)
    for name, expected in (
        ("maximum", starting_points.start_maximum(network, images).patches),
        ("mean", starting_points.start_mean(network, images.mean(axis=0))),
        ("noise", starting_points.start_noise(network, seed=3)),
    ):
        np.testing.assert_array_equal(
            starting_points.starting_points(
                network, name, images=images, mean=images.mean(axis=0), seed=3
            ),
            expected,
        )


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(start="best"), "unknown start 'best'; choose one of maximum, mean, noise"),
        (dict(start="maximum"), "start 'maximum' needs images"),
        (dict(start="mean"), "start 'mean' needs the mean image"),
        (dict(start="noise", features=1), "features 0 to 0, not 1"),
        (dict(start="noise", seed=-1), "[Ss]eed"),
        (dict(start="maximum", images=np.zeros((0, 1, 5, 5))), "no images"),
        (dict(start="maximum", images=np.zeros((1, 1, 5, 4))), "has shape .*not"),
        (dict(start="maximum", images=np.full((1, 1, 5, 5), np.nan)), "not finite"),
        (dict(start="mean", mean=np.zeros((1, 4, 5))), "has shape .*not"),
        (dict(start="mean", mean=np.full((1, 5, 5), np.inf)), "not finite"),
    ],
)
def test_starts_that_are_refused(arguments, message):
    network = patch_network.patch_network(linear_layer([[[[1, 2]]]]))
    with pytest.raises(ValueError, match=message):
        starting_points.starting_points(network, **arguments)


# The ascent.


def test_a_linear_neuron_by_hand():
    network = patch_network.patch_network(linear_layer([[[[1, -2]]]]))
    found = activation_maximization.maximize(
        network,
        np.zeros((1, 1, 1, 2)),
        rule=Rule(steps=3, step_size=1, momentum=0.5, keep=(0, 1, 3)),
    )
    # Its gradient is its weights g: v = g, 1.5 g, 1.75 g; x = 1.5 g, 3.25 g, 5.125 g.
    np.testing.assert_array_equal(found.patches, [[[[5.125, -10.25]]]])
    np.testing.assert_array_equal(found.activations, [[0, 7.5, 16.25, 25.625]])
    np.testing.assert_array_equal(
        found.iterates, [[[[[0, 0]]], [[[1.5, -3]]], [[[5.125, -10.25]]]]]
    )
    assert found.reached == [25.625] and found.steps == [3]
    assert found.kept.tolist() == [0, 1, 3] and found.features.tolist() == [0]


def test_under_a_norm_a_linear_neurons_exemplar_is_its_weights():
    network = patch_network.patch_network(linear_layer([[[[3, 4]]], [[[-1, 0]]]]))
    found = activation_maximization.maximize(
        network, starting_points.start_noise(network), rule=Rule(norm=10, step_size=1, keep=(0,))
    )
    np.testing.assert_allclose(found.patches.reshape(2, 2), [[6, 8], [-10, 0]], atol=1e-3)
    np.testing.assert_allclose(found.reached, [50, 10], rtol=1e-5)
    # On the sphere, not only inside, and from the start.
    assert np.linalg.norm(found.iterates[:, 0].reshape(2, 2), axis=1) == pytest.approx(10)
    assert (found.steps < 1000).all()


def test_a_patch_of_zeros_stays_on_no_sphere_until_it_moves():
    np.testing.assert_array_equal(
        ascent.rescaled(np.float32([[3, 4], [0, 0]]), 10), [[6, 8], [0, 0]]
    )
    network = patch_network.patch_network(linear_layer([[[[3, 4]]]]))
    found = activation_maximization.maximize(
        network, np.zeros((1, 1, 1, 2)), rule=Rule(steps=1, norm=5)
    )
    np.testing.assert_allclose(found.activations, [[0, 25]])


def tiny_network(dtype=np.float32):
    """A leaky hidden layer and an output that sees all of it."""
    rng = np.random.RandomState(3)
    kernels, weights = rng.randn(4, 2, 2, 2), rng.randn(3, 4, 2, 3)
    inputs = L.InputLayer((None, 2, 6, 7), name="input")
    hidden = L.Conv2DLayer(
        inputs,
        4,
        2,
        W=kernels[:, :, ::-1, ::-1].astype(dtype),
        b=np.linspace(-1, 1, 4).astype(dtype),
        nonlinearity=nonlinearities.LeakyRectify(0.125),
    )
    output = L.Conv2DLayer(
        hidden,
        3,
        (2, 3),
        W=weights[:, :, ::-1, ::-1].astype(dtype),
        b=np.arange(3).astype(dtype),
        name="output",
    )
    return output, kernels, weights


def slow_activation(patch, feature, kernels, weights):
    """Activation and gradient of one neuron, pixel by pixel."""
    activation, gradient = feature, np.zeros_like(patch)
    for f, kernel in enumerate(kernels):
        for i in range(2):
            for j in range(3):
                h = (patch[:, i : i + 2, j : j + 2] * kernel).sum() + np.linspace(-1, 1, 4)[f]
                slope = 1 if h > 0 else 0.125
                activation += weights[feature, f, i, j] * slope * h
                gradient[:, i : i + 2, j : j + 2] += weights[feature, f, i, j] * slope * kernel
    return activation, gradient


def slow_ascent(patch, feature, rule, *parameters):
    """Nesterov's ascent from the formula; the activation at every step."""
    patch, velocity, activations = patch.astype(np.float64), 0, []
    for step in range(rule.steps + 1):
        if rule.norm:
            patch = patch * rule.norm / np.sqrt((patch**2).sum())
        activation, gradient = slow_activation(patch, feature, *parameters)
        activations.append(activation)
        velocity = rule.momentum * velocity + rule.step_size * gradient
        if step < rule.steps:
            patch = patch + rule.momentum * velocity + rule.step_size * gradient
    return patch, activations


@pytest.mark.parametrize("norm", [None, 3.0])
def test_ascent_equals_a_slow_reference(norm):
    layer, *parameters = tiny_network(np.float64)
    network = patch_network.patch_network(layer)
    assert network.shape == (2, 3, 4)
    start = starting_points.start_noise(network, seed=1)
    rule = Rule(steps=30, step_size=0.03, momentum=0.9, norm=norm, keep=(30,))
    found = activation_maximization.maximize(network, start, rule=rule)
    for feature in range(3):
        patch, activations = slow_ascent(start[feature], feature, rule, *parameters)
        np.testing.assert_allclose(found.activations[feature], activations, rtol=1e-9)
        np.testing.assert_allclose(found.iterates[feature, 0], patch, rtol=1e-9)


def test_batches_and_features_do_not_change_the_result():
    network = patch_network.patch_network(tiny_network()[0])
    start = starting_points.start_noise(network)
    rule = Rule(steps=40, norm=5, step_size=0.1, keep=(2, 20), tolerance=1e-3, patience=5)
    whole = activation_maximization.maximize(network, start, rule=rule)
    assert len(set(whole.steps)) > 1  # rows stop at different steps
    again = activation_maximization.maximize(network, start, rule=rule)
    split = activation_maximization.maximize(network, start, rule=rule, batch_size=2)
    for one, two, three in zip(whole, again, split):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_allclose(one, three, atol=1e-5)
    for feature in (2, 0):
        alone = activation_maximization.maximize(network, start[[feature]], feature, rule)
        for one, two in zip(alone, whole):
            if one is not alone.kept:
                np.testing.assert_allclose(one[0], two[feature], atol=1e-5)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
def test_both_engines_agree(monkeypatch):
    monkeypatch.delenv("CNNVIZ_ENGINE", raising=False)
    found = []
    layer = fill(layers.find_layer(die.build("c2"), "pool2"))
    try:
        for engine in ("theano", "torch"):
            backend.select(engine, "cpu")
            network = patch_network.patch_network(layer, (0, 3))
            found.append(
                activation_maximization.maximize(
                    network, starting_points.start_noise(network), rule=Rule(steps=10)
                )
            )
    finally:
        backend.select()
    np.testing.assert_allclose(found[0].activations, found[1].activations, rtol=1e-5)
    np.testing.assert_allclose(found[0].patches, found[1].patches, atol=1e-5)


def test_iterates_are_the_patches_of_shorter_ascents():
    network = patch_network.patch_network(tiny_network()[0])
    start = starting_points.start_noise(network)
    whole = activation_maximization.maximize(network, start, rule=Rule(steps=9, keep=(9, 0, 4)))
    assert whole.iterates.shape == (3, 3, *network.shape)
    np.testing.assert_array_equal(whole.iterates[:, 1], start)
    for k, steps in ((0, 9), (2, 4)):
        shorter = activation_maximization.maximize(
            network, start, rule=Rule(steps=steps, keep=(steps,))
        )
        np.testing.assert_array_equal(whole.iterates[:, k], shorter.iterates[:, 0])
        np.testing.assert_array_equal(whole.activations[:, : steps + 1], shorter.activations)


def peak():
    """-|x - 1|: the maximum of a neuron that can be overshot."""
    inputs = L.InputLayer((None, 1, 1, 1), name="input")
    sides = L.Conv2DLayer(
        inputs, 2, 1, W=np.float32([1, -1]).reshape(2, 1, 1, 1), b=np.float32([-1, 1])
    )
    return L.Conv2DLayer(sides, 1, 1, W=np.float32([-1, -1]).reshape(1, 2, 1, 1))


def test_the_best_patch_is_given_when_the_ascent_overshoots():
    network = patch_network.patch_network(peak())
    found = activation_maximization.maximize(
        network, np.zeros((1, 1, 1, 1)), rule=Rule(steps=3, step_size=0.75, momentum=0)
    )
    np.testing.assert_array_equal(found.activations, [[-1, -0.25, -0.5, -0.25]])
    assert found.reached == [-0.25] and found.patches.ravel() == [0.75]


def test_features_stop_each_on_its_own():
    # One feature has no gradient at all; the other gains a constant a step.
    network = patch_network.patch_network(linear_layer([[[[0]]], [[[1]]]]))
    rule = Rule(steps=30, step_size=1, momentum=0, tolerance=0.3, patience=4, keep=(4, 5))
    found = activation_maximization.maximize(network, np.ones((2, 1, 1, 1)), rule=rule)
    # t + 1 gains 4 in 4 steps; no more than 0.3 (t - 3) from t = 17 on.
    assert found.steps.tolist() == [4, 17]
    assert np.isnan(found.activations[0, 5:]).all() and found.reached.tolist() == [0, 18]
    np.testing.assert_array_equal(found.activations[1, :18], np.arange(1, 19))
    assert np.isnan(found.activations[1, 18:]).all()
    assert np.isfinite(found.iterates[0, 0]).all() and np.isnan(found.iterates[0, 1]).all()
    on = activation_maximization.maximize(
        network, np.ones((2, 1, 1, 1)), rule=rule._replace(tolerance=None)
    )
    assert on.steps.tolist() == [30, 30]


def test_no_step_gives_the_start():
    network = patch_network.patch_network(linear_layer([[[[1, 2]]]]))
    found = activation_maximization.maximize(network, np.ones((1, 1, 1, 2)), rule=Rule(steps=0))
    assert found.activations.tolist() == [[3]] and (found.patches == 1).all()


def test_progress_on_request(capsys):
    network = patch_network.patch_network(linear_layer([[[[1, 2]]]]))
    start = np.ones((1, 1, 1, 2))
    activation_maximization.maximize(network, start, rule=Rule(steps=2))
    assert capsys.readouterr().err == ""
    activation_maximization.maximize(network, start, rule=Rule(steps=2), progress=True)
    assert "3/3" in capsys.readouterr().err


@pytest.mark.parametrize(
    "patches, rule, options, message",
    [
        (np.zeros((2, 1, 1, 2)), {}, {}, r"have shape \(1, 1, 1, 2\), not \(2, 1, 1, 2\)"),
        (np.full((1, 1, 1, 2), np.nan), {}, {}, "patches hold values that are not finite"),
        (None, {}, dict(features=1), "features 0 to 0, not 1"),
        (None, {}, dict(batch_size=0), "batch_size must be at least 1"),
        (None, dict(steps=-1), {}, "steps must be at least 0, not -1"),
        (None, dict(step_size=0), {}, "step_size must be positive, not 0"),
        (None, dict(step_size=np.nan), {}, "step_size must be positive, not nan"),
        (None, dict(norm=-2), {}, "norm must be positive, not -2"),
        (None, dict(momentum=1), {}, r"momentum must be in \[0, 1\), not 1"),
        (None, dict(steps=5, keep=(6,)), {}, "steps 0 to 5 can be kept, not 6"),
        (None, dict(tolerance=-1), {}, "tolerance must be at least 0"),
        (None, dict(patience=0), {}, "patience must be at least 1"),
        (
            None,
            dict(step_size=1e38),
            {},
            "'linear', feature 0: the activation is inf at "
            "step 1; choose a smaller step_size or a norm",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_ascents_that_are_refused(patches, rule, options, message):
    network = patch_network.patch_network(linear_layer([[[[1, 2]]]]))
    patches = np.zeros((1, 1, 1, 2)) if patches is None else patches
    with pytest.raises(ValueError, match=message):
        activation_maximization.maximize(network, patches, rule=Rule(**rule), **options)
