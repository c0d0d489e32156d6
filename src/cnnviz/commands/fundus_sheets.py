"""Saliency of the features of Figures 4.5 to 4.21 on their nine strongest photographs.

Three methods (thesis sections 3.2.1 and 3.2.2): gradient of the map's maximum, gradient
of its sum, and occlusion of the maximal neuron by squares of 11 x 11 pixels.
"""
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from cnnviz import files
from cnnviz.commands import arguments
from cnnviz.commands.evaluate_fundus import CHOICES

OCCLUDER = 11
STRIDES = {"pool1": 1, "pool2": 1, "pool3": 2, "pool4": 5, "pool5": 11}
MARGIN = 0.6         # around a small receptive field, in shares of its side
LEAST_PART = 48      # pixels that a close-up shows at least


def add_arguments(parser):
    parser.add_argument("--photographs", type=Path, required=True,
                        help="folder of prepared photographs")
    parser.add_argument("--roles", type=Path, required=True,
                        help="file of 'cnnviz label-features': which features")
    parser.add_argument("--dissected", type=Path, nargs="+", required=True,
                        help="files of 'cnnviz dissect', one for each network")
    parser.add_argument("--networks", nargs="+", choices=("trained", "random"),
                        required=True, help="which networks these are")
    parser.add_argument("--choice", choices=CHOICES, default="standin",
                        help="weights of the trained network")
    parser.add_argument("--which", choices=("all", "marked"), default="all",
                        help="the strongest of all photographs, or of those whose "
                        "lesions are marked")
    parser.add_argument("--strides", type=int, nargs=5,
                        default=list(STRIDES.values()),
                        help="of the occluder, from the first pooling layer to the fifth")
    arguments.add_engine(parser)
    arguments.add_output(parser, "folder to write, with a file for each figure")


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
    first = [min(max((low + high - side) // 2, 0), length - side)
             for low, high, length in zip(box[:2], box[2:], shape)]
    return (*first, *(each + side for each in first))


def _maps(layer, pixels, feature, stride):
    """Saliency by the three methods, ``(methods, n, rows, columns)``; NaN where unknown."""
    from cnnviz import occlusion, saliency
    maps = [saliency.feature_saliency(layer, pixels, [feature], aggregate)
            for aggregate in ("max", "sum")]
    return np.stack([*(each[0] for each in maps), occlusion.interpolated(
        occlusion.neuron_occlusion(layer, pixels, [feature], OCCLUDER, stride),
        outside=0.0)[0]])


def _sheet(role, layer, photographs, strongest, which, stride):
    """Arrays of one feature: cut-out photographs and maps, and where they are."""
    from cnnviz.datasets import fundus
    from cnnviz.receptive_field import receptive_field
    name = f"{role.layer}_{which}"
    index, places, maxima = (strongest[f"{name}_{each}"][role.feature]
                             for each in ("index", "places", "maxima"))
    pictures = photographs.pixels[index]
    maps = _maps(layer, fundus.standardize(pictures), role.feature, stride)
    field = receptive_field(layer)
    boxes = np.array([field.box(*place) for place in places.tolist()])
    parts = np.array([part_of(box, pictures.shape[1:3]) for box in boxes.tolist()])
    cut = [tuple(slice(*each) for each in ((top, bottom), (left, right)))
           for top, left, bottom, right in parts]
    return {
        "pictures": pictures[:, ::4, ::4],
        "close": np.stack([picture[part] for picture, part in zip(pictures, cut)]),
        "maps": np.stack([[each[part] for each, part in zip(method, cut)]
                          for method in maps]).astype(np.float32),
        "boxes": boxes, "parts": parts, "maxima": maxima,
        "grades": photographs.grades[index],
        "names": np.array([photographs.names[k] for k in index]),
        "stride": np.array(stride)}


def run(args):
    from cnnviz.datasets import store
    from cnnviz.networks import defauw, layers
    arguments.select_engine(args)
    photographs = store.read(args.photographs)
    roles = pd.read_csv(args.roles, dtype={"figure": str})
    strongest = {weights: files.load_arrays(path, "cnnviz dissect") for weights, path
                 in zip(args.networks, args.dissected)}
    networks = {}
    for weights in args.networks:
        networks[weights] = defauw.build()
        defauw.load(args.choice if weights == "trained" else "random", networks[weights])
    strides = dict(zip(STRIDES, args.strides))
    sheets = {}
    for role in tqdm(list(roles.itertuples()), unit=" features"):
        layer = layers.find_layer(networks[role.weights], role.layer)
        found = _sheet(role, layer, photographs, strongest[role.weights], args.which,
                       strides[role.layer])
        blocks = sheets.setdefault(role.figure, {})
        number = len([name for name in blocks if name.endswith("_maps")])
        blocks |= {f"{number}_{name}": values for name, values in found.items()}
    for figure, arrays in sheets.items():
        files.save_arrays(args.output / sheet_name(figure), **arrays)


def sheet_name(figure):
    """Name of the file of a figure, "4.5" for example."""
    return f"figure_{figure.replace('.', '_')}.npz"
