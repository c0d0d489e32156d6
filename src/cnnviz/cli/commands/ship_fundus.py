"""Fold, compress and copy the trained weights of De Fauw's network.

Normalization goes into filters and biases, the one huge matrix is kept in 8 bits
and everything else in float16.  Refused where that costs more than 0.005 of kappa on
the synthetic photographs.  The learning curves, CSV files beside the weights, go along.
Weights that were shipped before stand for the stages behind them.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from cnnviz.cli.commands import arguments
from cnnviz.runtime import files, paths
from cnnviz.runtime.errors import UserError

LARGEST_LOSS = 0.005  # of kappa, by compression
LARGEST_FILE = 30e6  # bytes
LEARNING_CURVES = "learning_curves.csv"  # of shipped weights, beside them
SOME = 16  # photographs whose maps are compared


def add_arguments(parser):
    parser.add_argument(
        "--trained",
        type=Path,
        nargs="+",
        required=True,
        help="weight files of all stages, the last one last; shipped "
        "weights, which the first of the others began with, may "
        "come first",
    )
    parser.add_argument(
        "--photographs", type=Path, required=True, help="folder of prepared synthetic test pairs"
    )
    arguments.add_engine(parser)
    arguments.add_written(
        parser, "-o", "--output", default=paths.STANDIN_WEIGHTS, help="weight file to write"
    )


def _measured(network, photographs):
    """Kappa on eye pairs, and the maps of the last pooling layer of some."""
    from cnnviz.training import fundus_network as training
    from cnnviz.training.grading import quadratic_weighted_kappa

    pairs = photographs.pairs()
    reader = training.EyeReader(network)
    maps = reader.maps(photographs.pixels)
    posteriors = reader.posteriors(maps, photographs.dimensions, pairs)
    said = posteriors.reshape(-1, posteriors.shape[-1]).argmax(axis=1)
    return (quadratic_weighted_kappa(photographs.grades[pairs.ravel()], said), maps[:SOME])


def behind(path):
    """Descriptions and learning curves of the stages behind a weight file.

    Shipped weights have several stages, and the curves of all in one file.
    """
    from cnnviz.networks import weights

    metadata = weights.read_metadata(path)
    if "stages" in metadata:
        return metadata["stages"], files.read_table(path.with_name(LEARNING_CURVES))
    return [metadata], files.read_table(path.with_suffix(".csv"), "cnnviz train-fundus").assign(
        stage=path.stem
    )


def run(args):
    from cnnviz.datasets import store
    from cnnviz.networks import defauw, weights

    arguments.select_engine(args)
    plain, normalized = (defauw.build(16, normalize=normalize) for normalize in (False, True))
    weights.load(args.trained[-1], normalized)
    defauw.fold(normalized, plain)
    photographs = store.read(args.photographs)
    before, maps = _measured(plain, photographs)
    stages, curves = zip(*map(behind, args.trained))
    metadata = {
        "network": "defauw",
        "kappa_before_compression": before,
        "stages": [stage for each in stages for stage in each],
    }
    with files.atomic(args.output) as temporary:
        weights.save(temporary, plain, metadata, defauw.EIGHT_BIT)
        size = temporary.stat().st_size
        weights.load(temporary, plain)
        after, small_maps = _measured(plain, photographs)
        error = float(np.abs(small_maps - maps).max() / np.abs(maps).max())
        print(
            json.dumps(
                {
                    "bytes": size,
                    "kappa_before": before,
                    "kappa_after": after,
                    "largest_relative_error_of_pooled_maps": error,
                }
            )
        )
        if size > LARGEST_FILE or before - after > LARGEST_LOSS:
            raise UserError(
                f"the compressed file has {size / 1e6:.1f} MB and a kappa "
                f"of {after:.4f} instead of {before:.4f}; too large, or too much lost"
            )
    files.write_text(args.output.with_name(LEARNING_CURVES), pd.concat(curves).to_csv(index=False))
