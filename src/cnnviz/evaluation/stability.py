"""How much saliency maps and posteriors change from one image to the next.

Thesis section 5.4 and Figures 5.2 and 5.5, which show one pair of images each: here
the change is a number, so that the pair can be found by rule and compared with others.
"""

from __future__ import annotations

import numpy as np

from cnnviz.attribution import overlay
from cnnviz.runtime import arrays

__all__ = [
    "change",
    "correlation",
    "disagreement",
    "important_areas",
    "largest",
    "prominent",
    "total_variation",
]


def important_areas(smooth: np.ndarray) -> np.ndarray:
    """Important areas of smoothed saliency maps, as overlays show them.

    Parameters
    ----------
    smooth : array, ``(..., rows, columns)``

    Returns
    -------
    bool array of the same shape
    """
    flat = smooth.reshape(-1, *smooth.shape[-2:])
    return np.array([overlay.important(each) for each in flat], bool).reshape(smooth.shape)


def prominent(smooth: np.ndarray, share: float = 0.5) -> np.ndarray:
    """Whether positive saliency is strong beside the negative of the same map.

    Important is what comes near the largest saliency of a map.  Where nearly all of it
    is negative, that is next to nothing.

    Parameters
    ----------
    smooth : array, ``(..., rows, columns)``
    share : float
        Of the largest magnitude, that the largest value must have.

    Returns
    -------
    bool array, ``(...)``
    """
    peak = smooth.max(axis=(-2, -1))
    return (peak > 0) & (peak >= share * np.abs(smooth).max(axis=(-2, -1)))


def change(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Change of an area: one minus intersection over union.

    Parameters
    ----------
    first, second : bool arrays, ``(..., rows, columns)``

    Returns
    -------
    float array, ``(...)``
        0: the same area, 1: nothing in common.  NaN where both are empty.
    """
    union = (first | second).sum(axis=(-2, -1))
    common = (first & second).sum(axis=(-2, -1))
    return np.where(union > 0, 1 - common / np.maximum(union, 1), np.nan)


def correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Correlation coefficient of two maps over their pixels.

    Parameters
    ----------
    first, second : arrays, ``(..., rows, columns)``

    Returns
    -------
    float array, ``(...)``
        NaN where a map is the same everywhere.
    """
    return arrays.pearson(*(each.reshape(*each.shape[:-2], -1) for each in (first, second)))


def largest(changes: np.ndarray, differences: np.ndarray) -> tuple[int, int] | None:
    """The largest change; of equal ones, that of the most similar images.

    Parameters
    ----------
    changes : array, ``(features, pairs)``
        NaN does not count.
    differences : array, ``(pairs,)``
        Of the images of a pair.

    Returns
    -------
    (feature, pair), or None where nothing counts
    """
    if np.isnan(changes).all():
        return None
    tied = np.argwhere(changes == np.nanmax(changes))
    feature, pair = tied[differences[tied[:, 1]].argmin()]
    return int(feature), int(pair)


def total_variation(first: np.ndarray, second: np.ndarray) -> float | np.ndarray:
    """Total variation distance of distributions.

    .. math:: \\frac{1}{2} \\sum_k |p_k - q_k|

    Parameters
    ----------
    first, second : arrays, ``(..., classes)``

    Returns
    -------
    array, ``(...)``
        0: equal, 1: nothing in common.
    """
    return np.abs(first - second).sum(axis=-1) / 2


def disagreement(posteriors: np.ndarray, neighbors: np.ndarray) -> np.ndarray:
    """How much an image's posteriors differ from those of its neighbors.

    Parameters
    ----------
    posteriors : array, ``(networks, n, classes)``
    neighbors : int array, ``(..., directions, m)``
        For each of the first ``m`` images, indices of its neighbors, -1 for none.

    Returns
    -------
    array, ``(..., m)``
        Total variation distance, mean over the networks and the neighbors of all
        directions; NaN where one is missing.
    """
    images = np.arange(neighbors.shape[-1])
    distance = np.zeros(neighbors.shape)
    for posterior in posteriors:
        distance += total_variation(posterior[images], posterior[neighbors])
    distance[neighbors < 0] = np.nan
    return distance.mean(axis=-2) / len(posteriors)
