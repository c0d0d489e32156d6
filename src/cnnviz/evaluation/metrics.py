"""Measures of whether saliency maps are right, and of how far methods agree.

The thesis has no method to evaluate its visualizations objectively, as its
section 6.1 says.  Four kinds of evidence are measured here:

* where the truth is known, whether the map lies on it: :func:`pointing_game`,
  :func:`relevance_mass`, :func:`relevance_rank`, each against
  :func:`area_share`, which is what chance gives;
* whether the network depends on the pixels it is said to depend on:
  :func:`deletion_insertion`;
* whether two methods say the same: :func:`rank_agreement`;
* whether the map depends on what the network has learned:
  :func:`cascading_randomization` and :func:`cascading_similarity`.

Maps are ``(n, rows, columns)``, one for each image, of one feature; every
measure has one number for each, NaN where it has no meaning.
:func:`bootstrap_interval` says how far a mean of them can be trusted.
"""

import contextlib
from typing import NamedTuple

import numpy as np
from scipy import integrate, ndimage, stats

from cnnviz.datasets.masks import marked
from cnnviz.runtime.backend import lasagne
from cnnviz.runtime.errors import UserError

__all__ = [
    "grown",
    "pointing_game",
    "relevance_mass",
    "relevance_rank",
    "area_share",
    "Curves",
    "deletion_insertion",
    "rank_agreement",
    "cascading_randomization",
    "Cascade",
    "cascading_similarity",
    "bootstrap_interval",
]

# Resamples drawn at a time: bounds the memory, does not change the result.
_RESAMPLES = 50


def _check_shape(array, name):
    if array.ndim != 3:
        raise UserError(f"{name} must be (n, rows, columns), not of shape {array.shape}")
    if not array.size:
        raise UserError(f"no {name} were given: their shape is {array.shape}")


def _check_finite(array, name):
    if not np.isfinite(array).all():
        raise UserError(f"{name} hold values that are not finite")


def _check_agree(shape, name, expected, other="maps"):
    if shape != expected:
        raise UserError(f"{name} have shape {shape} and {other} {expected}; they must agree")


def _as_maps(maps, name="maps"):
    maps = np.asarray(maps, np.float64)
    _check_shape(maps, name)
    _check_finite(maps, name)
    return maps


def _as_masks(masks, name="masks"):
    masks = marked(masks, name)
    _check_shape(masks, name)
    return masks


def _as_region(region, shape):
    """Masks of what counts, ``shape``; a single one serves every map."""
    if region is None:
        return np.ones(shape, bool)
    region = marked(region, "regions")
    if region.ndim == 2:
        region = np.broadcast_to(region, (shape[0], *region.shape))
    region = _as_masks(region, "regions")
    _check_agree(region.shape, "regions", shape)
    return region


def grown(mask, tolerance):
    """Pixels near a mask, as :func:`pointing_game` counts them.

    Parameters
    ----------
    mask : array of bool or whole numbers, ``(rows, columns)``
        Any number above 0 marks a pixel, as in all masks and regions here.
    tolerance : float
        Pixels, in a straight line.

    Returns
    -------
    bool array, ``(rows, columns)``
    """
    mask = marked(mask)
    if not mask.any():  # the distance transform would measure from the border
        return mask
    return ndimage.distance_transform_edt(~mask) <= tolerance


def _targets(masks, region, tolerance):
    """Masks to hit and regions that count, from the arguments of the measures."""
    if not tolerance >= 0:
        raise UserError(f"tolerance must be at least 0, not {tolerance}")
    masks = _as_masks(masks)
    region = _as_region(region, masks.shape)
    targets = np.stack([grown(mask, tolerance) for mask in masks & region])
    return targets & region, region


def _per_map(measure, maps, masks, region=None, tolerance=0):
    """A measure of saliency and mask, ``(pixels,)`` each, of every map's region."""
    maps = _as_maps(maps)
    masks, region = _targets(masks, region, tolerance)
    _check_agree(masks.shape, "masks", maps.shape)
    return np.array(
        [measure(values[inside], mask[inside]) for values, mask, inside in zip(maps, masks, region)]
    )


def pointing_game(maps, masks, tolerance=0, region=None):
    """Whether a map's maximum lies on the mask (Zhang et al. 2016).

    Parameters
    ----------
    maps : array, ``(n, rows, columns)``
    masks : bool array, ``(n, rows, columns)``
        Where the maximum belongs.
    tolerance : float
        Pixels: a maximum this far from the mask, in a straight line, still
        hits it.  Zhang et al. allow 15 in photographs of some 500 pixels.
    region : bool array, ``(rows, columns)`` or ``(n, rows, columns)``, optional
        What counts: a receptive field, or a photograph's field of view.
        Neither map nor mask is looked at outside it.

    Returns
    -------
    float array, ``(n,)``
        1 for a hit and 0 for a miss; of several equal maxima the share that
        hits.  NaN where the mask is empty or the map constant.
        ``area_share(masks, region, tolerance)`` is what chance gives.

    Raises
    ------
    ValueError
        For maps and masks of different shape, none at all, maps that are not
        finite, masks that are not bool, or a negative tolerance.

    References
    ----------
    Zhang, Lin, Brandt, Shen, Sclaroff: Top-down neural attention by
    excitation backprop, ECCV 2016.
    """
    return _per_map(_pointed, maps, masks, region, tolerance)


def _pointed(values, mask):
    if not mask.any() or values.min() == values.max():
        return np.nan
    return mask[values == values.max()].mean()


def relevance_mass(maps, masks, region=None):
    """Share of the positive saliency that lies on the mask (Arras et al. 2022).

    Parameters
    ----------
    maps : array, ``(n, rows, columns)``
        Negative saliency does not count.
    masks : bool array, ``(n, rows, columns)``
    region : bool array, ``(rows, columns)`` or ``(n, rows, columns)``, optional
        What counts, as for :func:`pointing_game`.

    Returns
    -------
    float array, ``(n,)``
        0 to 1.  NaN where the mask is empty or the map nowhere positive.
        ``area_share(masks, region)`` is what chance gives.

    Raises
    ------
    ValueError
        For maps and masks of different shape, none at all, maps that are not
        finite, or masks that are not bool.

    References
    ----------
    Arras, Osman, Samek: CLEVR-XAI: a benchmark dataset for the ground truth
    evaluation of neural network explanations, Information Fusion 81, 2022;
    their *relevance mass accuracy*.
    """
    return _per_map(_mass, maps, masks, region)


def _mass(values, mask):
    positive = np.maximum(values, 0)
    if not mask.any() or not positive.any():
        return np.nan
    # Scaled first, since sums of the smallest or largest numbers do not fit.
    positive = positive / positive.max()
    return positive[mask].sum() / positive.sum()


def relevance_rank(maps, masks, region=None):
    """Share of the K most salient pixels that lie on a mask of K pixels.

    Parameters as for :func:`relevance_mass`; the sign of the saliency counts.

    Returns
    -------
    float array, ``(n,)``
        0 to 1.  Where pixels tie for the last places of the K, the mean over
        every order of theirs.  NaN where the mask is empty or the map
        constant.  ``area_share(masks, region)`` is what chance gives.

    Raises
    ------
    ValueError
        As :func:`relevance_mass`.

    References
    ----------
    Arras, Osman, Samek, Information Fusion 81, 2022; their *relevance rank
    accuracy*.
    """
    return _per_map(_rank, maps, masks, region)


def _rank(values, mask):
    if not mask.any() or values.min() == values.max():
        return np.nan
    count = mask.sum()
    last = np.partition(values, -count)[-count]
    above, tied = values > last, values == last
    hits = (mask & above).sum() + (count - above.sum()) * mask[tied].mean()
    return hits / count


def area_share(masks, region=None, tolerance=0):
    """Share of the pixels that lie on the mask: what saliency by chance scores.

    That is what :func:`pointing_game`, :func:`relevance_mass` and
    :func:`relevance_rank` give on average over every rearrangement of a map's
    pixels.

    Parameters
    ----------
    masks : bool array, ``(n, rows, columns)``
    region : bool array, ``(rows, columns)`` or ``(n, rows, columns)``, optional
        What counts, as for :func:`pointing_game`.
    tolerance : float
        Pixels, that of :func:`pointing_game`.

    Returns
    -------
    float array, ``(n,)``
        0 to 1.  NaN where the mask is empty, as the measures are, so that
        means over images are means over the same ones.

    Raises
    ------
    ValueError
        For no masks, masks that are not bool, a region of another shape, or
        a negative tolerance.
    """
    masks, region = _targets(masks, region, tolerance)
    on, counted = masks.sum(axis=(1, 2)), region.sum(axis=(1, 2))
    return np.where(on > 0, on / np.maximum(counted, 1), np.nan)


class Curves(NamedTuple):
    """Scores of images while their pixels go or come, most salient first."""

    fractions: np.ndarray  #: ``(steps + 1,)``, share of the pixels changed, 0 to 1
    deletion: np.ndarray  #: ``(n, steps + 1)``, from the image to the fill
    insertion: np.ndarray  #: ``(n, steps + 1)``, from the fill to the image
    deletion_area: np.ndarray  #: ``(n,)``, normalized; the lower the better
    insertion_area: np.ndarray  #: ``(n,)``, normalized; the higher the better


def deletion_insertion(score, images, maps, fill=0, steps=100):
    """Deletion and insertion curves of saliency maps (Petsiuk et al. 2018).

    Deletion replaces an image's pixels by the fill, insertion puts them back
    into an image that is all fill, both in order of decreasing saliency, all
    channels of a pixel together.  Pixels of equal saliency go in reading
    order, row by row from the top left, so that results are the same in every
    run; maps with large even parts are measured by that order there.

    Parameters
    ----------
    score : function
        From images ``(n, channels, rows, columns)`` to numbers ``(n,)``.  It is
        given the n images, changed, in the order of ``images``, so it may hold
        other inputs of the network for them; ``2 * (steps + 1)`` times.
    images : floating point array, ``(n, channels, rows, columns)``
    maps : array, ``(n, rows, columns)``
    fill : float or array
        Anything that broadcasts to ``images``: 0 is the mean in standardized
        images, a mean image is ``(channels, rows, columns)``.  Petsiuk et al.
        delete to a constant but insert into the blurred image: call twice.
    steps : int
        Points of a curve besides its start; at each about the same number of
        pixels changes.

    Returns
    -------
    Curves
        Curves in the units of the score.  Areas are those under
        ``(curve - score of the fill) / (score of the image - score of the
        fill)`` by the trapezoidal rule, so that images compare: 1/2 for a
        straight line.  They are NaN where the image scores no higher than the
        fill, and huge where it scores hardly higher.

    Raises
    ------
    ValueError
        For maps and images of different shape, none at all, values or scores
        that are not finite, scores of the wrong shape, a fill that does not
        fit, or more steps than pixels.

    References
    ----------
    Petsiuk, Das, Saenko: RISE: randomized input sampling for explanation of
    black-box models, BMVC 2018.
    """
    maps = _as_maps(maps)
    images = _as_images(images, maps.shape)
    fill = _as_fill(fill, images)
    counts = _counts(steps, maps[0].size)
    ranks = _ranks(maps)
    deletion = _curve(score, images, fill, ranks, counts)
    insertion = _curve(score, fill, images, ranks, counts)
    fractions = counts / counts[-1]
    areas = [
        _area(curve, deletion[:, :1], deletion[:, -1:], fractions)
        for curve in (deletion, insertion)
    ]
    return Curves(fractions, deletion, insertion, *areas)


def _as_images(images, expected):
    images = np.asarray(images)
    if images.ndim != 4 or not np.issubdtype(images.dtype, np.floating):
        raise UserError(
            "images must be floating point, (n, channels, rows, columns), "
            f"not {images.dtype} of shape {images.shape}"
        )
    _check_agree((len(images), *images.shape[2:]), "images without channels", expected)
    _check_finite(images, "images")
    return images


def _as_fill(fill, images):
    fill = np.asarray(fill, images.dtype)
    _check_finite(fill, "fill")
    try:
        return np.broadcast_to(fill, images.shape)
    except ValueError:
        raise UserError(
            f"fill has shape {fill.shape}, which does not broadcast to "
            f"images of shape {images.shape}"
        ) from None


def _counts(steps, pixels):
    """Pixels changed at each point of a curve."""
    if not 1 <= steps <= pixels:
        raise UserError(f"steps must be 1 to {pixels}, the number of pixels, not {steps}")
    return np.linspace(0, pixels, steps + 1).round().astype(int)


def _ranks(maps):
    """Place of each pixel in the order of decreasing saliency, from 0."""
    order = np.argsort(-maps.reshape(len(maps), -1), axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(order.shape[1])[np.newaxis], axis=1)
    return ranks.reshape(maps.shape)


def _curve(score, start, end, ranks, counts):
    """Scores on the way from one batch of images to another, ``(n, points)``."""
    columns = []
    for count in counts:
        changed = (ranks < count)[:, np.newaxis]  # (n, 1, rows, columns)
        scores = np.asarray(score(np.where(changed, end, start)), np.float64)
        if scores.shape != (len(start),):
            raise UserError(f"score gave shape {scores.shape}, not {(len(start),)}")
        _check_finite(scores, "scores")
        columns.append(scores)
    return np.stack(columns, axis=1)


def _area(curve, full, empty, fractions):
    span = np.where(full > empty, full - empty, np.nan)
    return integrate.trapezoid((curve - empty) / span, fractions, axis=1)


def rank_agreement(maps_a, maps_b, region=None):
    """Rank correlation of two methods' maps, image by image (Spearman 1904).

    Parameters
    ----------
    maps_a, maps_b : array, ``(n, rows, columns)``
        Only the order of a map's values matters, so methods in different
        units compare.
    region : bool array, ``(rows, columns)`` or ``(n, rows, columns)``, optional
        Pixels to compare.  Maps of one neuron are zero outside its receptive
        field whatever the method: compare them inside it.

    Returns
    -------
    float array, ``(n,)``
        -1 to 1; equal values share their mean rank.  NaN where a map is
        constant in the region.

    Raises
    ------
    ValueError
        For maps of different shape, none at all, or values not finite.
    """
    maps_a, maps_b = _as_maps(maps_a), _as_maps(maps_b, "other maps")
    _check_agree(maps_b.shape, "other maps", maps_a.shape)
    region = _as_region(region, maps_a.shape)
    return np.array(
        [_spearman(a[inside], b[inside]) for a, b, inside in zip(maps_a, maps_b, region)]
    )


def _spearman(a, b):
    if not a.size or a.min() == a.max() or b.min() == b.max():
        return np.nan
    return stats.spearmanr(a, b).statistic


@contextlib.contextmanager
def cascading_randomization(network, names=None, seed=0):
    """Randomize a network's layers one by one, output first (Adebayo et al. 2018).

    A saliency map that stays the same shows the image, not what the network
    has learned.  ::

        with cascading_randomization(network) as steps:
            for name in steps:
                ...  # this layer and all above it are random here

    A layer's parameters are randomized by a random permutation of each, where
    Adebayo et al. draw new ones from the initializer.  Lasagne does not keep
    initializers, and a permutation keeps the distribution of the trained
    weights, hence roughly the scale of activations and gradients.  It leaves
    biases that are all alike, and single numbers, as they are.

    Parameters
    ----------
    network : lasagne.layers.Layer
        Output layer, or another, for the maps of its features.  Its parameters
        are changed in place, and are back when the block is left, however.
    names : str or sequence of str, optional
        Layers to randomize, always from the output down; all that have
        parameters when None.  With a single one it alone is random (Adebayo
        et al.'s *independent randomization*).
    seed : int
        Of the permutations; no other random generator is drawn from.

    Yields
    ------
    iterator of str
        Name of the layer just randomized, or its class where it has none.  A
        parameter that layers share is randomized with the topmost.

    Raises
    ------
    ValueError
        For a name that no layer with parameters has, or no such layer at all.

    References
    ----------
    Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim: Sanity checks for
    saliency maps, NeurIPS 2018.
    """
    layers = _downward(network, names)
    trained = {
        parameter: parameter.get_value() for layer in layers for parameter in layer.get_params()
    }
    steps = _randomized(layers, dict(trained), np.random.default_rng(seed))
    try:
        yield steps
    finally:
        steps.close()  # a step taken outside would not be undone
        for parameter, values in trained.items():
            parameter.set_value(values)


def _downward(network, names):
    """Layers with parameters, from the output down."""
    layers = [
        layer for layer in reversed(lasagne.layers.get_all_layers(network)) if layer.get_params()
    ]
    if not layers:
        raise UserError("the network has no layer with parameters")
    if names is None:
        return layers
    names = [names] if isinstance(names, str) else list(names)
    if not names:
        raise UserError("no names of layers were given; None stands for all of them")
    known = [layer.name for layer in layers if layer.name]
    for name in names:
        if name not in known:
            raise UserError(
                f"no layer '{name}' with parameters in this network; it has: " + ", ".join(known)
            )
    return [layer for layer in layers if layer.name in names]


def _randomized(layers, waiting, rng):
    """Randomize a layer and say its name, layer after layer."""
    for layer in layers:
        for parameter in layer.get_params():
            if parameter in waiting:
                values = waiting.pop(parameter)
                parameter.set_value(rng.permutation(values.ravel()).reshape(values.shape))
        yield layer.name or type(layer).__name__


class Cascade(NamedTuple):
    """Agreement of maps with the trained network's, layer by layer downward."""

    names: tuple  #: ``(layers,)``, from the output down
    agreement: np.ndarray  #: ``(layers, n)``, of :func:`rank_agreement`


def cascading_similarity(network, compute, names=None, seed=0, region=None):
    """How like the trained network's maps are to those of randomized ones.

    Parameters
    ----------
    network, names, seed
        As for :func:`cascading_randomization`.
    compute : function
        Without arguments, to maps ``(n, rows, columns)``.  It must use the
        parameters as they are at each call, as functions compiled once do
        (:func:`cnnviz.attribution.saliency.feature_gradient`).  Adebayo et al. compare
        signed maps, and absolute values as well: take those in here.
    region : bool array, optional
        As for :func:`rank_agreement`.

    Returns
    -------
    Cascade
        Near 0 from the first layers on for a method that shows what the
        network has learned.

    Raises
    ------
    ValueError
        As :func:`cascading_randomization` and :func:`rank_agreement`.
    """
    before = np.array(compute())  # a copy: some functions reuse their output
    with cascading_randomization(network, names, seed) as steps:
        rows = [(name, rank_agreement(before, compute(), region)) for name in steps]
    done, agreement = zip(*rows)
    return Cascade(done, np.stack(agreement))


def bootstrap_interval(values, statistic, seed=0, count=2000, level=0.95):
    """Percentile bootstrap interval of a statistic (Efron 1979).

    Parameters
    ----------
    values : array, ``(n, ...)``
        Rows are drawn with replacement, so what depends on each other, such
        as both eyes of a patient, belongs in one row.
    statistic : function
        From rows ``(n, ...)`` to a number; ``numpy.nanmean`` for measures that
        are NaN for some images.
    seed : int
    count : int
        Resamples.
    level : float
        Share of the resamples inside the interval.

    Returns
    -------
    low, high : float
        Resamples whose statistic is NaN do not count; NaN where all are.

    Raises
    ------
    ValueError
        For fewer than two rows or resamples, or a level outside (0, 1).
    """
    values = np.asarray(values)
    if values.ndim < 1 or len(values) < 2:
        raise UserError(f"two rows at least are needed, not shape {values.shape}")
    if count < 2 or not 0 < level < 1:
        raise UserError(f"count must be at least 2 and level in (0, 1), not {count} and {level}")
    # Of row numbers, since the library resamples plain numbers alone.
    drawn = stats.bootstrap(
        [np.arange(len(values))],
        lambda rows: statistic(values[rows]),
        vectorized=False,
        n_resamples=count,
        batch=_RESAMPLES,
        method="percentile",
        random_state=np.random.default_rng(seed),
    ).bootstrap_distribution
    low, high = np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
