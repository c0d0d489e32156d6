"""What one neuron of every feature computes from its receptive field (thesis section 3.1.1)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnnviz.attribution.receptive_field import receptive_field, window_geometry
from cnnviz.networks.inputs import check_maps, check_whole, input_variables, precision
from cnnviz.runtime.backend import T, function, lasagne
from cnnviz.runtime.errors import UserError

if TYPE_CHECKING:
    from lasagne.layers import Layer
    from theano.gof import Variable

__all__ = ["PatchNetwork", "patch_network"]


class PatchNetwork(NamedTuple):
    """What one neuron of every feature computes from its receptive field."""

    layer: Layer  #: the layer of the user's network
    neuron: tuple  #: row and column in the feature map
    box: tuple  #: pixels seen: first row, first column, end row, end column
    field: tuple  #: rows, columns of the receptive field, not clipped
    stride: tuple  #: pixels between the boxes of neighboring neurons
    shape: tuple  #: of a patch: channels, rows, columns
    maps: Callable  #: images to linear activations ``(n, features, rows, columns)``
    evaluate: Callable  #: patches ``(n, *shape)``, features ``(n,)`` to (activations,
    #: gradients), ``(n,)`` and ``(n, *shape)``


def patch_network(layer: Layer, neuron: tuple[int, int] | None = None) -> PatchNetwork:
    """Compile the network below one neuron of each feature of a layer.

    The activation is linear: the last non-linearity is left out.  For a
    pooling layer that is the pooled activation of the last convolution before
    its non-linearity.  The network is deterministic, and biases of one
    position each are those of the neuron's own positions.

    A receptive field that crosses the border is clipped: the patch is the part
    inside the image, and every layer pads as the whole network does there.
    The first neuron, (0, 0), sees the top left part of its field.

    Parameters
    ----------
    layer : lasagne.layers.Layer
        Feature maps above one input of fixed size, by convolution, pooling,
        feature pooling, dropout and element-wise layers.
    neuron : (row, column), optional
        In the feature map; the central one, (rows // 2, columns // 2), when
        None.

    Returns
    -------
    PatchNetwork
        It follows later changes of the network's parameters.

    Raises
    ------
    ValueError
        For a layer without feature maps, a layer on the way that is none of
        these, a neuron outside the map, or a patch that does not give what
        the whole network gives.
    """
    check_maps(layer)
    chain = _linear_chain(layer)
    neuron = _check_neuron(layer, neuron)
    field = receptive_field(layer)
    windows, seen = _windows(chain, neuron)
    (top, bottom), (left, right) = seen
    network = PatchNetwork(
        layer,
        neuron,
        (top, left, bottom, right),
        field.size,
        field.stride,
        (chain[0].input_shape[1], bottom - top, right - left),
        _compile_maps(layer, chain),
        _compile_evaluate(layer, windows, (bottom - top, right - left)),
    )
    _check_reproduction(network)
    return network


def _linear_chain(layer: Layer) -> list[Layer]:
    """Copies of the layers above the input, without the last non-linearity.

    Copies, so that the user's network stays as it is.
    """
    source, *above = lasagne.layers.get_all_layers(layer)
    for each in above:
        if isinstance(each, lasagne.layers.MergeLayer):
            raise UserError(
                f"layer '{each.name or type(each).__name__}' joins several "
                "inputs; exemplars are of layers above a single one"
            )
    if None in source.output_shape[1:]:
        raise UserError(
            f"input '{source.name}' has shape {source.output_shape}; "
            "exemplars need one of fixed size"
        )
    chain = [_resized(each, each.input_shape) for each in above]
    if not chain:
        raise UserError(f"layer '{layer.name}' is an input and has no exemplars")
    _leave_out_nonlinearity(chain)
    return chain


def _resized(layer: Layer, input_shape: tuple[None, int, int, int]) -> Layer:
    resized = copy.copy(layer)
    # Any number of images, whatever the network was built for.
    resized.input_shape = (None, *input_shape[1:])
    return resized


def _leave_out_nonlinearity(chain: Sequence[Layer]) -> None:
    """Make the last non-linearity linear; none lies below the last convolution."""
    identity = lasagne.nonlinearities.identity
    for layer in reversed(chain):
        if getattr(layer, "nonlinearity", identity) is not identity:
            layer.nonlinearity = identity
            return
        if isinstance(layer, lasagne.layers.Conv2DLayer):
            return


def _check_neuron(layer: Layer, neuron: Any) -> tuple[int, int]:
    shape = layer.output_shape[2:]
    if neuron is None:
        return tuple(size // 2 for size in shape)
    neuron = tuple(check_whole("a neuron's row or column", place, None) for place in neuron)
    if len(neuron) != 2 or not all(0 <= k < n for k, n in zip(neuron, shape)):
        last = tuple(size - 1 for size in shape)
        raise UserError(f"layer '{layer.name}' has neurons (0, 0) to {last}, not {neuron}")
    return neuron


class _Window(NamedTuple):
    """Part of a layer's map that the neuron depends on."""

    layer: Layer
    places: tuple  # (first, end) rows and columns of the layer's own map
    padding: tuple  # (before, after) along rows and columns of the map below


def _below(places: tuple[int, int], size: int, stride: int, pad: int) -> tuple[int, int]:
    """Span of the map below that a span of neurons sees, padding included."""
    first, end = places
    return first * stride - pad, (end - 1) * stride - pad + size


def _windows(chain: Sequence[Layer], neuron: tuple[int, int]) -> Any:
    """Window of each layer, first to last, and the pixels seen, (first, end) twice."""
    places = tuple((place, place + 1) for place in neuron)
    windows = []
    for layer in reversed(chain):
        geometry = window_geometry(layer) or ((1, 1), (1, 1), (0, 0))
        wanted = tuple(map(_below, places, *geometry))
        seen = tuple(
            (max(first, 0), min(end, size))
            for (first, end), size in zip(wanted, layer.input_shape[2:])
        )
        if any(end <= first for first, end in seen):
            raise UserError(f"neuron {neuron} sees nothing of the image, only padding")
        padding = tuple(
            (start - first, end - stop) for (first, end), (start, stop) in zip(wanted, seen)
        )
        windows.insert(0, _Window(layer, places, padding))
        places = seen
    return windows, places


def _padded(x: Variable, padding: tuple[tuple[int, int], tuple[int, int]], fill: float) -> Variable:
    """Pad rows and columns; Lasagne's own function knows one precision only."""
    sizes = [x.shape[2 + k] + before + after for k, (before, after) in enumerate(padding)]
    # The fill has the type of x, which may differ from Theano's floatX.
    frame = T.alloc(np.asarray(fill, x.dtype), x.shape[0], x.shape[1], *sizes)
    (top, _), (left, _) = padding
    inside = frame[:, :, top : top + x.shape[2], left : left + x.shape[3]]
    return T.set_subtensor(inside, x)


def _fill(layer: Layer) -> float:
    """What a layer pads with: nothing is ever smaller than a maximum's padding."""
    return -np.inf if getattr(layer, "mode", None) == "max" else 0


def _cut_to(window: _Window, shape: Sequence[int]) -> Layer:
    """A layer that computes one window of its map, from all that it needs."""
    layer = _resized(window.layer, (None, window.layer.input_shape[1], *shape))
    (top, bottom), (left, right) = window.places
    if hasattr(layer, "pad"):
        layer.pad = (0, 0)
    if hasattr(layer, "ignore_border"):
        layer.ignore_border = True  # the last window is padded to its full size
    if getattr(layer, "untie_biases", False) and layer.b is not None:
        layer.b = layer.b[:, top:bottom, left:right]
    return layer


def _patch_maps(windows: Sequence[_Window], patches: Variable, shape: Any) -> Variable:
    """Activations of the neuron, ``(n, features, 1, 1)``."""
    x = patches
    for window in windows:
        shape = [size + before + after for size, (before, after) in zip(shape, window.padding)]
        if np.any(window.padding):
            x = _padded(x, window.padding, _fill(window.layer))
        x = _cut_to(window, shape).get_output_for(x, deterministic=True)
        shape = [end - first for first, end in window.places]
    return x


def _compile_evaluate(
    layer: Layer, windows: Sequence[_Window], shape: tuple[int, int]
) -> Callable[..., Any]:
    _, (patches,) = input_variables(layer)
    features = T.ivector("features")
    maps = _patch_maps(windows, patches, shape)
    activations = maps[T.arange(features.shape[0]), features, 0, 0]
    compute = function([patches, features], [activations, T.grad(activations.sum(), patches)])
    dtype = precision(layer)
    return lambda patches, features: compute(
        np.asarray(patches, dtype), np.asarray(features, np.int32)
    )


def _compile_maps(layer: Layer, chain: Sequence[Layer]):
    _, (images,) = input_variables(layer)
    maps = images
    for each in chain:
        maps = each.get_output_for(maps, deterministic=True)
    return function([images], maps)


def _check_reproduction(network: PatchNetwork) -> None:
    """One random image through the patch's network and through the whole one."""
    shape = (1, *lasagne.layers.get_all_layers(network.layer)[0].output_shape[1:])
    image = np.random.RandomState(0).randn(*shape).astype(precision(network.layer))
    top, left, bottom, right = network.box
    maps = network.maps(image)[0]
    # Four features tell as much as all, at less memory.
    features = np.unique(np.linspace(0, len(maps) - 1, 4).astype(int))
    patches = np.repeat(image[:, :, top:bottom, left:right], len(features), axis=0)
    activations, _ = network.evaluate(patches, features)
    expected = maps[(features, *network.neuron)]
    if not np.allclose(activations, expected, rtol=1e-3, atol=1e-4 * np.abs(maps).max()):
        raise UserError(
            f"layer '{network.layer.name}': neuron {network.neuron} computes something "
            "else from its receptive field than in the whole network; a layer below "
            "it is not the convolution or pooling that its attributes say"
        )
