"""What must hold before windows are trusted, measured.

A layer says by its class what it computes, and may compute something else: a
subclass, a non-linearity that mixes channels, a layer that looks further than its
window.  So a stack is compared with whole passes, once for a layer: every block's
values on parts of its map, a neuron's gradient, and what an occluder changes.  Noise
of several magnitudes is put in, with both signs, so that a threshold on the way is
met by some of it.
"""

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cnnviz.attribution import probing
from cnnviz.attribution.windowed.registration import register
from cnnviz.attribution.windowed.stack import NotLocal, Stack, preparing
from cnnviz.networks.inputs import label
from cnnviz.runtime import compiled
from cnnviz.runtime.backend import T, function, lasagne

__all__ = ["check_gradients", "check_occluders", "check_values", "trusted_stack"]

#: Factors of the noise; powers of two, by which rounding stays the same.
SCALES = (1.0, -(2.0**-12), 2.0**12)
#: Relative error of a gradient, as a root mean square.  In single precision a rectifier
#: whose argument is nearly zero may be open in one way of computing and shut in the
#: other, in one of some million neurons.
GRADIENT_TOLERANCE = {"float32": 1e-2, "float64": 1e-6}


def _once(kind, stack, measure):
    """The verdict on a stack: measured now, or when the layer was last asked about.

    Parameters
    ----------
    measure : function
        Gives a :class:`_Verdict`.
    """

    def judge():
        try:
            with preparing(stack.layer):
                return measure()
        except NotLocal as reason:
            return _Verdict(str(reason))

    verdict = compiled.of_layer(stack.layer, ("trust", kind, tuple(stack.shapes)), judge)
    if verdict.reason is not None:
        raise NotLocal(verdict.reason)
    return verdict


class _Verdict(NamedTuple):
    """Why a stack is not to be trusted, if it is not."""

    reason: str | None = None  #: of any use of it
    nonlinear: tuple = ()  #: of its gradients


def trusted_stack(layer, shape=None):
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


def check_values(stack):
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
    return _once("values", stack, lambda: _judge_values(stack))


def _judge_values(stack):
    register()
    with preparing(stack.layer):
        reason = _elsewhere(stack) or _by_batch(stack)
    return _Verdict(reason, () if reason else tuple(filter(None, _Small(stack).reasons())))


def _parts(block):
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


def _elsewhere(stack):
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


def _padded(block, maps):
    """Maps with the surroundings that a block's windows reach."""
    full = block.needed_size(block.places)
    wide = np.maximum(full, block.pad + maps.shape[2:])
    out = np.full((*maps.shape[:2], *wide), block.fill, maps.dtype)
    rows, columns = (
        slice(pad, pad + length) for pad, length in zip(block.pad.tolist(), maps.shape[2:])
    )
    out[:, :, rows, columns] = maps
    return out[:, :, : full[0], : full[1]]


def _by_batch(stack):
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

    def __init__(self, stack):
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

    def _results(self, given, inner):
        """For each block: its windows of ``given``, its pointwise part of ``inner``."""
        values = self._compute(*(each for pair in zip(given, inner) for each in pair))
        return list(zip(values[::2], values[1::2]))

    def values(self, images):
        """The same for some of the images."""
        return self._results(
            *([each[images] for each in group] for group in (self._given, self._inner))
        )

    def reasons(self):
        """Of each block, why gradients on windows cannot be trusted, or None."""
        found = [None] * len(self.stack.blocks)
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
                if not kept and found[k] is None:
                    found[k] = f"layer '{label(block.last)}' {why}"
        return found

    def _is_maximum(self, block, given, raw):
        windows = sliding_window_view(given, tuple(block.size), axis=(2, 3))
        windows = windows[:, :, :: block.stride[0], :: block.stride[1]]
        return np.array_equal(raw, windows.max(axis=(4, 5)))


# --- Gradients -----------------------------------------------------------------


def check_gradients(stack, build):
    """Compare gradients of a stack's last map with those of whole passes.

    Parameters
    ----------
    stack : Stack
    build : function
        Gives the :class:`~cnnviz.attribution.windowed.backward.Gradients` that are compared.

    Raises
    ------
    NotLocal
        Names the layer.
    """
    for why in check_values(stack).nonlinear:
        raise NotLocal(f"{why}, as gradients on windows need")
    _once("gradients", stack, lambda: _Verdict(_reason_of_gradients(build())))


def _reason_of_gradients(gradients):
    stack = gradients.stack
    if not _gradients_differ(gradients):
        return None
    # The first block that makes the difference; the last if only all together do.
    for block in stack.blocks[:-1]:
        shorter = Stack(block.last, stack.shapes[0])
        if _gradients_differ(type(gradients)(shorter, checked=False)):
            break
    else:
        block = stack.blocks[-1]
    return (
        f"the gradient of layer '{label(block.last)}' on windows is not that of whole "
        "passes: what it computes is not one number's function of one number"
    )


def _gradients_differ(gradients):
    stack = gradients.stack
    images, top = stack.variable(), stack.variable("top")
    whole = function(
        [images, top], T.grad(None, images, known_grads={stack.results(images)[-1]: top})
    )
    rng = np.random.RandomState(1)
    trial = rng.randn(1, stack.channels[0], *stack.shapes[0]).astype(stack.dtype)
    weights = rng.randn(1, stack.channels[-1], *stack.shapes[-1]).astype(stack.dtype)
    try:
        gradients.keep(trial)
        return _far(
            gradients.of_maps(weights), whole(trial, weights), stack.dtype
        ) or _neurons_differ(gradients, whole, trial)
    finally:
        gradients.release()


def _neurons_differ(gradients, whole, images):
    """The middle neuron, those in two corners and one in between, of several features.

    By the sum of their gradients, which takes a single whole pass.
    """
    stack = gradients.stack
    rows, columns = stack.shapes[-1]
    places = [
        (rows // 2, columns // 2),
        (0, 0),
        (rows - 1, columns - 1),
        (rows // 3, columns - 1 - columns // 3),
    ]
    top, found = np.zeros((1, stack.channels[-1], rows, columns), stack.dtype), 0
    for k, place in enumerate(places):
        feature = k * (stack.channels[-1] - 1) // (len(places) - 1)
        top[0, feature][place] += 1
        found = found + gradients.of_places(0, feature, np.array([place]))
    return _far(found, whole(images, top)[0], stack.dtype)


def _far(found, expected, dtype):
    scale = np.sqrt(np.square(expected, dtype=np.float64).mean())
    error = np.sqrt(np.square(np.subtract(found, expected, dtype=np.float64)).mean())
    return not error <= GRADIENT_TOLERANCE[dtype] * scale


# --- Occluders -----------------------------------------------------------------


def check_occluders(occluded):
    """Compare what occluders change with whole passes of occluded images.

    Parameters
    ----------
    occluded : cnnviz.attribution.windowed.forward.Occluded

    Raises
    ------
    NotLocal
    """
    _once("occluders", occluded.stack, lambda: _Verdict(_reason_of_occluders(occluded)))


def _reason_of_occluders(occluded):
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
            found = original.copy()
            found[0, :, row : row + value.shape[1], column : column + value.shape[2]] = value
            if probing.differs(found, occluded.whole(covered)):
                return (
                    f"an occluder changes more of layer '{label(stack.layer)}' than its "
                    "windows hold"
                )
    finally:
        occluded.release()
    return None
