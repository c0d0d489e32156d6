"""Which axis of an input its channels are on, by the layers that read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnviz.networks.inputs import input_variables, label
from cnnviz.runtime.backend import lasagne
from cnnviz.runtime.errors import UserError

if TYPE_CHECKING:
    from lasagne.layers import Layer

__all__ = ["channel_axis", "check_pictures", "reduced_axis"]


#: Layers that leave every axis where it is.
_IN_PLACE = (
    "NonlinearityLayer",
    "DropoutLayer",
    "GaussianNoiseLayer",
    "PadLayer",
    "BatchNormLayer",
    "BiasLayer",
    "ScaleLayer",
    "StandardizationLayer",
    "ParametricRectifierLayer",
    "ExpressionLayer",
)


#: Layers that take channels on axis 1.
_CHANNELS_FIRST = (
    "BaseConvLayer",
    "Conv1DLayer",
    "Conv2DLayer",
    "Conv3DLayer",
    "Pool1DLayer",
    "Pool2DLayer",
    "Pool3DLayer",
    "NINLayer",
    "FeaturePoolLayer",
    "LocalResponseNormalization2DLayer",
)


#: Layers that take them on axis 2, behind time.
_TIME_FIRST = ("CustomRecurrentLayer", "RecurrentLayer", "LSTMLayer", "GRULayer")


def channel_axis(layer: Layer, wrt: int = 0, given: int | None = None) -> Any:
    """Axis of an input's channels, by the layers that read it.

    Lasagne's convolutions take channels on axis 1, recurrent layers on axis 2; a
    DimshuffleLayer may bring them there from elsewhere, or make them.  Inputs count as
    ``(batch, channel, ...)`` when nothing says otherwise; only of one of three dimensions
    that is reshaped, perhaps a picture without channels, the axis cannot be told.

    Parameters
    ----------
    layer : lasagne.layers.Layer
    wrt : int
        Which input.
    given : int, optional
        The axis, for inputs of which it cannot be told; 0 is the images'.

    Returns
    -------
    int or None
        None where images have no channels.

    Raises
    ------
    UserError
        For an axis that the input lacks, or where none is given and it cannot be told.
    """
    source = input_variables(layer)[0][wrt]
    dimensions = len(source.shape)
    if given is not None:
        if (
            isinstance(given, bool)
            or not hasattr(given, "__index__")
            or not (0 < given < dimensions)
        ):
            raise UserError(
                f"channel_axis must lie between 1 and {dimensions - 1} for input "
                f"'{label(source)}' of shape {source.shape}, not {given}"
            )
        return int(given)
    if dimensions < 3:
        return None
    told = {_told(reader, layer) for reader in _readers(source, layer)} - {"nothing"}
    if len(told) == 1 and told != {"unknown"}:
        return told.pop()
    if not told:
        return 1
    raise UserError(
        f"input '{label(source)}' of shape {source.shape}: the network does not "
        "tell which axis its channels are on; give channel_axis, or reduce "
        "no channels"
    )


def reduced_axis(layer: Layer, wrt: int = 0, raw: bool = False, given: Any = None) -> int | None:
    """Axis of an input over which a map of its pixels is the maximum.

    Parameters
    ----------
    layer, wrt, given
        As for :func:`channel_axis`.
    raw : bool
        Maps keep all channels.

    Returns
    -------
    int or None
        None where there is nothing to take the maximum over.

    Raises
    ------
    UserError
        For an input without channels unless ``raw``; as :func:`channel_axis`.
    """
    if raw:
        return None
    source = input_variables(layer)[0][wrt]
    if len(source.shape) < 3 and given is None:
        raise UserError(
            f"input '{label(source)}' has no channels to take the maximum of, as "
            f"its shape is {source.shape}; use the maps as they are"
        )
    return channel_axis(layer, wrt, given)


def _readers(source: Layer, top: Layer) -> list[Layer]:
    return [
        each_layer
        for each_layer in lasagne.layers.get_all_layers(top)
        if source
        in (getattr(each_layer, "input_layers", None) or [getattr(each_layer, "input_layer", None)])
    ]


def _told(reader: Layer, top: Layer) -> int | str | None:
    """Axis of the channels that a layer's kind tells of its input, "nothing" or "unknown"."""
    kinds = {kind.__name__ for kind in type(reader).__mro__}
    if kinds & set(_CHANNELS_FIRST):
        return 1
    if kinds & set(_TIME_FIRST):
        return 2
    if "ReshapeLayer" in kinds and len(reader.input_shape) == 3:
        return "unknown"
    if "DimshuffleLayer" in kinds:
        axis = reader.pattern[1] if len(reader.pattern) > 1 else "x"
        return axis if isinstance(axis, int) else None
    if kinds & set(_IN_PLACE):
        told = {_told(each, top) for each in _readers(reader, top)} - {"nothing"}
        return told.pop() if len(told) == 1 else "nothing"
    return "nothing"


def check_pictures(layer: Layer, wrt: int, purpose: str) -> None:
    """Raise a UserError unless an input takes ``(batch, channel, row, column)``.

    Parameters
    ----------
    purpose : str
        What needs such an input, for the message.
    """
    source = input_variables(layer)[0][wrt]
    if len(source.shape) != 4:
        raise UserError(
            f"{purpose} needs images (batch, channel, row, column), and input "
            f"'{label(source)}' has shape {source.shape}"
        )
    axis = channel_axis(layer, wrt)
    if axis != 1:
        raise UserError(
            f"{purpose} needs images (batch, channel, row, column), and input "
            f"'{label(source)}' of shape {source.shape} has its channels "
            + ("nowhere" if axis is None else f"on axis {axis}")
            + "; let the network begin behind its DimshuffleLayer"
        )
