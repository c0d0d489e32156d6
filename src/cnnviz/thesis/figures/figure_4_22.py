"""Figure 4.22: exemplars of features for microaneurysms, hemorrhages and vessels.

Of the three starts, the exemplar that activates its feature most.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cnnviz.datasets import fundus
from cnnviz.experiments import exemplar_records
from cnnviz.runtime import number_format
from cnnviz.thesis.figures import exemplar_sheet as sheet
from cnnviz.thesis.figures import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROLES = ("microaneurysm", "hemorrhage", "vessel")
LABEL = 1.5  # inches
HEADINGS = (
    "what activates it most",
    "after {steps} steps, destandardized",
    "after {steps} steps, own range",
)
STARTS = {"maximum": "the photograph", "mean": "the mean photograph", "noise": "noise"}


def label(record: exemplar_records.Shown, start: str) -> str:
    """Lines beside a row."""
    return "\n".join(
        [
            *sheet.describe(record),
            "",
            "started from",
            STARTS[start],
            "",
            f"{number_format.short(record.reached.max() / record.data)} times the largest"
            if record.data > 0
            else "never positive",
            "activation on data",
        ]
    )


def draw(
    exemplars: Mapping[str, exemplar_records.Shown], settings: Mapping[str, int | str]
) -> Figure:
    """Draw the figure.

    Parameters
    ----------
    exemplars : dict
        From a role to a :class:`cnnviz.experiments.exemplar_records.Shown`.
    settings : dict

    Returns
    -------
    matplotlib.figure.Figure
    """
    from cnnviz.experiments.exemplar_records import STARTS as names

    figure, axes = sheet.panels(len(ROLES), 3, sheet.Margins(LABEL))
    for letter, role, (left, middle, right) in zip("abc", ROLES, axes):
        record = exemplars[role]
        sheet.show(
            left,
            fundus.destandardize(record.starts[0]),
            f"{record.photograph}, activation {number_format.short(record.data)}",
        )
        patch = record.patches[record.best]
        sheet.show(
            middle,
            fundus.destandardize(patch),
            f"activation {number_format.short(record.reached[record.best])}",
        )
        image, limit = sheet.own_range(patch)
        sheet.show(right, image, sheet.range_note(limit))
        left.text(
            -0.04,
            1,
            f"({letter}) " + label(record, names[record.best]),
            transform=left.transAxes,
            ha="right",
            va="top",
            linespacing=1.3,
        )
    for each, text in zip(axes[0], HEADINGS):
        each.set_title(text.format(**settings), pad=3)
    return figure


def make(output: Path, *, exemplars: Path) -> None:
    style.save(draw(*exemplar_records.read(exemplars)), output)
