"""Where several neurons share a maximum: to which of them does its gradient go?

Theano gives each of them the whole gradient, PyTorch the first one.  Where that
matters, and how much, is in docs/methods.md.
"""
from itertools import product

from cnnviz.backend import T, lasagne

__all__ = ["output", "first_maximum", "is_max_pooling", "pooling_windows", "framed",
           "switches"]


def is_max_pooling(layer):
    """Whether a layer takes maxima of windows over rows and columns."""
    return (isinstance(layer, lasagne.layers.Pool2DLayer)
            and getattr(layer, "mode", "max") == "max")


def pooling_windows(layer, pooled):
    """For each place in a pooling window: where in the frame all windows have it.

    Parameters
    ----------
    layer : lasagne.layers.Pool2DLayer
    pooled : Theano variable, ``(n, channels, rows, columns)``
        The layer's result.

    Returns
    -------
    list of slices, into what :func:`framed` gives
    """
    (height, width), (down, right) = layer.pool_size, layer.stride
    rows, columns = pooled.shape[2:]
    return [(slice(None), slice(None), slice(row, row + down * rows, down),
             slice(column, column + right * columns, right))
            for row, column in product(range(height), range(width))]


def framed(layer, maps, value, count):
    """A frame of one value, wide enough to have every pooling window whole.

    Returns
    -------
    The frame for ``count`` images, and where in it ``maps`` lie
    """
    lengths = [maps.shape[2], maps.shape[3]]
    wide = [length + 2 * pad + window for length, pad, window
            in zip(lengths, layer.pad, layer.pool_size)]
    place = [slice(pad, pad + length) for pad, length in zip(layer.pad, lengths)]
    frame = T.alloc(T.constant(value, dtype=maps.dtype), count, maps.shape[1], *wide)
    return frame, (slice(None), slice(None), *place)


def _candidates(layer, maps, pooled):
    """What stands at each place of all windows, ``(places, n, channels, rows, columns)``."""
    frame, place = framed(layer, maps, -float("inf"), maps.shape[0])
    frame = T.set_subtensor(frame[place], maps)
    return [frame[each] for each in pooling_windows(layer, pooled)]


def switches(layer, maps, pooled):
    """For each pooling window, the number of its first maximum, row by row.

    Parameters
    ----------
    layer : lasagne.layers.Pool2DLayer
    maps, pooled : Theano variables, ``(n, channels, rows, columns)``
        What the layer reads, and what it gives.

    Returns
    -------
    Theano variable of integers, like ``pooled``
    """
    return T.argmax(T.stack(_candidates(layer, maps, pooled)), axis=0)


def _pooled_by_first(layer, maps):
    """A max-pooling layer's result, of which the first maximum gets the gradient."""
    pooled = layer.get_output_for(maps, deterministic=True)
    chosen = switches(layer, maps, pooled)
    # Chosen, not multiplied: what pads is infinite.
    return sum(T.switch(T.eq(chosen, number), each, T.zeros_like(each))
               for number, each in enumerate(_candidates(layer, maps, pooled)))


def first_maximum(maps):
    """The maximum of each map, of which the first position gets the gradient.

    Parameters
    ----------
    maps : Theano variable, ``(n, rows, columns)``

    Returns
    -------
    Theano variable, ``(n,)``
    """
    flat = maps.flatten(2)
    return flat[T.arange(flat.shape[0]), T.argmax(flat, axis=1)]


def output(layer, given, ties="all"):
    """Output of a layer, for derivatives by a rule for ties.

    Parameters
    ----------
    layer : lasagne.layers.Layer
    given : dict
        From the input layers to Theano variables.
    ties : {"all", "first"}

    Returns
    -------
    Theano variable
        Its values do not depend on the rule.
    """
    if ties == "all":
        return lasagne.layers.get_output(layer, given, deterministic=True)
    found = dict(given)
    for each in lasagne.layers.get_all_layers(layer):
        if each in found:
            continue
        if isinstance(each, lasagne.layers.MergeLayer):
            found[each] = each.get_output_for([found[below] for below in each.input_layers],
                                              deterministic=True)
        elif is_max_pooling(each):
            found[each] = _pooled_by_first(each, found[each.input_layer])
        else:
            found[each] = each.get_output_for(found[each.input_layer], deterministic=True)
    return found[layer]
