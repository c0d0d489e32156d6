"""Exemplars beside data: the hypothesis of thesis section 6, put to the test."""

import io
import textwrap
from typing import NamedTuple

import numpy as np
import pandas as pd

from cnnviz.experiments.exemplar_statistics import ExemplarStatistics
from cnnviz.feature_visualization.analysis import LEVELS, METHODS
from cnnviz.feature_visualization.measures import DISTANCES
from cnnviz.networks.die_architectures import ARCHITECTURES
from cnnviz.runtime import files

__all__ = [
    "NETWORKS",
    "SAMPLES",
    "TRANSFER_HEAD",
    "TWINS",
    "Verdict",
    "comparisons",
    "frame",
    "local_maxima",
    "make",
    "text",
    "transfer_rows",
    "verdicts",
    "words",
]

#: The same architecture with rectifiers and with sigmoid units.
TWINS = ("c4", "c4_sigmoid")
#: What the table calls a network; others go by their name.
NETWORKS = {
    "c4": "c4, rectifier",
    "c4_sigmoid": "c4, sigmoid",
    "defauw surrogate": "De Fauw's, surrogate weights",
    "defauw defauw": "De Fauw's, his weights",
    "defauw random": "De Fauw's, random weights",
}
SAMPLES = {"die": "views of the die", "fundus": "synthetic photographs"}
STARTS = ("maximum", "mean")  # and the noise of each seed
_STOPPED = "stopped"
_FAR, _FACTOR, _MARGIN = 10, 2, 0.1  # what verdicts ask for
_TWO = " → ".join(TWINS)
# How the claims begin that follow from the thesis's explanation.
_FOLLOWS = ("Saturating units make", "Holding the norm makes")


def make(output, *, statistics, rows):
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
    found = [ExemplarStatistics.load(path) for path in statistics]
    numbers = pd.concat(map(frame, found), ignore_index=True)
    written = numbers.to_csv(index=False, float_format="%.6g")
    files.write_text(rows, written)
    # From what is written, so that the text can be made from it again.
    files.write_text(output, text(pd.read_csv(io.StringIO(written)), words(found)))


# --- Tidy numbers -----------------------------------------------------------------


def is_saturating(network):
    """Whether a network of the die has units that saturate."""
    return network in ARCHITECTURES and ARCHITECTURES[network].units == "sigmoid"


def frame(found):
    """All numbers of one network's exemplars, a row for each exemplar.

    Parameters
    ----------
    found : cnnviz.experiments.exemplar_statistics.ExemplarStatistics

    Returns
    -------
    DataFrame
        ``network, layer, patch, feature, method, start`` and the measures.  Stopped
        ascents have the method "stopped" and the level in the place of the start.
    """
    network = found.network + (f" {found.weights}" if found.weights else "")
    rows = []
    for layer, part in found.layers.items():
        of_layer = [row for method in METHODS for row in _rows(part, method)] + _stopped(part)
        patch = " × ".join(map(str, part.strongest.shape[2:]))
        rows += [{**row, "layer": layer, "patch": patch} for row in of_layer]
    table = pd.DataFrame(rows)
    table.insert(0, "network", network)
    first = ["network", "layer", "patch"]
    return table[first + [name for name in table.columns if name not in first]]


def _over(values, maxima):
    """Quotients by what data reach; NaN where that is not positive."""
    return values / np.where(maxima > 0, maxima, np.nan)


def _starts(method, runs):
    named = () if method == "regularized" else STARTS
    return [*named, *(f"noise {k}" for k in range(runs - len(named)))]


def _rows(part, method):
    """Rows of one layer and method."""
    made, rows = part.methods[method], []
    for run, start in enumerate(_starts(method, len(made.reached))):
        for k, feature in enumerate(part.features.tolist()):
            rows.append(
                {
                    "feature": feature,
                    "method": method,
                    "start": start,
                    "maximum": part.maximum[k],
                    "output_maximum": part.output_maximum[k],
                    "reached": made.reached[run, k],
                    "over_maximum": _over(made.reached[run, k], part.maximum[k]),
                    "output": made.output[run, k],
                    "square": made.square[run, k],
                    "outside": made.outside[run, k],
                    "likeness": made.likeness[run, k],
                    **{f"transfer_{d}": made.transfer[j, run, k] for j, d in enumerate(DISTANCES)},
                    "diversity": made.diversity[k],
                }
            )
    return rows


def _stopped(part):
    """Rows of the ascents from the strongest patch, stopped early."""
    return [
        {
            "feature": feature,
            "method": _STOPPED,
            "start": f"{level}×",
            "maximum": part.maximum[k],
            "output_maximum": part.output_maximum[k],
            "reached": part.early.reached[j, k],
            "over_maximum": _over(part.early.reached[j, k], part.maximum[k]),
            "likeness": part.early.likeness[j, k],
        }
        for j, level in enumerate(LEVELS)
        for k, feature in enumerate(part.features.tolist())
    ]


def words(found):
    """What the table's caption says of how its numbers were made.

    Parameters
    ----------
    found : list of cnnviz.experiments.exemplar_statistics.ExemplarStatistics
        A network each.

    Returns
    -------
    dict of str
    """
    said = {f"{kind}_{name}": "–" for kind in SAMPLES for name in ("steps", "size", "regularized")}
    for each in found:
        said.update(
            {
                f"{each.kind}_steps": f"{each.settings['steps']:,}",
                f"{each.kind}_size": f"{each.settings['step_size']:g}",
                f"{each.kind}_regularized": str(each.settings["regularized_steps"]),
            }
        )
    samples = {each.kind: f"{each.sample:,} {SAMPLES[each.kind]}" for each in found}
    accuracies = ", ".join(
        f"{each.network} {each.accuracy:.4f}" for each in found if each.accuracy is not None
    )
    return {**said, "samples": " and ".join(samples.values()), "accuracies": accuracies}


# --- What is derived from them ----------------------------------------------------


def _chosen(table, network, method, start=None):
    chosen = (table["network"] == network) & (table["method"] == method)
    if start is not None:
        chosen &= table["start"].str.startswith(start)
    return table[chosen]


def _medians(rows, name):
    """Median over features and starts, by layer in its order."""
    return rows.groupby("layer", sort=False)[name].median()


def _transfer(rows):
    """Mean transfer over the distances, of every exemplar."""
    return rows[[f"transfer_{distance}" for distance in DISTANCES]].mean(axis=1)


def local_maxima(table, method):
    """Local maxima that the thesis's three starting points lead to.

    Parameters
    ----------
    table : DataFrame
        From :func:`frame`.
    method : str
        "plain" or "sphere".

    Returns
    -------
    DataFrame
        A row for each network, layer and feature: the activation reached from
        ``maximum``, ``mean`` and ``noise``, the ``best`` of them, and the
        ``ratio`` of the largest to the smallest, NaN where one is not positive.
    """
    rows = table[(table["method"] == method) & table["start"].isin([*STARTS, "noise 0"])]
    keys = ["network", "layer", "feature"]
    found = rows.pivot(index=keys, columns="start", values="reached")
    found = found.reindex(pd.MultiIndex.from_frame(rows[keys].drop_duplicates()))
    found = found.rename(columns={"noise 0": "noise"})[[*STARTS, "noise"]]
    low = found.min(axis=1)
    return found.assign(
        best=found.idxmax(axis=1), ratio=found.max(axis=1) / low.where(low > 0)
    ).reset_index()


def comparisons(first, second):
    """What makes an exemplar more than noise, of two kinds of exemplars.

    Parameters
    ----------
    first, second : DataFrames
        Rows of :func:`frame`, each of one network and method.

    Returns
    -------
    DataFrame
        Medians of both, ``before`` and ``after``, by ``measure`` and
        ``layer``; and whether the second is ``better`` by 0.1 or more: keeps
        more of its activation when shifted, differs less between seeds, is
        more like the strongest patch.
    """
    found = []
    for measure, sign in (("transfer", 1), ("diversity", -1), ("likeness", 1)):
        before, after = (
            _medians(rows.assign(transfer=_transfer(rows)), measure) for rows in (first, second)
        )
        both = pd.DataFrame({"before": before, "after": after}).rename_axis("layer")
        both["better"] = sign * (both["after"] - both["before"]) >= _MARGIN
        found.append(both.reset_index().assign(measure=measure))
    return pd.concat(found, ignore_index=True)


# --- Numbers in words -------------------------------------------------------------


def _number(value, digits=2):
    """A number rounded to so many digits, thousands apart; a true minus."""
    if not np.isfinite(value):
        return "–"
    rounded = float(f"{value:.{digits}g}")
    if abs(rounded) >= 10 ** (digits - 1):
        return f"{rounded:,.0f}".replace("-", "−")
    return f"{rounded:g}".replace("-", "−")


def _decimal(value):
    """A share or a correlation, two decimals."""
    return "–" if not np.isfinite(value) else f"{value:.2f}".replace("-", "−")


def _span(values, write=_number):
    """Smallest and largest of some numbers."""
    values = np.asarray(values, float)
    if not np.isfinite(values).any():
        return "–"
    low, high = write(np.nanmin(values)), write(np.nanmax(values))
    return low if low == high else f"{low} to {high}"


def _listed(values, write=_number):
    """All numbers, layer by layer."""
    return ", ".join(map(write, values))


def _spread(values, write=_number):
    """Median, and in brackets smallest and largest."""
    values = np.asarray(values, float)
    if not np.isfinite(values).any():
        return "–"
    middle, span = write(np.nanmedian(values)), _span(values, write)
    return middle if middle == span else f"{middle} ({span})"


# --- Verdicts ---------------------------------------------------------------------


class Verdict(NamedTuple):
    """What the numbers say of a claim."""

    claim: str
    network: str
    verdict: str  #: supported, partly supported or not supported
    evidence: str


def _judged(holds):
    """Verdict on comparisons, each of which speaks for the claim or not."""
    share = np.mean(holds)
    if share == 1:
        return "supported"
    return "partly supported" if share > 0.5 else "not supported"


def _readable(claim, network, first, second):
    found = comparisons(first, second)
    parts = [
        f"{measure} {_listed(rows['before'], _decimal)} → {_listed(rows['after'], _decimal)}"
        for measure, rows in found.groupby("measure", sort=False)
    ]
    return Verdict(
        claim,
        network,
        _judged(found["better"]),
        f"better in {found['better'].sum()} of {len(found)} comparisons: " + "; ".join(parts),
    )


def _far(table, network):
    found = _medians(_chosen(table, network, "plain"), "over_maximum")
    return Verdict(
        "Optimized inputs activate rectifiers far more than data do.",
        network,
        _judged(found >= _FAR),
        f"{_listed(found)} times the largest activation on data",
    )


def _bounded(table, network):
    rows = _chosen(table, network, "plain")
    output = rows["output"] / rows["output_maximum"]
    linear = _medians(rows, "over_maximum")
    return Verdict(
        "With saturating units that cannot happen.",
        network,
        _judged(output.groupby(rows["layer"]).median() < _FAR),
        f"outputs reach {_spread(output, _decimal)} times the largest on data; before "
        f"the sigmoid it is {_listed(linear)}",
    )


def _nearer(table):
    holds, parts = [], []
    for name, words in (("square", "root mean square"), ("outside", "share outside")):
        one, other = (_medians(_chosen(table, network, "plain"), name) for network in TWINS)
        holds += (other < one).tolist()
        write = _decimal if name == "outside" else _number
        parts.append(f"{words} {_listed(one, write)} → {_listed(other, write)}")
    return Verdict(
        "Saturating units keep exemplars nearer to data.", _TWO, _judged(holds), "; ".join(parts)
    )


def _stays(table):
    one, other = (
        _medians(_chosen(table, network, "plain", "maximum"), "likeness") for network in TWINS
    )
    return Verdict(
        "Started from data, their exemplars remain like it.",
        _TWO,
        _judged(other - one >= _MARGIN),
        f"likeness to the start {_listed(one, _decimal)} → {_listed(other, _decimal)}",
    )


def _stops(table, network):
    early = _medians(_chosen(table, network, _STOPPED, "2×"), "likeness")
    end = _medians(_chosen(table, network, "plain", "maximum"), "likeness")
    both = pd.DataFrame({"early": early, "end": end}).dropna()
    if both.empty:
        return []
    return [
        Verdict(
            "Stopped early, they are still like the data they started from.",
            network,
            _judged((both["early"] - both["end"]) >= _MARGIN),
            f"likeness to the start {_listed(both['early'], _decimal)} at twice the largest "
            f"activation on data; {_listed(both['end'], _decimal)} at the end",
        )
    ]


def _starts_matter(table, network):
    plain, sphere = (
        local_maxima(table[table["network"] == network], method) for method in METHODS[:2]
    )
    best = plain["best"].value_counts()
    return [
        Verdict(
            "Local maxima differ by as much as a factor 2 between starts.",
            network,
            _judged([np.nanmax(plain["ratio"], initial=0) >= _FACTOR]),
            f"largest over smallest: plain, {_spread(plain['ratio'])}; norm held, "
            f"{_spread(sphere['ratio'])}",
        ),
        Verdict(
            "No starting point is consistently best.",
            network,
            _judged([len(best) > 1]),
            "best, plain: " + ", ".join(f"{start} {count}" for start, count in best.items()),
        ),
    ]


def _hypothesis(found):
    """The thesis's explanation as a whole, from what would follow from it."""
    tests = [each for each in found if each.claim.startswith(_FOLLOWS)]
    if not any(each.network == _TWO for each in tests):
        return []
    return [
        Verdict(
            "That rectifiers are unbounded is why their exemplars cannot be read.",
            "all",
            _judged([each.verdict == "supported" for each in tests]),
            "what would follow from it: "
            + "; ".join(
                f"{each.claim.rstrip('.')}, {_named(each.network)}: {each.verdict}"
                for each in tests
            ),
        )
    ]


def verdicts(table):
    """Claims of sections 4.4 and 6, and of this package, with their evidence.

    Parameters
    ----------
    table : DataFrame
        From :func:`frame`, of several networks.

    Returns
    -------
    list of Verdict
    """
    there = list(dict.fromkeys(table["network"]))
    rectified = [name for name in there if not is_saturating(name)]
    found = [_far(table, name) for name in rectified]
    if set(TWINS) <= set(there):
        found += [_bounded(table, TWINS[1]), _nearer(table), _stays(table)]
        for method, words in (("plain", "plain"), ("sphere", "norm held")):
            found.append(
                _readable(
                    f"Saturating units make them easier to read ({words}).",
                    _TWO,
                    *(_chosen(table, name, method) for name in TWINS),
                )
            )
    for name in rectified:
        plain, sphere = (_chosen(table, name, method) for method in METHODS[:2])
        found.append(_readable("Holding the norm makes them easier to read.", name, plain, sphere))
    for name in there:
        plain, regularized = (_chosen(table, name, method) for method in METHODS[::2])
        found.append(_readable("Regularizing makes them easier to read.", name, plain, regularized))
    for name in rectified:
        found += _stops(table, name) + _starts_matter(table, name)
    return _hypothesis(found) + found


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


def _filled(paragraphs):
    """Paragraphs with lines of even length."""
    return (
        "\n\n".join(
            textwrap.fill(each, 88, break_on_hyphens=False) for each in paragraphs.split("\n\n")
        )
        + "\n"
    )


def _rows_of(table, cells):
    """Markdown rows, one for each network and layer."""
    lines = []
    for (network, layer, patch), rows in table.groupby(["network", "layer", "patch"], sort=False):
        lines += [
            f"| {NETWORKS.get(network, network)} | {layer} | {line} |"
            for line in cells(patch, rows)
        ]
    return lines


def _activation(patch, rows):
    def over(method, start=""):
        chosen = rows[(rows["method"] == method) & rows["start"].str.startswith(start)]
        return _spread(chosen["over_maximum"])

    first = rows.drop_duplicates("feature")
    yield " | ".join(
        [
            patch,
            _spread(first["maximum"]),
            *(over("plain", start) for start in (*STARTS, "noise")),
            over("sphere"),
            over("regularized"),
        ]
    )


def _outputs(patch, rows):
    first, plain = rows.drop_duplicates("feature"), rows[rows["method"] == "plain"]
    yield " | ".join(
        [_spread(first["output_maximum"], _decimal), _spread(plain["output"], _decimal)]
    )


_METHOD_WORDS = {"plain": "plain", "sphere": "norm held", "regularized": "regularized"}


def _distance(patch, rows):
    for method, words in _METHOD_WORDS.items():
        chosen = rows[rows["method"] == method]
        yield " | ".join(
            [
                words,
                _spread(chosen["square"]),
                _spread(chosen["outside"], _decimal),
                _spread(chosen["likeness"], _decimal),
            ]
        )


def _kept(patch, rows):
    for method, words in _METHOD_WORDS.items():
        chosen = rows[rows["method"] == method]
        if chosen.empty:
            continue
        diversity = chosen.drop_duplicates("feature")["diversity"]
        yield " | ".join(
            [
                patch,
                words,
                *(_spread(chosen[f"transfer_{distance}"], _decimal) for distance in DISTANCES),
                _spread(diversity, _decimal),
            ]
        )


def _early(patch, rows):
    stopped = rows[rows["method"] == _STOPPED]
    cells = []
    for level in LEVELS:
        values = stopped[stopped["start"] == f"{level}×"]["likeness"]
        count = f", {values.notna().sum()} of {len(values)}" if values.isna().any() else ""
        cells.append(_spread(values, _decimal) + count)
    end = rows[(rows["method"] == "plain") & (rows["start"] == "maximum")]
    yield " | ".join([*cells, _spread(end["likeness"], _decimal), _spread(end["over_maximum"])])


TRANSFER_HEAD = [
    "| network | layer | patch | exemplars | transfer, "
    + " | ".join(f"{distance} pixel{'s' * (distance > 1)}" for distance in DISTANCES)
    + " | diversity |",
    "|" + "---|" * (5 + len(DISTANCES)),
]


def transfer_rows(table):
    """Markdown rows of transfer and diversity, below :data:`TRANSFER_HEAD`.

    Parameters
    ----------
    table : DataFrame
        From :func:`frame`.

    Returns
    -------
    list of str
    """
    return _rows_of(table, _kept)


def _maxima(table):
    lines = []
    for method, words in list(_METHOD_WORDS.items())[:2]:
        found = local_maxima(table, method)
        for (network, layer), rows in found.groupby(["network", "layer"], sort=False):
            best = rows["best"].value_counts().reindex([*STARTS, "noise"], fill_value=0)
            lines.append(
                f"| {NETWORKS.get(network, network)} | {layer} | {words} | "
                f"{_spread(rows['ratio'])} | " + " | ".join(map(str, best)) + " |"
            )
    return lines


def _named(network):
    """Networks of a verdict as the table calls them."""
    return " → ".join(NETWORKS.get(name, name) for name in network.split(" → "))


def text(table, said):
    """Markdown of everything.

    Parameters
    ----------
    table : DataFrame
        From :func:`frame`, of all networks.
    said : dict of str
        From :func:`words`.
    """
    early_head = " | ".join(f"at {level}×" for level in LEVELS)
    sigmoid = table[table["network"].map(is_saturating)]
    parts = [
        "# Exemplars beside data\n",
        _filled(_CAPTION.format(**said)),
        "## What the numbers say\n",
        _filled(_RULES.format(margin=_MARGIN)),
        "| claim | network | verdict | evidence |",
        "|---|---|---|---|",
        *(
            f"| {each.claim} | {_named(each.network)} | **{each.verdict}** | {each.evidence} |"
            for each in verdicts(table)
        ),
        "\n## Activation\n",
        "The largest activation on data, and what exemplars reach, divided by it. Medians "
        "over features (and seeds), in brackets smallest and largest, as everywhere below.\n",
        "| network | layer | patch | largest on data | plain, from strongest | "
        "from mean | from noise | norm held, all starts | regularized |",
        "|" + "---|" * 9,
        *_rows_of(table, _activation),
        "\nWhat sigmoid units make of these activations:\n",
        "| network | layer | largest output on data | output, plain |",
        "|---|---|---|---|",
        *_rows_of(sigmoid, _outputs),
        "\n## Local maxima\n",
        "Largest over smallest activation reached from the three starting points (noise: "
        "the first seed), and how often each is best. Plain ascents of rectifiers do not "
        "converge: theirs is the activation after all steps.\n",
        "| network | layer | exemplars | largest / smallest | best: strongest | mean | noise |",
        "|" + "---|" * 7,
        *_maxima(table),
        "\n## Distance from data\n",
        "Root mean square over that of the data, share outside, and likeness.\n",
        "| network | layer | exemplars | root mean square | outside | likeness |",
        "|" + "---|" * 6,
        *_rows_of(table, _distance),
        "\n## Transfer and diversity\n",
        *TRANSFER_HEAD,
        *transfer_rows(table),
        "\n## Stopped early\n",
        "Plain ascent from the strongest patch: likeness to it when the activation first "
        "is so many times the largest on data (with the number of features that get "
        "there, where not all do), at the end, and how far that is. Where it is nearly 1, "
        "what one sees is the data themselves.\n",
        f"| network | layer | {early_head} | at the end | end / largest on data |",
        "|" + "---|" * 7,
        *_rows_of(table, _early),
    ]
    return "\n".join(parts) + "\n"
