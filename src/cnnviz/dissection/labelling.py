"""Names for all features of a layer, from pictures and masks that fit into memory.

As in thesis section 4.3, with masks in place of the eye: the nine pictures that
excite a feature most, and where the magnitude of the gradient of its maximum lies
on them (:mod:`cnnviz.dissection.network_dissection`).
"""

from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from cnnviz.attribution import overlay
from cnnviz.attribution.gradient import LayersGradient
from cnnviz.attribution.receptive_field import receptive_field
from cnnviz.dissection import network_dissection
from cnnviz.networks.inputs import input_variables
from cnnviz.runtime.backend import function, lasagne
from cnnviz.runtime.errors import UserError

__all__ = ["Probe", "Findings", "beats", "magnitude", "agreement"]

_PIXELS = 2**21  # of a forward pass, to bound its memory


class Findings(NamedTuple):
    """Where the saliency of a layer's features lies; see :class:`dissection.Localisation`."""

    share: np.ndarray  #: ``(features, concepts)``
    expected: np.ndarray  #: ``(features, concepts)``
    lift: np.ndarray  #: ``(features, concepts)``
    p: np.ndarray  #: ``(features, concepts)``


class Probe:
    """What features look at, compiled once, whatever the network's weights become.

    Parameters
    ----------
    layers : list of lasagne.layers.Layer
        With feature maps, each below the next, in a chain of layers from one input.
    windows : bool
        Compute gradients on what the maximal neuron sees, which pays off on large
        images, and needs local layers; else by whole passes, which compile faster.
    """

    def __init__(self, layers, windows=True):
        self.layers = layers
        images = input_variables(layers[-1])[1]
        self._maps = function(
            images, lasagne.layers.get_output(layers, images[0], deterministic=True)
        )
        self._gradients = LayersGradient(layers, evaluation="windows" if windows else "whole")

    def maps(self, images):
        """Feature maps in parts.

        Parameters
        ----------
        images : float32 array, ``(n, channels, rows, columns)``

        Yields
        ------
        part : slice
            Of the images.
        maps : list of float32 arrays, ``(part, features, map rows, map columns)``
            Of every layer.
        """
        count = max(1, _PIXELS // int(np.prod(images.shape[2:])))
        for start in range(0, len(images), count):
            part = slice(start, start + count)
            yield part, self._maps(images[part])

    def strongest(self, images, keys=None):
        """The images that excite each feature most.

        Parameters
        ----------
        images : float32 array, ``(n, channels, rows, columns)``
        keys : array, ``(n,)``, optional
            Of images with equal keys only the strongest counts.

        Returns
        -------
        list of dissection.Top
            Of every layer.
        """
        index, top = np.arange(len(images)), [None] * len(self.layers)
        keys = index if keys is None else np.asarray(keys)
        for part, maps in self.maps(images):
            top = [
                network_dissection.strongest(each, index[part], keys[part], before=before)
                for each, before in zip(maps, top)
            ]
        return top

    def gradients(self, images, index, progress=False):
        """Gradients of features' maxima on their strongest images, image by image.

        Parameters
        ----------
        images : float32 array, ``(n, channels, rows, columns)``
        index : list of int arrays, ``(features, count)``
            The strongest images of the first features of every layer.
        progress : bool
            Show a progress bar.

        Yields
        ------
        layer, feature, image : int
        gradient : array, ``(channels, rows, columns)``
            On a part of the image; it is zero elsewhere.  Maps that are the same
            everywhere point nowhere, and come with no gradient.
        rows, columns : slice
            Which part.
        """
        shown = np.unique(np.concatenate([each.ravel() for each in index]))
        for k in tqdm(shown, unit=" images", disable=not progress, mininterval=1):
            image = images[[k]]
            features = [
                np.flatnonzero((each == k).any(axis=1) & _points(maps[0, : len(each)]))
                for each, maps in zip(index, self._maps(image))
            ]
            for layer, j, *found in self._gradients.parts(image, features):
                yield (layer, int(features[layer][j]), int(k), *found)

    def findings(
        self, images, index, concepts, known, sigma=0.0, permutations=9999, progress=False
    ):
        """Localisation of the magnitude of these gradients.

        Parameters
        ----------
        images, index, progress
            As for :meth:`gradients`.
        concepts : sequence of dissection.Concepts
            Of all images.
        known : bool array, ``(n, concepts)``
            Whether a concept is marked wherever it is.
        sigma : float
            Of a Gaussian kernel that smooths the saliency, in pixels.
        permutations : int

        Returns
        -------
        list of Findings
            Of every layer.
        """
        evidence = [
            [
                network_dissection.Evidence(known.shape[1], permutations, seed=feature)
                for feature in range(len(each))
            ]
            for each in index
        ]
        for layer, feature, k, gradient, *place in self.gradients(images, index, progress):
            evidence[layer][feature].add(
                magnitude(gradient, place, images.shape[2:], sigma), concepts[k], known[k]
            )
        return [_findings([each.result() for each in layer]) for layer in evidence]

    def overlap(self, images, masks):
        """Overlap of the features' highest activations with concepts.

        Parameters
        ----------
        images : float32 array, ``(n, channels, rows, columns)``
        masks : sequence of n arrays, ``(concepts, rows, columns)``

        Returns
        -------
        list of arrays, ``(features, concepts)``
            Intersection over union, of every layer; see :func:`dissection.overlaps`.
        """
        total = [len(images) * int(np.prod(layer.output_shape[2:])) for layer in self.layers]
        values = found = [None] * len(self.layers)
        for _, maps in self.maps(images):
            values = [
                network_dissection.highest(each, count, before=before)
                for each, count, before in zip(maps, total, values)
            ]
        limits = [network_dissection.thresholds(each, count) for each, count in zip(values, total)]
        fields = [receptive_field(layer) for layer in self.layers]
        for part, maps in self.maps(images):
            found = [
                network_dissection.overlaps(each, masks[part], limit, field, before=before)
                for each, limit, field, before in zip(maps, limits, fields, found)
            ]
        return [each.iou for each in found]


def _points(maps):
    """Which maps point at something: those that are not the same everywhere."""
    return np.ptp(maps, axis=(1, 2)) > 0


def _findings(results):
    return Findings(
        *(np.stack([getattr(each, name) for each in results]) for name in Findings._fields)
    )


def magnitude(gradient, place, shape, sigma=0.0):
    """Magnitude of a gradient on the whole image; of the channels the largest counts.

    Parameters
    ----------
    gradient : array, ``(channels, rows, columns)``
        On a part of the image.
    place : (slice, slice)
        Which part.
    shape : (rows, columns)
        Of the image.
    sigma : float
        Of a Gaussian kernel that smooths it, in pixels.

    Returns
    -------
    float32 array, of ``shape``
    """
    values = np.zeros(shape, np.float32)
    values[tuple(place)] = np.abs(gradient).max(axis=0)
    return overlay.smooth(values, sigma) if sigma else values


def beats(findings):
    """Which concepts features point at.

    Parameters
    ----------
    findings : sequence of Findings
        The layers among whose findings together the rate of false ones is bounded.

    Returns
    -------
    list of bool arrays, ``(features, concepts)``
    """
    share, lift, p = (
        np.concatenate([getattr(each, name) for each in findings])
        for name in ("share", "lift", "p")
    )
    found = network_dissection.beats_chance(share, lift, network_dissection.adjusted(p))
    return np.split(found, np.cumsum([len(each.p) for each in findings])[:-1])


def agreement(first, second):
    """How far two ways to name features agree.

    Parameters
    ----------
    first, second : sequences of str, ``(n,)``

    Returns
    -------
    share : float
        Of equal names.
    kappa : float
        The same beyond chance (Cohen 1960); NaN where both give one name to all.

    Raises
    ------
    ValueError
        For no names, or another number of them.
    """
    first, second = np.asarray(first, str), np.asarray(second, str)
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise UserError(
            f"two names of the same features are needed, not {first.shape} and {second.shape}"
        )
    share = float((first == second).mean())
    chance = sum((first == name).mean() * (second == name).mean() for name in set(first))
    return share, float((share - chance) / (1 - chance)) if chance < 1 else np.nan
