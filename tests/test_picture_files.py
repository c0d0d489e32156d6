"""Picture files: right colors of every mode and format, or one line that says why not."""

import io

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from cnnviz.datasets import fundus, picture_files, pictures
from cnnviz.runtime.errors import MissingFileError, StorageError, UserError

rng = np.random.RandomState(5)
#: Patches of 8 pixels, so that neither JPEG's blocks nor palettes mix colors.
CHART = np.kron(rng.randint(0, 256, (4, 6, 3)), np.ones((8, 8, 1))).astype(np.uint8)
RGB = Image.fromarray(CHART)
GRAY = np.asarray(RGB.convert("L"))
ALPHA = rng.randint(0, 256, GRAY.shape).astype(np.uint8)


def on_white(values, alpha=ALPHA):
    share = alpha[..., np.newaxis] / 255 if values.ndim == 3 else alpha / 255
    return values / 255 * share + 1 - share


def lab():
    """The chart in CIE L*a*b*, and what of it eight bits keep."""
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    found = ImageCms.profileToProfile(RGB, *profiles, outputMode="LAB")
    return found, np.asarray(
        ImageCms.profileToProfile(found, *profiles[::-1], outputMode="RGB")
    ) / 255


PALETTE = RGB.quantize(24)
COLORS = np.asarray(PALETTE.convert("RGB")) / 255
BINARY = RGB.convert("1")
#: A picture in each of Pillow's modes, the truth in [0, 1], and formats that hold it.
MODES = {
    "1": (BINARY, np.asarray(BINARY) * 1.0, "TIFF PNG BMP GIF PPM TGA PCX"),
    "L": (RGB.convert("L"), GRAY / 255, "JPEG TIFF PNG BMP GIF PPM JPEG2000 TGA SGI PCX"),
    "LA": (Image.fromarray(np.dstack([GRAY, ALPHA])), on_white(GRAY), "TIFF PNG WEBP TGA JPEG2000"),
    "P": (PALETTE, COLORS, "TIFF PNG BMP GIF TGA PCX"),
    "PA": (PALETTE.convert("PA"), COLORS, "TIFF"),
    "RGB": (RGB, CHART / 255, "JPEG TIFF PNG BMP GIF PPM WEBP JPEG2000 TGA SGI PCX QOI"),
    "RGBA": (
        Image.fromarray(np.dstack([CHART, ALPHA])),
        on_white(CHART),
        "TIFF PNG WEBP TGA JPEG2000 QOI SGI",
    ),
    "RGBX": (RGB.convert("RGBX"), CHART / 255, "TIFF JPEG"),
    "CMYK": (RGB.convert("CMYK"), CHART / 255, "JPEG TIFF JPEG2000"),
    "YCbCr": (RGB.convert("YCbCr"), CHART / 255, "JPEG TIFF JPEG2000"),
    "LAB": (*lab(), "TIFF"),
    "HSV": (RGB.convert("HSV"), CHART / 255, "WEBP"),
    "I": (Image.fromarray(GRAY.astype(np.int32) * 257), GRAY / 255, "PPM"),
    "I;16": (Image.fromarray(GRAY.astype(np.uint16) * 257), GRAY / 255, "TIFF PNG PPM JPEG2000"),
    "I;16B": (Image.fromarray((GRAY * 257.0).astype(">u2")), GRAY / 255, "TIFF PNG"),
    "F": (Image.fromarray((GRAY / 255).astype(np.float32)), GRAY / 255, "TIFF PPM"),
}
OPTIONS = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True, "exact": True}}
# What 8 bits and the transforms of JPEG and YCbCr lose; modes were mistaken by 0.2 and more.
TOLERANCE = 0.02


def check(path, truth, tolerance=TOLERANCE):
    """Both readers give the truth."""
    found = pictures.read_picture(path)
    photograph = fundus.read_image(path)
    assert found.dtype == np.float64 and photograph.dtype == np.uint8
    assert photograph.shape == (*truth.shape[:2], 3)
    colored = truth if truth.ndim == 3 else truth[..., np.newaxis]
    np.testing.assert_allclose(
        found if found.ndim == 3 else found[..., np.newaxis],
        np.broadcast_to(colored, (*truth.shape[:2], 3 if found.ndim == 3 else 1)),
        atol=tolerance,
    )
    np.testing.assert_allclose(
        photograph / 255, np.broadcast_to(colored, photograph.shape), atol=tolerance + 0.5 / 255
    )


# --- Colors ------------------------------------------------------------------


@pytest.mark.parametrize(
    "mode, form", [(mode, form) for mode, (_, _, forms) in MODES.items() for form in forms.split()]
)
def test_every_mode_has_its_colors(tmp_path, mode, form):
    picture, truth, _ = MODES[mode]
    # The name's end says nothing.
    picture.save(tmp_path / "chart.png", form, **OPTIONS.get(form, {}))
    check(tmp_path / "chart.png", truth)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_tiffs_have_theirs(tmp_path, mode, compression):
    picture, truth, _ = MODES[mode]
    picture.save(tmp_path / "chart.tif", compression=compression)
    check(tmp_path / "chart.tif", truth)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("planes", ["rgb", "separate", "minisblack", "miniswhite"])
@pytest.mark.parametrize("kind", ["u1", "<u2", ">u2", "<f2", "<f4", ">f4", "<f8"])
def test_deep_tiffs_have_theirs(tmp_path, kind, planes, compression):
    color = planes in ("rgb", "separate")
    truth = CHART / 255 if color else GRAY / 255
    values = np.moveaxis(truth, -1, 0) if planes == "separate" else truth
    values = 1 - values if planes == "miniswhite" else values
    kind = np.dtype(kind)
    if kind.kind == "u":
        values = np.rint(values * np.iinfo(kind).max)
    tifffile.imwrite(
        tmp_path / "chart.tif",
        values.astype(kind),
        compression=compression,
        photometric="rgb" if color else planes,
        byteorder=kind.str[0].replace("|", "<"),
        planarconfig="separate" if planes == "separate" else None,
    )
    check(tmp_path / "chart.tif", truth, 1e-3)


@pytest.mark.parametrize("kind", ["<u4", "<i4", "<i2", "i1"])
@pytest.mark.parametrize("photometric", ["rgb", "minisblack"])
def test_numbers_without_a_white_are_refused(tmp_path, kind, photometric):
    values = (CHART if photometric == "rgb" else GRAY).astype(kind)
    tifffile.imwrite(tmp_path / "chart.tif", values, photometric=photometric)
    refused(tmp_path / "chart.tif", "nobody knows what is white", readers=READERS[:2])


@pytest.mark.parametrize(
    "extra, truth",
    [
        ("ASSOCALPHA", on_white(CHART)),
        ("UNASSALPHA", on_white(CHART)),
        ("UNSPECIFIED", CHART / 255),
    ],
)
def test_a_fourth_channel_is_what_the_file_calls_it(tmp_path, extra, truth):
    colors = CHART
    if extra == "ASSOCALPHA":
        colors = np.rint(CHART * (ALPHA[..., np.newaxis] / 255))
    tifffile.imwrite(
        tmp_path / "chart.tif",
        np.dstack([colors, ALPHA]).astype(np.uint8),
        photometric="rgb",
        extrasamples=[extra],
    )
    check(tmp_path / "chart.tif", truth)


def few_bits(bits):
    """A gray PNG file of few bits to a pixel whose value 1 is transparent."""
    import struct
    import zlib

    rows = np.arange(8) % 2**bits
    packed = np.packbits(((rows[:, np.newaxis] >> np.arange(bits)[::-1]) & 1).astype(bool))

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    return rows, (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 2, bits, 0, 0, 0, 0))
        + chunk(b"tRNS", b"\0\1")
        + chunk(b"IDAT", zlib.compress((b"\0" + packed.tobytes()) * 2))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_one_gray_of_few_bits_is_transparent(tmp_path, bits):
    rows, data = few_bits(bits)
    (tmp_path / "x.png").write_bytes(data)
    check(tmp_path / "x.png", np.tile(np.where(rows == 1, 1, rows / (2**bits - 1)), (2, 1)), 1e-9)


@pytest.mark.parametrize(
    "picture, transparent, form",
    [
        (RGB, tuple(map(int, CHART[0, 0])), "PNG"),
        (RGB.convert("L"), int(GRAY[0, 0]), "PNG"),
        (MODES["I;16"][0], 257 * int(GRAY[0, 0]), "PNG"),
        (PALETTE, int(np.asarray(PALETTE)[0, 0]), "PNG"),
        (PALETTE, int(np.asarray(PALETTE)[0, 0]), "GIF"),
    ],
)
def test_one_color_is_transparent(tmp_path, picture, transparent, form):
    picture.save(tmp_path / "x.png", form, transparency=transparent)
    values, truth = np.asarray(picture), np.asarray(picture.convert("RGB")) / 255
    if picture.mode in ("L", "I;16"):
        truth = GRAY / 255
    hidden = values == values[0, 0]
    hidden = hidden.all(axis=2) if hidden.ndim == 3 else hidden
    assert 0 < hidden.sum() < hidden.size
    check(
        tmp_path / "x.png",
        np.where(hidden if truth.ndim == 2 else hidden[..., np.newaxis], 1, truth),
        1e-3,
    )


def test_a_palette_s_opacities(tmp_path):
    PALETTE.save(tmp_path / "x.png", transparency=bytes(range(0, 240, 10)))
    check(tmp_path / "x.png", on_white(255 * COLORS, 10.0 * np.asarray(PALETTE)), 1e-3)


def test_profiles_of_inks_are_followed_if_they_are_such(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for found in (profile, b"damaged"):
        RGB.convert("CMYK").save(tmp_path / "x.tif", icc_profile=found)
        check(tmp_path / "x.tif", CHART / 255)


# --- Orientation --------------------------------------------------------------

#: From the upright picture to what the file holds (Exif 2.3, tag 274).
STORED = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: np.rot90(x, -1),
}


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", STORED)
def test_pictures_are_turned_upright(tmp_path, orientation, form):
    exif = Image.Exif()
    exif[274] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](CHART)))
    stored.save(tmp_path / "x", form, exif=exif, **OPTIONS.get(form, {}))
    check(tmp_path / "x", CHART / 255)


def test_floating_point_colors_are_turned_too(tmp_path):
    tifffile.imwrite(
        tmp_path / "x.tif",
        np.rot90(CHART / np.float32(255)),
        photometric="rgb",
        extratags=[(274, "H", 1, 6, True)],
    )
    check(tmp_path / "x.tif", CHART / 255)


@pytest.mark.parametrize("notes", [b"Exif\0\0damaged", b"Exif\0\0II*\0\xff\xff\xff\xff"])
def test_damaged_notes_are_no_reason_to_refuse(tmp_path, notes):
    RGB.save(tmp_path / "x.jpg", exif=notes, **OPTIONS["JPEG"])
    check(tmp_path / "x.jpg", CHART / 255)


# --- Refusals -------------------------------------------------------------------

READERS = (pictures.read_picture, fundus.read_image, fundus.read_mask)


def refused(path, message, kind=UserError, readers=READERS):
    for read in readers:
        with pytest.raises(kind, match=message) as error:
            read(path)
        text = str(error.value)
        assert text.startswith(f"{path}: ") and len(text.splitlines()) == 1
        assert text.count(str(path)) <= 2 and "object at 0x" not in text


@pytest.mark.parametrize("form", ["GIF", "TIFF", "PNG", "WEBP"])
def test_several_pictures_in_one_are_refused(tmp_path, form):
    others = [Image.fromarray(np.roll(CHART, k, 0)) for k in (8, 16)]
    RGB.save(tmp_path / "x", form, save_all=True, append_images=others)
    refused(tmp_path / "x", "holds 3 pictures; save the one")


def test_telephones_hold_a_picture_and_what_lightens_it(tmp_path):
    RGB.save(
        tmp_path / "x.jpg",
        "MPO",
        save_all=True,
        append_images=[RGB.convert("L")],
        **OPTIONS["JPEG"],
    )
    check(tmp_path / "x.jpg", CHART / 255)


def test_stacks_of_floating_point_pictures_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", np.zeros((3, 5, 6, 3), np.float32), photometric="rgb")
    refused(tmp_path / "x.tif", "holds 3 pictures")


@pytest.mark.parametrize("low, high", [(0, 7), (-1, 1), (np.nan, 0.5), (0, np.inf)])
@pytest.mark.parametrize("channels", [1, 3])
def test_floating_point_values_are_from_0_to_1(tmp_path, low, high, channels):
    values = np.full((9, 9, channels), 0.5, np.float32)
    values[0], values[1] = low, high
    tifffile.imwrite(
        tmp_path / "x.tif", values.squeeze(), photometric="rgb" if channels == 3 else "minisblack"
    )
    refused(tmp_path / "x.tif", "x.tif: values from .* instead of 0 to 1", readers=READERS[:2])


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "BMP", "GIF", "PPM", "WEBP", "JPEG2000"])
@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.9])
def test_truncated_files_are_refused(tmp_path, form, share):
    stream = io.BytesIO()
    # Noise, which no compression makes so small that headers are most of the file.
    Image.fromarray(rng.randint(0, 256, (64, 64, 3)).astype(np.uint8)).save(stream, form)
    data = stream.getvalue()
    (tmp_path / "x.png").write_bytes(data[: int(share * len(data))])
    refused(tmp_path / "x.png", "truncated or not a JPEG" if share else "it is empty")


@pytest.mark.parametrize(
    "data, message",
    [
        (b"some text", "truncated or not a JPEG"),
        (b"<html>not found</html>", "truncated or not a JPEG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n(x) run\n", "truncated or not a JPEG"),
        (b"II*\0\x08\0\0\0", "truncated or not a JPEG"),
        (b"MM\0*\0\0\0\x08\0\0", "truncated or not a JPEG"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n",
            "Git LFS pointer.*git lfs pull",
        ),
    ],
)
def test_files_of_other_kinds_are_named(tmp_path, data, message):
    (tmp_path / "x.png").write_bytes(data)
    refused(tmp_path / "x.png", message)


def test_missing_files_and_folders_are_named(tmp_path, monkeypatch):
    refused(tmp_path / "absent.png", "no such file", MissingFileError)
    refused(tmp_path, "is a folder")
    RGB.save(tmp_path / "x.png")

    def forbidden(*_):
        raise PermissionError(13, "Permission denied", str(tmp_path / "x.png"))

    monkeypatch.setattr("builtins.open", forbidden)
    refused(tmp_path / "x.png", "Permission denied; change", StorageError)


@pytest.mark.parametrize("size", [(30000, 30000), (10000, 9000), (4000000, 4000000)])
def test_files_that_claim_a_huge_picture_are_refused(tmp_path, size):
    import struct
    import zlib

    header = b"IHDR" + struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    (tmp_path / "x.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + header
        + struct.pack(">I", zlib.crc32(header))
        + struct.pack(">I", 0)
        + b"IDAT"
        + struct.pack(">I", zlib.crc32(b"IDAT"))
    )
    refused(tmp_path / "x.png", "too large .*decompression bomb.*; reduce it")


def test_unusual_files_that_claim_a_huge_picture_are_refused(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "x.tif", np.zeros((90, 90, 3), np.float32), photometric="rgb")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5000)
    refused(tmp_path / "x.tif", "too large")


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["JPEG", "PNG", "TIFF", "BMP", "GIF"]), st.data())
def test_damaged_bytes_are_read_or_refused(tmp_path_factory, form, data):
    stream = io.BytesIO()
    RGB.save(stream, form)
    damaged = bytearray(stream.getvalue())
    for place in data.draw(st.lists(st.integers(0, len(damaged) - 1), max_size=9)):
        damaged[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(damaged)
    try:
        found = picture_files.read(path)
    except UserError as error:
        assert str(error).startswith(str(path))
    else:
        assert found.ndim in (2, 3) and (found.dtype == np.uint8 or 0 <= found.min())


# --- Masks ----------------------------------------------------------------------

MASK = ALPHA > 99


@pytest.mark.parametrize(
    "stored", [MASK, np.uint8(255 * MASK), np.uint8(MASK), np.uint16(MASK), np.uint16(65535 * MASK)]
)
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_masks_are_read_from_files(tmp_path, stored, form):
    Image.fromarray(stored).save(tmp_path / "mask", form)
    np.testing.assert_array_equal(fundus.read_mask(tmp_path / "mask"), MASK)


def test_masks_of_a_palette(tmp_path):
    """As IDRiD's own files are: red on black."""
    mask = Image.fromarray(np.uint8(MASK), "P")
    mask.putpalette([0, 0, 0, 128, 0, 0])
    mask.save(tmp_path / "mask.tif")
    np.testing.assert_array_equal(fundus.read_mask(tmp_path / "mask.tif"), MASK)


@pytest.mark.parametrize(
    "stored, message",
    [
        (CHART, "image of mode RGB instead of one channel"),
        (GRAY, "gray values; a mask is"),
        (np.dstack([GRAY, ALPHA]), "image of mode LA"),
        (np.where(MASK, np.uint8(9), np.uint8(3)), "2 gray values; a mask is black"),
    ],
)
def test_other_pictures_are_no_masks(tmp_path, stored, message):
    Image.fromarray(stored).save(tmp_path / "mask.png")
    with pytest.raises(UserError, match=f"mask.png: .*{message}"):
        fundus.read_mask(tmp_path / "mask.png")
