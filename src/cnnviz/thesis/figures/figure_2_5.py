"""Figure 2.5: the receptive field of a neuron two layers deep.

The layers are Lasagne's, and what is drawn is computed from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.thesis.figures import shapes, style

if TYPE_CHECKING:
    from lasagne.layers import Layer
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INPUT = 12  # rows and columns
#: Size and stride of the layers' filters, from the input on.
LAYERS = ((3, 3), (2, 1))
NEURON = (1, 1)  # of the deepest layer
# Planes are seen from above and the front: a column is one to the right, a row
# so much to the right and down.
ROW = np.array([0.5, -0.45])
LIFT = 5.2  # from plane to plane, in columns


def build() -> list[Layer]:
    """The layers of the figure, the input first."""
    from cnnviz.runtime.backend import lasagne

    layers = [lasagne.layers.InputLayer((None, 1, INPUT, INPUT), name="input")]
    for depth, (size, stride) in enumerate(LAYERS):
        layers.append(
            lasagne.layers.Conv2DLayer(layers[-1], 1, size, stride=stride, name=f"layer {depth}")
        )
    return layers


def seen(layers: Sequence[Layer], neuron: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    """What a neuron of the last layer sees of every layer.

    Parameters
    ----------
    layers : list of lasagne.layers.Layer
        Convolutions on one input, which comes first.
    neuron : (row, column)

    Returns
    -------
    list of (first row, first column, end row, end column), the input's first
    """
    from cnnviz.attribution.receptive_field import window_geometry

    boxes = [(*neuron, *np.add(neuron, 1).tolist())]
    for layer in reversed(layers[1:]):
        window = window_geometry(layer)
        assert window is not None  # they are convolutions
        size, stride, pad = window
        first, last = np.reshape(boxes[0], (2, 2)) * stride - pad
        # The end is that of the last neuron's window.
        boxes.insert(0, (*first.tolist(), *(last - stride + size).tolist()))
    return boxes


def side(box: tuple[int, int, int, int]) -> int:
    """Rows of a square box."""
    return box[2] - box[0]


def labels(layers: Sequence[Layer], boxes: Sequence[tuple[int, int, int, int]]) -> list[str]:
    """What stands beside every plane, the input's first."""
    first, second = layers[1:]
    texts = [
        "{}: {}×{} pixels\nmarked: receptive field of the neuron of {}, {}×{}\n"
        "{} = ({} − 1)·{} + {} in both directions".format(
            layers[0].name,
            *layers[0].output_shape[2:],
            second.name,
            *[side(boxes[0])] * 3,
            second.filter_size[0],
            first.stride[0],
            first.filter_size[0],
        )
    ]
    for layer, box in zip(layers[1:], boxes[1:]):
        texts.append(
            "{}: filter {}×{}, stride {}\n{}×{} neurons, {} marked".format(
                layer.name,
                *layer.filter_size,
                layer.stride,
                *layer.output_shape[2:],
                side(box) ** 2,
            )
        )
    return texts


def _corners(box, layer: Layer, height):
    """Corners ``(4, 2)`` of a box of a layer's plane, centered above the origin."""
    top, left, bottom, right = box
    places = np.array([(top, left), (top, right), (bottom, right), (bottom, left)])
    rows, columns = (places - np.array(layer.output_shape[2:]) / 2).T
    return rows[:, None] * ROW + np.stack([columns, np.full(4, height)], axis=1)


def _draw_plane(axes: Axes, layer: Layer, height) -> None:
    for place in np.ndindex(layer.output_shape[2:]):
        cell = _corners((*place, *np.add(place, 1)), layer, height)
        shapes.polygon(axes, cell)


def _draw_marked(axes: Axes, layer: Layer, height, box, parts) -> None:
    """Color a box in so many parts along each side, every part on its own."""
    step = side(box) // parts
    colors = style.PALETTE if parts > 1 else [style.MARK]
    for color, place in zip(colors, np.ndindex(parts, parts)):
        first = np.add(box[:2], np.multiply(place, step))
        shapes.polygon(axes, _corners((*first, *(first + step)), layer, height), color)


def draw(layers: Any, boxes: Any) -> Figure:
    """Draw the figure.

    Parameters
    ----------
    layers, boxes : lists
        From :func:`build` and :func:`seen`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = style.new(2.7)
    axes = figure.add_axes((0.01, 0.01, 0.98, 0.98))
    heights = LIFT * np.arange(len(layers))
    texts = labels(layers, boxes)
    for layer, height, box, text in zip(layers, heights, boxes, texts):
        _draw_plane(axes, layer, height)
        # Each of the neurons that the deepest one sees has its part of the input.
        _draw_marked(axes, layer, height, box, min(side(box), side(boxes[-2])))
        axes.text(INPUT, height, text, va="center")
    for below in range(len(layers) - 1):
        ends = [_corners(boxes[k], layers[k], heights[k]) for k in (below, below + 1)]
        for start, end in zip(*ends):
            axes.plot(*np.stack([start, end], axis=1), **style.FLOW)
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_xlim(-INPUT, 2.2 * INPUT)
    return figure


def make(output: Path) -> None:
    layers = build()
    style.save(draw(layers, seen(layers, NEURON)), output)
