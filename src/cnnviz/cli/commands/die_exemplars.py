"""Exemplars of every feature of every pooling layer of a network of the die.

Thesis sections 3.1.1 and 5.3: gradient ascent from Gaussian noise, on the patch that one neuron
sees, of the central neuron and of neuron (0, 0).
"""

from __future__ import annotations

import argparse

from cnnviz.cli.commands import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--starts", type=int, default=4, help="ascents from different noise; the best counts"
    )
    parser.add_argument(
        "--sampling-stride",
        type=int,
        default=10,
        help="search the largest activation in every n-th view",
    )
    arguments.add_die_pooling(parser)
    arguments.add_output(parser, ".npz file to write")


def run(args: argparse.Namespace) -> None:
    from cnnviz.experiments import die_exemplars

    arguments.select_engine(args)
    die_exemplars.write(arguments.die_pooling(args), args.starts, args.sampling_stride, args.output)
