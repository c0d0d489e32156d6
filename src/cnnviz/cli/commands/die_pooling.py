"""What commands about the pooling layers of a network of the die begin with."""

from cnnviz.cli.commands import arguments
from cnnviz.datasets import die360
from cnnviz.runtime.errors import UserError


def add_arguments(parser, output):
    """``--network``, ``--fold``, and what every command takes; ``output`` is written."""
    parser.add_argument("--network", required=True, help="c1, c2, c3, c4 or c9")
    parser.add_argument("--fold", type=int, default=0)
    arguments.add_images(parser)
    arguments.add_weights(parser)
    arguments.add_engine(parser)
    arguments.add_output(parser, output)


def load(args):
    """Pooling layers of a trained network, first to last, and the data set.

    Returns
    -------
    list of lasagne.layers.Layer
    cnnviz.datasets.die360.Die360

    Raises
    ------
    FileNotFoundError, ValueError
        For a network without pooling layers, or files that are missing or foreign.
    """
    from cnnviz.networks import die, layers, weights

    arguments.select_engine(args)
    network = die.build(args.network)
    pooling = layers.pooling_layers(network)
    if not pooling:
        raise UserError(
            f"network '{args.network}' has no pooling layers; choose "
            "one of " + ", ".join(die.CONVOLUTIONAL)
        )
    data = die360.load(args.images, args.every)
    weights.load_fold(args.weights, "random", args.network, args.fold, network)
    return pooling, data
