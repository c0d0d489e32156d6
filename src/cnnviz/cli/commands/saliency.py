"""Saliency maps of every feature of every pooling layer of one network.

Thesis section 3.2.1, aggregated by max and by sum.  Maps of the shown views are
written, and, measured on many views, what each feature's saliency lies on.
"""

from __future__ import annotations

import argparse

from cnnviz.cli.commands import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_die_pooling(parser)
    parser.add_argument(
        "--sampling-stride", type=int, default=50, help="measure on every n-th view"
    )
    arguments.add_output(parser, ".npz file to write")


def run(args: argparse.Namespace) -> None:
    from cnnviz.experiments import die_saliency

    arguments.select_engine(args)
    die_saliency.write(arguments.die_pooling(args), args.sampling_stride, args.output)
