"""Posteriors of one trained network on the views it was not trained on."""
import numpy as np

from cnnviz import files
from cnnviz.commands import arguments
from cnnviz.datasets import die360


def add_arguments(parser):
    arguments.add_fold(parser)
    arguments.add_images(parser)
    arguments.add_weights(parser)
    arguments.add_engine(parser)
    arguments.add_output(parser, ".npz file of indices, labels, posteriors")


def run(args):
    from cnnviz import training
    from cnnviz.networks import die, weights
    arguments.select_engine(args)
    network = die.build(args.network)
    data = die360.load(args.images, args.every)
    metadata = weights.load_fold(args.weights, args.split, args.network,
                                 args.fold, network)
    trained, validation = arguments.split_indices(data.b, args.split, args.fold)
    # Views that the separated split drops between training and validation.
    dropped = np.setdiff1d(np.arange(len(data.b)),
                           np.concatenate([trained, validation]))
    compute = training.predictor(network)
    posteriors, dropped_posteriors = (
        training.predict(network, data.images[index], compute)
        for index in (validation, dropped))
    labels = data.labels[validation]
    files.save_arrays(
        args.output, index=validation.astype(np.int32), labels=labels,
        posteriors=posteriors, dropped_index=dropped.astype(np.int32),
        dropped_labels=data.labels[dropped],
        dropped_posteriors=dropped_posteriors, starts=np.int32(metadata["starts"]))
    print(f"{args.network} fold {args.fold} of the {args.split} split: "
          f"accuracy {training.accuracy(posteriors, labels):.4f}")
