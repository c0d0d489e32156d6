"""Records of the analysis of exemplars."""

from dataclasses import dataclass

import numpy as np

from cnnviz.runtime.records import Record, axes

__all__ = ["LEVELS", "METHODS", "LayerStatistics", "MethodStatistics", "StoppedEarly"]


METHODS = ("plain", "sphere", "regularized")
#: Multiples of the largest activation on data at which an ascent is looked at.
LEVELS = (1, 2, 10)


@dataclass(frozen=True)
class MethodStatistics(Record):
    """Exemplars that one method made of a layer's features, and what is measured of them.

    A run is an ascent of all features from one kind of start.
    """

    reached: np.ndarray = axes("run", "feature")  #: linear activation
    output: np.ndarray = axes("run", "feature")  #: what a unit makes of it
    square: np.ndarray = axes("run", "feature")  #: root mean square, over that of data
    outside: np.ndarray = axes("run", "feature")  #: share of values beyond the data's
    likeness: np.ndarray = axes("run", "feature")  #: to the strongest patch
    transfer: np.ndarray = axes("distance", "run", "feature")  #: by DISTANCES
    diversity: np.ndarray = axes("feature")  #: of the seeds
    patches: np.ndarray = axes("run", "feature", "channel", "row", "column")


@dataclass(frozen=True)
class StoppedEarly(Record):
    """Plain ascents from the strongest patch where they first reach each of LEVELS, else NaN."""

    likeness: np.ndarray = axes("level", "feature")  #: to the start
    reached: np.ndarray = axes("level", "feature")  #: linear activation
    patches: np.ndarray = axes("level", "feature", "channel", "row", "column")


@dataclass(frozen=True)
class LayerStatistics(Record):
    """Everything that is measured of a layer's exemplars."""

    methods: dict[str, MethodStatistics]  #: by METHODS
    early: StoppedEarly
    features: np.ndarray = axes("feature")
    maximum: np.ndarray = axes("feature")  #: largest linear activation on data
    output_maximum: np.ndarray = axes("feature")  #: what a unit makes of it
    strongest: np.ndarray = axes("feature", "channel", "row", "column")  #: patch with that maximum
