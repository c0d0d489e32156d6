"""What a name after 'cnnviz figure' or 'cnnviz table' stands for, and how it is made."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cnnviz.cli.commands import arguments

__all__ = ["Inputs", "Product", "add_parsers", "make", "path"]

#: Adds the arguments of what a product reads to a parser.
Inputs = Callable[[Any], None]


@dataclass(frozen=True)
class Product:
    """A figure or a table.

    Parameters
    ----------
    title : str
    module : str
        In :mod:`cnnviz.thesis`; its ``make(output, **inputs)`` makes the product.
    inputs : sequence of functions
    fixed : dict
        What ``make`` is told besides.
    output : function
        Adds ``--output``.
    """

    title: str
    module: str
    inputs: tuple[Inputs, ...] = ()
    fixed: Mapping[str, str] = field(default_factory=dict)
    output: Inputs = arguments.add_figure


def path(name: str, text: str, **options: Any) -> Inputs:
    """An option that names a file to read; required if nothing else is said."""
    options = {"required": True, **options}
    return lambda parser: parser.add_argument(f"--{name}", type=Path, help=text, **options)


def add_parsers(parser: Any, kind: str, products: Mapping[str, Product]) -> None:
    """A subcommand for each product of a kind, such as "Figure"."""
    own = parser.add_subparsers(dest="product", metavar=kind.upper(), required=True)
    for name, product in products.items():
        described = f"{kind} {name}: {product.title}."
        one = own.add_parser(name, help=product.title, description=described)
        for add in product.inputs:
            add(one)
        product.output(one)


def make(args: Any, products: Mapping[str, Product]) -> None:
    """Make the product that a command line names."""
    inputs = dict(vars(args))
    product = products[inputs.pop("product")]
    if "engine" in inputs:
        arguments.select_engine(args)
        del inputs["engine"], inputs["device"]
    importlib.import_module(f"cnnviz.thesis.{product.module}").make(**inputs, **product.fixed)
