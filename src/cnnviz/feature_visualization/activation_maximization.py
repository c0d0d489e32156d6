"""Activation maximization: what a feature responds to most (thesis eq. 3.1, sections 4.4, 5.3)."""

from typing import Any

import numpy as np
from tqdm import tqdm

from cnnviz.feature_visualization.ascent import (
    BATCH_SIZE,
    Exemplars,
    Rule,
    ascend,
    checked,
    joined,
    normalized,
)
from cnnviz.feature_visualization.patch_network import PatchNetwork, patch_network
from cnnviz.feature_visualization.regularization import RULE as REGULARIZED_RULE
from cnnviz.feature_visualization.regularization import Regularization, maximize_regularized
from cnnviz.feature_visualization.starting_points import STARTS, starting_points
from cnnviz.networks.inputs import batches, check_features, precision
from cnnviz.runtime.errors import UserError

__all__ = ["ActivationMaximization", "maximize"]


class ActivationMaximization:
    """Exemplars of features: patches that activate one neuron of a feature most.

    Parameters
    ----------
    layer : lasagne.layers.Layer
        Feature maps above one input of fixed size, by convolution, pooling, feature pooling,
        dropout and element-wise layers.
    start : {"noise", "mean", "maximum"}
        Gaussian noise; the mean image; or what activates the feature most in a sample of images
        (section 4.4).  Regularized ascents start from noise.
    steps : int, optional
        At most; those of ``rule`` when None.
    neuron : (row, column), optional
        In the feature map; the central one when None.
    rule : Rule, optional
        Step size, momentum, norm, when to stop, what to keep.
    regularization : Regularization, optional
        Random views, parameterization, penalty: an extension, not in the thesis.
    seed : int
        Of the noise, and of regularization's views.

    Attributes
    ----------
    network : PatchNetwork
        What the neuron computes from its receptive field, compiled; it follows later changes of
        the network's parameters.

    Raises
    ------
    UserError
        For an unknown start, an impossible rule, a layer without feature maps, or one on the way
        that cannot be cut to the neuron's receptive field.
    """

    def __init__(
        self,
        layer: Any,
        start: str = "noise",
        steps: int | None = None,
        *,
        neuron: tuple[int, int] | None = None,
        rule: Rule | None = None,
        regularization: Regularization | None = None,
        seed: int = 0,
    ) -> None:
        if start not in STARTS:
            raise UserError(f"unknown start '{start}'; choose one of " + ", ".join(STARTS))
        if rule is None:
            rule = Rule() if regularization is None else REGULARIZED_RULE
        self.rule = (rule if steps is None else rule._replace(steps=steps)).checked()
        self.start, self.regularization, self.seed = start, regularization, seed
        self.network: PatchNetwork = patch_network(layer, neuron)

    def run(
        self,
        features: Any = None,
        *,
        images: Any = None,
        mean: Any = None,
        batch_size: int = BATCH_SIZE,
        progress: bool = False,
    ) -> Exemplars:
        """Exemplars of features.

        Parameters
        ----------
        features : int or sequence of int, optional
            All features when None.
        images : array, ``(n, channels, rows, columns)``
            For ``start="maximum"``: the sample, standardized as the network's input is.
        mean : array, ``(channels, rows, columns)``
            For ``start="mean"``.
        batch_size : int
            Features of a pass; does not change the result.
        progress : bool
            Show a progress bar.

        Returns
        -------
        Exemplars
            ``patches``, ``(features, channels, rows, columns)``, are those of the step with the
            largest activation, which is the last one unless the ascent overshoots; of
            regularized ascents, those after the last step.

        Raises
        ------
        UserError
            For a feature that the layer lacks, a start without what it starts from, or an
            activation that is not finite, as a step too large leads to.
        """
        if self.regularization is not None:
            return maximize_regularized(
                self.network,
                features,
                self.seed,
                self.rule,
                self.regularization,
                batch_size,
                progress,
            )
        patches = starting_points(self.network, self.start, features, images, mean, self.seed)
        return maximize(self.network, patches, features, self.rule, batch_size, progress)


def maximize(
    network: PatchNetwork,
    patches: Any,
    features: Any = None,
    rule: Rule | None = None,
    batch_size: int = BATCH_SIZE,
    progress: bool = False,
    unit_gradients: bool = False,
) -> Exemplars:
    """Exemplars by gradient ascent from given patches (eq. 3.1, sections 4.4 and 5.3).

    Parameters
    ----------
    network : PatchNetwork
    patches : array, ``(features, channels, rows, columns)``
        To start from, a row for each feature.
    features : int or sequence of int, optional
        All features when None.
    rule : Rule, optional
        Steps, norm, what is kept, when to stop.
    batch_size : int
        Features of a pass; does not change the result.
    progress : bool
        Show a progress bar.
    unit_gradients : bool
        Scale every gradient to a mean square of 1, so that a gradient that vanishes in
        saturated units does not stop the ascent.

    Returns
    -------
    Exemplars

    Raises
    ------
    UserError
        As :meth:`ActivationMaximization.run`, and for patches of the wrong shape or not finite.
    """
    features = np.array(check_features(network.layer, features))
    patches = _check_patches(network, patches, features)
    rule = (rule or Rule()).checked()
    climbs = []
    with tqdm(total=len(features) * (rule.steps + 1), unit=" steps", disable=not progress) as bar:
        for part in batches([features], batch_size):
            evaluate = checked(network, features[part])
            if unit_gradients:
                evaluate = normalized(evaluate)
            climbs.append(ascend(evaluate, patches[part], rule, bar=bar))
    return joined(climbs, features)


def _check_patches(network: PatchNetwork, patches: Any, features: np.ndarray) -> np.ndarray:
    patches = np.asarray(patches, precision(network.layer))
    expected = (len(features), *network.shape)
    if patches.shape != expected:
        raise UserError(f"patches to start from have shape {expected}, not {patches.shape}")
    if not np.isfinite(patches).all():
        raise UserError("the patches hold values that are not finite")
    return patches
