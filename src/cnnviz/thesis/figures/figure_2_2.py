"""Figure 2.2: kernels, and what they respond to in a view of the die."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.datasets import die360
from cnnviz.thesis.figures import shapes, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE = 128
LABEL = 2
#: The kernels of Sobel and Laplace, by the edges that they respond to.
KERNELS = {
    "horizontal": ((1, 2, 1), (0, 0, 0), (-1, -2, -1)),
    "vertical": ((1, 0, -1), (2, 0, -2), (1, 0, -1)),
    "diagonal": ((2, 1, 0), (1, 0, -1), (0, -1, -2)),
    "every direction": ((-1, -1, -1), (-1, 8, -1), (-1, -1, -1)),
}


def responses(image: Any, kernels: Any) -> np.ndarray:
    """Valid convolutions of an image with kernels (thesis eq. 2.1).

    Parameters
    ----------
    image : array, ``(rows, columns)``
    kernels : array, ``(n, k, l)``
        ``k`` and ``l`` are odd.

    Returns
    -------
    array, ``(n, rows - k + 1, columns - l + 1)``
    """
    from cnnviz.attribution.activations import feature_maps
    from cnnviz.networks.layers import SameConv2DLayer
    from cnnviz.runtime.backend import lasagne

    image, kernels = np.asarray(image, np.float32), np.asarray(kernels, np.float32)
    # The layer correlates, so the kernels are flipped first (eq. 2.2).
    filters = kernels[:, np.newaxis, ::-1, ::-1]
    network = lasagne.layers.InputLayer((None, 1, *image.shape))
    network = SameConv2DLayer(
        network, len(filters), filters.shape[2:], W=filters, b=None, nonlinearity=None
    )
    rows, columns = np.subtract(filters.shape[2:], 1) // 2
    maps = feature_maps(network, image[np.newaxis, np.newaxis])[0]
    # Valid: without the border, where a kernel leaves the image.
    return maps[:, rows : image.shape[0] - rows, columns : image.shape[1] - columns]


def limit(values: np.ndarray) -> float:
    """The largest magnitude, rounded up to a tenth."""
    return np.ceil(10 * np.abs(values).max()) / 10


def draw(image: np.ndarray, maps: np.ndarray) -> Figure:
    """Draw the figure.

    Parameters
    ----------
    image : array, ``(rows, columns)``, gray values in [0, 1]
    maps : array, ``(4, rows, columns)``
        From :func:`responses`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = style.new(2.6)
    above, below = figure.subplots(2, 1 + len(KERNELS), height_ratios=[0.5, 1])
    above[0].set_axis_off()
    style.show(below[0], image)
    below[0].set_title("image")
    highest = limit(maps)
    for top, axes, name, values in zip(above[1:], below[1:], KERNELS, maps):
        kernel = np.array(KERNELS[name], str)
        shapes.matrix(top, kernel)
        shapes.cells(top, *kernel.shape)
        top.set_title(f"edges: {name}")
        style.show_values(axes, values, highest, "response")
    figure.subplots_adjust(left=0.01, right=0.985, top=0.93, bottom=0.14, wspace=0.12, hspace=0.12)
    return figure


def make(output: Path) -> None:
    image = die360.render(*die360.typical_view(LABEL), size=SIZE)[0]
    style.save(draw(image, responses(image, list(KERNELS.values()))), output)
