"""Prepared photographs on disk: one array to map into memory, and its table.

Writing may be interrupted at any time and goes on where it stopped; at most
the last few photographs are prepared again.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from cnnviz.datasets import fundus
from cnnviz.datasets.fundus_transform import SIZE, Transform
from cnnviz.runtime import files, tables
from cnnviz.runtime.errors import MissingFileError, UserError

if TYPE_CHECKING:
    from cnnviz.datasets.kaggle import Record

__all__ = ["BAD", "PIXELS", "RECORDS", "Store", "read", "write"]

PIXELS = "pixels.npy"  #: uint8 ``(n, 512, 512, 3)``
RECORDS = "records.csv"  #: a row for each of them, in the same order
BAD = "bad.csv"  #: photographs that could not be prepared, and why

_UNFINISHED = ".unfinished-"
_ROW_BYTES = SIZE * SIZE * 3
_TOGETHER = 16  # photographs that are safe on disk before the table names them
_CENTERS = ("optic disc", "fovea")
_NUMBERS = (
    "dimension_1",
    "dimension_2",
    "offset_row",
    "offset_column",
    "scale_row",
    "scale_column",
    "rows",
    "columns",
)
_COLUMNS = (
    "name",
    "split",
    "grade",
    "patient",
    "side",
    *_NUMBERS,
    *(f"{name.replace(' ', '_')}_{axis}" for name in _CENTERS for axis in ("row", "column")),
)


@dataclass(frozen=True, eq=False)
class Store:
    """Prepared photographs; their pixels are read when they are used."""

    pixels: np.ndarray  #: uint8 ``(n, 512, 512, 3)``, mapped from the file
    dimensions: np.ndarray  #: float32 ``(n, 2)``
    grades: np.ndarray  #: int ``(n,)``, -1 where there is none
    splits: np.ndarray  #: text ``(n,)``: "train", "test" or nothing
    names: tuple  #: ``n`` each
    patients: tuple
    sides: tuple  #: "left", "right" or None
    transforms: tuple
    centers: tuple

    def __len__(self) -> int:
        return len(self.names)

    def photograph(self, index: int) -> fundus.Photograph:
        """One photograph, without masks."""
        grade = int(self.grades[index])
        return fundus.Photograph(
            self.names[index],
            fundus.standardize(self.pixels[index]),
            self.dimensions[index],
            self.transforms[index],
            None if grade < 0 else grade,
            self.patients[index],
            self.sides[index],
            centers=self.centers[index],
        )

    def pairs(self) -> np.ndarray:
        """Left and right eye of every patient of whom both are there.

        Returns
        -------
        int array, ``(m, 2)``
            Indices, in the order of the left eyes.
        """
        right = {
            patient: index
            for index, (patient, side) in enumerate(zip(self.patients, self.sides))
            if side == "right"
        }
        return np.array(
            [
                (index, right[patient])
                for index, (patient, side) in enumerate(zip(self.patients, self.sides))
                if side == "left" and patient in right
            ],
            dtype=int,
        ).reshape(-1, 2)


# --- Rows of the table ------------------------------------------------------


def _row(photograph: fundus.Photograph, split: str) -> Sequence[float | str]:
    """What the table says of a photograph; numbers with all their digits."""
    transform = photograph.transform
    numbers = (
        *photograph.dimensions.tolist(),
        *transform.offset,
        *transform.scale,
        *transform.shape,
    )
    centers = [photograph.centers.get(name, ("", "")) for name in _CENTERS]
    known = (photograph.grade, photograph.patient, photograph.side)
    return (
        photograph.name,
        split,
        *("" if value is None else value for value in known),
        *numbers,
        *centers[0],
        *centers[1],
    )


def _rows(path) -> list[dict[str, str]]:
    """Complete rows of a table as dictionaries; a line broken off is left out.

    Raises
    ------
    ValueError
        For another header, or a row of another length.
    """
    text = files.read_text(path)
    whole = text[: text.rfind("\n") + 1]
    header, *rows = csv.reader(io.StringIO(whole)) if whole else [()]
    if tuple(header) != _COLUMNS or any(len(row) != len(_COLUMNS) for row in rows):
        raise UserError(f"{path}: not a table of prepared photographs")
    return [dict(zip(_COLUMNS, row)) for row in rows]


def _centers_of(row: Mapping[str, str]) -> dict[str, tuple[float, ...]]:
    pairs = {
        name: tuple(row[f"{name.replace(' ', '_')}_{axis}"] for axis in ("row", "column"))
        for name in _CENTERS
    }
    return {name: tuple(map(float, pair)) for name, pair in pairs.items() if all(pair)}


def _transform_of(row: Mapping[str, str]) -> Transform:
    offset, scale = (
        tuple(float(row[f"{what}_{axis}"]) for axis in ("row", "column"))
        for what in ("offset", "scale")
    )
    return Transform(offset, scale, (int(row["rows"]), int(row["columns"])))


# --- Writing ----------------------------------------------------------------


def _header(count: int) -> bytes:
    """First bytes of the ``.npy`` file of ``count`` photographs."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "|u1", "fortran_order": False, "shape": (count, SIZE, SIZE, 3)}
    )
    return stream.getvalue()


class _Unfinished:
    """Pixels and table while they grow; the table never runs ahead."""

    def __init__(
        self, folder: Any, names: Sequence[str], settings: Mapping[str, str] | None
    ) -> None:
        self.folder = Path(folder)
        self.pixels_path = self.folder / (_UNFINISHED + PIXELS)
        self.table_path = self.folder / (_UNFINISHED + RECORDS)
        self.settings_path = self.folder / (_UNFINISHED + "settings.json")
        self.settings = json.dumps(settings or {}, sort_keys=True)
        self.done = self._earlier(set(names))
        self.waiting = []

    def _earlier(self, names: set[str]) -> list[str]:
        """Names of the photographs that an interrupted run left, in order."""
        with contextlib.suppress(OSError, ValueError):
            found = [row["name"] for row in _rows(self.table_path)]
            enough = len(_header(0)) + len(found) * _ROW_BYTES
            if not self._same_settings():
                return []
            if set(found) <= names and self.pixels_path.stat().st_size >= enough:
                return found
        return []

    def _same_settings(self) -> bool:
        """Whether the interrupted run prepared photographs in the same way."""
        return self.settings_path.read_text(encoding="utf-8") == self.settings

    def __enter__(self) -> _Unfinished:
        """Continue, or start anew where there is nothing of use."""
        self.folder.mkdir(parents=True, exist_ok=True)
        files.write_text(self.settings_path, self.settings)
        table = _rows(self.table_path) if self.done else []
        with files.atomic(self.table_path) as temporary:
            with open(temporary, "w", newline="", encoding="utf-8") as stream:
                writer = csv.DictWriter(stream, _COLUMNS, lineterminator="\n")
                writer.writeheader()
                writer.writerows(table)
        self.pixels = open(self.pixels_path, "r+b" if self.done else "w+b")
        self.pixels.write(_header(0))
        self.pixels.truncate(len(_header(0)) + len(self.done) * _ROW_BYTES)
        self.pixels.seek(0, os.SEEK_END)
        self.table = open(self.table_path, "a", newline="", encoding="utf-8")
        return self

    def add(self, photograph: fundus.Photograph, split: str) -> None:
        self.pixels.write(fundus.to_bytes(photograph.pixels).tobytes())
        self.waiting.append(_row(photograph, split))
        self.done.append(photograph.name)
        if len(self.waiting) >= _TOGETHER:
            self.commit()

    def commit(self) -> None:
        """Bring pixels to disk, then name them in the table."""
        self.pixels.flush()
        os.fsync(self.pixels.fileno())
        csv.writer(self.table, lineterminator="\n").writerows(self.waiting)
        self.table.flush()
        self.waiting.clear()

    def __exit__(self, *_: Any) -> None:
        try:
            self.commit()
        finally:
            self.pixels.close()
            self.table.close()

    def finish(self) -> None:
        """Give the files their names, the table last."""
        with open(self.pixels_path, "r+b") as stream:
            stream.write(_header(len(self.done)))
        os.replace(self.pixels_path, self.folder / PIXELS)
        os.replace(self.table_path, self.folder / RECORDS)
        self.settings_path.unlink()


def write(
    folder: Path,
    records: Sequence[Record],
    load: Callable[..., Any],
    skip_bad: bool = False,
    progress: bool = False,
    settings: Mapping[str, str] | None = None,
) -> tuple[int, list[tuple[Any, ...]]]:
    """Prepare photographs one by one and keep them on disk.

    Parameters
    ----------
    folder : Path
        Gets :data:`PIXELS`, :data:`RECORDS` and :data:`BAD`.
    records : list
        Each with a unique ``name``, and a ``split`` where there is one.
    load : function
        From a record to a :class:`cnnviz.datasets.fundus.Photograph`.
    skip_bad : bool
        List photographs for which ``load`` raises ValueError or OSError in
        :data:`BAD` and leave them out, instead of stopping at the first.
    progress : bool
        Show a progress bar.
    settings : dict, optional
        How photographs are prepared: an interrupted run goes on only where they are
        the same, so that a folder never holds photographs of both.

    Returns
    -------
    int, list of (name, reason)
        How many photographs were kept, and those that were not.

    Raises
    ------
    OSError, ValueError
        When the disk has no room for all of them, or none could be prepared.
    """
    folder = Path(folder)
    bad = []
    with _Unfinished(folder, [record.name for record in records], settings) as unfinished:
        done = set(unfinished.done)
        files.require_space(
            folder,
            _ROW_BYTES * sum(record.name not in done and _is_there(record) for record in records),
        )
        for record in tqdm(
            [record for record in records if record.name not in done],
            total=len(records),
            initial=len(done),
            unit=" photographs",
            desc="preparing",
            disable=not progress,
        ):
            try:
                photograph = load(record)
            except (ValueError, OSError) as error:
                if not skip_bad:
                    raise
                bad.append((record.name, str(error)))
            else:
                unfinished.add(photograph, getattr(record, "split", ""))
    if bad and not unfinished.done:
        raise UserError(
            f"none of {len(bad):,} photographs could be prepared, the first one: {bad[0][1]}"
        )
    tables.write_rows(
        folder / BAD, ("name", "reason"), [{"name": name, "reason": reason} for name, reason in bad]
    )
    unfinished.finish()
    return len(unfinished.done), bad


def _is_there(record: Record) -> bool:
    """Whether a record's file, where it names one, is there to be prepared."""
    path = getattr(record, "path", None)
    return path is None or path.is_file()


# --- Reading ----------------------------------------------------------------


def read(folder: Path, remedy: str = "cnnviz prepare-photographs") -> Store:
    """Prepared photographs of a folder.

    Parameters
    ----------
    folder : Path
    remedy : str
        Command that makes it.

    Returns
    -------
    Store

    Raises
    ------
    FileNotFoundError, ValueError
        Naming the file and the remedy.
    """
    folder = Path(folder)
    again = f"delete it and run '{remedy}' again"
    for name in (PIXELS, RECORDS):
        if not (folder / name).is_file():
            raise MissingFileError(f"{folder / name}: no such file; make it with '{remedy}'")
    try:
        rows = _rows(folder / RECORDS)
        numbers = [[float(row[name]) for name in _NUMBERS[:2]] for row in rows]
        transforms = tuple(map(_transform_of, rows))
        centers = tuple(map(_centers_of, rows))
        grades = np.array([int(row["grade"] or -1) for row in rows], dtype=int)
    except ValueError as error:
        raise UserError(f"{folder / RECORDS}: damaged ({error}); {again}") from None
    return Store(
        _pixels(folder / PIXELS, len(rows), again),
        np.array(numbers, np.float32).reshape(-1, 2),
        grades,
        np.array([row["split"] for row in rows], dtype=object),
        tuple(row["name"] or None for row in rows),
        tuple(row["patient"] or None for row in rows),
        tuple(row["side"] or None for row in rows),
        transforms,
        centers,
    )


def _pixels(path, count: int, again: str) -> np.ndarray:
    """Map the pixels of ``count`` photographs into memory."""
    if not count:
        return np.empty((0, SIZE, SIZE, 3), np.uint8)
    try:
        pixels = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # damaged bytes raise nearly anything
        raise UserError(f"{path}: truncated or not an array file ({error}); {again}") from None
    if pixels.shape != (count, SIZE, SIZE, 3) or pixels.dtype != np.uint8:
        raise UserError(
            f"{path}: {pixels.dtype} {pixels.shape} instead of uint8 "
            f"{(count, SIZE, SIZE, 3)}; {again}"
        )
    return pixels
