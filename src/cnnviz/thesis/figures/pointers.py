"""Places of arrows and letters beside what they point at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import ndimage

from cnnviz.runtime.errors import UserError
from cnnviz.thesis.figures import shapes, style
from cnnviz.thesis.figures.eyes import FIELD_OF_VIEW

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cnnviz.thesis.figures.eyes import View

__all__ = ["POINT", "Mark", "Pointer", "near", "place", "pointer", "region_at", "show"]

POINT = style.RESOLUTION / 72  # pixels of a view to a point in print
_DIRECTIONS = 48
_GAP = 1.0  # points between a lesion and the tip of an arrow


def region_at(mask: np.ndarray, pixel: Any) -> np.ndarray:
    """The connected part of a mask that is nearest to a pixel.

    Parameters
    ----------
    mask : bool array, ``(rows, columns)``
    pixel : (row, column)

    Returns
    -------
    bool array of the same shape

    Raises
    ------
    ValueError
        For a mask without a pixel.
    """
    places = np.argwhere(mask)
    if not len(places):
        raise UserError("the mask is empty: there is nothing to point at")
    nearest = places[((places - pixel) ** 2).sum(axis=1).argmin()]
    labels, _ = ndimage.label(mask, np.ones((3, 3)))
    return labels == labels[tuple(nearest)]


class Pointer(NamedTuple):
    """Where an arrow is: (row, column) of both ends."""

    tip: np.ndarray
    tail: np.ndarray


def _reach(places: np.ndarray, center: np.ndarray, direction: np.ndarray) -> float | None:
    """How far a region extends from its center in a direction; None: it misses it."""
    away = places - center
    along = away @ direction
    across = away @ (-direction[1], direction[0])
    hit = along[(np.abs(across) <= 0.75) & (along >= 0)]
    return hit.max() + 0.5 if len(hit) else None


def _room(pointer: Pointer, free: np.ndarray) -> tuple[float, float] | None:
    """Least and mean distance of a shaft from what it must not cover.

    Without the third next to the tip.  None outside of the picture.
    """
    steps = np.linspace(1 / 3, 1, 24)[:, np.newaxis]
    index = np.rint(pointer.tip + steps * (pointer.tail - pointer.tip)).astype(int)
    if (index < 0).any() or (index >= free.shape).any():
        return None
    ahead = free[tuple(index.T)]
    return ahead.min(), ahead.mean()


def pointer(region: np.ndarray, obstacles: np.ndarray, length: float, gap: float = 0.0) -> Pointer:
    """An arrow that ends at a region's border, from the side with most room.

    Of directions all around the region's center the one is taken in which what the
    arrow must not cover stays farthest away from it; where it has to cover some,
    the one in which it is farthest away on average.

    Parameters
    ----------
    region : bool array, ``(rows, columns)``
    obstacles : bool array of the same shape
        What it should keep away from; the region itself does not count.
    length : float
        In pixels.
    gap : float
        Pixels between the region and the tip.

    Returns
    -------
    Pointer

    Raises
    ------
    ValueError
        Where no arrow of that length stays within the picture.
    """
    places = np.argwhere(region)
    center = places.mean(axis=0)
    blocked = np.pad(obstacles & ~region, 1, constant_values=True)
    free = ndimage.distance_transform_edt(~blocked)[1:-1, 1:-1]
    best, most = None, (-1.0, -1.0)
    for angle in 2 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS:
        direction = np.array([np.sin(angle), np.cos(angle)])
        reach = _reach(places, center, direction)
        if reach is None:
            continue
        tip = center + (reach + gap) * direction
        arrow = Pointer(tip, tip + length * direction)
        room = _room(arrow, free)
        if room is not None and room > most:
            best, most = arrow, room
    if best is None:
        raise UserError(f"no arrow of {length:g} pixels fits into the picture")
    return best


def near(
    start: np.ndarray | tuple[float, float], end: Any, shape: tuple[int, ...], width: float
) -> np.ndarray:
    """Pixels within half a width of a line: bool array of a shape."""
    rows, columns = np.indices(shape)
    along = np.subtract(end, start)
    away = rows - start[0], columns - start[1]
    share = np.clip((away[0] * along[0] + away[1] * along[1]) / max((along**2).sum(), 1e-9), 0, 1)
    return np.hypot(away[0] - share * along[0], away[1] - share * along[1]) <= width / 2


class Mark(NamedTuple):
    """What an arrow points at, and what it looks like."""

    arrow: str  #: of ``style.POINTERS``
    place: tuple  #: x and y
    mask: str  #: the part of this mask at the place; nothing: the place alone
    reach: float = np.inf  #: only what is so near to the place, in radii


def _blocked(view: View) -> np.ndarray:
    """What arrows keep away from: everything that is marked, and the dark outside."""
    return np.logical_or.reduce(
        [~mask if name == FIELD_OF_VIEW else mask for name, mask in view.masks.items()]
    )


def place(view: View, marks: Sequence[Mark], taken: np.ndarray | None = None) -> list[Pointer]:
    """Arrows for marks, which keep away from each other too.

    Parameters
    ----------
    view : View
    marks : list of Mark
    taken : bool array, ``(rows, columns)``, optional
        What else they should not cover.

    Returns
    -------
    list of Pointer
    """
    blocked = _blocked(view) if taken is None else _blocked(view) | taken
    arrows = []
    for mark in marks:
        look = shapes.POINTERS[mark.arrow]
        pixel = view.pixel(*mark.place)
        region = near(
            pixel, pixel, blocked.shape, 2 * mark.reach * view.density if mark.mask else 2
        )
        if mark.mask:
            region &= region_at(view.masks[mark.mask], pixel)
        arrows.append(pointer(region, blocked, look.length * POINT, _GAP * POINT))
        blocked = blocked | near(*arrows[-1], blocked.shape, look.head * POINT)
    return arrows


def show(axes: Axes, view: View, marks: Sequence[Mark], taken: np.ndarray | None = None) -> None:
    """Show a view with its arrows."""
    style.show(axes, view.picture)
    for mark, arrow in zip(marks, place(view, marks, taken)):
        shapes.arrow(axes, *arrow, mark.arrow, POINT)
    style.keep_limits(axes, view.picture)
