"""Show what a feature of a layer, or an output unit, looks for in a photograph.

For the networks of this package and for your own. The figure shows, for every
feature asked for, the image with the receptive field of the most active neuron
(blue), the saliency map with its color bar (red: raises the activation), and
the map laid over the image, important areas brightened and outlined in green
(thesis section 4.3). For exemplars it shows the image, what the neuron sees of
it, and the input that the neuron prefers. Class scores and other output units
(--unit) have gradients and occlusion.

YOUR OWN NETWORK is a Python file with a function build() that returns the
output layer of a Lasagne network. THE FILE IS RUN AS CODE, as 'python FILE.py'
would run it: name only files that you trust. Its parameters are a .npz file,
which is read without running anything: numpy.savez(FILE,
*lasagne.layers.get_all_param_values(network)), or cnnviz.networks.weights.save;
or a pickle (.pkl) of these arrays, as in Lasagne's Recipes, of which only
numbers are read. docs/own_network.md is a worked example.
"""

from __future__ import annotations

import argparse
import math
import re
from dataclasses import fields
from typing import Any

from cnnviz.cli.commands import arguments
from cnnviz.runtime.errors import UserError
from cnnviz.thesis.figures.visualize_request import FILLS, METHODS, UNIT_METHODS, Request

EXAMPLES = """\
examples:
  De Fauw's network (weights that come with the package), a synthetic photograph:
    cnnviz visualize --network defauw --layer pool4 --feature 17 \\
        --image synthetic:17_left -o out.png
  The same of your photograph, by occlusion, every 4th position:
    cnnviz visualize --network defauw --layer pool3 --feature 5 \\
        --method occlusion --stride 4 --image eye.jpeg -o out.png
  Three features of a die network, in one color scale:
    cnnviz visualize --network c9 --layer pool1 --feature 0 1 2 --same-scale \\
        --image die:15,100 -o out.png
  Your own network, the three features that respond most to a picture:
    cnnviz visualize --network lenet.py --weights lenet.npz --layer conv2 \\
        --feature top3 --method guided --image digit.png -o out.png
  Why it says "7":
    cnnviz visualize --network lenet.py --weights lenet.npz --layer output \\
        --unit 7 --linear --image digit.png -o out.png
"""


def add_arguments(parser: Any) -> None:
    # The examples keep their lines.
    parser.formatter_class = type(
        "_Help", (argparse.RawDescriptionHelpFormatter, parser.formatter_class), {}
    )
    parser.epilog = EXAMPLES
    _add_network(parser)
    _add_shown(parser)
    parser.add_argument("--method", choices=METHODS, default="gradient-max")
    _add_image(parser)
    _add_occlusion_options(parser)
    _add_exemplar_options(parser)
    _add_map_options(parser)
    arguments.add_written(
        parser,
        "--raw-output",
        help=".npz file for the numbers, a row for each feature: 'maps', not smoothed, NaN "
        "where no occluder was centered, 'place' and 'activation' of the neuron, or 'output' "
        "of the unit; or 'start' and 'patch' of exemplars, their activations 'before' and "
        "'reached'; and 'image', the network's input. They are written before the figure is "
        "drawn; where that fails, also without this option, beside it",
    )
    arguments.add_engine(parser)
    arguments.add_output(parser, "figure to write: .png or .pdf")


def _add_network(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--network",
        required=True,
        help="defauw; c1, c2, c3, c4 or c9; or your own FILE.py with build(), which is run as code",
    )
    parser.add_argument(
        "--weights",
        default="shipped",
        help=".npz or .pkl file; 'shipped': those that come with the package "
        "(for defauw also called 'surrogate', for dies fold 0); 'random': "
        "the network as it was built; or 'defauw': De Fauw's own, once "
        "converted",
    )
    parser.add_argument(
        "--layer",
        required=True,
        help="name of a layer with feature maps, or with output units; an "
        "unknown one is answered with all names",
    )


def _add_shown(parser: argparse.ArgumentParser) -> None:
    shown = parser.add_mutually_exclusive_group(required=True)
    shown.add_argument(
        "--feature",
        type=_feature,
        nargs="+",
        help="one or more, counted from 0; or topN: the N that respond most to the image",
    )
    shown.add_argument(
        "--unit",
        type=_feature,
        nargs="+",
        help="output units, class scores say, counted in the same way; by "
        + ", ".join(UNIT_METHODS),
    )


def _feature(text: str) -> Any:
    """A feature's number, or "topN"."""
    if re.fullmatch("top[1-9][0-9]*", text):
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"'{text}' is neither a whole number nor topN, such as top5"
        ) from None


def _fill(text: str) -> float | str:
    """A number, or the name of another fill."""
    if text in FILLS:
        return text
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(
            f"'{text}' is no finite number, nor one of " + ", ".join(FILLS)
        )
    return value


def _add_image(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--image",
        help="photograph; synthetic:17_left (left eye of synthetic patient "
        "17) or synthetic:retina (a real one); die:A,B (the die at these "
        "angles in degrees); or a .npy or .npz file of the network's own "
        "input, (channels, rows, columns), with any number of channels. "
        "Only exemplars do without. A photograph is "
        "prepared as defauw expects it; for other networks it is resized "
        "to the input's rows and columns, whatever its own, and keeps its "
        "own where the network takes any",
    )
    parser.add_argument(
        "--mean",
        type=float,
        nargs="+",
        help="your own network: subtracted from gray values in [0, 1], or "
        "from an array; one number or one for each channel; if not given, "
        "that of a .pkl file (for pictures), else 0",
    )
    parser.add_argument(
        "--std", type=float, nargs="+", help="your own network: divides them then; 1 if not given"
    )


def _add_occlusion_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--size", type=int, default=11, help="occlusion: rows and columns of the occluder, odd"
    )
    parser.add_argument(
        "--fill",
        type=_fill,
        nargs="+",
        help="occlusion: what covers the image, in the network's "
        "standardized input: a number or one for each channel; mean: of each "
        "channel of the image; blur: the image, blurred by half the "
        "occluder's size; 0 if not given",
    )
    parser.add_argument(
        "--stride",
        type=int,
        default=1,
        help="occlusion: pixels between positions; the figure interpolates in between",
    )


def _add_exemplar_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--steps", type=int, help="exemplars: steps at most; 1000, regularized 256, if not given"
    )
    parser.add_argument(
        "--norm",
        type=float,
        help="exemplars: L2 norm that the patch keeps in the network's "
        "standardized input, 0: any; the square root of the number of "
        "its values, as noise has, if not given",
    )
    parser.add_argument("--seed", type=int, default=0, help="exemplars: of the noise")


def _add_map_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sigma",
        type=float,
        help="maps: standard deviation of their smoothing in pixels; 1, "
        "but 3 for 512 pixels and in proportion, if not given",
    )
    parser.add_argument(
        "--linear",
        action="store_true",
        help="units: leave out the layer's non-linearity, a softmax say",
    )
    parser.add_argument(
        "--same-scale",
        action="store_true",
        help="several features: one color scale and one threshold of "
        "importance, so that rows can be compared",
    )


def run(args: argparse.Namespace) -> None:
    if args.output.suffix.lower() not in arguments.FIGURE_SUFFIXES:
        raise UserError(f"{args.output}: figures are .png or .pdf")
    if args.raw_output and args.raw_output.suffix.lower() != ".npz":
        raise UserError(f"{args.raw_output}: numbers are written to a .npz file")
    request = requested(args)
    from cnnviz.networks import by_name, layers
    from cnnviz.thesis.figures import visualize_run

    arguments.select_engine(args)
    # De Fauw's alone takes a while, and bars begin when there is something to count.
    print(f"building {request.network} (weights: {request.weights}) ...", flush=True)
    network, mean = by_name.read_with_mean(request.network, request.weights)
    layer = layers.find_layer(network, request.layer)
    print(f"{request.method}: layer {request.layer} ...", flush=True)
    with by_name.blaming(request.network):
        arrays, draw = visualize_run.computed(request, layer, mean)
    visualize_run.deliver(args.output, args.raw_output, arrays, draw)


def requested(args: argparse.Namespace) -> Request:
    """What is asked for, without where it goes and what computes it."""
    return Request(**{field.name: getattr(args, field.name) for field in fields(Request)})
