"""Whether maps lie on what a feature is about, where masks say where that is.

The pointing game, relevance mass and relevance rank, each against :func:`area_share`, which is
what chance gives.  Maps are ``(n, rows, columns)``, one for each image, of one feature; every
measure has one number for each, NaN where it has no meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import ndimage

from cnnviz.datasets.masks import marked
from cnnviz.evaluation.checks import as_maps, as_masks, as_region, check_agree
from cnnviz.runtime.errors import UserError

__all__ = ["area_share", "dilate", "pointing_game", "relevance_mass", "relevance_rank"]


def dilate(mask: np.ndarray, tolerance: float) -> np.ndarray:
    """Pixels near a mask, as :func:`pointing_game` counts them.

    Parameters
    ----------
    mask : array of bool or whole numbers, ``(rows, columns)``
        Any number above 0 marks a pixel, as in all masks and regions here.
    tolerance : float
        Pixels, in a straight line.

    Returns
    -------
    bool array, ``(rows, columns)``
    """
    mask = marked(mask)
    if not mask.any():  # the distance transform would measure from the border
        return mask
    return ndimage.distance_transform_edt(~mask) <= tolerance


def _targets(
    masks: np.ndarray, region: np.ndarray | None, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Masks to hit and regions that count, from the arguments of the measures."""
    if not tolerance >= 0:
        raise UserError(f"tolerance must be at least 0, not {tolerance}")
    masks = as_masks(masks)
    region = as_region(region, masks.shape)
    targets = np.stack([dilate(mask, tolerance) for mask in masks & region])
    return targets & region, region


def _per_map(
    measure: Callable[..., Any],
    maps: np.ndarray,
    masks: np.ndarray,
    region: np.ndarray | None = None,
    tolerance: float = 0,
) -> np.ndarray:
    """A measure of saliency and mask, ``(pixels,)`` each, of every map's region."""
    maps = as_maps(maps)
    masks, region = _targets(masks, region, tolerance)
    check_agree(masks.shape, "masks", maps.shape)
    return np.array(
        [measure(values[inside], mask[inside]) for values, mask, inside in zip(maps, masks, region)]
    )


def pointing_game(
    maps: np.ndarray, masks: np.ndarray, tolerance: float = 0, region: np.ndarray | None = None
) -> np.ndarray:
    """Whether a map's maximum lies on the mask (Zhang et al. 2016).

    Parameters
    ----------
    maps : array, ``(n, rows, columns)``
    masks : bool array, ``(n, rows, columns)``
        Where the maximum belongs.
    tolerance : float
        Pixels: a maximum this far from the mask, in a straight line, still
        hits it.  Zhang et al. allow 15 in photographs of some 500 pixels.
    region : bool array, ``(rows, columns)`` or ``(n, rows, columns)``, optional
        What counts: a receptive field, or a photograph's field of view.
        Neither map nor mask is looked at outside it.

    Returns
    -------
    float array, ``(n,)``
        1 for a hit and 0 for a miss; of several equal maxima the share that
        hits.  NaN where the mask is empty or the map constant.
        ``area_share(masks, region, tolerance)`` is what chance gives.

    Raises
    ------
    ValueError
        For maps and masks of different shape, none at all, maps that are not
        finite, masks that are not bool, or a negative tolerance.

    References
    ----------
    Zhang, Lin, Brandt, Shen, Sclaroff: Top-down neural attention by
    excitation backprop, ECCV 2016.
    """
    return _per_map(_pointed, maps, masks, region, tolerance)


def _pointed(values: np.ndarray, mask: np.ndarray) -> float:
    if not mask.any() or values.min() == values.max():
        return np.nan
    return mask[values == values.max()].mean()


def relevance_mass(
    maps: np.ndarray, masks: np.ndarray, region: np.ndarray | None = None
) -> np.ndarray:
    """Share of the positive saliency that lies on the mask (Arras et al. 2022).

    Parameters
    ----------
    maps : array, ``(n, rows, columns)``
        Negative saliency does not count.
    masks : bool array, ``(n, rows, columns)``
    region : bool array, ``(rows, columns)`` or ``(n, rows, columns)``, optional
        What counts, as for :func:`pointing_game`.

    Returns
    -------
    float array, ``(n,)``
        0 to 1.  NaN where the mask is empty or the map nowhere positive.
        ``area_share(masks, region)`` is what chance gives.

    Raises
    ------
    ValueError
        For maps and masks of different shape, none at all, maps that are not
        finite, or masks that are not bool.

    References
    ----------
    Arras, Osman, Samek: CLEVR-XAI: a benchmark dataset for the ground truth
    evaluation of neural network explanations, Information Fusion 81, 2022;
    their *relevance mass accuracy*.
    """
    return _per_map(_mass, maps, masks, region)


def _mass(values: np.ndarray, mask: np.ndarray) -> float:
    positive = np.maximum(values, 0)
    if not mask.any() or not positive.any():
        return np.nan
    # Scaled first, since sums of the smallest or largest numbers do not fit.
    positive = positive / positive.max()
    return positive[mask].sum() / positive.sum()


def relevance_rank(
    maps: np.ndarray, masks: np.ndarray, region: np.ndarray | None = None
) -> np.ndarray:
    """Share of the K most salient pixels that lie on a mask of K pixels.

    Parameters as for :func:`relevance_mass`; the sign of the saliency counts.

    Returns
    -------
    float array, ``(n,)``
        0 to 1.  Where pixels tie for the last places of the K, the mean over
        every order of theirs.  NaN where the mask is empty or the map
        constant.  ``area_share(masks, region)`` is what chance gives.

    Raises
    ------
    ValueError
        As :func:`relevance_mass`.

    References
    ----------
    Arras, Osman, Samek, Information Fusion 81, 2022; their *relevance rank
    accuracy*.
    """
    return _per_map(_rank, maps, masks, region)


def _rank(values: np.ndarray, mask: np.ndarray) -> float:
    if not mask.any() or values.min() == values.max():
        return np.nan
    count = mask.sum()
    last = np.partition(values, -count)[-count]
    above, tied = values > last, values == last
    hits = (mask & above).sum() + (count - above.sum()) * mask[tied].mean()
    return hits / count


def area_share(
    masks: np.ndarray, region: np.ndarray | None = None, tolerance: float = 0
) -> np.ndarray:
    """Share of the pixels that lie on the mask: what saliency by chance scores.

    That is what :func:`pointing_game`, :func:`relevance_mass` and
    :func:`relevance_rank` give on average over every rearrangement of a map's
    pixels.

    Parameters
    ----------
    masks : bool array, ``(n, rows, columns)``
    region : bool array, ``(rows, columns)`` or ``(n, rows, columns)``, optional
        What counts, as for :func:`pointing_game`.
    tolerance : float
        Pixels, that of :func:`pointing_game`.

    Returns
    -------
    float array, ``(n,)``
        0 to 1.  NaN where the mask is empty, as the measures are, so that
        means over images are means over the same ones.

    Raises
    ------
    ValueError
        For no masks, masks that are not bool, a region of another shape, or
        a negative tolerance.
    """
    masks, region = _targets(masks, region, tolerance)
    on, counted = masks.sum(axis=(1, 2)), region.sum(axis=(1, 2))
    return np.where(on > 0, on / np.maximum(counted, 1), np.nan)
