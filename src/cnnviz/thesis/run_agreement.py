"""Do the numbers of a run agree with the recorded ones?

Tables are compared cell by cell, CSV files and Markdown alike: rows are paired by what
they are about, then the words of a cell must be the same, and every number in it within a
tolerance of the recorded one.  On one machine a run gives the same bits every time; the
tolerances (:data:`TOLERANCES`) are for other processors, which round differently.
"""

from __future__ import annotations

import csv
import difflib
import fnmatch
import io
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["TOLERANCES", "Difference", "Tolerance", "compare", "in_words", "tolerance"]


class Tolerance(NamedTuple):
    """How far a number may lie from the recorded one."""

    tables: str  #: names they are for, a pattern
    relative: float  #: share of the recorded number
    absolute: float  #: of numbers with a decimal point, in their own unit
    whole: int  #: of whole numbers
    why: str


#: The first whose pattern fits counts.  Of a number with a decimal point, one unit of the
#: last recorded digit is always accepted: a sum may be a near-tie between two digits.
TOLERANCES = (
    Tolerance(
        "*/exemplars*",
        0.1,
        0.05,
        1,
        "ends of ascents of up to 1,000 steps, each of which amplifies rounding",
    ),
    Tolerance(
        "*/accuracy_by_distance.csv",
        0,
        0,
        3,
        "images that are near-ties between two classes may flip",
    ),
    Tolerance(
        "*/table_5_1*", 0.001, 0.0025, 0, "the same: up to 3 images of a fold's 1,350 or more"
    ),
    Tolerance("*/comparison.*", 0.001, 0.001, 0, "accuracies are among them"),
    Tolerance(
        "*/labeler_validation.md",
        0.1,
        0.05,
        2,
        "features that are near-ties between two labels, and the p-values of their counts",
    ),
    Tolerance(
        "*/neighboring_views.md",
        0,
        0.05,
        1,
        "shares of few pixels: near the threshold some are important areas or not",
    ),
    Tolerance(
        "*/map_quality.*",
        0.01,
        0.02,
        0,
        "means over tens of images, in a few of which another neuron is the maximal one",
    ),
    Tolerance(
        "*/features.csv",
        0.001,
        0.01,
        0,
        "p-values step by what one of many equal or nearly equal shares is worth",
    ),
    Tolerance("*", 0.001, 0, 0, "32-bit numbers, added in another order"),
)

_NUMBER = re.compile(
    r"(?<![\w.])[-−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
    r"(?:[eE][-+]?\d+)?(?!\w)"
)
_RULE = re.compile(r"\|[\s|:-]+\|")  # between the head and the body of a table


class Difference(NamedTuple):
    """A number, or a cell's words, that is not the recorded one."""

    table: str  #: name of the file
    row: str  #: what the row is about
    column: str
    recorded: str
    run: str


class _Row(NamedTuple):
    key: str  # what it is about; rows with the same one belong together
    cells: tuple  # of (column, text)


_EMPTY = _Row("", ())
_ABSENT = "no such row"


def tolerance(table: str) -> Tolerance:
    """The tolerance for the numbers of a table.

    Parameters
    ----------
    table : str
        Its path, with forward slashes.
    """
    return next(each for each in TOLERANCES if fnmatch.fnmatch(f"/{table}", each.tables))


def compare(table: str, recorded: str, run: str) -> tuple[int, list[Difference]]:
    """Compare a table of a run with the recorded one.

    Parameters
    ----------
    table : str
        Path of the file, with forward slashes; its suffix tells ``.csv`` from Markdown.
    recorded, run : str
        Contents.

    Returns
    -------
    count : int
        Numbers that were compared; other words without a number count as one.
    differences : list of Difference
        Numbers beyond the tolerance, other words, and those in rows that only one of both
        tables has.
    """
    accepted = tolerance(table)
    before, after = (
        _csv_rows(recorded, run) if table.endswith(".csv") else map(_markdown_rows, (recorded, run))
    )
    count, differences = 0, []
    for old, new in _paired(before, after):
        row = old or new
        for (column, text), (other_column, other) in itertools.zip_longest(
            (old or _EMPTY).cells, (new or _EMPTY).cells, fillvalue=("", "")
        ):
            if old is None or new is None:
                pairs = [(number, _ABSENT) for number in _NUMBER.findall(text)]
                pairs += [(_ABSENT, number) for number in _NUMBER.findall(other)]
                count += len(pairs)
            else:
                pairs = list(_cell_differences(text, other, accepted))
                count += max(len(_NUMBER.findall(text)), len(pairs))
            differences += [
                Difference(table, row.key, column or other_column, *pair) for pair in pairs
            ]
    return count, differences


def in_words(
    counts: Mapping[str, int], differences: Sequence[Difference], elsewhere: Sequence[str] = ()
) -> str:
    """One line on the agreement of a whole run.

    Parameters
    ----------
    counts : dict
        From a table's name to how many numbers it has.
    differences : list of Difference
    elsewhere : list of str
        Settings in which the run's configuration is not that of the record.
    """
    total = sum(counts.values())
    line = f"{total - len(differences):,} of" if differences else "all"
    line = f"{line} {total:,} numbers of this run agree with the record within the tolerances"
    if differences:
        by_table = {}
        for difference in differences:
            by_table[difference.table] = by_table.get(difference.table, 0) + 1
        most = sorted(by_table, key=lambda name: (-by_table[name], name))
        named = [f"{by_table[name]:,} in {name}" for name in most[:4]]
        if len(most) > 4:
            named.append(f"{sum(by_table[name] for name in most[4:]):,} in {len(most) - 4} more")
        line += f"; not: {', '.join(named)}"
    if elsewhere:
        line += (
            " (another configuration than the record's: "
            f"{', '.join(elsewhere[:4])}{' …' if len(elsewhere) > 4 else ''})"
        )
    return line


# --- Rows -------------------------------------------------------------------


def _csv_rows(*texts: Any) -> list[list[_Row]]:
    """Rows of several tables; the first columns that tell all rows apart are their keys."""
    tables = [list(csv.reader(io.StringIO(text))) or [[]] for text in texts]
    width = max(
        next(
            (
                width
                for width in range(1, len(head))
                if len({tuple(row[:width]) for row in rows}) == len(rows)
            ),
            1,
        )
        for head, *rows in tables
    )
    return [
        [_Row(", ".join(filter(None, row[:width])), tuple(zip(head, row))) for row in rows]
        for head, *rows in tables
    ]


def _markdown_rows(text: str) -> list[_Row]:
    found, head, paragraph = [], [], []

    def finish():
        if paragraph:
            words = " ".join(" ".join(paragraph).split())
            found.append(_Row(_words(words), (("text", words),)))
            paragraph.clear()

    for line in text.splitlines():
        if not line.startswith("|"):
            head = []
            if line.strip():
                paragraph.append(line)
            else:
                finish()
            continue
        finish()
        if _RULE.fullmatch(line):
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not head:
            head = cells
        found.append(
            _Row(
                _words(" ".join(cells[:2])),
                tuple(
                    (head[index] if index < len(head) else "", cell)
                    for index, cell in enumerate(cells)
                ),
            )
        )
    finish()
    return found


def _paired(before: Sequence[_Row], after: Sequence[_Row]) -> Iterator[Any]:
    """Rows with the same key, in order; what has no partner stands beside None."""
    matcher = difflib.SequenceMatcher(
        None, [row.key for row in before], [row.key for row in after], autojunk=False
    )
    for _, start, stop, other_start, other_stop in matcher.get_opcodes():
        old, new = before[start:stop], after[other_start:other_stop]
        if len(old) == len(new):
            yield from zip(old, new)
        else:
            yield from ((row, None) for row in old)
            yield from ((None, row) for row in new)


# --- Cells ------------------------------------------------------------------


def _words(text: str) -> str:
    """A text with a sign for each number."""
    return _NUMBER.sub("#", text)


def _cell_differences(recorded: str, run: str, accepted: Tolerance) -> Iterator[Any]:
    """Pairs of numbers that are too far apart, or both texts where the words differ."""
    if recorded == run:
        return
    if _words(recorded) != _words(run):
        yield recorded, run
        return
    for old, new in zip(_NUMBER.findall(recorded), _NUMBER.findall(run)):
        if abs(_value(old) - _value(new)) > _accepted(old, new, accepted):
            yield old, new


def _value(number: str) -> float:
    return float(number.replace("−", "-").replace(",", ""))


def _accepted(old: str, new: str, accepted: Tolerance) -> float:
    """The largest accepted distance of two numbers."""
    distance = accepted.relative * abs(_value(old))
    if {".", "e", "E"}.isdisjoint(old + new):
        return max(accepted.whole, distance if accepted.whole else 0)
    mantissa, _, exponent = old.lower().partition("e")
    digits = len(mantissa.partition(".")[2]) - int(exponent or 0)
    # A little more: decimal digits are not exact in binary.
    return 1.0001 * max(accepted.absolute, distance, 10.0**-digits)
