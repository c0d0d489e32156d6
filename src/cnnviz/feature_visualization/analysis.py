"""How far exemplars are from data: the hypothesis of thesis sections 4.4 and 6.

The thesis could not read its exemplars, and supposes that rectifiers are to
blame: nothing bounds what they answer, so the optimized input may leave the data
far behind.  Here the exemplars of a layer are made in three ways and measured:

plain
    gradient ascent as in the thesis, with nothing to hold the patch;
sphere
    the patch's norm held (eq. 3.1) at that of data, in steps of a fixed length,
    which a gradient that vanishes in saturated units does not stop;
regularized
    regularized activation maximization (:mod:`.regularization`), with the same norm and steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnnviz.feature_visualization.activation_maximization import maximize
from cnnviz.feature_visualization.analysis_records import (
    LEVELS,
    LayerStatistics,
    MethodStatistics,
    StoppedEarly,
)
from cnnviz.feature_visualization.ascent import Exemplars, Rule
from cnnviz.feature_visualization.measures import (
    DISTANCES,
    diversity,
    likeness,
    outside,
    root_mean_square,
    transfer_by_distance,
)
from cnnviz.feature_visualization.patch_network import patch_network
from cnnviz.feature_visualization.regularization import RULE as REGULARIZED_RULE
from cnnviz.feature_visualization.regularization import maximize_regularized
from cnnviz.feature_visualization.starting_points import start_maximum, start_mean, start_noise
from cnnviz.networks import inputs
from cnnviz.runtime.backend import T, function, lasagne
from cnnviz.runtime.errors import UserError

if TYPE_CHECKING:
    from lasagne.layers import Layer

    from cnnviz.feature_visualization.patch_network import PatchNetwork

__all__ = [
    "Data",
    "Settings",
    "data_of",
    "early_measures",
    "exemplars_of",
    "first_reaching",
    "kept_steps",
    "measures",
    "of_layer",
    "positive",
    "stratified",
    "unit_output",
]


class Data(NamedTuple):
    """A sample of the data set, and what is compared with it."""

    images: np.ndarray  #: ``(n, channels, rows, columns)``, standardized
    mean: np.ndarray  #: of the images, ``(channels, rows, columns)``
    low: float  #: smallest value
    high: float  #: largest value
    square: float  #: root mean square of all values


class Settings(NamedTuple):
    """How far ascents go, and how many there are."""

    steps: int = 1000  #: of plain ascent
    step_size: float = Rule().step_size
    #: Of regularized ascent, and on the sphere.
    regularized_steps: int = REGULARIZED_RULE.steps
    seeds: int = 3  #: of noise to start from; 2 at least


# --- Measures ---------------------------------------------------------------------


def stratified(labels: np.ndarray, count: int) -> np.ndarray:
    """A sample with up to ``count`` members of every class, evenly spaced.

    Parameters
    ----------
    labels : int array, ``(n,)``
        Negative ones are of no class.
    count : int

    Returns
    -------
    int array
        Indices in ascending order.

    Raises
    ------
    ValueError
        For a count below 1.
    """
    if count < 1:
        raise UserError(f"a sample needs one of each class at least, not {count}")
    labels = np.asarray(labels)
    chosen = []
    for label in np.unique(labels[labels >= 0]):
        members = np.flatnonzero(labels == label)
        places = np.linspace(0, len(members) - 1, min(count, len(members)))
        chosen.append(members[places.round().astype(int)])
    return np.sort(np.concatenate(chosen))


def data_of(images: np.ndarray) -> Data:
    """A sample with its mean, its range and its root mean square.

    Parameters
    ----------
    images : array, ``(n, channels, rows, columns)``

    Returns
    -------
    Data
    """
    return Data(
        images,
        images.mean(axis=0),
        float(images.min()),
        float(images.max()),
        float(root_mean_square(images[np.newaxis])[0]),
    )


def unit_output(layer: Layer) -> Callable[..., Any]:
    """What a layer's units make of a linear activation.

    Parameters
    ----------
    layer : lasagne.layers.Layer
        Such that :func:`patch_network` takes it.

    Returns
    -------
    function
        From an array to one of the same shape: the last non-linearity.
    """
    identity = lasagne.nonlinearities.identity
    for each_layer in reversed(lasagne.layers.get_all_layers(layer)):
        nonlinearity = getattr(each_layer, "nonlinearity", identity)
        if nonlinearity is not identity or isinstance(each_layer, lasagne.layers.Conv2DLayer):
            break
    values = T.vector("activations")
    compute = function([values], nonlinearity(values))
    return lambda array: compute(np.ravel(array).astype(values.dtype)).reshape(np.shape(array))


# --- The way up -------------------------------------------------------------------


def kept_steps(steps: int) -> Sequence[int]:
    """Steps to keep patches of: each of the first ten, then every eighth further on.

    Parameters
    ----------
    steps : int
        The last.

    Returns
    -------
    tuple of int
        From 0 to ``steps``.
    """
    kept = [0]
    while kept[-1] < steps:
        kept.append(min(kept[-1] + max(1, kept[-1] // 8), steps))
    return tuple(kept)


def first_reaching(activations: np.ndarray, levels: Sequence[float] | np.ndarray) -> np.ndarray:
    """Where activations first reach a level.

    Parameters
    ----------
    activations : array, ``(features, steps)``
        NaN after a feature's stop.
    levels : array, ``(features,)``

    Returns
    -------
    int array, ``(features,)``
        -1 where none does.
    """
    there = activations >= np.asarray(levels)[:, np.newaxis]
    return np.where(there.any(axis=1), there.argmax(axis=1), -1)


def early_measures(
    activations: Any, iterates: Any, kept: Any, start: Any, maxima: Any, levels: Any = LEVELS
) -> StoppedEarly:
    """How an ascent's iterates depart from its start (Figs. 4.23 and 4.24).

    Parameters
    ----------
    activations : array, ``(features, steps + 1)``
        NaN after a feature's stop.
    iterates : array, ``(features, kept, channels, rows, columns)``
    kept : int array, ``(kept,)``
        Steps that the iterates are of.
    start : array, ``(features, channels, rows, columns)``
    maxima : array, ``(features,)``
        Largest linear activation on data; NaN where it is not positive.
    levels : sequence of float
        Multiples of the maxima.

    Returns
    -------
    StoppedEarly
        Of the first kept iterates that activate a feature by as much.
    """
    activations = activations[:, kept]
    rows = np.arange(len(maxima))
    out = {"likeness": [], "reached": [], "patches": []}
    for level in levels:
        place = first_reaching(activations, level * maxima)
        never = place < 0
        patches = iterates[rows, place].copy()
        patches[never] = np.nan
        out["patches"].append(patches)
        out["likeness"].append(likeness(patches, start))
        out["reached"].append(np.where(never, np.nan, activations[rows, place]))
    return StoppedEarly(**{name: np.stack(values) for name, values in out.items()})


# --- Exemplars --------------------------------------------------------------------


def exemplars_of(
    network: PatchNetwork,
    data: Data,
    strongest: np.ndarray,
    features: Sequence[int],
    settings: Settings,
    progress: bool = False,
) -> dict[str, Exemplars]:
    """Exemplars of a layer in three ways, from several starting points.

    Parameters
    ----------
    network : PatchNetwork
    data : Data
    strongest : array, ``(features, channels, rows, columns)``
        What activates the features most in the sample.
    features : sequence of int
    settings : Settings
    progress : bool
        Show progress bars.

    Returns
    -------
    dict
        From each of :data:`METHODS` to a :class:`Exemplars`
        of all features from one start, then from the next.  Plain and on the
        sphere: from the strongest patch, from the mean image, and from the
        noise of each seed; plain ones have iterates.  Regularized: each seed.
    """
    norm = data.square * np.sqrt(np.prod(network.shape))
    starts = np.concatenate(
        [
            strongest,
            start_mean(network, data.mean, features),
            *(start_noise(network, features, seed) for seed in range(settings.seeds)),
        ]
    )
    rows = np.tile(features, len(starts) // len(features))
    free = Rule(settings.steps, settings.step_size, keep=kept_steps(settings.steps))
    held = REGULARIZED_RULE._replace(steps=settings.regularized_steps, norm=norm)
    seeds = [
        maximize_regularized(network, features, seed, held, progress=progress)
        for seed in range(settings.seeds)
    ]
    return {
        "plain": maximize(network, starts, rows, free, progress=progress),
        "sphere": maximize(network, starts, rows, held, progress=progress, unit_gradients=True),
        "regularized": Exemplars(*map(np.concatenate, zip(*seeds))),
    }


def measures(
    network: PatchNetwork, data: Data, strongest: np.ndarray, exemplars: Exemplars, seeds: int
) -> dict[str, np.ndarray]:
    """Measures of exemplars that one method made.

    Parameters
    ----------
    network : PatchNetwork
    data : Data
    strongest : array, ``(features, channels, rows, columns)``
    exemplars : Exemplars
        Of all features from one start, then from the next: ``runs`` in all.
    seeds : int
        The last ``seeds`` runs differ in their noise alone.

    Returns
    -------
    dict of arrays
        ``reached``, ``square`` (root mean square, over that of data),
        ``outside`` and ``likeness`` to the strongest patch, ``(runs,
        features)``; ``transfer``, ``(distances, runs, features)``;
        ``diversity`` of the seeds, ``(features,)``.
    """
    count = len(strongest)
    others = np.tile(strongest, (len(exemplars.patches) // count, 1, 1, 1))
    values = {
        "reached": exemplars.reached,
        "square": root_mean_square(exemplars.patches) / data.square,
        "outside": outside(exemplars.patches, data.low, data.high),
        "likeness": likeness(exemplars.patches, others),
    }
    transfer = transfer_by_distance(network, exemplars.patches, exemplars.features)
    runs = exemplars.patches.reshape(-1, *strongest.shape)
    return {
        **{name: each.reshape(-1, count) for name, each in values.items()},
        "transfer": transfer.reshape(len(DISTANCES), -1, count),
        "diversity": diversity(runs[-seeds:]),
    }


def of_layer(
    layer: Layer,
    data: Data,
    features: Sequence[int] | None = None,
    settings: Settings | None = None,
    progress: bool = False,
) -> LayerStatistics:
    """Everything that is measured of a layer's exemplars.

    Parameters
    ----------
    layer : lasagne.layers.Layer
    data : Data
    features : sequence of int, optional
        All features when None.
    settings : Settings
    progress : bool
        Show progress bars.

    Returns
    -------
    LayerStatistics

    Raises
    ------
    ValueError
        For fewer than two seeds, or as :func:`maximize`.
    """
    settings = settings or Settings()
    network = patch_network(layer)
    features = inputs.check_features(layer, features)
    maxima = start_maximum(network, data.images, features, 8, progress)
    made = exemplars_of(network, data, maxima.patches, features, settings, progress)
    output = unit_output(layer)
    methods = {
        name: _statistics(network, data, maxima.patches, found, settings.seeds, output)
        for name, found in made.items()
    }
    early = early_measures(
        made["plain"].activations[: len(features)],
        made["plain"].iterates[: len(features)],
        made["plain"].kept,
        maxima.patches,
        positive(maxima.activations),
    )
    return LayerStatistics(
        methods,
        early,
        np.array(features),
        maxima.activations,
        output(maxima.activations),
        maxima.patches,
    )


def _statistics(
    network: PatchNetwork,
    data: Data,
    strongest: np.ndarray,
    exemplars: Exemplars,
    seeds: int,
    output: Callable[..., Any],
) -> MethodStatistics:
    """Measures of what one method found, with its patches."""
    each = measures(network, data, strongest, exemplars, seeds)
    patches = exemplars.patches.reshape(-1, *strongest.shape)
    return MethodStatistics(output=output(each["reached"]), patches=patches, **each)


def positive(values: np.ndarray) -> np.ndarray:
    """Values with NaN in the place of those that are not positive."""
    return np.where(np.asarray(values) > 0, values, np.nan)
