"""Make the tables of a finished run the recorded ones (thesis_tables/ and data/).

Run it in the repository. Refused unless the run in results/ is complete, up to date and
made with the default configuration, which is asked of Snakemake.
"""

from __future__ import annotations

import argparse

from cnnviz.cli.commands import arguments
from cnnviz.runtime import paths


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_run(parser)


def run(args: argparse.Namespace) -> None:
    from cnnviz.thesis import finished_run

    replaced, count = finished_run.record(args.run)
    for path in replaced:
        print(path.relative_to(paths.REPOSITORY))
    print(
        f"{len(replaced)} of {count} recorded tables changed"
        + ("; look at them with 'git diff' and commit them" if replaced else "")
    )
