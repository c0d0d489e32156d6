"""The worked example in docs/own_network.md: every code block is run."""
import ast
import re
import runpy
import shlex
import shutil
import sys
import textwrap

import matplotlib.image
import numpy as np
import pytest

from cnnviz import cli, files, paths
from cnnviz.commands import visualize as command
from cnnviz.figures import visualize

DOCS = paths.REPOSITORY / "docs"
STEPS = 30   # of training: what is learned plays no part here


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
        assert words[0] == "cnnviz" and cli.main(words[1:]) == 0, words


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
    figures = [words[words.index("-o") + 1] for language, code in blocks()
               if language == "bash" for words in commands(code) if "-o" in words]
    assert len(figures) == len(set(figures)) == 9
    for name in (*figures, "by_hand.png"):
        if name.endswith(".png"):
            assert matplotlib.image.imread(folder / name)[..., :3].std() > 0.05
        else:
            assert (folder / name).read_bytes()[:4] == b"%PDF"


def test_every_method_is_shown():
    shown = {words[words.index("--method") + 1] for language, code in blocks()
             if language == "bash" for words in commands(code) if "--method" in words}
    assert shown | {"gradient-max"} == set(command.METHODS)
    assert set(visualize.UNITS) == {name for name in command.METHODS
                                    if not name.endswith("exemplar")}


def test_python_gives_what_the_command_gives(finished):
    folder, names = finished
    maps = files.load_arrays(folder / "occlusion.npz")["maps"]
    visited = ~np.isnan(maps)
    assert visited.sum() == 64     # every second pixel of 16 × 16
    np.testing.assert_array_equal(maps[visited], names["lost"][:, 0][visited])
    assert names["mask"].shape == (32, 32) and names["found"].reached.shape == (1,)
    assert names["box"][2] - names["box"][0] == 16


def test_the_document_shows_the_file_s_own_build():
    """But for constants that the file names."""
    code = (DOCS / "own_network.py").read_text(encoding="utf-8")
    build = code[code.index("def build"):code.index("def picture")]
    for name, value in (("SIDE, SIDE", "32, 32"), ("len(SHAPES)", "3")):
        build = build.replace(name, value)
    shown = next(code for _, code in blocks() if "def build" in code)

    def body(text):
        tree = ast.parse(textwrap.dedent(text[text.index("def build"):]))
        kept = [part for part in tree.body[0].body if not (
            isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))]
        return [ast.dump(part) for part in kept]
    assert body(build) == body(shown)


def test_the_example_draws_what_it_says():
    example = runpy.run_path(str(DOCS / "own_network.py"))
    images, labels = example["batch"](np.random.RandomState(0), 12)
    assert images.shape == (12, 1, 32, 32) and set(labels) <= {0, 1, 2}
    assert np.abs(images).max() <= 2     # grey values in [0, 1]
    assert example["build"]().output_shape == (None, 3)
