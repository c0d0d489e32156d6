"""Lasagne 0.1, which is pinned, and 0.2.dev1, which most people's networks need.

Everything here runs with either.  Where the environment variable CNNVIZ_LASAGNE_DEV names
a folder that holds the development version's ``lasagne``, this file and others are run
once more with it, in a process of their own.
"""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import attributions
import numpy as np
import pytest
from random_networks import PADS_EVEN

from cnnviz.attribution import activations
from cnnviz.attribution.receptive_field import receptive_field
from cnnviz.runtime import backend, gpu_layers
from cnnviz.runtime.backend import T, lasagne

L = lasagne.layers
TESTS = Path(__file__).parent
FOR_BOTH = [
    "test_lasagne_versions",
    "test_backend",
    "test_networks",
    "test_deconvnet",
    "test_saliency",
    "test_occlusion",
    "test_receptive_field",
    "test_own_network",
]
IMAGES = np.random.RandomState(0).randn(3, 2, 9, 8).astype(np.float32)


@pytest.fixture(autouse=True)
def seeded():
    lasagne.random.set_rng(np.random.RandomState(1))


def test_the_suite_passes_with_the_development_version():
    folder = os.environ.get("CNNVIZ_LASAGNE_DEV")
    if folder is None:
        pytest.skip("CNNVIZ_LASAGNE_DEV names no folder with Lasagne's development version")
    assert Path(folder, "lasagne", "__init__.py").is_file(), f"{folder}: no lasagne in there"
    rest = {name: value for name, value in os.environ.items() if name != "CNNVIZ_LASAGNE_DEV"}
    path = os.pathsep.join(filter(None, [folder, rest.get("PYTHONPATH")]))
    asked = "from cnnviz.runtime.backend import lasagne; print(lasagne.__version__)"
    version = subprocess.run(
        [sys.executable, "-c", asked],
        env={**rest, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert version.startswith("0.2"), version
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            *(str(TESTS / f"{name}.py") for name in FOR_BOTH),
        ],
        env={**rest, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        cwd=TESTS.parent,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


# How Lasagne calls convolution

WAYS = {
    "0.1": lambda call, x, W, shape, **options: call(
        x, W, image_shape=shape, filter_shape=(4, 2, 3, 2), **options
    ),
    "0.2.dev1": lambda call, x, W, shape, **options: call(x, W, shape, (4, 2, 3, 2), **options),
    "Theano's names": lambda call, x, W, shape, **options: call(
        x, W, input_shape=shape, filter_shape=(4, 2, 3, 2), **options
    ),
    "all by position": lambda call, x, W, shape, border_mode, subsample, filter_flip: call(
        x, W, shape, (4, 2, 3, 2), border_mode, subsample, filter_flip
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "border_mode, subsample, filter_flip",
    [
        ("valid", (1, 1), True),
        ("full", (1, 1), False),
        ("half", (2, 1), False),
        ((1, 0), (1, 2), True),
    ],
)
@pytest.mark.parametrize("shape", [(7, 2, 9, 8), (None, 2, None, None), None])
def test_convolution_is_called_as_both_versions_do(way, border_mode, subsample, filter_flip, shape):
    x, W = T.tensor4(), np.random.RandomState(1).randn(4, 2, 3, 2).astype(np.float32)
    options = dict(border_mode=border_mode, subsample=subsample, filter_flip=filter_flip)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = WAYS[way](backend.convolution, x, W, shape, **options)
    plain = T.nnet.conv2d(x, W, **options)
    # Three images, whatever the number that was given.
    found, expected, size = backend.function([x], [ours, plain, ours.shape])(IMAGES)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert tuple(size) == expected.shape


# Networks as other people have them


def correlating(incoming, features, size, **options):
    """Convolution that does not flip, by the names of either version."""
    return L.dnn.Conv2DDNNLayer(incoming, features, size, **options)


def network():
    """Layers of both versions: cuDNN's names, maxout, normalization where there is one."""
    layer = L.InputLayer((None, 2, 9, 8), name="input")
    layer = correlating(layer, 4, 3, pad="same", name="conv1", nonlinearity=None)
    if hasattr(L, "batch_norm"):
        layer = L.dnn.batch_norm_dnn(
            layer, gamma=lasagne.init.Uniform((0.5, 2)), mean=lasagne.init.Normal(1)
        )
    layer = L.NonlinearityLayer(layer, lasagne.nonlinearities.LeakyRectify(0.1))
    layer = L.dnn.MaxPool2DDNNLayer(layer, 2, name="pool1")
    return correlating(layer, 3, 2, name="conv2")


def test_maps_by_windows_equal_those_of_whole_passes():
    layer = network()
    for call in (
        attributions.gradient,
        lambda *args, **options: attributions.occlusion(*args, window=3, **options),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # normalization may need whole passes
            found = call(layer, IMAGES)
        expected = call(layer, IMAGES, evaluation="whole")
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert np.nanmax(np.abs(expected)) > 0


def test_downward_passes_of_a_network_without_rectifiers_are_gradients():
    layer = correlating(L.InputLayer((None, 2, 9, 8)), 4, 3, nonlinearity=None)
    if hasattr(L, "BatchNormLayer"):
        layer = L.BatchNormLayer(layer, gamma=lasagne.init.Normal(1))
    found = attributions.projection(layer, IMAGES, method="guided", raw=True)
    expected = attributions.gradient(layer, IMAGES, target="sum", raw=True, evaluation="whole")
    np.testing.assert_allclose(found, expected, atol=1e-5)
    attributions.projection(network(), IMAGES)  # and takes all the layers


def test_receptive_fields_of_layers_by_other_names():
    layer = L.dnn.MaxPool2DDNNLayer(correlating(L.InputLayer((None, 2, 9, 8)), 4, 3), 2)
    assert receptive_field(layer).size == (4, 4)


# lasagne.layers.dnn and corrmm


@pytest.mark.parametrize("kind", [gpu_layers.Conv2DDNNLayer, gpu_layers.Conv2DMMLayer])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("pad", [0, (1, 0), "same", "full", "valid"])
def test_layers_for_gpus_compute_what_plain_ones_do(kind, flip, pad):
    inputs = L.InputLayer((5, 2, 9, 8))
    layer = kind(inputs, 4, 3, stride=(1, 2), pad=pad, flip_filters=flip, b=lasagne.init.Normal(1))
    W = layer.W.get_value()
    plain = L.Conv2DLayer(
        inputs, 4, 3, stride=(1, 2), pad=pad, b=layer.b, W=W if flip else W[:, :, ::-1, ::-1].copy()
    )
    assert layer.output_shape == plain.output_shape and layer.flip_filters is flip
    np.testing.assert_allclose(
        activations.feature_maps(layer, IMAGES), activations.feature_maps(plain, IMAGES), atol=1e-5
    )


def test_filters_are_not_flipped_unless_asked():
    layer = gpu_layers.Conv2DDNNLayer(
        L.InputLayer((None, 1, 1, 2)), 1, (1, 2), b=None, W=np.array([[[[1, -1]]]], np.float32)
    )
    images = np.array([[[[5, 2]]]], np.float32)
    assert activations.feature_maps(layer, images).item() == 3
    with pytest.raises(ValueError, match=r"filter_size \(2, 3\) must be odd"):
        gpu_layers.Conv2DDNNLayer(L.InputLayer((None, 1, 4, 4)), 1, (2, 3), pad="same")


def test_the_modules_are_found_by_every_kind_of_import():
    import lasagne.layers.dnn as module
    from lasagne.layers import corrmm
    from lasagne.layers.dnn import Conv2DDNNLayer, MaxPool2DDNNLayer, Pool2DDNNLayer

    assert module is L.dnn and Conv2DDNNLayer is gpu_layers.Conv2DDNNLayer
    assert (MaxPool2DDNNLayer, Pool2DDNNLayer) == (L.MaxPool2DLayer, L.Pool2DLayer)
    assert corrmm.__all__ == ["Conv2DMMLayer"]
    names = {}
    exec("from lasagne.layers.dnn import *", names)
    assert names["Conv2DDNNLayer"] is Conv2DDNNLayer


@pytest.mark.parametrize(
    "module, name",
    [
        ("dnn", "Conv3DDNNLayer"),
        ("cuda_convnet", "Conv2DCCLayer"),
        *([("dnn", "batch_norm_dnn"), ("dnn", "Pool3DDNNLayer")] if PADS_EVEN else []),
    ],
)
def test_layers_for_gpus_without_a_plain_one_say_what_to_do(module, name):
    message = f"^lasagne.layers.{module}.{name} needs Theano's .*plain layers .*CNNVIZ_DEVICE"
    for statement in (
        f"from lasagne.layers.{module} import {name}",
        f"import lasagne.layers.{module} as m; m.{name}",
    ):
        with pytest.raises(ImportError, match=message):
            exec(statement, {})
    # Whoever searches all modules for a name, as pickle does, is not disturbed.
    assert not hasattr(sys.modules[f"lasagne.layers.{module}"], "no_such_layer")
