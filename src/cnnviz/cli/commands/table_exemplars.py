"""Exemplars beside data: the hypothesis of thesis section 6 in numbers."""

import io
from pathlib import Path

import pandas as pd

from cnnviz.cli.commands import arguments
from cnnviz.runtime import files
from cnnviz.thesis.tables import exemplars


def add_arguments(parser):
    parser.add_argument(
        "--statistics",
        type=Path,
        nargs="+",
        required=True,
        help="files of 'cnnviz exemplar-statistics', one for each network",
    )
    arguments.add_written(
        parser, "--rows", required=True, help="CSV file to write, a row for each exemplar"
    )
    arguments.add_output(parser, "Markdown file to write")


def run(args):
    found = [files.load_arrays(path, "cnnviz exemplar-statistics") for path in args.statistics]
    table = pd.concat(map(exemplars.frame, found), ignore_index=True)
    rows = table.to_csv(index=False, float_format="%.6g")
    files.write_text(args.rows, rows)
    # From what is written, so that the text can be made from it again.
    table = pd.read_csv(io.StringIO(rows))
    files.write_text(args.output, exemplars.text(table, exemplars.words(found)))
