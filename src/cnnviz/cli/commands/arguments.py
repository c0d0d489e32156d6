"""Arguments that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnviz.runtime import files, paths

if TYPE_CHECKING:
    from cnnviz.experiments.die_pooling import Trained

SPLITS = ("random", "separated")
SOURCES = ("synthetic", "idrid", "kaggle")  #: of fundus photographs
FIGURE_SUFFIXES = (".png", ".pdf")


def _try_figure(stem) -> None:
    for suffix in FIGURE_SUFFIXES:
        files.require_writable(stem.with_name(stem.name + suffix))


#: What is written, and how that is tried.
_TRIES = {
    "file": files.require_writable,
    "folder": lambda path: files.require_writable(path, folder=True),
    "figure": _try_figure,
}


class _Written(argparse.Action):
    """Keeps a path, after trying whether something can be written there."""

    def __init__(self, *args: Any, kind: str = "file", **options: Any) -> None:
        super().__init__(*args, **options)
        self._try = _TRIES[kind]

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        value,
        option: str | None = None,
    ) -> None:
        self._try(Path(value))
        setattr(namespace, self.dest, value)


def add_written(
    parser: argparse.ArgumentParser,
    *names: Any,
    kind: str = "file",
    type: type = Path,
    **options: Any,
) -> None:
    """An argument for what a command writes, tried before hours of work.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    *names : str
    kind : {"file", "folder", "figure"}
        A figure is named without suffix.
    type, **options
        As for ``add_argument``.
    """
    parser.add_argument(*names, action=_Written, kind=kind, type=type, **options)


def add_output(
    parser: argparse.ArgumentParser, text: str = "file to write", kind: str = "file"
) -> None:
    """``--output``, always required: no command guesses where to write."""
    add_written(parser, "-o", "--output", kind=kind, required=True, help=text)


def add_figure(parser: argparse.ArgumentParser) -> None:
    """``--output`` of a figure."""
    add_output(parser, "figure to write, without suffix: .png and .pdf", "figure")


def add_reported(parser: argparse.ArgumentParser, name: str) -> None:
    """``--reported``: the thesis's numbers of a table or chapter."""
    parser.add_argument(
        "--reported",
        type=Path,
        default=paths.REPORTED_TABLES / f"{name}.csv",
        help="the thesis's numbers",
    )


def add_run(parser: argparse.ArgumentParser) -> None:
    """``--run``: the description of a finished run."""
    parser.add_argument(
        "--run", type=Path, default=paths.RUN, help="configuration and tables of the run"
    )


def add_images(parser: argparse.ArgumentParser) -> None:
    """``--images``: the rendered data set."""
    parser.add_argument(
        "--images", type=Path, default=paths.DIE360_IMAGES, help="file of 'cnnviz render'"
    )


def add_network(parser: argparse.ArgumentParser) -> None:
    """``--network`` and ``--split``."""
    parser.add_argument(
        "--network", required=True, help="c1, c2, c3, c4, c9, d5, d10 or d20; or c4_sigmoid"
    )
    parser.add_argument(
        "--split",
        choices=SPLITS,
        default="random",
        help="random: the thesis's 80/20 split; separated: no "
        "validation view within 5 degrees of a training view",
    )


def add_fold(parser: argparse.ArgumentParser) -> None:
    """``--network``, ``--split`` and ``--fold``."""
    add_network(parser)
    parser.add_argument(
        "--fold", type=int, default=0, help="0 to 4; -1 is the tuning fold of the random split"
    )


def add_weights(parser: argparse.ArgumentParser) -> None:
    """``--weights-folder``: the weight files of the die's networks."""
    parser.add_argument(
        "--weights-folder", type=Path, default=paths.SHIPPED_WEIGHTS, help="folder of weight files"
    )


def add_die_pooling(parser: argparse.ArgumentParser) -> None:
    """``--network``, ``--fold`` and what stands for them: a trained network with maps."""
    parser.add_argument("--network", required=True, help="c1, c2, c3, c4 or c9")
    parser.add_argument("--fold", type=int, default=0)
    add_images(parser)
    add_weights(parser)
    add_engine(parser)


def die_pooling(args: argparse.Namespace) -> Trained:
    """The same as one object."""
    from cnnviz.experiments.die_pooling import Trained

    return Trained(args.network, args.fold, args.weights_folder, args.images)


def add_photographs(parser: argparse.ArgumentParser) -> None:
    """``--photographs``: a folder of prepared fundus photographs."""
    parser.add_argument(
        "--photographs", type=Path, required=True, help="folder of 'cnnviz prepare-photographs'"
    )


def add_defauw_weights(parser: argparse.ArgumentParser) -> None:
    """``--weights`` of De Fauw's network."""
    parser.add_argument(
        "--weights",
        choices=(*paths.FUNDUS_WEIGHTS, "random"),
        default=next(iter(paths.FUNDUS_WEIGHTS)),
        help="whose weights: shipped, De Fauw's (converted), or none",
    )


def add_mirror(parser: argparse.ArgumentParser) -> None:
    """``--mirror``: the folder with copies of external files."""
    parser.add_argument(
        "--mirror",
        type=Path,
        help="folder with copies of the external files, instead of "
        "downloading them; else the environment variable "
        "CNNVIZ_MIRROR names it",
    )


def add_engine(parser: argparse.ArgumentParser) -> None:
    """``--engine`` and ``--device``: what runs the networks."""
    parser.add_argument(
        "--engine",
        default="auto",
        help="theano (C code), torch (PyTorch), or auto: the "
        "environment variable CNNVIZ_ENGINE, else torch where it "
        "is installed",
    )
    parser.add_argument(
        "--device",
        default="auto",
        help="cpu, cuda, cuda:n, or auto: the environment variable "
        "CNNVIZ_DEVICE, else cuda where there is a GPU",
    )


def select_engine(args: argparse.Namespace) -> None:
    """Choose the engine asked for and say in the log which one runs."""
    from cnnviz.runtime import backend

    backend.select(args.engine, args.device)
    args.engine, args.device = backend.selected()
    print(backend.describe(), flush=True)


def add_evaluations(parser: argparse.ArgumentParser) -> None:
    """``--evaluations``, ``--networks`` and ``--folds``: what tables read."""
    parser.add_argument(
        "--evaluations",
        type=Path,
        default=paths.EVALUATIONS,
        help="folder with SPLIT/NETWORK_foldK.npz",
    )
    parser.add_argument("--networks", nargs="+", required=True)
    parser.add_argument("--folds", type=int, default=5)
