"""Fixtures that several test modules share."""
import os
from pathlib import Path

import hypothesis
import numpy as np
import pytest

# The same examples in every run, so that a failure is the change's fault; no
# deadlines, since the machine may be busy.
hypothesis.settings.register_profile("project", derandomize=True, deadline=None)
hypothesis.settings.load_profile("project")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Tests of a file run in one process, those of the engine in one as well.

    Files share what they prepare, and the engine's last test counts which Ops all
    its tests compared.
    """
    for item in items:
        name = item.path.stem
        group = "engine" if name.startswith("test_engine") else name
        item.add_marker(pytest.mark.xdist_group(group))


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
