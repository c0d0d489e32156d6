"""Every Python block of README runs."""

import re

import numpy as np
import pytest
from PIL import Image

from cnnviz.datasets import fundus, synthetic
from cnnviz.networks import defauw, layers
from cnnviz.runtime import paths

README = paths.REPOSITORY / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.S)


def run(code, **names):
    exec(compile(code.replace("steps=500", "steps=2"), str(README), "exec"), names)
    return names


def test_the_methods():
    """On a small network of De Fauw's form."""
    layer = layers.find_layer(defauw.build(2, size=125, reduction=2), "pool3")
    images = np.random.RandomState(0).randn(2, 3, 125, 125).astype(np.float32)
    found = run(BLOCKS[0], layer=layer, images=images)
    assert found["maps"].shape == (2, 1, 3, 125, 125)
    assert found["saliency"].shape == (2, 1, 125, 125)
    assert found["drop"].shape == (2, 1, 1, 125, 125) and np.isfinite(found["drop"]).all()
    assert found["projected"].shape == found["guided"].shape == found["maps"].shape
    assert found["found"].patches.shape[0] == 1 and len(found["box"]) == 4


def test_the_die():
    found = run(BLOCKS[1])
    assert found["pictures"].shape == found["regions"].shape == (2, 128, 128)


def test_the_photographs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    eye = synthetic.load(synthetic.records(1)[0])
    Image.fromarray(fundus.to_bytes(eye.pixels)).save("eye.jpeg")
    found = run(BLOCKS[2])
    assert found["mine"].pixels.shape == (3, 512, 512)


def test_there_are_no_other_blocks():
    assert len(BLOCKS) == 3


@pytest.mark.parametrize("name", ["Gradient", "lasagne", "reduce_channels"])
def test_the_package_imports_what_is_asked_for_and_no_more(name):
    import subprocess
    import sys

    code = f"import sys, cnnviz; assert 'theano' not in sys.modules; cnnviz.{name}; " + (
        f"assert '{name}' in dir(cnnviz); assert 'theano' in sys.modules or '{name}' == "
        "'reduce_channels'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
