"""Occlusion (thesis section 3.2.2, after Zeiler and Fergus 2013).

A square of constant value slides over the image; the saliency of the pixel at its center is what
the network's output loses by it.  Occluders are centered on pixels, the first one included, and
reach over the border: 111 x 111 pixels and a stride of 17 give 7 x 7 positions.

Only what an occluder can change, and of that only what the asked neuron can see, is computed
(:mod:`cnnviz.attribution.windowed`); the result is that of whole passes.
"""

from typing import Any

import numpy as np
from tqdm import tqdm

from cnnviz.attribution.choices import EVALUATIONS, check_choice
from cnnviz.attribution.feature_occlusion import FeatureOcclusion, check_stride_of_field
from cnnviz.attribution.interpolation import interpolated
from cnnviz.attribution.occluder import Occluder, centers, values_under
from cnnviz.attribution.occlusion_passes import evaluator, of_images, releasing
from cnnviz.attribution.output_occlusion import OccludedOutputs
from cnnviz.networks.channel_axes import check_pictures
from cnnviz.networks.inputs import (
    as_arrays,
    check_features,
    check_input,
    check_maps,
    check_units,
    check_whole,
    input_variables,
)
from cnnviz.runtime import compiled
from cnnviz.runtime.errors import UserError

__all__ = ["TARGETS", "Occluder", "Occlusion", "interpolated"]

#: What an occluder takes from: the maximal neuron of the map of the whole image; the maximum or
#: the sum of the map.
TARGETS = ("neuron", "max", "sum")


class Occlusion:
    """What occluders take from features, or from units.

    Parameters
    ----------
    layer : lasagne.layers.Layer
        With feature maps ``(batch, feature, row, column)`` or units ``(batch, unit)``.  The
        non-linearity of units counts (:func:`cnnviz.networks.inputs.linear` leaves it out).
    window, stride, baseline
        Of the :class:`Occluder`.
    target : {"neuron", "max", "sum"}
        ``"neuron"``: the maximal neuron of the original image's map, the first one if several
        are maximal, with occluders on its receptive field only; ``"max"``, ``"sum"``: over the
        whole map, on the original and on the occluded image.  Units have one number.
    wrt : int
        Which input is occluded.
    evaluation : {"auto", "windows", "whole"}
        On windows, by whole passes, or on windows where the layers allow it, which is measured,
        else by whole passes with a warning.  The result is the same but for rounding.

    Raises
    ------
    UserError
        For an even window, a stride below 1 or, for neurons, larger than the receptive field,
        which would leave no occluder on it; an unknown choice; a layer with neither maps nor
        units; an input that does not take images; ``"windows"`` for layers that cannot be
        evaluated on them.
    """

    def __init__(
        self,
        layer: Any,
        window: int = 11,
        stride: int = 1,
        baseline: Any = 0.0,
        *,
        target: str = "neuron",
        wrt: int = 0,
        evaluation: str = "auto",
    ) -> None:
        check_choice("target", target, TARGETS)
        check_choice("evaluation", evaluation, EVALUATIONS)
        self.occluder = Occluder(window, stride, baseline)
        self._of_units = len(layer.output_shape) == 2
        (check_units if self._of_units else check_maps)(layer)
        check_input(layer, wrt)
        check_pictures(layer, wrt, "occlusion")
        self.layer, self.target, self.wrt, self.evaluation = layer, target, wrt, evaluation
        if not self._of_units and target == "neuron":
            check_stride_of_field(layer, stride)
        shape = input_variables(layer)[0][wrt].shape[2:]
        if not self._of_units and None not in shape and evaluation == "windows":
            self._evaluator(shape)

    def attribute(
        self,
        images: Any,
        features: Any = None,
        *,
        group: int = 1,
        watched: int | None = None,
        batch_size: int | None = None,
        progress: bool = False,
    ) -> np.ndarray:
        """Losses of features, or units, by occluders on images.

        Parameters
        ----------
        images : array, ``(n, channels, rows, columns)``
            Or one array for each input, in Lasagne's order.
        features : int or sequence of int, optional
            Features or units; all of them when None.
        group : int
            For units: images that influence each other's outputs, 2 for eye pairs.  A network
            built for a fixed number of images gets groups side by side.
        watched : int, optional
            For units: which output of the group counts, for every image of it; each image's own
            when None.
        batch_size : int, optional
            Occluders of a pass; derived from the memory that they take.
        progress : bool
            Show a progress bar.

        Returns
        -------
        array, ``(n, features, 1, rows, columns)``
            Activation on the original image minus that on the occluded one.  NaN where no
            occluder was centered; see :func:`interpolated`.

        Raises
        ------
        UserError
            For a feature that the layer lacks, values of the occluder that do not fit, a stride
            larger than the image, images of the wrong shape or not finite, or a group that the
            number of images is no multiple of.
        """
        features, arrays = check_features(self.layer, features), as_arrays(self.layer, images)
        shape = arrays[self.wrt].shape[2:]
        self.occluder.check_stride(shape)
        values_under(self.occluder.baseline, arrays[self.wrt])  # fits, or says why not
        if batch_size is not None:
            check_whole("batch_size", batch_size)
        if self._of_units:
            count = len(arrays[self.wrt])
            if count % check_whole("group", group):
                raise UserError(f"{count} images cannot be split into groups of {group}")
            return self._losses_of_units(arrays, features, (group, watched, batch_size, progress))
        evaluate = self._evaluator(shape)
        job = FeatureOcclusion(self.layer, evaluate, self.occluder, batch_size, progress)
        if self.target == "neuron":
            return job.of_neurons(arrays, self.wrt, features)
        return job.of_maps(arrays, self.wrt, features, self.target)

    def windows(self, shape: tuple[int, ...]) -> Any:
        """What evaluates occluded images of one size on windows, for uses of one's own.

        Parameters
        ----------
        shape : (rows, columns)

        Returns
        -------
        cnnviz.attribution.occlusion_passes.WindowPasses

        Raises
        ------
        UserError
            For layers that cannot be evaluated on windows.
        """
        return evaluator(self.layer, "windows", self.wrt, shape)

    def _evaluator(self, shape: tuple[int, ...]) -> Any:
        return evaluator(self.layer, self.evaluation, self.wrt, shape)

    def _losses_of_units(
        self, arrays: list[np.ndarray], units: list[int], how: tuple[Any, ...]
    ) -> np.ndarray:
        group, watched, batch_size, progress = how
        source, occluder = arrays[self.wrt], self.occluder
        values, shape = values_under(occluder.baseline, source), source.shape[2:]
        evaluate = compiled.of_layer(
            self.layer,
            ("outputs", self.wrt, group, self.evaluation, shape),
            lambda: OccludedOutputs(self.layer, self.wrt, group, self.evaluation, shape),
        )
        places = centers(shape, occluder.stride)
        out = np.full((len(source), len(units), 1, *shape), np.nan, source.dtype)
        total = len(source) * len(places)
        with tqdm(total=total, unit=" occluders", disable=not progress) as bar, releasing(evaluate):
            for begin in range(0, len(source), group):
                own = slice(begin, begin + group)
                before = evaluate.keep([array[own] for array in arrays], of_images(values, own))
                for k in range(group):
                    row = k if watched is None else watched
                    step = batch_size or evaluate.batch_size(occluder.size)
                    for first in range(0, len(places), step):
                        few = places[first : first + step]
                        after = evaluate(occluder.first(few), occluder.size, k)[:, row][:, units]
                        out[(begin + k, slice(None), 0, *few.T)] = before[row, units] - after
                        bar.update(len(few))
        return out
