"""How well De Fauw's network grades photographs: kappa, accuracy, confusion."""

from pathlib import Path

from cnnviz.cli.commands import arguments
from cnnviz.runtime import files
from cnnviz.runtime.errors import UserError
from cnnviz.thesis.tables import fundus_network


def add_arguments(parser):
    parser.add_argument(
        "--evaluations",
        type=Path,
        nargs="+",
        required=True,
        help="files of 'cnnviz evaluate-fundus', one for each data set",
    )
    parser.add_argument("--names", nargs="+", required=True, help="what to call them in the table")
    arguments.add_output(parser, "Markdown file to write")


def run(args):
    if len(args.names) != len(args.evaluations):
        raise UserError(
            f"{len(args.evaluations)} evaluations need as many names, not {len(args.names)}"
        )
    files.write_text(
        args.output,
        fundus_network.text(
            {
                name: fundus_network.measured(files.load_arrays(path, "cnnviz evaluate-fundus"))
                for name, path in zip(args.names, args.evaluations)
            }
        ),
    )
