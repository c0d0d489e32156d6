"""Pickles of numbers: what Python 2 and 3 write is read, and nothing else ever runs."""

import collections
import os
import pickle
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from cnnviz.networks import safe_pickle
from cnnviz.runtime import errors


def read(tmp_path, content):
    path = tmp_path / "x.pkl"
    path.write_bytes(content)
    return safe_pickle.load(path)


# --- What is read -----------------------------------------------------------------

NUMBERS = st.one_of(
    arrays_of.integer_dtypes(endianness="?"),
    arrays_of.unsigned_integer_dtypes(endianness="?"),
    arrays_of.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
    arrays_of.boolean_dtypes(),
)
ARRAYS = NUMBERS.flatmap(
    lambda dtype: arrays_of.arrays(
        dtype, arrays_of.array_shapes(min_dims=0, max_dims=4, max_side=3)
    )
)


@settings(max_examples=60, deadline=None)
@given(ARRAYS, st.integers(0, 5), st.sampled_from("CF"))
def test_arrays_of_numbers_come_back(tmp_path_factory, array, protocol, order):
    array = np.asarray(array, order=order)
    found = read(tmp_path_factory.mktemp("x"), pickle.dumps([array, {"x": array}], protocol))
    for each in (found[0], found[1]["x"]):
        assert each.dtype == array.dtype and not each.flags.writeable
        np.testing.assert_array_equal(each, array)


@pytest.mark.parametrize("protocol", range(6))
def test_containers_and_plain_values_come_back(tmp_path, protocol):
    value = {
        "values": [np.arange(3.0), np.float32(2)],
        "synset words": ["tench", "Ångström"],
        "n": (1, 2.5, None, True, 10**30, b"\xff"),
        5: {},
        "empty": [(), []],
    }
    found = read(tmp_path, pickle.dumps(value, protocol))
    np.testing.assert_array_equal(found["values"][0], np.arange(3.0))
    assert found["values"][1] == 2 and found["values"][1].shape == ()
    assert {**found, "values": 0} == {**value, "values": 0}


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_ordered_dictionaries_are_dictionaries(tmp_path, protocol):
    value = collections.OrderedDict([("b", np.ones(2)), ("a", 3)])
    assert list(read(tmp_path, pickle.dumps(value, protocol))) == ["b", "a"]


def test_python_2_s_text_protocol_is_read(tmp_path):
    """As ``pickle.dump([array], file)`` of Python 2 wrote it."""
    data = struct.pack(">3f", 1, -2, 1e-7)
    escaped = "".join(f"\\x{byte:02x}" for byte in data).encode()
    content = (
        b"(lp0\ncnumpy.core.multiarray\n_reconstruct\np1\n(cnumpy\nndarray\np2\n"
        b"(I0\ntp3\nS'b'\np4\ntp5\nRp6\n(I1\n(I3\ntp7\ncnumpy\ndtype\np8\n(S'f4'\np9\n"
        b"I0\nI1\ntp10\nRp11\n(I3\nS'>'\np12\nNNNI-1\nI-1\nI0\ntp13\nbI00\nS'"
        + escaped
        + b"'\np14\ntp15\nba."
    )
    (found,) = read(tmp_path, content)
    np.testing.assert_array_equal(found, np.array([1, -2, 1e-7], np.float32))


def test_names_of_numpy_2_are_known(tmp_path):
    content = pickle.dumps([np.arange(4.0)], 2).replace(b"numpy.core.", b"numpy._core.")
    np.testing.assert_array_equal(read(tmp_path, content)[0], np.arange(4.0))


def test_what_is_shared_stays_shared_and_circles_end(tmp_path):
    array, circle = np.ones(3), []
    circle.append(circle)
    first, second, around = read(tmp_path, pickle.dumps([array, array, circle]))
    assert first is second and around[0] is around


# --- What is refused --------------------------------------------------------------


class Runs:
    """Creates a file when it is unpickled in the usual way."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "place",
    [
        lambda it: it,
        lambda it: [np.ones(2), it],
        lambda it: {"values": [it]},
        lambda it: np.array([it], object),
        lambda it: collections.OrderedDict(x=it),
    ],
)
def test_nothing_runs(tmp_path, protocol, place):
    marker = tmp_path / "marker"
    content = pickle.dumps(place(Runs(marker)), protocol)
    with pytest.raises(
        errors.UserError, match="x.pkl: (asks for 'posix.mkdir'|holds an array of type 'O8')"
    ):
        read(tmp_path, content)
    assert not marker.exists()
    pickle.loads(content)
    assert marker.exists()  # so it would have run


@pytest.mark.parametrize(
    "value, message",
    [
        (np.array(["a"]), "array of type 'U1'"),
        (np.array([b"a"]), "array of type 'S1'"),
        (np.zeros(2, complex), "array of type 'c16'"),
        (np.zeros(2, [("a", "f4")]), "array of type 'V4'"),
        (np.zeros(2, "M8[s]"), "array of type 'M8'"),
        ({1, 2}, "asks for|neither array"),
        (frozenset([1]), "asks for|neither array"),
        (slice(3), "asks for '[a-z_]*.slice'"),
        (collections.Counter("a"), "asks for 'collections.Counter'"),
        (np.dtype("f4"), "a type without values"),
        ({(1, 2): 3}, "keys that are neither"),
        (np.ma.ones(2), "asks for 'numpy.ma"),
        (errors.UserError("x"), "asks for 'cnnviz"),
    ],
)
@pytest.mark.parametrize("protocol", [2, 4])
def test_other_objects_are_refused_by_name(tmp_path, value, message, protocol):
    with pytest.raises(errors.UserError, match=message) as error:
        read(tmp_path, pickle.dumps([value], protocol))
    assert str(error.value).startswith(str(tmp_path / "x.pkl"))


ENCODE = b"c_codecs\nencode\n"
TYPE = b"cnumpy\ndtype\n(S'f4'\nI0\nI1\ntR"
ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"


@pytest.mark.parametrize(
    "content",
    [
        # Steps that put something into what they were given to read with.
        ENCODE + b"(dS'x'\nI1\nsb.",
        ENCODE + b"(N(dS'__new__'\nI1\nstb.",
        b"ccollections\nOrderedDict\n(dS'x'\nI1\nsb.",
        b"cnumpy\nndarray\n(dS'x'\nI1\nsb.",
        b"(dp0\n(dS'x'\nI1\nsb.",
        ENCODE + b"S'x'\nI1\ns.",
        ENCODE + b"I1\na.",
        # Not what they say.
        TYPE + b"I1\nb.",
        ARRAY + b"(I1\n(I9\nt" + TYPE + b"I00\nS'abcd'\ntb.",
        ARRAY + b"(I1\n(I1\nt" + TYPE + b"I00\nI5\ntb.",
        ARRAY + b".",
        b"cnumpy\nndarray\n.",
        # Other steps altogether.
        b"Pid\n.",
        b"\x80\x02\x82\x01.",
        b"\x80\x04\x8f.",
        b"\x80\x05\x97.",
        b"\x80\x02]\x85Q.",
        b"h\x05.",
        b"",
        b"\x80",
        b"no pickle",
    ],
)
def test_crafted_files_are_one_line_and_change_nothing(tmp_path, content):
    with pytest.raises(errors.UserError, match="^[^\n]*x.pkl: [^\n]*$"):
        read(tmp_path, content)
    array = np.arange(3.0)
    np.testing.assert_array_equal(read(tmp_path, pickle.dumps([array], 2))[0], array)


def repeated(text, step, count=100_000):
    """A text of a megabyte, and a step for each of many uses of it."""
    return (
        b"\x80\x02(" + b"X" + struct.pack("<i", len(text)) + text + b"q\x00" + count * step + b"l."
    )


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02]r\xff\xff\xff\x7f",  # a huge table of values
        b"\x80\x05\x96" + struct.pack("<q", 1 << 40) + b".",  # a huge array of bytes
        b"\x80\x04\x8e" + struct.pack("<q", 1 << 40) + b".",  # a huge text
        b"\x80\x04\x95" + struct.pack("<q", 1 << 40) + b".",  # a huge frame
        repeated(1_000_000 * b"a", b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R"),
        repeated(1_000_000 * b"a", b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86\x81"),
        b"\x80\x02" + 20_000_000 * b"(",
        b"\x80\x02(" + 20_000_000 * b"]" + b"l.",
        b"\x80\x02)" + 900_000 * b"\x85" + b".",
    ],
    ids=["memo", "bytes", "text", "frame", "calls", "made", "marks", "lists", "deep"],
)
def test_small_files_take_little_memory(tmp_path, content):
    """A gigabyte of address space, in a process of its own, and no crash."""
    path = tmp_path / "x.pkl"
    path.write_bytes(content)
    code = (
        "import resource, sys\nfrom cnnviz.networks import safe_pickle\n"
        "resource.setrlimit(resource.RLIMIT_AS, 2 * (1 << 30,))\n"
        "try: safe_pickle.load(sys.argv[1])\n"
        "except ValueError as error: print('refused', error)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        text=True,
        capture_output=True,
        env=dict(os.environ),
    )
    assert found.returncode == 0, found.stderr
    assert "MemoryError" not in found.stdout
    assert found.stdout.startswith("refused")


def test_a_key_that_nests_without_end_is_refused(tmp_path):
    """Its hash would end the process."""
    content = b"\x80\x02})" + 900_000 * b"\x85" + b"Ns."
    with pytest.raises(errors.UserError, match="keys that are neither"):
        read(tmp_path, content)
