"""The data set: its views and labels, its renders, and reading it back."""

import numpy as np
import pytest
from scipy import ndimage

from cnnviz.datasets import die360
from cnnviz.datasets.die360 import BACKGROUND, EDGE, PIP
from cnnviz.runtime import files
from cnnviz.runtime.records import made_from

STRIDE = 1200
REGIONS = [BACKGROUND, *range(1, 7), EDGE, *range(PIP + 1, PIP + 7)]


# --- Views and labels -------------------------------------------------------


def test_there_are_49200_views_with_the_thesis_shares_of_classes():
    a, b, label = die360.angles()
    assert len(a) == len(b) == len(label) == 49200
    assert dict(zip(*np.unique(label, return_counts=True))) == {
        1: 4920,
        2: 4920,
        3: 14760,
        4: 14760,
        5: 4920,
        6: 4920,
    }
    for column in (a, b, label):
        assert np.issubdtype(column.dtype, np.integer)


def test_first_and_last_views():
    rows = np.transpose(die360.angles())
    assert rows[:2].tolist() == [[0, 50, 2], [0, 51, 2]]
    assert rows[40:42].tolist() == [[0, 90, 2], [1, 50, 2]]  # b, then a
    assert rows[1229:1231].tolist() == [[29, 90, 2], [0, 140, 4]]  # next cell
    assert rows[-2:].tolist() == [[359, 359, 3], [359, 0, 3]]


def test_views_go_cell_by_cell_then_by_a_then_by_b():
    a, b, label = die360.angles()
    expected = [
        (x, y % 360, number)
        for start_a, start_b, number in die360.cells()
        for x in range(start_a, start_a + 30)
        for y in range(start_b, start_b + 41)
    ]
    np.testing.assert_array_equal(np.transpose([a, b, label]), expected)


def test_no_view_occurs_twice_and_b_360_is_given_as_0():
    a, b, _ = die360.angles()
    assert len(set(zip(a, b))) == 49200
    assert a.min() == 0 and a.max() == 359
    assert sorted(set(b)) == sorted(
        [*range(50, 91), *range(140, 181), *range(230, 271), *range(320, 360), 0]
    )
    assert (b == 0).sum() == 12 * 30


def test_cells():
    cells = die360.cells()
    assert len(cells) == 40
    assert cells[:4] == [(0, 50, 2), (0, 140, 4), (0, 230, 5), (0, 320, 3)]
    assert cells[-3:] == [(330, 140, 4), (330, 230, 5), (330, 320, 3)]
    places = {cell[:2] for cell in cells}
    dropped = {(a, b) for a in range(0, 360, 30) for b in (50, 140, 230, 320)} - places
    assert dropped == {
        (60, 50),
        (150, 50),
        (240, 50),
        (330, 50),
        (30, 230),
        (120, 230),
        (210, 230),
        (300, 230),
    }


# --- Rendering --------------------------------------------------------------


@pytest.mark.parametrize("size", [32, 64, 128, 101])
def test_render_gives_float32_images_in_range(size):
    images = die360.render([0, 45.5, 120], [90, 140, 50], size)
    assert images.shape == (3, size, size) and images.dtype == np.float32
    assert images.min() >= 0 and images.max() <= 1
    # The die is brighter than the 0.25 of the background, and not uniform.
    assert images.mean() > 0.3 and images.std(axis=(1, 2)).min() > 0.05


def test_render_takes_numbers_lists_and_mixtures():
    expected = die360.render(np.array([12.5, 12.5]), np.array([70, 80.25]))
    np.testing.assert_array_equal(die360.render([12.5, 12.5], [70, 80.25]), expected)
    np.testing.assert_array_equal(die360.render(12.5, [70, 80.25]), expected)
    np.testing.assert_array_equal(die360.render(12.5, 70), expected[:1])
    assert np.abs(expected - die360.render(12, [70, 80])).max() > 1 / 255


def test_render_of_no_views_is_empty():
    assert die360.render([], []).shape == (0, 32, 32)


@pytest.mark.parametrize("call", [die360.render, die360.regions])
@pytest.mark.parametrize("name", ["a", "b"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, None, "north"])
def test_impossible_angles_are_refused_by_name(call, name, value):
    pair = {"a": [10, 10], "b": [50, 50], name: [10, value]}
    with pytest.raises(ValueError, match=rf"angle {name}\b"):
        call(**pair)
    with pytest.raises(ValueError, match=rf"angle {name}\b"):
        call(**{"a": 10, "b": 50, name: value})


def test_the_first_angle_that_is_not_finite_is_named():
    with pytest.raises(ValueError, match=r"angle b\[2\] is nan"):
        die360.render(0, [50, 51, np.nan, np.nan])


@pytest.mark.parametrize("call", [die360.render, die360.regions])
def test_tables_of_angles_are_refused(call):
    with pytest.raises(ValueError, match="angles .* 2-D"):
        call([[0, 1]], [[50, 51]])
    with pytest.raises(ValueError):
        call([0, 1, 2], [50, 51])


@pytest.mark.parametrize("call", [die360.render, die360.regions])
@pytest.mark.parametrize("size", [0, 31, 33, 63, 64.5, -1, "64", None])
def test_impossible_sizes_are_refused(call, size):
    with pytest.raises(ValueError, match=f"size .* not {size}"):
        call(0, 50, size)


@pytest.mark.parametrize("size", [32, 64])
def test_batch_size_does_not_change_the_images(size):
    a, b = np.arange(7) * 31.5, np.arange(7) * 47
    whole = die360.render(a, b, size)
    for batch_size in (1, 3, 7):
        np.testing.assert_array_equal(die360.render(a, b, size, batch_size), whole)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_impossible_batch_sizes_are_refused(batch_size):
    # A negative one must not hand out memory that was never written.
    with pytest.raises(ValueError, match="batch_size"):
        die360.render(0, 50, batch_size=batch_size)


def test_zoom_matrix_equals_the_authors_zoom(rng):
    matrix = die360.zoom_matrix()
    assert matrix.shape == (32, 128)
    image = rng.rand(128, 128)
    # Equal up to double rounding in a different order of sums.
    np.testing.assert_allclose(
        matrix @ image @ matrix.T, ndimage.zoom(image, 0.25), rtol=0, atol=1e-12
    )


def test_small_images_are_the_authors_zoom_of_large_ones():
    large = die360.render([33, 200], [60.5, 140], 128)
    small = die360.render([33, 200], [60.5, 140])
    for image, reduced in zip(large, small):
        # 1e-5: float32 sums over 128 products, values to 1.
        np.testing.assert_allclose(
            ndimage.zoom(image.astype(float), 0.25), reduced, rtol=0, atol=1e-5
        )


# --- Against Blender's renders of the author's scene ------------------------


# Measured: 0.61/255 at 32 pixels, 0.62/255 at 128; correlation 0.9996 (32).
@pytest.mark.parametrize("size, worst, correlation", [(32, 0.70, 0.9995), (128, 1.0, 0.9995)])
def test_renders_equal_the_reference_renders(mirror, size, worst, correlation):
    reference = files.load_arrays(mirror / "die360" / f"reference_{size}.npz")
    expected = reference["images"]
    if expected.dtype == np.uint8:
        expected = expected / 255
    images = die360.render(reference["a"], reference["b"], size)
    assert np.abs(images - expected).mean() * 255 <= worst
    assert np.corrcoef(images.ravel(), expected.ravel())[0, 1] >= correlation


@pytest.mark.parametrize("size", [32, 128])
def test_labels_equal_those_of_the_reference_renders(mirror, size):
    reference = files.load_arrays(mirror / "die360" / f"reference_{size}.npz")
    a, b, label = die360.angles()
    labels = dict(zip(zip(a, b), label))
    views = zip(reference["a"], reference["b"] % 360)
    assert [labels[view] for view in views] == reference["label"].tolist()


# --- Regions ----------------------------------------------------------------


@pytest.mark.parametrize("size", [32, 64, 128])
def test_regions_are_small_integers_of_the_documented_kind(size):
    region = die360.regions([0, 45.5], [90, 140], size)
    assert region.shape == (2, size, size) and region.dtype == np.uint8
    assert np.isin(region, REGIONS).all()


def test_small_regions_are_large_ones_sampled_at_aligned_corners():
    a, b, _ = (column[::STRIDE] for column in die360.angles())
    small, large = die360.regions(a, b), die360.regions(a, b, 128)
    # Only the corners of the two grids coincide (127/31 is not whole).
    np.testing.assert_array_equal(small[:, ::31, ::31], large[:, ::127, ::127])
    place = np.arange(32) * 127 / 31
    low, high = np.floor(place).astype(int), np.ceil(place).astype(int)
    around = [large[:, rows][:, :, columns] for rows in (low, high) for columns in (low, high)]
    # In between, what is seen is seen at a neighboring place of the large
    # grid too, except for slivers thinner than its pitch.
    assert (small == around).any(0).mean() > 0.999
    assert (small == around[0]).mean() < 1


def test_labeled_face_is_in_sight_in_every_view():
    a, b, label = (column[:: STRIDE // 4] for column in die360.angles())
    for region, number in zip(die360.regions(a, b), label):
        assert np.isin(region, (number, PIP + number)).mean() > 0.05


def test_regions_lie_where_the_picture_has_them():
    image, region = die360.render(45, 60, 128)[0], die360.regions(45, 60, 128)[0]
    inner = ndimage.binary_erosion(region == BACKGROUND, iterations=3, border_value=1)
    # The gray of 0.25 linear-to-sRGB; the filter reaches 2 pixels.
    np.testing.assert_allclose(image[inner], 0.25, rtol=0, atol=0.001)


# --- Reading the data set ---------------------------------------------------


@pytest.fixture(scope="module")
def rendered():
    a, b, _ = (column[::STRIDE] for column in die360.angles())
    return die360.render(a, b)


@pytest.fixture
def path(tmp_path, rendered):
    path = tmp_path / "die360.npz"
    save(path, rendered)
    return path


def save(path, images):
    """As ``cnnviz render`` does; a record of it takes any array of three axes."""
    views = die360.RenderedViews(STRIDE, images)
    views.save(path, made_from(sampling_stride=STRIDE))


def test_load_gives_back_what_was_rendered(path, rendered):
    data = die360.load(path)
    a, b, label = (column[::STRIDE] for column in die360.angles())
    assert data.images.shape == (41, 1, 32, 32) and data.images.dtype == np.float32
    assert data.labels.dtype == np.int32
    np.testing.assert_array_equal(data.labels, label - 1)
    np.testing.assert_array_equal([data.a, data.b], [a, b])
    assert data.mean == pytest.approx(rendered.mean(dtype=float), rel=1e-12)
    assert data.std == pytest.approx(rendered.std(dtype=float), rel=1e-12)
    # 1e-6: float32 rounding of values up to 3, times a deviation of 0.15.
    np.testing.assert_allclose(
        data.images[:, 0] * data.std + data.mean, rendered, rtol=0, atol=1e-6
    )


def change(images, what):
    images = images.copy()
    if what == "missing view":
        return images[:-1]
    if what == "fewer pixels":
        return images[:, 1:]
    if what == "float64":
        return images.astype(np.float64)
    images[3, 2, 1] = {"nan": np.nan, "inf": np.inf, "too dark": -0.01, "too bright": 1.01}[what]
    return images


@pytest.mark.parametrize(
    "what, reason",
    [
        ("missing view", r"shape \(40, 32, 32\) instead of \(41, 32, 32\)"),
        ("fewer pixels", "shape"),
        ("float64", "float64 instead of float32"),
        ("nan", "not finite"),
        ("inf", "not finite"),
        ("too dark", "outside"),
        ("too bright", "outside"),
    ],
)
def test_load_names_file_reason_and_remedy(path, rendered, what, reason):
    save(path, change(rendered, what))
    with pytest.raises(ValueError, match=reason) as error:
        die360.load(path)
    assert str(path) in str(error.value) and "cnnviz render" in str(error.value)


@pytest.mark.parametrize("kept", [0, 5, 100, 5000])
def test_load_of_a_truncated_file_names_file_and_remedy(path, kept):
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match="cnnviz render") as error:
        die360.load(path)
    assert str(path) in str(error.value)


def test_load_of_a_missing_file_names_file_and_remedy(tmp_path):
    path = tmp_path / "absent.npz"
    with pytest.raises(FileNotFoundError, match="cnnviz render") as error:
        die360.load(path)
    assert str(path) in str(error.value)


def test_load_knows_which_views_the_file_holds(path):
    assert die360.load(path).sampling_stride == STRIDE


def test_an_array_without_its_description_is_refused(tmp_path, rendered):
    np.savez(tmp_path / "x.npz", images=rendered)
    with pytest.raises(ValueError, match="does not say what it holds; make it with 'cnnviz render"):
        die360.load(tmp_path / "x.npz")


def test_standardize_gives_mean_zero_and_standard_deviation_one(rng):
    images = (0.5 + 0.1 * rng.rand(50, 32, 32)).astype(np.float32)
    scaled, mean, std = die360.standardize(images)
    assert scaled.shape == (50, 1, 32, 32) and scaled.dtype == np.float32
    # float32 rounding: mean and deviation are rounded to 6e-8 of 0.5, which
    # is 1e-6 of the deviation of 0.03.
    assert scaled.mean(dtype=float) == pytest.approx(0, abs=2e-6)
    assert scaled.std(dtype=float) == pytest.approx(1, abs=2e-6)
    assert mean == images.mean(dtype=float) and std == images.std(dtype=float)


def test_standardize_is_global_not_per_image():
    images = np.stack([np.zeros((2, 2)), np.ones((2, 2))]).astype(np.float32)
    scaled, mean, std = die360.standardize(images)
    assert (mean, std) == (0.5, 0.5)
    np.testing.assert_array_equal(scaled[:, 0, 0, 0], [-1, 1])
