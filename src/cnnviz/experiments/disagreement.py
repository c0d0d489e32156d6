"""The view of the die whose posteriors differ most from those of its neighbors.

Thesis section 5.4 and Figure 5.5.  A view's disagreement with its neighbors along an angle: total
variation distance between its posteriors and those of the views one degree before and after it,
mean over both and over the networks.  The largest one is searched over all views of the data set
and both angles, where three views come before and three after.  The same trained networks, those
of one fold, judge all views: most of the views were in their training set.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from tqdm import tqdm

from cnnviz.datasets import die360, sequences, splits
from cnnviz.evaluation import stability
from cnnviz.experiments.die_pooling import pixels_of
from cnnviz.networks import die, weights
from cnnviz.runtime import paths
from cnnviz.runtime.errors import UserError
from cnnviz.runtime.records import Record, axes, made_from
from cnnviz.training import die_networks

__all__ = ["REACH", "Disagreement", "Networks", "candidates", "predictors", "trained", "write"]

REACH = 3  #: views shown before and after


@dataclass(frozen=True)
class Disagreement(Record):
    """The view that the networks disagree on most, its neighbors, and the posteriors of all."""

    command: ClassVar[str] = "cnnviz disagreement"

    networks: tuple[str, ...]
    angle: int  #: 0 or 1: along which of :data:`cnnviz.datasets.sequences.ANGLES`
    label: int
    a: np.ndarray = axes("view")  #: degrees
    b: np.ndarray = axes("view")
    trained: np.ndarray = axes("view")  #: whether it was in the fold's training set
    pixels: np.ndarray = axes("view", "row", "column")
    posteriors: np.ndarray = axes("network", "view", "class")
    #: Of all views that were searched; NaN where too few views lie on a side.
    disagreement: np.ndarray = axes("along", "searched view")


@dataclass(frozen=True)
class Networks:
    """The trained networks that are asked."""

    names: Sequence[str]
    fold: int
    weights_folder: Path

    def files(self) -> list[Path]:
        """Their weight files."""
        return [
            paths.weight_file(self.weights_folder, "random", name, self.fold) for name in self.names
        ]


def candidates(sampling_stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Views to search, with their neighbors.

    Parameters
    ----------
    sampling_stride : int
        Search every n-th view of the data set only.

    Returns
    -------
    views : int array, ``(n,)``
        Indices in the data set; those to search come first.
    neighbors : int array, ``(2, 2, m)``
        Places in ``views`` of the neighbors of the ``m`` views to search, by the angle
        and the direction; -1 where a view has fewer than :data:`REACH` on a side.
    """
    a, b, _ = die360.angles()
    searched = np.arange(0, len(a), sampling_stride)
    around = sequences.neighbors(a, b, [-REACH, -1, 1, REACH])[:, :, searched]
    complete = (around >= 0).all(axis=1, keepdims=True)
    near = np.where(complete, around[:, 1:3], -1)
    views = np.concatenate([searched, np.setdiff1d(near[near >= 0], searched)])
    place = np.full(len(a) + 1, -1)  # the last stands for no view
    place[views] = np.arange(len(views))
    return views, place[near]


def predictors(which: Networks) -> list[Callable[[np.ndarray], np.ndarray]]:
    """Functions from images to posteriors, of all networks."""
    functions: list[Callable[[np.ndarray], np.ndarray]] = []
    for name in which.names:
        network = die.build(name)
        weights.load_fold(which.weights_folder, "random", name, which.fold, network)
        compute = die_networks.predictor(network)
        functions.append(
            lambda images, network=network, compute=compute: die_networks.predict(  # type: ignore[misc]
                network, images, compute
            )
        )
    return functions


def trained(data: die360.Die360, fold: int, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Whether views were in a fold's training set, bool ``(n,)``."""
    training, _ = splits.random_split(len(data.a), fold)
    seen = set(zip(data.a[training].tolist(), data.b[training].tolist()))
    return np.array([pair in seen for pair in zip(a.tolist(), b.tolist())])


def write(which: Networks, images: Path, output: Path) -> str:
    """Search and save, for ``cnnviz disagreement``; gives the result in one line.

    Raises
    ------
    UserError
        Where none of the views has enough others on both sides.
    """
    data = die360.load(images)
    compute = predictors(which)
    a, b, label = die360.angles()
    views, near = candidates(data.sampling_stride)
    pictures = sequences.images(data, a[views], b[views])
    posteriors = np.stack([each(pictures) for each in tqdm(compute, unit=" networks")])
    differences = stability.disagreement(posteriors, near)
    if np.isnan(differences).all():
        raise UserError(
            f"{images}: none of every {data.sampling_stride}-th view has {REACH} views on both "
            "sides; render with a smaller --sampling-stride"
        )
    angle, center = np.unravel_index(np.nanargmax(differences), differences.shape)
    view = views[center]
    shown = sequences.along((a[view], b[view]), angle, REACH)
    pictures = sequences.images(data, *shown)
    Disagreement(
        networks=tuple(which.names),
        angle=int(angle),
        label=int(label[view]),
        a=shown[0],
        b=shown[1],
        trained=trained(data, which.fold, *shown),
        pixels=pixels_of(pictures, data),
        posteriors=np.stack([each(pictures) for each in compute]),
        disagreement=differences,
    ).save(
        output,
        made_from(
            networks=which.names,
            fold=which.fold,
            weights=[made_from(file=file)["file"] for file in which.files()],
            views=data.sampling_stride,
        ),
    )
    return (
        f"largest disagreement {differences[angle, center]:.3f}, median "
        f"{np.nanmedian(differences):.2g}: view a = {a[view]}, b = {b[view]}, along "
        f"{sequences.ANGLES[angle]}"
    )
