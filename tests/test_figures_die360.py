"""Figures 5.2 and 5.5, Table 5.2, animations: rules, measures, and that they are drawn."""

import itertools

import attributions
import matplotlib.image
import matplotlib.text
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp
from PIL import Image

from cnnviz.attribution import overlay
from cnnviz.attribution.activations import feature_maps
from cnnviz.attribution.gradient import Gradient
from cnnviz.cli import dispatch
from cnnviz.datasets import die360, sequences
from cnnviz.dissection import labels
from cnnviz.evaluation import stability
from cnnviz.experiments import die_animation, die_exemplars, disagreement, exemplar_shapes
from cnnviz.experiments import neighboring_views as neighbors
from cnnviz.experiments.die_saliency import DieSaliency, FeatureSaliency
from cnnviz.networks import die, layers
from cnnviz.runtime import files
from cnnviz.runtime.records import made_from
from cnnviz.thesis.figures import (
    animation,
    figure_5_2,
    figure_5_5,
    saliency_sheet,
    shapes,
    style,
    table_5_2,
)
from cnnviz.thesis.tables import exemplars_die360, labeler_validation

MASKS = hnp.arrays(bool, (3, 4, 5))


def within_page(figure):
    """Assert that nothing is clipped and that everything can be read."""
    within = figure.get_tightbbox(figure.canvas.get_renderer())
    assert min(within.min) > -1e-6
    assert (within.max < figure.get_size_inches() + 1e-6).all()
    texts = [text for text in figure.findobj(matplotlib.text.Text) if text.get_text()]
    assert min(text.get_size() for text in texts) >= style.SMALL
    return {text.get_text() for text in texts}


def step(first, second):
    """Degrees between views, the larger of both angles."""
    apart = np.abs(np.subtract(first, second)) % 360
    return int(np.minimum(apart, 360 - apart).max())


# --- Sequences -------------------------------------------------------------------


def test_blocks_are_the_cells_of_a_class():
    for label in range(1, 7):
        views = {
            ((block.first_a + i) % 360, (block.first_b + j) % 360)
            for block in sequences.blocks(label)
            for i in range(block.count_a)
            for j in range(die360.BLOCK_B)
        }
        a, b, labels = die360.angles()
        mine = labels == label
        assert views == set(zip(a[mine].tolist(), b[mine].tolist()))


@pytest.mark.parametrize(
    "label, count", [(1, 198), (2, 198), (3, 360), (4, 360), (5, 198), (6, 198)]
)
def test_round_trips_take_one_degree_at_a_time(label, count):
    a, b = sequences.round_trip(label)
    views = list(zip(a.tolist(), b.tolist()))
    assert len(set(views)) == len(views) == count
    # Exactly one angle changes, by one degree, also from the last view to the first.
    for one, other in zip(views, views[1:] + views[:1]):
        assert step(one, other) == 1 and (one[0] == other[0]) != (one[1] == other[1])
    known = dict(
        zip(zip(*(each.tolist() for each in die360.angles()[:2])), die360.angles()[2].tolist())
    )
    assert {known[view] for view in views} == {label}


def test_neighbors_across_the_seam_and_at_the_border():
    a, b = np.array([359, 0, 1, 0]), np.array([7, 7, 7, 8])
    found = sequences.neighbors(a, b)
    assert found[0, :, 1].tolist() == [0, 2]  # along a: 359 and 1
    assert found[1, :, 1].tolist() == [-1, 3]  # along b: nothing below, 8 above


def test_neighbors_of_the_data_set_are_of_the_same_class():
    a, b, label = die360.angles()
    found = sequences.neighbors(a, b)
    there = found >= 0
    assert (label[found][there] == np.broadcast_to(label, found.shape)[there]).all()
    # Interior views have four: the thesis counts six, of three angles.
    assert np.bincount(there.sum(axis=(0, 1))).argmax() == 4


def test_views_along_an_angle():
    assert [each.tolist() for each in sequences.along((359, 5), 0, 2)] == [
        [357, 358, 359, 0, 1],
        [5] * 5,
    ]
    assert [each.tolist() for each in sequences.along((3, 0), 1, 1)] == [[3, 3, 3], [359, 0, 1]]


@pytest.fixture(scope="module")
def data():
    """Every 2,000th view, as noise: nothing here depends on what is seen."""
    a, b, label = (each[::2000] for each in die360.angles())
    noise = np.random.RandomState(0).rand(len(a), 32, 32).astype(np.float32)
    images, mean, std = die360.standardize(noise)
    return die360.Die360(images, (label - 1).astype(np.int32), a, b, mean, std, 2000)


def test_images_that_the_data_set_lacks_are_rendered(data, monkeypatch):
    rendered = []
    monkeypatch.setattr(
        die360,
        "render",
        lambda a, b: rendered.append((a, b)) or np.full((len(a), 32, 32), 0.75, np.float32),
    )
    a, b = np.append(data.a[[3, 0]], 77), np.append(data.b[[3, 0]], 66)
    found = sequences.images(data, a, b)
    np.testing.assert_array_equal(found[:2], data.images[[3, 0]])
    np.testing.assert_allclose(found[2], (0.75 - data.mean) / data.std, atol=1e-5)
    (only,) = rendered
    assert [each.tolist() for each in only] == [[77], [66]]
    assert sequences.images(data, a[:2], b[:2]).shape == (2, 1, 32, 32)
    assert len(rendered) == 1


# --- Stability -------------------------------------------------------------------


def test_change_by_hand():
    first = np.array([[1, 1, 0, 0]], bool)
    assert stability.change(first, first) == 0
    assert stability.change(first, ~first) == 1
    assert stability.change(first, np.array([[0, 1, 1, 0]], bool)) == pytest.approx(2 / 3)
    assert np.isnan(stability.change(0 * first > 0, 0 * first > 0))


@given(MASKS, MASKS)
def test_change_is_symmetric_and_between_0_and_1(first, second):
    found = stability.change(first, second)
    np.testing.assert_array_equal(found, stability.change(second, first))
    known = found[~np.isnan(found)]
    assert ((known >= 0) & (known <= 1)).all()
    assert (np.isnan(found) == ~(first | second).any(axis=(1, 2))).all()


def test_correlation_is_pearson_s(rng):
    first, second = rng.randn(2, 4, 5, 6)
    expected = [np.corrcoef(x.ravel(), y.ravel())[0, 1] for x, y in zip(first, second)]
    np.testing.assert_allclose(stability.correlation(first, second), expected)
    assert np.isnan(stability.correlation(first[0], np.ones((5, 6))))


def test_prominent_maps_are_not_nearly_all_negative():
    maps = np.zeros((4, 2, 2))
    maps[0, 0, 0], maps[1, 0] = 1, (1, -2)
    maps[2, 0], maps[3, 0] = (0.9, -2), (-1, -2)
    assert stability.prominent(maps).tolist() == [True, True, False, False]


def test_of_equal_changes_the_most_similar_images_count():
    changes = np.array([[0.2, 1, np.nan], [1, 0.5, 1]])
    assert stability.largest(changes, np.array([3, 2, 1.0])) == (1, 2)
    assert stability.largest(changes, np.array([3, 2, 2.5])) == (0, 1)
    assert stability.largest(np.full((2, 2), np.nan), np.zeros(2)) is None


def test_disagreement_from_its_definition(rng):
    """Over networks, images, angles and directions, one at a time."""
    posteriors = rng.dirichlet(np.ones(4), (3, 6))
    around = rng.randint(0, 6, (2, 2, 5))
    found = stability.disagreement(posteriors, around)
    for angle, image in itertools.product(range(2), range(5)):
        total = sum(
            0.5 * abs(posteriors[n, image, k] - posteriors[n, other, k])
            for n in range(3)
            for other in around[angle, :, image]
            for k in range(4)
        )
        assert found[angle, image] == pytest.approx(total / 6)
    around[1, 0, 2] = -1
    missing = np.isnan(stability.disagreement(posteriors, around))
    assert missing.sum() == 1 and missing[1, 2]


def test_total_variation_of_certain_answers():
    assert stability.total_variation(np.array([1, 0, 0]), np.array([0, 0, 1])) == 1


# --- Commands --------------------------------------------------------------------


def test_pairs_are_neighbors_and_random_views_of_a_class():
    pairs, others = neighbors.choose_pairs(900)
    a, b, label = die360.angles()
    assert {step((a[i], b[i]), (a[j], b[j])) for i, j in pairs} == {1}
    assert (label[others[:, 0]] == label[others[:, 1]]).all()
    assert (others[:, 0] != others[:, 1]).all()
    with pytest.raises(ValueError, match="smaller --sampling-stride"):
        neighbors.choose_pairs(20000)


@pytest.fixture(scope="module")
def network():
    return die.build("c2", seed=3)


def test_changes_of_a_network(data, network):

    layer = layers.find_layer(network, "pool2")
    pairs, others = np.array([[0, 1], [2, 2], [3, 4]]), np.array([[0, 5]])
    apart = neighbors.differences(data.images, pairs)
    assert apart[1] == 0 and apart[0] == pytest.approx(
        np.sqrt(np.mean((data.images[0] - data.images[1]) ** 2))
    )
    found = neighbors.measure(layer, data.images[:6], pairs, others, "sum", apart)
    assert found.neighbors.shape == (3, 3) and found.random.shape == (3, 1)
    seen = ~np.isnan(found.neighbors[:, 1])
    assert seen.any() and (found.neighbors[seen, 1] == 0).all()  # the same view twice
    np.testing.assert_allclose(found.correlation[seen, 1], 1)
    # The example is the largest change of maps that are not nearly all negative.
    smooth = overlay.smooth(
        attributions.gradient(layer, data.images[:6], target="sum", evaluation="whole")
    )
    shown = [
        found.neighbors[feature, k]
        for feature in range(3)
        for k, pair in enumerate(pairs)
        if all(
            2 * smooth[feature, view].max() >= np.abs(smooth[feature, view]).max() for view in pair
        )
    ]
    assert found.largest.change == max(shown)
    assert found.largest.maps.shape == (2, 32, 32)


@pytest.mark.parametrize("every", [1, 120])
def test_candidates_have_neighbors_on_both_sides(every):
    views, near = disagreement.candidates(every)
    a, b, _ = die360.angles()
    count = near.shape[2]
    assert (views[:count] == np.arange(0, len(a), every)).all()
    assert len(set(views.tolist())) == len(views)
    angle, _, image = there = np.nonzero(near >= 0)
    for k in range(0, len(image), len(image) // 50):
        one, other = views[image[k]], views[near[tuple(each[k] for each in there)]]
        changed = [a[one] != a[other], b[one] != b[other]]
        assert step((a[one], b[one]), (a[other], b[other])) == 1
        assert changed == [angle[k] == 0, angle[k] == 1]
    # Three at either end of a block of 41 degrees have fewer on a side.
    alone = (near[1] < 0).any(axis=0)
    place = (b[views[:count], None] - die360.STARTS_B).T % 360
    assert (alone == ((place.min(axis=0) < 3) | (place.min(axis=0) > 37))).all()


def test_views_that_were_trained_on(data):
    known = disagreement.trained(data, 0, np.append(data.a, 77), np.append(data.b, 66))
    assert known[:-1].sum() == len(data.a) - len(data.a) // 5 and not known[-1]


def test_exemplars_are_the_best_of_their_starts(network):
    from cnnviz.feature_visualization import (
        activation_maximization,
        ascent,
        patch_network,
        starting_points,
    )

    patch = patch_network.patch_network(layers.find_layer(network, "pool1"))
    patches, reached = die_exemplars.best(patch, 3)
    rule = ascent.Rule(norm=4, step_size=die_exemplars.STEP_SIZE)
    single = [
        activation_maximization.maximize(
            patch, starting_points.start_noise(patch, seed=seed), rule=rule
        )
        for seed in range(3)
    ]
    expected = np.max([each.reached for each in single], axis=0)
    np.testing.assert_allclose(reached, expected, rtol=1e-4)
    np.testing.assert_allclose(
        patch.evaluate(patches[:, np.newaxis], np.arange(3))[0], reached, rtol=1e-4
    )
    np.testing.assert_allclose(np.linalg.norm(patches.reshape(3, -1), axis=1), 4, rtol=1e-4)


def test_neuron_0_0_sees_the_top_left_of_a_padded_patch(network):
    """Padding a patch as large as the field, and taking the first neuron: the same."""
    from cnnviz.feature_visualization import patch_network

    layer = layers.find_layer(network, "pool2")
    first = patch_network.patch_network(layer, (0, 0))
    assert first.field == (10, 10) and first.shape[1:] == (7, 7)
    image = np.zeros((1, 1, 32, 32), np.float32)
    image[0, 0, :7, :7] = np.random.RandomState(0).randn(7, 7)
    whole = first.maps(image)[0, :, 0, 0]
    np.testing.assert_allclose(
        first.evaluate(np.repeat(image[:, :, :7, :7], 3, axis=0), np.arange(3))[0],
        whole,
        rtol=1e-4,
        atol=1e-5,
    )
    gradient = Gradient(layer, "sum").attribute(image, 0)[:, 0]
    assert gradient.shape == image.shape
    framed = die_exemplars.on_field(image[0, :, :7, :7], first.field)
    assert framed.shape == (1, 10, 10) and not framed[0, 7:].any()


def saliency(**lifts):
    """Saliency of c2's layers with this lift of max(F), and nothing else."""
    return DieSaliency(
        "c2",
        {
            name: FeatureSaliency(
                np.zeros((1, len(each), 2), int),
                {"max": np.zeros((len(each), 1, 2, 2))},
                {"max": each},
            )
            for name, each in lifts.items()
        },
        np.zeros((1, 2, 2)),
    )


def test_every_feature_has_the_name_that_the_figures_give_it(network, tmp_path):
    lifts = {
        layer.name: np.ones((layer.output_shape[1], len(saliency_sheet.CONCEPTS)))
        for layer in layers.pooling_layers(network)
    }
    lifts["pool1"][0, 3] = 2
    lifts["pool2"][1] = np.nan
    path = tmp_path / "c2.npz"
    saliency(**lifts).save(path, made_from())

    names = labeler_validation.names_by_figures([path])

    assert set(names) == {
        ("c2", name, feature) for name, each in lifts.items() for feature in range(len(each))
    }
    assert names["c2", "pool1", 0] == saliency_sheet.CONCEPTS[3]
    assert names["c2", "pool2", 1] == labels.OTHER


def test_the_animated_feature_is_most_about_pips(network):
    lift = np.full((3, 4), 9.0)
    lift[:, 3] = 1, np.nan, 2
    other = lift.copy()
    other[:, 3] = 1.5, 2.5, 0

    both = saliency(pool1=lift, pool2=other)
    assert die_animation.most_about(both, ["pool1", "pool2"]) == ("pool2", 1)
    assert die_animation.most_about(both, ["pool1"]) == ("pool1", 2)
    assert die_animation.most_about(saliency(pool1=lift * np.nan), ["pool1"]) == ("pool1", 0)
    assert die_animation.partial(layers.pooling_layers(network)) == ["pool1", "pool2"]
    assert die_animation.partial(layers.pooling_layers(die.build("c4")))[-1] == "pool3"


def test_animated_views_show_the_maximal_neuron(data, network):
    layer = layers.find_layer(network, "pool1")

    areas, boxes, largest = die_animation.measure(layer, 1, data.images[:4])
    maps = feature_maps(layer, data.images[:4])[:, 1]
    assert set(areas) == {"max", "sum"} and areas["max"].shape == (4, 32, 32)
    for box, values, activation in zip(boxes, maps, largest):
        row, column = (np.add(box[:2], 1) // 2).tolist()  # stride 2, pad 1
        assert values[row, column] == activation == values.max()


@pytest.mark.parametrize(
    "command, options",
    [
        ("neighbors", ["--network", "d5"]),
        ("die-exemplars", ["--network", "d5"]),
        ("figure", ["5.2", "--neighbors", "c1.npz"]),
        ("figure", ["5.5", "--disagreement", "none.npz"]),
        ("table", ["5.2", "--exemplars", "c1.npz", "--table", "t.md"]),
    ],
)
def test_errors_are_one_line(command, options, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert dispatch.main([command, *options, "-o", "out"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and ("no pooling layers" in said or "make it with" in said)


# --- Figure 5.2 ------------------------------------------------------------------


def write_changes(path, changes, differences, rng):
    """A file as 'cnnviz neighbors' writes it, of one layer."""
    feature, pair = stability.largest(changes, differences)
    layer = neighbors.LayerChanges(
        {
            target: neighbors.Changes(
                changes,
                changes,
                1 - changes,
                neighbors.LargestChange(
                    int(pair),
                    int(feature),
                    float(changes[feature, pair]),
                    rng.randn(2, 32, 32),
                    np.array([-0.0123, 0.000786]),
                    np.array([[-1, 0, 3, 4], [5, 6, 9, 10]]),
                ),
            )
            for target in ("max", "sum")
        }
    )
    neighbors.NeighboringViews(
        path.stem,
        {"pool1": layer},
        np.array([[10, 50], [11, 50], [12, 50]]),
        np.array([[0, 1], [1, 2]]),
        differences,
        rng.rand(3, 32, 32),
    ).save(path, made_from())


def test_figure_5_2_shows_the_largest_change_of_all_networks(tmp_path, rng):
    write_changes(tmp_path / "c1.npz", np.array([[0.2, 0.9]]), np.array([0.012, 0.02]), rng)
    write_changes(tmp_path / "c2.npz", np.array([[0.9, np.nan]]), np.array([0.012, 0.02]), rng)
    examples = [figure_5_2.read(tmp_path / f"c{k}.npz")[1]["max"][0] for k in (1, 2)]
    best = figure_5_2.strongest(examples)
    assert (best.network, best.difference, best.views.tolist()) == (
        "c2",
        0.012,
        [[10, 50], [11, 50]],
    )
    assert (
        dispatch.main(
            [
                "figure",
                "5.2",
                "--neighbors",
                str(tmp_path / "c1.npz"),
                str(tmp_path / "c2.npz"),
                "--table",
                str(tmp_path / "t.md"),
                "-o",
                str(tmp_path / "f"),
            ]
        )
        == 0
    )
    assert matplotlib.image.imread(tmp_path / "f.png").shape[1] == 2130
    lines = (tmp_path / "t.md").read_text().splitlines()
    # Quartiles of 0.2 and 0.9: nothing is entirely apart.
    assert "| c1, pool1 | 0.38 **0.55** 0.73 | 0% | 0.55 | 0.45 |" in lines[-2]
    found = [layer for k in (1, 2) for layer in figure_5_2.read(tmp_path / f"c{k}.npz")[0]]
    said = within_page(figure_5_2.draw(found, {"max": best, "sum": best}))
    assert any(
        "change 0.90\nimages differ by 3.1/255\nactivation −0.0123,\nthen 0.000786" in text
        for text in said
    )


def test_silent_layers_are_synthetic_without_examples():
    nothing = np.full((3, 4), np.nan)
    silent = dict.fromkeys(("max", "sum"), nothing)
    layer = figure_5_2.Layer("c1", "pool1", silent, silent, silent)
    assert "(a) change between neighbors, by layer" in within_page(figure_5_2.draw([layer], {}))
    assert "silent | – | – | – |" in figure_5_2.changes_table([layer], np.ones(3))


# --- Figure 5.5 ------------------------------------------------------------------


def test_figure_5_5_has_a_bar_for_every_network_and_class(rng):
    networks = list(die.NAMES)
    posteriors = rng.dirichlet(np.ones(6), (8, 7))
    figure = figure_5_5.draw(
        rng.rand(7, 32, 32),
        np.arange(81, 88),
        np.full(7, 244),
        np.arange(7) % 2 == 0,
        6,
        networks,
        posteriors,
    )
    said = within_page(figure)
    assert {
        "a = 84°\nb = 244°\nnot trained on",
        "c9",
        "posterior of each number of spots (the right one: 6)",
    } <= said
    bars = [axes for axes in figure.axes if len(axes.patches) == 48]
    assert len(bars) == 7
    heights = np.array([patch.get_height() for patch in bars[3].patches])
    np.testing.assert_allclose(heights.reshape(6, 8), posteriors[:, 3].T)
    first = stability.total_variation(posteriors[:, 0], posteriors[:, 1]).mean()
    assert f"↕ {first:.3f}" in said


def test_numbers_can_be_read_on_every_color():
    assert shapes.ink("white") == "black" and shapes.ink("#000000") == "white"
    assert len(set(style.FACES)) == die360.CLASSES


# --- Table 5.2 -------------------------------------------------------------------


def test_windows_have_a_pip_in_their_middle_or_none():
    mask = np.zeros((1, 20, 20), bool)
    mask[0, 8:12, 8:12] = True  # center at 9.5, 9.5
    image = np.arange(400.0).reshape(1, 20, 20)
    found = exemplar_shapes.spot_windows(image, mask, 8)
    corners = np.stack(np.divmod(found.pip[:, 0, 0], 20), axis=1)
    assert sorted(map(tuple, corners.tolist())) == sorted(itertools.product((5, 6, 7), repeat=2))
    assert len(found.other) == 13 * 13 - 11 * 11  # any that meets it is left out
    assert len(exemplar_shapes.spot_windows(image, mask, 8, 4).pip) == 4


def test_small_pips_do_not_count():
    mask = np.zeros((12, 12), bool)
    mask[:3, :3], mask[8:10, 8:10] = True, True
    assert exemplar_shapes.pips(mask).tolist() == [[1, 1]]
    assert exemplar_shapes.pips(mask & False).shape == (0, 2)


def test_likeness_is_the_best_correlation_of_any_part(rng):
    patch, windows = rng.randn(5, 6), rng.randn(3, 4, 4)
    expected = max(
        np.corrcoef(patch[i : i + 4, j : j + 4].ravel(), window.ravel())[0, 1]
        for i in range(2)
        for j in range(3)
        for window in windows
    )
    assert exemplar_shapes.likeness(patch, windows) == pytest.approx(expected)
    assert exemplar_shapes.likeness(3 + 2 * patch, patch[np.newaxis, :4, :4]) == (pytest.approx(1))
    assert np.isnan(exemplar_shapes.likeness(patch, windows[:0]))


def test_corner_shares_by_hand():
    patches = np.ones((4, 3, 3))
    patches[1] = 0
    patches[2, 1:, 1:], patches[3, :2, :2] = 0, 0
    # Of three rows, the last and half of the middle one: (1 + 0.5)^2 of 9.
    found = exemplar_shapes.corner_share(patches)
    assert found[0] == pytest.approx(0.25) and np.isnan(found[1])
    assert found[2] == pytest.approx(0) and found[3] == pytest.approx(2 / 5)


def layer(network, name, patches, first):
    return exemplars_die360.Layer(
        network,
        name,
        (8, 8),
        patches,
        np.array([4.0]),
        np.array([2.0]),
        first,
        (5, 5),
        np.array([3.0]),
    )


@pytest.fixture
def layers_of_two():
    """c9 with a spot in its first layer, and c2 without; first neurons see no corner."""
    rng = np.random.RandomState(1)
    pip, other = rng.randn(2, 1, 8, 8)
    windows = {8: exemplar_shapes.Windows(pip, other)}
    first = other.copy()
    first[:, 5:], first[:, :, 5:] = 0, 0
    first[:, 4, 4] = 0
    return windows, [
        layer("c2", "pool1", other, first),
        layer("c2", "pool2", pip, first),
        layer("c9", "pool1", pip, first),
        layer("c9", "pool2", other, first),
    ]


def test_verdicts_follow_from_the_numbers(layers_of_two):
    windows, found = layers_of_two
    said = " ".join(exemplars_die360.text(found, windows).split())
    assert (
        "Yes. c9's first layer: 1 of 1 features spot-like, largest correlation with a "
        "pip 1.00; the others' first: 0 of 1"
    ) in said
    assert (
        "No for the central neuron on what it sees: the quarter holds less than 0.05 "
        "of the energy in 0 of 2"
    ) in said
    assert "Yes for neuron (0, 0): 2 of 2, mean share 0.000." in said
    assert "| c9, pool1 | 1 | 8×8 | 2× | 1.00 |" in said
    swapped = [each._replace(network={"c2": "c9", "c9": "c2"}[each.network]) for each in found]
    assert "No. c9's first layer: 0 of 1" in exemplars_die360.text(swapped, windows)
    assert "Cannot be said without c9." in exemplars_die360.text(found[:2], windows)
    shallow = exemplars_die360.text(found[:1], windows)
    assert "Cannot be said without a second pooling layer." in shallow


def test_table_5_2_says_what_neurons_see(layers_of_two):
    _, found = layers_of_two
    said = within_page(table_5_2.draw(found))
    assert {"pool1, 8 × 8", "c9, pool2, sees 5 of 8", "4\n2", "3\n2"} <= said
    alone = within_page(table_5_2.draw(found[:1]))
    assert not any(text.startswith("(b)") for text in alone)


# --- Animations ------------------------------------------------------------------


def test_frames_are_enlarged_and_marked():
    image = np.linspace(0, 1, 16).reshape(4, 4)
    mask = np.zeros((4, 4), bool)
    mask[1:3, 1:3] = True
    large = animation.enlarge(image, 3)
    assert large.shape == (12, 12) and large.max() == animation.GRAYS - 1
    area = animation.with_area(image, mask, 3)
    outlined = area == animation.AREA
    assert outlined[3:9, 3:9].sum() == outlined.sum() == 6 * 6 - 4 * 4
    assert (area[4:8, 4:8] > large[4:8, 4:8]).all()  # brightened
    assert (area[:3] == large[:3]).all()
    boxed = animation.with_box(large, (-2, 1, 2, 9), 3)  # beyond the image on two sides
    marked = boxed == animation.BOX
    assert marked[0, 3:].all() and marked[5, 3:].all() and marked[:6, 3].all()
    assert marked[:6, 11].all() and not marked[6:].any() and not marked[:, :3].any()


def test_animations_keep_their_frames_and_colors(tmp_path):
    panels = [np.full((8, 8), k, np.uint8) for k in (0, animation.AREA, animation.BOX)]
    frames = [
        animation.frame(panels[::turn], ["one", "two", "three"], "above", "below")
        for turn in (1, -1)
    ]
    for name in ("a.gif", "b.gif"):
        animation.save(tmp_path / name, frames)
    assert files.sha256(tmp_path / "a.gif") == files.sha256(tmp_path / "b.gif")
    with Image.open(tmp_path / "a.gif") as found:
        assert found.n_frames == 2 and found.info["loop"] == 0
        assert found.info["duration"] == animation.DURATION
        found.seek(1)
        colors = np.asarray(found.convert("RGB"))
    middle = 2 * animation.LINE + 4, animation.GAP + 4
    assert "#{:02x}{:02x}{:02x}".format(*colors[middle]) == style.RECEPTIVE_FIELD
    assert colors[: animation.LINE].max() == 255  # the text above
