"""Numbers in the text of chapter 4, with and without the label files."""

import io
import shutil
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnviz.cli import dispatch
from cnnviz.datasets import external, kaggle
from cnnviz.networks import defauw
from cnnviz.runtime import files, paths
from cnnviz.runtime.backend import T, function, lasagne
from cnnviz.thesis import comparison, comparison_text, number_tables, printed_numbers
from cnnviz.thesis.tables import text_chapter_4
from cnnviz.training import grading, objectives

L = lasagne.layers
REPORTED = paths.REPORTED_TABLES / "text_chapter_4.csv"
TABLES = paths.recorded(paths.TABLES)
NEED_LABELS = {
    "photographs",
    "labeled_photographs",
    "test_photographs",
    "other_eye_kappa",
    "parameters_per_photograph",
}
GRADES = {"1_left": 0, "1_right": 2, "2_left": 4, "2_right": 4, "10_right": 1, "10_left": 0}


@pytest.fixture(scope="module")
def network():
    return defauw.build()


# --- Quadratic weighted kappa -----------------------------------------------


def slow_kappa(first, second):
    """Cohen 1968, pair by pair: observed over chance disagreement."""
    observed = sum((a - b) ** 2 for a, b in zip(first, second)) / len(first)
    chance = sum((a - b) ** 2 for a in first for b in second) / len(first) ** 2
    return 1 - observed / chance


ratings = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=30).filter(
    lambda pairs: len({g for p in pairs for g in p}) > 1
)


@given(ratings)
def test_kappa_is_cohens(pairs):
    assert grading.quadratic_weighted_kappa(*zip(*pairs)) == pytest.approx(
        slow_kappa(*zip(*pairs)), abs=1e-12
    )


@pytest.fixture(scope="module")
def kappa_loss():
    posteriors, targets = T.matrix("posteriors"), T.matrix("targets")
    return function([posteriors, targets], objectives.kappa_loss(posteriors, targets))


@settings(max_examples=30)
@given(pairs=ratings)
def test_kappa_is_the_negative_loss_of_certain_predictions(pairs, kappa_loss):
    first, second = (np.eye(5, dtype=np.float32)[list(grades)] for grades in zip(*pairs))
    assert -kappa_loss(first, second) == pytest.approx(
        grading.quadratic_weighted_kappa(*zip(*pairs)), abs=1e-4
    )


# --- The numbers ------------------------------------------------------------


def test_other_eye():
    """Both directions count: (0, 2), (2, 0), (4, 4), (4, 4), (1, 0), (0, 1)."""
    expected = slow_kappa([0, 2, 4, 4, 1, 0], [2, 0, 4, 4, 0, 1])
    assert text_chapter_4.other_eye_kappa(GRADES) == pytest.approx(expected)


def test_an_eye_without_the_other_is_named():
    grades = {name: grade for name, grade in GRADES.items() if name != "2_left"}
    with pytest.raises(ValueError, match="no grade of '2_left', the other eye of"):
        text_chapter_4.other_eye_kappa(grades)


def test_numbers_of_labels():
    test = {"3_left": 0, "3_right": 1}
    numbers = text_chapter_4.label_numbers(GRADES, test, 64)
    assert set(numbers) == NEED_LABELS
    assert (
        numbers["labeled_photographs"],
        numbers["test_photographs"],
        numbers["photographs"],
        numbers["parameters_per_photograph"],
    ) == (6, 2, 8, 8)
    assert set(text_chapter_4.label_numbers(GRADES, None, 64)) == {
        "labeled_photographs",
        "other_eye_kappa",
    }
    assert set(text_chapter_4.label_numbers(None, test, 64)) == {"test_photographs"}
    assert not text_chapter_4.label_numbers(None, None, 64)


def test_validation_kappa_is_that_of_the_likeliest_grades():
    posteriors = np.array(
        [[0.6, 0.1, 0.1, 0.1, 0.1], [0.1, 0.1, 0.2, 0.1, 0.5], [0, 0.4, 0.3, 0.2, 0.1]]
    )
    numbers = text_chapter_4.validation_numbers([0, 3, 1], posteriors)
    assert numbers == {"validation_kappa": pytest.approx(slow_kappa([0, 3, 1], [0, 4, 1]))}


def toy():
    """A small network of the same kinds of layers."""
    inputs = L.InputLayer((2, 3, 40, 40))
    rectify = lasagne.nonlinearities.LeakyRectify(0.25)
    network = L.Conv2DLayer(inputs, 4, 5, stride=3, nonlinearity=rectify)
    network = L.MaxPool2DLayer(network, 2, stride=2, name="first")
    for _ in range(2):
        network = L.Conv2DLayer(network, 6, 3, pad=1, nonlinearity=rectify)
    network = L.MaxPool2DLayer(network, 2, stride=2, name="second")
    network = L.DropoutLayer(network, 0.3)
    network = L.FeaturePoolLayer(L.DenseLayer(network, 12), 4)
    return L.DenseLayer(network, 5)


def test_numbers_of_a_network_counted_by_hand():
    """40 -> 12 -> 6 -> 3 pixels; receptive fields 5 + 3 and 8 + 6 * 4 + 6."""
    assert text_chapter_4.network_numbers(toy()) == {
        "layers": 10,
        "parameterized_layers": 5,
        "grades": 5,
        "image_side": 40,
        "parameters": (75 * 4 + 4) + (36 * 6 + 6) + (54 * 6 + 6) + (54 * 12 + 12) + (3 * 5 + 5),
        "leakiness": 0.25,
        "first_filter_side": 5,
        "filter_side": 3,
        "filter_stride": 1,
        "pool_side": 2,
        "pool_stride": 2,
        "maxout_functions": 4,
        "dropout_probability": 0.3,
        "first_convolutions": 1,
        "first_filter_stride": 3,
        "first_features": 4,
        "first_receptive_field": 8,
        "second_convolutions": 2,
        "second_filter_stride": 1,
        "second_features": 6,
        "second_receptive_field": 38,
    }


def test_every_reported_number_is_computed(network):
    computed = {*text_chapter_4.network_numbers(network), *NEED_LABELS, "validation_kappa"}
    reported = number_tables.read_reported([REPORTED])["quantity"]
    assert set(reported) == computed


# --- The command ------------------------------------------------------------


def run(folder, *arguments):
    """Run the command; the rows that it writes, by quantity."""
    code = dispatch.main(
        [
            "table",
            "chapter-4",
            "--downloads",
            str(folder / "downloads"),
            "-o",
            str(folder / "found.csv"),
            *map(str, arguments),
        ]
    )
    if code:
        return None
    return (
        number_tables.read_reproduced([folder / "found.csv"])
        .assign(id=lambda table: table["id"].str.removeprefix("text_chapter_4."))
        .set_index("id")
    )


@pytest.fixture
def quick(monkeypatch, network):
    """Neither a mirror nor a network connection; no second building."""
    monkeypatch.delenv("CNNVIZ_MIRROR", raising=False)
    monkeypatch.setattr(defauw, "build", lambda: network)
    monkeypatch.setattr(external, "address", lambda *_: "http://127.0.0.1:9/labels")


def test_without_the_files_the_run_goes_on(tmp_path, quick, capsys):
    found = run(tmp_path)
    missing = NEED_LABELS | {"validation_kappa"}
    assert not missing & set(found.index) and len(found) == 33
    error = capsys.readouterr().err
    assert error.count("left out: ") == 3
    assert "trainLabels.csv: could not be downloaded from http://127.0.0.1:9" in error
    table = comparison.compare(
        number_tables.read_reported([REPORTED]),
        number_tables.read_reproduced([tmp_path / "found.csv"]),
        number_tables.read_reasons(paths.REASONS).pipe(
            lambda rows: rows[rows["id"].str.startswith("text_chapter_4")]
        ),
    )
    absent = table[table["verdict"] == printed_numbers.MISSING]
    assert set(absent["quantity"]) == missing
    assert comparison.NO_REASON not in set(table["reason"])
    assert absent["reason"].str.contains("can|found|mirror").all()


@pytest.fixture
def small_mirror(tmp_path):
    """A mirror with lists of a few eyes, without checksums."""
    folder = tmp_path / "mirror"
    (folder / "eyepacs").mkdir(parents=True)
    (folder / "defauw").mkdir()
    labels = "".join(f"{name},{grade}\n" for name, grade in GRADES.items())
    (folder / "eyepacs/trainLabels.csv").write_text("image,level\n" + labels)
    (folder / "eyepacs/testLabels.csv").write_bytes(
        b"image,level,Usage\r\n3_left,0,Public\r\n3_right,1,Private\r\n"
    )
    (folder / "defauw/validation_123003.csv").write_text(
        "image,label,p0,p1,p2,p3,p4\n1_left,0,1,0,0,0,0\n1_right,2,0,0,0.4,0.5,0.1\n"
    )
    return folder


def test_with_a_mirror_all_numbers_are_there(tmp_path, quick, small_mirror):
    found = run(tmp_path, "--mirror", small_mirror)
    assert len(found) == 39
    assert found.loc["photographs", "value"] == "8"
    assert float(found.loc["other_eye_kappa", "value"]) == pytest.approx(
        text_chapter_4.other_eye_kappa(GRADES)
    )
    assert float(found.loc["validation_kappa", "value"]) == pytest.approx(
        slow_kappa([0, 2], [0, 3])
    )
    digest = files.sha256(small_mirror / "eyepacs/trainLabels.csv")
    assert digest in found.loc["other_eye_kappa", "note"]
    assert set(found["command"]) == {"CNNVIZ_MIRROR=FOLDER make reproduce"}


def test_an_incomplete_mirror_gives_what_it_can(tmp_path, quick, small_mirror):
    (small_mirror / "eyepacs/testLabels.csv").unlink()
    found = run(tmp_path, "--mirror", small_mirror)
    assert {"labeled_photographs", "other_eye_kappa"} <= set(found.index)
    assert not {"test_photographs", "photographs"} & set(found.index)


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("eyepacs/trainLabels.csv", "image,level\n10_left,7\n", "line 2: level '7'"),
        ("defauw/validation_123003.csv", "image,label\n1_left,0\n", "not a network's outputs"),
        (
            "defauw/validation_123003.csv",
            "image,label,p0,p1,p2,p3,p4\n1_left,0,1,1,1,1,1\n",
            "out of range",
        ),
        ("defauw/validation_123003.csv", "", "not a network's outputs"),
        ("SHA256SUMS", f"{'0' * 64}  eyepacs/trainLabels.csv\n", "truncated or changed"),
    ],
)
def test_damaged_files_of_the_mirror_stop_the_run(
    tmp_path, quick, small_mirror, capsys, name, content, message
):
    external._checksums.cache_clear()
    (small_mirror / name).write_text(content)
    assert run(tmp_path, "--mirror", small_mirror) is None
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in error and not (tmp_path / "found.csv").exists()
    external._checksums.cache_clear()


def archive(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in members.items():
            written.writestr(name.replace("_csv", ".csv"), content)
    return stream.getvalue()


@pytest.fixture
def sent(monkeypatch):
    """What the address of the test labels sends, and how often it was asked."""
    state = {"bytes": b"", "asked": 0}

    def download(url, path, **_):
        state["asked"] += 1
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(state["bytes"])
        return path

    monkeypatch.setattr(external, "download", download)
    return state


def test_test_labels_are_unpacked_and_kept(tmp_path, sent, mirror):
    whole = (mirror / "eyepacs/testLabels.csv").read_bytes()
    sent["bytes"] = archive(testLabels_csv=whole)
    for _ in range(2):
        path = kaggle.test_labels(downloads=tmp_path)
        assert path.read_bytes() == whole
    assert sent["asked"] == 1
    assert [each.name for each in tmp_path.iterdir()] == ["testLabels.csv"]


@pytest.mark.parametrize(
    "content, message",
    [
        (b"<html>not found</html>", "not a zip file"),
        (archive(testLabels_csv=b"image,level\n")[:60], "not a zip file"),
        (archive(testLabels_csv=b"image,level\n1_left,0\n"), "other labels than expected"),
        (archive(a_csv=b"", b_csv=b""), "not an archive of one list"),
        (archive(other=b""), "not an archive of one list"),
        # Small when packed, huge when unpacked.
        (archive(testLabels_csv=bytes(11_000_000)), "not an archive of one list"),
        # Named, since an archive holds the time at which it was made.
    ],
    ids=["page", "truncated", "other labels", "two lists", "other list", "bomb"],
)
def test_other_archives_are_refused_and_not_kept(tmp_path, sent, content, message):
    sent["bytes"] = content
    with pytest.raises(external.Unavailable, match=message):
        kaggle.test_labels(downloads=tmp_path)
    assert not list(tmp_path.iterdir())


# --- The committed record ---------------------------------------------------


def recorded(path):
    table = number_tables.read_reproduced([path]).set_index("id")["value"]
    return {name.removeprefix("text_chapter_4."): float(value) for name, value in table.items()}


def test_recorded_numbers_of_the_network(network):
    expected = text_chapter_4.network_numbers(network)
    assert recorded(TABLES / "reproduced/text_chapter_4.csv") == expected
    with_mirror = recorded(TABLES / "with_mirror/text_chapter_4.csv")
    assert {name: with_mirror[name] for name in expected} == expected


def test_recorded_numbers_of_the_labels(tmp_path, quick, mirror):
    assert run(tmp_path, "--mirror", mirror) is not None
    assert (tmp_path / "found.csv").read_bytes() == (
        TABLES / "with_mirror/text_chapter_4.csv"
    ).read_bytes()


def test_the_recorded_comparison_with_a_mirror_is_made_from_recorded_numbers(tmp_path):
    folder = tmp_path / "reproduced"
    shutil.copytree(TABLES / "reproduced", folder)
    for path in folder.iterdir():
        if (TABLES / "with_mirror" / path.name).exists():
            shutil.copy(TABLES / "with_mirror" / path.name, folder)
    table = comparison.compare(
        number_tables.read_reported(sorted(paths.REPORTED_TABLES.glob("*.csv"))),
        number_tables.read_reproduced(sorted(folder.glob("*.csv"))),
        number_tables.read_reasons(paths.REASONS),
    )
    assert comparison.lacking_reasons(table) == []
    for name, text in (
        ("comparison.csv", comparison.to_csv(table)),
        ("comparison.md", comparison_text.to_markdown(table)),
    ):
        assert (TABLES / "with_mirror" / name).read_text(encoding="utf-8") == text
