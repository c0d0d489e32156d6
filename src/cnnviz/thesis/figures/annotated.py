"""Photographs with arrows: what Figures 4.1 to 4.3 share.

Places are (x, y) in radii of the field of view, from its center; x points to the
right, y down.  A synthetic and a real eye are looked at alike: any part of it, at any
size, with the masks of what is there.  Where an arrow comes from is computed from
these masks, so that it covers nothing that the picture is about.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnnviz.thesis.figures import shapes, style
from cnnviz.thesis.figures.eyes import around, moved_in, whole
from cnnviz.thesis.figures.pointers import POINT, near, show

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cnnviz.thesis.figures.eyes import View

__all__ = ["Part", "Row", "axes_at", "sheet"]


# --- Eyes -------------------------------------------------------------------------


# --- Choosing ---------------------------------------------------------------------


# --- Arrows -----------------------------------------------------------------------


# --- Sheets -----------------------------------------------------------------------


class Part(NamedTuple):
    """A close-up; its marks are on the whole photograph too."""

    title: str
    place: tuple  #: x and y of its center
    side: float  #: in radii
    marks: list  #: of Mark


class Row(NamedTuple):
    """One eye with its close-ups."""

    title: str
    eye: Any  #: Synthetic or Real
    parts: list  #: of Part, four at most
    marks: tuple = ()  #: more of them, on the whole photograph only
    legend: tuple = ()  #: arrows and what they mean, where close-ups leave room


_GUTTER, _TITLE, _MARGIN = 0.09, 0.19, 0.03  # inches


def _sizes(half: float) -> tuple[float, float, float]:
    """Inches: width and height of a photograph, and side of its close-ups.

    Two close-ups above each other are as high as the photograph.
    """
    width = (style.PAGE_WIDTH - 2 * _GUTTER - 2 * _MARGIN + _TITLE) / (1 + half)
    return width, width * half, (width * half - _TITLE) / 2


def _boxes(view: View, parts: Sequence[Part], limit: float) -> list[np.ndarray]:
    """First and end row and column of close-ups on the whole photograph."""
    corners = []
    for part in parts:
        (x, y), half = moved_in(part.place, part.side, limit), part.side / 2
        corners.append(
            np.rint(
                [*(view.pixel(x - half, y - half) + 0.5), *(view.pixel(x + half, y + half) + 0.5)]
            ).astype(int)
        )
    return corners


def _frames(shape: tuple[int, ...], boxes: Sequence[np.ndarray], width: float) -> np.ndarray:
    """Pixels of the outlines of boxes and of the letters above them."""
    taken = np.zeros(shape, bool)
    for top, left, bottom, right in boxes:
        for start, end in (
            ((top, left), (top, right)),
            ((bottom, left), (bottom, right)),
            ((top, left), (bottom, left)),
            ((top, right), (bottom, right)),
        ):
            taken |= near(start, end, shape, width)
        letter = (top - 4 * POINT, left + 3 * POINT)
        taken |= near(letter, letter, shape, 8 * POINT)
    return taken


def axes_at(figure: Any, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place in inches, from the left upper corner."""
    page = figure.get_size_inches()
    return figure.add_axes(
        [left / page[0], 1 - (top + height) / page[1], width / page[0], height / page[1]]
    )


def _draw_whole(figure: Figure, row: Any, top: float, letters: Sequence[str]) -> None:
    width, height, _ = _sizes(row.eye.half)
    view = whole(row.eye, width * style.RESOLUTION / 2)
    axes = axes_at(figure, _MARGIN, top, width, height)
    boxes = _boxes(view, row.parts, row.eye.half)
    marks = [*row.marks, *(mark for part in row.parts for mark in part.marks)]
    show(axes, view, marks, _frames(view.picture.shape[:2], boxes, 2 * POINT))
    axes.set_title(row.title, loc="left", pad=3)
    for letter, box in zip(letters, boxes):
        shapes.frame(axes, box)
        shapes.letter(axes, box, letter, POINT)


def _draw_legend(figure: Figure, row: Any, top: float) -> None:
    """In the lower row of close-ups."""
    width, _, length = _sizes(row.eye.half)
    axes = axes_at(
        figure, _MARGIN + width + _GUTTER, top + length + _TITLE, 2 * length + _GUTTER, length
    )
    shapes.key(axes, row.legend)


def _draw_part(figure: Figure, row: Any, index: int, top: float, letter: str) -> None:
    width, _, length = _sizes(row.eye.half)
    part, (line, column) = row.parts[index], divmod(index, 2)
    axes = axes_at(
        figure,
        _MARGIN + width + _GUTTER + column * (length + _GUTTER),
        top + line * (length + _TITLE),
        length,
        length,
    )
    show(axes, around(row.eye, part.place, part.side, round(length * style.RESOLUTION)), part.marks)
    times = length / part.side / (width / 2)
    axes.set_title(f"{letter}  {part.title}, × {times:.1f}", loc="left", pad=3)


def sheet(rows: Any) -> Figure:
    """Photographs with arrows, and close-ups with the same arrows beside each.

    Parameters
    ----------
    rows : list of Row

    Returns
    -------
    matplotlib.figure.Figure
    """
    heights = [_TITLE + _sizes(row.eye.half)[1] + _MARGIN for row in rows]
    figure = style.new(sum(heights))
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    for row, top in zip(rows, np.cumsum([0, *heights]) + _TITLE):
        own = [next(letters) for _ in row.parts]
        _draw_whole(figure, row, top, own)
        for index, letter in enumerate(own):
            _draw_part(figure, row, index, top, letter)
        if row.legend:
            _draw_legend(figure, row, top)
    return figure
