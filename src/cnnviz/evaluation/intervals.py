"""How far a mean over images can be trusted: bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

from cnnviz.runtime.errors import UserError

__all__ = ["bootstrap_interval"]

# Resamples drawn at a time: bounds the memory, does not change the result.
_RESAMPLES = 50


def bootstrap_interval(
    values: np.ndarray,
    statistic: Callable[..., Any],
    seed: int = 0,
    count: int = 2000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a statistic (Efron 1979).

    Parameters
    ----------
    values : array, ``(n, ...)``
        Rows are drawn with replacement, so what depends on each other, such
        as both eyes of a patient, belongs in one row.
    statistic : function
        From rows ``(n, ...)`` to a number; ``numpy.nanmean`` for measures that
        are NaN for some images.
    seed : int
    count : int
        Resamples.
    level : float
        Share of the resamples inside the interval.

    Returns
    -------
    low, high : float
        Resamples whose statistic is NaN do not count; NaN where all are.

    Raises
    ------
    ValueError
        For fewer than two rows or resamples, or a level outside (0, 1).
    """
    values = np.asarray(values)
    if values.ndim < 1 or len(values) < 2:
        raise UserError(f"two rows at least are needed, not shape {values.shape}")
    if count < 2 or not 0 < level < 1:
        raise UserError(f"count must be at least 2 and level in (0, 1), not {count} and {level}")
    # Of row numbers, since the library resamples plain numbers alone.
    drawn = stats.bootstrap(
        [np.arange(len(values))],
        lambda rows: statistic(values[rows]),
        vectorized=False,
        n_resamples=count,
        batch=_RESAMPLES,
        method="percentile",
        random_state=np.random.default_rng(seed),
    ).bootstrap_distribution
    low, high = np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
