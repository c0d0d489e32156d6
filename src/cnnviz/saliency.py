"""Gradient-based saliency maps of features (thesis section 3.2.1).

The feature with feature map F is visualized by the gradient of max(F) or of
sum(F), over all positions, with respect to the image (eqs. 3.4 to 3.7).
"""
import functools
import warnings

import numpy as np
from tqdm import tqdm

from cnnviz.backend import T, function, lasagne
from cnnviz.errors import UserError
from cnnviz.inputs import (as_arrays, batches, check_features, check_input, check_maps,
                           input_variables)
from cnnviz.local import NotLocal, Stack
from cnnviz.local.backward import Gradients, SharedSweep, Sweep

__all__ = ["AGGREGATES", "METHODS", "feature_gradient", "feature_saliency",
           "prepared", "feature_sweep", "unit_saliency", "feature_maps", "channel_maximum"]

AGGREGATES = {"max": T.max, "sum": T.sum}
METHODS = ("auto", "local", "whole")
BATCH_SIZE = 256


def feature_maps(layer, images, batch_size=BATCH_SIZE):
    """Feature maps of a layer.

    Parameters
    ----------
    layer : lasagne.layers.Layer
    images : float32 array, ``(n, channels, rows, columns)``, or one array per
        input layer
    batch_size : int

    Returns
    -------
    float32 array, ``(n, features, map rows, map columns)``
    """
    check_maps(layer)
    arrays = as_arrays(layer, images)
    below, variables = input_variables(layer)
    compute = function(variables, lasagne.layers.get_output(
        layer, dict(zip(below, variables)), deterministic=True))
    return np.concatenate([compute(*(array[part] for array in arrays))
                           for part in batches(arrays, batch_size)])


def _check_channels(layer, wrt, raw):
    """Saliency is one number for a pixel where an input has channels."""
    source = input_variables(layer)[0][wrt]
    if len(source.shape) < 3 and not raw:
        raise UserError(f"input '{source.name}' has no channels to take the maximum of; "
                        "ask for the raw gradient")


def _check_aggregate(aggregate):
    if aggregate not in AGGREGATES:
        raise UserError(f"unknown aggregate '{aggregate}'; choose one of "
                        + ", ".join(AGGREGATES))


def feature_gradient(layer, aggregate="max", wrt=0):
    """Compile the gradient of an aggregated feature map.

    Parameters
    ----------
    layer : lasagne.layers.Layer
        Any layer with feature maps ``(batch, feature, row, column)``.
    aggregate : {"max", "sum"}
        Over the positions of the map (eqs. 3.4 and 3.5).
    wrt : int
        Which input, in the order of Lasagne's layers, the gradient is taken
        of.

    Returns
    -------
    function
        From one array per input and the feature's index to the gradient, of
        the shape of input ``wrt``.  Each image has a gradient of its own: the
        scores of a batch are added before differentiating, and no image
        influences another's score.  Where several positions share the
        maximum, Theano gives each of them the whole gradient.

    Raises
    ------
    ValueError
        For an unknown aggregate, or a layer without feature maps.
    """
    _check_aggregate(aggregate)
    check_maps(layer)
    check_input(layer, wrt)
    below, variables = input_variables(layer)
    feature = T.iscalar("feature")
    maps = lasagne.layers.get_output(layer, dict(zip(below, variables)),
                                     deterministic=True)
    score = AGGREGATES[aggregate](maps[:, feature], axis=(1, 2)).sum()
    return function(variables + [feature], T.grad(score, variables[wrt]))


def channel_maximum(gradient):
    """Saliency of a pixel: the largest gradient of its channels, signed.

    Parameters
    ----------
    gradient : array, ``(..., channels, rows, columns)``

    Returns
    -------
    array, ``(..., rows, columns)``
    """
    return gradient.max(axis=-3)


def feature_saliency(layer, images, features=None, aggregate="max",
                     batch_size=None, wrt=0, raw=False, progress=False, method="auto"):
    """Saliency maps of features (eqs. 3.6 and 3.7).

    All features of an image share one forward pass, and the gradient of a
    maximum is computed on what its neuron sees only (:mod:`cnnviz.local`).

    Parameters
    ----------
    layer : lasagne.layers.Layer
        Any layer with feature maps ``(batch, feature, row, column)``.
    images : float32 array, ``(n, channels, rows, columns)``
        Or one array per input layer, in Lasagne's order.
    features : int or sequence of int, optional
        All features when None.
    aggregate : {"max", "sum"}
        Where several positions share the maximum, each gets the whole gradient,
        as in Theano.
    batch_size : int, optional
        Gradients a pass; derived from the memory that they take.  Does not
        change the result.
    wrt : int
        Which input the saliency is of.
    raw : bool
        Give the gradient itself, without the maximum over the channels.
    progress : bool
        Show a progress bar.
    method : {"auto", "local", "whole"}, or from :func:`prepared`
        "whole": a forward and a backward pass for every feature; "local": on
        windows, with a shared forward pass; "auto": the latter where the layers
        allow it, else the former with a warning.

    Returns
    -------
    float32 array, ``(features, n, rows, columns)``
        With ``raw``, ``(features, n, channels, rows, columns)``.

    Raises
    ------
    ValueError
        For an unknown aggregate or method, a feature that the layer lacks, a
        layer without feature maps, or images of the wrong shape or not finite.
    """
    _check_aggregate(aggregate)
    check_maps(layer)
    check_input(layer, wrt)
    _check_channels(layer, wrt, raw)
    features, arrays = check_features(layer, features), as_arrays(layer, images)
    if batch_size is not None and batch_size < 1:
        raise UserError(f"batch_size must be at least 1, not {batch_size}")
    shape = arrays[wrt].shape if raw else np.delete(arrays[wrt].shape, 1)
    out = np.zeros((len(features), *shape), arrays[wrt].dtype)
    sweep = _sweep(layer, method, aggregate, wrt)
    with tqdm(total=len(arrays[wrt]) * len(features), unit=" maps",
              disable=not progress) as bar:
        for k, image, values, *place in sweep(arrays, features, batch_size):
            out[(k, image, ..., *place)] = values if raw else channel_maximum(values)
            bar.update()
    return out


def prepared(stack):
    """Compile once what :func:`feature_saliency` needs of a layer, for many calls.

    Parameters
    ----------
    stack : cnnviz.local.Stack
        Of the layer.

    Returns
    -------
    dict
        From "max" and "sum" to what that function takes as ``method``.
    """
    gradients = Gradients(stack)
    return {aggregate: Sweep(gradients, aggregate) for aggregate in AGGREGATES}


def feature_sweep(layers, aggregate="max"):
    """Compile gradients of the features of several layers, for image after image.

    Layers share one forward pass of an image.

    Parameters
    ----------
    layers : list of lasagne.layers.Layer
        Of one network, each below the next.
    aggregate : {"max", "sum"}

    Returns
    -------
    function
        A generator function: see :meth:`cnnviz.local.backward.SharedSweep.__call__`.

    Raises
    ------
    ValueError
        For an unknown aggregate, or layers that cannot be evaluated on windows
        (:class:`cnnviz.local.NotLocal`).
    """
    _check_aggregate(aggregate)
    return SharedSweep([Stack(layer) for layer in layers], aggregate)


def _sweep(layer, method, aggregate, wrt):
    """Generator function: see :meth:`cnnviz.local.backward.Sweep.__call__`."""
    if callable(method):
        return method
    if method not in METHODS:
        raise UserError(f"unknown method '{method}'; choose one of {', '.join(METHODS)}")
    if method != "whole":
        try:
            return Sweep(Gradients(Stack(layer)), aggregate)
        except NotLocal as reason:
            if method == "local":
                raise
            warnings.warn(f"gradients by whole passes: {reason}", stacklevel=3)
    return functools.partial(_whole_passes, feature_gradient(layer, aggregate, wrt), wrt)


def _whole_passes(gradient, wrt, arrays, features, batch_size):
    for part in batches(arrays, batch_size or BATCH_SIZE):
        batch = [array[part] for array in arrays]
        for k, feature in enumerate(features):
            for image, values in enumerate(gradient(*batch, feature), part.start):
                yield k, image, values, slice(None), slice(None)


def unit_saliency(layer, images, units=None, wrt=0, raw=False, progress=False):
    """Saliency maps of output units, such as class scores (eq. 3.3).

    Parameters
    ----------
    layer : lasagne.layers.Layer
        With outputs ``(batch, unit)``; its non-linearity counts
        (:func:`cnnviz.inputs.linear` leaves it out).
    images : array, ``(n, channels, rows, columns)``
        Or one array for each input.  A network built for a fixed number of
        images takes as many, eye pairs side by side, say.
    units : int or sequence of int, optional
        All units when None.
    wrt, raw, progress
        As for :func:`feature_saliency`.

    Returns
    -------
    array, ``(units, n, rows, columns)``
        Of every image's own output; with ``raw``,
        ``(units, n, channels, rows, columns)``.

    Raises
    ------
    ValueError
        For a layer without output units, units that it lacks, images of the wrong
        shape, number, or not finite, or an input without channels unless ``raw``.
    """
    if len(layer.output_shape) != 2:
        raise UserError(f"layer '{layer.name}' has outputs of shape "
                        f"{layer.output_shape}, not (batch, unit)")
    check_input(layer, wrt)
    _check_channels(layer, wrt, raw)
    units, arrays = check_features(layer, units), as_arrays(layer, images)
    below, variables = input_variables(layer)
    count, fixed = len(arrays[wrt]), below[wrt].shape[0]
    if fixed not in (None, count):
        raise UserError(f"the network was built for {fixed} images, and {count} were "
                        "given")
    row, unit = T.iscalar("row"), T.iscalar("unit")
    outputs = lasagne.layers.get_output(layer, dict(zip(below, variables)),
                                        deterministic=True)
    # Other images may count in a row of outputs, so each is derived alone.
    compute = function([*variables, row, unit],
                       T.grad(outputs[row, unit], variables[wrt])[row])
    found = np.stack([np.stack([compute(*arrays, k, unit) for k in range(count)])
                      for unit in tqdm(units, unit=" units", disable=not progress)])
    return found if raw else channel_maximum(found)
