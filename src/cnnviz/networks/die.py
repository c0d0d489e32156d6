"""The networks of chapter 5 (thesis section 5.2, Table 5.1), and one with sigmoid units."""

import numpy as np

from cnnviz.datasets.die360 import CLASSES, SIZE
from cnnviz.networks.layers import SameConv2DLayer
from cnnviz.runtime.backend import lasagne
from cnnviz.runtime.errors import UserError

__all__ = ["NAMES", "CONVOLUTIONAL", "EXTRA", "build"]

FILTERS = 3
# Convolutional layers before each pooling layer.
_CONVOLUTIONS = {"c1": [1], "c2": [1, 1], "c3": [1, 1, 1], "c4": [1, 1, 1, 1], "c9": [3, 3, 3]}
_HIDDEN = {"d5": 5, "d10": 10, "d20": 20}

CONVOLUTIONAL = tuple(_CONVOLUTIONS)
NAMES = CONVOLUTIONAL + tuple(_HIDDEN)
#: Beyond the thesis: a network with saturating units, which section 6 asks about.
EXTRA = ("c4_sigmoid",)
# Of convolutions, by the end of a network's name: non-linearity and initial weights.
_UNITS = {
    "": (lasagne.nonlinearities.rectify, lasagne.init.HeUniform(gain="relu")),
    "sigmoid": (lasagne.nonlinearities.sigmoid, lasagne.init.GlorotUniform(4.0)),
}


def build(name, seed=0):
    """A Die360 network, freshly initialized.

    Every convolution has 3 filters of 3x3 with *same* padding and a ReLU, or
    sigmoid units where the name ends in ``_sigmoid``; every pooling layer takes
    the maximum over 2x2; a dense softmax layer follows.  The two-layer
    perceptrons have sigmoid hidden units.

    Parameters
    ----------
    name : str
        c1, c2, c3, c4, c9, d5, d10 or d20; or c4_sigmoid, and likewise for the
        other convolutional ones.
    seed : int
        Of the initial weights (He et al. 2015 before a ReLU; Glorot and
        Bengio 2010 elsewhere, four times as large before convolutions' sigmoids).

    Returns
    -------
    lasagne.layers.Layer
        Output layer ``(batch, 6)``; input is ``(batch, 1, 32, 32)``.

    Raises
    ------
    ValueError
        For an unknown name.
    """
    architecture, _, units = name.partition("_")
    if name not in NAMES and not (units and architecture in _CONVOLUTIONS and units in _UNITS):
        raise UserError(f"unknown network '{name}'; choose one of " + ", ".join(NAMES + EXTRA))
    layers, nonlinearities = lasagne.layers, lasagne.nonlinearities
    # Lasagne's initializers draw from one global generator.
    lasagne.random.set_rng(np.random.RandomState(seed))
    network = layers.InputLayer((None, 1, SIZE, SIZE), name="input")
    if architecture in _CONVOLUTIONS:
        network = _convolutional(network, _CONVOLUTIONS[architecture], *_UNITS[units])
    else:
        network = layers.DenseLayer(
            network,
            _HIDDEN[name],
            nonlinearity=nonlinearities.sigmoid,
            W=lasagne.init.GlorotUniform(),
            name="hidden",
        )
    return layers.DenseLayer(
        network,
        CLASSES,
        W=lasagne.init.GlorotUniform(),
        nonlinearity=nonlinearities.softmax,
        name="output",
    )


def _convolutional(network, blocks, nonlinearity, initial):
    """Convolutions and, after each block of them, a pooling layer."""
    layers = lasagne.layers
    count = 0
    for block, convolutions in enumerate(blocks, 1):
        for _ in range(convolutions):
            count += 1
            network = SameConv2DLayer(
                network, FILTERS, 3, nonlinearity=nonlinearity, W=initial, name=f"conv{count}"
            )
        network = layers.MaxPool2DLayer(network, 2, name=f"pool{block}")
    return network
