"""How much saliency changes between views of the die that are one degree apart.

Thesis section 5.4 and Figure 5.2.  For every feature of every pooling layer of a
network: one minus intersection over union of the important areas of two views, for
neighbours in either angle and, to compare with, for two views of the same class taken
at random; and the correlation of the smoothed maps of neighbours.  Of each aggregate,
the pair of neighbours that changes most is kept, of those whose saliency is not nearly
all negative.
"""

import numpy as np
from tqdm import tqdm

from cnnviz.attribution import overlay
from cnnviz.cli.commands import die_pooling
from cnnviz.datasets import die360, sequences
from cnnviz.evaluation import stability
from cnnviz.runtime import files
from cnnviz.runtime.errors import UserError

# Every how manieth view of the data set is compared with its neighbours.
STRIDE = 400
SEED = 52


def add_arguments(parser):
    parser.add_argument(
        "--stride", type=int, default=STRIDE, help="compare every n-th view with its neighbours"
    )
    die_pooling.add_arguments(parser, ".npz file to write")


def choose_pairs(stride, seed=SEED):
    """Pairs of views of the data set to compare.

    Parameters
    ----------
    stride : int
        Every n-th view, with the next one in either angle, where the data set has it.
    seed : int
        Of the random pairs.

    Returns
    -------
    neighbours, others : int arrays, ``(pairs, 2)``, ``(views, 2)``
        Indices of neighbours, and of views of the same class.
    """
    a, b, label = die360.angles()
    chosen = np.arange(0, len(a), stride)
    if np.bincount(label[chosen], minlength=die360.CLASSES + 1)[1:].min() < 2:
        raise UserError(
            f"every {stride}-th view leaves fewer than two of a class; choose a smaller --stride"
        )
    after = sequences.neighbours(a, b, [1])[:, 0, chosen]
    pairs = np.concatenate([np.stack([chosen, each], axis=1) for each in after])
    rng = np.random.RandomState(seed)
    others = [
        rng.choice(chosen[(label[chosen] == label[each]) & (chosen != each)]) for each in chosen
    ]
    return pairs[pairs[:, 1] >= 0], np.stack([chosen, others], axis=1)


def differences(images, pairs):
    """Root mean squared difference of the images of pairs, ``(pairs,)``."""
    apart = images[pairs[:, 0]] - images[pairs[:, 1]]
    return np.sqrt((apart**2).mean(axis=(1, 2, 3)))


def _example(layer, images, pair, feature, maps):
    """Arrays of the pair of images that changes most."""
    from cnnviz.attribution.activations import feature_maps, maximal_neurons
    from cnnviz.attribution.receptive_field import receptive_field

    found = feature_maps(layer, images[pair])[:, feature]
    field = receptive_field(layer)
    return {
        "feature": feature,
        "maps": maps[:, pair][feature],
        "activations": found.max(axis=(1, 2)),
        "boxes": [field.box(*neuron) for neuron in maximal_neurons(found).tolist()],
    }


def measure(layer, images, pairs, others, aggregate, apart):
    """Changes of a layer's features, and the strongest example of neighbours.

    Parameters
    ----------
    layer : lasagne.layers.Layer
    images : array, ``(n, 1, rows, columns)``
    pairs, others : int arrays, ``(pairs, 2)``
        Of neighbours, and of random views.
    aggregate : {"max", "sum"}
    apart : array, ``(pairs,)``
        How far the neighbours' images differ.

    Returns
    -------
    dict of arrays
        ``""`` and ``"_random"``: changes of neighbours and of random views,
        ``(features, pairs)``; ``"_correlation"`` of the neighbours' maps; and the
        example's, unless no pair has positive saliency.
    """
    from cnnviz.attribution.gradient import Gradient
    from cnnviz.attribution.reductions import reduce_channels

    # Networks so small are faster as a whole than by windows.
    gradients = Gradient(layer, aggregate, evaluation="whole").attribute(images)
    maps = np.ascontiguousarray(np.swapaxes(reduce_channels(gradients), 0, 1))  # features first
    smooth = overlay.smooth(maps)
    areas, prominent = stability.important_areas(smooth), stability.prominent(smooth)
    first, second = pairs.T
    changes = stability.change(areas[:, first], areas[:, second])
    out = {
        "": changes,
        "_random": stability.change(areas[:, others[:, 0]], areas[:, others[:, 1]]),
        "_correlation": stability.correlation(smooth[:, first], smooth[:, second]),
    }
    found = stability.largest(
        np.where(prominent[:, first] & prominent[:, second], changes, np.nan), apart
    )
    if found:
        feature, pair = found
        example = _example(layer, images, pairs[pair], feature, maps)
        out.update(
            {
                f"_example_{key}": value
                for key, value in {"pair": pair, "change": changes[found], **example}.items()
            }
        )
    return out


def run(args):
    from cnnviz.attribution.gradient import TARGETS

    pooling, data = die_pooling.load(args)
    pairs, others = choose_pairs(args.stride)
    views, index = np.unique(np.concatenate([pairs, others]), return_inverse=True)
    a, b, _ = (each[views] for each in die360.angles())
    images = sequences.images(data, a, b)
    pairs, others = np.split(index.reshape(-1, 2), [len(pairs)])
    apart = differences(images, pairs) * data.std
    out = {
        "views": np.stack([a, b], axis=1),
        "pairs": pairs,
        "differences": apart,
        "pixels": images[:, 0] * np.float32(data.std) + np.float32(data.mean),
    }
    for layer in tqdm(pooling, unit=" layers"):
        for aggregate in TARGETS:
            found = measure(layer, images, pairs, others, aggregate, apart)
            out.update({f"{layer.name}_{aggregate}{key}": value for key, value in found.items()})
    files.save_arrays(args.output, **out)
