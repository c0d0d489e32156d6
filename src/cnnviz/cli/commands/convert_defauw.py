"""Convert De Fauw's published parameters to a weight file of this package.

His file is a Python pickle, which could run code when it is loaded.  It is
identified by its hash and read by an unpickler that knows arrays only.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cnnviz.cli.commands import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dump",
        type=Path,
        required=True,
        help="2015_07_17_123003_PARAMSDUMP.pkl, from dumps/ of "
        "github.com/JeffreyDF/kaggle_diabetic_retinopathy",
    )
    arguments.add_output(parser, ".npz file to write")


def run(args: argparse.Namespace) -> None:
    from cnnviz.networks import defauw_dump
    from cnnviz.runtime.backend import lasagne

    network = defauw_dump.convert(args.dump, args.output)
    print(f"{lasagne.layers.count_params(network):,} parameters in {args.output}")
