"""The networks of chapter 5 (thesis section 5.2, Table 5.1), and one with sigmoid units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.datasets.die360 import CLASSES, SIZE
from cnnviz.networks.die_architectures import CONVOLUTIONAL, EXTRA, NAMES, architecture
from cnnviz.networks.layers import SameConv2DLayer
from cnnviz.runtime.backend import lasagne

if TYPE_CHECKING:
    from lasagne.layers import Layer

__all__ = ["CONVOLUTIONAL", "EXTRA", "NAMES", "build"]

FILTERS = 3
# Of convolutions, by their units: non-linearity and initial weights.
_UNITS = {
    "rectifier": (lasagne.nonlinearities.rectify, lasagne.init.HeUniform(gain="relu")),
    "sigmoid": (lasagne.nonlinearities.sigmoid, lasagne.init.GlorotUniform(4.0)),
}


def build(name: str, seed: int = 0) -> Any:
    """A Die360 network, freshly initialized.

    Every convolution has 3 filters of 3x3 with *same* padding and a ReLU, or
    sigmoid units; every pooling layer takes the maximum over 2x2; a dense
    softmax layer follows.  The two-layer perceptrons have sigmoid hidden units.

    Parameters
    ----------
    name : str
        c1, c2, c3, c4, c9, d5, d10 or d20; or c4_sigmoid,
        and likewise for the other convolutional ones (:data:`.die_architectures.ARCHITECTURES`).
    seed : int
        Of the initial weights (He et al. 2015 before a ReLU; Glorot and
        Bengio 2010 elsewhere, four times as large before convolutions' sigmoids).

    Returns
    -------
    lasagne.layers.Layer
        Output layer ``(batch, 6)``; input is ``(batch, 1, 32, 32)``.

    Raises
    ------
    UserError
        For an unknown name.
    """
    wanted = architecture(name)
    layers, nonlinearities = lasagne.layers, lasagne.nonlinearities
    # Lasagne's initializers draw from one global generator.
    lasagne.random.set_rng(np.random.RandomState(seed))
    network = layers.InputLayer((None, 1, SIZE, SIZE), name="input")
    if wanted.is_convolutional:
        network = _convolutional(network, wanted.blocks, *_UNITS[wanted.units])
    else:
        network = layers.DenseLayer(
            network,
            wanted.hidden,
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


def _convolutional(
    network: Layer, blocks: Sequence[int], nonlinearity: Callable[..., Any], initial
) -> Layer:
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
