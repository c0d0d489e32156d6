"""Labels of features in a table, Table 4.1, and features for the figures."""

import numpy as np
import pandas as pd
import pytest

from cnnviz.datasets.concepts import CONCEPTS
from cnnviz.dissection.labeler import LocalizedLayer
from cnnviz.experiments import (
    concept_marking,
    feature_table,
    figure_features,
    fundus_features,
    fundus_sheets,
    photograph_sources,
)
from cnnviz.experiments.figure_parts import LAYERS, Part
from cnnviz.experiments.fundus_labels import Labeled
from cnnviz.thesis.tables import table_4_1, table_4_1_claims

K = {name: k for k, name in enumerate(CONCEPTS)}


def measures(rows):
    """Arrays of features given by the shares that they have on some concepts."""
    count = len(rows)
    expected = np.full((count, len(CONCEPTS)), 0.04)
    share, p = np.full_like(expected, 0.02), np.full_like(expected, 0.6)
    for k, row in enumerate(rows):
        for name, value in row.items():
            share[k, K[name]], p[k, K[name]] = value, 0.0001
    return {
        "share": share,
        "expected": expected,
        "p": p,
        "iou": np.full_like(expected, 0.001),
        "spread": np.arange(count, dtype=float),
        "disease": np.linspace(0, 3, count),
        "gradient": np.full(count, 5.0),
    }


def found_of(arrays):
    """The same as the table takes it."""
    return LocalizedLayer(
        *(arrays[name] for name in ("share", "expected", "p", "gradient")),
        {name: arrays[name] for name in ("spread", "disease")},
    ), arrays["iou"]


LESION, CHANCE = {"microaneurysm": 0.3}, {}
TRAINED = {
    "pool1": [CHANCE, {"field edge": 0.5}, {"vessel": 0.2}],
    "pool2": [CHANCE, {"optic disc": 0.2}, {"overexposed rim": 0.3}],
    "pool3": [LESION, {"optic disc": 0.2, "vessel": 0.3}, {"glare spot": 0.2}],
    "pool4": [
        LESION,
        {"hard exudate": 0.3, "optic disc": 0.2},
        {"hemorrhage": 0.2, "fovea": 0.3},
        {"optic disc": 0.4},
        {"dust": 0.2},
    ],
    "pool5": [
        LESION,
        {"hard exudate": 0.3},
        {"hemorrhage": 0.3},
        {"hemorrhage": 0.2},
        {"vessel": 0.3},
        CHANCE,
    ],
}


@pytest.fixture
def found():
    measured = {("trained", layer): found_of(measures(rows)) for layer, rows in TRAINED.items()}
    measured |= {("random", layer): found_of(measures([CHANCE] * 3)) for layer in LAYERS}
    return feature_table.table(measured)


def test_labels_of_features(found):
    labels = found[found["weights"] == "trained"].groupby("layer", sort=False)["label"].apply(list)
    assert labels["pool1"] == ["other", "field edge", "vessel"]
    assert labels["pool3"] == ["microaneurysm", "mixture", "glare spot"]
    assert labels["pool5"][-1] == "other"
    assert set(found.loc[found["weights"] == "random", "label"]) == {"other"}
    row = found.iloc[1]
    assert row["lift: field edge"] == pytest.approx(12.5)
    assert row["share: field edge"] == 0.5 and row["q: field edge"] < 0.05


def test_a_concept_that_was_nowhere_says_nothing():
    arrays = measures([LESION])
    for name in ("share", "expected", "p"):
        arrays[name][0, K["text"]] = np.nan
    row = feature_table.table({("trained", "pool3"): found_of(arrays)}).iloc[0]
    assert np.isnan(row["lift: text"]) and np.isnan(row["q: text"])
    assert row["label"] == "microaneurysm"
    assert "nan" not in figure_features.evidence(row, ("text",))


def test_a_filter_that_hardly_responds_has_no_label_and_no_part():
    arrays = measures([LESION, LESION, {"vessel": 0.9}, CHANCE])
    arrays["gradient"] = np.array([4.0, 0.39, 0.01, 8.0]) * 1e-3
    arrays["iou"][:, K["vessel"]] = 0.2
    found = feature_table.table({("trained", "pool5"): found_of(arrays)})
    assert list(found["label"]) == ["microaneurysm", "microaneurysm", "other", "other"]
    assert list(found["overlap"]) == ["vessel", "vessel", "other", "vessel"]
    assert found["share: vessel"].isna().tolist() == [False, False, True, False]
    parts = [Part("a", "pool5", rule, ("vessel",)) for rule in figure_features.RULES]
    assert 2 not in figure_features.choose(found, parts[:3])["feature"].tolist()
    for part in parts:
        assert figure_features.choose(found, [part])["feature"].tolist() != [2]
    assert "nan" not in figure_features.evidence(found.iloc[2], ("vessel",))
    assert len(figure_features.every(found)) == 4


def test_every_part_goes_to_the_feature_that_was_made_for_it(found):
    roles = figure_features.choose(found).set_index("figure")
    chosen = {
        figure: list(np.atleast_1d(roles.loc[figure, "feature"])) for figure in roles.index.unique()
    }
    assert chosen["4.5"][:2] == [2, 1] and chosen["4.6"][:2] == [1, 2]
    assert chosen["4.7"][:3] == [2, 0, 1]
    assert [chosen[f"4.{k}"] for k in (8, 9, 10, 13, 14)] == [[0], [1], [2], [4], [3]]
    assert [chosen[f"4.{k}"] for k in (15, 16, 17, 20, 21)] == [[0], [1], [2], [4], [5]]
    # Of both hemorrhage detectors the one whose saliency spreads more.
    assert chosen["4.18"] == [3]
    # Nothing exceeds chance there.
    assert chosen["4.19"] == [5]
    assert "30.0 % of the saliency, 7.5 times chance" in roles.loc["4.8", "evidence"]


def test_no_feature_plays_two_parts_in_one_figure(found):
    parts = [
        Part("9", "pool3", "single", ("text",)),
        Part("9", "pool3", "single", ("text",)),
        Part("9", "pool3", "single", ("dust",)),
    ]
    assert len(set(figure_features.choose(found, parts)["feature"])) == 3
    with pytest.raises(ValueError, match="no feature of layer pool9"):
        figure_features.choose(found, [Part("9", "pool9", "single", ("text",))])


GEOMETRY = {layer: (k, 11 * k) for k, layer in enumerate(LAYERS, 1)}


def reported():
    return pd.DataFrame(
        {"id": ["table_4_1.pool4.microaneurysm", "table_4_1.pool1.depth"], "value": ["17", "1"]}
    )


def test_numbers_stand_under_the_thesis_names(found):
    numbers = table_4_1.numbers(found, GEOMETRY)
    assert numbers["pool4.depth"][0] == 4 and numbers["pool4.receptive_field"][:2] == (44, "px")
    assert numbers["pool4.features"][0] == 5 and numbers["pool4.microaneurysm"][0] == 1
    # The mixtures, and dust, which has no column.
    assert numbers["pool4.other"][0] == 3 and numbers["pool4.hard_exudate"][0] == 0
    rows = table_4_1.reproduced(numbers, reported(), "make reproduce")
    assert [(row.id, row.value) for row in rows] == [
        ("table_4_1.pool4.microaneurysm", 1),
        ("table_4_1.pool1.depth", 1),
    ]


def test_statements_follow_the_labels(found):
    holds = {statement: holds for statement, holds, _ in table_4_1_claims.claims(found)}
    assert holds["Lesion detectors appear only from the third pooling layer on"]
    assert holds["The random network has no lesion detector"]
    early = found.copy()
    early.loc[0, "label"] = "hemorrhage"
    assert not table_4_1_claims.claims(early)[0][1]


def test_the_text_has_both_numbers_side_by_side(found):
    roles = figure_features.choose(found)
    origin = {"photographs": "synthetic", "photographs_pairs": 12, "weights": "defauw"}
    labeled = Labeled(found, roles, roles, GEOMETRY, origin)
    text = table_4_1.text(labeled, reported())
    assert "| pool4 | 4 | 44×44 | 5 | 0 (0.0; 0 to 0) **T 0** | 1 (1.0; 0 to 3) **T 17**" in text
    assert (
        "Photographs: 12 synthetic eye pairs. Weights: De Fauw's own." in text
        and "* hard exudate and optic disc: 1 features (pool4 1)" in text
    )


# --- What the commands do between reading and writing --------------------------


def test_photographs_with_equal_pixels_have_equal_numbers():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (4, 6, 6, 3), np.uint8)
    pixels[3] = pixels[1]
    numbers = photograph_sources.identities(pixels)
    assert numbers[3] == numbers[1] and len(set(numbers)) == 3


def test_effective_number_of_areas():
    areas = np.array([[1, 1, 0, 2], [3, 0, 0, 4]])
    assert fundus_features.effective_number(np.ones((2, 4)) * (areas > 1), areas) == 3
    assert fundus_features.effective_number(np.where(areas == 0, 9.0, 0), areas) == 0
    assert fundus_features.effective_number(np.where(areas == 1, 9.0, 0), areas) == 1


def test_mean_grade_leaves_out_photographs_without_one():
    grades = np.array([0, 4, -1])
    np.testing.assert_array_equal(
        fundus_features.mean_grade(grades, np.array([[0, 1], [1, 2], [2, 2]])), [2, 4, np.nan]
    )


@pytest.mark.parametrize(
    "box, part",
    [
        ((100, 200, 111, 211), (81, 181, 129, 229)),  # at least 48 pixels
        ((-5, 500, 78, 583), (0, 329, 183, 512)),  # moved into the photograph
        ((-25, -25, 538, 538), (0, 0, 512, 512)),
    ],
)
def test_what_is_shown_of_a_photograph(box, part):
    assert fundus_sheets.part_of(box, (512, 512)) == part


def test_concepts_of_other_photographs_are_refused(tmp_path):
    from types import SimpleNamespace

    path = tmp_path / "concepts.npz"
    concept_marking.MarkedConcepts(
        np.array(["1_left"]), np.zeros((1, 2, 2), np.uint8), np.zeros((1, 14), bool)
    ).save(path, {})
    with pytest.raises(ValueError, match="made for other photographs"):
        concept_marking.read_concepts(path, SimpleNamespace(names=("2_left",)))


# --- Drawing ---------------------------------------------------------------------


def block(found, layer, side, count=3):
    """One feature with fabricated saliency on close-ups of so many pixels."""
    from cnnviz.thesis.figures import fundus_sheet

    rng = np.random.default_rng(0)
    row = found[found["layer"] == layer].iloc[0]
    maps = np.zeros((3, count, side, side), np.float16)
    maps[:, :, side // 2 - 2 : side // 2 + 3, side // 3 : side // 3 + 5] = 1
    part = (0, 0, side, side)
    role = figure_features.choose(found, [Part("9", layer, "single", ("vessel",))])
    return fundus_sheet.Block(
        next(role.itertuples()),
        row,
        fundus_sheets.FeatureSheet(
            "trained",
            layer,
            0,
            3,
            rng.integers(0, 255, (count, 128, 128, 3), np.uint8),
            rng.integers(0, 255, (count, side, side, 3), np.uint8),
            maps,
            np.tile((5, 5, 16, 16), (count, 1)),
            np.tile(part, (count, 1)),
            np.arange(count, 0, -1.0),
            np.array([4, 0, -1]),
            np.array(["1_left", "2_left", "x"]),
        ),
    )


def texts(figure):
    return [text.get_text() for text in figure.findobj(lambda each: hasattr(each, "get_text"))]


def test_a_page_names_photographs_and_what_was_sought(found):
    from cnnviz.thesis.figures import fundus_sheet, style

    figure = fundus_sheet.draw([block(found, "pool1", 512)])
    written = texts(figure)
    assert "pool1, feature 2, trained network: vessel" in written
    assert "1 left\ngrade 4\nactivation 3" in written
    assert "x\nnot graded\nactivation 1" in written
    # Five panels a photograph, and the bars.
    assert len(figure.axes) == 3 * 5 + 1
    style.plt.close(figure)


def test_blocks_show_close_ups_beside_whole_photographs(found):
    from cnnviz.thesis.figures import fundus_sheet, style

    figure = fundus_sheet.draw([block(found, "pool1", 48), block(found, "pool2", 48)])
    written = texts(figure)
    assert "(b) pool2, feature 0, trained network: other (sought: vessel)" in written
    assert written.count("close-up") == 2 and "occlusion\n11×11,\nstride 3" in written
    assert len(figure.axes) == 2 * 3 * 5
    style.plt.close(figure)


def test_a_figure_without_a_feature_is_refused(found):
    from cnnviz.thesis.figures import fundus_sheet

    with pytest.raises(ValueError, match="no feature for Figure 4.99"):
        fundus_sheet.read("4.99", ".", figure_features.choose(found), found)
