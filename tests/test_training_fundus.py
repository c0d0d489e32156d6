"""Training of De Fauw's network, on copies of it with few filters."""

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.cli import dispatch
from cnnviz.datasets import fundus
from cnnviz.experiments import fundus_shipping, fundus_stages
from cnnviz.networks import defauw, weights
from cnnviz.networks.layers import (
    NormalizedConv2DLayer,
    SameConv2DLayer,
    find_layer,
    layers_of_type,
)
from cnnviz.runtime import paths
from cnnviz.runtime.backend import T, function, lasagne
from cnnviz.training import augmentation, fundus_batches
from cnnviz.training import fundus_network as training

SIZE, BATCH = 125, 4


def small(seed=0, size=SIZE, batch=BATCH, **options):
    return defauw.build(batch, seed, size, reduction=32, **options)


def tiny(seed=0, normalize=True):
    """The least network that takes what De Fauw's takes; compiles at once."""
    layers = lasagne.layers
    lasagne.random.set_rng(np.random.RandomState(seed))
    images = layers.InputLayer((BATCH, 3, 16, 16), name="images")
    dimensions = layers.InputLayer((BATCH, 2), name="dimensions")
    kind = NormalizedConv2DLayer if normalize else SameConv2DLayer
    network = layers.DropoutLayer(kind(images, 4, 3, name="conv1"), 0.5)
    network = layers.ConcatLayer([layers.FlattenLayer(network), dimensions])
    return layers.DenseLayer(network, 5, name="grades", nonlinearity=lasagne.nonlinearities.softmax)


def tiny_batch(step):
    return batch_of(step, 16)


def batch_of(step, size=SIZE, count=BATCH):
    """Pictures whose brightness tells the grade."""
    rng = np.random.default_rng([7, step])
    grades = rng.integers(0, 5, count)
    pixels = rng.standard_normal((count, 3, size, size)).astype(np.float32)
    pixels += grades[:, None, None, None]
    return fundus_batches.Batch(pixels, np.ones((count, 2), np.float32), grades)


def parameters(network):
    return lasagne.layers.get_all_param_values(network)


# --- Normalization -----------------------------------------------------------


def test_normalization_is_that_of_the_paper():
    """Against a slow version, on one layer."""
    rng = np.random.RandomState(0)
    incoming = lasagne.layers.InputLayer((3, 2, 6, 5))
    layer = NormalizedConv2DLayer(
        incoming,
        4,
        3,
        nonlinearity=None,
        name="conv",
        W=lasagne.init.Normal(1.0),
        b=lasagne.init.Normal(1.0),
        untie_biases=True,
    )
    layer.scale.set_value(rng.rand(4).astype(np.float32) + 0.5)
    images = rng.randn(3, 2, 6, 5).astype(np.float32)
    x = T.tensor4()
    found = function([x], lasagne.layers.get_output(layer, x))(images)
    plain = function([x], layer.correlate(x))(images)
    for k in range(4):
        maps = plain[:, k]
        expected = (maps - maps.mean()) / np.sqrt(maps.var() + 1e-4) * layer.scale.get_value()[
            k
        ] + layer.b.get_value()[k]
        np.testing.assert_allclose(found[:, k], expected, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def trained():
    """A normalized network after some steps, and its learning curve."""
    network = small(normalize=True)
    settings = training.Settings(
        30, BATCH, 0.001, warmup=5, optimizer="adam", kappa_share=0.0, log_share=1.0, log_floor=0.0
    )
    history = training.train(network, batch_of, settings, every=10, progress=False)
    return network, history


def test_running_statistics_follow_the_batches(trained):
    network, _ = trained
    for layer in layers_of_type(network, NormalizedConv2DLayer):
        assert np.abs(layer.mean.get_value()).max() > 0
        assert np.abs(layer.variance.get_value() - 1).max() > 0


def test_a_folded_network_computes_the_same(trained):
    network, _ = trained
    plain = small(seed=5)
    defauw.fold(network, plain)
    batch = batch_of(99)
    first, second = (
        training.predictor(each)(batch.pixels, batch.dimensions) for each in (network, plain)
    )
    np.testing.assert_allclose(first, second, rtol=1e-3, atol=1e-5)
    assert not layers_of_type(plain, NormalizedConv2DLayer)


def test_an_unfolded_network_computes_the_same_and_is_normalized(trained, tmp_path):
    plain, network = small(seed=5), small(seed=6, normalize=True)
    defauw.fold(trained[0], plain)
    weights.save(tmp_path / "folded.npz", plain, {"network": "defauw"})
    assert {name.split(".")[1] for name in weights.transfer(tmp_path / "folded.npz", network)} == {
        "scale",
        "mean",
        "variance",
    }
    batch = batch_of(99)
    defauw.unfold(network, batch.pixels)
    first, second = (
        training.predictor(each)(batch.pixels, batch.dimensions) for each in (plain, network)
    )
    np.testing.assert_allclose(first, second, rtol=1e-3, atol=1e-5)
    # As in training, where the statistics are those of the batch.
    images = T.tensor4("images")
    last = layers_of_type(network, NormalizedConv2DLayer)[-1]
    kept, batchwise = (
        function(
            [images],
            lasagne.layers.get_output(
                last, {find_layer(network, "images"): images}, deterministic=deterministic
            ),
        )(batch.pixels)
        for deterministic in (True, False)
    )
    np.testing.assert_allclose(kept, batchwise, rtol=1e-3, atol=1e-3)
    for layer in layers_of_type(network, NormalizedConv2DLayer):
        np.testing.assert_allclose((layer.W.get_value() ** 2).sum(axis=(1, 2, 3)), 1, rtol=1e-5)


# --- Weights -----------------------------------------------------------------


def test_transfer_copies_a_tied_bias_to_every_position(tmp_path):
    tied, untied = small(1, untie_biases=False), small(2, size=256)
    rng = np.random.RandomState(0)
    for parameter in lasagne.layers.get_all_params(tied):
        parameter.set_value(rng.randn(*parameter.get_value().shape).astype(np.float32))
    weights.save(tmp_path / "tied.npz", tied, {"network": "defauw"})
    before = {each.name: each.get_value() for each in lasagne.layers.get_all_params(untied)}
    left = weights.transfer(tmp_path / "tied.npz", untied)
    assert left == ["dense1.W"]
    np.testing.assert_array_equal(find_layer(untied, "dense1").W.get_value(), before["dense1.W"])
    layer, source = find_layer(untied, "conv3"), find_layer(tied, "conv3")
    assert layer.b.get_value().shape == (1, 63, 63)
    assert np.ptp(layer.b.get_value(), axis=(1, 2)).max() == 0
    assert layer.b.get_value()[0, 0, 0] == source.b.get_value()[0]
    np.testing.assert_array_equal(layer.W.get_value(), source.W.get_value())


def test_transfer_refuses_a_file_of_which_nothing_fits(tmp_path):
    other = lasagne.layers.DenseLayer(lasagne.layers.InputLayer((1, 3)), 2, name="x")
    weights.save(tmp_path / "other.npz", other, {})
    with pytest.raises(ValueError, match="none of its parameters fits"):
        weights.transfer(tmp_path / "other.npz", small())


@given(st.integers(1, 40), st.integers(1, 9), st.floats(1e-3, 1e3), st.integers(0, 9))
def test_compression_errs_by_half_a_step_at_most(rows, columns, size, seed):
    rng = np.random.default_rng(seed)
    matrix = (size * rng.standard_normal((rows, columns))).astype(np.float32)
    vector = rng.standard_normal(columns).astype(np.float32)
    back = weights.expand(weights.compress({"w": matrix, "b": vector}, ["w"]))
    assert list(back) == ["w", "b"]
    step = np.abs(matrix).max(axis=0) / 127
    assert (np.abs(back["w"] - matrix) <= 0.501 * step).all()
    np.testing.assert_allclose(back["b"], vector, rtol=2**-11)


def test_compression_refuses_what_float16_cannot_hold():
    with pytest.raises(ValueError, match="b holds values that float16 cannot"):
        weights.compress({"b": np.array([1e6], np.float32)})


def test_compressed_weights_load_as_any_others(tmp_path):
    network, other = small(3), small(4)
    weights.save(tmp_path / "w.npz", network, {"network": "defauw"}, defauw.EIGHT_BIT)
    defauw.load("surrogate", other, tmp_path / "w.npz")
    for first, second in zip(parameters(network), parameters(other)):
        np.testing.assert_allclose(first, second, atol=1e-2)
    with pytest.raises(ValueError, match="choose one of surrogate, defauw, random"):
        defauw.load("mine", other)


# --- Training ----------------------------------------------------------------


def test_training_learns_what_there_is_to_learn(trained):
    _, history = trained
    assert [row["step"] for row in history] == [10, 20, 30]
    assert history[-1]["log_loss"] < history[0]["log_loss"]


@pytest.mark.parametrize("optimizer", ["nesterov", "adam"])
def test_an_interrupted_training_goes_on_to_the_same_end(tmp_path, optimizer):
    settings = training.Settings(6, BATCH, 0.001, warmup=2, optimizer=optimizer)

    def after(steps, checkpoint, draw):
        network = tiny()
        training.train(network, draw, settings, checkpoint, every=3, progress=False)
        return parameters(network)

    def breaks(step):
        if step == 4:
            raise RuntimeError("the light went out")
        return tiny_batch(step)

    whole = after(6, None, tiny_batch)
    with pytest.raises(RuntimeError, match="the light went out"):
        after(6, tmp_path / "state.npz", breaks)
    for first, second in zip(whole, after(6, tmp_path / "state.npz", tiny_batch)):
        np.testing.assert_array_equal(first, second)


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    settings = training.Settings(3, BATCH, 0.001)
    training.train(
        tiny(normalize=False), tiny_batch, settings, tmp_path / "state.npz", every=3, progress=False
    )
    with pytest.raises(ValueError, match="state.npz: a checkpoint of another network"):
        training.train(tiny(), tiny_batch, settings, tmp_path / "state.npz", progress=False)


def test_a_loss_that_explodes_stops_the_training():
    def nothing(step):
        batch = tiny_batch(step)
        return fundus_batches.Batch(
            np.full_like(batch.pixels, np.nan), batch.dimensions, batch.grades
        )

    with pytest.raises(RuntimeError, match="the loss is nan at step 1"):
        training.train(tiny(), nothing, training.Settings(3, BATCH), progress=False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"batch_size": 3},
        {"learning_rate": 0.0},
        {"momentum": 1.0},
        {"optimizer": "sgd"},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong):
    with pytest.raises(ValueError):
        training.Settings(**{"steps": 1, **wrong})


def test_the_loss_is_kappa_and_log_loss_above_its_floor():
    """Against NumPy, for fixed posteriors: a learning rate of zero."""
    network = tiny()
    settings = training.Settings(1, BATCH, weight_decay=0.0, log_floor=0.8)
    step, _ = training.compile_step(network, settings)
    batch = tiny_batch(0)
    targets = np.eye(5, dtype=np.float32)[[0, 1, 3, 4]]
    loss, log_loss, _, posteriors = step(batch.pixels, batch.dimensions, targets)
    expected_log = -np.log((posteriors * targets).sum(axis=1)).mean()
    assert log_loss == pytest.approx(expected_log, rel=1e-4)
    weight = (np.arange(5)[:, None] - np.arange(5)) ** 2 / 16
    observed = posteriors.T @ targets
    expected = np.outer(posteriors.sum(axis=0), targets.sum(axis=0)) / 4
    kappa = 1 - (weight * observed).sum() / (weight * expected).sum()
    assert loss == pytest.approx(-kappa + 0.5 * max(expected_log, 0.8), rel=1e-4)


def test_learning_rate_rises_then_falls_to_zero():
    settings = training.Settings(100, learning_rate=0.1, warmup=10)
    rates = [training.learning_rate(settings, step) for step in range(101)]
    assert rates[0] == pytest.approx(0.01)
    assert np.argmax(rates) in (8, 9, 10) and rates[-1] == pytest.approx(0)


# --- The command -------------------------------------------------------------


@pytest.fixture
def narrow_stage():
    """Settings of the shortest first stage."""
    stage = yaml.safe_load(paths.FUNDUS_TRAINING.read_text(encoding="utf-8"))["narrow"]
    return {**stage, "steps": 2, "batch_size": 2, "size": 128, "every": 1}


def run_stage(folder, stage, settings, *more):
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings))
    return dispatch.main(
        [
            "train-fundus",
            "--stage",
            stage,
            "--settings",
            str(folder / "settings.yaml"),
            "--history",
            str(folder / "h.csv"),
            "-o",
            str(folder / "w.npz"),
            *map(str, more),
        ]
    )


def test_a_stage_leaves_weights_that_the_next_one_begins_with(tmp_path, narrow_stage):
    assert run_stage(tmp_path, "narrow", {"narrow": narrow_stage}) == 0
    assert [row["stage"] for row in [weights.read_metadata(tmp_path / "w.npz")]] == ["narrow"]
    assert len((tmp_path / "h.csv").read_text().splitlines()) == 3
    network = defauw.build(2, normalize=True)
    assert weights.transfer(tmp_path / "w.npz", network) == ["dense1.W"]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"speed": 3}, "not the settings of the stage 'narrow'"),
        ({"shares": None}, "shares"),
        ({"batch_size": 3}, "batch size even"),
    ],
)
def test_settings_that_do_not_fit_are_one_line(tmp_path, narrow_stage, change, message, capsys):
    settings = {**narrow_stage, **change}
    settings = {key: value for key, value in settings.items() if value is not None}
    assert run_stage(tmp_path, "narrow", {"narrow": settings}) == 1
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1


def test_the_last_stage_asks_for_its_photographs(tmp_path, capsys):
    assert run_stage(tmp_path, "photographs", {}) == 1
    assert "needs --photographs" in capsys.readouterr().err
    assert run_stage(tmp_path, "photographs", {}, "--photographs", tmp_path) == 1
    assert "not the settings of the stage 'photographs'" in capsys.readouterr().err


def test_no_stage_draws_the_eye_pairs_of_another():
    seeds = [fundus_stages.pictures_seed(stage, 0) for stage in fundus_stages.STAGES[1:]]
    assert len(set(seeds)) == len(seeds) == 4


# --- Streams -----------------------------------------------------------------


def test_streams_give_the_same_batch_for_the_same_step():
    stream = fundus_batches.narrow_stream(3, 6, [0.2] * 5, 64, lambda step: 2.0, views=2)
    first, again, other = stream(1), stream(1), stream(2)
    assert first.pixels.shape == (6, 3, 64, 64) and first.grades.shape == (6,)
    np.testing.assert_array_equal(first.pixels, again.pixels)
    assert (first.pixels != other.pixels).any()


def test_photographs_of_one_grade_make_a_pair():
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    stream = fundus_batches.photographs_stream(
        0, 8, pictures, np.ones((5, 2), np.float32), np.array([0, 0, 0, 3, 4])
    )
    batches = [stream(step) for step in range(40)]
    grades = np.concatenate([batch.grades for batch in batches])
    np.testing.assert_array_equal(grades[::2], grades[1::2])
    assert np.bincount(grades, minlength=5)[[0, 3, 4]].min() > 0.25 * len(grades)
    both = fundus_batches.mixed_stream([stream, stream])(0)
    assert both.pixels.shape == (16, 3, 32, 32)


def test_lesions_are_synthetic_stronger_in_the_first_half_only():
    assert fundus_batches.plainness(0, 100, 3.0) == 3.0
    assert fundus_batches.plainness(25, 100, 3.0) == 2.0
    assert fundus_batches.plainness(50, 100, 3.0) == fundus_batches.plainness(99, 100, 3.0) == 1.0


def test_a_prediction_of_eyes_does_not_depend_on_the_batch():
    """Pairs are filled up to whole batches and cut again."""

    class Photographs:
        pixels = np.random.default_rng(0).integers(0, 256, (6, SIZE, SIZE, 3), np.uint8)
        dimensions = np.ones((6, 2), np.float32)

    pairs = np.array([[0, 1], [2, 3], [4, 5]])
    network = small(2)
    reader = training.EyeReader(network)
    found = reader.posteriors(reader.maps(Photographs.pixels), Photographs.dimensions, pairs)
    two = small(2, batch=2)
    for pair, expected in zip(pairs, found):
        single = training.predictor(two)(
            fundus.standardize(Photographs.pixels[pair]), Photographs.dimensions[pair]
        )
        np.testing.assert_allclose(single, expected, rtol=1e-4, atol=1e-6)


# --- Augmentation ------------------------------------------------------------


class Fixed:
    """A generator that gives the middle of every range."""

    def uniform(self, low, high, size=None):
        middle = 0.0 if high == 2 * np.pi else (low + high) / 2
        return middle if size is None else np.full(size, middle)

    def choice(self, values):
        return values[-1]


def test_augmentation_in_the_middle_of_its_range_only_magnifies(monkeypatch):
    monkeypatch.setattr(augmentation, "_ZOOM", 0.0)
    picture = np.random.default_rng(0).integers(60, 200, (40, 40, 3)).astype(np.uint8)
    found = augmentation.augment(Fixed(), picture)
    expected = fundus.standardize(picture)
    np.testing.assert_allclose(found[:, :-1, :-1], expected[:, :-1, :-1], atol=1e-5)


def test_augmentation_keeps_black_black_and_stays_in_range():
    picture = np.zeros((40, 40, 3), np.uint8)
    picture[10:30, 10:30] = 250
    black = -fundus.MEAN / fundus.STD
    for seed in range(20):
        found = augmentation.augment(np.random.default_rng(seed), picture)
        assert found.min() >= black - 1e-5
        assert found.max() <= (1 - fundus.MEAN) / fundus.STD + 1e-5
        np.testing.assert_allclose(found[:, [0, 0, -1, -1], [0, -1, 0, -1]], black, atol=1e-5)


def test_augmentation_turns_the_picture_around_its_middle():
    picture = np.zeros((81, 81, 3), np.uint8)
    picture[36:45, 60:69] = 255
    angles = []
    for seed in range(30):
        found = augmentation.augment(np.random.default_rng(seed), picture)[0]
        row, column = np.argwhere(found > 0.5 * found.max()).mean(axis=0)
        assert 16 < np.hypot(row - 40, column - 40) < 32
        angles.append(np.arctan2(row - 40, column - 40))
    assert np.ptp(angles) > 5


# --- Shipping ----------------------------------------------------------------


def test_shipped_weights_stand_for_the_stages_behind_them(tmp_path):
    """Trained further, a network keeps the description and curves of all its stages."""
    network = tiny()
    shipped, further = tmp_path / "shipped" / "surrogate.npz", tmp_path / "further.npz"
    weights.save(shipped, network, {"stages": [{"stage": "narrow"}, {"stage": "pairs"}]})
    weights.save(further, network, {"stage": "more_photographs"})
    shipped.with_name(fundus_shipping.LEARNING_CURVES).write_text(
        "step,loss,stage\n10,1.5,narrow\n10,1.2,pairs\n"
    )
    further.with_suffix(".csv").write_text("step,loss\n10,0.9\n")
    stages, curves = zip(*map(fundus_shipping.behind, [shipped, further]))
    assert [stage["stage"] for each in stages for stage in each] == [
        "narrow",
        "pairs",
        "more_photographs",
    ]
    assert [row for each in curves for row in zip(each["stage"], each["loss"])] == [
        ("narrow", 1.5),
        ("pairs", 1.2),
        ("further", 0.9),
    ]
