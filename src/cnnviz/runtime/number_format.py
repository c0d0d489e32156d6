"""How numbers are written in figures and messages."""

__all__ = ["short"]


def short(value: float) -> str:
    """Three digits, and no powers of ten below a million; a true minus."""
    text = f"{value:,.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.3g}"
    return text.replace("-", "−")
