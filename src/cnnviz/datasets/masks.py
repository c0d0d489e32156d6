"""Masks as users have them: bool, whole numbers such as 0 and 255, shares of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from cnnviz.runtime import arrays
from cnnviz.runtime.errors import UserError

__all__ = ["largest_region", "marked", "shares"]

_ROUNDING = 1e-5  # of shares


def _read(mask: Sequence[Sequence[Sequence[Any]]] | np.ndarray, name: str) -> np.ndarray:
    """Numbers; whole ones become bool, since any but 0 marks a pixel."""
    mask = arrays.numbers(mask, f"{name}: expected bool, whole numbers or shares in [0, 1]")
    if mask.dtype.kind not in "iu":
        return mask
    if mask.size and mask.min() < 0:
        raise UserError(
            f"{name}: holds {mask.min()}; whole numbers mark pixels by what is "
            "above 0, and nothing is below"
        )
    return mask != 0


def marked(mask: np.ndarray, name: str = "mask") -> np.ndarray:
    """A mask that marks whole pixels.

    Parameters
    ----------
    mask : array of bool or whole numbers
        Any number above 0 marks a pixel.
    name : str
        For errors.

    Returns
    -------
    bool array

    Raises
    ------
    UserError
        For shares of pixels, negative numbers, or anything but numbers.
    """
    mask = _read(mask, name)
    if mask.dtype != bool:
        raise UserError(f"{name} must be bool, not {mask.dtype}; 'mask > threshold' makes it so")
    return mask


def shares(mask: Sequence[Sequence[Sequence[Any]]] | np.ndarray, name: str = "mask") -> np.ndarray:
    """A mask that may mark shares of pixels.

    Parameters
    ----------
    mask : array of bool, whole numbers or floating point
        As for :func:`marked`, or the share of every pixel that is covered.
    name : str
        For errors.

    Returns
    -------
    bool array, or floating point array in [0, 1]

    Raises
    ------
    UserError
        For numbers that are not finite, or outside [0, 1].
    """
    mask = _read(mask, name)
    if mask.dtype == bool or not mask.size:
        return mask
    low, high = mask.min(), mask.max()
    if not (low >= 0 and high <= 1 + _ROUNDING):
        raise UserError(
            f"{name}: values from {low:g} to {high:g}; floating point numbers "
            "are shares of pixels, from 0 to 1"
        )
    return np.minimum(mask, mask.dtype.type(1)) if high > 1 else mask


def largest_region(mask: np.ndarray, structure: np.ndarray | None = None) -> np.ndarray:
    """The largest connected region of a mask; of equal ones, the first.

    Parameters
    ----------
    mask : bool array, ``(rows, columns)``
    structure : array, ``(3, 3)``, optional
        Which neighbors are connected; the default is the four nearest.

    Returns
    -------
    bool array, ``(rows, columns)``
        Empty where the mask is.
    """
    regions, count = ndimage.label(mask, structure)
    if not count:
        return np.zeros(regions.shape, bool)
    return regions == np.bincount(regions.ravel())[1:].argmax() + 1
