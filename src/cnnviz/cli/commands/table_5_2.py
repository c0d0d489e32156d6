"""Table 5.2: exemplars of the die's networks, and what the thesis says of them, measured.

Writes the pictures, and a Markdown file with the thesis's two claims about them beside
numbers: that of spot-like shapes, and that of an empty corner at the bottom right.
"""

from pathlib import Path

import numpy as np

from cnnviz.cli.commands import arguments
from cnnviz.datasets import die360
from cnnviz.runtime import files
from cnnviz.thesis.tables import exemplars_die360


def add_arguments(parser):
    parser.add_argument(
        "--exemplars",
        type=Path,
        nargs="+",
        required=True,
        help="files of 'cnnviz die-exemplars', one per network",
    )
    arguments.add_written(
        parser,
        "--table",
        required=True,
        help="Markdown file to write: the thesis's claims, measured",
    )
    arguments.add_figure(parser)


def read(path):
    """Layers of one network, first to last; the file is named by the network."""
    arrays = files.load_arrays(path, "cnnviz die-exemplars")
    names = sorted(key.removesuffix("_patches") for key in arrays if key.endswith("_patches"))
    return [
        exemplars_die360.Layer(
            path.stem,
            name,
            *(arrays[f"{name}_{key}"] for key in exemplars_die360.Layer._fields[2:]),
        )
        for name in names
    ]


def windows(sides):
    """Windows of rendered views, with a pip and without one, by their side."""
    a, b, _ = (each[:: exemplars_die360.SAMPLE] for each in die360.angles())
    images, masks = die360.render(a, b), die360.regions(a, b) > die360.PIP
    return {side: exemplars_die360.spot_windows(images, masks, side) for side in sides}


def run(args):
    from cnnviz.thesis.figures import style, table_5_2

    found = [layer for path in args.exemplars for layer in read(path)]
    sides = np.minimum(exemplars_die360.SIDE, [layer.patches.shape[1] for layer in found])
    files.write_text(
        args.table, exemplars_die360.text(found, windows({*sides.tolist(), exemplars_die360.SIDE}))
    )
    style.save(table_5_2.draw(found), args.output)
