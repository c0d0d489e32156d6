"""Evaluation of attribution maps: means and intervals (beyond the thesis)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from cnnviz.evaluation import intervals
from cnnviz.evaluation.benchmark import CENTER, RANDOM
from cnnviz.evaluation.layer_methods import METHODS

__all__ = ["ALL", "KEYS", "SCORE", "estimate", "in_order", "means_of", "wide"]

KEYS = ["data", "layer", "concept", "feature", "image"]
ALL = "all layers"
SCORE = "class score"  # not a layer, and not among all of them
_RESAMPLES = 1000
_PLACES = ("pointing", "mass")
_CURVES = ("deletion", "insertion")
#: Measures that are summed up layer by layer too.
_BY_LAYER = ("chance", *_PLACES, *(f"{each}, signed" for each in _PLACES), *_CURVES)


def wide(frame: pd.DataFrame) -> pd.DataFrame:
    """One row for each feature on each image, one column for each measure.

    Parameters
    ----------
    frame : DataFrame
        Rows of 'cnnviz map-quality', all but those of lifts.

    Returns
    -------
    DataFrame
        Rows by :data:`KEYS`, columns by measure, method and other; with differences to
        chance, to the middle and to the random order.
    """
    frame = frame[frame["measure"] != "lift"]
    columns = ["measure", "method", "other"]
    table = frame.set_index([*KEYS, *columns])["value"].unstack(columns)
    # In the order of the rows, where pandas sorts.
    table = table.loc[
        pd.MultiIndex.from_frame(frame[KEYS].drop_duplicates()),
        pd.MultiIndex.from_frame(frame[columns].drop_duplicates()),
    ]
    return pd.concat([table, pd.DataFrame(dict(_differences(table)), index=table.index)], axis=1)


def _differences(table: pd.DataFrame) -> Iterator[tuple[tuple[str, str, str], pd.Series]]:
    """Named columns: how much better a method is than what it must beat."""
    for measure, method, other in table.columns:
        if measure in _PLACES and method in METHODS:
            measured = table[measure, method, other]
            yield (f"{measure} − chance", method, ""), measured - table["chance", "", ""]
            if (measure, CENTER, "") in table:
                yield (f"{measure} − {CENTER}", method, ""), measured - table[measure, CENTER, ""]
        if measure in _CURVES and method in METHODS:
            better = table[measure, method, other] - table[measure, RANDOM, ""]
            sign = -1 if measure == "deletion" else 1
            yield (f"{measure} − {RANDOM}", method, ""), sign * better


def estimate(values: pd.Series) -> dict[str, float]:
    """Mean over features and images, with a bootstrap interval over images.

    Parameters
    ----------
    values : Series
        Indexed by :data:`KEYS`; NaN counts for nothing.

    Returns
    -------
    dict
        ``value``, ``low``, ``high``, ``maps`` and ``images``; the interval is NaN for
        fewer than two images.
    """
    values = values.dropna()
    by_image = values.groupby("image", sort=False).agg(["sum", "count"]).to_numpy()
    low = high = np.nan
    if len(by_image) > 1:
        low, high = intervals.bootstrap_interval(
            by_image, lambda rows: rows[:, 0].sum() / rows[:, 1].sum(), count=_RESAMPLES
        )
    return {
        "value": values.mean(),
        "low": low,
        "high": high,
        "maps": len(values),
        "images": len(by_image),
    }


def means_of(table: pd.DataFrame) -> pd.DataFrame:
    """Means with intervals, for every layer and for all of them.

    Parameters
    ----------
    table : DataFrame
        From :func:`wide`.

    Returns
    -------
    DataFrame
        ``data``, ``layer``, ``measure``, ``method``, ``other``, and what
        :func:`estimate` gives.
    """
    rows = []
    for data in in_order(table, "data"):
        part = table.loc[[data]]
        for layer in [*in_order(part, "layer"), ALL]:
            rows += _layer_summary(part, data, layer)
    return pd.DataFrame(rows)


def in_order(table: pd.DataFrame, level: str) -> list[str]:
    return list(dict.fromkeys(table.index.get_level_values(level)))


def _layer_summary(part: pd.DataFrame, data: str, layer: str) -> list[dict[str, Any]]:
    layers = part.index.get_level_values("layer")
    chosen = part[layers != SCORE] if layer == ALL else part[layers == layer]
    measured = chosen.columns[chosen.notna().any()]
    return [
        {
            "data": data,
            "layer": layer,
            **dict(zip(("measure", "method", "other"), each)),
            **estimate(chosen[each]),
        }
        for each in measured
        if layer == ALL or each[0] in _BY_LAYER
    ]
