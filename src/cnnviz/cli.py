"""The cnnviz command: one subcommand for each step of the workflow."""
import argparse
import importlib
import signal
import sys
import threading

# Subcommands; each is a module in cnnviz.commands or cnnviz.figures, imported only when used, so
# that --help needs no compiler.
COMMANDS = {
    "engine": "say which engine and device run the networks",
    "render": "render the Die360 images",
    "die360-facts": "measure the data set and write its data statement",
    "train": "train one network on one fold",
    "evaluate": "posteriors of one trained network on its validation images",
    "table-5-1": "Table 5.1 from the evaluations of all folds",
    "table-without-leakage": "accuracies on the split without leakage",
    "text-chapter-4": "numbers in the text of chapter 4 that need no weights",
    "text-chapter-5": "numbers in the text of chapter 5",
    "saliency": "saliency maps of every feature of every pooling layer",
    "visualize": "what a feature looks for in a photograph, in any network",
    "figure-2-1": "counting the spots of a die with one template",
    "figure-2-2": "kernels and their responses",
    "figure-2-3": "a valid convolution",
    "figure-2-4": "three kinds of pooling",
    "figure-2-5": "receptive field of a neuron two layers deep",
    "figure-3-1": "positions of the occluder",
    "figure-4-4": "De Fauw's network, layer by layer",
    "figure-5-1": "accepted and discarded projections",
    "figure-5-3": "saliency of the features of the first pooling layers",
    "figure-5-4": "saliency of the features of the second pooling layers",
    "figure-leakage": "accuracy against the angle to the nearest training view",
    "compare": "put reproduced numbers beside the thesis's",
    "train-fundus": "train De Fauw's network on fundus photographs, a stage at a time",
    "prepare-photographs": "prepare fundus photographs for De Fauw's network",
    "evaluate-fundus": "what De Fauw's network says of prepared photographs",
    "ship-fundus": "fold, compress and copy trained weights to weights/fundus",
    "table-fundus": "kappa and confusion of De Fauw's network",
    "drawn-lesions": "drawn lesions beside real ones",
    "figure-fundus": "drawn fundus photographs beside real ones",
    "figure-methods": "every visualization method on both experiments",
    "convert-defauw": "convert De Fauw's published parameters to a safe file",
    "ship-weights": "copy trained weights to weights/, with a manifest",
}


class _Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults, where there are any."""

    def _get_help_string(self, action):
        if action.default is None:
            return action.help
        return super()._get_help_string(action)


def _parser():
    width = max(map(len, COMMANDS)) + 2
    parser = argparse.ArgumentParser(
        prog="cnnviz", usage="cnnviz COMMAND ...",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=f"{__doc__.splitlines()[0]}\n\ncommands:\n" + "\n".join(
            f"  {name:{width}}{text}" for name, text in COMMANDS.items()),
        epilog="'cnnviz COMMAND --help' explains a command.")
    parser.add_argument("command", choices=COMMANDS, help=argparse.SUPPRESS)
    return parser


def _module(command):
    folder = "figures" if command.startswith("figure-") else "commands"
    return importlib.import_module(f"cnnviz.{folder}.{command.replace('-', '_')}")


def main(argv=None):
    """Run a subcommand; errors that a user can mend are one line each."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if threading.current_thread() is threading.main_thread():
        # So that a terminated run, too, removes its unfinished files.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    command = _parser().parse_args(argv[:1]).command
    try:
        module = _module(command)
        parser = argparse.ArgumentParser(
            prog=f"cnnviz {command}", description=module.__doc__,
            formatter_class=_Formatter)
        module.add_arguments(parser)
        module.run(parser.parse_args(argv[1:]))
    except (ValueError, OSError, RuntimeError) as error:
        print(f"cnnviz {command}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
