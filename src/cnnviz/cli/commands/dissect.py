"""The photographs that activate each feature most, and what its maps lie on.

For every pooling layer of De Fauw's network (thesis section 4.3): the nine strongest
photographs of the whole data set, and of those whose lesions are marked; and network
dissection (Bau et al. 2017): the overlap of the highest half percent of each feature's
activations with every concept. Without marked concepts, as of the competition's
photographs, only the strongest of the whole data set.
"""

import hashlib
from pathlib import Path

import numpy as np
from tqdm import tqdm

from cnnviz.cli.commands import arguments
from cnnviz.cli.commands.evaluate_fundus import CHOICES
from cnnviz.dissection.feature_table import LAYERS
from cnnviz.runtime import files
from cnnviz.runtime.errors import UserError


def add_arguments(parser):
    parser.add_argument(
        "--photographs", type=Path, required=True, help="folder of prepared photographs"
    )
    parser.add_argument(
        "--concepts",
        type=Path,
        help="file of 'cnnviz mark-concepts' for the same photographs, where there is one",
    )
    parser.add_argument(
        "--choice",
        choices=CHOICES,
        default="standin",
        help="whose weights: shipped, De Fauw's (converted), or none",
    )
    parser.add_argument(
        "--overlap",
        type=int,
        default=200,
        help="measure the overlap on so many photographs with marked "
        "lesions, the first ones; their maps are kept in memory",
    )
    parser.add_argument(
        "--layers",
        nargs="+",
        default=list(LAYERS),
        choices=LAYERS,
        help="pooling layers to look at",
    )
    parser.add_argument(
        "--features", type=int, help="look at the first n features of every layer only"
    )
    arguments.add_engine(parser)
    arguments.add_output(parser, ".npz file to write")


def read_concepts(path, photographs):
    """Index maps and what is known, of the photographs of a store.

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing file, or one of other photographs.
    """
    arrays = files.load_arrays(path, "cnnviz mark-concepts")
    if tuple(arrays["names"]) != photographs.names:
        raise UserError(f"{path}: made for other photographs; run 'cnnviz mark-concepts' again")
    return arrays["concepts"], arrays["known"]


def identities(pixels):
    """Numbers ``(n,)``, equal for photographs with equal pixels."""
    digests = [hashlib.blake2b(np.ascontiguousarray(each)).digest() for each in pixels]
    return np.unique(digests, return_inverse=True)[1]


def _survey(compute, pixels, marked, measured, features=None):
    """One forward pass of every photograph.

    Returns
    -------
    list of (Top of all photographs, Top of the marked ones, maps of the measured ones)
        For each layer.
    """
    from cnnviz.datasets import fundus
    from cnnviz.dissection import network_dissection

    keys, found = identities(pixels), None
    for k in tqdm(range(len(pixels)), unit=" photographs", mininterval=5):
        maps = compute(fundus.standardize(pixels[k : k + 1]))
        found = found or [[None, None, []] for _ in maps]
        for each, layer in zip((each[:, :features] for each in maps), found):
            for place in (0, 1) if marked[k] else (0,):
                layer[place] = network_dissection.strongest(
                    each, [k], keys[k : k + 1], before=layer[place]
                )
            if k in measured:
                layer[2].append(each[0])
    return found


def _overlap(maps, index, known, field):
    """Overlap of a layer's features with the concepts, on the measured photographs."""
    from cnnviz.datasets import concepts
    from cnnviz.dissection import network_dissection

    maps = np.stack(maps)
    total = maps[:, 0].size
    limits = network_dissection.thresholds(network_dissection.highest(maps, total), total)
    found = None
    for k in range(len(maps)):
        found = network_dissection.overlaps(
            maps[k : k + 1],
            concepts.masks(index[k])[np.newaxis],
            limits,
            field,
            known[k : k + 1],
            found,
        )
    return {"limits": limits, "iou": found.iou}


def run(args):
    from cnnviz.attribution.receptive_field import receptive_field
    from cnnviz.datasets import concepts, store
    from cnnviz.networks import defauw, layers
    from cnnviz.runtime.backend import T, function, lasagne

    arguments.select_engine(args)
    photographs = store.read(args.photographs)
    marked, measured = np.zeros(len(photographs), bool), np.array([], int)
    if args.concepts is not None:
        index, known = read_concepts(args.concepts, photographs)
        marked = concepts.lesions_known(known)
        if not marked.any():
            raise UserError(f"{args.concepts}: no photograph whose lesions are marked")
        measured = np.flatnonzero(marked)[: args.overlap]
    network = defauw.build()
    defauw.load(args.choice, network)
    pooling = [layer for layer in layers.pooling_layers(network) if layer.name in args.layers]
    images = T.tensor4("images")
    compute = function([images], lasagne.layers.get_output(pooling, images, deterministic=True))
    arrays = {"names": np.array(photographs.names)}
    for layer, (every, of_marked, maps) in zip(
        pooling, _survey(compute, photographs.pixels, marked, set(measured.tolist()), args.features)
    ):
        found = {"all": every}
        if args.concepts is not None:
            found["marked"] = of_marked
            overlap = _overlap(maps, index[measured], known[measured], receptive_field(layer))
            arrays |= {f"{layer.name}_{name}": values for name, values in overlap.items()}
        for which, top in found.items():
            arrays |= {
                f"{layer.name}_{which}_{name}": getattr(top, name)
                for name in ("maxima", "index", "places")
            }
    files.save_arrays(args.output, **arrays)
