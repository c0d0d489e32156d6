"""De Fauw's network with named weights, and the words for results that say what they are from."""

from pathlib import Path
from typing import Any

from cnnviz.networks import defauw, layers
from cnnviz.runtime import files, paths
from cnnviz.runtime.errors import UserError

__all__ = ["SEED", "again", "built", "name_of", "pooling_layers"]

SEED = 0  #: of random weights


def built(
    weights: str, batch_size: int = 2, path: Path | None = None
) -> tuple[Any, dict[str, Any]]:
    """De Fauw's network, and what its weights are.

    Parameters
    ----------
    weights : str
        One of :data:`cnnviz.runtime.paths.FUNDUS_WEIGHTS`, or "random".
    batch_size : int
        Even.
    path : path, optional
        Weight file, instead of the usual place.

    Returns
    -------
    lasagne.layers.Layer
        Output layer.
    dict
        For :func:`cnnviz.runtime.records.made_from`: ``network``, ``weights``, and either the
        checksum of their file or their seed.
    """
    network = defauw.build(batch_size, SEED)
    defauw.load(weights, network, path)
    return network, _described(weights, path)


def _described(weights: str, path: Path | None = None) -> dict[str, Any]:
    """What these weights are."""
    origin: dict[str, Any] = {"network": "defauw", "weights": weights}
    if weights == "random":
        return origin | {"weights_seed": SEED}
    path = path or paths.FUNDUS_WEIGHTS[weights]
    return origin | ({"weights_file": files.sha256(path)} if path.is_file() else {})


def again(origin: dict[str, Any], path: Path | str) -> tuple[Any, dict[str, Any]]:
    """The network that a result was made with, and what its weights are.

    Parameters
    ----------
    origin : dict
        Of the result.
    path : path
        Of its file, for the message.

    Raises
    ------
    UserError
        Where these weights are not those of now.
    """
    now = _described(origin["weights"])
    if any(origin.get(name) != value for name, value in now.items()):
        raise UserError(
            f"{path}: was made with other weights than the present ones of "
            f"'{origin['weights']}'; make it again"
        )
    return built(origin["weights"])


def pooling_layers(network: Any, names: Any) -> list[Any]:
    """The pooling layers of these names, from the input on."""
    return [layer for layer in layers.pooling_layers(network) if layer.name in names]


def name_of(origin: dict[str, Any]) -> str:
    """How tables call the network of a result: "trained" or "random"."""
    return "random" if origin["weights"] == "random" else "trained"
