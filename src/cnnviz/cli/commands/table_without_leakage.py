"""Accuracies on the split without leakage, beside those of Table 5.1."""

from pathlib import Path

from cnnviz.cli.commands import arguments
from cnnviz.cli.commands.table_5_1 import read_evaluations, reported_spreads, rows
from cnnviz.datasets import die360
from cnnviz.runtime import files, paths
from cnnviz.thesis.tables import leakage, table_5_1


def add_arguments(parser):
    arguments.add_evaluations(parser)
    parser.add_argument(
        "--every", type=int, default=1, help="the evaluated images are every n-th view only"
    )
    parser.add_argument(
        "--reported",
        type=Path,
        default=paths.REPORTED_TABLES / "table_5_1.csv",
        help="the thesis's table",
    )
    arguments.add_written(
        parser, "--folds-table", required=True, help="CSV file to write: every fold"
    )
    arguments.add_written(
        parser,
        "--by-distance",
        required=True,
        help="CSV file to write: right answers by the angle to the nearest training view",
    )
    arguments.add_output(parser, "Markdown file to write")


def run(args):
    random, separated = (
        read_evaluations(args.evaluations, split, args.networks, args.folds)
        for split in arguments.SPLITS
    )
    table = rows(separated)
    files.write_text(
        args.output, leakage.separated_text(rows(random), table, reported_spreads(args.reported))
    )
    files.write_text(args.folds_table, table_5_1.as_frame(table).to_csv(index=False))
    _, b, _ = (column[:: args.every] for column in die360.angles())
    files.write_text(
        args.by_distance, leakage.accuracy_by_distance(separated, b).to_csv(index=False)
    )
