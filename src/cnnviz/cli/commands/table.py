"""Write a table of the thesis, or one beyond it, from what the workflow has computed.

'cnnviz table 4.1 --help' says what a table needs.
"""

from __future__ import annotations

import argparse

from cnnviz.cli import products
from cnnviz.cli.tables import TABLES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    products.add_parsers(parser, "Table", TABLES)


def run(args: argparse.Namespace) -> None:
    products.make(args, TABLES)
