"""Fold and compress the trained weights of De Fauw's network, so that they can be shipped.

Normalization goes into filters and biases, the one huge matrix is kept in 8 bits and everything
else in float16.  Refused where that costs more than 0.005 of kappa on the synthetic photographs.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cnnviz.datasets import store
from cnnviz.networks import defauw, weights
from cnnviz.runtime import files, tables
from cnnviz.runtime.errors import UserError
from cnnviz.training import fundus_network as training
from cnnviz.training.grading import quadratic_weighted_kappa

__all__ = ["LARGEST_FILE", "LARGEST_LOSS", "LEARNING_CURVES", "behind", "ship"]

LARGEST_LOSS = 0.005  #: of kappa, by compression
LARGEST_FILE = 30e6  #: bytes
LEARNING_CURVES = "learning_curves.csv"  #: of shipped weights, beside them
_SOME = 16  # photographs whose maps are compared


def _measured(network: Any, photographs: store.Store) -> tuple[float, np.ndarray]:
    """Kappa on eye pairs, and the maps of the last pooling layer of some."""
    pairs = photographs.pairs()
    reader = training.EyeReader(network)
    maps = reader.maps(photographs.pixels)
    posteriors = reader.posteriors(maps, photographs.dimensions, pairs)
    said = posteriors.reshape(-1, posteriors.shape[-1]).argmax(axis=1)
    return quadratic_weighted_kappa(photographs.grades[pairs.ravel()], said), maps[:_SOME]


def behind(path: Path) -> tuple[list[dict[str, Any]], pd.DataFrame]:
    """Descriptions and learning curves of the stages behind a weight file.

    Shipped weights have several stages, and the curves of all in one file.
    """
    metadata = weights.read_metadata(path)
    if "stages" in metadata:
        return metadata["stages"], tables.read_table(path.with_name(LEARNING_CURVES))
    curve = tables.read_table(path.with_suffix(".csv"), "cnnviz train-fundus")
    return [metadata], curve.assign(stage=path.stem)


def ship(trained: Sequence[Path], folder: Path, output: Path) -> None:
    """Fold, compress and copy trained weights; their learning curves go along.

    Parameters
    ----------
    trained : sequence of path
        Weight files of all stages, the last one last; shipped weights, which the first of the
        others began with, may come first.
    folder : path
        Of prepared synthetic test pairs.
    output : path
        Weight file to write.

    Raises
    ------
    UserError
        For a file too large, or a loss too great.
    """
    plain, normalized = (defauw.build(16, normalize=normalize) for normalize in (False, True))
    weights.load(trained[-1], normalized)
    defauw.fold(normalized, plain)
    photographs = store.read(folder)
    before, maps = _measured(plain, photographs)
    stages, curves = zip(*map(behind, trained))
    metadata = {
        "network": "defauw",
        "kappa_before_compression": before,
        "stages": [stage for each in stages for stage in each],
    }
    with files.atomic(output) as temporary:
        weights.save(temporary, plain, metadata, defauw.EIGHT_BIT)
        size = temporary.stat().st_size
        weights.load(temporary, plain)
        after, small_maps = _measured(plain, photographs)
        kappas = {
            "bytes": size,
            "kappa_before": before,
            "kappa_after": after,
            "largest_relative_error_of_pooled_maps": float(
                np.abs(small_maps - maps).max() / np.abs(maps).max()
            ),
        }
        print(json.dumps(kappas))
        if size > LARGEST_FILE or before - after > LARGEST_LOSS:
            raise UserError(
                f"the compressed file has {size / 1e6:.1f} MB and a kappa "
                f"of {after:.4f} instead of {before:.4f}; too large, or too much lost"
            )
    files.write_text(output.with_name(LEARNING_CURVES), pd.concat(curves).to_csv(index=False))
