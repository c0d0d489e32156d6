"""Figure 5.2: saliency of one feature on two views of the die one degree apart.

The pair is found by rule: of all features of all pooling layers, and of all neighbors
that were measured, the one whose important areas have least in common; of equal ones,
that of the most similar images.  Maps whose largest saliency is less than half of their
largest magnitude, and so nearly all negative, are not shown.  Below it, how much is
usual: the change of all neighbors, by layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnnviz.attribution import overlay
from cnnviz.experiments.neighboring_views import NeighboringViews
from cnnviz.runtime import files, number_format
from cnnviz.thesis import markdown
from cnnviz.thesis.figures import shapes, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


AGGREGATES = ("max", "sum")
LABEL, SIDE, GAP = 1.42, 1.02, 0.1  # inches
HEAD, BELOW, STRIP = 0.22, 0.34, 1.75
TITLES = ("view 1", "view 2", "difference, of 255", "saliency on view 1", "saliency on view 2")


class Layer(NamedTuple):
    """Changes of a layer's features, by aggregate."""

    network: str
    name: str
    changes: dict  #: of neighbors, ``(features, pairs)``
    random: dict  #: of random views of a class, ``(features, views)``
    correlation: dict  #: of neighbors' smoothed maps, ``(features, pairs)``


class Example(NamedTuple):
    """A pair of views, and the saliency of one feature on both."""

    network: str
    layer: str
    feature: int
    change: float
    difference: float  #: of the images, root mean square, gray values in [0, 1]
    views: np.ndarray  #: ``(2, 2)``: a and b of both, degrees
    pixels: np.ndarray  #: ``(2, rows, columns)``, gray values in [0, 1]
    maps: np.ndarray  #: ``(2, rows, columns)``
    boxes: np.ndarray  #: ``(2, 4)``: receptive fields of the maximal neurons
    activations: np.ndarray  #: of these


# --- Reading ----------------------------------------------------------------------


def read(path: Path) -> tuple[list[Layer], dict[str, list[Any]]]:
    """Layers, and the strongest examples of each aggregate, of one network.

    Parameters
    ----------
    path : pathlib.Path
        File of ``cnnviz neighbors``.

    Returns
    -------
    list of Layer
    dict
        From an aggregate to a list of Example.
    """
    record = NeighboringViews.load(path)
    found = [
        Layer(
            record.network,
            name,
            *(
                {target: getattr(each, kind) for target, each in layer.by_target.items()}
                for kind in ("neighbors", "random", "correlation")
            ),
        )
        for name, layer in record.layers.items()
    ]
    examples = {
        target: [
            _example(record, name, layer.by_target[target].largest)
            for name, layer in record.layers.items()
            if layer.by_target[target].largest is not None
        ]
        for target in AGGREGATES
    }
    return found, examples


def _example(record: Any, layer: str, largest: Any) -> Example:
    pair = record.pairs[largest.pair]
    return Example(
        record.network,
        layer,
        largest.feature,
        largest.change,
        float(record.differences[largest.pair]),
        record.views[pair],
        record.pixels[pair],
        largest.maps,
        largest.boxes,
        largest.activations,
    )


def strongest(examples: Sequence[Example]) -> Example:
    """The example that changes most; of equal ones, that of the most similar images."""
    return max(examples, key=lambda each: (each.change, -each.difference))


# --- Table ------------------------------------------------------------------------

_COLUMNS = ("apart", "random", "correlation")
_CAPTION = """\
# Saliency of neighboring views (beyond the thesis)

How much the important areas of a saliency map change between two views of the die that
differ by one degree in one angle: one minus intersection over union, so 0 for the same
area and 1 for nothing in common. Quarter, **median** and three quarters over the layer's
features and over {pairs} pairs of neighbors (views of a regular sample of the data set
with the next one in either angle); *apart*: share of pairs with nothing in common;
*random*: median for two views of the same class at random; *correlation*: median of that
of the neighbors' smoothed maps, which needs no threshold. Fold 0. The images of
neighbors differ by {difference:.1f}/255 (root mean square, median).

"""
_HEAD = ["layer", *(c for name in ("max(F)", "sum(F)") for c in (name, *_COLUMNS))]


def _quartiles(values: np.ndarray) -> np.ndarray:
    """Quartiles without NaN; NaN where nothing else is there."""
    known = values[np.isfinite(values)]
    return np.percentile(known, [25, 50, 75]) if len(known) else np.full(3, np.nan)


def _median(values: np.ndarray) -> str:
    middle = _quartiles(values)[1]
    return "–" if np.isnan(middle) else f"{middle:.2f}"


def _cells(layer: Layer, aggregate: str) -> list[str]:
    changes = layer.changes[aggregate]
    if np.isnan(changes).all():
        return ["silent", "–", "–", "–"]
    low, middle, high = _quartiles(changes)
    apart = (changes == 1).sum() / np.isfinite(changes).sum()
    return [
        f"{low:.2f} **{middle:.2f}** {high:.2f}",
        f"{apart:.0%}",
        _median(layer.random[aggregate]),
        _median(layer.correlation[aggregate]),
    ]


def changes_table(layers: Sequence[Layer], differences: np.ndarray) -> str:
    """Markdown of the changes of every layer.

    Parameters
    ----------
    layers : list of Layer
    differences : array, ``(pairs,)``
        Of the images, gray values in [0, 1].
    """
    caption = _CAPTION.format(pairs=len(differences), difference=255 * np.median(differences))
    rows = [
        [f"{layer.network}, {layer.name}", *_cells(layer, "max"), *_cells(layer, "sum")]
        for layer in layers
    ]
    return caption + markdown.text(_HEAD, rows)


# --- Drawing ----------------------------------------------------------------------


def _axes(figure: Any, column: int, top: float) -> Axes:
    width, height = figure.get_size_inches()
    return figure.add_axes(
        [
            (LABEL + column * (SIDE + GAP)) / width,
            1 - (top + SIDE) / height,
            SIDE / width,
            SIDE / height,
        ]
    )


def _label(letter: str, aggregate: str, example: Example) -> str:
    before, after = (number_format.short(activation) for activation in example.activations)
    return (
        f"({letter}) gradient of {aggregate}(F)\n{example.network}, {example.layer}, "
        f"feature {example.feature + 1}\nchange {example.change:.2f}\n"
        f"images differ by {255 * example.difference:.1f}/255\n"
        f"activation {before},\nthen {after}"
    )


def _draw_example(
    figure: Figure, letter: str, aggregate: str, example: Example, top: float
) -> list[Axes]:
    width, height = figure.get_size_inches()
    figure.text(
        (LABEL - 0.06) / width,
        1 - (top + SIDE / 2) / height,
        _label(letter, aggregate, example),
        ha="right",
        va="center",
        linespacing=1.35,
    )
    panels = [_axes(figure, column, top) for column in range(5)]
    for axes, image, view in zip(panels, example.pixels, example.views):
        style.show(axes, image)
        style.note(axes, "a = {}°, b = {}°".format(*view))
    apart = 255 * (example.pixels[1] - example.pixels[0])
    style.show_values(panels[2], apart, np.ceil(overlay.limit(apart)), "")
    for axes, image, saliency, box in zip(panels[3:], example.pixels, example.maps, example.boxes):
        style.show_overlay(axes, image, saliency)
        if aggregate == "max":
            style.show_box(axes, box, image)
    return panels


def _draw_strip(axes: Any, layers: Sequence[Layer]) -> None:
    """Boxes of the changes of every layer."""
    places = np.arange(len(layers))
    for shift, aggregate, color in zip((-0.2, 0.2), AGGREGATES, style.PALETTE):
        shapes.boxes(
            axes,
            [layer.changes[aggregate].ravel() for layer in layers],
            places + shift,
            0.32,
            color,
        )
        random = [_quartiles(layer.random[aggregate])[1] for layer in layers]
        axes.plot(places + shift, random, **{**style.POINT, "color": color})
        axes.plot([], [], color=color, linewidth=4, alpha=0.5, label=f"{aggregate}(F), neighbors")
    axes.plot(
        [], [], **{**style.POINT, "color": "0.3"}, label="two random views of a class, median"
    )
    axes.set_xticks(places, [layer.name for layer in layers])
    for place, layer in enumerate(layers):
        if place == 0 or layer.network != layers[place - 1].network:
            axes.axvline(place - 0.5, **style.REFERENCE)
            axes.text(place - 0.44, 1.03, layer.network, weight="bold", va="bottom")
    axes.set_xlim(-0.5, len(layers) - 0.5)
    axes.set_ylim(-0.03, 1.03)
    axes.set_ylabel("change of the important areas")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3, frameon=False)


def draw(layers: Sequence[Layer], examples: Mapping[str, Example]) -> Figure:
    """Draw the figure.

    Parameters
    ----------
    layers : list of Layer
    examples : dict
        From an aggregate to its strongest Example; those that are missing are left out.

    Returns
    -------
    matplotlib.figure.Figure
    """
    shown = [each for each in AGGREGATES if each in examples]
    height = HEAD + len(shown) * (SIDE + BELOW) + 0.34 + STRIP + 0.46
    figure, top = style.new(height), HEAD
    for letter, aggregate in zip("ab", shown):
        panels = _draw_example(figure, letter, aggregate, examples[aggregate], top)
        if top == HEAD:
            for axes, title in zip(panels, TITLES):
                axes.set_title(title, pad=3)
        top += SIDE + BELOW
    top += 0.34
    strip = figure.add_axes(
        (
            0.42 / style.PAGE_WIDTH,
            1 - (top + STRIP) / height,
            1 - 0.47 / style.PAGE_WIDTH,
            STRIP / height,
        )
    )
    _draw_strip(strip, layers)
    figure.text(
        0.02 / style.PAGE_WIDTH,
        1 - (top - 0.2) / height,
        f"({'abc'[len(shown)]}) change between neighbors, by layer",
        va="bottom",
        weight="bold",
    )
    return figure


def make(output: Path, *, neighbors: Sequence[Path], table: Path) -> None:
    found, examples = [], {each: [] for each in AGGREGATES}
    for path in neighbors:
        layers, more = read(path)
        found += layers
        for aggregate in AGGREGATES:
            examples[aggregate] += more[aggregate]
    if table:
        differences = NeighboringViews.load(neighbors[0]).differences
        files.write_text(table, changes_table(found, differences))
    style.save(
        draw(found, {aggregate: strongest(each) for aggregate, each in examples.items() if each}),
        output,
    )
