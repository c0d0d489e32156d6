"""The same saliency at every other place of a photograph: what localization is compared with."""

from typing import Any

import numpy as np
from scipy import fft

from cnnviz.datasets.masks import marked, shares
from cnnviz.dissection.checks import three_axes
from cnnviz.runtime.errors import UserError

__all__ = ["ConceptMasks", "Placements", "rounding"]

_ROUNDING = 1e-9  # shares less than this apart are equal
ROUNDING_FLOAT32 = 1e-6
# Sides of patches, in blocks, that share the size of their transforms.
_ROOMS = (8, 16, 32, 64)


def rounding(block: int) -> float:
    """Shares less than this apart are equal; blocks of one pixel are in float64."""
    return _ROUNDING if block == 1 else ROUNDING_FLOAT32


class ConceptMasks:
    """One photograph's concepts, made ready for the saliency of many features.

    Parameters
    ----------
    masks : array, ``(concepts, rows, columns)``
    field : bool array, ``(rows, columns)``, optional
        Field of view, with the border that still counts as its edge; the whole photograph by
        default.
    block : int
        Side, in pixels, of the steps by which saliency is moved; see
        :class:`cnnviz.dissection.localization.Chance`.

    Raises
    ------
    UserError
        For masks or a field of the wrong shape, or a block below 1.

    Notes
    -----
    The masks are kept as they are given.  Their transforms are kept as well: for 12 concepts on
    512 x 512 pixels in blocks of 4 at most 8 MB, in blocks of 1 at most 250 MB.
    """

    def __init__(self, masks: Any, field: Any = None, block: int = 1) -> None:
        masks = three_axes("masks are (concepts, rows, columns)", shares(masks, "masks"))
        if block < 1:
            raise UserError(f"block must be at least 1, not {block}")
        shape = masks.shape[1:]
        field = np.ones(shape, bool) if field is None else np.asarray(field)
        if field.dtype.kind in "iu":
            field = marked(field, "field")
        if field.shape != shape or field.dtype != bool:
            raise UserError(f"field: bool of shape {shape}, not {field.dtype} of {field.shape}")
        self.masks, self.field, self.block = masks, field, int(block)
        present = [(mask[field] > 0).any() for mask in masks]
        self.present = np.flatnonzero(present)  # concepts that are in the field
        means = _sums(np.stack([field, *(masks[self.present] * field)]), block) / block**2
        self._means = means if block == 1 else means.astype(np.float32)
        self._spectra: dict[tuple[int, ...], np.ndarray] = {}

    def at(self, patch: np.ndarray, row: int, column: int) -> np.ndarray:
        """Sums of a patch on the concepts present, at one place."""
        rows, columns = patch.shape
        there = self._means[1:, row : row + rows, column : column + columns]
        return np.tensordot(there, patch, 2)

    def everywhere(self, patch: np.ndarray) -> np.ndarray:
        """Sums of a patch on the field and the concepts present, at all places.

        Parameters
        ----------
        patch : array, ``(rows, columns)``
            In blocks.

        Returns
        -------
        array, ``(1 + concepts present, places)``
        """
        longest = max(self._means.shape[1:])
        # Few different sizes, so that transforms of the masks are used again.
        room = next(
            each for each in (*_ROOMS, longest) if max(patch.shape) <= each or each >= longest
        )
        size = tuple(
            fft.next_fast_len(length + min(room, longest) - 1, real=True)
            for length in self._means.shape[1:]
        )
        if size not in self._spectra:
            self._spectra[size] = fft.rfft2(self._means, size)
        # Correlation, not convolution: the patch moves, the mask stays.
        moved = self._spectra[size] * np.conj(fft.rfft2(patch.astype(self._means.dtype), size))
        return fft.irfft2(moved, size).reshape(len(moved), -1)


def _sums(values: np.ndarray, block: int) -> np.ndarray:
    """Sums over blocks of pixels, ``(..., rows, columns)``; zero beyond the border."""
    for axis in (-2, -1):
        starts = np.arange(0, values.shape[axis], block)
        values = np.add.reduceat(values, starts, axis=axis, dtype=float)
    return values


def _extent(positive: np.ndarray) -> tuple[slice, ...]:
    """The smallest box around what is True, as two slices."""
    found = [np.flatnonzero(positive.any(axis=axis)) for axis in (1, 0)]
    return tuple(slice(index[0], index[-1] + 1) for index in found)


class Placements:
    """One photograph's saliency at every place that keeps enough of it in the field.

    Parameters
    ----------
    saliency : array, ``(rows, columns)``
        Its positive part counts.
    concepts : ConceptMasks
    least : float
        Share of the saliency that stays in the field of view.
    """

    def __init__(self, saliency: np.ndarray, concepts: ConceptMasks, least: float) -> None:
        positive = np.where(concepts.field, np.maximum(saliency, 0), 0)
        self.total = positive.sum(dtype=float)
        if not self.total:
            return
        self.concepts, self.box = concepts, _extent(positive > 0)
        self.here = positive[self.box] / self.total
        # The box grows to whole blocks.
        first = [part.start // concepts.block for part in self.box]
        pad = [(part.start - concepts.block * start, 0) for part, start in zip(self.box, first)]
        patch = _sums(np.pad(self.here, pad), concepts.block)
        self.moving = concepts.at(patch, *first)
        sums = concepts.everywhere(patch)
        self.allowed = np.flatnonzero(sums[0] >= least - rounding(concepts.block))
        self.kept, self.sums = sums[0, self.allowed], sums[1:]

    def shares(self) -> np.ndarray:
        """Shares on the concepts present where the saliency is."""
        here = self.here.ravel()
        return np.array(
            [here @ self.concepts.masks[c][self.box].ravel() for c in self.concepts.present]
        )

    def expected(self) -> np.ndarray:
        """Means of the shares on the concepts present over all places."""
        weights = np.zeros(self.sums.shape[1], self.sums.dtype)
        weights[self.allowed] = 1 / (self.kept * len(self.kept))
        return self.sums @ weights

    def drawn(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Shares on the concepts present ``(concepts, count)`` at places by chance."""
        draws = rng.integers(len(self.kept), size=count)
        return self.sums[:, self.allowed[draws]] / self.kept[draws]
