"""Exemplars of De Fauw's network for Figures 4.22 to 4.26 (thesis sections 3.1.1, 4.4).

Gradient ascent on what one neuron sees, from three starts: what activates the feature
most in a stratified sample, the mean photograph, and noise.  A patch keeps the L2
norm that photographs have on average over a patch of its size (eq. 3.1), without which
the activation of this network has no maximum.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cnnviz.cli.commands import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_photographs(parser)
    parser.add_argument(
        "--roles", type=Path, required=True, help="file of 'cnnviz table 4.1': which features"
    )
    arguments.add_defauw_weights(parser)
    parser.add_argument("--steps", type=int, default=60, help="of every ascent")
    parser.add_argument(
        "--sample", type=int, default=10, help="photographs of each grade in the stratified sample"
    )
    arguments.add_engine(parser)
    arguments.add_output(parser, ".npz file to write")


def run(args: argparse.Namespace) -> None:
    from cnnviz.experiments import fundus_exemplars

    arguments.select_engine(args)
    fundus_exemplars.write(
        args.photographs, args.roles, args.weights, args.steps, args.sample, args.output
    )
