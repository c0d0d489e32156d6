"""The command 'visualize': any network, any image, every method; errors in one line."""

import argparse
import sys
import warnings

import attributions
import matplotlib.image
import numpy as np
import pytest
from skimage import io

from cnnviz.attribution import activations, interpolation, overlay
from cnnviz.attribution import occlusion as occlusion_module
from cnnviz.attribution.gradient import Gradient
from cnnviz.attribution.methods import METHODS as ATTRIBUTIONS
from cnnviz.attribution.occlusion import Occlusion
from cnnviz.attribution.receptive_field import receptive_field
from cnnviz.cli import dispatch
from cnnviz.cli.commands import visualize as command
from cnnviz.datasets import die360, fundus, pictures, synthetic
from cnnviz.experiments import shown_features
from cnnviz.feature_visualization import (
    activation_maximization,
    ascent,
    patch_network,
    regularization,
    starting_points,
)
from cnnviz.networks import by_name, die, inputs, layers, own_code, own_parameters, weights
from cnnviz.runtime import errors, files, number_format, paths
from cnnviz.runtime.backend import lasagne
from cnnviz.thesis.figures import fonts, style, visualize
from cnnviz.thesis.figures.visualize_request import title

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
        self.network = own_code.build(self.path)
        self.values = [
            rng.randn(*value.shape).astype(value.dtype)
            for value in lasagne.layers.get_all_param_values(self.network)
        ]
        lasagne.layers.set_all_param_values(self.network, self.values)
        np.savez(self.weights, *self.values)
        self.gray = rng.randint(0, 256, (12, 14)).astype(np.uint8)
        io.imsave(self.image, self.gray, check_contrast=False)
        self.layer = layers.find_layer(self.network, "pool")
        self.input = ((self.gray / 255 - MEAN) / STD)[None, None].astype(np.float32)

    def __call__(self, *extra, **changed):
        options = {
            "network": self.path,
            "weights": self.weights,
            "layer": "pool",
            "feature": FEATURES,
            "mean": MEAN,
            "std": STD,
            "image": self.image,
            "output": self.folder / "out.png",
            **changed,
        }
        words = ["visualize", *extra]
        for name, value in options.items():
            if value is not None:
                words += [f"--{name}", *np.atleast_1d(value)]
        return dispatch.main([str(word) for word in words])


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
        return attributions.occlusion(own.layer, own.input, FEATURES, 3, 2)
    if method in ("deconvnet", "guided"):
        return attributions.projection(own.layer, own.input, FEATURES, method)
    return attributions.gradient(own.layer, own.input, FEATURES, method[-3:])


@pytest.mark.parametrize("method", ATTRIBUTIONS)
def test_maps_are_those_of_the_library(own, method):
    raw = own.folder / "raw.npz"
    assert own("--raw-output", raw, "--size", 3, "--stride", 2, method=method) == 0
    opened(own.folder / "out.png")
    found = files.load_arrays(raw)
    np.testing.assert_array_equal(found["image"], own.input)
    np.testing.assert_array_equal(found["features"], FEATURES)
    np.testing.assert_array_equal(found["maps"], expected_maps(own, method)[:, 0])
    maps = activations.feature_maps(own.layer, own.input)[0, FEATURES]
    np.testing.assert_array_equal(found["activation"], maps.max(axis=(1, 2)))
    assert [tuple(place) for place in found["place"]] == [
        np.unravel_index(each.argmax(), each.shape) for each in maps
    ]


@pytest.mark.parametrize("start", ["image", "noise"])
def test_exemplars_are_those_of_the_library(own, start):
    raw = own.folder / "raw.npz"
    assert (
        own(
            "--raw-output",
            raw,
            "--steps",
            5,
            "--norm",
            2,
            "--seed",
            4,
            method="exemplar",
            image=own.image if start == "image" else None,
        )
        == 0
    )
    opened(own.folder / "out.png")
    found, network = files.load_arrays(raw), patch_network.patch_network(own.layer)
    patches = (
        starting_points.start_maximum(network, own.input, FEATURES).patches
        if start == "image"
        else starting_points.start_noise(network, FEATURES, 4)
    )
    np.testing.assert_array_equal(found["start"], patches)
    expected = activation_maximization.maximize(
        network, patches, FEATURES, ascent.Rule(steps=5, norm=2.0)
    )
    np.testing.assert_array_equal(found["patch"], expected.patches)
    np.testing.assert_array_equal(found["reached"], expected.reached)
    assert ("image" in found) == (start == "image")


def test_regularized_exemplars_are_those_of_the_library(own):
    raw = own.folder / "raw.npz"
    assert own("--raw-output", raw, "--steps", 3, "--norm", 0, method="regularized-exemplar") == 0
    opened(own.folder / "out.png")
    expected = regularization.maximize_regularized(
        patch_network.patch_network(own.layer), FEATURES, rule=regularization.RULE._replace(steps=3)
    )
    np.testing.assert_array_equal(files.load_arrays(raw)["patch"], expected.patches)


def test_by_default_an_exemplar_has_the_norm_of_noise(own):
    (found,) = shown_features.find_exemplars(own.layer, [1], steps=2)
    assert np.sqrt((found.patch**2).sum()) == pytest.approx(np.sqrt(found.patch.size), rel=1e-5)
    assert found.neuron is None


@pytest.mark.parametrize("method", command.METHODS)
def test_every_method_says_what_it_is_doing(own, capsys, method):
    assert own("--steps", 2, "--size", 3, "--stride", 3, method=method) == 0
    out, err = capsys.readouterr()
    assert f"building {own.path} (weights: {own.weights})" in out
    assert f"{method}: layer pool" in out and "100%" in err
    if method in command.UNIT_METHODS:
        assert own("--unit", 0, method=method, feature=None, layer="output") == 0
        assert "100%" in capsys.readouterr().err


def test_a_pdf_alone_is_written_where_that_is_asked_for(own):
    output = own.folder / "new" / "only.pdf"
    assert own(output=output) == 0
    assert output.read_bytes()[:4] == b"%PDF" and list(output.parent.iterdir()) == [output]


# --- The figure -------------------------------------------------------------------


def drawn(maps, **options):
    picture = visualize.Picture(np.full((1, 1, 8, 8), 0.5, np.float32), np.zeros(1), np.ones(1))
    neurons = [shown_features.Neuron(k, (0, 0), 1.0, (-2, -2, 4, 4)) for k in range(len(maps))]
    return visualize.draw_maps(
        "title", picture, neurons, np.asarray(maps), "gradient", visualize.Look(0, **options)
    )


def limits(figure):
    return [
        axes.images[0].get_clim()
        for axes in figure.axes
        if axes.images and axes.images[0].get_cmap().name != "gray"
    ]


def test_colors_are_symmetric_and_common_on_request():
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
    np.testing.assert_array_equal(shown, interpolation.interpolated(maps)[0])
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    arguments = [
        "--network",
        "own.py",
        "--weights",
        "own.npz",
        "--layer",
        "pool",
        "--feature",
        "1",
        "-o",
        "x.png",
        "--image",
        "i.png",
    ]
    text = title(
        command.requested(parser.parse_args(arguments + ["--method", "occlusion", "--stride", "2"]))
    )
    assert text == (
        "own.py (weights: own.npz), layer pool, i.png\nocclusion by 11 × 11 "
        "pixels, stride 2, interpolated between the positions"
    )
    text = title(command.requested(parser.parse_args(arguments + ["--method", "exemplar"])))
    assert "the norm of noise" in text


def test_a_silent_feature_has_no_field(own):
    below = lasagne.layers.InputLayer((None, 1, 6, 6))
    layer = lasagne.layers.Conv2DLayer(below, 2, 3, W=lasagne.init.Constant(0))
    (neuron,) = shown_features.strongest_neurons(layer, np.ones((1, 1, 6, 6), np.float32), [1])
    assert neuron == shown_features.Neuron(1, (0, 0), 0.0, None)


def test_fields_are_those_of_the_layer(own):
    found = shown_features.strongest_neurons(own.layer, own.input, FEATURES)
    assert [each.box for each in found] == [
        receptive_field(own.layer).box(*each.place) for each in found
    ]


def test_names_that_the_font_lacks_and_formulas_are_drawn(tmp_path):
    figure = drawn(np.ones((1, 8, 8)))
    title = "照片 $x_1$ \n" + 40 * "long "
    text = visualize._panels(title, ["image"], 1, (8, 8))[0].texts[0]
    assert (
        text.get_text().startswith(fonts.printable("照片") + " $x_1$")
        and text.get_text().count("\n") == 2
    )
    style.save(figure, tmp_path / "out", [".png"])


def test_values_outside_are_stretched_and_others_are_not():
    inside = np.linspace(0, 1, 11)
    found, low, high = visualize.stretched(inside)
    np.testing.assert_array_equal(found, inside)
    assert (low, high) == (0, 1)
    found, low, high = visualize.stretched(np.linspace(-1, 3, 1001))
    assert (low, high) == pytest.approx((-0.98, 2.98))
    assert found.min() == 0 and found.max() == 1


@pytest.mark.parametrize(
    "value, text", [(0.12345, "0.123"), (-2.0, "−2"), (123456.7, "123,457"), (1e-7, "1e−07")]
)
def test_numbers_have_three_digits(value, text):
    assert number_format.short(value) == text


# --- Networks ---------------------------------------------------------------------


def test_parameters_in_the_package_s_own_form_are_read(own, tmp_path):
    weights.save(tmp_path / "own.npz", own.network, {})
    fresh = own_code.build(own.path)
    own_parameters.load(tmp_path / "own.npz", fresh)
    for found, expected in zip(*map(lasagne.layers.get_all_param_values, (fresh, own.network))):
        np.testing.assert_array_equal(found, expected)


def test_shipped_weights_are_the_default():
    network = by_name.read("c1", "shipped")
    expected = die.build("c1")
    weights.load_fold(paths.SHIPPED_WEIGHTS, "random", "c1", 0, expected)
    np.testing.assert_array_equal(
        lasagne.layers.get_all_param_values(network)[0],
        lasagne.layers.get_all_param_values(expected)[0],
    )


def test_nameless_layers_are_named_by_number_and_kind(tmp_path, capsys):
    own = Own(tmp_path)
    own.path.write_text(own.path.read_text().replace(', name="pool"', ""))
    assert own(layer="2:MaxPool2DLayer") == 0
    assert own() == 1
    assert "no layer 'pool'" in (error := error_line(capsys))
    assert "input, conv, 2:MaxPool2DLayer, output" in error


def test_random_parameters_are_the_same_in_every_run(own):
    first, second = (
        lasagne.layers.get_all_param_values(by_name.read(str(own.path), "random"))[0]
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, own.values[0])


def test_neighbors_of_the_file_can_be_imported(tmp_path):
    (tmp_path / "neighbor_of_own.py").write_text("FILTERS = 4")
    own = Own(tmp_path)
    own.path.write_text(
        own.path.read_text().replace(
            "    network", "    from neighbor_of_own import FILTERS\n    network", 1
        )
    )
    assert own_code.build(own.path).output_shape == (None, 2)


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


def test_synthetic_photographs_have_names():
    scale = pictures.standardization("defauw", None, None, 3)
    found = pictures.read_image("synthetic:3_right", "defauw", (3, 512, 512), *scale)
    expected = synthetic.load(synthetic.records(4)[7])
    assert expected.name == "3_right"
    np.testing.assert_array_equal(found[0], expected.pixels)


def test_a_network_of_one_s_own_takes_them_too():
    found = pictures.read_image("synthetic:retina", "own.py", (3, 20, 30), [0], [1])
    assert found.shape == (1, 3, 20, 30) and 0 <= found.min() < found.max() <= 1
    assert found[0, 0].mean() > 2 * found[0, 2].mean()  # a retina is red


@pytest.mark.parametrize(
    "picture, channels",
    [(np.full((6, 8), 0.2), 3), (np.full((6, 8, 3), 0.2), 1), (np.full((24, 16), 0.2), 1)],
)
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


@pytest.mark.parametrize(
    "changed, message",
    [
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
        ({"method": "occlusion", "size": 4}, "window must be odd"),
        (
            {"network": "c1", "weights": "shipped", "layer": "pool1"},
            "--mean and --std are for your own",
        ),
        (
            {
                "network": "c1",
                "weights": "random",
                "layer": "pool1",
                "mean": None,
                "std": None,
                "image": "synthetic:1_left",
            },
            "not a picture for network 'c1'; give a file or die:",
        ),
    ],
)
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
    assert "input has 2 channels; --image gives one" in (error := error_line(capsys))
    assert ".npy array" in error


# --- Arrays as images ---------------------------------------------------------------


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Networks of several numbers of channels, each with an image as an array."""
    found = {}
    for channels in (1, 2, 3, 7, 24):
        own = found[channels] = Own(tmp_path_factory.mktemp("many"), channels)
        own.array = np.random.RandomState(channels).randn(channels, 12, 14)
        own.image = own.folder / "image.npy"
        np.save(own.image, own.array)
        own.input = ((own.array - MEAN) / STD)[None].astype(np.float32)
    return found


@pytest.mark.parametrize(
    "channels, method",
    [
        *((channels, "exemplar") for channels in (1, 2, 3, 7, 24)),
        *((7, method) for method in command.METHODS if method != "exemplar"),
    ],
)
def test_any_number_of_channels_is_drawn(many, channels, method):
    own, raw = many[channels], many[channels].folder / "raw.npz"
    assert (
        own(
            "--raw-output",
            raw,
            "--steps",
            3,
            "--size",
            3,
            "--stride",
            2,
            method=method,
            image=None if method.startswith("reg") else own.image,
        )
        == 0
    )
    opened(own.folder / "out.png")
    found = files.load_arrays(raw)
    if method.endswith("exemplar"):
        assert found["patch"].shape == (2, channels, 4, 4)
    else:
        np.testing.assert_array_equal(found["image"], own.input)
        np.testing.assert_array_equal(found["maps"], expected_maps(own, method)[:, 0])


def test_the_title_says_what_is_shown_of_many_channels(many, monkeypatch):
    titles = []
    monkeypatch.setattr(visualize, "_panels", lambda title, *_: titles.append(title) or 1 / 0)
    for channels, method in ((7, "guided"), (2, "exemplar"), (3, "guided")):
        with pytest.raises(ZeroDivisionError):
            many[channels]("--steps", 1, method=method)
    assert [title.splitlines()[2:] for title in titles] == [
        ["pictures show the mean of the 7 channels"],
        ["pictures show the mean of the 2 channels"],
        [],
    ]


def test_channels_that_no_picture_has_are_averaged():
    pixels = np.random.RandomState(0).rand(5, 3, 4)
    np.testing.assert_allclose(
        visualize.shown(pixels, [1.0], np.arange(5)),
        (pixels * np.arange(5)[:, None, None] + 1).mean(axis=0),
    )
    assert visualize.shown(pixels[:3], [0], [1]).shape == (3, 4, 3)


@pytest.mark.parametrize(
    "save",
    [
        lambda path, array: np.savez(path, image=array, other=array * np.nan),
        lambda path, array: np.savez_compressed(path, array[None]),
    ],
)
def test_archives_hold_images_too(many, save):
    own, path = many[7], many[7].folder / "one.npz"
    save(path, own.array)
    assert own("--raw-output", own.folder / "raw.npz", image=path) == 0
    np.testing.assert_array_equal(files.load_arrays(own.folder / "raw.npz")["image"], own.input)


def test_numbers_written_are_read_as_an_image_again(tmp_path):
    """The network's own input, whatever its standardization."""
    words = [
        "visualize",
        "--network",
        "c1",
        "--weights",
        "random",
        "--layer",
        "pool1",
        "--feature",
        "0",
        "-o",
        str(tmp_path / "out.png"),
        "--raw-output",
    ]
    assert dispatch.main([*words, str(tmp_path / "a.npz"), "--image", "die:15,100"]) == 0
    assert dispatch.main([*words, str(tmp_path / "b.npz"), "--image", str(tmp_path / "a.npz")]) == 0
    for name, array in files.load_arrays(tmp_path / "a.npz").items():
        np.testing.assert_array_equal(files.load_arrays(tmp_path / "b.npz")[name], array)


OBJECTS = np.array([np.ones(2), np.ones(3)], object)


@pytest.mark.parametrize(
    "array, message",
    [
        (np.ones((6, 12, 14)), "has shape (6, 12, 14); the network takes (7, 12, 14)"),
        (np.ones((2, 7, 12, 14)), "the network takes (7, 12, 14); give one image at a time"),
        (np.ones((12, 14, 7)), "channels come first: numpy.moveaxis(array, -1, 0)"),
        (np.ones((12, 14)), "has shape (12, 14)"),
        (np.ones(()), "has shape ()"),
        (np.full((7, 12, 14), np.nan), "not finite"),
        (np.full((7, 12, 14), np.inf), "not finite"),
        (np.full((7, 12, 14), "a"), "type <U1, not numbers"),
        (np.ones((7, 12, 14), complex), "type complex128, not numbers"),
        (OBJECTS, "Python objects"),
    ],
    ids=str,
)
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays_that_do_not_fit_are_one_line(many, capsys, array, message, suffix):
    path = many[7].folder / f"odd{suffix}"
    (np.save if suffix == ".npy" else np.savez)(path, array)
    assert many[7](image=path) == 1
    error = error_line(capsys)
    assert message in error and str(path) in error and "snakemake" not in error


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "truncated or not an array file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "'git lfs pull'"),
    ],
)
def test_damaged_arrays_and_pointers_are_one_line(many, capsys, suffix, content, message):
    path = many[7].folder / f"damaged{suffix}"
    path.write_bytes(content)
    assert many[7](image=path) == 1
    assert message in error_line(capsys)


def test_pictures_that_are_pointers_are_named(own, capsys):
    path = own.folder / "pointer.png"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    assert own(image=path) == 1
    assert "pointer.png: this is a Git LFS pointer" in error_line(capsys)


# --- Nothing is lost ----------------------------------------------------------------


@pytest.mark.parametrize("method", command.METHODS)
@pytest.mark.parametrize("raw", [True, False])
def test_numbers_are_kept_when_the_figure_cannot_be_drawn(
    own, capsys, tmp_path, monkeypatch, method, raw
):
    def fail(*_, **__):
        raise RuntimeError("no such glyph")

    monkeypatch.setattr(visualize, "_panels", fail)
    kept = tmp_path / ("numbers.npz" if raw else "out.png.npz")
    with pytest.raises(RuntimeError, match="no such glyph"):
        own(
            *(["--raw-output", kept] if raw else []),
            "--steps",
            2,
            "--size",
            3,
            "--stride",
            3,
            method=method,
            output=tmp_path / "out.png",
        )
    assert f"out.png: the figure could not be drawn; the numbers are in {kept}" in (
        capsys.readouterr().err
    )
    found = files.load_arrays(kept)
    assert len(found["patch" if method.endswith("exemplar") else "maps"]) == len(FEATURES)
    assert sorted(each.name for each in tmp_path.iterdir()) == [kept.name]


def test_the_figure_is_kept_when_the_numbers_cannot_be_written(own, capsys, tmp_path, monkeypatch):
    def full(path, **_):
        raise errors.StorageError(f"{path}: No space left on device")

    monkeypatch.setattr(files, "save_arrays", full)
    assert own("--raw-output", tmp_path / "raw.npz", output=tmp_path / "out.png") == 1
    assert "raw.npz: No space left" in error_line(capsys)
    opened(tmp_path / "out.png")


@pytest.mark.parametrize(
    "name, start", [("out.PNG", b"\x89PNG"), ("out.Pdf", b"%PDF"), ("a.b.PDF", b"%PDF")]
)
def test_suffixes_may_be_capitals(own, tmp_path, name, start):
    assert own("--raw-output", tmp_path / "raw.NPZ", output=tmp_path / name) == 0
    assert (tmp_path / name).read_bytes().startswith(start)
    assert "maps" in files.load_arrays(tmp_path / "raw.NPZ")
    assert len(list(tmp_path.iterdir())) == 2


# --- Output units -------------------------------------------------------------------


@pytest.mark.parametrize("method", command.UNIT_METHODS)
@pytest.mark.parametrize("linear", [True, False])
def test_units_are_those_of_the_library(own, monkeypatch, method, linear):
    layer = layers.find_layer(own.network, "output")
    layer = inputs.linear(layer) if linear else layer
    titles = []
    monkeypatch.setattr(visualize, "_field", lambda *_: pytest.fail("no neuron here"))
    plain = visualize.draw_maps
    monkeypatch.setattr(
        visualize, "draw_maps", lambda title, *rest: (titles.append(title), plain(title, *rest))[1]
    )
    monkeypatch.setattr(style, "show_box", lambda *_: pytest.fail("no field here"))
    raw = own.folder / "raw.npz"
    assert (
        own(
            "--raw-output",
            raw,
            "--size",
            3,
            "--stride",
            2,
            "--unit",
            1,
            0,
            *["--linear"] * linear,
            method=method,
            layer="output",
            feature=None,
        )
        == 0
    )
    opened(own.folder / "out.png")
    found = files.load_arrays(raw)
    if method == "occlusion":
        expected = attributions.occlusion(layer, own.input, [1, 0], 3, 2)
    else:
        expected = attributions.gradient(layer, own.input, [1, 0])
    np.testing.assert_array_equal(found["maps"], expected[:, 0])
    np.testing.assert_array_equal(found["units"], [1, 0])
    np.testing.assert_array_equal(found["output"], layers.outputs(layer, own.input)[0, [1, 0]])
    assert "of units 1, 0" in titles[0] and "place" not in found
    assert ("before" if linear else "after") + " its non-linearity" in titles[0]


@pytest.mark.parametrize("method", sorted(set(command.METHODS) - set(command.UNIT_METHODS)))
def test_methods_without_units_say_which_have_them(own, capsys, method):
    assert own("--unit", 0, method=method, layer="output", feature=None) == 1
    assert "units have gradient-max, gradient-sum, occlusion" in error_line(capsys)


@pytest.mark.parametrize(
    "words, changed, message",
    [
        (
            ["--unit", 0],
            {"feature": None},
            "'pool' has feature maps, not output units; ask for them with --feature",
        ),
        ([], {"layer": "output"}, "ask for its units with --unit"),
        (["--unit", 2], {"feature": None, "layer": "output"}, "has units 0 to 1, not 2"),
        (["--unit", -1], {"feature": None, "layer": "output"}, "has units 0 to 1, not -1"),
        (["--linear"], {}, "--linear is for --unit"),
    ],
)
def test_units_and_features_are_told_apart(own, capsys, words, changed, message):
    assert own(*words, **changed) == 1
    assert message in error_line(capsys)


@pytest.mark.parametrize(
    "words, changed, message",
    [
        (["--unit", 0], {}, "not allowed with argument"),
        ([], {"feature": None}, "is required"),
        ([], {"feature": 1.5}, "'1.5' is neither a whole number nor topN"),
        ([], {"feature": "top0"}, "'top0' is neither"),
        ([], {"feature": "best"}, "is neither"),
        (["--fill", "nan"], {}, "'nan' is no finite number"),
        (["--fill", "gray"], {}, "blur"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_by_the_parser(
    own, capsys, words, changed, message
):
    with pytest.raises(SystemExit):
        own(*words, **changed)
    assert message in capsys.readouterr().err


# --- Features that respond, and that do not -------------------------------------------


def test_the_strongest_features_are_found(own, capsys):
    raw = own.folder / "raw.npz"
    values = activations.feature_maps(own.layer, own.input)[0].max(axis=(1, 2))
    order = list(np.argsort(-values))
    for method in ("gradient-max", "exemplar"):
        assert (
            own(
                "--raw-output",
                raw,
                "--steps",
                1,
                method=method,
                feature=["top2", order[3], order[0]],
            )
            == 0
        )
        assert list(files.load_arrays(raw)["features"]) == [*order[:2], order[3]]
        assert f"top2: {order[0]}, {order[1]}" in capsys.readouterr().out
    assert own("--raw-output", raw, feature="top9") == 0
    assert list(files.load_arrays(raw)["features"]) == order
    outputs = layers.outputs(layers.find_layer(own.network, "output"), own.input)[0]
    assert own("--raw-output", raw, "--unit", "top1", feature=None, layer="output") == 0
    assert list(files.load_arrays(raw)["units"]) == [outputs.argmax()]


def test_the_strongest_features_of_no_image_are_refused(own, capsys):
    assert own(method="exemplar", feature="top2", image=None) == 1
    assert "respond most to an image; give --image" in error_line(capsys)


def test_equal_responses_come_in_order():
    assert shown_features.strongest([1, 3, 3, 0], 3) == [1, 2, 0]
    assert shown_features.strongest([1, 2], 5) == [1, 0]


@pytest.fixture
def quiet(tmp_path):
    """A network whose feature 0 is silent, 2 the same everywhere, and the others not."""
    own = Own(tmp_path)
    own.values[0][[0, 2]], own.values[1][:] = 0, [0, 0, 2, 0]
    np.savez(own.weights, *own.values)
    lasagne.layers.set_all_param_values(own.network, own.values)
    return own


@pytest.mark.parametrize("method", ATTRIBUTIONS)
def test_silent_features_say_so_and_name_others(quiet, capsys, monkeypatch, method):
    figures = []
    save = style.save
    monkeypatch.setattr(
        style, "save", lambda figure, *rest: (figures.append(figure), save(figure, *rest))[1]
    )
    assert quiet("--size", 3, "--stride", 3, method=method, feature=[0, 1]) == 0
    out = capsys.readouterr().out
    values = activations.feature_maps(quiet.layer, quiet.input)[0].max(axis=(1, 2))
    most = [k for k in np.argsort(-values) if k]
    assert "feature 0 is silent on this image: its map is 0 everywhere" in out
    assert "respond most to it: " + ", ".join(f"{k} ({values[k]:.3g})" for k in most) in out
    title = figures[0].texts[0].get_text()
    assert "feature 0 is silent on this image" in title and "respond most" in title
    notes = [text.get_text() for axes in figures[0].axes for text in axes.texts]
    assert notes.count("silent on this image") == 1
    assert notes.count("green: important areas") == 1


def test_a_map_that_is_the_same_everywhere_is_silent_too(quiet, capsys):
    assert quiet(feature=2) == 0
    assert "feature 2 is silent on this image: its map is 2 everywhere" in (capsys.readouterr().out)


def test_a_network_that_is_dead_altogether_says_so(quiet, capsys):
    np.savez(quiet.weights, *(0 * value for value in quiet.values))
    assert quiet(feature=1) == 0
    assert "no other feature of this layer responds to it" in capsys.readouterr().out
    assert quiet("--unit", 1, feature=None, layer="output") == 0
    assert "unit 1 is silent on this image: its saliency is 0" in capsys.readouterr().out


def test_features_that_show_something_are_not_called_silent(own, capsys):
    assert own() == 0
    assert "silent" not in capsys.readouterr().out


def test_a_map_without_important_areas_claims_none():
    maps = np.zeros((2, 8, 8))
    maps[0, 1, 1], maps[1, 2, 2] = -1, 10
    notes = [axes.texts[0].get_text() for axes in drawn(maps).axes[2::3]]
    assert notes == ["nothing raises it", "green: important areas"]


# --- Fills ----------------------------------------------------------------------------


@pytest.mark.parametrize("words, fill", [([0.7], 0.7), (["-0.5"], -0.5), (["mean"], "mean")])
def test_the_occluder_is_filled_as_asked(own, words, fill):
    raw = own.folder / "raw.npz"
    assert (
        own("--raw-output", raw, "--size", 3, "--stride", 2, "--fill", *words, method="occlusion")
        == 0
    )
    fill = own.input[0].mean(axis=(1, 2)) if fill == "mean" else fill
    np.testing.assert_array_equal(
        files.load_arrays(raw)["maps"],
        attributions.occlusion(own.layer, own.input, FEATURES, 3, 2, fill)[:, 0],
    )


@pytest.mark.parametrize(
    "words, changed", [((), {}), (("--unit", 0), {"feature": None, "layer": "output"})]
)
def test_a_blurred_image_is_what_covers_it(own, monkeypatch, words, changed):
    baselines = []

    class Covering(Occlusion):
        def __init__(self, layer, window, stride, baseline):
            baselines.append(baseline)
            super().__init__(layer, window, stride, baseline)

    monkeypatch.setattr(occlusion_module, "Occlusion", Covering)
    assert own("--size", 5, "--fill", "blur", *words, method="occlusion", **changed) == 0
    np.testing.assert_array_equal(baselines[0], shown_features.filled(own.input, "blur", 5))


def test_fills_are_computed_from_the_image():
    pixels = np.random.RandomState(0).rand(1, 3, 20, 20)
    np.testing.assert_allclose(
        shown_features.filled(pixels, "mean", 5), pixels[0].mean(axis=(1, 2))
    )
    blurred = shown_features.filled(pixels, "blur", 5)
    assert blurred.shape == (3, 20, 20) and blurred.std() < 0.2 * pixels.std()
    np.testing.assert_allclose(blurred.mean(), pixels.mean(), rtol=0.02)
    assert shown_features.filled(pixels, [2.0], 5) == 2
    np.testing.assert_array_equal(shown_features.filled(pixels, [1.0, 2.0, 3.0], 5), [1, 2, 3])


@pytest.mark.parametrize(
    "words, changed, message",
    [
        ([1, 2], {"method": "occlusion"}, "--fill: 2 numbers for 1 channels"),
        (["mean", "blur"], {"method": "occlusion"}, "give numbers, or one of mean, blur alone"),
        ([1], {"method": "guided"}, "--fill is for occlusion, not for guided"),
    ],
)
def test_fills_that_make_no_sense_are_refused(own, capsys, words, changed, message):
    assert own("--fill", *words, **changed) == 1
    assert message in error_line(capsys)


def test_the_title_names_the_fill():
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    words = [
        "--network",
        "own.py",
        "--layer",
        "pool",
        "--feature",
        "1",
        "-o",
        "x.png",
        "--image",
        "i.png",
        "--method",
        "occlusion",
        "--fill",
    ]
    for fill, text in (
        ("mean", "the mean of the image"),
        ("0.25", "0.25"),
        ("blur", "the image, blurred"),
    ):
        assert title(command.requested(parser.parse_args([*words, fill]))).endswith(
            f"pixels, filled with {text}"
        )


# --- Networks of other sizes ------------------------------------------------------------

RESHAPED = """
import lasagne
def build():
    network = lasagne.layers.InputLayer((4, 1, 12, 14), name="input")
    network = lasagne.layers.Conv2DLayer(network, 4, 3, name="conv")
    network = lasagne.layers.MaxPool2DLayer(network, 2, name="pool")
    network = lasagne.layers.ReshapeLayer(network, (4, 120))
    return lasagne.layers.DenseLayer(network, 2, name="output")
"""


@pytest.mark.parametrize(
    "count, method", [(1, "gradient-max"), *((8, method) for method in command.METHODS)]
)
def test_a_network_of_a_fixed_number_of_images_gives_the_same(tmp_path, count, method):
    free, fixed = (Own(tmp_path) for _ in range(2))
    words = ("--size", 3, "--stride", 2, "--steps", 3, "--raw-output")
    assert free(*words, tmp_path / "free.npz", method=method) == 0
    fixed.path.write_text(OWN.format(channels=1).replace("None, 1", f"{count}, 1"))
    assert fixed(*words, tmp_path / "fixed.npz", method=method) == 0
    found = files.load_arrays(tmp_path / "fixed.npz")
    for name, array in files.load_arrays(tmp_path / "free.npz").items():
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", command.UNIT_METHODS)
def test_a_network_that_reshapes_by_its_number_of_images_gets_so_many(tmp_path, method):
    free, fixed = (Own(tmp_path) for _ in range(2))
    words = ("--unit", 1, "--size", 5, "--stride", 3, "--raw-output")
    changed = {"method": method, "layer": "output", "feature": None}
    assert free(*words, tmp_path / "free.npz", **changed) == 0
    fixed.path.write_text(RESHAPED)
    assert fixed(*words, tmp_path / "fixed.npz", **changed) == 0
    np.testing.assert_allclose(
        *(files.load_arrays(tmp_path / f"{name}.npz")["maps"] for name in ("fixed", "free")),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize(
    "size, method",
    [
        ("None, 14", "gradient-max"),
        ("12, None", "occlusion"),
        *(("None, None", method) for method in command.METHODS),
    ],
)
def test_a_network_of_any_size_takes_the_picture_s_own(tmp_path, capsys, size, method):
    fixed, free = (Own(tmp_path) for _ in range(2))
    code = OWN.format(channels=1).replace(
        'lasagne.layers.DenseLayer(network, 2, name="output")', "network"
    )
    fixed.values = fixed.values[:2]
    np.savez(fixed.weights, *fixed.values)
    words = ("--size", 3, "--stride", 2, "--steps", 3, "--raw-output")
    fixed.path.write_text(code)
    assert fixed(*words, tmp_path / "fixed.npz", method=method) == 0
    assert "any size" not in capsys.readouterr().out
    free.path.write_text(code.replace("12, 14", size))
    assert free(*words, tmp_path / "free.npz", method=method) == 0
    assert "the network takes pictures of any size: 12 × 14" in capsys.readouterr().out
    found = files.load_arrays(tmp_path / "free.npz")
    for name, array in files.load_arrays(tmp_path / "fixed.npz").items():
        np.testing.assert_array_equal(found[name], array)


def test_a_network_of_any_size_needs_a_picture_for_its_own(tmp_path, capsys):
    own = Own(tmp_path)
    own.path.write_text(
        OWN.format(channels=1)
        .replace("12, 14", "None, None")
        .replace('lasagne.layers.DenseLayer(network, 2, name="output")', "network")
    )
    assert own(method="exemplar", image=None, weights="random") == 1
    assert "without a size of its own; give --image" in error_line(capsys)


@pytest.mark.parametrize("shape", ["(None, 10)", "(None, 3, 10)", "(None, 1, 4, 4, 4)"])
def test_inputs_that_are_no_images_are_one_line(tmp_path, capsys, shape):
    own = Own(tmp_path)
    own.path.write_text(f"""
from lasagne.layers import *
def build():
    network = InputLayer({shape}, name="input")
    return DenseLayer(network, 2, name="output")
""")
    for words, feature in ((("--unit", 0), None), ((), 0)):
        assert own(*words, weights="random", layer="output", feature=feature) == 1
        assert (
            "this command shows images, (batch, channels, rows, columns); from Python, "
            "cnnviz.Gradient(layer).attribute(inputs) gives the gradient"
        ) in error_line(capsys)


@pytest.mark.parametrize(
    "code, message",
    [
        ("", "own.py: has no function build()"),
        ("def build():\n    return 3", "own.py: build() returns int, not a Lasagne layer"),
        ("import lasagne\n\nx = lasagne.leyers", "own.py, line 3: AttributeError: module"),
        ("def build(:", "invalid syntax (own.py, line 1)"),
        ("def build():\n    raise SystemExit(2)", "own.py, line 2: SystemExit: 2"),
        (
            OWN.format(channels=1).replace('"pool"', '"conv"'),
            "own.py: several layers are named 'conv'",
        ),
        (
            "def build(channels, size=3):\n    pass",
            "own.py, line 1: build() is called without arguments, and missing a required argument:"
            " 'channels'",
        ),
        (
            "import warnings\nwarnings.simplefilter('error')\n\ndef build():\n"
            "    warnings.warn('old')",
            "own.py, line 5: UserWarning: old",
        ),
        ("def build():\n    return {'a': 1}", "build() returns dict, not a Lasagne layer"),
        (
            OWN.format(channels=1).replace("return", "net =") + "    return {'output': net}",
            "build() returns dict, not a Lasagne layer; return the last one of its layers",
        ),
        (b"# caf\xe9\n", "own.py, line 1: is not UTF-8; save the file as UTF-8 text"),
        (b"\n\n\n# caf\xe9\n", "own.py, line 4: is not UTF-8"),
        (b"# coding: nonsense\n", "own.py, line 1: is not UTF-8"),
        (
            "import argparse\nargparse.ArgumentParser().parse_args(['--x'])",
            "own.py, line 2: SystemExit: 2",
        ),
        ("x = '\0'", "own.py: "),
        (
            "from helper_of_own import broken\nbroken()",
            "own.py, line 2 (at helper_of_own.py, line 2): ZeroDivisionError",
        ),
        (
            "\nimport helper_with_typo",
            "own.py, line 2 (at helper_with_typo.py, line 2): SyntaxError: '(' was never closed",
        ),
        ("import lasagne\n\n\nlasagne.layers.InputLayer(3, shapes=2)", "own.py, line 4: TypeError"),
    ],
)
def test_a_file_that_fails_is_named_with_the_line(tmp_path, capsys, code, message):
    own = Own(tmp_path)
    (tmp_path / "helper_of_own.py").write_text("def broken():\n    return 1 / 0\n")
    (tmp_path / "helper_with_typo.py").write_text("x = 1\ny = (\n")
    own.path.write_bytes(code if isinstance(code, bytes) else code.encode())
    assert own(weights="random") == 1
    assert message in error_line(capsys)


def test_a_layer_that_fails_later_is_named_with_the_line(tmp_path, capsys):
    own = Own(tmp_path)
    own.path.write_text(
        OWN.format(channels=1)
        + """
class Odd(lasagne.layers.Layer):
    def get_output_for(self, input, **kwargs):
        return input.no_such_thing
"""
    )
    own.path.write_text(
        own.path.read_text().replace("lasagne.layers.MaxPool2DLayer(network, 2", "Odd(network")
    )
    assert own(weights="random") == 1
    error = error_line(capsys)
    assert "own.py, line 11: " in error and "AttributeError: " in error


def test_a_traceback_is_shown_on_request_to_the_last_frame(tmp_path):
    own = Own(tmp_path)
    own.path.write_text("def build():\n    return 1 / 0\n")
    with pytest.raises(errors.UserError) as error:
        own("--debug", weights="random")
    assert isinstance(error.value.__cause__, ZeroDivisionError)


def test_what_a_file_sets_for_itself_ends_with_it(tmp_path):
    own = Own(tmp_path)
    before = sys.path[:], sys.argv[:], np.geterr(), warnings.filters[:]
    own.path.write_text(
        "import sys, warnings, numpy\nassert sys.argv == [__file__]\n"
        "numpy.seterr(all='raise')\nwarnings.simplefilter('error')\n" + OWN.format(channels=1)
    )
    own_code.build(own.path)
    assert before == (sys.path, sys.argv, np.geterr(), warnings.filters)


def test_faults_of_the_package_are_not_blamed_on_the_file(own, monkeypatch):
    monkeypatch.setattr(Gradient, "attribute", lambda *_, **__: {}["fault"])
    with pytest.raises(KeyError):
        own()


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


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda values: values[:-1], "holds 3 arrays (arr_0, arr_1, arr_2), not arr_0 to arr_3"),
        (
            lambda values: [values[0][:2], *values[1:]],
            "arr_0 (conv.W) has shape (2, 1, 3, 3) instead of (4, 1, 3, 3)",
        ),
        (lambda values: [values[0] * np.nan, *values[1:]], "arr_0 (conv.W) holds values that"),
    ],
)
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
    assert (
        dispatch.main(
            [
                "visualize",
                "--network",
                "c9",
                "--layer",
                "pool2",
                "--feature",
                "0",
                "1",
                "--same-scale",
                "--image",
                "die:15,100",
                "--raw-output",
                str(tmp_path / "raw.npz"),
                "-o",
                str(tmp_path / "out.png"),
            ]
        )
        == 0
    )
    opened(tmp_path / "out.png")
    found = files.load_arrays(tmp_path / "raw.npz")
    layer = layers.find_layer(by_name.read("c9", "shipped"), "pool2")
    np.testing.assert_array_equal(
        found["maps"], attributions.gradient(layer, found["image"], [0, 1])[:, 0]
    )


def test_de_fauw_s_network(tmp_path):
    """Its second input does not matter to its feature maps."""
    assert (
        dispatch.main(
            [
                "visualize",
                "--network",
                "defauw",
                "--weights",
                "random",
                "--layer",
                "pool1",
                "--feature",
                "17",
                "--image",
                "synthetic:17_left",
                "--raw-output",
                str(tmp_path / "raw.npz"),
                "-o",
                str(tmp_path / "out.png"),
            ]
        )
        == 0
    )
    opened(tmp_path / "out.png")
    maps = files.load_arrays(tmp_path / "raw.npz")["maps"]
    assert maps.shape == (1, 512, 512) and overlay.limit(maps) > 0
