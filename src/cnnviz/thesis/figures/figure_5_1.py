"""Figure 5.1: an accepted projection and two discarded ones.

The views are found by rule.  (a) is the middle of the first cell labeled two.
Among the discarded views of whole degrees, (b) is the one nearest to (a) in
which the two most prominent faces look equally directly at the camera, and (c)
the one nearest to (a) whose most prominent face, by a clear margin, is not the
one at the bottom right.  Near means the angle of the rotation between views.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cnnviz.datasets import die360, die_scene
from cnnviz.thesis.figures import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE = 128
LABEL = 2
# Cosines this close count as equal, and this far apart as clearly different.
EQUAL, CLEAR = 0.01, 0.2


def _frames(views: Sequence[tuple[int, int]] | np.ndarray) -> np.ndarray:
    return np.array([die_scene.camera_frame(*view) for view in views])


def rotation_between(frames: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Angle in degrees of the rotation from each frame ``(n, 3, 3)`` to one."""
    trace = np.einsum("nij,ij->n", frames, frame)
    return np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1)))


def bottom_right_face(frames: np.ndarray) -> np.ndarray:
    """Number of the visible face that lies farthest to the bottom right."""
    normals = np.repeat(np.eye(3), 2, axis=0) * np.tile([1, -1], 3)[:, None]
    normals = normals[np.argsort(die_scene.FACE_NUMBER)]
    direction, right, up = np.moveaxis(frames, 1, 0)
    place = (right - up) @ normals.T
    # A face is in view where its plane lies before the camera.
    visible = direction @ normals.T > 1 / die_scene.CAMERA_DISTANCE
    return np.where(visible, place, -np.inf).argmax(axis=1) + 1


def choose_views() -> list[tuple[int, int]]:
    """The three views (a, b) of the figure, in degrees."""
    accepted = die360.typical_view(LABEL)
    taken = set(zip(*(column.tolist() for column in die360.angles()[:2])))
    views = np.array([(a, b) for a in range(360) for b in range(360) if (a, b) not in taken])
    frames = _frames(views)
    distance = rotation_between(frames, _frames([accepted])[0])
    cosine = die360.prominence(*views.T)
    second, first = np.sort(cosine, axis=1)[:, -2:].T
    ambiguous = first - second < EQUAL
    elsewhere = (first - second > CLEAR) & (cosine.argmax(axis=1) + 1 != bottom_right_face(frames))
    nearest = [
        tuple(views[mask][distance[mask].argmin()].tolist()) for mask in (ambiguous, elsewhere)
    ]
    return [accepted, *nearest]


def draw(images: np.ndarray, views: Sequence[tuple[int, int]]) -> Figure:
    """Draw the figure.

    Parameters
    ----------
    images : array, ``(3, rows, columns)``
    views : three pairs (a, b) in degrees

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = style.new(2.75)
    titles = (
        "(a) accepted: the face at the bottom right\nis the most prominent one (label two)",
        "(b) discarded: two faces are\nequally prominent",
        "(c) discarded: the most prominent face\nis not at the bottom right",
    )
    for k, axes in enumerate(figure.subplots(1, 3)):
        style.show(axes, images[k])
        axes.set_title(titles[k])
        axes.set_xlabel("a = {}°, b = {}°".format(*views[k]))
    figure.subplots_adjust(left=0.01, right=0.99, top=0.86, bottom=0.06, wspace=0.05)
    return figure


def make(output: Path) -> None:
    views = choose_views()
    style.save(
        draw(die360.render([a for a, _ in views], [b for _, b in views], SIZE), views), output
    )
