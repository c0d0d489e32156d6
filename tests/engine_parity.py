"""The torch engine beside Theano's own Python code, on the same graph."""

import numpy as np
import theano
import theano.tensor as T

from cnnviz import engine

# Neither optimized nor compiled to C: the definitions themselves.
REFERENCE = theano.compile.mode.Mode(linker="py", optimizer=None)
TOLERANCE = {"float16": 1e-2, "float32": 1e-5, "float64": 1e-10}
_ran = set()


def classes_that_ran():
    """Classes of Ops, and of scalar Ops, in all compared programs so far."""
    return _ran


def compiled(inputs, outputs):
    """The function on the engine, with a check after every node."""
    function = theano.function(
        inputs, outputs, on_unused_input="ignore", mode=engine.mode("cpu", check=True)
    )
    return noted(function)


def noted(function):
    """The function, its Ops counted among those that ran."""
    for node in function.maker.fgraph.apply_nodes:
        _ran.update(type(node.op).__mro__)
        _ran.update(type(getattr(node.op, "scalar_op", None)).__mro__)
    return function


def tolerance_of(arrays):
    """That of the coarsest float among them."""
    return max((TOLERANCE.get(str(np.asarray(each).dtype), 0) for each in arrays), default=0)


def assert_close(found, expected, tolerance=None):
    """Equal dtype and shape; floats to the tolerance, the rest exactly."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    tolerance = tolerance or tolerance_of([found])
    if found.dtype.kind != "f":
        np.testing.assert_array_equal(found, expected)
        return
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(found[~finite], expected[~finite])
    scale = np.abs(expected[finite]).max(initial=0)
    difference = np.abs(found[finite] - expected[finite]).max(initial=0)
    assert difference <= tolerance * scale + 1e-300, (difference, scale)


def compare(variables, outputs, values):
    """Compare all outputs for these values of the input variables."""
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    found = compiled(variables, outputs)(*values)
    expected = theano.function(variables, outputs, mode=REFERENCE, on_unused_input="ignore")(
        *values
    )
    for ours, theirs in zip(found, expected):
        # What float64 holds may come from float32.
        assert_close(ours, theirs, tolerance_of([ours, *values]))
    return found


def compare_with_gradient(variables, output, values, wrt=None):
    """Compare an output, and the gradients of a weighted sum of it.

    The weights differ from place to place, so that misplaced gradients show.
    """
    flat = output.flatten()
    weights = T.cos(T.arange(flat.shape[0]).astype(output.dtype))
    gradients = T.grad(T.sum(flat * weights), wrt or variables, disconnected_inputs="ignore")
    compare(variables, [output, *gradients], values)
