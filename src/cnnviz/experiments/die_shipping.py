"""Trained weights of the die's networks become those that come with the package."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cnnviz.datasets import die360, splits
from cnnviz.networks import weights
from cnnviz.networks.die import EXTRA
from cnnviz.networks.die import NAMES as NETWORKS
from cnnviz.runtime import files, tables
from cnnviz.runtime.errors import MissingFileError, UserError

__all__ = ["write"]


def _check_complete(found: Sequence[Path]) -> None:
    """Refuse to replace the shipped weights by fewer, or by a small run's."""
    expected = {
        (split, name, fold)
        for split in ("random", "separated")
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


def _row(path: Path, folder: Path) -> dict[str, Any]:
    metadata = weights.read_metadata(path)
    arrays = files.load_arrays(path)
    count = sum(array.size for name, array in arrays.items() if name != weights.METADATA)
    return {
        "file": path.relative_to(folder).as_posix(),
        "sha256": files.sha256(path),
        "parameters": count,
        **{key: metadata[key] for key in weights.MANIFEST_COLUMNS if key in metadata},
    }


def write(trained: Path, histories: Path, output: Path) -> int:
    """Copy all weights, with a manifest and learning curves, for ``cnnviz ship-weights``.

    Parameters
    ----------
    trained, histories : path
        Folders with files ``SPLIT/NETWORK_foldK``, ``.npz`` and ``.csv``.
    output : path
        Folder.

    Returns
    -------
    int
        Number of weight files.

    Raises
    ------
    MissingFileError, UserError
        Where some are missing, or were trained on a part of the data set.
    """
    trained_files = sorted(trained.glob("*/*_fold*.npz"))
    if not trained_files:
        raise MissingFileError(
            f"{trained}: no weight files; run 'make reproduce CONFIG=config/retrain.yaml'"
        )
    _check_complete(trained_files)
    curves = []
    for path in trained_files:
        name = path.relative_to(trained)
        with files.atomic(output / name) as temporary:
            temporary.write_bytes(path.read_bytes())
        curve = tables.read_table((histories / name).with_suffix(".csv"), "cnnviz train")
        curve.insert(0, "file", name.as_posix())
        curves.append(curve)
    rows = [_row(output / path.relative_to(trained), output) for path in trained_files]
    weights.write_manifest(output, rows)
    files.write_text(
        output / "learning_curves.csv", pd.concat(curves).to_csv(index=False, float_format="%.6g")
    )
    return len(rows)
