"""Figure 4.1: macula, fovea and optic disc of healthy eyes.

Rule, not choice: the first synthetic eye of grade 0 of the data set, without artifacts,
all three well inside; M. Häggström's photograph, which scikit-image ships; and,
where there is a mirror, the first healthy photograph of IDRiD's test split.
Circles have the usual sizes, in distances between disc and fovea; that of a synthetic
disc has its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from skimage import data

from cnnviz.datasets import external, fundus, idrid
from cnnviz.thesis.figures import annotated, conspicuous, eyes, pointers, shapes, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SEARCHED = 200  # patients
MARGIN = 0.05  # of circles within the field of view, in radii
#: Usual diameters of macula and fovea, and usual distance from the middle of the optic
#: disc to the fovea, in millimeters.
MACULA, FOVEA, DISTANCE = 5.5, 1.5, 4.76
#: That distance is so many diameters of the disc (Jonas et al. 2015, PLoS ONE 10 (9),
#: e0138701; the distance, too).
DISCS = 2.65
#: Read off M. Häggström's photograph by eye: (row, column).
RETINA = {"optic disc": (650, 217), "fovea": (702, 712)}


class Anatomy(NamedTuple):
    """An eye, and where its disc and fovea are: (x, y) in radii."""

    title: str
    eye: Any  #: annotated.Synthetic or annotated.Real
    disc: tuple
    fovea: tuple
    rim: float | None = None  #: radius of the disc; the usual one if not known


def circles(anatomy: Anatomy) -> list[tuple[tuple[Any, ...], float]]:
    """Macula, fovea and disc of an eye: list of (x, y), radius."""
    distance = np.hypot(*np.subtract(anatomy.disc, anatomy.fovea))
    return [
        (anatomy.fovea, MACULA / DISTANCE * distance / 2),
        (anatomy.fovea, FOVEA / DISTANCE * distance / 2),
        (anatomy.disc, anatomy.rim or distance / DISCS / 2),
    ]


def inside(anatomy: Any) -> bool:
    """Whether all circles lie within the field of view, with a margin."""
    return all(
        np.hypot(*place) + radius <= 1 - MARGIN
        and abs(place[1]) + radius <= anatomy.eye.half - MARGIN
        for place, radius in circles(anatomy)
    )


def synthetic(seed: Any) -> Any:
    """The first synthetic eye: Anatomy."""

    def choose(eye):
        x, y, radius, elongation = eye.scene.disc[:4]
        found = Anatomy("", eye, (x, y), tuple(eye.scene.fovea), radius * np.sqrt(elongation))
        return found if inside(found) else None

    name, _, found = conspicuous.first(seed, (0,), SEARCHED, choose)
    return found._replace(title=f"synthetic photograph {name}")


def real(title: str, image: np.ndarray, centers: Any) -> Anatomy:
    """A photograph with known centers, in its pixels: Anatomy."""
    eye = eyes.Real(image)
    disc, fovea = (tuple(eye.place(*centers[name])) for name in ("optic disc", "fovea"))
    return Anatomy(title, eye, disc, fovea)


def from_idrid(mirror: Any) -> Any:
    """The first healthy photograph of the test split: Anatomy."""
    record = next(each for each in idrid.records("test") if each.grade == 0)
    image = fundus.read_image(external.in_mirror(mirror, f"idrid/grading/images/{record.name}.jpg"))
    reduced = idrid.SHAPE[0] / image.shape[0]
    return real(
        record.name,
        image,
        {name: (np.array(place) + 0.5) / reduced - 0.5 for name, place in record.centers.items()},
    )


def _annotate(axes: Axes, view, anatomy) -> None:
    point = pointers.POINT
    for name, above, (place, radius) in zip(
        ("macula", "fovea", "optic disc"), (True, False, False), circles(anatomy)
    ):
        center, radius = view.pixel(*place), radius * view.density
        shapes.circle(axes, center, radius)
        edge = (radius + 2 * point) * (-1 if above else 1)
        shapes.on_picture(
            axes, center + (edge, 0), name, ha="center", va="bottom" if above else "top"
        )


def draw(healthy: Sequence[Anatomy]) -> Figure:
    """Draw the figure.

    Parameters
    ----------
    healthy : list of Anatomy

    Returns
    -------
    matplotlib.figure.Figure
    """
    gap, title = 0.07, 0.2
    width = (style.PAGE_WIDTH - gap * (len(healthy) + 1)) / len(healthy)
    height = width * max(anatomy.eye.half for anatomy in healthy)
    figure = style.new(height + title + gap)
    for index, anatomy in enumerate(healthy):
        view = eyes.whole(anatomy.eye, width * style.RESOLUTION / 2)
        axes = annotated.axes_at(
            figure, gap + index * (width + gap), title, width, width * anatomy.eye.half
        )
        style.show(axes, view.picture)
        _annotate(axes, view, anatomy)
        style.keep_limits(axes, view.picture)
        axes.set_title(f"({'abc'[index]}) {anatomy.title}", loc="left", pad=3)
    return figure


def make(output: Any, *, mirror: Any, seed: Any) -> None:
    healthy = [synthetic(seed), real("photograph by M. Häggström", data.retina(), RETINA)]
    mirror = external.mirror(mirror)
    if mirror:
        healthy.append(from_idrid(mirror))
    style.save(draw(healthy), output)
