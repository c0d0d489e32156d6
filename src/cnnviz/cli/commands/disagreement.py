"""The view of the die whose posteriors differ most from those of its neighbours.

Thesis section 5.4 and Figure 5.5.  A view's disagreement with its neighbours along an
angle: total variation distance between its posteriors and those of the views one degree
before and after it, mean over both and over the networks.  The largest one is searched
over all views of the data set and both angles, where three views come before and three
after.  The same trained networks, those of one fold, judge all views: most of the views
were in their training set.
"""

import numpy as np
from tqdm import tqdm

from cnnviz.cli.commands import arguments
from cnnviz.datasets import die360, sequences, splits
from cnnviz.evaluation import stability
from cnnviz.runtime import files
from cnnviz.runtime.errors import UserError

REACH = 3  # views shown before and after


def add_arguments(parser):
    parser.add_argument("--networks", nargs="+", required=True)
    parser.add_argument("--fold", type=int, default=0)
    arguments.add_images(parser)
    arguments.add_weights(parser)
    arguments.add_engine(parser)
    arguments.add_output(parser, ".npz file to write")


def candidates(every):
    """Views to search, with their neighbours.

    Parameters
    ----------
    every : int
        Search every n-th view of the data set only.

    Returns
    -------
    views : int array, ``(n,)``
        Indices in the data set; those to search come first.
    neighbours : int array, ``(2, 2, m)``
        Places in ``views`` of the neighbours of the ``m`` views to search, by the angle
        and the direction; -1 where a view has fewer than :data:`REACH` on a side.
    """
    a, b, _ = die360.angles()
    searched = np.arange(0, len(a), every)
    around = sequences.neighbours(a, b, [-REACH, -1, 1, REACH])[:, :, searched]
    complete = (around >= 0).all(axis=1, keepdims=True)
    near = np.where(complete, around[:, 1:3], -1)
    views = np.concatenate([searched, np.setdiff1d(near[near >= 0], searched)])
    place = np.full(len(a) + 1, -1)  # the last stands for no view
    place[views] = np.arange(len(views))
    return views, place[near]


def predictors(args):
    """Functions from images to posteriors, of all networks."""
    from cnnviz.networks import die, weights
    from cnnviz.training import die_networks

    found = []
    for name in args.networks:
        network = die.build(name)
        weights.load_fold(args.weights, "random", name, args.fold, network)
        compute = die_networks.predictor(network)
        found.append(
            lambda images, network=network, compute=compute: die_networks.predict(
                network, images, compute
            )
        )
    return found


def trained(data, fold, a, b):
    """Whether views were in a fold's training set, bool ``(n,)``."""
    training, _ = splits.random_split(len(data.a), fold)
    seen = set(zip(data.a[training].tolist(), data.b[training].tolist()))
    return np.array([pair in seen for pair in zip(a.tolist(), b.tolist())])


def run(args):
    arguments.select_engine(args)
    data = die360.load(args.images, args.every)
    compute = predictors(args)
    a, b, label = die360.angles()
    views, near = candidates(args.every)
    images = sequences.images(data, a[views], b[views])
    posteriors = np.stack([each(images) for each in tqdm(compute, unit=" networks")])
    found = stability.disagreement(posteriors, near)
    if np.isnan(found).all():
        raise UserError(
            f"none of every {args.every}-th view has {REACH} views on both "
            "sides; choose a smaller --every"
        )
    angle, centre = np.unravel_index(np.nanargmax(found), found.shape)
    view = views[centre]
    shown = sequences.along((a[view], b[view]), angle, REACH)
    images = sequences.images(data, *shown)
    files.save_arrays(
        args.output,
        networks=np.array(args.networks),
        a=shown[0],
        b=shown[1],
        angle=angle,
        label=label[view],
        disagreement=found,
        trained=trained(data, args.fold, *shown),
        pixels=images[:, 0] * np.float32(data.std) + np.float32(data.mean),
        posteriors=np.stack([each(images) for each in compute]),
    )
    print(
        f"largest disagreement {found[angle, centre]:.3f}, median "
        f"{np.nanmedian(found):.2g}: view a = {a[view]}, b = {b[view]}, along "
        f"{sequences.ANGLES[angle]}"
    )
