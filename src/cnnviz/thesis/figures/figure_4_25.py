"""Figure 4.25: exemplars of one feature from three starts, and the activations reached."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnnviz.datasets import fundus
from cnnviz.experiments import exemplar_records
from cnnviz.experiments.exemplar_records import STARTS
from cnnviz.runtime import number_format
from cnnviz.thesis.figures import exemplar_sheet as sheet
from cnnviz.thesis.figures import style

ROLE = "microaneurysm"
LABEL, SIDE = 0.95, 1.85  # inches
ROWS = ("start", "exemplar,\ndestandardized", "exemplar,\nown range")


def factor(record: exemplar_records.Shown) -> float:
    """Largest over smallest activation reached; NaN unless all are positive."""
    least, most = record.reached.min(), record.reached.max()
    return float(most / least) if least > 0 else float("nan")


def factors(exemplars: Mapping[str, exemplar_records.Shown]) -> str:
    """That of every feature of these figures, each once, in words."""
    seen = {(record.layer, record.feature): record for record in exemplars.values()}
    return textwrap.fill(
        "largest / smallest activation reached: "
        + ", ".join(
            # Spaces that do not break.
            f"{factor(record):.2f} ({record.layer}, feature {record.feature})".replace(
                " ", "\N{NO-BREAK SPACE}"
            )
            for _, record in sorted(seen.items())
        ),
        105,
    )


def draw(exemplars: Any, settings: Any) -> Any:
    """Draw the figure; parameters as for :func:`cnnviz.thesis.figures.figure_4_22.draw`."""
    record, text = exemplars[ROLE], factors(exemplars)
    top = sheet.title(record) + (
        f"\nlargest activation in {settings['sample']} photographs: "
        f"{number_format.short(record.data)}; exemplars after {settings['steps']} steps"
    )
    figure, axes = sheet.panels(
        3, 3, sheet.Margins(LABEL, top=sheet.lines(top), bottom=sheet.lines(text)), SIDE
    )
    sheet.heading(figure, top)
    for start, column in zip(range(3), axes.T):
        column[0].set_title(
            f"{STARTS[start]} initialization: activation "
            f"{number_format.short(record.reached[start])}",
            pad=3,
        )
        patch = record.patches[start]
        image, limit = sheet.own_range(patch)
        sheet.show(
            column[0],
            fundus.destandardize(record.starts[start]),
            f"activation {number_format.short(record.before[start])}",
        )
        sheet.show(column[1], fundus.destandardize(patch))
        sheet.show(column[2], image, sheet.range_note(limit))
    for each, name in zip(axes[:, 0], ROWS):
        each.set_ylabel(name, rotation=0, ha="right", va="center", labelpad=6)
    figure.text(
        sheet.EDGE / style.PAGE_WIDTH, 0.06 / figure.get_size_inches()[1], text, va="bottom"
    )
    return figure


def make(output: Path, *, exemplars: Any) -> None:
    style.save(draw(*exemplar_records.read(exemplars)), output)
