"""Gradients of neurons and of whole maps (thesis section 3.2.1, eqs. 3.4 to 3.7).

Of the forward pass only the derivatives are kept: of each block's pointwise
part, and, of a pooling layer, which places hold their window's maximum.  All
features of an image share them.
"""
import itertools

import numpy as np

from cnnviz.backend import T, function, theano
from cnnviz.local import windows
from cnnviz.local.stack import from_table, to_table

__all__ = ["Gradients"]

BUDGET = 24e6  # bytes of a pass's largest array


def _every(first, count, stride):
    return slice(first, first + (count - 1) * stride + 1, stride)


class Gradients:
    """Gradients of a stack's last map with respect to the images.

    Parameters
    ----------
    stack : Stack
        Feature pooling, whose derivative is not pointwise, is refused.

    Raises
    ------
    NotLocal
        When a block's derivative cannot be kept.
    """

    def __init__(self, stack):
        from cnnviz.local.stack import NotLocal
        for block in stack.blocks:
            if not block.pointwise or block.pooling and block.layer.mode != "max":
                raise NotLocal(f"the derivative of layer '{block.last.name}' is not "
                               "one number for each neuron")
        self.stack = stack
        empty = np.zeros((0, 0), stack.dtype)
        self._slopes = [theano.shared(empty) for _ in stack.blocks]
        self._switches = [theano.shared(empty) if block.pooling else None
                          for block in stack.blocks]
        self._keep = self._compile_keep()
        self._windows = self._compile(whole=False)
        self._whole = self._compile(whole=True)

    # What is kept

    def _slope(self, block, before):
        """Derivative of a block's pointwise part."""
        after = block.rest(before)
        if after is before:
            return T.ones_like(before)
        return T.grad(after.sum(), before)

    def _switch(self, block, padded, maxima):
        """Which places of its window hold a neuron's maximum, place by place."""
        rows, columns = maxima.shape[2:]
        return T.concatenate([
            T.eq(padded[:, :, _every(u, rows, block.stride[0]),
                        _every(v, columns, block.stride[1])], maxima)
            for u, v in itertools.product(*map(range, block.size))], axis=1)

    def _compile_keep(self):
        images = self.stack.variable()
        value, results = images, []
        for block, shape in zip(self.stack.blocks, self.stack.shapes):
            padded = self.stack._padded(block, value, shape, None)
            before = block.windows(padded)
            if block.pooling:
                results.append(T.cast(to_table(self._switch(block, padded, before)),
                                      self.stack.dtype))
            elif block.layer.b is not None:
                before = before + block.bias()
            results.append(to_table(self._slope(block, before)))
            value = block.rest(before)
        return function([images], [*results, value])

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
        *tables, last = self._keep(images)
        tables = iter(tables)
        for slopes, switches in zip(self._slopes, self._switches):
            for kept in (switches, slopes):
                if kept is not None:
                    table = next(tables)
                    # The last row: outside the map nothing is passed on.
                    kept.set_value(np.concatenate([table, 0 * table[:1]]), borrow=True)
        self._images = len(images)
        return last

    # One block backwards

    def _pool_back(self, block, gradient, switches):
        """Gradient of a pooling layer; ``switches`` broadcasts over features."""
        rows, columns = gradient.shape[-2:]
        need = [(length - 1) * int(step) + int(size) for length, step, size
                in zip((rows, columns), block.stride, block.size)]
        parts = [gradient.shape[k] for k in range(gradient.ndim - 2)]
        result = T.zeros((*parts, *need), gradient.dtype)
        channels = gradient.shape[-3]
        for k, (u, v) in enumerate(itertools.product(*map(range, block.size))):
            held = switches[..., k * channels:(k + 1) * channels, :, :]
            place = (Ellipsis, _every(u, rows, int(block.stride[0])),
                     _every(v, columns, int(block.stride[1])))
            result = T.inc_subtensor(result[place], gradient * held)
        return result

    def _convolve_back(self, block, gradient, channels):
        """Gradient of a convolution without padding."""
        need = [(length - 1) * int(step) + int(size) for length, step, size
                in zip(gradient.shape[2:], block.stride, block.size)]
        # Only its shape counts.
        below = T.alloc(np.array(0, self.stack.dtype), gradient.shape[0], channels, *need)
        return T.grad((block.windows(below) * gradient).sum(), below,
                      consider_constant=[gradient])

    def _compile(self, whole):
        gradient = self.stack.variable("gradient")
        per_image = T.lscalar("features per image")
        inputs = [gradient] + ([per_image] if whole else [])
        for k, block in reversed(list(enumerate(self.stack.blocks))):
            rows, columns = self.stack.shapes[k + 1]
            channels = self.stack.channels[k + 1]
            slopes, switches = self._slopes[k], self._switches[k]
            if whole:
                def kept(table, count):
                    maps = from_table(table[:-1], rows, columns, count)
                    return maps.dimshuffle(0, "x", 1, 2, 3)
                shape = gradient.shape
                gradient = gradient.reshape((-1, per_image, *shape[1:]), ndim=5)
            else:
                index = T.ltensor3("index")
                inputs.append(index)

                def kept(table, count):
                    return from_table(table[index.flatten()], index.shape[1],
                                      index.shape[2], count)
            if block.after or not block.pooling:
                gradient = gradient * kept(slopes, channels)
            if block.pooling:
                held = kept(switches, channels * int(np.prod(block.size)))
                gradient = self._pool_back(block, gradient, held)
            if whole:
                gradient = gradient.reshape((-1, *gradient.shape[2:]), ndim=4)
            if not block.pooling:
                gradient = self._convolve_back(block, gradient, self.stack.channels[k])
            if whole:
                top, left = map(int, block.pad)
                below = self.stack.shapes[k]
                gradient = self._crop(gradient, (top, left), below)
        return function(inputs, gradient)

    @staticmethod
    def _crop(gradient, first, shape):
        """What lies in the map; zeros where no window reached."""
        result = T.zeros((gradient.shape[0], gradient.shape[1], *shape), gradient.dtype)
        part = gradient[:, :, first[0]:first[0] + shape[0], first[1]:first[1] + shape[1]]
        return T.set_subtensor(result[:, :, :part.shape[2], :part.shape[3]], part)

    # Passes

    def of_neurons(self, features, neurons, images=None):
        """Gradients of single neurons, on their receptive fields.

        Parameters
        ----------
        features : int array, ``(n,)``
        neurons : int array, ``(n, 2)``
        images : int array, ``(n,)``, optional
            Which of the kept images; the first if not given.

        Returns
        -------
        gradient : array, ``(n, channels, rows, columns)``
            On the receptive field, also where it leaves the image.
        start : int array, ``(n, 2)``
            Its first row and column.
        """
        stack = self.stack
        count = len(features)
        images = np.zeros(count, int) if images is None else np.asarray(images)
        top = np.zeros((count, stack.channels[-1], 1, 1), stack.dtype)
        top[np.arange(count), features] = 1
        cone = windows.backward_cone(stack.blocks, neurons)
        index = [windows.flat_index(window, shape, images,
                                    self._images * int(np.prod(shape)))
                 for window, shape in zip(cone[1:], stack.shapes[1:])]
        return self._windows(top, *index[::-1]), cone[0].start

    def of_maps(self, top, per_image):
        """Gradients of weighted sums of whole maps.

        Parameters
        ----------
        top : array, ``(m * per_image, channels, rows, columns)``
            Weights, image after image.
        per_image : int

        Returns
        -------
        array, ``(m * per_image, channels, rows, columns)``
            Of the images' size.
        """
        return self._whole(top, per_image)
