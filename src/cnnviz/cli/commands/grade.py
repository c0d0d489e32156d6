"""Grade fundus photographs by De Fauw's network: diabetic retinopathy, 0 (none) to 4.

One line for each photograph: the most probable grade, and the posterior of each grade.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cnnviz.cli.commands import arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="photographs of eyes")
    parser.add_argument(
        "--pairs",
        action="store_true",
        help="every two photographs are the left and the right eye of a patient",
    )
    arguments.add_defauw_weights(parser)
    parser.add_argument("--weights-file", type=Path, help="weight file, instead of the usual place")
    arguments.add_engine(parser)


def run(args: argparse.Namespace) -> None:
    from cnnviz.experiments import eye_grades

    arguments.select_engine(args)
    grades = eye_grades.grade_eyes(args.images, args.weights, args.weights_file, args.pairs)
    print("\n".join(eye_grades.lines(grades)))
    print(eye_grades.caution(args.weights))
