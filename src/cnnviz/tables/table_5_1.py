"""Table 5.1: parameters and validation accuracy of the Die360 networks."""
from typing import NamedTuple

import numpy as np
import pandas as pd

from cnnviz.comparison import Reproduced

__all__ = ["Row", "rows", "separated_pairs", "pairs_in_order", "reproduced",
           "as_frame", "separated_text"]


class Row(NamedTuple):
    """One network's line of the table."""
    network: str
    parameters: int
    accuracies: tuple   #: validation accuracy of every fold
    dead_starts: int    #: starts given up, all folds together

    @property
    def mean(self):
        return float(np.mean(self.accuracies))

    @property
    def above(self):
        """Distance from the mean to the best fold."""
        return max(self.accuracies) - self.mean

    @property
    def below(self):
        """Distance from the mean to the worst fold."""
        return self.mean - min(self.accuracies)


def rows(evaluations, count_parameters):
    """Lines of the table.

    Parameters
    ----------
    evaluations : dict
        From a network's name to the evaluations of its folds, each a dict of
        ``labels``, ``posteriors`` and ``starts``.
    count_parameters : function
        From a network's name to its number of parameters.

    Returns
    -------
    list of Row
    """
    return [Row(name, count_parameters(name),
                tuple(float(np.mean(fold["posteriors"].argmax(1)
                                    == fold["labels"])) for fold in folds),
                sum(int(fold["starts"]) - 1 for fold in folds))
            for name, folds in evaluations.items()]


def separated_pairs(reported):
    """Pairs (better, worse) whose reported ranges do not meet.

    Parameters
    ----------
    reported : dict
        From a network's name to its reported (mean, above, below).

    Returns
    -------
    list of pairs of names
    """
    return [(better, worse) for better, (mean, _, below) in reported.items()
            for worse, (other, above, _) in reported.items()
            if mean - below > other + above]


def pairs_in_order(pairs, table):
    """How many of the pairs stand in the same order in our table."""
    mean = {row.network: row.mean for row in table}
    return sum(mean[better] > mean[worse] for better, worse in pairs)


def reproduced(table, pairs, command):
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
        out += [Reproduced(prefix + "parameters", row.parameters, "1", command),
                Reproduced(prefix + "validation_accuracy_mean", row.mean, "1",
                           command, note),
                Reproduced(prefix + "validation_accuracy_above", row.above,
                           "1", command),
                Reproduced(prefix + "validation_accuracy_below", row.below,
                           "1", command)]
    out.append(Reproduced("table_5_1.separated_pairs_in_order",
                          pairs_in_order(pairs, table), "1", command))
    return out


def as_frame(table):
    """The table with one column for each fold."""
    return pd.DataFrame([{
        "network": row.network, "parameters": row.parameters,
        "mean": row.mean, "above": row.above, "below": row.below,
        **{f"fold_{k}": value for k, value in enumerate(row.accuracies)},
        "dead_starts": row.dead_starts} for row in table])


def _error_ratio(random, separated):
    """How many times larger the error becomes."""
    error = 1 - random
    return "–" if error == 0 else f"{(1 - separated) / error:.0f}×"


def separated_text(random, separated):
    """Markdown of the accuracies without leakage, beside those with it.

    Parameters
    ----------
    random, separated : lists of Row
        Of the same networks.

    Returns
    -------
    str
    """
    lines = [
        "# Table 5.1 without leakage (beyond the thesis)", "",
        "Validation accuracy of the same networks, trained with the same "
        "settings, on a split in which **no validation view lies within 5 "
        "degrees of a training view or of its rotated twin**. Every fold holds "
        "out one fifth (9 or 8 consecutive degrees) of each 41-degree block of "
        "the view angle *b*, at every *a*, and drops the 5 degrees on either "
        "side of it from training; rotated twins stand at the same place of "
        "their blocks and so stay together. The first and the last fold "
        "extrapolate beyond the trained views, the other three interpolate. "
        "Mean over five folds, distances to the best and the worst fold; "
        "*error* says how many times larger the share of wrong answers is than "
        "on the thesis's random split.", "",
        "| network | random split | separated split | fold 0 | fold 1 | fold 2 "
        "| fold 3 | fold 4 | error |",
        "|---|---|---|---|---|---|---|---|---|"]
    for old, new in zip(random, separated):
        folds = " | ".join(f"{value:.3f}" for value in new.accuracies)
        lines.append(
            f"| {new.network} | {old.mean:.4f} | {new.mean:.4f} "
            f"(+{new.above:.4f}, −{new.below:.4f}) | {folds} | "
            f"{_error_ratio(old.mean, new.mean)} |")
    return "\n".join(lines) + "\n"
