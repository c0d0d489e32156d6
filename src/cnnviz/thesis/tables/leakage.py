"""Accuracies without leakage: beyond the thesis's Table 5.1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from cnnviz.datasets import die360, splits
from cnnviz.experiments import die_evaluation
from cnnviz.runtime import files
from cnnviz.thesis import markdown
from cnnviz.thesis.tables import table_5_1

__all__ = ["accuracy_by_distance", "separated_text"]


def accuracy_by_distance(
    evaluations: Mapping[str, Sequence[die_evaluation.FoldEvaluation]], b: np.ndarray
) -> pd.DataFrame:
    """Accuracy by the angle to the nearest training view.

    Parameters
    ----------
    evaluations : dict
        From a network's name to the evaluations of the folds of the separated split
        (:class:`cnnviz.experiments.die_evaluation.FoldEvaluation`).
    b : array, ``(n,)``
        Angles of all views.

    Returns
    -------
    DataFrame
        ``network``, ``fold``, ``distance`` in degrees, ``views``, ``right``.
    """
    rows = []
    for name, folds in evaluations.items():
        for fold, evaluation in enumerate(folds):
            distance = splits.separated_distance(b, fold)
            for part in (evaluation.dropped, evaluation.validation):
                right = part.posteriors.argmax(1) == part.labels
                away = distance[part.index]
                for degrees in np.unique(away):
                    rows.append(
                        (
                            name,
                            fold,
                            int(degrees),
                            int((away == degrees).sum()),
                            int(right[away == degrees].sum()),
                        )
                    )
    return pd.DataFrame(rows, columns=["network", "fold", "distance", "views", "right"])


def _spread(mean: float, above: float, below: float) -> str:
    """A mean with the distances to the best and the worst run."""
    return f"{mean:.4f} (+{above:.4f}, −{below:.4f})"


def _error_ratio(random: float, separated: float) -> str:
    """How many times larger the share of wrong answers becomes, two digits."""
    if random == 1:
        return "–"
    return f"{float(f'{(1 - separated) / (1 - random):.2g}'):,.0f}×"


_SEPARATED_CAPTION = """\
Validation accuracy of the eight networks: as the thesis reports it, ours on
the thesis's protocol (five random 80/20 folds), and ours on a split without
leakage, in which **no validation view lies within 5 degrees of a training view
or of its rotated twin**. Mean over five folds, in brackets the distances to the
best and the worst fold. *Error* says how many times larger the share of wrong
answers is without leakage.

How the split without leakage is made: the views lie in blocks of 41 degrees of
the angle *b*. Every fold holds out one fifth of each block (9 or 8 consecutive
degrees, at every *a*) and drops the 5 degrees on either side from training. Two
views whose *b* differ by more than 5 degrees are rotated against each other by
more than 5 degrees. Rotated twins, views that show the same picture after a turn
of the die about the axis of the visible face, stand at the same place of their
blocks and so on the same side. Training settings are those of the random split;
as there, mean and standard deviation of the gray values are those of the whole
set.
"""


def separated_text(
    random: Sequence[table_5_1.Row],
    separated: Sequence[table_5_1.Row],
    reported: Mapping[str, tuple[float, ...]],
) -> str:
    """Markdown of the accuracies without leakage, beside those with it.

    Parameters
    ----------
    random, separated : lists of Row
        Of the same networks.
    reported : dict
        From a network's name to the thesis's (mean, above, below).

    Returns
    -------
    str
    """
    pairs = list(zip(random, separated))
    lines = [
        "# Table 5.1 without leakage (beyond the thesis)",
        "",
        _SEPARATED_CAPTION,
        *markdown.table(
            ["network", "parameters", "thesis", "random split", "without leakage", "error"],
            [
                [
                    new.network,
                    f"{new.parameters:,}",
                    _spread(*reported[new.network]),
                    _spread(old.mean, old.above, old.below),
                    _spread(new.mean, new.above, new.below),
                    _error_ratio(old.mean, new.mean),
                ]
                for old, new in pairs
            ],
        ),
        "",
        "Every fold without leakage. The first and the last fold "
        "extrapolate beyond the trained views; those between "
        "interpolate.",
        "",
        *markdown.table(
            ["network", *(f"fold {k}" for k in range(len(separated[0].accuracies))), "dead starts"],
            [
                [new.network, *(f"{value:.4f}" for value in new.accuracies), new.dead_starts]
                for new in separated
            ],
        ),
    ]
    return "\n".join(lines) + "\n"


def make(
    output: Path,
    *,
    evaluations: Path,
    networks: Sequence[str],
    folds: int,
    reported: Path,
    folds_table: Path,
    by_distance: Path,
) -> None:
    """Write the table without leakage, all its folds, and accuracies by distance.

    Parameters
    ----------
    output : path
        Markdown file.
    folds_table, by_distance : path
        CSV files.
    evaluations : path
        Folder of ``cnnviz evaluate``.
    networks : list of str
    folds : int
        How many.
    reported : path
        The thesis's Table 5.1.
    """
    random, separated = (
        die_evaluation.read(evaluations, split, networks, folds)
        for split in ("random", "separated")
    )
    table, beside = (
        table_5_1.rows(each, die_evaluation.count_parameters) for each in (separated, random)
    )
    spreads = table_5_1.reported_spreads(reported)
    files.write_text(output, separated_text(beside, table, spreads))
    files.write_text(folds_table, table_5_1.as_frame(table).to_csv(index=False))
    stride = separated[networks[0]][0].sampling_stride
    _, b, _ = (column[::stride] for column in die360.angles())
    files.write_text(by_distance, accuracy_by_distance(separated, b).to_csv(index=False))
