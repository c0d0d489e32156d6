"""Where the saliency of a feature lies, against chance (thesis section 4.3).

The evidence of the thesis: saliency maps of the photographs that activate a feature most.  The
share of their saliency that lies on a concept is compared with that of the same saliency at
every other place of the same photographs.  Lesions are tiny against receptive fields, which
overlap (:mod:`cnnviz.dissection.network_dissection`) cannot see.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnviz.dissection.checks import three_axes
from cnnviz.dissection.network_dissection import checked_masks
from cnnviz.dissection.placements import ROUNDING_FLOAT32, ConceptMasks, Placements, rounding
from cnnviz.runtime.errors import UserError

__all__ = ["Chance", "Evidence", "Localization", "localization"]


@dataclass(frozen=True)
class Chance:
    """How the share of saliency that is expected by chance is found.

    Raises
    ------
    UserError
        For an impossible number.
    """

    #: Draws for a p-value, none of which is below 1 / (1 + permutations); that must be small
    #: against the rate of false discoveries over the number of tests.
    permutations: int = 9999
    least: float = 0.5  #: share of the saliency that stays in the field of view
    #: Saliency is moved by whole blocks of so many pixels along each side, for speed; its
    #: shares where it is are exact.  1 is every pixel.
    block: int = 1
    seed: int = 0  #: of the draws

    def __post_init__(self) -> None:
        if self.permutations < 1 or not 0 < self.least <= 1:
            raise UserError(
                f"need at least one permutation and 0 < least <= 1, not {self.permutations} "
                f"and {self.least}"
            )


_DEFAULT = Chance()


@dataclass(frozen=True)
class Localization:
    """Where a feature's saliency lies, against chance; NaN where nothing is known."""

    share: np.ndarray  #: ``(concepts,)``, mean over the photographs
    expected: np.ndarray  #: ``(concepts,)``, mean over all places as well
    p: np.ndarray  #: ``(concepts,)``, of a share as large by chance
    shares: np.ndarray  #: ``(n, concepts)``, of every photograph

    @property
    def lift(self) -> np.ndarray:
        """Share over what is expected ``(concepts,)``; NaN where a concept is absent."""
        return lift(self.share, self.expected)


def lift(share: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Share over what is expected; NaN where nothing is."""
    return share / np.where(expected > 0, expected, np.nan)


class Evidence:
    """What :func:`localization` measures of one feature, a photograph at a time.

    So that many features share what belongs to a photograph: its saliency's forward pass, and
    the transforms of its masks.

    Parameters
    ----------
    concepts : int
        How many.
    chance : Chance
        The block is that of the photographs' concepts.
    """

    def __init__(self, concepts: int, chance: Chance = _DEFAULT) -> None:
        self._least, self._rng = chance.least, np.random.default_rng(chance.seed)
        self._rounding = 0.0
        # Shares, their expectation, shares in blocks: of each photograph.
        self._found: list[np.ndarray] = []
        self._drawn = np.zeros((concepts, chance.permutations), np.float32)

    def add(self, saliency: np.ndarray, concepts: ConceptMasks, known: Any) -> None:
        """Add a photograph.

        Parameters
        ----------
        saliency : array, ``(rows, columns)``
        concepts : ConceptMasks
            Of all photographs in equal blocks.
        known : bool array, ``(concepts,)``
        """
        places = Placements(saliency, concepts, self._least)
        shares = np.full((3, len(known)), np.nan)
        if places.total:
            sure, present = np.asarray(known), concepts.present
            shares[:, sure] = 0
            seen = sure[present]
            for row, values in zip(shares, (places.shares(), places.expected(), places.moving)):
                row[present[seen]] = values[seen]
            drawn = places.drawn(self._rng, self._drawn.shape[1])
            self._drawn[present[seen]] += drawn[seen]
        self._rounding = rounding(concepts.block)
        self._found.append(shares)

    def result(self) -> Localization:
        """Means over the photographs that count, and p-values."""
        found = np.reshape(self._found, (len(self._found), 3, len(self._drawn)))
        shares, chance, moving = np.moveaxis(found, 1, 0)
        seen = np.isfinite(shares).sum(axis=0)
        counts = np.where(seen > 0, seen, np.nan)
        share, expected, moving = (
            np.nansum(each, axis=0) / counts for each in (shares, chance, moving)
        )
        # The moved saliency is compared with the saliency in the same blocks, and the
        # sums of the draws are in float32.
        limit = moving - max(self._rounding, ROUNDING_FLOAT32)
        enough = self._drawn / counts[:, np.newaxis] >= limit[:, np.newaxis]
        p = (1 + enough.sum(axis=1)) / (1 + self._drawn.shape[1])
        # What the photographs do not show is not tested.
        return Localization(share, expected, np.where(expected > 0, p, np.nan), shares)


def localization(
    saliency: Any, masks: Any, field: Any = None, known: Any = None, chance: Chance = _DEFAULT
) -> Localization:
    """Share of one feature's saliency on every concept, against chance.

    The positive part of the saliency counts, every photograph the same, and photographs without
    any do not count.

    Chance is *the same saliency at other places*: each photograph's saliency is moved,
    unchanged in size and shape, to every place at which at least half of it stays in the field
    of view; what leaves it is dropped and the rest counted as the whole.  The share expected is
    the mean over all these places.  For the p-value each of ``chance.permutations`` draws takes
    one place in each photograph, and

    .. math:: p = (1 + \\#\\{drawn \\ge observed\\}) / (1 + permutations)

    (B. Phipson, G. K. Smyth, *Permutation P-values should never be zero*, 2010).

    Parameters
    ----------
    saliency : array, ``(n, rows, columns)``
        Of the strongest photographs.  A gradient is positive where more light would excite the
        feature: beside a dark lesion rather than on it; give the magnitude to have both.  The
        area of an overlay is a map of 0 and 1.
    masks : sequence of n arrays, ``(concepts, rows, columns)``
        Or of n :class:`.placements.ConceptMasks`, which share their transforms among features.
    field : bool array, ``(n, rows, columns)``, optional
        Field of view, with the border that still counts as its edge; the whole photograph by
        default.
    known : bool array, ``(n, concepts)``, optional
        Photographs in which a concept is marked wherever it is; others tell nothing about it.
    chance : Chance

    Returns
    -------
    Localization
        Share, chance and lift do not depend on the order of the photographs; p-values do by the
        spread of their draws.

    Raises
    ------
    UserError
        For saliency of the wrong shape or not finite, or anything of another number of
        photographs or another shape.

    Notes
    -----
    The other natural chance, saliency on the masks of other photographs at the same place, was
    not chosen: the field's edge is at the same place in every photograph, so no detector of it
    could beat that, and lesions would weigh by their number in other photographs.  Moving keeps
    the photographs with all their lesions, so that a feature gets no credit for photographs
    with many.  It does not know that a feature may prefer a part of the field: that is what the
    margin and the randomly initialized network are for.

    On six ground-truth features (:mod:`cnnviz.dissection.ground_truth_features`) and 512 x 512
    pixels, blocks of 4 moved expected shares by at most 0.5 % (that of the field's edge by
    4 %), and p-values below 0.05 by at most 0.021, against blocks of 1.
    """
    saliency = three_axes("saliency is (photographs, rows, columns)", saliency)
    if not np.isfinite(saliency).all():
        raise UserError("the saliency maps hold values that are not finite")
    ready, known = _ready(masks, saliency, field, known, chance.block)
    evidence = Evidence(known.shape[1], chance)
    for values, concepts, sure in zip(saliency, ready, known):
        evidence.add(values, concepts, sure)
    return evidence.result()


def _ready(
    masks: Any, saliency: np.ndarray, field: Any, known: Any, block: int
) -> tuple[Iterator[ConceptMasks], np.ndarray]:
    """Concepts of one photograph after the other, and what is known of them."""
    arrays = [getattr(each, "masks", each) for each in masks]
    checked, known = checked_masks(arrays, len(saliency), known)
    if field is not None and np.shape(field) != saliency.shape:
        raise UserError(f"field: bool of shape {saliency.shape}, not of {np.shape(field)}")
    field = [None] * len(saliency) if field is None else field
    return (
        _belonging(values, mask, given, inside, block)
        for values, mask, given, inside in zip(saliency, checked, masks, field)
    ), known


def _belonging(
    values: np.ndarray, mask: np.ndarray, given: Any, field: Any, block: int
) -> ConceptMasks:
    """The concepts of one photograph, as they were given or made ready."""
    if mask.shape[1:] != values.shape:
        raise UserError(f"saliency of shape {values.shape} on masks of {mask.shape[1:]}")
    if not isinstance(given, ConceptMasks):
        return ConceptMasks(mask, field, block)
    if field is not None or given.block != block:
        raise UserError(
            f"ConceptMasks have their own field and their blocks of "
            f"{given.block}; give no other field, and the same block"
        )
    return given
