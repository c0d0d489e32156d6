"""Prepare fundus photographs as De Fauw's network expects them (chapter 4).

An interrupted run goes on where it stopped. --source synthetic draws eye pairs, and
adds the one real photograph that comes with scikit-image. --source idrid reads a
mirror folder, or downloads from public repositories. --source kaggle reads the
competition's training photographs, which need a Kaggle account: accept the rules on
the page of the competition diabetic-retinopathy-detection, install Kaggle's own
command and your API token, run 'kaggle competitions download -c
diabetic-retinopathy-detection', and unpack the training photographs (about 35 GB)
into one folder, trainLabels.csv beside them. Prepared, they take 0.8 MB each.
"""

import functools
from pathlib import Path

from cnnviz.cli.commands import arguments
from cnnviz.datasets import external, fundus, idrid, kaggle, store, synthetic
from cnnviz.runtime import paths
from cnnviz.runtime.errors import MissingFileError, UserError


def add_arguments(parser):
    parser.add_argument("--source", choices=("synthetic", "idrid", "kaggle"), required=True)
    arguments.add_mirror(parser)
    parser.add_argument("--pairs", type=int, default=1000, help="synthetic: how many patients")
    parser.add_argument(
        "--seed", type=int, default=0, help="synthetic: other seeds are other patients"
    )
    parser.add_argument(
        "--downloads", type=Path, default=paths.DOWNLOADS, help="where downloaded files are kept"
    )
    parser.add_argument("--folder", type=Path, help="kaggle: folder of the training photographs")
    parser.add_argument(
        "--labels", type=Path, help="kaggle: trainLabels.csv, if not in that folder"
    )
    parser.add_argument(
        "--partial", action="store_true", help="kaggle: accept labels of a part of the photographs"
    )
    parser.add_argument(
        "--crop",
        choices=fundus.CROPS,
        default="published",
        help="idrid, kaggle: where the eye is. 'published': De Fauw's rule, "
        "which one bright pixel beside the eye moves; a warning says where "
        "it is implausible. 'robust': the largest bright area, whatever is "
        "bright beside it",
    )
    arguments.add_output(parser, "folder to write", "folder")


def _synthetic(args):
    """Records of drawn eye pairs, and of a real one, and what draws one."""
    if args.crop != "published":
        raise UserError(
            f"--crop {args.crop}: where the eye is in a drawn photograph is known; "
            "the option is for --source idrid and kaggle"
        )
    return [*synthetic.records(args.pairs, args.seed), synthetic.RETINA], synthetic.load


def _idrid(args):
    """Records of IDRiD and what reads one; all are needed."""
    mirror = external.mirror(args.mirror)
    found = idrid.records("train") + idrid.records("test")
    if mirror is None:
        idrid.fetch(found, args.downloads / "idrid", progress=True)
    return found, functools.partial(
        idrid.load, mirror=mirror, downloads=args.downloads / "idrid", crop=args.crop
    )


def _kaggle(args):
    """Records of the competition and what reads one."""
    if args.folder is None or not args.folder.is_dir():
        raise MissingFileError(
            f"--folder: no folder {args.folder or 'given'}; "
            "'cnnviz prepare-photographs --help' says how to "
            "get the photographs"
        )
    path = args.labels or args.folder / "trainLabels.csv"
    grades = kaggle.read_labels(path)
    if not args.partial:
        try:
            kaggle.check_labels(grades)
        except ValueError as error:
            raise UserError(f"{path}: {error}; --partial accepts them") from None
    unlabelled = kaggle.unlabelled(args.folder, grades)
    if unlabelled:
        print(
            f"{len(unlabelled):,} photographs have no label in {path} and are left out, "
            f"the first of them {unlabelled[0]}"
        )
    return (kaggle.records(args.folder, grades), functools.partial(kaggle.load, crop=args.crop))


def run(args):
    found, load = {"synthetic": _synthetic, "idrid": _idrid, "kaggle": _kaggle}[args.source](args)
    # All of IDRiD is needed; among the competition's files some are damaged.
    kept, bad = store.write(
        args.output,
        found,
        load,
        skip_bad=args.source == "kaggle",
        progress=True,
        settings={"crop": args.crop},
    )
    print(
        f"{kept:,} photographs prepared, {len(bad):,} left out"
        + (f": see {args.output / store.BAD}" if bad else "")
    )
