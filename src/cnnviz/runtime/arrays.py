"""Whatever users have for arrays of numbers: lists, tensors of PyTorch, arrays."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from cnnviz.runtime.errors import UserError

__all__ = ["as_array", "host", "numbers", "pearson"]


def host(array: Any) -> Any:
    """A tensor of PyTorch as NumPy reads it: without its history, in main memory."""
    return array.detach().cpu() if hasattr(array, "detach") else array


def as_array(values: Any) -> np.ndarray:
    """Values as NumPy reads them; an error instead of a warning for ragged ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return np.asarray(host(values))


def numbers(values: Any, expected: str) -> np.ndarray:
    """An array of real numbers.

    Parameters
    ----------
    values : array, nested lists, or tensors
    expected : str
        For errors: what was to be given, by its name.

    Returns
    -------
    array of bool, whole numbers or floating point

    Raises
    ------
    UserError
        For anything else.
    """
    try:
        if isinstance(values, (list, tuple)):
            values = [as_array(value) for value in values]
        array = as_array(values)
    except Exception as error:  # anything may be given
        reason = str(error).partition("\n")[0]
        raise UserError(f"{expected}, not {type(values).__name__} ({reason})") from None
    if array.dtype.kind not in "biuf":
        raise UserError(f"{expected}, not {type(values).__name__} of {array.dtype}")
    return array


def pearson(first: Any, second: Any) -> np.ndarray:
    """Pearson correlation along the last axis, in double precision.

    Parameters
    ----------
    first, second : arrays, ``(..., n)``

    Returns
    -------
    float array, ``(...)``
        NaN where one of them is constant, or not finite.
    """
    first, second = (
        each - each.mean(axis=-1, keepdims=True)
        for each in (np.asarray(first, np.float64), np.asarray(second, np.float64))
    )
    lengths = np.sqrt((first**2).sum(axis=-1) * (second**2).sum(axis=-1))
    return (first * second).sum(axis=-1) / np.where(lengths > 0, lengths, np.nan)
