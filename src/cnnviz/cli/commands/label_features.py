"""Label every feature by what its saliency lies on; Table 4.1; features for the figures.

From the files of 'cnnviz dissect' and 'cnnviz localize' of the trained and of the randomly
initialized network, which say what they were made from.
"""

from pathlib import Path

from cnnviz.cli.commands import arguments
from cnnviz.runtime import paths


def add_arguments(parser):
    parser.add_argument(
        "--dissected",
        type=Path,
        nargs="+",
        required=True,
        help="files of 'cnnviz dissect', one for each network",
    )
    parser.add_argument(
        "--localized",
        type=Path,
        nargs="+",
        required=True,
        help="files of 'cnnviz localize' that were made from these",
    )
    parser.add_argument(
        "--reported",
        type=Path,
        default=paths.REPORTED_TABLES / "table_4_1.csv",
        help="the thesis's numbers",
    )
    arguments.add_written(
        parser, "--features", required=True, help="CSV file of all features to write"
    )
    arguments.add_written(
        parser, "--roles", required=True, help="CSV file of the features of the figures to write"
    )
    arguments.add_written(
        parser, "--every", help="CSV file of the same form of all features to write"
    )
    arguments.add_written(
        parser, "--reproduced", required=True, help="CSV file of reproduced numbers to write"
    )
    arguments.add_output(parser, "Markdown file of Table 4.1 to write")


def run(args):
    from cnnviz.thesis.tables import table_4_1

    outputs = table_4_1.Outputs(args.output, args.features, args.roles, args.every, args.reproduced)
    table_4_1.write(args.dissected, args.localized, args.reported, outputs)
