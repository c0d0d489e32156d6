"""Measures of saliency maps against their definitions and answers worked by hand."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnviz.attribution import reductions
from cnnviz.attribution.gradient import Gradient
from cnnviz.evaluation import agreement, faithfulness, intervals, localization, randomization
from cnnviz.networks import die, layers
from cnnviz.runtime import backend
from cnnviz.runtime.backend import lasagne
from cnnviz.training.grading import quadratic_weighted_kappa

L = lasagne.layers
SEEDS = st.integers(0, 10**6)
NAN = math.nan


def tied_maps(rng, shape):
    """Few different values, so that most of them tie."""
    return rng.integers(-2, 3, shape).astype(np.float32)


def case(seed, shape=(4, 3, 4)):
    """Maps with ties, masks and regions, now and then empty or full."""
    rng = np.random.default_rng(seed)
    masks, region = (rng.random(shape) < rng.random((shape[0], 1, 1)) * 1.4 - 0.2 for _ in range(2))
    return tied_maps(rng, shape), masks, region


# --- The definitions, pixel by pixel ------------------------------------------


def pixels(mask):
    return [place for place in np.ndindex(mask.shape) if mask[place]]


def slow_pointing(values, mask, region, tolerance):
    inside = pixels(region)
    targets = [place for place in inside if mask[place]]
    if not targets or len({values[place] for place in inside}) == 1:
        return NAN
    highest = max(values[place] for place in inside)
    hits = [
        any(math.dist(place, target) <= tolerance for target in targets)
        for place in inside
        if values[place] == highest
    ]
    return sum(hits) / len(hits)


def slow_mass(values, mask, region):
    positive = {place: float(max(values[place], 0)) for place in pixels(region)}
    targets = [place for place in positive if mask[place]]
    total = sum(positive.values())
    if not targets or total == 0:
        return NAN
    return sum(positive[place] for place in targets) / total


def slow_rank(values, mask, region):
    """The mean over all orders of the pixels in which saliency never grows."""
    inside = pixels(region)
    count = sum(mask[place] for place in inside)
    if not count or len({values[place] for place in inside}) == 1:
        return NAN
    shares = [
        sum(mask[place] for place in order[:count]) / count
        for order in itertools.permutations(inside)
        if all(values[a] >= values[b] for a, b in zip(order, order[1:]))
    ]
    return sum(shares) / len(shares)


def slow_ranks(values):
    """Mean of the ranks that a value's equals hold, from 1."""
    return [
        sum(other < value for other in values) + (sum(other == value for other in values) + 1) / 2
        for value in values
    ]


def slow_spearman(a, b, region):
    a, b = (slow_ranks([each[place] for place in pixels(region)]) for each in (a, b))
    if len(set(a)) < 2 or len(set(b)) < 2:
        return NAN
    a, b = (np.array(each) - sum(each) / len(each) for each in (a, b))
    return (a * b).sum() / math.sqrt((a * a).sum() * (b * b).sum())


def slow_curve(score, image, saliency_map, other, counts):
    """Pixels of ``other`` put into ``image`` one by one."""
    order = sorted(np.ndindex(saliency_map.shape), key=lambda place: (-saliency_map[place], place))
    scores = []
    for count in counts:
        changed = image.copy()
        for row, column in order[:count]:
            changed[:, row, column] = other[:, row, column]
        scores.append(score(changed[np.newaxis])[0])
    return scores


def each(slow, *arrays):
    return [slow(*rows) for rows in zip(*arrays)]


# --- Maps on masks ------------------------------------------------------------


@settings(max_examples=60)
@given(SEEDS, st.sampled_from([0, 1, 1.5, 2, 10]))
def test_pointing_and_mass_equal_their_definitions(seed, tolerance):
    maps, masks, region = case(seed)
    whole = np.ones_like(region)
    for given_region, everywhere in ((None, whole), (region, region)):
        np.testing.assert_allclose(
            localization.pointing_game(maps, masks, tolerance, given_region),
            [slow_pointing(*row, tolerance) for row in zip(maps, masks, everywhere)],
        )
        np.testing.assert_allclose(
            localization.relevance_mass(maps, masks, given_region),
            each(slow_mass, maps, masks, everywhere),
        )


@settings(max_examples=20)
@given(SEEDS)
def test_rank_equals_the_mean_over_all_orders(seed):
    maps, masks, region = case(seed, (2, 2, 3))
    np.testing.assert_allclose(
        localization.relevance_rank(maps, masks), each(slow_rank, maps, masks, np.ones_like(region))
    )
    np.testing.assert_allclose(
        localization.relevance_rank(maps, masks, region), each(slow_rank, maps, masks, region)
    )


MAP = np.array([[[4.0, 1.0, 0.0], [4.0, -5.0, 1.0]]])
MASK = np.array([[[True, False, False], [False, True, True]]])


def test_a_map_worked_by_hand():
    # One of the two maxima; 4 and 1 of 10; the 4s and half a 1 for 3 pixels.
    assert localization.pointing_game(MAP, MASK) == 0.5
    assert localization.relevance_mass(MAP, MASK) == 0.5
    assert localization.relevance_rank(MAP, MASK) == pytest.approx((1 + 0.5) / 3)
    assert localization.area_share(MASK) == 0.5


def test_a_region_hides_map_and_mask():
    right = np.array([[False, True, True], [False, True, True]])
    assert localization.pointing_game(MAP, MASK, region=right) == 0.5  # the two 1s
    assert localization.relevance_mass(MAP, MASK, right) == 0.5
    assert localization.relevance_rank(MAP, MASK, right) == 0.5
    assert localization.area_share(MASK, right) == 0.5
    np.testing.assert_array_equal(  # a region of its own for every map
        localization.relevance_mass(MAP, MASK, right[np.newaxis]),
        localization.relevance_mass(MAP, MASK, right),
    )


@pytest.mark.parametrize(
    "tolerance, hit, share", [(0, 0, 1 / 35), (4.9, 0, None), (5, 1, None), (10, 1, 1)]
)
def test_tolerance_is_a_distance_in_pixels(tolerance, hit, share):
    maps, masks = np.zeros((1, 5, 7)), np.zeros((1, 5, 7), bool)
    maps[0, 0, 0] = 1
    masks[0, 3, 4] = True  # 3 rows and 4 columns away: 5 pixels
    assert localization.pointing_game(maps, masks, tolerance) == hit
    if share is not None:
        assert localization.area_share(masks, tolerance=tolerance) == pytest.approx(share)


def test_no_tolerance_from_a_mask_outside_the_region():
    maps, masks = np.array([[[0.0, 1.0, 0.0]]]), np.array([[[True, False, False]]])
    region = np.array([[False, True, True]])
    assert np.isnan(localization.pointing_game(maps, masks, 1, region)).all()
    masks[0, 0, 1] = True  # reaches both its neighbors, one of them outside
    assert localization.pointing_game(maps, masks, 1, region) == 1
    assert localization.area_share(masks, region, 1) == 1


@settings(max_examples=30)
@given(SEEDS)
def test_a_map_equal_to_the_mask_has_mass_rank_and_hit_one(seed):
    masks = np.random.default_rng(seed).random((5, 4, 4)) < 0.3
    masks[:, 0, 0], masks[:, 3, 3] = True, False
    for measure in (
        localization.pointing_game,
        localization.relevance_mass,
        localization.relevance_rank,
    ):
        assert (measure(masks.astype(float), masks) == 1).all()
    assert (localization.pointing_game(-masks.astype(float), masks) == 0).all()
    assert (localization.relevance_mass(1.0 - masks, masks) == 0).all()


@settings(max_examples=20)
@given(SEEDS)
def test_chance_is_the_mean_over_every_rearrangement(seed):
    rng = np.random.default_rng(seed)
    values, mask = rng.random(5), np.arange(5) < rng.integers(1, 5)
    maps = np.array(list(itertools.permutations(values)))[:, np.newaxis]
    masks = np.broadcast_to(mask, maps.shape)
    for measure in (
        localization.pointing_game,
        localization.relevance_mass,
        localization.relevance_rank,
    ):
        assert measure(maps, masks).mean() == pytest.approx(localization.area_share(masks)[0])


@settings(max_examples=30)
@given(SEEDS, st.sampled_from([1e-3, 7.0, 1e3]))
def test_the_unit_of_the_saliency_does_not_matter(seed, unit):
    maps, masks, region = case(seed)
    for measure in (
        localization.pointing_game,
        localization.relevance_mass,
        localization.relevance_rank,
    ):
        np.testing.assert_allclose(
            measure(maps * np.float64(unit), masks, region=region),
            measure(maps, masks, region=region),
        )


@pytest.mark.parametrize("unit", [5e-324, 1e308])
def test_the_smallest_and_largest_numbers_have_a_mass(unit):
    maps, masks = np.full((1, 2, 2), unit), np.array([[[True, False], [False, False]]])
    assert localization.relevance_mass(maps, masks) == 0.25


def test_empty_masks_and_maps_that_say_nothing_are_nan():
    maps = np.stack([np.arange(4.0), np.zeros(4), np.ones(4), -np.arange(4.0)])[:, np.newaxis]
    masks = np.zeros(maps.shape, bool)
    for measure in (
        localization.pointing_game,
        localization.relevance_mass,
        localization.relevance_rank,
    ):
        assert np.isnan(measure(maps, masks)).all()
    assert np.isnan(localization.area_share(masks)).all()
    masks[..., 0] = True
    np.testing.assert_array_equal(localization.pointing_game(maps, masks), [0, NAN, NAN, 1])
    np.testing.assert_array_equal(localization.relevance_rank(maps, masks), [0, NAN, NAN, 1])
    # An even positive map has the mass of its area; a negative one has none.
    np.testing.assert_array_equal(localization.relevance_mass(maps, masks), [0, NAN, 0.25, NAN])
    nowhere = np.zeros((1, 4), bool)
    assert np.isnan(localization.area_share(masks, nowhere)).all()
    assert np.isnan(localization.relevance_mass(maps, masks, nowhere)).all()


@pytest.mark.parametrize(
    "maps, masks, region, message",
    [
        (
            np.zeros((1, 2, 2)),
            np.zeros((1, 2, 3), bool),
            None,
            r"masks have shape \(1, 2, 3\) and maps \(1, 2, 2\)",
        ),
        (np.full((1, 2, 2), np.nan), np.zeros((1, 2, 2), bool), None, "maps hold .*not finite"),
        (np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), None, "masks must be bool, not float64"),
        (np.zeros((0, 2, 2)), np.zeros((0, 2, 2), bool), None, "no maps were given"),
        (np.zeros((2, 2)), np.zeros((2, 2), bool), None, r"maps must be \(n, rows, columns\)"),
        (np.zeros((1, 2, 2)), np.zeros((2, 2), bool), None, "masks must be"),
        (
            np.zeros((1, 2, 2)),
            np.zeros((1, 2, 2), bool),
            np.ones((3, 2), bool),
            r"regions have shape \(1, 3, 2\)",
        ),
        (np.zeros((1, 2, 2)), np.zeros((1, 2, 2), bool), np.ones((2, 2)), "regions must be bool"),
    ],
)
def test_bad_maps_masks_and_regions_are_refused(maps, masks, region, message):
    for measure in (
        localization.pointing_game,
        localization.relevance_mass,
        localization.relevance_rank,
    ):
        with pytest.raises(ValueError, match=message) as error:
            measure(maps, masks, region=region)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("tolerance", [-1, NAN])
def test_bad_tolerances_are_refused(tolerance):
    with pytest.raises(ValueError, match="tolerance must be at least 0"):
        localization.pointing_game(MAP, MASK, tolerance)
    with pytest.raises(ValueError, match="tolerance must be at least 0"):
        localization.area_share(MASK, tolerance=tolerance)


# --- Deletion and insertion ---------------------------------------------------


def linear_score(weights):
    return lambda images: (images * weights).sum(axis=(1, 2, 3))


def test_a_curve_worked_by_hand():
    """Pixels of worth 3, 2, 1 and 0; the map has them in order but for a tie."""
    images = np.array([[[[3.0, 0.0], [2.0, 1.0]]]])
    maps = np.array([[[9.0, -1.0], [5.0, 5.0]]])
    found = faithfulness.deletion_insertion(linear_score(1), images, maps, steps=4)
    np.testing.assert_array_equal(found.fractions, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_array_equal(found.deletion, [[6, 3, 1, 0, 0]])
    np.testing.assert_array_equal(found.insertion, [[0, 3, 5, 6, 6]])
    np.testing.assert_allclose(found.deletion_area, [(3 + 3 + 1) / 6 / 4])
    np.testing.assert_allclose(found.insertion_area, [(3 + 5 + 6 + 3) / 6 / 4])


def test_equal_pixels_go_in_reading_order():
    # So many that a sort that is not stable mixes them up.
    images = np.arange(400.0).reshape(1, 1, 20, 20)
    maps = np.tile([0.0, 1.0], 200).reshape(1, 20, 20)
    found = faithfulness.deletion_insertion(linear_score(1), images, maps, steps=400)
    np.testing.assert_array_equal(
        np.diff(found.insertion[0]), [*range(1, 400, 2), *range(0, 400, 2)]
    )


@settings(max_examples=30)
@given(SEEDS, st.integers(1, 12), st.sampled_from(["number", "channels", "image", "all"]))
def test_curves_equal_their_definition(seed, steps, kind):
    rng = np.random.default_rng(seed)
    shape = {"number": (), "channels": (2, 1, 1), "image": (2, 3, 4), "all": (3, 2, 3, 4)}
    images, fill = rng.normal(size=(3, 2, 3, 4)), rng.normal(size=shape[kind])
    maps, weights = tied_maps(rng, (3, 3, 4)), rng.normal(size=(2, 3, 4))

    def score(batch):
        return np.tanh(linear_score(weights)(batch))

    found = faithfulness.deletion_insertion(score, images, maps, fill, steps)
    fills = np.broadcast_to(fill, images.shape)
    counts = [round(12 * step / steps) for step in range(steps + 1)]
    for curves, start, end in ((found.deletion, images, fills), (found.insertion, fills, images)):
        np.testing.assert_allclose(
            curves,
            [
                slow_curve(score, a, saliency_map, b, counts)
                for a, saliency_map, b in zip(start, maps, end)
            ],
        )
    np.testing.assert_allclose(found.fractions, np.array(counts) / 12)
    full, empty = score(images), score(fills)
    for curves, areas in (
        (found.deletion, found.deletion_area),
        (found.insertion, found.insertion_area),
    ):
        for k in range(3):
            levels = (curves[k] - empty[k]) / (full[k] - empty[k])
            area = sum(
                (counts[j + 1] - counts[j]) / 12 * (levels[j] + levels[j + 1]) / 2
                for j in range(steps)
            )
            assert areas[k] == pytest.approx(area if full[k] > empty[k] else NAN, nan_ok=True)


@settings(max_examples=30)
@given(SEEDS, st.integers(1, 12))
def test_gradient_times_input_is_the_steepest_order_of_a_linear_network(seed, steps):
    rng = np.random.default_rng(seed)
    images, weights = rng.normal(size=(2, 3, 3, 4)), rng.normal(size=(3, 3, 4))
    images *= np.sign(linear_score(weights)(images))[:, None, None, None]
    worth = (images * weights).sum(axis=1)  # gradient times input
    best = faithfulness.deletion_insertion(linear_score(weights), images, worth, 0, steps)
    for _ in range(5):
        shuffled = rng.permuted(worth.reshape(3, -1), axis=1).reshape(worth.shape)
        other = faithfulness.deletion_insertion(linear_score(weights), images, shuffled, 0, steps)
        assert (best.deletion <= other.deletion + 1e-12).all()
        assert (best.insertion >= other.insertion - 1e-12).all()
        assert (best.deletion_area <= other.deletion_area + 1e-9).all()
        assert (best.insertion_area >= other.insertion_area - 1e-9).all()
    # What deletion leaves is what insertion has yet to bring.
    np.testing.assert_allclose(
        best.deletion + best.insertion, np.repeat(best.deletion[:, :1], steps + 1, axis=1)
    )
    np.testing.assert_allclose(best.deletion_area + best.insertion_area, 1)


def test_an_image_that_scores_no_higher_than_the_fill_has_no_area():
    images = np.array([1.0, 0.0, -1.0]).reshape(3, 1, 1, 1) * np.ones((3, 1, 2, 2))
    found = faithfulness.deletion_insertion(linear_score(1), images, np.zeros((3, 2, 2)), steps=2)
    np.testing.assert_array_equal(found.deletion_area, [0.5, NAN, NAN])
    np.testing.assert_array_equal(found.insertion_area, [0.5, NAN, NAN])


def test_score_is_given_all_images_in_their_type_and_they_stay_as_they_are():
    images, seen = np.ones((3, 1, 2, 2), np.float32), []

    def score(batch):
        seen.append((batch.shape, batch.dtype))
        batch[:] = 7
        return np.ones(len(batch))

    faithfulness.deletion_insertion(score, images, np.zeros((3, 2, 2)), steps=2)
    assert seen == [(images.shape, images.dtype)] * 6
    assert (images == 1).all()


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(maps=np.zeros((2, 2, 3))), "images without channels have shape"),
        (dict(maps=np.zeros((1, 2, 2))), "images without channels have shape"),
        (dict(maps=np.full((2, 2, 2), np.inf)), "maps hold values that are not finite"),
        (dict(images=np.zeros((0, 1, 2, 2)), maps=np.zeros((0, 2, 2))), "no maps were given"),
        (dict(images=np.full((2, 1, 2, 2), NAN)), "images hold values"),
        (dict(images=np.zeros((2, 1, 2, 2), np.uint8)), "must be floating point.*not uint8"),
        (dict(images=np.zeros((2, 2, 2))), "images must be .*of shape"),
        (dict(fill=np.zeros((3, 2, 2))), r"fill has shape \(3, 2, 2\), which does not"),
        (dict(fill=NAN), "fill hold values"),
        (dict(steps=0), "steps must be 1 to 4, the number of pixels, not 0"),
        (dict(steps=5), "not 5"),
        (dict(score=lambda images: np.zeros((2, 6))), r"gave shape \(2, 6\), not \(2,\)"),
        (dict(score=lambda images: np.full(2, NAN)), "scores hold values"),
    ],
)
def test_bad_arguments_of_curves_are_refused(changes, message):
    arguments = dict(
        score=linear_score(1),
        images=np.ones((2, 1, 2, 2)),
        maps=np.zeros((2, 2, 2)),
        fill=0,
        steps=2,
    )
    with pytest.raises(ValueError, match=message):
        faithfulness.deletion_insertion(**{**arguments, **changes})


# --- Agreement of methods -----------------------------------------------------


def test_an_agreement_worked_by_hand():
    # Ranks 1 to 4 against 1, 3, 2, 4: 1 - 6 (1 + 1) / (4 (16 - 1)).
    maps = np.array([[[0.0, 5.0, 6.0, 100.0]]]), np.array([[[-3.0, 0.2, 0.1, 0.3]]])
    assert agreement.rank_agreement(*maps) == pytest.approx(0.8)
    middle = np.array([[False, True, True, False]])
    assert agreement.rank_agreement(*maps, middle) == pytest.approx(-1)


@settings(max_examples=40)
@given(SEEDS)
def test_agreement_equals_its_definition(seed):
    a, _, region = case(seed)
    b = case(seed + 1)[0]
    np.testing.assert_allclose(
        agreement.rank_agreement(a, b), each(slow_spearman, a, b, np.ones_like(region)), atol=1e-12
    )
    np.testing.assert_allclose(
        agreement.rank_agreement(a, b, region), each(slow_spearman, a, b, region), atol=1e-12
    )


@settings(max_examples=30)
@given(SEEDS, st.sampled_from([np.exp, np.cbrt, lambda x: 3 * x - 7]))
def test_agreement_with_a_monotone_transform_is_one(seed, transform):
    maps = np.random.default_rng(seed).normal(size=(3, 4, 5))
    np.testing.assert_allclose(agreement.rank_agreement(maps, transform(maps)), 1)
    np.testing.assert_allclose(agreement.rank_agreement(maps, -transform(maps)), -1)


def test_constant_maps_agree_with_nothing():
    maps, flat = np.arange(8.0).reshape(2, 2, 2), np.zeros((2, 2, 2))
    assert np.isnan(agreement.rank_agreement(maps, flat)).all()
    assert np.isnan(agreement.rank_agreement(flat, maps)).all()
    single = np.array([[True, False], [False, False]])
    for region in (single, np.zeros_like(single)):
        assert np.isnan(agreement.rank_agreement(maps, maps, region)).all()


@pytest.mark.parametrize(
    "a, b, message",
    [
        (np.zeros((1, 2, 2)), np.zeros((1, 2, 3)), "other maps have shape"),
        (np.zeros((0, 2, 2)), np.zeros((0, 2, 2)), "no maps were given"),
        (np.zeros((1, 2, 2)), np.full((1, 2, 2), NAN), "other maps hold values"),
    ],
)
def test_bad_maps_to_compare_are_refused(a, b, message):
    with pytest.raises(ValueError, match=message):
        agreement.rank_agreement(a, b)


# --- Randomized networks ------------------------------------------------------


def small_network():
    """Two dense layers, the upper one unnamed, below a rectifier."""
    rng = np.random.default_rng(3)
    network = L.InputLayer((None, 9), name="input")
    network = L.DenseLayer(
        network,
        5,
        W=rng.normal(size=(9, 5)).astype(np.float32),
        b=np.arange(5, dtype=np.float32),
        name="hidden",
    )
    network = L.DropoutLayer(network, name="dropout")
    return L.DenseLayer(network, 4, W=rng.normal(size=(5, 4)).astype(np.float32), nonlinearity=None)


def parameters(network):
    return [parameter.get_value() for parameter in L.get_all_params(network)]


def same(first, second):
    return [np.array_equal(a, b) for a, b in zip(first, second)]


def test_layers_are_permuted_one_by_one_from_the_output_and_are_back_at_the_end():
    network = small_network()
    trained = parameters(network)  # W and b of hidden, W and b of the output
    with randomization.cascading_randomization(network) as steps:
        assert same(parameters(network), trained) == [True] * 4
        assert next(steps) == "DenseLayer"
        upper = parameters(network)
        # The output's biases are all zero, which no permutation changes.
        assert same(upper, trained) == [True, True, False, True]
        assert next(steps) == "hidden"
        lower = parameters(network)
        assert same(lower, upper) == [False, False, True, True]
        assert next(steps, None) is None
    for changed, before in zip(lower, trained):
        assert changed.dtype == before.dtype and changed.shape == before.shape
        np.testing.assert_array_equal(np.sort(changed, axis=None), np.sort(before, axis=None))
    # Single weights change places, not whole rows of them.
    assert not any(
        (np.sort(lower[0], axis=1) == np.sort(row)).all(axis=1).any() for row in trained[0]
    )
    assert same(parameters(network), trained) == [True] * 4


@settings(max_examples=10)
@given(st.integers(0, 2), SEEDS, st.sampled_from(["leave", "break", "raise"]))
def test_the_parameters_are_back_however_the_consumer_ends(taken, seed, how):
    network = small_network()
    trained = parameters(network)
    try:
        with randomization.cascading_randomization(network, seed=seed) as steps:
            for _ in range(taken):
                next(steps)
            for _ in steps:
                if how == "break":
                    break
                if how == "raise":
                    raise KeyError
    except KeyError:
        pass
    assert all(same(parameters(network), trained))
    # An iterator kept beyond the block does nothing more.
    assert list(steps) == [] and all(same(parameters(network), trained))


def randomized(network, names=None, seed=0):
    with randomization.cascading_randomization(network, names, seed) as steps:
        return list(steps), parameters(network)


def test_a_seed_decides_and_no_other_generator_is_synthetic_from():
    network = small_network()
    lasagne.random.set_rng(np.random.RandomState(5))
    np.random.seed(6)
    expected = np.random.RandomState(5).rand(), np.random.RandomState(6).rand()
    first, again, other = (randomized(network, seed=seed)[1] for seed in (1, 1, 2))
    assert all(same(first, again)) and not all(same(first, other))
    assert (lasagne.random.get_rng().rand(), np.random.rand()) == expected


@pytest.mark.parametrize("names", ["hidden", ["hidden"]])
def test_chosen_layers_alone_are_randomized(names):
    network = small_network()
    done, changed = randomized(network, names)
    assert done == ["hidden"]
    assert same(changed, parameters(network)) == [False, False, True, True]


def test_chosen_layers_go_from_the_output_down_in_whatever_order_they_are_named():
    network = die.build("c2")
    assert randomized(network, ["conv1", "output"])[0] == ["output", "conv1"]


def test_a_shared_parameter_is_randomized_once_with_the_topmost_layer():
    inputs = L.InputLayer((None, 6), name="input")
    lower = L.DenseLayer(inputs, 6, W=np.arange(36, dtype=np.float32).reshape(6, 6), name="lower")
    upper = L.DenseLayer(lower, 6, W=lower.W, b=lower.b, name="upper")
    with randomization.cascading_randomization(upper) as steps:
        assert next(steps) == "upper"
        changed = lower.W.get_value()
        assert next(steps) == "lower"
        np.testing.assert_array_equal(lower.W.get_value(), changed)
    np.testing.assert_array_equal(lower.W.get_value().ravel(), np.arange(36))
    assert not np.array_equal(changed.ravel(), np.arange(36))


def test_networks_with_several_inputs_and_with_statistics_of_batches():
    below = [L.InputLayer((None, 1, 6, 6), name=name) for name in ("left", "right")]
    branches = [
        layers.NormalizedConv2DLayer(side, 2, 3, name=f"conv {side.name}") for side in below
    ]
    for k, branch in enumerate(branches):
        branch.variance.set_value(np.array([1, 2 + k], np.float32))
    network = L.DenseLayer(L.ConcatLayer(branches), 3, name="output")
    trained = parameters(network)
    done, changed = randomized(network)
    assert done == ["output", "conv right", "conv left"]
    assert all(same(parameters(network), trained))
    for branch, k in zip(branches, range(2)):  # variances stay positive
        place = L.get_all_params(network).index(branch.variance)
        assert sorted(changed[place]) == [1, 2 + k]


@pytest.mark.parametrize(
    "names, message",
    [
        ("nothing", "no layer 'nothing' with parameters in this network; it has: hidden"),
        (["hidden", "dropout"], "no layer 'dropout' with parameters"),
        ([], "no names of layers were given"),
    ],
)
def test_unknown_layers_are_refused(names, message):
    with pytest.raises(ValueError, match=message):
        with randomization.cascading_randomization(small_network(), names):
            pass


def test_a_network_without_parameters_is_refused():
    with pytest.raises(ValueError, match="no layer with parameters"):
        with randomization.cascading_randomization(L.InputLayer((None, 2))):
            pass


def test_similarity_compares_each_step_with_the_trained_network():
    network = small_network()
    hidden = L.get_all_layers(network)[1]
    flat = np.arange(9.0).reshape(1, 3, 3)

    def compute():
        weights = hidden.W.get_value() @ network.W.get_value()
        return np.concatenate([weights.T.reshape(4, 3, 3), flat])

    found = randomization.cascading_similarity(network, compute, seed=4)
    assert found.names == ("DenseLayer", "hidden") and found.agreement.shape == (2, 5)
    before = compute()
    with randomization.cascading_randomization(network, seed=4) as steps:
        expected = [agreement.rank_agreement(before, compute()) for _ in steps]
    np.testing.assert_array_equal(found.agreement, expected)
    # A map that does not look at the network stays, as an edge detector does.
    np.testing.assert_allclose(found.agreement[:, 4], 1)
    assert (found.agreement[:, :4] < 1).all()
    alone = randomization.cascading_similarity(network, compute, "hidden", 4, np.eye(3, dtype=bool))
    assert alone.names == ("hidden",)


def test_similarity_survives_a_function_that_reuses_its_output():
    network = small_network()
    buffer = np.empty((1, 5, 4))

    def compute():
        buffer[0] = network.W.get_value()
        return buffer

    assert randomization.cascading_similarity(network, compute).agreement[0] < 1


@pytest.mark.parametrize("engine", ["theano", "torch"])
def test_compiled_saliency_follows_the_randomized_parameters(engine):
    if engine == "torch":
        pytest.importorskip("torch")
    layer = layers.find_layer(die.build("c2", seed=1), "pool2")
    images = np.random.RandomState(0).randn(2, 1, 32, 32).astype(np.float32)
    backend.select(engine, "cpu")
    try:
        gradient = Gradient(layer, "sum", evaluation="whole")
    finally:
        backend.select()

    def compute():
        return reductions.reduce_channels(gradient.attribute(images, 0)[:, 0])

    before = compute()
    found = randomization.cascading_similarity(layer, compute)
    assert found.names == ("conv2", "conv1")
    assert (np.abs(found.agreement) < 0.9).all()
    np.testing.assert_array_equal(compute(), before)


# --- Intervals ----------------------------------------------------------------


def slow_interval(values, statistic, seed, count, level):
    rng = np.random.default_rng(seed)
    found = sorted(
        statistic(values[rng.integers(len(values), size=len(values))]) for _ in range(count)
    )
    return np.quantile(found, [(1 - level) / 2, (1 + level) / 2])


@settings(max_examples=15)
@given(SEEDS, st.integers(2, 40), st.integers(2, 120), st.sampled_from([0.5, 0.95]))
def test_the_interval_is_the_middle_of_resampled_rows(seed, rows, count, level):
    values = np.random.default_rng(seed).normal(size=(rows, 2))

    def statistic(drawn):
        return drawn[:, 0].mean() - drawn[:, 1].min()

    np.testing.assert_allclose(
        intervals.bootstrap_interval(values, statistic, seed, count, level),
        slow_interval(values, statistic, seed, count, level),
    )


def test_an_interval_of_the_mean_covers_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(100):
        low, high = intervals.bootstrap_interval(rng.normal(size=40), np.mean, trial, 200, 0.8)
        covered += low <= 0 <= high
    assert 68 <= covered <= 90  # 80 of 100, three standard deviations


def test_equal_rows_leave_no_doubt_and_nan_can_be_left_out():
    assert intervals.bootstrap_interval(np.full(5, 3.0), np.mean, 0, 10) == (3, 3)
    values = np.array([1.0, NAN, 1.0, 1.0, 1.0, 1.0])
    assert intervals.bootstrap_interval(values, np.nanmean, 0, 10) == (1, 1)


def test_resamples_without_a_statistic_do_not_count():
    """Kappa is NaN for a resample that holds one and the same pair of grades."""
    pairs = np.array([[0, 0], [1, 1]])
    assert intervals.bootstrap_interval(
        pairs, lambda rows: quadratic_weighted_kappa(*rows.T), 0, 50
    ) == (1, 1)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(values=[1.0]), "two rows at least"),
        (dict(values=3.0), "two rows at least"),
        (dict(count=1), "count must be at least 2"),
        (dict(level=1), r"level in \(0, 1\)"),
    ],
)
def test_bad_arguments_of_intervals_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        intervals.bootstrap_interval(**{**dict(values=[1.0, 2.0], statistic=np.mean), **arguments})
