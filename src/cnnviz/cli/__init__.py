"""The cnnviz command."""

from cnnviz.cli.dispatch import main

__all__ = ["main"]
