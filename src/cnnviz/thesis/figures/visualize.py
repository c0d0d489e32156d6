"""Figure of 'cnnviz visualize': what features of a layer look for in a photograph.

A row for every feature.  Saliency: the image with the receptive field of the most
active neuron, the map in one color scale, and its overlay (thesis section 4.3).
Exemplars: the image, what that neuron sees of it, and what it would rather see.
Output units, such as class scores, have rows of saliency, too.
"""

import textwrap
from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from cnnviz.attribution import overlay
from cnnviz.attribution.activations import feature_maps, maximal_neurons
from cnnviz.attribution.interpolation import interpolated
from cnnviz.attribution.methods import METHODS
from cnnviz.attribution.occluder import Occluder
from cnnviz.attribution.receptive_field import receptive_field
from cnnviz.attribution.reductions import reduce_channels
from cnnviz.feature_visualization import (
    activation_maximization,
    ascent,
    patch_network,
    regularization,
    starting_points,
)
from cnnviz.networks.channel_axes import reduced_axis
from cnnviz.networks.layers import outputs
from cnnviz.runtime.errors import UserError
from cnnviz.thesis.figures import fonts, style

__all__ = [
    "Exemplar",
    "Look",
    "Neuron",
    "Picture",
    "Unit",
    "attribution_maps",
    "draw_exemplars",
    "draw_maps",
    "filled",
    "find_exemplars",
    "responses",
    "shown",
    "silence",
    "stretched",
    "strongest",
    "strongest_neurons",
    "units",
    "usual_sigma",
]

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

    def shown(self):
        """The image in [0, 1], ``(rows, columns)`` or ``(rows, columns, 3)``."""
        return self.fitted()[0]

    def fitted(self):
        """As :func:`stretched` gives it; but for rounding, pictures are as they were."""
        values = shown(self.pixels[0], self.mean, self.std)
        if -_ROUNDING <= values.min() and values.max() <= 1 + _ROUNDING:
            return np.clip(values, 0, 1), 0.0, 1.0
        return stretched(values)


class Neuron(NamedTuple):
    """The most active neuron of a feature."""

    feature: int
    place: tuple  #: row and column in the feature map
    activation: float
    box: tuple  #: pixels that it sees, not clipped; None if that is unknown,
    #: or if the map is the same everywhere


class Unit(NamedTuple):
    """An output unit, such as a class score."""

    feature: int
    output: float


class Exemplar(NamedTuple):
    """An exemplar and what it is compared with."""

    feature: int
    neuron: Neuron  #: the most active one in the image; None without one
    start: np.ndarray  #: what it sees, or noise, ``(channels, rows, columns)``
    patch: np.ndarray
    before: float  #: linear activation of the central neuron by ``start``
    reached: float  #: and by ``patch``


# --- Computing --------------------------------------------------------------------


def responses(layer, pixels):
    """How strongly features or units respond to an image: their largest activations.

    Parameters
    ----------
    layer : lasagne.layers.Layer
        With feature maps or output units.
    pixels : array, ``(1, channels, rows, columns)``

    Returns
    -------
    array, ``(features,)``
    """
    found = outputs(layer, pixels)[0]
    return found.reshape(len(found), -1).max(axis=1)


def strongest(values, count):
    """Indices of the largest values, largest first, at most so many."""
    return [int(k) for k in np.argsort(-np.asarray(values), kind="stable")[:count]]


def units(layer, pixels, wanted):
    """Output units on one image: list of :class:`Unit`."""
    found = outputs(layer, pixels)[0]
    return [Unit(unit, float(found[unit])) for unit in wanted]


def silence(layer, pixels, rows, maps):
    """Why the saliency of a feature or unit shows nothing, where that is so.

    Parameters
    ----------
    layer : lasagne.layers.Layer
    pixels : array, ``(1, channels, rows, columns)``
    rows : list of Neuron or Unit
    maps : array, ``(features, rows, columns)``
        Saliency; NaN where no occluder was centered.

    Returns
    -------
    dict
        From a feature to a reason; none for those that show something.
    """
    blank = [not np.nan_to_num(values).any() for values in maps]
    suspects = [
        each.feature
        for each, empty in zip(rows, blank)
        if empty or isinstance(each, Neuron) and each.activation == 0
    ]
    if not suspects:  # as nearly always: no pass for nothing
        return {}
    found, reasons = outputs(layer, pixels)[0], {}
    for each, empty in zip(rows, blank):
        activation = found[each.feature]
        if each.feature in suspects and activation.ndim and not activation.any():
            reasons[each.feature] = "its map is 0 everywhere"
        elif empty:
            same = activation.size > 1 and activation.min() == activation.max()
            reasons[each.feature] = (
                f"its map is {_number(activation.max())} everywhere"
                if same
                else f"its saliency is 0 everywhere (activation {_number(activation.max())})"
            )
    return reasons


def filled(pixels, choice, size):
    """What occluders cover an image with.

    Parameters
    ----------
    pixels : array, ``(1, channels, rows, columns)``
    choice : sequence of float, "mean" or "blur"
        One number or one for each channel; the mean of each channel of the image; or
        the image, blurred so far that nothing of an occluder's size is left.
    size : int
        Of the occluder.

    Returns
    -------
    float, array ``(channels,)``, or array ``(channels, rows, columns)``

    Raises
    ------
    ValueError
        For a wrong number of numbers.
    """
    channels = pixels.shape[1]
    if isinstance(choice, str):
        return (
            pixels[0].mean(axis=(1, 2)) if choice == "mean" else overlay.smooth(pixels[0], size / 2)
        )
    if len(choice) not in (1, channels):
        raise UserError(f"--fill: {len(choice)} numbers for {channels} channels")
    return choice[0] if len(choice) == 1 else np.array(choice)


def strongest_neurons(layer, pixels, features):
    """The first most active neuron of every feature in one image.

    Parameters
    ----------
    layer : lasagne.layers.Layer
    pixels : array, ``(1, channels, rows, columns)``
    features : sequence of int

    Returns
    -------
    list of Neuron
        Without boxes where a layer below is not local.
    """
    maps = feature_maps(layer, pixels)[0, features]
    try:
        field = receptive_field(layer)
    except ValueError:
        field = None
    found = []
    for feature, each in zip(features, maps):
        place = tuple(maximal_neurons(each).tolist())
        known = field is not None and each.min() < each.max()
        found.append(
            Neuron(feature, place, float(each[place]), field.box(*place) if known else None)
        )
    return found


def attribution_maps(layer, pixels, wanted, method, occluder=None, copies=1):
    """Saliency of features, or of output units, in one image.

    Parameters
    ----------
    layer : lasagne.layers.Layer
    pixels : array, ``(1, channels, rows, columns)``
    wanted : sequence of int
        Features or units.
    method : str
        A key of :data:`cnnviz.attribution.methods.METHODS`; of units, "occlusion" or a gradient.
    occluder : Occluder, optional
    copies : int
        How many images the network takes: see :func:`cnnviz.networks.own.fit`.

    Returns
    -------
    array, ``(features, rows, columns)``
        NaN where no occluder was centered.
    """
    attribution = METHODS[method].make(layer, occluder or Occluder())
    if method != "occlusion":  # which takes care of a network's number of images itself
        pixels = np.repeat(pixels, copies, axis=0)
    maps = attribution.attribute(pixels, wanted, progress=True)
    if maps.shape[2] == 1 and maps.ndim == 5:
        return maps[0, :, 0]
    axis = reduced_axis(layer)
    return reduce_channels(maps, axis=None if axis is None else axis + 1)[0]


def find_exemplars(layer, features, pixels=None, regularize=False, seed=0, steps=None, norm=None):
    """Exemplars of the features, at the central neuron of their maps.

    Parameters
    ----------
    layer : lasagne.layers.Layer
    features : sequence of int
    pixels : array, ``(1, channels, rows, columns)``, optional
        The ascent starts from what the most active neuron sees of it, or from
        noise without it.  Regularized ones always start from noise, and are only
        compared with what the neuron sees.
    regularize : bool
    seed : int
        Of the noise.
    steps : int, optional
        At most; the method's own number when None.
    norm : float, optional
        L2 norm of the patch, 0 for any; when None, that of standard noise.

    Returns
    -------
    list of Exemplar
    """
    network = patch_network.patch_network(layer)
    neurons = [None] * len(features)
    if pixels is None:
        start = starting_points.start_noise(network, features, seed)
    else:
        start, neurons = _seen(network, pixels, features)
    before = network.evaluate(start, features)[0]
    found = _ascend(network, start, features, regularize, seed, steps, norm)
    return [
        Exemplar(feature, neuron, *values)
        for feature, neuron, *values in zip(
            features, neurons, start, found.patches, map(float, before), map(float, found.reached)
        )
    ]


def _seen(network, pixels, features):
    """What the most active neurons see, and these, by linear activation."""
    maxima = starting_points.start_maximum(network, pixels, features)
    field = receptive_field(network.layer)
    return maxima.patches, [
        Neuron(feature, tuple(map(int, place)), float(activation), field.box(*place))
        for feature, place, activation in zip(features, maxima.neurons, maxima.activations)
    ]


def _ascend(network, start, features, regularize, seed, steps, norm):
    rule = regularization.RULE if regularize else ascent.Rule()
    norm = np.sqrt(np.prod(network.shape)) if norm is None else norm
    rule = rule._replace(norm=norm or None, steps=rule.steps if steps is None else steps)
    if regularize:
        return regularization.maximize_regularized(network, features, seed, rule, progress=True)
    return activation_maximization.maximize(network, start, features, rule, progress=True)


# --- Pictures ---------------------------------------------------------------------


def shown(pixels, mean, std):
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


def _for_channels(values, shape):
    """Means, say, in a form that goes with images of a shape."""
    values = np.asarray(values)
    if values.ndim < 3:
        return values.reshape(-1, 1, 1)
    return values if values.shape == shape else values.mean(axis=(1, 2), keepdims=True)


def stretched(values):
    """Fit values that leave [0, 1] into it, but for a few of the outermost.

    Returns
    -------
    array like ``values``, and the values that become 0 and 1
    """
    low, high = np.percentile(values, [0.5, 99.5])
    if low >= 0 and high <= 1 or low == high:
        return np.clip(values, 0, 1), 0.0, 1.0
    return np.clip((values - low) / (high - low), 0, 1), low, high


def usual_sigma(shape):
    """A small smoothing kernel: 1 pixel, and 3 in a photograph of 512 pixels."""
    return max(1.0, min(shape) * 3 / 512)


# --- Drawing ----------------------------------------------------------------------

_number = style.number


def _panels(title, headings, count, shape):
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
                    [
                        (LABEL_WIDTH + column * (width + GAP)) / style.PAGE_WIDTH,
                        1 - (top + row * (side + _BELOW) + side) / height,
                        width / style.PAGE_WIDTH,
                        side / height,
                    ]
                )
                for column in range(len(headings))
            ]
            for row in range(count)
        ]
    )
    for each, heading in zip(axes[0], headings):
        each.set_title(heading, pad=3)
    return figure, axes


def _show_field(axes, box, image, note):
    """What a neuron sees, if that is known, on the image that the axes show."""
    axes.set_frame_on(False)  # it would hide the box along the border
    if box is not None:
        style.show_box(axes, box, image)
    style.note(axes, note)


def _range(low, high):
    """Line on the contrast of a picture, where that was reduced."""
    if (low, high) == (0, 1):
        return []
    return [f"black is {_number(low)}, white is {_number(high)}"]


def _label(axes, feature, neuron, shape):
    """What is known of a feature or unit, to the left of its row."""
    lines = [f"feature {feature}"]
    if isinstance(neuron, Unit):
        lines = [f"unit {feature}", f"output {_number(neuron.output)}"]
    elif neuron is not None:
        lines += [f"activation {_number(neuron.activation)}", *_field(neuron, shape)]
    axes.text(
        -0.04,
        0.5,
        "\n".join(lines),
        transform=axes.transAxes,
        ha="right",
        va="center",
        linespacing=1.3,
    )


def _field(neuron, shape):
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


def draw_maps(title, picture, neurons, maps, unit, look=Look()):  # noqa: B008 (immutable)
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
    look : Look

    Returns
    -------
    matplotlib.figure.Figure
    """
    sigma, same_scale, silent = look
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


def draw_exemplars(title, found, mean, std, picture=None):
    """Image, start and exemplar of every feature.

    Parameters
    ----------
    title : str
        One line or more.
    found : list of Exemplar
    mean, std : array
        Of the network's input.
    picture : Picture, optional
        Which the exemplars are compared with.

    Returns
    -------
    matplotlib.figure.Figure
    """
    headings, image, ends = ("standard noise", "exemplar"), found[0].patch[0], (0, 1)
    if picture is not None:
        headings = ("image", "what the neuron sees", "exemplar")
        image, *ends = picture.fitted()
    figure, panels = _panels(title, headings, len(found), image.shape)
    for each, axes in zip(found, panels):
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


def _show_patch(axes, values, activation):
    fitted, low, high = stretched(values)
    style.show(axes, fitted)
    style.note(axes, "\n".join([f"activation {_number(activation)}", *_range(low, high)]))
