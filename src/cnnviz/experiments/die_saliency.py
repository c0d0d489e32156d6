"""Saliency of every feature of the pooling layers of a network of the die (Figures 5.3, 5.4).

Thesis section 3.2.1, of the maximum and of the sum.  Maps of the shown views are kept, and,
measured on many views, what each feature's saliency lies on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cnnviz.attribution import overlay
from cnnviz.attribution.activations import feature_maps, maximal_neurons
from cnnviz.attribution.gradient import TARGETS, Gradient
from cnnviz.attribution.reductions import reduce_channels
from cnnviz.datasets import die360
from cnnviz.evaluation import die_concepts
from cnnviz.experiments.die_pooling import Trained, features_first, trained_pooling
from cnnviz.runtime.records import Record, axes, made_from

__all__ = ["DieSaliency", "FeatureSaliency", "measure", "write"]


@dataclass(frozen=True)
class FeatureSaliency(Record):
    """Of the features of one layer."""

    #: Of the maximal neuron: row and column in the feature map.
    neuron: np.ndarray = axes("view", "feature", "place")
    #: By the target, "max" or "sum".
    maps: dict[str, np.ndarray] = axes("feature", "view", "row", "column")
    #: Share of the saliency on each part of the die over its share of the area; 1 is chance.
    lift: dict[str, np.ndarray] = axes("feature", "concept")


@dataclass(frozen=True)
class DieSaliency(Record):
    """Saliency on the shown views (:data:`cnnviz.datasets.die360.SHOWN`), layer by layer."""

    command: ClassVar[str] = "cnnviz saliency"

    network: str
    layers: dict[str, FeatureSaliency]
    pixels: np.ndarray = axes("view", "row", "column")


def _shown(data: die360.Die360) -> tuple[np.ndarray, np.ndarray]:
    """Shown views, rendered anew, and the same standardized."""
    shown = die360.render(*zip(*die360.SHOWN))
    return shown, ((shown - data.mean) / data.std)[:, np.newaxis].astype(np.float32)


def _of_layer(
    layer: Any, shown: np.ndarray, many: np.ndarray, masks: np.ndarray
) -> FeatureSaliency:
    maps, lift = {}, {}
    for target in TARGETS:
        gradient = Gradient(layer, target)
        maps[target], measured = (
            features_first(reduce_channels(gradient.attribute(images, progress=progress)))
            for images, progress in ((shown, False), (many, True))
        )
        lift[target] = np.array(
            [die_concepts.concept_lift(each, masks) for each in overlay.smooth(measured)]
        )
    return FeatureSaliency(maximal_neurons(feature_maps(layer, shown)), maps, lift)


def measure(network: str, pooling: Sequence[Any], data: die360.Die360, stride: int) -> DieSaliency:
    """Saliency of all features of all pooling layers.

    Parameters
    ----------
    network : str
        Its name.
    pooling : sequence of lasagne.layers.Layer
    data : die360.Die360
    stride : int
        What saliency lies on is measured on every n-th image of the data set.

    Returns
    -------
    DieSaliency
    """
    pixels, shown = _shown(data)
    measured = slice(None, None, stride)
    masks = die_concepts.concept_masks(die360.regions(data.a[measured], data.b[measured]))
    layers = {
        layer.name: _of_layer(layer, shown, data.images[measured], masks) for layer in pooling
    }
    return DieSaliency(network, layers, pixels)


def write(which: Trained, stride: int, output: Path) -> None:
    """Measure and save, for ``cnnviz saliency``."""
    pooling, data = trained_pooling(which)
    saliency = measure(which.network, pooling, data, stride)
    saliency.save(output, made_from(**which.origin(data), stride=stride))
