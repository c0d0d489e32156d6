"""Reported beside reproduced: a verdict for every number of the thesis.

Numbers are compared as decimal text, never as binary floating point: the
printed digits say how the reproduced value is to be rounded.
"""

import csv
import decimal
import io
import re
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from cnnviz.runtime import files
from cnnviz.runtime.errors import MissingFileError, UserError

__all__ = [
    "DIFFERS",
    "MATCH",
    "MISSING",
    "NO_REASON",
    "VERDICTS",
    "WITHIN",
    "Reproduced",
    "compare",
    "lacking_reasons",
    "parse_printed",
    "read_reasons",
    "read_reported",
    "read_reproduced",
    "round_decimal",
    "to_csv",
    "verdict",
    "write_reproduced",
]

MATCH = "match"
WITHIN = "within tolerance"
DIFFERS = "differs"
MISSING = "not reproducible here"
VERDICTS = (MATCH, WITHIN, DIFFERS, MISSING)

REPORTED = ("id", "network", "quantity", "value", "unit", "page", "tolerance", "why")
REPRODUCED = ("id", "value", "unit", "command", "note")
REASONS = ("id", "reason")
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
OPTIONAL = ("network", "note")  #: columns that may be empty

# The largest double has 309 digits: room to round any of them exactly.
_EXACT = decimal.Context(prec=1000, rounding=decimal.ROUND_HALF_EVEN)
_PRINTED = re.compile(r"(>=|<=)?(-?[0-9]+(?:\.[0-9]+)?)")
_VALUE = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]{1,3})?", re.IGNORECASE)
_ID = re.compile(r"[A-Za-z0-9_.-]+")
_WILDCARD = re.compile(r"\[[^]]*\]|[*?]")


class Reproduced(NamedTuple):
    """One reproduced number: a row of a file of reproduced values."""

    id: str
    value: float  #: finite; written with all its digits
    unit: str  #: as in the row of the reported number
    command: str  #: that computes it
    note: str = ""


class _Printed(NamedTuple):
    """A number as the thesis prints it."""

    bound: str  #: ``>=``, ``<=`` or nothing
    number: Decimal

    @property
    def decimals(self):
        return -self.number.as_tuple().exponent

    def distance(self, value):
        """How far ``value`` is from the number, or on the wrong side of the bound."""
        difference = _EXACT.subtract(value, self.number)
        if self.bound:
            beyond = difference if self.bound == "<=" else -difference
            return max(beyond, Decimal(0))
        return abs(difference)


def parse_printed(text):
    """A number, or a bound on one, as the thesis prints it."""
    bound, number = _PRINTED.fullmatch(text).groups()
    return _Printed(bound or "", Decimal(number))


def round_decimal(value, decimals):
    """Round half to even, exactly, keeping trailing zeros."""
    return value.quantize(Decimal(1).scaleb(-decimals), context=_EXACT)


def verdict(reported, reproduced, tolerance):
    """Verdict on one number.

    Parameters
    ----------
    reported : str
        As printed, e.g. ``0.9971``, or a bound, e.g. ``>=0.97``.
    reproduced : str
        With all its digits; empty when there is none.
    tolerance : str
        Largest accepted distance, in the number's own unit.

    Returns
    -------
    str
        ``match``: rounded half to even to the printed digits, the two are
        equal; a bound is a match when the unrounded value keeps it.
        ``within tolerance``: the unrounded value is at most ``tolerance``
        away from the reported one, or on the wrong side of the bound.
        ``differs``: anything else.  ``not reproducible here``: no value.
    """
    if not reproduced:
        return MISSING
    printed, value = parse_printed(reported), Decimal(reproduced)
    distance = printed.distance(value)
    if printed.bound:
        matches = distance == 0
    else:
        matches = round_decimal(value, printed.decimals) == printed.number
    if matches:
        return MATCH
    return WITHIN if distance <= Decimal(tolerance) else DIFFERS


def _lines(path, columns):
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


def _read(path, columns):
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


def _frame(rows, columns):
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


def _natural(path):
    """Sorting key that puts ``table_4_2`` before ``table_4_10``."""
    path = Path(path)
    parts = re.split(r"([0-9]+)", path.stem)
    return [int(part) if part.isdigit() else part for part in parts], str(path)


def _check_reported(row, table):
    source = row["source"]
    parts = (table, row["network"], row["quantity"])
    expected = ".".join(part for part in parts if part)
    if row["id"] != expected or not _ID.fullmatch(expected):
        raise UserError(
            f"{source}: id '{row['id']}' instead of '{expected}'; an id is "
            "file name, network (if any) and quantity with dots between, of "
            "letters, digits, '_', '-' and '.' only"
        )
    if not _PRINTED.fullmatch(row["value"]):
        raise UserError(
            f"{source}: value '{row['value']}' is not a number; write the "
            "printed digits without spaces, '>=' or '<=' before a bound"
        )
    if not _VALUE.fullmatch(row["tolerance"]) or Decimal(row["tolerance"]) < 0:
        raise UserError(
            f"{source}: tolerance '{row['tolerance']}' is not a "
            "number of at least 0; write one, in the row's unit"
        )
    if not re.fullmatch("[0-9]+", row["page"]):
        raise UserError(
            f"{source}: page '{row['page']}' is not a page number; write the thesis's own"
        )


def read_reported(paths):
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


def read_reproduced(paths):
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
            if not _VALUE.fullmatch(row["value"]):
                raise UserError(
                    f"{row['source']}: value '{row['value']}' is not a finite "
                    "number; compute it again, or delete the row and give a "
                    "reason why there is none"
                )
            rows.append(row)
    return _frame(rows, REPRODUCED)


def read_reasons(path):
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


def _digits(value):
    """Shortest decimal text that is the number again."""
    value = getattr(value, "item", lambda: value)()  # of a NumPy scalar
    return str(int(value)) if isinstance(value, (bool, int)) else repr(float(value))


def write_reproduced(path, rows):
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
        if not _VALUE.fullmatch(value):
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


def _specificity(pattern):
    """Sorting key: an id beats every pattern, then more literal characters win."""
    literal = _WILDCARD.sub("", pattern)
    return literal == pattern, len(literal)


def _find_reason(name, reasons):
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


def _check_known(reported, reproduced, reasons):
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


def _difference(reported, reproduced):
    """Reproduced less reported, exactly, as text."""
    if not reproduced:
        return ""
    difference = _EXACT.subtract(Decimal(reproduced), parse_printed(reported).number)
    return "0" if difference == 0 else f"{difference:f}"


def _compare_row(row, found, reasons):
    value = found.value if found else ""
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
        found.command if found else "",
    )


#: Stands where a verdict still lacks its reason.
NO_REASON = "No reason recorded yet."


def lacking_reasons(comparison):
    """Ids of the numbers whose verdict still lacks its reason."""
    return list(comparison["id"][comparison["reason"] == NO_REASON])


def compare(reported, reproduced, reasons):
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
    found = {row.id: row for row in reproduced.itertuples()}
    texts = list(reasons.itertuples())
    rows = [_compare_row(row, found.get(row.id), texts) for row in reported.itertuples()]
    return pd.DataFrame(rows, columns=list(COMPARISON), dtype=object)


def to_csv(comparison):
    """Text of a comparison as comma-separated values."""
    return comparison.to_csv(index=False, lineterminator="\n")
