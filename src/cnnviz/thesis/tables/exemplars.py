"""Exemplars beside data: the hypothesis of thesis section 6, put to the test."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cnnviz.experiments.exemplar_statistics import ExemplarStatistics
from cnnviz.feature_visualization.analysis_records import LEVELS
from cnnviz.feature_visualization.measures import DISTANCES
from cnnviz.runtime import files
from cnnviz.runtime.number_format import fixed
from cnnviz.thesis import markdown
from cnnviz.thesis.tables.exemplar_numbers import (
    MARGIN,
    STARTS,
    STOPPED,
    frame,
    is_saturating,
    local_maxima,
)
from cnnviz.thesis.tables.exemplar_verdicts import NETWORKS, named, verdicts
from cnnviz.thesis.tables.spans import spread

__all__ = ["SAMPLES", "make", "text", "transfer_lines", "words"]

SAMPLES = {"die": "views of the die", "fundus": "synthetic photographs"}


def make(output: Path, *, statistics: Sequence[Path], rows: Path) -> None:
    """Write the table.

    Parameters
    ----------
    statistics : sequence of path
        Files of ``cnnviz exemplar-statistics``, one for each network.
    rows : path
        CSV file, a row for each exemplar.
    output : path
        Markdown file.
    """
    records = [ExemplarStatistics.load(path) for path in statistics]
    numbers = pd.concat(map(frame, records), ignore_index=True)
    written = numbers.to_csv(index=False, float_format="%.6g")
    files.write_text(rows, written)
    # From what is written, so that the text can be made from it again.
    files.write_text(output, text(pd.read_csv(io.StringIO(written)), words(records)))


# --- Tidy numbers -----------------------------------------------------------------


def words(records: Sequence[ExemplarStatistics]) -> dict[str, str]:
    """What the table's caption says of how its numbers were made.

    Parameters
    ----------
    records : list of cnnviz.experiments.exemplar_statistics.ExemplarStatistics
        A network each.

    Returns
    -------
    dict of str
    """
    said = {f"{kind}_{name}": "–" for kind in SAMPLES for name in ("steps", "size", "regularized")}
    for each in records:
        said.update(
            {
                f"{each.kind}_steps": f"{each.settings['steps']:,}",
                f"{each.kind}_size": f"{each.settings['step_size']:g}",
                f"{each.kind}_regularized": str(each.settings["regularized_steps"]),
            }
        )
    samples = {each.kind: f"{each.sample:,} {SAMPLES[each.kind]}" for each in records}
    accuracies = ", ".join(
        f"{each.network} {each.accuracy:.4f}" for each in records if each.accuracy is not None
    )
    return {**said, "samples": " and ".join(samples.values()), "accuracies": accuracies}


# --- What is derived from them ----------------------------------------------------


# --- Numbers in words -------------------------------------------------------------


# --- Verdicts ---------------------------------------------------------------------


# --- The text ---------------------------------------------------------------------

_CAPTION = """\
Thesis sections 4.4 and 6: exemplars could not be read; optimized inputs activate a
feature by up to 10,000, data by less than 10. The thesis suspects the rectifier, to
whose answers there is no bound, as there is to those of saturating units. Here both are
measured: c4 and c4_sigmoid are one architecture, trained on one fold (validation
accuracy {accuracies}).

*Plain*: gradient ascent from the patch of the data that activates the feature most
(strongest), from the mean image, and from the noise of several seeds, for {die_steps}
steps of {die_size} (De Fauw's network: {fundus_steps} of {fundus_size}) unless it stops
rising before. *Norm held*: on the sphere of eq. 3.1, with the data's root mean square,
in steps of fixed length, from the same starts. *Regularized*: random shifts, turns and
scales, low frequencies first; norm, length and number of steps as where the norm is
held ({die_regularized} and {fundus_regularized}). Activations are those before the last
non-linearity, as in the thesis. Data: {samples}, as many of each class as there are up
to a limit, evenly spaced.

*Likeness*: correlation with the strongest patch. *Outside*: share of the patch's values
below or above all of the data's. *Transfer*: share of its activation that an exemplar
keeps when it is shifted by so many pixels, up, down, left and right on average; none
where it is not positive, or where nothing of the patch stays in sight. *Diversity*: one
minus the mean correlation of the exemplars of different seeds, 0 for equal ones, 1 for
unrelated ones. Whether a picture can be *read* is not measured; an exemplar that is
lost by a shift of a pixel, or is another one for every seed, shows no shape of which a
name could be given.
"""
_RULES = """\
A claim is *supported* where all of its comparisons speak for it, *partly* where more
than half do. Comparisons are of medians over features and starting points, one for each
layer and measure; the evidence lists layers from the first on. *Far more*: ten times as
much. *Easier to read*: transfer (mean over the shifts) higher, diversity lower,
likeness higher, each by {margin} or more.
"""


def _filled(paragraphs: str) -> str:
    """Paragraphs with lines of even length."""
    return (
        "\n\n".join(
            textwrap.fill(each, 88, break_on_hyphens=False) for each in paragraphs.split("\n\n")
        )
        + "\n"
    )


def _rows_of(table: pd.DataFrame, cells: Callable[..., Any]) -> Iterator[list[str]]:
    """Rows of cells, one or more for each network and layer."""
    for (network, layer, patch), rows in table.groupby(["network", "layer", "patch"], sort=False):
        for line in cells(patch, rows):
            yield [NETWORKS.get(network, network), layer, *line]


def _activation(patch: str, rows: pd.DataFrame) -> Iterator[list[str]]:
    def over(method, start=""):
        chosen = rows[(rows["method"] == method) & rows["start"].str.startswith(start)]
        return spread(chosen["over_maximum"])

    first = rows.drop_duplicates("feature")
    yield [
        patch,
        spread(first["maximum"]),
        *(over("plain", start) for start in (*STARTS, "noise")),
        over("sphere"),
        over("regularized"),
    ]


def _outputs(patch: str, rows: pd.DataFrame) -> Iterator[list[str]]:
    first, plain = rows.drop_duplicates("feature"), rows[rows["method"] == "plain"]
    yield [spread(first["output_maximum"], fixed), spread(plain["output"], fixed)]


_METHOD_WORDS = {"plain": "plain", "sphere": "norm held", "regularized": "regularized"}


def _distance(patch: str, rows: pd.DataFrame) -> Iterator[list[str]]:
    for method, words in _METHOD_WORDS.items():
        chosen = rows[rows["method"] == method]
        yield [
            words,
            spread(chosen["square"]),
            spread(chosen["outside"], fixed),
            spread(chosen["likeness"], fixed),
        ]


def _kept(patch: str, rows: pd.DataFrame) -> Iterator[list[str]]:
    for method, words in _METHOD_WORDS.items():
        chosen = rows[rows["method"] == method]
        if chosen.empty:
            continue
        diversity = chosen.drop_duplicates("feature")["diversity"]
        yield [
            patch,
            words,
            *(spread(chosen[f"transfer_{distance}"], fixed) for distance in DISTANCES),
            spread(diversity, fixed),
        ]


def _early(patch: str, rows: pd.DataFrame) -> Iterator[list[str]]:
    stopped = rows[rows["method"] == STOPPED]
    cells = []
    for level in LEVELS:
        values = stopped[stopped["start"] == f"{level}×"]["likeness"]
        count = f", {values.notna().sum()} of {len(values)}" if values.isna().any() else ""
        cells.append(spread(values, fixed) + count)
    end = rows[(rows["method"] == "plain") & (rows["start"] == "maximum")]
    yield [*cells, spread(end["likeness"], fixed), spread(end["over_maximum"])]


_TRANSFER_HEAD = [
    "network",
    "layer",
    "patch",
    "exemplars",
    f"transfer, {DISTANCES[0]} pixel{'s' * (DISTANCES[0] > 1)}",
    *(f"{distance} pixels" for distance in DISTANCES[1:]),
    "diversity",
]


def transfer_lines(table: pd.DataFrame) -> list[str]:
    """Markdown of transfer and diversity.

    Parameters
    ----------
    table : DataFrame
        From :func:`cnnviz.thesis.tables.exemplar_numbers.frame`.

    Returns
    -------
    list of str
    """
    return markdown.table(_TRANSFER_HEAD, _rows_of(table, _kept))


def _maxima(table: pd.DataFrame) -> Iterator[list[int | str]]:
    for method, words in list(_METHOD_WORDS.items())[:2]:
        maxima = local_maxima(table, method)
        for (network, layer), rows in maxima.groupby(["network", "layer"], sort=False):
            best = rows["best"].value_counts().reindex([*STARTS, "noise"], fill_value=0)
            yield [NETWORKS.get(network, network), layer, words, spread(rows["ratio"]), *best]


_MEDIANS = (
    "The largest activation on data, and what exemplars reach, divided by it. Medians "
    "over features (and seeds), in brackets smallest and largest, as everywhere below.\n"
)
_LOCAL_MAXIMA = (
    "Largest over smallest activation reached from the three starting points (noise: "
    "the first seed), and how often each is best. Plain ascents of rectifiers do not "
    "converge: theirs is the activation after all steps.\n"
)
_STOPPED_EARLY = (
    "Plain ascent from the strongest patch: likeness to it when the activation first "
    "is so many times the largest on data (with the number of features that get "
    "there, where not all do), at the end, and how far that is. Where it is nearly 1, "
    "what one sees is the data themselves.\n"
)
_ACTIVATION_HEAD = [
    "network",
    "layer",
    "patch",
    "largest on data",
    "plain, from strongest",
    "from mean",
    "from noise",
    "norm held, all starts",
    "regularized",
]
_OUTPUTS_HEAD = ["network", "layer", "largest output on data", "output, plain"]
_MAXIMA_HEAD = [
    "network",
    "layer",
    "exemplars",
    "largest / smallest",
    "best: strongest",
    "mean",
    "noise",
]
_DISTANCE_HEAD = ["network", "layer", "exemplars", "root mean square", "outside", "likeness"]
_EARLY_HEAD = [
    "network",
    "layer",
    *(f"at {level}×" for level in LEVELS),
    "at the end",
    "end / largest on data",
]


def _verdict_lines(table: pd.DataFrame) -> list[str]:
    rows = [
        [each.claim, named(each.network), f"**{each.verdict}**", each.evidence]
        for each in verdicts(table)
    ]
    return markdown.table(["claim", "network", "verdict", "evidence"], rows)


def text(table: pd.DataFrame, said: Mapping[str, str]) -> str:
    """Markdown of everything.

    Parameters
    ----------
    table : DataFrame
        From :func:`frame`, of all networks.
    said : dict of str
        From :func:`words`.
    """
    sigmoid = table[table["network"].map(is_saturating)]
    parts = [
        "# Exemplars beside data\n",
        _filled(_CAPTION.format(**said)),
        "## What the numbers say\n",
        _filled(_RULES.format(margin=MARGIN)),
        *_verdict_lines(table),
        "\n## Activation\n",
        _MEDIANS,
        *markdown.table(_ACTIVATION_HEAD, _rows_of(table, _activation)),
        "\nWhat sigmoid units make of these activations:\n",
        *markdown.table(_OUTPUTS_HEAD, _rows_of(sigmoid, _outputs)),
        "\n## Local maxima\n",
        _LOCAL_MAXIMA,
        *markdown.table(_MAXIMA_HEAD, _maxima(table)),
        "\n## Distance from data\n",
        "Root mean square over that of the data, share outside, and likeness.\n",
        *markdown.table(_DISTANCE_HEAD, _rows_of(table, _distance)),
        "\n## Transfer and diversity\n",
        *transfer_lines(table),
        "\n## Stopped early\n",
        _STOPPED_EARLY,
        *markdown.table(_EARLY_HEAD, _rows_of(table, _early)),
    ]
    return "\n".join(parts) + "\n"
