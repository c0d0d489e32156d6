"""Figures 4.1 to 4.3 and 4.22 to 4.26: arrows, rules of choice, measures, errors."""

import dataclasses

import matplotlib.image
import matplotlib.text
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnviz.cli import dispatch
from cnnviz.datasets import synthetic, synthetic_eye, synthetic_patients
from cnnviz.experiments import exemplar_measures as measures
from cnnviz.experiments import exemplar_records as records
from cnnviz.experiments import fundus_exemplars as command
from cnnviz.feature_visualization.patch_network import patch_network
from cnnviz.runtime import files
from cnnviz.runtime.backend import lasagne
from cnnviz.thesis.figures import (
    annotated,
    conspicuous,
    exemplar_sheet,
    eyes,
    figure_4_1,
    figure_4_2,
    figure_4_3,
    figure_4_22,
    figure_4_25,
    figure_4_26,
    pointers,
    shapes,
    style,
)

L = lasagne.layers


def disk(shape, center, radius):
    rows, columns = np.indices(shape)
    return np.hypot(rows - center[0], columns - center[1]) <= radius


def assert_fits(figure):
    """Page width, readable, and nothing clipped."""
    within = figure.get_tightbbox(figure.canvas.get_renderer())
    assert min(within.min) > -1e-6
    assert (within.max < figure.get_size_inches() + 1e-6).all()
    texts = [text for text in figure.findobj(matplotlib.text.Text) if text.get_text()]
    assert min(text.get_size() for text in texts) >= style.SMALL
    assert figure.get_size_inches()[0] == style.PAGE_WIDTH
    return [text.get_text() for text in texts]


# --- Arrows -----------------------------------------------------------------------


def test_an_arrow_ends_at_the_border_and_comes_from_the_open_side():
    region = disk((60, 60), (30, 30), 6)
    walls = np.ones((60, 60), bool)
    walls[24:37, 30:] = False  # open to the right only
    found = pointers.pointer(region, walls, 15, gap=2)
    assert found.tip[0] == pytest.approx(30, abs=1)
    assert found.tip[1] == pytest.approx(30 + 6.5 + 2, abs=1)
    assert np.hypot(*(found.tail - found.tip)) == pytest.approx(15)
    assert found.tail[1] > found.tip[1]


@settings(max_examples=30)
@given(st.tuples(st.integers(5, 54), st.integers(5, 54)), st.integers(1, 5), st.integers(0, 2**31))
def test_arrows_point_at_their_region_and_stay_on_the_picture(center, radius, seed):
    region = disk((60, 60), center, radius)
    obstacles = np.random.RandomState(seed).rand(60, 60) < 0.01
    tip, tail = pointers.pointer(region, obstacles, 12, 1)
    assert (np.rint(tail) >= 0).all() and (np.rint(tail) < 60).all()
    # Prolonged beyond its tip, it meets the middle; the tip is next to the border.
    along = (tip - tail) / 12
    to_center = np.subtract(center, tail)
    assert abs(along[0] * to_center[1] - along[1] * to_center[0]) < 1.0
    assert radius < np.hypot(*np.subtract(tip, center)) < radius + 3


def test_no_room_for_an_arrow_is_an_error():
    with pytest.raises(ValueError, match="no arrow of 30 pixels"):
        pointers.pointer(disk((20, 20), (10, 10), 2), np.zeros((20, 20), bool), 30)


def test_the_region_is_the_part_of_the_mask_at_the_place():
    mask = disk((40, 40), (10, 10), 3) | disk((40, 40), (30, 30), 4)
    assert (pointers.region_at(mask, (26, 24)) == disk((40, 40), (30, 30), 4)).all()
    with pytest.raises(ValueError, match="nothing to point at"):
        pointers.region_at(np.zeros((4, 4), bool), (1, 1))


def test_arrows_of_a_view_keep_away_from_each_other():
    shape = (200, 200)
    spots = disk(shape, (95, 95), 4) | disk(shape, (105, 105), 4)
    view = eyes.View(
        np.zeros((*shape, 3), np.uint8),
        {"spot": spots, eyes.FIELD_OF_VIEW: np.ones(shape, bool)},
        (-1, -1, 1, 1),
    )
    places = [((95.5 / 100) - 1,) * 2, ((105.5 / 100) - 1,) * 2]
    assert view.pixel(*places[0]) == pytest.approx((95, 95))
    first, second = pointers.place(
        view, [pointers.Mark("thin arrow", each, "spot") for each in places]
    )
    lines = [pointers.near(*each, shape, 6) for each in (first, second)]
    assert not (lines[0] & lines[1]).any()


# --- Eyes -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scene():
    who = dataclasses.replace(
        synthetic_patients.patient(np.random.default_rng(1)), cut=1.0, grain=0.0
    )
    return synthetic_eye.scene(5, "right", who, 2)


def test_one_eye_of_a_pair_is_that_of_the_pair():
    left, right = synthetic.pair([0, 3])
    assert synthetic.grades([0, 3]) == [left.grade, right.grade]
    other = synthetic.eye([0, 3], "right")
    assert other.seed == right.seed and (other.segments == right.segments).all()


def test_close_ups_show_what_the_whole_shows_there(scene):
    eye = eyes.Synthetic(scene)
    whole = eyes.whole(eye, 150)
    close = eyes.around(eye, (0.1, -0.2), 0.4, 60)
    assert whole.picture.shape[:2] == (300, 300) and close.density == 150
    row, column = np.rint(whole.pixel(-0.1, -0.4) + 0.5).astype(int)
    part = whole.picture[row : row + 60, column : column + 60].astype(int)
    assert np.abs(part - close.picture)[4:-4, 4:-4].max() <= 12  # blur at the borders
    assert (
        close.masks[eyes.DISC] == whole.masks[eyes.DISC][row : row + 60, column : column + 60]
    ).all()


def test_a_real_eye_is_seen_as_a_synthetic_one(scene):
    drawn = eyes.Synthetic(scene)
    view = eyes.whole(drawn, 200)
    lesions = {
        name: mask
        for name, mask in view.masks.items()
        if name in ("hard exudate", "hemorrhage", "microaneurysm")
    }
    # Black margins, as cameras leave them.
    pad = [(20, 20), (70, 50)]
    real = eyes.Real(
        np.pad(view.picture, [*pad, (0, 0)]),
        {name: np.pad(mask, pad) for name, mask in lesions.items()},
    )
    assert real.radius == pytest.approx(200, abs=2)
    assert real.center == pytest.approx((270, 220), abs=2)
    again = eyes.around(real, (0.2, 0.1), 0.5, 100)
    there = eyes.around(drawn, (0.2, 0.1), 0.5, 100)
    assert np.abs(again.picture[5:-5, 5:-5].astype(int) - there.picture[5:-5, 5:-5]).mean() < 6
    assert real.place(219.5, 269.5) == pytest.approx((0, 0), abs=0.02)


def test_spots_of_a_real_eye_are_where_its_masks_are():
    image = np.where(
        disk((200, 200), (99.5, 99.5), 99)[..., np.newaxis], np.uint8(120), np.uint8(0)
    ) * np.ones(3, np.uint8)
    mask = disk((200, 200), (60, 120), 5)
    image[mask] = 60
    [spot] = eyes.Real(image, {"hemorrhage": mask}).spots()
    assert (spot.x, spot.y) == pytest.approx((0.205, -0.395), abs=0.02)
    assert spot.diameter == pytest.approx(0.1, rel=0.1)
    assert spot.contrast == pytest.approx(np.log(61 / 121), abs=0.02)


def test_parts_move_in_rather_than_leave_the_picture():
    eye = eyes.Real(np.full((80, 100, 3), 200, np.uint8))
    assert eyes.around(eye, (0.95, -0.9), 0.4, 40).window == pytest.approx((0.6, -0.8, 1.0, -0.4))


def test_spots_on_vessels_are_not_clear():
    vessel = np.array([[0, 0, 0.02, 0, 0.01, 0.01, 0]])
    assert not eyes.off_vessels(vessel, (0.02, 0.015), 0.01)
    assert eyes.off_vessels(vessel, (0.02, 0.05), 0.01)
    assert eyes.off_vessels(vessel, (0.02, 0.015), 0.03)  # far wider than it


# --- Choosing ---------------------------------------------------------------------


def spot(
    kind="hard exudate", x=0.0, y=0.0, diameter=0.03, elongation=1.0, contrast=0.5, clear=True
):
    return eyes.Spot(kind, x, y, diameter, elongation, contrast, clear)


def test_the_most_conspicuous_spot_has_the_largest_diameter_times_contrast():
    weak, strong = spot(diameter=0.04, contrast=0.3), spot(x=0.5, contrast=0.5)
    found = conspicuous.conspicuous(
        [weak, strong], "hard exudate", 1, conspicuous.Criteria((0.02, 0.1)), 2
    )
    assert found == [strong, weak]


@pytest.mark.parametrize(
    "other",
    [
        {"x": 0.85},
        {"y": 0.75},
        {"diameter": 0.01},
        {"contrast": -0.05},
        {"elongation": 3},
        {"clear": False},
        {"kind": "hemorrhage"},
    ],
)
def test_spots_that_are_not_clearly_seen_are_not_chosen(other):
    found = conspicuous.conspicuous(
        [spot(**other)], "hard exudate", 0.8, conspicuous.Criteria((0.02, 0.1), longest=2)
    )
    assert found == []


def test_close_ups_do_not_overlap():
    first, near, far = spot(diameter=0.05), spot(x=0.15), spot(x=0.3, diameter=0.02)
    assert conspicuous.overlap(first, near) and not conspicuous.overlap(first, far)
    spots = [first, near, far]
    assert conspicuous.conspicuous(spots, "hard exudate", 1, conspicuous.Criteria((0, 0)), 2) == [
        first,
        far,
    ]
    assert conspicuous.conspicuous(
        spots, "hard exudate", 1, conspicuous.Criteria((0, 0)), 2, chosen=[spot(x=-0.05)]
    ) == [far]


def test_apart_is_counted_in_diameters_between_edges():
    pair = [spot(diameter=0.02), spot(x=0.06, diameter=0.04)]
    assert conspicuous.apart(pair[0], pair) == pytest.approx(1.5)
    assert conspicuous.apart(pair[0], pair[:1]) == np.inf


def eye_with_everything():
    return [
        spot(x=0.3),
        spot(x=-0.3),
        spot("hemorrhage", 0, 0.4, 0.05, contrast=-0.3),
        spot("microaneurysm", 0, -0.4, 0.02, contrast=-0.3),
    ]


def test_figure_4_2_needs_all_of_its_lesions():
    spots = eye_with_everything()
    found = figure_4_2.choose(spots, 1)
    assert {each.kind for each in found} == set(figure_4_2.ARROWS) and len(found) == 4
    for left_out in range(4):
        assert figure_4_2.choose(spots[:left_out] + spots[left_out + 1 :], 1) is None


def test_a_microaneurysm_with_a_neighbor_is_not_chosen():
    spots = eye_with_everything()
    assert figure_4_2.choose([*spots, spot("soft exudate", 0.03, -0.4, 0.02)], 1) is None


def test_new_vessels_are_told_apart_by_their_roots():
    def thread(*points):
        return [(*a, *b, 0.003, 0.003, 2) for a, b in zip(points, points[1:])]

    found = np.array(
        [
            *thread((0, 0), (0.1, 0), (0.2, 0)),
            *thread((0, 0), (0, 0.1)),
            *thread((0.5, 0.5), (0.5, 0.8)),
        ]
    )
    assert dict(figure_4_3.fans(found)) == {
        (0, 0): pytest.approx(0.2),
        (0.5, 0.5): pytest.approx(0.3),
    }
    assert figure_4_3.fans(np.empty((0, 7))) == []


def test_the_widest_bead_in_view_is_chosen():
    beads = np.array(
        [[0.9, 0, 0, 0, 0.03, 0, 1], [0.2, 0.1, 0, 0, 0.015, 0, 1], [0.3, 0, 0, 0, 0.013, 0, 1]]
    )
    assert figure_4_3.widest(beads, 1) == (0.2, 0.1)
    assert figure_4_3.widest(beads[:0], 1) is None
    assert figure_4_3.widest(beads[:1], 1) is None


def test_the_first_eye_without_artifacts_is_taken(monkeypatch):
    class Scene:
        def __init__(self, name, artifacts):
            self.name, self.artifacts = name, artifacts

    pairs = {
        (0, "left"): Scene("a", ("dust",)),
        (0, "right"): Scene("b", ()),
        (1, "right"): Scene("c", ()),
    }
    monkeypatch.setattr(synthetic, "grades", lambda seed: [3, 3] if seed[1] == 0 else [0, 3])
    monkeypatch.setattr(synthetic, "eye", lambda seed, side: pairs[seed[1], side])
    name, eye, chosen = conspicuous.first(0, (3,), 2, lambda each: each.scene.name == "c")
    assert name == "1_right" and eye.scene.name == "c" and chosen
    with pytest.raises(ValueError, match="none of 1 synthetic patients"):
        conspicuous.first(0, (3,), 1, lambda each: each.scene.name in "ac")


# --- Drawing 4.1 to 4.3 -----------------------------------------------------------


def test_figure_4_1_shows_all_names(scene):
    eye = eyes.Synthetic(scene)
    found = figure_4_1.Anatomy("an eye", eye, (0.3, 0), (-0.4, 0.1), 0.15)
    macula, fovea, disc = figure_4_1.circles(found)
    assert disc == ((0.3, 0), 0.15)
    assert macula[1] == pytest.approx(5.5 / 4.76 / 2 * np.hypot(0.7, 0.1))
    assert fovea[1] / macula[1] == pytest.approx(1.5 / 5.5)
    assert figure_4_1.inside(found)
    assert not figure_4_1.inside(found._replace(disc=(0.85, 0)))
    usual = figure_4_1.circles(found._replace(rim=None))[2][1]
    assert usual == pytest.approx(np.hypot(0.7, 0.1) / 2.65 / 2)
    written = assert_fits(figure_4_1.draw([found, found._replace(title="another")]))
    assert {"macula", "fovea", "optic disc", "(a) an eye", "(b) another"} <= set(written)


def test_a_photograph_s_centers_become_places():
    image = np.full((80, 100, 3), 200, np.uint8)
    found = figure_4_1.real("x", image, {"optic disc": (39.5, 74.5), "fovea": (39.5, 24.5)})
    assert found.disc == pytest.approx((0.5, 0)) and found.fovea == pytest.approx((-0.5, 0))


def test_sheets_fit_the_page_and_have_letters_and_arrows(scene, tmp_path):
    eye = eyes.Synthetic(scene)
    place = tuple(scene.disc[:2])
    mark = pointers.Mark("green arrow", place, eyes.DISC)
    part = annotated.Part("disc", place, 0.6, [mark])
    row = annotated.Row("synthetic", eye, [part], (mark,), figure_4_3.LEGEND)
    figure = annotated.sheet([row])
    written = assert_fits(figure)
    assert {"a", "synthetic", "venous beading"} <= set(written)
    assert any(text.startswith("a  disc, × ") for text in written)
    arrows = [
        patch
        for axes in figure.axes
        for patch in axes.patches
        if patch.get_facecolor()[:3]
        == matplotlib.colors.to_rgb(shapes.POINTERS["green arrow"].color)
    ]
    assert len(arrows) == 4  # whole photograph twice, close-up, legend
    style.save(figure, tmp_path / "sheet", [".png"])
    assert matplotlib.image.imread(tmp_path / "sheet.png").shape[1] == 2130


# --- Exemplars: measures ----------------------------------------------------------


def test_kept_steps_are_many_at_first():
    assert measures.kept_steps(60) == (0, 2, 5, 10, 20, 60)
    assert measures.kept_steps(1) == (0, 1)


def test_energy_near_the_border_by_hand():
    patch = np.zeros((1, 8, 8))
    patch[0, 4, 4], patch[0, 0, 0] = 3, 1
    assert measures.border_share(patch) == pytest.approx((0.1, 0.75))
    assert measures.border_share(np.ones((3, 8, 8))) == pytest.approx((0.75, 0.75))


def test_spread_is_half_the_side_of_a_centered_square():
    patch = np.zeros((1, 8, 8))
    patch[0, 3:5, 3:5] = 1
    assert measures.spread(patch) == pytest.approx(2 / 8)
    patch[0, 0, 0] = 1  # a fifth of the energy
    assert measures.spread(patch) == pytest.approx(1)
    assert measures.spread(patch, 0.75) == pytest.approx(2 / 8)


def test_what_was_added_has_no_part_along_the_start(rng):
    start, other = rng.randn(2, 3, 4, 4)
    (found,) = measures.added((2 * start + other)[np.newaxis], start)
    assert abs((found * start).sum()) < 1e-9
    expected = other - (other * start).sum() / (start**2).sum() * start
    np.testing.assert_allclose(found, expected)


# --- Exemplars: files -------------------------------------------------------------

ROLES = """figure,weights,layer,feature,label,wanted,rule,evidence
4.15,random,pool5,9,other,microaneurysm,,
4.15,trained,pool5,1,microaneurysm,microaneurysm,,"microaneurysm: 9 %, 3 times chance"
4.17,trained,pool5,0,other,hemorrhage,,none
4.20,trained,pool5,1,vessel,vessel,,"vessel: 20 %"
4.8,trained,pool4,2,microaneurysm,microaneurysm,,x
4.7,trained,pool3,7,glare spot,glare spot,,x
4.7,trained,pool3,3,microaneurysm,microaneurysm,,x
"""


@pytest.fixture
def roles(tmp_path):
    path = tmp_path / "roles.csv"
    path.write_text(ROLES)
    return path


def test_roles_are_those_of_the_trained_network_for_the_right_concept(roles):
    found = records.read_roles(roles)
    assert {name: (role.layer, role.feature) for name, role in found.items()} == {
        "microaneurysm": ("pool5", 1),
        "hemorrhage": ("pool5", 0),
        "vessel": ("pool5", 1),
        "fourth layer": ("pool4", 2),
        "third layer": ("pool3", 3),
    }
    assert command.wanted(found) == {"pool3": [3], "pool4": [2], "pool5": [0, 1]}


@pytest.mark.parametrize(
    "text, said",
    [
        (None, "no such file; make it with 'cnnviz table 4.1'"),
        ("figure,layer\n4.15,pool5\n", "has no column weights, feature"),
        (ROLES.replace("4.8,trained", "4.8,random"), "no feature of Figure 4.8, pool4"),
        ("", "not a table of features"),
    ],
)
def test_bad_roles_are_one_line(roles, tmp_path, capsys, text, said):
    roles.unlink() if text is None else roles.write_text(text)
    assert (
        dispatch.main(
            [
                "fundus-exemplars",
                "--photographs",
                str(tmp_path),
                "--roles",
                str(roles),
                "--output",
                str(tmp_path / "out.npz"),
            ]
        )
        == 1
    )
    error = capsys.readouterr().err
    assert said in error and str(roles) in error and error.count("\n") == 1
    assert not (tmp_path / "out.npz").exists()


def test_photographs_that_are_not_there_are_one_line(roles, tmp_path, capsys):
    assert (
        dispatch.main(
            [
                "fundus-exemplars",
                "--photographs",
                str(tmp_path / "none"),
                "--roles",
                str(roles),
                "--output",
                str(tmp_path / "out.npz"),
            ]
        )
        == 1
    )
    error = capsys.readouterr().err
    assert "prepare-photographs" in error and error.count("\n") == 1


def record(layer="pool5", feature=0, side=16, seed=0):
    rng = np.random.RandomState(seed)
    return records.Exemplar(
        layer,
        feature,
        0.2,
        "17_left",
        np.array([side, side]),
        rng.randn(3, 3, side, side),
        rng.randn(3, 3, side, side),
        np.array([0.2, 0.1, -0.3]),
        np.array([150.0, 100, 120]),
        np.cumsum(rng.rand(3, 7), axis=1),
        np.array([0, 2, 6]),
        rng.randn(3, 3, side, side),
    )


@pytest.fixture
def exemplars(roles, tmp_path):
    """A file of fabricated exemplars."""
    found = [
        record("pool5", 0),
        record("pool5", 1, seed=1),
        record("pool4", 2, 12),
        record("pool3", 3, 8),
    ]
    path = tmp_path / "exemplars.npz"
    records.save(path, found, records.read_roles(roles), {"steps": 6, "sample": 50})
    return path


def test_records_come_back(exemplars):
    found, said = records.read(exemplars)
    assert (said["steps"], said["sample"]) == (6, 50)
    assert len(records.Exemplars.load(exemplars).exemplars) == 4  # of five roles
    assert found["vessel"].label == "vessel" and found["vessel"].best == 0
    assert found["microaneurysm"].evidence == "microaneurysm: 9 %, 3 times chance"
    expected = record("pool5", 1, seed=1)
    np.testing.assert_allclose(found["vessel"].patches, expected.patches, rtol=1e-3, atol=1e-3)
    assert (found["microaneurysm"].activations == expected.activations).all()
    assert found["third layer"].photograph == "17_left"


def test_a_foreign_file_names_the_remedy(tmp_path):
    path = tmp_path / "other.npz"
    files.save_arrays(path, role=np.array(["vessel"]), layer=np.array(["pool5"]))
    with pytest.raises(ValueError, match="cnnviz fundus-exemplars"):
        records.read(path)


# --- Exemplars: figures -----------------------------------------------------------


@pytest.mark.parametrize("number", ["22", "23", "24", "25", "26"])
def test_figures_of_exemplars_are_drawn(number, exemplars, tmp_path, monkeypatch):
    drawn = []
    save = style.save
    monkeypatch.setattr(
        style, "save", lambda figure, stem: (drawn.append(figure), save(figure, stem))
    )
    stem = tmp_path / "figure"
    assert (
        dispatch.main(
            ["figure", f"4.{number}", "--exemplars", str(exemplars), "--output", str(stem)]
        )
        == 0
    )
    written = "\n".join(assert_fits(drawn[0]))
    assert "wanted: " in written and "activation" in written
    assert matplotlib.image.imread(stem.with_suffix(".png")).shape[1] == 2130
    assert stem.with_suffix(".pdf").read_bytes()[:4] == b"%PDF"


def test_factors_are_largest_over_smallest(exemplars):
    found, settings = records.read(exemplars)
    assert figure_4_25.factor(found["vessel"]) == pytest.approx(1.5)
    text = figure_4_25.factors(found)
    assert text.count("1.50") == 4  # each feature once
    dead = dataclasses.replace(found["vessel"], reached=np.array([1.0, -1, 2]))
    assert np.isnan(figure_4_25.factor(dead))
    assert figure_4_22.label(dataclasses.replace(dead, data=0.5), "noise").endswith(
        "started from\nnoise\n\n4 times the largest\nactivation on data"
    )
    assert "7" in figure_4_26.near_border(found["vessel"])


def test_own_range_has_gray_for_zero(rng):
    patch = rng.randn(3, 40, 40)
    patch[:, 0, 0] = 0
    image, limit = exemplar_sheet.own_range(patch)
    assert (image[0, 0] == 0.5).all()
    np.testing.assert_allclose(image[5, 6], np.clip(0.5 + patch[:, 5, 6] / limit / 2, 0, 1))
    assert (np.abs(patch) > limit).mean() == pytest.approx(0.002, abs=5e-4)
    assert exemplar_sheet.own_range(np.zeros((3, 4, 4)))[1] == 1


# --- The command ------------------------------------------------------------------


def test_the_mean_photograph_is_that_of_all(rng):
    from cnnviz.datasets import fundus

    pixels = rng.randint(0, 256, (7, 5, 4, 3)).astype(np.uint8)
    found = command.mean_photograph(pixels, together=3)
    expected = fundus.standardize(pixels).mean(axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_exemplars_of_a_linear_layer_are_its_filters():
    """On a sphere the best patch is the filter itself, from every start."""
    rng = np.random.RandomState(2)
    layer = L.Conv2DLayer(
        L.InputLayer((None, 3, 6, 6), name="input"),
        2,
        6,
        W=rng.randn(2, 3, 6, 6).astype(np.float32),
        b=None,
        name="conv",
    )
    network = patch_network(layer)
    images = rng.randn(4, 3, 6, 6).astype(np.float32)
    found = command.of_layer(
        network, command.Sample(images, "abcd"), images.mean(axis=0), [1, 0], 40
    )
    assert [each.feature for each in found] == [1, 0]
    norm = np.sqrt((images**2).mean() * 108)
    filters = layer.W.get_value()[:, :, ::-1, ::-1]
    for each in found:
        kernel = filters[each.feature]
        length = np.sqrt((kernel**2).sum())
        np.testing.assert_allclose(each.reached, norm * length, rtol=1e-2)
        on_data = (images * kernel).sum(axis=(1, 2, 3))
        assert each.data == pytest.approx(on_data.max(), rel=1e-4)
        assert each.photograph == "abcd"[on_data.argmax()]
        for patch in each.patches:
            likeness = (patch * kernel).sum() / (norm * length)
            assert likeness > 0.99
        assert each.kept.tolist() == list(measures.kept_steps(40))
        np.testing.assert_allclose(each.iterates[0], each.starts[0], rtol=1e-5)
        assert each.activations.shape == (3, 41)
        np.testing.assert_allclose(each.activations[:, 0], each.before, rtol=1e-4)


class Slopes:
    """Neurons that are linear in their only pixel; the last one is dead."""

    class layer:
        name = "slopes"

    def evaluate(self, patches, features):
        slopes = np.array([5.0, 1e-4, 0.0])[features]
        return (slopes * patches[:, 0, 0, 0], slopes[:, None, None, None] * np.ones_like(patches))


def test_gradients_have_length_one_whatever_the_feature():
    evaluate = command.uphill(Slopes(), np.array([2, 0, 1]), 2)
    values = np.arange(1.0, 4).reshape(3, 1, 1, 1)
    activations, gradients = evaluate(values, np.array([0, 1, 2]), 0)
    np.testing.assert_allclose(activations, [0, 10, 3e-4])
    np.testing.assert_allclose(gradients.ravel(), [0, 1, 1])


def test_steps_and_sample_must_be_positive(roles, tmp_path, capsys):
    for option in ("--steps", "--sample"):
        assert (
            dispatch.main(
                [
                    "fundus-exemplars",
                    "--photographs",
                    str(tmp_path),
                    "--roles",
                    str(roles),
                    option,
                    "0",
                    "--output",
                    str(tmp_path / "o.npz"),
                ]
            )
            == 1
        )
        assert "must be at least 1" in capsys.readouterr().err
