"""Figure of 'cnnviz visualize': what features of a layer look for in a photograph.

A row for every feature.  Saliency: the image with the receptive field of the most
active neuron, the map in one colour scale, and its overlay (thesis section 4.3).
Exemplars: the image, what that neuron sees of it, and what it would rather see.
"""
import textwrap
from typing import NamedTuple

import numpy as np

from cnnviz import exemplars, exemplars_regularized, occlusion, overlay, saliency
from cnnviz.deconvnet import reconstruction
from cnnviz.figures import style
from cnnviz.receptive_field import receptive_field

__all__ = ["Picture", "Neuron", "Exemplar", "strongest_neurons", "saliency_maps",
           "find_exemplars", "shown", "stretched", "usual_sigma", "draw_maps",
           "draw_exemplars"]

#: What the colours of a map stand for, by method.
UNITS = {"gradient-max": "gradient", "gradient-sum": "gradient",
         "occlusion": "activation lost", "deconvnet": "projection",
         "guided": "guided gradient"}
LABEL_WIDTH, GAP, MARGIN = 1.1, 0.08, 0.04   # inches
COLUMNS = 3
_LINE = 0.13              # of the title
_HEADING, _BELOW = 0.2, 0.36  # above the first row; of bar or notes below each row


class Picture(NamedTuple):
    """An image as a network takes it, and what leads back to what is shown."""
    pixels: np.ndarray   #: ``(1, channels, rows, columns)``, standardized
    mean: np.ndarray     #: one for all channels, or ``(channels,)``
    std: np.ndarray

    def shown(self):
        """The image in [0, 1], ``(rows, columns)`` or ``(rows, columns, 3)``."""
        return np.clip(shown(self.pixels[0], self.mean, self.std), 0, 1)


class Neuron(NamedTuple):
    """The most active neuron of a feature."""
    feature: int
    place: tuple         #: row and column in the feature map
    activation: float
    box: tuple           #: pixels that it sees, not clipped; None if that is unknown,
                         #: or if the map is the same everywhere


class Exemplar(NamedTuple):
    """An exemplar and what it is compared with."""
    feature: int
    neuron: Neuron       #: the most active one in the image; None without one
    start: np.ndarray    #: what it sees, or noise, ``(channels, rows, columns)``
    patch: np.ndarray
    before: float        #: linear activation of the central neuron by ``start``
    reached: float       #: and by ``patch``


# --- Computing --------------------------------------------------------------------

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
    maps = saliency.feature_maps(layer, pixels)[0, features]
    try:
        field = receptive_field(layer)
    except ValueError:
        field = None
    found = []
    for feature, each in zip(features, maps):
        place = tuple(map(int, np.unravel_index(each.argmax(), each.shape)))
        known = field is not None and each.min() < each.max()
        found.append(Neuron(feature, place, float(each[place]),
                            field.box(*place) if known else None))
    return found


def saliency_maps(layer, pixels, features, method, size=11, stride=1):
    """Saliency of one image by the name of a method.

    Parameters
    ----------
    layer : lasagne.layers.Layer
    pixels : array, ``(1, channels, rows, columns)``
    features : sequence of int
    method : str
        A key of :data:`UNITS`.
    size, stride : int
        Of occlusion.

    Returns
    -------
    array, ``(features, rows, columns)``
        NaN where no occluder was centred.
    """
    if method == "occlusion":
        maps = occlusion.neuron_occlusion(layer, pixels, features, size, stride,
                                          progress=True)
    elif method in ("deconvnet", "guided"):
        maps = reconstruction(layer, pixels, features, method, progress=True)
    else:
        maps = saliency.feature_saliency(layer, pixels, features,
                                         method.removeprefix("gradient-"), progress=True)
    return maps[:, 0]


def find_exemplars(layer, features, pixels=None, regularize=False, seed=0, steps=None,
                   norm=None):
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
    network = exemplars.patch_network(layer)
    neurons = [None] * len(features)
    if pixels is None:
        start = exemplars.start_noise(network, features, seed)
    else:
        start, neurons = _seen(network, pixels, features)
    before = network.evaluate(start, features)[0]
    found = _ascend(network, start, features, regularize, seed, steps, norm)
    return [Exemplar(feature, neuron, *values) for feature, neuron, *values in zip(
        features, neurons, start, found.patches, map(float, before),
        map(float, found.reached))]


def _seen(network, pixels, features):
    """What the most active neurons see, and these, by linear activation."""
    maxima = exemplars.start_maximum(network, pixels, features)
    field = receptive_field(network.layer)
    return maxima.patches, [
        Neuron(feature, tuple(map(int, place)), float(activation), field.box(*place))
        for feature, place, activation
        in zip(features, maxima.neurons, maxima.activations)]


def _ascend(network, start, features, regularize, seed, steps, norm):
    rule = exemplars_regularized.RULE if regularize else exemplars.Rule()
    norm = np.sqrt(np.prod(network.shape)) if norm is None else norm
    rule = rule._replace(norm=norm or None, steps=rule.steps if steps is None else steps)
    if regularize:
        return exemplars_regularized.regularized(network, features, seed, rule,
                                                 progress=True)
    return exemplars.maximize(network, start, features, rule, progress=True)


# --- Pictures ---------------------------------------------------------------------

def shown(pixels, mean, std):
    """From a network's input to a picture, not yet within [0, 1].

    Parameters
    ----------
    pixels : array, ``(channels, rows, columns)``
    mean, std : array
        One for all channels, or ``(channels,)``.

    Returns
    -------
    array, ``(rows, columns)`` for one channel, else ``(rows, columns, channels)``
    """
    mean, std = (np.reshape(each, (-1, 1, 1)) for each in (mean, std))
    values = np.moveaxis(pixels * std + mean, 0, -1)
    return values[..., 0] if values.shape[-1] == 1 else values


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
    lines = "\n".join(textwrap.fill(style.printable(line), 115)
                      for line in title.splitlines())
    top = _LINE * (lines.count("\n") + 1) + _HEADING + MARGIN
    width = (style.PAGE_WIDTH - LABEL_WIDTH - MARGIN) / COLUMNS - GAP
    side = min(width * shape[0] / shape[1], 2 * width)
    height = top + count * (side + _BELOW)
    figure = style.new(height)
    figure.text(MARGIN / style.PAGE_WIDTH, 1 - MARGIN / height, lines, va="top",
                parse_math=False, linespacing=1.2)
    axes = np.array([[figure.add_axes([
        (LABEL_WIDTH + column * (width + GAP)) / style.PAGE_WIDTH,
        1 - (top + row * (side + _BELOW) + side) / height,
        width / style.PAGE_WIDTH, side / height])
        for column in range(len(headings))] for row in range(count)])
    for each, heading in zip(axes[0], headings):
        each.set_title(heading, pad=3)
    return figure, axes


def _show_field(axes, neuron, image, note):
    """What a neuron sees, on the image that the axes show."""
    axes.set_frame_on(False)   # it would hide the box along the border
    if neuron.box is not None:
        style.show_box(axes, neuron.box, image)
    style.note(axes, note or "")


def _label(axes, feature, neuron, shape):
    """What is known of a feature, to the left of its row."""
    lines = [f"feature {feature}"]
    if neuron is not None:
        lines += [f"activation {_number(neuron.activation)}", *_field(neuron, shape)]
    axes.text(-0.04, 0.5, "\n".join(lines), transform=axes.transAxes, ha="right",
              va="center", linespacing=1.3)


def _field(neuron, shape):
    if neuron.box is None:
        return ["no field to show"]
    top, left, bottom, right = neuron.box
    inside = min(top, left) >= 0 and bottom <= shape[0] and right <= shape[1]
    return ["neuron ({}, {})".format(*neuron.place),
            f"sees {bottom - top} × {right - left}",
            *([] if inside else ["(partly outside)"])]


def draw_maps(title, picture, neurons, maps, unit, sigma=None, same_scale=False):
    """Image, smoothed saliency map and overlay of every feature.

    Parameters
    ----------
    title : str
        One line or more.
    picture : Picture
    neurons : list of Neuron
    maps : array, ``(features, rows, columns)``
        NaN where no occluder was centred: filled in for the figure.
    unit : str
        Of the maps.
    sigma : float, optional
        Of the smoothing; :func:`usual_sigma` when None.
    same_scale : bool
        One colour scale, and one threshold of importance, for all features.

    Returns
    -------
    matplotlib.figure.Figure
    """
    image = picture.shown()
    sigma = usual_sigma(image.shape[:2]) if sigma is None else sigma
    maps = overlay.smooth(occlusion.interpolated(maps), sigma)
    limit, peak = (overlay.limit(maps), maps.max()) if same_scale else (None, None)
    figure, panels = _panels(title, ("image", f"{unit} (smoothed, σ = {sigma:g})",
                                     "overlay"), len(maps), image.shape)
    for neuron, values, (left, middle, right) in zip(neurons, maps, panels):
        _label(left, neuron.feature, neuron, image.shape)
        style.show(left, image)
        _show_field(left, neuron, image, neuron.box and "blue: what the neuron sees")
        style.show_values(middle, values, limit or overlay.limit(values), "")
        style.show_overlay(right, image, values, 0, peak)
        _show_field(right, neuron, image, "green: important areas")
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
    headings, image = ("standard noise", "exemplar"), found[0].patch[0]
    if picture is not None:
        headings, image = ("image", "what the neuron sees", "exemplar"), picture.shown()
    figure, panels = _panels(title, headings, len(found), image.shape)
    for each, axes in zip(found, panels):
        _label(axes[0], each.feature, each.neuron, image.shape)
        if picture is not None:
            style.show(axes[0], image)
            _show_field(axes[0], each.neuron, image, "blue: what the neuron sees")
        _show_patch(axes[-2], shown(each.start, mean, std), each.before)
        _show_patch(axes[-1], shown(each.patch, mean, std), each.reached)
    return figure


def _show_patch(axes, values, activation):
    fitted, low, high = stretched(values)
    style.show(axes, fitted)
    note = f"activation {_number(activation)}"
    if (low, high) != (0, 1):
        note += f"\nblack is {_number(low)}, white is {_number(high)}"
    style.note(axes, note)
