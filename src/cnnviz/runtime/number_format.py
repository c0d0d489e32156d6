"""How numbers are written in figures and messages."""

import math

__all__ = ["fixed", "short"]


def short(value: float) -> str:
    """Three digits, and no powers of ten below a million; a true minus."""
    text = f"{value:,.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.3g}"
    return text.replace("-", "−")


def fixed(value: float, digits: int = 2) -> str:
    """A number with so many decimals and a true minus; a dash for none, NaN or infinite."""
    return f"{value:.{digits}f}".replace("-", "−") if math.isfinite(value) else "–"
