"""Labels of all features of some layers: the one way in which they are found.

As in thesis section 4.3, with masks in place of the eye: the nine images that activate a
feature most, and where the magnitude of the gradient of its maximum lies on them.  Table 4.1,
the labels of the die's features, and the validation on ground-truth features all go through

:class:`Labeler` and :func:`cnnviz.dissection.judgment.judge`.  Images come in parts, so that a
data set need not fit into memory.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from cnnviz.attribution import overlay
from cnnviz.attribution.gradient import LayersGradient
from cnnviz.attribution.receptive_field import receptive_field
from cnnviz.dissection import network_dissection
from cnnviz.dissection.images import Images
from cnnviz.dissection.localization import Chance, Evidence, lift
from cnnviz.dissection.network_dissection import Overlap
from cnnviz.dissection.top_images import TopImages, top_images
from cnnviz.networks.inputs import input_variables
from cnnviz.runtime.backend import function, lasagne
from cnnviz.runtime.records import Record, axes

__all__ = ["DissectedLayer", "Labeler", "LocalizedLayer", "SaliencyMap", "magnitude"]

#: A number that the saliency ``(rows, columns)`` of a feature on an image has.
Measure = Callable[[np.ndarray, int], float]


# --- What is found of a layer ---------------------------------------------------


@dataclass(frozen=True)
class DissectedLayer(Record):
    """The images that activate a layer's features most, and overlap of its maps."""

    all: TopImages
    marked: TopImages | None  #: of the images on which concepts are marked
    limits: np.ndarray | None = axes("feature")  #: thresholds of the maps
    iou: np.ndarray | None = axes("feature", "concept")  #: intersection over union

    @property
    def shown(self) -> TopImages:
        """The images on which saliency is localized."""
        return self.all if self.marked is None else self.marked


@dataclass(frozen=True)
class LocalizedLayer(Record):
    """Where the saliency of a layer's features lies; NaN where nothing is known."""

    share: np.ndarray = axes("feature", "concept")  #: of the saliency, on every concept
    expected: np.ndarray = axes("feature", "concept")  #: at every other place
    p: np.ndarray = axes("feature", "concept")  #: of a share as large by chance
    gradient: np.ndarray = axes("feature")  #: magnitude, summed over an image, mean of images
    measures: dict[str, np.ndarray] = axes("feature")  #: others, mean of images

    @property
    def lift(self) -> np.ndarray:
        """Share over what is expected ``(features, concepts)``; NaN where nothing is."""
        return lift(self.share, self.expected)


class SaliencyMap(NamedTuple):
    """Gradient of the maximum of a feature's map on one image."""

    layer: int
    feature: int
    image: int
    gradient: np.ndarray  #: ``(channels, rows, columns)`` on a part; zero elsewhere
    place: tuple[slice, ...]  #: which part: rows and columns


def magnitude(gradient: np.ndarray, place: tuple[slice, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Magnitude of a gradient on the whole image; of the channels the largest counts.

    Parameters
    ----------
    gradient : array, ``(channels, rows, columns)``
        On a part of the image.
    place : (slice, slice)
        Which part.
    shape : (rows, columns)
        Of the image.

    Returns
    -------
    float32 array, of ``shape``
    """
    values = np.zeros(shape, np.float32)
    values[place] = np.abs(gradient).max(axis=0)
    return values


# --- The pipeline -----------------------------------------------------------------


class Labeler:
    """What features look at, compiled once, whatever the network's weights become.

    Parameters
    ----------
    layers : list of lasagne.layers.Layer
        With feature maps, each below the next, in a chain of layers from one input.
    windows : bool
        Compute gradients on what the maximal neuron sees, which pays off on large images, and
        needs local layers; else by whole passes, which compile faster.
    features : int, or a sequence of int for the layers, optional
        Look at the first features of every layer only.
    """

    def __init__(
        self,
        layers: Sequence[Any],
        windows: bool = True,
        features: int | Sequence[int] | None = None,
    ) -> None:
        self.layers = list(layers)
        counts = features if isinstance(features, Sequence) else [features] * len(self.layers)
        self._first = [slice(count) for count in counts]
        images = input_variables(self.layers[-1])[1]
        self._maps = function(
            images, lasagne.layers.get_output(self.layers, images[0], deterministic=True)
        )
        self._gradients = LayersGradient(self.layers, evaluation="windows" if windows else "whole")

    def maps(
        self, images: Images, index: Any = None, progress: bool = False
    ) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
        """Feature maps of every layer, in parts.

        Parameters
        ----------
        images : Images
        index : int array, optional
            Which images; all by default.
        progress : bool
            Show a progress bar.

        Yields
        ------
        index : int array, ``(part,)``
            Of the images of a part.
        maps : list of float32 arrays, ``(part, features, map rows, map columns)``
        """
        index = np.arange(len(images)) if index is None else np.asarray(index)
        with tqdm(total=len(index), unit=" images", disable=not progress, mininterval=5) as bar:
            for start in range(0, len(index), images.batch_size):
                part = index[start : start + images.batch_size]
                feature_maps = self._maps(images.pixels(part))
                yield part, [maps[:, first] for maps, first in zip(feature_maps, self._first)]
                bar.update(len(part))

    def dissect(
        self, images: Images, marked: Any = None, measured: Any = None, progress: bool = False
    ) -> list[DissectedLayer]:
        """The images that activate features most, and overlap with concepts.

        Parameters
        ----------
        images : Images
        marked : bool array, ``(n,)``, optional
            Images whose concepts are marked: the strongest of these are found as well.
        measured : int array, optional
            Images on which overlap is measured; without them it is not.
        progress : bool
            Show a progress bar.

        Returns
        -------
        list of DissectedLayer
            Of every layer.
        """
        count = len(self.layers)
        every: list[TopImages | None] = [None] * count
        of_marked: list[TopImages | None] = [None] * count
        values: list[np.ndarray | None] = [None] * count
        measured = np.array([], int) if measured is None else np.asarray(measured)
        for part, maps in self.maps(images, progress=progress):
            chosen, sample = np.zeros(len(part), bool), np.isin(part, measured)
            if marked is not None:
                chosen = np.asarray(marked)[part]
            for layer, each in enumerate(maps):
                every[layer] = _top(each, part, images, every[layer])
                if chosen.any():
                    of_marked[layer] = _top(each[chosen], part[chosen], images, of_marked[layer])
                if sample.any():
                    values[layer] = network_dissection.highest(
                        each[sample], len(measured) * each[0, 0].size, before=values[layer]
                    )
        tops = [
            (of_all, marked_ones)
            for of_all, marked_ones in zip(every, of_marked)
            if of_all is not None
        ]
        if not len(measured):
            return [DissectedLayer(*each, None, None) for each in tops]
        return [
            DissectedLayer(*top, *overlap)
            for top, overlap in zip(tops, zip(*self._overlap(images, measured, values)))
        ]

    def _overlap(
        self, images: Images, index: np.ndarray, values: Sequence[np.ndarray | None]
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Thresholds and intersection over union of every layer."""
        shapes = [layer.output_shape[2:] for layer in self.layers]
        limits = [
            network_dissection.thresholds(each, len(index) * int(np.prod(shape)))
            for each, shape in zip(values, shapes)
            if each is not None
        ]
        fields = [receptive_field(layer) for layer in self.layers]
        overlaps: list[Overlap | None] = [None] * len(self.layers)
        for part, maps in self.maps(images, index):
            masks = [images.masks(k) for k in part]
            overlaps = [
                network_dissection.overlaps(each, masks, limit, field, images.known[part], before)
                for each, limit, field, before in zip(maps, limits, fields, overlaps)
            ]
        return limits, [each.iou for each in overlaps if each is not None]

    def saliency_maps(
        self, images: Images, top: Sequence[TopImages], progress: bool = False
    ) -> Iterator[SaliencyMap]:
        """Gradients of features' maxima on their top images, image by image.

        Maps that are the same everywhere point nowhere, and come with no gradient.

        Parameters
        ----------
        images : Images
        top : list of TopImages
            Of every layer.
        progress : bool
            Show a progress bar.

        Yields
        ------
        SaliencyMap
        """
        shown = np.unique(np.concatenate([each.index.ravel() for each in top]))
        for k in tqdm(shown, unit=" images", disable=not progress, mininterval=5):
            features = [
                np.flatnonzero(((each.index == k) & each.varies).any(axis=1)).tolist()
                for each in top
            ]
            for layer, j, gradient, *place in self._gradients.parts(
                images.pixels(np.array([k])), features
            ):
                yield SaliencyMap(layer, int(features[layer][j]), int(k), gradient, tuple(place))

    def localize(
        self,
        images: Images,
        top: Sequence[TopImages],
        chance: Chance,
        sigma: float = 0.0,
        measures: Mapping[str, Measure] | None = None,
        progress: bool = False,
    ) -> list[LocalizedLayer]:
        """Where the magnitude of these gradients lies, against chance.

        Parameters
        ----------
        images : Images
        top : list of TopImages
            Of every layer.
        chance : Chance
            Every feature has draws of its own.
        sigma : float
            Of a Gaussian kernel that smooths the saliency, in pixels.
        measures : dict, optional
            What else is measured of every saliency map.
        progress : bool
            Show a progress bar.

        Returns
        -------
        list of LocalizedLayer
            Of every layer.
        """
        measures = measures or {}
        layers = [
            [
                _Gathered(
                    Evidence(
                        images.known.shape[1],
                        dataclasses.replace(chance, seed=chance.seed + feature),
                    ),
                    measures,
                )
                for feature in range(len(each.index))
            ]
            for each in top
        ]
        shape, at, concepts = images.pixels(np.array([0])).shape[2:], -1, None
        for map_ in self.saliency_maps(images, top, progress):
            if map_.image != at:
                at, concepts = map_.image, images.concepts(map_.image)
            layers[map_.layer][map_.feature].add(
                magnitude(map_.gradient, map_.place, shape),
                sigma,
                map_.image,
                concepts,
                images.known[at],
            )
        return [_layer(each, measures) for each in layers]


def _top(
    maps: np.ndarray, index: np.ndarray, images: Images, before: TopImages | None
) -> TopImages:
    return top_images(maps, index, images.keys[index], before=before)


class _Gathered:
    """What is found of one feature, an image at a time."""

    def __init__(self, evidence: Evidence, measures: Mapping[str, Measure]) -> None:
        self.evidence, self.measures = evidence, measures
        self.gradient: list[float] = []
        self.others: dict[str, list[float]] = {name: [] for name in measures}

    def add(
        self, values: np.ndarray, sigma: float, image: int, concepts: Any, known: np.ndarray
    ) -> None:
        self.gradient.append(float(values.sum(dtype=float)))
        for name, measure in self.measures.items():
            self.others[name].append(measure(values, image))
        self.evidence.add(overlay.smooth(values, sigma) if sigma else values, concepts, known)


def _layer(images: Sequence[_Gathered], measures: Mapping[str, Measure]) -> LocalizedLayer:
    results = [each.evidence.result() for each in images]
    return LocalizedLayer(
        np.array([result.share for result in results]),
        np.array([result.expected for result in results]),
        np.array([result.p for result in results]),
        np.array([_mean(each.gradient) for each in images]),
        {name: np.array([_mean(each.others[name]) for each in images]) for name in measures},
    )


def _mean(values: Sequence[float]) -> float:
    """Mean over the images; 0 of a feature whose maps are all constant."""
    return float(np.mean(values)) if values else 0.0
