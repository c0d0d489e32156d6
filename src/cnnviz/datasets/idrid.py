"""IDRiD: 516 graded fundus photographs, and 24 with outlined lesions.

P. Porwal et al., *Indian Diabetic Retinopathy Image Dataset (IDRiD)*, Data 3
(2018), doi 10.3390/data3030025; CC BY 4.0.  The photographs come from a mirror
folder or from the public repositories named in ``data/external/README.md``,
never from this repository, which holds their grades, places and checksums only.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from cnnviz.datasets import external, fundus, store
from cnnviz.datasets.idrid_masks import split_mask
from cnnviz.runtime import paths, tables
from cnnviz.runtime.errors import UserError

__all__ = [
    "CLASSES",
    "MASKS",
    "SHAPE",
    "SPLITS",
    "Record",
    "fetch",
    "labels",
    "load",
    "outlined",
    "records",
    "training_arrays",
]

SHAPE = (2848, 4288)  #: rows and columns of the originals
SPLITS = ("train", "test")
#: Classes of outlined areas, by the names of their files.
CLASSES = {
    "MA": "microaneurysm",
    "HE": "hemorrhage",
    "EX": "hard exudate",
    "SE": "soft exudate",
    "OD": "optic disc",
}
#: Names of the masks of the 24 photographs that have them.
MASKS = tuple(CLASSES.values())

_GRADING = ("chrisvoncsefalvay/codras", "401960011ea97988b42dd9f7f1cd4d89a5d12e9c")
_MASKS = (
    "sarah-antillia/TensorFlow-FlexUNet-Tiled-Image-Segmentation-IDRiD",
    "0f78cdab101dc95615f2088f1a6e7030c555296f",
    "projects/TensorFlowFlexUNet/Tiled-IDRiD/mini_test/masks",
)
_DOWNLOADS = paths.DOWNLOADS / "idrid"
_RETRIES = 3


class Record(NamedTuple):
    """What is known of a photograph before it is read."""

    name: str  #: e.g. ``IDRiD_145_train``, or ``IDRiD_01`` with masks
    split: str  #: "train", "test", or nothing where it is not known
    grade: int | None  #: 0 to 4; None for 3 of those with masks
    centers: dict  #: from "optic disc" and "fovea" to (row, column)
    suspect: bool  #: grade found by a mapping that could not be confirmed
    duplicate_of: str  #: name of the byte-identical photograph
    grading: str  #: its name among the graded ones
    classes: tuple  #: of its outlined areas, keys of :data:`CLASSES`
    url: str
    sha256: str
    mask_url: str = ""
    mask_sha256: str = ""

    @property
    def side(self) -> str | None:
        """Which eye: the optic disc lies on the side of the nose."""
        if not self.centers:
            return None
        is_right = self.centers["optic disc"][1] > self.centers["fovea"][1]
        return "right" if is_right else "left"


def _rows(name: str) -> list[dict[str, str]]:
    path = paths.EXTERNAL_TABLES / name
    return tables.read_rows(path, f"git checkout -- {path}")


@functools.cache
def _graded():
    return {
        row["idrid_id"]: Record(
            row["idrid_id"],
            row["split"],
            int(row["dr_grade"]),
            {
                "optic disc": (float(row["od_y"]), float(row["od_x"])),
                "fovea": (float(row["fovea_y"]), float(row["fovea_x"])),
            },
            row["mapping_suspect"] == "true",
            row["duplicate_of"],
            row["idrid_id"],
            (),
            external.address(*_GRADING, row["source_file"]),
            row["source_sha256"],
        )
        for row in _rows("idrid.csv")
    }


@functools.cache
def _outlined() -> list[Record]:
    unknown = Record("", "", None, {}, False, "", "", (), "", "")
    repository, commit, folder = _MASKS
    return [
        _graded()
        .get(row["grading_id"], unknown)
        ._replace(
            name=row["seg_id"],
            duplicate_of="",
            classes=tuple(row["classes"].split()),
            url=external.address(row["image_repo"], row["image_commit"], row["image_path"]),
            sha256=row["image_sha256"],
            mask_url=external.address(repository, commit, f"{folder}/{row['seg_id']}.png"),
            mask_sha256=row["mask_source_sha256"],
        )
        for row in _rows("idrid_lesions.csv")
    ]


def _is_repeated(record: Record) -> bool:
    """Whether a photograph must leave the training set because of its twin.

    Of two with the same grade the first stays; two with conflicting grades
    both go, and so does one whose twin is in the test set.
    """
    if not record.duplicate_of:
        return False
    twin = _graded()[record.duplicate_of]
    return twin.split != record.split or twin.grade != record.grade or twin.name < record.name


def records(part: str, as_published: bool = False, suspects: bool = True) -> list[Record]:
    """Photographs of one part of IDRiD, without reading them.

    Parameters
    ----------
    part : str
        "train" or "test": the graded photographs of the published split.
        "lesions": the 24 with masks; 21 of them are among the graded ones too,
        in either split.
    as_published : bool
        Keep byte-identical photographs in "train".  Otherwise those are left
        out whose twin is in the test set or has another grade, and the second
        one of two with the same grade.
    suspects : bool
        Keep the 7 whose grade could not be confirmed.

    Returns
    -------
    list of Record

    Raises
    ------
    ValueError
        For an unknown part.
    """
    if part == "lesions":
        found = _outlined()
    elif part in SPLITS:
        found = [record for record in _graded().values() if record.split == part]
    else:
        raise UserError(
            f"unknown part '{part}' of IDRiD; there are {', '.join(SPLITS)} and lesions"
        )
    if part == "train" and not as_published:
        found = [record for record in found if not _is_repeated(record)]
    return [record for record in found if suspects or not record.suspect]


def labels(found: Sequence[Record]) -> np.ndarray:
    """Grades of records: int array ``(n,)``, -1 where there is none."""
    return np.array([-1 if record.grade is None else record.grade for record in found], dtype=int)


# --- Photographs ------------------------------------------------------------


def _mask_from_mirror(mirror: Path, record: Record, name: str) -> np.ndarray:
    """One mask; a class that is not outlined in a photograph has no file."""
    if name not in record.classes:
        return np.zeros(SHAPE, bool)
    return fundus.read_mask(
        external.in_mirror(mirror, f"idrid/lesions/masks/{record.name}_{name}.png")
    )


def _image_path(record: Record, mirror: Path | None, downloads: Path) -> Path:
    if mirror:
        part = "lesions" if record.classes else "grading"
        return external.in_mirror(mirror, f"idrid/{part}/images/{record.name}.jpg")
    suffix = PurePosixPath(record.url).suffix
    return external.download(
        record.url, downloads / f"{record.name}{suffix}", record.sha256, _RETRIES
    )


def _masks(record: Record, mirror: Path | None, downloads: Path) -> dict[str, np.ndarray]:
    if not record.classes:
        return {}
    if mirror:
        return {name: _mask_from_mirror(mirror, record, name) for name in CLASSES}
    path = external.download(
        record.mask_url, downloads / f"{record.name}_masks.png", record.mask_sha256, _RETRIES
    )
    try:
        return split_mask(fundus.read_image(path))
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None


def fetch(found: Sequence[Record], downloads: Path = _DOWNLOADS, progress: bool = False) -> None:
    """Download what records need, unless it is there; for use without a mirror.

    Parameters
    ----------
    found : list of Record
    downloads : Path
        Folder for the files; finished ones stay, so that an interrupted
        download goes on where it stopped.
    progress : bool
        Show a progress bar.

    Raises
    ------
    cnnviz.datasets.external.Unavailable
        Naming file, address and remedy.
    """
    for record in tqdm(found, unit=" photographs", desc="downloading", disable=not progress):
        _image_path(record, None, downloads)
        if record.classes:
            external.download(
                record.mask_url,
                downloads / f"{record.name}_masks.png",
                record.mask_sha256,
                _RETRIES,
            )


def load(
    record: Record,
    mirror: Path | None = None,
    downloads: Path = _DOWNLOADS,
    crop: str = "published",
) -> fundus.Photograph:
    """Read and prepare one photograph.

    Parameters
    ----------
    record : Record
    mirror : Path, optional
        Folder with ``idrid/grading`` and ``idrid/lesions``, in which
        photographs may be reduced.
    downloads : Path
        Where files are, or go, when there is no mirror.
    crop : str
        As for :func:`cnnviz.datasets.fundus.prepare`.

    Returns
    -------
    cnnviz.datasets.fundus.Photograph
        Every photograph is a patient of its own: IDRiD names none.  Masks of
        all of :data:`MASKS` for photographs of "lesions", none for others.

    Raises
    ------
    cnnviz.datasets.external.Unavailable, ValueError
        Naming the file and the remedy.
    """
    path = _image_path(record, mirror, downloads)
    image = fundus.read_image(path)
    scale = SHAPE[0] / image.shape[0]
    if scale < 1 or image.shape[1] * scale != SHAPE[1]:
        raise UserError(
            f"{path}: {image.shape[1]} x {image.shape[0]} pixels, not "
            f"{SHAPE[1]} x {SHAPE[0]} or evenly reduced from it"
        )
    masks = _masks(record, mirror, downloads)
    return fundus.photograph(
        record.name,
        image,
        scale,
        {CLASSES[name]: mask for name, mask in masks.items()},
        record.centers,
        crop,
        grade=record.grade,
        patient=record.name,
        side=record.side,
    )


def outlined(record: Any, mirror: Any = None, downloads: Any = _DOWNLOADS) -> Any:
    """The original photograph and its masks, not prepared.

    Parameters as for :func:`load`.

    Returns
    -------
    image : uint8 array, ``(2848, 4288, 3)``
    masks : dict of bool arrays, ``(2848, 4288)``
        By name, as in :data:`MASKS`.

    Raises
    ------
    cnnviz.datasets.external.Unavailable, ValueError
        Naming the file and the remedy.
    """
    masks = _masks(record, mirror, downloads)
    return (
        fundus.read_image(_image_path(record, mirror, downloads)),
        {CLASSES[name]: mask for name, mask in masks.items()},
    )


def training_arrays(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a network is trained on, from a folder of prepared photographs.

    Parameters
    ----------
    folder : Path
        Made by ``cnnviz prepare-photographs``.

    Returns
    -------
    pixels : uint8 array, ``(n, 512, 512, 3)``
    dimensions : float32 array, ``(n, 2)``
    grades : int array, ``(n,)``

    Raises
    ------
    FileNotFoundError, ValueError
        Naming the file and the remedy.
    """
    prepared = store.read(folder)
    chosen = np.flatnonzero(prepared.splits == "train")
    return (prepared.pixels[chosen], prepared.dimensions[chosen], prepared.grades[chosen])
