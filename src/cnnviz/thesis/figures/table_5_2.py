"""Table 5.2: exemplars of the features of the pooling layers of the die's networks.

(a) Of the central neuron, on exactly what it sees.  (b) Of neuron (0, 0) of the deepest
layers, on a patch as large as the receptive field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.runtime import files, number_format
from cnnviz.thesis.figures import style
from cnnviz.thesis.tables import exemplars_die360

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw"]

LABEL, GAP, GROUP = 0.4, 0.04, 0.12  # inches; GROUP: between layers
COLUMNS = 12  # at most 4 layers of 3 features
SIDE = (style.PAGE_WIDTH - LABEL - 0.05 - 3 * GROUP) / COLUMNS - GAP
HEAD, HEAD_FIRST, BELOW, BAR = 0.36, 0.26, 0.28, 0.42
PITCH = 0.16 + SIDE + BELOW  # from row to row
MARGIN = 0.04
LIMIT = 3  # standard deviations; beyond it, exemplars are black or white


def _axes(figure: Any, column: int, top: float, width: float = SIDE) -> Axes:
    total, height = figure.get_size_inches()
    left = LABEL + column * (SIDE + GAP) + (column // 3) * GROUP
    return figure.add_axes([left / total, 1 - (top + SIDE) / height, width / total, SIDE / height])


def _write(figure: Figure, text: str, left: float, top: float, **options: Any) -> None:
    width, height = figure.get_size_inches()
    figure.text(left / width, 1 - top / height, text, **options)


def _center(axes: Axes) -> float:
    """Inches from the left border to the middle of axes."""
    box = axes.get_position()
    return (box.x0 + box.x1) / 2 * style.PAGE_WIDTH


def _draw_layer(
    figure: Figure, place: int, top: float, title: str, patches: np.ndarray, notes: Sequence[str]
):
    """A title, and patches with notes, from a group of three columns on."""
    axes = [_axes(figure, 3 * place + k, top) for k in range(len(patches))]
    for each, patch, note in zip(axes, patches, notes):
        drawn = style.show_patch(each, patch, LIMIT)
        style.note(each, note)
    _write(figure, title, _center(axes[len(axes) // 2]), top - 0.03, ha="center", va="bottom")
    return drawn


def _notes(reached: np.ndarray, data: np.ndarray) -> list[str]:
    return [
        f"{number_format.short(one)}\n{number_format.short(other)}"
        for one, other in zip(reached, data)
    ]


def _draw_central(figure: Figure, networks: Mapping[str, Sequence[exemplars_die360.Layer]]):
    """Exemplars of central neurons, a row for each network."""
    _write(
        figure,
        "(a) central neuron, on what it sees; below each: activation by the "
        "exemplar, largest on the data set",
        MARGIN,
        0.16,
        weight="bold",
        va="baseline",
    )
    for row, (name, layers) in enumerate(networks.items()):
        top = HEAD + row * PITCH
        _write(figure, name, MARGIN, top + SIDE / 2, weight="bold", va="center")
        for place, layer in enumerate(layers):
            rows, columns = layer.patches.shape[1:]
            drawn = _draw_layer(
                figure,
                place,
                top,
                f"{layer.name}, {rows} × {columns}",
                layer.patches,
                _notes(layer.reached, layer.data),
            )
    return drawn


def _draw_first(figure: Figure, deepest: Sequence[exemplars_die360.Layer], top: float) -> None:
    """Exemplars of neuron (0, 0), a row for the deepest layers of all networks."""
    _write(
        figure,
        "(b) neuron (0, 0) of the deepest layers, on a patch of the size of "
        "the receptive field, with same padding",
        MARGIN,
        top + 0.02,
        weight="bold",
        va="baseline",
    )
    for place, layer in enumerate(deepest):
        _draw_layer(
            figure,
            place,
            top + HEAD_FIRST,
            f"{layer.network}, {layer.name}, sees {layer.first_seen[0]} of {layer.field[0]}",
            layer.first,
            _notes(layer.first_reached, layer.data),
        )


def draw(found: Sequence[exemplars_die360.Layer]) -> Figure:
    """Draw the table.

    Parameters
    ----------
    found : list of cnnviz.thesis.tables.exemplars_die360.Layer
        Network by network, first layer to last.

    Returns
    -------
    matplotlib.figure.Figure
    """
    networks = {}
    for layer in found:
        networks.setdefault(layer.network, []).append(layer)
    # One layer alone pads so little that nothing is to be explained.
    deepest = [layers[-1] for layers in networks.values() if len(layers) > 1]
    top = HEAD + len(networks) * PITCH
    figure = style.new(top + (HEAD_FIRST + PITCH if deepest else 0) + BAR)
    drawn = _draw_central(figure, networks)
    if deepest:
        _draw_first(figure, deepest, top)
    _draw_bar(figure, drawn)
    return figure


def _draw_bar(figure: Any, drawn) -> None:
    width, height = figure.get_size_inches()
    axes = figure.add_axes([0.3, 0.26 / height, 0.4, 0.08 / height])
    bar = figure.colorbar(drawn, cax=axes, orientation="horizontal", extend="both", extendfrac=0.03)
    bar.set_ticks(np.arange(-LIMIT, LIMIT + 1))
    bar.ax.tick_params(length=2, width=0.4, pad=1.5)
    bar.ax.text(
        -0.08,
        0.5,
        "gray values, in standard\ndeviations of the data set",
        transform=bar.ax.transAxes,
        ha="right",
        va="center",
    )


def make(output: Path, *, exemplars: Any, table: Path) -> None:
    """Draw the exemplars of all networks, and write the claims about them, measured.

    Parameters
    ----------
    output : path
        Without suffix.
    exemplars : list of path
        Files of ``cnnviz die-exemplars``, one per network.
    table : path
        Markdown file.
    """
    layers = [layer for path in exemplars for layer in exemplars_die360.read(path)]
    files.write_text(table, exemplars_die360.claims(layers))
    style.save(draw(layers), output)
