"""Replication of Kalmeijer (2016): features learned by convolutional networks.

The methods, for any Lasagne layer::

    from cnnviz import Gradient, Occlusion, Deconvnet, GuidedBackprop, ActivationMaximization

    maps = Gradient(layer, target="max").attribute(images, features=[17])
    drop = Occlusion(layer, window=11, stride=2, baseline=0.0).attribute(images)
    found = ActivationMaximization(layer, start="noise", steps=500).run(features=[17])

``theano`` and ``lasagne`` are there too, prepared for current kernels.  Everything is imported
when it is first used, so that ``import cnnviz`` takes no time.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnviz.attribution.deconvnet import Deconvnet, GuidedBackprop
    from cnnviz.attribution.gradient import Gradient
    from cnnviz.attribution.interpolation import interpolated
    from cnnviz.attribution.occlusion import Occlusion
    from cnnviz.attribution.receptive_field import receptive_field
    from cnnviz.attribution.reductions import reduce_channels
    from cnnviz.feature_visualization.activation_maximization import ActivationMaximization
    from cnnviz.runtime.backend import lasagne, theano

__version__ = "0.1.0"

__all__ = [
    "ActivationMaximization",
    "Deconvnet",
    "Gradient",
    "GuidedBackprop",
    "Occlusion",
    "interpolated",
    "lasagne",
    "receptive_field",
    "reduce_channels",
    "theano",
]

_HOMES = {
    "ActivationMaximization": "feature_visualization.activation_maximization",
    "Deconvnet": "attribution.deconvnet",
    "Gradient": "attribution.gradient",
    "GuidedBackprop": "attribution.deconvnet",
    "Occlusion": "attribution.occlusion",
    "interpolated": "attribution.interpolation",
    "lasagne": "runtime.backend",
    "receptive_field": "attribution.receptive_field",
    "reduce_channels": "attribution.reductions",
    "theano": "runtime.backend",
}


def __getattr__(name: str) -> Any:
    """What is public, imported when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'cnnviz' has no attribute '{name}'")
    return getattr(importlib.import_module(f"cnnviz.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
