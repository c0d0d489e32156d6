"""Theano, prepared: the one module that knows how Theano 1.0.5 is brought up.

Everything else in the package imports ``theano`` and ``lasagne`` from here,
and compiles through :func:`function`, so that flags, mends and the choice of
the engine stand in one place.  (``cnnviz.engine`` alone imports Theano
itself, so that it serves Theano code outside this package as well.)

Mends, each with its reason:

* ``blas.ldflags`` is set before the import, because NumPy >= 1.22 no longer
  offers what Theano asks for its default; empty means NumPy's own BLAS.
* Lasagne 0.1 imports ``theano.tensor.signal.downsample``, which Theano
  dropped after 0.8; a module of that name forwards to ``pool``.
* Lasagne's convolution layers get :func:`convolution`, which takes any number of
  images and does not warn of the argument that Theano renamed after 0.8.
* ``lasagne.layers.dnn`` and its like, which need Theano's former GPU back end, give
  Lasagne's plain layers (:mod:`cnnviz.runtime.gpu_layers`).
* Theano refuses arrays at odd addresses, such as fields of records; they are copied.
* Names that newer versions of NumPy and Python dropped are put back, where
  they are absent (:mod:`cnnviz.runtime.compat`).
* Compiled C code is kept under the user's cache folder, one folder a
  Python version, never in ``~/.theano``, where other projects' flags live.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import logging
import os
import shutil
import sys
import sysconfig
import types
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.runtime import compat
from cnnviz.runtime.errors import UserError

if TYPE_CHECKING:
    from theano.gof import Variable

    from cnnviz.engine.linker import TorchMode

__all__ = [
    "ENGINES",
    "T",
    "cache_folder",
    "describe",
    "function",
    "lasagne",
    "select",
    "selected",
    "theano",
]

ENGINES = ("auto", "theano", "torch")


class CompilerMissing(UserError, RuntimeError):
    """Nothing to compile Theano's C code with; in Python it crawls."""


class TheanoFirst(UserError, ImportError):
    """Theano was imported, or failed to be, before this module could prepare it."""

    __str__ = ValueError.__str__


def cache_folder() -> Any:
    """Folder for compiled code: ``CNNVIZ_CACHE``, else the user's cache."""
    if "CNNVIZ_CACHE" in os.environ:
        return Path(os.environ["CNNVIZ_CACHE"]).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "cnnviz"


def _compiler():
    """Path of the C++ compiler; an error where there is none."""
    name = os.environ.get("CXX", "g++")
    if name == "":
        return ""
    path = shutil.which(name)
    if path is None:
        raise CompilerMissing(
            f"no C++ compiler: '{name}' was not found on PATH; install g++ "
            "(Debian: apt-get install g++; conda: conda install gxx), or set "
            "CXX to yours. CXX= (empty) runs without one, very slowly."
        )
    header = Path(sysconfig.get_paths()["include"], "Python.h")
    if not header.is_file():
        raise CompilerMissing(
            f"{header} is missing, and Theano's C code needs it; install your "
            "Python's headers (Debian: apt-get install python3-dev)"
        )
    return path


def _flags():
    version = "py{}.{}".format(*sys.version_info)
    folder = str(cache_folder() / "theano" / version)
    if "," in folder or " " in folder:
        raise UserError(
            f"{folder}: Theano's compile cache cannot have commas or "
            "spaces in its path; set CNNVIZ_CACHE to another folder"
        )
    return {
        "floatX": "float32",
        "device": "cpu",
        "mode": "FAST_RUN",
        "openmp": "False",  # jobs run side by side instead
        "cxx": _compiler() if compat.compiles() else "",
        "gcc.cxxflags": "-g0",  # the same code, compiled in four fifths of the time
        "blas.ldflags": "",
        "base_compiledir": folder,
    }


def _downsample_module():
    """``theano.tensor.signal.downsample`` as Lasagne 0.1 expects it."""
    from theano.tensor.signal.pool import pool_2d

    module: Any = types.ModuleType("theano.tensor.signal.downsample")

    def max_pool_2d(input, ds, ignore_border=None, st=None, padding=(0, 0), mode="max"):
        return pool_2d(input, ws=ds, ignore_border=ignore_border, stride=st, pad=padding, mode=mode)

    module.max_pool_2d = max_pool_2d
    return module


def convolution(
    input: Variable,
    filters: Variable,
    input_shape: Any = None,
    *arguments: Any,
    image_shape: tuple[None, int, int | None, int | None] | None = None,
    **options: Any,
) -> Variable:
    """``theano.tensor.nnet.conv2d`` as Lasagne calls it.

    Lasagne 0.1 calls the third argument ``image_shape``, as Theano once did; 0.2.dev1
    gives it, and the filters' shape after it, by position.  The number of images that
    a network was built for is left out of the shape, so that it takes any; else
    shapes of the maps above would be inferred from it.

    Parameters
    ----------
    input, filters, *arguments, **options
        As for ``theano.tensor.nnet.conv2d``.
    input_shape, image_shape : (batch, channels, rows, columns), optional
        Either name; None stands for any number.

    Returns
    -------
    Theano variable
    """
    shape = image_shape if input_shape is None else input_shape
    if shape is not None:
        shape = (None, *shape[1:])
    return theano.tensor.nnet.conv2d(input, filters, shape, *arguments, **options)


@contextlib.contextmanager
def _lasagnes_convolution(nnet) -> Iterator[None]:
    """While Lasagne is imported: what its layers take for Theano's convolution."""
    original, nnet.conv2d = nnet.conv2d, convolution
    try:
        yield
    finally:
        nnet.conv2d = original


def _aligning(filtering):
    """``TensorType.filter``, given a copy of an array that lies at odd addresses."""

    @functools.wraps(filtering)
    def aligned(self, data, *arguments, **options):
        if isinstance(data, np.ndarray) and not data.flags.aligned:
            data = data.copy()
        return filtering(self, data, *arguments, **options)

    return aligned


def _check_first() -> None:
    """Raise TheanoFirst if there is anything of Theano in this process."""
    if "theano" in sys.modules:
        raise TheanoFirst(
            "theano was imported before cnnviz.runtime.backend, whose flags and mends only take "
            "effect before Theano's first import; restart Python and import it from "
            "there, before all else: 'from cnnviz.runtime.backend import theano, lasagne'"
        )
    if any(name.startswith("theano.") for name in sys.modules):
        # Python forgets a module that failed, and keeps what it had imported.
        raise TheanoFirst(
            "an earlier import of theano failed in this process and left parts of it "
            "behind, so it cannot be imported again; restart Python and, unless it was "
            "cnnviz.runtime.backend that failed, import that before all else: 'from "
            "cnnviz.runtime.backend import theano, lasagne' mends what Theano 1.0.5 needs in "
            "today's NumPy"
        )


@contextlib.contextmanager
def _environment(flags) -> Iterator[None]:
    """The flags in Theano's environment variables, for the time of its import."""
    given = {name: os.environ.get(name) for name in ("THEANO_FLAGS", "THEANORC")}
    # The user's own flags come last and win; a forgotten ~/.theanorc must not.
    os.environ["THEANO_FLAGS"] = ",".join(filter(None, [flags, given["THEANO_FLAGS"]]))
    os.environ["THEANORC"] = given["THEANORC"] or os.devnull
    try:
        yield
    finally:
        for name, value in given.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _prepare():
    _check_first()
    flags = ",".join(f"{key}={value}" for key, value in _flags().items())
    compat.restore_removed_names()
    # Chosen above (NumPy's BLAS), and normal (jobs compile side by side).
    for name in ("theano.tensor.blas", "theano.gof.compilelock"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings(), _environment(flags):
        warnings.simplefilter("ignore")
        import theano
        import theano.tensor.signal

        module = _downsample_module()
        sys.modules[module.__name__] = module
        theano.tensor.signal.downsample = module
        theano.tensor.TensorType.filter = _aligning(theano.tensor.TensorType.filter)
        with _lasagnes_convolution(theano.tensor.nnet):
            import lasagne
    return theano, lasagne


theano, lasagne = _prepare()
T = theano.tensor


_selection = {"engine": "auto", "device": "auto"}


def select(engine: str = "auto", device: str = "auto") -> None:
    """Choose what runs the functions that are compiled from now on.

    Parameters
    ----------
    engine : str
        ``"theano"`` (its C code), ``"torch"`` (:mod:`cnnviz.engine`) or
        ``"auto"``: the environment variable ``CNNVIZ_ENGINE``, else torch
        where it is installed.
    device : str
        ``"cpu"``, ``"cuda"``, ``"cuda:n"`` or ``"auto"``: the environment
        variable ``CNNVIZ_DEVICE``, else CUDA where there is a GPU.

    Raises
    ------
    ValueError
        For an engine or a device that is unknown or not there.
    """
    _resolve(engine, device)
    _selection.update(engine=engine, device=device)


def selected() -> tuple[str, str]:
    """Engine and device in use, ``("torch", "cpu")`` for example."""
    return _resolve(**_selection)


def _resolve(engine: str, device: str) -> tuple[str, str]:
    if engine == "auto":
        engine = os.environ.get("CNNVIZ_ENGINE") or "auto"
    if device == "auto":
        device = os.environ.get("CNNVIZ_DEVICE") or "auto"
    if engine not in ENGINES:
        raise UserError(f"unknown engine '{engine}'; choose one of " + ", ".join(ENGINES))
    installed = importlib.util.find_spec("torch") is not None
    if engine == "torch" and not installed:
        raise UserError(
            "engine 'torch' needs PyTorch, which is not installed; "
            "install it (pip install -r "
            "requirements-torch.txt) or choose engine 'theano'"
        )
    if engine == "torch" or engine == "auto" and installed:
        from cnnviz import engine as torch_engine

        try:
            return "torch", str(torch_engine.find_device(device))
        except ValueError as error:  # the engine knows nothing of this package
            raise UserError(str(error)) from None
    if device not in ("auto", "cpu"):
        raise UserError(
            f"Theano's C code runs on the CPU only, not on '{device}'; "
            "choose device 'cpu' or engine 'torch'"
        )
    return "theano", "cpu"


@functools.lru_cache
def _mode(engine: str, device: str) -> TorchMode | None:
    """Compilation mode of an engine, None for Theano's own."""
    if engine == "theano":
        return None
    from cnnviz import engine as torch_engine

    return torch_engine.mode(device)


def function(
    inputs: Sequence[Variable],
    outputs: Sequence[Variable] | Variable | None = None,
    updates: Any = None,
    givens: Any = None,
    mode: Any = None,
    **options: Any,
) -> Any:
    """Compile a Theano function for the selected engine and device.

    Parameters are those of ``theano.function``; a ``mode`` overrides the
    selection.

    Raises
    ------
    NotSupported
        For what the torch engine cannot run.
    """
    with _quiet(), _supported():
        return theano.function(
            inputs,
            outputs,
            updates=updates,
            givens=givens,
            mode=mode or _mode(*selected()),
            **options,
        )


class NotSupported(UserError, NotImplementedError):
    """The torch engine cannot run a network; Theano's C code may."""


@contextlib.contextmanager
def _supported() -> Iterator[None]:
    """What the torch engine lacks, such as loops over time, as an error for users."""
    try:
        yield
    except NotImplementedError as error:
        # The engine is imported only where it runs.
        if type(error).__module__ != "cnnviz.engine.registry":
            raise
        text = str(error).partition("Add one")[0].strip()
        raise NotSupported(
            f"{text} Choose the engine 'theano' (CNNVIZ_ENGINE=theano, or --engine theano)"
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the warnings that Lasagne 0.1's old calls cause in 1.0.5."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        yield


def describe() -> str:
    """One line for the log: engine, device, versions."""
    engine, device = selected()
    if engine == "torch":
        import torch

        where = (
            f"{torch.get_num_threads()} thread(s)"
            if device == "cpu"
            else torch.cuda.get_device_name(device)
        )
        what = f"engine torch: PyTorch {torch.__version__} on {device} ({where})"
    else:
        what = (
            "engine theano: C code by " + theano.config.cxx
            if theano.config.cxx
            else "engine theano: Python code, slow"
        ) + ", on cpu"
    return (
        f"{what}; Theano {theano.__version__}, Lasagne {lasagne.__version__}, "
        f"{theano.config.floatX}"
    )


# Last, since it takes what it needs from here.
importlib.import_module("cnnviz.runtime.gpu_layers")
