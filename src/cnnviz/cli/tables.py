"""The tables: their titles, the modules that write them, what these read and write."""

from collections.abc import Sequence
from typing import Any

from cnnviz.cli.commands import arguments
from cnnviz.cli.products import Inputs, Product, path
from cnnviz.runtime import paths

__all__ = ["TABLES"]


def _written(name: str, text: str, **options: Any) -> Inputs:
    options = {"required": True, **options}
    return lambda parser: arguments.add_written(parser, f"--{name}", help=text, **options)


def _reported(name: str) -> Inputs:
    return lambda parser: arguments.add_reported(parser, name)


def _markdown(parser: Any) -> None:
    arguments.add_output(parser, "Markdown file to write")


def _numbers(parser: Any) -> None:
    arguments.add_output(parser, "CSV file of reproduced numbers to write")


def _table(title: str, module: str, inputs: Sequence[Inputs], output: Inputs) -> Product:
    return Product(title, f"tables.{module}", tuple(inputs), output=output)


_FOLDS = _written("folds-table", "CSV file to write: every fold")
_DOWNLOADS = path(
    "downloads", "where downloaded files are kept", required=False, default=paths.DOWNLOADS
)

#: From the number, or the name beyond the thesis, to the table.
TABLES: dict[str, Product] = {
    "4.1": _table(
        "what the features of De Fauw's network detect",
        "table_4_1",
        [
            path("dissected", "files of 'cnnviz dissect', one for each network", nargs="+"),
            path("localized", "files of 'cnnviz localize' that were made from these", nargs="+"),
            _reported("table_4_1"),
            _written("features", "CSV file of all features to write"),
            _written("roles", "CSV file of the features of the figures to write"),
            _written(
                "roles-of-all", "CSV file of the same form of all features to write", required=False
            ),
            _written("reproduced", "CSV file of reproduced numbers to write"),
        ],
        _markdown,
    ),
    "5.1": _table(
        "accuracies of all networks",
        "table_5_1",
        [arguments.add_evaluations, _reported("table_5_1"), _FOLDS],
        _numbers,
    ),
    "5.2": Product(
        "exemplars of the die's networks, and two claims about them, measured",
        "figures.table_5_2",
        (
            path("exemplars", "files of 'cnnviz die-exemplars', one per network", nargs="+"),
            _written("table", "Markdown file to write: the thesis's claims, measured"),
        ),
    ),
    "chapter-4": _table(
        "numbers in the text of chapter 4 that need no weights; those that need the "
        "competition's labels are left out where these cannot be had",
        "text_chapter_4",
        [arguments.add_mirror, _DOWNLOADS, _reported("text_chapter_4")],
        _numbers,
    ),
    "chapter-5": _table(
        "numbers in the text of chapter 5",
        "text_chapter_5",
        [arguments.add_images, arguments.add_evaluations, _reported("text_chapter_5")],
        _numbers,
    ),
    "leakage": _table(
        "accuracies on the split without leakage, beside those of Table 5.1",
        "leakage",
        [
            arguments.add_evaluations,
            _reported("table_5_1"),
            _FOLDS,
            _written(
                "by-distance",
                "CSV file to write: right answers by the angle to the nearest training view",
            ),
        ],
        _markdown,
    ),
    "fundus": _table(
        "kappa, accuracy and confusion of De Fauw's network",
        "fundus_network",
        [path("evaluations", "files of 'cnnviz evaluate-fundus', one for each", nargs="+")],
        _markdown,
    ),
    "map-quality": _table(
        "evaluation of attribution maps: means, intervals and what they say",
        "map_quality",
        [
            path("measured", "CSV files of 'cnnviz map-quality'", nargs="+"),
            _written("summary", "CSV file of all means and intervals to write"),
        ],
        _markdown,
    ),
    "exemplars": _table(
        "exemplars beside data: the hypothesis of section 6 in numbers",
        "exemplars",
        [
            path("statistics", "files of 'cnnviz exemplar-statistics', one each", nargs="+"),
            _written("rows", "CSV file to write, a row for each exemplar"),
        ],
        _markdown,
    ),
}
