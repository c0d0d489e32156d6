"""Numbers, and spans of numbers, in the words of a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["listed", "number", "spread"]


def number(value: float, digits: int = 2) -> str:
    """A number rounded to so many digits, thousands apart; a true minus."""
    if not np.isfinite(value):
        return "–"
    rounded = float(f"{value:.{digits}g}")
    if abs(rounded) >= 10 ** (digits - 1):
        return f"{rounded:,.0f}".replace("-", "−")
    return f"{rounded:g}".replace("-", "−")


def _span(values: np.ndarray, write: Callable[..., Any] = number) -> str:
    """Smallest and largest of some numbers."""
    values = np.asarray(values, float)
    if not np.isfinite(values).any():
        return "–"
    low, high = write(np.nanmin(values)), write(np.nanmax(values))
    return low if low == high else f"{low} to {high}"


def listed(values: pd.Series, write: Callable[..., Any] = number) -> str:
    """All numbers, layer by layer."""
    return ", ".join(map(write, values))


def spread(values: pd.Series, write: Callable[..., Any] = number) -> str:
    """Median, and in brackets smallest and largest."""
    values = np.asarray(values, float)
    if not np.isfinite(values).any():
        return "–"
    middle, span = write(np.nanmedian(values)), _span(values, write)
    return middle if middle == span else f"{middle} ({span})"
