"""From maps with channels to one number a pixel."""

from collections.abc import Callable

import numpy as np

from cnnviz.runtime.errors import UserError

__all__ = ["REDUCTIONS", "reduce_channels"]

#: What becomes of the channels of a pixel.
REDUCTIONS: dict[str, Callable[..., np.ndarray]] = {
    "signed_max": lambda maps, axis: maps.max(axis=axis),
    "abs_max": lambda maps, axis: np.abs(maps).max(axis=axis),
    "sum": lambda maps, axis: maps.sum(axis=axis),
    "mean_abs": lambda maps, axis: np.abs(maps).mean(axis=axis),
}


def reduce_channels(maps: np.ndarray, how: str = "signed_max", axis: int | None = -3) -> np.ndarray:
    """One number for the channels of every pixel.

    Parameters
    ----------
    maps : array, ``(..., channels, rows, columns)``
        From an attribution method.
    how : {"signed_max", "abs_max", "sum", "mean_abs"}
        ``"signed_max"``: the largest, which is the thesis's saliency; ``"abs_max"``: the largest
        magnitude (Simonyan et al. 2014); ``"sum"``: their sum, a change of brightness;
        ``"mean_abs"``: the mean magnitude.
    axis : int or None
        Of the channels, where it is another; None for images without any.

    Returns
    -------
    array, ``(..., rows, columns)``

    Raises
    ------
    UserError
        For an unknown reduction.
    """
    if how not in REDUCTIONS:
        raise UserError(f"unknown reduction '{how}'; choose one of {', '.join(REDUCTIONS)}")
    if axis is None:
        return np.abs(maps) if how in ("abs_max", "mean_abs") else maps
    return REDUCTIONS[how](maps, axis)
