"""What every method is given: a layer of a network, and images for its inputs.

A network may have several inputs; every method takes one array for each, in
Lasagne's order, and computes in the type of the network's parameters.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.runtime.arrays import as_array, host, numbers
from cnnviz.runtime.backend import T, lasagne, theano
from cnnviz.runtime.errors import UserError

if TYPE_CHECKING:
    from lasagne.layers import Layer
    from theano.gof import Variable

__all__ = [
    "as_arrays",
    "batches",
    "check_features",
    "check_input",
    "check_maps",
    "check_units",
    "check_whole",
    "input_variables",
    "label",
    "linear",
    "precision",
]


def label(layer: Layer) -> str:
    """What messages call a layer: its name, or its kind."""
    return layer.name or type(layer).__name__


def precision(layer: Layer) -> str:
    """Floating point type of a network: that of its parameters.

    Returns
    -------
    str
        ``"float32"`` or ``"float64"``; Theano's ``floatX`` without parameters.
    """
    parameters = lasagne.layers.get_all_params(layer)
    return parameters[0].dtype if parameters else theano.config.floatX


def input_variables(layer: Layer) -> tuple[list[Layer], list[Variable]]:
    """Input layers below ``layer`` and fresh variables for them.

    Returns
    -------
    list of lasagne.layers.InputLayer, list of Theano variables

    Raises
    ------
    UserError
        For a network that begins with a shape instead of an input layer, or with one
        that computes something.
    """
    for each_layer in lasagne.layers.get_all_layers(layer):
        if each_layer is None or _stands_on_a_shape(each_layer):
            raise UserError(
                f"layer '{label(layer)}': the network begins with a shape instead "
                "of a layer; begin it with lasagne.layers.InputLayer(shape)"
            )
    below = [
        each_layer
        for each_layer in lasagne.layers.get_all_layers(layer)
        if isinstance(each_layer, lasagne.layers.InputLayer)
    ]
    for each in below:
        _check_plain(each)
    dtype = precision(layer)
    return below, [T.TensorType(dtype, (False,) * len(each.shape))(each.name) for each in below]


def as_arrays(layer: Layer, images: Any) -> list[np.ndarray]:
    """One checked array for each input of a network.

    Parameters
    ----------
    layer : lasagne.layers.Layer
    images : array, or list of arrays
        ``(n, ...)`` each; a single array for a network with one input.  What NumPy can
        read as numbers does as well: nested lists, tensors of PyTorch.

    Returns
    -------
    list of arrays, in the network's :func:`precision`

    Raises
    ------
    UserError
        For a wrong number of arrays, a wrong shape, different numbers of
        images, none at all, or values that are not finite.
    """
    below, _ = input_variables(layer)
    images = _separate(images, below)
    if len(images) != len(below):
        raise UserError(f"the network has {len(below)} inputs and {len(images)} arrays were given")
    arrays = [
        _checked(_numbers(array, each), each, precision(layer))
        for array, each in zip(images, below)
    ]
    if not len(arrays[0]):
        raise UserError("no images were given")
    if len({len(array) for array in arrays}) > 1:
        raise UserError(
            "the inputs differ in their number of images: "
            + ", ".join(str(len(array)) for array in arrays)
        )
    return arrays


def _check_plain(source: Layer) -> None:
    """An input layer's own expression would be lost with the variable that it is given."""
    if getattr(source.input_var, "owner", None) is not None:
        raise UserError(
            f"input '{label(source)}' is computed: its input_var is {source.input_var}, which "
            "would be left out; build the InputLayer on a variable alone and compute in a "
            "layer above it, such as NonlinearityLayer(source, lambda x: x / 255), or in the "
            "images"
        )


def _stands_on_a_shape(layer: Layer) -> bool:
    below = getattr(layer, "input_layers", None) or [getattr(layer, "input_layer", layer)]
    return any(each is None for each in below)


def _separate(images: np.ndarray, below: Sequence[Layer]) -> list[np.ndarray]:
    """One thing for each input, of whatever images were given as."""
    if not isinstance(images, (list, tuple)):
        return [images]
    if len(below) > 1:
        return list(images)
    # A list of arrays for inputs, or images as nested lists.
    try:
        for_inputs = images and np.ndim(host(images[0])) == len(below[0].shape)
    except ValueError:  # ragged
        for_inputs = False
    return list(images) if for_inputs else [images]


def _numbers(array: np.ndarray, layer: Layer) -> np.ndarray:
    return numbers(
        array, f"input '{label(layer)}': expected an array of numbers of shape {layer.shape}"
    )


def _checked(array: np.ndarray, layer: Layer, dtype: str) -> np.ndarray:
    """Numbers of a network's type, in an array of their own if they must be converted.

    Kernels count on an array that is laid out row by row in the processor's byte
    order and that PyTorch may share.
    """
    expected = layer.shape
    if array.ndim != len(expected) or any(
        want is not None and want != have for want, have in zip(expected[1:], array.shape[1:])
    ):
        raise UserError(
            f"input '{label(layer)}' has shape {expected}, not "
            f"{array.shape}; None stands for any number"
        )
    with np.errstate(over="ignore"):  # found below
        array = np.require(array, dtype, ["C", "ALIGNED", "WRITEABLE"])
    if not np.isfinite(array).all():
        raise UserError(f"input '{label(layer)}' holds values that are not finite in {array.dtype}")
    return array


def check_input(layer: Layer, wrt: int) -> None:
    """Raise a UserError unless a network has an input of that number."""
    below, _ = input_variables(layer)
    if isinstance(wrt, bool) or not hasattr(wrt, "__index__") or not 0 <= wrt < len(below):
        raise UserError(f"the network has inputs 0 to {len(below) - 1}, not {wrt}")


def check_maps(layer: Layer) -> None:
    """Raise a UserError unless a layer has feature maps."""
    shape = layer.output_shape
    if len(shape) != 4:
        raise UserError(
            f"layer '{label(layer)}' gives {len(shape)}-dimensional "
            "output; feature maps are (batch, feature, row, column)"
            + (
                "; its units have gradients and occlusion (Gradient, Occlusion)"
                if len(shape) == 2
                else ""
            )
        )


def check_units(layer: Layer) -> None:
    """Raise a UserError unless a layer has output units."""
    if len(layer.output_shape) != 2:
        raise UserError(
            f"layer '{label(layer)}' has outputs of shape {layer.output_shape}, not (batch, unit)"
        )


def check_whole(name: str, value: int, least: int | None = 1) -> int:
    """A whole number, of at least ``least`` where that is given, or a UserError."""
    try:
        value = operator.index(value)
    except TypeError:
        raise UserError(f"{name} must be a whole number, not {value!r}") from None
    if least is not None and value < least:
        raise UserError(f"{name} must be at least {least}, not {value}")
    return value


def check_features(layer: Layer, features: Any = None) -> list[int]:
    """Features (or units) of a layer as a list; all of them for None.

    Parameters
    ----------
    layer : lasagne.layers.Layer
    features : int, sequence of int, or sequence of bool with one for each, optional
        Numbers, or a mask as NumPy takes it.

    Raises
    ------
    UserError
        For none at all, a feature that the layer lacks, or what is neither whole
        numbers nor a mask.
    """
    count = layer.output_shape[1]
    if features is None:
        return list(range(count))
    kind = f"features and units are whole numbers, or a mask of {count} truth values; "
    try:
        chosen = as_array(features)
    except Exception:  # ragged lists, for example
        chosen = np.empty((0, 0))
    if not chosen.size and chosen.ndim < 2:
        raise UserError("no features were chosen; None stands for all of them")
    if chosen.ndim > 1 or chosen.dtype.kind not in "biu":
        raise UserError(kind + f"not {features!r}")
    if chosen.dtype.kind == "b":
        if chosen.shape != (count,):
            raise UserError(kind + f"not {chosen.size} of them")
        chosen = np.flatnonzero(chosen)
        if not len(chosen):
            raise UserError("no features were chosen: the mask is False everywhere")
    found = [int(each) for each in np.atleast_1d(chosen)]
    for each in found:
        if not 0 <= each < count:
            raise UserError(f"layer '{label(layer)}' has features 0 to {count - 1}, not {each}")
    return found


def batches(arrays: Sequence[np.ndarray], batch_size: int) -> Iterator[slice]:
    """Slices of at most ``batch_size`` images."""
    check_whole("batch_size", batch_size)
    for start in range(0, len(arrays[0]), batch_size):
        yield slice(start, start + batch_size)


def linear(layer: Layer) -> Layer:
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
        raise UserError(f"layer '{label(layer)}' has no non-linearity to leave out")
    layer = copy.copy(layer)
    layer.nonlinearity = lasagne.nonlinearities.identity
    return layer
