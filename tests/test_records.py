"""Results that describe themselves."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import cnnviz
from cnnviz.runtime import records
from cnnviz.runtime.errors import MissingFileError, UserError
from cnnviz.runtime.records import Record, axes, made_from


@dataclass(frozen=True)
class Layer(Record):
    maxima: np.ndarray = axes("feature", "photograph")
    by_rule: dict[str, np.ndarray] = axes("feature")
    note: str | None = None


@dataclass(frozen=True)
class Whole(Record):
    command: ClassVar[str] = "cnnviz make-whole"
    names: np.ndarray = axes("photograph")
    layers: dict[str, Layer]
    marked: Layer | None
    sizes: tuple[int, ...]
    stride: int


@dataclass(frozen=True)
class Other(Record):
    command: ClassVar[str] = "cnnviz make-other"
    names: np.ndarray = axes("photograph")


def layer(features, photographs=2):
    maxima = np.arange(features * photographs, dtype=np.float32).reshape(features, photographs)
    return Layer(maxima, {"max": np.ones(features), "sum": np.zeros(features, int)})


def whole(**changed):
    fields = {
        "names": np.array(["a", "ö"]),
        "layers": {"pool1": layer(3), "pool/2": layer(5)},
        "marked": layer(1),
        "sizes": (4, 5),
        "stride": 2,
    }
    return Whole(**{**fields, **changed})


def assert_equal(found, expected):
    assert type(found) is type(expected)
    for name, value in vars(expected).items():
        other = getattr(found, name)
        if isinstance(value, Record):
            assert_equal(other, value)
        elif isinstance(value, dict):
            assert list(other) == list(value)
            for key in value:
                if isinstance(value[key], Record):
                    assert_equal(other[key], value[key])
                else:
                    np.testing.assert_array_equal(other[key], value[key])
        elif isinstance(value, np.ndarray):
            assert other.dtype == value.dtype
            np.testing.assert_array_equal(other, value)
        else:
            assert other == value
            assert type(other) is type(value)


@pytest.mark.parametrize("marked", [layer(1), None])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_record_comes_back_as_it_was(tmp_path, marked, compressed):
    path = tmp_path / "whole.npz"
    whole(marked=marked).save(path, made_from(seed=3), compressed)
    assert_equal(Whole.load(path, seed=3), whole(marked=marked))


def test_equal_records_give_equal_bytes(tmp_path):
    for name in "ab":
        whole().save(tmp_path / name, made_from(seed=3))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_file_says_what_it_was_made_from(tmp_path):
    weights = tmp_path / "weights"
    weights.write_bytes(b"w")
    path = tmp_path / "whole.npz"
    whole().save(path, made_from(weights=weights, strides=(1, np.int64(2)), occluder=None))
    assert records.read_origin(path) == {
        "version": cnnviz.__version__,
        "weights": "50e721e49c013f00c62cf59f2163542a9d8df02464efeb615d31051b0fddc326",
        "strides": [1, 2],
        "occluder": None,
    }
    content = json.loads(str(np.load(path)["record"]))["content"]
    assert content["layers"]["pool1"]["maxima"] == {"axes": ["feature", "photograph"]}
    Whole.load(path, weights=weights, strides=[1, 2], occluder=None)
    weights.write_bytes(b"others")
    with pytest.raises(UserError, match="was made with weights 50e7"):
        Whole.load(path, weights=weights)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"stride": 3}, "was made with stride 2, not 3; make it with 'cnnviz make-whole'"),
        ({"source": "idrid"}, "was made with source None, not idrid"),
    ],
)
def test_other_settings_are_one_line(tmp_path, settings, text):
    path = tmp_path / "whole.npz"
    whole().save(path, made_from(stride=2))
    with pytest.raises(UserError, match=text) as raised:
        Whole.load(path, **settings)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_another_kind_is_one_line(tmp_path):
    path = tmp_path / "whole.npz"
    whole().save(path, made_from())
    with pytest.raises(
        UserError,
        match=r"holds a record of kind Whole, not Other; make it with 'cnnviz make-other'",
    ):
        Other.load(path)


def test_files_that_are_no_records(tmp_path):
    path = tmp_path / "x.npz"
    with pytest.raises(MissingFileError, match="cnnviz make-whole"):
        Whole.load(path)
    np.savez(path, a=np.zeros(3))
    with pytest.raises(UserError, match="does not say what it holds; make it with"):
        Whole.load(path)
    for text in ("[]", "{", "3"):
        np.savez(path, record=np.array(text))
        with pytest.raises(UserError, match="does not say what it holds"):
            Whole.load(path)
    whole().save(path, made_from())
    arrays = dict(np.load(path))
    np.savez(path, **{**arrays, "record": np.array(str(arrays["record"]).replace("1", "9", 1))})
    with pytest.raises(UserError, match="format 9"):
        Whole.load(path)
    for lost in ("names", "layers/pool1/maxima", "layers/pool1/by_rule/max"):
        np.savez(path, **{name: array for name, array in arrays.items() if name != lost})
        with pytest.raises(UserError, match="does not fit Whole"):
            Whole.load(path)
    np.savez(path, **{**arrays, "names": np.array(["a", "b", "c"])})
    with pytest.raises(UserError, match=r"does not fit Whole .*axis 'photograph' has length 2"):
        Whole.load(path)


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"names": np.array(["a", "b", "c"])}, r"layers\['pool1'\].maxima: axis 'photograph'"),
        ({"names": np.array("a")}, r"names: has shape \(\), not axes \(photograph\)"),
    ],
)
def test_axes_of_one_name_have_one_length(changed, text):
    with pytest.raises(UserError, match=text):
        whole(**changed)
    with pytest.raises(UserError, match=r"by_rule\['sum'\]: axis 'feature' has length 4"):
        Layer(np.zeros((3, 2)), {"max": np.ones(3), "sum": np.ones(4)})


def test_layers_may_differ_in_features_and_a_path_must_lead_somewhere(tmp_path):
    whole()  # pool1 has three features, pool/2 five
    with pytest.raises(FileNotFoundError):
        made_from(weights=Path(tmp_path / "none"))
