"""Whatever users have for arrays of numbers: lists, tensors of PyTorch, arrays."""

import warnings

import numpy as np

from cnnviz.runtime.errors import UserError

__all__ = ["as_array", "host", "numbers"]


def host(array):
    """A tensor of PyTorch as NumPy reads it: without its history, in main memory."""
    return array.detach().cpu() if hasattr(array, "detach") else array


def as_array(values):
    """Values as NumPy reads them; an error instead of a warning for ragged ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return np.asarray(host(values))


def numbers(values, expected):
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
            values = [as_array(each) for each in values]
        found = as_array(values)
    except Exception as error:  # anything may be given
        reason = str(error).partition("\n")[0]
        raise UserError(f"{expected}, not {type(values).__name__} ({reason})") from None
    if found.dtype.kind not in "biuf":
        raise UserError(f"{expected}, not {type(values).__name__} of {found.dtype}")
    return found
