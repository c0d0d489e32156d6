"""Every method on one layer, compiled once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.attribution.deconvnet import Deconvnet, GuidedBackprop
from cnnviz.attribution.gradient import Gradient
from cnnviz.attribution.interpolation import interpolated
from cnnviz.attribution.occluder import Occluder
from cnnviz.attribution.occlusion import Occlusion
from cnnviz.attribution.reductions import reduce_channels

if TYPE_CHECKING:
    from lasagne.layers import Layer

__all__ = ["METHODS", "THESIS", "LayerMethods", "all_methods", "magnitude", "signed"]

METHODS = ("gradient max", "gradient sum", "occlusion", "deconvnet", "guided")

THESIS = METHODS[:3]  #: those that it applies to features


class LayerMethods:
    """Every method for one layer, compiled once.

    Parameters
    ----------
    layer : lasagne.layers.Layer
    evaluation : {"windows", "auto", "whole"}
        Of gradients and occlusion.

    Raises
    ------
    cnnviz.attribution.windowed.NotLocal
        For a layer that cannot be evaluated on windows, unless others may take over.
    """

    def __init__(self, layer: Layer, evaluation: str = "windows") -> None:
        self.layer, self._evaluation = layer, evaluation
        self._gradients = [
            Gradient(layer, target, evaluation=evaluation) for target in ("max", "sum")
        ]
        self._projections = [
            Deconvnet(layer, position="max"),
            GuidedBackprop(layer, position="max"),
        ]

    def occlusion(self, occluder: Occluder) -> Occlusion:
        """Occlusion of the maximal neuron."""
        return Occlusion(
            self.layer,
            occluder.window,
            occluder.stride,
            occluder.baseline,
            evaluation=self._evaluation,
        )

    def maps(
        self, images: np.ndarray, features: Sequence[int], occluder: Occluder
    ) -> Iterator[np.ndarray]:
        """Maps of features by every method, one method after the other.

        Parameters
        ----------
        images : array, ``(n, channels, rows, columns)``
        features : sequence of int
        occluder : Occluder
            Occlusion is interpolated between its positions.

        Yields
        ------
        array, ``(features, n, channels, rows, columns)``
            In the order of :data:`METHODS`; occlusion has one channel.  All but the
            gradient of the sum are of the maximal neuron.
        """
        for gradient in self._gradients:
            yield _features_first(gradient.attribute(images, features))
        lost = self.occlusion(occluder).attribute(images, features)
        yield interpolated(_features_first(lost))
        for projection in self._projections:
            yield _features_first(projection.attribute(images, features))


def _features_first(maps: np.ndarray) -> np.ndarray:
    """Maps ``(features, n, ...)``, laid out in this order: sums over them keep their bits."""
    return np.ascontiguousarray(np.swapaxes(maps, 0, 1))


def signed(raw: np.ndarray) -> np.ndarray:
    """The thesis's maps ``(..., rows, columns)``: the largest value of the channels."""
    return reduce_channels(raw)


def magnitude(raw: np.ndarray) -> np.ndarray:
    """The largest magnitude of the channels (Simonyan et al. 2014, section 3.1)."""
    return reduce_channels(raw, "abs_max")


def all_methods(
    layer: Layer,
    images: np.ndarray,
    features: Sequence[int],
    size: int,
    stride: int = 1,
    reduce: Callable[..., Any] = signed,
) -> np.ndarray:
    """Saliency by every method.

    Parameters
    ----------
    layer, images, features
        As for :class:`LayerMethods`.
    size, stride : int
        Of the occluder.
    reduce : function
        :func:`signed` or :func:`magnitude`.

    Returns
    -------
    array, ``(5, features, n, rows, columns)``
    """
    maps = LayerMethods(layer, "auto").maps(images, features, Occluder(size, stride))
    return np.stack([reduce(raw) for raw in maps])
