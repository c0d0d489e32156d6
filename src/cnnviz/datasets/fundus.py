"""Fundus photographs, prepared as De Fauw's network expects them.

One interface for every source of photographs: :class:`Photograph`, made by
:func:`photograph` from an image as it comes from a camera.  The steps are those
of De Fauw's published scripts (JeffreyDF/kaggle_diabetic_retinopathy, commit
77c5781); the mean and the standard deviation are the rounded ones printed by
users of his network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from cnnviz.datasets import masks as mask_values
from cnnviz.datasets import picture_files
from cnnviz.datasets.field_of_view import (
    CROPS,
    STEP,
    cut_columns,
    published_bounds,
    robust_bounds,
    warn_of_difference,
)
from cnnviz.datasets.fundus_transform import SIZE, Transform
from cnnviz.runtime import arrays
from cnnviz.runtime.errors import UserError

if TYPE_CHECKING:
    import torch

__all__ = [
    "MEAN",
    "SIDES",
    "STD",
    "Photograph",
    "crop_and_resize",
    "destandardize",
    "photograph",
    "prepare",
    "read_image",
    "read_mask",
    "standardize",
    "to_bytes",
]

MEAN = 0.042  #: of all channels
STD = 0.05 + 0.204  #: of all channels
SIDES = ("left", "right")
_DIMENSION = 700  # unit of the image dimensions

# --- Photographs ------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Photograph:
    """A prepared photograph and what is known about it."""

    name: str
    pixels: np.ndarray  #: float32 ``(3, 512, 512)``, standardized
    dimensions: np.ndarray  #: float32 ``(2,)``, of the original; the network's input
    transform: Transform
    grade: int | None = None  #: 0 (no retinopathy) to 4 (proliferative)
    patient: str | None = None
    side: str | None = None  #: "left" or "right"
    #: from a name to the share of every pixel covered, float32 ``(512, 512)``
    masks: dict = field(default_factory=dict)
    #: from "optic disc" and "fovea" to (row, column) in prepared pixels
    centers: dict = field(default_factory=dict)


def read_image(path: Path) -> np.ndarray:
    """Decode a photograph.

    Parameters
    ----------
    path : path
        JPEG, PNG, TIFF, BMP or other file: see :mod:`cnnviz.datasets.picture_files`.
        Photographs are turned upright where an orientation is noted beside the
        pixels.  De Fauw's scripts ignored that, but none of the competition's
        photographs at hand, and none of IDRiD, is noted to lie.

    Returns
    -------
    uint8 array, ``(rows, columns, 3)``
        Gray photographs have three equal channels.

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing, truncated or foreign file, or one that holds several pictures.
    """
    image = picture_files.read(path)
    if image.dtype != np.uint8:
        image = np.rint(255 * image).astype(np.uint8)
    return image if image.ndim == 3 else np.repeat(image[..., np.newaxis], 3, axis=2)


def read_mask(path: Path) -> np.ndarray:
    """Decode a mask: a picture of black and one other color.

    Parameters
    ----------
    path : path
        File without loss, such as PNG or TIFF, of one bit to a pixel, of gray values
        or of a palette.

    Returns
    -------
    bool array, ``(rows, columns)``
        What is not black.

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing, truncated or foreign file, or one with more colors.
    """
    mask = picture_files.read(path, one_channel=True)
    colors = np.unique(mask)
    if len(colors) > 2 or len(colors) == 2 and colors[0]:
        raise UserError(
            f"{path}: {len(colors)} gray values; a mask is black, and one other "
            "where it marks something"
        )
    return mask > 0


# --- Preparation ------------------------------------------------------------


def _check(image: Sequence[Sequence[Sequence[Any]]] | np.ndarray, scale: float) -> np.ndarray:
    expected = "photographs are uint8 (rows, columns, 3)"
    image = arrays.numbers(image, expected)
    if image.ndim != 3 or image.shape[2] != 3:
        raise UserError(f"{expected}, not {image.dtype} {image.shape}{_remedy(image)}")
    if image.dtype.kind == "f" or image.dtype.kind == "b":
        raise UserError(
            f"{expected}, not {image.dtype}; from values in [0, 1], "
            "numpy.uint8(numpy.rint(255 * image)) makes them"
        )
    if image.dtype != np.uint8:
        if image.size and not 0 <= image.min() <= image.max() <= 255:
            raise UserError(f"{expected}, not {image.dtype} from {image.min()} to {image.max()}")
        image = image.astype(np.uint8)
    if not (np.isfinite(scale) and scale >= 1):
        raise UserError(
            f"scale: a pixel of the file spans at least 1 pixel of the original, not {scale}"
        )
    return image


def _remedy(image):
    """What to do about an array of another shape."""
    if image.ndim == 2:
        return "; numpy.stack([image] * 3, axis=-1) makes one of a gray photograph"
    if image.ndim == 3 and image.shape[2] == 4:
        return "; leave out transparency: image[..., :3]"
    if image.ndim == 3 and image.shape[0] == 3:
        return "; channels come last: numpy.moveaxis(image, 0, -1)"
    return ""


def crop_and_resize(
    image: Sequence[Sequence[Sequence[Any]]] | np.ndarray,
    scale: float = 1,
    crop: str = "published",
    name: str = "photograph",
) -> tuple[np.ndarray, np.ndarray, Transform]:
    """De Fauw's preparation up to 8-bit pixels, which lose nothing.

    Parameters, errors, warnings and notes are those of :func:`prepare`.

    Returns
    -------
    uint8 array ``(512, 512, 3)``, dimensions, Transform
    """
    image = _check(image, scale)
    if crop not in CROPS:
        raise UserError(f"crop: {' or '.join(CROPS)}, not {crop!r}")
    step = STEP if scale < STEP else 1
    reduced = image[::step, ::step]
    brightest = reduced.max(axis=2)
    published, field = published_bounds(brightest), robust_bounds(brightest)
    bounds = field if crop == "robust" else published
    if crop == "published":
        warn_of_difference(name, published, field, step)
    sides = sorted((bounds[1] - bounds[0], bounds[3] - bounds[2]), reverse=True)
    top, bottom, left, right = cut_columns(brightest, bounds, scale * step)
    pixels = Image.fromarray(reduced[top:bottom, left:right]).resize(
        (SIZE, SIZE), Image.Resampling.BILINEAR
    )
    dimensions = np.array(sides, np.float32) * (scale * step / STEP / _DIMENSION)
    return (
        np.asarray(pixels),
        dimensions.astype(np.float32),
        Transform(
            # Every second pixel: the first one kept stands half a pixel before the
            # middle of the two that it stands for.
            offset=tuple(float(scale * (step * first - (step - 1) / 2)) for first in (top, left)),
            scale=tuple(float(scale * step * side / SIZE) for side in (bottom - top, right - left)),
            shape=tuple(int(round(length * scale)) for length in image.shape[:2]),
        ),
    )


def prepare(
    image: Sequence[Sequence[Sequence[Any]]] | np.ndarray,
    scale: float = 1,
    crop: str = "published",
    name: str = "photograph",
) -> tuple[np.ndarray, np.ndarray, Transform]:
    """Prepare a photograph as De Fauw's network expects it.

    1. Every second pixel is taken, and rows and columns at the borders without
       a value above 30 are cut off.
    2. The sides of what is left, larger first, over 700, are the image
       dimensions, an input of the network.
    3. From width / height 1.3 on, columns are cut once more at 35, if more than
       256 columns exceed it.
    4. What is left is resized to 512 x 512 without keeping its aspect ratio and
       standardized.

    Parameters
    ----------
    image : uint8 array, ``(rows, columns, 3)``
        Other whole numbers from 0 to 255 do as well, in nested lists or tensors too.
    scale : float
        How many pixels of the original one pixel of ``image`` spans along each
        side, for photographs that were reduced before.  From 2 on step 1 takes
        every pixel.  Dimensions and transform are always those of the original.
    crop : str
        One of :data:`cnnviz.datasets.field_of_view.CROPS`.
        "published": the rule above, for the competition's
        photographs.  A single bright pixel outside the field of view moves it.
        "robust": the same of the largest bright area alone, whatever is bright beside
        it: hot pixels, text, noise.
    name : str
        Of the photograph, for warnings.

    Returns
    -------
    pixels : float32 array, ``(3, 512, 512)``
    dimensions : float32 array, ``(2,)``
    transform : Transform

    Raises
    ------
    ValueError
        For anything but uint8 RGB, an impossible scale, an unknown crop, or a black
        photograph.

    Warns
    -----
    cnnviz.datasets.field_of_view.ImplausibleCrop
        Where "published" and "robust" differ by more than 3 % of a side.

    Notes
    -----
    Resizing is Pillow's bilinear filter, as in De Fauw's scripts.  Since its
    version 2.7 of 2015 it averages over everything near a new pixel when it
    reduces, so a small lesion is dimmed but never falls between new pixels.
    De Fauw's files went through JPEG once more between steps 1 and 3, which is
    left out here.
    """
    pixels, dimensions, transform = crop_and_resize(image, scale, crop, name)
    return standardize(pixels), dimensions, transform


def photograph(
    name: str,
    image: np.ndarray,
    scale: float = 1,
    masks: Mapping[str, np.ndarray] | None = None,
    centers: Mapping[str, np.ndarray | tuple[float, float]] | None = None,
    crop: str = "published",
    **known: Any,
) -> Photograph:
    """Prepare a photograph together with what is marked on it.

    Parameters
    ----------
    name : str
    image, scale, crop
        As in :func:`prepare`.
    masks : dict, optional
        From a name to a mask on the original's pixels: bool, whole numbers, any of
        which but 0 marks a pixel, or shares of pixels in [0, 1].
    centers : dict, optional
        From a name to (row, column) in the original.
    known
        ``grade``, ``patient``, ``side``.

    Returns
    -------
    Photograph

    Raises
    ------
    ValueError
        As :func:`prepare`, with the photograph's name; for a mask of another shape, or
        with values that mean nothing, with the mask's.
    """
    try:
        pixels, dimensions, transform = prepare(image, scale, crop, name)
        return Photograph(
            name,
            pixels,
            dimensions,
            transform,
            masks={
                key: transform.mask_to_prepared(
                    mask_values.shares(mask, f"mask '{key}'"), f"mask '{key}'"
                )
                for key, mask in (masks or {}).items()
            },
            centers={
                key: tuple(map(float, transform.to_prepared(place)))
                for key, place in (centers or {}).items()
            },
            **known,
        )
    except ValueError as error:
        raise UserError(f"{name}: {error}") from None


# --- Pixel values -----------------------------------------------------------


def standardize(
    pixels: Sequence[Sequence[Sequence[Any]]] | np.ndarray | torch.Tensor,
) -> np.ndarray:
    """From uint8 ``(..., rows, columns, 3)`` to the network's input.

    Returns
    -------
    float32 array, ``(..., 3, rows, columns)``
    """
    pixels = arrays.numbers(pixels, "pixels: expected uint8 (..., rows, columns, 3)")
    scaled = np.moveaxis(pixels, -1, -3) / np.float32(255)
    return np.ascontiguousarray((scaled - np.float32(MEAN)) / np.float32(STD))


def destandardize(
    pixels: Sequence[Sequence[Sequence[Any]]] | np.ndarray | torch.Tensor,
) -> np.ndarray:
    """From the network's input ``(..., 3, rows, columns)`` to pictures to show.

    Returns
    -------
    float32 array, ``(..., rows, columns, 3)``, in [0, 1]
    """
    pixels = arrays.numbers(pixels, "pixels: expected numbers (..., 3, rows, columns)")
    shown = pixels.astype(np.float32) * np.float32(STD) + np.float32(MEAN)
    return np.clip(np.moveaxis(shown, -3, -1), 0, 1)


def to_bytes(pixels: np.ndarray) -> np.ndarray:
    """As :func:`destandardize`, in uint8; undoes :func:`standardize` exactly."""
    return np.rint(destandardize(pixels) * 255).astype(np.uint8)
