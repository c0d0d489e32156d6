"""De Fauw's convolutional layers in plain PyTorch, with given weights.

What a reader would write to use Captum: channels last, no gradients of weights.
"""
import torch
import torch.nn.functional as F
from torch import nn

from cnnviz.backend import lasagne
from cnnviz.networks.defauw import LEAKINESS

L = lasagne.layers


class Stack(nn.Module):
    """The layers up to a pooling layer of a Lasagne network."""

    def __init__(self, layer):
        super().__init__()
        self.steps = []
        for each in L.get_all_layers(layer)[1:]:
            if isinstance(each, L.Conv2DLayer):
                weights = torch.from_numpy(each.W.get_value()).contiguous(
                    memory_format=torch.channels_last)
                # Untied: one for every place, which no layer of PyTorch has.
                bias = torch.from_numpy(each.b.get_value())[None].contiguous(
                    memory_format=torch.channels_last)
                self.steps.append(("convolution", weights, bias, each.stride[0],
                                   each.filter_size[0] // 2))
            else:
                self.steps.append(("pooling", each.pool_size[0], each.stride[0]))

    def forward(self, images):
        value = images.contiguous(memory_format=torch.channels_last)
        for kind, *options in self.steps:
            if kind == "convolution":
                weights, bias, stride, padding = options
                value = F.leaky_relu(F.conv2d(value, weights, None, stride, padding)
                                     + bias, LEAKINESS)
            else:
                value = F.max_pool2d(value, *options)
        return value
