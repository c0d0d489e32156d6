"""IDRiD's masks of one photograph, which were added up in one picture."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnviz.datasets.masks import largest_region
from cnnviz.runtime.errors import UserError

__all__ = ["split_mask"]

# Colors in which the five masks were painted before they were added.
_COLORS = {"MA": (1, 1, 1), "HE": (1, 0, 0), "EX": (0, 0, 1), "SE": (0, 1, 0), "OD": (1, 1, 0)}


@functools.cache
def _classes_of_sums() -> dict[int, Sequence[Any]]:
    """Which classes a sum of colors consists of, the fewest possible, by its code."""
    table = {}
    for count in range(len(_COLORS) + 1):
        for classes in itertools.combinations(_COLORS, count):
            sums = [sum(_COLORS[name][channel] for name in classes) for channel in range(3)]
            table.setdefault(_code(*sums), classes)
    return table


def _code(red: Any, green: Any, blue: Any) -> Any:
    """One number for the counts of the three channels, each 0 to 3."""
    return red << 4 | green << 2 | blue


def split_mask(image: np.ndarray) -> dict[str, np.ndarray]:
    """Undo the sum of IDRiD's five masks.

    Each mask was painted in one color (microaneurysms white, hemorrhages
    red, hard exudates blue, soft exudates green, optic disc yellow), and the
    five pictures were added modulo 256.  So 255 counts as -1, and every
    channel holds how many masks with that color cover a pixel.

    Parameters
    ----------
    image : uint8 array, ``(rows, columns, 3)``

    Returns
    -------
    dict of bool arrays, ``(rows, columns)``
        By the keys of :data:`cnnviz.datasets.idrid.CLASSES`.

    Raises
    ------
    ValueError
        For values that are no sum of the five colors.

    Notes
    -----
    Where a sum has several explanations, the one with the fewest masks holds.
    Yellow is either the disc or hemorrhage and soft exudate; since there is
    one disc, only yellow that touches the largest yellow area is the disc.
    """
    counts = np.negative(image)  # modulo 256
    codes = _code(*np.moveaxis(counts, -1, 0))
    table = _classes_of_sums()
    known = np.zeros(256, bool)
    known[list(table)] = True
    strange = (counts > 3).any(axis=-1) | ~known[codes]
    if strange.any():
        row, column = np.argwhere(strange)[0]
        raise UserError(
            f"row {row}, column {column}: {tuple(image[row, column])} "
            "is no sum of the masks' colors"
        )
    masks = {name: np.zeros(codes.shape, bool) for name in _COLORS}
    for code in np.flatnonzero(np.bincount(codes.ravel(), minlength=64)):
        for name in table[code]:
            masks[name] |= codes == code
    mistaken = (codes == _code(1, 1, 0)) & ~largest_region(masks["OD"], np.ones((3, 3)))
    masks["OD"] &= ~mistaken
    masks["HE"] |= mistaken
    masks["SE"] |= mistaken
    return masks
