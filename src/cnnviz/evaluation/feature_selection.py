"""Features that are about something known, chosen by their gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.attribution.gradient import LayersGradient
from cnnviz.dissection import labels
from cnnviz.evaluation import die_concepts
from cnnviz.evaluation.feature_neurons import maximal_neurons, part
from cnnviz.evaluation.layer_methods import magnitude

if TYPE_CHECKING:
    from lasagne.layers import Layer

__all__ = ["is_about", "lifts", "scores"]


def lifts(maps: np.ndarray, masks: np.ndarray) -> Any:
    """How much more of each feature's saliency lies on concepts than by chance.

    Parameters
    ----------
    maps : array, ``(features, n, rows, columns)``
        By magnitude, of one layer.
    masks : bool array, ``(concepts, n, rows, columns)``

    Returns
    -------
    array, ``(features, concepts)``
        1 is chance; see :func:`cnnviz.evaluation.die_concepts`.
    """
    return np.array([die_concepts.concept_lift(map_, masks) for map_ in maps])


def is_about(lift: np.ndarray, concept: int) -> list[int]:
    """Features of which one concept's lift is the largest, and above chance.

    Parameters
    ----------
    lift : array, ``(features, concepts)``
    concept : int

    Returns
    -------
    list of int
    """
    lift = np.nan_to_num(lift)
    return [k for k, each in enumerate(lift) if each[concept] == each.max() and each[concept] > 1]


def scores(
    layers: Sequence[Layer],
    images: np.ndarray,
    masks: np.ndarray,
    fields: np.ndarray,
    progress: Callable[..., Any] | None = None,
) -> list[np.ndarray]:
    """By how much the gradient of each feature's maximum beats chance on concepts.

    Parameters
    ----------
    layers : list of lasagne.layers.Layer
        Of one network, each below the next.
    images : array, ``(n, channels, rows, columns)``
    masks : bool array, ``(n, concepts, rows, columns)``
    fields : bool array, ``(n, rows, columns)``
        What counts.
    progress : function, optional
        Called after every map.

    Returns
    -------
    list of arrays, ``(features, concepts)``
        Share of the magnitude on the concept, less the concept's share of what the
        maximal neuron sees; 0 where it sees nothing of it.  Mean over the images.  NaN
        for features with hardly a gradient (:func:`cnnviz.dissection.labels.responds`).
    """
    total = [np.zeros((layer.output_shape[1], masks.shape[1])) for layer in layers]
    gradients = [np.zeros(len(each)) for each in total]
    features = [range(len(each)) for each in total]
    neurons = [maximal_neurons(*each) for each in zip(layers, [images] * len(layers), features)]
    gradients_of, shape = LayersGradient(layers), images.shape[2:]
    for k in range(len(images)):
        for layer, feature, gradient, *place in gradients_of.parts(images[k : k + 1], features):
            values = np.zeros(shape, gradient.dtype)
            values[tuple(place)] = magnitude(gradient)
            gradients[layer][feature] += values.sum(dtype=float)
            seen = part(neurons[layer][k][feature].box)
            total[layer][feature] += _excess(
                values[seen], masks[(k, slice(None), *seen)], fields[(k, *seen)]
            )
            if progress is not None:
                progress()
    return [
        np.where(labels.responds(gradient)[:, np.newaxis], each / len(images), np.nan)
        for each, gradient in zip(total, gradients)
    ]


def _excess(values: np.ndarray, masks: np.ndarray, field: np.ndarray) -> np.ndarray:
    """Share on each mask less its area, ``(concepts,)``.

    As relevance mass less area share, but for hundreds of features.
    """
    inside = (masks & field).reshape(len(masks), -1)
    values = (values * field).ravel()
    area, total = inside.sum(axis=1), values.sum()
    if not total:
        return np.zeros(len(masks))
    return np.where(area > 0, inside @ values / total - area / field.sum(), 0)
