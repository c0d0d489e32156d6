"""Run Theano's graphs on PyTorch's kernels, on the CPU or a current GPU.

For your own Theano code, three lines::

    import theano
    from cnnviz import engine
    f = theano.function([x], y, mode=engine.mode(device="cuda"))

Graphs, gradients, shared variables, updates and random numbers stay
Theano's; only what executes them changes.  docs/engine.md explains how.
"""

from __future__ import annotations

from typing import Any

import torch

# Each of these registers implementations of Ops.
from cnnviz.engine import (
    convolution,
    elementwise,
    indexing,
    optimizer,
    pooling,
    random,
    reductions,
    shapes,
    softmax,
)
from cnnviz.engine.linker import TorchLinker, TorchMode
from cnnviz.engine.registry import UnsupportedOp, implements, supported

__all__ = ["mode"]


def mode(
    device: Any = "auto", tf32: bool = False, check: bool = False, resident: bool | None = None
) -> TorchMode:
    """A Theano compilation mode that runs on PyTorch.

    Parameters
    ----------
    device : str or torch.device
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``, or ``"auto"``: CUDA where there
        is a GPU.
    tf32 : bool
        Let a GPU round the operands of convolutions and matrix products to
        10 bits of mantissa: faster, and good to about three digits only.
        PyTorch knows this setting for the whole process.
    check : bool
        After every node, check dtype and dimensions against Theano's; slow.
    resident : bool, optional
        Whether shared variables hold PyTorch tensors; the default is true
        on every device but the CPU.

    Returns
    -------
    theano.compile.mode.Mode

    Raises
    ------
    ValueError
        For a device that is unknown or not there.
    """
    device = find_device(device)
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = tf32
        torch.backends.cudnn.allow_tf32 = tf32
    return TorchMode(TorchLinker(device, check, resident), optimizer.query())


def find_device(name: str = "auto") -> torch.device:
    """The ``torch.device`` of that name.

    Raises
    ------
    ValueError
        For a device that is unknown or not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"unknown device '{name}'; choose auto, cpu, cuda or cuda:n") from None
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            raise ValueError(
                f"device '{name}' is not there: PyTorch sees {count} CUDA "
                "device(s); choose auto or cpu, or install a CUDA build of "
                "PyTorch and the driver"
            )
    return device
