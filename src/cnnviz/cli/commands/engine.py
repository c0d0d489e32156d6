"""Say which engine and device run the networks, or why they cannot."""

from __future__ import annotations

import argparse

from cnnviz.cli.commands import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_engine(parser)


def run(args: argparse.Namespace) -> None:
    arguments.select_engine(args)
