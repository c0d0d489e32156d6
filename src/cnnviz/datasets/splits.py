"""Training and validation parts of Die360, with and without leakage."""

from __future__ import annotations

import numpy as np

from cnnviz.datasets import die360
from cnnviz.runtime.errors import UserError

__all__ = [
    "FOLDS",
    "MARGIN",
    "nearest_difference",
    "random_split",
    "separated_distance",
    "separated_split",
]

FOLDS = 5
SHUFFLE_SEED = 2016
# Fold "-1" comes from another shuffle and serves the choice of settings.
TUNING_SEED = 1961
#: Degrees by which a training view must at least differ from a validation one
#: in the separated split, exclusive.
MARGIN = 5


def _check_fold(fold: int, lowest: int = 0) -> None:
    if fold not in range(lowest, FOLDS):
        raise UserError(f"fold {fold} does not exist; folds are {lowest} to {FOLDS - 1}")


def random_split(n: int, fold: int) -> tuple[np.ndarray, np.ndarray]:
    """The thesis's split: shuffled views, one fifth of them for validation.

    Parameters
    ----------
    n : int
        Number of views.
    fold : int
        0 to 4, or -1 for the fold on which settings were chosen, which comes
        from another shuffle and is not reported.

    Returns
    -------
    training, validation : int arrays of indices, ascending
    """
    _check_fold(fold, -1)
    seed, part = (TUNING_SEED, 0) if fold == -1 else (SHUFFLE_SEED, fold)
    order = np.random.RandomState(seed).permutation(n)
    validation = np.array_split(order, FOLDS)[part]
    return np.setdiff1d(order, validation), np.sort(validation)


def _held_out(b: np.ndarray, fold: int) -> tuple[np.ndarray, int, int]:
    """Every view's place in its block of ``b``, and the fold's end places."""
    _check_fold(fold)
    starts = np.array(die360.STARTS_B)
    place = ((np.asarray(b)[:, np.newaxis] - starts) % 360).min(axis=1)  # 0 ... 40
    held_out = np.array_split(np.arange(die360.BLOCK_B), FOLDS)[fold]
    return place, held_out[0], held_out[-1]


def separated_split(b: np.ndarray, fold: int) -> tuple[np.ndarray, np.ndarray]:
    """Split in which no validation view has a close training view.

    The data set's views lie in blocks of 41 degrees of ``b``.  Every fold
    holds out one fifth of each block (9 or 8 consecutive degrees, at every
    ``a``) and drops the 5 degrees on either side from training.  Two views
    whose ``b`` differ by more than 5 degrees are rotated against each other
    by more than 5 degrees, whatever their ``a``.  All rotated twins, views
    that show the same picture because the visible face looks the same after a
    turn of the die about its axis, stand at the same place of their block, so
    they stay on the same side of the split as well.

    Parameters
    ----------
    b : array, ``(n,)``
        From :func:`cnnviz.datasets.die360.angles`.
    fold : int
        0 to 4.

    Returns
    -------
    training, validation : int arrays of indices, ascending
        Together fewer than ``n``: about a fifth of the views is dropped.
    """
    place, first, last = _held_out(b, fold)
    validation = (place >= first) & (place <= last)
    training = (place < first - MARGIN) | (place > last + MARGIN)
    return np.flatnonzero(training), np.flatnonzero(validation)


def separated_distance(b: np.ndarray, fold: int) -> np.ndarray:
    """Angle between every view and the nearest training view of its block.

    Parameters
    ----------
    b : array, ``(n,)``
        From :func:`cnnviz.datasets.die360.angles`.
    fold : int
        0 to 4, of :func:`separated_split`.

    Returns
    -------
    int array, ``(n,)``
        Degrees; 0 for training views, 1 to 5 for dropped ones, more for
        validation views.
    """
    place, first, last = _held_out(b, fold)
    below, above = place - (first - MARGIN - 1), (last + MARGIN + 1) - place
    if first - MARGIN - 1 < 0:  # no training views on that side
        below = above
    if last + MARGIN + 1 >= die360.BLOCK_B:
        above = below
    return np.maximum(np.minimum(below, above), 0)


def nearest_difference(
    images: np.ndarray, training: np.ndarray, validation: np.ndarray, batch_size: int = 256
) -> np.ndarray:
    """Difference between validation images and the most similar training one.

    Parameters
    ----------
    images : float array, ``(n, rows, columns)``
    training, validation : int arrays of indices
    batch_size : int
        Validation images at a time; does not change the result.

    Returns
    -------
    float32 array, ``(len(validation),)``
        Root of the mean squared difference, in the unit of the images.
    """
    flat = images.reshape(len(images), -1)
    # Around the mean, so that squares of small differences survive in float32.
    flat = flat - flat[training].mean(axis=0)
    squares = (flat**2).sum(axis=1)
    kept = flat[training]
    nearest = np.empty(len(validation), np.int64)
    for start in range(0, len(validation), batch_size):
        part = validation[start : start + batch_size]
        distance = squares[training] - 2 * flat[part] @ kept.T
        nearest[start : start + len(part)] = training[distance.argmin(axis=1)]
    difference = flat[validation] - flat[nearest]
    return np.sqrt((difference**2).mean(axis=1))


def indices(b: np.ndarray, split: str, fold: int) -> tuple[np.ndarray, np.ndarray]:
    """Training and validation indices of a fold of either split.

    Parameters
    ----------
    b : array, ``(n,)``
        Angles of the views.
    split : {"random", "separated"}
    fold : int

    Returns
    -------
    two int arrays
    """
    if split == "random":
        return random_split(len(b), fold)
    return separated_split(b, fold)
