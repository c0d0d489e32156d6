"""Networks that are not this package's: a Python file, with parameters of another one.

The Python file is run as code, as ``python FILE.py`` would run it; the parameters, of a
``.npz`` file or a pickle, are read without running anything.  docs/own_network.md is a
worked example.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.networks import layers
from cnnviz.networks.own_code import build
from cnnviz.networks.own_parameters import load
from cnnviz.runtime.backend import lasagne
from cnnviz.runtime.errors import UserError

if TYPE_CHECKING:
    from lasagne.layers import Layer

__all__ = ["fit", "named", "read", "read_with_mean"]


def read(path: Any, choice: Any) -> Layer:
    """Build a network of one's own and load its parameters.

    Parameters
    ----------
    path : path
        Python file with a function ``build()`` that returns the output layer.
    choice : str or path
        ``.npz`` file, pickle, or "random": the network as it was built.

    Returns
    -------
    lasagne.layers.Layer
        Output layer; every layer has a name of its own.

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing file, one that fails, or parameters that do not fit.
    """
    return read_with_mean(path, choice)[0]


def read_with_mean(path: Any, choice: str) -> tuple[Layer, np.ndarray | None]:
    """As :func:`read`, with the mean image beside the parameters.

    Returns
    -------
    lasagne.layers.Layer
    array or None
        As :func:`load` gives it.
    """
    network = named(build(Path(path)), path)
    return network, load(choice, network) if choice != "random" else None


# --- The user's code ------------------------------------------------------------


# --- Names ----------------------------------------------------------------------


def named(network: Layer, path: Path | str) -> Layer:
    """Name the layers of a network that have no name, by number and kind.

    Parameters
    ----------
    network : lasagne.layers.Layer
        Output layer; its layers are changed.
    path : path
        Which errors name.

    Returns
    -------
    lasagne.layers.Layer
        The same.

    Raises
    ------
    ValueError
        For two layers of one name, of which the wrong one might be taken.
    """
    seen = set()
    for number, layer in enumerate(lasagne.layers.get_all_layers(network)):
        if layer.name is None:
            layer.name = f"{number}:{type(layer).__name__}"
        if layer.name in seen:
            raise UserError(f"{path}: several layers are named '{layer.name}'")
        seen.add(layer.name)
    return network


# --- Size of the input ----------------------------------------------------------


def fit(layer: Layer, images: np.ndarray) -> int:
    """Make a network take images of this size, one at a time.

    Its one input may have been built for a fixed number of images, and without fixed
    rows or columns: afterwards it takes any number, of this size.  A network whose
    images influence each other, or that reshapes by their number, stays as it is.

    Parameters
    ----------
    layer : lasagne.layers.Layer
        The layers up to it are changed.
    images : array, ``(1, channels, rows, columns)``

    Returns
    -------
    int
        How many copies of an image it has to be given: 1, but for a network that stays
        as it is.
    """
    source, *above = lasagne.layers.get_all_layers(layer)
    built = source.shape
    if built[0] is None and None not in built[1:]:
        return 1
    _reshape(source, above, (built[0], *images.shape[1:]))
    if built[0] is None:
        return 1
    expected = layers.outputs(layer, np.repeat(images, built[0], axis=0))[0]
    try:
        _reshape(source, above, (None, *images.shape[1:]))
        outputs = layers.outputs(layer, images)
        if outputs.shape == (1, *expected.shape) and np.allclose(
            outputs[0], expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max()
        ):
            return 1
    except Exception:  # whatever it is that such a network cannot do
        pass
    _reshape(source, above, (built[0], *images.shape[1:]))
    return built[0]


def _reshape(source: Layer, above: Sequence[Layer], shape: Any) -> None:
    """Give an input another shape, and tell the layers above, first to last."""
    source.shape = shape
    for layer in above:
        if isinstance(layer, lasagne.layers.MergeLayer):
            layer.input_shapes = [input_layer.output_shape for input_layer in layer.input_layers]
        else:
            layer.input_shape = layer.input_layer.output_shape


# --- Parameters -----------------------------------------------------------------
