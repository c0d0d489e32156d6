"""Mark what is known on prepared photographs: lesions, disc, vessels, artifacts.

The concepts of thesis Table 4.1, for 'cnnviz dissect' and 'cnnviz localize'. Of synthetic
photographs everything is known; of IDRiD's the outlined lesions of 21 photographs, and
disc, fovea and the edge of the field of view of all.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cnnviz.cli.commands import arguments
from cnnviz.runtime import paths


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add_photographs(parser)
    parser.add_argument(
        "--downloads", type=Path, default=paths.DOWNLOADS, help="where downloaded files are kept"
    )
    arguments.add_mirror(parser)
    arguments.add_output(parser, ".npz file to write")


def run(args: argparse.Namespace) -> None:
    from cnnviz.experiments import concept_marking

    concept_marking.mark(args.photographs, args.output, args.mirror, args.downloads)
