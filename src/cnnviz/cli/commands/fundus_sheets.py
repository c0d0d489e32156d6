"""Saliency of the features of Figures 4.5 to 4.21 on their nine strongest photographs.

Three methods (thesis sections 3.2.1 and 3.2.2): gradient of the map's maximum, gradient
of its sum, and occlusion of the maximal neuron by squares of 11 x 11 pixels. The networks
are those of 'cnnviz dissect'.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cnnviz.cli.commands import arguments

STRIDES = {"pool1": 1, "pool2": 1, "pool3": 3, "pool4": 8, "pool5": 16}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_photographs(parser)
    parser.add_argument(
        "--roles", type=Path, required=True, help="file of 'cnnviz table 4.1': which features"
    )
    parser.add_argument(
        "--dissected",
        type=Path,
        nargs="+",
        required=True,
        help="files of 'cnnviz dissect', one for each network",
    )
    parser.add_argument(
        "--which",
        choices=("all", "marked"),
        default="all",
        help="the strongest of all photographs, or of those whose lesions are marked",
    )
    parser.add_argument(
        "--strides",
        type=int,
        nargs=5,
        default=list(STRIDES.values()),
        help="of the occluder, from the first pooling layer to the fifth",
    )
    arguments.add_engine(parser)
    arguments.add_output(parser, "folder to write, with a file for each figure", "folder")


def run(args: argparse.Namespace) -> None:
    from cnnviz.experiments import fundus_sheets

    arguments.select_engine(args)
    fundus_sheets.write(
        args.photographs,
        args.roles,
        args.dissected,
        dict(zip(STRIDES, args.strides)),
        args.output,
        args.which,
    )
