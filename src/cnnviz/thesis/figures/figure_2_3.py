"""Figure 2.3: a valid convolution, number by number.

Input, kernel and result are those printed in the thesis; the result is computed
anew, and what is printed stands in brackets where it differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.thesis.figures import shapes, style
from cnnviz.thesis.figures.figure_2_2 import responses

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INPUT = np.array(
    [
        [1, 2, 3, 4, 5, 6],
        [6, 7, 8, 9, 0, 7],
        [1, 2, 3, 4, 5, 8],
        [6, 7, 8, 9, 0, 9],
        [1, 2, 3, 4, 5, 0],
    ]
)
KERNEL = np.arange(1, 10).reshape(3, 3)
PRINTED = np.array([[159, 204, 209, 230], [234, 279, 244, 278], [159, 204, 209, 274]])
#: Places of the result whose regions are colored, as in the thesis.
COLORED = ((0, 0), (0, 3), (1, 2), (2, 1))
GAP = 1.5  # between matrices, in cells


def convolve(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Valid convolution of whole numbers.

    Parameters
    ----------
    image : int array, ``(p, q)``
    kernel : int array, ``(k, l)``

    Returns
    -------
    int array, ``(p - k + 1, q - l + 1)``
    """
    return np.rint(responses(image, [kernel])[0]).astype(int)


def beside_printed(values: np.ndarray, printed: np.ndarray) -> np.ndarray:
    """Texts of the computed numbers, with the printed ones where they differ."""
    return np.array(
        [
            [f"{value}" if value == other else f"{value}\n({other})" for value, other in zip(*rows)]
            for rows in zip(values, printed)
        ]
    )


def terms(place: tuple[int, int]) -> str:
    """One number of the result, spelled out: every input times its weight."""
    rows, columns = map(slice, place, np.add(place, KERNEL.shape))
    inputs, weights = INPUT[rows, columns], KERNEL[::-1, ::-1]
    products = [f"{one}·{other}" for one, other in zip(inputs.flat, weights.flat)]
    return f"{np.sum(inputs * weights)} = {' + '.join(products)}"


def _corners(shapes: Sequence[tuple[int, ...]]) -> list[tuple[float, float]]:
    """First cells of matrices side by side, each in the middle of the height."""
    lefts = np.cumsum([0, *(columns + GAP for _, columns in shapes)])
    return [((len(INPUT) - rows) / 2, left) for (rows, _), left in zip(shapes, lefts)]


def draw(result: np.ndarray) -> Figure:
    """Draw the figure.

    Parameters
    ----------
    result : int array, ``(3, 4)``

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = style.new(2.35)
    axes = figure.add_axes((0.01, 0.02, 0.98, 0.96))
    matrices = {
        "input I": INPUT.astype(str),
        "kernel K": KERNEL.astype(str),
        "feature map I ∗ K": beside_printed(result, PRINTED),
    }
    corners = _corners([texts.shape for texts in matrices.values()])
    middle = (len(INPUT) - 1) / 2
    for corner, operator, (title, texts) in zip(corners, " ∗=", matrices.items()):
        shapes.matrix(axes, texts, corner, f"{title} ({'×'.join(map(str, texts.shape))})")
        axes.text(corner[1] - (GAP + 1) / 2, middle, operator, ha="center", va="center", size=10)
    for number, place in enumerate(COLORED):
        _color(axes, number, np.array(place), corners[-1])
    axes.text(-0.5, len(INPUT) - 0.2, f"for example, {terms(COLORED[0])}", va="top")
    shapes.cells(axes, len(INPUT), corners[-1][1] + result.shape[1])
    axes.set_ylim(len(INPUT) + 0.3, -1.3)
    return figure


def _color(axes: Axes, number: int, place: np.ndarray, corner: tuple[float, float]) -> None:
    """Color a place of the result, and the region of the input it is made from."""
    color = style.PALETTE[number]
    shapes.rectangle(axes, (*place, *(place + KERNEL.shape)), color, False, 0.06 + 0.04 * number)
    place = place + corner
    shapes.rectangle(axes, (*place, *(place + 1)), color, inset=0.06)


def make(output: Path) -> None:
    style.save(draw(convolve(INPUT, KERNEL)), output)
