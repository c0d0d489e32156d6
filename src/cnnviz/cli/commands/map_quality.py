"""The benchmark of maps: every method measured on features that are about something known.

die360: features about pips, of a network of the die, and the score of the true class.
fundus: for every kind of lesion and every layer the feature of De Fauw's network that is
most about it, on synthetic photographs, and on IDRiD's outlined ones where there is a mirror.
"""

from __future__ import annotations

import argparse

from cnnviz.cli.commands import arguments

LAYERS = ("pool1", "pool2", "pool3", "pool4", "pool5")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--experiment", choices=("die360", "fundus"), required=True)
    arguments.add_images(parser)
    arguments.add_weights(parser)
    parser.add_argument("--network", default="c9", help="of the die, with pooling layers")
    parser.add_argument(
        "--views",
        type=int,
        default=64,
        help="views of the die, evenly from the data set: half of them to "
        "choose features, half to measure",
    )
    arguments.add_defauw_weights(parser)
    parser.add_argument(
        "--layers",
        nargs="+",
        choices=LAYERS,
        default=["pool3", "pool4", "pool5"],
        help="of De Fauw's network",
    )
    parser.add_argument(
        "--count",
        type=int,
        default=8,
        help="synthetic photographs to measure on, and as many real ones; half as many at pool5",
    )
    parser.add_argument(
        "--selection-count", type=int, default=6, help="synthetic photographs to choose features on"
    )
    arguments.add_mirror(parser)
    arguments.add_engine(parser)
    arguments.add_output(parser, "CSV file of all measurements")


def run(args: argparse.Namespace) -> None:
    from cnnviz.experiments import map_benchmark

    arguments.select_engine(args)
    which = (
        map_benchmark.DieBenchmark(args.network, args.images, args.weights_folder, args.views)
        if args.experiment == "die360"
        else map_benchmark.FundusBenchmark(
            args.weights, args.layers, args.count, args.selection_count, args.mirror
        )
    )
    map_benchmark.write(which, args.output)
