"""Which features play the parts of the thesis's Figures 4.5 to 4.21, by a rule for each part."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cnnviz.datasets.concepts import CONCEPTS
from cnnviz.dissection import labels
from cnnviz.experiments.feature_table import column, is_significant, values
from cnnviz.experiments.figure_parts import PARTS, Part
from cnnviz.runtime.errors import UserError

__all__ = ["RULES", "choose", "every", "evidence"]

_WORTH_A_WORD = 0.02  # of the saliency


def _index(concepts: Sequence[str]) -> list[int]:
    return [CONCEPTS.index(name) for name in concepts]


def _finite(array: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(array), array, -np.inf)


def _lifts(rows: pd.DataFrame, concepts: Sequence[str]) -> np.ndarray:
    """Lift of those concepts; of next to no saliency it says nothing, ``(rows, n)``.

    Below the least share of a label the share counts instead, as a number from -1
    to 0, so that the nearest feature is found where none has enough.
    """
    lift, share = (
        np.nan_to_num(values(rows, name))[:, _index(concepts)] for name in ("lift", "share")
    )
    least = labels.LEAST_SHARE
    return np.where(share >= least, lift, share / least - 1)


def _single(rows: pd.DataFrame, concepts: Sequence[str]) -> np.ndarray:
    """Of the features with that label, the one that exceeds chance by most; of all, if none."""
    labeled = rows["label"].to_numpy() == concepts[0]
    score = _lifts(rows, concepts)[:, 0]
    return np.where(labeled, score, score - 1e6)


def _pair(rows: pd.DataFrame, concepts: Sequence[str]) -> np.ndarray:
    """That exceeds chance by most for the concept for which it exceeds it less."""
    return _lifts(rows, concepts).min(axis=1)


def _several(rows: pd.DataFrame, concepts: Sequence[str]) -> np.ndarray:
    """Of those that point at most of the concepts, the one with most saliency on them."""
    chosen = _index(concepts)
    share = np.nan_to_num(values(rows, "share"))[:, chosen].sum(axis=1)
    return is_significant(rows)[:, chosen].sum(axis=1) + share


def _any(rows: pd.DataFrame, concepts: Sequence[str]) -> np.ndarray:
    """With that label; of those, the one that exceeds chance by most."""
    labeled = rows["label"].isin(concepts).to_numpy()
    return np.where(labeled, 1e6, 0) + _lifts(rows, concepts).max(axis=1)


def _cluster(rows: pd.DataFrame, concepts: Sequence[str]) -> np.ndarray:
    """Of those that point at them, the one whose saliency spreads over most of them."""
    points = is_significant(rows)[:, _index(concepts)[0]]
    return _finite(rows["spread"].to_numpy(float)) - np.where(points, 0, 1e6)


def _unclear(rows: pd.DataFrame, concepts: Sequence[str]) -> np.ndarray:
    """The one that exceeds chance least, whatever the concept."""
    return -_finite(values(rows, "lift")).max(axis=1)


def _disease(rows: pd.DataFrame, concepts: Sequence[str]) -> np.ndarray:
    """Of those without a label, the one whose strongest photographs have the highest grades."""
    unlabeled = (rows["label"] == labels.OTHER).to_numpy()
    return _finite(rows["disease"].to_numpy(float)) - np.where(unlabeled, 0, 1e6)


RULES: dict[str, Callable[[pd.DataFrame, Sequence[str]], np.ndarray]] = {
    "single": _single,
    "pair": _pair,
    "several": _several,
    "any": _any,
    "cluster": _cluster,
    "unclear": _unclear,
    "disease": _disease,
}


def choose(features: pd.DataFrame, parts: Sequence[Part] = PARTS) -> pd.DataFrame:
    """The features that play the parts.

    Parameters
    ----------
    features : pandas.DataFrame
        From :func:`cnnviz.experiments.feature_table.table`; ``weights`` are "trained" and "random".
    parts : sequence of Part

    Returns
    -------
    pandas.DataFrame
        A row for each part: ``figure``, ``weights``, ``layer``, ``feature``, ``label``,
        ``wanted`` (concepts), ``rule`` in words, and ``evidence``.  In one figure no
        feature plays two parts, and one with hardly a gradient plays none.

    Raises
    ------
    UserError
        For a layer that the table lacks.
    """
    chosen: list[dict[str, Any]] = []
    taken: set[tuple[Any, ...]] = set()
    for part in parts:
        rows = features[
            (features["weights"] == part.weights)
            & (features["layer"] == part.layer)
            & (features["gradient"] >= labels.LEAST_GRADIENT)
        ]
        if not len(rows):
            raise UserError(f"no feature of layer {part.layer} with {part.weights} weights")
        score = RULES[part.rule](rows, part.concepts)
        for row in rows.iloc[np.argsort(-score, kind="stable")].itertuples():
            key = (part.figure, part.weights, part.layer, row.feature)
            if key not in taken:
                taken.add(key)
                break
        chosen.append(_chosen(part, rows.loc[row.Index]))
    return pd.DataFrame(chosen)


def every(features: pd.DataFrame) -> pd.DataFrame:
    """The same for a page of each feature, in the table's order.

    Returns
    -------
    pandas.DataFrame
        As from :func:`choose`; ``figure`` is "trained_pool3_17", for example.
    """
    return pd.DataFrame(
        [
            {
                **_chosen(Part("", row["layer"], "unclear", (), row["weights"]), row),
                "figure": f"{row['weights']}_{row['layer']}_{row['feature']}",
                "rule": "every feature",
            }
            for _, row in features.iterrows()
        ]
    )


def _chosen(part: Part, row: Any) -> dict[str, Any]:
    return {
        "figure": part.figure,
        "weights": part.weights,
        "layer": part.layer,
        "feature": int(row["feature"]),
        "label": row["label"],
        "wanted": " and ".join(part.concepts)
        if part.rule in ("single", "pair")
        else ", ".join(part.concepts),
        "rule": RULES[part.rule].__doc__,
        "evidence": evidence(row, part.concepts),
    }


def evidence(row: Any, concepts: Sequence[str] = ()) -> str:
    """In words: on what the feature's saliency lies, and against what by chance."""
    lift = np.array([row[column("lift", each)] for each in CONCEPTS], float)
    shown = [
        concept
        for concept in concepts
        if np.isfinite(row[column("lift", concept)])
        and row[column("share", concept)] >= _WORTH_A_WORD
    ]
    shown = (
        shown or [concept for concept in concepts if np.isfinite(row[column("lift", concept)])][:2]
    )
    if not shown and np.isfinite(lift).any():
        shown = [CONCEPTS[int(np.nanargmax(lift))]]
    return "; ".join(
        f"{each}: {100 * row[column('share', each)]:.1f} % of the saliency, "
        f"{row[column('lift', each)]:.1f} times chance"
        for each in shown
    )
