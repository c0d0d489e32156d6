"""Random changes to photographs during training, as De Fauw made them."""

from __future__ import annotations

import numba
import numpy as np

from cnnviz.datasets.fundus import MEAN, STD

__all__ = ["augment"]

_ZOOM = 0.05  # largest magnification
_CROP = 0.04  # largest shift, in sides of the picture
_COLOR = 0.3  # largest change of contrast, brightness, color


@numba.njit(nogil=True)
def _warp(picture, matrix, gain, offset, result):
    """Resample a picture and change its colors; see :func:`augment`."""
    size = picture.shape[0]
    middle = (size - 1) / 2
    for row in range(size):
        for column in range(size):
            x = matrix[0, 0] * (column - middle) + matrix[0, 1] * (row - middle)
            y = matrix[1, 0] * (column - middle) + matrix[1, 1] * (row - middle)
            x += matrix[0, 2] + middle
            y += matrix[1, 2] + middle
            i, j = int(np.floor(x)), int(np.floor(y))
            if i < 0 or j < 0 or i >= size - 1 or j >= size - 1:
                for channel in range(3):
                    result[channel, row, column] = -MEAN / STD
                continue
            a, b = np.float32(x - i), np.float32(y - j)
            for channel in range(3):
                upper = picture[j, i, channel] * (1 - a) + picture[j, i + 1, channel] * a
                lower = picture[j + 1, i, channel] * (1 - a) + picture[j + 1, i + 1, channel] * a
                value = (upper * (1 - b) + lower * b) / 255
                if value > 0.06:  # the black around the field of view stays black
                    value = value * gain[channel] + offset
                value = min(max(value, 0.0), 1.0)
                result[channel, row, column] = (value - MEAN) / STD


def augment(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """A prepared picture, changed at random and standardized.

    Rotation by any angle, reflection, magnification up to 5 %, shift up to
    4 %, contrast, brightness and color up to 30 %.

    Parameters
    ----------
    rng : numpy.random.Generator
    picture : uint8 array, ``(size, size, 3)``

    Returns
    -------
    float32 array, ``(3, size, size)``
    """
    angle = rng.uniform(0, 2 * np.pi)
    zoom = 1 / (1 + rng.uniform(0, _ZOOM))
    flip = rng.choice([-1, 1])
    shift = rng.uniform(-_CROP, _CROP, 2) * len(picture) / 2
    cosine, sine = zoom * np.cos(angle), zoom * np.sin(angle)
    matrix = np.array([[flip * cosine, -sine, shift[0]], [flip * sine, cosine, shift[1]]])
    contrast = 1 + rng.uniform(-_COLOR, _COLOR) / 2
    brightness = rng.uniform(-_COLOR, _COLOR) / 3
    gain = contrast * (1 + rng.uniform(-_COLOR, _COLOR, 3) / 2)
    offset = brightness * 0.3 + 0.35 * (1 - contrast)
    result = np.empty((3, *picture.shape[:2]), np.float32)
    _warp(picture, matrix, gain, offset, result)
    return result
