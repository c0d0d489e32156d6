"""Gradients of neurons and of whole maps (thesis section 3.2.1, eqs. 3.4 to 3.7).

Of the forward pass only derivatives are kept: the slope of each block's
pointwise part, and, of a pooling layer, which places hold their window's
maximum.  All features of an image share them.
"""
import numpy as np

from cnnviz.backend import T, function, theano
from cnnviz.local import ops, windows
from cnnviz.local.stack import NotLocal, channels_first, channels_last

__all__ = ["Gradients"]

#: Bytes of a pass's largest array, of which it needs some three times as much.
BUDGET = 32e6


class Gradients:
    """Gradients of a stack's last map with respect to the images.

    Compiled once; what depends on the images is kept by :meth:`keep`.

    Parameters
    ----------
    stack : Stack

    Raises
    ------
    NotLocal
        For feature pooling and for pooling other than by the maximum, whose
        derivatives are not kept.
    """

    def __init__(self, stack):
        for block in stack.blocks:
            if not block.pointwise or block.pooling and block.layer.mode != "max":
                raise NotLocal(f"the derivative of layer '{block.last.name}' is not "
                               "one number for each neuron")
        ops.register()
        self.stack = stack
        last = stack.blocks[-1]
        # Neighbouring pooling windows often share their maximum; from the layer
        # below, where it is one neuron, its gradient is taken once.
        self._level = len(stack.blocks) - (
            last.pooling and not last.after and len(stack.blocks) > 1)
        empty = np.zeros((0, 0, 0, 0), stack.dtype)
        # Of every map, from the images on.
        self._slopes = [theano.shared(empty) for _ in stack.shapes]
        self._switches = [theano.shared(empty.astype(ops.switch_type(block)))
                          if block.pooling else None for block in stack.blocks]
        self._keep = self._compile_keep()
        self._windows = self._compile(self._level, self._window_sizes())
        self._whole = self._compile(len(stack.blocks), stack.shapes)

    # What is kept

    @staticmethod
    def _slope(block, before):
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

    def keep(self, images):
        """Keep the derivatives at images.

        Parameters
        ----------
        images : array, ``(m, channels, rows, columns)``

        Returns
        -------
        array, ``(m, channels, rows, columns)``
            The stack's last maps.
        """
        blocks = self.stack.blocks
        values = self._keep(images)
        slopes, maps = values[:len(blocks)], values[len(blocks):]
        images = np.moveaxis(images, 1, -1)
        below = [images, *maps[1::2]]
        for kept, value in zip(self._slopes, [np.ones_like(images), *slopes]):
            kept.set_value(value, borrow=True)
        for block, kept, under, before in zip(blocks, self._switches, below, maps[::2]):
            if block.pooling:
                kept.set_value(ops.switches(under, before, block), borrow=True)
        self._last, self._start = (np.moveaxis(below[level], -1, 1)
                                   for level in (-1, self._level))
        return self._last

    def maxima(self, image, feature):
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
        found = self._last[image, feature]
        tied = np.argwhere(found == found.max())
        if self._start is self._last:
            return tied, np.ones(len(tied), self.stack.dtype)
        block, below = self.stack.blocks[-1], self._start[image, feature]
        weights = np.zeros_like(below)
        for place in tied:
            first = place * block.stride - block.pad
            window = tuple(slice(max(begin, 0), begin + size)
                           for begin, size in zip(first, block.size))
            weights[window] += below[window] == found[tuple(place)]
        neurons = np.argwhere(weights)
        return neurons, weights[tuple(neurons.T)]

    # Backwards

    def _window_sizes(self):
        """Rows and columns of the windows below one neuron, map by map."""
        blocks = self.stack.blocks[:self._level]
        cone = windows.backward_cone(blocks, np.zeros((1, 2), int))
        return [windows.inside(window, shape).size
                for window, shape in zip(cone, self.stack.shapes)]

    def _compile(self, level, sizes):
        """Function of images, of the gradient and of where its windows begin.

        The gradient is that of the map on ``level``, and the windows are of
        all maps down to the images'.
        """
        images, gradient = T.lvector("images"), self.stack.variable("gradient")
        starts = [T.lmatrix(f"start{k}") for k in range(level + 1)]
        value, start, scaled = channels_last(gradient), starts[level], False
        for k in reversed(range(level)):
            block = self.stack.blocks[k]
            if not scaled and (block.after or not block.pooling):
                value = ops.scale(value, start, self._slopes[k + 1], images,
                                  starts[k + 1], sizes[k + 1])
                start = starts[k + 1]
            if block.pooling:
                # With the slopes of the map below, which need no pass of their own.
                value = ops.pool_back(value, start, self._switches[k], self._slopes[k],
                                      images, starts[k], sizes[k], block)
                start = starts[k]
            else:
                value = self._convolve_back(k, value, sizes[k + 1])
                start = start * block.stride - block.pad
            scaled = block.pooling
        return function([images, gradient, *starts],
                        [channels_first(value), start], on_unused_input="ignore")

    def _convolve_back(self, k, gradient, size):
        """Gradient of a convolution on all that its windows see."""
        block, channels = self.stack.blocks[k], self.stack.channels[k]
        # Only its shape counts.
        below = T.alloc(np.array(0, self.stack.dtype), gradient.shape[0], channels,
                        *block.needed_size(size))
        return channels_last(T.grad(None, below, known_grads={
            block.windows(below): channels_first(gradient)}))

    # Passes

    def of_neurons(self, features, neurons, images=None):
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
        cone = windows.backward_cone(stack.blocks[:self._level], neurons)
        starts = [windows.inside(window, shape).start
                  for window, shape in zip(cone, stack.shapes)]
        return self._windows(images, top, *starts)

    def of_maps(self, top, images=None):
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
        found, start = self._whole(images, top, *[nowhere] * (len(self.stack.blocks) + 1))
        top, left = -start[0] if count else (0, 0)
        found = found[:, :, top:top + rows, left:left + columns]
        out = np.zeros((count, found.shape[1], rows, columns), found.dtype)
        out[:, :, :found.shape[2], :found.shape[3]] = found
        return out
