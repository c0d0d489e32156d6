"""Agreement of two gradings: confusion and quadratic weighted kappa (thesis section 4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnviz.runtime.errors import UserError

__all__ = ["confusion", "kappa", "quadratic_weighted_kappa"]


def confusion(
    first: np.ndarray | Sequence[int], second: np.ndarray | Sequence[int], grades: int = 5
) -> np.ndarray:
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
        raise UserError(
            f"two ratings of the same eyes are needed, not {first.shape} and {second.shape}"
        )
    if min(first.min(), second.min()) < 0 or max(first.max(), second.max()) >= grades:
        raise UserError(f"grades must lie between 0 and {grades - 1}")
    return np.bincount(grades * first + second, minlength=grades * grades).reshape(grades, grades)


def quadratic_weighted_kappa(first: Any, second: Any, grades: Any = 5) -> float:
    """Agreement of two ratings beyond chance (Cohen 1968), quadratic weights.

    Parameters as for :func:`confusion`.

    Returns
    -------
    float
        1 for equal ratings, 0 for agreement by chance; NaN where both give
        one and the same grade to everything.
    """
    grade = np.arange(grades)
    return kappa(confusion(first, second, grades), (grade[:, np.newaxis] - grade) ** 2)


def kappa(counts: np.ndarray, weights: np.ndarray) -> float:
    """Agreement of two ratings beyond chance (Cohen 1960 and, weighted, 1968).

    Parameters
    ----------
    counts : int array, ``(n, n)``
        How often the first rating was the row's and the second the column's.
    weights : array, ``(n, n)``
        How much two ratings disagree; 0 on the diagonal.

    Returns
    -------
    float
        NaN where both give one and the same rating to everything.
    """
    observed = counts / counts.sum()
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0))
    chance = (weights * expected).sum()
    return float(1 - (weights * observed).sum() / chance) if chance > 0 else np.nan
