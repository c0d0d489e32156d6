"""Choice of engine and device; names put back for newer NumPy and Python."""

import importlib.util
import os
import pickle
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest

from cnnviz.runtime import backend, compat, errors
from cnnviz.runtime.backend import T, lasagne

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed"
)


@pytest.fixture(autouse=True)
def unselected(monkeypatch):
    for name in ("CNNVIZ_ENGINE", "CNNVIZ_DEVICE"):
        monkeypatch.delenv(name, raising=False)
    yield
    backend.select()


@needs_torch
def test_torch_is_chosen_where_it_is_installed():
    assert backend.selected()[0] == "torch"
    assert "engine torch: PyTorch" in backend.describe()
    x = T.vector()
    assert hasattr(backend.function([x], x * 2).fn, "source")


def test_theano_s_c_code_can_be_chosen():
    backend.select("theano")
    assert backend.selected() == ("theano", "cpu")
    assert "engine theano: C code by" in backend.describe()
    x = T.vector()
    function = backend.function([x], x * 2)
    assert not hasattr(function.fn, "source")
    np.testing.assert_array_equal(function([1, 2]), [2, 4])


def test_without_torch_c_code_serves(monkeypatch):
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: None)
    assert backend.selected() == ("theano", "cpu")
    with pytest.raises(ValueError, match="requirements-torch.txt"):
        backend.select("torch")


@needs_torch
def test_the_environment_fills_in_for_auto(monkeypatch):
    monkeypatch.setenv("CNNVIZ_ENGINE", "theano")
    assert backend.selected()[0] == "theano"
    backend.select("torch", "cpu")
    assert backend.selected() == ("torch", "cpu")  # an argument wins


@pytest.mark.parametrize(
    "engine, device, words",
    [
        ("jax", "auto", "unknown engine 'jax'; choose one of auto, theano, torch"),
        ("theano", "cuda", "runs on the CPU only"),
        pytest.param("torch", "gpu", "unknown device 'gpu'", marks=needs_torch),
        pytest.param("torch", "cuda:77", "is not there", marks=needs_torch),
    ],
)
def test_what_cannot_be_chosen(engine, device, words):
    before = backend.selected()
    with pytest.raises(ValueError, match=words):
        backend.select(engine, device)
    assert backend.selected() == before


def test_lasagne_s_convolution_takes_any_number_of_images_without_a_warning():
    source = lasagne.layers.InputLayer((2, 1, 3, 3))
    layer = lasagne.layers.Conv2DLayer(source, 1, 2, W=lasagne.init.Constant(1))
    images = T.tensor4()
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        maps = lasagne.layers.get_output(layer, images)
        assert "image_shape" not in str(list(map(str, found)))
        # Theano is left as it is.
        T.nnet.conv2d(images, layer.W, image_shape=(2, 1, 3, 3))
        assert "image_shape" in str(found[-1].message)
    compute = backend.function([images], maps)
    for number in (1, 2, 3):
        values = compute(np.ones((number, 1, 3, 3), np.float32))
        np.testing.assert_array_equal(values, np.full((number, 1, 2, 2), 4))
    assert pickle.loads(pickle.dumps(layer.convolution)) is layer.convolution


def in_a_new_process(code, **variables):
    """What a program prints, in a process that has imported nothing."""
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout.splitlines()


TRY = """
    import os
    def attempt(name):
        try:
            __import__(name)
        except Exception as error:
            print(type(error).__name__, isinstance(error, ImportError), error)
"""


@pytest.mark.parametrize("first", ["theano", "lasagne", "theano.tensor"])
def test_after_a_failed_import_of_theano_it_is_said_what_to_do(first):
    """As NumPy's missing names make it fail; tried twice, as in a notebook."""
    lines = in_a_new_process(
        # A fault of the user's own, lest newer machines import Theano without one.
        TRY
        + f"""
    os.environ["THEANO_FLAGS"] = "device=nonsense"
    attempt({first!r})
    del os.environ["THEANO_FLAGS"]
    attempt("cnnviz.runtime.backend")
    attempt("cnnviz.attribution.gradient")
"""
    )
    for line in lines[-2:]:
        assert line.startswith("TheanoFirst True an earlier import of theano failed in this")
        assert "restart Python" in line and "from cnnviz.runtime.backend import theano" in line


def test_theano_before_the_backend_is_refused_with_what_to_do():
    lines = in_a_new_process(
        TRY
        + """
    import sys, types
    sys.modules["theano"] = types.ModuleType("theano")
    attempt("cnnviz.runtime.backend")
"""
    )
    assert lines == [
        "TheanoFirst True theano was imported before cnnviz.runtime.backend, whose "
        "flags and mends only take effect before Theano's first import; restart "
        "Python and import it from there, before all else: 'from cnnviz.runtime.backend "
        "import theano, lasagne'"
    ]


def test_a_failure_of_the_backend_itself_leaves_the_environment_alone():
    lines = in_a_new_process(
        TRY
        + """
    os.environ.pop("THEANORC", None)
    os.environ["THEANO_FLAGS"] = "device=nonsense"
    attempt("cnnviz.runtime.backend")
    print(os.environ["THEANO_FLAGS"], "THEANORC" in os.environ)
    attempt("cnnviz.runtime.backend")
"""
    )
    assert "nonsense" in lines[0] and lines[-2] == "device=nonsense False"
    assert lines[-1].startswith("TheanoFirst True an earlier import of theano failed")


def test_only_absent_names_are_restored(monkeypatch):
    product, float_ = np.product, np.float_
    monkeypatch.delattr(np, "in1d")
    monkeypatch.delattr(np, "sctype2char")
    assert set(compat.restore_removed_names()) == {"in1d", "sctype2char"}
    assert np.product is product and np.float_ is float_
    assert np.in1d([1, 5], [5]).tolist() == [False, True]
    assert np.sctype2char("float32") == "f"


def test_stand_ins_for_names_that_numpy_2_lacks():
    names = compat._numpy_names()
    assert names["cast"]["float32"](2).dtype == np.float32
    assert names["find_common_type"](["f4", "f8"], []) == np.float64
    assert names["sctypeDict"]["int32"] is np.int32
    assert issubclass(names["ComplexWarning"], Warning)


@needs_torch
def test_what_the_engine_lacks_is_an_error_for_users():
    """A loop over time, for example; the remedy works."""
    source = lasagne.layers.InputLayer((None, 4, 3))
    units = lasagne.layers.RecurrentLayer(source, 2)
    x = T.tensor3()
    given = {source: x}
    backend.select("torch")
    try:
        with pytest.raises(errors.UserError, match="Scan.*CNNVIZ_ENGINE=theano"):
            backend.function([x], lasagne.layers.get_output(units, given))
        backend.select("theano")
        run = backend.function([x], lasagne.layers.get_output(units, given), mode="FAST_COMPILE")
        assert run(np.ones((1, 4, 3), np.float32)).shape == (1, 4, 2)
    finally:
        backend.select()
