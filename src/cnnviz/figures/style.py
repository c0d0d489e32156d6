"""The one place for sizes, fonts, colours and line widths of figures."""
import warnings
from pathlib import Path

import matplotlib
import numpy as np

from cnnviz import files, overlay

matplotlib.use("Agg")
from matplotlib import patches, pyplot as plt  # noqa: E402

__all__ = ["PAGE_WIDTH", "OUTLINE", "RECEPTIVE_FIELD", "REFERENCE", "SHADE",
           "line", "new", "show",
           "show_overlay", "show_box", "keep_limits", "save"]

PAGE_WIDTH = 7.1            # inches; a journal's two columns
# Colours of the thesis's markers (section 4.3).
OUTLINE = "#00d13b"
RECEPTIVE_FIELD = "#2f6bff"
LINE_WIDTH = 0.8
REFERENCE = {"color": "0.4", "linestyle": ":", "linewidth": LINE_WIDTH}
SHADE = {"color": "0.92", "linewidth": 0, "zorder": 0}
# Networks: convolutional ones from light to dark blue, dense ones in orange.
# The marker tells them apart without colour.
_LINES = {
    "c1": ("#9ecae1", "o"), "c2": ("#6baed6", "s"), "c3": ("#4292c6", "^"),
    "c4": ("#2171b5", "D"), "c9": ("#08306b", "v"),
    "d5": ("#fdae6b", "o"), "d10": ("#f16913", "s"), "d20": ("#8c2d04", "^"),
}
RESOLUTION = 300            # dots per inch of PNG files

_SETTINGS = {
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.linewidth": 0.4,
    "figure.dpi": RESOLUTION,
    "savefig.dpi": RESOLUTION,
    "image.interpolation": "nearest",
    "pdf.fonttype": 42,
}


def line(network):
    """Colour, marker and width of a network's line."""
    colour, marker = _LINES[network]
    return {"color": colour, "marker": marker, "markersize": 2.5,
            "linewidth": LINE_WIDTH}


def new(height):
    """A figure of page width in the package's style.

    Parameters
    ----------
    height : float
        Inches.
    """
    plt.rcParams.update(_SETTINGS)
    return plt.figure(figsize=(PAGE_WIDTH, height))


def show(axes, image):
    """Show a picture with grey values or colours in [0, 1], without ticks."""
    axes.imshow(image, cmap="gray", vmin=0, vmax=1)
    axes.set_xticks([])
    axes.set_yticks([])


def show_overlay(axes, image, saliency, sigma=1.0):
    """Show a saliency map over its image (thesis section 4.3)."""
    mask = overlay.important(overlay.smooth(saliency, sigma))
    show(axes, overlay.brighten(image, mask))
    for line in overlay.outlines(mask):
        axes.plot(line[:, 1], line[:, 0], color=OUTLINE, linewidth=LINE_WIDTH,
                  solid_joinstyle="miter")
    keep_limits(axes, image)


def show_box(axes, box, image):
    """Outline a receptive field: (first row, first column, end row, end column)."""
    top, left, bottom, right = box
    axes.add_patch(patches.Rectangle(
        (left - 0.5, top - 0.5), right - left, bottom - top, fill=False,
        edgecolor=RECEPTIVE_FIELD, linewidth=LINE_WIDTH))
    keep_limits(axes, image)


def keep_limits(axes, image):
    """Set the limits to the image's: lines at its border must not add a margin."""
    rows, columns = np.shape(image)[:2]
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)


def save(figure, stem):
    """Write ``stem.png`` and ``stem.pdf`` and close the figure.

    Equal figures give equal bytes: no dates are written.
    """
    stem = Path(stem)
    metadata = {".png": {"Software": None},
                ".pdf": {"CreationDate": None, "Producer": None,
                         "Creator": None}}
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # missing glyphs and such
        for suffix, entries in metadata.items():
            with files.atomic(stem.parent / (stem.name + suffix)) as temporary:
                figure.savefig(temporary, metadata=entries)
    plt.close(figure)
