"""Files that are either finished or absent, and errors that name the remedy."""
import contextlib
import csv
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from cnnviz.errors import MissingFileError, StorageError, UserError

__all__ = ["atomic", "require_space", "POINTER", "is_pointer", "refuse_pointer", "sha256",
           "load_array", "load_arrays",
           "save_array", "save_arrays", "write_text", "write_rows"]

#: What to say of a Git LFS pointer.
POINTER = ("this is a Git LFS pointer, which only names the file; install Git LFS and run "
           "'git lfs pull' in its repository")
# First line of what Git keeps instead of a large file.
_POINTER = b"version https://git-lfs"


@contextlib.contextmanager
def atomic(path):
    """Write to a temporary name beside ``path``; rename on success.

    Yields the temporary path, which keeps the suffix of ``path``.  When the
    body fails, the temporary file goes and an earlier ``path`` stays.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".unfinished-", suffix=path.suffix,
                                    dir=path.parent)
    os.close(handle)
    try:
        yield Path(name)
        # mkstemp makes files private; finished ones follow the umask.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def require_space(folder, needed):
    """Raise StorageError when the disk of ``folder`` has less than ``needed`` bytes."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StorageError(f"{folder}: {needed / 1e6:.0f} MB are needed and "
                           f"{free / 1e6:.0f} MB are free; free some space, or move "
                           "the project to a larger disk")


def is_pointer(path):
    """Whether a file is a Git LFS pointer, which only names a file.

    Git leaves them in the place of large files where its extension LFS is missing.
    """
    with open(path, "rb") as stream:
        return stream.read(len(_POINTER)) == _POINTER


def refuse_pointer(path):
    """Raise a UserError for a Git LFS pointer."""
    if is_pointer(path):
        raise UserError(f"{path}: {POINTER}")


def sha256(path):
    """Hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _require_file(path, remedy):
    if not Path(path).is_file():
        raise MissingFileError(f"{path}: no such file; make it with '{remedy}'")


def load_array(path, shape=None, dtype=None, remedy="snakemake"):
    """Load one ``.npy`` array and check it.

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing, truncated or foreign file, or an array of another shape
        or type, or with values that are not finite.
    """
    _require_file(path, remedy)
    again = f"delete it and run '{remedy}' again"
    try:
        with open(path, "rb") as stream:
            array = np.load(stream, allow_pickle=False)
    except Exception as error:  # damaged bytes raise nearly anything
        raise UserError(f"{path}: truncated or not an array file "
                        f"({error}); {again}") from None
    if not isinstance(array, np.ndarray):
        raise UserError(f"{path}: holds several arrays instead of one; {again}")
    if shape is not None and array.shape != tuple(shape):
        raise UserError(f"{path}: shape {array.shape} instead of "
                        f"{tuple(shape)}; {again}")
    if dtype is not None and array.dtype != dtype:
        raise UserError(f"{path}: {array.dtype} instead of "
                        f"{np.dtype(dtype)}; {again}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise UserError(f"{path}: holds values that are not finite; {again}")
    return array


def load_arrays(path, remedy="snakemake"):
    """Load a ``.npz`` of named arrays as a dictionary.

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing, truncated or foreign file.
    """
    _require_file(path, remedy)
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # damaged bytes raise nearly anything
        raise UserError(f"{path}: truncated or not an array file ({error}); "
                        f"delete it and run '{remedy}' again") from None


def save_array(path, array):
    """Save one array as ``.npy``, after making sure that the disk has room."""
    require_space(Path(path).parent, array.nbytes + (1 << 20))
    with atomic(path) as temporary:
        np.save(temporary, array)


def save_arrays(path, compressed=False, **arrays):
    """Save named arrays as ``.npz``; equal arrays give equal bytes."""
    require_space(Path(path).parent,
                  sum(np.asarray(array).nbytes for array in arrays.values()) + (1 << 20))
    save = np.savez_compressed if compressed else np.savez
    with atomic(path) as temporary:
        save(temporary, **arrays)


def write_text(path, text):
    """Write UTF-8 text in one go."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_rows(path, columns, rows):
    """Write dictionaries as comma-separated values under a header."""
    with atomic(path) as temporary:
        with open(temporary, "w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
