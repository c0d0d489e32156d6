"""A feature's saliency along views of the die one degree apart (thesis section 5.4).

The feature is found by rule: of the pooling layers of a network whose neurons see less than the
whole image, the one whose saliency of max(F) exceeds the share of the area on spots most, as
``cnnviz saliency`` measured it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnviz.attribution import overlay
from cnnviz.attribution.activations import feature_maps, maximal_neurons
from cnnviz.attribution.gradient import TARGETS, Gradient
from cnnviz.attribution.receptive_field import receptive_field
from cnnviz.attribution.reductions import reduce_channels
from cnnviz.datasets import die360, sequences
from cnnviz.evaluation import stability
from cnnviz.evaluation.die_concepts import CONCEPTS
from cnnviz.experiments.die_pooling import Trained, pixels_of, trained_pooling
from cnnviz.experiments.die_saliency import DieSaliency

__all__ = ["Sequence360", "most_about", "of_faces", "partial"]


@dataclass(frozen=True)
class Sequence360:
    """Views of one face, and the feature's saliency on each."""

    face: int
    feature: str  #: network, layer and number
    pixels: np.ndarray  #: ``(n, rows, columns)``
    a: np.ndarray  #: degrees, ``(n,)``
    b: np.ndarray
    areas: dict[str, np.ndarray]  #: by target, important areas, bool ``(n, rows, columns)``
    boxes: np.ndarray  #: receptive fields of the maximal neurons, ``(n, 4)``
    activations: np.ndarray  #: ``(n,)``


def partial(pooling: Sequence[Any]) -> list[str]:
    """Names of the layers whose neurons see less than the whole image."""
    return [layer.name for layer in pooling if max(receptive_field(layer).size) < die360.SIZE]


def most_about(
    saliency: DieSaliency, names: Sequence[str], concept: str = "pip"
) -> tuple[str, int]:
    """Layer and feature whose saliency exceeds chance most on a concept.

    Parameters
    ----------
    saliency : DieSaliency
    names : list of str
        Layers to choose from.
    concept : str

    Returns
    -------
    layer : str
    feature : int
    """
    column = CONCEPTS.index(concept)
    lift = np.stack([saliency.layers[name].lift["max"][:, column] for name in names])
    # Silent features come last; if all are silent, the first is as good as any.
    best = np.where(np.isnan(lift), -np.inf, lift).argmax()
    layer, feature = np.unravel_index(best, lift.shape)
    return names[int(layer)], int(feature)


def measure(
    layer: Any, feature: int, images: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Important areas of both targets, boxes and activations of images."""
    areas = {}
    for target in TARGETS:
        gradients = Gradient(layer, target, evaluation="whole").attribute(images, feature)[:, 0]
        areas[target] = stability.important_areas(overlay.smooth(reduce_channels(gradients)))
    maps = feature_maps(layer, images)[:, feature]
    field = receptive_field(layer)
    boxes = np.array([field.box(*neuron) for neuron in maximal_neurons(maps).tolist()])
    return areas, boxes, maps.max(axis=(1, 2))


def of_faces(saliency: DieSaliency, which: Trained) -> Iterator[Sequence360]:
    """Sequences of all faces, one after the other.

    Parameters
    ----------
    saliency : DieSaliency
        Of the same network, to choose the feature by.
    which : Trained
    """
    pooling, data = trained_pooling(which)
    name, feature = most_about(saliency, partial(pooling))
    layer = next(each for each in pooling if each.name == name)
    title = f"{which.network}, {name}, feature {feature + 1}"
    for face in range(1, die360.CLASSES + 1):
        a, b = sequences.round_trip(face)
        images = sequences.images(data, a, b)
        yield Sequence360(
            face, title, pixels_of(images, data), a, b, *measure(layer, feature, images)
        )
