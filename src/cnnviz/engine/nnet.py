"""Convolution, pooling, softmax and cross-entropy."""

import itertools

import torch
import torch.nn.functional as F
from theano.tensor.nnet.abstract_conv import (
    AbstractConv,
    AbstractConv_gradInputs,
    AbstractConv_gradWeights,
    border_mode_to_pad,
)
from theano.tensor.nnet.nnet import (
    CrossentropyCategorical1Hot,
    CrossentropyCategorical1HotGrad,
    CrossentropySoftmax1HotWithBiasDx,
    CrossentropySoftmaxArgmax1HotWithBias,
    LogSoftmax,
    Softmax,
    SoftmaxGrad,
    SoftmaxWithBias,
)
from theano.tensor.signal.pool import (
    AveragePoolGrad,
    DownsampleFactorMaxGradGrad,
    MaxPoolGrad,
    Pool,
)

from cnnviz.engine.registry import UnsupportedOp, implements

_CONVOLUTIONS = {2: F.conv2d, 3: F.conv3d}
_LAYOUTS = {2: torch.channels_last, 3: torch.channels_last_3d}


# Convolution (thesis eq. 2.2)


class _Geometry:
    """Strides, padding and orientation of one convolution node."""

    def __init__(self, node):
        op = node.op
        if op.unshared:
            raise UnsupportedOp(
                f"the node {node} convolves with filters that differ from place "
                "to place, which PyTorch has no kernel for; compile this "
                "function with engine='theano'"
            )
        self.dimensions = op.convdim
        self.stride = list(op.subsample)
        self.dilation = list(op.filter_dilation)
        self.groups = op.num_groups
        self.border = op.border_mode
        self.flip = op.filter_flip
        self.layout = _LAYOUTS[op.convdim]

    def filters(self, weights):
        """Filters as PyTorch wants them, for cross-correlation."""
        if self.flip:
            weights = weights.flip(*range(2, 2 + self.dimensions))
        return weights

    def padding(self, sizes):
        """Rows of zeros before and after, for filters of these sizes."""
        dilated = [(size - 1) * dilation + 1 for size, dilation in zip(sizes, self.dilation)]
        return border_mode_to_pad(self.border, self.dimensions, dilated)

    def symmetric(self, sizes):
        """Padding to leave to the kernel, and what must be added before."""
        pairs = self.padding(sizes)
        common = [min(pair) for pair in pairs]
        rest = [side - less for pair, less in reversed(list(zip(pairs, common))) for side in pair]
        return common, rest if any(rest) else None

    def lay_out(self, value):
        return value.contiguous(memory_format=self.layout)

    def backward(self, top, image, weights, padding, mask):
        return torch.ops.aten.convolution_backward(
            top,
            image,
            weights,
            None,
            self.stride,
            padding,
            self.dilation,
            False,
            [0] * self.dimensions,
            self.groups,
            mask,
        )


@implements(AbstractConv)
def convolution(node):
    geometry = _Geometry(node)
    kernel = _CONVOLUTIONS[geometry.dimensions]

    def run(image, weights):
        padding, rest = geometry.symmetric(weights.shape[2:])
        if rest:
            image = F.pad(image, rest)
        return kernel(
            geometry.lay_out(image),
            geometry.filters(weights),
            None,
            geometry.stride,
            padding,
            geometry.dilation,
            geometry.groups,
        )

    return run


@implements(AbstractConv_gradWeights, host=[2])
def convolution_grad_weights(node):
    geometry = _Geometry(node)

    def run(image, top, sizes):
        padding, rest = geometry.symmetric(sizes)
        if rest:
            image = F.pad(image, rest)
        shape = (top.shape[1], image.shape[1] // geometry.groups, *map(int, sizes))
        # With strides and filters of one pixel PyTorch 2.13's kernel for channels-last
        # maps writes beyond its memory on processors without AVX-512.
        corrupts = max(shape[2:]) == 1 < max(geometry.stride)
        top, image = (
            each.contiguous() if corrupts else geometry.lay_out(each) for each in (top, image)
        )
        weights = geometry.backward(
            top, image, top.new_empty(1).expand(shape), padding, [False, True, False]
        )[1]
        return geometry.filters(weights)

    return run


def _by_phases(geometry, weights, top, sizes):
    """Gradient of a strided convolution's few input channels.

    Inputs whose places leave the same remainder (phase) when divided by the
    stride meet the same entries of the filters.  So one convolution of stride
    1 computes all phases, as channels, and they are put in their places:
    on the CPU nearly three times faster than PyTorch's kernel for 3 channels.
    """
    stride, (rows, columns) = geometry.stride[0], weights.shape[2:]
    outgoing, incoming = weights.shape[:2]
    taps = [-(-rows // stride), -(-columns // stride)]
    filters = F.pad(weights, [0, taps[1] * stride - columns, 0, taps[0] * stride - rows])
    filters = filters.reshape(outgoing, incoming, taps[0], stride, taps[1], stride)
    filters = (
        filters.permute(1, 3, 5, 0, 2, 4).flip(4, 5).reshape(incoming * stride**2, outgoing, *taps)
    )
    phases = F.conv2d(
        geometry.lay_out(top), geometry.lay_out(filters), padding=[each - 1 for each in taps]
    )
    result = F.pixel_shuffle(phases, stride)
    border = []
    for axis, (before, _) in zip((3, 2), reversed(geometry.padding((rows, columns)))):
        border += [-before, before + sizes[axis - 2] - result.shape[axis]]
    return F.pad(result, border)


def _has_phases(geometry, weights):
    """Whether :func:`_by_phases` applies, and pays."""
    return (
        geometry.dimensions == 2
        and geometry.groups == 1
        and set(geometry.dilation) == {1}
        and len(set(geometry.stride)) == 1
        and 1 < geometry.stride[0] <= min(weights.shape[2:])
        and weights.shape[1] * geometry.stride[0] ** 2 <= 16
    )


@implements(AbstractConv_gradInputs, host=[2])
def convolution_grad_inputs(node):
    geometry = _Geometry(node)

    def run(weights, top, sizes):
        padding, rest = geometry.symmetric(weights.shape[2:])
        sizes = [int(size) for size in sizes]
        if _has_phases(geometry, weights):
            return _by_phases(geometry, geometry.filters(weights), top, sizes)
        padded = sizes
        if rest:
            padded = [
                size + sum(rest[2 * back : 2 * back + 2])
                for size, back in zip(sizes, reversed(range(geometry.dimensions)))
            ]
        # Only its shape and its layout count.
        image = torch.empty(
            (top.shape[0], weights.shape[1] * geometry.groups, *padded),
            dtype=top.dtype,
            device=top.device,
            memory_format=geometry.layout,
        )
        result = geometry.backward(
            geometry.lay_out(top), image, geometry.filters(weights), padding, [True, False, False]
        )[0]
        return F.pad(result, [-each for each in rest]) if rest else result

    return run


# Pooling (thesis section 2.1.2)


def _every(first, length, stride):
    """Slice that takes ``length`` places, each ``stride`` after the last."""
    return slice(first, first + (length - 1) * stride + 1 if length else first, stride)


class _Windows:
    """Windows of one pooling node, over the last axes of a value."""

    def __init__(self, node, parameters):
        self.ignore_border = node.op.ignore_border
        self.dimensions = node.op.ndim
        self.size, self.stride, self.pad = (tuple(map(int, each)) for each in parameters)

    def output_lengths(self, value):
        shape = Pool.out_shape(
            value.shape, self.size, self.ignore_border, self.stride, self.pad, self.dimensions
        )
        return [int(length) for length in shape[-self.dimensions :]]

    def extend(self, value, lengths, fill):
        """The value with its padding, and filled up to whole windows."""
        sides = []
        for axis in range(self.dimensions):
            length = value.shape[axis - self.dimensions]
            need = (lengths[axis] - 1) * self.stride[axis] + self.size[axis]
            pad = self.pad[axis]
            sides = [pad, max(pad, need - length - pad)] + sides
        return F.pad(value, sides, value=fill) if any(sides) else value

    def crop(self, extended, value):
        """What :meth:`extend` added, taken away again."""
        for axis in range(self.dimensions):
            extended = extended.narrow(
                axis - self.dimensions, self.pad[axis], value.shape[axis - self.dimensions]
            )
        return extended

    def offsets(self, lengths):
        """For each place in a window: where it lies for all windows."""
        for place in itertools.product(*map(range, self.size)):
            yield (
                Ellipsis,
                *(
                    _every(first, length, stride)
                    for first, length, stride in zip(place, lengths, self.stride)
                ),
            )

    @staticmethod
    def places(value, axis, first, stride, length):
        """Every ``stride``-th slice along an axis (from the end)."""
        index = _every(first, length, stride)
        return value[(Ellipsis, index) + (slice(None),) * (-1 - axis)]

    def is_simple(self, value, lengths):
        """PyTorch's own pooling kernels do the same."""
        return (
            self.dimensions == 2
            and value.ndim == 4
            and value.is_floating_point()
            and self.ignore_border
            and min(*lengths, value.numel()) > 0
            and all(2 * pad <= size for pad, size in zip(self.pad, self.size))
        )


def _lowest(dtype):
    return -float("inf") if dtype.is_floating_point else torch.iinfo(dtype).min


def _pool_max(windows, value):
    """Maxima axis by axis: a window's maximum is that of its rows' maxima.

    Many times faster on the CPU than PyTorch's pooling kernel, which also
    looks for the maximum's position.
    """
    lengths = windows.output_lengths(value)
    value = windows.extend(value, lengths, _lowest(value.dtype))
    for axis, (size, stride, length) in enumerate(
        zip(windows.size, windows.stride, lengths), -windows.dimensions
    ):
        parts = [windows.places(value, axis, first, stride, length) for first in range(size)]
        value = parts[0] if size > 1 else parts[0].clone()
        for index, part in enumerate(parts[1:]):
            value = torch.maximum(value, part, out=value if index else None)
    return value


def _window_counts(windows, value, lengths, padding_counts):
    """Number of elements that each window averages over."""
    ones = value.new_ones(value.shape[-windows.dimensions :])
    extended = windows.extend(ones, lengths, 0)
    if padding_counts:
        extended = F.pad(
            ones, [side for pad in reversed(windows.pad) for side in (pad, pad)], value=1
        )
        grown = [
            need - have
            for need, have in zip(windows.extend(ones, lengths, 0).shape, extended.shape)
        ]
        extended = F.pad(extended, [side for more in reversed(grown) for side in (0, more)])
    return sum(extended[place] for place in windows.offsets(lengths))


def _pool_sum(windows, value, mode):
    lengths = windows.output_lengths(value)
    extended = windows.extend(value, lengths, 0)
    result = sum(extended[place] for place in windows.offsets(lengths))
    if mode == "sum":
        return result
    return result / _window_counts(windows, value, lengths, mode == "average_inc_pad")


def _pool_mean(windows, value, mode):
    lengths = windows.output_lengths(value)
    if windows.is_simple(value, lengths):
        return F.avg_pool2d(
            value,
            windows.size,
            windows.stride,
            windows.pad,
            count_include_pad=mode == "average_inc_pad",
            divisor_override=1 if mode == "sum" else None,
        )
    return _pool_sum(windows, value, mode)


@implements(Pool, host=[slice(1, None)])
def pool(node):
    mode = node.op.mode

    def run(value, *parameters):
        windows = _Windows(node, parameters)
        if mode == "max":
            return _pool_max(windows, value)
        return _pool_mean(windows, value, mode)

    return run


def _where_maximal(weight, value, maximum):
    """``weight`` where value and maximum are equal, else zero.

    The maximum is never less, so equality is ``value - maximum >= 0``.
    PyTorch's threshold kernel says that in one pass, with the first number
    below zero as its threshold: a difference of two floats is zero only if
    they are equal.
    """
    below = -torch.finfo(value.dtype).smallest_normal * torch.finfo(value.dtype).eps
    gap = value - maximum
    return torch.ops.aten.threshold_backward.grad_input(weight, gap, below, grad_input=gap)


@implements(MaxPoolGrad, host=[slice(3, None)])
def max_pool_grad(node):
    """Every place that holds its window's maximum gets the full gradient.

    So Theano defines it; PyTorch's kernel gives all to the first such place.
    """

    def run(value, maximum, top, *parameters):
        windows = _Windows(node, parameters)
        lengths = maximum.shape[-windows.dimensions :]
        extended = windows.extend(value, lengths, _lowest(value.dtype))
        gradient = torch.zeros_like(extended)
        for place in windows.offsets(lengths):
            gradient[place].add_(_where_maximal(top, extended[place], maximum))
        return windows.crop(gradient, value).clone() if extended is not value else gradient

    return run


@implements(DownsampleFactorMaxGradGrad, host=[slice(3, None)])
def max_pool_grad_grad(node):
    """Sum, over the places of the maximum, of a second gradient."""

    def run(value, maximum, top, *parameters):
        windows = _Windows(node, parameters)
        lengths = maximum.shape[-windows.dimensions :]
        extended = windows.extend(value, lengths, _lowest(value.dtype))
        top = windows.extend(top, lengths, 0)
        return sum(
            _where_maximal(top[place], extended[place], maximum)
            for place in windows.offsets(lengths)
        )

    return run


@implements(AveragePoolGrad, host=[slice(2, None)])
def average_pool_grad(node):
    mode = node.op.mode

    def run(value, top, *parameters):
        windows = _Windows(node, parameters)
        lengths = top.shape[-windows.dimensions :]
        if mode != "sum":
            top = top / _window_counts(windows, value, lengths, mode == "average_inc_pad")
        extended = windows.extend(value, lengths, 0)
        gradient = torch.zeros_like(extended)
        for place in windows.offsets(lengths):
            gradient[place].add_(top)
        return windows.crop(gradient, value).clone() if extended is not value else gradient

    return run


# Softmax and cross-entropy


@implements(Softmax)
def softmax(node):
    return lambda value: torch.softmax(value, -1)


@implements(LogSoftmax)
def log_softmax(node):
    return lambda value: torch.log_softmax(value, -1)


@implements(SoftmaxWithBias)
def softmax_with_bias(node):
    return lambda value, bias: torch.softmax(value + bias, -1)


@implements(SoftmaxGrad)
def softmax_grad(node):
    return lambda top, posterior: posterior * (top - (top * posterior).sum(-1, keepdim=True))


def _labels(labels, posterior):
    """Labels as a column of indices; Theano refuses negative ones."""
    labels = labels.long()
    if labels.device.type == "cpu" and labels.numel() and labels.min() < 0:
        raise ValueError("y_i value out of bounds")
    return labels[:, None]


@implements(CrossentropySoftmaxArgmax1HotWithBias)
def crossentropy_softmax(node):
    """Loss, posterior and most probable class."""

    def run(value, bias, labels):
        value = value + bias
        logarithm = torch.log_softmax(value, -1)
        loss = -logarithm.gather(1, _labels(labels, value))[:, 0]
        return loss, torch.softmax(value, -1), torch.argmax(value, -1).to(labels.dtype)

    return run


@implements(CrossentropySoftmax1HotWithBiasDx)
def crossentropy_softmax_grad(node):
    def run(top, posterior, labels):
        top = top.reshape(-1, 1).expand(len(posterior), 1)
        gradient = posterior * top
        return gradient.scatter_add_(1, _labels(labels, posterior), -top)

    return run


@implements(CrossentropyCategorical1Hot)
def crossentropy(node):
    return lambda posterior, labels: (
        -torch.log(posterior.gather(1, _labels(labels, posterior))[:, 0])
    )


@implements(CrossentropyCategorical1HotGrad)
def crossentropy_grad(node):
    def run(top, posterior, labels):
        labels = _labels(labels, posterior)
        gradient = torch.zeros_like(posterior)
        return gradient.scatter_(1, labels, -top[:, None] / posterior.gather(1, labels))

    return run
