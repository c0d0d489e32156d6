"""Maps of one neuron while layers are randomized from the top (Adebayo et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.attribution import overlay
from cnnviz.attribution.deconvnet import Deconvnet, GuidedBackprop
from cnnviz.attribution.gradient import Gradient
from cnnviz.attribution.interpolation import interpolated
from cnnviz.attribution.occluder import centers
from cnnviz.evaluation.benchmark import SIGMA, row, visited_pixels, within_box
from cnnviz.evaluation.feature_neurons import maximal_neurons
from cnnviz.evaluation.layer_methods import METHODS, magnitude, signed
from cnnviz.evaluation.randomization import cascading_similarity
from cnnviz.networks.layers import NeuronLayer

if TYPE_CHECKING:
    from lasagne.layers import Layer

    from cnnviz.attribution.occluder import Occluder
    from cnnviz.evaluation.benchmark import Settings, Target
    from cnnviz.evaluation.feature_neurons import Neuron
    from cnnviz.evaluation.layer_methods import LayerMethods

__all__ = ["FixedNeuron", "cascade", "cascade_rows"]


class FixedNeuron:
    """Maps of one neuron by every method, whatever the parameters become.

    Compiled once.  The gradient of the sum is of its feature.

    Parameters
    ----------
    methods : LayerMethods
        Of the neuron's layer.
    occluder : Occluder
    shape : (rows, columns)
        Of the images.
    """

    def __init__(self, methods: LayerMethods, occluder: Occluder, shape: tuple[int, ...]) -> None:
        layer = methods.layer
        self._neuron = NeuronLayer(layer)
        self._gradients = [
            Gradient(self._neuron, evaluation="whole"),
            Gradient(layer, "sum", evaluation="whole"),
        ]
        self._projections = [Deconvnet(self._neuron), GuidedBackprop(self._neuron)]
        self._occluder = occluder
        self._occluded = methods.occlusion(occluder).windows(shape)

    def __call__(self, image: np.ndarray, neuron: Neuron) -> list[np.ndarray]:
        """Maps of every method, one after the other.

        Parameters
        ----------
        image : array, ``(1, channels, rows, columns)``
        neuron : Neuron

        Returns
        -------
        list of arrays, ``(channels, rows, columns)``
            As of :meth:`LayerMethods.maps`.
        """
        self._neuron.choose(*neuron.place)
        first, last = (
            [method.attribute(image, [neuron.feature])[0, 0] for method in methods]
            for methods in (self._gradients, self._projections)
        )
        return [*first, self._occlusion(image, neuron)[np.newaxis], *last]

    def _occlusion(self, image: np.ndarray, neuron: Neuron) -> np.ndarray:
        shape, size = image.shape[2:], self._occluder.size
        before = self._occluded.keep([image], 0)[(0, neuron.feature, *neuron.place)]
        places = centers(shape, self._occluder.stride, neuron.box)
        lost = np.full(shape, np.nan, image.dtype)
        count = self._occluded.batch_size(size, True)
        for few in np.split(places, range(count, len(places), count)):
            after, _ = self._occluded(
                self._occluder.first(few), size, neurons=np.tile(neuron.place, (len(few), 1))
            )
            lost[tuple(few.T)] = before - after[:, neuron.feature, 0, 0]
        return interpolated(lost)


def cascade(
    fixed: FixedNeuron,
    layer: Layer,
    image: np.ndarray,
    neuron: Neuron,
    region: np.ndarray,
    seed: int = 0,
) -> tuple[tuple[str, str], np.ndarray]:
    """How maps change while layers are randomized from the top (Adebayo et al. 2018).

    The neuron stays the one that was maximal in the trained network, so that maps are
    of the same pixels throughout.

    Parameters
    ----------
    fixed : FixedNeuron
    layer : lasagne.layers.Layer
        Its layer.
    image : array, ``(1, channels, rows, columns)``
    neuron : Neuron
    region : bool array, ``(rows, columns)``
        Where maps are compared.
    seed : int

    Returns
    -------
    names : tuple
        Of the layers, from the top down; each is random with all before it.
    agreement : array, ``(layers, 2, 5)``
        Rank correlation with the trained network's maps, of every method, with sign and
        by magnitude.  NaN where a map is zero, as of a neuron that randomizing silenced.
    """

    def compute():
        found = fixed(image, neuron)
        return overlay.smooth(
            np.stack([reduce(raw) for reduce in (signed, magnitude) for raw in found]), SIGMA
        )

    found = cascading_similarity(layer, compute, seed=seed, region=region)
    return found.names, found.agreement.reshape(len(found.names), 2, len(METHODS))


def cascade_rows(
    methods: LayerMethods,
    images: np.ndarray,
    names: Any,
    targets: Sequence[tuple[Target, Sequence[Any]]],
    fields: np.ndarray,
    settings: Settings,
) -> list[dict[str, Any]]:
    """Rows of randomized networks, of every target on its images.

    Parameters
    ----------
    methods : LayerMethods
        Of the layer of the features.
    images, names, fields, settings
        As for :func:`evaluate`.
    targets : sequence of (Target, images)
        And the indices of the images; each image has random networks of its own.

    Returns
    -------
    list of dict
    """
    layer, rows = methods.layer, []
    fixed = FixedNeuron(methods, settings.occluder, images.shape[2:])
    pairs = [(target, k) for target, chosen in targets for k in chosen]
    for seed, (target, k) in enumerate(pairs):
        image = images[k : k + 1]
        neuron = maximal_neurons(layer, image, [target.feature])[0][0]
        region = visited_pixels(fields[k], settings.occluder.stride) & within_box(
            fields[k].shape, neuron.box
        )
        steps, agreement = cascade(fixed, layer, image, neuron, region, seed)
        rows += [
            {
                "layer": layer.name,
                "concept": target.concept,
                "image": names[k],
                "feature": target.feature,
                **row(measure, agreement[s, sign, m], method, step),
            }
            for s, step in enumerate(steps)
            for sign, measure in enumerate(("cascade, signed", "cascade"))
            for m, method in enumerate(METHODS)
        ]
    return rows
