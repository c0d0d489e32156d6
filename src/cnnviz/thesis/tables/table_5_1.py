"""Table 5.1: parameters and validation accuracy of the Die360 networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cnnviz.experiments import die_evaluation
from cnnviz.experiments.die_evaluation import count_parameters as parameters_of
from cnnviz.runtime import files
from cnnviz.thesis import number_tables
from cnnviz.thesis.number_tables import Reproduced

__all__ = ["Row", "as_frame", "pairs_in_order", "reproduced", "rows", "separated_pairs"]


class Row(NamedTuple):
    """One network's line of the table."""

    network: str
    parameters: int
    accuracies: tuple  #: validation accuracy of every fold
    dead_starts: int  #: starts given up, all folds together

    @property
    def mean(self) -> float:
        return float(np.mean(self.accuracies))

    @property
    def above(self) -> float:
        """Distance from the mean to the best fold."""
        return max(self.accuracies) - self.mean

    @property
    def below(self) -> float:
        """Distance from the mean to the worst fold."""
        return self.mean - min(self.accuracies)


def _accuracy(evaluation: die_evaluation.Predictions) -> float:
    return float(np.mean(evaluation.posteriors.argmax(1) == evaluation.labels))


def rows(
    evaluations: Mapping[str, Sequence[die_evaluation.FoldEvaluation]],
    count_parameters: Callable[..., Any],
) -> list[Row]:
    """Lines of the table.

    Parameters
    ----------
    evaluations : dict
        From a network's name to the evaluations of its folds
        (:class:`cnnviz.experiments.die_evaluation.FoldEvaluation`).
    count_parameters : function
        From a network's name to its number of parameters.

    Returns
    -------
    list of Row
    """
    return [
        Row(
            name,
            count_parameters(name),
            tuple(_accuracy(fold.validation) for fold in folds),
            sum(fold.starts - 1 for fold in folds),
        )
        for name, folds in evaluations.items()
    ]


def separated_pairs(reported: Mapping[str, tuple[float, ...]]) -> list[tuple[str, str]]:
    """Pairs (better, worse) whose reported ranges do not meet.

    Parameters
    ----------
    reported : dict
        From a network's name to its reported (mean, above, below).

    Returns
    -------
    list of pairs of names
    """
    return [
        (better, worse)
        for better, (mean, _, below) in reported.items()
        for worse, (other, above, _) in reported.items()
        if mean - below > other + above
    ]


def pairs_in_order(pairs: Sequence[tuple[str, str]], table: Sequence[Row]) -> int:
    """How many of the pairs stand in the same order in our table."""
    mean = {row.network: row.mean for row in table}
    return sum(mean[better] > mean[worse] for better, worse in pairs)


def reproduced(
    table: Sequence[Row], pairs: Sequence[tuple[str, str]], command: str
) -> list[Reproduced]:
    """Rows for the comparison with the thesis.

    Parameters
    ----------
    table : list of Row
    pairs : list of pairs
        From :func:`separated_pairs`.
    command : str
        What reproduces the numbers.

    Returns
    -------
    list of Reproduced
    """
    out = []
    for row in table:
        note = "folds " + " ".join(f"{value:.4f}" for value in row.accuracies)
        if row.dead_starts:
            note += f"; dead starts: {row.dead_starts}"
        prefix = f"table_5_1.{row.network}."
        out += [
            Reproduced(prefix + "parameters", row.parameters, "1", command),
            Reproduced(prefix + "validation_accuracy_mean", row.mean, "1", command, note),
            Reproduced(prefix + "validation_accuracy_above", row.above, "1", command),
            Reproduced(prefix + "validation_accuracy_below", row.below, "1", command),
        ]
    out.append(
        Reproduced("table_5_1.separated_pairs_in_order", pairs_in_order(pairs, table), "1", command)
    )
    return out


def as_frame(table: Any) -> Any:
    """The table with one column for each fold."""
    return pd.DataFrame(
        [
            {
                "network": row.network,
                "parameters": row.parameters,
                "mean": row.mean,
                "above": row.above,
                "below": row.below,
                **{f"fold_{k}": value for k, value in enumerate(row.accuracies)},
                "dead_starts": row.dead_starts,
            }
            for row in table
        ]
    )


def reported_spreads(path: Path) -> dict[str, tuple[float, ...]]:
    """The thesis's (mean, above, below) by network."""
    reported = number_tables.read_reported([path])
    value = dict(zip(reported["id"], reported["value"]))
    quantities = [f"validation_accuracy_{part}" for part in ("mean", "above", "below")]
    return {
        name: tuple(float(value[f"table_5_1.{name}.{quantity}"]) for quantity in quantities)
        for name in reported["network"].unique()
        if name
    }


def make(
    output: Path,
    *,
    evaluations: Path,
    networks: Sequence[str],
    folds: int,
    reported: Path,
    folds_table: Path,
) -> None:
    """Write the reproduced numbers, and the accuracies of all folds.

    Parameters
    ----------
    output, folds_table : path
        CSV files.
    evaluations : path
        Folder of ``cnnviz evaluate``.
    networks : list of str
    folds : int
        How many.
    reported : path
        The thesis's table.
    """
    table = rows(die_evaluation.read(evaluations, "random", networks, folds), parameters_of)
    spreads = {
        name: spread for name, spread in reported_spreads(reported).items() if name in networks
    }
    number_tables.write_reproduced(
        output, reproduced(table, separated_pairs(spreads), "make reproduce")
    )
    files.write_text(folds_table, as_frame(table).to_csv(index=False))
