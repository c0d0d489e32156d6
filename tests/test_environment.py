"""The two ways to an environment agree, and the lock file is complete."""
import re
import tomllib
from importlib import metadata

import pytest
import yaml

from cnnviz import paths

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
    wrong = [f"{name} {metadata.version(name)} instead of {version}"
             for name, version in re.findall(r"(?m)^([a-z0-9._-]+)==(\S+)", lock)
             if metadata.version(name) != version]
    assert not wrong


def test_build_lock_agrees_with_the_lock_file(lock):
    """What builds Theano and Lasagne; setuptools is needed later, too."""
    build = (ROOT / "requirements-build.lock").read_text()
    versions = dict(re.findall(r"(?m)^([a-z0-9._-]+)==(\S+)", build))
    assert set(versions) >= {"setuptools", "wheel"}
    locked = dict(re.findall(r"(?m)^([a-z0-9._-]+)==(\S+)", lock))
    assert all(locked.get(name, version) == version
               for name, version in versions.items())
    assert "--hash=sha256:" in build and "://" not in build


def project_files():
    """Text files of the project itself."""
    yield from ROOT.glob("*.*")
    for folder in ("src", "tests", "workflow", "config", "data", "weights",
                   "thesis_tables", ".ci"):
        yield from (ROOT / folder).glob("**/*")


def test_no_file_names_a_registry_host_or_a_private_folder():
    for path in project_files():
        if path.suffix in {".py", ".md", ".yml", ".yaml", ".toml", ".smk",
                           ".lock", ".csv", ".rst"}:
            text = path.read_text(encoding="utf-8")
            for word in ("pypi" + ".org", "python" + "hosted", "/ro" + "ot/"):
                assert word not in text, path
