"""Networks of one's own: built by a Python file, with parameters of a ``.npz`` file.

The file is run as code, as ``python FILE.py`` would run it; the parameters are read
without running anything.  docs/own_network.md is a worked example.
"""
import runpy
import sys
import traceback
from pathlib import Path

import numpy as np

from cnnviz import files
from cnnviz.backend import lasagne
from cnnviz.errors import MissingFileError, UserError
from cnnviz.networks import weights

__all__ = ["read", "build", "named", "load"]

_SAVED = "numpy.savez(FILE, *lasagne.layers.get_all_param_values(network))"


def read(path, choice):
    """Build a network of one's own and load its parameters.

    Parameters
    ----------
    path : path
        Python file with a function ``build()`` that returns the output layer.
    choice : str or path
        ``.npz`` file, or "random": the network as it was built.

    Returns
    -------
    lasagne.layers.Layer
        Output layer; every layer has a name of its own.

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing file, one that fails, or parameters that do not fit.
    """
    network = named(build(Path(path)), path)
    if choice != "random":
        load(choice, network)
    return network


def build(path):
    """Run a Python file and its ``build()``.

    Parameters
    ----------
    path : pathlib.Path

    Returns
    -------
    lasagne.layers.Layer

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing file, or one that fails: named with the line.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file")
    # Random parameters, too, are the same in every run.
    lasagne.random.set_rng(np.random.RandomState(0))
    try:
        network = _run(path)
    except (Exception, SystemExit) as error:  # it is not our code
        raise UserError(_blame(path, error)) from error
    if not isinstance(network, lasagne.layers.Layer):
        raise UserError(f"{path}: build() returns {type(network).__name__}, not a "
                        "Lasagne layer")
    return network


def _run(path):
    """What ``build()`` of a file returns."""
    # As in 'python FILE.py', neighbours can be imported.
    sys.path.insert(0, str(path.resolve().parent))
    try:
        names = runpy.run_path(str(path))
        if not callable(names.get("build")):
            raise UserError(f"{path}: has no function build() that returns the output "
                            "layer")
        return names["build"]()
    finally:
        sys.path.pop(0)


def _blame(path, error):
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)
             if frame.filename == str(path)]
    text = str(error).partition("\n")[0]
    if not lines:
        return text
    return f"{path}, line {lines[-1]}: {type(error).__name__}: {text}"


def named(network, path):
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


def load(path, network):
    """Load the parameters of a network of one's own; all of them fit, or none is.

    Parameters
    ----------
    path : path
        ``.npz`` file with the arrays of ``get_all_param_values``, or one written by
        :func:`cnnviz.networks.weights.save`.
    network : lasagne.layers.Layer
        Output layer; it is changed.

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing file, one of another kind, or arrays that do not fit or are not
        finite.
    """
    try:
        arrays = files.load_arrays(path, _SAVED)
    except ValueError:  # its remedy would be to delete the file
        raise UserError(f"{path}: truncated or no .npz file; write it with "
                        f"'{_SAVED}'") from None
    if weights.METADATA in arrays:
        weights.load(path, network)
        return
    parameters = lasagne.layers.get_all_params(network)
    keys = [f"arr_{k}" for k in range(len(parameters))]
    if set(arrays) != set(keys):
        raise UserError(f"{path}: holds {len(arrays)} arrays ({', '.join(arrays)}), not "
                        f"{keys[0]} to {keys[-1]}, the network's parameters")
    for key, parameter in zip(keys, parameters):
        _check_value(f"{path}: {key} ({parameter})", arrays[key], parameter)
    for key, parameter in zip(keys, parameters):
        parameter.set_value(arrays[key].astype(parameter.dtype))


def _check_value(what, value, parameter):
    shape = parameter.get_value(borrow=True).shape
    if value.shape != shape:
        raise UserError(f"{what} has shape {value.shape} instead of {shape}")
    if not np.isfinite(value).all():
        raise UserError(f"{what} holds values that are not finite")
