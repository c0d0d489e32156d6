"""Exemplars of De Fauw's network for Figures 4.22 to 4.26 (thesis sections 3.1.1, 4.4).

Gradient ascent on what one neuron sees, from three starts: what activates the feature
most in a stratified sample, the mean photograph, and noise.  A patch keeps the L2
norm that photographs have on average over a patch of its size (eq. 3.1), without which
the activation of this network has no maximum.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from cnnviz.datasets import fundus, store
from cnnviz.experiments import defauw_network, exemplar_records, photograph_sources
from cnnviz.experiments.exemplar_measures import kept_steps
from cnnviz.experiments.exemplar_records import STARTS, Exemplar, PlayedRole
from cnnviz.feature_visualization import ascent, starting_points
from cnnviz.feature_visualization.analysis import stratified
from cnnviz.feature_visualization.patch_network import PatchNetwork, patch_network
from cnnviz.networks import inputs, layers
from cnnviz.runtime.errors import UserError

__all__ = ["SAMPLE", "STEPS", "Sample", "mean_photograph", "of_layer", "sampled", "write"]

STEPS = 60  #: most is gained by then
SAMPLE = 10  #: photographs of each grade
STEP = 0.03  # of the norm: how far one goes, without momentum
PATCHES = 3  # a pass; each of the deepest needs 0.3 GB
TOGETHER = 32  # photographs that are read at a time


@dataclass(frozen=True)
class Sample:
    """A stratified sample of photographs."""

    images: np.ndarray  #: standardized, ``(n, channels, rows, columns)``
    names: Sequence[str]


def mean_photograph(pixels: np.ndarray, together: int = TOGETHER) -> np.ndarray:
    """Mean of prepared photographs, read a few at a time.

    Parameters
    ----------
    pixels : uint8 array, ``(n, rows, columns, 3)``
    together : int

    Returns
    -------
    float32 array, ``(3, rows, columns)``
        Standardized.
    """

    total = np.zeros(pixels.shape[1:], np.uint64)
    for first in range(0, len(pixels), together):
        total += pixels[first : first + together].sum(axis=0, dtype=np.uint64)
    return fundus.standardize(total / len(pixels)).astype(np.float32)


def sampled(photographs: store.Store, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The stratified sample: indices, and standardized pixels."""

    graded = np.flatnonzero(photographs.grades >= 0)
    if not len(graded):
        raise UserError("none of the photographs has a grade")
    chosen = graded[stratified(photographs.grades[graded], count)]
    return chosen, np.stack([fundus.standardize(photographs.pixels[index]) for index in chosen])


def uphill(network: PatchNetwork, features: np.ndarray, together: int) -> Callable[..., Any]:
    """For :func:`.ascent.ascend`: activations, and gradients of length one.

    Gradients of features differ by orders of magnitude, and grow on the way; so no
    feature's exemplar depends on which others there are.

    Parameters
    ----------
    network : cnnviz.feature_visualization.patch_network.PatchNetwork
    features : int array, ``(n,)``
    together : int
        Patches a pass.
    """

    evaluate = ascent.checked(network, features)

    def in_batches(values: np.ndarray, rows: np.ndarray, step: int) -> Any:
        activations, gradients = zip(
            *(
                evaluate(values[part], rows[part], step)
                for part in inputs.batches([values], together)
            )
        )
        return np.concatenate(activations), np.concatenate(gradients)

    return ascent.normalized(in_batches, 1.0)


def climb(
    network: PatchNetwork,
    patches: np.ndarray,
    features: np.ndarray,
    norm: float,
    steps: int,
    keep: Sequence[int],
) -> Any:
    """Ascend from a patch for every feature, on the sphere of a norm.

    Returns
    -------
    cnnviz.feature_visualization.ascent.Exemplars
    """

    rule = ascent.Rule(
        steps=steps, norm=norm, keep=tuple(keep), tolerance=None, step_size=STEP * norm
    ).checked()
    with tqdm(total=len(features) * (steps + 1), unit=" steps") as bar:
        result = ascent.ascend(uphill(network, features, PATCHES), patches, rule, bar=bar)
    return ascent.joined([result], features)


def of_layer(
    network: PatchNetwork, sample: Sample, mean: np.ndarray, features: Sequence[int], steps: int
) -> list[Exemplar]:
    """Exemplars of features of a layer from all starts.

    Parameters
    ----------
    network : cnnviz.feature_visualization.patch_network.PatchNetwork
    sample : Sample
    mean : array, ``(channels, rows, columns)``
    features : list of int
    steps : int

    Returns
    -------
    list of cnnviz.experiments.exemplar_records.Exemplar
    """

    chosen, images = np.array(features), sample.images
    maxima = starting_points.start_maximum(network, images, chosen, 8)
    norm = float(np.sqrt((images**2).mean() * np.prod(network.shape)))
    patches = {
        "maximum": maxima.patches,
        "mean": starting_points.start_mean(network, mean, chosen),
        "noise": starting_points.start_noise(network, chosen),
    }
    starts = [ascent.rescaled(patches[name], norm) for name in STARTS]
    # The figures that show an ascent are about the first.
    keep = [kept_steps(steps), (), ()]
    climbs = [climb(network, start, chosen, norm, steps, kept) for start, kept in zip(starts, keep)]
    return [_exemplar(network, sample, maxima, starts, climbs, k) for k in range(len(chosen))]


def _exemplar(
    network: PatchNetwork,
    sample: Sample,
    maxima: Any,
    starts: list[np.ndarray],
    climbs: list[Any],
    k: int,
) -> Exemplar:
    """What is kept of one feature."""

    def rows(name: str) -> np.ndarray:
        return np.stack([getattr(each, name)[k] for each in climbs])

    return Exemplar(
        network.layer.name,
        int(climbs[0].features[k]),
        float(maxima.activations[k]),
        sample.names[maxima.images[k]],
        np.array(network.field),
        np.stack([start[k] for start in starts]),
        rows("patches"),
        rows("activations")[:, 0],
        rows("reached"),
        rows("activations"),
        climbs[0].kept,
        climbs[0].iterates[k],
    )


def wanted(roles: dict[str, PlayedRole]) -> dict[str, list[int]]:
    """Features by layer, each once: dict of lists."""
    by_layer: dict[str, set[int]] = {}
    for role in roles.values():
        by_layer.setdefault(role.layer, set()).add(role.feature)
    return {layer: sorted(features) for layer, features in sorted(by_layer.items())}


def write(
    photographs: Path, roles_file: Path, weights: str, steps: int, count: int, output: Path
) -> None:
    """Compute the exemplars that the figures show.

    Parameters
    ----------
    photographs : path
        Folder of prepared photographs.
    roles_file : path
        File of ``cnnviz table 4.1``: which features.
    weights : str
        See :func:`.defauw_network.built`.
    steps : int
        Of every ascent.
    count : int
        Photographs of each grade in the sample.
    output : path
        File of :class:`.exemplar_records.Exemplars`.
    """
    if steps < 1 or count < 1:
        raise UserError("--steps and --sample must be at least 1")
    roles = exemplar_records.read_roles(roles_file)
    shown, source = photograph_sources.read(photographs)
    network, said = defauw_network.built(weights)
    chosen, images = sampled(shown, count)
    sample = Sample(images, [shown.names[index] for index in chosen])
    mean = mean_photograph(shown.pixels)
    exemplars = []
    for name, features in wanted(roles).items():
        print(f"{name}: features {', '.join(map(str, features))}", flush=True)
        patches = patch_network(layers.find_layer(network, name))
        exemplars += of_layer(patches, sample, mean, features, steps)
    exemplar_records.save(
        output,
        exemplars,
        roles,
        {
            **source,
            **said,
            "roles": roles_file,
            "steps": steps,
            "step": STEP,
            "sample": len(chosen),
            "starts": STARTS,
        },
    )
    for each in exemplars:
        reached = (f"{value:.4g} from {start}" for start, value in zip(STARTS, each.reached))
        print(
            f"{each.layer}, feature {each.feature}: {each.data:.4g} on data; " + ", ".join(reached)
        )
