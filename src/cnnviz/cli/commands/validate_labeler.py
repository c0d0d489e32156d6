"""Validation of the automatic labeler of features, where the truth is known.

On ground-truth features in synthetic fundus photographs, on random filters, and on the
features of the die's networks, where masks are exact: compared with the measure of Figures
5.3 and 5.4, with random weights, and with what thesis section 5.4 says.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cnnviz.cli.commands import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--networks", nargs="+", required=True, help="networks of the die: c1, c2, c3, c4 or c9"
    )
    parser.add_argument(
        "--folds", type=int, default=5, help="trained networks of each kind, and random ones"
    )
    parser.add_argument(
        "--saliency",
        type=Path,
        nargs="+",
        required=True,
        help="files of 'cnnviz saliency', one for each network",
    )
    parser.add_argument(
        "--count", type=int, default=20, help="synthetic fundus photographs; more than nine"
    )
    parser.add_argument("--filters", type=int, default=80, help="random filters of each test")
    parser.add_argument(
        "--permutations", type=int, default=9999, help="places by chance for every p-value"
    )
    arguments.add_images(parser)
    arguments.add_weights(parser)
    arguments.add_engine(parser)
    arguments.add_output(parser, "Markdown file to write")


def run(args: argparse.Namespace) -> None:
    from cnnviz.datasets import die360
    from cnnviz.experiments import labeler_validation
    from cnnviz.thesis.tables import labeler_validation as table

    labeler_validation.check_networks(args.networks)
    arguments.select_engine(args)
    validation = labeler_validation.validate(
        die360.load(args.images),
        labeler_validation.Networks(args.networks, args.weights_folder, args.folds),
        labeler_validation.Wanted(args.count, args.filters, args.permutations),
    )
    table.write(validation, args.saliency, args.output)
