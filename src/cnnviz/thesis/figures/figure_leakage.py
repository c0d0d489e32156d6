"""Accuracy against the angle to the nearest training view (beyond the thesis)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.datasets import die360, splits
from cnnviz.runtime import tables
from cnnviz.thesis.figures import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

# Folds with training views on both sides, and those beyond the trained range.
BETWEEN, BEYOND = "between trained views", "beyond the trained views"


def curves(frame: pd.DataFrame) -> dict[tuple[str, str], pd.Series]:
    """Accuracy by distance, for interpolating and extrapolating folds.

    Parameters
    ----------
    frame : DataFrame
        From :func:`cnnviz.thesis.tables.leakage.accuracy_by_distance`.

    Returns
    -------
    dict
        From the kind of fold and the network to a Series by distance.
    """
    # The split's ends, also in a run of fewer folds.
    kind = frame["fold"].isin([0, splits.FOLDS - 1]).map({True: BEYOND, False: BETWEEN})
    sums = frame.groupby([kind.rename("kind"), "network", "distance"], sort=False)[
        ["views", "right"]
    ].sum()
    share = sums["right"] / sums["views"]
    return {
        key: part.droplevel([0, 1]).sort_index()
        for key, part in share.groupby(level=[0, 1], sort=False)
    }


def most_frequent() -> float:
    """Share of the most frequent label: the accuracy of a constant answer."""
    counts = np.bincount(die360.angles()[2])
    return counts.max() / counts.sum()


def draw(frame: pd.DataFrame, random: pd.Series) -> Figure:
    """Draw the figure.

    Parameters
    ----------
    frame : DataFrame
        From :func:`cnnviz.thesis.tables.leakage.accuracy_by_distance`.
    random : Series
        Mean accuracy on the random split, by network.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = style.new(2.9)
    lines = curves(frame)
    kinds = [kind for kind in (BETWEEN, BEYOND) if any(key[0] == kind for key in lines)]
    panels = figure.subplots(1, len(kinds), sharex=True, sharey=True, squeeze=False)[0]
    for axes, kind in zip(panels, kinds):
        for network in random.index:
            line = lines[kind, network]
            axes.plot(line.index, line, label=network, **style.line(network))
            axes.plot(0, random[network], clip_on=False, **style.line(network))
        axes.axvspan(0.5, 5.5, **style.SHADE)
        axes.text(3, 0.03, "dropped by the split", ha="center")
        axes.axhline(most_frequent(), **style.REFERENCE)
        axes.set_title(f"held-out views {kind}")
        axes.set_xlabel("degrees to the nearest training view\n(0: random split of the thesis)")
        axes.set_ylim(0, 1)
        axes.set_xlim(0, frame["distance"].max() + 0.3)
    panels[0].set_ylabel("accuracy")
    panels[-1].legend(loc="upper right", ncols=2, frameon=False)
    figure.tight_layout()
    return figure


def make(output: Path, *, by_distance: Any, folds_table: Any) -> None:
    folds = tables.read_table(folds_table, "cnnviz table 5.1", ("network", "mean"))
    style.save(
        draw(
            tables.read_table(by_distance, "cnnviz table leakage"),
            folds.set_index("network")["mean"],
        ),
        output,
    )
