"""Parameters of a user's network, from his files."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.networks import safe_pickle, weights
from cnnviz.runtime import files
from cnnviz.runtime.backend import lasagne
from cnnviz.runtime.errors import UserError

if TYPE_CHECKING:
    from lasagne.layers import Layer

__all__ = ["load"]


_SAVED = "numpy.savez(FILE, *lasagne.layers.get_all_param_values(network))"
_PICKLES = (".pkl", ".pickle", ".p")
# As Lasagne's Recipes name them, with spaces or underscores.
_VALUES = ("param values", "values", "parameters", "params")
_MEANS = ("mean image", "mean value", "mean")


def load(path: Path | str, network: Layer) -> np.ndarray | None:
    """Load the parameters of a network of one's own; all of them fit, or none is.

    Parameters
    ----------
    path : path
        ``.npz`` file with the arrays of ``get_all_param_values``, one written by
        :func:`cnnviz.networks.weights.save`, or a pickle of these arrays, in a list or,
        as in Lasagne's Recipes, in a dictionary ("param values" or "values").
    network : lasagne.layers.Layer
        Output layer; it is changed.

    Returns
    -------
    array or None
        A pickle's "mean image" or "mean value", ``(channels, rows, columns)``,
        ``(channels,)`` or ``()``.

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing file, one of another kind, or arrays that do not fit or are not
        finite.
    """
    path = Path(path)
    with files.reading(path, _SAVED):
        zipped = zipfile.is_zipfile(path)
        with open(path, "rb") as stream:
            pickled = stream.read(1) == b"\x80" or path.suffix.lower() in _PICKLES
    if zipped:
        _load_archive(path, network)
        return None
    if not pickled:
        raise UserError(f"{path}: truncated or no .npz file; write it with '{_SAVED}'")
    return _load_pickle(path, network)


def _load_archive(path, network: Layer) -> None:
    arrays = files.load_arrays(path, _SAVED, f"write it with '{_SAVED}'")
    if weights.METADATA in arrays:
        weights.load(path, network)
        return
    parameters = lasagne.layers.get_all_params(network)
    keys = [f"arr_{k}" for k in range(len(parameters))]
    if set(arrays) != set(keys):
        raise UserError(
            f"{path}: holds {len(arrays)} arrays ({', '.join(arrays)}), not "
            f"{keys[0]} to {keys[-1]}, the network's parameters"
        )
    weights.fill(
        parameters,
        [arrays[key] for key in keys],
        [f"{path}: {key} ({parameter})" for key, parameter in zip(keys, parameters)],
    )


def _load_pickle(path, network: Layer) -> np.ndarray | None:
    values, mean = _of_pickle(path, safe_pickle.load(path))
    parameters = lasagne.layers.get_all_params(network)
    if len(values) != len(parameters):
        raise UserError(
            f"{path}: holds {len(values)} arrays, and the network has "
            f"{len(parameters)} parameters (" + ", ".join(map(str, parameters)) + ")"
        )
    weights.fill(
        parameters,
        values,
        [f"{path}: array {k} ({parameter})" for k, parameter in enumerate(parameters)],
    )
    return mean


def _of_pickle(path, content: Any) -> tuple[list[np.ndarray], np.ndarray | None]:
    """Parameters, and the mean image or None, of what a pickle holds."""
    mean = None
    if isinstance(content, dict):
        known = {str(key).lower().replace("_", " "): value for key, value in content.items()}
        mean = next((known[name] for name in _MEANS if known.get(name) is not None), None)
        content = next((known[name] for name in _VALUES if name in known), None)
        if content is None:
            raise UserError(
                f"{path}: holds {', '.join(map(str, known)) or 'nothing'}; the "
                f"network's parameters are looked for under '{_VALUES[0]}' or "
                f"'{_VALUES[1]}'"
            )
    if not isinstance(content, (list, tuple)) or not all(
        isinstance(each, np.ndarray) for each in content
    ):
        raise UserError(f"{path}: its parameters are no list of arrays; write them with '{_SAVED}'")
    return list(content), None if mean is None else _mean(path, mean)


def _mean(path, value: float | np.ndarray) -> np.ndarray:
    """A mean image, without axes of one image."""
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        array = np.array(np.nan)
    while array.ndim > 3 and len(array) == 1:
        array = array[0]
    if array.ndim not in (0, 1, 3) or not np.isfinite(array).all():
        raise UserError(
            f"{path}: its mean image is no array (channels, rows, columns) of finite numbers"
        )
    return array
