"""Files that are either finished or absent, and errors that name the remedy."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cnnviz.runtime import errors
from cnnviz.runtime.errors import MissingFileError, StorageError, UserError

__all__ = [
    "POINTER",
    "atomic",
    "is_pointer",
    "load_array",
    "load_arrays",
    "read_text",
    "reading",
    "refusals",
    "refuse_pointer",
    "require_space",
    "require_writable",
    "save_array",
    "save_arrays",
    "sha256",
    "write_text",
]

_UNFINISHED = ".unfinished-"
#: What to say of a Git LFS pointer.
POINTER = (
    "this is a Git LFS pointer, which only names the file; install Git LFS and run "
    "'git lfs pull' in its repository"
)
# First line of what Git keeps instead of a large file.
_POINTER = b"version https://git-lfs"


# --- Writing ------------------------------------------------------------------


@contextlib.contextmanager
def refusals(path: Any, temporary: str | None = None) -> Iterator[None]:
    """The system's refusals to read or write, as a StorageError that names ``path``.

    Errors of other files, which name these, pass as they are; a temporary name, which
    no user knows, becomes ``path``.
    """
    try:
        yield
    except UserError as error:
        if temporary is None or temporary not in str(error):
            raise
        raise type(error)(str(error).replace(temporary, str(path))) from error
    except OSError as error:
        text = _refusal(error, path, temporary)
        if text is None:
            raise
        raise StorageError(text) from error


def _refusal(error, path, temporary: str | None) -> str | None:
    """One line for an OSError about a path, or None for any other."""
    if re.search(r"\d+ requested and \d+ written", str(error)):
        # NumPy counts what it could not write, without an error number.
        error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    known = {os.path.abspath(name) for name in (path, *Path(path).parents)}
    if error.filename not in (None, temporary) and (
        os.path.abspath(os.fsdecode(error.filename)) not in known
    ):
        return None
    return errors.of_machine(OSError(error.errno, error.strerror, str(path)))


@contextlib.contextmanager
def atomic(path: Any) -> Iterator[Any]:
    """Write to a temporary name beside ``path``; rename on success.

    Yields the temporary path, which keeps the suffix of ``path``.  When the
    body fails, the temporary file goes and an earlier ``path`` stays.

    Raises
    ------
    StorageError
        Where the system refuses to write; it names ``path``.
    """
    path = Path(path)
    _require_regular(path)
    with refusals(path):
        _make_folder(path.parent)
        name = _temporary(path, path.parent)
    try:
        with refusals(path, name):
            yield Path(name)
            # mkstemp makes files private; finished ones follow the umask.
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(name, 0o666 & ~umask)
            os.replace(name, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def _make_folder(folder) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:  # a file
        raise _no_folder(folder) from None


def _no_folder(path):
    return NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))


def _temporary(path, folder, content: bytes = b"") -> str:
    """Name of a new file in a folder, to become ``path``."""
    try:
        handle, name = tempfile.mkstemp(prefix=_UNFINISHED, suffix=path.suffix, dir=folder)
    except OSError as error:
        if isinstance(error, FileNotFoundError):  # a folder of the system, of no files
            raise StorageError(
                f"{path}: no file can be written there; choose another place"
            ) from None
        error.filename = str(folder)  # the other is none that a user knows
        raise
    try:
        os.write(handle, content)
    except OSError:
        os.unlink(name)
        raise
    finally:
        os.close(handle)
    return name


def _require_regular(path) -> None:
    """Refuse to put a file in the place of a folder or a device."""
    with refusals(path):
        try:
            mode = os.stat(path).st_mode
        except FileNotFoundError:
            return
    if stat.S_ISDIR(mode):
        raise StorageError(f"{path}: is a folder; name a file in it")
    if not stat.S_ISREG(mode):
        raise StorageError(f"{path}: is a device and no place for a file; choose another")


def require_writable(path: Path, folder: bool = False) -> None:
    """Try whether something can be written, before hours of work; nothing stays behind.

    Parameters
    ----------
    path : path
        It, and folders above it, need not exist.
    folder : bool
        It will be a folder instead of a file.

    Raises
    ------
    StorageError
        Naming the path and what the system refuses.
    """
    path = Path(path)
    if not folder:
        _require_regular(path)
    with refusals(path):
        place = path if folder else path.parent
        try:
            os.lstat(path)  # a name too long, a file in the place of a folder
        except FileNotFoundError:
            pass
        while not os.path.lexists(place):
            place = place.parent
        if not place.is_dir():
            raise _no_folder(path)
        os.unlink(_temporary(path, place, b"room?"))


def require_space(folder: Any, needed: float) -> None:
    """Raise StorageError when the disk of ``folder`` has less than ``needed`` bytes."""
    folder = Path(folder)
    with refusals(folder):
        _make_folder(folder)
        free = shutil.disk_usage(folder).free
    if free < needed:
        raise StorageError(
            f"{folder}: {needed / 1e6:.0f} MB are needed and "
            f"{free / 1e6:.0f} MB are free; free some space, or move "
            "the project to a larger disk"
        )


# --- Reading ------------------------------------------------------------------


def is_pointer(path: Any) -> bool:
    """Whether a file is a Git LFS pointer, which only names a file.

    Git leaves them in the place of large files where its extension LFS is missing.
    """
    with open(path, "rb") as stream:
        return stream.read(len(_POINTER)) == _POINTER


def refuse_pointer(path: Any) -> None:
    """Raise a UserError for a Git LFS pointer."""
    if is_pointer(path):
        raise UserError(f"{path}: {POINTER}")


@contextlib.contextmanager
def reading(path: Any, remedy: str | None = None) -> Iterator[None]:
    """What can be wrong with a file before one knows its kind, in one line.

    Parameters
    ----------
    path : path
    remedy : str, optional
        Command that makes the file.

    Raises
    ------
    MissingFileError, StorageError, UserError
        For a missing file, a folder in its place, one that may not be read, a Git LFS
        pointer, or text that is not UTF-8.
    """
    if not os.path.exists(path):
        raise MissingFileError(
            f"{path}: no such file" + (f"; make it with '{remedy}'" if remedy else "")
        )
    with refusals(path):
        refuse_pointer(path)
        try:
            yield
        except UnicodeDecodeError as error:
            raise UserError(
                f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8 text"
            ) from None


def sha256(path: Any) -> str:
    """Hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _require_file(path, remedy: str) -> None:
    if not Path(path).is_file():
        raise MissingFileError(f"{path}: no such file; make it with '{remedy}'")


def load_array(
    path: Path | str,
    shape: Sequence[int] | None = None,
    dtype: type | None = None,
    remedy: str = "snakemake",
    again: str | None = None,
) -> np.ndarray:
    """Load one ``.npy`` array and check it.

    Parameters
    ----------
    path : path
    shape : sequence of int, optional
    dtype : dtype, optional
    remedy : str
        Command that makes the file.
    again : str, optional
        What to do with a file that is not right; by default to delete it and to run
        the command again.

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing, truncated or foreign file, or an array of another shape
        or type, or with values that are not finite.
    """
    _require_file(path, remedy)
    again = again or f"delete it and run '{remedy}' again"
    with reading(path), _damaged(path, again):
        with open(path, "rb") as stream:
            array = np.load(stream, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise UserError(f"{path}: holds several arrays instead of one; {again}")
    if shape is not None and array.shape != tuple(shape):
        raise UserError(f"{path}: shape {array.shape} instead of {tuple(shape)}; {again}")
    if dtype is not None and array.dtype != dtype:
        raise UserError(f"{path}: {array.dtype} instead of {np.dtype(dtype)}; {again}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise UserError(f"{path}: holds values that are not finite; {again}")
    return array


def load_arrays(path: Any, remedy: str = "snakemake", again: Any = None) -> dict[str, np.ndarray]:
    """Load a ``.npz`` of named arrays as a dictionary.

    Parameters
    ----------
    path, remedy, again
        As for :func:`load_array`.

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing, truncated or foreign file, or arrays of Python objects.
    """
    _require_file(path, remedy)
    again = again or f"delete it and run '{remedy}' again"
    arrays = {}
    with reading(path), _damaged(path, again), np.load(path, allow_pickle=False) as archive:
        for name in archive.files:
            with _damaged(f"{path}: {name}", again):
                arrays[name] = archive[name]
    return arrays


@contextlib.contextmanager
def _damaged(what, again: str) -> Iterator[None]:
    """Whatever NumPy says of an array file, in one line."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # damaged bytes raise nearly anything
        if isinstance(error, OSError) and errors.of_machine(error):
            raise
        if "Object arrays" in str(error):
            raise UserError(
                f"{what}: an array of Python objects (allow_pickle), as a list of arrays "
                "of several shapes becomes; loading it could run code. Save numbers only, "
                f"each array by itself; {again}"
            ) from None
        raise UserError(f"{what}: truncated or not an array file ({error}); {again}") from None


def read_text(path: Any, remedy: Any = None, encoding: str = "utf-8") -> str:
    """Text of a file; errors as of :func:`reading`."""
    with reading(path, remedy):
        return Path(path).read_text(encoding=encoding)


# --- Arrays and text ------------------------------------------------------------


def save_array(path: Any, array: np.ndarray) -> None:
    """Save one array as ``.npy``, after making sure that the disk has room."""
    # As a stream: by name, NumPy adds a suffix where it misses its own.
    with atomic(path) as temporary, open(temporary, "wb") as stream:
        require_space(temporary.parent, array.nbytes + (1 << 20))
        np.save(stream, array)


def save_arrays(path: Any, compressed: Any = False, **arrays: Any) -> None:
    """Save named arrays as ``.npz``; equal arrays give equal bytes."""
    needed = sum(np.asarray(array).nbytes for array in arrays.values()) + (1 << 20)
    save = np.savez_compressed if compressed else np.savez
    with atomic(path) as temporary, open(temporary, "wb") as stream:
        require_space(temporary.parent, needed)
        save(stream, **arrays)


def write_text(path: Any, text: str) -> None:
    """Write UTF-8 text in one go."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
