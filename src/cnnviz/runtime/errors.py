"""Errors that a user can put right, told apart from faults of the package.

The command line shows a :class:`UserError` as one line; every other exception is
taken for a fault and keeps its traceback.
"""

from __future__ import annotations

import errno
from typing import Any

__all__ = ["MissingFileError", "StorageError", "UserError", "of_machine"]


class UserError(ValueError):
    """Something that the user can put right; the message says what and how."""


class MissingFileError(UserError, FileNotFoundError):
    """A file or folder that is not there."""

    # OSError's own text would be made of an error number.
    __str__ = ValueError.__str__


class StorageError(UserError, OSError):
    """The disk is full, or the system refuses to read or write there."""

    __str__ = ValueError.__str__


#: What is wrong with a machine rather than with a program, and what to do.
_REMEDIES = {
    errno.ENOSPC: "free some space on the disk",
    errno.EDQUOT: "free some of your disk quota",
    errno.EFBIG: "use a file system that allows larger files",
    errno.EROFS: "choose a place that can be written to",
    errno.EACCES: "change its permissions, or choose another place",
    errno.EPERM: "change its permissions, or choose another place",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EISDIR: "name a file instead",
    errno.ENOTDIR: "a part of this path is a file; choose another place",
    errno.ELOOP: "links lead to each other; name a file",
    errno.EIO: "check the disk",
}


def of_machine(error: Any) -> str | None:
    """One line for an operating system's refusal, or None for any other error.

    Parameters
    ----------
    error : OSError

    Returns
    -------
    str or None
        None too for a missing file: which one is missing is for the code that
        needs it to say (:class:`MissingFileError`).
    """
    remedy = _REMEDIES.get(error.errno)
    if remedy is None:
        return None
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    return ": ".join([*names[-1:], error.strerror or str(error)]) + f"; {remedy}"
