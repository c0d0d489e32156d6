"""Whether the network depends on the pixels that a map marks: deletion and insertion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import integrate

from cnnviz.evaluation.checks import as_maps, check_agree, check_finite
from cnnviz.runtime.errors import UserError

__all__ = ["Curves", "deletion_insertion"]


class Curves(NamedTuple):
    """Scores of images while their pixels go or come, most salient first."""

    fractions: np.ndarray  #: ``(steps + 1,)``, share of the pixels changed, 0 to 1
    deletion: np.ndarray  #: ``(n, steps + 1)``, from the image to the fill
    insertion: np.ndarray  #: ``(n, steps + 1)``, from the fill to the image
    deletion_area: np.ndarray  #: ``(n,)``, normalized; the lower the better
    insertion_area: np.ndarray  #: ``(n,)``, normalized; the higher the better


def deletion_insertion(
    score: Callable[..., Any],
    images: np.ndarray,
    maps: np.ndarray,
    fill: float | np.ndarray = 0,
    steps: int = 100,
) -> Curves:
    """Deletion and insertion curves of saliency maps (Petsiuk et al. 2018).

    Deletion replaces an image's pixels by the fill, insertion puts them back
    into an image that is all fill, both in order of decreasing saliency, all
    channels of a pixel together.  Pixels of equal saliency go in reading
    order, row by row from the top left, so that results are the same in every
    run; maps with large even parts are measured by that order there.

    Parameters
    ----------
    score : function
        From images ``(n, channels, rows, columns)`` to numbers ``(n,)``.  It is
        given the n images, changed, in the order of ``images``, so it may hold
        other inputs of the network for them; ``2 * (steps + 1)`` times.
    images : floating point array, ``(n, channels, rows, columns)``
    maps : array, ``(n, rows, columns)``
    fill : float or array
        Anything that broadcasts to ``images``: 0 is the mean in standardized
        images, a mean image is ``(channels, rows, columns)``.  Petsiuk et al.
        delete to a constant but insert into the blurred image: call twice.
    steps : int
        Points of a curve besides its start; at each about the same number of
        pixels changes.

    Returns
    -------
    Curves
        Curves in the units of the score.  Areas are those under
        ``(curve - score of the fill) / (score of the image - score of the
        fill)`` by the trapezoidal rule, so that images compare: 1/2 for a
        straight line.  They are NaN where the image scores no higher than the
        fill, and huge where it scores hardly higher.

    Raises
    ------
    ValueError
        For maps and images of different shape, none at all, values or scores
        that are not finite, scores of the wrong shape, a fill that does not
        fit, or more steps than pixels.

    References
    ----------
    Petsiuk, Das, Saenko: RISE: randomized input sampling for explanation of
    black-box models, BMVC 2018.
    """
    maps = as_maps(maps)
    images = _as_images(images, maps.shape)
    fill = _as_fill(fill, images)
    counts = _counts(steps, maps[0].size)
    ranks = _ranks(maps)
    deletion = _curve(score, images, fill, ranks, counts)
    insertion = _curve(score, fill, images, ranks, counts)
    fractions = counts / counts[-1]
    areas = [
        _area(curve, deletion[:, :1], deletion[:, -1:], fractions)
        for curve in (deletion, insertion)
    ]
    return Curves(fractions, deletion, insertion, *areas)


def _as_images(images: np.ndarray, expected: tuple[int, ...]) -> np.ndarray:
    images = np.asarray(images)
    if images.ndim != 4 or not np.issubdtype(images.dtype, np.floating):
        raise UserError(
            "images must be floating point, (n, channels, rows, columns), "
            f"not {images.dtype} of shape {images.shape}"
        )
    check_agree((len(images), *images.shape[2:]), "images without channels", expected)
    check_finite(images, "images")
    return images


def _as_fill(fill: float | np.ndarray, images: np.ndarray) -> np.ndarray:
    fill = np.asarray(fill, images.dtype)
    check_finite(fill, "fill")
    try:
        return np.broadcast_to(fill, images.shape)
    except ValueError:
        raise UserError(
            f"fill has shape {fill.shape}, which does not broadcast to "
            f"images of shape {images.shape}"
        ) from None


def _counts(steps: int, pixels: int) -> np.ndarray:
    """Pixels changed at each point of a curve."""
    if not 1 <= steps <= pixels:
        raise UserError(f"steps must be 1 to {pixels}, the number of pixels, not {steps}")
    return np.linspace(0, pixels, steps + 1).round().astype(int)


def _ranks(maps: np.ndarray) -> np.ndarray:
    """Place of each pixel in the order of decreasing saliency, from 0."""
    order = np.argsort(-maps.reshape(len(maps), -1), axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(order.shape[1])[np.newaxis], axis=1)
    return ranks.reshape(maps.shape)


def _curve(
    score: Callable[..., Any],
    start: np.ndarray,
    end: np.ndarray,
    ranks: np.ndarray,
    counts: np.ndarray,
) -> np.ndarray:
    """Scores on the way from one batch of images to another, ``(n, points)``."""
    columns = []
    for count in counts:
        changed = (ranks < count)[:, np.newaxis]  # (n, 1, rows, columns)
        scores = np.asarray(score(np.where(changed, end, start)), np.float64)
        if scores.shape != (len(start),):
            raise UserError(f"score gave shape {scores.shape}, not {(len(start),)}")
        check_finite(scores, "scores")
        columns.append(scores)
    return np.stack(columns, axis=1)


def _area(
    curve: np.ndarray, full: np.ndarray, empty: np.ndarray, fractions: np.ndarray
) -> np.ndarray:
    span = np.where(full > empty, full - empty, np.nan)
    return integrate.trapezoid((curve - empty) / span, fractions, axis=1)
