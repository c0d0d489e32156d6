"""What a run makes, by its configuration."""

import copy
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from cnnviz.networks import die_architectures
from cnnviz.runtime import paths
from cnnviz.thesis.plan import Plan, shipped

DEFAULT = yaml.safe_load(paths.DEFAULT_CONFIG.read_text())


def planned(mirror=None, **changed):
    """The plan of the default configuration with changes; a double underscore goes deeper."""
    config = copy.deepcopy(DEFAULT)
    for name, value in changed.items():
        place = config
        *above, last = name.split("__")
        for each in above:
            place = place[each]
        place[last] = value
    return Plan(config, mirror)


def of_file(name, mirror=None):
    """The plan of a configuration of the repository, as Snakemake reads it."""
    config = copy.deepcopy(DEFAULT)
    for key, value in yaml.safe_load((paths.REPOSITORY / "config" / name).read_text()).items():
        if isinstance(value, dict):
            config[key] = {**config[key], **value}
        else:
            config[key] = value
    return Plan(config, mirror)


def names(found):
    return {path.name for path in found}


def test_the_default_run_makes_every_figure_and_table():
    made = planned().everything()
    figures = {path.stem for path in made if path.suffix == ".png"}
    numbers = [*range(1, 6)], [1], [*range(1, 27)], [*range(1, 6)]
    for chapter, each in zip((2, 3, 4, 5), numbers):
        assert {f"figure_{chapter}_{number}" for number in each} <= figures
    assert "table_5_2" in figures
    assert all((path.with_suffix(".pdf")) in made for path in made if path.suffix == ".png")
    assert {"table_4_1.md", "comparison.md", "map_quality.csv", "table_5_1_folds.csv"} <= names(
        made
    )
    assert paths.FIGURES / "features" not in made
    assert not any(paths.WITH_MIRROR_TABLES in path.parents for path in made)
    assert len(made) == len(set(made))


def test_a_mirror_sends_what_it_changes_elsewhere():
    without, with_mirror = planned(), planned(Path("copies"))
    assert (without.fundus_source(), with_mirror.fundus_source()) == ("synthetic", "idrid")
    moved = set(with_mirror.tables()) - set(without.tables())
    assert moved and all(path.parent == paths.WITH_MIRROR_TABLES for path in moved)
    assert names(moved) == {
        "comparison.md",
        "comparison.csv",
        "text_chapter_4.csv",
        "fundus_network.md",
        "map_quality.md",
        "map_quality.csv",
        "table_4_1.csv",
        "table_4_1.md",
        "features.csv",
    }
    assert with_mirror.mirror_argument() == "--mirror copies"
    assert planned(Path("my copies")).mirror_argument() == "--mirror 'my copies'"
    assert without.mirror_argument() == ""


@pytest.mark.parametrize("mirror, labels", [(None, "synthetic"), (Path("m"), "idrid")])
def test_the_competition_s_photographs_are_labeled_on_others(mirror, labels):
    plan = planned(mirror, fundus__source="kaggle")
    assert plan.fundus_source() == "kaggle"
    assert plan.label_source() == labels
    assert plan.evaluated_sources() == ["synthetic", "kaggle"]
    assert plan.marked_concepts(SimpleNamespace(source="kaggle")) == []
    assert plan.marked_concepts(SimpleNamespace(source=labels))[0].name == "concepts.npz"


def test_full_size_makes_a_page_for_every_feature():
    assert paths.FIGURES / "features" in of_file("full.yaml").everything()


def test_training_anew_reads_the_weights_that_it_trains():
    plan = of_file("retrain.yaml")
    assert plan.weights_folder() == paths.TRAINED_WEIGHTS
    assert plan.twins_folder() == paths.TRAINED_WEIGHTS
    job = SimpleNamespace(network="c9", split="random")
    assert plan.weights_of_folds(job) == [
        paths.weight_file(paths.TRAINED_WEIGHTS, "random", "c9", fold) for fold in range(5)
    ]
    assert planned().weights_folder() == shipped(paths.SHIPPED_WEIGHTS)
    assert plan.setting("epochs")(job) == DEFAULT["training"]["c9"]["epochs"]
    assert plan.setting("nothing", 7)(job) == 7
    assert plan.training_engine(job) == "--engine auto --device auto"
    assert plan.training_engine(SimpleNamespace(network="c1")) == "--engine theano"


def test_a_chosen_engine_wins_over_that_of_a_network():
    plan = planned(engine="torch", device="cpu")
    assert plan.training_engine(SimpleNamespace(network="c1")) == "--engine torch --device cpu"


def test_dense_networks_alone_have_no_maps():
    plan = planned(networks=["d5", "d20"])
    made = plan.everything()
    assert plan.convolutional() == [] and plan.with_second_pool() == []
    stems = {path.stem for path in made}
    assert not stems & {"figure_5_2", "figure_5_3", "figure_5_4", "table_5_2", "figure_methods"}
    assert paths.NEIGHBORS_TABLE not in made and not any(path.suffix == ".gif" for path in made)
    assert [path.name for path in plan.map_quality_files()] == ["fundus.csv"]


@pytest.mark.parametrize(
    "networks, convolutional, second, deepest, animated",
    [
        (["c1"], ["c1"], [], "c1", "c1"),
        (["c9", "c1", "d5"], ["c9", "c1"], ["c9"], "c9", "c9"),
        (["c3", "c2"], ["c3", "c2"], ["c3", "c2"], "c3", "c2"),
    ],
)
def test_networks_are_known_by_their_architecture(
    networks, convolutional, second, deepest, animated
):
    plan = planned(networks=networks)
    assert plan.convolutional() == convolutional
    assert plan.with_second_pool() == second
    assert plan.deepest_network() == deepest
    assert plan.animated_network() == animated


def test_a_network_of_any_name_has_its_family(monkeypatch):
    """Nothing is read off the first letter."""
    monkeypatch.setitem(
        die_architectures.ARCHITECTURES, "deep", die_architectures.Architecture("deep", (2, 2))
    )
    plan = planned(networks=["c1", "deep"])
    assert plan.convolutional() == ["c1", "deep"]
    assert plan.with_second_pool() == ["deep"] and plan.deepest_network() == "deep"


def test_a_part_of_the_layers_has_a_part_of_the_figures():
    plan = planned(fundus__layers=["pool1", "pool2"])
    assert plan.sheets() == ["4.5", "4.6"]
    stems = {path.stem for path in plan.everything()}
    assert {"figure_4_5", "figure_4_6"} <= stems
    assert not stems & {"figure_4_7", "figure_4_22", "figure_4_26"}
    assert plan.exemplar_layers() == ["pool2"] and plan.measured_layers() == ["pool1"]
    assert plan.features_argument() == "--layers pool1 pool2"
    assert planned(fundus__features=4).features_argument().endswith("--features 4")


def test_random_weights_detect_nothing_that_is_shown():
    plan = planned(fundus__weights="random")
    assert plan.fundus_networks() == ["random"] and plan.network_weights(None) == []
    assert not plan.looks_at_features() and plan.table_4_1_numbers() == []
    assert "figure_4_15" not in {path.stem for path in plan.everything()}


def test_a_sample_of_the_views_has_no_data_statement():
    made = planned(die360__sampling_stride=40).everything()
    assert paths.DIE360_STATEMENT not in made
    assert not any(path.suffix == ".gif" for path in made)


def test_stages_of_training_follow_each_other():
    plan = planned()
    first = SimpleNamespace(stage="narrow")
    assert plan.stage_before(first) == [] and plan.stage_arguments(first) == ""
    later = SimpleNamespace(stage="photographs")
    (before,) = plan.stage_before(later)
    assert f"--initial {before}" in plan.stage_arguments(later)
    assert "--photographs results/fundus/idrid" in plan.stage_arguments(later)


def test_the_run_describes_itself():
    described = yaml.safe_load(planned().run_in_words())
    assert described["configuration"] == DEFAULT
    assert described["tables"] == [str(path) for path in planned().tables()]
