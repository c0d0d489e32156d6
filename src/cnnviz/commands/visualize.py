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
import re
import runpy
import sys
import traceback
import warnings
from pathlib import Path

import numpy as np

from cnnviz import files, paths
from cnnviz.commands import arguments

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
_SAVED = "numpy.savez(FILE, *lasagne.layers.get_all_param_values(network))"
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
    parser.add_argument("--raw-output", type=Path,
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
        raise ValueError(f"unknown network '{name}'; choose defauw, {', '.join(_DIES)} "
                         "or a Python file (.py)")
    network = named(build_own(Path(name)), name)
    if choice != "random":
        load_own(choice, network)
    return network


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


def build_own(path):
    """Run a Python file and its ``build()``; errors name the file and the line."""
    from cnnviz.backend import lasagne
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    # Random parameters, too, are the same in every run.
    lasagne.random.set_rng(np.random.RandomState(0))
    try:
        network = _run(path)
    except (Exception, SystemExit) as error:  # it is not our code
        raise ValueError(_blame(path, error)) from error
    if not isinstance(network, lasagne.layers.Layer):
        raise ValueError(f"{path}: build() returns {type(network).__name__}, not a "
                         "Lasagne layer")
    return network


def _run(path):
    """What ``build()`` of a file returns."""
    # As in 'python FILE.py', neighbours can be imported.
    sys.path.insert(0, str(path.resolve().parent))
    try:
        names = runpy.run_path(str(path))
        if not callable(names.get("build")):
            raise ValueError(f"{path}: has no function build() that returns the output "
                             "layer")
        return names["build"]()
    finally:
        sys.path.pop(0)


def _blame(path, error):
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)
             if frame.filename == str(path)]
    text = str(error).partition("\n")[0]
    if not lines:
        return text
    return f"{path}, line {lines[-1]}: {type(error).__name__}: {text}"


def named(network, path):
    """Name the layers of a network that have no name, by number and kind.

    Raises
    ------
    ValueError
        For two layers of one name, of which the wrong one might be taken.
    """
    from cnnviz.backend import lasagne
    seen = set()
    for number, layer in enumerate(lasagne.layers.get_all_layers(network)):
        if layer.name is None:
            layer.name = f"{number}:{type(layer).__name__}"
        if layer.name in seen:
            raise ValueError(f"{path}: several layers are named '{layer.name}'")
        seen.add(layer.name)
    return network


def load_own(path, network):
    """Load the parameters of a network of one's own; all of them fit, or none is."""
    from cnnviz.backend import lasagne
    from cnnviz.networks import weights
    if path == "shipped":
        raise ValueError("--weights: your own network needs a .npz file of its "
                         "parameters, or 'random'")
    try:
        arrays = files.load_arrays(path, _SAVED)
    except ValueError:  # its remedy would be to delete the file
        raise ValueError(f"{path}: truncated or no .npz file; write it with "
                         f"'{_SAVED}'") from None
    if weights.METADATA in arrays:
        weights.load(path, network)
        return
    parameters = lasagne.layers.get_all_params(network)
    keys = [f"arr_{k}" for k in range(len(parameters))]
    if set(arrays) != set(keys):
        raise ValueError(f"{path}: holds {len(arrays)} arrays ({', '.join(arrays)}), not "
                         f"{keys[0]} to {keys[-1]}, the network's parameters")
    for key, parameter in zip(keys, parameters):
        _check_value(f"{path}: {key} ({parameter})", arrays[key], parameter)
    for key, parameter in zip(keys, parameters):
        parameter.set_value(arrays[key].astype(parameter.dtype))


def _check_value(what, value, parameter):
    shape = parameter.get_value(borrow=True).shape
    if value.shape != shape:
        raise ValueError(f"{what} has shape {value.shape} instead of {shape}")
    if not np.isfinite(value).all():
        raise ValueError(f"{what} holds values that are not finite")


def image_shape(layer, own):
    """Channels, rows and columns of the one input that a layer's maps depend on."""
    from cnnviz import inputs
    inputs.check_maps(layer)
    below, _ = inputs.input_variables(layer)
    if len(below) > 1:
        raise ValueError(f"layer '{layer.name}' depends on several inputs "
                         f"({', '.join(each.name for each in below)}); this command "
                         "shows layers above one, the functions of cnnviz any")
    shape = below[0].shape
    if len(shape) != 4 or None in shape[1:]:
        raise ValueError(f"input '{below[0].name}' has shape {shape}, not (batch, "
                         "channels, rows, columns) of fixed size")
    if own and shape[0] is not None:
        raise ValueError(f"input '{below[0].name}' is built for {shape[0]} images at a "
                         "time; build it for None, any number")
    return shape[1:]


# --- Images -------------------------------------------------------------------------

def standardization(name, mean, std, channels):
    """Mean and standard deviation of a network's input, ``(1,)`` or ``(channels,)``."""
    if name.endswith(".py"):
        return _own_standardization(mean or [0.0], std or [1.0], channels)
    if mean or std:
        raise ValueError("--mean and --std are for your own networks; those of "
                         f"'{name}' are known")
    if name == "defauw":
        from cnnviz.datasets import fundus
        return np.array([fundus.MEAN]), np.array([fundus.STD])
    import pandas as pd
    facts = pd.read_csv(paths.REPOSITORY / paths.DIE360_FACTS).set_index("id").value
    return np.array([facts["die360.mean"]]), np.array([facts["die360.standard_deviation"]])


def _own_standardization(mean, std, channels):
    for option, values in (("--mean", mean), ("--std", std)):
        if len(values) not in (1, channels):
            raise ValueError(f"{option}: {len(values)} numbers for {channels} channels")
    if min(std) <= 0:
        raise ValueError("--std: must be positive")
    return np.array(mean), np.array(std)


def read_image(text, name, shape, mean, std):
    """The input that a network gets of an image.

    Parameters
    ----------
    text : str
        File, ``synthetic:NAME`` or ``die:A,B``.
    name : str
        Of the network.
    shape : (channels, rows, columns)
    mean, std : arrays

    Returns
    -------
    float32 array, ``(1, channels, rows, columns)``

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing file, or an image of another kind.
    """
    kind, _, what = text.partition(":")
    _check_kind(kind, text, name)
    if name == "defauw":
        return (_drawn_eye(what) if kind == "synthetic" else _photograph(text))[np.newaxis]
    if kind == "synthetic":
        picture = _destandardized(_drawn_eye(what))
    else:
        picture = _die(what) if kind == "die" else read_picture(text)
    mean, std = (np.reshape(each, (-1, 1, 1)) for each in (mean, std))
    return ((fitted(picture, shape) - mean) / std).astype(np.float32)[np.newaxis]


def _check_kind(kind, text, name):
    """The die is nothing for De Fauw's network, nor an eye for those of the die."""
    foreign, ours = ("die", "synthetic:17_left") if name == "defauw" else (
        "synthetic", "die:15,100")
    if kind == foreign and not name.endswith(".py"):
        raise ValueError(f"--image {text}: not a picture for network '{name}'; give a "
                         f"file or {ours}")


def _photograph(path):
    from cnnviz.datasets import fundus
    return fundus.photograph(path, fundus.read_image(path)).pixels


def _drawn_eye(what):
    """Prepared pixels of a drawn photograph, ``(3, 512, 512)``."""
    from cnnviz.datasets import synthetic
    if what == "retina":
        return synthetic.load(synthetic.RETINA).pixels
    found = re.fullmatch(r"(\d+)_(left|right)", what)
    if not found:
        raise ValueError(f"--image synthetic:{what}: give synthetic:17_left, with any "
                         "number and side, or synthetic:retina")
    return synthetic.load(synthetic.Record(what, "", 0, int(found[1]), found[2])).pixels


def _destandardized(pixels):
    from cnnviz.datasets import fundus
    return fundus.destandardize(pixels)


def _die(what):
    """The die at two angles, ``(32, 32)``."""
    from cnnviz.datasets import die360
    try:
        a, b = map(float, what.split(","))
    except ValueError:
        raise ValueError(f"--image die:{what}: give two angles in degrees, such as "
                         "die:15,100") from None
    return die360.render(a, b)[0]


def read_picture(path):
    """Decode a picture with scikit-image.

    Returns
    -------
    float array, ``(rows, columns)`` or ``(rows, columns, 3)``, in [0, 1]
        On white where it is transparent.

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing file, one that is no picture, or several pictures in one.
    """
    from skimage import color, util
    picture = _decoded(path)
    if picture.ndim != 2 and picture.shape[2:] not in ((3,), (4,)):
        raise ValueError(f"{path}: holds an array of shape {picture.shape}, which is "
                         "neither a grey nor a colour picture")
    if picture.dtype.kind == "f" and not (picture.min() >= 0 and picture.max() <= 1):
        raise ValueError(f"{path}: values from {picture.min()} to {picture.max()} instead "
                         "of 0 to 1")
    picture = util.img_as_float(picture)
    return color.rgba2rgb(picture) if picture.shape[2:] == (4,) else picture


def _decoded(path):
    from skimage import io
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        return io.imread(path)
    except Exception:  # damaged bytes raise nearly anything
        raise ValueError(f"{path}: truncated, or no picture that scikit-image can "
                         "read") from None


def fitted(picture, shape):
    """Resize a picture and give it one channel or three.

    Parameters
    ----------
    picture : array, ``(rows, columns)`` or ``(rows, columns, 3)``, in [0, 1]
    shape : (channels, rows, columns)

    Returns
    -------
    float array of ``shape``, in [0, 1]
    """
    from skimage import color, transform
    channels, *size = shape
    if channels not in (1, 3):
        raise ValueError(f"the network's input has {channels} channels; --image gives "
                         "one (grey) or three (red, green, blue)")
    if channels == 1 and picture.ndim == 3:
        picture = color.rgb2gray(picture)
    elif channels == 3 and picture.ndim == 2:
        picture = color.gray2rgb(picture)
    if picture.shape[:2] != tuple(size):
        picture = transform.resize(picture, size, anti_aliasing=True)
    return np.moveaxis(np.atleast_3d(picture), -1, 0).clip(0, 1)


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
        raise ValueError(f"{args.output}: figures are .png or .pdf")
    if args.raw_output and args.raw_output.suffix != ".npz":
        raise ValueError(f"{args.raw_output}: numbers are written to a .npz file")
    if args.image is None and not args.method.endswith("exemplar"):
        raise ValueError(f"method {args.method} needs --image")
    for option in ("sigma", "norm"):
        if (getattr(args, option) or 0) < 0:
            raise ValueError(f"--{option} must be at least 0, not {getattr(args, option)}")


def run(args):
    _check(args)
    with warnings.catch_warnings():
        # Lasagne 0.1's own convolution gives it with every use.
        warnings.filterwarnings("ignore", message=".*image_shape.*")
        _visualize(args)


def _visualize(args):
    from cnnviz import inputs
    from cnnviz.figures import style, visualize
    from cnnviz.networks import layers
    arguments.select_engine(args)
    layer = layers.find_layer(read_network(args.network, args.weights), args.layer)
    shape = image_shape(layer, args.network.endswith(".py"))
    features = inputs.check_features(layer, args.feature)
    scale = standardization(args.network, args.mean, args.std, shape[0])
    picture = None
    if args.image:
        picture = visualize.Picture(
            read_image(args.image, args.network, shape, *scale), *scale)
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
