"""Labels of De Fauw's features: the workflow's commands against the library."""

import shutil

import numpy as np
import pandas as pd
import pytest

from cnnviz.cli import dispatch
from cnnviz.datasets import concepts, fundus, store, synthetic
from cnnviz.dissection.labeler import Labeler, LocalizedLayer
from cnnviz.dissection.localization import Chance
from cnnviz.dissection.marked_photographs import MarkedPhotographs
from cnnviz.experiments import feature_table, fundus_sheets, photograph_sources
from cnnviz.experiments.fundus_features import Dissected, Localized, effective_number, mean_grade
from cnnviz.networks import defauw, layers
from cnnviz.runtime.backend import lasagne
from cnnviz.runtime.records import read_origin
from cnnviz.thesis.figures import fundus_sheet

LAYERS, FEATURES, OVERLAP, PERMUTATIONS = ("pool1", "pool2"), 3, 4, 99
NETWORKS = {"trained": "surrogate", "random": "random"}


def run(*command, **options):
    words = [*command]
    for name, value in options.items():
        values = value if isinstance(value, list | tuple) else [value]
        words += [f"--{name.replace('_', '-')}", *map(str, values)]
    return dispatch.main(words)


@pytest.fixture(scope="module", autouse=True)
def network_built_once():
    """Its orthogonal weights take longest; every build gives the first ones back."""
    network = defauw.build()
    initial = lasagne.layers.get_all_param_values(network)

    def build(*_):
        lasagne.layers.set_all_param_values(network, initial)
        return network

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(defauw, "build", build)
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Everything that the commands make of nine photographs."""
    folder = tmp_path_factory.mktemp("features")
    photographs, marked = folder / "photographs", folder / "concepts.npz"
    assert run("prepare-photographs", source="synthetic", pairs=4, seed=3, output=photographs) == 0
    assert run("mark-concepts", photographs=photographs, output=marked) == 0
    for name, weights in NETWORKS.items():
        given = {"photographs": photographs, "concepts": marked}
        dissected, localized = (folder / f"{kind}_{name}.npz" for kind in ("dissect", "localize"))
        wanted = {"weights": weights, "layers": LAYERS, "features": FEATURES, "overlap": OVERLAP}
        assert run("dissect", **given, **wanted, output=dissected) == 0
        settings = {"dissected": dissected, "permutations": PERMUTATIONS}
        assert run("localize", **given, **settings, output=localized) == 0
    assert label(folder, NETWORKS) == 0
    return folder


def label(folder, networks, localized=None):
    return run(
        "table",
        "4.1",
        dissected=[folder / f"dissect_{name}.npz" for name in networks],
        localized=localized or [folder / f"localize_{name}.npz" for name in networks],
        features=folder / "features.csv",
        roles=folder / "roles.csv",
        reproduced=folder / "reproduced.csv",
        output=folder / "table_4_1.md",
    )


def in_memory(photographs):
    """The same photographs for the library, all in memory."""
    fields = [concepts.field_of_view(each) for each in photographs.pixels]
    marks = [
        concepts.of_photograph(photographs.photograph(k), field)
        if name == synthetic.RETINA.name
        else concepts.of_scene(
            synthetic.eye([3, int(photographs.patients[k])], photographs.sides[k]), field
        )
        for k, (name, field) in enumerate(zip(photographs.names, fields))
    ]
    known = np.array([[name in each.known for name in concepts.CONCEPTS] for each in marks])
    return MarkedPhotographs(
        fundus.standardize(photographs.pixels).__getitem__,
        fields.__getitem__,
        ([concepts.index_map(each.masks) for each in marks],),
        known,
        np.arange(len(known)),
        batch_size=4,
    )


def by_library(photographs):
    """The table of features, by a labeler that sees everything at once."""
    images, measured = in_memory(photographs), {}
    has_lesions = concepts.lesions_known(images.known)
    hemorrhage = concepts.CONCEPTS.index("hemorrhage")

    def spread(values, k):
        from scipy import ndimage

        return effective_number(values, ndimage.label(images.concepts(k).masks[hemorrhage])[0])

    for name, weights in NETWORKS.items():
        network = defauw.build()
        defauw.load(weights, network)
        pooling = layers.pooling_layers(network)[: len(LAYERS)]
        labeler = Labeler(pooling, features=FEATURES)
        dissected = labeler.dissect(images, has_lesions, np.flatnonzero(has_lesions)[:OVERLAP])
        top = [each.marked for each in dissected]
        localized = labeler.localize(
            images, top, Chance(PERMUTATIONS, block=4), measures={"spread": spread}
        )
        for layer, first, second in zip(pooling, dissected, localized):
            disease = mean_grade(photographs.grades, first.marked.index)
            measured[name, layer.name] = (
                LocalizedLayer(
                    second.share,
                    second.expected,
                    second.p,
                    second.gradient,
                    second.measures | {"disease": disease},
                ),
                first.iou,
            )
    return feature_table.table(measured)


def test_the_commands_make_the_table_that_the_library_makes(made):
    found = pd.read_csv(made / "features.csv")
    expected = by_library(store.read(made / "photographs"))
    assert len(found) == len(NETWORKS) * len(LAYERS) * FEATURES
    assert found[["share: vessel", "q: field edge", "iou: optic disc"]].notna().any().all()
    pd.testing.assert_frame_equal(found, expected, rtol=6e-4, atol=1e-6, check_dtype=False)


def test_files_say_what_they_were_made_from(made):
    origin = read_origin(made / "localize_trained.npz")
    assert (origin["photographs"], origin["photographs_pairs"]) == ("synthetic", 4)
    assert (origin["network"], origin["weights"]) == ("defauw", NETWORKS["trained"])
    assert len(origin["weights_file"]) == 64 and origin["layers"] == list(LAYERS)
    assert (origin["permutations"], origin["features"]) == (PERMUTATIONS, FEATURES)
    random = read_origin(made / "dissect_random.npz")
    assert random["weights_seed"] == 0 and "weights_file" not in random
    assert random["overlap_photographs"] == OVERLAP
    text = (made / "table_4_1.md").read_text()
    assert "Photographs: 4 synthetic eye pairs. Weights: the surrogate weights" in text


def test_files_that_do_not_belong_together_are_one_line(made, tmp_path, capsys):
    assert label(made, ["trained"], [made / "localize_random.npz"]) == 1
    error = capsys.readouterr().err
    assert "dissect_trained.npz: none of" in error and error.count("\n") == 1
    assert "run 'cnnviz localize' again" in error


def test_a_file_of_another_kind_names_the_remedy(made, tmp_path, capsys):
    status = run(
        "localize",
        photographs=made / "photographs",
        concepts=made / "dissect_trained.npz",
        dissected=made / "dissect_trained.npz",
        output=tmp_path / "x.npz",
    )
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert status == 1 and "holds a record of kind Dissected, not MarkedConcepts" in error
    assert "cnnviz mark-concepts" in error


def test_other_concepts_than_those_of_the_dissection_are_refused(made, tmp_path, capsys):
    marked = Dissected.load(made / "dissect_trained.npz")
    other = tmp_path / "dissected.npz"
    marked.save(other, read_origin(made / "dissect_trained.npz") | {"concepts": None})
    status = run(
        "localize",
        photographs=made / "photographs",
        concepts=made / "concepts.npz",
        dissected=other,
        output=tmp_path / "x.npz",
    )
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert status == 1 and "was made with concepts None, not" in error


def test_weights_that_changed_are_refused(made, tmp_path, capsys):
    origin = read_origin(made / "dissect_trained.npz") | {"weights_file": "0" * 64}
    other = tmp_path / "dissected.npz"
    Dissected.load(made / "dissect_trained.npz").save(other, origin)
    status = run(
        "localize",
        photographs=made / "photographs",
        concepts=made / "concepts.npz",
        dissected=other,
        output=tmp_path / "x.npz",
    )
    assert status == 1 and "was made with other weights" in capsys.readouterr().err


def test_measures_are_of_every_feature(made):
    found = Localized.load(made / "localize_trained.npz")
    for layer in found.layers.values():
        assert set(layer.measures) == {"spread", "disease"}
        assert layer.share.shape == (FEATURES, len(concepts.CONCEPTS))


def test_photographs_of_unknown_source_are_refused(made, tmp_path, capsys):
    folder = tmp_path / "photographs"
    shutil.copytree(made / "photographs", folder)
    for content, said in ((None, "no such file"), ("[]", "does not name a source")):
        path = folder / photograph_sources.SOURCE
        path.unlink() if content is None else path.write_text(content)
        assert run("mark-concepts", photographs=folder, output=tmp_path / "x.npz") == 1
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert f"{path}: {said}" in error and "cnnviz prepare-photographs" in error


def test_on_photographs_of_the_competition_nothing_is_marked(made, tmp_path, capsys):
    folder = tmp_path / "photographs"
    shutil.copytree(made / "photographs", folder)
    (folder / photograph_sources.SOURCE).write_text('{"source": "kaggle"}')
    assert run("mark-concepts", photographs=folder, output=tmp_path / "x.npz") == 1
    assert "nothing is marked" in capsys.readouterr().err


def test_sheets_of_other_features_are_refused(made, tmp_path):
    side = 48
    features = pd.read_csv(made / "features.csv")
    roles = pd.read_csv(made / "roles.csv", dtype={"figure": str}, keep_default_na=False)
    role = roles[roles["figure"] == "4.5"].iloc[0]
    box = np.tile((5, 5, 16, 16), (2, 1))
    sheet = fundus_sheets.FeatureSheet(
        role["weights"],
        role["layer"],
        int(role["feature"]) + 1,
        1,
        np.zeros((2, 128, 128, 3), np.uint8),
        np.zeros((2, side, side, 3), np.uint8),
        np.zeros((3, 2, side, side), np.float16),
        box,
        box,
        np.ones(2),
        np.zeros(2, int),
        np.array(["1_left", "2_left"]),
    )
    fundus_sheets.Sheet({"0": sheet}).save(tmp_path / "figure_4_5.npz", {})
    with pytest.raises(ValueError, match="shows other features; run 'cnnviz fundus-sheets' again"):
        fundus_sheet.read("4.5", tmp_path, roles, features)
