"""What the thesis says of the layers of De Fauw's network, held against the labels."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cnnviz.datasets.concepts import LESIONS
from cnnviz.experiments import feature_table
from cnnviz.experiments.figure_parts import LAYERS

__all__ = ["claims"]

_EDGES = ("field edge", "overexposed rim")
Counts = dict[str, tuple[int, int]]  # from a layer to features of a kind, and all
Claim = tuple[str, bool, str]  # statement, whether it holds, evidence


def _counts(features: pd.DataFrame, weights: str, labels: Sequence[str]) -> Counts:
    rows = features[features["weights"] == weights]
    return {
        layer: (
            int(rows.loc[rows["layer"] == layer, "label"].isin(labels).sum()),
            int((rows["layer"] == layer).sum()),
        )
        for layer in LAYERS
    }


def _beyond_chance(features: pd.DataFrame, weights: str) -> Counts:
    """The same for features that exceed chance for a lesion, whatever their label."""
    significant = feature_table.is_significant(features)[:, : len(LESIONS)].any(axis=1)
    rows = (features["weights"] == weights).to_numpy()
    return {
        layer: (
            int((significant & rows & (features["layer"] == layer).to_numpy()).sum()),
            int((rows & (features["layer"] == layer).to_numpy()).sum()),
        )
        for layer in LAYERS
    }


def _shares(counts: Counts) -> str:
    return ", ".join(
        f"{layer} {count / total:.0%}" for layer, (count, total) in counts.items() if total
    )


def _listed(counts: Counts) -> str:
    return ", ".join(f"{layer} {count} of {total}" for layer, (count, total) in counts.items())


def claims(features: pd.DataFrame) -> list[Claim]:
    """The thesis's statements about layers, held against the labels.

    Returns
    -------
    list of (statement, bool, evidence)
    """
    return [*_lesion_claims(features), *_edge_claims(features)]


def _lesion_claims(features: pd.DataFrame) -> list[Claim]:
    trained, random = (_counts(features, weights, LESIONS) for weights in ("trained", "random"))
    mixed = {weights: _beyond_chance(features, weights) for weights in ("trained", "random")}
    deep = [count / max(total, 1) for count, total in list(trained.values())[2:]]
    return [
        (
            "Lesion detectors appear only from the third pooling layer on",
            trained["pool1"][0] + trained["pool2"][0] == 0 and trained["pool3"][0] > 0,
            _listed(trained),
        ),
        (
            "Their share grows with depth",
            bool(np.all(np.diff(deep) > 0)),
            "labeled: "
            + _shares(trained)
            + "; beyond chance for a lesion, mixtures included: "
            + _shares(mixed["trained"]),
        ),
        (
            "The random network has no lesion detector",
            sum(c for c, _ in random.values()) == 0,
            _listed(random)
            + "; beyond chance for a lesion, mixtures included: "
            + _listed(mixed["random"]),
        ),
    ]


def _edge_claims(features: pd.DataFrame) -> list[Claim]:
    edges = {weights: _counts(features, weights, _EDGES) for weights in ("trained", "random")}
    first = {layer: edges["trained"][layer] for layer in LAYERS[:2]}
    return [
        (
            "The first two layers see edges of the field of view or overexposed ones, with few "
            "exceptions",
            all(count > total / 2 for count, total in first.values()),
            _listed(first),
        ),
        (
            "The random network sees these edges in every layer",
            all(count > total / 2 for count, total in edges["random"].values()),
            _listed(edges["random"]),
        ),
    ]
