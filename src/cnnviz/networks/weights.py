"""Weight files: named arrays and a description, checked on loading."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.runtime import files, paths, tables
from cnnviz.runtime.backend import lasagne
from cnnviz.runtime.errors import MissingFileError, UserError

if TYPE_CHECKING:
    from lasagne.layers import Layer
    from theano.gof import Variable

__all__ = [
    "MANIFEST_COLUMNS",
    "compress",
    "expand",
    "fill",
    "load",
    "load_fold",
    "read_manifest",
    "read_metadata",
    "save",
    "transfer",
    "write_manifest",
]

METADATA = "metadata"
STEP = ".step"
MANIFEST_COLUMNS = (
    "file",
    "sha256",
    "network",
    "split",
    "fold",
    "seed",
    "starts",
    "parameters",
    "validation_accuracy",
    "command",
)


def _named_parameters(network: Layer) -> dict[str, Variable]:
    """Parameters by name, in Lasagne's order; names must be unique."""
    parameters = lasagne.layers.get_all_params(network)
    named = {parameter.name: parameter for parameter in parameters}
    if len(named) != len(parameters) or None in named:
        raise UserError("every layer with parameters needs a name of its own")
    return named


def compress(
    arrays: Mapping[str, np.ndarray], eight_bit: Sequence[Any] = ()
) -> dict[str, np.ndarray]:
    """Smaller arrays that :func:`expand` makes into nearly the same ones.

    Parameters
    ----------
    arrays : dict of float arrays
    eight_bit : collection of str
        Matrices kept in 8 bits, with a step for every column: the step is
        the column's largest magnitude over 127.  All others become float16.

    Returns
    -------
    dict of arrays
        An 8-bit matrix ``name`` comes with its steps, ``name.step``.

    Raises
    ------
    ValueError
        For a value that float16 cannot hold.
    """
    small = {}
    for name, array in arrays.items():
        if name in eight_bit:
            step = np.maximum(np.abs(array).max(axis=0), 1e-12) / 127
            small[name] = np.rint(array / step).astype(np.int8)
            small[name + STEP] = step.astype(np.float32)
        else:
            with np.errstate(over="ignore"):
                small[name] = array.astype(np.float16)
            if not np.isfinite(small[name]).all():
                raise UserError(f"parameter {name} holds values that float16 cannot")
    return small


def expand(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays as they were before :func:`compress`, to its accuracy."""
    return {
        name: array * arrays[name + STEP] if name + STEP in arrays else array
        for name, array in arrays.items()
        if not name.endswith(STEP)
    }


def save(
    path: Path, network: Layer, metadata: Mapping[str, Any], eight_bit: tuple[str] | None = None
) -> None:
    """Save a network's parameters and a description.

    Parameters
    ----------
    path : path
        ``.npz`` file; equal parameters and metadata give equal bytes.
    network : lasagne.layers.Layer
        Output layer.
    metadata : dict
        JSON values; says what the weights are.
    eight_bit : collection of str, optional
        Where given, the arrays are compressed; see :func:`compress`.
    """
    arrays = {name: parameter.get_value() for name, parameter in _named_parameters(network).items()}
    text = json.dumps(metadata, sort_keys=True)
    if eight_bit is not None:
        arrays = compress(arrays, eight_bit)
    files.save_arrays(path, eight_bit is not None, **arrays, **{METADATA: np.array(text)})


def _remedy(path) -> str:
    """Command that brings a weight file back."""
    path = Path(path).resolve()
    if path.is_relative_to(paths.SHIPPED_WEIGHTS.parent):
        return f"git checkout -- {path}"
    if path.name == paths.DEFAUW_WEIGHTS.name:
        return f"cnnviz convert-defauw --dump PARAMSDUMP.pkl --output {path}"
    return f"snakemake --configfile config/retrain.yaml --force {path}"


def _checked(path, expected_sha256: str | None) -> dict[str, np.ndarray]:
    remedy = _remedy(path)
    if expected_sha256 is not None and Path(path).is_file():
        checksum = files.sha256(path)
        if checksum != expected_sha256:
            raise UserError(
                f"{path}: SHA-256 {checksum[:12]}... instead of "
                f"{expected_sha256[:12]}..., so the file was "
                f"altered or truncated; restore it with '{remedy}'"
            )
    arrays = files.load_arrays(path, remedy)
    if METADATA not in arrays:
        raise UserError(
            f"{path}: no '{METADATA}' entry, so not a weight file "
            f"of this package; restore it with '{remedy}'"
        )
    return arrays


def _description(path, entry: np.ndarray) -> dict[str, Any]:
    try:
        return dict(json.loads(str(entry)))
    except (ValueError, TypeError):
        raise UserError(
            f"{path}: its '{METADATA}' is no description by this package; "
            f"restore it with '{_remedy(path)}'"
        ) from None


def read_metadata(path: Any) -> dict[str, Any]:
    """Description of a weight file, as a dictionary."""
    return _description(path, _checked(path, None)[METADATA])


def load(
    path: Any, network: Layer, sha256: Any = None, expected: Mapping[str, int | str] | None = None
) -> dict[str, float | list[dict[Any, Any]] | str]:
    """Load parameters into a network of the same architecture.

    Nothing is loaded unless everything fits.

    Parameters
    ----------
    path : path
    network : lasagne.layers.Layer
        Output layer, as built.
    sha256 : str, optional
        Checksum that the file must have.
    expected : dict, optional
        Entries that the file's metadata must have.

    Returns
    -------
    dict
        The file's metadata.

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing, truncated or altered file, or the first parameter whose
        name, shape or values do not fit.
    """
    arrays = _checked(path, sha256)
    metadata = _description(path, arrays.pop(METADATA))
    arrays = expand(arrays)
    for key, value in (expected or {}).items():
        if metadata.get(key) != value:
            raise UserError(
                f"{path}: weights of {key} '{metadata.get(key)}', not of {key} '{value}'"
            )
    parameters = _named_parameters(network)
    if list(arrays) != list(parameters):
        odd = sorted(set(arrays) ^ set(parameters)) or ["their order"]
        raise UserError(f"{path}: parameters differ from the network's: " + ", ".join(odd))
    fill(
        list(parameters.values()),
        [arrays[key] for key in parameters],
        [f"{path}: parameter {key}" for key in parameters],
    )
    return metadata


def fill(
    parameters: Sequence[Variable], values: Sequence[np.ndarray], names: Sequence[str]
) -> None:
    """Set every parameter to a value of its shape, or none of them.

    Parameters
    ----------
    parameters : list of Theano shared variables
    values : list of arrays
    names : list of str
        What errors call the values: file, and place in it.

    Raises
    ------
    ValueError
        For the first value of another shape, of no numbers, or not finite.
    """
    fitting = [_fitting(*each) for each in zip(parameters, values, names)]
    for parameter, value in zip(parameters, fitting):
        parameter.set_value(value)


def _fitting(parameter: Variable, value: np.ndarray, name: str) -> np.ndarray:
    """A value in its parameter's type, or an error."""
    shape = parameter.get_value(borrow=True).shape
    if value.dtype.kind not in "biuf":
        raise UserError(f"{name} holds values of type {value.dtype}, not numbers")
    if value.shape != shape:
        raise UserError(f"{name} has shape {value.shape} instead of {shape}")
    with np.errstate(over="ignore"):  # found below
        value = value.astype(parameter.dtype, order="C")
    if not np.isfinite(value).all():
        raise UserError(f"{name} holds values that are not finite")
    return value


def transfer(path: Path, network: Layer) -> list[str]:
    """Load what fits from another network's weights, for further training.

    A tied bias, one number a feature map, goes to every position of an untied
    one, so that both compute the same.  Parameters of another shape, such as
    those of a dense layer above maps of another size, keep their values.

    Parameters
    ----------
    path : path
    network : lasagne.layers.Layer
        Output layer.

    Returns
    -------
    list of str
        Names of the parameters that were not loaded.

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing, truncated or foreign file, or one of which nothing fits.
    """
    arrays = expand(_checked(path, None))
    left = []
    for name, parameter in _named_parameters(network).items():
        value, shape = arrays.get(name), parameter.get_value(borrow=True).shape
        if value is not None and value.ndim == 1 and len(shape) == 3:
            value = np.broadcast_to(value[:, np.newaxis, np.newaxis], (len(value), *shape[1:]))
        if value is None or value.shape != shape:
            left.append(name)
        else:
            parameter.set_value(value.astype(parameter.dtype))
    if len(left) == len(_named_parameters(network)):
        raise UserError(f"{path}: none of its parameters fits this network")
    return left


def write_manifest(folder: Any, rows: Sequence[Mapping[str, str]]) -> None:
    """Write ``manifest.csv`` of a folder of weight files."""
    tables.write_rows(paths.manifest(folder), MANIFEST_COLUMNS, rows)


def read_manifest(folder: Any) -> dict[str, dict[str, str]]:
    """Rows of ``manifest.csv`` by file name relative to the folder.

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing file or other columns.
    """
    path = paths.manifest(folder)
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; restore it with 'git checkout -- {path}'")
    with files.reading(path), open(path, newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        if tuple(reader.fieldnames or ()) != MANIFEST_COLUMNS:
            raise UserError(
                f"{path}: columns {reader.fieldnames} instead of {list(MANIFEST_COLUMNS)}"
            )
        return {row["file"]: row for row in reader}


def load_fold(folder: Any, split: str, network_name: str, fold: int, network: Layer) -> Any:
    """Load the weights of one fold from a folder.

    Shipped weights are held against their manifest's checksums, and so are
    those of any other folder that has a manifest.

    Returns
    -------
    dict
        The file's metadata.

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`load`, or for a manifest that is missing or lacks the file.
    """
    path = paths.weight_file(folder, split, network_name, fold)
    sha256 = None
    shipped = Path(folder).resolve() == paths.SHIPPED_WEIGHTS
    if shipped or paths.manifest(folder).is_file():
        key = path.relative_to(folder).as_posix()
        rows = read_manifest(folder)
        if key not in rows:
            raise UserError(f"{paths.manifest(folder)}: does not list {key}")
        sha256 = rows[key]["sha256"]
    return load(path, network, sha256, {"network": network_name, "split": split, "fold": fold})
