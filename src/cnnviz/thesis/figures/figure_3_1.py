"""Figure 3.1: where the occluder of section 3.2.2 is placed.

On the thesis's sizes; the picture is a view of the die.  The twelve that are
shown stand in every third row of positions and in every second of a row.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.datasets import die360
from cnnviz.thesis.figures import shapes, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE, OCCLUDER, STRIDE = 111, 41, 17  # pixels
LABEL = 2
EVERY = 3, 2  # rows and columns of positions that are shown


def positions() -> np.ndarray:
    """Row and column of every center, ``(7, 7, 2)``."""
    from cnnviz.attribution.occluder import centers

    count = -(-SIDE // STRIDE)
    return centers((SIDE, SIDE), STRIDE).reshape(count, count, 2)


def box(center: np.ndarray | tuple[int, int], clip: bool = True) -> tuple[int, int, int, int]:
    """Pixels under the occluder: first row, first column, end row, end column."""
    first = np.subtract(center, OCCLUDER // 2)
    corners = np.concatenate([first, first + OCCLUDER])
    return tuple((np.clip(corners, 0, SIDE) if clip else corners).tolist())


def shown() -> np.ndarray:
    """The positions that are shown, ``(3, 4, 2)``."""
    return positions()[:: EVERY[0], :: EVERY[1]]


def _draw_all(axes: Axes, image) -> None:
    places = positions()
    style.show(axes, image)
    for center in (places[0, 0], places[-1, -1]):
        shapes.rectangle(axes, box(center, clip=False), style.MARK)
    chosen = shown().reshape(-1, 2)
    for points, options in ((places.reshape(-1, 2), style.POINT), (chosen, style.CHOSEN_POINT)):
        axes.plot(points[:, 1], points[:, 0], **options)
    margin = OCCLUDER // 2 + 2
    axes.set_xlim(-margin, SIDE + margin)
    axes.set_ylim(SIDE + margin, -margin)
    axes.set_frame_on(False)
    style.note(
        axes,
        f"image: {SIDE}×{SIDE}, occluder: {OCCLUDER}×{OCCLUDER}, "
        f"stride: {STRIDE} pixels\nred: first and last position; "
        f"filled: the {len(chosen)} of (b)",
    )


def _draw_shown(panels, image) -> None:
    for axes, center in zip(panels.flat, shown().reshape(-1, 2)):
        style.show(axes, image)
        shapes.cover(axes, box(center))
        axes.set_title("row {}, column {}".format(*center), pad=2, size=style.SMALL)


def draw(image: np.ndarray) -> Figure:
    """Draw the figure.

    Parameters
    ----------
    image : array, ``(111, 111)``, gray values in [0, 1]

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = style.new(3.35)
    left, right = figure.subfigures(1, 2, width_ratios=[0.43, 0.57])
    _draw_all(left.subplots(), image)
    left.subplots_adjust(left=0.01, right=0.99, top=0.94, bottom=0.13)
    _draw_shown(right.subplots(*shown().shape[:2]), image)
    right.subplots_adjust(left=0.01, right=0.99, top=0.89, bottom=0.01, wspace=0.05, hspace=0.16)
    for part, places, text in (
        (left, positions(), "(a) centers of all {} positions"),
        (right, shown(), "(b) {} positions, by their center"),
    ):
        part.suptitle(text.format(places[..., 0].size), y=0.99, size="medium")
    return figure


def make(output: Path) -> None:
    style.save(draw(die360.render(*die360.typical_view(LABEL), size=SIDE)[0]), output)
