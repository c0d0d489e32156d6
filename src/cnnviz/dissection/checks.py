"""What the measures of this room ask of maps and of arrays that belong to them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnviz.runtime.errors import UserError

__all__ = ["check_concepts", "check_features", "checked_maps", "one_each", "three_axes"]


def checked_maps(maps: Any) -> np.ndarray:
    """Finite maps ``(n, features, rows, columns)``."""
    maps = np.asarray(maps)
    if maps.ndim != 4 or not maps.size:
        raise UserError(f"maps are (photographs, features, rows, columns), not {maps.shape}")
    if not np.isfinite(maps).all():
        raise UserError("the maps hold values that are not finite")
    return maps


def check_features(maps: np.ndarray, count: int) -> None:
    """Maps of as many features as seen before."""
    if maps.shape[1] != count:
        raise UserError(f"maps of {maps.shape[1]} features after {count}")


def one_each(name: str, values: Any, maps: np.ndarray) -> np.ndarray:
    """A number to each photograph."""
    values = np.asarray(values)
    if values.shape != maps.shape[:1]:
        raise UserError(f"{name}: one to each of {len(maps)} photographs, not {values.shape}")
    return values


def check_concepts(values: Any, concepts: Sequence[str]) -> None:
    """Values ``(features, concepts)``."""
    if np.ndim(values) != 2 or np.shape(values)[1] != len(concepts):
        raise UserError(
            f"{len(concepts)} concepts for values of shape "
            f"{np.shape(values)}; those are (features, concepts)"
        )


def three_axes(name: str, values: Any) -> np.ndarray:
    """An array of three axes that is not empty."""
    values = np.asarray(values)
    if values.ndim != 3 or not values.size:
        raise UserError(f"{name}, not {values.shape}")
    return values
