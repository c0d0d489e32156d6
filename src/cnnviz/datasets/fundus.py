"""Fundus photographs, prepared as De Fauw's network expects them.

One interface for every source of photographs: :class:`Photograph`, made by
:func:`photograph` from an image as it comes from a camera.  The steps are those
of De Fauw's published scripts (JeffreyDF/kaggle_diabetic_retinopathy, commit
77c5781); the mean and the standard deviation are the rounded ones printed by
users of his network.
"""
from dataclasses import dataclass, field
from typing import Optional

import numpy as np
from PIL import Image
from scipy import sparse

from cnnviz.errors import MissingFileError, UserError

__all__ = ["SIZE", "MEAN", "STD", "SIDES", "Transform", "Photograph", "read_image",
           "read_mask", "crop_and_resize", "prepare", "photograph", "standardize",
           "destandardize", "to_bytes"]

SIZE = 512               #: side of a prepared photograph, in pixels
MEAN = 0.042             #: of all channels
STD = 0.05 + 0.204       #: of all channels
SIDES = ("left", "right")

_STEP = 2                # De Fauw takes every second pixel
_BRIGHT = 30             # rows and columns without a brighter pixel are cut off
_BRIGHT_COLUMN = 35      # the same when columns are cut once more
_WIDE = 1.3              # from this width / height on
_ENOUGH_COLUMNS = SIZE // 2
_DIMENSION = 700         # unit of the image dimensions


# --- Places -----------------------------------------------------------------

def _coverage(offset, scale, length):
    """How original pixels along one axis average into prepared ones.

    Sparse ``(SIZE, length)``: rows are prepared pixels, and sum to one.
    """
    edges = offset + scale * np.arange(SIZE + 1)
    pixel = (np.floor(edges[:-1]).astype(int)[:, None]
             + np.arange(int(np.ceil(scale)) + 1))          # (SIZE, reach)
    overlap = (np.minimum(pixel + 1, edges[1:, None])
               - np.maximum(pixel, edges[:-1, None]))
    share = np.maximum(overlap, 0) / scale
    # Prepared pixels may begin half a pixel before the original does.
    pixel = np.clip(pixel, 0, length - 1)
    row = np.broadcast_to(np.arange(SIZE)[:, None], pixel.shape)
    return sparse.csr_matrix((share.astype(np.float32).ravel(),
                              (row.ravel(), pixel.ravel())), (SIZE, length))


def _interpolation(place):
    """Linear interpolation between prepared pixels along one axis.

    Sparse ``(len(place), SIZE)``; places outside the prepared photograph get
    an empty row, those between its edge and the first pixel's centre its value.
    """
    inside = np.flatnonzero((place >= -0.5) & (place < SIZE - 0.5))
    clipped = np.clip(place[inside], 0, SIZE - 1)
    low = np.minimum(clipped.astype(int), SIZE - 2)
    share = (clipped - low).astype(np.float32)
    return sparse.csr_matrix(
        (np.concatenate([1 - share, share]),
         (np.concatenate([inside, inside]), np.concatenate([low, low + 1]))),
        (len(place), SIZE))


@dataclass(frozen=True)
class Transform:
    """Map between prepared pixels and the original photograph, axis by axis.

    Points are (row, column), and **whole numbers are centres of pixels**: pixel
    0 reaches from -0.5 to 0.5.  Prepared pixel p covers the original from
    ``offset + scale * p`` to ``offset + scale * (p + 1)``, counted from the
    photograph's edge.
    """
    offset: tuple  #: rows, columns of original pixels before the prepared ones
    scale: tuple   #: original pixels to a prepared one, along rows and columns
    shape: tuple   #: rows and columns of the original photograph

    def to_original(self, points):
        """Where points ``(..., 2)`` of the prepared photograph are in the original."""
        return (np.asarray(points, float) + 0.5) * self.scale + self.offset - 0.5

    def to_prepared(self, points):
        """Where points ``(..., 2)`` of the original are in the prepared photograph.

        Points that were cut off lie outside [-0.5, 511.5].
        """
        return (np.asarray(points, float) + 0.5 - self.offset) / self.scale - 0.5

    def mask_to_prepared(self, mask):
        """Share of every prepared pixel that a mask covers.

        Exact averages over areas, so that the smallest lesion (two or three
        prepared pixels across) still leaves its trace.

        Parameters
        ----------
        mask : bool or float array, of ``shape``
            On the original's pixels.

        Returns
        -------
        float32 array, ``(512, 512)``

        Raises
        ------
        ValueError
            For a mask of another shape.
        """
        mask = np.asarray(mask)
        if mask.shape != self.shape:
            raise UserError(f"mask of shape {mask.shape} on a photograph of "
                            f"{self.shape}; give it on the original's pixels")
        rows, columns = (_coverage(*axis) for axis in
                         zip(self.offset, self.scale, self.shape))
        covered = rows @ mask.astype(np.float32) @ columns.T
        return np.clip(covered, 0, 1) if mask.dtype == bool else covered

    def map_to_original(self, values):
        """Resample a map or mask of the prepared photograph to the original's pixels.

        Parameters
        ----------
        values : array, ``(512, 512)``
            Interpolated linearly; bool values become bool again, at one half.

        Returns
        -------
        bool or float32 array, of ``shape``
            0 where the photograph was cut off.

        Raises
        ------
        ValueError
            For a map of another shape.
        """
        values = np.asarray(values)
        if values.shape != (SIZE, SIZE):
            raise UserError(f"map of shape {values.shape} instead of "
                            f"{(SIZE, SIZE)}")
        rows, columns = ((np.arange(length) + 0.5 - offset) / scale - 0.5
                         for offset, scale, length in
                         zip(self.offset, self.scale, self.shape))
        there = (_interpolation(rows) @ values.astype(np.float32)
                 @ _interpolation(columns).T)
        return there >= 0.5 if values.dtype == bool else there


# --- Photographs ------------------------------------------------------------

@dataclass(frozen=True, eq=False)
class Photograph:
    """A prepared photograph and what is known about it."""
    name: str
    pixels: np.ndarray      #: float32 ``(3, 512, 512)``, standardized
    dimensions: np.ndarray  #: float32 ``(2,)``, of the original; the network's input
    transform: Transform
    grade: Optional[int] = None    #: 0 (no retinopathy) to 4 (proliferative)
    patient: Optional[str] = None
    side: Optional[str] = None     #: "left" or "right"
    #: from a name to the share of every pixel covered, float32 ``(512, 512)``
    masks: dict = field(default_factory=dict)
    #: from "optic disc" and "fovea" to (row, column) in prepared pixels
    centres: dict = field(default_factory=dict)


def _read(path, formats):
    """A decoded picture and its mode, or a message that names the file."""
    try:
        with Image.open(path, formats=formats) as image:
            return np.asarray(image), image.mode
    except FileNotFoundError:
        raise MissingFileError(f"{path}: no such file") from None
    except Exception as error:  # damaged bytes raise nearly anything
        raise UserError(f"{path}: truncated or not a {' or '.join(formats)} image "
                        f"({error}); fetch the file again") from None


def read_image(path):
    """Decode a photograph.

    Parameters
    ----------
    path : path
        JPEG or PNG file.  An orientation noted beside the pixels is ignored, as
        De Fauw's scripts do.

    Returns
    -------
    uint8 array, ``(rows, columns, 3)``

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing, truncated or foreign file, or one that is not RGB.
    """
    image, mode = _read(path, ("JPEG", "PNG"))
    if mode != "RGB":
        raise UserError(f"{path}: image of mode {mode} instead of RGB")
    return image


def read_mask(path):
    """Decode a mask: a PNG file of one bit to a pixel.

    Returns
    -------
    bool array, ``(rows, columns)``

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing, truncated or foreign file, or one with other values.
    """
    mask, mode = _read(path, ("PNG",))
    if mode != "1":
        raise UserError(f"{path}: image of mode {mode} instead of one bit to a "
                        "pixel")
    return mask


# --- Preparation ------------------------------------------------------------

def _check(image, scale):
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise UserError(f"photographs are uint8 (rows, columns, 3), not "
                        f"{image.dtype} {image.shape}")
    if not (np.isfinite(scale) and scale >= 1):
        raise UserError(f"scale: a pixel of the file spans at least 1 pixel of "
                        f"the original, not {scale}")
    return image


def _extent(brightest, threshold):
    """First and last index that exceed the threshold; the last is the end.

    So the last one is left out, as in De Fauw's scripts.
    """
    index = np.flatnonzero(brightest > threshold)
    return (index[0], index[-1], len(index)) if len(index) else (0, 0, 0)


def _crop(image, span):
    """First row, end row, first column, end column of the field of view.

    And the larger and smaller side before the columns are cut once more;
    ``span`` original pixels lie between neighbours of ``image``.
    """
    brightest = image.max(axis=2)
    top, bottom, rows = _extent(brightest.max(axis=1), _BRIGHT)
    left, right, columns = _extent(brightest.max(axis=0), _BRIGHT)
    if min(rows, columns) <= 2:
        raise UserError(f"black photograph: {rows} rows and {columns} columns "
                        f"hold a value above {_BRIGHT}")
    sides = sorted((bottom - top, right - left), reverse=True)
    if (right - left) / (bottom - top) >= _WIDE:
        again = _extent(brightest[top:bottom, left:right].max(axis=0),
                        _BRIGHT_COLUMN)
        if again[2] * span / _STEP > _ENOUGH_COLUMNS:
            left, right = left + again[0], left + again[1]
    return top, bottom, left, right, sides


def crop_and_resize(image, scale=1):
    """De Fauw's preparation up to 8-bit pixels, which lose nothing.

    Parameters, errors and notes are those of :func:`prepare`.

    Returns
    -------
    uint8 array ``(512, 512, 3)``, dimensions, Transform
    """
    image = _check(image, scale)
    step = _STEP if scale < _STEP else 1
    reduced = image[::step, ::step]
    top, bottom, left, right, sides = _crop(reduced, scale * step)
    pixels = Image.fromarray(reduced[top:bottom, left:right]).resize(
        (SIZE, SIZE), Image.Resampling.BILINEAR)
    dimensions = np.array(sides, np.float32) * (scale * step / _STEP / _DIMENSION)
    return np.asarray(pixels), dimensions.astype(np.float32), Transform(
        # Every second pixel: the first one kept stands half a pixel before the
        # middle of the two that it stands for.
        offset=tuple(float(scale * (step * first - (step - 1) / 2))
                     for first in (top, left)),
        scale=tuple(float(scale * step * side / SIZE)
                    for side in (bottom - top, right - left)),
        shape=tuple(int(round(length * scale)) for length in image.shape[:2]))


def prepare(image, scale=1):
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
    scale : float
        How many pixels of the original one pixel of ``image`` spans along each
        side, for photographs that were reduced before.  From 2 on step 1 takes
        every pixel.  Dimensions and transform are always those of the original.

    Returns
    -------
    pixels : float32 array, ``(3, 512, 512)``
    dimensions : float32 array, ``(2,)``
    transform : Transform

    Raises
    ------
    ValueError
        For anything but uint8 RGB, an impossible scale, or a black photograph.

    Notes
    -----
    Resizing is Pillow's bilinear filter, as in De Fauw's scripts.  Since its
    version 2.7 of 2015 it averages over everything near a new pixel when it
    reduces, so a small lesion is dimmed but never falls between new pixels.
    De Fauw's files went through JPEG once more between steps 1 and 3, which is
    left out here.
    """
    pixels, dimensions, transform = crop_and_resize(image, scale)
    return standardize(pixels), dimensions, transform


def photograph(name, image, scale=1, masks=None, centres=None, **known):
    """Prepare a photograph together with what is marked on it.

    Parameters
    ----------
    name : str
    image, scale
        As in :func:`prepare`.
    masks : dict, optional
        From a name to a mask on the original's pixels.
    centres : dict, optional
        From a name to (row, column) in the original.
    known
        ``grade``, ``patient``, ``side``.

    Returns
    -------
    Photograph

    Raises
    ------
    ValueError
        As :func:`prepare`, with the photograph's name.
    """
    try:
        pixels, dimensions, transform = prepare(image, scale)
        return Photograph(
            name, pixels, dimensions, transform,
            masks={key: transform.mask_to_prepared(mask)
                   for key, mask in (masks or {}).items()},
            centres={key: tuple(map(float, transform.to_prepared(place)))
                     for key, place in (centres or {}).items()}, **known)
    except ValueError as error:
        raise UserError(f"{name}: {error}") from None


# --- Pixel values -----------------------------------------------------------

def standardize(pixels):
    """From uint8 ``(..., rows, columns, 3)`` to the network's input.

    Returns
    -------
    float32 array, ``(..., 3, rows, columns)``
    """
    scaled = np.moveaxis(np.asarray(pixels), -1, -3) / np.float32(255)
    return np.ascontiguousarray((scaled - np.float32(MEAN)) / np.float32(STD))


def destandardize(pixels):
    """From the network's input ``(..., 3, rows, columns)`` to pictures to show.

    Returns
    -------
    float32 array, ``(..., rows, columns, 3)``, in [0, 1]
    """
    shown = np.asarray(pixels, np.float32) * np.float32(STD) + np.float32(MEAN)
    return np.clip(np.moveaxis(shown, -3, -1), 0, 1)


def to_bytes(pixels):
    """As :func:`destandardize`, in uint8; undoes :func:`standardize` exactly."""
    return np.rint(destandardize(pixels) * 255).astype(np.uint8)
