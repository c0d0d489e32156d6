"""Patches from which an ascent starts (thesis section 4.4)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from cnnviz.feature_visualization.patch_network import PatchNetwork
from cnnviz.networks.inputs import as_arrays, batches, check_features, precision
from cnnviz.runtime.errors import UserError

__all__ = ["STARTS", "Maxima", "start_maximum", "start_mean", "start_noise", "starting_points"]

STARTS = ("maximum", "mean", "noise")


class Maxima(NamedTuple):
    """The most strongly activating neuron of each feature, and what it saw."""

    patches: np.ndarray  #: ``(features, channels, rows, columns)``
    images: np.ndarray  #: ``(features,)``, index in the sample
    neurons: np.ndarray  #: ``(features, 2)``, row and column in the map
    activations: np.ndarray  #: ``(features,)``, linear


def start_maximum(
    network: PatchNetwork,
    images: Any,
    features: Any = None,
    batch_size: int = 32,
    progress: bool = False,
) -> Maxima:
    """Start at what most strongly activates a feature in a sample (section 4.4).

    Parameters
    ----------
    network : PatchNetwork
    images : array, ``(n, channels, rows, columns)``
        A stratified sample; read in batches, so it may be a memory map.
    features : int or sequence of int, optional
        All features when None.
    batch_size : int
        Images a pass; does not change the result.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Maxima
        Of the linear activation; the first of equal ones.  A patch is zero,
        the mean of standardized images, where it crosses the border.  It
        covers the same part of the receptive field as the patches of
        ``network``.

    Raises
    ------
    ValueError
        For a feature that the layer lacks, or images of the wrong shape, not
        finite or none at all.
    """
    features = check_features(network.layer, features)
    if not len(images):
        raise UserError("no images were given")
    activations = np.full(len(features), -np.inf)
    places = np.zeros((len(features), 3), int)  # image, row, column
    for part in tqdm(list(batches([images], batch_size)), unit=" batches", disable=not progress):
        (array,) = as_arrays(network.layer, np.array(images[part]))
        values, within = _strongest(network.maps(array)[:, features])
        better = values > activations
        activations[better] = values[better]
        places[better] = within[better] + (part.start, 0, 0)
    patches = np.stack([_seen(network, images[place[0]], place[1:]) for place in places])
    return Maxima(patches, places[:, 0], places[:, 1:], activations)


def _strongest(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Value and (image, row, column) of each feature's maximum."""
    maps = np.moveaxis(maps, 1, 0)
    flat = maps.reshape(len(maps), -1)
    places = np.stack(np.unravel_index(flat.argmax(axis=1), maps.shape[1:]), axis=1)
    return flat.max(axis=1), places


def _seen(
    network: PatchNetwork, image: np.ndarray, neuron: np.ndarray | tuple[int, int]
) -> np.ndarray:
    """What a neuron sees of an image, zero outside of it."""
    patch = np.zeros(network.shape, precision(network.layer))
    within, places = [], []
    for k in range(2):
        shift = network.stride[k] * (neuron[k] - network.neuron[k])
        place = network.box[k] + shift + np.arange(network.shape[1 + k])
        inside = (place >= 0) & (place < image.shape[1 + k])
        within.append(np.flatnonzero(inside))
        places.append(place[inside])
    channels = np.arange(len(image))
    patch[np.ix_(channels, *within)] = np.asarray(image)[np.ix_(channels, *places)]
    return patch


def start_mean(network: PatchNetwork, image: Any, features: Any = None) -> np.ndarray:
    """Start at the mean image, at the neuron's own place (section 4.4).

    Parameters
    ----------
    network : PatchNetwork
    image : array, ``(channels, rows, columns)``
        Mean of the data set, standardized as the network's input is.
    features : int or sequence of int, optional
        All features when None.

    Returns
    -------
    array, ``(features, channels, rows, columns)``
        The same patch for every feature.

    Raises
    ------
    ValueError
        For a feature that the layer lacks, or an image of another shape or
        not finite.
    """
    features = check_features(network.layer, features)
    (array,) = as_arrays(network.layer, np.asarray(image)[np.newaxis])
    return np.repeat(_seen(network, array[0], network.neuron)[np.newaxis], len(features), axis=0)


def start_noise(network: PatchNetwork, features: Any = None, seed: int = 0) -> np.ndarray:
    """Start at Gaussian noise of mean 0 and standard deviation 1 (section 4.4).

    Parameters
    ----------
    network : PatchNetwork
    features : int or sequence of int, optional
        All features when None.
    seed : int
        A feature's noise depends on it and on the feature alone.

    Returns
    -------
    array, ``(features, channels, rows, columns)``

    Raises
    ------
    ValueError
        For a feature that the layer lacks, or a negative seed.
    """
    features = check_features(network.layer, features)
    noise = [np.random.RandomState([seed, feature]).randn(*network.shape) for feature in features]
    return np.stack(noise).astype(precision(network.layer))


def starting_points(
    network: PatchNetwork,
    start: str,
    features: Any = None,
    images: Any = None,
    mean: Any = None,
    seed: int = 0,
) -> np.ndarray:
    """Patches to start from, by the name of the thesis's method (section 4.4).

    Parameters
    ----------
    network : PatchNetwork
    start : {"maximum", "mean", "noise"}
    features : int or sequence of int, optional
        All features when None.
    images : array, ``(n, channels, rows, columns)``
        For "maximum": see :func:`start_maximum`.
    mean : array, ``(channels, rows, columns)``
        For "mean": see :func:`start_mean`.
    seed : int
        For "noise": see :func:`start_noise`.

    Returns
    -------
    array, ``(features, channels, rows, columns)``

    Raises
    ------
    ValueError
        For an unknown start, or one without what it starts from.
    """
    if start not in STARTS:
        raise UserError(f"unknown start '{start}'; choose one of " + ", ".join(STARTS))
    if start == "noise":
        return start_noise(network, features, seed)
    if start == "maximum" and images is None or start == "mean" and mean is None:
        needed = {"maximum": "images", "mean": "the mean image"}[start]
        raise UserError(f"start '{start}' needs {needed}")
    if start == "maximum":
        return start_maximum(network, images, features).patches
    return start_mean(network, mean, features)
