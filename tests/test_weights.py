"""Weight files: round trip, and refusal of everything that does not fit."""

import numpy as np
import pytest

from cnnviz.networks import die, weights
from cnnviz.runtime import files, paths
from cnnviz.runtime.backend import lasagne


@pytest.fixture
def saved(tmp_path):
    """Folder with one weight file and its manifest."""
    path = paths.weight_file(tmp_path, "random", "c2", 0)
    weights.save(path, die.build("c2", seed=7), {"network": "c2", "split": "random", "fold": 0})
    row = dict.fromkeys(weights.MANIFEST_COLUMNS, "")
    row.update(file="random/c2_fold0.npz", sha256=files.sha256(path))
    weights.write_manifest(tmp_path, [row])
    return tmp_path


def path_of(folder):
    return paths.weight_file(folder, "random", "c2", 0)


def values(network):
    return lasagne.layers.get_all_param_values(network)


def test_round_trip(saved):
    network = die.build("c2", seed=1)
    metadata = weights.load_fold(saved, "random", "c2", 0, network)
    assert metadata == {"network": "c2", "split": "random", "fold": 0}
    for found, expected in zip(values(network), values(die.build("c2", seed=7))):
        np.testing.assert_array_equal(found, expected)


def test_equal_weights_give_equal_bytes(saved, tmp_path):
    weights.save(
        tmp_path / "again.npz",
        die.build("c2", seed=7),
        {"fold": 0, "split": "random", "network": "c2"},
    )
    assert files.sha256(tmp_path / "again.npz") == files.sha256(path_of(saved))


@pytest.mark.parametrize("damage", ["truncated", "altered"])
def test_damaged_files_are_refused_and_nothing_is_loaded(saved, damage):
    content = bytearray(path_of(saved).read_bytes())
    if damage == "truncated":
        content = content[: len(content) // 2]
    else:
        content[len(content) // 2] ^= 1
    path_of(saved).write_bytes(content)
    network = die.build("c2", seed=1)
    with pytest.raises(ValueError, match="c2_fold0.npz: SHA-256.*snakemake .*--force"):
        weights.load_fold(saved, "random", "c2", 0, network)
    for found, expected in zip(values(network), values(die.build("c2", seed=1))):
        np.testing.assert_array_equal(found, expected)


def test_truncated_files_are_refused_without_a_checksum(saved):
    path_of(saved).write_bytes(path_of(saved).read_bytes()[:300])
    with pytest.raises(ValueError, match="truncated or not an array file"):
        weights.load(path_of(saved), die.build("c2"))


def test_missing_file_names_the_remedy(tmp_path):
    with pytest.raises(FileNotFoundError, match="snakemake"):
        weights.load(tmp_path / "none.npz", die.build("c2"))


def test_weights_of_another_network_are_refused(saved):
    with pytest.raises(ValueError, match="weights of network 'c2', not of network 'c3'"):
        weights.load(path_of(saved), die.build("c3"), expected={"network": "c3"})


@pytest.mark.parametrize("split, fold", [("separated", 0), ("random", 3)])
def test_weights_of_another_fold_or_split_are_refused(saved, split, fold):
    """Its validation images may be training images of the other."""
    (saved / "manifest.csv").unlink()
    path = paths.weight_file(saved, split, "c2", fold)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(path_of(saved).read_bytes())
    with pytest.raises(ValueError, match="weights of (split 'random'|fold '0'), not"):
        weights.load_fold(saved, split, "c2", fold, die.build("c2"))


def test_shipped_weights_need_their_manifest(saved, monkeypatch):
    monkeypatch.setattr(paths, "SHIPPED_WEIGHTS", saved)
    (saved / "manifest.csv").unlink()
    with pytest.raises(FileNotFoundError, match="manifest.csv.*git checkout -- "):
        weights.load_fold(saved, "random", "c2", 0, die.build("c2"))


def test_other_parameter_names_are_refused(saved):
    with pytest.raises(ValueError, match="parameters differ.*conv3.W"):
        weights.load(path_of(saved), die.build("c3"))


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda array: array[:1], "output.b has shape"),
        (lambda array: array * np.nan, "output.b holds values that are not finite"),
    ],
)
def test_the_first_odd_parameter_is_named(saved, change, message):
    arrays = files.load_arrays(path_of(saved))
    arrays["output.b"] = change(arrays["output.b"])
    files.save_arrays(path_of(saved), **arrays)
    with pytest.raises(ValueError, match=message):
        weights.load(path_of(saved), die.build("c2"))


def test_an_array_file_without_a_description_is_refused(tmp_path):
    files.save_arrays(tmp_path / "x.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match="not a weight file of this package"):
        weights.load(tmp_path / "x.npz", die.build("c2"))


def test_a_file_that_the_manifest_lacks_is_refused(saved):
    path = paths.weight_file(saved, "random", "c2", 1)
    path.write_bytes(path_of(saved).read_bytes())
    with pytest.raises(ValueError, match="does not list random/c2_fold1.npz"):
        weights.load_fold(saved, "random", "c2", 1, die.build("c2"))


def test_layers_without_names_are_refused(tmp_path):
    network = lasagne.layers.DenseLayer(
        lasagne.layers.DenseLayer(lasagne.layers.InputLayer((None, 3)), 2), 2
    )
    with pytest.raises(ValueError, match="needs a name"):
        weights.save(tmp_path / "x.npz", network, {})
