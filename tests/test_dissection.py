"""Dissection against literals, slow references, and ground-truth features."""

import attributions
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats

from cnnviz.attribution import activations
from cnnviz.attribution.receptive_field import ReceptiveField, receptive_field
from cnnviz.datasets import die360
from cnnviz.dissection import label_statistics, labels, network_dissection
from cnnviz.dissection.localization import Chance, localization
from cnnviz.dissection.top_images import top_images
from cnnviz.evaluation import die_concepts
from cnnviz.networks import layers
from cnnviz.runtime.backend import lasagne

L = lasagne.layers
PIXELS = ReceptiveField((1, 1), (1, 1), (0, 0))  # every neuron sees its pixel
seeds = st.integers(0, 10**6)


def maps_of(*photographs):
    """Maps of one feature with one row of neurons."""
    return np.array(photographs, np.float32)[:, None, None]


def parts(rng, count):
    """A random order of the photographs, cut at random places."""
    order = rng.permutation(count)
    cuts = np.sort(rng.randint(0, count + 1, rng.randint(0, 4)))
    return [part for part in np.split(order, cuts) if len(part)]


# The strongest photographs.


def test_the_strongest_come_first_with_their_places():
    top = top_images(maps_of([0, 3], [5, 1], [4, 4]), [10, 11, 12], count=2)
    assert top.maxima.tolist() == [[5, 4]] and top.index.tolist() == [[11, 12]]
    assert top.places.tolist() == [[[0, 0], [0, 0]]]


def test_of_equal_maxima_the_lower_number_comes_first():
    top = top_images(maps_of([7], [7], [7]), [2, 0, 1], count=2)
    assert top.index.tolist() == [[0, 1]]


def test_equal_photographs_count_once():
    top = top_images(
        maps_of([9], [8], [9], [1]), [3, 1, 0, 2], keys=["same", "b", "same", "c"], count=3
    )
    assert top.index.tolist() == [[0, 1, 2]]
    assert top.keys.tolist() == [["same", "b", "c"]]


def test_a_photograph_given_twice_counts_once():
    before = top_images(maps_of([1], [2]), [0, 1])
    top = top_images(maps_of([2], [0]), [1, 2], before=before)
    assert top.index.tolist() == [[1, 0, 2]]


def slow_top_images(maps, keys, count):
    """Feature by feature and photograph by photograph, from the definition."""
    found = []
    for feature in range(maps.shape[1]):
        seen, chosen = set(), []
        for k in sorted(range(len(maps)), key=lambda k: (-maps[k, feature].max(), k)):
            if keys[k] not in seen:
                seen.add(keys[k])
                chosen.append(k)
        found.append(chosen[:count])
    return found


@settings(max_examples=60)
@given(seeds)
def test_how_photographs_are_divided_does_not_change_the_strongest(seed):
    rng = np.random.RandomState(seed)
    count, keep = rng.randint(1, 20), rng.randint(1, 6)
    maps = rng.randint(0, 6, (count, 3, 2, 3)).astype(np.float32)  # with ties
    keys = rng.randint(0, count, count)
    maps = maps[keys]  # equal photographs have equal maps
    top = None
    for part in parts(rng, count):
        top = top_images(maps[part], part, keys[part], keep, before=top)
    assert top.index.tolist() == slow_top_images(maps, keys, keep)
    features = np.arange(3)[:, None]
    reached = maps[top.index, features, top.places[..., 0], top.places[..., 1]]
    np.testing.assert_array_equal(reached, top.maxima)
    np.testing.assert_array_equal(keys[top.index], top.keys)


# Thresholds.


def test_half_a_percent_of_a_thousand_values_are_above():
    maps = np.random.RandomState(0).permutation(1000).reshape(10, 1, 10, 10)
    values = network_dissection.highest(maps, 1000)
    assert sorted(values[0].tolist()) == [994, 995, 996, 997, 998, 999]
    assert network_dissection.thresholds(values, 1000).tolist() == [994]


def test_a_feature_that_is_always_the_same_is_above_nowhere():
    maps = np.full((4, 1, 5, 5), 0.1, np.float32)
    (limit,) = network_dissection.thresholds(network_dissection.highest(maps, 100, 0.1), 100, 0.1)
    assert not (maps > limit).any()


@settings(max_examples=60)
@given(seeds, st.sampled_from([0.005, 0.1, 0.5, 0.9]))
def test_how_photographs_are_divided_does_not_change_thresholds(seed, share):
    rng = np.random.RandomState(seed)
    maps = rng.randint(0, 9, (rng.randint(1, 15), 3, 3, 4)).astype(np.float32)
    total, values = maps[:, 0].size, None
    for part in parts(rng, len(maps)):
        values = network_dissection.highest(maps[part], total, share, before=values)
    limits = network_dissection.thresholds(values, total, share)
    everything = np.sort(np.moveaxis(maps, 1, 0).reshape(3, -1))
    above = int(share * total + 1e-9)
    np.testing.assert_array_equal(limits, everything[:, total - 1 - above])
    assert ((maps > limits[:, None, None]).mean(axis=(0, 2, 3)) <= share + 1e-9).all()


# Up-sampling.


def test_upsampling_by_hand():
    field = ReceptiveField(size=(3, 3), stride=(1, 4), start=(-1, -1))
    found = network_dissection.upsample(np.array([[0.0, 8.0]]), field, (1, 7))
    # Centers at 0 and 4; beyond them the map goes on as it ends.
    assert found.tolist() == [[0, 2, 4, 6, 8, 8, 8]]


def test_a_field_of_even_size_has_its_center_between_pixels():
    field = ReceptiveField(size=(2, 1), stride=(2, 1), start=(0, 0))
    found = network_dissection.upsample(np.array([[0.0], [4.0]]), field, (4, 1))
    assert found[:, 0].tolist() == [0, 1, 3, 4]


@settings(max_examples=40)
@given(*[st.integers(1, 6)] * 2, st.integers(1, 9), st.integers(1, 5), st.integers(-9, 3))
def test_a_map_of_its_centers_becomes_the_pixels_places(rows, columns, size, stride, start):
    field = ReceptiveField((size, size + 1), (stride, stride + 1), (start, start - 1))
    centers = [
        np.array([sum(field.box(k, k)[axis::2]) - 1 for k in range(count)]) / 2
        for axis, count in enumerate((rows, columns))
    ]
    maps = np.stack(np.meshgrid(*centers, indexing="ij"))
    found = network_dissection.upsample(maps, field, (17, 19))
    for axis, (length, center) in enumerate(zip((17, 19), centers)):
        expected = np.clip(np.arange(length), center[0], center[-1])
        along = found[axis] if axis == 0 else found[axis].T
        np.testing.assert_allclose(
            along, np.repeat(expected[:, None], along.shape[1], 1), atol=1e-5
        )


def test_the_center_of_the_up_sampled_peak_is_the_pixel_that_made_it():
    inputs = L.InputLayer((None, 1, 33, 33), name="input")
    ones = dict(W=lasagne.init.Constant(1), nonlinearity=None)
    layer = layers.SameConv2DLayer(inputs, 1, 3, stride=2, **ones)
    layer = layers.SameConv2DLayer(layer, 1, 3, stride=2, **ones)
    image = np.zeros((1, 1, 33, 33), np.float32)
    image[0, 0, 12, 20] = 1
    found = network_dissection.upsample(
        activations.feature_maps(layer, image)[0, 0], receptive_field(layer), (33, 33)
    )
    assert np.allclose(ndimage.center_of_mass(found), [12, 20])


# Overlap.


def test_overlap_by_hand():
    maps = maps_of([0, 2, 3, 0], [0, 0, 0, 9])
    masks = [[[[0, 1, 0, 0]], [[1, 1, 1, 1]]], [[[0, 1, 0, 1]], [[0, 0, 0, 0]]]]
    found = network_dissection.overlaps(maps, masks, [1], PIXELS)
    assert found.common.tolist() == [[2, 2]] and found.marked.tolist() == [[3, 3]]
    np.testing.assert_allclose(found.iou, [[2 / 4, 2 / 5]])
    first_only = network_dissection.overlaps(
        maps, masks, [1], PIXELS, known=[[True, False], [False, False]]
    )
    np.testing.assert_allclose(first_only.iou, [[1 / 2, np.nan]])


def test_names_by_overlap():
    iou = np.array([[0.05, 0.2], [0.04, 0.01], [np.nan, 0.3], [np.nan, np.nan]])
    assert network_dissection.detectors(iou, ("disc", "fovea")).tolist() == [
        "fovea",
        "other",
        "fovea",
        "other",
    ]


def slow_overlap(maps, masks, limits, known):
    """Pixel sets of the whole data set, for neurons that are pixels."""
    found = np.full((len(limits), masks.shape[1]), np.nan)
    for feature, limit in enumerate(limits):
        for concept in range(masks.shape[1]):
            above = maps[known[:, concept], feature] > limit
            mask = masks[known[:, concept], concept]
            union = (above | mask).sum()
            if union:
                found[feature, concept] = (above & mask).sum() / union
    return found


@settings(max_examples=40)
@given(seeds)
def test_how_photographs_are_divided_does_not_change_overlap(seed):
    rng = np.random.RandomState(seed)
    maps = rng.randint(0, 9, (rng.randint(1, 9), 3, 4, 5)).astype(np.float32)
    masks = rng.rand(len(maps), 2, 4, 5) < rng.choice([0, 0.3])
    known = rng.rand(len(maps), 2) < 0.7
    limits, found = rng.randint(0, 12, 3), None
    for part in parts(rng, len(maps)):
        found = network_dissection.overlaps(
            maps[part], masks[part], limits, PIXELS, known[part], before=found
        )
    np.testing.assert_allclose(found.iou, slow_overlap(maps, masks, limits, known))


# Localization.


def test_localization_by_hand():
    saliency_map = np.array([[[0, 6.0, -9.0, 0]]])
    masks = [[[[False, True, True, False]]]]
    found = localization(saliency_map, masks)
    # One pixel; two of its four places are on the mask.
    assert found.share == 1 and found.expected == 0.5 and found.lift == 2
    assert abs(found.p - 0.5) < 0.02


def test_what_leaves_the_field_is_dropped():
    field = np.array([[[True, True, True, False]]])
    masks = [[[[1.0, 0, 0, 1.0]]]]
    found = localization(np.array([[[3.0, 1, 0, 5]]]), masks, field)
    # The patch 3/4, 1/4 may stand at 0, 1, or 2, where it loses its second pixel.
    np.testing.assert_allclose([found.share, found.expected], [[3 / 4], [3 / 4 / 3]])
    whole = localization(np.array([[[3.0, 1, 0, 5]]]), masks, field, chance=Chance(least=1))
    np.testing.assert_allclose(whole.expected, [3 / 4 / 2])


def slow_chance(values, mask, field, least):
    """Shares on a mask at all places, pixel by pixel."""
    positive = np.where(field, np.maximum(values, 0), 0)
    rows, columns = values.shape
    found = []
    for down in range(-rows + 1, rows):
        for right in range(-columns + 1, columns):
            inside = on = 0
            for i, j in np.argwhere(positive):
                row, column = i + down, j + right
                if 0 <= row < rows and 0 <= column < columns and field[row, column]:
                    inside += positive[i, j]
                    on += positive[i, j] * mask[row, column]
            if inside >= least * positive.sum() - 1e-9:
                found.append(on / inside)
    return np.array(found)


@settings(max_examples=25)
@given(seeds, st.sampled_from([0.2, 0.5, 1]))
def test_chance_is_every_place(seed, least):
    rng = np.random.RandomState(seed)
    values = rng.randn(2, 5, 6) * (rng.rand(2, 5, 6) < 0.3)
    masks, field = rng.rand(2, 3, 5, 6), rng.rand(2, 5, 6) < 0.8
    masks[:, 1] *= rng.rand(2, 5, 6) < 0.1
    counts = (np.where(field, values, 0) > 0).any(axis=(1, 2))
    found = localization(values, masks, field, chance=Chance(4000, least))
    if not counts.any():
        assert np.isnan(found.share).all() and np.isnan(found.p).all()
        return
    for c in range(3):
        chance = [
            slow_chance(values[k], masks[k, c], field[k], least) for k in np.flatnonzero(counts)
        ]
        np.testing.assert_allclose(
            found.expected[c], np.mean([x.mean() for x in chance]), atol=1e-12
        )
        sums = chance[0] if len(chance) == 1 else np.add.outer(*chance) / 2
        if found.expected[c] > 0:
            exact = (sums >= found.share[c] - 1e-9).mean()
            assert abs(found.p[c] - exact) < 0.05
        else:
            assert np.isnan(found.p[c])
    positive = np.where(field, np.maximum(values, 0), 0)[counts]
    share = (positive[:, None] * masks[counts]).sum((2, 3)) / positive.sum((1, 2))[:, None]
    np.testing.assert_allclose(found.shares[counts], share)
    np.testing.assert_allclose(found.share, share.mean(axis=0))


def test_concepts_count_where_they_are_known_and_there():
    saliency_maps = np.zeros((2, 1, 4))
    saliency_maps[:, 0, 0] = 1
    masks = [[[[1, 0, 0, 0]]] * 3, [[[0, 0, 0, 1]], [[0, 1, 0, 0]], [[0, 0, 0, 1]]]]
    masks = np.array(masks)
    masks[:, 1] = 0
    known = [[True, True, False], [False, True, False]]
    found = localization(saliency_maps, masks, known=known)
    np.testing.assert_array_equal(found.share, [1, 0, np.nan])
    np.testing.assert_array_equal(found.lift, [4, np.nan, np.nan])
    np.testing.assert_array_equal(np.isnan(found.p), [False, True, True])
    np.testing.assert_array_equal(found.shares[1], [np.nan, 0, np.nan])


def blob(rng, side, center):
    """A smooth patch of random size and shape."""
    y, x = np.mgrid[:side, :side]
    spread = rng.uniform(1, 2, 2)
    return np.exp(-(((y - center[0]) / spread[0]) ** 2) - ((x - center[1]) / spread[1]) ** 2)


@pytest.fixture(scope="module")
def p_values():
    """Of 300 features whose places mean nothing, and of 20 that follow the mask."""
    rng, side = np.random.RandomState(0), 24

    def p_value(follows):
        masks = ndimage.gaussian_filter(rng.randn(3, side, side), (0, 2, 2))
        masks = (masks > masks.mean())[:, None]
        places = [rng.uniform(4, side - 4, 2) for _ in masks]
        if follows:
            places = [
                rng.permutation(np.argwhere(ndimage.binary_erosion(mask[0])))[0] for mask in masks
            ]
        maps = np.stack([blob(rng, side, place) for place in places])
        # The patch ends where it is too faint, well inside the picture.
        return localization(
            np.where(maps > 0.1, maps, 0),
            masks,
            chance=Chance(499, least=1, seed=rng.randint(2**31)),
        ).p[0]

    return (
        np.array([p_value(False) for _ in range(300)]),
        np.array([p_value(True) for _ in range(20)]),
    )


def test_p_values_of_random_places_are_uniform(p_values):
    random, _ = p_values
    assert stats.kstest(random, "uniform").pvalue > 0.01
    assert (random < 0.05).mean() < 0.09


def test_p_values_of_features_that_follow_are_small(p_values):
    _, following = p_values
    assert np.median(following) < 0.02 and following.max() < 0.3


@settings(max_examples=20)
@given(seeds)
def test_order_and_strength_of_photographs_do_not_matter(seed):
    rng = np.random.RandomState(seed)
    values, masks = rng.randn(4, 6, 7), rng.rand(4, 2, 6, 7) < 0.3
    order = rng.permutation(4)
    first, second = (
        localization(*pair, chance=Chance(5000))
        for pair in (
            (values, masks),
            (values[order] * rng.uniform(0.1, 9, (4, 1, 1)), masks[order]),
        )
    )
    np.testing.assert_allclose(first.share, second.share)
    np.testing.assert_allclose(first.lift, second.lift)
    np.testing.assert_allclose(first.p, second.p, atol=0.05)


# Labels.


def slow_benjamini_hochberg(p):
    """Benjamini and Hochberg: the smallest rate at which each would be found."""
    ranked = sorted(p)
    return [
        min(ranked[j] * len(p) / (j + 1) for j in range(len(p)) if ranked[j] >= each) for each in p
    ]


@settings(max_examples=30)
@given(st.lists(st.floats(1e-4, 1), min_size=1, max_size=12))
def test_adjusted_p_values(p):
    found = labels.benjamini_hochberg([[*p, np.nan]])
    np.testing.assert_allclose(found[0, :-1], np.minimum(slow_benjamini_hochberg(p), 1))
    assert np.isnan(found[0, -1])


def test_nothing_tested_is_nothing_found():
    assert np.isnan(labels.benjamini_hochberg(np.full((2, 2), np.nan))).all()


CONCEPTS = ("hard exudate", "optic disc", "fovea")


def test_labels_and_confusions_by_hand():
    significant = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 0, 1], [1, 1, 1]], bool)
    assert labels.labels(significant, CONCEPTS).tolist() == [
        "hard exudate",
        "mixture",
        "other",
        "fovea",
        "mixture",
    ]
    found = label_statistics.confusion_pairs(significant, CONCEPTS)
    assert [(*names, which.tolist()) for *names, which in found] == [
        ("hard exudate", "optic disc", [1, 4]),
        ("hard exudate", "fovea", [4]),
        ("optic disc", "fovea", [4]),
    ]


def test_all_three_conditions_must_hold():
    share = np.array([[0.5, 0.5, 0.5, 0.04, np.nan]])
    lift = np.array([[2.0, 1.9, 5.0, 50.0, np.nan]])
    q = np.array([[0.01, 0.01, 0.05, 0.01, np.nan]])
    assert labels.is_significant(share, lift, q).tolist() == [[True, *[False] * 4]]
    assert labels.is_significant(share, lift, q, margin=1.5, least=0.01, rate=0.1).tolist() == [
        [True] * 4 + [False]
    ]


# The summary.


def test_frequencies_of_all_and_of_the_sampled():
    found = ["disc"] * 16 + ["mixture"] * 16 + ["other"] * 32
    rows = label_statistics.label_frequencies({"pool3": found}, ("disc", "vessels"), samples=4000)
    assert [row["label"] for row in rows] == ["disc", "vessels", "other"]
    assert [row["count"] for row in rows] == [16, 0, 48]
    assert [row["mean"] for row in rows] == [12.5, 0, 37.5]
    assert all(
        row["layer"] == "pool3" and row["features"] == 64 and row["sampled"] == 50 for row in rows
    )
    # The binomial's own quantiles.
    assert [rows[0]["low"], rows[0]["high"]] == stats.binom(50, 0.25).ppf([0.025, 0.975]).tolist()
    assert rows[1]["low"] == rows[1]["high"] == 0


def test_layers_with_few_features_are_looked_at_whole():
    rows = label_statistics.label_frequencies(
        {"pool1": ["disc"] * 32, "pool2": ["other"] * 32}, ["disc"]
    )
    assert [(row["layer"], row["sampled"], row["mean"], row["high"]) for row in rows] == [
        ("pool1", 32, 32, 32),
        ("pool1", 32, 0, 0),
        ("pool2", 32, 0, 0),
        ("pool2", 32, 32, 32),
    ]


# Ground-truth features.


def labeled(layer, images, masks, concepts, magnitude=False):
    """The whole way: maps in parts, photographs, saliency, names; and overlap."""
    field, top, values = receptive_field(layer), None, None
    slices = [slice(start, start + 16) for start in range(0, len(images), 16)]
    total = len(images) * np.prod(layer.output_shape[2:])
    maps = [activations.feature_maps(layer, images[part]) for part in slices]
    for part, found in zip(slices, maps):
        top = top_images(found, np.arange(len(images))[part], before=top)
        values = network_dissection.highest(found, total, before=values)
    limits, overlap = network_dissection.thresholds(values, total), None
    for part, found in zip(slices, maps):
        overlap = network_dissection.overlaps(found, masks[part], limits, field, before=overlap)
    rows = []
    for feature, chosen in enumerate(top.index):
        gradient = attributions.gradient(layer, images[chosen], feature)[0]
        rows.append(
            localization(
                np.abs(gradient) if magnitude else gradient, masks[chosen], chance=Chance(1999)
            )
        )
    share, lift, p = (
        np.stack([getattr(row, name) for row in rows]) for name in ("share", "lift", "p")
    )
    significant = labels.is_significant(share, lift, labels.benjamini_hochberg(p))
    return labels.labels(significant, concepts), overlap.iou, significant, share


def ground_truth_images(count=60, side=64):
    """Noise with a bright spot, a vertical edge, a dark spot; their exact masks."""
    rng, (y, x) = np.random.RandomState(1), np.mgrid[:side, :side]
    images = rng.randn(count, 1, side, side)
    masks = np.zeros((count, 3, side, side), bool)
    for image, mask in zip(images, masks):
        column = rng.randint(40, side - 8)
        image[0] += np.where(x > column, 2.5, 0)
        mask[1] = abs(x - column - 0.5) < 4
        for concept, sign in ((0, 1), (2, -1)):
            row, column = rng.randint(6, side - 6), rng.randint(6, 30)
            distance = np.hypot(y - row, x - column)
            image[0] += sign * rng.uniform(3, 4) * np.exp(-((distance / 2) ** 2))
            mask[concept] = distance < 3
    return images.astype(np.float32), masks


def ground_truth_filters():
    """Bright spot, vertical edge, noise, dark spot; sum 0, norm 1."""
    y, x = np.mgrid[-3:4, -3:4]
    spot = np.exp(-(y**2 + x**2) / 4)
    kernels = np.stack([spot, np.sign(x), np.random.RandomState(2).randn(7, 7), -spot])
    kernels -= kernels.mean(axis=(1, 2), keepdims=True)
    return kernels / np.sqrt((kernels**2).sum(axis=(1, 2), keepdims=True))


@pytest.fixture(scope="module")
def ground_truth():
    """Pooled filters, and a fifth feature: the sum of bright spots and of edges."""
    inputs = L.InputLayer((None, 1, 64, 64), name="input")
    layer = layers.SameConv2DLayer(
        inputs, 4, 7, W=ground_truth_filters()[:, None].astype(np.float32)
    )
    mix = np.eye(5, 4, dtype=np.float32)
    mix[4, :2] = 1, 0.35  # edges excite more
    layer = layers.SameConv2DLayer(layer, 5, 1, W=mix[:, :, None, None])
    return L.MaxPool2DLayer(layer, 2)


GROUND_TRUTH = ("bright spot", "edge", "dark spot")


def test_ground_truth_features_get_their_names(ground_truth):
    names, iou, significant, _ = labeled(
        ground_truth, *ground_truth_images(), GROUND_TRUTH, magnitude=True
    )
    assert names.tolist() == ["bright spot", "edge", "other", "dark spot", "mixture"]
    assert [
        (*pair, which.tolist())
        for *pair, which in label_statistics.confusion_pairs(significant, GROUND_TRUTH)
    ] == [("bright spot", "edge", [4])]
    # Edges are an eighth of the pixels, of which half a percent is no overlap.
    assert network_dissection.detectors(iou, GROUND_TRUTH)[:4].tolist() == [
        "bright spot",
        "other",
        "other",
        "dark spot",
    ]
    assert iou[1].argmax() == 1


def test_the_gradient_of_a_dark_spot_is_positive_beside_it(ground_truth):
    *_, magnitude = labeled(ground_truth, *ground_truth_images(), GROUND_TRUTH, magnitude=True)
    *_, positive = labeled(ground_truth, *ground_truth_images(), GROUND_TRUTH)
    assert magnitude[3, 2] > 0.5 and positive[3, 2] < 0.1 and positive[0, 0] > 0.9


# Die360.


def die_views():
    """Views with their contrast evened out, and masks of their parts."""
    a, b = (column[::900] for column in die360.angles()[:2])
    images = die360.render(a, b, 64)
    images = np.clip(images - ndimage.gaussian_filter(images, (0, 3, 3)), -0.05, 0.05)
    masks = die_concepts.concept_masks(die360.regions(a, b, 64))
    return 20 * images[:, None].astype(np.float32), np.moveaxis(masks, 0, 1)


def test_pips_and_edges_of_the_die_get_their_names():
    """A disc with a dark rim, and a bright side with a dark one."""
    distance = np.hypot(*np.mgrid[-5:6, -5:6])
    disc, rim = distance < 3.8, (distance >= 3.8) & (distance < 5.6)
    side = np.repeat([np.sign(np.arange(-5, 6))], 11, axis=0)
    kernels = np.stack([disc / disc.sum() - rim / rim.sum(), side / np.abs(side).sum()])
    inputs = L.InputLayer((None, 1, 64, 64), name="input")
    layer = L.MaxPool2DLayer(
        layers.SameConv2DLayer(inputs, 2, 11, W=kernels[:, None].astype(np.float32)), 2
    )
    names, iou, *_ = labeled(layer, *die_views(), die_concepts.CONCEPTS)
    assert names.tolist() == ["pip", "edge"]
    assert [die_concepts.CONCEPTS[k] for k in iou.argmax(axis=1)] == ["pip", "edge"]


# What is refused.

MAPS, MASKS = np.zeros((2, 3, 4, 4)), np.zeros((2, 1, 4, 4))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: top_images(MAPS[0], [0]), r"maps are .* not \(3, 4, 4\)"),
        (lambda: top_images(MAPS[:0], []), "maps are "),
        (lambda: top_images(MAPS + np.nan, [0, 1]), "maps hold .* not finite"),
        (lambda: top_images(MAPS, [0, 1], count=0), "count must be at least 1"),
        (lambda: top_images(MAPS, [0]), "index: one to each of 2 photographs"),
        (lambda: top_images(MAPS, [0, 1], [0]), "keys: one to each of 2"),
        (
            lambda: top_images(MAPS[:, :1], [0, 1], before=top_images(MAPS, [0, 1])),
            "maps of 1 features after 3",
        ),
        (lambda: network_dissection.highest(MAPS, 32, 1), "share must lie between 0 and 1, not 1"),
        (
            lambda: network_dissection.highest(MAPS, 32, before=np.zeros((2, 1))),
            "3 features after 2",
        ),
        (
            lambda: network_dissection.thresholds(np.zeros((3, 5)), 1000),
            "5 of the 6 highest .*seen",
        ),
        (lambda: network_dissection.overlaps(MAPS, MASKS, [0], PIXELS), "3 features after 1"),
        (
            lambda: network_dissection.overlaps(MAPS, MASKS[:1], [0] * 3, PIXELS),
            "masks of 1 photog",
        ),
        (lambda: network_dissection.overlaps(MAPS, MASKS[0], [0] * 3, PIXELS), "masks of 1 photog"),
        (lambda: network_dissection.overlaps(MAPS, MASKS[0, 0, :2], [0] * 3, PIXELS), "masks are"),
        (
            lambda: network_dissection.overlaps(MAPS, [MASKS[0], MASKS[1, :, 1:]], [0] * 3, PIXELS),
            "masks of shapes",
        ),
        (
            lambda: network_dissection.overlaps(MAPS, MASKS, [0] * 3, PIXELS, known=[[True]]),
            "known: 2",
        ),
        (lambda: network_dissection.detectors(np.zeros((3, 2)), CONCEPTS), "3 concepts for values"),
        (lambda: localization(MAPS, MASKS), "saliency is "),
        (lambda: localization(MAPS[:, 0] * np.inf, MASKS), "saliency .*not finite"),
        (lambda: localization(MAPS[:, 0], MASKS, MAPS[:, 0]), "field: bool"),
        (lambda: localization(MAPS[:, 0], MASKS, MAPS[0] > 0), "field: bool"),
        (lambda: localization(MAPS[:, 0], MASKS[..., :3]), "saliency of shape"),
        (lambda: Chance(least=0), "0 < least <= 1, not"),
        (lambda: Chance(permutations=0), "one permutation"),
        (lambda: labels.is_significant(MAPS, MAPS, MASKS), "they must agree"),
        (lambda: labels.labels(np.zeros((3, 2)), CONCEPTS), "3 concepts for values"),
        (lambda: label_statistics.confusion_pairs(np.zeros(3), CONCEPTS), "3 concepts for values"),
        (
            lambda: label_statistics.label_frequencies({"pool1": []}, ["disc"]),
            "layer 'pool1' has no labels",
        ),
        (
            lambda: label_statistics.label_frequencies({"pool1": ["disc"]}, [], samples=0),
            "at least 1, not",
        ),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match=message):
        call()
