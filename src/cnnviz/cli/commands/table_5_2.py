"""Table 5.2: exemplars of the die's networks, and what the thesis says of them, measured.

Writes the pictures, and a Markdown file with the thesis's two claims about them beside
numbers: that of spot-like shapes, and that of an empty corner at the bottom right.
"""

from pathlib import Path

from cnnviz.cli.commands import arguments


def add_arguments(parser):
    parser.add_argument(
        "--exemplars",
        type=Path,
        nargs="+",
        required=True,
        help="files of 'cnnviz die-exemplars', one per network",
    )
    arguments.add_written(
        parser,
        "--table",
        required=True,
        help="Markdown file to write: the thesis's claims, measured",
    )
    arguments.add_figure(parser)


def run(args):
    from cnnviz.thesis.figures import table_5_2

    table_5_2.make(args.output, exemplars=args.exemplars, table=args.table)
