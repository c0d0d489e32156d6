"""Validation of the labeler of features, where the truth is known.

On ground-truth features in synthetic fundus photographs, on random filters, and on the features
of the die's networks, where masks are exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from cnnviz.datasets import die360
from cnnviz.dissection import ground_truth_features, validation, validation_die
from cnnviz.dissection.ground_truth_features import GroundTruthPhotograph
from cnnviz.dissection.validation import RandomFilters, Row
from cnnviz.dissection.validation_die import DieFeature, Networks, Steps
from cnnviz.networks import die
from cnnviz.runtime.errors import UserError

__all__ = ["Null", "Validation", "Wanted", "check_networks", "validate"]


@dataclass(frozen=True)
class Wanted:
    """How large the validation is."""

    photographs: int = 20  #: synthetic ones; more than nine
    filters: int = 80  #: random ones of each test
    permutations: int = 9999  #: places by chance for every p-value


class Null(NamedTuple):
    """A test with random filters."""

    sees: str  #: what the filters see
    concepts: str  #: whose concepts are said to be there
    found: RandomFilters
    allowed: tuple[str, ...] | None  #: labels that may be true; None where any may


@dataclass(frozen=True)
class Validation:
    """What the labeler said where the truth is known."""

    wanted: Wanted
    ground_truth: list[Row]
    random_filters: list[Null]
    die: list[DieFeature]
    steps: dict[tuple[str, str, int], Steps]
    views: int  #: of the die
    different: int  #: of these, that do not show the same


def check_networks(names: Sequence[str]) -> None:
    """Refuse networks of the die without pooling layers.

    Raises
    ------
    UserError
    """
    unknown = set(names) - set(die.CONVOLUTIONAL)
    if unknown:
        raise UserError(
            f"no network with pooling layers: {', '.join(sorted(unknown))}; "
            f"choose from {', '.join(die.CONVOLUTIONAL)}"
        )


def validate(data: die360.Die360, networks: Networks, wanted: Wanted) -> Validation:
    """Run the whole validation.

    Parameters
    ----------
    data : die360.Die360
    networks : Networks
        Of the die.
    wanted : Wanted
    """
    check_networks(networks.names)
    images = validation_die.views(data)
    features, steps = validation_die.on_die(images, networks, wanted.permutations, progress=True)
    photographs = list(
        tqdm(
            ground_truth_features.photographs(wanted.photographs),
            unit=" photographs",
            total=wanted.photographs,
            mininterval=1,
        )
    )
    return Validation(
        wanted,
        validation.on_ground_truth(photographs, wanted.permutations, progress=True),
        _random_filters(photographs, wanted),
        features,
        steps,
        len(images),
        len(np.unique(images.keys)),
    )


def _random_filters(photographs: Sequence[GroundTruthPhotograph], wanted: Wanted) -> list[Null]:
    own = [photograph.index for photograph in photographs]
    colors = slice(0, ground_truth_features.NOISE)
    noise = slice(ground_truth_features.NOISE, None)
    (in_noise,), (with_own, with_others) = (
        validation.on_random_filters(
            photographs, markings, wanted.filters, channels, wanted.permutations, progress=True
        )
        for markings, channels in (
            ([own], noise),
            ([own, validation.of_others(photographs)], colors),
        )
    )
    return [
        Null("noise", "the photograph's", in_noise, ()),
        Null("the photograph", "another patient's", with_others, ("field edge",)),
        Null("the photograph", "the photograph's", with_own, None),
    ]
