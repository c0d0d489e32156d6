"""Results that describe themselves: typed records, with one way to save and to load them.

A kind of result is a frozen dataclass that inherits from :class:`Record`::

    @dataclass(frozen=True)
    class LayerMaps(Record):
        maxima: np.ndarray = axes("feature", "photograph")

    @dataclass(frozen=True)
    class Dissection(Record):
        command: ClassVar[str] = "cnnviz dissect"
        names: np.ndarray = axes("photograph")
        layers: dict[str, LayerMaps]

Arrays name their axes; axes of one name have one length throughout a record, the records in it
included.  A record that is saved by itself says by ``origin`` what it was made from (network,
checksum of its weights, layers, strides, seeds, source of the images): see :func:`made_from`.
"""

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import numpy as np

import cnnviz
from cnnviz.runtime import files
from cnnviz.runtime.errors import UserError

__all__ = ["Record", "axes", "load", "made_from", "of_other_settings", "read_origin", "save"]

Kind = TypeVar("Kind", bound="Record")

_DESCRIPTION = "record"  # the member of the archive that says what the others are
_FORMAT = 1


def axes(*names: str) -> Any:
    """A field whose array has these axes; so has every array of a ``dict[str, np.ndarray]``."""
    return dataclasses.field(metadata={"axes": names})


@dataclasses.dataclass(frozen=True)
class Record:
    """A result: arrays with named axes, text, numbers, and records of parts of it.

    Raises
    ------
    UserError
        When made from arrays whose axes do not fit their names.
    """

    #: The command that makes it, for the remedy of errors.
    command: ClassVar[str] = ""

    def __post_init__(self) -> None:
        _check_axes(self, {}, type(self).__name__)

    @classmethod
    def load(cls, path: Path | str, **settings: Any) -> Self:
        """The record in a file: see :func:`load`."""
        return load(path, cls, **settings)

    def save(self, path: Path | str, origin: Mapping[str, Any], compressed: bool = False) -> None:
        """Write it to a file: see :func:`save`."""
        save(path, self, origin, compressed)


def _hints(kind: type[Record]) -> dict[str, Any]:
    """Types of a record's fields."""
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _alternatives(hint: Any) -> tuple[Any, ...]:
    """The types that a field may have; more than one where it is optional."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return typing.get_args(hint)
    return (hint,)


def _is_of_arrays(hint: Any) -> bool:
    """Whether a field is a dictionary of arrays."""
    return any(
        typing.get_origin(alternative) is dict and typing.get_args(alternative)[1] is np.ndarray
        for alternative in _alternatives(hint)
    )


def _holds(hint: Any) -> type[Record] | None:
    """Kind of the records that a field holds, if it holds any."""
    for alternative in _alternatives(hint):
        alternative = (
            typing.get_args(alternative)[1]
            if typing.get_origin(alternative) is dict
            else alternative
        )
        if isinstance(alternative, type) and issubclass(alternative, Record):
            return alternative
    return None


def _check_lengths(
    array: np.ndarray, names: tuple[str, ...], lengths: dict[str, int], where: str
) -> None:
    if array.ndim != len(names):
        raise UserError(f"{where}: has shape {array.shape}, not axes ({', '.join(names)})")
    for name, length in zip(names, array.shape):
        if lengths.setdefault(name, length) != length:
            raise UserError(
                f"{where}: axis '{name}' has length {length}, elsewhere {lengths[name]}"
            )


def _check_axes(record: Record, lengths: dict[str, int], place: str) -> None:
    """Axes of one name have one length; adds what it learns to ``lengths``."""
    for field in dataclasses.fields(record):
        value, names = getattr(record, field.name), field.metadata.get("axes")
        where = f"{place}.{field.name}"
        if isinstance(value, np.ndarray) and names is not None:
            _check_lengths(value, names, lengths, where)
        elif isinstance(value, Record):
            _check_axes(value, dict(lengths), where)
        elif isinstance(value, dict):
            for key, each in value.items():
                if isinstance(each, Record):
                    _check_axes(each, dict(lengths), f"{where}['{key}']")
                elif isinstance(each, np.ndarray) and names is not None:
                    _check_lengths(each, names, lengths, f"{where}['{key}']")


# --- What a record was made from -------------------------------------------------------------


def made_from(**settings: Any) -> dict[str, Any]:
    """What a result was made from, for :func:`save`, with the version of the package.

    Parameters
    ----------
    **settings
        Numbers, text, lists of these, or None; a path stands for the checksum of that file.
        Nothing that differs from run to run (times, absolute paths) belongs here.

    Raises
    ------
    FileNotFoundError
        For a path that leads nowhere.
    """
    return {"version": cnnviz.__version__} | {
        name: files.sha256(value) if isinstance(value, Path) else _plain(value)
        for name, value in settings.items()
    }


def _plain(value: Any) -> Any:
    """A setting as JSON knows it."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def of_other_settings(
    origin: Mapping[str, Any], settings: Mapping[str, Any]
) -> list[tuple[str, Any, Any]]:
    """Settings that a result was not made with: name, its value, the wanted value."""
    wanted = made_from(**settings)
    return [
        (name, origin.get(name), wanted[name])
        for name in settings
        if origin.get(name) != wanted[name]
    ]


# --- Files -----------------------------------------------------------------------------------


def save(
    path: Path | str, record: Record, origin: Mapping[str, Any], compressed: bool = False
) -> None:
    """Write a record to an ``.npz`` file; equal records give equal bytes.

    Parameters
    ----------
    path : path
    record : Record
    origin : dict
        From :func:`made_from`.
    compressed : bool

    Raises
    ------
    StorageError
        Where the file cannot be written; a finished one stays as it is.
    """
    arrays: dict[str, np.ndarray] = {}
    content = _described(record, "", arrays)
    description = {
        "format": _FORMAT,
        "kind": type(record).__name__,
        "origin": origin,
        "content": content,
    }
    text = json.dumps(description, ensure_ascii=False, allow_nan=False)
    files.save_arrays(path, compressed, **{_DESCRIPTION: np.array(text)}, **arrays)


def _described(record: Record, place: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Everything in a record but its arrays, which go to ``arrays``; names of axes beside them."""
    content: dict[str, Any] = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        key = f"{place}{field.name}"
        if isinstance(value, np.ndarray):
            arrays[key] = value
            content[field.name] = {"axes": list(field.metadata.get("axes", ()))}
        elif isinstance(value, Record):
            content[field.name] = _described(value, f"{key}/", arrays)
        elif isinstance(value, dict) and _holds(_hints(type(record))[field.name]):
            content[field.name] = {
                name: _described(each, f"{key}/{name}/", arrays) for name, each in value.items()
            }
        elif isinstance(value, dict) and _is_of_arrays(_hints(type(record))[field.name]):
            arrays |= {f"{key}/{name}": array for name, array in value.items()}
            content[field.name] = {
                name: {"axes": list(field.metadata.get("axes", ()))} for name in value
            }
        else:
            content[field.name] = _plain(value)
    return content


def read_origin(path: Path | str) -> dict[str, Any]:
    """What the record in a file was made from."""
    return _description(path, files.load_arrays(path, ""))["origin"]


def load(path: Path | str, kind: type[Kind], **settings: Any) -> Kind:
    """Read a record of a kind.

    Parameters
    ----------
    path : path
    kind : class
        Of the record.
    **settings
        With which it must have been made (:func:`made_from`).

    Returns
    -------
    Record
        Of that kind.

    Raises
    ------
    MissingFileError, UserError
        For a file that is missing, damaged, of another kind, or made with other settings.
    """
    arrays = files.load_arrays(path, kind.command)
    description = _description(path, arrays, kind)
    if description["kind"] != kind.__name__:
        raise UserError(
            f"{path}: holds a record of kind {description['kind']}, not {kind.__name__}"
            + _remedy(kind)
        )
    differing = of_other_settings(description["origin"], settings)
    if differing:
        name, stored, wanted = differing[0]
        raise UserError(f"{path}: was made with {name} {stored}, not {wanted}{_remedy(kind)}")
    try:
        return _built(kind, description["content"], "", arrays)
    except (KeyError, TypeError, UserError) as error:
        raise UserError(f"{path}: does not fit {kind.__name__} ({error}){_remedy(kind)}") from None


def _remedy(kind: type[Record]) -> str:
    return f"; make it with '{kind.command}'" if kind.command else ""


def _description(
    path: Path | str, arrays: Mapping[str, np.ndarray], kind: type[Record] = Record
) -> dict[str, Any]:
    """What a file says of itself."""
    try:
        description = json.loads(str(arrays[_DESCRIPTION]))
        if description["format"] != _FORMAT:
            raise UserError(
                f"{path}: has format {description['format']} of records, and this version reads "
                f"format {_FORMAT}{_remedy(kind)}"
            )
        return description
    except (KeyError, TypeError, json.JSONDecodeError):
        raise UserError(f"{path}: does not say what it holds{_remedy(kind)}") from None


def _built(
    kind: type[Kind], content: Mapping[str, Any], place: str, arrays: Mapping[str, np.ndarray]
) -> Kind:
    values: dict[str, Any] = {}
    for name, hint in _hints(kind).items():
        key, part, told = f"{place}{name}", _holds(hint), content[name]
        if told is None:
            values[name] = None
        elif np.ndarray in _alternatives(hint):
            values[name] = arrays[key]
        elif _is_of_arrays(hint):
            values[name] = {each: arrays[f"{key}/{each}"] for each in told}
        elif part is None:
            is_tuple = any(
                typing.get_origin(alternative) is tuple for alternative in _alternatives(hint)
            )
            values[name] = tuple(told) if is_tuple else told
        elif any(typing.get_origin(alternative) is dict for alternative in _alternatives(hint)):
            values[name] = {
                each: _built(part, below, f"{key}/{each}/", arrays) for each, below in told.items()
            }
        else:
            values[name] = _built(part, told, f"{key}/", arrays)
    return kind(**values)
