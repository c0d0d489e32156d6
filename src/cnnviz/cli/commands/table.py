"""Write a table of the thesis, or one beyond it, from what the workflow has computed.

'cnnviz table 4.1 --help' says what a table needs.
"""

from cnnviz.cli import products
from cnnviz.cli.tables import TABLES


def add_arguments(parser):
    products.add_parsers(parser, "Table", TABLES)


def run(args):
    products.make(args, TABLES)
