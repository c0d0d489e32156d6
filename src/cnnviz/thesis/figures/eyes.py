"""Photographs of eyes, synthetic and real, that figures of chapter 4 annotate."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from cnnviz.datasets import lesion_statistics, synthetic, synthetic_scene

__all__ = [
    "DISC",
    "FIELD_OF_VIEW",
    "Real",
    "Spot",
    "Synthetic",
    "View",
    "around",
    "moved_in",
    "off_vessels",
    "whole",
]

DISC = "optic disc"
FIELD_OF_VIEW = "field of view"
_DARK = 30  # brightest channel outside the field of view
_STEP = 0.025  # length of a vessel's segment


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
    def density(self) -> float:
        """Pixels to a radius."""
        return self.picture.shape[1] / (self.window[2] - self.window[0])

    def pixel(self, x: float, y: float) -> np.ndarray:
        """Row and column of a place, which are whole in the middle of a pixel."""
        left, top, _, _ = self.window
        return np.array([(y - top) * self.density - 0.5, (x - left) * self.density - 0.5])


def _size(window: tuple[float, float, float, float], density: float) -> tuple[int, int]:
    left, top, right, bottom = window
    return round((bottom - top) * density), round((right - left) * density)


@dataclass(frozen=True)
class Synthetic:
    """A synthetic eye."""

    scene: synthetic_scene.Scene

    @property
    def half(self) -> float:
        """How far from the center rows are seen, in radii."""
        return self.scene.patient.half

    def spots(self) -> Any:
        """Every blob that is a lesion: list of Spot."""
        scene = self.scene
        return [
            Spot(
                synthetic_scene.LESIONS[kind],
                shape[0],
                shape[1],
                2 * shape[2],
                shape[3],
                color[1],
                off_vessels(scene.segments, shape[:2], shape[2]),
            )
            for kind, shape, color in zip(scene.kinds, scene.shapes, scene.colors)
            if kind >= 0
        ]

    def view(self, window: tuple[float, float, float, float], density: float) -> View:
        """Draw a part of it, so many pixels to a radius: View."""
        shape = _size(window, density)
        picture, masks = synthetic.draw(self.scene, shape, (*window[:2], density, density))
        masks = {name: mask > 0.5 for name, mask in masks.items()}
        masks[DISC] = _ellipse(self.scene.disc, window, shape, density)
        masks[FIELD_OF_VIEW] = picture.max(axis=2) > _DARK
        return View(picture, masks, window)


def off_vessels(segments: np.ndarray, place: tuple[float, float], radius: float) -> bool:
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


def _ellipse(
    disc: np.ndarray,
    window: tuple[float, float, float, float],
    shape: tuple[int, int],
    density: float,
) -> np.ndarray:
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
    def radius(self) -> float:
        """Of the field of view, in pixels."""
        return lesion_statistics.field_of_view(self.image)[1] / 2

    @functools.cached_property
    def center(self) -> np.ndarray:
        """Column and row of the field of view's center, from the photograph's edge."""
        inside = self.image.max(axis=2) > _DARK
        middles = []
        for axis in (0, 1):
            seen = np.flatnonzero(inside.mean(axis=axis) > 0.05)
            middles.append((seen[0] + seen[-1] + 1) / 2)
        return np.array(middles)

    @property
    def half(self) -> float:
        """How far from the center rows are seen, in radii."""
        return min(1.0, self.image.shape[0] / 2 / self.radius)

    def place(self, row: Any, column: Any) -> Any:
        """x and y, in radii, of a pixel."""
        return (np.array([column, row]) + 0.5 - self.center) / self.radius

    def spots(self) -> list[Spot]:
        """Every connected part of a mask but the optic disc: list of Spot."""
        lesions = {name: mask for name, mask in self.masks.items() if name != DISC}
        found: list[Any] = lesion_statistics.lesions(self.image, lesions)
        return [
            Spot(row["kind"], x, y, 2 * row["diameter"], row["elongation"], row["green"])
            for row in found
            for x, y in [self.place(row["row"], row["column"])]
        ]

    def view(self, window: tuple[float, float, float, float], density: float) -> View:
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


def whole(eye: Any, density: float) -> View:
    """The whole field of view."""
    return eye.view((-1.0, -eye.half, 1.0, eye.half), density)


def moved_in(place: tuple[float, float], side: float, half: float) -> np.ndarray:
    """The nearest center of a square that does not leave the field's rows and columns."""
    limits = np.maximum(np.array([1.0, half]) - side / 2, 0)
    return np.clip(place, -limits, limits)


def around(eye: Any, place: tuple[float, float], side: float, pixels: int) -> View:
    """A square part around a place, ``pixels`` wide, moved to stay on the picture."""
    x, y = moved_in(place, side, eye.half)
    half = side / 2
    return eye.view((x - half, y - half, x + half, y + half), pixels / side)
