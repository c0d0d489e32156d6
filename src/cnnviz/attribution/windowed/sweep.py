"""Gradients on windows, of many features of many images (thesis eqs. 3.4 to 3.7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.attribution.windowed.backward import Gradients, work
from cnnviz.runtime.errors import UserError

if TYPE_CHECKING:
    from cnnviz.attribution.windowed.stack import Stack

__all__ = ["SharedSweep", "Sweep"]

#: Bytes of a pass's largest array, of which it needs some three times as much.
BUDGET = 32e6
KEPT = 300e6  # bytes of what is kept of the images of a batch


def _largest(stack: Stack, sizes: Sequence[tuple[int, int]]) -> int:
    """Numbers in the largest array of one gradient."""
    return max(int(np.prod(size)) * channels for size, channels in zip(sizes, stack.channels))


class Sweep:
    """Gradients of many features of many images (eqs. 3.4 to 3.7).

    Parameters
    ----------
    gradients : Gradients
    aggregate : {"max", "sum"}
        Over the positions of a map.
    """

    def __init__(self, gradients: Gradients, aggregate: str) -> None:
        self.gradients, self.aggregate = gradients, aggregate
        self.ties = gradients.ties
        stack = self.stack = gradients.stack
        self._bytes = np.dtype(stack.dtype).itemsize
        # More neurons than this cost as much as a whole map.
        self._most = max(
            1, work(stack, stack.shapes) // max(1, work(stack, gradients.window_sizes))
        )

    def __call__(
        self, arrays: Sequence[np.ndarray], features: Sequence[int], batch_size: int | None = None
    ) -> Iterator[Any]:
        """Run through all features of all images.

        Parameters
        ----------
        arrays : list of one array, ``(n, channels, rows, columns)``
        features : sequence of int
        batch_size : int, optional
            Gradients of a pass.

        Yields
        ------
        k, image : int
            Position in ``features`` and of the image.
        values : array, ``(channels, rows, columns)``
            Gradient on a part of the image; it is zero elsewhere.
        rows, columns : slice
            Which part.
        """
        (images,) = arrays
        few = self.images_at_once()
        try:
            for begin in range(0, len(images), few):
                maps = self.gradients.keep(images[begin : begin + few])
                for k, image, *found in self.of_kept(maps, features, batch_size):
                    yield (k, begin + image, *found)
        finally:
            self.gradients.release()

    def images_at_once(self) -> int:
        """Of how many images the memory has room for what is kept."""
        each = (
            4
            * self._bytes
            * sum(
                int(np.prod(shape)) * channels
                for shape, channels in zip(self.stack.shapes, self.stack.channels)
            )
        )
        return max(1, int(KEPT / each))

    def of_kept(
        self, maps: np.ndarray, features: Sequence[int], batch_size: Any = None
    ) -> Iterator[tuple[int, int, np.ndarray, slice, slice]]:
        """The same for images that the gradients keep, given their last maps."""
        whole, alone = [], []
        for image in range(len(maps)):
            for k, feature in enumerate(features):
                neurons = None
                if self.aggregate == "max":
                    neurons, weights = self.gradients.maxima(image, feature)
                if neurons is None or len(neurons) > self._most:
                    whole.append((k, image))
                else:
                    alone.append((k, image, neurons, weights))
        yield from self._by_maps(whole, maps, features, batch_size)
        yield from self._by_neurons(alone, features, batch_size)

    def _slices(self, count: int, sizes: Sequence[tuple[int, int]], batch_size) -> list[slice]:
        """Slices of so many gradients as a pass takes."""
        if batch_size is None:
            batch_size = max(1, int(BUDGET / self._bytes / _largest(self.stack, sizes)))
        return [slice(begin, begin + batch_size) for begin in range(0, count, batch_size)]

    def _by_maps(
        self,
        pairs: Sequence[tuple[int, int]],
        maps: np.ndarray,
        features: Sequence[int],
        batch_size,
    ) -> Iterator[tuple[int, int, np.ndarray, slice, slice]]:
        """Whole maps: all positions, or those that share the maximum."""
        everything = tuple(map(slice, self.stack.shapes[0]))
        for part in self._slices(len(pairs), self.stack.shapes, batch_size):
            top = np.zeros((len(pairs[part]), *maps.shape[1:]), maps.dtype)
            for weights, (k, image) in zip(top, pairs[part]):
                feature_map = maps[image, features[k]]
                weights[features[k]] = (
                    1 if self.aggregate == "sum" else feature_map == feature_map.max()
                )
            values = self.gradients.of_maps(top, [image for _, image in pairs[part]])
            for (k, image), value in zip(pairs[part], values):
                yield (k, image, value, *everything)

    def _by_neurons(
        self,
        peaks: Sequence[tuple[int, int, np.ndarray, np.ndarray]],
        features: Sequence[int],
        batch_size,
    ) -> Iterator[Any]:
        """Single neurons; where several share a maximum, their gradients add up."""
        # Neighbors together: their windows are of much the same size.
        single = sorted(
            (each for each in peaks if len(each[2]) == 1), key=lambda each: tuple(each[2][0])
        )
        for part in self._slices(len(single), self.gradients.window_sizes, batch_size):
            gradients = self._of_neurons(single[part], features)
            for (k, image, _, weights), value in zip(single[part], gradients):
                values, rows, columns = self.gradients.clipped(*value)
                yield k, image, weights[0] * values, rows, columns
        everything = tuple(map(slice, self.stack.shapes[0]))
        for k, image, neurons, weights in peaks:
            if len(neurons) > 1:
                yield (
                    k,
                    image,
                    self.gradients.total(image, features[k], neurons, weights),
                    *everything,
                )

    def _of_neurons(
        self, chosen: Sequence[tuple[int, int, np.ndarray, np.ndarray]], features: Sequence[int]
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Gradients and where their windows begin, one pair for each neuron."""
        gradients, starts = self.gradients.of_neurons(
            [features[each[0]] for each in chosen],
            np.concatenate([each[2] for each in chosen]),
            [each[1] for each in chosen],
        )
        return list(zip(gradients, starts))


class SharedSweep:
    """The same for several layers of one network, with one forward pass for all.

    Parameters
    ----------
    stacks : list of Stack
        Each a part of the last one.
    aggregate : {"max", "sum"}

    Raises
    ------
    ValueError
        For a layer that is not below the last one.
    """

    def __init__(self, stacks: Sequence[Stack], aggregate: str, ties: str = "all") -> None:
        ends = [block.last for block in stacks[-1].blocks]
        for stack in stacks:
            own = [block.last for block in stack.blocks]
            if own != ends[: len(own)]:
                raise UserError(f"layer '{own[-1].name}' is not below '{ends[-1].name}'")
        self._last = Gradients(stacks[-1], ties=ties)
        self._gradients = [
            *(Gradients(stack, self._last, ties) for stack in stacks[:-1]),
            self._last,
        ]
        self._sweeps = [Sweep(gradient, aggregate) for gradient in self._gradients]

    def __call__(self, image: np.ndarray, features: Sequence[Sequence[int]]) -> Iterator[Any]:
        """Run through features of all layers.

        Parameters
        ----------
        image : array, ``(1, channels, rows, columns)``
        features : list of sequences of int
            Of every layer.

        Yields
        ------
        layer, k : int
            Position in ``features``.
        values, rows, columns
            As of :meth:`Sweep.__call__`.
        """
        self._last.keep(image)
        try:
            for layer, (gradients, sweep, chosen) in enumerate(
                zip(self._gradients, self._sweeps, features)
            ):
                if len(chosen):
                    for k, _, *found in sweep.of_kept(gradients.kept(self._last), chosen):
                        yield (layer, k, *found)
        finally:
            self._last.release()
