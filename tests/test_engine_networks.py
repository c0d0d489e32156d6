"""The torch engine against Theano's C code, for every network of the package."""

import numpy as np
import pytest

from cnnviz.networks import defauw, die
from cnnviz.runtime import backend
from cnnviz.runtime.backend import T, lasagne, theano
from cnnviz.training import objectives

pytest.importorskip("torch")

STEPS = 10
# Five pooling layers leave one position.
DEFAUW_SIZE = 128


def relative_error(found, expected):
    """Largest difference as a share of the largest value."""
    assert found.dtype == expected.dtype and found.shape == expected.shape
    return np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30)


def die_case(name):
    """Network, inputs, loss and batch of a Die360 network."""
    rng = np.random.RandomState(1)
    network = die.build(name, seed=1)
    labels = T.ivector("labels")
    images = lasagne.layers.get_all_layers(network)[0].input_var
    posterior = lasagne.layers.get_output(network)
    loss = lasagne.objectives.categorical_crossentropy(posterior, labels).mean()
    # Dark background and few gray levels: ties in most pooling windows.
    pictures = np.maximum(rng.randint(-4, 4, (8, 1, 32, 32)), 0) / 4
    return (
        network,
        [images],
        labels,
        posterior,
        loss,
        [pictures.astype(theano.config.floatX), rng.randint(0, 6, 8).astype("int32")],
    )


def defauw_case():
    """The same of De Fauw's network, with dropout and his loss."""
    rng = np.random.RandomState(0)
    network = defauw.build(2, seed=1, size=DEFAUW_SIZE)
    lasagne.random.set_rng(np.random.RandomState(3))
    inputs = [
        layer.input_var
        for layer in lasagne.layers.get_all_layers(network)
        if isinstance(layer, lasagne.layers.InputLayer)
    ]
    targets = T.matrix("targets")
    posterior = lasagne.layers.get_output(network)
    entropy = lasagne.objectives.categorical_crossentropy(posterior, targets).mean()
    loss = (
        objectives.kappa_loss(posterior, targets)
        + 0.5 * T.maximum(entropy, 0.8)
        + 2e-4
        * lasagne.regularization.regularize_network_params(network, lasagne.regularization.l2)
    )
    kind = theano.config.floatX
    return (
        network,
        inputs,
        targets,
        posterior,
        loss,
        [
            rng.randn(2, 3, DEFAUW_SIZE, DEFAUW_SIZE).astype(kind),
            rng.rand(2, 2).astype(kind),
            np.eye(5, dtype=kind)[[1, 4]],
        ],
    )


def run(make, engine, update):
    """Outputs, gradients and parameters after training, on one engine."""
    backend.select(engine, "cpu")
    network, inputs, labels, posterior, loss, batch = make()
    parameters = lasagne.layers.get_all_params(network, trainable=True)
    images = inputs[0]
    # Dropout draws the same numbers for the outputs and for their gradients.
    look = backend.function(
        [*inputs, labels], [posterior, loss, T.grad(loss, images), *T.grad(loss, parameters)]
    )
    step = backend.function([*inputs, labels], loss, updates=update(loss, parameters))
    first = look(*batch)
    losses = np.array([step(*batch) for _ in range(STEPS)])
    return first, losses, lasagne.layers.get_all_param_values(network)


def nesterov(loss, parameters):
    return lasagne.updates.nesterov_momentum(loss, parameters, 0.006, 0.9)


def check(make, update, tolerance):
    try:
        ours, reference = (run(make, engine, update) for engine in ("torch", "theano"))
    finally:
        backend.select()
    for found, expected in zip(ours[0], reference[0]):
        assert relative_error(found, expected) <= tolerance
    assert relative_error(ours[1], reference[1]) <= tolerance
    for found, expected in zip(ours[2], reference[2]):
        assert relative_error(found, expected) <= tolerance


@pytest.mark.parametrize("name", die.NAMES)
def test_die360_network_trains_as_with_c_code(name):
    check(lambda: die_case(name), nesterov, 1e-5)


def test_defauw_network_trains_as_with_c_code():
    check(defauw_case, nesterov, 1e-5)


@pytest.fixture
def double_precision():
    theano.config.floatX = "float64"
    yield
    theano.config.floatX = "float32"


@pytest.mark.parametrize(
    "make",
    [lambda: die_case("c9"), lambda: die_case("d5"), defauw_case],
    ids=["c9", "d5", "defauw"],
)
def test_in_double_precision_to_ten_digits(make, double_precision):
    check(make, nesterov, 1e-10)


@pytest.mark.parametrize(
    "update",
    [
        lambda loss, parameters: lasagne.updates.sgd(loss, parameters, 0.01),
        lambda loss, parameters: lasagne.updates.momentum(loss, parameters, 0.01),
        lambda loss, parameters: lasagne.updates.adam(loss, parameters, 0.001),
    ],
    ids=["sgd", "momentum", "adam"],
)
def test_update_rules(update):
    check(lambda: die_case("c1"), update, 1e-5)
