"""Table 4.1: what the features of De Fauw's network detect, by measurement."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cnnviz.datasets.concepts import CONCEPTS
from cnnviz.dissection import label_statistics
from cnnviz.dissection.labels import LEAST_SHARE, MARGIN, MIXTURE, OTHER, RATE
from cnnviz.dissection.network_dissection import LEAST_OVERLAP
from cnnviz.experiments import feature_table, fundus_labels
from cnnviz.experiments.figure_parts import LAYERS
from cnnviz.experiments.fundus_labels import Labeled
from cnnviz.runtime import files
from cnnviz.thesis import markdown, number_tables
from cnnviz.thesis.number_tables import Reproduced
from cnnviz.thesis.tables.table_4_1_claims import claims

__all__ = ["COLUMNS", "PREFIX", "frequencies", "numbers", "reproduced", "text"]

PREFIX = "table_4_1."
Geometry = Mapping[str, tuple[int, int]]  # from a layer to its depth and side of its field
#: The thesis's columns and our labels.
COLUMNS = {
    "hard exudate": "Hard exudates",
    "microaneurysm": "Micro-aneurysms",
    "hemorrhage": "Hemorrhages",
    "optic disc": "Optic disk",
    "vessel": "Blood vessels",
    OTHER: "Other",
}
_PHOTOGRAPHS = {
    "synthetic": "{pairs} synthetic eye pairs",
    "idrid": "IDRiD, training and test split; labels from the photographs with outlined lesions "
    "and those of grade 0",
}
_WEIGHTS = {
    "surrogate": "the surrogate weights that come with the package",
    "defauw": "De Fauw's own",
    "random": "none; both networks are random",
}
_SAMPLED = 50

_CAPTION = """\
What the features of the pooling layers detect. The thesis looked at up to 50 features of
a layer, each on nine photographs. Here every feature is labeled by measurement: the
gradient of its map's maximum, in magnitude, on the nine photographs that activate it
most (of those whose lesions are marked); a concept counts if its share of that is at
least {margin:g} times the mean share at all other places of the same photographs and at
least {least:.0%}, with fewer than {rate:.0%} false discoveries among all features and
concepts (permutation test, Benjamini and Hochberg 1995). One concept gives the label;
with two or more it is a mixture, with none it is unclear, and both are "other", as is
everything that has no column (fovea, edge of the field of view, artifacts, soft exudates,
abnormal vessels).

Photographs: {photographs}. Weights: {weights}.

The first number is the frequency in all features of the layer. In brackets: how many it
would be in 50 sampled ones (or all, where a layer has fewer), with the middle 95 % of
2,000 bootstrap samples. **T**: the thesis's, by eye, of De Fauw's own weights on the
competition's photographs. His labels of single features are not published, so that
their agreement with ours (Cohen's kappa) cannot be computed.
"""


def frequencies(features: pd.DataFrame, weights: str) -> list[dict[str, Any]]:
    """Rows of :func:`.label_statistics.label_frequencies` of a network's features."""
    rows = features[features["weights"] == weights]
    return label_statistics.label_frequencies(
        {
            layer: rows.loc[rows["layer"] == layer, "label"].to_numpy()
            for layer in LAYERS
            if (rows["layer"] == layer).any()
        },
        [*COLUMNS],
        _SAMPLED,
    )


def numbers(features: pd.DataFrame, geometry: Geometry) -> dict[str, tuple[float, str, str]]:
    """Numbers of the trained network, in the thesis's terms.

    Parameters
    ----------
    features : pandas.DataFrame
        From :func:`cnnviz.experiments.feature_table.table`.
    geometry : dict
        From a layer to its depth and the side of its receptive field.

    Returns
    -------
    dict
        From an identifier, without :data:`PREFIX`, to value, unit and note.
    """
    result: dict[str, tuple[float, str, str]] = {}
    for layer, (depth, side) in geometry.items():
        result[f"{layer}.depth"] = (depth, "1", "")
        result[f"{layer}.receptive_field"] = (side, "px", "")
    for row in frequencies(features, "trained"):
        result[f"{row['layer']}.features"] = (row["features"], "1", "")
        note = (
            f"{row['count']} of {row['features']}; scaled to {row['sampled']}, "
            f"{row['low']:.3g} to {row['high']:.3g} in 95 % of samples"
        )
        result[f"{row['layer']}.{row['label'].replace(' ', '_')}"] = (
            round(row["mean"], 2),
            "1",
            note,
        )
    return result


def reproduced(
    measured: Mapping[str, tuple[float, str, str]], reported: pd.DataFrame, command: str
) -> list[Reproduced]:
    """The numbers that the thesis reports too, for the comparison.

    Parameters
    ----------
    measured : dict
        From :func:`numbers`.
    reported : pandas.DataFrame
        From :func:`cnnviz.thesis.number_tables.read_reported`.
    command : str
        That makes them.

    Returns
    -------
    list of cnnviz.thesis.number_tables.Reproduced
    """
    return [
        Reproduced(
            name,
            measured[name[len(PREFIX) :]][0],
            measured[name[len(PREFIX) :]][1],
            command,
            measured[name[len(PREFIX) :]][2],
        )
        for name in reported["id"]
        if name[len(PREFIX) :] in measured
    ]


def make(
    output: Path,
    *,
    dissected: Sequence[Path],
    localized: Sequence[Path],
    reported: Path,
    **written: Path | None,
) -> None:
    """Label the features of the networks and write Table 4.1.

    Parameters
    ----------
    output : path
        Markdown file.
    dissected, localized : lists of path
        Files of ``cnnviz dissect`` and ``cnnviz localize``, of each network one.
    reported : path
        The thesis's numbers.
    **written : path or None
        CSV files: ``features``, all of them; ``roles``, those of Figures 4.5 to 4.21;
        ``roles_of_all``, all in the same form; ``reproduced``, the numbers.
    """
    labeled = fundus_labels.label(dissected, localized)
    thesis = number_tables.read_reported([reported])
    files.write_text(written["features"], feature_table.csv(labeled.features))
    files.write_text(written["roles"], labeled.roles.to_csv(index=False))
    if written["roles_of_all"]:
        files.write_text(written["roles_of_all"], labeled.every.to_csv(index=False))
    measured = numbers(labeled.features, labeled.geometry)
    number_tables.write_reproduced(
        written["reproduced"], reproduced(measured, thesis, "make reproduce")
    )
    files.write_text(output, text(labeled, thesis))


# --- Text -------------------------------------------------------------------------


def _cell(row: Mapping[str, Any], thesis: float | None) -> str:
    text = f"{row['count']} ({row['mean']:.1f}; {row['low']:.3g} to {row['high']:.3g})"
    return text if thesis is None else f"{text} **T {thesis:g}**"


def _summary_rows(
    rows: Sequence[Mapping[str, Any]], geometry: Geometry, thesis: Mapping[str, float] | None
) -> Iterator[list[str]]:
    for layer, (depth, side) in geometry.items():
        own = {row["label"]: row for row in rows if row["layer"] == layer}
        if own:
            cells = [
                _cell(
                    own[label],
                    None
                    if thesis is None
                    else thesis.get(f"{PREFIX}{layer}.{label.replace(' ', '_')}", 0),
                )
                for label in COLUMNS
            ]
            features = next(iter(own.values()))["features"]
            yield [layer, str(depth), f"{side}×{side}", str(features), *cells]


def _all_labels(features: pd.DataFrame, column: str) -> list[str]:
    """Frequencies of all labels, network by network and layer by layer."""
    labels = [*CONCEPTS, MIXTURE, OTHER]
    counts = features.groupby(["weights", "layer"])[column].value_counts().unstack(fill_value=0)
    seen = [label for label in labels if label in counts]
    return markdown.table(
        ["weights", "layer", *seen],
        [
            [*place, *(counts.loc[place, label] for label in seen)]
            for place in itertools.product(("trained", "random"), LAYERS)
            if place in counts.index
        ],
    )


def _confusions(features: pd.DataFrame) -> Iterator[str]:
    """Pairs of concepts that features take for one another."""
    rows = features[features["weights"] == "trained"].reset_index(drop=True)
    pairs = label_statistics.confusion_pairs(feature_table.is_significant(rows), CONCEPTS)
    for first, second, index in pairs:
        where = rows.loc[index, "layer"].value_counts()
        listed = ", ".join(f"{layer} {where[layer]}" for layer in LAYERS if layer in where)
        yield f"* {first} and {second}: {len(index)} features ({listed})"


def text(labeled: Labeled, reported: pd.DataFrame) -> str:
    """The table as Markdown.

    Parameters
    ----------
    labeled : cnnviz.experiments.fundus_labels.Labeled
    reported : pandas.DataFrame
        The thesis's numbers.
    """
    features, geometry = labeled.features, labeled.geometry
    thesis = dict(zip(reported["id"], reported["value"].astype(float)))
    photographs, weights = words(labeled.origin)
    caption = _CAPTION.format(
        photographs=photographs, weights=weights, margin=MARGIN, least=LEAST_SHARE, rate=RATE
    )
    lines = [
        "# Table 4.1, measured\n",
        caption,
        *_network_lines("Trained network", "trained", features, geometry, thesis),
    ]
    if (features["weights"] == "random").any():
        lines += _network_lines("Randomly initialized network", "random", features, geometry, None)
    lines += [*_label_lines(features), *_claim_lines(features), *_role_lines(labeled.roles)]
    return "\n".join(lines) + "\n"


def words(origin: Mapping[str, Any]) -> tuple[str, str]:
    """Photographs that labels are from and weights in use, in words."""
    photographs = _PHOTOGRAPHS[origin["photographs"]].format(pairs=origin["photographs_pairs"])
    return photographs, _WEIGHTS[origin["weights"]]


def _network_lines(
    title: str,
    weights: str,
    features: pd.DataFrame,
    geometry: Geometry,
    thesis: Mapping[str, float] | None,
) -> list[str]:
    rows = frequencies(features, weights)
    head = ["layer", "depth", "receptive field", "features", *COLUMNS.values()]
    lines = markdown.table(head, _summary_rows(rows, geometry, thesis))
    return [f"## {title}", "", *lines, ""]


def _label_lines(features: pd.DataFrame) -> list[str]:
    return [
        "## All labels, by localization",
        "",
        *_all_labels(features, "label"),
        "",
        "## Labels by overlap (network dissection, intersection over union "
        f"above {LEAST_OVERLAP:g})",
        "",
        "Half a percent of all pixels, Bau et al.'s threshold, cannot overlap by so "
        "much with concepts as small as microaneurysms.",
        "",
        *_all_labels(features, "overlap"),
        "",
        "## Confusions: both concepts beyond chance, trained network",
        "",
        *_confusions(features),
        "",
    ]


def _claim_lines(features: pd.DataFrame) -> list[str]:
    return [
        "## The thesis's statements",
        "",
        *markdown.table(
            ["statement", "holds here", "evidence"],
            [
                [statement, "yes" if holds else "no", evidence]
                for statement, holds, evidence in claims(features)
            ],
        ),
        "",
    ]


def _role_lines(roles: pd.DataFrame) -> list[str]:
    return [
        "## Features in Figures 4.5 to 4.21",
        "",
        *markdown.table(
            ["figure", "weights", "layer", "feature", "wanted", "label", "evidence"],
            [
                [
                    row.figure,
                    row.weights,
                    row.layer,
                    row.feature,
                    row.wanted or "–",
                    row.label,
                    row.evidence,
                ]
                for row in roles.itertuples()
            ],
        ),
    ]
