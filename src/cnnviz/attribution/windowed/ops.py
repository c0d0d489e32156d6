"""Theano Ops that cut windows from maps, and take gradients back through pooling.

Each would be a long chain of Theano's own indexing, every link a pass over
memory.  On the CPU both engines run the kernels of this module; on a GPU the
torch engine runs :mod:`cnnviz.attribution.windowed.ops_torch`.

Maps are channels last: ``(images or items, rows, columns, channels)``.  A
window's ``start`` ``(n, 2)`` is its first row and column; it may reach beyond
its map.
"""

import numba
import numpy as np

from cnnviz.runtime import threads
from cnnviz.runtime.backend import T, theano

__all__ = [
    "Add",
    "Cut",
    "PoolBack",
    "Scale",
    "add",
    "cut",
    "cut_around",
    "pool_back",
    "scale",
    "switch_type",
    "switches",
]

_OPTIONS = {
    "nogil": True,
    "fastmath": {"nsz", "contract"},
    "error_model": "numpy",
    "boundscheck": False,
}
_jit = numba.njit(**_OPTIONS)
# Only what Python calls is kept compiled on disk, with what it calls inside.
_entry = numba.njit(**_OPTIONS, cache=True)
_LEAST = 1 << 15  # numbers, below which a second thread is not worth its start


def _run(kernel, out, *arguments):
    """Run a kernel over the rows of all items, in as many threads as there are."""

    def work(first, end):
        kernel(first, end, out, *arguments)

    lines = out.shape[0] * out.shape[1]
    if out.size < _LEAST:
        work(0, lines)
    else:
        threads.over(lines, work)
    return out


# Loops over channels, in functions of their own so that they are vectorized.


@_jit
def _set(target, value):
    for k in range(target.size):
        target[k] = value


@_jit
def _copy(target, values):
    for k in range(target.size):
        target[k] = values[k]


@_jit
def _multiply(target, values, others):
    for k in range(target.size):
        target[k] = values[k] * others[k]


@_jit
def _accumulate(target, values, switches, place):
    bit = switches.dtype.type(1) << switches.dtype.type(place)
    for k in range(target.size):
        target[k] += values[k] if switches[k] & bit else target.dtype.type(0)


@_entry
def _cut(first, end, out, source, images, start, fill, new, new_start, box, occluder):
    """Windows of kept maps, with new values in them.

    A value comes from ``occluder`` in the box ``(item's first row and column;
    size)``, else from ``new``, else from the map, else it is ``fill``.  Along an axis on
    which the occluder has one number, that counts everywhere.
    """
    height, width = source.shape[1:3]
    each, high, wide = (
        min(occluder.shape[0], 2) - 1,
        min(occluder.shape[1], 2) - 1,
        min(occluder.shape[2], 2) - 1,
    )
    for line in range(first, end):
        item, r = divmod(line, out.shape[1])
        row, image = start[item, 0] + r, images[item]
        row_inside = 0 <= row < height
        new_row = row - new_start[item, 0]
        row_new = 0 <= new_row < new.shape[1]
        row_hidden = row_inside and 0 <= row - box[item, 0] < box[item, 2]
        for c in range(out.shape[2]):
            column = start[item, 1] + c
            inside = row_inside and 0 <= column < width
            new_column = column - new_start[item, 1]
            if inside and row_hidden and 0 <= column - box[item, 1] < box[item, 3]:
                _copy(out[item, r, c], occluder[image * each, row * high, column * wide])
            elif row_new and 0 <= new_column < new.shape[2]:
                _copy(out[item, r, c], new[item, new_row, new_column])
            elif inside:
                _copy(out[item, r, c], source[image, row, column])
            else:
                _set(out[item, r, c], fill[0])


@_entry
def _add(first, end, out, value, source, start):
    """The same map added to every item, window by window, inside the map."""
    for line in range(first, end):
        item, r = divmod(line, out.shape[1])
        row = start[item, 0] + r
        for c in range(out.shape[2]):
            column = start[item, 1] + c
            for k in range(out.shape[3]):
                out[item, r, c, k] = value[item, r, c, k] + source[row, column, k]


@_entry
def _scale(first, end, out, gradient, start, source, images, out_start):
    """A gradient times kept slopes, on other windows; zero outside the map."""
    height, width = source.shape[1:3]
    for line in range(first, end):
        item, r = divmod(line, out.shape[1])
        row, image = out_start[item, 0] + r, images[item]
        old_row = row - start[item, 0]
        usable = 0 <= row < height and 0 <= old_row < gradient.shape[1]
        for c in range(out.shape[2]):
            column = out_start[item, 1] + c
            old_column = column - start[item, 1]
            if usable and 0 <= column < width and 0 <= old_column < gradient.shape[2]:
                _multiply(
                    out[item, r, c], gradient[item, old_row, old_column], source[image, row, column]
                )
            else:
                _set(out[item, r, c], 0)


@_jit
def _windows_of(place, size, stride, pad, start, limit):
    """First and last window, in the map and at hand, that hold a place."""
    lowest = place + pad - size
    first = max(0, start, lowest // stride + 1)
    return first, min(limit, (place + pad) // stride)


@_entry
def _pool_back(first, end, out, gradient, start, switches, slopes, images, out_start, geometry):
    """Gradient below a max-pooling layer, times kept slopes.

    ``switches`` has, for every window, a bit for each place that its gradient goes to.
    All such places get the whole gradient, as Theano defines it.
    """
    height, width = slopes.shape[1:3]
    bits = 8 * switches.itemsize
    total = np.empty(out.shape[3], out.dtype)
    for line in range(first, end):
        item, r = divmod(line, out.shape[1])
        row, image = out_start[item, 0] + r, images[item]
        top, bottom = _windows_of(
            row,
            geometry[0, 0],
            geometry[1, 0],
            geometry[2, 0],
            start[item, 0],
            min(switches.shape[1], start[item, 0] + gradient.shape[1]) - 1,
        )
        for c in range(out.shape[2]):
            column = out_start[item, 1] + c
            if not (0 <= row < height and 0 <= column < width):
                _set(out[item, r, c], 0)
                continue
            left, right = _windows_of(
                column,
                geometry[0, 1],
                geometry[1, 1],
                geometry[2, 1],
                start[item, 1],
                min(switches.shape[2], start[item, 1] + gradient.shape[2]) - 1,
            )
            _set(total, 0)
            for i in range(top, bottom + 1):
                for j in range(left, right + 1):
                    place = (
                        (row + geometry[2, 0] - i * geometry[1, 0]) * geometry[0, 1]
                        + column
                        + geometry[2, 1]
                        - j * geometry[1, 1]
                    )
                    _accumulate(
                        total,
                        gradient[item, i - start[item, 0], j - start[item, 1]],
                        switches[image, i, j, place // bits],
                        place % bits,
                    )
            _multiply(out[item, r, c], total, slopes[image, row, column])


@_entry
def _switches(first, end, out, below, pooled, geometry, single):
    """A bit for every place of a window that holds its maximum; ``single``: the first."""
    height, width = geometry[0]
    bits, one = 8 * out.itemsize, out.dtype.type(1)
    for line in range(first, end):
        item, i = divmod(line, out.shape[1])
        for j in range(out.shape[2]):
            for k in range(out.shape[4]):
                for word in range(out.shape[3]):
                    out[item, i, j, word, k] = 0
                for place in range(height * width):
                    row = i * geometry[1, 0] - geometry[2, 0] + place // width
                    column = j * geometry[1, 1] - geometry[2, 1] + place % width
                    if (
                        0 <= row < below.shape[1]
                        and 0 <= column < below.shape[2]
                        and below[item, row, column, k] == pooled[item, i, j, k]
                    ):
                        out[item, i, j, place // bits, k] |= one << out.dtype.type(place % bits)
                        if single:
                            break


def switch_type(block):
    """Smallest integer type with a bit for every place of a pooling window, or for 32."""
    return "uint16" if np.prod(block.size) <= 16 else "uint32"


def switches(below, pooled, block, first=False):
    """Which places of every pooling window hold its maximum.

    Parameters
    ----------
    below, pooled : arrays, ``(m, rows, columns, channels)``
    block : Block
        A max-pooling one.
    first : bool
        Only the first of them, row by row.

    Returns
    -------
    unsigned integer array, ``(m, rows, columns, words, channels)``
        A bit for every place of a window, row by row, in as many words as it takes.
    """
    kind = np.dtype(switch_type(block))
    words = -(-int(np.prod(block.size)) // (8 * kind.itemsize))
    out = np.empty((*pooled.shape[:3], words, pooled.shape[3]), kind)
    return _run(
        _switches,
        out,
        np.ascontiguousarray(below),
        np.ascontiguousarray(pooled),
        np.array([block.size, block.stride, block.pad], np.int64),
        first,
    )


class _Windowed(theano.Op):  # type: ignore[name-defined]
    """A kernel as an Op; ``rows`` and ``columns`` are its last two inputs."""

    __props__ = ()

    def make_node(self, *inputs):
        inputs = [T.as_tensor_variable(each) for each in inputs]
        dtype = inputs[0].dtype
        return theano.Apply(self, inputs, [T.TensorType(dtype, (False,) * 4)()])

    def infer_shape(self, node, shapes):
        rows, columns = node.inputs[-2:]
        return [(self.items(shapes), rows, columns, shapes[0][3])]

    def items(self, shapes):
        """Number of items, from the inputs' shapes."""
        return shapes[0][0]

    def perform(self, node, inputs, outputs):
        outputs[0][0] = self.compute(*inputs)

    def compute(self, *inputs):
        """The result, of arrays."""
        arrays = [np.ascontiguousarray(each) for each in inputs[:-2]]  # kernels count on it
        size = tuple(int(each) for each in inputs[-2:])
        count = self.items([each.shape for each in arrays])
        out = np.empty((count, *size, arrays[0].shape[3]), arrays[0].dtype)
        return _run(self.kernel, out, *arrays)


class Cut(_Windowed):
    """Windows of kept maps, with new values in them: see :func:`cut`."""

    kernel = staticmethod(_cut)

    def items(self, shapes):
        return shapes[1][0]


class Scale(_Windowed):
    """A gradient times kept slopes: see :func:`scale`."""

    kernel = staticmethod(_scale)


class PoolBack(_Windowed):
    """A gradient, back through pooling: see :func:`pool_back`."""

    kernel = staticmethod(_pool_back)


class Add(_Windowed):
    """A map added, window by window: see :func:`add`."""

    kernel = staticmethod(_add)


def cut(source, images, start, size, fill, new, new_start):
    """Windows of kept maps, with new values in them.

    Parameters
    ----------
    source : ``(m, rows, columns, channels)``
    images : integers, ``(n,)``
        Which map each window is of.
    start : integers, ``(n, 2)``
    size : (rows, columns)
        Of the windows.
    fill : float
        Outside the map.
    new : ``(n, rows, columns, channels)``
        Values in the place of kept ones.
    new_start : integers, ``(n, 2)``

    Returns
    -------
    Theano variable, ``(n, rows, columns, channels)``
    """
    nowhere = T.zeros((new.shape[0], 4), "int64")
    return Cut()(
        source,
        images,
        start,
        np.array([fill], source.dtype),
        new,
        new_start,
        nowhere,
        source[:1, :1, :1],
        *size,
    )


def cut_around(source, images, start, size, fill, box, occluder):
    """Windows of images with an occluder on them.

    Parameters
    ----------
    source, images, start, size, fill
        As for :func:`cut`.
    box : integers, ``(n, 4)``
        First row and column, rows and columns of the occluder.
    occluder : ``(1 or m, 1 or rows, 1 or columns, channels)``
        Its values: of all images or of each, everywhere or pixel by pixel.

    Returns
    -------
    Theano variable, ``(n, rows, columns, channels)``
    """
    return Cut()(
        source,
        images,
        start,
        np.array([fill], source.dtype),
        source[:, :0, :0],
        start,
        box,
        occluder,
        *size,
    )


def add(value, source, start):
    """A map ``(rows, columns, channels)``, added window by window.

    Windows of ``value`` ``(n, rows, columns, channels)`` must lie in the map.
    """
    return Add()(value, source, start, *value.shape[1:3])


def scale(gradient, start, slopes, images, out_start, size):
    """A gradient times kept slopes, on windows that may be others.

    Parameters
    ----------
    gradient : ``(n, rows, columns, channels)``
    start : integers, ``(n, 2)``
    slopes : ``(m, rows, columns, channels)``
    images : integers, ``(n,)``
    out_start : integers, ``(n, 2)``
    size : (rows, columns)
        Of the new windows.

    Returns
    -------
    Theano variable, ``(n, rows, columns, channels)``
        Zero outside the map and where no gradient was given.
    """
    return Scale()(gradient, start, slopes, images, out_start, *size)


def pool_back(gradient, start, switches, slopes, images, out_start, size, block):
    """A gradient, back through max-pooling and the slopes below it.

    Parameters
    ----------
    gradient : ``(n, rows, columns, channels)``
        Of the pooled maps.
    start : integers, ``(n, 2)``
    switches : integers, ``(m, rows, columns, words, channels)``
        As :func:`switches` gives them.
    slopes : ``(m, rows, columns, channels)``
        Of the maps below.
    images : integers, ``(n,)``
    out_start : integers, ``(n, 2)``
    size : (rows, columns)
    block : Block

    Returns
    -------
    Theano variable, ``(n, rows, columns, channels)``
    """
    geometry = np.array([block.size, block.stride, block.pad], np.int64)
    return PoolBack()(gradient, start, switches, slopes, images, out_start, geometry, *size)
