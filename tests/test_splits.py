"""No view twice, none lost, and no near twin across the separated split."""

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from cnnviz.datasets import die360, splits
from cnnviz.datasets.die_scene import camera_frame

N = 49200
FOLDS = range(5)

# Turns of the die about the labeled face's axis that leave its pips as they
# are: the axis, and the smallest such turn in degrees.
TURNS = {1: ("y", 90), 2: ("x", 180), 3: ("z", 180), 4: ("z", 90), 5: ("x", 90), 6: ("y", 180)}


@pytest.fixture(scope="module")
def views():
    return die360.angles()


@pytest.fixture(scope="module")
def rotations(views):
    a, b, _ = views
    # The first frame, turned by b about the die's y axis and a about its z.
    start = Rotation.from_matrix(camera_frame(0, 0))
    turns = Rotation.from_euler("ZY", np.transpose([a, b]), degrees=True)
    rotations = start * turns.inv()
    for k in range(0, N, 997):
        np.testing.assert_allclose(rotations[k].as_matrix(), camera_frame(a[k], b[k]), atol=1e-12)
    return rotations


def nearest(rotations, others):
    """Degrees from each of ``others`` to the nearest of ``rotations``.

    Unit quaternions q and -q are the same rotation; a chord c between two of
    them is a rotation by 4 arcsin(c / 2).
    """
    q = rotations.as_quat()
    chord, _ = cKDTree(np.concatenate([q, -q])).query(others.as_quat())
    return np.degrees(4 * np.arcsin(chord / 2))


# --- The thesis's split -----------------------------------------------------


@pytest.mark.parametrize("fold", [-1, *FOLDS])
def test_random_split_is_disjoint_complete_and_80_to_20(fold):
    for n in (N, 101):
        training, validation = splits.random_split(n, fold)
        np.testing.assert_array_equal(np.sort(np.concatenate([training, validation])), np.arange(n))
        assert abs(len(validation) - n / 5) < 1
        assert (np.diff(training) > 0).all() and (np.diff(validation) > 0).all()


def test_random_folds_partition_the_views():
    parts = [splits.random_split(N, fold)[1] for fold in FOLDS]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(N))


def test_tuning_fold_comes_from_another_shuffle():
    tuning = splits.random_split(N, -1)[1]
    for fold in FOLDS:
        shared = np.isin(tuning, splits.random_split(N, fold)[1]).mean()
        # A fifth by chance; five standard deviations are 0.02.
        assert shared == pytest.approx(0.2, abs=0.02)


def test_random_split_is_shuffled_and_deterministic():
    for one, two in zip(splits.random_split(N, 2), splits.random_split(N, 2)):
        np.testing.assert_array_equal(one, two)
    validation = splits.random_split(N, 2)[1]
    # Every tenth of the data set has its fifth, to five standard deviations.
    counts = np.histogram(validation, bins=10, range=(0, N))[0]
    np.testing.assert_allclose(counts, N / 50, atol=150)


@pytest.mark.parametrize("fold", [-2, 5, 0.5, None, "0"])
def test_random_split_refuses_folds_that_do_not_exist(fold):
    with pytest.raises(ValueError, match="-1 to 4"):
        splits.random_split(N, fold)


# --- The separated split ----------------------------------------------------


@pytest.mark.parametrize("fold", [-1, 5, 0.5, None])
def test_separated_split_refuses_folds_that_do_not_exist(views, fold):
    with pytest.raises(ValueError, match="0 to 4"):
        splits.separated_split(views[1], fold)


@pytest.mark.parametrize("fold", FOLDS)
def test_separated_split_is_disjoint_and_has_every_class_on_both_sides(views, fold):
    training, validation = splits.separated_split(views[1], fold)
    assert not np.isin(training, validation).any()
    label = views[2]
    for part in (training, validation):
        assert (np.diff(part) > 0).all()
        share = np.bincount(label[part], minlength=7)[1:] / len(part)
        # The shares of the whole set: classes lose the same places of b.
        np.testing.assert_allclose(share, [0.1, 0.1, 0.3, 0.3, 0.1, 0.1], atol=1e-12)
    # 8 or 9 of 41 degrees of b held out; 5 or 10 dropped.
    held_out, kept = [(9, 27), (8, 23), (8, 23), (8, 23), (8, 28)][fold]
    assert (len(validation), len(training)) == (held_out * N // 41, kept * N // 41)


def test_separated_folds_hold_out_every_view_once(views):
    parts = [splits.separated_split(views[1], fold)[1] for fold in FOLDS]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(N))


@pytest.mark.parametrize("fold", FOLDS)
def test_no_validation_view_is_within_five_degrees_of_a_training_view(views, rotations, fold):
    training, validation = splits.separated_split(views[1], fold)
    distance = nearest(rotations[training], rotations[validation])
    # Whole degrees: the nearest allowed view is 6 degrees off.
    assert distance.min() == pytest.approx(6, abs=1e-6)


@pytest.mark.parametrize("fold", FOLDS)
def test_nor_after_turning_the_die_by_the_symmetries_of_the_labeled_face(views, rotations, fold):
    training, validation = splits.separated_split(views[1], fold)
    label = views[2][validation]
    for number, (axis, step) in TURNS.items():
        shown = rotations[validation[label == number]]
        for angle in range(step, 360, step):
            turned = shown * Rotation.from_euler(axis, angle, degrees=True)
            assert nearest(rotations[training], turned).min() > 5.5


def test_the_measure_finds_the_twins_of_a_random_split(views, rotations):
    # The same measure on the leaking split, so that it is known to see leaks:
    # neighbors 1 degree off, and rotated twins that coincide exactly.
    training, validation = splits.random_split(N, 0)
    some = validation[views[2][validation] == 4][::50]
    assert nearest(rotations[training], rotations[some]).max() < 2.5
    turned = rotations[some] * Rotation.from_euler("z", 90, degrees=True)
    assert np.median(nearest(rotations[training], turned)) < 1e-4


def test_nearest_difference_equals_all_pairs():
    rng = np.random.RandomState(0)
    images = rng.rand(60, 4, 4).astype(np.float32)
    training, validation = np.arange(40), np.arange(40, 60)
    expected = [
        min(np.sqrt(((images[v] - images[t]) ** 2).mean()) for t in training) for v in validation
    ]
    found = splits.nearest_difference(images, training, validation, batch_size=7)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_validation_image_that_was_trained_on_is_found():
    images = np.random.RandomState(1).rand(10, 4, 4).astype(np.float32)
    images[9] = images[3]
    found = splits.nearest_difference(images, np.arange(9), np.array([9]))
    assert found[0] == 0


@pytest.mark.parametrize("fold", range(5))
def test_distances_are_those_to_the_nearest_training_view(fold):
    """Against all training views with the same a, which are the nearest."""
    a, b, _ = die360.angles()
    training, validation = splits.separated_split(b, fold)
    distance = splits.separated_distance(b, fold)
    here = np.flatnonzero(a == 10)
    trained = np.intersect1d(here, training)
    for view in here[::7]:
        apart = np.abs(b[trained] - b[view]) % 360
        assert distance[view] == np.minimum(apart, 360 - apart).min()
    assert (distance[training] == 0).all()
    assert distance[validation].min() == 6
    dropped = np.setdiff1d(np.arange(len(b)), np.union1d(training, validation))
    assert set(distance[dropped]) <= {1, 2, 3, 4, 5}
