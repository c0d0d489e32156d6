"""Training of De Fauw's network: his loss, augmentation and momentum.

The network learns from grades only.  Pictures come as an endless stream of
batches; every batch follows from its number, so that training goes on after
an interruption exactly where it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from cnnviz.datasets.fundus import standardize
from cnnviz.networks.defauw import GRADES
from cnnviz.networks.layers import NormalizedConv2DLayer, find_layer, layers_of_type, pooling_layers
from cnnviz.runtime import files
from cnnviz.runtime.backend import T, function, lasagne, theano
from cnnviz.runtime.errors import UserError
from cnnviz.training.fundus_batches import drawn_ahead
from cnnviz.training.grading import quadratic_weighted_kappa
from cnnviz.training.objectives import kappa_loss

if TYPE_CHECKING:
    from lasagne.layers import Layer
    from theano.gof import Variable

__all__ = ["Diverged", "EyeReader", "Settings", "predictor", "train"]


class Diverged(UserError, RuntimeError):
    """The loss of a training is no longer a number."""


@dataclass(frozen=True)
class Settings:
    """How one stage of the training goes."""

    steps: int
    batch_size: int = 16
    learning_rate: float = 0.006
    warmup: int = 100  #: steps until the learning rate is reached
    optimizer: str = "nesterov"  #: or "adam"
    momentum: float = 0.9  #: Nesterov's
    weight_decay: float = 2e-4  #: L2 penalty on all weights, not on biases
    log_share: float = 0.5  #: of the log loss beside the kappa loss
    log_floor: float = 0.8  #: below which the log loss counts no more
    kappa_share: float = 1.0
    largest_gradient: float = 10.0  #: norm to which gradients are cut

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_size < 2 or self.batch_size % 2:
            raise UserError(
                "steps must be at least 1 and the batch size even, not "
                f"{self.steps} and {self.batch_size}"
            )
        if self.optimizer not in ("nesterov", "adam"):
            raise UserError(f"unknown optimizer '{self.optimizer}'; choose nesterov or adam")
        if not 0 < self.learning_rate < np.inf or not 0 <= self.momentum < 1:
            raise UserError(
                "the learning rate must be positive and the momentum "
                f"in [0, 1), not {self.learning_rate} and {self.momentum}"
            )


def learning_rate(settings: Settings, step: int) -> float:
    """Linear warm-up, then half a cosine down to zero."""
    warm = min(1.0, (step + 1) / max(1, settings.warmup))
    return settings.learning_rate * warm * 0.5 * (1 + np.cos(np.pi * step / settings.steps))


def _inputs(network: Layer) -> dict[Layer, Variable]:
    layers = [find_layer(network, name) for name in ("images", "dimensions")]
    return dict(zip(layers, (T.tensor4("images"), T.matrix("dimensions"))))


def compile_step(network: Layer, settings: Settings) -> tuple[Any, Variable]:
    """The training step and the variable of its learning rate.

    Loss: soft quadratic weighted kappa, half the log loss as far as it exceeds
    0.8, and an L2 penalty (De Fauw's).
    """
    given = _inputs(network)
    targets = T.matrix("targets")
    posteriors = lasagne.layers.get_output(network, given)
    log_loss = lasagne.objectives.categorical_crossentropy(
        T.clip(posteriors, 1e-7, 1), targets
    ).mean()
    penalty = lasagne.regularization.regularize_network_params(network, lasagne.regularization.l2)
    loss = (
        settings.kappa_share * kappa_loss(posteriors, targets)
        + settings.log_share * T.maximum(log_loss, settings.log_floor)
        + settings.weight_decay * penalty
    )
    parameters = lasagne.layers.get_all_params(network, trainable=True)
    gradients, norm = lasagne.updates.total_norm_constraint(
        T.grad(loss, parameters), settings.largest_gradient, return_norm=True
    )
    rate = theano.shared(np.float32(0), "learning rate")
    if settings.optimizer == "adam":
        updates = lasagne.updates.adam(gradients, parameters, rate)
    else:
        updates = lasagne.updates.nesterov_momentum(gradients, parameters, rate, settings.momentum)
    for layer in layers_of_type(network, NormalizedConv2DLayer):
        updates.update(layer.updates)
    return function(
        [*given.values(), targets], [loss, log_loss, norm, posteriors], updates=updates
    ), rate


def predictor(network: Layer) -> Any:
    """Compiled function of images and dimensions to posteriors, dropout off."""
    given = _inputs(network)
    return function(
        list(given.values()), lasagne.layers.get_output(network, given, deterministic=True)
    )


class EyeReader:
    """What a network says of eye pairs, looking at every photograph once only.

    The convolutions see one eye; how eyes are paired matters above them.

    Parameters
    ----------
    network : lasagne.layers.Layer
        Output layer, built for a fixed even number of images.
    """

    _TOGETHER = 4  # photographs of a pass

    def __init__(self, network: Layer) -> None:
        given, maps = _inputs(network), T.tensor4("maps")
        images, dimensions = given.values()
        last = pooling_layers(network)[-1]
        self._count = network.output_shape[0]
        self._look = function(
            [images],
            lasagne.layers.get_output(
                last, {find_layer(network, "images"): images}, deterministic=True
            ),
        )
        self._read = function(
            [maps, dimensions],
            lasagne.layers.get_output(
                network,
                {last: maps, find_layer(network, "dimensions"): dimensions},
                deterministic=True,
            ),
        )

    def maps(self, pixels: np.ndarray) -> np.ndarray:
        """Maps of the last pooling layer.

        Parameters
        ----------
        pixels : uint8 array, ``(m, size, size, 3)``

        Returns
        -------
        float32 array, ``(m, 256, rows, columns)``
        """
        return np.concatenate(
            [
                self._look(standardize(pixels[start : start + self._TOGETHER]))
                for start in tqdm(
                    range(0, len(pixels), self._TOGETHER), unit=" batches", mininterval=5
                )
            ]
        )

    def posteriors(self, maps: np.ndarray, dimensions: np.ndarray, pairs: np.ndarray) -> np.ndarray:
        """Posteriors of eye pairs.

        Parameters
        ----------
        maps : float32 array, ``(m, 256, rows, columns)``
            From :meth:`maps`.
        dimensions : float32 array, ``(m, 2)``
        pairs : int array, ``(n, 2)``
            Indices of the photographs; one photograph may be in both places.

        Returns
        -------
        float32 array, ``(n, 2, 5)``
        """
        together, results = self._count // 2, []
        for start in range(0, len(pairs), together):
            # The last batch is filled up, since the network knows one size only.
            part = np.resize(pairs[start : start + together], (together, 2)).ravel()
            results.append(self._read(maps[part], dimensions[part]).reshape(together, 2, -1))
        return np.concatenate(results)[: len(pairs)]


def _save_state(path, step_function, step: int, history: Sequence[Mapping[str, float]]) -> None:
    arrays = {f"shared{k}": value.get_value() for k, value in enumerate(step_function.get_shared())}
    files.save_arrays(path, step=np.int64(step), history=np.array(json.dumps(history)), **arrays)


def _load_state(path, step_function) -> tuple[int, list[dict[Any, Any]]]:
    """Step and history of a checkpoint; its values go into the function."""
    remedy = "cnnviz train-fundus"
    state = files.load_arrays(path, remedy)
    shared = step_function.get_shared()
    wrong = [
        k
        for k, value in enumerate(shared)
        if f"shared{k}" not in state
        or state[f"shared{k}"].shape != value.get_value(borrow=True).shape
    ]
    if wrong or len(state) != len(shared) + 2:
        raise UserError(
            f"{path}: a checkpoint of another network or stage; delete it and run '{remedy}' again"
        )
    for k, value in enumerate(shared):
        value.set_value(state[f"shared{k}"])
    return int(state["step"]), json.loads(str(state["history"]))


def train(
    network: Layer,
    draw: Callable[..., Any],
    settings: Settings,
    checkpoint: Path | None = None,
    validate: Any = None,
    every: int = 100,
    progress: bool = True,
) -> list[dict[str, float]]:
    """Train a network for the steps of one stage.

    Parameters
    ----------
    network : lasagne.layers.Layer
        Output layer; its parameters are changed.
    draw : function from int to Batch
    settings : Settings
    checkpoint : path, optional
        Where the state is kept every ``every`` steps; training goes on from it
        if it is there.
    validate : function to dict, optional
        Called at the same steps.
    every : int
    progress : bool

    Returns
    -------
    list of dict
        The learning curve.

    Raises
    ------
    RuntimeError
        When the loss is no longer finite.
    """
    step_function, rate = compile_step(network, settings)
    first, history = 0, []
    if checkpoint is not None and Path(checkpoint).is_file():
        first, history = _load_state(checkpoint, step_function)
    losses, seen, said = [], [], []
    eye = np.eye(GRADES, dtype=np.float32)
    with tqdm(
        total=settings.steps, initial=first, unit=" steps", disable=not progress, mininterval=10
    ) as bar:
        for step, batch in enumerate(drawn_ahead(draw, first, settings.steps), first):
            rate.set_value(np.float32(learning_rate(settings, step)))
            loss, log_loss, norm, posteriors = step_function(
                batch.pixels, batch.dimensions, eye[batch.grades]
            )
            if not np.isfinite(loss):
                raise Diverged(f"the loss is {loss} at step {step + 1}; lower the learning rate")
            losses.append((float(loss), float(log_loss), float(norm)))
            seen.append(batch.grades)
            said.append(posteriors.argmax(axis=1))
            bar.update()
            if (step + 1) % every == 0 or step + 1 == settings.steps:
                history.append(_row(step, settings, losses, seen, said))
                if validate is not None:
                    history[-1].update(validate())
                bar.write(json.dumps(history[-1]))
                losses, seen, said = [], [], []
                if checkpoint is not None:
                    _save_state(checkpoint, step_function, step + 1, history)
    return history


def _row(
    step: int,
    settings: Settings,
    losses: Sequence[tuple[float, float, float]],
    seen: Sequence[np.ndarray],
    said: Sequence[np.ndarray],
) -> dict[str, float]:
    seen, said = np.concatenate(seen), np.concatenate(said)
    loss, log_loss, norm = np.mean(losses, axis=0)
    return {
        "step": step + 1,
        "learning_rate": round(learning_rate(settings, step), 6),
        "loss": round(loss, 4),
        "log_loss": round(log_loss, 4),
        "gradient_norm": round(norm, 3),
        "accuracy": round(float(np.mean(seen == said)), 4),
        "kappa": round(float(quadratic_weighted_kappa(seen, said)), 4),
    }
