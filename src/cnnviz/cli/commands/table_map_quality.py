"""Evaluation of attribution maps: means, intervals and what they say."""

from pathlib import Path

import pandas as pd

from cnnviz.cli.commands import arguments
from cnnviz.runtime import files
from cnnviz.runtime.errors import UserError


def add_arguments(parser):
    parser.add_argument(
        "--measured", type=Path, nargs="+", required=True, help="CSV files of 'cnnviz map-quality'"
    )
    arguments.add_written(
        parser, "--summary", required=True, help="CSV file of all means and intervals to write"
    )
    arguments.add_output(parser, "Markdown file to write")


def read(path):
    """Rows of 'cnnviz map-quality'.

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing file, or one with other columns.
    """
    from cnnviz.evaluation.benchmark import COLUMNS

    # Only values may be missing; a method that is not there is an empty text.
    frame = files.read_table(
        path,
        "cnnviz map-quality",
        keep_default_na=False,
        na_values={"value": ["", "nan"]},
        dtype={"image": str},
    )
    if tuple(frame.columns) != COLUMNS:
        raise UserError(
            f"{path}: columns {list(frame.columns)} instead of "
            f"{list(COLUMNS)}; make it again with 'cnnviz map-quality'"
        )
    return frame


def run(args):
    from cnnviz.thesis.tables import map_quality

    frame = pd.concat(map(read, args.measured), ignore_index=True)
    table = map_quality.wide(frame)
    means = map_quality.summary(table)
    with files.atomic(args.summary) as temporary:
        means.to_csv(temporary, index=False, lineterminator="\n")
    files.write_text(args.output, map_quality.text(frame, table, means))
