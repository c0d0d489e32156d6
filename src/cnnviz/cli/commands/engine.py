"""Say which engine and device run the networks, or why they cannot."""

from cnnviz.cli.commands import arguments


def add_arguments(parser):
    arguments.add_engine(parser)


def run(args):
    arguments.select_engine(args)
