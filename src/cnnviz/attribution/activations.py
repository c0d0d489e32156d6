"""Feature maps of a layer, and the neurons that hold their maxima (thesis section 3.2)."""

from typing import Any

import numpy as np

from cnnviz.networks import expressions
from cnnviz.networks.inputs import as_arrays, batches, check_maps, input_variables
from cnnviz.runtime import compiled
from cnnviz.runtime.backend import function

__all__ = ["BATCH_SIZE", "feature_maps", "maximal_neurons", "maximum_places"]

BATCH_SIZE = 256  # images


def feature_maps(layer: Any, images: Any, batch_size: int = BATCH_SIZE) -> np.ndarray:
    """Feature maps of a layer.

    Parameters
    ----------
    layer : lasagne.layers.Layer
    images : array, ``(n, channels, rows, columns)``, or one array for each input
    batch_size : int
        Images of a pass; does not change the result.

    Returns
    -------
    array, ``(n, features, map rows, map columns)``

    Raises
    ------
    UserError
        For a layer without feature maps, or images of the wrong shape or not finite.
    """
    check_maps(layer)
    arrays = as_arrays(layer, images)
    compute = compiled.of_layer(layer, "maps", lambda: _compile_maps(layer))
    return np.concatenate(
        [compute(*(array[part] for array in arrays)) for part in batches(arrays, batch_size)]
    )


def _compile_maps(layer: Any) -> Any:
    below, variables = input_variables(layer)
    return function(variables, expressions.output(layer, dict(zip(below, variables))))


def maximum_places(maps: np.ndarray) -> np.ndarray:
    """Flat index of the first maximum of each map, row by row.

    Parameters
    ----------
    maps : array, ``(..., rows, columns)``

    Returns
    -------
    int array, ``(...)``
    """
    return maps.reshape(*maps.shape[:-2], -1).argmax(axis=-1)


def maximal_neurons(maps: np.ndarray) -> np.ndarray:
    """Maximal neuron of each feature map: the first one, row by row, where several are.

    Parameters
    ----------
    maps : array, ``(..., rows, columns)``

    Returns
    -------
    int array, ``(..., 2)``
        Row and column.
    """
    return np.stack(np.unravel_index(maximum_places(maps), maps.shape[-2:]), axis=-1)
