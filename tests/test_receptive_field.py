"""Receptive fields against literals and against perturbed pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnviz.attribution.receptive_field import depth, receptive_field
from cnnviz.networks import die, layers
from cnnviz.runtime.backend import T, function, lasagne

L = lasagne.layers


def figure_2_5():
    """Thesis Figure 2.5: a 3x3 layer of stride 3 below a 2x2 layer."""
    network = L.InputLayer((None, 1, 30, 30))
    network = L.Conv2DLayer(network, 1, 3, stride=3)
    return L.Conv2DLayer(network, 1, 2)


def test_figure_2_5_has_a_field_of_6_by_6():
    assert receptive_field(figure_2_5()).size == (6, 6)


@pytest.mark.parametrize("name, sizes", [("c1", [4]), ("c4", [4, 10, 22, 46]), ("c9", [8, 22, 50])])
def test_fields_of_the_die_networks(name, sizes):
    found = [receptive_field(layer) for layer in layers.pooling_layers(die.build(name))]
    assert [field.size for field in found] == [(size, size) for size in sizes]
    assert [field.stride for field in found] == [(2**k, 2**k) for k in range(1, len(sizes) + 1)]


def test_boxes_are_clipped_at_the_border():
    field = receptive_field(layers.find_layer(die.build("c1"), "pool1"))
    assert field.box(0, 0) == (-1, -1, 3, 3)
    assert field.box(0, 0, (32, 32)) == (0, 0, 3, 3)
    assert field.box(15, 2, (32, 32)) == (29, 3, 32, 7)


def test_depth_is_the_index_of_equation_2_10():
    network = figure_2_5()
    assert [depth(layer) for layer in L.get_all_layers(network)] == [0, 0, 1]


def test_depth_counts_convolution_and_pooling_layers_alone():
    network = L.InputLayer((None, 1, 32, 32))
    network = L.NonlinearityLayer(L.Conv2DLayer(network, 1, 3))
    assert depth(L.MaxPool2DLayer(L.DropoutLayer(network), 2)) == 1
    assert [depth(layer) for layer in layers.pooling_layers(die.build("c9"))] == [3, 7, 11]
    with pytest.raises(ValueError, match="'output' has no receptive field"):
        depth(die.build("c1"))


def test_dense_layers_have_none():
    with pytest.raises(ValueError, match="'output' has no receptive field"):
        receptive_field(die.build("c1"))


@settings(max_examples=12, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["conv", "same", "pool"]), st.integers(1, 5), st.integers(1, 3)),
        min_size=1,
        max_size=4,
    ),
    st.integers(0, 10**6),
)
def test_box_is_exactly_where_the_input_matters(stack, seed):
    """Positive weights and no zeros: every pixel of the field matters."""
    side = 40
    network = L.InputLayer((None, 1, side, side))
    positive = dict(W=lasagne.init.Uniform((0.5, 1)), nonlinearity=None)
    for kind, size, stride in stack:
        if kind == "conv":
            network = L.Conv2DLayer(network, 1, size, stride=stride, **positive)
        elif kind == "same":
            network = layers.SameConv2DLayer(network, 1, size | 1, stride=stride, **positive)
        else:  # averages, since a maximum hides all but one pixel
            network = L.Pool2DLayer(network, size, stride=stride, mode="average_inc_pad")
        if min(network.output_shape[2:]) < 6:
            return
    rng = np.random.RandomState(seed)
    row, column = (rng.randint(extent) for extent in network.output_shape[2:])
    inputs = T.tensor4()
    neuron = L.get_output(network, inputs)[0, 0, row, column]
    gradient = function([inputs], T.grad(neuron, inputs))(np.zeros((1, 1, side, side), np.float32))[
        0, 0
    ]
    top, left, bottom, right = receptive_field(network).box(row, column, gradient.shape)
    inside = np.zeros(gradient.shape, bool)
    inside[top:bottom, left:right] = True
    assert not gradient[~inside].any()
    # Strides larger than windows leave gaps inside, never at the corners.
    assert gradient[top, left] > 0 and gradient[bottom - 1, right - 1] > 0
