"""Show what a feature of a layer looks for in a photograph.

For the networks of this package and for your own. The figure shows, for every
feature asked for, the image with the receptive field of the most active neuron
(blue), the saliency map with its colour bar (red: raises the activation), and
the map laid over the image, important areas brightened and outlined in green
(thesis section 4.3). For exemplars it shows the image, what the neuron sees of
it, and the input that the neuron prefers.

YOUR OWN NETWORK is a Python file with a function build() that returns the
output layer of a Lasagne network. THE FILE IS RUN AS CODE, as 'python FILE.py'
would run it: name only files that you trust. Its parameters are a .npz file,
which is read without running anything: numpy.savez(FILE,
*lasagne.layers.get_all_param_values(network)), or cnnviz.networks.weights.save.
docs/own_network.md is a worked example.
"""
import argparse
from pathlib import Path

import numpy as np

from cnnviz import files, paths
from cnnviz.commands import arguments
from cnnviz.errors import UserError

EXAMPLES = """\
examples:
  De Fauw's network (weights that come with the package), a drawn photograph:
    cnnviz visualize --network defauw --layer pool4 --feature 17 \\
        --image synthetic:17_left -o out.png
  The same of your photograph, by occlusion, every 4th position:
    cnnviz visualize --network defauw --layer pool3 --feature 5 \\
        --method occlusion --stride 4 --image eye.jpeg -o out.png
  Three features of a die network, in one colour scale:
    cnnviz visualize --network c9 --layer pool1 --feature 0 1 2 --same-scale \\
        --image die:15,100 -o out.png
  Your own network:
    cnnviz visualize --network lenet.py --weights lenet.npz --layer conv2 \\
        --feature 3 --method guided --image digit.png -o out.png
"""
#: What the figure's title says of each method; {} are occluder and stride.
METHODS = {
    "gradient-max": "gradient of the maximum of the feature map",
    "gradient-sum": "gradient of the sum of the feature map",
    "occlusion": "occlusion by {size} × {size} pixels",
    "exemplar": "exemplar, by gradient ascent,",
    "regularized-exemplar": "regularized exemplar",
    "deconvnet": "deconvolutional network, from the whole feature map",
    "guided": "guided back-propagation, from the whole feature map",
}
_DIES = ("c1", "c2", "c3", "c4", "c9")
_FORMATS = (".png", ".pdf")


def add_arguments(parser):
    # The examples keep their lines.
    parser.formatter_class = type("_Help", (argparse.RawDescriptionHelpFormatter,
                                            parser.formatter_class), {})
    parser.epilog = EXAMPLES
    parser.add_argument("--network", required=True,
                        help="defauw; c1, c2, c3, c4 or c9; or your own FILE.py with "
                        "build(), which is run as code")
    parser.add_argument("--weights", default="shipped",
                        help=".npz file; 'shipped': those that come with the package "
                        "(for defauw also called 'standin', for dies fold 0); 'random': "
                        "the network as it was built; or 'defauw': De Fauw's own, once "
                        "converted")
    parser.add_argument("--layer", required=True,
                        help="name of a layer with feature maps; an unknown one is "
                        "answered with all names")
    parser.add_argument("--feature", type=int, nargs="+", required=True,
                        help="one or more, counted from 0")
    parser.add_argument("--method", choices=METHODS, default="gradient-max")
    _add_image(parser)
    _add_method_options(parser)
    arguments.add_written(
        parser, "--raw-output",
                        help=".npz file for the numbers, a row for each feature: 'maps', "
                        "not smoothed, NaN where no occluder was centred, 'place' and "
                        "'activation' of the neuron; or 'start' and 'patch' of exemplars, "
                        "their activations 'before' and 'reached'; and 'image', the "
                        "network's input")
    arguments.add_engine(parser)
    arguments.add_output(parser, "figure to write: .png or .pdf")


def _add_image(parser):
    parser.add_argument("--image",
                        help="photograph; synthetic:17_left (left eye of drawn patient "
                        "17) or synthetic:retina (a real one); die:A,B (the die at these "
                        "angles in degrees). Only exemplars do without. A photograph is "
                        "prepared as defauw expects it; for other networks it is resized "
                        "to the input's rows and columns, whatever its own")
    parser.add_argument("--mean", type=float, nargs="+",
                        help="your own network: subtracted from grey values in [0, 1], "
                        "one number or one for each channel; 0 if not given")
    parser.add_argument("--std", type=float, nargs="+",
                        help="your own network: divides them then; 1 if not given")


def _add_method_options(parser):
    parser.add_argument("--size", type=int, default=11,
                        help="occlusion: rows and columns of the occluder, odd; it is 0 "
                        "in the network's standardized input")
    parser.add_argument("--stride", type=int, default=1,
                        help="occlusion: pixels between positions; the figure "
                        "interpolates in between")
    parser.add_argument("--steps", type=int,
                        help="exemplars: steps at most; 1000, regularized 256, if not "
                        "given")
    parser.add_argument("--norm", type=float,
                        help="exemplars: L2 norm that the patch keeps in the network's "
                        "standardized input, 0: any; the square root of the number of "
                        "its values, as noise has, if not given")
    parser.add_argument("--seed", type=int, default=0, help="exemplars: of the noise")
    parser.add_argument("--sigma", type=float,
                        help="maps: standard deviation of their smoothing in pixels; 1, "
                        "but 3 for 512 pixels and in proportion, if not given")
    parser.add_argument("--same-scale", action="store_true",
                        help="several features: one colour scale and one threshold of "
                        "importance, so that rows can be compared")


# --- Networks -----------------------------------------------------------------------

def read_network(name, choice):
    """Build a network and load its parameters.

    Parameters
    ----------
    name : str
        defauw, c1 to c9, or a Python file.
    choice : str
        shipped, standin, random or a ``.npz`` file.

    Returns
    -------
    lasagne.layers.Layer
        Output layer; every layer has a name of its own.

    Raises
    ------
    FileNotFoundError, ValueError
        For an unknown network, a file that fails, or parameters that do not fit.
    """
    if name == "defauw":
        return _defauw(choice)
    if name in _DIES:
        return _die_network(name, choice)
    if not name.endswith(".py"):
        raise UserError(f"unknown network '{name}'; choose defauw, {', '.join(_DIES)} "
                        "or a Python file (.py)")
    return _own(name, choice)


def _own(path, choice):
    from cnnviz.networks import own
    if choice == "shipped":
        raise UserError("--weights: your own network needs a .npz file of its "
                        "parameters, or 'random'")
    return own.read(path, choice)


def _defauw(choice):
    from cnnviz.networks import defauw
    network = defauw.build()
    if choice in ("random", "defauw"):
        defauw.load(choice, network)
    else:
        usual = choice in ("shipped", "standin")
        defauw.load("standin", network, None if usual else choice)
    return network


def _die_network(name, choice):
    from cnnviz.networks import die, weights
    network = die.build(name)
    if choice == "shipped":
        weights.load_fold(paths.SHIPPED_WEIGHTS, "random", name, 0, network)
    elif choice != "random":
        weights.load(choice, network, expected={"network": name})
    return network


def image_shape(layer, own):
    """Channels, rows and columns of the one input that a layer's maps depend on."""
    from cnnviz import inputs
    inputs.check_maps(layer)
    below, _ = inputs.input_variables(layer)
    if len(below) > 1:
        raise UserError(f"layer '{layer.name}' depends on several inputs "
                        f"({', '.join(each.name for each in below)}); this command "
                        "shows layers above one, the functions of cnnviz any")
    shape = below[0].shape
    if len(shape) != 4 or None in shape[1:]:
        raise UserError(f"input '{below[0].name}' has shape {shape}, not (batch, "
                        "channels, rows, columns) of fixed size")
    if own and shape[0] is not None:
        raise UserError(f"input '{below[0].name}' is built for {shape[0]} images at a "
                        "time; build it for None, any number")
    return shape[1:]


# --- Run ----------------------------------------------------------------------------

def title(args):
    """Lines that say what the figure shows."""
    weights = Path(args.weights).name
    if weights == "shipped":
        weights = "stand-in" if args.network == "defauw" else "fold 0"
    image = f", {Path(args.image).name}" if args.image else ""
    return (f"{Path(args.network).name} (weights: {weights}), layer {args.layer}{image}\n"
            + METHODS[args.method].format(size=args.size) + _details(args))


def _details(args):
    """What else the numbers depend on."""
    if args.method.endswith("exemplar"):
        norm = {None: "the norm of noise", 0: "any norm"}.get(args.norm,
                                                              f"norm {args.norm}")
        return f" of the central neuron, with {norm}; activations are linear"
    text = ""
    if args.method == "occlusion" and args.stride > 1:
        text += f", stride {args.stride}, interpolated between the positions"
    if args.same_scale and len(args.feature) > 1:
        text += "; all rows in one scale"
    return text


def _check(args):
    """Errors that are seen before anything is computed."""
    if args.output.suffix not in _FORMATS:
        raise UserError(f"{args.output}: figures are .png or .pdf")
    if args.raw_output and args.raw_output.suffix != ".npz":
        raise UserError(f"{args.raw_output}: numbers are written to a .npz file")
    if args.image is None and not args.method.endswith("exemplar"):
        raise UserError(f"method {args.method} needs --image")
    for option in ("sigma", "norm"):
        if (getattr(args, option) or 0) < 0:
            raise UserError(f"--{option} must be at least 0, not {getattr(args, option)}")


def run(args):
    _check(args)
    from cnnviz import inputs
    from cnnviz.datasets import pictures
    from cnnviz.figures import style, visualize
    from cnnviz.networks import layers
    arguments.select_engine(args)
    layer = layers.find_layer(read_network(args.network, args.weights), args.layer)
    shape = image_shape(layer, args.network.endswith(".py"))
    features = inputs.check_features(layer, args.feature)
    scale = pictures.standardization(args.network, args.mean, args.std, shape[0])
    picture = None
    if args.image:
        picture = visualize.Picture(
            pictures.read_image(args.image, args.network, shape, *scale), *scale)
    show = _exemplars if args.method.endswith("exemplar") else _maps
    figure, arrays = show(args, layer, features, picture, scale)
    style.save(figure, args.output.with_suffix(""), [args.output.suffix])
    if args.raw_output:
        if picture is not None:
            arrays["image"] = picture.pixels
        files.save_arrays(args.raw_output, features=features, **arrays)


def _maps(args, layer, features, picture, _):
    from cnnviz.figures import visualize
    neurons = visualize.strongest_neurons(layer, picture.pixels, features)
    maps = visualize.saliency_maps(layer, picture.pixels, features, args.method,
                                   args.size, args.stride)
    figure = visualize.draw_maps(title(args), picture, neurons, maps,
                                 visualize.UNITS[args.method], args.sigma,
                                 args.same_scale)
    return figure, {"maps": maps, **_columns(neurons, "place", "activation")}


def _exemplars(args, layer, features, picture, scale):
    from cnnviz.figures import visualize
    found = visualize.find_exemplars(
        layer, features, picture and picture.pixels,
        args.method == "regularized-exemplar", args.seed, args.steps, args.norm)
    figure = visualize.draw_exemplars(title(args), found, *scale, picture)
    return figure, _columns(found, "start", "patch", "before", "reached")


def _columns(records, *names):
    """Fields of several records as arrays."""
    return {name: np.array([getattr(each, name) for each in records]) for name in names}
