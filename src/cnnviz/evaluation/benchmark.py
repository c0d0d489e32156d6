"""The benchmark of maps: every method on single features, measured (thesis section 6.1).

The thesis has no method to say whether one visualization is better than another.
Here the maps of one feature on one image, by every method, are held against

* masks of what the feature is about: :func:`pointing_and_mass`;
* the network: what the feature's maximal neuron loses when the pixels go that a map
  calls important: :func:`curves`;
* each other: :func:`agreement`; and how much of the picture they mark:
  :func:`half_share`, :func:`separate_areas`;
* the same method's maps of a network whose layers are randomized: :mod:`.cascade`.

All but the last two of the maps are measured within what the maximal neuron sees.  The
measures themselves are in :mod:`.localization`, :mod:`.faithfulness` and :mod:`.agreement`.
Results are rows, dictionaries with the keys of :data:`COLUMNS`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import ndimage

from cnnviz.attribution import overlay
from cnnviz.attribution.occluder import Occluder
from cnnviz.evaluation import localization
from cnnviz.evaluation.agreement import rank_agreement
from cnnviz.evaluation.faithfulness import deletion_insertion
from cnnviz.evaluation.feature_neurons import Neuron, maximal_neurons, part
from cnnviz.evaluation.layer_methods import METHODS, THESIS, magnitude, signed

if TYPE_CHECKING:
    from cnnviz.attribution.occlusion_passes import WindowPasses
    from cnnviz.evaluation.faithfulness import Curves
    from cnnviz.evaluation.layer_methods import LayerMethods

__all__ = [
    "CENTER",
    "COLUMNS",
    "RANDOM",
    "SIGMA",
    "Settings",
    "Target",
    "agreement",
    "blurred",
    "centered",
    "curves",
    "evaluate",
    "half_share",
    "pointing_and_mass",
    "score_rows",
    "separate_areas",
    "visited_pixels",
    "within_box",
]

#: What a map must beat: the center of the receptive field, and pixels in any order.
CENTER, RANDOM = "center", "random"
COLUMNS = ("data", "layer", "concept", "feature", "image", "measure", "method", "other", "value")

SIGMA = 1.0  # pixels, as in the overlay

_LATTICE = 64  # pixels along a side, enough to compare whole pictures

_EVERYWHERE = np.ones((3, 3), bool)  # neighbors of a pixel

_WIDTH = 4  # standard deviations of the Gaussian at the center, across what is seen


def pointing_and_mass(
    maps: np.ndarray, mask: np.ndarray, field: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Whether maps lie on a mask.

    Parameters
    ----------
    maps : array, ``(m, rows, columns)``
        Of one image.
    mask, field : bool arrays, ``(rows, columns)``
        Where the map belongs, and what counts.

    Returns
    -------
    pointing, mass : arrays, ``(m,)``
        Of :func:`cnnviz.evaluation.localization.pointing_game` and
        :func:`cnnviz.evaluation.localization.relevance_mass`; both by chance :func:`area`.
    """
    masks = np.broadcast_to(mask, maps.shape)
    return (
        localization.pointing_game(maps, masks, region=field),
        localization.relevance_mass(maps, masks, field),
    )


def agreement(maps: np.ndarray, field: np.ndarray) -> dict[tuple[int, int], float]:
    """Rank correlation of every two maps of an image.

    Parameters
    ----------
    maps : array, ``(m, rows, columns)``
    field : bool array, ``(rows, columns)``

    Returns
    -------
    dict
        From pairs of positions, the first the smaller, to numbers.
    """
    pairs = list(itertools.combinations(range(len(maps)), 2))
    first, second = (maps[list(each)] for each in zip(*pairs))
    return dict(zip(pairs, rank_agreement(first, second, field)))


def half_share(values: np.ndarray, field: np.ndarray) -> float:
    """Smallest share of the pixels that holds half of a map.

    Parameters
    ----------
    values : array, ``(rows, columns)``
        By magnitude.
    field : bool array, ``(rows, columns)``
        What counts.

    Returns
    -------
    float
        NaN for a map that is zero everywhere.
    """
    ordered = np.sort(values[field].astype(np.float64))[::-1]
    held = np.cumsum(ordered)
    if not len(held) or held[-1] <= 0:
        return np.nan
    return (np.searchsorted(held, held[-1] / 2) + 1) / len(held)


def separate_areas(values: np.ndarray) -> float:
    """Number of important areas of a map's overlay that do not touch.

    Parameters
    ----------
    values : array, ``(rows, columns)``
        Smoothed, with its sign, as :func:`cnnviz.attribution.overlay.important` takes it.

    Returns
    -------
    float
        NaN for a map that is nowhere positive.
    """
    if values.max() <= 0:
        return np.nan
    # Around what is certainly unimportant nothing is found, at some cost.
    rows, columns = ndimage.find_objects((values > 0.1 * values.max()).astype(int))[0]
    near = tuple(slice(max(each.start - 3, 0), each.stop + 3) for each in (rows, columns))
    return float(ndimage.label(overlay.important(values[near]), _EVERYWHERE)[1])


def centered(shape: tuple[int, ...]) -> np.ndarray:
    """A map that knows nothing but the middle: a Gaussian, ``(rows, columns)``.

    Neurons depend most on the middle of what they see, whatever there is (Luo et al.
    2016), and maximal ones have it on what excites them.
    """
    rows, columns = (np.arange(length) - (length - 1) / 2 for length in shape)
    return np.exp(
        -((rows[:, np.newaxis] / shape[0]) ** 2 + (columns / shape[1]) ** 2) * _WIDTH**2 / 2
    )


def blurred(images: np.ndarray, sigma: float) -> np.ndarray:
    """Images without what is small: Gaussian, ``sigma`` in pixels."""
    return ndimage.gaussian_filter(images, (0, 0, sigma, sigma))


def curves(
    occluded: WindowPasses,
    image: np.ndarray,
    neuron: Neuron,
    maps: np.ndarray,
    sigma: float,
    steps: int,
    seed: int = 0,
) -> Curves:
    """Deletion and insertion of what a neuron sees, by maps and in random order.

    Pixels become those of the blurred image (Fong and Vedaldi 2017), since constants
    would be spots themselves, and the other way round.

    Parameters
    ----------
    occluded : object
        Of the neuron's layer, from :meth:`cnnviz.attribution.occlusion.Occlusion.windows`.
    image : array, ``(1, channels, rows, columns)``
    neuron : Neuron
        Whose activation is followed.
    maps : array, ``(m, box rows, box columns)``
        Of what the neuron sees.
    sigma : float
        Of the blur, in pixels.
    steps, seed : int
        Points of a curve; of the random order.

    Returns
    -------
    cnnviz.evaluation.Curves
        Of ``m + 1`` orders, the random one last.
    """
    inside = (slice(None), slice(None), *part(neuron.box))
    rng = np.random.default_rng([seed, *neuron.box])
    orders = np.concatenate([maps, rng.random((1, *maps.shape[1:]))])
    images = np.repeat(image, len(orders), axis=0)
    occluded.keep([images], 0)

    def score(parts):
        images[inside] = parts
        return occluded.changed(images, neuron.box, neuron.place)[:, neuron.feature]

    crops, fill = (
        np.repeat(each[inside], len(orders), axis=0) for each in (image, blurred(image, sigma))
    )
    return deletion_insertion(score, crops, orders, fill, steps)


class Target(NamedTuple):
    """A feature and what it is held against."""

    concept: str
    feature: int
    masks: np.ndarray  #: bool, ``(n, rows, columns)``


class Settings(NamedTuple):
    """How maps are made and measured."""

    occluder: Occluder
    steps: int  #: of the curves
    blur: float  #: standard deviation in pixels, of what pixels become


def evaluate(
    methods: LayerMethods,
    images: np.ndarray,
    names: Sequence[str],
    targets: Sequence[Target],
    fields: np.ndarray,
    settings: Settings,
    curved: Sequence[bool] | None = None,
) -> list[dict[str, Any]]:
    """Measure the maps of features by every method.

    Parameters
    ----------
    methods : LayerMethods
        Of the layer of the features.
    images : array, ``(n, channels, rows, columns)``
    names : sequence of str
        Of the images.
    targets : sequence of Target
        Images on which the maximal neuron sees nothing of the mask do not count.
    fields : bool array, ``(n, rows, columns)``
        What counts of the images.
    settings : Settings
    curved : bool sequence, ``(n,)``, optional
        Images of which curves are taken, which cost most; all by default.

    Returns
    -------
    list of dict
    """
    features = sorted({target.feature for target in targets})
    if not features:
        return []
    layer, sign, size = methods.layer, [], []
    occluded = methods.occlusion(settings.occluder).windows(images.shape[2:])
    for raw in methods.maps(images, features, settings.occluder):
        sign.append(overlay.smooth(signed(raw), SIGMA))
        size.append(overlay.smooth(magnitude(raw), SIGMA))
    neurons = maximal_neurons(layer, images, features)
    rows = []
    for target, k in itertools.product(targets, range(len(images))):
        f = features.index(target.feature)
        case = _Case(
            neurons[k][f],
            np.stack([each[f, k] for each in sign]),
            np.stack([each[f, k] for each in size]),
            target.masks[k],
            fields[k],
        )
        if not case.sees_target():
            continue
        measured = list(case.rows(settings.occluder.stride))
        if curved is None or curved[k]:
            measured += _curve_rows(occluded, images[k : k + 1], case, settings)
        rows += [
            {
                "layer": layer.name,
                "concept": target.concept,
                "image": names[k],
                "feature": target.feature,
                **row,
            }
            for row in measured
        ]
    return rows


def row(measure: str, value: float, method: str = "", other: str = "") -> dict[str, Any]:
    return {"measure": measure, "method": method, "other": other, "value": float(value)}


def _curve_rows(
    occluded: WindowPasses, image: np.ndarray, case: _Case, settings: Settings
) -> Iterator[dict[str, Any]]:
    """Areas under the curves of one feature on one image."""
    found = curves(occluded, image, case.neuron, case.candidates(), settings.blur, settings.steps)
    if not _depends(found):
        return
    for k, method in enumerate((*METHODS, CENTER, RANDOM)):
        yield row("deletion", found.deletion_area[k], method)
        yield row("insertion", found.insertion_area[k], method)


def _depends(found: Curves) -> bool:
    """Whether the blurred image takes half of the activation at least."""
    image, fill = found.deletion[0, 0], found.deletion[0, -1]
    return image > 0 and fill <= image / 2


class _Case(NamedTuple):
    """One feature on one image."""

    neuron: Neuron
    signed: np.ndarray  #: smoothed maps ``(methods, rows, columns)``
    magnitude: np.ndarray
    mask: np.ndarray  #: ``(rows, columns)``
    field: np.ndarray  #: ``(rows, columns)``

    def sees_target(self) -> bool:
        return (self.mask & self.field)[part(self.neuron.box)].any()

    def candidates(self) -> np.ndarray:
        """Maps of what the neuron sees: of the methods, and the one of the center."""
        seen = self.magnitude[(slice(None), *part(self.neuron.box))]
        return np.concatenate([seen, centered(seen.shape[1:])[np.newaxis]])

    def rows(self, stride: int) -> Iterator[dict[str, Any]]:
        """Everything that needs no network."""
        mask, field = (each[part(self.neuron.box)] for each in (self.mask, self.field))
        yield row("chance", localization.area_share(mask[np.newaxis], field)[0])
        yield from _localization_rows(self.candidates(), mask, field)
        seen = self.signed[(slice(None), *part(self.neuron.box))]
        yield from _localization_rows(seen, mask, field, ", signed")
        visited = visited_pixels(self.field, stride)
        coarse = visited_pixels(
            self.field, stride * max(1, round(max(self.field.shape) / _LATTICE / stride))
        )
        for (a, b), value in agreement(self.magnitude, coarse).items():
            yield row("agreement, picture", value, METHODS[a], METHODS[b])
        seen = visited[part(self.neuron.box)]
        for (a, b), value in agreement(self.candidates(), seen).items():
            yield row("agreement", value, *((*METHODS, CENTER)[k] for k in (a, b)))
        for method, sign, size in zip(THESIS, self.signed, self.magnitude):
            yield row("half", half_share(size, self.field), method)
            yield row("areas", separate_areas(sign), method)


def _localization_rows(
    maps: np.ndarray,
    mask: np.ndarray,
    field: np.ndarray,
    suffix: str = "",
    methods: Sequence[str] = (*METHODS, CENTER),
) -> Iterator[dict[str, Any]]:
    for method, pointing, mass in zip(methods, *pointing_and_mass(maps, mask, field)):
        yield row("pointing" + suffix, pointing, method)
        yield row("mass" + suffix, mass, method)


def score_rows(methods: Any, maps: np.ndarray, mask: np.ndarray, image: str) -> Any:
    """Rows of maps of the true class's score, which sees the whole image.

    Parameters
    ----------
    methods : sequence of m str
    maps : array, ``(m, rows, columns)``
        By magnitude, smoothed.
    mask : bool array, ``(rows, columns)``
    image : str
        Its name.

    Returns
    -------
    list of dict
    """
    scores = [
        row("chance", localization.area_share(mask[np.newaxis])[0]),
        *_localization_rows(maps, mask, np.ones(mask.shape, bool), methods=methods),
    ]
    return [
        {"layer": "class score", "concept": "pip", "image": image, "feature": -1, **row}
        for row in scores
    ]


def visited_pixels(field: np.ndarray, stride: int) -> np.ndarray:
    """Pixels on which occluders are centered, so that nothing compared is interpolated."""
    visited = np.zeros_like(field)
    visited[::stride, ::stride] = True
    return visited & field


def within_box(shape: tuple[int, int], box: tuple[int, int, int, int]) -> np.ndarray:
    inside = np.zeros(shape, bool)
    inside[part(box)] = True
    return inside
