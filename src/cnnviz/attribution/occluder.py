"""The occluder: a square of given values, and where it is centered (thesis section 3.2.2)."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnviz.networks.inputs import check_whole
from cnnviz.runtime.errors import UserError

__all__ = ["Occluder", "centers", "centers_on", "values_under"]


@dataclass(frozen=True)
class Occluder:
    """A square that slides over the image.

    Parameters
    ----------
    window : int
        Its rows and columns, odd, so that it has a center; 11 in chapter 4.
    stride : int
        Pixels between neighboring positions.
    baseline : float, or array
        Its values; 0 in standardized images.  Of shape ``(channels,)``, or as a picture that
        shows through the occluder, a mean or blurred image for example:
        ``(channels, rows, columns)``, or one for each image, ``(n, channels, rows, columns)``.

    Raises
    ------
    UserError
        For an even window, or a stride below 1.
    """

    window: int = 11
    stride: int = 1
    baseline: Any = 0.0

    def __post_init__(self) -> None:
        window = check_whole("the occluder's window", self.window, None)
        if window % 2 == 0 or window < 1:
            raise UserError(
                f"the occluder's window must be odd, so that it has a center, not {self.window}"
            )
        check_whole("stride", self.stride)

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.window, self.window

    def first(self, places: np.ndarray) -> np.ndarray:
        """First rows and columns ``(n, 2)`` of occluders with these centers."""
        return places - self.window // 2

    def check_stride(self, shape: tuple[int, ...]) -> None:
        """Raise a UserError where the stride would try the image's first pixel only."""
        if self.stride > max(shape):
            raise UserError(
                f"stride {self.stride} is larger than the image, {shape[0]} × {shape[1]} "
                "pixels: one corner would be occluded and nothing else; choose a "
                "smaller one"
            )


def centers(shape: tuple[int, ...], stride: int = 1, box: Any = None) -> np.ndarray:
    """Pixels on which occluders are centered (thesis Figure 3.1).

    Parameters
    ----------
    shape : (rows, columns)
        Of the image.
    stride : int
        Pixels between neighboring centers; the first is on pixel (0, 0).
    box : (first row, first column, end row, end column), optional
        Only those in it.

    Returns
    -------
    int array, ``(n, 2)``
        Row and column, row by row.

    Raises
    ------
    ValueError
        For a stride below 1.
    """
    check_whole("stride", stride)
    top, left, bottom, right = (0, 0, *shape) if box is None else box
    rows, columns = (
        np.arange(-(-max(first, 0) // stride) * stride, min(end, length), stride)
        for first, end, length in ((top, bottom, shape[0]), (left, right, shape[1]))
    )
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), -1).reshape(-1, 2)


def centers_on(shape: tuple[int, ...], stride: int, box: Any) -> np.ndarray:
    """Centers on what a neuron sees of the image; its middle if a stride misses it all.

    As it may where the border leaves less of a receptive field than a stride.
    """
    places = centers(shape, stride, box)
    if len(places):
        return places
    first, end = np.maximum(box[:2], 0), np.minimum(box[2:], shape)
    return ((first + end - 1) // 2)[np.newaxis]


def values_under(baseline: Any, images: np.ndarray) -> np.ndarray:
    """The occluder's values, as windows and whole passes take them.

    Parameters
    ----------
    baseline : float, or array
        Of shape ``(channels,)``, ``(channels, rows, columns)`` or
        ``(n, channels, rows, columns)``; rows and columns may be 1.
    images : array, ``(n, channels, rows, columns)``

    Returns
    -------
    array, ``(1 or n, channels, 1 or rows, 1 or columns)``

    Raises
    ------
    UserError
        For another shape, or values that are not finite numbers.
    """
    try:
        values = np.asarray(baseline, images.dtype)
    except (TypeError, ValueError):
        raise UserError(f"baseline must be numbers, not {type(baseline).__name__}") from None
    if not np.isfinite(values).all():
        raise UserError("baseline holds values that are not finite")
    count, channels, *size = images.shape
    shape = {
        0: (1, 1, 1, 1),
        1: (1, *values.shape, 1, 1),
        3: (1, *values.shape),
        4: values.shape,
    }.get(values.ndim)
    if (
        shape is None
        or values.ndim == 4
        and shape[0] not in (1, count)
        or (values.ndim and shape[1] != channels)
        or any(have not in (1, want) for have, want in zip(shape[2:], size))
    ):
        raise UserError(
            f"baseline has shape {values.shape}; it must be one number, or of shape "
            f"({channels},), ({channels}, {size[0]}, {size[1]}) or "
            f"({count}, {channels}, {size[0]}, {size[1]}): channels, pixels, images"
        )
    return np.array(np.broadcast_to(values.reshape(shape), (shape[0], channels, *shape[2:])))
