"""Exemplars beside data: measures by hand, verdicts from numbers, table and figure."""

import matplotlib.image
import matplotlib.text
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.cli import dispatch
from cnnviz.experiments import exemplar_statistics as command
from cnnviz.feature_visualization import (
    activation_maximization,
    analysis,
    analysis_records,
    ascent,
    measures,
    patch_network,
    starting_points,
)
from cnnviz.networks import die, layers
from cnnviz.runtime import paths
from cnnviz.runtime.backend import lasagne
from cnnviz.thesis.figures import figure_exemplars, style
from cnnviz.thesis.tables import exemplar_numbers, exemplar_verdicts
from cnnviz.thesis.tables import exemplars as table

L = lasagne.layers
SETTINGS = analysis.Settings(steps=30, regularized_steps=12, seeds=2)


def linear_layer(kernel, nonlinearity, side=(2, 2)):
    """A convolution of one linear map, with a non-linearity."""
    kernel = np.asarray(kernel, np.float32)
    inputs = L.InputLayer((None, 1, *side), name="input")
    return L.Conv2DLayer(
        inputs,
        1,
        kernel.shape,
        nonlinearity=nonlinearity,
        name="conv",
        W=kernel[np.newaxis, np.newaxis, ::-1, ::-1].copy(),
    )  # it flips


# --- Measures ---------------------------------------------------------------------


def test_a_stratified_sample_is_evenly_spaced_within_each_class():
    labels = np.array([0, 0, 0, 0, 0, 1, -1, 2, 2])
    assert analysis.stratified(labels, 3).tolist() == [0, 2, 4, 5, 7, 8]
    assert analysis.stratified(labels, 1).tolist() == [0, 5, 7]
    with pytest.raises(ValueError, match="at least, not 0"):
        analysis.stratified(labels, 0)


@given(st.lists(st.integers(-1, 4), min_size=1).filter(lambda x: max(x) >= 0), st.integers(1, 9))
def test_a_sample_has_as_many_of_each_class_as_there_are(labels, count):
    labels = np.array(labels)
    found = analysis.stratified(labels, count)
    assert (np.diff(found) > 0).all()
    for label in range(5):
        assert (labels[found] == label).sum() == min(count, (labels == label).sum())
    assert (labels[found] >= 0).all()


def test_distances_by_hand():
    patches = np.array([[[3.0, -4]], [[0, 0]]])
    np.testing.assert_allclose(measures.root_mean_square(patches), [np.sqrt(12.5), 0])
    assert measures.outside(patches, -3.5, 3).tolist() == [0.5, 0]
    assert measures.outside(patches, 0, 2).tolist() == [1, 0]


def test_likeness_is_the_correlation(rng):
    wave, other = np.array([[1.0, -1, 1, -1]]), np.array([[1.0, 1, -1, -1]])
    for second, expected in ((wave, 1), (-3 * wave + 7, -1), (other, 0)):
        assert measures.likeness(wave, second) == pytest.approx(expected)
    first, second = rng.randn(2, 5, 3, 4, 4)
    np.testing.assert_allclose(
        measures.likeness(first, second),
        [np.corrcoef(one.ravel(), two.ravel())[0, 1] for one, two in zip(first, second)],
    )
    assert np.isnan(measures.likeness(wave, np.ones((1, 4)))).all()


def test_data_are_summed_up():
    data = analysis.data_of(np.array([[[[1.0, 3]]], [[[-1, 5]]]]))
    assert data.mean.tolist() == [[[0, 4]]]
    assert (data.low, data.high, data.square) == (-1, 5, 3)


def test_transfer_is_averaged_over_directions():
    """Of a neuron that adds up 2 x 2 pixels: half is left by a shift of one."""
    network = patch_network.patch_network(linear_layer([[1, 1], [1, 1]], None))
    found = measures.transfer_by_distance(network, np.ones((1, 1, 2, 2)), [0])
    assert found[0] == pytest.approx(0.5)
    assert np.isnan(found[1:]).all()  # nothing of it is left


@pytest.mark.parametrize(
    "nonlinearity, expected",
    [
        (lasagne.nonlinearities.sigmoid, [1 / (1 + np.e), 0.5, 1 / (1 + np.exp(-2))]),
        (lasagne.nonlinearities.rectify, [0, 0, 2]),
        (lasagne.nonlinearities.LeakyRectify(0.5), [-0.5, 0, 2]),
        (None, [-1, 0, 2]),
    ],
)
def test_what_units_make_of_linear_activations(nonlinearity, expected):
    layer = linear_layer([[1]], nonlinearity)
    output = analysis.unit_output(L.MaxPool2DLayer(layer, 2, name="pool"))
    np.testing.assert_allclose(output(np.array([[-1, 0, 2]])), [expected], rtol=1e-6)


# --- The way up -------------------------------------------------------------------


def test_kept_steps_are_dense_at_first():
    assert analysis.kept_steps(0) == (0,)
    kept = analysis.kept_steps(1000)
    assert kept[:17] == tuple(range(17)) and kept[17:19] == (18, 20) and kept[-1] == 1000
    assert len(kept) < 60 and (np.diff(kept) > 0).all()


def test_where_levels_are_first_reached():
    activations = np.array([[1.0, 5, 3, 9], [1, 2, np.nan, np.nan], [4, 5, 6, 7]])
    assert analysis.first_reaching(activations, [4, 4, np.nan]).tolist() == [1, -1, -1]


def test_stopped_ascents_by_hand():
    """Steps 0, 2 and 4 are kept; the second feature never reaches twice its maximum."""
    start = np.array([[[[1.0, 0]]], [[[0, 1]]]])
    iterates = np.stack([start, -start, start + [[[1, -1]]]], axis=1)
    activations = np.array([[1.0, 1, 2.5, 9, 30], [1, 1, 1.5, 1.5, 1.5]])
    found = analysis.early_measures(
        activations, iterates, np.array([0, 2, 4]), start, np.array([1.0, 1])
    )
    np.testing.assert_array_equal(found.reached, [[1, 1], [2.5, np.nan], [30, np.nan]])
    np.testing.assert_allclose(found.likeness, [[1, 1], [-1, np.nan], [1, np.nan]])
    np.testing.assert_array_equal(found.patches[1, 0], -start[0])


# --- A layer ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def data():
    return analysis.data_of(np.random.RandomState(0).randn(6, 1, 32, 32).astype("f"))


@pytest.fixture(scope="module")
def measured(data):
    """Two pooling layers of c2 with rectifiers and with sigmoid units, untrained."""
    found = {}
    for name in ("c2", "c2_sigmoid"):
        network = die.build(name, seed=1)
        found[name] = command.ExemplarStatistics(
            name,
            None,
            "die",
            0.5,
            6,
            SETTINGS._asdict(),
            {
                layer.name: analysis.of_layer(layer, data, settings=SETTINGS)
                for layer in layers.pooling_layers(network)
            },
        )
    return found


def test_a_layer_is_measured_as_the_methods_say(measured, data):
    found = measured["c2"].layers["pool2"]
    layer = layers.find_layer(die.build("c2", seed=1), "pool2")
    network = patch_network.patch_network(layer)
    plain = found.methods["plain"]
    assert plain.patches.shape == (4, 3, 1, 10, 10)
    assert found.methods["regularized"].patches.shape == (2, 3, 1, 10, 10)
    assert plain.transfer.shape == (3, 4, 3)
    for method in analysis_records.METHODS:
        made = found.methods[method]
        for patches, reached in zip(made.patches, made.reached):
            np.testing.assert_allclose(
                network.evaluate(patches, range(3))[0], reached, rtol=1e-4, atol=1e-5
            )
    # From noise, on its own: the same as among the other starts.
    alone = activation_maximization.maximize(
        network, starting_points.start_noise(network, seed=1), rule=ascent.Rule(steps=30)
    )
    np.testing.assert_allclose(plain.patches[-1], alone.patches, atol=1e-5)
    np.testing.assert_allclose(found.methods["sphere"].square, 1, rtol=1e-4)
    np.testing.assert_allclose(found.methods["regularized"].square, 1, rtol=1e-4)
    np.testing.assert_allclose(
        found.maximum, network.maps(data.images).max(axis=(0, 2, 3)), rtol=1e-5
    )
    # The strongest patch is as likely as can be at the start.
    np.testing.assert_allclose(found.early.likeness[0], 1, atol=0.05)


def test_outputs_of_sigmoid_units_are_bounded_and_activations_are_not(measured):
    found = measured["c2_sigmoid"].layers["pool1"]
    linear = found.methods["plain"].reached
    np.testing.assert_allclose(found.methods["plain"].output, 1 / (1 + np.exp(-linear)), rtol=1e-5)
    assert (linear[0] > found.maximum).all()


def test_steps_on_the_sphere_do_not_shrink_with_the_gradient():
    """A saturated sum of two pixels, one of which counts: the patch turns to it."""
    layer = linear_layer([[1e-6, 0]], None, side=(1, 2))
    network = patch_network.patch_network(layer)
    start = np.array([[[[0.6, -0.8]]], [[[-0.6, 0.8]]]], np.float32)
    rule = ascent.Rule(steps=40, step_size=0.05, norm=1.0, tolerance=None)
    for batch_size in (1, 2):
        found = activation_maximization.maximize(
            network, start, np.array([0, 0]), rule, batch_size, unit_gradients=True
        )
        np.testing.assert_allclose(found.patches.reshape(2, 2), [[1, 0]] * 2, atol=0.02)


def test_one_seed_has_no_diversity(data):
    layer = layers.find_layer(die.build("c1"), "pool1")
    with pytest.raises(ValueError, match="two seeds at least"):
        analysis.of_layer(
            layer, data, settings=SETTINGS._replace(steps=1, regularized_steps=1, seeds=1)
        )


# --- The table --------------------------------------------------------------------


def rows(network, method, layer="pool1", **measures):
    """Rows of two features from the three starts, alike but for what is given."""
    starts = (
        ["maximum", "mean", "noise 0"]
        if method in ("plain", "sphere")
        else (["2×"] if method == "stopped" else ["noise 0"])
    )
    usual = {
        "maximum": 2.0,
        "output_maximum": 0.5,
        "reached": 20.0,
        "over_maximum": 10.0,
        "output": 1.0,
        "square": 1.0,
        "outside": 0.1,
        "likeness": 0.2,
        "transfer_1": 0.5,
        "transfer_2": 0.5,
        "transfer_4": 0.5,
        "diversity": 1.0,
    }
    return [
        {
            "network": network,
            "layer": layer,
            "patch": "4 × 4",
            "feature": feature,
            "method": method,
            "start": start,
            **usual,
            **measures,
        }
        for start in starts
        for feature in (0, 1)
    ]


def every_row(changes=None):
    """Rows of a rectified network and its twin; measures by (network, method)."""
    changes = changes or {}
    return pd.DataFrame(
        [
            row
            for network in ("c4", "c4_sigmoid")
            for method in ("plain", "sphere", "regularized", "stopped")
            for layer in ("pool1", "pool2")
            for row in rows(network, method, layer, **changes.get((network, method), {}))
        ]
    )


def verdict(frame, claim, network):
    (found,) = (
        each
        for each in exemplar_verdicts.verdicts(frame)
        if claim in each.claim and each.network == network
    )
    return found


@pytest.mark.parametrize("ratio, expected", [(400, "supported"), (9, "not supported")])
def test_ten_times_the_data_is_far(ratio, expected):
    found = verdict(
        every_row({("c4", "plain"): {"over_maximum": ratio}}), "far more than data", "c4"
    )
    assert found.verdict == expected and found.evidence.startswith(f"{ratio}, {ratio} times")


@pytest.mark.parametrize(
    "better, expected",
    [
        (
            dict(transfer_1=0.9, transfer_2=0.9, transfer_4=0.9, diversity=0.2, likeness=0.5),
            "supported",
        ),
        (dict(transfer_1=0.9, transfer_2=0.9, transfer_4=0.9, diversity=0.2), "partly supported"),
        (dict(transfer_1=0.9, transfer_2=0.9, transfer_4=0.9, diversity=0.95), "not supported"),
        (dict(), "not supported"),
    ],
)
def test_readable_asks_for_transfer_diversity_and_likeness(better, expected):
    changes = {("c4", "regularized"): better, ("c4_sigmoid", "plain"): better}
    frame = every_row(changes)
    assert verdict(frame, "Regularizing", "c4").verdict == expected
    assert verdict(frame, "easier to read (plain)", "c4 → c4_sigmoid").verdict == expected
    assert verdict(frame, "Holding the norm", "c4").verdict == "not supported"


def test_the_hypothesis_stands_or_falls_with_what_would_follow_from_it():
    readable = dict(transfer_1=0.9, transfer_2=0.9, transfer_4=0.9, diversity=0.2, likeness=0.5)
    claim = "is why their exemplars cannot be read"
    assert verdict(every_row(), claim, "all").verdict == "not supported"
    follows = {("c4", "sphere"): readable, ("c4_sigmoid", "plain"): readable}
    found = verdict(every_row(follows), claim, "all")
    assert found.verdict == "partly supported"  # of saturating units' two
    assert found.evidence.count(": supported") == 2
    best = dict.fromkeys(readable, 0.99) | {
        "transfer_1": 1.4,
        "transfer_2": 1.4,
        "transfer_4": 1.4,
        "diversity": 0.0,
    }
    follows[("c4_sigmoid", "sphere")] = best
    assert verdict(every_row(follows), claim, "all").verdict == "supported"
    alone = every_row()
    assert not any(
        claim in each.claim for each in exemplar_verdicts.verdicts(alone[alone["network"] == "c4"])
    )


def test_outputs_over_those_of_data_say_whether_units_are_bounded():
    claim, name = "that cannot happen", "c4_sigmoid"
    assert verdict(every_row(), claim, name).verdict == "supported"  # 1 over 0.5
    far = every_row({(name, "plain"): {"output_maximum": 0.01}})
    assert verdict(far, claim, name).verdict == "not supported"


def test_nearer_to_data_means_both_distances_in_every_layer():
    claim, both = "nearer to data", "c4 → c4_sigmoid"
    near = {"square": 0.5, "outside": 0.05}
    for changed, expected in (
        (near, "supported"),
        ({"square": 0.5}, "not supported"),
        ({}, "not supported"),
    ):
        frame = every_row({("c4_sigmoid", "plain"): changed})
        assert verdict(frame, claim, both).verdict == expected


def test_local_maxima_of_the_three_starts():
    frame = every_row()
    plain = (frame["network"] == "c4") & (frame["method"] == "plain")
    frame.loc[plain & (frame["start"] == "mean"), "reached"] = 40.0
    frame.loc[
        plain & (frame["layer"] == "pool2") & (frame["start"] == "noise 0"), "reached"
    ] = -1.0  # no ratio
    found = exemplar_numbers.local_maxima(frame[frame["network"] == "c4"], "plain")
    assert found["best"].tolist() == ["mean"] * 4
    assert found["ratio"].tolist()[:2] == [2, 2] and found["ratio"][2:].isna().all()
    assert verdict(frame, "factor 2", "c4").verdict == "supported"
    assert verdict(frame, "consistently best", "c4").verdict == "not supported"
    frame.loc[plain & (frame["start"] == "mean"), "reached"] = 39.0
    assert verdict(frame, "factor 2", "c4").verdict == "not supported"


def test_stopped_early_is_more_like_its_start():
    frame = every_row({("c4", "stopped"): {"likeness": 0.9}})
    found = verdict(frame, "Stopped early", "c4")
    assert found.verdict == "supported"
    assert "0.90, 0.90 at twice" in found.evidence
    assert "0.20, 0.20 at the end" in found.evidence


def test_exemplars_that_start_from_data_and_remain_like_it():
    claim, both = "remain like it", "c4 → c4_sigmoid"
    assert verdict(every_row(), claim, both).verdict == "not supported"
    frame = every_row()
    frame.loc[(frame["network"] == "c4_sigmoid") & (frame["start"] == "maximum"), "likeness"] = 0.9
    found = verdict(frame, claim, both)
    assert found.verdict == "supported" and "0.20, 0.20 → 0.90, 0.90" in found.evidence


def test_the_text_says_what_the_frame_says(measured):
    found = list(measured.values())
    frame = pd.concat(map(exemplar_numbers.frame, found), ignore_index=True)
    c2 = frame[(frame["network"] == "c2") & (frame["layer"] == "pool2")]
    assert len(c2) == 3 * (4 + 4 + 2 + 3)  # features by starts and levels
    one = c2[(c2["method"] == "plain") & (c2["start"] == "mean") & (c2["feature"] == 1)]
    assert one["reached"].item() == (measured["c2"].layers["pool2"].methods["plain"].reached[1, 1])
    text = table.text(frame, table.words(found))
    caption = " ".join(text.split())
    assert "6 views of the die" in caption and "c2 0.5000, c2_sigmoid 0.5000" in caption
    assert "30 steps of 0.01" in caption
    for line in table.transfer_lines(frame)[2:]:
        assert line in text
    assert "-" not in [cell.strip() for line in text.splitlines() for cell in line.split("|")]
    assert "nan" not in text


# --- Command and figure -----------------------------------------------------------


def test_the_command_measures_shipped_weights(tmp_path, capsys):
    images = tmp_path / "die.npz"
    assert dispatch.main(["render", "--sampling-stride", "600", "-o", str(images)]) == 0
    output = str(tmp_path / "c4_sigmoid.npz")
    assert (
        dispatch.main(
            [
                "exemplar-statistics",
                "--network",
                "c4_sigmoid",
                "--images",
                str(images),
                "--layers",
                "pool2",
                "pool3",
                "--max-steps",
                "6",
                "-o",
                output,
            ]
        )
        == 0
    )
    found = command.ExemplarStatistics.load(output, network="c4_sigmoid", fold=0)
    assert found.network == "c4_sigmoid" and found.settings["steps"] == 6
    assert found.layers["pool3"].methods["plain"].patches.shape == (5, 3, 1, 22, 22)
    assert (
        dispatch.main(
            ["figure", "exemplars", "--statistics", output, "-o", str(tmp_path / "figure")]
        )
        == 0
    )
    assert matplotlib.image.imread(tmp_path / "figure.png").shape[1] == 2130
    assert (
        dispatch.main(
            [
                "exemplar-statistics",
                "--network",
                "d5",
                "--images",
                str(images),
                "-o",
                str(tmp_path / "x.npz"),
            ]
        )
        == 1
    )
    assert "'d5' has no pooling layers" in capsys.readouterr().err


def test_both_experiments_go_equally_far():
    die_settings, fundus = (command.settings(kind, None) for kind in ("die", "fundus"))
    assert die_settings.steps * die_settings.step_size == pytest.approx(
        fundus.steps * fundus.step_size
    )
    short = command.settings("die", 7)
    assert (short.steps, short.regularized_steps) == (7, 7)


def test_a_patch_is_shown_in_its_own_range():
    patch = np.linspace(-50, 150, 400).reshape(1, 20, 20)
    shown = figure_exemplars.stretched(patch)
    assert shown.shape == (20, 20) and (shown.min(), shown.max()) == (0, 1)
    assert shown.ravel()[200] == pytest.approx(0.5, abs=0.01)
    assert figure_exemplars.stretched(np.zeros((3, 2, 2))).shape == (2, 2, 3)
    assert figure_exemplars.stretched(np.full((1, 2, 2), np.nan)) is None


def test_the_figure_has_page_width_and_no_clipped_text(measured):
    blocks = [(name, figure_exemplars.rows_of(found)) for name, found in measured.items()]
    blocks.append(("De Fauw's", figure_exemplars.rows_of(measured["c2"], 1)))
    assert [len(rows) for _, rows in blocks] == [6, 6, 2]
    figure = figure_exemplars.draw(blocks)
    within = figure.get_tightbbox(figure.canvas.get_renderer())
    assert min(within.min) > -1e-6
    assert (within.max < figure.get_size_inches() + 1e-6).all()
    texts = [text for text in figure.findobj(matplotlib.text.Text) if text.get_text()]
    assert min(text.get_size() for text in texts) >= style.SMALL
    boxes = [text.get_window_extent() for text in texts]
    for k, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:k]), texts[k].get_text()


# --- The record -------------------------------------------------------------------


def test_the_record_is_made_from_its_rows_and_stands_in_the_docs():
    """Verdicts and rows follow from the recorded numbers; the docs show the latter."""
    path = paths.recorded(paths.EXEMPLARS_BESIDE_DATA)
    text = path.read_text(encoding="utf-8")
    frame = pd.read_csv(path.with_suffix(".csv"))
    for each in exemplar_verdicts.verdicts(frame):
        assert f"| **{each.verdict}** | {each.evidence} |" in text
    docs = (paths.REPOSITORY / "docs" / "methods.md").read_text(encoding="utf-8")
    surrogate = frame[(frame["network"] == "defauw surrogate") & (frame["method"] != "sphere")]
    for line in table.transfer_lines(surrogate):
        assert line in text and line in docs
