"""Picture files, decoded: one reader for fundus photographs and for other pictures.

Pillow reads most files; what it does with their pixels is right for 8-bit gray and
colors, and here for everything else: inks, deep and floating point values,
transparency, orientation.  Color profiles are followed where numbers alone mean
little, for inks (CMYK), and not in pictures of red, green and blue, whose numbers
networks are trained on as they are.
"""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image, ImageCms, UnidentifiedImageError

from cnnviz.runtime import errors, files
from cnnviz.runtime.errors import MissingFileError, StorageError, UserError

__all__ = ["FORMATS", "read"]

#: Names that Pillow gives to the formats that are read.  None of them runs anything.
FORMATS = (
    "AVIF",
    "BMP",
    "DIB",
    "GIF",
    "JPEG",
    "JPEG2000",
    "MPO",
    "PCX",
    "PNG",
    "PPM",
    "QOI",
    "SGI",
    "TGA",
    "TIFF",
    "WEBP",
)
_KNOWN = "JPEG or PNG, nor a TIFF, BMP, GIF, WebP or other picture"

# Tags of TIFF files and of the notes of cameras.
_BITS, _COMPRESSION, _PHOTOMETRIC, _ORIENTATION, _PLANES = 258, 259, 262, 274, 284
_SIGN, _SUBSAMPLING = 339, 530
_NO_COMPRESSION, _WHITE_IS_ZERO, _SEPARATE, _SIGNED = 1, 0, 2, 2
# What a step of PNG's transparent gray is, by the bits of a pixel.
_STEPS = {"1": 255, "L;2": 85, "L;4": 17}


def read(path: Path | str, one_channel: bool = False) -> np.ndarray:
    """Decode a picture.

    Parameters
    ----------
    path : path
        One picture, of a format of :data:`FORMATS`, of whatever colors and depth.
    one_channel : bool
        Refuse colors; of a palette, take the brightest channel of its colors.

    Returns
    -------
    array, ``(rows, columns)`` or ``(rows, columns, 3)``
        uint8, or floating point in [0, 1] where 8 bits would lose something.  Upright,
        where the file notes its orientation; on white, where it is transparent.

    Raises
    ------
    UserError
        For a file that is missing, truncated, or no picture; several pictures in one;
        one that is too large; values of which nobody knows what is white.
    """
    _check_file(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of metadata
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            return _decoded(path, one_channel)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
        except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
            raise UserError(f"{path}: too large ({error}); reduce it first") from None
        except OSError as error:
            text = errors.of_machine(error)
            if text is not None:
                raise StorageError(f"{path}: {text}") from None
            raise _foreign(path, error) from None
        except Exception as error:  # damaged bytes raise nearly anything
            raise _foreign(path, error) from None


def _foreign(path: Path | str, error) -> UserError:
    reason = " ".join(str(error).split()) if os.path.getsize(path) else "it is empty"
    return UserError(f"{path}: truncated or not a {_KNOWN} ({reason}); fetch the file again")


def _check_file(path: Path | str) -> None:
    """What is wrong with a file whatever its kind."""
    if not os.path.exists(path):
        raise MissingFileError(f"{path}: no such file")
    if not os.path.isfile(path):
        raise UserError(f"{path}: is a folder or device; name a picture instead")
    try:
        files.refuse_pointer(path)
    except OSError as error:
        raise StorageError(errors.of_machine(error) or f"{path}: {error}") from None


def _decoded(path: Path | str, one_channel: bool) -> np.ndarray:
    Image.init()
    try:
        image = Image.open(path, formats=[each for each in FORMATS if each in Image.OPEN])
    except UnidentifiedImageError:
        with open(path, "rb") as stream:
            if stream.read(2) not in (b"II", b"MM"):
                raise
        return _unusual_tiff(path)
    with image:
        # Telephones keep a copy of the picture, or what lightens it, in MPO files.
        if image.format != "MPO":
            _check_count(getattr(image, "n_frames", 1))
        if image.format == "TIFF" and _misread(image):
            return _unusual_tiff(path)
        tile = image.tile
        image.load()
        if one_channel:
            values = _one_channel(image)
        else:
            values = _values(image, tile[0][3] if tile else None)
        return _upright(values, _orientation(image))


def _check_count(count: int) -> None:
    if count > 1:
        raise UserError(f"holds {count} pictures; save the one that is meant in a file of its own")


def _misread(image) -> bool:
    """Whether Pillow takes a TIFF file's pixels for something else."""
    tags = image.tag_v2
    deep = max(tags.get(_BITS, (1,))) > 8
    if image.mode == "YCbCr" and tuple(tags.get(_SUBSAMPLING, (2, 2))) != (1, 1):
        raise UserError(
            "colors at a lower resolution than brightness, without compression; save it as RGB"
        )
    swapped = (
        image.mode == "F"
        and tags.prefix == b"MM"
        and tags.get(_COMPRESSION, _NO_COMPRESSION) != _NO_COMPRESSION
    )
    return (
        swapped
        or _SIGNED in tags.get(_SIGN, ())
        or deep
        and (tags.get(_PLANES) == _SEPARATE or tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO)
    )


# --- Colors ------------------------------------------------------------------


def _values(image, raw: Any) -> np.ndarray:
    """Pixels of a loaded picture; ``raw`` is Pillow's name of how they lie in the file."""
    if image.mode == "F":
        return _shares(np.asarray(image))
    if image.mode.startswith("I"):
        return _deep(image)
    if image.mode in ("CMYK", "LAB"):
        return np.asarray(_in_srgb(image))
    if image.has_transparency_data:
        return _on_white(*_with_alpha(image, raw))
    return np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))


def _one_channel(image) -> np.ndarray:
    """A mask's pixels."""
    if image.mode in ("P", "PA"):
        return np.asarray(image.convert("RGB")).max(axis=2)
    if image.mode == "F":
        return _shares(np.asarray(image))
    if image.mode in ("1", "L") or image.mode.startswith("I"):
        return np.asarray(image)
    raise UserError(f"image of mode {image.mode} instead of one channel")


def _shares(values: np.ndarray) -> np.ndarray:
    """Floating point values, of which 1 is white."""
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= 1):
        raise UserError(f"values from {low} to {high} instead of 0 to 1")
    return values.astype(np.float64)


def _deep(image):
    """Whole numbers of more than 8 bits."""
    values = np.asarray(image)
    bits = 16
    if image.format == "TIFF":
        bits = image.tag_v2[_BITS][0]
    if image.format == "TIFF" and image.mode == "I":
        raise _no_white(f"{bits} bits")
    shown = values / (2.0**bits - 1)
    transparent = image.info.get("transparency")
    return shown if transparent is None else np.where(values == transparent, 1.0, shown)


def _no_white(kind: str) -> UserError:
    return UserError(
        f"whole numbers of {kind}, of which nobody knows what is white; save 8 "
        "or 16 bits without a sign, or floating point in [0, 1]"
    )


def _in_srgb(image) -> Image.Image | None:
    """Inks, or colors of CIE 1976 L*a*b* under daylight D50, as a screen shows them."""
    screen = ImageCms.createProfile("sRGB")
    if image.mode == "LAB":
        return ImageCms.profileToProfile(
            image, ImageCms.createProfile("LAB"), screen, outputMode="RGB"
        )
    profile = image.info.get("icc_profile")
    try:
        if profile:
            return ImageCms.profileToProfile(image, io.BytesIO(profile), screen, outputMode="RGB")
    except ImageCms.PyCMSError:  # damaged, or of other colors
        pass
    return image.convert("RGB")


def _with_alpha(image, raw: Any) -> tuple[np.ndarray, np.ndarray, bool]:
    """Colors, and how opaque they are, both in [0, 255]; already multiplied or not."""
    if image.mode in ("RGBa", "La"):
        values = np.asarray(image)
        return values[..., :-1], values[..., -1:], True
    transparent = image.info.get("transparency")
    if image.mode in ("1", "L") and isinstance(transparent, int):
        values = np.asarray(image.convert("L"))[..., np.newaxis]
        # Pillow stretches gray values of few bits, but not which one is transparent.
        step = _STEPS.get(raw, 1) if image.format == "PNG" else 1
        return values, np.where(values == step * transparent, 0, 255), False
    if raw == "RGB;16B" and transparent is not None:
        raise UserError(
            "16 bits and one transparent color; save it with 8 bits, or without transparency"
        )
    values = np.asarray(image.convert("LA" if image.mode == "LA" else "RGBA"))
    return values[..., :-1], values[..., -1:], False


def _on_white(colors: np.ndarray, alpha: np.ndarray, multiplied: bool) -> np.ndarray:
    if (alpha == 255).all():
        values = colors
    else:
        alpha = alpha / 255.0
        values = np.clip((1 if multiplied else alpha) * (colors / 255.0) + 1 - alpha, 0, 1)
    return values[..., 0] if values.shape[-1] == 1 else values


# --- TIFF files that Pillow doesn't read right -----------------------------------


def _unusual_tiff(path: Any) -> np.ndarray:
    """Floating point colors, and deep values in planes or with white as 0."""
    with tifffile.TiffFile(path) as file:
        _check_count(len(file.pages))
        page: Any = file.pages[0]
        if page.size > 3 * (Image.MAX_IMAGE_PIXELS or np.inf):
            raise MemoryError(f"{page.size} values")
        if page.photometric > 2 or page.samplesperpixel not in (1, 3) or page.dtype is None:
            raise UserError(
                f"{page.samplesperpixel} channels of {page.dtype} that stand for "
                f"{page.photometric.name.lower()}; save it as RGB of 8 or 16 bits"
            )
        values = page.asarray()
        if page.axes.startswith("S"):
            values = np.moveaxis(values, 0, -1)
        if values.ndim not in (2, 3) or values.shape[2:] not in ((), (3,)):
            raise UserError(
                f"holds an array of shape {values.shape}, which is neither a gray "
                "nor a color picture"
            )
        orientation = page.tags.valueof(_ORIENTATION, 1)
        if values.dtype.kind == "u" and values.dtype.itemsize <= 2:
            values = values / (2.0**page.bitspersample - 1)
        elif values.dtype.kind != "f":
            raise _no_white(f"type {values.dtype}")
        values = _shares(values)
        return _upright(1 - values if page.photometric == _WHITE_IS_ZERO else values, orientation)


# --- Orientation -----------------------------------------------------------------


def _orientation(image) -> int:
    """1 to 8, as cameras note it; 1 is upright."""
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged notes are no reason to refuse a picture
        return 1


def _upright(values: np.ndarray, orientation: int) -> np.ndarray:
    """Rows from top to bottom, columns from left to right."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return np.ascontiguousarray(values)
