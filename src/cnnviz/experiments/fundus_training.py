"""Train De Fauw's network, one stage after the other (thesis chapter 4)."""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from cnnviz.datasets import idrid
from cnnviz.datasets.fundus_transform import SIZE
from cnnviz.experiments.fundus_stages import WITH_PHOTOGRAPHS, pictures_seed
from cnnviz.networks import defauw, weights
from cnnviz.networks.layers import NormalizedConv2DLayer, find_layer, layers_of_type
from cnnviz.runtime import files, paths, tables
from cnnviz.runtime.errors import UserError
from cnnviz.training import fundus_batches
from cnnviz.training import fundus_network as training
from cnnviz.training.grading import quadratic_weighted_kappa

__all__ = ["Outputs", "Plan", "Stage", "plan", "train"]

# Settings of the pictures and of the report; all others are of the training.
_OF_PICTURES = ("shares", "strongest_lesions", "validation_pairs", "every")
_OF_PHOTOGRAPHS = ("photograph_shares", "synthetic_share")


@dataclass(frozen=True)
class Stage:
    """What is trained."""

    name: str  #: one of :data:`.fundus_stages.STAGES`
    settings: Path  #: YAML file with the settings of every stage
    initial: Path | None = None  #: weights to begin with, those of the stage before
    photographs: Path | None = None  #: folder of prepared photographs, for those stages
    steps: int | None = None  #: instead of the settings' number
    seed: int = 0  #: of weights, pictures and dropout


@dataclass(frozen=True)
class Outputs:
    """What is written."""

    weights: Path
    history: Path  #: CSV file of the learning curve
    checkpoint: Path | None = None  #: of the state, to go on after an interruption


@dataclass(frozen=True)
class Plan:
    """Settings of a stage."""

    training: training.Settings
    pictures: dict[str, Any]

    @property
    def shares(self) -> np.ndarray:
        """Shares of the grades among synthetic pictures."""
        return np.array(self.pictures["shares"])


def plan(stage: Stage) -> Plan:
    """Read the settings of a stage.

    Raises
    ------
    UserError
        For a file that does not have them, or photographs that are missing.
    """
    if stage.name in WITH_PHOTOGRAPHS and stage.photographs is None:
        raise UserError(
            f"the stage '{stage.name}' needs --photographs; make the folder "
            "with 'cnnviz prepare-photographs --source idrid'"
        )
    text = files.read_text(stage.settings)
    try:
        settings = dict(yaml.safe_load(text)[stage.name])
        pictures = {name: settings.pop(name) for name in _OF_PICTURES}
        pictures["size"] = settings.pop("size", SIZE)
        if stage.name in WITH_PHOTOGRAPHS:
            pictures.update({name: settings.pop(name) for name in _OF_PHOTOGRAPHS})
        if stage.steps is not None:
            settings["steps"] = stage.steps
        return Plan(training.Settings(**settings), pictures)
    except (KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise UserError(
            f"{stage.settings}: not the settings of the stage "
            f"'{stage.name}' ({error}); compare with "
            f"{paths.FUNDUS_TRAINING}"
        ) from None


def train(stage: Stage, planned: Plan, outputs: Outputs) -> None:
    """Train a stage; an interrupted one goes on where it was.

    Parameters
    ----------
    stage : Stage
    planned : Plan
        From :func:`plan`.
    outputs : Outputs
    """
    settings, pictures = planned.training, planned.pictures
    narrow = stage.name == "narrow"
    network = defauw.build(
        settings.batch_size, stage.seed, pictures["size"], untie_biases=not narrow, normalize=True
    )
    stream = _stream(stage, planned)
    _begin(network, stage.initial, stream)
    validate = None if narrow else _validation(network, stage.seed, planned)
    started = time.perf_counter()
    history = training.train(
        network, stream, settings, outputs.checkpoint, validate, pictures["every"]
    )
    tables.write_rows(outputs.history, list(history[-1]), history)
    weights.save(
        outputs.weights,
        network,
        {
            "network": "defauw",
            "stage": stage.name,
            "seed": stage.seed,
            "settings": {**dataclasses.asdict(settings), **pictures},
            "last": history[-1],
        },
    )
    print(
        f"{stage.name}: {settings.steps} steps of {settings.batch_size} pictures in "
        f"{time.perf_counter() - started:.0f} s; last {history[-1]}"
    )


def _begin(network: Any, initial: Path | None, stream: Callable[[int], Any]) -> None:
    """Give the network the weights that a stage begins with."""
    if initial is None:
        _prepare(network)
        return
    fresh = weights.transfer(initial, network)
    if "conv1.scale" in fresh:  # weights that were folded, such as the shipped ones
        defauw.unfold(network, stream(0).pixels)
    print(
        f"begins with {initial}" + (f"; newly initialized: {', '.join(fresh)}" if fresh else ""),
        flush=True,
    )


def _prepare(network: Any) -> None:
    """Change the initial weights so that training gets off the ground.

    Normalized maps are as strong at the last pooling layer as at the first,
    and the dense layers would drown in their thousands of values: little of
    them gets through at first.  The first filters begin without a mean, so
    that they answer to differences and not to the brightness of the fundus.
    """
    last = layers_of_type(network, NormalizedConv2DLayer)[-1]
    for parameter in (last.scale, find_layer(network, "grades").W):
        parameter.set_value(np.float32(0.1) * parameter.get_value())
    filters = find_layer(network, "conv1").W
    values = filters.get_value()
    filters.set_value(values - values.mean(axis=(2, 3), keepdims=True))


def _stream(stage: Stage, planned: Plan) -> Callable[[int], Any]:
    """Function from a step to its batch."""
    settings, pictures, shares = planned.training, planned.pictures, planned.shares
    seed, count = pictures_seed(stage.name, stage.seed), settings.batch_size

    def plain(step: int) -> float:
        return fundus_batches.plainness(step, settings.steps, pictures["strongest_lesions"])

    if stage.name == "narrow":
        return fundus_batches.narrow_stream(seed, count, shares, pictures["size"], plain)
    if stage.name not in WITH_PHOTOGRAPHS:
        return fundus_batches.pairs_stream(seed, count, shares, plain)
    synthetic = 2 * round(count * pictures["synthetic_share"] / 2)
    assert stage.photographs is not None  # required of these stages when they are read
    real, dimensions, grades = idrid.training_arrays(stage.photographs)
    return fundus_batches.mixed_stream(
        [
            fundus_batches.pairs_stream(seed, synthetic, shares, plain),
            fundus_batches.photographs_stream(
                seed,
                count - synthetic,
                real,
                dimensions,
                grades,
                np.array(pictures["photograph_shares"]),
            ),
        ]
    )


def _validation(network: Any, seed: int, planned: Plan) -> Callable[[], dict[str, float]]:
    """Function that tries a network on held-out synthetic pairs."""
    pixels, dimensions, grades = fundus_batches.validation_pairs(
        9000 + seed, planned.pictures["validation_pairs"], planned.shares
    )
    pairs = np.arange(len(grades)).reshape(-1, 2)
    reader = training.EyeReader(network)

    def validate() -> dict[str, float]:
        said = reader.posteriors(reader.maps(pixels), dimensions, pairs)
        said = said.argmax(axis=2).ravel()
        return {
            "validation_kappa": round(quadratic_weighted_kappa(grades, said), 4),
            "validation_accuracy": round(float(np.mean(said == grades)), 4),
        }

    return validate
