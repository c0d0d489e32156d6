"""Size, shape and contrast of synthetic lesions beside those of real ones.

The real ones were measured once; --measure measures them again from IDRiD's
outlined photographs and writes that record.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cnnviz.cli.commands import arguments
from cnnviz.runtime import paths


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_mirror(parser)
    parser.add_argument("--measure", action="store_true", help="measure the real ones again")
    parser.add_argument(
        "--real", type=Path, default=paths.IDRID_LESIONS, help="record of the real ones"
    )
    parser.add_argument("--count", type=int, default=48, help="photographs to draw")
    arguments.add_output(parser, "Markdown file to write")


def run(args: argparse.Namespace) -> None:
    from cnnviz.thesis.tables import synthetic_lesions

    if args.measure:
        synthetic_lesions.measure(args.mirror, args.real)
    synthetic_lesions.write(args.real, args.count, args.output)
