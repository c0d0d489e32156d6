"""The rendered die: its geometry, camera and lamp.

The scene is the thesis author's (``die/die.blend`` and ``die/rotator.py`` of
jkalmeij/cnn-vizlib, commit 06b0b8a): a rounded cube with dents for pips, one
lamp behind the camera, one gray background.  Which views make the data set is
the business of :mod:`cnnviz.datasets.die360`; :mod:`cnnviz.datasets.die_rendering`
photographs them.
"""

from __future__ import annotations

import math

import numpy as np

__all__ = ["BACKGROUND", "EDGE", "PIP", "PIPS", "camera_frame"]

# --- Regions of a pixel -----------------------------------------------------
BACKGROUND = 0  #: nothing of the die is hit
# 1 ... 6: the flat part of the face with that many pips
EDGE = 7  #: rounded edge or corner between faces
PIP = 10  #: PIP + n: inside a pip of face n

# --- Camera and lamp --------------------------------------------------------
CAMERA_DISTANCE = 3.0
LAMP_DISTANCE = 6.0
TAN_HALF_FIELD = 16.0 / 35.0  # 35 mm lens on a 32 mm square sensor
LAMP_FALLOFF = 30.0  # energy * 30 / (30 + distance^2)
DIFFUSE, SPECULAR = 0.64, 0.5
HARDNESS = 50  # exponent of the highlight; see _highlight
BACKGROUND_RADIANCE = 0.0509  # 0.25 after the sRGB transfer

# --- Body -------------------------------------------------------------------
# x^10 + y^10 + z^10 + CORNER (xyz)^4 = 1, fitted to the subdivided mesh.
CORNER = 1.18
# A point belongs to the rounded edge where the normal leans more than this
# from the axis of its face.
EDGE_COSINE = math.cos(math.radians(15.0))

# --- Pips -------------------------------------------------------------------
PITCH = 0.4  # distance of neighboring pips on a face
_CORNERS = [(-1, -1), (-1, 1), (1, -1), (1, 1)]
_DIAGONAL = [(-1, -1), (1, 1)]
_SIDES = [(-1, -1), (-1, 0), (-1, 1), (1, -1), (1, 0), (1, 1)]

#: For every outward normal: the number of the face and its pip centers, in
#: units of PITCH, in the other two axes in ascending order.
PIPS = {
    "+x": (2, _DIAGONAL),
    "-x": (5, _CORNERS + [(0, 0)]),
    "+y": (1, [(0, 0)]),
    "-y": (6, _SIDES),
    "+z": (3, _DIAGONAL + [(0, 0)]),
    "-z": (4, _CORNERS),
}
FACE_NUMBER = np.array([number for number, _ in PIPS.values()], np.int32)
HAS_PIP = np.zeros(6 * 3 * 3, np.int32)
for _face, (_, _centers) in enumerate(PIPS.values()):
    for _first, _second in _centers:
        HAS_PIP[9 * _face + 3 * _first + _second + 4] = 1

# Depth of a pip by distance from its center, mean over azimuth.
PIP_DISTANCE = np.array(
    [
        0,
        0.0173,
        0.031,
        0.0442,
        0.0571,
        0.0693,
        0.0809,
        0.0914,
        0.101,
        0.1094,
        0.1168,
        0.1233,
        0.1287,
        0.1335,
        0.1374,
        0.1408,
        0.1436,
        0.1458,
        0.1477,
        0.1493,
        0.1505,
        0.1517,
        0.1527,
        0.1537,
        0.1548,
        0.1562,
        0.1577,
        0.1596,
        0.1618,
        0.1647,
        0.168,
        0.1719,
        0.1767,
        0.1823,
        0.1888,
        0.1963,
        0.205,
        0.2125,
    ]
)
PIP_DEPTH = np.array(
    [
        0.0542,
        0.0541,
        0.0537,
        0.0531,
        0.0523,
        0.0513,
        0.0501,
        0.0487,
        0.047,
        0.0452,
        0.0432,
        0.041,
        0.0387,
        0.0363,
        0.0337,
        0.0311,
        0.0285,
        0.0258,
        0.0232,
        0.0206,
        0.0181,
        0.0157,
        0.0134,
        0.0113,
        0.0094,
        0.0077,
        0.0062,
        0.005,
        0.0039,
        0.003,
        0.0022,
        0.0016,
        0.0011,
        0.0007,
        0.0005,
        0.0003,
        0.0001,
        0,
    ]
)
PIP_RADIUS = float(PIP_DISTANCE[-1])
PIP_DEPTH_MAX = float(PIP_DEPTH[0])
# A point counts as inside the pip where the dent is at least half as deep.
PIP_HALF_DEPTH_RADIUS = float(np.interp(-PIP_DEPTH_MAX / 2, -PIP_DEPTH, PIP_DISTANCE))


def _tabulate_pip(points: int = 2048):
    """Depth and slope of a pip on a fine uniform grid of distances."""
    from scipy.interpolate import PchipInterpolator

    profile = PchipInterpolator(PIP_DISTANCE, PIP_DEPTH)
    distance = np.linspace(0, PIP_RADIUS, points)
    return (profile(distance).astype(np.float32), profile.derivative()(distance).astype(np.float32))


DEPTH_TABLE, SLOPE_TABLE = _tabulate_pip()
PIP_SLOPE_MAX = float(np.abs(SLOPE_TABLE).max())
TABLE_SCALE = np.float32((len(DEPTH_TABLE) - 1) / PIP_RADIUS)


def camera_frame(a: float, b: float) -> np.ndarray:
    """Direction to the camera, image right and image up for view angles.

    Parameters
    ----------
    a, b : float
        View angles in degrees.

    Returns
    -------
    array, ``(3, 3)``
        Rows: unit vector from the die to the camera (and lamp), image right,
        image up.
    """
    a, b = math.radians(a), math.radians(b)
    ca, sa, cb, sb = math.cos(a), math.sin(a), math.cos(b), math.sin(b)
    return np.array([[ca * sb, sa * sb, cb], [ca * cb, sa * cb, -sb], [-sa, ca, 0.0]])
