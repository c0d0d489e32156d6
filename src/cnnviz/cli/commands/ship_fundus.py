"""Fold, compress and copy the trained weights of De Fauw's network.

Normalization goes into filters and biases, the one huge matrix is kept in 8 bits
and everything else in float16.  Refused where that costs more than 0.005 of kappa on
the synthetic photographs.  The learning curves, CSV files beside the weights, go along.
Weights that were shipped before stand for the stages behind them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cnnviz.cli.commands import arguments
from cnnviz.runtime import paths


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trained",
        type=Path,
        nargs="+",
        required=True,
        help="weight files of all stages, the last one last; shipped "
        "weights, which the first of the others began with, may "
        "come first",
    )
    arguments.add_photographs(parser)
    arguments.add_engine(parser)
    arguments.add_written(
        parser, "-o", "--output", default=paths.SURROGATE_WEIGHTS, help="weight file to write"
    )


def run(args: argparse.Namespace) -> None:
    from cnnviz.experiments import fundus_shipping

    arguments.select_engine(args)
    fundus_shipping.ship(args.trained, args.photographs, args.output)
