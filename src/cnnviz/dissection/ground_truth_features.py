"""Ground-truth features: a network made by hand, whose features are known.

Built like the first layers of De Fauw's (7x7 filters, pooling over 3 with stride 2,
rectifiers), with filters that are set, not learned, and shown synthetic fundus photographs.  On
it the labeler of features is validated: the names that it should give are known.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from cnnviz.datasets import concepts, fundus, synthetic
from cnnviz.datasets import synthetic_scene as scenes
from cnnviz.datasets.fundus_transform import SIZE
from cnnviz.networks.layers import SameConv2DLayer
from cnnviz.runtime.backend import lasagne

__all__ = [
    "CHANNELS",
    "CONTRAST",
    "FEATURES",
    "NOISE",
    "Feature",
    "GroundTruthPhotograph",
    "network",
    "photographs",
    "random_network",
]

CHANNELS = 4  #: red, green, blue, and white noise
NOISE = 3  #: position of the latter
_RED, _GREEN = 0, 1

_SEED = 1601
# Grades with lesions, but without new vessels, which grow on the optic disc.
_SHARES = np.array([0, 0, 1, 1, 0]) / 2
#: Contrast, times what it is in real photographs: among vessels, small lesions are
#: more than a few filters set by hand can find.
CONTRAST = {"microaneurysm": 6.0, "hard exudate": 1.5}
_FEW = 5  # of each that a photograph has at least


# --- Photographs ------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class GroundTruthPhotograph:
    """A synthetic photograph with everything that a labeler needs."""

    pixels: np.ndarray  #: float32 ``(4, 512, 512)``; the fourth channel is white noise
    index: np.ndarray  #: concept of every pixel; see :mod:`cnnviz.datasets.concepts`
    field: np.ndarray  #: bool ``(512, 512)``, field of view
    patient: int
    side: str


def photographs(count: int) -> Iterator[GroundTruthPhotograph]:
    """Photographs with lesions of strong contrast: hard exudates and microaneurysms.

    Parameters
    ----------
    count : int

    Yields
    ------
    GroundTruthPhotograph
    """
    found = 0
    for number in itertools.count():
        patient, side = number // 2, fundus.SIDES[number % 2]
        scene = synthetic.eye([_SEED, patient], side, _SHARES)
        if all(np.sum(scene.kinds == scenes.LESIONS.index(name)) >= _FEW for name in CONTRAST):
            found += 1
            yield _photograph(_strengthened(scene), patient, side)
        if found == count:
            return


def _photograph(scene: scenes.Scene, patient: int, side: str) -> GroundTruthPhotograph:
    picture, _ = synthetic.prepared(scene)
    field = concepts.field_of_view(picture)
    noise = np.random.default_rng(scene.seed).standard_normal((1, *field.shape), np.float32)
    return GroundTruthPhotograph(
        np.concatenate([fundus.standardize(picture), noise * field]),
        concepts.index_map(concepts.of_scene(scene, field).masks),
        field,
        patient,
        side,
    )


def _strengthened(scene: scenes.Scene) -> scenes.Scene:
    """The scene with stronger contrasts, and without text, notch and overexposed rim."""
    factor = np.ones((len(scene.kinds), 1))
    for name, times in CONTRAST.items():
        factor[scene.kinds == scenes.LESIONS.index(name)] = times
    return replace(
        scene,
        colors=scene.colors * factor,
        text="",
        rim=np.zeros_like(scene.rim),
        patient=replace(scene.patient, notch=0.0),
    )


# --- The network ------------------------------------------------------------


class Feature(NamedTuple):
    """A ground-truth feature."""

    looks_for: str
    name: str  #: that it should get
    parts: tuple[str, ...] = ()  #: concepts that excite it


def _detector(looks_for: str, *parts: str) -> Feature:
    return Feature(looks_for, parts[0] if len(parts) == 1 else "mixture", parts)


#: By layer, in the order of its maps.
FEATURES = {
    "pool1": (
        _detector("bright spots", "hard exudate"),
        _detector("dark spots", "microaneurysm"),
        _detector("bright left of dark", "field edge"),
        _detector("bright spots and dark spots", "hard exudate", "microaneurysm"),
        Feature("nothing: a constant", "other"),
        Feature("a random pattern, in noise", "other"),
    ),
    "pool2": (
        _detector("a large bright disc", "optic disc"),
        _detector("clusters of bright spots", "hard exudate"),
        _detector("discs and clusters of bright spots", "optic disc", "hard exudate"),
        Feature("nothing: a constant", "other"),
    ),
}

_WIDTH = 7  # of filters
_SPOT = 1.2  # standard deviation of a spot, in pixels
_TURNS = 4  # directions of second derivatives
_CELL = 8  # pixels between neurons below the second pooling layer
_DISC = 38 / _CELL  # radius of the disc
# So that both halves of a mixture excite it about as often.
_DARK_GAIN, _CLUSTER_GAIN = 1.3, 4.5


def _grid(width: int) -> np.ndarray:
    middle = width // 2
    return np.mgrid[-middle : middle + 1, -middle : middle + 1]


def _second_derivatives() -> np.ndarray:
    """Negative second derivatives of a spot in all directions ``(4, 7, 7)``."""
    y, x = _grid(_WIDTH)
    angles = np.arange(_TURNS)[:, np.newaxis, np.newaxis] * np.pi / _TURNS
    along = x * np.cos(angles) + y * np.sin(angles)
    filters = (1 - (along / _SPOT) ** 2) * np.exp(-(x**2 + y**2) / (2 * _SPOT**2))
    filters -= filters.mean(axis=(1, 2), keepdims=True)
    return filters / np.abs(filters).sum(axis=(1, 2), keepdims=True)


def _random_filters(count: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Filters ``(count, channels, 7, 7)`` of white noise, without a mean."""
    filters = np.random.default_rng(seed).standard_normal((count, channels, _WIDTH, _WIDTH))
    return (filters - filters.mean(axis=(2, 3), keepdims=True)) / _WIDTH


def _first() -> np.ndarray:
    """Filters ``(15, 4, 7, 7)`` of the first convolution.

    Bright and dark spots by their second derivatives in four directions; how these
    differ across a right angle, in either sign; an edge; brightness; noise.
    """
    bright = _second_derivatives()
    across = bright[: _TURNS // 2] - bright[_TURNS // 2 :]
    filters = np.zeros((3 * _TURNS + 3, CHANNELS, _WIDTH, _WIDTH))
    filters[:-3, _GREEN] = np.concatenate([bright, -bright, across, -across])
    filters[-3, _RED] = -np.sign(_grid(_WIDTH)[1]) / _WIDTH**2
    filters[-2, _GREEN] = 1 / _WIDTH**2
    filters[-1, NOISE] = _random_filters(1)[0, 0]
    return filters


def _second() -> np.ndarray:
    """Weights ``(7, 15)`` from there to the maps of pool1.

    A spot curves alike in all directions, a vessel or an edge does not.
    """
    bright, dark, unlike = np.repeat(np.eye(3), _TURNS, axis=1)
    weights = np.zeros((len(FEATURES["pool1"]) + 1, 3 * _TURNS + 3))
    weights[[0, 1, 3], :-3] = np.array([bright, dark, bright + _DARK_GAIN * dark]) - 2 * unlike
    weights[[2, 6, 5], [-3, -2, -1]] = 1  # edge, brightness, noise; a constant has none
    return weights


def _fourth() -> np.ndarray:
    """Filters ``(4, 2, 13, 13)`` of brightness and of bright spots."""
    y, x = _grid(2 * int(_DISC * 2**0.5) + 1)
    distance = np.hypot(y, x)
    # A disc, and a ring of the same area.
    disc, ring = distance < _DISC, (distance >= _DISC) & (distance < _DISC * 2**0.5)
    cluster = np.exp(-(distance**2) / 2)
    filters = np.zeros((len(FEATURES["pool2"]), 2, *distance.shape))
    filters[[0, 2], 0] = disc / disc.sum() - ring / ring.sum()
    filters[1, 1] = cluster / cluster.sum()
    filters[2, 1] = _CLUSTER_GAIN * filters[1, 1]
    return filters


def _convolution(below: Any, name: str, weights: Any, stride: int = 1, bias: Any = 0.0) -> Any:
    """Convolution with given weights ``(maps, maps below, rows, columns)``."""
    weights = np.asarray(weights, np.float32)
    return SameConv2DLayer(
        below,
        len(weights),
        weights.shape[2:],
        stride=stride,
        W=weights,
        name=name,
        b=np.broadcast_to(np.float32(bias), len(weights)).copy(),
    )


def network() -> Any:
    """The network, up to its second pooling layer.

    Returns
    -------
    lasagne.layers.Layer
        ``pool2``, with maps as in :data:`FEATURES`; below it ``pool1``, whose last map,
        brightness, has no name.
    """
    pool = lasagne.layers.MaxPool2DLayer
    layer = lasagne.layers.InputLayer((None, CHANNELS, SIZE, SIZE), name="input")
    layer = _convolution(layer, "conv1", _first())
    layer = _convolution(
        layer, "conv2", _second()[..., np.newaxis, np.newaxis], bias=[0, 0, 0, 0, 1, 0, 0]
    )
    layer = pool(layer, 3, stride=2, name="pool1")
    # Means of brightness and of bright spots.
    means = np.zeros((2, layer.output_shape[1], _WIDTH, _WIDTH))
    means[0, -1] = means[1, 0] = 1 / _WIDTH**2
    layer = _convolution(layer, "conv3", means, stride=_CELL // 2)
    layer = _convolution(layer, "conv4", _fourth(), bias=[0, 0, 0, 1])
    return pool(layer, 3, stride=2, name="pool2")


def random_network(count: int, channels: slice, seed: int = 0) -> Any:
    """One convolution with random filters, and a pooling layer.

    Parameters
    ----------
    count : int
        Of filters.
    channels : slice
        Those of a photograph that the filters see.
    seed : int

    Returns
    -------
    lasagne.layers.Layer
        ``pool1``.
    """
    layer = lasagne.layers.InputLayer((None, CHANNELS, SIZE, SIZE), name="input")
    filters = np.zeros((count, CHANNELS, _WIDTH, _WIDTH))
    filters[:, channels] = _random_filters(count, filters[:, channels].shape[1], seed)
    layer = _convolution(layer, "conv1", filters, stride=2)
    return lasagne.layers.MaxPool2DLayer(layer, 3, stride=2, name="pool1")
