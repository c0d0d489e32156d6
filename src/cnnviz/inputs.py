"""What every method is given: a layer of a network, and images for its inputs.

A network may have several inputs; every method takes one array for each, in
Lasagne's order, and computes in the type of the network's parameters.
"""
import copy

import numpy as np

from cnnviz.backend import T, lasagne, theano
from cnnviz.errors import UserError

__all__ = ["precision", "input_variables", "as_arrays", "check_input", "check_maps",
           "check_features", "batches", "linear"]


def precision(layer):
    """Floating point type of a network: that of its parameters.

    Returns
    -------
    str
        ``"float32"`` or ``"float64"``; Theano's ``floatX`` without parameters.
    """
    parameters = lasagne.layers.get_all_params(layer)
    return parameters[0].dtype if parameters else theano.config.floatX


def input_variables(layer):
    """Input layers below ``layer`` and fresh variables for them.

    Returns
    -------
    list of lasagne.layers.InputLayer, list of Theano variables
    """
    below = [each for each in lasagne.layers.get_all_layers(layer)
             if isinstance(each, lasagne.layers.InputLayer)]
    dtype = precision(layer)
    return below, [T.TensorType(dtype, (False,) * len(each.shape))(each.name)
                   for each in below]


def as_arrays(layer, images):
    """One checked array for each input of a network.

    Parameters
    ----------
    layer : lasagne.layers.Layer
    images : array, or list of arrays
        ``(n, ...)`` each; a single array for a network with one input.

    Returns
    -------
    list of arrays, in the network's :func:`precision`

    Raises
    ------
    ValueError
        For a wrong number of arrays, a wrong shape, different numbers of
        images, none at all, or values that are not finite.
    """
    below, _ = input_variables(layer)
    images = [images] if isinstance(images, np.ndarray) else list(images)
    if len(images) != len(below):
        raise UserError(f"the network has {len(below)} inputs and "
                        f"{len(images)} arrays were given")
    for array, each in zip(images, below):
        _check_array(array, each)
    if not len(images[0]):
        raise UserError("no images were given")
    if len({len(array) for array in images}) > 1:
        raise UserError("the inputs differ in their number of images: "
                        + ", ".join(str(len(array)) for array in images))
    return [np.asarray(array, precision(layer)) for array in images]


def _check_array(array, layer):
    expected = layer.shape
    if array.ndim != len(expected) or any(
            want is not None and want != have for want, have
            in zip(expected[1:], array.shape[1:])):
        raise UserError(f"input '{layer.name}' has shape {expected}, not "
                        f"{array.shape}; None stands for any number")
    if not np.isfinite(array).all():
        raise UserError(f"input '{layer.name}' holds values that are not "
                        "finite")


def check_input(layer, wrt):
    """Raise a ValueError unless a network has an input of that number."""
    below, _ = input_variables(layer)
    if not 0 <= wrt < len(below):
        raise UserError(f"the network has inputs 0 to {len(below) - 1}, not {wrt}")


def check_maps(layer):
    """Raise a ValueError unless a layer has feature maps."""
    if len(layer.output_shape) != 4:
        raise UserError(
            f"layer '{layer.name}' gives {len(layer.output_shape)}-dimensional "
            "output; feature maps are (batch, feature, row, column)")


def check_features(layer, features=None):
    """Features of a layer as a list; all of them for None.

    Raises
    ------
    ValueError
        For a feature that the layer lacks.
    """
    count = layer.output_shape[1]
    if features is None:
        return list(range(count))
    features = [int(feature) for feature in np.atleast_1d(features)]
    for feature in features:
        if not 0 <= feature < count:
            raise UserError(f"layer '{layer.name}' has features 0 to "
                            f"{count - 1}, not {feature}")
    return features


def batches(arrays, batch_size):
    """Slices of at most ``batch_size`` images."""
    if batch_size < 1:
        raise UserError(f"batch_size must be at least 1, not {batch_size}")
    for start in range(0, len(arrays[0]), batch_size):
        yield slice(start, start + batch_size)


def linear(layer):
    """A layer without its final non-linearity.

    Parameters
    ----------
    layer : lasagne.layers.Layer
        With a ``nonlinearity``; stays as it is.

    Returns
    -------
    lasagne.layers.Layer
        The layer below, for a layer that is nothing but a non-linearity, else
        a copy of the layer.

    Raises
    ------
    ValueError
        For a layer without one.
    """
    if isinstance(layer, lasagne.layers.NonlinearityLayer):
        return layer.input_layer
    if getattr(layer, "nonlinearity", None) is None:
        raise UserError(f"layer '{layer.name or type(layer).__name__}' has no "
                        "non-linearity to leave out")
    layer = copy.copy(layer)
    layer.nonlinearity = lasagne.nonlinearities.identity
    return layer
