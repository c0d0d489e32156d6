"""Choice of conspicuous lesions for the figures of chapter 4."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnnviz.datasets import fundus, synthetic
from cnnviz.runtime.errors import UserError
from cnnviz.thesis.figures.eyes import Synthetic

if TYPE_CHECKING:
    from cnnviz.thesis.figures.eyes import Spot

__all__ = ["Criteria", "apart", "conspicuous", "first", "overlap", "side", "well_inside"]

_CLOSE = 4.0  # diameters of a lesion across its close-up
_LEAST_SIDE = 0.16  # of a close-up, in radii
_BETWEEN = 0.05  # radii between close-ups, for their letters
# A spot that is shown lies this far within the field of view, at most and at least.
_FARTHEST, _FROM_CUT = 0.8, 0.1


def well_inside(place: np.ndarray | tuple[float, float], half: float) -> bool:
    """Whether a place is far from the border of the field of view."""
    x, y = place
    return bool(np.hypot(x, y) <= _FARTHEST and abs(y) <= half - _FROM_CUT)


def _reaches(spot: Spot) -> float:
    """Half the long axis."""
    return spot.diameter * np.sqrt(spot.elongation) / 2


def apart(spot: Spot, spots: Sequence[Spot]) -> float:
    """Distance to the nearest other lesion's edge, in the spot's own diameters.

    As if both pointed their long axes at each other, so it is never less.
    """
    away = [
        np.hypot(each.x - spot.x, each.y - spot.y) - _reaches(each) - _reaches(spot)
        for each in spots
        if each != spot
    ]
    return min(away, default=np.inf) / spot.diameter


def side(spot: Spot) -> float:
    """Of a lesion's close-up, in radii."""
    return max(_LEAST_SIDE, _CLOSE * spot.diameter)


def overlap(first: Spot, second: Spot) -> bool:
    """Whether the close-ups of two lesions overlap, or nearly so."""
    reach = (side(first) + side(second)) / 2 + _BETWEEN
    return abs(first.x - second.x) < reach and abs(first.y - second.y) < reach


class Criteria(NamedTuple):
    """What a lesion must have to be shown."""

    least: tuple  #: diameter and contrast, without its sign
    longest: float = np.inf  #: largest elongation
    alone: float = -np.inf  #: how far :func:`apart` from all others it is at least


def conspicuous(
    spots: Sequence[Spot],
    kind: str,
    half: float,
    criteria: Criteria,
    count: int = 1,
    chosen: Sequence[Any] = (),
) -> list[Spot]:
    """The most conspicuous lesions of a kind: the largest diameter × contrast first.

    Parameters
    ----------
    spots : list of Spot
        All of an eye.
    kind : str
    half : float
        How far from the center rows are seen.
    criteria : Criteria
    count : int
    chosen : sequence of Spot
        Others; close-ups of all that are chosen do not overlap.

    Returns
    -------
    list of Spot
        Fewer than ``count`` where there are fewer.
    """
    fitting = [
        spot
        for spot in spots
        if spot.kind == kind
        and spot.clear
        and spot.diameter >= criteria.least[0]
        and abs(spot.contrast) >= criteria.least[1]
        and spot.elongation <= criteria.longest
        and well_inside((spot.x, spot.y), half)
    ]
    fitting.sort(key=lambda spot: -spot.diameter * abs(spot.contrast))
    best = []
    for spot in fitting:
        if (
            not any(overlap(spot, each) for each in (*chosen, *best))
            and apart(spot, spots) >= criteria.alone
        ):
            best.append(spot)
        if len(best) == count:
            break
    return best


def first(
    seed: int, grades: Sequence[int], patients: int, choose: Callable[..., Any]
) -> tuple[str, Synthetic, Any]:
    """The first synthetic eye of a data set that shows what is wanted.

    Patients in their order, the left eye first; eyes with artifacts do not count.

    Parameters
    ----------
    seed : int
        Of the data set.
    grades : sequence of int
        Which an eye may have.
    patients : int
        How many to search at most.
    choose : function
        From a :class:`Synthetic` eye to what is shown of it, or None.

    Returns
    -------
    name : str
        For example "17_left".
    eye : Synthetic
    chosen
        What ``choose`` gave.

    Raises
    ------
    ValueError
        If there is none.
    """
    for patient in range(patients):
        wanted = synthetic.grades([seed, patient])
        for side, grade in zip(fundus.SIDES, wanted):
            if grade not in grades:
                continue
            eye = Synthetic(synthetic.eye([seed, patient], side))
            chosen = None if eye.scene.artifacts else choose(eye)
            if chosen:
                return f"{patient}_{side}", eye, chosen
    raise UserError(
        f"none of {patients:,} synthetic patients with seed {seed} shows what the "
        "figure is about; try another --seed"
    )
