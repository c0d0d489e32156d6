"""What the features of De Fauw's network detect, by measurement (thesis section 4.3).

Two steps, each with its file: :func:`dissect` finds the nine photographs that activate each
feature most, of all and of those whose lesions are marked, and the overlap of its maps with
concepts; :func:`localize` measures what their saliency lies on, against chance.  Both use
:class:`cnnviz.dissection.labeler.Labeler`, as the validation of labels does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from scipy import ndimage

from cnnviz.datasets import concepts, store
from cnnviz.dissection.labeler import DissectedLayer, Labeler, LocalizedLayer, Measure
from cnnviz.dissection.localization import Chance
from cnnviz.dissection.marked_photographs import BLOCK, REACH, MarkedPhotographs
from cnnviz.experiments import defauw_network, photograph_sources
from cnnviz.experiments.concept_marking import MarkedConcepts, read_concepts
from cnnviz.experiments.figure_parts import LAYERS
from cnnviz.runtime.errors import UserError
from cnnviz.runtime.records import Record, axes, made_from, read_origin

__all__ = [
    "Dissected",
    "Localized",
    "Wanted",
    "dissect",
    "effective_number",
    "images_of",
    "localize",
    "mean_grade",
]

_HEMORRHAGE = concepts.CONCEPTS.index("hemorrhage")


@dataclass(frozen=True)
class Dissected(Record):
    """The photographs that activate features most, and overlap, layer by layer."""

    command: ClassVar[str] = "cnnviz dissect"

    layers: dict[str, DissectedLayer]
    names: np.ndarray = axes("photograph")


@dataclass(frozen=True)
class Localized(Record):
    """What the saliency of features lies on, layer by layer.

    ``measures`` of a layer are "spread", over how many hemorrhages the saliency spreads, and
    "disease", the mean grade of the feature's photographs.
    """

    command: ClassVar[str] = "cnnviz localize"

    layers: dict[str, LocalizedLayer]


def images_of(
    photographs: store.Store, marked: MarkedConcepts | None, keys: np.ndarray | None = None
) -> MarkedPhotographs:
    """Prepared photographs for the labeler.

    Parameters
    ----------
    photographs : Store
    marked : MarkedConcepts or None
        What is marked on them, if anything is.
    keys : array, ``(n,)``, optional
        Equal for equal photographs; all are different by default.
    """
    return MarkedPhotographs(
        photograph_sources.standardized(photographs),
        lambda k: concepts.field_of_view(photographs.pixels[k]),
        () if marked is None else (marked.concepts,),
        np.zeros((len(photographs), 0), bool) if marked is None else marked.known,
        np.arange(len(photographs)) if keys is None else keys,
    )


@dataclass(frozen=True)
class Wanted:
    """Of which features, and on how many photographs."""

    weights: str  #: see :func:`cnnviz.experiments.defauw_network.built`
    layers: Sequence[str] = LAYERS
    features: int | None = None  #: the first features of every layer only
    overlap: int = 200  #: photographs with marked lesions on which overlap is measured


def dissect(photographs: Path, concepts_file: Path | None, wanted: Wanted, output: Path) -> None:
    """Find the photographs that activate each feature most, and overlap with concepts.

    Parameters
    ----------
    photographs : path
        Folder of prepared photographs.
    concepts_file : path or None
        Of :class:`.concept_marking.MarkedConcepts`; without it, as of the competition's
        photographs, only the strongest of all are found.
    wanted : Wanted
    output : path
        File of :class:`Dissected`.
    """
    shown, source = photograph_sources.read(photographs)
    marked, measured, has_lesions = None, None, None
    if concepts_file is not None:
        marked = read_concepts(concepts_file, shown)
        has_lesions = concepts.lesions_known(marked.known)
        if not has_lesions.any():
            raise UserError(f"{concepts_file}: no photograph whose lesions are marked")
        measured = np.flatnonzero(has_lesions)[: wanted.overlap]
    network, weights = defauw_network.built(wanted.weights)
    pooling = defauw_network.pooling_layers(network, wanted.layers)
    labeler = Labeler(pooling, features=wanted.features)
    images = images_of(shown, marked, photograph_sources.identities(shown.pixels))
    layers = labeler.dissect(images, has_lesions, measured, progress=True)
    names = [layer.name for layer in pooling]
    Dissected(dict(zip(names, layers)), np.array(shown.names)).save(
        output,
        made_from(
            **source,
            **weights,
            layers=names,
            features=wanted.features,
            concepts=concepts_file,
            overlap_photographs=None if measured is None else len(measured),
        ),
    )


def localize(
    photographs: Path, concepts_file: Path, dissected_file: Path, permutations: int, output: Path
) -> None:
    """Measure what the saliency of every feature lies on, against chance.

    Parameters
    ----------
    photographs : path
        Folder of prepared photographs.
    concepts_file : path
        Of :class:`.concept_marking.MarkedConcepts`.
    dissected_file : path
        Of :class:`Dissected`, which says of which network and layers.
    permutations : int
        Places by chance for every p-value.
    output : path
        File of :class:`Localized`.
    """
    shown, source = photograph_sources.read(photographs)
    marked = read_concepts(concepts_file, shown)
    dissected = Dissected.load(dissected_file, concepts=concepts_file, **source)
    origin = read_origin(dissected_file)
    network, weights = defauw_network.again(origin, dissected_file)
    images, chance = images_of(shown, marked), Chance(permutations, block=BLOCK)
    top = [layer.shown for layer in dissected.layers.values()]
    layers = Labeler(defauw_network.pooling_layers(network, dissected.layers)).localize(
        images, top, chance, measures={"spread": _spread(images)}, progress=True
    )
    Localized(
        {
            name: LocalizedLayer(
                layer.share,
                layer.expected,
                layer.p,
                layer.gradient,
                layer.measures | {"disease": mean_grade(shown.grades, each.index)},
            )
            for name, layer, each in zip(dissected.layers, layers, top)
        }
    ).save(
        output,
        made_from(
            **source,
            **weights,
            layers=origin["layers"],
            features=origin["features"],
            concepts=concepts_file,
            dissected=dissected_file,
            permutations=permutations,
            least=chance.least,
            block=BLOCK,
            reach=REACH,
            seed=chance.seed,
        ),
    )


def _spread(images: MarkedPhotographs) -> Measure:
    """Over how many hemorrhages of a photograph its saliency spreads."""
    last: dict[int, np.ndarray] = {}  # of the photograph that is being looked at

    def measure(values: np.ndarray, k: int) -> float:
        if k not in last:
            last.clear()
            last[k] = ndimage.label(images.concepts(k).masks[_HEMORRHAGE])[0]
        return effective_number(values, last[k])

    return measure


def mean_grade(grades: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Mean grade ``(features,)`` of every feature's photographs that have one.

    Parameters
    ----------
    grades : int array, ``(n,)``
        -1 where there is none.
    index : int array, ``(features, count)``
    """
    known = np.where(grades >= 0, grades, np.nan)[index]
    counts = np.isfinite(known).sum(axis=1)
    return np.where(counts > 0, np.nansum(known, axis=1) / np.maximum(counts, 1), np.nan)


def effective_number(values: np.ndarray, areas: np.ndarray) -> float:
    """Over how many areas values spread: one over the sum of squared shares.

    Parameters
    ----------
    values : array, ``(rows, columns)``
        At least 0.
    areas : int array, ``(rows, columns)``
        Number of the area of every pixel, 0 outside.

    Returns
    -------
    float
        0 where no area has any.
    """
    sums = np.bincount(areas.ravel(), values.ravel())[1:]
    return float(sums.sum() ** 2 / (sums**2).sum()) if sums.any() else 0.0
