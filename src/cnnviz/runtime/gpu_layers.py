"""Lasagne's layers for GPUs, standing in where Theano has none of its own GPU code.

``lasagne.layers.dnn`` (cuDNN) and ``lasagne.layers.corrmm`` compute what Lasagne's
plain layers do, by code that only Theano's former GPU back end could run.  Networks
written with them run here all the same, on either engine: the modules of these names
give the plain layers, with the defaults of the originals.  What has no plain layer in
the installed Lasagne is refused by a line that says so.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from cnnviz.runtime.backend import convolution, lasagne, theano
from cnnviz.runtime.errors import UserError

if TYPE_CHECKING:
    from lasagne.layers import Layer

__all__ = ["Conv2DDNNLayer", "Conv2DMMLayer", "GpuLayerMissing", "check_odd"]

_layers = lasagne.layers


class GpuLayerMissing(UserError, ImportError):
    """A layer for GPUs without a plain one that computes the same."""

    __str__ = ValueError.__str__


def check_odd(filter_size: Any) -> None:
    """Raise a UserError for an even filter size, which cannot be padded evenly."""
    sizes = lasagne.utils.as_tuple(filter_size, 2)
    if any(size % 2 == 0 for size in sizes):
        raise UserError(f"filter_size {sizes} must be odd for same padding")


def _as_told(flip_filters: bool) -> dict[str, Any]:
    """Option of Lasagne's convolution layer that flips filters, or does not."""
    if "flip_filters" in inspect.signature(_layers.Conv2DLayer).parameters:
        return {"flip_filters": flip_filters}
    return {"convolution": functools.partial(convolution, filter_flip=flip_filters)}


class Conv2DDNNLayer(_layers.Conv2DLayer):  # type: ignore[name-defined]
    """Convolution, by default without flipping the filters (a cross-correlation).

    Parameters
    ----------
    incoming, num_filters, ..., **options
        As for ``lasagne.layers.Conv2DLayer``.
    flip_filters : bool

    Raises
    ------
    UserError
        For *same* padding with an even filter size, which would not be symmetric.
    """

    def __init__(
        self,
        incoming: Layer,
        num_filters: int,
        filter_size: int | tuple[int, int],
        stride: Sequence[int] = (1, 1),
        pad: int | str = 0,
        untie_biases: bool = False,
        W: Any = lasagne.init.GlorotUniform(),
        b: Any = lasagne.init.Constant(0.0),
        nonlinearity: Callable[..., Any] | None = lasagne.nonlinearities.rectify,
        flip_filters: bool = False,
        **options: Any,
    ) -> None:
        if pad == "same":
            check_odd(filter_size)
        super().__init__(
            incoming,
            num_filters,
            filter_size,
            stride,
            pad,
            untie_biases,
            W,
            b,
            nonlinearity,
            **_as_told(flip_filters),
            **options,
        )
        self.flip_filters = flip_filters


class Conv2DMMLayer(Conv2DDNNLayer):
    """The same by another name."""


#: Names in each module, and what stands in: the plain layer, if Lasagne has it.
_STAND_INS = {
    "dnn": {
        "Conv2DDNNLayer": Conv2DDNNLayer,
        "Pool2DDNNLayer": "Pool2DLayer",
        "MaxPool2DDNNLayer": "MaxPool2DLayer",
        "Pool3DDNNLayer": "Pool3DLayer",
        "MaxPool3DDNNLayer": "MaxPool3DLayer",
        "BatchNormDNNLayer": "BatchNormLayer",
        "batch_norm_dnn": "batch_norm",
        "Conv3DDNNLayer": None,
        "SpatialPyramidPoolingDNNLayer": "SpatialPyramidPoolingLayer",
    },
    "corrmm": {"Conv2DMMLayer": Conv2DMMLayer},
    "cuda_convnet": dict.fromkeys(
        [
            "Conv2DCCLayer",
            "MaxPool2DCCLayer",
            "ShuffleBC01ToC01BLayer",
            "bc01_to_c01b",
            "ShuffleC01BToBC01Layer",
            "c01b_to_bc01",
            "NINLayer_c01b",
        ]
    ),
}


def _stand_in(module, names):
    """A module of stand-ins; the names that have none raise what to do instead."""
    stand_in: Any = types.ModuleType(f"lasagne.layers.{module}", __doc__)
    for name, plain in names.items():
        thing = getattr(_layers, plain, None) if isinstance(plain, str) else plain
        if thing is not None:
            setattr(stand_in, name, thing)
    stand_in.__all__ = sorted(set(vars(stand_in)) & set(names))

    def missing(name):
        if name not in names:  # modules are searched for anything, by pickle for example
            raise AttributeError(f"module {stand_in.__name__} has no attribute {name}")
        there = ", ".join(stand_in.__all__)
        raise GpuLayerMissing(
            f"{stand_in.__name__}.{name} needs Theano's former GPU back end, which is not "
            "there; build the network with Lasagne's plain layers (Conv2DLayer, "
            "Pool2DLayer, ...), which compute the same, and run it on a GPU by "
            "CNNVIZ_DEVICE=cuda" + (f"; {stand_in.__name__} itself has {there}" if there else "")
        )

    stand_in.__getattr__ = missing
    return stand_in


def _put_in_place() -> None:
    if theano.config.device != "cpu":  # the user's own flags: Lasagne's layers may work
        return
    for module, names in _STAND_INS.items():
        stand_in = _stand_in(module, names)
        sys.modules[stand_in.__name__] = stand_in
        setattr(_layers, module, stand_in)


_put_in_place()
