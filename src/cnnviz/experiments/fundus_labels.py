"""Labels of all features of De Fauw's network, trained and random: what Table 4.1 counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cnnviz.attribution.receptive_field import depth, receptive_field
from cnnviz.experiments import defauw_network, feature_table, figure_features, figure_parts
from cnnviz.experiments.fundus_features import Dissected, Localized
from cnnviz.networks import defauw, layers
from cnnviz.runtime import files
from cnnviz.runtime.errors import UserError
from cnnviz.runtime.records import read_origin

__all__ = ["Labeled", "label", "label_networks"]


@dataclass(frozen=True)
class Labeled:
    """What the features of the networks detect."""

    features: pd.DataFrame  #: from :func:`.feature_table.table`
    roles: pd.DataFrame  #: those of Figures 4.5 to 4.21; see :func:`.figure_features.choose`
    every: pd.DataFrame  #: the same for a page of each feature
    geometry: dict[str, tuple[int, int]]  #: depth and side of the receptive field, by layer
    origin: dict[str, Any]  #: of the trained network's files, or of the only ones


def label(dissected: Sequence[Path], localized: Sequence[Path]) -> Labeled:
    """Label the features of one network or several, from their files.

    Parameters
    ----------
    dissected, localized : sequences of path
        Files of :class:`.fundus_features.Dissected` and :class:`.fundus_features.Localized`, of
        each network one.

    Raises
    ------
    UserError
        For files that do not belong together.
    """
    evidence = {read_origin(path).get("dissected"): path for path in localized}
    if len(dissected) != len(localized):
        raise UserError("--dissected, --localized: as many of each, one for each network")
    networks, origins = {}, {}
    for path in dissected:
        origin = read_origin(path)
        found = evidence.get(files.sha256(path))
        if found is None:
            raise UserError(
                f"{path}: none of {', '.join(map(str, localized))} was made from it; run "
                f"'{Localized.command}' again"
            )
        name = defauw_network.name_of(origin)
        networks[name] = Dissected.load(path), Localized.load(found)
        origins[name] = origin
    tables = {origin["photographs_table"] for origin in origins.values()}
    if len(tables) > 1:
        raise UserError(f"{', '.join(map(str, dissected))}: of different photographs")
    return label_networks(networks, origins.get("trained") or origins["random"])


def label_networks(
    networks: dict[str, tuple[Dissected, Localized]], origin: dict[str, Any]
) -> Labeled:
    """Label the features of the networks "trained" and "random".

    Parameters
    ----------
    networks : dict
        From the name of a network to what was found of it.
    origin : dict
        What that was made from.
    """
    measured = {
        (name, layer): (localized.layers[layer], found.iou)
        for name, (dissected, localized) in networks.items()
        for layer, found in dissected.layers.items()
        if found.iou is not None
    }
    features = feature_table.table(measured)
    shown = set(features["layer"])
    parts = [
        part for part in figure_parts.PARTS if part.weights in networks and part.layer in shown
    ]
    return Labeled(
        features,
        figure_features.choose(features, parts),
        figure_features.every(features),
        {layer: each for layer, each in _geometry().items() if layer in shown},
        origin,
    )


def _geometry() -> dict[str, tuple[int, int]]:
    """Depth and side of the receptive field of the pooling layers."""
    return {
        layer.name: (depth(layer), receptive_field(layer).size[0])
        for layer in layers.pooling_layers(defauw.build())
    }
