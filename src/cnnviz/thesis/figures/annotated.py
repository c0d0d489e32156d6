"""Photographs with arrows: what Figures 4.1 to 4.3 share.

Places are (x, y) in radii of the field of view, from its center; x points to the
right, y down.  A synthetic and a real eye are looked at alike: any part of it, at any
size, with the masks of what is there.  Where an arrow comes from is computed from
these masks, so that it covers nothing that the picture is about.
"""

import functools
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from cnnviz.datasets import fundus, lesion_statistics, synthetic, synthetic_scene
from cnnviz.runtime.errors import UserError
from cnnviz.thesis.figures import style

__all__ = [
    "DISC",
    "FIELD_OF_VIEW",
    "Criteria",
    "Mark",
    "Part",
    "Pointer",
    "Real",
    "Row",
    "Spot",
    "Synthetic",
    "View",
    "apart",
    "around",
    "axes_at",
    "conspicuous",
    "first",
    "near",
    "overlap",
    "place",
    "pointer",
    "region_at",
    "sheet",
    "show",
    "side",
    "well_inside",
    "whole",
]

DISC = "optic disc"
FIELD_OF_VIEW = "field of view"
POINT = style.RESOLUTION / 72  # pixels of a view to a point in print
_DIRECTIONS = 48
_GAP = 1.0  # points between a lesion and the tip of an arrow
_DARK = 30  # brightest channel outside the field of view
_STEP = 0.025  # length of a vessel's segment
_CLOSE = 4.0  # diameters of a lesion across its close-up
_LEAST_SIDE = 0.16  # of a close-up, in radii
_BETWEEN = 0.05  # radii between close-ups, for their letters
# A spot that is shown lies this far within the field of view, at most and at least.
_FARTHEST, _FROM_CUT = 0.8, 0.1


class Spot(NamedTuple):
    """One lesion; lengths in radii of the field of view."""

    kind: str
    x: float
    y: float
    diameter: float
    elongation: float
    contrast: float  #: natural logarithm, in green, against what surrounds it
    clear: bool = True  #: no vessel runs through it, as far as that is known


class View(NamedTuple):
    """Part of an eye."""

    picture: np.ndarray  #: uint8 ``(rows, columns, 3)``
    masks: dict  #: from what is there to bool ``(rows, columns)``
    window: tuple  #: left, top, right, bottom, in radii

    @property
    def density(self):
        """Pixels to a radius."""
        return self.picture.shape[1] / (self.window[2] - self.window[0])

    def pixel(self, x, y):
        """Row and column of a place, which are whole in the middle of a pixel."""
        left, top, _, _ = self.window
        return np.array([(y - top) * self.density - 0.5, (x - left) * self.density - 0.5])


def _size(window, density):
    left, top, right, bottom = window
    return round((bottom - top) * density), round((right - left) * density)


# --- Eyes -------------------------------------------------------------------------


@dataclass(frozen=True)
class Synthetic:
    """A synthetic eye."""

    scene: synthetic_scene.Scene

    @property
    def half(self):
        """How far from the center rows are seen, in radii."""
        return self.scene.patient.half

    def spots(self):
        """Every blob that is a lesion: list of Spot."""
        scene = self.scene
        return [
            Spot(
                synthetic_scene.LESIONS[kind],
                *shape[:2],
                2 * shape[2],
                shape[3],
                color[1],
                off_vessels(scene.segments, shape[:2], shape[2]),
            )
            for kind, shape, color in zip(scene.kinds, scene.shapes, scene.colors)
            if kind >= 0
        ]

    def view(self, window, density):
        """Draw a part of it, so many pixels to a radius: View."""
        shape = _size(window, density)
        picture, masks = synthetic.draw(self.scene, shape, (*window[:2], density, density))
        masks = {name: mask > 0.5 for name, mask in masks.items()}
        masks[DISC] = _ellipse(self.scene.disc, window, shape, density)
        masks[FIELD_OF_VIEW] = picture.max(axis=2) > _DARK
        return View(picture, masks, window)


def off_vessels(segments, place, radius):
    """Whether a round spot touches none of the vessels at least half as wide as it.

    Parameters
    ----------
    segments : array, ``(n, 7)``
        Short ones: only their ends are looked at.
    place : (x, y)
    radius : float
    """
    wide = segments[segments[:, 4] >= radius / 2]
    away = np.hypot(wide[:, 2] - place[0], wide[:, 3] - place[1])
    return bool((away > radius + wide[:, 4] + _STEP / 2).all())


def _ellipse(disc, window, shape, density):
    """Pixels of the optic disc of a scene."""
    x, y, radius, elongation, angle = disc[:5]
    rows, columns = np.indices(shape) + 0.5
    dx, dy = window[0] + columns / density - x, window[1] + rows / density - y
    along = np.cos(angle) * dx + np.sin(angle) * dy
    across = (np.cos(angle) * dy - np.sin(angle) * dx) / elongation
    return along**2 + across**2 <= radius**2


@dataclass(frozen=True)
class Real:
    """A photograph, with masks of what is marked on it."""

    image: np.ndarray  #: uint8 ``(rows, columns, 3)``
    masks: dict = field(default_factory=dict)  #: bool ``(rows, columns)``

    @functools.cached_property
    def radius(self):
        """Of the field of view, in pixels."""
        return lesion_statistics.field_of_view(self.image)[1] / 2

    @functools.cached_property
    def center(self):
        """Column and row of the field of view's center, from the photograph's edge."""
        inside = self.image.max(axis=2) > _DARK
        middles = []
        for axis in (0, 1):
            seen = np.flatnonzero(inside.mean(axis=axis) > 0.05)
            middles.append((seen[0] + seen[-1] + 1) / 2)
        return np.array(middles)

    @property
    def half(self):
        """How far from the center rows are seen, in radii."""
        return min(1.0, self.image.shape[0] / 2 / self.radius)

    def place(self, row, column):
        """x and y, in radii, of a pixel."""
        return (np.array([column, row]) + 0.5 - self.center) / self.radius

    def spots(self):
        """Every connected part of a mask but the optic disc: list of Spot."""
        lesions = {name: mask for name, mask in self.masks.items() if name != DISC}
        return [
            Spot(
                row["kind"],
                *self.place(row["row"], row["column"]),
                2 * row["diameter"],
                row["elongation"],
                row["green"],
            )
            for row in lesion_statistics.lesions(self.image, lesions)
        ]

    def view(self, window, density):
        """Resample a part of it, so many pixels to a radius: View."""
        rows, columns = _size(window, density)
        corners = self.center + self.radius * np.reshape(window, (2, 2))

        def part(array):
            # Averages where it reduces, and black beyond the photograph.
            edge = int(np.ceil(max(0, -corners.min(), (corners[1] - array.shape[1::-1]).max())))
            padded = np.pad(array, [(edge, edge)] * 2 + [(0, 0)] * (array.ndim - 2))
            return np.asarray(
                Image.fromarray(padded).resize(
                    (columns, rows), Image.Resampling.BILINEAR, box=tuple((corners + edge).ravel())
                )
            )

        masks = {name: part(np.uint8(255 * mask)) > 127 for name, mask in self.masks.items()}
        picture = part(self.image)
        masks[FIELD_OF_VIEW] = picture.max(axis=2) > _DARK
        return View(picture, masks, window)


def whole(eye, density):
    """The whole field of view."""
    return eye.view((-1.0, -eye.half, 1.0, eye.half), density)


def _moved_in(place, side, half):
    """The nearest center of a square that does not leave the field's rows and columns."""
    limits = np.maximum(np.array([1.0, half]) - side / 2, 0)
    return np.clip(place, -limits, limits)


def around(eye, place, side, pixels):
    """A square part around a place, ``pixels`` wide, moved to stay on the picture."""
    x, y = _moved_in(place, side, eye.half)
    half = side / 2
    return eye.view((x - half, y - half, x + half, y + half), pixels / side)


# --- Choosing ---------------------------------------------------------------------


def well_inside(place, half):
    """Whether a place is far from the border of the field of view."""
    x, y = place
    return bool(np.hypot(x, y) <= _FARTHEST and abs(y) <= half - _FROM_CUT)


def _reaches(spot):
    """Half the long axis."""
    return spot.diameter * np.sqrt(spot.elongation) / 2


def apart(spot, spots):
    """Distance to the nearest other lesion's edge, in the spot's own diameters.

    As if both pointed their long axes at each other, so it is never less.
    """
    away = [
        np.hypot(each.x - spot.x, each.y - spot.y) - _reaches(each) - _reaches(spot)
        for each in spots
        if each != spot
    ]
    return min(away, default=np.inf) / spot.diameter


def side(spot):
    """Of a lesion's close-up, in radii."""
    return max(_LEAST_SIDE, _CLOSE * spot.diameter)


def overlap(first, second):
    """Whether the close-ups of two lesions overlap, or nearly so."""
    reach = (side(first) + side(second)) / 2 + _BETWEEN
    return abs(first.x - second.x) < reach and abs(first.y - second.y) < reach


class Criteria(NamedTuple):
    """What a lesion must have to be shown."""

    least: tuple  #: diameter and contrast, without its sign
    longest: float = np.inf  #: largest elongation
    alone: float = -np.inf  #: how far :func:`apart` from all others it is at least


def conspicuous(spots, kind, half, criteria, count=1, chosen=()):
    """The most conspicuous lesions of a kind: the largest diameter × contrast first.

    Parameters
    ----------
    spots : list of Spot
        All of an eye.
    kind : str
    half : float
        How far from the center rows are seen.
    criteria : Criteria
    count : int
    chosen : sequence of Spot
        Others; close-ups of all that are chosen do not overlap.

    Returns
    -------
    list of Spot
        Fewer than ``count`` where there are fewer.
    """
    fitting = [
        spot
        for spot in spots
        if spot.kind == kind
        and spot.clear
        and spot.diameter >= criteria.least[0]
        and abs(spot.contrast) >= criteria.least[1]
        and spot.elongation <= criteria.longest
        and well_inside((spot.x, spot.y), half)
    ]
    fitting.sort(key=lambda spot: -spot.diameter * abs(spot.contrast))
    found = []
    for spot in fitting:
        if (
            not any(overlap(spot, each) for each in (*chosen, *found))
            and apart(spot, spots) >= criteria.alone
        ):
            found.append(spot)
        if len(found) == count:
            break
    return found


def first(seed, grades, patients, choose):
    """The first synthetic eye of a data set that shows what is wanted.

    Patients in their order, the left eye first; eyes with artifacts do not count.

    Parameters
    ----------
    seed : int
        Of the data set.
    grades : sequence of int
        Which an eye may have.
    patients : int
        How many to search at most.
    choose : function
        From a :class:`Synthetic` eye to what is shown of it, or None.

    Returns
    -------
    name : str
        For example "17_left".
    eye : Synthetic
    chosen
        What ``choose`` gave.

    Raises
    ------
    ValueError
        If there is none.
    """
    for patient in range(patients):
        wanted = synthetic.grades([seed, patient])
        for side, grade in zip(fundus.SIDES, wanted):
            if grade not in grades:
                continue
            eye = Synthetic(synthetic.eye([seed, patient], side))
            chosen = None if eye.scene.artifacts else choose(eye)
            if chosen:
                return f"{patient}_{side}", eye, chosen
    raise UserError(
        f"none of {patients:,} synthetic patients with seed {seed} shows what the "
        "figure is about; try another --seed"
    )


# --- Arrows -----------------------------------------------------------------------


def region_at(mask, pixel):
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


def _reach(places, center, direction):
    """How far a region extends from its center in a direction; None: it misses it."""
    away = places - center
    along = away @ direction
    across = away @ (-direction[1], direction[0])
    hit = along[(np.abs(across) <= 0.75) & (along >= 0)]
    return hit.max() + 0.5 if len(hit) else None


def _room(pointer, free):
    """Least and mean distance of a shaft from what it must not cover.

    Without the third next to the tip.  None outside of the picture.
    """
    steps = np.linspace(1 / 3, 1, 24)[:, np.newaxis]
    index = np.rint(pointer.tip + steps * (pointer.tail - pointer.tip)).astype(int)
    if (index < 0).any() or (index >= free.shape).any():
        return None
    found = free[tuple(index.T)]
    return found.min(), found.mean()


def pointer(region, obstacles, length, gap=0.0):
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
        found = Pointer(tip, tip + length * direction)
        room = _room(found, free)
        if room is not None and room > most:
            best, most = found, room
    if best is None:
        raise UserError(f"no arrow of {length:g} pixels fits into the picture")
    return best


def near(start, end, shape, width):
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


def _blocked(view):
    """What arrows keep away from: everything that is marked, and the dark outside."""
    return np.logical_or.reduce(
        [~mask if name == FIELD_OF_VIEW else mask for name, mask in view.masks.items()]
    )


def place(view, marks, taken=None):
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
    found = []
    for mark in marks:
        look = style.POINTERS[mark.arrow]
        pixel = view.pixel(*mark.place)
        region = near(
            pixel, pixel, blocked.shape, 2 * mark.reach * view.density if mark.mask else 2
        )
        if mark.mask:
            region &= region_at(view.masks[mark.mask], pixel)
        found.append(pointer(region, blocked, look.length * POINT, _GAP * POINT))
        blocked = blocked | near(*found[-1], blocked.shape, look.head * POINT)
    return found


def show(axes, view, marks, taken=None):
    """Show a view with its arrows."""
    style.show(axes, view.picture)
    for mark, found in zip(marks, place(view, marks, taken)):
        style.arrow(axes, *found, mark.arrow, POINT)
    style.keep_limits(axes, view.picture)


# --- Sheets -----------------------------------------------------------------------


class Part(NamedTuple):
    """A close-up; its marks are on the whole photograph too."""

    title: str
    place: tuple  #: x and y of its center
    side: float  #: in radii
    marks: list  #: of Mark


class Row(NamedTuple):
    """One eye with its close-ups."""

    title: str
    eye: object  #: Synthetic or Real
    parts: list  #: of Part, four at most
    marks: tuple = ()  #: more of them, on the whole photograph only
    legend: tuple = ()  #: arrows and what they mean, where close-ups leave room


_GUTTER, _TITLE, _MARGIN = 0.09, 0.19, 0.03  # inches


def _sizes(half):
    """Inches: width and height of a photograph, and side of its close-ups.

    Two close-ups above each other are as high as the photograph.
    """
    width = (style.PAGE_WIDTH - 2 * _GUTTER - 2 * _MARGIN + _TITLE) / (1 + half)
    return width, width * half, (width * half - _TITLE) / 2


def _boxes(view, parts, limit):
    """First and end row and column of close-ups on the whole photograph."""
    corners = []
    for part in parts:
        (x, y), half = _moved_in(part.place, part.side, limit), part.side / 2
        corners.append(
            np.rint(
                [*(view.pixel(x - half, y - half) + 0.5), *(view.pixel(x + half, y + half) + 0.5)]
            ).astype(int)
        )
    return corners


def _frames(shape, boxes, width):
    """Pixels of the outlines of boxes and of the letters above them."""
    taken = np.zeros(shape, bool)
    for top, left, bottom, right in boxes:
        for start, end in (
            ((top, left), (top, right)),
            ((bottom, left), (bottom, right)),
            ((top, left), (bottom, left)),
            ((top, right), (bottom, right)),
        ):
            taken |= near(start, end, shape, width)
        letter = (top - 4 * POINT, left + 3 * POINT)
        taken |= near(letter, letter, shape, 8 * POINT)
    return taken


def axes_at(figure, left, top, width, height):
    """Axes at a place in inches, from the left upper corner."""
    page = figure.get_size_inches()
    return figure.add_axes(
        [left / page[0], 1 - (top + height) / page[1], width / page[0], height / page[1]]
    )


def _draw_whole(figure, row, top, letters):
    width, height, _ = _sizes(row.eye.half)
    view = whole(row.eye, width * style.RESOLUTION / 2)
    axes = axes_at(figure, _MARGIN, top, width, height)
    boxes = _boxes(view, row.parts, row.eye.half)
    marks = [*row.marks, *(mark for part in row.parts for mark in part.marks)]
    show(axes, view, marks, _frames(view.picture.shape[:2], boxes, 2 * POINT))
    axes.set_title(row.title, loc="left", pad=3)
    for letter, box in zip(letters, boxes):
        style.frame(axes, box)
        style.letter(axes, box, letter, POINT)


def _draw_legend(figure, row, top):
    """In the lower row of close-ups."""
    width, _, length = _sizes(row.eye.half)
    axes = axes_at(
        figure, _MARGIN + width + _GUTTER, top + length + _TITLE, 2 * length + _GUTTER, length
    )
    style.key(axes, row.legend)


def _draw_part(figure, row, index, top, letter):
    width, _, length = _sizes(row.eye.half)
    part, (line, column) = row.parts[index], divmod(index, 2)
    axes = axes_at(
        figure,
        _MARGIN + width + _GUTTER + column * (length + _GUTTER),
        top + line * (length + _TITLE),
        length,
        length,
    )
    show(axes, around(row.eye, part.place, part.side, round(length * style.RESOLUTION)), part.marks)
    times = length / part.side / (width / 2)
    axes.set_title(f"{letter}  {part.title}, × {times:.1f}", loc="left", pad=3)


def sheet(rows):
    """Photographs with arrows, and close-ups with the same arrows beside each.

    Parameters
    ----------
    rows : list of Row

    Returns
    -------
    matplotlib.figure.Figure
    """
    heights = [_TITLE + _sizes(row.eye.half)[1] + _MARGIN for row in rows]
    figure = style.new(sum(heights))
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    for row, top in zip(rows, np.cumsum([0, *heights]) + _TITLE):
        own = [next(letters) for _ in row.parts]
        _draw_whole(figure, row, top, own)
        for index, letter in enumerate(own):
            _draw_part(figure, row, index, top, letter)
        if row.legend:
            _draw_legend(figure, row, top)
    return figure
