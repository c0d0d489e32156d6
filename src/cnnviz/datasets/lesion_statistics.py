"""Size, shape and contrast of lesions, measured alike on real and synthetic photographs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import ndimage
from skimage import measure

from cnnviz.datasets.masks import marked
from cnnviz.runtime.errors import UserError

__all__ = ["COLUMNS", "field_of_view", "lesions", "quantiles"]

COLUMNS = ("kind", "diameter", "elongation", "red", "green", "blue")
# Brightest channel above which a pixel belongs to the field of view.
_DARK = 30
# Width of the ring around a lesion that counts as its background, in
# diameters of the field of view.
_RING = 0.006


def field_of_view(image: np.ndarray) -> tuple[np.ndarray, float]:
    """Pixels inside the round field of view, and its diameter.

    Parameters
    ----------
    image : uint8 array, ``(rows, columns, 3)``

    Returns
    -------
    mask : bool array, ``(rows, columns)``
    diameter : float
        In pixels: its extent along rows, which cameras cut off less often
        than that along columns.

    Raises
    ------
    ValueError
        For an image that is dark everywhere.
    """
    inside = image.max(axis=2) > _DARK
    columns = np.flatnonzero(inside.mean(axis=0) > 0.05)
    if not len(columns):
        raise UserError("the photograph is dark everywhere: no field of view")
    return inside, float(columns[-1] - columns[0] + 1)


def _contrast(patch: np.ndarray, spot: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Logarithm of the ratio of colors, a channel at a time."""
    inside = patch[spot].astype(float).mean(axis=0)
    around = np.median(patch[background].astype(float), axis=0)
    return np.log((inside + 1) / (around + 1))


def lesions(image: np.ndarray, masks: Mapping[str, np.ndarray]) -> list[dict[str, float | str]]:
    """One row for every connected lesion of a photograph.

    Parameters
    ----------
    image : uint8 array, ``(rows, columns, 3)``
    masks : dict of arrays of bool or whole numbers, ``(rows, columns)``
        By kind of lesion; in none of them is background.

    Returns
    -------
    list of dict
        ``row`` and ``column`` of the centroid, in pixels; ``diameter`` of the
        circle of equal area, in diameters of the field of view;
        ``elongation``, long axis over short axis; ``red``, ``green`` and
        ``blue``, the natural logarithm of the mean inside over the median of
        the surrounding ring.
    """
    masks = {kind: marked(mask, f"mask '{kind}'") for kind, mask in masks.items()}
    inside, field = field_of_view(image)
    ring = max(2, int(round(_RING * field)))
    anything = np.logical_or.reduce(list(masks.values()))
    free = inside & ~ndimage.binary_dilation(anything, iterations=max(1, ring // 4))
    rows = []
    for kind, mask in masks.items():
        for region in measure.regionprops(measure.label(mask)):
            box = tuple(
                slice(max(0, low - 2 * ring), high + 2 * ring)
                for low, high in zip(region.bbox[:2], region.bbox[2:])
            )
            spot = np.zeros([part.stop - part.start for part in box], bool)
            spot[tuple((region.coords - [part.start for part in box]).T)] = True
            spot = spot[: mask.shape[0] - box[0].start, : mask.shape[1] - box[1].start]
            near = ndimage.binary_dilation(spot, iterations=2 * ring) & free[box]
            if region.area < 4 or near.sum() < 8:
                continue
            contrast = _contrast(image[box], spot, near)
            short = max(region.axis_minor_length, 1.0)
            row, column = region.centroid
            rows.append(
                {
                    "kind": kind,
                    "row": row,
                    "column": column,
                    "diameter": region.equivalent_diameter_area / field,
                    "elongation": region.axis_major_length / short,
                    **dict(zip(COLUMNS[3:], contrast)),
                }
            )
    return rows


def quantiles(
    rows: Sequence[Mapping[str, float | str]],
    kind: str,
    column: str,
    levels: Sequence[float] = (0.1, 0.5, 0.9),
) -> np.ndarray:
    """Quantiles of one measurement of one kind of lesion."""
    return np.quantile([row[column] for row in rows if row["kind"] == kind], levels)
