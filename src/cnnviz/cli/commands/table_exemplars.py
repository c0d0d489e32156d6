"""Exemplars beside data: the hypothesis of thesis section 6 in numbers."""

from pathlib import Path

from cnnviz.cli.commands import arguments


def add_arguments(parser):
    parser.add_argument(
        "--statistics",
        type=Path,
        nargs="+",
        required=True,
        help="files of 'cnnviz exemplar-statistics', one for each network",
    )
    arguments.add_written(
        parser, "--rows", required=True, help="CSV file to write, a row for each exemplar"
    )
    arguments.add_output(parser, "Markdown file to write")


def run(args):
    from cnnviz.thesis.tables import exemplars

    exemplars.write(args.statistics, args.rows, args.output)
