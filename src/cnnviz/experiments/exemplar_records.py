"""Exemplars of a few features of De Fauw's network, for Figures 4.22 to 4.26.

Which features, what is kept of them in a file, and how far their exemplars get.
Features play the same parts as in the saliency figures that the thesis names beside
its exemplars.
"""

from typing import NamedTuple

import numpy as np

from cnnviz.runtime import files
from cnnviz.runtime.errors import UserError

__all__ = [
    "STARTS",
    "Role",
    "ROLES",
    "read_roles",
    "Record",
    "pack",
    "unpack",
    "read",
    "kept_steps",
    "border_share",
    "spread",
    "added",
]

STARTS = ("maximum", "mean", "noise")
_COLUMNS = ("figure", "weights", "layer", "feature", "label", "wanted", "evidence")
_REMEDY = "cnnviz fundus-exemplars"
# Parts of an ascent after which its patches are kept, besides the start.
_KEPT = (1 / 30, 1 / 12, 1 / 6, 1 / 3, 1)


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
    Role("haemorrhage", "4.17", "pool5", "haemorrhage"),
    Role("vessel", "4.20", "pool5", "vessel"),
    Role("fourth layer", "4.8", "pool4", "microaneurysm"),
    Role("third layer", "4.7", "pool3", "microaneurysm"),
)


def read_roles(path):
    """The features that play the parts of :data:`ROLES`.

    Parameters
    ----------
    path : path
        File of ``cnnviz label-features``.

    Returns
    -------
    dict
        From a role's name to a dict with ``layer``, ``feature``, ``label``, ``wanted``
        and ``evidence``.

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing or foreign file, or one that lacks a part.
    """
    table = files.read_table(
        path, "cnnviz label-features", _COLUMNS, "features", dtype=str, keep_default_na=False
    )
    return {role.name: _row(path, table, role) for role in ROLES}


def _row(path, table, role):
    rows = table[
        (table.figure == role.figure)
        & (table.layer == role.layer)
        & (table.weights == "trained")
        & (table.wanted == role.concept)
    ]
    if not len(rows):
        raise UserError(
            f"{path}: no feature of Figure {role.figure}, {role.layer}, for "
            f"'{role.concept}'; make it with 'cnnviz label-features'"
        )
    found = rows.iloc[0]
    return {
        "layer": found.layer,
        "feature": int(found.feature),
        **{name: found[name] for name in ("label", "wanted", "evidence")},
    }


# --- Records ----------------------------------------------------------------------


class Record(NamedTuple):
    """The exemplars of one feature; rows as in :data:`STARTS`."""

    layer: str
    feature: int
    data: float  #: largest linear activation in the sample
    photograph: str  #: which shows it
    field: np.ndarray  #: rows and columns of the receptive field, not clipped
    starts: np.ndarray  #: ``(3, channels, rows, columns)``
    patches: np.ndarray  #: ``(3, channels, rows, columns)``
    before: np.ndarray  #: ``(3,)``, linear activation of the starts
    reached: np.ndarray  #: ``(3,)``, and of the patches
    activations: np.ndarray  #: ``(3, steps + 1)``
    kept: np.ndarray  #: ``(kept,)``, steps that the iterates are of
    iterates: np.ndarray  #: ``(kept, channels, rows, columns)``, from "maximum"
    label: str = ""  #: by measurement
    wanted: str = ""  #: what the figures are about
    evidence: str = ""

    @property
    def best(self):
        """Index of the start from which most was reached."""
        return int(self.reached.argmax())


_HALVED = ("starts", "patches", "iterates")  # kept as float16: to be looked at
_WORDS = ("label", "wanted", "evidence")


def _prefix(record):
    return f"{record.layer}_{record.feature}_"


def pack(records, roles, **settings):
    """Arrays for a file: features that several roles share are kept once.

    Parameters
    ----------
    records : list of Record
    roles : dict
        From :func:`read_roles`.
    settings
        Numbers and texts that hold for all.

    Returns
    -------
    dict of arrays
    """
    out = {f"setting_{name}": np.array(value) for name, value in settings.items()}
    for record in records:
        for name, value in record._asdict().items():
            if name not in _WORDS:
                out[_prefix(record) + name] = (
                    value.astype(np.float16) if name in _HALVED else np.array(value)
                )
    for name in ("layer", "feature", *_WORDS):
        out[name] = np.array([role[name] for role in roles.values()])
    return {"role": np.array(list(roles)), **out}


def unpack(arrays):
    """What :func:`pack` made arrays of.

    Returns
    -------
    dict
        From a role's name to its Record.
    dict
        Settings.
    """
    found = {}
    for k, role in enumerate(arrays["role"].tolist()):
        known = {name: arrays[name][k].item() for name in ("layer", "feature", *_WORDS)}
        prefix = f"{known['layer']}_{known['feature']}_"
        values = {name: arrays[prefix + name] for name in Record._fields if name not in known}
        for name in _HALVED:
            values[name] = values[name].astype(np.float32)
        found[role] = Record(
            **known,
            **{name: value.item() if value.ndim == 0 else value for name, value in values.items()},
        )
    return found, {
        name.removeprefix("setting_"): value.item()
        for name, value in arrays.items()
        if name.startswith("setting_")
    }


def read(path):
    """Records by role, and settings, from a file of ``cnnviz fundus-exemplars``.

    Raises
    ------
    FileNotFoundError, ValueError
        Naming the file and the remedy.
    """
    arrays = files.load_arrays(path, _REMEDY)
    try:
        return unpack(arrays)
    except KeyError as error:
        raise UserError(f"{path}: holds no {error}; delete it and run '{_REMEDY}' again") from None


# --- Measures ---------------------------------------------------------------------


def kept_steps(steps):
    """Steps after which patches are kept: more of them early, where most changes.

    Returns
    -------
    tuple of int
        From 0 to ``steps``.
    """
    return tuple(sorted({0, *(round(part * steps) for part in _KEPT)}))


def _energy(patch):
    return (np.asarray(patch, np.float64) ** 2).sum(axis=0)


def border_share(patch, width=0.25):
    """Share of a patch's energy near its border, and the border's share of the area.

    Parameters
    ----------
    patch : array, ``(channels, rows, columns)``
    width : float
        Of the border, in shares of the patch's side.

    Returns
    -------
    energy, area : float
    """
    energy = _energy(patch)
    rows, columns = (
        slice(round(width * side), side - round(width * side)) for side in energy.shape
    )
    inner = energy[rows, columns]
    return (float(1 - inner.sum() / energy.sum()), float(1 - inner.size / energy.size))


def spread(patch, share=0.9):
    """Half side of the smallest centred square that holds a share of the energy.

    Centred on the patch.

    Parameters
    ----------
    patch : array, ``(channels, rows, columns)``
    share : float

    Returns
    -------
    float
        In halves of the patch's side: 1 is the whole patch.
    """
    energy = _energy(patch)
    # How far out a pixel's outer edge lies, in the direction in which it is farther.
    rows, columns = (
        np.abs(np.arange(side) - (side - 1) / 2) * 2 / side + 1 / side for side in energy.shape
    )
    out = np.maximum(rows[:, np.newaxis], columns)
    order = np.argsort(out, axis=None)
    within = np.cumsum(energy.ravel()[order])
    index = np.searchsorted(within, share * within[-1])
    return float(out.ravel()[order[min(index, len(order) - 1)]])


def added(patches, start):
    """What ascent added to a start: patches without their part along it.

    With the norm held, the start fades while the rest grows.

    Parameters
    ----------
    patches : array, ``(n, channels, rows, columns)``
    start : array, ``(channels, rows, columns)``

    Returns
    -------
    array like ``patches``
    """
    flat = np.asarray(patches, np.float64).reshape(len(patches), -1)
    along = np.ravel(start) / max(
        np.sqrt((np.ravel(start).astype(np.float64) ** 2).sum()), np.finfo(float).tiny
    )
    return (flat - np.outer(flat @ along, along)).reshape(np.shape(patches))
