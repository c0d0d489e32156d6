"""Figure 4.26: exemplars of features of the third, fourth and fifth pooling layers.

Of the three starts, the exemplar that activates its feature most; and how much of it
lies near the border of what the neuron sees.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cnnviz.datasets import fundus
from cnnviz.experiments import exemplar_records
from cnnviz.experiments.exemplar_measures import border_share, spread
from cnnviz.experiments.exemplar_records import STARTS
from cnnviz.runtime import number_format
from cnnviz.thesis.figures import exemplar_sheet as sheet
from cnnviz.thesis.figures import style

ROLES = ("third layer", "fourth layer", "microaneurysm")
BORDER = 0.25  # of the patch's side


def near_border(record: exemplar_records.Shown) -> str:
    """Mean share of the exemplars' energy near the border, over the starts, and in words."""
    energy, area = zip(*(border_share(patch, BORDER) for patch in record.patches))
    wide = sum(map(spread, record.patches)) / len(record.patches)
    return (
        f"{100 * sum(energy) / len(energy):.1f} % of the energy in the outer quarters,\n"
        f"which are {100 * area[0]:.0f} % of the area;\n90 % of the energy within "
        f"{100 * wide:.0f} % of the side"
    )


def draw(exemplars: Any, settings: Any) -> Any:
    """Draw the figure; parameters as for :func:`cnnviz.thesis.figures.figure_4_22.draw`."""
    figure, axes = sheet.panels(2, len(ROLES), sheet.Margins(head=0.56, below=0.34, bottom=0.2))
    for role, (above, below) in zip(ROLES, axes.T):
        record = exemplars[role]
        patch = record.patches[record.best]
        _, rows, columns = patch.shape
        seen = f"sees {record.field[0]}×{record.field[1]} pixels"
        if (rows, columns) != tuple(record.field):
            seen += f", {rows}×{columns} in view"
        above.set_title("\n".join([*sheet.describe(record), seen]), pad=3)
        sheet.show(
            above,
            fundus.destandardize(patch),
            f"activation {number_format.short(record.reached[record.best])}, on data "
            f"{number_format.short(record.data)}\n{settings['steps']} steps from: "
            f"{STARTS[record.best]}",
        )
        image, limit = sheet.own_range(patch)
        sheet.show(below, image, sheet.range_note(limit) + "\n" + near_border(record))
    return figure


def make(output: Path, *, exemplars: Any) -> None:
    style.save(draw(*exemplar_records.read(exemplars)), output)
