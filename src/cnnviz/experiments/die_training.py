"""Training a network of the die on one fold (thesis section 5.2)."""

import time
from dataclasses import dataclass
from pathlib import Path

from cnnviz.datasets import die360, splits
from cnnviz.networks import die, weights
from cnnviz.runtime import tables
from cnnviz.runtime.backend import lasagne
from cnnviz.training import die_networks
from cnnviz.training.die_networks import Settings

__all__ = ["SEED_STEP", "Fold", "first_seed", "write"]

#: Seeds of folds are this far apart, so that restarts never meet.
SEED_STEP = 100


@dataclass(frozen=True)
class Fold:
    """Which network is trained on which part of the data set."""

    network: str
    split: str  #: "random" or "separated"
    fold: int  #: -1 is the tuning fold
    seed: int  #: fold k starts from seed + SEED_STEP k


def first_seed(seed: int, fold: int) -> int:
    """Seed of a fold's first start; the tuning fold, -1, comes after all."""
    return seed + SEED_STEP * (fold if fold >= 0 else splits.FOLDS)


def write(
    which: Fold, images: Path, settings: Settings, command: str, history: Path, output: Path
) -> str:
    """Train and write weights and learning curve, for ``cnnviz train``.

    Parameters
    ----------
    which : Fold
    images : path
        Of ``cnnviz render``.
    settings : Settings
    command : str
        Which trains the same weights again; goes with them.
    history : path
        CSV file of the learning curve.
    output : path
        Weight file.

    Returns
    -------
    str
        The result in one line.
    """
    network, data = die.build(which.network), die360.load(images)
    training, validation = (
        (data.images[index], data.labels[index])
        for index in splits.indices(data.b, which.split, which.fold)
    )
    del data  # 200 MB
    started = time.perf_counter()
    outcome = die_networks.train(
        lambda seed: die.build(which.network, seed=seed),
        training,
        validation,
        settings,
        first_seed(which.seed, which.fold),
        progress=True,
    )
    lasagne.layers.set_all_param_values(network, outcome.parameters)
    tables.write_rows(history, list(outcome.history[0]), outcome.history)
    metadata = {
        "network": which.network,
        "split": which.split,
        "fold": which.fold,
        "seed": outcome.seed,
        "starts": outcome.starts,
        "command": command,
        "validation_accuracy": outcome.accuracy,
        "training_images": len(training[1]),
        "validation_images": len(validation[1]),
    }
    weights.save(output, network, metadata)
    return (
        f"{which.network} fold {which.fold} of the {which.split} split: "
        f"validation accuracy {outcome.accuracy:.4f} after {settings.epochs} "
        f"epochs, {outcome.starts - 1} dead starts, "
        f"{time.perf_counter() - started:.0f} s"
    )
