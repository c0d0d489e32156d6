"""Numbers in the text of chapter 4 that need no trained weights.

Some need the competition's labels, which are taken from a mirror or downloaded.
Where they cannot be had, those numbers are left out: not reproducible here.
"""

import sys
from pathlib import Path

from cnnviz.cli.commands import arguments
from cnnviz.datasets import external, kaggle
from cnnviz.runtime import files, paths
from cnnviz.thesis import comparison
from cnnviz.thesis.tables import text_chapter_4


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


def _available(find, read, *where):
    """What a file holds and its SHA-256, or None twice where it cannot be had."""
    try:
        path = find(*where)
    except external.Unavailable as error:
        print(f"left out: {error}", file=sys.stderr)
        return None, None
    return read(path), files.sha256(path)


def _noted(numbers, notes, found, remark):
    """Add numbers, each with the same remark."""
    numbers.update(found)
    notes.update(dict.fromkeys(found, remark))


def run(args):
    from cnnviz.networks import defauw

    mirror = external.mirror(args.mirror)
    numbers = text_chapter_4.network_numbers(defauw.build())
    notes = {}
    training, first = _available(kaggle.training_labels, kaggle.read_labels, mirror, args.downloads)
    test, second = _available(kaggle.test_labels, kaggle.read_labels, mirror, args.downloads)
    _noted(
        numbers,
        notes,
        text_chapter_4.label_numbers(training, test, numbers["parameters"]),
        "labels of SHA-256 " + " and ".join(filter(None, (first, second))),
    )
    outputs, digest = _available(kaggle.validation_outputs, kaggle.read_outputs, mirror)
    if outputs is not None:
        _noted(
            numbers,
            notes,
            text_chapter_4.validation_numbers(*outputs),
            f"outputs of SHA-256 {digest}",
        )
    comparison.write_reproduced(
        args.output,
        text_chapter_4.reproduced(
            numbers,
            comparison.read_reported([args.reported]),
            "CNNVIZ_MIRROR=FOLDER make reproduce" if mirror else "make reproduce",
            notes,
        ),
    )
