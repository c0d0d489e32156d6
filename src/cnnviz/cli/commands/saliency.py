"""Saliency maps of every feature of every pooling layer of one network.

Thesis section 3.2.1, aggregated by max and by sum.  Maps of the shown views are
written, and, measured on many views, what each feature's saliency lies on.
"""

import numpy as np

from cnnviz.cli.commands import arguments
from cnnviz.datasets import die360
from cnnviz.runtime import files
from cnnviz.runtime.errors import UserError

# Every how manieth view of the data set the measurement takes.
MEASURED_STRIDE = 50


def add_arguments(parser):
    parser.add_argument("--network", required=True, help="c1, c2, c3, c4 or c9")
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument(
        "--measured-stride", type=int, default=MEASURED_STRIDE, help="measure on every n-th view"
    )
    arguments.add_images(parser)
    arguments.add_weights(parser)
    arguments.add_engine(parser)
    arguments.add_output(parser, ".npz file to write")


def _views(data):
    """Standardized images of the shown views, rendered anew."""
    a, b = zip(*die360.SHOWN)
    shown = die360.render(a, b)
    return shown, ((shown - data.mean) / data.std)[:, np.newaxis].astype(np.float32)


def run(args):
    from cnnviz.attribution import overlay
    from cnnviz.attribution.activations import feature_maps, maximum_places
    from cnnviz.attribution.gradient import TARGETS, Gradient
    from cnnviz.attribution.reductions import reduce_channels
    from cnnviz.evaluation import concept_lift
    from cnnviz.networks import die, layers, weights

    arguments.select_engine(args)
    network = die.build(args.network)
    pooling = layers.pooling_layers(network)
    if not pooling:
        raise UserError(
            f"network '{args.network}' has no pooling layers; choose "
            "one of " + ", ".join(die.CONVOLUTIONAL)
        )
    data = die360.load(args.images, args.every)
    weights.load_fold(args.weights, "random", args.network, args.fold, network)
    pixels, shown = _views(data)
    measured = slice(None, None, args.measured_stride)
    masks = concept_lift.concept_masks(die360.regions(data.a[measured], data.b[measured]))
    out = {"pixels": pixels}

    def features_first(gradients):
        return np.ascontiguousarray(np.swapaxes(reduce_channels(gradients), 0, 1))

    for layer in pooling:
        # Flat index of the maximal neuron, (views, features).
        out[f"{layer.name}_neuron"] = maximum_places(feature_maps(layer, shown))
        for target in TARGETS:
            method = Gradient(layer, target)
            out[f"{layer.name}_{target}"] = features_first(method.attribute(shown))
            many = overlay.smooth(
                features_first(method.attribute(data.images[measured], progress=True))
            )
            out[f"{layer.name}_{target}_lift"] = np.array(
                [concept_lift.concept_lift(feature, masks) for feature in many]
            )
    files.save_arrays(args.output, **out)
