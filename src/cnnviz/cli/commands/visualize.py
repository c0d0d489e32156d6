"""Show what a feature of a layer, or an output unit, looks for in a photograph.

For the networks of this package and for your own. The figure shows, for every
feature asked for, the image with the receptive field of the most active neuron
(blue), the saliency map with its colour bar (red: raises the activation), and
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

import argparse
import contextlib
import re
import sys
from pathlib import Path

import numpy as np

from cnnviz.attribution.methods import METHODS as ATTRIBUTIONS
from cnnviz.cli.commands import arguments
from cnnviz.runtime import files, paths
from cnnviz.runtime.errors import StorageError, UserError

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
  Your own network, the three features that respond most to a picture:
    cnnviz visualize --network lenet.py --weights lenet.npz --layer conv2 \\
        --feature top3 --method guided --image digit.png -o out.png
  Why it says "7":
    cnnviz visualize --network lenet.py --weights lenet.npz --layer output \\
        --unit 7 --linear --image digit.png -o out.png
"""
_EXEMPLARS = {
    "exemplar": "exemplar, by gradient ascent,",
    "regularized-exemplar": "regularized exemplar",
}
#: What the figure's title says of each method.
METHODS = {name: method.title for name, method in ATTRIBUTIONS.items()} | _EXEMPLARS
#: The same of output units.
UNIT_METHODS = {
    name: method.unit_title for name, method in ATTRIBUTIONS.items() if method.unit_title
}
_FILLS = {"mean": "the mean of the image", "blur": "the image, blurred"}
_MOST = 5  # features that are named in place of a silent one
_DIES = ("c1", "c2", "c3", "c4", "c9")


def add_arguments(parser):
    # The examples keep their lines.
    parser.formatter_class = type(
        "_Help", (argparse.RawDescriptionHelpFormatter, parser.formatter_class), {}
    )
    parser.epilog = EXAMPLES
    parser.add_argument(
        "--network",
        required=True,
        help="defauw; c1, c2, c3, c4 or c9; or your own FILE.py with build(), which is run as code",
    )
    parser.add_argument(
        "--weights",
        default="shipped",
        help=".npz or .pkl file; 'shipped': those that come with the package "
        "(for defauw also called 'standin', for dies fold 0); 'random': "
        "the network as it was built; or 'defauw': De Fauw's own, once "
        "converted",
    )
    parser.add_argument(
        "--layer",
        required=True,
        help="name of a layer with feature maps, or with output units; an "
        "unknown one is answered with all names",
    )
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
    parser.add_argument("--method", choices=METHODS, default="gradient-max")
    _add_image(parser)
    _add_method_options(parser)
    arguments.add_written(
        parser,
        "--raw-output",
        help=".npz file for the numbers, a row for each feature: 'maps', not smoothed, NaN "
        "where no occluder was centred, 'place' and 'activation' of the neuron, or 'output' "
        "of the unit; or 'start' and 'patch' of exemplars, their activations 'before' and "
        "'reached'; and 'image', the network's input. They are written before the figure is "
        "drawn; where that fails, also without this option, beside it",
    )
    arguments.add_engine(parser)
    arguments.add_output(parser, "figure to write: .png or .pdf")


def _feature(text):
    """A feature's number, or "topN"."""
    if re.fullmatch("top[1-9][0-9]*", text):
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"'{text}' is neither a whole number nor topN, such as top5"
        ) from None


def _fill(text):
    """A number, or the name of another fill."""
    if text in _FILLS:
        return text
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise argparse.ArgumentTypeError(
            f"'{text}' is no finite number, nor one of " + ", ".join(_FILLS)
        )
    return value


def _add_image(parser):
    parser.add_argument(
        "--image",
        help="photograph; synthetic:17_left (left eye of drawn patient "
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
        help="your own network: subtracted from grey values in [0, 1], or "
        "from an array; one number or one for each channel; if not given, "
        "that of a .pkl file (for pictures), else 0",
    )
    parser.add_argument(
        "--std", type=float, nargs="+", help="your own network: divides them then; 1 if not given"
    )


def _add_method_options(parser):
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
        help="several features: one colour scale and one threshold of "
        "importance, so that rows can be compared",
    )


# --- Networks -----------------------------------------------------------------------


def read_network(name, choice):
    """Build a network and load its parameters.

    Parameters
    ----------
    name : str
        defauw, c1 to c9, or a Python file.
    choice : str
        shipped, standin, random or a file.

    Returns
    -------
    lasagne.layers.Layer
        Output layer; every layer has a name of its own.

    Raises
    ------
    FileNotFoundError, ValueError
        For an unknown network, a file that fails, or parameters that do not fit.
    """
    return _read_with_mean(name, choice)[0]


def _read_with_mean(name, choice):
    """As :func:`read_network`, and a mean image that lies beside the parameters."""
    if name == "defauw":
        return _defauw(choice), None
    if name in _DIES:
        return _die_network(name, choice), None
    if not name.endswith(".py"):
        raise UserError(
            f"unknown network '{name}'; choose defauw, {', '.join(_DIES)} or a Python file (.py)"
        )
    from cnnviz.networks import own

    if choice == "shipped":
        raise UserError(
            "--weights: your own network needs a .npz file of its parameters, or 'random'"
        )
    return own.read_with_mean(name, choice)


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


def input_layer(layer, units=False):
    """The one input that a layer depends on; it takes images.

    Parameters
    ----------
    layer : lasagne.layers.Layer
    units : bool
        The layer has output units rather than feature maps.

    Raises
    ------
    ValueError
        For a layer of the other kind, one above several inputs or other ones.
    """
    from cnnviz.networks import inputs

    below, _ = inputs.input_variables(layer)
    if not below:
        raise UserError(f"layer '{layer.name}' is built on a bare shape; give it an InputLayer")
    for each in below:
        if len(each.shape) != 4:
            raise UserError(
                f"input '{each.name}' has shape {each.shape}, and this command "
                "shows images, (batch, channels, rows, columns); from Python, "
                "cnnviz.Gradient(layer).attribute(inputs) gives the gradient with respect to "
                "any input"
            )
    _check_kind(layer, units)
    if len(below) > 1:
        raise UserError(
            f"layer '{layer.name}' depends on several inputs "
            f"({', '.join(each.name for each in below)}); this command "
            "shows layers above one, the functions of cnnviz any"
        )
    return below[0]


def _check_kind(layer, units):
    """Feature maps for --feature, units for --unit."""
    from cnnviz.networks import inputs

    dimensions = len(layer.output_shape)
    if units and dimensions == 4:
        raise UserError(
            f"layer '{layer.name}' has feature maps, not output units; ask for them with --feature"
        )
    if units and dimensions != 2:
        raise UserError(
            f"layer '{layer.name}' gives {dimensions}-dimensional output; units are (batch, unit)"
        )
    if not units and dimensions == 2:
        raise UserError(
            f"layer '{layer.name}' gives 2-dimensional output; feature maps are "
            "(batch, feature, row, column); ask for its units with --unit"
        )
    if not units:
        inputs.check_maps(layer)


# --- Images -------------------------------------------------------------------------


def _standardization(args, channels, stored):
    """Mean and standard deviation of the input; ``stored`` is a mean image or None."""
    from cnnviz.datasets import network_inputs, pictures

    array = args.image is not None and network_inputs.is_array(args.image)
    if stored is None or args.mean or array:
        return pictures.standardization(args.network, args.mean, args.std, channels)
    # Values beyond 1 are of pictures whose grey values reach 255.
    most = 255.0 if stored.max() > 1 else 1.0
    _, std = pictures.standardization(args.network, None, args.std or [1 / most], channels)
    if stored.ndim and len(stored) != channels:
        raise UserError(
            f"{args.weights}: its mean image has shape {stored.shape}, and the "
            f"network's input has {channels} channels; give --mean"
        )
    print(
        f"{args.weights}: its mean image is subtracted, of grey values up to {most:g}, "
        "since there is no --mean; the channels of pictures are red, green and blue (for "
        "another order, give --image a .npy array)",
        flush=True,
    )
    return stored / most, std


def _picture(args, shape, scale):
    """The image as the network takes it, and the scale in which it is shown."""
    from cnnviz.datasets import network_inputs, pictures
    from cnnviz.runtime import files
    from cnnviz.thesis.figures import visualize

    if network_inputs.is_array(args.image):
        pixels = network_inputs.read(args.image, shape)
        if args.network.endswith(".py"):  # others' arrays are as these take them
            mean, std = (np.reshape(each, (-1, 1, 1)) for each in scale)
            pixels = (pixels - mean) / std
        return visualize.Picture(pixels.astype(np.float32), *scale)
    if Path(args.image).is_file():
        files.refuse_pointer(args.image)
    shape = _own_size(args.image, shape)
    mean, std = scale
    if np.ndim(mean) == 3:
        if mean.shape[1:] != shape[1:]:
            print(
                f"the mean image has {mean.shape[1]} × {mean.shape[2]} pixels, the "
                f"network's input {shape[1]} × {shape[2]}: its average for each channel is "
                "subtracted",
                flush=True,
            )
            mean = mean.mean(axis=(1, 2))
        else:
            grey = pictures.read_image(args.image, args.network, shape, [0.0], [1.0])
            pixels = (grey - mean) / np.reshape(std, (-1, 1, 1))
            return visualize.Picture(pixels.astype(np.float32), mean, std)
    return visualize.Picture(
        pictures.read_image(args.image, args.network, shape, mean, std), mean, std
    )


def _own_size(image, shape):
    """The shape of the input, with a picture's own rows and columns where it has none."""
    from cnnviz.datasets import die360, fundus_transform, pictures

    if shape[0] not in (1, 3):
        raise UserError(
            f"the network's input has {shape[0]} channels; --image gives one "
            "(grey) or three (red, green, blue) of a picture, and any number of "
            "a .npy array (channels, rows, columns)"
        )
    if None not in shape:
        return shape
    kind = image.partition(":")[0]
    size = {"die": (die360.SIZE,) * 2, "synthetic": (fundus_transform.SIZE,) * 2}.get(kind)
    if size is None:
        size = pictures.read_picture(image).shape[:2]
    shape = (shape[0], *(own if fixed is None else fixed for own, fixed in zip(size, shape[1:])))
    print(
        f"the network takes pictures of any size: {shape[1]} × {shape[2]}, this one's own",
        flush=True,
    )
    return shape


# --- Run ----------------------------------------------------------------------------


def title(args):
    """Lines that say what the figure shows."""
    weights = Path(args.weights).name
    if weights == "shipped":
        weights = "stand-in" if args.network == "defauw" else "fold 0"
    image = f", {Path(args.image).name}" if args.image else ""
    methods = METHODS if args.unit is None else UNIT_METHODS
    return (
        f"{Path(args.network).name} (weights: {weights}), layer {args.layer}{image}\n"
        + methods[args.method].format(size=args.size)
        + _details(args)
    )


def _details(args):
    """What else the numbers depend on."""
    if args.method.endswith("exemplar"):
        norm = {None: "the norm of noise", 0: "any norm"}.get(args.norm, f"norm {args.norm}")
        return f" of the central neuron, with {norm}; activations are linear"
    text, shown = "", args.unit or args.feature
    if args.unit:
        text += (
            f" of unit{'s' * (len(shown) > 1)} {', '.join(map(str, shown))}, "
            f"{'before' if args.linear else 'after'} its non-linearity"
        )
    if args.fill:
        text += ", filled with " + _FILLS.get(
            args.fill[0],
            " ".join(f"{each:g}" if isinstance(each, float) else each for each in args.fill),
        )
    if args.method == "occlusion" and args.stride > 1:
        text += f", stride {args.stride}, interpolated between the positions"
    if args.same_scale and len(shown) > 1:
        text += "; all rows in one scale"
    return text


def _check(args):
    """Errors that are seen before anything is computed."""
    if args.output.suffix.lower() not in arguments.FIGURE_SUFFIXES:
        raise UserError(f"{args.output}: figures are .png or .pdf")
    if args.raw_output and args.raw_output.suffix.lower() != ".npz":
        raise UserError(f"{args.raw_output}: numbers are written to a .npz file")
    if args.image is None and not args.method.endswith("exemplar"):
        raise UserError(f"method {args.method} needs --image")
    if args.image is None and "top" in "".join(map(str, args.feature or ())):
        raise UserError(
            "--feature: topN are the features that respond most to an image; give --image"
        )
    if args.unit and args.method not in UNIT_METHODS:
        raise UserError(
            f"--unit: method {args.method} shows features; units have " + ", ".join(UNIT_METHODS)
        )
    if args.linear and not args.unit:
        raise UserError("--linear is for --unit")
    if args.fill and args.method != "occlusion":
        raise UserError(f"--fill is for occlusion, not for {args.method}")
    if args.fill and len(args.fill) > 1 and set(args.fill) & set(_FILLS):
        raise UserError(f"--fill: give numbers, or one of {', '.join(_FILLS)} alone")
    for option in ("sigma", "norm"):
        if (getattr(args, option) or 0) < 0:
            raise UserError(f"--{option} must be at least 0, not {getattr(args, option)}")


def run(args):
    _check(args)
    from cnnviz.networks import layers

    arguments.select_engine(args)
    # De Fauw's alone takes a while, and bars begin when there is something to count.
    print(f"building {args.network} (weights: {args.weights}) ...", flush=True)
    network, mean = _read_with_mean(args.network, args.weights)
    layer = layers.find_layer(network, args.layer)
    own = args.network.endswith(".py")
    print(f"{args.method}: layer {args.layer} ...", flush=True)
    with _blaming(args.network) if own else contextlib.nullcontext():
        arrays, draw = _computed(args, layer, mean, own)
    _deliver(args, arrays, draw)


def _blaming(path):
    """Errors in layers of the user's own name his file."""
    from cnnviz.networks import own

    return own.blaming(path)


def _computed(args, layer, mean, own):
    """Arrays by name, and a function that draws them."""
    from cnnviz.networks import inputs

    source = input_layer(layer, bool(args.unit))
    if args.linear:
        layer = inputs.linear(layer)
    channels = source.shape[1]
    if channels is None:
        raise UserError(
            f"input '{source.name}' has shape {source.shape}; its number of channels must be fixed"
        )
    wanted = args.unit or args.feature
    numbers = [each for each in wanted if isinstance(each, int)]
    if args.unit and not all(0 <= each < layer.output_shape[1] for each in numbers):
        raise UserError(
            f"layer '{layer.name}' has units 0 to {layer.output_shape[1] - 1}, "
            f"not {', '.join(map(str, numbers))}"
        )
    inputs.check_features(layer, numbers or None)
    scale = _standardization(args, channels, mean)
    picture = _picture(args, source.shape[1:], scale) if args.image else None
    copies = _fit(args, layer, source, picture) if own else 1
    wanted = _chosen(wanted, layer, picture, copies)
    # From here on, they are what was asked for.
    setattr(args, "unit" if args.unit else "feature", wanted)
    show = _exemplars if args.method.endswith("exemplar") else _maps
    arrays, draw = show(args, layer, wanted, picture, scale, copies)
    if picture is not None:
        arrays["image"] = picture.pixels
    return {"units" if args.unit else "features": wanted, **arrays}, draw


def _fit(args, layer, source, picture):
    """How many copies of the image a network built for several needs."""
    from cnnviz.networks import own

    if picture is None and None in source.shape[2:]:
        raise UserError(
            f"input '{source.name}' has shape {source.shape}, without a size of "
            "its own; give --image, whose size is taken"
        )
    pixels = (
        np.random.RandomState(0).randn(1, *source.shape[1:]).astype(np.float32)
        if picture is None
        else picture.pixels
    )
    copies = own.fit(layer, pixels)
    if copies > 1 and not args.unit and not args.method.startswith("gradient"):
        raise UserError(
            f"input '{source.name}' is built for {copies} images at a time, and "
            "they influence each other or are reshaped by their number; build "
            f"it for None, any number, or choose another method than "
            f"{args.method}"
        )
    return copies


def _chosen(wanted, layer, picture, copies):
    """Numbers of features or units, with those that respond most for "topN"."""
    from cnnviz.thesis.figures import visualize

    found = []
    for each in wanted:
        numbers = [each]
        if isinstance(each, str):
            numbers = visualize.strongest(
                visualize.responses(layer, np.repeat(picture.pixels, copies, axis=0)),
                int(each.removeprefix("top")),
            )
            print(f"{each}: {', '.join(map(str, numbers))}", flush=True)
        found += [number for number in numbers if number not in found]
    return found


def _maps(args, layer, wanted, picture, _, copies):
    from cnnviz.attribution.occluder import Occluder
    from cnnviz.thesis.figures import visualize

    pixels = np.repeat(picture.pixels, copies, axis=0)
    fill = 0.0
    if args.fill:
        named = isinstance(args.fill[0], str)
        fill = visualize.filled(picture.pixels, args.fill[0] if named else args.fill, args.size)
    occluder = Occluder(args.size, args.stride, fill)
    if args.unit:
        rows = visualize.units(layer, pixels, wanted)
        maps = visualize.attribution_maps(
            layer, picture.pixels, wanted, args.method, occluder, copies
        )
        arrays = {"maps": maps, **_columns(rows, "output")}
    else:
        rows = visualize.strongest_neurons(layer, pixels, wanted)
        maps = visualize.attribution_maps(layer, pixels, wanted, args.method, occluder)
        arrays = {"maps": maps, **_columns(rows, "place", "activation")}
    silent = visualize.silence(layer, pixels, rows, maps)
    notes = _silent(args, layer, pixels, silent)
    colours = ATTRIBUTIONS[args.method].shows.replace(
        "activation", "output" if args.unit else "activation"
    )

    def draw():
        return visualize.draw_maps(
            "\n".join([title(args), *_of_channels(picture.pixels), *notes]),
            picture,
            rows,
            maps,
            colours,
            visualize.Look(args.sigma, args.same_scale, silent),
        )

    return arrays, draw


def _silent(args, layer, pixels, silent):
    """Lines on what shows nothing, and what would; they are printed, too."""
    from cnnviz.thesis.figures import visualize

    if not silent:
        return []
    kind = "unit" if args.unit else "feature"
    values = visualize.responses(layer, pixels)
    others = [
        k for k in visualize.strongest(values, len(values)) if k not in silent and values[k] > 0
    ][:_MOST]
    most = ", ".join(f"{k} ({values[k]:.3g})" for k in others)
    lines = [f"{kind} {k} is silent on this image: {reason}" for k, reason in silent.items()]
    lines.append(
        f"{kind}s of this layer that respond most to it: {most}"
        if most
        else f"no other {kind} of this layer responds to it"
    )
    print("\n".join(lines), flush=True)
    return lines


def _of_channels(pixels):
    """A line on pictures of channels that no picture has."""
    channels = pixels.shape[1]
    return [] if channels in (1, 3) else [f"pictures show the mean of the {channels} channels"]


def _exemplars(args, layer, features, picture, scale, _):
    from cnnviz.thesis.figures import visualize

    found = visualize.find_exemplars(
        layer,
        features,
        picture and picture.pixels,
        args.method == "regularized-exemplar",
        args.seed,
        args.steps,
        args.norm,
    )

    def draw():
        return visualize.draw_exemplars(
            "\n".join([title(args), *_of_channels(found[0].patch[np.newaxis])]),
            found,
            *scale,
            picture,
        )

    return _columns(found, "start", "patch", "before", "reached"), draw


def _columns(records, *names):
    """Fields of several records as arrays."""
    return {name: np.array([getattr(each, name) for each in records]) for name in names}


def _deliver(args, arrays, draw):
    """Write the numbers, then the figure: neither is lost for want of the other."""
    from cnnviz.thesis.figures import style

    numbers, refused = args.raw_output, None
    if numbers:
        try:
            files.save_arrays(numbers, **arrays)
        except StorageError as error:
            numbers, refused = None, error
    try:
        style.save(draw(), args.output.with_suffix(""), [args.output.suffix])
    except Exception:
        if numbers is None:
            numbers = args.output.with_name(args.output.name + ".npz")
            files.save_arrays(numbers, **arrays)
        print(
            f"{args.output}: the figure could not be drawn; the numbers are in {numbers}",
            file=sys.stderr,
        )
        raise
    if refused:
        raise refused
