"""Measure the rendered data set and write its data statement."""

from __future__ import annotations

import argparse

from cnnviz.cli.commands import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_images(parser)
    arguments.add_written(
        parser, "--statement", required=True, help="data statement to write (Markdown)"
    )
    arguments.add_output(parser, "CSV file of the measured facts to write")


def run(args: argparse.Namespace) -> None:
    from cnnviz.thesis.tables import die360_statement

    die360_statement.write(args.images, args.output, args.statement)
