"""Patients at random: colors, camera, grades of both eyes."""

from __future__ import annotations

import numpy as np

from cnnviz.datasets.synthetic_scene import Patient

__all__ = ["NATURAL_SHARES", "other_grade", "patient"]

#: Shares of the grades 0 to 4 among the competition's training labels.
NATURAL_SHARES = np.array([25810, 2443, 5292, 873, 708]) / 35126

# Chosen so that grades of both eyes agree as the competition's labels do
# (quadratic weighted kappa 0.8545).
_SAME_GRADE = 0.775


def patient(rng: np.random.Generator) -> Patient:
    """A patient and the camera that photographs both eyes.

    The distribution of colors is wider than IDRiD's, whose photographs come
    from a single camera.
    """
    # Logarithms of red, green, blue correlate as they do in IDRiD.
    common, yellow, cold = rng.normal(size=3)
    color = np.exp(
        [
            np.log(0.68) + 0.17 * common,
            np.log(0.345) + 0.21 * common + 0.11 * yellow,
            np.log(0.115) + 0.20 * common + 0.10 * yellow + 0.55 * cold,
        ]
    )
    color = np.clip(color, [0.25, 0.10, 0.01], [0.92, 0.62, 0.45])
    color[2] = min(color[2], 0.7 * color[1])  # the fundus is never blue
    blood = np.exp(rng.normal(0, 0.15))
    absorption = blood * np.array([[0.09, 0.32, 0.22], [0.19, 0.52, 0.30], [0.14, 0.42, 0.26]])
    return Patient(
        color=color,
        tint=np.array([0.55, 1.0, 0.8]) * np.exp(rng.normal(0, 0.2)),
        tessellation=max(0.0, rng.normal(-0.01, 0.045)),
        absorption=absorption,
        vein=0.0135 * np.exp(rng.normal(0, 0.12)),
        tortuosity=0.045 * np.exp(rng.normal(0, 0.3)),
        cut=rng.choice([1.05, rng.uniform(0.8, 0.9), rng.uniform(0.9, 1.0)]),
        centered=rng.choice(["macula", "disc", "between"], p=[0.6, 0.12, 0.28]),
        grain=rng.uniform(0.004, 0.014),
        notch=rng.choice([0.0, rng.uniform(0.02, 0.05)]),
        original_rows=int(rng.choice([1944, 2336, 2848, 3168])),
    )


def other_grade(rng: np.random.Generator, first: int) -> int:
    """Grade of the other eye."""
    if rng.random() < _SAME_GRADE:
        return first
    step = rng.choice([-2, -1, 1, 2], p=[0.2, 0.3, 0.3, 0.2])
    return int(np.clip(first + step, 0, 4))
