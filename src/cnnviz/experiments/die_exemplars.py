"""Exemplars of every feature of every pooling layer of a network of the die (Table 5.2).

Thesis sections 3.1.1 and 5.3.  Gradient ascent from Gaussian noise, on the patch that one neuron
sees, with the L2 norm that noise has.  Twice: of the central neuron, and of neuron (0, 0), which is
what a software maximizes that pads a patch as large as the receptive field and takes the first
neuron; the rest of that patch it does not see.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from tqdm import tqdm

from cnnviz.experiments.die_pooling import Trained, trained_pooling
from cnnviz.feature_visualization.activation_maximization import maximize
from cnnviz.feature_visualization.ascent import Rule
from cnnviz.feature_visualization.patch_network import PatchNetwork, patch_network
from cnnviz.feature_visualization.starting_points import start_maximum, start_noise
from cnnviz.runtime.records import Record, axes, made_from

__all__ = ["STEP_SIZE", "DieExemplars", "LayerExemplars", "best", "on_field", "write"]

STEP_SIZE = 0.1  #: reaches more, in fewer steps, than the usual 0.01


@dataclass(frozen=True)
class LayerExemplars(Record):
    """Of the features of one layer."""

    field: tuple[int, ...]  #: rows and columns of the receptive field
    first_seen: tuple[int, ...]  #: what neuron (0, 0) sees of it
    patches: np.ndarray = axes("feature", "row", "column")
    reached: np.ndarray = axes("feature")  #: linear activation
    data: np.ndarray = axes("feature")  #: the largest one on the data set
    first: np.ndarray = axes("feature", "field row", "field column")  #: of neuron (0, 0)
    first_reached: np.ndarray = axes("feature")


@dataclass(frozen=True)
class DieExemplars(Record):
    """Exemplars of a network, layer by layer."""

    command: ClassVar[str] = "cnnviz die-exemplars"

    network: str
    layers: dict[str, LayerExemplars]


def best(network: PatchNetwork, starts: int) -> tuple[np.ndarray, np.ndarray]:
    """Exemplars of all features, of several starts those with the largest activation.

    Parameters
    ----------
    network : PatchNetwork
    starts : int

    Returns
    -------
    patches : array, ``(features, rows, columns)``
    reached : array, ``(features,)``
    """
    rule = Rule(norm=np.sqrt(np.prod(network.shape)), step_size=STEP_SIZE)
    noise = [start_noise(network, seed=seed) for seed in range(starts)]
    features = np.arange(len(noise[0]))
    maxima = maximize(network, np.concatenate(noise), np.tile(features, starts), rule)
    first = maxima.reached.reshape(starts, -1).argmax(axis=0) * len(features) + features
    return maxima.patches[first, 0], maxima.reached[first]


def on_field(patches: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Patches of neuron (0, 0) in a frame as large as the receptive field.

    Parameters
    ----------
    patches : array, ``(features, rows, columns)``
    size : (rows, columns)

    Returns
    -------
    array, ``(features, *size)``
        Zero where the neuron does not see.
    """
    framed = np.zeros((len(patches), *size), patches.dtype)
    framed[:, : patches.shape[1], : patches.shape[2]] = patches
    return framed


def write(which: Trained, starts: int, stride: int, output: Path) -> None:
    """Find exemplars and save them, for ``cnnviz die-exemplars``.

    Parameters
    ----------
    which : Trained
    starts : int
        Ascents from different noise; the best counts.
    stride : int
        The largest activation is searched in every n-th view.
    output : path
    """
    pooling, data = trained_pooling(which)
    layers = {}
    for layer in tqdm(pooling, unit=" layers"):
        central, first = (patch_network(layer, neuron) for neuron in (None, (0, 0)))
        patches, reached = best(central, starts)
        corner, corner_reached = best(first, starts)
        layers[layer.name] = LayerExemplars(
            field=tuple(map(int, central.field)),
            first_seen=tuple(map(int, first.shape[1:])),
            patches=patches,
            reached=reached,
            data=start_maximum(central, data.images[::stride]).activations,
            first=on_field(corner, central.field),
            first_reached=corner_reached,
        )
    DieExemplars(which.network, layers).save(
        output, made_from(**which.origin(data), starts=starts, stride=stride, step_size=STEP_SIZE)
    )
