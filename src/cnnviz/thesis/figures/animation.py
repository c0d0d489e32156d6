"""Animations of saliency overlays, frame by frame in the colors of a small palette."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from cnnviz.attribution import overlay
from cnnviz.runtime import files
from cnnviz.thesis.figures import style

__all__ = ["enlarge", "frame", "save", "with_area", "with_box"]

GRAYS = 32  # few, so that files are small; the colors of marks come after them
AREA, BOX = GRAYS, GRAYS + 1
SCALE = 4  # pixels of a frame to a pixel of an image
GAP, LINE = 8, 16  # pixels of a frame: between panels, of text
DURATION = 90  # milliseconds a frame
SUPPORTED = 256  # colors of a palette


def _palette() -> np.ndarray:
    """Red, green and blue of every color, ``(256, 3)``."""
    colors = np.zeros((SUPPORTED, 3), np.uint8)
    colors[:GRAYS] = np.linspace(0, 255, GRAYS).round()[:, np.newaxis]
    for place, color in ((AREA, style.OUTLINE), (BOX, style.RECEPTIVE_FIELD)):
        colors[place] = [int(color[k : k + 2], 16) for k in (1, 3, 5)]
    return colors


def enlarge(image: np.ndarray, scale: int = SCALE) -> np.ndarray:
    """Indices of grays of an enlarged image with values in [0, 1]."""
    grays = np.rint(np.clip(image, 0, 1) * (GRAYS - 1)).astype(np.uint8)
    return np.kron(grays, np.ones((scale, scale), np.uint8))


def with_area(image: np.ndarray, mask: np.ndarray, scale: int = SCALE) -> np.ndarray:
    """An enlarged image with an area brightened and outlined.

    Parameters
    ----------
    image : array, ``(rows, columns)``, in [0, 1]
    mask : bool array, ``(rows, columns)``
    scale : int

    Returns
    -------
    uint8 array, ``(scale * rows, scale * columns)``
        Indices of colors.
    """
    picture = enlarge(overlay.brighten(image, mask), scale)
    large = np.kron(mask, np.ones((scale, scale), bool))
    picture[large & ~ndimage.binary_erosion(large)] = AREA
    return picture


def with_box(picture: np.ndarray, box: tuple[int, int, int, int], scale: int = SCALE) -> np.ndarray:
    """An enlarged image with the outline of a box: closed along the image's border.

    Parameters
    ----------
    picture : uint8 array, ``(rows, columns)``
        From :func:`enlarge` or :func:`with_area`.
    box : (first row, first column, end row, end column)
        Pixels of the image before it was enlarged; may cross its border.
    scale : int
    """
    picture = picture.copy()
    top, left = np.maximum(box[:2], 0) * scale
    bottom, right = np.minimum(np.multiply(box[2:], scale), picture.shape)
    picture[[top, bottom - 1], left:right] = BOX
    picture[top:bottom, [left, right - 1]] = BOX
    return picture


def frame(
    panels: Sequence[np.ndarray], titles: Sequence[str], above: str, below: str
) -> Image.Image:
    """A frame: panels side by side, with a line of text above, between and below.

    Parameters
    ----------
    panels : list of uint8 arrays of one shape
    titles : list of str
        Of the panels.
    above, below : str

    Returns
    -------
    PIL.Image.Image
        With a palette.
    """
    rows, columns = panels[0].shape
    width = len(panels) * (columns + GAP) + GAP
    canvas = np.zeros((rows + 3 * LINE + GAP, width), np.uint8)
    lefts = [GAP + k * (columns + GAP) for k in range(len(panels))]
    for panel, left in zip(panels, lefts):
        canvas[2 * LINE : 2 * LINE + rows, left : left + columns] = panel
    image = Image.fromarray(canvas)
    # On black, whatever lies between it and the color of the text is a gray, too.
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(LINE - 4)
    for text, left, top in (
        (above, GAP, 1),
        (below, GAP, 2 * LINE + rows + 3),
        *((title, left, LINE) for title, left in zip(titles, lefts)),
    ):
        draw.text((left, top), text, fill=GRAYS - 1, font=font)
    image.putpalette(_palette().ravel().tolist())
    return image


def save(path: Path, frames: Sequence[Image.Image]) -> None:
    """Write frames as a GIF that begins again at its end; equal frames, equal bytes."""
    with files.atomic(path) as temporary:
        frames[0].save(
            temporary,
            save_all=True,
            append_images=frames[1:],
            loop=0,
            duration=DURATION,
            optimize=False,
        )
