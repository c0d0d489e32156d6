"""Size, shape and contrast of drawn lesions beside those of real ones.

The real ones were measured once; --measure measures them again from IDRiD's
outlined photographs and writes that record.
"""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from cnnviz.cli.commands import arguments
from cnnviz.datasets import external, idrid, lesion_statistics, synthetic
from cnnviz.runtime import files, paths
from cnnviz.thesis.tables import drawn_lesions

ROWS = 1424
SEED = 77
SHARES = np.array([0, 0, 1, 1, 1]) / 3  # lesions of all kinds


def add_arguments(parser):
    arguments.add_mirror(parser)
    parser.add_argument("--measure", action="store_true", help="measure the real ones again")
    parser.add_argument(
        "--real", type=Path, default=paths.IDRID_LESIONS, help="record of the real ones"
    )
    parser.add_argument("--count", type=int, default=48, help="photographs to draw")
    arguments.add_output(parser, "Markdown file to write")


def _real(mirror):
    rows = []
    for record in tqdm(idrid.records("lesions"), unit=" photographs"):
        image, masks = idrid.outlined(record, mirror)
        rows += lesion_statistics.lesions(image, masks)
    return drawn_lesions.summary(rows)


def _drawn(count):
    rows = []
    for index in tqdm(range(count), unit=" photographs"):
        scene = synthetic.pair([SEED, index], SHARES)[index % 2]
        picture, masks = synthetic.photograph(scene, ROWS)
        if masks:
            rows += lesion_statistics.lesions(
                picture, {name: mask > 0.5 for name, mask in masks.items()}
            )
    return drawn_lesions.summary(rows)


def run(args):
    if args.measure:
        real = _real(external.mirror(args.mirror))
        files.write_rows(args.real, list(real[0]), real)
    real = files.read_rows(args.real, "cnnviz drawn-lesions --measure")
    files.write_text(args.output, drawn_lesions.text(real, _drawn(args.count), args.count, ROWS))
