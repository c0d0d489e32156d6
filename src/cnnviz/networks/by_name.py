"""Networks as a command line names them: those of this package, or a Python file."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np

from cnnviz.networks import defauw, die, inputs, own, own_code, weights
from cnnviz.runtime import paths
from cnnviz.runtime.errors import UserError

__all__ = ["blaming", "image_input", "is_own", "read", "read_with_mean"]

_DIES = ("c1", "c2", "c3", "c4", "c9")


def is_own(name: str) -> bool:
    """Whether a network is the user's own, a Python file."""
    return name.endswith(".py")


def blaming(name: str) -> contextlib.AbstractContextManager[None]:
    """Errors in layers of the user's own name his file."""
    return own_code.blaming(name) if is_own(name) else contextlib.nullcontext()


def read(name: Any, choice: str) -> Any:
    """Build a network and load its parameters.

    Parameters
    ----------
    name : str
        defauw, c1 to c9, or a Python file.
    choice : str
        shipped, surrogate, random or a file.

    Returns
    -------
    lasagne.layers.Layer
        Output layer; every layer has a name of its own.

    Raises
    ------
    FileNotFoundError, ValueError
        For an unknown network, a file that fails, or parameters that do not fit.
    """
    return read_with_mean(name, choice)[0]


def read_with_mean(name: str, choice: str) -> tuple[Any, np.ndarray | None]:
    """As :func:`read`, and a mean image that lies beside the parameters."""
    if name == "defauw":
        return _defauw(choice), None
    if name in _DIES:
        return _die_network(name, choice), None
    if not is_own(name):
        raise UserError(
            f"unknown network '{name}'; choose defauw, {', '.join(_DIES)} or a Python file (.py)"
        )
    if choice == "shipped":
        raise UserError(
            "--weights: your own network needs a .npz file of its parameters, or 'random'"
        )
    return own.read_with_mean(name, choice)


def _defauw(choice: str) -> Any:
    network = defauw.build()
    if choice in ("random", "defauw"):
        defauw.load(choice, network)
    else:
        usual = choice in ("shipped", "surrogate")
        defauw.load("surrogate", network, None if usual else Path(choice))
    return network


def _die_network(name: str, choice: str) -> Any:
    network = die.build(name)
    if choice == "shipped":
        weights.load_fold(paths.SHIPPED_WEIGHTS, "random", name, 0, network)
    elif choice != "random":
        weights.load(choice, network, expected={"network": name})
    return network


def image_input(layer: Any, units: bool = False) -> Any:
    """The one input that a layer depends on; it takes images.

    Parameters
    ----------
    layer : lasagne.layers.Layer
    units : bool
        The layer has output units rather than feature maps.

    Raises
    ------
    ValueError
        For a layer of the other kind, one above several inputs or other ones.
    """
    below, _ = inputs.input_variables(layer)
    if not below:
        raise UserError(f"layer '{layer.name}' is built on a bare shape; give it an InputLayer")
    for each in below:
        if len(each.shape) != 4:
            raise UserError(
                f"input '{each.name}' has shape {each.shape}, and this command "
                "shows images, (batch, channels, rows, columns); from Python, "
                "cnnviz.Gradient(layer).attribute(inputs) gives the gradient with respect to "
                "any input"
            )
    _check_kind(layer, units)
    if len(below) > 1:
        raise UserError(
            f"layer '{layer.name}' depends on several inputs "
            f"({', '.join(each.name for each in below)}); this command "
            "shows layers above one, the functions of cnnviz any"
        )
    return below[0]


def _check_kind(layer: Any, units: bool) -> None:
    """Feature maps for --feature, units for --unit."""
    dimensions = len(layer.output_shape)
    if units and dimensions == 4:
        raise UserError(
            f"layer '{layer.name}' has feature maps, not output units; ask for them with --feature"
        )
    if units and dimensions != 2:
        raise UserError(
            f"layer '{layer.name}' gives {dimensions}-dimensional output; units are (batch, unit)"
        )
    if not units and dimensions == 2:
        raise UserError(
            f"layer '{layer.name}' gives 2-dimensional output; feature maps are "
            "(batch, feature, row, column); ask for its units with --unit"
        )
    if not units:
        inputs.check_maps(layer)
