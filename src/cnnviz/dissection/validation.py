"""Validation of the labeler where the truth is known: on fundus photographs.

On ground-truth features (:mod:`cnnviz.dissection.ground_truth_features`), and on random filters,
which know nothing.  What is validated is what makes Table 4.1:
:class:`cnnviz.dissection.labeler.Labeler`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from cnnviz.attribution.receptive_field import ReceptiveField, receptive_field
from cnnviz.datasets import concepts as fundus_concepts
from cnnviz.dissection import ground_truth_features, network_dissection
from cnnviz.dissection.ground_truth_features import Feature, GroundTruthPhotograph
from cnnviz.dissection.judgment import Judged, judge
from cnnviz.dissection.labeler import DissectedLayer, Labeler, LocalizedLayer
from cnnviz.dissection.localization import Chance
from cnnviz.dissection.marked_photographs import BLOCK, MarkedPhotographs
from cnnviz.networks import layers
from cnnviz.runtime.errors import UserError

__all__ = ["RandomFilters", "Row", "images_of", "of_others", "on_ground_truth", "on_random_filters"]

_CONCEPTS = fundus_concepts.CONCEPTS
_EDGE = _CONCEPTS.index("field edge")
_BATCH = 8  # photographs of a forward pass


def images_of(
    photographs: Sequence[GroundTruthPhotograph], *markings: Sequence[np.ndarray]
) -> MarkedPhotographs:
    """Photographs of which everything is known, for the labeler.

    Parameters
    ----------
    photographs : sequence of GroundTruthPhotograph
    *markings : sequences of uint8 arrays
        Index maps in place of the photographs' own; the concepts of several follow one another.

    Returns
    -------
    MarkedPhotographs
    """
    markings = markings or ([photograph.index for photograph in photographs],)
    pixels = np.stack([photograph.pixels for photograph in photographs])
    return MarkedPhotographs(
        pixels.__getitem__,
        lambda k: photographs[k].field,
        markings,
        np.ones((len(photographs), len(markings) * len(_CONCEPTS)), bool),
        np.arange(len(photographs)),
        _BATCH,
    )


def of_others(photographs: Sequence[GroundTruthPhotograph]) -> list[np.ndarray]:
    """Index maps of another patient's eye of the same side, but with the own edge.

    Parameters
    ----------
    photographs : sequence of GroundTruthPhotograph

    Returns
    -------
    list of uint8 arrays

    Raises
    ------
    UserError
        Where there is no other patient with an eye of that side.
    """
    return [
        _exchanged(each.index, _other(photographs, k).index) for k, each in enumerate(photographs)
    ]


def _other(photographs: Sequence[GroundTruthPhotograph], k: int) -> GroundTruthPhotograph:
    """The next photograph of the same side and another patient."""
    own = photographs[k]
    for other in (*photographs[k + 1 :], *photographs[:k]):
        if other.side == own.side and other.patient != own.patient:
            return other
    raise UserError(
        f"{len(photographs)} photographs hold no other patient's {own.side} eye; draw more"
    )


def _exchanged(own: np.ndarray, other: np.ndarray) -> np.ndarray:
    other = np.where(other == _EDGE, fundus_concepts.NOTHING, other)
    return np.where(own == _EDGE, own, other)


# --- Ground-truth features --------------------------------------------------------


class Row(NamedTuple):
    """What a ground-truth feature was found to be."""

    layer: str
    feature: Feature
    label: str  #: by localization
    overlap: str  #: by overlap
    on_target: int  #: of the strongest photographs, whose maximal neuron is there
    shown: int  #: strongest photographs
    evidence: list[tuple[str, float, float, float]]  #: concept, share, lift, p; largest first
    iou: float  #: largest overlap with a concept


def on_ground_truth(
    photographs: Sequence[GroundTruthPhotograph], permutations: int = 9999, progress: bool = False
) -> list[Row]:
    """Label the features of the network made by hand.

    Parameters
    ----------
    photographs : sequence of GroundTruthPhotograph
    permutations : int
    progress : bool

    Returns
    -------
    list of Row
    """
    network, names = ground_truth_features.network(), ground_truth_features.FEATURES
    labeler = Labeler(
        [layers.find_layer(network, name) for name in names],
        features=[len(each) for each in names.values()],
    )
    images = images_of(photographs)
    dissected = labeler.dissect(images, measured=np.arange(len(images)), progress=progress)
    localized = labeler.localize(
        images,
        [each.all for each in dissected],
        Chance(permutations, block=BLOCK),
        progress=progress,
    )
    masks = [images.concepts(k).masks for k in range(len(images))]
    rows = []
    results = zip(labeler.layers, dissected, localized, judge(localized))
    for layer, strongest, lies, judged in results:
        rows += _rows(layer, masks, strongest, lies, judged)
    return rows


def _rows(
    layer: Any,
    masks: Sequence[np.ndarray],
    dissected: DissectedLayer,
    localized: LocalizedLayer,
    judged: Judged,
) -> list[Row]:
    assert dissected.iou is not None
    top, names, field = dissected.all, judged.labels(_CONCEPTS), receptive_field(layer)
    overlap = network_dissection.detectors(dissected.iou, _CONCEPTS)
    rows = []
    for k, feature in enumerate(ground_truth_features.FEATURES[layer.name]):
        share = np.nan_to_num(localized.share[k])
        order = [c for c in np.argsort(-share) if share[c] > 0]
        on_target = [
            _on(masks[image], field, place, feature.parts)
            for image, place in zip(top.index[k], top.places[k])
        ]
        evidence = [
            (_CONCEPTS[c], share[c], localized.lift[k, c], localized.p[k, c]) for c in order
        ]
        rows.append(
            Row(
                layer.name,
                feature,
                names[k],
                overlap[k],
                sum(on_target),
                len(on_target),
                evidence,
                float(np.nanmax(dissected.iou[k])),
            )
        )
    return rows


def _on(masks: np.ndarray, field: ReceptiveField, place: np.ndarray, parts: Sequence[str]) -> bool:
    """Whether one of some concepts lies within a neuron's spacing of a neuron's middle."""
    middle = [
        start + stride * k + (size - 1) / 2
        for start, stride, size, k in zip(field.start, field.stride, field.size, place)
    ]
    near = tuple(
        slice(max(int(np.ceil(center - stride)), 0), int(center + stride) + 1)
        for center, stride in zip(middle, field.stride)
    )
    return any(masks[_CONCEPTS.index(name)][near].any() for name in parts)


# --- Random filters ---------------------------------------------------------------


class RandomFilters(NamedTuple):
    """What random filters were labeled."""

    labels: np.ndarray  #: ``(filters,)``
    p: np.ndarray  #: ``(filters, concepts)``, NaN where nothing was tested


def on_random_filters(
    photographs: Sequence[GroundTruthPhotograph],
    markings: Sequence[Sequence[np.ndarray]],
    count: int,
    channels: slice,
    permutations: int = 9999,
    progress: bool = False,
) -> list[RandomFilters]:
    """Label random filters.

    Parameters
    ----------
    photographs : sequence of GroundTruthPhotograph
    markings : sequence of sequences of uint8 arrays
        Where the concepts are said to be: a test for each.
    count : int
        Of filters.
    channels : slice
        Those that the filters see.
    permutations : int
    progress : bool

    Returns
    -------
    list of RandomFilters
    """
    labeler = Labeler([ground_truth_features.random_network(count, channels)])
    images = images_of(photographs, *markings)
    (dissected,) = labeler.dissect(images)
    (localized,) = labeler.localize(
        images, [dissected.all], Chance(permutations, block=BLOCK), progress=progress
    )
    results = []
    for k in range(len(markings)):
        part = slice(k * len(_CONCEPTS), (k + 1) * len(_CONCEPTS))
        own = LocalizedLayer(
            localized.share[:, part],
            localized.expected[:, part],
            localized.p[:, part],
            localized.gradient,
            {},
        )
        (judged,) = judge([own])
        results.append(RandomFilters(judged.labels(_CONCEPTS), own.p))
    return results
