"""What De Fauw's network says of prepared photographs (thesis chapter 4).

Three readings: both eyes of a patient, where there are pairs; every eye shown
in both places of a pair; and, for comparison, the randomly initialized network.
"""

from pathlib import Path

import numpy as np

from cnnviz.cli.commands import arguments
from cnnviz.runtime import files, paths
from cnnviz.runtime.errors import UserError
from cnnviz.thesis.tables import fundus_network

CHOICES = ("standin", "defauw", "random")


def add_arguments(parser):
    parser.add_argument(
        "--photographs", type=Path, required=True, help="folder of prepared photographs"
    )
    parser.add_argument("--split", help="use the photographs of this split only; all if not given")
    parser.add_argument(
        "--choice",
        choices=CHOICES,
        default="standin",
        help="whose weights: shipped, De Fauw's (converted), or none",
    )
    parser.add_argument(
        "--weights",
        type=Path,
        help=f"weight file; {paths.STANDIN_WEIGHTS.name} or {paths.DEFAUW_WEIGHTS} if not given",
    )
    parser.add_argument("--batch-size", type=int, default=16, help="even")
    arguments.add_engine(parser)
    arguments.add_output(parser, ".npz file of grades and posteriors")


def chosen_photographs(photographs, split, folder):
    """Indices of the photographs that have a grade: of a split, or of all.

    Parameters
    ----------
    photographs : cnnviz.datasets.store.Store
    split : str or None
    folder : path
        Where they are from, for the message.

    Raises
    ------
    UserError
        When there is none.
    """
    graded = photographs.grades >= 0
    chosen = graded if split is None else graded & (photographs.splits == split)
    if not graded.any():
        raise UserError(f"{folder}: no photograph has a grade")
    if not chosen.any():
        there = sorted({f"'{each}'" for each in photographs.splits[graded]})
        raise UserError(
            f"--split: no graded photographs of the split '{split}' in {folder}; "
            f"there are those of {', '.join(there)}; all are used without it"
        )
    return np.flatnonzero(chosen)


def run(args):
    from cnnviz.datasets import store
    from cnnviz.networks import defauw
    from cnnviz.training import fundus_network as training

    arguments.select_engine(args)
    photographs = store.read(args.photographs)
    chosen = chosen_photographs(photographs, args.split, args.photographs)
    results = {
        "grades": photographs.grades[chosen].astype(np.int32),
        "names": np.array([photographs.names[index] for index in chosen]),
    }
    pixels, dimensions = photographs.pixels[chosen], photographs.dimensions[chosen]
    pairs = photographs.pairs()
    # Of the chosen ones, as positions among them.
    pairs = np.searchsorted(chosen, pairs[np.isin(pairs, chosen).all(axis=1)])
    for choice in dict.fromkeys((args.choice, "random")):
        network = defauw.build(args.batch_size)
        defauw.load(choice, network, args.weights if choice == args.choice else None)
        reader = training.EyeReader(network)
        maps = reader.maps(pixels)
        results[f"{choice}_one_eye"] = reader.posteriors(
            maps, dimensions, np.column_stack([np.arange(len(chosen))] * 2)
        )[:, 0]
        if len(pairs):
            both = np.full((len(chosen), defauw.GRADES), np.nan, np.float32)
            both[pairs] = reader.posteriors(maps, dimensions, pairs)
            results[f"{choice}_both_eyes"] = both
    files.save_arrays(args.output, **results)
    for row in fundus_network.measured(results):
        print(
            "{weights}, {reading}: {eyes} eyes, kappa {kappa:.4f}, accuracy {accuracy:.4f}".format(
                **row
            )
        )
