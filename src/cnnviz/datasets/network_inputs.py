"""Arrays as a network takes them, in place of pictures: any number of channels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cnnviz.runtime import files
from cnnviz.runtime.errors import UserError

__all__ = ["SUFFIXES", "is_array", "read"]

SUFFIXES = (".npy", ".npz")
_ADVICE = "save one image with numpy.save(FILE, array), (channels, rows, columns)"


def is_array(path: Any) -> bool:
    """Whether a file holds an array rather than a picture, by its name."""
    return Path(path).suffix.lower() in SUFFIXES


def read(path: Path | str, shape: tuple[int, int, int]) -> np.ndarray:
    """One image as the input of a network.

    Parameters
    ----------
    path : path
        ``.npy`` file, or ``.npz`` file with one array or one named "image", as
        ``cnnviz visualize --raw-output`` writes it.
    shape : (channels, rows, columns)
        Of the input; None for any number.

    Returns
    -------
    float array, ``(1, channels, rows, columns)``
        From ``(channels, rows, columns)``, with a leading 1 or, for one channel,
        ``(rows, columns)``.

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing or damaged file, or an array of another shape, of anything but
        numbers, or with values that are not finite.
    """
    if Path(path).suffix.lower() == ".npz":
        array = _only(path, files.load_arrays(path, "numpy.savez(FILE, image=array)", _ADVICE))
    else:
        array = files.load_array(path, remedy="numpy.save(FILE, array)", again=_ADVICE)
    if array.dtype.kind not in "biuf":
        raise UserError(f"{path}: holds values of type {array.dtype}, not numbers; {_ADVICE}")
    image = _one(array, shape)
    if image is None:
        raise UserError(
            f"{path}: has shape {array.shape}; the network takes "
            f"{_words(shape)}{_hint(array, shape)}"
        )
    if not np.isfinite(image).all():
        raise UserError(f"{path}: holds values that are not finite")
    return image[np.newaxis].astype(np.float64)


def _only(path: Any, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    if "image" in arrays:
        return arrays["image"]
    if len(arrays) != 1:
        raise UserError(
            f"{path}: holds {len(arrays)} arrays "
            f"({', '.join(arrays) or 'none'}); name one of them 'image'"
        )
    return next(iter(arrays.values()))


def _one(array: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray | None:
    """The image without further axes, or None where it does not fit."""
    if array.ndim == 4 and len(array) == 1:
        array = array[0]
    if array.ndim == 2 and shape[0] == 1:
        array = array[np.newaxis]
    fits = (
        array.ndim == 3
        and all(array.shape)
        and all(want in (None, have) for want, have in zip(shape, array.shape))
    )
    return array if fits else None


def _words(shape: tuple[int, int, int]) -> str:
    return "({}, {}, {})".format(*("any" if size is None else size for size in shape))


def _hint(array: np.ndarray, shape: tuple[int, int, int]) -> str:
    if array.ndim == 4 and len(array) > 1:
        return "; give one image at a time"
    if array.ndim == 3 and _one(np.moveaxis(array, -1, 0), shape) is not None:
        return "; channels come first: numpy.moveaxis(array, -1, 0)"
    return ""
