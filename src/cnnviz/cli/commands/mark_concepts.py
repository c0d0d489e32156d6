"""Mark what is known on prepared photographs: lesions, disc, vessels, artefacts.

The concepts of thesis Table 4.1, for 'cnnviz dissect' and 'cnnviz localise'. Of drawn
photographs everything is known; of IDRiD's the outlined lesions of 21 photographs, and
disc, fovea and the edge of the field of view of all.
"""

import functools
from pathlib import Path

import numpy as np
from tqdm import tqdm

from cnnviz.cli.commands import arguments
from cnnviz.runtime import files, paths


def add_arguments(parser):
    parser.add_argument("--source", choices=("synthetic", "idrid"), required=True)
    parser.add_argument(
        "--photographs",
        type=Path,
        required=True,
        help="folder of prepared photographs of that source",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="synthetic: that of 'cnnviz prepare-photographs'"
    )
    parser.add_argument(
        "--downloads", type=Path, default=paths.DOWNLOADS, help="where downloaded files are kept"
    )
    arguments.add_mirror(parser)
    arguments.add_output(parser, ".npz file to write")


def _drawn(args):
    """Function from a photograph of the store to what is drawn on it."""
    from cnnviz.datasets import concepts, synthetic

    def marked(photograph, field):
        if photograph.name == synthetic.RETINA.name:
            return concepts.of_photograph(photograph, field)
        seed = [args.seed, int(photograph.patient)]
        return concepts.of_scene(synthetic.eye(seed, photograph.side), field)

    return marked


def _outlined(args):
    """The same for IDRiD: masks come from the outlined version of a photograph."""
    from cnnviz.datasets import concepts, external, idrid

    mirror = external.mirror(args.mirror)
    records = {record.grading: record for record in idrid.records("lesions")}
    load = functools.partial(idrid.load, mirror=mirror, downloads=args.downloads / "idrid")

    def marked(photograph, field):
        record = records.get(photograph.name)
        if record is not None:
            photograph.masks.update(load(record).masks)
        return concepts.of_photograph(photograph, field)

    return marked


def run(args):
    from cnnviz.datasets import concepts, store

    marked = {"synthetic": _drawn, "idrid": _outlined}[args.source](args)
    photographs = store.read(args.photographs)
    index = np.empty(photographs.pixels.shape[:3], np.uint8)
    known = np.zeros((len(photographs), len(concepts.CONCEPTS)), bool)
    for k in tqdm(range(len(photographs)), unit=" photographs", mininterval=5):
        found = marked(photographs.photograph(k), concepts.field_of_view(photographs.pixels[k]))
        index[k] = concepts.index_map(found.masks)
        known[k] = [name in found.known for name in concepts.CONCEPTS]
    files.save_arrays(
        args.output, compressed=True, concepts=index, known=known, names=np.array(photographs.names)
    )
    print(
        f"{len(photographs):,} photographs; lesions are known in "
        f"{concepts.lesions_known(known).sum():,}"
    )
