"""Layers that Lasagne 0.1 lacks, and walks over a network's layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.networks import inputs
from cnnviz.runtime.backend import T, function, lasagne, theano
from cnnviz.runtime.errors import UserError
from cnnviz.runtime.gpu_layers import check_odd

if TYPE_CHECKING:
    from lasagne.layers import Layer
    from theano.gof import Variable

__all__ = [
    "NeuronLayer",
    "NormalizedConv2DLayer",
    "SameConv2DLayer",
    "find_layer",
    "layers_of_type",
    "outputs",
    "pooling_layers",
]


class SameConv2DLayer(lasagne.layers.Conv2DLayer):
    """Cross-correlation with *same* padding at any stride.

    Lasagne 0.1 flips the filters, and pads *same* by cropping a *full*
    convolution, which costs a quarter more time and refuses strides.  This
    layer asks Theano for half padding directly (thesis eqs. 2.2 and 2.4).

    Parameters
    ----------
    incoming, num_filters, filter_size, **kwargs
        As for ``lasagne.layers.Conv2DLayer``; ``filter_size`` must be odd.

    Raises
    ------
    ValueError
        For an even filter size, whose *same* padding would not be symmetric.
    """

    def __init__(self, incoming: Layer, num_filters: int, filter_size: Any, **kwargs: Any) -> None:
        check_odd(filter_size)
        super().__init__(incoming, num_filters, filter_size, pad="same", **kwargs)

    def correlate(self, input: Variable) -> Variable:
        """The cross-correlation, without bias and non-linearity."""
        # Any number of images, whatever the network was built for.
        return T.nnet.conv2d(
            input,
            self.W,
            input_shape=(None, *self.input_shape[1:]),
            filter_shape=self.get_W_shape(),
            subsample=self.stride,
            border_mode="half" if self.pad == "same" else self.pad,
            filter_flip=False,
        )

    def get_output_for(self, input: Variable, **kwargs: Any) -> Variable:
        return self._activated(self.correlate(input))

    def _activated(self, activation: Variable) -> Variable:
        if self.b is not None:
            pattern = ("x", 0, 1, 2) if self.untie_biases else ("x", 0, "x", "x")
            activation = activation + self.b.dimshuffle(*pattern)
        return self.nonlinearity(activation)


class NormalizedConv2DLayer(SameConv2DLayer):
    """The same with batch normalization, for training (Ioffe, Szegedy 2015).

    Each feature map is normalized by its mean and variance over the batch,
    scaled, and the bias is added.  Once trained, :meth:`folded` gives the
    weights with which a plain :class:`SameConv2DLayer` computes the same as
    this layer does with ``deterministic=True``.

    Attributes
    ----------
    updates : dict
        After ``get_output`` without ``deterministic``: new values of the
        running mean and variance, for the training function.
    """

    _KEEP = 0.95  # of the running statistics, at each step
    EPSILON = 1e-4

    def __init__(
        self, incoming: Layer, num_filters: int, filter_size: int | tuple[int, int], **kwargs: Any
    ) -> None:
        super().__init__(incoming, num_filters, filter_size, **kwargs)
        init, shape = lasagne.init.Constant, (num_filters,)
        self.scale = self.add_param(init(1), shape, "scale", regularizable=False)
        self.mean = self.add_param(init(0), shape, "mean", trainable=False, regularizable=False)
        self.variance = self.add_param(
            init(1), shape, "variance", trainable=False, regularizable=False
        )
        self.updates = {}

    def get_output_for(
        self, input: Variable, deterministic: bool = False, **kwargs: Any
    ) -> Variable:
        activation = self.correlate(input)
        mean, variance = self.mean, self.variance
        if not deterministic:
            mean, variance = activation.mean((0, 2, 3)), activation.var((0, 2, 3))
            self.updates = {
                old: self._KEEP * old + (1 - self._KEEP) * new
                for old, new in ((self.mean, mean), (self.variance, variance))
            }
        factor = self.scale / T.sqrt(variance + self.EPSILON)
        return self._activated(
            activation * factor.dimshuffle("x", 0, "x", "x")
            - (mean * factor).dimshuffle("x", 0, "x", "x")
        )

    def normalize_by(self, mean: np.ndarray, variance: np.ndarray) -> None:
        """Take on the statistics of the maps, yet compute the same as before.

        For weights that were folded: until then nothing is normalized (mean 0,
        variance and scale 1).  Filters come out with a norm of one, as at first.

        Parameters
        ----------
        mean, variance : float array, ``(filters,)``
            Of the cross-correlation of the batch with these filters.
        """
        filters = self.W.get_value()
        norms = np.sqrt((filters**2).sum(axis=(1, 2, 3)))
        bias = self.b.get_value()
        for parameter, value in (
            (self.W, filters / norms[:, None, None, None]),
            (self.b, bias + mean.reshape(-1, *[1] * (bias.ndim - 1))),
            (self.scale, np.sqrt(variance + self.EPSILON * norms**2)),
            (self.mean, mean / norms),
            (self.variance, variance / norms**2),
        ):
            parameter.set_value(value.astype(parameter.dtype))

    def folded(self) -> tuple[np.ndarray, np.ndarray]:
        """Weights and biases of the plain layer that computes the same."""
        scale, mean, variance = (
            each.get_value() for each in (self.scale, self.mean, self.variance)
        )
        factor = scale / np.sqrt(variance + self.EPSILON)
        bias = self.b.get_value()
        shift = (mean * factor).reshape(-1, *[1] * (bias.ndim - 1))
        return self.W.get_value() * factor[:, None, None, None], bias - shift


class NeuronLayer(lasagne.layers.SliceLayer):
    """One neuron of every feature map, chosen after compiling.

    Output ``(batch, features, 1, 1)``; at first of the neuron (0, 0).

    Parameters
    ----------
    incoming, **kwargs
        As for ``lasagne.layers.SliceLayer``, which slices one axis.
    """

    def __init__(self, incoming: Layer, **kwargs: Any) -> None:
        super().__init__(incoming, slice(0, 1), axis=2, **kwargs)
        self._place = theano.shared(np.zeros(2, np.int64))

    def choose(self, row: int, column: int) -> None:
        """Choose the neuron, by its row and column in the map."""
        self._place.set_value(np.array([row, column], np.int64))

    def get_output_shape_for(
        self, input_shape: tuple[int | None, int, int, int]
    ) -> tuple[int | None, int, int, int]:
        return (*input_shape[:2], 1, 1)

    def get_output_for(self, input: Variable, **kwargs: Any) -> Variable:
        row, column = self._place[0], self._place[1]
        return input[:, :, row : row + 1, column : column + 1]


def outputs(layer: Layer, images: np.ndarray) -> np.ndarray:
    """What a layer gives for images, whatever the shape of its output.

    Parameters
    ----------
    layer : lasagne.layers.Layer
    images : array, ``(n, ...)``, or one array per input layer

    Returns
    -------
    array, ``(n, ...)``
    """
    below, variables = inputs.input_variables(layer)
    return function(
        variables, lasagne.layers.get_output(layer, dict(zip(below, variables)), deterministic=True)
    )(*inputs.as_arrays(layer, images))


def layers_of_type(network: Layer, kind: type) -> list[Layer]:
    """Layers of one class between the inputs and ``network``, in order."""
    return [layer for layer in lasagne.layers.get_all_layers(network) if isinstance(layer, kind)]


def pooling_layers(network: Layer) -> list[Layer]:
    """Pooling layers of a network, first to last."""
    return layers_of_type(network, lasagne.layers.MaxPool2DLayer)


def find_layer(network: Layer, name: str) -> Layer:
    """The layer of that name.

    Raises
    ------
    ValueError
        Naming the layers that there are.
    """
    layers = lasagne.layers.get_all_layers(network)
    for layer in layers:
        if layer.name == name:
            return layer
    known = ", ".join(layer.name for layer in layers if layer.name)
    raise UserError(f"no layer '{name}' in this network; it has: {known}")
