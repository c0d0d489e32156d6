"""Maximal neurons of features, and what they see of an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from cnnviz.attribution import activations
from cnnviz.attribution.activations import feature_maps
from cnnviz.attribution.receptive_field import receptive_field

if TYPE_CHECKING:
    import numpy as np
    from lasagne.layers import Layer

    from cnnviz.attribution.receptive_field import ReceptiveField

__all__ = ["Neuron", "maximal_neurons", "part"]


class Neuron(NamedTuple):
    """The maximal neuron of a feature on an image."""

    feature: int
    place: tuple  #: row and column in the map
    box: tuple  #: what it sees of the image: first row and column, end row and column


def maximal_neurons(
    layer: Layer, images: np.ndarray, features: Sequence[int]
) -> list[list[Neuron]]:
    """The first maximal neuron of every feature on every image.

    Parameters
    ----------
    layer : lasagne.layers.Layer
    images : array, ``(n, channels, rows, columns)``
    features : sequence of int

    Returns
    -------
    list of n lists of Neuron
    """
    field, shape = receptive_field(layer), images.shape[2:]
    return [
        [_strongest(maps[feature], feature, field, shape) for feature in features]
        for maps in feature_maps(layer, images, batch_size=4)
    ]


def _strongest(
    values: np.ndarray, feature: int, field: ReceptiveField, shape: tuple[int, ...]
) -> Neuron:
    row, column = map(int, activations.maximal_neurons(values))
    return Neuron(int(feature), (row, column), field.box(row, column, shape))


def part(box: tuple[int, int, int, int]) -> tuple[slice, slice]:
    return slice(box[0], box[2]), slice(box[1], box[3])
