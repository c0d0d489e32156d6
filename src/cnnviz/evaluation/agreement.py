"""Whether two methods say the same: rank correlation of their maps."""

from __future__ import annotations

import numpy as np
from scipy import stats

from cnnviz.evaluation.checks import as_maps, as_region, check_agree

__all__ = ["rank_agreement", "spearman"]


def rank_agreement(
    maps_a: np.ndarray, maps_b: np.ndarray, region: np.ndarray | None = None
) -> np.ndarray:
    """Rank correlation of two methods' maps, image by image (Spearman 1904).

    Parameters
    ----------
    maps_a, maps_b : array, ``(n, rows, columns)``
        Only the order of a map's values matters, so methods in different
        units compare.
    region : bool array, ``(rows, columns)`` or ``(n, rows, columns)``, optional
        Pixels to compare.  Maps of one neuron are zero outside its receptive
        field whatever the method: compare them inside it.

    Returns
    -------
    float array, ``(n,)``
        -1 to 1; equal values share their mean rank.  NaN where a map is
        constant in the region.

    Raises
    ------
    ValueError
        For maps of different shape, none at all, or values not finite.
    """
    maps_a, maps_b = as_maps(maps_a), as_maps(maps_b, "other maps")
    check_agree(maps_b.shape, "other maps", maps_a.shape)
    region = as_region(region, maps_a.shape)
    return np.array(
        [spearman(a[inside], b[inside]) for a, b, inside in zip(maps_a, maps_b, region)]
    )


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    if not a.size or a.min() == a.max() or b.min() == b.max():
        return np.nan
    return stats.spearmanr(a, b).statistic
