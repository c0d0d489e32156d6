"""Say who holds the lock of this folder's workflow: a run at work, or one that was killed.

Snakemake locks the folder it works in. A run that is killed, or whose machine loses its
power, cannot unlock it; nothing of what it finished is lost.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--remove", action="store_true", help="remove the lock of a run that was killed"
    )


def run(args: argparse.Namespace) -> None:
    from cnnviz.runtime import workflow_lock

    done = workflow_lock.check(Path.cwd(), args.remove)
    if done:
        print(done)
