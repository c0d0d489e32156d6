"""What De Fauw's network says of prepared photographs (thesis chapter 4).

Three readings: both eyes of a patient, where there are pairs; every eye shown
in both places of a pair; and, for comparison, the randomly initialized network.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cnnviz.cli.commands import arguments
from cnnviz.runtime import paths


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_photographs(parser)
    parser.add_argument("--split", help="use the photographs of this split only; all if not given")
    arguments.add_defauw_weights(parser)
    parser.add_argument(
        "--weights-file",
        type=Path,
        help=f"weight file; {paths.SURROGATE_WEIGHTS.name} or {paths.DEFAUW_WEIGHTS} if not given",
    )
    parser.add_argument("--batch-size", type=int, default=16, help="even")
    arguments.add_engine(parser)
    arguments.add_output(parser, ".npz file of grades and posteriors")


def run(args: argparse.Namespace) -> None:
    from cnnviz.experiments import fundus_evaluation
    from cnnviz.thesis.tables import fundus_network

    arguments.select_engine(args)
    wanted = fundus_evaluation.Wanted(args.weights, args.weights_file, args.batch_size)
    evaluation, _ = fundus_evaluation.evaluate(args.photographs, args.split, wanted, args.output)
    print(fundus_network.lines(evaluation), end="")
