"""How often features get a label, which concepts they confuse, and how two labelings agree."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from cnnviz.dissection.checks import check_concepts
from cnnviz.dissection.labels import OTHER
from cnnviz.runtime.errors import UserError
from cnnviz.training import grading

__all__ = ["agreement", "confusion_pairs", "label_frequencies"]


def confusion_pairs(significant: Any, concepts: Sequence[str]) -> list[tuple[str, str, np.ndarray]]:
    """Concepts that features take for one another (thesis section 4.3.4).

    Parameters
    ----------
    significant : bool array, ``(features, concepts)``
        From :func:`cnnviz.dissection.labels.is_significant`.
    concepts : sequence of str

    Returns
    -------
    list of (first concept, second concept, int array)
        The features that point at both; pairs with most features first.

    Raises
    ------
    UserError
        For another number of concepts.
    """
    check_concepts(significant, concepts)
    pairs = [
        (concepts[i], concepts[j], np.flatnonzero(significant[:, i] & significant[:, j]))
        for i, j in combinations(range(len(concepts)), 2)
    ]
    return sorted((pair for pair in pairs if len(pair[2])), key=lambda pair: -len(pair[2]))


def label_frequencies(
    layers: Mapping[str, Any],
    columns: Sequence[str],
    sampled: int = 50,
    samples: int = 2000,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Frequencies of labels in the form of thesis Table 4.1.

    Parameters
    ----------
    layers : dict
        From a layer's name to the labels of all its features, ``(features,)``.
    columns : sequence of str
        Labels with a column of their own; all others are "other", as mixtures and artifacts are
        in the thesis.
    sampled : int
        Features that the thesis looked at, or all where there are fewer.
    samples : int
        Bootstrap samples, each of so many features, drawn with replacement.
    seed : int

    Returns
    -------
    list of dict
        For each layer and column: ``layer``, ``features``, ``label``, ``count`` among all
        features, ``sampled``; ``mean``, ``low`` and ``high``: how many features of the sampled
        ones, with the middle 95 % of the samples.

    Raises
    ------
    UserError
        For a layer without features, or no samples.
    """
    if min(sampled, samples) < 1:
        raise UserError(f"sampled and samples must be at least 1, not {sampled} and {samples}")
    columns = [*(name for name in columns if name != OTHER), OTHER]
    rows = []
    for layer, labels in layers.items():
        if not len(labels):
            raise UserError(f"layer '{layer}' has no labels")
        rows += [
            {"layer": layer, **row}
            for row in _frequencies(
                labels, columns, min(sampled, len(labels)), samples, np.random.default_rng(seed)
            )
        ]
    return rows


def _frequencies(
    labels: Any, columns: Sequence[str], sampled: int, samples: int, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Rows of one layer."""
    features = len(labels)
    counts = [sum(label == name for label in labels) for name in columns[:-1]]
    counts.append(features - sum(counts))
    # How often each label is drawn, which is all that a sample is asked for.
    drawn = rng.multinomial(sampled, np.array(counts) / features, samples)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return [
        {
            "features": features,
            "label": name,
            "count": count,
            "sampled": sampled,
            "mean": sampled * count / features,
            "low": float(low[k]),
            "high": float(high[k]),
        }
        for k, (name, count) in enumerate(zip(columns, counts))
    ]


def agreement(first: Any, second: Any) -> tuple[float, float]:
    """How far two ways to name features agree.

    Parameters
    ----------
    first, second : sequences of str, ``(n,)``

    Returns
    -------
    share : float
        Of equal names.
    kappa : float
        The same beyond chance (Cohen 1960); NaN where both give one name to all.

    Raises
    ------
    UserError
        For no names, or another number of them.
    """
    first, second = np.asarray(first, str), np.asarray(second, str)
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise UserError(
            f"two names of the same features are needed, not {first.shape} and {second.shape}"
        )
    names, numbers = np.unique([first, second], return_inverse=True)
    rows, columns = numbers.reshape(2, -1)
    counts = grading.confusion(rows, columns, len(names))
    return float(np.mean(first == second)), grading.kappa(counts, 1 - np.eye(len(names)))
