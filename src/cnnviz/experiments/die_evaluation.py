"""Posteriors of trained networks of the die, fold by fold, on held-out views."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cnnviz.datasets import die360, splits
from cnnviz.networks import die, weights
from cnnviz.runtime import paths
from cnnviz.runtime.backend import lasagne
from cnnviz.runtime.records import Record, axes, made_from
from cnnviz.training import die_networks

__all__ = ["FoldEvaluation", "Predictions", "count_parameters", "evaluate", "read"]


@dataclass(frozen=True)
class Predictions(Record):
    """What a network says of some views."""

    index: np.ndarray = axes("view")  #: in the data set
    labels: np.ndarray = axes("view")
    posteriors: np.ndarray = axes("view", "class")


@dataclass(frozen=True)
class FoldEvaluation(Record):
    """A network on the views that one fold of a split keeps from training."""

    command: ClassVar[str] = "cnnviz evaluate"

    network: str
    split: str
    fold: int
    sampling_stride: int  #: the data set was every n-th view
    starts: int  #: of the training, until one lived
    validation: Predictions
    #: Views that the separated split drops between training and validation.
    dropped: Predictions


def count_parameters(name: str) -> int:
    """Number of parameters of a network of the die."""
    return lasagne.layers.count_params(die.build(name))


def _predictions(network: Any, data: die360.Die360, index: np.ndarray, compute: Any) -> Predictions:
    return Predictions(
        index.astype(np.int32),
        data.labels[index],
        die_networks.predict(network, data.images[index], compute),
    )


def evaluate(
    name: str, split: str, folds: Sequence[int], images: Path, weights_folder: Path, output: Path
) -> None:
    """Evaluate the folds of a network and save each, for ``cnnviz evaluate``.

    Parameters
    ----------
    name : str
        Of the network.
    split : {"random", "separated"}
    folds : sequence of int
    images : path
        Of ``cnnviz render``.
    weights_folder, output : path
        Of files ``SPLIT/NETWORK_foldK.npz``.
    """
    network, data = die.build(name), die360.load(images)
    compute = die_networks.predictor(network)
    for fold in folds:
        metadata = weights.load_fold(weights_folder, split, name, fold, network)
        trained, validation = splits.indices(data.b, split, fold)
        dropped = np.setdiff1d(np.arange(len(data.b)), np.concatenate([trained, validation]))
        evaluation = FoldEvaluation(
            name,
            split,
            fold,
            data.sampling_stride,
            int(metadata["starts"]),
            *(_predictions(network, data, index, compute) for index in (validation, dropped)),
        )
        evaluation.save(
            paths.weight_file(output, split, name, fold),
            made_from(
                network=name,
                split=split,
                fold=fold,
                views=data.sampling_stride,
                weights=paths.weight_file(weights_folder, split, name, fold),
            ),
        )
        accuracy = die_networks.accuracy(
            evaluation.validation.posteriors, evaluation.validation.labels
        )
        print(f"{name} fold {fold} of the {split} split: accuracy {accuracy:.4f}", flush=True)


def read(
    folder: Path, split: str, networks: Sequence[str], folds: int
) -> dict[str, list[FoldEvaluation]]:
    """Evaluations of all folds by network, from files of ``cnnviz evaluate``."""
    return {
        name: [
            FoldEvaluation.load(
                paths.weight_file(folder, split, name, fold), network=name, split=split, fold=fold
            )
            for fold in range(folds)
        ]
        for name in networks
    }
