"""The command line: help everywhere, one-line errors, no lost results."""

import argparse
import errno
import importlib
import inspect
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cnnviz.cli import dispatch
from cnnviz.cli.figures import FIGURES
from cnnviz.cli.tables import TABLES
from cnnviz.datasets import die360
from cnnviz.experiments import die_training
from cnnviz.experiments.die_evaluation import FoldEvaluation
from cnnviz.networks import weights
from cnnviz.runtime import errors, files
from cnnviz.thesis.tables import die360_statement


@pytest.mark.parametrize("command", dispatch.COMMANDS)
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as stop:
        dispatch.main([command, "--help"])
    assert stop.value.code == 0
    assert f"cnnviz {command}" in capsys.readouterr().out


def test_help_lists_the_commands(capsys):
    with pytest.raises(SystemExit):
        dispatch.main(["--help"])
    text = capsys.readouterr().out
    assert all(f"  {command} " in text for command in dispatch.COMMANDS)


def test_unknown_command_is_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        dispatch.main(["rendr"])
    assert stop.value.code == 2
    assert "invalid choice: 'rendr'" in capsys.readouterr().err


def run(*arguments):
    return dispatch.main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Every 600th view, rendered by the command."""
    path = tmp_path_factory.mktemp("die360") / "die360_32.npz"
    assert run("render", "--sampling-stride", 600, "-o", path) == 0
    return path


def test_render_writes_what_load_reads(images):
    data = die360.load(images)
    assert data.images.shape == (82, 1, 32, 32)
    assert set(data.labels) == set(range(6))


def test_no_disk_space_is_noticed_before_the_work(tmp_path, monkeypatch, capsys):
    usage = type("usage", (), {"free": 1000})
    monkeypatch.setattr(files.shutil, "disk_usage", lambda folder: usage)
    monkeypatch.setattr(die360, "render", lambda *_, **__: pytest.fail("rendered"))
    assert run("render", "-o", tmp_path / "x.npy") == 1
    assert "MB are needed" in capsys.readouterr().err
    assert not (tmp_path / "x.npy").exists()


def train(images, tmp_path, *extra):
    return run(
        "train",
        "--images",
        images,
        "--network",
        "c1",
        "--fold",
        0,
        "--epochs",
        2,
        "--alive-accuracy",
        0,
        "--history",
        tmp_path / "history.csv",
        "-o",
        tmp_path / "random/c1_fold0.npz",
        *extra,
    )


def test_train_then_evaluate(images, tmp_path, capsys):
    assert train(images, tmp_path) == 0
    assert (tmp_path / "history.csv").read_text().startswith("epoch,learning_rate")
    assert (
        run(
            "evaluate",
            "--images",
            images,
            "--network",
            "c1",
            "--weights-folder",
            tmp_path,
            "-o",
            tmp_path / "e",
        )
        == 0
    )
    found = FoldEvaluation.load(tmp_path / "e/random/c1_fold0.npz", network="c1", views=600)
    assert found.validation.posteriors.shape == (17, 6) and found.dropped.labels.shape == (0,)


def test_unknown_network_is_one_line_and_keeps_the_old_result(images, tmp_path, capsys):
    output = tmp_path / "random/c1_fold0.npz"
    output.parent.mkdir()
    output.write_text("earlier result")
    assert train(images, tmp_path, "--network", "c8") == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("cnnviz train: unknown network 'c8'")
    assert output.read_text() == "earlier result"


def test_a_truncated_data_set_is_one_line(images, tmp_path, capsys):
    short = tmp_path / "short.npz"
    short.write_bytes(images.read_bytes()[:5000])
    assert train(short, tmp_path) == 1
    error = capsys.readouterr().err.strip()
    assert "short.npz: truncated" in error and "cnnviz render" in error


def test_images_of_another_size_are_refused(tmp_path, capsys):
    assert run("render", "--sampling-stride", 600, "--size", 64, "-o", tmp_path / "x.npz") == 0
    assert train(tmp_path / "x.npz", tmp_path) == 1
    assert "(82, 64, 64) instead of (82, 32, 32)" in capsys.readouterr().err


def test_the_sampling_stride_must_be_positive(tmp_path, capsys):
    for stride in (0, -600):
        assert run("render", "--sampling-stride", stride, "-o", tmp_path / "x.npz") == 1
        assert f"--sampling-stride must be at least 1, not {stride}" in capsys.readouterr().err


def test_facts_are_of_all_views(images, tmp_path, capsys):
    words = ["--images", images, "--statement", tmp_path / "s.md", "-o", tmp_path / "f.csv"]
    assert run("die360-facts", *words) == 1
    assert "holds every 600-th view only" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_tuning_fold_can_be_trained(images, tmp_path):
    """On a seed that no reported fold starts from."""
    assert train(images, tmp_path, "--fold", -1) == 0
    assert die_training.first_seed(7, -1) == 507


def test_the_recorded_command_trains_the_same_weights(images, tmp_path):
    assert train(images, tmp_path) == 0
    output = tmp_path / "random/c1_fold0.npz"
    before = files.sha256(output)
    words = shlex.split(weights.read_metadata(output)["command"])
    output.unlink()
    assert words[0] == "cnnviz" and dispatch.main(words[1:]) == 0
    assert files.sha256(output) == before


def test_saliency_of_a_dense_network_is_refused(tmp_path, capsys):
    assert run("saliency", "--network", "d5", "-o", tmp_path / "x.npz") == 1
    assert "'d5' has no pooling layers; choose one of c1" in capsys.readouterr().err


def test_facts_are_written_as_numbers_and_as_a_statement(images, tmp_path, monkeypatch):
    facts = dict.fromkeys(
        re.findall(r"value\['(\w+)'\]", Path(die360_statement.__file__).read_text()), (3, "1")
    )
    facts.update({f"samples_of_face_{k}": (k, "1") for k in range(1, 7)})
    facts.update({f"labeled_face_not_most_prominent_{end}": (4, "deg") for end in ("from", "to")})
    monkeypatch.setattr(die360_statement.die_facts, "measure", lambda pixels: facts)
    whole = die360.RenderedViews(1, np.zeros((1, 32, 32), np.float32))
    monkeypatch.setattr(die360, "load_views", lambda path: whole)
    assert (
        run(
            "die360-facts",
            "--images",
            tmp_path / "whole.npz",
            "--statement",
            tmp_path / "die360.md",
            "-o",
            tmp_path / "facts.csv",
        )
        == 0
    )
    assert "die360.samples,3,1," in (tmp_path / "facts.csv").read_text()
    text = (tmp_path / "die360.md").read_text()
    assert "Data statement" in text and "$" not in text


def test_only_complete_full_weights_are_shipped(images, tmp_path, capsys):
    """A small or interrupted training must not replace shipped weights."""
    assert train(images, tmp_path / "weights") == 0
    shipped = tmp_path / "shipped"
    assert run("ship-weights", "--trained", tmp_path / "weights", "-o", shipped) == 1
    assert "80 weight files are missing" in capsys.readouterr().err
    assert not shipped.exists()


def test_a_terminated_command_leaves_nothing_behind(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "cnnviz.cli", "render", "-o", str(tmp_path / "x.npy")],
        stderr=subprocess.PIPE,
    )
    process.stderr.read(1)  # the progress bar: it has begun
    process.terminate()
    assert process.wait() == 143
    assert list(tmp_path.iterdir()) == []


def in_fresh_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        text=True,
        capture_output=True,
        env={**os.environ, **environment},
    )


def test_no_compiler_is_one_clear_line(tmp_path):
    found = in_fresh_python(
        "from cnnviz import cli; raise SystemExit(cli.main(['train', '--network',"
        " 'c1', '--epochs', '1', '--history', 'h', '-o', 'o']))",
        PATH=str(tmp_path),
        CXX="g++",
    )
    assert found.returncode == 1
    assert "no C++ compiler: 'g++' was not found" in found.stderr
    assert "Traceback" not in found.stderr


def test_theano_imported_too_early_is_refused():
    found = in_fresh_python(
        "import sys, types; sys.modules['theano'] = types.ModuleType('theano')\n"
        "import cnnviz.runtime.backend"
    )
    assert "theano was imported before cnnviz.runtime.backend" in found.stderr


def test_help_needs_no_theano():
    found = in_fresh_python(
        "import sys\nfrom cnnviz import cli\n"
        "try: cli.main(['train', '--help'])\nexcept SystemExit: pass\n"
        "assert 'theano' not in sys.modules"
    )
    assert found.returncode == 0, found.stderr


# --- Whose fault an error is ---------------------------------------------------


class Failing:
    """A command that ends with an error."""

    def __init__(self, error):
        self.error = error

    def add_arguments(self, parser):
        pass

    def run(self, args):
        raise self.error


@pytest.fixture
def failing(monkeypatch):
    """Run a command that raises an error."""

    def run_with(error, *arguments):
        monkeypatch.setattr(dispatch, "_module", lambda command: Failing(error))
        return run("render", *arguments)

    return run_with


@pytest.mark.parametrize(
    "error",
    [
        errors.UserError("x.npy: truncated"),
        errors.MissingFileError("x.npy: no such file"),
        errors.StorageError("x.npy: 7 MB are needed"),
    ],
)
def test_what_a_user_can_put_right_is_one_line(failing, capsys, error):
    assert failing(error) == 1
    assert capsys.readouterr().err == f"cnnviz render: {error}\n"


@pytest.mark.parametrize(
    "number, says",
    [
        (errno.ENOSPC, "x.npy: No space left on device; free some space on the disk"),
        (errno.EROFS, "x.npy: Read-only file system; choose a place"),
        (errno.EACCES, "x.npy: Permission denied; change its permissions"),
    ],
)
def test_refusals_of_the_system_are_one_line(failing, capsys, number, says):
    assert failing(OSError(number, os.strerror(number), "x.npy")) == 1
    assert capsys.readouterr().err.startswith(f"cnnviz render: {says}")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("operands could not be broadcast together"),
        RuntimeError("no graph"),
        OSError("odd"),
        FileNotFoundError(errno.ENOENT, "No such file", "x.npy"),
        KeyError("pool4"),
        TypeError("not callable"),
    ],
)
def test_a_fault_of_the_package_keeps_its_traceback(failing, error):
    with pytest.raises(type(error)) as caught:
        failing(error)
    assert caught.value is error


def test_debug_shows_every_traceback(failing):
    with pytest.raises(errors.UserError):
        failing(errors.UserError("x.npy: truncated"), "--debug")


def test_an_interrupted_command_says_so(failing, capsys):
    assert failing(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "cnnviz render: interrupted\n"


def test_the_package_raises_no_bare_errors():
    """Explicit errors are for users, so all are of the class that is one line.

    The engine knows nothing of this package; its errors are Theano's.
    """
    folder = Path(dispatch.__file__).parent
    bare = [
        f"{path.relative_to(folder)}:{number}"
        for path in folder.rglob("*.py")
        if path.parent.name != "engine"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"raise (ValueError|OSError|RuntimeError|FileNotFoundError)\b", line)
    ]
    assert not bare


# --- Figures and tables -------------------------------------------------------------


@pytest.mark.parametrize(
    "kind, name", [("figure", name) for name in FIGURES] + [("table", name) for name in TABLES]
)
def test_what_makes_a_product_takes_what_its_command_gives(kind, name, monkeypatch):
    """Else a run ends, after half an hour, with an unexpected argument."""
    product = {"figure": FIGURES, "table": TABLES}[kind][name]
    parser = argparse.ArgumentParser()
    for add in product.inputs:
        add(parser)
    given = {action.dest for action in parser._actions} - {"help", "engine", "device"}
    make = importlib.import_module(f"cnnviz.thesis.{product.module}").make
    inspect.signature(make).bind("output", **dict.fromkeys(given), **product.fixed)
