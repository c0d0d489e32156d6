"""The one place for sizes, fonts, colors and line widths of figures."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np

from cnnviz.attribution import overlay
from cnnviz.runtime import files
from cnnviz.thesis.figures.fonts import FAMILY, make_printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

matplotlib.use("Agg")
from matplotlib import patches  # noqa: E402
from matplotlib import pyplot as plt

__all__ = [
    "CHOSEN_POINT",
    "FACES",
    "FLOW",
    "MARK",
    "OUTLINE",
    "PAGE_WIDTH",
    "PALETTE",
    "POINT",
    "RECEPTIVE_FIELD",
    "REFERENCE",
    "RESOLUTION",
    "SHADE",
    "SMALL",
    "keep_limits",
    "line",
    "method",
    "new",
    "note",
    "save",
    "show",
    "show_box",
    "show_overlay",
    "show_patch",
    "show_values",
]

PAGE_WIDTH = 7.1  # inches; a journal's two columns
# Colors of the thesis's markers (section 4.3).
OUTLINE = "#00d13b"
RECEPTIVE_FIELD = "#2f6bff"
LINE_WIDTH = 0.8
REFERENCE: dict[str, Any] = {"color": "0.4", "linestyle": ":", "linewidth": LINE_WIDTH}
SHADE: dict[str, Any] = {"color": "0.92", "linewidth": 0, "zorder": 0}
# Networks: convolutional ones from light to dark blue, dense ones in orange.
# The marker tells them apart without color.
_LINES = {
    "c1": ("#9ecae1", "o"),
    "c2": ("#6baed6", "s"),
    "c3": ("#4292c6", "^"),
    "c4": ("#2171b5", "D"),
    "c9": ("#08306b", "v"),
    "d5": ("#fdae6b", "o"),
    "d10": ("#f16913", "s"),
    "d20": ("#8c2d04", "^"),
}
# Methods: gradients in blue, occlusion in orange, those that go down layer by layer in
# green; what they are compared with in gray.
_METHODS = {
    "gradient max": ("#08519c", "o"),
    "gradient sum": ("#6baed6", "s"),
    "occlusion": ("#e6550d", "D"),
    "deconvnet": ("#74c476", "^"),
    "guided": ("#006d2c", "v"),
    "center": ("0.45", "P"),
}
# Parts of a drawing that belong together, for example a region and its result.
PALETTE = (
    "#1f77b4",
    "#ff7f0e",
    "#2ca02c",
    "#9467bd",
    "#d62728",
    "#8c564b",
    "#e377c2",
    "#bcbd22",
    "#17becf",
)
# Faces 1 to 6 of the die; distinct for the color-blind, and in gray (Okabe and Ito).
FACES = ("#56b4e9", "#e69f00", "#009e73", "#f0e442", "#0072b2", "#cc79a7")
MARK = "#e3120b"  # what a drawing is about; the thesis's occluder is red
POINT: dict[str, Any] = {
    "color": MARK,
    "marker": "o",
    "markersize": 2.5,
    "linestyle": "none",
    "markerfacecolor": "white",
    "markeredgewidth": 0.75 * LINE_WIDTH,
}
CHOSEN_POINT: dict[str, Any] = {**POINT, "markerfacecolor": MARK}
SMALL = 6  # points, the least that is printed
FLOW: dict[str, Any] = {"color": "0.3", "linewidth": LINE_WIDTH}  # what leads to what
SIGNED = "RdBu_r"  # colors of values of both signs, zero is white
RESOLUTION = 300  # dots per inch of PNG files


_SETTINGS = {
    "font.family": FAMILY,
    # Dollars in the names of images and layers are dollars; no figure needs formulas.
    "text.parse_math": False,
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.linewidth": 0.4,
    "figure.dpi": RESOLUTION,
    "savefig.dpi": RESOLUTION,
    "image.interpolation": "nearest",
    "pdf.fonttype": 42,
}


def line(network: str) -> dict[str, float | str]:
    """Color, marker and width of a network's line."""
    color, marker = _LINES[network]
    return {"color": color, "marker": marker, "markersize": 2.5, "linewidth": LINE_WIDTH}


def method(name: str) -> dict[str, float | str]:
    """Color and marker of a visualization method's points, with error bars."""
    color, marker = _METHODS[name]
    return {
        "color": color,
        "marker": marker,
        "markersize": 3,
        "linestyle": "none",
        "linewidth": LINE_WIDTH,
        "elinewidth": LINE_WIDTH,
        "capsize": 1.2,
        "capthick": 0.75 * LINE_WIDTH,
        "markeredgewidth": 0,
    }


def new(height: float) -> Figure:
    """A figure of page width in the package's style.

    Parameters
    ----------
    height : float
        Inches.
    """
    plt.rcParams.update(_SETTINGS)
    return plt.figure(figsize=(PAGE_WIDTH, height))


def show(axes: Any, image: np.ndarray) -> None:
    """Show a picture with gray values or colors in [0, 1], without ticks."""
    axes.imshow(image, cmap="gray", vmin=0, vmax=1)
    axes.set_xticks([])
    axes.set_yticks([])


def show_overlay(
    axes: Any,
    image: np.ndarray,
    saliency: np.ndarray,
    sigma: float = 1.0,
    peak: float | None = None,
) -> None:
    """Show a saliency map over its image (thesis section 4.3).

    Panels with one ``peak``, in smoothed saliency, can be compared: see
    :func:`cnnviz.attribution.overlay.important`.
    """
    mask = overlay.important(overlay.smooth(saliency, sigma), peak=peak)
    show(axes, overlay.brighten(image, mask))
    for line in overlay.outlines(mask):
        axes.plot(
            line[:, 1], line[:, 0], color=OUTLINE, linewidth=LINE_WIDTH, solid_joinstyle="miter"
        )
    keep_limits(axes, image)


def show_box(axes: Any, box: tuple[float, float, float, float], image: np.ndarray) -> None:
    """Outline a receptive field: (first row, first column, end row, end column).

    Only the part of it that lies on the image, closed along the image's border.
    """
    rows, columns = np.shape(image)[:2]
    top, left = np.maximum(box[:2], 0)
    bottom, right = np.minimum(box[2:], (rows, columns))
    axes.add_patch(
        patches.Rectangle(
            (left - 0.5, top - 0.5),
            right - left,
            bottom - top,
            fill=False,
            edgecolor=RECEPTIVE_FIELD,
            linewidth=LINE_WIDTH,
        )
    )
    keep_limits(axes, image)


def keep_limits(axes: Any, image: np.ndarray) -> None:
    """Set the limits to the image's: lines at its border must not add a margin."""
    rows, columns = np.shape(image)[:2]
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)


def show_values(axes: Any, values: np.ndarray, limit: float, label: str) -> None:
    """Show a map of values of both signs, with a color bar below it.

    Parameters
    ----------
    axes : matplotlib axes
    values : array, ``(rows, columns)``
    limit : float
        Colors reach from its negative to it; zero is white.
    label : str
        Of the color bar.
    """
    drawn = axes.imshow(values, vmin=-limit, vmax=limit, cmap=SIGNED)
    axes.set_xticks([])
    axes.set_yticks([])
    bar = axes.inset_axes([0, -0.11, 1, 0.06])
    axes.figure.colorbar(drawn, cax=bar, orientation="horizontal", label=label)
    bar.tick_params(labelsize=SMALL, length=2, width=0.4, pad=1.5)
    bar.xaxis.labelpad = 1
    ticks = [-limit, 0, limit]
    bar.set_xticks(ticks)
    # Three digits, and no power of ten apart from the numbers, so that labels of
    # small panels stay apart.
    bar.set_xticklabels([f"{each:.3g}".replace("-", "−") for each in ticks])
    # Within the bar's ends, so that neighboring bars' numbers stay apart.
    for tick, side in zip(bar.get_xticklabels(), ("left", "center", "right")):
        tick.set_horizontalalignment(side)


def show_patch(axes: Axes, patch: np.ndarray, limit: int) -> Any:
    """Show an exemplar in grays from ``-limit`` to ``limit``; gives what was drawn."""
    axes.set_xticks([])
    axes.set_yticks([])
    return axes.imshow(patch, cmap="gray", vmin=-limit, vmax=limit)


def note(axes: Axes, text: str) -> None:
    """Write a small note below the axes."""
    axes.text(0.5, -0.04, text, transform=axes.transAxes, ha="center", va="top", size=SMALL)


# --- Files ------------------------------------------------------------------------


def save(figure: Figure, stem: Any, suffixes: Sequence[str] = (".png", ".pdf")) -> None:
    """Write ``stem.png`` and ``stem.pdf``, or one of them, and close the figure.

    Equal figures give equal bytes: no dates are written.  Every text is made
    :func:`printable`.
    """
    make_printable(figure)
    stem = Path(stem)
    metadata = {
        ".png": {"Software": None},
        ".pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # missing glyphs and such
        for suffix in suffixes:
            with files.atomic(stem.parent / (stem.name + suffix)) as temporary:
                figure.savefig(temporary, metadata=metadata[suffix.lower()])
    plt.close(figure)
