"""Tables in comma-separated files."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnviz.runtime.errors import UserError
from cnnviz.runtime.files import atomic, reading

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_rows", "read_table", "write_rows"]


def read_table(
    path: Path,
    remedy: str | None = None,
    columns: Sequence[str] = (),
    what: str = "comma-separated values",
    **options: Any,
) -> pd.DataFrame:
    """Comma-separated values as a data frame.

    Parameters
    ----------
    path : path
    remedy : str, optional
        Command that makes the file.
    columns : sequence of str
        Which it must have.
    what : str
        Of which it is a table, for errors.
    **options
        Of ``pandas.read_csv``.

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing or foreign file, or one that lacks a column.
    """
    import pandas as pd

    again = f"; make it with '{remedy}'" if remedy else ""
    with reading(path, remedy):
        try:
            table = pd.read_csv(path, **options)
        except UnicodeDecodeError:
            raise
        except (ValueError, pd.errors.ParserError) as error:
            raise UserError(
                f"{path}: not a table of {what} ({' '.join(str(error).split())}){again}"
            ) from None
    missing = [name for name in columns if name not in table]
    if missing:
        raise UserError(f"{path}: has no column {', '.join(missing)}{again}")
    return table


def read_rows(path: Path, remedy: str | None = None) -> list[dict[str, str]]:
    """Comma-separated values as a list of dictionaries of text.

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing file, or one that is no such table.
    """
    with reading(path, remedy), open(path, newline="", encoding="utf-8") as stream:
        try:
            return list(csv.DictReader(stream, strict=True))
        except csv.Error as error:
            raise UserError(f"{path}: not a table of comma-separated values ({error})") from None


def write_rows(
    path: Path | str, columns: Sequence[str], rows: Sequence[Mapping[str, float | str]]
) -> None:
    """Write dictionaries as comma-separated values under a header."""
    with atomic(path) as temporary:
        with open(temporary, "w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
