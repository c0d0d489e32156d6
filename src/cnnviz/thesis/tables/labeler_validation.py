"""Whether the automatic labeler of features can be trusted: validation where the truth is known."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from cnnviz.datasets.concepts import CONCEPTS
from cnnviz.dissection.ground_truth_features import CONTRAST
from cnnviz.dissection.labels import LEAST_SHARE, MARGIN, MIXTURE, OTHER, RATE
from cnnviz.dissection.network_dissection import LEAST_OVERLAP
from cnnviz.dissection.validation import RandomFilters, Row
from cnnviz.experiments.labeler_validation import Null, Validation
from cnnviz.networks import die, layers
from cnnviz.runtime import files
from cnnviz.runtime.number_format import fixed
from cnnviz.thesis import markdown
from cnnviz.thesis.figures import saliency_sheet
from cnnviz.thesis.tables import labeler_validation_die
from cnnviz.thesis.tables.labeler_validation_die import Names, yes

__all__ = ["names_by_figures", "text", "write"]

_CAPTION = """\
Thesis Table 4.1 was made by looking. Here features are labeled by measurement: of the
nine pictures that excite a feature most, the magnitude of the gradient of its maximum
must lie on a concept more than the same saliency moved to all other places of the same
pictures ({rate:.0%} false discoveries over everything that is looked at together), at
least {margin:g} times as much, and with at least {least:.0%} of itself. One such concept
is the label, several are "mixture", none is "other". *Overlap* is network dissection (Bau
et al. 2017): the concept with the largest intersection over union, where it exceeds
{overlap:g}.
"""

_GROUND_TRUTH = """\
## 1. Ground-truth features

A network made by hand: 7×7 filters, pooling over 3 with stride 2, then filters of 13×13
on means of every 8 pixels; nothing is learned. It looks at {count} synthetic photographs with
vessels, lesions, disc and fovea (moderate and severe retinopathy with hard exudates and
microaneurysms; contrast of {contrast};
no text, notch or overexposed rim) and at a channel of white noise. Concepts are all
{concepts} of Table 4.1's labeler. *On target*: strongest photographs in which what the
filter looks for lies within a neuron's spacing (2 pixels in pool1, 16 in pool2) of the middle of
the maximal neuron's receptive field, which needs no labeler. Largest shares of the
saliency, with their lift over chance and p-value.

"""
_GROUND_TRUTH_HEAD = (
    "layer",
    "looks for",
    "should be",
    "label",
    "right",
    "overlap (IoU)",
    "on target",
    "saliency on",
)

_NULL = """\

## 2. Random filters

{filters} random 7×7 filters in each test, pooled, on the same photographs. In noise, a
filter's strongest places have nothing to do with the photograph. On the photograph,
random filters do see edges and bright spots, so only with another patient's lesions,
vessels, fovea and disc is what they are called false (the edge of the field stays where
it is). *Upper limit*: the largest rate of false labels of which so few would be seen in
5 % of such tests. *p < 0.05*: among all filters and concepts.

"""
_NULL_HEAD = (
    "filters see",
    "concepts are",
    "labels",
    "false",
    "upper limit",
    "p < 0.05",
    "p < 0.01",
)


def write(validation: Validation, saliency: Sequence[Path], output: Path) -> None:
    """Write the table of a validation.

    Parameters
    ----------
    validation : cnnviz.experiments.labeler_validation.Validation
    saliency : list of path
        Files of ``cnnviz saliency``, one for each network of the die.
    output : path
        Markdown file.
    """
    files.write_text(output, text(validation, names_by_figures(saliency)))


def names_by_figures(saliency: Sequence[Path]) -> Names:
    """Names of the die's features by Figures 5.3 and 5.4, from files of ``cnnviz saliency``.

    Returns
    -------
    dict
        From (network, layer, feature) to a concept.
    """
    return {
        (path.stem, layer.name, feature.number): feature.strongest("max")[0] or OTHER
        for path in saliency
        for layer in layers.pooling_layers(die.build(path.stem))
        for feature in saliency_sheet.read_features(path, layer.name)[0]
    }


def text(validation: Validation, figures: Names) -> str:
    """Markdown of the whole validation.

    Parameters
    ----------
    validation : cnnviz.experiments.labeler_validation.Validation
    figures : dict
        From :func:`names_by_figures`.
    """
    rows, nulls = validation.ground_truth, validation.random_filters
    parts = [
        "# Validation of the automatic labeler\n\n",
        _CAPTION.format(rate=RATE, margin=MARGIN, least=LEAST_SHARE, overlap=LEAST_OVERLAP),
        "\n",
        _GROUND_TRUTH.format(
            count=validation.wanted.photographs,
            concepts=len(CONCEPTS),
            contrast=", ".join(f"{name}s times {times:g}" for name, times in CONTRAST.items()),
        ),
        markdown.text(_GROUND_TRUTH_HEAD, map(_ground_truth_row, rows)),
        _ground_truth_verdict(rows),
        _NULL.format(filters=validation.wanted.filters),
        markdown.text(_NULL_HEAD, map(_null_row, nulls)),
    ]
    return "".join(parts) + _null_verdict(nulls) + labeler_validation_die.text(validation, figures)


def _ground_truth_row(row: Row) -> list[str]:
    seen = [
        f"{name} {share:.0%} ({lift:.1f}×, p = {p:.4f})"
        for name, share, lift, p in row.evidence[:3]
        if share >= 0.005
    ]
    target = f"{row.on_target} of {row.shown}" if row.feature.parts else "–"
    return [
        row.layer,
        row.feature.looks_for,
        row.feature.name,
        row.label,
        yes(row.label == row.feature.name),
        f"{row.overlap} ({fixed(row.iou)})",
        target,
        "; ".join(seen) or "nothing",
    ]


def _ground_truth_verdict(rows: Sequence[Row]) -> str:
    right = sum(row.label == row.feature.name for row in rows)
    single = [row for row in rows if row.feature.name != MIXTURE]
    overlap = sum(row.overlap == row.feature.name for row in single)
    return (
        f"\n**{right} of {len(rows)} features get their name by localization.** Overlap, "
        f"which has no mixtures, names {overlap} of the other {len(single)} "
        "correctly.\n"
    )


def _false(filters: RandomFilters, allowed: Sequence[str]) -> int:
    return int(sum(label not in (OTHER, *allowed) for label in filters.labels))


def _upper(false: int, count: int) -> float:
    """Largest rate of which at most so many are seen in 5 % of tests."""
    return float(stats.beta.ppf(0.95, false + 1, count - false)) if false < count else 1.0


def _below(p: np.ndarray, level: float) -> str:
    return f"{np.mean(p[np.isfinite(p)] < level):.1%}"


def _null_row(null: Null) -> list[str]:
    found, allowed = null.found, null.allowed
    counts = ", ".join(f"{name} {count}" for name, count in Counter(found.labels).most_common())
    verdict = "–", "–"
    if allowed is not None:
        false = _false(found, allowed)
        verdict = f"{false}", f"{_upper(false, len(found.labels)):.1%}"
    return [
        null.sees,
        null.concepts,
        counts,
        *verdict,
        _below(found.p, 0.05),
        _below(found.p, 0.01),
    ]


def _null_verdict(nulls: Sequence[Null]) -> str:
    judged = [(null.found, null.allowed) for null in nulls if null.allowed is not None]
    false, count = (
        sum(each) for each in zip(*((_false(*each), len(each[0].labels)) for each in judged))
    )
    kept = all(_false(*each) <= RATE * len(each[0].labels) for each in judged)
    return (
        f"\n**False labels: {false} of {count}; at most {RATE:.0%} in each test: {yes(kept)}.**\n"
    )
