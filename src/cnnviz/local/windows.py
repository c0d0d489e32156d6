"""Windows of every map of a stack: where they begin, how large they are.

Windows of one batch have one size in each map, so that they make one array;
only where they begin differs.  A window that would leave its map is shifted
back into it, and then holds some neurons more than needed, never fewer.
"""
from typing import NamedTuple

import numpy as np

__all__ = ["Window", "backward_cone", "inside", "forward_windows", "needed"]


class Window(NamedTuple):
    """Windows of one map, one for each item of a batch."""
    start: np.ndarray  #: ``(n, 2)``, first row and column
    size: tuple        #: rows, columns


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
        cone.insert(0, needed(cone[0], block))
    return cone


def inside(window, shape):
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
        limits = [inside(window, shape) for window, shape
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
    return Window(window.start * block.stride - block.pad,
                  block.needed_size(window.size))
