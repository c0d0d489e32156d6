"""Exemplars beside data: the hypothesis of thesis section 6, put to the test."""
import numpy as np
import pandas as pd

from cnnviz.exemplar_statistics import DISTANCES, LEVELS, METHODS

__all__ = ["NETWORKS", "frame", "verdicts", "transfer_table", "text"]

#: What the table calls a network, by its name and weights.
NETWORKS = {
    "defauw standin": "De Fauw's, stand-in weights",
    "defauw defauw": "De Fauw's, his weights",
    "defauw random": "De Fauw's, random weights",
}
STARTS = ("maximum", "mean")   # and noise of each seed
_END = "end"
_FAR, _FACTOR, _ALIKE = 10, 2, 0.5   # what verdicts ask for


# --- Tidy numbers -----------------------------------------------------------------

def frame(found):
    """All numbers of one network's exemplars, a row for each exemplar.

    Parameters
    ----------
    found : dict of arrays
        As ``cnnviz exemplar-statistics`` writes them.

    Returns
    -------
    DataFrame
        ``network, layer, feature, method, start`` and the measures.  Stopped
        ascents have the method "stopped" and the level in the place of the start.
    """
    network = str(found["network"])
    network += f" {found['choice']}" if network == "defauw" else ""
    rows = []
    for layer in found["layers"].tolist():
        part = {key.removeprefix(f"{layer}_"): value for key, value in found.items()
                if key.startswith(f"{layer}_")}
        for method in METHODS:
            rows += _rows(part, method)
        rows += _stopped(part)
        for row in rows:
            row.setdefault("layer", layer)
    table = pd.DataFrame(rows)
    table.insert(0, "network", network)
    return table[["network", "layer", *(name for name in table.columns
                                        if name not in ("network", "layer"))]]


def _over(values, maxima):
    """Quotients by what data reach; NaN where that is not positive."""
    return values / np.where(maxima > 0, maxima, np.nan)


def _starts(method, runs):
    named = () if method == "regularized" else STARTS
    return [*named, *(f"noise {k}" for k in range(runs - len(named)))]


def _rows(part, method):
    """Rows of one layer and method."""
    get = {name: part[f"{method}_{name}"] for name in (
        "reached", "output", "square", "outside", "likeness", "transfer", "diversity")}
    rows = []
    for run, start in enumerate(_starts(method, len(get["reached"]))):
        for k, feature in enumerate(part["features"].tolist()):
            maximum, output = part["maximum"][k], part["output_maximum"][k]
            rows.append({
                "feature": feature, "method": method, "start": start,
                "maximum": maximum, "output_maximum": output,
                "reached": get["reached"][run, k],
                "over_maximum": _over(get["reached"][run, k], maximum),
                "output": get["output"][run, k],
                **{name: get[name][run, k] for name in ("square", "outside", "likeness")},
                **{f"transfer_{d}": get["transfer"][j, run, k]
                   for j, d in enumerate(DISTANCES)},
                "diversity": get["diversity"][k]})
    return rows


def _stopped(part):
    """Rows of the ascents from the strongest patch, stopped early."""
    return [{"feature": feature, "method": "stopped", "start": f"{level}×",
             "maximum": part["maximum"][k], "output_maximum": part["output_maximum"][k],
             "reached": part["early_reached"][j, k],
             "over_maximum": _over(part["early_reached"][j, k], part["maximum"][k]),
             "likeness": part["early_likeness"][j, k]}
            for j, level in enumerate(LEVELS)
            for k, feature in enumerate(part["features"].tolist())]


# --- Verdicts ---------------------------------------------------------------------

def _medians(table, network, method, name):
    """Median over features and starts, by layer."""
    chosen = table[(table["network"] == network) & (table["method"] == method)]
    return chosen.groupby("layer", sort=False)[name].median()


def _range(values, digits=3):
    """Smallest and largest of some numbers, in words."""
    low, high = (_number(each, digits) for each in (np.nanmin(values), np.nanmax(values)))
    return low if low == high else f"{low} to {high}"


def _number(value, digits=3):
    """A number with so many digits, thousands apart; a true minus."""
    if not np.isfinite(value):
        return "–"
    if abs(value) >= 10 ** digits:
        return f"{round(float(f'{value:.{digits}g}')):,}".replace("-", "−")
    return f"{float(f'{value:.{digits}g}'):g}".replace("-", "−")


def _judged(share):
    """Verdict on a share of comparisons that speak for a claim."""
    if share == 1:
        return "supported"
    return "partly supported" if share > 0.5 else "not supported"


def _readable(first, second):
    """Comparisons of what makes an exemplar more than noise, by layer.

    Parameters
    ----------
    first, second : (table, network, method)

    Returns
    -------
    share : float
        Of layers and measures in which the second is better by 0.1 or more.
    text : str
    """
    shown, better = [], []
    for name, sign in _READABLE.items():
        before, after = (_readings(*each, name) for each in (first, second))
        common = before.index.intersection(after.index)
        before, after = before[common], after[common]
        better += (sign * (after - before) >= _MARGIN).tolist()
        shown.append(f"{_NAMES[name]} {_range(before, 2)} → {_range(after, 2)}")
    return float(np.mean(better)), (f"better by {_MARGIN} in {sum(better)} of "
                                    f"{len(better)}: {'; '.join(shown)}")


def _readings(table, network, method, name):
    if name == "transfer":
        return pd.concat([_medians(table, network, method, f"transfer_{distance}")
                          for distance in DISTANCES], axis=1).mean(axis=1)
    return _medians(table, network, method, name)
