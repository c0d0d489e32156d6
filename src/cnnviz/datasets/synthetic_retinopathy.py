"""What makes a synthetic eye of a grade: which lesions there are, and how many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.datasets import synthetic_vessels as vessels
from cnnviz.datasets.synthetic_scene import BEADING, LOOP, MANY_HEMORRHAGES, NEOVASCULARIZATION

if TYPE_CHECKING:
    from cnnviz.datasets.synthetic_lesions import Lesions

__all__ = ["draw_lesions"]


def _many_hemorrhages(lesions: Lesions) -> None:
    """More than twenty hemorrhages in every quadrant that is in view."""
    counts = np.zeros(4, int)
    wanted = lesions.rng.integers(MANY_HEMORRHAGES + 1, MANY_HEMORRHAGES + 13, 4)
    for _ in range(20000):
        if (counts >= wanted).all():
            return
        place = lesions.place()
        quadrant = lesions.quadrant(place)
        if counts[quadrant] < wanted[quadrant]:
            lesions.hemorrhage(place)
            counts[quadrant] += 1
    raise AssertionError("a quadrant is out of view")


def draw_lesions(
    lesions: Lesions, wanted: int, segments: np.ndarray
) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Draw what makes an eye of a grade.

    Returns
    -------
    segments : float array, ``(n, 7)``
    marked : dict
        Kinds of lesions that are vessels -> indices of their segments.
    """
    rng, marked = lesions.rng, {}
    if wanted == 0:
        return segments, marked
    centers = [lesions.place() for _ in range(rng.integers(1, 4))]
    if wanted == 1:
        lesions.microaneurysms(1 + min(int(rng.exponential(4)), 14), centers)
        return segments, marked
    severe = wanted >= 3
    lesions.microaneurysms(int(np.exp(rng.normal(2.9 + 0.6 * severe, 0.7))), centers)
    beaded = rng.choice(4, 1 if rng.random() < 0.1 else 0, replace=False)
    if wanted == 3:
        beading = rng.random() < 0.35
        if beading:
            beaded = rng.choice(4, rng.integers(2, 5), replace=False)
        if not beading or rng.random() < 0.3:
            _many_hemorrhages(lesions)
    count = int(np.exp(rng.normal(1.7 + 0.9 * severe, 0.9)))
    # Below the severe grade a quadrant never has many.
    for _ in range(min(count, MANY_HEMORRHAGES if wanted == 2 else 60)):
        lesions.hemorrhage(lesions.near(centers, 0.25))
    if rng.random() < 0.65:
        lesions.exudates(1 + min(int(rng.exponential(4.5)), 18))
    if rng.random() < 0.25 + 0.25 * severe:
        lesions.soft_exudates(int(rng.integers(1, 7)))
    segments = _beaded(rng, segments, beaded, lesions, marked)
    if severe and rng.random() < 0.2:
        segments = _append(segments, vessels.loop(rng, segments), LOOP, marked)
    if wanted == 4:
        segments = _proliferation(lesions, segments, marked)
    if not lesions.kinds and not marked:
        lesions.hemorrhage(lesions.place())
    return segments, marked


def _beaded(
    rng: np.random.Generator,
    segments: np.ndarray,
    quadrants: np.ndarray,
    lesions: Lesions,
    marked: Any,
) -> np.ndarray:
    beaded = []
    for quadrant in quadrants:
        beaded.append(
            vessels.bead(
                rng,
                segments,
                lambda x, y, q=quadrant: np.array(
                    [
                        lesions.quadrant(place) == q and np.hypot(*place) < 0.92
                        for place in zip(x, y)
                    ],
                    bool,
                ),
            )
        )
    if beaded:
        marked[BEADING] = np.concatenate(beaded)
    return segments


def _append(segments: np.ndarray, more: np.ndarray, kind: int, marked: Any) -> np.ndarray:
    if len(more):
        marked[kind] = np.append(
            marked.get(kind, np.array([], int)), len(segments) + np.arange(len(more))
        )
    return np.concatenate([segments, more])


def _proliferation(
    lesions: Lesions, segments: np.ndarray, marked: Mapping[int, np.ndarray]
) -> np.ndarray:
    """New vessels at the disc or elsewhere, preretinal blood, or both."""
    rng = lesions.rng
    both = rng.random()
    if both < 0.8:
        for _ in range(rng.integers(1, 4)):
            if rng.random() < 0.4:
                angle = rng.uniform(0, 2 * np.pi)
                center = lesions.disc[:2] + 0.7 * lesions.disc[2] * np.array(
                    [np.cos(angle), np.sin(angle)]
                )
            else:
                center = lesions.place(0.8)
            new = vessels.tangle(rng, center, rng.uniform(0.06, 0.2), int(rng.integers(7, 18)))
            segments = _append(segments, new, NEOVASCULARIZATION, marked)
    if both > 0.55:
        for _ in range(rng.integers(1, 3)):
            lesions.preretinal()
    return segments
