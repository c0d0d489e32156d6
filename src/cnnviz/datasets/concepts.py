"""What a feature of De Fauw's network may look at: concepts on photographs.

The columns of thesis Table 4.1, and what else its section 4.3 names: artifacts and
the edge of the field of view.  Of synthetic photographs everything is known exactly; of
real ones as much as was outlined.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import ndimage

from cnnviz.datasets import synthetic
from cnnviz.datasets import synthetic_raster as raster
from cnnviz.datasets.fundus_transform import SIZE
from cnnviz.datasets.masks import largest_region, marked, shares
from cnnviz.datasets.synthetic_vessels import ARTERY, VEIN
from cnnviz.runtime.errors import UserError

if TYPE_CHECKING:
    from cnnviz.datasets.fundus import Photograph
    from cnnviz.datasets.fundus_transform import Transform
    from cnnviz.datasets.synthetic_scene import Scene

__all__ = [
    "CONCEPTS",
    "LESIONS",
    "NOTHING",
    "Marked",
    "dilate",
    "edge",
    "field_of_view",
    "index_map",
    "lesions_known",
    "masks",
    "of_photograph",
    "of_scene",
]

#: Signs of the disease.  Preretinal hemorrhages count as hemorrhages; new
#: vessels, venous beading and loops are abnormal vessels.
LESIONS = ("microaneurysm", "hemorrhage", "hard exudate", "soft exudate", "abnormal vessel")
#: All concepts.  A pixel belongs to the first one that is there.
CONCEPTS = (
    *LESIONS,
    "text",
    "glare spot",
    "dust",
    "lens flare",
    "overexposed rim",
    "fovea",
    "optic disc",
    "vessel",
    "field edge",
)
NOTHING = 255  #: in an index map

_SAME = {
    "preretinal hemorrhage": "hemorrhage",
    "neovascularization": "abnormal vessel",
    "venous beading": "abnormal vessel",
    "venous loop": "abnormal vessel",
}
_COVERED = 0.25  # of a pixel; the smallest lesions never cover a whole one
_DARK = 26  # gray level of 8 bits that the field of view exceeds somewhere
_EDGE = 6  # pixels on either side of the field's border
_GLOW = 0.15  # strength of an overexposed rim that counts
# A fovea of 1.5 mm and a disc of 1.8 mm lie 4.8 mm apart; half of each, in shares
# of that distance.
_FOVEA_RADIUS, _DISC_RADIUS = 0.16, 0.19


class Marked(NamedTuple):
    """Concepts of one photograph."""

    masks: dict  #: from a concept to the share of every pixel that it covers
    known: set  #: concepts that are marked wherever they are


# --- The field of view -------------------------------------------------------


def field_of_view(pixels: np.ndarray) -> np.ndarray:
    """Where the photograph shows the fundus.

    Parameters
    ----------
    pixels : uint8 array, ``(rows, columns, 3)``

    Returns
    -------
    bool array, ``(rows, columns)``
        The largest bright area, without holes.
    """
    bright = ndimage.uniform_filter(pixels.max(axis=2).astype(np.float32), 5) > _DARK
    return ndimage.binary_fill_holes(largest_region(bright))


def edge(field: np.ndarray, width: int = _EDGE) -> np.ndarray:
    """The border of the field of view, also where the photograph cuts it off.

    There the padding of the network's convolutions makes an edge.

    Parameters
    ----------
    field : bool array, ``(rows, columns)``
    width : int
        Pixels on either side of the border.

    Returns
    -------
    bool array, ``(rows, columns)``
    """
    framed, size = np.pad(marked(field, "field"), width), 2 * width + 1
    near = ndimage.maximum_filter(framed, size) & ~ndimage.minimum_filter(framed, size)
    return near[width:-width, width:-width]


# --- Synthetic photographs -------------------------------------------------------


def _grid(window: tuple[float, float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the centers of prepared pixels."""
    left, top, along_x, along_y = window
    place = np.arange(SIZE) + 0.5
    return left + place / along_x, (top + place / along_y)[:, np.newaxis]


def _disc(scene: Scene, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Share of the disc's color; see ``raster.compose``."""
    cx, cy, radius, elongation, angle = scene.disc[:5]
    dx, dy = x - cx, y - cy
    u = (np.cos(angle) * dx + np.sin(angle) * dy) / radius
    v = (np.cos(angle) * dy - np.sin(angle) * dx) / (radius * elongation)
    return np.clip((1 - np.hypot(u, v)) / 0.2 + 0.5, 0, 1)


def _rim(scene: Scene, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Where the overexposed rim shines; see ``raster.finish``."""
    direction, width, depth, strength = scene.rim[:4]
    if strength <= 0:
        return np.zeros((SIZE, SIZE), bool)
    turned = (np.arctan2(y, x) - direction + np.pi) % (2 * np.pi) - np.pi
    glow = strength * np.exp(-((turned / width) ** 2) - ((1 - np.hypot(x, y)) / depth) ** 2)
    return (glow > _GLOW) & (np.abs(turned) < 2.5 * width)


def _vessels(scene: Scene, window: tuple[float, float, float, float]) -> np.ndarray:
    density = np.zeros((SIZE, SIZE), np.float32)
    kinds = np.isin(scene.segments[:, 6], (ARTERY, VEIN))
    raster.strokes(density, scene.segments[kinds], window)
    return np.minimum(2.5 * density, 1)


def _merged(masks: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Masks under the names of their concepts, the stronger where two are one."""
    merged = {}
    for name, mask in masks.items():
        name = _SAME.get(name, name)
        merged[name] = np.maximum(merged[name], mask) if name in merged else mask
    return merged


def of_scene(scene: Scene, field: np.ndarray) -> Marked:
    """Everything that is drawn on a photograph, as De Fauw's network sees it.

    Parameters
    ----------
    scene : cnnviz.datasets.synthetic_scene.Scene
    field : bool array, ``(512, 512)``
        From :func:`field_of_view`.

    Returns
    -------
    Marked
    """
    window = synthetic.prepared_window(scene)
    x, y = _grid(window)
    fovea = np.hypot(x - scene.fovea[0], y - scene.fovea[1])
    between = np.hypot(*(scene.disc[:2] - scene.fovea))
    masks = _merged(synthetic.blob_masks(scene, (SIZE, SIZE), window))
    masks |= {
        "fovea": fovea < _FOVEA_RADIUS * between,
        "optic disc": _disc(scene, x, y),
        "vessel": _vessels(scene, window),
        "overexposed rim": _rim(scene, x, y),
        "text": synthetic.text_mask(scene, (SIZE, SIZE)),
        "field edge": edge(field),
    }
    return Marked(masks, set(CONCEPTS))


# --- Real ones ---------------------------------------------------------------


def _circle(transform: Transform, center: tuple[float, float], radius: float) -> np.ndarray:
    """Prepared pixels around a point, within so many pixels of the original."""
    rows, columns = (
        scale * (np.arange(SIZE) - place) for scale, place in zip(transform.scale, center)
    )
    return np.hypot(rows[:, np.newaxis], columns) < radius


def of_photograph(photograph: Photograph, field: np.ndarray) -> Marked:
    """What is known of a real photograph.

    Fovea and optic disc, where nobody outlined it, are circles about their
    centers; their size follows from how far these are apart.  A photograph of
    grade 0 has no lesions.

    Parameters
    ----------
    photograph : cnnviz.datasets.fundus.Photograph
        With masks of lesions, or none.
    field : bool array, ``(512, 512)``

    Returns
    -------
    Marked
    """
    masks, known = {"field edge": edge(field)}, {"field edge"}
    if len(photograph.centers) == 2:
        transform = photograph.transform
        disc, fovea = (photograph.centers[name] for name in ("optic disc", "fovea"))
        between = np.hypot(*(np.subtract(disc, fovea) * transform.scale))
        masks["fovea"] = _circle(transform, fovea, _FOVEA_RADIUS * between)
        masks["optic disc"] = _circle(transform, disc, _DISC_RADIUS * between)
        known |= {"fovea", "optic disc"}
    if photograph.masks:
        masks |= _merged(photograph.masks)
        known |= set(photograph.masks)
    if photograph.grade == 0:
        known |= set(LESIONS)
    return Marked(masks, known)


def index_map(masks: Mapping[str, np.ndarray]) -> np.ndarray:
    """The concept of every pixel.

    Parameters
    ----------
    masks : dict
        From concepts to masks ``(rows, columns)``: bool, whole numbers, any of which
        above 0 marks a pixel, or the share covered.

    Returns
    -------
    uint8 array, ``(rows, columns)``
        Position in :data:`CONCEPTS` of the first one that covers a quarter of the
        pixel; :data:`NOTHING` elsewhere.

    Raises
    ------
    ValueError
        For something that is no concept, or a mask of other values or another shape.
    """
    unknown = set(masks) - set(CONCEPTS)
    if unknown:
        raise UserError(f"no concepts: {', '.join(sorted(unknown))}")
    masks = {name: shares(mask, f"mask '{name}'") for name, mask in masks.items()}
    shape = next(iter(masks.values())).shape
    for name, mask in masks.items():
        if mask.shape != shape:
            raise UserError(f"mask '{name}' has shape {mask.shape}, not {shape}")
    index = np.full(shape, NOTHING, np.uint8)
    for number, name in reversed(list(enumerate(CONCEPTS))):
        if name in masks:
            index[masks[name] >= _COVERED] = number
    return index


def masks(index: np.ndarray) -> np.ndarray:
    """Masks of all concepts ``(concepts, rows, columns)`` from an index map."""
    return index == np.arange(len(CONCEPTS), dtype=np.uint8)[:, np.newaxis, np.newaxis]


def dilate(index: np.ndarray, reach: int) -> np.ndarray:
    """Let lesions reach a few pixels further.

    What answers to a spot of three pixels is most sensitive around its border.

    Parameters
    ----------
    index : uint8 array, ``(rows, columns)``
        From :func:`index_map`.
    reach : int
        Pixels.

    Returns
    -------
    uint8 array, ``(rows, columns)``
        Lesions cover what lies around them, but for other lesions.
    """
    lesion = index < len(LESIONS)
    # Positions in CONCEPTS ascend, so the first lesion that is near is the minimum.
    near = ndimage.minimum_filter(np.where(lesion, index, NOTHING), 2 * reach + 1)
    return np.where(~lesion & (near != NOTHING), near, index)


def lesions_known(known: np.ndarray) -> np.ndarray:
    """Photographs all of whose lesions are marked, from ``(n, concepts)`` to ``(n,)``.

    But for abnormal vessels, which nobody outlined in real photographs.
    """
    return np.asarray(known)[:, : len(LESIONS) - 1].all(axis=1)
