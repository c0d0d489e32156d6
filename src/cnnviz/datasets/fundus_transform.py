"""From prepared pixels of a photograph to the original's, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from cnnviz.datasets import masks as mask_values
from cnnviz.runtime import arrays
from cnnviz.runtime.errors import UserError

if TYPE_CHECKING:
    import torch

__all__ = ["SIZE", "Transform"]

SIZE = 512  #: side of a prepared photograph, in pixels


def _coverage(offset: float, scale: float, length: int):
    """How original pixels along one axis average into prepared ones.

    Sparse ``(SIZE, length)``: rows are prepared pixels, and sum to one.
    """
    edges = offset + scale * np.arange(SIZE + 1)
    pixel = np.floor(edges[:-1]).astype(int)[:, None] + np.arange(
        int(np.ceil(scale)) + 1
    )  # (SIZE, reach)
    overlap = np.minimum(pixel + 1, edges[1:, None]) - np.maximum(pixel, edges[:-1, None])
    share = np.maximum(overlap, 0) / scale
    # Prepared pixels may begin half a pixel before the original does.
    pixel = np.clip(pixel, 0, length - 1)
    row = np.broadcast_to(np.arange(SIZE)[:, None], pixel.shape)
    return sparse.csr_matrix(
        (share.astype(np.float32).ravel(), (row.ravel(), pixel.ravel())), (SIZE, length)
    )


def _interpolation(place: np.ndarray):
    """Linear interpolation between prepared pixels along one axis.

    Sparse ``(len(place), SIZE)``; places outside the prepared photograph get
    an empty row, those between its edge and the first pixel's center its value.
    """
    inside = np.flatnonzero((place >= -0.5) & (place < SIZE - 0.5))
    clipped = np.clip(place[inside], 0, SIZE - 1)
    low = np.minimum(clipped.astype(int), SIZE - 2)
    share = (clipped - low).astype(np.float32)
    return sparse.csr_matrix(
        (
            np.concatenate([1 - share, share]),
            (np.concatenate([inside, inside]), np.concatenate([low, low + 1])),
        ),
        (len(place), SIZE),
    )


@dataclass(frozen=True)
class Transform:
    """Map between prepared pixels and the original photograph, axis by axis.

    Points are (row, column), and **whole numbers are centers of pixels**: pixel
    0 reaches from -0.5 to 0.5.  Prepared pixel p covers the original from
    ``offset + scale * p`` to ``offset + scale * (p + 1)``, counted from the
    photograph's edge.
    """

    offset: tuple  #: rows, columns of original pixels before the prepared ones
    scale: tuple  #: original pixels to a prepared one, along rows and columns
    shape: tuple  #: rows and columns of the original photograph

    def to_original(self, points: np.ndarray | Sequence[float | tuple[float, float]]) -> np.ndarray:
        """Where points ``(..., 2)`` of the prepared photograph are in the original."""
        return (np.asarray(points, float) + 0.5) * self.scale + self.offset - 0.5

    def to_prepared(self, points: np.ndarray | tuple[float, float]) -> np.ndarray:
        """Where points ``(..., 2)`` of the original are in the prepared photograph.

        Points that were cut off lie outside [-0.5, 511.5].
        """
        return (np.asarray(points, float) + 0.5 - self.offset) / self.scale - 0.5

    def mask_to_prepared(self, mask: np.ndarray, name: str = "mask") -> np.ndarray:
        """Share of every prepared pixel that a mask covers.

        Exact averages over areas, so that the smallest lesion (two or three
        prepared pixels across) still leaves its trace.

        Parameters
        ----------
        mask : array, of ``shape``
            On the original's pixels: bool, whole numbers, any of which but 0 marks a
            pixel, or floating point numbers, which are averaged.
        name : str
            For errors.

        Returns
        -------
        float32 array, ``(512, 512)``

        Raises
        ------
        ValueError
            For a mask of another shape, or with whole numbers below 0.
        """
        mask = arrays.numbers(mask, f"{name}: expected an array of numbers")
        if mask.dtype.kind in "iu":
            mask = mask_values.marked(mask, name)
        if mask.shape != self.shape:
            raise UserError(
                f"{name} of shape {mask.shape} on a photograph of "
                f"{self.shape}; give it on the original's pixels"
            )
        rows, columns = (_coverage(*axis) for axis in zip(self.offset, self.scale, self.shape))
        covered = rows @ mask.astype(np.float32) @ columns.T
        return np.clip(covered, 0, 1) if mask.dtype == bool else covered

    def map_to_original(
        self, values: Sequence[Sequence[float]] | np.ndarray | torch.Tensor
    ) -> np.ndarray:
        """Resample a map or mask of the prepared photograph to the original's pixels.

        Parameters
        ----------
        values : array, ``(512, 512)``
            Interpolated linearly; bool values become bool again, at one half.

        Returns
        -------
        bool or float32 array, of ``shape``
            0 where the photograph was cut off.

        Raises
        ------
        ValueError
            For a map of another shape.
        """
        values = arrays.numbers(values, "map: expected an array of numbers")
        if values.shape != (SIZE, SIZE):
            raise UserError(f"map of shape {values.shape} instead of {(SIZE, SIZE)}")
        rows, columns = (
            (np.arange(length) + 0.5 - offset) / scale - 0.5
            for offset, scale, length in zip(self.offset, self.scale, self.shape)
        )
        there = _interpolation(rows) @ values.astype(np.float32) @ _interpolation(columns).T
        return there >= 0.5 if values.dtype == bool else there
