"""Evaluation of attribution maps: means, intervals and what they say."""

from pathlib import Path

from cnnviz.cli.commands import arguments


def add_arguments(parser):
    parser.add_argument(
        "--measured", type=Path, nargs="+", required=True, help="CSV files of 'cnnviz map-quality'"
    )
    arguments.add_written(
        parser, "--summary", required=True, help="CSV file of all means and intervals to write"
    )
    arguments.add_output(parser, "Markdown file to write")


def run(args):
    from cnnviz.thesis.tables import map_quality

    map_quality.write(args.measured, args.summary, args.output)
