"""Lesions of synthetic photographs beside those of real ones."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cnnviz.datasets import lesion_statistics
from cnnviz.experiments import lesions_measured
from cnnviz.runtime import files, tables
from cnnviz.thesis import markdown

__all__ = ["LEVELS", "measure", "summary", "text", "write"]

LEVELS = (0.1, 0.5, 0.9)
_KINDS = ("microaneurysm", "hemorrhage", "hard exudate", "soft exudate")
_MEASURES = {
    "diameter": "diameter, 1/1000 of the field",
    "elongation": "elongation",
    "red": "contrast, red",
    "green": "contrast, green",
    "blue": "contrast, blue",
}

_CAPTION = """\
Lesions of {count} synthetic photographs (grades 2 to 4) beside those of IDRiD's 24
outlined ones (Porwal et al. 2018, doi 10.3390/data3030025), measured alike: 10 %,
**median** and 90 % of all lesions of a kind. Diameter of the circle of equal area,
in thousandths of the diameter of the field of view; elongation, long axis over short
axis; contrast, natural logarithm of the mean inside over the median of the ring
around. Synthetic lesions count where they cover more than half of a pixel of a
photograph of {rows:,} rows.

Medians and spreads of size and contrast were fitted to IDRiD's 24 photographs, so
their agreement says that the drawing works, not that it holds for other cameras.
Blue is noisy in real photographs, where it is nearly black; the synthetic ones have no
such noise. Lesions overlap less often on synthetic photographs, so that a cluster of exudates
counts as more and smaller ones.
"""


def measure(mirror: Path | None, output: Path) -> None:
    """Measure the lesions of IDRiD's outlined photographs and record their summary.

    Parameters
    ----------
    mirror : path or None
        Folder with copies of the external files.
    output : path
        CSV file.
    """
    lesions = summary(lesions_measured.real_lesions(mirror))
    tables.write_rows(output, list(lesions[0]), lesions)


def write(real: Path, count: int, output: Path) -> None:
    """Write the table.

    Parameters
    ----------
    real : path
        Record of :func:`measure`.
    count : int
        Synthetic photographs.
    output : path
        Markdown file.
    """
    rows = tables.read_rows(real, "cnnviz synthetic-lesions --measure")
    synthetic = summary(lesions_measured.synthetic_lesions(count))
    files.write_text(output, text(rows, synthetic, count, lesions_measured.ROWS))


def summary(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Counts and quantiles of lesions.

    Parameters
    ----------
    rows : list of dict
        From :func:`cnnviz.datasets.lesion_statistics.lesions`.

    Returns
    -------
    list of dict
        ``kind``, ``measure``, ``count``, and a quantile for each of
        :data:`LEVELS`, named ``q10`` and so on.
    """
    found = []
    for kind in _KINDS:
        count = sum(row["kind"] == kind for row in rows)
        for measure in _MEASURES:
            values = (
                lesion_statistics.quantiles(rows, kind, measure, LEVELS)
                if count
                else [np.nan] * len(LEVELS)
            )
            found.append(
                {
                    "kind": kind,
                    "measure": measure,
                    "count": count,
                    **{
                        f"q{100 * level:.0f}": round(float(value), 5)
                        for level, value in zip(LEVELS, values)
                    },
                }
            )
    return found


def _cell(row: Mapping[str, Any]) -> str:
    factor, digits = (1000, 1) if row["measure"] == "diameter" else (1, 2)
    low, middle, high = (
        f"{factor * float(row[f'q{100 * level:.0f}']):.{digits}f}".replace("-", "−")
        for level in LEVELS
    )
    return f"{low} **{middle}** {high}"


def text(
    real: Sequence[Mapping[str, Any]],
    synthetic: Sequence[Mapping[str, Any]],
    photographs: int,
    rows: int,
) -> str:
    """Markdown of both summaries side by side.

    Parameters
    ----------
    real, synthetic : lists of dict
        As :func:`summary` gives them.
    photographs : int
        How many were made.
    rows : int
        Their size.
    """
    lines = [
        "# Synthetic lesions beside real ones\n",
        _CAPTION.format(count=photographs, rows=rows),
        *markdown.table(
            ["lesion", "measure", "real", "synthetic"],
            [
                [_kind(first, second), _MEASURES[first["measure"]], _cell(first), _cell(second)]
                for first, second in zip(real, synthetic)
            ],
        ),
    ]
    return "\n".join(lines) + "\n"


def _kind(real: Mapping[str, Any], synthetic: Mapping[str, Any]) -> str:
    """The lesion, in the first of its rows."""
    if real["measure"] != "diameter":
        return ""
    return f"{real['kind']} ({int(real['count']):,} real, {synthetic['count']:,} synthetic)"
