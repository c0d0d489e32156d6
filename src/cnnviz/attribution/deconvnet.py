"""Deconvolutional networks and guided back-propagation (thesis section 3.1.2).

Both project a feature map of an image down to the image: layer by layer, from
the feature's layer to the input.

* Max pooling is undone by unpooling: what stands for a window goes to the
  window's switch, the position of its first maximum, and zero everywhere else.
  What comes from several windows to one switch is added up.
* A linear layer (convolution, average pooling, sum, ...) is undone by its
  transpose, a convolution by filtering with the flipped filters.  Biases play
  no part downward.
* The rectifier phi of a layer is undone, from a signal s and from the value x
  that the layer rectified, by

  - ``phi(s)`` in a deconvolutional network (Zeiler and Fergus 2013,
    arXiv 1311.2901), which knows nothing of x;
  - ``phi(phi'(x) s)`` in guided back-propagation (Springenberg et al. 2015,
    arXiv 1412.6806): the gradient, itself rectified.

  With leakiness 0.5, x = [-3, 2] and s = [1, -1], the gradient is [0.5, -1],
  the deconvolutional network's [1, -0.5] and the guided [0.5, -0.5].

A non-linearity counts as a rectifier where phi(a x) = a phi(x) for every
a > 0: ReLU, leaky rectifiers, and no non-linearity at all, which leaves s
alone.  One that is affine, such as a scaling of the input, is a linear layer.
For others (sigmoid, tanh, a rectifier with a ceiling, ...) max(0, .) takes phi's
place downward.  What a layer is, is measured (:mod:`cnnviz.attribution.layer_kinds`).

The downward pass is built from the layers themselves, since Theano 1.0.5
silently ignores a gradient that is put into an Op afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from tqdm import tqdm

from cnnviz.attribution import layer_kinds
from cnnviz.attribution.choices import check_choice
from cnnviz.networks import expressions
from cnnviz.networks.inputs import (
    as_arrays,
    batches,
    check_features,
    check_input,
    check_maps,
    check_whole,
    input_variables,
    label,
    precision,
)
from cnnviz.runtime import compiled
from cnnviz.runtime.backend import T, function, lasagne
from cnnviz.runtime.errors import UserError

if TYPE_CHECKING:
    from lasagne.layers import Layer
    from theano.gof import Variable

__all__ = ["POSITIONS", "Deconvnet", "GuidedBackprop"]

POSITIONS = ("all", "max")
# Numbers in the largest maps of one pass, over its reconstructions.
_PASS_NUMBERS = 2**24


class _Stage(NamedTuple):
    """One layer in the forward pass."""

    inputs: list  #: variables that it reads
    linear: Any  #: its output before the non-linearity
    output: Any


def _nonlinearity(layer: Layer):
    return getattr(layer, "nonlinearity", None) or lasagne.nonlinearities.identity


def _linear(layer: Layer, inputs: Sequence[Variable]) -> Variable:
    """Output of a layer before its non-linearity, for any number of images."""
    return expressions.result(layer_kinds.without_nonlinearity(layer), inputs)


def _forward(layers: Sequence[Layer], variables: Mapping[Layer, Variable]) -> dict[Layer, _Stage]:
    """Stage of every layer, from the variables of the input layers."""
    stages = {layer: _Stage([], each, each) for layer, each in variables.items()}
    for layer in layers:
        if layer not in stages:
            inputs = [stages[each].output for each in expressions.below(layer)]
            linear = _linear(layer, inputs)
            stages[layer] = _Stage(inputs, linear, _nonlinearity(layer)(linear))
    return stages


def _gradient(output: Variable, inputs: Sequence[Variable], signal: Variable) -> list[Variable]:
    return T.grad(None, inputs, known_grads={output: signal})


def _rectified(
    method: str, kind: layer_kinds.Kind, nonlinearity, linear: Variable, signal: Variable
) -> Variable:
    """The signal below a non-linearity, from the one above it."""
    if kind.is_affine:
        if nonlinearity is lasagne.nonlinearities.identity:
            return signal
        return _gradient(nonlinearity(linear), [linear], signal)[0]
    if method == "guided":
        [signal] = _gradient(nonlinearity(linear), [linear], signal)
    return (nonlinearity if kind.is_rectifier else lasagne.nonlinearities.rectify)(signal)


def _unpooled(layer: Layer, stage: _Stage, signal: Variable, rows: Variable) -> Variable:
    """The signal at the switches, zero elsewhere (thesis pages 19 and 20)."""
    [maps] = stage.inputs
    switches = expressions.switches(layer, maps, stage.linear)[rows]
    frame, place = expressions.framed(layer, maps, 0, rows.shape[0])
    for number, each in enumerate(expressions.pooling_windows(layer, stage.linear)):
        frame = T.inc_subtensor(frame[each], signal * T.eq(switches, number))
    return frame[place]


def _downward(
    layer: Layer,
    kind: layer_kinds.Kind,
    stage: _Stage,
    signal: Variable,
    rows: Variable,
    method: str,
) -> list[Variable]:
    """Signals for the layers below one, from the signal above it."""
    if kind.is_max_pooling:
        return [_unpooled(layer, stage, signal, rows)]
    signal = _rectified(method, kind, _nonlinearity(layer), stage.linear[rows], signal)
    inputs = [input_[rows] for input_ in stage.inputs]
    # The gradient of a linear layer is its transpose, wherever it is taken.
    return _gradient(_linear(layer, inputs), inputs, signal)


def _project(
    layer: Layer, stages: Mapping[Layer, _Stage], signal: Variable, rows: Variable, method: str
) -> dict[Layer, Variable]:
    """Signals of all layers below ``layer`` from its own."""
    signals, kinds = {layer: signal}, layer_kinds.of_network(layer)
    for each_layer in reversed(lasagne.layers.get_all_layers(layer)):
        if not stages[each_layer].inputs:
            continue
        parts = _downward(
            each_layer, kinds[each_layer], stages[each_layer], signals[each_layer], rows, method
        )
        for lower, part in zip(expressions.below(each_layer), parts):
            # A layer that several read is sent the sum of their signals.
            signals[lower] = signals[lower] + part if lower in signals else part
    return signals


def _chosen(maps: Variable, features: Variable, position: str) -> Variable:
    """One at the neurons that a reconstruction starts from, else zero."""
    ours = T.eq(
        T.arange(maps.shape[1]).dimshuffle("x", 0, "x", "x"), features.dimshuffle(0, "x", "x", "x")
    )
    if position == "max":
        first = T.argmax(maps.flatten(3), axis=2).dimshuffle(0, 1, "x")
        places = T.arange(maps.shape[2] * maps.shape[3]).dimshuffle("x", "x", 0)
        ours = ours * T.eq(places, first).reshape(maps.shape)
    return T.cast(ours, maps.dtype) * T.ones_like(maps)


def _downward_pass(layer: Any, method: str, position: str, wrt: int) -> Any:
    """Function that projects features down to an input.

    From one array per input, and for each reconstruction the number of its image and that of its
    feature (two int32 arrays of one length), to the reconstructions,
    ``(reconstructions, channels, rows, columns)``.  Images pass forward once, whatever the number
    of their features.
    """
    below, variables = input_variables(layer)
    rows, features = T.ivectors("rows", "features")
    stages = _forward(lasagne.layers.get_all_layers(layer), dict(zip(below, variables)))
    maps = stages[layer].output[rows]
    start = _chosen(maps, features, position)
    if method == "deconvnet":
        start = start * maps
    signals = _project(layer, stages, start, rows, method)
    # Not all inputs matter to a linear network's gradient.
    return function([*variables, rows, features], signals[below[wrt]], on_unused_input="ignore")


def _default_batch(layer: Layer, arrays: Sequence[np.ndarray]) -> int:
    """So many reconstructions that a pass keeps to the memory set aside."""
    below, _ = input_variables(layer)
    shapes = lasagne.layers.get_output_shape(
        lasagne.layers.get_all_layers(layer),
        {each: array.shape for each, array in zip(below, arrays)},
    )
    return max(1, _PASS_NUMBERS // max(int(np.prod(shape[1:])) for shape in shapes))


class _Projection:
    """What the deconvolutional network and guided back-propagation share."""

    method = ""

    def __init__(self, layer: Any, *, position: str = "all", wrt: int = 0) -> None:
        check_choice("position", position, POSITIONS)
        if len(layer.output_shape) == 2:
            raise UserError(
                f"layer '{label(layer)}' has units; {type(self).__name__} starts from feature "
                "maps (batch, feature, row, column), and Gradient and Occlusion from units as well"
            )
        check_maps(layer)
        check_input(layer, wrt)
        self.layer, self.position, self.wrt = layer, position, wrt
        self._downward()

    def _downward(self) -> Any:
        return compiled.of_layer(
            self.layer,
            ("downward", self.method, self.position, self.wrt),
            lambda: _downward_pass(self.layer, self.method, self.position, self.wrt),
        )

    def attribute(
        self,
        images: Any,
        features: Any = None,
        *,
        batch_size: int | None = None,
        progress: bool = False,
    ) -> np.ndarray:
        """Project features of images down to the images.

        Parameters
        ----------
        images : array, ``(n, channels, rows, columns)``
            Or one array for each input, in Lasagne's order.
        features : int or sequence of int, optional
            All features when None.
        batch_size : int, optional
            Reconstructions (an image and a feature each) of a pass; does not change the result.
            By default, as many as keep every layer's maps within 64 MiB in float32.
        progress : bool
            Show a progress bar.

        Returns
        -------
        array, ``(n, features, channels, rows, columns)``
            More generally ``(n, features, ...)``, with the shape of input ``wrt``, in the
            network's precision.

        Raises
        ------
        UserError
            For a feature that the layer lacks, or images of the wrong shape or not finite.
        """
        features = np.array(check_features(self.layer, features), np.int32)
        arrays = as_arrays(self.layer, images)
        if batch_size is None:
            batch_size = _default_batch(self.layer, arrays)
        check_whole("batch_size", batch_size)
        downward, source = self._downward(), arrays[self.wrt]
        out = np.empty((len(source), len(features), *source.shape[1:]), precision(self.layer))
        # All features of few images, rather than few of many: fewer forward passes.
        together = max(1, batch_size // max(1, len(features)))
        passes = list(product(batches(arrays, together), batches([features], batch_size)))
        for part, some in tqdm(passes, unit=" passes", disable=not progress):
            batch, chosen = [array[part] for array in arrays], features[some]
            rows = np.arange(len(batch[0]), dtype=np.int32)
            values = downward(*batch, np.tile(rows, len(chosen)), np.repeat(chosen, len(rows)))
            values = values.reshape(len(chosen), len(rows), *values.shape[1:])
            out[part, some] = np.swapaxes(values, 0, 1)
        return out


class Deconvnet(_Projection):
    """Deconvolutional network (Zeiler and Fergus 2013): features projected down to the image.

    All other feature maps of the layer are set to zero; the projection starts from the feature's
    activations.

    Parameters
    ----------
    layer : lasagne.layers.Layer
        Any layer with feature maps ``(batch, feature, row, column)``, above layers that are
        linear but for their non-linearity (convolution, average pooling, sum, normalization by
        fixed statistics, ...) and max pooling only.
    position : {"all", "max"}
        Project the whole feature map, or its maximal neuron alone: the first one, row by row,
        where several share the maximum, as pooling windows that overlap often do.
    wrt : int
        Which input is reconstructed.

    Raises
    ------
    UserError
        For an unknown position, a layer without feature maps or above one that has no downward
        pass, or an input that the network lacks.
    """

    method = "deconvnet"


class GuidedBackprop(_Projection):
    """Guided back-propagation (Springenberg et al. 2015): the gradient, rectified on the way.

    All other feature maps of the layer are set to zero; the projection starts from a gradient of
    one, so that without rectifiers it is :class:`cnnviz.attribution.gradient.Gradient`.

    Parameters as for :class:`Deconvnet`.
    """

    method = "guided"
