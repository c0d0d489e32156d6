"""What networks compute, as the methods differentiate it."""

import attributions
import numpy as np
import pytest

from cnnviz.attribution import activations
from cnnviz.networks import expressions, inputs
from cnnviz.runtime import backend
from cnnviz.runtime.backend import T, function, lasagne

L = lasagne.layers


@pytest.fixture(params=["torch", "theano"])
def engine(request):
    backend.select(request.param)
    yield request.param
    backend.select()


def compute(layer, images, ties="all"):
    below, variables = inputs.input_variables(layer)
    return function(variables, expressions.output(layer, dict(zip(below, variables)), ties))(
        *images
    )


def branched():
    """Two branches from two inputs, with pools that overlap, and are padded."""
    lasagne.random.set_rng(np.random.RandomState(0))
    first, second = (L.InputLayer((None, 1, 7, 8)) for _ in range(2))
    left = L.MaxPool2DLayer(L.Conv2DLayer(first, 2, 3, pad=1), 3, stride=1, pad=1)
    right = L.MaxPool2DLayer(L.Conv2DLayer(second, 2, 1), (3, 2), stride=(1, 1), pad=(1, 0))
    right = L.PadLayer(right, ((0, 0), (0, 1)))
    return L.ConcatLayer([L.ElemwiseSumLayer([left, right]), left], name="both")


def test_values_do_not_depend_on_the_rule_for_ties():
    layer = branched()
    images = np.random.RandomState(0).randint(0, 2, (2, 3, 1, 7, 8)).astype(np.float32)
    expected = L.get_output(
        layer, dict(zip(inputs.input_variables(layer)[0], images)), deterministic=True
    ).eval()
    for ties in ("all", "first"):
        np.testing.assert_allclose(compute(layer, images, ties), expected, atol=1e-6)


@pytest.mark.parametrize("mode", ["average_exc_pad", "average_inc_pad"])
def test_padded_averages_by_hand(engine, mode):
    """A 2 x 2 window with one pixel of padding, on a picture of 2 x 2."""
    layer = L.Pool2DLayer(L.InputLayer((None, 1, 2, 2)), 2, stride=2, pad=1, mode=mode, name="pool")
    image = np.array([[[[1, 2], [3, 4]]]], np.float32)
    share = 1 if mode == "average_exc_pad" else 0.25
    np.testing.assert_allclose(activations.feature_maps(layer, image), share * image)
    with np.testing.suppress_warnings() as quiet:
        quiet.filter(UserWarning)  # of other sizes at the border, so whole passes
        np.testing.assert_allclose(
            attributions.gradient(layer, image, target="sum"), share * np.ones((1, 1, 2, 2))
        )
        np.testing.assert_allclose(attributions.gradient(layer, image), [[[[0, 0], [0, share]]]])


def test_a_layer_that_fails_is_named():
    class Broken(L.Layer):
        def get_output_for(self, input, **kwargs):
            return input.reshape((1, 2, self.rows))

    layer = L.NonlinearityLayer(Broken(L.InputLayer((None, 1, 4, 4)), name="broken"), T.tanh)
    with pytest.raises(
        ValueError,
        match=r"layer 'broken' \(Broken\) cannot be computed: "
        "AttributeError: .*no attribute 'rows'",
    ):
        activations.feature_maps(layer, np.zeros((1, 1, 4, 4), np.float32))


def test_what_lies_below_a_given_layer_is_left_out():
    layer = branched()
    below = layer.input_layers[0]
    given = T.ones((1, 2, 7, 8))
    first = inputs.input_variables(layer)[0][0]
    found = expressions.output(layer, {below: given, first: T.ones((1, 1, 7, 8))})
    assert (found.eval()[:, :2] == 1).all()


@pytest.mark.parametrize(
    "build",
    [
        lambda source: L.LocalResponseNormalization2DLayer(source),
        lambda source: L.NINLayer(source, 3),
        lambda source: L.Pool2DLayer(source, 2),
        lambda source: L.FeaturePoolLayer(source, 2),
        lambda source: L.Conv2DLayer(source, 3, 3),
        lambda source: L.GlobalPoolLayer(L.PadLayer(source, 1)),
    ],
)
def test_layers_built_for_a_number_of_images_take_any(build):
    fixed, free = (build(L.InputLayer((number, 4, 6, 6))) for number in (2, None))
    L.set_all_param_values(fixed, L.get_all_param_values(free))
    images = np.random.RandomState(0).randn(3, 4, 6, 6).astype(np.float32)
    np.testing.assert_array_equal(compute(fixed, [images]), compute(free, [images]))


def test_sequences_do_not_warn_of_lasagnes_age(recwarn):
    layer = L.Conv1DLayer(L.InputLayer((None, 2, 9)), 3, 3)
    compute(layer, [np.zeros((1, 2, 9), np.float32)])
    assert not [each for each in recwarn if "image_shape" in str(each.message)]
