"""Networks of one's own: every code block of docs/own_network.md, and pickled parameters."""

import ast
import os
import pickle
import re
import runpy
import shlex
import shutil
import sys
import textwrap

import attributions
import matplotlib.image
import numpy as np
import pytest
from skimage import io

from cnnviz.attribution.methods import METHODS as ATTRIBUTIONS
from cnnviz.cli import dispatch
from cnnviz.cli.commands import visualize as command
from cnnviz.networks import own_code, own_parameters
from cnnviz.networks.layers import find_layer
from cnnviz.runtime import errors, files, paths
from cnnviz.runtime.backend import lasagne

DOCS = paths.REPOSITORY / "docs"
STEPS = 30  # of training: what is learned plays no part here


def blocks():
    """Code blocks of the document as (language, code)."""
    text = (DOCS / "own_network.md").read_text(encoding="utf-8")
    assert text.count("```") == 2 * len(re.findall(r"(?m)^```(python|bash)$", text))
    return re.findall(r"(?ms)^```(python|bash)\n(.*?)^```$", text)


def commands(code):
    """Command lines of a shell block, each as its words."""
    lines = code.replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line and not line.startswith("#")]


def run_command(words, monkeypatch):
    if words[0] == "python":
        monkeypatch.setattr(sys, "argv", [*words[1:], "--steps", str(STEPS)])
        runpy.run_path(words[1], run_name="__main__")
    else:
        assert words[0] == "cnnviz" and dispatch.main(words[1:]) == 0, words


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Folder in which all blocks were run, and the names that Python is left with."""
    folder, names = tmp_path_factory.mktemp("own_network"), {"__name__": "document"}
    shutil.copy(DOCS / "own_network.py", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        for language, code in blocks():
            if language == "python":
                exec(code, names)
            else:
                for words in commands(code):
                    run_command(words, patch)
        sys.modules.pop("own_network")
    return folder, names


def test_every_figure_is_there(finished):
    folder, _ = finished
    figures = [
        words[words.index("-o") + 1]
        for language, code in blocks()
        if language == "bash"
        for words in commands(code)
        if "-o" in words
    ]
    assert len(figures) == len(set(figures)) == 9
    for name in (*figures, "by_hand.png"):
        if name.endswith(".png"):
            assert matplotlib.image.imread(folder / name)[..., :3].std() > 0.05
        else:
            assert (folder / name).read_bytes()[:4] == b"%PDF"


def test_every_method_is_shown():
    shown = {
        words[words.index("--method") + 1]
        for language, code in blocks()
        if language == "bash"
        for words in commands(code)
        if "--method" in words
    }
    assert shown | {"gradient-max"} == set(command.METHODS)
    assert set(ATTRIBUTIONS) == {name for name in command.METHODS if not name.endswith("exemplar")}


def test_python_gives_what_the_command_gives(finished):
    folder, names = finished
    maps = files.load_arrays(folder / "occlusion.npz")["maps"]
    visited = ~np.isnan(maps)
    assert visited.sum() == 64  # every second pixel of 16 × 16
    np.testing.assert_array_equal(maps[visited], names["lost"][0, :, 0][visited])
    assert names["mask"].shape == (32, 32) and names["found"].reached.shape == (1,)
    assert names["box"][2] - names["box"][0] == 16


def test_the_document_shows_the_file_s_own_build():
    """But for constants that the file names."""
    code = (DOCS / "own_network.py").read_text(encoding="utf-8")
    build = code[code.index("def build") : code.index("def picture")]
    for name, value in (("SIDE, SIDE", "32, 32"), ("len(SHAPES)", "3")):
        build = build.replace(name, value)
    shown = next(code for _, code in blocks() if "def build" in code)

    def body(text):
        tree = ast.parse(textwrap.dedent(text[text.index("def build") :]))
        kept = [
            part
            for part in tree.body[0].body
            if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))
        ]
        return [ast.dump(part) for part in kept]

    assert body(build) == body(shown)


def test_the_example_draws_what_it_says():
    example = runpy.run_path(str(DOCS / "own_network.py"))
    images, labels = example["batch"](np.random.RandomState(0), 12)
    assert images.shape == (12, 1, 32, 32) and set(labels) <= {0, 1, 2}
    assert np.abs(images).max() <= 2  # gray values in [0, 1]
    assert example["build"]().output_shape == (None, 3)


# --- Pickled parameters -------------------------------------------------------------


@pytest.fixture
def pickled(tmp_path):
    """A network's file, its values, and a function that runs the command on a pickle."""
    code = tmp_path / "net.py"
    code.write_text("""
import lasagne
def build():
    network = lasagne.layers.InputLayer((None, 3, 10, 11), name="input")
    network = lasagne.layers.Conv2DLayer(network, 2, 3, name="conv")
    return lasagne.layers.DenseLayer(network, 2, name="output")
""")
    rng = np.random.RandomState(2)
    network = own_code.build(code)
    values = [rng.randn(*each.shape) for each in lasagne.layers.get_all_param_values(network)]
    io.imsave(tmp_path / "picture.png", rng.randint(0, 256, (10, 11, 3)).astype(np.uint8))

    def run(content, *words, image="picture.png"):
        (tmp_path / "net.pkl").write_bytes(content)
        status = dispatch.main(
            [
                "visualize",
                "--network",
                str(code),
                "--weights",
                str(tmp_path / "net.pkl"),
                "--layer",
                "conv",
                "--feature",
                "1",
                "--image",
                str(tmp_path / image),
                "-o",
                str(tmp_path / "out.png"),
                "--raw-output",
                str(tmp_path / "raw.npz"),
                *words,
            ]
        )
        return None if status else files.load_arrays(tmp_path / "raw.npz")

    run.folder, run.network, run.values = tmp_path, network, values
    run.gray = np.moveaxis(io.imread(tmp_path / "picture.png") / 255, -1, 0)
    return run


def expected_map(pickled, image):
    lasagne.layers.set_all_param_values(
        pickled.network, [each.astype(np.float32) for each in pickled.values]
    )
    return attributions.gradient(find_layer(pickled.network, "conv"), image, [1])[:, 0]


@pytest.mark.parametrize(
    "protocol, wrap",
    [
        (2, list),
        (4, tuple),
        (2, lambda values: {"values": values, "synset words": ["a", "b"]}),
        (0, lambda values: {"param values": values}),
        (5, lambda values: {"param_values": values}),
        (2, lambda values: [np.asfortranarray(each, ">f4") for each in values]),
    ],
)
def test_parameters_of_pickles_are_used(pickled, wrap, protocol):
    found = pickled(pickle.dumps(wrap(pickled.values), protocol))
    np.testing.assert_allclose(found["image"][0], pickled.gray, atol=1e-6)
    np.testing.assert_allclose(found["maps"], expected_map(pickled, found["image"]), rtol=1e-5)


@pytest.mark.parametrize(
    "key, mean",
    [
        ("mean image", np.arange(330.0).reshape(3, 10, 11)),
        ("mean value", 117.5),
        ("mean_image", np.arange(330.0).reshape(1, 3, 10, 11)),
        ("mean value", np.array([100.0, 110, 120])),
        ("mean", [100.0, 110, 120]),
    ],
)
def test_the_mean_image_is_subtracted_unless_another_is_given(pickled, capsys, mean, key):
    """Of gray values up to 255, as these networks take them."""
    content = pickle.dumps({"values": pickled.values, key: mean}, 2)
    found = pickled(content)["image"][0]
    flat = np.reshape(mean, (3, 10, 11) if np.size(mean) == 330 else (-1, 1, 1))
    np.testing.assert_allclose(found, pickled.gray * 255 - flat, atol=1e-3)
    assert "its mean image is subtracted, of gray values up to 255" in capsys.readouterr().out
    found = pickled(content, "--mean", "0.5", "--std", "2")["image"][0]
    np.testing.assert_allclose(found, (pickled.gray - 0.5) / 2, atol=1e-6)
    assert "mean image" not in capsys.readouterr().out


def test_a_mean_image_of_gray_values_up_to_one_is_taken_as_such(pickled):
    mean = np.random.RandomState(0).rand(3, 10, 11)
    content = pickle.dumps({"values": pickled.values, "mean image": mean}, 2)
    np.testing.assert_allclose(
        pickled(content, "--std", "0.5")["image"][0], (pickled.gray - mean) / 0.5, atol=1e-6
    )


def test_a_mean_image_of_another_size_is_averaged(pickled, capsys):
    mean = np.random.RandomState(0).rand(3, 16, 16) * 255
    found = pickled(pickle.dumps({"values": pickled.values, "mean image": mean}, 2))
    np.testing.assert_allclose(
        found["image"][0], 255 * pickled.gray - mean.mean(axis=(1, 2), keepdims=True), atol=1e-3
    )
    assert "the mean image has 16 × 16 pixels" in capsys.readouterr().out


def test_arrays_stay_as_they_are(pickled):
    """They are the network's own input already."""
    array = np.random.RandomState(0).randn(3, 10, 11).astype(np.float32)
    np.save(pickled.folder / "x.npy", array)
    found = pickled(pickle.dumps({"values": pickled.values, "mean value": 100.0}, 2), image="x.npy")
    np.testing.assert_array_equal(found["image"][0], array)


def test_exemplars_are_shown_with_the_mean(pickled):
    content = pickle.dumps({"values": pickled.values, "mean image": np.full((3, 10, 11), 99.0)})
    assert "patch" in pickled(content, "--method", "exemplar", "--steps", "2")


@pytest.mark.parametrize(
    "content, message",
    [
        ({"weights": []}, "holds weights; the network's parameters are looked for under"),
        ({}, "holds nothing; the network's parameters"),
        (3, "are no list of arrays"),
        ([[1.0, 2.0]], "are no list of arrays"),
        (
            [np.zeros(3)],
            "holds 1 arrays, and the network has 4 parameters (conv.W, conv.b, output.W",
        ),
        ("short", "array 0 (conv.W) has shape (1, 3, 3, 3) instead of (2, 3, 3, 3)"),
        ("nan", "array 3 (output.b) holds values that are not finite"),
        ("huge", "array 3 (output.b) holds values that are not finite"),
        ("mean", "its mean image has shape (4,), and the network's input has 3 channels"),
        ("odd mean", "its mean image is no array"),
        ("nan mean", "its mean image is no array"),
        ("layer", "net.pkl: asks for 'lasagne.layers"),
        ("function", "asks for 'posix.system'"),
        (b"no pickle", "net.pkl: truncated or not a pickle"),
        (b"", "truncated or not"),
        (b"version https://git-lfs.github.com/spec/v1\n", "'git lfs pull'"),
    ],
    ids=str,
)
def test_pickles_that_do_not_fit_are_one_line(pickled, capsys, content, message):
    if isinstance(content, str):
        values = list(pickled.values)
        values[0] = values[0][:1] if content == "short" else values[0]
        values[3] = values[3] * {"nan": np.nan, "huge": 1e300}.get(content, 1)
        content = {
            "values": values,
            "mean image": {"mean": np.ones(4), "odd mean": "gray", "nan mean": np.nan}.get(content),
            "other": {"layer": pickled.network.input_layer, "function": os.system}.get(content),
        }
    if not isinstance(content, bytes):
        content = pickle.dumps(content, 2)
    assert pickled(content) is None
    error = capsys.readouterr().err.strip()
    assert message in error and "Traceback" not in error


def test_files_without_a_known_suffix_are_told_by_their_content(pickled, tmp_path):
    for name, protocol in (("a", 2), ("b.p", 0), ("c.PICKLE", 0), ("d.npz", 4)):
        (tmp_path / name).write_bytes(pickle.dumps(pickled.values, protocol))
        network = own_code.build(tmp_path / "net.py")
        own_parameters.load(tmp_path / name, network)
        np.testing.assert_array_equal(
            lasagne.layers.get_all_param_values(network)[0], pickled.values[0].astype(np.float32)
        )


def test_an_array_of_objects_says_how_to_save_instead(pickled, tmp_path):
    np.savez(tmp_path / "x.npz", np.array(pickled.values, object))
    with pytest.raises(
        errors.UserError,
        match="x.npz: arr_0: an array of Python objects.*write it with 'numpy.savez",
    ):
        own_parameters.load(tmp_path / "x.npz", own_code.build(tmp_path / "net.py"))
