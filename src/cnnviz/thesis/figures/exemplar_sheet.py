"""Exemplars of De Fauw's network: what Figures 4.22 to 4.26 share.

A patch is shown twice: destandardized as in the thesis, where what leaves the range of
photographs becomes black or white, and in its own range, where gray is zero.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cnnviz.datasets import fundus
from cnnviz.experiments import exemplar_measures
from cnnviz.runtime import number_format
from cnnviz.thesis.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cnnviz.experiments.exemplar_records import Shown

__all__ = [
    "describe",
    "draw_iterates",
    "heading",
    "iterates",
    "lines",
    "own_range",
    "panels",
    "range_note",
    "show",
    "title",
]

EDGE, GAP = 0.05, 0.07  # inches, as all below
_LINE = 0.125
_LIMIT = 99.8  # percentile of magnitudes that becomes black or white


def own_range(patch: np.ndarray) -> tuple[np.ndarray, float]:
    """A patch with gray for zero, and equal colors for equal magnitudes.

    Parameters
    ----------
    patch : array, ``(3, rows, columns)``

    Returns
    -------
    array, ``(rows, columns, 3)``, in [0, 1]
    limit : float
        Magnitude that becomes black or white; few values exceed it.
    """
    limit = float(np.percentile(np.abs(patch), _LIMIT)) or 1.0
    return np.clip(0.5 + np.moveaxis(patch, 0, -1) / (2 * limit), 0, 1), limit


def range_note(limit: float) -> str:
    """What black and white stand for, in standardized units."""
    return f"black −{number_format.short(limit)}, white {number_format.short(limit)}"


# --- Layout -----------------------------------------------------------------------


class Margins(NamedTuple):
    """Inches around rows of panels."""

    label: float = 0.0  #: left of them
    head: float = 0.2  #: above the first row
    below: float = 0.2  #: below every row
    top: float = 0.0  #: of the figure's own title
    bottom: float = 0.0  #: below everything


def panels(
    count: int, columns: int, margins: Margins | None = None, side: float | None = None
) -> tuple[Figure, np.ndarray]:
    """A figure with rows of square panels.

    Parameters
    ----------
    count, columns : int
        Rows, and panels in a row.
    margins : Margins, optional
    side : float, optional
        Of a panel, in inches; as large as the page allows when None.

    Returns
    -------
    matplotlib.figure.Figure
    array of axes, ``(count, columns)``
    """
    label, head, below, top, bottom = margins or Margins()
    step = (style.PAGE_WIDTH - 2 * EDGE - label + GAP) / columns
    side = min(step - GAP, side or np.inf)
    height = top + head + count * (side + below) + bottom
    figure = style.new(height)
    return figure, np.array(
        [
            [
                figure.add_axes(
                    (
                        (EDGE + label + column * step + (step - GAP - side) / 2) / style.PAGE_WIDTH,
                        1 - (top + head + row * (side + below) + side) / height,
                        side / style.PAGE_WIDTH,
                        side / height,
                    )
                )
                for column in range(columns)
            ]
            for row in range(count)
        ]
    )


def show(axes: Axes, image: np.ndarray, note: str = "") -> None:
    """Show a picture with a note below it."""
    style.show(axes, image)
    style.note(axes, note)


def heading(figure: Figure, text: str) -> None:
    """Write lines into the upper left corner of a figure."""
    _, height = figure.get_size_inches()
    figure.text(EDGE / style.PAGE_WIDTH, 1 - 0.05 / height, text, va="top", linespacing=1.25)


def lines(text: str) -> float:
    """Inches that lines of text need."""
    return _LINE * (text.count("\n") + 1) + 0.04


# --- Words ------------------------------------------------------------------------


def describe(record: Shown) -> list[str]:
    """A feature, what it should detect, and what it does by measurement: lines."""
    return [
        f"feature {record.feature} of {record.layer}",
        f"wanted: {record.wanted}",
        f"measured: {record.label}",
    ]


def title(record: Shown) -> str:
    """The same in one line, and the evidence in the next."""
    return (
        textwrap.fill(", ".join(describe(record)), 125) + "\n" + textwrap.fill(record.evidence, 125)
    )


# --- Figures 4.23 and 4.24 --------------------------------------------------------


def iterates(record: Shown) -> list[tuple[int, float, np.ndarray, np.ndarray]]:
    """Kept patches of the ascent from what activates the feature most.

    Returns
    -------
    list of (step, activation, patch, added)
        ``added``: what the ascent added to the start, see
        :func:`cnnviz.experiments.exemplar_measures.added`.
    """
    added = exemplar_measures.added(record.iterates, record.iterates[0])
    added[0] = 0  # without rounding errors
    return [
        (int(step), float(record.activations[0][step]), patch, more)
        for step, patch, more in zip(record.kept, record.iterates, added)
    ]


def draw_iterates(record: Shown, settings: Mapping[str, int | str]) -> Figure:
    """An ascent: patches above, and below what was added to the start.

    Parameters
    ----------
    record : cnnviz.experiments.exemplar_records.Shown
    settings : dict

    Returns
    -------
    matplotlib.figure.Figure
    """
    steps = iterates(record)
    text = title(record) + (
        f"\nmaximum initialization: {record.photograph}, of {settings['sample']} "
        f"photographs the one with the largest activation, {number_format.short(record.data)}"
    )
    figure, axes = panels(2, len(steps), Margins(top=lines(text)))
    heading(figure, text)
    for column, (step, activation, patch, more) in enumerate(steps):
        above, below = axes[:, column]
        show(above, fundus.destandardize(patch), f"activation {number_format.short(activation)}")
        above.set_title(f"step {step}", pad=3)
        image, limit = own_range(more)
        show(below, image, range_note(limit) if step else "nothing added yet")
    return figure
