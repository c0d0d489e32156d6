"""The lock of a workflow's folder: who holds it, a run at work or one that was killed."""

import os
import subprocess
import sys
from pathlib import Path

from cnnviz.runtime import paths
from cnnviz.runtime.errors import UserError

__all__ = ["LOCKS", "at_work", "check", "is_locked"]

LOCKS = Path(".snakemake") / "locks"
_PROGRAMS = ("snakemake", "cnnviz")


def _ancestors(pid: int, processes: Path) -> set[int]:
    """Process numbers of a process and of those that started it."""
    ancestors: set[int] = set()
    while pid and pid not in ancestors:
        ancestors.add(pid)
        try:
            # The name before it, in brackets, may hold anything.
            pid = int((processes / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            break
    return ancestors


def at_work(folder: Path, processes: Path = Path("/proc")) -> list[tuple[int, str]]:
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


def is_locked(folder: Path) -> bool:
    """Whether a folder has a lock of Snakemake's."""
    return any((folder / LOCKS).glob("*.lock"))


def check(folder: Path, remove: bool) -> str:
    """Say who holds the lock, and remove that of a run that was killed.

    Returns
    -------
    str
        What was done; empty where there is no lock.

    Raises
    ------
    UserError
        Where a run is at work, or was killed and ``remove`` is not set.
    """
    if not is_locked(folder):
        return ""
    working = at_work(folder)
    if working:
        number, command = working[0]
        raise UserError(
            f"{folder}: another run is at work folder (process {number}: "
            f"{command[:60]}); wait for it, or stop it with 'kill {number}'"
        )
    if not remove:
        raise UserError(
            f"{folder}: locked by a run that was killed; 'make unlock' (snakemake "
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
    return "unlocked; 'make reproduce' goes on where the run stopped"
