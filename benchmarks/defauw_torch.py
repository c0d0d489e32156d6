"""De Fauw's convolutional layers in plain PyTorch, with given weights.

What a reader would write by hand, to train them or to use Captum: channels last.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from cnnviz.networks.defauw import LEAKINESS
from cnnviz.runtime.backend import lasagne

L = lasagne.layers


class Stack(nn.Module):
    """The layers up to a pooling layer of a Lasagne network.

    Parameters have gradients on request: ``requires_grad_()``.
    """

    def __init__(self, layer):
        super().__init__()
        self.steps = nn.ModuleList(
            Convolution(each)
            if isinstance(each, L.Conv2DLayer)
            else nn.MaxPool2d(each.pool_size[0], each.stride[0])
            for each in L.get_all_layers(layer)[1:]
        )

    def forward(self, images):
        value = images.contiguous(memory_format=torch.channels_last)
        for step in self.steps:
            value = step(value)
        return value


class Convolution(nn.Module):
    """One convolution with its rectifier."""

    def __init__(self, layer):
        super().__init__()
        self.stride, self.padding = layer.stride[0], layer.filter_size[0] // 2
        # Biases are untied: one for every place, which no layer of PyTorch has.
        self.weight, self.bias = (
            nn.Parameter(
                torch.from_numpy(each).contiguous(memory_format=torch.channels_last),
                requires_grad=False,
            )
            for each in (layer.W.get_value(), layer.b.get_value()[np.newaxis])
        )

    def forward(self, value):
        value = F.conv2d(value, self.weight, None, self.stride, self.padding)
        return F.leaky_relu(value + self.bias, LEAKINESS)
