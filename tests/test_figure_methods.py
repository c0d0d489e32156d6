"""The figure of all methods: how it chooses features, and that it is drawn."""

import matplotlib.image
import matplotlib.text
import numpy as np
import pytest

from cnnviz.attribution.receptive_field import ReceptiveField
from cnnviz.thesis.figures import figure_methods as methods
from cnnviz.thesis.figures import style


def test_the_strongest_features_come_with_their_image():
    maps = np.zeros((2, 3, 2, 2))
    maps[0, 0, 1, 1], maps[1, 0, 0, 0] = 4, 5
    maps[0, 2, 0, 1], maps[1, 1, 0, 0] = 7, 1
    assert methods.strongest(maps, 2) == [(2, 0), (0, 1)]


def test_outstanding_means_standard_deviations_above_the_mean():
    references = np.array([[[[0.0, 2], [0, 2]], [[0, 20], [0, 20]]]])  # 1 +- 1, 10 +- 10
    maps = np.array([[[0.0, 4], [0, 0]], [[0, 0], [30, 0]]])  # by 3 and by 2
    assert methods.outstanding(maps, references, np.ones((2, 2), bool)) == (0, 3)
    assert methods.outstanding(maps, references, np.array([[1, 0], [1, 1]]) > 0) == (1, 2)
    with pytest.raises(ValueError, match="allowed"):
        methods.outstanding(maps, references, np.zeros((2, 2), bool))


def test_a_feature_that_never_varies_is_not_chosen():
    maps, references = np.ones((2, 2, 2)), np.zeros((1, 2, 2, 2))
    references[0, 1, 0, 0] = 1
    assert methods.outstanding(maps, references, np.ones((2, 2), bool))[0] == 1


def test_neurons_in_the_corners_see_what_is_outside_the_field_of_view():
    field = ReceptiveField((2, 2), (2, 2), (0, 0))
    found = methods.inside_field(field, (4, 4), (8, 8))
    assert found.tolist() == [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]


def test_the_part_around_a_box_stays_on_the_image():
    assert methods.around((10, 20, 30, 40), (100, 100), 0.5) == (0, 10, 40, 50)
    assert methods.around((-5, 80, 15, 100), (100, 100), 0.5) == (0, 70, 25, 100)


def test_a_part_keeps_its_box_and_its_place_in_the_maps():
    maps = np.arange(5 * 36.0).reshape(5, 6, 6)
    row = methods.Row("", np.full((6, 6, 3), 0.5), (2, 3, 4, 5), maps, (1, 2, 5, 6))
    image, box, part = methods.cropped(row)
    assert (image == 0.5).all() and image.shape == (4, 4, 3)
    assert box == (1, 1, 3, 3) and (part == maps[:, 1:5, 2:6]).all()
    assert methods.cropped(row._replace(part=None))[1] == row.box


def test_contrast_keeps_the_mean_of_each_channel():
    image = np.array([[[0.4, 0.1], [0.6, 0.3]]])
    assert np.allclose(methods.contrasted(image, 2), [[[0.3, 0], [0.7, 0.4]]])


@pytest.mark.parametrize(
    "limit, rounded",
    [(0.07, 0.07), (9.84, 9.9), (464.6, 470), (0.3155, 0.32), (99.5, 100), (1, 1), (3e-5, 3e-5)],
)
def test_limits_of_colors_are_rounded_up(limit, rounded):
    assert methods.rounded_up(limit) == rounded


def test_the_figure_has_page_width_and_no_clipped_text(tmp_path):
    rng = np.random.default_rng(0)
    maps = rng.normal(0, 1e3, (5, 32, 32))
    maps[3] = 0
    die = methods.Row(
        "feature 0\nactivation 58.1\nsees 22 × 22\na = 15°, b = 160°",
        rng.random((32, 32)),
        (-6, -2, 16, 20),
        maps,
    )
    eye = methods.Row(
        "pool4, feature 17\nactivation −0.123\nsees 243 × 243\noccluder's stride 4",
        rng.random((32, 32, 3)),
        (8, 8, 20, 20),
        1e-3 * maps,
        (4, 4, 24, 24),
    )
    figure = methods.draw(
        [methods.Block("(a) die", "5 × 5", [die]), methods.Block("(b) eye", "11 × 11", [eye, eye])]
    )
    within = figure.get_tightbbox(figure.canvas.get_renderer())
    assert min(within.min) > -1e-6
    assert (within.max < figure.get_size_inches() + 1e-6).all()
    texts = [text for text in figure.findobj(matplotlib.text.Text) if text.get_text()]
    assert min(text.get_size() for text in texts) >= style.SMALL
    said = {text.get_text() for text in texts}
    assert {"view", "close-up", "occlusion\n5 × 5", "occlusion\n11 × 11"} <= said
    style.save(figure, tmp_path / "methods")
    assert matplotlib.image.imread(tmp_path / "methods.png").shape[1] == 2130
    assert (tmp_path / "methods.pdf").read_bytes()[:4] == b"%PDF"
