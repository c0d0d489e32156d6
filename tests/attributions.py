"""Every attribution method in one call, features first, channels reduced: for tests' brevity."""

import numpy as np

from cnnviz.attribution.deconvnet import Deconvnet, GuidedBackprop
from cnnviz.attribution.gradient import Gradient
from cnnviz.attribution.occlusion import Occlusion
from cnnviz.attribution.reductions import reduce_channels
from cnnviz.networks.channel_axes import reduced_axis


def _features_first(maps, layer, wrt, raw, channel_axis):
    axis = reduced_axis(layer, wrt, raw, channel_axis)
    maps = np.swapaxes(maps, 0, 1)
    return maps if raw else reduce_channels(maps, axis=None if axis is None else axis + 1)


def gradient(
    layer,
    images,
    features=None,
    target="max",
    wrt=0,
    raw=False,
    ties="all",
    evaluation="auto",
    channel_axis=None,
    **call,
):
    """Maps ``(features, n, rows, columns)`` of :class:`Gradient`."""
    maps = Gradient(layer, target, wrt=wrt, ties=ties, evaluation=evaluation).attribute(
        images, features, **call
    )
    return _features_first(maps, layer, wrt, raw, channel_axis)


def occlusion(
    layer,
    images,
    features=None,
    window=11,
    stride=1,
    baseline=0.0,
    target="neuron",
    wrt=0,
    evaluation="auto",
    **call,
):
    """Maps ``(features, n, rows, columns)`` of :class:`Occlusion`."""
    method = Occlusion(
        layer, window, stride, baseline, target=target, wrt=wrt, evaluation=evaluation
    )
    return np.swapaxes(method.attribute(images, features, **call), 0, 1)[:, :, 0]


def projection(
    layer,
    images,
    features=None,
    method="deconvnet",
    position="all",
    wrt=0,
    raw=False,
    channel_axis=None,
    **call,
):
    """Maps ``(features, n, rows, columns)`` of :class:`Deconvnet` or :class:`GuidedBackprop`."""
    kind = {"deconvnet": Deconvnet, "guided": GuidedBackprop}[method]
    maps = kind(layer, position=position, wrt=wrt).attribute(images, features, **call)
    return _features_first(maps, layer, wrt, raw, channel_axis)
