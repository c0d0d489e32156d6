"""Table 5.1 from the evaluations of all networks and folds."""

from cnnviz.cli.commands import arguments


def add_arguments(parser):
    arguments.add_evaluations(parser)
    arguments.add_reported(parser, "table_5_1")
    arguments.add_written(
        parser, "--folds-table", required=True, help="CSV file to write: every fold"
    )
    arguments.add_output(parser, "CSV file of reproduced numbers to write")


def run(args):
    from cnnviz.thesis.tables import table_5_1

    which = (args.evaluations, args.networks, args.folds)
    table_5_1.make(args.output, args.folds_table, which, args.reported)
