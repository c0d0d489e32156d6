"""Occluded images, evaluated on windows (thesis section 3.2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.attribution.windowed import ops, trust, windows
from cnnviz.attribution.windowed.registration import register
from cnnviz.attribution.windowed.stack import channels_first, channels_last, preparing
from cnnviz.runtime.backend import T, function, theano

if TYPE_CHECKING:
    from cnnviz.attribution.windowed.stack import Stack

__all__ = ["Occluded", "multiply_adds"]

#: Bytes of one pass's largest windows, of which a pass needs some three times
#: as much; small enough for a processor's caches to be of use.
BUDGET = 24e6


def _typical(stack: Stack, size: tuple[int, int], neuron: bool) -> np.ndarray:
    """Sizes ``(maps, positions, 2)`` of what occluders all over the image change.

    With ``neuron``, of that which the neuron in the middle sees.
    """
    shape = np.array(stack.shapes[0])
    low, high, middle = np.zeros(2, int), shape, None
    if neuron:
        middle = np.array([stack.shapes[-1]]) // 2
        field = windows.backward_cone(stack.blocks, middle)[0]
        low, high = (np.clip(each, 0, shape)[0] for each in (field.start, field.start + field.size))
    places = np.stack(
        np.meshgrid(
            *(np.linspace(first, end - 1, 61).astype(int) for first, end in zip(low, high))
        ),
        -1,
    ).reshape(-1, 2)
    spans = windows.forward_spans(
        stack.blocks, stack.shapes, places - np.array(size) // 2, size, middle
    )
    return np.array([end - first for first, end in spans])


def multiply_adds(stack: Stack, size: tuple[int, int], neuron: bool = False) -> float:
    """Multiply-adds of one occluder, on average over its positions.

    Parameters
    ----------
    stack : Stack
    size : (rows, columns)
        Of the occluder.
    neuron : bool
        Only what one neuron, that in the middle, sees.

    Returns
    -------
    float
    """
    areas = _typical(stack, size, neuron).prod(axis=2).mean(axis=1)
    return sum(
        area * int(np.prod(block.size)) * incoming * block.channels
        for block, area, incoming in zip(stack.blocks, areas[1:], stack.channels)
        if not block.pooling
    )


class Occluded:
    """Windows of a stack's last map, under occluders.

    Compiled once; the activations of the images are kept by :meth:`keep`.

    Parameters
    ----------
    stack : Stack

    Raises
    ------
    NotLocal
        When an occluder changes more than its windows hold.
    """

    def __init__(self, stack: Stack) -> None:
        register()
        self.stack = stack
        self._empty = np.zeros((0, 0, 0, 0), stack.dtype)
        with preparing(stack.layer):
            self._kept = [theano.shared(self._empty) for _ in stack.blocks]
            self._occluder = theano.shared(self._empty)
            self._pass = self._compile()
            images = stack.variable()
            *maps, last = stack.results(images)
            self._maps = function([images], [channels_last(map_) for map_ in maps] + [last])
        trust.check_occluders(self)

    def keep(self, images: Any, fill: float | np.ndarray) -> np.ndarray:
        """Keep the activations of images.

        Parameters
        ----------
        images : array, ``(m, channels, rows, columns)``
        fill : float, or array ``(1 or m, channels, 1 or rows, 1 or columns)``
            Values of the occluder.

        Returns
        -------
        array, ``(m, channels, rows, columns)``
            The stack's last maps.
        """
        *maps, last = self._maps(images)
        maps.insert(0, np.ascontiguousarray(np.moveaxis(images, 1, -1)))
        for kept, values in zip(self._kept, maps):
            kept.set_value(values, borrow=True)
        fill = np.asarray(fill, self.stack.dtype)
        if fill.ndim == 0:
            fill = np.full((1, images.shape[1], 1, 1), fill)
        self._occluder.set_value(np.ascontiguousarray(np.moveaxis(fill, 1, -1)), borrow=True)
        return last

    def release(self) -> None:
        """Let go of what is kept of images, and its memory."""
        for kept in [*self._kept, self._occluder]:
            kept.set_value(self._empty, borrow=True)

    def whole(self, images: np.ndarray) -> np.ndarray:
        """The stack's last maps ``(m, channels, rows, columns)``, by whole passes."""
        return self._maps(images)[-1]

    def _compile(self):
        images, box = T.lvector("images"), T.lmatrix("box")
        inputs, value, start = [images, box], None, None
        for block, kept in zip(self.stack.blocks, self._kept):
            above = T.lmatrix("start")
            size: Any = (T.lscalar("rows"), T.lscalar("columns"))
            inputs += [above, *size]
            first = above * block.stride - block.pad
            size = [
                (length - 1) * int(step) + int(window)
                for length, step, window in zip(size, block.stride, block.size)
            ]
            cut = (kept, images, first, size, block.fill)
            table = (
                ops.cut_around(*cut, box, self._occluder)
                if value is None
                else ops.cut(*cut, channels_last(value), start)
            )
            value = block.windows(channels_first(table))
            value = block.rest(block.add_bias(value, above))
            start = above
        return function(inputs, value)

    def batch_size(self, size: tuple[int, int], neuron: bool = False) -> int:
        """Occluders in one pass."""
        stack = self.stack
        sizes = np.maximum(_typical(stack, size, neuron).max(axis=1), 1)
        largest = max(
            max(incoming * np.prod(block.needed_size(area)), block.channels * np.prod(area))
            for block, area, incoming in zip(stack.blocks, sizes[1:], stack.channels)
        )
        return int(np.clip(BUDGET / (largest * np.dtype(stack.dtype).itemsize), 1, 2048))

    def __call__(
        self,
        first: np.ndarray,
        size: tuple[int, int],
        images: np.ndarray | None = None,
        neurons: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """One pass.

        Parameters
        ----------
        first : int array, ``(n, 2)``
            First row and column of the occluders; they may leave the image.
        size : (rows, columns)
        images : int array, ``(n,)``, optional
            Which of the kept images; the first if not given.
        neurons : int array, ``(n, 2)``, optional
            Only what these neurons of the last map see.

        Returns
        -------
        values : array, ``(n, channels, rows, columns)``
            Of a window of the last map; outside it nothing changed, as far as
            the neurons are concerned.
        start : int array, ``(n, 2)``
            First row and column of the window.
        """
        stack = self.stack
        first, count = np.asarray(first), len(first)
        images = np.zeros(count, int) if images is None else np.asarray(images)
        held = windows.forward_windows(stack.blocks, stack.shapes, first, size, neurons)
        box = np.column_stack([first, np.tile(size, (count, 1))])
        return self._on_windows(images, box, held), held[-1].start

    def _on_windows(
        self, images: np.ndarray, box: np.ndarray, held: Sequence[windows.Window]
    ) -> np.ndarray:
        arguments = [each for window in held[1:] for each in (window.start, *window.size)]
        return self._pass(images, box, *arguments)

    def changed(
        self, images: np.ndarray, box: tuple[int, int, int, int], neuron: tuple[int, int]
    ) -> np.ndarray:
        """One neuron's activations of images with other pixels than the kept ones.

        Parameters
        ----------
        images : array, ``(m, channels, rows, columns)``
            As many as were kept, and like them outside the box.
        box : (first row, first column, end row, end column)
        neuron : (row, column)
            Of the last map.

        Returns
        -------
        array, ``(m, channels)``
        """
        stack, count = self.stack, len(images)
        self._kept[0].set_value(np.ascontiguousarray(np.moveaxis(images, 1, -1)), borrow=True)
        held = windows.forward_windows(
            stack.blocks,
            stack.shapes,
            np.tile(box[:2], (count, 1)),
            np.subtract(box[2:], box[:2]),
            np.tile(neuron, (count, 1)),
        )
        nothing = np.zeros((count, 4), int)  # is occluded
        return self._on_windows(np.arange(count), nothing, held)[:, :, 0, 0]
