"""Prepared photographs that say where they are from (thesis section 4.1)."""

import functools
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnnviz.datasets import external, fundus, idrid, kaggle, store, synthetic
from cnnviz.runtime import files
from cnnviz.runtime.errors import MissingFileError, UserError

__all__ = ["SOURCE", "SOURCES", "Sources", "identities", "prepare", "read", "standardized"]

SOURCE = "source.json"  #: beside the prepared photographs: what they were made from
_REMEDY = "cnnviz prepare-photographs"


@dataclass(frozen=True)
class Sources:
    """Where photographs come from."""

    source: str  #: "synthetic", "idrid" or "kaggle"
    crop: str = "published"  #: where the eye is; see :data:`cnnviz.datasets.field_of_view.CROPS`
    pairs: int = 1000  #: synthetic: how many patients
    seed: int = 0  #: synthetic: other seeds are other patients
    mirror: Path | None = None  #: idrid: folder with copies of the external files
    downloads: Path | None = None  #: idrid: where downloaded files are kept
    folder: Path | None = None  #: kaggle: of the training photographs
    labels: Path | None = None  #: kaggle: trainLabels.csv, if not in that folder
    partial: bool = False  #: kaggle: accept labels of a part of the photographs


#: Records of photographs, and what reads one.
_Found = tuple[list[Any], Callable[[Any], Any]]


def _synthetic(wanted: Sources) -> _Found:
    """Eye pairs, and a real eye."""
    if wanted.crop != "published":
        raise UserError(
            f"--crop {wanted.crop}: where the eye is in a synthetic photograph is known; "
            "the option is for --source idrid and kaggle"
        )
    return [*synthetic.records(wanted.pairs, wanted.seed), synthetic.RETINA], synthetic.load


def _idrid(wanted: Sources) -> _Found:
    """IDRiD; all photographs are needed."""
    mirror = external.mirror(wanted.mirror)
    records = idrid.records("train") + idrid.records("test")
    folder = _idrid_folder(wanted.downloads)
    if mirror is None:
        idrid.fetch(records, folder, progress=True)
    return records, functools.partial(idrid.load, mirror=mirror, downloads=folder, crop=wanted.crop)


def _idrid_folder(downloads: Path | None) -> Path:
    if downloads is None:
        raise UserError("downloads: a folder is needed for IDRiD")
    return downloads / "idrid"


def _kaggle(wanted: Sources) -> _Found:
    """The competition's."""
    if wanted.folder is None or not wanted.folder.is_dir():
        raise MissingFileError(
            f"--folder: no folder {wanted.folder or 'given'}; "
            "'cnnviz prepare-photographs --help' says how to "
            "get the photographs"
        )
    path = wanted.labels or wanted.folder / "trainLabels.csv"
    grades = kaggle.read_labels(path)
    if not wanted.partial:
        try:
            kaggle.check_labels(grades)
        except ValueError as error:
            raise UserError(f"{path}: {error}; --partial accepts them") from None
    unlabeled = kaggle.unlabeled(wanted.folder, grades)
    if unlabeled:
        print(
            f"{len(unlabeled):,} photographs have no label in {path} and are left out, "
            f"the first of them {unlabeled[0]}"
        )
    return (kaggle.records(wanted.folder, grades), functools.partial(kaggle.load, crop=wanted.crop))


#: From a source's name to what finds its photographs; the place to add one.
SOURCES: dict[str, Callable[[Sources], _Found]] = {
    "synthetic": _synthetic,
    "idrid": _idrid,
    "kaggle": _kaggle,
}


def prepare(output: Path, wanted: Sources) -> None:
    """Prepare photographs of a source as De Fauw's network expects them.

    Parameters
    ----------
    output : path
        Folder to write.  An interrupted run goes on where it stopped.
    wanted : Sources
    """
    records, load = SOURCES[wanted.source](wanted)
    # All of IDRiD is needed; among the competition's files some are damaged.
    kept, bad = store.write(
        output,
        records,
        load,
        skip_bad=wanted.source == "kaggle",
        progress=True,
        settings={"crop": wanted.crop},
    )
    said: dict[str, Any] = {"source": wanted.source, "crop": wanted.crop}
    if wanted.source == "synthetic":
        said |= {"seed": wanted.seed}
    files.write_text(output / SOURCE, json.dumps(said) + "\n")
    print(
        f"{kept:,} photographs prepared, {len(bad):,} left out"
        + (f": see {output / store.BAD}" if bad else "")
    )


def read(folder: Path) -> tuple[store.Store, dict[str, Any]]:
    """Prepared photographs, and where they are from.

    Parameters
    ----------
    folder : path

    Returns
    -------
    Store
    dict
        For :func:`cnnviz.runtime.records.made_from`: ``photographs`` (the source),
        ``photographs_seed`` and ``photographs_crop``, how many there are and how many pairs of
        eyes, and ``photographs_table``, the checksum of the table of photographs.

    Raises
    ------
    MissingFileError, UserError
        Naming the file and the remedy.
    """
    photographs = store.read(folder)
    path = Path(folder) / SOURCE
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; make it with '{_REMEDY}'")
    try:
        said = json.loads(files.read_text(path))
        source = said["source"]
    except (KeyError, TypeError, json.JSONDecodeError):
        raise UserError(f"{path}: does not name a source; run '{_REMEDY}' again") from None
    return photographs, {
        "photographs": source,
        "photographs_seed": said.get("seed"),
        "photographs_crop": said.get("crop"),
        "photographs_count": len(photographs),
        "photographs_pairs": len(photographs.pairs()),
        "photographs_table": files.sha256(Path(folder) / store.RECORDS),
    }


def standardized(photographs: store.Store) -> Callable[[np.ndarray], np.ndarray]:
    """Function from numbers of photographs to what the network sees of them."""
    return lambda index: fundus.standardize(photographs.pixels[index])


def identities(pixels: np.ndarray) -> np.ndarray:
    """Numbers ``(n,)``, equal for photographs with equal pixels."""
    digests = [hashlib.blake2b(each.tobytes()).digest() for each in pixels]
    return np.unique(digests, return_inverse=True)[1]
