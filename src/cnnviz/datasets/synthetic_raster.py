"""Kernels that draw fundus scenes: vessels, blobs, noise, light.

Lengths are in radii of the field of view.  A *window* says which part of the
plane a picture shows: x and y of its left upper corner, and pixels a radius
along x and along y, which differ where the aspect ratio is not kept.
"""

import numba
import numpy as np

__all__ = ["blobs", "blur", "compose", "finish", "noise", "strokes"]

# Only what Python calls is kept compiled on disk, with what it calls inside.
_entry = numba.njit(nogil=True, cache=True)


@_entry
def strokes(target, segments, window):
    """Draw segments into a map of optical density, the maximum where they meet.

    A vessel is a cylinder: its density follows the length of the ray in it.
    One thinner than a pixel is drawn a pixel wide and as much fainter.

    Parameters
    ----------
    target : float32 array, ``(rows, columns)``; changed
    segments : float array, ``(n, 7)``
    window : (x, y, pixels a radius along x, the same along y)
    """
    left, top, along_x, along_y = window
    rows, columns = target.shape
    finest = 0.75 / min(along_x, along_y)
    for index in range(len(segments)):
        x0, y0, x1, y1, half0, half1, _ = segments[index]
        reach = max(half0, half1, finest) * 1.3
        first_row = max(0, int((min(y0, y1) - reach - top) * along_y))
        last_row = min(rows - 1, int((max(y0, y1) + reach - top) * along_y) + 1)
        first_column = max(0, int((min(x0, x1) - reach - left) * along_x))
        last_column = min(columns - 1, int((max(x0, x1) + reach - left) * along_x) + 1)
        dx, dy = x1 - x0, y1 - y0
        squared = max(dx * dx + dy * dy, 1e-12)
        for row in range(first_row, last_row + 1):
            y = top + (row + 0.5) / along_y
            for column in range(first_column, last_column + 1):
                x = left + (column + 0.5) / along_x
                along = min(max(((x - x0) * dx + (y - y0) * dy) / squared, 0.0), 1.0)
                off_x, off_y = x - x0 - along * dx, y - y0 - along * dy
                half = half0 + along * (half1 - half0)
                drawn = max(half, finest)
                apart = (off_x * off_x + off_y * off_y) / (drawn * drawn)
                if apart < 1:
                    density = np.sqrt(1 - apart) * half / drawn
                    # Wide vessels are darker than fine ones.
                    density *= min(1.0, 0.35 + half / 0.016)
                    if density > target[row, column]:
                        target[row, column] = density


@numba.njit(nogil=True)
def _coverage(shape, x, y):
    """Share of a blob's strength at a place, 0 to 1.

    Columns of ``shape``: x, y, radius, elongation, angle, edge, boat, and
    amplitude and phase of the second, third and fifth harmonic of the outline.
    """
    dx, dy = x - shape[0], y - shape[1]
    cosine, sine = np.cos(shape[4]), np.sin(shape[4])
    stretch = np.sqrt(shape[3])
    u = (cosine * dx + sine * dy) / (shape[2] * stretch)
    v = (cosine * dy - sine * dx) / shape[2] * stretch
    distance = np.sqrt(u * u + v * v)
    if distance > 2.2:
        return 0.0
    angle = np.arctan2(v, u)
    outline = (
        1
        + shape[7] * np.cos(2 * angle + shape[8])
        + shape[9] * np.cos(3 * angle + shape[10])
        + shape[11] * np.cos(5 * angle + shape[12])
    )
    inside = outline - distance
    if shape[6] > 0:  # settled blood has a level upper surface
        inside = min(inside, v + shape[6])
    return min(max(inside / shape[5] + 0.5, 0.0), 1.0)


@_entry
def blobs(layer, masks, shapes, colors, kinds, window):
    """Draw blobs: into a layer of logarithmic contrasts, and into masks.

    Where blobs overlap, the stronger one counts.

    Parameters
    ----------
    layer : float32 array, ``(rows, columns, 3)``; changed
    masks : float32 array, ``(kinds, rows, columns)``; changed
        The share of each pixel that lies inside the outlines.
    shapes : float array, ``(n, 13)``
    colors : float array, ``(n, 3)``
        Logarithm of the ratio to the background.
    kinds : int array, ``(n,)``
        Mask of each blob; negative for none.
    window : as for :func:`strokes`
    """
    left, top, along_x, along_y = window
    rows, columns = layer.shape[:2]
    pixel = 1 / min(along_x, along_y)
    for index in range(len(shapes)):
        shape = shapes[index].copy()
        # A blob smaller than a pixel fills one, and is as much fainter.
        strength = min(1.0, (shape[2] / (0.6 * pixel)) ** 2)
        shape[2] = max(shape[2], 0.6 * pixel)
        shape[5] = max(shape[5], pixel / shape[2])
        reach = shape[2] * np.sqrt(shape[3]) * 1.6 + pixel
        first_row = max(0, int((shape[1] - reach - top) * along_y))
        last_row = min(rows - 1, int((shape[1] + reach - top) * along_y) + 1)
        first_column = max(0, int((shape[0] - reach - left) * along_x))
        last_column = min(columns - 1, int((shape[0] + reach - left) * along_x) + 1)
        for row in range(first_row, last_row + 1):
            y = top + (row + 0.5) / along_y
            for column in range(first_column, last_column + 1):
                x = left + (column + 0.5) / along_x
                share = _coverage(shape, x, y) * strength
                if share <= 0:
                    continue
                for channel in range(3):
                    value = share * colors[index, channel]
                    if abs(value) > abs(layer[row, column, channel]):
                        layer[row, column, channel] = value
                kind = kinds[index]
                if kind >= 0 and share > masks[kind, row, column]:
                    masks[kind, row, column] = share


@_entry
def noise(target, gradients, frame, amplitude, ridged, window):
    """Add gradient noise (Perlin 1985).

    Parameters
    ----------
    target : float32 array, ``(rows, columns)``; changed
    gradients : float32 array, ``(n, n, 2)``
        At the points of a lattice, which repeats.
    frame : float array, ``(2, 2)``
        From places to lattice coordinates: turned and stretched, so that
        the lattice does not show.
    amplitude : float
    ridged : bool
        Bright lines between dark patches: one minus twice the distance from
        zero.
    window : as for :func:`strokes`
    """
    left, top, along_x, along_y = window
    size = len(gradients)
    for row in range(target.shape[0]):
        y = top + (row + 0.5) / along_y
        for column in range(target.shape[1]):
            x = left + (column + 0.5) / along_x
            u = frame[0, 0] * x + frame[0, 1] * y
            v = frame[1, 0] * x + frame[1, 1] * y
            i, j = int(np.floor(u)), int(np.floor(v))
            a, b = u - i, v - j
            i0, j0 = i % size, j % size
            i1, j1 = (i + 1) % size, (j + 1) % size
            first = gradients[j0, i0, 0] * a + gradients[j0, i0, 1] * b
            second = gradients[j0, i1, 0] * (a - 1) + gradients[j0, i1, 1] * b
            third = gradients[j1, i0, 0] * a + gradients[j1, i0, 1] * (b - 1)
            fourth = gradients[j1, i1, 0] * (a - 1) + gradients[j1, i1, 1] * (b - 1)
            a, b = a * a * (3 - 2 * a), b * b * (3 - 2 * b)
            upper = first + a * (second - first)
            value = upper + b * (third + a * (fourth - third) - upper)
            if ridged:
                value = 0.5 - 2 * abs(value)
            target[row, column] += amplitude * value


@numba.njit(nogil=True)
def _disc(disc, x, y):
    """Shares of the optic disc's rim, of its cup and of the light around it, at a place.

    ``disc`` as for :func:`compose`.
    """
    dx, dy = x - disc[0], y - disc[1]
    cosine, sine = np.cos(disc[4]), np.sin(disc[4])
    u = (cosine * dx + sine * dy) / disc[2]
    v = (cosine * dy - sine * dx) / (disc[2] * disc[3])
    away = np.sqrt(u * u + v * v)
    rim = min(max((1 - away) / 0.20 + 0.5, 0.0), 1.0)
    # Light scattered around the disc.
    halo = 0.25 * np.exp(-2.5 * max(away - 1, 0.0)) if away < 2.6 else 0.0
    cup = 0.0
    if rim > 0:
        inner = np.sqrt((u + disc[6]) ** 2 + v * v)
        cup = min(max((disc[5] - inner) / 0.25 + 0.5, 0.0), 1.0)
    return rim, cup, halo


@_entry
def compose(
    texture,
    arteries,
    veins,
    new_vessels,
    lesions,
    color,
    absorption,
    tint,
    light,
    disc,
    disc_colors,
    macula,
    window,
):
    """Light that comes back from the retina, before the camera's lens.

    Parameters
    ----------
    texture, arteries, veins, new_vessels : float32 arrays, ``(rows, columns)``
    lesions : float32 array, ``(rows, columns, 3)``
    color : float array, ``(3,)``
        Of the background at the center, 0 to 1.
    absorption : float array, ``(3, 3)``
        Of arteries, veins, new vessels, in each channel.
    tint : float array, ``(3,)``
        How strongly the texture changes each channel.
    light : float array, ``(5,)``
        Logarithmic gradients along x and y, and falloff with the squared and
        fourth power of the radius, and its part in blue.
    disc : float array, ``(7,)``
        x, y, radius, elongation, angle, and radius and offset of the cup.
    disc_colors : float array, ``(2, 3)``
        Logarithmic contrasts of rim and cup.
    macula : float array, ``(6,)``
        x, y, radius, darkening of macula, radius and darkening of fovea.
    window : as for :func:`strokes`

    Returns
    -------
    float32 array, ``(rows, columns, 3)``
    """
    left, top, along_x, along_y = window
    rows, columns = texture.shape
    picture = np.empty((rows, columns, 3), np.float32)
    logs = np.log(color)
    for row in range(rows):
        y = top + (row + 0.5) / along_y
        for column in range(columns):
            x = left + (column + 0.5) / along_x
            radius = x * x + y * y
            falloff = light[2] * radius + light[3] * radius * radius
            shade = light[0] * x + light[1] * y - falloff
            near = ((x - macula[0]) ** 2 + (y - macula[1]) ** 2) / macula[2] ** 2
            dark = macula[3] * np.exp(-near) if near < 6 else 0.0
            near *= (macula[2] / macula[4]) ** 2
            if near < 6:
                dark += macula[5] * np.exp(-near)
            rim, cup, halo = _disc(disc, x, y)
            for channel in range(3):
                bright = (
                    rim * disc_colors[0, channel]
                    + cup * disc_colors[1, channel]
                    + (1 - rim) * halo * disc_colors[0, channel]
                )
                value = (
                    logs[channel]
                    + shade
                    + bright
                    - dark * (0.55 if channel == 0 else 1.0)
                    + (1 - 0.8 * rim) * tint[channel] * texture[row, column]
                    + lesions[row, column, channel]
                    - arteries[row, column] * absorption[0, channel]
                    - veins[row, column] * absorption[1, channel]
                    - new_vessels[row, column] * absorption[2, channel]
                )
                if channel == 2:
                    value += light[4] * radius
                picture[row, column, channel] = np.exp(value)
    return picture


@_entry
def blur(picture, sigma_x, sigma_y):
    """Gaussian blur, in place; sigma in pixels, borders repeated."""
    rows, columns, channels = picture.shape
    for axis in range(2):
        sigma = sigma_x if axis == 0 else sigma_y
        if sigma < 0.2:
            continue
        half = int(np.ceil(2.5 * sigma))
        kernel = np.empty(2 * half + 1, np.float32)
        for k in range(-half, half + 1):
            kernel[k + half] = np.exp(-0.5 * (k / sigma) ** 2)
        kernel /= kernel.sum()
        if axis == 0:
            line = np.empty((columns, channels), np.float32)
            for row in range(rows):
                line[:] = picture[row]
                for column in range(columns):
                    for channel in range(channels):
                        total = np.float32(0)
                        for k in range(-half, half + 1):
                            at = min(max(column + k, 0), columns - 1)
                            total += kernel[k + half] * line[at, channel]
                        picture[row, column, channel] = total
        else:
            copy = picture.copy()
            for row in range(rows):
                picture[row] = 0
                for k in range(-half, half + 1):
                    at = min(max(row + k, 0), rows - 1)
                    weight = kernel[k + half]
                    for column in range(columns):
                        for channel in range(channels):
                            picture[row, column, channel] += weight * copy[at, column, channel]


@_entry
def finish(picture, rim, haze, notch, cut, edge, grain, window):
    """Stray light, the edge of the field of view, noise: the final picture.

    Parameters
    ----------
    picture : float32 array, ``(rows, columns, 3)``, 0 to 1; changed
    rim : float array, ``(7,)``
        Overexposed crescent at the edge: direction, width, depth, strength,
        and its three colors.
    haze : float array, ``(4,)``
        Share of white light, and its colors.
    notch : float array, ``(2,)``
        Direction and size of the mark at the edge; size 0 for none.
    cut : float
        Rows beyond this distance from the center are not seen.
    edge : float
        Width of the soft edge.
    grain : float32 array, ``(rows, columns, 3)``
        Noise of the sensor.
    window : as for :func:`strokes`

    Returns
    -------
    uint8 array, ``(rows, columns, 3)``
    """
    left, top, along_x, along_y = window
    rows, columns = picture.shape[:2]
    result = np.empty((rows, columns, 3), np.uint8)
    notch_x, notch_y = np.cos(notch[0]), np.sin(notch[0])
    for row in range(rows):
        y = top + (row + 0.5) / along_y
        for column in range(columns):
            x = left + (column + 0.5) / along_x
            radius = np.sqrt(x * x + y * y)
            seen = min(max((1 - radius) / edge + 0.5, 0.0), 1.0)
            seen = min(seen, min(max((cut - abs(y)) / edge + 0.5, 0.0), 1.0))
            if notch[1] > 0:
                along = notch_x * x + notch_y * y
                across = abs(notch_x * y - notch_y * x)
                if 0.9 < along < 1 + notch[1] and across < notch[1]:
                    seen = 1.0
            glow = 0.0
            if rim[3] > 0 and radius > 0.4:
                turned = np.arctan2(y, x) - rim[0]
                turned = (turned + np.pi) % (2 * np.pi) - np.pi
                if abs(turned) < 2.5 * rim[1]:
                    glow = rim[3] * np.exp(-((turned / rim[1]) ** 2) - ((1 - radius) / rim[2]) ** 2)
            for channel in range(3):
                value = picture[row, column, channel]
                value = value * (1 - haze[0]) + haze[0] * haze[1 + channel]
                value += glow * (rim[4 + channel] - 0.4 * value)
                value = value * seen + grain[row, column, channel] * (0.3 + 0.7 * seen)
                value = 255 * value + 0.5
                result[row, column, channel] = np.uint8(min(max(value, 0.0), 255.0))
    return result
