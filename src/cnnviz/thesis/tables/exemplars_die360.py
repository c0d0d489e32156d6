"""What the thesis says of the exemplars of chapter 5, by measurement.

Section 5.3: the first pooling layer of c9 recognizes a spot-like shape, that of the
other networks does not; and in deeper layers the bottom right corner is zero.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from cnnviz.datasets import die360
from cnnviz.experiments.die_exemplars import DieExemplars
from cnnviz.experiments.exemplar_shapes import Windows, corner_share, likeness, spot_windows
from cnnviz.thesis import markdown

__all__ = ["Layer", "claims", "read", "text", "windows"]

SIDE = 8  # of windows; what a neuron of c9's first pooling layer sees
SPOT_LIKE = 0.5  # least correlation; halfway to equality, as in Figure 2.1
EMPTY = 0.05  # share of the energy in a quarter that has a fifth of its due
SAMPLE = 820  # sampling stride of the views that windows are taken of


class Layer(NamedTuple):
    """Exemplars of a pooling layer's features."""

    network: str
    name: str
    field: tuple  #: rows and columns of the receptive field
    patches: np.ndarray  #: of the central neuron, ``(features, rows, columns)``
    reached: np.ndarray  #: activation, ``(features,)``
    data: np.ndarray  #: largest activation on the data set's sample
    first: np.ndarray  #: of neuron (0, 0), ``(features, *field)``, zero where unseen
    first_seen: tuple  #: rows and columns of it that the neuron sees
    first_reached: np.ndarray  #: activation


_CAPTION = """\
# Exemplars of the die's networks (beyond the thesis)

Two claims of section 5.3, measured on the exemplars of Table 5.2 (fold 0; gradient ascent
from Gaussian noise on what one neuron sees, with the L2 norm of that noise, the best of
several starts).

**"For the c9 network the first feature in the first pooling layer strongly recognizes a
spot-like shape. The other networks do not recognize a similar shape until the second
pooling layer."**
{spots}

**"For most exemplars in the deeper layers, the exemplars have zero values at the
bottom-right corner."**
{corner}

*Pip* and *other*: largest correlation of any {side}×{side} part of the exemplar (4×4 where
the neuron sees no more) with {pips} windows of the data set's images that have a pip in
their middle, and with {others} windows without a pixel of one. A feature counts as
spot-like where *pip* is at least {least} and larger than *other*. A pip seen head-on is 5
pixels across at half its depth, so that a 4×4 field holds a part of it only. *Corner*:
share of the exemplar's energy (sum of squares, in standardized units) in the bottom right
quarter of the patch; 0.25 is an even spread. *Central*: the central neuron on exactly what
it sees (clipped at the image's border where the field is larger). *(0, 0)*: the first
neuron on a patch as large as the receptive field, padded as the network pads; it sees
the top left part only. *Ratio*: activation of the exemplar to the largest on every tenth
view.

"""
_HEAD = (
    "layer",
    "feature",
    "sees",
    "ratio",
    "pip",
    "other",
    "spot-like",
    "corner, central",
    "(0, 0) sees",
    "corner, (0, 0)",
)


def _spot_like(pip: float, other: float) -> bool:
    return pip >= SPOT_LIKE and pip > other


class _Row(NamedTuple):
    layer: Layer
    feature: int
    pip: float
    other: float
    corner: float
    first_corner: float

    @property
    def spot_like(self) -> bool:
        return _spot_like(self.pip, self.other)

    @property
    def depth(self) -> int:
        return int(self.layer.name.removeprefix("pool"))

    def cells(self) -> list[int | str]:
        """Below :data:`_HEAD`."""
        rows, columns = self.layer.patches.shape[1:]
        seen = "{}×{} of {}×{}".format(*self.layer.first_seen, *self.layer.field)
        ratio = _ratio(self.layer.reached[self.feature], self.layer.data[self.feature])
        return [
            f"{self.layer.network}, {self.layer.name}",
            self.feature + 1,
            f"{rows}×{columns}",
            ratio,
            f"{self.pip:.2f}",
            f"{self.other:.2f}",
            "yes" if self.spot_like else "no",
            f"{self.corner:.3f}",
            seen,
            f"{self.first_corner:.3f}",
        ]


def _ratio(reached: float, data: float) -> str:
    """Text of a ratio; none where the feature is not positive on the data set."""
    return f"{reached / data:.3g}×" if data > 0 else "–"


def _rows(layers: Sequence[Layer], windows: Mapping[int, Windows]) -> Iterator[_Row]:
    for layer in layers:
        kinds = windows[min(SIDE, layer.patches.shape[1])]
        corners = corner_share(layer.patches), corner_share(layer.first)
        for feature, patch in enumerate(layer.patches):
            yield _Row(
                layer,
                feature,
                *(likeness(patch, kind) for kind in kinds),
                *(corner[feature] for corner in corners),
            )


def _share(rows: Sequence[_Row], holds: Callable[..., Any]) -> str:
    return f"{sum(map(holds, rows))} of {len(rows)}"


def _verdict(holds: Any) -> str:
    return "Yes" if holds else "No"


def _spot_text(rows: Sequence[_Row]) -> str:
    """Verdict on the claim about spots."""
    groups = {
        "c9's first layer": [row for row in rows if row.layer.network == "c9" and row.depth == 1],
        "the others' first": [row for row in rows if row.layer.network != "c9" and row.depth == 1],
        "the others' second": [row for row in rows if row.layer.network != "c9" and row.depth == 2],
    }
    c9, first, second = (any(row.spot_like for row in group) for group in groups.values())
    numbers = "; ".join(
        f"{name}: {_share(group, lambda row: row.spot_like)} features spot-like, largest "
        f"correlation with a pip {max(row.pip for row in group):.2f}"
        for name, group in groups.items()
        if group
    )
    if not groups["c9's first layer"]:
        return f"Cannot be said without c9. {numbers}."
    return f"{_verdict(c9 and second and not first)}. {numbers}."


def _corner_text(rows: Sequence[_Row]) -> str:
    """Verdict on the claim about the corner."""
    deep = [row for row in rows if row.depth > 1]
    if not deep:
        return "Cannot be said without a second pooling layer."
    counts = [
        _share(deep, lambda row: row.corner < EMPTY),
        _share(deep, lambda row: row.first_corner < EMPTY),
    ]
    central = np.mean([row.corner < EMPTY for row in deep]) > 0.5
    first = np.mean([row.first_corner < EMPTY for row in deep]) > 0.5
    return (
        f"{_verdict(central)} for the central neuron on what it sees: the quarter "
        f"holds less than {EMPTY} of the energy in {counts[0]} exemplars from the second "
        f"layer on, mean share {np.nanmean([row.corner for row in deep]):.2f}. "
        f"{_verdict(first)} for neuron (0, 0): {counts[1]}, mean share "
        f"{np.nanmean([row.first_corner for row in deep]):.3f}. "
        + (
            "A patch as large as the receptive field, *same* padding and the first "
            "neuron's activation would explain the empty corner: that neuron sees the top "
            "left part of the patch, and the less of it the deeper the layer."
            if first and not central
            else ""
        )
    )


def _wrapped(words: str) -> str:
    return textwrap.fill(words, 90, break_on_hyphens=False)


def text(layers: Sequence[Layer], windows: Mapping[int, Windows]) -> str:
    """Markdown of both claims, with the numbers of every feature.

    Parameters
    ----------
    layers : list of Layer
    windows : dict
        From a window's side, 8 and the sides of smaller patches, to Windows.
    """
    rows = list(_rows(layers, windows))
    large = windows[SIDE]
    caption = _CAPTION.format(
        spots=_wrapped(_spot_text(rows)),
        corner=_wrapped(_corner_text(rows)),
        side=SIDE,
        pips=len(large.pip),
        others=len(large.other),
        least=SPOT_LIKE,
    )
    return caption + markdown.text(_HEAD, [row.cells() for row in rows])


def read(path: Any) -> Any:
    """Layers of one network, first to last, from a file of ``cnnviz die-exemplars``."""
    record = DieExemplars.load(path)
    return [
        Layer(record.network, name, *(getattr(layer, field) for field in Layer._fields[2:]))
        for name, layer in sorted(record.layers.items())
    ]


def windows(sides: Any) -> Any:
    """Windows of rendered views, with a pip and without one, by their side."""
    a, b, _ = (angle[::SAMPLE] for angle in die360.angles())
    images, masks = die360.render(a, b), die360.regions(a, b) > die360.PIP
    return {side: spot_windows(images, masks, side) for side in sides}


def claims(layers: Any) -> Any:
    """The thesis's claims about the exemplars of all layers, beside numbers (Markdown)."""
    sides = np.minimum(SIDE, [layer.patches.shape[1] for layer in layers])
    return text(layers, windows({*sides.tolist(), SIDE}))
