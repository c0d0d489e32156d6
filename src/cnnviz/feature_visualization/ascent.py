"""Gradient ascent with Nesterov momentum, on a sphere if need be (thesis eq. 3.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from cnnviz.feature_visualization.patch_network import PatchNetwork
from cnnviz.runtime.errors import UserError

__all__ = [
    "BATCH_SIZE",
    "Climb",
    "Exemplars",
    "Rule",
    "ascend",
    "checked",
    "joined",
    "nesterov",
    "normalized",
    "rescaled",
]

BATCH_SIZE = 16  # features; patches of De Fauw's last layer are whole images

#: From values ``(m, ...)``, the rows they belong to ``(m,)`` and the step to activations ``(m,)``
#: and gradients ``(m, ...)``.
Evaluate = Callable[[np.ndarray, np.ndarray, int], tuple[np.ndarray, np.ndarray]]


class Rule(NamedTuple):
    """How an ascent goes, and how far.

    The thesis gives no numbers.  Momentum and step size are those of its
    software; the other defaults are ours, and so is the rule to stop (that
    software compares patches, every 100 steps).
    """

    steps: int = 1000  #: at most
    step_size: float = 0.01  #: in the input's units per unit of the gradient
    momentum: float = 0.9  #: Nesterov's
    #: L2 norm of a patch, :math:`\rho` of eq. 3.1: at the start and after every step
    #: a patch is scaled onto the sphere of this radius.  None leaves the activation of
    #: a piecewise linear network without bound.
    norm: float | None = None
    keep: Sequence[int] = ()  #: steps to keep the patches of (Figs. 4.23, 4.24); 0: start
    #: A feature stops once the best of its last ``patience`` activations exceeds the
    #: best before by no more than this share of the latter's size.  None: never.
    tolerance: float | None = 1e-4
    patience: int = 100  #: steps

    def checked(self) -> Rule:
        """The rule itself; a ValueError where it makes no sense."""
        for name in ("step_size", "norm"):
            value = getattr(self, name)
            if value is not None and not 0 < value < np.inf:
                raise UserError(f"{name} must be positive, not {value}")
        if self.steps < 0:
            raise UserError(f"steps must be at least 0, not {self.steps}")
        if not 0 <= self.momentum < 1:
            raise UserError(f"momentum must be in [0, 1), not {self.momentum}")
        for step in self.keep:
            if not 0 <= step <= self.steps:
                raise UserError(f"steps 0 to {self.steps} can be kept, not {step}")
        if self.tolerance is not None and self.tolerance < 0:
            raise UserError(f"tolerance must be at least 0, not {self.tolerance}")
        if self.patience < 1:
            raise UserError(f"patience must be at least 1, not {self.patience}")
        return self


def nesterov(
    values: np.ndarray,
    velocity: np.ndarray,
    gradients: np.ndarray,
    step_size: float,
    momentum: float = 0.9,
) -> tuple[np.ndarray, np.ndarray]:
    """One step of gradient ascent with Nesterov momentum.

    .. math:: v \\leftarrow \\mu v + \\eta g(x), \\qquad
              x \\leftarrow x + \\mu v + \\eta g(x)

    the form of ``lasagne.updates.nesterov_momentum``, whose x is the point
    looked ahead to (Bengio et al. 2013, "Advances in optimizing recurrent
    networks").

    Parameters
    ----------
    values, velocity, gradients : array, any one shape
    step_size, momentum : float

    Returns
    -------
    values, velocity : arrays of that shape
    """
    velocity = momentum * velocity + step_size * gradients
    return values + momentum * velocity + step_size * gradients, velocity


def rescaled(
    values: np.ndarray, norm: float | None, lengths: np.ndarray | None = None
) -> np.ndarray:
    """Scale rows to an L2 norm: onto the sphere, as eq. 3.1 asks.

    Parameters
    ----------
    values : array, ``(n, ...)``
    norm : float, optional
        Nothing is changed when None.
    lengths : array, ``(n,)``, optional
        Norms the rows have; their L2 norms when None.

    Returns
    -------
    array of the same shape
        Rows of norm zero, which no scale moves, stay.
    """
    if norm is None:
        return values
    if lengths is None:
        lengths = np.sqrt((values.reshape(len(values), -1) ** 2).sum(axis=1))
    factors = np.where(lengths > 0, norm / np.where(lengths > 0, lengths, 1), 1)
    return values * factors.astype(values.dtype).reshape(-1, *[1] * (values.ndim - 1))


class Climb:
    """A batch of rows on the way up, and what is kept of their way.

    Attributes
    ----------
    values, best : arrays, ``(n, ...)``
        Of the last step, and of the step with the largest activation.
    activations : array, ``(n, steps + 1)``
        NaN after a row's stop.
    iterates : array, ``(n, kept, ...)``
        NaN likewise.
    active : int array
        Rows that have not stopped.
    """

    def __init__(self, values: np.ndarray, rule: Rule) -> None:
        self.rule = rule
        self.values, self.best = values.copy(), values.copy()
        self.velocity = np.zeros_like(values)
        self.activations = np.full((len(values), rule.steps + 1), np.nan)
        self.iterates = np.full(
            (len(values), len(rule.keep), *values.shape[1:]), np.nan, values.dtype
        )
        self.active = np.arange(len(values))

    def record(self, step: int, activations: np.ndarray) -> None:
        """Note the activations of the active rows at a step."""
        active = self.active
        before = self.activations[active, :step].max(axis=1, initial=-np.inf)
        self.activations[active, step] = activations
        better = active[activations > before]
        self.best[better] = self.values[better]
        for k, kept in enumerate(self.rule.keep):
            if kept == step:
                self.iterates[active, k] = self.values[active]

    def going(self, step: int) -> np.ndarray:
        """Which of the active rows go on after a step."""
        if step == self.rule.steps:
            return np.zeros(len(self.active), bool)
        patience, tolerance = self.rule.patience, self.rule.tolerance
        if tolerance is None or step < patience:
            return np.ones(len(self.active), bool)
        seen = self.activations[self.active, : step + 1]
        earlier = seen[:, :-patience].max(axis=1)
        recent = seen[:, -patience:].max(axis=1)
        return recent - earlier > tolerance * np.abs(earlier)

    def move(self, gradients: np.ndarray, project: Callable[..., Any]) -> None:
        """Take a step with the active rows."""
        active = self.active
        moved, self.velocity[active] = nesterov(
            self.values[active],
            self.velocity[active],
            gradients,
            self.rule.step_size,
            self.rule.momentum,
        )
        self.values[active] = project(moved)


def ascend(
    evaluate: Evaluate,
    start: np.ndarray,
    rule: Rule,
    project: Callable[[np.ndarray], np.ndarray] | None = None,
    bar: Any = None,
) -> Climb:
    """Gradient ascent of a batch of rows, each until its own stop.

    Parameters
    ----------
    evaluate : function
        From values ``(m, ...)``, the rows they belong to ``(m,)`` and the step
        to activations ``(m,)`` and gradients ``(m, ...)``.
    start : array, ``(n, ...)``
    rule : Rule
    project : function, optional
        From values to the nearest that are allowed; used at the start and
        after every step.  L2 norm ``rule.norm`` when None.
    bar : tqdm.tqdm, optional
        Counts the rows of every step.

    Returns
    -------
    Climb
    """
    if project is None:

        def project(values):
            return rescaled(values, rule.norm)

    climb = Climb(project(start), rule)
    for step in range(rule.steps + 1):
        activations, gradients = evaluate(climb.values[climb.active], climb.active, step)
        climb.record(step, activations)
        if bar is not None:
            bar.update(len(climb.active))
        going = climb.going(step)
        climb.active = climb.active[going]
        if not len(climb.active):
            break
        climb.move(gradients[going], project)
    return climb


class Exemplars(NamedTuple):
    """Patches that activate features strongly, and the way to them."""

    features: np.ndarray  #: ``(features,)``, indices in the layer
    patches: np.ndarray  #: ``(features, channels, rows, columns)``
    reached: np.ndarray  #: ``(features,)``, linear activation of the patches
    activations: np.ndarray  #: ``(features, steps + 1)``, NaN after the stop
    steps: np.ndarray  #: ``(features,)``, steps taken
    kept: np.ndarray  #: ``(kept,)``, steps that the iterates are of
    iterates: np.ndarray  #: ``(features, kept, channels, rows, columns)``, NaN after
    #: the stop


def joined(climbs: Sequence[Climb], features: Any) -> Exemplars:
    """One result of all batches of features: :class:`Exemplars`."""
    activations = np.concatenate([climb.activations for climb in climbs])
    return Exemplars(
        features,
        np.concatenate([climb.best for climb in climbs]),
        np.nanmax(activations, axis=1),
        activations,
        np.isfinite(activations).sum(axis=1) - 1,
        np.array(climbs[0].rule.keep, int),
        np.concatenate([climb.iterates for climb in climbs]),
    )


def checked(network: PatchNetwork, features: np.ndarray) -> Evaluate:
    """A network's function for :func:`ascend`; not finite is a ValueError."""

    def evaluate(values, rows, step):
        activations, gradients = network.evaluate(values, features[rows])
        for k in np.flatnonzero(~np.isfinite(activations))[:1]:
            raise UserError(
                f"layer '{network.layer.name}', feature {features[rows][k]}: the "
                f"activation is {activations[k]} at step {step}; choose a smaller "
                "step_size or a norm"
            )
        return activations, gradients

    return evaluate


def normalized(evaluate: Evaluate, length: float | None = None) -> Evaluate:
    """The same ascent with gradients of one length, so that one step size serves all features.

    Parameters
    ----------
    evaluate : function
        For :func:`ascend`.
    length : float, optional
        L2 norm of a row's gradient; that of a mean square of 1 when None.

    Returns
    -------
    function
        Rows of zeros stay.
    """

    def along_unit_gradients(
        values: np.ndarray, rows: np.ndarray, step: int
    ) -> tuple[np.ndarray, np.ndarray]:
        activations, gradients = evaluate(values, rows, step)
        norm = np.sqrt(gradients[0].size) if length is None else length
        return activations, rescaled(gradients, norm)

    return along_unit_gradients
