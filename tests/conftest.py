"""Fixtures that several test modules share."""

import os
from pathlib import Path

import hypothesis
import numpy as np
import pytest

# The same examples in every run, so that a failure is the change's fault; no
# deadlines, and no complaint that making examples takes long, since the machine may be busy.
hypothesis.settings.register_profile(
    "project",
    derandomize=True,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("project")


_FIRST = ("test_workflow", "test_record", "engine", "test_local")  # they take longest


def _group(nodeid):
    """Tests of a file run in one process, those of the engine in one as well.

    Files share what they prepare, and the engine's last test counts which Ops all
    its tests compared.
    """
    name = Path(nodeid.split("::")[0]).stem
    return "engine" if name.startswith("test_engine") else name


def pytest_collection_modifyitems(items):
    """What takes longest comes first, so that no process waits for it in the end."""

    def place(item):
        group = _group(item.nodeid)
        return _FIRST.index(group) if group in _FIRST else len(_FIRST)

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)  # the tests of a GPU need no xdist
def pytest_xdist_make_scheduler(config, log):
    """Groups, in the order above."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return _group(nodeid)

    config.option.loadscopereorder = False
    return ByGroup(config, log)


@pytest.fixture(scope="session")
def mirror():
    """Folder of reference data: ``CNNVIZ_MIRROR``, or beside the repository."""
    configured = os.environ.get("CNNVIZ_MIRROR")
    if configured:
        folder = Path(configured)
        # A mistyped path must not pass for a machine without the data.
        assert folder.is_dir(), f"CNNVIZ_MIRROR: {folder} is not a folder"
        return folder
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no reference data: set CNNVIZ_MIRROR to their folder")
    return folder


@pytest.fixture
def rng():
    return np.random.RandomState(0)
