"""Make the tables of a finished run the recorded ones (thesis_tables/ and data/).

Run it in the repository. Refused unless the run in results/ is complete, up to date and
made with the default configuration, which is asked of Snakemake.
"""

import subprocess
import sys

from cnnviz.cli.commands import arguments
from cnnviz.cli.commands.agreement import differing_settings, read_run
from cnnviz.runtime import files, paths
from cnnviz.runtime.errors import UserError


def add_arguments(parser):
    arguments.add_run(parser)


def planned():
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


def changed(tables):
    """Tables of a run that are not as recorded.

    Parameters
    ----------
    tables : list of Path

    Returns
    -------
    list of (Path, Path, str)
        Table, its place in the record, and its new contents.
    """
    found = []
    for table in tables:
        recorded, text = paths.recorded(table), table.read_text(encoding="utf-8")
        if not recorded.is_file() or recorded.read_text(encoding="utf-8") != text:
            found.append((table, recorded, text))
    return found


def run(args):
    settings, tables = read_run(args.run)
    other = differing_settings(settings)
    if other:
        raise UserError(
            f"{args.run}: the run was made with other settings than the "
            f"default ones ({', '.join(other)}); the record is made by 'make "
            "reproduce' without CONFIG"
        )
    left = planned()
    if left:
        raise UserError(
            f"the run in {paths.RESULTS} is not complete or not up to date: {left}"
            "; run 'make reproduce' first"
        )
    found = changed(tables)
    for _, recorded, text in found:
        files.write_text(recorded, text)
        print(recorded.relative_to(paths.REPOSITORY))
    print(
        f"{len(found)} of {len(tables)} recorded tables changed"
        + ("; look at them with 'git diff' and commit them" if found else "")
    )
