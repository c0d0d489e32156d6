"""Pictures as networks take them: photographs, synthetic eyes, views of the die.

A picture is named as on the command line: a file, ``synthetic:17_left`` (left eye of
synthetic patient 17), ``synthetic:retina`` (a real one) or ``die:A,B`` (the die at these
angles in degrees).  It is given the shape of a network's input, and standardized.
Networks are named likewise: ``defauw``, those of the die, or a file of one's own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from skimage import color, transform, util

from cnnviz.datasets import die360, fundus, picture_files, synthetic
from cnnviz.runtime import paths
from cnnviz.runtime.errors import UserError

__all__ = ["fitted", "read_image", "read_picture", "standardization"]


def standardization(
    name: str, mean: Sequence[float] | None, std: Sequence[float] | None, channels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of a network's input.

    Parameters
    ----------
    name : str
        Of the network.
    mean, std : sequence of float, or None
        For a network of one's own: one number or one for each channel; 0 and 1 if
        None.  Those of other networks are known.
    channels : int

    Returns
    -------
    mean, std : array, ``(1,)`` or ``(channels,)``

    Raises
    ------
    ValueError
        For numbers given where they are known, a wrong number of them, or a standard
        deviation that is not positive.
    """
    if name.endswith(".py"):
        return _own_standardization(mean or [0.0], std or [1.0], channels)
    if mean or std:
        raise UserError(f"--mean and --std are for your own networks; those of '{name}' are known")
    if name == "defauw":
        return np.array([fundus.MEAN]), np.array([fundus.STD])
    facts = pd.read_csv(paths.recorded(paths.DIE360_FACTS)).set_index("id").value
    return np.array([facts["die360.mean"]]), np.array([facts["die360.standard_deviation"]])


def _own_standardization(
    mean: Sequence[float], std: Sequence[float], channels: int
) -> tuple[np.ndarray, np.ndarray]:
    for option, values in (("--mean", mean), ("--std", std)):
        if len(values) not in (1, channels):
            raise UserError(f"{option}: {len(values)} numbers for {channels} channels")
    if min(std) <= 0:
        raise UserError("--std: must be positive")
    return np.array(mean), np.array(std)


def read_image(
    text: Any,
    name: str,
    shape: tuple[int, int, int],
    mean: float | np.ndarray | Sequence[float],
    std: np.ndarray | Sequence[float],
) -> np.ndarray:
    """The input that a network gets of an image.

    Parameters
    ----------
    text : str
        File, ``synthetic:NAME`` or ``die:A,B``.
    name : str
        Of the network.
    shape : (channels, rows, columns)
    mean, std : arrays

    Returns
    -------
    float32 array, ``(1, channels, rows, columns)``

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing file, or an image of another kind.
    """
    kind, _, what = text.partition(":")
    _check_kind(kind, text, name)
    if name == "defauw":
        return (_synthetic_eye(what) if kind == "synthetic" else _photograph(text))[np.newaxis]
    if kind == "synthetic":
        picture = fundus.destandardize(_synthetic_eye(what))
    else:
        picture = _die(what) if kind == "die" else read_picture(text)
    mean, std = (np.reshape(each, (-1, 1, 1)) for each in (mean, std))
    return ((fitted(picture, shape) - mean) / std).astype(np.float32)[np.newaxis]


def _check_kind(kind: str, text: str | None, name: str) -> None:
    """The die is nothing for De Fauw's network, nor an eye for those of the die."""
    foreign, ours = (
        ("die", "synthetic:17_left") if name == "defauw" else ("synthetic", "die:15,100")
    )
    if kind == foreign and not name.endswith(".py"):
        raise UserError(
            f"--image {text}: not a picture for network '{name}'; give a file or {ours}"
        )


def _photograph(path: Any) -> np.ndarray:
    return fundus.photograph(path, fundus.read_image(path)).pixels


def _synthetic_eye(what: str) -> np.ndarray:
    """Prepared pixels of a synthetic photograph, ``(3, 512, 512)``."""
    if what == "retina":
        return synthetic.load(synthetic.RETINA).pixels
    match = re.fullmatch(r"(\d+)_(left|right)", what)
    if not match:
        raise UserError(
            f"--image synthetic:{what}: give synthetic:17_left, with any "
            "number and side, or synthetic:retina"
        )
    return synthetic.load(synthetic.Record(what, "", 0, int(match[1]), match[2])).pixels


def _die(what: str) -> np.ndarray:
    """The die at two angles, ``(32, 32)``."""
    try:
        a, b = map(float, what.split(","))
    except ValueError:
        raise UserError(
            f"--image die:{what}: give two angles in degrees, such as die:15,100"
        ) from None
    return die360.render(a, b)[0]


def read_picture(path: Any) -> np.ndarray:
    """Decode a picture.

    Parameters
    ----------
    path : path
        As for :func:`cnnviz.datasets.picture_files.read`.

    Returns
    -------
    float array, ``(rows, columns)`` or ``(rows, columns, 3)``, in [0, 1]
        On white where it is transparent.

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing file, one that is no picture, or several pictures in one.
    """
    return util.img_as_float(picture_files.read(path))


def fitted(picture: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Resize a picture and give it one channel or three.

    Parameters
    ----------
    picture : array, ``(rows, columns)`` or ``(rows, columns, 3)``, in [0, 1]
    shape : (channels, rows, columns)

    Returns
    -------
    float array of ``shape``, in [0, 1]
    """
    channels, *size = shape
    if channels not in (1, 3):
        raise UserError(
            f"the network's input has {channels} channels; --image gives "
            "one (gray) or three (red, green, blue)"
        )
    if channels == 1 and picture.ndim == 3:
        picture = color.rgb2gray(picture)
    elif channels == 3 and picture.ndim == 2:
        picture = color.gray2rgb(picture)
    if picture.shape[:2] != tuple(size):
        picture = transform.resize(picture, size, anti_aliasing=True)
    return np.moveaxis(np.atleast_3d(picture), -1, 0).clip(0, 1)
