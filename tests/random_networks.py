"""Random stacks of local layers, for property tests."""

import contextlib

import numpy as np
from hypothesis import strategies as st

from cnnviz.networks.layers import SameConv2DLayer
from cnnviz.runtime.backend import lasagne, theano

L = lasagne.layers
_nonlinearities = lasagne.nonlinearities
POINTWISE = {
    "leaky": _nonlinearities.LeakyRectify(0.3),
    "relu": _nonlinearities.rectify,
    "tanh": _nonlinearities.tanh,
    "linear": None,
}
#: Lasagne 0.2 refuses *same* padding for even filter sizes.
PADS_EVEN = lasagne.__version__ == "0.1"


@contextlib.contextmanager
def precision(dtype):
    """Networks built meanwhile have parameters of that type."""
    with theano.change_flags(floatX=dtype):
        yield


@st.composite
def convolutions(draw, network):
    size = draw(st.sampled_from([1, 2, 3, (3, 2), 5]))
    options = dict(
        nonlinearity=POINTWISE[draw(st.sampled_from(sorted(POINTWISE)))],
        untie_biases=draw(st.booleans()),
        stride=draw(st.sampled_from([1, 2])),
        b=draw(st.sampled_from([None, lasagne.init.Normal(0.3)])),
        W=lasagne.init.Normal(0.5),
    )
    filters = draw(st.integers(1, 3))
    if size in (3, 5) and draw(st.booleans()):
        return SameConv2DLayer(network, filters, size, **options)
    if options["stride"] == 1:
        same = ["same"] if PADS_EVEN or size in (1, 3, 5) else []
        options["pad"] = draw(st.sampled_from([0, 1, *same, "full"]))
    return L.Conv2DLayer(network, filters, size, **options)


@st.composite
def poolings(draw, network):
    size = draw(st.sampled_from([2, 3, (2, 3)]))
    ignore = draw(st.booleans())
    # Theano refuses padding where incomplete windows count.
    return L.MaxPool2DLayer(
        network,
        size,
        stride=draw(st.sampled_from([1, 2])),
        pad=draw(st.sampled_from([0, 1])) if ignore else 0,
        ignore_border=ignore,
    )


@st.composite
def others(draw, network):
    if network.output_shape[1] % 2 == 0 and draw(st.booleans()):
        return L.FeaturePoolLayer(network, 2)
    return draw(
        st.sampled_from(
            [L.DropoutLayer(network, 0.5), L.NonlinearityLayer(network, _nonlinearities.tanh)]
        )
    )


def _fits(layer):
    return min(layer.output_shape[2:]) >= 1


@st.composite
def stacks(draw, dtype="float32", feature_pooling=True, depth=4):
    """The last layer of a random stack; its parameters follow from the draw."""
    with precision(dtype):
        lasagne.random.set_rng(np.random.RandomState(draw(st.integers(0, 10**6))))
        shape = draw(st.tuples(st.integers(7, 13), st.integers(7, 13)))
        network = L.InputLayer((None, draw(st.integers(1, 3)), *shape), name="images")
        network = draw(convolutions(network))
        for k in range(draw(st.integers(0, depth))):
            kind = draw(st.sampled_from([convolutions, poolings, poolings, others]))
            longer = draw(kind(network))
            if _fits(longer) and (feature_pooling or not isinstance(longer, L.FeaturePoolLayer)):
                network = longer
                network.name = f"layer{k}"
    network.name = "last"
    return network


def images(layer, count, seed=0):
    """Normal noise for a network's single input."""
    source = L.get_all_layers(layer)[0]
    dtype = L.get_all_params(layer)[0].dtype
    return np.random.RandomState(seed).randn(count, *source.shape[1:]).astype(dtype)
