"""What measures of maps are given, checked."""

from __future__ import annotations

import numpy as np

from cnnviz.datasets.masks import marked
from cnnviz.runtime.errors import UserError

__all__ = ["as_maps", "as_masks", "as_region", "check_agree", "check_finite", "check_shape"]


def check_shape(array: np.ndarray, name: str) -> None:
    if array.ndim != 3:
        raise UserError(f"{name} must be (n, rows, columns), not of shape {array.shape}")
    if not array.size:
        raise UserError(f"no {name} were given: their shape is {array.shape}")


def check_finite(array: np.ndarray, name: str) -> None:
    if not np.isfinite(array).all():
        raise UserError(f"{name} hold values that are not finite")


def check_agree(
    shape: tuple[int, ...], name: str, expected: tuple[int, ...], other: str = "maps"
) -> None:
    if shape != expected:
        raise UserError(f"{name} have shape {shape} and {other} {expected}; they must agree")


def as_maps(maps: np.ndarray, name: str = "maps") -> np.ndarray:
    maps = np.asarray(maps, np.float64)
    check_shape(maps, name)
    check_finite(maps, name)
    return maps


def as_masks(masks: np.ndarray, name: str = "masks") -> np.ndarray:
    masks = marked(masks, name)
    check_shape(masks, name)
    return masks


def as_region(region: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    """Masks of what counts, ``shape``; a single one serves every map."""
    if region is None:
        return np.ones(shape, bool)
    region = marked(region, "regions")
    if region.ndim == 2:
        region = np.broadcast_to(region, (shape[0], *region.shape))
    region = as_masks(region, "regions")
    check_agree(region.shape, "regions", shape)
    return region
