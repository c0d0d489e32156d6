"""Exemplars by activation maximization (thesis sections 3.1.1, 4.4 and 5.3).

The exemplar of a feature is an input that activates it strongly.  In a
convolutional layer the neurons of a feature share their filter, so one of them
is maximized, by gradient ascent on a patch as large as its receptive field.
"""

import copy
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from cnnviz.attribution.receptive_field import receptive_field, window_geometry
from cnnviz.networks.inputs import (
    as_arrays,
    batches,
    check_features,
    check_maps,
    check_whole,
    input_variables,
    precision,
)
from cnnviz.runtime.backend import T, function, lasagne
from cnnviz.runtime.errors import UserError

__all__ = [
    "PatchNetwork",
    "patch_network",
    "STARTS",
    "Maxima",
    "start_maximum",
    "start_mean",
    "start_noise",
    "starting_points",
    "Rule",
    "Climb",
    "nesterov",
    "ascend",
    "rescaled",
    "Exemplars",
    "checked",
    "joined",
    "maximize",
]

STARTS = ("maximum", "mean", "noise")
BATCH_SIZE = 16  # features; patches of De Fauw's last layer are whole images


class PatchNetwork(NamedTuple):
    """What one neuron of every feature computes from its receptive field."""

    layer: lasagne.layers.Layer  #: the layer of the user's network
    neuron: tuple  #: row and column in the feature map
    box: tuple  #: pixels seen: first row, first column, end row, end column
    field: tuple  #: rows, columns of the receptive field, not clipped
    stride: tuple  #: pixels between the boxes of neighbouring neurons
    shape: tuple  #: of a patch: channels, rows, columns
    maps: Callable  #: images to linear activations ``(n, features, rows, columns)``
    evaluate: Callable  #: patches ``(n, *shape)``, features ``(n,)`` to (activations,
    #: gradients), ``(n,)`` and ``(n, *shape)``


def patch_network(layer, neuron=None):
    """Compile the network below one neuron of each feature of a layer.

    The activation is linear: the last non-linearity is left out.  For a
    pooling layer that is the pooled activation of the last convolution before
    its non-linearity.  The network is deterministic, and biases of one
    position each are those of the neuron's own positions.

    A receptive field that crosses the border is clipped: the patch is the part
    inside the image, and every layer pads as the whole network does there.
    The first neuron, (0, 0), sees the top left part of its field.

    Parameters
    ----------
    layer : lasagne.layers.Layer
        Feature maps above one input of fixed size, by convolution, pooling,
        feature pooling, dropout and element-wise layers.
    neuron : (row, column), optional
        In the feature map; the central one, (rows // 2, columns // 2), when
        None.

    Returns
    -------
    PatchNetwork
        It follows later changes of the network's parameters.

    Raises
    ------
    ValueError
        For a layer without feature maps, a layer on the way that is none of
        these, a neuron outside the map, or a patch that does not give what
        the whole network gives.
    """
    check_maps(layer)
    chain = _linear_chain(layer)
    neuron = _check_neuron(layer, neuron)
    field = receptive_field(layer)
    windows, seen = _windows(chain, neuron)
    (top, bottom), (left, right) = seen
    network = PatchNetwork(
        layer,
        neuron,
        (top, left, bottom, right),
        field.size,
        field.stride,
        (chain[0].input_shape[1], bottom - top, right - left),
        _compile_maps(layer, chain),
        _compile_evaluate(layer, windows, (bottom - top, right - left)),
    )
    _check_reproduction(network)
    return network


def _linear_chain(layer):
    """Copies of the layers above the input, without the last non-linearity.

    Copies, so that the user's network stays as it is.
    """
    source, *above = lasagne.layers.get_all_layers(layer)
    for each in above:
        if isinstance(each, lasagne.layers.MergeLayer):
            raise UserError(
                f"layer '{each.name or type(each).__name__}' joins several "
                "inputs; exemplars are of layers above a single one"
            )
    if None in source.output_shape[1:]:
        raise UserError(
            f"input '{source.name}' has shape {source.output_shape}; "
            "exemplars need one of fixed size"
        )
    chain = [_resized(each, each.input_shape) for each in above]
    if not chain:
        raise UserError(f"layer '{layer.name}' is an input and has no exemplars")
    _leave_out_nonlinearity(chain)
    return chain


def _resized(layer, input_shape):
    resized = copy.copy(layer)
    # Any number of images, whatever the network was built for.
    resized.input_shape = (None, *input_shape[1:])
    return resized


def _leave_out_nonlinearity(chain):
    """Make the last non-linearity linear; none lies below the last convolution."""
    identity = lasagne.nonlinearities.identity
    for layer in reversed(chain):
        if getattr(layer, "nonlinearity", identity) is not identity:
            layer.nonlinearity = identity
            return
        if isinstance(layer, lasagne.layers.Conv2DLayer):
            return


def _check_neuron(layer, neuron):
    shape = layer.output_shape[2:]
    if neuron is None:
        return tuple(size // 2 for size in shape)
    neuron = tuple(check_whole("a neuron's row or column", place, None) for place in neuron)
    if len(neuron) != 2 or not all(0 <= k < n for k, n in zip(neuron, shape)):
        last = tuple(size - 1 for size in shape)
        raise UserError(f"layer '{layer.name}' has neurons (0, 0) to {last}, not {neuron}")
    return neuron


class _Window(NamedTuple):
    """Part of a layer's map that the neuron depends on."""

    layer: lasagne.layers.Layer
    places: tuple  # (first, end) rows and columns of the layer's own map
    padding: tuple  # (before, after) along rows and columns of the map below


def _below(places, size, stride, pad):
    """Span of the map below that a span of neurons sees, padding included."""
    first, end = places
    return first * stride - pad, (end - 1) * stride - pad + size


def _windows(chain, neuron):
    """Window of each layer, first to last, and the pixels seen, (first, end) twice."""
    places = tuple((place, place + 1) for place in neuron)
    windows = []
    for layer in reversed(chain):
        geometry = window_geometry(layer) or ((1, 1), (1, 1), (0, 0))
        wanted = tuple(map(_below, places, *geometry))
        seen = tuple(
            (max(first, 0), min(end, size))
            for (first, end), size in zip(wanted, layer.input_shape[2:])
        )
        if any(end <= first for first, end in seen):
            raise UserError(f"neuron {neuron} sees nothing of the image, only padding")
        padding = tuple(
            (start - first, end - stop) for (first, end), (start, stop) in zip(wanted, seen)
        )
        windows.insert(0, _Window(layer, places, padding))
        places = seen
    return windows, places


def _padded(x, padding, fill):
    """Pad rows and columns; Lasagne's own function knows one precision only."""
    sizes = [x.shape[2 + k] + before + after for k, (before, after) in enumerate(padding)]
    # The fill has the type of x, which may differ from Theano's floatX.
    frame = T.alloc(np.asarray(fill, x.dtype), x.shape[0], x.shape[1], *sizes)
    (top, _), (left, _) = padding
    inside = frame[:, :, top : top + x.shape[2], left : left + x.shape[3]]
    return T.set_subtensor(inside, x)


def _fill(layer):
    """What a layer pads with: nothing is ever smaller than a maximum's padding."""
    return -np.inf if getattr(layer, "mode", None) == "max" else 0


def _cut_to(window, shape):
    """A layer that computes one window of its map, from all that it needs."""
    layer = _resized(window.layer, (None, window.layer.input_shape[1], *shape))
    (top, bottom), (left, right) = window.places
    if hasattr(layer, "pad"):
        layer.pad = (0, 0)
    if hasattr(layer, "ignore_border"):
        layer.ignore_border = True  # the last window is padded to its full size
    if getattr(layer, "untie_biases", False) and layer.b is not None:
        layer.b = layer.b[:, top:bottom, left:right]
    return layer


def _patch_maps(windows, patches, shape):
    """Activations of the neuron, ``(n, features, 1, 1)``."""
    x = patches
    for window in windows:
        shape = [size + before + after for size, (before, after) in zip(shape, window.padding)]
        if np.any(window.padding):
            x = _padded(x, window.padding, _fill(window.layer))
        x = _cut_to(window, shape).get_output_for(x, deterministic=True)
        shape = [end - first for first, end in window.places]
    return x


def _compile_evaluate(layer, windows, shape):
    _, (patches,) = input_variables(layer)
    features = T.ivector("features")
    maps = _patch_maps(windows, patches, shape)
    activations = maps[T.arange(features.shape[0]), features, 0, 0]
    compute = function([patches, features], [activations, T.grad(activations.sum(), patches)])
    dtype = precision(layer)
    return lambda patches, features: compute(
        np.asarray(patches, dtype), np.asarray(features, np.int32)
    )


def _compile_maps(layer, chain):
    _, (images,) = input_variables(layer)
    maps = images
    for each in chain:
        maps = each.get_output_for(maps, deterministic=True)
    return function([images], maps)


def _check_reproduction(network):
    """One random image through the patch's network and through the whole one."""
    shape = (1, *lasagne.layers.get_all_layers(network.layer)[0].output_shape[1:])
    image = np.random.RandomState(0).randn(*shape).astype(precision(network.layer))
    top, left, bottom, right = network.box
    maps = network.maps(image)[0]
    # Four features tell as much as all, at less memory.
    features = np.unique(np.linspace(0, len(maps) - 1, 4).astype(int))
    patches = np.repeat(image[:, :, top:bottom, left:right], len(features), axis=0)
    found, _ = network.evaluate(patches, features)
    expected = maps[(features, *network.neuron)]
    if not np.allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(maps).max()):
        raise UserError(
            f"layer '{network.layer.name}': neuron {network.neuron} computes something "
            "else from its receptive field than in the whole network; a layer below "
            "it is not the convolution or pooling that its attributes say"
        )


class Maxima(NamedTuple):
    """The most strongly activating neuron of each feature, and what it saw."""

    patches: np.ndarray  #: ``(features, channels, rows, columns)``
    images: np.ndarray  #: ``(features,)``, index in the sample
    neurons: np.ndarray  #: ``(features, 2)``, row and column in the map
    activations: np.ndarray  #: ``(features,)``, linear


def start_maximum(network, images, features=None, batch_size=32, progress=False):
    """Start at what most strongly activates a feature in a sample (section 4.4).

    Parameters
    ----------
    network : PatchNetwork
    images : array, ``(n, channels, rows, columns)``
        A stratified sample; read in batches, so it may be a memory map.
    features : int or sequence of int, optional
        All features when None.
    batch_size : int
        Images a pass; does not change the result.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Maxima
        Of the linear activation; the first of equal ones.  A patch is zero,
        the mean of standardized images, where it crosses the border.  It
        covers the same part of the receptive field as the patches of
        ``network``.

    Raises
    ------
    ValueError
        For a feature that the layer lacks, or images of the wrong shape, not
        finite or none at all.
    """
    features = check_features(network.layer, features)
    if not len(images):
        raise UserError("no images were given")
    found = np.full(len(features), -np.inf)
    places = np.zeros((len(features), 3), int)  # image, row, column
    for part in tqdm(list(batches([images], batch_size)), unit=" batches", disable=not progress):
        (array,) = as_arrays(network.layer, np.array(images[part]))
        values, within = _strongest(network.maps(array)[:, features])
        better = values > found
        found[better] = values[better]
        places[better] = within[better] + (part.start, 0, 0)
    patches = np.stack([_seen(network, images[place[0]], place[1:]) for place in places])
    return Maxima(patches, places[:, 0], places[:, 1:], found)


def _strongest(maps):
    """Value and (image, row, column) of each feature's maximum."""
    maps = np.moveaxis(maps, 1, 0)
    flat = maps.reshape(len(maps), -1)
    places = np.stack(np.unravel_index(flat.argmax(axis=1), maps.shape[1:]), axis=1)
    return flat.max(axis=1), places


def _seen(network, image, neuron):
    """What a neuron sees of an image, zero outside of it."""
    patch = np.zeros(network.shape, precision(network.layer))
    within, places = [], []
    for k in range(2):
        shift = network.stride[k] * (neuron[k] - network.neuron[k])
        place = network.box[k] + shift + np.arange(network.shape[1 + k])
        inside = (place >= 0) & (place < image.shape[1 + k])
        within.append(np.flatnonzero(inside))
        places.append(place[inside])
    channels = np.arange(len(image))
    patch[np.ix_(channels, *within)] = np.asarray(image)[np.ix_(channels, *places)]
    return patch


def start_mean(network, image, features=None):
    """Start at the mean image, at the neuron's own place (section 4.4).

    Parameters
    ----------
    network : PatchNetwork
    image : array, ``(channels, rows, columns)``
        Mean of the data set, standardized as the network's input is.
    features : int or sequence of int, optional
        All features when None.

    Returns
    -------
    array, ``(features, channels, rows, columns)``
        The same patch for every feature.

    Raises
    ------
    ValueError
        For a feature that the layer lacks, or an image of another shape or
        not finite.
    """
    features = check_features(network.layer, features)
    (array,) = as_arrays(network.layer, np.asarray(image)[np.newaxis])
    return np.repeat(_seen(network, array[0], network.neuron)[np.newaxis], len(features), axis=0)


def start_noise(network, features=None, seed=0):
    """Start at Gaussian noise of mean 0 and standard deviation 1 (section 4.4).

    Parameters
    ----------
    network : PatchNetwork
    features : int or sequence of int, optional
        All features when None.
    seed : int
        A feature's noise depends on it and on the feature alone.

    Returns
    -------
    array, ``(features, channels, rows, columns)``

    Raises
    ------
    ValueError
        For a feature that the layer lacks, or a negative seed.
    """
    features = check_features(network.layer, features)
    noise = [np.random.RandomState([seed, feature]).randn(*network.shape) for feature in features]
    return np.stack(noise).astype(precision(network.layer))


def starting_points(network, start, features=None, images=None, mean=None, seed=0):
    """Patches to start from, by the name of the thesis's method (section 4.4).

    Parameters
    ----------
    network : PatchNetwork
    start : {"maximum", "mean", "noise"}
    features : int or sequence of int, optional
        All features when None.
    images : array, ``(n, channels, rows, columns)``
        For "maximum": see :func:`start_maximum`.
    mean : array, ``(channels, rows, columns)``
        For "mean": see :func:`start_mean`.
    seed : int
        For "noise": see :func:`start_noise`.

    Returns
    -------
    array, ``(features, channels, rows, columns)``

    Raises
    ------
    ValueError
        For an unknown start, or one without what it starts from.
    """
    if start not in STARTS:
        raise UserError(f"unknown start '{start}'; choose one of " + ", ".join(STARTS))
    if start == "noise":
        return start_noise(network, features, seed)
    if start == "maximum" and images is None or start == "mean" and mean is None:
        needed = {"maximum": "images", "mean": "the mean image"}[start]
        raise UserError(f"start '{start}' needs {needed}")
    if start == "maximum":
        return start_maximum(network, images, features).patches
    return start_mean(network, mean, features)


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
    norm: float = None
    keep: tuple = ()  #: steps to keep the patches of (Figs. 4.23, 4.24); 0: start
    #: A feature stops once the best of its last ``patience`` activations exceeds the
    #: best before by no more than this share of the latter's size.  None: never.
    tolerance: float | None = 1e-4
    patience: int = 100  #: steps

    def checked(self):
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


def nesterov(values, velocity, gradients, step_size, momentum=0.9):
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


def rescaled(values, norm, lengths=None):
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

    def __init__(self, values, rule):
        self.rule = rule
        self.values, self.best = values.copy(), values.copy()
        self.velocity = np.zeros_like(values)
        self.activations = np.full((len(values), rule.steps + 1), np.nan)
        self.iterates = np.full(
            (len(values), len(rule.keep), *values.shape[1:]), np.nan, values.dtype
        )
        self.active = np.arange(len(values))

    def record(self, step, activations):
        """Note the activations of the active rows at a step."""
        active = self.active
        before = self.activations[active, :step].max(axis=1, initial=-np.inf)
        self.activations[active, step] = activations
        better = active[activations > before]
        self.best[better] = self.values[better]
        for k, kept in enumerate(self.rule.keep):
            if kept == step:
                self.iterates[active, k] = self.values[active]

    def going(self, step):
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

    def move(self, gradients, project):
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


def ascend(evaluate, start, rule, project=None, bar=None):
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


def maximize(network, patches, features=None, rule=Rule(), batch_size=BATCH_SIZE, progress=False):
    """Exemplars of features by gradient ascent (eq. 3.1, sections 4.4 and 5.3).

    Parameters
    ----------
    network : PatchNetwork
    patches : array, ``(features, channels, rows, columns)``
        To start from, a row for each feature.
    features : int or sequence of int, optional
        All features when None.
    rule : Rule
        Steps, norm, what is kept, when to stop.
    batch_size : int
        Features a pass; does not change the result.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Exemplars
        ``patches`` are those of the step with the largest activation, which
        is the last one unless the ascent overshoots.

    Raises
    ------
    ValueError
        For a feature that the layer lacks, patches of the wrong shape or not
        finite, an impossible rule, or an activation that is not finite, as a
        step too large leads to.
    """
    features = np.array(check_features(network.layer, features))
    patches = _check_patches(network, patches, features)
    rule = rule.checked()
    climbs = []
    with tqdm(total=len(features) * (rule.steps + 1), unit=" steps", disable=not progress) as bar:
        for part in batches([features], batch_size):
            evaluate = checked(network, features[part])
            climbs.append(ascend(evaluate, patches[part], rule, bar=bar))
    return joined(climbs, features)


def joined(climbs, features):
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


def _check_patches(network, patches, features):
    patches = np.asarray(patches, precision(network.layer))
    expected = (len(features), *network.shape)
    if patches.shape != expected:
        raise UserError(f"patches to start from have shape {expected}, not {patches.shape}")
    if not np.isfinite(patches).all():
        raise UserError("the patches hold values that are not finite")
    return patches


def checked(network, features):
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
