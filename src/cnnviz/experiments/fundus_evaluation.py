"""What De Fauw's network says of prepared photographs (thesis section 4.2).

Three readings: both eyes of a patient, where there are pairs; every eye shown in both places of
a pair; and, for comparison, the randomly initialized network.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cnnviz.datasets import store
from cnnviz.experiments import defauw_network, photograph_sources
from cnnviz.networks import defauw
from cnnviz.runtime.errors import UserError
from cnnviz.runtime.records import Record, axes, made_from
from cnnviz.training import fundus_network

__all__ = ["FundusEvaluation", "Posteriors", "Wanted", "chosen_photographs", "evaluate"]


@dataclass(frozen=True)
class Posteriors(Record):
    """What a network says of photographs."""

    one_eye: np.ndarray = axes("photograph", "grade")  #: every eye shown twice
    #: Both eyes of a patient, NaN for eyes without a fellow; None without pairs.
    both_eyes: np.ndarray | None = axes("photograph", "grade")


@dataclass(frozen=True)
class FundusEvaluation(Record):
    """Grades of photographs, and what networks say of them, by the name of their weights."""

    command: ClassVar[str] = "cnnviz evaluate-fundus"

    networks: dict[str, Posteriors]
    grades: np.ndarray = axes("photograph")
    names: np.ndarray = axes("photograph")


@dataclass(frozen=True)
class Wanted:
    """Which network is asked."""

    weights: str  #: see :func:`.defauw_network.built`
    path: Path | None = None  #: weight file, instead of the usual place
    batch_size: int = 16  #: even


def chosen_photographs(
    photographs: store.Store, split: str | None, folder: Path | str
) -> np.ndarray:
    """Indices of the photographs that have a grade: of a split, or of all.

    Parameters
    ----------
    photographs : cnnviz.datasets.store.Store
    split : str or None
    folder : path
        Where they are from, for the message.

    Raises
    ------
    UserError
        When there is none.
    """
    graded = photographs.grades >= 0
    chosen = graded if split is None else graded & (photographs.splits == split)
    if not graded.any():
        raise UserError(f"{folder}: no photograph has a grade")
    if not chosen.any():
        there = sorted({f"'{each}'" for each in photographs.splits[graded]})
        raise UserError(
            f"--split: no graded photographs of the split '{split}' in {folder}; "
            f"there are those of {', '.join(there)}; all are used without it"
        )
    return np.flatnonzero(chosen)


def evaluate(
    folder: Path, split: str | None, wanted: Wanted, output: Path
) -> tuple[FundusEvaluation, dict[str, Any]]:
    """Read photographs by a network, and by the random one.

    Parameters
    ----------
    folder : path
        Of prepared photographs.
    split : str, optional
        Use the photographs of this split only.
    wanted : Wanted
    output : path
        File of :class:`FundusEvaluation`.

    Returns
    -------
    FundusEvaluation
    dict
        What it was made from.
    """
    photographs, source = photograph_sources.read(folder)
    chosen = chosen_photographs(photographs, split, folder)
    pairs = photographs.pairs()
    # Of the chosen ones, as positions among them.
    pairs = np.searchsorted(chosen, pairs[np.isin(pairs, chosen).all(axis=1)])
    networks, said = {}, {}
    for weights in dict.fromkeys((wanted.weights, "random")):
        path = wanted.path if weights == wanted.weights else None
        network, origin = defauw_network.built(weights, wanted.batch_size, path)
        said[weights] = origin
        networks[weights] = _posteriors(
            fundus_network.EyeReader(network),
            photographs.pixels[chosen],
            photographs.dimensions[chosen],
            pairs,
        )
    evaluation = FundusEvaluation(
        networks,
        photographs.grades[chosen].astype(np.int32),
        np.array([photographs.names[index] for index in chosen]),
    )
    made = made_from(**source, **said[wanted.weights], split=split, random_seed=defauw_network.SEED)
    evaluation.save(output, made)
    return evaluation, made


def _posteriors(
    reader: Any, pixels: np.ndarray, dimensions: np.ndarray, pairs: np.ndarray
) -> Posteriors:
    maps, both = reader.maps(pixels), None
    twice = np.column_stack([np.arange(len(pixels))] * 2)
    one = reader.posteriors(maps, dimensions, twice)[:, 0]
    if len(pairs):
        both = np.full((len(pixels), defauw.GRADES), np.nan, np.float32)
        both[pairs] = reader.posteriors(maps, dimensions, pairs)
    return Posteriors(one, both)
