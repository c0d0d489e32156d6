"""Synthetic fundus photographs."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from cnnviz.datasets import fundus, lesion_statistics, synthetic, synthetic_eye
from cnnviz.datasets import synthetic_patients as patients
from cnnviz.datasets import synthetic_raster as raster
from cnnviz.datasets import synthetic_scene as scenes
from cnnviz.datasets import synthetic_vessels as vessels
from cnnviz.training.grading import quadratic_weighted_kappa

WINDOW = (-1.0, -1.0, 50.0, 50.0)


def eye(grade, seed=0):
    """A scene of a grade."""
    who = patients.patient(np.random.default_rng(seed))
    return synthetic_eye.scene(seed, "right", who, grade)


@pytest.fixture(scope="module")
def severe():
    return eye(4, 3)


def blob(x=0.0, y=0.0, radius=0.2, elongation=1.0, angle=0.0, edge=0.1, boat=0.0):
    return np.array([[x, y, radius, elongation, angle, edge, boat, *[0.0] * 6]])


def drawn(shape, color=(-1.0, -1.0, -1.0)):
    layer = np.zeros((100, 100, 3), np.float32)
    masks = np.zeros((1, 100, 100), np.float32)
    raster.blobs(layer, masks, shape, np.array([color]), np.array([0]), WINDOW)
    return layer, masks[0]


# --- Kernels -----------------------------------------------------------------


def test_a_round_blob_covers_its_area_at_its_place():
    layer, mask = drawn(blob(0.3, -0.4))
    assert mask.sum() / 50**2 == pytest.approx(np.pi * 0.2**2, rel=0.02)
    row, column = ndimage.center_of_mass(mask)
    assert ((column + 0.5) / 50 - 1, (row + 0.5) / 50 - 1) == pytest.approx((0.3, -0.4), abs=1e-3)
    np.testing.assert_array_equal(layer[..., 0], -mask)


def test_an_elongated_blob_keeps_its_area_and_points_along_its_angle():
    _, mask = drawn(blob(elongation=3.0, angle=0.6))
    assert mask.sum() / 50**2 == pytest.approx(np.pi * 0.2**2, rel=0.02)
    rows, columns = np.nonzero(mask > 0.5)
    axis = np.linalg.eigh(np.cov(columns, rows))[1][:, 1]
    assert abs(axis @ [np.cos(0.6), np.sin(0.6)]) == pytest.approx(1, abs=1e-3)


def test_settled_blood_is_level_on_top():
    _, mask = drawn(blob(radius=0.5, boat=0.2))
    first = [np.flatnonzero(column > 0.5)[0] for column in mask.T if column.max() > 0.5]
    middle = first[len(first) // 4 : -len(first) // 4]
    assert max(middle) - min(middle) <= 1
    rows = np.flatnonzero(mask.max(axis=1) > 0.5)
    assert 50 - rows[0] < rows[-1] - 50


def test_a_blob_smaller_than_a_pixel_keeps_its_total():
    strong, _ = drawn(blob(0.01, 0.01, radius=0.02))
    weak, _ = drawn(blob(0.01, 0.01, radius=0.005))
    assert weak.sum() / strong.sum() == pytest.approx((0.005 / 0.02) ** 2, rel=0.5)
    assert abs(weak).max() < abs(strong).max()


def test_where_blobs_overlap_the_stronger_counts():
    both = np.concatenate([blob(), blob()])
    layer = np.zeros((100, 100, 3), np.float32)
    raster.blobs(
        layer,
        np.zeros((1, 100, 100), np.float32),
        both,
        np.array([[-0.2] * 3, [0.5] * 3]),
        np.array([0, 0]),
        WINDOW,
    )
    assert layer[50, 50, 0] == pytest.approx(0.5)


def test_a_vessel_is_as_wide_and_long_as_it_says():
    target = np.zeros((400, 400), np.float32)
    raster.strokes(target, np.array([[-0.5, 0, 0.5, 0, 0.05, 0.05, 0]]), (-1.0, -1.0, 200.0, 200.0))
    assert np.count_nonzero(target[:, 200]) / 200 == pytest.approx(0.1, abs=0.011)
    assert np.count_nonzero(target[199:201].max(axis=0)) / 200 == pytest.approx(1.1, abs=0.02)
    assert target.max() == pytest.approx(1.0, abs=0.02)


@given(sigma=st.floats(0.3, 3))
@settings(max_examples=15)
def test_blur_is_the_library_s(sigma):
    picture = np.random.default_rng(0).random((24, 31, 3)).astype(np.float32)
    half = int(np.ceil(2.5 * sigma))
    expected = ndimage.gaussian_filter1d(
        ndimage.gaussian_filter1d(picture, sigma, 1, mode="nearest", radius=half),
        sigma,
        0,
        mode="nearest",
        radius=half,
    )
    found = picture.copy()
    raster.blur(found, sigma, sigma)
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_noise_is_the_same_place_by_place_at_any_resolution():
    gradients = np.random.default_rng(0).standard_normal((8, 8, 2), np.float32)
    frame = np.array([[3.0, 1.0], [-1.0, 3.0]])
    coarse, fine = np.zeros((20, 20), np.float32), np.zeros((60, 60), np.float32)
    raster.noise(coarse, gradients, frame, 1.0, False, (-1.0, -1.0, 10.0, 10.0))
    raster.noise(fine, gradients, frame, 1.0, False, (-1.0, -1.0, 30.0, 30.0))
    np.testing.assert_allclose(fine[1::3, 1::3], coarse, atol=1e-5)
    assert coarse.std() > 0.1


# --- Vessels -----------------------------------------------------------------


def test_vessels_start_at_the_disc_and_spare_the_fovea():
    for seed in range(5):
        scene = eye(0, seed)
        assert len(scene.segments) > 300
        ends = scene.segments[:, 2:4]
        assert np.hypot(*(ends - scene.fovea).T).min() > 0.075
        widest = scene.segments[scene.segments[:, 4].argmax(), :2]
        assert np.hypot(*(widest - scene.disc[:2])) < 0.06


def test_a_branching_conserves_the_cube_of_the_width():
    """Murray's law; a segment besides tapers by half a per cent."""
    rng = np.random.default_rng(0)
    starts = np.array([[0.0, 0.0, 0.0, 0.02, 0, 1.0]])
    segments = vessels.grow(rng, starts, np.array([-0.1, 0.0]), np.array([5.0, 5.0]), 0.02)
    begins = {tuple(row[:2]): [] for row in segments}
    for row in segments:
        begins[tuple(row[:2])].append(row[4])
    ends = {tuple(row[2:4]): row[5] for row in segments}
    forks = [
        (ends[place], halves)
        for place, halves in begins.items()
        if len(halves) == 2 and place in ends
    ]
    assert len(forks) > 10
    for before, halves in forks:
        assert sum(half**3 for half in halves) == pytest.approx(before**3, rel=1e-6)


def test_beading_swells_veins_only_where_asked():
    scene = eye(0, 1)
    segments = scene.segments.copy()
    chosen = vessels.bead(np.random.default_rng(0), segments, lambda x, y: x > 0)
    changed = np.flatnonzero((segments != scene.segments).any(axis=1))
    assert len(chosen) and set(changed) <= set(chosen)
    assert (segments[chosen, 6] == vessels.VEIN).all() and (segments[chosen, 0] > 0).all()
    assert segments[chosen, 4].std() > scene.segments[chosen, 4].std()


# --- Scenes and grades -------------------------------------------------------


@pytest.mark.parametrize("grade", range(5))
def test_a_scene_shows_the_lesions_of_its_grade(grade):
    for seed in range(6):
        scene = eye(grade, seed)
        assert scene.grade == scenes.grade(scene) == grade
        kinds = {
            scenes.LESIONS[kind]
            for kind in {*scene.kinds[scene.kinds >= 0].tolist(), *scene.marked}
        }
        proliferative = {"neovascularization", "preretinal hemorrhage"}
        assert bool(kinds & proliferative) == (grade == 4)
        assert (kinds == {"microaneurysm"}) == (grade == 1)
        assert bool(kinds) == (grade > 0)


def with_lesions(places, kind):
    """A healthy eye with lesions added by hand."""
    scene = eye(0)
    count = len(places)
    shapes = np.tile(blob(radius=0.01), (count, 1))
    shapes[:, :2] = places
    return dataclasses.replace(
        scene,
        shapes=shapes,
        colors=np.zeros((count, 3)),
        kinds=np.full(count, scenes.LESIONS.index(kind)),
    )


def test_the_rule_of_twenty_in_four_quadrants():
    scene = eye(0)
    middle = (scene.disc[:2] + scene.fovea) / 2
    corners = np.array([[-1, -1], [1, -1], [-1, 1], [1, 1]])
    many = np.concatenate([middle + 0.1 * corner + np.zeros((21, 2)) for corner in corners])
    assert scenes.grade(with_lesions(many, "hemorrhage")) == 3
    assert scenes.grade(with_lesions(many[:-1], "hemorrhage")) == 2
    assert scenes.grade(with_lesions(many, "hard exudate")) == 2
    assert scenes.grade(with_lesions(many, "microaneurysm")) == 1


def test_venous_beading_counts_from_two_quadrants_on():
    scene = eye(0)
    quadrant = [
        scenes.quadrant_of(place, scene.disc, scene.fovea) for place in scene.segments[:, :2]
    ]
    first, second = (np.array([quadrant.index(q)]) for q in (0, 3))
    kind = scenes.LESIONS.index("venous beading")
    one = dataclasses.replace(scene, marked={kind: first})
    two = dataclasses.replace(scene, marked={kind: np.concatenate([first, second])})
    assert (scenes.grade(one), scenes.grade(two)) == (2, 3)


def test_a_part_of_an_eye_is_graded_by_what_it_shows():
    scene = with_lesions([[0.5, 0.5]], "hard exudate")
    assert scenes.grade(scene, (0.4, 0.4, 0.6, 0.6)) == 2
    assert scenes.grade(scene, (-0.6, -0.6, 0.4, 0.4)) == 0
    picture, grade = synthetic.narrow(scene, np.random.default_rng(0), 64, 128)
    assert picture.shape == (64, 64, 3) and grade in (0, 2)


def test_both_eyes_agree_as_the_competition_s_labels_do():
    rng = np.random.default_rng(0)
    first = rng.choice(5, 30000, p=patients.NATURAL_SHARES)
    other = [patients.other_grade(rng, each) for each in first]
    assert quadratic_weighted_kappa(first, other) == pytest.approx(0.8545, abs=0.01)


# --- Photographs -------------------------------------------------------------


def test_a_seed_decides_everything():
    for first, second in zip(synthetic.pair([5, 1]), synthetic.pair([5, 1])):
        np.testing.assert_array_equal(
            synthetic.prepared(first, 96)[0], synthetic.prepared(second, 96)[0]
        )
    other = synthetic.pair([5, 2])[0]
    assert (
        synthetic.prepared(other, 96)[0] != synthetic.prepared(synthetic.pair([5, 1])[0], 96)[0]
    ).any()


def test_the_disc_is_on_the_nasal_side():
    for left, right in (synthetic.pair([6, k]) for k in range(5)):
        assert left.disc[0] < left.fovea[0] and right.disc[0] > right.fovea[0]


def test_masks_are_where_the_lesions_were_put(severe):
    _, masks = synthetic.prepared(severe, 256, with_masks=True)
    half = severe.patient.half
    for kind, name in enumerate(scenes.LESIONS):
        places = severe.shapes[severe.kinds == kind, :2]
        assert (name in masks) == bool(len(places) or kind in severe.marked)
        for x, y in places:
            if abs(y) > half - 0.02 or name == "preretinal hemorrhage":
                continue
            row, column = int((y + half) * 128 / half), int((x + 1) * 128)
            near = masks[name][max(0, row - 2) : row + 3, max(0, column - 2) : column + 3]
            assert near.max() > 0


def test_drawing_straight_to_512_is_preparing_the_whole_photograph(severe):
    whole, whole_masks = synthetic.photograph(severe, 1424)
    made = fundus.photograph("synthetic", whole, scale=severe.patient.original_rows / 1424)
    picture, masks = synthetic.prepared(severe, with_masks=True)
    shown = fundus.destandardize(made.pixels) * 255
    assert np.abs(shown - picture).mean() < 6
    # Smooth both, so that what is left is a shift, if there is one.
    smooth = [ndimage.gaussian_filter(each.astype(float), (4, 4, 0)) for each in (shown, picture)]
    inside = np.s_[40:-40, 40:-40]
    assert np.abs(smooth[0] - smooth[1])[inside].mean() < 2.5
    np.testing.assert_allclose(made.dimensions, synthetic.dimensions(severe), rtol=0.02)


def test_load_gives_a_photograph_with_a_transform_to_the_full_one():
    record = synthetic.records(3, seed=11)[5]
    photograph = synthetic.load(record)
    scene = synthetic.pair([11, 2])[1]
    assert (record.name, photograph.side, photograph.grade) == ("2_right", "right", scene.grade)
    half = scene.patient.half
    rows, columns, radius = synthetic._frame_of_camera(scene.patient.original_rows, half)
    row, column = photograph.transform.to_original(photograph.centers["optic disc"])
    assert row + 0.5 == pytest.approx(rows / 2 + scene.disc[1] * radius, abs=1e-6)
    assert column + 0.5 == pytest.approx(columns / 2 + scene.disc[0] * radius, abs=1e-6)
    assert photograph.transform.shape == (rows, columns)


def test_the_one_real_photograph_comes_along():
    photograph = synthetic.load(synthetic.RETINA)
    assert photograph.transform.shape == (1411, 1411) and photograph.side == "left"
    assert photograph.grade is None and not photograph.masks
    shown = fundus.to_bytes(photograph.pixels)
    assert shown[200:300, 200:300, 0].mean() > 100 and shown[0, 0].max() < 30


def test_lesions_have_the_sizes_they_were_synthetic_with():
    """The measuring function finds what the drawing function drew."""
    scene = with_lesions([[0.3, 0.3], [-0.4, -0.2]], "hemorrhage")
    scene.shapes[:, 2] = 0.03
    scene.colors[:] = (-0.1, -0.3, -0.1)
    quiet = dataclasses.replace(scene.patient, grain=0.0, tint=np.zeros(3))
    scene = dataclasses.replace(scene, patient=quiet, segments=scene.segments[:0], haze=np.zeros(4))
    picture, masks = synthetic.photograph(scene, 1200)
    rows = lesion_statistics.lesions(picture, {"HE": masks["hemorrhage"] > 0.5})
    assert [row["kind"] for row in rows] == ["HE", "HE"]
    for row in rows:
        assert row["diameter"] == pytest.approx(0.03, rel=0.05)
        assert row["green"] == pytest.approx(-0.3, abs=0.06)
        assert row["elongation"] < 1.15
