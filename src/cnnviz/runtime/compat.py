"""Names that Theano 1.0.5 and Lasagne 0.1 expect and newer versions dropped.

Both need NumPy below 1.24 and Python below 3.12 only for a handful of names.
Where they are absent, as on machines that come with a newer Python, exactly
these are put back; where they are present nothing is touched.  Without the
modules that built C extensions, only Theano's Python code can run there,
and the torch engine.
"""

from __future__ import annotations

import importlib.util
import sys
import types
import warnings
from collections.abc import Callable
from importlib import metadata
from typing import Any

import numpy as np

__all__ = ["compiles", "restore_removed_names"]


class _Cast(dict):
    """``np.cast``: from a dtype to the function that casts to it."""

    def __missing__(self, dtype: str) -> Callable[..., Any]:
        return lambda value: np.asarray(value, dtype=dtype)


def _numpy_names() -> dict[str, type]:
    exceptions = getattr(np, "exceptions", np)
    return {
        "bool": bool,
        "int": int,
        "float": float,
        "complex": complex,
        "object": object,
        "str": str,
        "cast": _Cast(),
        "product": np.prod,
        "in1d": getattr(np, "isin", None),
        "find_common_type": lambda arrays, scalars: np.result_type(*arrays, *scalars),
        "sctype2char": lambda kind: np.dtype(kind).char,
        "sctypeDict": {np.dtype(name).name: np.dtype(name).type for name in "?bhilqBHILQefdFD"},
        "ComplexWarning": exceptions.ComplexWarning,
    }


def _has(name: str) -> bool:
    """Whether NumPy gives a name, if only with a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return hasattr(np, name)


def _is_there(module: str) -> bool:
    if module in sys.modules:
        return True
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _module(name, **contents: Any):
    """A new module under its name, also as attribute of its parent."""
    module = types.ModuleType(name)
    module.__dict__.update(contents)
    sys.modules[name] = module
    parent, _, last = name.rpartition(".")
    if parent in sys.modules:
        setattr(sys.modules[parent], last, module)
    return module


def _restore_modules() -> None:
    """Modules that are imported, and used only when C code is compiled."""
    if not _is_there("numpy.distutils"):
        _module("numpy.distutils")
        _module("numpy.distutils.__config__")
        _module("numpy.distutils")
        _module("numpy.distutils.system_info")
    if not _is_there("distutils"):
        _module("distutils")
        _module("distutils.sysconfig")
        _module("distutils.spawn", find_executable=lambda name: None)
    if not _is_there("pkg_resources"):
        # Lasagne asks for its own version.
        _module("pkg_resources", get_distribution=metadata.distribution)


def compiles() -> Any:
    """Whether Theano's C code can be compiled against this NumPy."""
    return np.lib.NumpyVersion(np.__version__) < "2.0.0" and _is_there("numpy.distutils")


def restore_removed_names() -> list[str]:
    """Put back the names that are absent.

    Returns
    -------
    list of str
        The names of NumPy's that were.
    """
    names = _numpy_names()
    absent = [name for name in names if not _has(name)]
    for name in absent:
        setattr(np, name, names[name])
    _restore_modules()
    return absent
