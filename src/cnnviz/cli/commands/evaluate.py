"""Posteriors of a trained network, fold by fold, on the views it was not trained on."""

import numpy as np

from cnnviz.cli.commands import arguments
from cnnviz.datasets import die360
from cnnviz.runtime import files, paths


def add_arguments(parser):
    arguments.add_network(parser)
    parser.add_argument(
        "--folds",
        type=int,
        nargs="+",
        default=[0],
        help="0 to 4; -1 is the tuning fold of the random split",
    )
    arguments.add_images(parser)
    arguments.add_weights(parser)
    arguments.add_engine(parser)
    arguments.add_output(
        parser,
        "folder to write: SPLIT/NETWORK_foldK.npz, files of indices, labels, posteriors",
        "folder",
    )


def _evaluate(args, fold, network, data, compute):
    """Write the evaluation of one fold."""
    from cnnviz.networks import weights
    from cnnviz.training import die_networks

    metadata = weights.load_fold(args.weights, args.split, args.network, fold, network)
    trained, validation = arguments.split_indices(data.b, args.split, fold)
    # Views that the separated split drops between training and validation.
    dropped = np.setdiff1d(np.arange(len(data.b)), np.concatenate([trained, validation]))
    posteriors, dropped_posteriors = (
        die_networks.predict(network, data.images[index], compute)
        for index in (validation, dropped)
    )
    labels = data.labels[validation]
    files.save_arrays(
        paths.weight_file(args.output, args.split, args.network, fold),
        index=validation.astype(np.int32),
        labels=labels,
        posteriors=posteriors,
        dropped_index=dropped.astype(np.int32),
        dropped_labels=data.labels[dropped],
        dropped_posteriors=dropped_posteriors,
        starts=np.int32(metadata["starts"]),
    )
    print(
        f"{args.network} fold {fold} of the {args.split} split: "
        f"accuracy {die_networks.accuracy(posteriors, labels):.4f}",
        flush=True,
    )


def run(args):
    from cnnviz.networks import die
    from cnnviz.training import die_networks

    arguments.select_engine(args)
    network = die.build(args.network)
    data = die360.load(args.images, args.every)
    compute = die_networks.predictor(network)
    for fold in args.folds:
        _evaluate(args, fold, network, data, compute)
