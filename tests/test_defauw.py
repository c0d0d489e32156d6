"""De Fauw's network against a slow one, and the reading of his parameters."""

import os
import pickle
import re
import struct

import numpy as np
import pytest

from cnnviz.attribution.receptive_field import depth, receptive_field
from cnnviz.cli import dispatch
from cnnviz.networks import defauw, defauw_dump, layers, weights
from cnnviz.runtime import backend, files
from cnnviz.runtime.backend import lasagne, theano

L = lasagne.layers
NAMES = [f"conv{k}" for k in range(1, 14)] + ["dense1", "dense2", "grades"]


# --- Architecture -----------------------------------------------------------
@pytest.fixture(scope="module")
def whole():
    """The network at full size, with zeros, which need no orthogonalization."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lasagne.init, "Orthogonal", lambda gain: lasagne.init.Constant(0))
        return defauw.build()


def test_it_has_the_parameters_of_the_thesis(whole):
    assert L.count_params(whole) == 20_923_690


def test_with_tied_biases_it_would_have_a_fifth_fewer(whole):
    stack = L.count_params(layers.find_layer(whole, "pool5"))
    images = L.InputLayer((None, 3, 512, 512))
    tied = L.count_params(defauw.convolutional_stack(images, untie_biases=False))
    assert L.count_params(whole) - stack + tied == 16_565_578


def test_parameters_come_in_the_order_of_the_published_ones(whole):
    assert [parameter.name for parameter in L.get_all_params(whole)] == [
        f"{name}.{kind}" for name in NAMES for kind in "Wb"
    ]


def test_shapes_from_512_pixels_to_five_grades(whole):
    shapes = {layer.name: layer.output_shape for layer in L.get_all_layers(whole)}
    assert shapes["conv1"] == (2, 32, 256, 256)
    assert shapes["dense1_maxout"] == (2, 512)
    assert shapes["with_dimensions"] == (2, 514)
    assert shapes["patients"] == (1, 1028)
    assert shapes["dense2_maxout"] == (1, 512)
    assert shapes["output"] == (2, 5)


def test_pooling_layers_are_those_of_table_4_1(whole):
    pooling = layers.pooling_layers(whole)
    assert [layer.name for layer in pooling] == [f"pool{k}" for k in range(1, 6)]
    assert [layer.output_shape[1:] for layer in pooling] == [
        (32, 127, 127),
        (32, 63, 63),
        (64, 31, 31),
        (128, 15, 15),
        (256, 7, 7),
    ]
    assert [depth(layer) for layer in pooling] == [1, 4, 7, 12, 17]
    assert [receptive_field(layer).size for layer in pooling] == [
        (size, size) for size in (11, 35, 83, 243, 563)
    ]


def equation_2_10(sizes, strides):
    """Thesis eq. 2.10 as printed, of the last of these layers."""
    return sum(size * np.prod(strides[:i], dtype=int) for i, size in enumerate(sizes)) - sum(
        strides[:-1]
    )


def test_equation_2_10_is_not_what_table_4_1_was_computed_by(whole):
    sizes, strides, found = [], [], []
    for layer in L.get_all_layers(layers.find_layer(whole, "pool5"))[1:]:
        pooling = isinstance(layer, L.MaxPool2DLayer)
        sizes.append((layer.pool_size if pooling else layer.filter_size)[0])
        strides.append(layer.stride[0])
        if pooling:
            found.append(equation_2_10(sizes, strides))
    assert found == [11, 43, 111, 345, 819]  # true: 11, 35, 83, 243, 563


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(batch_size=3), "even"),
        (dict(batch_size=0), "even"),
        (dict(size=124), "at least 125"),
        (dict(reduction=0), "must divide 32"),
        (dict(reduction=3), "must divide 32"),
        (dict(reduction=64), "must divide 32"),
    ],
)
def test_what_it_cannot_be_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        defauw.build(**arguments)


# --- Random twin ------------------------------------------------------------
def small(seed=0, **arguments):
    """A sixteenth of the filters and units, on the smallest images."""
    return defauw.build(seed=seed, size=125, reduction=16, **arguments)


def test_the_seed_decides_the_random_twin():
    same, again, other = map(L.get_all_param_values, (small(4), small(4), small(5)))
    for left, right in zip(same, again):
        np.testing.assert_array_equal(left, right)
    for left, right in zip(same[::2], other[::2]):
        assert not np.array_equal(left, right)


def test_the_random_twin_is_orthogonal_with_biases_of_a_tenth():
    values = L.get_all_param_values(defauw.build(seed=4, size=125, reduction=4))
    for W, b in zip(values[::2], values[1::2]):
        rows = W.reshape(len(W), -1)
        rows = rows if len(rows) <= rows.shape[1] else rows.T
        np.testing.assert_allclose(rows @ rows.T, np.eye(len(rows)), atol=1e-5)
        assert np.all(b == np.float32(0.1))


# --- Forward pass -----------------------------------------------------------
def slow_convolution(images, W, b, stride):
    """Cross-correlation with zeros around and a bias for every neuron."""
    half = W.shape[2] // 2
    padded = np.pad(images, ((0, 0), (0, 0), (half, half), (half, half)))
    out = np.empty((len(images), *b.shape))
    for f in range(b.shape[0]):
        for i in range(b.shape[1]):
            for j in range(b.shape[2]):
                window = padded[
                    :, :, i * stride : i * stride + W.shape[2], j * stride : j * stride + W.shape[3]
                ]
                out[:, f, i, j] = (window * W[f]).sum(axis=(1, 2, 3)) + b[f, i, j]
    return out


def slow_rectifier(x):
    return np.where(x > 0, x, 0.5 * x)


def slow_pooling(x):
    """Maxima over 3x3 windows at every second pixel, as long as they fit."""
    starts = [range(0, extent - 2, 2) for extent in x.shape[2:]]
    out = np.empty((*x.shape[:2], *map(len, starts)))
    for i, row in enumerate(starts[0]):
        for j, column in enumerate(starts[1]):
            out[:, :, i, j] = x[:, :, row : row + 3, column : column + 3].max(axis=(2, 3))
    return out


def slow_maxout(x, W, b):
    x = x @ W + b
    return np.maximum(x[:, 0::2], x[:, 1::2])


def slow_network(values, images, dimensions):
    """Posteriors (eyes, 5), and the last pooling layer's feature maps."""
    values, x = iter(values), images
    for block, convolutions in enumerate([1, 2, 2, 4, 4]):
        for _ in range(convolutions):
            stride = 2 if block == 0 else 1
            x = slow_rectifier(slow_convolution(x, next(values), next(values), stride))
        x = slow_pooling(x)
    pooled = x
    x = slow_maxout(x.reshape(len(x), -1), next(values), next(values))
    x = np.hstack([x, dimensions])
    x = np.hstack([x[0::2], x[1::2]])  # left eyes beside right eyes
    x = slow_maxout(x, next(values), next(values))
    scores = x @ next(values) + next(values)
    # Grades of a patient's left eye, then of the right one.
    scores = np.exp([half for patient in scores for half in (patient[:5], patient[5:])])
    return scores / scores.sum(axis=1, keepdims=True), pooled


def compiled(network):
    """Function from images and dimensions to posteriors and the last pooling."""
    inputs = [layers.find_layer(network, name).input_var for name in ("images", "dimensions")]
    return backend.function(
        inputs, L.get_output([network, layers.find_layer(network, "pool5")], deterministic=True)
    )


def randomize(network, rng):
    """Weights that keep activations near 1, and biases all different."""
    for parameter in L.get_all_params(network):
        shape = parameter.get_value().shape
        fan_in = {1: 4, 2: shape[0], 3: 4}.get(len(shape), np.prod(shape[1:]))
        parameter.set_value((rng.randn(*shape) / np.sqrt(fan_in)).astype(parameter.dtype))


@pytest.fixture(scope="module")
def double():
    """A small network in double precision, its function and two patients.

    The first pooling drops a row and a column, as it does for 512 pixels; the
    last leaves 2x2 neurons, whose order therefore matters.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(theano.config, "floatX", "float64")
        rng = np.random.RandomState(2)
        network = defauw.build(4, size=192, reduction=8)
        randomize(network, rng)
        return (
            L.get_all_param_values(network),
            compiled(network),
            [rng.randn(4, 3, 192, 192), rng.rand(4, 2)],
        )


def test_forward_pass_equals_a_slow_one(double):
    values, compute, batch = double
    posteriors, pooled = compute(*batch)
    expected, expected_pooled = slow_network(values, *batch)
    assert pooled.shape == (4, 32, 2, 2)
    np.testing.assert_allclose(pooled, expected_pooled, rtol=1e-10)
    np.testing.assert_allclose(posteriors, expected, rtol=1e-10)
    # Else the softmax would hide differences.
    assert expected.max() < 0.99


@pytest.mark.parametrize("which", [0, 1], ids=["images", "dimensions"])
def test_an_eye_changes_what_is_said_of_the_other_eye_alone(double, which):
    _, compute, batch = double
    changed = [part.copy() for part in batch]
    changed[which][1] += 1  # the first patient's right eye
    before, after = compute(*batch)[0], compute(*changed)[0]
    assert np.abs(after[:2] - before[:2]).max(axis=1).min() > 1e-5
    np.testing.assert_array_equal(after[2:], before[2:])


# --- Published parameters ---------------------------------------------------
def python_2_pickle(arrays):
    """What Python 2 writes, opcode by opcode: arrays' bytes are plain strings."""

    def text(data):
        return b"T" + struct.pack("<i", len(data)) + data

    def integer(value):
        return b"J" + struct.pack("<i", value)

    out = b"\x80\x02]("
    for array in arrays:
        code = text(array.dtype.str[1:].encode())
        out += (
            b"cnumpy.core.multiarray\n_reconstruct\n"
            b"cnumpy\nndarray\n" + integer(0) + b"\x85" + text(b"b") + b"\x87R"
            b"(" + integer(1) + b"(" + b"".join(map(integer, array.shape)) + b"t"
            b"cnumpy\ndtype\n" + code + integer(0) + integer(1) + b"\x87R"
            b"("
            + integer(3)
            + text(b"<")
            + b"NNN"
            + integer(-1) * 2
            + integer(0)
            + b"tb\x89"
            + text(array.tobytes())
            + b"tb"
        )
    return out + b"e."


def python_3_pickle(arrays):
    """Protocol 2 by Python 3, where bytes pass through ``_codecs.encode``."""
    content = pickle.dumps(arrays, protocol=2)
    assert b"_codecs" in content
    return content


@pytest.fixture
def dump(tmp_path):
    """Writes bytes to a file; returns it with its hash."""

    def write(content):
        path = tmp_path / "PARAMSDUMP.pkl"
        path.write_bytes(content)
        return path, defauw_dump.git_blob_sha1(path)

    return write


@pytest.fixture
def network():
    return small(1)


@pytest.fixture
def arrays(network, rng):
    """Random parameters that fit the network."""
    return [
        rng.randn(*parameter.get_value().shape).astype(np.float32) / 10
        for parameter in L.get_all_params(network)
    ]


@pytest.mark.parametrize(
    "content, expected",
    [
        (b"", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"),
        (b"hello\n", "ce013625030ba8dba906f756967f9e9ca394464a"),
    ],
)
def test_the_hash_is_that_of_git(dump, content, expected):
    assert dump(content)[1] == expected


@pytest.mark.parametrize("write", [python_2_pickle, python_3_pickle])
@pytest.mark.parametrize("dtype", ["<f4", "<f8"])
def test_arrays_are_read_bit_by_bit(dump, arrays, write, dtype):
    expected = [array.astype(dtype) for array in arrays]
    found = defauw_dump.read(*dump(write(expected)))
    for left, right in zip(found, expected, strict=True):
        assert left.dtype == dtype
        np.testing.assert_array_equal(left, right)


def test_array_layouts_that_numpy_writes_are_read(dump, rng):
    expected = (
        np.asfortranarray(rng.randn(3, 4)),
        rng.randn(2, 5).astype(">f4"),
        rng.randn(4, 4)[::2, 1:],
    )
    for left, right in zip(
        defauw_dump.read(*dump(python_3_pickle(expected))), expected, strict=True
    ):
        np.testing.assert_array_equal(left, right)


def test_converted_parameters_give_the_same_outputs(dump, arrays, network, rng, tmp_path):
    compute = compiled(network)
    batch = [rng.randn(2, 3, 125, 125).astype(np.float32), rng.rand(2, 2).astype(np.float32)]
    L.set_all_param_values(network, arrays)
    expected = compute(*batch)[0]
    path, blob = dump(python_2_pickle(arrays))
    defauw_dump.convert(path, tmp_path / "defauw.npz", small(2), blob)
    randomize(network, rng)
    assert not np.array_equal(compute(*batch)[0], expected)
    metadata = weights.load(tmp_path / "defauw.npz", network, expected={"network": "defauw"})
    assert metadata == {"network": "defauw", "source": defauw_dump.SOURCE, "git_blob": blob}
    np.testing.assert_array_equal(compute(*batch)[0], expected)


def test_double_precision_is_rounded_to_the_network_s(dump, arrays, network):
    path, blob = dump(python_2_pickle([array.astype("f8") for array in arrays]))
    defauw_dump.load(path, network, blob)
    for found, expected in zip(L.get_all_param_values(network), arrays):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected)


def test_the_published_hash_is_asked_for_and_looked_at_first(dump, arrays, monkeypatch):
    monkeypatch.setattr(defauw_dump, "_Unpickler", lambda *_, **__: pytest.fail("unpickled"))
    path, blob = dump(python_2_pickle(arrays))
    with pytest.raises(
        ValueError,
        match=(
            f"PARAMSDUMP.pkl: git blob hash {blob} instead of "
            "919bd6cc47b3c46c35d63a3732f207ef3916b6ce.*about 84 MB.*77c5781/dumps/"
        ),
    ):
        defauw_dump.read(path)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
        (b"\n<!DOCTYPE html>\n<html>", "web page; save the file itself"),
        (b"\x80\x02]", "truncated or altered"),
    ],
)
def test_what_came_instead_of_the_file_is_named(dump, content, message):
    with pytest.raises(ValueError, match=f"instead of 919bd6cc.*{message}"):
        defauw_dump.read(dump(content)[0])


def test_the_full_dump_is_told_apart(dump, monkeypatch):
    path, blob = dump(b"\x80\x02}.")
    monkeypatch.setattr(defauw_dump, "_FULL_DUMP_BLOB", blob)
    with pytest.raises(ValueError, match="the full dump.*ends in _PARAMSDUMP.pkl"):
        defauw_dump.read(path)


def test_a_missing_file_says_where_it_comes_from(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.pkl: no such file; download"):
        defauw_dump.read(tmp_path / "none.pkl")


class Command:
    """Runs a shell command when it is unpickled in the usual way."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("place", ["alone", "among arrays", "in an array"])
def test_a_hostile_file_runs_nothing(dump, tmp_path, place):
    marker = tmp_path / "marker"
    command = Command(f"touch {marker}")
    value = {
        "alone": command,
        "among arrays": [np.zeros(3), command],
        "in an array": [np.array([command], object)],
    }[place]
    content = pickle.dumps(value, protocol=2)
    message = "type 'O8'" if place == "in an array" else "asks for 'posix.system'"
    with pytest.raises(ValueError, match=f"PARAMSDUMP.pkl: .*{message}"):
        defauw_dump.read(*dump(content))
    assert not marker.exists()
    pickle.loads(content)
    assert marker.exists()  # so the command would have run


@pytest.mark.parametrize(
    "name",
    [
        "builtins eval",
        "__builtin__ eval",
        "os system",
        "numpy load",
        "numpy core.multiarray",
        "numpy.core.multiarray scalar",
        "numpy.testing._private.utils runstring",
        "_codecs decode",
        "copyreg _reconstructor",
        "functools partial",
    ],
)
@pytest.mark.parametrize("opcode", ["GLOBAL", "STACK_GLOBAL", "INST"])
def test_every_other_name_is_refused(dump, name, opcode):
    module, attribute = (part.encode() for part in name.split())
    content = {
        "GLOBAL": b"\x80\x02c%s\n%s\n.",
        "STACK_GLOBAL": b"\x80\x04\x8c"
        + bytes([len(module)])
        + b"%s\x8c"
        + bytes([len(attribute)])
        + b"%s\x93.",
        "INST": b"(i%s\n%s\n.",
    }[opcode] % (module, attribute)
    with pytest.raises(ValueError, match=re.escape(f"asks for '{name.replace(' ', '.')}'")):
        defauw_dump.read(*dump(content))


@pytest.mark.parametrize(
    "array",
    [
        np.array([None, "a"], object),
        np.zeros(3, [("a", "f4")]),
        np.zeros(3, np.int64),
        np.array(["text"]),
        np.zeros(3, np.float16),
    ],
    ids=str,
)
def test_arrays_of_anything_but_floats_are_refused(dump, array):
    with pytest.raises(ValueError, match="holds an array of type"):
        defauw_dump.read(*dump(pickle.dumps([array], protocol=2)))


@pytest.mark.parametrize(
    "value, message",
    [
        ({"l_out": 1}, "object of type dict instead of a list"),
        (3, "of type int instead"),
        ([np.zeros(2), 5], "item 1 of the list is not an array"),
        ([[np.zeros(2)]], "item 0 of the list is not an array"),
        ([np.dtype("f4")], "item 0 of the list is not an array"),
    ],
)
def test_anything_but_a_list_of_arrays_is_refused(dump, value, message):
    with pytest.raises(ValueError, match=message):
        defauw_dump.read(*dump(pickle.dumps(value, protocol=2)))


@pytest.mark.parametrize(
    "content",
    [b"](cnumpy\nndarray\n)Re.", b"](cnumpy\nndarray\n)\x81e.", b"](cnumpy\nndarray\ne."],
    ids=["called", "made", "named"],
)
def test_an_array_without_values_is_refused(dump, content):
    with pytest.raises(ValueError, match="item 0 of the list is not an array"):
        defauw_dump.read(*dump(b"\x80\x02" + content))


def test_text_in_other_encodings_is_refused(dump):
    content = python_3_pickle([np.arange(3.0)]).replace(b"latin1", b"utf-16")
    with pytest.raises(ValueError, match="text in 'utf-16'"):
        defauw_dump.read(*dump(content))


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.999])
def test_truncated_files_are_refused_even_with_their_own_hash(dump, arrays, share):
    content = python_2_pickle(arrays)
    with pytest.raises(ValueError, match="truncated or not a pickle of arrays.*download"):
        defauw_dump.read(*dump(content[: int(share * len(content))]))


def test_arrays_with_too_few_bytes_are_refused(dump):
    content = python_2_pickle([np.zeros((2, 3), np.float32)])
    shape = struct.pack("<iBi", 2, ord("J"), 3)
    assert shape in content
    with pytest.raises(ValueError, match="truncated or not.*reshape"):
        defauw_dump.read(*dump(content.replace(shape, struct.pack("<iBi", 9, ord("J"), 3))))


def with_value(value):
    def change(arrays):
        arrays[3].flat[7] = value

    return change


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda arrays: arrays.pop(), "holds 31 arrays, and the network has 32"),
        (lambda arrays: arrays.append(arrays[0]), "holds 33 arrays"),
        (
            lambda arrays: arrays.insert(4, arrays.pop(2)),
            r"array 2, for parameter conv2.W, has shape \(2, 31, 31\) instead of \(2, 2, 3, 3\)",
        ),
        (with_value(np.nan), "array 3, for parameter conv2.b, holds values that are not"),
        (with_value(-np.inf), "array 3, for parameter conv2.b, holds values that are not"),
        (with_value(1e300), "array 3, for parameter conv2.b, holds values that are not"),
    ],
)
def test_the_first_misfit_is_named_and_nothing_is_loaded(
    dump, arrays, network, change, message, tmp_path
):
    arrays = [array.astype("f8") for array in arrays]
    change(arrays)
    before = [value.copy() for value in L.get_all_param_values(network)]
    path, blob = dump(python_2_pickle(arrays))
    with pytest.raises(ValueError, match=f"PARAMSDUMP.pkl: .*{message}"):
        defauw_dump.convert(path, tmp_path / "defauw.npz", network, blob)
    assert not (tmp_path / "defauw.npz").exists()
    for left, right in zip(L.get_all_param_values(network), before):
        np.testing.assert_array_equal(left, right)


# --- Command ----------------------------------------------------------------
def test_the_command_converts(dump, arrays, monkeypatch, tmp_path, capsys):
    path, blob = dump(python_2_pickle(arrays))
    monkeypatch.setattr(defauw_dump.convert, "__defaults__", (None, blob))
    network = small()
    monkeypatch.setattr(defauw, "build", lambda: network)
    output = tmp_path / "out" / "defauw.npz"
    assert dispatch.main(["convert-defauw", "--dump", str(path), "--output", str(output)]) == 0
    assert f" parameters in {output}" in capsys.readouterr().out
    np.testing.assert_array_equal(files.load_arrays(output)["grades.W"], arrays[-2])


def test_the_command_refuses_another_file_in_one_line(dump, tmp_path, capsys):
    path, _ = dump(b"another")
    output = tmp_path / "defauw.npz"
    assert dispatch.main(["convert-defauw", "--dump", str(path), "--output", str(output)]) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith(f"cnnviz convert-defauw: {path}: git blob hash")
    assert "\n" not in error and not output.exists()
