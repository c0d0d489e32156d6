"""Reported beside reproduced: a verdict for every number of the thesis.

Numbers are compared as decimal text, never as binary floating point: the
printed digits say how the reproduced value is to be rounded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

import pandas as pd

from cnnviz.runtime.errors import UserError
from cnnviz.thesis.printed_numbers import EXACT, MATCH, WITHIN, parse_printed, verdict

__all__ = ["NO_REASON", "compare", "lacking_reasons", "to_csv"]


COMPARISON = (
    "id",
    "network",
    "quantity",
    "unit",
    "page",
    "reported",
    "reproduced",
    "difference",
    "verdict",
    "reason",
    "command",
)

_WILDCARD = re.compile(r"\[[^]]*\]|[*?]")


def _specificity(pattern: str) -> tuple[bool, int]:
    """Sorting key: an id beats every pattern, then more literal characters win."""
    literal = _WILDCARD.sub("", pattern)
    return literal == pattern, len(literal)


def _find_reason(name: str, reasons: Sequence[Any]) -> str:
    """The most specific reason for an id, or NO_REASON."""
    fitting = sorted(
        (row for row in reasons if fnmatchcase(name, row.id)), key=lambda row: _specificity(row.id)
    )
    if not fitting:
        return NO_REASON
    best = fitting[-1]
    if len(fitting) > 1 and _specificity(fitting[-2].id) == _specificity(best.id):
        raise UserError(
            f"{best.source}: '{best.id}' and '{fitting[-2].id}' "
            f"fit '{name}' equally well; give it its own row"
        )
    return best.reason


def _check_known(reported: pd.DataFrame, reproduced: pd.DataFrame, reasons: pd.DataFrame) -> None:
    """Guard against misspelled ids and other units."""
    units = dict(zip(reported["id"], reported["unit"]))
    for row in reproduced.itertuples():
        if row.id not in units:
            raise UserError(
                f"{row.source}: no reported number has the id "
                f"'{row.id}'; correct the id, or add the number "
                "to the reported ones"
            )
        if row.unit != units[row.id]:
            raise UserError(
                f"{row.source}: '{row.id}' is in '{row.unit}' but "
                f"reported in '{units[row.id]}'; convert it"
            )
    for row in reasons.itertuples():
        if not any(fnmatchcase(name, row.id) for name in units):
            raise UserError(
                f"{row.source}: '{row.id}' fits no reported number; correct or delete it"
            )


def _difference(reported: str, reproduced: str) -> str:
    """Reproduced less reported, exactly, as text."""
    if not reproduced:
        return ""
    difference = EXACT.subtract(Decimal(reproduced), parse_printed(reported).number)
    return "0" if difference == 0 else f"{difference:f}"


def _compare_row(row, reproduced, reasons: Sequence[Any]) -> tuple[str, ...]:
    value = reproduced.value if reproduced else ""
    result = verdict(row.value, value, row.tolerance)
    reason = {MATCH: "", WITHIN: row.why}.get(result)
    if reason is None:
        reason = _find_reason(row.id, reasons)
    return (
        row.id,
        row.network,
        row.quantity,
        row.unit,
        row.page,
        row.value,
        value,
        _difference(row.value, value),
        result,
        reason,
        reproduced.command if reproduced else "",
    )


#: Stands where a verdict still lacks its reason.
NO_REASON = "No reason recorded yet."


def lacking_reasons(comparison: pd.DataFrame) -> list[str]:
    """Ids of the numbers whose verdict still lacks its reason."""
    return list(comparison["id"][comparison["reason"] == NO_REASON])


def compare(
    reported: pd.DataFrame, reproduced: pd.DataFrame, reasons: pd.DataFrame
) -> pd.DataFrame:
    """Put every reported number beside the reproduced one, with a verdict.

    Parameters
    ----------
    reported, reproduced, reasons : DataFrames
        From :func:`read_reported`, :func:`read_reproduced`,
        :func:`read_reasons`.

    Returns
    -------
    DataFrame of text, ``(len(reported), 11)``
        ``id``, ``network``, ``quantity``, ``unit``, ``page``, ``reported``,
        ``reproduced``, ``difference``, ``verdict`` (see :func:`verdict`),
        ``reason`` (none for a match, the tolerance's for a value within it,
        :data:`NO_REASON` where the file of reasons has none) and ``command``.

    Raises
    ------
    ValueError
        For a reproduced id that nothing reported has, another unit, or a
        reason that fits nothing.
    """
    _check_known(reported, reproduced, reasons)
    by_id = {row.id: row for row in reproduced.itertuples()}
    texts = list(reasons.itertuples())
    rows = [_compare_row(row, by_id.get(row.id), texts) for row in reported.itertuples()]
    return pd.DataFrame(rows, columns=list(COMPARISON), dtype=object)


def to_csv(comparison: pd.DataFrame) -> str:
    """Text of a comparison as comma-separated values."""
    return comparison.to_csv(index=False, lineterminator="\n")
