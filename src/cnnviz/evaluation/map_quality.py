"""Are the maps right?  Every method on single features, measured (thesis section 6.1).

The thesis has no method to say whether one visualization is better than another.
Here the maps of one feature on one image, by every method, are held against

* masks of what the feature is about: :func:`localisation`;
* the network: what the feature's maximal neuron loses when the pixels go that a map
  calls important: :func:`curves`;
* each other: :func:`agreement`; and how much of the picture they mark:
  :func:`half_share`, :func:`separate_areas`;
* the same method's maps of a network whose layers are randomized: :func:`cascade`.

All but the last two of the maps are measured within what the maximal neuron sees.  The
measures themselves are those of :mod:`cnnviz.evaluation.metrics`.  Results are rows, dictionaries
with the keys of :data:`COLUMNS`.
"""

import itertools
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from cnnviz.attribution import activations, overlay
from cnnviz.attribution.activations import feature_maps
from cnnviz.attribution.deconvnet import Deconvnet, GuidedBackprop
from cnnviz.attribution.gradient import Gradient, LayersGradient
from cnnviz.attribution.interpolation import interpolated
from cnnviz.attribution.occluder import Occluder, centres
from cnnviz.attribution.occlusion import Occlusion
from cnnviz.attribution.receptive_field import receptive_field
from cnnviz.attribution.reductions import reduce_channels
from cnnviz.dissection import labels
from cnnviz.evaluation import die_concepts, metrics
from cnnviz.networks.layers import NeuronLayer

__all__ = [
    "METHODS",
    "THESIS",
    "CENTRE",
    "RANDOM",
    "COLUMNS",
    "LayerMethods",
    "signed",
    "magnitude",
    "all_methods",
    "Neuron",
    "maximal_neurons",
    "lifts",
    "is_about",
    "scores",
    "localisation",
    "agreement",
    "half_share",
    "separate_areas",
    "centred",
    "blurred",
    "curves",
    "Target",
    "Settings",
    "evaluate",
    "FixedNeuron",
    "cascade",
    "cascade_rows",
]

METHODS = ("gradient max", "gradient sum", "occlusion", "deconvnet", "guided")
THESIS = METHODS[:3]  #: those that it applies to features
#: What a map must beat: the middle of what the neuron sees, and pixels in any order.
CENTRE, RANDOM = "centre", "random"
COLUMNS = ("data", "layer", "concept", "feature", "image", "measure", "method", "other", "value")
SIGMA = 1.0  # pixels, as in the overlay

_LATTICE = 64  # pixels along a side, enough to compare whole pictures
_EVERYWHERE = np.ones((3, 3), bool)  # neighbours of a pixel
_WIDTH = 4  # standard deviations of the Gaussian at the centre, across what is seen


# --- Maps -------------------------------------------------------------------------


class LayerMethods:
    """Every method for one layer, compiled once.

    Parameters
    ----------
    layer : lasagne.layers.Layer
    evaluation : {"windows", "auto", "whole"}
        Of gradients and occlusion.

    Raises
    ------
    cnnviz.attribution.windowed.NotLocal
        For a layer that cannot be evaluated on windows, unless others may take over.
    """

    def __init__(self, layer, evaluation="windows"):
        self.layer, self._evaluation = layer, evaluation
        self._gradients = [
            Gradient(layer, target, evaluation=evaluation) for target in ("max", "sum")
        ]
        self._projections = [
            Deconvnet(layer, position="max"),
            GuidedBackprop(layer, position="max"),
        ]

    def occlusion(self, occluder):
        """Occlusion of the maximal neuron."""
        return Occlusion(
            self.layer,
            occluder.window,
            occluder.stride,
            occluder.baseline,
            evaluation=self._evaluation,
        )

    def maps(self, images, features, occluder):
        """Maps of features by every method, one method after the other.

        Parameters
        ----------
        images : array, ``(n, channels, rows, columns)``
        features : sequence of int
        occluder : Occluder
            Occlusion is interpolated between its positions.

        Yields
        ------
        array, ``(features, n, channels, rows, columns)``
            In the order of :data:`METHODS`; occlusion has one channel.  All but the
            gradient of the sum are of the maximal neuron.
        """
        for gradient in self._gradients:
            yield _features_first(gradient.attribute(images, features))
        lost = self.occlusion(occluder).attribute(images, features)
        yield interpolated(_features_first(lost))
        for projection in self._projections:
            yield _features_first(projection.attribute(images, features))


def _features_first(maps):
    """Maps ``(features, n, ...)``, laid out in this order: sums over them keep their bits."""
    return np.ascontiguousarray(np.swapaxes(maps, 0, 1))


def signed(raw):
    """The thesis's maps ``(..., rows, columns)``: the largest value of the channels."""
    return reduce_channels(raw)


def magnitude(raw):
    """The largest magnitude of the channels (Simonyan et al. 2014, section 3.1)."""
    return reduce_channels(raw, "abs_max")


def all_methods(layer, images, features, size, stride=1, reduce=signed):
    """Saliency by every method.

    Parameters
    ----------
    layer, images, features
        As for :class:`LayerMethods`.
    size, stride : int
        Of the occluder.
    reduce : function
        :func:`signed` or :func:`magnitude`.

    Returns
    -------
    array, ``(5, features, n, rows, columns)``
    """
    maps = LayerMethods(layer, "auto").maps(images, features, Occluder(size, stride))
    return np.stack([reduce(raw) for raw in maps])


# --- Neurons ----------------------------------------------------------------------


class Neuron(NamedTuple):
    """The maximal neuron of a feature on an image."""

    feature: int
    place: tuple  #: row and column in the map
    box: tuple  #: what it sees of the image: first row and column, end row and column


def maximal_neurons(layer, images, features):
    """The first maximal neuron of every feature on every image.

    Parameters
    ----------
    layer : lasagne.layers.Layer
    images : array, ``(n, channels, rows, columns)``
    features : sequence of int

    Returns
    -------
    list of n lists of Neuron
    """
    field, shape = receptive_field(layer), images.shape[2:]
    return [
        [_strongest(maps[feature], feature, field, shape) for feature in features]
        for maps in feature_maps(layer, images, batch_size=4)
    ]


def _strongest(values, feature, field, shape):
    row, column = map(int, activations.maximal_neurons(values))
    return Neuron(int(feature), (row, column), field.box(row, column, shape))


def _part(box):
    return slice(box[0], box[2]), slice(box[1], box[3])


# --- Choosing features ------------------------------------------------------------


def lifts(maps, masks):
    """How much more of each feature's saliency lies on concepts than by chance.

    Parameters
    ----------
    maps : array, ``(features, n, rows, columns)``
        By magnitude, of one layer.
    masks : bool array, ``(concepts, n, rows, columns)``

    Returns
    -------
    array, ``(features, concepts)``
        1 is chance; see :func:`cnnviz.evaluation.die_concepts`.
    """
    return np.array([die_concepts.concept_lift(each, masks) for each in maps])


def is_about(lift, concept):
    """Features of which one concept's lift is the largest, and above chance.

    Parameters
    ----------
    lift : array, ``(features, concepts)``
    concept : int

    Returns
    -------
    list of int
    """
    lift = np.nan_to_num(lift)
    return [k for k, each in enumerate(lift) if each[concept] == each.max() and each[concept] > 1]


def scores(layers, images, masks, fields, progress=None):
    """By how much the gradient of each feature's maximum beats chance on concepts.

    Parameters
    ----------
    layers : list of lasagne.layers.Layer
        Of one network, each below the next.
    images : array, ``(n, channels, rows, columns)``
    masks : bool array, ``(n, concepts, rows, columns)``
    fields : bool array, ``(n, rows, columns)``
        What counts.
    progress : function, optional
        Called after every map.

    Returns
    -------
    list of arrays, ``(features, concepts)``
        Share of the magnitude on the concept, less the concept's share of what the
        maximal neuron sees; 0 where it sees nothing of it.  Mean over the images.  NaN
        for features with hardly a gradient (:func:`cnnviz.dissection.labels.responds`).
    """
    total = [np.zeros((layer.output_shape[1], masks.shape[1])) for layer in layers]
    gradients = [np.zeros(len(each)) for each in total]
    features = [range(len(each)) for each in total]
    neurons = [maximal_neurons(*each) for each in zip(layers, [images] * len(layers), features)]
    gradients_of, shape = LayersGradient(layers), images.shape[2:]
    for k in range(len(images)):
        for layer, feature, gradient, *place in gradients_of.parts(images[k : k + 1], features):
            values = np.zeros(shape, gradient.dtype)
            values[tuple(place)] = magnitude(gradient)
            gradients[layer][feature] += values.sum(dtype=float)
            seen = _part(neurons[layer][k][feature].box)
            total[layer][feature] += _excess(
                values[seen], masks[(k, slice(None), *seen)], fields[(k, *seen)]
            )
            if progress is not None:
                progress()
    return [
        np.where(labels.responds(gradient)[:, np.newaxis], each / len(images), np.nan)
        for each, gradient in zip(total, gradients)
    ]


def _excess(values, masks, field):
    """Share on each mask less its area, ``(concepts,)``.

    As relevance mass less area share, but for hundreds of features.
    """
    inside = (masks & field).reshape(len(masks), -1)
    values = (values * field).ravel()
    area, total = inside.sum(axis=1), values.sum()
    if not total:
        return np.zeros(len(masks))
    return np.where(area > 0, inside @ values / total - area / field.sum(), 0)


# --- Measures ---------------------------------------------------------------------


def localisation(maps, mask, field):
    """Whether maps lie on a mask.

    Parameters
    ----------
    maps : array, ``(m, rows, columns)``
        Of one image.
    mask, field : bool arrays, ``(rows, columns)``
        Where the map belongs, and what counts.

    Returns
    -------
    pointing, mass : arrays, ``(m,)``
        Of :func:`cnnviz.evaluation.metrics.pointing_game` and
        :func:`cnnviz.evaluation.metrics.relevance_mass`; both by chance :func:`area`.
    """
    masks = np.broadcast_to(mask, maps.shape)
    return (
        metrics.pointing_game(maps, masks, region=field),
        metrics.relevance_mass(maps, masks, field),
    )


def agreement(maps, field):
    """Rank correlation of every two maps of an image.

    Parameters
    ----------
    maps : array, ``(m, rows, columns)``
    field : bool array, ``(rows, columns)``

    Returns
    -------
    dict
        From pairs of positions, the first the smaller, to numbers.
    """
    pairs = list(itertools.combinations(range(len(maps)), 2))
    first, second = (maps[list(each)] for each in zip(*pairs))
    return dict(zip(pairs, metrics.rank_agreement(first, second, field)))


def half_share(values, field):
    """Smallest share of the pixels that holds half of a map.

    Parameters
    ----------
    values : array, ``(rows, columns)``
        By magnitude.
    field : bool array, ``(rows, columns)``
        What counts.

    Returns
    -------
    float
        NaN for a map that is zero everywhere.
    """
    ordered = np.sort(values[field].astype(np.float64))[::-1]
    held = np.cumsum(ordered)
    if not len(held) or held[-1] <= 0:
        return np.nan
    return (np.searchsorted(held, held[-1] / 2) + 1) / len(held)


def separate_areas(values):
    """Number of important areas of a map's overlay that do not touch.

    Parameters
    ----------
    values : array, ``(rows, columns)``
        Smoothed, with its sign, as :func:`cnnviz.attribution.overlay.important` takes it.

    Returns
    -------
    float
        NaN for a map that is nowhere positive.
    """
    if values.max() <= 0:
        return np.nan
    # Around what is certainly unimportant nothing is found, at some cost.
    rows, columns = ndimage.find_objects((values > 0.1 * values.max()).astype(int))[0]
    near = tuple(slice(max(each.start - 3, 0), each.stop + 3) for each in (rows, columns))
    return float(ndimage.label(overlay.important(values[near]), _EVERYWHERE)[1])


def centred(shape):
    """A map that knows nothing but the middle: a Gaussian, ``(rows, columns)``.

    Neurons depend most on the middle of what they see, whatever there is (Luo et al.
    2016), and maximal ones have it on what excites them.
    """
    rows, columns = (np.arange(length) - (length - 1) / 2 for length in shape)
    return np.exp(
        -((rows[:, np.newaxis] / shape[0]) ** 2 + (columns / shape[1]) ** 2) * _WIDTH**2 / 2
    )


def blurred(images, sigma):
    """Images without what is small: Gaussian, ``sigma`` in pixels."""
    return ndimage.gaussian_filter(images, (0, 0, sigma, sigma))


def curves(occluded, image, neuron, maps, sigma, steps, seed=0):
    """Deletion and insertion of what a neuron sees, by maps and in random order.

    Pixels become those of the blurred image (Fong and Vedaldi 2017), since constants
    would be spots themselves, and the other way round.

    Parameters
    ----------
    occluded : object
        Of the neuron's layer, from :meth:`cnnviz.attribution.occlusion.Occlusion.windows`.
    image : array, ``(1, channels, rows, columns)``
    neuron : Neuron
        Whose activation is followed.
    maps : array, ``(m, box rows, box columns)``
        Of what the neuron sees.
    sigma : float
        Of the blur, in pixels.
    steps, seed : int
        Points of a curve; of the random order.

    Returns
    -------
    cnnviz.evaluation.metrics.Curves
        Of ``m + 1`` orders, the random one last.
    """
    inside = (slice(None), slice(None), *_part(neuron.box))
    rng = np.random.default_rng([seed, *neuron.box])
    orders = np.concatenate([maps, rng.random((1, *maps.shape[1:]))])
    images = np.repeat(image, len(orders), axis=0)
    occluded.keep([images], 0)

    def score(parts):
        images[inside] = parts
        return occluded.changed(images, neuron.box, neuron.place)[:, neuron.feature]

    crops, fill = (
        np.repeat(each[inside], len(orders), axis=0) for each in (image, blurred(image, sigma))
    )
    return metrics.deletion_insertion(score, crops, orders, fill, steps)


# --- Evaluating a layer -----------------------------------------------------------


class Target(NamedTuple):
    """A feature and what it is held against."""

    concept: str
    feature: int
    masks: np.ndarray  #: bool, ``(n, rows, columns)``


class Settings(NamedTuple):
    """How maps are made and measured."""

    occluder: Occluder
    steps: int  #: of the curves
    blur: float  #: standard deviation in pixels, of what pixels become


def evaluate(methods, images, names, targets, fields, settings, curved=None):
    """Measure the maps of features by every method.

    Parameters
    ----------
    methods : LayerMethods
        Of the layer of the features.
    images : array, ``(n, channels, rows, columns)``
    names : sequence of str
        Of the images.
    targets : sequence of Target
        Images on which the maximal neuron sees nothing of the mask do not count.
    fields : bool array, ``(n, rows, columns)``
        What counts of the images.
    settings : Settings
    curved : bool sequence, ``(n,)``, optional
        Images of which curves are taken, which cost most; all by default.

    Returns
    -------
    list of dict
    """
    features = sorted({target.feature for target in targets})
    if not features:
        return []
    layer, sign, size = methods.layer, [], []
    occluded = methods.occlusion(settings.occluder).windows(images.shape[2:])
    for raw in methods.maps(images, features, settings.occluder):
        sign.append(overlay.smooth(signed(raw), SIGMA))
        size.append(overlay.smooth(magnitude(raw), SIGMA))
    neurons = maximal_neurons(layer, images, features)
    rows = []
    for target, k in itertools.product(targets, range(len(images))):
        f = features.index(target.feature)
        case = _Case(
            neurons[k][f],
            np.stack([each[f, k] for each in sign]),
            np.stack([each[f, k] for each in size]),
            target.masks[k],
            fields[k],
        )
        if not case.sees_target():
            continue
        found = list(case.rows(settings.occluder.stride))
        if curved is None or curved[k]:
            found += _curve_rows(occluded, images[k : k + 1], case, settings)
        rows += [
            {
                "layer": layer.name,
                "concept": target.concept,
                "image": names[k],
                "feature": target.feature,
                **row,
            }
            for row in found
        ]
    return rows


def _row(measure, value, method="", other=""):
    return {"measure": measure, "method": method, "other": other, "value": float(value)}


def _curve_rows(occluded, image, case, settings):
    """Areas under the curves of one feature on one image."""
    found = curves(occluded, image, case.neuron, case.candidates(), settings.blur, settings.steps)
    if not _depends(found):
        return
    for k, method in enumerate((*METHODS, CENTRE, RANDOM)):
        yield _row("deletion", found.deletion_area[k], method)
        yield _row("insertion", found.insertion_area[k], method)


def _depends(found):
    """Whether the blurred image takes half of the activation at least."""
    image, fill = found.deletion[0, 0], found.deletion[0, -1]
    return image > 0 and fill <= image / 2


class _Case(NamedTuple):
    """One feature on one image."""

    neuron: Neuron
    signed: np.ndarray  #: smoothed maps ``(methods, rows, columns)``
    magnitude: np.ndarray
    mask: np.ndarray  #: ``(rows, columns)``
    field: np.ndarray  #: ``(rows, columns)``

    def sees_target(self):
        return (self.mask & self.field)[_part(self.neuron.box)].any()

    def candidates(self):
        """Maps of what the neuron sees: of the methods, and the one of the centre."""
        seen = self.magnitude[(slice(None), *_part(self.neuron.box))]
        return np.concatenate([seen, centred(seen.shape[1:])[np.newaxis]])

    def rows(self, stride):
        """Everything that needs no network."""
        mask, field = (each[_part(self.neuron.box)] for each in (self.mask, self.field))
        yield _row("chance", metrics.area_share(mask[np.newaxis], field)[0])
        yield from _localisation_rows(self.candidates(), mask, field)
        seen = self.signed[(slice(None), *_part(self.neuron.box))]
        yield from _localisation_rows(seen, mask, field, ", signed")
        visited = _visited(self.field, stride)
        coarse = _visited(
            self.field, stride * max(1, round(max(self.field.shape) / _LATTICE / stride))
        )
        for (a, b), value in agreement(self.magnitude, coarse).items():
            yield _row("agreement, picture", value, METHODS[a], METHODS[b])
        seen = visited[_part(self.neuron.box)]
        for (a, b), value in agreement(self.candidates(), seen).items():
            yield _row("agreement", value, *((*METHODS, CENTRE)[k] for k in (a, b)))
        for method, sign, size in zip(THESIS, self.signed, self.magnitude):
            yield _row("half", half_share(size, self.field), method)
            yield _row("areas", separate_areas(sign), method)


def _localisation_rows(maps, mask, field, suffix="", methods=(*METHODS, CENTRE)):
    for method, pointing, mass in zip(methods, *localisation(maps, mask, field)):
        yield _row("pointing" + suffix, pointing, method)
        yield _row("mass" + suffix, mass, method)


def score_rows(methods, maps, mask, image):
    """Rows of maps of the true class's score, which sees the whole image.

    Parameters
    ----------
    methods : sequence of m str
    maps : array, ``(m, rows, columns)``
        By magnitude, smoothed.
    mask : bool array, ``(rows, columns)``
    image : str
        Its name.

    Returns
    -------
    list of dict
    """
    found = [
        _row("chance", metrics.area_share(mask[np.newaxis])[0]),
        *_localisation_rows(maps, mask, np.ones(mask.shape, bool), methods=methods),
    ]
    return [
        {"layer": "class score", "concept": "pip", "image": image, "feature": -1, **row}
        for row in found
    ]


def _visited(field, stride):
    """Pixels on which occluders are centred, so that nothing compared is interpolated."""
    visited = np.zeros_like(field)
    visited[::stride, ::stride] = True
    return visited & field


def _within(shape, box):
    inside = np.zeros(shape, bool)
    inside[_part(box)] = True
    return inside


# --- Randomized networks ----------------------------------------------------------


class FixedNeuron:
    """Maps of one neuron by every method, whatever the parameters become.

    Compiled once.  The gradient of the sum is of its feature.

    Parameters
    ----------
    methods : LayerMethods
        Of the neuron's layer.
    occluder : Occluder
    shape : (rows, columns)
        Of the images.
    """

    def __init__(self, methods, occluder, shape):
        layer = methods.layer
        self._neuron = NeuronLayer(layer)
        self._gradients = [
            Gradient(self._neuron, evaluation="whole"),
            Gradient(layer, "sum", evaluation="whole"),
        ]
        self._projections = [Deconvnet(self._neuron), GuidedBackprop(self._neuron)]
        self._occluder = occluder
        self._occluded = methods.occlusion(occluder).windows(shape)

    def __call__(self, image, neuron):
        """Maps of every method, one after the other.

        Parameters
        ----------
        image : array, ``(1, channels, rows, columns)``
        neuron : Neuron

        Returns
        -------
        list of arrays, ``(channels, rows, columns)``
            As of :meth:`LayerMethods.maps`.
        """
        self._neuron.choose(*neuron.place)
        first, last = (
            [method.attribute(image, [neuron.feature])[0, 0] for method in methods]
            for methods in (self._gradients, self._projections)
        )
        return [*first, self._occlusion(image, neuron)[np.newaxis], *last]

    def _occlusion(self, image, neuron):
        shape, size = image.shape[2:], self._occluder.size
        before = self._occluded.keep([image], 0)[(0, neuron.feature, *neuron.place)]
        places = centres(shape, self._occluder.stride, neuron.box)
        lost = np.full(shape, np.nan, image.dtype)
        count = self._occluded.batch_size(size, True)
        for few in np.split(places, range(count, len(places), count)):
            after, _ = self._occluded(
                self._occluder.first(few), size, neurons=np.tile(neuron.place, (len(few), 1))
            )
            lost[tuple(few.T)] = before - after[:, neuron.feature, 0, 0]
        return interpolated(lost)


def cascade(fixed, layer, image, neuron, region, seed=0):
    """How maps change while layers are randomized from the top (Adebayo et al. 2018).

    The neuron stays the one that was maximal in the trained network, so that maps are
    of the same pixels throughout.

    Parameters
    ----------
    fixed : FixedNeuron
    layer : lasagne.layers.Layer
        Its layer.
    image : array, ``(1, channels, rows, columns)``
    neuron : Neuron
    region : bool array, ``(rows, columns)``
        Where maps are compared.
    seed : int

    Returns
    -------
    names : tuple
        Of the layers, from the top down; each is random with all before it.
    agreement : array, ``(layers, 2, 5)``
        Rank correlation with the trained network's maps, of every method, with sign and
        by magnitude.  NaN where a map is zero, as of a neuron that randomizing silenced.
    """

    def compute():
        found = fixed(image, neuron)
        return overlay.smooth(
            np.stack([reduce(raw) for reduce in (signed, magnitude) for raw in found]), SIGMA
        )

    found = metrics.cascading_similarity(layer, compute, seed=seed, region=region)
    return found.names, found.agreement.reshape(len(found.names), 2, len(METHODS))


def cascade_rows(methods, images, names, targets, fields, settings):
    """Rows of randomized networks, of every target on its images.

    Parameters
    ----------
    methods : LayerMethods
        Of the layer of the features.
    images, names, fields, settings
        As for :func:`evaluate`.
    targets : sequence of (Target, images)
        And the indices of the images; each image has random networks of its own.

    Returns
    -------
    list of dict
    """
    layer, rows = methods.layer, []
    fixed = FixedNeuron(methods, settings.occluder, images.shape[2:])
    pairs = [(target, k) for target, chosen in targets for k in chosen]
    for seed, (target, k) in enumerate(pairs):
        image = images[k : k + 1]
        neuron = maximal_neurons(layer, image, [target.feature])[0][0]
        region = _visited(fields[k], settings.occluder.stride) & _within(
            fields[k].shape, neuron.box
        )
        steps, found = cascade(fixed, layer, image, neuron, region, seed)
        rows += [
            {
                "layer": layer.name,
                "concept": target.concept,
                "image": names[k],
                "feature": target.feature,
                **_row(measure, found[s, sign, m], method, step),
            }
            for s, step in enumerate(steps)
            for sign, measure in enumerate(("cascade, signed", "cascade"))
            for m, method in enumerate(METHODS)
        ]
    return rows
