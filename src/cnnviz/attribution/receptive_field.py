"""Receptive fields, computed from the layers (thesis section 2.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from cnnviz.attribution import dependence
from cnnviz.networks.inputs import label
from cnnviz.runtime.backend import lasagne
from cnnviz.runtime.errors import UserError

if TYPE_CHECKING:
    from lasagne.layers import Layer

__all__ = ["ReceptiveField", "declared_geometry", "depth", "receptive_field", "window_geometry"]


class ReceptiveField(NamedTuple):
    """Part of the input that one neuron sees, along rows and columns."""

    size: tuple  #: rows, columns of input pixels
    stride: tuple  #: input pixels between neighboring neurons
    start: tuple  #: first input pixel of neuron (0, 0); negative in padding

    def box(self, row: Any, column: Any, shape: Any = None) -> tuple[int, int, int, int]:
        """Rows and columns seen by the neuron at (row, column).

        Parameters
        ----------
        row, column : int
            Place in the feature map.
        shape : (rows, columns), optional
            Of the input, to clip the box at its border.

        Returns
        -------
        (first row, first column, end row, end column), ends exclusive
        """
        first = [
            start + stride * place
            for start, stride, place in zip(self.start, self.stride, (row, column))
        ]
        end = [f + size for f, size in zip(first, self.size)]
        if shape is not None:
            first = [max(f, 0) for f in first]
            end = [min(e, limit) for e, limit in zip(end, shape)]
        return (*first, *end)


def window_geometry(
    layer: Layer,
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]] | None:
    """Window size, stride and padding of a layer, or None for no window.

    A layer says by its class what it looks at.  Where it is not one of Lasagne's own,
    with a non-linearity of Lasagne's or Theano's, that is compared with what its
    neurons depend on, and measured where it differs
    (:mod:`cnnviz.attribution.dependence`).

    Returns
    -------
    size, stride, pad : (rows, columns) each
        ``pad``: zeros before the first row and column.

    Raises
    ------
    UserError
        For a layer that is not local.
    """
    try:
        declared = declared_geometry(layer)
    except AttributeError:  # a layer without what others of its kind have
        return dependence.geometry(layer, None)
    if dependence.is_known(layer):
        return declared
    return dependence.geometry(layer, declared or ((1, 1), (1, 1), (0, 0)))


def declared_geometry(
    layer: Layer,
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]] | None:
    """The same by what a layer's class and attributes say."""
    if isinstance(layer, lasagne.layers.Conv2DLayer):
        pad = layer.pad
        if pad == "same":
            pad = tuple(size // 2 for size in layer.filter_size)
        elif pad == "full":
            pad = tuple(size - 1 for size in layer.filter_size)
        return layer.filter_size, layer.stride, pad
    if isinstance(layer, lasagne.layers.Pool2DLayer):
        return layer.pool_size, layer.stride, layer.pad
    elementwise = (
        lasagne.layers.InputLayer,
        lasagne.layers.NonlinearityLayer,
        lasagne.layers.DropoutLayer,
        lasagne.layers.GaussianNoiseLayer,
    )
    if isinstance(layer, elementwise) or (
        isinstance(layer, lasagne.layers.FeaturePoolLayer) and layer.axis == 1
    ):
        return None
    raise UserError(
        f"layer '{label(layer)}' has no "
        "receptive field: only convolution, pooling and "
        "element-wise layers have one"
    )


def receptive_field(layer: Layer) -> ReceptiveField:
    """Receptive field of a layer's neurons.

    From the layer back to the input, ``size`` grows by (window - 1) times the
    product of the strides before it.  Thesis eq. 2.10 subtracts the strides
    themselves where their products belong; the two agree for up to two
    layers, and the sizes in its Table 4.1 are those of this function.

    Parameters
    ----------
    layer : lasagne.layers.Layer
        A convolution, pooling or element-wise layer above a single input.

    Returns
    -------
    ReceptiveField

    Raises
    ------
    UserError
        When a layer on the way is not local (dense, reshape, ...).
    """
    size, stride, start = [1, 1], [1, 1], [0, 0]
    for below in reversed(lasagne.layers.get_all_layers(layer)):
        geometry = window_geometry(below)
        if geometry is None:
            continue
        for k in range(2):
            window, step, pad = (part[k] for part in geometry)
            size[k] = (size[k] - 1) * step + window
            start[k] = start[k] * step - pad
            stride[k] *= step
    return ReceptiveField(tuple(size), tuple(stride), tuple(start))


def depth(layer: Layer) -> int:
    """Number of convolution and pooling layers below a layer.

    The index of thesis eq. 2.10, where the first convolution or pooling layer
    is number 0, and the depth in its Table 4.1.

    Parameters
    ----------
    layer : lasagne.layers.Layer
        A convolution, pooling or element-wise layer above a single input.

    Returns
    -------
    int

    Raises
    ------
    UserError
        When a layer on the way is not local (dense, reshape, ...).
    """
    windows = [
        window_geometry(each_layer) is not None
        for each_layer in lasagne.layers.get_all_layers(layer)
    ]
    return sum(windows[:-1])  # the layer itself comes last
