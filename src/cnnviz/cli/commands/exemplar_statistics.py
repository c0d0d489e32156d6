"""Measure how far the exemplars of a network's pooling layers are from data.

Thesis sections 4.4 and 6: exemplars by plain gradient ascent, with the norm held,
and regularized; the activation that they reach beside the largest one on data,
what they are like, and whether they survive a shift and another start.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cnnviz.cli.commands import arguments
from cnnviz.runtime import paths


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--network",
        required=True,
        help="defauw, or a convolutional network of the die: c1 to c9, or c4_sigmoid",
    )
    parser.add_argument(
        "--fold", type=int, default=0, help="of the die's random split: which weights"
    )
    arguments.add_images(parser)
    arguments.add_weights(parser)
    parser.add_argument(
        "--photographs",
        type=Path,
        default=paths.PHOTOGRAPHS / "synthetic",
        help="for defauw: folder of 'cnnviz prepare-photographs'",
    )
    arguments.add_defauw_weights(parser)
    parser.add_argument(
        "--layers",
        nargs="+",
        help="pooling layers; all of the die's networks, "
        "pool2, pool3, pool4 of defauw if not given",
    )
    parser.add_argument(
        "--per-class",
        type=int,
        help="sample of the data: so many of every class, 800 views of "
        "the die or 4 photographs if not given",
    )
    parser.add_argument(
        "--max-steps",
        type=int,
        help="steps of every ascent, for a quick test; as many as the table says if not given",
    )
    arguments.add_engine(parser)
    arguments.add_output(parser, ".npz file to write")


def run(args: argparse.Namespace) -> None:
    from cnnviz.experiments import exemplar_statistics

    arguments.select_engine(args)
    which = exemplar_statistics.Sample(
        network=args.network,
        fold=args.fold,
        images=args.images,
        weights_folder=args.weights_folder,
        photographs=args.photographs,
        weights=args.weights,
        layers=args.layers,
        per_class=args.per_class,
        max_steps=args.max_steps,
    )
    exemplar_statistics.write(which, args.output)
