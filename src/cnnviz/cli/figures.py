"""The figures: their titles, the modules that draw them, and what these read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cnnviz.cli.commands import arguments

__all__ = ["FIGURES", "Figure"]

#: Adds the arguments of what a figure reads to a parser.
Inputs = Callable[[Any], None]


@dataclass(frozen=True)
class Figure:
    """A figure of the thesis, or one beyond it.

    Parameters
    ----------
    title : str
    module : str
        In :mod:`cnnviz.thesis.figures`; its ``make(output, **inputs)`` draws the figure.
    inputs : sequence of functions
    fixed : dict
        What ``make`` is told besides.
    is_folder : bool
        Whether there is a page for each of many features.
    """

    title: str
    module: str
    inputs: tuple[Inputs, ...] = ()
    fixed: Mapping[str, str] = field(default_factory=dict)
    is_folder: bool = False


def _path(name: str, text: str, **options: Any) -> Inputs:
    options = {"required": True, **options}
    return lambda parser: parser.add_argument(f"--{name}", type=Path, help=text, **options)


def _seed(parser: Any) -> None:
    parser.add_argument("--seed", type=int, default=0, help="of the synthetic eyes")


def _table(parser: Any) -> None:
    arguments.add_written(parser, "--table", help="Markdown file to write: the changes in numbers")


_EXEMPLARS = (_path("exemplars", "file of 'cnnviz fundus-exemplars'"),)
_SALIENCY = (_path("saliency", "files of 'cnnviz saliency', one per network", nargs="+"),)
_SHEETS = (
    _path("sheets", "folder of 'cnnviz fundus-sheets'"),
    _path("roles", "file of 'cnnviz label-features': which features"),
    _path("features", "file of 'cnnviz label-features': all features"),
)
_EYES = (_seed, arguments.add_mirror)

#: Features of De Fauw's network.
_SHEET_TITLES = {
    "4.5": "features of the first pooling layer, trained and random",
    "4.6": "features of the second pooling layer, trained and random",
    "4.7": "features of the third pooling layer, trained and random",
    "4.8": "a microaneurysm detector of the fourth pooling layer",
    "4.9": "hard exudates confused with the optic disc",
    "4.10": "the fovea and hemorrhages confused",
    "4.11": "a detector of glare spots",
    "4.12": "a feature that detects several signs of retinopathy",
    "4.13": "a feature that detects an image artifact",
    "4.14": "an optic disc detector",
    "4.15": "a microaneurysm detector of the fifth pooling layer",
    "4.16": "a hard exudate detector of the fifth pooling layer",
    "4.17": "a hemorrhage detector of the fifth pooling layer",
    "4.18": "a detector of clusters of hemorrhages",
    "4.19": "a feature that is not easy to understand",
    "4.20": "a blood vessel detector of the fifth pooling layer",
    "4.21": "a feature that is hard to name but indicates disease",
}

#: From the number, or the name beyond the thesis, to the figure.
FIGURES: dict[str, Figure] = {
    "2.1": Figure("counting the spots of a die with one template", "figure_2_1"),
    "2.2": Figure("kernels and their responses", "figure_2_2"),
    "2.3": Figure("a valid convolution", "figure_2_3"),
    "2.4": Figure("three kinds of pooling", "figure_2_4"),
    "2.5": Figure("receptive field of a neuron two layers deep", "figure_2_5"),
    "3.1": Figure("positions of the occluder", "figure_3_1"),
    "4.1": Figure("macula, fovea and optic disc", "figure_4_1", _EYES),
    "4.2": Figure("non-proliferative retinopathy, annotated", "figure_4_2", _EYES),
    "4.3": Figure("proliferative retinopathy, annotated", "figure_4_3", (_seed,)),
    "4.4": Figure("De Fauw's network, layer by layer", "figure_4_4"),
    **{
        number: Figure(title, "fundus_sheet", _SHEETS, {"figure": number})
        for number, title in _SHEET_TITLES.items()
    },
    "4.22": Figure("exemplars of three types of features", "figure_4_22", _EXEMPLARS),
    "4.23": Figure(
        "an ascent towards an exemplar of a vessel feature",
        "figure_4_23_4_24",
        _EXEMPLARS,
        {"role": "vessel"},
    ),
    "4.24": Figure(
        "an ascent towards an exemplar of a microaneurysm feature",
        "figure_4_23_4_24",
        _EXEMPLARS,
        {"role": "microaneurysm"},
    ),
    "4.25": Figure("exemplars from three starts", "figure_4_25", _EXEMPLARS),
    "4.26": Figure("exemplars of three layers", "figure_4_26", _EXEMPLARS),
    "5.1": Figure("accepted and discarded projections", "figure_5_1"),
    "5.2": Figure(
        "saliency of one feature on two views one degree apart",
        "figure_5_2",
        (_path("neighbors", "files of 'cnnviz neighbors', one per network", nargs="+"), _table),
    ),
    "5.3": Figure(
        "saliency of the features of the first pooling layers",
        "saliency_sheet",
        _SALIENCY,
        {"layer_name": "pool1"},
    ),
    "5.4": Figure(
        "saliency of the features of the second pooling layers",
        "saliency_sheet",
        _SALIENCY,
        {"layer_name": "pool2"},
    ),
    "5.5": Figure(
        "posteriors of all networks on neighboring views",
        "figure_5_5",
        (_path("disagreement", "file of 'cnnviz disagreement'"),),
    ),
    "leakage": Figure(
        "accuracy against the angle to the nearest training view",
        "figure_leakage",
        (
            _path("by-distance", "CSV file of 'cnnviz table-without-leakage'"),
            _path("folds-table", "CSV file of all folds of the random split"),
        ),
    ),
    "exemplars": Figure(
        "exemplars of rectifiers and of sigmoid units",
        "figure_exemplars",
        (
            _path(
                "statistics",
                "files of 'cnnviz exemplar-statistics' of c4, c4_sigmoid and defauw, in this order",
                nargs="+",
            ),
        ),
    ),
    "fundus": Figure(
        "synthetic fundus photographs beside real ones",
        "figure_fundus",
        (
            _path("synthetic", "folder of prepared synthetic photographs"),
            _path("real", "folder of IDRiD's prepared photographs", required=False),
            *_EYES,
        ),
    ),
    "methods": Figure(
        "every visualization method on both experiments",
        "figure_methods",
        (arguments.add_weights, arguments.add_engine),
    ),
    "map-quality": Figure(
        "every method against masks, the network and the others",
        "figure_map_quality",
        (_path("summary", "CSV file of 'cnnviz table-map-quality'"),),
    ),
    "features": Figure(
        "a page for every feature of De Fauw's network", "figure_features", _SHEETS, is_folder=True
    ),
}
