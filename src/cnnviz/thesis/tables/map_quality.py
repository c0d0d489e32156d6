"""Evaluation of attribution maps: means, intervals and verdicts (beyond the thesis)."""

import itertools
from typing import NamedTuple

import numpy as np
import pandas as pd

from cnnviz.evaluation import intervals
from cnnviz.evaluation.benchmark import CENTER, RANDOM
from cnnviz.evaluation.layer_methods import METHODS
from cnnviz.experiments import map_benchmark
from cnnviz.runtime import files

__all__ = [
    "ALL",
    "CLAIMS",
    "KEYS",
    "SCORE",
    "Claim",
    "estimate",
    "findings",
    "judged",
    "means_of",
    "text",
    "wide",
    "yes_no",
]

KEYS = ["data", "layer", "concept", "feature", "image"]
ALL = "all layers"
SCORE = "class score"  # not a layer, and not among all of them
SAME = 0.5  # rank correlation above which two maps count as the same
_RESAMPLES = 1000
_PLACES = ("pointing", "mass")
_CURVES = ("deletion", "insertion")
_CASCADES = {"cascade, signed": "with their sign", "cascade": "by magnitude"}
#: Measures that are summed up layer by layer too.
_BY_LAYER = ("chance", *_PLACES, *(f"{each}, signed" for each in _PLACES), *_CURVES)
_NAMES = {
    "gradient max": "gradient of max(F)",
    "gradient sum": "gradient of sum(F)",
    "occlusion": "occlusion",
    "deconvnet": "deconvolutional network",
    "guided": "guided back-propagation",
    CENTER: "*center of the receptive field*",
    RANDOM: "*chance*",
}
_DATA = {"die360": "Die360", "synthetic": "synthetic photographs", "IDRiD": "IDRiD's photographs"}


class Claim(NamedTuple):
    """What the thesis says of its methods, as measured values that exceed others."""

    text: str
    measured: str  #: in words
    pairs: tuple  #: of columns of :func:`wide`: the first is said to exceed the second


def _agree(first, second, measure="agreement"):
    first, second = sorted((first, second), key=METHODS.index)
    return (measure, first, second)


def _more_alike(measure):
    """Max and occlusion against each of them and the sum."""
    alike = _agree("gradient max", "occlusion", measure)
    return tuple(
        (alike, _agree(each, "gradient sum", measure)) for each in ("gradient max", "occlusion")
    )


def _more(measure, larger, smaller):
    return (measure, larger, ""), (measure, smaller, "")


#: Section 4.5, third paragraph, and chapter 6.
CLAIMS = (
    Claim(
        "Max and occlusion agree more with each other than with sum",
        "rank correlation, in the receptive field",
        _more_alike("agreement"),
    ),
    Claim("The same", "rank correlation, whole picture", _more_alike("agreement, picture")),
    Claim(
        "Max and occlusion mark a more specific region than sum",
        "share of the picture that holds half of the map, sum less the other",
        tuple(_more("half", "gradient sum", each) for each in ("gradient max", "occlusion")),
    ),
    Claim(
        "Sum shows more details than max",
        "separate important areas, sum less max",
        (_more("areas", "gradient sum", "gradient max"),),
    ),
    Claim(
        "Gradients show more details than occlusion",
        "separate important areas, gradient less occlusion",
        tuple(_more("areas", each, "occlusion") for each in ("gradient max", "gradient sum")),
    ),
)


# --- Means and intervals ----------------------------------------------------------


def wide(frame):
    """One row for each feature on each image, one column for each measure.

    Parameters
    ----------
    frame : DataFrame
        Rows of 'cnnviz map-quality', all but those of lifts.

    Returns
    -------
    DataFrame
        Rows by :data:`KEYS`, columns by measure, method and other; with differences to
        chance, to the middle and to the random order.
    """
    frame = frame[frame["measure"] != "lift"]
    columns = ["measure", "method", "other"]
    table = frame.set_index([*KEYS, *columns])["value"].unstack(columns)
    # In the order of the rows, where pandas sorts.
    table = table.loc[
        pd.MultiIndex.from_frame(frame[KEYS].drop_duplicates()),
        pd.MultiIndex.from_frame(frame[columns].drop_duplicates()),
    ]
    return pd.concat([table, pd.DataFrame(dict(_differences(table)), index=table.index)], axis=1)


def _differences(table):
    """Named columns: how much better a method is than what it must beat."""
    for measure, method, other in table.columns:
        if measure in _PLACES and method in METHODS:
            found = table[measure, method, other]
            yield (f"{measure} − chance", method, ""), found - table["chance", "", ""]
            if (measure, CENTER, "") in table:
                yield (f"{measure} − {CENTER}", method, ""), found - table[measure, CENTER, ""]
        if measure in _CURVES and method in METHODS:
            better = table[measure, method, other] - table[measure, RANDOM, ""]
            sign = -1 if measure == "deletion" else 1
            yield (f"{measure} − {RANDOM}", method, ""), sign * better


def estimate(values):
    """Mean over features and images, with a bootstrap interval over images.

    Parameters
    ----------
    values : Series
        Indexed by :data:`KEYS`; NaN counts for nothing.

    Returns
    -------
    dict
        ``value``, ``low``, ``high``, ``maps`` and ``images``; the interval is NaN for
        fewer than two images.
    """
    values = values.dropna()
    by_image = values.groupby("image", sort=False).agg(["sum", "count"]).to_numpy()
    low = high = np.nan
    if len(by_image) > 1:
        low, high = intervals.bootstrap_interval(
            by_image, lambda rows: rows[:, 0].sum() / rows[:, 1].sum(), count=_RESAMPLES
        )
    return {
        "value": values.mean(),
        "low": low,
        "high": high,
        "maps": len(values),
        "images": len(by_image),
    }


def means_of(table):
    """Means with intervals, for every layer and for all of them.

    Parameters
    ----------
    table : DataFrame
        From :func:`wide`.

    Returns
    -------
    DataFrame
        ``data``, ``layer``, ``measure``, ``method``, ``other``, and what
        :func:`estimate` gives.
    """
    rows = []
    for data in _in_order(table, "data"):
        part = table.loc[[data]]
        for layer in [*_in_order(part, "layer"), ALL]:
            rows += _layer_summary(part, data, layer)
    return pd.DataFrame(rows)


def _in_order(table, level):
    return list(dict.fromkeys(table.index.get_level_values(level)))


def _layer_summary(part, data, layer):
    layers = part.index.get_level_values("layer")
    chosen = part[layers != SCORE] if layer == ALL else part[layers == layer]
    measured = chosen.columns[chosen.notna().any()]
    return [
        {
            "data": data,
            "layer": layer,
            **dict(zip(("measure", "method", "other"), each)),
            **estimate(chosen[each]),
        }
        for each in measured
        if layer == ALL or each[0] in _BY_LAYER
    ]


# --- Verdicts ---------------------------------------------------------------------


def yes_no(intervals):
    """Whether all differences exceed zero, by their intervals.

    Parameters
    ----------
    intervals : sequence of (low, high)

    Returns
    -------
    str
        "yes" if all lie above zero, "no" if one lies below it, else "open".
    """
    low, high = np.array(intervals, float).reshape(-1, 2).T
    if len(low) and (low > 0).all():
        return "yes"
    return "no" if (high < 0).any() else "open"


def judged(table):
    """The thesis's claims, measured.

    Parameters
    ----------
    table : DataFrame
        From :func:`wide`.

    Returns
    -------
    list of dict
        ``claim``, ``measured``, ``data``, ``differences`` (of :func:`estimate`) and
        ``verdict``, where there are measurements.
    """
    rows = []
    for claim in CLAIMS:
        for data in _in_order(table, "data"):
            part = table.loc[[data]]
            if not all(column in part for pair in claim.pairs for column in pair):
                continue
            found = [estimate(part[first] - part[second]) for first, second in claim.pairs]
            if all(each["maps"] for each in found):
                rows.append(
                    {
                        "claim": claim.text,
                        "measured": claim.measured,
                        "data": data,
                        "differences": found,
                        "verdict": yes_no([(each["low"], each["high"]) for each in found]),
                    }
                )
    return rows


def _found(frame, data, measure):
    """Rows of all layers, by method."""
    chosen = frame[
        (frame["data"] == data) & (frame["layer"] == ALL) & (frame["measure"] == measure)
    ]
    return {row.method: row for row in chosen.itertuples()}


def _sorted_out(rows):
    """Methods whose difference lies above zero, around it, and below."""
    kinds = {"yes": [], "open": [], "no": []}
    for method in METHODS:
        if method in rows:
            kinds[yes_no([(rows[method].low, rows[method].high)])].append(_NAMES[method])
    return kinds


def _listed(names):
    names = list(names)
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _sentence(rows, what):
    """Which methods do what, which do the opposite, of which it is not known."""
    kinds = _sorted_out(rows)
    parts = [f"{what}: {_listed(kinds['yes']) or 'no method'}"]
    if kinds["no"]:
        parts.append(f"the opposite: {_listed(kinds['no'])}")
    if kinds["open"]:
        parts.append(f"the interval includes zero: {_listed(kinds['open'])}")
    return "; ".join(parts) + "."


_SENTENCES = {
    "pointing − chance": "The map's maximum lies on what the feature is about more often "
    "than by chance",
    "mass − chance": "More of the map lies on it than by chance",
    f"mass − {CENTER}": "More than of a Gaussian at the center of the neuron's receptive field",
    f"deletion − {RANDOM}": "Removing what the map marks lowers the activation sooner "
    "than removing pixels at random",
    f"insertion − {RANDOM}": "Restoring what the map marks restores it sooner than "
    "pixels at random",
}


def findings(frame):
    """Sentences that follow from the numbers.

    Parameters
    ----------
    frame : DataFrame
        From :func:`means_of`.

    Returns
    -------
    dict
        From data to lists of str.
    """
    return {
        data: [*_comparisons(frame, data), *_best(frame, data), *_randomized(frame, data)]
        for data in dict.fromkeys(frame["data"])
    }


def _comparisons(frame, data):
    for measure, what in _SENTENCES.items():
        rows = _found(frame, data, measure)
        if rows:
            yield _sentence(rows, what)


def _best(frame, data):
    """Which method is first in every measure."""
    for measure, direction, what in (
        ("mass", max, "The largest share on it"),
        ("deletion", min, "The smallest area of deletion"),
        ("insertion", max, "The largest area of insertion"),
    ):
        rows = {
            method: row.value
            for method, row in _found(frame, data, measure).items()
            if method in METHODS
        }
        if rows:
            first = direction(rows, key=rows.get)
            yield f"{what}: {_NAMES[first]} ({_number(rows[first])})."


def _steps(frame, data, measure):
    """Rows of randomized networks, from the top layer down."""
    return frame[(frame["data"] == data) & (frame["layer"] == ALL) & (frame["measure"] == measure)]


def _randomized(frame, data):
    """Which maps survive a random network."""
    for measure, words in _CASCADES.items():
        chosen = _steps(frame, data, measure)
        if not len(chosen):
            continue
        last = chosen[chosen["other"] == chosen["other"].iloc[-1]]
        same = [_NAMES[row.method] for row in last.itertuples() if row.low > SAME]
        changed = [_NAMES[row.method] for row in last.itertuples() if row.high < SAME]
        yield (
            f"With all layers random, maps {words} still agree with the trained network's "
            f"(rank correlation above {SAME}): {_listed(same) or 'no method'}; they do "
            f"not: {_listed(changed) or 'no method'}."
        )


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


def _number(value, digits=2):
    return "–" if not np.isfinite(value) else f"{value:.{digits}f}".replace("-", "−")


def _cell(row, digits=2):
    """Value and interval of a summary's row or an estimate."""
    if row is None or not np.isfinite(row["value"]):
        return "–"
    text = _number(row["value"], digits)
    if np.isfinite(row["low"]):
        text += f" ({_number(row['low'], digits)} to {_number(row['high'], digits)})"
    return text


def _lines(head, rows):
    return [
        f"| {' | '.join(head)} |",
        "|---" * len(head) + "|",
        *(f"| {' | '.join(map(str, row))} |" for row in rows),
    ]


def _cells(frame):
    """Rows of a summary by measure and method, of one layer."""
    return {(row["measure"], row["method"]): row for row in frame.to_dict("records")}


_SHOWN = ("pointing", "mass", "mass, signed", "deletion", "insertion")


def _main_rows(frame):
    for (data, layer), part in frame.groupby(["data", "layer"], sort=False):
        cells = _cells(part)
        chance = cells.get(("chance", ""))
        if chance is None:
            continue
        for method in (*METHODS, CENTER, RANDOM):
            found = [cells.get((measure, method)) for measure in _SHOWN]
            if method == RANDOM:
                found[:2] = [chance] * 2
            if any(found):
                # The first four columns of a group are not repeated.
                label = (
                    [_DATA[data], layer, f"{chance['maps']} of {chance['images']} images"]
                    if method == METHODS[0]
                    else [""] * 3
                )
                yield [*label, _NAMES[method], *map(_cell, found)]


def _claim_rows(claims):
    for row in claims:
        numbers = ", ".join(
            _cell(each, 3 if "share" in row["measured"] else 2) for each in row["differences"]
        )
        yield [row["claim"], row["measured"], _DATA[row["data"]], numbers, f"**{row['verdict']}**"]


def _matrix_lines(frame, data):
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
            _NAMES[first],
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
        *_lines(["", *(_NAMES[each] for each in names[1:])], body),
    ]


def _cascade_lines(frame, data, measure):
    chosen = _steps(frame, data, measure)
    if not len(chosen):
        return []
    cells = {(row["other"], row["method"]): row for row in chosen.to_dict("records")}
    return [
        "",
        f"{_DATA[data][0].upper()}{_DATA[data][1:]}, maps {_CASCADES[measure]}, "
        f"{chosen['maps'].max()} at most.",
        "",
        *_lines(
            ["random from", *(_NAMES[each] for each in METHODS)],
            [
                [step, *(_cell(cells.get((step, method))) for method in METHODS)]
                for step in dict.fromkeys(chosen["other"])
            ],
        ),
    ]


def _feature_rows(table):
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
                _number(part["chance", "", ""].mean()),
                *map(_number, means),
            ]


def _lift_lines(frame):
    lifts = frame[frame["measure"] == "lift"]
    if not len(lifts):
        return []
    concepts = list(dict.fromkeys(lifts["other"]))
    rows = [
        [layer, feature, *(_number(part.set_index("other")["value"][each]) for each in concepts)]
        for (layer, feature), part in lifts.groupby(["layer", "feature"], sort=False)
    ]
    return [
        "",
        "Every feature of the network of the die: share of the gradient of max(F) "
        "on a concept over the concept's area, on the views that features were chosen "
        "on.",
        "",
        *_lines(["layer", "feature", *concepts], rows),
    ]


def text(frame, table, means):
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
    lines = ["# Evaluation of attribution maps", "", _CAPTION, "## What the numbers say", ""]
    for data, found in findings(means).items():
        lines += [
            f"**{_DATA[data][0].upper()}{_DATA[data][1:]}.**",
            "",
            *(f"* {each}" for each in found),
            "",
        ]
    lines += [
        "## Numbers",
        "",
        *_lines(
            [
                "data",
                "layer",
                "maps",
                "method",
                "pointing",
                "mass",
                "mass, signed",
                "deletion",
                "insertion",
            ],
            _main_rows(means),
        ),
    ]
    lines += [
        "",
        "## What the thesis says",
        "",
        "*Yes*: the interval of every difference "
        "lies above zero; *no*: that of one lies below; *open*: neither.",
        "",
        *_lines(
            ["section 4.5", "measured by", "data", "differences", "holds"],
            _claim_rows(judged(table)),
        ),
    ]
    lines += ["", "## Methods beside each other"]
    for data in dict.fromkeys(means["data"]):
        lines += _matrix_lines(means, data)
    lines += ["", "## Networks with random layers", "", _RANDOMIZED]
    for data, measure in itertools.product(dict.fromkeys(means["data"]), _CASCADES):
        lines += _cascade_lines(means, data, measure)
    lines += [
        "",
        "## The features",
        "",
        "Those that were measured, and how often their maps point at what they are about.",
        "",
        *_lines(
            [
                "data",
                "layer",
                "about",
                "feature",
                "images",
                "chance",
                *(_NAMES[each] for each in METHODS),
            ],
            _feature_rows(table),
        ),
        *_lift_lines(frame),
    ]
    return "\n".join(lines) + "\n"


def make(output, *, measured, summary):
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
