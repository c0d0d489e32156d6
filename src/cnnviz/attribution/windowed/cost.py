"""What evaluation on windows costs beside whole passes, in multiply-adds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cnnviz.attribution.windowed import windows
from cnnviz.attribution.windowed.backward import work
from cnnviz.attribution.windowed.stack import NotLocal, Stack
from cnnviz.runtime import compiled

if TYPE_CHECKING:
    from lasagne.layers import Layer

__all__ = ["windows_pay"]

#: What preparing windows takes longer than preparing whole passes: compiling, in
#: multiply-adds a block (0.15 s at 3.5e10 a second, on two cores), and comparing, in
#: passes forwards.
COMPILING = 5e9
COMPARING = 25
#: Multiply-adds of a whole pass below which windows are always prepared: both ways take
#: a moment, and all later calls find the windows ready.
SMALL = 5e8
#: A pass forwards and backwards, by that forwards.
_BOTH_WAYS = 3


def windows_pay(
    layer: Layer,
    shape: tuple[int, ...],
    key: tuple[str, tuple[int, int], str],
    aggregate: str,
    images: int,
    features: int,
) -> bool:
    """Whether gradients of features come sooner on windows than by whole passes.

    What is compiled already costs nothing more.  Else windows are prepared as soon as
    all whole passes of the layer, with those asked for now, cost as much as that: so
    a single map is quick, many are, and one after another never cost more than twice
    the better way.

    Parameters
    ----------
    layer : lasagne.layers.Layer
    shape : (rows, columns)
        Of the images.
    key : hashable
        Under which windows of the layer are kept (:mod:`cnnviz.runtime.compiled`).
    aggregate : {"max", "sum"}
    images, features : int
        How many there are of each.

    Returns
    -------
    bool
        True also for layers without windows, so that whoever prepares them says why.
    """
    if compiled.is_kept(layer, key):
        return True
    try:
        stack = Stack(layer, shape)
    except NotLocal:
        return True
    whole, maps = work(stack, stack.shapes), images * features
    if whole < SMALL:
        return True
    share = _neuron_share(stack) if aggregate == "max" else 1
    saved = maps * _BOTH_WAYS * whole - whole * (images + maps * (_BOTH_WAYS - 1) * share)
    so_far = compiled.of_layer(layer, ("saved", *key), lambda: [0.0])
    so_far[0] += max(saved, 0)
    return so_far[0] > COMPILING * len(stack.blocks) + COMPARING * whole


def _neuron_share(stack: Stack) -> float:
    """Share of a whole pass that the middle neuron of the last map takes."""
    cone = windows.backward_cone(stack.blocks, np.array([stack.shapes[-1]]) // 2)
    sizes = [windows.clipped(window, limit).size for window, limit in zip(cone, stack.shapes)]
    return work(stack, sizes) / max(1, work(stack, stack.shapes))
