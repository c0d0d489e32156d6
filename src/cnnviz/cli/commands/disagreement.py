"""The view of the die whose posteriors differ most from those of its neighbors.

Thesis section 5.4 and Figure 5.5: searched over all views of the data set and both angles, by the
networks of one fold.
"""

from __future__ import annotations

import argparse

from cnnviz.cli.commands import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--networks", nargs="+", required=True)
    parser.add_argument("--fold", type=int, default=0)
    arguments.add_images(parser)
    arguments.add_weights(parser)
    arguments.add_engine(parser)
    arguments.add_output(parser, ".npz file to write")


def run(args: argparse.Namespace) -> None:
    from cnnviz.experiments import disagreement

    arguments.select_engine(args)
    which = disagreement.Networks(args.networks, args.fold, args.weights_folder)
    print(disagreement.write(which, args.images, args.output))
