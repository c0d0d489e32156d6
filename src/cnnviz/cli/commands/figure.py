"""Draw a figure of the thesis, or one beyond it, from what the workflow has computed.

'snakemake results' rules compute these inputs; 'cnnviz figure 4.15 --help' says what a figure
needs.
"""

import importlib

from cnnviz.cli.commands import arguments
from cnnviz.cli.figures import FIGURES


def add_arguments(parser):
    figures = parser.add_subparsers(dest="figure_name", metavar="FIGURE", required=True)
    for name, figure in FIGURES.items():
        own = figures.add_parser(
            name, help=figure.title, description=f"Figure {name}: {figure.title}."
        )
        for add in figure.inputs:
            add(own)
        if figure.is_folder:
            arguments.add_output(own, "folder to write, with a page for each feature", "folder")
        else:
            arguments.add_figure(own)


def run(args):
    inputs = dict(vars(args))
    figure = FIGURES[inputs.pop("figure_name")]
    if "engine" in inputs:
        arguments.select_engine(args)
        del inputs["engine"], inputs["device"]
    importlib.import_module(f"cnnviz.thesis.figures.{figure.module}").make(**inputs, **figure.fixed)
