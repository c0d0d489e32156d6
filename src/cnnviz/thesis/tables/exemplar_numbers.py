"""Exemplars beside data: tidy numbers, and what is derived from them (thesis section 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cnnviz.feature_visualization.analysis_records import LEVELS, METHODS
from cnnviz.feature_visualization.measures import DISTANCES
from cnnviz.networks.die_architectures import ARCHITECTURES

if TYPE_CHECKING:
    from cnnviz.experiments.exemplar_statistics import ExemplarStatistics
    from cnnviz.feature_visualization.analysis_records import LayerStatistics

__all__ = [
    "MARGIN",
    "STARTS",
    "STOPPED",
    "TWINS",
    "chosen",
    "comparisons",
    "frame",
    "is_saturating",
    "local_maxima",
    "medians",
]

#: The same architecture with rectifiers and with sigmoid units.
TWINS = ("c4", "c4_sigmoid")
STARTS = ("maximum", "mean")  # and the noise of each seed
STOPPED = "stopped"
MARGIN = 0.1  # between measures of two kinds of exemplars


def is_saturating(network: str) -> bool:
    """Whether a network of the die has units that saturate."""
    return network in ARCHITECTURES and ARCHITECTURES[network].units == "sigmoid"


def frame(statistics: ExemplarStatistics) -> pd.DataFrame:
    """All numbers of one network's exemplars, a row for each exemplar.

    Parameters
    ----------
    statistics : cnnviz.experiments.exemplar_statistics.ExemplarStatistics

    Returns
    -------
    DataFrame
        ``network, layer, patch, feature, method, start`` and the measures.  Stopped
        ascents have the method "stopped" and the level in the place of the start.
    """
    network = statistics.network + (f" {statistics.weights}" if statistics.weights else "")
    rows = []
    for layer, part in statistics.layers.items():
        of_layer = [row for method in METHODS for row in _rows(part, method)] + _stopped(part)
        patch = " × ".join(map(str, part.strongest.shape[2:]))
        rows += [{**row, "layer": layer, "patch": patch} for row in of_layer]
    table = pd.DataFrame(rows)
    table.insert(0, "network", network)
    first = ["network", "layer", "patch"]
    return table[first + [name for name in table.columns if name not in first]]


def _over(values: float, maxima: float) -> Any:
    """Quotients by what data reach; NaN where that is not positive."""
    return values / np.where(maxima > 0, maxima, np.nan)


def _starts(method: str, runs: int) -> list[str]:
    named = () if method == "regularized" else STARTS
    return [*named, *(f"noise {k}" for k in range(runs - len(named)))]


def _rows(part: LayerStatistics, method: str) -> list[dict[str, float | str]]:
    """Rows of one layer and method."""
    made, rows = part.methods[method], []
    for run, start in enumerate(_starts(method, len(made.reached))):
        for k, feature in enumerate(part.features.tolist()):
            rows.append(
                {
                    "feature": feature,
                    "method": method,
                    "start": start,
                    "maximum": part.maximum[k],
                    "output_maximum": part.output_maximum[k],
                    "reached": made.reached[run, k],
                    "over_maximum": _over(made.reached[run, k], part.maximum[k]),
                    "output": made.output[run, k],
                    "square": made.square[run, k],
                    "outside": made.outside[run, k],
                    "likeness": made.likeness[run, k],
                    **{f"transfer_{d}": made.transfer[j, run, k] for j, d in enumerate(DISTANCES)},
                    "diversity": made.diversity[k],
                }
            )
    return rows


def _stopped(part: LayerStatistics) -> list[dict[str, float | str]]:
    """Rows of the ascents from the strongest patch, stopped early."""
    return [
        {
            "feature": feature,
            "method": STOPPED,
            "start": f"{level}×",
            "maximum": part.maximum[k],
            "output_maximum": part.output_maximum[k],
            "reached": part.early.reached[j, k],
            "over_maximum": _over(part.early.reached[j, k], part.maximum[k]),
            "likeness": part.early.likeness[j, k],
        }
        for j, level in enumerate(LEVELS)
        for k, feature in enumerate(part.features.tolist())
    ]


def chosen(
    table: pd.DataFrame, network: str, method: str, start: str | None = None
) -> pd.DataFrame:
    chosen = (table["network"] == network) & (table["method"] == method)
    if start is not None:
        chosen &= table["start"].str.startswith(start)
    return table[chosen]


def medians(rows: pd.DataFrame, name: str) -> pd.Series:
    """Median over features and starts, by layer in its order."""
    return rows.groupby("layer", sort=False)[name].median()


def _transfer(rows: pd.DataFrame) -> pd.Series:
    """Mean transfer over the distances, of every exemplar."""
    return rows[[f"transfer_{distance}" for distance in DISTANCES]].mean(axis=1)


def local_maxima(table: pd.DataFrame, method: str) -> pd.DataFrame:
    """Local maxima that the thesis's three starting points lead to.

    Parameters
    ----------
    table : DataFrame
        From :func:`frame`.
    method : str
        "plain" or "sphere".

    Returns
    -------
    DataFrame
        A row for each network, layer and feature: the activation reached from
        ``maximum``, ``mean`` and ``noise``, the ``best`` of them, and the
        ``ratio`` of the largest to the smallest, NaN where one is not positive.
    """
    rows = table[(table["method"] == method) & table["start"].isin([*STARTS, "noise 0"])]
    keys = ["network", "layer", "feature"]
    reached = rows.pivot(index=keys, columns="start", values="reached")
    reached = reached.reindex(pd.MultiIndex.from_frame(rows[keys].drop_duplicates()))
    reached = reached.rename(columns={"noise 0": "noise"})[[*STARTS, "noise"]]
    low = reached.min(axis=1)
    return reached.assign(
        best=reached.idxmax(axis=1), ratio=reached.max(axis=1) / low.where(low > 0)
    ).reset_index()


def comparisons(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """What makes an exemplar more than noise, of two kinds of exemplars.

    Parameters
    ----------
    first, second : DataFrames
        Rows of :func:`frame`, each of one network and method.

    Returns
    -------
    DataFrame
        Medians of both, ``before`` and ``after``, by ``measure`` and
        ``layer``; and whether the second is ``better`` by 0.1 or more: keeps
        more of its activation when shifted, differs less between seeds, is
        more like the strongest patch.
    """
    tables = []
    for measure, sign in (("transfer", 1), ("diversity", -1), ("likeness", 1)):
        before, after = (
            medians(rows.assign(transfer=_transfer(rows)), measure) for rows in (first, second)
        )
        both = pd.DataFrame({"before": before, "after": after}).rename_axis("layer")
        both["better"] = sign * (both["after"] - both["before"]) >= MARGIN
        tables.append(both.reset_index().assign(measure=measure))
    return pd.concat(tables, ignore_index=True)
