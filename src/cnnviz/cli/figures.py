"""The figures: their titles, the modules that draw them, and what these read."""

from typing import Any

from cnnviz.cli.commands import arguments
from cnnviz.cli.products import Product, path

__all__ = ["FIGURES"]


def _figure(title: str, module: str, *others: Any, **options: Any) -> Product:
    return Product(title, f"figures.{module}", *others, **options)


def _pages(parser: Any) -> None:
    arguments.add_output(parser, "folder to write, with a page for each feature", "folder")


def _seed(parser: Any) -> None:
    parser.add_argument("--seed", type=int, default=0, help="of the synthetic eyes")


def _table(parser: Any) -> None:
    arguments.add_written(parser, "--table", help="Markdown file to write: the changes in numbers")


_EXEMPLARS = (path("exemplars", "file of 'cnnviz fundus-exemplars'"),)
_SALIENCY = (path("saliency", "files of 'cnnviz saliency', one per network", nargs="+"),)
_SHEETS = (
    path("sheets", "folder of 'cnnviz fundus-sheets'"),
    path("roles", "file of 'cnnviz table 4.1': which features"),
    path("features", "file of 'cnnviz table 4.1': all features"),
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
FIGURES: dict[str, Product] = {
    "2.1": _figure("counting the spots of a die with one template", "figure_2_1"),
    "2.2": _figure("kernels and their responses", "figure_2_2"),
    "2.3": _figure("a valid convolution", "figure_2_3"),
    "2.4": _figure("three kinds of pooling", "figure_2_4"),
    "2.5": _figure("receptive field of a neuron two layers deep", "figure_2_5"),
    "3.1": _figure("positions of the occluder", "figure_3_1"),
    "4.1": _figure("macula, fovea and optic disc", "figure_4_1", _EYES),
    "4.2": _figure("non-proliferative retinopathy, annotated", "figure_4_2", _EYES),
    "4.3": _figure("proliferative retinopathy, annotated", "figure_4_3", (_seed,)),
    "4.4": _figure("De Fauw's network, layer by layer", "figure_4_4"),
    **{
        number: _figure(title, "fundus_sheet", _SHEETS, {"figure": number})
        for number, title in _SHEET_TITLES.items()
    },
    "4.22": _figure("exemplars of three types of features", "figure_4_22", _EXEMPLARS),
    "4.23": _figure(
        "an ascent towards an exemplar of a vessel feature",
        "figure_4_23_4_24",
        _EXEMPLARS,
        {"role": "vessel"},
    ),
    "4.24": _figure(
        "an ascent towards an exemplar of a microaneurysm feature",
        "figure_4_23_4_24",
        _EXEMPLARS,
        {"role": "microaneurysm"},
    ),
    "4.25": _figure("exemplars from three starts", "figure_4_25", _EXEMPLARS),
    "4.26": _figure("exemplars of three layers", "figure_4_26", _EXEMPLARS),
    "5.1": _figure("accepted and discarded projections", "figure_5_1"),
    "5.2": _figure(
        "saliency of one feature on two views one degree apart",
        "figure_5_2",
        (path("neighbors", "files of 'cnnviz neighbors', one per network", nargs="+"), _table),
    ),
    "5.3": _figure(
        "saliency of the features of the first pooling layers",
        "saliency_sheet",
        _SALIENCY,
        {"layer_name": "pool1"},
    ),
    "5.4": _figure(
        "saliency of the features of the second pooling layers",
        "saliency_sheet",
        _SALIENCY,
        {"layer_name": "pool2"},
    ),
    "5.5": _figure(
        "posteriors of all networks on neighboring views",
        "figure_5_5",
        (path("disagreement", "file of 'cnnviz disagreement'"),),
    ),
    "leakage": _figure(
        "accuracy against the angle to the nearest training view",
        "figure_leakage",
        (
            path("by-distance", "CSV file of 'cnnviz table leakage'"),
            path("folds-table", "CSV file of all folds of the random split"),
        ),
    ),
    "exemplars": _figure(
        "exemplars of rectifiers and of sigmoid units",
        "figure_exemplars",
        (
            path(
                "statistics",
                "files of 'cnnviz exemplar-statistics' of c4, c4_sigmoid and defauw, in this order",
                nargs="+",
            ),
        ),
    ),
    "fundus": _figure(
        "synthetic fundus photographs beside real ones",
        "figure_fundus",
        (
            path("synthetic", "folder of prepared synthetic photographs"),
            path("real", "folder of IDRiD's prepared photographs", required=False),
            *_EYES,
        ),
    ),
    "methods": _figure(
        "every visualization method on both experiments",
        "figure_methods",
        (arguments.add_weights, arguments.add_engine),
    ),
    "map-quality": _figure(
        "every method against masks, the network and the others",
        "figure_map_quality",
        (path("summary", "CSV file of 'cnnviz table map-quality'"),),
    ),
    "features": _figure(
        "a page for every feature of De Fauw's network", "figure_features", _SHEETS, output=_pages
    ),
}
