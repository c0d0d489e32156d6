"""The recipes of docs/architecture.md, carried out, and the paths that it names."""

import copy
import re

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from cnnviz import Gradient
from cnnviz.attribution import methods
from cnnviz.cli import dispatch
from cnnviz.cli.commands import visualize as visualize_command
from cnnviz.datasets import synthetic
from cnnviz.experiments import photograph_sources
from cnnviz.networks import die, die_architectures, layers
from cnnviz.runtime import paths
from cnnviz.thesis.plan import Plan

PAGE = paths.REPOSITORY / "docs" / "architecture.md"
SOURCE = paths.REPOSITORY / "src" / "cnnviz"


@pytest.fixture(scope="module")
def recipes():
    """What the code blocks of the page define."""
    names = {}
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S):
        exec(compile(code, str(PAGE), "exec"), names)
    return names


def test_every_path_of_the_page_is_there():
    text = PAGE.read_text(encoding="utf-8")
    rooms = {path.name for path in SOURCE.iterdir() if path.is_dir() and path.name[0] != "_"}
    drawn = set(re.findall(r"(?m)^\| `(\w+)` \|", text))
    assert drawn == rooms
    named = re.findall(r"`((?:{})/[\w/]+(?:\.py)?)`".format("|".join(rooms)), text)
    assert len(named) > 20
    for path in named:
        assert (SOURCE / path).exists(), path
    for folder in re.findall(r"`((?:tests|thesis_tables|workflow|config)/[\w./*]+)`", text):
        assert list(paths.REPOSITORY.glob(folder)), folder


def test_a_method_is_one_class_and_one_name(recipes, monkeypatch, tmp_path):
    made = methods.Method(
        lambda layer, _: recipes["GradientTimesInput"](layer), "contribution", "gradient × input"
    )
    monkeypatch.setitem(methods.METHODS, "gradient-input", made)
    monkeypatch.setitem(visualize_command.METHODS, "gradient-input", made.title)
    layer = layers.find_layer(die.build("c2", seed=1), "pool1")
    images = np.random.RandomState(0).randn(2, 1, 32, 32).astype(np.float32)
    found = made.make(layer, None).attribute(images, [2, 0])
    np.testing.assert_array_equal(
        found, Gradient(layer).attribute(images, [2, 0]) * images[:, np.newaxis]
    )
    Image.fromarray((255 * np.random.RandomState(0).rand(32, 32)).astype(np.uint8)).save(
        tmp_path / "x.png"
    )
    command = "visualize --network c2 --layer pool1 --feature 0 --method gradient-input"
    words = [*command.split(), "--image", str(tmp_path / "x.png"), "-o", str(tmp_path / "o.png")]
    assert dispatch.main(words) == 0
    assert matplotlib.image.imread(tmp_path / "o.png")[..., :3].std() > 0.05


def test_a_network_of_the_die_is_one_entry(recipes, monkeypatch, tmp_path):
    deeper = recipes["deeper"]
    monkeypatch.setitem(die_architectures.ARCHITECTURES, deeper.name, deeper)
    config = copy.deepcopy(yaml.safe_load(paths.DEFAULT_CONFIG.read_text()))
    config["networks"].append(deeper.name)
    config["training"][deeper.name] = config["training"]["c4"]
    plan = Plan(config)
    assert deeper.name in plan.convolutional() and deeper.name in plan.with_second_pool()
    assert any(f"{deeper.name}_fold4" in path.name for path in plan.evaluations("separated"))
    images = str(tmp_path / "images.npz")
    assert dispatch.main(["render", "--sampling-stride", "600", "-o", images]) == 0
    data = ["--images", images, "--network", deeper.name]
    train = "train --fold 0 --epochs 1 --alive-accuracy 0 --history"
    weights = str(tmp_path / f"random/{deeper.name}_fold0.npz")
    history = str(tmp_path / "history.csv")
    assert dispatch.main([*train.split(), history, *data, "-o", weights]) == 0
    written = str(tmp_path / "evaluations")
    assert dispatch.main(["evaluate", *data, "--weights-folder", str(tmp_path), "-o", written]) == 0
    assert [layer.name for layer in layers.pooling_layers(die.build(deeper.name))] == [
        "pool1",
        "pool2",
        "pool3",
        "pool4",
    ]


def test_a_data_set_is_one_function(recipes, monkeypatch, tmp_path):
    monkeypatch.setitem(photograph_sources.SOURCES, "one", recipes["one_patient"])
    photograph_sources.prepare(tmp_path / "one", photograph_sources.Sources("one"))
    store, origin = photograph_sources.read(tmp_path / "one")
    assert origin["photographs"] == "one" and len(store) == 2
    assert store.names == tuple(synthetic.load(each).name for each in synthetic.records(1))


@pytest.mark.parametrize("ours, verdict", [(7, "match"), (8, "differs")])
def test_a_claim_is_one_row(tmp_path, ours, verdict):
    row = "text_chapter_5.recipes,,recipes,7,1,45,0,A count.\n"
    reported = (paths.REPORTED_TABLES / "text_chapter_5.csv").read_text(encoding="utf-8")
    (tmp_path / "text_chapter_5.csv").write_text(reported.splitlines()[0] + "\n" + row)
    (tmp_path / "reproduced.csv").write_text(
        f"id,value,unit,command,note\ntext_chapter_5.recipes,{ours},1,cnnviz,\n"
    )
    reasons = "id,reason\n" + ("" if ours == 7 else "text_chapter_5.recipes,They were recounted.\n")
    (tmp_path / "reasons.csv").write_text(reasons)
    words = ["compare"]
    for option, name in (
        ("--reported", "text_chapter_5.csv"),
        ("--reproduced", "reproduced.csv"),
        ("--reasons", "reasons.csv"),
        ("--output", "comparison.csv"),
    ):
        words += [option, str(tmp_path / name)]
    assert dispatch.main(words) == 0
    found = pd.read_csv(tmp_path / "comparison.csv")
    assert found["verdict"].tolist() == [verdict]
    assert ("recounted" in (tmp_path / "comparison.md").read_text(encoding="utf-8")) == (ours == 8)
