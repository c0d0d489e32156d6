"""What exemplars of the die show: likeness to pips, an empty corner (thesis section 5.4)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

__all__ = [
    "COUNT",
    "OFF_CENTER",
    "SMALLEST",
    "Windows",
    "corner_share",
    "likeness",
    "pips",
    "spot_windows",
]


OFF_CENTER = 1  # pixels between a window's center and a pip's, at most
SMALLEST = 8  # pixels of a pip, or it is seen too obliquely
COUNT = 600  # windows of each kind


class Windows(NamedTuple):
    """Parts of the data set's images, ``(n, side, side)``."""

    pip: np.ndarray  #: around the center of a pip
    other: np.ndarray  #: without any pixel of one


def pips(mask: np.ndarray) -> np.ndarray:
    """Centers of the pips in a mask, ``(n, 2)``: row and column."""
    labels, count = ndimage.label(mask)
    large = [k for k in range(1, count + 1) if (labels == k).sum() >= SMALLEST]
    return np.array(ndimage.center_of_mass(mask, labels, large)).reshape(-1, 2)


def spot_windows(
    images: np.ndarray, masks: np.ndarray, side: int, count: int = COUNT, seed: int = 0
) -> Windows:
    """Windows with a pip in their middle, and windows without any.

    Parameters
    ----------
    images : array, ``(n, rows, columns)``
    masks : bool array, ``(n, rows, columns)``
        Pixels of pips.
    side : int
        Of the windows.
    count : int
        Of each kind, taken at random; all if there are fewer.
    seed : int

    Returns
    -------
    Windows
    """
    view = np.lib.stride_tricks.sliding_window_view
    parts = {"pip": [], "other": []}
    for image, mask in zip(images, masks):
        windows = view(image, (side, side))
        middles = np.indices(windows.shape[:2]) + (side - 1) / 2
        apart = np.abs(middles[..., np.newaxis] - pips(mask).T[:, np.newaxis, np.newaxis])
        parts["pip"].append(windows[(apart <= OFF_CENTER).all(axis=0).any(axis=-1)])
        parts["other"].append(windows[~view(mask, (side, side)).any(axis=(2, 3))])
    rng = np.random.RandomState(seed)
    kinds = (np.concatenate(parts[kind]) for kind in Windows._fields)
    return Windows(*(each[rng.permutation(len(each))[:count]] for each in kinds))


def _standardized(windows: np.ndarray) -> np.ndarray:
    """Windows as rows of mean 0 and length 1."""
    flat = windows.reshape(len(windows), -1).astype(np.float64)
    flat = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return flat / np.where(length > 0, length, 1)


def likeness(patch: np.ndarray, windows: np.ndarray) -> float:
    """Largest correlation of any part of a patch with any of the windows.

    Parameters
    ----------
    patch : array, ``(rows, columns)``, at least as large as the windows
    windows : array, ``(n, side, side)``

    Returns
    -------
    float
        NaN for no windows.
    """
    if not len(windows):
        return np.nan
    parts = np.lib.stride_tricks.sliding_window_view(patch, windows.shape[1:])
    return float(
        (_standardized(parts.reshape(-1, *windows.shape[1:])) @ _standardized(windows).T).max()
    )


def corner_share(patches: np.ndarray) -> np.ndarray:
    """Share of the energy, the sum of squares, in the bottom right quarter.

    Parameters
    ----------
    patches : array, ``(n, rows, columns)``
        Of odd rows and columns, the middle ones count in part.

    Returns
    -------
    array, ``(n,)``
        A quarter for an even spread; NaN for a patch of zeros.
    """
    energy = np.square(patches, dtype=np.float64)
    weights = [np.clip(np.arange(size) - size / 2 + 1, 0, 1) for size in energy.shape[1:]]
    total = energy.sum(axis=(1, 2))
    corner = np.einsum("nij,i,j->n", energy, *weights)
    return np.where(total > 0, corner / np.where(total > 0, total, 1), np.nan)
