"""Windows of every map of a stack: where they begin, how large they are.

Windows of one batch have one size in each map, that of the largest, so that
they make one array; only where they begin differs.  So a window may hold some
neurons more than needed, never fewer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from cnnviz.attribution.windowed.stack import Block

__all__ = ["Window", "backward_cone", "clipped", "forward_spans", "forward_windows", "needed"]


class Window(NamedTuple):
    """Windows of one map, one for each item of a batch."""

    start: np.ndarray  #: ``(n, 2)``, first row and column
    size: tuple  #: rows, columns


def backward_cone(blocks: Sequence[Block], neurons: np.ndarray) -> list[Window]:
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


def _common(spans: np.ndarray | tuple[np.ndarray, np.ndarray], shape: tuple[int, int]) -> Window:
    """Windows of one size, inside their map, that hold given spans."""
    first, end = np.clip(spans, 0, shape)
    size = np.maximum((end - first).max(axis=0, initial=1), 1)
    return Window(np.clip(first, 0, np.array(shape) - size), tuple(map(int, size)))


def clipped(window: Window, shape: tuple[int, int]) -> Window:
    """Windows that hold what lies in the map of given ones."""
    return _common((window.start, window.start + window.size), shape)


def forward_spans(
    blocks: Sequence[Block],
    shapes: Sequence[tuple[int, int]],
    first: np.ndarray,
    size: Any,
    neurons: np.ndarray | None = None,
) -> list[np.ndarray]:
    """First and end, each ``(n, 2)``, of what occluders change of every map.

    Parameters are those of :func:`forward_windows`.
    """
    limits: list[Any] = [(0, np.array(shape)) for shape in shapes]
    if neurons is not None:
        limits = [
            np.clip((window.start, window.start + window.size), *limit)
            for window, limit in zip(backward_cone(blocks, neurons), limits)
        ]
    first, spans = np.asarray(first), []
    end = first + size
    for limit, block in zip(limits, [*blocks, None]):
        spans.append(np.clip((first, end), *limit))
        if block is not None:
            # From the first window that holds the first place to the last one
            # that holds the last; nothing comes of nothing.
            first, end = spans[-1]
            empty = end <= first
            first = -(-(first + block.pad - block.size + 1) // block.stride)
            end = np.where(empty, first, (end - 1 + block.pad) // block.stride + 1)
    return spans


def forward_windows(
    blocks: Sequence[Block],
    shapes: Sequence[tuple[int, int]],
    first: np.ndarray,
    size: Any,
    neurons: np.ndarray | None = None,
) -> list[Window]:
    """Windows that hold what occluders change of every map, from the input on.

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
        Only what these neurons of the last map see; the last windows are theirs.

    Returns
    -------
    list of Window, one more than blocks
    """
    spans = forward_spans(blocks, shapes, first, size, neurons)
    windows = [_common(span, shape) for span, shape in zip(spans, shapes)]
    if neurons is not None:
        windows[-1] = Window(np.asarray(neurons), (1, 1))
    return windows


def needed(window: Window, block: Block) -> Window:
    """What a block needs of its input for a window of its result."""
    return Window(window.start * block.stride - block.pad, block.needed_size(window.size))
