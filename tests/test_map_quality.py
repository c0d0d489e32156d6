"""Measuring whether maps are right: by hand, from definitions, and the words it says."""

import attributions
import matplotlib.image
import matplotlib.text
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from cnnviz.attribution import overlay
from cnnviz.attribution.gradient import Gradient
from cnnviz.attribution.occluder import Occluder
from cnnviz.attribution.occlusion import Occlusion
from cnnviz.cli import dispatch
from cnnviz.evaluation import (
    agreement,
    benchmark,
    cascade,
    feature_neurons,
    feature_selection,
    layer_methods,
    randomization,
)
from cnnviz.experiments import map_benchmark as command
from cnnviz.networks import layers
from cnnviz.runtime.backend import T, function, lasagne
from cnnviz.thesis.figures import figure_map_quality, style
from cnnviz.thesis.tables import map_quality as tables
from cnnviz.thesis.tables import map_quality_findings, map_quality_statistics

L = lasagne.layers
SETTINGS = benchmark.Settings(Occluder(3, 2), 4, 2.0)


@pytest.fixture(scope="module")
def network():
    """Two blocks with untied biases and leaky rectifiers, on 20 x 22 pixels."""
    lasagne.random.set_rng(np.random.RandomState(3))
    found = L.InputLayer((None, 2, 20, 22), name="input")
    for k in (1, 2):
        found = layers.SameConv2DLayer(
            found,
            4,
            3,
            untie_biases=True,
            b=lasagne.init.Normal(0.3),
            W=lasagne.init.Normal(0.5),
            name=f"conv{k}",
            nonlinearity=lasagne.nonlinearities.LeakyRectify(0.3),
        )
        found = L.MaxPool2DLayer(found, 2, name=f"pool{k}")
    return found


@pytest.fixture(scope="module")
def images():
    return np.random.RandomState(5).randn(3, 2, 20, 22).astype(np.float32)


@pytest.fixture(scope="module")
def methods(network):
    return layer_methods.LayerMethods(network)


def whole_passes(layer):
    """Feature maps of images, by Lasagne alone."""
    inputs = T.tensor4()
    return function([inputs], L.get_output(layer, inputs, deterministic=True))


# --- Maps and neurons -------------------------------------------------------------


def test_every_method_of_a_linear_neuron_shows_its_filter():
    weights = np.array([[1, 2], [3, 4]], np.float32)
    layer = L.Conv2DLayer(
        L.InputLayer((None, 1, 2, 2), name="input"),
        1,
        2,
        W=weights[np.newaxis, np.newaxis, ::-1, ::-1],  # it flips
        nonlinearity=lasagne.nonlinearities.rectify,
        name="conv",
    )
    found = layer_methods.all_methods(layer, np.ones((1, 1, 2, 2), np.float32), [0], 1)
    # Of a pixel that is one; the deconvolutional network starts from the activation, 10.
    assert np.allclose(found[:, 0, 0], np.multiply.outer([1, 1, 1, 10, 1], weights))


def test_the_magnitude_is_that_of_the_channel_with_the_largest():
    raw = np.array([[[-5.0]], [[-3]], [[0.5]]])
    assert layer_methods.signed(raw) == 0.5 and layer_methods.magnitude(raw) == 5


def test_windows_change_no_map(network, methods, images):
    for once, each in zip(
        methods.maps(images, [0, 2], Occluder(3, 2)),
        layer_methods.LayerMethods(network, "whole").maps(images, [0, 2], Occluder(3, 2)),
    ):
        # Single precision, of activations of about ten.
        np.testing.assert_allclose(once, each, atol=1e-5)


def test_the_maximal_neuron_comes_with_what_it_sees_of_the_image(network, images):
    maps = whole_passes(network)(images)
    for k, neurons in enumerate(feature_neurons.maximal_neurons(network, images, [1, 3])):
        for neuron, feature in zip(neurons, (1, 3)):
            assert neuron.feature == feature
            assert maps[k, feature][neuron.place] == maps[k, feature].max()
            # Windows of 10, every 4 pixels, the first from -3 on.
            first = [4 * place - 3 for place in neuron.place]
            assert neuron.box == (*np.maximum(first, 0), *np.minimum(np.add(first, 10), (20, 22)))


def test_a_neuron_layer_is_any_neuron_of_the_map(network, images):
    layer = layers.NeuronLayer(network)
    maps, chosen = whole_passes(network)(images), whole_passes(layer)
    assert layer.output_shape == (None, 4, 1, 1)
    for place in ((0, 0), (2, 3), (4, 4)):
        layer.choose(*place)
        np.testing.assert_array_equal(chosen(images)[:, :, 0, 0], maps[(..., *place)])


# --- Choosing ---------------------------------------------------------------------


def test_a_feature_is_about_what_its_saliency_exceeds_most():
    lift = np.array([[0.5, 2, 1], [3, 2, 1], [0.1, 0.9, 0.2], [np.nan, np.nan, np.nan]])
    assert feature_selection.is_about(lift, 1) == [0]
    assert feature_selection.is_about(lift, 0) == [1]


def test_scores_are_shares_beyond_chance(network, images):
    rng = np.random.default_rng(0)
    masks = rng.random((3, 2, 20, 22)) < [[[[0.02]], [[0.3]]]]
    masks[2, 0] = False
    fields = rng.random((3, 20, 22)) < 0.9
    (found,) = feature_selection.scores([network], images, masks, fields)
    maps = np.abs(attributions.gradient(network, images, raw=True)).max(axis=2)
    neurons = feature_neurons.maximal_neurons(network, images, range(4))
    for feature in range(4):
        for concept in range(2):
            excess = []
            for k in range(3):
                top, left, bottom, right = neurons[k][feature].box
                inside = np.zeros((20, 22), bool)
                inside[top:bottom, left:right] = fields[k, top:bottom, left:right]
                mask = masks[k, concept] & inside
                values = maps[feature, k] * inside
                excess.append(
                    values[mask].sum() / values.sum() - mask.sum() / inside.sum()
                    if mask.any()
                    else 0
                )
            assert found[feature, concept] == pytest.approx(np.mean(excess), abs=1e-5)


def test_a_filter_that_hardly_learned_is_about_nothing(network, images):
    last = L.get_all_params(network)[2]
    learned = last.get_value()
    weak = learned.copy()
    weak[2] *= 1e-3
    masks = np.broadcast_to(np.arange(22) < 11, (3, 2, 20, 22))
    last.set_value(weak)
    try:
        (found,) = feature_selection.scores([network], images, masks, np.ones((3, 20, 22), bool))
    finally:
        last.set_value(learned)
    assert np.isnan(found).all(axis=1).tolist() == [False, False, True, False]
    assert np.isfinite(found[[0, 1, 3]]).all()


def test_views_to_choose_and_to_measure_are_different_ones():
    first, second = command.views(1000, 7)
    assert len(first) == 4 and len(second) == 3 and not set(first) & set(second)
    assert [each.tolist() for each in command.views(2, 64)] == [[0], [1]]
    with pytest.raises(ValueError, match="--views: at least 2"):
        command.views(1000, 1)


# --- Measures ---------------------------------------------------------------------


def test_half_of_a_map_by_hand():
    values = np.array([[5.0, 1, 1], [1, 1, 1]])
    field = np.ones((2, 3), bool)
    assert benchmark.half_share(values, field) == 1 / 6
    assert benchmark.half_share(np.ones((2, 3)), field) == 3 / 6
    field[0, 0] = False
    assert benchmark.half_share(values, field) == 3 / 5
    assert np.isnan(benchmark.half_share(np.zeros((2, 3)), field))


@settings(max_examples=40)
@given(st.integers(0, 10**6))
def test_areas_are_those_of_the_whole_overlay(seed):
    rng = np.random.default_rng(seed)
    values = np.zeros((30, 40))
    for row, column in rng.integers((30, 40), size=(5, 2)):
        values[row, column] = rng.normal(1, 1)
    values = overlay.smooth(values, 1.5)
    if values.max() > 0:
        expected = ndimage.label(overlay.important(values), np.ones((3, 3)))[1]
        assert benchmark.separate_areas(values) == expected
    else:
        assert np.isnan(benchmark.separate_areas(values))


def test_the_middle_is_a_quarter_wide():
    values = benchmark.centered((9, 17))
    assert np.unravel_index(values.argmax(), values.shape) == (4, 8)
    np.testing.assert_allclose(values, values[::-1, ::-1])
    # A quarter of the side from the middle: one standard deviation.
    assert benchmark.centered((9, 5))[4, 2] == 1
    assert benchmark.centered((8 + 1, 1))[8, 0] == pytest.approx(np.exp(-((16 / 9) ** 2) / 2))


def test_agreement_has_every_pair_once(rng):
    maps = rng.randn(4, 5, 6)
    field = rng.rand(5, 6) < 0.8
    found = benchmark.agreement(maps, field)
    assert list(found) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert found[1, 3] == agreement.rank_agreement(maps[1:2], maps[3:], field)[0]


@pytest.mark.parametrize("place", [(0, 0), (2, 1), (4, 4)])
def test_curves_are_those_of_whole_passes(network, images, place):
    """Also of neurons that see the border, with biases of their own everywhere."""
    rng = np.random.default_rng(1)
    neuron = feature_neurons.maximal_neurons(network, images[:1], [1])[0][0]
    box = tuple(
        np.clip(
            [4 * place[0] - 3, 4 * place[1] - 3, 4 * place[0] + 7, 4 * place[1] + 7],
            0,
            [20, 22, 20, 22],
        ).tolist()
    )
    neuron = neuron._replace(place=place, box=box)
    maps = rng.random((2, box[2] - box[0], box[3] - box[1]))
    found = benchmark.curves(Occlusion(network).windows((20, 22)), images[:1], neuron, maps, 2.0, 5)
    assert found.deletion.shape == (3, 6)
    compute, blurred = whole_passes(network), benchmark.blurred(images[:1], 2.0)
    for values, deletion, insertion in zip(maps, found.deletion, found.insertion):
        order = np.argsort(-values.ravel(), kind="stable")
        for count, gone, back in zip(
            np.linspace(0, values.size, 6).round().astype(int), deletion, insertion
        ):
            chosen = np.unravel_index(order[:count], values.shape)
            index = (0, slice(None), chosen[0] + box[0], chosen[1] + box[1])
            changed = images[:1].copy()
            changed[index] = blurred[index]
            assert compute(changed)[(0, 1, *place)] == pytest.approx(gone, abs=1e-5)
            changed = images[:1].copy()
            top, left, bottom, right = box
            changed[:, :, top:bottom, left:right] = blurred[:, :, top:bottom, left:right]
            changed[index] = images[:1][index]
            assert compute(changed)[(0, 1, *place)] == pytest.approx(back, abs=1e-5)


# --- Evaluating -------------------------------------------------------------------


@pytest.fixture(scope="module")
def rows(methods, images):
    """Of two features on three images; the second sees its target nowhere."""
    everywhere, fields = np.zeros((3, 20, 22), bool), np.ones((3, 20, 22), bool)
    everywhere[:, ::3, ::3] = True
    targets = [
        benchmark.Target("dots", 1, everywhere),
        benchmark.Target("nothing", 2, everywhere & False),
    ]
    return benchmark.evaluate(
        methods, images, ["a", "b", "c"], targets, fields, SETTINGS, [True, True, False]
    )


def test_rows_have_the_same_keys_and_count_where_the_target_is_seen(rows):
    assert {tuple(row) for row in rows} == {
        tuple(
            key
            for key in (
                "layer",
                "concept",
                "image",
                "feature",
                "measure",
                "method",
                "other",
                "value",
            )
        )
    }
    assert set(rows[0]) | {"data"} == set(benchmark.COLUMNS)
    assert {row["concept"] for row in rows} == {"dots"}
    assert {row["image"] for row in rows} == {"a", "b", "c"}
    assert {row["image"] for row in rows if row["measure"] == "deletion"} <= {"a", "b"}


def test_rows_hold_what_the_measures_give(rows, network, images):
    raw = list(layer_methods.LayerMethods(network).maps(images[:1], [1], Occluder(3, 2)))
    maps = overlay.smooth(np.stack([layer_methods.magnitude(each)[0, 0] for each in raw]))
    neuron = feature_neurons.maximal_neurons(network, images[:1], [1])[0][0]
    top, left, bottom, right = neuron.box
    mask = np.zeros((20, 22), bool)
    mask[::3, ::3] = True
    inside = np.zeros_like(mask)
    inside[top:bottom, left:right] = True
    found = {
        (row["measure"], row["method"], row["other"]): row["value"]
        for row in rows
        if row["image"] == "a"
    }
    assert found["chance", "", ""] == mask[inside].mean()
    for k, method in enumerate(layer_methods.METHODS):
        assert found["mass", method, ""] == pytest.approx(
            maps[k][mask & inside].sum() / maps[k][inside].sum(), rel=1e-4
        )
    visited = np.zeros_like(mask)
    visited[::2, ::2] = True
    assert found["agreement", "gradient max", "occlusion"] == pytest.approx(
        agreement.rank_agreement(maps[:1], maps[2:3], visited & inside)[0], abs=1e-6
    )
    assert found["agreement, picture", "gradient max", "occlusion"] == pytest.approx(
        agreement.rank_agreement(maps[:1], maps[2:3], visited)[0], abs=1e-6
    )
    assert ("agreement", "guided", "center") in found
    assert ("pointing, signed", "center", "") not in found


def test_no_feature_no_rows(methods, images):
    assert (
        benchmark.evaluate(methods, images, "abc", [], np.ones((3, 20, 22), bool), SETTINGS) == []
    )


# --- Randomized networks ----------------------------------------------------------


def test_a_fixed_neuron_has_the_maps_of_the_maximal_one(methods, network, images):
    fixed = cascade.FixedNeuron(methods, Occluder(3, 2), (20, 22))
    neuron = feature_neurons.maximal_neurons(network, images[1:2], [2])[0][0]
    for found, raw in zip(
        fixed(images[1:2], neuron), methods.maps(images[1:2], [2], Occluder(3, 2))
    ):
        np.testing.assert_allclose(found, raw[0, 0], atol=1e-5)


def test_randomizing_ends_with_the_trained_network(methods, network, images):
    before = L.get_all_param_values(network)
    fields = np.ones((3, 20, 22), bool)
    target = benchmark.Target("dots", 1, fields)
    rows = cascade.cascade_rows(methods, images, "abc", [(target, [0, 2])], fields, SETTINGS)
    for old, new in zip(before, L.get_all_param_values(network)):
        np.testing.assert_array_equal(old, new)
    assert len(rows) == 2 * 2 * 2 * 5  # images, layers, with sign and without, methods
    assert [row["other"] for row in rows[::10]] == ["conv2", "conv1"] * 2
    # The gradient of the sum, by hand, in the first random network.
    gradient = Gradient(network, "sum", evaluation="whole")
    neuron = feature_neurons.maximal_neurons(network, images[:1], [1])[0][0]
    visited = np.zeros((20, 22), bool)
    visited[neuron.box[0] : neuron.box[2], neuron.box[1] : neuron.box[3]] = True
    visited[1::2], visited[:, 1::2] = False, False
    expected = randomization.cascading_similarity(
        network,
        lambda: overlay.smooth(gradient.attribute(images[:1], 1)[0].max(axis=1)),
        seed=0,
        region=visited,
    )
    found = [
        row["value"]
        for row in rows
        if row["image"] == "a"
        and row["method"] == "gradient sum"
        and row["measure"] == "cascade, signed"
    ]
    np.testing.assert_allclose(found, expected.agreement[:, 0], atol=1e-3)


# --- The table --------------------------------------------------------------------


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
    """So that the intervals of made-up numbers take no time."""
    monkeypatch.setattr(map_quality_statistics, "_RESAMPLES", 100)


def row(measure, value, method="", other="", image="a", data="synthetic", layer="pool3"):
    return {
        "data": data,
        "layer": layer,
        "concept": "dots",
        "feature": 1,
        "image": image,
        "measure": measure,
        "method": method,
        "other": other,
        "value": value,
    }


def measured(good, data="synthetic", images=6):
    """Made-up measurements: how far the gradient of the maximum is from chance."""
    found = []
    for k in range(images):
        one = dict(image=f"{data} {k}", data=data)
        jitter = 0.001 * k
        found.append(row("chance", 0.2, **one))
        for m, method in enumerate((*layer_methods.METHODS, benchmark.CENTER)):
            value = 0.2 + (good + jitter if m == 0 else jitter - 0.0025)
            found += [row("pointing", value, method, **one), row("mass", value, method, **one)]
        for method in layer_methods.METHODS:
            found += [
                row("mass, signed", 0.3, method, **one),
                row("half", 0.5 if method == "gradient sum" else 0.1 + jitter, method, **one),
                row("areas", 3 if method == "gradient sum" else 2.0, method, **one),
            ]
        for method in (*layer_methods.METHODS, benchmark.CENTER, benchmark.RANDOM):
            better = good if method == "gradient max" else 0
            found += [
                row("deletion", 0.5 - better + jitter, method, **one),
                row("insertion", 0.5 + better + jitter, method, **one),
            ]
        for i, first in enumerate(layer_methods.METHODS):
            for second in (*layer_methods.METHODS[i + 1 :], benchmark.CENTER):
                alike = (first, second) == ("gradient max", "occlusion")
                value = 0.5 + (good if alike else 0) + jitter
                found.append(row("agreement", value, first, second, **one))
        for step in ("conv9", "conv10"):
            for measure in ("cascade, signed", "cascade"):
                for method in layer_methods.METHODS:
                    high = method == "guided"
                    found.append(row(measure, (0.9 if high else 0.1) + jitter, method, step, **one))
    return pd.DataFrame(found)[list(benchmark.COLUMNS)]


def test_differences_pair_feature_and_image():
    table = map_quality_statistics.wide(measured(0.3))
    np.testing.assert_allclose(
        table["pointing − chance", "gradient max", ""], 0.3 + 0.001 * np.arange(6)
    )
    np.testing.assert_allclose(table["mass − center", "occlusion", ""], 0, atol=1e-12)
    # Positive is good: less area of deletion.
    np.testing.assert_allclose(table["deletion − random", "gradient max", ""], 0.3)
    np.testing.assert_allclose(table["insertion − random", "gradient max", ""], 0.3)


def test_steps_stay_in_the_order_of_the_network():
    means = map_quality_statistics.means_of(map_quality_statistics.wide(measured(0.3)))
    chosen = means[means["measure"] == "cascade"]
    assert list(dict.fromkeys(chosen["other"])) == ["conv9", "conv10"]


def test_an_interval_is_over_images_not_over_maps():
    frame = pd.DataFrame(
        [
            row("mass", k % 2, layer=layer, image=str(k))
            for k in range(8)
            for layer in ("pool3", "pool4", "pool5")
        ]
    )
    values = frame.set_index(map_quality_statistics.KEYS)["value"]
    found = map_quality_statistics.estimate(values)
    assert (found["value"], found["maps"], found["images"]) == (0.5, 24, 8)
    # Three equal maps of an image are worth one: the half width of 8 coins, not of 24.
    assert 0.2 < (found["high"] - found["low"]) / 2 <= 0.4
    alone = map_quality_statistics.estimate(values[values.index.get_level_values("image") == "0"])
    assert alone["value"] == 0 and np.isnan(alone["low"])


def test_means_of_all_layers_leave_the_class_score_out():
    frame = pd.DataFrame(
        [
            row("mass", 1.0),
            row("mass", 0.0, layer=map_quality_statistics.SCORE, image="b"),
            row("chance", 0.2),
            row("chance", 0.2, layer=map_quality_statistics.SCORE, image="b"),
        ]
    )
    means = map_quality_statistics.means_of(map_quality_statistics.wide(frame)).set_index(
        ["layer", "measure"]
    )["value"]
    assert (
        means[map_quality_statistics.ALL, "mass"] == 1
        and means[map_quality_statistics.SCORE, "mass"] == 0
    )


def test_a_verdict_needs_every_interval():
    assert map_quality_findings.yes_no([(0.1, 0.3), (0.01, 0.2)]) == "yes"
    assert map_quality_findings.yes_no([(0.1, 0.3), (-0.01, 0.2)]) == "open"
    assert map_quality_findings.yes_no([(0.1, 0.3), (-0.3, -0.2)]) == "no"
    assert map_quality_findings.yes_no([(np.nan, np.nan)]) == "open"


def test_claims_follow_the_numbers():
    for good, alike in ((0.3, "yes"), (-0.3, "no")):
        verdicts = {
            (each["claim"], each["measured"]): each["verdict"]
            for each in map_quality_findings.judged(map_quality_statistics.wide(measured(good)))
        }
        assert (
            verdicts[
                "Max and occlusion agree more with each other than with sum",
                "rank correlation, in the receptive field",
            ]
            == alike
        )
        assert (
            verdicts["Sum shows more details than max", "separate important areas, sum less max"]
            == "yes"
        )
        # Max has no more areas than occlusion here, sum has.
        assert (
            verdicts[
                "Gradients show more details than occlusion",
                "separate important areas, gradient less occlusion",
            ]
            == "open"
        )
        # What was not measured is not judged.
        assert "The same" not in [claim for claim, _ in verdicts]


def test_sentences_follow_the_numbers():
    for good, first, last in ((0.3, "gradient of max(F)", "open"), (-0.1, "no method", "no")):
        found = map_quality_findings.findings(
            map_quality_statistics.means_of(map_quality_statistics.wide(measured(good)))
        )["synthetic"]
        sentence = next(each for each in found if "more often than by chance" in each)
        assert sentence.startswith(
            "The map's maximum lies on what the feature is about more "
            f"often than by chance: {first}"
        )
        assert ("the opposite: gradient of max(F)" in sentence) == (last == "no")
    survivors = [each for each in found if "all layers random" in each]
    assert len(survivors) == 2
    assert all(
        "agree with the trained network's (rank correlation above 0.5): guided "
        "back-propagation; they do not: gradient of max(F)" in each
        for each in survivors
    )


def test_the_text_has_every_part():
    frame = pd.concat(
        [
            measured(0.3),
            measured(0.1, "die360"),
            pd.DataFrame([row("lift", 2.5, "gradient max", "pip", image="", data="die360")]),
        ]
    )
    table = map_quality_statistics.wide(frame)
    text = tables.text(frame, table, map_quality_statistics.means_of(table))
    assert "| synthetic photographs | pool3 | 6 of 6 images | gradient of max(F) | 0.50" in text
    assert "|  |  |  | *chance* | 0.20 (0.20 to 0.20) | 0.20" in text
    assert "**yes**" in text and "| pool3 | 1 | 2.50 |" in text
    assert "nan" not in text


def test_the_class_score_and_random_networks_alone_make_a_text():
    """A small run, in which no feature sees what it is about."""
    frame = pd.DataFrame(
        [
            row("chance", 0.1, data="die360", layer=map_quality_statistics.SCORE),
            *(
                row(measure, 0.5, method, data="die360", layer=map_quality_statistics.SCORE)
                for measure in ("pointing", "mass")
                for method in ("gradient max", "occlusion")
            ),
            *(
                row(measure, 0.2, method, "conv1")
                for measure in ("cascade", "cascade, signed")
                for method in layer_methods.METHODS
            ),
        ]
    )
    table = map_quality_statistics.wide(frame)
    text = tables.text(frame, table, map_quality_statistics.means_of(table))
    assert "| Die360 | class score |" in text and "| conv1 |" in text
    figure_map_quality.draw(map_quality_statistics.means_of(table))


def test_one_image_has_numbers_and_no_intervals():
    frame = measured(0.3, images=1)
    table = map_quality_statistics.wide(frame)
    text = tables.text(frame, table, map_quality_statistics.means_of(table))
    assert "gradient of max(F) | 0.50 | 0.50 | 0.30 | 0.20 | 0.80 |" in text
    assert "**yes**" not in text


def test_files_of_something_else_are_refused(tmp_path, capsys):
    path = tmp_path / "measured.csv"
    arguments = [
        "table",
        "map-quality",
        "--measured",
        str(path),
        "--summary",
        str(tmp_path / "s.csv"),
        "-o",
        str(tmp_path / "t.md"),
    ]
    assert dispatch.main(arguments) == 1
    assert "no such file; make it with 'cnnviz map-quality'" in capsys.readouterr().err
    path.write_text("a,b\n1,2\n")
    assert dispatch.main(arguments) == 1
    assert "columns ['a', 'b'] instead of" in capsys.readouterr().err


# --- Table and figure from files --------------------------------------------------


@pytest.mark.parametrize("sources", [("synthetic",), ("die360", "synthetic", "IDRiD")])
def test_table_and_figure_are_made_from_files(sources, tmp_path):
    paths = []
    for data in sources:
        paths.append(str(tmp_path / f"{data}.csv"))
        found = measured(0.3, data, images=2)
        if data == "IDRiD":
            found = found[~found["measure"].str.startswith("cascade")]
        found.to_csv(paths[-1], index=False)
    frame = command.read(tmp_path / f"{sources[0]}.csv")
    pd.testing.assert_frame_equal(frame, measured(0.3, sources[0], 2), check_dtype=False)
    summary, text = tmp_path / "summary.csv", tmp_path / "table.md"
    assert (
        dispatch.main(
            [
                "table",
                "map-quality",
                "--measured",
                *paths,
                "--summary",
                str(summary),
                "-o",
                str(text),
            ]
        )
        == 0
    )
    assert text.read_text().startswith("# Evaluation of attribution maps")
    assert (
        dispatch.main(
            ["figure", "map-quality", "--summary", str(summary), "-o", str(tmp_path / "figure")]
        )
        == 0
    )
    assert matplotlib.image.imread(tmp_path / "figure.png").shape[1] == 2130
    assert (tmp_path / "figure.pdf").read_bytes()[:4] == b"%PDF"
    figure = figure_map_quality.draw(figure_map_quality.read(summary))
    within = figure.get_tightbbox(figure.canvas.get_renderer())
    assert min(within.min) > -1e-6
    assert (within.max < figure.get_size_inches() + 1e-6).all()
    texts = [each for each in figure.findobj(matplotlib.text.Text) if each.get_text()]
    assert min(each.get_size() for each in texts) >= style.SMALL
