"""A comparison with the thesis as text for reading (Markdown)."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from cnnviz.thesis import markdown
from cnnviz.thesis.comparison import COMPARISON
from cnnviz.thesis.printed_numbers import VERDICTS, parse_printed, round_decimal

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["to_markdown"]


def _title(table: str) -> str:
    """``table_5_1`` as ``Table 5.1``."""
    spaced = table.replace("_", " ")
    return re.sub(r"(?<=[0-9]) (?=[0-9])", ".", spaced).capitalize()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def _shown(text: str, decimals: int, sign: str = "") -> str:
    """Round a number for reading: one digit more than the thesis prints."""
    if not text:
        return ""
    value = Decimal(text)
    whole = decimals == 0 and value == round_decimal(value, 0)
    value = round_decimal(value, 0 if whole else decimals + 1)
    # Tiny negative differences would be shown as -0.
    return f"{abs(value):f}" if value == 0 else f"{value:{sign}f}"


def _shown_row(row, notes: Any) -> list[str]:
    decimals = parse_printed(row.reported).decimals
    number = ""
    if row.reason:
        number = f"[{notes.setdefault(row.reason, len(notes) + 1)}]"
    reported = row.reported.replace(">=", "≥ ").replace("<=", "≤ ")
    return [
        row.network,
        row.quantity.replace("_", " "),
        _cell(row.unit),
        row.page,
        reported,
        _shown(row.reproduced, decimals),
        _shown(row.difference, decimals, "+"),
        row.verdict,
        number,
        f"`{_cell(row.command)}`" if row.command else "",
    ]


def _section(title: str, part: pd.DataFrame) -> list[str]:
    """Lines on one table; equal reasons share a number."""
    notes = {}
    rows = [_shown_row(row, notes) for row in part.itertuples()]
    lines = [f"## {title}", "", *markdown.table(COMPARISON[1:], rows), ""]  # not the id
    for reason, number in notes.items():
        lines += [f"[{number}] {' '.join(reason.split())}", ""]
    return lines


def _counts(title: str, verdicts: pd.Series) -> list[str]:
    return [title, *(str((verdicts == name).sum()) for name in VERDICTS), str(len(verdicts))]


def to_markdown(comparison: pd.DataFrame) -> str:
    """Text of a comparison for reading: counts of verdicts, then each table.

    Reproduced values are rounded to one digit more than the thesis prints.
    Equal comparisons give equal text.
    """
    tables = comparison["id"].str.split(".", n=1).str[0]
    parts = [(_title(name), part) for name, part in comparison.groupby(tables, sort=False)]
    counts = [_counts(title, part["verdict"]) for title, part in parts]
    counts.append(_counts("all", comparison["verdict"]))
    lines = [
        "# Reported beside reproduced",
        "",
        "Written by the package; changes by hand are lost.",
        "",
        *markdown.table(["", *VERDICTS, "numbers"], counts),
        "",
    ]
    for title, part in parts:
        lines += _section(title, part)
    return "\n".join(lines).rstrip("\n") + "\n"
