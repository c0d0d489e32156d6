"""Softmax and cross-entropy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
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

from cnnviz.engine.registry import implements

if TYPE_CHECKING:
    from theano.gof import Apply

# Convolution (thesis eq. 2.2)


# Pooling (thesis section 2.1.2)


# Softmax and cross-entropy


@implements(Softmax)
def softmax(node: Apply) -> Callable[..., Any]:
    return lambda value: torch.softmax(value, -1)


@implements(LogSoftmax)
def log_softmax(node: Apply) -> Callable[..., Any]:
    return lambda value: torch.log_softmax(value, -1)


@implements(SoftmaxWithBias)
def softmax_with_bias(node: Apply) -> Callable[..., Any]:
    return lambda value, bias: torch.softmax(value + bias, -1)


@implements(SoftmaxGrad)
def softmax_grad(node: Apply) -> Callable[..., Any]:
    return lambda top, posterior: posterior * (top - (top * posterior).sum(-1, keepdim=True))


def _labels(labels: torch.Tensor, posterior: torch.Tensor) -> torch.Tensor:
    """Labels as a column of indices; Theano refuses negative ones."""
    labels = labels.long()
    if labels.device.type == "cpu" and labels.numel() and labels.min() < 0:
        raise ValueError("y_i value out of bounds")
    return labels[:, None]


@implements(CrossentropySoftmaxArgmax1HotWithBias)
def crossentropy_softmax(node: Apply) -> Callable[..., Any]:
    """Loss, posterior and most probable class."""

    def run(value, bias, labels):
        value = value + bias
        logarithm = torch.log_softmax(value, -1)
        loss = -logarithm.gather(1, _labels(labels, value))[:, 0]
        return loss, torch.softmax(value, -1), torch.argmax(value, -1).to(labels.dtype)

    return run


@implements(CrossentropySoftmax1HotWithBiasDx)
def crossentropy_softmax_grad(node: Apply) -> Callable[..., Any]:
    def run(top, posterior, labels):
        top = top.reshape(-1, 1).expand(len(posterior), 1)
        gradient = posterior * top
        return gradient.scatter_add_(1, _labels(labels, posterior), -top)

    return run


@implements(CrossentropyCategorical1Hot)
def crossentropy(node: Apply) -> Callable[..., Any]:
    return lambda posterior, labels: (
        -torch.log(posterior.gather(1, _labels(labels, posterior))[:, 0])
    )


@implements(CrossentropyCategorical1HotGrad)
def crossentropy_grad(node: Apply) -> Callable[..., Any]:
    def run(top, posterior, labels):
        labels = _labels(labels, posterior)
        gradient = torch.zeros_like(posterior)
        return gradient.scatter_(1, labels, -top[:, None] / posterior.gather(1, labels))

    return run
