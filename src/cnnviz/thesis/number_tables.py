"""Files of reported and reproduced numbers, and of reasons for their differences."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from cnnviz.runtime import files
from cnnviz.runtime.errors import MissingFileError, UserError
from cnnviz.thesis.printed_numbers import PRINTED, VALUE

__all__ = [
    "OPTIONAL",
    "REASONS",
    "REPORTED",
    "REPRODUCED",
    "Reproduced",
    "read_reasons",
    "read_reported",
    "read_reproduced",
    "write_reproduced",
]

REPORTED = ("id", "network", "quantity", "value", "unit", "page", "tolerance", "why")
REPRODUCED = ("id", "value", "unit", "command", "note")
REASONS = ("id", "reason")
OPTIONAL = ("network", "note")  #: columns that may be empty
_ID = re.compile(r"[A-Za-z0-9_.-]+")


class Reproduced(NamedTuple):
    """One reproduced number: a row of a file of reproduced values."""

    id: str
    value: Any  #: a finite number; written with all its digits
    unit: str  #: as in the row of the reported number
    command: str  #: that computes it
    note: str = ""


def _lines(path, columns: Sequence[str]) -> list[tuple[int, list[Any]]]:
    """Line number and fields of every row, the header checked and left out."""
    if not path.is_file():
        raise MissingFileError(
            f"{path}: no such file; write one with the header '{','.join(columns)}'"
        )
    text = files.read_text(path, encoding="utf-8-sig")
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise UserError(
            f"{path}, line {reader.line_num}: {error}; mend the quotation marks"
        ) from None
    if not rows or tuple(rows[0][1]) != columns:
        header = ",".join(rows[0][1]) if rows else ""
        raise UserError(
            f"{path}, line 1: the header is '{header}'; it must be '{','.join(columns)}'"
        )
    return rows[1:]


def _read(path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of one file as dictionaries of text, with ``source`` added."""
    path, rows = Path(path), []
    for line, fields in _lines(path, columns):
        source = f"{path}, line {line}"
        if len(fields) != len(columns):
            raise UserError(
                f"{source}: {len(fields)} fields instead of "
                f"{len(columns)}; put a text that holds commas "
                "in quotation marks"
            )
        row = dict(zip(columns, fields), source=source)
        for name in columns:
            if not row[name].strip() and name not in OPTIONAL:
                raise UserError(f"{source}: '{name}' is empty; fill it in or delete the row")
        rows.append(row)
    return rows


def _frame(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> pd.DataFrame:
    """Frame of text; ids must be unique over all files."""
    first = {}
    for row in rows:
        if row["id"] in first:
            raise UserError(
                f"{row['source']}: id '{row['id']}' is already in "
                f"{first[row['id']]}; rename or delete one"
            )
        first[row["id"]] = row["source"]
    return pd.DataFrame(rows, columns=[*columns, "source"], dtype=object)


def _natural(path) -> tuple[list[int | str], str]:
    """Sorting key that puts ``table_4_2`` before ``table_4_10``."""
    path = Path(path)
    parts = re.split(r"([0-9]+)", path.stem)
    return [int(part) if part.isdigit() else part for part in parts], str(path)


def _check_reported(row: Mapping[str, str], table: str) -> None:
    source = row["source"]
    parts = (table, row["network"], row["quantity"])
    expected = ".".join(part for part in parts if part)
    if row["id"] != expected or not _ID.fullmatch(expected):
        raise UserError(
            f"{source}: id '{row['id']}' instead of '{expected}'; an id is "
            "file name, network (if any) and quantity with dots between, of "
            "letters, digits, '_', '-' and '.' only"
        )
    if not PRINTED.fullmatch(row["value"]):
        raise UserError(
            f"{source}: value '{row['value']}' is not a number; write the "
            "printed digits without spaces, '>=' or '<=' before a bound"
        )
    if not VALUE.fullmatch(row["tolerance"]) or Decimal(row["tolerance"]) < 0:
        raise UserError(
            f"{source}: tolerance '{row['tolerance']}' is not a "
            "number of at least 0; write one, in the row's unit"
        )
    if not re.fullmatch("[0-9]+", row["page"]):
        raise UserError(
            f"{source}: page '{row['page']}' is not a page number; write the thesis's own"
        )


def read_reported(paths: Any) -> pd.DataFrame:
    """Read numbers that the thesis reports.

    Parameters
    ----------
    paths : iterable of paths
        One file for each table, with the columns ``id``, ``network``,
        ``quantity``, ``value``, ``unit``, ``page``, ``tolerance``, ``why``.

    Returns
    -------
    DataFrame of text, ``(n, 9)``
        Those columns and ``source`` (file and line), tables in natural order
        of their file names, rows in the files' order.

    Raises
    ------
    FileNotFoundError, ValueError
        Naming file, line and remedy.
    """
    rows = []
    for path in sorted(paths, key=_natural):
        table = Path(path).stem
        if "." in table:
            raise UserError(
                f"{path}: '.' in the file's name separates parts of an id; rename the file"
            )
        for row in _read(path, REPORTED):
            _check_reported(row, table)
            rows.append(row)
    return _frame(rows, REPORTED)


def read_reproduced(paths: Sequence[Any]) -> pd.DataFrame:
    """Read reproduced numbers.

    Parameters
    ----------
    paths : iterable of paths
        Files of :func:`write_reproduced`; none is fine.

    Returns
    -------
    DataFrame of text, ``(n, 6)``
        ``id``, ``value``, ``unit``, ``command``, ``note`` and ``source``.

    Raises
    ------
    FileNotFoundError, ValueError
        Naming file, line and remedy.
    """
    rows = []
    for path in sorted(paths, key=_natural):
        for row in _read(path, REPRODUCED):
            if not VALUE.fullmatch(row["value"]):
                raise UserError(
                    f"{row['source']}: value '{row['value']}' is not a finite "
                    "number; compute it again, or delete the row and give a "
                    "reason why there is none"
                )
            rows.append(row)
    return _frame(rows, REPRODUCED)


def read_reasons(path: Path) -> pd.DataFrame:
    """Read reasons for numbers that differ or could not be reproduced.

    Parameters
    ----------
    path : path
        File with the columns ``id`` (an id or a shell-style pattern of ids)
        and ``reason``.

    Returns
    -------
    DataFrame of text, ``(n, 3)``
        ``id``, ``reason`` and ``source``.

    Raises
    ------
    FileNotFoundError, ValueError
        Naming file, line and remedy.
    """
    return _frame(_read(path, REASONS), REASONS)


def _digits(value: bool | float) -> str:
    """Shortest decimal text that is the number again."""
    value = getattr(value, "item", lambda: value)()  # of a NumPy scalar
    return str(int(value)) if isinstance(value, (bool, int)) else repr(float(value))


def write_reproduced(path: Path | None, rows: Sequence[Reproduced]) -> None:
    """Write reproduced numbers; equal rows give equal bytes.

    Parameters
    ----------
    path : path
    rows : iterable of Reproduced

    Raises
    ------
    ValueError
        For a value that is not finite, an empty field, or an id given twice;
        ``path`` stays as it was.
    """
    text, seen = io.StringIO(), set()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(REPRODUCED)
    for row in rows:
        row = Reproduced(*row)
        value = _digits(row.value)
        if not VALUE.fullmatch(value):
            raise UserError(
                f"{path}: the value of '{row.id}' is {value}; only "
                "finite numbers are written, leave the row out"
            )
        if not all(field.strip() for field in (row.id, row.unit, row.command)):
            raise UserError(f"{path}: '{row.id}' lacks id, unit or command; give all three")
        if row.id in seen:
            raise UserError(f"{path}: id '{row.id}' is given twice; leave one out")
        seen.add(row.id)
        writer.writerow(row._replace(value=value))
    files.write_text(path, text.getvalue())
