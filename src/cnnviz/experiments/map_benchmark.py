"""The benchmark of maps on both experiments (beyond the thesis, whose section 6.1 asks for one).

Maps of the gradient of the maximum and of the sum, occlusion, deconvolutional network and guided
back-propagation are held against exact masks, against the network, and against one another.
Features are chosen on other images than they are measured on.

die360: features about pips, of a network of the die, and the score of the true class.
fundus: for every kind of lesion and every layer the feature of De Fauw's network that is most about
it, on synthetic photographs, and on IDRiD's outlined ones where there is a mirror.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from cnnviz.attribution import overlay
from cnnviz.attribution.gradient import Gradient
from cnnviz.attribution.occluder import Occluder
from cnnviz.attribution.occlusion import Occlusion
from cnnviz.attribution.reductions import reduce_channels
from cnnviz.datasets import concepts, die360, external, fundus, idrid, synthetic, synthetic_scene
from cnnviz.evaluation import (
    benchmark,
    cascade,
    die_concepts,
    feature_selection,
    layer_methods,
    localization,
)
from cnnviz.networks import defauw, die, inputs, layers, weights
from cnnviz.runtime import tables
from cnnviz.runtime.errors import UserError

if TYPE_CHECKING:
    from lasagne.layers import Layer

__all__ = [
    "DieBenchmark",
    "FundusBenchmark",
    "die360_rows",
    "fundus_rows",
    "read",
    "real",
    "synthetic_photographs",
    "views",
    "write",
]

LESIONS = ("microaneurysm", "hemorrhage", "hard exudate", "soft exudate")
SELECTION_SEED, TEST_SEED = 501, 502  # patients of neither training nor test sets
SHARES = np.array([0, 0, 0, 1, 1]) / 2  # grades with lesions of all kinds
COVERED = 0.25  # of a pixel, that counts as the lesion; many are small
NEAR = {"die360": 1, "fundus": 5}  # pixels from pip or lesion that still count
CASCADE_VIEWS = 8


class Plan(NamedTuple):
    """What is computed of a layer of De Fauw's network."""

    stride: int  #: of the occluder
    part: float  #: of the photographs, since deep layers take long
    curves: float


OCCLUDER = {"die360": 5, "fundus": 11}
PLANS = {
    "pool1": Plan(2, 1, 0.5),
    "pool2": Plan(2, 1, 0.5),
    "pool3": Plan(2, 1, 0.5),
    "pool4": Plan(6, 1, 0.5),
    "pool5": Plan(8, 0.5, 0.125),
}
RANDOMIZED = ("pool1", "pool2", "pool3")  # the deepest is randomized; others take long
RANDOMIZED_PHOTOGRAPHS = 2
CASCADE_STRIDE = 8
STEPS = 10


@dataclass(frozen=True)
class DieBenchmark:
    """Which network of the die is measured, on which views."""

    network: str
    images: Path
    weights_folder: Path
    views: int  #: evenly from the data set: half to choose features, half to measure


@dataclass(frozen=True)
class FundusBenchmark:
    """Which weights of De Fauw's network are measured, on how many photographs."""

    weights: str
    layers: Sequence[str]
    photographs: int  #: synthetic ones, and as many real ones; half as many at pool5
    selection: int  #: synthetic ones to choose features on
    mirror: Path | None


def _with(rows, data):
    return [{"data": data, **row} for row in rows]


def _grown(masks, distance):
    """Masks ``(..., rows, columns)`` and what lies near them."""
    flat = masks.reshape(-1, *masks.shape[-2:])
    return np.stack([localization.dilate(each, distance) for each in flat]).reshape(masks.shape)


# --- Die360 -----------------------------------------------------------------------


def views(count: int, wanted: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of views for choosing and for measuring, evenly from the data set.

    Returns
    -------
    two int arrays
        They have no view in common.

    Raises
    ------
    ValueError
        For fewer than two views.
    """
    chosen = np.unique(np.linspace(0, count - 1, min(count, wanted)).astype(int))
    if len(chosen) < 2:
        raise UserError(f"--views: at least 2 are needed, not {len(chosen)}")
    return chosen[::2], chosen[1::2]


def _lift_rows(layer: Layer, lift, concepts):
    return [
        {
            "layer": layer.name,
            "concept": "",
            "feature": k,
            "image": "",
            "measure": "lift",
            "method": "gradient max",
            "other": concept,
            "value": value,
        }
        for k, each in enumerate(lift)
        for concept, value in zip(concepts, each)
    ]


def _score_rows(network, data, views, masks):
    """Saliency of the true class's score, against the pips of the face it counts."""
    output, images = inputs.linear(network), data.images[views]
    index = (np.arange(len(views)), data.labels[views])
    found = [
        reduce_channels(Gradient(output).attribute(images))[index],
        Occlusion(output, OCCLUDER["die360"]).attribute(images)[(*index, 0)],
    ]
    maps = overlay.smooth(np.abs(found), benchmark.SIGMA)
    return [
        row
        for k, view in enumerate(views)
        for row in benchmark.score_rows(
            ("gradient max", "occlusion"), maps[:, k], masks[k], f"view {view}"
        )
    ]


def die360_rows(which: DieBenchmark) -> list[dict]:
    """Measurements of a network of the die."""
    data = die360.load(which.images)
    network = die.build(which.network)
    weights.load_fold(which.weights_folder, "random", which.network, 0, network)
    selection, test = views(len(data.images), which.views)
    concepts = die_concepts.concept_masks(die360.regions(data.a[selection], data.b[selection]))
    region = die360.regions(data.a[test], data.b[test])
    pips = _grown(region > die360.PIP, NEAR["die360"])
    images, names = data.images[test], [f"view {k}" for k in test]
    fields = np.ones(pips.shape, bool)
    settings = benchmark.Settings(Occluder(OCCLUDER["die360"]), STEPS, OCCLUDER["die360"])
    rows, last = [], None
    for layer in tqdm(layers.pooling_layers(network), unit=" layers"):
        methods = layer_methods.LayerMethods(layer)
        gradients = Gradient(layer, evaluation="windows").attribute(data.images[selection])
        # Features first, and laid out so: sums over maps keep their bits.
        by_feature = np.ascontiguousarray(np.swapaxes(layer_methods.magnitude(gradients), 0, 1))
        maps = overlay.smooth(by_feature, benchmark.SIGMA)
        lift = feature_selection.lifts(maps, concepts)
        rows += _lift_rows(layer, lift, die_concepts.CONCEPTS)
        targets = [
            benchmark.Target("pip", k, pips)
            for k in feature_selection.is_about(lift, die_concepts.CONCEPTS.index("pip"))
        ]
        rows += benchmark.evaluate(methods, images, names, targets, fields, settings)
        last = (methods, targets) if targets else last
    if last:
        chosen = np.unique(np.linspace(0, len(test) - 1, CASCADE_VIEWS).astype(int))
        rows += cascade.cascade_rows(
            last[0], images, names, [(each, chosen) for each in last[1]], fields, settings
        )
    counted = region == (die360.PIP + 1 + data.labels[test])[:, np.newaxis, np.newaxis]
    rows += _score_rows(network, data, test, _grown(counted, NEAR["die360"]))
    return _with(rows, "die360")


# --- Retinopathy ------------------------------------------------------------------


class Photographs(NamedTuple):
    """Photographs with their lesions."""

    data: np.ndarray  #: where each comes from, ``(n,)``
    names: np.ndarray  #: ``(n,)``
    images: np.ndarray  #: standardized, ``(n, 3, 512, 512)``
    masks: np.ndarray  #: bool, ``(n, lesions, 512, 512)``, with what lies near
    fields: np.ndarray  #: bool, ``(n, 512, 512)``

    def chosen(self, index: Any) -> Any:
        """Some of them."""
        return Photographs(*(each[index] for each in self))

    def place(self) -> Any:
        """Number of each among those of the same source, ``(n,)``."""
        return np.array([(self.data[:k] == each).sum() for k, each in enumerate(self.data)])


def _photographs(data, examples):
    """From (name, standardized pixels, masks of lesions, field of view) each."""
    names, pixels, masks, fields = zip(*examples)
    covered = np.array([[mask[name] >= COVERED for name in LESIONS] for mask in masks])
    return Photographs(
        np.full(len(names), data),
        np.array(names),
        np.stack(pixels),
        _grown(covered, NEAR["fundus"]),
        np.stack(fields),
    )


def _has_all(scene):
    return all((scene.kinds == synthetic_scene.LESIONS.index(name)).any() for name in LESIONS)


def synthetic_photographs(seed: Any, count: Any) -> Any:
    """Synthetic photographs with every kind of lesion, each of another patient."""
    chosen, patient = [], 0
    with tqdm(total=count, unit=" photographs", desc="drawing") as bar:
        while len(chosen) < count:
            scene = next(filter(_has_all, synthetic.pair([seed, patient], SHARES)), None)
            patient += 1
            if scene is None:
                continue
            picture, _ = synthetic.prepared(scene)
            field = concepts.field_of_view(picture)
            chosen.append(
                (
                    f"{seed}/{patient - 1}",
                    fundus.standardize(picture),
                    concepts.of_scene(scene, field).masks,
                    field,
                )
            )
            bar.update()
    return _photographs("synthetic", chosen)


def real(mirror: Any, count: Any) -> Any:
    """IDRiD's outlined photographs with every kind of lesion, the first ones."""
    wanted = {short for short, name in idrid.CLASSES.items() if name in LESIONS}
    records = [each for each in idrid.records("lesions") if wanted <= set(each.classes)]
    outlined = []
    for record in tqdm(records[:count], unit=" photographs", desc="IDRiD"):
        photograph = idrid.load(record, mirror)
        picture = fundus.to_bytes(photograph.pixels)
        field = concepts.field_of_view(picture)
        outlined.append(
            (record.name, photograph.pixels, concepts.of_photograph(photograph, field).masks, field)
        )
    return _photographs("IDRiD", outlined)


def _chosen(found, selection):
    """For every layer and every lesion the feature that is most about it."""
    features = sum(layer.output_shape[1] for layer in found)
    with tqdm(total=features * len(selection.names), unit=" maps", desc="choosing") as bar:
        scores = feature_selection.scores(
            found, selection.images, selection.masks, selection.fields, bar.update
        )
    return [np.nanargmax(score, axis=0).tolist() for score in scores]


def _targets(features, masks):
    return [
        benchmark.Target(lesion, feature, masks[:, k])
        for k, (lesion, feature) in enumerate(zip(LESIONS, features))
    ]


def _layer_rows(methods, features, photographs, count):
    """Measurements of a layer's chosen features."""
    plan, size = PLANS[methods.layer.name], OCCLUDER["fundus"]
    few = photographs.chosen(photographs.place() < math.ceil(plan.part * count))
    rows = benchmark.evaluate(
        methods,
        few.images,
        few.names,
        _targets(features, few.masks),
        few.fields,
        benchmark.Settings(Occluder(size, plan.stride), STEPS, size),
        few.place() < math.ceil(plan.curves * count),
    )
    data = dict(zip(few.names, few.data))
    return [{"data": data[row["image"]], **row} for row in rows]


def _randomized_rows(methods, features, photographs):
    """Randomized networks, on the first synthetic photographs."""
    shown, size = photographs.chosen(photographs.data == "synthetic"), OCCLUDER["fundus"]
    index = range(min(RANDOMIZED_PHOTOGRAPHS, len(shown.names)))
    targets = [(target, index) for target in _targets(features, shown.masks)]
    settings = benchmark.Settings(Occluder(size, CASCADE_STRIDE), STEPS, size)
    return _with(
        cascade.cascade_rows(methods, shown.images, shown.names, targets, shown.fields, settings),
        "synthetic",
    )


def fundus_rows(which: FundusBenchmark) -> list[dict]:
    """Measurements of De Fauw's network."""
    network = defauw.build()
    defauw.load(which.weights, network)
    selection = synthetic_photographs(SELECTION_SEED, which.selection)
    photographs = synthetic_photographs(TEST_SEED, which.photographs)
    mirror = external.mirror(which.mirror)
    if mirror:
        photographs = Photographs(
            *map(np.concatenate, zip(photographs, real(mirror, which.photographs)))
        )
    # As they lie on each other, however they were given.
    below = [
        pooling_layer
        for pooling_layer in layers.pooling_layers(network)
        if pooling_layer.name in which.layers
    ]
    rows, last = [], None
    for layer, features in zip(tqdm(below, unit=" layers"), _chosen(below, selection)):
        methods = layer_methods.LayerMethods(layer)
        rows += _layer_rows(methods, features, photographs, which.photographs)
        last = (methods, features) if layer.name in RANDOMIZED else last
    return rows + (_randomized_rows(*last, photographs) if last else [])


def write(which: DieBenchmark | FundusBenchmark, output: Path) -> None:
    """Measure and write all rows, for ``cnnviz map-quality``."""
    with warnings.catch_warnings():
        # Lasagne 0.1's own convolution gives it with every use.
        warnings.filterwarnings("ignore", message=".*image_shape.*")
        if isinstance(which, DieBenchmark):
            rows = die360_rows(which)
        else:
            rows = fundus_rows(which)
    tables.write_rows(output, benchmark.COLUMNS, rows)


def read(path: Path) -> pd.DataFrame:
    """Rows of 'cnnviz map-quality'.

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing file, or one with other columns.
    """
    # Only values may be missing; a method that is not there is an empty text.
    frame = tables.read_table(
        path,
        "cnnviz map-quality",
        keep_default_na=False,
        na_values={"value": ["", "nan"]},
        dtype={"image": str},
    )
    if tuple(frame.columns) != benchmark.COLUMNS:
        raise UserError(
            f"{path}: columns {list(frame.columns)} instead of "
            f"{list(benchmark.COLUMNS)}; make it again with 'cnnviz map-quality'"
        )
    return frame
