"""The two ways to an environment agree, and the lock file is complete."""

import os
import pty
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata

import pytest
import yaml

from cnnviz.runtime import paths

ROOT = paths.REPOSITORY


@pytest.fixture(scope="module")
def lock():
    return (ROOT / "requirements.lock").read_text()


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_environment_yml_takes_everything_from_the_lock_file(project):
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert pip == {"pip": ["--require-hashes", "-r requirements.lock"]}
    assert conda[0] == "python=3.11" and project["requires-python"] == ">=3.11,<3.12"
    assert {"pip", "cxx-compiler", "make"} == set(conda[1:])
    # No package of the lock file may come from conda in another version.
    assert environment["channels"] == ["conda-forge", "nodefaults"]


def test_every_locked_package_has_hashes_and_no_address(lock):
    packages = re.split(r"\n(?=[a-z0-9])", re.sub(r"(?m)^\s*#.*\n", "", lock))
    assert len(packages) > 50
    for package in packages:
        assert re.match(r"[a-z0-9._-]+==\S+ \\\n\s+--hash=sha256:", package), package
    assert "://" not in lock and "--index-url" not in lock


def test_every_dependency_is_locked(lock, project):
    locked = dict(re.findall(r"(?m)^([a-z0-9._-]+)==(\S+)", lock))
    wanted = project["dependencies"] + project["optional-dependencies"]["test"]
    for requirement in wanted:
        name, version = re.match(r"([a-z0-9-]+)(?:==(\S+))?", requirement).groups()
        assert name in locked
        if version:
            assert locked[name] == version


def test_the_running_environment_is_the_locked_one(lock):
    wrong = [
        f"{name} {metadata.version(name)} instead of {version}"
        for name, version in re.findall(r"(?m)^([a-z0-9._-]+)==(\S+)", lock)
        if metadata.version(name) != version
    ]
    assert not wrong


def test_build_lock_agrees_with_the_lock_file(lock):
    """What builds Theano and Lasagne; setuptools is needed later, too."""
    build = (ROOT / "requirements-build.lock").read_text()
    versions = dict(re.findall(r"(?m)^([a-z0-9._-]+)==(\S+)", build))
    assert set(versions) >= {"setuptools", "wheel"}
    locked = dict(re.findall(r"(?m)^([a-z0-9._-]+)==(\S+)", lock))
    assert all(locked.get(name, version) == version for name, version in versions.items())
    assert "--hash=sha256:" in build and "://" not in build


def project_files():
    """Text files of the project itself."""
    yield from ROOT.glob("*.*")
    for folder in ("src", "tests", "workflow", "config", "data", "weights", "thesis_tables", ".ci"):
        yield from (ROOT / folder).glob("**/*")


def test_no_file_names_a_registry_host_or_a_private_folder():
    for path in project_files():
        if path.suffix in {".py", ".md", ".yml", ".yaml", ".toml", ".smk", ".lock", ".csv", ".rst"}:
            text = path.read_text(encoding="utf-8")
            for word in ("pypi" + ".org", "python" + "hosted", "/ro" + "ot/"):
                assert word not in text, path


# --- make -------------------------------------------------------------------------


@pytest.fixture
def project_folder(tmp_path):
    """The Makefile with an environment whose Python only notes how pip was called."""
    folder = tmp_path / "project"
    (folder / ".venv" / "bin").mkdir(parents=True)
    for name in (
        "Makefile",
        "pyproject.toml",
        "requirements.lock",
        "requirements-build.lock",
        "requirements-torch.txt",
    ):
        shutil.copy(ROOT / name, folder)
    python = folder / ".venv/bin/python"
    python.write_text('#!/bin/sh\necho "$@" >> "$(dirname "$0")/calls"\n')
    script = folder / ".venv/bin/pip"
    script.write_text(f"#!{python}\n")
    for path in (python, script):
        path.chmod(0o755)
    return folder


def make(folder, target=".venv/ready", terminal=None):
    """Run make; what it prints, and how it called pip."""
    environment = {**os.environ, "CXX": ""}
    environment.pop("MAKEFLAGS", None)
    calls = folder / ".venv/bin/calls"
    calls.write_text("")
    run = subprocess.run(
        ["make", f"PYTHON={sys.executable}", "VENV=.venv", target],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if terminal is None else terminal,
    )
    assert run.returncode == 0, run.stdout
    return run.stdout, calls.read_text().splitlines()


def test_make_says_what_it_installs(project_folder):
    output, calls = make(project_folder)
    lines = [line for line in output.splitlines() if "Python packages" in line]
    assert [line[:25] for line in lines] == [f"Python packages, {k} of 4: " for k in range(1, 5)]
    assert sum("MB" in line for line in lines) == 3
    assert len(calls) == 4 and all("--quiet" in call for call in calls)
    assert make(project_folder)[1] == []


def test_pip_shows_its_progress_on_a_terminal(project_folder):
    ours, theirs = pty.openpty()
    try:
        _, calls = make(project_folder, terminal=theirs)
    finally:
        os.close(theirs)
        os.close(ours)
    assert len(calls) == 4 and not any("--quiet" in call for call in calls)


@pytest.mark.parametrize("keep_dates", [True, False])
def test_an_environment_that_was_copied_is_made_to_fit(project_folder, tmp_path, keep_dates):
    """Its scripts name the Python of the folder where it was made."""
    make(project_folder)
    place = tmp_path / "elsewhere"
    shutil.copytree(
        project_folder, place, copy_function=shutil.copy2 if keep_dates else shutil.copy
    )
    output, calls = make(place)
    assert f"was made as {project_folder}/.venv and has been moved or copied" in output
    assert (place / ".venv/bin/pip").read_text() == f"#!{place}/.venv/bin/python\n"
    assert any("--editable ." in call for call in calls)
    assert make(place)[1] == []
    # The other one stays as it was.
    assert (project_folder / ".venv/bin/pip").read_text() == (
        f"#!{project_folder}/.venv/bin/python\n"
    )


def test_an_environment_of_another_folder_gets_this_project(project_folder, tmp_path):
    """``VENV`` may name one that several copies of the project share."""
    make(project_folder)
    ready = project_folder / ".venv/ready"
    assert ready.read_text() == f"{project_folder}/.venv {project_folder}\n"
    ready.write_text(f"{project_folder}/.venv {tmp_path}/other\n")
    output, calls = make(project_folder)
    assert "moved or copied" not in output
    assert any("--editable ." in call for call in calls)


@pytest.mark.parametrize("locked", [False, True])
def test_reproduce_looks_for_a_lock_and_ends_with_the_agreement(project_folder, locked):
    make(project_folder)
    (project_folder / "config").mkdir()
    shutil.copy(ROOT / "config/default.yaml", project_folder / "config")
    for name in ("cnnviz", "snakemake"):
        script = project_folder / ".venv/bin" / name
        script.write_text(
            f'#!/bin/sh\necho {name} "$@" >> "$(dirname "$0")/calls"\n'
            f'test "$1" != lock || exit {int(locked)}\n'
        )
        script.chmod(0o755)
    if locked:
        with pytest.raises(AssertionError):
            make(project_folder, "reproduce")
    else:
        make(project_folder, "reproduce")
    calls = (project_folder / ".venv/bin/calls").read_text().splitlines()
    assert [" ".join(call.split()[:2]) for call in calls] == ["cnnviz lock"] + (
        [] if locked else ["snakemake --configfile", "cnnviz agreement"]
    )
