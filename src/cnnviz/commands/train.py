"""Train one Die360 network on one fold (thesis section 5.2)."""
import csv
import time

from cnnviz import files
from cnnviz.commands import arguments
from cnnviz.datasets import die360

# Seeds of folds are this far apart, so that restarts never meet.
SEED_STEP = 100


def add_arguments(parser):
    arguments.add_fold(parser)
    arguments.add_images(parser)
    parser.add_argument("--epochs", type=int, required=True,
                        help="passes over the training images")
    parser.add_argument("--batch-size", type=int, default=128,
                        help="images a step")
    parser.add_argument("--learning-rate", type=float, default=0.01,
                        help="at the start; falls to zero along half a cosine")
    parser.add_argument("--momentum", type=float, default=0.9,
                        help="Nesterov's")
    parser.add_argument("--alive-accuracy", type=float, default=0.35,
                        help="training accuracy below which a start is given "
                        "up after 5 epochs")
    parser.add_argument("--seed", type=int, default=0,
                        help=f"fold k starts from seed + {SEED_STEP} k")
    parser.add_argument("--history", required=True,
                        help="CSV file of the learning curve to write")
    arguments.add_output(parser, "weight file (.npz) to write")


def _write_history(path, history):
    with files.atomic(path) as temporary:
        with open(temporary, "w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(history[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(history)


def run(args):
    from cnnviz import backend, training
    from cnnviz.networks import die, weights
    print(backend.describe())
    settings = training.Settings(
        epochs=args.epochs, batch_size=args.batch_size,
        learning_rate=args.learning_rate, momentum=args.momentum,
        alive_accuracy=args.alive_accuracy)
    data = die360.load(args.images, args.every)
    parts = [(data.images[index], data.labels[index]) for index
             in arguments.split_indices(data, args.split, args.fold)]
    started = time.perf_counter()
    outcome = training.train(
        lambda seed: die.build(args.network, seed=seed), *parts, settings,
        args.seed + SEED_STEP * args.fold, progress=True)
    network = die.build(args.network)
    backend.lasagne.layers.set_all_param_values(network, outcome.parameters)
    command = (f"cnnviz train --network {args.network} --split {args.split} "
               f"--fold {args.fold} --epochs {args.epochs} "
               f"--batch-size {args.batch_size} "
               f"--learning-rate {args.learning_rate:g} "
               f"--momentum {args.momentum:g} --seed {args.seed}")
    _write_history(args.history, outcome.history)
    weights.save(args.output, network, {
        "network": args.network, "split": args.split, "fold": args.fold,
        "seed": outcome.seed, "starts": outcome.starts, "command": command,
        "validation_accuracy": outcome.accuracy,
        "training_images": len(parts[0][1]),
        "validation_images": len(parts[1][1])})
    print(f"{args.network} fold {args.fold} of the {args.split} split: "
          f"validation accuracy {outcome.accuracy:.4f} after {args.epochs} "
          f"epochs, {outcome.starts - 1} dead starts, "
          f"{time.perf_counter() - started:.0f} s")
