"""Numbers in the text of chapter 4, from labels, outputs and the architecture."""

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cnnviz.datasets import external, kaggle
from cnnviz.networks import defauw
from cnnviz.runtime import files
from cnnviz.runtime.errors import UserError
from cnnviz.thesis import number_tables
from cnnviz.thesis.number_tables import Reproduced
from cnnviz.training.grading import quadratic_weighted_kappa

__all__ = [
    "label_numbers",
    "make",
    "network_numbers",
    "other_eye_kappa",
    "reproduced",
    "validation_numbers",
]

PREFIX = "text_chapter_4."


def other_eye_kappa(grades: Mapping[str, int]) -> float:
    """Agreement of every eye's grade with that of the patient's other eye.

    Parameters
    ----------
    grades : dict
        From ``10_left`` and so on to a grade, both eyes of every patient.

    Returns
    -------
    float
        Quadratic weighted kappa.

    Raises
    ------
    ValueError
        For a patient with one eye only.
    """
    other = {"left": "right", "right": "left"}
    pairs = []
    for name, grade in grades.items():
        patient, side = name.split("_")
        partner = f"{patient}_{other[side]}"
        if partner not in grades:
            raise UserError(f"no grade of '{partner}', the other eye of '{name}'")
        pairs.append((grade, grades[partner]))
    return quadratic_weighted_kappa(*zip(*pairs))


def _only(values: Iterable[int]) -> int:
    """The one value that all have; an error if they differ."""
    (value,) = set(values)
    return value


def network_numbers(network: Any) -> dict[str, float]:
    """Numbers about De Fauw's network, read from the built one.

    Parameters
    ----------
    network : lasagne.layers.Layer
        From :func:`cnnviz.networks.defauw.build`.

    Returns
    -------
    dict
        From a quantity to its value.
    """
    from cnnviz.attribution.receptive_field import receptive_field
    from cnnviz.networks.layers import layers_of_type, pooling_layers
    from cnnviz.runtime.backend import lasagne

    layers = lasagne.layers
    everything = layers.get_all_layers(network)
    first, *later = layers_of_type(network, layers.Conv2DLayer)
    pools = pooling_layers(network)
    numbers = {
        "layers": len(everything),
        "parameterized_layers": sum(bool(layer.params) for layer in everything),
        "parameters": layers.count_params(network),
        "grades": network.output_shape[1],
        "image_side": everything[0].output_shape[-1],
        "leakiness": _only(layer.nonlinearity.leakiness for layer in [first, *later]),
        "first_filter_side": _only(first.filter_size),
        "filter_side": _only(side for layer in later for side in layer.filter_size),
        "filter_stride": _only(step for layer in later for step in layer.stride),
        "pool_side": _only(side for layer in pools for side in layer.pool_size),
        "pool_stride": _only(step for layer in pools for step in layer.stride),
        "maxout_functions": _only(
            layer.pool_size for layer in layers_of_type(network, layers.FeaturePoolLayer)
        ),
        "dropout_probability": _only(
            layer.p for layer in layers_of_type(network, layers.DropoutLayer)
        ),
    }
    strides = []
    for layer in everything:
        if isinstance(layer, layers.Conv2DLayer):
            strides.append(_only(layer.stride))
        if layer in pools:
            numbers |= {
                f"{layer.name}_convolutions": len(strides),
                f"{layer.name}_filter_stride": _only(strides),
                f"{layer.name}_features": layer.output_shape[1],
                f"{layer.name}_receptive_field": _only(receptive_field(layer).size),
            }
            strides = []
    return numbers


def label_numbers(
    training: Mapping[str, int] | None, test: Mapping[str, int] | None, parameters: float
) -> dict[str, float]:
    """Numbers about the competition's photographs, from their labels.

    Parameters
    ----------
    training, test : dicts or None
        From a photograph's name to its grade; None where they are not at hand.
    parameters : int
        Of the network.

    Returns
    -------
    dict
        From a quantity to its value, for those that can be computed.
    """
    numbers: dict[str, float] = {}
    if training is not None:
        numbers |= {
            "labeled_photographs": len(training),
            "other_eye_kappa": other_eye_kappa(training),
        }
    if test is not None:
        numbers["test_photographs"] = len(test)
    if training is not None and test is not None:
        photographs = len(training) + len(test)
        numbers |= {
            "photographs": photographs,
            "parameters_per_photograph": parameters / photographs,
        }
    return numbers


def validation_numbers(labels: Any, posteriors: Any) -> dict[str, float]:
    """Numbers about the published network's outputs on its validation photographs.

    Parameters
    ----------
    labels : int array, ``(n,)``
    posteriors : array, ``(n, 5)``
    """
    return {"validation_kappa": quadratic_weighted_kappa(labels, np.argmax(posteriors, axis=1))}


def reproduced(
    numbers: Mapping[str, float],
    reported: pd.DataFrame,
    command: str,
    notes: Mapping[str, str] | None = None,
) -> list[Reproduced]:
    """Rows for the comparison, for the quantities that the thesis reports.

    Parameters
    ----------
    numbers : dict
        From a quantity to its value.
    reported : DataFrame
        Of the thesis's numbers; gives the units.
    command : str
    notes : dict, optional
        From a quantity to a remark.

    Returns
    -------
    list of Reproduced
    """
    rows = (
        (row, row.id.removeprefix(PREFIX))
        for row in reported.itertuples()
        if row.id.startswith(PREFIX)
    )
    return [
        Reproduced(row.id, numbers[quantity], row.unit, command, (notes or {}).get(quantity, ""))
        for row, quantity in rows
        if quantity in numbers
    ]


# --- The file ---------------------------------------------------------------------


def make(output: Path, *, mirror: Path | None, downloads: Path, reported: Path) -> None:
    """Write the numbers that can be had here.

    Parameters
    ----------
    mirror : path or None
        Folder with copies of the external files.
    downloads : path
        Where downloaded files are kept.
    reported : path
        The thesis's numbers.
    output : path
        CSV file.
    """
    mirror = external.mirror(mirror)
    numbers = network_numbers(defauw.build())
    notes: dict[str, str] = {}
    training, first = _available(kaggle.training_labels, kaggle.read_labels, mirror, downloads)
    test, second = _available(kaggle.test_labels, kaggle.read_labels, mirror, downloads)
    found = label_numbers(training, test, numbers["parameters"])
    remark = "labels of SHA-256 " + " and ".join(filter(None, (first, second)))
    numbers |= found
    notes |= dict.fromkeys(found, remark)
    outputs, digest = _available(kaggle.validation_outputs, kaggle.read_outputs, mirror)
    if outputs is not None:
        found = validation_numbers(*outputs)
        numbers |= found
        notes |= dict.fromkeys(found, f"outputs of SHA-256 {digest}")
    command = "CNNVIZ_MIRROR=FOLDER make reproduce" if mirror else "make reproduce"
    number_tables.write_reproduced(
        output, reproduced(numbers, number_tables.read_reported([reported]), command, notes)
    )


def _available(
    find: Callable[..., Path], read: Callable[[Path], Any], *where: Any
) -> tuple[Any, str | None]:
    """What a file holds and its SHA-256, or None twice where it cannot be had."""
    try:
        path = find(*where)
    except external.Unavailable as error:
        print(f"left out: {error}", file=sys.stderr)
        return None, None
    return read(path), files.sha256(path)
