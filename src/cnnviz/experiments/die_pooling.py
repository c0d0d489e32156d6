"""A trained network of the die with pooling layers, and the data set."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnnviz.datasets import die360
from cnnviz.networks import die, layers, weights
from cnnviz.runtime import paths
from cnnviz.runtime.errors import UserError

__all__ = ["Trained", "features_first", "pixels_of", "trained_pooling"]


@dataclass(frozen=True)
class Trained:
    """Which trained network of the die is looked at, and the data set.

    Parameters
    ----------
    network : str
        A convolutional one of :mod:`cnnviz.networks.die_architectures`.
    fold : int
        Of the random split.
    weights_folder : path
        Of the weight files of all folds.
    images : path
        Of ``cnnviz render``.
    """

    network: str
    fold: int
    weights_folder: Path
    images: Path

    def origin(self, data: die360.Die360) -> dict[str, Any]:
        """For :func:`cnnviz.runtime.records.made_from`, with what the data set holds."""
        path = paths.weight_file(self.weights_folder, "random", self.network, self.fold)
        return {
            "network": self.network,
            "fold": self.fold,
            "weights": path,
            "views": data.sampling_stride,
        }


def trained_pooling(which: Trained) -> tuple[list[Any], die360.Die360]:
    """Pooling layers of a trained network, first to last, and the data set.

    Parameters
    ----------
    which : Trained

    Returns
    -------
    list of lasagne.layers.Layer
    cnnviz.datasets.die360.Die360

    Raises
    ------
    MissingFileError, UserError
        For a network without pooling layers, or files that are missing or foreign.
    """
    network = die.build(which.network)
    pooling = layers.pooling_layers(network)
    if not pooling:
        raise UserError(
            f"network '{which.network}' has no pooling layers; choose "
            "one of " + ", ".join(die.CONVOLUTIONAL)
        )
    data = die360.load(which.images)
    weights.load_fold(which.weights_folder, "random", which.network, which.fold, network)
    return pooling, data


def features_first(maps: np.ndarray) -> np.ndarray:
    """Maps ``(features, n, rows, columns)`` of ``(n, features, rows, columns)``, laid out so."""
    return np.ascontiguousarray(np.swapaxes(maps, 0, 1))


def pixels_of(images: np.ndarray, data: die360.Die360) -> np.ndarray:
    """Gray values ``(n, rows, columns)`` in [0, 1] of standardized images."""
    return images[:, 0] * np.float32(data.std) + np.float32(data.mean)
