"""De Fauw's network for diabetic retinopathy (thesis section 4.2, Table 4.1).

Model 2015_07_17_123003 of De Fauw's entry to the Kaggle competition.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.networks import weights
from cnnviz.networks.layers import (
    NormalizedConv2DLayer,
    SameConv2DLayer,
    find_layer,
    layers_of_type,
)
from cnnviz.runtime import paths
from cnnviz.runtime.backend import T, function, lasagne
from cnnviz.runtime.errors import UserError

if TYPE_CHECKING:
    from lasagne.layers import Layer

__all__ = [
    "EIGHT_BIT",
    "GRADES",
    "LEAKINESS",
    "SIZE",
    "build",
    "convolutional_stack",
    "fold",
    "load",
    "unfold",
]

SIZE = 512
GRADES = 5
LEAKINESS = 0.5
# Filters of each convolution, block by block; a pooling layer ends a block.
_BLOCKS = ((32,), (32, 32), (64, 64), (128,) * 4, (256,) * 4)
_UNITS = 1024
#: The huge matrix, 12,845,056 numbers, that shipped weights keep in 8 bits.
EIGHT_BIT = ("dense1.W",)
# Pixels that leave one neuron after the first convolution and five poolings.
_LEAST_SIZE = 125
_DROPOUT = 0.5
_BIAS = 0.1


def convolutional_stack(
    incoming: Layer, untie_biases: bool = True, reduction: int = 1, normalize: bool = False
) -> Layer:
    """The five blocks of convolutions and pooling.

    Every convolution is a cross-correlation with *same* padding, 3x3 but for
    the first (7x7, stride 2), followed by a leaky rectifier; every pooling
    layer takes the maximum over 3x3 with stride 2 and drops incomplete
    windows.

    Parameters
    ----------
    incoming : lasagne.layers.Layer
        Images ``(batch, 3, rows, columns)``.
    untie_biases : bool
        One bias for every feature map and position, as in De Fauw's.
    reduction : int
        Divides every number of filters.
    normalize : bool
        Normalize every convolution over the batch, for training only: see
        :func:`fold`.

    Returns
    -------
    lasagne.layers.Layer
        The last pooling layer, ``(batch, 256, 7, 7)`` for 512 x 512 pixels.
    """
    layers = lasagne.layers
    rectify = lasagne.nonlinearities.LeakyRectify(LEAKINESS)
    convolution = NormalizedConv2DLayer if normalize else SameConv2DLayer
    network, count = incoming, 0
    for block, filters in enumerate(_BLOCKS, 1):
        for number in filters:
            count += 1
            size, stride = (7, 2) if count == 1 else (3, 1)
            network = convolution(
                network,
                number // reduction,
                size,
                stride=stride,
                nonlinearity=rectify,
                untie_biases=untie_biases,
                W=lasagne.init.Orthogonal(1.0),
                b=lasagne.init.Constant(_BIAS),
                name=f"conv{count}",
            )
        network = layers.MaxPool2DLayer(
            network, 3, stride=2, ignore_border=True, name=f"pool{block}"
        )
    return network


def _maxout(incoming: Layer, units: int, name: str) -> Layer:
    """Dense layer of linear units, and the maximum of every two."""
    layers = lasagne.layers
    dense = layers.DenseLayer(
        incoming,
        units,
        nonlinearity=None,
        W=lasagne.init.Orthogonal(1.0),
        b=lasagne.init.Constant(_BIAS),
        name=name,
    )
    return layers.FeaturePoolLayer(dense, 2, name=f"{name}_maxout")


def _check(batch_size: int, size: int, reduction: int) -> None:
    if batch_size < 2 or batch_size % 2:
        raise UserError(
            f"batch_size must be even, since images come in eye pairs, not {batch_size}"
        )
    if size < _LEAST_SIZE:
        raise UserError(
            f"size must be at least {_LEAST_SIZE}, so that five "
            f"pooling layers leave a neuron, not {size}"
        )
    if reduction < 1 or _BLOCKS[0][0] % reduction:
        raise UserError(
            f"reduction must divide {_BLOCKS[0][0]}, the fewest filters of a layer, not {reduction}"
        )


def build(
    batch_size: int = 2,
    seed: int = 0,
    size: int = SIZE,
    reduction: int = 1,
    untie_biases: bool = True,
    normalize: bool = False,
) -> Layer:
    """De Fauw's network, freshly initialized.

    Parameters come in the order of his published ones: W and b of each layer,
    from the input on.

    Parameters
    ----------
    batch_size : int
        Even: images come in eye pairs, left, right, left, right.
    seed : int
        Of the initial weights (orthogonal, gain 1) and of dropout.
    size : int
        Rows and columns of an image; 512 in De Fauw's, 125 at least.
    reduction : int
        Divides every number of filters and of hidden units, for quick tests: 2, 4,
        8, 16 or 32.
    untie_biases, normalize : bool
        As for :func:`convolutional_stack`.

    Returns
    -------
    lasagne.layers.Layer
        Output layer ``(batch, 5)``.  The inputs are "images"
        ``(batch, 3, size, size)`` and "dimensions" ``(batch, 2)``.

    Raises
    ------
    ValueError
        For an odd batch size, images too small for five pooling layers, or a
        reduction that does not divide 32.
    """
    _check(batch_size, size, reduction)
    layers = lasagne.layers
    lasagne.random.set_rng(np.random.RandomState(seed))
    images = layers.InputLayer((batch_size, 3, size, size), name="images")
    dimensions = layers.InputLayer((batch_size, 2), name="dimensions")
    network = convolutional_stack(images, untie_biases, reduction, normalize)
    network = layers.DropoutLayer(network, _DROPOUT, name="dropout1")
    network = _maxout(network, _UNITS // reduction, "dense1")
    network = layers.ConcatLayer([network, dimensions], name="with_dimensions")
    # Both eyes of a patient side by side.
    features = network.output_shape[1]
    network = layers.ReshapeLayer(network, (batch_size // 2, 2 * features), name="patients")
    network = layers.DropoutLayer(network, _DROPOUT, name="dropout2")
    network = _maxout(network, _UNITS // reduction, "dense2")
    network = layers.DropoutLayer(network, _DROPOUT, name="dropout3")
    network = layers.DenseLayer(
        network,
        2 * GRADES,
        nonlinearity=None,
        W=lasagne.init.Orthogonal(1.0),
        b=lasagne.init.Constant(_BIAS),
        name="grades",
    )
    network = layers.ReshapeLayer(network, (batch_size, GRADES), name="eyes")
    return layers.NonlinearityLayer(network, lasagne.nonlinearities.softmax, name="output")


def fold(normalized: Layer, plain: Layer) -> None:
    """Give a plain network the weights of one trained with normalization.

    Scale, mean and variance of a feature map go into its filter and its
    biases, so that both networks compute the same with dropout off.

    Parameters
    ----------
    normalized, plain : lasagne.layers.Layer
        Output layers, built alike but for ``normalize``; ``plain`` is changed.
    """
    values = {
        parameter.name: parameter.get_value()
        for parameter in lasagne.layers.get_all_params(normalized)
    }
    for layer in layers_of_type(normalized, NormalizedConv2DLayer):
        values[layer.W.name], values[layer.b.name] = layer.folded()
    for parameter in lasagne.layers.get_all_params(plain):
        parameter.set_value(values[parameter.name].astype(parameter.dtype))


def unfold(normalized: Layer, pixels: np.ndarray) -> None:
    """Normalize a network whose weights were folded, to train it further.

    The inverse of :func:`fold`: what the network computes with dropout off
    stays the same, and each layer's running statistics are those of a batch.

    Parameters
    ----------
    normalized : lasagne.layers.Layer
        Output layer, built with ``normalize`` and given folded weights; changed.
    pixels : float array, ``(n, 3, size, size)``
        A batch as in training.
    """
    convolutions = layers_of_type(normalized, NormalizedConv2DLayer)
    images = find_layer(normalized, "images")
    given = T.tensor4("images")
    inputs = lasagne.layers.get_output(
        [layer.input_layer for layer in convolutions], {images: given}, deterministic=True
    )
    correlations = [layer.correlate(maps) for layer, maps in zip(convolutions, inputs)]
    statistics = function(
        [given],
        [
            statistic((0, 2, 3))
            for correlation in correlations
            for statistic in (correlation.mean, correlation.var)
        ],
    )
    for layer in convolutions:
        layer.variance.set_value(layer.variance.get_value() - layer.EPSILON)
    batch_statistics = statistics(pixels)
    for layer, mean, variance in zip(convolutions, batch_statistics[::2], batch_statistics[1::2]):
        layer.normalize_by(mean, variance)


def load(choice: str, network: Layer, path: Path | None = None) -> None:
    """Give a network the weights that the configuration names.

    Parameters
    ----------
    choice : str
        "surrogate", the weights shipped with this package; "defauw", De Fauw's
        own, converted by ``cnnviz convert-defauw``; or "random", which leaves
        the network as it was built.
    network : lasagne.layers.Layer
        Output layer.
    path : path, optional
        Weight file, instead of the usual place.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`cnnviz.networks.weights.load`, or for an unknown choice.
    """
    usual = paths.FUNDUS_WEIGHTS
    if choice in usual:
        weights.load(path or usual[choice], network, expected={"network": "defauw"})
    elif choice != "random":
        raise UserError(f"unknown weights '{choice}'; choose one of {', '.join(usual)}, random")
