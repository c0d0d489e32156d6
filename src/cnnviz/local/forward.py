"""Occluded images, evaluated on windows (thesis section 3.2.2)."""
import numpy as np

from cnnviz.backend import T, function, theano
from cnnviz.local import windows
from cnnviz.local.stack import from_table, to_table

__all__ = ["Occluded", "multiply_adds"]

#: Bytes of one pass's largest windows, of which a pass needs some three times
#: as much; small enough for a processor's caches to be of use.
BUDGET = 24e6


def _sizes(stack, size, neuron):
    """Sizes of the windows of every map, from the occluder on."""
    places = np.zeros((1, 2), int)
    return [window.size for window in windows.forward_windows(
        stack.blocks, stack.shapes, places, size, places if neuron else None)]


def multiply_adds(stack, size, neuron=False):
    """Multiply-adds of one occluder.

    Parameters
    ----------
    stack : Stack
    size : (rows, columns)
        Of the occluder.
    neuron : bool
        Only what one neuron sees.

    Returns
    -------
    int
    """
    return sum(
        int(np.prod(area)) * int(np.prod(block.size)) * incoming * block.layer.num_filters
        for block, area, incoming in zip(stack.blocks, _sizes(stack, size, neuron)[1:],
                                         stack.channels) if not block.pooling)


class Occluded:
    """Windows of a stack's last map, under occluders.

    Compiled once; the activations of the images are kept by :meth:`keep`.

    Parameters
    ----------
    stack : Stack
    """

    def __init__(self, stack):
        self.stack = stack
        empty = np.zeros((0, 0), stack.dtype)
        self._kept = [theano.shared(empty, name=f"kept{k}")
                      for k, _ in enumerate(stack.blocks)]
        self._pass = self._compile()
        images = stack.variable()
        maps = stack.results(images)
        self._maps = function([images], [to_table(each) for each in maps[:-1]]
                              + [maps[-1]])

    def keep(self, images, fill):
        """Keep the activations of images.

        Parameters
        ----------
        images : array, ``(m, channels, rows, columns)``
        fill : float, or array ``(channels,)``
            Value of the occluder.

        Returns
        -------
        array, ``(m, channels, rows, columns)``
            The stack's last maps.
        """
        stack = self.stack
        *tables, last = self._maps(images)
        tables.insert(0, np.moveaxis(images, 1, -1).reshape(-1, images.shape[1]))
        fills = [np.broadcast_to(np.asarray(fill, stack.dtype), images.shape[1])]
        for table, kept, block, values in zip(
                tables, self._kept, stack.blocks, fills + [None] * len(tables)):
            # A row for places outside the map, and one for the occluder.
            rows = [np.full((1, table.shape[1]), block.fill, stack.dtype)]
            if values is not None:
                rows.append(values[np.newaxis])
            kept.set_value(np.concatenate([table, *rows]), borrow=True)
        self._images = len(images)
        return last

    def _compile(self):
        inputs, value = [], None
        for block, kept, channels in zip(self.stack.blocks, self._kept,
                                         self.stack.channels):
            rows, columns, index, place, result = (
                T.lscalar("rows"), T.lscalar("columns"), T.lvector("index"),
                T.lvector("place"), T.ltensor3("result"))
            table = kept[index]
            inputs += [rows, columns, index]
            if value is not None:
                table = T.set_subtensor(table[place], to_table(value))
                inputs.append(place)
            # The last row took what lies in no window.
            value = block.windows(from_table(table[:-1], rows, columns, channels))
            if not block.pooling and block.layer.b is not None:
                value = value + block.bias(result)
                if block.layer.untie_biases:
                    inputs.append(result)
            value = block.rest(value)
        return function(inputs, value)

    def batch_size(self, size, neuron=False):
        """Occluders in one pass."""
        stack = self.stack
        sizes = _sizes(stack, size, neuron)
        largest = max(
            max(incoming * np.prod([(length - 1) * step + window for length, step, window
                                    in zip(area, block.stride, block.size)]),
                block.layer.output_shape[1] * np.prod(area))
            for block, area, incoming in zip(stack.blocks, sizes[1:], stack.channels))
        return int(np.clip(BUDGET / (largest * np.dtype(stack.dtype).itemsize), 1, 2048))

    def __call__(self, first, size, images=None, neurons=None):
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
        count = len(first)
        images = np.zeros(count, int) if images is None else np.asarray(images)
        held = windows.forward_windows(stack.blocks, stack.shapes, first, size, neurons)
        arguments = []
        for k, block in enumerate(stack.blocks):
            outer = windows.needed(held[k + 1], block)
            outside = self._images * int(np.prod(stack.shapes[k]))
            index = windows.flat_index(outer, stack.shapes[k], images, outside)
            if k == 0:
                _occlude(index, outer, first, size, stack.shapes[0], outside + 1)
            arguments += [*outer.size, np.append(index, outside)]
            if k:
                arguments.append(windows.place_index(held[k], outer).ravel())
            if not block.pooling and block.layer.b is not None and block.layer.untie_biases:
                arguments.append(windows.flat_index(held[k + 1], stack.shapes[k + 1]))
        return self._pass(*arguments), held[-1].start


def _occlude(index, outer, first, size, shape, occluder):
    """Put the occluder's row wherever it covers the image."""
    covered = [(lines >= begin) & (lines < begin + length) & (lines >= 0) & (lines < limit)
               for lines, begin, length, limit in zip(
                   (outer.lines(0), outer.lines(1)), np.moveaxis(first, 1, 0)[..., None],
                   size, shape)]
    np.copyto(index, occluder,
              where=covered[0][:, :, np.newaxis] & covered[1][:, np.newaxis, :])
