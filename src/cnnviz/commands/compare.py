"""Put every reproduced number beside the thesis's, with a verdict."""
from pathlib import Path

import pandas as pd

from cnnviz import comparison, files, paths


def add_arguments(parser):
    parser.add_argument("--reported", type=Path, nargs="+", required=True,
                        help="CSV files of the thesis's numbers")
    parser.add_argument("--reproduced", type=Path, nargs="+", required=True,
                        help="CSV files of our numbers")
    parser.add_argument("--reasons", type=Path, default=paths.REASONS,
                        help="CSV file of reasons for verdicts")
    parser.add_argument("--small", action="store_true",
                        help="the numbers come from a small configuration, "
                        "which explains every verdict")
    parser.add_argument("-o", "--output", type=Path, required=True,
                        help="CSV file to write; a Markdown file goes beside it")


def _reasons(args):
    reasons = comparison.read_reasons(args.reasons)
    if args.small:
        # The least specific pattern, so it yields to every other reason.
        return pd.concat([reasons, pd.DataFrame([{
            "id": "*", "reason": "The run's configuration is a small one.",
            "source": "--small"}])], ignore_index=True)
    return reasons


def run(args):
    table = comparison.compare(comparison.read_reported(args.reported),
                               comparison.read_reproduced(args.reproduced),
                               _reasons(args))
    files.write_text(args.output, comparison.to_csv(table))
    files.write_text(args.output.with_suffix(".md"),
                     comparison.to_markdown(table))
    print("; ".join(f"{verdict}: {(table['verdict'] == verdict).sum()}"
                    for verdict in comparison.VERDICTS))
