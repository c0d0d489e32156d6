"""Peak memory of one map by every method, at every pooling layer.

De Fauw's network with random weights, 512 x 512 pixels; each measurement in a
process of its own (Linux), whose peak resident memory is taken twice: after
importing and building the network, whose initial weights take much for a moment,
and, counted anew, after the map.  Occlusion leaves out positions: its memory is
that of a pass, and several are run, unless a neuron's positions are fewer.

    python benchmarks/memory.py --output benchmarks/records/memory.json
"""

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

# Nothing else here: a process inherits the peak of the one that starts it.

LAYERS = tuple(f"pool{k}" for k in range(1, 6))
#: Pixels between positions, by method and layer, so that a map takes seconds.
STRIDES = {
    "occlusion, neuron": dict(zip(LAYERS, (1, 1, 1, 4, 8))),
    "occlusion, whole map": dict.fromkeys(LAYERS, 8),
}
METHODS = ("gradient, max", "gradient, sum", *STRIDES, "deconvnet")
FEATURE, SIZE = 7, 11


def peak():
    """Peak resident memory of this process so far, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def resident():
    """Resident memory of this process now, bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def compute(method, layer, image, stride):
    """One map."""
    from cnnviz.attribution.deconvnet import Deconvnet, GuidedBackprop
    from cnnviz.attribution.gradient import Gradient
    from cnnviz.attribution.occlusion import Occlusion

    kind, _, how = method.partition(", ")
    if kind == "gradient":
        return Gradient(layer, how, evaluation="windows").attribute(image, FEATURE)
    if kind == "occlusion":
        target = "neuron" if how == "neuron" else "max"
        method = Occlusion(layer, SIZE, stride, target=target, evaluation="windows")
        return method.attribute(image, FEATURE)
    return {"deconvnet": Deconvnet, "guided": GuidedBackprop}[kind](layer).attribute(image, FEATURE)


def positions_at_once(method, layer):
    """Positions of the occluder in a pass."""
    from cnnviz.attribution.windowed import trusted_stack
    from cnnviz.attribution.windowed.forward import Occluded

    return Occluded(trusted_stack(layer)).batch_size((SIZE, SIZE), method.endswith("neuron"))


def measure(method, name):
    """What one process measures."""
    import numpy as np

    from cnnviz.networks import defauw, layers
    from cnnviz.runtime import backend

    network = defauw.build(2)
    machine = backend.describe()  # imports PyTorch where it is
    row = {"resident before": resident(), "peak before": peak()}
    if method:
        Path("/proc/self/clear_refs").write_text("5")  # forgets the peak
        layer = layers.find_layer(network, name)
        image = np.random.RandomState(0).randn(1, 3, 512, 512).astype(np.float32)
        stride = STRIDES.get(method, {}).get(name)
        values = compute(method, layer, image, stride)
        row.update(method=method, layer=name, peak=peak())
        if stride:
            row.update(stride=stride, positions=int(np.isfinite(values).sum()))
            row["positions at once"] = positions_at_once(method, layer)
    return {**row, "machine": machine}


def in_a_process(*words):
    """The same, of a process of its own."""
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, "--measure", *words],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(finished.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", help="JSON file to write")
    parser.add_argument(
        "--measure",
        nargs="*",
        metavar="WORD",
        help="in this process: method and layer, or nothing but the network",
    )
    args = parser.parse_args()
    if args.measure is not None:
        print(json.dumps(measure(*(args.measure or (None, None)))))
        return
    if not args.output:
        parser.error("--output is needed")
    floor, rows = in_a_process(), []
    for method in METHODS:
        for name in LAYERS:
            rows.append(in_a_process(method, name))
            print(json.dumps(rows[-1]), flush=True)
    machine = {row.pop("machine") for row in (floor, *rows)}.pop()
    # Here only, after the last process was started.
    from cnnviz.runtime import files

    files.write_text(
        args.output,
        json.dumps(
            {"machine": machine, "network alone, bytes": floor, "one map, bytes": rows}, indent=1
        ),
    )


if __name__ == "__main__":
    main()
