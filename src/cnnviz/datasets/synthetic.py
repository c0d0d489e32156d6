"""Synthetic fundus photographs with exact masks of everything that is drawn on them.

The embedded data set of chapter 4: it needs no network and no account.  A
pair of eyes follows from its seed alone; a photograph can be drawn at its
camera's full size, or straight into the 512 x 512 pixels that De Fauw's
network sees, which is what training does.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from cnnviz.datasets import fundus, synthetic_eye
from cnnviz.datasets import synthetic_raster as raster
from cnnviz.datasets import synthetic_scene as scenes
from cnnviz.datasets.fundus_transform import SIZE, Transform
from cnnviz.datasets.synthetic_patients import NATURAL_SHARES, other_grade, patient
from cnnviz.datasets.synthetic_vessels import ARTERY, NEW_VESSEL, VEIN

__all__ = [
    "RETINA",
    "Record",
    "blob_masks",
    "dimensions",
    "draw",
    "eye",
    "grades",
    "load",
    "narrow",
    "pair",
    "photograph",
    "prepared",
    "prepared_window",
    "records",
    "text_mask",
]

_MARGIN = 0.03  # black margin around the field of view


def _plan(
    seed: Sequence[int] | int, shares: Sequence[float] | np.ndarray
) -> tuple[scenes.Patient, list[int], np.ndarray]:
    """Patient, grades of both eyes and their seeds; nothing is laid out yet."""
    rng = np.random.default_rng(seed)
    who = patient(rng)
    first = int(rng.choice(5, p=shares))
    grades = [first, other_grade(rng, first)]
    if rng.random() < 0.5:
        grades.reverse()
    return who, grades, rng.integers(2**62, size=2)


def grades(seed: Sequence[int], shares: np.ndarray = NATURAL_SHARES) -> list[int]:
    """Grades of both eyes of a patient, much faster than :func:`pair`.

    Parameters as there.

    Returns
    -------
    [left, right] : list of int
    """
    return _plan(seed, shares)[1]


def eye(
    seed: Sequence[int] | int, side: str, shares: Sequence[float] | np.ndarray = NATURAL_SHARES
) -> scenes.Scene:
    """One eye of a patient: the "left" or the "right" one of :func:`pair`."""
    who, wanted, seeds = _plan(seed, shares)
    index = fundus.SIDES.index(side)
    return synthetic_eye.scene(int(seeds[index]), side, who, wanted[index])


def pair(seed: Sequence[int] | int, shares: Sequence[float] | np.ndarray = NATURAL_SHARES) -> Any:
    """Left and right eye of a patient.

    Parameters
    ----------
    seed : int or sequence of int
        Decides everything.
    shares : float array, ``(5,)``
        Probabilities of the grades of the first eye.

    Returns
    -------
    left, right : Scene
    """
    return tuple(eye(seed, side, shares) for side in fundus.SIDES)


def _density(
    scene: scenes.Scene,
    kind: int,
    shape: tuple[int, int],
    window: tuple[float, float, float, float],
) -> np.ndarray:
    target = np.zeros(shape, np.float32)
    raster.strokes(target, scene.segments[scene.segments[:, 6] == kind], window)
    return target


def _frame(rng: np.random.Generator, spacing: float, stretch: float = 1.0) -> np.ndarray:
    """Turned and stretched lattice coordinates for :func:`raster.noise`."""
    angle = rng.uniform(0, np.pi)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return turn * np.array([[1 / (spacing * stretch)], [1 / spacing]])


def _texture(
    rng: np.random.Generator,
    scene: scenes.Scene,
    shape: tuple[int, int],
    window: tuple[float, float, float, float],
) -> np.ndarray:
    """Fundus texture: mottling, and the choroid's vessels."""
    target = np.zeros(shape, np.float32)

    def add(spacing, amplitude, stretch=1.0, ridged=False):
        gradients = rng.standard_normal((64, 64, 2), np.float32)
        raster.noise(target, gradients, _frame(rng, spacing, stretch), amplitude, ridged, window)

    for spacing, amplitude in ((0.6, 0.10), (0.13, 0.035), (0.035, 0.02)):
        add(spacing, amplitude * rng.uniform(0.3, 1.2))
    strength = scene.patient.tessellation
    if strength > 0.02:
        for stretch in (1.5, 2.5, 3.5):
            add(0.07, strength, stretch, ridged=True)
    return target


def _vessel_masks(
    scene: scenes.Scene, masks: np.ndarray, window: tuple[float, float, float, float]
) -> None:
    """Masks of the lesions that are vessels."""
    for kind, marked in scene.marked.items():
        raster.strokes(masks[kind], scene.segments[marked], window)
        # The density of a vessel, back to the share that it covers.
        np.minimum(masks[kind] * 2.5, 1, out=masks[kind])


def _write(picture: np.ndarray, text: str) -> np.ndarray:
    """Burn text into a corner of the picture, as some cameras do."""
    image = Image.fromarray(picture)
    size = max(10, picture.shape[0] // 24)
    ImageDraw.Draw(image).text(
        (0.30 * picture.shape[1], 0.90 * picture.shape[0]),
        text,
        (235, 235, 225),
        ImageFont.load_default(size),
    )
    return np.asarray(image)


def draw(
    scene: scenes.Scene, shape: tuple[int, int], window: Any, with_masks: bool = True
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Draw a scene.

    Parameters
    ----------
    scene : Scene
    shape : (rows, columns)
    window : (x, y, pixels a radius along x, the same along y)
        x and y of the left upper corner, in radii of the field of view.
    with_masks : bool
        Draw the masks too.

    Returns
    -------
    picture : uint8 array, ``(rows, columns, 3)``
    masks : dict of float32 arrays, ``(rows, columns)``
        For every kind of lesion that is there, the share of each pixel that
        its lesions cover.
    """
    window = tuple(map(float, window))
    rng = np.random.default_rng([scene.seed, 1])
    lesions = np.zeros((*shape, 3), np.float32)
    count = len(scenes.LESIONS) if with_masks else 0
    masks = np.zeros((count, *shape), np.float32)
    kinds = scene.kinds if with_masks else np.full(len(scene.kinds), -1)
    raster.blobs(lesions, masks, scene.shapes, scene.colors, kinds, window)
    picture = raster.compose(
        _texture(rng, scene, shape, window),
        *(_density(scene, kind, shape, window) for kind in (ARTERY, VEIN, NEW_VESSEL)),
        lesions,
        scene.patient.color,
        scene.patient.absorption,
        scene.patient.tint,
        scene.light,
        scene.disc,
        scene.disc_colors,
        np.concatenate([scene.fovea, scene.macula]),
        window,
    )
    raster.blur(picture, scene.sharpness * window[2], scene.sharpness * window[3])
    grain = scene.patient.grain * rng.standard_normal((*shape, 3), np.float32)
    notch = np.array([scene.notch, scene.patient.notch])
    picture = raster.finish(
        picture, scene.rim, scene.haze, notch, scene.patient.cut, 1.5 / window[2], grain, window
    )
    if scene.text:
        picture = _write(picture, scene.text)
    if not with_masks:
        return picture, {}
    _vessel_masks(scene, masks, window)
    present = {*scene.kinds[scene.kinds >= 0].tolist(), *scene.marked}
    return picture, {scenes.LESIONS[kind]: masks[kind] for kind in sorted(present)}


def _frame_of_camera(rows: int, half: float) -> tuple[int, int, float]:
    """Rows, columns and radius of the field of view of a full photograph."""
    columns = rows * 3 // 2
    return rows, columns, min(rows / (2 * half), columns / (2 * (1 + _MARGIN)))


def photograph(
    scene: scenes.Scene, rows: int | None = None
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Draw a scene at its camera's full size, with black margins.

    Parameters
    ----------
    scene : Scene
    rows : int, optional
        Of the picture; the camera's own by default.

    Returns
    -------
    picture, masks
        As :func:`draw` gives them; 3 columns to 2 rows.
    """
    half = scene.patient.half
    rows, columns, radius = _frame_of_camera(rows or scene.patient.original_rows, half)
    window = (-columns / (2 * radius), -rows / (2 * radius), radius, radius)
    return draw(scene, (rows, columns), window)


def prepared(
    scene: scenes.Scene, size: int = SIZE, with_masks: bool = False
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Draw a scene as De Fauw's preparation would leave it.

    Cropped to the field of view and stretched to a square, so without the
    detour over a full photograph.

    Returns
    -------
    picture : uint8 array, ``(size, size, 3)``
    masks : dict of float32 arrays, ``(size, size)``
    """
    return draw(scene, (size, size), prepared_window(scene, size), with_masks)


def prepared_window(scene: scenes.Scene, size: int = SIZE) -> tuple[float, float, float, float]:
    """Which part of the plane a prepared photograph shows, as :func:`draw` takes it."""
    half = scene.patient.half
    return (-1.0, -half, size / 2, size / (2 * half))


def blob_masks(
    scene: scenes.Scene, shape: tuple[int, int], window: tuple[float, float, float, float]
) -> dict[str, np.ndarray]:
    """Lesions and artifacts of a scene, without drawing it.

    Parameters
    ----------
    scene, shape, window
        As for :func:`draw`.

    Returns
    -------
    dict of float32 arrays, ``(rows, columns)``
        For every kind that is there, the share of each pixel that it covers.
    """
    names = {**dict(enumerate(scenes.LESIONS)), **scenes.ARTIFACTS}
    numbers = {kind: index for index, kind in enumerate(names)}
    masks = np.zeros((len(names), *shape), np.float32)
    raster.blobs(
        np.zeros((*shape, 3), np.float32),
        masks,
        scene.shapes,
        scene.colors,
        np.array([numbers[kind] for kind in scene.kinds.tolist()], int),
        window,
    )
    _vessel_masks(scene, masks, window)
    present = {*scene.kinds.tolist(), *scene.marked}
    return {name: masks[numbers[kind]] for kind, name in names.items() if kind in present}


def text_mask(scene: scenes.Scene, shape: tuple[int, int]) -> np.ndarray:
    """Where text is burned into the picture, bool ``(rows, columns)``."""
    black = np.zeros((*shape, 3), np.uint8)
    return (_write(black, scene.text) if scene.text else black).any(axis=2)


def dimensions(scene: scenes.Scene) -> np.ndarray:
    """De Fauw's image dimensions of a scene, float32 ``(2,)``."""
    half = scene.patient.half
    rows, columns, radius = _frame_of_camera(scene.patient.original_rows, half)
    sides = min(2 * radius, columns), min(2 * radius * half, rows)
    # He took every second pixel; 700 is his unit.
    return np.array(sides, np.float32) / 2 / 700


class Record(NamedTuple):
    """One synthetic photograph of the data set."""

    name: str  #: "17_left"
    split: str
    seed: int  #: of the data set
    patient: int
    side: str


#: The one real photograph: M. Häggström's normal left eye (CC0 1.0, WikiJournal of
#: Medicine 1 (2), 2014), which scikit-image ships.
RETINA = Record("retina", "real", -1, -1, "left")


def records(count: int, seed: int = 0, split: str = "") -> list[Record]:
    """Records of ``count`` eye pairs: left, right, left, right, ...

    Other seeds give other patients, so that training, validation and test
    never share one.
    """
    return [
        Record(f"{patient}_{side}", split, seed, patient, side)
        for patient in range(count)
        for side in fundus.SIDES
    ]


@functools.lru_cache(maxsize=1)  # both eyes of a patient follow each other
def _patient(seed: int, patient: int) -> dict[str, scenes.Scene]:
    return dict(zip(fundus.SIDES, pair([seed, patient])))


def load(record: Record) -> fundus.Photograph:
    """Draw one photograph of the data set, prepared, with its masks.

    :data:`RETINA` is read instead; it has no grade and no masks.

    Returns
    -------
    cnnviz.datasets.fundus.Photograph
        Its transform leads to the pixels of :func:`photograph`.
    """
    if record == RETINA:
        return fundus.photograph(record.name, data.retina(), patient=record.name, side=record.side)
    scene = _patient(record.seed, record.patient)[record.side]
    picture, masks = prepared(scene, with_masks=True)
    half = scene.patient.half
    rows, columns, radius = _frame_of_camera(scene.patient.original_rows, half)
    scale = np.array([2 * radius * half, 2 * radius]) / SIZE

    def place(point):
        x, y = point
        return ((y + half) * radius / scale[0] - 0.5, (x + 1) * radius / scale[1] - 0.5)

    return fundus.Photograph(
        record.name,
        fundus.standardize(picture),
        dimensions(scene),
        Transform((rows / 2 - radius * half, columns / 2 - radius), tuple(scale), (rows, columns)),
        scene.grade,
        str(record.patient),
        record.side,
        masks,
        {"optic disc": place(scene.disc[:2]), "fovea": place(scene.fovea)},
    )


def narrow(
    scene: scenes.Scene, rng: np.random.Generator, size: int = 256, scale: int = SIZE
) -> tuple[np.ndarray, int]:
    """A narrow-field picture: part of the prepared one, at its resolution.

    Parameters
    ----------
    scene : Scene
    rng : numpy.random.Generator
        Decides which part: mostly one with a lesion, if there are any.
    size : int
        Rows and columns of the part.
    scale : int
        Rows and columns of the whole.

    Returns
    -------
    picture : uint8 array, ``(size, size, 3)``
    grade : int
        Of what is in view.
    """
    half = scene.patient.half
    along = np.array([scale / 2, scale / (2 * half)])
    extent = size / along
    center = rng.uniform(-0.6, 0.6, 2) * [1, half]
    lesions = np.concatenate(
        [
            scene.shapes[scene.kinds >= 0, :2],
            *(scene.segments[marked, :2] for marked in scene.marked.values()),
        ]
    )
    if len(lesions) and rng.random() < 0.8:
        center = rng.choice(lesions) + rng.uniform(-0.35, 0.35, 2) * extent
    limit = np.array([1.0, half]) - extent / 2
    corner = np.clip(center, -limit, limit) - extent / 2
    picture, _ = draw(scene, (size, size), (*corner, *along), with_masks=False)
    return picture, scenes.grade(scene, (*corner, *(corner + extent)))
