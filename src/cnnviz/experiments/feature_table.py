"""One row for every feature: what it detects, by measurement (thesis Table 4.1)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from cnnviz.datasets.concepts import CONCEPTS
from cnnviz.dissection import labels, network_dissection
from cnnviz.dissection.judgment import Judged, judge
from cnnviz.dissection.labeler import LocalizedLayer

__all__ = ["MEASURES", "column", "csv", "is_significant", "table", "values"]

MEASURES = ("share", "lift", "q", "iou")
#: Measured of a feature: over how many hemorrhages its saliency spreads, and the mean grade of
#: the photographs that activate it most.
OTHERS = ("spread", "disease")

#: From (network, layer).
Measured = Mapping[tuple[str, str], tuple[LocalizedLayer, np.ndarray]]


def column(measure: str, concept: str) -> str:
    """Name of a column."""
    return f"{measure}: {concept}"


def table(measured: Measured) -> pd.DataFrame:
    """What every feature detects.

    Parameters
    ----------
    measured : dict
        From (network, layer), the former "trained" or "random", to where the saliency of its
        features lies, with the measures "spread" and "disease", and to the overlap of its maps
        with concepts ``(features, concepts)``.

    Returns
    -------
    pandas.DataFrame
        Columns ``weights``, ``layer``, ``feature``, ``label`` (by localization, p-values
        adjusted over all rows), ``overlap`` (label by overlap), ``spread``, ``disease``,
        ``gradient`` (over the layer's median) and every measure of every concept.  They are NaN
        and both labels "other" for filters that hardly learned
        (:func:`cnnviz.dissection.labels.responds`).
    """
    judged = judge([localized for localized, _ in measured.values()])
    return pd.concat(
        [_rows(*key, each, *found) for each, (key, found) in zip(judged, measured.items())],
        ignore_index=True,
    )


def _rows(
    weights: str, layer: str, judged: Judged, localized: LocalizedLayer, iou: np.ndarray
) -> pd.DataFrame:
    iou = np.where(judged.responds[:, np.newaxis], iou, np.nan)
    rows: dict[str, Any] = {
        "weights": weights,
        "layer": layer,
        "feature": np.arange(len(iou)),
        "label": judged.labels(CONCEPTS),
        "overlap": network_dissection.detectors(iou, CONCEPTS),
        **{name: np.where(judged.responds, localized.measures[name], np.nan) for name in OTHERS},
        "gradient": judged.gradient,
    }
    measures = {"share": judged.share, "lift": judged.lift, "q": judged.q, "iou": iou}
    rows |= {
        column(name, concept): found[:, k]
        for name, found in measures.items()
        for k, concept in enumerate(CONCEPTS)
    }
    return pd.DataFrame(rows)


def values(rows: pd.DataFrame, measure: str) -> np.ndarray:
    """One measure of all concepts, float array ``(rows, concepts)``."""
    return rows[[column(measure, concept) for concept in CONCEPTS]].to_numpy(float)


def is_significant(rows: pd.DataFrame) -> np.ndarray:
    """Which concepts every row's feature points at, ``(rows, concepts)``."""
    share, lift, q = (values(rows, name) for name in ("share", "lift", "q"))
    return labels.is_significant(share, lift, q)


def csv(rows: pd.DataFrame) -> str:
    """Text of the table; four digits, so that another processor's last ones do not count."""
    return rows.to_csv(
        index=False, float_format=lambda value: f"{value:.4g}" if np.isfinite(value) else ""
    )
