"""Where the eye is on a photograph: De Fauw's published rule, and a robust one."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy import ndimage

from cnnviz.datasets.fundus_transform import SIZE
from cnnviz.datasets.masks import largest_region
from cnnviz.runtime.errors import UserError

__all__ = [
    "CROPS",
    "STEP",
    "ImplausibleCrop",
    "cut_columns",
    "published_bounds",
    "robust_bounds",
    "warn_of_difference",
]

#: How the field of view is found: by De Fauw's published rule, or as the largest
#: bright area.
CROPS = ("published", "robust")

STEP = 2  # De Fauw takes every second pixel
_BRIGHT = 30  # rows and columns without a brighter pixel are cut off
_BRIGHT_COLUMN = 35  # the same when columns are cut once more
_WIDE = 1.3  # from this width / height on
_ENOUGH_COLUMNS = SIZE // 2
_BLOCKS = 256  # of the smaller side, of which the field of view is made up
_OPEN = 5  # blocks that are narrower parts of the field, such as text
_CORNER = 0.05  # of a side; corners tell how bright the background is
_FILLED = 0.4  # of the field's brightness, in a corner that belongs to it
_ABOVE, _LEAST = 0.1, 6  # brightness above the background: of the field's, and gray values
_IMPLAUSIBLE = 0.03  # of the field's own sides


class ImplausibleCrop(UserWarning):
    """De Fauw's rule kept much that is not the field of view."""


def _extent(brightest: np.ndarray, threshold: float) -> tuple[int, int, int]:
    """First and last index that exceed the threshold; the last is the end.

    So the last one is left out, as in De Fauw's scripts.
    """
    index = np.flatnonzero(brightest > threshold)
    return (index[0], index[-1], len(index)) if len(index) else (0, 0, 0)


def published_bounds(
    brightest: np.ndarray, threshold: float = _BRIGHT
) -> tuple[int, int, int, int]:
    """First row, end row, first column, end column of what is bright."""
    top, bottom, rows = _extent(brightest.max(axis=1), threshold)
    left, right, columns = _extent(brightest.max(axis=0), threshold)
    if min(rows, columns) <= 2:
        raise UserError(
            f"black photograph: {rows} rows and {columns} columns "
            f"hold a value above {threshold:.3g}"
        )
    return top, bottom, left, right


def cut_columns(
    brightest: np.ndarray, bounds: tuple[int, int, int, int], span: float
) -> tuple[int, int, int, int]:
    """Bounds after columns are cut once more, where De Fauw's rule does so.

    ``span`` original pixels lie between neighbors of ``brightest``.
    """
    top, bottom, left, right = bounds
    if (right - left) / (bottom - top) >= _WIDE:
        again = _extent(brightest[top:bottom, left:right].max(axis=0), _BRIGHT_COLUMN)
        if again[2] * span / STEP > _ENOUGH_COLUMNS:
            left, right = left + again[0], left + again[1]
    return top, bottom, left, right


def robust_bounds(brightest: np.ndarray) -> tuple[int, int, int, int]:
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
    if not bright.any():  # nothing is large
        return published_bounds(brightest)
    largest = largest_region(bright)
    # One block more, so that the area ends where the photograph's own pixels do.
    near = ndimage.binary_dilation(largest, np.ones((3, 3))).repeat(block, 0).repeat(block, 1)
    return published_bounds(
        np.where(near[: brightest.shape[0], : brightest.shape[1]], brightest, 0), threshold
    )


def _threshold(blocks: np.ndarray) -> float:
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


def warn_of_difference(name: str, published: Any, field: Any, step: int) -> None:
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
