"""Train De Fauw's network, one stage after the other (thesis chapter 4).

Stages: "narrow" (small narrow-field synthetic pictures, tied biases), "pairs"
(whole synthetic eye pairs), "more_pairs" (the same, with other settings),
"photographs" (photographs of IDRiD's training split, and some synthetic pairs) and
"more_photographs" (the same).  The network learns from grades only.  An interrupted
stage goes on where it was.  Those of whole photographs can begin with shipped weights.
"""

import dataclasses
import time
from pathlib import Path

import numpy as np
import yaml

from cnnviz.cli.commands import arguments
from cnnviz.datasets.fundus import SIZE
from cnnviz.runtime import files, paths
from cnnviz.runtime.errors import UserError

STAGES = ("narrow", "pairs", "more_pairs", "photographs", "more_photographs")
WITH_PHOTOGRAPHS = ("photographs", "more_photographs")
# Settings of the pictures and of the report; all others are of the training.
_OF_PICTURES = ("shares", "strongest_lesions", "validation_pairs", "every")
_OF_PHOTOGRAPHS = ("photograph_shares", "drawn_share")


def add_arguments(parser):
    parser.add_argument("--stage", choices=STAGES, required=True)
    parser.add_argument(
        "--settings",
        type=Path,
        default=paths.FUNDUS_TRAINING,
        help="YAML file with the settings of every stage",
    )
    parser.add_argument(
        "--initial", type=Path, help="weights to begin with, those of the stage before"
    )
    parser.add_argument(
        "--photographs", type=Path, help="folder of prepared photographs, for that stage"
    )
    parser.add_argument("--steps", type=int, help="instead of the settings' number")
    parser.add_argument("--seed", type=int, default=0, help="of weights, pictures and dropout")
    arguments.add_written(
        parser, "--checkpoint", help="file of the state, to go on after an interruption"
    )
    arguments.add_written(
        parser, "--history", required=True, help="CSV file of the learning curve to write"
    )
    arguments.add_engine(parser)
    arguments.add_output(parser, "weight file (.npz) to write")


def _settings(args, training):
    """Settings of the training, and those of its pictures, of one stage."""
    text = files.read_text(args.settings)
    try:
        stage = dict(yaml.safe_load(text)[args.stage])
        pictures = {name: stage.pop(name) for name in _OF_PICTURES}
        pictures["size"] = stage.pop("size", SIZE)
        if args.stage in WITH_PHOTOGRAPHS:
            pictures.update({name: stage.pop(name) for name in _OF_PHOTOGRAPHS})
        if args.steps is not None:
            stage["steps"] = args.steps
        return training.Settings(**stage), pictures
    except (KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise UserError(
            f"{args.settings}: not the settings of the stage "
            f"'{args.stage}' ({error}); compare with "
            f"{paths.FUNDUS_TRAINING}"
        ) from None


def run(args):
    from cnnviz.networks import defauw, weights
    from cnnviz.training import fundus_network as training

    if args.stage in WITH_PHOTOGRAPHS and args.photographs is None:
        raise UserError(
            f"the stage '{args.stage}' needs --photographs; make the folder "
            "with 'cnnviz prepare-photographs --source idrid'"
        )
    settings, pictures = _settings(args, training)
    size, shares = pictures["size"], np.array(pictures["shares"])
    arguments.select_engine(args)
    narrow = args.stage == "narrow"
    network = defauw.build(
        settings.batch_size, args.seed, size, untie_biases=not narrow, normalize=True
    )
    stream = _stream(args, training, settings, pictures)
    if args.initial is None:
        _prepare(network)
    else:
        fresh = weights.transfer(args.initial, network)
        if "conv1.scale" in fresh:  # weights that were folded, such as the shipped ones
            defauw.unfold(network, stream(0).pixels)
        print(
            f"begins with {args.initial}"
            + (f"; newly initialized: {', '.join(fresh)}" if fresh else ""),
            flush=True,
        )
    validate = (
        None
        if narrow
        else _validation(training, network, args.seed, pictures["validation_pairs"], shares)
    )
    started = time.perf_counter()
    history = training.train(
        network, stream, settings, args.checkpoint, validate, pictures["every"]
    )
    files.write_rows(args.history, list(history[-1]), history)
    weights.save(
        args.output,
        network,
        {
            "network": "defauw",
            "stage": args.stage,
            "seed": args.seed,
            "settings": {**dataclasses.asdict(settings), **pictures},
            "last": history[-1],
        },
    )
    print(
        f"{args.stage}: {settings.steps} steps of {settings.batch_size} pictures in "
        f"{time.perf_counter() - started:.0f} s; last {history[-1]}"
    )


def _prepare(network):
    """Change the initial weights so that training gets off the ground.

    Normalized maps are as strong at the last pooling layer as at the first,
    and the dense layers would drown in their thousands of values: little of
    them gets through at first.  The first filters begin without a mean, so
    that they answer to differences and not to the brightness of the fundus.
    """
    from cnnviz.networks.layers import NormalizedConv2DLayer, find_layer, layers_of_type

    last = layers_of_type(network, NormalizedConv2DLayer)[-1]
    for parameter in (last.scale, find_layer(network, "grades").W):
        parameter.set_value(np.float32(0.1) * parameter.get_value())
    filters = find_layer(network, "conv1").W
    values = filters.get_value()
    filters.set_value(values - values.mean(axis=(2, 3), keepdims=True))


def pictures_seed(stage, seed):
    """Seed of a stage's pictures, so that none draws whole eyes of another's."""
    return 1000 + seed + max(0, STAGES.index(stage) - STAGES.index("pairs"))


def _stream(args, training, settings, pictures):
    seed, count = pictures_seed(args.stage, args.seed), settings.batch_size
    shares = np.array(pictures["shares"])

    def plain(step):
        return training.plainness(step, settings.steps, pictures["strongest_lesions"])

    if args.stage == "narrow":
        return training.narrow_stream(seed, count, shares, pictures["size"], plain)
    if args.stage not in WITH_PHOTOGRAPHS:
        return training.pairs_stream(seed, count, shares, plain)
    from cnnviz.datasets import idrid

    drawn = 2 * round(count * pictures["drawn_share"] / 2)
    return training.mixed_stream(
        [
            training.pairs_stream(seed, drawn, shares, plain),
            training.photographs_stream(
                seed,
                count - drawn,
                *idrid.training_arrays(args.photographs),
                np.array(pictures["photograph_shares"]),
            ),
        ]
    )


def _validation(training, network, seed, count, shares):
    """Function that tries a network on held-out synthetic pairs."""
    from cnnviz.training.grading import quadratic_weighted_kappa

    pixels, dimensions, grades = training.validation_pairs(9000 + seed, count, shares)
    pairs = np.arange(len(grades)).reshape(-1, 2)
    reader = training.EyeReader(network)

    def validate():
        said = reader.posteriors(reader.maps(pixels), dimensions, pairs)
        said = said.argmax(axis=2).ravel()
        return {
            "validation_kappa": round(quadratic_weighted_kappa(grades, said), 4),
            "validation_accuracy": round(float(np.mean(said == grades)), 4),
        }

    return validate
