"""The labeller of features on known truth: planted features, random filters, the die."""

import attributions
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnviz.attribution import activations, overlay
from cnnviz.attribution.receptive_field import receptive_field
from cnnviz.cli.commands import localise
from cnnviz.cli.dispatch import main
from cnnviz.datasets import concepts, die360
from cnnviz.dissection import ground_truth, labelling, network_dissection
from cnnviz.dissection import validation as trials
from cnnviz.networks import die, layers
from cnnviz.runtime.backend import lasagne
from cnnviz.thesis.tables import labeller_validation

seeds = st.integers(0, 10**6)


# --- Planted features ---------------------------------------------------------


@pytest.fixture(scope="module")
def photographs():
    return list(ground_truth.photographs(16))


@pytest.fixture(scope="module")
def rows(photographs):
    return trials.planted_trial(photographs, permutations=1999)


def test_planted_features_get_their_names(rows):
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


def test_planted_features_find_what_they_look_for(rows):
    """The premise: known from where the maximal neurons are, without a labeller."""
    assert all(row.on_target >= 7 for row in rows if row.feature.parts)


def test_overlap_names_single_concepts_alike(rows):
    single = [row for row in rows if row.feature.name != "mixture"]
    assert [row.overlap for row in single] == [row.feature.name for row in single]


def test_random_filters_in_noise_are_named_no_more_than_the_rate_allows(photographs):
    own = [each.index for each in photographs]
    (null,) = trials.null_trial(photographs, [own], 24, slice(ground_truth.NOISE, None), 999)
    assert np.mean(null.labels != "other") <= network_dissection.RATE
    p = null.p[np.isfinite(null.p)]
    assert len(p) > 200 and (p < 0.05).mean() < 0.08 and (p < 0.5).mean() > 0.2


def test_random_filters_are_not_named_after_lesions_of_others(photographs):
    own = [each.index for each in photographs]
    with_own, with_others = trials.null_trial(
        photographs, [own, trials.of_others(photographs)], 24, slice(0, ground_truth.NOISE), 999
    )
    false = ~np.isin(with_others.labels, ("other", "field edge"))
    assert false.mean() <= network_dissection.RATE
    # There is something to be found: edges in both, and lesions where they are.
    assert np.isin(with_others.labels, "field edge").any()
    assert (with_own.labels != with_others.labels).any()


def test_others_lesions_come_with_the_own_edge(photographs):
    edge = concepts.CONCEPTS.index("field edge")
    for own, found in zip(photographs, trials.of_others(photographs)):
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
        trials.of_others(photographs[:1])


def test_settings_are_those_of_table_4_1():
    assert (trials.BLOCK, trials.REACH) == (localise.BLOCK, localise.REACH)


# --- The whole way, step by step ----------------------------------------------


@pytest.fixture(scope="module")
def small():
    """A network of two pooling layers, its images, and masks."""
    rng = np.random.RandomState(3)
    network = die.build("c2", seed=3)
    images = rng.randn(14, 1, 32, 32).astype(np.float32)
    return layers.pooling_layers(network), images, rng.rand(14, 2, 32, 32) < 0.3


@pytest.mark.parametrize("windows", [True, False])
def test_findings_are_those_of_localisation(small, windows):
    pooling, images, masks = small
    probe = labelling.Probe(pooling, windows)
    top = probe.strongest(images)
    found = probe.findings(
        images,
        [each.index for each in top],
        [network_dissection.Concepts(each) for each in masks],
        np.ones((14, 2), bool),
        sigma=1.0,
        permutations=499,
    )
    for layer, best, each in zip(pooling, top, found):
        maps = activations.feature_maps(layer, images).max(axis=(2, 3))
        np.testing.assert_array_equal(best.index, np.argsort(-maps, axis=0)[:9].T)
        for feature, chosen in enumerate(best.index):
            gradient = attributions.gradient(layer, images[chosen], feature)[0]
            expected = network_dissection.localisation(
                overlay.smooth(np.abs(gradient)), masks[chosen], permutations=499
            )
            np.testing.assert_allclose(each.share[feature], expected.share, atol=1e-5)
            np.testing.assert_allclose(each.expected[feature], expected.expected, rtol=1e-4)
            np.testing.assert_allclose(each.p[feature], expected.p, atol=0.08)


def test_new_weights_count_without_compiling_again(small):
    pooling, images, masks = small
    network = die.build("c2", seed=1)
    probe = labelling.Probe(layers.pooling_layers(network), windows=False)
    lasagne.layers.set_all_param_values(
        network, lasagne.layers.get_all_param_values(die.build("c2", 3))
    )
    expected = labelling.Probe(pooling, windows=False)
    index = [each.index for each in expected.strongest(images)]
    for first, second in zip(probe.gradients(images, index), expected.gradients(images, index)):
        assert first[:3] == second[:3]
        np.testing.assert_allclose(first[3], second[3], atol=1e-6)


def test_overlap_is_that_of_all_images_at_once(small):
    pooling, images, masks = small
    images, masks = np.tile(images, (3, 1, 1, 1)), np.tile(masks, (3, 1, 1, 1))
    found = labelling.Probe(pooling, windows=False).overlap(images, masks)
    maps = activations.feature_maps(pooling[0], images)
    limits = network_dissection.thresholds(
        network_dissection.highest(maps, maps[:, 0].size), maps[:, 0].size
    )
    np.testing.assert_allclose(
        found[0], network_dissection.overlaps(maps, masks, limits, receptive_field(pooling[0])).iou
    )


def test_the_largest_magnitude_of_the_channels_counts():
    gradient = np.array([[[1.0, -2.0]], [[-3.0, 1.0]]])
    found = labelling.magnitude(gradient, (slice(1, 2), slice(0, 2)), (2, 3))
    assert found.tolist() == [[0, 0, 0], [3, 2, 0]]


def test_a_map_that_is_the_same_everywhere_points_nowhere():
    network = die.build("c1", seed=0)
    convolution = layers.find_layer(network, "conv1")
    convolution.b.set_value(np.float32([0, 1, 0]))
    weights = convolution.W.get_value()
    weights[1] = 0
    convolution.W.set_value(weights)
    probe = labelling.Probe(layers.pooling_layers(network))
    images = np.random.RandomState(0).randn(3, 1, 32, 32).astype(np.float32)
    (found,) = probe.findings(
        images,
        [np.tile(np.arange(3), (3, 1))],
        [network_dissection.Concepts(np.ones((1, 32, 32), bool))] * 3,
        np.ones((3, 1), bool),
        permutations=9,
    )
    assert np.isnan(found.share[1]).all() and np.isfinite(found.share[[0, 2]]).all()
    (beats,) = labelling.beats([found])
    assert network_dissection.labels(beats, ["all"]).tolist() == ["other"] * 3


def test_the_rate_of_false_findings_is_that_of_all_layers_together():
    def findings(p):
        p = np.array([p]).T
        return labelling.Findings(p * 0 + 0.5, p * 0 + 0.1, p * 0 + 5, p)

    (alone,) = labelling.beats([findings([0.04])])
    first, second = labelling.beats([findings([0.04]), findings([0.9, 0.9])])
    assert alone.tolist() == [[True]]
    assert first.tolist() == [[False]] and second.tolist() == [[False], [False]]


# --- Blocks of pixels -----------------------------------------------------------


def enlarged(values):
    return np.kron(values, np.ones((4, 4)))


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_blocks_of_what_is_made_of_blocks_are_exact(seed):
    rng = np.random.RandomState(seed)
    values = rng.rand(2, 9, 7) * (rng.rand(2, 9, 7) < 0.3)
    masks, field = rng.rand(2, 2, 9, 7) < 0.3, rng.rand(2, 9, 7) < 0.8
    exact = network_dissection.localisation(values, masks, field, permutations=3000)
    found = network_dissection.localisation(
        enlarged(values), enlarged(masks) > 0, enlarged(field) > 0, permutations=3000, block=4
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
        network_dissection.localisation(values, [masks], permutations=999, block=each)
        for each in (1, block)
    )
    np.testing.assert_allclose(found.share, exact.share, atol=1e-6)
    np.testing.assert_allclose(found.expected, exact.expected, rtol=0.12)


def test_concepts_made_ready_give_the_same():
    rng = np.random.RandomState(0)
    values, masks = rng.rand(3, 20, 24), rng.rand(3, 2, 20, 24) < 0.2
    field = rng.rand(3, 20, 24) < 0.9
    ready = [network_dissection.Concepts(*each, block=2) for each in zip(masks, field)]
    for _ in range(2):  # the second time from kept transforms
        found, expected = (
            network_dissection.localisation(values, *given, permutations=99, block=2)
            for given in ((ready,), (masks, field))
        )
        for each, other in zip(found, expected):
            np.testing.assert_array_equal(each, other)


def test_no_photograph_is_no_evidence():
    found = network_dissection.Evidence(2, permutations=9).result()
    for each in (found.share, found.expected, found.p):
        assert np.isnan(each).all() and each.shape == (2,)
    assert found.shares.shape == (0, 2)


MASKS = np.ones((2, 4, 4), bool)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: network_dissection.Concepts(MASKS[0]), r"masks are \(concepts, rows, columns\)"),
        (lambda: network_dissection.Concepts(MASKS, MASKS[0, :2]), "field: bool of shape"),
        (lambda: network_dissection.Concepts(MASKS, block=0), "block must be at least 1, not 0"),
        (
            lambda: network_dissection.localisation(
                np.ones((1, 4, 4)), [network_dissection.Concepts(MASKS)], np.ones((1, 4, 4), bool)
            ),
            "their own field",
        ),
        (
            lambda: network_dissection.localisation(
                np.ones((1, 4, 4)), [network_dissection.Concepts(MASKS)], block=2
            ),
            "the same block",
        ),
        (lambda: labelling.agreement([], []), "two names of the same features"),
        (lambda: labelling.agreement(["a"], ["a", "b"]), "two names of the same features"),
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
    share, kappa = labelling.agreement(first, second)
    assert share == pytest.approx(0.7) and kappa == pytest.approx(0.4)


@settings(max_examples=30)
@given(st.lists(st.tuples(*[st.sampled_from("abc")] * 2), min_size=1, max_size=20))
def test_agreement_does_not_depend_on_who_is_first(pairs):
    first, second = zip(*pairs)
    found, turned = labelling.agreement(first, second), labelling.agreement(second, first)
    np.testing.assert_allclose(found, turned)
    assert labelling.agreement(first, first)[0] == 1


# --- The die --------------------------------------------------------------------


def test_views_stand_apart():
    a, b, _ = die360.angles()
    chosen = trials.spaced(a, b)
    assert len(chosen) == 600
    places = np.stack([a[chosen], b[chosen]], axis=1)
    apart = np.abs(places[:, None] - places[None])
    apart = np.minimum(apart, 360 - apart).max(axis=2) + 360 * np.eye(600)
    assert apart.min() == trials.SPACING


def test_views_with_equal_keys_show_the_same():
    keys, label = trials.same_pictures(), die360.angles()[2]
    assert (keys <= np.arange(len(keys))).all() and (keys[keys] == keys).all()
    np.testing.assert_array_equal(label[keys], label)
    # Face 4 looks the same after every quarter of a turn.
    assert np.unique(keys[label == 4], return_counts=True)[1].max() == 4


def test_small_data_sets_are_taken_whole(monkeypatch):
    every = 3000
    monkeypatch.setattr(die360, "regions", lambda a, b: np.zeros((len(a), 32, 32), np.uint8))
    a, b, label = (column[::every] for column in die360.angles())
    data = die360.Die360(np.zeros((len(a), 1, 32, 32), np.float32), label, a, b, 0, 1)
    images, masks, keys = trials.views(data, every)
    assert len(images) == len(masks) == len(keys) == len(a)
    assert (masks.sum(axis=1) == 1).all()


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
        trials.Die(
            "trained", network, fold, layer, feature, label, (label,), label, (0.2, 0.1, 0.65, 0.05)
        )
        for fold, found in enumerate(folds)
        for (network, layer, feature), label in found.items()
    ]


def test_statements_are_answered_from_names():
    as_said = names(c4=[("pool2", 0)], c9=[("pool1", 1)])
    found = labeller_validation.statements(die_rows(as_said, names()), names())
    assert [each[1][0] for each in found] == [True, True, True, True]
    assert [each[2][0] for each in found] == [False, False, True, True]
    assert [each[3:] for each in found] == [(1, 2), (1, 2), (2, 2), (2, 2)]
    assert found[0][1][1] == "c4: 0, c9: 1"


def test_a_mixture_of_background_and_edge_is_nothing_else():
    rows = die_rows(names())
    points = [("background", "edge"), ("edge",), ("edge", "pip")]
    rows = [each._replace(points=points[each.feature]) for each in rows]
    found = labeller_validation.statements(rows, names())
    assert found[2][1] == (True, "4 of 6") and found[2][2] == (True, "6 of 6")
    assert found[0][1] == (False, "c4: 0, c9: 0")


def test_statements_about_missing_networks_have_no_answer():
    only = {place: name for place, name in names().items() if place[0] == "c4"}
    found = labeller_validation.statements(die_rows(only), only)
    assert found[0][1] is None and found[1][1] is None and found[2][1][0]


def test_verdicts_follow_from_numbers():
    """The same text with a wrong label and false ones says so."""

    def said(label, nulls, share):
        feature = ground_truth.FEATURES["pool1"][0]
        row = trials.Row(
            "pool1", feature, label, "other", 9, 9, [("hard exudate", 0.8, 9.0, 0.001)], 0.1
        )
        found = names()
        rows = die_rows(found)
        random = [
            each._replace(weights="random", points=(), label="other" if k < share else "pip")
            for k, each in enumerate(rows)
        ]
        steps = {place: trials.Steps(*["edge"] * 4) for place in found}
        return labeller_validation.text(
            [row],
            14,
            14,
            [("noise", "own", trials.Null(np.array(nulls), np.ones((2, 1))), ())],
            2,
            {
                "rows": rows + random,
                "steps": steps,
                "figures": found,
                "views": 600,
                "different": 295,
                "spacing": 10,
            },
        )

    good, bad = said("hard exudate", ["other"] * 2, 12), said("mixture", ["other", "pip"], 0)
    assert "**1 of 1 features get their name" in good and "**0 of 1" in bad
    assert "False labels: 0 of 2; at most 5% in each trial: yes" in good
    assert "False labels: 1 of 2; at most 5% in each trial: **no**" in bad
    assert "point at something: yes (0, trained 12" in good
    assert "point at something: no (12, trained 12" in bad
    assert "face 100%" in good and "edge 100%" not in good  # out of the margin's reach


def test_a_network_without_pooling_is_refused(capsys, tmp_path):
    assert (
        main(
            [
                "label-die360",
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
