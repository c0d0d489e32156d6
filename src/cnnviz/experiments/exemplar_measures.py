"""How far exemplars get from their starts, and where in a patch they are."""

import numpy as np

__all__ = ["added", "border_share", "kept_steps", "spread"]

# Parts of an ascent after which its patches are kept, besides the start.
_KEPT = (1 / 30, 1 / 12, 1 / 6, 1 / 3, 1)


def kept_steps(steps: int) -> tuple[int, ...]:
    """Steps after which patches are kept: more of them early, where most changes.

    Returns
    -------
    tuple of int
        From 0 to ``steps``.
    """
    return tuple(sorted({0, *(round(part * steps) for part in _KEPT)}))


def _energy(patch: np.ndarray) -> np.ndarray:
    return (np.asarray(patch, np.float64) ** 2).sum(axis=0)


def border_share(patch: np.ndarray, width: float = 0.25) -> tuple[float, float]:
    """Share of a patch's energy near its border, and the border's share of the area.

    Parameters
    ----------
    patch : array, ``(channels, rows, columns)``
    width : float
        Of the border, in shares of the patch's side.

    Returns
    -------
    energy, area : float
    """
    energy = _energy(patch)
    rows, columns = (
        slice(round(width * side), side - round(width * side)) for side in energy.shape
    )
    inner = energy[rows, columns]
    return (float(1 - inner.sum() / energy.sum()), float(1 - inner.size / energy.size))


def spread(patch: np.ndarray, share: float = 0.9) -> float:
    """Half side of the smallest centered square that holds a share of the energy.

    Centered on the patch.

    Parameters
    ----------
    patch : array, ``(channels, rows, columns)``
    share : float

    Returns
    -------
    float
        In halves of the patch's side: 1 is the whole patch.
    """
    energy = _energy(patch)
    # How far out a pixel's outer edge lies, in the direction in which it is farther.
    rows, columns = (
        np.abs(np.arange(side) - (side - 1) / 2) * 2 / side + 1 / side for side in energy.shape
    )
    out = np.maximum(rows[:, np.newaxis], columns)
    order = np.argsort(out, axis=None)
    within = np.cumsum(energy.ravel()[order])
    index = np.searchsorted(within, share * within[-1])
    return float(out.ravel()[order[min(index, len(order) - 1)]])


def added(patches: np.ndarray, start: np.ndarray) -> np.ndarray:
    """What ascent added to a start: patches without their part along it.

    With the norm held, the start fades while the rest grows.

    Parameters
    ----------
    patches : array, ``(n, channels, rows, columns)``
    start : array, ``(channels, rows, columns)``

    Returns
    -------
    array like ``patches``
    """
    flat = np.asarray(patches, np.float64).reshape(len(patches), -1)
    along = np.ravel(start) / max(
        np.sqrt((np.ravel(start).astype(np.float64) ** 2).sum()), np.finfo(float).tiny
    )
    return (flat - np.outer(flat @ along, along)).reshape(np.shape(patches))
