"""Files are finished or absent, and errors name file, reason and remedy."""

import builtins
import collections
import contextlib
import errno
import os
import stat

import numpy as np
import pytest

from cnnviz.cli import dispatch
from cnnviz.cli.commands import arguments
from cnnviz.cli.figures import FIGURES
from cnnviz.cli.tables import TABLES
from cnnviz.datasets import kaggle
from cnnviz.networks import defauw_dump, own_parameters, weights
from cnnviz.runtime import errors, files, tables

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
    assert path.read_bytes() == "later, with é".encode()
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


# --- Refusals of the system ---------------------------------------------------


def long_name(folder):
    return folder / (300 * "x" + ".npz")


def below_a_file(folder):
    (folder / "file").write_text("")
    return folder / "file" / "out.npz"


def far_below_a_file(folder):
    return below_a_file(folder) / "deep" / "out.npz"


def folder_in_its_place(folder):
    (folder / "out.npz").mkdir()
    return folder / "out.npz"


def device(folder):
    return files.Path(os.devnull)


def link_to_itself(folder):
    (folder / "out.npz").symlink_to(folder / "out.npz")
    return folder / "out.npz"


def of_the_system(folder):
    return files.Path("/proc/out.npz")


PLACES = [
    of_the_system,
    long_name,
    below_a_file,
    far_below_a_file,
    folder_in_its_place,
    device,
    link_to_itself,
]
SAVES = {
    "atomic": lambda path: files.write_text(path, "text"),
    "array": lambda path: files.save_array(path, np.zeros(3)),
    "arrays": lambda path: files.save_arrays(path, x=np.zeros(3)),
    "rows": lambda path: tables.write_rows(path, ["a"], [{"a": 1}]),
    "tried": files.require_writable,
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("save", SAVES)
def test_impossible_places_are_one_line_that_names_them(tmp_path, place, save):
    path = place(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(errors.StorageError) as error:
        SAVES[save](path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)
    assert ".unfinished" not in str(error.value)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("save", SAVES)
def test_a_disk_that_refuses_is_one_line_that_names_the_file(tmp_path, monkeypatch, save, number):
    def refuse(prefix, suffix, dir):
        name = os.path.join(dir, prefix + "1" + suffix)
        raise OSError(number, os.strerror(number), name)

    monkeypatch.setattr(files.tempfile, "mkstemp", refuse)
    with pytest.raises(errors.StorageError) as error:
        SAVES[save](tmp_path / "out.npz")
    assert str(error.value).startswith(f"{tmp_path / 'out.npz'}: {os.strerror(number)}; ")


@pytest.mark.parametrize(
    "refusal",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        "named",
        OSError("100 requested and 3 written"),
    ],
)  # by NumPy
def test_a_disk_that_fills_up_while_writing_names_the_file(tmp_path, refusal):
    path = tmp_path / "new" / "out.npz"
    with pytest.raises(errors.StorageError) as error, files.atomic(path) as temporary:
        if refusal == "named":
            refusal = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(temporary))
        raise refusal
    assert str(error.value) == (f"{path}: No space left on device; free some space on the disk")
    assert names(tmp_path / "new") == []


def test_a_file_within_a_file_has_the_outer_one_s_name(tmp_path):
    """As where weights are compressed, read again, and only then renamed."""
    with pytest.raises(errors.UserError) as error, files.atomic(tmp_path / "x") as temporary:
        raise errors.UserError(f"{temporary}: truncated")
    assert str(error.value) == f"{tmp_path / 'x'}: truncated"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "full", "/elsewhere/file"),
        ConnectionError("lost"),
        FileNotFoundError(errno.ENOENT, "none", "/elsewhere/file"),
        ValueError("fault"),
        OSError("cannot write mode F as PNG"),
    ],
)
def test_errors_of_other_things_pass_through_writing(tmp_path, error):
    with pytest.raises(type(error)) as caught, files.atomic(tmp_path / "x"):
        raise error
    assert caught.value is error


@pytest.mark.parametrize(
    "path, folder",
    [
        ("x.npz", False),
        ("new/deep/x.npz", False),
        ("new", True),
        ("new/deep", True),
        ("there", True),
        ("earlier.npz", False),
    ],
)
def test_places_that_can_be_written_pass_and_nothing_stays(tmp_path, path, folder):
    (tmp_path / "there").mkdir()
    (tmp_path / "earlier.npz").write_text("earlier")
    before = sorted(tmp_path.rglob("*"))
    files.require_writable(tmp_path / path, folder)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "earlier.npz").read_text() == "earlier"


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_read_only_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(errors.StorageError, match="x.npz: Permission denied"):
        files.require_writable(tmp_path / "x.npz")


@pytest.mark.parametrize("name", ["x", "x.NPZ", "x.data"])
def test_numbers_go_where_they_were_sent(tmp_path, name):
    """NumPy adds its suffix to other names, and left an empty file behind."""
    files.save_arrays(tmp_path / name, x=np.arange(3))
    np.testing.assert_array_equal(files.load_arrays(tmp_path / name)["x"], np.arange(3))
    files.save_array(tmp_path / name, np.arange(4))
    np.testing.assert_array_equal(files.load_array(tmp_path / name), np.arange(4))
    assert names(tmp_path) == [name]


# --- Before the work ----------------------------------------------------------

#: What each command writes beside --output.
ALSO = {
    "die360-facts": ["--statement"],
    "table map-quality": ["--summary"],
    "train": ["--history"],
    "train-fundus": ["--history", "--checkpoint"],
    "table exemplars": ["--rows"],
    "table 5.2": ["--table"],
    "figure 5.2": ["--table"],
    "table leakage": ["--folds-table", "--by-distance"],
    "table 5.1": ["--folds-table"],
    "visualize": ["--raw-output"],
    "table 4.1": ["--features", "--roles", "--roles-of-all", "--reproduced"],
}
#: What writes nothing, or where it is told to in the repository.
SILENT = ("engine", "grade", "record", "lock", "figure", "table")  # but for each of the last two
WRITING = [
    (command, option)
    for command in (
        *dispatch.COMMANDS,
        *(f"figure {name}" for name in FIGURES),
        *(f"table {name}" for name in TABLES),
    )
    if command not in SILENT
    for option in ["--output", *ALSO.get(command, ())]
]


@pytest.mark.parametrize("command, option", WRITING)
def test_every_output_is_tried_before_anything_is_done(tmp_path, capsys, command, option):
    assert dispatch.main([*command.split(), option, str(below_a_file(tmp_path))]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"cnnviz {command.split()[0]}: {tmp_path / 'file' / 'out.npz'}")
    assert "a part of this path is a file" in error
    assert names(tmp_path) == ["file"]


def test_all_paths_that_commands_write_are_known():
    """A new option for a file to write is either tried or an input."""
    parser = arguments.argparse.ArgumentParser()
    for command in dispatch.COMMANDS:
        parser = arguments.argparse.ArgumentParser(conflict_handler="resolve")
        dispatch._module(command).add_arguments(parser)
        actions = [*parser._actions]
        for each in parser._actions:
            if isinstance(each, arguments.argparse._SubParsersAction):
                actions += [action for own in each.choices.values() for action in own._actions]
        tried = [each for each in actions if isinstance(each, arguments._Written)]
        written = [
            each
            for each in actions
            if each.help and "to write" in each.help and each.dest != "help"
        ]
        assert set(map(id, written)) <= set(map(id, tried)), command


def test_figures_are_tried_with_their_suffixes(tmp_path, capsys):
    (tmp_path / "figure.pdf").mkdir()
    assert dispatch.main(["figure", "2.1", "-o", str(tmp_path / "figure")]) == 1
    assert "figure.pdf: is a folder" in capsys.readouterr().err
    assert names(tmp_path) == ["figure.pdf"]


# --- Reading --------------------------------------------------------------------

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + 64 * "0" + "\nsize 12345\n"
READERS = {
    "array": files.load_array,
    "arrays": files.load_arrays,
    "text": files.read_text,
    "table": tables.read_table,
    "rows": tables.read_rows,
    "weights": lambda path: weights.read_metadata(path),
    "manifest": lambda path: weights.read_manifest(path.parent),
    "own parameters": lambda path: own_parameters.load(path, None),
    "labels": kaggle.read_labels,
    "outputs": kaggle.read_outputs,
    "published parameters": defauw_dump.read,
}


@pytest.mark.parametrize("read", READERS)
def test_git_lfs_pointers_are_named_by_every_reader(tmp_path, read):
    path = tmp_path / ("manifest.csv" if read == "manifest" else "file.npz")
    path.write_text(POINTER)
    with pytest.raises(errors.UserError, match="Git LFS pointer") as error:
        READERS[read](path)
    assert str(path) in str(error.value) and "'git lfs pull'" in str(error.value)


@pytest.mark.parametrize("read", READERS)
def test_files_that_may_not_be_read_are_one_line(tmp_path, monkeypatch, read):
    path = tmp_path / ("manifest.csv" if read == "manifest" else "file.npz")
    path.write_text("")
    plain = builtins.open

    def refuse(file, *arguments, **options):
        if os.fspath(file) == str(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return plain(file, *arguments, **options)

    monkeypatch.setattr(builtins, "open", refuse)
    with pytest.raises(errors.UserError) as error:
        READERS[read](path)
    assert str(error.value) == (
        f"{path}: Permission denied; change its permissions, or choose another place"
    )


@pytest.mark.parametrize("read", READERS)
def test_a_folder_in_place_of_a_file_is_one_line(tmp_path, read):
    path = tmp_path / ("manifest.csv" if read == "manifest" else "file.npz")
    path.mkdir()
    with pytest.raises(errors.UserError, match="no such file|name a file instead") as error:
        READERS[read](path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"a,b\n\xff\n", "byte 4 is not UTF-8"),
        (b"", "not a table of"),
        (b'a,b\n1,2\n"3,4\n', "not a table of"),
    ],
)
def test_tables_that_are_none_are_one_line(tmp_path, content, message):
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(errors.UserError, match=message) as error:
        tables.read_table(path, "brew")
    assert str(path) in str(error.value)
    with contextlib.suppress(errors.UserError):
        tables.read_rows(path)


def test_missing_columns_are_named(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(errors.UserError, match="x.csv: has no column c; make it with 'brew'"):
        tables.read_table(tmp_path / "x.csv", "brew", ("a", "c"))
    assert list(tables.read_table(tmp_path / "x.csv", "brew", ("a",)).b) == [2]


# --- require_space and sha256 -----------------------------------------------


def test_require_space_names_folder_need_and_free_space(tmp_path, monkeypatch):
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: Usage(9e9, 8e9, 3e6))
    with pytest.raises(OSError, match="7 MB are needed and 3 MB are free") as error:
        files.require_space(tmp_path, 7e6)
    assert str(tmp_path) in str(error.value)
    files.require_space(tmp_path, 3e6)


@pytest.mark.parametrize(
    "save",
    [
        lambda path: files.save_array(path, np.zeros(10)),
        lambda path: files.save_arrays(path, x=np.zeros(10)),
    ],
)
def test_saving_on_a_full_disk_writes_nothing(tmp_path, monkeypatch, save):
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: Usage(9e9, 9e9, 0))
    with pytest.raises(OSError, match="needed"):
        save(tmp_path / "file.npy")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "content, digest",
    [
        (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (b"a" * 10**6, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
        # Longer than one block of reading; digest from GNU sha256sum.
        (bytes(2 << 20), "5647f05ec18958947d32874eeb788fa396a05d0bab7c1b71f112ceb7e9b31eee"),
    ],
)
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
    files.save_array(path, np.arange(600.0).reshape(20, 30))
    return path


@pytest.fixture
def npz(tmp_path):
    path = tmp_path / "arrays.npz"
    files.save_arrays(path, x=np.arange(500.0), y=np.ones((2, 3), np.uint8))
    return path


def test_an_array_comes_back(npy):
    array = files.load_array(npy, shape=[20, 30], dtype=float)
    np.testing.assert_array_equal(array, np.arange(600.0).reshape(20, 30))


def test_named_arrays_come_back(npz):
    arrays = files.load_arrays(npz)
    assert list(arrays) == ["x", "y"]
    np.testing.assert_array_equal(arrays["x"], np.arange(500.0))
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
        damaged[place] ^= 0xFF
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
    np.savez(tmp_path / "objects.npz", y=np.zeros(2), x=objects)
    refused(tmp_path / "objects.npy", "array of Python objects .allow_pickle.*numbers only")
    refused(
        tmp_path / "objects.npz", "x: an array of Python objects .allow_pickle", files.load_arrays
    )


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
    arrays = {"x": np.arange(5.0), "y": np.ones((2, 2), np.uint8)}
    files.save_arrays(tmp_path / "one.npz", **arrays)
    # Archives could carry the time of writing.
    monkeypatch.setattr("time.time", lambda: 2e9)
    files.save_arrays(tmp_path / "two.npz", **arrays)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    files.save_arrays(tmp_path / "three.npz", x=arrays["x"] + 1, y=arrays["y"])
    assert (tmp_path / "one.npz").read_bytes() != (tmp_path / "three.npz").read_bytes()
