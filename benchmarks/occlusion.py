"""Occlusion maps: on windows, by whole passes, and by Captum, side by side.

De Fauw's network with random weights, an 11 x 11 occluder on every pixel of the
receptive field of a maximal neuron, and on every pixel of the image for whole
maps.  A sample of the positions is timed, all competitors in turn in one run.

    pip install captum      # the optional group "benchmarks"
    python benchmarks/occlusion.py --output benchmarks/records/occlusion.json
"""

import argparse
import json
import resource
import time

import defauw_torch
import numpy as np
import torch
from captum.attr import Occlusion
from tqdm import tqdm

from cnnviz.attribution.activations import maximal_neurons
from cnnviz.attribution.occluder import centers
from cnnviz.attribution.occlusion_passes import WholePasses, tiles
from cnnviz.attribution.receptive_field import receptive_field
from cnnviz.attribution.windowed import trusted_stack
from cnnviz.attribution.windowed.backward import work
from cnnviz.attribution.windowed.forward import Occluded, multiply_adds
from cnnviz.networks import defauw, layers
from cnnviz.runtime import backend, files

SIZE = (11, 11)
MAPS, PHOTOGRAPHS = {"pool1": 32, "pool2": 32, "pool3": 64, "pool4": 128, "pool5": 256}, 9


def seconds(run):
    """Wall-clock time of a call."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def sampled_passes(evaluate, places, neuron, count, rng):
    """Some of the passes that a whole map takes."""
    batch = evaluate.batch_size(SIZE, neuron)
    order = tiles(places, batch)
    starts = rng.permutation(np.arange(0, len(order), batch))[:count]
    return [places[order[start : start + batch]] - SIZE[0] // 2 for start in starts]


class Windows:
    """This package, on windows; of one neuron, or of whole maps."""

    def __init__(self, evaluate, places, neuron, rng, passes=6):
        self.evaluate, self.neuron = evaluate, neuron
        self.passes = sampled_passes(evaluate, places, neuron is not None, passes, rng)
        self.positions = sum(map(len, self.passes))

    def __call__(self):
        for first in self.passes:
            neurons = None if self.neuron is None else np.tile(self.neuron, (len(first), 1))
            self.evaluate(first, SIZE, neurons=neurons)


class Whole:
    """This package, by whole passes."""

    positions = 16

    def __init__(self, layer, image):
        self.evaluate = WholePasses(layer)
        self.evaluate.keep([image], 0.0)

    def __call__(self):
        first = np.tile((200, 200), (self.positions, 1))
        self.evaluate(first, SIZE, np.zeros(self.positions, int))


class Captum:
    """Captum, given the number of images a pass that is best for it.

    It cannot skip positions, and one costs a whole pass whatever the occluder's
    size: 16 large ones are timed instead of 262,144 small ones.
    """

    side, positions = 128, 16

    def __init__(self, stack, feature, neuron, image):
        def forward(images):
            return stack(images)[:, feature, neuron[0], neuron[1]]

        self.method, self.image = Occlusion(forward), torch.from_numpy(image)
        self.batch = min((1, 2, 4, 8, 16), key=lambda batch: seconds(lambda: self.run(batch)))

    def run(self, batch):
        size = (3, self.side, self.side)
        self.method.attribute(self.image, size, size, perturbations_per_eval=batch)

    def __call__(self):
        self.run(self.batch)


def competitors(network, name, image, rng):
    """By name, of one layer; and the number of positions of one map."""
    layer = layers.find_layer(network, name)
    evaluate = Occluded(trusted_stack(layer))
    maps = evaluate.keep(image, 0.0)[0]
    feature = 7
    neuron = maximal_neurons(maps)[feature]
    field = receptive_field(layer).box(*neuron, image.shape[2:])
    near = centers(image.shape[2:], box=field)
    everywhere = centers(image.shape[2:])
    found = {
        "neuron": Windows(evaluate, near, neuron, rng),
        "whole map": Windows(evaluate, everywhere, None, rng),
        "whole passes": Whole(layer, image),
        "captum": Captum(defauw_torch.Stack(layer), feature, neuron, image),
    }
    return found, len(near), evaluate.stack


def measure(network, name, image, rounds):
    """Milliseconds a position of every competitor, medians over rounds in turn."""
    rng = np.random.RandomState(0)
    found, positions, stack = competitors(network, name, image, rng)
    times = {key: [] for key in found}
    for run in found.values():
        run()
    for _ in range(rounds):
        for key, run in found.items():
            times[key].append(1e3 * seconds(run) / run.positions)
    row = {key: float(np.median(each)) for key, each in times.items()}
    row.update(layer=name, positions=positions, captum_batch=found["captum"].batch)
    row["times faster, neuron"] = row["captum"] / row["neuron"]
    row["times faster, whole map"] = row["captum"] / row["whole map"]
    row["times fewer multiply-adds, neuron"] = work(stack, stack.shapes) / multiply_adds(
        stack, SIZE, neuron=True
    )
    row["peak memory, MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return row


def krypton(network, image, rounds):
    """Krypton's setting: 16 x 16 patches with stride 4, the whole last map."""
    layer = layers.find_layer(network, "pool5")
    evaluate, whole = Occluded(trusted_stack(layer)), Whole(layer, image)
    evaluate.keep(image, 0.0)
    places = centers(image.shape[2:], 4)
    batch = evaluate.batch_size((16, 16))
    order = tiles(places, batch)
    passes = [
        places[order[k : k + batch]] - 8
        for k in np.random.RandomState(0).permutation(np.arange(0, len(order), batch))[:6]
    ]

    def windows():
        for first in passes:
            evaluate(first, (16, 16))

    windows(), whole()
    ratios = [
        seconds(whole) / whole.positions / (seconds(windows) / sum(map(len, passes)))
        for _ in range(rounds)
    ]
    return float(np.median(ratios))


def sweep_hours(rows):
    """The thesis's occlusion: all features, 9 photographs, every pixel of the field.

    All features of a layer are read off the same windows where that is cheaper.
    """
    total = 0
    for row in rows:
        together = row["whole map"] * 512**2
        apart = row["neuron"] * row["positions"] * MAPS[row["layer"]]
        total += min(together, apart)
    return total * PHOTOGRAPHS / 3.6e6


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", required=True, help="JSON file to write")
    args = parser.parse_args()
    network = defauw.build(2)
    image = np.random.RandomState(0).randn(1, 3, 512, 512).astype(np.float32)
    rows = []
    for name in tqdm(MAPS):
        rows.append(measure(network, name, image, args.rounds))
        tqdm.write(json.dumps(rows[-1]))
    record = {
        "machine": backend.describe(),
        "threads": torch.get_num_threads(),
        "milliseconds a position": rows,
        "hours, whole sweep": sweep_hours(rows),
        "days, whole sweep by whole passes": sum(
            row["whole passes"] * row["positions"] * MAPS[row["layer"]] for row in rows
        )
        * PHOTOGRAPHS
        / 8.64e7,
        "times faster in Krypton's setting": krypton(network, image, args.rounds),
    }
    files.write_text(args.output, json.dumps(record, indent=1))
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
