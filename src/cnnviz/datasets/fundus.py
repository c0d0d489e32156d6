"""Fundus photographs, prepared as De Fauw's network expects them.

One interface for every source of photographs: :class:`Photograph`, made by
:func:`photograph` from an image as it comes from a camera.  The steps are those
of De Fauw's published scripts (JeffreyDF/kaggle_diabetic_retinopathy, commit
77c5781); the mean and the standard deviation are the rounded ones printed by
users of his network.
"""

import warnings
from dataclasses import dataclass, field

import numpy as np
from PIL import Image
from scipy import ndimage, sparse

from cnnviz.datasets import masks as mask_values
from cnnviz.datasets import picture_files
from cnnviz.runtime import arrays
from cnnviz.runtime.errors import UserError

__all__ = [
    "CROPS",
    "MEAN",
    "SIDES",
    "SIZE",
    "STD",
    "ImplausibleCrop",
    "Photograph",
    "Transform",
    "crop_and_resize",
    "destandardize",
    "photograph",
    "prepare",
    "read_image",
    "read_mask",
    "standardize",
    "to_bytes",
]

SIZE = 512  #: side of a prepared photograph, in pixels
MEAN = 0.042  #: of all channels
STD = 0.05 + 0.204  #: of all channels
SIDES = ("left", "right")
#: How the field of view is found: by De Fauw's published rule, or as the largest
#: bright area.
CROPS = ("published", "robust")

_STEP = 2  # De Fauw takes every second pixel
_BRIGHT = 30  # rows and columns without a brighter pixel are cut off
_BRIGHT_COLUMN = 35  # the same when columns are cut once more
_WIDE = 1.3  # from this width / height on
_ENOUGH_COLUMNS = SIZE // 2
_DIMENSION = 700  # unit of the image dimensions
_BLOCKS = 256  # of the smaller side, of which the field of view is made up
_OPEN = 5  # blocks that are narrower parts of the field, such as text
_CORNER = 0.05  # of a side; corners tell how bright the background is
_FILLED = 0.4  # of the field's brightness, in a corner that belongs to it
_ABOVE, _LEAST = 0.1, 6  # brightness above the background: of the field's, and gray values
_IMPLAUSIBLE = 0.03  # of the field's own sides


class ImplausibleCrop(UserWarning):
    """De Fauw's rule kept much that is not the field of view."""


# --- Places -----------------------------------------------------------------


def _coverage(offset, scale, length):
    """How original pixels along one axis average into prepared ones.

    Sparse ``(SIZE, length)``: rows are prepared pixels, and sum to one.
    """
    edges = offset + scale * np.arange(SIZE + 1)
    pixel = np.floor(edges[:-1]).astype(int)[:, None] + np.arange(
        int(np.ceil(scale)) + 1
    )  # (SIZE, reach)
    overlap = np.minimum(pixel + 1, edges[1:, None]) - np.maximum(pixel, edges[:-1, None])
    share = np.maximum(overlap, 0) / scale
    # Prepared pixels may begin half a pixel before the original does.
    pixel = np.clip(pixel, 0, length - 1)
    row = np.broadcast_to(np.arange(SIZE)[:, None], pixel.shape)
    return sparse.csr_matrix(
        (share.astype(np.float32).ravel(), (row.ravel(), pixel.ravel())), (SIZE, length)
    )


def _interpolation(place):
    """Linear interpolation between prepared pixels along one axis.

    Sparse ``(len(place), SIZE)``; places outside the prepared photograph get
    an empty row, those between its edge and the first pixel's center its value.
    """
    inside = np.flatnonzero((place >= -0.5) & (place < SIZE - 0.5))
    clipped = np.clip(place[inside], 0, SIZE - 1)
    low = np.minimum(clipped.astype(int), SIZE - 2)
    share = (clipped - low).astype(np.float32)
    return sparse.csr_matrix(
        (
            np.concatenate([1 - share, share]),
            (np.concatenate([inside, inside]), np.concatenate([low, low + 1])),
        ),
        (len(place), SIZE),
    )


@dataclass(frozen=True)
class Transform:
    """Map between prepared pixels and the original photograph, axis by axis.

    Points are (row, column), and **whole numbers are centers of pixels**: pixel
    0 reaches from -0.5 to 0.5.  Prepared pixel p covers the original from
    ``offset + scale * p`` to ``offset + scale * (p + 1)``, counted from the
    photograph's edge.
    """

    offset: tuple  #: rows, columns of original pixels before the prepared ones
    scale: tuple  #: original pixels to a prepared one, along rows and columns
    shape: tuple  #: rows and columns of the original photograph

    def to_original(self, points):
        """Where points ``(..., 2)`` of the prepared photograph are in the original."""
        return (np.asarray(points, float) + 0.5) * self.scale + self.offset - 0.5

    def to_prepared(self, points):
        """Where points ``(..., 2)`` of the original are in the prepared photograph.

        Points that were cut off lie outside [-0.5, 511.5].
        """
        return (np.asarray(points, float) + 0.5 - self.offset) / self.scale - 0.5

    def mask_to_prepared(self, mask, name="mask"):
        """Share of every prepared pixel that a mask covers.

        Exact averages over areas, so that the smallest lesion (two or three
        prepared pixels across) still leaves its trace.

        Parameters
        ----------
        mask : array, of ``shape``
            On the original's pixels: bool, whole numbers, any of which but 0 marks a
            pixel, or floating point numbers, which are averaged.
        name : str
            For errors.

        Returns
        -------
        float32 array, ``(512, 512)``

        Raises
        ------
        ValueError
            For a mask of another shape, or with whole numbers below 0.
        """
        mask = arrays.numbers(mask, f"{name}: expected an array of numbers")
        if mask.dtype.kind in "iu":
            mask = mask_values.marked(mask, name)
        if mask.shape != self.shape:
            raise UserError(
                f"{name} of shape {mask.shape} on a photograph of "
                f"{self.shape}; give it on the original's pixels"
            )
        rows, columns = (_coverage(*axis) for axis in zip(self.offset, self.scale, self.shape))
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
        values = arrays.numbers(values, "map: expected an array of numbers")
        if values.shape != (SIZE, SIZE):
            raise UserError(f"map of shape {values.shape} instead of {(SIZE, SIZE)}")
        rows, columns = (
            (np.arange(length) + 0.5 - offset) / scale - 0.5
            for offset, scale, length in zip(self.offset, self.scale, self.shape)
        )
        there = _interpolation(rows) @ values.astype(np.float32) @ _interpolation(columns).T
        return there >= 0.5 if values.dtype == bool else there


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


def read_image(path):
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


def read_mask(path):
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


def _check(image, scale):
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


def _extent(brightest, threshold):
    """First and last index that exceed the threshold; the last is the end.

    So the last one is left out, as in De Fauw's scripts.
    """
    index = np.flatnonzero(brightest > threshold)
    return (index[0], index[-1], len(index)) if len(index) else (0, 0, 0)


def _bounds(brightest, threshold=_BRIGHT):
    """First row, end row, first column, end column of what is bright."""
    top, bottom, rows = _extent(brightest.max(axis=1), threshold)
    left, right, columns = _extent(brightest.max(axis=0), threshold)
    if min(rows, columns) <= 2:
        raise UserError(
            f"black photograph: {rows} rows and {columns} columns "
            f"hold a value above {threshold:.3g}"
        )
    return top, bottom, left, right


def _cut(brightest, bounds, span):
    """Bounds after columns are cut once more, where De Fauw's rule does so.

    ``span`` original pixels lie between neighbors of ``brightest``.
    """
    top, bottom, left, right = bounds
    if (right - left) / (bottom - top) >= _WIDE:
        again = _extent(brightest[top:bottom, left:right].max(axis=0), _BRIGHT_COLUMN)
        if again[2] * span / _STEP > _ENOUGH_COLUMNS:
            left, right = left + again[0], left + again[1]
    return top, bottom, left, right


def _robust_bounds(brightest):
    """Bounds of the largest bright area.

    Of averages over blocks of pixels, which a hot pixel and noise change little, after
    an opening, which takes away whatever is narrow: text, lines, single blocks.
    """
    block = max(1, min(brightest.shape) // _BLOCKS)
    padded = np.pad(brightest, [(0, -length % block) for length in brightest.shape], "edge")
    blocks = padded.reshape(len(padded) // block, block, -1, block).mean(axis=(1, 3))
    threshold = _threshold(blocks)
    # The photograph's border doesn't make the field narrow.
    framed = np.pad(blocks > threshold, _OPEN, "edge")
    bright = ndimage.binary_opening(framed, np.ones((_OPEN, _OPEN)))[_OPEN:-_OPEN, _OPEN:-_OPEN]
    areas, count = ndimage.label(bright)
    if not count:  # nothing is large
        return _bounds(brightest)
    largest = areas == np.bincount(areas.ravel())[1:].argmax() + 1
    # One block more, so that the area ends where the photograph's own pixels do.
    near = ndimage.binary_dilation(largest, np.ones((3, 3))).repeat(block, 0).repeat(block, 1)
    return _bounds(
        np.where(near[: brightest.shape[0], : brightest.shape[1]], brightest, 0), threshold
    )


def _threshold(blocks):
    """What the field of view exceeds: a tenth of its brightness above the background.

    The background is the darkest corner, whatever is written in the others; a corner
    that is nearly as bright as the field belongs to it.
    """
    rows, columns = (max(1, int(_CORNER * length)) for length in blocks.shape)
    background = min(
        np.percentile(blocks[row, column], 95)
        for row in (slice(rows), slice(-rows, None))
        for column in (slice(columns), slice(-columns, None))
    )
    field = np.percentile(blocks, 75)
    if background > _FILLED * field:
        background = 0
    return background + max(_LEAST, _ABOVE * (field - background))


def _warn(name, published, field, step):
    """Warn where De Fauw's bounds differ much from those of the largest bright area."""
    published, field = np.array(published), np.array(field)
    sides = np.repeat([field[1] - field[0], field[3] - field[2]], 2)
    if (np.abs(published - field) > _IMPLAUSIBLE * sides).any():
        warnings.warn(
            "{}: by De Fauw's rule the eye is in rows {} to {} and columns {} to {}, but the "
            "largest bright area in rows {} to {} and columns {} to {}; look at the "
            "photograph, and if something beside the eye is bright, or part of it dark, use "
            "crop=\"robust\" ('cnnviz prepare-photographs --crop robust')".format(
                name, *step * published, *step * field
            ),
            ImplausibleCrop,
            stacklevel=4,
        )


def crop_and_resize(image, scale=1, crop="published", name="photograph"):
    """De Fauw's preparation up to 8-bit pixels, which lose nothing.

    Parameters, errors, warnings and notes are those of :func:`prepare`.

    Returns
    -------
    uint8 array ``(512, 512, 3)``, dimensions, Transform
    """
    image = _check(image, scale)
    if crop not in CROPS:
        raise UserError(f"crop: {' or '.join(CROPS)}, not {crop!r}")
    step = _STEP if scale < _STEP else 1
    reduced = image[::step, ::step]
    brightest = reduced.max(axis=2)
    published, field = _bounds(brightest), _robust_bounds(brightest)
    bounds = field if crop == "robust" else published
    if crop == "published":
        _warn(name, published, field, step)
    sides = sorted((bounds[1] - bounds[0], bounds[3] - bounds[2]), reverse=True)
    top, bottom, left, right = _cut(brightest, bounds, scale * step)
    pixels = Image.fromarray(reduced[top:bottom, left:right]).resize(
        (SIZE, SIZE), Image.Resampling.BILINEAR
    )
    dimensions = np.array(sides, np.float32) * (scale * step / _STEP / _DIMENSION)
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


def prepare(image, scale=1, crop="published", name="photograph"):
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
        One of :data:`CROPS`.  "published": the rule above, for the competition's
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
    ImplausibleCrop
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


def photograph(name, image, scale=1, masks=None, centers=None, crop="published", **known):
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


def standardize(pixels):
    """From uint8 ``(..., rows, columns, 3)`` to the network's input.

    Returns
    -------
    float32 array, ``(..., 3, rows, columns)``
    """
    pixels = arrays.numbers(pixels, "pixels: expected uint8 (..., rows, columns, 3)")
    scaled = np.moveaxis(pixels, -1, -3) / np.float32(255)
    return np.ascontiguousarray((scaled - np.float32(MEAN)) / np.float32(STD))


def destandardize(pixels):
    """From the network's input ``(..., 3, rows, columns)`` to pictures to show.

    Returns
    -------
    float32 array, ``(..., rows, columns, 3)``, in [0, 1]
    """
    pixels = arrays.numbers(pixels, "pixels: expected numbers (..., 3, rows, columns)")
    shown = pixels.astype(np.float32) * np.float32(STD) + np.float32(MEAN)
    return np.clip(np.moveaxis(shown, -3, -1), 0, 1)


def to_bytes(pixels):
    """As :func:`destandardize`, in uint8; undoes :func:`standardize` exactly."""
    return np.rint(destandardize(pixels) * 255).astype(np.uint8)
