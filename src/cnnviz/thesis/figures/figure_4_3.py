"""Figure 4.3: proliferative retinopathy, annotated.

Rule, not choice: the first eye of the data set, left before right, of grade 4 and
without artifacts, that shows venous beading, new vessels and a preretinal
hemorrhage clearly; of several, the widest bead, the farthest-reaching new
vessels, and the largest hemorrhage.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cnnviz.datasets import synthetic_scene
from cnnviz.thesis.figures import annotated, conspicuous, eyes, pointers, style

GRADES = (4,)
SEARCHED = 5000  # patients
BEADING, NEW_VESSELS, PRERETINAL = ("venous beading", "neovascularization", "preretinal hemorrhage")
#: Half width of a bead, reach of new vessels, diameter of a hemorrhage; in radii.
LEAST_BEAD, LEAST_REACH, LEAST_BLOOD = 0.012, 0.1, 0.15

BEAD_SIDE, FAN_SIDE = 0.36, 2.4  # of close-ups: in radii, and in reaches
LEGEND = (
    ("white arrow", "venous beading"),
    ("blue arrow", "where the new vessels leave (the thesis's stalk)"),
    ("black arrow", "end of their fan"),
    ("green arrow", "preretinal hemorrhage"),
)


class Found(NamedTuple):
    """Where an eye shows what; in radii of the field of view."""

    bead: tuple  #: x, y
    root: tuple  #: x, y: where new vessels fan out from
    reach: float  #: of these, from the root
    blood: eyes.Spot


def segments(scene: Any, kind: Any) -> Any:
    """Segments of a scene that are a lesion of a kind: array ``(n, 7)``."""
    number = synthetic_scene.LESIONS.index(kind)
    return scene.segments[scene.marked.get(number, np.array([], int))]


def widest(beads: np.ndarray, half: int) -> tuple[float, float] | None:
    """Place of the widest bead that is well inside, as (x, y); None without one."""
    inside = np.array([conspicuous.well_inside(each, half) for each in beads[:, :2]], bool)
    wide = beads[inside & (beads[:, 4] >= LEAST_BEAD)]
    return tuple(wide[wide[:, 4].argmax(), :2].tolist()) if len(wide) else None


def fans(found: np.ndarray) -> list[tuple[tuple[Any, ...], float]]:
    """Roots of new vessels and how far those of each reach.

    Parameters
    ----------
    found : array, ``(n, 7)``
        Threads one after the other, each from its root on.

    Returns
    -------
    list of ((x, y), reach)
    """
    starts = np.r_[True, (found[1:, :2] != found[:-1, 2:4]).any(axis=1)][: len(found)]
    roots = {}
    for start, row in zip(starts, found):
        if start:
            root = tuple(row[:2].tolist())
        reach = np.hypot(*(row[2:4] - root))
        roots[root] = max(roots.get(root, 0.0), float(reach))
    return list(roots.items())


def choose(eye: Any) -> Found | None:
    """What the figure points at, or None if an eye lacks some of it.

    Parameters
    ----------
    eye : annotated.Synthetic

    Returns
    -------
    Found
    """
    bead = widest(segments(eye.scene, BEADING), eye.half)
    tangles = [
        (root, reach)
        for root, reach in fans(segments(eye.scene, NEW_VESSELS))
        if reach >= LEAST_REACH and conspicuous.well_inside(root, eye.half)
    ]
    blood = conspicuous.conspicuous(
        eye.spots(), PRERETINAL, eye.half, conspicuous.Criteria((LEAST_BLOOD, 0.0))
    )
    if bead is None or not tangles or not blood:
        return None
    return Found(bead, *max(tangles, key=lambda each: each[1]), blood[0])


def row(title: Any, eye: Any, signs: Any) -> Any:
    """The eye and its close-ups: annotated.Row."""
    mark, blood = pointers.Mark, (signs.blood.x, signs.blood.y)
    return annotated.Row(
        title,
        eye,
        [
            annotated.Part(
                "venous beading",
                signs.bead,
                BEAD_SIDE,
                [mark("white arrow", signs.bead, BEADING, 2 * LEAST_BEAD)],
            ),
            annotated.Part(
                "new vessels",
                signs.root,
                FAN_SIDE * signs.reach,
                [mark("blue arrow", signs.root, ""), mark("black arrow", signs.root, NEW_VESSELS)],
            ),
        ],
        (mark("green arrow", blood, PRERETINAL),),
        LEGEND,
    )


def make(output: Path, *, seed: int) -> None:
    name, eye, found = conspicuous.first(seed, GRADES, SEARCHED, choose)
    style.save(annotated.sheet([row(f"synthetic photograph {name}, grade 4", eye, found)]), output)
