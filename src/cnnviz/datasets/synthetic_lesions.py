"""Lesions at random: their places, sizes, shapes and contrasts.

Sizes, elongations and contrasts of lesions follow their distributions in the
photographs of IDRiD (Porwal et al. 2018), as measured by
:mod:`cnnviz.datasets.lesion_statistics`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnnviz.datasets.synthetic_scene import (
    HARD_EXUDATE,
    HEMORRHAGE,
    MICROANEURYSM,
    PRERETINAL,
    SOFT_EXUDATE,
    quadrant_of,
)

if TYPE_CHECKING:
    from cnnviz.datasets.synthetic_scene import Patient

__all__ = ["Blob", "Lesions"]

# Medians, and standard deviations of the logarithm, of lesions' diameters in
# IDRiD's photographs, in radii of the field of view.
_DIAMETER = {
    MICROANEURYSM: (0.0104, 0.34),
    HEMORRHAGE: (0.0244, 0.55),
    HARD_EXUDATE: (0.0100, 0.58),
    SOFT_EXUDATE: (0.060, 0.35),
}
# Medians of the logarithmic contrast in red, green and blue, and its spread.
# Before the blur of optics and sensor, which takes some from the small ones.
_CONTRAST = {
    MICROANEURYSM: ((-0.040, -0.175, -0.10), 0.38),
    HEMORRHAGE: ((-0.040, -0.150, -0.05), 0.38),
    HARD_EXUDATE: ((0.078, 0.245, 0.38), 0.48),
    SOFT_EXUDATE: ((0.058, 0.270, 0.30), 0.40),
    PRERETINAL: ((-0.30, -0.80, -0.40), 0.20),
}


class Blob(NamedTuple):
    """One lesion or spot, in radii of the field of view."""

    kind: int
    place: np.ndarray  #: (x, y) of its middle
    diameter: float
    elongation: float = 1.0
    angle: float = 0.0  #: of the long axis, radians
    edge: float = 0.5  #: width of the soft edge, in half diameters
    boat: float = 0.0  #: share that a level upper surface cuts off
    ragged: float = 0.1  #: of the outline
    color: np.ndarray | None = None  #: contrast; a random one of its kind when None


class Lesions:
    """Collects the lesions of one eye while they are drawn at random."""

    def __init__(
        self, rng: np.random.Generator, who: Patient, disc: np.ndarray, fovea: np.ndarray
    ) -> None:
        self.rng, self.who, self.disc, self.fovea = rng, who, disc, fovea
        self.shapes, self.colors, self.kinds = [], [], []
        # All lesions of an eye share part of their contrast: age, light.
        self.shared = {kind: rng.normal(0, spread * 0.6) for kind, (_, spread) in _CONTRAST.items()}

    def place(self, spread: float = 1.0) -> np.ndarray:
        """A random place that the photograph shows, off the disc."""
        while True:
            x, y = self.rng.uniform(-0.95, 0.95, 2) * spread
            if (
                x * x + y * y < 0.90
                and abs(y) < 0.96 * self.who.half
                and np.hypot(x - self.disc[0], y - self.disc[1]) > 1.3 * self.disc[2]
            ):
                return np.array([x, y])

    def inside(self, place: np.ndarray) -> bool:
        """Whether a place is photographed, off the disc."""
        x, y = place
        return (
            x * x + y * y < 0.92
            and abs(y) < 0.97 * self.who.half
            and np.hypot(x - self.disc[0], y - self.disc[1]) > 1.1 * self.disc[2]
        )

    def diameter(self, kind: int) -> float:
        """A random diameter."""
        median, spread = _DIAMETER[kind]
        return median * np.exp(np.clip(self.rng.normal(0, spread), -1.6, 2.2))

    def color(self, kind: int) -> np.ndarray:
        """A random contrast."""
        median, spread = _CONTRAST[kind]
        strength = np.exp(self.shared[kind] + self.rng.normal(0, 0.8 * spread))
        return np.array(median) * strength * np.exp(self.rng.normal(0, 0.1, 3))

    def add(self, blob: Blob) -> None:
        """Add one blob."""
        amplitudes = blob.ragged * np.abs(self.rng.normal(0, [0.6, 0.8, 0.6]))
        phases = self.rng.uniform(0, 2 * np.pi, 3)
        self.shapes.append(
            [
                *blob.place,
                blob.diameter / 2,
                blob.elongation,
                blob.angle,
                blob.edge,
                blob.boat,
                *np.column_stack([amplitudes, phases]).ravel(),
            ]
        )
        self.colors.append(self.color(blob.kind) if blob.color is None else blob.color)
        self.kinds.append(blob.kind)

    def fibers(self, place: np.ndarray) -> float:
        """Direction of the nerve fibers: away from the disc."""
        return np.arctan2(place[1] - self.disc[1], place[0] - self.disc[0])

    def microaneurysms(self, count: int, centers: Sequence[Any] = ()) -> None:
        """Small red dots, often in groups."""
        for _ in range(count):
            place = self.near(centers, 0.15)
            self.add(
                Blob(
                    MICROANEURYSM,
                    place,
                    self.diameter(MICROANEURYSM),
                    1 + abs(self.rng.normal(0, 0.2)),
                    self.rng.uniform(0, np.pi),
                    edge=0.7,
                    ragged=0.06,
                )
            )

    def near(self, centers: Sequence[np.ndarray], spread: float) -> np.ndarray:
        """A place, near one of the centers more often than not."""
        if len(centers) and self.rng.random() < 0.65:
            for _ in range(20):
                place = centers[self.rng.integers(len(centers))] + self.rng.normal(0, spread, 2)
                if self.inside(place):
                    return place
        return self.place()

    def hemorrhage(self, place: np.ndarray) -> None:
        """A dot, blot or flame hemorrhage."""
        kind = self.rng.choice(["dot", "blot", "flame"], p=[0.4, 0.4, 0.2])
        diameter = self.diameter(HEMORRHAGE)
        if kind == "dot":
            self.add(
                Blob(
                    HEMORRHAGE,
                    place,
                    max(0.65 * diameter, 0.012),
                    self.rng.uniform(1, 1.5),
                    self.rng.uniform(0, np.pi),
                    0.5,
                    ragged=0.15,
                )
            )
        elif kind == "blot":
            self.add(
                Blob(
                    HEMORRHAGE,
                    place,
                    1.3 * diameter,
                    self.rng.uniform(1.1, 2.7),
                    self.rng.uniform(0, np.pi),
                    0.35,
                    ragged=0.35,
                )
            )
        else:
            self.add(
                Blob(
                    HEMORRHAGE,
                    place,
                    diameter,
                    self.rng.uniform(2.5, 4.5),
                    self.fibers(place) + self.rng.normal(0, 0.15),
                    0.5,
                    ragged=0.3,
                )
            )

    def exudates(self, groups: int) -> None:
        """Hard exudates: clusters, and circinate rings around a leak."""
        for _ in range(groups):
            # The macula is where they gather.
            center = self.near([self.fovea], 0.3)
            ring = self.rng.random() < 0.35
            radius = self.rng.uniform(0.05, 0.16)
            for _ in range(int(np.exp(self.rng.normal(3.0, 0.8))) + 2):
                if ring:
                    angle = self.rng.uniform(0, 2 * np.pi)
                    place = center + radius * np.exp(self.rng.normal(0, 0.12)) * np.array(
                        [np.cos(angle), np.sin(angle)]
                    )
                else:
                    place = center + self.rng.normal(0, 0.5 * radius, 2)
                if self.inside(place):
                    self.add(
                        Blob(
                            HARD_EXUDATE,
                            place,
                            self.diameter(HARD_EXUDATE),
                            self.rng.uniform(1, 2.0),
                            self.rng.uniform(0, np.pi),
                            0.35,
                            ragged=0.3,
                        )
                    )

    def soft_exudates(self, count: int) -> None:
        """Cotton-wool spots: pale, with feathery edges, along the fibers."""
        for _ in range(count):
            place = self.near([self.disc[:2]], 0.4)
            self.add(
                Blob(
                    SOFT_EXUDATE,
                    place,
                    self.diameter(SOFT_EXUDATE),
                    self.rng.uniform(1.1, 2.2),
                    self.fibers(place) + np.pi / 2 + self.rng.normal(0, 0.4),
                    1.1,
                    ragged=0.15,
                )
            )

    def preretinal(self) -> None:
        """Blood before the retina: boat-shaped, level on top."""
        place = self.near([self.disc[:2], self.fovea], 0.3)
        self.add(
            Blob(
                PRERETINAL,
                place,
                self.rng.uniform(0.12, 0.45),
                self.rng.uniform(1.2, 2.6),
                self.rng.normal(0, 0.1),
                0.10,
                boat=self.rng.uniform(0.05, 0.5),
                ragged=0.12,
            )
        )

    def quadrant(self, place: np.ndarray | Sequence[Any]) -> int:
        """0 to 3, around the fovea's and the disc's middle."""
        return quadrant_of(place, self.disc, self.fovea)
