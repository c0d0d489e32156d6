"""Occlusion maps at a stride, filled between the visited positions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import RegularGridInterpolator

from cnnviz.runtime.errors import UserError

__all__ = ["interpolated"]


def interpolated(maps: np.ndarray, outside: float = 0.0) -> np.ndarray:
    """Fill the positions that a stride left out, linearly between visited ones.

    Rows and columns without any visited position are interpolated bilinearly;
    beyond the last visited row and column, up to a stride, the nearest value
    goes on.

    Parameters
    ----------
    maps : array, ``(..., rows, columns)``
        NaN where no occluder was centered; visited ones lie on a grid.
    outside : float
        For pixels farther from every visited one.

    Returns
    -------
    array of the same shape, without NaN
    """
    flat = np.asarray(maps).reshape(-1, *np.shape(maps)[-2:])
    return np.stack([_filled(each, outside) for each in flat]).reshape(np.shape(maps))


def _filled(values: np.ndarray, outside: float) -> np.ndarray:
    visited = ~np.isnan(values)
    lines = [np.flatnonzero(visited.any(axis=other)) for other in (1, 0)]
    out = np.full(values.shape, outside, values.dtype)
    if not visited.any():
        return out
    if not visited[np.ix_(*lines)].all():
        raise UserError("visited positions lie on no grid")
    spans = [_reach(line, length) for line, length in zip(lines, values.shape)]
    known = values[np.ix_(*lines)]
    out[np.ix_(*spans)] = _between(lines, known, spans)
    return out


def _reach(lines: np.ndarray, length: int) -> np.ndarray:
    """Rows (or columns) that visited ones stand for."""
    step = np.diff(lines).max() if len(lines) > 1 else 1
    return np.arange(lines[0], min(lines[-1] + step, length))


def _between(
    lines: Sequence[np.ndarray], known: np.ndarray, spans: Sequence[np.ndarray]
) -> np.ndarray:
    """Bilinear interpolation; a single row or column is repeated."""
    points = np.stack(
        np.meshgrid(
            *(np.clip(span, line[0], line[-1]) for span, line in zip(spans, lines)), indexing="ij"
        ),
        -1,
    )
    axes = [axis for axis in range(2) if len(lines[axis]) > 1]
    if not axes:
        return np.broadcast_to(known, points.shape[:2])
    table = known.squeeze(axis=tuple({0, 1} - set(axes)))
    return RegularGridInterpolator([lines[axis] for axis in axes], table)(points[..., axes])
