"""What is compiled for a layer once, and used by every later call.

Compiling takes longer than many a call that follows.  What was compiled reads a
network's parameters when it runs, so it follows new values of them; a layer that was
built anew, or whose attributes were set to something else, is compiled again.
"""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnviz.runtime.backend import lasagne, selected
from cnnviz.runtime.errors import UserError

if TYPE_CHECKING:
    from lasagne.layers import Layer

__all__ = ["forget", "is_kept", "of_layer"]

KEPT = 12  #: layers; the one that was used longest ago goes first

_entries: collections.OrderedDict[tuple[int, int], Any] = collections.OrderedDict()


class _Entry:
    """What belongs to one layer, as it and those below it are now."""

    def __init__(self, state: Sequence[tuple[Layer, Any]]) -> None:
        self.state = state  # keeps the layers alive, so that no other gets their ids
        self.products = {}


def _state(layer: Layer) -> list[tuple[Layer, Any]]:
    """Every layer up to this one, with its attributes."""
    return [
        (each_layer, dict(vars(each_layer)) if each_layer is not None else None)
        for each_layer in lasagne.layers.get_all_layers(layer)
    ]


def _unchanged(before: Sequence[tuple[Layer, Any]], now: Sequence[tuple[Layer, Any]]) -> bool:
    return len(before) == len(now) and all(
        old is new
        and (
            was is None or was.keys() == has.keys() and all(was[name] is has[name] for name in was)
        )
        for (old, was), (new, has) in zip(before, now)
    )


def _entry(layer: Layer) -> _Entry:
    """The layer's own entry, a fresh one if anything about it has changed."""
    place = (threading.get_ident(), id(layer))
    state = _state(layer)
    entry = _entries.get(place)
    if entry is None or not _unchanged(entry.state, state):
        entry = _entries[place] = _Entry(state)
    _entries.move_to_end(place)
    while len(_entries) > KEPT:
        _entries.popitem(last=False)
    return entry


def of_layer(layer: Layer, key: Any, build: Callable[..., Any]) -> Any:
    """What ``build()`` gives for a layer, or what it gave when last asked.

    Parameters
    ----------
    layer : lasagne.layers.Layer
    key : hashable
        Tells what is built from all else that is built for this layer.
    build : function without arguments

    Returns
    -------
    object
        One to each thread and engine: what is compiled keeps its inputs while it runs.

    Raises
    ------
    UserError
        That ``build`` raised, now or before.
    """
    products, key = _entry(layer).products, (selected(), key)
    if key not in products:
        try:
            products[key] = build()
        except UserError as error:
            products[key] = _Failure(type(error), str(error))
            raise
    if isinstance(products[key], _Failure):
        raise products[key].kind(products[key].text)
    return products[key]


def is_kept(layer: Layer, key: tuple[str, tuple[int, int], str]) -> bool:
    """Whether something was built for a layer under a key, successfully or not."""
    return (selected(), key) in _entry(layer).products


class _Failure(NamedTuple):
    kind: type
    text: str


def forget() -> None:
    """Drop all that was compiled, and the memory that it holds."""
    _entries.clear()
