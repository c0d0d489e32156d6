"""Exemplars of rectifiers and of sigmoid units, plain and regularized, side by side.

The thesis supposes (section 6) that exemplars of rectifiers cannot be read because
nothing bounds what they answer. Each picture has its own range of gray, and below it
the activation over the largest one on data.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnnviz.experiments.exemplar_statistics import ExemplarStatistics
from cnnviz.runtime import number_format
from cnnviz.thesis.figures import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STOPPED = 1  # index of the level at which a stopped ascent is shown
CLIPPED = 0.5  # percent of a picture's values at each end that become black and white
HEADINGS = (
    "most\nactive\nin data",
    "plain,\nstopped\nearly",
    "plain,\nfrom\ndata",
    "plain,\nfrom\nnoise",
    "norm held,\nfrom\nnoise",
    "regularized",
)
TITLES = {
    "c4": "(a) c4, rectifiers",
    "c4_sigmoid": "(b) c4, sigmoid units",
    "defauw": "(c) De Fauw's network, leaky rectifiers",
}
LABEL, GAP, EDGE = 0.42, 0.04, 0.05  # inches, as all below
TITLE, HEAD, BELOW, BETWEEN = 0.12, 0.34, 0.17, 0.16


class Panel(NamedTuple):
    """A picture and what is written below it."""

    image: np.ndarray | None  #: in [0, 1]; None where there is none
    note: str


class Row(NamedTuple):
    """Exemplars of one feature."""

    label: str
    panels: list


def stretched(patch: np.ndarray) -> np.ndarray | None:
    """A patch in its own range, but for a few values at each end.

    Parameters
    ----------
    patch : array, ``(channels, rows, columns)``

    Returns
    -------
    array in [0, 1], ``(rows, columns)`` for one channel, else ``(rows, columns,
    channels)``; None for one that is not finite
    """
    if not np.isfinite(patch).all():
        return None
    low, high = np.percentile(patch, [CLIPPED, 100 - CLIPPED])
    values = np.clip((patch - low) / ((high - low) or 1), 0, 1)
    return values[0] if len(values) == 1 else np.moveaxis(values, 0, -1)


def row_of(statistics: ExemplarStatistics, layer: str, k: int) -> Row:
    """Exemplars of one feature of a layer, and how strongly they activate it.

    Parameters
    ----------
    statistics : ExemplarStatistics
    layer : str
    k : int
        Index among the layer's features that were measured.

    Returns
    -------
    Row
    """
    seeds, part = int(statistics.settings["seeds"]), statistics.layers[layer]
    panels: list[Any] = [
        (part.strongest[k], part.maximum[k]),
        (part.early.patches[STOPPED, k], part.early.reached[STOPPED, k]),
    ]
    for method, run in (("plain", 0), ("plain", -seeds), ("sphere", -seeds), ("regularized", 0)):
        made = part.methods[method]
        panels.append((made.patches[run, k], made.reached[run, k]))
    return Row(
        f"{layer}\nfeature\n{part.features[k]}",
        [Panel(stretched(patch), _note(value, part.maximum[k])) for patch, value in panels],
    )


def _note(value: float, maximum: float) -> str:
    if not np.isfinite(value):
        return "not reached"
    return f"{number_format.short(value / maximum)}×" if maximum > 0 else "–"


def rows_of(statistics: ExemplarStatistics, features: int | None = None) -> list[Row]:
    """Rows of the last two measured layers, of all features or the first few."""
    return [
        row_of(statistics, layer, k)
        for layer in list(statistics.layers)[-2:]
        for k in range(len(statistics.layers[layer].features))[:features]
    ]


# --- Drawing ----------------------------------------------------------------------


def _side(width: float) -> float:
    """Side of a panel in a block of so many inches."""
    return (width - LABEL - GAP * len(HEADINGS)) / len(HEADINGS)


def _height(width: float, rows: Sequence[Row]) -> float:
    return TITLE + HEAD + len(rows) * (_side(width) + BELOW)


def _write(figure: Figure, left: float, top: float, text: str, **options: Any) -> None:
    width, height = figure.get_size_inches()
    figure.text(left / width, 1 - top / height, text, linespacing=1.1, **options)


def _draw_block(
    figure: Figure, left: float, top: float, width: float, title: str, rows: Sequence[Row]
) -> None:
    side = _side(width)
    _write(figure, left, top, title, weight="bold", va="top")
    top += TITLE + HEAD
    for column, name in enumerate(HEADINGS):
        _write(
            figure,
            _left(left, side, column) + side / 2,
            top - 0.03,
            name,
            ha="center",
            va="bottom",
            size=style.SMALL,
        )
    for row in rows:
        _write(figure, left, top, row.label, va="top", size=style.SMALL)
        for column, panel in enumerate(row.panels):
            _draw_panel(figure, _left(left, side, column), top, side, panel)
        top += side + BELOW


def _left(left: float, side: float, column: int) -> float:
    return left + LABEL + column * (side + GAP)


def _draw_panel(figure: Any, left: float, top: float, side: float, panel: Panel) -> None:
    width, height = figure.get_size_inches()
    if panel.image is None:
        _write(
            figure,
            left + side / 2,
            top + side / 2,
            "not\nreached",
            ha="center",
            va="center",
            size=style.SMALL,
        )
        return
    axes = figure.add_axes([left / width, 1 - (top + side) / height, side / width, side / height])
    style.show(axes, panel.image)
    style.note(axes, panel.note)


def draw(blocks: Sequence[tuple[str, Sequence[Any]]]) -> Figure:
    """Draw the figure.

    Parameters
    ----------
    blocks : list of (title, rows)
        The first two stand side by side, any other below them on its own.

    Returns
    -------
    matplotlib.figure.Figure
    """
    whole = style.PAGE_WIDTH - 2 * EDGE
    half = (whole - BETWEEN) / 2
    pair, others = blocks[:2], blocks[2:]
    tall = max(_height(half, rows) for _, rows in pair)
    figure = style.new(EDGE + tall + sum(_height(whole, rows) for _, rows in others))
    for k, (title, rows) in enumerate(pair):
        _draw_block(figure, EDGE + k * (half + BETWEEN), EDGE, half, title, rows)
    top = EDGE + tall
    for title, rows in others:
        _draw_block(figure, EDGE, top, whole, title, rows)
        top += _height(whole, rows)
    return figure


def make(output: Path, *, statistics: Sequence[Path]) -> None:
    blocks = []
    for path in statistics:
        found = ExemplarStatistics.load(path)
        rows = rows_of(found, 1 if found.kind == "fundus" else None)
        blocks.append((TITLES.get(found.network, found.network), rows))
    style.save(draw(blocks), output)
