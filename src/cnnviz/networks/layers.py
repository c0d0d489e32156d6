"""Layers that Lasagne 0.1 lacks, and walks over a network's layers."""
from cnnviz.backend import T, lasagne

__all__ = ["SameConv2DLayer", "layers_of_type", "pooling_layers",
           "find_layer"]


class SameConv2DLayer(lasagne.layers.Conv2DLayer):
    """Cross-correlation with *same* padding at any stride.

    Lasagne 0.1 flips the filters, and pads *same* by cropping a *full*
    convolution, which costs a quarter more time and refuses strides.  This
    layer asks Theano for half padding directly (thesis eqs. 2.2 and 2.4).

    Parameters
    ----------
    incoming, num_filters, filter_size, **kwargs
        As for ``lasagne.layers.Conv2DLayer``; ``filter_size`` must be odd.

    Raises
    ------
    ValueError
        For an even filter size, whose *same* padding would not be symmetric.
    """

    def __init__(self, incoming, num_filters, filter_size, **kwargs):
        super().__init__(incoming, num_filters, filter_size, pad="same",
                         **kwargs)
        if any(size % 2 == 0 for size in self.filter_size):
            raise ValueError(f"filter_size {self.filter_size} must be odd for "
                             "same padding")

    def get_output_for(self, input, **kwargs):
        activation = T.nnet.conv2d(
            input, self.W, input_shape=self.input_shape,
            filter_shape=self.get_W_shape(), border_mode="half",
            subsample=self.stride, filter_flip=False)
        if self.b is not None:
            pattern = ("x", 0, 1, 2) if self.untie_biases else ("x", 0, "x", "x")
            activation = activation + self.b.dimshuffle(*pattern)
        return self.nonlinearity(activation)


def layers_of_type(network, kind):
    """Layers of one class between the inputs and ``network``, in order."""
    return [layer for layer in lasagne.layers.get_all_layers(network)
            if isinstance(layer, kind)]


def pooling_layers(network):
    """Pooling layers of a network, first to last."""
    return layers_of_type(network, lasagne.layers.MaxPool2DLayer)


def find_layer(network, name):
    """The layer of that name.

    Raises
    ------
    ValueError
        Naming the layers that there are.
    """
    layers = lasagne.layers.get_all_layers(network)
    for layer in layers:
        if layer.name == name:
            return layer
    known = ", ".join(layer.name for layer in layers if layer.name)
    raise ValueError(f"no layer '{name}' in this network; it has: {known}")
