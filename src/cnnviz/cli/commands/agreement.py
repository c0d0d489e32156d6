"""Say how many numbers of a finished run agree with the recorded ones.

The record is what the repository holds: thesis_tables/ and, of the die, data/. What is
compared within which tolerance, and why, is said in docs/reproduction.md.
"""

from pathlib import Path

import yaml

from cnnviz.cli.commands import arguments
from cnnviz.runtime import configuration, files, paths
from cnnviz.runtime.errors import MissingFileError, UserError
from cnnviz.thesis import run_agreement


def add_arguments(parser):
    arguments.add_run(parser)
    arguments.add_written(
        parser,
        "-o",
        "--output",
        default=paths.AGREEMENT,
        help="CSV file to write, of all numbers that do not agree",
    )


def read_run(path):
    """Configuration of a finished run, and paths of its tables.

    Parameters
    ----------
    path : Path
        :data:`cnnviz.runtime.paths.RUN`.

    Raises
    ------
    MissingFileError, UserError
        For a run that is not finished, or another file.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; finish a run with 'make reproduce'")
    text = files.read_text(path)
    try:
        run = yaml.safe_load(text)
        tables = [Path(name) for name in run["tables"]]
        settings = dict(run["configuration"])
    except (yaml.YAMLError, TypeError, KeyError, ValueError) as error:
        raise UserError(
            f"{path}: not the description of a run ({' '.join(str(error).split())}"
            "); delete it and run 'make reproduce' again"
        ) from None
    missing = [table for table in tables if not table.is_file()]
    if missing:
        raise MissingFileError(
            f"{missing[0]}: no such file, and {len(missing) - 1} more; "
            "finish the run with 'make reproduce'"
        )
    return settings, tables


def differing_settings(settings):
    """Settings of a run that are not those of the record.

    The mirror of external files does not count: what it changes has a record of its own.
    """
    default = yaml.safe_load(files.read_text(paths.DEFAULT_CONFIG))
    return [
        name for name in configuration.differences(settings, default) if name != "fundus.mirror"
    ]


def run(args):
    settings, tables = read_run(args.run)
    counts, found = {}, []
    for table in tables:
        recorded = paths.recorded(table)
        name = recorded.relative_to(paths.REPOSITORY).as_posix()
        old = files.read_text(recorded) if recorded.is_file() else ""
        counts[name], differences = run_agreement.compare(name, old, files.read_text(table))
        found += differences
    files.write_rows(
        args.output, run_agreement.Difference._fields, [each._asdict() for each in found]
    )
    print(
        run_agreement.in_words(counts, found, differing_settings(settings))
        + (f"; see {args.output}" if found else "")
    )
