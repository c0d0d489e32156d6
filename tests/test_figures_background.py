"""Figures of chapters 2 and 3 and Figure 4.4: what they say, not how they look."""

import matplotlib.image
import matplotlib.text
import numpy as np
import pytest
from scipy import ndimage, signal

from cnnviz.attribution import occluder
from cnnviz.attribution.receptive_field import receptive_field
from cnnviz.cli import dispatch
from cnnviz.datasets import die360
from cnnviz.networks import defauw
from cnnviz.runtime.backend import lasagne
from cnnviz.thesis.figures import (
    figure_2_1,
    figure_2_2,
    figure_2_3,
    figure_2_4,
    figure_2_5,
    figure_3_1,
    figure_4_4,
)

L = lasagne.layers


@pytest.fixture(scope="module")
def network():
    return defauw.build()


def texts(figure):
    """Everything that is written in a figure."""
    return [text.get_text() for axes in figure.axes for text in (*axes.texts, axes.title)]


def shows(figure, text):
    """Whether something in the figure says so."""
    return any(text in each for each in texts(figure))


@pytest.mark.parametrize("number", ["2.1", "2.2", "2.3", "2.4", "2.5", "3.1", "4.4"])
def test_figures_have_page_width_and_no_clipped_text(number, tmp_path, monkeypatch):
    from cnnviz.thesis.figures import style

    figures = []
    save = style.save
    monkeypatch.setattr(
        style, "save", lambda figure, path: (figures.append(figure), save(figure, path))
    )
    stem = tmp_path / "figure"
    assert dispatch.main(["figure", number, "--output", str(stem)]) == 0
    assert matplotlib.image.imread(tmp_path / "figure.png").shape[1] == 2130
    assert (tmp_path / "figure.pdf").read_bytes()[:4] == b"%PDF"
    (figure,) = figures
    within = figure.get_tightbbox(figure.canvas.get_renderer())
    assert min(within.min) > -1e-6
    assert (within.max < figure.get_size_inches() + 1e-6).all()
    assert (
        min(text.get_size() for text in figure.findobj(matplotlib.text.Text) if text.get_text())
        >= style.SMALL
    )


# --- Figure 2.1 ------------------------------------------------------------------


def test_the_template_counts_the_spots_that_the_scene_has():
    image, template = figure_2_1.pictures()
    found = figure_2_1.correlation(image, template)
    spots = die360.regions(*figure_2_1.FIVE, size=figure_2_1.SIZE)[0] == die360.PIP + 5
    assert ndimage.label(spots)[1] == 5
    ones = figure_2_1.disjoint(found) >= figure_2_1.THRESHOLD
    assert ones.tolist() == [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
    assert figure_2_1.areas(found >= figure_2_1.THRESHOLD) == 5
    figure = figure_2_1.draw(image, template)
    assert shows(figure, "5 ones") and shows(figure, "5 areas of ones")


def test_every_region_holds_one_pip_or_none():
    starts, side = figure_2_1.region_starts(), figure_2_1.region_side()
    assert side == 28 and starts.tolist() == [22, 50, 78]
    spots = die360.regions(*figure_2_1.FIVE, size=figure_2_1.SIZE)[0] == die360.PIP + 5
    sizes = [
        [spots[row : row + side, column : column + side].sum() for column in starts]
        for row in starts
    ]
    assert np.sum(sizes) == spots.sum()
    assert (np.array(sizes) > 0).tolist() == [[1, 0, 1], [0, 1, 0], [1, 0, 1]]


def test_correlations_are_pearson_s():
    image, template = figure_2_1.pictures()
    found = figure_2_1.correlation(image, template)
    part = image[30:58, 41:69]
    assert found[30, 41] == pytest.approx(np.corrcoef(part.flat, template.flat)[0, 1], abs=1e-6)


# --- Figures 2.2 and 2.3 ---------------------------------------------------------


def test_responses_are_valid_convolutions(rng):
    image = rng.rand(9, 7)
    kernels = list(figure_2_2.KERNELS.values())
    expected = [signal.convolve2d(image, kernel, mode="valid") for kernel in kernels]
    np.testing.assert_allclose(figure_2_2.responses(image, kernels), expected, atol=1e-5)


@pytest.mark.parametrize(
    "index, edge",
    [
        (0, lambda row, column: row),
        (1, lambda row, column: column),
        (2, lambda row, column: row + column),
    ],
)
def test_a_kernel_answers_to_its_own_edges(index, edge):
    """Lighter downwards, to the right, to the lower right: positive."""
    kernels = list(figure_2_2.KERNELS.values())
    picture = (edge(*np.indices((10, 10))) >= 5).astype(float)
    maps = figure_2_2.responses(picture, kernels)
    assert maps[index].min() == 0 and maps[index].max() == 4
    assert np.abs(figure_2_2.responses(np.full((5, 5), 0.5), kernels)).max() == 0


def test_scale_covers_the_largest_response():
    assert figure_2_2.limit(np.array([-0.83, 0.21])) == 0.9


def test_valid_convolution_by_hand():
    image, kernel = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]]), np.eye(3, dtype=int)
    kernel[0, 2] = 2  # flipped, it meets the 7
    assert figure_2_3.convolve(image, kernel).tolist() == [[1 + 5 + 9 + 2 * 7]]


def test_the_thesis_s_convolution_but_for_two_numbers():
    result = figure_2_3.convolve(figure_2_3.INPUT, figure_2_3.KERNEL)
    assert result.tolist() == [[159, 204, 209, 230], [234, 279, 244, 247], [159, 204, 209, 244]]
    assert np.argwhere(result != figure_2_3.PRINTED).tolist() == [[1, 3], [2, 3]]
    figure = figure_2_3.draw(result)
    written = texts(figure)
    assert "247\n(278)" in written and "244\n(274)" in written and "209" in written
    assert shows(figure, "input I (5×6)") and shows(figure, "feature map I ∗ K (3×4)")


def test_a_number_is_spelled_out_with_the_flipped_kernel():
    assert figure_2_3.terms((0, 0)) == ("159 = 1·9 + 2·8 + 3·7 + 6·6 + 7·5 + 8·4 + 1·3 + 2·2 + 3·1")


# --- Figure 2.4 ------------------------------------------------------------------


def test_pooling_by_hand():
    found = figure_2_4.pooled(figure_2_4.INPUT)
    assert found["maximum"].tolist() == [[4, 9], [7, 6]]
    assert found["average"].tolist() == [[2.5, 7.5], [4, 3]]
    np.testing.assert_allclose(found["L² norm"] ** 2, [[30, 230], [90, 56]], rtol=1e-6)


def test_two_norms_are_not_as_printed():
    written = texts(figure_2_4.draw(figure_2_4.pooled(figure_2_4.INPUT)))
    assert [text for text in written if "(" in text] == ["5.48\n(2.50)", "9.49\n(9.48)"]
    assert "15.17" in written and "7.48" in written and "4.0" in written


def test_printed_numbers_set_the_decimals():
    assert figure_2_4.beside_printed(2.96, "3") == "3"
    assert figure_2_4.beside_printed(2.96, "3.0") == "3.0"
    assert figure_2_4.beside_printed(2.96, "2.95") == "2.96\n(2.95)"


# --- Figure 2.5 ------------------------------------------------------------------


def test_the_deepest_neuron_sees_6_by_6_pixels():
    layers = figure_2_5.build()
    boxes = figure_2_5.seen(layers, figure_2_5.NEURON)
    assert boxes == [(3, 3, 9, 9), (1, 1, 3, 3), (1, 1, 2, 2)]
    assert boxes[0] == receptive_field(layers[-1]).box(*figure_2_5.NEURON)
    label = figure_2_5.labels(layers, boxes)[0]
    assert "layer 1, 6×6\n6 = (2 − 1)·3 + 3" in label


def test_colored_parts_are_what_each_neuron_sees():
    layers = figure_2_5.build()
    whole, (top, left, bottom, right), _ = figure_2_5.seen(layers, figure_2_5.NEURON)
    parts = [
        figure_2_5.seen(layers[:2], (row, column))[0]
        for row in range(top, bottom)
        for column in range(left, right)
    ]
    assert parts == [(3, 3, 6, 6), (3, 6, 6, 9), (6, 3, 9, 6), (6, 6, 9, 9)]


# --- Figure 3.1 ------------------------------------------------------------------


def test_occluder_has_49_positions_of_which_12_are_shown():
    places = figure_3_1.positions().reshape(-1, 2)
    assert len(set(map(tuple, places.tolist()))) == 49
    assert places.min() == 0 and places.max() == 102
    assert figure_3_1.shown().shape == (3, 4, 2)
    # From the corner on and without leaving the image, as the caption says.
    assert len(occluder.centers((111 - 41 + 1,) * 2, 17)) == 25


def test_occluder_is_clipped_at_the_border():
    assert figure_3_1.box((0, 51), clip=False) == (-20, 31, 21, 72)
    assert figure_3_1.box((0, 102)) == (0, 82, 21, 111)


def test_every_pixel_is_occluded():
    covered = np.zeros((111, 111), int)
    for place in figure_3_1.positions().reshape(-1, 2):
        top, left, bottom, right = figure_3_1.box(place)
        covered[top:bottom, left:right] += 1
    assert covered.min() >= 1


# --- Figure 4.4 ------------------------------------------------------------------


def test_rows_add_up_to_the_thesis_s_total(network):
    rows = [figure_4_4.describe(layer) for layer in L.get_all_layers(network)]
    weights, biases = figure_4_4.totals(rows)
    assert weights + biases == 20_923_690 == L.count_params(network)
    assert len(rows) == 32 and sum(row.weights > 0 for row in rows) == 16
    assert shows(figure_4_4.draw(network), "20,923,690 parameters")


def test_rows_say_what_the_layers_are(network):
    rows = {row.layer: row for row in map(figure_4_4.describe, L.get_all_layers(network))}
    assert rows["conv1"] == (
        "conv1",
        "ConvLayer(7, 2)",
        "2×32×256×256",
        "0",
        "7×7",
        4_704,
        2_097_152,
    )
    assert rows["pool1"][1:5] == ("PoolLayer(3, 2)", "2×32×127×127", "1", "11×11")
    assert [rows[f"pool{block}"].field for block in range(2, 6)] == [
        "35×35",
        "83×83",
        "243×243",
        "563×563",
    ]
    assert rows["dense1"][1:] == ("DenseLayer(1024)", "2×1024", "", "", 12_845_056, 1_024)
    assert rows["dense1_maxout"].kind == "MaxoutLayer(2)"
    assert rows["dropout1"][1:5] == ("DropoutLayer(0.5)", "2×256×7×7", "", "")
    assert rows["patients"].output == "1×1028"
    assert rows["output"].kind == "NonlinearityLayer(softmax)"


def test_eyes_have_boxes_of_their_own_until_they_are_joined(network):
    layers = L.get_all_layers(network)
    spans = {layer.name: figure_4_4._spans(layer, layers) for layer in layers}
    assert spans["images"] == spans["with_dimensions"] == spans["output"] == figure_4_4.EYES
    assert spans["patients"] == spans["grades"] == figure_4_4.PATIENT
    assert spans["dimensions"] == figure_4_4.SECOND


def test_layers_know_what_they_take_in(network):
    layers = {layer.name: layer for layer in L.get_all_layers(network)}
    assert figure_4_4.incoming(layers["images"]) == []
    assert figure_4_4.incoming(layers["conv1"]) == [layers["images"]]
    assert figure_4_4.incoming(layers["with_dimensions"]) == [
        layers["dense1_maxout"],
        layers["dimensions"],
    ]
