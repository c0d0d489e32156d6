"""De Fauw's published parameters, read without running what a file may carry.

They are a Python 2 pickle of the list ``get_all_param_values(network)``, and a
pickle can run any code when it is loaded.  So the file is first identified by
its hash, then read by :mod:`cnnviz.networks.safe_pickle`, then held against
the network, parameter by parameter, and converted once to a weight file of
this package.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.networks import defauw, weights
from cnnviz.networks.safe_pickle import Refused as _Refused
from cnnviz.networks.safe_pickle import Unpickler as _Unpickler
from cnnviz.runtime import files
from cnnviz.runtime.backend import lasagne
from cnnviz.runtime.errors import MissingFileError, UserError

if TYPE_CHECKING:
    from lasagne.layers import Layer

__all__ = ["BLOB", "SOURCE", "convert", "git_blob_sha1", "load", "read"]

SOURCE = (
    "https://github.com/JeffreyDF/kaggle_diabetic_retinopathy/raw/77c5781/"
    "dumps/2015_07_17_123003_PARAMSDUMP.pkl"
)
#: What ``git hash-object`` prints for the published file.
BLOB = "919bd6cc47b3c46c35d63a3732f207ef3916b6ce"
# The same of the dump beside it, which holds whole Python 2 objects.
_FULL_DUMP_BLOB = "66569aaffd91f092e88b92ed3352c483dfa9a898"
_REMEDY = f"download the file again (about 84 MB) from {SOURCE}"


def git_blob_sha1(path: Any) -> str:
    """Hexadecimal SHA-1 by which git names a file's content.

    Of ``blob``, a space, the size in bytes, a zero byte, and the content.
    """
    with open(path, "rb") as stream:
        digest = hashlib.sha1(b"blob %d\0" % os.fstat(stream.fileno()).st_size)
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _what_else(path, blob: str) -> str:
    """What a file of another hash is, as far as one can see."""
    if files.is_pointer(path):
        return files.POINTER
    with open(path, "rb") as stream:
        head = stream.read(512).lstrip().lower()
    if blob == _FULL_DUMP_BLOB:
        return (
            "this is the full dump, 2015_07_17_123003.pkl; take the one whose "
            "name ends in _PARAMSDUMP.pkl"
        )
    if head.startswith((b"<!doctype", b"<html")):
        return "this is a web page; save the file itself"
    return "this is another file, or it was truncated or altered"


def _check_blob(path, expected: str) -> None:
    if not Path(path).is_file():
        raise MissingFileError(f"{path}: no such file; {_REMEDY}")
    with files.refusals(path):
        blob = git_blob_sha1(path)
    if blob != expected:
        raise UserError(
            f"{path}: git blob hash {blob} instead of {expected}: "
            f"{_what_else(path, blob)}; {_REMEDY}"
        )


def _arrays(values: Mapping[str, int] | int | Sequence[Any]) -> Any:
    """Arrays of an unpickled list."""
    if not isinstance(values, (list, tuple)):
        raise _Refused(
            f"holds an object of type {type(values).__name__} instead of a list of arrays"
        )
    arrays = [getattr(value, "value", None) for value in values]
    for index, array in enumerate(arrays):
        if not isinstance(array, np.ndarray):
            raise _Refused(f"item {index} of the list is not an array of floats")
        if array.dtype.str[1:] not in ("f4", "f8"):
            raise _Refused(
                f"holds an array of type '{array.dtype.str[1:]}' instead of 'f4' "
                "or 'f8', float32 or float64"
            )
    return arrays


def read(path: Path, blob: str = BLOB) -> list[np.ndarray]:
    """Arrays of a published parameter file.

    Parameters
    ----------
    path : path
        Pickle of a list of float arrays, by Python 2 or 3.
    blob : str
        Hash that the file must have, as by :func:`git_blob_sha1`.  It is
        looked at before anything is unpickled.

    Returns
    -------
    list of numpy.ndarray
        Read-only, float32 or float64.

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing file, one of another hash, a truncated one, or one that
        holds or asks for anything but arrays of floats.
    """
    _check_blob(path, blob)
    try:
        with open(path, "rb") as stream:
            return _arrays(_Unpickler(stream).load())
    except _Refused as error:
        raise UserError(f"{path}: {error}") from None
    except Exception as error:  # damaged bytes raise nearly anything
        raise UserError(
            f"{path}: truncated or not a pickle of arrays ({error}); {_REMEDY}"
        ) from None


def _fill(path, values: Sequence[np.ndarray], network: Layer) -> None:
    """Set every parameter, or none."""
    parameters = lasagne.layers.get_all_params(network)
    if len(values) != len(parameters):
        raise UserError(
            f"{path}: holds {len(values)} arrays, and the network has {len(parameters)} parameters"
        )
    weights.fill(
        parameters,
        values,
        [
            f"{path}: array {index}, for parameter {parameter.name},"
            for index, parameter in enumerate(parameters)
        ],
    )


def load(path: Path, network: Layer, blob: str = BLOB) -> None:
    """Load a published parameter file into a network.

    Nothing is loaded unless everything fits.

    Parameters
    ----------
    path : path
    network : lasagne.layers.Layer
        Output layer, as :func:`cnnviz.networks.defauw.build` makes it.
    blob : str
        As for :func:`read`.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`read`, or for another number of arrays, or the first of
        another shape or with values that are not finite.
    """
    _fill(path, read(path, blob), network)


def convert(path: Path, output: Path, network: Layer | None = None, blob: str = BLOB) -> Layer:
    """Convert a published parameter file to a weight file of this package.

    Parameters
    ----------
    path : path
    output : path
        ``.npz`` file, for :func:`cnnviz.networks.weights.load`.
    network : lasagne.layers.Layer, optional
        Output layer; De Fauw's for 512 x 512 pixels unless given.  Its
        parameters are overwritten.
    blob : str
        As for :func:`read`.

    Returns
    -------
    lasagne.layers.Layer
        The network with the parameters.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`load`.
    """
    # The network comes second: building it takes longer than refusing a file.
    values = read(path, blob)
    network = defauw.build() if network is None else network
    _fill(path, values, network)
    weights.save(output, network, {"network": "defauw", "source": SOURCE, "git_blob": blob})
    return network
