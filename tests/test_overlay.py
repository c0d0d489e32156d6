"""Overlay steps on maps whose answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnviz.attribution import overlay


def disc(center, radius, side=32):
    rows, columns = np.mgrid[:side, :side]
    return np.hypot(rows - center[0], columns - center[1]) <= radius


def test_a_bright_disc_is_found_exactly():
    mask = disc((12, 18), 5)
    np.testing.assert_array_equal(overlay.important(mask.astype(float)), mask)


def test_a_smooth_hill_is_cut_between_the_markers():
    rows, columns = np.mgrid[:41, :41] - 20
    hill = np.exp(-(rows**2 + columns**2) / (2 * 6.0**2))
    mask = overlay.important(hill, low=0.2, high=0.5)
    assert mask[hill >= 0.5].all() and not mask[hill <= 0.2].any()
    # The steepest place of a Gaussian hill is one sigma from its center; the
    # marker at half height lies at 1.18 sigma, so that is where it settles.
    assert abs(np.sqrt(mask.sum() / np.pi) - 1.18 * 6) < 1


def test_two_peaks_give_two_areas():
    from scipy import ndimage

    peaks = disc((8, 8), 3).astype(float) + 0.8 * disc((22, 24), 3)
    _, count = ndimage.label(overlay.important(overlay.smooth(peaks)))
    assert count == 2


@pytest.mark.parametrize("saliency", [np.zeros((8, 8)), -np.ones((8, 8))])
def test_nothing_positive_is_nowhere_important(saliency):
    assert not overlay.important(saliency).any()


def test_negative_saliency_is_not_important():
    saliency = disc((8, 8), 3).astype(float) - 5 * disc((24, 24), 3)
    mask = overlay.important(saliency)
    assert mask[8, 8] and not mask[disc((24, 24), 3)].any()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(1e-6, 1e6))
def test_scale_does_not_matter(seed, factor):
    saliency = overlay.smooth(np.random.RandomState(seed).randn(16, 16))
    np.testing.assert_array_equal(overlay.important(saliency), overlay.important(saliency * factor))


def test_not_finite_saliency_and_odd_shares_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        overlay.important(np.full((4, 4), np.nan))
    with pytest.raises(ValueError, match="low < high"):
        overlay.important(np.ones((4, 4)), low=0.5, high=0.5)


def test_smoothing_keeps_the_sum_and_other_maps():
    maps = np.zeros((2, 21, 21))
    maps[0, 10, 10] = 1
    found = overlay.smooth(maps, 1.5)
    assert found[0].sum() == pytest.approx(1, abs=1e-6) and not found[1].any()


def test_brightening_moves_half_way_to_white_inside_only():
    image = np.array([[0.2, 0.4], [0.6, 1.0]])
    mask = np.array([[True, False], [True, True]])
    np.testing.assert_allclose(overlay.brighten(image, mask), [[0.6, 0.4], [0.8, 1.0]])
    color = np.stack([image] * 3, axis=-1)
    np.testing.assert_allclose(overlay.brighten(color, mask)[..., 1], overlay.brighten(image, mask))
    with pytest.raises(ValueError, match="mask of shape"):
        overlay.brighten(image, np.ones((3, 2), bool))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_outlines_enclose_exactly_the_mask(seed):
    """The shoelace area of all outlines is the number of pixels."""
    mask = np.random.RandomState(seed).rand(7, 9) < 0.3
    area = 0.0
    for line in overlay.outlines(mask):
        rows, columns = line.T
        np.testing.assert_allclose(line[0], line[-1])  # closed
        area += 0.5 * np.sum(columns[:-1] * rows[1:] - columns[1:] * rows[:-1])
    # Corners are cut by 1/16 pixel.
    assert abs(abs(area) - mask.sum()) <= 0.1 * max(mask.sum(), 1)


def test_outline_of_one_pixel_is_its_border():
    mask = np.zeros((3, 4), bool)
    mask[1, 2] = True
    (line,) = overlay.outlines(mask)
    np.testing.assert_allclose(line.min(axis=0), [0.5, 1.5], atol=0.07)
    np.testing.assert_allclose(line.max(axis=0), [1.5, 2.5], atol=0.07)


def test_a_common_peak_makes_maps_comparable():
    weak, strong = disc((12, 12), 4).astype(float), 10 * disc((12, 12), 4).astype(float)
    assert overlay.important(weak).any()
    assert not overlay.important(weak, peak=strong.max()).any()
    np.testing.assert_array_equal(
        overlay.important(strong, peak=strong.max()), overlay.important(strong)
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(1, 100))
def test_a_higher_peak_never_makes_more_important(seed, factor):
    saliency = overlay.smooth(np.random.RandomState(seed).randn(16, 16))
    above = overlay.important(saliency, peak=factor * saliency.max())
    # Whatever is important now exceeds the share that surely is not.
    assert (saliency[above] > 0.2 * factor * saliency.max()).all()


@pytest.mark.parametrize("peak", [0.0, -1.0])
def test_a_peak_that_is_not_positive_leaves_nothing_important(peak):
    assert not overlay.important(np.ones((8, 8)), peak=peak).any()


def test_a_peak_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="peak must be finite, not inf"):
        overlay.important(np.ones((8, 8)), peak=np.inf)


def test_limits_are_the_largest_magnitude_of_all_maps():
    first, second = np.array([[1.0, -7.0]]), np.array([[np.nan, 3.0]])
    assert overlay.limit(first) == 7 and overlay.limit(second) == 3
    assert overlay.limit(first, second) == overlay.limit(second, first) == 7
    assert overlay.limit(np.zeros((2, 2)), np.full((2, 2), np.nan)) == 1


@pytest.mark.parametrize(
    "box, bounds",
    [
        ((-3, 2, 5, 9), (1.5, -0.5, 7, 5)),
        ((4, 6, 30, 40), (5.5, 3.5, 6, 6)),
        ((1, 2, 4, 4), (1.5, 0.5, 2, 3)),
    ],
)
def test_receptive_fields_are_clipped_at_the_border(box, bounds):
    from cnnviz.thesis.figures import style

    axes = style.new(2).add_subplot()
    image = np.zeros((10, 12))
    style.show_box(axes, box, image)
    assert axes.patches[0].get_bbox().bounds == bounds


def test_panels_are_synthetic_with_a_common_peak():
    from cnnviz.thesis.figures import style

    weak = disc((8, 8), 4, side=20).astype(float)
    for peak, count in ((None, 1), (10.0, 0)):
        axes = style.new(2).add_subplot()
        style.show_overlay(axes, np.zeros((20, 20)), weak, sigma=0, peak=peak)
        assert len(axes.lines) == count
    style.plt.close("all")
