"""Say how many numbers of a finished run agree with the recorded ones.

The record is what the repository holds: thesis_tables/ and, of the die, data/. What is
compared within which tolerance, and why, is said in docs/reproduction.md.
"""

from __future__ import annotations

import argparse

from cnnviz.cli.commands import arguments
from cnnviz.runtime import paths


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_run(parser)
    arguments.add_written(
        parser,
        "-o",
        "--output",
        default=paths.AGREEMENT,
        help="CSV file to write, of all numbers that do not agree",
    )


def run(args: argparse.Namespace) -> None:
    from cnnviz.thesis import finished_run

    print(finished_run.agreement(args.run, args.output))
