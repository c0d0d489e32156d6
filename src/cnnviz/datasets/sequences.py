"""Die360's views in order: neighbors one degree apart, closed paths through a class.

Thesis section 5.4.  Views of a class differ by one degree in one angle from their
neighbors within a block: the cells of a class that touch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from cnnviz.datasets import die360

__all__ = ["ANGLES", "Block", "along", "blocks", "images", "neighbors", "round_trip"]

ANGLES = ("a", "b")


class Block(NamedTuple):
    """Cells of a class that touch, at every whole degree of both angles."""

    first_a: int
    count_a: int  #: degrees from there on, past 360 where the block goes on
    first_b: int

    @property
    def closed(self) -> bool:
        """Whether it goes all the way round."""
        return self.count_a == 360


def blocks(label: int) -> list[Block]:
    """Blocks of a class, 1 to 6, in the order of ``b``.

    Faces 3 and 4 have one each, which goes all the way round.  The others have two of
    60 by 41 degrees, 140 degrees apart.

    Returns
    -------
    list of Block
    """
    runs = []
    for start_b in die360.STARTS_B:
        starts = [a for a, b, face in die360.cells() if b == start_b and face == label]
        if not starts:
            continue
        # Where no cell of the class comes before; in a whole turn, anywhere.
        firsts = [a for a in starts if (a - die360.BLOCK_A) % 360 not in starts]
        (first,) = firsts or starts[:1]
        runs.append(Block(first, die360.BLOCK_A * len(starts), start_b))
    return runs


def round_trip(label: int) -> tuple[np.ndarray, np.ndarray]:
    """A closed path of one-degree steps through views of a class.

    Faces 3 and 4: once round, at the middle of ``b``.  Others: along the border of the
    first block, so that the path sees all of the block's range.

    Parameters
    ----------
    label : int
        1 to 6.

    Returns
    -------
    a, b : int arrays, ``(n,)``, degrees
        The last view, too, differs by one degree from the first.
    """
    block = blocks(label)[0]
    a = block.first_a + np.arange(block.count_a)
    b = block.first_b + np.arange(die360.BLOCK_B)
    if block.closed:
        return a % 360, np.full(len(a), b[len(b) // 2]) % 360
    inner = len(b) - 2
    path_a = np.concatenate([a, np.full(inner, a[-1]), a[::-1], np.full(inner, a[0])])
    path_b = np.concatenate([np.full(len(a), b[0]), b[1:-1], np.full(len(a), b[-1]), b[-2:0:-1]])
    return path_a % 360, path_b % 360


def _places(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Index of the view at every pair of angles, ``(360, 360)``; -1 for none."""
    places = np.full((360, 360), -1)
    places[a, b] = np.arange(len(a))
    return places


def neighbors(a: np.ndarray, b: np.ndarray, steps: Sequence[int] = (-1, 1)) -> np.ndarray:
    """Views that differ by a few degrees in one angle.

    Parameters
    ----------
    a, b : int arrays, ``(n,)``
        Degrees, 0 to 359.
    steps : sequence of int
        Degrees.

    Returns
    -------
    int array, ``(2, steps, n)``
        Indices, by the angle that changes (:data:`ANGLES`); -1 where there is no such
        view.
    """
    places = _places(a, b)
    return np.array(
        [
            [places[(a + step) % 360, b] for step in steps],
            [places[a, (b + step) % 360] for step in steps],
        ]
    )


def along(view: tuple[int, int], angle: Any, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """The views before and after one, in one-degree steps.

    Parameters
    ----------
    view : (a, b)
    angle : int
        Which of the two changes, in the order of :data:`ANGLES`.
    reach : int
        How many before, and how many after.

    Returns
    -------
    a, b : int arrays, ``(2 * reach + 1,)``, degrees
    """
    views = np.tile(np.reshape(view, (2, 1)), 2 * reach + 1)
    views[angle] += np.arange(-reach, reach + 1)
    return tuple(views % 360)


def images(data: die360.Die360, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Standardized images of views.

    Parameters
    ----------
    data : cnnviz.datasets.die360.Die360
    a, b : int arrays, ``(n,)``
        Degrees, 0 to 359.

    Returns
    -------
    float32 array, ``(n, 1, 32, 32)``
        Those of the data set; what it lacks is rendered and standardized likewise.
    """
    index = _places(data.a, data.b)[a, b]
    pictures, missing = data.images[index], index < 0
    if missing.any():
        rendered = die360.render(a[missing], b[missing])[:, np.newaxis]
        pictures[missing] = (rendered - np.float32(data.mean)) / np.float32(data.std)
    return pictures
