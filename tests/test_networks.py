"""The eight networks, the padding layer and the walks over layers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from cnnviz.networks import die, layers
from cnnviz.runtime.backend import T, function, lasagne

# Thesis Table 5.1.
PARAMETERS = {
    "c1": 4644,
    "c2": 1272,
    "c3": 492,
    "c4": 360,
    "c9": 996,
    "d5": 5161,
    "d10": 10316,
    "d20": 20626,
}


def forward(layer, images):
    inputs = T.tensor4()
    return function([inputs], lasagne.layers.get_output(layer, inputs, deterministic=True))(images)


def slow_same_correlation(images, filters, bias, stride):
    """Thesis eqs. 2.2 to 2.4, one output at a time."""
    half = filters.shape[2] // 2
    padded = np.pad(images, ((0, 0), (0, 0), (half, half), (half, half)))
    rows = range(0, images.shape[2], stride)
    columns = range(0, images.shape[3], stride)
    out = np.empty((len(images), len(filters), len(rows), len(columns)))
    for n, image in enumerate(padded):
        for f, kernel in enumerate(filters):
            for i, row in enumerate(rows):
                for j, column in enumerate(columns):
                    window = image[
                        :, row : row + kernel.shape[1], column : column + kernel.shape[2]
                    ]
                    out[n, f, i, j] = (window * kernel).sum() + bias[f]
    return out


@pytest.mark.parametrize("name", die.NAMES)
def test_parameter_counts_are_those_of_table_5_1(name):
    assert lasagne.layers.count_params(die.build(name)) == PARAMETERS[name]


@pytest.mark.parametrize("name", die.CONVOLUTIONAL)
def test_a_twin_differs_in_its_units_alone(name):
    """A sigmoid unit of an image of zeros is one half, a rectified one zero."""
    twin = die.build(f"{name}_sigmoid")
    shapes, expected = (
        [(each.name, each.get_value().shape) for each in lasagne.layers.get_all_params(network)]
        for network in (twin, die.build(name))
    )
    assert shapes == expected
    first = layers.find_layer(twin, "conv1")
    assert (forward(first, np.zeros((1, 1, 32, 32), np.float32)) == 0.5).all()
    units = [layer.nonlinearity for layer in layers.layers_of_type(twin, layers.SameConv2DLayer)]
    assert set(units) == {lasagne.nonlinearities.sigmoid}


def test_every_network_of_table_5_1_is_there():
    assert set(die.NAMES) == set(PARAMETERS)


def test_unknown_network_is_refused_with_the_known_names():
    with pytest.raises(ValueError, match="unknown network 'c5'.*c9.*c4_sigmoid"):
        die.build("c5")


@pytest.mark.parametrize("name", ["d5_sigmoid", "c4_tanh", "c4_sigmoid_sigmoid", "_sigmoid", "c4_"])
def test_units_that_no_network_has_are_refused(name):
    with pytest.raises(ValueError, match=f"unknown network '{name}'"):
        die.build(name)


@pytest.mark.parametrize(
    "name, count", [("c1", 1), ("c2", 2), ("c3", 3), ("c4", 4), ("c9", 3), ("d5", 0)]
)
def test_pooling_layers_come_in_order(name, count):
    found = layers.pooling_layers(die.build(name))
    assert [layer.name for layer in found] == [f"pool{k}" for k in range(1, count + 1)]


def test_seed_decides_the_initial_weights():
    values = [lasagne.layers.get_all_param_values(die.build("c2", seed=seed)) for seed in (1, 1, 2)]
    assert all(np.array_equal(*pair) for pair in zip(values[0], values[1]))
    assert not np.array_equal(values[0][0], values[2][0])


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 3),
    st.integers(1, 2),
    st.sampled_from([1, 3, 5]),
    st.integers(1, 3),
    st.integers(5, 9),
    st.integers(5, 9),
)
def test_same_convolution_equals_the_slow_reference(
    seed, channels, filters, side, stride, rows, columns
):
    rng = np.random.RandomState(seed)
    images = rng.randn(2, channels, rows, columns).astype(np.float32)
    layer = layers.SameConv2DLayer(
        lasagne.layers.InputLayer((None, channels, rows, columns)),
        filters,
        side,
        stride=stride,
        nonlinearity=None,
        b=lasagne.init.Normal(1),
    )
    W, b = (parameter.get_value() for parameter in layer.get_params())
    out = forward(layer, images)
    assert out.shape[1:] == layer.output_shape[1:]
    # float32 sums of up to 75 products of size 1.
    np.testing.assert_allclose(out, slow_same_correlation(images, W, b, stride), atol=2e-5)


def test_convolution_is_cross_correlation_and_not_flipped():
    layer = layers.SameConv2DLayer(
        lasagne.layers.InputLayer((None, 1, 3, 3)), 1, 3, nonlinearity=None
    )
    kernel = np.arange(9, dtype=np.float32).reshape(3, 3)
    layer.W.set_value(kernel[None, None])
    image = np.zeros((1, 1, 3, 3), np.float32)
    image[0, 0, 1, 1] = 1
    expected = signal.correlate2d(image[0, 0], kernel, mode="same")
    np.testing.assert_array_equal(forward(layer, image)[0, 0], expected)
    assert expected[0, 0] == 8  # a flipped kernel would give 0


def test_untied_biases_have_their_own_place():
    layer = layers.SameConv2DLayer(
        lasagne.layers.InputLayer((None, 1, 2, 2)), 1, 3, untie_biases=True, nonlinearity=None
    )
    bias = np.array([[[1, 2], [3, 4]]], np.float32)
    layer.b.set_value(bias)
    np.testing.assert_array_equal(forward(layer, np.zeros((1, 1, 2, 2), np.float32))[0], bias)


def test_even_filters_are_refused():
    with pytest.raises(ValueError, match="odd"):
        layers.SameConv2DLayer(lasagne.layers.InputLayer((None, 1, 4, 4)), 1, 2)


def test_c4_forward_pass_equals_a_slow_one():
    rng = np.random.RandomState(3)
    network = die.build("c4", seed=3)
    images = rng.randn(2, 1, 32, 32).astype(np.float32)
    values = lasagne.layers.get_all_param_values(network)
    x = images.astype(np.float64)
    for W, b in zip(values[0:8:2], values[1:8:2]):
        x = np.maximum(slow_same_correlation(x, W, b, 1), 0)
        n, c, h, w = x.shape
        x = x.reshape(n, c, h // 2, 2, w // 2, 2).max(axis=(3, 5))
    scores = x.reshape(2, -1) @ values[8] + values[9]
    scores = np.exp(scores - scores.max(1, keepdims=True))
    # float32 through five layers.
    np.testing.assert_allclose(
        forward(network, images), scores / scores.sum(1, keepdims=True), atol=1e-5
    )


def test_find_layer_names_the_layers_that_there_are():
    network = die.build("c1")
    assert layers.find_layer(network, "pool1").name == "pool1"
    with pytest.raises(ValueError, match="no layer 'pool7'.*conv1"):
        layers.find_layer(network, "pool7")
