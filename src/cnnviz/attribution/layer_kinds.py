"""What the layers of a network are on the way down: linear, rectifiers, or maxima.

By their class where that is one of Lasagne's own; any other layer and non-linearity is
tried on noise of magnitudes from 2**-20 to 2**20, of both signs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnnviz.attribution import probing
from cnnviz.networks import expressions
from cnnviz.networks.inputs import label, precision
from cnnviz.runtime.backend import T, function, lasagne
from cnnviz.runtime.errors import UserError

if TYPE_CHECKING:
    from lasagne.layers import Layer
    from theano.gof import Variable

__all__ = ["Kind", "of_network", "without_nonlinearity"]

_layers, _nonlinearities = lasagne.layers, lasagne.nonlinearities
#: Linear but for their non-linearity, whatever their parameters.
_LINEAR = {
    "Conv2DLayer",
    "NINLayer",
    "NonlinearityLayer",
    "DropoutLayer",
    "GaussianNoiseLayer",
    "PadLayer",
    "SliceLayer",
    "ConcatLayer",
    "ElemwiseSumLayer",
    "SameConv2DLayer",
}
_POOLS = {"Pool2DLayer", "MaxPool2DLayer"}
_SCALES = (1.0, 2.0**-20, 2.0**-8, 2.0**8, 2.0**20)
_OPEN = 16  # rows and columns, where a network leaves them open


class Kind(NamedTuple):
    """How a signal passes a layer downwards."""

    is_max_pooling: bool = False  #: to the switches
    is_affine: bool = True  #: the non-linearity is transposed, as the layer is
    is_rectifier: bool = True  #: the non-linearity itself rectifies signals


def without_nonlinearity(layer: Layer) -> Layer:
    """A copy of a layer that takes any number of images and does not squash them."""
    bare = copy.copy(layer)
    if hasattr(layer, "nonlinearity"):
        bare.nonlinearity = _nonlinearities.identity
    if isinstance(layer, _layers.MergeLayer):
        bare.input_shapes = [(None, *shape[1:]) for shape in layer.input_shapes]
    else:
        bare.input_shape = (None, *layer.input_shape[1:])
    return bare


def of_network(layer: Layer) -> dict[Layer, Kind]:
    """The kind of every layer up to this one, input layers left out.

    Parameters
    ----------
    layer : lasagne.layers.Layer

    Returns
    -------
    dict
        From layers to :class:`Kind`.

    Raises
    ------
    UserError
        For a layer that is neither linear but for its non-linearity nor takes maxima.
    """
    above = [
        each_layer
        for each_layer in _layers.get_all_layers(layer)
        if not isinstance(each_layer, _layers.InputLayer)
    ]
    trials = {each: _Trial(each) for each in above}
    open_ones = [trial for trial in trials.values() if trial.outputs]
    if open_ones:
        _measure(open_ones)
    return {each: trial.kind() for each, trial in trials.items()}


def _is_own(layer: Layer) -> bool:
    return type(layer).__module__.split(".")[0] in (
        "lasagne",
        "cnnviz",
    ) and "get_output_for" not in vars(layer)


class _Trial:
    """What must be measured to know a layer."""

    def __init__(self, layer: Layer) -> None:
        self.layer, self._own = layer, _is_own(layer)
        self.pooling = expressions.is_max_pooling(layer)
        name = type(layer).__name__
        self.inputs, self.outputs, self._judges = [], [], []
        self._found = {}
        try:
            if self.pooling and not (self._own and name in _POOLS):
                self._try_maximum()
            elif not self.pooling and not (self._own and name in _LINEAR | _POOLS):
                self._try_linear()
            self._try_nonlinearity()
        except Exception as error:  # layers are anybody's code
            text = str(error).partition("\n")[0]
            self._refuse(f"could not be tried: {type(error).__name__}: {text}")

    def _refuse(self, why: str) -> None:
        kind = type(self.layer).__name__
        raise UserError(
            f"layer '{label(self.layer)}' ({kind}) has no downward pass: it {why}; only layers "
            "that are linear but for their non-linearity (convolution, average pooling, "
            "element-wise, padding, sum and concatenation layers ...) and max pooling have one"
        )

    # Expressions, and what must hold of their values

    def _variables(self) -> list[Variable]:
        shapes = (
            self.layer.input_shapes
            if isinstance(self.layer, _layers.MergeLayer)
            else [self.layer.input_shape]
        )
        variables = [
            T.TensorType(precision(self.layer), (False,) * len(shape))() for shape in shapes
        ]
        self.inputs += [
            (each, tuple(length or _OPEN for length in shape[1:]))
            for each, shape in zip(variables, shapes)
        ]
        return variables

    def _try(self, name: str, outputs: Sequence[Variable], judge: Callable[..., Any]) -> None:
        self.outputs += outputs
        self._judges.append((name, len(outputs), judge))

    def _try_maximum(self) -> None:
        (maps,) = self._variables()
        pooled = self.layer.get_output_for(maps, deterministic=True)
        highest = T.max(T.stack(expressions.candidates(self.layer, maps, pooled)), axis=0)
        self._try(
            "is a maximum", [pooled, highest], lambda values, first, scale: np.array_equal(*values)
        )

    def _try_linear(self) -> None:
        bare = without_nonlinearity(self.layer)
        self._try("is linear", [expressions.result(bare, self._variables())], _affine)

    def _try_nonlinearity(self) -> None:
        nonlinearity = getattr(self.layer, "nonlinearity", None)
        if nonlinearity in (None, _nonlinearities.identity):
            return
        if nonlinearity is _nonlinearities.rectify or isinstance(
            nonlinearity, _nonlinearities.LeakyRectify
        ):
            self._found["affine"] = False
            return
        shape = self.layer.output_shape
        values = T.TensorType(precision(self.layer), (False,) * len(shape))()
        self.inputs.append((values, tuple(length or _OPEN for length in shape[1:])))
        result = nonlinearity(values)
        self._try("affine", [result], _affine)
        self._try("rectifier", [result], _homogeneous)

    # Verdicts

    def judge(
        self, values: Sequence[np.ndarray], first: Sequence[np.ndarray], scale: float
    ) -> None:
        """Note what holds at one magnitude; what does not hold once does not hold."""
        for name, count, judge in self._judges:
            holds = bool(np.isfinite(values[0]).all()) and judge(
                values[:count], first[:count], scale
            )
            self._found[name] = self._found.get(name, True) and holds
            values, first = values[count:], first[count:]

    def kind(self) -> Kind:
        """The layer's kind, once it has been measured."""
        if not self._found.get("is a maximum", True):
            self._refuse("does not give the maximum of its windows")
        if not self._found.get("is linear", True):
            self._refuse("is not linear in its input")
        return Kind(
            self.pooling, self._found.get("affine", True), self._found.get("rectifier", True)
        )


def _affine(values: Sequence[np.ndarray], first: Sequence[np.ndarray], scale: float) -> bool:
    return probing.is_affine(values[0], first[0], scale)


def _homogeneous(values: Sequence[np.ndarray], first: Sequence[np.ndarray], scale: float) -> bool:
    return probing.is_homogeneous(values[0], first[0], scale)


def _measure(trials: Sequence[_Trial]) -> None:
    """Run all trials in one function, magnitude by magnitude."""
    inputs = [input_ for trial in trials for input_ in trial.inputs]
    compute = function(
        [variable for variable, _ in inputs],
        [output for trial in trials for output in trial.outputs],
        on_unused_input="ignore",
    )
    rng, noise = np.random.RandomState(0), []
    for variable, shape in inputs:
        noise.append(probing.noise(rng, shape, variable.dtype))
    first = None
    for scale in _SCALES:
        values = compute(*(each * each.dtype.type(scale) for each in noise))
        first = first or values
        begin = 0
        for trial in trials:
            end = begin + len(trial.outputs)
            trial.judge(values[begin:end], first[begin:end], scale)
            begin = end
