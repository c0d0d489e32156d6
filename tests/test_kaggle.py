"""The competition's files and the store of prepared photographs.

Real photographs are not needed: JPEG files of the same form are made here.
"""

import csv
import itertools
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cnnviz.cli import dispatch
from cnnviz.datasets import field_of_view, fundus, idrid, kaggle, store
from cnnviz.experiments import fundus_evaluation, fundus_features
from cnnviz.networks import defauw, layers
from cnnviz.runtime import files
from cnnviz.runtime.backend import T, function, lasagne
from cnnviz.runtime.errors import UserError

LABELS = "image,level\n10_left,0\n10_right,1\n13_left,2\n13_right,0\n2_right,4\n2_left,3\n"
NAMES = ["2_left", "2_right", "10_left", "10_right", "13_left", "13_right"]


def picture(seed, rows=120, columns=160):
    rng = np.random.RandomState(seed)
    image = np.zeros((rows, columns, 3), np.uint8)
    image[10:-10, 20:-20] = rng.randint(60, 200, (rows - 20, columns - 40, 3))
    return image


@pytest.fixture
def folder(tmp_path):
    """Six photographs of three patients, as the competition gives them."""
    folder = tmp_path / "train"
    folder.mkdir()
    (folder / "trainLabels.csv").write_text(LABELS)
    for seed, name in enumerate(NAMES):
        Image.fromarray(picture(seed)).save(folder / f"{name}.jpeg", quality=95)
    return folder


def found(folder):
    return kaggle.records(folder, kaggle.read_labels(folder / "trainLabels.csv"))


# --- Labels -----------------------------------------------------------------


def test_labels(folder):
    assert kaggle.read_labels(folder / "trainLabels.csv") == {
        "10_left": 0,
        "10_right": 1,
        "13_left": 2,
        "13_right": 0,
        "2_right": 4,
        "2_left": 3,
    }


def test_records_go_by_number_left_before_right(folder):
    records = found(folder)
    assert [record.name for record in records] == NAMES
    assert [record.grade for record in records] == [3, 4, 0, 1, 2, 0]
    assert (records[0].patient, records[0].side) == ("2", "left")


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "the header must name image and level"),
        ("image,grade\n10_left,0\n", "the header must name"),
        ("image,level\n10_left,5\n", "level '5' is not"),
        ("image,level\n10_left,\n", "level '' is not"),
        ("image,level\n10_left\n", "level 'None' is not"),
        ("image,level\n10_left,0\n10_left,0\n", "'10_left' is there twice"),
        ("image,level\n../10_left,0\n", "'../10_left' is not a number"),
        ("image,level\n10_up,0\n", "'10_up' is not a number"),
        ("image,level\n١_left,0\n", "'١_left' is not a number"),
        ('image,level\n"10_left,0\n', "unexpected end of data"),
    ],
)
def test_mistakes_in_labels_are_named(tmp_path, text, message):
    (tmp_path / "trainLabels.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=rf"trainLabels\.csv, line \d+: {message}"):
        kaggle.read_labels(tmp_path / "trainLabels.csv")


def test_missing_and_foreign_labels(tmp_path):
    with pytest.raises(FileNotFoundError, match="prepare-photographs --help"):
        kaggle.read_labels(tmp_path / "trainLabels.csv")
    (tmp_path / "trainLabels.csv").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(ValueError, match="trainLabels.csv"):
        kaggle.read_labels(tmp_path / "trainLabels.csv")


def test_labels_are_counted():
    names = (f"{k}_{side}" for k in itertools.count(1) for side in fundus.SIDES)
    grades = {
        next(names): grade for grade, count in enumerate(kaggle.CLASS_COUNTS) for _ in range(count)
    }
    assert len(grades) == kaggle.TRAINING == 35126
    kaggle.check_labels(grades)
    grades["1_left"] = 1
    with pytest.raises(ValueError, match=r"35,126 labels with \(25809, 2444, "):
        kaggle.check_labels(grades)
    with pytest.raises(ValueError, match="0 labels"):
        kaggle.check_labels({})


def test_published_labels(mirror):
    path = mirror / "eyepacs" / "trainLabels.csv"
    assert files.sha256(path) == kaggle.LABELS_SHA256
    grades = kaggle.read_labels(path)
    kaggle.check_labels(grades)
    records = kaggle.records(mirror, grades)
    assert len({record.patient for record in records}) == 17563
    assert [record.name for record in records[:3]] == ["10_left", "10_right", "13_left"]
    assert len(kaggle.read_labels(mirror / "eyepacs" / "testLabels.csv")) == kaggle.TEST


# --- Photographs ------------------------------------------------------------


def test_a_photograph(folder):
    photograph = kaggle.load(found(folder)[1])
    assert (photograph.name, photograph.grade, photograph.patient, photograph.side) == (
        "2_right",
        4,
        "2",
        "right",
    )
    expected, dimensions, _ = fundus.prepare(fundus.read_image(folder / "2_right.jpeg"))
    np.testing.assert_array_equal(photograph.pixels, expected)
    np.testing.assert_array_equal(photograph.dimensions, dimensions)


def damage(folder):
    """Four of the six files: truncated, black, no image, absent."""
    path = folder / "2_left.jpeg"
    path.write_bytes(path.read_bytes()[: len(path.read_bytes()) // 2])
    Image.fromarray(np.zeros((120, 160, 3), np.uint8)).save(folder / "2_right.jpeg")
    (folder / "10_right.jpeg").write_text("<html>not found</html>")
    (folder / "13_left.jpeg").unlink()


REASONS = {
    "2_left": "truncated",
    "2_right": "black photograph",
    "10_right": "not a JPEG",
    "13_left": "no such file",
}


def test_streaming_leaves_out_bad_files_and_says_why(folder):
    damage(folder)
    bad = []
    stream = kaggle.stream(found(folder), bad)
    assert isinstance(stream, types.GeneratorType) and not bad
    assert [photograph.name for photograph in stream] == ["10_left", "13_right"]
    assert [name for name, _ in bad] == list(REASONS)
    for name, reason in bad:
        assert REASONS[name] in reason and name in reason


def test_streaming_holds_one_photograph(folder, monkeypatch):
    loaded = []
    monkeypatch.setattr(kaggle, "load", lambda record: loaded.append(record) or record)
    stream = kaggle.stream(found(folder), [])
    next(stream)
    assert len(loaded) == 1


# --- The store --------------------------------------------------------------


def assert_equal_photographs(first, second):
    np.testing.assert_array_equal(first.pixels, second.pixels)
    np.testing.assert_array_equal(first.dimensions, second.dimensions)
    for name in ("name", "grade", "patient", "side", "transform", "centers"):
        assert getattr(first, name) == getattr(second, name), name


def names_in(path):
    return sorted(each.name for each in path.iterdir())


def test_what_was_stored_is_read(folder, tmp_path):
    kept, bad = store.write(tmp_path / "store", found(folder), kaggle.load)
    assert (kept, bad) == (6, [])
    assert names_in(tmp_path / "store") == [store.BAD, store.PIXELS, store.RECORDS]
    prepared = store.read(tmp_path / "store")
    assert len(prepared) == 6 and prepared.pixels.shape == (6, 512, 512, 3)
    assert isinstance(prepared.pixels, np.memmap)
    assert prepared.grades.tolist() == [3, 4, 0, 1, 2, 0]
    assert set(prepared.splits) == {"train"}
    for index, record in enumerate(found(folder)):
        assert_equal_photographs(prepared.photograph(index), kaggle.load(record))


def test_pairs(folder, tmp_path):
    (folder / "13_left.jpeg").unlink()
    store.write(tmp_path / "store", found(folder), kaggle.load, skip_bad=True)
    prepared = store.read(tmp_path / "store")
    assert prepared.pairs().tolist() == [[0, 1], [2, 3]]
    assert prepared.names[4] == "13_right"


def test_no_pairs_have_the_shape_of_pairs(folder, tmp_path):
    store.write(tmp_path / "store", found(folder)[:1], kaggle.load)
    assert store.read(tmp_path / "store").pairs().shape == (0, 2)


def test_bad_files_are_listed(folder, tmp_path):
    damage(folder)
    kept, bad = store.write(tmp_path / "store", found(folder), kaggle.load, skip_bad=True)
    assert kept == 2 and len(bad) == 4
    with open(tmp_path / "store" / store.BAD, newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["name"], row["reason"]) for row in rows] == bad
    assert store.read(tmp_path / "store").names == ("10_left", "13_right")


def test_a_bad_file_stops_where_all_are_needed(folder, tmp_path):
    damage(folder)
    with pytest.raises(ValueError, match="2_left.jpeg: truncated"):
        store.write(tmp_path / "store", found(folder), kaggle.load)
    with pytest.raises(ValueError, match="none of 2 photographs.*2_left.jpeg: trunc"):
        store.write(tmp_path / "store", found(folder)[:2], kaggle.load, skip_bad=True)
    assert store.RECORDS not in names_in(tmp_path / "store")


@pytest.fixture
def reference(folder, tmp_path):
    """Bytes of the files of an uninterrupted run."""
    store.write(tmp_path / "reference", found(folder), kaggle.load)
    return {
        name: (tmp_path / "reference" / name).read_bytes()
        for name in (store.PIXELS, store.RECORDS, store.BAD)
    }


def interrupt(folder, target, after, together, monkeypatch):
    """Stop a run at a photograph; names that were loaded before."""
    loaded = []

    def load(record):
        if len(loaded) == after:
            raise KeyboardInterrupt
        loaded.append(record.name)
        return kaggle.load(record)

    monkeypatch.setattr(store, "_TOGETHER", together)
    with pytest.raises(KeyboardInterrupt):
        store.write(target, found(folder), load)
    return loaded


def resume(folder, target):
    """Finish a run; names that were loaded for it."""
    loaded = []
    store.write(
        target, found(folder), lambda record: loaded.append(record.name) or kaggle.load(record)
    )
    return loaded


@pytest.mark.parametrize("after, together", [(0, 16), (1, 1), (4, 16), (5, 2)])
def test_an_interrupted_run_goes_on_where_it_stopped(
    folder, tmp_path, reference, monkeypatch, after, together
):
    target = tmp_path / "store"
    before = interrupt(folder, target, after, together, monkeypatch)
    assert store.RECORDS not in names_in(target)
    assert before + resume(folder, target) == NAMES
    assert {name: (target / name).read_bytes() for name in reference} == reference
    assert names_in(target) == sorted(reference)


def test_a_run_that_was_killed_goes_on(folder, tmp_path, reference, monkeypatch):
    """The table lost its last lines and half of one; pixels are ahead of it."""
    target = tmp_path / "store"
    interrupt(folder, target, 5, 1, monkeypatch)
    table = target / (store._UNFINISHED + store.RECORDS)
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(lines[:4]) + lines[4][:20])
    assert resume(folder, target) == NAMES[3:]
    assert {name: (target / name).read_bytes() for name in reference} == reference


@pytest.mark.parametrize(
    "spoil",
    [
        lambda table, pixels: table.write_bytes(b"\xff\xfe nonsense"),
        lambda table, pixels: table.write_text("name,grade\n2_left,3\n"),
        lambda table, pixels: table.write_text(""),
        lambda table, pixels: table.unlink(),
        lambda table, pixels: pixels.unlink(),
        lambda table, pixels: pixels.write_bytes(pixels.read_bytes()[:1000]),
        lambda table, pixels: table.write_text(table.read_text().replace("2_left", "7_left")),
    ],
)
def test_useless_remains_are_started_anew(folder, tmp_path, reference, monkeypatch, spoil):
    target = tmp_path / "store"
    interrupt(folder, target, 3, 1, monkeypatch)
    spoil(*(target / (store._UNFINISHED + name) for name in (store.RECORDS, store.PIXELS)))
    assert resume(folder, target) == NAMES
    assert {name: (target / name).read_bytes() for name in reference} == reference


def test_no_room_is_noticed_before_the_work(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: types.SimpleNamespace(free=10**6))
    with pytest.raises(OSError, match="5 MB are needed and 1 MB are free"):
        store.write(tmp_path / "store", found(folder), lambda _: pytest.fail("began all the same"))


@pytest.mark.parametrize(
    "name, content, message",
    [
        (store.PIXELS, None, "pixels.npy: no such file; make it with 'cnnviz prepare"),
        (store.RECORDS, None, "records.csv: no such file; make it with"),
        (store.PIXELS, 2000, "pixels.npy: truncated or not an array file"),
        (store.PIXELS, 0, "pixels.npy: truncated or not an array file"),
        (store.PIXELS, b"nonsense", "pixels.npy: truncated or not an array file"),
        (store.RECORDS, 60, "records.csv: damaged"),
        (store.RECORDS, b"\xff\xd8", "records.csv: damaged"),
        (store.RECORDS, -200, r"pixels.npy: uint8 \(6, 512, 512, 3\) instead of"),
    ],
)
def test_damaged_stores_are_named(folder, tmp_path, name, content, message):
    store.write(tmp_path / "store", found(folder), kaggle.load)
    path = tmp_path / "store" / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content if isinstance(content, bytes) else path.read_bytes()[:content])
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        store.read(tmp_path / "store")


def test_a_number_in_the_table_that_is_none(folder, tmp_path):
    store.write(tmp_path / "store", found(folder), kaggle.load)
    path = tmp_path / "store" / store.RECORDS
    path.write_text(path.read_text().replace(",train,3,", ",train,three,"))
    with pytest.raises(ValueError, match="records.csv: damaged .*'three'"):
        store.read(tmp_path / "store")


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_the_array_file_s_header_has_one_length(count):
    """So that it can be written again when the number of photographs is known."""
    assert len(store._header(count)) == len(store._header(0)) == 128


def test_optional_facts_come_back(tmp_path):
    """No grade, no side, centers: as IDRiD's photographs have them."""
    image = picture(3)
    photographs = {
        "a": fundus.photograph(
            "a", image, 4, centers={"optic disc": (100, 200.5), "fovea": (300.25, 1 / 3)}
        ),
        "b": fundus.photograph("b", image, grade=0, patient="b, the second"),
    }
    records = [types.SimpleNamespace(name="a", split="test"), types.SimpleNamespace(name="b")]
    store.write(tmp_path, records, lambda record: photographs[record.name])
    prepared = store.read(tmp_path)
    for index, name in enumerate("ab"):
        assert_equal_photographs(prepared.photograph(index), photographs[name])
    assert prepared.splits.tolist() == ["test", ""]
    assert prepared.grades.tolist() == [-1, 0]


def test_training_arrays_are_those_of_the_training_split(tmp_path):
    records = [
        types.SimpleNamespace(name=name, split=split, grade=grade)
        for name, split, grade in (("a", "train", 2), ("b", "test", 1), ("c", "train", 4))
    ]
    store.write(
        tmp_path,
        records,
        lambda record: fundus.photograph(record.name, picture(record.grade), grade=record.grade),
    )
    pixels, dimensions, grades = idrid.training_arrays(tmp_path)
    assert pixels.shape == (2, 512, 512, 3) and pixels.dtype == np.uint8
    assert dimensions.shape == (2, 2) and grades.tolist() == [2, 4]


# --- The command ------------------------------------------------------------


def run(*arguments):
    return dispatch.main(["prepare-photographs", *map(str, arguments)])


def test_the_command_counts_what_it_left_out(folder, tmp_path, capsys):
    damage(folder)
    arguments = ("--source", "kaggle", "--folder", folder, "-o", tmp_path / "store")
    assert run(*arguments) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "trainLabels.csv: 6 labels with" in error and "--partial" in error
    assert run(*arguments, "--partial") == 0
    assert "2 photographs prepared, 4 left out: see" in capsys.readouterr().out
    assert len(store.read(tmp_path / "store")) == 2


def test_the_strongest_photographs_are_found_without_marked_concepts(folder, tmp_path):
    """Nobody outlined lesions on the competition's photographs."""
    assert run("--source", "kaggle", "--folder", folder, "--partial", "-o", tmp_path / "store") == 0
    assert (
        dispatch.main(
            [
                "dissect",
                "--photographs",
                str(tmp_path / "store"),
                "--layers",
                "pool1",
                "--features",
                "3",
                "-o",
                str(tmp_path / "found.npz"),
            ]
        )
        == 0
    )
    found = fundus_features.Dissected.load(tmp_path / "found.npz", photographs="kaggle")
    assert tuple(found.names) == store.read(tmp_path / "store").names
    layer = found.layers["pool1"]
    assert list(found.layers) == ["pool1"] and layer.marked is None and layer.iou is None
    network = defauw.build()
    defauw.load("surrogate", network)
    images = T.tensor4("images")
    pixels = store.read(tmp_path / "store").pixels
    maps = function(
        [images],
        lasagne.layers.get_output(layers.pooling_layers(network)[0], images, deterministic=True),
    )(fundus.standardize(pixels))
    highest = maps[:, :3].max(axis=(2, 3)).T
    np.testing.assert_allclose(layer.all.maxima, -np.sort(-highest, axis=1), rtol=1e-4)
    np.testing.assert_array_equal(layer.all.index, np.argsort(-highest, axis=1))


def test_photographs_without_a_label_are_named(folder, tmp_path, capsys):
    Image.fromarray(picture(7)).save(folder / "99_left.jpeg")
    Image.fromarray(picture(8)).save(folder / "98_right.jpeg")
    (folder / "readme.jpeg").touch()
    assert kaggle.unlabeled(folder, kaggle.read_labels(folder / "trainLabels.csv")) == [
        "98_right",
        "99_left",
    ]
    assert run("--source", "kaggle", "--folder", folder, "--partial", "-o", tmp_path / "store") == 0
    output = capsys.readouterr().out
    assert "2 photographs have no label in" in output and "first of them 98_right" in output


def test_room_is_needed_for_the_photographs_that_are_there(folder, tmp_path, monkeypatch):
    """All labels come with a part of the photographs, too."""
    labels = folder / "trainLabels.csv"
    labels.write_text(
        labels.read_text() + "".join(f"{number}_left,0\n" for number in range(100, 1100))
    )
    needed = []
    monkeypatch.setattr(files, "require_space", lambda _, size: needed.append(size))
    store.write(tmp_path / "store", found(folder), kaggle.load, skip_bad=True)
    assert needed == [6 * 512 * 512 * 3]


# --- Which of them are evaluated ------------------------------------------------------


def graded(splits, grades):
    return types.SimpleNamespace(splits=np.array(splits, dtype=object), grades=np.array(grades))


@pytest.mark.parametrize("splits", [["", "", ""], ["train"] * 3, ["train", "test", "test"]])
def test_without_a_split_all_graded_photographs_are_evaluated(splits):
    """Synthetic photographs are in no split, the competition's in one, IDRiD's in two."""
    photographs = graded(splits, [0, -1, 3])
    assert fundus_evaluation.chosen_photographs(photographs, None, "there").tolist() == [0, 2]


def test_a_split_is_asked_for_by_name():
    photographs = graded(["train", "test", "test", ""], [0, -1, 3, 2])

    def chosen(split):
        return fundus_evaluation.chosen_photographs(photographs, split, "there").tolist()

    assert [chosen("train"), chosen("test"), chosen("")] == [[0], [2], [3]]
    with pytest.raises(
        UserError,
        match="--split: .*'valid' in there; there are those of '', "
        "'test', 'train'; all are used without it",
    ):
        chosen("valid")
    with pytest.raises(UserError, match="there: no photograph has a grade"):
        fundus_evaluation.chosen_photographs(graded(["", ""], [-1, -1]), None, "there")


def test_the_command_wants_a_folder(tmp_path, capsys):
    for extra in ((), ("--folder", tmp_path / "absent")):
        assert run("--source", "kaggle", *extra, "-o", tmp_path) == 1
        assert "--help' says how to get the photographs" in capsys.readouterr().err


def test_the_command_prepares_idrid_from_a_mirror(tmp_path, mirror, monkeypatch, capsys):
    chosen = {part: idrid.records(part)[:2] for part in idrid.SPLITS}
    monkeypatch.setattr(idrid, "records", chosen.get)
    assert run("--source", "idrid", "--mirror", mirror, "-o", tmp_path) == 0
    prepared = store.read(tmp_path)
    assert prepared.splits.tolist() == ["train", "train", "test", "test"]
    assert_equal_photographs(prepared.photograph(2), idrid.load(chosen["test"][0], mirror))
    monkeypatch.setattr(
        idrid,
        "records",
        lambda part: [record._replace(name="IDRiD_999_train") for record in chosen[part][:1]],
    )
    assert run("--source", "idrid", "--mirror", mirror, "-o", tmp_path / "other") == 1
    assert "IDRiD_999_train.jpg: not in the mirror" in capsys.readouterr().err


def test_the_command_keeps_to_the_eye(folder, tmp_path, capsys):
    """One hot pixel beside the eye, or a run with the other rule before."""
    path = folder / "2_left.png"
    spoilt = picture(0)
    spoilt[2, 156] = 255
    Image.fromarray(spoilt).save(path)
    path.rename(folder / "2_left.jpeg")  # without loss: the name says nothing
    arguments = ("--source", "kaggle", "--folder", folder, "--partial", "-o", tmp_path / "store")
    with pytest.warns(field_of_view.ImplausibleCrop, match="^2_left: by De Fauw's rule"):
        assert run(*arguments) == 0
    published = store.read(tmp_path / "store")
    assert run(*arguments, "--crop", "robust") == 0
    robust = store.read(tmp_path / "store")
    expected = fundus.prepare(picture(0))[1]
    np.testing.assert_array_equal(robust.dimensions[0], expected)
    assert published.dimensions[0, 0] > expected[0]
    np.testing.assert_array_equal(robust.dimensions[1:], published.dimensions[1:])
    assert run("--source", "synthetic", "--crop", "robust", "-o", tmp_path / "synthetic") == 1
    assert "the option is for --source idrid and kaggle" in capsys.readouterr().err


def test_a_run_with_other_settings_is_started_anew(folder, tmp_path, monkeypatch):
    """So that no folder holds photographs that were cropped by two rules."""
    target = tmp_path / "store"
    interrupt(folder, target, 3, 1, monkeypatch)
    loaded = []
    store.write(
        target,
        found(folder),
        lambda record: loaded.append(record.name) or kaggle.load(record, "robust"),
        settings={"crop": "robust"},
    )
    assert loaded == NAMES
    assert names_in(target) == sorted([store.PIXELS, store.RECORDS, store.BAD])
