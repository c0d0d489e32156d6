"""What the saliency of every feature lies on, against chance (thesis section 4.3).

The evidence is the thesis's own: the saliency maps, gradient of the maximum, of the nine
photographs that activate a feature most; here of those whose lesions are marked. Its
share on every concept is compared with that of the same saliency at all other places of
the same photographs.
"""
from pathlib import Path

import numpy as np
from scipy import ndimage
from tqdm import tqdm

from cnnviz import files
from cnnviz.commands import arguments
from cnnviz.commands.dissect import read_concepts
from cnnviz.commands.evaluate_fundus import CHOICES

BLOCK = 4      # pixels by which saliency is moved
REACH = 2      # pixels around a lesion that count as the lesion


def add_arguments(parser):
    parser.add_argument("--photographs", type=Path, required=True,
                        help="folder of prepared photographs")
    parser.add_argument("--concepts", type=Path, required=True,
                        help="file of 'cnnviz mark-concepts' for the same photographs")
    parser.add_argument("--strongest", type=Path, required=True,
                        help="file of 'cnnviz dissect' for the same network")
    parser.add_argument("--choice", choices=CHOICES, default="standin",
                        help="whose weights: shipped, De Fauw's (converted), or none")
    parser.add_argument("--permutations", type=int, default=9999,
                        help="places by chance for every p-value")
    arguments.add_engine(parser)
    arguments.add_output(parser, ".npz file to write")


def by_photograph(index):
    """Features that a photograph is shown for.

    Parameters
    ----------
    index : int array, ``(features, count)``
        The strongest photographs of every feature.

    Returns
    -------
    dict
        From a photograph to its features, int arrays, in ascending order.
    """
    return {int(k): np.flatnonzero((index == k).any(axis=1)) for k in np.unique(index)}


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
    return float(sums.sum() ** 2 / (sums ** 2).sum()) if sums.any() else 0.0


def _layer(layer, index, ready, permutations, bar):
    """Localisation of all features of a layer, and over how many haemorrhages it spreads."""
    from cnnviz import dissection, saliency
    from cnnviz.datasets import concepts
    sweep = saliency.feature_sweep(layer, "max")
    evidence = [dissection.Evidence(len(concepts.CONCEPTS), permutations, seed=feature)
                for feature in range(len(index))]
    spread = [[] for _ in index]
    for photograph, features in by_photograph(index).items():
        pixels, marked, known, haemorrhages = ready(photograph)
        for k, _, gradient, *place in sweep([pixels], features):
            values = np.zeros(pixels.shape[2:], np.float32)
            values[tuple(place)] = np.abs(gradient).max(axis=0)
            evidence[features[k]].add(values, marked, known)
            spread[features[k]].append(effective_number(values, haemorrhages))
            bar.update()
    found = [each.result() for each in evidence]
    arrays = {name: np.array([getattr(each, name) for each in found])
              for name in ("share", "expected", "p")}
    return {**arrays, "spread": np.array([np.mean(each) for each in spread])}


def run(args):
    from cnnviz import dissection
    from cnnviz.datasets import concepts, fundus, store
    from cnnviz.networks import defauw, layers
    arguments.select_engine(args)
    photographs = store.read(args.photographs)
    index, known = read_concepts(args.concepts, photographs)
    strongest = files.load_arrays(args.strongest, "cnnviz dissect")
    network = defauw.build()
    defauw.load(args.choice, network)

    def ready(k):
        pixels = photographs.pixels[k]
        masks = concepts.masks(concepts.grown(index[k], REACH))
        field = concepts.field_of_view(pixels) | masks[-1]
        haemorrhages, _ = ndimage.label(masks[concepts.CONCEPTS.index("haemorrhage")])
        return (fundus.standardize(pixels[np.newaxis]),
                dissection.Concepts(masks, field, BLOCK), known[k], haemorrhages)
    pooling = layers.pooling_layers(network)
    chosen = {layer.name: strongest[f"{layer.name}_marked_index"] for layer in pooling}
    arrays = {}
    with tqdm(total=sum(each.size for each in chosen.values()), unit=" maps",
              mininterval=5) as bar:
        for layer in pooling:
            found = _layer(layer, chosen[layer.name], ready, args.permutations, bar)
            found["disease"] = mean_grade(photographs.grades, chosen[layer.name])
            arrays |= {f"{layer.name}_{name}": values for name, values in found.items()}
    files.save_arrays(args.output, **arrays)
