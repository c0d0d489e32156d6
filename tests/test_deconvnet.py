"""Downward passes against hand-worked networks and a reference in plain loops."""

import functools

import attributions
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import PADS_EVEN

from cnnviz.attribution import activations, deconvnet
from cnnviz.attribution.deconvnet import Deconvnet, GuidedBackprop
from cnnviz.attribution.receptive_field import receptive_field
from cnnviz.networks import defauw, die, layers
from cnnviz.runtime import backend
from cnnviz.runtime.backend import T, function, lasagne

METHODS = ("deconvnet", "guided")
L = lasagne.layers
LEAKY = lasagne.nonlinearities.LeakyRectify(0.5)
RECTIFY = lasagne.nonlinearities.rectify
SLOPES = {LEAKY: 0.5, RECTIFY: 0, lasagne.nonlinearities.identity: 1}


@pytest.fixture
def engine(request):
    if request.param == "torch":
        pytest.importorskip("torch")
    backend.select(request.param, "cpu")
    yield request.param
    backend.select()


both_engines = pytest.mark.parametrize("engine", ["torch", "theano"], indirect=True)


def raw(layer, images, **arguments):
    """Reconstruction of the only feature from the only image, every channel."""
    return attributions.projection(layer, images, raw=True, **arguments)[0, 0]


def image_of(*rows):
    """One image of one channel."""
    return np.array(rows, np.float32)[None, None]


def correlation(incoming, kernel, b=None, nonlinearity=None, **options):
    """One valid cross-correlation, with a known kernel ``(channels, rows, columns)``."""
    kernel = np.asarray(kernel, np.float32)
    return L.Conv2DLayer(
        incoming,
        1,
        kernel.shape[1:],
        W=kernel[None, :, ::-1, ::-1].copy(),
        b=b if b is None else lasagne.init.Constant(b),
        nonlinearity=nonlinearity,
        **options,
    )  # Lasagne 0.1 flips


# Worked by hand.


def rectifier_under_signal():
    """A leaky rectifier to which [1, -1] comes down, whatever the method.

    For x = [-3, 2] it gives [-1.5, 2], the difference -3.5, and with the bias
    the activation 1, from which a deconvolutional network starts.
    """
    inputs = L.InputLayer((None, 1, 1, 2), name="input")
    rectifier = L.NonlinearityLayer(inputs, LEAKY, name="rectifier")
    return correlation(rectifier, [[[1, -1]]], b=4.5)


@both_engines
def test_the_rectifier_is_applied_to_the_signal(engine):
    """Theano 1.0.5 ignores a gradient put into an Op; then all three agree."""
    layer, x = rectifier_under_signal(), image_of([-3, 2])
    plain = attributions.gradient(layer, x, raw=True)[0, 0, 0, 0]
    np.testing.assert_array_equal(plain, [0.5, -1])
    found = {method: raw(layer, x, method=method)[0, 0] for method in METHODS}
    np.testing.assert_array_equal(found["deconvnet"], [1, -0.5])
    np.testing.assert_array_equal(found["guided"], [0.5, -0.5])


@both_engines
def test_unpooling_of_the_thesis(engine):
    """Pages 19 and 20."""
    inputs = L.InputLayer((None, 1, 4, 4), name="input")
    image = image_of([1, 2, 3, 4], [5, 6, 7, 8], [9, 0, 1, 2], [3, 4, 5, 6])
    found = raw(L.MaxPool2DLayer(inputs, 2), image)
    np.testing.assert_array_equal(
        found[0], [[0, 0, 0, 0], [0, 6, 0, 8], [9, 0, 0, 0], [0, 0, 0, 6]]
    )


def test_windows_that_share_a_switch_add_up():
    inputs = L.InputLayer((None, 1, 5, 5), name="input")
    image = np.zeros((1, 1, 5, 5), np.float32)
    image[0, 0, 2, 2], image[0, 0, 0, 3] = 5, 7
    # Three windows have the 5 as maximum, the upper right one the 7.
    found = raw(L.MaxPool2DLayer(inputs, 3, stride=2), image)[0]
    assert found[2, 2] == 15 and found[0, 3] == 7 and np.count_nonzero(found) == 2


@both_engines
def test_of_equal_maxima_the_first_is_the_switch(engine):
    inputs = L.InputLayer((None, 1, 4, 4), name="input")
    layer, flat = L.MaxPool2DLayer(inputs, 2), np.ones((1, 1, 4, 4), np.float32)
    firsts = np.zeros((4, 4))
    firsts[::2, ::2] = 1
    np.testing.assert_array_equal(raw(layer, flat)[0], firsts)


def test_of_equal_activations_the_first_is_the_maximal_neuron():
    inputs = L.InputLayer((None, 1, 2, 2), name="input")
    found = raw(inputs, image_of([1, 3], [3, 3]), position="max")
    np.testing.assert_array_equal(found[0], [[0, 3], [0, 0]])


def test_theanos_gradient_goes_to_all_equal_maxima_and_the_guided_to_the_first():
    inputs = L.InputLayer((None, 1, 2, 2), name="input")
    layer, flat = L.MaxPool2DLayer(inputs, 2), np.ones((1, 1, 2, 2), np.float32)
    np.testing.assert_array_equal(attributions.gradient(layer, flat)[0, 0], [[1, 1], [1, 1]])
    np.testing.assert_array_equal(raw(layer, flat, method="guided")[0], [[1, 0], [0, 0]])


def test_a_linear_neuron_gives_its_filter_times_its_activation():
    inputs = L.InputLayer((None, 1, 5, 5), name="input")
    layer = correlation(inputs, [[[1, 2], [3, 4]]])
    image = np.zeros((1, 1, 5, 5), np.float32)
    image[0, 0, 3, 2] = 2  # the last entry of the kernel meets it
    expected = np.zeros((5, 5))
    expected[2:4, 1:3] = [[8, 16], [24, 32]]
    np.testing.assert_array_equal(raw(layer, image, position="max")[0], expected)
    np.testing.assert_array_equal(
        raw(layer, image, position="max", method="guided")[0], expected / 8
    )


def test_the_rectifier_of_the_layer_itself_is_undone_too():
    """Activations -1 and 4 of a leaky layer are rectified once more."""
    inputs = L.InputLayer((None, 1, 1, 2), name="input")
    layer = correlation(inputs, [[[2]]], nonlinearity=LEAKY)
    x = image_of([-1, 2])
    np.testing.assert_array_equal(raw(layer, x)[0, 0], [-1, 8])
    np.testing.assert_array_equal(raw(layer, x, method="guided")[0, 0], [1, 2])


@pytest.mark.parametrize(
    "weight, bias, method, expected",
    [
        (1, 0, "deconvnet", 0.5),  # not sigmoid(0.5)
        (1, -2, "deconvnet", 0),  # the activation -1.5 is cut off
        (1, 0, "guided", 0.25),  # the sigmoid's slope
        (-1, 0, "guided", 0),  # -0.25 is cut off
    ],
)
def test_signals_pass_other_nonlinearities_rectified(weight, bias, method, expected):
    inputs = L.InputLayer((None, 1, 1, 1), name="input")
    below = L.NonlinearityLayer(inputs, lasagne.nonlinearities.sigmoid)
    layer = correlation(below, [[[weight]]], b=bias)
    found = raw(layer, image_of([0]), method=method)
    np.testing.assert_allclose(found[0, 0, 0], expected, rtol=1e-6)


def test_channels_reduce_by_the_signed_maximum():
    inputs = L.InputLayer((None, 3, 1, 1), name="input")
    layer = correlation(inputs, [[[1]], [[-3]], [[2]]])
    image = np.array([1, -1, 1], np.float32).reshape(1, 3, 1, 1)
    np.testing.assert_array_equal(raw(layer, image)[:, 0, 0], [6, -18, 12])
    assert attributions.projection(layer, image) == [[[[12]]]]


# The definition, in loops over one image, in float64.


def windows(layer, shape):
    """Place of every window in the padded maps, and the shape of its output."""
    size = getattr(layer, "pool_size", None) or layer.filter_size
    for row, column in np.ndindex(*shape):
        top, left = row * layer.stride[0], column * layer.stride[1]
        yield (row, column), (slice(None), slice(top, top + size[0]), slice(left, left + size[1]))


def padding(layer):
    """Zeros before and after the rows and columns of a convolution's input."""
    if layer.pad == "same":
        return [(0, 0)] + [(size // 2, (size - 1) // 2) for size in layer.filter_size]
    if layer.pad == "full":
        return [(0, 0)] + [(size - 1, size - 1) for size in layer.filter_size]
    return [(0, 0)] + [(pad, pad) for pad in layer.pad]


def filters_of(layer):
    W = layer.W.get_value().astype(np.float64)
    return W if isinstance(layer, layers.SameConv2DLayer) else W[:, :, ::-1, ::-1]


def convolved(layer, maps):
    padded, filters = np.pad(maps, padding(layer)), filters_of(layer)
    out = np.empty(layer.output_shape[1:])
    for (row, column), window in windows(layer, out.shape[1:]):
        out[:, row, column] = (filters * padded[window]).sum(axis=(1, 2, 3))
    b = layer.b.get_value()
    return out + (b if layer.untie_biases else b[:, None, None])


def deconvolved(layer, signal):
    pad, filters = padding(layer), filters_of(layer)
    padded = np.pad(np.zeros(layer.input_shape[1:]), pad)
    for (row, column), window in windows(layer, signal.shape[1:]):
        for feature, kernel in enumerate(filters):
            padded[window] += signal[feature, row, column] * kernel
    rows, columns = layer.input_shape[2:]
    return padded[:, pad[1][0] :, pad[2][0] :][:, :rows, :columns]


def switches(layer, maps):
    """Position of every window's first maximum, by feature, row and column."""
    (up, left), found = layer.pad, {}
    padded = np.pad(maps, [(0, 0), (up, up), (left, left)], constant_values=-np.inf)
    for place, window in windows(layer, layer.output_shape[2:]):
        for feature, values in enumerate(padded[window]):
            row, column = np.unravel_index(values.argmax(), values.shape)
            found[(feature, *place)] = (
                feature,
                window[1].start + row - up,
                window[2].start + column - left,
            )
    return found


def rectified(layer, values):
    return np.where(values > 0, values, SLOPES[layer.nonlinearity] * values)


def upward(layer, maps):
    """Output of a layer, and what its downward pass must know."""
    if isinstance(layer, L.MaxPool2DLayer):
        known, out = switches(layer, maps), np.empty(layer.output_shape[1:])
        for window, position in known.items():
            out[window] = maps[position]
        return out, known
    if isinstance(layer, L.DropoutLayer):
        return maps, None
    known = convolved(layer, maps) if isinstance(layer, L.Conv2DLayer) else maps
    return rectified(layer, known), known


def downward(layer, signal, known, method):
    """The signal below a layer."""
    if isinstance(layer, L.MaxPool2DLayer):
        below = np.zeros(layer.input_shape[1:])
        for window, position in known.items():
            below[position] += signal[window]
        return below
    if isinstance(layer, L.DropoutLayer):
        return signal
    if method == "guided":
        signal = signal * np.where(known > 0, 1, SLOPES[layer.nonlinearity])
    signal = rectified(layer, signal)
    return deconvolved(layer, signal) if isinstance(layer, L.Conv2DLayer) else signal


def reference(layer, image, feature, method, position):
    """Downward pass of one feature of one image."""
    maps, passed = image.astype(np.float64), []
    for each in L.get_all_layers(layer)[1:]:
        maps, known = upward(each, maps)
        passed.append((each, known))
    ours = np.zeros(maps.shape, bool)
    ours[feature] = True
    if position == "max":
        # The first: windows that overlap often share the maximum.
        ours.flat[np.arange(ours.size) != np.where(ours, maps, -np.inf).argmax()] = False
    signal = ours * (maps if method == "deconvnet" else 1.0)
    for each, known in reversed(passed):
        signal = downward(each, signal, known, method)
    return signal


def drawn(network, seed):
    """The network with all parameters from a normal distribution."""
    rng = np.random.RandomState(seed)
    for parameter in L.get_all_params(network):
        parameter.set_value(rng.randn(*parameter.get_value().shape).astype(np.float32))
    return network


def like_defauw(side=13):
    """Strides, overlapping windows, untied biases, leaky rectifiers."""
    network = L.InputLayer((None, 2, 2 * side + 1, 2 * side - 1), name="input")
    for number, (filters, size, stride) in enumerate([(3, 5, 2), (1, 3, 1), (3, 3, 1)]):
        network = layers.SameConv2DLayer(
            network, filters, size, stride=stride, nonlinearity=LEAKY, untie_biases=True
        )
        if number != 1:
            network = L.MaxPool2DLayer(network, 3, stride=2, name=f"pool{number}")
    return network


def of_everything():
    """Lasagne's own flipping layers, oblong windows, padding of all kinds."""
    network = L.InputLayer((None, 1, 13, 11), name="input")
    network = L.Conv2DLayer(network, 3, (3, 2), stride=(2, 1), nonlinearity=RECTIFY)
    network = L.MaxPool2DLayer(network, 2, stride=(1, 2), ignore_border=False)
    network = L.Conv2DLayer(network, 3, 4 if PADS_EVEN else 3, pad="same", nonlinearity=None)
    network = L.NonlinearityLayer(L.DropoutLayer(network), LEAKY)
    network = L.MaxPool2DLayer(network, 3, stride=2, pad=1)
    network = L.Conv2DLayer(network, 2, 3, pad=(1, 0), nonlinearity=LEAKY)
    return L.Conv2DLayer(network, 2, 2, pad="full", nonlinearity=RECTIFY)


@both_engines
@pytest.mark.parametrize("build", [like_defauw, of_everything])
@pytest.mark.parametrize(
    "method, position",
    [("deconvnet", "all"), ("deconvnet", "max"), ("guided", "all"), ("guided", "max")],
)
def test_downward_passes_equal_the_definition(engine, build, method, position):
    layer = drawn(build(), seed=1)  # leaves no map dead
    shape = L.get_all_layers(layer)[0].shape[1:]
    images = np.random.RandomState(1).randn(2, *shape).astype(np.float32)
    found = attributions.projection(layer, images, method=method, position=position, raw=True)
    for feature, row in np.ndindex(*found.shape[:2]):
        expected = reference(layer, images[row], feature, method, position)
        scale = np.abs(expected).max()
        assert scale > 0
        np.testing.assert_allclose(found[feature, row], expected, atol=1e-5 * scale)


# Properties.


def branches():
    """Every linear layer that has a downward pass, and no rectifier."""
    inputs = L.InputLayer((None, 2, 8, 8), name="input")
    normalized = layers.NormalizedConv2DLayer(inputs, 3, 3, nonlinearity=None)
    mixed = L.NINLayer(L.GaussianNoiseLayer(inputs), 3, nonlinearity=None)
    both = L.ElemwiseSumLayer([normalized, mixed], coeffs=[2, -3])
    padded = L.PadLayer(L.DropoutLayer(L.ConcatLayer([both, inputs])), 1)
    pooled = L.Pool2DLayer(padded, 3, stride=2, mode="average_inc_pad")
    return L.Conv2DLayer(pooled, 2, 2, untie_biases=True, nonlinearity=None)


@pytest.mark.parametrize("position, aggregate", [("all", "sum"), ("max", "max")])
def test_without_rectifiers_guided_is_the_gradient(position, aggregate):
    layer = branches()
    images = np.random.RandomState(0).randn(3, 2, 8, 8).astype(np.float32)
    found = attributions.projection(layer, images, method="guided", raw=True, position=position)
    expected = attributions.gradient(layer, images, target=aggregate, raw=True)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@functools.lru_cache
def compiled(method):
    """Downward pass of a ReLU network without biases."""
    layer = layers.find_layer(die.build("c4", seed=2), "pool4")
    return {"deconvnet": Deconvnet, "guided": GuidedBackprop}[method](layer)


@settings(max_examples=20)
@given(st.floats(1e-3, 1e3), st.integers(0, 10**6))
def test_scaling_the_image_scales_the_reconstruction(factor, seed):
    image = np.random.RandomState(seed).randn(1, 1, 32, 32).astype(np.float32)
    power = {"deconvnet": 1, "guided": 0}  # guided: a gradient, so not at all
    for method in METHODS:
        once = compiled(method).attribute(image)
        scaled = compiled(method).attribute(np.float32(factor) * image)
        expected = np.float32(factor) ** power[method] * once
        np.testing.assert_allclose(
            scaled, expected, rtol=0, atol=1e-4 * np.abs(expected).max() + 1e-30
        )


@pytest.mark.parametrize("method", METHODS)
def test_one_neuron_reaches_its_receptive_field_only(method):
    layer = layers.find_layer(die.build("c2", seed=4), "pool2")
    image = np.random.RandomState(4).randn(1, 1, 32, 32).astype(np.float32)
    found = attributions.projection(layer, image, method=method, position="max")[:, 0]
    for maps, projected in zip(activations.feature_maps(layer, image)[0], found):
        place = np.unravel_index(maps.argmax(), maps.shape)
        top, left, bottom, right = receptive_field(layer).box(*place, (32, 32))
        assert projected.any() == (maps.max() > 0)
        projected[top:bottom, left:right] = 0
        assert not projected.any()


# Batches, inputs, types.


def test_batches_and_features_do_not_change_the_result(monkeypatch):
    layer = drawn(like_defauw(), seed=3)
    images = np.random.RandomState(1).randn(5, 2, 27, 25).astype(np.float32)
    whole = attributions.projection(layer, images)
    assert whole.shape == (3, 5, 27, 25) and whole.dtype == np.float32

    def check(expected, images=images, **arguments):
        found = attributions.projection(layer, images, **arguments)
        # Kernels order their sums by the batch, so last digits may differ.
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(whole).max())

    check(whole, batch_size=2)  # fewer than features
    check(whole, batch_size=7)  # two images and all features
    check(whole[[2, 0]], features=[2, 0])
    check(whole[:, 3:4], images=images[3:4])  # no image influences another's
    monkeypatch.setattr(deconvnet, "_PASS_NUMBERS", 1)
    check(whole)


@pytest.mark.parametrize("wrt, expected", [(0, 2), (1, 3)])
def test_networks_with_several_inputs(wrt, expected):
    left, right = (L.InputLayer((None, 1, 4, 4), name=name) for name in "lr")
    layer = L.ElemwiseSumLayer([left, right], coeffs=[2, 3])
    images = [np.random.RandomState(k).randn(2, 1, 4, 4).astype(np.float32) for k in range(2)]
    found = attributions.projection(layer, images, wrt=wrt, method="guided")
    assert found.shape == (1, 2, 4, 4) and (found == expected).all()
    found = attributions.projection(layer, images, wrt=wrt)
    np.testing.assert_allclose(
        found[0], expected * (2 * images[0] + 3 * images[1])[:, 0], rtol=1e-6
    )


def test_a_layer_that_two_read_is_sent_both_signals():
    inputs = L.InputLayer((None, 1, 1, 2), name="input")
    rectifier = L.NonlinearityLayer(inputs, RECTIFY)
    branch = [correlation(rectifier, [[[weight]]], nonlinearity=RECTIFY) for weight in (3, -1)]
    layer = L.ElemwiseSumLayer(branch)
    # From 3 max(0, x) the signals 3 * 3 x and, rectified before it is, -3 x.
    np.testing.assert_array_equal(raw(layer, image_of([1, -1]))[0, 0], [6, 0])


def test_eye_pairs_and_any_number_of_images():
    """De Fauw's network is built for two images and takes three."""
    layer = layers.find_layer(defauw.build(batch_size=2, size=125, reduction=16), "pool2")
    images = np.random.RandomState(0).randn(3, 3, 125, 125).astype(np.float32)
    found = attributions.projection(layer, images, features=[1, 0])
    assert found.shape == (2, 3, 125, 125)
    one = attributions.projection(layer, images[2:], features=0)
    np.testing.assert_allclose(found[1, 2], one[0, 0], atol=1e-6 * np.abs(one).max())


@both_engines
def test_lasagnes_own_layers_built_for_a_number_of_images(engine):
    inputs = L.InputLayer((2, 1, 4, 4), name="input")
    layer = L.Conv2DLayer(inputs, 1, 3, pad="same", W=lasagne.init.Constant(1))
    found = attributions.projection(layer, np.ones((3, 1, 4, 4), np.float32))
    # Sums of the activations 4, 6 and 9 of corners, edges and the middle.
    assert (found[0, :, 0, 0] == 4 + 6 + 6 + 9).all()


def pooled_twice(number):
    """Lasagne's own layers, built for a number of images; the same parameters always."""
    network = L.InputLayer((number, 2, 12, 10), name="input")
    for features in (3, 2):
        network = L.Conv2DLayer(network, features, 3, nonlinearity=LEAKY)
        network = L.MaxPool2DLayer(network, 2, stride=1)
    return drawn(network, seed=2)


@pytest.mark.parametrize(
    "engine, number, method",
    [
        ("torch", 4, "guided"),
        ("torch", 2, "deconvnet"),
        ("theano", 4, "deconvnet"),
        ("theano", 2, "guided"),
    ],
    indirect=["engine"],
)
def test_pooling_layers_built_for_a_number_of_images_take_one(engine, number, method):
    image = np.random.RandomState(3).randn(1, 2, 12, 10).astype(np.float32)
    found, expected = (
        attributions.projection(pooled_twice(each), image, method=method) for each in (number, None)
    )
    assert found.shape == (2, 1, 12, 10) and found.any()
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())


def test_a_network_in_float64_is_projected_in_float64():
    inputs = L.InputLayer((None, 1, 2, 2), name="input")
    layer = L.Conv2DLayer(inputs, 1, 1, W=np.full((1, 1, 1, 1), 1 / 3), b=None)
    found = attributions.projection(L.MaxPool2DLayer(layer, 2), np.ones((1, 1, 2, 2)))
    assert found.dtype == np.float64 and abs(found[0, 0, 0, 0] - 1 / 9) < 1e-15


def test_progress_is_shown_on_request(capsys):
    layer = L.InputLayer((None, 1, 2, 2), name="input")
    image = np.ones((1, 1, 2, 2), np.float32)
    attributions.projection(layer, image)
    assert capsys.readouterr().err == ""
    attributions.projection(layer, image, progress=True)
    assert "1/1" in capsys.readouterr().err


# What is refused.


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(position="sum"), "unknown position 'sum'; choose one of all, max"),
        (dict(features=3), "features 0 to 2, not 3"),
        (dict(features=-1), "features 0 to 2, not -1"),
        (dict(batch_size=0), "batch_size must be at least 1, not 0"),
        (dict(wrt=1), "inputs 0 to 0, not 1"),
        (dict(images=np.full((1, 1, 32, 32), np.nan, np.float32)), "not finite"),
        (dict(images=np.zeros((1, 1, 32, 31), np.float32)), "has shape .*not"),
        (dict(images=np.zeros((0, 1, 32, 32), np.float32)), "no images"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    layer = layers.find_layer(die.build("c1"), "pool1")
    usual = dict(images=np.zeros((1, 1, 32, 32), np.float32))
    with pytest.raises(ValueError, match=message):
        attributions.projection(layer, **{**usual, **arguments})


@pytest.mark.parametrize(
    "name, shown", [("norm", "norm"), (None, "LocalResponseNormalization2DLayer")]
)
def test_layers_without_a_downward_pass_are_named(name, shown):
    inputs = L.InputLayer((None, 3, 8, 8), name="input")
    network = L.LocalResponseNormalization2DLayer(inputs, name=name)
    layer = L.MaxPool2DLayer(network, 2)
    with pytest.raises(ValueError, match=f"^layer '{shown}' .* has no downward pass"):
        attributions.projection(layer, np.zeros((1, 3, 8, 8), np.float32))


def test_dense_layers_have_no_feature_maps():
    with pytest.raises(ValueError, match="'output' has units; Deconvnet starts from feature maps"):
        attributions.projection(die.build("d5"), np.zeros((1, 1, 32, 32), np.float32))


# --- What layers are, by measurement ------------------------------------------------


def of_one(*nonlinearities, weight=2.0, dtype="float32"):
    """Layers of one pixel and one weight, each with a non-linearity."""
    network = L.InputLayer((None, 1, 1, 1))
    for each in nonlinearities:
        network = L.Conv2DLayer(
            network, 1, 1, W=lasagne.init.Constant(weight), b=None, nonlinearity=each
        )
    return network


def of_value(layer, value, method):
    return attributions.projection(
        layer, np.full((1, 1, 1, 1), value, np.float32), method=method, raw=True
    ).item()


@pytest.mark.parametrize("ceiling", [3, 6, 20, 500])
def test_a_rectifier_with_a_ceiling_rectifies_signals_without_it(ceiling):
    """Two layers of weight 2, below the ceiling: 1 becomes 4, and the signal 16."""
    layer = of_one(*[lambda v: T.clip(v, 0, ceiling)] * 2)
    start = min(2 * min(2, ceiling), ceiling)
    assert of_value(layer, 1, "deconvnet") == 4 * start
    # Guided: from one, with the gradient, which is 0 above the ceiling.
    assert of_value(layer, 1, "guided") == (4 if ceiling > 4 else 0)


#: Non-linearities, what they make of a signal downwards, and whether they are affine.
FORMS = {
    "rectifier": (T.nnet.relu, lambda s: max(s, 0), False),
    "leaky": (lambda v: T.switch(v > 0, v, 0.1 * v), lambda s: s if s > 0 else 0.1 * s, False),
    "absolute": (abs, abs, False),
    "ceiling": (lambda v: T.minimum(T.nnet.relu(v), 300), lambda s: max(s, 0), False),
    "threshold": (lambda v: T.switch(v > 300, v, 0), lambda s: max(s, 0), False),
    "shifted": (lambda v: T.nnet.relu(v - 1e-3), lambda s: max(s, 0), False),
    "tanh": (T.tanh, lambda s: max(s, 0), False),
    "softplus": (T.nnet.softplus, lambda s: max(s, 0), False),
    "square": (T.sqr, lambda s: max(s, 0), False),
    "scaling": (lambda v: (v - 0.5) / 0.25, lambda s: 4 * s, True),
    "mirror": (lambda v: 1 - v, lambda s: -s, True),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", FORMS)
def test_forms_of_non_linearities(name, method):
    """A signal of -3 or 3 meets a non-linearity between two layers."""
    nonlinearity, downwards, affine = FORMS[name]
    for sign in (-3, 3):
        below = of_one(nonlinearity, weight=1.0)
        layer = L.Conv2DLayer(below, 1, 1, W=lasagne.init.Constant(sign), b=None, nonlinearity=None)
        x = T.scalar()
        value, slope = function([x], [nonlinearity(x), T.grad(nonlinearity(x), x)])(0.7)
        start = sign * value if method == "deconvnet" else 1
        signal = start * sign * (slope if method == "guided" and not affine else 1)
        assert of_value(layer, 0.7, method) == pytest.approx(downwards(signal), rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_a_rectifier_may_have_a_slope_for_each_channel(method):
    slopes = np.array([0.1, 0.5], np.float32)

    def parametric(values):
        return T.switch(values > 0, values, slopes.reshape(1, 2, 1, 1) * values)

    source = L.InputLayer((None, 2, 1, 1))
    network = L.NonlinearityLayer(source, parametric)
    layer = L.Conv2DLayer(
        network,
        1,
        1,
        W=np.array([-1, 1], np.float32).reshape(1, 2, 1, 1),
        b=None,
        nonlinearity=None,
    )
    image = np.array([2, 5], np.float32).reshape(1, 2, 1, 1)
    found = attributions.projection(layer, image, method=method, raw=True).ravel()
    start = 3 if method == "deconvnet" else 1
    np.testing.assert_allclose(found, [-0.1 * start, start], rtol=1e-6)


class Normalization(L.Layer):
    """Fixed statistics, as BatchNormLayer has them once trained."""

    def get_output_for(self, input, **kwargs):
        mean, scale = (
            np.array(each, np.float32).reshape(1, 2, 1, 1) for each in ((1, -2), (3, 0.5))
        )
        return (input - mean) * scale


class Enlarging(L.Layer):
    """Every pixel twice, along rows and columns."""

    def get_output_for(self, input, **kwargs):
        return T.repeat(T.repeat(input, 2, axis=2), 2, axis=3)

    def get_output_shape_for(self, shape):
        return (*shape[:2], 2 * shape[2], 2 * shape[3])


@pytest.mark.parametrize(
    "build",
    [
        lambda source: Normalization(source),
        lambda source: Enlarging(source),
        lambda source: L.DimshuffleLayer(source, (0, 1, 3, 2)),
        lambda source: L.ReshapeLayer(L.DenseLayer(source, 12, nonlinearity=None), ([0], 3, 2, 2)),
        lambda source: L.NonlinearityLayer(source, lambda v: (v - 0.5) / 0.25),
        lambda source: L.Pool2DLayer(source, 2, mode="average_inc_pad"),
    ],
)
def test_a_linear_layer_of_any_kind_is_transposed(build):
    """So guided back-propagation is the gradient, whole map by whole map."""
    lasagne.random.set_rng(np.random.RandomState(0))
    layer = L.Conv2DLayer(build(L.InputLayer((None, 2, 4, 6))), 3, 2, nonlinearity=None)
    images = np.random.RandomState(1).randn(2, 2, 4, 6).astype(np.float32)
    np.testing.assert_allclose(
        attributions.projection(layer, images, method="guided", raw=True),
        attributions.gradient(layer, images, target="sum", raw=True, evaluation="whole"),
        atol=1e-5,
    )


class SquaredInput(L.Conv2DLayer):
    def get_output_for(self, input, **kwargs):
        return super().get_output_for(T.sqr(input), **kwargs)


class TwiceTheMaximum(L.MaxPool2DLayer):
    def get_output_for(self, input, **kwargs):
        return 2 * super().get_output_for(input, **kwargs)


@pytest.mark.parametrize(
    "build, why",
    [
        (lambda source: SquaredInput(source, 2, 2, name="odd"), "is not linear in its input"),
        (
            lambda source: TwiceTheMaximum(source, 2, name="odd"),
            "does not give the maximum of its windows",
        ),
        (
            lambda source: L.LocalResponseNormalization2DLayer(source, name="odd"),
            "is not linear in its input",
        ),
        (lambda source: L.FeaturePoolLayer(source, 2, name="odd"), "is not linear in its input"),
        (
            lambda source: L.ElemwiseMergeLayer([source, source], T.mul, name="odd"),
            "is not linear in its input",
        ),
    ],
)
def test_what_is_neither_linear_nor_a_maximum_is_refused(build, why):
    layer = L.Conv2DLayer(build(L.InputLayer((None, 2, 6, 6))), 3, 2)
    with pytest.raises(ValueError, match=f"layer 'odd' .* has no downward pass: it {why}"):
        attributions.projection(layer, np.ones((1, 2, 6, 6), np.float32))


def test_channels_may_come_last():
    lasagne.random.set_rng(np.random.RandomState(0))
    source = L.InputLayer((None, 5, 6, 3))
    layer = L.Conv2DLayer(L.DimshuffleLayer(source, (0, 3, 1, 2)), 2, 3)
    first = L.Conv2DLayer(L.InputLayer((None, 3, 5, 6)), 2, 3)
    L.set_all_param_values(first, L.get_all_param_values(layer))
    images = np.random.RandomState(0).randn(2, 5, 6, 3).astype(np.float32)
    np.testing.assert_allclose(
        attributions.projection(layer, images),
        attributions.projection(first, images.transpose(0, 3, 1, 2)),
        atol=1e-6,
    )
    raw = attributions.projection(layer, images, raw=True)
    assert raw.shape == (2, 2, 5, 6, 3)


def test_an_input_that_computes_something_is_refused():
    """Its expression would be lost with the variable that stands for the images."""
    x = T.tensor4("x")
    layer = L.Conv2DLayer(L.InputLayer((None, 1, 4, 4), input_var=x / 255, name="scaled"), 1, 3)
    for call in (attributions.projection, attributions.gradient):
        with pytest.raises(ValueError, match="input 'scaled' is computed.*layer above it"):
            call(layer, np.ones((1, 1, 4, 4), np.float32))
