"""Figures 4.23 and 4.24: an ascent towards the exemplar of a feature, step by step."""

from __future__ import annotations

from pathlib import Path

from cnnviz.experiments import exemplar_records
from cnnviz.thesis.figures import exemplar_sheet as sheet
from cnnviz.thesis.figures import style


def make(output: Path, *, role: str, exemplars: Path) -> None:
    """Draw the ascent of the feature that plays a role: "vessel", "microaneurysm"."""
    found, settings = exemplar_records.read(exemplars)
    style.save(sheet.draw_iterates(found[role], settings), output)
