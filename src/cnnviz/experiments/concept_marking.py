"""What is known on prepared photographs: lesions, disc, vessels, artifacts.

The concepts of thesis Table 4.1.  Of synthetic photographs everything is known; of IDRiD's the
outlined lesions of 21 photographs, and disc, fovea and the edge of the field of view of all.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from tqdm import tqdm

from cnnviz.datasets import concepts, external, idrid, store, synthetic
from cnnviz.experiments import photograph_sources
from cnnviz.runtime.errors import UserError
from cnnviz.runtime.records import Record, axes, made_from

__all__ = ["MarkedConcepts", "mark", "read_concepts"]

#: From a photograph and its field of view to what is marked on it.
_Marks = Callable[[Any, np.ndarray], concepts.Marked]


@dataclass(frozen=True)
class MarkedConcepts(Record):
    """Concepts on photographs; see :mod:`cnnviz.datasets.concepts`."""

    command: ClassVar[str] = "cnnviz mark-concepts"

    names: np.ndarray = axes("photograph")
    concepts: np.ndarray = axes("photograph", "row", "column")  #: index of every pixel
    known: np.ndarray = axes("photograph", "concept")  #: whether marked wherever it is


def _synthetic(seed: int) -> _Marks:
    """What is drawn on a photograph of the store."""

    def marked(photograph: Any, field: np.ndarray) -> concepts.Marked:
        if photograph.name == synthetic.RETINA.name:
            return concepts.of_photograph(photograph, field)
        eye = synthetic.eye([seed, int(photograph.patient)], photograph.side)
        return concepts.of_scene(eye, field)

    return marked


def _outlined(mirror: Path | None, downloads: Path) -> _Marks:
    """The same for IDRiD: masks come from the outlined version of a photograph."""
    records = {record.grading: record for record in idrid.records("lesions")}
    load = functools.partial(
        idrid.load, mirror=external.mirror(mirror), downloads=downloads / "idrid"
    )

    def marked(photograph: Any, field: np.ndarray) -> concepts.Marked:
        record = records.get(photograph.name)
        if record is not None:
            photograph.masks.update(load(record).masks)
        return concepts.of_photograph(photograph, field)

    return marked


def mark(folder: Path, output: Path, mirror: Path | None, downloads: Path) -> None:
    """Mark the concepts of prepared photographs.

    Parameters
    ----------
    folder : path
        Of the photographs.
    output : path
        File of :class:`MarkedConcepts`.
    mirror, downloads : path
        IDRiD: where outlines are, or downloaded to.

    Raises
    ------
    UserError
        For photographs of the competition, on which nobody marked anything.
    """
    photographs, origin = photograph_sources.read(folder)
    if origin["photographs"] == "synthetic":
        marks = _synthetic(origin["photographs_seed"])
    elif origin["photographs"] == "idrid":
        marks = _outlined(mirror, downloads)
    else:
        raise UserError(f"{folder}: on photographs of this source nothing is marked")
    count = len(photographs)
    index = np.empty(photographs.pixels.shape[:3], np.uint8)
    known = np.zeros((count, len(concepts.CONCEPTS)), bool)
    for k in tqdm(range(count), unit=" photographs", mininterval=5):
        marked = marks(photographs.photograph(k), concepts.field_of_view(photographs.pixels[k]))
        index[k] = concepts.index_map(marked.masks)
        known[k] = [name in marked.known for name in concepts.CONCEPTS]
    MarkedConcepts(np.array(photographs.names), index, known).save(
        output, made_from(**origin, concepts=list(concepts.CONCEPTS)), compressed=True
    )
    print(f"{count:,} photographs; lesions are known in {concepts.lesions_known(known).sum():,}")


def read_concepts(path: Path, photographs: store.Store) -> MarkedConcepts:
    """What is marked on the photographs of a store.

    Raises
    ------
    MissingFileError, UserError
        For a missing file, or one of other photographs.
    """
    marked = MarkedConcepts.load(path)
    if tuple(marked.names) != photographs.names:
        raise UserError(f"{path}: made for other photographs; run 'cnnviz mark-concepts' again")
    return marked
