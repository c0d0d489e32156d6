"""The Ops of :mod:`cnnviz.attribution.windowed.ops` on the torch engine.

On the CPU they are the kernels of that module; on any other device the same
is said with PyTorch's indexing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from cnnviz.attribution.windowed import ops
from cnnviz.engine.registry import implements

if TYPE_CHECKING:
    from theano.gof import Apply

_SIZE = [-2, -1]


def take(
    source: torch.Tensor, images: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Values at places, and which places are in the map.

    Parameters
    ----------
    source : ``(m, rows, columns, channels)``
    images : ``(n,)``
    rows, columns : ``(n, a)``, ``(n, b)``

    Returns
    -------
    ``(n, a, b, channels)``, of any value outside the map; ``(n, a, b, 1)``
    """
    inside = [
        (lines >= 0) & (lines < limit) for lines, limit in zip((rows, columns), source.shape[1:3])
    ]
    if not source.shape[1] or not source.shape[2]:
        shape = (*rows.shape, columns.shape[1], source.shape[3])
        return source.new_zeros(shape), inside[0][:, :, None, None] & False & inside[1][
            :, None, :, None
        ]
    taken = source[
        images[:, None, None],
        rows.clamp(0, source.shape[1] - 1)[:, :, None],
        columns.clamp(0, source.shape[2] - 1)[:, None, :],
    ]
    return taken, (inside[0][:, :, None] & inside[1][:, None, :])[..., None]


def _lines(start: torch.Tensor, size: Sequence[Any]) -> list[torch.Tensor]:
    return [start[:, k, None] + torch.arange(size[k], device=start.device) for k in range(2)]


def cut(
    source: torch.Tensor,
    images: torch.Tensor,
    start: torch.Tensor,
    fill: torch.Tensor,
    *others: Any,
) -> torch.Tensor:
    new, new_start, box, occluder, *size = others
    rows, columns = _lines(start, size)
    result, inside = take(source, images, rows, columns)
    result = torch.where(inside, result, fill)
    items = torch.arange(len(new), device=new.device)
    if new.shape[1]:
        fresh, there = take(new, items, rows - new_start[:, :1], columns - new_start[:, 1:])
        result = torch.where(there, fresh, result)
    hidden: Any = [
        (lines >= box[:, k, None]) & (lines < (box[:, k] + box[:, k + 2])[:, None])
        for k, lines in enumerate((rows, columns))
    ]
    hidden = (hidden[0][:, :, None] & hidden[1][:, None, :])[..., None] & inside
    # One number along an axis counts everywhere.
    each, high, wide = (int(length > 1) for length in occluder.shape[:3])
    over, _ = take(occluder, images * each, rows * high, columns * wide)
    return torch.where(hidden, over, result)


def add(value: torch.Tensor, source: torch.Tensor, start: torch.Tensor, *size: Any) -> torch.Tensor:
    rows, columns = _lines(start, size)
    return value + source[rows[:, :, None], columns[:, None, :]]


def scale(
    gradient: torch.Tensor,
    start: torch.Tensor,
    slopes: torch.Tensor,
    images: torch.Tensor,
    out_start: torch.Tensor,
    *size: Any,
) -> torch.Tensor:
    rows, columns = _lines(out_start, size)
    items = torch.arange(len(gradient), device=gradient.device)
    value, there = take(gradient, items, rows - start[:, :1], columns - start[:, 1:])
    slope, inside = take(slopes, images, rows, columns)
    return torch.where(there & inside, value * slope, 0)


def pool_back(
    gradient: torch.Tensor,
    start: torch.Tensor,
    switches: torch.Tensor,
    slopes: torch.Tensor,
    images: torch.Tensor,
    out_start: torch.Tensor,
    geometry: torch.Tensor,
    *size: Any,
) -> torch.Tensor:
    rows, columns = _lines(out_start, size)
    slope, inside = take(slopes, images, rows, columns)
    items = torch.arange(len(gradient), device=gradient.device)
    (high, wide), stride, pad = geometry.tolist()
    result = torch.zeros_like(slope)
    # PyTorch has no bit operations on unsigned integers.
    switches = switches.view(getattr(torch, str(switches.dtype).split(".u")[1]))
    bits = 8 * switches.element_size()
    for u, v in itertools.product(range(high), range(wide)):
        down, right = rows + pad[0] - u, columns + pad[1] - v
        i, j = down // stride[0], right // stride[1]
        word, bit = divmod(u * wide + v, bits)
        held, real = take(switches[:, :, :, word], images, i, j)
        value, there = take(gradient, items, i - start[:, :1], j - start[:, 1:])
        whole = ((down % stride[0] == 0)[:, :, None] & (right % stride[1] == 0)[:, None, :])[
            ..., None
        ]
        chosen = (held >> bit) & 1 != 0
        result += torch.where(real & there & whole & chosen, value, 0)
    return torch.where(inside, result * slope, 0)


_ELSEWHERE = {ops.Cut: cut, ops.Add: add, ops.Scale: scale, ops.PoolBack: pool_back}


@implements(*_ELSEWHERE, host=_SIZE)
def windowed(node: Apply) -> Callable[..., Any]:
    """The Op's kernel on the CPU, PyTorch's indexing elsewhere."""
    compute = node.op.compute
    elsewhere: Any = _ELSEWHERE[type(node.op)]

    def run(*inputs):
        tensors = inputs[:-2]
        if tensors[0].device.type != "cpu":
            return elsewhere(*tensors, *inputs[-2:])
        return torch.from_numpy(compute(*(tensor.numpy() for tensor in tensors), *inputs[-2:]))

    return run
