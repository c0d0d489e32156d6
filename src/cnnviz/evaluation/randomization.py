"""Whether maps depend on what the network has learned: layers randomized from the top.

After Adebayo et al. 2018.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnnviz.evaluation.agreement import rank_agreement
from cnnviz.runtime.backend import lasagne
from cnnviz.runtime.errors import UserError

if TYPE_CHECKING:
    from lasagne.layers import Layer

__all__ = ["Cascade", "cascading_randomization", "cascading_similarity"]


@contextlib.contextmanager
def cascading_randomization(
    network: Layer, names: Sequence[str] | str | None = None, seed: int = 0
) -> Iterator[Iterator[Any]]:
    """Randomize a network's layers one by one, output first (Adebayo et al. 2018).

    A saliency map that stays the same shows the image, not what the network
    has learned.  ::

        with cascading_randomization(network) as steps:
            for name in steps:
                ...  # this layer and all above it are random here

    A layer's parameters are randomized by a random permutation of each, where
    Adebayo et al. draw new ones from the initializer.  Lasagne does not keep
    initializers, and a permutation keeps the distribution of the trained
    weights, hence roughly the scale of activations and gradients.  It leaves
    biases that are all alike, and single numbers, as they are.

    Parameters
    ----------
    network : lasagne.layers.Layer
        Output layer, or another, for the maps of its features.  Its parameters
        are changed in place, and are back when the block is left, however.
    names : str or sequence of str, optional
        Layers to randomize, always from the output down; all that have
        parameters when None.  With a single one it alone is random (Adebayo
        et al.'s *independent randomization*).
    seed : int
        Of the permutations; no other random generator is drawn from.

    Yields
    ------
    iterator of str
        Name of the layer just randomized, or its class where it has none.  A
        parameter that layers share is randomized with the topmost.

    Raises
    ------
    ValueError
        For a name that no layer with parameters has, or no such layer at all.

    References
    ----------
    Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim: Sanity checks for
    saliency maps, NeurIPS 2018.
    """
    layers = _downward(network, names)
    trained = {
        parameter: parameter.get_value() for layer in layers for parameter in layer.get_params()
    }
    steps = _randomized(layers, dict(trained), np.random.default_rng(seed))
    try:
        yield steps
    finally:
        steps.close()  # a step taken outside would not be undone
        for parameter, values in trained.items():
            parameter.set_value(values)


def _downward(network: Layer, names: Sequence[str] | str | None) -> list[Layer]:
    """Layers with parameters, from the output down."""
    layers = [
        layer for layer in reversed(lasagne.layers.get_all_layers(network)) if layer.get_params()
    ]
    if not layers:
        raise UserError("the network has no layer with parameters")
    if names is None:
        return layers
    names = [names] if isinstance(names, str) else list(names)
    if not names:
        raise UserError("no names of layers were given; None stands for all of them")
    known = [layer.name for layer in layers if layer.name]
    for name in names:
        if name not in known:
            raise UserError(
                f"no layer '{name}' with parameters in this network; it has: " + ", ".join(known)
            )
    return [layer for layer in layers if layer.name in names]


def _randomized(
    layers: Sequence[Layer], waiting: Any, rng: np.random.Generator
) -> Generator[str, None, None]:
    """Randomize a layer and say its name, layer after layer."""
    for layer in layers:
        for parameter in layer.get_params():
            if parameter in waiting:
                values = waiting.pop(parameter)
                parameter.set_value(rng.permutation(values.ravel()).reshape(values.shape))
        yield layer.name or type(layer).__name__


class Cascade(NamedTuple):
    """Agreement of maps with the trained network's, layer by layer downward."""

    names: tuple  #: ``(layers,)``, from the output down
    agreement: np.ndarray  #: ``(layers, n)``, of :func:`rank_agreement`


def cascading_similarity(
    network: Layer,
    compute: Callable[..., Any],
    names: str | None = None,
    seed: int = 0,
    region: np.ndarray | None = None,
) -> Cascade:
    """How like the trained network's maps are to those of randomized ones.

    Parameters
    ----------
    network, names, seed
        As for :func:`cascading_randomization`.
    compute : function
        Without arguments, to maps ``(n, rows, columns)``.  It must use the
        parameters as they are at each call, as functions compiled once do
        (:class:`cnnviz.attribution.gradient.Gradient`).  Adebayo et al. compare
        signed maps, and absolute values as well: take those in here.
    region : bool array, optional
        As for :func:`rank_agreement`.

    Returns
    -------
    Cascade
        Near 0 from the first layers on for a method that shows what the
        network has learned.

    Raises
    ------
    ValueError
        As :func:`cascading_randomization` and :func:`rank_agreement`.
    """
    before = np.array(compute())  # a copy: some functions reuse their output
    with cascading_randomization(network, names, seed) as steps:
        rows = [(name, rank_agreement(before, compute(), region)) for name in steps]
    done, agreement = zip(*rows)
    return Cascade(done, np.stack(agreement))
