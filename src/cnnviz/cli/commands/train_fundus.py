"""Train De Fauw's network, one stage after the other (thesis chapter 4).

Stages: "narrow" (small narrow-field synthetic pictures, tied biases), "pairs"
(whole synthetic eye pairs), "more_pairs" (the same, with other settings),
"photographs" (photographs of IDRiD's training split, and some synthetic pairs) and
"more_photographs" (the same).  The network learns from grades only.  An interrupted
stage goes on where it was.  Those of whole photographs can begin with shipped weights.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cnnviz.cli.commands import arguments
from cnnviz.experiments.fundus_stages import STAGES
from cnnviz.runtime import paths


def add_arguments(parser: argparse.ArgumentParser) -> None:
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


def run(args: argparse.Namespace) -> None:
    from cnnviz.experiments import fundus_training

    stage = fundus_training.Stage(
        args.stage, args.settings, args.initial, args.photographs, args.steps, args.seed
    )
    planned = fundus_training.plan(stage)
    arguments.select_engine(args)
    outputs = fundus_training.Outputs(args.output, args.history, args.checkpoint)
    fundus_training.train(stage, planned, outputs)
