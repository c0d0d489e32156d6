"""Saliency of features of De Fauw's network: what Figures 4.5 to 4.21 share.

One feature: a page with a row for each of its nine strongest photographs, and what its
saliency lies on.  Several features: for each of them a block with a column for each
photograph.
"""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnnviz.attribution import overlay
from cnnviz.datasets.concepts import CONCEPTS
from cnnviz.experiments import feature_table
from cnnviz.experiments.fundus_sheets import OCCLUDER, FeatureSheet, Sheet
from cnnviz.runtime import tables
from cnnviz.runtime.errors import UserError
from cnnviz.runtime.paths import sheet_name
from cnnviz.thesis.figures import style
from cnnviz.thesis.figures.figure_methods import contrasted

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Block", "draw", "make", "read", "read_tables"]

EDGE, GAP = 0.04, 0.05  # inches, as all below
SIDE, LABEL = 0.87, 0.82  # of a page's panels; its first column
HEAD, BARS = 0.84, 0.82  # above the panels; width of the bars beside them
BLOCK_LABEL, BLOCK_HEAD = 0.95, 0.36
SHOWN = 8  # concepts with a bar
CLOSE = 96  # pixels of a close-up of a whole photograph
SIGMA, SIGMA_WHOLE = 1, 2  # pixels; of the smoothing, of whole photographs


class Block(NamedTuple):
    """One feature and its strongest photographs."""

    role: Any  #: row of 'cnnviz table 4.1'
    lies_on: Any  #: that feature's row of the table of features
    sheet: FeatureSheet  #: photographs, maps, and where they are

    @property
    def whole(self) -> bool:
        """Whether whole photographs are shown."""
        return self.sheet.close.shape[1] > 4 * self.sheet.pictures.shape[1] - 4

    @property
    def headings(self) -> list[str]:
        """Of the panels of a photograph."""
        stride = f",\nstride {self.sheet.stride}" if self.sheet.stride > 1 else ""
        methods = [
            "gradient\nof max(F)",
            "gradient\nof sum(F)",
            f"occlusion\n{OCCLUDER}×{OCCLUDER}{stride}",
        ]
        if self.whole:
            return ["photograph", *methods, "gradient of\nmax(F), close"]
        return ["photograph", "close-up", *methods]

    @property
    def title(self) -> str:
        """Which feature, its label, and what was sought if that is something else."""
        wanted, label = self.role.wanted, self.role.label
        one = wanted and ", " not in wanted and label not in wanted
        sought = f" (sought: {wanted})" if one else ""
        return (
            f"{self.role.layer}, feature {self.role.feature}, {self.role.weights} "
            f"network: {label}{sought}"
        )


def read_tables(roles: Any, features: Any, types: Any) -> Any:
    """Roles and features of 'cnnviz table 4.1' as data frames."""
    remedy = "cnnviz table 4.1"
    return (
        tables.read_table(roles, remedy, ("figure",), dtype=types, keep_default_na=False),
        tables.read_table(features, remedy),
    )


def read(figure: str, sheets: Path | str, roles: pd.DataFrame, features: pd.DataFrame) -> Any:
    """Blocks of a figure.

    Parameters
    ----------
    figure : str
        "4.5" for example.
    sheets : path
        Folder of ``cnnviz fundus-sheets``.
    roles, features : pandas.DataFrame
        From :mod:`cnnviz.experiments.figure_features` and ``feature_table``.

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing file, or no feature for this figure.
    """
    chosen = roles[roles["figure"] == figure]
    if not len(chosen):
        raise UserError(f"no feature for Figure {figure}; run 'cnnviz table 4.1' again")
    path = Path(sheets) / sheet_name(figure)
    shown = Sheet.load(path).features.values()
    wanted = [(role.weights, role.layer, role.feature) for role in chosen.itertuples()]
    if wanted != [(each.weights, each.layer, each.feature) for each in shown]:
        raise UserError(f"{path}: shows other features; run '{Sheet.command}' again")
    return [_block(role, features, each) for role, each in zip(chosen.itertuples(), shown)]


def _block(role, features, sheet):
    same = (
        (features["weights"] == role.weights)
        & (features["layer"] == role.layer)
        & (features["feature"] == role.feature)
    )
    return Block(role, features[same].iloc[0], sheet)


# --- Panels -------------------------------------------------------------------


def _within(
    box: np.ndarray, part: np.ndarray | tuple[int, int, int, int]
) -> tuple[int, int, int, int]:
    """A box in the pixels of a part."""
    return tuple(np.subtract(box, [*part[:2], *part[:2]]).tolist())


def _close_part(values: np.ndarray) -> Any:
    """A square around the most important place of a map."""
    shape = values.shape
    peak = np.unravel_index(overlay.smooth(values, SIGMA).argmax(), shape)
    first = [
        min(max(int(place) - CLOSE // 2, 0), length - CLOSE) for place, length in zip(peak, shape)
    ]
    return (*first, *(each + CLOSE for each in first))


def _panels(block: Block, k: int) -> list[Callable[..., Any]]:
    """Functions that draw the panels of photograph ``k`` on axes."""
    picture, close = block.sheet.pictures[k] / 255, block.sheet.close[k] / 255
    box, maps = block.sheet.boxes[k], block.sheet.maps[:, k].astype(np.float32)
    own = _within(box, block.sheet.parts[k])
    small = tuple((box / (512 / len(picture))).tolist())
    if block.whole:
        part = _close_part(maps[0])
        cut = tuple(slice(*each) for each in (part[::2], part[1::2]))
        return [
            functools.partial(_draw, close, own),
            *(functools.partial(_draw, close, own, values, SIGMA_WHOLE) for values in maps),
            functools.partial(_draw, contrasted(close[cut]), _within(box, part), maps[0][cut]),
        ]
    shown = contrasted(close)
    return [
        functools.partial(_draw, picture, small),
        functools.partial(_draw, shown, own),
        *(functools.partial(_draw, shown, own, values) for values in maps),
    ]


def _draw(
    picture: np.ndarray,
    box: tuple[float, float, float, float],
    values: np.ndarray | None = None,
    sigma: int = SIGMA,
    axes: Axes | None = None,
) -> None:
    """Show a photograph, or saliency over it, and a receptive field."""
    if values is None:
        style.show(axes, picture)
    else:
        style.show_overlay(axes, picture, values, sigma)
    style.show_box(axes, box, picture)


def _axes(figure: Any, left: float, top: float, width: float, height: float | None = None) -> Axes:
    """Axes at a place in inches, from the left upper corner."""
    across, down = figure.get_size_inches()
    height = width if height is None else height
    return figure.add_axes(
        [left / across, 1 - (top + height) / down, width / across, height / down]
    )


def _write(figure: Figure, left: float, top: float, text: str, **options: Any) -> None:
    across, down = figure.get_size_inches()
    figure.text(left / across, 1 - top / down, text, **options)


def _about(block: Block, k: int) -> str:
    """What photograph ``k`` is, in three short lines."""
    grade = f"grade {block.sheet.grades[k]}" if block.sheet.grades[k] >= 0 else "not graded"
    return (
        f"{block.sheet.names[k].replace('_', ' ')}\n{grade}\nactivation {block.sheet.maxima[k]:.3g}"
    )


# --- One feature ----------------------------------------------------------------


def _bars(axes: Axes, row: pd.Series) -> None:
    """Shares of the saliency on concepts beside those by chance."""
    share, lift = (feature_table.values(row.to_frame().T, name)[0] for name in ("share", "lift"))
    order: Any = np.argsort(-np.nan_to_num(lift), kind="stable")
    order = [k for k in order if np.isfinite(lift[k])][:SHOWN][::-1]
    chance = 100 * share[order] / np.where(lift[order] > 0, lift[order], np.nan)
    axes.barh(range(len(order)), 100 * share[order], height=0.62, color=style.PALETTE[0])
    axes.plot(chance, range(len(order)), "|", color=style.MARK, markersize=7, markeredgewidth=1.2)
    axes.set_yticks(
        range(len(order)), [f"{CONCEPTS[k]}\n{lift[k]:.1f}×" for k in order], fontsize=style.SMALL
    )
    axes.tick_params(labelsize=style.SMALL, length=2, width=0.4)
    axes.set_xlabel("share of the saliency, %\n(red: by chance)", fontsize=style.SMALL)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _draw_page(block: Any) -> Figure:
    count, side = len(block.sheet.names), SIDE
    height = HEAD + count * (side + GAP) + EDGE
    figure = style.new(max(height, 3.2))
    _write(figure, EDGE, 0.16, block.title, weight="bold")
    _write(
        figure,
        EDGE,
        0.22,
        textwrap.fill(block.role.evidence, 125),
        size=style.SMALL,
        va="top",
        linespacing=1.2,
    )
    for column, text in enumerate(block.headings):
        _write(
            figure,
            LABEL + column * (side + GAP) + side / 2,
            HEAD - 0.05,
            text,
            ha="center",
            va="bottom",
            linespacing=1.0,
        )
    for k in range(count):
        top = HEAD + k * (side + GAP)
        _write(
            figure,
            EDGE,
            top + side / 2,
            _about(block, k),
            va="center",
            size=style.SMALL,
            linespacing=1.25,
        )
        for column, draw in enumerate(_panels(block, k)):
            draw(axes=_axes(figure, LABEL + column * (side + GAP), top, side))
    left = style.PAGE_WIDTH - BARS - 2.5 * EDGE
    _bars(_axes(figure, left, HEAD, BARS, 2.6), block.lies_on)
    return figure


# --- Several features -------------------------------------------------------------


def _draw_blocks(blocks: Sequence[Block]) -> Figure:
    count = max(len(block.sheet.names) for block in blocks)
    side = (style.PAGE_WIDTH - BLOCK_LABEL - EDGE) / count - GAP
    tall = [BLOCK_HEAD + len(block.headings) * (side + GAP) + 0.16 for block in blocks]
    figure, top = style.new(sum(tall) + EDGE), 0.0
    for letter, block, height in zip("abcdefgh", blocks, tall):
        _write(figure, EDGE, top + 0.16, f"({letter}) {block.title}", weight="bold")
        _write(figure, EDGE, top + 0.3, block.role.evidence, size=style.SMALL)
        for row, text in enumerate(block.headings):
            _write(
                figure, EDGE, top + BLOCK_HEAD + row * (side + GAP) + side / 2, text, va="center"
            )
        for k in range(len(block.sheet.names)):
            left = BLOCK_LABEL + k * (side + GAP)
            for row, draw in enumerate(_panels(block, k)):
                draw(axes=_axes(figure, left, top + BLOCK_HEAD + row * (side + GAP), side))
            _write(
                figure,
                left + side / 2,
                top + height - 0.07,
                f"{block.sheet.maxima[k]:.3g}",
                ha="center",
                size=style.SMALL,
            )
        _write(figure, EDGE, top + height - 0.07, "activation", size=style.SMALL)
        top += height
    return figure


def draw(blocks: Sequence[Block]) -> Figure:
    """Draw a figure.

    Parameters
    ----------
    blocks : list of Block

    Returns
    -------
    matplotlib.figure.Figure
    """
    return _draw_page(blocks[0]) if len(blocks) == 1 else _draw_blocks(blocks)


def make(output: Any, *, figure: Any, sheets: Any, roles: Any, features: Any) -> None:
    """Read what a figure shows and draw it."""
    tables = read_tables(roles, features, {"figure": str})
    style.save(draw(read(figure, sheets, *tables)), output)
