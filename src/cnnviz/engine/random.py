"""Theano's random numbers, the same to the bit: MRG31k3p.

L'Ecuyer and Touzin (2000), "Fast combined multiple recursive generators
with multipliers of the form a = 2^q + 2^r", WSC 2000.  Element ``i`` of a
sample is drawn by stream ``i`` modulo the number of streams, so all streams
step together, as rows of one tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from theano.sandbox.rng_mrg import DotModulo, mrg_uniform

from cnnviz.engine.registry import UnsupportedOp, implements

if TYPE_CHECKING:
    from theano.gof import Apply

M1, M2 = 2147483647, 2147462579
# A product with the state stays below 2**63.
A12, A13 = 2**22, 2**7 + 1
A21, A23 = 2**15, 2**15 + 1
SCALES = {"float32": 4.6566126e-10, "float64": 4.656612873077392578125e-10}


def step(state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The state after one draw, and the integers drawn.

    Parameters
    ----------
    state : int64 tensor, ``(streams, 6)``

    Returns
    -------
    state : int64 tensor, ``(streams, 6)``
    drawn : int64 tensor, ``(streams,)``
        From 1 to ``M1``.
    """
    x1, x2, x3, y1, y2, y3 = state.unbind(1)
    x = (A12 * x2 + A13 * x3) % M1
    y = (A21 * y1 + A23 * y3) % M2
    drawn = x - y
    drawn = torch.where(drawn <= 0, drawn + M1, drawn)
    return torch.stack([x, x1, x2, y, y1, y2], 1), drawn


@implements(mrg_uniform, host=[1])
def uniform(node: Apply) -> Callable[..., Any]:
    """New state of the generator, and a sample of the uniform distribution."""
    dtype = node.outputs[1].type.dtype
    if dtype not in SCALES:
        raise UnsupportedOp(
            f"the node {node} draws {dtype} numbers; the torch "
            "engine draws float32 and float64 only"
        )
    result, scale = getattr(torch, dtype), SCALES[dtype]

    def run(state, size):
        size = [int(length) for length in size]
        count = torch.Size(size).numel()
        streams = len(state)
        if count > M1:
            raise ValueError("rng_mrg does not support more then (2**31 -1) samples")
        steps, wide, drawn = -(-count // streams), state.long(), []
        for index in range(steps):
            stepped, numbers = step(wide)
            # In the last round only the first streams draw.
            active = min(streams, count - index * streams)
            drawn.append(numbers[:active])
            wide = stepped if active == streams else torch.cat([stepped[:active], wide[active:]])
        numbers = torch.cat(drawn) if drawn else wide.new_empty(0)
        sample = numbers.to(result) * torch.tensor(scale, dtype=result)
        return wide.to(state.dtype), sample.reshape(size)

    return run


@implements(DotModulo)
def dot_modulo(node: Apply) -> Callable[..., Any]:
    """Two products of matrix and vector, each modulo a number, end to end.

    The generator's streams are set apart with it.
    """

    def product(matrix, vector, modulus):
        # One by one, since three products of 31-bit numbers overflow.
        terms = matrix.long() * vector.long() % modulus
        return terms.sum(1) % modulus

    def run(first, a, m, second, b, n):
        return torch.cat([product(first, a, m), product(second, b, n)]).to(a.dtype)

    return run
