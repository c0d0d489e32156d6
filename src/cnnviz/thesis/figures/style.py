"""The one place for sizes, fonts, colors and line widths of figures."""

import warnings
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np

from cnnviz.attribution import overlay
from cnnviz.runtime import files
from cnnviz.thesis.figures.fonts import FAMILY, make_printable

matplotlib.use("Agg")
from matplotlib import patches, patheffects  # noqa: E402
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
    "POINTERS",
    "RECEPTIVE_FIELD",
    "REFERENCE",
    "RESOLUTION",
    "SHADE",
    "SMALL",
    "arrow",
    "block",
    "boxes",
    "cells",
    "circle",
    "cover",
    "emphasize",
    "frame",
    "ink",
    "keep_limits",
    "key",
    "letter",
    "line",
    "matrix",
    "method",
    "new",
    "note",
    "on_picture",
    "polygon",
    "rectangle",
    "save",
    "show",
    "show_box",
    "show_overlay",
    "show_patch",
    "show_values",
    "swatch",
]

PAGE_WIDTH = 7.1  # inches; a journal's two columns
# Colors of the thesis's markers (section 4.3).
OUTLINE = "#00d13b"
RECEPTIVE_FIELD = "#2f6bff"
LINE_WIDTH = 0.8
REFERENCE = {"color": "0.4", "linestyle": ":", "linewidth": LINE_WIDTH}
SHADE = {"color": "0.92", "linewidth": 0, "zorder": 0}
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
POINT = {
    "color": MARK,
    "marker": "o",
    "markersize": 2.5,
    "linestyle": "none",
    "markerfacecolor": "white",
    "markeredgewidth": 0.75 * LINE_WIDTH,
}
CHOSEN_POINT = {**POINT, "markerfacecolor": MARK}
SMALL = 6  # points, the least that is printed
FLOW = {"color": "0.3", "linewidth": LINE_WIDTH}  # what leads to what
_FILL, _GRID = 0.3, "0.75"  # opacity of filled areas; lines of a matrix
_SIGNED = "RdBu_r"  # colors of values of both signs, zero is white
RESOLUTION = 300  # dots per inch of PNG files


class _Pointer(NamedTuple):
    """An arrow on a photograph; lengths in points."""

    color: str
    edge: str  # a thin line around it, so that it shows on any ground
    width: float  # of the shaft
    head: float  # width of the head
    point: float  # length of the head
    length: float  # of it all; that of the head, and there is no shaft


#: Arrows of the thesis's Figures 4.1 to 4.3, and what they are called in captions.
POINTERS = {
    "thin arrow": _Pointer("white", "black", 0.9, 3.4, 4, 15),
    "thick arrow": _Pointer("white", "black", 3, 7.5, 6.5, 16),
    "triangle": _Pointer("white", "black", 0, 6, 7, 7),
    "white arrow": _Pointer("white", "black", 2, 6, 6, 17),
    "blue arrow": _Pointer("#3b8cff", "white", 2, 6, 6, 17),
    "black arrow": _Pointer("black", "white", 2, 6, 6, 17),
    "green arrow": _Pointer("#1fd655", "black", 2, 6, 6, 17),
}
_GROUND = "#a5562f"  # of arrows beside photographs
_EDGE = 0.4  # points
_HALO = 0.9  # points, around text and lines on photographs

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


def line(network):
    """Color, marker and width of a network's line."""
    color, marker = _LINES[network]
    return {"color": color, "marker": marker, "markersize": 2.5, "linewidth": LINE_WIDTH}


def method(name):
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
    """Show a picture with gray values or colors in [0, 1], without ticks."""
    axes.imshow(image, cmap="gray", vmin=0, vmax=1)
    axes.set_xticks([])
    axes.set_yticks([])


def show_overlay(axes, image, saliency, sigma=1.0, peak=None):
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


def show_box(axes, box, image):
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


def keep_limits(axes, image):
    """Set the limits to the image's: lines at its border must not add a margin."""
    rows, columns = np.shape(image)[:2]
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)


def show_values(axes, values, limit, label):
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
    drawn = axes.imshow(values, vmin=-limit, vmax=limit, cmap=_SIGNED)
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


def show_patch(axes, patch, limit):
    """Show an exemplar in grays from ``-limit`` to ``limit``; gives what was drawn."""
    axes.set_xticks([])
    axes.set_yticks([])
    return axes.imshow(patch, cmap="gray", vmin=-limit, vmax=limit)


def rectangle(axes, box, color, fill=True, inset=0.0):
    """Outline, and fill lightly, a box of cells.

    Parameters
    ----------
    axes : matplotlib axes
    box : (first row, first column, end row, end column)
    color : color
    fill : bool
    inset : float
        How far the outline lies within the box, in cells.
    """
    top, left, bottom, right = box
    corner = left - 0.5 + inset, top - 0.5 + inset
    size = right - left - 2 * inset, bottom - top - 2 * inset
    if fill:
        axes.add_patch(patches.Rectangle(corner, *size, facecolor=color, alpha=_FILL, linewidth=0))
    axes.add_patch(
        patches.Rectangle(corner, *size, fill=False, edgecolor=color, linewidth=1.5 * LINE_WIDTH)
    )


def cover(axes, box):
    """Cover what an occluder covers."""
    top, left, bottom, right = box
    axes.add_patch(
        patches.Rectangle(
            (left - 0.5, top - 0.5), right - left, bottom - top, facecolor=MARK, linewidth=0
        )
    )


def block(axes, left, bottom, width, height, color):
    """A block of a diagram."""
    axes.add_patch(
        patches.Rectangle((left, bottom), width, height, facecolor=color, linewidth=0, zorder=3)
    )


def polygon(axes, corners, color=None):
    """Draw a polygon: filled with a color, or as an empty cell of a grid."""
    if color is None:
        options = {"fill": False, "edgecolor": _GRID, "linewidth": 0.5 * LINE_WIDTH}
    else:
        options = {"facecolor": color, "edgecolor": "white", "linewidth": LINE_WIDTH}
    axes.add_patch(patches.Polygon(corners, closed=True, **options))


def matrix(axes, texts, corner=(0, 0), title=None):
    """Write a matrix into square cells of the axes.

    Parameters
    ----------
    axes : matplotlib axes
    texts : array of str, ``(rows, columns)``
    corner : (row, column)
        Of the matrix's first cell.
    title : str, optional
        Above the matrix.
    """
    for place, text in np.ndenumerate(texts):
        row, column = np.add(corner, place)
        axes.add_patch(
            patches.Rectangle(
                (column - 0.5, row - 0.5),
                1,
                1,
                fill=False,
                edgecolor=_GRID,
                linewidth=0.5 * LINE_WIDTH,
            )
        )
        axes.text(column, row, text.replace("-", "−"), ha="center", va="center", linespacing=1.05)
    if title is not None:
        axes.text(
            corner[1] + np.shape(texts)[1] / 2 - 0.5,
            corner[0] - 0.65,
            title,
            ha="center",
            va="bottom",
        )


def show_matrix(axes, values, shown):
    """Show correlations as colors with their numbers, from -1 to 1; zero is white.

    Parameters
    ----------
    axes : matplotlib axes
    values : array, ``(rows, columns)``
    shown : bool array, ``(rows, columns)``
        Others stay empty, as does NaN.
    """
    axes.imshow(np.where(shown, values, np.nan), vmin=-1, vmax=1, cmap=_SIGNED)
    for place in zip(*np.nonzero(shown & np.isfinite(values))):
        dark = abs(values[place]) > 0.6
        axes.text(
            *place[::-1],
            f"{values[place]:.2f}".replace("-", "−"),
            size=SMALL,
            ha="center",
            va="center",
            color="white" if dark else "black",
        )
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(length=0, pad=2)


def cells(axes, rows, columns):
    """Square cells, without axes: those of matrices and boxes."""
    axes.set_xlim(-0.55, columns - 0.45)
    axes.set_ylim(rows - 0.45, -0.55)
    axes.set_aspect("equal")
    axes.set_axis_off()


def arrow(axes, tip, tail, kind, point):
    """Draw an arrow on a picture.

    Parameters
    ----------
    axes : matplotlib axes
    tip, tail : (row, column)
    kind : str
        A key of :data:`POINTERS`.
    point : float
        Pixels of the picture to a point in print.
    """
    look = POINTERS[kind]
    along = np.subtract(tail, tip) / np.hypot(*np.subtract(tail, tip))
    across = np.array([-along[1], along[0]])
    # Around it, from the tip on: how far along the arrow, and how far to one side.
    half, head = look.width / 2, look.head / 2
    outline = [
        (0, 0),
        (look.point, head),
        (look.point, half),
        (look.length, half),
        (look.length, -half),
        (look.point, -half),
        (look.point, -head),
    ]
    corners = [tip + point * (a * along + b * across) for a, b in outline]
    axes.add_patch(
        patches.Polygon(
            [corner[::-1] for corner in corners],
            closed=True,
            facecolor=look.color,
            edgecolor=look.edge,
            linewidth=_EDGE,
            joinstyle="miter",
            zorder=4,
        )
    )


def _halo(width):
    """A dark border that sets things off from a photograph."""
    return [patheffects.withStroke(linewidth=width + _HALO, foreground="black")]


def key(axes, entries):
    """Arrows of photographs and what they mean, one below the other.

    Parameters
    ----------
    axes : matplotlib axes
        Empty.
    entries : list of (kind, text)
        Kinds as for :func:`arrow`.
    """
    width, height = axes.get_window_extent().size * 72 / axes.figure.dpi  # points
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    for number, (kind, text) in enumerate(entries):
        middle = height / (2 * len(entries)) * (2 * number + 1)
        axes.add_patch(patches.Rectangle((2, middle - 7), 27, 14, facecolor=_GROUND, linewidth=0))
        half = POINTERS[kind].length / 2
        arrow(axes, (middle, 15.5 - half), (middle, 15.5 + half), kind, 1)
        axes.text(35, middle, text, va="center", linespacing=1.2)


def frame(axes, box):
    """Outline the part of a photograph that a close-up shows."""
    top, left, bottom, right = box
    axes.add_patch(
        patches.Rectangle(
            (left - 0.5, top - 0.5),
            right - left,
            bottom - top,
            fill=False,
            edgecolor="white",
            linewidth=0.6 * LINE_WIDTH,
            path_effects=_halo(0),
        )
    )


def circle(axes, center, radius, color="white"):
    """Draw a circle on a photograph; center (row, column) and radius in pixels."""
    axes.add_patch(
        patches.Circle(
            center[::-1],
            radius,
            fill=False,
            edgecolor=color,
            linewidth=LINE_WIDTH,
            path_effects=_halo(LINE_WIDTH),
        )
    )


def letter(axes, box, text, point):
    """Write a letter above a box on a photograph, or in it where there is no room.

    Parameters as for :func:`frame` and :func:`arrow`.
    """
    top, left = box[:2]
    if top > 10 * point:
        on_picture(axes, (top - point, left), text, va="bottom")
    else:
        on_picture(axes, (top + 2 * point, left + 2 * point), text, va="top")


def on_picture(axes, place, text, **options):
    """Write on a photograph at (row, column)."""
    axes.text(place[1], place[0], text, color="white", path_effects=_halo(0), **options)


def boxes(axes, values, places, width, color):
    """Boxes of the quartiles of samples, with whiskers from 5 to 95 %.

    Parameters
    ----------
    axes : matplotlib axes
    values : list of arrays
        Samples; NaN does not count, and a sample of nothing else is left out.
    places : sequence of float
        Along the x axis.
    width : float
    color : color
    """
    filled = [
        (each[~np.isnan(each)], place)
        for each, place in zip(values, places)
        if not np.isnan(each).all()
    ]
    if not filled:
        return
    samples, places = zip(*filled)
    thin = {"color": color, "linewidth": LINE_WIDTH}
    axes.boxplot(
        list(samples),
        positions=places,
        widths=width,
        whis=(5, 95),
        showfliers=False,
        patch_artist=True,
        manage_ticks=False,
        boxprops={"facecolor": color, "edgecolor": color, "alpha": _FILL, "linewidth": LINE_WIDTH},
        medianprops={"color": color, "linewidth": 2 * LINE_WIDTH},
        whiskerprops=thin,
        capprops={"linewidth": 0},
    )


def ink(color):
    """Black or white, whichever can be read on a color."""
    red, green, blue = matplotlib.colors.to_rgb(color)
    # Brightness as the eye weighs it (ITU-R BT.601).
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.45 else "white"


def swatch(color, label):
    """A legend's entry of a filled area."""
    return patches.Patch(facecolor=color, label=label)


def emphasize(axes):
    """Mark one of several axes as what a figure is about."""
    for spine in axes.spines.values():
        spine.set(color=MARK, linewidth=1.5 * LINE_WIDTH)


def note(axes, text):
    """Write a small note below the axes."""
    axes.text(0.5, -0.04, text, transform=axes.transAxes, ha="center", va="top", size=SMALL)


# --- Files ------------------------------------------------------------------------


def save(figure, stem, suffixes=(".png", ".pdf")):
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
