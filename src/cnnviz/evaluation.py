"""Measures of what a saliency map points at, on masks that are exact."""
import numpy as np

from cnnviz.datasets import die360
from cnnviz.errors import UserError

__all__ = ["CONCEPTS", "concept_masks", "concept_lift", "confusion",
           "quadratic_weighted_kappa"]

#: Parts of a picture of the die, in the order of the masks.
CONCEPTS = ("background", "edge", "face", "pip")


def concept_masks(region):
    """Masks of the concepts from the regions of pixels.

    Parameters
    ----------
    region : uint8 array, ``(n, rows, columns)``
        From :func:`cnnviz.datasets.die360.regions`.

    Returns
    -------
    bool array, ``(4, n, rows, columns)``
        In the order of :data:`CONCEPTS`; every pixel is in one of them.
    """
    return np.stack([region == die360.BACKGROUND, region == die360.EDGE,
                     (region >= 1) & (region <= die360.CLASSES),
                     region > die360.PIP])


def concept_lift(saliency, masks):
    """Share of the positive saliency on each concept, against its area.

    Parameters
    ----------
    saliency : array, ``(n, rows, columns)``
        Maps of one feature; each counts the same, however strong it is, and
        maps that are nowhere positive do not count.
    masks : bool array, ``(concepts, n, rows, columns)``

    Returns
    -------
    array, ``(concepts,)``
        Share of saliency over share of area: 1 is chance.  NaN where no map
        is positive anywhere or a concept covers nothing.
    """
    positive = np.maximum(saliency.astype(np.float64), 0)
    total = positive.sum(axis=(1, 2))
    seen = total > 0
    if not seen.any():
        return np.full(len(masks), np.nan)
    positive = positive[seen] / total[seen, np.newaxis, np.newaxis]
    mass = np.array([(positive * mask[seen]).sum() for mask in masks])
    area = masks[:, seen].mean(axis=(2, 3)).sum(axis=1)
    return np.where(area > 0, mass / np.where(area > 0, area, 1), np.nan)


def confusion(first, second, grades=5):
    """How often each grade of one rating meets each of another.

    Parameters
    ----------
    first, second : int arrays, ``(n,)``
        From 0 to ``grades - 1``.

    Returns
    -------
    int array, ``(grades, grades)``
        Rows: ``first``; columns: ``second``.

    Raises
    ------
    ValueError
        For ratings of different length, none at all, or out of range.
    """
    first, second = np.asarray(first, int), np.asarray(second, int)
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise UserError(f"two ratings of the same eyes are needed, not {first.shape} "
                        f"and {second.shape}")
    if min(first.min(), second.min()) < 0 or max(first.max(), second.max()) >= grades:
        raise UserError(f"grades must lie between 0 and {grades - 1}")
    return np.bincount(grades * first + second,
                       minlength=grades * grades).reshape(grades, grades)


def quadratic_weighted_kappa(first, second, grades=5):
    """Agreement of two ratings beyond chance (Cohen 1968), quadratic weights.

    Parameters as for :func:`confusion`.

    Returns
    -------
    float
        1 for equal ratings, 0 for agreement by chance; NaN where both give
        one and the same grade to everything.
    """
    observed = confusion(first, second, grades) / len(first)
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0))
    grade = np.arange(grades)
    weights = (grade[:, np.newaxis] - grade) ** 2
    chance = (weights * expected).sum()
    return float(1 - (weights * observed).sum() / chance) if chance > 0 else np.nan
