"""The die once more, slowly: float64, dense marching, numerical normals.

Written from the measured description of the scene and nothing else; it shares
no code and no table with ``cnnviz.datasets.die_scene`` and ``die_tracing``.  One ray
per place, no anti-aliasing.
"""

import numpy as np
from scipy.interpolate import PchipInterpolator

BACKGROUND = 0.0509

# Outward normal (axis, sign): number of the face, pip centers in the other
# two axes, in ascending order of the axes.
FACES = {
    (0, +1): (2, [(-0.4, -0.4), (0.4, 0.4)]),
    (0, -1): (5, [(-0.4, -0.4), (-0.4, 0.4), (0.4, -0.4), (0.4, 0.4), (0, 0)]),
    (1, +1): (1, [(0, 0)]),
    (1, -1): (6, [(x, z) for x in (-0.4, 0.4) for z in (-0.4, 0, 0.4)]),
    (2, +1): (3, [(-0.4, -0.4), (0, 0), (0.4, 0.4)]),
    (2, -1): (4, [(-0.4, -0.4), (-0.4, 0.4), (0.4, -0.4), (0.4, 0.4)]),
}

RHO = [
    float(number)
    for number in """
0 .0173 .031 .0442 .0571 .0693 .0809 .0914 .101 .1094 .1168 .1233 .1287 .1335
.1374 .1408 .1436 .1458 .1477 .1493 .1505 .1517 .1527 .1537 .1548 .1562 .1577
.1596 .1618 .1647 .168 .1719 .1767 .1823 .1888 .1963 .205 .2125""".split()
]
DEPTH = [
    float(number)
    for number in """
.0542 .0541 .0537 .0531 .0523 .0513 .0501 .0487 .047 .0452 .0432 .041 .0387
.0363 .0337 .0311 .0285 .0258 .0232 .0206 .0181 .0157 .0134 .0113 .0094 .0077
.0062 .005 .0039 .003 .0022 .0016 .0011 .0007 .0005 .0003 .0001 0""".split()
]
profile = PchipInterpolator(RHO, DEPTH)


def depth(rho):
    """Depth of a pip at distance rho from its center."""
    return np.where(rho < RHO[-1], profile(np.minimum(rho, RHO[-1])), 0)


def body(p):
    """Implicit function of the smooth body at points ``(..., 3)``."""
    return (p**10).sum(-1) + 1.18 * p.prod(-1) ** 4 - 1


def on_faces(p):
    """Yield number, axis, sign, mask, distances to the face's pip centers."""
    nearest = np.abs(p).argmax(-1)
    for (axis, sign), (number, centers) in FACES.items():
        mask = (nearest == axis) & (sign * p[..., axis] > 0)
        v, w = np.delete(p[mask], axis, axis=-1).T
        rho = np.array([np.hypot(v - cv, w - cw) for cv, cw in centers])
        yield number, axis, sign, mask, rho


def die(p):
    """Implicit function of the dented die: the body at u + depth(v, w)."""
    raised = p.copy()
    for _, axis, sign, mask, rho in on_faces(p):
        raised[mask, axis] += sign * depth(rho).sum(0)
    return body(raised)


def gradient(function, p, step=1e-6):
    """Central differences."""
    return np.stack(
        [(function(p + step * e) - function(p - step * e)) / (2 * step) for e in np.eye(3)], axis=-1
    )


def unit(v):
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def dot(v, w):
    return (v * w).sum(-1)


def rays(a, b, columns, rows):
    """Direction to the camera, and ray directions ``(rows, columns, 3)``."""
    a, b = np.radians(a), np.radians(b)
    d = np.array([np.cos(a) * np.sin(b), np.sin(a) * np.sin(b), np.cos(b)])
    right = np.array([np.cos(a) * np.cos(b), np.sin(a) * np.cos(b), -np.sin(b)])
    up = np.array([-np.sin(a), np.cos(a), 0])
    x, y = np.meshgrid(16 / 35 * np.asarray(columns), 16 / 35 * np.asarray(rows))
    return d, -d + x[..., None] * right + y[..., None] * up


def first_hit(function, origin, ray, steps=600):
    """First zero along every ray ``(n, 3)``: points and which rays hit."""
    t = np.linspace(1.4, 4.6, steps)  # the die lies between, seen from 3 away
    inside = np.empty((len(ray), steps), bool)
    for k in range(steps):
        inside[:, k] = function(origin + t[k] * ray) < 0
    hit = inside.any(1)
    k = np.maximum(inside.argmax(1), 1)
    low, high = t[k - 1], t[k]
    for _ in range(40):
        middle = (low + high) / 2
        within = function(origin + middle[:, None] * ray) < 0
        low, high = np.where(within, low, middle), np.where(within, middle, high)
    return origin + high[:, None] * ray, hit


def shade(p, d):
    """Lambert and Blender's "CookTorr", hardness 50, of points ``(n, 3)``."""
    normal = unit(gradient(die, p))
    to_lamp, to_camera = unit(6 * d - p), unit(3 * d - p)
    half = unit(to_lamp + to_camera)
    nl, nv, nh = (np.maximum(dot(normal, v), 0) for v in (to_lamp, to_camera, half))
    attenuation = 30 / (30 + dot(6 * d - p, 6 * d - p))
    return attenuation * (0.64 * nl + 0.5 * nh**50 / (0.1 + nv))


def describe(p, smooth):
    """Regions: 0 ... 6 and 7 as seen on the smooth body, 10 more in a pip.

    ``p`` are points of the dented die, ``smooth`` those of the smooth body on
    the same rays; a pip ends where it is half as deep as at its center.
    """
    slope = np.abs(unit(gradient(body, smooth)))
    region = np.zeros(len(p), int)
    for number, axis, _, mask, _ in on_faces(smooth):
        flat = slope[mask, axis] >= np.cos(np.radians(15))
        region[mask] = np.where(flat, number, 7)
    for *_, mask, rho in on_faces(p):
        region[mask] += 10 * (depth(rho) >= DEPTH[0] / 2).any(0)
    return region


def trace(a, b, columns, rows):
    """Linear radiance and region of one view, ``(rows, columns)`` each."""
    d, ray = rays(a, b, columns, rows)
    shape, ray = ray.shape[:2], ray.reshape(-1, 3)
    p, _ = first_hit(die, 3 * d, ray)
    smooth, hit = first_hit(body, 3 * d, ray)
    radiance = np.where(hit, shade(p, d), BACKGROUND)
    region = np.where(hit, describe(p, smooth), 0)
    return radiance.reshape(shape), region.reshape(shape)
