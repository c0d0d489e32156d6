"""Exemplars beside data: what the numbers say of each claim (thesis sections 4.4 and 6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from cnnviz.feature_visualization.analysis_records import METHODS
from cnnviz.runtime.number_format import fixed
from cnnviz.thesis.tables.exemplar_numbers import (
    MARGIN,
    STOPPED,
    TWINS,
    chosen,
    comparisons,
    is_saturating,
    local_maxima,
    medians,
)
from cnnviz.thesis.tables.spans import listed, number, spread

__all__ = ["NETWORKS", "Verdict", "named", "verdicts"]

#: What the table calls a network; others go by their name.
NETWORKS = {
    "c4": "c4, rectifier",
    "c4_sigmoid": "c4, sigmoid",
    "defauw surrogate": "De Fauw's, surrogate weights",
    "defauw defauw": "De Fauw's, his weights",
    "defauw random": "De Fauw's, random weights",
}
_FAR = 10  # times the largest activation on data
_FACTOR = 2  # between local maxima
_TWO = " → ".join(TWINS)
# How the claims begin that follow from the thesis's explanation.
_FOLLOWS = ("Saturating units make", "Holding the norm makes")


class Verdict(NamedTuple):
    """What the numbers say of a claim."""

    claim: str
    network: str
    verdict: str  #: supported, partly supported or not supported
    evidence: str


def _judged(holds: Sequence[bool] | pd.Series) -> str:
    """Verdict on comparisons, each of which speaks for the claim or not."""
    share = np.mean(holds)
    if share == 1:
        return "supported"
    return "partly supported" if share > 0.5 else "not supported"


def _readable(claim: str, network: str, first: pd.DataFrame, second: pd.DataFrame) -> Verdict:
    compared = comparisons(first, second)
    parts = [
        f"{measure} {listed(rows['before'], fixed)} → {listed(rows['after'], fixed)}"
        for measure, rows in compared.groupby("measure", sort=False)
    ]
    return Verdict(
        claim,
        network,
        _judged(compared["better"]),
        f"better in {compared['better'].sum()} of {len(compared)} comparisons: " + "; ".join(parts),
    )


def _far(table: pd.DataFrame, network: str) -> Verdict:
    found = medians(chosen(table, network, "plain"), "over_maximum")
    return Verdict(
        "Optimized inputs activate rectifiers far more than data do.",
        network,
        _judged(found >= _FAR),
        f"{listed(found)} times the largest activation on data",
    )


def _bounded(table: pd.DataFrame, network: str) -> Verdict:
    rows = chosen(table, network, "plain")
    output = rows["output"] / rows["output_maximum"]
    linear = medians(rows, "over_maximum")
    return Verdict(
        "With saturating units that cannot happen.",
        network,
        _judged(output.groupby(rows["layer"]).median() < _FAR),
        f"outputs reach {spread(output, fixed)} times the largest on data; before "
        f"the sigmoid it is {listed(linear)}",
    )


def _nearer(table: pd.DataFrame) -> Verdict:
    holds, parts = [], []
    for name, words in (("square", "root mean square"), ("outside", "share outside")):
        one, other = (medians(chosen(table, network, "plain"), name) for network in TWINS)
        holds += (other < one).tolist()
        write = fixed if name == "outside" else number
        parts.append(f"{words} {listed(one, write)} → {listed(other, write)}")
    return Verdict(
        "Saturating units keep exemplars nearer to data.", _TWO, _judged(holds), "; ".join(parts)
    )


def _stays(table: pd.DataFrame) -> Verdict:
    one, other = (
        medians(chosen(table, network, "plain", "maximum"), "likeness") for network in TWINS
    )
    return Verdict(
        "Started from data, their exemplars remain like it.",
        _TWO,
        _judged(other - one >= MARGIN),
        f"likeness to the start {listed(one, fixed)} → {listed(other, fixed)}",
    )


def _stops(table: pd.DataFrame, network: str) -> list[Verdict]:
    early = medians(chosen(table, network, STOPPED, "2×"), "likeness")
    end = medians(chosen(table, network, "plain", "maximum"), "likeness")
    both = pd.DataFrame({"early": early, "end": end}).dropna()
    if both.empty:
        return []
    return [
        Verdict(
            "Stopped early, they are still like the data they started from.",
            network,
            _judged((both["early"] - both["end"]) >= MARGIN),
            f"likeness to the start {listed(both['early'], fixed)} at twice the largest "
            f"activation on data; {listed(both['end'], fixed)} at the end",
        )
    ]


def _starts_matter(table: pd.DataFrame, network: str) -> list[Verdict]:
    plain, sphere = (
        local_maxima(table[table["network"] == network], method) for method in METHODS[:2]
    )
    best = plain["best"].value_counts()
    return [
        Verdict(
            "Local maxima differ by as much as a factor 2 between starts.",
            network,
            _judged([np.nanmax(plain["ratio"], initial=0) >= _FACTOR]),
            f"largest over smallest: plain, {spread(plain['ratio'])}; norm held, "
            f"{spread(sphere['ratio'])}",
        ),
        Verdict(
            "No starting point is consistently best.",
            network,
            _judged([len(best) > 1]),
            "best, plain: " + ", ".join(f"{start} {count}" for start, count in best.items()),
        ),
    ]


def _hypothesis(judged: Sequence[Verdict]) -> list[Verdict]:
    """The thesis's explanation as a whole, from what would follow from it."""
    tests = [each for each in judged if each.claim.startswith(_FOLLOWS)]
    if not any(test.network == _TWO for test in tests):
        return []
    return [
        Verdict(
            "That rectifiers are unbounded is why their exemplars cannot be read.",
            "all",
            _judged([test.verdict == "supported" for test in tests]),
            "what would follow from it: "
            + "; ".join(
                f"{each.claim.rstrip('.')}, {named(each.network)}: {each.verdict}" for each in tests
            ),
        )
    ]


def verdicts(table: pd.DataFrame) -> list[Verdict]:
    """Claims of sections 4.4 and 6, and of this package, with their evidence.

    Parameters
    ----------
    table : DataFrame
        From :func:`frame`, of several networks.

    Returns
    -------
    list of Verdict
    """
    there = list(dict.fromkeys(table["network"]))
    rectified = [name for name in there if not is_saturating(name)]
    judged = [_far(table, name) for name in rectified]
    if set(TWINS) <= set(there):
        judged += [_bounded(table, TWINS[1]), _nearer(table), _stays(table)]
        for method, words in (("plain", "plain"), ("sphere", "norm held")):
            judged.append(
                _readable(
                    f"Saturating units make them easier to read ({words}).",
                    _TWO,
                    *(chosen(table, name, method) for name in TWINS),
                )
            )
    for name in rectified:
        plain, sphere = (chosen(table, name, method) for method in METHODS[:2])
        judged.append(_readable("Holding the norm makes them easier to read.", name, plain, sphere))
    for name in there:
        plain, regularized = (chosen(table, name, method) for method in METHODS[::2])
        judged.append(
            _readable("Regularizing makes them easier to read.", name, plain, regularized)
        )
    for name in rectified:
        judged += _stops(table, name) + _starts_matter(table, name)
    return _hypothesis(judged) + judged


def named(network: str) -> str:
    """Networks of a verdict as the table calls them."""
    return " → ".join(NETWORKS.get(name, name) for name in network.split(" → "))
