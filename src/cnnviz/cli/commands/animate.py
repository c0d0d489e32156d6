"""Animations of a feature's saliency along views of the die one degree apart.

Thesis section 5.4.  One for each face: once round it for faces 3 and 4, whose views go
all the way round; along the border of the first block of 60 by 41 degrees for the
others, whose views form two such blocks 140 degrees apart.  Every frame differs by one
degree in one angle from the one before it, the first from the last as well.

The feature is found by rule: of the pooling layers of a network whose neurons see less
than the whole image, the one whose saliency of max(F) exceeds the share of the area on
spots most, as 'cnnviz saliency' measured it.  Green outlines: important areas; blue: what
the maximal neuron sees.
"""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from cnnviz.attribution import overlay
from cnnviz.cli.commands import arguments
from cnnviz.datasets import die360, sequences
from cnnviz.evaluation import stability
from cnnviz.evaluation.concept_lift import CONCEPTS
from cnnviz.runtime import files, paths


def add_arguments(parser):
    parser.add_argument(
        "--saliency",
        type=Path,
        required=True,
        help="file of 'cnnviz saliency', named by the network",
    )
    parser.add_argument("--fold", type=int, default=0)
    arguments.add_images(parser)
    arguments.add_weights(parser)
    arguments.add_engine(parser)
    arguments.add_output(parser, "folder for face_1.gif to face_6.gif", "folder")


def partial(pooling):
    """Names of the layers whose neurons see less than the whole image."""
    from cnnviz.attribution.receptive_field import receptive_field

    return [layer.name for layer in pooling if max(receptive_field(layer).size) < die360.SIZE]


def most_about(arrays, names, concept="pip"):
    """Layer and feature whose saliency exceeds chance most on a concept.

    Parameters
    ----------
    arrays : dict
        Of a file of ``cnnviz saliency``.
    names : list of str
        Layers to choose from.
    concept : str

    Returns
    -------
    layer : str
    feature : int
    """
    lift = np.stack([arrays[f"{name}_max_lift"][:, CONCEPTS.index(concept)] for name in names])
    # Silent features come last; if all are silent, the first is as good as any.
    best = np.where(np.isnan(lift), -np.inf, lift).argmax()
    layer, feature = np.unravel_index(best, lift.shape)
    return names[layer], int(feature)


def measure(layer, feature, images):
    """Important areas of both aggregates, boxes and activations of images.

    Returns
    -------
    areas : dict of bool arrays, ``(n, rows, columns)``
    boxes : int array, ``(n, 4)``
    activations : array, ``(n,)``
    """
    from cnnviz.attribution.activations import feature_maps, maximal_neurons
    from cnnviz.attribution.gradient import TARGETS, Gradient
    from cnnviz.attribution.receptive_field import receptive_field
    from cnnviz.attribution.reductions import reduce_channels

    areas = {}
    for target in TARGETS:
        gradients = Gradient(layer, target, evaluation="whole").attribute(images, feature)[:, 0]
        areas[target] = stability.important_areas(overlay.smooth(reduce_channels(gradients)))
    maps = feature_maps(layer, images)[:, feature]
    field = receptive_field(layer)
    boxes = np.array([field.box(*neuron) for neuron in maximal_neurons(maps).tolist()])
    return areas, boxes, maps.max(axis=(1, 2))


def _frames(name, pixels, a, b, areas, boxes, activations):
    from cnnviz.thesis.figures import animation

    titles = ["view", "gradient of max(F)", "gradient of sum(F)"]
    found = []
    for k, image in enumerate(pixels):
        largest = animation.with_area(image, areas["max"][k])
        if activations[k] > 0:
            largest = animation.with_box(largest, boxes[k])
        panels = [animation.enlarge(image), largest, animation.with_area(image, areas["sum"][k])]
        found.append(
            animation.frame(
                panels, titles, name, f"a = {a[k]}°, b = {b[k]}°; activation {activations[k]:.2f}"
            )
        )
    return found


def run(args):
    from cnnviz.networks import die, layers, weights
    from cnnviz.thesis.figures import animation

    arguments.select_engine(args)
    network = die.build(args.saliency.stem)
    layer_name, feature = most_about(
        files.load_arrays(args.saliency, "cnnviz saliency"), partial(layers.pooling_layers(network))
    )
    data = die360.load(args.images, args.every)
    weights.load_fold(args.weights, "random", args.saliency.stem, args.fold, network)
    layer = layers.find_layer(network, layer_name)
    name = f"{args.saliency.stem}, {layer_name}, feature {feature + 1}"
    print(name)
    for face in tqdm(range(1, die360.CLASSES + 1), unit=" faces"):
        a, b = sequences.round_trip(face)
        images = sequences.images(data, a, b)
        pixels = images[:, 0] * np.float32(data.std) + np.float32(data.mean)
        animation.save(
            paths.animation(args.output, face),
            _frames(f"face {face}; {name}", pixels, a, b, *measure(layer, feature, images)),
        )
