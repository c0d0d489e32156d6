"""Train one Die360 network on one fold (thesis section 5.2)."""

from __future__ import annotations

import argparse
import shlex

from cnnviz.cli.commands import arguments


def command_line(args: argparse.Namespace) -> str:
    """The command that trains the same weights again."""
    words = ["cnnviz", "train"]
    for name, value in vars(args).items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)


def add_arguments(parser: argparse.ArgumentParser) -> None:
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
    parser.add_argument("--seed", type=int, default=0, help="fold k starts from seed + 100 k")
    arguments.add_written(
        parser, "--history", type=str, required=True, help="CSV file of the learning curve to write"
    )
    arguments.add_engine(parser)
    arguments.add_output(parser, "weight file (.npz) to write")


def run(args: argparse.Namespace) -> None:
    from cnnviz.experiments import die_training

    arguments.select_engine(args)
    settings = die_training.Settings(
        epochs=args.epochs,
        batch_size=args.batch_size,
        learning_rate=args.learning_rate,
        momentum=args.momentum,
        alive_accuracy=args.alive_accuracy,
    )
    which = die_training.Fold(args.network, args.split, args.fold, args.seed)
    words = command_line(args)
    print(die_training.write(which, args.images, settings, words, args.history, args.output))
