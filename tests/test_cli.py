"""The command line: help everywhere, one-line errors, no lost results."""
import subprocess
import sys

import numpy as np
import pytest

from cnnviz import cli, files
from cnnviz.datasets import die360


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([command, "--help"])
    assert stop.value.code == 0
    assert f"cnnviz {command}" in capsys.readouterr().out


def test_help_lists_the_commands(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    text = capsys.readouterr().out
    assert all(f"  {command} " in text for command in cli.COMMANDS)


def test_unknown_command_is_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["rendr"])
    assert stop.value.code == 2
    assert "invalid choice: 'rendr'" in capsys.readouterr().err


def run(*arguments):
    return cli.main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Every 600th view, rendered by the command."""
    path = tmp_path_factory.mktemp("die360") / "die360_32.npy"
    assert run("render", "--every", 600, "-o", path) == 0
    return path


def test_render_writes_what_load_reads(images):
    data = die360.load(images, 600)
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
    return run("train", "--images", images, "--every", 600, "--network", "c1",
               "--fold", 0, "--epochs", 2, "--alive-accuracy", 0,
               "--history", tmp_path / "history.csv",
               "-o", tmp_path / "random/c1_fold0.npz", *extra)


def test_train_then_evaluate(images, tmp_path, capsys):
    assert train(images, tmp_path) == 0
    assert (tmp_path / "history.csv").read_text().startswith("epoch,learning_rate")
    assert run("evaluate", "--images", images, "--every", 600, "--network", "c1",
               "--weights", tmp_path, "-o", tmp_path / "e.npz") == 0
    found = files.load_arrays(tmp_path / "e.npz")
    assert found["posteriors"].shape == (len(found["labels"]), 6) == (17, 6)


def test_unknown_network_is_one_line_and_keeps_the_old_result(images, tmp_path, capsys):
    output = tmp_path / "random/c1_fold0.npz"
    output.parent.mkdir()
    output.write_text("earlier result")
    assert train(images, tmp_path, "--network", "c8") == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("cnnviz train: unknown network 'c8'")
    assert output.read_text() == "earlier result"


def test_a_truncated_data_set_is_one_line(images, tmp_path, capsys):
    short = tmp_path / "short.npy"
    short.write_bytes(images.read_bytes()[:5000])
    assert train(short, tmp_path) == 1
    error = capsys.readouterr().err.strip()
    assert "short.npy: truncated" in error and "cnnviz render" in error


def test_images_of_another_size_are_refused(tmp_path, capsys):
    files.save_array(tmp_path / "x.npy", np.zeros((82, 28, 28), np.float32))
    assert train(tmp_path / "x.npy", tmp_path) == 1
    assert "(82, 28, 28) instead of (82, 32, 32)" in capsys.readouterr().err


def in_fresh_python(code, **environment):
    import os
    return subprocess.run([sys.executable, "-c", code], text=True,
                          capture_output=True, env={**os.environ, **environment})


def test_no_compiler_is_one_clear_line(tmp_path):
    found = in_fresh_python(
        "from cnnviz import cli; raise SystemExit(cli.main(['train', '--network',"
        " 'c1', '--epochs', '1', '--history', 'h', '-o', 'o']))",
        PATH=str(tmp_path), CXX="g++")
    assert found.returncode == 1
    assert "no C++ compiler: 'g++' was not found" in found.stderr
    assert "Traceback" not in found.stderr


def test_theano_imported_too_early_is_refused():
    found = in_fresh_python(
        "import sys, types; sys.modules['theano'] = types.ModuleType('theano')\n"
        "import cnnviz.backend")
    assert "import cnnviz.backend before theano" in found.stderr


def test_help_needs_no_theano():
    found = in_fresh_python(
        "import sys\nfrom cnnviz import cli\n"
        "try: cli.main(['train', '--help'])\nexcept SystemExit: pass\n"
        "assert 'theano' not in sys.modules")
    assert found.returncode == 0, found.stderr
