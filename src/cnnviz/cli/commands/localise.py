"""What the saliency of every feature lies on, against chance (thesis section 4.3).

The evidence is the thesis's own: the saliency maps, gradient of the maximum, of the nine
photographs that activate a feature most; here of those whose lesions are marked. Its
share on every concept is compared with that of the same saliency at all other places of
the same photographs.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from tqdm import tqdm

from cnnviz.cli.commands import arguments
from cnnviz.cli.commands.dissect import read_concepts
from cnnviz.cli.commands.evaluate_fundus import CHOICES
from cnnviz.runtime import files

BLOCK = 4  # pixels by which saliency is moved
REACH = 2  # pixels around a lesion that count as the lesion


def add_arguments(parser):
    parser.add_argument(
        "--photographs", type=Path, required=True, help="folder of prepared photographs"
    )
    parser.add_argument(
        "--concepts",
        type=Path,
        required=True,
        help="file of 'cnnviz mark-concepts' for the same photographs",
    )
    parser.add_argument(
        "--strongest",
        type=Path,
        required=True,
        help="file of 'cnnviz dissect' for the same network",
    )
    parser.add_argument(
        "--choice",
        choices=CHOICES,
        default="standin",
        help="whose weights: shipped, De Fauw's (converted), or none",
    )
    parser.add_argument(
        "--permutations", type=int, default=9999, help="places by chance for every p-value"
    )
    arguments.add_engine(parser)
    arguments.add_output(parser, ".npz file to write")


def by_photograph(index):
    """Features that a photograph is shown for.

    Parameters
    ----------
    index : list of int arrays, ``(features, count)``
        The strongest photographs of every feature, layer by layer.

    Returns
    -------
    dict
        From a photograph to its features in every layer, int arrays.
    """
    photographs = np.unique(np.concatenate([each.ravel() for each in index]))
    return {
        int(k): [np.flatnonzero((each == k).any(axis=1)) for each in index] for k in photographs
    }


def mean_grade(grades, index):
    """Mean grade ``(features,)`` of every feature's photographs that have one."""
    known = np.where(grades >= 0, grades, np.nan)[index]
    counts = np.isfinite(known).sum(axis=1)
    return np.where(counts > 0, np.nansum(known, axis=1) / np.maximum(counts, 1), np.nan)


def effective_number(values, areas):
    """Over how many areas values spread: one over the sum of squared shares.

    Parameters
    ----------
    values : array, ``(rows, columns)``
        At least 0.
    areas : int array, ``(rows, columns)``
        Number of the area of every pixel, 0 outside.

    Returns
    -------
    float
        0 where no area has any.
    """
    sums = np.bincount(areas.ravel(), values.ravel())[1:]
    return float(sums.sum() ** 2 / (sums**2).sum()) if sums.any() else 0.0


class _Found:
    """What is found of one feature, a photograph at a time."""

    def __init__(self, seed, permutations):
        from cnnviz.datasets.concepts import CONCEPTS
        from cnnviz.dissection import network_dissection

        self.evidence = network_dissection.Evidence(len(CONCEPTS), permutations, seed=seed)
        self.spread, self.gradient = [], []

    def add(self, values, photograph):
        """Add saliency on a photograph."""
        self.evidence.add(values, photograph.concepts, photograph.known)
        self.spread.append(effective_number(values, photograph.haemorrhages))
        self.gradient.append(values.sum(dtype=float))


class _Photograph(NamedTuple):
    pixels: np.ndarray  #: standardized, ``(1, 3, 512, 512)``
    concepts: object  #: dissection.Concepts
    known: np.ndarray  #: ``(concepts,)``
    haemorrhages: np.ndarray  #: number of the haemorrhage at every pixel, 0 outside


def _photograph(pixels, index, known):
    """Make a photograph ready for many features."""
    from cnnviz.datasets import concepts, fundus
    from cnnviz.dissection import network_dissection

    masks = concepts.masks(concepts.grown(index, REACH))
    field = concepts.field_of_view(pixels) | masks[-1]
    haemorrhages, _ = ndimage.label(masks[concepts.CONCEPTS.index("haemorrhage")])
    return _Photograph(
        fundus.standardize(pixels[np.newaxis]),
        network_dissection.Concepts(masks, field, BLOCK),
        known,
        haemorrhages,
    )


def _localise(gradients, index, ready, permutations):
    """What is found of all features, layer by layer."""
    found = [[_Found(feature, permutations) for feature in range(len(each))] for each in index]
    shown = by_photograph(index)
    with tqdm(total=sum(each.size for each in index), unit=" maps", mininterval=5) as bar:
        for k, features in shown.items():
            photograph = ready(k)
            for layer, j, gradient, *place in gradients.parts(photograph.pixels, features):
                values = np.zeros(photograph.pixels.shape[2:], np.float32)
                values[tuple(place)] = np.abs(gradient).max(axis=0)
                found[layer][features[layer][j]].add(values, photograph)
                bar.update()
    return found


def _arrays(found):
    """Arrays of the features of a layer."""
    results = [each.evidence.result() for each in found]
    return {
        **{
            name: np.array([getattr(each, name) for each in results])
            for name in ("share", "expected", "p")
        },
        **{
            name: np.array([np.mean(getattr(each, name)) for each in found])
            for name in ("spread", "gradient")
        },
    }


def run(args):
    from cnnviz.attribution.gradient import LayersGradient
    from cnnviz.datasets import store
    from cnnviz.networks import defauw, layers

    arguments.select_engine(args)
    photographs = store.read(args.photographs)
    index, known = read_concepts(args.concepts, photographs)
    strongest = files.load_arrays(args.strongest, "cnnviz dissect")
    network = defauw.build()
    defauw.load(args.choice, network)
    pooling = [
        layer
        for layer in layers.pooling_layers(network)
        if f"{layer.name}_marked_index" in strongest
    ]
    chosen = [strongest[f"{layer.name}_marked_index"] for layer in pooling]

    def ready(k):
        return _photograph(photographs.pixels[k], index[k], known[k])

    arrays = {}
    for layer, shown, found in zip(
        pooling, chosen, _localise(LayersGradient(pooling), chosen, ready, args.permutations)
    ):
        values = {**_arrays(found), "disease": mean_grade(photographs.grades, shown)}
        arrays |= {f"{layer.name}_{name}": each for name, each in values.items()}
    files.save_arrays(args.output, **arrays)
