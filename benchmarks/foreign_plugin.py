"""pytest plugin: other people's tests on an engine of this package.

Used by foreign_suites.py with ``-p foreign_plugin``.  The environment variable
``FOREIGN_ENGINE`` says which engine is Theano's default, torch or theano.
"""

import functools
import inspect
import os

import pytest
from theano.compile import mode as modes

from cnnviz import engine

# First, since it prepares Theano.
from cnnviz.runtime import backend
from cnnviz.runtime.backend import theano

OURS = os.environ.get("FOREIGN_ENGINE", "torch") == "torch"


def _make_default():
    """Every mode that a test does not build from C linkers runs on PyTorch."""
    torch_mode = engine.mode("cpu", check=True)
    for name in ("FAST_RUN", "FAST_COMPILE"):
        modes.predefined_modes[name] = torch_mode
    # Modes that name no linker, as Mode(optimizer=None).
    modes.predefined_linkers[theano.config.linker] = torch_mode.linker
    modes.instantiated_default_mode = None


if OURS:
    _make_default()


def _all_at_once(generator):
    """A test that yields its checks, as nose ran them, as one plain test."""

    @functools.wraps(generator)
    def test(*arguments):
        for check, *values in generator(*arguments):
            check(*values)

    return test


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector, name, obj):
    if inspect.isgeneratorfunction(obj) and name.startswith("test"):
        setattr(collector.obj, name, _all_at_once(obj))
        return pytest.Function.from_parent(collector, name=name)
    return None


def _error(report):
    """Last line of a failure that names an error."""
    lines = [
        line[1:].strip() for line in str(report.longrepr).splitlines() if line.startswith("E ")
    ]
    named = [line for line in lines if "Error" in line or "Exception" in line]
    return (named or lines or ["unknown"])[0][:200]


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report):
    if report.failed:
        print(f"\nFOREIGN FAILURE {report.nodeid} | {_error(report)}", flush=True)


def pytest_report_header():
    return backend.describe() if OURS else "Theano's C code"
