"""Artifacts of photography at random: what the thesis found features for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cnnviz.datasets.synthetic_lesions import Blob
from cnnviz.datasets.synthetic_scene import DUST, FLARE, GLARE

if TYPE_CHECKING:
    from cnnviz.datasets.synthetic_lesions import Lesions

__all__ = ["burned_in_text", "draw_artifacts", "overexposed_rim"]


def draw_artifacts(rng: np.random.Generator, lesions: Lesions) -> list[str]:
    """Glare, dust and flare into the collected blobs; returns their names."""
    names = []
    if rng.random() < 0.12:
        names.append("glare spots")
        _glare_spots(rng, lesions)
    if rng.random() < 0.20:
        names.append("dust")
        _dust(rng, lesions)
    if rng.random() < 0.07:
        names.append("lens flare")
        _lens_flare(rng, lesions)
    return names


def _glare_spots(rng: np.random.Generator, lesions: Lesions) -> None:
    for _ in range(rng.integers(1, 6)):
        lesions.add(
            Blob(
                GLARE,
                lesions.place(),
                rng.uniform(0.02, 0.09),
                1.0,
                0.0,
                rng.uniform(0.3, 1.2),
                ragged=0.05,
                color=rng.uniform(0.25, 0.7) * np.array([0.5, 1.0, 1.3]),
            )
        )


def _dust(rng: np.random.Generator, lesions: Lesions) -> None:
    for _ in range(rng.integers(1, 9)):
        lesions.add(
            Blob(
                DUST,
                lesions.place(),
                rng.uniform(0.015, 0.05),
                1.0,
                0.0,
                1.3,
                color=rng.choice([-1, 1], p=[0.35, 0.65])
                * rng.uniform(0.03, 0.09)
                * np.array([0.8, 0.9, 1.0]),
            )
        )


def _lens_flare(rng: np.random.Generator, lesions: Lesions) -> None:
    angle = rng.uniform(0, 2 * np.pi)
    for position in rng.uniform(-0.7, 0.7, rng.integers(1, 4)):
        lesions.add(
            Blob(
                FLARE,
                position * np.array([np.cos(angle), np.sin(angle)]),
                rng.uniform(0.08, 0.35),
                1.0,
                0.0,
                0.25,
                ragged=0.0,
                color=rng.uniform(0.06, 0.18) * np.array([0.6, 1.2, 1.0]),
            )
        )


def overexposed_rim(rng: np.random.Generator) -> np.ndarray:
    """Direction, width, depth, strength and colors of a crescent at the edge, ``(7,)``."""
    return np.array(
        [
            rng.uniform(0, 2 * np.pi),
            rng.uniform(0.3, 1.4),
            rng.uniform(0.03, 0.20),
            rng.uniform(0.3, 1.0),
            *np.clip(rng.normal([0.75, 0.8, 0.75], 0.12), 0.3, 1),
        ]
    )


def burned_in_text(rng: np.random.Generator, side: str) -> str:
    """What a camera writes into the picture of a left or a right eye."""
    return f"{'OD' if side == 'right' else 'OS'} {rng.integers(100, 99999)}"
