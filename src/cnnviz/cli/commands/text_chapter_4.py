"""Numbers in the text of chapter 4 that need no trained weights.

Some need the competition's labels, which are taken from a mirror or downloaded.
Where they cannot be had, those numbers are left out: not reproducible here.
"""

from pathlib import Path

from cnnviz.cli.commands import arguments
from cnnviz.runtime import paths


def add_arguments(parser):
    arguments.add_mirror(parser)
    parser.add_argument(
        "--downloads", type=Path, default=paths.DOWNLOADS, help="where downloaded files are kept"
    )
    parser.add_argument(
        "--reported",
        type=Path,
        default=paths.REPORTED_TABLES / "text_chapter_4.csv",
        help="the thesis's numbers",
    )
    arguments.add_output(parser, "CSV file of reproduced numbers to write")


def run(args):
    from cnnviz.thesis.tables import text_chapter_4

    text_chapter_4.write(args.mirror, args.downloads, args.reported, args.output)
