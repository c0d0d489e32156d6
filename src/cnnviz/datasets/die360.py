"""Die360: 49,200 views of a die, labeled with one face's number of pips.

The author's renders are not published; this module makes them anew from the
measured scene (thesis section 5.1; jkalmeij/cnn-vizlib, commit 06b0b8a).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from scipy import ndimage
from tqdm import tqdm

from cnnviz.datasets import die_rendering, die_scene
from cnnviz.datasets.die_scene import BACKGROUND, EDGE, PIP
from cnnviz.runtime import files
from cnnviz.runtime.errors import UserError
from cnnviz.runtime.records import Record, axes, made_from

__all__ = [
    "BACKGROUND",
    "CLASSES",
    "EDGE",
    "PIP",
    "SHOWN",
    "SIZE",
    "Die360",
    "angles",
    "cells",
    "load",
    "prominence",
    "regions",
    "render",
    "standardize",
    "twins",
    "typical_view",
]

CLASSES = 6  #: labels 1 to 6
SIZE = 32  #: side of the data set's images, in pixels
NATIVE_SIZE = 128  #: side of the author's renders
BLOCK_A, BLOCK_B = 30, 41
STARTS_A = range(0, 360, BLOCK_A)
STARTS_B = (50, 140, 230, 320)

# Label of each cell (block of a, block of b); None where views are discarded
# because the bottom-right face is not clearly the most prominent one.
CELLS = (
    (2, 4, 5, 3),
    (2, 4, None, 3),
    (None, 4, 6, 3),
    (1, 4, 6, 3),
    (1, 4, None, 3),
    (None, 4, 2, 3),
    (5, 4, 2, 3),
    (5, 4, None, 3),
    (None, 4, 1, 3),
    (6, 4, 1, 3),
    (6, 4, None, 3),
    (None, 4, 5, 3),
)


def cells() -> list[tuple[int, int, int]]:
    """The 40 labeled cells as rows (first a, first b, label)."""
    return [
        (start_a, start_b, label)
        for start_a, row in zip(STARTS_A, CELLS)
        for start_b, label in zip(STARTS_B, row)
        if label is not None
    ]


def typical_view(label: int) -> tuple[int, int]:
    """Middle (a, b) of the first cell with a label, in degrees."""
    first_a, first_b, _ = next(cell for cell in cells() if cell[2] == label)
    return first_a + BLOCK_A // 2, first_b + BLOCK_B // 2


#: The views that figures show: the middle of the first cell of each face, 1 to 6.
SHOWN = [typical_view(face) for face in range(1, CLASSES + 1)]


def angles() -> Any:
    """View angles and labels of the whole data set.

    Returns
    -------
    a, b, label : int arrays, each ``(49200,)``
        Degrees, degrees, and 1 to 6; cell by cell, then by ``a``, then by
        ``b``.  ``b`` = 360 is given as 0, as in the author's files.
    """
    blocks = []
    for start_a, start_b, label in cells():
        a, b = np.meshgrid(
            np.arange(start_a, start_a + BLOCK_A),
            np.arange(start_b, start_b + BLOCK_B),
            indexing="ij",
        )
        blocks.append((a.ravel(), b.ravel() % 360, np.full(a.size, label)))
    angles_a, angles_b, labels = (np.concatenate(column) for column in zip(*blocks))
    return angles_a, angles_b, labels


def _frames(
    a: float | np.ndarray | Sequence[Sequence[int] | float],
    b: float | np.ndarray | Sequence[Sequence[int] | float],
) -> np.ndarray:
    """Camera frames ``(n, 3, 3)`` of view angles, which are checked."""
    a, b = np.atleast_1d(a), np.atleast_1d(b)
    if a.ndim == b.ndim == 1 and 1 not in (len(a), len(b)) and len(a) != len(b):
        raise UserError(f"{len(a)} angles a and {len(b)} angles b; give as many of both")
    a, b = np.broadcast_arrays(a, b)
    if a.ndim != 1:
        raise UserError(f"angles must be numbers or 1-D arrays, not {a.ndim}-D")
    for name, values in (("a", a), ("b", b)):
        if values.dtype.kind not in "iuf":
            raise UserError(f"angle {name} must be a real number, not {values.dtype}")
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            raise UserError(
                f"angle {name}[{bad[0]}] is {values[bad[0]]}; angles are finite degrees"
            )
    return np.array([die_scene.camera_frame(*pair) for pair in zip(a, b)]).reshape(-1, 3, 3)


def _check_size(size: int) -> None:
    if not (isinstance(size, (int, np.integer)) and (size == SIZE or size >= 64)):
        raise UserError(f"size must be {SIZE} or at least 64 whole pixels, not {size}")


def zoom_matrix() -> np.ndarray:
    """The author's reduction from 128 to 32 pixels as a matrix ``(32, 128)``.

    ``scipy.ndimage.zoom(x, 0.25)`` is linear and separable, so it is the
    product of this matrix with the rows and with the columns of ``x``.
    """
    return ndimage.zoom(np.eye(NATIVE_SIZE), (SIZE / NATIVE_SIZE, 1))


def render(
    a: Any, b: Any, size: Any = SIZE, batch_size: Any = 128, progress: Any = False
) -> np.ndarray:
    """Render views of the die.

    Parameters
    ----------
    a, b : numbers or arrays, ``(n,)``
        View angles in degrees, integer or not.
    size : int
        32 gives the data set's images: rendered at 128 pixels and reduced as
        the author's library does, ``scipy.ndimage.zoom(x, 0.25)``.  Any other
        size (at least 64) is rendered directly.
    batch_size : int
        Views rendered at a time; does not change the result.
    progress : bool
        Show a progress bar.

    Returns
    -------
    float32 array, ``(n, size, size)``
        Gray values in [0, 1] after the sRGB transfer.

    Raises
    ------
    ValueError
        For an angle that is not finite, or an impossible size.

    Notes
    -----
    Thesis section 5.1.  Against Blender's own renders of the scene the mean
    absolute error is 0.60/255 at 32 pixels and 0.62/255 at 128.
    """
    _check_size(size)
    if batch_size < 1:
        raise UserError(f"batch_size must be at least 1, not {batch_size}")
    frames = _frames(a, b)
    out = np.empty((len(frames), size, size), np.float32)
    reduce = zoom_matrix().astype(np.float32) if size == SIZE else None
    with tqdm(total=len(frames), unit=" views", desc="rendering", disable=not progress) as bar:
        for start in range(0, len(frames), batch_size):
            part = slice(start, start + batch_size)
            if reduce is None:
                out[part] = die_rendering.render(frames[part], size)
            else:
                images = die_rendering.render(frames[part], NATIVE_SIZE)
                out[part] = np.clip(reduce @ images @ reduce.T, 0, 1)
            bar.update(len(frames[part]))
    return out


def regions(
    a: float | np.ndarray | Sequence[Sequence[int] | float],
    b: int | np.ndarray | Sequence[Sequence[int] | int],
    size: int = SIZE,
) -> np.ndarray:
    """Exact region of every pixel of a render.

    Parameters
    ----------
    a, b : numbers or arrays, ``(n,)``
        View angles in degrees.
    size : int
        As in :func:`render`; at 32 pixels, the places on the 128-pixel render
        at which the reduction samples it.

    Returns
    -------
    uint8 array, ``(n, size, size)``
        :data:`BACKGROUND`, 1 to 6 (the flat part of the face with that
        number), :data:`EDGE` (between faces: the surface leans more than 15
        degrees from its face), or :data:`PIP` + number (the dent of a pip, to
        half its depth).

    Raises
    ------
    ValueError
        For an angle that is not finite, or an impossible size.
    """
    _check_size(size)
    frames = _frames(a, b)
    if size == SIZE:
        # Corner-aligned sampling: first and last places are pixel centers.
        places = np.linspace(0.5, NATIVE_SIZE - 0.5, SIZE)
        return die_rendering.regions(frames, places, NATIVE_SIZE)
    return die_rendering.regions(frames, np.arange(size) + 0.5, size)


def prominence(
    a: np.ndarray | tuple[int, int, int], b: np.ndarray | tuple[int, int, int]
) -> np.ndarray:
    """How directly each face looks at the camera.

    Parameters
    ----------
    a, b : numbers or arrays, ``(n,)``
        View angles in degrees.

    Returns
    -------
    array, ``(n, 6)``
        Cosine between the outward normal of face 1 ... 6 and the direction to
        the camera.
    """
    direction = _frames(a, b)[:, 0]
    cosine = np.stack([direction, -direction], axis=2).reshape(-1, 6)
    return cosine[:, np.argsort(die_scene.FACE_NUMBER)]


def twins(a: np.ndarray, b: np.ndarray) -> list[np.ndarray]:
    """Views that show the same picture when only one face is in view.

    Turning the die about the axis of a face that looks the same afterwards,
    together with the camera, gives the same picture of that face: faces 3 and
    4 at other ``a`` and equal ``b``, the others in the opposite block of ``b``.

    Parameters
    ----------
    a, b : int arrays, ``(n,)``
        From :func:`angles`, in that order.

    Returns
    -------
    list of int arrays, each ``(n,)``
        Index of one twin of every view, -1 where the data set has none.
    """
    label = angles()[2]
    place = {pair: k for k, pair in enumerate(zip(a.tolist(), b.tolist()))}
    half = [((a + 180) % 360, b)]  # faces 3 and 4
    quarters = [((a + turn) % 360, b) for turn in (90, 270)]  # face 4
    about_x = [((180 - a) % 360, (180 + b) % 360)]  # faces 2 and 5
    about_y = [((-a) % 360, (180 + b) % 360)]  # faces 1 and 6
    pairs = []
    for views, faces in ((half, (3, 4)), (quarters, (4,)), (about_x, (2, 5)), (about_y, (1, 6))):
        for other_a, other_b in views:
            index = np.array(
                [place.get(pair, -1) for pair in zip(other_a.tolist(), other_b.tolist())]
            )
            same = np.isin(label, faces) & (index >= 0)
            same &= label[index] == label
            pairs.append(np.where(same, index, -1))
    return pairs


class Die360(NamedTuple):
    """The data set, standardized by one mean and one standard deviation."""

    images: np.ndarray  #: float32 ``(n, 1, 32, 32)``
    labels: np.ndarray  #: int32 ``(n,)``, 0 to 5
    a: np.ndarray  #: degrees, ``(n,)``
    b: np.ndarray  #: degrees, ``(n,)``
    mean: float  #: of the gray values before standardization
    std: float  #: of the gray values before standardization
    sampling_stride: int = 1  #: every n-th view of :func:`angles`


@dataclasses.dataclass(frozen=True)
class RenderedViews(Record):
    """Gray values in [0, 1] of every n-th view, in the order of :func:`angles`."""

    command: ClassVar[str] = "cnnviz render"

    sampling_stride: int
    images: np.ndarray = axes("view", "row", "column")


def standardize(images: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Global standardization: one mean, one standard deviation.

    Parameters
    ----------
    images : array, ``(n, h, w)``

    Returns
    -------
    float32 array ``(n, 1, h, w)``, mean, standard deviation
    """
    # In float64: a float32 sum over 50 million pixels loses three digits.
    mean, std = images.mean(dtype=np.float64), images.std(dtype=np.float64)
    if std == 0:
        raise UserError("all gray values are equal; nothing to standardize by")
    scaled = images - np.float32(mean)
    scaled /= np.float32(std)
    return scaled[:, np.newaxis], float(mean), float(std)


def write(path: Path, sampling_stride: int = 1, size: int = SIZE, progress: bool = False) -> None:
    """Render views of the data set into a file, for ``cnnviz render``.

    Parameters
    ----------
    path : path
        ``.npz`` file, a :class:`RenderedViews`.
    sampling_stride : int
        Render every n-th view only (small configurations for tests).
    size : int
        Pixels along each side.
    progress : bool
        Show a progress bar.

    Raises
    ------
    UserError, StorageError
        For impossible numbers, or a full disk, before the work.
    """
    if sampling_stride < 1:
        raise UserError(f"--sampling-stride must be at least 1, not {sampling_stride}")
    a, b, _ = (column[::sampling_stride] for column in angles())
    files.require_space(Path(path).parent, 4 * len(a) * size**2)
    views = RenderedViews(sampling_stride, render(a, b, size, progress=progress))
    views.save(path, made_from(sampling_stride=sampling_stride, size=size))


def load_views(path: Any) -> RenderedViews:
    """Rendered views of the data set as they are in a file of :func:`write`.

    Returns
    -------
    RenderedViews
        Of 32 by 32 pixels.

    Raises
    ------
    MissingFileError, UserError
        Naming the file and the remedy.
    """
    views = RenderedViews.load(path)
    images, stride = views.images, views.sampling_stride
    remedy = f"delete the file and run 'cnnviz render --sampling-stride {stride} -o {path}' again"
    shape = (len(angles()[0][::stride]), SIZE, SIZE)
    if images.shape != shape:
        raise UserError(f"{path}: shape {images.shape} instead of {shape}; {remedy}")
    if images.dtype != np.float32:
        raise UserError(f"{path}: {images.dtype} instead of float32; {remedy}")
    if not np.isfinite(images).all():
        raise UserError(f"{path}: gray values that are not finite; {remedy}")
    if images.min() < 0 or images.max() > 1:
        raise UserError(f"{path}: gray values outside [0, 1]; {remedy}")
    return views


def load(path: Path) -> Die360:
    """Load rendered images and standardize them.

    Parameters
    ----------
    path : path
        File of :func:`write`.

    Returns
    -------
    Die360

    Raises
    ------
    MissingFileError, UserError
        Naming the file and the remedy.
    """
    views = load_views(path)
    a, b, label = (column[:: views.sampling_stride] for column in angles())
    images, mean, std = standardize(views.images)
    labels = (label - 1).astype(np.int32)
    return Die360(images, labels, a, b, mean, std, views.sampling_stride)
