"""Numbers in the text of chapter 5, from data, networks and accuracies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse.csgraph import minimum_spanning_tree

from cnnviz.datasets import die360, splits
from cnnviz.experiments import die_evaluation
from cnnviz.networks import die
from cnnviz.thesis import number_tables
from cnnviz.thesis.figures import figure_5_1
from cnnviz.thesis.number_tables import Reproduced
from cnnviz.thesis.tables import table_5_1

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["accuracy_numbers", "data_numbers", "network_numbers", "reproduced"]


def one_degree_neighbors(a: np.ndarray, b: np.ndarray) -> int:
    """Most common number of views that differ by one degree in one angle."""
    present = np.zeros((360, 360), bool)
    present[a, b] = True
    count = np.sum(
        [np.roll(present, step, axis) for axis in (0, 1) for step in (-1, 1)], axis=0, dtype=int
    )
    return int(np.bincount(count[present]).argmax())


def _gap(first: int, second: int, extent: int) -> int:
    """Degrees between two blocks of ``extent`` whole degrees on the circle."""
    apart = (second - first) % 360
    return max(0, min(apart, 360 - apart) - extent + 1)


def largest_step(cells: Sequence[tuple[int, int, int]]) -> int:
    """Largest step that an ordering of any class's views has to make.

    Within a cell, and between cells that touch, a next view differs by one
    degree in one angle.  Where the cells of a class do not touch, the ordering
    must jump; the step is the larger of the two angles' differences, over the
    shortest such jumps (a minimum spanning tree of the cells).

    Parameters
    ----------
    cells : rows (first a, first b, label)
        From :func:`cnnviz.datasets.die360.cells`.

    Returns
    -------
    int
        Degrees.
    """
    largest = 0
    for label in {cell[2] for cell in cells}:
        mine = [cell for cell in cells if cell[2] == label]
        jumps = [
            [
                max(_gap(a, other_a, die360.BLOCK_A), _gap(b, other_b, die360.BLOCK_B))
                for other_a, other_b, _ in mine
            ]
            for a, b, _ in mine
        ]
        largest = max(largest, minimum_spanning_tree(np.array(jumps)).max())
    return int(largest)


def data_numbers(
    a: np.ndarray,
    b: np.ndarray,
    label: np.ndarray,
    images: np.ndarray,
    figure_side: int,
    training_indices: np.ndarray | range,
) -> dict[str, int]:
    """Numbers about the data set, by quantity."""
    rotation_angles = sum(len(np.unique(angle)) > 1 for angle in (a, b))
    return {
        # Each of the angles takes 360 whole degrees.
        "possible_projections": 360**rotation_angles,
        "rotation_angles": rotation_angles,
        "samples": len(label),
        "image_side": images.shape[-1],
        "figure_5_1_image_side": figure_side,
        "training_share": len(training_indices) / len(label),
        "sequence_step": largest_step(die360.cells()),
        "one_degree_neighbors": one_degree_neighbors(a, b),
    }


def network_numbers(
    build: Callable[..., Any], convolutional: Any, dense: Sequence[str]
) -> dict[str, int]:
    """Numbers about the architectures, read from the built networks."""
    from cnnviz.networks.layers import layers_of_type, pooling_layers
    from cnnviz.runtime.backend import lasagne

    numbers = {}
    filters, sides, strides, pools, pool_strides = set(), set(), set(), set(), set()
    for name in convolutional:
        network = build(name)
        convolutions = layers_of_type(network, lasagne.layers.Conv2DLayer)
        numbers[f"{name}.convolution_layers"] = len(convolutions)
        numbers[f"{name}.pooling_layers"] = len(pooling_layers(network))
        for layer in convolutions:
            filters.add(layer.num_filters)
            sides.update(layer.filter_size)
            strides.update(layer.stride)
        for layer in pooling_layers(network):
            pools.update(layer.pool_size)
            pool_strides.update(layer.stride)
        numbers["output_units"] = network.num_units
    for name in dense:
        hidden = layers_of_type(build(name), lasagne.layers.DenseLayer)[0]
        numbers[f"{name}.hidden_units"] = hidden.num_units
    for quantity, values in (
        ("filters_per_layer", filters),
        ("filter_side", sides),
        ("filter_stride", strides),
        ("pool_side", pools),
        ("pool_stride", pool_strides),
    ):
        (numbers[quantity],) = values  # one value everywhere, or an error
    numbers["exemplars_per_layer"] = numbers["filters_per_layer"]
    return numbers


def accuracy_numbers(table: Sequence[table_5_1.Row], dense: Sequence[str]) -> dict[str, float]:
    """Numbers and claims about the accuracies, from Table 5.1's rows."""
    mean = {row.network: row.mean for row in table}
    parameters = {row.network: row.parameters for row in table}
    best = max(mean, key=mean.__getitem__)
    convolutional = [name for name in mean if name not in dense]
    return {
        "lowest_validation_accuracy_mean": min(mean.values()),
        "c9.validation_accuracy_best_fold": next(
            max(row.accuracies) for row in table if row.network == "c9"
        ),
        "most_parameters_is_best": int(best == max(parameters, key=parameters.__getitem__)),
        "best_is_dense": int(best in dense),
        "deepest_convolutional_is_best": int(max(convolutional, key=mean.__getitem__) == "c9"),
    }


def reproduced(
    numbers: Mapping[str, float], reported: pd.DataFrame, command: str
) -> list[Reproduced]:
    """Rows for the comparison, for the quantities that the thesis reports.

    Parameters
    ----------
    numbers : dict
        From a quantity (with its network in front, where it has one) to its
        value.
    reported : DataFrame
        Of the thesis's numbers; gives the units.
    command : str

    Returns
    -------
    list of Reproduced
    """
    prefix = "text_chapter_5."
    return [
        Reproduced(row.id, numbers[row.id[len(prefix) :]], row.unit, command)
        for row in reported.itertuples()
        if row.id.startswith(prefix) and row.id[len(prefix) :] in numbers
    ]


def make(
    output: Path,
    *,
    images: Path,
    evaluations: Path,
    networks: Sequence[str],
    folds: int,
    reported: Path,
) -> None:
    """Write the reproduced numbers.

    Parameters
    ----------
    output : path
        CSV file.
    images : path
        Of ``cnnviz render``.
    evaluations : path
        Folder of ``cnnviz evaluate``.
    networks : list of str
    folds : int
        How many.
    reported : path
        The thesis's numbers.
    """
    data = die360.load(images)
    evaluated = die_evaluation.read(evaluations, "random", networks, folds)
    table = table_5_1.rows(evaluated, die_evaluation.count_parameters)
    convolutional = [name for name in networks if name in die.CONVOLUTIONAL]
    dense = [name for name in networks if name not in die.CONVOLUTIONAL]
    training, _ = splits.random_split(len(data.labels), 0)
    numbers: dict[str, float] = {
        **data_numbers(data.a, data.b, data.labels, data.images, figure_5_1.SIZE, training),
        **network_numbers(die.build, convolutional, dense),
    }
    if set(networks) == set(die.NAMES):
        numbers.update(accuracy_numbers(table, dense))
    number_tables.write_reproduced(
        output, reproduced(numbers, number_tables.read_reported([reported]), "make reproduce")
    )
