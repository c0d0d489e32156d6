"""Gradient saliency: on windows, by whole passes, and by Captum, side by side.

De Fauw's network with random weights; the thesis's sweep is 512 features of five
layers on 9 photographs, by max and by sum.  Some features of every layer are
timed, all competitors in turn in one run.

    pip install captum      # the optional group "benchmarks"
    python benchmarks/gradient.py --output benchmarks/records/gradient.json
"""

import argparse
import json

import defauw_torch
import numpy as np
import torch
from captum.attr import Saliency
from occlusion import MAPS, PHOTOGRAPHS, seconds
from tqdm import tqdm

from cnnviz.attribution.gradient import TARGETS, Gradient
from cnnviz.attribution.reductions import reduce_channels
from cnnviz.attribution.windowed import trusted_stack
from cnnviz.attribution.windowed.backward import Gradients
from cnnviz.attribution.windowed.sweep import Sweep
from cnnviz.networks import defauw, layers
from cnnviz.runtime import backend, files


class Windows:
    """This package: one forward pass for all features of an image."""

    def __init__(self, layer, image, aggregate, features):
        self.gradients = Gradients(trusted_stack(layer))
        self.sweep = Sweep(self.gradients, aggregate)
        self.image, self.features = image, features

    def keep(self):
        self.gradients.keep(self.image)

    def __call__(self):
        out = np.zeros((len(self.features), *self.image.shape[2:]), np.float32)
        for k, _, values, *place in self.sweep([self.image], self.features):
            out[(k, *place)] = reduce_channels(values)


class Whole:
    """This package, a forward and a backward pass for every feature."""

    def __init__(self, layer, image, aggregate, features):
        self.gradient = Gradient(layer, aggregate, evaluation="whole")
        self.image, self.features = image, features[:4]

    def __call__(self):
        for feature in self.features:
            reduce_channels(self.gradient.attribute(self.image, feature))


class Captum:
    """Captum's plain gradient, given the batch size that is best for it."""

    def __init__(self, stack, image, aggregate, features):
        self.stack, self.image = stack, torch.from_numpy(image)
        self.aggregate = {"max": torch.amax, "sum": torch.sum}[aggregate]
        self.features = features[:8]
        self.batch = min((1, 2, 4, 8), key=lambda batch: seconds(lambda: self.run(batch)))

    def run(self, batch):
        for first in range(0, len(self.features), batch):
            chosen = torch.tensor(self.features[first : first + batch])

            def forward(images):
                maps = self.stack(images)[torch.arange(len(chosen)), chosen]
                return self.aggregate(maps, dim=(1, 2))

            images = self.image.repeat(len(chosen), 1, 1, 1)
            Saliency(forward).attribute(images, abs=False).amax(dim=1)

    def __call__(self):
        self.run(self.batch)


def measure(network, name, image, aggregate, rounds):
    """Milliseconds a map of every competitor, medians over rounds in turn."""
    layer = layers.find_layer(network, name)
    features = list(range(0, MAPS[name], MAPS[name] // 32))
    runs = {
        kind.__name__: kind(source, image, aggregate, features)
        for kind, source in ((Windows, layer), (Whole, layer), (Captum, defauw_torch.Stack(layer)))
    }
    times = {key: [] for key in (*runs, "keep")}
    for run in runs.values():
        run()
    for _ in range(rounds):
        for key, run in runs.items():
            times[key].append(1e3 * seconds(run))
        times["keep"].append(1e3 * seconds(runs["Windows"].keep))
    found = {key: np.median(each) for key, each in times.items()}
    count = MAPS[name]
    # The forward pass is shared by all features of the layer.
    ours = (found["Windows"] - found["keep"]) / len(features) + found["keep"] / count
    return {
        "layer": name,
        "aggregate": aggregate,
        "windows": ours,
        **{key.lower(): found[key] / len(runs[key].features) for key in ("Whole", "Captum")},
        "captum_batch": runs["Captum"].batch,
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", required=True, help="JSON file to write")
    args = parser.parse_args()
    network = defauw.build(2)
    image = np.random.RandomState(0).randn(1, 3, 512, 512).astype(np.float32)
    rows, sweeps = [], {}
    for aggregate in TARGETS:
        for name in tqdm(MAPS):
            rows.append(measure(network, name, image, aggregate, args.rounds))
            tqdm.write(json.dumps(rows[-1]))
        sweeps[aggregate] = {
            key: sum(row[key] * MAPS[row["layer"]] for row in rows if row["aggregate"] == aggregate)
            * PHOTOGRAPHS
            / 1e3
            for key in ("windows", "whole", "captum")
        }
        sweeps[aggregate]["times faster"] = (
            sweeps[aggregate]["captum"] / sweeps[aggregate]["windows"]
        )
    record = {
        "machine": backend.describe(),
        "threads": torch.get_num_threads(),
        "milliseconds a map": rows,
        "seconds, whole sweep": sweeps,
    }
    files.write_text(args.output, json.dumps(record, indent=1))
    print(json.dumps(record["seconds, whole sweep"], indent=1))


if __name__ == "__main__":
    main()
