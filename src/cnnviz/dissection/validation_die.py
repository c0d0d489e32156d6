"""Validation of the labeler on the die, where masks are exact and another measure exists."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from cnnviz.attribution import overlay
from cnnviz.datasets import die360
from cnnviz.dissection import labels, network_dissection
from cnnviz.dissection.images import ImagesInMemory
from cnnviz.dissection.judgment import Judged, judge
from cnnviz.dissection.labeler import Labeler, LocalizedLayer
from cnnviz.dissection.localization import Chance
from cnnviz.dissection.top_images import TopImages
from cnnviz.evaluation.die_concepts import CONCEPTS, concept_lift, concept_masks
from cnnviz.networks import die, layers, weights
from cnnviz.runtime.backend import lasagne

__all__ = ["DieFeature", "Networks", "Steps", "on_die", "same_pictures", "spaced", "views"]

SIGMA = 1.0  #: of the smoothing, as for the overlays, in pixels
SPACING = 10  #: degrees between views


class DieFeature(NamedTuple):
    """What a feature of a network of the die was found to be."""

    weights: str  #: "trained" or "random"
    network: str
    fold: int  #: or which random weights
    layer: str
    feature: int  #: from 0
    label: str  #: by localization
    points: tuple[str, ...]  #: concepts that are significant
    largest: str  #: concept of the largest lift; "other" where there is no saliency
    expected: tuple[float, ...]  #: share by chance, of every concept


class Steps(NamedTuple):
    """Names of a trained feature between the measure of Figure 5.3 and localization.

    The largest share of saliency over the share of area, on the strongest views.
    """

    positive: str  #: of the positive part, which is what the figure takes
    magnitude: str
    overlap: str  #: label by overlap
    most: str  #: concept of the largest overlap


#: From network, layer and feature.
StepsOfFeatures = dict[tuple[str, str, int], Steps]


# --- Views ------------------------------------------------------------------------


def spaced(a: np.ndarray, b: np.ndarray, spacing: int = SPACING) -> np.ndarray:
    """Views on a lattice, so that no two show nearly the same.

    Parameters
    ----------
    a, b : int arrays, ``(n,)``
        Degrees.
    spacing : int
        Degrees.

    Returns
    -------
    int array
        Their positions.
    """
    return np.flatnonzero((a % spacing == 0) & (b % spacing == 0))


def same_pictures() -> np.ndarray:
    """Numbers ``(49200,)`` of views, equal for those that show one face alike.

    See :func:`cnnviz.datasets.die360.twins`.
    """
    a, b, _ = die360.angles()
    index = np.arange(len(a))
    return np.min(
        [index, *(np.where(twin >= 0, twin, index) for twin in die360.twins(a, b))], axis=0
    )


def views(data: die360.Die360) -> ImagesInMemory:
    """Views to look for the strongest ones among.

    Parameters
    ----------
    data : die360.Die360
        Of a part of the views all are taken.

    Returns
    -------
    ImagesInMemory
        Of ``(n, 1, 32, 32)``, with the concepts of the die; views that show the same have equal
        keys.
    """
    is_whole = data.sampling_stride == 1
    chosen = spaced(data.a, data.b) if is_whole else np.arange(len(data.a))
    regions = die360.regions(data.a[chosen], data.b[chosen])
    return ImagesInMemory(
        data.images[chosen],
        np.moveaxis(concept_masks(regions), 0, 1),
        keys=same_pictures()[:: data.sampling_stride][chosen],
    )


# --- Labels of all features -------------------------------------------------------


@dataclass(frozen=True)
class Networks:
    """Which networks of the die are labeled."""

    names: Sequence[str]
    folder: Path  #: of the weight files
    folds: int  #: trained networks of each kind, and as many with random weights


def on_die(
    images: ImagesInMemory, networks: Networks, permutations: int = 9999, progress: bool = False
) -> tuple[list[DieFeature], StepsOfFeatures]:
    """Label every feature of every pooling layer, trained and at random.

    Parameters
    ----------
    images : ImagesInMemory
        From :func:`views`.
    networks : Networks
    permutations : int
    progress : bool

    Returns
    -------
    list of DieFeature
    dict
        From (network, layer, feature) to the :class:`Steps` of fold 0.
    """
    runs: list[tuple[tuple[str, str, int], list[str], list[LocalizedLayer]]] = []
    steps: StepsOfFeatures = {}
    with tqdm(
        total=2 * len(networks.names) * networks.folds,
        unit=" networks",
        mininterval=1,
        disable=not progress,
    ) as bar:
        for kind, network, fold, labeler in _trained_and_random(networks):
            first = (kind, fold) == ("trained", 0)
            dissected = labeler.dissect(images, measured=np.arange(len(images)) if first else None)
            top = [each.all for each in dissected]
            localized = labeler.localize(images, top, Chance(permutations), SIGMA)
            names = [layer.name for layer in labeler.layers]
            runs.append(((kind, network, fold), names, localized))
            if first:
                overlaps = [each.iou for each in dissected if each.iou is not None]
                steps |= _steps(network, labeler, images, top, overlaps)
            bar.update()
    judged = iter(judge([each for *_, localized in runs for each in localized]))
    return [
        row
        for run, names, localized in runs
        for name, each in zip(names, localized)
        for row in _rows(run, name, each, next(judged))
    ], steps


def _trained_and_random(networks: Networks) -> Iterator[tuple[str, str, int, Labeler]]:
    """Every network with the weights of every fold, then with random ones."""
    for network in networks.names:
        built = die.build(network)
        labeler = Labeler(layers.pooling_layers(built), windows=False)
        for kind in ("trained", "random"):
            for fold in range(networks.folds):
                _set_weights(built, network, kind, fold, networks.folder)
                yield kind, network, fold, labeler


def _set_weights(built: Any, network: str, kind: str, fold: int, folder: Path) -> None:
    if kind == "trained":
        weights.load_fold(folder, "random", network, fold, built)
    else:
        # Networks that begin alike are not to be random alike.
        seed = 100 * (1 + die.CONVOLUTIONAL.index(network)) + fold
        lasagne.layers.set_all_param_values(
            built, lasagne.layers.get_all_param_values(die.build(network, seed))
        )


def _rows(
    run: tuple[str, str, int], layer: str, localized: LocalizedLayer, judged: Judged
) -> Iterator[DieFeature]:
    for k, label in enumerate(judged.labels(CONCEPTS)):
        yield DieFeature(
            *run,
            layer,
            k,
            label,
            tuple(np.array(CONCEPTS)[judged.significant[k]]),
            _largest(localized.lift[k]),
            tuple(localized.expected[k]),
        )


def _largest(values: np.ndarray) -> str:
    """Concept with the largest value."""
    values = np.nan_to_num(values)
    return CONCEPTS[values.argmax()] if values.max() > 0 else labels.OTHER


# --- Between the measure of Figure 5.3 and localization ---------------------------


def _steps(
    network: str,
    labeler: Labeler,
    images: ImagesInMemory,
    top: Sequence[TopImages],
    overlaps: Sequence[np.ndarray],
) -> StepsOfFeatures:
    """Steps of the features of a network."""
    pairs: dict[tuple[int, int], list[tuple[int, np.ndarray]]] = {
        (layer, feature): [] for layer, each in enumerate(top) for feature in range(len(each.index))
    }
    for map_ in labeler.saliency_maps(images, top):
        pairs[map_.layer, map_.feature].append((map_.image, map_.gradient[0]))
    return {
        (network, labeler.layers[layer].name, feature): Steps(
            _most_saliency(found, images, np.asarray),
            _most_saliency(found, images, np.abs),
            network_dissection.detectors(overlaps[layer], CONCEPTS)[feature],
            _largest(overlaps[layer][feature]),
        )
        for (layer, feature), found in pairs.items()
    }


def _most_saliency(
    pairs: Sequence[tuple[int, np.ndarray]],
    images: ImagesInMemory,
    part: Callable[[np.ndarray], np.ndarray],
) -> str:
    """Concept with the largest share of saliency over its share of the area.

    Of pairs of an image and its gradient, with saliency a part of the gradient.
    """
    if not pairs:
        return labels.OTHER
    masks = np.stack([images.masks(k) for k, _ in pairs], axis=1)
    gradients = np.array([gradient for _, gradient in pairs])
    return _largest(concept_lift(overlay.smooth(part(gradients), SIGMA), masks))
