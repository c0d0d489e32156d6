"""What features and units make of one image: their neurons, maps, exemplars, silence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnnviz.attribution import overlay
from cnnviz.attribution.activations import feature_maps, maximal_neurons
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
from cnnviz.runtime import number_format
from cnnviz.runtime.errors import UserError

if TYPE_CHECKING:
    from lasagne.layers import Layer

__all__ = [
    "Exemplar",
    "Neuron",
    "Unit",
    "attribution_maps",
    "filled",
    "find_exemplars",
    "responses",
    "silence",
    "strongest",
    "strongest_neurons",
    "units",
]


class Neuron(NamedTuple):
    """The most active neuron of a feature."""

    feature: int
    place: tuple  #: row and column in the feature map
    activation: float
    box: tuple | None  #: pixels that it sees, not clipped; None if that is unknown,


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


def responses(layer: Layer, pixels: np.ndarray) -> np.ndarray:
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
    values = outputs(layer, pixels)[0]
    return values.reshape(len(values), -1).max(axis=1)


def strongest(values: Sequence[int] | np.ndarray, count: int) -> list[int]:
    """Indices of the largest values, largest first, at most so many."""
    return [int(k) for k in np.argsort(-np.asarray(values), kind="stable")[:count]]


def units(layer: Layer, pixels: np.ndarray, wanted: Sequence[int]) -> list[Unit]:
    """Output units on one image: list of :class:`Unit`."""
    values = outputs(layer, pixels)[0]
    return [Unit(unit, float(values[unit])) for unit in wanted]


def silence(
    layer: Layer, pixels: np.ndarray, rows: Sequence[Neuron | Unit], maps: np.ndarray
) -> dict[int, str]:
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
            value = number_format.short(activation.max())
            reasons[each.feature] = (
                f"its map is {value} everywhere"
                if same
                else f"its saliency is 0 everywhere (activation {value})"
            )
    return reasons


def filled(pixels: np.ndarray, choice: Any, size: int) -> float | np.ndarray:
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


def strongest_neurons(layer: Layer, pixels: np.ndarray, features: Sequence[int]) -> list[Neuron]:
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
        box = field.box(*place) if field is not None and each.min() < each.max() else None
        found.append(Neuron(feature, place, float(each[place]), box))
    return found


def attribution_maps(
    layer: Layer,
    pixels: np.ndarray,
    wanted: Sequence[int],
    method: str,
    occluder: Occluder | None = None,
    copies: int = 1,
) -> np.ndarray:
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


def find_exemplars(
    layer: Layer,
    features: Sequence[int],
    pixels: np.ndarray | None = None,
    regularize: bool = False,
    seed: int = 0,
    steps: int | None = None,
    norm: float | None = None,
) -> list[Exemplar]:
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
    neurons: Any = [None] * len(features)
    if pixels is None:
        start = starting_points.start_noise(network, features, seed)
    else:
        start, neurons = _seen(network, pixels, features)
    before = network.evaluate(start, features)[0]
    exemplars = _ascend(network, start, features, regularize, seed, steps, norm)
    return [
        Exemplar(feature, neuron, *values)
        for feature, neuron, *values in zip(
            features,
            neurons,
            start,
            exemplars.patches,
            map(float, before),
            map(float, exemplars.reached),
        )
    ]


def _seen(
    network: patch_network.PatchNetwork, pixels: np.ndarray, features: Sequence[int]
) -> tuple[np.ndarray, list[Neuron]]:
    """What the most active neurons see, and these, by linear activation."""
    maxima = starting_points.start_maximum(network, pixels, features)
    field = receptive_field(network.layer)
    return maxima.patches, [
        Neuron(feature, tuple(map(int, place)), float(activation), field.box(*place))
        for feature, place, activation in zip(features, maxima.neurons, maxima.activations)
    ]


def _ascend(
    network: patch_network.PatchNetwork,
    start: np.ndarray,
    features: Sequence[int],
    regularize: bool,
    seed: int,
    steps: int | None,
    norm: float | None,
) -> ascent.Exemplars:
    rule = regularization.RULE if regularize else ascent.Rule()
    norm = np.sqrt(np.prod(network.shape)) if norm is None else norm
    rule = rule._replace(norm=norm or None, steps=rule.steps if steps is None else steps)
    if regularize:
        return regularization.maximize_regularized(network, features, seed, rule, progress=True)
    return activation_maximization.maximize(network, start, features, rule, progress=True)
