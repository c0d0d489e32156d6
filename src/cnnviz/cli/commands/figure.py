"""Draw a figure of the thesis, or one beyond it, from what the workflow has computed.

'cnnviz figure 4.15 --help' says what a figure needs.
"""

from __future__ import annotations

import argparse

from cnnviz.cli import products
from cnnviz.cli.figures import FIGURES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    products.add_parsers(parser, "Figure", FIGURES)


def run(args: argparse.Namespace) -> None:
    products.make(args, FIGURES)
