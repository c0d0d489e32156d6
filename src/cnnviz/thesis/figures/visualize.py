"""Figure of 'cnnviz visualize': what features of a layer look for in a photograph.

A row for every feature.  Saliency: the image with the receptive field of the most
active neuron, the map in one color scale, and its overlay (thesis section 4.3).
Exemplars: the image, what that neuron sees of it, and what it would rather see.
Output units, such as class scores, have rows of saliency, too.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnnviz.attribution import overlay
from cnnviz.attribution.interpolation import interpolated
from cnnviz.experiments.shown_features import Unit
from cnnviz.runtime import number_format
from cnnviz.thesis.figures import fonts, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cnnviz.experiments.shown_features import Exemplar, Neuron

__all__ = ["Look", "Picture", "draw_exemplars", "draw_maps", "shown", "stretched", "usual_sigma"]

LABEL_WIDTH, GAP, MARGIN = 1.1, 0.08, 0.04  # inches
COLUMNS = 3
_LINE = 0.13  # of the title
_ROUNDING = 1e-3  # of pictures, beyond [0, 1]
_HEADING, _BELOW = 0.2, 0.36  # above the first row; of bar or notes below each row


class Picture(NamedTuple):
    """An image as a network takes it, and what leads back to what is shown."""

    pixels: np.ndarray  #: ``(1, channels, rows, columns)``, standardized
    mean: np.ndarray  #: one for all channels, ``(channels,)``, or an image
    std: np.ndarray

    def shown(self) -> np.ndarray:
        """The image in [0, 1], ``(rows, columns)`` or ``(rows, columns, 3)``."""
        return self.fitted()[0]

    def fitted(self) -> tuple[np.ndarray, float, float]:
        """As :func:`stretched` gives it; but for rounding, pictures are as they were."""
        values = shown(self.pixels[0], self.mean, self.std)
        if -_ROUNDING <= values.min() and values.max() <= 1 + _ROUNDING:
            return np.clip(values, 0, 1), 0.0, 1.0
        return stretched(values)

    #: or if the map is the same everywhere


# --- Computing --------------------------------------------------------------------


# --- Pictures ---------------------------------------------------------------------


def shown(pixels: np.ndarray, mean: float | np.ndarray, std: np.ndarray) -> np.ndarray:
    """From a network's input to a picture, not yet within [0, 1].

    Parameters
    ----------
    pixels : array, ``(channels, rows, columns)``
    mean, std : array
        One for all channels, ``(channels,)``, or ``(channels, rows, columns)``, whose
        average stands for it where only a patch is shown.

    Returns
    -------
    array, ``(rows, columns, 3)`` for three channels, else ``(rows, columns)``
        The mean of channels that no picture has.
    """
    mean, std = (_for_channels(each, pixels.shape) for each in (mean, std))
    values = np.moveaxis(pixels * std + mean, 0, -1)
    if values.shape[-1] == 1:
        return values[..., 0]
    return values if values.shape[-1] == 3 else values.mean(axis=-1)


def _for_channels(values: float | np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Means, say, in a form that goes with images of a shape."""
    values = np.asarray(values)
    if values.ndim < 3:
        return values.reshape(-1, 1, 1)
    return values if values.shape == shape else values.mean(axis=(1, 2), keepdims=True)


def stretched(values: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Fit values that leave [0, 1] into it, but for a few of the outermost.

    Returns
    -------
    array like ``values``, and the values that become 0 and 1
    """
    low, high = np.percentile(values, [0.5, 99.5])
    if low >= 0 and high <= 1 or low == high:
        return np.clip(values, 0, 1), 0.0, 1.0
    return np.clip((values - low) / (high - low), 0, 1), low, high


def usual_sigma(shape: tuple[int, ...]) -> float:
    """A small smoothing kernel: 1 pixel, and 3 in a photograph of 512 pixels."""
    return max(1.0, min(shape) * 3 / 512)


# --- Drawing ----------------------------------------------------------------------


def _panels(
    title: str, headings: Sequence[str], count: int, shape: Sequence[int]
) -> tuple[Figure, np.ndarray]:
    """A titled figure and its axes, ``(count, headings)``, for images of a shape."""
    lines = "\n".join(textwrap.fill(fonts.printable(line), 115) for line in title.splitlines())
    top = _LINE * (lines.count("\n") + 1) + _HEADING + MARGIN
    width = (style.PAGE_WIDTH - LABEL_WIDTH - MARGIN) / COLUMNS - GAP
    side = min(width * shape[0] / shape[1], 2 * width)
    height = top + count * (side + _BELOW)
    figure = style.new(height)
    figure.text(
        MARGIN / style.PAGE_WIDTH,
        1 - MARGIN / height,
        lines,
        va="top",
        parse_math=False,
        linespacing=1.2,
    )
    axes = np.array(
        [
            [
                figure.add_axes(
                    (
                        (LABEL_WIDTH + column * (width + GAP)) / style.PAGE_WIDTH,
                        1 - (top + row * (side + _BELOW) + side) / height,
                        width / style.PAGE_WIDTH,
                        side / height,
                    )
                )
                for column in range(len(headings))
            ]
            for row in range(count)
        ]
    )
    for each, heading in zip(axes[0], headings):
        each.set_title(heading, pad=3)
    return figure, axes


def _show_field(axes: Axes, box: Any, image: np.ndarray, note: str) -> None:
    """What a neuron sees, if that is known, on the image that the axes show."""
    axes.set_frame_on(False)  # it would hide the box along the border
    if box is not None:
        style.show_box(axes, box, image)
    style.note(axes, note)


def _range(low: float, high: float) -> list[str]:
    """Line on the contrast of a picture, where that was reduced."""
    if (low, high) == (0, 1):
        return []
    return [f"black is {number_format.short(low)}, white is {number_format.short(high)}"]


def _label(axes: Axes, feature: int, neuron: Neuron | Unit | None, shape: Sequence[int]) -> None:
    """What is known of a feature or unit, to the left of its row."""
    lines = [f"feature {feature}"]
    if isinstance(neuron, Unit):
        lines = [f"unit {feature}", f"output {number_format.short(neuron.output)}"]
    elif neuron is not None:
        lines += [f"activation {number_format.short(neuron.activation)}", *_field(neuron, shape)]
    axes.text(
        -0.04,
        0.5,
        "\n".join(lines),
        transform=axes.transAxes,
        ha="right",
        va="center",
        linespacing=1.3,
    )


def _field(neuron: Neuron, shape: Sequence[int]) -> list[str]:
    if neuron.box is None:
        return ["no field to show"]
    top, left, bottom, right = neuron.box
    inside = min(top, left) >= 0 and bottom <= shape[0] and right <= shape[1]
    return [
        "neuron ({}, {})".format(*neuron.place),
        f"sees {bottom - top} × {right - left}",
        *([] if inside else ["(partly outside)"]),
    ]


class Look(NamedTuple):
    """How maps are shown."""

    sigma: float | None = None  #: of the smoothing; :func:`usual_sigma` when None
    #: One color scale, and one threshold of importance, for all features.
    same_scale: bool = False
    silent: Collection[int] = ()  #: features that show nothing


def draw_maps(
    title: str,
    picture: Picture,
    neurons: Sequence[Neuron | Unit],
    maps: np.ndarray,
    unit: str,
    look: Look | None = None,
) -> Figure:
    """Image, smoothed saliency map and overlay of every feature.

    Parameters
    ----------
    title : str
        One line or more.
    picture : Picture
    neurons : list of Neuron or Unit
    maps : array, ``(features, rows, columns)``
        NaN where no occluder was centered: filled in for the figure.
    unit : str
        Of the maps.
    look : Look, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    sigma, same_scale, silent = look or Look()
    image, *ends = picture.fitted()
    sigma = usual_sigma(image.shape[:2]) if sigma is None else sigma
    maps = overlay.smooth(interpolated(maps), sigma)
    limit, peak = (overlay.limit(maps), maps.max()) if same_scale else (None, None)
    figure, panels = _panels(
        title, ("image", f"{unit} (smoothed, σ = {sigma:g})", "overlay"), len(maps), image.shape
    )
    for neuron, values, (left, middle, right) in zip(neurons, maps, panels):
        _label(left, neuron.feature, neuron, image.shape)
        style.show(left, image)
        box = getattr(neuron, "box", None)
        _show_field(
            left,
            box,
            image,
            "\n".join([*(["blue: what the neuron sees"] if box else []), *_range(*ends)]),
        )
        style.show_values(middle, values, limit or overlay.limit(values), "")
        style.show_overlay(right, image, values, 0, peak)
        quiet = (
            "silent on this image"
            if neuron.feature in silent
            else ("nothing reaches the common threshold" if same_scale else "nothing raises it")
        )
        _show_field(right, box, image, "green: important areas" if right.lines else quiet)
    return figure


def draw_exemplars(
    title: str,
    exemplars: Sequence[Exemplar],
    mean: np.ndarray,
    std: np.ndarray,
    picture: Picture | None = None,
) -> Figure:
    """Image, start and exemplar of every feature.

    Parameters
    ----------
    title : str
        One line or more.
    exemplars : list of Exemplar
    mean, std : array
        Of the network's input.
    picture : Picture, optional
        Which the exemplars are compared with.

    Returns
    -------
    matplotlib.figure.Figure
    """
    headings: tuple[str, ...] = ("standard noise", "exemplar")
    image: Any = exemplars[0].patch[0]
    ends: Any = (0, 1)
    if picture is not None:
        headings = ("image", "what the neuron sees", "exemplar")
        image, *ends = picture.fitted()
    figure, panels = _panels(title, headings, len(exemplars), image.shape)
    for each, axes in zip(exemplars, panels):
        _label(axes[0], each.feature, each.neuron, image.shape)
        if picture is not None:
            style.show(axes[0], image)
            _show_field(
                axes[0],
                each.neuron.box,
                image,
                "\n".join(["blue: what the neuron sees", *_range(*ends)]),
            )
        _show_patch(axes[-2], shown(each.start, mean, std), each.before)
        _show_patch(axes[-1], shown(each.patch, mean, std), each.reached)
    return figure


def _show_patch(axes: Axes, values: np.ndarray, activation: float) -> None:
    fitted, low, high = stretched(values)
    style.show(axes, fitted)
    style.note(
        axes, "\n".join([f"activation {number_format.short(activation)}", *_range(low, high)])
    )
