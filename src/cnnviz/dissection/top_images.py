"""The images that activate each feature most (thesis section 4.3).

The thesis looks at nine photographs of every feature.  A data set is seen in parts; how it is
divided, and in which order parts come, changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from cnnviz.attribution.activations import maximal_neurons
from cnnviz.dissection.checks import check_features, checked_maps, one_each
from cnnviz.runtime.errors import UserError
from cnnviz.runtime.records import Record, axes

__all__ = ["COUNT", "TopImages", "top_images"]

COUNT = 9  #: images to a feature, as in the thesis


@dataclass(frozen=True)
class TopImages(Record):
    """The images that activate each feature most, strongest first."""

    maxima: np.ndarray = axes("feature", "rank")  #: of the maps
    index: np.ndarray = axes("feature", "rank")  #: which image
    places: np.ndarray = axes("feature", "rank", "row and column")  #: of the maximum
    varies: np.ndarray = axes("feature", "rank")  #: False where the map is constant
    keys: np.ndarray = axes("feature", "rank")  #: equal for equal images

    def of_first(self, count: int) -> "TopImages":
        """Those of the first features."""
        return TopImages(*(values[:count] for values in _values(self)))


def _values(top: TopImages) -> list[np.ndarray]:
    return [getattr(top, field.name) for field in fields(top)]


def top_images(
    maps: np.ndarray,
    index: Sequence[int] | np.ndarray,
    keys: Sequence[Any] | np.ndarray | None = None,
    count: int = COUNT,
    before: TopImages | None = None,
) -> TopImages:
    """The images with the largest maxima of each feature's map.

    Parameters
    ----------
    maps : array, ``(n, features, rows, columns)``
    index : int array, ``(n,)``
        Numbers of the images in the data set.
    keys : array, ``(n,)``, optional
        Of images with equal keys, byte-identical ones say, only the strongest counts;
        ``index`` by default.
    count : int
        How many to keep.
    before : TopImages, optional
        Of other parts of the data set, kept with the same ``count``.

    Returns
    -------
    TopImages
        Fewer than ``count`` where there are fewer different images.  Of equal maxima the image
        with the lower number comes first, and of equal neurons the first in rows.

    Raises
    ------
    UserError
        For maps of the wrong shape or not finite, numbers or keys that are not one to an image,
        other features than before, or a count below 1.
    """
    maps = checked_maps(maps)
    if count < 1:
        raise UserError(f"count must be at least 1, not {count}")
    index = one_each("index", index, maps)
    keys = index if keys is None else one_each("keys", keys, maps)
    strongest = _of_part(maps, index, keys)
    if before is not None:
        check_features(maps, len(before.maxima))
        strongest = TopImages(
            *(np.concatenate(pair, axis=1) for pair in zip(_values(before), _values(strongest)))
        )
    return _best(strongest, count)


def _of_part(maps: np.ndarray, index: np.ndarray, keys: np.ndarray) -> TopImages:
    """All images of a part, in their order."""
    flat = maps.reshape(*maps.shape[:2], -1)
    maxima = flat.max(axis=2)
    shape = maps.shape[1::-1]  # (features, n)
    return TopImages(
        maxima.T,
        np.broadcast_to(index, shape),
        maximal_neurons(maps).swapaxes(0, 1),
        (maxima > flat.min(axis=2)).T,
        np.broadcast_to(keys, shape),
    )


def _best(top: TopImages, count: int) -> TopImages:
    """Sorted, the strongest of each key, at most ``count``."""
    top = _taken(top, np.lexsort((top.index, -top.maxima)))
    repeated = _repeated(top.keys)
    # Stable, so that the rest keeps its order.
    order = np.argsort(repeated, axis=1, kind="stable")
    different = (~repeated).sum(axis=1).min()
    return _taken(top, order[:, : min(count, different)])


def _taken(top: TopImages, order: np.ndarray) -> TopImages:
    return TopImages(
        *(
            np.take_along_axis(
                values, order[..., np.newaxis] if values.ndim == 3 else order, axis=1
            )
            for values in _values(top)
        )
    )


def _repeated(keys: np.ndarray) -> np.ndarray:
    """Which keys stood in their row before."""
    order = np.argsort(keys, axis=1, kind="stable")
    ranked = np.take_along_axis(keys, order, axis=1)
    same = np.zeros(keys.shape, bool)
    same[:, 1:] = ranked[:, 1:] == ranked[:, :-1]
    repeated = np.empty_like(same)
    np.put_along_axis(repeated, order, same, axis=1)
    return repeated
