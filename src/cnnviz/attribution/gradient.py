"""Gradients of features and of output units (thesis section 3.2.1, eqs. 3.3 to 3.7).

The feature with feature map F is visualized by the gradient of max(F) or of sum(F), over all
positions, with respect to the image (eqs. 3.4 to 3.7); a unit, such as a class score, by the
gradient of its output (eq. 3.3).
"""

import functools
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from cnnviz.attribution.choices import EVALUATIONS, check_choice
from cnnviz.attribution.windowed import NotLocal, cost, trusted_stack
from cnnviz.attribution.windowed.backward import TIES, Gradients
from cnnviz.attribution.windowed.sweep import SharedSweep, Sweep
from cnnviz.networks import expressions
from cnnviz.networks.inputs import (
    as_arrays,
    batches,
    check_features,
    check_input,
    check_maps,
    check_units,
    check_whole,
    input_variables,
    label,
)
from cnnviz.runtime import compiled
from cnnviz.runtime.backend import T, function
from cnnviz.runtime.errors import UserError

__all__ = ["TARGETS", "TIES", "Gradient", "LayersGradient"]

#: What is differentiated of a feature map (eqs. 3.4 and 3.5).
TARGETS: dict[str, Callable[..., Any]] = {"max": T.max, "sum": T.sum}
BATCH_SIZE = 256  # images of a whole pass


class Gradient:
    """Gradient of features, or of units, with respect to the images.

    Features of an image share one forward pass, and the gradient of a maximum is computed only
    on what its neuron sees, where the layers allow it (:mod:`cnnviz.attribution.windowed`).  An
    object can be used for any number of images: what is compiled is kept.

    Parameters
    ----------
    layer : lasagne.layers.Layer
        With feature maps ``(batch, feature, row, column)`` or units ``(batch, unit)``.  The
        non-linearity of units counts (:func:`cnnviz.networks.inputs.linear` leaves it out).
    target : {"max", "sum"}
        Of a feature map, over its positions (eqs. 3.4 and 3.5); units have one number.
    wrt : int
        Which input the gradient is taken of, in the order of Lasagne's layers.
    ties : {"all", "first"}
        Where several positions of the map, or places of a pooling window, share the maximum:
        ``"all"``: each gets the whole gradient, as in Theano; ``"first"``: only the first one,
        row by row, as in PyTorch and what is built on it.
    evaluation : {"auto", "windows", "whole"}
        ``"whole"``: a forward and a backward pass for every feature; ``"windows"``: on windows,
        with a shared forward pass; ``"auto"``: the cheaper of both, windows only where the
        layers allow it, which is measured, else whole passes with a warning.  The result is
        the same but for rounding.

    Raises
    ------
    UserError
        For an unknown choice, a layer with neither maps nor units, an input that the network
        lacks, or ``"windows"`` for layers that cannot be evaluated on them.
    """

    def __init__(
        self,
        layer: Any,
        target: str = "max",
        *,
        wrt: int = 0,
        ties: str = "all",
        evaluation: str = "auto",
    ) -> None:
        check_choice("target", target, TARGETS)
        check_choice("rule for ties", ties, TIES)
        check_choice("evaluation", evaluation, EVALUATIONS)
        self._of_units = len(layer.output_shape) == 2
        (check_units if self._of_units else check_maps)(layer)
        check_input(layer, wrt)
        self.layer, self.target, self.wrt = layer, target, wrt
        self.ties, self.evaluation = ties, evaluation
        if self._of_units:
            if evaluation == "windows":
                raise NotLocal(f"the units of layer '{label(layer)}' see all of the image")
            self._unit_gradient()
        elif evaluation == "whole":
            self._whole_gradient()
        else:
            self._prepare_windows()

    def attribute(
        self,
        images: Any,
        features: Any = None,
        *,
        batch_size: int | None = None,
        progress: bool = False,
    ) -> np.ndarray:
        """Gradients of features, or units, of images.

        Parameters
        ----------
        images : array, ``(n, channels, rows, columns)``
            Or one array for each input, in Lasagne's order.  A network built for a fixed number
            of images takes as many for gradients of units, eye pairs side by side, say.
        features : int or sequence of int, optional
            Features or units; all of them when None.
        batch_size : int, optional
            Gradients of a pass; derived from the memory that they take.  Does not change the
            result.
        progress : bool
            Show a progress bar.

        Returns
        -------
        array, ``(n, features, channels, rows, columns)``
            More generally ``(n, features, ...)``, with the shape of input ``wrt``.  Each image
            has a gradient of its own.

        Raises
        ------
        UserError
            For features that the layer lacks, or images of the wrong shape, number, or not
            finite.
        """
        features, arrays = check_features(self.layer, features), as_arrays(self.layer, images)
        if batch_size is not None:
            check_whole("batch_size", batch_size)
        source = arrays[self.wrt]
        out = np.zeros((len(source), len(features), *source.shape[1:]), source.dtype)
        total = len(source) * len(features)
        with tqdm(total=total, unit=" maps", disable=not progress) as bar:
            for k, image, values, *place in self._parts(arrays, features, batch_size):
                out[(image, k, ..., *place)] = values
                bar.update()
        return out

    def _parts(
        self, arrays: list[np.ndarray], features: Sequence[int], batch_size: int | None
    ) -> Iterator[Any]:
        """Position in ``features`` and image, gradient on a part of the image, which part."""
        if self._of_units:
            return self._of_each_unit(arrays, features)
        sweep = self._sweep(arrays, features)
        return sweep(arrays, features, batch_size)

    # --- Of units ---------------------------------------------------------------------------

    def _unit_gradient(self) -> Any:
        return compiled.of_layer(
            self.layer,
            ("unit gradient", self.wrt, self.ties),
            lambda: compile_unit_gradient(self.layer, self.wrt, self.ties),
        )

    def _of_each_unit(self, arrays: list[np.ndarray], units: Sequence[int]) -> Iterator[Any]:
        count, fixed = len(arrays[self.wrt]), input_variables(self.layer)[0][self.wrt].shape[0]
        if fixed not in (None, count):
            raise UserError(f"the network was built for {fixed} images, and {count} were given")
        compute = self._unit_gradient()
        for k, unit in enumerate(units):
            for image in range(count):
                yield k, image, compute(*arrays, image, unit)

    # --- Of feature maps --------------------------------------------------------------------

    def _whole_gradient(self) -> Any:
        return compiled.of_layer(
            self.layer,
            ("whole gradient", self.target, self.wrt, self.ties),
            lambda: compile_gradient(self.layer, self.target, self.wrt, self.ties),
        )

    def _key(self, shape: tuple[int, ...]) -> tuple[Any, ...]:
        return ("gradients", shape, self.ties)

    def _windows(self, shape: tuple[int, ...]) -> Gradients:
        return compiled.of_layer(
            self.layer,
            self._key(shape),
            lambda: Gradients(trusted_stack(self.layer, shape), ties=self.ties),
        )

    def _prepare_windows(self) -> None:
        """Compile at once where the size of images is known and windows are asked for."""
        shape = input_variables(self.layer)[0][self.wrt].shape[2:]
        if self.evaluation == "windows" and None not in shape:
            self._windows(shape)

    def _sweep(self, arrays: list[np.ndarray], features: Sequence[int]) -> Callable[..., Any]:
        """Generator function: see :meth:`cnnviz.attribution.windowed.sweep.Sweep.__call__`."""
        shape = arrays[self.wrt].shape[2:]
        if self.evaluation == "windows" or (
            self.evaluation == "auto"
            and cost.windows_pay(
                self.layer,
                shape,
                self._key(shape),
                self.target,
                len(arrays[self.wrt]),
                len(features),
            )
        ):
            try:
                return Sweep(self._windows(shape), self.target)
            except NotLocal as reason:
                if self.evaluation == "windows":
                    raise
                warnings.warn(f"gradients by whole passes: {reason}", stacklevel=4)
        return functools.partial(_whole_passes, self._whole_gradient())


def _whole_passes(
    gradient: Any, arrays: list[np.ndarray], features: Sequence[int], batch_size: int | None
) -> Iterator[Any]:
    for part in batches(arrays, batch_size or BATCH_SIZE):
        batch = [array[part] for array in arrays]
        for k, feature in enumerate(features):
            for image, values in enumerate(gradient(*batch, feature), part.start):
                yield k, image, values


class LayersGradient:
    """Gradients of the features of several layers of one network, image after image.

    Layers share one forward pass of an image; gradients are handed out one by one, so that those
    of hundreds of features need no memory together.

    Parameters
    ----------
    layers : sequence of lasagne.layers.Layer
        Each below the next.
    target, ties
        As for :class:`Gradient`.
    evaluation : {"auto", "windows", "whole"}
        As for :class:`Gradient`; ``"auto"`` takes windows where all layers allow it.

    Raises
    ------
    UserError
        For an unknown choice, or, with ``"windows"``, layers that cannot be evaluated on windows.
    """

    def __init__(
        self,
        layers: Sequence[Any],
        target: str = "max",
        *,
        ties: str = "all",
        evaluation: str = "windows",
    ) -> None:
        check_choice("target", target, TARGETS)
        check_choice("rule for ties", ties, TIES)
        check_choice("evaluation", evaluation, EVALUATIONS)
        self.layers = list(layers)
        self._sweep: SharedSweep | None = None
        self._whole: list[Any] = []
        if evaluation != "whole":
            try:
                self._sweep = SharedSweep(
                    [trusted_stack(layer) for layer in self.layers], target, ties
                )
            except NotLocal as reason:
                if evaluation == "windows":
                    raise
                warnings.warn(f"gradients by whole passes: {reason}", stacklevel=2)
        if self._sweep is None:
            self._whole = [compile_gradient(layer, target, 0, ties) for layer in self.layers]

    def parts(self, image: np.ndarray, features: Sequence[Sequence[int]]) -> Iterator[Any]:
        """Gradients of chosen features of every layer, one after another.

        Parameters
        ----------
        image : array, ``(1, channels, rows, columns)``
        features : list of sequences of int
            Of every layer.

        Yields
        ------
        layer, k : int
            Position in ``features``.
        values : array, ``(channels, rows, columns)``
            Gradient on a part of the image; it is zero elsewhere.
        rows, columns : slice
            Which part.
        """
        if self._sweep is not None:
            yield from self._sweep(image, features)
            return
        everything = tuple(map(slice, image.shape[2:]))
        for layer, (gradient, chosen) in enumerate(zip(self._whole, features)):
            for k, feature in enumerate(chosen):
                yield (layer, k, gradient(image, feature)[0], *everything)


# --- What is compiled -----------------------------------------------------------------------


def compile_gradient(layer: Any, target: str, wrt: int = 0, ties: str = "all") -> Any:
    """Function of one array per input and a feature's index to the gradient of its map.

    The scores of a batch are added before differentiating, and no image influences another's.
    """
    below, variables = input_variables(layer)
    feature = T.iscalar("feature")
    maps = expressions.output(layer, dict(zip(below, variables)), ties)[:, feature]
    if ties == "first" and target == "max":
        scores = expressions.first_maximum(maps)
    else:
        scores = TARGETS[target](maps, axis=(1, 2))
    # Of an input that does not matter, the gradient is zero.
    return function(
        variables + [feature],
        T.grad(scores.sum(), variables[wrt], disconnected_inputs="ignore"),
        on_unused_input="ignore",
    )


def compile_unit_gradient(layer: Any, wrt: int, ties: str) -> Any:
    """Function of one array per input, an image's number and a unit to the gradient."""
    below, variables = input_variables(layer)
    row, unit = T.iscalar("row"), T.iscalar("unit")
    outputs = expressions.output(layer, dict(zip(below, variables)), ties)
    # Other images may count in a row of outputs, so each is derived alone.
    return function(
        [*variables, row, unit],
        T.grad(outputs[row, unit], variables[wrt], disconnected_inputs="ignore")[row],
        on_unused_input="ignore",
    )
