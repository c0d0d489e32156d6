"""The picture that ``cnnviz visualize`` looks at, as a network takes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz.datasets import die360, fundus_transform, network_inputs, pictures
from cnnviz.networks import by_name
from cnnviz.runtime import files
from cnnviz.runtime.errors import UserError
from cnnviz.thesis.figures.visualize import Picture

if TYPE_CHECKING:
    from cnnviz.thesis.figures.visualize_request import Request

__all__ = ["picture_of", "standardization"]


def standardization(
    request: Request, channels: int, stored: np.ndarray | None
) -> tuple[float | np.ndarray, np.ndarray]:
    """Mean and standard deviation of the input; ``stored`` is a mean image or None."""
    array = request.image is not None and network_inputs.is_array(request.image)
    if stored is None or request.mean or array:
        return pictures.standardization(request.network, request.mean, request.std, channels)
    # Values beyond 1 are of pictures whose gray values reach 255.
    most = 255.0 if stored.max() > 1 else 1.0
    _, std = pictures.standardization(request.network, None, request.std or [1 / most], channels)
    if stored.ndim and len(stored) != channels:
        raise UserError(
            f"{request.weights}: its mean image has shape {stored.shape}, and the "
            f"network's input has {channels} channels; give --mean"
        )
    print(
        f"{request.weights}: its mean image is subtracted, of gray values up to {most:g}, "
        "since there is no --mean; the channels of pictures are red, green and blue (for "
        "another order, give --image a .npy array)",
        flush=True,
    )
    return stored / most, std


def picture_of(request: Any, shape: tuple[int, int, int], scale: Any) -> Picture:
    """The image as the network takes it, and the scale in which it is shown."""
    if network_inputs.is_array(request.image):
        pixels = network_inputs.read(request.image, shape)
        if by_name.is_own(request.network):  # others' arrays are as these take them
            mean, std = (np.reshape(each, (-1, 1, 1)) for each in scale)
            pixels = (pixels - mean) / std
        return Picture(pixels.astype(np.float32), *scale)
    if Path(request.image).is_file():
        files.refuse_pointer(request.image)
    shape = _own_size(request.image, shape)
    mean, std = scale
    if np.ndim(mean) == 3:
        if mean.shape[1:] != shape[1:]:
            print(
                f"the mean image has {mean.shape[1]} × {mean.shape[2]} pixels, the "
                f"network's input {shape[1]} × {shape[2]}: its average for each channel is "
                "subtracted",
                flush=True,
            )
            mean = mean.mean(axis=(1, 2))
        else:
            gray = pictures.read_image(request.image, request.network, shape, [0.0], [1.0])
            pixels = (gray - mean) / np.reshape(std, (-1, 1, 1))
            return Picture(pixels.astype(np.float32), mean, std)
    return Picture(pictures.read_image(request.image, request.network, shape, mean, std), mean, std)


def _own_size(image: Any, shape: Any) -> tuple[int, int, int]:
    """The shape of the input, with a picture's own rows and columns where it has none."""
    if shape[0] not in (1, 3):
        raise UserError(
            f"the network's input has {shape[0]} channels; --image gives one "
            "(gray) or three (red, green, blue) of a picture, and any number of "
            "a .npy array (channels, rows, columns)"
        )
    if None not in shape:
        return shape
    kind = image.partition(":")[0]
    size: Any = {"die": (die360.SIZE,) * 2, "synthetic": (fundus_transform.SIZE,) * 2}.get(kind)
    if size is None:
        size = pictures.read_picture(image).shape[:2]
    shape = (shape[0], *(own if fixed is None else fixed for own, fixed in zip(size, shape[1:])))
    print(
        f"the network takes pictures of any size: {shape[1]} × {shape[2]}, this one's own",
        flush=True,
    )
    return shape
