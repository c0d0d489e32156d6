"""Measure how far the exemplars of a network's pooling layers are from data.

Thesis sections 4.4 and 6: exemplars by plain gradient ascent, with the norm held,
and regularized; the activation that they reach beside the largest one on data,
what they are like, and whether they survive a shift and another start.
"""

from pathlib import Path

import numpy as np

from cnnviz.cli.commands import arguments
from cnnviz.datasets import die360
from cnnviz.runtime import files, paths
from cnnviz.runtime.errors import UserError

FUNDUS_LAYERS = {"pool2": 4, "pool3": 4, "pool4": 2}  # and how many features
PER_CLASS = {"die": 800, "fundus": 4}


def add_arguments(parser):
    parser.add_argument(
        "--network",
        required=True,
        help="defauw, or a convolutional network of the die: c1 to c9, or c4_sigmoid",
    )
    parser.add_argument(
        "--fold", type=int, default=0, help="of the die's random split: which weights"
    )
    arguments.add_images(parser)
    arguments.add_weights(parser)
    parser.add_argument(
        "--photographs",
        type=Path,
        default=paths.PHOTOGRAPHS / "synthetic",
        help="for defauw: folder of 'cnnviz prepare-photographs'",
    )
    parser.add_argument(
        "--choice",
        choices=["standin", "defauw", "random"],
        default="standin",
        help="for defauw: its weights",
    )
    parser.add_argument(
        "--layers",
        nargs="+",
        help="pooling layers; all of the die's networks, "
        f"{', '.join(FUNDUS_LAYERS)} of defauw if not given",
    )
    parser.add_argument(
        "--per-class",
        type=int,
        help="sample of the data: so many of every class, 800 views of "
        "the die or 4 photographs if not given",
    )
    parser.add_argument(
        "--at-most",
        type=int,
        help="steps of every ascent, for a trial; as many as the table says if not given",
    )
    arguments.add_engine(parser)
    arguments.add_output(parser, ".npz file to write")


def _settings(kind, at_most):
    """Ascents of the same length, in steps times their size, for both experiments."""
    from cnnviz.feature_visualization.analysis import Settings

    usual = (
        Settings()
        if kind == "die"
        else Settings(steps=50, step_size=0.2, regularized_steps=50, seeds=2)
    )
    if at_most is None:
        return usual
    return usual._replace(
        steps=min(usual.steps, at_most), regularized_steps=min(usual.regularized_steps, at_most)
    )


def _die(args):
    """Network, its pooling layers and their features, images, labels, accuracy."""
    from cnnviz.networks import die, layers, weights

    network = die.build(args.network)
    names = [layer.name for layer in layers.pooling_layers(network)]
    if not names:
        raise UserError(
            f"network '{args.network}' has no pooling layers; choose one "
            "of " + ", ".join(die.CONVOLUTIONAL + die.EXTRA)
        )
    data = die360.load(args.images, args.every)
    metadata = weights.load_fold(args.weights, "random", args.network, args.fold, network)
    return (
        network,
        dict.fromkeys(names, die.FILTERS),
        data.images,
        data.labels,
        metadata["validation_accuracy"],
    )


def _fundus(args):
    from cnnviz.datasets import store
    from cnnviz.networks import defauw

    network = defauw.build()
    defauw.load(args.choice, network)
    photographs = store.read(args.photographs)
    return network, FUNDUS_LAYERS, photographs.pixels, photographs.grades, np.nan


def _sample(images, labels, count):
    from cnnviz.datasets import fundus
    from cnnviz.feature_visualization import analysis

    chosen = np.array(images[analysis.stratified(labels, count)])
    if chosen.dtype == np.uint8:
        chosen = fundus.standardize(chosen)
    return analysis.data_of(chosen)


def run(args):
    from cnnviz.feature_visualization import analysis
    from cnnviz.networks import layers

    arguments.select_engine(args)
    kind = "fundus" if args.network == "defauw" else "die"
    prepare = {"die": _die, "fundus": _fundus}[kind]
    network, counts, images, labels, accuracy = prepare(args)
    data = _sample(images, labels, args.per_class or PER_CLASS[kind])
    del images
    settings = _settings(kind, args.at_most)
    names = args.layers or list(counts)
    out = {
        "network": args.network,
        "choice": args.choice,
        "kind": kind,
        "layers": names,
        "accuracy": accuracy,
        "sample": len(data.images),
        "low": data.low,
        "high": data.high,
        "square": data.square,
        **settings._asdict(),
    }
    for name in names:
        layer = layers.find_layer(network, name)
        features = np.linspace(
            0, layer.output_shape[1], counts.get(name, 2), endpoint=False
        ).astype(int)
        found = analysis.of_layer(layer, data, features, settings, True)
        out.update({f"{name}_{key}": value for key, value in found.items()})
    files.save_arrays(args.output, compressed=True, **out)
