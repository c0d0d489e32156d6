"""Figure 4.2: non-proliferative retinopathy, annotated.

Rule, not choice: the first eye of the data set, left before right, of grade 2 or 3
and without artifacts, that shows two hard exudates, a blot hemorrhage and a
microaneurysm clearly; and, of the most conspicuous ones, those.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnnviz.datasets import external, idrid
from cnnviz.runtime.errors import UserError
from cnnviz.thesis.figures import annotated, conspicuous, eyes, pointers, style

GRADES = (2, 3)
SEARCHED = 2000  # patients
#: How many of each, the rarest first.  At least: diameter, in radii of the field of view, and
#: logarithmic contrast.  A microaneurysm has its own diameter free around it; a blot touches
#: nothing, and is not elongated as flames are.
WANTED = {
    "microaneurysm": (1, conspicuous.Criteria((0.015, 0.2), alone=1.0)),
    "hemorrhage": (1, conspicuous.Criteria((0.035, 0.15), longest=2.0, alone=0.0)),
    "hard exudate": (2, conspicuous.Criteria((0.02, 0.3))),
}
NAMES = {
    "hard exudate": "hard exudate",
    "hemorrhage": "blot hemorrhage",
    "microaneurysm": "microaneurysm",
}
ARROWS = {"hard exudate": "thin arrow", "hemorrhage": "thick arrow", "microaneurysm": "triangle"}


def choose(spots: Sequence[eyes.Spot], half: float) -> list[eyes.Spot] | None:
    """The lesions that the figure points at, or None if an eye lacks one.

    Parameters
    ----------
    spots : list of annotated.Spot
    half : float
        How far from the center rows are seen.

    Returns
    -------
    list of annotated.Spot
        A microaneurysm, a hemorrhage and two hard exudates, whose close-ups do not
        overlap.
    """
    lesions = []
    for kind, (count, criteria) in WANTED.items():
        chosen = conspicuous.conspicuous(spots, kind, half, criteria, count, lesions)
        if len(chosen) < count:
            return None
        lesions += chosen
    return lesions


def first_synthetic(seed: int) -> Any:
    """The first synthetic eye that shows everything.

    Returns
    -------
    name : str
    eye : annotated.Synthetic
    spots : list of annotated.Spot

    Raises
    ------
    ValueError
        If there is none.
    """
    return conspicuous.first(seed, GRADES, SEARCHED, lambda eye: choose(eye.spots(), eye.half))


def first_real(mirror: Path | None) -> Any:
    """The first photograph of IDRiD that shows everything; as :func:`first_synthetic`."""
    for record in idrid.records("lesions"):
        if record.grade in GRADES:
            eye = eyes.Real(*idrid.outlined(record, mirror))
            spots = choose(eye.spots(), eye.half)
            if spots:
                return record, eye, spots
    raise UserError("no photograph of IDRiD shows everything that Figure 4.2 is about")


def row(title: Any, eye: Any, spots: Any) -> Any:
    """An eye and close-ups of its chosen lesions: annotated.Row."""
    return annotated.Row(
        title,
        eye,
        [
            annotated.Part(
                NAMES[spot.kind],
                (spot.x, spot.y),
                conspicuous.side(spot),
                [pointers.Mark(ARROWS[spot.kind], (spot.x, spot.y), spot.kind)],
            )
            for spot in reversed(spots)
        ],
    )


def make(output: Path, *, mirror: Path | None, seed: int) -> None:
    name, eye, spots = first_synthetic(seed)
    rows = [row(f"synthetic photograph {name}, grade {eye.scene.grade}", eye, spots)]
    mirror = external.mirror(mirror)
    if mirror:
        record, eye, spots = first_real(mirror)
        rows.append(row(f"{record.name}, grade {record.grade}", eye, spots))
    style.save(annotated.sheet(rows), output)
