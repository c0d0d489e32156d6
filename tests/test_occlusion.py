"""Occlusion against its definition, hand-worked networks and whole passes."""

import attributions
import numpy as np
import pytest
import random_networks
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.attribution import activations, interpolation, occluder, occlusion_passes
from cnnviz.attribution.occlusion import Occlusion
from cnnviz.networks import defauw, die, inputs, layers
from cnnviz.runtime import backend
from cnnviz.runtime.backend import lasagne

L = lasagne.layers


def linear(weights):
    """A dense layer that adds up weighted pixels, without non-linearity."""
    weights = np.asarray(weights, np.float32)
    source = L.InputLayer((None, 1, *weights.shape), name="images")
    layer = L.DenseLayer(source, 1, nonlinearity=None, name="sum")
    layer.W.set_value(weights.reshape(-1, 1))
    return layer


def test_forty_nine_positions_of_figure_3_1():
    found = occluder.centers((111, 111), 17)
    assert len(found) == 49
    assert found[0].tolist() == [0, 0] and found[-1].tolist() == [102, 102]
    assert occluder.centers((5, 4), 2, (1, 1, 4, 4)).tolist() == [[2, 2]]


def test_a_linear_network_loses_what_the_occluder_covers():
    """Worked by hand: a 3 x 3 occluder on a 3 x 4 image, weights 1 to 12."""
    layer = linear(np.arange(1, 13).reshape(3, 4))
    ones = np.ones((1, 1, 3, 4), np.float32)
    with pytest.raises(ValueError, match="nothing below 'sum' is local"):
        attributions.occlusion(layer, ones, window=3, evaluation="windows")
    found = attributions.occlusion(layer, ones, window=3)[0, 0]
    np.testing.assert_allclose(found, [[14, 24, 30, 22], [33, 54, 63, 45], [30, 48, 54, 38]])
    # Filled with 2 instead of 1, it gains the same.
    np.testing.assert_allclose(
        attributions.occlusion(layer, ones, window=3, baseline=2.0)[0, 0], -found
    )


@given(st.integers(0, 10**6))
def test_disjoint_occluders_on_a_linear_network_add_up(seed):
    rng = np.random.RandomState(seed)
    weights, image = rng.randn(6, 9), rng.randn(1, 1, 6, 9).astype(np.float32)
    found = attributions.occlusion(linear(weights), image, window=3, stride=1)[0, 0]
    assert found[1::3, 1::3].sum() == pytest.approx((weights * image[0, 0]).sum(), abs=1e-4)


def slow_neuron_occlusion(layer, image, feature, size, stride, fill):
    """The definition, position by position, with Lasagne alone."""

    def maps(array):
        return L.get_output(layer, array[np.newaxis], deterministic=True).eval()[0, feature]

    original = maps(image)
    neuron = np.unravel_index(original.argmax(), original.shape)
    from cnnviz.attribution.receptive_field import receptive_field

    top, left, bottom, right = receptive_field(layer).box(*neuron, image.shape[1:])
    out = np.full(image.shape[1:], np.nan)
    half = size // 2
    for row in range(0, image.shape[1], stride):
        for column in range(0, image.shape[2], stride):
            if top <= row < bottom and left <= column < right:
                padded = np.pad(image, ((0, 0), (half, half), (half, half)))
                padded[:, row : row + size, column : column + size] = fill
                inner = padded[:, half : half + image.shape[1], half : half + image.shape[2]]
                out[row, column] = original[neuron] - maps(inner)[neuron]
    return out


@pytest.mark.parametrize("engine", ["torch", "theano"])
def test_neuron_occlusion_by_its_definition(engine):
    backend.select(engine)
    try:
        source = L.InputLayer((None, 2, 9, 10), name="images")
        network = L.Conv2DLayer(
            source, 3, 3, pad="same", name="convolution", W=lasagne.init.Normal(1.0)
        )
        network = L.MaxPool2DLayer(network, 2, name="pool")
        image = random_networks.images(network, 1)
        found = attributions.occlusion(network, image, [2, 0], window=5, stride=2, baseline=0.5)
    finally:
        backend.select()
    for k, feature in enumerate((2, 0)):
        expected = slow_neuron_occlusion(network, image[0], feature, 5, 2, 0.5)
        np.testing.assert_allclose(found[k, 0], expected, atol=1e-5)


def test_batches_and_features_together_or_apart_do_not_change_the_result():
    layer = layers.find_layer(die.build("c2", seed=1), "pool2")
    images = random_networks.images(layer, 2)
    whole = attributions.occlusion(layer, images, window=5)
    for batch_size in (1, 7):
        np.testing.assert_allclose(
            attributions.occlusion(layer, images, window=5, batch_size=batch_size), whole, atol=1e-5
        )
    for feature in range(3):  # alone, a feature's own cone is cheaper
        np.testing.assert_allclose(
            attributions.occlusion(layer, images, feature, window=5)[0], whole[feature], atol=1e-5
        )


def test_a_channel_may_have_its_own_fill():
    layer = L.Conv2DLayer(
        L.InputLayer((None, 2, 5, 5), name="images"),
        1,
        1,
        nonlinearity=None,
        W=lasagne.init.Constant(1),
        name="sum",
    )
    image = np.zeros((1, 2, 5, 5), np.float32)
    image[0, :, 2, 2] = 5, 6
    found = attributions.occlusion(layer, image, window=1, baseline=[1.0, 2.0])
    assert found[0, 0, 2, 2] == 5 + 6 - 1 - 2
    assert np.isnan(found).sum() == 24


@pytest.mark.parametrize("name", ["c2", "d5"])
@pytest.mark.filterwarnings("ignore:occlusion by whole")
def test_class_scores(name):
    """Windows up to the dense layer, or whole passes from the image on."""
    network = die.build(name, seed=2)
    images = random_networks.images(network, 2)
    for layer in (network, inputs.linear(network)):
        found, expected = (
            attributions.occlusion(layer, images, [0, 5], window=5, stride=6, evaluation=method)
            for method in ("auto", "whole")
        )
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert np.nanmax(np.abs(found)) > 1e-4


def test_eye_pairs():
    """One eye is occluded at a time; both eyes' grades depend on either."""
    network = defauw.build(4, size=125, reduction=16)
    rng = np.random.RandomState(0)
    images = rng.randn(2, 3, 125, 125).astype(np.float32)
    dimensions = rng.rand(2, 2).astype(np.float32)
    found = {}
    for watched in (None, 0):
        found[watched], expected = (
            attributions.occlusion(
                inputs.linear(network),
                [images, dimensions],
                [1],
                stride=40,
                group=2,
                watched=watched,
                evaluation=method,
            )
            for method in ("auto", "whole")
        )
        np.testing.assert_allclose(found[watched], expected, atol=1e-5)
    # Of the second eye's occlusion, the first eye's grade is another number.
    np.testing.assert_array_equal(found[None][:, 0], found[0][:, 0])
    assert not np.allclose(found[None][:, 1], found[0][:, 1], equal_nan=True)
    compute = L.get_output(inputs.linear(network), deterministic=True)
    original = _evaluate(compute, network, images, dimensions)
    occluded = images.copy()
    occluded[1, :, 35:46, 75:86] = 0
    changed = _evaluate(compute, network, occluded, dimensions)
    assert found[None][0, 1, 40, 80] == pytest.approx(original[1, 1] - changed[1, 1], abs=1e-5)


def _evaluate(output, network, images, dimensions):
    sources = [layers.find_layer(network, name) for name in ("images", "dimensions")]
    return output.eval(
        {
            sources[0].input_var: np.tile(images, (2, 1, 1, 1)),
            sources[1].input_var: np.tile(dimensions, (2, 1)),
        }
    )


def test_missing_positions_are_interpolated():
    visited = np.full((5, 7), np.nan)
    visited[::2, ::3] = [[0, 3, 6], [2, 5, 8], [4, 7, 10]]
    expected = np.arange(5)[:, np.newaxis] + np.arange(7.0)
    np.testing.assert_allclose(interpolation.interpolated(visited), expected)
    # Beyond the last visited column the nearest goes on, up to a stride.
    visited = np.full((1, 8), np.nan)
    visited[0, [1, 3]] = 1, 2
    assert interpolation.interpolated(visited).tolist() == [[0, 1, 1.5, 2, 2, 0, 0, 0]]
    assert interpolation.interpolated(np.full((2, 2), np.nan), -1.0).tolist() == [[-1, -1]] * 2
    visited = np.full((3, 3), np.nan)
    visited[[0, 2], [0, 2]] = 1
    with pytest.raises(ValueError, match="on no grid"):
        interpolation.interpolated(visited)


def test_a_map_without_gaps_is_not_changed():
    maps = np.random.RandomState(0).randn(2, 3, 4, 5)
    np.testing.assert_array_equal(interpolation.interpolated(maps), maps)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(window=4), "must be odd"),
        (dict(window=-1), "must be odd"),
        (dict(stride=0), "stride must be at least 1"),
        (dict(features=3), "features 0 to 2, not 3"),
        (dict(evaluation="fast"), "unknown evaluation 'fast'"),
        (dict(batch_size=-2), "batch_size must be at least 1"),
        (dict(wrt=1), "inputs 0 to 0, not 1"),
        (dict(images=np.zeros((1, 1, 30, 32))), "has shape"),
        (dict(images=np.full((1, 1, 32, 32), np.nan)), "not finite"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    layer = layers.find_layer(die.build("c1"), "pool1")
    given = {"images": np.zeros((1, 1, 32, 32)), "window": 3, **arguments}
    with pytest.raises(ValueError, match=message):
        attributions.occlusion(layer, **given)


def test_bad_arguments_of_maps_and_outputs_are_refused():
    network = die.build("c1")
    images = np.zeros((3, 1, 32, 32))
    with pytest.raises(ValueError, match="unknown target 'mean'"):
        attributions.occlusion(layers.find_layer(network, "pool1"), images, target="mean")
    with pytest.raises(ValueError, match="split into groups of 2"):
        attributions.occlusion(network, images, group=2)
    with pytest.raises(ValueError, match="unknown evaluation"):
        attributions.occlusion(network, images, evaluation="slow")


# --- Strides --------------------------------------------------------------------


def small():
    lasagne.random.set_rng(np.random.RandomState(0))
    return L.Conv2DLayer(L.InputLayer((None, 1, 10, 9), name="image"), 2, 3, pad=1, name="conv")


def noise(count=1, shape=(1, 10, 9)):
    return np.random.RandomState(3).randn(count, *shape).astype(np.float32)


def test_a_stride_that_misses_the_receptive_field_is_refused():
    with pytest.raises(
        ValueError,
        match="stride 4 is larger than the receptive field of "
        "layer 'conv', 3 × 3 pixels.*choose 3 at most",
    ):
        attributions.occlusion(small(), noise(), window=3, stride=4)


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("method", ["windows", "whole"])
def test_every_neuron_is_occluded_somewhere(size, stride, method):
    """Also one in a corner, of which the border leaves less than a stride."""
    layer, image = small(), noise()
    for place in np.ndindex(10, 9):
        peak = np.zeros_like(image)
        peak[0, 0][place] = 100  # makes the maximal neuron lie here, by either sign
        found = attributions.occlusion(
            layer, image + peak, window=size, stride=stride, evaluation=method
        )
        assert np.isfinite(found).any(axis=(2, 3)).all()
        if size > 3:  # the peak cannot escape then
            assert np.nanmax(np.abs(found), axis=(2, 3)).min() > 0


def test_the_middle_stands_for_a_field_that_the_stride_misses():
    """A network that is its last pixel, occluded there although the stride passes by."""
    source = L.InputLayer((None, 1, 5, 5), name="image")
    layer = L.Conv2DLayer(
        source, 1, 2, stride=3, nonlinearity=None, name="corners", W=lasagne.init.Constant(1)
    )
    image = np.zeros((1, 1, 5, 5), np.float32)
    image[0, 0, 3:, 3:] = 1
    found = attributions.occlusion(layer, image, window=1, stride=2)
    assert np.argwhere(np.isfinite(found[0, 0])).tolist() == [[4, 4]]
    assert found[0, 0, 4, 4] == 1


@pytest.mark.parametrize("kind", ["map", "units"])
def test_a_stride_beyond_the_image_is_refused(kind):
    layer = small()
    if kind == "units":
        layer = L.DenseLayer(layer, 2, name="units")
    assert np.isfinite(Occlusion(layer, 3, 10, target="max").attribute(noise())).any()
    with pytest.raises(ValueError, match="stride 11 is larger than the image, 10 × 9"):
        Occlusion(layer, 3, 11, target="max").attribute(noise())


# --- What shows through the occluder ----------------------------------------------


def occluded_by_hand(layer, images, fill, size, k):
    """Sum of the map of feature k on images with an occluder around every pixel."""

    def score(pictures):
        return activations.feature_maps(layer, pictures)[:, k].sum(axis=(1, 2))

    reach, out = size // 2, np.zeros((len(images), *images.shape[2:]))
    fill = np.broadcast_to(fill, images.shape)
    for row, column in np.ndindex(*images.shape[2:]):
        hidden = images.copy()
        place = np.s_[
            :, :, max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1
        ]
        hidden[place] = fill[place]
        out[:, row, column] = score(images) - score(hidden)
    return out


FILLS = {
    "a number": -1.5,
    "channels": np.array([0.5, -2]),
    "a picture": np.random.RandomState(0).randn(2, 10, 9),
    "a column": np.random.RandomState(0).randn(2, 10, 1),
    "a picture for each image": np.random.RandomState(0).randn(3, 2, 10, 9),
    "a color for each image": np.random.RandomState(0).randn(3, 2, 1, 1),
}


@pytest.mark.parametrize("method", ["windows", "whole"])
@pytest.mark.parametrize("name", FILLS)
def test_any_picture_shows_through_the_occluder(name, method):
    lasagne.random.set_rng(np.random.RandomState(0))
    layer = L.Conv2DLayer(L.InputLayer((None, 2, 10, 9)), 2, 3, pad=1, name="conv")
    images, fill = noise(3, (2, 10, 9)), np.asarray(FILLS[name], np.float32)
    shown = fill.reshape({0: (1, 1, 1, 1), 1: (1, -1, 1, 1)}.get(fill.ndim, fill.shape))
    options = dict(window=3, baseline=fill, evaluation=method)
    found = attributions.occlusion(layer, images, target="sum", **options)
    for k in range(2):
        np.testing.assert_allclose(
            found[k], occluded_by_hand(layer, images, shown, 3, k), atol=1e-4
        )
    # The same occluders, read off one neuron and off units above the map.
    units = L.DenseLayer(layer, 2, W=lasagne.init.Constant(0), nonlinearity=None, name="units")
    weights = np.zeros(units.W.get_value().shape, np.float32)
    weights[:90, 0] = weights[90:, 1] = 1
    units.W.set_value(weights)
    np.testing.assert_allclose(attributions.occlusion(units, images, **options), found, atol=1e-4)
    neurons = attributions.occlusion(layer, images, **options)
    np.testing.assert_allclose(
        neurons,
        attributions.occlusion(layer, images, **{**options, "evaluation": "whole"}),
        atol=1e-5,
    )


@pytest.mark.parametrize(
    "fill, message",
    [
        (np.nan, "baseline holds values that are not finite"),
        (np.inf, "not finite"),
        ([0, np.nan], "not finite"),
        ("gray", "baseline must be numbers"),
        (None, "not finite"),
        (np.zeros(3), r"baseline has shape \(3,\); it must be one number, or of shape \(2,\)"),
        (np.zeros((10, 9)), "baseline has shape"),
        (np.zeros((2, 9, 10)), "baseline has shape"),
        (np.zeros((1, 10, 9)), "baseline has shape"),
        (np.zeros((2, 2, 10, 9)), "baseline has shape"),
        (np.zeros((3, 1, 10, 9)), "baseline has shape"),
    ],
)
def test_other_fills_are_refused(fill, message):
    layer = L.Conv2DLayer(L.InputLayer((None, 2, 10, 9)), 2, 3, name="conv")
    units = L.DenseLayer(layer, 2, name="units")
    for target, top in (("neuron", layer), ("max", layer), ("neuron", units)):
        with pytest.raises(ValueError, match=message):
            Occlusion(top, 3, baseline=fill, target=target).attribute(noise(3, (2, 10, 9)))


# --- Inputs that are no images ----------------------------------------------------


@pytest.mark.parametrize(
    "shape, above",
    [
        ((None, 8), None),
        ((None, 2, 9), None),
        ((None, 2, 3, 4, 5), None),
        ((None, 10, 9, 2), (0, 3, 1, 2)),
    ],
)
def test_occlusion_of_what_is_no_image_is_refused(shape, above):
    network = L.InputLayer(shape, name="odd")
    if above:
        network = L.DimshuffleLayer(network, above)
    units = L.DenseLayer(network, 2, name="units")
    with pytest.raises(
        ValueError,
        match=r"occlusion needs images \(batch, channel, row, "
        r"column\), and input 'odd'",
    ):
        attributions.occlusion(units, np.zeros((1, *shape[1:]), np.float32), window=3)


def test_occlusion_beside_a_vector_input():
    """By the image it works; by the vector it is refused."""
    image, vector = L.InputLayer((None, 1, 6, 6), name="image"), L.InputLayer((None, 2), name="age")
    flat = L.FlattenLayer(L.Conv2DLayer(image, 2, 3, name="conv"))
    units = L.DenseLayer(L.ConcatLayer([flat, vector]), 2, name="units")
    arrays = [noise(2, (1, 6, 6)), np.ones((2, 2), np.float32)]
    assert np.isfinite(attributions.occlusion(units, arrays, window=3)).all()
    with pytest.raises(ValueError, match="input 'age' has shape"):
        attributions.occlusion(units, arrays, window=3, wrt=1)


@pytest.mark.parametrize("kind", ["neuron", "max", "units"])
def test_inputs_that_leave_their_size_open(kind):
    lasagne.random.set_rng(np.random.RandomState(0))
    network = L.Conv2DLayer(L.InputLayer((None, 2, None, None)), 3, 3, pad=1, name="conv")
    layer = L.MaxPool2DLayer(network, 2, name="pool")
    if kind == "units":
        layer = L.DenseLayer(L.GlobalPoolLayer(layer), 2, name="units")
    for shape in ((11, 8), (6, 14)):
        images = noise(2, (2, *shape))
        np.testing.assert_allclose(
            *(
                Occlusion(
                    layer, 3, 2, target=kind if kind == "max" else "neuron", evaluation=evaluation
                ).attribute(images)
                for evaluation in ("windows", "whole")
            ),
            atol=1e-5,
        )


def test_one_object_serves_many_images_and_compiles_once(monkeypatch):
    layer = small()
    method = Occlusion(layer, 3, evaluation="windows")
    monkeypatch.setattr(occlusion_passes, "trusted_stack", None)  # nothing more is compiled
    for seed in range(3):
        images = np.random.RandomState(seed).randn(1, 1, 10, 9).astype(np.float32)
        np.testing.assert_allclose(
            method.attribute(images),
            attributions.occlusion(layer, images, window=3, evaluation="whole").swapaxes(0, 1)[
                :, :, np.newaxis
            ],
            atol=1e-5,
        )
