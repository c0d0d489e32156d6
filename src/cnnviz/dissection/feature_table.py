"""One row for every feature: what it detects, by measurement (thesis Table 4.1).

From what :mod:`cnnviz.dissection.network_dissection` measures.  And which features play the
parts of the thesis's figures, by a rule for each part.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from cnnviz.datasets.concepts import CONCEPTS, LESIONS
from cnnviz.dissection import network_dissection
from cnnviz.runtime.errors import UserError

__all__ = ["LAYERS", "MEASURES", "table", "values", "Part", "PARTS", "choose", "every"]

LAYERS = ("pool1", "pool2", "pool3", "pool4", "pool5")
MEASURES = ("share", "lift", "q", "iou")
_WORTH_A_WORD = 0.02  # of the saliency
_ARTEFACTS = ("text", "glare spot", "dust", "lens flare", "overexposed rim")


def column(measure, concept):
    """Name of a column."""
    return f"{measure}: {concept}"


def table(measured):
    """What every feature detects.

    Parameters
    ----------
    measured : dict
        From (weights, layer) to a dict of arrays: ``share``, ``expected`` and ``p``
        from :func:`cnnviz.dissection.network_dissection.localisation` and ``iou`` from
        :func:`cnnviz.dissection.network_dissection.overlaps`, ``(features, concepts)``; ``spread``,
        ``disease`` and ``gradient`` (its sum over a photograph), ``(features,)``.

    Returns
    -------
    pandas.DataFrame
        Columns ``weights``, ``layer``, ``feature``, ``label`` (by localisation, p-values
        adjusted over all rows), ``overlap`` (label by overlap), ``spread``,
        ``disease``, ``gradient`` (over the layer's median) and every measure of every
        concept.  They are NaN and both labels "other" for filters that hardly learned
        (:func:`cnnviz.dissection.network_dissection.responds`).
    """
    measured = {key: _responding(each) for key, each in measured.items()}
    q = network_dissection.adjusted(np.concatenate([each["p"] for each in measured.values()]))
    parts, row = [], 0
    for (weights, layer), each in measured.items():
        count = len(each["p"])
        parts.append(_rows(weights, layer, each, q[row : row + count]))
        row += count
    return pd.concat(parts, ignore_index=True)


def _responding(found):
    """The gradient over its median, and no measures where it is next to nothing."""
    weak = ~network_dissection.responds(found["gradient"])
    found = {**found, "gradient": found["gradient"] / np.median(found["gradient"])}
    for name in ("share", "expected", "p", "iou"):
        found[name] = np.where(weak[:, np.newaxis], np.nan, found[name])
    for name in ("spread", "disease"):
        found[name] = np.where(weak, np.nan, found[name])
    return found


def _rows(weights, layer, found, q):
    expected = np.where(found["expected"] > 0, found["expected"], np.nan)
    measures = {
        "share": found["share"],
        "lift": found["share"] / expected,
        "q": q,
        "iou": found["iou"],
    }
    beats = network_dissection.beats_chance(measures["share"], measures["lift"], q)
    rows = {
        "weights": weights,
        "layer": layer,
        "feature": np.arange(len(q)),
        "label": network_dissection.labels(beats, CONCEPTS),
        "overlap": network_dissection.detectors(found["iou"], CONCEPTS),
        **{name: found[name] for name in ("spread", "disease", "gradient")},
    }
    rows |= {
        column(name, concept): values[:, k]
        for name, values in measures.items()
        for k, concept in enumerate(CONCEPTS)
    }
    return pd.DataFrame(rows)


def values(rows, measure):
    """One measure of all concepts, float array ``(rows, concepts)``."""
    return rows[[column(measure, concept) for concept in CONCEPTS]].to_numpy(float)


def beats_chance(rows):
    """Which concepts every row's feature points at, ``(rows, concepts)``."""
    return network_dissection.beats_chance(*(values(rows, name) for name in ("share", "lift", "q")))


# --- Parts in the thesis's figures --------------------------------------------


class Part(NamedTuple):
    """What a feature of a figure shows, and how it is found."""

    figure: str
    layer: str
    rule: str  #: a key of the rules below
    concepts: tuple = ()
    weights: str = "trained"


#: The saliency sheets, Figures 4.5 to 4.21, in the thesis's order.
PARTS = (
    Part("4.5", "pool1", "single", ("vessel",)),
    Part("4.5", "pool1", "single", ("field edge",)),
    Part("4.5", "pool1", "single", ("text",), "random"),
    Part("4.6", "pool2", "single", ("optic disc",)),
    Part("4.6", "pool2", "single", ("overexposed rim",)),
    Part("4.6", "pool2", "single", ("optic disc",), "random"),
    Part("4.7", "pool3", "single", ("glare spot",)),
    Part("4.7", "pool3", "single", ("microaneurysm",)),
    Part("4.7", "pool3", "pair", ("optic disc", "vessel")),
    Part("4.7", "pool3", "single", ("field edge",), "random"),
    Part("4.8", "pool4", "single", ("microaneurysm",)),
    Part("4.9", "pool4", "pair", ("hard exudate", "optic disc")),
    Part("4.10", "pool4", "pair", ("fovea", "haemorrhage")),
    Part("4.11", "pool4", "single", ("glare spot",)),
    Part("4.12", "pool4", "several", LESIONS),
    Part("4.13", "pool4", "any", _ARTEFACTS),
    Part("4.14", "pool4", "single", ("optic disc",)),
    Part("4.15", "pool5", "single", ("microaneurysm",)),
    Part("4.16", "pool5", "single", ("hard exudate",)),
    Part("4.17", "pool5", "single", ("haemorrhage",)),
    Part("4.18", "pool5", "cluster", ("haemorrhage",)),
    Part("4.19", "pool5", "unclear"),
    Part("4.20", "pool5", "single", ("vessel",)),
    Part("4.21", "pool5", "disease"),
)


def _index(concepts):
    return [CONCEPTS.index(name) for name in concepts]


def _finite(array):
    return np.where(np.isfinite(array), array, -np.inf)


def _lifts(rows, concepts):
    """Lift of those concepts; of next to no saliency it says nothing, ``(rows, n)``.

    Below the least share of a label the share counts instead, as a number from -1
    to 0, so that the nearest feature is found where none has enough.
    """
    lift, share = (
        np.nan_to_num(values(rows, name))[:, _index(concepts)] for name in ("lift", "share")
    )
    least = network_dissection.LEAST_SHARE
    return np.where(share >= least, lift, share / least - 1)


def _single(rows, concepts):
    """Of the features with that label, the one that exceeds chance by most; of all, if none."""
    labelled = rows["label"].to_numpy() == concepts[0]
    score = _lifts(rows, concepts)[:, 0]
    return np.where(labelled, score, score - 1e6)


def _pair(rows, concepts):
    """That exceeds chance by most for the concept for which it exceeds it less."""
    return _lifts(rows, concepts).min(axis=1)


def _several(rows, concepts):
    """Of those that point at most of the concepts, the one with most saliency on them."""
    chosen = _index(concepts)
    share = np.nan_to_num(values(rows, "share"))[:, chosen].sum(axis=1)
    return beats_chance(rows)[:, chosen].sum(axis=1) + share


def _any(rows, concepts):
    """With that label; of those, the one that exceeds chance by most."""
    labelled = rows["label"].isin(concepts).to_numpy()
    return np.where(labelled, 1e6, 0) + _lifts(rows, concepts).max(axis=1)


def _cluster(rows, concepts):
    """Of those that point at them, the one whose saliency spreads over most of them."""
    points = beats_chance(rows)[:, _index(concepts)[0]]
    return _finite(rows["spread"].to_numpy(float)) - np.where(points, 0, 1e6)


def _unclear(rows, concepts):
    """The one that exceeds chance least, whatever the concept."""
    return -_finite(values(rows, "lift")).max(axis=1)


def _disease(rows, concepts):
    """Of those without a label, the one whose strongest photographs have the highest grades."""
    unlabelled = (rows["label"] == network_dissection.OTHER).to_numpy()
    return _finite(rows["disease"].to_numpy(float)) - np.where(unlabelled, 0, 1e6)


RULES = {
    "single": _single,
    "pair": _pair,
    "several": _several,
    "any": _any,
    "cluster": _cluster,
    "unclear": _unclear,
    "disease": _disease,
}


def choose(found, parts=PARTS):
    """The features that play the parts.

    Parameters
    ----------
    found : pandas.DataFrame
        From :func:`table`; ``weights`` are "trained" and "random".
    parts : sequence of Part

    Returns
    -------
    pandas.DataFrame
        A row for each part: ``figure``, ``weights``, ``layer``, ``feature``, ``label``,
        ``wanted`` (concepts), ``rule`` in words, and ``evidence``.  In one figure no
        feature plays two parts, and one with hardly a gradient plays none.

    Raises
    ------
    ValueError
        For a layer that the table lacks.
    """
    chosen, taken = [], set()
    for part in parts:
        rows = found[
            (found["weights"] == part.weights)
            & (found["layer"] == part.layer)
            & (found["gradient"] >= network_dissection.LEAST_GRADIENT)
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


def every(found):
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
            for _, row in found.iterrows()
        ]
    )


def _chosen(part, row):
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


def evidence(row, concepts=()):
    """In words: on what the feature's saliency lies, and against what by chance."""
    lift = np.array([row[column("lift", each)] for each in CONCEPTS], float)
    shown = [
        each
        for each in concepts
        if np.isfinite(row[column("lift", each)]) and row[column("share", each)] >= _WORTH_A_WORD
    ]
    shown = shown or [each for each in concepts if np.isfinite(row[column("lift", each)])][:2]
    if not shown and np.isfinite(lift).any():
        shown = [CONCEPTS[int(np.nanargmax(lift))]]
    return "; ".join(
        f"{each}: {100 * row[column('share', each)]:.1f} % of the saliency, "
        f"{row[column('lift', each)]:.1f} times chance"
        for each in shown
    )
