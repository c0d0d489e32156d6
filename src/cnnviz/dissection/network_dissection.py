"""What features detect, measured: Table 4.1 without looking (thesis section 4.3).

The thesis names up to 50 features of a layer by looking at the nine photographs
that activate each most.  Here two measures against masks take the place of the
eye:

* *overlap*: where a feature's map, up-sampled to the image, exceeds the value
  that 0.5 % of its activations exceed, and how much of that lies on a concept:
  network dissection (D. Bau, B. Zhou, A. Khosla, A. Oliva, A. Torralba, *Network
  Dissection: Quantifying Interpretability of Deep Visual Representations*, CVPR
  2017);
* *localisation*: the share of the saliency of the nine strongest photographs that
  lies on a concept, against the same saliency at every other place of the same
  photographs.  Lesions are tiny against receptive fields, which overlap cannot see.

Functions that see a data set take it in parts, and what they found in the parts
``before``; how it is divided, and in which order parts come, changes nothing.
Concepts are masks: bool, or the share of every pixel that is covered.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy import fft, stats

from cnnviz.datasets.masks import marked, shares
from cnnviz.runtime.errors import UserError

__all__ = [
    "STRONGEST",
    "TOP_SHARE",
    "LEAST_OVERLAP",
    "MARGIN",
    "LEAST_SHARE",
    "LEAST_GRADIENT",
    "RATE",
    "MIXTURE",
    "OTHER",
    "Top",
    "strongest",
    "highest",
    "thresholds",
    "upsample",
    "Overlap",
    "overlaps",
    "detectors",
    "disjoint",
    "Localisation",
    "Concepts",
    "Evidence",
    "localisation",
    "adjusted",
    "beats_chance",
    "responds",
    "labels",
    "confusion_pairs",
    "summary",
]

STRONGEST = 9  #: photographs to a feature, as in the thesis
TOP_SHARE = 0.005  #: of activations above a feature's threshold (Bau et al. 2017)
LEAST_OVERLAP = 0.04  #: intersection over union of a detector (Bau et al. 2017)
MARGIN = 2.0  #: times its share by chance
LEAST_SHARE = 0.05  #: of the saliency, on what a feature is named after
LEAST_GRADIENT = 0.1  #: of the layer's median, else a filter hardly learned
RATE = 0.05  #: of false discoveries among all features and concepts
MIXTURE, OTHER = "mixture", "other"

_ROUNDING = 1e-9  # shares less than this apart are equal
_ROUNDING_FLOAT32 = 1e-6
# Sides of patches, in blocks, that share the size of their transforms.
_ROOMS = (8, 16, 32, 64)


def _maps(maps):
    """Checked maps ``(n, features, rows, columns)``."""
    maps = np.asarray(maps)
    if maps.ndim != 4 or not maps.size:
        raise UserError(f"maps are (photographs, features, rows, columns), not {maps.shape}")
    if not np.isfinite(maps).all():
        raise UserError("the maps hold values that are not finite")
    return maps


# --- The strongest photographs ----------------------------------------------


class Top(NamedTuple):
    """The photographs that activate each feature most, strongest first."""

    maxima: np.ndarray  #: ``(features, count)``, of the maps
    index: np.ndarray  #: ``(features, count)``, which photograph
    places: np.ndarray  #: ``(features, count, 2)``, row and column of the maximum
    keys: np.ndarray  #: ``(features, count)``, equal for equal photographs


def strongest(maps, index, keys=None, count=STRONGEST, before=None):
    """The photographs with the largest maxima of each feature's map.

    Parameters
    ----------
    maps : array, ``(n, features, rows, columns)``
    index : int array, ``(n,)``
        Numbers of the photographs in the data set.
    keys : array, ``(n,)``, optional
        Of photographs with equal keys, byte-identical ones say, only the
        strongest counts; ``index`` by default.
    count : int
        How many to keep.
    before : Top, optional
        Of other parts of the data set, kept with the same ``count``.

    Returns
    -------
    Top
        Fewer than ``count`` where there are fewer different photographs.  Of
        equal maxima the photograph with the lower number comes first, and of
        equal neurons the first in rows.

    Raises
    ------
    ValueError
        For maps of the wrong shape or not finite, numbers or keys that are not
        one to a photograph, other features than before, or a count below 1.
    """
    maps = _maps(maps)
    if count < 1:
        raise UserError(f"count must be at least 1, not {count}")
    index = _one_each("index", index, maps)
    keys = index if keys is None else _one_each("keys", keys, maps)
    found = _maxima(maps, index, keys)
    if before is not None:
        _check_features(maps, len(before.maxima))
        found = Top(*(np.concatenate(pair, axis=1) for pair in zip(before, found)))
    return _best(found, count)


def _one_each(name, values, maps):
    values = np.asarray(values)
    if values.shape != maps.shape[:1]:
        raise UserError(f"{name}: one to each of {len(maps)} photographs, not {values.shape}")
    return values


def _check_features(maps, count):
    if maps.shape[1] != count:
        raise UserError(f"maps of {maps.shape[1]} features after {count}")


def _maxima(maps, index, keys):
    """All photographs of a part, in their order."""
    flat = maps.reshape(*maps.shape[:2], -1)
    place = np.unravel_index(flat.argmax(axis=2).T, maps.shape[2:])
    shape = maps.shape[1::-1]  # (features, n)
    return Top(
        flat.max(axis=2).T,
        np.broadcast_to(index, shape),
        np.stack(place, axis=-1),
        np.broadcast_to(keys, shape),
    )


def _best(top, count):
    """Sorted, the strongest of each key, at most ``count``."""
    top = _taken(top, np.lexsort((top.index, -top.maxima)))
    repeated = _repeated(top.keys)
    # Stable, so that the rest keeps its order.
    order = np.argsort(repeated, axis=1, kind="stable")
    different = (~repeated).sum(axis=1).min()
    return _taken(top, order[:, : min(count, different)])


def _taken(top, order):
    return Top(
        *(
            np.take_along_axis(
                values, order[..., np.newaxis] if values.ndim == 3 else order, axis=1
            )
            for values in top
        )
    )


def _repeated(keys):
    """Which keys stood in their row before."""
    order = np.argsort(keys, axis=1, kind="stable")
    ranked = np.take_along_axis(keys, order, axis=1)
    same = np.zeros(keys.shape, bool)
    same[:, 1:] = ranked[:, 1:] == ranked[:, :-1]
    repeated = np.empty_like(same)
    np.put_along_axis(repeated, order, same, axis=1)
    return repeated


# --- Thresholds -------------------------------------------------------------


def _kept(total, share):
    """How many of the highest values decide about the threshold."""
    if not 0 < share < 1:
        raise UserError(f"share must lie between 0 and 1, not {share}")
    return int(share * total + _ROUNDING) + 1


def highest(maps, total, share=TOP_SHARE, before=None):
    """The highest activations of each feature, those that :func:`thresholds` needs.

    Exact: every value that can be above the threshold is kept, 1 + ``share`` of
    all values.  512 photographs with maps of 127 x 127 keep 41,291 of 8 million.

    Parameters
    ----------
    maps : array, ``(n, features, rows, columns)``
    total : int
        Activations of a feature in the whole data set: photographs times
        positions.
    share : float
    before : array, optional
        What this function gave for other parts of the data set.

    Returns
    -------
    array, ``(features, values)``
        In no particular order.

    Raises
    ------
    ValueError
        For maps of the wrong shape or not finite, other features than before,
        or a share outside (0, 1).
    """
    maps = _maps(maps)
    values = np.moveaxis(maps, 1, 0).reshape(maps.shape[1], -1)
    if before is not None:
        _check_features(maps, len(before))
        values = np.concatenate([before, values], axis=1)
    kept = _kept(total, share)
    if values.shape[1] <= kept:
        return values
    return np.partition(values, -kept, axis=1)[:, -kept:].copy()


def thresholds(values, total, share=TOP_SHARE):
    """The lowest thresholds that at most a share of all activations exceed.

    Strictly exceed: a feature that gives the same value everywhere exceeds its
    threshold nowhere (Bau et al. 2017, section 2.2).

    Parameters
    ----------
    values : array, ``(features, values)``
        From :func:`highest`, of the whole data set.
    total, share
        As there.

    Returns
    -------
    array, ``(features,)``

    Raises
    ------
    ValueError
        When parts of the data set are missing.
    """
    kept = _kept(total, share)
    if values.shape[1] != kept:
        raise UserError(
            f"{values.shape[1]} of the {kept} highest values; have all "
            f"{total} activations been seen?"
        )
    return values.min(axis=1)


# --- Overlap ----------------------------------------------------------------


def _between(length, count, size, stride, start):
    """Neurons before and behind every pixel, and how far it is from one to the other."""
    centre = start + (size - 1) / 2
    place = np.clip((np.arange(length) - centre) / stride, 0, count - 1)
    low = place.astype(int)
    return low, np.minimum(low + 1, count - 1), (place - low).astype(np.float32)


def upsample(maps, field, shape):
    """Bring maps to image size, every neuron to the centre of its receptive field.

    Bilinear; beyond the outermost centres the map continues with its border's
    values (Bau et al. 2017, section 2.2).  What is constant stays so to the last
    digit.

    Parameters
    ----------
    maps : float array, ``(..., map rows, map columns)``
    field : cnnviz.attribution.receptive_field.ReceptiveField
        Of the maps' layer.
    shape : (rows, columns)
        Of the image.

    Returns
    -------
    array, ``(..., rows, columns)``
    """
    maps = np.asarray(maps)
    rows, columns = (_between(*axis) for axis in zip(shape, maps.shape[-2:], *field))
    low, high, share = rows
    above = maps[..., low, :]
    # A difference, not two products, whose rounding could exceed a threshold.
    maps = above + share[:, np.newaxis] * (maps[..., high, :] - above)
    low, high, share = columns
    left = maps[..., low]
    return left + share * (maps[..., high] - left)


class Overlap(NamedTuple):
    """Areas, in pixels, of what features mark and of concepts."""

    common: np.ndarray  #: ``(features, concepts)``, of what both mark
    marked: np.ndarray  #: ``(features, concepts)``, where the concept is known
    area: np.ndarray  #: ``(concepts,)``

    @property
    def iou(self):
        """Intersection over union ``(features, concepts)``; NaN for two empty sets."""
        union = self.marked + self.area - self.common
        return np.where(union > 0, self.common / np.where(union > 0, union, 1), np.nan)


def overlaps(maps, masks, limits, field, known=None, before=None):
    """Overlap of thresholded maps with concepts (Bau et al. 2017, section 2.2).

    Parameters
    ----------
    maps : array, ``(n, features, map rows, map columns)``
    masks : sequence of n arrays, ``(concepts, rows, columns)``
    limits : array, ``(features,)``
        From :func:`thresholds`.
    field : cnnviz.attribution.receptive_field.ReceptiveField
        Of the maps' layer.
    known : bool array, ``(n, concepts)``, optional
        Photographs in which a concept is marked wherever it is; others tell
        nothing about it.
    before : Overlap, optional
        Of other photographs.

    Returns
    -------
    Overlap

    Raises
    ------
    ValueError
        For maps of the wrong shape or not finite, or thresholds, masks or
        ``known`` that do not belong to them.
    """
    maps = _maps(maps)
    _check_features(maps, len(limits))
    masks, known = _checked_masks(masks, len(maps), known)
    parts = [] if before is None else [before]
    for image, concepts, sure in zip(maps, masks, known):
        common, marked = _marked(image, concepts, limits, field)
        area = concepts.sum(axis=(1, 2), dtype=float)
        parts.append((common * sure, np.outer(marked, sure), area * sure))
    return Overlap(*(sum(each) for each in zip(*parts)))


def _checked_masks(masks, count, known):
    """Masks as arrays, one at a time, and what is known of them."""
    if len(masks) != count:
        raise UserError(f"masks of {len(masks)} photographs for {count}")
    first = np.shape(masks[0])
    if len(first) != 3:
        raise UserError(f"masks are (concepts, rows, columns), not {first}")
    known = np.ones((count, first[0]), bool) if known is None else np.asarray(known, bool)
    if known.shape != (count, first[0]):
        raise UserError(f"known: {count} photographs by {first[0]} concepts, not {known.shape}")
    return (_like_first(mask, first) for mask in masks), known


def _like_first(mask, shape):
    mask = shares(mask, "masks")
    if mask.shape != shape:
        raise UserError(f"masks of shapes {shape} and {mask.shape}")
    return mask


def _marked(maps, masks, limits, field):
    """One photograph's areas on masks ``(features, concepts)`` and in all."""
    common, marked = np.zeros((len(maps), len(masks))), np.zeros(len(maps))
    flat = masks.reshape(len(masks), -1)
    # Interpolated values never exceed the largest, so most maps end here.
    for k in np.flatnonzero(maps.max(axis=(1, 2)) > limits):
        values = upsample(maps[k], field, masks.shape[1:])
        pixels = np.flatnonzero(values > limits[k])
        marked[k] = len(pixels)
        common[k] = flat[:, pixels].sum(axis=1, dtype=float)
    return common, marked


def detectors(iou, concepts, least=LEAST_OVERLAP):
    """Names of features by overlap (Bau et al. 2017, section 2.2).

    Parameters
    ----------
    iou : array, ``(features, concepts)``
    concepts : sequence of str
    least : float

    Returns
    -------
    object array, ``(features,)``
        The concept with the largest overlap where it is more than ``least``,
        "other" elsewhere.

    Raises
    ------
    ValueError
        For another number of concepts.

    Notes
    -----
    Half a percent of all pixels and a concept on a share a of them overlap by
    about the smaller of a / 0.005 and 0.005 / a at most: 0.04 is out of reach for
    concepts on less than 0.02 % of the pixels or more than 12.5 %.
    """
    _check_concepts(iou, concepts)
    seen = np.nan_to_num(iou, nan=-1)
    names = np.array(concepts, object)[seen.argmax(axis=1)]
    return np.where(seen.max(axis=1) > least, names, OTHER)


def _check_concepts(values, concepts):
    if np.ndim(values) != 2 or np.shape(values)[1] != len(concepts):
        raise UserError(
            f"{len(concepts)} concepts for values of shape "
            f"{np.shape(values)}; those are (features, concepts)"
        )


# --- Localisation -----------------------------------------------------------


def disjoint(masks):
    """Every pixel to the first concept that covers it.

    Where concepts overlap as a rule, vessels and the disc say, a feature for the
    one would be a mixture with the other.

    Parameters
    ----------
    masks : bool or float array, ``(concepts, rows, columns)``

    Returns
    -------
    array of the same shape and type
        Sums to 1 at most.
    """
    masks = np.array(shares(masks, "masks"))
    left = np.ones(masks.shape[1:], masks.dtype)
    for mask in masks:
        np.minimum(mask, left, out=mask)
        left = left & ~mask if masks.dtype == bool else left - mask
    return masks


class Localisation(NamedTuple):
    """Where a feature's saliency lies, against chance; NaN where nothing is known."""

    share: np.ndarray  #: ``(concepts,)``, mean over the photographs
    expected: np.ndarray  #: ``(concepts,)``, mean over all places as well
    p: np.ndarray  #: ``(concepts,)``, of a share as large by chance
    shares: np.ndarray  #: ``(n, concepts)``, of every photograph

    @property
    def lift(self):
        """Share over what is expected ``(concepts,)``; NaN where a concept is absent."""
        there = self.expected > 0
        return np.where(there, self.share / np.where(there, self.expected, 1), np.nan)


class Concepts:
    """One photograph's concepts, made ready for the saliency of many features.

    Parameters
    ----------
    masks : array, ``(concepts, rows, columns)``
    field : bool array, ``(rows, columns)``, optional
        Field of view, with the border that still counts as its edge; the whole
        photograph by default.
    block : int
        Side, in pixels, of the steps by which saliency is moved; see
        :func:`localisation`.

    Raises
    ------
    ValueError
        For masks or a field of the wrong shape, or a block below 1.

    Notes
    -----
    The masks are kept as they are given.  Their transforms are kept as well: for 12
    concepts on 512 x 512 pixels in blocks of 4 at most 8 MB, in blocks of 1 at most
    250 MB.
    """

    def __init__(self, masks, field=None, block=1):
        masks = _three("masks are (concepts, rows, columns)", shares(masks, "masks"))
        if block < 1:
            raise UserError(f"block must be at least 1, not {block}")
        shape = masks.shape[1:]
        field = np.ones(shape, bool) if field is None else np.asarray(field)
        if field.dtype.kind in "iu":
            field = marked(field, "field")
        if field.shape != shape or field.dtype != bool:
            raise UserError(f"field: bool of shape {shape}, not {field.dtype} of {field.shape}")
        self.masks, self.field, self.block = masks, field, int(block)
        present = [(mask[field] > 0).any() for mask in masks]
        self.present = np.flatnonzero(present)  # concepts that are in the field
        means = _sums(np.stack([field, *(masks[self.present] * field)]), block) / block**2
        self._means = means if block == 1 else means.astype(np.float32)
        self._spectra = {}

    def at(self, patch, row, column):
        """Sums of a patch on the concepts present, at one place."""
        rows, columns = patch.shape
        there = self._means[1:, row : row + rows, column : column + columns]
        return np.tensordot(there, patch, 2)

    def everywhere(self, patch):
        """Sums of a patch on the field and the concepts present, at all places.

        Parameters
        ----------
        patch : array, ``(rows, columns)``
            In blocks.

        Returns
        -------
        array, ``(1 + concepts present, places)``
        """
        longest = max(self._means.shape[1:])
        # Few different sizes, so that transforms of the masks are used again.
        room = next(
            each for each in (*_ROOMS, longest) if max(patch.shape) <= each or each >= longest
        )
        size = tuple(
            fft.next_fast_len(length + min(room, longest) - 1, real=True)
            for length in self._means.shape[1:]
        )
        if size not in self._spectra:
            self._spectra[size] = fft.rfft2(self._means, size)
        # Correlation, not convolution: the patch moves, the mask stays.
        moved = self._spectra[size] * np.conj(fft.rfft2(patch.astype(self._means.dtype), size))
        return fft.irfft2(moved, size).reshape(len(moved), -1)


def _rounding(block):
    """Shares less than this apart are equal; blocks of one pixel are in float64."""
    return _ROUNDING if block == 1 else _ROUNDING_FLOAT32


def _three(name, values):
    values = np.asarray(values)
    if values.ndim != 3 or not values.size:
        raise UserError(f"{name}, not {values.shape}")
    return values


def _sums(values, block):
    """Sums over blocks of pixels, ``(..., rows, columns)``; zero beyond the border."""
    for axis in (-2, -1):
        starts = np.arange(0, values.shape[axis], block)
        values = np.add.reduceat(values, starts, axis=axis, dtype=float)
    return values


def _extent(positive):
    """The smallest box around what is True, as two slices."""
    found = [np.flatnonzero(positive.any(axis=axis)) for axis in (1, 0)]
    return tuple(slice(index[0], index[-1] + 1) for index in found)


class _Placements:
    """One photograph's saliency at every place that keeps enough of it in the field."""

    def __init__(self, saliency, concepts, least):
        positive = np.where(concepts.field, np.maximum(saliency, 0), 0)
        self.total = positive.sum(dtype=float)
        if not self.total:
            return
        self.concepts, self.box = concepts, _extent(positive > 0)
        self.here = positive[self.box] / self.total
        # The box grows to whole blocks.
        first = [part.start // concepts.block for part in self.box]
        pad = [(part.start - concepts.block * start, 0) for part, start in zip(self.box, first)]
        patch = _sums(np.pad(self.here, pad), concepts.block)
        self.moving = concepts.at(patch, *first)
        sums = concepts.everywhere(patch)
        self.allowed = np.flatnonzero(sums[0] >= least - _rounding(concepts.block))
        self.kept, self.sums = sums[0, self.allowed], sums[1:]

    def shares(self):
        """Shares on the concepts present where the saliency is."""
        here = self.here.ravel()
        return np.array(
            [here @ self.concepts.masks[c][self.box].ravel() for c in self.concepts.present]
        )

    def expected(self):
        """Means of the shares on the concepts present over all places."""
        weights = np.zeros(self.sums.shape[1], self.sums.dtype)
        weights[self.allowed] = 1 / (self.kept * len(self.kept))
        return self.sums @ weights

    def drawn(self, rng, count):
        """Shares on the concepts present ``(concepts, count)`` at places by chance."""
        draws = rng.integers(len(self.kept), size=count)
        return self.sums[:, self.allowed[draws]] / self.kept[draws]


class Evidence:
    """What :func:`localisation` measures of one feature, a photograph at a time.

    So that many features share what belongs to a photograph: its saliency's forward
    pass, and the transforms of its masks.

    Parameters
    ----------
    concepts : int
        How many.
    permutations, least, seed
        As for :func:`localisation`.
    """

    def __init__(self, concepts, permutations=9999, least=0.5, seed=0):
        if permutations < 1 or not 0 < least <= 1:
            raise UserError(
                f"need at least one permutation and 0 < least <= 1, not {permutations} and {least}"
            )
        self._least, self._rng, self._rounding = least, np.random.default_rng(seed), 0.0
        self._found = []  # shares, their expectation, shares in blocks: of each photograph
        self._drawn = np.zeros((concepts, permutations), np.float32)

    def add(self, saliency, concepts, known):
        """Add a photograph.

        Parameters
        ----------
        saliency : array, ``(rows, columns)``
        concepts : Concepts
            Of all photographs in equal blocks.
        known : bool array, ``(concepts,)``
        """
        places = _Placements(saliency, concepts, self._least)
        found = np.full((3, len(known)), np.nan)
        if places.total:
            sure, present = np.asarray(known), concepts.present
            found[:, sure] = 0
            seen = sure[present]
            for row, values in zip(found, (places.shares(), places.expected(), places.moving)):
                row[present[seen]] = values[seen]
            drawn = places.drawn(self._rng, self._drawn.shape[1])
            self._drawn[present[seen]] += drawn[seen]
        self._rounding = _rounding(concepts.block)
        self._found.append(found)

    def result(self):
        """Means over the photographs that count, and p-values: a Localisation."""
        found = np.reshape(self._found, (len(self._found), 3, len(self._drawn)))
        shares, chance, moving = np.moveaxis(found, 1, 0)
        seen = np.isfinite(shares).sum(axis=0)
        counts = np.where(seen > 0, seen, np.nan)
        share, expected, moving = (
            np.nansum(each, axis=0) / counts for each in (shares, chance, moving)
        )
        # The moved saliency is compared with the saliency in the same blocks, and the
        # sums of the draws are in float32.
        limit = moving - max(self._rounding, _ROUNDING_FLOAT32)
        enough = self._drawn / counts[:, np.newaxis] >= limit[:, np.newaxis]
        p = (1 + enough.sum(axis=1)) / (1 + self._drawn.shape[1])
        # What the photographs do not show is not tested.
        return Localisation(share, expected, np.where(expected > 0, p, np.nan), shares)


def localisation(
    saliency, masks, field=None, known=None, permutations=9999, least=0.5, seed=0, block=1
):
    """Share of one feature's saliency on every concept, against chance.

    The evidence of thesis section 4.3: saliency maps of the photographs that
    activate the feature most.  The positive part counts, every photograph the
    same, and photographs without any do not count.

    Chance is *the same saliency at other places*: each photograph's saliency is
    moved, unchanged in size and shape, to every place at which at least half of
    it stays in the field of view; what leaves it is dropped and the rest counted
    as the whole.  The share expected is the mean over all these places.  For the
    p-value each of ``permutations`` draws takes one place in each photograph, and

    .. math:: p = (1 + \\#\\{drawn \\ge observed\\}) / (1 + permutations)

    (B. Phipson, G. K. Smyth, *Permutation P-values should never be zero*, 2010).

    Parameters
    ----------
    saliency : array, ``(n, rows, columns)``
        Of the strongest photographs.  A gradient is positive where more light
        would excite the feature: beside a dark lesion rather than on it; give the
        magnitude to have both.  The area of an overlay is a map of 0 and 1.
    masks : sequence of n arrays, ``(concepts, rows, columns)``
        Or of n :class:`Concepts`, which share their transforms among features.
    field : bool array, ``(n, rows, columns)``, optional
        Field of view, with the border that still counts as its edge; the whole
        photograph by default.
    known : bool array, ``(n, concepts)``, optional
        Photographs in which a concept is marked wherever it is; others tell
        nothing about it.
    permutations : int
        No p-value is below 1 / (1 + permutations), which must be small against
        the rate of false discoveries over the number of tests.
    least : float
        Share of the saliency that stays in the field of view.
    seed : int
        Of the draws.
    block : int
        Saliency is moved by whole blocks of so many pixels along each side, for
        speed; its shares where it is are exact.  1 is every pixel.

    Returns
    -------
    Localisation
        Share, chance and lift do not depend on the order of the photographs;
        p-values do by the spread of their draws.

    Raises
    ------
    ValueError
        For saliency of the wrong shape or not finite, anything of another
        number of photographs or another shape, or an impossible number.

    Notes
    -----
    The other natural chance, saliency on the masks of other photographs at the
    same place, was not chosen: the field's edge is at the same place in every
    photograph, so no detector of it could beat that, and lesions would weigh by
    their number in other photographs.  Moving keeps the photographs with all
    their lesions, so that a feature gets no credit for photographs with many.
    It does not know that a feature may prefer a part of the field: that is what
    the margin and the randomly initialized network are for.

    On six planted features (:mod:`cnnviz.dissection.ground_truth`) and 512 x 512 pixels, blocks
    of 4 moved expected shares by at most 0.5 % (that of the field's edge by 4 %), and
    p-values below 0.05 by at most 0.021, against blocks of 1.
    """
    saliency = _three("saliency is (photographs, rows, columns)", saliency)
    if not np.isfinite(saliency).all():
        raise UserError("the saliency maps hold values that are not finite")
    ready, known = _ready(masks, saliency, field, known, block)
    evidence = Evidence(known.shape[1], permutations, least, seed)
    for values, concepts, sure in zip(saliency, ready, known):
        evidence.add(values, concepts, sure)
    return evidence.result()


def _ready(masks, saliency, field, known, block):
    """Concepts of one photograph after the other, and what is known of them."""
    arrays = [getattr(each, "masks", each) for each in masks]
    arrays, known = _checked_masks(arrays, len(saliency), known)
    if field is not None and np.shape(field) != saliency.shape:
        raise UserError(f"field: bool of shape {saliency.shape}, not of {np.shape(field)}")
    field = [None] * len(saliency) if field is None else field
    return (
        _belonging(values, mask, given, inside, block)
        for values, mask, given, inside in zip(saliency, arrays, masks, field)
    ), known


def _belonging(values, mask, given, field, block):
    """The concepts of one photograph, as they were given or made ready."""
    if mask.shape[1:] != values.shape:
        raise UserError(f"saliency of shape {values.shape} on masks of {mask.shape[1:]}")
    if not isinstance(given, Concepts):
        return Concepts(mask, field, block)
    if field is not None or given.block != block:
        raise UserError(
            f"Concepts have their own field and their blocks of "
            f"{given.block}; give no other field, and the same block"
        )
    return given


# --- Labels -----------------------------------------------------------------


def adjusted(p):
    """P-values adjusted for the number of tests, by Benjamini and Hochberg (1995).

    Parameters
    ----------
    p : array
        All that are looked at, whatever the shape: all features of all layers
        and all concepts.  NaN where nothing was tested.

    Returns
    -------
    array of the same shape
    """
    p = np.asarray(p, float)
    tested = np.isfinite(p)
    q = np.full(p.shape, np.nan)
    if tested.any():
        q[tested] = stats.false_discovery_control(p[tested])
    return q


def beats_chance(share, lift, q, margin=MARGIN, least=LEAST_SHARE, rate=RATE):
    """Which concepts a feature points at.

    All three must hold: fewer than ``rate`` of such findings are false
    (``q < rate``), the share is ``margin`` times that of chance or more, and it
    is ``least`` or more of all saliency.

    Parameters
    ----------
    share, lift, q : arrays, ``(features, concepts)``
        From :func:`localisation` and :func:`adjusted`; NaN never beats chance.
    margin, least, rate : float

    Returns
    -------
    bool array, ``(features, concepts)``

    Raises
    ------
    ValueError
        For arrays of different shapes.

    Notes
    -----
    A concept on which more than 1 / ``margin`` of the saliency is expected by chance
    is out of reach: the whole of it would not be ``margin`` times as much.
    """
    shapes = [np.shape(values) for values in (share, lift, q)]
    if len(set(shapes)) > 1:
        raise UserError(f"share, lift and q have shapes {shapes}; they must agree")
    return (np.asarray(q) < rate) & (np.asarray(lift) >= margin) & (np.asarray(share) >= least)


def responds(gradient, least=LEAST_GRADIENT):
    """Which features of a layer respond to the photographs at all.

    A filter that hardly learned looks at something as well, but what it looks at changes
    next to nothing.

    Parameters
    ----------
    gradient : array, ``(features,)``
        Magnitude, summed over pixels.
    least : float
        Of the layer's median.

    Returns
    -------
    bool array, ``(features,)``
    """
    return np.asarray(gradient) >= least * np.median(gradient)


def labels(beats, concepts):
    """Names of features by localisation, as in thesis Table 4.1.

    The one concept that beats chance by the margin; "mixture" where two or more
    do; "other" where none does.

    Parameters
    ----------
    beats : bool array, ``(features, concepts)``
        From :func:`beats_chance`.
    concepts : sequence of str

    Returns
    -------
    object array, ``(features,)``

    Raises
    ------
    ValueError
        For another number of concepts.
    """
    _check_concepts(beats, concepts)
    count = beats.sum(axis=1)
    names = np.array(concepts, object)[beats.argmax(axis=1)]
    return np.where(count == 1, names, np.where(count > 1, MIXTURE, OTHER))


def confusion_pairs(beats, concepts):
    """Concepts that features take for one another (thesis section 4.3.4).

    Parameters
    ----------
    beats : bool array, ``(features, concepts)``
        From :func:`beats_chance`.
    concepts : sequence of str

    Returns
    -------
    list of (first concept, second concept, int array)
        The features for which both beat chance; pairs with most features first.

    Raises
    ------
    ValueError
        For another number of concepts.
    """
    _check_concepts(beats, concepts)
    pairs = [
        (concepts[i], concepts[j], np.flatnonzero(beats[:, i] & beats[:, j]))
        for i, j in combinations(range(len(concepts)), 2)
    ]
    return sorted((pair for pair in pairs if len(pair[2])), key=lambda pair: -len(pair[2]))


def summary(layers, columns, sampled=50, samples=2000, seed=0):
    """Frequencies of labels in the form of thesis Table 4.1.

    Parameters
    ----------
    layers : dict
        From a layer's name to the labels of all its features, ``(features,)``.
    columns : sequence of str
        Labels with a column of their own; all others are "other", as mixtures
        and artefacts are in the thesis.
    sampled : int
        Features that the thesis looked at, or all where there are fewer.
    samples : int
        Bootstrap samples, each of so many features, drawn with replacement.
    seed : int

    Returns
    -------
    list of dict
        For each layer and column: ``layer``, ``features``, ``label``, ``count``
        among all features, ``sampled``; ``mean``, ``low`` and ``high``: how many
        features of the sampled ones, with the middle 95 % of the samples.

    Raises
    ------
    ValueError
        For a layer without features, or no samples.
    """
    if min(sampled, samples) < 1:
        raise UserError(f"sampled and samples must be at least 1, not {sampled} and {samples}")
    columns = [*(name for name in columns if name != OTHER), OTHER]
    return [
        row
        for name, found in layers.items()
        for row in _frequencies(name, found, columns, sampled, samples, seed)
    ]


def _frequencies(layer, found, columns, sampled, samples, seed):
    """Rows of one layer."""
    features = len(found)
    if not features:
        raise UserError(f"layer '{layer}' has no labels")
    counts = [sum(label == name for label in found) for name in columns[:-1]]
    counts.append(features - sum(counts))
    sampled = min(sampled, features)
    # How often each label is drawn, which is all that a sample is asked for.
    drawn = np.random.default_rng(seed).multinomial(sampled, np.array(counts) / features, samples)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return [
        {
            "layer": layer,
            "features": features,
            "label": name,
            "count": count,
            "sampled": sampled,
            "mean": sampled * count / features,
            "low": float(low[k]),
            "high": float(high[k]),
        }
        for k, (name, count) in enumerate(zip(columns, counts))
    ]
