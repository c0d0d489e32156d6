"""Verdicts on what windows give, each made once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnviz.attribution.windowed.stack import NotLocal, preparing
from cnnviz.runtime import compiled

if TYPE_CHECKING:
    from cnnviz.attribution.windowed.stack import Stack

__all__ = ["Verdict", "once"]


def once(kind: str, stack: Stack, measure: Callable[..., Any]) -> Verdict:
    """The verdict on a stack: measured now, or when the layer was last asked about.

    Parameters
    ----------
    measure : function
        Gives a :class:`Verdict`.
    """

    def judge():
        try:
            with preparing(stack.layer):
                return measure()
        except NotLocal as reason:
            return Verdict(str(reason))

    verdict = compiled.of_layer(stack.layer, ("trust", kind, tuple(stack.shapes)), judge)
    if verdict.reason is not None:
        raise NotLocal(verdict.reason)
    return verdict


class Verdict(NamedTuple):
    """Why a stack is not to be trusted, if it is not."""

    reason: str | None = None  #: of any use of it
    nonlinear: tuple = ()  #: of its gradients
