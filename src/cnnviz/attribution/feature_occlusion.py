"""What occluders take from feature maps: from their maximal neurons, or from whole maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from cnnviz.attribution.activations import maximal_neurons
from cnnviz.attribution.occluder import Occluder, centers, centers_on, values_under
from cnnviz.attribution.occlusion_passes import WholePasses, of_images, passes, releasing
from cnnviz.attribution.receptive_field import receptive_field
from cnnviz.attribution.windowed.forward import multiply_adds
from cnnviz.networks.inputs import label
from cnnviz.runtime.errors import UserError

if TYPE_CHECKING:
    from lasagne.layers import Layer

__all__ = ["CHANGES", "FeatureOcclusion", "check_stride_of_field"]


@dataclass(frozen=True)
class FeatureOcclusion:
    """Occlusion of features of one layer, for the images of one call."""

    layer: Layer
    evaluate: Any  #: from :func:`cnnviz.attribution.occlusion_passes.evaluator`
    occluder: Occluder
    batch_size: int | None
    progress: bool

    def _maps(self, arrays: list[np.ndarray], values: np.ndarray, k: int) -> np.ndarray:
        """Feature maps ``(features, rows, columns)`` of image k, which is kept."""
        one = slice(k, k + 1)
        return self.evaluate.keep([array[one] for array in arrays], of_images(values, one))[0]

    def of_neurons(self, arrays: list[np.ndarray], wrt: int, features: list[int]) -> np.ndarray:
        """Losses of the maximal neurons, ``(n, features, 1, rows, columns)``."""
        source = arrays[wrt]
        values = values_under(self.occluder.baseline, source)
        out = np.full((len(source), len(features), *source.shape[2:]), np.nan, source.dtype)
        with tqdm(unit=" occluders", disable=not self.progress) as bar, releasing(self.evaluate):
            for k in range(len(source)):
                maps = self._maps(arrays, values, k)[features]
                self._of_image(maps, np.array(features), out[k], bar)
        return out[:, :, np.newaxis]

    def of_maps(
        self, arrays: list[np.ndarray], wrt: int, features: list[int], target: str
    ) -> np.ndarray:
        """Losses of the maximum or sum of whole maps, ``(n, features, 1, rows, columns)``."""
        source, occluder = arrays[wrt], self.occluder
        values = values_under(occluder.baseline, source)
        places = centers(source.shape[2:], occluder.stride)
        out = np.full((len(source), len(features), *source.shape[2:]), np.nan, source.dtype)
        total = len(places) * len(source)
        with (
            tqdm(unit=" occluders", disable=not self.progress, total=total) as bar,
            releasing(self.evaluate),
        ):
            for k in range(len(source)):
                change = CHANGES[target](self._maps(arrays, values, k)[features])
                for part, changed, start in passes(
                    self.evaluate, occluder.first(places), occluder.size, self.batch_size, bar
                ):
                    out[(k, slice(None), *places[part].T)] = change(changed[:, features], start)
        return out[:, :, np.newaxis]

    def _of_image(self, maps: np.ndarray, features: np.ndarray, out: np.ndarray, bar: Any) -> None:
        """All features of one image, written into ``out``."""
        shape, neurons = out.shape[1:], maximal_neurons(maps)
        boxes = _boxes(self.layer, neurons, shape)
        stride = self.occluder.stride
        places = [centers_on(shape, stride, box) for box in boxes]
        before = maps[(np.arange(len(maps)), *neurons.T)]
        count = sum(map(len, places))
        hull = (*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0))
        # And middles of fields that the stride has missed.
        together = np.unique(np.concatenate([centers(shape, stride, hull), *places]), axis=0)
        if self._share_positions(count, len(together)):
            bar.total = (bar.total or 0) + len(together)
            after = self._together(together, features, neurons, before, bar)
            for k, each in enumerate(places):
                out[(k, *each.T)] = before[k] - after[_positions(together, each), k]
            return
        bar.total = (bar.total or 0) + count
        owner = np.repeat(np.arange(len(maps)), [len(place) for place in places])
        every = np.concatenate(places)
        first, size = self.occluder.first(every), self.occluder.size
        for part, values, start in passes(
            self.evaluate, first, size, self.batch_size, bar, neurons[owner]
        ):
            own = owner[part]
            rows, columns = (neurons[own] - start).T
            after = values[np.arange(len(own)), features[own], rows, columns]
            out[(own, *every[part].T)] = before[own] - after

    def _share_positions(self, apart: int, together: int) -> bool:
        """Whether it is cheaper to read all features off the same windows."""
        if isinstance(self.evaluate, WholePasses):
            return True
        cost = [
            multiply_adds(self.evaluate.stack, self.occluder.size, neuron)
            for neuron in (True, False)
        ]
        return together * cost[1] < apart * cost[0]

    def _together(
        self,
        places: np.ndarray,
        features: np.ndarray,
        neurons: np.ndarray,
        before: np.ndarray,
        bar: Any,
    ) -> np.ndarray:
        """Activations ``(positions, features)`` of neurons, all from the same windows."""
        after = np.repeat(before[np.newaxis], len(places), axis=0)
        for part, values, start in passes(
            self.evaluate, self.occluder.first(places), self.occluder.size, self.batch_size, bar
        ):
            rows, columns = np.moveaxis(neurons - start[:, np.newaxis], -1, 0)
            item, k = np.nonzero(
                (rows >= 0)
                & (rows < values.shape[2])
                & (columns >= 0)
                & (columns < values.shape[3])
            )
            after[part[item], k] = values[item, features[k], rows[item, k], columns[item, k]]
        return after


def check_stride_of_field(layer: Layer, stride: int) -> None:
    """A stride beyond the receptive field can leave all of it without an occluder."""
    try:
        size = receptive_field(layer).size
    except UserError:  # all of the image
        return
    if stride > min(size):
        raise UserError(
            f"stride {stride} is larger than the receptive field of layer "
            f"'{label(layer)}', {size[0]} × {size[1]} pixels, and may leave all of "
            f"it without an occluder; choose {min(size)} at most"
        )


def _boxes(layer: Layer, neurons: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Receptive fields of neurons, ``(n, 4)``; the image above layers without one."""
    try:
        field = receptive_field(layer)
    except ValueError:
        return np.tile((0, 0, *shape), (len(neurons), 1))
    return np.array([field.box(*neuron) for neuron in neurons])


def _positions(places: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where wanted places stand in a list that is sorted row by row."""
    width = max(places[:, 1].max(), wanted[:, 1].max()) + 1
    return np.searchsorted(places @ (width, 1), wanted @ (width, 1))


def _change_of_sum(maps: np.ndarray) -> Callable[..., Any]:
    """Function from windows to what a sum over the map loses, ``(n, features)``."""

    def change(values, start):
        size = values.shape[2:]
        original = np.stack(
            [maps[:, row : row + size[0], column : column + size[1]] for row, column in start]
        )
        return (original - values).sum(axis=(2, 3))

    return change


def _change_of_max(maps: np.ndarray) -> Callable[..., Any]:
    """The same for the maximum: that of the window and of all around it."""
    whole = maps.max(axis=(1, 2))
    sides = [
        _running(maps.max(axis=other), backwards) for other in (2, 1) for backwards in (False, True)
    ]

    def change(values, start):
        rows, columns = start.T
        ends = (rows, rows + values.shape[2], columns, columns + values.shape[3])
        around = [side[:, end] for side, end in zip(sides, ends)]
        return whole - np.max([values.max(axis=(2, 3)), *(each.T for each in around)], axis=0)

    return change


def _running(values: np.ndarray, backwards: bool) -> np.ndarray:
    """Maximum of all before each place, or of it and all after it.

    ``(features, length + 1)``; minus infinity where there are none.
    """
    empty = np.full((len(values), 1), -np.inf, values.dtype)
    if backwards:
        after = np.maximum.accumulate(values[:, ::-1], axis=1)[:, ::-1]
        return np.concatenate([after, empty], axis=1)
    return np.concatenate([empty, np.maximum.accumulate(values, axis=1)], axis=1)


#: From a map to what an occluder takes from its maximum or sum.
CHANGES = {"max": _change_of_max, "sum": _change_of_sum}
