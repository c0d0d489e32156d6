"""Measure the rendered data set and write its data statement."""

from pathlib import Path
from string import Template

import numpy as np

from cnnviz.cli.commands import arguments
from cnnviz.datasets import die360, splits
from cnnviz.runtime import files, paths
from cnnviz.thesis import comparison

# Views on which the reduction from 128 to 32 pixels is studied.
REDUCTION_STRIDE = 100
# Sampling stride: which validation images are compared with all training images.
NEAREST_STRIDE = 40
TWIN_TOLERANCE = 0.5 / 255
STATEMENT = Path(__file__).with_name("die360_statement.md")


def add_arguments(parser):
    parser.add_argument(
        "--images", type=Path, default=paths.DIE360_IMAGES, help="rendered images of all views"
    )
    arguments.add_written(
        parser, "--statement", required=True, help="data statement to write (Markdown)"
    )
    arguments.add_output(parser, "CSV file of the measured facts to write")


def twin_shares(images, a, b):
    """Shares of views with a twin equal to 0.5/255: on average, everywhere."""
    mean, largest = np.full((2, len(images)), np.inf)
    for index in die360.twins(a, b):
        has = np.flatnonzero(index >= 0)
        for part in np.array_split(has, 20):  # bounds the memory
            difference = np.abs(images[part] - images[index[part]])
            mean[part] = np.minimum(mean[part], difference.mean((1, 2)))
            largest[part] = np.minimum(largest[part], difference.max((1, 2)))
    return tuple(float(np.mean(values <= TWIN_TOLERANCE)) for values in (mean, largest))


def reduction_difference(a, b):
    """Mean difference between the author's zoom and a mean of 4x4 blocks."""
    large = die360.render(a, b, die360.NATIVE_SIZE)
    zoom = die360.zoom_matrix()
    side = die360.NATIVE_SIZE // die360.SIZE
    blocks = large.reshape(len(large), die360.SIZE, side, die360.SIZE, side)
    return float(np.abs(zoom @ large @ zoom.T - blocks.mean((2, 4))).mean())


def nearest_training_picture(images, b):
    """Median difference to the nearest training picture, by split."""

    def median(parts):
        return float(
            np.median(
                np.concatenate(
                    [
                        splits.nearest_difference(images, training, validation[::NEAREST_STRIDE])
                        for training, validation in parts
                    ]
                )
            )
        )

    folds = range(splits.FOLDS)
    return (
        median(splits.random_split(len(b), fold) for fold in folds),
        median(splits.separated_split(b, fold) for fold in folds),
    )


def measure(images):
    """All facts, by name: value and unit."""
    a, b, label = die360.angles()
    cosine = die360.prominence(a, b)
    labeled = cosine[np.arange(len(label)), label - 1]
    wrong = cosine.max(axis=1) > labeled + 1e-9
    region = die360.regions(a[::REDUCTION_STRIDE], b[::REDUCTION_STRIDE])
    counts = np.bincount(label, minlength=7)[1:]
    sample = slice(None, None, REDUCTION_STRIDE)
    twins = twin_shares(images, a, b)
    nearest = nearest_training_picture(images, b)
    return {
        "samples": (len(label), "1"),
        "image_side": (images.shape[1], "pixel"),
        **{f"samples_of_face_{k}": (int(counts[k - 1]), "1") for k in range(1, 7)},
        "mean": (float(images.mean(dtype=np.float64)), "gray value"),
        "standard_deviation": (float(images.std(dtype=np.float64)), "gray value"),
        "labeled_face_not_most_prominent": (int(wrong.sum()), "1"),
        "labeled_face_not_most_prominent_from": (int(b[wrong].min()), "deg"),
        "labeled_face_not_most_prominent_to": (int(b[wrong].max()), "deg"),
        "share_with_twin_on_average": (twins[0], "1"),
        "share_with_twin_everywhere": (twins[1], "1"),
        "reduction_zoom_against_blocks": (reduction_difference(a[sample], b[sample]), "gray value"),
        "nearest_training_picture_random": (nearest[0], "gray value"),
        "nearest_training_picture_separated": (nearest[1], "gray value"),
        "share_background": (float(np.mean(region == die360.BACKGROUND)), "1"),
        "share_edge": (float(np.mean(region == die360.EDGE)), "1"),
        "share_pip": (float(np.mean(region > die360.PIP)), "1"),
    }


def run(args):
    a, _, label = die360.angles()
    images = files.load_array(
        args.images,
        (len(a), die360.SIZE, die360.SIZE),
        np.float32,
        f"cnnviz render -o {args.images}",
    )
    facts = measure(images)
    comparison.write_reproduced(
        args.output,
        [
            comparison.Reproduced(f"die360.{name}", value, unit, "cnnviz die360-facts")
            for name, (value, unit) in facts.items()
        ],
    )
    value = {name: number for name, (number, _) in facts.items()}
    text = Template(STATEMENT.read_text(encoding="utf-8")).substitute(
        samples=f"{value['samples']:,}",
        mean=f"{value['mean']:.4f}",
        std=f"{value['standard_deviation']:.4f}",
        wrong=f"{value['labeled_face_not_most_prominent']:,}",
        wrong_share=f"{value['labeled_face_not_most_prominent'] / len(a):.1%}",
        wrong_b="{}–{}".format(
            *(value[f"labeled_face_not_most_prominent_{end}"] for end in ("from", "to"))
        ),
        twins=f"{value['share_with_twin_on_average']:.0%}",
        twins_everywhere=f"{value['share_with_twin_everywhere']:.0%}",
        reduction=f"{255 * value['reduction_zoom_against_blocks']:.1f}",
        nearest_random=f"{255 * value['nearest_training_picture_random']:.1f}",
        nearest_separated=f"{255 * value['nearest_training_picture_separated']:.1f}",
        background=f"{value['share_background']:.0%}",
        edge=f"{value['share_edge']:.0%}",
        pip=f"{value['share_pip']:.0%}",
        **{f"face{k}": f"{value[f'samples_of_face_{k}']:,}" for k in range(1, 7)},
    )
    files.write_text(args.statement, text)
