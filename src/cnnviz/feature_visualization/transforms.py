"""Random views and parameterizations of an exemplar that is made (Olah et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from cnnviz.feature_visualization.patch_network import PatchNetwork

__all__ = [
    "Parameterization",
    "fourier",
    "jitter",
    "pixels",
    "resample",
    "resampling",
    "rotate",
    "scale",
    "usual_transforms",
]

#: From a random state to a matrix ``(3, 3)`` that takes (row, column, 1) in the patch to the
#: canvas, both from their centers.
Transform = Callable[[np.random.RandomState], np.ndarray]


class Parameterization(NamedTuple):
    """How coefficients make a canvas: a linear map and its adjoint."""

    shape: tuple  #: of one canvas' coefficients
    to_canvas: Callable  #: ``(n, *shape)`` to ``(n, channels, rows, columns)``
    adjoint: Callable  #: and a gradient the other way


def pixels(shape: Sequence[int]) -> Parameterization:
    """The canvas is its own coefficients.

    Parameters
    ----------
    shape : (channels, rows, columns)

    Returns
    -------
    Parameterization
    """
    return Parameterization(tuple(shape), np.asarray, np.asarray)


def fourier(shape: Sequence[int], decay: float = 1.0) -> Parameterization:
    """Fourier coefficients, scaled by frequency to the power of -``decay``.

    Equal steps then change low frequencies most (after Olah et al. 2017).
    Standard normal coefficients give canvases with an expected mean square of 1.

    Parameters
    ----------
    shape : (channels, rows, columns)
    decay : float
        With 0 the ascent goes where it goes in pixels.

    Returns
    -------
    Parameterization
        Of coefficients ``(channels, 2, rows, columns // 2 + 1)``: real and
        imaginary parts, the column frequencies without their mirror images.
    """
    channels, *size = shape
    counts = _mirror_images(size[1])
    factors = _frequencies(size) ** -decay
    factors /= np.sqrt((factors**2 * counts).sum() / np.prod(size))

    def to_canvas(coefficients):
        spectrum = coefficients[:, :, 0] + 1j * coefficients[:, :, 1]
        spectrum = spectrum * factors / np.sqrt(counts)
        return np.fft.irfft2(spectrum, s=size, norm="ortho")

    def adjoint(gradient):
        spectrum = np.fft.rfft2(gradient, norm="ortho") * factors * np.sqrt(counts)
        return np.stack([spectrum.real, spectrum.imag], axis=2)

    return Parameterization((channels, 2, size[0], size[1] // 2 + 1), to_canvas, adjoint)


def _mirror_images(columns: int) -> np.ndarray:
    """How many columns of the whole spectrum each kept one stands for."""
    kept = np.arange(columns // 2 + 1)
    return np.where(2 * kept % columns == 0, 1.0, 2.0)


def _frequencies(size: Any) -> np.ndarray:
    """Cycles a pixel; that of the mean is taken for the lowest other one."""
    frequencies: Any = np.fft
    cycles = np.hypot(frequencies.fftfreq(size[0])[:, np.newaxis], frequencies.rfftfreq(size[1]))
    return np.maximum(cycles, 1 / max(size))


def jitter(reach: int) -> Transform:
    """Shifts of up to ``reach`` whole pixels along rows and columns.

    Returns
    -------
    function
        From a ``numpy.random.RandomState`` to a matrix ``(3, 3)``, which takes
        (row, column, 1) in the patch to the canvas, both from their centers;
        that of every transform.
    """

    def draw(rng):
        matrix = np.eye(3)
        matrix[:2, 2] = rng.randint(-reach, reach + 1, 2)
        return matrix

    return draw


def rotate(degrees: float) -> Transform:
    """Rotations by up to ``degrees`` either way; see :func:`jitter`."""

    def draw(rng):
        angle = np.deg2rad(rng.uniform(-degrees, degrees))
        matrix = np.eye(3)
        matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        return matrix

    return draw


def scale(least: float, most: float) -> Transform:
    """Magnifications between ``least`` and ``most``; see :func:`jitter`."""

    def draw(rng):
        step = 1 / rng.uniform(least, most)  # in the canvas, for one in the patch
        return np.diag([step, step, 1])

    return draw


def usual_transforms(network: PatchNetwork) -> tuple[Transform, ...]:
    """Shifts by up to 1/16 of the patch, rotations by 5 degrees, scales by 5 %."""
    return jitter(-(-max(network.shape[1:]) // 16)), rotate(5), scale(0.95, 1.05)


def resampling(matrix: np.ndarray, canvas: Any, patch: Any) -> Any:
    """Bilinear interpolation of a patch from a canvas, as a matrix.

    Parameters
    ----------
    matrix : array, ``(3, 3)``
        From (row, column, 1) in the patch to the canvas, both from their
        centers.
    canvas, patch : (rows, columns)

    Returns
    -------
    scipy.sparse.csr_matrix, ``(patch pixels, canvas pixels)``
        Its transpose is the adjoint.  Outside, the canvas goes on as at its
        border.
    """
    rows, columns = np.indices(patch).reshape(2, -1)
    centered = np.stack(
        [rows - (patch[0] - 1) / 2, columns - (patch[1] - 1) / 2, np.ones(rows.size)]
    )
    places = (np.asarray(matrix) @ centered)[:2]
    down, right = (_neighbors(place + (size - 1) / 2, size) for place, size in zip(places, canvas))
    corners = [
        (row * canvas[1] + column, weight * other)
        for row, weight in down
        for column, other in right
    ]
    pixels, weights = map(np.concatenate, zip(*corners))
    return sparse.csr_matrix(
        (weights, (np.tile(np.arange(rows.size), 4), pixels)), (rows.size, canvas[0] * canvas[1])
    )


def _neighbors(
    place: np.ndarray, size: int
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Both whole numbers around a place, and their weights."""
    place = np.clip(place, 0, size - 1)
    first = np.minimum(place.astype(int), max(size - 2, 0))
    part = place - first
    return (first, 1 - part), (np.minimum(first + 1, size - 1), part)


def resample(matrix: Any, images: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Apply :func:`resampling`'s matrix, or its transpose, to images.

    Parameters
    ----------
    matrix : sparse matrix, ``(new pixels, pixels)``
    images : array, ``(n, channels, rows, columns)``
    shape : (rows, columns)
        Of the result.

    Returns
    -------
    array, ``(n, channels, *shape)``
    """
    flat = images.reshape(-1, matrix.shape[1])
    return (matrix @ flat.T).T.reshape(*images.shape[:2], *shape)
