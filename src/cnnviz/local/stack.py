"""A network's local layers in blocks, and the activations that are kept.

A block is a convolution or pooling layer and the layers after it that act on
each neuron alone.  It computes through the layers' own Theano expressions,
on windows that bring their surroundings along instead of padding.
"""
import copy
import weakref

import numpy as np

from cnnviz.backend import T, function, lasagne
from cnnviz.errors import UserError
from cnnviz.inputs import precision
from cnnviz.local import ops
from cnnviz.receptive_field import window_geometry

__all__ = ["NotLocal", "Block", "Stack", "local_prefix"]

_layers = lasagne.layers
_WINDOWED = (_layers.Conv2DLayer, _layers.Pool2DLayer)
_SILENT = (_layers.DropoutLayer, _layers.GaussianNoiseLayer)  # when deterministic
_checked = weakref.WeakSet()  # layers up to which windows were compared


class NotLocal(UserError):
    """A layer cannot be evaluated on windows."""


def _is_pointwise(layer):
    return (isinstance(layer, (_layers.NonlinearityLayer, *_SILENT))
            or isinstance(layer, _layers.FeaturePoolLayer) and layer.axis == 1)


def _is_windowed(layer):
    return isinstance(layer, _WINDOWED) and (
        not isinstance(layer, _layers.Pool2DLayer) or layer.mode == "max"
        or layer.pad == (0, 0) and layer.ignore_border)


def local_prefix(layer, wrt=0):
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
        users = [each for each in below if last in (
            getattr(each, "input_layers", None) or [getattr(each, "input_layer", None)])]
        if len(users) > 1 or not (_is_pointwise(users[0]) or _is_windowed(users[0])):
            break
        last = users[0]
    return last


class Block:
    """A convolution or pooling layer and the pointwise layers after it.

    Attributes
    ----------
    size, stride, pad : int arrays, ``(2,)``
        Window of the layer; ``pad`` before the first row and column.
    fill : float
        What stands for neurons outside the block's input.
    """

    def __init__(self, layer, after):
        self.layer, self.after = layer, after
        self.size, self.stride, self.pad = map(np.array, window_geometry(layer))
        self.pooling = isinstance(layer, _layers.Pool2DLayer)
        self.fill = -np.inf if self.pooling and layer.mode == "max" else 0.0
        self.channels = layer.output_shape[1]
        self._bare = copy.copy(layer)
        self._bare.pad = (0, 0)
        if self.pooling:
            self._bare.ignore_border = True
        else:
            self._bare.b, self._bare.nonlinearity = None, lasagne.nonlinearities.identity
            self._bare.input_shape = (None, layer.input_shape[1], None, None)

    @property
    def pointwise(self):
        """Whether what follows the window acts on each number alone."""
        return not any(isinstance(each, _layers.FeaturePoolLayer) for each in self.after)

    @property
    def last(self):
        """The block's last layer."""
        return self.after[-1] if self.after else self.layer

    def windows(self, value):
        """Convolution or pooling alone, without padding and bias."""
        return self._bare.get_output_for(value, deterministic=True)

    def needed_size(self, size):
        """Rows and columns of the input for so many of the result."""
        return tuple((length - 1) * int(step) + int(window) for length, step, window
                     in zip(size, self.stride, self.size))

    def add_bias(self, value, start=None):
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

    def rest(self, value):
        """Non-linearity and the layers after it."""
        if not self.pooling:
            value = self.layer.nonlinearity(value)
        for layer in self.after:
            value = layer.get_output_for(value, deterministic=True)
        return value


def channels_last(value):
    """``(n, channels, rows, columns)`` to ``(n, rows, columns, channels)``."""
    return value.dimshuffle(0, 2, 3, 1)


def channels_first(value):
    """The way back."""
    return value.dimshuffle(0, 3, 1, 2)


def _blocks(path):
    blocks = []
    for layer in path:
        if _is_windowed(layer):
            blocks.append((layer, []))
        elif blocks:
            blocks[-1][1].append(layer)
        elif not isinstance(layer, _SILENT):
            raise NotLocal(f"layer '{layer.name}' comes before the first "
                           "convolution or pooling layer")
    return [Block(*each) for each in blocks]


def _parts(block):
    """First and last half of a block's map, and of what they need of its input."""
    sizes = block.last.output_shape[2:]
    for ends in ([(0, (size + 1) // 2) for size in sizes],
                 [(size // 2, size) for size in sizes]):
        below = [slice(first * step, (end - 1) * step + size) for (first, end), step, size
                 in zip(ends, block.stride.tolist(), block.size.tolist())]
        yield ((slice(None),) * 2 + tuple(slice(*each) for each in ends),
               (slice(None),) * 2 + tuple(below))


def _halves(block, padded):
    return [block.windows(padded[below]) for _, below in _parts(block)]


class Stack:
    """The local layers from an input up to a layer.

    Parameters
    ----------
    layer : lasagne.layers.Layer
        Above a single input, through local layers only.

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
        When a layer on the way is not local, or its expression gives on
        windows something else than on whole maps.
    """

    def __init__(self, layer):
        path = _layers.get_all_layers(layer)
        for each in path[1:]:
            if not (_is_pointwise(each) or _is_windowed(each)):
                raise NotLocal(f"layer '{each.name or type(each).__name__}' is not "
                               "local: it is no convolution, pooling, pointwise or "
                               "feature pooling layer of Lasagne")
        self.layer, self.source = layer, path[0]
        self.blocks = _blocks(path[1:])
        if not self.blocks:
            raise NotLocal(f"no convolution or pooling layer up to '{layer.name}'")
        ends = [self.source, *(block.last for block in self.blocks)]
        self.shapes = [tuple(each.output_shape[2:]) for each in ends]
        self.channels = [each.output_shape[1] for each in ends]
        self.dtype = precision(layer)
        if layer not in _checked:
            self._check()
            _checked.add(layer)

    def variable(self, name="images"):
        """A fresh variable for images."""
        return T.TensorType(self.dtype, (False,) * 4)(name)

    def results(self, images):
        """Result of every block for whole images, as Lasagne computes them."""
        return _layers.get_output([block.last for block in self.blocks],
                                  {self.source: images}, deterministic=True)

    def _check(self):
        """Compare what is computed on windows with Lasagne's own results."""
        images = self.variable()
        found, expected, value = [], [], images
        for block, shape, result in zip(self.blocks, self.shapes, self.results(images)):
            padded = self.padded(block, value, shape)
            windows = block.windows(padded)
            # As large as the map, and two parts of it.
            found += [block.rest(block.add_bias(windows)), *_halves(block, padded)]
            expected += [result, *(windows[part] for part, _ in _parts(block))]
            value = result
        trial = np.random.RandomState(0).randn(
            1, self.channels[0], *self.shapes[0]).astype(self.dtype)
        values = function([images], found + expected)(trial)
        for k, (have, want) in enumerate(zip(values, values[len(found):])):
            if have.shape != want.shape or not np.allclose(
                    have, want, rtol=0, atol=1e-4 * np.abs(want).max()):
                raise NotLocal(f"layer '{self.blocks[k // 3].layer.name}' computes on "
                               "windows something else than on whole maps")

    @staticmethod
    def padded(block, value, shape):
        """A whole map with the surroundings that its windows reach."""
        places = block.last.output_shape[2:]
        full = block.needed_size(places)
        wide = [max(pad + length, need) for pad, length, need
                in zip(block.pad, shape, full)]
        canvas = T.alloc(np.array(block.fill, value.dtype), value.shape[0],
                         value.shape[1], *wide)
        top, left = block.pad
        canvas = T.set_subtensor(
            canvas[:, :, top:top + shape[0], left:left + shape[1]], value)
        return canvas[:, :, :full[0], :full[1]]
