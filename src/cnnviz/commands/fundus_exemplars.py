"""Exemplars of De Fauw's network for Figures 4.22 to 4.26 (thesis sections 3.1.1, 4.4).

Gradient ascent on what one neuron sees, from three starts: what activates the feature
most in a stratified sample, the mean photograph, and noise.  A patch keeps the L2
norm that photographs have on average over a patch of its size (eq. 3.1), without which
the activation of this network has no maximum.
"""
from pathlib import Path

import numpy as np

from cnnviz import exemplar_records as records
from cnnviz import files
from cnnviz.commands import arguments
from cnnviz.commands.evaluate_fundus import CHOICES

STEPS = 60       # most is gained by then
STEP = 0.05      # of the norm, at first
HALVINGS = 10    # of the step, at most
TOGETHER = 32    # photographs that are read at a time


def add_arguments(parser):
    parser.add_argument("--photographs", type=Path, required=True,
                        help="folder of prepared photographs")
    parser.add_argument("--roles", type=Path, required=True,
                        help="file of 'cnnviz label-features': which features")
    parser.add_argument("--choice", choices=CHOICES, default="standin",
                        help="whose weights: shipped, De Fauw's (converted), or none")
    parser.add_argument("--steps", type=int, default=STEPS, help="of every ascent")
    parser.add_argument("--sample", type=int, default=10,
                        help="photographs of each grade in the stratified sample")
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
        total += pixels[first:first + together].sum(axis=0, dtype=np.uint64)
    return fundus.standardize(total / len(pixels)).astype(np.float32)


def sampled(photographs, count):
    """The stratified sample: indices, and standardized pixels."""
    from cnnviz.datasets import fundus
    from cnnviz.exemplar_statistics import stratified
    graded = np.flatnonzero(photographs.grades >= 0)
    if not len(graded):
        raise ValueError("none of the photographs has a grade")
    chosen = graded[stratified(photographs.grades[graded], count)]
    return chosen, np.stack([fundus.standardize(photographs.pixels[index])
                             for index in chosen])


def step_size(network, start, feature, norm, share=STEP):
    """A step size with which the first step goes up.

    It moves the patch by ``share`` of its norm, or by half of that, a quarter ..., where
    the activation would fall.  Gradients of features differ by orders of magnitude.

    Parameters
    ----------
    network : cnnviz.exemplars.PatchNetwork
    start : array, ``(1, channels, rows, columns)``
    feature : int
    norm, share : float

    Returns
    -------
    float
    """
    from cnnviz import exemplars
    before, gradient = network.evaluate(start, [feature])
    length = float(np.sqrt((gradient ** 2).sum())) or 1.0
    size = share * norm / length
    for _ in range(HALVINGS):
        moved, _ = exemplars.nesterov(start, np.zeros_like(start), gradient, size)
        after, _ = network.evaluate(exemplars.rescaled(moved, norm), [feature])
        if after[0] > before[0]:
            break
        size /= 2
    return size


def climb(network, patches, features, norm, steps, keep):
    """Ascend from one start of every feature, one after the other.

    Returns
    -------
    starts : array
        The patches, scaled to that norm.
    list of cnnviz.exemplars.Exemplars
    """
    from cnnviz import exemplars
    starts = exemplars.rescaled(patches, norm)
    found = []
    for start, feature in zip(starts[:, np.newaxis], features):
        rule = exemplars.Rule(steps=steps, norm=norm, keep=keep, tolerance=None,
                              step_size=step_size(network, start, feature, norm))
        found.append(exemplars.maximize(network, start, [feature], rule, progress=True))
    return starts, found


def of_layer(network, images, names, mean, features, steps):
    """Exemplars of features of a layer from all starts.

    Parameters
    ----------
    network : cnnviz.exemplars.PatchNetwork
    images : array, ``(n, channels, rows, columns)``
        The sample.
    names : sequence of n str
    mean : array, ``(channels, rows, columns)``
    features : list of int
    steps : int

    Returns
    -------
    list of cnnviz.exemplar_records.Record
    """
    from cnnviz import exemplars
    maxima = exemplars.start_maximum(network, images, features, 8)
    norm = float(np.sqrt((images ** 2).mean() * np.prod(network.shape)))
    patches = {"maximum": maxima.patches,
               "mean": exemplars.start_mean(network, mean, features),
               "noise": exemplars.start_noise(network, features)}
    kept = records.kept_steps(steps)
    found = [climb(network, patches[start], features, norm, steps,
                   kept if start == "maximum" else ()) for start in records.STARTS]
    return [_record(network, maxima, names, found, k) for k in range(len(features))]


def _record(network, maxima, names, found, k):
    """What is kept of one feature."""
    climbs = [each[k] for _, each in found]

    def rows(name):
        return np.concatenate([getattr(each, name) for each in climbs])
    return records.Record(
        network.layer.name, int(climbs[0].features[0]), float(maxima.activations[k]),
        names[maxima.images[k]], np.array(network.field),
        np.stack([starts[k] for starts, _ in found]), rows("patches"),
        rows("activations")[:, 0], rows("reached"), rows("activations"), climbs[0].kept,
        climbs[0].iterates[0])


def wanted(roles):
    """Features by layer, each once: dict of lists."""
    found = {}
    for role in roles.values():
        found.setdefault(role["layer"], set()).add(role["feature"])
    return {layer: sorted(features) for layer, features in sorted(found.items())}


def run(args):
    if args.steps < 1 or args.sample < 1:
        raise ValueError("--steps and --sample must be at least 1")
    roles = records.read_roles(args.roles)
    from cnnviz import exemplars
    from cnnviz.datasets import store
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
        found += of_layer(exemplars.patch_network(layers.find_layer(network, name)),
                          images, names, mean, features, args.steps)
    files.save_arrays(args.output, **records.pack(
        found, roles, steps=args.steps, sample=len(chosen), photographs=len(photographs),
        choice=args.choice))
    for record in found:
        print(f"{record.layer}, feature {record.feature}: {record.data:.4g} on data; "
              + ", ".join(f"{value:.4g} from {start}" for start, value
                          in zip(records.STARTS, record.reached)))
