"""Networks that are not this package's: a Python file, with parameters of another one.

The Python file is run as code, as ``python FILE.py`` would run it; the parameters, of a
``.npz`` file or a pickle, are read without running anything.  docs/own_network.md is a
worked example.
"""

import contextlib
import inspect
import io
import runpy
import site
import sys
import sysconfig
import tokenize
import traceback
import warnings
import zipfile
from pathlib import Path

import numpy as np

import cnnviz
from cnnviz.networks import layers, safe_pickle, weights
from cnnviz.runtime import files
from cnnviz.runtime.backend import lasagne
from cnnviz.runtime.errors import MissingFileError, UserError

__all__ = ["blaming", "build", "fit", "load", "named", "read", "read_with_mean"]

_SAVED = "numpy.savez(FILE, *lasagne.layers.get_all_param_values(network))"
_PICKLES = (".pkl", ".pickle", ".p")
# As Lasagne's Recipes name them, with spaces or underscores.
_VALUES = ("param values", "values", "parameters", "params")
_MEANS = ("mean image", "mean value", "mean")


def read(path, choice):
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


def read_with_mean(path, choice):
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
    with files.reading(path):
        _check_text(path)
        network = _run(path)
    if not isinstance(network, lasagne.layers.Layer):
        raise UserError(
            f"{path}: build() returns {type(network).__name__}, not a Lasagne "
            f"layer{_advice(network)}"
        )
    return network


def _advice(value):
    """What to return instead, where ``build()`` returns several layers."""
    several = value.values() if isinstance(value, dict) else value
    if isinstance(value, (dict, list, tuple)) and any(
        isinstance(each, lasagne.layers.Layer) for each in several
    ):
        return "; return the last one of its layers, the output"
    return ""


def _check_text(path):
    """Refuse bytes that are no text; Python itself passes them over in comments."""
    content = path.read_bytes()
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        content.decode(encoding)
    except (SyntaxError, UnicodeDecodeError) as error:
        if isinstance(error, SyntaxError):  # in the lines that may name the encoding
            encoding, start = "utf-8", _first_odd(content)
        else:
            start = error.start
        line = content.count(b"\n", 0, start) + 1
        raise UserError(
            f"{path}, line {line}: is not {encoding.upper()}; save the file as UTF-8 text"
        ) from None


def _first_odd(content):
    """Place of the first byte that is not UTF-8; 0 if all are."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return 0


def _run(path):
    """What ``build()`` of a file returns."""
    # As in 'python FILE.py', neighbors can be imported, and no arguments are left.
    folder, words = str(path.resolve().parent), sys.argv
    sys.path.insert(0, folder)
    sys.argv = [str(path)]
    try:
        # What it sets for itself is not meant for us.
        with warnings.catch_warnings(), np.errstate():
            with blaming(path, always=True):
                names = runpy.run_path(str(path))
            _check_build(path, names.get("build"))
            with blaming(path, always=True):
                return names["build"]()
    finally:
        sys.argv = words
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)


def _check_build(path, function):
    if not callable(function):
        raise UserError(f"{path}: has no function build() that returns the output layer")
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        code = getattr(function, "__code__", None)
        line = f", line {code.co_firstlineno}" if code else ""
        raise UserError(
            f"{path}{line}: build() is called without arguments, and {error}; give it a default"
        ) from None
    except ValueError:  # some built-in that does not say what it takes
        pass


@contextlib.contextmanager
def blaming(path, always=False):
    """Say where in the user's code an exception came from, as a UserError.

    Parameters
    ----------
    path : path
        The user's Python file.  Others below its folder, which it may import, are the
        user's too, but for installed packages.
    always : bool
        Blame the file also where no line of it took part; by default, such exceptions
        pass as they are.
    """
    try:
        yield
    except (Exception, SystemExit) as error:  # it is not our code
        place = _place(Path(path), error)
        if place is None and not always:
            raise
        text = str(error).partition("\n")[0]
        if not isinstance(error, UserError):
            text = f"{type(error).__name__}: {text}"
        raise UserError(f"{place or path}: {text}") from error


def _place(path, error):
    """Innermost line of the user's file, and of another one that it called; or None.

    Of the exception that an error was made of, where it has none itself.
    """
    while error is not None:
        place = _line(path, error)
        if place is not None:
            return place
        error = error.__cause__ or error.__context__
    return None


def _line(path, error):
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:  # it has not come to a frame
        frames.append((error.filename, error.lineno))
    own = [number for number, (name, _) in enumerate(frames) if _same(name, path)]
    others = [
        number
        for number, (name, _) in enumerate(frames)
        if not _same(name, path) and _is_users(name, path)
    ]
    if not own and not others:
        return None
    place = f"{path}, line {frames[own[-1]][1]}" if own else str(path)
    if others and (not own or others[-1] > own[-1]):
        name, line = frames[others[-1]]
        place += f" (at {Path(name).name}, line {line})"
    return place


def _same(name, path):
    return Path(name).resolve() == path.resolve()


def _is_users(name, path):
    """Whether a source file is the user's, rather than an installed one."""
    name, folder = Path(name).resolve(), path.resolve().parent
    installed = [
        Path(cnnviz.__file__).parent,
        sysconfig.get_path("stdlib"),
        sysconfig.get_path("purelib"),
        sysconfig.get_path("platlib"),
        *site.getsitepackages(),
    ]
    return name.is_relative_to(folder) and not any(
        name.is_relative_to(Path(each).resolve()) for each in installed
    )


# --- Names ----------------------------------------------------------------------


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


# --- Size of the input ----------------------------------------------------------


def fit(layer, images):
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
        found = layers.outputs(layer, images)
        if found.shape == (1, *expected.shape) and np.allclose(
            found[0], expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max()
        ):
            return 1
    except Exception:  # whatever it is that such a network cannot do
        pass
    _reshape(source, above, (built[0], *images.shape[1:]))
    return built[0]


def _reshape(source, above, shape):
    """Give an input another shape, and tell the layers above, first to last."""
    source.shape = shape
    for layer in above:
        if isinstance(layer, lasagne.layers.MergeLayer):
            layer.input_shapes = [each.output_shape for each in layer.input_layers]
        else:
            layer.input_shape = layer.input_layer.output_shape


# --- Parameters -----------------------------------------------------------------


def load(path, network):
    """Load the parameters of a network of one's own; all of them fit, or none is.

    Parameters
    ----------
    path : path
        ``.npz`` file with the arrays of ``get_all_param_values``, one written by
        :func:`cnnviz.networks.weights.save`, or a pickle of these arrays, in a list or,
        as in Lasagne's Recipes, in a dictionary ("param values" or "values").
    network : lasagne.layers.Layer
        Output layer; it is changed.

    Returns
    -------
    array or None
        A pickle's "mean image" or "mean value", ``(channels, rows, columns)``,
        ``(channels,)`` or ``()``.

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing file, one of another kind, or arrays that do not fit or are not
        finite.
    """
    path = Path(path)
    with files.reading(path, _SAVED):
        zipped = zipfile.is_zipfile(path)
        with open(path, "rb") as stream:
            pickled = stream.read(1) == b"\x80" or path.suffix.lower() in _PICKLES
    if zipped:
        _load_archive(path, network)
        return None
    if not pickled:
        raise UserError(f"{path}: truncated or no .npz file; write it with '{_SAVED}'")
    return _load_pickle(path, network)


def _load_archive(path, network):
    arrays = files.load_arrays(path, _SAVED, f"write it with '{_SAVED}'")
    if weights.METADATA in arrays:
        weights.load(path, network)
        return
    parameters = lasagne.layers.get_all_params(network)
    keys = [f"arr_{k}" for k in range(len(parameters))]
    if set(arrays) != set(keys):
        raise UserError(
            f"{path}: holds {len(arrays)} arrays ({', '.join(arrays)}), not "
            f"{keys[0]} to {keys[-1]}, the network's parameters"
        )
    weights.fill(
        parameters,
        [arrays[key] for key in keys],
        [f"{path}: {key} ({parameter})" for key, parameter in zip(keys, parameters)],
    )


def _load_pickle(path, network):
    values, mean = _of_pickle(path, safe_pickle.load(path))
    parameters = lasagne.layers.get_all_params(network)
    if len(values) != len(parameters):
        raise UserError(
            f"{path}: holds {len(values)} arrays, and the network has "
            f"{len(parameters)} parameters (" + ", ".join(map(str, parameters)) + ")"
        )
    weights.fill(
        parameters,
        values,
        [f"{path}: array {k} ({parameter})" for k, parameter in enumerate(parameters)],
    )
    return mean


def _of_pickle(path, content):
    """Parameters, and the mean image or None, of what a pickle holds."""
    mean = None
    if isinstance(content, dict):
        known = {str(key).lower().replace("_", " "): value for key, value in content.items()}
        mean = next((known[name] for name in _MEANS if known.get(name) is not None), None)
        content = next((known[name] for name in _VALUES if name in known), None)
        if content is None:
            raise UserError(
                f"{path}: holds {', '.join(map(str, known)) or 'nothing'}; the "
                f"network's parameters are looked for under '{_VALUES[0]}' or "
                f"'{_VALUES[1]}'"
            )
    if not isinstance(content, (list, tuple)) or not all(
        isinstance(each, np.ndarray) for each in content
    ):
        raise UserError(f"{path}: its parameters are no list of arrays; write them with '{_SAVED}'")
    return list(content), None if mean is None else _mean(path, mean)


def _mean(path, value):
    """A mean image, without axes of one image."""
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        array = np.array(np.nan)
    while array.ndim > 3 and len(array) == 1:
        array = array[0]
    if array.ndim not in (0, 1, 3) or not np.isfinite(array).all():
        raise UserError(
            f"{path}: its mean image is no array (channels, rows, columns) of finite numbers"
        )
    return array
