"""Layers that are not what their class says: whole passes take over, and say why."""

import warnings

import attributions
import numpy as np
import pytest

from cnnviz.attribution import (
    activations,
    gradient,
    occlusion_passes,
    output_occlusion,
    receptive_field,
)
from cnnviz.attribution.gradient import TARGETS
from cnnviz.attribution.windowed import NotLocal, Stack, trust, trusted_stack
from cnnviz.attribution.windowed.backward import Gradients
from cnnviz.attribution.windowed.forward import Occluded
from cnnviz.networks import defauw, layers
from cnnviz.runtime import compiled
from cnnviz.runtime.backend import T, lasagne

L = lasagne.layers
linear = lasagne.nonlinearities.identity


class Rectifying(L.Conv2DLayer):
    """Rectifies its input first."""

    def get_output_for(self, input, **kwargs):
        return super().get_output_for(T.nnet.relu(input), **kwargs)


class Clipping(L.Conv2DLayer):
    """Clips its input far from what noise of one magnitude reaches."""

    def get_output_for(self, input, **kwargs):
        return super().get_output_for(T.clip(input, -200, 200), **kwargs)


class Blurring(L.Conv2DLayer):
    """Looks one pixel further than its filters."""

    def get_output_for(self, input, **kwargs):
        inner = (input[:, :, :-2] + input[:, :, 2:]) / 2
        return super().get_output_for(T.set_subtensor(input[:, :, 1:-1], inner), **kwargs)


class Placed(L.Conv2DLayer):
    """Adds to each neuron the number of its row."""

    def get_output_for(self, input, **kwargs):
        found = super().get_output_for(input, **kwargs)
        return found + T.arange(found.shape[2]).dimshuffle("x", "x", 0, "x")


class Standardizing(L.Conv2DLayer):
    """Subtracts the mean of the batch."""

    def get_output_for(self, input, **kwargs):
        return super().get_output_for(input - input.mean(axis=0, keepdims=True), **kwargs)


class Bare(L.Conv2DLayer):
    """Lacks what other convolution layers have."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.kept = self.stride, self.pad
        del self.stride, self.pad

    def get_output_for(self, input, **kwargs):
        return self.nonlinearity(T.nnet.conv2d(input, self.W))

    def get_output_shape_for(self, shape):
        return (shape[0], self.num_filters, shape[2] - 2, shape[3] - 2)


class LogSumExp(L.MaxPool2DLayer):
    """Is a maximum only where one value is far above the others."""

    def get_output_for(self, input, **kwargs):
        highest = super().get_output_for(input, **kwargs)
        return highest + T.log(
            sum(T.exp(input[:, :, i::2, j::2] - highest) for i in (0, 1) for j in (0, 1))
        )


class Doubling(L.MaxPool2DLayer):
    """Twice the maximum."""

    def get_output_for(self, input, **kwargs):
        return 2 * super().get_output_for(input, **kwargs)


class Modeless(L.MaxPool2DLayer):
    """Lacks an attribute, and is a maximum all the same."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if hasattr(self, "mode"):
            del self.mode

    def get_output_for(self, input, **kwargs):
        return T.signal.pool.pool_2d(input, ws=self.pool_size, ignore_border=True)


def channel_softmax(values):
    raised = T.exp(values - values.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def centered(values):
    return values - values.mean(axis=(2, 3), keepdims=True)


def normalized(values):
    return values / T.sqrt(1 + (values**2).sum(axis=1, keepdims=True))


def dilated(input, filters, **options):
    """Another convolution than the layer's attributes tell of."""
    return T.nnet.conv2d(input, filters, filter_dilation=(2, 2))


def source():
    return L.InputLayer((None, 2, 10, 10), name="images")


def convolution(kind=L.Conv2DLayer, nonlinearity=linear, **options):
    return kind(
        source(), 3, 3, nonlinearity=nonlinearity, W=lasagne.init.Normal(0.5), name="odd", **options
    )


def pooled(kind):
    return kind(L.Conv2DLayer(source(), 3, 3, nonlinearity=None, name="conv"), 2, name="odd")


#: What builds a network, whether gradients and occluders of it stay on windows.
ODD = {
    "rectifies its input": (lambda: convolution(Rectifying), False, True),
    "clips its input": (lambda: convolution(Clipping), False, True),
    "looks further": (lambda: convolution(Blurring), False, False),
    "depends on the place": (lambda: convolution(Placed), False, False),
    "depends on the batch": (lambda: convolution(Standardizing), False, False),
    "lacks attributes": (lambda: convolution(Bare), False, False),
    "softmax over channels": (lambda: convolution(nonlinearity=channel_softmax), False, True),
    "normalizes over channels": (lambda: convolution(nonlinearity=normalized), False, True),
    "mean over places": (lambda: convolution(nonlinearity=centered), False, False),
    "log-sum-exp": (lambda: pooled(LogSumExp), False, True),
    "twice the maximum": (lambda: pooled(Doubling), False, True),
    "maximum without a mode": (lambda: pooled(Modeless), True, True),
    "local response": (
        lambda: L.Conv2DLayer(L.LocalResponseNormalization2DLayer(source(), name="odd"), 2, 3),
        False,
        False,
    ),
    "padded average": (
        lambda: L.Pool2DLayer(
            L.Conv2DLayer(source(), 3, 3), 2, pad=1, mode="average_inc_pad", name="odd"
        ),
        False,
        False,
    ),
    "average over all": (
        lambda: L.MaxPool2DLayer(L.Conv2DLayer(source(), 3, 3, nonlinearity=None), 8, name="odd"),
        True,
        True,
    ),
}


@pytest.fixture(autouse=True)
def start():
    lasagne.random.set_rng(np.random.RandomState(4))


def images(count=1):
    """Noise that also meets thresholds far from one."""
    found = np.random.RandomState(0).randn(count, 2, 10, 10) * 3
    found[:, :, 4:6] *= 100
    return found.astype(np.float32)


def on_windows(call):
    """The result, and what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        found = call()
    return found, [
        str(each.message)
        for each in caught
        if issubclass(each.category, UserWarning) and "by whole passes" in str(each.message)
    ]


def check(call, windows):
    """The same as by whole passes, by windows or with a warning that names the layer."""
    found, said = on_windows(lambda: call("auto"))
    np.testing.assert_allclose(
        found, call("whole"), rtol=1e-4, equal_nan=True, atol=1e-5 * np.nanmax(np.abs(found))
    )
    if windows:
        assert not said
    else:
        assert len(said) == 1 and "'odd'" in said[0]
        with pytest.raises(NotLocal, match="'odd'"):
            call("windows")


@pytest.mark.parametrize("name", ODD)
def test_gradients_are_those_of_the_network(name):
    build, windows, _ = ODD[name]
    layer = build()
    for aggregate in TARGETS:
        check(
            lambda method: attributions.gradient(
                layer, images(), target=aggregate, raw=True, evaluation=method
            ),
            windows,
        )


@pytest.mark.parametrize("name", ODD)
def test_occlusion_is_that_of_the_network(name):
    build, _, windows = ODD[name]
    layer = build()
    check(
        lambda method: attributions.occlusion(
            layer, images(), window=3, stride=3, evaluation=method, target="max"
        ),
        windows,
    )


@pytest.mark.parametrize("value, expected", [(3, 2), (-3, 0)])
def test_a_rectified_input_by_hand(value, expected):
    layer = Rectifying(
        L.InputLayer((None, 1, 1, 1)),
        1,
        1,
        W=lasagne.init.Constant(2),
        b=None,
        nonlinearity=None,
        name="odd",
    )
    with pytest.warns(UserWarning, match="layer 'odd' is no linear function of its input"):
        found = attributions.gradient(layer, np.full((1, 1, 1, 1), value, np.float32))
    assert found.item() == expected


def test_the_reason_is_the_true_one():
    """A pooling layer is not called anything else than that."""
    layer = ODD["padded average"][0]()
    with pytest.raises(
        NotLocal, match="pooled by 'average_inc_pad', are of other sizes at the border"
    ):
        trusted_stack(layer)


def test_a_fault_inside_a_layer_is_named():
    class Broken(L.Conv2DLayer):
        def get_output_for(self, input, **kwargs):
            if input.name != "images":
                raise KeyError("scale")
            return super().get_output_for(input, **kwargs)

    layer = convolution(Broken)
    with pytest.warns(
        UserWarning,
        match="'odd' could not be prepared for windows "
        r"\(KeyError: 'scale'\)",
    ):
        attributions.gradient(layer, images())


def test_outputs_fall_back_as_well():
    """Above a layer that is not local though its class says so."""
    layer = L.DenseLayer(convolution(Placed), 2, name="units")
    check(
        lambda method: attributions.occlusion(
            layer, images(), window=3, stride=3, evaluation=method
        ),
        False,
    )


def test_a_wrong_gradient_on_windows_is_noticed(monkeypatch):
    """Whatever the reason: gradients are compared, not only values."""
    layer = layers.find_layer(defauw.build(2, size=125, reduction=16), "pool2")
    correct = Gradients._convolve_back
    monkeypatch.setattr(
        Gradients,
        "_convolve_back",
        lambda self, k, *rest: correct(self, k, *rest) * (1.1 if k == 2 else 1),
    )
    with pytest.raises(NotLocal, match="gradient of layer 'conv2' on windows is not that"):
        Gradients(trusted_stack(layer))


def test_a_wrong_value_under_occluders_is_noticed(monkeypatch):
    layer = layers.find_layer(defauw.build(2, size=125, reduction=16), "pool2")
    correct = Occluded._on_windows
    monkeypatch.setattr(Occluded, "_on_windows", lambda self, *rest: correct(self, *rest) * 1.1)
    with pytest.raises(NotLocal, match="occluder changes more of layer 'pool2'"):
        Occluded(trusted_stack(layer))


def test_every_part_of_a_block_is_compared():
    """Also a layer after the window that mixes places, by halves."""
    layer = L.NonlinearityLayer(convolution(), lambda v: v[:, :, ::-1], name="odd")
    with pytest.raises(NotLocal, match="'odd' computes on windows something else"):
        trusted_stack(layer)


# --- Trust is kept, and forgotten ------------------------------------------------


def test_a_layer_is_measured_once(monkeypatch):
    layer = convolution()
    trusted_stack(layer)
    monkeypatch.setattr(trust, "_judge_values", lambda stack: pytest.fail("measured again"))
    trusted_stack(layer)


def test_a_changed_layer_is_measured_again():
    layer = convolution(nonlinearity=lasagne.nonlinearities.rectify)
    before = attributions.gradient(layer, images(), [0])
    layer.nonlinearity = channel_softmax
    found, said = on_windows(lambda: attributions.gradient(layer, images(), [0]))
    assert said
    np.testing.assert_array_equal(
        found, attributions.gradient(layer, images(), [0], evaluation="whole")
    )
    assert not np.allclose(found, before)


def test_nothing_is_compiled_twice(monkeypatch):
    """Whatever the images, the features and the parameters are."""
    layer = L.MaxPool2DLayer(convolution(), 2, name="pool")
    units = L.DenseLayer(layer, 2, name="units")
    calls = [
        lambda n: attributions.gradient(layer, images(n), [n - 1]),
        lambda n: attributions.gradient(layer, images(n), evaluation="whole"),
        lambda n: attributions.gradient(units, images(n)),
        lambda n: activations.feature_maps(layer, images(n)),
        lambda n: attributions.occlusion(layer, images(n), window=3, stride=2),
        lambda n: attributions.occlusion(layer, images(n), window=3, stride=3, target="max"),
        lambda n: attributions.occlusion(units, images(n), window=3, stride=3),
    ]
    before = [call(1) for call in calls]
    for module in (activations, gradient, occlusion_passes, output_occlusion, trust):
        monkeypatch.setattr(module, "function", lambda *_, **__: pytest.fail("compiled"))
    for call, first in zip(calls, before):
        np.testing.assert_array_equal(call(1), first)
        call(2)
    for parameter in L.get_all_params(units):
        parameter.set_value(parameter.get_value() * 2)
    for call, first in zip(calls, before):
        assert not np.allclose(np.nan_to_num(call(1)), np.nan_to_num(first))


def test_what_was_compiled_is_not_kept_for_ever():
    compiled.forget()
    for _ in range(compiled.KEPT + 3):
        activations.feature_maps(convolution(), images())
    assert len(compiled._entries) == compiled.KEPT


def test_images_are_not_kept_longer_than_a_call():
    layer = convolution()
    attributions.gradient(layer, images())
    attributions.occlusion(layer, images(), window=3)
    held = [
        value.get_value(borrow=True).size
        for entry in compiled._entries.values()
        for product in entry.products.values()
        if isinstance(product, (Gradients, Occluded))
        for value in getattr(product, "_slopes", None) or product._kept
    ]
    assert held and not any(held)


def test_one_map_of_a_large_network_needs_no_windows(monkeypatch):
    """Preparing them would take longer; many maps are worth it, also one by one."""
    from cnnviz.attribution.windowed import cost

    layer = L.MaxPool2DLayer(convolution(), 2, name="pool")
    monkeypatch.setattr(cost, "SMALL", 0)
    stack = Stack(layer)
    # So much that two maps are not worth it, and three are.
    per_map = 3 * cost.work(stack, stack.shapes)
    monkeypatch.setattr(cost, "COMPILING", 2 * per_map / len(stack.blocks))
    monkeypatch.setattr(cost, "COMPARING", 0)
    prepared = []
    real = Gradients._prepare
    monkeypatch.setattr(
        Gradients, "_prepare", lambda self, above: (prepared.append(self), real(self, above))
    )
    calls = 0
    while not prepared and calls < 10:
        attributions.gradient(layer, images(), [0])
        calls += 1
    assert prepared and calls > 2
    compiled.forget()
    prepared.clear()
    attributions.gradient(layer, images(5))
    assert prepared


# --- Receptive fields ------------------------------------------------------------


@pytest.mark.parametrize(
    "build, size, stride, start",
    [
        (lambda: convolution(), (3, 3), (1, 1), (0, 0)),
        (lambda: convolution(Rectifying), (3, 3), (1, 1), (0, 0)),
        (lambda: convolution(Blurring), (5, 3), (1, 1), (-1, 0)),
        (lambda: convolution(Bare), (3, 3), (1, 1), (0, 0)),
        (lambda: convolution(nonlinearity=channel_softmax), (3, 3), (1, 1), (0, 0)),
        (lambda: convolution(nonlinearity=T.tanh), (3, 3), (1, 1), (0, 0)),
        (lambda: convolution(convolution=dilated, pad=1), (5, 5), (1, 1), (-1, -1)),
        (lambda: pooled(LogSumExp), (4, 4), (2, 2), (0, 0)),
        (lambda: pooled(Modeless), (4, 4), (2, 2), (0, 0)),
    ],
)
def test_fields_are_what_neurons_depend_on(build, size, stride, start):
    assert receptive_field.receptive_field(build()) == (size, stride, start)


@pytest.mark.parametrize(
    "build",
    [
        lambda: convolution(nonlinearity=centered),
        lambda: L.NonlinearityLayer(convolution(), centered, name="odd"),
    ],
)
def test_a_layer_that_sees_everything_has_no_field(build):
    with pytest.raises(ValueError, match="'odd' has no receptive field"):
        receptive_field.receptive_field(build())
