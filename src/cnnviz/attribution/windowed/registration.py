"""The torch engine learns how to run the Ops of windows, where it is in use."""

from cnnviz.runtime.backend import selected

__all__ = ["register"]


def register() -> None:
    """Tell the torch engine, where it is in use, how to run the Ops of windows."""
    if selected()[0] == "torch":
        from cnnviz.attribution.windowed import ops_torch  # noqa: F401
