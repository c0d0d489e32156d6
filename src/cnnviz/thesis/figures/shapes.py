"""Shapes drawn on pictures and axes: boxes, arrows, circles, letters, matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib import patches, patheffects

from cnnviz.thesis.figures.style import LINE_WIDTH, MARK, SIGNED, SMALL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "POINTERS",
    "arrow",
    "block",
    "boxes",
    "cells",
    "circle",
    "cover",
    "emphasize",
    "frame",
    "ink",
    "key",
    "letter",
    "matrix",
    "on_picture",
    "polygon",
    "rectangle",
    "show_matrix",
    "swatch",
]

_FILL, _GRID = 0.3, "0.75"  # opacity of filled areas; lines of a matrix


class _Pointer(NamedTuple):
    """An arrow on a photograph; lengths in points."""

    color: str
    edge: str  # a thin line around it, so that it shows on any ground
    width: float  # of the shaft
    head: float  # width of the head
    point: float  # length of the head
    length: float  # of it all; that of the head, and there is no shaft


#: Arrows of the thesis's Figures 4.1 to 4.3, and what they are called in captions.
POINTERS = {
    "thin arrow": _Pointer("white", "black", 0.9, 3.4, 4, 15),
    "thick arrow": _Pointer("white", "black", 3, 7.5, 6.5, 16),
    "triangle": _Pointer("white", "black", 0, 6, 7, 7),
    "white arrow": _Pointer("white", "black", 2, 6, 6, 17),
    "blue arrow": _Pointer("#3b8cff", "white", 2, 6, 6, 17),
    "black arrow": _Pointer("black", "white", 2, 6, 6, 17),
    "green arrow": _Pointer("#1fd655", "black", 2, 6, 6, 17),
}
_GROUND = "#a5562f"  # of arrows beside photographs
_EDGE = 0.4  # points
_HALO = 0.9  # points, around text and lines on photographs


def rectangle(
    axes: Axes,
    box: tuple[float, float, float, float],
    color: str,
    fill: bool = True,
    inset: float = 0.0,
) -> None:
    """Outline, and fill lightly, a box of cells.

    Parameters
    ----------
    axes : matplotlib axes
    box : (first row, first column, end row, end column)
    color : color
    fill : bool
    inset : float
        How far the outline lies within the box, in cells.
    """
    top, left, bottom, right = box
    corner = left - 0.5 + inset, top - 0.5 + inset
    size = right - left - 2 * inset, bottom - top - 2 * inset
    if fill:
        axes.add_patch(patches.Rectangle(corner, *size, facecolor=color, alpha=_FILL, linewidth=0))
    axes.add_patch(
        patches.Rectangle(corner, *size, fill=False, edgecolor=color, linewidth=1.5 * LINE_WIDTH)
    )


def cover(axes: Axes, box: Any) -> None:
    """Cover what an occluder covers."""
    top, left, bottom, right = box
    axes.add_patch(
        patches.Rectangle(
            (left - 0.5, top - 0.5), right - left, bottom - top, facecolor=MARK, linewidth=0
        )
    )


def block(axes: Axes, left: float, bottom: float, width: float, height: float, color: str) -> None:
    """A block of a diagram."""
    axes.add_patch(
        patches.Rectangle((left, bottom), width, height, facecolor=color, linewidth=0, zorder=3)
    )


def polygon(axes: Axes, corners: Any, color: Any = None) -> None:
    """Draw a polygon: filled with a color, or as an empty cell of a grid."""
    if color is None:
        options = {"fill": False, "edgecolor": _GRID, "linewidth": 0.5 * LINE_WIDTH}
    else:
        options = {"facecolor": color, "edgecolor": "white", "linewidth": LINE_WIDTH}
    axes.add_patch(patches.Polygon(corners, closed=True, **options))


def matrix(axes: Axes, texts: np.ndarray, corner: Any = (0, 0), title: str | None = None) -> None:
    """Write a matrix into square cells of the axes.

    Parameters
    ----------
    axes : matplotlib axes
    texts : array of str, ``(rows, columns)``
    corner : (row, column)
        Of the matrix's first cell.
    title : str, optional
        Above the matrix.
    """
    for place, text in np.ndenumerate(texts):
        row, column = np.add(corner, place)
        axes.add_patch(
            patches.Rectangle(
                (column - 0.5, row - 0.5),
                1,
                1,
                fill=False,
                edgecolor=_GRID,
                linewidth=0.5 * LINE_WIDTH,
            )
        )
        axes.text(column, row, text.replace("-", "−"), ha="center", va="center", linespacing=1.05)
    if title is not None:
        axes.text(
            corner[1] + np.shape(texts)[1] / 2 - 0.5,
            corner[0] - 0.65,
            title,
            ha="center",
            va="bottom",
        )


def show_matrix(axes: Any, values: np.ndarray, shown: np.ndarray) -> None:
    """Show correlations as colors with their numbers, from -1 to 1; zero is white.

    Parameters
    ----------
    axes : matplotlib axes
    values : array, ``(rows, columns)``
    shown : bool array, ``(rows, columns)``
        Others stay empty, as does NaN.
    """
    axes.imshow(np.where(shown, values, np.nan), vmin=-1, vmax=1, cmap=SIGNED)
    for place in zip(*np.nonzero(shown & np.isfinite(values))):
        dark = abs(values[place]) > 0.6
        axes.text(
            *place[::-1],
            f"{values[place]:.2f}".replace("-", "−"),
            size=SMALL,
            ha="center",
            va="center",
            color="white" if dark else "black",
        )
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(length=0, pad=2)


def cells(axes: Axes, rows: int, columns: float) -> None:
    """Square cells, without axes: those of matrices and boxes."""
    axes.set_xlim(-0.55, columns - 0.45)
    axes.set_ylim(rows - 0.45, -0.55)
    axes.set_aspect("equal")
    axes.set_axis_off()


def arrow(axes: Any, tip: Any, tail: Any, kind: Any, point: Any) -> None:
    """Draw an arrow on a picture.

    Parameters
    ----------
    axes : matplotlib axes
    tip, tail : (row, column)
    kind : str
        A key of :data:`POINTERS`.
    point : float
        Pixels of the picture to a point in print.
    """
    look = POINTERS[kind]
    along = np.subtract(tail, tip) / np.hypot(*np.subtract(tail, tip))
    across = np.array([-along[1], along[0]])
    # Around it, from the tip on: how far along the arrow, and how far to one side.
    half, head = look.width / 2, look.head / 2
    outline = [
        (0, 0),
        (look.point, head),
        (look.point, half),
        (look.length, half),
        (look.length, -half),
        (look.point, -half),
        (look.point, -head),
    ]
    corners = [tip + point * (a * along + b * across) for a, b in outline]
    axes.add_patch(
        patches.Polygon(
            [corner[::-1] for corner in corners],
            closed=True,
            facecolor=look.color,
            edgecolor=look.edge,
            linewidth=_EDGE,
            joinstyle="miter",
            zorder=4,
        )
    )


def _halo(width: float) -> list[Any]:
    """A dark border that sets things off from a photograph."""
    return [patheffects.withStroke(linewidth=width + _HALO, foreground="black")]


def key(
    axes: Any, entries: tuple[tuple[str, str], tuple[str, str], tuple[str, str], tuple[str, str]]
) -> None:
    """Arrows of photographs and what they mean, one below the other.

    Parameters
    ----------
    axes : matplotlib axes
        Empty.
    entries : list of (kind, text)
        Kinds as for :func:`arrow`.
    """
    width, height = axes.get_window_extent().size * 72 / axes.figure.dpi  # points
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    for number, (kind, text) in enumerate(entries):
        middle = height / (2 * len(entries)) * (2 * number + 1)
        axes.add_patch(patches.Rectangle((2, middle - 7), 27, 14, facecolor=_GROUND, linewidth=0))
        half = POINTERS[kind].length / 2
        arrow(axes, (middle, 15.5 - half), (middle, 15.5 + half), kind, 1)
        axes.text(35, middle, text, va="center", linespacing=1.2)


def frame(axes: Axes, box: np.ndarray) -> None:
    """Outline the part of a photograph that a close-up shows."""
    top, left, bottom, right = box
    axes.add_patch(
        patches.Rectangle(
            (left - 0.5, top - 0.5),
            right - left,
            bottom - top,
            fill=False,
            edgecolor="white",
            linewidth=0.6 * LINE_WIDTH,
            path_effects=_halo(0),
        )
    )


def circle(axes: Axes, center: Any, radius: Any, color: str = "white") -> None:
    """Draw a circle on a photograph; center (row, column) and radius in pixels."""
    axes.add_patch(
        patches.Circle(
            center[::-1],
            radius,
            fill=False,
            edgecolor=color,
            linewidth=LINE_WIDTH,
            path_effects=_halo(LINE_WIDTH),
        )
    )


def letter(axes: Axes, box: np.ndarray, text: str, point: float) -> None:
    """Write a letter above a box on a photograph, or in it where there is no room.

    Parameters as for :func:`frame` and :func:`arrow`.
    """
    top, left = box[:2]
    if top > 10 * point:
        on_picture(axes, (top - point, left), text, va="bottom")
    else:
        on_picture(axes, (top + 2 * point, left + 2 * point), text, va="top")


def on_picture(axes: Axes, place: tuple[float, int], text: str, **options: Any) -> None:
    """Write on a photograph at (row, column)."""
    axes.text(place[1], place[0], text, color="white", path_effects=_halo(0), **options)


def boxes(
    axes: Axes,
    values: Sequence[np.ndarray],
    places: np.ndarray | Sequence[Any],
    width: float,
    color: str,
) -> None:
    """Boxes of the quartiles of samples, with whiskers from 5 to 95 %.

    Parameters
    ----------
    axes : matplotlib axes
    values : list of arrays
        Samples; NaN does not count, and a sample of nothing else is left out.
    places : sequence of float
        Along the x axis.
    width : float
    color : color
    """
    filled = [
        (each[~np.isnan(each)], place)
        for each, place in zip(values, places)
        if not np.isnan(each).all()
    ]
    if not filled:
        return
    samples, places = zip(*filled)
    thin = {"color": color, "linewidth": LINE_WIDTH}
    axes.boxplot(
        list(samples),
        positions=places,
        widths=width,
        whis=(5, 95),
        showfliers=False,
        patch_artist=True,
        manage_ticks=False,
        boxprops={"facecolor": color, "edgecolor": color, "alpha": _FILL, "linewidth": LINE_WIDTH},
        medianprops={"color": color, "linewidth": 2 * LINE_WIDTH},
        whiskerprops=thin,
        capprops={"linewidth": 0},
    )


def ink(color: str) -> str:
    """Black or white, whichever can be read on a color."""
    red, green, blue = matplotlib.colors.to_rgb(color)
    # Brightness as the eye weighs it (ITU-R BT.601).
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.45 else "white"


def swatch(color: str, label: str) -> Any:
    """A legend's entry of a filled area."""
    return patches.Patch(facecolor=color, label=label)


def emphasize(axes: Axes) -> None:
    """Mark one of several axes as what a figure is about."""
    for spine in axes.spines.values():
        spine.set(color=MARK, linewidth=1.5 * LINE_WIDTH)
