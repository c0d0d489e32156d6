"""What the neurons of one layer depend on, measured by changing what they are given."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.networks.inputs import label, precision
from cnnviz.runtime.backend import T, convolution, function, lasagne
from cnnviz.runtime.errors import UserError

if TYPE_CHECKING:
    from lasagne.layers import Layer

__all__ = ["geometry", "is_known"]

_OWN = ("lasagne", "cnnviz")  # packages whose layers compute what their classes say
_TRIALS = 3
_NUMBERS = 2**24  # in the images of a pass
_OPEN = 32  # rows and columns, where a layer leaves them open
_measured: Any = weakref.WeakKeyDictionary()  # of a layer: its attributes then, and what was found


def is_known(layer: Layer) -> bool:
    """Whether a layer's class tells what it computes.

    One of this package's or Lasagne's, whose non-linearity is one of Lasagne's that acts
    on each number alone, or an element-wise function of Theano's.
    """
    if type(layer).__module__.split(".")[0] not in _OWN or "get_output_for" in vars(layer):
        return False
    convolving = getattr(layer, "convolution", None)
    if getattr(convolving, "func", convolving) not in (None, convolution, T.nnet.conv2d):
        return False  # given by the network's owner
    nonlinearity = getattr(layer, "nonlinearity", None)
    if nonlinearity is None or isinstance(nonlinearity, T.Elemwise):
        return True
    module = getattr(nonlinearity, "__module__", None) or type(nonlinearity).__module__
    return module == "lasagne.nonlinearities" and nonlinearity is not lasagne.nonlinearities.softmax


def geometry(
    layer: Layer, declared: tuple[tuple[int, int], tuple[int, int], tuple[int, int]] | None
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Window size, stride and padding of a layer.

    Parameters
    ----------
    layer : lasagne.layers.Layer
        That reads and gives maps ``(batch, channel, row, column)``.
    declared : (size, stride, pad) or None
        What it should be; kept if no neuron depends on anything outside it.

    Returns
    -------
    size, stride, pad : (rows, columns) each

    Raises
    ------
    UserError
        For a layer whose neurons look at no window of one size.
    """
    now = dict(vars(layer))
    before, measured = _measured.get(layer, ({}, None))
    if before.keys() != now.keys() or any(before[name] is not now[name] for name in now):
        try:
            measured = _geometry(layer, declared)
        except UserError as error:
            measured = str(error)
        except Exception as error:  # layers are anybody's code
            text = str(error).partition("\n")[0]
            measured = (
                f"layer '{label(layer)}': its receptive field could not be measured "
                f"({type(error).__name__}: {text})"
            )
        _measured[layer] = now, measured
    if isinstance(measured, str):
        raise UserError(measured)
    return measured


def _geometry(
    layer: Layer, declared: tuple[tuple[int, int], tuple[int, int], tuple[int, int]] | None
) -> Any:
    compute, shape = _layer_alone(layer)
    if declared is not None and not _sees_more(compute, shape, declared):
        return declared
    rows, columns = (_along(compute, shape, axis, label(layer)) for axis in (2, 3))
    return tuple(zip(rows, columns))


def _layer_alone(layer: Layer) -> tuple[Callable[..., Any], tuple[int, int, int]]:
    """A layer's function of images, and the shape of one image."""
    below = layer.input_shape
    if len(below) != 4 or len(layer.output_shape) != 4:
        raise UserError(
            f"layer '{label(layer)}' has no receptive field: it does not go from "
            "feature maps to feature maps"
        )
    alone = copy.copy(layer)
    alone.input_shape = (None, *below[1:])
    images = T.TensorType(precision(layer), (False,) * 4)("images")
    compute = function([images], alone.get_output_for(images, deterministic=True))
    shape = (below[1], *(length or _OPEN for length in below[2:]))
    dtype = precision(layer)
    return (lambda images: compute(np.asarray(images, dtype))), shape


def _images(shape: tuple[int, int, int], count: int, seed: int) -> np.ndarray:
    # Of all magnitudes, so that thresholds are met, and of both signs.
    rng = np.random.RandomState(seed)
    return rng.randn(count, *shape) * np.exp(rng.uniform(-3, 3, (count, 1, 1, 1)))


def _sees_more(
    compute: Callable[..., Any],
    shape: tuple[int, int, int],
    declared: tuple[tuple[int, int], tuple[int, int], tuple[int, int]],
) -> bool:
    """Whether a neuron changes with what lies outside its declared window."""
    (size, stride, pad), limits = declared, shape[1:]
    for trial in range(_TRIALS):
        base, others = _images(shape, 2, trial)
        before = compute(base[np.newaxis])[0]
        places = [sorted({0, length // 2, length - 1}) for length in before.shape[1:]]
        neurons = np.stack(np.meshgrid(*places, indexing="ij"), -1).reshape(-1, 2)
        changed = np.repeat(others[np.newaxis], len(neurons), axis=0)
        for each, neuron in zip(changed, neurons):
            first = neuron * stride - pad
            window = tuple(
                slice(max(begin, 0), min(max(begin + length, 0), limit))
                for begin, length, limit in zip(first, size, limits)
            )
            each[(slice(None), *window)] = base[(slice(None), *window)]
        few = max(1, _NUMBERS // base.size)
        for begin in range(0, len(neurons), few):
            after = compute(changed[begin : begin + few])
            for each, neuron in zip(after, neurons[begin : begin + few]):
                place = (slice(None), *neuron)
                if not np.allclose(
                    each[place], before[place], rtol=1e-4, atol=1e-6 * np.abs(before).max()
                ):
                    return True
    return False


def _along(compute: Callable[..., Any], shape: tuple[int, int, int], axis: int, name: str):
    """Window size, stride and padding along one axis, from what changes with each line."""
    depends = _dependence(compute, shape, axis)
    first, last = depends.argmax(axis=0), len(depends) - 1 - depends[::-1].argmax(axis=0)
    inner = np.flatnonzero(depends.any(axis=0) & (first > 0) & (last < len(depends) - 1))
    # Of windows with holes, the border may cut a part that would not show otherwise.
    span = (last - first)[inner]
    inner = inner[span == span.max(initial=0)]
    refused = UserError(
        f"layer '{name}' has no receptive field: it computes something else "
        "than its class says, and its neurons do not look at windows of one "
        "size"
    )
    if len(inner) < 2:
        raise refused
    stride = (first[inner[-1]] - first[inner[0]]) // (inner[-1] - inner[0])
    pad = (inner * stride - first[inner]).max()
    size = (last[inner] - inner * stride + pad).max() + 1
    lines, neurons = np.nonzero(depends)
    begin = neurons * stride - pad
    if stride < 1 or pad < 0 or not ((lines >= begin) & (lines < begin + size)).all():
        raise refused
    return int(size), int(stride), int(pad)


def _dependence(compute: Callable[..., Any], shape: tuple[int, int, int], axis: int) -> np.ndarray:
    """Which lines of the input every line of the map depends on, ``(lines, map lines)``."""
    lines = shape[axis - 1]
    depends: Any = None
    for trial in range(_TRIALS):
        base, others = _images(shape, 2, 100 + trial)
        before = compute(base[np.newaxis])
        few = max(1, _NUMBERS // base.size)
        for begin in range(0, lines, few):
            span = range(begin, min(begin + few, lines))
            changed = np.repeat(base[np.newaxis], len(span), axis=0)
            for each, line in zip(changed, span):
                place = (slice(None),) * (axis - 1) + (line,)
                each[place] = others[place]
            differs = np.abs(compute(changed) - before) > 1e-5 * np.abs(before).max()
            other = tuple(k for k in range(1, 4) if k != axis)
            hit = differs.any(axis=other)
            depends = np.zeros((lines, hit.shape[1]), bool) if depends is None else depends
            depends[begin : begin + len(span)] |= hit
    return depends
