"""Windows of every map of a stack: where they begin, how large they are.

Windows of one batch have one size in each map, so that they make one array;
only where they begin differs.  A window that would leave its map is shifted
back into it, and then holds some neurons more than needed, never fewer.
"""
from typing import NamedTuple

import numpy as np

__all__ = ["Window", "backward_cone", "forward_windows", "flat_index", "place_index"]


class Window(NamedTuple):
    """Windows of one map, one for each item of a batch."""
    start: np.ndarray  #: ``(n, 2)``, first row and column
    size: tuple        #: rows, columns

    def lines(self, axis):
        """Rows (axis 0) or columns (axis 1) of every window, ``(n, size)``."""
        return self.start[:, axis, np.newaxis] + np.arange(self.size[axis])


def backward_cone(blocks, neurons):
    """What neurons of the last map see of every map, from the input on.

    Parameters
    ----------
    blocks : sequence of Block
    neurons : int array, ``(n, 2)``
        Row and column.

    Returns
    -------
    list of Window, one more than blocks
        Not shifted: in the padding, windows reach beyond their map.
    """
    cone = [Window(np.asarray(neurons), (1, 1))]
    for block in reversed(blocks):
        above = cone[0]
        cone.insert(0, Window(above.start * block.stride - block.pad, tuple(
            (length - 1) * step + size for length, step, size
            in zip(above.size, block.stride, block.size))))
    return cone


def _inside(window, shape):
    """A window, shifted into its map."""
    size = tuple(map(min, window.size, shape))
    return Window(np.clip(window.start, 0, np.subtract(shape, size)), size)


def _reached(window, block):
    """First neuron that a window reaches, and how many at most, in a row."""
    lowest = window.start + block.pad - block.size + 1
    return (-(-lowest // block.stride),
            tuple((length + size - 2) // step + 1 for length, size, step
                  in zip(window.size, block.size, block.stride)))


def forward_windows(blocks, shapes, first, size, neurons=None):
    """What occluders change of every map, from the input on.

    Parameters
    ----------
    blocks : sequence of Block
    shapes : sequence of (rows, columns)
        Of the input and of the result of every block.
    first : int array, ``(n, 2)``
        First row and column of the occluders.
    size : (rows, columns)
        Of the occluders.
    neurons : int array, ``(n, 2)``, optional
        Only what these neurons of the last map see.

    Returns
    -------
    list of Window, one more than blocks
    """
    if neurons is None:
        limits = [Window(np.zeros((1, 2), int), tuple(shape)) for shape in shapes]
    else:
        limits = [_inside(window, shape) for window, shape
                  in zip(backward_cone(blocks, neurons), shapes)]
    windows = []
    start, reach = np.asarray(first), tuple(size)
    for limit, block in zip(limits, [*blocks, None]):
        size = tuple(map(min, reach, limit.size))
        windows.append(Window(np.clip(
            start, limit.start, limit.start + limit.size - np.array(size)), size))
        if block is not None:
            start, reach = _reached(windows[-1], block)
    return windows


def needed(window, block):
    """What a block needs of its input for a window of its result."""
    return Window(window.start * block.stride - block.pad, tuple(
        (length - 1) * step + size for length, step, size
        in zip(window.size, block.stride, block.size)))


def flat_index(window, shape, images=None, outside=None):
    """Rows of a map's table that windows are made of.

    A table has a row of channels for every neuron, image after image.

    Parameters
    ----------
    window : Window
    shape : (rows, columns)
        Of the map.
    images : int array, ``(n,)``, optional
        Which image each window is of; the first if not given.
    outside : int, optional
        Row that stands for neurons outside the map; needed if there are any.

    Returns
    -------
    int array, ``(n, rows, columns)``
    """
    rows, columns = window.lines(0), window.lines(1)
    base = rows * shape[1]
    if images is not None:
        base = base + (np.asarray(images) * (shape[0] * shape[1]))[:, np.newaxis]
    index = base[:, :, np.newaxis] + columns[:, np.newaxis, :]
    if outside is not None:
        for lines, limit, place in ((rows, shape[0], np.s_[:, :, np.newaxis]),
                                    (columns, shape[1], np.s_[:, np.newaxis, :])):
            wrong = (lines < 0) | (lines >= limit)
            if wrong.any():
                np.copyto(index, outside, where=wrong[place])
    return index


def place_index(inner, outer):
    """Where the neurons of one window lie in another of the same map.

    Returns
    -------
    int array, ``(n, rows, columns)`` of ``inner``
        Index into the flat windows of ``outer``, item after item; one past
        its end for neurons that are not in it.
    """
    count = len(inner.start)
    area = outer.size[0] * outer.size[1]
    shifted = Window(inner.start - outer.start, inner.size)
    return flat_index(shifted, outer.size, np.arange(count), outside=count * area)
