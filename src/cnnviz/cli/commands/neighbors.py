"""How much saliency changes between views of the die that are one degree apart.

Thesis section 5.4 and Figure 5.2: every n-th view with its neighbors in either angle, and, to
compare with, two views of the same class at random.
"""

from __future__ import annotations

import argparse

from cnnviz.cli.commands import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sampling-stride",
        type=int,
        default=400,
        help="compare every n-th view with its neighbors",
    )
    arguments.add_die_pooling(parser)
    arguments.add_output(parser, ".npz file to write")


def run(args: argparse.Namespace) -> None:
    from cnnviz.experiments import neighboring_views

    arguments.select_engine(args)
    neighboring_views.write(arguments.die_pooling(args), args.sampling_stride, args.output)
