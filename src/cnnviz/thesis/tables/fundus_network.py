"""How well De Fauw's network grades photographs: a table beyond the thesis."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cnnviz.evaluation.intervals import bootstrap_interval
from cnnviz.experiments.fundus_evaluation import FundusEvaluation
from cnnviz.runtime import files
from cnnviz.runtime.number_format import fixed
from cnnviz.runtime.records import read_origin
from cnnviz.thesis import markdown
from cnnviz.training.grading import confusion, quadratic_weighted_kappa

__all__ = ["lines", "make", "mean_grade", "measured", "name_of", "text"]

_SOURCES = {"synthetic": "synthetic test pairs", "idrid": "IDRiD", "kaggle": "the competition's"}
_READINGS = {"both_eyes": "both eyes of a patient", "one_eye": "every eye shown twice"}
_NAMES = {"surrogate": "shipped weights", "defauw": "De Fauw's weights", "random": "random weights"}

_CAPTION = """\
Quadratic weighted kappa and accuracy of De Fauw's network on photographs it was not
trained on. *Both eyes*: left and right eye of a patient in one pass, as De Fauw's
network was meant; *every eye shown twice*: the same photograph in both places, the
only way for IDRiD, which does not say who the patients are. Random weights: the same
network, orthogonally initialized. The grade given is the most probable one; *by the
mean*: the mean of the grades, weighted by their probabilities, rounded (no threshold
is fitted), which costs less when far-off grades cost most, as in kappa. An interval
is the middle 95 % of 2,000 bootstrap samples of the patients.
"""


def measured(evaluation: FundusEvaluation) -> list[dict[str, Any]]:
    """Kappa, its interval, accuracy and confusion of every reading.

    Parameters
    ----------
    evaluation : cnnviz.experiments.fundus_evaluation.FundusEvaluation

    Returns
    -------
    list of dict
    """
    rows = []
    readings = [
        (weights, reading, getattr(posteriors, reading))
        for weights, posteriors in evaluation.networks.items()
        for reading in ("one_eye", "both_eyes")
    ]
    for weights, reading, posteriors in readings:
        if posteriors is None:
            continue
        seen = np.isfinite(posteriors).all(axis=1)
        true, said = evaluation.grades[seen], posteriors[seen].argmax(axis=1)
        low, high = _interval(true, said, 2 if reading == "both_eyes" else 1)
        rows.append(
            {
                "weights": weights,
                "reading": reading,
                "eyes": int(seen.sum()),
                "kappa": quadratic_weighted_kappa(true, said),
                "low": low,
                "high": high,
                "accuracy": float(np.mean(true == said)),
                "kappa of the mean": quadratic_weighted_kappa(true, mean_grade(posteriors[seen])),
                "confusion": confusion(true, said),
            }
        )
    return rows


def mean_grade(posteriors: np.ndarray) -> np.ndarray:
    """Mean of the grades, weighted by their probabilities, rounded.

    Parameters
    ----------
    posteriors : array, ``(n, grades)``

    Returns
    -------
    int array, ``(n,)``
    """
    return np.rint(posteriors @ np.arange(posteriors.shape[1])).astype(int)


def _interval(true: np.ndarray, said: np.ndarray, together: int) -> tuple[float, float]:
    """Bootstrap interval of kappa; ``together`` eyes of a patient stay together."""
    patients = np.stack([true, said], axis=-1).reshape(-1, together, 2)
    if len(patients) < 2 or np.isnan(quadratic_weighted_kappa(true, said)):
        return np.nan, np.nan
    return bootstrap_interval(
        patients, lambda drawn: quadratic_weighted_kappa(*drawn.reshape(-1, 2).T)
    )


def lines(evaluation: FundusEvaluation) -> str:
    """A line of text for every reading."""
    return "".join(
        "{weights}, {reading}: {eyes} eyes, kappa {kappa:.4f}, accuracy {accuracy:.4f}\n".format(
            **row
        )
        for row in measured(evaluation)
    )


def name_of(origin: Mapping[str, Any]) -> str:
    """What the table calls the photographs of an evaluation."""
    name = _SOURCES[origin["photographs"]]
    return name if origin["split"] is None else f"{name}, {origin['split']} split"


def make(output: Path, *, evaluations: Sequence[Path]) -> None:
    """Write the table.

    Parameters
    ----------
    evaluations : list of path
        Files of ``cnnviz evaluate-fundus``, one for each data set.
    output : path
        Markdown file.
    """
    rows = {}
    for path in evaluations:
        evaluation = FundusEvaluation.load(path)
        rows[name_of(read_origin(path))] = measured(evaluation)
    files.write_text(output, text(rows))


def text(evaluations: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Markdown of the evaluations of several data sets.

    Parameters
    ----------
    evaluations : dict
        From a data set's name to what :func:`measured` gives.
    """
    lines = [
        "# De Fauw's network on photographs of the open sources\n",
        _CAPTION,
        *markdown.table(
            ["photographs", "weights", "reading", "eyes", "kappa", "by the mean", "accuracy"],
            [_cells(name, row) for name, rows in evaluations.items() for row in rows],
        ),
    ]
    for name, rows in evaluations.items():
        row = next((each for each in rows if each["weights"] != "random"), rows[0])
        lines += [
            "",
            f"Confusion, {name}, {_NAMES[row['weights']]}, "
            f"{_READINGS[row['reading']]}; rows: true grade, columns: grade given.",
            "",
            *markdown.table(
                ["", *range(len(row["confusion"]))],
                [
                    [f"**{grade}**", *counts]
                    for grade, counts in enumerate(row["confusion"].tolist())
                ],
            ),
        ]
    return "\n".join(lines) + "\n"


def _cells(name: str, row: Mapping[str, Any]) -> list[str]:
    return [
        name,
        _NAMES[row["weights"]],
        _READINGS[row["reading"]],
        f"{row['eyes']:,}",
        f"{fixed(row['kappa'], 3)} ({fixed(row['low'], 3)} to {fixed(row['high'], 3)})",
        fixed(row["kappa of the mean"], 3),
        f"{row['accuracy']:.3f}",
    ]
