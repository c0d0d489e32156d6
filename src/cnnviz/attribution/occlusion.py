"""Occlusion (thesis section 3.2.2, after Zeiler and Fergus 2013).

A square of constant value slides over the image; the saliency of the pixel at
its centre is what the network's output loses by it.  Occluders are centred on
pixels, the first one included, and reach over the border: 111 x 111 pixels and
a stride of 17 give 7 x 7 positions.

Only what an occluder can change, and of that only what the asked neuron can
see, is computed (:mod:`cnnviz.attribution.windowed`); the result is that of whole passes.
"""

import contextlib
import warnings

import numpy as np
from scipy.interpolate import RegularGridInterpolator
from tqdm import tqdm

from cnnviz.attribution.receptive_field import receptive_field
from cnnviz.attribution.windowed import NotLocal, Stack, local_prefix
from cnnviz.attribution.windowed.forward import Occluded, multiply_adds
from cnnviz.networks import expressions
from cnnviz.networks.inputs import (
    as_arrays,
    check_features,
    check_input,
    check_maps,
    check_pictures,
    check_units,
    check_whole,
    input_variables,
    label,
)
from cnnviz.runtime import compiled
from cnnviz.runtime.backend import T, function
from cnnviz.runtime.errors import UserError

__all__ = [
    "METHODS",
    "centres",
    "prepared",
    "neuron_occlusion",
    "map_occlusion",
    "output_occlusion",
    "fills",
    "interpolated",
]

#: On windows where the layers allow it; always on windows; always on whole images.
METHODS = ("auto", "local", "whole")
_WHOLE_BATCH = 16  # images of a whole pass


def centres(shape, stride=1, box=None):
    """Pixels on which occluders are centred (thesis Figure 3.1).

    Parameters
    ----------
    shape : (rows, columns)
        Of the image.
    stride : int
        Pixels between neighbouring centres; the first is on pixel (0, 0).
    box : (first row, first column, end row, end column), optional
        Only those in it.

    Returns
    -------
    int array, ``(n, 2)``
        Row and column, row by row.

    Raises
    ------
    ValueError
        For a stride below 1.
    """
    check_whole("stride", stride)
    top, left, bottom, right = (0, 0, *shape) if box is None else box
    rows, columns = (
        np.arange(-(-max(first, 0) // stride) * stride, min(end, length), stride)
        for first, end, length in ((top, bottom, shape[0]), (left, right, shape[1]))
    )
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), -1).reshape(-1, 2)


def _check_size(size, stride):
    if check_whole("the occluder's size", size, None) % 2 == 0 or size < 1:
        raise UserError(f"the occluder's size must be odd, so that it has a centre, not {size}")
    check_whole("stride", stride)


def _check_stride(stride, shape):
    """A stride beyond the image would try its first pixel only."""
    if stride > max(shape):
        raise UserError(
            f"stride {stride} is larger than the image, {shape[0]} × {shape[1]} "
            "pixels: one corner would be occluded and nothing else; choose a "
            "smaller one"
        )


def fills(fill, images):
    """The occluder's values, as windows and whole passes take them.

    Parameters
    ----------
    fill : float, or array
        Of shape ``(channels,)``, ``(channels, rows, columns)`` or
        ``(n, channels, rows, columns)``; rows and columns may be 1.
    images : array, ``(n, channels, rows, columns)``

    Returns
    -------
    array, ``(1 or n, channels, 1 or rows, 1 or columns)``

    Raises
    ------
    UserError
        For another shape, or values that are not finite numbers.
    """
    try:
        found = np.asarray(fill, images.dtype)
    except (TypeError, ValueError):
        raise UserError(f"fill must be numbers, not {type(fill).__name__}") from None
    if not np.isfinite(found).all():
        raise UserError("fill holds values that are not finite")
    count, channels, *size = images.shape
    shape = {0: (1, 1, 1, 1), 1: (1, *found.shape, 1, 1), 3: (1, *found.shape), 4: found.shape}.get(
        found.ndim
    )
    if (
        shape is None
        or found.ndim == 4
        and shape[0] not in (1, count)
        or (found.ndim and shape[1] != channels)
        or any(have not in (1, want) for have, want in zip(shape[2:], size))
    ):
        raise UserError(
            f"fill has shape {found.shape}; it must be one number, or of shape "
            f"({channels},), ({channels}, {size[0]}, {size[1]}) or "
            f"({count}, {channels}, {size[0]}, {size[1]}): channels, pixels, images"
        )
    return np.array(np.broadcast_to(found.reshape(shape), (shape[0], channels, *shape[2:])))


def _of_image(fill, which):
    """The values for some images only."""
    return fill if len(fill) == 1 else fill[which]


# --- How occluded images are evaluated ------------------------------------------


class _Whole:
    """Whole passes of occluded images."""

    def __init__(self, layer, wrt=0):
        self._below, variables = input_variables(layer)
        self._compute = function(
            variables, expressions.output(layer, dict(zip(self._below, variables)))
        )
        self._wrt = wrt

    def keep(self, arrays, fill):
        """Remember images; gives the layer's results for them."""
        self._arrays, self._fill = arrays, fills(fill, arrays[self._wrt])
        return np.concatenate(
            [self._compute(*(each[k : k + 1] for each in arrays)) for k in range(len(arrays[0]))]
        )

    def release(self):
        """Let go of the images."""
        self._arrays = self._fill = None

    def batch_size(self, size, neuron=False):
        return _WHOLE_BATCH

    def __call__(self, first, size, images, neurons=None):
        """The layer's results under occluders, and where their windows begin."""
        batch = [each[images] for each in self._arrays]
        batch[self._wrt] = _occluded(batch[self._wrt], first, size, _of_image(self._fill, images))
        return self._compute(*batch), np.zeros((len(first), 2), int)


class _Local(Occluded):
    """The same on windows."""

    def keep(self, images, fill):
        # Of the one input, whether given alone or as one of a list.
        return super().keep(images[0] if isinstance(images, list) else images, fill)


def _occluded(images, first, size, fill):
    """Copies of images, each with an occluder on it."""
    images = images.copy()
    fill = np.broadcast_to(fill, images.shape)
    for image, values, (row, column) in zip(images, fill, first):
        place = (
            slice(None),
            slice(max(row, 0), max(row + size[0], 0)),
            slice(max(column, 0), max(column + size[1], 0)),
        )
        image[place] = values[place]
    return images


def prepared(stack):
    """Compile once what the functions below need of a layer, for many calls.

    Parameters
    ----------
    stack : cnnviz.attribution.windowed.Stack
        Of the layer.

    Returns
    -------
    object
        What these functions take as ``method``.
    """
    return _Local(stack)


def _check_method(method):
    if method not in METHODS:
        raise UserError(f"unknown method {method!r}; choose one of {', '.join(METHODS)}")


def _evaluator(layer, method, wrt, shape):
    """What runs occluded images through a layer; compiled once for it."""
    if isinstance(method, _Local):
        if method.stack.layer is not layer:
            raise UserError(
                f"method: prepared for layer '{label(method.stack.layer)}', not "
                f"for '{label(layer)}'; prepare it for what is asked"
            )
        return method
    _check_method(method)
    if method != "whole":
        try:
            return compiled.of_layer(
                layer, ("occluded", shape), lambda: _Local(Stack(layer, shape))
            )
        except NotLocal as reason:
            if method == "local":
                raise
            _warn(reason)
    return compiled.of_layer(layer, ("whole occluded", wrt), lambda: _Whole(layer, wrt))


def _warn(reason):
    # Of whoever called the function that was asked for occlusion.
    warnings.warn(f"occlusion by whole passes, which takes long: {reason}", stacklevel=4)


def _tiles(places, count):
    """Order in which so many neighbours come together.

    Their windows are of much the same size, also where the border cuts them.
    """
    side = max(1, int(np.sqrt(count)))
    steps = [np.unique(places[:, axis], return_inverse=True)[1] for axis in (0, 1)]
    return np.lexsort([steps[1], steps[0], steps[1] // side, steps[0] // side])


def _passes(evaluate, first, size, batch_size, bar, neurons=None):
    """Occluders of image 0 pass by pass: their indices, results and window starts."""
    if batch_size is not None:
        check_whole("batch_size", batch_size)
    count = batch_size or evaluate.batch_size(size, neurons is not None)
    order = _tiles(first, count)
    if neurons is not None:  # feature by feature
        order = order[np.lexsort([np.arange(len(order)), *neurons[order].T])]
    for begin in range(0, len(first), count):
        part = order[begin : begin + count]
        few = first[part]
        yield (
            part,
            *evaluate(
                few, size, np.zeros(len(few), int), None if neurons is None else neurons[part]
            ),
        )
        bar.update(len(few))


# --- Features --------------------------------------------------------------------


def neuron_occlusion(
    layer,
    images,
    features=None,
    size=11,
    stride=1,
    fill=0.0,
    wrt=0,
    method="auto",
    batch_size=None,
    progress=False,
):
    """What occluders take from the maximal neuron of each feature's map.

    The neuron is that of the original image, the first one if several are
    maximal, and occluders are centred on its receptive field only.

    Parameters
    ----------
    layer : lasagne.layers.Layer
        With feature maps ``(batch, feature, row, column)``.
    images : array, ``(n, channels, rows, columns)``
        Or one array for each input, in Lasagne's order.
    features : int or sequence of int, optional
        All features when None.
    size : int
        Rows and columns of the occluder, odd; 11 in chapter 4.
    stride : int
        Pixels between neighbouring positions.
    fill : float, or array
        Value of the occluder; 0 in standardized images.  Of shape ``(channels,)``, or as
        a picture that shows through the occluder, a mean or blurred image for example:
        ``(channels, rows, columns)``, or one for each image.
    wrt : int
        Which input is occluded.
    method : {"auto", "local", "whole"}, or from :func:`prepared`
        On windows ("local"), by whole passes, or on windows where the layers
        allow it, which is measured, else by whole passes with a warning.  The result is
        the same but for rounding.
    batch_size : int, optional
        Occluders of a pass; derived from the memory that they take.
    progress : bool
        Show a progress bar.

    Returns
    -------
    array, ``(features, n, rows, columns)``
        Activation on the original image minus that on the occluded one.  NaN
        where no occluder was centred; see :func:`interpolated`.

    Raises
    ------
    ValueError
        For an even size, a stride below 1 or larger than the receptive field, which
        would leave no occluder on it, a feature that the layer lacks, an unknown method,
        an input that does not take images, values of the occluder that do not fit, or
        images of the wrong shape or not finite.
    """
    features, arrays, fill = _asked(layer, images, features, size, stride, fill, wrt)
    shape = arrays[wrt].shape[2:]
    _check_stride_of_field(layer, stride)
    evaluate = _evaluator(layer, method, wrt, shape)
    out = np.full((len(features), len(arrays[wrt]), *shape), np.nan, arrays[wrt].dtype)
    with tqdm(unit=" occluders", disable=not progress) as bar, _releasing(evaluate):
        for k in range(len(arrays[wrt])):
            maps = evaluate.keep(
                [each[k : k + 1] for each in arrays], _of_image(fill, slice(k, k + 1))
            )[0, features]
            _occlude_neurons(
                evaluate, layer, features, maps, size, stride, batch_size, out[:, k], bar
            )
    return out


def _asked(layer, images, features, size, stride, fill, wrt):
    """Checked features, arrays and values of the occluder for a layer with maps."""
    _check_size(size, stride)
    check_maps(layer)
    check_input(layer, wrt)
    check_pictures(layer, wrt, "occlusion")
    features, arrays = check_features(layer, features), as_arrays(layer, images)
    _check_stride(stride, arrays[wrt].shape[2:])
    return features, arrays, fills(fill, arrays[wrt])


@contextlib.contextmanager
def _releasing(evaluate):
    """Images and activations are not kept longer than a call."""
    try:
        yield
    finally:
        evaluate.release()


def _check_stride_of_field(layer, stride):
    """A stride beyond the receptive field can leave all of it without an occluder."""
    try:
        size = receptive_field(layer).size
    except UserError:  # all of the image
        return
    if stride > min(size):
        raise UserError(
            f"stride {stride} is larger than the receptive field of layer "
            f"'{label(layer)}', {size[0]} × {size[1]} pixels, and may leave all of "
            f"it without an occluder; choose {min(size)} at most"
        )


def _neurons(maps):
    """First maximal neuron of each map, ``(features, 2)``."""
    flat = maps.reshape(len(maps), -1).argmax(axis=1)
    return np.stack(np.unravel_index(flat, maps.shape[1:]), axis=1)


def _occlude_neurons(evaluate, layer, features, maps, size, stride, batch_size, out, bar):
    """All features of one image, written into ``out``."""
    shape, neurons = out.shape[1:], _neurons(maps)
    boxes = _boxes(layer, neurons, shape)
    places = [_centres_on(shape, stride, box) for box in boxes]
    before = maps[(np.arange(len(maps)), *neurons.T)]
    count = sum(map(len, places))
    hull = (*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0))
    # And middles of fields that the stride has missed.
    together = np.unique(np.concatenate([centres(shape, stride, hull), *places]), axis=0)
    if _share_positions(evaluate, size, count, len(together)):
        bar.total = (bar.total or 0) + len(together)
        after = _together(evaluate, together, size, features, neurons, before, batch_size, bar)
        for k, each in enumerate(places):
            out[(k, *each.T)] = before[k] - after[_positions(together, each), k]
        return
    bar.total = (bar.total or 0) + count
    owner = np.repeat(np.arange(len(maps)), [len(each) for each in places])
    every = np.concatenate(places)
    for part, values, start in _passes(
        evaluate, every - size // 2, (size, size), batch_size, bar, neurons[owner]
    ):
        own = owner[part]
        rows, columns = (neurons[own] - start).T
        after = values[np.arange(len(own)), np.array(features)[own], rows, columns]
        out[(own, *every[part].T)] = before[own] - after


def _boxes(layer, neurons, shape):
    """Receptive fields of neurons, ``(n, 4)``; the image above layers without one."""
    try:
        field = receptive_field(layer)
    except ValueError:
        return np.tile((0, 0, *shape), (len(neurons), 1))
    return np.array([field.box(*neuron) for neuron in neurons])


def _centres_on(shape, stride, box):
    """Centres on what a neuron sees of the image; its middle if a stride misses it all.

    As it may where the border leaves less of a receptive field than a stride.
    """
    found = centres(shape, stride, box)
    if len(found):
        return found
    first, end = np.maximum(box[:2], 0), np.minimum(box[2:], shape)
    return ((first + end - 1) // 2)[np.newaxis]


def _positions(places, wanted):
    """Where wanted places stand in a list that is sorted row by row."""
    width = max(places[:, 1].max(), wanted[:, 1].max()) + 1
    return np.searchsorted(places @ (width, 1), wanted @ (width, 1))


def _share_positions(evaluate, size, apart, together):
    """Whether it is cheaper to read all features off the same windows."""
    if isinstance(evaluate, _Whole):
        return True
    cost = [multiply_adds(evaluate.stack, (size, size), neuron) for neuron in (True, False)]
    return together * cost[1] < apart * cost[0]


def _together(evaluate, places, size, features, neurons, before, batch_size, bar):
    """Activations ``(positions, features)`` of neurons, all from the same windows."""
    after = np.repeat(before[np.newaxis], len(places), axis=0)
    for part, values, start in _passes(evaluate, places - size // 2, (size, size), batch_size, bar):
        rows, columns = np.moveaxis(neurons - start[:, np.newaxis], -1, 0)
        item, k = np.nonzero(
            (rows >= 0) & (rows < values.shape[2]) & (columns >= 0) & (columns < values.shape[3])
        )
        after[part[item], k] = values[item, np.array(features)[k], rows[item, k], columns[item, k]]
    return after


def map_occlusion(
    layer,
    images,
    features=None,
    aggregate="max",
    size=11,
    stride=1,
    fill=0.0,
    wrt=0,
    method="auto",
    batch_size=None,
    progress=False,
):
    """What occluders, anywhere on the image, take from a feature's whole map.

    Parameters
    ----------
    aggregate : {"max", "sum"}
        Over the map, on the original and on the occluded image.
    layer, images, features, size, stride, fill, wrt, method, batch_size, progress
        As for :func:`neuron_occlusion`.

    Returns
    -------
    array, ``(features, n, rows, columns)``
        As of :func:`neuron_occlusion`.

    Raises
    ------
    ValueError
        As :func:`neuron_occlusion`, and for an unknown aggregate; the stride may be as
        large as the image.
    """
    if aggregate not in _AGGREGATES:
        raise UserError(f"unknown aggregate '{aggregate}'; choose one of " + ", ".join(_AGGREGATES))
    features, arrays, fill = _asked(layer, images, features, size, stride, fill, wrt)
    shape = arrays[wrt].shape[2:]
    evaluate = _evaluator(layer, method, wrt, shape)
    places = centres(shape, stride)
    out = np.full((len(features), len(arrays[wrt]), *shape), np.nan, arrays[wrt].dtype)
    with (
        tqdm(unit=" occluders", disable=not progress, total=len(places) * len(arrays[wrt])) as bar,
        _releasing(evaluate),
    ):
        for k in range(len(arrays[wrt])):
            maps = evaluate.keep(
                [each[k : k + 1] for each in arrays], _of_image(fill, slice(k, k + 1))
            )[0, features]
            change = _AGGREGATES[aggregate](maps)
            for part, values, start in _passes(
                evaluate, places - size // 2, (size, size), batch_size, bar
            ):
                out[(slice(None), k, *places[part].T)] = change(values[:, features], start).T
    return out


def _change_of_sum(maps):
    """Function from windows to what a sum over the map loses, ``(n, features)``."""

    def change(values, start):
        size = values.shape[2:]
        original = np.stack(
            [maps[:, row : row + size[0], column : column + size[1]] for row, column in start]
        )
        return (original - values).sum(axis=(2, 3))

    return change


def _change_of_max(maps):
    """The same for the maximum: that of the window and of all around it."""
    whole = maps.max(axis=(1, 2))
    sides = [
        _running(maps.max(axis=other), backwards) for other in (2, 1) for backwards in (False, True)
    ]

    def change(values, start):
        rows, columns = start.T
        ends = (rows, rows + values.shape[2], columns, columns + values.shape[3])
        around = [side[:, end] for side, end in zip(sides, ends)]
        return whole - np.max([values.max(axis=(2, 3)), *(each.T for each in around)], axis=0)

    return change


def _running(values, backwards):
    """Maximum of all before each place, or of it and all after it.

    ``(features, length + 1)``; minus infinity where there are none.
    """
    empty = np.full((len(values), 1), -np.inf, values.dtype)
    if backwards:
        after = np.maximum.accumulate(values[:, ::-1], axis=1)[:, ::-1]
        return np.concatenate([after, empty], axis=1)
    return np.concatenate([empty, np.maximum.accumulate(values, axis=1)], axis=1)


_AGGREGATES = {"max": _change_of_max, "sum": _change_of_sum}


# --- Outputs ---------------------------------------------------------------------


class _Outputs:
    """Outputs of a network under occluders: windows first, then the rest.

    Images of a pass may influence each other, as eye pairs do; ``group`` of
    them, side by side, make one occurrence, of which one image is occluded.
    """

    def __init__(self, layer, wrt, group, method, shape):
        below, variables = input_variables(layer)
        self._wrt, self._group = wrt, group
        self._local, prefix = None, below[wrt]
        if method != "whole":
            self._local, prefix = self._windows(layer, below[wrt], wrt, method, shape)
        if self._local is not None:
            variables[wrt] = T.TensorType(variables[wrt].dtype, (False,) * 4)("maps")
        given = dict(zip(below, variables))
        del given[below[wrt]]
        self._compute = function(
            variables,
            expressions.output(layer, {**given, prefix: variables[wrt]}),
            on_unused_input="ignore",
        )
        fixed = below[wrt].shape[0]
        if fixed is not None and fixed % group:
            raise UserError(
                f"the network takes {fixed} images at a time, which is no multiple of {group}"
            )
        self._at_once = (fixed or _WHOLE_BATCH * group) // group

    @staticmethod
    def _windows(layer, source, wrt, method, shape):
        """What evaluates the local layers, and the last of them; the input without any."""
        prefix = local_prefix(layer, wrt)
        try:
            if prefix is source:
                raise NotLocal(f"nothing below '{label(layer)}' is local")
            return Occluded(Stack(prefix, shape)), prefix
        except NotLocal as reason:
            if method == "local":
                raise
            if prefix is not source:
                _warn(reason)
            return None, source

    def release(self):
        """Let go of images and activations."""
        self._arrays = self._fill = None
        if self._local is not None:
            self._local.release()

    def keep(self, arrays, fill):
        """Remember one group; gives its outputs, ``(group, ...)``."""
        self._arrays, self._fill = list(arrays), fill
        if self._local is not None:
            self._arrays[self._wrt] = self._local.keep(arrays[self._wrt], fill)
        return self._outputs(self._arrays[self._wrt][np.newaxis])[0]

    def _outputs(self, inputs):
        """Outputs ``(n, group, ...)`` of what the occluded input became."""
        results = []
        for begin in range(0, len(inputs), self._at_once):
            few = inputs[begin : begin + self._at_once]
            # A network built for one number of images gets that number.
            index = np.minimum(np.arange(self._at_once), len(few) - 1)
            batch = [np.concatenate([each] * self._at_once) for each in self._arrays]
            batch[self._wrt] = few[index].reshape(-1, *few.shape[2:])
            found = self._compute(*batch)
            results.append(found.reshape(self._at_once, self._group, *found.shape[1:])[: len(few)])
        return np.concatenate(results)

    def batch_size(self, size):
        """Occluders of a pass."""
        if self._local is None:
            return self._at_once
        largest = self._arrays[self._wrt].nbytes
        return max(1, min(self._local.batch_size(size), int(64e6 / largest)))

    def __call__(self, first, size, image):
        """Outputs ``(n, group, ...)`` with occluders on one image of the group."""
        original = self._arrays[self._wrt]
        inputs = np.repeat(original[np.newaxis], len(first), axis=0)
        if self._local is None:
            inputs[:, image] = _occluded(
                inputs[:, image], first, size, _of_image(self._fill, slice(image, image + 1))
            )
        else:
            values, start = self._local(first, size, np.full(len(first), image))
            for each, value, (row, column) in zip(inputs, values, start):
                each[image, :, row : row + value.shape[1], column : column + value.shape[2]] = value
        return self._outputs(inputs)


def output_occlusion(
    layer,
    images,
    units=None,
    size=11,
    stride=1,
    fill=0.0,
    wrt=0,
    group=1,
    watched=None,
    method="auto",
    batch_size=None,
    progress=False,
):
    """What occluders take from output units, such as class scores.

    Parameters
    ----------
    layer : lasagne.layers.Layer
        With outputs ``(batch, unit)``; its non-linearity counts
        (:func:`cnnviz.networks.inputs.linear` leaves it out).
    images : array, ``(n, channels, rows, columns)``
        Or one array for each input.
    units : int or sequence of int, optional
        All units when None.
    group : int
        Images that influence each other's outputs: 2 for eye pairs.  A network
        built for a fixed number of images gets groups side by side.
    watched : int, optional
        Which output of the group counts, for every image of it; each image's
        own when None.
    size, stride, fill, wrt, method, batch_size, progress
        As for :func:`neuron_occlusion`.

    Returns
    -------
    array, ``(units, n, rows, columns)``
        Output on the original images minus that with this one occluded.  NaN
        where no occluder was centred; see :func:`interpolated`.

    Raises
    ------
    ValueError
        As :func:`neuron_occlusion`; for a layer whose output is not one row of
        units for each image; for a group that the numbers of images are no
        multiple of.
    """
    _check_size(size, stride)
    _check_method(method)
    check_units(layer)
    check_input(layer, wrt)
    check_pictures(layer, wrt, "occlusion")
    units, arrays = check_features(layer, units), as_arrays(layer, images)
    count, shape = len(arrays[wrt]), arrays[wrt].shape[2:]
    _check_stride(stride, shape)
    fill = fills(fill, arrays[wrt])
    if count % check_whole("group", group):
        raise UserError(f"{count} images cannot be split into groups of {group}")
    if batch_size is not None:
        check_whole("batch_size", batch_size)
    evaluate = compiled.of_layer(
        layer,
        ("outputs", wrt, group, method, shape),
        lambda: _Outputs(layer, wrt, group, method, shape),
    )
    places = centres(shape, stride)
    out = np.full((len(units), count, *shape), np.nan, arrays[wrt].dtype)
    with (
        tqdm(total=count * len(places), unit=" occluders", disable=not progress) as bar,
        _releasing(evaluate),
    ):
        for begin in range(0, count, group):
            before = evaluate.keep(
                [each[begin : begin + group] for each in arrays],
                _of_image(fill, slice(begin, begin + group)),
            )
            for k in range(group):
                row = k if watched is None else watched
                step = batch_size or evaluate.batch_size((size, size))
                for first in range(0, len(places), step):
                    few = places[first : first + step]
                    after = evaluate(few - size // 2, (size, size), k)[:, row][:, units]
                    out[(slice(None), begin + k, *few.T)] = (before[row, units] - after).T
                    bar.update(len(few))
    return out


# --- Missing positions -------------------------------------------------------------


def interpolated(maps, outside=0.0):
    """Fill the positions that a stride left out, linearly between visited ones.

    Rows and columns without any visited position are interpolated bilinearly;
    beyond the last visited row and column, up to a stride, the nearest value
    goes on.

    Parameters
    ----------
    maps : array, ``(..., rows, columns)``
        NaN where no occluder was centred; visited ones lie on a grid.
    outside : float
        For pixels farther from every visited one.

    Returns
    -------
    array of the same shape, without NaN
    """
    flat = np.asarray(maps).reshape(-1, *np.shape(maps)[-2:])
    return np.stack([_filled(each, outside) for each in flat]).reshape(np.shape(maps))


def _filled(values, outside):
    visited = ~np.isnan(values)
    lines = [np.flatnonzero(visited.any(axis=other)) for other in (1, 0)]
    out = np.full(values.shape, outside, values.dtype)
    if not visited.any():
        return out
    if not visited[np.ix_(*lines)].all():
        raise UserError("visited positions lie on no grid")
    spans = [_reach(line, length) for line, length in zip(lines, values.shape)]
    known = values[np.ix_(*lines)]
    out[np.ix_(*spans)] = _between(lines, known, spans)
    return out


def _reach(lines, length):
    """Rows (or columns) that visited ones stand for."""
    step = np.diff(lines).max() if len(lines) > 1 else 1
    return np.arange(lines[0], min(lines[-1] + step, length))


def _between(lines, known, spans):
    """Bilinear interpolation; a single row or column is repeated."""
    points = np.stack(
        np.meshgrid(
            *(np.clip(span, line[0], line[-1]) for span, line in zip(spans, lines)), indexing="ij"
        ),
        -1,
    )
    axes = [axis for axis in range(2) if len(lines[axis]) > 1]
    if not axes:
        return np.broadcast_to(known, points.shape[:2])
    table = known.squeeze(axis=tuple({0, 1} - set(axes)))
    return RegularGridInterpolator([lines[axis] for axis in axes], table)(points[..., axes])
