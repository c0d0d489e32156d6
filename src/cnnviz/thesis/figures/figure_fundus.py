"""Synthetic fundus photographs beside real ones, grade by grade and close up.

Rule, not choice: the first photographs of each grade in the order of the data
sets, and around the lesion of median size of each kind in the first that has one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage import measure

from cnnviz.attribution import overlay
from cnnviz.datasets import external, idrid, synthetic
from cnnviz.datasets import store as stores
from cnnviz.thesis.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GRADES = ("no retinopathy", "mild", "moderate", "severe", "proliferative")
#: Kinds of lesions, and the side of their close-ups in thousandths of the
#: diameter of the field of view.
KINDS = {
    "microaneurysm": 60,
    "hemorrhage": 120,
    "hard exudate": 120,
    "soft exudate": 120,
    "neovascularization": 250,
    "preretinal hemorrhage": 400,
}


def examples(photographs: stores.Store, count: int) -> np.ndarray:
    """The first ``count`` photographs of every grade, of different patients.

    Returns
    -------
    uint8 array, ``(count, 5, 512, 512, 3)``, black where there are too few
    """
    pictures = np.zeros((count, len(GRADES), *photographs.pixels.shape[1:]), np.uint8)
    for grade in range(len(GRADES)):
        seen = {}
        for index in np.flatnonzero(photographs.grades == grade):
            seen.setdefault(photographs.patients[index] or index, index)
            if len(seen) == count:
                break
        for row, index in enumerate(seen.values()):
            pictures[row, grade] = photographs.pixels[index]
    return pictures


def close_up(image: np.ndarray, mask: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """A square around the spot of median area of a mask.

    Parameters
    ----------
    image : uint8 array, ``(rows, columns, 3)``
    mask : bool array, ``(rows, columns)``
    side : int
        In pixels.

    Returns
    -------
    image uint8 ``(side, side, 3)``, mask bool ``(side, side)``
    """
    regions = sorted(measure.regionprops(measure.label(mask)), key=lambda region: region.area)
    middle = regions[len(regions) // 2].centroid
    corner = [
        int(np.clip(round(place) - side // 2, 0, length - side))
        for place, length in zip(middle, mask.shape)
    ]
    part = tuple(slice(first, first + side) for first in corner)
    return image[part], mask[part]


def _close_ups(photographs):
    """One close-up of every kind, from an iterable of images with masks."""
    close_ups = {}
    for image, masks in photographs:
        field = np.count_nonzero(image.max(axis=2).max(axis=0) > 30)
        for kind, share in KINDS.items():
            if kind not in close_ups and kind in masks and (masks[kind] > 0.5).any():
                close_ups[kind] = close_up(image, masks[kind] > 0.5, field * share // 1000)
        if len(close_ups) == len(KINDS):
            break
    return close_ups


def _synthetic_photographs(store, seed) -> Iterator[Any]:
    for index in np.flatnonzero(store.grades >= 2):
        scene = synthetic.pair([seed, int(store.patients[index])])[store.sides[index] == "right"]
        yield synthetic.photograph(scene)


def draw(synthetic: np.ndarray, real: np.ndarray, synthetic_close: Any, real_close: Any) -> Figure:
    """Draw the figure.

    Parameters
    ----------
    synthetic, real : uint8 arrays, ``(rows, 5, 512, 512, 3)``
        ``real`` may be None.
    synthetic_close, real_close : dict
        From a kind of lesion to a close-up and its mask.

    Returns
    -------
    matplotlib.figure.Figure
    """
    blocks = [("synthetic", synthetic)] + ([("IDRiD", real)] if real is not None else [])
    closes = [("synthetic", synthetic_close)] + ([("IDRiD", real_close)] if real_close else [])
    count = sum(len(each) for _, each in blocks)
    above, below = 1.4 * count + 0.2, 1.2 * len(closes) + 0.35  # inches
    figure = style.new(above + below)
    upper, lower = figure.subfigures(2, 1, height_ratios=[above, below])
    axes = upper.subplots(count, len(GRADES), squeeze=False)
    rows = [(name, row) for name, block in blocks for row in block]
    for line, (name, row) in zip(axes, rows):
        for grade, each in enumerate(line):
            style.show(each, row[grade])
        line[0].set_ylabel(name)
    for grade, each in enumerate(axes[0]):
        each.set_title(f"{grade}: {GRADES[grade]}")
    axes = lower.subplots(len(closes), len(KINDS), squeeze=False)
    for line, (name, found) in zip(axes, closes):
        for kind, each in zip(KINDS, line):
            if kind in found:
                _show_close_up(each, *found[kind])
            else:
                each.set_axis_off()
        line[0].set_ylabel(name)
    for kind, each in zip(KINDS, axes[0]):
        each.set_title(f"{kind}\n({KINDS[kind] / 10:.0f} % of the field)")
    for part, height, titles in ((upper, above, 0.2), (lower, below, 0.35)):
        part.subplots_adjust(
            left=0.035, right=0.995, top=1 - titles / height, bottom=0.01, wspace=0.03, hspace=0.03
        )
    return figure


def _show_close_up(axes: Axes, image, mask) -> None:
    style.show(axes, image)
    for outline in overlay.outlines(mask):
        axes.plot(
            outline[:, 1], outline[:, 0], color=style.OUTLINE, linewidth=0.5 * style.LINE_WIDTH
        )
    style.keep_limits(axes, image)


def make(output: Path, *, synthetic: Any, mirror: Path | None, real: Any, seed: int) -> None:
    store = stores.read(synthetic)
    real, real_close = None, {}
    if real is not None:
        mirror = external.mirror(mirror)
        real = examples(stores.read(real), 2)
        real_close = _close_ups(
            idrid.outlined(record, mirror) for record in idrid.records("lesions")
        )
    synthetic_close = _close_ups(_synthetic_photographs(store, seed))
    style.save(draw(examples(store, 2), real, synthetic_close, real_close), output)
