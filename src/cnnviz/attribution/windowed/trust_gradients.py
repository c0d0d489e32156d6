"""Whether gradients of windows are those of whole passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.attribution.windowed.stack import NotLocal, Stack
from cnnviz.attribution.windowed.trust import check_values
from cnnviz.attribution.windowed.verdicts import Verdict, once
from cnnviz.networks.inputs import label
from cnnviz.runtime.backend import T, function

if TYPE_CHECKING:
    from cnnviz.attribution.windowed.backward import Gradients

__all__ = ["GRADIENT_TOLERANCE", "check_gradients"]


#: Relative error of a gradient, as a root mean square.  In single precision a rectifier
#: whose argument is nearly zero may be open in one way of computing and shut in the
#: other, in one of some million neurons.
GRADIENT_TOLERANCE = {"float32": 1e-2, "float64": 1e-6}


def check_gradients(stack: Stack, build: Callable[..., Any]) -> None:
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
    once("gradients", stack, lambda: Verdict(_reason_of_gradients(build())))


def _reason_of_gradients(gradients: Gradients) -> str | None:
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


def _gradients_differ(gradients: Gradients) -> bool:
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


def _neurons_differ(gradients: Gradients, whole, images: np.ndarray) -> bool:
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
    top = np.zeros((1, stack.channels[-1], rows, columns), stack.dtype)
    summed: Any = 0
    for k, place in enumerate(places):
        feature = k * (stack.channels[-1] - 1) // (len(places) - 1)
        top[0, feature][place] += 1
        summed = summed + gradients.of_places(0, feature, np.array([place]))
    return _far(summed, whole(images, top)[0], stack.dtype)


def _far(values: Any, expected: np.ndarray, dtype: str) -> bool:
    scale = np.sqrt(np.square(expected, dtype=np.float64).mean())
    error = np.sqrt(np.square(np.subtract(values, expected, dtype=np.float64)).mean())
    return not error <= GRADIENT_TOLERANCE[dtype] * scale
