"""What every method is given: arrays of any kind, selections of features."""

import array_layouts
import attributions
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnviz.attribution import activations
from cnnviz.feature_visualization import (
    activation_maximization,
    ascent,
    patch_network,
    starting_points,
)
from cnnviz.networks import inputs
from cnnviz.runtime.backend import lasagne

L = lasagne.layers


@pytest.fixture(scope="module")
def layer():
    lasagne.random.set_rng(np.random.RandomState(0))
    return L.Conv2DLayer(L.InputLayer((None, 1, 6, 5), name="image"), 4, 3, name="conv")


@pytest.fixture(scope="module")
def units(layer):
    return L.DenseLayer(layer, 4, name="units")


IMAGES = np.random.RandomState(1).randn(2, 1, 6, 5).astype(np.float32)


# --- Features ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "features, expected",
    [
        (None, [0, 1, 2, 3]),
        (2, [2]),
        ([3, 0, 3], [3, 0, 3]),
        (range(1, 3), [1, 2]),
        (np.uint8(1), [1]),
        (np.array([2, 1]), [2, 1]),
        ((0,), [0]),
        (torch.tensor([1, 2]), [1, 2]),
        ([False, True, False, True], [1, 3]),
        (np.array([True, False, False, False]), [0]),
        (torch.tensor([False, False, True, False]), [2]),
    ],
)
def test_selections_are_read_as_numpy_reads_them(layer, features, expected):
    assert inputs.check_features(layer, features) == expected


@pytest.mark.parametrize(
    "features, message",
    [
        ([], "no features were chosen; None stands for all"),
        (np.zeros(0, int), "no features were chosen"),
        (np.zeros(0), "no features were chosen"),
        ([False] * 4, "mask is False everywhere"),
        ([True, False], "a mask of 4 truth values; not 2 of them"),
        (True, "a mask of 4 truth values; not 1 of them"),
        ([1.7], "whole numbers"),
        (1.0, "whole numbers"),
        ("1", "whole numbers"),
        ([None], "whole numbers"),
        ([[0, 1]], "whole numbers"),
        ([[0], [1, 2]], "whole numbers"),
        ([1 + 0j], "whole numbers"),
        ({0, 1}, "whole numbers"),
        (slice(2), "whole numbers"),
        (-1, "features 0 to 3, not -1"),
        ([0, 4], "features 0 to 3, not 4"),
    ],
)
def test_other_selections_are_refused(layer, units, features, message):
    with pytest.raises(ValueError, match=message):
        inputs.check_features(layer, features)
    for call in (
        lambda: attributions.gradient(layer, IMAGES, features),
        lambda: attributions.gradient(units, IMAGES, features),
        lambda: attributions.occlusion(layer, IMAGES, features, window=3),
        lambda: attributions.occlusion(layer, IMAGES, features, window=3, target="max"),
        lambda: attributions.occlusion(units, IMAGES, features, window=3),
        lambda: attributions.projection(layer, IMAGES, features),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_exemplars_take_masks_and_refuse_the_same(layer):
    network = patch_network.patch_network(layer)
    mask = [False, True, False, True]
    np.testing.assert_array_equal(
        starting_points.start_noise(network, mask), starting_points.start_noise(network, [1, 3])
    )
    for features in ([], [1.7], [False] * 4):
        with pytest.raises(ValueError, match="whole numbers|no features"):
            starting_points.start_noise(network, features)


@settings(max_examples=30)
@given(st.lists(st.booleans(), min_size=4, max_size=4).filter(any))
def test_a_mask_is_its_indices(layer, mask):
    np.testing.assert_array_equal(
        attributions.gradient(layer, IMAGES, mask),
        attributions.gradient(layer, IMAGES, np.flatnonzero(mask)),
    )


# --- Arrays -------------------------------------------------------------------------


def layouts():
    """The same images as arrays, tensors and lists of many kinds."""
    backwards = np.ascontiguousarray(IMAGES[::-1, :, ::-1])[::-1, :, ::-1]
    frozen = IMAGES.copy()
    frozen.flags.writeable = False
    return {
        "Fortran's order": np.asfortranarray(IMAGES),
        "backwards": backwards,
        "of a larger array": np.repeat(IMAGES, 2, axis=3)[..., ::2],
        "read-only": frozen,
        "one channel backwards": IMAGES[:, ::-1],
        "at an odd address": array_layouts.at_odd_address(IMAGES),
        "in records": array_layouts.in_records(IMAGES),
        "big-endian": IMAGES.astype(">f4"),
        "double": IMAGES.astype(np.float64),
        "tensor": torch.from_numpy(IMAGES.copy()),
        "tensor with a history": torch.from_numpy(IMAGES.copy()).requires_grad_() * 1,
        "list of arrays": list(IMAGES),
        "one array for the one input": [IMAGES],
        "list of tensors": [torch.from_numpy(each) for each in IMAGES.copy()],
        "nested lists": IMAGES.tolist(),
    }


@pytest.mark.parametrize("name", layouts())
def test_any_kind_of_array_gives_the_same(layer, units, name, recwarn):
    images = layouts()[name]
    for call in (
        lambda x: attributions.gradient(layer, x),
        lambda x: attributions.gradient(units, x),
        lambda x: activations.feature_maps(layer, x),
        lambda x: attributions.occlusion(layer, x, window=3),
        lambda x: attributions.occlusion(units, x, window=3, stride=2),
        lambda x: attributions.projection(layer, x),
    ):
        np.testing.assert_allclose(call(images), call(IMAGES), atol=1e-6)
    assert not [each for each in recwarn if "writable" in str(each.message)]


@pytest.mark.parametrize(
    "name", ["backwards", "read-only", "one channel backwards", "at an odd address", "big-endian"]
)
def test_exemplars_begin_with_any_kind_of_array(layer, name, recwarn):
    network, images = patch_network.patch_network(layer), layouts()[name]
    before = IMAGES.copy()
    starts = [starting_points.start_maximum(network, each).patches for each in (images, IMAGES)]
    np.testing.assert_array_equal(*starts)
    changed = starts[0][:, ::-1].astype(">f4")
    changed.flags.writeable = False
    found = [
        activation_maximization.maximize(network, each, rule=ascent.Rule(steps=2, norm=1.0))
        for each in (changed, starts[1])
    ]
    np.testing.assert_array_equal(found[0].patches, found[1].patches)
    np.testing.assert_array_equal(IMAGES, before)
    assert not [each for each in recwarn if "writable" in str(each.message)]


@pytest.mark.parametrize(
    "images, message",
    [
        ("image.png", "expected an array of numbers of shape"),
        (None, "expected an array of numbers"),
        ([[1, 2], [3]], "expected an array of numbers"),
        ([], "has shape"),
        (np.array([[["a"]]]), "not ndarray of <U1"),
        (IMAGES.astype(object), "not ndarray of object"),
        (IMAGES.astype(complex), "not ndarray of complex128"),
        ([IMAGES, IMAGES], "has 1 inputs and 2 arrays"),
        (IMAGES[0], r"has shape \(None, 1, 6, 5\), not \(1, 6, 5\)"),
        (IMAGES[:0], "no images were given"),
        (np.full_like(IMAGES, np.inf), "not finite"),
        (np.full(IMAGES.shape, 1e300), "not finite in float32"),
    ],
)
def test_what_is_no_image_is_called_what_it_is(layer, images, message):
    with pytest.raises(ValueError, match=message):
        attributions.gradient(layer, images)


def test_the_users_array_stays_as_it_is(layer):
    before = IMAGES.copy()
    attributions.occlusion(layer, IMAGES, window=3, evaluation="whole")
    attributions.gradient(layer, IMAGES)
    np.testing.assert_array_equal(IMAGES, before)


def test_a_network_on_a_bare_shape_says_how_to_begin():
    for layer in (
        L.Conv2DLayer((None, 1, 6, 5), 2, 3, name="conv"),
        L.ElemwiseSumLayer([(None, 1, 6, 5), (None, 1, 6, 5)], name="conv"),
    ):
        with pytest.raises(ValueError, match=r"'conv'.*begin it with.*InputLayer\(shape\)"):
            attributions.gradient(layer, IMAGES)


@pytest.mark.parametrize("wrt", [1, -1, 0.0, "0", None, True])
def test_an_input_is_a_whole_number(layer, wrt):
    with pytest.raises(ValueError, match=f"inputs 0 to 0, not {wrt}"):
        attributions.gradient(layer, IMAGES, wrt=wrt)


@pytest.mark.parametrize(
    "option, value",
    [("window", 3.0), ("window", "3"), ("stride", 1.5), ("stride", None), ("batch_size", 2.5)],
)
def test_counts_are_whole_numbers(layer, option, value):
    with pytest.raises(ValueError, match="must be a whole number, not"):
        attributions.occlusion(layer, IMAGES, **{"window": 3, option: value})


@pytest.mark.parametrize("shape, kind", [((None, 3, 9), L.Conv1DLayer)])
def test_a_layer_without_maps_says_what_it_has(shape, kind):
    layer = kind(L.InputLayer(shape), 4, *([3] if kind is L.Conv1DLayer else []), name="odd")
    with pytest.raises(ValueError, match="layer 'odd' gives .-dimensional output"):
        attributions.gradient(layer, np.zeros((1, *shape[1:]), np.float32))
