"""Accuracies on the split without leakage, beside those of Table 5.1."""

from cnnviz.cli.commands import arguments


def add_arguments(parser):
    arguments.add_evaluations(parser)
    arguments.add_reported(parser, "table_5_1")
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
    from cnnviz.thesis.tables import leakage

    which = (args.evaluations, args.networks, args.folds)
    leakage.make(args.output, args.folds_table, args.by_distance, which, args.reported)
