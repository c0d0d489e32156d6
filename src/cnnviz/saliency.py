"""Gradient-based saliency maps of features (thesis section 3.2.1).

The feature with feature map F is visualized by the gradient of max(F) or of
sum(F), over all positions, with respect to the image (eqs. 3.4 to 3.7).
"""
import numpy as np
from tqdm import tqdm

from cnnviz.backend import T, function, lasagne
from cnnviz.inputs import (as_arrays, batches, check_features, check_maps,
                           input_variables)

__all__ = ["AGGREGATES", "feature_gradient", "feature_saliency",
           "feature_maps", "channel_maximum"]

AGGREGATES = {"max": T.max, "sum": T.sum}
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
    if aggregate not in AGGREGATES:
        raise ValueError(f"unknown aggregate '{aggregate}'; choose one of "
                         + ", ".join(AGGREGATES))
    check_maps(layer)
    below, variables = input_variables(layer)
    if not 0 <= wrt < len(below):
        raise ValueError(f"the network has inputs 0 to {len(below) - 1}, not {wrt}")
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
                     batch_size=BATCH_SIZE, wrt=0, raw=False, progress=False):
    """Saliency maps of features (eqs. 3.6 and 3.7).

    Parameters
    ----------
    layer : lasagne.layers.Layer
        Any layer with feature maps ``(batch, feature, row, column)``.
    images : float32 array, ``(n, channels, rows, columns)``
        Or one array per input layer, in Lasagne's order.
    features : int or sequence of int, optional
        All features when None.
    aggregate : {"max", "sum"}
    batch_size : int
        Images a pass; does not change the result.
    wrt : int
        Which input the saliency is of.
    raw : bool
        Give the gradient itself, without the maximum over the channels.
    progress : bool
        Show a progress bar.

    Returns
    -------
    float32 array, ``(features, n, rows, columns)``
        With ``raw``, ``(features, n, channels, rows, columns)``.

    Raises
    ------
    ValueError
        For an unknown aggregate, a feature that the layer lacks, a layer
        without feature maps, or images of the wrong shape or not finite.
    """
    gradient = feature_gradient(layer, aggregate, wrt)
    features = check_features(layer, features)
    arrays = as_arrays(layer, images)
    shape = arrays[wrt].shape if raw else np.delete(arrays[wrt].shape, 1)
    out = np.empty((len(features), *shape), np.float32)
    parts = list(batches(arrays, batch_size))
    with tqdm(total=len(parts) * len(features), unit=" passes",
              disable=not progress) as bar:
        for part in parts:
            batch = [array[part] for array in arrays]
            for k, feature in enumerate(features):
                values = gradient(*batch, feature)
                out[k, part] = values if raw else channel_maximum(values)
                bar.update()
    return out
