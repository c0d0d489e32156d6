"""What is on a synthetic fundus photograph: anatomy, lesions, camera, grade.

A scene is a description, in numbers, that can be drawn at any size
(:mod:`cnnviz.datasets.synthetic`).  Lesions are drawn for a grade of the
International Clinical Disease Severity Scale (Wilkinson et al. 2003; thesis
section 4.1.2), and :func:`grade` reads it off again from what is there.

Lengths are in radii of the field of view; x points to the right, y down.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["ARTIFACTS", "LESIONS", "Patient", "Scene", "grade", "quadrant_of"]

#: Kinds of lesions, in the order of their masks.
LESIONS = (
    "microaneurysm",
    "hemorrhage",
    "hard exudate",
    "soft exudate",
    "preretinal hemorrhage",
    "neovascularization",
    "venous beading",
    "venous loop",
)
(
    MICROANEURYSM,
    HEMORRHAGE,
    HARD_EXUDATE,
    SOFT_EXUDATE,
    PRERETINAL,
    NEOVASCULARIZATION,
    BEADING,
    LOOP,
) = range(len(LESIONS))
#: Blobs that are no lesions, by their kinds.
ARTIFACTS = {-1: "glare spot", -2: "dust", -3: "lens flare"}
GLARE, DUST, FLARE = ARTIFACTS

# Severe by the 4-2-1 rule: more than this many hemorrhages in each quadrant,
# or venous beading in two.
MANY_HEMORRHAGES = 20


@dataclass(frozen=True)
class Patient:
    """What both eyes of a patient share."""

    color: np.ndarray  #: of the background, ``(3,)``, 0 to 1
    tint: np.ndarray  #: how the choroid's texture changes each channel
    tessellation: float  #: how strongly the choroid's vessels shine through
    absorption: np.ndarray  #: of arteries, veins, new vessels, ``(3, 3)``
    vein: float  #: half width of the thickest vein
    tortuosity: float
    cut: float  #: rows of the field beyond are not photographed
    centered: str  #: "macula", "disc" or "between"
    grain: float  #: noise of the camera
    notch: float  #: size of the mark at the edge, 0 for none
    original_rows: int  #: of the camera's photographs

    @property
    def half(self) -> float:
        """How far from the center rows are seen, in radii."""
        return min(self.cut, 1.0)


@dataclass
class Scene:
    """One eye's photograph as a description."""

    seed: int
    side: str  #: "left" or "right"
    patient: Patient
    disc: np.ndarray  #: x, y, radius, elongation, angle, cup, offset
    disc_colors: np.ndarray  #: of rim and cup, ``(2, 3)``
    fovea: np.ndarray  #: x, y
    macula: np.ndarray  #: radius, darkening; of the fovea likewise
    segments: np.ndarray  #: vessels, ``(n, 7)``
    marked: dict  #: kind of lesion -> indices of segments
    shapes: np.ndarray  #: blobs, ``(m, 13)``
    colors: np.ndarray  #: their contrasts, ``(m, 3)``
    kinds: np.ndarray  #: their kinds; below 0 for artifacts
    light: np.ndarray  #: gradients and falloff
    rim: np.ndarray  #: overexposed crescent
    haze: np.ndarray
    sharpness: float  #: standard deviation of the blur
    notch: float  #: direction of the mark at the edge
    text: str  #: burned into the picture; mostly empty
    artifacts: tuple = field(default=())  #: names of those that are there
    grade: int = 0


def quadrant_of(place: Any, disc: np.ndarray, fovea: np.ndarray) -> int:
    middle = (np.asarray(disc[:2]) + fovea) / 2
    return 2 * int(place[1] > middle[1]) + int(place[0] > middle[0])


def grade(what: Scene, window: Any = None) -> int:
    """Grade 0 to 4 by the International Clinical Disease Severity Scale.

    None: no lesion.  Mild: microaneurysms only.  Severe: more than twenty
    hemorrhages in each of four quadrants, or venous beading in two (the
    scale's third criterion, intraretinal microvascular abnormalities, is not
    drawn).  Proliferative: new vessels or preretinal hemorrhage.  Moderate:
    everything in between.

    Parameters
    ----------
    what : Scene
    window : (left, top, right, bottom), optional
        Grade what lies in this part of the plane only, as one quadrant: for
        narrow-field pictures, which training begins with.

    Returns
    -------
    int
    """

    def visible(places):
        if window is None:
            return np.ones(len(places), bool)
        left, top, right, bottom = window
        return (
            (places[:, 0] > left)
            & (places[:, 0] < right)
            & (places[:, 1] > top)
            & (places[:, 1] < bottom)
        )

    seen = visible(what.shapes[:, :2])
    marked = {
        kind: segments[visible(what.segments[segments, :2])]
        for kind, segments in what.marked.items()
    }
    present = set(what.kinds[seen & (what.kinds >= 0)].tolist())
    present |= {kind for kind, segments in marked.items() if len(segments)}
    if not present:
        return 0
    if present == {MICROANEURYSM}:
        return 1
    if present & {NEOVASCULARIZATION, PRERETINAL}:
        return 4
    places = what.shapes[seen & (what.kinds == HEMORRHAGE), :2]
    quadrants = [quadrant_of(place, what.disc, what.fovea) for place in places]
    counts = np.bincount(quadrants, minlength=4)
    beaded = {
        quadrant_of(what.segments[index, :2], what.disc, what.fovea)
        for index in marked.get(BEADING, ())
    }
    if window is not None:
        return 3 if counts.sum() > MANY_HEMORRHAGES or beaded else 2
    return 3 if (counts > MANY_HEMORRHAGES).all() or len(beaded) >= 2 else 2
