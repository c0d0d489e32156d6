"""Files are finished or absent, and errors name file, reason and remedy."""
import collections
import os
import stat

import numpy as np
import pytest

from cnnviz import files

Usage = collections.namedtuple("Usage", "total used free")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# --- atomic -----------------------------------------------------------------

def test_atomic_creates_the_file_and_its_folder(tmp_path):
    path = tmp_path / "new" / "folder" / "file.txt"
    with files.atomic(path) as temporary:
        temporary.write_text("done")
        assert not path.exists()
        assert temporary.parent == path.parent and temporary.suffix == ".txt"
    assert path.read_text() == "done"
    assert names(path.parent) == ["file.txt"]


def test_atomic_keeps_an_earlier_file_when_the_body_raises(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("earlier")
    with pytest.raises(KeyboardInterrupt):
        with files.atomic(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt
    assert path.read_text() == "earlier"
    assert names(tmp_path) == ["file.txt"]


def test_atomic_replaces_an_earlier_file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("earlier")
    files.write_text(path, "later, with é")
    assert path.read_bytes() == "later, with é".encode("utf-8")
    assert names(tmp_path) == ["file.txt"]


@pytest.mark.parametrize("umask, mode", [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        files.write_text(tmp_path / "file.txt", "")
        assert os.umask(umask) == umask  # and the umask itself is left alone
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file.txt").stat().st_mode) == mode


# --- require_space and sha256 -----------------------------------------------

def test_require_space_names_folder_need_and_free_space(tmp_path, monkeypatch):
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: Usage(9e9, 8e9, 3e6))
    with pytest.raises(OSError, match="7 MB are needed and 3 MB are free") as error:
        files.require_space(tmp_path, 7e6)
    assert str(tmp_path) in str(error.value)
    files.require_space(tmp_path, 3e6)


@pytest.mark.parametrize("save", [
    lambda path: files.save_array(path, np.zeros(10)),
    lambda path: files.save_arrays(path, x=np.zeros(10)),
])
def test_saving_on_a_full_disk_writes_nothing(tmp_path, monkeypatch, save):
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: Usage(9e9, 9e9, 0))
    with pytest.raises(OSError, match="needed"):
        save(tmp_path / "file.npy")
    assert names(tmp_path) == []


@pytest.mark.parametrize("content, digest", [
    (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (b"a" * 10 ** 6, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
    # Longer than one block of reading; digest from GNU sha256sum.
    (bytes(2 << 20), "5647f05ec18958947d32874eeb788fa396a05d0bab7c1b71f112ceb7e9b31eee"),
])
def test_sha256_of_known_bytes(tmp_path, content, digest):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert files.sha256(path) == digest


# --- Arrays -----------------------------------------------------------------

def refused(path, match, load=files.load_array, **options):
    with pytest.raises(ValueError, match=match) as error:
        load(path, remedy="make it", **options)
    assert str(path) in str(error.value)
    assert "run 'make it' again" in str(error.value)


@pytest.fixture
def npy(tmp_path):
    path = tmp_path / "array.npy"
    files.save_array(path, np.arange(600.).reshape(20, 30))
    return path


@pytest.fixture
def npz(tmp_path):
    path = tmp_path / "arrays.npz"
    files.save_arrays(path, x=np.arange(500.), y=np.ones((2, 3), np.uint8))
    return path


def test_an_array_comes_back(npy):
    array = files.load_array(npy, shape=[20, 30], dtype=float)
    np.testing.assert_array_equal(array, np.arange(600.).reshape(20, 30))


def test_named_arrays_come_back(npz):
    arrays = files.load_arrays(npz)
    assert list(arrays) == ["x", "y"]
    np.testing.assert_array_equal(arrays["x"], np.arange(500.))
    assert arrays["y"].dtype == np.uint8 and arrays["y"].shape == (2, 3)


@pytest.mark.parametrize("kept", [0, 3, 60, 200, -1])
def test_truncated_array_is_refused(npy, kept):
    npy.write_bytes(npy.read_bytes()[:kept])
    refused(npy, "truncated")


@pytest.mark.parametrize("kept", [0, 3, 60, 4000, -1])
def test_truncated_archive_is_refused(npz, kept):
    npz.write_bytes(npz.read_bytes()[:kept])
    refused(npz, "truncated", files.load_arrays)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damage_inside_an_archive_is_refused(tmp_path, rng, save):
    npz = tmp_path / "arrays.npz"
    save(npz, x=rng.randint(5, size=500))
    content = npz.read_bytes()
    # Beyond the names and sizes (150 bytes), before the table of contents.
    for place in range(150, len(content) - 150, 13):
        damaged = bytearray(content)
        damaged[place] ^= 0xff
        npz.write_bytes(damaged)
        refused(npz, "truncated or not", files.load_arrays)


@pytest.mark.parametrize("load", [files.load_array, files.load_arrays])
def test_a_text_file_is_refused(tmp_path, load):
    path = tmp_path / "file.npy"
    path.write_text("<html>404 Not Found</html>\n" * 20)
    refused(path, "not an array file", load)


@pytest.mark.parametrize("load", [files.load_array, files.load_arrays])
def test_a_file_that_only_begins_like_a_zip_is_refused(tmp_path, load):
    path = tmp_path / "file.npz"
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    refused(path, "not an array file", load)


def test_archive_instead_of_array_and_array_instead_of_archive(npy, npz):
    refused(npz, "several arrays")
    refused(npy, "not an array file", files.load_arrays)


def test_pickled_objects_are_refused(tmp_path):
    objects = np.array([{"a": 1}, None], dtype=object)
    np.save(tmp_path / "objects.npy", objects)
    np.savez(tmp_path / "objects.npz", x=objects)
    refused(tmp_path / "objects.npy", "allow_pickle")
    refused(tmp_path / "objects.npz", "allow_pickle", files.load_arrays)


@pytest.mark.parametrize("load", [files.load_array, files.load_arrays])
@pytest.mark.parametrize("make", ["nothing", "folder"])
def test_missing_file_or_folder_in_its_place_names_the_remedy(tmp_path, load, make):
    path = tmp_path / "absent.npy"
    if make == "folder":
        path.mkdir()
    with pytest.raises(FileNotFoundError, match="make it with 'brew'") as error:
        load(path, remedy="brew")
    assert str(path) in str(error.value)


def test_other_shape_type_and_values_are_refused(npy):
    refused(npy, r"shape \(20, 30\) instead of \(30, 20\)", shape=(30, 20))
    refused(npy, "float64 instead of float32", dtype=np.float32)
    for value in (np.nan, np.inf):
        np.save(npy, np.array([1, value]))
        refused(npy, "not finite")


def test_equal_arrays_give_equal_bytes(tmp_path, monkeypatch):
    arrays = {"x": np.arange(5.), "y": np.ones((2, 2), np.uint8)}
    files.save_arrays(tmp_path / "one.npz", **arrays)
    # Archives could carry the time of writing.
    monkeypatch.setattr("time.time", lambda: 2e9)
    files.save_arrays(tmp_path / "two.npz", **arrays)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    files.save_arrays(tmp_path / "three.npz", x=arrays["x"] + 1, y=arrays["y"])
    assert (tmp_path / "one.npz").read_bytes() != (tmp_path / "three.npz").read_bytes()
