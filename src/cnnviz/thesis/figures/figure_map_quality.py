"""Evaluation of attribution maps: every method against what is known (beyond the thesis)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D

from cnnviz.runtime import tables
from cnnviz.thesis.figures import shapes, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

METHODS = {
    "gradient max": "max",
    "gradient sum": "sum",
    "occlusion": "occlusion",
    "deconvnet": "deconvnet",
    "guided": "guided",
}
CENTER, RANDOM, ALL, SCORE = "center", "random", "all layers", "class score"
DATA = {"die360": "Die360", "synthetic": "synthetic photographs", "IDRiD": "IDRiD"}
ABOUT = {"die360": "pips", "synthetic": "lesions", "IDRiD": "lesions"}
HEIGHTS = (1.25, 1.25, 1.25, 1.6, 1.45)  # of the rows of panels, as ratios
SPREAD = 0.13  # between methods at one place


def rows(
    means: pd.DataFrame, data: str, measure: str, layer: str = ALL
) -> dict[tuple[str, str], Any]:
    """Rows of one measure, by method and other."""
    chosen = means[
        (means["data"] == data) & (means["measure"] == measure) & (means["layer"] == layer)
    ]
    return {(row.method, row.other): row for row in chosen.itertuples()}


def layers_of(means: pd.DataFrame, data: str) -> list[str]:
    """Layers, and the class score, that were held against masks."""
    chosen = means[(means["data"] == data) & (means["measure"] == "chance")]
    return [layer for layer in dict.fromkeys(chosen["layer"]) if layer != ALL]


def _limits(row) -> np.ndarray:
    """Error bar ``(2, 1)``; none where there is no interval."""
    errors = np.nan_to_num([[row.value - row.low], [row.high - row.value]])
    return np.maximum(errors, 0)


def _point(axes: Any, x: float, row, look: Mapping[str, float | str]) -> None:
    axes.errorbar(x, row.value, _limits(row), **look)


def _reference(axes: Any, x: int, value: float, width: float = 0.4) -> None:
    axes.plot([x - width, x + width], [value, value], **style.REFERENCE)


def _draw_places(axes: Axes, means: pd.DataFrame, data: str, measure: str) -> None:
    """Pointing game or mass: methods side by side, layer by layer."""
    names = layers_of(means, data)
    for place, layer in enumerate(names):
        by_method = rows(means, data, measure, layer)
        for k, method in enumerate((*METHODS, CENTER)):
            if (method, "") in by_method:
                _point(
                    axes,
                    place + SPREAD * (k - len(METHODS) / 2),
                    by_method[method, ""],
                    style.method(method),
                )
        chance = rows(means, data, "chance", layer)["", ""].value
        _reference(axes, place, chance)
    axes.set_xticks(range(len(names)), [name.replace(" ", "\n") for name in names])
    axes.set_xlim(-0.5, max(len(names), 1) - 0.5)


def _draw_curves(axes: Axes, means: pd.DataFrame, data: str) -> None:
    """Areas of deletion and insertion, method by method."""
    for place, measure in enumerate(("deletion", "insertion")):
        by_method = rows(means, data, measure)
        for k, method in enumerate((*METHODS, CENTER)):
            if (method, "") in by_method:
                _point(
                    axes,
                    place + SPREAD * (k - len(METHODS) / 2),
                    by_method[method, ""],
                    style.method(method),
                )
        if (RANDOM, "") in by_method:
            _reference(axes, place, by_method[RANDOM, ""].value)
    axes.set_xticks([0, 1], ["deletion\n(small is good)", "insertion\n(large is good)"])
    axes.set_xlim(-0.5, 1.5)


def _draw_matrix(axes: Axes, means: pd.DataFrame, data: str) -> None:
    """Rank correlations between methods."""
    names = (*METHODS, CENTER)
    pairs = rows(means, data, "agreement")
    values = np.full((len(names),) * 2, np.nan)
    for (first, second), row in pairs.items():
        i, j = names.index(first), names.index(second)
        values[i, j] = values[j, i] = row.value
    shapes.show_matrix(axes, values[1:, :-1], np.tri(len(names) - 1, dtype=bool))
    shown = [METHODS.get(name, "center") for name in names]
    axes.set_xticks(
        range(len(names) - 1), shown[:-1], rotation=35, ha="right", rotation_mode="anchor"
    )
    axes.set_yticks(range(len(names) - 1), shown[1:])
    axes.set_title("rank correlation of two methods", pad=3)


def _draw_cascade(axes: Any, means: pd.DataFrame, data: str) -> None:
    """Agreement with the trained network's maps, as layers become random."""
    found = rows(means, data, "cascade, signed")
    steps = list(dict.fromkeys(step for _, step in found))
    for k, method in enumerate(METHODS):
        line = [found[method, step] for step in steps]
        x = np.arange(1, len(steps) + 1) + 0.06 * (k - 2)
        axes.errorbar(
            [0, *x],
            [1, *(row.value for row in line)],
            np.hstack([np.zeros((2, 1)), *map(_limits, line)]),
            **{**style.method(method), "linestyle": "-"},
        )
    axes.set_xticks(range(len(steps) + 1), ["none", *(step.replace("conv", "") for step in steps)])
    axes.set_xlabel("random from the top down to convolution")
    axes.axhline(0, **style.REFERENCE)
    axes.set_ylim(min(-0.1, axes.get_ylim()[0]), 1.05)


def _missing(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center")
    axes.set_xticks([])
    axes.set_yticks([])


def _draw_column(panels: np.ndarray, means: pd.DataFrame, data: str) -> None:
    layer_names = ", ".join(layers_of(means, data)) or "nothing"
    panels[0].set_title(f"{DATA[data]}: {ABOUT[data]}", weight="bold")
    for axes, measure in zip(panels, ("pointing", "mass")):
        if layer_names != "nothing":
            _draw_places(axes, means, data, measure)
        else:
            _missing(axes, "no feature about them")
    if rows(means, data, "deletion"):
        _draw_curves(panels[2], means, data)
    else:
        _missing(panels[2], "no feature that depends on them")
    if rows(means, data, "agreement"):
        _draw_matrix(panels[3], means, data)
    else:
        _missing(panels[3], "no feature about them")


_LONG = {
    "gradient max": "gradient of max(F)",
    "gradient sum": "gradient of sum(F)",
    "deconvnet": "deconvolutional network",
    "guided": "guided back-propagation",
    CENTER: "center of the receptive field",
}


def _line(method: str) -> dict[str, Any]:
    """How a method's points are drawn, without what only error bars have."""
    return {
        key: value
        for key, value in style.method(method).items()
        if key not in ("elinewidth", "capsize", "capthick")
    }


def _legend(figure: Figure) -> None:
    """What colors and lines mean, below all panels."""
    handles = [
        Line2D([], [], label=_LONG.get(method, method), **_line(method))
        for method in (*METHODS, CENTER)
    ]
    handles.append(Line2D([], [], label="chance; random order", **style.REFERENCE))
    figure.legend(handles=handles, loc="lower center", ncols=3, frameon=False)


def _same_limits(line: np.ndarray, least: float, most: float) -> None:
    """One scale for a row of panels, as far as its values need it."""
    tops = [axes.dataLim.y1 for axes in line if np.isfinite(axes.dataLim.y1)]
    top = min(most, 1.1 * max(tops, default=most))
    for axes in line:
        axes.set_ylim(least, top)


def draw(means: pd.DataFrame) -> Figure:
    """Draw the figure.

    Parameters
    ----------
    means : DataFrame
        From :func:`cnnviz.thesis.tables.map_quality_statistics.means_of`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    names = [data for data in DATA if (means["data"] == data).any()]
    figure = style.new(8.2)
    grid = figure.subplots(len(HEIGHTS), max(len(names), 2), height_ratios=HEIGHTS)
    for k, panels in enumerate(grid[:4].T):
        if k < len(names):
            _draw_column(panels, means, names[k])
        else:
            for axes in panels:
                axes.set_axis_off()
    cascades = [data for data in names if rows(means, data, "cascade, signed")][:2]
    for axes, data in zip(grid[4], [*cascades, *[None] * (2 - len(cascades))]):
        if data is None:
            _missing(axes, "no network was randomized")
        else:
            _draw_cascade(axes, means, data)
            axes.set_title(DATA[data], pad=3)
    for axes in grid[4, 2:]:
        axes.set_axis_off()
    for axes, label in zip(
        grid[:, 0],
        (
            "pointing game",
            "share of the map",
            "area under the curve",
            "",
            "correlation with the\ntrained network's map",
        ),
    ):
        axes.set_ylabel(label)
    for line in grid[:3]:
        _same_limits(line[: len(names)], -0.03, 1.03)
    _legend(figure)
    figure.tight_layout(h_pad=0.6, w_pad=0.8, rect=(0, 0.07, 1, 1))
    for axes, letter in zip(grid[:, 0], "abcde"):
        figure.text(
            0.004, axes.get_position().y1 + 0.006, f"({letter})", va="bottom", weight="bold"
        )
    return figure


def read(path: Path) -> pd.DataFrame:
    """Means and intervals of 'cnnviz table map-quality'.

    Raises
    ------
    FileNotFoundError, ValueError
        Naming the remedy.
    """
    numbers = ("value", "low", "high")
    return tables.read_table(
        path,
        "cnnviz table map-quality",
        numbers,
        keep_default_na=False,
        na_values={name: ["", "nan"] for name in numbers},
    )


def make(output: Path, *, summary: Path) -> None:
    style.save(draw(read(summary)), output)
