"""Concepts on synthetic and real photographs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.datasets import concepts, fundus, synthetic
from cnnviz.datasets import synthetic_scene as scenes
from cnnviz.datasets.concepts import CONCEPTS, LESIONS, NOTHING
from cnnviz.datasets.fundus_transform import Transform


@pytest.fixture(scope="module")
def drawn():
    """A severe eye: scene, picture and what is on it."""
    shares = np.array([0, 0, 0, 0.5, 0.5])
    scene = synthetic.eye(4, "left", shares)
    picture, masks = synthetic.prepared(scene, with_masks=True)
    field = concepts.field_of_view(picture)
    return scene, picture, masks, concepts.of_scene(scene, field), field


def test_field_of_view_of_a_disc():
    rows, columns = np.mgrid[:200, :200]
    disc = np.hypot(rows - 99.5, columns - 99.5) < 80
    picture = np.where(disc, 120, 3)[..., np.newaxis].astype(np.uint8) * np.ones(3, np.uint8)
    picture[95:100, 95:100] = 0  # a dark spot is no hole
    picture[3:6, 3:9] = 255  # text beside the field does not belong to it
    field = concepts.field_of_view(picture)
    # The mean over 5 x 5 pixels moves the border by up to two.
    assert (field ^ disc).sum() < 2.5 * 2 * np.pi * 80 and field[97, 97] and not field[4, 5]


def test_the_edge_lies_on_both_sides_of_the_border_and_along_the_cut():
    field = np.zeros((40, 60), bool)
    field[10:40, 5:60] = True  # cut off below and on the right
    edge = concepts.edge(field, 3)
    expected = np.zeros_like(field)
    expected[7:40, 2:60] = True
    expected[13:37, 8:57] = False
    np.testing.assert_array_equal(edge, expected)


def test_lesions_are_those_of_the_drawing(drawn):
    scene, _, masks, marked, _ = drawn
    assert marked.known == set(CONCEPTS)
    merged = {
        "hemorrhage": ("hemorrhage", "preretinal hemorrhage"),
        "abnormal vessel": ("neovascularization", "venous beading", "venous loop"),
    }
    found = 0
    for name in LESIONS:
        parts = [masks[each] for each in merged.get(name, (name,)) if each in masks]
        assert (name in marked.masks) == bool(parts)
        if parts:
            found += 1
            np.testing.assert_array_equal(marked.masks[name], np.max(parts, axis=0))
    assert found >= 3


def test_vessels_are_darker_and_the_disc_is_brighter_than_what_surrounds_them(drawn):
    _, picture, _, marked, field = drawn
    green = picture[..., 1].astype(float)
    index = concepts.index_map(marked.masks)
    plain = (index == NOTHING) & field
    of = {name: index == k for k, name in enumerate(CONCEPTS)}
    assert green[of["optic disc"]].mean() > green[plain].mean() + 10
    near = np.roll(of["vessel"], 9, axis=0) & plain
    assert green[of["vessel"] & field].mean() < green[near].mean() - 3
    assert green[of["fovea"]].mean() < green[plain].mean()


def test_text_and_glare_have_masks_of_their_own():
    def first(wanted):
        for seed in range(400):
            scene = synthetic.eye(seed, "right")
            if wanted in scene.artifacts:
                return scene
        raise AssertionError(wanted)

    scene = first("text")
    with_text, _ = synthetic.prepared(scene)
    scene.text, text = "", scene.text
    without, _ = synthetic.prepared(scene)
    scene.text = text
    mask = concepts.of_scene(scene, np.ones((512, 512), bool)).masks["text"]
    changed = (with_text != without).any(axis=2)
    assert mask.any() and not (changed & ~mask).any()
    scene = first("glare spots")
    assert concepts.of_scene(scene, np.ones((512, 512), bool)).masks["glare spot"].max() == 1


def test_a_concept_that_comes_first_hides_the_others():
    here = np.zeros((2, 3))
    here[0, :2] = 1
    there = np.zeros((2, 3), bool)
    there[0, 1:] = True
    faint = np.full((2, 3), 0.2)
    index = concepts.index_map({"optic disc": here, "hemorrhage": there, "dust": faint})
    disc, blood = CONCEPTS.index("optic disc"), CONCEPTS.index("hemorrhage")
    np.testing.assert_array_equal(index, [[disc, blood, blood], [NOTHING] * 3])
    masks = concepts.masks(index)
    assert masks.shape == (len(CONCEPTS), 2, 3) and masks[blood].sum() == 2
    with pytest.raises(ValueError, match="no concepts: drusen"):
        concepts.index_map({"drusen": here})


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_lesions_grow_over_what_is_near_but_not_over_each_other(seed, reach):
    rng = np.random.default_rng(seed)
    index = rng.choice([0, 1, len(LESIONS), NOTHING], (20, 20), p=[0.01, 0.01, 0.1, 0.88])
    index = index.astype(np.uint8)
    grown = concepts.dilate(index, reach)
    for row, column in np.ndindex(index.shape):
        near = index[
            max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1
        ]
        lesions = near[near < len(LESIONS)]
        own = index[row, column]
        expected = own if own < len(LESIONS) or not len(lesions) else lesions.min()
        assert grown[row, column] == expected


def photograph(**known):
    return fundus.Photograph(
        "1",
        np.zeros((3, 512, 512), np.float32),
        np.ones(2, np.float32),
        Transform((0.0, 0.0), (2.0, 4.0), (1024, 2048)),
        **known,
    )


def test_of_a_real_photograph_only_what_was_marked_is_known():
    field = np.ones((512, 512), bool)
    assert concepts.of_photograph(photograph(), field).known == {"field edge"}
    healthy = concepts.of_photograph(photograph(grade=0), field)
    assert healthy.known == {"field edge", *LESIONS} and set(healthy.masks) == {"field edge"}
    centers = {"optic disc": (250.0, 400.0), "fovea": (250.0, 150.0)}
    marked = concepts.of_photograph(photograph(grade=3, centers=centers), field)
    assert marked.known == {"field edge", "optic disc", "fovea"}
    # 1,000 pixels of the original apart; a prepared one spans 2 rows and 4 columns.
    mask = marked.masks["fovea"]
    assert mask[250, 150] and mask.any(axis=0).sum() == 79 and mask.any(axis=1).sum() == 159


def test_outlined_lesions_are_known_and_the_outlined_disc_counts():
    masks = {
        name: np.zeros((512, 512), np.float32)
        for name in ("microaneurysm", "hemorrhage", "hard exudate", "soft exudate", "optic disc")
    }
    masks["optic disc"][:10] = 1
    centers = {"optic disc": (250.0, 400.0), "fovea": (250.0, 150.0)}
    marked = concepts.of_photograph(
        photograph(grade=2, masks=masks, centers=centers), np.ones((512, 512), bool)
    )
    assert marked.known == {*masks, "fovea", "field edge"}
    assert marked.masks["optic disc"].sum() == 5120
    known = np.array([[name in marked.known for name in CONCEPTS], [False] * len(CONCEPTS)])
    np.testing.assert_array_equal(concepts.lesions_known(known), [True, False])


def test_kinds_of_artifacts_are_told_apart():
    kinds = set()
    for seed in range(60):
        kinds |= set(synthetic.eye(seed, "left").kinds.tolist())
    assert {kind for kind in kinds if kind < 0} == set(scenes.ARTIFACTS)
