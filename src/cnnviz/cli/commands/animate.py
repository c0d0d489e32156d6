"""Animations of a feature's saliency along views of the die one degree apart.

Thesis section 5.4.  One for each face; the feature is the one whose saliency of max(F) exceeds the
share of the area on spots most, as 'cnnviz saliency' measured it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cnnviz.cli.commands import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--saliency", type=Path, required=True, help="file of 'cnnviz saliency'")
    parser.add_argument("--fold", type=int, default=0)
    arguments.add_images(parser)
    arguments.add_weights(parser)
    arguments.add_engine(parser)
    arguments.add_output(parser, "folder for face_1.gif to face_6.gif", "folder")


def run(args: argparse.Namespace) -> None:
    from cnnviz.experiments.die_pooling import Trained
    from cnnviz.thesis.figures import die_animations

    arguments.select_engine(args)
    which = Trained("", args.fold, args.weights_folder, args.images)
    die_animations.make(args.output, args.saliency, which)
