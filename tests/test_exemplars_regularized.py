"""Regularized maximization: adjoints, gradients, measures by hand."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.feature_visualization import measures, patch_network, regularization, transforms
from cnnviz.feature_visualization.regularization import Regularization
from cnnviz.networks import die, layers
from cnnviz.runtime.backend import lasagne

L = lasagne.layers
sizes = st.integers(2, 9)
seeds = st.integers(0, 10**6)


def linear_network(kernels, side=None):
    """The network of a linear neuron for each kernel."""
    kernels = np.asarray(kernels, np.float32)
    side = side or kernels.shape[2:]
    inputs = L.InputLayer((None, kernels.shape[1], *side), name="input")
    layer = L.Conv2DLayer(
        inputs, len(kernels), kernels.shape[2:], name="linear", W=kernels[:, :, ::-1, ::-1].copy()
    )  # Lasagne 0.1 flips
    return patch_network.patch_network(layer)


@pytest.fixture(scope="module")
def network():
    layer = layers.find_layer(die.build("c2", seed=1), "pool2")
    return patch_network.patch_network(layer)


# Linear maps and their adjoints.


@given(sizes, sizes, st.sampled_from([0, 0.5, 1, 2]), seeds)
def test_fourier_and_its_adjoint(rows, columns, decay, seed):
    """<A x, y> = <x, A' y>, and the mean square that is promised."""
    rng = np.random.RandomState(seed)
    made = transforms.fourier((2, rows, columns), decay)
    x, y = rng.randn(3, *made.shape), rng.randn(3, 2, rows, columns)
    canvas = made.to_canvas(x)
    assert canvas.shape == y.shape and np.isrealobj(canvas)
    assert (canvas * y).sum() == pytest.approx((x * made.adjoint(y)).sum())
    # Of standard normal coefficients: the matrix' squares, over the pixels.
    one = transforms.fourier((1, rows, columns), decay)
    count = int(np.prod(one.shape))
    matrix = one.to_canvas(np.eye(count).reshape(count, *one.shape))
    assert (matrix**2).sum() == pytest.approx(rows * columns)
    if decay == 0:  # steps go where they go in pixels
        np.testing.assert_allclose(made.to_canvas(made.adjoint(y)), y, atol=1e-12)


def test_fourier_coefficients_by_hand():
    made = transforms.fourier((1, 4, 4), decay=1)
    waves = np.zeros((3, *made.shape))
    waves[0, 0, 0, 0, 0] = waves[1, 0, 0, 0, 1] = waves[2, 0, 0, 0, 2] = 1
    flat, slow, fast = made.to_canvas(waves)[:, 0]
    assert np.ptp(flat) == pytest.approx(0) and flat[0, 0] > 0
    # A wave of the same mean square, and at twice the frequency half the amplitude.
    np.testing.assert_allclose(slow, np.sqrt(2) * flat * [1, 0, -1, 0], atol=1e-12)
    np.testing.assert_allclose(fast, flat / 2 * [1, -1, 1, -1], atol=1e-12)


@given(sizes, sizes, sizes, sizes, seeds)
def test_resampling_and_its_adjoint(rows, columns, height, width, seed):
    rng = np.random.RandomState(seed)
    matrix = np.eye(3)
    for draw in (transforms.jitter(3), transforms.rotate(180), transforms.scale(0.5, 2)):
        matrix = matrix @ draw(rng)
    view = transforms.resampling(matrix, (rows, columns), (height, width))
    x, y = rng.randn(2, 3, rows, columns), rng.randn(2, 3, height, width)
    found = transforms.resample(view, x, (height, width))
    assert (found * y).sum() == pytest.approx(
        (x * transforms.resample(view.T, y, (rows, columns))).sum()
    )
    # Interpolation: weights are positive, and a flat canvas looks flat.
    assert view.data.min() >= 0
    np.testing.assert_allclose(np.asarray(view.sum(axis=1)), 1)


def test_resampling_by_hand():
    canvas = np.arange(12.0).reshape(1, 1, 3, 4)

    def view(matrix, shape):
        matrix = transforms.resampling(matrix, (3, 4), shape)
        return transforms.resample(matrix, canvas, shape)[0, 0]

    np.testing.assert_array_equal(view(np.eye(3), (3, 4)), canvas[0, 0])
    np.testing.assert_array_equal(view(np.eye(3), (1, 2)), [[5, 6]])
    shift = np.array([[1, 0, 1], [0, 1, -0.5], [0, 0, 1]])
    np.testing.assert_array_equal(view(shift, (1, 2)), [[8.5, 9.5]])
    far = np.array([[1, 0, 99], [0, 1, -99], [0, 0, 1]])
    np.testing.assert_array_equal(view(far, (1, 2)), [[8, 8]])  # goes on as its corner
    quarter = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    np.testing.assert_allclose(view(quarter, (2, 3)), [[9, 5, 1], [10, 6, 2]])


def test_transforms_draw_within_their_limits():
    rng = np.random.RandomState(0)
    shifts = np.array([transforms.jitter(2)(rng)[:2, 2] for _ in range(200)])
    assert {tuple(shift) for shift in shifts} == {
        (row, column) for row in range(-2, 3) for column in range(-2, 3)
    }
    for _ in range(20):
        turn, growth = transforms.rotate(30)(rng), transforms.scale(0.5, 2)(rng)
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(turn) == pytest.approx(1) and turn[0, 0] >= np.cos(np.pi / 6)
        assert 0.5 <= growth[0, 0] == growth[1, 1] <= 2


# Total variation.


def test_total_variation_by_hand():
    image = np.array([[[[0.0, 3.0], [4.0, 9.0]]]])  # 3 to the right, 4 down
    for beta, expected in ((1, 5), (2, 25), (4, 625)):
        assert regularization.total_variation(image, beta)[0] == expected
    np.testing.assert_array_equal(regularization.total_variation(image)[1], [[[[-14, 6], [8, 0]]]])
    flat = np.ones((1, 2, 3, 3))
    for found in regularization.total_variation(flat, 1):
        assert not found.any()


@given(sizes, sizes, st.sampled_from([1, 1.5, 2, 3]), seeds)
def test_the_gradient_of_total_variation(rows, columns, beta, seed):
    """Central differences along a random direction."""
    rng = np.random.RandomState(seed)
    image, direction = rng.randn(2, 1, 2, rows, columns)
    high, low = (
        regularization.total_variation(image + sign * 1e-5 * direction, beta)[0] for sign in (1, -1)
    )
    _, gradient = regularization.total_variation(image, beta)
    assert (high - low) / 2e-5 == pytest.approx((gradient * direction).sum(), rel=1e-4, abs=1e-4)


# The ascent.


def regularized(network, *arguments, **options):
    """Exemplars, with the fields of a regularization among the options."""
    fields = {field.name for field in dataclasses.fields(Regularization)}
    chosen = {name: options.pop(name) for name in fields & options.keys()}
    return regularization.maximize_regularized(
        network, *arguments, regularization=Regularization(**chosen), **options
    )


RULE = regularization.RULE._replace(steps=40)


@pytest.mark.parametrize("parameterization", [transforms.fourier, transforms.pixels])
def test_activations_rise(network, parameterization):
    found = regularized(network, rule=RULE, parameterization=parameterization)
    assert found.patches.shape == (3, *network.shape) and found.patches.dtype == np.float32
    assert found.activations.shape == (3, 41) and (found.steps == 40).all()
    np.testing.assert_allclose(
        found.reached, network.evaluate(found.patches, range(3))[0], rtol=1e-5
    )
    assert (found.reached > found.activations[:, 0] + 1).all()


def test_without_its_regularizers_it_is_plain_ascent_along_unit_gradients():
    """A linear neuron: x = step * gradient of mean square 1, as in Nesterov's formula."""
    network = linear_network([[[[1, -2], [3, 4]]]])
    found = regularized(
        network,
        transforms=(),
        margin=0,
        parameterization=transforms.pixels,
        start=0,
        rule=regularization.RULE._replace(steps=3, step_size=1, momentum=0.5, keep=(0, 2)),
    )
    unit = np.array([[1, -2], [3, 4]]) / np.sqrt(30 / 4)
    np.testing.assert_allclose(found.patches[0, 0], 5.125 * unit, rtol=1e-6)
    assert not found.iterates[0, 0].any()
    np.testing.assert_allclose(found.iterates[0, 1, 0], 3.25 * unit, rtol=1e-6)
    assert found.reached == pytest.approx(5.125 * 30 / np.sqrt(30 / 4))


def test_under_a_norm_a_linear_neurons_exemplar_is_its_weights():
    network = linear_network([[[[1, -2, 0], [3, 4, 1]]]])
    found = regularized(
        network,
        transforms=(),
        margin=0,
        parameterization=lambda shape: transforms.fourier(shape, decay=0),
        rule=regularization.RULE._replace(norm=2.0),
    )
    expected = np.array([[1, -2, 0], [3, 4, 1]]) * 2 / np.sqrt(31)
    np.testing.assert_allclose(found.patches[0, 0], expected, atol=2e-3)
    # Of the patch, whatever the canvas around it has.
    found = regularized(network, rule=RULE._replace(norm=2.0))
    assert np.linalg.norm(found.patches) == pytest.approx(2, rel=1e-5)


def test_jitter_smooths_what_a_linear_neuron_asks_for():
    """Averaged over shifts the gradient is the kernel, blurred; so is the exemplar."""
    kernel = np.zeros((1, 1, 5, 5))
    kernel[0, 0, 2, 2] = 1
    found = regularized(
        linear_network(kernel),
        transforms=(transforms.jitter(1),),
        margin=1,
        start=0,
        parameterization=transforms.pixels,
        rule=regularization.RULE._replace(steps=800),
    )
    share = found.patches[0, 0] / found.patches.sum()
    np.testing.assert_allclose(share[1:4, 1:4], 1 / 9, atol=0.03)
    assert share[1:4, 1:4].sum() == pytest.approx(1)


def test_variation_makes_smoother_exemplars(network):
    def variation(weight):
        found = regularized(
            network,
            rule=RULE._replace(norm=5.0),
            variation=weight,
            parameterization=transforms.pixels,
        )
        return regularization.total_variation(found.patches)[0]

    assert (variation(1.0) < 0.7 * variation(0.0)).all()


def test_seeds_batches_and_features(network):
    rule = RULE._replace(steps=10, keep=(0, 10))
    whole = regularized(network, seed=3, rule=rule)
    again = regularized(network, seed=3, rule=rule, batch_size=2)
    alone = regularized(network, [2, 0], seed=3, rule=rule)
    for one, two, three in zip(whole, again, alone):
        np.testing.assert_allclose(one, two, atol=1e-5)
        if one is not whole.kept:
            np.testing.assert_allclose(one[[2, 0]], three, atol=1e-5)
    np.testing.assert_array_equal(whole.iterates[:, 1], whole.patches)
    other = regularized(network, seed=4, rule=rule)
    assert not np.isclose(other.patches, whole.patches).all()


def test_progress_on_request(network, capsys):
    rule = RULE._replace(steps=1)
    regularized(network, 0, rule=rule)
    assert capsys.readouterr().err == ""
    regularized(network, 0, rule=rule, progress=True)
    assert "2/2" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(features=3), "features 0 to 2, not 3"),
        (dict(margin=-1), "margin must be at least 0, not -1"),
        (dict(variation=-1), "variation must be at least 0, not -1"),
        (dict(start=-1), "start must be at least 0, not -1"),
        (dict(seed=-1), "[Ss]eed"),
        (dict(batch_size=0), "batch_size must be at least 1, not 0"),
        (dict(rule=RULE._replace(steps=-1)), "steps must be at least 0, not -1"),
    ],
)
def test_bad_arguments_are_refused(network, arguments, message):
    with pytest.raises(ValueError, match=message):
        regularized(network, **arguments)


def test_a_beta_that_is_refused():
    with pytest.raises(ValueError, match="beta must be at least 1, not 0.5"):
        regularization.total_variation(np.zeros((1, 1, 2, 2)), 0.5)


# The measures.


def test_transfer_by_hand():
    network = linear_network([[[[1, 2], [3, 4]]], [[[-1, -1], [-1, -1]]]])
    patches = np.float32([[[[1, 2], [3, 4]]]] * 2)
    shifts = [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1), (1, -1), (2, 0), (0, -5)]
    found = measures.transfer(network, patches, shifts=shifts)
    # Of 30: 1 and 2 meet 3 and 4; 3 and 4 meet 1 and 2; and so on; nothing is left.
    np.testing.assert_allclose(found[0] * 30, [30, 11, 11, 14, 14, 6, 0, 0], rtol=1e-6)
    assert np.isnan(found[1]).all()
    both = measures.transfer(network, patches, shifts=shifts, batch_size=1)
    np.testing.assert_array_equal(found, both)
    assert measures.transfer(network, patches[:1], 0).shape == (1, 12)
    with pytest.raises(ValueError, match=r"shape \(1, 1, 2, 2\), not \(2, 1, 2, 2\)"):
        measures.transfer(network, patches, 0)


def test_diversity_by_hand():
    wave, other = np.array([1.0, -1, 1, -1]), np.array([1.0, 1, -1, -1])
    seeds = np.array([[wave, wave, wave, wave], [2 * wave + 5, -wave, other, np.ones(4)]]).reshape(
        2, 4, 1, 2, 2
    )
    np.testing.assert_allclose(measures.diversity(seeds), [0, 2, 1, np.nan])
    # Correlations 1, 0 and 0.
    three = np.array([wave, wave, other]).reshape(3, 1, 1, 2, 2)
    assert measures.diversity(three) == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="two seeds at least, not 1"):
        measures.diversity(three[:1])


@given(st.integers(2, 5), seeds)
def test_diversity_is_one_minus_the_mean_correlation(count, seed):
    patches = np.random.RandomState(seed).randn(count, 3, 2, 3, 4)
    for feature, found in enumerate(measures.diversity(patches)):
        matrix = np.corrcoef(patches[:, feature].reshape(count, -1))
        assert found == pytest.approx(1 - matrix[np.triu_indices(count, 1)].mean())
