"""Copy trained weights to weights/, with a manifest and learning curves."""

from pathlib import Path

import pandas as pd

from cnnviz.cli.commands import arguments
from cnnviz.datasets import die360, splits
from cnnviz.networks import weights
from cnnviz.networks.die import EXTRA
from cnnviz.networks.die import NAMES as NETWORKS
from cnnviz.runtime import files, paths
from cnnviz.runtime.errors import MissingFileError, UserError


def add_arguments(parser):
    parser.add_argument(
        "--trained",
        type=Path,
        default=paths.TRAINED_WEIGHTS,
        help="folder of trained weights, SPLIT/NETWORK_foldK.npz",
    )
    parser.add_argument(
        "--histories",
        type=Path,
        default=paths.HISTORIES,
        help="folder of learning curves, likewise",
    )
    arguments.add_written(
        parser,
        "-o",
        "--output",
        kind="folder",
        default=paths.SHIPPED_WEIGHTS,
        help="folder to write to",
    )


def _check_complete(found):
    """Refuse to replace the shipped weights by fewer, or by a small run's."""
    expected = {
        (split, name, fold)
        for split in arguments.SPLITS
        for name in NETWORKS
        for fold in range(splits.FOLDS)
    }
    expected |= {("random", name, 0) for name in EXTRA}
    metadata = {path: weights.read_metadata(path) for path in found}
    there = {(each["split"], each["network"], each["fold"]) for each in metadata.values()}
    missing = sorted(expected - there)
    if missing:
        raise UserError(
            "{0} weight files are missing, the first of network "
            "{1[1]}, split {1[0]}, fold {1[2]}; run 'make reproduce "
            "CONFIG=config/retrain.yaml'".format(len(missing), missing[0])
        )
    _, b, _ = die360.angles()
    for path, each in metadata.items():
        training, _ = splits.indices(b, each["split"], each["fold"])
        if each["training_images"] != len(training):
            raise UserError(
                f"{path}: trained on {each['training_images']} "
                f"images instead of {len(training)}; train on the "
                "whole data set before shipping"
            )


def _row(path, folder):
    metadata = weights.read_metadata(path)
    arrays = files.load_arrays(path)
    count = sum(array.size for name, array in arrays.items() if name != weights.METADATA)
    return {
        "file": path.relative_to(folder).as_posix(),
        "sha256": files.sha256(path),
        "parameters": count,
        **{key: metadata[key] for key in weights.MANIFEST_COLUMNS if key in metadata},
    }


def run(args):
    found = sorted(args.trained.glob("*/*_fold*.npz"))
    if not found:
        raise MissingFileError(
            f"{args.trained}: no weight files; run 'make reproduce CONFIG=config/retrain.yaml'"
        )
    _check_complete(found)
    curves = []
    for path in found:
        name = path.relative_to(args.trained)
        with files.atomic(args.output / name) as temporary:
            temporary.write_bytes(path.read_bytes())
        curve = files.read_table((args.histories / name).with_suffix(".csv"), "cnnviz train")
        curve.insert(0, "file", name.as_posix())
        curves.append(curve)
    rows = [_row(args.output / path.relative_to(args.trained), args.output) for path in found]
    weights.write_manifest(args.output, rows)
    files.write_text(
        args.output / "learning_curves.csv",
        pd.concat(curves).to_csv(index=False, float_format="%.6g"),
    )
    print(f"{len(rows)} weight files in {args.output}")
