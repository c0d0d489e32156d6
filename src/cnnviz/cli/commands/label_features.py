"""Label every feature by what its saliency lies on; Table 4.1; features for the figures.

From the files of 'cnnviz dissect' and 'cnnviz localise' of the trained and of the randomly
initialized network.
"""

from pathlib import Path

import numpy as np

from cnnviz.cli.commands import arguments
from cnnviz.runtime import files, paths
from cnnviz.runtime.errors import UserError
from cnnviz.thesis import comparison


def add_arguments(parser):
    parser.add_argument(
        "--dissected",
        type=Path,
        nargs="+",
        required=True,
        help="files of 'cnnviz dissect', one for each network",
    )
    parser.add_argument(
        "--localised",
        type=Path,
        nargs="+",
        required=True,
        help="files of 'cnnviz localise', in the same order",
    )
    parser.add_argument(
        "--networks",
        nargs="+",
        choices=("trained", "random"),
        required=True,
        help="which networks these are",
    )
    parser.add_argument("--photographs", required=True, help="what the photographs are, in words")
    parser.add_argument(
        "--weights", required=True, help="what the trained network's weights are, in words"
    )
    parser.add_argument(
        "--reported",
        type=Path,
        default=paths.REPORTED_TABLES / "table_4_1.csv",
        help="the thesis's numbers",
    )
    arguments.add_written(
        parser, "--features", required=True, help="CSV file of all features to write"
    )
    arguments.add_written(
        parser, "--roles", required=True, help="CSV file of the features of the figures to write"
    )
    arguments.add_written(
        parser, "--every", help="CSV file of the same form of all features to write"
    )
    arguments.add_written(
        parser, "--reproduced", required=True, help="CSV file of reproduced numbers to write"
    )
    arguments.add_output(parser, "Markdown file of Table 4.1 to write")


def _measured(args):
    """Measures by network and layer."""
    from cnnviz.dissection.feature_table import LAYERS

    if not len(args.dissected) == len(args.localised) == len(args.networks):
        raise UserError("--dissected, --localised and --networks: as many of each")
    found = {}
    for weights, *both in zip(args.networks, args.dissected, args.localised):
        overlap, evidence = (
            files.load_arrays(path, f"cnnviz {command}")
            for path, command in zip(both, ("dissect", "localise"))
        )
        for layer in (layer for layer in LAYERS if f"{layer}_iou" in overlap):
            names = ("share", "expected", "p", "spread", "disease", "gradient")
            found[weights, layer] = {name: evidence[f"{layer}_{name}"] for name in names}
            found[weights, layer]["iou"] = overlap[f"{layer}_iou"]
    return found


def _geometry():
    """Depth and receptive field of the pooling layers."""
    from cnnviz.attribution.receptive_field import depth, receptive_field
    from cnnviz.networks import defauw, layers

    return {
        layer.name: (depth(layer), receptive_field(layer).size[0])
        for layer in layers.pooling_layers(defauw.build())
    }


def _csv(table):
    """Text of a table; four digits, so that another processor's last ones do not count."""
    return table.to_csv(
        index=False, float_format=lambda value: f"{value:.4g}" if np.isfinite(value) else ""
    )


def run(args):
    from cnnviz.dissection import feature_table
    from cnnviz.thesis.tables import table_4_1

    found = feature_table.table(_measured(args))
    layers = set(found["layer"])
    roles = feature_table.choose(
        found,
        [
            part
            for part in feature_table.PARTS
            if part.weights in args.networks and part.layer in layers
        ],
    )
    geometry = {layer: each for layer, each in _geometry().items() if layer in layers}
    reported = comparison.read_reported([args.reported])
    files.write_text(args.features, _csv(found))
    files.write_text(args.roles, roles.to_csv(index=False))
    if args.every:
        files.write_text(args.every, feature_table.every(found).to_csv(index=False))
    comparison.write_reproduced(
        args.reproduced,
        table_4_1.reproduced(table_4_1.numbers(found, geometry), reported, "make reproduce"),
    )
    files.write_text(
        args.output,
        table_4_1.text(found, geometry, reported, args.photographs, args.weights, roles),
    )
