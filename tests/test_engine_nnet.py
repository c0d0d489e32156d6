"""Convolution, pooling and softmax of the torch engine."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from theano import scalar
from theano.tensor.nnet import abstract_conv
from theano.tensor.nnet.nnet import (
    CrossentropyCategorical1Hot,
    CrossentropySoftmaxArgmax1HotWithBias,
    SoftmaxWithBias,
)
from theano.tensor.signal.pool import Pool, pool_2d, pool_3d

from cnnviz.runtime.backend import T

torch = pytest.importorskip("torch")

from engine_parity import assert_close, classes_that_ran, compare, compare_with_gradient, compiled  # noqa: E402

from cnnviz import engine  # noqa: E402

BORDERS = ["valid", "full", "half", 1, (2, 0), ((0, 1), (2, 1)), ((1, 0), (0, 0))]


def values(shape, dtype="float64", seed=0):
    return np.random.RandomState(seed).randn(*shape).astype(dtype)


# Convolution.  Theano's Python code for it needs functions that SciPy dropped,
# so the reference is written here, from the definition.


def padding(border, sizes, dilation):
    """Zeros before and after each axis."""
    spans = [(size - 1) * step + 1 for size, step in zip(sizes, dilation)]
    if isinstance(border, str):
        return [
            {"valid": (0, 0), "full": (span - 1,) * 2, "half": (span // 2,) * 2}[border]
            for span in spans
        ]
    border = (border,) * len(sizes) if isinstance(border, int) else border
    return [(each, each) if isinstance(each, int) else each for each in border]


def slow_convolution(image, filters, border, stride, dilation, flip, groups=1):
    """Thesis eq. 2.2, one output position after the other."""
    sizes = filters.shape[2:]
    axes = tuple(range(2, image.ndim))
    image = np.pad(image, [(0, 0), (0, 0), *padding(border, sizes, dilation)])
    if flip:
        filters = np.flip(filters, axes)
    spans = [(size - 1) * step + 1 for size, step in zip(sizes, dilation)]
    lengths = [
        (have - span) // step + 1 for have, span, step in zip(image.shape[2:], spans, stride)
    ]
    output = np.zeros((len(image), len(filters), *lengths), image.dtype)
    inputs, outputs = image.shape[1] // groups, len(filters) // groups
    for place in np.ndindex(*lengths):
        window = (
            Ellipsis,
            *(
                slice(at * step, at * step + span, gap)
                for at, step, span, gap in zip(place, stride, spans, dilation)
            ),
        )
        for group in range(groups):
            part = image[:, group * inputs : (group + 1) * inputs][window]
            output[(slice(None), slice(group * outputs, (group + 1) * outputs), *place)] = (
                np.tensordot(
                    part, filters[group * outputs : (group + 1) * outputs], ([1, *axes], [1, *axes])
                )
            )
    return output


def check_convolution(shape, filters, dtype="float64", known=True, **options):
    """Forward against the slow reference; gradients by linearity.

    The output is linear in the image and in the filters, so the gradient of
    its product with weights g, times a change, is g times the output's change.
    """
    image, weights = (T.TensorType(dtype, (False,) * len(shape))() for _ in range(2))
    function = T.nnet.conv2d if len(shape) == 4 else T.nnet.conv3d
    output = function(
        image,
        weights,
        shape if known else None,
        filters if known else None,
        border_mode=options["border"],
        subsample=options["stride"],
        filter_flip=options["flip"],
        filter_dilation=options["dilation"],
        num_groups=options.get("groups", 1),
    )
    g = T.TensorType(dtype, (False,) * len(shape))()
    gradients = T.grad(T.sum(output * g), [image, weights])
    x, w = values(shape, dtype), values(filters, dtype, 1)
    expected = slow_convolution(x, w, **options)
    top = values(expected.shape, dtype, 2)
    found, of_image, of_weights = compiled([image, weights, g], [output, *gradients])(x, w, top)
    assert_close(found, expected)
    change, change_of_weights = values(shape, dtype, 3), values(filters, dtype, 4)
    assert of_image.shape == shape and of_weights.shape == filters
    for gradient, step, moved in (
        (of_image, change, slow_convolution(change, w, **options)),
        (of_weights, change_of_weights, slow_convolution(x, change_of_weights, **options)),
    ):
        scale = np.abs(top * moved).sum() + 1
        assert (
            abs((gradient * step).sum() - (top * moved).sum())
            <= (1e-5 if dtype == "float32" else 1e-12) * scale
        )


@pytest.mark.parametrize("border", BORDERS, ids=str)
@settings(max_examples=12)
@given(
    stride=st.sampled_from([(1, 1), (2, 1), (2, 3)]),
    flip=st.booleans(),
    dilation=st.sampled_from([(1, 1), (2, 1), (1, 3)]),
    kernel=st.sampled_from([(1, 1), (3, 3), (2, 3)]),
    known=st.booleans(),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_convolution_in_two_dimensions(border, stride, flip, dilation, kernel, known, dtype):
    check_convolution(
        (2, 3, 8, 9),
        (4, 3, *kernel),
        dtype,
        known,
        border=border,
        stride=stride,
        dilation=dilation,
        flip=flip,
    )


@pytest.mark.parametrize("groups", [2, 3])
def test_grouped_convolution(groups):
    check_convolution(
        (2, 6, 5, 5),
        (6, 6 // groups, 3, 3),
        border="half",
        stride=(1, 1),
        dilation=(1, 1),
        flip=True,
        groups=groups,
    )


@pytest.mark.parametrize("border", ["valid", "full", "half", (1, 0, 2)], ids=str)
@pytest.mark.parametrize("stride", [(1, 1, 1), (2, 1, 2)], ids=str)
def test_convolution_in_three_dimensions(border, stride):
    check_convolution(
        (1, 2, 4, 5, 4),
        (2, 2, 3, 3, 3),
        border=border,
        stride=stride,
        dilation=(1, 1, 1),
        flip=True,
    )


def test_results_are_contiguous_whatever_the_kernels_prefer():
    image, weights = T.ftensor4s(2)
    found = compiled([image, weights], T.nnet.conv2d(image, weights))(
        values((2, 3, 5, 5), "float32"), values((4, 3, 3, 3), "float32")
    )
    assert found.flags.c_contiguous


def test_filters_that_differ_from_place_to_place_are_refused():
    image, weights = T.dtensor4(), T.TensorType("float64", (False,) * 6)()
    with pytest.raises(engine.UnsupportedOp, match="place to place"):
        compiled(
            [image, weights],
            abstract_conv.conv2d(
                image,
                weights,
                input_shape=(1, 1, 5, 5),
                filter_shape=(2, 3, 3, 1, 3, 3),
                unshared=True,
            ),
        )


# Pooling

MODES = ("max", "sum", "average_inc_pad", "average_exc_pad")


def slow_pool(image, g, size, ignore_border, stride, pad, mode):
    """Pooled values, and the gradient of their product with ``g(shape)``.

    Window by window; Theano's Python code no longer runs on current NumPy.
    """
    count = len(size)
    lead = image.ndim - count
    lengths = [
        int(each)
        for each in Pool.out_shape(image.shape, size, ignore_border, stride, pad, count)[lead:]
    ]
    output = np.zeros((*image.shape[:lead], *lengths), image.dtype)
    weights, gradient = g(output.shape), np.zeros_like(image)
    for place in np.ndindex(*output.shape):
        starts = [at * step - before for at, step, before in zip(place[lead:], stride, pad)]
        # The window on the image, and on the image with its padding.
        ends = [start + span for start, span in zip(starts, size)]
        inside = (
            *place[:lead],
            *(slice(max(start, 0), max(end, 0)) for start, end in zip(starts, ends)),
        )
        window = image[inside]
        padded = np.prod(
            [
                min(end, have + before) - start
                for start, end, have, before in zip(starts, ends, image.shape[lead:], pad)
            ]
        )
        if mode == "max":
            output[place] = window.max()
            gradient[inside] += weights[place] * (window == window.max())
            continue
        share = {"sum": 1, "average_inc_pad": padded, "average_exc_pad": window.size}[mode]
        output[place] = window.sum() / share
        gradient[inside] += weights[place] / share
    return output, weights, gradient


def check_pooling(pool, image, size, ignore_border, stride, pad, mode):
    x, g = (T.TensorType(str(image.dtype), (False,) * image.ndim)() for _ in range(2))
    output = pool(x, size, ignore_border, stride, pad, mode)
    expected, weights, gradient = slow_pool(
        image, lambda shape: values(shape, image.dtype, 1), size, ignore_border, stride, pad, mode
    )
    found, of_image = compiled([x, g], [output, T.grad(T.sum(output * g), x)])(image, weights)
    assert_close(found, expected)
    assert_close(of_image, gradient)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ignore_border", (True, False))
@settings(max_examples=15)
@given(
    window=st.tuples(*[st.integers(1, 4)] * 2),
    stride=st.tuples(*[st.integers(1, 5)] * 2),
    pad=st.tuples(*[st.integers(0, 2)] * 2),
    dtype=st.sampled_from(["float32", "float64"]),
    ties=st.booleans(),
    shape=st.sampled_from([(2, 2, 6, 7), (1, 3, 4, 4), (5, 6)]),
)
def test_pooling_in_two_dimensions(mode, ignore_border, window, stride, pad, dtype, ties, shape):
    pad = tuple(min(p, w - 1) for p, w in zip(pad, window))
    # Theano keeps padding outside exclusive averages apart by refusing it.
    if not ignore_border or mode in ("sum", "average_exc_pad"):
        pad = (0, 0)
    if not ignore_border:  # no window may lie wholly beside the image
        stride = tuple(map(min, zip(stride, window)))
    image = np.random.RandomState(0).randint(0, 2, shape) if ties else values(shape)
    check_pooling(pool_2d, image.astype(dtype), window, ignore_border, stride, pad, mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ignore_border", (True, False))
def test_pooling_in_three_dimensions(mode, ignore_border):
    check_pooling(
        pool_3d, values((1, 2, 4, 5, 4)), (2, 3, 2), ignore_border, (2, 2, 1), (0, 0, 0), mode
    )


@pytest.mark.parametrize("window, stride", [((2, 2), (2, 2)), ((3, 3), (2, 2))])
def test_all_tied_maxima_get_the_full_gradient(window, stride):
    """By hand: a flat image, and the number of windows over every place.

    PyTorch's own kernel gives all to the first place of a window.
    """
    x = T.ftensor4()
    gradient = T.grad(pool_2d(x, window, True, stride).sum(), x)
    flat = np.zeros((1, 1, 5, 5), np.float32)
    windows = np.zeros((5, 5))
    for row, column in itertools.product(range(0, 6 - window[0], stride[0]), repeat=2):
        windows[row : row + window[0], column : column + window[1]] += 1
    found = compiled([x], gradient)(flat)
    np.testing.assert_array_equal(found[0, 0], windows)
    tensor = torch.zeros(1, 1, 5, 5, requires_grad=True)
    torch.nn.functional.max_pool2d(tensor, window, stride).sum().backward()
    assert tensor.grad.max() < windows.max() or tensor.grad.sum() < windows.sum()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_neighboring_floats_do_not_tie(dtype):
    """Not even the smallest, whose difference is denormal."""
    x = T.TensorType(dtype, (False,) * 4)()
    gradient = T.grad(pool_2d(x, (1, 2), True).sum(), x)
    tiny = np.finfo(dtype).tiny
    pairs = [
        (1, np.nextafter(np.array(1, dtype), np.array(2, dtype))),
        (tiny, np.nextafter(np.array(tiny, dtype), np.array(1, dtype))),
        (0, np.nextafter(np.array(0, dtype), np.array(1, dtype))),
        (3, 3),
    ]
    found = compiled([x], gradient)(np.array(pairs, dtype).reshape(4, 1, 1, 2))
    np.testing.assert_array_equal(found.reshape(4, 2), [[0, 1], [0, 1], [0, 1], [1, 1]])


def test_an_infinite_maximum_gets_its_gradient():
    x = T.ftensor4()
    output = pool_2d(x, (2, 2), True)
    odd = np.array([[1, np.inf], [-np.inf, 2]], np.float32)[None, None]
    assert compiled([x], output)(odd) == np.inf
    np.testing.assert_array_equal(
        compiled([x], T.grad(output.sum(), x))(odd)[0, 0], [[0, 1], [0, 0]]
    )


def test_pooling_of_integers_and_of_nothing():
    x = T.TensorType("int32", (False,) * 4)()
    found = compiled([x], pool_2d(x, (2, 2), True))(
        np.arange(16, dtype="int32").reshape(1, 1, 4, 4)
    )
    np.testing.assert_array_equal(found[0, 0], [[5, 7], [13, 15]])
    y = T.ftensor4()
    for mode in MODES:
        pooled = pool_2d(y, (7, 7), True, (1, 1), mode=mode)
        function = compiled([y], [pooled, T.grad(pooled.sum(), y)])
        nothing, gradient = function(np.zeros((1, 2, 5, 9), "float32"))
        assert nothing.shape == (1, 2, 0, 3) and not gradient.any()
        assert function(np.zeros((0, 2, 8, 8), "float32"))[0].shape == (0, 2, 2, 2)


def test_second_derivative_of_pooling():
    """Of the squared maxima: the gradient doubles where the maximum moves."""
    x, v = T.dtensor4s(2)
    pooled = pool_2d(x, (2, 3), True, (2, 2))
    first = T.grad(T.sum(T.sqr(pooled)), x)
    image, direction = values((1, 2, 6, 7)), values((1, 2, 6, 7), seed=1)
    found = compiled([x, v], T.grad(T.sum(first * v), x))(image, direction)
    step = 1e-6
    gradient = compiled([x], first)
    expected = (gradient(image + step * direction) - gradient(image - step * direction)) / (
        2 * step
    )
    np.testing.assert_allclose(found, expected, atol=1e-6)


# Softmax and cross-entropy


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [1, 300])
def test_softmax(dtype, scale):
    """Also where exponentials overflow."""
    x, b = T.TensorType(dtype, (False,) * 2)(), T.TensorType(dtype, (False,))()
    given = [scale * values((4, 5), dtype), values((5,), dtype)]
    compare_with_gradient([x], T.nnet.softmax(x), given[:1])
    compare_with_gradient([x, b], SoftmaxWithBias()(x, b), given)
    compare_with_gradient([x], T.nnet.logsoftmax(x), given[:1])
    compare([x], T.argmax(T.nnet.softmax(x), axis=1), given[:1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["int32", "int64", "uint8", "uint64"])
def test_cross_entropy_of_labels(dtype, kind):
    x, b = T.TensorType(dtype, (False,) * 2)(), T.TensorType(dtype, (False,))()
    labels = T.TensorType(kind, (False,))()
    given = [values((4, 5), dtype), values((5,), dtype), np.array([0, 4, 2, 2], kind)]
    posterior = T.nnet.softmax(x + b)
    losses = [CrossentropySoftmaxArgmax1HotWithBias()(x, b, labels)[0]]
    if kind.startswith("int"):
        losses += [
            T.nnet.categorical_crossentropy(posterior, labels),
            CrossentropyCategorical1Hot()(T.nnet.sigmoid(x), labels),
        ]
    for loss in losses:
        compare_with_gradient([x, b, labels], loss, given, wrt=[x, b])
    compare([x, b, labels], CrossentropySoftmaxArgmax1HotWithBias()(x, b, labels), given)


def test_cross_entropy_of_distributions():
    x, t = T.dmatrices("xt")
    target = np.random.RandomState(1).dirichlet(np.ones(5), 4)
    compare_with_gradient(
        [x, t],
        T.nnet.categorical_crossentropy(T.nnet.softmax(x), t),
        [values((4, 5)), target],
        wrt=[x],
    )


@pytest.mark.parametrize("bad", [-1, 5])
def test_labels_out_of_range(bad):
    x, labels = T.fmatrix(), T.ivector()
    loss = T.nnet.categorical_crossentropy(T.nnet.softmax(x), labels)
    with pytest.raises((ValueError, RuntimeError, IndexError)):
        compiled([x, labels], loss)(values((2, 5), "float32"), np.array([0, bad], "int32"))


# Completeness


def test_every_supported_op_was_compared():
    """A new implementation needs a test."""
    if len(classes_that_ran()) < 80:
        pytest.skip("only where the other modules' tests ran before")
    # Of Theano's own; others are tested where they are defined.
    theirs = {op for op in engine.supported() if op.__module__.startswith("theano.")}
    missing = theirs - classes_that_ran() - {scalar.ScalarOp}
    assert not missing, missing


def test_filters_of_one_pixel_with_strides_leave_the_memory_whole():
    """PyTorch's own layout for this corrupted it on some processors, now and then."""
    image, top = T.TensorType("float32", (False,) * 4)(), T.TensorType("float32", (False,) * 4)()
    gradient = compiled(
        [image, top],
        T.nnet.abstract_conv.conv2d_grad_wrt_weights(image, top, (4, 3, 1, 1), subsample=(2, 1)),
    )
    x, g = values((2, 3, 8, 9), "float32"), values((2, 4, 4, 9), "float32", 1)
    # Without flipping each other's rows: a filter of one pixel is its own mirror.
    expected = np.einsum("bihw,bohw->oi", x[:, :, ::2], g)[..., np.newaxis, np.newaxis]
    for _ in range(2000):
        found = gradient(x, g)
    assert_close(found, expected)
