"""The command 'visualize': any network, any image, every method; errors in one line."""
import matplotlib.image
import numpy as np
import pytest
from skimage import io

from cnnviz import (cli, deconvnet, exemplars, exemplars_regularized, files, occlusion,
                    overlay, paths, saliency)
from cnnviz.backend import lasagne
from cnnviz.commands import visualize as command
from cnnviz.datasets import die360, fundus, pictures, synthetic
from cnnviz.figures import style, visualize
from cnnviz.networks import die, layers, own as own_network, weights
from cnnviz.receptive_field import receptive_field

OWN = """
import lasagne
def build():
    network = lasagne.layers.InputLayer((None, {channels}, 12, 14), name="input")
    network = lasagne.layers.Conv2DLayer(network, 4, 3, name="conv")
    network = lasagne.layers.MaxPool2DLayer(network, 2, name="pool")
    return lasagne.layers.DenseLayer(network, 2, name="output")
"""
FEATURES = [2, 0]
MEAN, STD = 0.4, 0.25


class Own:
    """A network of one's own with its files, and the command on it."""

    def __init__(self, folder, channels=1):
        self.path, self.weights = folder / "own.py", folder / "own.npz"
        self.image, self.folder = folder / "image.png", folder
        self.path.write_text(OWN.format(channels=channels))
        rng = np.random.RandomState(3)
        self.network = own_network.build(self.path)
        self.values = [rng.randn(*value.shape).astype(value.dtype) for value
                       in lasagne.layers.get_all_param_values(self.network)]
        lasagne.layers.set_all_param_values(self.network, self.values)
        np.savez(self.weights, *self.values)
        self.grey = rng.randint(0, 256, (12, 14)).astype(np.uint8)
        io.imsave(self.image, self.grey, check_contrast=False)
        self.layer = layers.find_layer(self.network, "pool")
        self.input = ((self.grey / 255 - MEAN) / STD)[None, None].astype(np.float32)

    def __call__(self, *extra, **changed):
        options = {"network": self.path, "weights": self.weights, "layer": "pool",
                   "feature": FEATURES, "mean": MEAN, "std": STD, "image": self.image,
                   "output": self.folder / "out.png", **changed}
        words = ["visualize", *extra]
        for name, value in options.items():
            if value is not None:
                words += [f"--{name}", *np.atleast_1d(value)]
        return cli.main([str(word) for word in words])


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    return Own(tmp_path_factory.mktemp("own"))


def opened(path):
    image = matplotlib.image.imread(path)
    assert image.shape[1] == style.PAGE_WIDTH * style.RESOLUTION
    assert image[..., :3].std() > 0.05
    return image


# --- Every method -----------------------------------------------------------------

def expected_maps(own, method):
    if method == "occlusion":
        return occlusion.neuron_occlusion(own.layer, own.input, FEATURES, 3, 2)
    if method in deconvnet.METHODS:
        return deconvnet.reconstruction(own.layer, own.input, FEATURES, method)
    return saliency.feature_saliency(own.layer, own.input, FEATURES, method[-3:])


@pytest.mark.parametrize("method", visualize.UNITS)
def test_maps_are_those_of_the_library(own, method):
    raw = own.folder / "raw.npz"
    assert own("--raw-output", raw, "--size", 3, "--stride", 2, method=method) == 0
    opened(own.folder / "out.png")
    found = files.load_arrays(raw)
    np.testing.assert_array_equal(found["image"], own.input)
    np.testing.assert_array_equal(found["features"], FEATURES)
    np.testing.assert_array_equal(found["maps"], expected_maps(own, method)[:, 0])
    maps = saliency.feature_maps(own.layer, own.input)[0, FEATURES]
    np.testing.assert_array_equal(found["activation"], maps.max(axis=(1, 2)))
    assert [tuple(place) for place in found["place"]] == [
        np.unravel_index(each.argmax(), each.shape) for each in maps]


@pytest.mark.parametrize("start", ["image", "noise"])
def test_exemplars_are_those_of_the_library(own, start):
    raw = own.folder / "raw.npz"
    assert own("--raw-output", raw, "--steps", 5, "--norm", 2, "--seed", 4,
               method="exemplar", image=own.image if start == "image" else None) == 0
    opened(own.folder / "out.png")
    found, network = files.load_arrays(raw), exemplars.patch_network(own.layer)
    patches = (exemplars.start_maximum(network, own.input, FEATURES).patches
               if start == "image" else exemplars.start_noise(network, FEATURES, 4))
    np.testing.assert_array_equal(found["start"], patches)
    expected = exemplars.maximize(network, patches, FEATURES,
                                  exemplars.Rule(steps=5, norm=2.0))
    np.testing.assert_array_equal(found["patch"], expected.patches)
    np.testing.assert_array_equal(found["reached"], expected.reached)
    assert ("image" in found) == (start == "image")


def test_regularized_exemplars_are_those_of_the_library(own):
    raw = own.folder / "raw.npz"
    assert own("--raw-output", raw, "--steps", 3, "--norm", 0,
               method="regularized-exemplar") == 0
    opened(own.folder / "out.png")
    expected = exemplars_regularized.regularized(
        exemplars.patch_network(own.layer), FEATURES,
        rule=exemplars_regularized.RULE._replace(steps=3))
    np.testing.assert_array_equal(files.load_arrays(raw)["patch"], expected.patches)


def test_by_default_an_exemplar_has_the_norm_of_noise(own):
    found, = visualize.find_exemplars(own.layer, [1], steps=2)
    assert np.sqrt((found.patch ** 2).sum()) == pytest.approx(np.sqrt(found.patch.size),
                                                              rel=1e-5)
    assert found.neuron is None


def test_a_pdf_alone_is_written_where_that_is_asked_for(own):
    output = own.folder / "new" / "only.pdf"
    assert own(output=output) == 0
    assert output.read_bytes()[:4] == b"%PDF" and list(output.parent.iterdir()) == [output]


# --- The figure -------------------------------------------------------------------

def drawn(maps, **options):
    picture = visualize.Picture(np.full((1, 1, 8, 8), 0.5, np.float32), np.zeros(1),
                                np.ones(1))
    neurons = [visualize.Neuron(k, (0, 0), 1.0, (-2, -2, 4, 4))
               for k in range(len(maps))]
    return visualize.draw_maps("title", picture, neurons, np.asarray(maps), "gradient",
                               0, **options)


def limits(figure):
    return [axes.images[0].get_clim() for axes in figure.axes
            if axes.images and axes.images[0].get_cmap().name != "gray"]


def test_colours_are_symmetric_and_common_on_request():
    maps = np.zeros((2, 8, 8))
    maps[0, 1, 1], maps[1, 2, 2] = 2, -5
    assert limits(drawn(maps)) == [(-2, 2), (-5, 5)]
    assert limits(drawn(maps, same_scale=True)) == [(-5, 5), (-5, 5)]


def test_importance_has_a_common_threshold_on_request():
    maps = np.zeros((2, 8, 8))
    maps[0, 1, 1], maps[1, 2, 2] = 1, 10

    def outlined(figure):
        return [len(axes.lines) for axes in figure.axes[2::3]]
    assert outlined(drawn(maps)) == [1, 1]
    assert outlined(drawn(maps, same_scale=True)) == [0, 1]


def test_the_receptive_field_is_clipped_and_the_label_says_so():
    figure = drawn(np.ones((1, 8, 8)))
    box = figure.axes[0].patches[0]
    assert box.get_bbox().bounds == (-0.5, -0.5, 4, 4)
    assert "sees 6 × 6\n(partly outside)" in figure.axes[0].texts[0].get_text()


def test_missing_positions_are_interpolated_and_the_title_says_so(own):
    maps = np.full((1, 8, 8), np.nan)
    maps[0, ::2, ::2] = np.arange(4)
    shown = drawn(maps).axes[1].images[0].get_array()
    np.testing.assert_array_equal(shown, occlusion.interpolated(maps)[0])
    parser = command.argparse.ArgumentParser()
    command.add_arguments(parser)
    arguments = ["--network", "own.py", "--weights", "own.npz", "--layer", "pool",
                 "--feature", "1", "-o", "x.png", "--image", "i.png"]
    text = command.title(parser.parse_args(
        arguments + ["--method", "occlusion", "--stride", "2"]))
    assert text == ("own.py (weights: own.npz), layer pool, i.png\nocclusion by 11 × 11 "
                    "pixels, stride 2, interpolated between the positions")
    text = command.title(parser.parse_args(arguments + ["--method", "exemplar"]))
    assert "the norm of noise" in text


def test_a_silent_feature_has_no_field(own):
    below = lasagne.layers.InputLayer((None, 1, 6, 6))
    layer = lasagne.layers.Conv2DLayer(below, 2, 3, W=lasagne.init.Constant(0))
    neuron, = visualize.strongest_neurons(layer, np.ones((1, 1, 6, 6), np.float32), [1])
    assert neuron == visualize.Neuron(1, (0, 0), 0.0, None)


def test_fields_are_those_of_the_layer(own):
    found = visualize.strongest_neurons(own.layer, own.input, FEATURES)
    assert [each.box for each in found] == [receptive_field(own.layer).box(*each.place)
                                            for each in found]


def test_names_that_the_font_lacks_and_formulas_are_drawn(tmp_path):
    figure = drawn(np.ones((1, 8, 8)))
    title = "照片 $x_1$ \n" + 40 * "long "
    text = visualize._panels(title, ["image"], 1, (8, 8))[0].texts[0]
    assert text.get_text().startswith(style.printable("照片") + " $x_1$") and text.get_text().count("\n") == 2
    style.save(figure, tmp_path / "out", [".png"])


def test_values_outside_are_stretched_and_others_are_not():
    inside = np.linspace(0, 1, 11)
    found, low, high = visualize.stretched(inside)
    np.testing.assert_array_equal(found, inside)
    assert (low, high) == (0, 1)
    found, low, high = visualize.stretched(np.linspace(-1, 3, 1001))
    assert (low, high) == pytest.approx((-0.98, 2.98))
    assert found.min() == 0 and found.max() == 1


@pytest.mark.parametrize("value, text", [(0.12345, "0.123"), (-2.0, "−2"),
                                         (123456.7, "123,457"), (1e-7, "1e−07")])
def test_numbers_have_three_digits(value, text):
    assert visualize._number(value) == text


# --- Networks ---------------------------------------------------------------------

def test_parameters_in_the_package_s_own_form_are_read(own, tmp_path):
    weights.save(tmp_path / "own.npz", own.network, {})
    fresh = own_network.build(own.path)
    own_network.load(tmp_path / "own.npz", fresh)
    for found, expected in zip(*map(lasagne.layers.get_all_param_values,
                                    (fresh, own.network))):
        np.testing.assert_array_equal(found, expected)


def test_shipped_weights_are_the_default():
    network = command.read_network("c1", "shipped")
    expected = die.build("c1")
    weights.load_fold(paths.SHIPPED_WEIGHTS, "random", "c1", 0, expected)
    np.testing.assert_array_equal(lasagne.layers.get_all_param_values(network)[0],
                                  lasagne.layers.get_all_param_values(expected)[0])


def test_nameless_layers_are_named_by_number_and_kind(tmp_path, capsys):
    own = Own(tmp_path)
    own.path.write_text(own.path.read_text().replace(', name="pool"', ""))
    assert own(layer="2:MaxPool2DLayer") == 0
    assert own() == 1
    assert "no layer 'pool'" in (error := error_line(capsys))
    assert "input, conv, 2:MaxPool2DLayer, output" in error


def test_random_parameters_are_the_same_in_every_run(own):
    first, second = (lasagne.layers.get_all_param_values(
        command.read_network(str(own.path), "random"))[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, own.values[0])


def test_neighbours_of_the_file_can_be_imported(tmp_path):
    (tmp_path / "neighbour_of_own.py").write_text("FILTERS = 4")
    own = Own(tmp_path)
    own.path.write_text(own.path.read_text().replace(
        "    network", "    from neighbour_of_own import FILTERS\n    network", 1))
    assert own_network.build(own.path).output_shape == (None, 2)


# --- Images -----------------------------------------------------------------------

def test_the_die_is_standardized_as_in_training():
    scale = pictures.standardization("c1", None, None, 1)
    found = pictures.read_image("die:15,100", "c1", (1, 32, 32), *scale)
    expected = (die360.render(15, 100) - 0.5158796) / 0.1525882
    np.testing.assert_allclose(found[0], expected, atol=1e-4)
    picture = visualize.Picture(found, *scale)
    np.testing.assert_allclose(picture.shown(), die360.render(15, 100)[0], atol=1e-6)


def test_photographs_are_prepared_as_defauw_expects_them(tmp_path):
    path = tmp_path / "eye.png"
    rng = np.random.RandomState(0)
    eye = np.zeros((300, 400, 3), np.uint8)
    eye[20:280, 50:350] = rng.randint(60, 200, (260, 300, 3))
    io.imsave(path, eye)
    shape, scale = (3, 512, 512), pictures.standardization("defauw", None, None, 3)
    found = pictures.read_image(str(path), "defauw", shape, *scale)
    np.testing.assert_array_equal(found[0], fundus.prepare(eye)[0])
    picture = visualize.Picture(found, *scale)
    np.testing.assert_allclose(picture.shown(), fundus.destandardize(found[0]), atol=1e-6)


def test_drawn_photographs_have_names():
    scale = pictures.standardization("defauw", None, None, 3)
    found = pictures.read_image("synthetic:3_right", "defauw", (3, 512, 512), *scale)
    expected = synthetic.load(synthetic.records(4)[7])
    assert expected.name == "3_right"
    np.testing.assert_array_equal(found[0], expected.pixels)


def test_a_network_of_one_s_own_takes_them_too():
    found = pictures.read_image("synthetic:retina", "own.py", (3, 20, 30), [0], [1])
    assert found.shape == (1, 3, 20, 30) and 0 <= found.min() < found.max() <= 1
    assert found[0, 0].mean() > 2 * found[0, 2].mean()     # a retina is red


@pytest.mark.parametrize("picture, channels", [
    (np.full((6, 8), 0.2), 3), (np.full((6, 8, 3), 0.2), 1), (np.full((24, 16), 0.2), 1)])
def test_pictures_are_fitted_to_the_input(picture, channels):
    found = pictures.fitted(picture, (channels, 12, 8))
    assert found.shape == (channels, 12, 8)
    np.testing.assert_allclose(found, 0.2)


def test_transparent_pictures_lie_on_white(tmp_path):
    picture = np.zeros((4, 5, 4), np.uint8)
    picture[:2, :, 3] = 255
    io.imsave(tmp_path / "x.png", picture, check_contrast=False)
    found = pictures.read_picture(tmp_path / "x.png")
    assert found.shape == (4, 5, 3) and not found[:2].any() and (found[2:] == 1).all()


# --- Errors -----------------------------------------------------------------------

def error_line(capsys):
    error = capsys.readouterr().err.strip()
    assert "Traceback" not in error
    return error.splitlines()[-1]


@pytest.mark.parametrize("changed, message", [
    ({"layer": "conv7"}, "no layer 'conv7' in this network; it has: input, conv, pool"),
    ({"layer": "output"}, "'output' gives 2-dimensional output; feature maps are"),
    ({"feature": 4}, "layer 'pool' has features 0 to 3, not 4"),
    ({"feature": [0, -1]}, "layer 'pool' has features 0 to 3, not -1"),
    ({"network": "resnet"}, "unknown network 'resnet'; choose defauw, c1,"),
    ({"network": "gone.py"}, "gone.py: no such file"),
    ({"weights": "gone.npz"}, "gone.npz: no such file; make it with 'numpy.savez"),
    ({"weights": None}, "your own network needs a .npz file"),
    ({"image": "gone.png"}, "gone.png: no such file"),
    ({"image": None}, "method gradient-max needs --image"),
    ({"image": "die:15"}, "give two angles in degrees, such as die:15,100"),
    ({"image": "synthetic:17"}, "give synthetic:17_left"),
    ({"output": "out.jpg"}, "out.jpg: figures are .png or .pdf"),
    ({"mean": [0.1, 0.2]}, "--mean: 2 numbers for 1 channels"),
    ({"std": 0}, "--std: must be positive"),
    ({"sigma": -1}, "--sigma must be at least 0, not -1"),
    ({"raw-output": "x.npy"}, "numbers are written to a .npz file"),
    ({"method": "occlusion", "size": 4}, "size must be odd"),
    ({"network": "c1", "weights": "shipped", "layer": "pool1"},
     "--mean and --std are for your own"),
    ({"network": "c1", "weights": "random", "layer": "pool1", "mean": None, "std": None,
      "image": "synthetic:1_left"}, "not a picture for network 'c1'; give a file or die:"),
])
def test_errors_are_one_line_that_names_the_remedy(own, changed, message, capsys):
    assert own(**changed) == 1
    assert message in error_line(capsys)


@pytest.mark.filterwarnings("ignore:The legacy:DeprecationWarning")  # ImageIO's own
def test_pictures_of_the_wrong_kind_are_refused(own, tmp_path, capsys):
    text, stack = tmp_path / "text.png", tmp_path / "stack.tif"
    text.write_text("no picture")
    assert own(image=text) == 1
    assert "text.png: truncated or not a JPEG" in error_line(capsys)
    io.imsave(stack, np.zeros((2, 5, 6, 3), np.uint8), check_contrast=False)
    assert own(image=stack) == 1
    assert "stack.tif: holds 2 pictures" in error_line(capsys)
    io.imsave(stack, np.full((5, 6), 7, np.float32), check_contrast=False)
    assert own(image=stack) == 1
    assert "values from 7.0 to 7.0 instead of 0 to 1" in error_line(capsys)


def test_channels_that_no_picture_has_are_refused(tmp_path, capsys):
    own = Own(tmp_path, channels=2)
    assert own() == 1
    assert "input has 2 channels; --image gives one" in error_line(capsys)


@pytest.mark.parametrize("code, message", [
    ("", "own.py: has no function build()"),
    ("def build():\n    return 3", "own.py: build() returns int, not a Lasagne layer"),
    ("import lasagne\n\nx = lasagne.leyers", "own.py, line 3: AttributeError: module"),
    ("def build(:", "invalid syntax (own.py, line 1)"),
    ("def build():\n    raise SystemExit(2)", "own.py, line 2: SystemExit: 2"),
    (OWN.format(channels=1).replace('"pool"', '"conv"'),
     "own.py: several layers are named 'conv'"),
    (OWN.format(channels=1).replace("None, 1", "32, 1"),
     "input 'input' is built for 32 images at a time; build it for None"),
    (OWN.format(channels=1).replace("12, 14", "None, 14").replace(
        "lasagne.layers.DenseLayer(network, 2, name=\"output\")", "network"),
     "of fixed size"),
])
def test_a_file_that_fails_is_named_with_the_line(tmp_path, capsys, code, message):
    own = Own(tmp_path)
    own.path.write_text(code)
    assert own(weights="random") == 1
    assert message in error_line(capsys)


def test_layers_above_several_inputs_are_refused(tmp_path, capsys):
    own = Own(tmp_path)
    own.path.write_text("""
from lasagne.layers import *
def build():
    inputs = [InputLayer((None, 1, 8, 8), name=name) for name in "ab"]
    return ElemwiseSumLayer(inputs, name="pool")
""")
    assert own(weights="random") == 1
    assert "layer 'pool' depends on several inputs (a, b)" in error_line(capsys)


@pytest.mark.parametrize("change, message", [
    (lambda values: values[:-1],
     "holds 3 arrays (arr_0, arr_1, arr_2), not arr_0 to arr_3"),
    (lambda values: [values[0][:2], *values[1:]],
     "arr_0 (conv.W) has shape (2, 1, 3, 3) instead of (4, 1, 3, 3)"),
    (lambda values: [values[0] * np.nan, *values[1:]], "arr_0 (conv.W) holds values that"),
])
def test_parameters_that_do_not_fit_are_refused(own, tmp_path, capsys, change, message):
    path = tmp_path / "other.npz"
    np.savez(path, *change(own.values))
    assert own(weights=path) == 1
    assert message in error_line(capsys)


def test_parameters_in_another_kind_of_file_are_refused(own, capsys):
    assert own(weights=own.image) == 1
    assert "image.png: truncated or no .npz file; write it with" in error_line(capsys)
    assert own.image.is_file()


# --- The package's networks -------------------------------------------------------

def test_a_die_network(tmp_path):
    assert cli.main(["visualize", "--network", "c9", "--layer", "pool2", "--feature", "0",
                     "1", "--same-scale", "--image", "die:15,100", "--raw-output",
                     str(tmp_path / "raw.npz"), "-o", str(tmp_path / "out.png")]) == 0
    opened(tmp_path / "out.png")
    found = files.load_arrays(tmp_path / "raw.npz")
    layer = layers.find_layer(command.read_network("c9", "shipped"), "pool2")
    np.testing.assert_array_equal(
        found["maps"], saliency.feature_saliency(layer, found["image"], [0, 1])[:, 0])


def test_de_fauw_s_network(tmp_path):
    """Its second input does not matter to its feature maps."""
    assert cli.main(["visualize", "--network", "defauw", "--weights", "random", "--layer",
                     "pool1", "--feature", "17", "--image", "synthetic:17_left",
                     "--raw-output", str(tmp_path / "raw.npz"),
                     "-o", str(tmp_path / "out.png")]) == 0
    opened(tmp_path / "out.png")
    maps = files.load_arrays(tmp_path / "raw.npz")["maps"]
    assert maps.shape == (1, 512, 512) and overlay.limit(maps) > 0
