"""Figure 4.4: De Fauw's network, drawn from the network itself.

A box is what a layer computes of one eye, or of both eyes of a patient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnnviz.thesis.figures import shapes, style

if TYPE_CHECKING:
    from lasagne.layers import Layer
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# In inches: rows; boxes of both eyes, and of what joins them; columns of text.
ROW, HEAD, FOOT = 0.205, 0.38, 0.3
BOX = 0.13
EYES, PATIENT, SECOND = ((0.05, 0.5), (0.6, 0.5)), ((0.05, 1.05),), ((1.3, 0.25),)
COLUMNS = {
    "layer": 1.75,
    "kind": 2.62,
    "output": 4.02,
    "depth": 5.2,
    "receptive\nfield": 5.8,
    "weights": 6.45,
    "biases": 7.05,
}
NUMBERS = ("depth", "receptive\nfield", "weights", "biases")  # right-aligned
#: By Lasagne's class: the thesis's name, what stands in brackets, and a color.
KINDS = {
    "Conv2DLayer": ("ConvLayer", ("filter_size", "stride"), 0),
    "Pool2DLayer": ("PoolLayer", ("pool_size", "stride"), 1),
    "DenseLayer": ("DenseLayer", ("num_units",), 2),
    "FeaturePoolLayer": ("MaxoutLayer", ("pool_size",), 3),
    "DropoutLayer": ("DropoutLayer", ("p",), 8),
    "NonlinearityLayer": ("NonlinearityLayer", ("nonlinearity",), 4),
    # Layers that compute nothing.
    "InputLayer": ("InputLayer", (), 5),
    "ConcatLayer": ("ConcatLayer", (), 5),
    "ReshapeLayer": ("ReshapeLayer", (), 5),
}


class Row(NamedTuple):
    """What is written of one layer."""

    layer: str
    kind: str  #: in the thesis's notation, for example ``ConvLayer(7, 2)``
    output: str  #: shape
    depth: str
    field: str  #: receptive field
    weights: int
    biases: int


def _kind(layer: Layer) -> tuple[str, Sequence[Any], int]:
    from cnnviz.runtime.backend import lasagne

    return next(
        known for name, known in KINDS.items() if isinstance(layer, getattr(lasagne.layers, name))
    )


def notation(layer: Layer) -> str:
    """A layer as the thesis's figure writes it."""
    name, attributes, _ = _kind(layer)
    # Filters, pools and strides are square.
    values = [np.ravel(getattr(layer, attribute))[0] for attribute in attributes]
    texts = [getattr(value, "__name__", str(value)) for value in values]
    return f"{name}({', '.join(texts)})" if texts else name


def count(layer: Layer, name: str) -> int:
    """Numbers in a layer's own parameter ``W`` or ``b``, 0 without it."""
    parameter = getattr(layer, name, None)
    return 0 if parameter is None else parameter.get_value(borrow=True).size


def describe(layer: Layer) -> Row:
    """Row of a layer; depth and receptive field are those of local layers."""
    from cnnviz.attribution.receptive_field import depth, receptive_field

    local = _kind(layer)[0] in ("ConvLayer", "PoolLayer")
    return Row(
        layer.name,
        notation(layer),
        "×".join(map(str, layer.output_shape)),
        str(depth(layer)) if local else "",
        "×".join(map(str, receptive_field(layer).size)) if local else "",
        count(layer, "W"),
        count(layer, "b"),
    )


def totals(rows: Sequence[Row]) -> tuple[int, int]:
    """All weights, all biases."""
    return sum(row.weights for row in rows), sum(row.biases for row in rows)


def incoming(layer: Layer) -> list[Layer]:
    """Layers that a layer takes its input from."""
    several = getattr(layer, "input_layers", None)
    return several or [each for each in [getattr(layer, "input_layer", None)] if each]


def _spans(layer: Layer, layers: Sequence[Layer]) -> Any:
    """Left ends and widths of a layer's boxes, one for each eye."""
    if layer is not layers[0] and not incoming(layer):
        return SECOND
    return EYES if layer.output_shape[0] == 2 else PATIENT


def _middle(span: tuple[float, float]) -> float:
    return span[0] + span[1] / 2


def _draw_links(
    axes: Axes, layer: Layer, layers: Sequence[Layer], heights: Mapping[Layer, float]
) -> None:
    """Lines from the boxes that a layer takes its input from."""
    spans = _spans(layer, layers)
    for below in incoming(layer):
        start, end = heights[below] + BOX / 2, heights[layer] - BOX / 2
        sources = _spans(below, layers)
        if sources is SECOND:
            side = spans[-1][0] + spans[-1][1]
            axes.plot(
                [_middle(SECOND[0])] * 2 + [side],
                [start, heights[layer], heights[layer]],
                **style.FLOW,
            )
            continue
        for span in max(sources, spans, key=len):
            axes.plot([_middle(span)] * 2, [start, end], **style.FLOW)


def _write(axes: Axes, height: float, values: Mapping[str, float] | Row | tuple[Any, ...]) -> None:
    for (name, place), value in zip(COLUMNS.items(), values):
        text = f"{value:,}" if isinstance(value, int) and value else str(value or "")
        axes.text(
            place, height, text, va="center_baseline", ha="right" if name in NUMBERS else "left"
        )


def _draw_frame(axes: Axes, rows: Sequence[Row], height: float) -> None:
    """Heads of the columns, the eyes' names, and the totals."""
    _write(axes, height - HEAD / 2, COLUMNS)
    for span, eye in zip(EYES, ("left eye", "right eye")):
        axes.text(_middle(span), FOOT / 2, eye, ha="center", va="center_baseline")
    weights, biases = totals(rows)
    _write(
        axes,
        FOOT / 2,
        ("in total", f"{weights + biases:,} parameters", "", "", "", weights, biases),
    )
    for place in (FOOT, height - HEAD):
        axes.plot([COLUMNS["layer"], style.PAGE_WIDTH - 0.05], [place] * 2, **style.FLOW)


def draw(network: Layer) -> Figure:
    """Draw the figure.

    Parameters
    ----------
    network : lasagne.layers.Layer
        From :func:`cnnviz.networks.defauw.build`, for one eye pair.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from cnnviz.runtime.backend import lasagne

    layers = lasagne.layers.get_all_layers(network)
    rows = [describe(layer) for layer in layers]
    height = FOOT + ROW * len(layers) + HEAD
    figure = style.new(height)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, style.PAGE_WIDTH)
    axes.set_ylim(0, height)
    axes.set_axis_off()
    heights = {layer: FOOT + ROW * (k + 0.5) for k, layer in enumerate(layers)}
    for layer, row in zip(layers, rows):
        _draw_links(axes, layer, layers, heights)
        for left, width in _spans(layer, layers):
            shapes.block(
                axes, left, heights[layer] - BOX / 2, width, BOX, style.PALETTE[_kind(layer)[2]]
            )
        _write(axes, heights[layer], row)
    _draw_frame(axes, rows, height)
    return figure


def make(output: Path) -> None:
    from cnnviz.networks import defauw

    style.save(draw(defauw.build()), output)
