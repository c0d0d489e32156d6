"""What must hold before windows are trusted, measured.

A layer says by its class what it computes, and may compute something else: a
subclass, a non-linearity that mixes channels, a layer that looks further than its
window.  So a stack is compared with whole passes, once for a layer: every block's
values on parts of its map, a neuron's gradient, and what an occluder changes.  Noise
of several magnitudes is put in, with both signs, so that a threshold on the way is
met by some of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cnnviz.attribution import probing
from cnnviz.attribution.windowed.registration import register
from cnnviz.attribution.windowed.stack import Stack, preparing
from cnnviz.attribution.windowed.verdicts import Verdict, once
from cnnviz.networks.inputs import label
from cnnviz.runtime import compiled
from cnnviz.runtime.backend import T, function, lasagne

if TYPE_CHECKING:
    from lasagne.layers import Layer

    from cnnviz.attribution.occlusion_passes import WindowPasses
    from cnnviz.attribution.windowed.forward import Occluded
    from cnnviz.attribution.windowed.stack import Block

__all__ = ["check_occluders", "check_values", "trusted_stack"]

#: Factors of the noise; powers of two, by which rounding stays the same.
SCALES = (1.0, -(2.0**-12), 2.0**12)


def trusted_stack(layer: Layer, shape: tuple[int, ...] | None = None) -> Stack:
    """Blocks of a layer that were compared with whole passes, once for the layer.

    Parameters
    ----------
    layer : lasagne.layers.Layer
    shape : (rows, columns), optional
        Of the images, where the input layer leaves them open.

    Returns
    -------
    Stack

    Raises
    ------
    NotLocal
        When a layer on the way is not local, or its expression gives on windows something else
        than on whole maps.
    """
    stack = Stack(layer, shape)
    check_values(stack)
    return stack


# --- Values --------------------------------------------------------------------


def check_values(stack: Stack) -> Verdict:
    """Compare every block's results on parts of its map with Lasagne's own.

    Parameters
    ----------
    stack : Stack

    Returns
    -------
    object
        ``nonlinear``: why gradients on windows cannot be trusted, a reason for each
        block that is not what they need.

    Raises
    ------
    NotLocal
        Names the layer.
    """
    return once("values", stack, lambda: _judge_values(stack))


def _judge_values(stack: Stack) -> Verdict:
    register()
    with preparing(stack.layer):
        reason = _elsewhere(stack) or _by_batch(stack)
    return Verdict(reason, () if reason else tuple(filter(None, _Small(stack).reasons())))


def _parts(block: Block) -> Iterator[Any]:
    """First and last half of a block's map, and of what they need of its input."""
    for ends in (
        [(0, (size + 1) // 2) for size in block.places],
        [(size // 2, size) for size in block.places],
    ):
        below = [
            slice(first * step, (end - 1) * step + size)
            for (first, end), step, size in zip(ends, block.stride.tolist(), block.size.tolist())
        ]
        yield (
            (slice(None),) * 2 + tuple(slice(*each) for each in ends),
            (slice(None),) * 2 + tuple(below),
        )


def _elsewhere(stack: Stack) -> str | None:
    """Which block computes on parts of its map something else than on the whole, if any.

    Each block has noise of its own, whatever comes before it.
    """
    inputs, outputs, below = [], [], stack.source
    for block in stack.blocks:
        whole, *halves = (stack.variable() for _ in range(3))
        with preparing(block.layer):
            outputs.append(
                lasagne.layers.get_output(block.last, {below: whole}, deterministic=True)
            )
            for half, (part, _) in zip(halves, _parts(block)):
                start = np.array([[each.start for each in part[2:]]])
                outputs.append(
                    block.rest(
                        block.add_bias(block.windows(half), T.constant(start, dtype="int64"))
                    )
                )
        inputs += [whole, *halves]
        below = block.last
    compute, rng = function(inputs, outputs), np.random.RandomState(0)
    noise = [
        rng.randn(1, channels, *shape).astype(stack.dtype)
        for channels, shape in zip(stack.channels, stack.shapes[:-1])
    ]
    for scale in SCALES[::2]:
        given = []
        for block, each in zip(stack.blocks, noise):
            scaled = each * each.dtype.type(scale)
            padded = _padded(block, scaled)
            # Cut beforehand: so many slices would take Theano seconds to think about.
            given += [scaled, *(np.ascontiguousarray(padded[cut]) for _, cut in _parts(block))]
        results = iter(compute(*given))
        for block in stack.blocks:
            whole = next(results)
            # A list, so that every result is taken.
            differ = [probing.differs(next(results), whole[part]) for part, _ in _parts(block)]
            if any(differ):
                return (
                    f"layer '{label(block.last)}' computes on windows something else "
                    "than on whole maps"
                )
    return None


def _padded(block: Block, maps: np.ndarray) -> np.ndarray:
    """Maps with the surroundings that a block's windows reach."""
    full = block.needed_size(block.places)
    wide = np.maximum(full, block.pad + maps.shape[2:])
    out = np.full((*maps.shape[:2], *wide), block.fill, maps.dtype)
    rows, columns = (
        slice(pad, pad + length) for pad, length in zip(block.pad.tolist(), maps.shape[2:])
    )
    out[:, :, rows, columns] = maps
    return out[:, :, : full[0], : full[1]]


def _by_batch(stack: Stack):
    """Whether images of a batch depend on each other, and in which block, if in any."""
    small = _Small(stack)
    together, alone = small.values(slice(None)), small.values(slice(1))
    for block, *pairs in zip(stack.blocks, together, alone):
        if any(probing.differs(one, both[:1]) for both, one in zip(*pairs)):
            return f"in layer '{label(block.last)}' images of a batch depend on each other"
    return None


class _Small:
    """Few windows of every block, each with noise of its own.

    Four images: two, their sum, and nothing, by which what is affine shows; and what
    windows give, any numbers, on which the block's pointwise part acts.
    """

    _SIDE = 2  # windows, along rows and along columns

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._compute = compiled.of_layer(
            stack.layer, ("small", tuple(stack.shapes)), self._compile
        )
        rng = np.random.RandomState(0)
        self._given, self._inner = [], []
        for block, channels in zip(stack.blocks, stack.channels):
            size, side = block.needed_size((self._SIDE,) * 2), (self._SIDE,) * 2
            self._given.append(probing.noise(rng, (channels, *size), stack.dtype))
            self._inner.append(rng.randn(4, block.layer.output_shape[1], *side).astype(stack.dtype))

    def _compile(self):
        inputs, outputs = [], []
        for block in self.stack.blocks:
            given, inner = self.stack.variable(), self.stack.variable()
            with preparing(block.layer):
                outputs += [block.windows(given), block.rest(inner)]
            inputs += [given, inner]
        return function(inputs, outputs)

    def _results(
        self, given: Sequence[np.ndarray], inner: Sequence[np.ndarray]
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each block: its windows of ``given``, its pointwise part of ``inner``."""
        values = self._compute(*(each for pair in zip(given, inner) for each in pair))
        return list(zip(values[::2], values[1::2]))

    def values(self, images: slice) -> list[tuple[np.ndarray, np.ndarray]]:
        """The same for some of the images."""
        return self._results(
            *([each[images] for each in group] for group in (self._given, self._inner))
        )

    def reasons(self) -> list[str | None]:
        """Of each block, why gradients on windows cannot be trusted, or None."""
        reasons: list[str | None] = [None] * len(self.stack.blocks)
        rng, first = np.random.RandomState(1), None
        masks = [rng.rand(*each.shape) < 0.5 for each in self._inner]
        for scale in SCALES:
            given, inner = (
                [each * each.dtype.type(scale) for each in group]
                for group in (self._given, self._inner)
            )
            mixed = [np.where(mask, each, each[::-1]) for mask, each in zip(masks, inner)]
            results, others = self._results(given, inner), self._results(given, mixed)
            first = first or results
            for k, block in enumerate(self.stack.blocks):
                (raw, after), (once, _), (_, other) = results[k], first[k], others[k]
                if block.maximum:
                    kept = self._is_maximum(block, given[k], raw)
                    why = "does not give the maximum of its window"
                else:
                    kept = probing.is_affine(raw, once, scale)
                    why = "is no linear function of its input"
                if kept and block.pointwise:
                    kept = after.shape == other.shape == masks[k].shape and not probing.differs(
                        other[masks[k]], after[masks[k]]
                    )
                    why = "gives numbers that depend on more than one number"
                if not kept and reasons[k] is None:
                    reasons[k] = f"layer '{label(block.last)}' {why}"
        return reasons

    def _is_maximum(self, block: Any, given: np.ndarray, raw: np.ndarray) -> bool:
        rows, columns = block.size.tolist()
        windows = sliding_window_view(given, (rows, columns), axis=(2, 3))  # type: ignore[call-overload]
        windows = windows[:, :, :: block.stride[0], :: block.stride[1]]
        return np.array_equal(raw, windows.max(axis=(4, 5)))


# --- Gradients -----------------------------------------------------------------


# --- Occluders -----------------------------------------------------------------


def check_occluders(occluded: Occluded | WindowPasses) -> None:
    """Compare what occluders change with whole passes of occluded images.

    Parameters
    ----------
    occluded : cnnviz.attribution.windowed.forward.Occluded

    Raises
    ------
    NotLocal
    """
    once("occluders", occluded.stack, lambda: Verdict(_reason_of_occluders(occluded)))


def _reason_of_occluders(occluded: Occluded | WindowPasses) -> str | None:
    stack = occluded.stack
    rng = np.random.RandomState(2)
    image = rng.randn(1, stack.channels[0], *stack.shapes[0]).astype(stack.dtype)
    rows, columns = stack.shapes[0]
    side = max(1, min(rows, columns, 11) // 2)
    first = np.array([(rows // 2, columns // 2), (-1, -1), (rows - side, columns // 3)])
    try:
        original = occluded.keep(image, 0.5)
        values, start = occluded(first, (side, side))
        for corner, value, (row, column) in zip(first, values, start):
            covered = image.copy()
            top, left = np.maximum(corner, 0)
            covered[:, :, top : corner[0] + side, left : corner[1] + side] = 0.5
            pasted = original.copy()
            pasted[0, :, row : row + value.shape[1], column : column + value.shape[2]] = value
            if probing.differs(pasted, occluded.whole(covered)):
                return (
                    f"an occluder changes more of layer '{label(stack.layer)}' than its "
                    "windows hold"
                )
    finally:
        occluded.release()
    return None
