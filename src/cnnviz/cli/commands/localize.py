"""What the saliency of every feature lies on, against chance (thesis section 4.3).

The evidence is the thesis's own: the saliency maps, gradient of the maximum, of the nine
photographs that activate a feature most; here of those whose lesions are marked. Its
share on every concept is compared with that of the same saliency at all other places of
the same photographs. The network and its layers are those of 'cnnviz dissect'.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cnnviz.cli.commands import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_photographs(parser)
    parser.add_argument(
        "--concepts",
        type=Path,
        required=True,
        help="file of 'cnnviz mark-concepts' for the same photographs",
    )
    parser.add_argument("--dissected", type=Path, required=True, help="file of 'cnnviz dissect'")
    parser.add_argument(
        "--permutations", type=int, default=9999, help="places by chance for every p-value"
    )
    arguments.add_engine(parser)
    arguments.add_output(parser, ".npz file to write")


def run(args: argparse.Namespace) -> None:
    from cnnviz.experiments import fundus_features

    arguments.select_engine(args)
    fundus_features.localize(
        args.photographs, args.concepts, args.dissected, args.permutations, args.output
    )
