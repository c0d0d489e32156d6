"""Training: the update rule, restarts, determinism, and what is recorded."""

import numpy as np
import pytest

from cnnviz.networks import die
from cnnviz.runtime.backend import lasagne, theano
from cnnviz.training import die_networks


def easy_data(count=240, seed=0):
    """Images whose brightest quarter-band tells the class."""
    rng = np.random.RandomState(seed)
    labels = rng.randint(6, size=count).astype(np.int32)
    images = rng.randn(count, 1, 32, 32).astype(np.float32) * 0.1
    for image, label in zip(images, labels):
        image[0, 5 * label : 5 * label + 5] += 2
    return images, labels


def settings(**changes):
    return die_networks.Settings(
        **{"epochs": 8, "batch_size": 16, "learning_rate": 0.02, **changes}
    )


def build(name):
    return lambda seed: die.build(name, seed=seed)


@pytest.mark.parametrize("name", ["c1", "d5"])
def test_networks_learn_an_easy_task(name):
    outcome = die_networks.train(
        build(name), easy_data(), easy_data(60, 1), settings(epochs=15), seed=0
    )
    assert outcome.accuracy > 0.95
    assert outcome.history[-1]["epoch"] == 15
    assert outcome.history[-1]["validation_accuracy"] == outcome.accuracy
    assert outcome.history[-1]["training_loss"] < outcome.history[0]["training_loss"]
    assert outcome.posteriors.shape == (60, 6)
    np.testing.assert_allclose(outcome.posteriors.sum(1), 1, atol=1e-5)


def test_equal_seeds_give_equal_weights_to_the_bit():
    runs = [
        die_networks.train(
            build("c2"),
            easy_data(),
            easy_data(60, 1),
            settings(epochs=2, alive_accuracy=0),
            seed=seed,
        )
        for seed in (5, 5, 6)
    ]
    for first, second in zip(runs[0].parameters, runs[1].parameters):
        np.testing.assert_array_equal(first, second)
    assert not np.array_equal(runs[0].parameters[0], runs[2].parameters[0])


def test_learning_rate_is_half_a_cosine():
    rates = [
        die_networks.learning_rate(settings(epochs=100, learning_rate=2.0), epoch)
        for epoch in (0, 50, 100)
    ]
    np.testing.assert_allclose(rates, [2, 1, 0], atol=1e-12)


def test_a_step_equals_nesterov_momentum_by_hand():
    """One dense softmax layer, two steps, gradients from their formula."""
    rng = np.random.RandomState(0)
    images, labels = easy_data(12)
    layer = lasagne.layers.DenseLayer(
        lasagne.layers.InputLayer((None, 1, 32, 32)),
        6,
        W=rng.randn(1024, 6).astype(np.float32) * 0.01,
        nonlinearity=lasagne.nonlinearities.softmax,
        name="output",
    )
    W, b = (
        parameter.get_value().astype(np.float64)
        for parameter in lasagne.layers.get_all_params(layer)
    )
    step, rate = die_networks._training_step(
        layer, theano.shared(images), theano.shared(labels), settings()
    )
    rate.set_value(np.float32(0.05))
    velocity = [np.zeros_like(W), np.zeros_like(b)]
    x, target = images.reshape(12, -1).astype(np.float64), np.eye(6)[labels]
    for _ in range(2):
        scores = x @ W + b
        posterior = np.exp(scores - scores.max(1, keepdims=True))
        posterior /= posterior.sum(1, keepdims=True)
        loss = -np.log(posterior[np.arange(12), labels]).mean()
        error = (posterior - target) / 12
        for k, gradient in enumerate((x.T @ error, error.sum(0))):
            velocity[k] = 0.9 * velocity[k] - 0.05 * gradient
            change = 0.9 * velocity[k] - 0.05 * gradient
            W, b = (W + change, b) if k == 0 else (W, b + change)
        found, right = step(np.arange(12, dtype=np.int32))
        assert found == pytest.approx(loss, rel=1e-5)
        assert right == (scores.argmax(1) == labels).sum()
    # float32 against float64 over two steps.
    np.testing.assert_allclose(layer.W.get_value(), W, atol=1e-6)
    np.testing.assert_allclose(layer.b.get_value(), b, atol=1e-6)


def dead_until(seed_alive):
    """Networks whose first layer is silent for every earlier seed."""

    def start(seed):
        network = die.build("c1", seed=seed)
        if seed < seed_alive:
            first = lasagne.layers.get_all_layers(network)[1]
            first.b.set_value(np.full(3, -100, np.float32))
        return network

    return start


def test_dead_starts_are_restarted_with_the_next_seed_and_counted():
    lines = []
    outcome = die_networks.train(
        dead_until(12), easy_data(), easy_data(60, 1), settings(epochs=6), seed=10, log=lines.append
    )
    assert (outcome.seed, outcome.starts) == (12, 3)
    assert len(lines) == 2 and "seed 10 is dead: layer conv1 is silent" in lines[0]


def test_a_loss_that_is_not_finite_is_a_dead_start():
    with pytest.raises(die_networks.DeadStart, match="2 starts from seed 0"):
        die_networks.train(
            build("c1"),
            easy_data(),
            easy_data(60, 1),
            settings(learning_rate=1e20, max_starts=2),
            seed=0,
            log=lambda line: None,
        )


def test_prediction_does_not_depend_on_the_batch(monkeypatch):
    network = die.build("c3", seed=2)
    images, _ = easy_data(20)
    whole = die_networks.predict(network, images)
    monkeypatch.setattr(die_networks, "EVALUATION_BATCH", 7)
    np.testing.assert_allclose(die_networks.predict(network, images), whole, atol=1e-6)
    assert die_networks.predict(network, images[:0]).shape == (0, 6)


def test_accuracy_is_the_share_of_right_answers():
    posteriors = np.array([[0.6, 0.4], [0.2, 0.8], [0.9, 0.1]])
    assert die_networks.accuracy(posteriors, [0, 1, 1]) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(epochs=0), "must be at least 1, not 0, 16 and 10"),
        (dict(batch_size=-5), "must be at least 1"),
        (dict(learning_rate=float("nan")), "positive and finite, not nan"),
        (dict(learning_rate=0), "positive and finite"),
        (dict(momentum=5), "at least 0 and below 1, not 5"),
    ],
)
def test_impossible_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        settings(**changes)


def test_a_layer_silent_on_the_first_images_only_is_not_dead():
    images, labels = easy_data(die_networks.EVALUATION_BATCH * 3)
    network = die.build("c1", seed=0)
    first = lasagne.layers.get_all_layers(network)[1]
    first.W.set_value(np.abs(first.W.get_value()))
    first.b.set_value(np.full(3, -1, np.float32))
    images[: die_networks.EVALUATION_BATCH] = 0
    images[die_networks.EVALUATION_BATCH :] = 9
    die_networks._judge_start(network, images, 1.0, settings(), 5)
    with pytest.raises(die_networks.DeadStart, match="conv1 is silent"):
        die_networks._judge_start(network, images * 0, 1.0, settings(), 5)
