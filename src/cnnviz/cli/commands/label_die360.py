"""Trials of the automatic labeller of features, where the truth is known.

On features planted by hand in drawn fundus photographs, on random filters, and on the
features of the die's networks, where masks are exact: compared with the measure of Figures
5.3 and 5.4, with random weights, and with what thesis section 5.4 says.
"""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from cnnviz.cli.commands import arguments
from cnnviz.datasets import die360
from cnnviz.runtime import files
from cnnviz.runtime.errors import UserError


def add_arguments(parser):
    parser.add_argument(
        "--networks", nargs="+", required=True, help="networks of the die: c1, c2, c3, c4 or c9"
    )
    parser.add_argument(
        "--folds", type=int, default=5, help="trained networks of each kind, and random ones"
    )
    parser.add_argument(
        "--saliency",
        type=Path,
        nargs="+",
        required=True,
        help="files of 'cnnviz saliency', one for each network",
    )
    parser.add_argument(
        "--photographs", type=int, default=20, help="drawn fundus photographs; more than nine"
    )
    parser.add_argument("--filters", type=int, default=80, help="random filters of each trial")
    parser.add_argument(
        "--permutations", type=int, default=9999, help="places by chance for every p-value"
    )
    arguments.add_images(parser)
    arguments.add_weights(parser)
    arguments.add_engine(parser)
    arguments.add_output(parser, "Markdown file to write")


def _figures(paths):
    """Names of the features by Figures 5.3 and 5.4, from files of 'cnnviz saliency'."""
    from cnnviz.dissection.network_dissection import OTHER
    from cnnviz.networks import die, layers
    from cnnviz.thesis.figures import saliency_sheet

    return {
        (path.stem, layer.name, feature.index): feature.strongest("max")[0] or OTHER
        for path in paths
        for layer in layers.pooling_layers(die.build(path.stem))
        for feature in saliency_sheet.read_features(path, layer.name)[0]
    }


def _nulls(photographs, args):
    """What random filters see, where the concepts are said to be, what was found."""
    from cnnviz.dissection import ground_truth
    from cnnviz.dissection import validation as trials

    own = [each.index for each in photographs]
    colours, noise = slice(0, ground_truth.NOISE), slice(ground_truth.NOISE, None)
    (in_noise,), (with_own, with_others) = (
        trials.null_trial(
            photographs, indices, args.filters, channels, args.permutations, progress=True
        )
        for indices, channels in (([own], noise), ([own, trials.of_others(photographs)], colours))
    )
    return [
        ("noise", "the photograph's", in_noise, ()),
        ("the photograph", "another patient's", with_others, ("field edge",)),
        ("the photograph", "the photograph's", with_own, None),
    ]


def run(args):
    from cnnviz.datasets.concepts import CONCEPTS
    from cnnviz.dissection import ground_truth
    from cnnviz.dissection import validation as trials
    from cnnviz.networks import die
    from cnnviz.thesis.tables import labeller_validation

    unknown = set(args.networks) - set(die.CONVOLUTIONAL)
    if unknown:
        raise UserError(
            f"no network with pooling layers: {', '.join(sorted(unknown))}; "
            f"choose from {', '.join(die.CONVOLUTIONAL)}"
        )
    arguments.select_engine(args)
    figures = _figures(args.saliency)
    views = trials.views(die360.load(args.images, args.every), args.every)
    rows, steps = trials.die_trial(
        views, args.networks, args.weights, args.folds, args.permutations, progress=True
    )
    photographs = list(
        tqdm(
            ground_truth.photographs(args.photographs),
            unit=" photographs",
            total=args.photographs,
            mininterval=1,
        )
    )
    planted_rows = trials.planted_trial(photographs, args.permutations, progress=True)
    files.write_text(
        args.output,
        labeller_validation.text(
            planted_rows,
            len(photographs),
            len(CONCEPTS),
            _nulls(photographs, args),
            args.filters,
            {
                "rows": rows,
                "steps": steps,
                "figures": figures,
                "views": len(views[0]),
                "different": len(np.unique(views[2])),
                "spacing": trials.SPACING,
            },
        ),
    )
