"""One eye of a patient, laid out at random for a grade."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cnnviz.datasets import synthetic_vessels as vessels
from cnnviz.datasets.synthetic_artifacts import burned_in_text, draw_artifacts, overexposed_rim
from cnnviz.datasets.synthetic_lesions import Lesions
from cnnviz.datasets.synthetic_retinopathy import draw_lesions
from cnnviz.datasets.synthetic_scene import Scene, grade

if TYPE_CHECKING:
    from cnnviz.datasets.synthetic_scene import Patient

__all__ = ["scene"]


def _anatomy(
    rng: np.random.Generator, who: Patient, mirror: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Disc and fovea, of a right eye where ``mirror`` is 1."""
    distance = 0.768 * np.exp(rng.normal(0, 0.05))
    shift = {
        "macula": rng.normal(0.05, 0.10),
        "disc": rng.normal(0.78, 0.06),
        "between": rng.normal(0.33, 0.06),
    }[who.centered]
    fovea = np.array([-shift, rng.normal(0.06, 0.06)])
    tilt = rng.normal(-0.11, 0.09)
    center = fovea + distance * np.array([np.cos(tilt), np.sin(tilt)])
    size = 0.155 * np.exp(rng.normal(0, 0.06))
    disc = np.array(
        [
            mirror * center[0],
            center[1],
            size,
            rng.normal(1.1, 0.06),
            rng.normal(0, 0.15),
            rng.uniform(0.25, 0.6),
            mirror * rng.normal(-0.06, 0.05),
        ]
    )
    strength = np.exp(rng.normal(0, 0.3))
    pale = np.array([0.20, 0.36, 0.55]) * strength
    cup = np.array([0.06, 0.26, 0.50]) * strength * rng.uniform(0.6, 1.3)
    macula = np.array(
        [
            rng.uniform(0.25, 0.4),
            rng.uniform(0.08, 0.35),
            rng.uniform(0.055, 0.095),
            rng.uniform(0.10, 0.45),
        ]
    )
    return disc, np.array([pale, cup]), fovea * [mirror, 1], macula


def scene(seed: int, side: str, who: Patient, wanted: int) -> Scene:
    """A photograph of one eye with a given grade.

    Parameters
    ----------
    seed : int
    side : str
        "left" or "right".
    who : Patient
    wanted : int
        Grade, 0 to 4.

    Returns
    -------
    Scene
        Its ``grade`` is read off from what it shows, and is the wanted one.
    """
    rng = np.random.default_rng(seed)
    # In a right eye the disc is on the right of the macula.
    mirror = 1 if side == "right" else -1
    while True:
        what = _scene(rng, seed, side, mirror, who, wanted)
        what.grade = grade(what)
        if what.grade == wanted:
            return what


def _light(rng: np.random.Generator) -> np.ndarray:
    """Gradients along x and y, falloff with two powers of the radius, and its part in blue."""
    return np.array(
        [
            *rng.normal(0, 0.13, 2),
            rng.uniform(-0.02, 0.28),
            rng.uniform(0.02, 0.28),
            rng.normal(0.1, 0.15),
        ]
    )


def _scene(
    rng: np.random.Generator, seed: int, side: str, mirror: int, who: Patient, wanted: int
) -> Scene:
    disc, disc_colors, fovea, macula = _anatomy(rng, who, mirror)
    starts = vessels.trunks(rng, disc[:2], fovea, who.vein)
    segments = vessels.grow(rng, starts, disc[:2], fovea, who.tortuosity)
    lesions = Lesions(rng, who, disc, fovea)
    segments, marked = draw_lesions(lesions, wanted, segments)
    names = draw_artifacts(rng, lesions)
    rim = np.zeros(7)
    if rng.random() < 0.22:
        names.append("overexposed rim")
        rim = overexposed_rim(rng)
    text = ""
    if rng.random() < 0.04:
        names.append("text")
        text = burned_in_text(rng, side)
    haze = np.array(
        [0.35 * max(0.0, rng.normal(0, 0.3)) ** 1.5, *(0.6 * who.color + rng.uniform(0.1, 0.3))]
    )
    return Scene(
        seed=seed,
        side=side,
        patient=who,
        disc=disc,
        disc_colors=disc_colors,
        fovea=fovea,
        macula=macula,
        segments=segments,
        marked=marked,
        shapes=np.array(lesions.shapes).reshape(-1, 13),
        colors=np.array(lesions.colors).reshape(-1, 3),
        kinds=np.array(lesions.kinds, int),
        light=_light(rng),
        rim=rim,
        haze=haze,
        sharpness=0.0021 * np.exp(abs(rng.normal(0, 0.45))),
        notch=rng.uniform(-0.9, -0.5),
        text=text,
        artifacts=tuple(names),
    )
