"""A network of one's own, for own_network.md: small, after LeNet, of drawn shapes.

``python own_network.py`` trains it, in well under a minute, to tell circles, squares
and triangles apart.
"""

import argparse

import numpy as np
from skimage import draw, io

from cnnviz.runtime.backend import T, function, lasagne  # prepares Theano: before all others

SIDE = 32
SHAPES = ("circle", "square", "triangle")
MEAN, STD = 0.5, 0.25  # of gray values, for the network's input


def build():
    """The network: what 'cnnviz visualize' calls."""
    layers = lasagne.layers
    network = layers.InputLayer((None, 1, SIDE, SIDE), name="input")
    for block, filters in enumerate((8, 16), 1):
        network = layers.Conv2DLayer(
            network,
            filters,
            5,
            W=lasagne.init.GlorotUniform("relu"),
            nonlinearity=lasagne.nonlinearities.rectify,
            name=f"conv{block}",
        )
        network = layers.MaxPool2DLayer(network, 2, name=f"pool{block}")
    network = layers.DenseLayer(network, 32, name="dense")
    return layers.DenseLayer(
        network, len(SHAPES), name="output", nonlinearity=lasagne.nonlinearities.softmax
    )


def picture(rng, kind):
    """One shape, of a random size, place, angle and brightness, ``(32, 32)``."""
    ground, shape = rng.permutation([rng.uniform(0.1, 0.4), rng.uniform(0.6, 0.9)])
    image = np.full((SIDE, SIDE), ground)
    radius = rng.uniform(6, 11)
    center = rng.uniform(radius, SIDE - radius, 2)
    if SHAPES[kind] == "circle":
        inside = draw.disk(center, 0.8 * radius, shape=image.shape)
    else:
        corners = {"square": 4, "triangle": 3}[SHAPES[kind]]
        angles = rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(corners) / corners
        inside = draw.polygon(
            center[0] + radius * np.sin(angles),
            center[1] + radius * np.cos(angles),
            shape=image.shape,
        )
    image[inside] = shape
    return np.clip(image + rng.normal(0, 0.03, image.shape), 0, 1)


def batch(rng, count):
    """Inputs ``(count, 1, 32, 32)`` and labels ``(count,)``."""
    labels = rng.randint(len(SHAPES), size=count)
    images = np.stack([picture(rng, kind) for kind in labels])[:, np.newaxis]
    return ((images - MEAN) / STD).astype(np.float32), labels.astype(np.int32)


def train(network, steps, rng):
    """Train on fresh pictures; gives the accuracy on more of them."""
    layers = lasagne.layers
    images = layers.get_all_layers(network)[0].input_var
    labels = T.ivector("labels")
    output = layers.get_output(network)
    loss = lasagne.objectives.categorical_crossentropy(output, labels).mean()
    updates = lasagne.updates.adam(
        loss, layers.get_all_params(network, trainable=True), learning_rate=0.003
    )
    step = function([images, labels], loss, updates=updates)
    right = function([images, labels], T.eq(output.argmax(axis=1), labels).mean())
    for _ in range(steps):
        step(*batch(rng, 64))
    return float(right(*batch(rng, 1000)))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--weights", default="shapes.npz")
    args = parser.parse_args()
    rng = np.random.RandomState(0)
    lasagne.random.set_rng(rng)
    network = build()
    print(f"accuracy on new pictures: {train(network, args.steps, rng):.3f}")
    np.savez(args.weights, *lasagne.layers.get_all_param_values(network))
    for kind, name in enumerate(SHAPES):
        io.imsave(f"{name}.png", (255 * picture(rng, kind)).astype(np.uint8))


if __name__ == "__main__":
    main()
