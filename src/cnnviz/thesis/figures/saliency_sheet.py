"""Sheet of saliency overlays of features, grouped by what they lie on.

Shared by Figures 5.3 and 5.4, which differ only in the layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnnviz.attribution import receptive_field
from cnnviz.evaluation.die_concepts import CONCEPTS
from cnnviz.experiments.die_saliency import DieSaliency
from cnnviz.thesis.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Feature", "draw", "make", "read_features"]

#: Titles of the groups, in the thesis's order, by concept.
GROUPS = {
    "background": "Background",
    "edge": "Rounded edge of the die",
    "pip": "Spots (pips)",
    "face": "Flat part of the faces",
    None: "Silent on every view",
}
ROW = 0.53  # inches
LABEL_WIDTH = 1.3
GAP = 0.1
AGGREGATES = ("max", "sum")


class Feature(NamedTuple):
    """One feature and its saliency on the shown views."""

    network: str
    number: int
    saliency: dict  #: from the aggregate to maps, ``(views, rows, columns)``
    boxes: list  #: receptive field of the maximal neuron, by view
    lift: dict  #: from the aggregate to saliency over chance, by concept

    def strongest(self, aggregate: str) -> tuple[str | None, float]:
        """Concept on which saliency exceeds chance most, and by how much."""
        lift = self.lift[aggregate]
        if np.isnan(lift).all():
            return None, np.nan
        best = int(np.nanargmax(lift))
        return CONCEPTS[best], lift[best]


def read_features(path: Path, layer_name: str) -> tuple[list[Feature], np.ndarray]:
    """Features of one layer from a file of ``cnnviz saliency``.

    Returns
    -------
    list of Feature, and the shown views ``(views, rows, columns)``
    """
    from cnnviz.networks import die, layers

    record = DieSaliency.load(path)
    layer = layers.find_layer(die.build(record.network), layer_name)
    field = receptive_field.receptive_field(layer)
    saliency = record.layers[layer_name]
    return [
        Feature(
            record.network,
            number,
            {target: maps[number] for target, maps in saliency.maps.items()},
            [
                field.box(row, column, record.pixels.shape[1:])
                for row, column in saliency.neuron[:, number].tolist()
            ],
            {target: lift[number] for target, lift in saliency.lift.items()},
        )
        for number in range(layer.output_shape[1])
    ], record.pixels


def grouped(features: Sequence[Feature]) -> dict[str | None, list[Feature]]:
    """Features by concept of max(F), in the order of GROUPS; no empty groups."""
    groups = {
        concept: [feature for feature in features if feature.strongest("max")[0] == concept]
        for concept in GROUPS
    }
    return {concept: members for concept, members in groups.items() if members}


def _label(feature: Feature) -> str:
    lines = [f"{feature.network}, feature {feature.number + 1}"]
    if not any((feature.saliency[aggregate] > 0).any() for aggregate in AGGREGATES):
        lines[0] += " (not here)"
    for aggregate in AGGREGATES:
        concept, lift = feature.strongest(aggregate)
        if concept is not None:
            lines.append(f"{aggregate}: {concept} {lift:.1f}×")
    return "\n".join(lines)


def _axes(figure: Any, column: int, top: float, height: float) -> Axes:
    """Square axes of a column (0 is the first) below ``top`` inches."""
    half = (style.PAGE_WIDTH - LABEL_WIDTH - 0.05 - GAP) / 2
    side = half / 6
    left = LABEL_WIDTH + column * side + (GAP if column >= 6 else 0)
    return figure.add_axes(
        [
            left / style.PAGE_WIDTH,
            1 - (top + side * 0.97) / height,
            side * 0.97 / style.PAGE_WIDTH,
            side * 0.97 / height,
        ]
    )


def _draw_row(figure: Figure, feature: Feature, pixels: Any, top: float, height: float) -> None:
    for half, aggregate in enumerate(AGGREGATES):
        for view, image in enumerate(pixels):
            axes = _axes(figure, 6 * half + view, top, height)
            style.show_overlay(axes, image, feature.saliency[aggregate][view])
            if aggregate == "max" and feature.saliency["max"][view].any():
                style.show_box(axes, feature.boxes[view], image)
    figure.text(
        (LABEL_WIDTH - 0.06) / style.PAGE_WIDTH,
        1 - (top + ROW / 2) / height,
        _label(feature),
        ha="right",
        va="center",
    )


def _heading(
    figure: Figure, text: str, top: float, height: float, x: float = 0.02, **options: Any
) -> None:
    figure.text(x / style.PAGE_WIDTH, 1 - top / height, text, va="bottom", **options)


def draw(features: Sequence[Feature], pixels: Any) -> Figure:
    """Draw the sheet.

    Parameters
    ----------
    features : list of Feature
    pixels : array, ``(6, rows, columns)``
        The shown views, gray values in [0, 1].

    Returns
    -------
    matplotlib.figure.Figure
    """
    groups = grouped(features)
    head, title = 0.22, 0.24
    height = head + ROW + len(groups) * title + len(features) * ROW + 0.03
    figure = style.new(height)
    middle = (style.PAGE_WIDTH - LABEL_WIDTH - 0.05 - GAP) / 4
    for half, text in enumerate(
        (
            "gradient of max(F); blue: its receptive field",
            "gradient of sum(F); green: outlines of important areas",
        )
    ):
        _heading(
            figure,
            text,
            head - 0.05,
            height,
            ha="center",
            x=LABEL_WIDTH + middle * (1 + 2 * half) + GAP * half,
        )
    for column in range(12):
        style.show(_axes(figure, column, head, height), pixels[column % 6])
    figure.text(
        (LABEL_WIDTH - 0.06) / style.PAGE_WIDTH,
        1 - (head + ROW / 2) / height,
        "views",
        ha="right",
        va="center",
    )
    top = head + ROW
    for letter, (concept, members) in zip("abcde", groups.items()):
        top += title
        _heading(figure, f"({letter}) {GROUPS[concept]}", top - 0.05, height, weight="bold")
        for feature in members:
            _draw_row(figure, feature, pixels, top, height)
            top += ROW
    return figure


def make(output: Any, *, layer_name: Any, saliency: Any) -> None:
    """Read the features of one layer of every network and draw the sheet."""
    features, pixels = [], None
    for path in saliency:
        found, pixels = read_features(path, layer_name)
        features += found
    style.save(draw(features, pixels), output)
