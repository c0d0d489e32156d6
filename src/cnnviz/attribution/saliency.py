"""Gradient-based saliency maps of features (thesis section 3.2.1).

The feature with feature map F is visualized by the gradient of max(F) or of
sum(F), over all positions, with respect to the image (eqs. 3.4 to 3.7).
"""

import functools
import warnings

import numpy as np
from tqdm import tqdm

from cnnviz.attribution.windowed import NotLocal, Stack, cost
from cnnviz.attribution.windowed.backward import TIES, Gradients, SharedSweep, Sweep
from cnnviz.networks import expressions
from cnnviz.networks.inputs import (
    as_arrays,
    batches,
    check_features,
    check_input,
    check_maps,
    check_units,
    check_whole,
    input_variables,
    label,
    reduced_axis,
)
from cnnviz.runtime import compiled
from cnnviz.runtime.backend import T, function
from cnnviz.runtime.errors import UserError

__all__ = [
    "AGGREGATES",
    "METHODS",
    "TIES",
    "feature_gradient",
    "feature_saliency",
    "prepared",
    "feature_sweep",
    "unit_saliency",
    "feature_maps",
    "channel_maximum",
]

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
    compute = compiled.of_layer(layer, "maps", lambda: _compile_maps(layer))
    return np.concatenate(
        [compute(*(array[part] for array in arrays)) for part in batches(arrays, batch_size)]
    )


def _compile_maps(layer):
    below, variables = input_variables(layer)
    return function(variables, expressions.output(layer, dict(zip(below, variables))))


def _check_aggregate(aggregate):
    if aggregate not in AGGREGATES:
        raise UserError(f"unknown aggregate '{aggregate}'; choose one of " + ", ".join(AGGREGATES))


def _check_ties(ties):
    if ties not in TIES:
        raise UserError(f"unknown rule for ties '{ties}'; choose one of {', '.join(TIES)}")


def feature_gradient(layer, aggregate="max", wrt=0, ties="all"):
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
    ties : {"all", "first"}
        As for :func:`feature_saliency`.

    Returns
    -------
    function
        From one array per input and the feature's index to the gradient, of
        the shape of input ``wrt``.  Each image has a gradient of its own: the
        scores of a batch are added before differentiating, and no image
        influences another's score.

    Raises
    ------
    ValueError
        For an unknown aggregate, or a layer without feature maps.
    """
    _check_aggregate(aggregate)
    _check_ties(ties)
    check_maps(layer)
    check_input(layer, wrt)
    below, variables = input_variables(layer)
    feature = T.iscalar("feature")
    maps = expressions.output(layer, dict(zip(below, variables)), ties)[:, feature]
    if ties == "first" and aggregate == "max":
        scores = expressions.first_maximum(maps)
    else:
        scores = AGGREGATES[aggregate](maps, axis=(1, 2))
    # Of an input that does not matter, the gradient is zero.
    return function(
        variables + [feature],
        T.grad(scores.sum(), variables[wrt], disconnected_inputs="ignore"),
        on_unused_input="ignore",
    )


def channel_maximum(gradient, axis=-3):
    """Saliency of a pixel: the largest gradient of its channels, signed.

    Parameters
    ----------
    gradient : array, ``(..., channels, rows, columns)``
    axis : int or None
        That of the channels, where it is another; None for images without any, whose
        gradient is their saliency.

    Returns
    -------
    array, ``(..., rows, columns)``
    """
    return gradient if axis is None else gradient.max(axis=axis)


def feature_saliency(
    layer,
    images,
    features=None,
    aggregate="max",
    batch_size=None,
    wrt=0,
    raw=False,
    progress=False,
    method="auto",
    ties="all",
    channel_axis=None,
):
    """Saliency maps of features (eqs. 3.6 and 3.7).

    All features of an image share one forward pass, and the gradient of a
    maximum is computed on what its neuron sees only (:mod:`cnnviz.attribution.windowed`).
    What is compiled is kept for later calls (:mod:`cnnviz.runtime.compiled`).

    Parameters
    ----------
    layer : lasagne.layers.Layer
        Any layer with feature maps ``(batch, feature, row, column)``.
    images : float32 array, ``(n, channels, rows, columns)``
        Or one array per input layer, in Lasagne's order.
    features : int or sequence of int, optional
        All features when None.
    aggregate : {"max", "sum"}
        Over the positions of the map (eqs. 3.4 and 3.5).
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
        windows, with a shared forward pass; "auto": the cheaper of both, windows only
        where the layers allow it, which is measured, else whole passes with a warning.
        The result is the same but for rounding.
    ties : {"all", "first"}
        Where several positions of the map, or places of a pooling window, share the
        maximum: "all": each gets the whole gradient, as in Theano; "first": the first
        one does, row by row, as in PyTorch and what is built on it.
    channel_axis : int, optional
        Of input ``wrt``; found by the layers that read it when None
        (:func:`cnnviz.networks.inputs.channel_axis`).

    Returns
    -------
    float32 array, ``(features, n, rows, columns)``
        With ``raw``, ``(features, n, channels, rows, columns)``: the shape of the
        input.

    Raises
    ------
    UserError
        For an unknown aggregate, method or rule for ties, a feature that the layer
        lacks, a layer without feature maps, an input whose channels cannot be told,
        images of the wrong shape or not finite, or what was prepared for something
        else.
    """
    _check_aggregate(aggregate)
    _check_ties(ties)
    check_maps(layer)
    check_input(layer, wrt)
    axis = reduced_axis(layer, wrt, raw, channel_axis)
    features, arrays = check_features(layer, features), as_arrays(layer, images)
    if batch_size is not None:
        check_whole("batch_size", batch_size)
    shape = arrays[wrt].shape if axis is None else np.delete(arrays[wrt].shape, axis)
    out = np.zeros((len(features), *shape), arrays[wrt].dtype)
    sweep = _sweep(layer, arrays, features, method, aggregate, wrt, ties)
    with tqdm(total=len(arrays[wrt]) * len(features), unit=" maps", disable=not progress) as bar:
        for k, image, values, *place in sweep(arrays, features, batch_size):
            out[(k, image, ..., *place)] = channel_maximum(
                values, None if axis is None else axis - 1
            )
            bar.update()
    return out


def prepared(stack, ties="all"):
    """Compile once what :func:`feature_saliency` needs of a layer, for many calls.

    Parameters
    ----------
    stack : cnnviz.attribution.windowed.Stack
        Of the layer.
    ties : {"all", "first"}
        As for that function.

    Returns
    -------
    dict
        From "max" and "sum" to what that function takes as ``method``.
    """
    gradients = Gradients(stack, ties=ties)
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
        A generator function: see :meth:`cnnviz.attribution.windowed.backward.SharedSweep.__call__`.

    Raises
    ------
    ValueError
        For an unknown aggregate, or layers that cannot be evaluated on windows
        (:class:`cnnviz.attribution.windowed.NotLocal`).
    """
    _check_aggregate(aggregate)
    return SharedSweep([Stack(layer) for layer in layers], aggregate)


def _sweep(layer, arrays, features, method, aggregate, wrt, ties):
    """Generator function: see :meth:`cnnviz.attribution.windowed.backward.Sweep.__call__`."""
    if isinstance(method, Sweep):
        _check_prepared(method, layer, aggregate, ties)
        return method
    if method not in METHODS:
        raise UserError(f"unknown method {method!r}; choose one of {', '.join(METHODS)}")
    shape = arrays[wrt].shape[2:]
    key = ("gradients", shape, ties)
    if (
        method == "local"
        or method == "auto"
        and cost.windows_pay(layer, shape, key, aggregate, len(arrays[wrt]), len(features))
    ):
        try:
            return Sweep(
                compiled.of_layer(layer, key, lambda: Gradients(Stack(layer, shape), ties=ties)),
                aggregate,
            )
        except NotLocal as reason:
            if method == "local":
                raise
            warnings.warn(f"gradients by whole passes: {reason}", stacklevel=3)
    gradient = compiled.of_layer(
        layer,
        ("whole gradient", aggregate, wrt, ties),
        lambda: feature_gradient(layer, aggregate, wrt, ties),
    )
    return functools.partial(_whole_passes, gradient)


def _check_prepared(sweep, layer, aggregate, ties):
    """What was prepared for one thing is not used for another."""
    for what, have, want in (
        ("layer", label(sweep.stack.layer), label(layer)),
        ("aggregate", sweep.aggregate, aggregate),
        ("ties", sweep.ties, ties),
    ):
        if have != want or what == "layer" and sweep.stack.layer is not layer:
            raise UserError(
                f"method: prepared for {what} '{have}', not for {what} '{want}'; "
                "prepare it for what is asked"
            )


def _whole_passes(gradient, arrays, features, batch_size):
    for part in batches(arrays, batch_size or BATCH_SIZE):
        batch = [array[part] for array in arrays]
        for k, feature in enumerate(features):
            for image, values in enumerate(gradient(*batch, feature), part.start):
                yield k, image, values


def unit_saliency(
    layer, images, units=None, wrt=0, raw=False, progress=False, ties="all", channel_axis=None
):
    """Saliency maps of output units, such as class scores (eq. 3.3).

    Parameters
    ----------
    layer : lasagne.layers.Layer
        With outputs ``(batch, unit)``; its non-linearity counts
        (:func:`cnnviz.networks.inputs.linear` leaves it out).
    images : array, ``(n, channels, rows, columns)``
        Or one array for each input.  A network built for a fixed number of
        images takes as many, eye pairs side by side, say.
    units : int or sequence of int, optional
        All units when None.
    wrt, raw, progress, ties, channel_axis
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
    _check_ties(ties)
    check_units(layer)
    check_input(layer, wrt)
    axis = reduced_axis(layer, wrt, raw, channel_axis)
    units, arrays = check_features(layer, units), as_arrays(layer, images)
    below, _ = input_variables(layer)
    count, fixed = len(arrays[wrt]), below[wrt].shape[0]
    if fixed not in (None, count):
        raise UserError(f"the network was built for {fixed} images, and {count} were given")
    compute = compiled.of_layer(
        layer, ("unit gradient", wrt, ties), lambda: _compile_unit_gradient(layer, wrt, ties)
    )
    found = np.stack(
        [
            np.stack([compute(*arrays, k, unit) for k in range(count)])
            for unit in tqdm(units, unit=" units", disable=not progress)
        ]
    )
    return channel_maximum(found, None if axis is None else axis + 1)


def _compile_unit_gradient(layer, wrt, ties):
    """Function of one array per input, an image's number and a unit to the gradient."""
    below, variables = input_variables(layer)
    row, unit = T.iscalar("row"), T.iscalar("unit")
    outputs = expressions.output(layer, dict(zip(below, variables)), ties)
    # Other images may count in a row of outputs, so each is derived alone.
    return function(
        [*variables, row, unit],
        T.grad(outputs[row, unit], variables[wrt], disconnected_inputs="ignore")[row],
        on_unused_input="ignore",
    )
