"""Run Lasagne's and Theano's own tests on the torch engine, and count.

Lasagne's tests come in its source distribution, Theano's convolution, pooling
and softmax tests inside the installed package.  Once:

    pip download --no-deps --no-binary :all: lasagne==0.1
    tar xf Lasagne-0.1.tar.gz
    pip install mock nose parameterized

and then

    python benchmarks/foreign_suites.py --lasagne Lasagne-0.1

Tests that fail on the torch engine are run again with Theano's C code: what
fails there, too, is no fault of the engine.  The others are sorted by cause.
"""

import argparse
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CAUSES = [
    (r"UnsupportedOp", "Op out of scope, refused by name"),
    (r"'Pool' object has no attribute 'ndim'", "graph pickled by an older Theano"),
    (r"AssertionError|assert ", "asserts what the graph is for C code"),
]
SUITES = {
    "Theano: pooling": "tensor/signal/tests/test_pool.py",
    "Theano: softmax, cross-entropy": "tensor/nnet/tests/test_nnet.py",
    "Theano: convolution": "tensor/nnet/tests/test_abstract_conv.py",
}


def run(folder, engine, timeout, select):
    """Counts, and a dictionary of failures, of one pytest run."""
    environment = {
        **os.environ,
        "FOREIGN_ENGINE": engine,
        "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]),
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "foreign_plugin",
        "-p",
        "no:cacheprovider",
        "-q",
        "--no-header",
        "-s",
        "--tb=short",
        "-W",
        "ignore",
        "--rootdir",
        str(folder),
        "-c",
        os.devnull,
        *select,
    ]
    finished = subprocess.run(
        command,
        env=environment,
        text=True,
        timeout=timeout,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    failures = dict(re.findall(r"^FOREIGN FAILURE (\S+.*?) \| (.*)$", finished.stdout, re.M))
    counts = {
        word: int(number)
        for number, word in re.findall(
            r"(\d+) (passed|failed|skipped|error)", finished.stdout.splitlines()[-1]
        )
    }
    if not counts:
        sys.exit(f"{folder}: pytest said:\n{finished.stdout[-2000:]}")
    return counts, failures


def classify(failures, failing_in_c):
    """Number of failures by cause."""
    causes = {}
    for test, error in failures.items():
        if test in failing_in_c:
            cause = "fails with Theano's C code as well"
        else:
            cause = next((text for pattern, text in CAUSES if re.search(pattern, error)), error)
        causes.setdefault(cause, []).append(f"{test}: {error}")
    return causes


def measure(name, tests, timeout):
    """One row of the table."""
    print(f"{name} ...", flush=True)
    folder = tests if tests.is_dir() else tests.parent
    counts, failures = run(folder, "torch", timeout, [str(tests)])
    failing_in_c = {}
    if failures:
        failing_in_c = run(folder, "theano", timeout, list(failures))[1]
    row = {"suite": name, "counts": counts, "causes": classify(failures, failing_in_c)}
    print(f"  {counts}")
    for cause, found in row["causes"].items():
        print(f"  {len(found)} {cause}", *found, sep="\n    ", flush=True)
    return row


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--lasagne",
        type=Path,
        required=True,
        help="folder of Lasagne 0.1's unpacked source distribution",
    )
    parser.add_argument(
        "--suites",
        nargs="+",
        metavar="NAME",
        help=f"some only; names: Lasagne 0.1, {', '.join(SUITES)}",
    )
    parser.add_argument(
        "--timeout", type=int, default=3600, help="seconds for each suite (default 3600)"
    )
    parser.add_argument("--output", type=Path, help="JSON file to write as well")
    args = parser.parse_args()
    folder = args.lasagne / "lasagne" / "tests"
    if not folder.is_dir():
        parser.error(
            f"{folder} is not there; download and unpack Lasagne 0.1's "
            "source distribution first (see --help)"
        )
    installed = Path(importlib.util.find_spec("theano").origin).parent
    rows = []
    with tempfile.TemporaryDirectory() as copy:
        # Apart from the package, so that the installed Lasagne is tested.
        tests = Path(shutil.copytree(folder, Path(copy) / "tests_of_lasagne"))
        suites = {"Lasagne 0.1": tests}
        suites.update({name: installed / path for name, path in SUITES.items()})
        for name in args.suites or suites:
            rows.append(measure(name, suites[name], args.timeout))
    if args.output:
        args.output.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
