"""The attribution methods by name: what the command line offers, and the place to add one.

Light to import: a method's module, and with it Theano, is imported when the method is made.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

    from cnnviz.attribution.occluder import Occluder

__all__ = ["METHODS", "Attribution", "Method"]


class Attribution(Protocol):
    """What every method is, once it is made for a layer."""

    def attribute(
        self,
        images: Any,
        features: Any = None,
        *,
        batch_size: int | None = None,
        progress: bool = False,
    ) -> "np.ndarray":
        """Maps ``(n, features, channels, rows, columns)`` of features of images."""


@dataclass(frozen=True)
class Method:
    """A method, and how it and its maps are called.

    Parameters
    ----------
    make : function
        From a layer and an :class:`.Occluder`, which most do not need, to an object with
        ``attribute``.
    shows : str
        What a number of its maps is.
    title : str
        What is shown of a feature map; ``{size}`` is the occluder's.
    unit_title : str, optional
        What is shown of an output unit; None where units have no such maps.
    """

    make: "Callable[[Any, Occluder], Attribution]"
    shows: str
    title: str
    unit_title: str | None = None


def _gradient(target: str) -> "Callable[[Any, Occluder], Attribution]":
    def make(layer: Any, _: "Occluder") -> Attribution:
        from cnnviz.attribution.gradient import Gradient

        return Gradient(layer, target)

    return make


def _occlusion(layer: Any, occluder: "Occluder") -> Attribution:
    from cnnviz.attribution.occlusion import Occlusion

    return Occlusion(layer, occluder.window, occluder.stride, occluder.baseline)


def _projection(name: str) -> "Callable[[Any, Occluder], Attribution]":
    def make(layer: Any, _: "Occluder") -> Attribution:
        from cnnviz.attribution import deconvnet

        return getattr(deconvnet, name)(layer)

    return make


#: From the name on the command line.
METHODS: dict[str, Method] = {
    "gradient-max": Method(
        _gradient("max"),
        "gradient",
        "gradient of the maximum of the feature map",
        "gradient of the output",
    ),
    "gradient-sum": Method(
        _gradient("sum"),
        "gradient",
        "gradient of the sum of the feature map",
        "gradient of the output",
    ),
    "occlusion": Method(
        _occlusion,
        "activation lost",
        "occlusion by {size} × {size} pixels",
        "occlusion by {size} × {size} pixels, loss of output",
    ),
    "deconvnet": Method(
        _projection("Deconvnet"),
        "projection",
        "deconvolutional network, from the whole feature map",
    ),
    "guided": Method(
        _projection("GuidedBackprop"),
        "guided gradient",
        "guided back-propagation, from the whole feature map",
    ),
}
