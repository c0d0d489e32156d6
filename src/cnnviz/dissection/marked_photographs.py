"""Fundus photographs with marked concepts, as :class:`cnnviz.dissection.labeler.Images`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnviz.datasets import concepts
from cnnviz.dissection.placements import ConceptMasks

__all__ = ["BLOCK", "REACH", "MarkedPhotographs"]

BLOCK = 4  #: pixels by which saliency is moved
REACH = 2  #: pixels around a lesion that count as the lesion, for saliency

_EDGE = concepts.CONCEPTS.index("field edge")


@dataclass(frozen=True, eq=False)
class MarkedPhotographs:
    """Photographs, read when they are used, and index maps of their concepts."""

    read: Callable[[np.ndarray], np.ndarray]  #: standardized pixels, by numbers
    field: Callable[[int], np.ndarray]  #: field of view, bool ``(rows, columns)``
    #: Index maps (:func:`cnnviz.datasets.concepts.index_map`), one to a photograph; of several
    #: such sequences the concepts follow one another.
    markings: tuple[Any, ...]
    known: np.ndarray  #: bool ``(n, concepts)``
    keys: np.ndarray  #: ``(n,)``, equal for equal photographs
    batch_size: int = 1  #: photographs of a forward pass

    def __len__(self) -> int:
        return len(self.keys)

    def pixels(self, index: np.ndarray) -> np.ndarray:
        """Photographs ``(n, channels, rows, columns)`` by number."""
        return self.read(index)

    def masks(self, k: int) -> np.ndarray:
        """Masks ``(concepts, rows, columns)`` of a photograph."""
        return np.concatenate([concepts.masks(marking[k]) for marking in self.markings])

    def concepts(self, k: int) -> ConceptMasks:
        """The same, lesions a little larger, ready for saliency."""
        masks = [concepts.masks(concepts.dilate(marking[k], REACH)) for marking in self.markings]
        return ConceptMasks(np.concatenate(masks), self.field(k) | masks[0][_EDGE], BLOCK)
