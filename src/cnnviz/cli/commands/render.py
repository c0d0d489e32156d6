"""Render the Die360 images (thesis section 5.1)."""

from __future__ import annotations

import argparse

from cnnviz.cli.commands import arguments
from cnnviz.datasets import die360


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sampling-stride", type=int, default=1, help="every n-th view of the data set"
    )
    parser.add_argument("--size", type=int, default=die360.SIZE, help="pixels along each side")
    arguments.add_output(parser, ".npz file to write")


def run(args: argparse.Namespace) -> None:
    die360.write(args.output, args.sampling_stride, args.size, progress=True)
