"""Running a user's file that builds a network."""

from __future__ import annotations

import contextlib
import inspect
import io
import runpy
import site
import sys
import sysconfig
import tokenize
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import cnnviz
from cnnviz.runtime import files
from cnnviz.runtime.backend import lasagne
from cnnviz.runtime.errors import MissingFileError, UserError

if TYPE_CHECKING:
    from lasagne.layers import Layer

__all__ = ["blaming", "build"]


def build(path: Path) -> Layer:
    """Run a Python file and its ``build()``.

    Parameters
    ----------
    path : pathlib.Path

    Returns
    -------
    lasagne.layers.Layer

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing file, or one that fails: named with the line.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file")
    # Random parameters, too, are the same in every run.
    lasagne.random.set_rng(np.random.RandomState(0))
    with files.reading(path):
        _check_text(path)
        network = _run(path)
    if not isinstance(network, lasagne.layers.Layer):
        raise UserError(
            f"{path}: build() returns {type(network).__name__}, not a Lasagne "
            f"layer{_advice(network)}"
        )
    return network


def _advice(value: int) -> str:
    """What to return instead, where ``build()`` returns several layers."""
    several = value.values() if isinstance(value, dict) else value
    if isinstance(value, (dict, list, tuple)) and any(
        isinstance(each, lasagne.layers.Layer) for each in several
    ):
        return "; return the last one of its layers, the output"
    return ""


def _check_text(path) -> None:
    """Refuse bytes that are no text; Python itself passes them over in comments."""
    content = path.read_bytes()
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        content.decode(encoding)
    except (SyntaxError, UnicodeDecodeError) as error:
        if isinstance(error, SyntaxError):  # in the lines that may name the encoding
            encoding, start = "utf-8", _first_odd(content)
        else:
            start = error.start
        line = content.count(b"\n", 0, start) + 1
        raise UserError(
            f"{path}, line {line}: is not {encoding.upper()}; save the file as UTF-8 text"
        ) from None


def _first_odd(content):
    """Place of the first byte that is not UTF-8; 0 if all are."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return 0


def _run(path) -> Layer:
    """What ``build()`` of a file returns."""
    # As in 'python FILE.py', neighbors can be imported, and no arguments are left.
    folder, words = str(path.resolve().parent), sys.argv
    sys.path.insert(0, folder)
    sys.argv = [str(path)]
    try:
        # What it sets for itself is not meant for us.
        with warnings.catch_warnings(), np.errstate():
            with blaming(path, always=True):
                names = runpy.run_path(str(path))
            _check_build(path, names.get("build"))
            with blaming(path, always=True):
                return names["build"]()
    finally:
        sys.argv = words
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)


def _check_build(path, function: Any) -> None:
    if not callable(function):
        raise UserError(f"{path}: has no function build() that returns the output layer")
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        code = getattr(function, "__code__", None)
        line = f", line {code.co_firstlineno}" if code else ""
        raise UserError(
            f"{path}{line}: build() is called without arguments, and {error}; give it a default"
        ) from None
    except ValueError:  # some built-in that does not say what it takes
        pass


@contextlib.contextmanager
def blaming(path: Path | str, always: bool = False) -> Iterator[None]:
    """Say where in the user's code an exception came from, as a UserError.

    Parameters
    ----------
    path : path
        The user's Python file.  Others below its folder, which it may import, are the
        user's too, but for installed packages.
    always : bool
        Blame the file also where no line of it took part; by default, such exceptions
        pass as they are.
    """
    try:
        yield
    except (Exception, SystemExit) as error:  # it is not our code
        place = _place(Path(path), error)
        if place is None and not always:
            raise
        text = str(error).partition("\n")[0]
        if not isinstance(error, UserError):
            text = f"{type(error).__name__}: {text}"
        raise UserError(f"{place or path}: {text}") from error


def _place(path, error) -> str | None:
    """Innermost line of the user's file, and of another one that it called; or None.

    Of the exception that an error was made of, where it has none itself.
    """
    while error is not None:
        place = _line(path, error)
        if place is not None:
            return place
        error = error.__cause__ or error.__context__
    return None


def _line(path, error) -> str | None:
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:  # it has not come to a frame
        frames.append((error.filename, error.lineno))
    own = [number for number, (name, _) in enumerate(frames) if _same(name, path)]
    others = [
        number
        for number, (name, _) in enumerate(frames)
        if not _same(name, path) and _is_users(name, path)
    ]
    if not own and not others:
        return None
    place = f"{path}, line {frames[own[-1]][1]}" if own else str(path)
    if others and (not own or others[-1] > own[-1]):
        name, line = frames[others[-1]]
        place += f" (at {Path(name).name}, line {line})"
    return place


def _same(name: str, path) -> bool:
    return Path(name).resolve() == path.resolve()


def _is_users(name: Any, path) -> bool:
    """Whether a source file is the user's, rather than an installed one."""
    name, folder = Path(name).resolve(), path.resolve().parent
    installed: list[Any] = [
        Path(cnnviz.__file__).parent,
        sysconfig.get_path("stdlib"),
        sysconfig.get_path("purelib"),
        sysconfig.get_path("platlib"),
        *site.getsitepackages(),
    ]
    return name.is_relative_to(folder) and not any(
        name.is_relative_to(Path(each).resolve()) for each in installed
    )
