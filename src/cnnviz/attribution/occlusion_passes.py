"""How occluded images are evaluated: on windows, or by whole passes."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.attribution.occluder import values_under
from cnnviz.attribution.windowed import NotLocal, trusted_stack
from cnnviz.attribution.windowed.forward import Occluded
from cnnviz.networks import expressions
from cnnviz.networks.inputs import check_whole, input_variables
from cnnviz.runtime import compiled
from cnnviz.runtime.backend import function

if TYPE_CHECKING:
    from lasagne.layers import Layer

    from cnnviz.attribution.output_occlusion import OccludedOutputs

__all__ = [
    "WholePasses",
    "WindowPasses",
    "evaluator",
    "occluded",
    "of_images",
    "passes",
    "releasing",
    "tiles",
    "warn",
]

WHOLE_BATCH = 16  # images of a whole pass


class WholePasses:
    """Whole passes of occluded images."""

    def __init__(self, layer: Layer, wrt: int = 0) -> None:
        self._below, variables = input_variables(layer)
        self._compute = function(
            variables, expressions.output(layer, dict(zip(self._below, variables)))
        )
        self._wrt = wrt
        self._arrays: Any = None
        self._values: Any = None

    def keep(self, arrays: Sequence[np.ndarray], baseline: float | np.ndarray) -> np.ndarray:
        """Remember images; gives the layer's results for them."""
        self._arrays, self._values = arrays, values_under(baseline, arrays[self._wrt])
        return np.concatenate(
            [self._compute(*(array[k : k + 1] for array in arrays)) for k in range(len(arrays[0]))]
        )

    def release(self) -> None:
        """Let go of the images."""
        self._arrays = self._values = None

    def batch_size(self, size: tuple[int, int], neuron: bool = False) -> int:
        return WHOLE_BATCH

    def __call__(
        self, first: np.ndarray, size: tuple[int, int], images: np.ndarray, neurons: Any = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The layer's results under occluders, and where their windows begin."""
        batch = [array[images] for array in self._arrays]
        batch[self._wrt] = occluded(batch[self._wrt], first, size, of_images(self._values, images))
        return self._compute(*batch), np.zeros((len(first), 2), int)


class WindowPasses(Occluded):
    """The same on windows."""

    def keep(
        self, images: Sequence[np.ndarray] | np.ndarray, baseline: float | np.ndarray
    ) -> np.ndarray:
        # Of the one input, whether given alone or as one of a list.
        return super().keep(images[0] if isinstance(images, list) else images, baseline)


def occluded(
    images: np.ndarray, first: np.ndarray, size: tuple[int, int], values: Any
) -> np.ndarray:
    """Copies of images, each with an occluder on it."""
    images = images.copy()
    values = np.broadcast_to(values, images.shape)
    for image, own, (row, column) in zip(images, values, first):
        place = (
            slice(None),
            slice(max(row, 0), max(row + size[0], 0)),
            slice(max(column, 0), max(column + size[1], 0)),
        )
        image[place] = own[place]
    return images


def of_images(values: Any, which: np.ndarray | slice) -> np.ndarray | None:
    """The values for some images only."""
    return values if len(values) == 1 else values[which]


def evaluator(layer: Layer, evaluation: str, wrt: int, shape: tuple[int, ...]) -> Any:
    """What runs occluded images through a layer; compiled once for it."""
    if evaluation != "whole":
        try:
            return compiled.of_layer(
                layer, ("occluded", shape), lambda: WindowPasses(trusted_stack(layer, shape))
            )
        except NotLocal as reason:
            if evaluation == "windows":
                raise
            warn(reason)
    return compiled.of_layer(layer, ("whole occluded", wrt), lambda: WholePasses(layer, wrt))


def warn(reason: NotLocal) -> None:
    """Say that whole passes are used, to whoever called the method."""
    warnings.warn(f"occlusion by whole passes, which takes long: {reason}", stacklevel=5)


def tiles(places: np.ndarray, count: int) -> np.ndarray:
    """Order in which so many neighbors come together.

    Their windows are of much the same size, also where the border cuts them.
    """
    side = max(1, int(np.sqrt(count)))
    steps = [np.unique(places[:, axis], return_inverse=True)[1] for axis in (0, 1)]
    return np.lexsort([steps[1], steps[0], steps[1] // side, steps[0] // side])


def passes(
    evaluate: WholePasses | WindowPasses,
    first: np.ndarray,
    size: tuple[int, int],
    batch_size: Any,
    bar: Any,
    neurons: np.ndarray | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Occluders of image 0 pass by pass: their indices, results and window starts."""
    if batch_size is not None:
        check_whole("batch_size", batch_size)
    count = batch_size or evaluate.batch_size(size, neurons is not None)
    order = tiles(first, count)
    if neurons is not None:  # feature by feature
        order = order[np.lexsort([np.arange(len(order)), *neurons[order].T])]
    for begin in range(0, len(first), count):
        part = order[begin : begin + count]
        few = first[part]
        yield (
            part,
            *evaluate(
                few, size, np.zeros(len(few), int), None if neurons is None else neurons[part]
            ),
        )
        bar.update(len(few))


@contextlib.contextmanager
def releasing(evaluate: OccludedOutputs | WholePasses | WindowPasses) -> Iterator[None]:
    """Images and activations are not kept longer than a call."""
    try:
        yield
    finally:
        evaluate.release()
