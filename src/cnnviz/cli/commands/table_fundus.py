"""How well De Fauw's network grades photographs: kappa, accuracy, confusion."""

from pathlib import Path

from cnnviz.cli.commands import arguments


def add_arguments(parser):
    parser.add_argument(
        "--evaluations",
        type=Path,
        nargs="+",
        required=True,
        help="files of 'cnnviz evaluate-fundus', one for each data set",
    )
    arguments.add_output(parser, "Markdown file to write")


def run(args):
    from cnnviz.thesis.tables import fundus_network

    fundus_network.write(args.evaluations, args.output)
