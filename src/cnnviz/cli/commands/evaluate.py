"""Posteriors of a trained network, fold by fold, on the views it was not trained on."""

from __future__ import annotations

import argparse

from cnnviz.cli.commands import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_network(parser)
    parser.add_argument(
        "--folds",
        type=int,
        nargs="+",
        default=[0],
        help="0 to 4; -1 is the tuning fold of the random split",
    )
    arguments.add_images(parser)
    arguments.add_weights(parser)
    arguments.add_engine(parser)
    arguments.add_output(
        parser,
        "folder to write: SPLIT/NETWORK_foldK.npz, files of indices, labels, posteriors",
        "folder",
    )


def run(args: argparse.Namespace) -> None:
    from cnnviz.experiments import die_evaluation

    arguments.select_engine(args)
    die_evaluation.evaluate(
        args.network, args.split, args.folds, args.images, args.weights_folder, args.output
    )
