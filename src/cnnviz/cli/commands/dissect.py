"""The photographs that activate each feature most, and what its maps lie on.

For every pooling layer of De Fauw's network (thesis section 4.3): the nine strongest
photographs of the whole data set, and of those whose lesions are marked; and network
dissection (Bau et al. 2017): the overlap of the highest half percent of each feature's
activations with every concept. Without marked concepts, as of the competition's
photographs, only the strongest of the whole data set.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cnnviz.cli.commands import arguments
from cnnviz.experiments.figure_parts import LAYERS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_photographs(parser)
    parser.add_argument(
        "--concepts",
        type=Path,
        help="file of 'cnnviz mark-concepts' for the same photographs, where there is one",
    )
    arguments.add_defauw_weights(parser)
    parser.add_argument(
        "--overlap",
        type=int,
        default=200,
        help="measure the overlap on so many photographs with marked lesions, the first ones",
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


def run(args: argparse.Namespace) -> None:
    from cnnviz.experiments import fundus_features

    arguments.select_engine(args)
    wanted = fundus_features.Wanted(args.weights, args.layers, args.features, args.overlap)
    fundus_features.dissect(args.photographs, args.concepts, wanted, args.output)
