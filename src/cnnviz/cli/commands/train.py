"""Train one Die360 network on one fold (thesis section 5.2)."""

import shlex
import time

from cnnviz.cli.commands import arguments
from cnnviz.datasets import die360, splits
from cnnviz.runtime import files

# Seeds of folds are this far apart, so that restarts never meet.
SEED_STEP = 100


def first_seed(seed, fold):
    """Seed of a fold's first start; the tuning fold, -1, comes after all."""
    return seed + SEED_STEP * (fold if fold >= 0 else splits.FOLDS)


def command_line(args):
    """The command that trains the same weights again."""
    words = ["cnnviz", "train"]
    for name, value in vars(args).items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)


def add_arguments(parser):
    arguments.add_fold(parser)
    arguments.add_images(parser)
    parser.add_argument("--epochs", type=int, required=True, help="passes over the training images")
    parser.add_argument("--batch-size", type=int, default=128, help="images a step")
    parser.add_argument(
        "--learning-rate",
        type=float,
        default=0.01,
        help="at the start; falls to zero along half a cosine",
    )
    parser.add_argument("--momentum", type=float, default=0.9, help="Nesterov's")
    parser.add_argument(
        "--alive-accuracy",
        type=float,
        default=0.35,
        help="training accuracy below which a start is given up after 5 epochs",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help=f"fold k starts from seed + {SEED_STEP} k"
    )
    arguments.add_written(
        parser, "--history", type=str, required=True, help="CSV file of the learning curve to write"
    )
    arguments.add_engine(parser)
    arguments.add_output(parser, "weight file (.npz) to write")


def run(args):
    from cnnviz.networks import die, weights
    from cnnviz.runtime import backend
    from cnnviz.training import die_networks

    arguments.select_engine(args)
    settings = die_networks.Settings(
        epochs=args.epochs,
        batch_size=args.batch_size,
        learning_rate=args.learning_rate,
        momentum=args.momentum,
        alive_accuracy=args.alive_accuracy,
    )
    network = die.build(args.network)
    data = die360.load(args.images)
    parts = [
        (data.images[index], data.labels[index])
        for index in splits.indices(data.b, args.split, args.fold)
    ]
    del data  # 200 MB
    started = time.perf_counter()
    outcome = die_networks.train(
        lambda seed: die.build(args.network, seed=seed),
        *parts,
        settings,
        first_seed(args.seed, args.fold),
        progress=True,
    )
    backend.lasagne.layers.set_all_param_values(network, outcome.parameters)
    files.write_rows(args.history, list(outcome.history[0]), outcome.history)
    weights.save(
        args.output,
        network,
        {
            "network": args.network,
            "split": args.split,
            "fold": args.fold,
            "seed": outcome.seed,
            "starts": outcome.starts,
            "command": command_line(args),
            "validation_accuracy": outcome.accuracy,
            "training_images": len(parts[0][1]),
            "validation_images": len(parts[1][1]),
        },
    )
    print(
        f"{args.network} fold {args.fold} of the {args.split} split: "
        f"validation accuracy {outcome.accuracy:.4f} after {args.epochs} "
        f"epochs, {outcome.starts - 1} dead starts, "
        f"{time.perf_counter() - started:.0f} s"
    )
