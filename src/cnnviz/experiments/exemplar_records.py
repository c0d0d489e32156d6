"""Exemplars of a few features of De Fauw's network, for Figures 4.22 to 4.26.

Which features, and what is kept of them in a file.  Features play the same parts as in the
saliency figures that the thesis names beside its exemplars.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd

from cnnviz.runtime import tables
from cnnviz.runtime.errors import UserError
from cnnviz.runtime.records import Record, axes, made_from, read_origin

__all__ = [
    "ROLES",
    "STARTS",
    "Exemplar",
    "Exemplars",
    "PlayedRole",
    "Role",
    "read",
    "read_roles",
    "save",
]

STARTS = ("maximum", "mean", "noise")
_COLUMNS = ("figure", "weights", "layer", "feature", "label", "wanted", "evidence")


class Role(NamedTuple):
    """A feature of the figures, and where the thesis shows its saliency."""

    name: str
    figure: str  #: whose feature it is
    layer: str
    concept: str  #: what it should detect


#: The thesis names the Figures 4.15, 4.17 and 4.20 itself; for the fourth and the third
#: layer it says that the former detects microaneurysms.
ROLES = (
    Role("microaneurysm", "4.15", "pool5", "microaneurysm"),
    Role("hemorrhage", "4.17", "pool5", "hemorrhage"),
    Role("vessel", "4.20", "pool5", "vessel"),
    Role("fourth layer", "4.8", "pool4", "microaneurysm"),
    Role("third layer", "4.7", "pool3", "microaneurysm"),
)


@dataclass(frozen=True)
class PlayedRole(Record):
    """The feature that plays a role, and what is said of it."""

    layer: str
    feature: int
    label: str  #: by measurement
    wanted: str  #: what the figures are about
    evidence: str


def read_roles(path: Path) -> dict[str, PlayedRole]:
    """The features that play the parts of :data:`ROLES`.

    Parameters
    ----------
    path : path
        File of ``cnnviz table 4.1``.

    Returns
    -------
    dict
        From a role's name to a :class:`PlayedRole`.

    Raises
    ------
    MissingFileError, UserError
        For a missing or foreign file, or one that lacks a part.
    """
    table = tables.read_table(
        path, "cnnviz table 4.1", _COLUMNS, "features", dtype=str, keep_default_na=False
    )
    return {role.name: _row(path, table, role) for role in ROLES}


def _row(path: Path, table: pd.DataFrame, role: Role) -> PlayedRole:
    rows = table[
        (table.figure == role.figure)
        & (table.layer == role.layer)
        & (table.weights == "trained")
        & (table.wanted == role.concept)
    ]
    if not len(rows):
        raise UserError(
            f"{path}: no feature of Figure {role.figure}, {role.layer}, for "
            f"'{role.concept}'; make it with 'cnnviz table 4.1'"
        )
    row = rows.iloc[0]
    return PlayedRole(row.layer, int(row.feature), row.label, row.wanted, row.evidence)


# --- Records ----------------------------------------------------------------------


@dataclass(frozen=True)
class Exemplar(Record):
    """The exemplars of one feature, from the starts in :data:`STARTS`."""

    layer: str
    feature: int
    data: float  #: largest linear activation in the sample
    photograph: str  #: which shows it
    field: np.ndarray = axes("row and column")  #: of the receptive field, not clipped
    starts: np.ndarray = axes("start", "channel", "row", "column")
    patches: np.ndarray = axes("start", "channel", "row", "column")
    before: np.ndarray = axes("start")  #: linear activation of the starts
    reached: np.ndarray = axes("start")  #: and of the patches
    activations: np.ndarray = axes("start", "step")
    kept: np.ndarray = axes("kept step")  #: steps that the iterates are of
    iterates: np.ndarray = axes("kept step", "channel", "row", "column")  #: from "maximum"

    @property
    def best(self) -> int:
        """Index of the start from which most was reached."""
        return int(self.reached.argmax())


@dataclass(frozen=True)
class Exemplars(Record):
    """The exemplars of some features, and the roles that these play; several may share one."""

    command: ClassVar[str] = "cnnviz fundus-exemplars"

    exemplars: dict[str, Exemplar]
    roles: dict[str, PlayedRole]


@dataclass(frozen=True)
class Shown(Exemplar):
    """An exemplar in a role."""

    label: str = ""  #: by measurement
    wanted: str = ""  #: what the figures are about
    evidence: str = ""


_HALVED = ("starts", "patches", "iterates")  # kept as float16: to be looked at


def save(
    path: Path, found: list[Exemplar], roles: dict[str, PlayedRole], origin: dict[str, Any]
) -> None:
    """Write a file of :class:`Exemplars`: pictures in half precision.

    Parameters
    ----------
    path : path
    found : list of Exemplar
    roles : dict
        From :func:`read_roles`.
    origin : dict
        What they were made from: ``steps`` of an ascent, ``sample``, how many photographs
        starts are from, and what says which network and photographs.
    """
    halved = [
        dataclasses.replace(
            each, **{name: getattr(each, name).astype(np.float16) for name in _HALVED}
        )
        for each in found
    ]
    Exemplars({str(k): each for k, each in enumerate(halved)}, roles).save(
        path, made_from(**origin)
    )


def read(path: Path) -> tuple[dict[str, Shown], dict[str, Any]]:
    """Exemplars by role, and what they were made from.

    Returns
    -------
    dict
        From a role's name to its :class:`Shown`.
    dict
        See :func:`save`.

    Raises
    ------
    MissingFileError, UserError
        Naming the file and the remedy.
    """
    stored = Exemplars.load(path)
    by_feature = {
        (exemplar.layer, exemplar.feature): exemplar for exemplar in stored.exemplars.values()
    }
    try:
        return {
            name: _shown(by_feature[role.layer, role.feature], role)
            for name, role in stored.roles.items()
        }, read_origin(path)
    except KeyError as error:
        raise UserError(
            f"{path}: lacks the exemplar of {error}; run '{Exemplars.command}' again"
        ) from None


def _shown(exemplar: Exemplar, role: PlayedRole) -> Shown:
    values = {field.name: getattr(exemplar, field.name) for field in dataclasses.fields(exemplar)}
    values |= {name: values[name].astype(np.float32) for name in _HALVED}
    return Shown(**values, label=role.label, wanted=role.wanted, evidence=role.evidence)
