"""Grades of single photographs or of eye pairs by De Fauw's network (thesis section 4.2)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnnviz.datasets import fundus
from cnnviz.experiments import defauw_network
from cnnviz.runtime.errors import UserError
from cnnviz.training.fundus_network import EyeReader

__all__ = ["GRADES", "EyeGrade", "caution", "grade_eyes", "lines"]

#: Of the International Clinical Disease Severity Scale.
GRADES = ("no retinopathy", "mild", "moderate", "severe", "proliferative")


@dataclass(frozen=True)
class EyeGrade:
    """What the network says of one photograph."""

    name: str
    posteriors: np.ndarray  #: ``(5,)``

    @property
    def grade(self) -> int:
        """The most probable grade, 0 to 4."""
        return int(self.posteriors.argmax())


def grade_eyes(
    images: Sequence[Path], weights: str, path: Path | None = None, pairs: bool = False
) -> list[EyeGrade]:
    """Grade photographs.

    Parameters
    ----------
    images : sequence of path
        Fundus photographs.
    weights : str
        See :func:`.defauw_network.built`.
    path : path, optional
        Weight file, instead of the usual place.
    pairs : bool
        Whether every two photographs are both eyes of a patient, left and right; otherwise each
        eye is shown twice, as for patients of whom one eye is missing.

    Returns
    -------
    list of EyeGrade

    Raises
    ------
    UserError
        For a file that is no fundus photograph, or an odd number of photographs with ``pairs``.
    """
    if pairs and len(images) % 2:
        raise UserError(f"--pairs: {len(images)} photographs are no pairs of eyes")
    photographs = [fundus.photograph(image.name, fundus.read_image(image)) for image in images]
    network, _ = defauw_network.built(weights, path=path)
    reader = EyeReader(network)
    maps = reader.maps(np.stack([fundus.to_bytes(photograph.pixels) for photograph in photographs]))
    dimensions = np.stack([photograph.dimensions for photograph in photographs])
    index = np.arange(len(images))
    shown = index.reshape(-1, 2) if pairs else np.stack([index, index], axis=1)
    posteriors = reader.posteriors(maps, dimensions, shown)
    each_eye = posteriors.reshape(-1, len(GRADES)) if pairs else posteriors[:, 0]
    return [EyeGrade(each.name, values) for each, values in zip(photographs, each_eye)]


def caution(weights: str) -> str:
    """What must be known of these weights before their grades are believed."""
    return {
        "random": "Random weights: these grades mean nothing.",
        "defauw": "De Fauw's weights; for research, not for diagnosis.",
    }.get(
        weights,
        "Surrogate weights, trained mostly on synthetic photographs: on photographs of other "
        "cameras they agree poorly with graders (see weights/fundus/README.md). For research, "
        "not for diagnosis.",
    )


def lines(grades: Sequence[EyeGrade]) -> Iterator[str]:
    """One line for each photograph."""
    for each in grades:
        values = " ".join(f"{value:.3f}" for value in each.posteriors)
        yield f"{each.name}: grade {each.grade} ({GRADES[each.grade]}); posteriors {values}"
