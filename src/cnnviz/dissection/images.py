"""Images with marked concepts, as the labeler of features reads them."""

from typing import Any, Protocol

import numpy as np

from cnnviz.dissection.placements import ConceptMasks

__all__ = ["Images", "ImagesInMemory"]

_PIXELS = 2**21  # of a forward pass, to bound its memory


class Images(Protocol):
    """Images and what is marked on them, read when they are used."""

    @property
    def known(self) -> np.ndarray:
        """Whether a concept is marked wherever it is, bool ``(n, concepts)``."""

    @property
    def keys(self) -> np.ndarray:
        """Numbers ``(n,)``, equal for equal images."""

    @property
    def batch_size(self) -> int:
        """Images of a forward pass."""

    def __len__(self) -> int: ...

    def pixels(self, index: np.ndarray) -> np.ndarray:
        """Images ``(n, channels, rows, columns)`` by number."""

    def masks(self, k: int) -> np.ndarray:
        """Masks ``(concepts, rows, columns)`` of an image, for overlap."""

    def concepts(self, k: int) -> ConceptMasks:
        """The same made ready for saliency."""


class ImagesInMemory:
    """Images that are arrays.

    Parameters
    ----------
    pixels : float32 array, ``(n, channels, rows, columns)``
    masks : sequence of n arrays, ``(concepts, rows, columns)``
    known : bool array, ``(n, concepts)``, optional
        Everything by default.
    keys : array, ``(n,)``, optional
        Of images with equal keys only the strongest counts.
    batch_size : int, optional
        Images of a forward pass.
    """

    def __init__(
        self,
        pixels: np.ndarray,
        masks: Any,
        known: Any = None,
        keys: Any = None,
        batch_size: int | None = None,
    ) -> None:
        self._pixels = pixels
        self._concepts = [ConceptMasks(mask) for mask in masks]
        shape = (len(pixels), len(self._concepts[0].masks))
        self.known = np.ones(shape, bool) if known is None else np.asarray(known, bool)
        self.keys = np.arange(len(pixels)) if keys is None else np.asarray(keys)
        self.batch_size = batch_size or max(1, _PIXELS // int(np.prod(pixels.shape[2:])))

    def __len__(self) -> int:
        return len(self._pixels)

    def pixels(self, index: np.ndarray) -> np.ndarray:
        return self._pixels[index]

    def masks(self, k: int) -> np.ndarray:
        return self._concepts[k].masks

    def concepts(self, k: int) -> ConceptMasks:
        return self._concepts[k]
