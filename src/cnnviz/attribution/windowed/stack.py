"""A network's local layers in blocks, and the activations that are kept.

A block is a convolution or pooling layer and the layers after it that act on
each neuron alone.  It computes through the layers' own Theano expressions,
on windows that bring their surroundings along instead of padding.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.attribution.receptive_field import declared_geometry
from cnnviz.attribution.windowed import ops
from cnnviz.networks.inputs import label, precision
from cnnviz.runtime.backend import T, lasagne
from cnnviz.runtime.errors import UserError

if TYPE_CHECKING:
    from lasagne.layers import Layer
    from theano.gof import Variable

__all__ = ["Block", "NotLocal", "Stack", "local_prefix", "preparing"]

_layers = lasagne.layers
_WINDOWED = (_layers.Conv2DLayer, _layers.Pool2DLayer)
_SILENT = (_layers.DropoutLayer, _layers.GaussianNoiseLayer)  # when deterministic


class NotLocal(UserError):
    """A layer cannot be evaluated on windows."""


@contextlib.contextmanager
def preparing(layer: Layer) -> Iterator[None]:
    """Whatever fails while windows are prepared means that there are none.

    Layers are anybody's code; whole passes may do where windows fail.
    """
    try:
        yield
    except NotLocal:
        raise
    except Exception as error:
        text = str(error).partition("\n")[0]
        raise NotLocal(
            f"layer '{label(layer)}' could not be prepared for windows "
            f"({type(error).__name__}: {text})"
        ) from error


def _is_pointwise(layer: Layer) -> bool:
    return (
        isinstance(layer, (_layers.NonlinearityLayer, *_SILENT))
        or isinstance(layer, _layers.FeaturePoolLayer)
        and layer.axis == 1
    )


def _pools_by_maximum(layer: Layer) -> bool:
    return isinstance(layer, _layers.Pool2DLayer) and getattr(layer, "mode", "max") == "max"


def _is_windowed(layer: Layer) -> bool:
    return isinstance(layer, _WINDOWED) and (
        not isinstance(layer, _layers.Pool2DLayer)
        or _pools_by_maximum(layer)
        or tuple(layer.pad) == (0, 0)
        and layer.ignore_border
    )


def _why_not(layer: Layer) -> str:
    """Why a layer is neither windowed nor pointwise."""
    if isinstance(layer, _layers.Pool2DLayer):
        return (
            f"its windows, pooled by '{layer.mode}', are of other sizes at the border "
            "(padding, or ignore_border=False)"
        )
    if isinstance(layer, _layers.FeaturePoolLayer):
        return f"it pools over axis {layer.axis}, not over the features"
    return (
        f"it is a {type(layer).__name__}, and no convolution, pooling, pointwise or "
        "feature pooling layer of Lasagne"
    )


def local_prefix(layer: Layer, wrt: int = 0) -> Layer:
    """The last layer, on the way from an input, up to which all is local.

    Parameters
    ----------
    layer : lasagne.layers.Layer
    wrt : int
        Which of the inputs below it.

    Returns
    -------
    lasagne.layers.Layer
        The input layer itself if nothing is local.
    """
    below = _layers.get_all_layers(layer)
    last = [each for each in below if isinstance(each, _layers.InputLayer)][wrt]
    while last is not layer:
        users = [
            each
            for each in below
            if last in (getattr(each, "input_layers", None) or [getattr(each, "input_layer", None)])
        ]
        try:
            local = len(users) == 1 and (_is_pointwise(users[0]) or _is_windowed(users[0]))
        except AttributeError:  # a layer without what others of its kind have
            local = False
        if not local:
            break
        last = users[0]
    return last


class Block:
    """A convolution or pooling layer and the pointwise layers after it.

    Parameters
    ----------
    layer : lasagne.layers.Layer
    after : list of lasagne.layers.Layer
    places : (rows, columns), optional
        Of the block's map; the layers' own if not given.

    Attributes
    ----------
    size, stride, pad : int arrays, ``(2,)``
        Window of the layer; ``pad`` before the first row and column.
    fill : float
        What stands for neurons outside the block's input.
    """

    def __init__(
        self, layer: Layer, after: Sequence[Layer], places: tuple[int, int] | None = None
    ) -> None:
        self.layer, self.after = layer, after
        self.places = tuple(self.last.output_shape[2:]) if places is None else places
        declared = declared_geometry(layer)
        assert declared is not None  # blocks begin with layers that have one
        self.size, self.stride, self.pad = map(np.array, declared)
        self.pooling = isinstance(layer, _layers.Pool2DLayer)
        self.maximum = _pools_by_maximum(layer)
        self.fill = -np.inf if self.maximum else 0.0
        self.channels = layer.output_shape[1]
        self._bare = copy.copy(layer)
        self._bare.pad = (0, 0)
        if self.pooling:
            self._bare.ignore_border = True
        else:
            self._bare.b, self._bare.nonlinearity = None, lasagne.nonlinearities.identity
            self._bare.input_shape = (None, layer.input_shape[1], None, None)

    @property
    def pointwise(self) -> bool:
        """Whether what follows the window acts on each number alone."""
        return not any(isinstance(each, _layers.FeaturePoolLayer) for each in self.after)

    @property
    def last(self) -> Layer:
        """The block's last layer."""
        return self.after[-1] if self.after else self.layer

    def windows(self, value: Variable) -> Variable:
        """Convolution or pooling alone, without padding and bias."""
        return self._bare.get_output_for(value, deterministic=True)

    def needed_size(
        self, size: np.ndarray | tuple[Variable | int, Variable | int]
    ) -> tuple[Variable | int, Variable | int]:
        """Rows and columns of the input for so many of the result."""
        return tuple(
            (length - 1) * int(step) + int(window)
            for length, step, window in zip(size, self.stride, self.size)
        )

    def add_bias(self, value: Variable, start: Variable | None = None) -> Variable:
        """Add the bias to ``(n, channels, rows, columns)``.

        Parameters
        ----------
        value : Theano variable
        start : integers, ``(n, 2)``
            Where its windows are in the map; the whole map if not given.
        """
        b = None if self.pooling else self.layer.b
        if b is None:
            return value
        if not self.layer.untie_biases:
            return value + b.dimshuffle("x", 0, "x", "x")
        if start is None:
            return value + b.dimshuffle("x", 0, 1, 2)
        return channels_first(ops.add(channels_last(value), b.dimshuffle(1, 2, 0), start))

    def rest(self, value: Variable) -> Variable:
        """Non-linearity and the layers after it."""
        if not self.pooling:
            value = self.layer.nonlinearity(value)
        for layer in self.after:
            value = layer.get_output_for(value, deterministic=True)
        return value


def channels_last(value: Variable) -> Variable:
    """``(n, channels, rows, columns)`` to ``(n, rows, columns, channels)``."""
    return value.dimshuffle(0, 2, 3, 1)


def channels_first(value: Variable) -> Variable:
    """The way back."""
    return value.dimshuffle(0, 3, 1, 2)


def _grouped(path: Sequence[Layer]) -> list[tuple[Layer, list[Any]]]:
    """Every windowed layer with the pointwise layers after it."""
    groups = []
    for layer in path:
        if _is_windowed(layer):
            groups.append((layer, []))
        elif groups:
            groups[-1][1].append(layer)
        elif not isinstance(layer, _SILENT):
            raise NotLocal(
                f"layer '{label(layer)}' comes before the first convolution or pooling layer"
            )
    return groups


class Stack:
    """The local layers from an input up to a layer.

    Parameters
    ----------
    layer : lasagne.layers.Layer
        Above a single input, through local layers only.
    shape : (rows, columns), optional
        Of the images, where the input layer leaves them open.

    Attributes
    ----------
    source : lasagne.layers.InputLayer
    blocks : list of Block
    shapes : list of (rows, columns)
        Of the input and of the result of every block.
    channels : list of int
        Likewise.
    dtype : str

    Raises
    ------
    NotLocal
        When a layer on the way is not local.
    """

    def __init__(self, layer: Layer, shape: tuple[int, ...] | None = None) -> None:
        with preparing(layer):
            self._build(layer, shape)

    def _build(self, layer: Layer, shape: tuple[int, ...] | None) -> None:
        path = _layers.get_all_layers(layer)
        for each in path[1:]:
            with preparing(each):
                if not (_is_pointwise(each) or _is_windowed(each)):
                    raise NotLocal(f"layer '{label(each)}' is not local: {_why_not(each)}")
        self.layer, self.source = layer, path[0]
        groups = _grouped(path[1:])
        if not groups:
            raise NotLocal(f"no convolution or pooling layer up to '{label(layer)}'")
        ends = [self.source, *((after or [first])[-1] for first, after in groups)]
        batch, channels, *own = self.source.shape
        shape = tuple(
            have if have is not None else want
            for have, want in zip(own, own if shape is None else shape)
        )
        if None in shape:
            raise NotLocal(
                f"input '{label(self.source)}' has no fixed size; the size of "
                "the images must be given"
            )
        outputs = _layers.get_output_shape(ends, {self.source: (batch, channels, *shape)})
        self.shapes = [tuple(each[2:]) for each in outputs]
        self.channels = [each[1] for each in outputs]
        self.blocks = []
        for group, places in zip(groups, self.shapes[1:]):
            with preparing(group[0]):
                self.blocks.append(Block(*group, places))
        self.dtype = precision(layer)

    def variable(self, name: str = "images") -> Variable:
        """A fresh variable for images."""
        return T.TensorType(self.dtype, (False,) * 4)(name)

    def results(self, images: Variable) -> list[Variable]:
        """Result of every block for whole images, as Lasagne computes them."""
        return _layers.get_output(
            [block.last for block in self.blocks], {self.source: images}, deterministic=True
        )

    @staticmethod
    def padded(block: Block, value: Variable, shape: tuple[int, int]) -> Variable:
        """A whole map with the surroundings that its windows reach."""
        full = block.needed_size(block.places)
        wide = [max(pad + length, need) for pad, length, need in zip(block.pad, shape, full)]
        canvas = T.alloc(np.array(block.fill, value.dtype), value.shape[0], value.shape[1], *wide)
        top, left = block.pad
        canvas = T.set_subtensor(canvas[:, :, top : top + shape[0], left : left + shape[1]], value)
        return canvas[:, :, : full[0], : full[1]]
