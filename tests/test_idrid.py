"""IDRiD: its tables, its masks, and its files from a mirror or a server."""

import csv
import functools
import http.server
import shutil
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from cnnviz.datasets import external, fundus, idrid
from cnnviz.datasets.idrid_masks import split_mask
from cnnviz.runtime import files

GRADED = {
    record.name: record
    for part in idrid.SPLITS
    for record in idrid.records(part, as_published=True)
}


# --- Records ----------------------------------------------------------------


@pytest.mark.parametrize(
    "part, counts", [("train", [134, 20, 136, 74, 49]), ("test", [34, 5, 32, 19, 13])]
)
def test_published_grades(part, counts):
    found = idrid.records(part, as_published=True)
    assert np.bincount(idrid.labels(found)).tolist() == counts
    assert {record.split for record in found} == {part}


def test_training_leaves_out_repeated_photographs():
    published = {record.name for record in idrid.records("train", as_published=True)}
    kept = {record.name for record in idrid.records("train")}
    assert published - kept == {
        # Conflicting grades: both of the pair.
        "IDRiD_021_train",
        "IDRiD_391_train",
        "IDRiD_028_train",
        "IDRiD_327_train",
        # The same grade: the second one.
        "IDRiD_333_train",
        "IDRiD_375_train",
        "IDRiD_279_train",
        # Its twin is in the test set.
        "IDRiD_118_train",
    }
    assert idrid.records("test") == idrid.records("test", as_published=True)


def test_no_photograph_is_in_training_and_test_or_twice_in_training():
    training = [record.sha256 for record in idrid.records("train")]
    test = [record.sha256 for record in idrid.records("test")]
    assert len(set(training)) == len(training)
    assert not set(training) & set(test)


def test_suspects_can_be_left_out():
    for part, number in (("train", 7), ("test", 0), ("lesions", 1)):
        all_of_them = idrid.records(part, as_published=True)
        sure = idrid.records(part, as_published=True, suspects=False)
        assert len(all_of_them) - len(sure) == number
        assert not any(record.suspect for record in sure)


def test_records_with_masks():
    found = idrid.records("lesions")
    assert [record.name for record in found] == [f"IDRiD_{k:02d}" for k in range(1, 25)]
    assert [record.name for record in found if record.grade is None] == [
        "IDRiD_04",
        "IDRiD_11",
        "IDRiD_12",
    ]
    assert [record.name for record in found if record.split == "test"] == ["IDRiD_09", "IDRiD_22"]
    assert sum("SE" in record.classes for record in found) == 9
    assert idrid.labels(found).min() == -1
    assert found[3].side is None and not found[3].centers
    assert found[0].centers == GRADED[found[0].grading].centers


def test_unknown_part():
    with pytest.raises(ValueError, match="unknown part 'training'.* train, test and"):
        idrid.records("training")


def test_tables_are_those_of_the_mirror(mirror):
    with open(mirror / "idrid/grading/labels.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(GRADED)
    for row in rows:
        record = GRADED[row["idrid_id"]]
        assert (record.split, str(record.grade), record.sha256) == (
            row["split"],
            row["dr_grade"],
            row["source_sha256"],
        )
        assert (str(record.suspect).lower(), record.duplicate_of) == (
            row["mapping_suspect"],
            row["duplicate_of"],
        )
        assert record.centers == {
            "optic disc": (float(row["od_y"]), float(row["od_x"])),
            "fovea": (float(row["fovea_y"]), float(row["fovea_x"])),
        }
        assert record.url.endswith(
            "/".join((row["source_repo"], row["source_commit"], row["source_file"]))
        )
    with open(mirror / "idrid/lesions/index.csv", newline="") as stream:
        for row, record in zip(csv.DictReader(stream), idrid.records("lesions")):
            assert (record.name, record.grading, record.sha256, record.mask_sha256) == (
                row["seg_id"],
                row["grading_id"],
                row["image_sha256"],
                row["mask_source_sha256"],
            )
            assert ("" if record.grade is None else str(record.grade)) == row["dr_grade"]
            for kind in ("image", "mask"):
                assert getattr(record, "url" if kind == "image" else "mask_url").endswith(
                    "/".join(row[f"{kind}_{part}"] for part in ("repo", "commit", "path"))
                )
            assert {name for name in idrid.CLASSES if int(row[f"{name}_pixels"])} == set(
                record.classes
            )


# --- Masks ------------------------------------------------------------------

PAINT = {
    "MA": (255, 255, 255),
    "HE": (255, 0, 0),
    "EX": (0, 0, 255),
    "SE": (0, 255, 0),
    "OD": (255, 255, 0),
}


def painted(masks):
    """The published picture: five paintings added in 8 bits, which wrap around."""
    shape = next(iter(masks.values())).shape
    total = np.zeros((*shape, 3), np.uint8)
    for name, mask in masks.items():
        total[mask] += np.array(PAINT[name], np.uint8)
    return total


def empty(rows=20, columns=30):
    return {name: np.zeros((rows, columns), bool) for name in PAINT}


def assert_same(found, expected):
    assert list(found) == list(idrid.CLASSES)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def test_separate_masks_come_back():
    masks = empty()
    masks["OD"][2:12, 2:12] = True
    for k, name in enumerate(("MA", "HE", "EX", "SE")):
        masks[name][14:18, 5 * k : 5 * k + 3] = True
    assert_same(split_mask(painted(masks)), masks)
    assert_same(split_mask(painted(empty())), empty())


@pytest.mark.parametrize(
    "first, second",
    [
        ("MA", "HE"),
        ("MA", "EX"),
        ("HE", "EX"),
        ("HE", "OD"),
        ("SE", "OD"),
        ("MA", "SE"),
        ("EX", "SE"),
        ("MA", "OD"),
    ],
)
def test_overlaps_come_back(first, second):
    masks = empty()
    masks["OD"][2:12, 2:12] = True
    masks[first][4:9, 4:9] = True
    masks[second][6:11, 6:11] = True
    if "OD" not in (first, second):
        masks["OD"] = np.roll(masks["OD"], (6, 14), (0, 1))
        for name in (first, second):
            masks[name] = np.roll(masks[name], (-4, -4), (0, 1))
    assert (masks[first] & masks[second]).any()
    assert_same(split_mask(painted(masks)), masks)


def test_yellow_away_from_the_disc_is_hemorrhage_and_soft_exudate():
    masks = empty()
    masks["OD"][2:12, 2:12] = True
    masks["HE"][13:18, 18:25] = True
    masks["SE"][15:20, 20:28] = True
    assert_same(split_mask(painted(masks)), masks)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_what_was_split_adds_up_again(seed):
    """For any sum, also where several explanations fit."""
    rng = np.random.RandomState(seed)
    masks = {name: rng.rand(6, 7) < 0.4 for name in PAINT}
    found = split_mask(painted(masks))
    np.testing.assert_array_equal(painted(found), painted(masks))
    # Never more masks than were painted, but for specks of yellow.
    number, expected = (sum(m.astype(int) for m in group.values()) for group in (found, masks))
    yellow = (painted(masks) == PAINT["OD"]).all(-1)
    assert (number <= expected)[~yellow].all()


@pytest.mark.parametrize("color", [(253, 0, 0), (128, 0, 0), (0, 0, 253)])
def test_other_colors_are_refused(color):
    image = painted(empty())
    image[3, 4] = color
    with pytest.raises(ValueError, match="row 3, column 4: .* is no sum of the masks'"):
        split_mask(image)


@pytest.mark.parametrize("number", [10, 17, 22])
def test_published_masks_come_back(mirror, number):
    """Those with overlaps, specks of yellow, and a hemorrhage on the disc."""
    record = idrid.records("lesions")[number - 1]
    masks = {name: idrid._mask_from_mirror(mirror, record, name) for name in idrid.CLASSES}
    assert_same(split_mask(painted(masks)), masks)


# --- From the mirror --------------------------------------------------------


def test_a_photograph_of_the_mirror(mirror):
    record = GRADED["IDRiD_145_train"]
    found = idrid.load(record, mirror)
    assert found.pixels.shape == (3, 512, 512) and found.pixels.dtype == np.float32
    assert found.transform.shape == idrid.SHAPE and not found.masks
    assert (found.name, found.grade, found.side) == (record.name, record.grade, record.side)
    for name, place in found.centers.items():
        np.testing.assert_allclose(
            found.transform.to_original(place), record.centers[name], atol=1e-6
        )
    # The fovea is darker than its surroundings, the optic disc brighter.
    green = ndimage.gaussian_filter(found.pixels[1], 8)
    at = {name: green[tuple(np.rint(place).astype(int))] for name, place in found.centers.items()}
    assert at["fovea"] < np.median(found.pixels[1]) < at["optic disc"]


@pytest.mark.parametrize("number", [1, 8, 17])
def test_masks_lie_on_what_they_outline(mirror, number):
    record = idrid.records("lesions")[number - 1]
    found = idrid.load(record, mirror)
    assert tuple(found.masks) == idrid.MASKS
    for name, mask in found.masks.items():
        assert mask.shape == (512, 512) and mask.dtype == np.float32
        assert mask.any() == (name in {idrid.CLASSES[key] for key in record.classes})
    disc = found.masks["optic disc"]
    center = np.indices(disc.shape).reshape(2, -1) @ disc.ravel() / disc.sum()
    # 57 pixels of the original at most, 5.5 of them to a prepared one.
    assert np.hypot(*(center - found.centers["optic disc"])) < 57 / 5
    # Against a ring around each: lesions that are dark, and bright ones.
    green = found.pixels[1]
    for name, sign in (
        ("microaneurysm", -1),
        ("hemorrhage", -1),
        ("hard exudate", 1),
        ("optic disc", 1),
    ):
        inside = found.masks[name] > 0.7
        ring = ndimage.binary_dilation(inside, iterations=6)
        ring &= ~ndimage.binary_dilation(found.masks[name] > 0, iterations=2)
        assert sign * (green[inside].mean() - green[ring].mean()) > 0, name


def test_a_microaneurysm_survives_the_reduction(mirror):
    record = idrid.records("lesions")[4]
    mask = idrid._mask_from_mirror(mirror, record, "MA")
    found = idrid.load(record, mirror)
    spots, number = ndimage.label(mask)
    centers = found.transform.to_prepared(ndimage.center_of_mass(mask, spots, range(1, number + 1)))
    prepared = found.masks["microaneurysm"]
    assert number > 5
    for row, column in np.rint(centers).astype(int):
        assert prepared[row - 2 : row + 3, column - 2 : column + 3].max() > 0.4
    assert prepared.sum() * np.prod(found.transform.scale) == pytest.approx(mask.sum(), rel=1e-4)


def test_full_and_reduced_photographs_agree(mirror):
    """4288 x 2848 pixels as they come, and a quarter of them at scale 4."""
    record = idrid.records("lesions")[0]
    full, reduced = (idrid.load(each, mirror) for each in (record, GRADED[record.grading]))
    np.testing.assert_allclose(full.dimensions, reduced.dimensions, atol=0.01)
    for name, place in full.centers.items():
        np.testing.assert_allclose(place, reduced.centers[name], atol=1)
    difference = np.abs(fundus.destandardize(full.pixels) - fundus.destandardize(reduced.pixels))
    assert difference.mean() < 2.5 / 255


@pytest.fixture
def small_mirror(tmp_path, rng):
    """A mirror of one graded photograph and one with masks, both reduced."""
    folder = tmp_path / "mirror"
    image = rng.randint(50, 250, (2848 // 16, 4288 // 16, 3)).astype(np.uint8)
    for name in ("grading/images/IDRiD_145_train.jpg", "lesions/images/IDRiD_01.jpg"):
        (folder / "idrid" / name).parent.mkdir(parents=True)
        Image.fromarray(image).save(folder / "idrid" / name)
    masks = folder / "idrid/lesions/masks"
    masks.mkdir()
    for name in ("MA", "HE", "EX", "OD"):
        mask = np.zeros(idrid.SHAPE, bool)
        mask[1000:1100, 2000:2100] = True
        Image.fromarray(mask).save(masks / f"IDRiD_01_{name}.png")
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
    (folder / "SHA256SUMS").write_text(
        "".join(f"{files.sha256(folder / name)}  {name}\n" for name in names)
    )
    external._checksums.cache_clear()
    return folder


def test_scale_follows_from_the_size(small_mirror):
    found = idrid.load(GRADED["IDRiD_145_train"], small_mirror)
    assert found.transform.shape == idrid.SHAPE
    np.testing.assert_allclose(found.transform.scale, (16 * 177 / 512, 16 * 266 / 512))
    np.testing.assert_allclose(found.dimensions, (267 * 8 / 700, 177 * 8 / 700), rtol=1e-6)


def test_a_class_that_is_not_outlined_has_an_empty_mask(small_mirror):
    found = idrid.load(idrid.records("lesions")[0], small_mirror)
    assert not found.masks["soft exudate"].any()
    assert found.masks["hard exudate"].max() == pytest.approx(1)


@pytest.mark.parametrize("listed", [True, False])
def test_a_truncated_photograph_of_the_mirror_is_named(small_mirror, listed):
    path = small_mirror / "idrid/grading/images/IDRiD_145_train.jpg"
    path.write_bytes(path.read_bytes()[:2000])
    if not listed:
        (small_mirror / "SHA256SUMS").unlink()
    reason = "SHA-256 is not that in SHA256SUMS" if listed else "not a JPEG"
    with pytest.raises(ValueError, match=rf"IDRiD_145_train\.jpg: truncated.*{reason}"):
        idrid.load(GRADED["IDRiD_145_train"], small_mirror)


def test_missing_files_of_the_mirror_are_named(small_mirror):
    with pytest.raises(OSError, match=r"IDRiD_001_train\.jpg: not in the mirror"):
        idrid.load(GRADED["IDRiD_001_train"], small_mirror)
    # Not an empty mask: the class is outlined in this photograph.
    (small_mirror / "idrid/lesions/masks/IDRiD_01_EX.png").unlink()
    with pytest.raises(external.Unavailable, match=r"IDRiD_01_EX\.png: not in the mirror"):
        idrid.load(idrid.records("lesions")[0], small_mirror)


def test_a_photograph_of_another_size_is_refused(small_mirror):
    (small_mirror / "SHA256SUMS").unlink()
    path = small_mirror / "idrid/grading/images/IDRiD_145_train.jpg"
    Image.fromarray(np.full((100, 100, 3), 200, np.uint8)).save(path)
    with pytest.raises(ValueError, match="IDRiD_145_train.jpg: 100 x 100 pixels, not"):
        idrid.load(GRADED["IDRiD_145_train"], small_mirror)


def test_the_mirror_is_configured_or_in_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("CNNVIZ_MIRROR", raising=False)
    assert external.mirror() is None and external.mirror("") is None
    monkeypatch.setenv("CNNVIZ_MIRROR", str(tmp_path))
    assert external.mirror() == tmp_path
    (tmp_path / "other").mkdir()
    assert external.mirror(tmp_path / "other") == tmp_path / "other"
    monkeypatch.setenv("CNNVIZ_MIRROR", str(tmp_path / "mistyped"))
    with pytest.raises(FileNotFoundError, match="mistyped: no such folder.*CNNVIZ_MIRROR"):
        external.mirror()


# --- Downloads --------------------------------------------------------------


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; counts requests, breaks off where told to."""

    requests = []
    broken = set()

    def do_GET(self):
        self.requests.append(self.path)
        if self.path in self.broken:
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"half of it")
        else:
            super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    """Address of a server on this machine, and the folder it serves."""
    folder = tmp_path / "served"
    folder.mkdir()
    Handler.requests.clear()
    Handler.broken.clear()
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=folder)
    ) as instance:
        threading.Thread(target=instance.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{instance.server_port}", folder
        instance.shutdown()


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Folder with a reduced photograph and a picture of masks; the masks."""
    folder = tmp_path_factory.mktemp("synthetic")
    image = np.random.RandomState(1).randint(50, 250, (178, 268, 3)).astype(np.uint8)
    masks = empty(*idrid.SHAPE)
    masks["OD"][1000:1300, 2000:2300] = True
    masks["HE"][200:260, 2100:2200] = True
    Image.fromarray(image).save(folder / "a photograph.jpg")
    Image.fromarray(painted(masks)).save(folder / "masks.png")
    return folder, masks


@pytest.fixture
def served(server, drawn, monkeypatch):
    """Records of photographs on the server: one with masks, one graded, reduced."""
    url, folder = server
    monkeypatch.setattr(idrid, "_RETRIES", 0)
    source, masks = drawn
    for path in source.iterdir():
        shutil.copy(path, folder)

    def there(record, **names):
        return record._replace(
            **{key: f"{url}/{name}".replace(" ", "%20") for key, name in names.items()},
            **{
                key.replace("url", "sha256"): files.sha256(folder / name)
                for key, name in names.items()
            },
        )

    return [
        there(idrid.records("lesions")[0], url="a photograph.jpg", mask_url="masks.png"),
        there(GRADED["IDRiD_145_train"], url="a photograph.jpg"),
    ], masks


def test_photographs_are_downloaded_once(served, tmp_path):
    (outlined, graded), masks = served
    idrid.fetch([outlined, graded], tmp_path / "kept")
    number = len(Handler.requests)
    assert number == 3
    found = idrid.load(outlined, downloads=tmp_path / "kept")
    np.testing.assert_allclose(
        found.masks["hemorrhage"], found.transform.mask_to_prepared(masks["HE"])
    )
    assert idrid.load(graded, downloads=tmp_path / "kept").grade == graded.grade
    assert len(Handler.requests) == number
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == [
        "IDRiD_01.jpg",
        "IDRiD_01_masks.png",
        "IDRiD_145_train.jpg",
    ]


def test_an_interrupted_download_goes_on_and_leaves_nothing_unfinished(served, tmp_path):
    (outlined, graded), _ = served
    Handler.broken.add("/masks.png")
    with pytest.raises(
        external.Unavailable,
        match="IDRiD_01_masks.png: could not be "
        "downloaded from http://127.*masks.png .*CNNVIZ_MIRROR",
    ) as error:
        idrid.fetch([graded, outlined], tmp_path / "kept")
    assert "\n" not in str(error.value)
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == [
        "IDRiD_01.jpg",
        "IDRiD_145_train.jpg",
    ]
    Handler.broken.clear()
    Handler.requests.clear()
    idrid.fetch([graded, outlined], tmp_path / "kept")
    assert Handler.requests == ["/masks.png"]


def test_a_damaged_file_is_downloaded_again(served, tmp_path):
    (_, graded), _ = served
    idrid.fetch([graded], tmp_path)
    path = tmp_path / "IDRiD_145_train.jpg"
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])
    idrid.load(graded, downloads=tmp_path)
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "change, reason",
    [(lambda url: url + ".absent", "404"), (lambda url: "http://127.0.0.1:9/", "refused")],
)
def test_failing_downloads_name_file_address_and_remedy(served, tmp_path, change, reason):
    (_, graded), _ = served
    record = graded._replace(url=change(graded.url))
    with pytest.raises(external.Unavailable, match=reason) as error:
        idrid.load(record, downloads=tmp_path / "kept")
    message = str(error.value)
    assert record.url in message and "fundus.mirror" in message and "\n" not in message
    assert not list((tmp_path / "kept").glob("*"))


def test_another_file_at_the_address_is_refused(served, tmp_path):
    (_, graded), _ = served
    with pytest.raises(external.Unavailable, match="hash"):
        idrid.load(graded._replace(sha256="0" * 64), downloads=tmp_path / "kept")
    assert not list((tmp_path / "kept").glob("*"))


def test_a_downloaded_mask_with_other_colors_is_named(served, server, tmp_path):
    (outlined, _), _ = served
    Image.new("RGB", idrid.SHAPE[::-1], (77, 77, 77)).save(server[1] / "masks.png")
    record = outlined._replace(mask_sha256=files.sha256(server[1] / "masks.png"))
    with pytest.raises(ValueError, match="IDRiD_01_masks.png: row 0, column 0: "):
        idrid.load(record, downloads=tmp_path)


def test_addresses_are_quoted():
    assert external.address("a/b", "0" * 40, "x y/z.jpg") == (
        f"https://raw.githubusercontent.com/a/b/{'0' * 40}/x%20y/z.jpg"
    )
