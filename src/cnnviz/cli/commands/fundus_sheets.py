"""Saliency of the features of Figures 4.5 to 4.21 on their nine strongest photographs.

Three methods (thesis sections 3.2.1 and 3.2.2): gradient of the map's maximum, gradient
of its sum, and occlusion of the maximal neuron by squares of 11 x 11 pixels.
"""

import functools
from pathlib import Path

import numpy as np
from tqdm import tqdm

from cnnviz.cli.commands import arguments
from cnnviz.cli.commands.evaluate_fundus import CHOICES
from cnnviz.runtime import files

OCCLUDER = 11
STRIDES = {"pool1": 1, "pool2": 1, "pool3": 3, "pool4": 8, "pool5": 16}
MARGIN = 0.6  # around a small receptive field, in shares of its side
LEAST_PART = 48  # pixels that a close-up shows at least


def add_arguments(parser):
    parser.add_argument(
        "--photographs", type=Path, required=True, help="folder of prepared photographs"
    )
    parser.add_argument(
        "--roles", type=Path, required=True, help="file of 'cnnviz label-features': which features"
    )
    parser.add_argument(
        "--dissected",
        type=Path,
        nargs="+",
        required=True,
        help="files of 'cnnviz dissect', one for each network",
    )
    parser.add_argument(
        "--networks",
        nargs="+",
        choices=("trained", "random"),
        required=True,
        help="which networks these are",
    )
    parser.add_argument(
        "--choice", choices=CHOICES, default="standin", help="weights of the trained network"
    )
    parser.add_argument(
        "--which",
        choices=("all", "marked"),
        default="all",
        help="the strongest of all photographs, or of those whose lesions are marked",
    )
    parser.add_argument(
        "--strides",
        type=int,
        nargs=5,
        default=list(STRIDES.values()),
        help="of the occluder, from the first pooling layer to the fifth",
    )
    arguments.add_engine(parser)
    arguments.add_output(parser, "folder to write, with a file for each figure", "folder")


def part_of(box, shape):
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


def relative(values):
    """A map in shares of its largest magnitude, float16: an overlay needs no more."""
    return (values / (np.abs(values).max() or 1)).astype(np.float16)


class _Methods:
    """The three methods for the features of one layer, compiled once."""

    def __init__(self, layer, stride):
        from cnnviz.attribution.gradient import TARGETS, Gradient
        from cnnviz.attribution.occlusion import Occlusion
        from cnnviz.attribution.receptive_field import receptive_field

        self.field = receptive_field(layer)
        self._gradients = [Gradient(layer, target, evaluation="windows") for target in TARGETS]
        self._occlusion = Occlusion(layer, OCCLUDER, stride, evaluation="windows")

    def maps(self, pixels, feature):
        """Saliency of a feature, ``(methods, n, rows, columns)``."""
        from cnnviz.attribution.interpolation import interpolated
        from cnnviz.attribution.reductions import reduce_channels

        gradients = [
            reduce_channels(each.attribute(pixels, feature)[:, 0]) for each in self._gradients
        ]
        lost = self._occlusion.attribute(pixels, feature)[:, 0, 0]
        return np.stack([*gradients, interpolated(lost)])


def _sheet(role, methods, photographs, strongest, which):
    """Arrays of one feature: cut-out photographs and maps, and where they are."""
    from cnnviz.datasets import fundus

    name = f"{role.layer}_{which}"
    index, places, maxima = (
        strongest[f"{name}_{each}"][role.feature] for each in ("index", "places", "maxima")
    )
    pictures = photographs.pixels[index]
    maps = methods.maps(fundus.standardize(pictures), role.feature)
    boxes = np.array([methods.field.box(*place) for place in places.tolist()])
    parts = np.array([part_of(box, pictures.shape[1:3]) for box in boxes.tolist()])
    cut = [
        tuple(slice(*each) for each in ((top, bottom), (left, right)))
        for top, left, bottom, right in parts
    ]
    return {
        "pictures": pictures[:, ::4, ::4],
        "close": np.stack([picture[part] for picture, part in zip(pictures, cut)]),
        "maps": np.stack(
            [[relative(each[part]) for each, part in zip(method, cut)] for method in maps]
        ),
        "boxes": boxes,
        "parts": parts,
        "maxima": maxima,
        "grades": photographs.grades[index],
        "names": np.array([photographs.names[k] for k in index]),
        "stride": np.array(methods.stride),
    }


def run(args):
    from cnnviz.datasets import store
    from cnnviz.networks import defauw, layers

    arguments.select_engine(args)
    photographs = store.read(args.photographs)
    roles = files.read_table(
        args.roles, "cnnviz label-features", ("figure",), dtype={"figure": str}
    )
    strongest = {
        weights: files.load_arrays(path, "cnnviz dissect")
        for weights, path in zip(args.networks, args.dissected)
    }
    networks = {}
    for weights in args.networks:
        networks[weights] = defauw.build()
        defauw.load(args.choice if weights == "trained" else "random", networks[weights])
    strides = dict(zip(STRIDES, args.strides))

    @functools.lru_cache
    def methods(weights, name):
        return _Methods(layers.find_layer(networks[weights], name), strides[name])

    with tqdm(total=len(roles), unit=" features") as bar:
        # Figure by figure, so that a page for every feature does not fill the memory.
        for figure, chosen in roles.groupby("figure", sort=False):
            arrays = {}
            for number, role in enumerate(chosen.itertuples()):
                found = _sheet(
                    role,
                    methods(role.weights, role.layer),
                    photographs,
                    strongest[role.weights],
                    args.which,
                )
                arrays |= {f"{number}_{name}": values for name, values in found.items()}
                bar.update()
            files.save_arrays(args.output / sheet_name(figure), compressed=True, **arrays)


def sheet_name(figure):
    """Name of the file of a figure, "4.5" for example."""
    return f"figure_{figure.replace('.', '_')}.npz"
