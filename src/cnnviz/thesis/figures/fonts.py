"""Text that figures can show, whatever a user's files and layers are called."""

from __future__ import annotations

import functools
import unicodedata
from typing import TYPE_CHECKING

from matplotlib import axis as plt_axis  # noqa: E402
from matplotlib import font_manager, ft2font  # noqa: E402
from matplotlib import text as plt_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FAMILY", "make_printable", "printable"]

FAMILY = "DejaVu Sans"


# Categories of Unicode of what has no look of its own: control and format characters,
# halves of pairs, private and unassigned ones, separators of lines.
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@functools.cache
def _glyphs(path: str) -> frozenset[int]:
    """Numbers of the characters that a font file has; none if it can't be used."""
    try:
        font = ft2font.FT2Font(path)
        return frozenset(font.get_charmap()) if font.scalable else frozenset()
    except (OSError, RuntimeError):
        return frozenset()


@functools.cache
def _own_glyphs() -> frozenset[int]:
    """Characters of the figures' font, whatever its weight."""
    paths = (
        font_manager.findfont(font_manager.FontProperties(family=FAMILY, weight=weight))
        for weight in ("normal", "bold")
    )
    return frozenset.intersection(*map(_glyphs, paths))


@functools.cache
def _other_family(character: str) -> str | None:
    """Family of an installed font that has a character, or None.

    Of TrueType fonts, which PDF files can hold, other than those that put mathematical
    signs in the places of letters.
    """
    for font in sorted(font_manager.fontManager.ttflist, key=lambda font: font.name):
        foreign = font.name.startswith(("cm", "STIXSize", "STIXNonUnicode"))
        if (
            font.fname.lower().endswith(".ttf")
            and not foreign
            and font.name not in (FAMILY, "Last Resort")
            # By its name alone, figures get the regular one.
            and ord(character)
            in _glyphs(font.fname)
            & _glyphs(font_manager.findfont(font_manager.FontProperties(family=font.name)))
        ):
            return font.name
    return None


def printable(text: str) -> str:
    """Text that figures can show, whatever a user's files and layers are called.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        Characters without a look of their own, but for line feeds, and those that no
        installed font has, are written as in ``[U+0928]``.
    """
    return "".join(
        each
        if each == "\n"
        or ord(each) in _own_glyphs()
        and unicodedata.category(each) not in _INVISIBLE
        or _shown_elsewhere(each)
        else f"[U+{ord(each):04X}]"
        for each in text
    )


def _shown_elsewhere(character: str) -> bool:
    return (
        unicodedata.category(character) not in _INVISIBLE and _other_family(character) is not None
    )


def make_printable(figure: Figure) -> None:
    """Pass every text of a figure through :func:`printable`; fonts to go with it."""
    for axis in figure.findobj(plt_axis.Axis):
        # Axes write the labels of their ticks anew whenever they are drawn.
        if any(
            printable(text) != text for text in (tick.label1.get_text() for tick in axis.majorTicks)
        ):
            axis.set_ticklabels(
                [printable(tick_label.get_text()) for tick_label in axis.get_ticklabels()]
            )
    for each in figure.findobj(plt_text.Text):
        text = printable(each.get_text())
        families = {
            _other_family(character) or FAMILY
            for character in text
            if character != "\n" and ord(character) not in _own_glyphs()
        }
        if text != each.get_text():
            each.set_text(text)
        if families:
            each.set_fontfamily([FAMILY, *sorted(families)])
