"""Saliency maps laid over their image (thesis section 4.3).

A map is smoothed with a small Gaussian kernel and split by a watershed into
important and unimportant pixels; important areas are brightened in the image
and outlined.  The thesis gives no numbers for these steps; those here are
ours and stand in the signatures.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage
from skimage import filters, measure, segmentation

from cnnviz.runtime.errors import UserError

__all__ = ["brighten", "important", "limit", "outlines", "smooth"]


def smooth(saliency: np.ndarray, sigma: float = 1.0) -> np.ndarray:
    """Smooth saliency maps with a Gaussian kernel.

    Parameters
    ----------
    saliency : array, ``(..., rows, columns)``
    sigma : float
        Standard deviation in pixels.

    Returns
    -------
    array of the same shape
    """
    sigmas = (0,) * (np.ndim(saliency) - 2) + (sigma, sigma)
    return ndimage.gaussian_filter(saliency, sigmas)


def important(
    saliency: np.ndarray, low: float = 0.2, high: float = 0.5, peak: float | None = None
) -> np.ndarray:
    """Split one map into important and unimportant pixels by a watershed.

    Pixels above ``high`` times the map's maximum are surely important, those
    below ``low`` times are surely not.  From these markers the watershed
    floods the slopes of the map (Sobel magnitude), so the border settles where
    the map falls most steeply in between.

    Parameters
    ----------
    saliency : array, ``(rows, columns)``
        Smoothed; negative saliency is never important.
    low, high : float
        Shares of the maximum.
    peak : float, optional
        Stands for the map's own maximum.  With the largest value of several
        maps, important means the same in all of them.

    Returns
    -------
    bool array, ``(rows, columns)``
        All False where the map, or the peak, is not positive.

    Raises
    ------
    ValueError
        For values that are not finite or shares out of order.
    """
    if not 0 <= low < high <= 1:
        raise UserError(f"need 0 <= low < high <= 1, not {low} and {high}")
    saliency = np.asarray(saliency, np.float64)
    if not np.isfinite(saliency).all():
        raise UserError("the saliency map holds values that are not finite")
    peak = saliency.max() if peak is None else peak
    if not np.isfinite(peak):
        raise UserError(f"the peak must be finite, not {peak}")
    if peak <= 0:
        return np.zeros(saliency.shape, bool)
    markers = np.zeros(saliency.shape, np.int32)
    markers[saliency <= low * peak] = 1
    markers[saliency >= high * peak] = 2
    return segmentation.watershed(filters.sobel(saliency), markers) == 2


def limit(*maps: Any) -> float:
    """Where colors of values of both signs end: the same for all maps.

    Parameters
    ----------
    maps : arrays of any shapes
        NaN counts for nothing.

    Returns
    -------
    float
        The largest magnitude; 1 where there is nothing but zero.
    """
    return max(float(np.nanmax(np.abs(map_), initial=0)) for map_ in maps) or 1.0


def brighten(image: np.ndarray, mask: np.ndarray, amount: float = 0.5) -> np.ndarray:
    """Move the image towards white where the mask is set.

    Parameters
    ----------
    image : array, ``(rows, columns)`` or ``(rows, columns, 3)``
        Gray values or colors in [0, 1].
    mask : bool array, ``(rows, columns)``
    amount : float
        Share of the way to white.

    Returns
    -------
    array like ``image``, in [0, 1]
    """
    if mask.shape != image.shape[:2]:
        raise UserError(f"mask of shape {mask.shape} on an image of shape {image.shape}")
    mask = mask if image.ndim == 2 else mask[..., np.newaxis]
    return np.where(mask, image + amount * (1 - image), image)


def outlines(mask: np.ndarray) -> list[np.ndarray]:
    """Closed lines around the set pixels, along the edges of pixels.

    Parameters
    ----------
    mask : bool array, ``(rows, columns)``

    Returns
    -------
    list of arrays, each ``(points, 2)``
        Row and column coordinates; pixel centers are whole numbers.
    """
    # At eight times the size, contours follow pixel edges to 1/16 pixel; in large
    # pictures, where pixels are not seen, to a quarter.
    scale = int(np.clip(512 // max(mask.shape), 2, 8))
    large = np.kron(np.pad(mask, 1), np.ones((scale, scale)))
    return [(line + 0.5) / scale - 1.5 for line in measure.find_contours(large, 0.5)]
