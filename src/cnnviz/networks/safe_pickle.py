"""Numbers out of a pickle, read without running what a file may carry.

A pickle is a program: it can call any function that can be imported.  Here it meets
stand-ins instead, for the few names by which NumPy's arrays are written, and knows
lists, tuples, dictionaries, texts and numbers besides.  Whatever else it asks for is
refused and named.  Nothing of the file is executed, and what is read takes no more
memory than in proportion to the file.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np

from cnnviz.runtime import files
from cnnviz.runtime.errors import UserError

__all__ = ["ALL", "ARRAYS", "Refused", "Unpickler", "load"]

_KINDS = "biuf"  # of NumPy's types: truth values, whole numbers, floats
_DEEPEST = 32  # containers within containers
_MOST_STEPS = 1_000_000  # a list or dictionary takes a step, and 60 bytes
_SLACK = 1 << 20  # bytes


class Refused(UserError):
    """A well-formed pickle of something that parameters do not need."""


# --- Stand-ins --------------------------------------------------------------------
# All are classes with a state of their own, which a file can therefore not put in
# the place of their methods.


class _DataType:
    """Stands in for ``numpy.dtype``: numbers only."""

    def __init__(self, code: str, *_: Any) -> None:
        code = code.decode("latin1") if isinstance(code, bytes) else str(code)
        try:
            self.value = np.dtype(code)
        except TypeError:
            self.value = None
        if self.value is None or self.value.kind not in _KINDS or self.value.names:
            raise Refused(f"holds an array of type '{code}' instead of numbers")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, byte_order, *_ = state
        self.value = self.value.newbyteorder(byte_order)


class _Array:
    """Stands in for ``numpy.ndarray``, which trusts the state that it is given."""

    value = None

    def __init__(self, *_: Any) -> None:
        """Whatever the file asks for: all of it comes again with the state."""

    def __setstate__(self, state: tuple[int, Sequence[Any], _DataType, bool, bytes | str]) -> None:
        _, shape, kind, fortran, data = state
        self._set(data, kind, shape, "F" if fortran else "C")

    def _set(self, data: bytes | str, kind: _DataType, shape: Sequence[Any], order: str) -> None:
        if isinstance(data, str):  # bytes, before Python 3
            data = data.encode("latin1")
        self.value = np.frombuffer(data, kind.value).reshape(shape, order=order)


class _Scalar(_Array):
    """Stands in for ``numpy.core.multiarray.scalar``: one number."""

    def __init__(self, kind: _DataType, data: bytes) -> None:
        self._set(data, kind, (), "C")


class _Buffer(_Array):
    """Stands in for ``numpy.core.numeric._frombuffer``, of protocol 5."""

    def __init__(
        self, data: bytes, kind: _DataType, shape: tuple[int, int, int, int], order: str
    ) -> None:
        self._set(data, kind, shape, order)


class _Encoded:
    """Stands in for ``_codecs.encode``, by which Python 3 writes bytes for 2."""

    def __new__(cls, text: str, encoding: str = "utf-8") -> bytes:
        if encoding != "latin1":
            raise Refused(f"holds text in '{encoding}' instead of bytes in 'latin1'")
        return text.encode(encoding)

    def __setstate__(self, state) -> None:
        raise Refused("changes what it was given to read it with")


class _Ordered:
    """Stands in for ``collections.OrderedDict``: dictionaries keep their order."""

    def __new__(cls, items: Sequence[Any] = ()) -> dict[Any, Any]:
        items = [tuple(item) for item in items]
        _check_keys(key for key, _ in items)
        return dict(items)

    def __setstate__(self, state) -> None:
        raise Refused("changes what it was given to read it with")


#: Names by which Python 2 and 3 write arrays.
ARRAYS = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _DataType,
    ("_codecs", "encode"): _Encoded,
}
#: And further numbers and containers, by any version of NumPy.
ALL = {
    **ARRAYS,
    ("collections", "OrderedDict"): _Ordered,
    **{
        (f"numpy.{core}.{module}", name): stand_in
        for core in ("core", "_core")
        for module, name, stand_in in (
            ("multiarray", "_reconstruct", _Array),
            ("multiarray", "scalar", _Scalar),
            ("numeric", "_frombuffer", _Buffer),
        )
    },
}


def _check_keys(keys: Sequence[str]) -> None:
    """Keys of a dictionary: plain values, since others can nest without end."""
    for key in keys:
        if not isinstance(key, (str, bytes, int, float, type(None))):
            raise Refused("holds a dictionary with keys that are neither texts nor numbers")


# --- Reading ----------------------------------------------------------------------


class _Steps(dict):
    """The known steps of a pickle, each counted."""

    left = _MOST_STEPS

    def __getitem__(self, code: int) -> Callable[..., Any]:
        self.left -= 1
        if self.left < 0:
            raise Refused(
                f"takes more than {_MOST_STEPS} steps to read, which no file of arrays does"
            )
        return super().__getitem__(code)

    def __missing__(self, code) -> None:
        if code not in pickle._Unpickler.dispatch:
            raise pickle.UnpicklingError("not a pickle")
        raise Refused(
            f"holds something (opcode {bytes([code])!r}) that is neither array, "
            "list, tuple, dictionary, text nor number"
        )


_UNKNOWN = (
    pickle.PERSID,
    pickle.BINPERSID,
    pickle.EXT1,
    pickle.EXT2,
    pickle.EXT4,
    pickle.OBJ,
    pickle.NEWOBJ_EX,
    pickle.EMPTY_SET,
    pickle.ADDITEMS,
    pickle.FROZENSET,
    pickle.NEXT_BUFFER,
    pickle.READONLY_BUFFER,
)


class _Stream:
    """A file of which no more is asked for than it holds."""

    def __init__(self, stream: BinaryIO) -> None:
        here = stream.tell()
        self.readline, self._stream = stream.readline, stream
        self.length = stream.seek(0, 2) - here
        stream.seek(here)

    def read(self, size: int) -> bytes:
        # Python sets the memory aside before it reads.
        return self._stream.read(min(size, self.length))


class Unpickler(pickle._Unpickler):
    """Knows lists, tuples, dictionaries, plain values and arrays of numbers.

    Parameters
    ----------
    stream : binary file
        Of known length, such as an open file.
    names : dict
        :data:`ARRAYS` or :data:`ALL`.
    """

    # Python's own reading: in C, one step can take any memory.

    def __init__(self, stream: BinaryIO, names: Mapping[tuple[str, str], type] = ARRAYS) -> None:
        stream = _Stream(stream)
        super().__init__(stream, encoding="latin1")
        self._names = names
        self._left = 2 * stream.length + _SLACK
        self.dispatch = _Steps(
            (code, step)
            for code, step in type(self).dispatch.items()
            if bytes([code]) not in _UNKNOWN
        )

    def find_class(self, module: str, name: str) -> type:
        if (module, name) not in self._names:
            raise Refused(
                f"asks for '{module}.{name}', which arrays do not need and which "
                "may run code; nothing was loaded"
            )
        return self._names[module, name]

    def _spend(self, value: _Array | _DataType | bytes) -> None:
        """Count the memory of what a step made out of what was there."""
        if isinstance(value, _Array):
            value = value.value
        self._left -= (
            value.nbytes
            if isinstance(value, np.ndarray)
            else (
                len(value) * (1 if isinstance(value, bytes) else 64)
                if isinstance(value, (bytes, dict))
                else 64
            )
        )
        if self._left < 0:
            raise Refused("asks for more memory than a file of its size can need")

    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)

    def load_reduce(self) -> None:
        super().load_reduce()
        self._spend(self.stack[-1])

    dispatch[pickle.REDUCE[0]] = load_reduce

    def load_newobj(self) -> None:
        super().load_newobj()
        self._spend(self.stack[-1])

    dispatch[pickle.NEWOBJ[0]] = load_newobj

    def load_inst(self) -> None:
        super().load_inst()
        self._spend(self.stack[-1])

    dispatch[pickle.INST[0]] = load_inst

    def load_build(self) -> None:
        if not isinstance(self.stack[-2], (_Array, _DataType)):
            raise Refused("changes what is neither an array nor its type")
        super().load_build()
        self._spend(self.stack[-1])

    dispatch[pickle.BUILD[0]] = load_build

    def load_setitem(self) -> None:
        _check_keys(self.stack[-2:-1])
        super().load_setitem()

    dispatch[pickle.SETITEM[0]] = load_setitem

    def load_setitems(self) -> None:
        _check_keys(self.stack[::2])
        super().load_setitems()

    dispatch[pickle.SETITEMS[0]] = load_setitems

    def load_dict(self) -> None:
        _check_keys(self.stack[::2])
        super().load_dict()

    dispatch[pickle.DICT[0]] = load_dict

    def load_bytearray8(self) -> None:
        """Read it, rather than set so much memory aside as it says."""
        self.append(self.read(int.from_bytes(self.read(8), "little")))

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8


def _plain(value: Any, seen: dict[int, Any], depth: int = 0) -> Any:
    """An unpickled value with arrays in the place of their stand-ins."""
    if depth > _DEEPEST:
        raise Refused(f"holds containers in containers, more than {_DEEPEST} deep")
    if isinstance(value, (_DataType, type)) or (isinstance(value, _Array) and value.value is None):
        raise Refused("holds an array or a type without values")
    if isinstance(value, _Array):
        return value.value
    if id(value) in seen:
        return seen[id(value)]
    if isinstance(value, list):
        plain = seen[id(value)] = []
        plain += [_plain(each, seen, depth + 1) for each in value]
    elif isinstance(value, dict):
        plain = seen[id(value)] = {}
        plain.update((key, _plain(each, seen, depth + 1)) for key, each in value.items())
    elif isinstance(value, tuple):
        plain = seen[id(value)] = tuple(_plain(each, seen, depth + 1) for each in value)
    else:
        plain = value
    return plain


def load(
    path: Path,
) -> (
    Sequence[dict[str, np.ndarray] | np.ndarray] | dict[str, float | np.ndarray | list[np.ndarray]]
):
    """What a pickle of numbers holds, by Python 2 or 3, of any protocol.

    Parameters
    ----------
    path : path

    Returns
    -------
    lists, tuples, dicts, str, bytes, numbers and arrays
        Arrays are read-only and of the file's own types and byte order; texts of
        Python 2 are decoded as Latin-1.

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing or truncated file, or one that holds or asks for anything else.
    """
    with files.reading(path), open(path, "rb") as stream:
        try:
            return _plain(Unpickler(stream, ALL).load(), {})
        except Refused as error:
            raise UserError(f"{path}: {error}") from None
        except Exception as error:  # damaged bytes raise nearly anything
            if isinstance(error, OSError):
                raise
            raise UserError(
                f"{path}: truncated or not a pickle of arrays ({type(error).__name__}: {error})"
            ) from None
