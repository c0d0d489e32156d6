"""Photographs of the die, and what is seen on them."""

from __future__ import annotations

import numpy as np

from cnnviz.datasets.die_tracing import FILTER_RADIUS, OVERSAMPLING, regions_all, render_all
from cnnviz.runtime import threads

__all__ = ["regions", "render", "srgb"]


def srgb(linear: np.ndarray) -> np.ndarray:
    """sRGB transfer curve (IEC 61966-2-1) of linear radiance."""
    linear = np.asarray(linear)
    return np.where(
        linear <= 0.0031308,
        12.92 * linear,
        1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055,
    )


def _each_view(kernel, frames: np.ndarray, positions: np.ndarray, out: np.ndarray) -> None:
    """Run a kernel on the views, shared among threads."""
    frames = np.ascontiguousarray(frames)
    threads.over(
        len(frames), lambda first, end: kernel(frames[first:end], positions, out[first:end])
    )


def render(frames: np.ndarray, size: int) -> np.ndarray:
    """Photograph views of the die.

    Parameters
    ----------
    frames : array, ``(n, 3, 3)``
        One :func:`cnnviz.datasets.die_scene.camera_frame` per view.
    size : int
        Pixels along each side.

    Returns
    -------
    float32 array, ``(n, size, size)``
        Gray values in [0, 1] after the sRGB transfer; row 0 is on top.
    """
    border = FILTER_RADIUS - 0.5
    count = OVERSAMPLING * size + 2 * int(OVERSAMPLING * border)
    pixel = (np.arange(count) + 0.5) / OVERSAMPLING - border
    positions = (2 * pixel / size - 1).astype(np.float32)
    linear = np.empty((len(frames), size, size), np.float32)
    _each_view(render_all, frames, positions, linear)
    return srgb(linear).astype(np.float32)


def regions(frames: np.ndarray, pixel_centers: np.ndarray, size: int) -> np.ndarray:
    """What is seen at chosen places of a view.

    Parameters
    ----------
    frames : array, ``(n, 3, 3)``
        One :func:`cnnviz.datasets.die_scene.camera_frame` per view.
    pixel_centers : array, ``(m,)``
        Places along either side, in pixels of an image of ``size`` pixels;
        the first pixel spans 0 to 1.
    size : int

    Returns
    -------
    uint8 array, ``(n, m, m)``
        ``BACKGROUND``, 1 to 6 (a face, by number), ``EDGE`` or ``PIP`` plus
        the number of the face.
    """
    positions = (2 * np.asarray(pixel_centers) / size - 1).astype(np.float32)
    out = np.empty((len(frames), len(positions), len(positions)), np.uint8)
    _each_view(regions_all, frames, positions, out)
    return out
