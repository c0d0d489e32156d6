"""Exemplars of De Fauw's network for Figures 4.22 to 4.26 (thesis sections 3.1.1, 4.4).

Gradient ascent on what one neuron sees, from three starts: what activates the feature
most in a stratified sample, the mean photograph, and noise.  A patch keeps the L2
norm that photographs have on average over a patch of its size (eq. 3.1), without which
the activation of this network has no maximum.
"""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from cnnviz.cli.commands import arguments
from cnnviz.cli.commands.evaluate_fundus import CHOICES
from cnnviz.experiments import exemplar_records as records
from cnnviz.runtime import files
from cnnviz.runtime.errors import UserError

STEPS = 60  # most is gained by then
STEP = 0.03  # of the norm: how far one goes, without momentum
PATCHES = 3  # a pass; each of the deepest needs 0.3 GB
TOGETHER = 32  # photographs that are read at a time


def add_arguments(parser):
    parser.add_argument(
        "--photographs", type=Path, required=True, help="folder of prepared photographs"
    )
    parser.add_argument(
        "--roles", type=Path, required=True, help="file of 'cnnviz label-features': which features"
    )
    parser.add_argument(
        "--choice",
        choices=CHOICES,
        default="standin",
        help="whose weights: shipped, De Fauw's (converted), or none",
    )
    parser.add_argument("--steps", type=int, default=STEPS, help="of every ascent")
    parser.add_argument(
        "--sample", type=int, default=10, help="photographs of each grade in the stratified sample"
    )
    arguments.add_engine(parser)
    arguments.add_output(parser, ".npz file to write")


def mean_photograph(pixels, together=TOGETHER):
    """Mean of prepared photographs, read a few at a time.

    Parameters
    ----------
    pixels : uint8 array, ``(n, rows, columns, 3)``
    together : int

    Returns
    -------
    float32 array, ``(3, rows, columns)``
        Standardized.
    """
    from cnnviz.datasets import fundus

    total = np.zeros(pixels.shape[1:], np.uint64)
    for first in range(0, len(pixels), together):
        total += pixels[first : first + together].sum(axis=0, dtype=np.uint64)
    return fundus.standardize(total / len(pixels)).astype(np.float32)


def sampled(photographs, count):
    """The stratified sample: indices, and standardized pixels."""
    from cnnviz.datasets import fundus
    from cnnviz.feature_visualization.analysis import stratified

    graded = np.flatnonzero(photographs.grades >= 0)
    if not len(graded):
        raise UserError("none of the photographs has a grade")
    chosen = graded[stratified(photographs.grades[graded], count)]
    return chosen, np.stack([fundus.standardize(photographs.pixels[index]) for index in chosen])


def uphill(network, features, together):
    """For :func:`.ascent.ascend`: activations, and gradients of length one.

    Gradients of features differ by orders of magnitude, and grow on the way; so no
    feature's exemplar depends on which others there are.

    Parameters
    ----------
    network : cnnviz.feature_visualization.patch_network.PatchNetwork
    features : int array, ``(n,)``
    together : int
        Patches a pass.
    """
    from cnnviz.feature_visualization import ascent
    from cnnviz.networks import inputs

    evaluate = ascent.checked(network, features)

    def in_batches(values, rows, step):
        activations, gradients = zip(
            *(
                evaluate(values[part], rows[part], step)
                for part in inputs.batches([values], together)
            )
        )
        return np.concatenate(activations), np.concatenate(gradients)

    return ascent.normalized(in_batches, 1.0)


def climb(network, patches, features, norm, steps, keep):
    """Ascend from a patch for every feature, on the sphere of a norm.

    Returns
    -------
    cnnviz.feature_visualization.ascent.Exemplars
    """
    from cnnviz.feature_visualization import ascent

    rule = ascent.Rule(
        steps=steps, norm=norm, keep=keep, tolerance=None, step_size=STEP * norm
    ).checked()
    with tqdm(total=len(features) * (steps + 1), unit=" steps") as bar:
        found = ascent.ascend(uphill(network, features, PATCHES), patches, rule, bar=bar)
    return ascent.joined([found], features)


def of_layer(network, images, names, mean, features, steps):
    """Exemplars of features of a layer from all starts.

    Parameters
    ----------
    network : cnnviz.feature_visualization.patch_network.PatchNetwork
    images : array, ``(n, channels, rows, columns)``
        The sample.
    names : sequence of n str
    mean : array, ``(channels, rows, columns)``
    features : list of int
    steps : int

    Returns
    -------
    list of cnnviz.experiments.exemplar_records.Record
    """
    from cnnviz.feature_visualization import ascent, starting_points

    features = np.array(features)
    maxima = starting_points.start_maximum(network, images, features, 8)
    norm = float(np.sqrt((images**2).mean() * np.prod(network.shape)))
    starts = {
        "maximum": maxima.patches,
        "mean": starting_points.start_mean(network, mean, features),
        "noise": starting_points.start_noise(network, features),
    }
    starts = [ascent.rescaled(starts[name], norm) for name in records.STARTS]
    # The figures that show an ascent are about the first.
    keep = [records.kept_steps(steps), (), ()]
    climbs = [
        climb(network, start, features, norm, steps, kept) for start, kept in zip(starts, keep)
    ]
    return [
        _record(network.layer.name, network.field, maxima, names, starts, climbs, k)
        for k in range(len(features))
    ]


def _record(layer, field, maxima, names, starts, climbs, k):
    """What is kept of one feature."""

    def rows(name):
        return np.stack([getattr(each, name)[k] for each in climbs])

    return records.Record(
        layer,
        int(climbs[0].features[k]),
        float(maxima.activations[k]),
        names[maxima.images[k]],
        np.array(field),
        np.stack([each[k] for each in starts]),
        rows("patches"),
        rows("activations")[:, 0],
        rows("reached"),
        rows("activations"),
        climbs[0].kept,
        climbs[0].iterates[k],
    )


def wanted(roles):
    """Features by layer, each once: dict of lists."""
    found = {}
    for role in roles.values():
        found.setdefault(role["layer"], set()).add(role["feature"])
    return {layer: sorted(features) for layer, features in sorted(found.items())}


def run(args):
    if args.steps < 1 or args.sample < 1:
        raise UserError("--steps and --sample must be at least 1")
    roles = records.read_roles(args.roles)
    from cnnviz.datasets import store
    from cnnviz.feature_visualization import patch_network
    from cnnviz.networks import defauw, layers

    photographs = store.read(args.photographs)
    arguments.select_engine(args)
    network = defauw.build()
    defauw.load(args.choice, network)
    chosen, images = sampled(photographs, args.sample)
    names = [photographs.names[index] for index in chosen]
    mean = mean_photograph(photographs.pixels)
    found = []
    for name, features in wanted(roles).items():
        print(f"{name}: features {', '.join(map(str, features))}", flush=True)
        found += of_layer(
            patch_network.patch_network(layers.find_layer(network, name)),
            images,
            names,
            mean,
            features,
            args.steps,
        )
    files.save_arrays(
        args.output,
        **records.pack(
            found,
            roles,
            steps=args.steps,
            sample=len(chosen),
            photographs=len(photographs),
            choice=args.choice,
        ),
    )
    for record in found:
        print(
            f"{record.layer}, feature {record.feature}: {record.data:.4g} on data; "
            + ", ".join(
                f"{value:.4g} from {start}" for start, value in zip(records.STARTS, record.reached)
            )
        )
