"""Evaluation of attribution maps: means, intervals and verdicts (beyond the thesis)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cnnviz.evaluation.benchmark import CENTER, RANDOM
from cnnviz.evaluation.layer_methods import METHODS
from cnnviz.experiments import map_benchmark
from cnnviz.runtime import files
from cnnviz.runtime.number_format import fixed
from cnnviz.thesis import markdown
from cnnviz.thesis.tables.map_quality_findings import CASCADES, NAMES, findings, judged, steps
from cnnviz.thesis.tables.map_quality_statistics import ALL, KEYS, SCORE, means_of, wide

__all__ = ["text"]

_DATA = {"die360": "Die360", "synthetic": "synthetic photographs", "IDRiD": "IDRiD's photographs"}


# --- Means and intervals ----------------------------------------------------------


# --- Verdicts ---------------------------------------------------------------------


# --- Text -------------------------------------------------------------------------

_CAPTION = """\
Maps of single features by five methods, measured; definitions in `docs/map_quality.md`.
*Maps*: features times images. *Pointing*: how often the map's maximum lies on what the
feature is about, or near it. *Mass*: share of the map there. *Signed*: the same of the
positive part of the thesis's maps, where the others go by magnitude. *Deletion*,
*insertion*: area under the curve of the activation, from 1 (the image) to 0 (blurred)
and back; small and large are good. All are measured in the maximal neuron's receptive field.
Gradients give every tied position the whole gradient, the other methods take the first. In
brackets: the middle 95 % of 1,000 bootstrap samples of the images.
"""


_RANDOMIZED = """\
Rank correlation of a neuron's maps with those of the trained network, while its layers
are randomized from the top down to the named one. Maps that are zero, since the neuron
was silenced, do not count."""


def _cell(row: Any, digits: int = 2) -> str:
    """Value and interval of a summary's row or an estimate."""
    if row is None or not np.isfinite(row["value"]):
        return "–"
    text = fixed(row["value"], digits)
    if np.isfinite(row["low"]):
        text += f" ({fixed(row['low'], digits)} to {fixed(row['high'], digits)})"
    return text


def _cells(frame: pd.DataFrame) -> dict[tuple[str, str], dict[str, str]]:
    """Rows of a summary by measure and method, of one layer."""
    return {(row["measure"], row["method"]): row for row in frame.to_dict("records")}


_SHOWN = ("pointing", "mass", "mass, signed", "deletion", "insertion")


def _main_rows(frame: pd.DataFrame) -> Iterator[list[str]]:
    for (data, layer), part in frame.groupby(["data", "layer"], sort=False):
        cells = _cells(part)
        chance = cells.get(("chance", ""))
        if chance is None:
            continue
        for method in (*METHODS, CENTER, RANDOM):
            values = [cells.get((measure, method)) for measure in _SHOWN]
            if method == RANDOM:
                values[:2] = [chance] * 2
            if any(values):
                # The first four columns of a group are not repeated.
                label = (
                    [_DATA[data], layer, f"{chance['maps']} of {chance['images']} images"]
                    if method == METHODS[0]
                    else [""] * 3
                )
                yield [*label, NAMES[method], *map(_cell, values)]


def _claim_rows(claims: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    for row in claims:
        numbers = ", ".join(
            _cell(each, 3 if "share" in row["measured"] else 2) for each in row["differences"]
        )
        yield [row["claim"], row["measured"], _DATA[row["data"]], numbers, f"**{row['verdict']}**"]


def _matrix_lines(frame: pd.DataFrame, data: str) -> list[str]:
    """Rank correlations of one data set, above the diagonal."""
    names = (*METHODS, CENTER)
    rows = {
        (row["method"], row["other"]): row
        for row in frame[
            (frame["data"] == data) & (frame["layer"] == ALL) & (frame["measure"] == "agreement")
        ].to_dict("records")
    }
    if not rows:
        return []
    body = [
        [
            NAMES[first],
            *(
                _cell(rows.get((first, second))) if j > i else ""
                for j, second in enumerate(names[1:], 1)
            ),
        ]
        for i, first in enumerate(names[:-1])
    ]
    return [
        "",
        f"Rank correlation of two methods' maps, {_DATA[data]}.",
        "",
        *markdown.table(["", *(NAMES[name] for name in names[1:])], body),
    ]


def _cascade_lines(frame: pd.DataFrame, data: str, measure: str) -> list[str]:
    chosen = steps(frame, data, measure)
    if not len(chosen):
        return []
    cells = {(row["other"], row["method"]): row for row in chosen.to_dict("records")}
    return [
        "",
        f"{_DATA[data][0].upper()}{_DATA[data][1:]}, maps {CASCADES[measure]}, "
        f"{chosen['maps'].max()} at most.",
        "",
        *markdown.table(
            ["random from", *(NAMES[each] for each in METHODS)],
            [
                [step, *(_cell(cells.get((step, method))) for method in METHODS)]
                for step in dict.fromkeys(chosen["other"])
            ],
        ),
    ]


def _feature_rows(table: pd.DataFrame) -> Iterator[list[int | str]]:
    """What every chosen feature is about, and how often its maps point there."""
    for (data, layer, concept, feature), part in table.groupby(KEYS[:4], sort=False):
        # Where no feature sees what it is about, only networks were randomized.
        if layer != SCORE and all(("pointing", method, "") in part for method in METHODS):
            means = [part["pointing", method, ""].mean() for method in METHODS]
            yield [
                _DATA[data],
                layer,
                concept,
                feature,
                int(part["pointing", METHODS[0], ""].count()),
                fixed(part["chance", "", ""].mean()),
                *map(fixed, means),
            ]


def _lift_lines(frame: pd.DataFrame) -> list[str]:
    lifts = frame[frame["measure"] == "lift"]
    if not len(lifts):
        return []
    concepts = list(dict.fromkeys(lifts["other"]))
    rows = [
        [
            layer,
            feature,
            *(fixed(part.set_index("other")["value"][concept]) for concept in concepts),
        ]
        for (layer, feature), part in lifts.groupby(["layer", "feature"], sort=False)
    ]
    return [
        "",
        "Every feature of the network of the die: share of the gradient of max(F) "
        "on a concept over the concept's area, on the views that features were chosen "
        "on.",
        "",
        *markdown.table(["layer", "feature", *concepts], rows),
    ]


def text(frame: pd.DataFrame, table: pd.DataFrame, means: pd.DataFrame) -> str:
    """Markdown of everything.

    Parameters
    ----------
    frame : DataFrame
        Rows of 'cnnviz map-quality'.
    table, means : DataFrame
        Of :func:`wide` and :func:`means_of`.

    Returns
    -------
    str
    """
    return "\n".join(
        [
            "# Evaluation of attribution maps",
            "",
            _CAPTION,
            *_finding_lines(means),
            "## Numbers",
            "",
            *markdown.table(["data", "layer", "maps", "method", *_SHOWN], _main_rows(means)),
            "",
            *_claim_lines(table),
            *_comparison_lines(means),
            *_feature_lines(table),
            *_lift_lines(frame),
            "",
        ]
    )


def _finding_lines(means: pd.DataFrame) -> list[str]:
    lines = ["## What the numbers say", ""]
    for data, sentences in findings(means).items():
        title = f"**{_DATA[data][0].upper()}{_DATA[data][1:]}.**"
        lines += [title, "", *(f"* {each}" for each in sentences), ""]
    return lines


def _claim_lines(table: pd.DataFrame) -> list[str]:
    return [
        "## What the thesis says",
        "",
        "*Yes*: the interval of every difference "
        "lies above zero; *no*: that of one lies below; *open*: neither.",
        "",
        *markdown.table(
            ["section 4.5", "measured by", "data", "differences", "holds"],
            _claim_rows(judged(table)),
        ),
        "",
    ]


def _comparison_lines(means: pd.DataFrame) -> list[str]:
    """Methods beside each other, and networks with random layers."""
    data = dict.fromkeys(means["data"])
    lines = ["## Methods beside each other"]
    for each in data:
        lines += _matrix_lines(means, each)
    lines += ["", "## Networks with random layers", "", _RANDOMIZED]
    for each, measure in itertools.product(data, CASCADES):
        lines += _cascade_lines(means, each, measure)
    return lines


def _feature_lines(table: pd.DataFrame) -> list[str]:
    head = ["data", "layer", "about", "feature", "images", "chance"]
    return [
        "",
        "## The features",
        "",
        "Those that were measured, and how often their maps point at what they are about.",
        "",
        *markdown.table([*head, *(NAMES[each] for each in METHODS)], _feature_rows(table)),
    ]


def make(output: Path, *, measured: Sequence[Path], summary: Path) -> None:
    """Write the table.

    Parameters
    ----------
    measured : sequence of path
        CSV files of ``cnnviz map-quality``.
    summary : path
        CSV file of all means and intervals.
    output : path
        Markdown file.
    """
    frame = pd.concat(map(map_benchmark.read, measured), ignore_index=True)
    table = wide(frame)
    means = means_of(table)
    with files.atomic(summary) as temporary:
        means.to_csv(temporary, index=False, lineterminator="\n")
    files.write_text(output, text(frame, table, means))
