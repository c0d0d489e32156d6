"""Lesions of synthetic photographs, and of IDRiD's outlined ones, measured alike."""

from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from cnnviz.datasets import external, idrid, lesion_statistics, synthetic

__all__ = ["ROWS", "real_lesions", "synthetic_lesions"]

ROWS = 1424  #: of a synthetic photograph
_SEED = 77
_SHARES = np.array([0, 0, 1, 1, 1]) / 3  # grades with lesions of all kinds


def real_lesions(mirror: Path | None) -> list[dict[str, Any]]:
    """Lesions of IDRiD's outlined photographs; see :func:`.lesion_statistics.lesions`."""
    folder, rows = external.mirror(mirror), []
    for record in tqdm(idrid.records("lesions"), unit=" photographs"):
        rows += lesion_statistics.lesions(*idrid.outlined(record, folder))
    return rows


def synthetic_lesions(count: int) -> list[dict[str, Any]]:
    """Lesions of so many synthetic photographs."""
    rows: list[dict[str, Any]] = []
    for index in tqdm(range(count), unit=" photographs"):
        scene = synthetic.pair([_SEED, index], _SHARES)[index % 2]
        picture, masks = synthetic.photograph(scene, ROWS)
        if masks:
            rows += lesion_statistics.lesions(
                picture, {name: mask > 0.5 for name, mask in masks.items()}
            )
    return rows
