"""Figure 5.5: the view whose posteriors differ most from those of its neighbors.

In the middle row the view that 'cnnviz disagreement' found, above and below it the views
before and after it in one-degree steps, and beside each the posteriors of all networks.
Between the rows: total variation distance of the posteriors, mean over the networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.evaluation import stability
from cnnviz.experiments.disagreement import Disagreement
from cnnviz.thesis.figures import shapes, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE, GAP = 0.86, 0.06  # inches
HEAD, BELOW = 0.46, 0.26
LABEL, PLOT = 0.86, 2.5  # left of the images; left of the bars
STEP = (LABEL + SIDE + PLOT - 0.16) / 2
WRITTEN = 0.25  # least share in which the face's number is written


def _axes(figure: Any, left: float, top: float, width: float) -> Axes:
    total, height = figure.get_size_inches()
    return figure.add_axes([left / total, 1 - (top + SIDE) / height, width / total, SIDE / height])


def _draw_bars(axes: Axes, networks: Sequence[str], posteriors: np.ndarray) -> None:
    """Stacked bars, one for each network, of posteriors ``(networks, classes)``."""
    places, below = np.arange(len(networks)), np.zeros(len(networks))
    for face, (share, color) in enumerate(zip(posteriors.T, style.FACES), 1):
        axes.bar(places, share, 0.86, bottom=below, color=color)
        for place in places[share >= WRITTEN]:
            axes.text(
                place,
                below[place] + share[place] / 2,
                str(face),
                ha="center",
                va="center",
                color=shapes.ink(color),
            )
        below = below + share
    axes.set_xlim(-0.55, len(networks) - 0.45)
    axes.set_ylim(0, 1)
    axes.set_xticks(places, networks)
    axes.set_yticks([0, 0.5, 1], ["0", "", "1"])
    # Within the bars' height, so that neighboring rows' numbers stay apart.
    for tick, side in zip(axes.get_yticklabels(), ("bottom", "center", "top")):
        tick.set(verticalalignment=side)
    axes.tick_params(axis="x", length=0)


def _steps(posteriors: Any) -> np.ndarray:
    """Distance of the posteriors of each view from the one before it.

    Parameters
    ----------
    posteriors : array, ``(networks, views, classes)``

    Returns
    -------
    array, ``(views - 1,)``
        Total variation, mean over the networks.
    """
    return np.mean(stability.total_variation(posteriors[:, 1:], posteriors[:, :-1]), axis=0)


def _legend(figure: Figure, label: int) -> None:
    handles = [shapes.swatch(color, str(face)) for face, color in enumerate(style.FACES, 1)]
    figure.legend(
        handles=handles,
        loc="upper center",
        ncols=6,
        frameon=False,
        title=f"posterior of each number of spots (the right one: {label})",
        bbox_to_anchor=((PLOT + style.PAGE_WIDTH) / 2 / style.PAGE_WIDTH, 1),
        borderaxespad=0.1,
        columnspacing=1.5,
        handlelength=1.2,
    )


def _write(figure: Figure, text: str, left: float, top: float, **options: Any) -> None:
    width, height = figure.get_size_inches()
    figure.text(left / width, 1 - top / height, text, **options)


def _draw_row(
    figure: Figure,
    top: float,
    shown: tuple[np.ndarray, int, int, bool],
    networks: Sequence[str],
    posteriors: np.ndarray,
) -> tuple[Axes, Axes]:
    """Image and bars of one view; their axes."""
    pixels, a, b, known = shown
    _write(
        figure,
        f"a = {a}°\nb = {b}°\n" + ("trained on" if known else "not trained on"),
        LABEL - 0.06,
        top + SIDE / 2,
        ha="right",
        va="center",
        linespacing=1.3,
    )
    picture = _axes(figure, LABEL, top, SIDE)
    style.show(picture, pixels)
    bars = _axes(figure, PLOT, top, style.PAGE_WIDTH - PLOT - 0.05)
    _draw_bars(bars, networks, posteriors)
    return picture, bars


def draw(
    pixels: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    known: np.ndarray,
    label: int,
    networks: Sequence[str],
    posteriors: np.ndarray,
) -> Figure:
    """Draw the figure.

    Parameters
    ----------
    pixels : array, ``(views, rows, columns)``
        Gray values in [0, 1]; the view in question is the one in the middle.
    a, b : int arrays, ``(views,)``, degrees
    known : bool array, ``(views,)``
        Whether the networks were trained on it.
    label : int
        1 to 6.
    networks : sequence of str
    posteriors : array, ``(networks, views, 6)``

    Returns
    -------
    matplotlib.figure.Figure
    """
    count, pitch = len(pixels), SIDE + GAP
    figure = style.new(HEAD + count * pitch + BELOW)
    rows = [
        _draw_row(figure, HEAD + row * pitch, shown, networks, posteriors[:, row])
        for row, shown in enumerate(zip(pixels, a, b, known))
    ]
    for row, step in enumerate(_steps(posteriors), 1):
        rows[row - 1][1].set_xticklabels([])
        _write(
            figure, f"↕ {step:.3f}", STEP, HEAD + row * pitch - GAP / 2, ha="center", va="center"
        )
    for axes in rows[count // 2]:
        shapes.emphasize(axes)
    _write(figure, "distance of\nposteriors", STEP, HEAD + pitch / 2, ha="center", va="center")
    _legend(figure, label)
    return figure


def make(output: Any, *, disagreement: Any) -> None:
    record = Disagreement.load(disagreement)
    style.save(
        draw(
            record.pixels,
            record.a,
            record.b,
            record.trained,
            record.label,
            list(record.networks),
            record.posteriors,
        ),
        output,
    )
