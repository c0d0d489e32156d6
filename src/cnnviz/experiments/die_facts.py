"""What the rendered data set is like, in numbers (thesis section 5.1)."""

from collections.abc import Iterable

import numpy as np

from cnnviz.datasets import die360, splits

__all__ = ["Fact", "measure"]

# Views on which the reduction from 128 to 32 pixels is studied.
_REDUCTION_STRIDE = 100
# Which validation images are compared with all training images.
_NEAREST_STRIDE = 40
_TWIN_TOLERANCE = 0.5 / 255

Fact = tuple[float, str]  #: value and unit


def _twin_shares(images: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Shares of views with a twin equal to 0.5/255: on average, everywhere."""
    mean, largest = np.full((2, len(images)), np.inf)
    for index in die360.twins(a, b):
        has = np.flatnonzero(index >= 0)
        for part in np.array_split(has, 20):  # bounds the memory
            difference = np.abs(images[part] - images[index[part]])
            mean[part] = np.minimum(mean[part], difference.mean((1, 2)))
            largest[part] = np.minimum(largest[part], difference.max((1, 2)))
    on_average, everywhere = (
        float(np.mean(values <= _TWIN_TOLERANCE)) for values in (mean, largest)
    )
    return on_average, everywhere


def _reduction_difference(a: np.ndarray, b: np.ndarray) -> float:
    """Mean difference between the author's zoom and a mean of 4x4 blocks."""
    large = die360.render(a, b, die360.NATIVE_SIZE)
    zoom = die360.zoom_matrix()
    side = die360.NATIVE_SIZE // die360.SIZE
    blocks = large.reshape(len(large), die360.SIZE, side, die360.SIZE, side)
    return float(np.abs(zoom @ large @ zoom.T - blocks.mean((2, 4))).mean())


def _nearest_training_picture(images: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Median difference to the nearest training picture, by split."""

    def median(parts: Iterable[tuple[np.ndarray, np.ndarray]]) -> float:
        return float(
            np.median(
                np.concatenate(
                    [
                        splits.nearest_difference(images, training, validation[::_NEAREST_STRIDE])
                        for training, validation in parts
                    ]
                )
            )
        )

    folds = range(splits.FOLDS)
    return (
        median(splits.random_split(len(b), fold) for fold in folds),
        median(splits.separated_split(b, fold) for fold in folds),
    )


def measure(images: np.ndarray) -> dict[str, Fact]:
    """All facts, by name.

    Parameters
    ----------
    images : float32 array, ``(49200, 32, 32)``
        Gray values in [0, 1] of all views.
    """
    a, b, label = die360.angles()
    cosine = die360.prominence(a, b)
    labeled = cosine[np.arange(len(label)), label - 1]
    wrong = cosine.max(axis=1) > labeled + 1e-9
    region = die360.regions(a[::_REDUCTION_STRIDE], b[::_REDUCTION_STRIDE])
    counts = np.bincount(label, minlength=7)[1:]
    sample = slice(None, None, _REDUCTION_STRIDE)
    twins = _twin_shares(images, a, b)
    reduction = _reduction_difference(a[sample], b[sample])
    nearest = _nearest_training_picture(images, b)
    return {
        "samples": (len(label), "1"),
        "image_side": (images.shape[1], "pixel"),
        **{f"samples_of_face_{k}": (int(counts[k - 1]), "1") for k in range(1, 7)},
        "mean": (float(images.mean(dtype=np.float64)), "gray value"),
        "standard_deviation": (float(images.std(dtype=np.float64)), "gray value"),
        "labeled_face_not_most_prominent": (int(wrong.sum()), "1"),
        "labeled_face_not_most_prominent_from": (int(b[wrong].min()), "deg"),
        "labeled_face_not_most_prominent_to": (int(b[wrong].max()), "deg"),
        "share_with_twin_on_average": (twins[0], "1"),
        "share_with_twin_everywhere": (twins[1], "1"),
        "reduction_zoom_against_blocks": (reduction, "gray value"),
        "nearest_training_picture_random": (nearest[0], "gray value"),
        "nearest_training_picture_separated": (nearest[1], "gray value"),
        "share_background": (float(np.mean(region == die360.BACKGROUND)), "1"),
        "share_edge": (float(np.mean(region == die360.EDGE)), "1"),
        "share_pip": (float(np.mean(region > die360.PIP)), "1"),
    }
