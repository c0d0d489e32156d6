"""Files of others: from a mirror folder, or downloaded, always with a checksum."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cnnviz.runtime import files
from cnnviz.runtime.errors import MissingFileError, StorageError, UserError

__all__ = ["MIRROR_VARIABLE", "Unavailable", "address", "download", "in_mirror", "mirror"]

MIRROR_VARIABLE = "CNNVIZ_MIRROR"
_CHECKSUMS = "SHA256SUMS"
_TIMEOUT = 10  # seconds without an answer


class Unavailable(StorageError):
    """A file that can be had neither from the mirror nor from its address."""


def mirror(configured: Path | str | None = None) -> Path | None:
    """Folder that holds copies of the external files, if there is one.

    Parameters
    ----------
    configured : path, optional
        Goes before the environment variable ``CNNVIZ_MIRROR``.

    Returns
    -------
    Path or None

    Raises
    ------
    FileNotFoundError
        When the folder does not exist: a mistyped path must not pass for none.
    """
    folder = configured or os.environ.get(MIRROR_VARIABLE)
    if not folder:
        return None
    if not Path(folder).is_dir():
        raise MissingFileError(
            f"{folder}: no such folder; the mirror is named by fundus.mirror in "
            f"the configuration, --mirror, or {MIRROR_VARIABLE}"
        )
    return Path(folder)


@functools.lru_cache
def _checksums(path) -> dict[str, str]:
    """SHA-256 of every file that a list of checksums names, by its path."""
    if not path.is_file():
        return {}
    lines = files.read_text(path).splitlines()
    return {
        name: digest for digest, name in (line.split(maxsplit=1) for line in lines if line.strip())
    }


def in_mirror(folder: Path, name: str) -> Any:
    """Path of a mirror's file, checked against the mirror's ``SHA256SUMS``.

    Parameters
    ----------
    folder : Path
        The mirror.
    name : str
        The file's path in it, with forward slashes.

    Raises
    ------
    Unavailable
        When the file is not there.
    ValueError
        When it is not the listed one.
    """
    path = folder / name
    if not path.is_file():
        raise Unavailable(
            f"{path}: not in the mirror; complete it, or unset "
            f"{MIRROR_VARIABLE} and fundus.mirror to download"
        )
    expected = _checksums(folder / _CHECKSUMS).get(name)
    if expected is not None and files.sha256(path) != expected:
        raise UserError(
            f"{path}: truncated or changed, its SHA-256 is not that "
            f"in {_CHECKSUMS}; copy the file to the mirror again"
        )
    return path


def address(repository: str, commit: str, path: str) -> str:
    """Address of one file of a public GitHub repository at one commit."""
    return f"https://raw.githubusercontent.com/{repository}/{commit}/{quote(path)}"


def download(
    url: str, path: Path, sha256: str | None = None, retries: int = 0, timeout: float = _TIMEOUT
) -> Path:
    """Download a file unless it is there already.

    A finished file stays and is checked again; an unfinished one leaves
    nothing, so an interrupted series goes on where it stopped.

    Parameters
    ----------
    url : str
    path : Path
        Where the file goes.
    sha256 : str, optional
        Not checked when left out.
    retries : int
        How often to try again, after pauses of a second and more.
    timeout : float
        Seconds without an answer after which a try is given up.

    Returns
    -------
    Path

    Raises
    ------
    Unavailable
        Naming file, address and remedy.
    """
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")
    manager = pooch.create(
        path=path.parent,
        base_url="",
        urls={path.name: url},
        registry={path.name: sha256 and f"sha256:{sha256}"},
        retry_if_failed=retries,
    )
    try:
        manager.fetch(path.name, downloader=pooch.HTTPDownloader(timeout=timeout))
    except (requests.RequestException, ValueError) as error:
        # ValueError: what came has another checksum.
        raise Unavailable(
            f"{path}: could not be downloaded from {url} ({_reason(error)}); try "
            "again later, or name a folder with copies: fundus.mirror in the "
            f"configuration, --mirror, or {MIRROR_VARIABLE}"
        ) from None
    return path


def _reason(error) -> str:
    """An error's first cause, in one line."""
    while error.args and isinstance(error.args[0], Exception):
        error = getattr(error.args[0], "reason", None) or error.args[0]
    return " ".join(str(error).split())
