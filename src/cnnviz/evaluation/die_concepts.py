"""Measures of what a saliency map points at, on masks that are exact."""

from __future__ import annotations

import numpy as np

from cnnviz.datasets import die360

__all__ = ["CONCEPTS", "concept_lift", "concept_masks"]

#: Parts of a picture of the die, in the order of the masks.
CONCEPTS = ("background", "edge", "face", "pip")


def concept_masks(region: np.ndarray) -> np.ndarray:
    """Masks of the concepts from the regions of pixels.

    Parameters
    ----------
    region : uint8 array, ``(n, rows, columns)``
        From :func:`cnnviz.datasets.die360.regions`.

    Returns
    -------
    bool array, ``(4, n, rows, columns)``
        In the order of :data:`CONCEPTS`; every pixel is in one of them.
    """
    return np.stack(
        [
            region == die360.BACKGROUND,
            region == die360.EDGE,
            (region >= 1) & (region <= die360.CLASSES),
            region > die360.PIP,
        ]
    )


def concept_lift(saliency: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Share of the positive saliency on each concept, against its area.

    Parameters
    ----------
    saliency : array, ``(n, rows, columns)``
        Maps of one feature; each counts the same, however strong it is, and
        maps that are nowhere positive do not count.
    masks : bool array, ``(concepts, n, rows, columns)``

    Returns
    -------
    array, ``(concepts,)``
        Share of saliency over share of area: 1 is chance.  NaN where no map
        is positive anywhere or a concept covers nothing.
    """
    positive = np.maximum(saliency.astype(np.float64), 0)
    total = positive.sum(axis=(1, 2))
    seen = total > 0
    if not seen.any():
        return np.full(len(masks), np.nan)
    positive = positive[seen] / total[seen, np.newaxis, np.newaxis]
    mass = np.array([(positive * mask[seen]).sum() for mask in masks])
    area = masks[:, seen].mean(axis=(2, 3)).sum(axis=1)
    return np.where(area > 0, mass / np.where(area > 0, area, 1), np.nan)
