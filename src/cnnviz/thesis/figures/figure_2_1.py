"""Figure 2.1: counting the spots of a die with one template.

The die shows face five alone; the template is the pip of face one.  A region
matches where it correlates with the template more than half.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage import feature

from cnnviz.datasets import die360, die_scene
from cnnviz.thesis.figures import shapes, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = 128
FIVE, ONE = (180, 90), (90, 90)  # views head-on, degrees
REGIONS = 3  # along rows and columns, as pips on a face
# Halfway between a region that has nothing of the template and one that equals it.
THRESHOLD = 0.5


def region_side() -> int:
    """Pixels between neighboring pips of a face that is seen head-on."""
    distance = die_scene.CAMERA_DISTANCE - 1
    return round(SIZE / 2 * die_scene.PITCH / (die_scene.TAN_HALF_FIELD * distance))


def region_starts() -> np.ndarray:
    """First rows, and first columns, of disjoint regions around the middle."""
    side = region_side()
    return (SIZE - REGIONS * side) // 2 + side * np.arange(REGIONS)


def pictures() -> tuple[np.ndarray, np.ndarray]:
    """The image ``(128, 128)`` and the template, a region of another image."""
    a, b = zip(FIVE, ONE)
    image, other = die360.render(a, b, SIZE).astype(float)
    middle = region_starts()[REGIONS // 2]
    part = slice(middle, middle + region_side())
    return image, other[part, part]


def correlation(image: np.ndarray, template: np.ndarray) -> np.ndarray:
    """Correlation coefficient of the template with the region at every place.

    Parameters
    ----------
    image : array, ``(rows, columns)``
    template : array, ``(k, l)``

    Returns
    -------
    array, ``(rows - k + 1, columns - l + 1)``
        By first row and column of the region.
    """
    return np.clip(feature.match_template(image, template), -1, 1)


def disjoint(correlations: np.ndarray) -> np.ndarray:
    """Of the correlations everywhere, those of the disjoint regions."""
    return correlations[np.ix_(region_starts(), region_starts())]


def areas(matches: np.ndarray) -> int:
    """Number of connected areas of matches."""
    return ndimage.label(matches)[1]


def _draw_regions(axes: Axes, image: np.ndarray) -> None:
    style.show(axes, image)
    side = region_side()
    for color, (row, column) in zip(style.PALETTE, np.ndindex(REGIONS, REGIONS)):
        top, left = region_starts()[[row, column]]
        shapes.rectangle(axes, (top, left, top + side, left + side), color, False, 1)


def _draw_binary(axes: Axes, correlations: np.ndarray) -> None:
    matches = correlations >= THRESHOLD
    texts = [
        [f"{match:d}\n{value:.2f}" for match, value in zip(*rows)]
        for rows in zip(matches, correlations)
    ]
    shapes.matrix(axes, np.array(texts))
    shapes.cells(axes, *matches.shape)
    axes.set_title(f"(c) disjoint regions:\n{matches.sum()} ones")
    for color, (row, column) in zip(style.PALETTE, np.ndindex(matches.shape)):
        shapes.rectangle(axes, (row, column, row + 1, column + 1), color, inset=0.06)
    style.note(axes, "1: match, 0: none\nbelow it: correlation\nwith the template")


def _draw_overlapping(axes: Axes, matches: np.ndarray) -> None:
    style.show(axes, matches)
    axes.set_title(f"(e) overlapping regions:\n{areas(matches)} areas of ones")
    style.note(axes, "white: 1, black: 0")


def draw(image: np.ndarray, template: np.ndarray) -> Figure:
    """Draw the figure.

    Parameters
    ----------
    image, template : arrays, gray values in [0, 1]

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = style.new(2.1)
    panels = figure.subplots(1, 5, width_ratios=[1, 0.65, 1, 1, 1])
    for axes in panels:
        axes.set_anchor("N")
    correlations = correlation(image, template)
    _draw_regions(panels[0], image)
    panels[0].set_title(f"(a) image and {REGIONS}×{REGIONS}\nregions of it")
    style.show(panels[1], template)
    panels[1].set_title("(b) template\n(enlarged)")
    _draw_binary(panels[2], disjoint(correlations))
    style.show_values(panels[3], correlations, 1, "correlation")
    panels[3].set_title("(d) overlapping regions:\none at every pixel")
    _draw_overlapping(panels[4], correlations >= THRESHOLD)
    figure.subplots_adjust(left=0.01, right=0.985, top=0.86, bottom=0.17, wspace=0.14)
    return figure


def make(output: Path) -> None:
    style.save(draw(*pictures()), output)
