"""What is on a synthetic fundus photograph: anatomy, lesions, camera, grade.

A scene is a description, in numbers, that can be drawn at any size
(:mod:`cnnviz.datasets.synthetic`).  Lesions are drawn for a grade of the
International Clinical Disease Severity Scale (Wilkinson et al. 2003; thesis
section 4.1.2), and :func:`grade` reads it off again from what is there.

Lengths are in radii of the field of view; x points to the right, y down.
Sizes, elongations and contrasts of lesions follow their distributions in the
photographs of IDRiD (Porwal et al. 2018), as measured by
:mod:`cnnviz.datasets.lesion_statistics`.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from cnnviz.datasets import synthetic_vessels as vessels

__all__ = [
    "ARTIFACTS",
    "LESIONS",
    "NATURAL_SHARES",
    "Patient",
    "Scene",
    "grade",
    "other_grade",
    "patient",
    "scene",
]

#: Kinds of lesions, in the order of their masks.
LESIONS = (
    "microaneurysm",
    "hemorrhage",
    "hard exudate",
    "soft exudate",
    "preretinal hemorrhage",
    "neovascularization",
    "venous beading",
    "venous loop",
)
(
    _MICROANEURYSM,
    _HEMORRHAGE,
    _HARD_EXUDATE,
    _SOFT_EXUDATE,
    _PRERETINAL,
    _NEOVASCULARIZATION,
    _BEADING,
    _LOOP,
) = range(len(LESIONS))
#: Blobs that are no lesions, by their kinds.
ARTIFACTS = {-1: "glare spot", -2: "dust", -3: "lens flare"}
_GLARE, _DUST, _FLARE = ARTIFACTS

#: Shares of the grades 0 to 4 among the competition's training labels.
NATURAL_SHARES = np.array([25810, 2443, 5292, 873, 708]) / 35126

# Chosen so that grades of both eyes agree as the competition's labels do
# (quadratic weighted kappa 0.8545).
_SAME_GRADE = 0.775

# Severe by the 4-2-1 rule: more than this many hemorrhages in each quadrant,
# or venous beading in two.
_MANY = 20

# Medians, and standard deviations of the logarithm, of lesions' diameters in
# IDRiD's photographs, in radii of the field of view.
_DIAMETER = {
    _MICROANEURYSM: (0.0104, 0.34),
    _HEMORRHAGE: (0.0244, 0.55),
    _HARD_EXUDATE: (0.0100, 0.58),
    _SOFT_EXUDATE: (0.060, 0.35),
}
# Medians of the logarithmic contrast in red, green and blue, and its spread.
# Before the blur of optics and sensor, which takes some from the small ones.
_CONTRAST = {
    _MICROANEURYSM: ((-0.040, -0.175, -0.10), 0.38),
    _HEMORRHAGE: ((-0.040, -0.150, -0.05), 0.38),
    _HARD_EXUDATE: ((0.078, 0.245, 0.38), 0.48),
    _SOFT_EXUDATE: ((0.058, 0.270, 0.30), 0.40),
    _PRERETINAL: ((-0.30, -0.80, -0.40), 0.20),
}


@dataclass(frozen=True)
class Patient:
    """What both eyes of a patient share."""

    color: np.ndarray  #: of the background, ``(3,)``, 0 to 1
    tint: np.ndarray  #: how the choroid's texture changes each channel
    tessellation: float  #: how strongly the choroid's vessels shine through
    absorption: np.ndarray  #: of arteries, veins, new vessels, ``(3, 3)``
    vein: float  #: half width of the thickest vein
    tortuosity: float
    cut: float  #: rows of the field beyond are not photographed
    centered: str  #: "macula", "disc" or "between"
    grain: float  #: noise of the camera
    notch: float  #: size of the mark at the edge, 0 for none
    original_rows: int  #: of the camera's photographs

    @property
    def half(self):
        """How far from the center rows are seen, in radii."""
        return min(self.cut, 1.0)


@dataclass
class Scene:
    """One eye's photograph as a description."""

    seed: int
    side: str  #: "left" or "right"
    patient: Patient
    disc: np.ndarray  #: x, y, radius, elongation, angle, cup, offset
    disc_colors: np.ndarray  #: of rim and cup, ``(2, 3)``
    fovea: np.ndarray  #: x, y
    macula: np.ndarray  #: radius, darkening; of the fovea likewise
    segments: np.ndarray  #: vessels, ``(n, 7)``
    marked: dict  #: kind of lesion -> indices of segments
    shapes: np.ndarray  #: blobs, ``(m, 13)``
    colors: np.ndarray  #: their contrasts, ``(m, 3)``
    kinds: np.ndarray  #: their kinds; below 0 for artifacts
    light: np.ndarray  #: gradients and falloff
    rim: np.ndarray  #: overexposed crescent
    haze: np.ndarray
    sharpness: float  #: standard deviation of the blur
    notch: float  #: direction of the mark at the edge
    text: str  #: burned into the picture; mostly empty
    artifacts: tuple = field(default=())  #: names of those that are there
    grade: int = 0


def patient(rng):
    """A patient and the camera that photographs both eyes.

    The distribution of colors is wider than IDRiD's, whose photographs come
    from a single camera.
    """
    # Logarithms of red, green, blue correlate as they do in IDRiD.
    common, yellow, cold = rng.normal(size=3)
    color = np.exp(
        [
            np.log(0.68) + 0.17 * common,
            np.log(0.345) + 0.21 * common + 0.11 * yellow,
            np.log(0.115) + 0.20 * common + 0.10 * yellow + 0.55 * cold,
        ]
    )
    color = np.clip(color, [0.25, 0.10, 0.01], [0.92, 0.62, 0.45])
    color[2] = min(color[2], 0.7 * color[1])  # the fundus is never blue
    blood = np.exp(rng.normal(0, 0.15))
    absorption = blood * np.array([[0.09, 0.32, 0.22], [0.19, 0.52, 0.30], [0.14, 0.42, 0.26]])
    return Patient(
        color=color,
        tint=np.array([0.55, 1.0, 0.8]) * np.exp(rng.normal(0, 0.2)),
        tessellation=max(0.0, rng.normal(-0.01, 0.045)),
        absorption=absorption,
        vein=0.0135 * np.exp(rng.normal(0, 0.12)),
        tortuosity=0.045 * np.exp(rng.normal(0, 0.3)),
        cut=rng.choice([1.05, rng.uniform(0.8, 0.9), rng.uniform(0.9, 1.0)]),
        centered=rng.choice(["macula", "disc", "between"], p=[0.6, 0.12, 0.28]),
        grain=rng.uniform(0.004, 0.014),
        notch=rng.choice([0.0, rng.uniform(0.02, 0.05)]),
        original_rows=int(rng.choice([1944, 2336, 2848, 3168])),
    )


def other_grade(rng, first):
    """Grade of the other eye."""
    if rng.random() < _SAME_GRADE:
        return first
    step = rng.choice([-2, -1, 1, 2], p=[0.2, 0.3, 0.3, 0.2])
    return int(np.clip(first + step, 0, 4))


def _anatomy(rng, who, mirror):
    """Disc and fovea, of a right eye where ``mirror`` is 1."""
    distance = 0.768 * np.exp(rng.normal(0, 0.05))
    shift = {
        "macula": rng.normal(0.05, 0.10),
        "disc": rng.normal(0.78, 0.06),
        "between": rng.normal(0.33, 0.06),
    }[who.centered]
    fovea = np.array([-shift, rng.normal(0.06, 0.06)])
    tilt = rng.normal(-0.11, 0.09)
    center = fovea + distance * np.array([np.cos(tilt), np.sin(tilt)])
    size = 0.155 * np.exp(rng.normal(0, 0.06))
    disc = np.array(
        [
            mirror * center[0],
            center[1],
            size,
            rng.normal(1.1, 0.06),
            rng.normal(0, 0.15),
            rng.uniform(0.25, 0.6),
            mirror * rng.normal(-0.06, 0.05),
        ]
    )
    strength = np.exp(rng.normal(0, 0.3))
    pale = np.array([0.20, 0.36, 0.55]) * strength
    cup = np.array([0.06, 0.26, 0.50]) * strength * rng.uniform(0.6, 1.3)
    macula = np.array(
        [
            rng.uniform(0.25, 0.4),
            rng.uniform(0.08, 0.35),
            rng.uniform(0.055, 0.095),
            rng.uniform(0.10, 0.45),
        ]
    )
    return disc, np.array([pale, cup]), fovea * [mirror, 1], macula


class Blob(NamedTuple):
    """One lesion or spot, in radii of the field of view."""

    kind: int
    place: np.ndarray  #: (x, y) of its middle
    diameter: float
    elongation: float = 1.0
    angle: float = 0.0  #: of the long axis, radians
    edge: float = 0.5  #: width of the soft edge, in half diameters
    boat: float = 0.0  #: share that a level upper surface cuts off
    ragged: float = 0.1  #: of the outline
    color: np.ndarray | None = None  #: contrast; a random one of its kind when None


class _Lesions:
    """Collects the lesions of one eye while they are drawn at random."""

    def __init__(self, rng, who, disc, fovea):
        self.rng, self.who, self.disc, self.fovea = rng, who, disc, fovea
        self.shapes, self.colors, self.kinds = [], [], []
        # All lesions of an eye share part of their contrast: age, light.
        self.shared = {kind: rng.normal(0, spread * 0.6) for kind, (_, spread) in _CONTRAST.items()}

    def place(self, spread=1.0):
        """A random place that the photograph shows, off the disc."""
        while True:
            x, y = self.rng.uniform(-0.95, 0.95, 2) * spread
            if (
                x * x + y * y < 0.90
                and abs(y) < 0.96 * self.who.half
                and np.hypot(x - self.disc[0], y - self.disc[1]) > 1.3 * self.disc[2]
            ):
                return np.array([x, y])

    def inside(self, place):
        """Whether a place is photographed, off the disc."""
        x, y = place
        return (
            x * x + y * y < 0.92
            and abs(y) < 0.97 * self.who.half
            and np.hypot(x - self.disc[0], y - self.disc[1]) > 1.1 * self.disc[2]
        )

    def diameter(self, kind):
        """A random diameter."""
        median, spread = _DIAMETER[kind]
        return median * np.exp(np.clip(self.rng.normal(0, spread), -1.6, 2.2))

    def color(self, kind):
        """A random contrast."""
        median, spread = _CONTRAST[kind]
        strength = np.exp(self.shared[kind] + self.rng.normal(0, 0.8 * spread))
        return np.array(median) * strength * np.exp(self.rng.normal(0, 0.1, 3))

    def add(self, blob):
        """Add one blob."""
        amplitudes = blob.ragged * np.abs(self.rng.normal(0, [0.6, 0.8, 0.6]))
        phases = self.rng.uniform(0, 2 * np.pi, 3)
        self.shapes.append(
            [
                *blob.place,
                blob.diameter / 2,
                blob.elongation,
                blob.angle,
                blob.edge,
                blob.boat,
                *np.column_stack([amplitudes, phases]).ravel(),
            ]
        )
        self.colors.append(self.color(blob.kind) if blob.color is None else blob.color)
        self.kinds.append(blob.kind)

    def fibers(self, place):
        """Direction of the nerve fibers: away from the disc."""
        return np.arctan2(place[1] - self.disc[1], place[0] - self.disc[0])

    def microaneurysms(self, count, centers=()):
        """Small red dots, often in groups."""
        for _ in range(count):
            place = self.near(centers, 0.15)
            self.add(
                Blob(
                    _MICROANEURYSM,
                    place,
                    self.diameter(_MICROANEURYSM),
                    1 + abs(self.rng.normal(0, 0.2)),
                    self.rng.uniform(0, np.pi),
                    edge=0.7,
                    ragged=0.06,
                )
            )

    def near(self, centers, spread):
        """A place, near one of the centers more often than not."""
        if len(centers) and self.rng.random() < 0.65:
            for _ in range(20):
                place = centers[self.rng.integers(len(centers))] + self.rng.normal(0, spread, 2)
                if self.inside(place):
                    return place
        return self.place()

    def hemorrhage(self, place):
        """A dot, blot or flame hemorrhage."""
        kind = self.rng.choice(["dot", "blot", "flame"], p=[0.4, 0.4, 0.2])
        diameter = self.diameter(_HEMORRHAGE)
        if kind == "dot":
            self.add(
                Blob(
                    _HEMORRHAGE,
                    place,
                    max(0.65 * diameter, 0.012),
                    self.rng.uniform(1, 1.5),
                    self.rng.uniform(0, np.pi),
                    0.5,
                    ragged=0.15,
                )
            )
        elif kind == "blot":
            self.add(
                Blob(
                    _HEMORRHAGE,
                    place,
                    1.3 * diameter,
                    self.rng.uniform(1.1, 2.7),
                    self.rng.uniform(0, np.pi),
                    0.35,
                    ragged=0.35,
                )
            )
        else:
            self.add(
                Blob(
                    _HEMORRHAGE,
                    place,
                    diameter,
                    self.rng.uniform(2.5, 4.5),
                    self.fibers(place) + self.rng.normal(0, 0.15),
                    0.5,
                    ragged=0.3,
                )
            )

    def exudates(self, groups):
        """Hard exudates: clusters, and circinate rings around a leak."""
        for _ in range(groups):
            # The macula is where they gather.
            center = self.near([self.fovea], 0.3)
            ring = self.rng.random() < 0.35
            radius = self.rng.uniform(0.05, 0.16)
            for _ in range(int(np.exp(self.rng.normal(3.0, 0.8))) + 2):
                if ring:
                    angle = self.rng.uniform(0, 2 * np.pi)
                    place = center + radius * np.exp(self.rng.normal(0, 0.12)) * np.array(
                        [np.cos(angle), np.sin(angle)]
                    )
                else:
                    place = center + self.rng.normal(0, 0.5 * radius, 2)
                if self.inside(place):
                    self.add(
                        Blob(
                            _HARD_EXUDATE,
                            place,
                            self.diameter(_HARD_EXUDATE),
                            self.rng.uniform(1, 2.0),
                            self.rng.uniform(0, np.pi),
                            0.35,
                            ragged=0.3,
                        )
                    )

    def soft_exudates(self, count):
        """Cotton-wool spots: pale, with feathery edges, along the fibers."""
        for _ in range(count):
            place = self.near([self.disc[:2]], 0.4)
            self.add(
                Blob(
                    _SOFT_EXUDATE,
                    place,
                    self.diameter(_SOFT_EXUDATE),
                    self.rng.uniform(1.1, 2.2),
                    self.fibers(place) + np.pi / 2 + self.rng.normal(0, 0.4),
                    1.1,
                    ragged=0.15,
                )
            )

    def preretinal(self):
        """Blood before the retina: boat-shaped, level on top."""
        place = self.near([self.disc[:2], self.fovea], 0.3)
        self.add(
            Blob(
                _PRERETINAL,
                place,
                self.rng.uniform(0.12, 0.45),
                self.rng.uniform(1.2, 2.6),
                self.rng.normal(0, 0.1),
                0.10,
                boat=self.rng.uniform(0.05, 0.5),
                ragged=0.12,
            )
        )

    def quadrant(self, place):
        """0 to 3, around the fovea's and the disc's middle."""
        return _quadrant(place, self.disc, self.fovea)


def _quadrant(place, disc, fovea):
    middle = (np.asarray(disc[:2]) + fovea) / 2
    return 2 * int(place[1] > middle[1]) + int(place[0] > middle[0])


def _many_hemorrhages(lesions):
    """More than twenty hemorrhages in every quadrant that is in view."""
    counts = np.zeros(4, int)
    wanted = lesions.rng.integers(_MANY + 1, _MANY + 13, 4)
    for _ in range(20000):
        if (counts >= wanted).all():
            return
        place = lesions.place()
        quadrant = lesions.quadrant(place)
        if counts[quadrant] < wanted[quadrant]:
            lesions.hemorrhage(place)
            counts[quadrant] += 1
    raise AssertionError("a quadrant is out of view")


def _draw_lesions(lesions, wanted, segments):
    """Draw what makes an eye of a grade.

    Returns
    -------
    segments : float array, ``(n, 7)``
    marked : dict
        Kinds of lesions that are vessels -> indices of their segments.
    """
    rng, marked = lesions.rng, {}
    if wanted == 0:
        return segments, marked
    centers = [lesions.place() for _ in range(rng.integers(1, 4))]
    if wanted == 1:
        lesions.microaneurysms(1 + min(int(rng.exponential(4)), 14), centers)
        return segments, marked
    severe = wanted >= 3
    lesions.microaneurysms(int(np.exp(rng.normal(2.9 + 0.6 * severe, 0.7))), centers)
    beaded = rng.choice(4, 1 if rng.random() < 0.1 else 0, replace=False)
    if wanted == 3:
        beading = rng.random() < 0.35
        if beading:
            beaded = rng.choice(4, rng.integers(2, 5), replace=False)
        if not beading or rng.random() < 0.3:
            _many_hemorrhages(lesions)
    count = int(np.exp(rng.normal(1.7 + 0.9 * severe, 0.9)))
    # Below the severe grade a quadrant never has many.
    for _ in range(min(count, _MANY if wanted == 2 else 60)):
        lesions.hemorrhage(lesions.near(centers, 0.25))
    if rng.random() < 0.65:
        lesions.exudates(1 + min(int(rng.exponential(4.5)), 18))
    if rng.random() < 0.25 + 0.25 * severe:
        lesions.soft_exudates(int(rng.integers(1, 7)))
    segments = _beaded(rng, segments, beaded, lesions, marked)
    if severe and rng.random() < 0.2:
        segments = _append(segments, vessels.loop(rng, segments), _LOOP, marked)
    if wanted == 4:
        segments = _proliferation(lesions, segments, marked)
    if not lesions.kinds and not marked:
        lesions.hemorrhage(lesions.place())
    return segments, marked


def _beaded(rng, segments, quadrants, lesions, marked):
    found = []
    for quadrant in quadrants:
        found.append(
            vessels.bead(
                rng,
                segments,
                lambda x, y, q=quadrant: np.array(
                    [
                        _quadrant(place, lesions.disc, lesions.fovea) == q
                        and np.hypot(*place) < 0.92
                        for place in zip(x, y)
                    ],
                    bool,
                ),
            )
        )
    if found:
        marked[_BEADING] = np.concatenate(found)
    return segments


def _append(segments, more, kind, marked):
    if len(more):
        marked[kind] = np.append(
            marked.get(kind, np.array([], int)), len(segments) + np.arange(len(more))
        )
    return np.concatenate([segments, more])


def _proliferation(lesions, segments, marked):
    """New vessels at the disc or elsewhere, preretinal blood, or both."""
    rng = lesions.rng
    both = rng.random()
    if both < 0.8:
        for _ in range(rng.integers(1, 4)):
            if rng.random() < 0.4:
                angle = rng.uniform(0, 2 * np.pi)
                center = lesions.disc[:2] + 0.7 * lesions.disc[2] * np.array(
                    [np.cos(angle), np.sin(angle)]
                )
            else:
                center = lesions.place(0.8)
            new = vessels.tangle(rng, center, rng.uniform(0.06, 0.2), int(rng.integers(7, 18)))
            segments = _append(segments, new, _NEOVASCULARIZATION, marked)
    if both > 0.55:
        for _ in range(rng.integers(1, 3)):
            lesions.preretinal()
    return segments


def grade(what, window=None):
    """Grade 0 to 4 by the International Clinical Disease Severity Scale.

    None: no lesion.  Mild: microaneurysms only.  Severe: more than twenty
    hemorrhages in each of four quadrants, or venous beading in two (the
    scale's third criterion, intraretinal microvascular abnormalities, is not
    drawn).  Proliferative: new vessels or preretinal hemorrhage.  Moderate:
    everything in between.

    Parameters
    ----------
    what : Scene
    window : (left, top, right, bottom), optional
        Grade what lies in this part of the plane only, as one quadrant: for
        narrow-field pictures, which training begins with.

    Returns
    -------
    int
    """

    def visible(places):
        if window is None:
            return np.ones(len(places), bool)
        left, top, right, bottom = window
        return (
            (places[:, 0] > left)
            & (places[:, 0] < right)
            & (places[:, 1] > top)
            & (places[:, 1] < bottom)
        )

    seen = visible(what.shapes[:, :2])
    marked = {kind: found[visible(what.segments[found, :2])] for kind, found in what.marked.items()}
    present = set(what.kinds[seen & (what.kinds >= 0)].tolist())
    present |= {kind for kind, found in marked.items() if len(found)}
    if not present:
        return 0
    if present == {_MICROANEURYSM}:
        return 1
    if present & {_NEOVASCULARIZATION, _PRERETINAL}:
        return 4
    places = what.shapes[seen & (what.kinds == _HEMORRHAGE), :2]
    counts = np.bincount([_quadrant(place, what.disc, what.fovea) for place in places], minlength=4)
    beaded = {
        _quadrant(what.segments[index, :2], what.disc, what.fovea)
        for index in marked.get(_BEADING, ())
    }
    if window is not None:
        return 3 if counts.sum() > _MANY or beaded else 2
    return 3 if (counts > _MANY).all() or len(beaded) >= 2 else 2


def _artifacts(rng, lesions):
    """Glare, dust, flare: what the thesis found features for."""
    names = []
    if rng.random() < 0.12:
        names.append("glare spots")
        for _ in range(rng.integers(1, 6)):
            lesions.add(
                Blob(
                    _GLARE,
                    lesions.place(),
                    rng.uniform(0.02, 0.09),
                    1.0,
                    0.0,
                    rng.uniform(0.3, 1.2),
                    ragged=0.05,
                    color=rng.uniform(0.25, 0.7) * np.array([0.5, 1.0, 1.3]),
                )
            )
    if rng.random() < 0.20:
        names.append("dust")
        for _ in range(rng.integers(1, 9)):
            lesions.add(
                Blob(
                    _DUST,
                    lesions.place(),
                    rng.uniform(0.015, 0.05),
                    1.0,
                    0.0,
                    1.3,
                    color=rng.choice([-1, 1], p=[0.35, 0.65])
                    * rng.uniform(0.03, 0.09)
                    * np.array([0.8, 0.9, 1.0]),
                )
            )
    if rng.random() < 0.07:
        names.append("lens flare")
        angle = rng.uniform(0, 2 * np.pi)
        for position in rng.uniform(-0.7, 0.7, rng.integers(1, 4)):
            lesions.add(
                Blob(
                    _FLARE,
                    position * np.array([np.cos(angle), np.sin(angle)]),
                    rng.uniform(0.08, 0.35),
                    1.0,
                    0.0,
                    0.25,
                    ragged=0.0,
                    color=rng.uniform(0.06, 0.18) * np.array([0.6, 1.2, 1.0]),
                )
            )
    return names


def scene(seed, side, who, wanted):
    """A photograph of one eye with a given grade.

    Parameters
    ----------
    seed : int
    side : str
        "left" or "right".
    who : Patient
    wanted : int
        Grade, 0 to 4.

    Returns
    -------
    Scene
        Its ``grade`` is read off from what it shows, and is the wanted one.
    """
    rng = np.random.default_rng(seed)
    # In a right eye the disc is on the right of the macula.
    mirror = 1 if side == "right" else -1
    while True:
        what = _scene(rng, seed, side, mirror, who, wanted)
        what.grade = grade(what)
        if what.grade == wanted:
            return what


def _scene(rng, seed, side, mirror, who, wanted):
    disc, disc_colors, fovea, macula = _anatomy(rng, who, mirror)
    starts = vessels.trunks(rng, disc[:2], fovea, who.vein)
    segments = vessels.grow(rng, starts, disc[:2], fovea, who.tortuosity)
    lesions = _Lesions(rng, who, disc, fovea)
    segments, marked = _draw_lesions(lesions, wanted, segments)
    names = _artifacts(rng, lesions)
    rim = np.zeros(7)
    if rng.random() < 0.22:
        names.append("overexposed rim")
        rim[:] = (
            rng.uniform(0, 2 * np.pi),
            rng.uniform(0.3, 1.4),
            rng.uniform(0.03, 0.20),
            rng.uniform(0.3, 1.0),
            *np.clip(rng.normal([0.75, 0.8, 0.75], 0.12), 0.3, 1),
        )
    text = ""
    if rng.random() < 0.04:
        names.append("text")
        text = f"{'OD' if side == 'right' else 'OS'} {rng.integers(100, 99999)}"
    haze = np.array(
        [0.35 * max(0.0, rng.normal(0, 0.3)) ** 1.5, *(0.6 * who.color + rng.uniform(0.1, 0.3))]
    )
    light = np.array(
        [
            *rng.normal(0, 0.13, 2),
            rng.uniform(-0.02, 0.28),
            rng.uniform(0.02, 0.28),
            rng.normal(0.1, 0.15),
        ]
    )
    return Scene(
        seed=seed,
        side=side,
        patient=who,
        disc=disc,
        disc_colors=disc_colors,
        fovea=fovea,
        macula=macula,
        segments=segments,
        marked=marked,
        shapes=np.array(lesions.shapes).reshape(-1, 13),
        colors=np.array(lesions.colors).reshape(-1, 3),
        kinds=np.array(lesions.kinds, int),
        light=light,
        rim=rim,
        haze=haze,
        sharpness=0.0021 * np.exp(abs(rng.normal(0, 0.45))),
        notch=rng.uniform(-0.9, -0.5),
        text=text,
        artifacts=tuple(names),
    )
