"""Figure 2.4: three kinds of pooling, number by number.

Input and results are those printed in the thesis; the results are computed anew,
and what is printed stands in brackets where it differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.thesis.figures import shapes, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INPUT = np.array([[1, 2, 6, 7], [3, 4, 8, 9], [1, 2, 0, 2], [6, 7, 4, 6]])
SIZE = 2
GAP = 1.5  # between matrices, in cells
#: By kind, the numbers as they are printed.
PRINTED = {
    "maximum": (("4", "9"), ("7", "6")),
    "average": (("2.5", "7.5"), ("4.0", "3")),
    "L² norm": (("2.50", "15.17"), ("9.48", "7.48")),
}


def _pool(values: np.ndarray, mode: str) -> np.ndarray:
    from cnnviz.attribution.activations import feature_maps
    from cnnviz.runtime.backend import lasagne

    values = np.asarray(values, np.float32)
    network = lasagne.layers.InputLayer((None, 1, *values.shape))
    network = lasagne.layers.Pool2DLayer(network, SIZE, mode=mode)
    return feature_maps(network, values[np.newaxis, np.newaxis])[0, 0].astype(float)


def pooled(values: np.ndarray) -> dict[str, np.ndarray]:
    """A matrix pooled in three ways over 2×2 with stride 2.

    Parameters
    ----------
    values : array, ``(rows, columns)``

    Returns
    -------
    dict
        From the kind of pooling to an array, ``(rows // 2, columns // 2)``.
    """
    return {
        "maximum": _pool(values, "max"),
        "average": _pool(values, "average_exc_pad"),
        # The norm is the root of a sum, and a sum is so many averages.
        "L² norm": np.sqrt(SIZE**2 * _pool(np.square(values), "average_exc_pad")),
    }


def beside_printed(value: float, printed: str) -> str:
    """Text of a computed number, with the printed one where that differs.

    To as many decimals as are printed.
    """
    decimals = len(printed.partition(".")[2])
    text = f"{value:.{decimals}f}"
    return text if text == printed else f"{text}\n({printed})"


def _color(axes: Axes, corner: tuple[int, float], side: int) -> None:
    """Color the quarters of a square matrix."""
    step = side // SIZE
    for color, place in zip(style.PALETTE, np.ndindex(SIZE, SIZE)):
        first = np.add(corner, np.multiply(place, step))
        shapes.rectangle(axes, (*first, *(first + step)), color, inset=0.05)


def draw(results: Mapping[str, np.ndarray]) -> Figure:
    """Draw the figure.

    Parameters
    ----------
    results : dict
        From :func:`pooled`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = style.new(1.95)
    axes = figure.add_axes((0.01, 0.02, 0.98, 0.96))
    shapes.matrix(axes, INPUT.astype(str), title="input")
    _color(axes, (0, 0), len(INPUT))
    for column, (kind, values) in enumerate(results.items()):
        texts = [
            [beside_printed(*pair) for pair in zip(*rows)] for rows in zip(values, PRINTED[kind])
        ]
        corner = 1, len(INPUT) + GAP + column * (len(texts) + GAP)
        shapes.matrix(axes, np.array(texts), corner, kind)
        _color(axes, corner, len(texts))
    shapes.cells(axes, len(INPUT), corner[1] + len(texts))
    axes.set_ylim(len(INPUT) - 0.45, -1.1)
    return figure


def make(output: Path) -> None:
    style.save(draw(pooled(INPUT)), output)
