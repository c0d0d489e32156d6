"""A finished run of the workflow: its settings and tables, and how they become the record."""

import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from cnnviz.runtime import configuration, files, paths, tables
from cnnviz.runtime.errors import MissingFileError, UserError
from cnnviz.thesis import run_agreement

__all__ = ["agreement", "changed", "differing_settings", "planned", "read_run", "record"]


def read_run(path: Path) -> tuple[dict[str, Any], list[Path]]:
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
        made = [Path(name) for name in run["tables"]]
        settings = dict(run["configuration"])
    except (yaml.YAMLError, TypeError, KeyError, ValueError) as error:
        raise UserError(
            f"{path}: not the description of a run ({' '.join(str(error).split())}"
            "); delete it and run 'make reproduce' again"
        ) from None
    missing = [table for table in made if not table.is_file()]
    if missing:
        raise MissingFileError(
            f"{missing[0]}: no such file, and {len(missing) - 1} more; "
            "finish the run with 'make reproduce'"
        )
    return settings, made


def differing_settings(settings: Mapping[str, Any]) -> list[str]:
    """Settings of a run that are not those of the record.

    The mirror of external files does not count: what it changes has a record of its own.
    """
    default = yaml.safe_load(files.read_text(paths.DEFAULT_CONFIG))
    return [
        name for name in configuration.differences(settings, default) if name != "fundus.mirror"
    ]


def agreement(run: Path, output: Path) -> str:
    """Compare a finished run with the record, for ``cnnviz agreement``.

    Parameters
    ----------
    run : path
        Its description.
    output : path
        CSV file of all numbers that do not agree.

    Returns
    -------
    str
        The result in one line.
    """
    settings, made = read_run(run)
    counts, found = {}, []
    for table in made:
        recorded = paths.recorded(table)
        name = recorded.relative_to(paths.REPOSITORY).as_posix()
        old = files.read_text(recorded) if recorded.is_file() else ""
        counts[name], differences = run_agreement.compare(name, old, files.read_text(table))
        found += differences
    tables.write_rows(output, run_agreement.Difference._fields, [each._asdict() for each in found])
    return run_agreement.in_words(counts, found, differing_settings(settings)) + (
        f"; see {output}" if found else ""
    )


def planned() -> str:
    """What Snakemake would do for the default configuration: nothing, or its words."""
    dry = subprocess.run(
        [
            sys.executable,
            "-m",
            "snakemake",
            "--dry-run",
            "--quiet",
            "rules",
            "--snakefile",
            str(paths.REPOSITORY / "Snakefile"),
        ],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if dry.returncode:
        return dry.stdout.strip().splitlines()[-1] if dry.stdout.strip() else "it failed"
    if "Nothing to be done" in dry.stdout:
        return ""
    jobs = next(
        (line.split()[-1] for line in dry.stdout.splitlines() if line.startswith("total ")), "some"
    )
    return f"{jobs} jobs are left"


def changed(made: Iterable[Path]) -> list[tuple[Path, Path, str]]:
    """Tables of a run that are not as recorded.

    Parameters
    ----------
    made : list of Path

    Returns
    -------
    list of (Path, Path, str)
        Table, its place in the record, and its new contents.
    """
    found = []
    for table in made:
        recorded, text = paths.recorded(table), table.read_text(encoding="utf-8")
        if not recorded.is_file() or recorded.read_text(encoding="utf-8") != text:
            found.append((table, recorded, text))
    return found


def record(run: Path) -> tuple[list[Path], int]:
    """Make the tables of a finished run the recorded ones, for ``cnnviz record``.

    Returns
    -------
    list of path, int
        Recorded tables that changed, and the number of all.

    Raises
    ------
    UserError
        For a run with other settings than the default ones, or one that is not up to date.
    """
    settings, made = read_run(run)
    other = differing_settings(settings)
    if other:
        raise UserError(
            f"{run}: the run was made with other settings than the "
            f"default ones ({', '.join(other)}); the record is made by 'make "
            "reproduce' without CONFIG"
        )
    left = planned()
    if left:
        raise UserError(
            f"the run in {paths.RESULTS} is not complete or not up to date: {left}"
            "; run 'make reproduce' first"
        )
    replaced = changed(made)
    for _, recorded, text in replaced:
        files.write_text(recorded, text)
    return [recorded for _, recorded, _ in replaced], len(made)
