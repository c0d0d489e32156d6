"""De Fauw's published parameters, read without running what a file may carry.

They are a Python 2 pickle of the list ``get_all_param_values(network)``, and a
pickle can run any code when it is loaded.  So the file is first identified by
its hash, then read by an unpickler that knows lists and arrays only, then held
against the network, parameter by parameter, and converted once to a weight
file of this package.
"""
import hashlib
import os
import pickle
from pathlib import Path

import numpy as np

from cnnviz.backend import lasagne
from cnnviz.errors import MissingFileError, UserError
from cnnviz.networks import defauw, weights

__all__ = ["SOURCE", "BLOB", "git_blob_sha1", "read", "load", "convert"]

SOURCE = ("https://github.com/JeffreyDF/kaggle_diabetic_retinopathy/raw/77c5781/"
          "dumps/2015_07_17_123003_PARAMSDUMP.pkl")
#: What ``git hash-object`` prints for the published file.
BLOB = "919bd6cc47b3c46c35d63a3732f207ef3916b6ce"
# The same of the dump beside it, which holds whole Python 2 objects.
_FULL_DUMP_BLOB = "66569aaffd91f092e88b92ed3352c483dfa9a898"
_REMEDY = f"download the file again (about 84 MB) from {SOURCE}"


def git_blob_sha1(path):
    """Hexadecimal SHA-1 by which git names a file's content.

    Of ``blob``, a space, the size in bytes, a zero byte, and the content.
    """
    with open(path, "rb") as stream:
        digest = hashlib.sha1(b"blob %d\0" % os.fstat(stream.fileno()).st_size)
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _what_else(path, found):
    """What a file of another hash is, as far as one can see."""
    with open(path, "rb") as stream:
        head = stream.read(512).lstrip().lower()
    if found == _FULL_DUMP_BLOB:
        return ("this is the full dump, 2015_07_17_123003.pkl; take the one whose "
                "name ends in _PARAMSDUMP.pkl")
    if head.startswith(b"version https://git-lfs"):
        return "this is a Git LFS pointer, which only names the file"
    if head.startswith((b"<!doctype", b"<html")):
        return "this is a web page; save the file itself"
    return "this is another file, or it was truncated or altered"


def _check_blob(path, expected):
    if not Path(path).is_file():
        raise MissingFileError(f"{path}: no such file; {_REMEDY}")
    found = git_blob_sha1(path)
    if found != expected:
        raise UserError(f"{path}: git blob hash {found} instead of {expected}: "
                        f"{_what_else(path, found)}; {_REMEDY}")


class _Refused(UserError):
    """A well-formed pickle of something that parameters do not need."""


class _DataType:
    """Stands in for ``numpy.dtype``: single or double precision only."""

    def __init__(self, code, *_):
        if code not in ("f4", "f8"):
            raise _Refused(f"holds an array of type '{code}' instead of 'f4' or "
                           "'f8', float32 or float64")
        self.value = np.dtype(code)

    def __setstate__(self, state):
        _, byte_order, *_ = state
        self.value = self.value.newbyteorder(byte_order)


class _Array:
    """Stands in for ``numpy.ndarray``, which trusts the state that it is given."""

    value = None

    def __init__(self, *_):
        """Whatever the file asks for: all of it comes again with the state."""

    def __setstate__(self, state):
        _, shape, kind, fortran, data = state
        if isinstance(data, str):  # bytes, before Python 3
            data = data.encode("latin1")
        self.value = np.frombuffer(data, kind.value).reshape(
            shape, order="F" if fortran else "C")


def _encode(text, encoding):
    """Stands in for ``_codecs.encode``, by which Python 3 writes bytes for 2."""
    if encoding != "latin1":
        raise _Refused(f"holds text in '{encoding}' instead of bytes in 'latin1'")
    return text.encode(encoding)


# Python 2 writes arrays by the first three names.
_STAND_INS = {("numpy.core.multiarray", "_reconstruct"): _Array,
              ("numpy", "ndarray"): _Array,
              ("numpy", "dtype"): _DataType,
              ("_codecs", "encode"): _encode}


class _Unpickler(pickle.Unpickler):
    """Knows lists, tuples, plain values and arrays of floats."""

    def find_class(self, module, name):
        if (module, name) not in _STAND_INS:
            raise _Refused(f"asks for '{module}.{name}', which arrays do not need "
                           "and which may run code; nothing was loaded")
        return _STAND_INS[module, name]


def _arrays(values):
    """Arrays of an unpickled list."""
    if not isinstance(values, (list, tuple)):
        raise _Refused(f"holds an object of type {type(values).__name__} instead of "
                       "a list of arrays")
    for index, value in enumerate(values):
        if not isinstance(value, _Array) or value.value is None:
            raise _Refused(f"item {index} of the list is not an array of floats")
    return [value.value for value in values]


def read(path, blob=BLOB):
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
            return _arrays(_Unpickler(stream, encoding="latin1").load())
    except _Refused as error:
        raise UserError(f"{path}: {error}") from None
    except Exception as error:  # damaged bytes raise nearly anything
        raise UserError(f"{path}: truncated or not a pickle of arrays ({error}); "
                        f"{_REMEDY}") from None


def _fitting(path, values, parameters):
    """The values in the parameters' types, or an error for the first misfit."""
    if len(values) != len(parameters):
        raise UserError(f"{path}: holds {len(values)} arrays, and the network has "
                        f"{len(parameters)} parameters")
    fitting = []
    for index, (value, parameter) in enumerate(zip(values, parameters)):
        place = f"{path}: array {index}, for parameter {parameter.name},"
        shape = parameter.get_value(borrow=True).shape
        if value.shape != shape:
            raise UserError(f"{place} has shape {value.shape} instead of {shape}")
        with np.errstate(over="ignore"):  # found below
            value = value.astype(parameter.dtype, order="C")
        if not np.isfinite(value).all():
            raise UserError(f"{place} holds values that are not finite")
        fitting.append(value)
    return fitting


def _fill(path, values, network):
    """Set every parameter, or none."""
    parameters = lasagne.layers.get_all_params(network)
    for parameter, value in zip(parameters, _fitting(path, values, parameters)):
        parameter.set_value(value)


def load(path, network, blob=BLOB):
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


def convert(path, output, network=None, blob=BLOB):
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
    weights.save(output, network, {"network": "defauw", "source": SOURCE,
                                   "git_blob": blob})
    return network
