"""Measures of exemplars: how they survive shifts, differ between seeds, and depart from data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnviz.feature_visualization.ascent import BATCH_SIZE
from cnnviz.feature_visualization.patch_network import PatchNetwork
from cnnviz.networks.inputs import batches, check_features
from cnnviz.runtime import arrays
from cnnviz.runtime.errors import UserError

__all__ = [
    "DISTANCES",
    "SHIFTS",
    "diversity",
    "likeness",
    "outside",
    "root_mean_square",
    "transfer",
    "transfer_by_distance",
]

DISTANCES = (1, 2, 4)  #: pixels, of :data:`SHIFTS`


#: Up, down, left and right by 1, 2 and 4 pixels.
SHIFTS = tuple(
    (distance * row, distance * column)
    for distance in DISTANCES
    for row, column in ((-1, 0), (1, 0), (0, -1), (0, 1))
)


def transfer(
    network: PatchNetwork,
    patches: np.ndarray,
    features: Any = None,
    shifts: Sequence[tuple[int, int]] = SHIFTS,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """How much of its activation an exemplar keeps when it is shifted.

    Parameters
    ----------
    network : PatchNetwork
    patches : array, ``(features, channels, rows, columns)``
    features : int or sequence of int, optional
        All features when None.
    shifts : sequence of (rows, columns)
        Whole pixels, down and right; zeros move in.
    batch_size : int
        Features a pass; does not change the result.

    Returns
    -------
    array, ``(features, shifts)``
        Linear activation of the shifted patch over that of the patch.  NaN
        where the latter is not positive.

    Raises
    ------
    ValueError
        For a feature that the layer lacks, or another number of patches.
    """
    features = np.array(check_features(network.layer, features))
    if np.shape(patches) != (len(features), *network.shape):
        raise UserError(
            f"patches have shape {(len(features), *network.shape)}, not {np.shape(patches)}"
        )
    shifted = np.concatenate(
        [
            np.stack(
                [
                    network.evaluate(_shifted(patches[part], *shift), features[part])[0]
                    for shift in ((0, 0), *shifts)
                ],
                axis=1,
            )
            for part in batches([features], batch_size)
        ]
    )
    whole = np.where(shifted[:, :1] > 0, shifted[:, :1], np.nan)
    return shifted[:, 1:] / whole


def _shifted(patches: np.ndarray, rows: int, columns: int) -> np.ndarray:
    out = np.zeros_like(patches)
    source, target = zip(
        *(_overlap(size, step) for size, step in zip(patches.shape[2:], (rows, columns)))
    )
    out[(..., *target)] = patches[(..., *source)]
    return out


def _overlap(size: int, step: int) -> tuple[slice, slice]:
    """Slices of what stays in sight, before a shift and after it."""
    kept = max(size - abs(step), 0)
    low, high = slice(0, kept), slice(size - kept, size)
    return (low, high) if step > 0 else (high, low)


def diversity(patches: Any) -> np.ndarray:
    """How different a feature's exemplars of several seeds are.

    Parameters
    ----------
    patches : array, ``(seeds, features, channels, rows, columns)``

    Returns
    -------
    array, ``(features,)``
        One minus the mean correlation of all pairs of seeds, over pixels and
        channels: 0 for equal exemplars, about 1 for unrelated ones, 2 for two
        opposite ones.  NaN where a patch is constant.

    Raises
    ------
    ValueError
        For fewer than two seeds.
    """
    patches = np.asarray(patches, np.float64)
    count = len(patches)
    if count < 2:
        raise UserError(f"diversity needs two seeds at least, not {count}")
    flat = patches.reshape(*patches.shape[:2], -1)
    flat = flat - flat.mean(axis=2, keepdims=True)
    length = np.sqrt((flat**2).sum(axis=2, keepdims=True))
    unit = flat / np.where(length > 0, length, np.nan)
    # The square of the sum holds every pair twice, and each seed with itself.
    pairs = (unit.sum(axis=0) ** 2).sum(axis=1) - count
    return 1 - pairs / (count * (count - 1))


def root_mean_square(patches: Any) -> np.ndarray:
    """Root of the mean square of every row, ``(n, ...)`` to ``(n,)``."""
    flat = np.asarray(patches, np.float64).reshape(len(patches), -1)
    return np.sqrt((flat**2).mean(axis=1))


def outside(patches: np.ndarray, low: float, high: float) -> np.ndarray:
    """Share of each row's values that no data have: below ``low`` or above ``high``.

    Parameters
    ----------
    patches : array, ``(n, ...)``
    low, high : float

    Returns
    -------
    array, ``(n,)``
    """
    flat = np.reshape(patches, (len(patches), -1))
    return ((flat < low) | (flat > high)).mean(axis=1)


def likeness(patches: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Correlation of every row with its counterpart, over pixels and channels.

    Parameters
    ----------
    patches, others : arrays, ``(n, ...)``

    Returns
    -------
    array, ``(n,)``
        NaN where a row is constant, or not finite.
    """
    return arrays.pearson(*(np.reshape(each, (len(each), -1)) for each in (patches, others)))


def transfer_by_distance(
    network: PatchNetwork, patches: np.ndarray, features: np.ndarray | Sequence[Any]
) -> np.ndarray:
    """Share of its activation that a shifted exemplar keeps, by distance.

    Parameters
    ----------
    network : PatchNetwork
    patches : array, ``(features, channels, rows, columns)``
    features : sequence of int

    Returns
    -------
    array, ``(distances, features)``
        Mean over shifts up, down, left and right by :data:`DISTANCES`; NaN
        where the activation is not positive, or nothing of the patch is left.
    """
    transfers = transfer(network, patches, features)
    transfers = transfers.reshape(len(features), len(DISTANCES), -1).mean(axis=2).T
    transfers[np.array(DISTANCES) >= min(network.shape[1:])] = np.nan
    return transfers
