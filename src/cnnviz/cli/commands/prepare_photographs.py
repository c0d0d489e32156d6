"""Prepare fundus photographs as De Fauw's network expects them (chapter 4).

An interrupted run goes on where it stopped. --source synthetic draws eye pairs, and
adds the one real photograph that comes with scikit-image. --source idrid reads a
mirror folder, or downloads from public repositories. --source kaggle reads the
competition's training photographs, which need a Kaggle account: accept the rules on
the page of the competition diabetic-retinopathy-detection, install Kaggle's own
command and your API token, run 'kaggle competitions download -c
diabetic-retinopathy-detection', and unpack the training photographs (about 35 GB)
into one folder, trainLabels.csv beside them. Prepared, they take 0.8 MB each.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cnnviz.cli.commands import arguments
from cnnviz.datasets import field_of_view
from cnnviz.runtime import paths


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", choices=arguments.SOURCES, required=True)
    arguments.add_mirror(parser)
    parser.add_argument("--pairs", type=int, default=1000, help="synthetic: how many patients")
    parser.add_argument(
        "--seed", type=int, default=0, help="synthetic: other seeds are other patients"
    )
    parser.add_argument(
        "--downloads", type=Path, default=paths.DOWNLOADS, help="where downloaded files are kept"
    )
    parser.add_argument("--folder", type=Path, help="kaggle: folder of the training photographs")
    parser.add_argument(
        "--labels", type=Path, help="kaggle: trainLabels.csv, if not in that folder"
    )
    parser.add_argument(
        "--partial", action="store_true", help="kaggle: accept labels of a part of the photographs"
    )
    parser.add_argument(
        "--crop",
        choices=field_of_view.CROPS,
        default="published",
        help="idrid, kaggle: where the eye is. 'published': De Fauw's rule, "
        "which one bright pixel beside the eye moves; a warning says where "
        "it is implausible. 'robust': the largest bright area, whatever is "
        "bright beside it",
    )
    arguments.add_output(parser, "folder to write", "folder")


def run(args: argparse.Namespace) -> None:
    from cnnviz.experiments import photograph_sources

    wanted = photograph_sources.Sources(
        source=args.source,
        crop=args.crop,
        pairs=args.pairs,
        seed=args.seed,
        mirror=args.mirror,
        downloads=args.downloads,
        folder=args.folder,
        labels=args.labels,
        partial=args.partial,
    )
    photograph_sources.prepare(args.output, wanted)
