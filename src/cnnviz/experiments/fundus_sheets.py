"""Saliency of the features of Figures 4.5 to 4.21 on their nine strongest photographs.

Three methods (thesis sections 3.2.1 and 3.2.2): gradient of the map's maximum, gradient of its
sum, and occlusion of the maximal neuron by squares of 11 x 11 pixels.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from tqdm import tqdm

from cnnviz.attribution.gradient import TARGETS, Gradient
from cnnviz.attribution.interpolation import interpolated
from cnnviz.attribution.occlusion import Occlusion
from cnnviz.attribution.receptive_field import receptive_field
from cnnviz.attribution.reductions import reduce_channels
from cnnviz.datasets import fundus, store
from cnnviz.dissection.top_images import TopImages
from cnnviz.experiments import defauw_network, photograph_sources
from cnnviz.experiments.fundus_features import Dissected
from cnnviz.networks import layers
from cnnviz.runtime import tables
from cnnviz.runtime.errors import UserError
from cnnviz.runtime.paths import sheet_name
from cnnviz.runtime.records import Record, axes, made_from, read_origin

__all__ = ["OCCLUDER", "FeatureSheet", "Sheet", "part_of", "write"]

OCCLUDER = 11  #: side, in pixels
MARGIN = 0.6  # around a small receptive field, in shares of its side
LEAST_PART = 48  # pixels that a close-up shows at least
_REDUCTION = 4  # of photographs beside close-ups


@dataclass(frozen=True)
class FeatureSheet(Record):
    """One feature on its strongest photographs: cut-out photographs and maps."""

    weights: str  #: "trained" or "random"
    layer: str
    feature: int
    stride: int  #: of the occluder
    pictures: np.ndarray = axes("photograph", "row", "column", "color")  #: reduced
    close: np.ndarray = axes("photograph", "part's row", "part's column", "color")
    maps: np.ndarray = axes("method", "photograph", "part's row", "part's column")
    boxes: np.ndarray = axes("photograph", "side of a box")  #: receptive fields, not clipped
    parts: np.ndarray = axes("photograph", "side of a box")  #: what close-ups show
    maxima: np.ndarray = axes("photograph")  #: activations
    grades: np.ndarray = axes("photograph")  #: -1 where unknown
    names: np.ndarray = axes("photograph")


@dataclass(frozen=True)
class Sheet(Record):
    """The features of one figure, "0", "1", ... in its order."""

    command: ClassVar[str] = "cnnviz fundus-sheets"

    features: dict[str, FeatureSheet]


def part_of(box: Sequence[int], shape: Sequence[int]) -> tuple[int, ...]:
    """What of a photograph is shown of a neuron: its receptive field and around it.

    Parameters
    ----------
    box : (first row, first column, end row, end column)
        Receptive field, not clipped.
    shape : (rows, columns)

    Returns
    -------
    (first row, first column, end row, end column)
        A square within the photograph; all of it for a large receptive field.
    """
    side = max(box[2] - box[0], box[3] - box[1])
    side = min(max(round(side * (1 + 2 * MARGIN)), LEAST_PART), *shape)
    first = [
        min(max((low + high - side) // 2, 0), length - side)
        for low, high, length in zip(box[:2], box[2:], shape)
    ]
    return (*first, *(each + side for each in first))


def relative(values: np.ndarray) -> np.ndarray:
    """A map in shares of its largest magnitude, float16: an overlay needs no more."""
    return (values / (np.abs(values).max() or 1)).astype(np.float16)


class _Methods:
    """The three methods for the features of one layer, compiled once."""

    def __init__(self, layer: Any, stride: int) -> None:
        self.stride, self.field = stride, receptive_field(layer)
        self._gradients = [Gradient(layer, target, evaluation="windows") for target in TARGETS]
        self._occlusion = Occlusion(layer, OCCLUDER, stride, evaluation="windows")

    def maps(self, pixels: np.ndarray, feature: int) -> np.ndarray:
        """Saliency of a feature, ``(methods, n, rows, columns)``."""
        gradients = [
            reduce_channels(gradient.attribute(pixels, feature)[:, 0])
            for gradient in self._gradients
        ]
        drops = self._occlusion.attribute(pixels, feature)[:, 0, 0]
        return np.stack([*gradients, interpolated(drops)])


def _sheet(
    role: Any, methods: _Methods, photographs: store.Store, strongest: TopImages
) -> FeatureSheet:
    """One feature: cut-out photographs and maps, and where they are."""
    index = strongest.index[role.feature]
    pictures = photographs.pixels[index]
    maps = methods.maps(fundus.standardize(pictures), role.feature)
    boxes = np.array([methods.field.box(*at) for at in strongest.places[role.feature].tolist()])
    parts = np.array([part_of(box, pictures.shape[1:3]) for box in boxes.tolist()])
    cut = [(slice(top, bottom), slice(left, right)) for top, left, bottom, right in parts]
    return FeatureSheet(
        role.weights,
        role.layer,
        int(role.feature),
        methods.stride,
        pictures[:, ::_REDUCTION, ::_REDUCTION],
        np.stack([picture[part] for picture, part in zip(pictures, cut)]),
        np.stack([[relative(each[part]) for each, part in zip(method, cut)] for method in maps]),
        boxes,
        parts,
        strongest.maxima[role.feature],
        photographs.grades[index],
        np.array([photographs.names[k] for k in index]),
    )


@dataclass(frozen=True)
class _Network:
    """One of the networks whose features are shown."""

    layer: Any  #: its output layer
    dissected: Dissected
    origin: dict[str, Any]


def _networks(paths: Sequence[Path], source: Mapping[str, Any]) -> dict[str, _Network]:
    """The networks that files of ``cnnviz dissect`` are about, by name."""
    networks = {}
    for path in paths:
        dissected, origin = Dissected.load(path, **source), read_origin(path)
        network, _ = defauw_network.again(origin, path)
        networks[defauw_network.name_of(origin)] = _Network(network, dissected, origin)
    return networks


def _weights(networks: Mapping[str, _Network]) -> dict[str, Any]:
    """What the networks' weights are, for the origin of sheets."""
    return {"network": "defauw"} | {
        f"{name}_{what}": network.origin.get(what)
        for name, network in networks.items()
        for what in ("weights", "weights_file", "weights_seed")
    }


def write(
    photographs: Path,
    roles: Path,
    dissected: Sequence[Path],
    strides: Mapping[str, int],
    output: Path,
    which: str = "all",
) -> None:
    """Compute the saliency that the figures show.

    Parameters
    ----------
    photographs : path
        Folder of prepared photographs.
    roles : path
        File of ``cnnviz table 4.1``: which features.
    dissected : sequence of path
        Files of :class:`.fundus_features.Dissected`, one for each network.
    strides : dict
        Of the occluder, by layer.
    output : path
        Folder of files of :class:`Sheet`, one for each figure.
    which : {"all", "marked"}
        The strongest of all photographs, or of those whose lesions are marked.
    """
    shown, source = photograph_sources.read(photographs)
    table = tables.read_table(roles, "cnnviz table 4.1", ("figure",), dtype={"figure": str})
    networks = _networks(dissected, source)
    missing = set(table["weights"]) - set(networks)
    if missing:
        raise UserError(f"{roles}: features of the {missing.pop()} network; --dissected lacks it")

    @functools.lru_cache
    def methods(weights: str, name: str) -> _Methods:
        return _Methods(layers.find_layer(networks[weights].layer, name), strides[name])

    made = made_from(
        **source, **_weights(networks), occluder=OCCLUDER, fill=0.0, which=which, roles=roles
    )
    with tqdm(total=len(table), unit=" features") as bar:
        # Figure by figure, so that a page for every feature does not fill the memory.
        for figure, chosen in table.groupby("figure", sort=False):
            sheets = {}
            for number, role in enumerate(chosen.itertuples()):
                layer = networks[role.weights].dissected.layers[role.layer]
                strongest = getattr(layer, which)
                if strongest is None:
                    raise UserError("on no photograph of these are lesions marked")
                sheets[str(number)] = _sheet(
                    role, methods(role.weights, role.layer), shown, strongest
                )
                bar.update()
            Sheet(sheets).save(output / sheet_name(str(figure)), made, compressed=True)
