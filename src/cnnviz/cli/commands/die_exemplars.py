"""Exemplars of every feature of every pooling layer of a network of the die.

Thesis sections 3.1.1 and 5.3.  Gradient ascent from Gaussian noise, on the patch that
one neuron sees, with the L2 norm that noise has.  Twice: of the central neuron, and of
neuron (0, 0), which is what a software maximizes that pads a patch as large as the
receptive field and takes the first neuron; the rest of that patch it does not see.
"""

import numpy as np
from tqdm import tqdm

from cnnviz.cli.commands import die_pooling
from cnnviz.runtime import files

# Every how manieth view of the data set the largest activation is searched in.
STRIDE = 10
STARTS = 4
STEP_SIZE = 0.1  # reaches more, in fewer steps, than the usual 0.01


def add_arguments(parser):
    parser.add_argument(
        "--starts", type=int, default=STARTS, help="ascents from different noise; the best counts"
    )
    parser.add_argument(
        "--stride",
        type=int,
        default=STRIDE,
        help="search the largest activation in every n-th view",
    )
    die_pooling.add_arguments(parser, ".npz file to write")


def best(network, starts):
    """Exemplars of all features, of several starts those with the largest activation.

    Parameters
    ----------
    network : cnnviz.feature_visualization.patch_network.PatchNetwork
    starts : int

    Returns
    -------
    patches : array, ``(features, rows, columns)``
    reached : array, ``(features,)``
    """
    from cnnviz.feature_visualization import activation_maximization, ascent, starting_points

    rule = ascent.Rule(norm=np.sqrt(np.prod(network.shape)), step_size=STEP_SIZE)
    noise = [starting_points.start_noise(network, seed=seed) for seed in range(starts)]
    features = np.arange(len(noise[0]))
    found = activation_maximization.maximize(
        network, np.concatenate(noise), np.tile(features, starts), rule
    )
    first = found.reached.reshape(starts, -1).argmax(axis=0) * len(features) + features
    return found.patches[first, 0], found.reached[first]


def on_field(patches, size):
    """Patches of neuron (0, 0) in a frame as large as the receptive field.

    Parameters
    ----------
    patches : array, ``(features, rows, columns)``
    size : (rows, columns)

    Returns
    -------
    array, ``(features, *size)``
        Zero where the neuron does not see.
    """
    framed = np.zeros((len(patches), *size), patches.dtype)
    framed[:, : patches.shape[1], : patches.shape[2]] = patches
    return framed


def run(args):
    from cnnviz.feature_visualization import patch_network, starting_points

    pooling, data = die_pooling.load(args)
    out = {}
    for layer in tqdm(pooling, unit=" layers"):
        central, first = (patch_network.patch_network(layer, neuron) for neuron in (None, (0, 0)))
        patches, reached = best(central, args.starts)
        corner, corner_reached = best(first, args.starts)
        found = starting_points.start_maximum(central, data.images[:: args.stride])
        out.update(
            {
                f"{layer.name}_{key}": value
                for key, value in {
                    "patches": patches,
                    "reached": reached,
                    "data": found.activations,
                    "field": central.field,
                    "first": on_field(corner, central.field),
                    "first_seen": first.shape[1:],
                    "first_reached": corner_reached,
                }.items()
            }
        )
    files.save_arrays(args.output, **out)
