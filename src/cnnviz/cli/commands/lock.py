"""Say who holds the lock of this folder's workflow: a run at work, or one that was killed.

Snakemake locks the folder it works in. A run that is killed, or whose machine loses its
power, cannot unlock it; nothing of what it finished is lost.
"""

import os
import subprocess
import sys
from pathlib import Path

from cnnviz.runtime import paths
from cnnviz.runtime.errors import UserError

LOCKS = Path(".snakemake") / "locks"
_PROGRAMS = ("snakemake", "cnnviz")


def add_arguments(parser):
    parser.add_argument(
        "--remove", action="store_true", help="remove the lock of a run that was killed"
    )


def _ancestors(pid, processes):
    """Process numbers of a process and of those that started it."""
    found = set()
    while pid and pid not in found:
        found.add(pid)
        try:
            # The name before it, in brackets, may hold anything.
            pid = int((processes / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            break
    return found


def at_work(folder, processes=Path("/proc")):
    """Processes of a workflow in a folder on this machine, besides this one.

    Parameters
    ----------
    folder : Path
    processes : Path
        Where the system lists them.

    Returns
    -------
    list of (int, str)
        Process number and command line.
    """
    found, own = [], _ancestors(os.getpid(), processes)
    for process in processes.glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            there = (process / "cwd").resolve()
        except OSError:  # ended meanwhile, or another user's
            continue
        # The program, or what an interpreter runs; not a word among other arguments.
        names = {Path(word).name for word in words[:3]}
        if int(process.name) not in own and there == folder.resolve() and (names & set(_PROGRAMS)):
            found.append((int(process.name), " ".join(words).strip()))
    return sorted(found)


def is_locked(folder):
    """Whether a folder has a lock of Snakemake's."""
    return any((folder / LOCKS).glob("*.lock"))


def run(args):
    here = Path.cwd()
    if not is_locked(here):
        return
    working = at_work(here)
    if working:
        number, command = working[0]
        raise UserError(
            f"{here}: another run is at work here (process {number}: "
            f"{command[:60]}); wait for it, or stop it with 'kill {number}'"
        )
    if not args.remove:
        raise UserError(
            f"{here}: locked by a run that was killed; 'make unlock' (snakemake "
            "--unlock) removes the lock, and 'make reproduce' then goes on where "
            "it stopped"
        )
    subprocess.run(
        [
            sys.executable,
            "-m",
            "snakemake",
            "--unlock",
            "--quiet",
            "all",
            "--snakefile",
            str(paths.REPOSITORY / "Snakefile"),
        ],
        check=True,
    )
    print("unlocked; 'make reproduce' goes on where the run stopped")
