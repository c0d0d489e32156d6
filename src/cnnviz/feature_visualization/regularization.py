"""Regularized activation maximization: an extension, not in the thesis.

The thesis found its exemplars hard to interpret.  Work since then keeps them readable by what
the ascent may change: random shifts, rotations and scales that the exemplar has to survive,
coefficients that favor low frequencies, and a penalty on variation (Olah et al. 2017, "Feature
visualization"; Mahendran and Vedaldi 2016).  :mod:`.analysis` measures what that gains.

The ascent runs on a canvas, which surrounds the patch of :class:`.PatchNetwork` by a margin, so
that shifts bring content into view.  Everything here is linear in the canvas, and gradients go
back through the adjoint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from tqdm import tqdm

from cnnviz.feature_visualization.ascent import (
    BATCH_SIZE,
    Evaluate,
    Exemplars,
    Rule,
    ascend,
    checked,
    joined,
    normalized,
    rescaled,
)
from cnnviz.feature_visualization.patch_network import PatchNetwork
from cnnviz.feature_visualization.transforms import (
    Parameterization,
    Transform,
    fourier,
    resample,
    resampling,
    usual_transforms,
)
from cnnviz.networks.inputs import batches, check_features, precision
from cnnviz.runtime.errors import UserError

if TYPE_CHECKING:
    from lasagne.layers import Layer

__all__ = ["RULE", "Regularization", "maximize_regularized", "total_variation"]

#: Steps are of a fixed length, and views vary, so that stopping early is off.
RULE = Rule(steps=256, step_size=0.05, tolerance=None)


@dataclass(frozen=True)
class Regularization:
    """What keeps an exemplar readable.

    Parameters
    ----------
    margin : int, optional
        Pixels of canvas on every side of the patch; an eighth of its longer side when None.
    transforms : sequence of functions, optional
        Such as :func:`.transforms.jitter`, :func:`.transforms.rotate` and
        :func:`.transforms.scale`; the last acts first on the patch's coordinates.
        :func:`.transforms.usual_transforms` when None.
    parameterization : function
        From the canvas' shape to a :class:`.transforms.Parameterization`.
    variation : float
        Weight of the :func:`total_variation` of the canvas, in units of the activation.
    start : float
        Standard deviation of the coefficients at the start.

    Raises
    ------
    UserError
        For a negative margin, variation or start.
    """

    margin: int | None = None
    transforms: Sequence[Transform] | None = None
    parameterization: Callable[[Sequence[int]], Parameterization] = fourier
    variation: float = 0.0
    start: float = 0.01

    def __post_init__(self) -> None:
        for name in ("margin", "variation", "start"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise UserError(f"{name} must be at least 0, not {value}")


def total_variation(images: np.ndarray, beta: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Total variation of images and its gradient.

    .. math:: \\sum_{ij} \\left((x_{i,j+1} - x_{ij})^2
              + (x_{i+1,j} - x_{ij})^2\\right)^{\\beta / 2}

    over pixels with both neighbors (Mahendran and Vedaldi 2016, their
    equation 6).

    Parameters
    ----------
    images : array, ``(n, channels, rows, columns)``
    beta : float
        At least 1.  Below 2 a flat spot has no gradient, and counts as 0.

    Returns
    -------
    variation : array, ``(n,)``
    gradient : array, ``(n, channels, rows, columns)``
    """
    if beta < 1:
        raise UserError(f"beta must be at least 1, not {beta}")
    here = images[..., :-1, :-1]
    down, right = images[..., 1:, :-1] - here, images[..., :-1, 1:] - here
    square = down**2 + right**2
    power = np.where(square > 0, square, 1) ** (beta / 2 - 1) * (square > 0)
    gradient = np.zeros_like(images)
    gradient[..., 1:, :-1] += beta * power * down
    gradient[..., :-1, 1:] += beta * power * right
    gradient[..., :-1, :-1] -= beta * power * (down + right)
    return (power * square).sum(axis=(1, 2, 3)), gradient


class _Canvas(NamedTuple):
    """A canvas around the patch of a network."""

    network: PatchNetwork
    parameterization: Parameterization
    size: tuple[int, int]  # rows, columns
    margin: int

    def center(self, coefficients: np.ndarray) -> np.ndarray:
        """The patch itself, untransformed."""
        _, rows, columns = self.network.shape
        canvas = self.parameterization.to_canvas(coefficients)
        return canvas[:, :, self.margin : self.margin + rows, self.margin : self.margin + columns]

    def project(self, coefficients: np.ndarray, norm: float | None) -> np.ndarray:
        """Scale to a norm of the patch, which is linear in the coefficients."""
        if norm is None:
            return coefficients
        patches = self.center(coefficients)
        return rescaled(coefficients, norm, np.sqrt((patches**2).sum(axis=(1, 2, 3))))

    def draw(self, transforms: Any, rng: np.random.RandomState) -> Any:
        """A random view of the canvas, as a sparse matrix."""
        matrix = np.eye(3)
        for transform in transforms:
            matrix = matrix @ transform(rng)
        return resampling(matrix, self.size, self.network.shape[1:])


def _objective(
    canvas: _Canvas, features: np.ndarray, regularization: Regularization, seed: int
) -> Evaluate:
    """Function for :func:`.ascent.ascend`, from coefficients."""
    activate = checked(canvas.network, features)
    transforms = regularization.transforms
    if transforms is None:
        transforms = usual_transforms(canvas.network)

    def evaluate(
        coefficients: np.ndarray, rows: np.ndarray, step: int
    ) -> tuple[np.ndarray, np.ndarray]:
        # Every feature sees the same views, whichever are computed together.
        view = canvas.draw(transforms, np.random.RandomState([seed, step]))
        images = canvas.parameterization.to_canvas(coefficients)
        patches = resample(view, images, canvas.network.shape[1:])
        activations, gradients = activate(patches, rows, step)
        gradients = resample(view.T, gradients, canvas.size)
        if regularization.variation:
            gradients = gradients - regularization.variation * total_variation(images)[1]
        return activations, canvas.parameterization.adjoint(gradients)

    return normalized(evaluate)


def maximize_regularized(
    network: PatchNetwork,
    features: Any = None,
    seed: int = 0,
    rule: Rule = RULE,
    regularization: Regularization | None = None,
    batch_size: int = BATCH_SIZE,
    progress: bool = False,
) -> Exemplars:
    """Exemplars by regularized maximization.

    Every step maximizes the activation of a random view of the canvas, less a penalty, along the
    gradient scaled to a mean square of 1: one step size serves all layers.

    Parameters
    ----------
    network : PatchNetwork
    features : int or sequence of int, optional
        All features when None.
    seed : int
        Of the noise that a feature starts from, and of the views.
    rule : Rule
        Its step size is in coefficients, its norm that of the patch.
    regularization : Regularization, optional
    batch_size : int
        Features of a pass; does not change the result.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Exemplars
        ``patches`` and ``iterates`` are the untransformed middle of the canvas, the former after
        the last step, with the activation ``reached``; ``activations`` are those of the views.

    Raises
    ------
    UserError
        As :meth:`.ActivationMaximization.run`.
    """
    regularization = regularization or Regularization()
    margin = regularization.margin
    if margin is None:
        margin = -(-max(network.shape[1:]) // 8)
    features = np.array(check_features(network.layer, features))
    canvas = _canvas(network, margin, regularization.parameterization)
    rule = rule.checked()
    climbs = []
    with tqdm(total=len(features) * (rule.steps + 1), unit=" steps", disable=not progress) as bar:
        for part in batches([features], batch_size):
            climbs.append(
                ascend(
                    _objective(canvas, features[part], regularization, seed),
                    regularization.start * _noise(canvas, features[part], seed),
                    rule,
                    lambda coefficients: canvas.project(coefficients, rule.norm),
                    bar,
                )
            )
    last = np.concatenate([climb.values for climb in climbs])
    return _in_pixels(canvas, joined(climbs, features), last, batch_size)


def _canvas(network: Layer, margin: int, parameterization: Callable[..., Any]) -> _Canvas:
    channels, *size = network.shape
    size = tuple(side + 2 * margin for side in size)
    return _Canvas(network, parameterization((channels, *size)), size, margin)


def _noise(canvas: _Canvas, features: np.ndarray, seed: int) -> np.ndarray:
    return np.stack(
        [
            np.random.RandomState([seed, feature]).randn(*canvas.parameterization.shape)
            for feature in features
        ]
    )


def _in_pixels(canvas: _Canvas, found: Exemplars, last: np.ndarray, batch_size: int) -> Exemplars:
    """The result with patches in the place of coefficients."""
    network = canvas.network
    patches = canvas.center(last).astype(precision(network.layer))
    reached = np.concatenate(
        [
            network.evaluate(patches[part], found.features[part])[0]
            for part in batches([patches], batch_size)
        ]
    )
    iterates = np.empty((*found.iterates.shape[:2], *network.shape), patches.dtype)
    for k in range(len(found.kept)):
        iterates[:, k] = canvas.center(found.iterates[:, k])
    return found._replace(patches=patches, reached=reached, iterates=iterates)
