"""Compiled loops over windows of many images at a time."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from cnnviz.runtime import threads

__all__ = ["add_rows", "cut_rows", "over_rows", "pool_rows_back", "scale_rows", "switch_rows"]


_OPTIONS = {
    "nogil": True,
    "fastmath": {"nsz", "contract"},
    "error_model": "numpy",
    "boundscheck": False,
}
_jit = numba.njit(**_OPTIONS)
# Only what Python calls is kept compiled on disk, with what it calls inside.
_entry = numba.njit(**_OPTIONS, cache=True)
_LEAST = 1 << 15  # numbers, below which a second thread is not worth its start


def over_rows(kernel: Any, out: np.ndarray, *arguments: Any) -> np.ndarray:
    """Run a kernel over the rows of all items, in as many threads as there are."""

    def work(first, end):
        kernel(first, end, out, *arguments)

    lines = out.shape[0] * out.shape[1]
    if out.size < _LEAST:
        work(0, lines)
    else:
        threads.over(lines, work)
    return out


@_jit
def _set(target, value):
    for k in range(target.size):
        target[k] = value


@_jit
def _copy(target, values):
    for k in range(target.size):
        target[k] = values[k]


@_jit
def _multiply(target, values, others):
    for k in range(target.size):
        target[k] = values[k] * others[k]


@_jit
def _accumulate(target, values, switches, place):
    bit = switches.dtype.type(1) << switches.dtype.type(place)
    for k in range(target.size):
        target[k] += values[k] if switches[k] & bit else target.dtype.type(0)


@_entry
def cut_rows(first, end, out, source, images, start, fill, new, new_start, box, occluder):
    """Windows of kept maps, with new values in them.

    A value comes from ``occluder`` in the box ``(item's first row and column;
    size)``, else from ``new``, else from the map, else it is ``fill``.  Along an axis on
    which the occluder has one number, that counts everywhere.
    """
    height, width = source.shape[1:3]
    each, high, wide = (
        min(occluder.shape[0], 2) - 1,
        min(occluder.shape[1], 2) - 1,
        min(occluder.shape[2], 2) - 1,
    )
    for line in range(first, end):
        item, r = divmod(line, out.shape[1])
        row, image = start[item, 0] + r, images[item]
        row_inside = 0 <= row < height
        new_row = row - new_start[item, 0]
        row_new = 0 <= new_row < new.shape[1]
        row_hidden = row_inside and 0 <= row - box[item, 0] < box[item, 2]
        for c in range(out.shape[2]):
            column = start[item, 1] + c
            inside = row_inside and 0 <= column < width
            new_column = column - new_start[item, 1]
            if inside and row_hidden and 0 <= column - box[item, 1] < box[item, 3]:
                _copy(out[item, r, c], occluder[image * each, row * high, column * wide])
            elif row_new and 0 <= new_column < new.shape[2]:
                _copy(out[item, r, c], new[item, new_row, new_column])
            elif inside:
                _copy(out[item, r, c], source[image, row, column])
            else:
                _set(out[item, r, c], fill[0])


@_entry
def add_rows(first, end, out, value, source, start):
    """The same map added to every item, window by window, inside the map."""
    for line in range(first, end):
        item, r = divmod(line, out.shape[1])
        row = start[item, 0] + r
        for c in range(out.shape[2]):
            column = start[item, 1] + c
            for k in range(out.shape[3]):
                out[item, r, c, k] = value[item, r, c, k] + source[row, column, k]


@_entry
def scale_rows(first, end, out, gradient, start, source, images, out_start):
    """A gradient times kept slopes, on other windows; zero outside the map."""
    height, width = source.shape[1:3]
    for line in range(first, end):
        item, r = divmod(line, out.shape[1])
        row, image = out_start[item, 0] + r, images[item]
        old_row = row - start[item, 0]
        usable = 0 <= row < height and 0 <= old_row < gradient.shape[1]
        for c in range(out.shape[2]):
            column = out_start[item, 1] + c
            old_column = column - start[item, 1]
            if usable and 0 <= column < width and 0 <= old_column < gradient.shape[2]:
                _multiply(
                    out[item, r, c], gradient[item, old_row, old_column], source[image, row, column]
                )
            else:
                _set(out[item, r, c], 0)


@_jit
def _windows_of(place, geometry, axis, start, limit):
    """First and last window, in the map and at hand, that hold a place."""
    size, stride, pad = geometry[0, axis], geometry[1, axis], geometry[2, axis]
    lowest = place + pad - size
    first = max(0, start, lowest // stride + 1)
    return first, min(limit, (place + pad) // stride)


@_entry
def pool_rows_back(first, end, out, gradient, start, switches, slopes, images, out_start, geometry):
    """Gradient below a max-pooling layer, times kept slopes.

    ``switches`` has, for every window, a bit for each place that its gradient goes to.
    All such places get the whole gradient, as Theano defines it.
    """
    height, width = slopes.shape[1:3]
    bits = 8 * switches.itemsize
    total = np.empty(out.shape[3], out.dtype)
    for line in range(first, end):
        item, r = divmod(line, out.shape[1])
        row, image = out_start[item, 0] + r, images[item]
        top, bottom = _windows_of(
            row,
            geometry,
            0,
            start[item, 0],
            min(switches.shape[1], start[item, 0] + gradient.shape[1]) - 1,
        )
        for c in range(out.shape[2]):
            column = out_start[item, 1] + c
            if not (0 <= row < height and 0 <= column < width):
                _set(out[item, r, c], 0)
                continue
            left, right = _windows_of(
                column,
                geometry,
                1,
                start[item, 1],
                min(switches.shape[2], start[item, 1] + gradient.shape[2]) - 1,
            )
            _set(total, 0)
            for i in range(top, bottom + 1):
                for j in range(left, right + 1):
                    down = row + geometry[2, 0] - i * geometry[1, 0]
                    right_by = column + geometry[2, 1] - j * geometry[1, 1]
                    place = down * geometry[0, 1] + right_by
                    _accumulate(
                        total,
                        gradient[item, i - start[item, 0], j - start[item, 1]],
                        switches[image, i, j, place // bits],
                        place % bits,
                    )
            _multiply(out[item, r, c], total, slopes[image, row, column])


@_entry
def switch_rows(first, end, out, below, pooled, geometry, single):
    """A bit for every place of a window that holds its maximum; ``single``: the first."""
    height, width = geometry[0]
    bits, one = 8 * out.itemsize, out.dtype.type(1)
    for line in range(first, end):
        item, i = divmod(line, out.shape[1])
        for j in range(out.shape[2]):
            for k in range(out.shape[4]):
                for word in range(out.shape[3]):
                    out[item, i, j, word, k] = 0
                for place in range(height * width):
                    row = i * geometry[1, 0] - geometry[2, 0] + place // width
                    column = j * geometry[1, 1] - geometry[2, 1] + place % width
                    if (
                        0 <= row < below.shape[1]
                        and 0 <= column < below.shape[2]
                        and below[item, row, column, k] == pooled[item, i, j, k]
                    ):
                        out[item, i, j, place // bits, k] |= one << out.dtype.type(place % bits)
                        if single:
                            break
