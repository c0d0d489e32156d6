"""What occluders take from output units, such as class scores (thesis Figure 3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.attribution.occlusion_passes import WHOLE_BATCH, occluded, of_images, warn
from cnnviz.attribution.windowed import NotLocal, local_prefix, trusted_stack
from cnnviz.attribution.windowed.forward import Occluded
from cnnviz.networks import expressions
from cnnviz.networks.inputs import input_variables, label
from cnnviz.runtime.backend import T, function
from cnnviz.runtime.errors import UserError

if TYPE_CHECKING:
    from lasagne.layers import Layer

__all__ = ["OccludedOutputs"]


class OccludedOutputs:
    """Outputs of a network under occluders: windows first, then the rest.

    Images of a pass may influence each other, as eye pairs do; ``group`` of
    them, side by side, make one occurrence, of which one image is occluded.
    """

    def __init__(self, layer: Layer, wrt: int, group: int, evaluation: str, shape: Any) -> None:
        below, variables = input_variables(layer)
        self._wrt, self._group = wrt, group
        self._arrays: Any = None
        self._values: Any = None
        self._local, prefix = None, below[wrt]
        if evaluation != "whole":
            self._local, prefix = self._windows(layer, below[wrt], wrt, evaluation, shape)
        if self._local is not None:
            variables[wrt] = T.TensorType(variables[wrt].dtype, (False,) * 4)("maps")
        given = dict(zip(below, variables))
        del given[below[wrt]]
        self._compute = function(
            variables,
            expressions.output(layer, {**given, prefix: variables[wrt]}),
            on_unused_input="ignore",
        )
        fixed = below[wrt].shape[0]
        if fixed is not None and fixed % group:
            raise UserError(
                f"the network takes {fixed} images at a time, which is no multiple of {group}"
            )
        self._at_once = (fixed or WHOLE_BATCH * group) // group

    @staticmethod
    def _windows(
        layer: Layer, source: Layer, wrt: int, evaluation: str, shape: tuple[int, int]
    ) -> tuple[Occluded | None, Layer]:
        """What evaluates the local layers, and the last of them; the input without any."""
        prefix = local_prefix(layer, wrt)
        try:
            if prefix is source:
                raise NotLocal(f"nothing below '{label(layer)}' is local")
            return Occluded(trusted_stack(prefix, shape)), prefix
        except NotLocal as reason:
            if evaluation == "windows":
                raise
            if prefix is not source:
                warn(reason)
            return None, source

    def release(self) -> None:
        """Let go of images and activations."""
        self._arrays = self._values = None
        if self._local is not None:
            self._local.release()

    def keep(self, arrays: Any, values: Any) -> np.ndarray:
        """Remember one group; gives its outputs, ``(group, ...)``."""
        self._arrays, self._values = list(arrays), values
        if self._local is not None:
            self._arrays[self._wrt] = self._local.keep(arrays[self._wrt], values)
        return self._outputs(self._arrays[self._wrt][np.newaxis])[0]

    def _outputs(self, inputs: np.ndarray) -> np.ndarray:
        """Outputs ``(n, group, ...)`` of what the occluded input became."""
        results = []
        for begin in range(0, len(inputs), self._at_once):
            few = inputs[begin : begin + self._at_once]
            # A network built for one number of images gets that number.
            index = np.minimum(np.arange(self._at_once), len(few) - 1)
            batch = [np.concatenate([array] * self._at_once) for array in self._arrays]
            batch[self._wrt] = few[index].reshape(-1, *few.shape[2:])
            outputs = self._compute(*batch)
            results.append(
                outputs.reshape(self._at_once, self._group, *outputs.shape[1:])[: len(few)]
            )
        return np.concatenate(results)

    def batch_size(self, size: tuple[int, int]) -> int:
        """Occluders of a pass."""
        if self._local is None:
            return self._at_once
        largest = self._arrays[self._wrt].nbytes
        return max(1, min(self._local.batch_size(size), int(64e6 / largest)))

    def __call__(self, first: np.ndarray, size: tuple[int, int], image: int) -> np.ndarray:
        """Outputs ``(n, group, ...)`` with occluders on one image of the group."""
        original = self._arrays[self._wrt]
        inputs = np.repeat(original[np.newaxis], len(first), axis=0)
        if self._local is None:
            inputs[:, image] = occluded(
                inputs[:, image], first, size, of_images(self._values, slice(image, image + 1))
            )
        else:
            values, start = self._local(first, size, np.full(len(first), image))
            for each, value, (row, column) in zip(inputs, values, start):
                each[image, :, row : row + value.shape[1], column : column + value.shape[2]] = value
        return self._outputs(inputs)
