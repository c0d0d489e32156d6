"""Put every reproduced number beside the thesis's, with a verdict."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cnnviz.cli.commands import arguments
from cnnviz.runtime import files, paths
from cnnviz.thesis import comparison, comparison_text, number_tables, printed_numbers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--reported", type=Path, nargs="+", required=True, help="CSV files of the thesis's numbers"
    )
    parser.add_argument(
        "--reproduced", type=Path, nargs="+", required=True, help="CSV files of our numbers"
    )
    parser.add_argument(
        "--reasons", type=Path, default=paths.REASONS, help="CSV file of reasons for verdicts"
    )
    arguments.add_output(parser, "CSV file to write; a Markdown file goes beside it")


def run(args: argparse.Namespace) -> None:
    table = comparison.compare(
        number_tables.read_reported(args.reported),
        number_tables.read_reproduced(args.reproduced),
        number_tables.read_reasons(args.reasons),
    )
    files.write_text(args.output, comparison.to_csv(table))
    files.write_text(args.output.with_suffix(".md"), comparison_text.to_markdown(table))
    lacking = comparison.lacking_reasons(table)
    if lacking:
        print(f"no reason in {args.reasons} for: " + ", ".join(lacking), file=sys.stderr)
    print(
        "; ".join(
            f"{verdict}: {(table['verdict'] == verdict).sum()}"
            for verdict in printed_numbers.VERDICTS
        )
    )
