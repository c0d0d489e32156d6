"""Kernels that trace the die ray by ray, and reduce samples to pixels.

A view is traced in two steps.  Rays are first intersected with the smooth
body by Newton's method, in loops without branches that the compiler turns
into vector instructions.  The few samples that may look into a pip are then
traced again, one by one, against the dented surface.

Compiled code on disk is made anew when this file changes, not when a constant
of :mod:`cnnviz.datasets.die_scene` does; its folder ``__pycache__`` goes then.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from cnnviz.datasets.die_scene import (
    BACKGROUND,
    BACKGROUND_RADIANCE,
    CAMERA_DISTANCE,
    CORNER,
    DEPTH_TABLE,
    DIFFUSE,
    EDGE,
    EDGE_COSINE,
    FACE_NUMBER,
    HAS_PIP,
    LAMP_DISTANCE,
    LAMP_FALLOFF,
    PIP,
    PIP_DEPTH_MAX,
    PIP_HALF_DEPTH_RADIUS,
    PIP_RADIUS,
    PIP_SLOPE_MAX,
    PITCH,
    SLOPE_TABLE,
    SPECULAR,
    TABLE_SCALE,
    TAN_HALF_FIELD,
)

__all__ = ["FILTER_RADIUS", "OVERSAMPLING", "regions_all", "render_all", "trace"]

NEWTON_STEPS = 8
# A ray whose last residual is larger than this passes the die by.
HIT_TOLERANCE = 0.005
# A ray that grazes the near lip of a pip takes many small steps.
PIP_STEPS, PIP_TOLERANCE = 256, 2e-4

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
def _enter_cube(ox, oy, oz, rx, ry, rz, t) -> None:
    """Parameter at which every ray has entered all slabs |coordinate| <= 1."""
    tiny = np.float32(1e-9)
    for k in range(t.size):
        # (-sign(r) - o) / r, written without a branch.
        sx = -(abs(rx[k]) + ox * rx[k]) / (rx[k] * rx[k] + tiny)
        sy = -(abs(ry[k]) + oy * ry[k]) / (ry[k] * ry[k] + tiny)
        sz = -(abs(rz[k]) + oz * rz[k]) / (rz[k] * rz[k] + tiny)
        t[k] = max(max(sx, sy), sz)


@_inline
def _newton(ox, oy, oz, rx, ry, rz, t, value) -> None:
    """One Newton step along every ray; leaves the residual before it."""
    for k in range(t.size):
        x, y, z = ox + t[k] * rx[k], oy + t[k] * ry[k], oz + t[k] * rz[k]
        gx, gy, gz = _body_gradient(x, y, z)
        slope = gx * rx[k] + gy * ry[k] + gz * rz[k]
        value[k] = _body(x, y, z)
        t[k] -= value[k] / min(slope, np.float32(-0.5))


@_inline
def _shade_body(ox, oy, oz, dx, dy, dz, rx, ry, rz, t, value, radiance) -> None:
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
def _find_pips(ox, oy, oz, rx, ry, rz, t, within) -> None:
    """Mark the rays that meet the body within the rim of a pip.

    Only these can see the dent.
    """
    for k in range(t.size):
        x, y, z = ox + t[k] * rx[k], oy + t[k] * ry[k], oz + t[k] * rz[k]
        face, _, v, w, i, j = _locate(x, y, z)
        v, w = _from_pip(v, w, i, j)
        inside = v * v + w * w < np.float32(PIP_RADIUS * PIP_RADIUS)
        place = face * np.int32(9) + i * np.int32(3) + j + np.int32(4)
        within[k] = HAS_PIP[place] if inside else np.int32(0)


@_inline
def _dent(v, w):
    """Depth of a pip at (v, w) from its center, and its two derivatives."""
    rho = np.sqrt(v * v + w * w)
    place = min(rho * TABLE_SCALE, np.float32(DEPTH_TABLE.size - 2))
    k = int(place)
    f = min(place - np.float32(k), np.float32(1))
    depth = DEPTH_TABLE[k] + f * (DEPTH_TABLE[k + 1] - DEPTH_TABLE[k])
    slope = SLOPE_TABLE[k] + f * (SLOPE_TABLE[k + 1] - SLOPE_TABLE[k])
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
def trace(
    frame: np.ndarray, columns: np.ndarray, rows: Any, radiance: np.ndarray, region: np.ndarray
) -> None:
    """Trace one view on a grid of image positions.

    Parameters
    ----------
    frame : array, ``(3, 3)``
        From :func:`cnnviz.datasets.die_scene.camera_frame`.
    columns : array, ``(m,)``, rows : array, ``(n,)``
        Positions on the image plane: -1 and 1 are the borders of the image,
        columns to the right, rows upwards.
    radiance : float32 array, ``(n, m)``
        Receives linear radiance.
    region : uint8 array, ``(n, m)`` or ``(0, 0)``
        Receives what is seen (see :mod:`cnnviz.datasets.die_scene`); skipped when empty.
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
def _filter(samples, out) -> None:
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
def render_all(frames, positions, out):
    """Linear radiance of the pixels of every view, ``(n, size, size)``, into ``out``."""
    nothing = np.empty((0, 0), np.uint8)
    for n in range(frames.shape[0]):
        samples = np.empty((positions.size, positions.size), np.float32)
        trace(frames[n], positions, -positions, samples, nothing)
        _filter(samples, out[n])


@_entry
def regions_all(frames, positions, out):
    """What is seen at places of every view, ``(n, m, m)``, into ``out``."""
    for n in range(frames.shape[0]):
        samples = np.empty((positions.size, positions.size), np.float32)
        trace(frames[n], positions, -positions, samples, out[n])
