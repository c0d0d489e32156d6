"""Figures: views chosen by rule, features grouped by measurement, equal bytes."""

import numpy as np
import pandas as pd
import pytest

from cnnviz.datasets import die360, die_scene
from cnnviz.runtime import files
from cnnviz.thesis.figures import figure_5_1, figure_leakage, saliency_sheet, style


@pytest.fixture(scope="module")
def views():
    return figure_5_1.choose_views()


def test_views_of_figure_5_1_follow_their_rule(views):
    accepted, ambiguous, elsewhere = views
    a, b, label = die360.angles()
    pairs = dict(zip(zip(a.tolist(), b.tolist()), label.tolist()))
    assert pairs[accepted] == 2
    assert ambiguous not in pairs and elsewhere not in pairs
    cosine = np.sort(die360.prominence(*zip(*views)), axis=1)
    assert cosine[1, -1] - cosine[1, -2] < figure_5_1.EQUAL
    assert cosine[2, -1] - cosine[2, -2] > figure_5_1.CLEAR
    # (a) shows its label at the bottom right, (c) something else there.
    frames = np.array([die_scene.camera_frame(*view) for view in views])
    assert figure_5_1.bottom_right_face(frames)[0] == 2
    most = die360.prominence(*zip(*views)).argmax(axis=1) + 1
    assert most[0] == 2 and most[2] != figure_5_1.bottom_right_face(frames)[2]


@pytest.mark.parametrize(
    "view, face",
    [((0, 90), 2), ((180, 90), 5), ((90, 90), 1), ((270, 90), 6), ((0, 0), 3), ((0, 180), 4)],
)
def test_head_on_only_one_face_can_be_at_the_bottom_right(view, face):
    frame = die_scene.camera_frame(*view)[None]
    assert figure_5_1.bottom_right_face(frame)[0] == face


def test_rotation_between_views():
    frames = np.array([die_scene.camera_frame(10, 70), die_scene.camera_frame(10, 95)])
    np.testing.assert_allclose(figure_5_1.rotation_between(frames, frames[0]), [0, 25], atol=1e-5)


def feature(index, background, edge, face, pip):
    lift = np.array([background, edge, face, pip], float)
    maps = np.random.RandomState(index).randn(6, 32, 32)
    return saliency_sheet.Feature(
        "c9",
        index,
        {"max": maps, "sum": maps},
        [(0, 0, 8, 8)] * 6,
        {"max": lift, "sum": lift[::-1]},
    )


def test_features_are_grouped_by_what_exceeds_chance_most():
    features = [
        feature(0, 1, 2, 1, 3),
        feature(1, 2, 1, 1, 1),
        feature(2, *[np.nan] * 4),
        feature(3, 0.9, 0.8, 0.7, np.nan),
    ]
    groups = saliency_sheet.grouped(features)
    assert {
        concept: [member.number for member in members] for concept, members in groups.items()
    } == {"background": [1, 3], "pip": [0], None: [2]}
    assert list(groups) == ["background", "pip", None]


def test_labels_give_both_measurements():
    assert saliency_sheet._label(feature(0, 1, 2, 1, 3)) == (
        "c9, feature 1\nmax: pip 3.0×\nsum: background 3.0×"
    )
    assert saliency_sheet._label(feature(2, *[np.nan] * 4)) == "c9, feature 3"
    silent = feature(0, 1, 2, 1, 3)
    silent = silent._replace(saliency={name: -abs(maps) for name, maps in silent.saliency.items()})
    assert saliency_sheet._label(silent).startswith("c9, feature 1 (not here)\n")


def test_equal_figures_give_equal_bytes(tmp_path, views):
    images = die360.render(*zip(*views), size=figure_5_1.SIZE)
    for name in ("one", "two"):
        style.save(figure_5_1.draw(images, views), tmp_path / name)
    for suffix in ("png", "pdf"):
        assert files.sha256(tmp_path / f"one.{suffix}") == files.sha256(tmp_path / f"two.{suffix}")


def test_overlay_and_box_keep_the_picture_s_limits():
    figure = style.new(2)
    axes = figure.add_subplot()
    image = np.full((32, 32), 0.5)
    saliency = np.zeros((32, 32))
    saliency[:3, :3] = 1  # touches the border
    style.show_overlay(axes, image, saliency)
    style.show_box(axes, (0, 0, 8, 8), image)
    assert axes.get_xlim() == (-0.5, 31.5) and axes.get_ylim() == (31.5, -0.5)
    assert axes.patches[0].get_width() == 8
    assert len(axes.lines) == 1


def test_silent_features_are_synthetic_too():
    silent = saliency_sheet.Feature(
        "c1",
        0,
        {name: np.zeros((6, 32, 32)) for name in ("max", "sum")},
        [(0, 0, 4, 4)] * 6,
        {name: np.full(4, np.nan) for name in ("max", "sum")},
    )
    figure = saliency_sheet.draw([silent], np.full((6, 32, 32), 0.5))
    texts = [text.get_text() for text in figure.texts]
    assert "(a) Silent on every view" in texts


def test_leakage_curves_tell_interpolating_from_extrapolating_folds():
    frame = pd.DataFrame(
        [
            ("c1", 0, 6, 10, 5),
            ("c1", 4, 6, 30, 5),
            ("c1", 1, 6, 10, 9),
            ("c1", 2, 6, 10, 8),
            ("c1", 3, 7, 10, 1),
        ],
        columns=["network", "fold", "distance", "views", "right"],
    )
    found = figure_leakage.curves(frame)
    assert found[figure_leakage.BEYOND, "c1"].to_dict() == {6: 0.25}
    assert found[figure_leakage.BETWEEN, "c1"].to_dict() == {6: 0.85, 7: 0.1}
    figure = figure_leakage.draw(frame, pd.Series({"c1": 0.99}))
    assert len(figure.axes) == 2 and figure.axes[0].get_ylabel() == "accuracy"


def test_a_run_of_fewer_folds_does_not_take_its_last_for_an_end():
    frame = pd.DataFrame(
        [("c1", 0, 6, 10, 5), ("c1", 1, 6, 10, 9)],
        columns=["network", "fold", "distance", "views", "right"],
    )
    found = figure_leakage.curves(frame)
    assert found[figure_leakage.BEYOND, "c1"].to_dict() == {6: 0.5}
    assert found[figure_leakage.BETWEEN, "c1"].to_dict() == {6: 0.9}
