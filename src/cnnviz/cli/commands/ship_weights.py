"""Copy trained weights to weights/, with a manifest and learning curves."""

from __future__ import annotations

import argparse
from pathlib import Path

from cnnviz.cli.commands import arguments
from cnnviz.runtime import paths


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trained",
        type=Path,
        default=paths.TRAINED_WEIGHTS,
        help="folder of trained weights, SPLIT/NETWORK_foldK.npz",
    )
    parser.add_argument(
        "--histories",
        type=Path,
        default=paths.HISTORIES,
        help="folder of learning curves, likewise",
    )
    arguments.add_written(
        parser,
        "-o",
        "--output",
        kind="folder",
        default=paths.SHIPPED_WEIGHTS,
        help="folder to write to",
    )


def run(args: argparse.Namespace) -> None:
    from cnnviz.experiments import die_shipping

    count = die_shipping.write(args.trained, args.histories, args.output)
    print(f"{count} weight files in {args.output}")
