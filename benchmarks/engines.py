"""Theano's C code, the torch engine, and hand-written PyTorch, side by side.

For De Fauw's convolutional stack (512 x 512 pixels, one image on the CPU, 64
on a GPU) and for the Die360 network c9 (64 images): a forward pass, the
gradient with respect to the image, and a training step (Nesterov momentum).
For all eight Die360 networks: a training step at their own batch size.

Within one case the engines take turns, so that a busy machine slows all of
them; given are medians, and ratios of medians.

    python benchmarks/engines.py                       two CPU cores
    python benchmarks/engines.py --device cuda         a GPU
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path

import defauw_torch
import numpy as np
import torch
import torch.nn.functional as F
import yaml

from cnnviz import engine
from cnnviz.networks import defauw, die
from cnnviz.runtime import backend
from cnnviz.runtime.backend import T, lasagne, theano

ROOT = Path(__file__).resolve().parents[1]
RATE, MOMENTUM = 0.001, 0.9
TASKS = ("forward", "input gradient", "training step")


# The ceiling: the same networks, written for PyTorch by hand (see defauw_torch too).


class C9(torch.nn.Module):
    """The Die360 network c9 with the parameters of Lasagne's."""

    def __init__(self, network):
        super().__init__()
        parameters = lasagne.layers.get_all_param_values(network)
        self.parts = torch.nn.ParameterList(
            torch.tensor(each).to(memory_format=torch.channels_last)
            if each.ndim == 4
            else torch.tensor(each)
            for each in parameters
        )

    def forward(self, value):
        for index in range(9):
            weight, bias = self.parts[2 * index], self.parts[2 * index + 1]
            value = F.relu(F.conv2d(value, weight, bias, padding=1))
            if index % 3 == 2:
                value = F.max_pool2d(value, 2)
        return F.softmax(value.flatten(1) @ self.parts[18] + self.parts[19], 1)


class Case:
    """One network with an input and the number that is differentiated."""

    def __init__(self, name, build, module, images, labels=None):
        self.name, self.build, self.module = name, build, module
        self.images, self.labels = images, labels

    def loss_theano(self, output):
        if self.labels is None:
            return output.mean()
        return lasagne.objectives.categorical_crossentropy(output, T.constant(self.labels)).mean()

    def loss_torch(self, output):
        if self.labels is None:
            return output.mean()
        labels = torch.as_tensor(self.labels, device=output.device).long()
        return F.nll_loss(torch.log(output), labels)


def hand_written(case, device):
    """Functions for the three tasks, of a hand-written module."""
    module = case.module(case.build()).requires_grad_().to(device)
    optimizer = torch.optim.SGD(module.parameters(), RATE, momentum=MOMENTUM, nesterov=True)
    given = torch.as_tensor(case.images, device=device)

    def prepared():
        return given.contiguous(memory_format=torch.channels_last)

    def forward():
        with torch.inference_mode():
            return module(prepared()).contiguous().cpu().numpy()

    def input_gradient():
        image = prepared().clone().requires_grad_()
        for parameter in module.parameters():
            parameter.requires_grad_(False)
        (gradient,) = torch.autograd.grad(case.loss_torch(module(image)), image)
        for parameter in module.parameters():
            parameter.requires_grad_(True)
        return gradient.square().sum((1, 2, 3)).cpu().numpy()

    def training_step():
        optimizer.zero_grad()
        loss = case.loss_torch(module(prepared()))
        loss.backward()
        optimizer.step()
        return loss.item()

    return dict(zip(TASKS, (forward, input_gradient, training_step)))


def compiled(case, mode, device):
    """Functions for the three tasks by one engine, and seconds to the end of
    each first call."""
    images = T.tensor4("images")
    given = torch.as_tensor(case.images, device=device) if device != "cpu" else case.images
    functions, first = {}, {}
    for task in TASKS:
        network = case.build()
        output = lasagne.layers.get_output(network, images, deterministic=True)
        loss = case.loss_theano(output)
        started = time.perf_counter()
        if task == "forward":
            run = backend.function([images], output, mode=mode)
        elif task == "input gradient":
            gradient = T.grad(loss, images)
            run = backend.function([images], T.sqr(gradient).sum(axis=(1, 2, 3)), mode=mode)
        else:
            run = backend.function([images], loss, mode=mode, updates=_updates(network, loss))
        functions[task] = lambda run=run: run(given)
        functions[task]()
        first[task] = time.perf_counter() - started
    return functions, first


def _updates(network, loss):
    return lasagne.updates.nesterov_momentum(
        loss, lasagne.layers.get_all_params(network, trainable=True), RATE, MOMENTUM
    )


def take_turns(functions, repeats):
    """Median seconds of functions that run in turn."""
    times = {name: [] for name in functions}
    for name in functions:
        functions[name]()
    for _ in range(repeats):
        for name, function in functions.items():
            started = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in times.items()}


def measure(case, device, repeats):
    """One row for each task of a case."""
    modes = {"engine": engine.mode(device)}
    if device == "cpu" and theano.config.cxx:
        modes["theano"] = theano.compile.get_default_mode()
    candidates, first = {}, {}
    for name, mode in modes.items():
        candidates[name], first[name] = compiled(case, mode, device)
    candidates["hand-written"] = hand_written(case, device)
    for task in TASKS:
        agree(case, task, {name: each[task] for name, each in candidates.items()})
        medians = take_turns({name: each[task] for name, each in candidates.items()}, repeats)
        yield {
            "network": case.name,
            "batch": len(case.images),
            "task": task,
            "seconds": medians,
            "first_call": {name: each[task] for name, each in first.items()},
        }


def agree(case, task, functions):
    """Stop if the candidates do not compute the same."""
    results = {name: np.asarray(function()) for name, function in functions.items()}
    expected = results["hand-written"]
    for name, found in results.items():
        # Where two maxima nearly tie, rounding decides, so this is no parity
        # test (tests/ has those): it catches a wrong network.
        if not np.allclose(found, expected, rtol=0.05, atol=1e-3 * np.abs(expected).max()):
            sys.exit(
                f"{case.name}, {task}: {name} and hand-written disagree by "
                f"{np.abs(found - expected).max():.3g}"
            )


def die360_training(device, repeats, steps=20):
    """Seconds of a training step of each Die360 network, C code and engine."""
    settings = yaml.safe_load((ROOT / "config/default.yaml").read_text())["training"]
    rng = np.random.RandomState(0)
    images = rng.rand(4096, 1, 32, 32).astype(np.float32)
    labels = rng.randint(0, 6, 4096).astype(np.int32)
    modes = {"engine": engine.mode(device)}
    if theano.config.cxx:
        modes["theano"] = theano.compile.get_default_mode()
    for name in die.NAMES:
        size = settings[name]["batch_size"]
        batches = [rng.permutation(4096)[:size].astype(np.int32) for _ in range(steps)]
        functions = {}
        for kind, mode in modes.items():
            batch = T.ivector("batch")
            network = die.build(name)
            output = lasagne.layers.get_output(network, theano.shared(images, borrow=True)[batch])
            loss = lasagne.objectives.categorical_crossentropy(
                output, theano.shared(labels)[batch]
            ).mean()
            step = backend.function([batch], loss, mode=mode, updates=_updates(network, loss))
            functions[kind] = lambda step=step: [step(each) for each in batches]
        medians = take_turns(functions, repeats)
        yield {
            "network": name,
            "batch": size,
            "task": "training step",
            "seconds": {kind: value / steps for kind, value in medians.items()},
        }


def cases(device):
    """The two networks with their inputs."""
    rng = np.random.RandomState(0)
    fundus = rng.randn(64 if device != "cpu" else 1, 3, defauw.SIZE, defauw.SIZE)
    dice = rng.randn(64, 1, 32, 32)
    yield Case("De Fauw's stack", _stack, defauw_torch.Stack, fundus.astype(np.float32))
    yield Case(
        "c9",
        lambda: die.build("c9"),
        C9,
        dice.astype(np.float32),
        rng.randint(0, 6, 64).astype(np.int32),
    )


def _stack():
    lasagne.random.set_rng(np.random.RandomState(0))
    return defauw.convolutional_stack(
        lasagne.layers.InputLayer((None, 3, defauw.SIZE, defauw.SIZE))
    )


def machine(device):
    """What ran."""
    return {
        "date": datetime.date.today().isoformat(),
        "device": device,
        "gpu": torch.cuda.get_device_name(device) if device != "cpu" else None,
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "theano": theano.__version__,
    }


def _processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def table(rows):
    """The rows as Markdown."""
    lines = [
        "| network | task | batch | C code, ms | engine, ms | hand-written, ms "
        "| C code / engine | engine / hand-written | first call, s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        seconds = row["seconds"]
        first = row.get("first_call", {}).get("engine")

        def ratio(above, below):
            if above in seconds and below in seconds:
                return f"{seconds[above] / seconds[below]:.2f}"
            return "–"

        def milliseconds(name):
            return f"{1e3 * seconds[name]:.2f}" if name in seconds else "–"

        lines.append(
            "| "
            + " | ".join(
                [
                    row["network"],
                    row["task"],
                    str(row["batch"]),
                    *map(milliseconds, ("theano", "engine", "hand-written")),
                    ratio("theano", "engine"),
                    ratio("engine", "hand-written"),
                    f"{first:.1f}" if first else "–",
                ]
            )
            + " |"
        )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:n")
    parser.add_argument("--repeats", type=int, default=30, help="turns of every task (default 30)")
    parser.add_argument("--output", type=Path, help="JSON file to write as well")
    args = parser.parse_args()
    rows = []
    for case in cases(args.device):
        rows += measure(case, args.device, args.repeats)
    rows += die360_training(args.device, max(3, args.repeats // 3))
    record = {
        "machine": machine(args.device),
        "rows": rows,
        "command": "python benchmarks/engines.py --device "
        + args.device
        + f" --repeats {args.repeats}",
    }
    print(json.dumps(record["machine"], indent=1), table(rows), sep="\n\n")
    if args.output:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
