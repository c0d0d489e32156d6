"""Network dissection: overlap of features with concepts.

D. Bau, B. Zhou, A. Khosla, A. Oliva, A. Torralba, *Network Dissection: Quantifying
Interpretability of Deep Visual Representations*, CVPR 2017: where a feature's map, up-sampled
to the image, exceeds the value that 0.5 % of its activations exceed, and how much of that lies
on a concept.

A data set is seen in parts, and what was found in the parts ``before`` is passed on; how it is
divided, and in which order parts come, changes nothing.  Concepts are masks: bool, or the share
of every pixel that is covered.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnviz.attribution.receptive_field import ReceptiveField
from cnnviz.datasets.masks import shares
from cnnviz.dissection.checks import check_concepts, check_features, checked_maps
from cnnviz.dissection.labels import OTHER
from cnnviz.runtime.errors import UserError

__all__ = [
    "LEAST_OVERLAP",
    "TOP_SHARE",
    "Overlap",
    "checked_masks",
    "detectors",
    "highest",
    "overlaps",
    "thresholds",
    "upsample",
]

TOP_SHARE = 0.005  #: of activations above a feature's threshold (Bau et al. 2017)
LEAST_OVERLAP = 0.04  #: intersection over union of a detector (Bau et al. 2017)

_ROUNDING = 1e-9  # of the number of activations above the threshold


# --- Thresholds -------------------------------------------------------------


def _kept(total: int, share: float) -> int:
    """How many of the highest values decide about the threshold."""
    if not 0 < share < 1:
        raise UserError(f"share must lie between 0 and 1, not {share}")
    return int(share * total + _ROUNDING) + 1


def highest(
    maps: np.ndarray, total: int, share: float = TOP_SHARE, before: np.ndarray | None = None
) -> np.ndarray:
    """The highest activations of each feature, those that :func:`thresholds` needs.

    Exact: every value that can be above the threshold is kept, 1 + ``share`` of all values.
    512 photographs with maps of 127 x 127 keep 41,291 of 8 million.

    Parameters
    ----------
    maps : array, ``(n, features, rows, columns)``
    total : int
        Activations of a feature in the whole data set: photographs times positions.
    share : float
    before : array, optional
        What this function gave for other parts of the data set.

    Returns
    -------
    array, ``(features, values)``
        In no particular order.

    Raises
    ------
    UserError
        For maps of the wrong shape or not finite, other features than before, or a share
        outside (0, 1).
    """
    maps = checked_maps(maps)
    values = np.moveaxis(maps, 1, 0).reshape(maps.shape[1], -1)
    if before is not None:
        check_features(maps, len(before))
        values = np.concatenate([before, values], axis=1)
    kept = _kept(total, share)
    if values.shape[1] <= kept:
        return values
    return np.partition(values, -kept, axis=1)[:, -kept:].copy()


def thresholds(values: np.ndarray, total: int, share: float = TOP_SHARE) -> np.ndarray:
    """The lowest thresholds that at most a share of all activations exceed.

    Strictly exceed: a feature that gives the same value everywhere exceeds its threshold
    nowhere (Bau et al. 2017, section 2.2).

    Parameters
    ----------
    values : array, ``(features, values)``
        From :func:`highest`, of the whole data set.
    total, share
        As there.

    Returns
    -------
    array, ``(features,)``

    Raises
    ------
    UserError
        When parts of the data set are missing.
    """
    kept = _kept(total, share)
    if values.shape[1] != kept:
        raise UserError(
            f"{values.shape[1]} of the {kept} highest values; have all "
            f"{total} activations been seen?"
        )
    return values.min(axis=1)


# --- Overlap ----------------------------------------------------------------


def _between(
    length: int, count: int, size: int, stride: int, start: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Neurons before and behind every pixel, and how far it is from one to the other."""
    center = start + (size - 1) / 2
    place = np.clip((np.arange(length) - center) / stride, 0, count - 1)
    low = place.astype(int)
    return low, np.minimum(low + 1, count - 1), (place - low).astype(np.float32)


def upsample(maps: np.ndarray, field: ReceptiveField, shape: tuple[int, ...]) -> np.ndarray:
    """Bring maps to image size, every neuron to the center of its receptive field.

    Bilinear; beyond the outermost centers the map continues with its border's values (Bau et
    al. 2017, section 2.2).  What is constant stays so to the last digit.

    Parameters
    ----------
    maps : float array, ``(..., map rows, map columns)``
    field : cnnviz.attribution.receptive_field.ReceptiveField
        Of the maps' layer.
    shape : (rows, columns)
        Of the image.

    Returns
    -------
    array, ``(..., rows, columns)``
    """
    maps = np.asarray(maps)
    rows, columns = (_between(*axis) for axis in zip(shape, maps.shape[-2:], *field))
    low, high, share = rows
    above = maps[..., low, :]
    # A difference, not two products, whose rounding could exceed a threshold.
    maps = above + share[:, np.newaxis] * (maps[..., high, :] - above)
    low, high, share = columns
    left = maps[..., low]
    return left + share * (maps[..., high] - left)


@dataclass(frozen=True)
class Overlap:
    """Areas, in pixels, of what features mark and of concepts."""

    common: np.ndarray  #: ``(features, concepts)``, of what both mark
    marked: np.ndarray  #: ``(features, concepts)``, where the concept is known
    area: np.ndarray  #: ``(concepts,)``

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union ``(features, concepts)``; NaN for two empty sets."""
        union = self.marked + self.area - self.common
        return np.where(union > 0, self.common / np.where(union > 0, union, 1), np.nan)


def overlaps(
    maps: np.ndarray,
    masks: Any,
    limits: Any,
    field: ReceptiveField,
    known: Any = None,
    before: Overlap | None = None,
) -> Overlap:
    """Overlap of thresholded maps with concepts (Bau et al. 2017, section 2.2).

    Parameters
    ----------
    maps : array, ``(n, features, map rows, map columns)``
    masks : sequence of n arrays, ``(concepts, rows, columns)``
    limits : array, ``(features,)``
        From :func:`thresholds`.
    field : cnnviz.attribution.receptive_field.ReceptiveField
        Of the maps' layer.
    known : bool array, ``(n, concepts)``, optional
        Photographs in which a concept is marked wherever it is; others tell nothing about it.
    before : Overlap, optional
        Of other photographs.

    Returns
    -------
    Overlap

    Raises
    ------
    UserError
        For maps of the wrong shape or not finite, or thresholds, masks or ``known`` that do not
        belong to them.
    """
    maps = checked_maps(maps)
    check_features(maps, len(limits))
    masks, known = checked_masks(masks, len(maps), known)
    parts = [] if before is None else [(before.common, before.marked, before.area)]
    for image, concepts, sure in zip(maps, masks, known):
        common, marked = _marked(image, concepts, limits, field)
        area = concepts.sum(axis=(1, 2), dtype=float)
        parts.append((common * sure, np.outer(marked, sure), area * sure))
    return Overlap(*(np.asarray(sum(each)) for each in zip(*parts)))


def checked_masks(masks: Any, count: int, known: Any) -> tuple[Iterator[np.ndarray], np.ndarray]:
    """Masks as arrays, one at a time, and what is known of them."""
    if len(masks) != count:
        raise UserError(f"masks of {len(masks)} photographs for {count}")
    first = np.shape(masks[0])
    if len(first) != 3:
        raise UserError(f"masks are (concepts, rows, columns), not {first}")
    known = np.ones((count, first[0]), bool) if known is None else np.asarray(known, bool)
    if known.shape != (count, first[0]):
        raise UserError(f"known: {count} photographs by {first[0]} concepts, not {known.shape}")
    return (_like_first(mask, first) for mask in masks), known


def _like_first(mask: Any, shape: tuple[int, ...]) -> np.ndarray:
    mask = shares(mask, "masks")
    if mask.shape != shape:
        raise UserError(f"masks of shapes {shape} and {mask.shape}")
    return mask


def _marked(
    maps: np.ndarray, masks: np.ndarray, limits: np.ndarray, field: ReceptiveField
) -> tuple[np.ndarray, np.ndarray]:
    """One photograph's areas on masks ``(features, concepts)`` and in all."""
    common, marked = np.zeros((len(maps), len(masks))), np.zeros(len(maps))
    flat = masks.reshape(len(masks), -1)
    # Interpolated values never exceed the largest, so most maps end here.
    for k in np.flatnonzero(maps.max(axis=(1, 2)) > limits):
        values = upsample(maps[k], field, masks.shape[1:])
        pixels = np.flatnonzero(values > limits[k])
        marked[k] = len(pixels)
        common[k] = flat[:, pixels].sum(axis=1, dtype=float)
    return common, marked


def detectors(iou: np.ndarray, concepts: Sequence[str], least: float = LEAST_OVERLAP) -> np.ndarray:
    """Names of features by overlap (Bau et al. 2017, section 2.2).

    Parameters
    ----------
    iou : array, ``(features, concepts)``
    concepts : sequence of str
    least : float

    Returns
    -------
    object array, ``(features,)``
        The concept with the largest overlap where it is more than ``least``, "other" elsewhere.

    Raises
    ------
    UserError
        For another number of concepts.

    Notes
    -----
    Half a percent of all pixels and a concept on a share a of them overlap by about the smaller
    of a / 0.005 and 0.005 / a at most: 0.04 is out of reach for concepts on less than 0.02 % of
    the pixels or more than 12.5 %.
    """
    check_concepts(iou, concepts)
    seen = np.nan_to_num(iou, nan=-1)
    names = np.array(concepts, object)[seen.argmax(axis=1)]
    return np.where(seen.max(axis=1) > least, names, OTHER)
