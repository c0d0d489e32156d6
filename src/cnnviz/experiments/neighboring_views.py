"""How much saliency changes between views of the die that are one degree apart.

Thesis section 5.4 and Figure 5.2.  For every feature of every pooling layer of a network: one
minus intersection over union of the important areas of two views, for neighbors in either angle
and, to compare with, for two views of the same class taken at random; and the correlation of the
smoothed maps of neighbors.  Of each target, the pair of neighbors that changes most is kept, of
those whose saliency is not nearly all negative.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from tqdm import tqdm

from cnnviz.attribution import overlay
from cnnviz.attribution.activations import feature_maps, maximal_neurons
from cnnviz.attribution.gradient import TARGETS, Gradient
from cnnviz.attribution.receptive_field import receptive_field
from cnnviz.attribution.reductions import reduce_channels
from cnnviz.datasets import die360, sequences
from cnnviz.evaluation import stability
from cnnviz.experiments.die_pooling import Trained, features_first, pixels_of, trained_pooling
from cnnviz.runtime.errors import UserError
from cnnviz.runtime.records import Record, axes, made_from

__all__ = [
    "SEED",
    "Changes",
    "LargestChange",
    "NeighboringViews",
    "choose_pairs",
    "differences",
    "measure",
    "write",
]

SEED = 52  #: of the random pairs


@dataclass(frozen=True)
class LargestChange(Record):
    """The pair of neighbors on which a feature's saliency changes most."""

    pair: int  #: which of the pairs
    feature: int
    change: float
    maps: np.ndarray = axes("one of two", "row", "column")
    activations: np.ndarray = axes("one of two")
    #: Receptive field of the maximal neuron.
    boxes: np.ndarray = axes("one of two", "edge")


@dataclass(frozen=True)
class Changes(Record):
    """Of the features of one layer, by one target: see :mod:`cnnviz.evaluation.stability`."""

    neighbors: np.ndarray = axes("feature", "pair")
    random: np.ndarray = axes("feature", "random pair")
    correlation: np.ndarray = axes("feature", "pair")
    #: None where no pair has positive saliency.
    largest: LargestChange | None = None


@dataclass(frozen=True)
class LayerChanges(Record):
    """Of one layer, by the target."""

    by_target: dict[str, Changes]


@dataclass(frozen=True)
class NeighboringViews(Record):
    """Changes of saliency between neighboring views, layer by layer."""

    command: ClassVar[str] = "cnnviz neighbors"

    network: str
    layers: dict[str, LayerChanges]
    views: np.ndarray = axes("view", "angle")  #: degrees
    pairs: np.ndarray = axes("pair", "one of two")  #: of the views
    #: Root mean square difference of a pair's images, gray values in [0, 1].
    differences: np.ndarray = axes("pair")
    pixels: np.ndarray = axes("view", "row", "column")


def choose_pairs(stride: int, seed: int = SEED) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of views of the data set to compare.

    Parameters
    ----------
    stride : int
        Every n-th view, with the next one in either angle, where the data set has it.
    seed : int
        Of the random pairs.

    Returns
    -------
    neighbors, others : int arrays, ``(pairs, 2)``, ``(views, 2)``
        Indices of neighbors, and of views of the same class.

    Raises
    ------
    UserError
        For a stride that leaves fewer than two views of a class.
    """
    a, b, label = die360.angles()
    chosen = np.arange(0, len(a), stride)
    if np.bincount(label[chosen], minlength=die360.CLASSES + 1)[1:].min() < 2:
        raise UserError(
            f"every {stride}-th view leaves fewer than two of a class; "
            "choose a smaller --sampling-stride"
        )
    after = sequences.neighbors(a, b, [1])[:, 0, chosen]
    pairs = np.concatenate([np.stack([chosen, each], axis=1) for each in after])
    rng = np.random.RandomState(seed)
    others = [
        rng.choice(chosen[(label[chosen] == label[each]) & (chosen != each)]) for each in chosen
    ]
    return pairs[pairs[:, 1] >= 0], np.stack([chosen, others], axis=1)


def differences(images: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Root mean squared difference of the images of pairs, ``(pairs,)``."""
    apart = images[pairs[:, 0]] - images[pairs[:, 1]]
    return np.sqrt((apart**2).mean(axis=(1, 2, 3)))


def measure(
    layer: Any,
    images: np.ndarray,
    pairs: np.ndarray,
    others: np.ndarray,
    target: str,
    apart: np.ndarray,
) -> Changes:
    """Changes of a layer's features, and the strongest example of neighbors.

    Parameters
    ----------
    layer : lasagne.layers.Layer
    images : array, ``(n, 1, rows, columns)``
    pairs, others : int arrays, ``(pairs, 2)``
        Of neighbors, and of random views.
    target : {"max", "sum"}
    apart : array, ``(pairs,)``
        How far the neighbors' images differ.

    Returns
    -------
    Changes
    """
    # Networks so small are faster as a whole than by windows.
    gradients = Gradient(layer, target, evaluation="whole").attribute(images)
    maps = features_first(reduce_channels(gradients))
    smooth = overlay.smooth(maps)
    areas, prominent = stability.important_areas(smooth), stability.prominent(smooth)
    first, second = pairs.T
    changes = stability.change(areas[:, first], areas[:, second])
    strongest = stability.largest(
        np.where(prominent[:, first] & prominent[:, second], changes, np.nan), apart
    )
    return Changes(
        changes,
        stability.change(areas[:, others[:, 0]], areas[:, others[:, 1]]),
        stability.correlation(smooth[:, first], smooth[:, second]),
        _example(layer, images, pairs, maps, strongest, changes) if strongest else None,
    )


def _example(
    layer: Any,
    images: np.ndarray,
    pairs: np.ndarray,
    maps: np.ndarray,
    strongest: tuple[int, int],
    changes: np.ndarray,
) -> LargestChange:
    feature, pair = strongest
    two = pairs[pair]
    own = feature_maps(layer, images[two])[:, feature]
    field = receptive_field(layer)
    return LargestChange(
        int(pair),
        int(feature),
        float(changes[strongest]),
        maps[:, two][feature],
        own.max(axis=(1, 2)),
        np.array([field.box(*neuron) for neuron in maximal_neurons(own).tolist()]),
    )


def write(which: Trained, stride: int, output: Path) -> None:
    """Measure every n-th view with its neighbors and save, for ``cnnviz neighbors``."""
    pooling, data = trained_pooling(which)
    pairs, others = choose_pairs(stride)
    views, index = np.unique(np.concatenate([pairs, others]), return_inverse=True)
    a, b, _ = (angle[views] for angle in die360.angles())
    images = sequences.images(data, a, b)
    pairs, others = np.split(index.reshape(-1, 2), [len(pairs)])
    apart = differences(images, pairs) * data.std
    layers = {
        layer.name: LayerChanges(
            {target: measure(layer, images, pairs, others, target, apart) for target in TARGETS}
        )
        for layer in tqdm(pooling, unit=" layers")
    }
    record = NeighboringViews(
        which.network, layers, np.stack([a, b], axis=1), pairs, apart, pixels_of(images, data)
    )
    record.save(output, made_from(**which.origin(data), stride=stride, seed=SEED))
