"""Evaluation of attribution maps: claims, verdicts and what the numbers say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnnviz.evaluation.benchmark import CENTER, RANDOM
from cnnviz.evaluation.layer_methods import METHODS
from cnnviz.runtime.number_format import fixed
from cnnviz.thesis.tables.map_quality_statistics import ALL, estimate, in_order

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CASCADES", "CLAIMS", "NAMES", "SAME", "Claim", "findings", "judged", "steps", "yes_no"]

SAME = 0.5  # rank correlation above which two maps count as the same
CASCADES = {"cascade, signed": "with their sign", "cascade": "by magnitude"}
NAMES = {
    "gradient max": "gradient of max(F)",
    "gradient sum": "gradient of sum(F)",
    "occlusion": "occlusion",
    "deconvnet": "deconvolutional network",
    "guided": "guided back-propagation",
    CENTER: "*center of the receptive field*",
    RANDOM: "*chance*",
}


class Claim(NamedTuple):
    """What the thesis says of its methods, as measured values that exceed others."""

    text: str
    measured: str  #: in words
    pairs: tuple  #: of columns of :func:`wide`: the first is said to exceed the second


def _agree(first, second, measure: str = "agreement"):
    first, second = sorted((first, second), key=METHODS.index)
    return (measure, first, second)


def _more_alike(measure):
    """Max and occlusion against each of them and the sum."""
    alike = _agree("gradient max", "occlusion", measure)
    return tuple(
        (alike, _agree(each, "gradient sum", measure)) for each in ("gradient max", "occlusion")
    )


def _more(measure, larger, smaller):
    return (measure, larger, ""), (measure, smaller, "")


#: Section 4.5, third paragraph, and chapter 6.
CLAIMS = (
    Claim(
        "Max and occlusion agree more with each other than with sum",
        "rank correlation, in the receptive field",
        _more_alike("agreement"),
    ),
    Claim("The same", "rank correlation, whole picture", _more_alike("agreement, picture")),
    Claim(
        "Max and occlusion mark a more specific region than sum",
        "share of the picture that holds half of the map, sum less the other",
        tuple(_more("half", "gradient sum", each) for each in ("gradient max", "occlusion")),
    ),
    Claim(
        "Sum shows more details than max",
        "separate important areas, sum less max",
        (_more("areas", "gradient sum", "gradient max"),),
    ),
    Claim(
        "Gradients show more details than occlusion",
        "separate important areas, gradient less occlusion",
        tuple(_more("areas", each, "occlusion") for each in ("gradient max", "gradient sum")),
    ),
)


def yes_no(intervals: Sequence[tuple[float, float]]) -> str:
    """Whether all differences exceed zero, by their intervals.

    Parameters
    ----------
    intervals : sequence of (low, high)

    Returns
    -------
    str
        "yes" if all lie above zero, "no" if one lies below it, else "open".
    """
    low, high = np.array(intervals, float).reshape(-1, 2).T
    if len(low) and (low > 0).all():
        return "yes"
    return "no" if (high < 0).any() else "open"


def judged(table: pd.DataFrame) -> Any:
    """The thesis's claims, measured.

    Parameters
    ----------
    table : DataFrame
        From :func:`wide`.

    Returns
    -------
    list of dict
        ``claim``, ``measured``, ``data``, ``differences`` (of :func:`estimate`) and
        ``verdict``, where there are measurements.
    """
    rows = []
    for claim in CLAIMS:
        for data in in_order(table, "data"):
            part = table.loc[[data]]
            if not all(column in part for pair in claim.pairs for column in pair):
                continue
            differences = [estimate(part[first] - part[second]) for first, second in claim.pairs]
            if all(each["maps"] for each in differences):
                rows.append(
                    {
                        "claim": claim.text,
                        "measured": claim.measured,
                        "data": data,
                        "differences": differences,
                        "verdict": yes_no([(each["low"], each["high"]) for each in differences]),
                    }
                )
    return rows


def _found(frame: pd.DataFrame, data: str, measure: str) -> dict[str, Any]:
    """Rows of all layers, by method."""
    chosen = frame[
        (frame["data"] == data) & (frame["layer"] == ALL) & (frame["measure"] == measure)
    ]
    return {row.method: row for row in chosen.itertuples()}


def _sorted_out(rows: Mapping[str, Any]) -> dict[str, list[str]]:
    """Methods whose difference lies above zero, around it, and below."""
    kinds = {"yes": [], "open": [], "no": []}
    for method in METHODS:
        if method in rows:
            kinds[yes_no([(rows[method].low, rows[method].high)])].append(NAMES[method])
    return kinds


def _listed(names: Sequence[str]) -> str:
    names = list(names)
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _sentence(rows: Mapping[str, Any], what: str) -> str:
    """Which methods do what, which do the opposite, of which it is not known."""
    kinds = _sorted_out(rows)
    parts = [f"{what}: {_listed(kinds['yes']) or 'no method'}"]
    if kinds["no"]:
        parts.append(f"the opposite: {_listed(kinds['no'])}")
    if kinds["open"]:
        parts.append(f"the interval includes zero: {_listed(kinds['open'])}")
    return "; ".join(parts) + "."


_SENTENCES = {
    "pointing − chance": "The map's maximum lies on what the feature is about more often "
    "than by chance",
    "mass − chance": "More of the map lies on it than by chance",
    f"mass − {CENTER}": "More than of a Gaussian at the center of the neuron's receptive field",
    f"deletion − {RANDOM}": "Removing what the map marks lowers the activation sooner "
    "than removing pixels at random",
    f"insertion − {RANDOM}": "Restoring what the map marks restores it sooner than "
    "pixels at random",
}


def findings(frame: pd.DataFrame) -> dict[str, list[str]]:
    """Sentences that follow from the numbers.

    Parameters
    ----------
    frame : DataFrame
        From :func:`means_of`.

    Returns
    -------
    dict
        From data to lists of str.
    """
    return {
        data: [*_comparisons(frame, data), *_best(frame, data), *_randomized(frame, data)]
        for data in dict.fromkeys(frame["data"])
    }


def _comparisons(frame: pd.DataFrame, data: str) -> Iterator[str]:
    for measure, what in _SENTENCES.items():
        rows = _found(frame, data, measure)
        if rows:
            yield _sentence(rows, what)


def _best(frame: pd.DataFrame, data: str) -> Iterator[str]:
    """Which method is first in every measure."""
    for measure, direction, what in (
        ("mass", max, "The largest share on it"),
        ("deletion", min, "The smallest area of deletion"),
        ("insertion", max, "The largest area of insertion"),
    ):
        rows = {
            method: row.value
            for method, row in _found(frame, data, measure).items()
            if method in METHODS
        }
        if rows:
            first = direction(rows, key=rows.__getitem__)
            yield f"{what}: {NAMES[first]} ({fixed(rows[first])})."


def steps(frame: pd.DataFrame, data: str, measure: str) -> pd.DataFrame:
    """Rows of randomized networks, from the top layer down."""
    return frame[(frame["data"] == data) & (frame["layer"] == ALL) & (frame["measure"] == measure)]


def _randomized(frame: pd.DataFrame, data: str) -> Iterator[str]:
    """Which maps survive a random network."""
    for measure, words in CASCADES.items():
        chosen = steps(frame, data, measure)
        if not len(chosen):
            continue
        last = chosen[chosen["other"] == chosen["other"].iloc[-1]]
        same = [NAMES[row.method] for row in last.itertuples() if row.low > SAME]
        changed = [NAMES[row.method] for row in last.itertuples() if row.high < SAME]
        yield (
            f"With all layers random, maps {words} still agree with the trained network's "
            f"(rank correlation above {SAME}): {_listed(same) or 'no method'}; they do "
            f"not: {_listed(changed) or 'no method'}."
        )
