"""What a network computes, written so that the derivatives asked for come of it.

Where several neurons share a maximum, Theano gives each of them the whole gradient,
PyTorch the first one; docs/methods.md says where that matters, and how much.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from cnnviz.networks.inputs import label
from cnnviz.runtime.backend import T, lasagne, selected
from cnnviz.runtime.errors import UserError

if TYPE_CHECKING:
    from lasagne.layers import Layer
    from theano.gof import Variable

__all__ = [
    "below",
    "candidates",
    "first_maximum",
    "framed",
    "is_max_pooling",
    "output",
    "pooling_windows",
    "result",
    "switches",
]


def is_max_pooling(layer: Layer) -> bool:
    """Whether a layer takes maxima of windows over rows and columns."""
    return isinstance(layer, lasagne.layers.Pool2DLayer) and getattr(layer, "mode", "max") == "max"


def pooling_windows(layer: Layer, pooled: Variable) -> list[tuple[slice, slice, slice, slice]]:
    """For each place in a pooling window: where in the frame all windows have it.

    Parameters
    ----------
    layer : lasagne.layers.Pool2DLayer
    pooled : Theano variable, ``(n, channels, rows, columns)``
        The layer's result.

    Returns
    -------
    list of slices, into what :func:`framed` gives
    """
    (height, width), (down, right) = layer.pool_size, layer.stride
    rows, columns = pooled.shape[2:]
    return [
        (
            slice(None),
            slice(None),
            slice(row, row + down * rows, down),
            slice(column, column + right * columns, right),
        )
        for row, column in product(range(height), range(width))
    ]


def framed(layer: Layer, maps: Variable, value: float, count: Variable) -> Any:
    """A frame of one value, wide enough to have every pooling window whole.

    Returns
    -------
    The frame for ``count`` images, and where in it ``maps`` lie
    """
    lengths = [maps.shape[2], maps.shape[3]]
    wide = [
        length + 2 * pad + window
        for length, pad, window in zip(lengths, layer.pad, layer.pool_size)
    ]
    place = [slice(pad, pad + length) for pad, length in zip(layer.pad, lengths)]
    frame = T.alloc(T.constant(value, dtype=maps.dtype), count, maps.shape[1], *wide)
    return frame, (slice(None), slice(None), *place)


def candidates(
    layer: Layer, maps: Variable, pooled: Variable, fill: float = -float("inf")
) -> list[Variable]:
    """What stands at each place of all windows, ``fill`` where there is only padding.

    Returns
    -------
    list of Theano variables, each like ``pooled``
        A place each, row by row.
    """
    frame, place = framed(layer, maps, fill, maps.shape[0])
    frame = T.set_subtensor(frame[place], maps)
    return [frame[pooling_window] for pooling_window in pooling_windows(layer, pooled)]


def switches(layer: Layer, maps: Variable, pooled: Variable) -> Variable:
    """For each pooling window, the number of its first maximum, row by row.

    Parameters
    ----------
    layer : lasagne.layers.Pool2DLayer
    maps, pooled : Theano variables, ``(n, channels, rows, columns)``
        What the layer reads, and what it gives.

    Returns
    -------
    Theano variable of integers, like ``pooled``
    """
    return T.argmax(T.stack(candidates(layer, maps, pooled)), axis=0)


def _pooled_by_first(layer: Layer, maps: Variable) -> Variable:
    """A max-pooling layer's result, of which the first maximum gets the gradient."""
    pooled = layer.get_output_for(maps, deterministic=True)
    chosen = switches(layer, maps, pooled)
    # Chosen, not multiplied: what pads is infinite.
    return sum(
        T.switch(T.eq(chosen, number), each, T.zeros_like(each))
        for number, each in enumerate(candidates(layer, maps, pooled))
    )


def _pooled_by_average(layer: Layer, maps):
    """What a layer gives that leaves padding out of its averages.

    Theano's C code cannot differentiate it if there is padding.
    """
    pooled = layer.get_output_for(maps, deterministic=True)
    total, count = (sum(candidates(layer, each, pooled, 0)) for each in (maps, T.ones_like(maps)))
    return total / count


def _lacks_gradient(layer: Layer) -> bool:
    return (
        selected()[0] == "theano"
        and isinstance(layer, lasagne.layers.Pool2DLayer)
        and getattr(layer, "mode", None) == "average_exc_pad"
        and any(layer.pad)
    )


def first_maximum(maps: Variable) -> Variable:
    """The maximum of each map, of which the first position gets the gradient.

    Parameters
    ----------
    maps : Theano variable, ``(n, rows, columns)``

    Returns
    -------
    Theano variable, ``(n,)``
    """
    flat = maps.flatten(2)
    return flat[T.arange(flat.shape[0]), T.argmax(flat, axis=1)]


def output(layer: Layer, given: Mapping[Layer, Variable], ties: str = "all") -> Variable:
    """Output of a layer, layers on the way being deterministic.

    Parameters
    ----------
    layer : lasagne.layers.Layer
    given : dict
        From layers, the inputs for example, to Theano variables.
    ties : {"all", "first"}
        Which of several places of a pooling window that share its maximum get its
        gradient.

    Returns
    -------
    Theano variable
        Its values do not depend on the rule.

    Raises
    ------
    UserError
        For a layer that fails; names it.
    """
    expressions = dict(given)
    for each in lasagne.layers.get_all_layers(layer, treat_as_input=list(given)):
        if each not in expressions:
            try:
                expressions[each] = result(each, [expressions[one] for one in below(each)], ties)
            except Exception as error:  # layers are anybody's code
                text = str(error).partition("\n")[0]
                raise UserError(
                    f"layer '{label(each)}' ({type(each).__name__}) cannot be "
                    f"computed: {type(error).__name__}: {text}"
                ) from error
    return expressions[layer]


def below(layer: Layer) -> list[Layer]:
    """The layers that a layer reads."""
    if isinstance(layer, lasagne.layers.MergeLayer):
        return layer.input_layers
    return [layer.input_layer] if hasattr(layer, "input_layer") else []


def result(layer: Layer, inputs: Sequence[Variable], ties: str = "all") -> Variable:
    """One layer's output, of a list of what it reads; as :func:`output`."""
    if isinstance(layer, lasagne.layers.MergeLayer):
        return layer.get_output_for(inputs, deterministic=True)
    if ties == "first" and is_max_pooling(layer):
        return _pooled_by_first(layer, inputs[0])
    if _lacks_gradient(layer):
        return _pooled_by_average(layer, inputs[0])
    with warnings.catch_warnings():
        # Of Lasagne's convolutions of sequences, about an argument renamed since.
        warnings.filterwarnings("ignore", message="The `image_shape` keyword argument")
        return _for_any_number(layer).get_output_for(inputs[0], deterministic=True)


def _for_any_number(layer: Layer) -> Layer:
    """One of Lasagne's layers, for any number of images whatever it was built for.

    Some write that number into what they compute; layers of others may need it.
    """
    shape = getattr(layer, "input_shape", (None,))
    if shape[:1] == (None,) or type(layer).__module__.split(".")[0] != "lasagne":
        return layer
    freed = copy.copy(layer)
    freed.input_shape = (None, *shape[1:])
    return freed
