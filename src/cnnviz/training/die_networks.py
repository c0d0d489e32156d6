"""Training of the Die360 networks: mini-batch SGD with Nesterov momentum.

Thesis section 5.2.  The learning rate follows half a cosine from its start
value to zero; nothing is chosen by validation accuracy, so the accuracy
after the last epoch is the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from cnnviz.networks.layers import layers_of_type
from cnnviz.runtime.backend import T, function, lasagne, theano
from cnnviz.runtime.errors import UserError

if TYPE_CHECKING:
    from lasagne.layers import Layer
    from theano.gof import Variable

__all__ = ["DeadStart", "Outcome", "Settings", "accuracy", "predict", "train"]

EVALUATION_BATCH = 512


@dataclass(frozen=True)
class Settings:
    """How one network is trained."""

    epochs: int
    batch_size: int = 128
    learning_rate: float = 0.01
    momentum: float = 0.9
    #: A start is dead when after this many epochs the training accuracy has
    #: not risen above ``alive_accuracy``, or when a whole layer is silent.
    patience: int = 5
    alive_accuracy: float = 0.35
    max_starts: int = 10

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1 or self.max_starts < 1:
            raise UserError(
                "epochs, batch size and starts must be at least 1, "
                f"not {self.epochs}, {self.batch_size} and "
                f"{self.max_starts}"
            )
        if not 0 < self.learning_rate < np.inf:
            raise UserError(
                f"the learning rate must be positive and finite, not {self.learning_rate}"
            )
        if not 0 <= self.momentum < 1:
            raise UserError(f"the momentum must be at least 0 and below 1, not {self.momentum}")


@dataclass
class Outcome:
    """A trained network's parameters and how it came about."""

    parameters: list  #: arrays, in Lasagne's order
    accuracy: float  #: on the validation images, at the end
    posteriors: np.ndarray  #: of the validation images, ``(n, 6)``
    seed: int  #: of the start that was kept
    starts: int  #: 1 + dead starts before it
    history: list = field(default_factory=list)  #: one dict per evaluation


class DeadStart(UserError, RuntimeError):
    """Training cannot get anywhere from this start."""


def learning_rate(settings: Settings, epoch: int) -> float:
    """Half a cosine from the start value to zero (Loshchilov, Hutter 2017)."""
    return settings.learning_rate * 0.5 * (1 + np.cos(np.pi * epoch / settings.epochs))


def _training_step(
    network: Layer, images: Variable, labels: Variable, settings: Settings
) -> tuple[Any, Variable]:
    """Compiled step and the variable of its learning rate."""
    batch = T.ivector("batch")
    rate = theano.shared(np.float32(0), "learning rate")
    posterior = lasagne.layers.get_output(network, images[batch])
    target = labels[batch]
    loss = lasagne.objectives.categorical_crossentropy(posterior, target).mean()
    right = T.eq(T.argmax(posterior, axis=1), target).sum()
    updates = lasagne.updates.nesterov_momentum(
        loss, lasagne.layers.get_all_params(network, trainable=True), rate, settings.momentum
    )
    return function([batch], [loss, right], updates=updates), rate


def predictor(network: Layer) -> Any:
    """Compiled function from images to posteriors, dropout off."""
    inputs = T.tensor4("images")
    return function([inputs], lasagne.layers.get_output(network, inputs, deterministic=True))


def predict(
    network: Layer, images: np.ndarray, compute: Callable[..., Any] | None = None
) -> np.ndarray:
    """Posteriors of images.

    Parameters
    ----------
    network : lasagne.layers.Layer
        Output layer.
    images : float32 array, ``(n, channels, rows, columns)``
    compute : function, optional
        From :func:`predictor`, to compile only once.

    Returns
    -------
    float32 array, ``(n, classes)``
    """
    compute = compute or predictor(network)
    posteriors = np.empty((len(images), network.output_shape[1]), np.float32)
    for start in range(0, len(images), EVALUATION_BATCH):
        part = slice(start, start + EVALUATION_BATCH)
        posteriors[part] = compute(images[part])
    return posteriors


def accuracy(posteriors: np.ndarray, labels: np.ndarray) -> float:
    """Share of images whose largest posterior is that of their label."""
    return float(np.mean(np.argmax(posteriors, axis=1) == labels))


def _silent_layer(network: Layer, images: np.ndarray) -> str | None:
    """Name of a ReLU layer that is zero on all images, or None."""
    relu = [
        layer
        for layer in layers_of_type(network, lasagne.layers.Layer)
        if getattr(layer, "nonlinearity", None) is lasagne.nonlinearities.rectify
    ]
    if not relu:
        return None
    inputs = T.tensor4("images")
    outputs = lasagne.layers.get_output(relu, inputs, deterministic=True)
    maxima = function([inputs], [output.max() for output in outputs])
    for layer, maximum in zip(relu, maxima(images)):
        if maximum <= 0:
            return layer.name
    return None


def _judge_start(
    network: Layer, images: np.ndarray, training_accuracy: float, settings: Settings, epoch: int
) -> None:
    """Raise DeadStart when training cannot get anywhere from here."""
    # Neighboring images are nearly equal, so the probe strides over them all.
    probe = images[:: max(1, len(images) // EVALUATION_BATCH)]
    silent = _silent_layer(network, probe)
    if silent is not None:
        raise DeadStart(f"layer {silent} is silent")
    if training_accuracy < settings.alive_accuracy:
        raise DeadStart(f"training accuracy {training_accuracy:.3f} after {epoch + 1} epochs")


def _train_once(
    network: Layer,
    images: np.ndarray,
    labels: np.ndarray,
    validation: tuple[np.ndarray, np.ndarray],
    settings: Settings,
    seed: int,
    bar,
) -> tuple[np.ndarray, list[dict[Any, Any]]]:
    """One start; raises DeadStart."""
    shared_images = theano.shared(images, "images", borrow=True)
    shared_labels = theano.shared(labels, "labels")
    step, rate = _training_step(network, shared_images, shared_labels, settings)
    compute = predictor(network)
    order = np.random.RandomState(seed)
    interval = max(1, settings.epochs // 50)
    history = []
    for epoch in range(settings.epochs):
        rate.set_value(np.float32(learning_rate(settings, epoch)))
        shuffled = order.permutation(len(images)).astype(np.int32)
        batches = [
            shuffled[start : start + settings.batch_size]
            for start in range(0, len(shuffled), settings.batch_size)
        ]
        losses, rights = zip(*[step(batch) for batch in batches])
        loss = float(np.average(losses, weights=[len(b) for b in batches]))
        training_accuracy = float(np.sum(rights)) / len(images)
        if not np.isfinite(loss):
            raise DeadStart(f"the loss is {loss} in epoch {epoch + 1}")
        if epoch + 1 == min(settings.patience, settings.epochs):
            _judge_start(network, images, training_accuracy, settings, epoch)
        if (epoch + 1) % interval == 0 or epoch + 1 == settings.epochs:
            posteriors = predict(network, validation[0], compute)
            history.append(
                {
                    "epoch": epoch + 1,
                    "learning_rate": float(rate.get_value()),
                    "training_loss": loss,
                    "training_accuracy": training_accuracy,
                    "validation_accuracy": accuracy(posteriors, validation[1]),
                }
            )
        bar.set_postfix(loss=f"{loss:.4f}")
        bar.update()
    return posteriors, history


def train(
    build: Callable[..., Any],
    training: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    settings: Settings,
    seed: int,
    progress: bool = False,
    log: Callable[..., Any] = print,
) -> Outcome:
    """Train a network; a dead start is followed by the next seed.

    Parameters
    ----------
    build : function
        From a seed to a freshly initialized output layer.
    training, validation : pairs of arrays
        Images ``(n, 1, 32, 32)`` float32 and labels ``(n,)`` int32.
    settings : Settings
    seed : int
        Of initial weights and order of images; the k-th start uses
        ``seed + k - 1``.
    progress : bool
        Show a progress bar.
    log : function
        Receives one line for every dead start.

    Returns
    -------
    Outcome

    Raises
    ------
    DeadStart
        When ``settings.max_starts`` starts in a row were dead.
    """
    for start in range(settings.max_starts):
        network = build(seed + start)
        with tqdm(
            total=settings.epochs, unit=" epochs", disable=not progress, mininterval=5
        ) as bar:
            try:
                posteriors, history = _train_once(
                    network, *training, validation, settings, seed + start, bar
                )
            except DeadStart as reason:
                log(f"start {start + 1} with seed {seed + start} is dead: {reason}")
                continue
        return Outcome(
            lasagne.layers.get_all_param_values(network),
            accuracy(posteriors, validation[1]),
            posteriors,
            seed + start,
            start + 1,
            history,
        )
    raise DeadStart(
        f"{settings.max_starts} starts from seed {seed} on were all dead; lower the learning rate"
    )
