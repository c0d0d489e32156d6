"""The cnnviz command: one subcommand for each step of the workflow."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
import threading
from collections.abc import Sequence

from cnnviz.runtime import errors

# Subcommands: what users want first, then the steps of the workflow.  Each is a module in
# cnnviz.cli.commands, imported only when used, so that --help needs no compiler.
GROUPS: dict[str, dict[str, str]] = {
    "Start here": {
        "visualize": "show what a feature or unit responds to in an image, in any network",
        "figure": "draw a figure of the thesis, such as 4.15",
        "table": "write a table of the thesis, such as 5.1",
        "grade": "grade fundus photographs for diabetic retinopathy",
        "engine": "say which engine and device run the networks",
    },
    "Data": {
        "render": "render the Die360 images",
        "die360-facts": "measure the data set and write its data statement",
        "prepare-photographs": "prepare fundus photographs for De Fauw's network",
        "mark-concepts": "mark lesions, vessels, disc and artifacts on prepared photographs",
        "synthetic-lesions": "synthetic lesions compared with real ones",
    },
    "Networks and weights": {
        "train": "train one network on one fold",
        "evaluate": "posteriors of one trained network on its validation images",
        "train-fundus": "train De Fauw's network on fundus photographs, a stage at a time",
        "evaluate-fundus": "what De Fauw's network says of prepared photographs",
        "convert-defauw": "convert De Fauw's published parameters to a safe file",
        "ship-weights": "copy trained weights to weights/, with a manifest",
        "ship-fundus": "fold, compress and copy trained weights to weights/fundus",
    },
    "Chapter 4: features of De Fauw's network": {
        "dissect": "the photographs that activate every feature most; overlap with concepts",
        "localize": "what the saliency of every feature lies on, compared with chance",
        "fundus-sheets": "saliency of the features of Figures 4.5 to 4.21",
        "fundus-exemplars": "exemplars of De Fauw's network from three starts",
    },
    "Chapter 5: the die": {
        "saliency": "saliency maps of every feature of every pooling layer",
        "neighbors": "how much saliency changes between views one degree apart",
        "disagreement": "the view whose posteriors differ most from its neighbors'",
        "animate": "saliency along a sequence of views one degree apart, as GIF",
        "die-exemplars": "exemplars of every feature of a network of the die",
    },
    "Beyond the thesis": {
        "validate-labeler": "validate the labeling of features where the truth is known",
        "map-quality": "evaluate the attribution maps of every method",
        "exemplar-statistics": "how far exemplars of a network's layers are from data",
    },
    "The record of a run": {
        "compare": "put reproduced numbers beside the thesis's",
        "agreement": "how many numbers of a run agree with the recorded ones",
        "record": "make a finished run's tables the recorded ones",
        "lock": "who holds the lock of this folder's workflow",
    },
}
#: From every command to what it does.
COMMANDS = {name: text for group in GROUPS.values() for name, text in group.items()}


class _Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults as they are written on the command line, where there are any."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None or action.default is False:
            return action.help
        if isinstance(action.default, (list, tuple)):
            return f"{action.help} (default: {' '.join(map(str, action.default))})"
        return super()._get_help_string(action)


_EXAMPLES = """\
examples:
  cnnviz visualize --network defauw --layer pool4 --feature 17 --image eye.jpeg -o out.png
  cnnviz grade left.jpeg right.jpeg --pairs
  cnnviz figure 5.1 -o figure_5_1

'cnnviz COMMAND --help' explains a command; 'make reproduce' runs all of the workflow's."""


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS)) + 2
    groups = [
        f"{title}:\n" + "\n".join(f"  {name:{width}}{text}" for name, text in group.items())
        for title, group in GROUPS.items()
    ]
    parser = argparse.ArgumentParser(
        prog="cnnviz",
        usage="cnnviz COMMAND ...",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="\n\n".join(["What convolutional networks look at: a replication.", *groups]),
        epilog=_EXAMPLES,
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help=argparse.SUPPRESS)
    return parser


def _module(command: str):
    return importlib.import_module(f"cnnviz.cli.commands.{command.replace('-', '_')}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand.

    What a user can put right (:class:`cnnviz.runtime.errors.UserError`, or the operating
    system refusing to read or write) is one line; ``--debug`` shows its traceback as
    well.  Any other exception is a fault of the package and keeps its traceback.

    Returns
    -------
    int
        Exit status: 0, 1 after such a line, 130 when interrupted.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    if threading.current_thread() is threading.main_thread():
        # So that a terminated run, too, removes its unfinished files.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    command = _parser().parse_args(argv[:1]).command
    try:
        module = _module(command)
        parser = argparse.ArgumentParser(
            prog=f"cnnviz {command}", description=module.__doc__, formatter_class=_Formatter
        )
        module.add_arguments(parser)
        parser.add_argument(
            "--debug", action="store_true", help="show the traceback of an error in the input, too"
        )
        args = parser.parse_args([word for word in argv[1:] if word != "--debug"])
        del args.debug  # says nothing of the result, so nothing to record
        module.run(args)
    except (errors.UserError, OSError) as error:
        text = _one_line(error)
        if text is None or "--debug" in argv:
            raise
        print(f"cnnviz {command}: {text}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"cnnviz {command}: interrupted", file=sys.stderr)
        return 130
    return 0


def _one_line(error) -> str | None:
    """What to say of an error instead of its traceback, or None to show that."""
    if isinstance(error, errors.UserError):
        return str(error)
    return errors.of_machine(error)


if __name__ == "__main__":
    sys.exit(main())
