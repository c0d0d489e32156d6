"""Occlusion (thesis section 3.2.2, after Zeiler and Fergus 2013).

A square of constant value slides over the image; the saliency of the pixel at
its centre is what the network's output loses by it.  Occluders are centred on
pixels, the first one included, and reach over the border: 111 x 111 pixels and
a stride of 17 give 7 x 7 positions.

Only what an occluder can change, and of that only what the asked neuron can
see, is computed (:mod:`cnnviz.local`); the result is that of whole passes.
"""
import warnings

import numpy as np
from scipy.interpolate import RegularGridInterpolator
from tqdm import tqdm

from cnnviz.backend import T, function, lasagne
from cnnviz.errors import UserError
from cnnviz.inputs import (as_arrays, check_features, check_input, check_maps,
                           input_variables)
from cnnviz.local import NotLocal, Stack, local_prefix
from cnnviz.local.forward import Occluded, multiply_adds
from cnnviz.receptive_field import receptive_field

__all__ = ["METHODS", "centres", "prepared", "neuron_occlusion", "map_occlusion", "output_occlusion",
           "interpolated"]

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
    if stride < 1:
        raise UserError(f"stride must be at least 1, not {stride}")
    top, left, bottom, right = (0, 0, *shape) if box is None else box
    rows, columns = (np.arange(-(-max(first, 0) // stride) * stride, min(end, length), stride)
                     for first, end, length in ((top, bottom, shape[0]),
                                                (left, right, shape[1])))
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), -1).reshape(-1, 2)


def _check_size(size, stride):
    if size < 1 or size % 2 == 0:
        raise UserError(f"the occluder's size must be odd, so that it has a centre, "
                        f"not {size}")
    if stride < 1:
        raise UserError(f"stride must be at least 1, not {stride}")


# --- How occluded images are evaluated ------------------------------------------

class _Whole:
    """Whole passes of occluded images."""

    def __init__(self, layer, wrt=0):
        self._below, variables = input_variables(layer)
        self._compute = function(variables, lasagne.layers.get_output(
            layer, dict(zip(self._below, variables)), deterministic=True))
        self._wrt = wrt

    def keep(self, arrays, fill):
        """Remember images; gives the layer's results for them."""
        self._arrays, self._fill = arrays, fill
        return np.concatenate([self._compute(*(each[k:k + 1] for each in arrays))
                               for k in range(len(arrays[0]))])

    def batch_size(self, size, neuron=False):
        return _WHOLE_BATCH

    def __call__(self, first, size, images, neurons=None):
        """The layer's results under occluders, and where their windows begin."""
        batch = [each[images] for each in self._arrays]
        batch[self._wrt] = _occluded(batch[self._wrt], first, size, self._fill)
        return self._compute(*batch), np.zeros((len(first), 2), int)


class _Local(Occluded):
    """The same on windows."""

    def keep(self, arrays, fill):
        return super().keep(arrays[0], fill)


def _occluded(images, first, size, fill):
    """Copies of images, each with an occluder on it."""
    images = images.copy()
    fill = np.asarray(fill, images.dtype)
    for image, (row, column) in zip(images, first):
        image[:, max(row, 0):max(row + size[0], 0),
              max(column, 0):max(column + size[1], 0)] = fill.reshape(-1, 1, 1)
    return images


def prepared(stack):
    """Compile once what the functions below need of a layer, for many calls.

    Parameters
    ----------
    stack : cnnviz.local.Stack
        Of the layer.

    Returns
    -------
    object
        What these functions take as ``method``.
    """
    return _Local(stack)


def _evaluator(layer, method, wrt=0):
    if isinstance(method, _Local):
        return method
    if method not in METHODS:
        raise UserError(f"unknown method '{method}'; choose one of {', '.join(METHODS)}")
    if method == "whole":
        return _Whole(layer, wrt)
    try:
        return _Local(Stack(layer))
    except NotLocal as reason:
        if method == "local":
            raise
        warnings.warn(f"occlusion by whole passes, which takes long: {reason}",
                      stacklevel=3)
        return _Whole(layer, wrt)


def _tiles(places, count):
    """Order in which so many neighbours come together.

    Their windows are of much the same size, also where the border cuts them.
    """
    side = max(1, int(np.sqrt(count)))
    steps = [np.unique(places[:, axis], return_inverse=True)[1] for axis in (0, 1)]
    return np.lexsort([steps[1], steps[0], steps[1] // side, steps[0] // side])


def _passes(evaluate, first, size, batch_size, bar, neurons=None):
    """Occluders of image 0 pass by pass: their indices, results and window starts."""
    count = batch_size or evaluate.batch_size(size, neurons is not None)
    if count < 1:
        raise UserError(f"batch_size must be at least 1, not {batch_size}")
    order = _tiles(first, count)
    if neurons is not None:  # feature by feature
        order = order[np.lexsort([np.arange(len(order)), *neurons[order].T])]
    for begin in range(0, len(first), count):
        part = order[begin:begin + count]
        few = first[part]
        yield (part, *evaluate(few, size, np.zeros(len(few), int),
                               None if neurons is None else neurons[part]))
        bar.update(len(few))


# --- Features --------------------------------------------------------------------

def neuron_occlusion(layer, images, features=None, size=11, stride=1, fill=0.0, wrt=0,
                     method="auto", batch_size=None, progress=False):
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
    fill : float, or array ``(channels,)``
        Value of the occluder; 0 in standardized images.
    wrt : int
        Which input is occluded.
    method : {"auto", "local", "whole"}, or from :func:`prepared`
        On windows ("local"), by whole passes, or on windows where the layers
        allow it, else by whole passes with a warning.  The result is the same.
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
        For an even size, a stride below 1, a feature that the layer lacks, an
        unknown method, or images of the wrong shape or not finite.
    """
    _check_size(size, stride)
    check_maps(layer)
    check_input(layer, wrt)
    features, arrays = check_features(layer, features), as_arrays(layer, images)
    evaluate = _evaluator(layer, method, wrt)
    shape = arrays[wrt].shape[2:]
    out = np.full((len(features), len(arrays[wrt]), *shape), np.nan, arrays[wrt].dtype)
    with tqdm(unit=" occluders", disable=not progress) as bar:
        for k in range(len(arrays[wrt])):
            maps = evaluate.keep([each[k:k + 1] for each in arrays], fill)[0, features]
            _occlude_neurons(evaluate, layer, features, maps, size, stride, batch_size,
                             out[:, k], bar)
    return out


def _neurons(maps):
    """First maximal neuron of each map, ``(features, 2)``."""
    flat = maps.reshape(len(maps), -1).argmax(axis=1)
    return np.stack(np.unravel_index(flat, maps.shape[1:]), axis=1)


def _occlude_neurons(evaluate, layer, features, maps, size, stride, batch_size, out, bar):
    """All features of one image, written into ``out``."""
    shape, neurons = out.shape[1:], _neurons(maps)
    boxes = _boxes(layer, neurons, shape)
    places = [centres(shape, stride, box) for box in boxes]
    before = maps[(np.arange(len(maps)), *neurons.T)]
    count = sum(map(len, places))
    hull = (*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0))
    together = centres(shape, stride, hull)
    if _share_positions(evaluate, size, count, len(together)):
        bar.total = (bar.total or 0) + len(together)
        after = _together(evaluate, together, size, features, neurons, before,
                          batch_size, bar)
        for k, each in enumerate(places):
            index = np.flatnonzero(_within(together, boxes[k]))
            out[(k, *each.T)] = before[k] - after[index, k]
        return
    bar.total = (bar.total or 0) + count
    owner = np.repeat(np.arange(len(maps)), [len(each) for each in places])
    every = np.concatenate(places)
    for part, values, start in _passes(evaluate, every - size // 2, (size, size),
                                       batch_size, bar, neurons[owner]):
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


def _within(places, box):
    return ((places >= box[:2]) & (places < box[2:])).all(axis=1)


def _share_positions(evaluate, size, apart, together):
    """Whether it is cheaper to read all features off the same windows."""
    if isinstance(evaluate, _Whole):
        return True
    cost = [multiply_adds(evaluate.stack, (size, size), neuron) for neuron in (True, False)]
    return together * cost[1] < apart * cost[0]


def _together(evaluate, places, size, features, neurons, before, batch_size, bar):
    """Activations ``(positions, features)`` of neurons, all from the same windows."""
    after = np.repeat(before[np.newaxis], len(places), axis=0)
    for part, values, start in _passes(evaluate, places - size // 2, (size, size),
                                       batch_size, bar):
        rows, columns = np.moveaxis(neurons - start[:, np.newaxis], -1, 0)
        item, k = np.nonzero((rows >= 0) & (rows < values.shape[2])
                             & (columns >= 0) & (columns < values.shape[3]))
        after[part[item], k] = values[
            item, np.array(features)[k], rows[item, k], columns[item, k]]
    return after


def map_occlusion(layer, images, features=None, aggregate="max", size=11, stride=1,
                  fill=0.0, wrt=0, method="auto", batch_size=None, progress=False):
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
        As :func:`neuron_occlusion`, and for an unknown aggregate.
    """
    _check_size(size, stride)
    check_maps(layer)
    check_input(layer, wrt)
    if aggregate not in _AGGREGATES:
        raise UserError(f"unknown aggregate '{aggregate}'; choose one of "
                        + ", ".join(_AGGREGATES))
    features, arrays = check_features(layer, features), as_arrays(layer, images)
    evaluate = _evaluator(layer, method, wrt)
    shape = arrays[wrt].shape[2:]
    places = centres(shape, stride)
    out = np.full((len(features), len(arrays[wrt]), *shape), np.nan, arrays[wrt].dtype)
    with tqdm(unit=" occluders", disable=not progress,
              total=len(places) * len(arrays[wrt])) as bar:
        for k in range(len(arrays[wrt])):
            maps = evaluate.keep([each[k:k + 1] for each in arrays], fill)[0, features]
            change = _AGGREGATES[aggregate](maps)
            for part, values, start in _passes(evaluate, places - size // 2,
                                               (size, size), batch_size, bar):
                out[(slice(None), k, *places[part].T)] = change(
                    values[:, features], start).T
    return out


def _change_of_sum(maps):
    """Function from windows to what a sum over the map loses, ``(n, features)``."""
    def change(values, start):
        size = values.shape[2:]
        original = np.stack([maps[:, row:row + size[0], column:column + size[1]]
                             for row, column in start])
        return (original - values).sum(axis=(2, 3))
    return change


def _change_of_max(maps):
    """The same for the maximum: that of the window and of all around it."""
    whole = maps.max(axis=(1, 2))
    sides = [_running(maps.max(axis=other), backwards)
             for other in (2, 1) for backwards in (False, True)]

    def change(values, start):
        rows, columns = start.T
        ends = (rows, rows + values.shape[2], columns, columns + values.shape[3])
        around = [side[:, end] for side, end in zip(sides, ends)]
        return whole - np.max([values.max(axis=(2, 3)), *(each.T for each in around)],
                              axis=0)
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

    def __init__(self, layer, wrt, group, method):
        below, variables = input_variables(layer)
        prefix = local_prefix(layer, wrt)
        self._wrt, self._group = wrt, group
        if method == "whole" or prefix is below[wrt]:
            if method == "local":
                raise NotLocal(f"nothing below '{layer.name}' is local")
            self._local, prefix = None, below[wrt]
        else:
            self._local = Occluded(Stack(prefix))
            variables[wrt] = T.TensorType(variables[wrt].dtype, (False,) * 4)("maps")
        given = dict(zip(below, variables))
        del given[below[wrt]]
        self._compute = function(variables, lasagne.layers.get_output(
            layer, {**given, prefix: variables[wrt]}, deterministic=True))
        fixed = below[wrt].shape[0]
        if fixed is not None and fixed % group:
            raise UserError(f"the network takes {fixed} images at a time, which is no "
                            f"multiple of {group}")
        self._at_once = (fixed or _WHOLE_BATCH * group) // group

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
            few = inputs[begin:begin + self._at_once]
            # A network built for one number of images gets that number.
            index = np.minimum(np.arange(self._at_once), len(few) - 1)
            batch = [np.concatenate([each] * self._at_once) for each in self._arrays]
            batch[self._wrt] = few[index].reshape(-1, *few.shape[2:])
            found = self._compute(*batch)
            results.append(found.reshape(self._at_once, self._group,
                                         *found.shape[1:])[:len(few)])
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
            inputs[:, image] = _occluded(inputs[:, image], first, size, self._fill)
        else:
            values, start = self._local(first, size, np.full(len(first), image))
            for each, value, (row, column) in zip(inputs, values, start):
                each[image, :, row:row + value.shape[1],
                     column:column + value.shape[2]] = value
        return self._outputs(inputs)


def output_occlusion(layer, images, units=None, size=11, stride=1, fill=0.0, wrt=0,
                     group=1, watched=None, method="auto", batch_size=None,
                     progress=False):
    """What occluders take from output units, such as class scores.

    Parameters
    ----------
    layer : lasagne.layers.Layer
        With outputs ``(batch, unit)``; its non-linearity counts
        (:func:`cnnviz.inputs.linear` leaves it out).
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
    if method not in METHODS:
        raise UserError(f"unknown method '{method}'; choose one of {', '.join(METHODS)}")
    if len(layer.output_shape) != 2:
        raise UserError(f"layer '{layer.name}' has outputs of shape "
                        f"{layer.output_shape}, not (batch, unit)")
    check_input(layer, wrt)
    units, arrays = check_features(layer, units), as_arrays(layer, images)
    count, shape = len(arrays[wrt]), arrays[wrt].shape[2:]
    if group < 1 or count % group:
        raise UserError(f"{count} images cannot be split into groups of {group}")
    evaluate = _Outputs(layer, wrt, group, method)
    places = centres(shape, stride)
    out = np.full((len(units), count, *shape), np.nan, arrays[wrt].dtype)
    with tqdm(total=count * len(places), unit=" occluders", disable=not progress) as bar:
        for begin in range(0, count, group):
            before = evaluate.keep([each[begin:begin + group] for each in arrays], fill)
            for k in range(group):
                row = k if watched is None else watched
                step = batch_size or evaluate.batch_size((size, size))
                for first in range(0, len(places), step):
                    few = places[first:first + step]
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
    points = np.stack(np.meshgrid(*(np.clip(span, line[0], line[-1]) for span, line
                                    in zip(spans, lines)), indexing="ij"), -1)
    axes = [axis for axis in range(2) if len(lines[axis]) > 1]
    if not axes:
        return np.broadcast_to(known, points.shape[:2])
    table = known.squeeze(axis=tuple({0, 1} - set(axes)))
    return RegularGridInterpolator([lines[axis] for axis in axes], table)(points[..., axes])
