"""From a request to a figure and its numbers: ``cnnviz visualize``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.attribution.methods import METHODS as ATTRIBUTIONS
from cnnviz.attribution.occluder import Occluder
from cnnviz.experiments import shown_features
from cnnviz.networks import by_name, inputs, own
from cnnviz.runtime import files
from cnnviz.runtime.errors import StorageError, UserError
from cnnviz.thesis.figures import style, visualize
from cnnviz.thesis.figures.visualize_picture import picture_of, standardization
from cnnviz.thesis.figures.visualize_request import title

if TYPE_CHECKING:
    from lasagne.layers import Layer

    from cnnviz.thesis.figures.visualize_request import Request

__all__ = ["computed", "deliver"]

_MOST = 5  # features that are named in place of a silent one


def computed(
    request: Any, layer: Layer, mean: np.ndarray | None
) -> tuple[dict[str, list[Any] | np.ndarray], Callable[..., Any]]:
    """Compute what is asked for.

    Parameters
    ----------
    request : Request
    layer : lasagne.layers.Layer
        The one that it names.
    mean : array or None
        Image that lies beside the parameters.

    Returns
    -------
    dict of arrays, function
        Arrays by name, and a function that draws them.
    """
    source = by_name.image_input(layer, bool(request.unit))
    if request.linear:
        layer = inputs.linear(layer)
    channels = source.shape[1]
    if channels is None:
        raise UserError(
            f"input '{source.name}' has shape {source.shape}; its number of channels must be fixed"
        )
    wanted = request.wanted
    numbers = [each for each in wanted if isinstance(each, int)]
    if request.unit and not all(0 <= number < layer.output_shape[1] for number in numbers):
        raise UserError(
            f"layer '{layer.name}' has units 0 to {layer.output_shape[1] - 1}, "
            f"not {', '.join(map(str, numbers))}"
        )
    inputs.check_features(layer, numbers or None)
    scale = standardization(request, channels, mean)
    picture = picture_of(request, source.shape[1:], scale) if request.image else None
    copies = _fit(request, layer, source, picture) if by_name.is_own(request.network) else 1
    wanted = _chosen(wanted, layer, picture, copies)
    # From here on, they are what was asked for.
    request = replace(request, **{"unit" if request.unit else "feature": wanted})
    show = _exemplars if request.of_exemplars else _maps
    arrays, draw = show(request, layer, wanted, picture, scale, copies)
    if picture is not None:
        arrays["image"] = picture.pixels
    return {"units" if request.unit else "features": wanted, **arrays}, draw


def _fit(request: Request, layer: Layer, source: Layer, picture: visualize.Picture | None) -> int:
    """How many copies of the image a network built for several needs."""
    if picture is None and None in source.shape[2:]:
        raise UserError(
            f"input '{source.name}' has shape {source.shape}, without a size of "
            "its own; give --image, whose size is taken"
        )
    pixels = (
        np.random.RandomState(0).randn(1, *source.shape[1:]).astype(np.float32)
        if picture is None
        else picture.pixels
    )
    copies = own.fit(layer, pixels)
    if copies > 1 and not request.unit and not request.method.startswith("gradient"):
        raise UserError(
            f"input '{source.name}' is built for {copies} images at a time, and "
            "they influence each other or are reshaped by their number; build "
            f"it for None, any number, or choose another method than "
            f"{request.method}"
        )
    return copies


def _chosen(wanted: Sequence[int | str], layer: Layer, picture: Any, copies: int) -> Any:
    """Numbers of features or units, with those that respond most for "topN"."""
    found = []
    for each in wanted:
        numbers: Any = [each]
        if isinstance(each, str):
            numbers = shown_features.strongest(
                shown_features.responses(layer, np.repeat(picture.pixels, copies, axis=0)),
                int(each.removeprefix("top")),
            )
            print(f"{each}: {', '.join(map(str, numbers))}", flush=True)
        found += [number for number in numbers if number not in found]
    return found


def _maps(
    request: Any,
    layer: Layer,
    wanted: Sequence[int],
    picture: Any,
    _: tuple[float | np.ndarray, np.ndarray],
    copies: int,
) -> tuple[dict[str, np.ndarray], Callable[..., Any]]:
    pixels = np.repeat(picture.pixels, copies, axis=0)
    fill: Any = 0.0
    if request.fill:
        named = isinstance(request.fill[0], str)
        fill = shown_features.filled(
            picture.pixels, request.fill[0] if named else request.fill, request.size
        )
    occluder = Occluder(request.size, request.stride, fill)
    if request.unit:
        rows: Any = shown_features.units(layer, pixels, wanted)
        maps = shown_features.attribution_maps(
            layer, picture.pixels, wanted, request.method, occluder, copies
        )
        arrays = {"maps": maps, **_columns(rows, "output")}
    else:
        rows = shown_features.strongest_neurons(layer, pixels, wanted)
        maps = shown_features.attribution_maps(layer, pixels, wanted, request.method, occluder)
        arrays = {"maps": maps, **_columns(rows, "place", "activation")}
    silent = shown_features.silence(layer, pixels, rows, maps)
    notes = _silent(request, layer, pixels, silent)
    colors = ATTRIBUTIONS[request.method].shows.replace(
        "activation", "output" if request.unit else "activation"
    )

    def draw():
        return visualize.draw_maps(
            "\n".join([title(request), *_of_channels(picture.pixels), *notes]),
            picture,
            rows,
            maps,
            colors,
            visualize.Look(request.sigma, request.same_scale, silent),
        )

    return arrays, draw


def _silent(
    request: Request, layer: Layer, pixels: np.ndarray, silent: Mapping[int, str]
) -> list[str]:
    """Lines on what shows nothing, and what would; they are printed, too."""
    if not silent:
        return []
    kind = "unit" if request.unit else "feature"
    values = shown_features.responses(layer, pixels)
    others = [
        k
        for k in shown_features.strongest(values, len(values))
        if k not in silent and values[k] > 0
    ][:_MOST]
    most = ", ".join(f"{k} ({values[k]:.3g})" for k in others)
    lines = [f"{kind} {k} is silent on this image: {reason}" for k, reason in silent.items()]
    lines.append(
        f"{kind}s of this layer that respond most to it: {most}"
        if most
        else f"no other {kind} of this layer responds to it"
    )
    print("\n".join(lines), flush=True)
    return lines


def _of_channels(pixels: np.ndarray) -> list[str]:
    """A line on pictures of channels that no picture has."""
    channels = pixels.shape[1]
    return [] if channels in (1, 3) else [f"pictures show the mean of the {channels} channels"]


def _exemplars(
    request: Request,
    layer: Layer,
    features: Sequence[int],
    picture: visualize.Picture | None,
    scale: Any,
    _: int,
) -> tuple[dict[str, np.ndarray], Callable[..., Any]]:
    exemplars = shown_features.find_exemplars(
        layer,
        features,
        picture and picture.pixels,
        request.method == "regularized-exemplar",
        request.seed,
        request.steps,
        request.norm,
    )

    def draw():
        return visualize.draw_exemplars(
            "\n".join([title(request), *_of_channels(exemplars[0].patch[np.newaxis])]),
            exemplars,
            scale[0],
            scale[1],
            picture,
        )

    return _columns(exemplars, "start", "patch", "before", "reached"), draw


def _columns(
    records: Sequence[shown_features.Exemplar | shown_features.Neuron | shown_features.Unit],
    *names: Any,
) -> dict[str, np.ndarray]:
    """Fields of several records as arrays."""
    return {name: np.array([getattr(record, name) for record in records]) for name in names}


def deliver(
    output: Path,
    numbers: Path | None,
    arrays: Mapping[str, Sequence[int] | np.ndarray],
    draw: Callable[..., Any],
) -> None:
    """Write the numbers, then the figure: neither is lost for want of the other."""
    refused = None
    if numbers:
        try:
            files.save_arrays(numbers, **arrays)
        except StorageError as error:
            numbers, refused = None, error
    try:
        style.save(draw(), output.with_suffix(""), [output.suffix])
    except Exception:
        if numbers is None:
            numbers = output.with_name(output.name + ".npz")
            files.save_arrays(numbers, **arrays)
        print(
            f"{output}: the figure could not be drawn; the numbers are in {numbers}",
            file=sys.stderr,
        )
        raise
    if refused:
        raise refused
