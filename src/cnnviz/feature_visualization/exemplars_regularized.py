"""Regularized activation maximization: an extension, not in the thesis.

The thesis found its exemplars hard to interpret.  Work since then keeps them
readable by what the ascent may change: random shifts, rotations and scales that
the exemplar has to survive, coefficients that favour low frequencies, and a
penalty on variation (Olah et al. 2017, "Feature visualization"; Mahendran and
Vedaldi 2016).  Two measures tell what that gains: :func:`transfer` and
:func:`diversity`.

The ascent runs on a canvas, which surrounds the patch of
:mod:`cnnviz.feature_visualization.exemplars` by a margin, so that shifts bring content into view.
Everything here is linear in the canvas, and gradients go back through the
adjoint.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import sparse
from tqdm import tqdm

from cnnviz.feature_visualization.exemplars import (
    BATCH_SIZE,
    Rule,
    ascend,
    checked,
    joined,
    rescaled,
)
from cnnviz.networks.inputs import batches, check_features, precision
from cnnviz.runtime.errors import UserError

__all__ = [
    "Parameterization",
    "pixels",
    "fourier",
    "jitter",
    "rotate",
    "scale",
    "usual_transforms",
    "RULE",
    "resampling",
    "resample",
    "total_variation",
    "regularized",
    "SHIFTS",
    "transfer",
    "diversity",
]


class Parameterization(NamedTuple):
    """How coefficients make a canvas: a linear map and its adjoint."""

    shape: tuple  #: of one canvas' coefficients
    to_canvas: Callable  #: ``(n, *shape)`` to ``(n, channels, rows, columns)``
    adjoint: Callable  #: and a gradient the other way


def pixels(shape):
    """The canvas is its own coefficients.

    Parameters
    ----------
    shape : (channels, rows, columns)

    Returns
    -------
    Parameterization
    """
    return Parameterization(tuple(shape), np.asarray, np.asarray)


def fourier(shape, decay=1.0):
    """Fourier coefficients, scaled by frequency to the power of -``decay``.

    Equal steps then change low frequencies most (after Olah et al. 2017).
    Standard normal coefficients give canvases with an expected mean square of 1.

    Parameters
    ----------
    shape : (channels, rows, columns)
    decay : float
        With 0 the ascent goes where it goes in pixels.

    Returns
    -------
    Parameterization
        Of coefficients ``(channels, 2, rows, columns // 2 + 1)``: real and
        imaginary parts, the column frequencies without their mirror images.
    """
    channels, *size = shape
    counts = _mirror_images(size[1])
    factors = _frequencies(size) ** -decay
    factors /= np.sqrt((factors**2 * counts).sum() / np.prod(size))

    def to_canvas(coefficients):
        spectrum = coefficients[:, :, 0] + 1j * coefficients[:, :, 1]
        spectrum = spectrum * factors / np.sqrt(counts)
        return np.fft.irfft2(spectrum, s=size, norm="ortho")

    def adjoint(gradient):
        spectrum = np.fft.rfft2(gradient, norm="ortho") * factors * np.sqrt(counts)
        return np.stack([spectrum.real, spectrum.imag], axis=2)

    return Parameterization((channels, 2, size[0], size[1] // 2 + 1), to_canvas, adjoint)


def _mirror_images(columns):
    """How many columns of the whole spectrum each kept one stands for."""
    kept = np.arange(columns // 2 + 1)
    return np.where(2 * kept % columns == 0, 1.0, 2.0)


def _frequencies(size):
    """Cycles a pixel; that of the mean is taken for the lowest other one."""
    found = np.hypot(np.fft.fftfreq(size[0])[:, np.newaxis], np.fft.rfftfreq(size[1]))
    return np.maximum(found, 1 / max(size))


def jitter(reach):
    """Shifts of up to ``reach`` whole pixels along rows and columns.

    Returns
    -------
    function
        From a ``numpy.random.RandomState`` to a matrix ``(3, 3)``, which takes
        (row, column, 1) in the patch to the canvas, both from their centres;
        that of every transform.
    """

    def draw(rng):
        matrix = np.eye(3)
        matrix[:2, 2] = rng.randint(-reach, reach + 1, 2)
        return matrix

    return draw


def rotate(degrees):
    """Rotations by up to ``degrees`` either way; see :func:`jitter`."""

    def draw(rng):
        angle = np.deg2rad(rng.uniform(-degrees, degrees))
        matrix = np.eye(3)
        matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        return matrix

    return draw


def scale(least, most):
    """Magnifications between ``least`` and ``most``; see :func:`jitter`."""

    def draw(rng):
        step = 1 / rng.uniform(least, most)  # in the canvas, for one in the patch
        return np.diag([step, step, 1])

    return draw


def usual_transforms(network):
    """Shifts by up to 1/16 of the patch, rotations by 5 degrees, scales by 5 %."""
    return jitter(-(-max(network.shape[1:]) // 16)), rotate(5), scale(0.95, 1.05)


#: Steps are of a fixed length here: see :func:`regularized`.
RULE = Rule(steps=256, step_size=0.05, tolerance=None)


def resampling(matrix, canvas, patch):
    """Bilinear interpolation of a patch from a canvas, as a matrix.

    Parameters
    ----------
    matrix : array, ``(3, 3)``
        From (row, column, 1) in the patch to the canvas, both from their
        centres.
    canvas, patch : (rows, columns)

    Returns
    -------
    scipy.sparse.csr_matrix, ``(patch pixels, canvas pixels)``
        Its transpose is the adjoint.  Outside, the canvas goes on as at its
        border.
    """
    rows, columns = np.indices(patch).reshape(2, -1)
    centred = np.stack(
        [rows - (patch[0] - 1) / 2, columns - (patch[1] - 1) / 2, np.ones(rows.size)]
    )
    places = (np.asarray(matrix) @ centred)[:2]
    down, right = (_neighbours(place + (size - 1) / 2, size) for place, size in zip(places, canvas))
    corners = [
        (row * canvas[1] + column, weight * other)
        for row, weight in down
        for column, other in right
    ]
    pixels, weights = map(np.concatenate, zip(*corners))
    return sparse.csr_matrix(
        (weights, (np.tile(np.arange(rows.size), 4), pixels)), (rows.size, canvas[0] * canvas[1])
    )


def _neighbours(place, size):
    """Both whole numbers around a place, and their weights."""
    place = np.clip(place, 0, size - 1)
    first = np.minimum(place.astype(int), max(size - 2, 0))
    part = place - first
    return (first, 1 - part), (np.minimum(first + 1, size - 1), part)


def resample(matrix, images, shape):
    """Apply :func:`resampling`'s matrix, or its transpose, to images.

    Parameters
    ----------
    matrix : sparse matrix, ``(new pixels, pixels)``
    images : array, ``(n, channels, rows, columns)``
    shape : (rows, columns)
        Of the result.

    Returns
    -------
    array, ``(n, channels, *shape)``
    """
    flat = images.reshape(-1, matrix.shape[1])
    return (matrix @ flat.T).T.reshape(*images.shape[:2], *shape)


def total_variation(images, beta=2.0):
    """Total variation of images and its gradient.

    .. math:: \\sum_{ij} \\left((x_{i,j+1} - x_{ij})^2
              + (x_{i+1,j} - x_{ij})^2\\right)^{\\beta / 2}

    over pixels with both neighbours (Mahendran and Vedaldi 2016, their
    equation 6).

    Parameters
    ----------
    images : array, ``(n, channels, rows, columns)``
    beta : float
        At least 1.  Below 2 a flat spot has no gradient, and counts as 0.

    Returns
    -------
    variation : array, ``(n,)``
    gradient : array, ``(n, channels, rows, columns)``
    """
    if beta < 1:
        raise UserError(f"beta must be at least 1, not {beta}")
    here = images[..., :-1, :-1]
    down, right = images[..., 1:, :-1] - here, images[..., :-1, 1:] - here
    square = down**2 + right**2
    power = np.where(square > 0, square, 1) ** (beta / 2 - 1) * (square > 0)
    gradient = np.zeros_like(images)
    gradient[..., 1:, :-1] += beta * power * down
    gradient[..., :-1, 1:] += beta * power * right
    gradient[..., :-1, :-1] -= beta * power * (down + right)
    return (power * square).sum(axis=(1, 2, 3)), gradient


class _Canvas(NamedTuple):
    """A canvas around the patch of a network."""

    network: tuple  # PatchNetwork
    parameterization: tuple  # Parameterization
    size: tuple  # rows, columns
    margin: int

    def centre(self, coefficients):
        """The patch itself, untransformed."""
        _, rows, columns = self.network.shape
        canvas = self.parameterization.to_canvas(coefficients)
        return canvas[:, :, self.margin : self.margin + rows, self.margin : self.margin + columns]

    def project(self, coefficients, norm):
        """Scale to a norm of the patch, which is linear in the coefficients."""
        if norm is None:
            return coefficients
        patches = self.centre(coefficients)
        return rescaled(coefficients, norm, np.sqrt((patches**2).sum(axis=(1, 2, 3))))

    def draw(self, transforms, rng):
        """A random view of the canvas, as a sparse matrix."""
        matrix = np.eye(3)
        for transform in transforms:
            matrix = matrix @ transform(rng)
        return resampling(matrix, self.size, self.network.shape[1:])


def _objective(canvas, features, transforms, variation, seed):
    """Function for :func:`cnnviz.feature_visualization.exemplars.ascend`, from coefficients."""
    activate = checked(canvas.network, features)

    def evaluate(coefficients, rows, step):
        # Every feature sees the same views, whichever are computed together.
        view = canvas.draw(transforms, np.random.RandomState([seed, step]))
        images = canvas.parameterization.to_canvas(coefficients)
        patches = resample(view, images, canvas.network.shape[1:])
        activations, gradients = activate(patches, rows, step)
        gradients = resample(view.T, gradients, canvas.size)
        if variation:
            gradients = gradients - variation * total_variation(images)[1]
        return activations, _of_unit_square(canvas.parameterization.adjoint(gradients))

    return evaluate


def _of_unit_square(gradients):
    """Scale each row to a mean square of 1; a row of zeros stays."""
    return rescaled(gradients, np.sqrt(gradients[0].size))


def regularized(
    network,
    features=None,
    seed=0,
    rule=RULE,
    margin=None,
    transforms=None,
    parameterization=fourier,
    variation=0.0,
    start=0.01,
    batch_size=BATCH_SIZE,
    progress=False,
):
    """Exemplars by regularized maximization: an extension, not in the thesis.

    Every step maximizes the activation of a random view of the canvas, less a
    penalty, along the gradient scaled to a mean square of 1: one step size
    serves all layers.

    Parameters
    ----------
    network : cnnviz.feature_visualization.exemplars.PatchNetwork
    features : int or sequence of int, optional
        All features when None.
    seed : int
        Of the noise that a feature starts from, and of the views.
    rule : cnnviz.feature_visualization.exemplars.Rule
        Its step size is in coefficients, its norm that of the patch.  Since
        views vary, activations do, and stopping early is off.
    margin : int, optional
        Pixels of canvas on every side of the patch; an eighth of its longer
        side when None.
    transforms : sequence of functions, optional
        Such as :func:`jitter`, :func:`rotate` and :func:`scale`; the last acts
        first on the patch's coordinates.  :func:`usual_transforms` when None.
    parameterization : function
        From the canvas' shape to a :class:`Parameterization`:
        :func:`fourier`, :func:`pixels`.
    variation : float
        Weight of the :func:`total_variation` of the canvas, in units of the
        activation.
    start : float
        Standard deviation of the coefficients at the start.
    batch_size : int
        Features a pass; does not change the result.
    progress : bool
        Show a progress bar.

    Returns
    -------
    cnnviz.feature_visualization.exemplars.Exemplars
        ``patches`` and ``iterates`` are the untransformed middle of the
        canvas, the former after the last step, with the activation
        ``reached``; ``activations`` are those of the views.

    Raises
    ------
    ValueError
        As :func:`cnnviz.feature_visualization.exemplars.maximize`, or for a negative margin,
        variation or start.
    """
    if transforms is None:
        transforms = usual_transforms(network)
    if margin is None:
        margin = -(-max(network.shape[1:]) // 8)
    for name, value in (("margin", margin), ("variation", variation), ("start", start)):
        if value < 0:
            raise UserError(f"{name} must be at least 0, not {value}")
    features = np.array(check_features(network.layer, features))
    canvas = _canvas(network, margin, parameterization)
    rule = rule.checked()
    climbs = []
    with tqdm(total=len(features) * (rule.steps + 1), unit=" steps", disable=not progress) as bar:
        for part in batches([features], batch_size):
            climbs.append(
                ascend(
                    _objective(canvas, features[part], transforms, variation, seed),
                    start * _noise(canvas, features[part], seed),
                    rule,
                    lambda coefficients: canvas.project(coefficients, rule.norm),
                    bar,
                )
            )
    return _in_pixels(
        canvas,
        joined(climbs, features),
        np.concatenate([climb.values for climb in climbs]),
        batch_size,
    )


def _canvas(network, margin, parameterization):
    channels, *size = network.shape
    size = tuple(side + 2 * margin for side in size)
    return _Canvas(network, parameterization((channels, *size)), size, margin)


def _noise(canvas, features, seed):
    return np.stack(
        [
            np.random.RandomState([seed, feature]).randn(*canvas.parameterization.shape)
            for feature in features
        ]
    )


def _in_pixels(canvas, found, last, batch_size):
    """The result with patches in the place of coefficients."""
    network = canvas.network
    patches = canvas.centre(last).astype(precision(network.layer))
    reached = np.concatenate(
        [
            network.evaluate(patches[part], found.features[part])[0]
            for part in batches([patches], batch_size)
        ]
    )
    iterates = np.empty((*found.iterates.shape[:2], *network.shape), patches.dtype)
    for k in range(len(found.kept)):
        iterates[:, k] = canvas.centre(found.iterates[:, k])
    return found._replace(patches=patches, reached=reached, iterates=iterates)


#: Up, down, left and right by 1, 2 and 4 pixels.
SHIFTS = tuple(
    (distance * row, distance * column)
    for distance in (1, 2, 4)
    for row, column in ((-1, 0), (1, 0), (0, -1), (0, 1))
)


def transfer(network, patches, features=None, shifts=SHIFTS, batch_size=BATCH_SIZE):
    """How much of its activation an exemplar keeps when it is shifted.

    Parameters
    ----------
    network : cnnviz.feature_visualization.exemplars.PatchNetwork
    patches : array, ``(features, channels, rows, columns)``
    features : int or sequence of int, optional
        All features when None.
    shifts : sequence of (rows, columns)
        Whole pixels, down and right; zeros move in.
    batch_size : int
        Features a pass; does not change the result.

    Returns
    -------
    array, ``(features, shifts)``
        Linear activation of the shifted patch over that of the patch.  NaN
        where the latter is not positive.

    Raises
    ------
    ValueError
        For a feature that the layer lacks, or another number of patches.
    """
    features = np.array(check_features(network.layer, features))
    if np.shape(patches) != (len(features), *network.shape):
        raise UserError(
            f"patches have shape {(len(features), *network.shape)}, not {np.shape(patches)}"
        )
    found = np.concatenate(
        [
            np.stack(
                [
                    network.evaluate(_shifted(patches[part], *shift), features[part])[0]
                    for shift in ((0, 0), *shifts)
                ],
                axis=1,
            )
            for part in batches([features], batch_size)
        ]
    )
    whole = np.where(found[:, :1] > 0, found[:, :1], np.nan)
    return found[:, 1:] / whole


def _shifted(patches, rows, columns):
    out = np.zeros_like(patches)
    source, target = zip(
        *(_overlap(size, step) for size, step in zip(patches.shape[2:], (rows, columns)))
    )
    out[(..., *target)] = patches[(..., *source)]
    return out


def _overlap(size, step):
    """Slices of what stays in sight, before a shift and after it."""
    kept = max(size - abs(step), 0)
    low, high = slice(0, kept), slice(size - kept, size)
    return (low, high) if step > 0 else (high, low)


def diversity(patches):
    """How different a feature's exemplars of several seeds are.

    Parameters
    ----------
    patches : array, ``(seeds, features, channels, rows, columns)``

    Returns
    -------
    array, ``(features,)``
        One minus the mean correlation of all pairs of seeds, over pixels and
        channels: 0 for equal exemplars, about 1 for unrelated ones, 2 for two
        opposite ones.  NaN where a patch is constant.

    Raises
    ------
    ValueError
        For fewer than two seeds.
    """
    patches = np.asarray(patches, np.float64)
    count = len(patches)
    if count < 2:
        raise UserError(f"diversity needs two seeds at least, not {count}")
    flat = patches.reshape(*patches.shape[:2], -1)
    flat = flat - flat.mean(axis=2, keepdims=True)
    length = np.sqrt((flat**2).sum(axis=2, keepdims=True))
    unit = flat / np.where(length > 0, length, np.nan)
    # The square of the sum holds every pair twice, and each seed with itself.
    pairs = (unit.sum(axis=0) ** 2).sum(axis=1) - count
    return 1 - pairs / (count * (count - 1))
