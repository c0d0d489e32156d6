"""The traced die against a slow reference, and against cases worked by hand."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
import reference_renderer
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from cnnviz.datasets import die_rendering, die_scene, die_tracing
from cnnviz.datasets.die_scene import BACKGROUND, EDGE, PIP

# Head-on view of each face: the camera on its outward normal.
HEAD_ON = {1: (90, 90), 2: (0, 90), 3: (0, 0), 4: (0, 180), 5: (180, 90), 6: (270, 90)}
OBLIQUE = [
    (45, 60),
    (12.3, 71.7),
    (200, 140),
    (330, 255),
    (77.7, 340.2),
    (33, 270),
    (120, 50),
    (0, 50),
    (133, 333.3),
]
# Centers of 24 x 24 pixels, on the image plane from -1 to 1.
PLACES = (np.arange(24) + 0.5) / 12 - 1
LEVEL = 1 / 255

degrees = st.floats(-720, 720)
few = settings(max_examples=15, deadline=None)  # the first call may compile


def frames(*views):
    return np.array([die_scene.camera_frame(a, b) for a, b in views])


def trace(a, b, places=PLACES):
    size = len(places)
    radiance = np.empty((size, size), np.float32)
    region = np.empty((size, size), np.uint8)
    places = places.astype(np.float32)
    die_tracing.trace(die_scene.camera_frame(a, b), places, -places, radiance, region)
    return radiance, region


def regions(a, b, size=128):
    return die_rendering.regions(frames((a, b)), np.arange(size) + 0.5, size)[0]


def render(a, b, size=64):
    return die_rendering.render(frames((a, b)), size)[0]


# --- Against the slow reference ---------------------------------------------


@pytest.mark.parametrize("a, b", [*HEAD_ON.values(), *OBLIQUE])
def test_radiance_equals_the_slow_reference(a, b):
    expected, _ = reference_renderer.trace(a, b, PLACES, -PLACES)
    error = np.abs(trace(a, b)[0] - expected)
    # Measured mean: 2e-6 to 2.7e-4, i.e. less than 0.07/255.
    assert error.mean() < 4e-4
    # 0.005: the walk into a pip stops 2e-4 above its surface, where the
    # steepest wall of a pip shifts radiance by 0.0046.  Beyond that, up to 1 %
    # of the places: rays that graze a silhouette or the near lip of a pip.
    assert (error > 0.005).mean() <= 0.01
    assert (error > 0.02).sum() <= 2


@pytest.mark.parametrize("a, b", [*HEAD_ON.values(), *OBLIQUE])
def test_regions_equal_the_slow_reference(a, b):
    _, expected = reference_renderer.trace(a, b, PLACES, -PLACES)
    # Borders of regions may fall on either side of a place: 3 of 576.
    assert (trace(a, b)[1] != expected).sum() <= 3


# --- Regions worked by hand -------------------------------------------------


@pytest.mark.parametrize("number", HEAD_ON)
def test_every_face_has_as_many_pips_as_its_number(number):
    region = regions(*HEAD_ON[number])
    assert ndimage.label(region == PIP + number)[1] == number
    # Head-on, no other face and no other face's pips are in sight.
    assert set(np.unique(region)) == {BACKGROUND, number, EDGE, PIP + number}


def test_face_one_has_its_pip_in_the_middle_and_is_flat_around():
    region = regions(*HEAD_ON[1])
    assert (region[60:68, 60:68] == PIP + 1).all()
    # The pip's half-depth radius 0.145, seen from 2 away on a half field of
    # 2 * 16/35, covers 0.145 / 0.914 * 64 = 10.2 pixels.  16 pixels off is
    # therefore flat, and so is 36 (0.51 of the way to the die's side at 1).
    # The image's border pixels show the rounded edge: the flat part ends
    # where the normal leans 15 degrees, at v^9 = tan 15, v = 0.864, pixel 60.
    for offset in (16, 36, 55):
        for row, column in [
            (64 + offset, 64),
            (64 - offset, 64),
            (64, 64 + offset),
            (64, 64 - offset),
        ]:
            assert region[row, column] == 1
    for row, column in [(64, 127), (64, 0), (0, 64), (127, 64)]:
        assert region[row, column] == EDGE
    area = (region == PIP + 1).sum()
    # Half-depth disc at depth 2 + 0.027 from the camera, within 5 %.
    assert area == pytest.approx(np.pi * (0.145 / (2.027 * 16 / 35) * 64) ** 2, rel=0.05)


def test_a_view_onto_a_corner_shows_its_three_faces_alike():
    b = np.degrees(np.arccos(1 / np.sqrt(3)))
    region = regions(45, b, 129)
    assert region[64, 64] == EDGE
    area = [np.isin(region, (number, PIP + number)).sum() for number in (1, 2, 3)]
    # Three equal faces, cut differently by the square frame (the die's
    # threefold axis does not map a square onto itself).
    assert min(area) > 0.6 * max(area)
    assert not np.isin(region, (4, 5, 6, PIP + 4, PIP + 5, PIP + 6)).any()
    assert (region[[0, 0, -1, -1], [0, -1, 0, -1]] == BACKGROUND).all()


def test_pip_of_face_two_lies_where_the_pinhole_camera_puts_it():
    # Camera on +x: image right is (0, 0, -1), image up is (0, 1, 0).  The pip
    # at y = z = 0.4, 2 away, falls at (-1, 1) * 0.4 / 2 * 35/16 = 0.4375.
    rows, columns = np.nonzero(regions(0, 90) == PIP + 2)
    upper = rows < 64
    center = np.array([columns[upper].mean(), rows[upper].mean()]) + 0.5
    # Half a pixel: a dent is looked into obliquely, its floor 0.05 deeper.
    np.testing.assert_allclose(center, 64 + 64 * 0.4375 * np.array([-1, -1]), atol=0.6)


def test_trace_without_regions_gives_the_same_radiance():
    radiance = np.empty((24, 24), np.float32)
    places = PLACES.astype(np.float32)
    die_tracing.trace(
        die_scene.camera_frame(45, 60), places, -places, radiance, np.empty((0, 0), np.uint8)
    )
    np.testing.assert_array_equal(radiance, trace(45, 60)[0])


# --- Symmetries -------------------------------------------------------------


@few
@given(st.floats(0, 360))
def test_face_four_alone_looks_the_same_after_a_quarter_turn(a):
    # 0.5/255: rounding of the rays moves rims by at most a sample.
    assert np.abs(render(a, 180) - render(a + 90, 180)).max() < 0.5 * LEVEL


@few
@given(st.floats(0, 360))
def test_face_three_alone_looks_the_same_after_a_half_turn_only(a):
    assert np.abs(render(a, 0) - render(a + 180, 0)).max() < 0.5 * LEVEL
    # A quarter turn moves two of its three pips.
    assert np.abs(render(a, 0) - render(a + 90, 0)).max() > 20 * LEVEL


@pytest.mark.parametrize("number", [1, 4, 5, 6])
def test_head_on_pictures_with_symmetric_pips_equal_their_mirror_images(number):
    image = render(*HEAD_ON[number])
    np.testing.assert_allclose(image, image[:, ::-1], rtol=0, atol=0.5 * LEVEL)
    np.testing.assert_allclose(image, image[::-1], rtol=0, atol=0.5 * LEVEL)


@pytest.mark.parametrize("number", [2, 3])
def test_head_on_pictures_of_diagonal_pips_mirror_on_the_diagonals_only(number):
    image = render(*HEAD_ON[number])
    np.testing.assert_allclose(image, image.T, rtol=0, atol=0.5 * LEVEL)
    np.testing.assert_allclose(image, image[::-1, ::-1].T, rtol=0, atol=0.5 * LEVEL)
    assert np.abs(image - image[:, ::-1]).max() > 20 * LEVEL


@few
@given(st.floats(0, 360), st.floats(0, 360))
def test_whole_turns_change_nothing(a, b):
    # On average, since angles round differently and a sample at a silhouette
    # may then fall to the other side.
    difference = np.abs(render(a, b) - render(a + 360, b - 360))
    assert difference.mean() < 0.01 * LEVEL


# --- Rendering --------------------------------------------------------------


def test_equal_calls_give_equal_bits():
    views = frames(*OBLIQUE)
    np.testing.assert_array_equal(die_rendering.render(views, 64), die_rendering.render(views, 64))


def test_a_view_does_not_depend_on_its_batch():
    together = die_rendering.render(frames(*OBLIQUE), 64)
    alone = np.concatenate([die_rendering.render(frames(view), 64) for view in OBLIQUE])
    np.testing.assert_array_equal(together, alone)


def test_corner_of_a_head_on_view_is_the_background_gray():
    # sRGB of 0.0509; away from the die the filter sees nothing else.
    assert render(90, 90, 128)[0, 0] == pytest.approx(0.25, abs=0.001)


# --- Camera, transfer curve, tables -----------------------------------------


@given(degrees, degrees)
def test_camera_frame_is_orthonormal_and_right_handed(a, b):
    towards, right, up = frame = die_scene.camera_frame(a, b)
    # 1e-12: double rounding of sines of up to 13 radians.
    np.testing.assert_allclose(frame @ frame.T, np.eye(3), rtol=0, atol=1e-12)
    np.testing.assert_allclose(np.cross(right, up), towards, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "a, b, towards, right, up",
    [
        (0, 90, (1, 0, 0), (0, 0, -1), (0, 1, 0)),
        (90, 90, (0, 1, 0), (0, 0, -1), (-1, 0, 0)),
        (180, 90, (-1, 0, 0), (0, 0, -1), (0, -1, 0)),
        (270, 90, (0, -1, 0), (0, 0, -1), (1, 0, 0)),
        (0, 0, (0, 0, 1), (1, 0, 0), (0, 1, 0)),
        (0, 180, (0, 0, -1), (-1, 0, 0), (0, 1, 0)),
    ],
)
def test_camera_frame_along_the_axes(a, b, towards, right, up):
    np.testing.assert_allclose(
        die_scene.camera_frame(a, b), [towards, right, up], rtol=0, atol=1e-15
    )


@pytest.mark.parametrize(
    "linear, gray, tolerance",
    [
        (0, 0, 0),
        (1, 1, 1e-12),
        (0.0509, 0.25, 0.001),  # as the scene's description rounds it
        (0.002, 0.02584, 1e-12),  # straight part: 12.92 x
        (0.2140411, 0.5, 1e-6),  # inverse of 0.5 by the standard's formula
    ],
)
def test_srgb_known_values(linear, gray, tolerance):
    assert die_rendering.srgb(linear) == pytest.approx(gray, abs=tolerance)


def test_srgb_is_monotonic():
    # The standard's rounded constants leave a step of 3e-8 at the joint.
    assert (np.diff(die_rendering.srgb(np.linspace(0, 1, 100001))) > 0).all()


def test_pip_tables_equal_the_measured_profile():
    np.testing.assert_array_equal(die_scene.PIP_DISTANCE, reference_renderer.RHO)
    np.testing.assert_array_equal(die_scene.PIP_DEPTH, reference_renderer.DEPTH)
    assert die_scene.PIP_RADIUS == 0.2125
    assert die_scene.PIP_HALF_DEPTH_RADIUS == pytest.approx(0.145, abs=0.0005)
    # 66 degrees measured; the smooth curve is a little steeper between points.
    assert np.degrees(np.arctan(die_scene.PIP_SLOPE_MAX)) == pytest.approx(66, abs=1.5)


def test_fine_pip_table_follows_the_profile_and_its_slope():
    rho = np.linspace(0, 0.2125, len(die_scene.DEPTH_TABLE))
    # 1e-7: float32 rounding of a depth of 0.05.
    np.testing.assert_allclose(
        die_scene.DEPTH_TABLE, reference_renderer.depth(rho), rtol=0, atol=1e-7
    )
    assert (np.diff(die_scene.DEPTH_TABLE) <= 0).all()
    slope = np.gradient(die_scene.DEPTH_TABLE.astype(float), rho)
    # Differences over 1e-4 round the kinks of slope between pieces.
    assert np.abs(slope - die_scene.SLOPE_TABLE).mean() < 0.002


@pytest.mark.parametrize(
    "normal, sign, axis",
    [("+x", 1, 0), ("-x", -1, 0), ("+y", 1, 1), ("-y", -1, 1), ("+z", 1, 2), ("-z", -1, 2)],
)
def test_pip_centers_equal_the_measured_ones(normal, sign, axis):
    number, centers = reference_renderer.FACES[axis, sign]
    assert die_scene.PIPS[normal][0] == number == len(centers)
    places = {(v * die_scene.PITCH, w * die_scene.PITCH) for v, w in die_scene.PIPS[normal][1]}
    assert places == {tuple(map(float, center)) for center in centers}


@pytest.mark.parametrize("before", ["pass", "die_rendering.regions(frames, [3, 5], 32)"])
def test_every_process_renders_the_same_bits(before, tmp_path):
    """Whatever was compiled before, and however many threads there are.

    Compiled code kept on disk broke this once: it rounded differently from
    the same code freshly compiled.  The first process compiles, the others do not.
    """
    code = (
        "import hashlib, numpy as np\n"
        "from cnnviz.datasets import die_rendering, die_scene\n"
        "frames = np.array([die_scene.camera_frame(a, 7 * a) "
        "for a in range(0, 360, 24)])\n"
        f"{before}\n"
        "print(hashlib.sha256(die_rendering.render(frames, 96).tobytes()).hexdigest())"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            text=True,
            check=True,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": threads, "NUMBA_CACHE_DIR": str(tmp_path)},
        ).stdout
        for threads in ("1", "2", "1")
    ]
    assert list(tmp_path.rglob("*.nbc"))
    frames = np.array([die_scene.camera_frame(a, 7 * a) for a in range(0, 360, 24)])
    here = hashlib.sha256(die_rendering.render(frames, 96).tobytes()).hexdigest()
    assert {run.strip() for run in runs} == {here}
