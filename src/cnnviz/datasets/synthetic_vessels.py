"""Vessel trees of synthetic fundus photographs.

Arteries and veins leave the optic disc in four pairs of trunks.  The temporal
ones bend around the macula along parabolas, the nasal ones fan out.  Side
branches split off by Murray's law (the cube of the width is conserved) until
they are too thin to see.

Lengths are in radii of the field of view; x points to the right, y down.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

__all__ = ["ARTERY", "NEW_VESSEL", "SEGMENT", "VEIN", "bead", "grow", "loop", "tangle", "trunks"]

ARTERY, VEIN, NEW_VESSEL = 0, 1, 2
#: Columns of a table of segments; half widths at both ends.
SEGMENT = ("x0", "y0", "x1", "y1", "half0", "half1", "kind")

_ARCADE, _OUTWARD, _TO_MACULA = 0.0, 1.0, 2.0
_STEP = 0.025
_THINNEST = 0.0022  # half width at which a branch ends
_AVASCULAR = 0.13  # around the fovea, without vessels
_MACULA = 0.42  # around the fovea, with fine vessels only
_BEND = 2.2  # curvature of the arcades' parabola
_REACH = 1.08  # a little beyond the field of view
_MOST_SEGMENTS = 12000


def trunks(
    rng: np.random.Generator, disc: np.ndarray, fovea: np.ndarray, width: float
) -> np.ndarray:
    """Starts of the eight trunks.

    Parameters
    ----------
    rng : numpy.random.Generator
    disc, fovea : (x, y)
    width : float
        Half width of the thickest vein at the disc.

    Returns
    -------
    float array, ``(8, 6)``: x, y, heading, half width, kind, mode
    """
    temporal = np.arctan2(fovea[1] - disc[1], fovea[0] - disc[0])
    rows = []
    for vertical in (-1, 1):
        for mode, turn, share in ((_ARCADE, 1.45, 1.0), (_OUTWARD, 2.35, 0.72)):
            for kind, factor in ((ARTERY, 0.72), (VEIN, 1.0)):
                turned = temporal + vertical * _side(temporal) * (
                    turn + rng.normal(0, 0.12) + (0.13 if kind == VEIN else -0.13)
                )
                start = rng.normal(0, 0.012, 2)
                rows.append(
                    (
                        disc[0] + start[0],
                        disc[1] + start[1],
                        turned,
                        width * factor * share * rng.uniform(0.85, 1.1),
                        kind,
                        mode,
                    )
                )
    return np.array(rows)


def _side(heading: float) -> int:
    """1 where a positive turn leads down the picture from this heading."""
    return 1 if np.cos(heading) >= 0 else -1


@numba.njit(nogil=True)
def _wrapped(angle):
    return (angle + np.pi) % (2 * np.pi) - np.pi


@numba.njit(nogil=True)
def _wanted(mode, x, y, disc, fovea):
    """Heading that a vessel of a mode strives for at a place."""
    if mode == _TO_MACULA:
        return np.arctan2(fovea[1] - y, fovea[0] - x)
    if mode == _OUTWARD:
        return np.arctan2(y - disc[1], x - disc[0])
    axis = np.arctan2(fovea[1] - disc[1], fovea[0] - disc[0])
    across = -np.sin(axis) * (x - disc[0]) + np.cos(axis) * (y - disc[1])
    return axis + np.arctan2(np.sign(across), 2 * _BEND * abs(across))


@numba.njit(nogil=True)
def _steered(heading, curve, mode, x, y, disc, fovea):
    """Heading after a step: towards what the mode strives for, and ``curve`` beside it."""
    pull = 0.10 if mode == _ARCADE else 0.04
    heading += pull * _wrapped(_wanted(mode, x, y, disc, fovea) - heading) + curve
    away_x, away_y = x - fovea[0], y - fovea[1]
    near = np.hypot(away_x, away_y)
    if near < _MACULA and mode != _TO_MACULA:
        # Passing vessels keep clear of the macula.
        heading += 0.3 * _wrapped(np.arctan2(away_y, away_x) - heading) * (1 - near / _MACULA)
    return heading


@numba.njit(nogil=True)
def _spares_fovea(rng, near):
    """Whether a vessel ends at this distance from the fovea."""
    return near < _AVASCULAR or near < 2.2 * _AVASCULAR and rng.random() < 0.12


# Kept compiled on disk, with what it calls inside.
@numba.njit(nogil=True, cache=True)
def grow(rng, starts, disc, fovea, tortuosity):
    """Segments of all vessels that grow from the given starts.

    Parameters
    ----------
    rng : numpy.random.Generator
    starts : float array, ``(n, 6)``
        As :func:`trunks` gives them.
    disc, fovea : float arrays, ``(2,)``
    tortuosity : float
        Standard deviation of the change of heading a step, in radians.

    Returns
    -------
    float array, ``(segments, 7)``, columns as in ``SEGMENT``
    """
    segments = np.empty((_MOST_SEGMENTS, 7))
    count = 0
    stack = np.empty((1024, 6))
    waiting = len(starts)
    stack[:waiting] = starts
    while waiting > 0:
        waiting -= 1
        x, y, heading, half, kind, mode = stack[waiting]
        curve, since = 0.0, 0.0
        while half > _THINNEST and count < _MOST_SEGMENTS:
            curve = 0.8 * curve + rng.normal(0.0, tortuosity)
            heading = _steered(heading, curve, mode, x, y, disc, fovea)
            near = np.hypot(x - fovea[0], y - fovea[1])
            end_x = x + _STEP * np.cos(heading)
            end_y = y + _STEP * np.sin(heading)
            thinner = half * (1 - 0.22 * _STEP)
            segments[count] = (x, y, end_x, end_y, half, thinner, kind)
            count += 1
            x, y, half = end_x, end_y, thinner
            since += _STEP
            if x * x + y * y > _REACH**2 or _spares_fovea(rng, near):
                break
            # Thin vessels branch more often than thick ones.
            if since > 0.07 and waiting < 1000 and rng.random() < 0.14 + 0.0016 / half * _STEP:
                since = 0.0
                share = rng.uniform(0.42, 0.80)
                turn = rng.uniform(0.45, 1.05) * (1 if rng.random() < 0.5 else -1)
                next_mode = _OUTWARD
                to_fovea = np.arctan2(fovea[1] - y, fovea[0] - x)
                if abs(_wrapped(heading + turn - to_fovea)) < 1.2 and mode != _OUTWARD:
                    next_mode = _TO_MACULA
                    share *= 0.75
                stack[waiting] = (x, y, heading + turn, half * share, kind, next_mode)
                waiting += 1
                half *= (1 - share**3) ** (1 / 3)
                heading -= 0.25 * turn
    return segments[:count]


def bead(rng: np.random.Generator, segments: np.ndarray, inside: Callable[..., Any]) -> np.ndarray:
    """Give the wider veins inside a region the bulges of venous beading.

    Parameters
    ----------
    rng : numpy.random.Generator
    segments : float array, ``(n, 7)``; changed in place
    inside : function of x and y to bool

    Returns
    -------
    int array
        The segments that are beaded now.
    """
    chosen = np.flatnonzero(
        (segments[:, 6] == VEIN)
        & (segments[:, 4] > 0.0065)
        & inside(segments[:, 0], segments[:, 1])
    )
    if len(chosen):
        wave = np.sin(np.arange(len(chosen)) * rng.uniform(1.3, 1.8))
        swollen = segments[chosen, 4] * (1.15 + 0.55 * wave)
        segments[chosen, 4] = swollen
        segments[chosen, 5] = np.append(swollen[1:], swollen[-1:])
    return chosen


def loop(rng: np.random.Generator, segments: np.ndarray) -> np.ndarray:
    """A venous loop: a small arc beside a vein.

    Returns
    -------
    float array, ``(n, 7)``
        Its segments; empty where there is no vein to hang it on.
    """
    wide = np.flatnonzero(
        (segments[:, 6] == VEIN)
        & (segments[:, 4] > 0.006)
        & (np.hypot(segments[:, 0], segments[:, 1]) < 0.8)
    )
    if not len(wide):
        return np.empty((0, 7))
    x, y, end_x, end_y, half = segments[rng.choice(wide), :5]
    heading = np.arctan2(end_y - y, end_x - x)
    radius = rng.uniform(0.03, 0.06)
    angles = heading + rng.choice([-1, 1]) * np.linspace(-1.4, 1.4 + np.pi, 16)
    points = np.column_stack(
        [
            x + radius * (np.cos(angles) - np.cos(angles[0])),
            y + radius * (np.sin(angles) - np.sin(angles[0])),
        ]
    )
    return _joined(points, 0.8 * half, VEIN)


def tangle(rng: np.random.Generator, center: np.ndarray, radius: float, threads: int) -> np.ndarray:
    """Neovascularization: a fan of fine, winding vessels.

    Parameters
    ----------
    rng : numpy.random.Generator
    center : (x, y)
    radius : float
        How far the fan reaches.
    threads : int

    Returns
    -------
    float array, ``(n, 7)``
    """
    pieces = []
    for heading in rng.uniform(0, 2 * np.pi, threads):
        steps = int(rng.integers(10, 24))
        turns = np.cumsum(rng.normal(0, 0.55, steps))
        headings = heading + turns
        length = radius * rng.uniform(0.9, 2.0) / steps
        points = np.asarray(center) + np.vstack(
            [
                np.zeros((1, 2)),
                np.cumsum(length * np.column_stack([np.cos(headings), np.sin(headings)]), axis=0),
            ]
        )
        pieces.append(_joined(points, rng.uniform(0.0028, 0.0055), NEW_VESSEL))
    return np.concatenate(pieces)


def _joined(points: np.ndarray, half: float, kind: int) -> np.ndarray:
    """Segments between consecutive points, of one width."""
    count = len(points) - 1
    return np.column_stack(
        [points[:-1], points[1:], np.full((count, 2), half), np.full(count, kind)]
    )
