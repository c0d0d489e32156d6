"""Theano Ops that cut windows from maps, and take gradients back through pooling.

Each would be a long chain of Theano's own indexing, every link a pass over
memory.  On the CPU both engines run :mod:`cnnviz.attribution.windowed.kernels`; on a GPU the
torch engine runs :mod:`cnnviz.attribution.windowed.ops_torch`.

Maps are channels last: ``(images or items, rows, columns, channels)``.  A
window's ``start`` ``(n, 2)`` is its first row and column; it may reach beyond
its map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnnviz.attribution.windowed.kernels import (
    add_rows,
    cut_rows,
    over_rows,
    pool_rows_back,
    scale_rows,
    switch_rows,
)
from cnnviz.runtime.backend import T, theano

if TYPE_CHECKING:
    from theano.gof import Apply, Variable

    from cnnviz.attribution.windowed.stack import Block

__all__ = [
    "Add",
    "Cut",
    "Kept",
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


# Loops over channels, in functions of their own so that they are vectorized.


def switch_type(block: Block) -> str:
    """Smallest integer type with a bit for every place of a pooling window, or for 32."""
    return "uint16" if np.prod(block.size) <= 16 else "uint32"


def switches(
    below: np.ndarray, pooled: np.ndarray, block: Block, first: bool = False
) -> np.ndarray:
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
    return over_rows(
        switch_rows,
        out,
        np.ascontiguousarray(below),
        np.ascontiguousarray(pooled),
        np.array([block.size, block.stride, block.pad], np.int64),
        first,
    )


class _Windowed(theano.Op):  # type: ignore[name-defined]
    """A kernel as an Op; ``rows`` and ``columns`` are its last two inputs."""

    __props__ = ()

    def make_node(self, *inputs: Any) -> Apply:
        variables = [T.as_tensor_variable(input_) for input_ in inputs]
        dtype = variables[0].dtype
        return theano.Apply(self, variables, [T.TensorType(dtype, (False,) * 4)()])

    def infer_shape(
        self, node: Apply, shapes: Sequence[Sequence[Any]]
    ) -> list[tuple[Variable, Variable, Variable, Variable]]:
        rows, columns = node.inputs[-2:]
        return [(self.items(shapes), rows, columns, shapes[0][3])]

    def items(self, shapes: Sequence[Sequence[Any]]) -> Variable | int:
        """Number of items, from the inputs' shapes."""
        return shapes[0][0]

    def perform(self, node: Apply, inputs: Any, outputs: Any) -> None:
        outputs[0][0] = self.compute(*inputs)

    def compute(self, *inputs: Any) -> np.ndarray:
        """The result, of arrays."""
        arrays = [np.ascontiguousarray(input_) for input_ in inputs[:-2]]  # kernels count on it
        size = tuple(int(input_) for input_ in inputs[-2:])
        count = self.items([array.shape for array in arrays])
        out = np.empty((count, *size, arrays[0].shape[3]), arrays[0].dtype)
        return over_rows(self.kernel, out, *arrays)


class Cut(_Windowed):
    """Windows of kept maps, with new values in them: see :func:`cut`."""

    kernel = staticmethod(cut_rows)

    def items(self, shapes: Sequence[Sequence[Variable | int]]) -> Variable | int:
        return shapes[1][0]


class Scale(_Windowed):
    """A gradient times kept slopes: see :func:`scale`."""

    kernel = staticmethod(scale_rows)


class PoolBack(_Windowed):
    """A gradient, back through pooling: see :func:`pool_back`."""

    kernel = staticmethod(pool_rows_back)


class Add(_Windowed):
    """A map added, window by window: see :func:`add`."""

    kernel = staticmethod(add_rows)


def cut(
    source: Variable,
    images: Variable,
    start: Variable,
    size: tuple[int, int],
    fill: float,
    new: Variable,
    new_start: Variable,
) -> Variable:
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


def cut_around(
    source: Variable,
    images: Variable,
    start: Variable,
    size: Sequence[Variable],
    fill: float,
    box: Variable,
    occluder: Variable,
) -> Variable:
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


def add(value: Variable, source: Variable, start: Variable) -> Variable:
    """A map ``(rows, columns, channels)``, added window by window.

    Windows of ``value`` ``(n, rows, columns, channels)`` must lie in the map.
    """
    return Add()(value, source, start, *value.shape[1:3])


def scale(
    gradient: Variable,
    start: Variable,
    slopes: Variable,
    images: Variable,
    out_start: Variable,
    size: tuple[int, int],
) -> Variable:
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


class Kept(NamedTuple):
    """What is kept of images below a max-pooling layer, and which images are meant."""

    switches: Variable  #: integers, ``(m, rows, columns, words, channels)``: see :func:`switches`
    slopes: Variable  #: of the maps below, ``(m, rows, columns, channels)``
    images: Variable  #: integers, ``(n,)``


def pool_back(
    gradient: Variable,
    start: Variable,
    kept: Kept,
    out_start: Variable,
    size: tuple[int, int],
    block: Block,
) -> Variable:
    """A gradient, back through max-pooling and the slopes below it.

    Parameters
    ----------
    gradient : ``(n, rows, columns, channels)``
        Of the pooled maps.
    start : integers, ``(n, 2)``
    kept : Kept
    out_start : integers, ``(n, 2)``
    size : (rows, columns)
    block : Block

    Returns
    -------
    Theano variable, ``(n, rows, columns, channels)``
    """
    geometry = np.array([block.size, block.stride, block.pad], np.int64)
    return PoolBack()(gradient, start, *kept, out_start, geometry, *size)
