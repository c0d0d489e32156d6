"""Noise by which it shows what kind of function a layer computes."""

from __future__ import annotations

import numpy as np

__all__ = ["TOLERANCE", "differs", "is_affine", "is_homogeneous", "noise"]

#: Of the largest value; sums of some thousand terms in another order.
TOLERANCE = {"float32": 1e-4, "float64": 1e-9}


def noise(rng: np.random.RandomState, shape: tuple[int, int, int], dtype: str) -> np.ndarray:
    """Two images of opposite signs, number by number, their sum, and nothing.

    Parameters
    ----------
    rng : numpy.random.RandomState
    shape : tuple
        Of an image.
    dtype : str

    Returns
    -------
    array, ``(4, *shape)``
    """
    first = rng.randn(*shape)
    second = -first * np.exp(rng.randn(*shape))
    two = np.stack([first, second]).astype(dtype)
    return np.concatenate([two, two.sum(axis=0, keepdims=True), np.zeros_like(two[:1])])


def differs(values: np.ndarray, expected: np.ndarray, lost: float = 0.0) -> bool:
    """Whether arrays differ by more than rounding; not where both are infinite.

    Parameters
    ----------
    values, expected : arrays of one floating point type
    lost : float
        What rounding may have taken beforehand, in differences of large numbers.
    """
    if values.shape != expected.shape:
        return True
    finite = np.isfinite(expected)
    scale = np.abs(expected[finite]).max(initial=0)
    return not np.allclose(
        values, expected, rtol=0, equal_nan=True, atol=TOLERANCE[str(expected.dtype)] * scale + lost
    )


def _lost(values: np.ndarray) -> float:
    """What rounding takes from differences of values."""
    finite = values[np.isfinite(values)]
    return 8 * np.finfo(values.dtype).eps * np.abs(finite).max(initial=0)


def is_affine(values: np.ndarray, once: np.ndarray, scale: float) -> bool:
    """Whether a function of :func:`noise` is linear but for an added constant.

    Parameters
    ----------
    values, once : arrays, ``(4, ...)``
        Of the noise times ``scale``, and of the noise itself.
    scale : float
    """
    nothing, factor = values[3:], values.dtype.type(scale)
    moved, lost = values[:2] - nothing, _lost(values) + abs(scale) * _lost(once)
    return not (
        differs(moved, factor * (once[:2] - once[3:]), lost)
        or differs(values[2:3] - nothing, moved.sum(axis=0, keepdims=True), 2 * lost)
    )


def is_homogeneous(values: np.ndarray, once: np.ndarray, scale: float) -> bool:
    """Whether a function of :func:`noise` is scaled as the noise is."""
    return not differs(values[:2], values.dtype.type(scale) * once[:2])
