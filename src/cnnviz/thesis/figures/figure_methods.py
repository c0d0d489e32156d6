"""Every visualization method, side by side, in both experiments.

The thesis describes deconvolutional networks (section 3.1.2) without applying
them; here they stand beside the methods that it applies.  Features and pictures
are found by rule: in the network of the die, the features with the strongest
activation on the shown views, each on the view where it is strongest; in De
Fauw's, the feature that exceeds its mean over a few photographs by most standard
deviations, of those whose maximal neuron sees nothing but the field of view.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnnviz.attribution import overlay
from cnnviz.runtime.errors import UserError
from cnnviz.thesis.figures import style

if TYPE_CHECKING:
    from lasagne.layers import Layer
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cnnviz.attribution.receptive_field import ReceptiveField

NETWORK, LAYER, FEATURES = "c9", "pool2", 2
FUNDUS_LAYERS = {"pool3": 1, "pool4": 4}  # and their occlusion's stride
GRADE, REFERENCES, CANDIDATES = 3, 4, 20  # photographs, eye pairs to search
DIE_OCCLUDER, FUNDUS_OCCLUDER = 5, 11
SIGMA = 1.0  # pixels; of the photographs' maps, which are fine at this size
MARGIN = 0.15  # of the receptive field's size, shown around it
CONTRAST = 2.5  # of what is shown of photographs, or little is seen at this size
HEADINGS = (
    "gradient of max(F)",
    "gradient of sum(F)",
    "occlusion",
    "deconvolutional\nnetwork",
    "guided\nback-propagation",
)
LABEL, GAP, EDGE = 1.08, 0.07, 0.04  # inches, as all below
HEAD, BELOW, THUMBNAIL = 0.5, 0.26, 0.46
SIDE = (style.PAGE_WIDTH - LABEL - EDGE - GAP * len(HEADINGS)) / (len(HEADINGS) + 1)


class Row(NamedTuple):
    """One feature, and what the methods say of it."""

    label: str
    image: np.ndarray  #: in [0, 1], ``(rows, columns)`` or ``(rows, columns, 3)``
    box: tuple  #: what the maximal neuron sees, not clipped
    maps: np.ndarray  #: ``(methods, rows, columns)``
    part: tuple | None = None  #: of the image that is shown, as a box; None for all


class Block(NamedTuple):
    """The rows of one network."""

    title: str
    occluder: str
    rows: list


# --- Rules ------------------------------------------------------------------------


def strongest(maps: np.ndarray, count: int) -> list[tuple[int, int]]:
    """Features with the strongest activation, and the image of each.

    Parameters
    ----------
    maps : array, ``(n, features, rows, columns)``
    count : int

    Returns
    -------
    list of (feature, image)
    """
    peaks = maps.max(axis=(2, 3))
    order = np.argsort(-peaks.max(axis=0), kind="stable")[:count]
    return [(int(feature), int(peaks[:, feature].argmax())) for feature in order]


def outstanding(maps: np.ndarray, references: np.ndarray, allowed: np.ndarray) -> tuple[int, float]:
    """The feature that exceeds its mean by most standard deviations.

    Parameters
    ----------
    maps : array, ``(features, rows, columns)``
        Of the shown image.
    references : array, ``(n, features, rows, columns)``
        Mean and standard deviation are over images and positions of these.
    allowed : bool array, ``(rows, columns)``
        Where the maximal neuron may be.

    Returns
    -------
    feature : int
    excess : float
        In standard deviations.

    Raises
    ------
    ValueError
        If no feature's maximal neuron is at an allowed place.
    """
    flat = maps.reshape(len(maps), -1)
    mean, spread = (each(references, axis=(0, 2, 3)) for each in (np.mean, np.std))
    excess = (flat.max(axis=1) - mean) / np.maximum(spread, np.finfo(spread.dtype).tiny)
    excess[~allowed.ravel()[flat.argmax(axis=1)] | (spread == 0)] = -np.inf
    if np.isneginf(excess).all():
        raise UserError("no feature is strongest at an allowed place")
    return int(excess.argmax()), float(excess.max())


def inside_field(
    field: ReceptiveField, map_shape: tuple[int, ...], image_shape: tuple[int, int]
) -> np.ndarray:
    """Neurons whose receptive field lies within the round field of view.

    Parameters
    ----------
    field : cnnviz.attribution.receptive_field.ReceptiveField
    map_shape, image_shape : (rows, columns)
        The field of view touches the image's borders.

    Returns
    -------
    bool array of ``map_shape``
    """
    inside = np.zeros(map_shape, bool)
    for place in np.ndindex(*map_shape):
        top, left, bottom, right = field.box(*place)
        corners = np.array(list(itertools.product((top, bottom), (left, right))))
        inside[place] = (np.hypot(*(2 * corners / image_shape - 1).T) <= 1).all()
    return inside


def around(
    box: tuple[int, int, int, int], shape: tuple[int, int], margin: float = MARGIN
) -> tuple[int, int, int, int]:
    """A box with a margin, in shares of its size, that stays on the image."""
    edge = round(margin * max(box[2] - box[0], box[3] - box[1]))
    return (
        max(box[0] - edge, 0),
        max(box[1] - edge, 0),
        min(box[2] + edge, shape[0]),
        min(box[3] + edge, shape[1]),
    )


# --- Computing --------------------------------------------------------------------


def _all_methods(layer: Layer, pixels, feature, size, stride: int = 1):
    """Saliency of one image by every method ``(5, rows, columns)``."""
    from cnnviz.evaluation.layer_methods import all_methods

    return all_methods(layer, pixels, [feature], size, stride)[:, 0, 0]


def _neuron(layer: Layer, pixels, feature):
    """Box of the maximal neuron, and lines that describe the feature."""
    from cnnviz.experiments import shown_features

    [neuron] = shown_features.strongest_neurons(layer, pixels, [feature])
    assert neuron.box is not None  # windows are evaluated
    rows, columns = np.subtract(neuron.box[2:], neuron.box[:2])
    return neuron.box, (
        f"feature {feature}\nactivation {neuron.activation:.3g}\nsees {rows} × {columns}"
    )


def _die_layer(folder):
    from cnnviz.networks import die, layers, weights

    network = die.build(NETWORK)
    weights.load_fold(folder, "random", NETWORK, 0, network)
    return layers.find_layer(network, LAYER)


def _die_row(layer: Layer, image, pixels, view, feature):
    box, label = _neuron(layer, pixels, feature)
    return Row(
        "{}\na = {}°, b = {}°".format(label, *view),
        image,
        box,
        _all_methods(layer, pixels, feature, DIE_OCCLUDER),
    )


def die_block(folder: Any) -> Any:
    """Rows of the network of the die, with weights of a folder."""
    from cnnviz.attribution.activations import feature_maps
    from cnnviz.datasets import die360
    from cnnviz.datasets.pictures import standardization

    layer, images = _die_layer(folder), die360.render(*zip(*die360.SHOWN))
    mean, std = standardization(NETWORK, None, None, 1)
    pixels = ((images - mean) / std)[:, np.newaxis].astype(np.float32)
    chosen = strongest(feature_maps(layer, pixels), FEATURES)
    return Block(
        f"(a) Die360: network {NETWORK}, layer {LAYER}",
        f"{DIE_OCCLUDER} × {DIE_OCCLUDER}",
        [
            _die_row(layer, images[k], pixels[k : k + 1], die360.SHOWN[k], feature)
            for feature, k in chosen
        ],
    )


def first_of_grade(grade: Any, count: Any = CANDIDATES) -> Any:
    """Record of the first synthetic photograph of a grade."""
    from cnnviz.datasets import fundus, synthetic

    for record in synthetic.records(count):
        eyes = dict(zip(fundus.SIDES, synthetic.pair([record.seed, record.patient])))
        if eyes[record.side].grade == grade:
            return record
    raise UserError(f"no photograph of grade {grade} among {count} eye pairs")


def fundus_block() -> Any:
    """Rows of De Fauw's network, with the weights that come with the package."""
    from cnnviz.datasets import synthetic
    from cnnviz.networks import defauw, layers

    network = defauw.build()
    defauw.load("surrogate", network)
    record = first_of_grade(GRADE)
    pixels, references = (
        np.stack([synthetic.load(each).pixels for each in chosen])
        for chosen in ([record], synthetic.records(REFERENCES)[:REFERENCES])
    )
    rows = [
        _fundus_row(layers.find_layer(network, name), pixels, references, stride)
        for name, stride in FUNDUS_LAYERS.items()
    ]
    return Block(
        "(b) Retinopathy: De Fauw's network with surrogate weights, synthetic "
        f"photograph of grade {GRADE}",
        f"{FUNDUS_OCCLUDER} × {FUNDUS_OCCLUDER}",
        rows,
    )


def _fundus_row(layer: Layer, pixels, references, stride):
    from cnnviz.attribution.activations import feature_maps
    from cnnviz.attribution.receptive_field import receptive_field
    from cnnviz.datasets import fundus

    maps, others = (feature_maps(layer, each, 1) for each in (pixels, references))
    shape = pixels.shape[2:]
    allowed = inside_field(receptive_field(layer), maps.shape[2:], shape)
    feature, _ = outstanding(maps[0], others, allowed)
    box, label = _neuron(layer, pixels, feature)
    values = _all_methods(layer, pixels, feature, FUNDUS_OCCLUDER, stride)
    label = f"{layer.name}, {label}" + (f"\noccluder's stride {stride}" if stride > 1 else "")
    image = fundus.destandardize(pixels[0]).clip(0, 1)
    return Row(label, image, box, overlay.smooth(values, SIGMA), around(box, shape))


# --- Drawing ----------------------------------------------------------------------


def contrasted(image: np.ndarray, gain: float = CONTRAST) -> np.ndarray:
    """Move values away from their channel's mean, within [0, 1]."""
    mean = image.mean(axis=(0, 1))
    return np.clip(mean + gain * (image - mean), 0, 1)


def rounded_up(limit: float) -> float:
    """The least number of two digits that is not below a positive one."""
    unit = 10.0 ** (np.floor(np.log10(limit)) - 1)
    # 0.07 / 0.001 is a little above 70.
    return float(f"{np.ceil(limit / unit - 1e-6) * unit:.2g}")


def cropped(row: Row) -> tuple[np.ndarray, tuple[int, int, int, int], np.ndarray]:
    """Image, box and maps of the part of a row that is shown."""
    if row.part is None:
        return row.image, row.box, row.maps
    top, left, bottom, right = row.part
    box = tuple(np.subtract(row.box, (top, left, top, left)).tolist())
    return (contrasted(row.image[top:bottom, left:right]), box, row.maps[:, top:bottom, left:right])


def _axes(figure: Any, left: float, top: float, side: float) -> Axes:
    """Square axes at a place in inches, from the left upper corner."""
    width, height = figure.get_size_inches()
    return figure.add_axes([left / width, 1 - (top + side) / height, side / width, side / height])


def _write(figure: Figure, left: float, top: float, text: str, **options: Any) -> None:
    width, height = figure.get_size_inches()
    figure.text(left / width, 1 - top / height, text, **options)


def _left(column: int) -> float:
    return LABEL + column * (SIDE + GAP)


def _draw_head(figure: Figure, block: Block, top: float) -> None:
    _write(figure, EDGE, top + 0.13, block.title, weight="bold", va="baseline")
    names = ["close-up" if block.rows[0].part else "view", *HEADINGS]
    names[3] += f"\n{block.occluder}"
    for column, name in enumerate(names):
        _write(
            figure,
            _left(column) + SIDE / 2,
            top + HEAD - 0.04,
            name,
            ha="center",
            va="bottom",
            linespacing=1.1,
        )


def _draw_label(figure: Figure, row: Row, top: float) -> None:
    """What the row is, above a small picture of all if a part is shown."""
    _write(figure, EDGE, top, row.label, va="top", linespacing=1.25)
    if row.part:
        axes = _axes(figure, LABEL - GAP - THUMBNAIL, top + SIDE - THUMBNAIL, THUMBNAIL)
        style.show(axes, row.image)
        style.show_box(axes, row.box, row.image)


def _draw_row(figure: Figure, row: Row, top: float) -> None:
    _draw_label(figure, row, top)
    image, box, maps = cropped(row)
    panels = [_axes(figure, _left(k), top, SIDE) for k in range(len(maps) + 1)]
    style.show(panels[0], image)
    for axes, values in zip(panels[1:], maps):
        style.show_values(axes, values, rounded_up(overlay.limit(values)), "")
    for axes in panels:
        style.show_box(axes, box, image)


def draw(blocks: Sequence[Block]) -> Figure:
    """Draw the figure.

    Parameters
    ----------
    blocks : list of Block

    Returns
    -------
    matplotlib.figure.Figure
    """
    height = sum(HEAD + len(block.rows) * (SIDE + BELOW) for block in blocks)
    figure, top = style.new(height + EDGE), 0.0
    for block in blocks:
        _draw_head(figure, block, top)
        top += HEAD
        for row in block.rows:
            _draw_row(figure, row, top)
            top += SIDE + BELOW
    return figure


def make(output: Path, *, weights_folder: Path) -> None:
    style.save(draw([die_block(weights_folder), fundus_block()]), output)
