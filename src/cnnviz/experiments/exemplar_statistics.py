"""How far exemplars of pooling layers are from data (thesis sections 4.4 and 6).

Exemplars by plain gradient ascent, with the norm held, and regularized; the activation that they
reach beside the largest one on data, what they are like, and whether they survive a shift and
another start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cnnviz.datasets import die360, fundus, store
from cnnviz.feature_visualization import analysis
from cnnviz.feature_visualization.analysis import Settings
from cnnviz.feature_visualization.analysis_records import LayerStatistics
from cnnviz.networks import defauw, die, layers, weights
from cnnviz.runtime import paths
from cnnviz.runtime.errors import UserError
from cnnviz.runtime.records import Record, made_from

if TYPE_CHECKING:
    from lasagne.layers import Layer

__all__ = ["FUNDUS_LAYERS", "ExemplarStatistics", "Sample", "settings", "write"]

FUNDUS_LAYERS = {"pool2": 4, "pool3": 4, "pool4": 2}  # and how many features
PER_CLASS = {"die": 800, "fundus": 4}


@dataclass(frozen=True)
class ExemplarStatistics(Record):
    """Exemplars of a network's pooling layers beside a sample of its data."""

    command: ClassVar[str] = "cnnviz exemplar-statistics"

    network: str  #: "defauw", or one of the die
    weights: str | None  #: of De Fauw's network
    kind: str  #: of the data: "die" or "fundus"
    accuracy: float | None  #: on validation images, of a network of the die
    sample: int  #: images
    settings: dict[str, float]  #: of the ascents: fields of Settings
    layers: dict[str, LayerStatistics]


@dataclass(frozen=True)
class Sample:
    """Which network is measured, on which data."""

    network: str  #: "defauw", or one of the die
    fold: int  #: of the die's random split
    images: Path
    weights_folder: Path
    photographs: Path
    weights: str  #: of De Fauw's network
    layers: Sequence[str] | None
    per_class: int | None
    max_steps: int | None


def settings(kind: str, max_steps: int | None) -> Settings:
    """Ascents of the same length, in steps times their size, for both experiments."""

    usual = (
        Settings()
        if kind == "die"
        else Settings(steps=50, step_size=0.2, regularized_steps=50, seeds=2)
    )
    if max_steps is None:
        return usual
    return usual._replace(
        steps=min(usual.steps, max_steps), regularized_steps=min(usual.regularized_steps, max_steps)
    )


def _die(which: Sample) -> Any:
    """Network, its pooling layers and their features, images, labels, accuracy."""
    network = die.build(which.network)
    names = [layer.name for layer in layers.pooling_layers(network)]
    if not names:
        raise UserError(
            f"network '{which.network}' has no pooling layers; choose one "
            "of " + ", ".join(die.CONVOLUTIONAL + die.EXTRA)
        )
    data = die360.load(which.images)
    metadata = weights.load_fold(which.weights_folder, "random", which.network, which.fold, network)
    return (
        network,
        dict.fromkeys(names, die.FILTERS),
        data.images,
        data.labels,
        metadata["validation_accuracy"],
    )


def _fundus(which):
    network = defauw.build()
    defauw.load(which.weights, network)
    photographs = store.read(which.photographs)
    return network, FUNDUS_LAYERS, photographs.pixels, photographs.grades, None


def _sample(images: np.ndarray, labels: np.ndarray, count: int) -> analysis.Data:
    chosen = np.array(images[analysis.stratified(labels, count)])
    if chosen.dtype == np.uint8:
        chosen = fundus.standardize(chosen)
    return analysis.data_of(chosen)


def write(which: Sample, output: Path) -> None:
    """Measure and save, for ``cnnviz exemplar-statistics``."""
    kind = "fundus" if which.network == "defauw" else "die"
    prepare = {"die": _die, "fundus": _fundus}[kind]
    network, counts, images, labels, accuracy = prepare(which)
    data = _sample(images, labels, which.per_class or PER_CLASS[kind])
    del images
    lengths = settings(kind, which.max_steps)
    names = which.layers or list(counts)
    names = which.layers or list(counts)
    ExemplarStatistics(
        which.network,
        which.weights if kind == "fundus" else None,
        kind,
        accuracy,
        len(data.images),
        lengths._asdict(),
        {name: _of_layer(network, name, counts.get(name, 2), data, lengths) for name in names},
    ).save(output, made_from(**_origin(which), layers=names), compressed=True)


def _of_layer(
    network: Layer, name: str, count: int, data: analysis.Data, lengths: Settings
) -> LayerStatistics:
    """Statistics of some features of a layer, evenly from all of them."""
    layer = layers.find_layer(network, name)
    features = np.linspace(0, layer.output_shape[1], count, endpoint=False).astype(int)
    return analysis.of_layer(layer, data, features, lengths, True)


def _origin(which: Sample) -> dict[str, Any]:
    """What the statistics are made from."""
    if which.network == "defauw":
        file = paths.FUNDUS_WEIGHTS.get(which.weights)
        return {"network": which.network, "choice": which.weights, "weights": file}
    file = paths.weight_file(which.weights_folder, "random", which.network, which.fold)
    return {"network": which.network, "fold": which.fold, "weights": file}
