"""cnnviz grade: De Fauw's network on photographs that a user names."""

import re

import numpy as np
import pytest
from PIL import Image

from cnnviz.cli import dispatch
from cnnviz.datasets import fundus, synthetic
from cnnviz.experiments import defauw_network, eye_grades
from cnnviz.training.fundus_network import EyeReader


@pytest.fixture(scope="module")
def eyes(tmp_path_factory):
    """Both eyes of two synthetic patients, as image files."""
    folder = tmp_path_factory.mktemp("eyes")
    paths = []
    for record in synthetic.records(2):
        photograph = synthetic.load(record)
        paths.append(folder / f"{photograph.name}.png")
        Image.fromarray(fundus.to_bytes(photograph.pixels)).save(paths[-1])
    return paths


@pytest.fixture(scope="module")
def reader():
    return EyeReader(defauw_network.built("random")[0])


@pytest.mark.parametrize("pairs", [False, True])
def test_grades_are_what_the_network_says(eyes, reader, pairs):
    found = eye_grades.grade_eyes(eyes, "random", pairs=pairs)
    assert [each.name for each in found] == [path.name for path in eyes]
    photographs = [fundus.photograph(path.name, fundus.read_image(path)) for path in eyes]
    maps = reader.maps(np.stack([fundus.to_bytes(each.pixels) for each in photographs]))
    dimensions = np.stack([each.dimensions for each in photographs])
    for k, each in enumerate(found):
        left, right = (k - k % 2, k - k % 2 + 1) if pairs else (k, k)
        expected = reader.posteriors(maps, dimensions, np.array([[left, right]]))[0]
        np.testing.assert_allclose(each.posteriors, expected[k % 2 if pairs else 0], atol=1e-6)
        assert each.grade == each.posteriors.argmax()


def test_the_command_prints_a_line_for_each_photograph_and_a_caution(eyes, capsys):
    assert dispatch.main(["grade", *map(str, eyes), "--weights", "random"]) == 0
    *_, first, second, third, fourth, caution = capsys.readouterr().out.splitlines()
    for path, line in zip(eyes, (first, second, third, fourth)):
        assert re.fullmatch(
            re.escape(path.name) + r": grade \d \([a-z ]+\); posteriors( \d\.\d{3}){5}", line
        )
    assert caution == "Random weights: these grades mean nothing."
    assert "not for diagnosis" in eye_grades.caution("surrogate")


@pytest.mark.parametrize(
    "words, says",
    [
        (["none.jpeg"], "none.jpeg: no such file"),
        (["{0}", "{1}", "{2}", "--pairs"], "--pairs: 3 photographs are no pairs of eyes"),
    ],
)
def test_errors_are_one_line(eyes, capsys, words, says):
    words = [word.format(*eyes) for word in words]
    assert dispatch.main(["grade", *words, "--weights", "random"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("cnnviz grade: ") and says in error and error.count("\n") == 1
