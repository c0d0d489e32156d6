"""Table 5.1 from the evaluations of all networks and folds."""

from pathlib import Path

from cnnviz.cli.commands import arguments
from cnnviz.runtime import files, paths
from cnnviz.thesis import comparison
from cnnviz.thesis.tables import table_5_1


def add_arguments(parser):
    arguments.add_evaluations(parser)
    parser.add_argument(
        "--reported",
        type=Path,
        default=paths.REPORTED_TABLES / "table_5_1.csv",
        help="the thesis's table",
    )
    arguments.add_written(
        parser, "--folds-table", required=True, help="CSV file to write: every fold"
    )
    arguments.add_output(parser, "CSV file of reproduced numbers to write")


def read_evaluations(folder, split, networks, folds):
    """Evaluations of all folds by network, from files of ``cnnviz evaluate``."""
    return {
        name: [
            files.load_arrays(paths.weight_file(folder, split, name, fold), "cnnviz evaluate")
            for fold in range(folds)
        ]
        for name in networks
    }


def rows(evaluations):
    """Table rows of one split."""
    from cnnviz.networks import die
    from cnnviz.runtime.backend import lasagne

    return table_5_1.rows(evaluations, lambda name: lasagne.layers.count_params(die.build(name)))


def reported_spreads(path):
    """The thesis's (mean, above, below) by network."""
    reported = comparison.read_reported([path])
    value = dict(zip(reported["id"], reported["value"]))
    quantities = [f"validation_accuracy_{part}" for part in ("mean", "above", "below")]
    return {
        name: tuple(float(value[f"table_5_1.{name}.{quantity}"]) for quantity in quantities)
        for name in reported["network"].unique()
        if name
    }


def run(args):
    table = rows(read_evaluations(args.evaluations, "random", args.networks, args.folds))
    spreads = {
        name: spread
        for name, spread in reported_spreads(args.reported).items()
        if name in args.networks
    }
    pairs = table_5_1.separated_pairs(spreads)
    comparison.write_reproduced(args.output, table_5_1.reproduced(table, pairs, "make reproduce"))
    files.write_text(args.folds_table, table_5_1.as_frame(table).to_csv(index=False))
