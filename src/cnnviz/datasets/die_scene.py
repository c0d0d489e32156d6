"""The rendered die: geometry, camera, lamp and shading, traced ray by ray.

The scene is the thesis author's (``die/die.blend`` and ``die/rotator.py`` of
jkalmeij/cnn-vizlib, commit 06b0b8a): a rounded cube with dents for pips, one
lamp behind the camera, one gray background.  Only arithmetic lives here; which
views make the data set is the business of :mod:`cnnviz.datasets.die360`.

A view is traced in two steps.  Rays are first intersected with the smooth
body by Newton's method, in loops without branches that the compiler turns
into vector instructions.  The few samples that may look into a pip are then
traced again, one by one, against the dented surface.
"""

import math

import numba
import numpy as np

from cnnviz.runtime import threads

__all__ = [
    "BACKGROUND",
    "EDGE",
    "PIP",
    "PIPS",
    "camera_frame",
    "regions",
    "render",
    "srgb",
    "trace",
]

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
NEWTON_STEPS = 8
# A ray whose last residual is larger than this passes the die by.
HIT_TOLERANCE = 0.005
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
_HAS_PIP = np.zeros(6 * 3 * 3, np.int32)
for _face, (_, _centers) in enumerate(PIPS.values()):
    for _first, _second in _centers:
        _HAS_PIP[9 * _face + 3 * _first + _second + 4] = 1

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
# A ray that grazes the near lip of a pip takes many small steps.
PIP_STEPS, PIP_TOLERANCE = 256, 2e-4
# A point counts as inside the pip where the dent is at least half as deep.
PIP_HALF_DEPTH_RADIUS = float(np.interp(-PIP_DEPTH_MAX / 2, -PIP_DEPTH, PIP_DISTANCE))


def _tabulate_pip(points=2048):
    """Depth and slope of a pip on a fine uniform grid of distances."""
    from scipy.interpolate import PchipInterpolator

    profile = PchipInterpolator(PIP_DISTANCE, PIP_DEPTH)
    distance = np.linspace(0, PIP_RADIUS, points)
    return (profile(distance).astype(np.float32), profile.derivative()(distance).astype(np.float32))


_DEPTH_TABLE, _SLOPE_TABLE = _tabulate_pip()
PIP_SLOPE_MAX = float(np.abs(_SLOPE_TABLE).max())
_TABLE_SCALE = np.float32((len(_DEPTH_TABLE) - 1) / PIP_RADIUS)


def camera_frame(a, b):
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


def srgb(linear):
    """sRGB transfer curve (IEC 61966-2-1) of linear radiance."""
    linear = np.asarray(linear)
    return np.where(
        linear <= 0.0031308,
        12.92 * linear,
        1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055,
    )


# Every function becomes part of the one that Python calls, which is kept compiled on
# disk.  A function of its own would be linked in one process and inlined in another,
# which rounds differently: the first run after a change would differ from the second.
_OPTIONS = {"fastmath": {"contract", "arcp", "nsz"}, "error_model": "numpy"}
_inline = numba.njit(inline="always", **_OPTIONS)
_entry = numba.njit(nogil=True, cache=True, **_OPTIONS)


@_inline
def _power10(x):
    x2 = x * x
    x4 = x2 * x2
    return x4 * x4 * x2


@_inline
def _power9(x):
    x2 = x * x
    x4 = x2 * x2
    return x4 * x4 * x


@_inline
def _body(x, y, z):
    """F(p) = x^10 + y^10 + z^10 + CORNER (xyz)^4 - 1."""
    q = x * y * z
    q = q * q
    return _power10(x) + _power10(y) + _power10(z) + np.float32(CORNER) * q * q - np.float32(1)


@_inline
def _body_gradient(x, y, z):
    xy, yz, zx = x * y, y * z, z * x
    q = x * yz
    corner = np.float32(4 * CORNER) * q * q * q
    ten = np.float32(10)
    return (
        ten * _power9(x) + corner * yz,
        ten * _power9(y) + corner * zx,
        ten * _power9(z) + corner * xy,
    )


@_inline
def _highlight(nh):
    """nh^50 by squaring (50 = 32 + 16 + 2)."""
    n2 = nh * nh
    n4 = n2 * n2
    n8 = n4 * n4
    n16 = n8 * n8
    return n16 * n16 * n16 * n2


@_inline
def _shade(x, y, z, nx, ny, nz, dx, dy, dz):
    """Linear radiance of point p with unnormalized normal n, view along d."""
    one, zero = np.float32(1), np.float32(0)
    scale = one / np.sqrt(nx * nx + ny * ny + nz * nz)
    nx, ny, nz = nx * scale, ny * scale, nz * scale
    lamp, camera = np.float32(LAMP_DISTANCE), np.float32(CAMERA_DISTANCE)
    lx, ly, lz = lamp * dx - x, lamp * dy - y, lamp * dz - z
    vx, vy, vz = camera * dx - x, camera * dy - y, camera * dz - z
    l2 = lx * lx + ly * ly + lz * lz
    il = one / np.sqrt(l2)
    iv = one / np.sqrt(vx * vx + vy * vy + vz * vz)
    lx, ly, lz = lx * il, ly * il, lz * il
    vx, vy, vz = vx * iv, vy * iv, vz * iv
    hx, hy, hz = lx + vx, ly + vy, lz + vz
    ih = one / np.sqrt(hx * hx + hy * hy + hz * hz)
    nl = max(nx * lx + ny * ly + nz * lz, zero)
    nv = max(nx * vx + ny * vy + nz * vz, zero)
    nh = max((nx * hx + ny * hy + nz * hz) * ih, zero)
    attenuation = np.float32(LAMP_FALLOFF) / (np.float32(LAMP_FALLOFF) + l2)
    return attenuation * (
        np.float32(DIFFUSE) * nl + np.float32(SPECULAR) * _highlight(nh) / (np.float32(0.1) + nv)
    )


@_inline
def _enter_cube(ox, oy, oz, rx, ry, rz, t):
    """Parameter at which every ray has entered all slabs |coordinate| <= 1."""
    tiny = np.float32(1e-9)
    for k in range(t.size):
        # (-sign(r) - o) / r, written without a branch.
        sx = -(abs(rx[k]) + ox * rx[k]) / (rx[k] * rx[k] + tiny)
        sy = -(abs(ry[k]) + oy * ry[k]) / (ry[k] * ry[k] + tiny)
        sz = -(abs(rz[k]) + oz * rz[k]) / (rz[k] * rz[k] + tiny)
        t[k] = max(max(sx, sy), sz)


@_inline
def _newton(ox, oy, oz, rx, ry, rz, t, value):
    """One Newton step along every ray; leaves the residual before it."""
    for k in range(t.size):
        x, y, z = ox + t[k] * rx[k], oy + t[k] * ry[k], oz + t[k] * rz[k]
        gx, gy, gz = _body_gradient(x, y, z)
        slope = gx * rx[k] + gy * ry[k] + gz * rz[k]
        value[k] = _body(x, y, z)
        t[k] -= value[k] / min(slope, np.float32(-0.5))


@_inline
def _shade_body(ox, oy, oz, dx, dy, dz, rx, ry, rz, t, value, radiance):
    for k in range(t.size):
        x, y, z = ox + t[k] * rx[k], oy + t[k] * ry[k], oz + t[k] * rz[k]
        gx, gy, gz = _body_gradient(x, y, z)
        light = _shade(x, y, z, gx, gy, gz, dx, dy, dz)
        hit = abs(value[k]) < np.float32(HIT_TOLERANCE)
        radiance[k] = light if hit else np.float32(BACKGROUND_RADIANCE)


@_inline
def _locate(x, y, z):
    """Face whose axis is closest to p, and p's coordinates on that face.

    Returns the index of the face in PIPS, the coordinate along its axis, the
    other two in ascending order, and the nearest place of a pip on the 3 x 3
    grid in each of them (-1, 0 or 1).
    """
    ax, ay, az = abs(x), abs(y), abs(z)
    on_x = (ax >= ay) & (ax >= az)
    on_y = ay >= az
    u = x if on_x else (y if on_y else z)
    v = y if on_x else x
    w = z if (on_x | on_y) else y
    axis = np.int32(0) if on_x else (np.int32(1) if on_y else np.int32(2))
    face = np.int32(2) * axis + (np.int32(0) if u > 0 else np.int32(1))
    half = np.float32(PITCH / 2)
    i = (np.int32(1) if v > half else np.int32(0)) - (np.int32(1) if v < -half else np.int32(0))
    j = (np.int32(1) if w > half else np.int32(0)) - (np.int32(1) if w < -half else np.int32(0))
    return face, u, v, w, i, j


@_inline
def _from_pip(v, w, i, j):
    """Vector from the center of the pip at grid place (i, j)."""
    pitch = np.float32(PITCH)
    return v - pitch * np.float32(i), w - pitch * np.float32(j)


@_inline
def _find_pips(ox, oy, oz, rx, ry, rz, t, within):
    """Mark the rays that meet the body within the rim of a pip.

    Only these can see the dent.
    """
    for k in range(t.size):
        x, y, z = ox + t[k] * rx[k], oy + t[k] * ry[k], oz + t[k] * rz[k]
        face, _, v, w, i, j = _locate(x, y, z)
        v, w = _from_pip(v, w, i, j)
        inside = v * v + w * w < np.float32(PIP_RADIUS * PIP_RADIUS)
        place = face * np.int32(9) + i * np.int32(3) + j + np.int32(4)
        within[k] = _HAS_PIP[place] if inside else np.int32(0)


@_inline
def _dent(v, w):
    """Depth of a pip at (v, w) from its center, and its two derivatives."""
    rho = np.sqrt(v * v + w * w)
    place = min(rho * _TABLE_SCALE, np.float32(_DEPTH_TABLE.size - 2))
    k = int(place)
    f = min(place - np.float32(k), np.float32(1))
    depth = _DEPTH_TABLE[k] + f * (_DEPTH_TABLE[k + 1] - _DEPTH_TABLE[k])
    slope = _SLOPE_TABLE[k] + f * (_SLOPE_TABLE[k + 1] - _SLOPE_TABLE[k])
    scale = slope / max(rho, np.float32(1e-6))
    return depth, scale * v, scale * w


@_inline
def _height(i, j, u, v, w):
    """Height of a point above the dented face, along the face's axis.

    The dented surface is the body pushed inwards along the axis by the depth
    of the dent.  The body's level is taken to first order from the plane
    u = 1, which is exact to 1e-4 where pips are.
    """
    pv, pw = _from_pip(v, w, i, j)
    depth, _, _ = _dent(pv, pw)
    q = v * w
    q = q * q
    body = np.float32(1) - np.float32(0.1) * (
        _power10(v) + _power10(w) + np.float32(CORNER) * q * q
    )
    return u + depth - body


@_inline
def _shade_pip(ox, oy, oz, dx, dy, dz, rx, ry, rz, t):
    """Radiance, and place in the pip, of a ray that enters a pip's rim.

    Walks from the body's surface at parameter t into the dent.  No pip is
    steeper than PIP_SLOPE_MAX, so a step of height / (greatest possible rate
    of descent) never passes the surface.
    """
    face, u, v, w, i, j = _locate(ox + t * rx, oy + t * ry, oz + t * rz)
    axis = face // 2
    # Ray in the coordinates of the face, its outward axis first.
    outward = np.float32(1) if u > 0 else np.float32(-1)
    ru, rv, rw = rx, ry, rz
    if axis == 1:
        ru, rv = ry, rx
    elif axis == 2:
        ru, rv, rw = rz, rx, ry
    u, ru = u * outward, ru * outward
    descent = abs(ru) + np.float32(PIP_SLOPE_MAX) * np.sqrt(rv * rv + rw * rw)
    for _ in range(PIP_STEPS):
        height = _height(i, j, u, v, w)
        # Above the rim again: the ray has left without meeting the dent.
        if height < np.float32(PIP_TOLERANCE) or height > np.float32(PIP_DEPTH_MAX):
            break
        step = height / descent
        u, v, w = u + step * ru, v + step * rv, w + step * rw
    pv, pw = _from_pip(v, w, i, j)
    depth, dv, dw = _dent(pv, pw)
    # Gradient of F(u + depth(v, w), v, w), whose zero is the dented body.
    gu, gv, gw = _body_gradient(u + depth, v, w)
    gv, gw = gv + gu * dv, gw + gu * dw
    u, gu = u * outward, gu * outward
    if axis == 0:
        light = _shade(u, v, w, gu, gv, gw, dx, dy, dz)
    elif axis == 1:
        light = _shade(v, u, w, gv, gu, gw, dx, dy, dz)
    else:
        light = _shade(v, w, u, gv, gw, gu, dx, dy, dz)
    return light, np.sqrt(pv * pv + pw * pw)


@_inline
def _region(x, y, z):
    """Region of a point of the smooth body."""
    face, u, v, w, _, _ = _locate(x, y, z)
    gu, gv, gw = _body_gradient(u, v, w)
    cosine = abs(gu) / np.sqrt(gu * gu + gv * gv + gw * gw)
    return FACE_NUMBER[face] if cosine >= EDGE_COSINE else EDGE


@_inline
def trace(frame, columns, rows, radiance, region):
    """Trace one view on a grid of image positions.

    Parameters
    ----------
    frame : array, ``(3, 3)``
        From :func:`camera_frame`.
    columns : array, ``(m,)``, rows : array, ``(n,)``
        Positions on the image plane: -1 and 1 are the borders of the image,
        columns to the right, rows upwards.
    radiance : float32 array, ``(n, m)``
        Receives linear radiance.
    region : uint8 array, ``(n, m)`` or ``(0, 0)``
        Receives what is seen (see the constants); skipped when empty.
    """
    dx, dy, dz = np.float32(frame[0, 0]), np.float32(frame[0, 1]), np.float32(frame[0, 2])
    camera = np.float32(CAMERA_DISTANCE)
    ox, oy, oz = camera * dx, camera * dy, camera * dz
    m = columns.size
    rx = np.empty(m, np.float32)
    ry = np.empty(m, np.float32)
    rz = np.empty(m, np.float32)
    t = np.empty(m, np.float32)
    value = np.empty(m, np.float32)
    within = np.empty(m, np.int32)
    with_region = region.size > 0
    for i in range(rows.size):
        for k in range(m):
            right = TAN_HALF_FIELD * columns[k]
            up = TAN_HALF_FIELD * rows[i]
            rx[k] = -frame[0, 0] + right * frame[1, 0] + up * frame[2, 0]
            ry[k] = -frame[0, 1] + right * frame[1, 1] + up * frame[2, 1]
            rz[k] = -frame[0, 2] + right * frame[1, 2] + up * frame[2, 2]
        _enter_cube(ox, oy, oz, rx, ry, rz, t)
        for _ in range(NEWTON_STEPS):
            _newton(ox, oy, oz, rx, ry, rz, t, value)
        _shade_body(ox, oy, oz, dx, dy, dz, rx, ry, rz, t, value, radiance[i])
        _find_pips(ox, oy, oz, rx, ry, rz, t, within)
        for k in range(m):
            hit = abs(value[k]) < np.float32(HIT_TOLERANCE)
            if with_region:
                region[i, k] = (
                    _region(ox + t[k] * rx[k], oy + t[k] * ry[k], oz + t[k] * rz[k])
                    if hit
                    else BACKGROUND
                )
            if within[k] and hit:
                radiance[i, k], distance = _shade_pip(
                    ox, oy, oz, dx, dy, dz, rx[k], ry[k], rz[k], t[k]
                )
                if with_region and distance <= PIP_HALF_DEPTH_RADIUS:
                    region[i, k] += PIP


def _mitchell(x):
    """Mitchell and Netravali's filter (1988) with B = C = 1/3."""
    x = np.abs(x)
    near = (7 * x**3 - 12 * x**2 + 16 / 3) / 6
    far = (-7 / 3 * x**3 + 12 * x**2 - 20 * x + 32 / 3) / 6
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


# Samples per pixel in each direction, and the filter's taps over them.
OVERSAMPLING = 2
FILTER_RADIUS = 2
_TAPS = _mitchell(
    (np.arange(2 * FILTER_RADIUS * OVERSAMPLING) + 0.5) / OVERSAMPLING - FILTER_RADIUS
)
_TAPS = (_TAPS / _TAPS.sum()).astype(np.float32)


@_inline
def _filter(samples, out):
    """Reduce samples to pixels with the separable filter."""
    size, taps = out.shape[0], _TAPS.size
    narrow = np.empty((size, samples.shape[1]), np.float32)
    for i in range(size):
        narrow[i] = np.float32(0)
        for tap in range(taps):
            row = samples[OVERSAMPLING * i + tap]
            for k in range(row.size):
                narrow[i, k] += _TAPS[tap] * row[k]
    for i in range(size):
        for j in range(size):
            total = np.float32(0)
            for tap in range(taps):
                total += _TAPS[tap] * narrow[i, OVERSAMPLING * j + tap]
            out[i, j] = total


@_entry
def _render_all(frames, positions, out):
    nothing = np.empty((0, 0), np.uint8)
    for n in range(frames.shape[0]):
        samples = np.empty((positions.size, positions.size), np.float32)
        trace(frames[n], positions, -positions, samples, nothing)
        _filter(samples, out[n])


@_entry
def _regions_all(frames, positions, out):
    for n in range(frames.shape[0]):
        samples = np.empty((positions.size, positions.size), np.float32)
        trace(frames[n], positions, -positions, samples, out[n])


def _each_view(kernel, frames, positions, out):
    """Run a kernel on the views, shared among threads."""
    frames = np.ascontiguousarray(frames)
    threads.over(
        len(frames), lambda first, end: kernel(frames[first:end], positions, out[first:end])
    )


def render(frames, size):
    """Photograph views of the die.

    Parameters
    ----------
    frames : array, ``(n, 3, 3)``
        One :func:`camera_frame` per view.
    size : int
        Pixels along each side.

    Returns
    -------
    float32 array, ``(n, size, size)``
        Gray values in [0, 1] after the sRGB transfer; row 0 is on top.
    """
    border = FILTER_RADIUS - 0.5
    count = OVERSAMPLING * size + 2 * int(OVERSAMPLING * border)
    pixel = (np.arange(count) + 0.5) / OVERSAMPLING - border
    positions = (2 * pixel / size - 1).astype(np.float32)
    linear = np.empty((len(frames), size, size), np.float32)
    _each_view(_render_all, frames, positions, linear)
    return srgb(linear).astype(np.float32)


def regions(frames, pixel_centers, size):
    """What is seen at chosen places of a view.

    Parameters
    ----------
    frames : array, ``(n, 3, 3)``
        One :func:`camera_frame` per view.
    pixel_centers : array, ``(m,)``
        Places along either side, in pixels of an image of ``size`` pixels;
        the first pixel spans 0 to 1.
    size : int

    Returns
    -------
    uint8 array, ``(n, m, m)``
        ``BACKGROUND``, 1 to 6 (a face, by number), ``EDGE`` or ``PIP`` plus
        the number of the face.
    """
    positions = (2 * np.asarray(pixel_centers) / size - 1).astype(np.float32)
    out = np.empty((len(frames), len(positions), len(positions)), np.uint8)
    _each_view(_regions_all, frames, positions, out)
    return out
