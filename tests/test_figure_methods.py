"""The figure of all methods: its rules, and that it is drawn."""
import numpy as np
import pytest

from cnnviz.figures import figure_methods as figure
from cnnviz.receptive_field import ReceptiveField


def test_the_strongest_features_and_their_views():
    maps = np.zeros((2, 3, 2, 2))
    maps[1, 2, 0, 1], maps[0, 0, 1, 1], maps[1, 1, 0, 0] = 5, 4, 3
    assert figure.strongest(maps, 2) == [(2, 1), (0, 0)]


def test_the_outstanding_feature_exceeds_its_mean_most():
    references = np.random.RandomState(0).randn(4, 3, 6, 6)
    maps = np.zeros((3, 6, 6))
    maps[:, 2, 3] = 4, 9, 20
    maps[2, 0, 0] = 30   # strongest, but at the border
    allowed = np.ones((6, 6), bool)
    allowed[0] = False
    feature, excess = figure.outstanding(maps, references, allowed)
    mean, spread = references[:, 1].mean(), references[:, 1].std()
    assert feature == 1 and excess == pytest.approx((9 - mean) / spread)
    with pytest.raises(ValueError, match="no feature"):
        figure.outstanding(maps, references, ~np.ones((6, 6), bool))


def test_neurons_that_see_the_field_of_view_only():
    field = ReceptiveField((2, 2), (2, 2), (0, 0))
    found = figure.inside_field(field, (4, 4), np.array((8, 8)))
    assert not found[0, 0] and not found[3, 0] and found[1:3, 1:3].all()


def test_a_part_stays_on_the_image():
    assert figure.around((0, 10, 20, 30), (40, 32), 0.2) == (0, 6, 24, 32)


def test_rows_are_drawn():
    rng = np.random.RandomState(0)
    row = figure.Row("feature 1", rng.rand(20, 20), (2, 3, 9, 9), rng.randn(5, 20, 20))
    drawn = figure.draw([figure.Block("a title", "5 x 5", [row, row])])
    assert len(drawn.axes) >= 12
