"""Preparation of photographs: De Fauw's steps, and everything in its place."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cnnviz.datasets import field_of_view, fundus
from cnnviz.datasets.fundus_transform import SIZE, Transform
from cnnviz.runtime.errors import UserError


def canvas(rows=300, columns=400, field=60):
    """A black photograph with a bright disc: the field of view."""
    row, column = np.ogrid[:rows, :columns]
    inside = (row - (rows - 1) / 2) ** 2 + (column - (columns - 1) / 2) ** 2 < (
        min(rows, columns) / 2 - 10
    ) ** 2
    return np.where(inside[..., None], np.uint8(field), np.uint8(0)).repeat(3, 2)


def disc(shape, center, radius):
    """Mask of a disc; its center is a point (row, column)."""
    row, column = np.ogrid[: shape[0], : shape[1]]
    return (row - center[0]) ** 2 + (column - center[1]) ** 2 <= radius**2


def centroid(weights):
    grid = np.indices(weights.shape).reshape(2, -1)
    return grid @ weights.ravel() / weights.sum()


transforms = st.builds(
    lambda offset, scale, extra: Transform(
        offset,
        scale,
        tuple(int(np.ceil(o + SIZE * s)) + e for o, s, e in zip(offset, scale, extra)),
    ),
    st.tuples(*[st.floats(-0.5, 80)] * 2),
    st.tuples(*[st.floats(0.4, 3)] * 2),
    st.tuples(*[st.integers(0, 30)] * 2),
)
small = settings(max_examples=15)


# --- Places -----------------------------------------------------------------


@given(transforms, st.lists(st.tuples(*[st.floats(-1e4, 1e4)] * 2), min_size=1))
def test_points_come_back(transform, points):
    there = transform.to_original(points)
    assert there.shape == (len(points), 2)
    np.testing.assert_allclose(transform.to_prepared(there), points, atol=1e-6)


def test_whole_numbers_are_centers_of_pixels():
    transform = Transform((10, 20), (2, 4), (2000, 3000))
    # Prepared pixel 0 covers original rows 10 and 11, columns 20 to 23.
    np.testing.assert_array_equal(transform.to_original((0, 0)), (10.5, 21.5))
    np.testing.assert_array_equal(transform.to_prepared((12.5, 25.5)), (1, 1))


def reference_coverage(transform, mask):
    """Slow: every original pixel cut into 20 x 20 points that are sorted in."""
    fine = 20
    total, covered = np.zeros((2, SIZE, SIZE))
    part = (np.arange(fine) + 0.5) / fine - 0.5
    for row in range(mask.shape[0]):
        for column in range(mask.shape[1]):
            points = np.stack(np.meshgrid(row + part, column + part), -1)
            place = np.rint(transform.to_prepared(points)).astype(int)
            inside = ((place >= 0) & (place < SIZE)).all(-1)
            np.add.at(total, tuple(place[inside].T), 1)
            np.add.at(covered, tuple(place[inside].T), mask[row, column])
    return covered, total


def test_coverage_is_the_share_of_the_area(rng):
    transform = Transform((1.5, 0.25), (1.7, 2.3), (40, 50))
    mask = rng.rand(40, 50) < 0.3
    covered, total = reference_coverage(transform, mask)
    full = total > 0.99 * 400 * 1.7 * 2.3
    assert full.sum() > 400
    # 1/20 of a pixel along every edge is what the reference cannot see.
    np.testing.assert_allclose(
        transform.mask_to_prepared(mask)[full], (covered[full] / total[full]), atol=0.04
    )


@small
@given(transforms, st.integers(0, 2**32 - 1))
def test_area_is_kept(transform, seed):
    rng = np.random.RandomState(seed)
    center = transform.to_original(rng.uniform(100, 400, 2))
    mask = disc(transform.shape, center, rng.uniform(3, 30))
    prepared = transform.mask_to_prepared(mask)
    assert prepared.dtype == np.float32 and prepared.shape == (SIZE, SIZE)
    assert 0 <= prepared.min() and prepared.max() <= 1
    assert prepared.sum() * np.prod(transform.scale) == pytest.approx(mask.sum(), rel=1e-4)
    assert np.abs(centroid(prepared) - transform.to_prepared(centroid(mask))).max() < 0.05


def test_everything_covered_is_one_everywhere_to_the_border():
    mask = np.ones((200, 300), bool)
    _, _, transform = fundus.prepare(np.full((200, 300, 3), 200, np.uint8))
    assert transform.offset == (-0.5, -0.5)
    np.testing.assert_allclose(transform.mask_to_prepared(mask), 1, atol=1e-6)


@small
@given(transforms, st.tuples(*[st.integers(5, 505)] * 2))
def test_a_single_original_pixel_leaves_its_trace(transform, place):
    mask = np.zeros(transform.shape, bool)
    mask[tuple(np.rint(transform.to_original(place)).astype(int))] = True
    assert transform.mask_to_prepared(mask).sum() > 0


@small
@given(transforms, st.tuples(*[st.floats(40, 470)] * 2), st.booleans())
def test_a_disc_drawn_in_the_prepared_photograph_lands_in_its_place(transform, center, binary):
    drawn = disc((SIZE, SIZE), center, 20.3)
    there = transform.map_to_original(drawn if binary else drawn * np.float32(0.5))
    assert there.shape == transform.shape
    assert there.dtype == (bool if binary else np.float32)
    expected = transform.to_original(centroid(drawn))
    assert np.abs((centroid(there) - expected) / transform.scale).max() < 0.25
    assert there.max() == (1 if binary else 0.5)


@small
@given(transforms)
def test_a_smooth_map_comes_back_and_is_zero_where_nothing_was_prepared(transform):
    row, column = np.indices((SIZE, SIZE)) / SIZE
    values = 1 + np.sin(3 * row) * np.cos(4 * column)
    there = transform.map_to_original(values)
    back = transform.mask_to_prepared(there)
    # The border is averaged with the zeros beyond it where pixels straddle it.
    np.testing.assert_allclose(back[2:-2, 2:-2], values[2:-2, 2:-2], atol=0.02)
    points = transform.to_prepared(np.stack(np.indices(transform.shape), -1))
    outside = ((points < -0.5) | (points >= SIZE - 0.5)).any(-1)
    assert not there[outside].any() and there[~outside].all()


def test_a_linear_map_is_interpolated_exactly():
    transform = Transform((3, 7.5), (1.3, 2.1), (700, 1200))
    row, column = np.indices((SIZE, SIZE), np.float32)
    there = transform.map_to_original(2 * row - column + 600)
    points = transform.to_prepared(np.stack(np.indices(transform.shape), -1))
    inside = ((points >= 0) & (points <= SIZE - 1)).all(-1)
    expected = (2 * points[..., 0] - points[..., 1] + 600)[inside]
    np.testing.assert_allclose(there[inside], expected, atol=2e-3)


@pytest.mark.parametrize(
    "method, shape", [("mask_to_prepared", (30, 41)), ("map_to_original", (40, 30))]
)
def test_maps_of_another_shape_are_refused(method, shape):
    with pytest.raises(ValueError, match=r"of shape \(\d+, \d+\)"):
        getattr(Transform((0, 0), (1, 1), (30, 40)), method)(np.zeros(shape))


# --- Preparation ------------------------------------------------------------


def reference_steps(image, scale=1):
    """De Fauw's steps, loop by loop: crop box in ``image``'s pixels, dimensions."""
    step = 2 if scale < 2 else 1
    small = image[::step, ::step].astype(int)

    def bright(lines, threshold):
        found = [k for k, line in enumerate(lines) if line.max() > threshold]
        return found[0], found[-1], len(found)

    top, bottom, _ = bright(small, 30)
    left, right, _ = bright(small.transpose(1, 0, 2), 30)
    sides = sorted([bottom - top, right - left])[::-1]
    if (right - left) / (bottom - top) >= 1.3:
        first, last, count = bright(small[top:bottom, left:right].transpose(1, 0, 2), 35)
        if count * scale * step / 2 > 256:
            left, right = left + first, left + last
    crop = image[::step, ::step][top:bottom, left:right]
    resized = Image.fromarray(crop).resize((512, 512), Image.BILINEAR)
    return np.array(resized), np.array(sides) * scale * step / 2 / 700


def wide(dim):
    """A wide photograph whose outer columns have the value ``dim`` at most."""
    image = np.full((420, 1400, 3), 100, np.uint8)
    image[:, :200] = image[:, 1200:] = dim
    return image


@pytest.mark.parametrize(
    "image, scale",
    [
        (canvas(), 1),
        (canvas(301, 403), 1),
        (canvas(), 1.5),
        (canvas(), 2),
        (canvas(), 4),
        (canvas(640, 500), 1),
        (wide(33), 1),
        (wide(33), 4),
        (wide(35), 1),
        (wide(36), 1),
        (wide(0), 1),
        (np.kron(canvas(60, 80), np.ones((9, 9, 1), np.uint8)), 1),
    ],
)
def test_steps_are_de_fauws(image, scale):
    pixels, dimensions, _ = fundus.crop_and_resize(image, scale)
    expected, sides = reference_steps(image, scale)
    np.testing.assert_array_equal(pixels, expected)
    np.testing.assert_allclose(dimensions, sides, rtol=1e-6)
    assert pixels.dtype == np.uint8 and dimensions.dtype == np.float32


@pytest.mark.parametrize("dim, kept", [(33, 2 * 499), (35, 2 * 499), (36, 2 * 698)])
def test_wide_photographs_lose_their_dim_columns(dim, kept):
    _, dimensions, transform = fundus.crop_and_resize(wide(dim))
    assert transform.scale[1] * SIZE == kept
    # The image dimensions are those before the second cut.
    np.testing.assert_allclose(dimensions, [699 / 700, 209 / 700], rtol=1e-6)


def test_few_bright_columns_are_not_cut_to():
    image = wide(33)
    image[:, 500:] = 33
    _, _, transform = fundus.crop_and_resize(image)
    assert transform.scale[1] * SIZE == 2 * 699


def test_prepared_pixels_are_standardized():
    pixels, dimensions, _ = fundus.prepare(np.full((100, 100, 3), 102, np.uint8))
    assert pixels.shape == (3, SIZE, SIZE) and pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, (0.4 - 0.042) / 0.254, rtol=1e-6)
    np.testing.assert_allclose(dimensions, [49 / 700, 49 / 700], rtol=1e-6)


def test_channels_stay_red_green_blue():
    image = canvas()
    image[..., 0] *= 3
    image[..., 2] //= 2
    pixels, _, _ = fundus.prepare(image)
    red, green, blue = pixels[:, 256, 256]
    assert red > green > blue


@pytest.mark.parametrize(
    "image, scale, message",
    [
        (np.zeros((100, 100, 3), np.uint8), 1, "black photograph: 0 rows and 0 columns"),
        (np.full((100, 100, 3), 30, np.uint8), 1, "black photograph"),
        (np.zeros((0, 0, 3), np.uint8), 1, "black photograph"),
        (
            np.pad(np.full((1, 60, 3), 99, np.uint8), ((40, 40), (0, 0), (0, 0))),
            1,
            "black photograph: 1 rows and 30 columns",
        ),
        (np.zeros((100, 100), np.uint8), 1, r"not uint8 \(100, 100\)"),
        (np.zeros((100, 100, 4), np.uint8), 1, r"not uint8 \(100, 100, 4\)"),
        (np.zeros((100, 100, 3)), 1, "not float64"),
        (canvas(), 0, "scale"),
        (canvas(), float("nan"), "scale"),
        (canvas(), 0.5, "scale"),
    ],
)
def test_impossible_photographs_are_refused(image, scale, message):
    image = np.asarray(image)
    if image.size == 0:
        with pytest.raises(ValueError):
            fundus.prepare(image, scale)
        return
    for crop in field_of_view.CROPS:
        with pytest.raises(ValueError, match=message):
            fundus.prepare(image, scale, crop)


@pytest.mark.parametrize(
    "image",
    [
        canvas().tolist(),
        canvas().astype(int),
        canvas().astype(np.uint16),
        [list(row) for row in canvas()],
        torch.from_numpy(canvas()),
        torch.from_numpy(canvas()).long(),
        canvas()[:, ::-1],
    ],
)
def test_whatever_holds_whole_numbers_is_a_photograph(image):
    pixels, dimensions, _ = fundus.prepare(image)
    expected = fundus.prepare(np.ascontiguousarray(np.asarray(image, np.uint8)))
    np.testing.assert_array_equal(pixels, expected[0])
    np.testing.assert_array_equal(dimensions, expected[1])


@pytest.mark.parametrize(
    "image, message",
    [
        (canvas() / 255, "not float64; from values in .0, 1., numpy.uint8"),
        (canvas() * 1.0, "not float64"),
        (np.full((9, 9, 3), np.nan), "not float64"),
        (torch.from_numpy(canvas() / 255), "not float64"),
        (canvas().astype(int) - 1, "not int64 from -1 to 59"),
        (canvas().astype(int) * 9, "not int64 from 0 to 540"),
        (canvas() > 0, "not bool"),
        (canvas()[..., 0], r"\(300, 400\); numpy.stack"),
        (np.dstack([canvas(), canvas()[..., :1]]), r"\(300, 400, 4\); leave out transparency"),
        (np.moveaxis(canvas(), -1, 0), r"\(3, 300, 400\); channels come last: numpy.moveaxis"),
        (torch.from_numpy(canvas()).permute(2, 0, 1), "channels come last"),
        (canvas()[np.newaxis], r"\(1, 300, 400, 3\)"),
        ([[1, 2], [3]], "not list"),
        ("a.png", "not str"),
        (None, "not NoneType"),
        (canvas().astype(complex), "complex128"),
    ],
)
def test_other_arrays_are_refused_with_what_to_do(image, message):
    with pytest.raises(UserError, match=f"^a: photographs are uint8 .*{message}") as error:
        fundus.photograph("a", image)
    assert len(str(error.value).splitlines()) == 1


# --- Crops ------------------------------------------------------------------

FIELD = {
    "hot pixel": [(np.s_[4, 6], 255)],
    "two hot pixels": [(np.s_[2, 780], 255), (np.s_[594, 4], 90)],
    "timestamp": [(np.s_[570:590:4, 20:120], 255), (np.s_[570:590, 20:120:9], 255)],
    "line": [(np.s_[2], 255), (np.s_[:, -3:], 200)],
    "nothing": [],
}


def disturbed(name, background=0, noise=0):
    """A photograph with something bright beside the field of view."""
    rng = np.random.RandomState(1)
    image = canvas(600, 800, 120) + background + rng.normal(0, 1, (600, 800, 3)) * noise
    for place, value in FIELD[name]:
        image[place] = value
    return np.uint8(image.clip(0, 255))


@pytest.mark.parametrize("background, noise", [(0, 0), (12, 12), (35, 5)])
@pytest.mark.parametrize("name", FIELD)
def test_the_robust_crop_keeps_to_the_field_of_view(name, background, noise):
    _, expected, clean = fundus.prepare(canvas(600, 800, 120))
    _, dimensions, found = fundus.prepare(disturbed(name, background, noise), crop="robust")
    np.testing.assert_allclose(dimensions, expected, atol=3 / 700)
    np.testing.assert_allclose(
        found.to_prepared([(20, 110), (580, 690)]),
        clean.to_prepared([(20, 110), (580, 690)]),
        atol=4,
    )


@pytest.mark.parametrize(
    "image",
    [canvas(), canvas(301, 403), canvas(640, 500), wide(0), np.full((200, 300, 3), 90, np.uint8)],
)
@pytest.mark.parametrize("scale", [1, 2, 3])
def test_crops_agree_on_clean_photographs(image, scale, recwarn):
    published, robust = (fundus.crop_and_resize(image, scale, crop) for crop in field_of_view.CROPS)
    np.testing.assert_array_equal(published[0], robust[0])
    np.testing.assert_array_equal(published[1], robust[1])
    assert published[2] == robust[2] and not recwarn.list


@pytest.mark.parametrize("name", ["hot pixel", "two hot pixels", "timestamp", "line"])
def test_implausible_crops_are_named(name):
    image = disturbed(name)
    with pytest.warns(
        field_of_view.ImplausibleCrop,
        match='^eye 7: by De Fauw.*in rows 10 to 588 and columns 110 to 688; .*crop="robust"',
    ):
        published = fundus.photograph("eye 7", image)
    # What was published is done all the same.
    np.testing.assert_allclose(published.dimensions, reference_steps(image)[1], rtol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        robust = fundus.photograph("eye 7", image, crop="robust")
        fundus.photograph("eye 8", disturbed("nothing"))
    assert robust.dimensions.max() < published.dimensions.max() - 0.05


def test_the_robust_crop_keeps_dark_parts_of_the_field():
    """Which De Fauw's threshold cuts off."""
    image = canvas(600, 800, 100)
    image[:, :300] //= 5
    with pytest.warns(field_of_view.ImplausibleCrop):
        _, dimensions, _ = fundus.prepare(image)
    _, whole, _ = fundus.prepare(image, crop="robust")
    np.testing.assert_allclose(whole, fundus.prepare(canvas(600, 800, 100))[1], atol=3 / 700)
    assert dimensions.min() < whole.min() - 0.05


def test_unknown_crops_are_refused():
    with pytest.raises(UserError, match="^a: crop: published or robust, not 'tight'"):
        fundus.photograph("a", canvas(), crop="tight")


# --- Masks ------------------------------------------------------------------

LESION = disc((300, 400), (150, 200), 9)


@pytest.mark.parametrize(
    "mask",
    [
        np.uint8(255 * LESION),
        np.uint8(LESION),
        LESION.astype(np.int32),
        LESION * 7,
        np.uint16(65535 * LESION),
        LESION.astype(float),
        LESION.astype(np.float16),
        LESION.tolist(),
        torch.from_numpy(LESION),
        torch.from_numpy(np.uint8(255 * LESION)),
        torch.from_numpy(LESION * 1.0).requires_grad_(),
    ],
)
def test_masks_of_any_kind_of_numbers_are_shares(mask):
    expected = fundus.photograph("a", canvas(), masks={"x": LESION}).masks["x"]
    found = fundus.photograph("a", canvas(), masks={"x": mask}).masks["x"]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert 0.9 < found.max() <= 1 + 1e-6


def test_shares_stay_shares():
    found = fundus.photograph("a", canvas(), masks={"x": LESION * 0.25}).masks["x"]
    assert found.max() == pytest.approx(0.25)


@pytest.mark.parametrize(
    "mask, message",
    [
        (LESION * 255.0, "values from 0 to 255; floating point"),
        (np.where(LESION, np.nan, 0), "values from nan"),
        (np.where(LESION, np.inf, 0), "values from"),
        (LESION - 0.5, "values from -0.5"),
        (LESION * -1, "holds -1"),
        (LESION[:-1], r"of shape \(299, 400\) on a photograph of \(300, 400\)"),
        (np.dstack([LESION] * 3), r"of shape \(300, 400, 3\)"),
        ("x", "not str"),
        (None, "not NoneType"),
    ],
)
def test_masks_that_mean_nothing_are_named(mask, message):
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(UserError, match=f"^a: mask 'lesion'.*{message}") as error,
    ):
        fundus.photograph("a", canvas(), masks={"lesion": mask})
    assert len(str(error.value).splitlines()) == 1


@small
@given(
    st.tuples(st.floats(120, 480), st.floats(220, 580)),
    st.floats(12, 30),
    st.sampled_from([1, 2, 3, 4]),
)
def test_a_disc_of_the_original_lands_where_the_transform_says(center, radius, scale):
    """In pixels, mask and center alike, whatever the file was reduced by."""
    file = canvas(600, 800)
    shape = (600 * scale, 800 * scale)
    lesion = disc((600, 800), center, radius)
    file[lesion] = 255
    # The original that this file is a reduction of.
    original = np.kron(lesion, np.ones((scale, scale), bool))
    middle = centroid(original)
    found = fundus.photograph(
        "a", file, scale, {"lesion": original}, {"lesion": middle}, grade=2, side="left"
    )
    assert found.transform.shape == shape
    bright = fundus.destandardize(found.pixels)[..., 0] - np.float32(60 / 255)
    brightest = np.where(bright > 0.02, bright, 0)
    expected = found.transform.to_prepared(middle)
    for weights in (brightest, found.masks["lesion"]):
        assert np.abs(centroid(weights) - expected).max() < 0.5
    np.testing.assert_allclose(found.centers["lesion"], expected)
    # Not only the center: the mask covers what is bright.
    overlap = np.minimum(found.masks["lesion"], brightest / (195 / 255)).sum()
    assert overlap > 0.9 * found.masks["lesion"].sum()
    assert (found.grade, found.side, found.patient) == (2, "left", None)


def test_a_photograph_reduced_before_gives_the_same_dimensions_and_places():
    full = canvas(1200, 1600)
    quarter = np.asarray(Image.fromarray(full).resize((400, 300), Image.BOX))
    _, dimensions, transform = fundus.prepare(full)
    _, reduced_dimensions, reduced_transform = fundus.prepare(quarter, 4)
    # The crop of the quarter is known to one of its own pixels only.
    np.testing.assert_allclose(reduced_dimensions, dimensions, atol=4 / 700)
    points = [(100, 300), (600.5, 800), (900, 1300)]
    np.testing.assert_allclose(
        reduced_transform.to_prepared(points), transform.to_prepared(points), atol=2
    )


def test_errors_of_a_photograph_name_it():
    with pytest.raises(ValueError, match="^IDRiD_9: black photograph"):
        fundus.photograph("IDRiD_9", np.zeros((50, 50, 3), np.uint8))


# --- Pixel values -----------------------------------------------------------


def test_bytes_come_back_exactly(rng):
    pixels = rng.randint(0, 256, (2, 5, 7, 3)).astype(np.uint8)
    scaled = fundus.standardize(pixels)
    assert scaled.shape == (2, 3, 5, 7) and scaled.dtype == np.float32
    np.testing.assert_array_equal(fundus.to_bytes(scaled), pixels)
    np.testing.assert_allclose(fundus.destandardize(scaled), pixels / 255, atol=1e-6)
    np.testing.assert_allclose(
        scaled[1, 2, 3, 4], (pixels[1, 3, 4, 2] / 255 - 0.042) / 0.254, rtol=1e-5
    )
    every = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 256, 3)
    np.testing.assert_array_equal(fundus.to_bytes(fundus.standardize(every)), every)


@pytest.mark.parametrize(
    "form",
    [torch.from_numpy, np.ndarray.tolist, lambda array: torch.from_numpy(array).requires_grad_()],
)
def test_tensors_and_lists_are_read_as_arrays(form):
    pixels = np.random.RandomState(0).rand(3, 4, 5).astype(np.float32)
    np.testing.assert_allclose(
        fundus.destandardize(form(pixels)), fundus.destandardize(pixels), rtol=1e-5
    )
    np.testing.assert_allclose(
        fundus.standardize(form(pixels.T.copy())), fundus.standardize(pixels.T), rtol=1e-5
    )
    transform, values = Transform((0, 0), (1, 1), (SIZE, SIZE)), np.eye(SIZE)
    np.testing.assert_array_equal(
        transform.map_to_original(form(values)), transform.map_to_original(values)
    )


def test_pictures_to_show_are_clipped():
    shown = fundus.destandardize(np.array([-9, 0, 99]).reshape(1, 3, 1, 1))
    assert shown.min() == 0 and shown.max() == 1
    assert fundus.to_bytes(np.full((3, 1, 1), -9)).max() == 0


# --- Files ------------------------------------------------------------------


def test_a_photograph_is_read_from_its_file(tmp_path):
    Image.fromarray(canvas()).save(tmp_path / "a.png")
    np.testing.assert_array_equal(fundus.read_image(tmp_path / "a.png"), canvas())


# --- Against published photographs ------------------------------------------

SAMPLES = ("10_left", "10_right", "13_left", "13_right")


def recipe(image):
    """A re-user's variant: columns only, threshold 35, the last one kept."""
    rows, columns = image.shape[:2]
    if columns / rows >= 1.3:
        bright = np.flatnonzero(image.max(axis=(0, 2)) > 35)
        image = image[:, bright[0] : bright[-1] + 1]
    return np.asarray(Image.fromarray(image).resize((SIZE, SIZE), Image.BILINEAR))


@pytest.mark.parametrize("name", SAMPLES)
def test_published_photographs_are_prepared_as_others_do(mirror, name):
    """Nothing is flipped, shifted or mis-scaled, and values agree."""
    folder = mirror / "eyepacs" / "samples"
    original = fundus.read_image(folder / "original" / f"{name}.jpeg")
    expected = fundus.read_image(folder / "defauw_512" / f"{name}.jpeg").astype(int)
    pixels, dimensions, _ = fundus.crop_and_resize(original)
    assert np.abs(pixels - expected).mean() < 10
    assert np.abs(recipe(original) - expected).mean() < 1.5
    # The bound means something: it is exceeded by a photograph turned over.
    assert np.abs(pixels[:, ::-1] - expected).mean() > 10
    assert 1 < dimensions[1] <= dimensions[0] < 4
