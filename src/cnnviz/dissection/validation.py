"""Trials of the automatic labeller where the truth is known.

On features planted by hand (:mod:`cnnviz.dissection.ground_truth`), on filters that know
nothing, and on the die, where the masks are exact and another measure of the same exists.
"""

from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from cnnviz.attribution import overlay
from cnnviz.attribution.receptive_field import receptive_field
from cnnviz.datasets import concepts as fundus_concepts
from cnnviz.datasets import die360
from cnnviz.dissection import ground_truth, labelling, network_dissection
from cnnviz.evaluation.concept_lift import CONCEPTS as DIE_CONCEPTS
from cnnviz.evaluation.concept_lift import concept_lift, concept_masks
from cnnviz.networks import die, layers, weights
from cnnviz.runtime.backend import lasagne
from cnnviz.runtime.errors import UserError

__all__ = [
    "BLOCK",
    "REACH",
    "ready",
    "of_others",
    "Row",
    "planted_trial",
    "Null",
    "null_trial",
    "Die",
    "Steps",
    "spaced",
    "same_pictures",
    "views",
    "die_trial",
]

BLOCK = 4  #: pixels by which saliency is moved on fundus photographs
REACH = 2  #: pixels around a lesion that count as the lesion
SIGMA = 1.0  #: of the smoothing on the die, as for the overlays, in pixels
SPACING = 10  #: degrees between views of the die

_CONCEPTS = fundus_concepts.CONCEPTS
_EDGE = _CONCEPTS.index("field edge")


# --- Fundus photographs -----------------------------------------------------


def ready(photographs, *indices):
    """Concepts of photographs, lesions a little larger, ready for many features.

    Parameters
    ----------
    photographs : sequence of planted.Planted
    *indices : sequences of uint8 arrays
        Index maps in place of the photographs' own; the concepts of several follow
        one another.

    Returns
    -------
    list of dissection.Concepts
    """
    indices = indices or ([each.index for each in photographs],)
    found = []
    for photograph, *marked in zip(photographs, *indices):
        masks = [fundus_concepts.masks(fundus_concepts.grown(each, REACH)) for each in marked]
        found.append(
            network_dissection.Concepts(
                np.concatenate(masks), photograph.field | masks[0][_EDGE], BLOCK
            )
        )
    return found


def of_others(photographs):
    """Index maps of another patient's eye of the same side, but with the own edge.

    Parameters
    ----------
    photographs : sequence of planted.Planted

    Returns
    -------
    list of uint8 arrays

    Raises
    ------
    ValueError
        Where there is no other patient with an eye of that side.
    """
    return [
        _exchanged(each.index, _other(photographs, k).index) for k, each in enumerate(photographs)
    ]


def _other(photographs, k):
    """The next photograph of the same side and another patient."""
    own = photographs[k]
    for other in (*photographs[k + 1 :], *photographs[:k]):
        if other.side == own.side and other.patient != own.patient:
            return other
    raise UserError(
        f"{len(photographs)} photographs hold no other patient's {own.side} eye; draw more"
    )


def _exchanged(own, other):
    other = np.where(other == _EDGE, fundus_concepts.NOTHING, other)
    return np.where(own == _EDGE, own, other)


class Row(NamedTuple):
    """What a planted feature was found to be."""

    layer: str
    feature: ground_truth.Feature
    label: str  #: by localisation
    overlap: str  #: by overlap
    on_target: int  #: of the strongest photographs, whose maximal neuron is there
    shown: int  #: strongest photographs
    evidence: list  #: (concept, share, lift, p), largest share first
    iou: float  #: largest overlap with a concept


def planted_trial(photographs, permutations=9999, progress=False):
    """Label the features of the network made by hand.

    Parameters
    ----------
    photographs : sequence of planted.Planted
    permutations : int
    progress : bool

    Returns
    -------
    list of Row
    """
    network, names = ground_truth.network(), ground_truth.FEATURES
    probe = labelling.Probe([layers.find_layer(network, name) for name in names])
    images, marked = _pixels(photographs), ready(photographs)
    top = [
        network_dissection.Top(*(each[: len(features)] for each in found))
        for found, features in zip(probe.strongest(images), names.values())
    ]
    findings = probe.findings(
        images,
        [each.index for each in top],
        marked,
        _all_known(marked),
        permutations=permutations,
        progress=progress,
    )
    overlaps = probe.overlap(images, [each.masks for each in marked])
    masks = [each.masks for each in marked]
    return [
        row
        for layer, *found in zip(probe.layers, top, findings, labelling.beats(findings), overlaps)
        for row in _rows(layer, masks, *found)
    ]


def _pixels(photographs):
    return np.stack([each.pixels for each in photographs])


def _all_known(marked):
    return np.ones((len(marked), len(marked[0].masks)), bool)


def _rows(layer, masks, top, found, beats, iou):
    field, names = receptive_field(layer), network_dissection.labels(beats, _CONCEPTS)
    overlap = network_dissection.detectors(iou, _CONCEPTS)
    for k, feature in enumerate(ground_truth.FEATURES[layer.name]):
        share = np.nan_to_num(found.share[k])
        order = [c for c in np.argsort(-share) if share[c] > 0]
        yield Row(
            layer.name,
            feature,
            names[k],
            overlap[k],
            sum(
                _on(masks[picture], field, place, feature.parts)
                for picture, place in zip(top.index[k], top.places[k])
            ),
            top.index.shape[1],
            [(_CONCEPTS[c], share[c], found.lift[k, c], found.p[k, c]) for c in order],
            float(np.nanmax(iou[k])),
        )


def _on(masks, field, place, parts):
    """Whether one of some concepts lies within a neuron's spacing of a neuron's middle."""
    middle = [
        start + stride * k + (size - 1) / 2
        for start, stride, size, k in zip(field.start, field.stride, field.size, place)
    ]
    near = tuple(
        slice(max(int(np.ceil(centre - stride)), 0), int(centre + stride) + 1)
        for centre, stride in zip(middle, field.stride)
    )
    return any(masks[(_CONCEPTS.index(name), *near)].any() for name in parts)


class Null(NamedTuple):
    """What random filters were labelled."""

    labels: np.ndarray  #: ``(filters,)``
    p: np.ndarray  #: ``(filters, concepts)``, NaN where nothing was tested


def null_trial(photographs, indices, count, channels, permutations=9999, progress=False):
    """Label random filters.

    Parameters
    ----------
    photographs : sequence of planted.Planted
    indices : list of sequences of uint8 arrays
        Where the concepts are said to be: a trial for each.
    count : int
        Of filters.
    channels : slice
        Those that the filters see.
    permutations : int
    progress : bool

    Returns
    -------
    list of Null
    """
    probe = labelling.Probe([ground_truth.random_network(count, channels)])
    images, marked = _pixels(photographs), ready(photographs, *indices)
    (top,) = probe.strongest(images)
    (found,) = probe.findings(
        images,
        [top.index],
        marked,
        _all_known(marked),
        permutations=permutations,
        progress=progress,
    )
    parts = zip(*(np.split(each, len(indices), axis=1) for each in found))
    return [_null(labelling.Findings(*part)) for part in parts]


def _null(found):
    (beats,) = labelling.beats([found])
    return Null(network_dissection.labels(beats, _CONCEPTS), found.p)


# --- The die ----------------------------------------------------------------


class Die(NamedTuple):
    """What a feature of a network of the die was found to be."""

    weights: str  #: "trained" or "random"
    network: str
    fold: int  #: or which random weights
    layer: str
    feature: int  #: from 0
    label: str  #: by localisation
    points: tuple  #: concepts that beat chance
    largest: str  #: concept of the largest lift; "other" where there is no saliency
    expected: tuple  #: share by chance, of every concept


class Steps(NamedTuple):
    """Names of a trained feature between the measure of Figure 5.3 and localisation.

    The largest share of saliency over the share of area, on the strongest views.
    """

    positive: str  #: of the positive part, which is what the figure takes
    magnitude: str
    overlap: str  #: label by overlap
    most: str  #: concept of the largest overlap


def spaced(a, b, spacing=SPACING):
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


def same_pictures():
    """Numbers ``(49200,)`` of views, equal for those that show one face alike.

    See :func:`cnnviz.datasets.die360.twins`.
    """
    a, b, _ = die360.angles()
    index = np.arange(len(a))
    return np.min(
        [index, *(np.where(twin >= 0, twin, index) for twin in die360.twins(a, b))], axis=0
    )


def views(data, every=1):
    """Views to look for the strongest ones among: images, concepts, keys.

    Parameters
    ----------
    data : die360.Die360
    every : int
        The data set holds every n-th view only; all are taken then.

    Returns
    -------
    images : float32 array, ``(n, 1, 32, 32)``
    masks : bool array, ``(n, 4, 32, 32)``
    keys : int array, ``(n,)``
        Equal for views that show the same.
    """
    chosen = spaced(data.a, data.b) if every == 1 else np.arange(len(data.a))
    regions = die360.regions(data.a[chosen], data.b[chosen])
    return (
        data.images[chosen],
        np.moveaxis(concept_masks(regions), 0, 1),
        same_pictures()[::every][chosen],
    )


def die_trial(shown, networks, folder, folds, permutations=9999, progress=False):
    """Label every feature of every pooling layer, trained and at random.

    Parameters
    ----------
    shown : tuple
        From :func:`views`.
    networks : sequence of str
    folder : path
        Of weight files.
    folds : int
        Trained networks of each kind, and as many with random weights.
    permutations : int
    progress : bool

    Returns
    -------
    list of Die
    dict
        From (network, layer, feature) to the :class:`Steps` of fold 0.
    """
    images, masks, keys = shown
    marked, found, steps = [network_dissection.Concepts(each) for each in masks], [], {}
    with tqdm(
        total=2 * len(networks) * folds, unit=" networks", mininterval=1, disable=not progress
    ) as bar:
        for network in networks:
            built = die.build(network)
            probe = labelling.Probe(layers.pooling_layers(built), windows=False)
            for kind, fold in (
                (kind, fold) for kind in ("trained", "random") for fold in range(folds)
            ):
                _set_weights(built, network, kind, fold, folder)
                index = [top.index for top in probe.strongest(images, keys)]
                found.append(
                    (
                        kind,
                        network,
                        fold,
                        probe.layers,
                        probe.findings(
                            images, index, marked, _all_known(marked), SIGMA, permutations
                        ),
                    )
                )
                if (kind, fold) == ("trained", 0):
                    steps |= _steps(network, probe, images, masks, index)
                bar.update()
    beats = iter(labelling.beats([each for *_, layer in found for each in layer]))
    return [
        row
        for *run, below, findings in found
        for layer, each in zip(below, findings)
        for row in _die_rows(run, layer.name, each, next(beats))
    ], steps


def _set_weights(built, network, kind, fold, folder):
    if kind == "trained":
        weights.load_fold(folder, "random", network, fold, built)
    else:
        # Networks that begin alike are not to be random alike.
        seed = 100 * (1 + die.CONVOLUTIONAL.index(network)) + fold
        lasagne.layers.set_all_param_values(
            built, lasagne.layers.get_all_param_values(die.build(network, seed))
        )


def _die_rows(run, layer, found, beats):
    for k, label in enumerate(network_dissection.labels(beats, DIE_CONCEPTS)):
        yield Die(
            *run,
            layer,
            k,
            label,
            tuple(np.array(DIE_CONCEPTS)[beats[k]]),
            _largest(found.lift[k]),
            tuple(found.expected[k]),
        )


def _largest(values):
    """Concept with the largest value."""
    values = np.nan_to_num(values)
    return DIE_CONCEPTS[values.argmax()] if values.max() > 0 else network_dissection.OTHER


def _steps(network, probe, images, masks, index):
    """Steps of the features of a network; see :func:`die_trial`."""
    pairs = {
        (layer, feature): [] for layer, each in enumerate(index) for feature in range(len(each))
    }
    for layer, feature, k, gradient, *_ in probe.gradients(images, index):
        pairs[layer, feature].append((k, gradient[0]))
    overlaps = probe.overlap(images, masks)
    return {
        (network, probe.layers[layer].name, feature): Steps(
            _most_saliency(each, masks, np.asarray),
            _most_saliency(each, masks, np.abs),
            network_dissection.detectors(overlaps[layer], DIE_CONCEPTS)[feature],
            _largest(overlaps[layer][feature]),
        )
        for (layer, feature), each in pairs.items()
    }


def _most_saliency(pairs, masks, part):
    """Concept with the largest share of saliency over its share of the area.

    Of pairs of a picture and its gradient, with saliency a part of the gradient.
    """
    if not pairs:
        return network_dissection.OTHER
    pictures, gradients = map(np.array, zip(*pairs))
    return _largest(
        concept_lift(overlay.smooth(part(gradients), SIGMA), np.moveaxis(masks[pictures], 1, 0))
    )
