"""Animations of a feature's saliency along views of the die (thesis section 5.4).

One for each face: once round it for faces 3 and 4, whose views go all the way round; along the
border of the first block of 60 by 41 degrees for the others, whose views form two such blocks 140
degrees apart.  Every frame differs by one degree in one angle from the one before it, the first
from the last as well.  Green outlines: important areas; blue: receptive field of the maximal
neuron.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from cnnviz.datasets import die360
from cnnviz.experiments.die_animation import Sequence360, of_faces
from cnnviz.experiments.die_pooling import Trained
from cnnviz.experiments.die_saliency import DieSaliency
from cnnviz.runtime import paths
from cnnviz.thesis.figures import animation

__all__ = ["frames", "make"]

_TITLES = ("view", "gradient of max(F)", "gradient of sum(F)")


def frames(sequence: Sequence360) -> list[Any]:
    """Frames of one animation."""
    made = []
    for k, image in enumerate(sequence.pixels):
        largest = animation.with_area(image, sequence.areas["max"][k])
        if sequence.activations[k] > 0:
            largest = animation.with_box(largest, sequence.boxes[k])
        panels = [
            animation.enlarge(image),
            largest,
            animation.with_area(image, sequence.areas["sum"][k]),
        ]
        note = (
            f"a = {sequence.a[k]}°, b = {sequence.b[k]}°; activation {sequence.activations[k]:.2f}"
        )
        made.append(
            animation.frame(
                panels, list(_TITLES), f"face {sequence.face}; {sequence.feature}", note
            )
        )
    return made


def make(output: Path, saliency: Path, which: Trained) -> None:
    """Write an animation of every face into a folder.

    Parameters
    ----------
    output : path
    saliency : path
        File of ``cnnviz saliency``, which also names the network.
    which : Trained
        Its network is that of the file.
    """
    record = DieSaliency.load(saliency)
    sequences = of_faces(record, replace(which, network=record.network))
    for sequence in tqdm(sequences, total=die360.CLASSES, unit=" faces"):
        animation.save(paths.animation(output, sequence.face), frames(sequence))
