"""Gradients of neurons and of whole maps (thesis section 3.2.1, eqs. 3.4 to 3.7).

Of the forward pass only derivatives are kept: the slope of each block's
pointwise part, and, of a pooling layer, which places hold their window's
maximum.  All features of an image share them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.attribution.windowed import ops, trust_gradients, windows
from cnnviz.attribution.windowed.registration import register
from cnnviz.attribution.windowed.stack import NotLocal, channels_first, channels_last, preparing
from cnnviz.networks.inputs import label
from cnnviz.runtime.backend import T, function, theano
from cnnviz.runtime.errors import UserError

if TYPE_CHECKING:
    from theano.gof import Variable

    from cnnviz.attribution.windowed.stack import Block, Stack

__all__ = ["TIES", "Gradients", "work"]

#: Which of several places of one maximum its gradient goes to: to all of them, as Theano
#: has it, or to the first, row by row, as PyTorch has it.
TIES = ("all", "first")


class Gradients:
    """Gradients of a stack's last map with respect to the images.

    Compiled once; what depends on the images is kept by :meth:`keep`.

    Parameters
    ----------
    stack : Stack
    above : Gradients, optional
        Of a stack that continues this one.  What it keeps counts here too, so
        that features of several layers share one forward pass; this object's own
        :meth:`keep` keeps them there then.
    ties : {"all", "first"}
        Where places of a map or of a pooling window share the maximum.
    checked : bool
        Compare with whole passes, once for a layer.

    Raises
    ------
    NotLocal
        For feature pooling and for pooling other than by the maximum, whose
        derivatives are not kept; for layers whose gradients on windows are not those
        of whole passes.
    """

    def __init__(
        self, stack: Stack, above: Gradients | None = None, ties: str = "all", checked: bool = True
    ) -> None:
        for block in stack.blocks:
            if not block.pointwise or block.pooling and not block.maximum:
                raise NotLocal(
                    f"the derivative of layer '{label(block.last)}' is not "
                    "one number for each neuron"
                )
        register()
        self.stack, self.ties, self._above = stack, ties, above
        self._slopes: list[Any]
        self._switches: list[Any]
        self._below: Any = None
        self._last: Any = None
        self._start: Any = None
        with preparing(stack.layer):
            self._prepare(above)
        if checked:  # the common rule, which whole passes follow
            trust_gradients.check_gradients(
                stack, lambda: self if ties == "all" else Gradients(stack, checked=False)
            )

    def _prepare(self, above: Gradients | None) -> None:
        stack = self.stack
        last = stack.blocks[-1]
        # Neighboring pooling windows often share their maximum; from the layer
        # below, where it is one neuron, its gradient is taken once.
        self._level = len(stack.blocks) - (
            last.pooling and not last.after and len(stack.blocks) > 1
        )
        if above is None:
            empty = np.zeros((0, 0, 0, 0), stack.dtype)
            # Of every map, from the images on.
            self._slopes = [theano.shared(empty) for _ in stack.shapes]
            self._switches = [
                theano.shared(np.zeros((0, 0, 0, 0, 0), ops.switch_type(block)))
                if block.pooling
                else None
                for block in stack.blocks
            ]
            self._keep = self._compile_keep()
        else:
            count = len(stack.blocks)
            self._slopes = above._slopes[: count + 1]
            self._switches = above._switches[:count]
        #: Rows and columns of the windows below the middle neuron, map by map.
        self.window_sizes = self._window_sizes()
        self._windows = self._compile(self._level)
        self._whole = (
            self._windows if self._level == len(stack.blocks) else self._compile(len(stack.blocks))
        )

    # What is kept

    @staticmethod
    def _slope(block: Block, before: Variable) -> Variable:
        """Derivative of a block's pointwise part."""
        after = block.rest(before)
        if after is before:
            return T.ones_like(before)
        return T.grad(after.sum(), before)

    def _compile_keep(self):
        """Function of images to the blocks' results, and to their slopes."""
        images = self.stack.variable()
        value, slopes, maps = images, [], []
        for block, shape in zip(self.stack.blocks, self.stack.shapes):
            before = block.windows(self.stack.padded(block, value, shape))
            before = block.add_bias(before)
            slopes.append(channels_last(self._slope(block, before)))
            value = block.rest(before)
            maps += [channels_last(before), channels_last(value)]
        return function([images], slopes + maps)

    def keep(self, images: np.ndarray) -> np.ndarray:
        """Keep the derivatives at images.

        Parameters
        ----------
        images : array, ``(m, channels, rows, columns)``

        Returns
        -------
        array, ``(m, channels, rows, columns)``
            The stack's last maps.
        """
        if self._above is not None:
            self._above.keep(images)
            return self.kept(self._above)
        blocks = self.stack.blocks
        values = self._keep(images)
        slopes, maps = values[: len(blocks)], values[len(blocks) :]
        images = np.moveaxis(images, 1, -1)
        below = [images, *maps[1::2]]
        for kept, value in zip(self._slopes, [np.ones_like(images), *slopes]):
            kept.set_value(value, borrow=True)
        for block, kept, under, before in zip(blocks, self._switches, below, maps[::2]):
            if block.pooling:
                kept.set_value(
                    ops.switches(under, before, block, self.ties == "first"), borrow=True
                )
        self._below = below
        return self.kept(self)

    def release(self) -> None:
        """Let go of what is kept of images, and its memory."""
        for kept in [*self._slopes, *self._switches]:
            if kept is not None:
                value = kept.get_value(borrow=True)
                kept.set_value(np.zeros((0,) * value.ndim, value.dtype), borrow=True)
        for owner in filter(None, (self, self._above)):
            owner._below = owner._last = owner._start = None

    def kept(self, above: Gradients) -> np.ndarray:
        """Take over what another object kept, of this stack or one that continues it.

        Returns
        -------
        array, ``(m, channels, rows, columns)``
            This stack's last maps.
        """
        self._last, self._start = (
            np.moveaxis(above._below[level], -1, 1)
            for level in (len(self.stack.blocks), self._level)
        )
        return self._last

    def maxima(self, image: int, feature: int) -> tuple[np.ndarray, np.ndarray]:
        """Neurons through which the maximum of a map depends on the image.

        Every neuron that holds the maximum counts (as in Theano's gradient of a
        maximum).  Where the stack ends with a pooling layer, neurons are those
        of the layer below it.

        Returns
        -------
        neurons : int array, ``(n, 2)``
        weights : float array, ``(n,)``
            How often each counts.
        """
        feature_map = self._last[image, feature]
        tied = np.argwhere(feature_map == feature_map.max())
        if not len(tied):
            raise UserError(
                f"layer '{label(self.stack.layer)}' gives values that are not "
                f"finite for image {image} of its batch; check its parameters"
            )
        return self._under(image, feature, tied if self.ties == "all" else tied[:1])

    def _under(self, image: int, feature: int, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Neurons of the map where gradients begin, for places of the last map."""
        if self._level == len(self.stack.blocks):
            return places, np.ones(len(places), self.stack.dtype)
        feature_map = self._last[image, feature]
        block, below = self.stack.blocks[-1], self._start[image, feature]
        weights = np.zeros_like(below)
        for place in places:
            first = place * block.stride - block.pad
            window = tuple(
                slice(max(begin, 0), begin + size) for begin, size in zip(first, block.size)
            )
            held = below[window] == feature_map[tuple(place)]
            if self.ties == "first":
                held &= np.arange(held.size).reshape(held.shape) == held.argmax()
            weights[window] += held
        neurons = np.argwhere(weights)
        return neurons, weights[tuple(neurons.T)]

    # Backwards

    def _window_sizes(self) -> list[tuple[int, int]]:
        middle = np.array([self.stack.shapes[self._level]]) // 2
        return [window.size for window in self._cone(middle)]

    def _cone(self, neurons: np.ndarray) -> list[windows.Window]:
        """Windows of every map below neurons."""
        cone = windows.backward_cone(self.stack.blocks[: self._level], neurons)
        return [windows.clipped(window, shape) for window, shape in zip(cone, self.stack.shapes)]

    def _compile(self, level: int):
        """Function of images, of the gradient and of the windows of every map.

        The gradient is that of the map on ``level``, and the windows are of
        all maps from the images' up to that.
        """
        images, gradient = T.lvector("images"), self.stack.variable("gradient")
        starts = [T.lmatrix(f"start{k}") for k in range(level + 1)]
        sizes = [(T.lscalar(f"rows{k}"), T.lscalar(f"columns{k}")) for k in range(level + 1)]
        value, start, scaled = channels_last(gradient), starts[level], False
        for k in reversed(range(level)):
            block = self.stack.blocks[k]
            if not scaled and (block.after or not block.pooling):
                value = ops.scale(
                    value, start, self._slopes[k + 1], images, starts[k + 1], sizes[k + 1]
                )
                start = starts[k + 1]
            if block.pooling:
                # With the slopes of the map below, which need no pass of their own.
                kept = ops.Kept(self._switches[k], self._slopes[k], images)
                value = ops.pool_back(value, start, kept, starts[k], sizes[k], block)
                start = starts[k]
            else:
                value = self._convolve_back(k, value, sizes[k + 1])
                start = start * block.stride - block.pad
            scaled = block.pooling
        inputs = [each for pair in zip(starts, sizes) for each in (pair[0], *pair[1])]
        return function(
            [images, gradient, *inputs], [channels_first(value), start], on_unused_input="ignore"
        )

    def _convolve_back(
        self, k: int, gradient: Variable, size: tuple[Variable, Variable]
    ) -> Variable:
        """Gradient of a convolution on all that its windows see."""
        block, channels = self.stack.blocks[k], self.stack.channels[k]
        # Only its shape counts.
        below = T.alloc(
            np.array(0, self.stack.dtype), gradient.shape[0], channels, *block.needed_size(size)
        )
        return channels_last(
            T.grad(None, below, known_grads={block.windows(below): channels_first(gradient)})
        )

    # Passes

    def of_neurons(
        self, features: Sequence[int], neurons: np.ndarray, images: Any = None
    ) -> list[np.ndarray]:
        """Gradients of single neurons, on what they see.

        Parameters
        ----------
        features : int array, ``(n,)``
        neurons : int array, ``(n, 2)``
            As :meth:`maxima` gives them.
        images : int array, ``(n,)``, optional
            Which of the kept images; the first if not given.

        Returns
        -------
        gradient : array, ``(n, channels, rows, columns)``
            On windows of the images, which may reach beyond their border.
        start : int array, ``(n, 2)``
            Their first rows and columns.
        """
        stack, count = self.stack, len(features)
        images = np.zeros(count, int) if images is None else np.asarray(images)
        top = np.zeros((count, stack.channels[self._level], 1, 1), stack.dtype)
        top[np.arange(count), features] = 1
        return self._windows(
            images,
            top,
            *(each for window in self._cone(neurons) for each in (window.start, *window.size)),
        )

    def of_places(self, image: int, feature: int, places: np.ndarray) -> np.ndarray:
        """Gradient of the sum of places of the last map.

        Parameters
        ----------
        image, feature : int
        places : int array, ``(n, 2)``

        Returns
        -------
        array, ``(channels, rows, columns)``
        """
        return self.total(image, feature, *self._under(image, feature, places))

    def total(
        self, image: int, feature: int, neurons: np.ndarray, weights: np.ndarray
    ) -> np.ndarray:
        """Weighted sum of the gradients of neurons, as :meth:`maxima` gives them."""
        result = np.zeros((self.stack.channels[0], *self.stack.shapes[0]), self.stack.dtype)
        for neuron, weight in zip(neurons, weights):
            gradients, start = self.of_neurons([feature], neuron[np.newaxis], [image])
            values, rows, columns = self.clipped(gradients[0], start[0])
            result[:, rows, columns] += weight * values
        return result

    def clipped(self, values: np.ndarray, start: np.ndarray) -> Any:
        """The part of a window that lies in the image, and where."""
        size = values.shape[1:]
        first = np.maximum(start, 0)
        end = np.minimum(start + size, self.stack.shapes[0])
        inner = tuple(slice(*span) for span in zip(first - start, end - start))
        return (values[(slice(None), *inner)], *(slice(*span) for span in zip(first, end)))

    def of_maps(self, top: Any, images: Any = None) -> np.ndarray:
        """Gradients of weighted sums of whole maps.

        Parameters
        ----------
        top : array, ``(n, channels, rows, columns)``
            Weights.
        images : int array, ``(n,)``, optional
            Which of the kept images; the first if not given.

        Returns
        -------
        array, ``(n, channels, rows, columns)``
            Of the images' size.
        """
        count, (rows, columns) = len(top), self.stack.shapes[0]
        images = np.zeros(count, int) if images is None else np.asarray(images)
        nowhere = np.zeros((count, 2), int)
        gradients, start = self._whole(
            images, top, *(each for shape in self.stack.shapes for each in (nowhere, *shape))
        )
        top, left = -start[0] if count else (0, 0)
        gradients = gradients[:, :, top : top + rows, left : left + columns]
        out = np.zeros((count, gradients.shape[1], rows, columns), gradients.dtype)
        out[:, :, : gradients.shape[2], : gradients.shape[3]] = gradients
        return out


def work(stack: Stack, sizes: Sequence[tuple[int, int]]) -> int:
    """Multiply-adds of one gradient on windows of so many rows and columns."""
    return sum(
        int(np.prod(size)) * int(np.prod(block.size)) * incoming * block.channels
        for block, size, incoming in zip(stack.blocks, sizes[1:], stack.channels)
        if not block.pooling
    )
