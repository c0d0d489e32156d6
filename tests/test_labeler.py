"""The labeler of features on known truth: ground-truth features, random filters, the die."""

import attributions
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnviz.attribution import activations, overlay
from cnnviz.attribution.receptive_field import receptive_field
from cnnviz.cli.dispatch import main
from cnnviz.datasets import concepts, die360
from cnnviz.dissection import (
    ground_truth_features,
    label_statistics,
    labels,
    network_dissection,
    validation,
    validation_die,
)
from cnnviz.dissection.images import ImagesInMemory
from cnnviz.dissection.judgment import judge
from cnnviz.dissection.labeler import Labeler, LocalizedLayer, magnitude
from cnnviz.dissection.localization import Chance, Evidence, localization
from cnnviz.dissection.placements import ConceptMasks
from cnnviz.experiments.labeler_validation import Null, Validation, Wanted
from cnnviz.networks import die, layers
from cnnviz.runtime.backend import lasagne
from cnnviz.thesis.tables import labeler_validation, labeler_validation_die

seeds = st.integers(0, 10**6)


# --- Ground-truth features ---------------------------------------------------------


@pytest.fixture(scope="module")
def photographs():
    return list(ground_truth_features.photographs(16))


@pytest.fixture(scope="module")
def rows(photographs):
    return validation.on_ground_truth(photographs, permutations=1999)


def test_ground_truth_features_get_their_names(rows):
    assert [row.label for row in rows] == [row.feature.name for row in rows]
    names = {row.feature.name for row in rows}
    assert names == {
        "hard exudate",
        "microaneurysm",
        "field edge",
        "optic disc",
        "mixture",
        "other",
    }


def test_ground_truth_features_find_what_they_look_for(rows):
    """The premise: known from where the maximal neurons are, without a labeler."""
    assert all(row.on_target >= 7 for row in rows if row.feature.parts)


def test_overlap_names_single_concepts_alike(rows):
    single = [row for row in rows if row.feature.name != "mixture"]
    assert [row.overlap for row in single] == [row.feature.name for row in single]


def test_random_filters_in_noise_are_named_no_more_than_the_rate_allows(photographs):
    own = [each.index for each in photographs]
    (null,) = validation.on_random_filters(
        photographs, [own], 24, slice(ground_truth_features.NOISE, None), 999
    )
    assert np.mean(null.labels != "other") <= labels.RATE
    p = null.p[np.isfinite(null.p)]
    assert len(p) > 200 and (p < 0.05).mean() < 0.08 and (p < 0.5).mean() > 0.2


def test_random_filters_are_not_named_after_lesions_of_others(photographs):
    own = [each.index for each in photographs]
    with_own, with_others = validation.on_random_filters(
        photographs,
        [own, validation.of_others(photographs)],
        24,
        slice(0, ground_truth_features.NOISE),
        999,
    )
    false = ~np.isin(with_others.labels, ("other", "field edge"))
    assert false.mean() <= labels.RATE
    # There is something to be found: edges in both, and lesions where they are.
    assert np.isin(with_others.labels, "field edge").any()
    assert (with_own.labels != with_others.labels).any()


def test_others_lesions_come_with_the_own_edge(photographs):
    edge = concepts.CONCEPTS.index("field edge")
    for own, found in zip(photographs, validation.of_others(photographs)):
        np.testing.assert_array_equal(found == edge, own.index == edge)
        same = [
            (found == other.index)[(own.index != edge) & (other.index != edge)].all()
            for other in photographs
        ]
        others = [other for other, equal in zip(photographs, same) if equal]
        assert [each.side for each in others] == [own.side]
        assert others[0].patient != own.patient


def test_without_another_patient_there_are_no_others(photographs):
    with pytest.raises(ValueError, match="no other patient's .* eye; draw more"):
        validation.of_others(photographs[:1])


# --- The whole way, step by step ----------------------------------------------


@pytest.fixture(scope="module")
def small():
    """A network of two pooling layers, its images, and masks."""
    rng = np.random.RandomState(3)
    network = die.build("c2", seed=3)
    images = rng.randn(14, 1, 32, 32).astype(np.float32)
    return layers.pooling_layers(network), images, rng.rand(14, 2, 32, 32) < 0.3


@pytest.mark.parametrize("windows", [True, False])
def test_what_the_labeler_finds_is_localization(small, windows):
    pooling, pixels, masks = small
    images = ImagesInMemory(pixels, masks)
    labeler = Labeler(pooling, windows)
    top = [each.all for each in labeler.dissect(images)]
    found = labeler.localize(images, top, Chance(499), sigma=1.0)
    for layer, best, each in zip(pooling, top, found):
        maps = activations.feature_maps(layer, pixels).max(axis=(2, 3))
        np.testing.assert_array_equal(best.index, np.argsort(-maps, axis=0)[:9].T)
        for feature, chosen in enumerate(best.index):
            gradient = np.abs(attributions.gradient(layer, pixels[chosen], feature)[0])
            expected = localization(
                overlay.smooth(gradient), masks[chosen], chance=Chance(499, seed=feature)
            )
            np.testing.assert_allclose(each.share[feature], expected.share, atol=1e-5)
            np.testing.assert_allclose(each.expected[feature], expected.expected, rtol=1e-4)
            np.testing.assert_allclose(each.p[feature], expected.p, atol=0.08)
            np.testing.assert_allclose(
                each.gradient[feature], gradient.sum(axis=(1, 2)).mean(), rtol=1e-4
            )


def test_new_weights_count_without_compiling_again(small):
    pooling, pixels, masks = small
    network, images = die.build("c2", seed=1), ImagesInMemory(pixels, masks)
    labeler = Labeler(layers.pooling_layers(network), windows=False)
    lasagne.layers.set_all_param_values(
        network, lasagne.layers.get_all_param_values(die.build("c2", 3))
    )
    expected = Labeler(pooling, windows=False)
    top = [each.all for each in expected.dissect(images)]
    for first, second in zip(
        labeler.saliency_maps(images, top), expected.saliency_maps(images, top), strict=True
    ):
        assert first[:3] == second[:3]
        np.testing.assert_allclose(first.gradient, second.gradient, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 5, 100])
def test_parts_do_not_change_what_is_found(small, batch_size):
    pooling, pixels, masks = small
    marked, measured = np.arange(14) % 3 > 0, np.arange(1, 14, 2)
    found = Labeler(pooling, windows=False, features=2).dissect(
        ImagesInMemory(pixels, masks, batch_size=batch_size), marked, measured
    )
    for layer, each in zip(pooling, found):
        maps = activations.feature_maps(layer, pixels)[:, :2]
        highest = maps.max(axis=(2, 3))
        np.testing.assert_array_equal(each.all.index, np.argsort(-highest, axis=0)[:9].T)
        order = np.argsort(-highest[marked], axis=0)[:9].T
        np.testing.assert_array_equal(each.marked.index, np.flatnonzero(marked)[order])
        some = maps[measured]
        limits = network_dissection.thresholds(
            network_dissection.highest(some, some[:, 0].size), some[:, 0].size
        )
        np.testing.assert_allclose(each.limits, limits, rtol=1e-5)
        expected = network_dissection.overlaps(
            some, masks[measured], limits, receptive_field(layer)
        )
        np.testing.assert_allclose(each.iou, expected.iou, rtol=0.02)
        assert each.shown is each.marked


def test_the_largest_magnitude_of_the_channels_counts():
    gradient = np.array([[[1.0, -2.0]], [[-3.0, 1.0]]])
    found = magnitude(gradient, (slice(1, 2), slice(0, 2)), (2, 3))
    assert found.tolist() == [[0, 0, 0], [3, 2, 0]]


def test_a_map_that_is_the_same_everywhere_points_nowhere():
    network = die.build("c1", seed=0)
    convolution = layers.find_layer(network, "conv1")
    convolution.b.set_value(np.float32([0, 1, 0]))
    weights = convolution.W.get_value()
    weights[1] = 0
    convolution.W.set_value(weights)
    pixels = np.random.RandomState(0).randn(3, 1, 32, 32).astype(np.float32)
    images = ImagesInMemory(pixels, np.ones((3, 1, 32, 32), bool))
    labeler = Labeler(layers.pooling_layers(network))
    (dissected,) = labeler.dissect(images)
    assert dissected.all.varies.all(axis=1).tolist() == [True, False, True]
    (found,) = labeler.localize(images, [dissected.all], Chance(9))
    assert np.isnan(found.share[1]).all() and np.isfinite(found.share[[0, 2]]).all()
    assert found.gradient[1] == 0 and (found.gradient[[0, 2]] > 0).all()
    (judged,) = judge([found])
    assert judged.labels(["all"]).tolist() == ["other"] * 3


def layer_of(p, gradient=None):
    """Features with these p-values, whose one concept has half of their saliency."""
    p = np.array([p]).T
    gradient = np.ones(len(p)) if gradient is None else np.array(gradient)
    return LocalizedLayer(p * 0 + 0.5, p * 0 + 0.1, p, gradient, {})


def test_the_rate_of_false_findings_is_that_of_all_layers_together():
    (alone,) = judge([layer_of([0.04])])
    first, second = judge([layer_of([0.04]), layer_of([0.9, 0.9])])
    assert alone.significant.tolist() == [[True]]
    assert first.significant.tolist() == [[False]]
    assert second.significant.tolist() == [[False], [False]]


def test_a_filter_that_hardly_learned_points_nowhere_and_is_not_tested():
    (found,) = judge([layer_of([0.04, 0.04, 0.9], [5.0, 4.0, 0.39])])
    assert found.responds.tolist() == [True, True, False]
    assert found.significant.tolist() == [[True], [True], [False]]
    np.testing.assert_array_equal(found.q, [[0.04], [0.04], [np.nan]])
    assert np.isnan(found.share[2]).all() and np.isnan(found.lift[2]).all()
    np.testing.assert_allclose(found.gradient, [1.25, 1, 0.0975])


# --- Blocks of pixels -----------------------------------------------------------


def enlarged(values):
    return np.kron(values, np.ones((4, 4)))


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_blocks_of_what_is_made_of_blocks_are_exact(seed):
    rng = np.random.RandomState(seed)
    values = rng.rand(2, 9, 7) * (rng.rand(2, 9, 7) < 0.3)
    masks, field = rng.rand(2, 2, 9, 7) < 0.3, rng.rand(2, 9, 7) < 0.8
    exact = localization(values, masks, field, chance=Chance(3000))
    found = localization(
        enlarged(values), enlarged(masks) > 0, enlarged(field) > 0, chance=Chance(3000, block=4)
    )
    for name in ("share", "expected", "shares"):
        np.testing.assert_allclose(getattr(found, name), getattr(exact, name), atol=1e-5)
    np.testing.assert_allclose(found.p, exact.p, atol=0.05)


@settings(max_examples=15, deadline=None)
@given(seeds, st.integers(2, 5))
def test_blocks_change_chance_a_little_and_shares_not_at_all(seed, block):
    rng = np.random.RandomState(seed)
    side = 61  # not whole blocks
    y, x = np.mgrid[:side, :side]
    masks = np.array([np.hypot(y - r, x - c) < 3 for r, c in rng.uniform(8, 52, (6, 2))])
    masks = masks.any(axis=0)[np.newaxis]
    row, column = rng.randint(2, side - 16, 2)
    values = np.zeros((1, side, side))
    values[0, row : row + 14, column : column + 14] = rng.rand(14, 14)
    exact, found = (
        localization(values, [masks], chance=Chance(999, block=each)) for each in (1, block)
    )
    np.testing.assert_allclose(found.share, exact.share, atol=1e-6)
    np.testing.assert_allclose(found.expected, exact.expected, rtol=0.12)


def test_concepts_made_ready_give_the_same():
    rng = np.random.RandomState(0)
    values, masks = rng.rand(3, 20, 24), rng.rand(3, 2, 20, 24) < 0.2
    field = rng.rand(3, 20, 24) < 0.9
    ready = [ConceptMasks(*each, block=2) for each in zip(masks, field)]
    for _ in range(2):  # the second time from kept transforms
        found, expected = (
            localization(values, *given, chance=Chance(99, block=2))
            for given in ((ready,), (masks, field))
        )
        for name in ("share", "expected", "p", "shares"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_no_photograph_is_no_evidence():
    found = Evidence(2, Chance(9)).result()
    for each in (found.share, found.expected, found.p):
        assert np.isnan(each).all() and each.shape == (2,)
    assert found.shares.shape == (0, 2)


MASKS = np.ones((2, 4, 4), bool)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: ConceptMasks(MASKS[0]), r"masks are \(concepts, rows, columns\)"),
        (lambda: ConceptMasks(MASKS, MASKS[0, :2]), "field: bool of shape"),
        (lambda: ConceptMasks(MASKS, block=0), "block must be at least 1, not 0"),
        (
            lambda: localization(
                np.ones((1, 4, 4)), [ConceptMasks(MASKS)], np.ones((1, 4, 4), bool)
            ),
            "their own field",
        ),
        (
            lambda: localization(np.ones((1, 4, 4)), [ConceptMasks(MASKS)], chance=Chance(block=2)),
            "the same block",
        ),
        (lambda: label_statistics.agreement([], []), "two names of the same features"),
        (lambda: label_statistics.agreement(["a"], ["a", "b"]), "two names of the same features"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- Agreement ----------------------------------------------------------------


def test_agreement_by_hand():
    first = ["pip"] * 25 + ["edge"] * 25
    second = ["pip"] * 20 + ["edge"] * 5 + ["pip"] * 10 + ["edge"] * 15
    # Cohen's textbook table 20, 5, 10, 15: chance is one half.
    share, kappa = label_statistics.agreement(first, second)
    assert share == pytest.approx(0.7) and kappa == pytest.approx(0.4)


@settings(max_examples=30)
@given(st.lists(st.tuples(*[st.sampled_from("abc")] * 2), min_size=1, max_size=20))
def test_agreement_does_not_depend_on_who_is_first(pairs):
    first, second = zip(*pairs)
    found, turned = (
        label_statistics.agreement(first, second),
        label_statistics.agreement(second, first),
    )
    np.testing.assert_allclose(found, turned)
    assert label_statistics.agreement(first, first)[0] == 1


# --- The die --------------------------------------------------------------------


def test_views_stand_apart():
    a, b, _ = die360.angles()
    chosen = validation_die.spaced(a, b)
    assert len(chosen) == 600
    places = np.stack([a[chosen], b[chosen]], axis=1)
    apart = np.abs(places[:, None] - places[None])
    apart = np.minimum(apart, 360 - apart).max(axis=2) + 360 * np.eye(600)
    assert apart.min() == validation_die.SPACING


def test_views_with_equal_keys_show_the_same():
    keys, label = validation_die.same_pictures(), die360.angles()[2]
    assert (keys <= np.arange(len(keys))).all() and (keys[keys] == keys).all()
    np.testing.assert_array_equal(label[keys], label)
    # Face 4 looks the same after every quarter of a turn.
    assert np.unique(keys[label == 4], return_counts=True)[1].max() == 4


def test_small_data_sets_are_taken_whole(monkeypatch):
    every = 3000
    monkeypatch.setattr(die360, "regions", lambda a, b: np.zeros((len(a), 32, 32), np.uint8))
    a, b, label = (column[::every] for column in die360.angles())
    data = die360.Die360(np.zeros((len(a), 1, 32, 32), np.float32), label, a, b, 0, 1, every)
    images = validation_die.views(data)
    assert len(images) == len(images.keys) == len(images.known) == len(a)
    assert all((images.masks(k).sum(axis=0) == 1).all() for k in range(len(a)))


def names(c4=(), c9=()):
    """Names of three features of two layers of c4 and c9."""
    found = {
        (network, layer, k): "edge"
        for network in ("c4", "c9")
        for layer in ("pool1", "pool2")
        for k in range(3)
    }
    return found | {("c4", *place): "pip" for place in c4} | {("c9", *place): "pip" for place in c9}


def die_rows(*folds):
    return [
        validation_die.DieFeature(
            "trained", network, fold, layer, feature, label, (label,), label, (0.2, 0.1, 0.65, 0.05)
        )
        for fold, found in enumerate(folds)
        for (network, layer, feature), label in found.items()
    ]


def test_statements_are_answered_from_names():
    as_said = names(c4=[("pool2", 0)], c9=[("pool1", 1)])
    found = labeler_validation_die.statements(die_rows(as_said, names()), names())
    assert [each[1][0] for each in found] == [True, True, True, True]
    assert [each[2][0] for each in found] == [False, False, True, True]
    assert [each[3:] for each in found] == [(1, 2), (1, 2), (2, 2), (2, 2)]
    assert found[0][1][1] == "c4: 0, c9: 1"


def test_a_mixture_of_background_and_edge_is_nothing_else():
    rows = die_rows(names())
    points = [("background", "edge"), ("edge",), ("edge", "pip")]
    rows = [each._replace(points=points[each.feature]) for each in rows]
    found = labeler_validation_die.statements(rows, names())
    assert found[2][1] == (True, "4 of 6") and found[2][2] == (True, "6 of 6")
    assert found[0][1] == (False, "c4: 0, c9: 0")


def test_statements_about_missing_networks_have_no_answer():
    only = {place: name for place, name in names().items() if place[0] == "c4"}
    found = labeler_validation_die.statements(die_rows(only), only)
    assert found[0][1] is None and found[1][1] is None and found[2][1][0]


def test_verdicts_follow_from_numbers():
    """The same text with a wrong label and false ones says so."""

    def said(label, nulls, share):
        feature = ground_truth_features.FEATURES["pool1"][0]
        row = validation.Row(
            "pool1", feature, label, "other", 9, 9, [("hard exudate", 0.8, 9.0, 0.001)], 0.1
        )
        found = names()
        rows = die_rows(found)
        random = [
            each._replace(weights="random", points=(), label="other" if k < share else "pip")
            for k, each in enumerate(rows)
        ]
        steps = {place: validation_die.Steps(*["edge"] * 4) for place in found}
        filters = validation.RandomFilters(np.array(nulls), np.ones((2, 1)))
        return labeler_validation.text(
            Validation(
                Wanted(14, 2),
                [row],
                [Null("noise", "own", filters, ())],
                rows + random,
                steps,
                views=600,
                different=295,
            ),
            found,
        )

    good, bad = said("hard exudate", ["other"] * 2, 12), said("mixture", ["other", "pip"], 0)
    assert "**1 of 1 features get their name" in good and "**0 of 1" in bad
    assert "False labels: 0 of 2; at most 5% in each test: yes" in good
    assert "False labels: 1 of 2; at most 5% in each test: **no**" in bad
    assert "point at something: yes (0, trained 12" in good
    assert "point at something: no (12, trained 12" in bad
    assert "face 100%" in good and "edge 100%" not in good  # out of the margin's reach


def test_a_network_without_pooling_is_refused(capsys, tmp_path):
    assert (
        main(
            [
                "validate-labeler",
                "--networks",
                "d5",
                "--saliency",
                "none.npz",
                "-o",
                str(tmp_path / "table.md"),
            ]
        )
        == 1
    )
    assert "no network with pooling layers: d5; choose from c1" in capsys.readouterr().err
