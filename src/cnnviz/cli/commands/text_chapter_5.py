"""Numbers in the text of chapter 5 that concern Die360."""

from pathlib import Path

from cnnviz.cli.commands import arguments
from cnnviz.cli.commands.table_5_1 import read_evaluations, rows
from cnnviz.datasets import die360, splits
from cnnviz.runtime import paths
from cnnviz.thesis import comparison
from cnnviz.thesis.figures import figure_5_1
from cnnviz.thesis.tables import text_chapter_5


def add_arguments(parser):
    arguments.add_images(parser)
    arguments.add_evaluations(parser)
    parser.add_argument(
        "--reported",
        type=Path,
        default=paths.REPORTED_TABLES / "text_chapter_5.csv",
        help="the thesis's numbers",
    )
    arguments.add_output(parser, "CSV file of reproduced numbers to write")


def run(args):
    from cnnviz.networks import die

    data = die360.load(args.images, args.every)
    table = rows(read_evaluations(args.evaluations, "random", args.networks, args.folds))
    convolutional = [name for name in args.networks if name in die.CONVOLUTIONAL]
    dense = [name for name in args.networks if name not in die.CONVOLUTIONAL]
    training, _ = splits.random_split(len(data.labels), 0)
    numbers = {
        **text_chapter_5.data_numbers(
            data.a, data.b, data.labels, data.images, figure_5_1.SIZE, training
        ),
        **text_chapter_5.network_numbers(die.build, convolutional, dense),
    }
    if set(args.networks) == set(die.NAMES):
        numbers.update(text_chapter_5.accuracy_numbers(table, dense))
    comparison.write_reproduced(
        args.output,
        text_chapter_5.reproduced(
            numbers, comparison.read_reported([args.reported]), "make reproduce"
        ),
    )
