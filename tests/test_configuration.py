"""The configuration's schema and its messages."""

import copy

import pytest
import yaml
from snakemake.utils import update_config

from cnnviz.networks import die
from cnnviz.runtime import configuration, paths

DEFAULT = yaml.safe_load((paths.REPOSITORY / "config/default.yaml").read_text())


def changed(change):
    config = copy.deepcopy(DEFAULT)
    change(config)
    return configuration.problems(config)


@pytest.mark.parametrize(
    "path", sorted((paths.REPOSITORY / "config").glob("*.yaml")), ids=lambda path: path.name
)
def test_shipped_configurations_have_no_mistakes(path):
    config = copy.deepcopy(DEFAULT)
    update_config(config, yaml.safe_load(path.read_text()))
    assert configuration.problems(config) == []


def test_the_schema_knows_every_network():
    assert DEFAULT["networks"] == list(die.NAMES)
    assert set(DEFAULT["training"]) == {*die.NAMES, *die.EXTRA}


@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda c: c.update(wieghts="shipped"),
            "top level: unknown key 'wieghts'; did you mean 'weights'?",
        ),
        (
            lambda c: c["training"]["c1"].update(epoch=3),
            "training.c1: unknown key 'epoch'; did you mean 'epochs'?",
        ),
        (lambda c: c.update(weights="mine"), "weights: 'mine' is not one of shipped, trained"),
        (
            lambda c: c["networks"].append("c7"),
            "networks.8: 'c7' is not one of c1, c2, c3, c4, c9, d5, d10, d20",
        ),
        (
            lambda c: c["die360"].update(sampling_stride=0),
            "die360.sampling_stride: 0 is less than the minimum of 1",
        ),
        (
            lambda c: c["training"]["d5"].update(momentum="high"),
            "training.d5.momentum: 'high' is not of type 'number'",
        ),
        (
            lambda c: c.update(splits=["separated"]),
            "splits: must contain 'random', the thesis's split",
        ),
        (lambda c: c.pop("folds"), "top level: 'folds' is a required property"),
        (
            lambda c: c["fundus"].update(source="eyepacs"),
            "fundus.source: 'eyepacs' is not one of auto, synthetic, idrid, kaggle",
        ),
        (
            lambda c: c["fundus"].update(mirrors="copies"),
            "fundus: unknown key 'mirrors'; did you mean 'mirror'?",
        ),
        (
            lambda c: c["fundus"].update(mirror=3),
            "fundus.mirror: 3 is not of type 'string', 'null'",
        ),
        (
            lambda c: c["fundus"].update(weights="trained"),
            "fundus.weights: 'trained' is not one of surrogate, defauw, random",
        ),
        (
            lambda c: c["fundus"].update(source="kaggle"),
            "fundus.kaggle: names no folder, which the source 'kaggle' needs",
        ),
        (
            lambda c: c["fundus"].update(source="kaggle", kaggle="unpacked"),
            "fundus.kaggle: unpacked: no such folder; 'cnnviz prepare-photographs --help' says how "
            "to get the competition's photographs",
        ),
        (
            lambda c: c["fundus"].update(weights="defauw"),
            "fundus.weights: data/downloads/defauw.npz: no such file; make it with 'cnnviz "
            "convert-defauw --dump PARAMSDUMP.pkl --output data/downloads/defauw.npz', whose "
            "--help says where that dump is",
        ),
        (
            lambda c: (c.update(weights="trained"), c["training"].pop("c9")),
            "training: no settings for network 'c9'",
        ),
        (
            lambda c: c["exemplars"].update(steps=1),
            "exemplars.steps: 1 is less than the minimum of 2",
        ),
    ],
)
def test_mistakes_get_one_clear_line_each(change, message):
    assert changed(change) == [message]


@pytest.mark.parametrize(
    "source, mirror, expected",
    [
        ("auto", None, "synthetic"),
        ("auto", "copies", "idrid"),
        ("synthetic", "copies", "synthetic"),
        ("idrid", None, "idrid"),
        ("kaggle", "copies", "kaggle"),
    ],
)
def test_source_of_the_photographs(source, mirror, expected):
    assert configuration.fundus_source({"source": source}, mirror) == expected


def test_differences_from_the_default_are_named():
    config = copy.deepcopy(DEFAULT)
    assert configuration.differences(config, DEFAULT) == []
    config["folds"] = 1
    config["fundus"].update(pairs=4, layers=["pool1"])
    config["training"].pop("d5")
    assert configuration.differences(config, DEFAULT) == [
        "folds",
        "fundus.layers",
        "fundus.pairs",
        "training.d5",
    ]


def test_all_mistakes_are_listed():
    assert len(changed(lambda c: c.update(folds=9, weight=1))) == 2


def test_what_the_user_brought_is_no_mistake(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / paths.DEFAUW_WEIGHTS).parent.mkdir(parents=True)
    (tmp_path / paths.DEFAUW_WEIGHTS).touch()
    assert not changed(
        lambda c: c["fundus"].update(source="kaggle", kaggle=str(tmp_path), weights="defauw")
    )
