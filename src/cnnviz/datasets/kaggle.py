"""The competition's photographs, from a folder of its JPEG files.

Kaggle's "Diabetic Retinopathy Detection" of 2015 (EyePACS): 35,126 graded
training photographs, a left and a right eye of each patient, named
``10_left.jpeg`` and so on, with their grades in ``trainLabels.csv``.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cnnviz.datasets import external, fundus
from cnnviz.runtime import files
from cnnviz.runtime.errors import MissingFileError, StorageError, UserError

__all__ = [
    "CLASS_COUNTS",
    "LABELS_SHA256",
    "TEST",
    "TRAINING",
    "Record",
    "check_labels",
    "load",
    "read_labels",
    "read_outputs",
    "records",
    "split_name",
    "stream",
    "test_labels",
    "training_labels",
    "unlabeled",
    "validation_outputs",
]

TRAINING = 35126  #: graded photographs
TEST = 53576  #: photographs whose grades were kept from the competitors
CLASS_COUNTS = (25810, 2443, 5292, 873, 708)  #: training grades 0 to 4
#: Of ``trainLabels.csv`` as De Fauw's repository holds it.
LABELS_SHA256 = "1dd6600d01dd0ff1e42ce840ffa501ae32b346745ff4c4f9296e62a2e9632f88"

_LABELS = (
    "JeffreyDF/kaggle_diabetic_retinopathy",
    "77c57811ad6386ad0548f2b755e0536c1d652774",
    "data/trainLabels.csv",
)
_TEST_LABELS = (
    "mikevoets/jama16-retina-replication",
    "15f2af375c5a581a2002f346efc9a72f4b47f667",
    "vendor/eyepacs/testLabels.csv.zip",
)
_TEST_LABELS_SHA256 = "a6af3d66804e81887da89b9261bcfb7da4f5bacedb070f1b5db83fa879ab60c9"
_LARGEST = 10_000_000  # bytes of a list of labels

_NAME = re.compile(r"([0-9]+)_(left|right)", re.ASCII)


class Record(NamedTuple):
    """A photograph before it is read."""

    name: str  #: e.g. ``10_left``
    path: Path
    grade: int
    patient: str
    side: str
    split: str = "train"


def split_name(name: str) -> Any:
    """Patient and side that a photograph's name tells.

    Raises
    ------
    ValueError
        For a name of another form.
    """
    match = _NAME.fullmatch(name)
    if not match:
        raise UserError(f"'{name}' is not a number, '_', and left or right")
    return match.groups()


def read_labels(path: Path) -> dict[str, int]:
    """Grades of photographs.

    Parameters
    ----------
    path : path
        CSV file with the columns ``image`` and ``level``; more are ignored.

    Returns
    -------
    dict
        From a photograph's name to its grade, in the file's order.

    Raises
    ------
    FileNotFoundError, ValueError
        Naming file and line.
    """
    if not Path(path).is_file():
        raise MissingFileError(
            f"{path}: no such file; it comes with the "
            "competition's data ('cnnviz prepare-photographs "
            "--help' says how to get them)"
        )
    grades, text = {}, files.read_text(path, encoding="utf-8-sig")
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        if not {"image", "level"} <= set(reader.fieldnames or ()):
            raise UserError("the header must name image and level")
        for row in reader:
            name, level = row["image"], row["level"]
            split_name(name or "")
            if level not in ("0", "1", "2", "3", "4"):
                raise UserError(f"level '{level}' is not 0, 1, 2, 3 or 4")
            if name in grades:
                raise UserError(f"'{name}' is there twice")
            grades[name] = int(level)
    except (ValueError, csv.Error) as error:
        raise UserError(f"{path}, line {reader.line_num}: {error}") from None
    return grades


def check_labels(grades: Mapping[str, int]) -> None:
    """Raise ValueError unless these are all of the competition's training labels."""
    counts = tuple(list(grades.values()).count(grade) for grade in range(5))
    if counts != CLASS_COUNTS:
        raise UserError(
            f"{len(grades):,} labels with {counts} of the grades 0 to 4, "
            f"not the competition's {TRAINING:,} with {CLASS_COUNTS}"
        )


def records(folder: Path, grades: Mapping[str, int]) -> list[Record]:
    """Photographs of a folder, without reading them, whether they are there or not.

    Parameters
    ----------
    folder : path
        Folder of JPEG files.
    grades : dict
        From :func:`read_labels`.

    Returns
    -------
    list of Record
        By number of the patient, left before right.
    """
    found = [
        Record(name, Path(folder) / f"{name}.jpeg", grade, *split_name(name))
        for name, grade in grades.items()
    ]
    return sorted(found, key=lambda record: (int(record.patient), record.side))


def unlabeled(folder: Any, grades: Mapping[str, int]) -> list[str]:
    """Names of the photographs in a folder that have no grade, in alphabetical order.

    Parameters as in :func:`records`.
    """
    there = {path.stem for path in Path(folder).glob("*.jpeg") if _NAME.fullmatch(path.stem)}
    return sorted(there - set(grades))


def load(record: Record, crop: str = "published") -> fundus.Photograph:
    """Read and prepare one photograph.

    Parameters
    ----------
    record : Record
    crop : str
        As for :func:`cnnviz.datasets.fundus.prepare`.

    Returns
    -------
    cnnviz.datasets.fundus.Photograph

    Raises
    ------
    FileNotFoundError, ValueError
        For a file that is missing, truncated, no photograph, or black.
    """
    return fundus.photograph(
        record.name,
        fundus.read_image(record.path),
        crop=crop,
        grade=record.grade,
        patient=record.patient,
        side=record.side,
    )


def stream(found: Sequence[Record], bad: Any) -> Iterator[Record | fundus.Photograph]:
    """Prepared photographs one by one; no more than one is held in memory.

    Parameters
    ----------
    found : list of Record
    bad : list
        Gets (name, reason) of every photograph that is left out.

    Yields
    ------
    cnnviz.datasets.fundus.Photograph
    """
    for record in found:
        try:
            yield load(record)
        except (ValueError, OSError) as error:
            bad.append((record.name, str(error)))


# --- Lists that others publish ----------------------------------------------


def training_labels(mirror: Path | None = None, downloads: Any = None) -> Any:
    """Path of the training labels: in the mirror, or downloaded.

    Parameters
    ----------
    mirror : Path, optional
    downloads : Path
        Folder for downloaded files, where there is no mirror.

    Raises
    ------
    cnnviz.datasets.external.Unavailable, ValueError
        When they cannot be had; when the mirror's file is damaged.
    """
    if mirror:
        return external.in_mirror(mirror, "eyepacs/trainLabels.csv")
    return external.download(
        external.address(*_LABELS), downloads / "trainLabels.csv", LABELS_SHA256, timeout=5
    )


def test_labels(mirror: Any = None, downloads: Any = None) -> Any:
    """Path of the test labels, which became public after the competition.

    Parameters and errors as in :func:`training_labels`.
    """
    if mirror:
        return external.in_mirror(mirror, "eyepacs/testLabels.csv")
    path = downloads / "testLabels.csv"
    if path.is_file() and files.sha256(path) == _TEST_LABELS_SHA256:
        return path
    url = external.address(*_TEST_LABELS)
    archive = external.download(url, downloads / "testLabels.csv.zip", timeout=5)
    try:
        with files.atomic(path) as temporary:
            temporary.write_bytes(_only_member(archive))
            if files.sha256(temporary) != _TEST_LABELS_SHA256:
                raise UserError("other labels than expected")
    except StorageError:  # of this machine, not of what came
        raise
    except (ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise external.Unavailable(f"{archive}: from {url}, but {error}") from None
    finally:
        archive.unlink()  # its own checksum is not known, so it is not kept
    return path


def _only_member(path):
    """Contents of the only CSV file of a ZIP archive."""
    with zipfile.ZipFile(path) as archive:
        members = [each for each in archive.infolist() if each.filename.endswith(".csv")]
        if len(members) != 1 or members[0].file_size > _LARGEST:
            raise UserError("not an archive of one list of labels")
        return archive.read(members[0])


def validation_outputs(mirror: Any = None) -> Any:
    """Path of De Fauw's network's outputs on its own validation photographs.

    Raises
    ------
    cnnviz.datasets.external.Unavailable, ValueError
        When they cannot be had; when the mirror's file is damaged.
    """
    if not mirror:
        raise external.Unavailable(
            "the published validation outputs of De Fauw's network are read from a mirror only"
        )
    return external.in_mirror(mirror, "defauw/validation_123003.csv")


def read_outputs(path: Path) -> Any:
    """Labels and posteriors of a file of a network's outputs.

    Parameters
    ----------
    path : path
        CSV file with the columns ``label`` and ``p0`` to ``p4``.

    Returns
    -------
    int array ``(n,)``, float array ``(n, 5)``

    Raises
    ------
    ValueError
        Naming the file.
    """
    text = files.read_text(path)
    try:
        rows = [
            (int(row["label"]), [float(row[f"p{grade}"]) for grade in range(5)])
            for row in csv.DictReader(io.StringIO(text))
        ]
        labels, posteriors = zip(*rows)
        shares = np.array(posteriors)
        if set(labels) - set(range(5)) or np.abs(shares.sum(axis=1) - 1).max() > 1e-5:
            raise UserError("labels or probabilities out of range")
    except (ValueError, TypeError, KeyError, csv.Error) as error:
        raise UserError(f"{path}: not a network's outputs ({error}); copy the file again") from None
    return np.array(labels), posteriors
