"""Where files are: the one place that knows.

Shipped files stand in the repository, the record of a finished run among them.  Files
that the workflow makes are given relative to the folder it runs in, which is the
repository unless told otherwise (``snakemake --directory``), and lie in ``results`` and
``figures`` only; what it downloads is kept in ``data/downloads``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[3]

# --- Shipped ----------------------------------------------------------------
SHIPPED_WEIGHTS = REPOSITORY / "weights" / "die360"
SURROGATE_WEIGHTS = REPOSITORY / "weights" / "fundus" / "surrogate.npz"
EXTERNAL_TABLES = REPOSITORY / "data" / "external"
IDRID_LESIONS = EXTERNAL_TABLES / "idrid_lesion_statistics.csv"
REPORTED_TABLES = REPOSITORY / "thesis_tables" / "reported"
REASONS = REPOSITORY / "thesis_tables" / "reasons.csv"
FUNDUS_TRAINING = REPOSITORY / "config" / "training" / "fundus.yaml"
DEFAULT_CONFIG = REPOSITORY / "config" / "default.yaml"
CONFIG_SCHEMA = REPOSITORY / "workflow" / "schemas" / "config.schema.yaml"

# --- Made by the workflow ---------------------------------------------------
FIGURES = Path("figures")
RESULTS = Path("results")
DATA = RESULTS / "data"
TABLES = RESULTS / "tables"
LOGS = RESULTS / "logs"

DOWNLOADS = Path("data") / "downloads"
DEFAUW_WEIGHTS = DOWNLOADS / "defauw.npz"  # converted by hand, once
#: Weights of De Fauw's network by name: shipped, and his own.
FUNDUS_WEIGHTS = {"surrogate": SURROGATE_WEIGHTS, "defauw": DEFAUW_WEIGHTS}
DIE360_IMAGES = DATA / "die360_32.npz"
DIE360_FACTS = DATA / "die360_facts.csv"
DIE360_STATEMENT = DATA / "die360.md"
RUN = RESULTS / "run.yaml"  # configuration of a run, and its tables
AGREEMENT = RESULTS / "agreement.csv"  # numbers that are not the recorded ones
SOFTWARE = RESULTS / "software.txt"  # what ran
PHOTOGRAPHS = RESULTS / "fundus"  # prepared, a folder for each source
FEATURES = PHOTOGRAPHS / "features"  # of De Fauw's network, a folder for each source
TRAINED_WEIGHTS = RESULTS / "weights"
HISTORIES = RESULTS / "histories"
EVALUATIONS = RESULTS / "evaluations"
SALIENCY = RESULTS / "saliency"
MAP_QUALITY = RESULTS / "map_quality"  # measurements of maps, experiment by experiment
NEIGHBORS = RESULTS / "neighbors"
DISAGREEMENT = RESULTS / "disagreement.npz"
DIE_EXEMPLARS = RESULTS / "exemplars" / "die360"
EXEMPLAR_STATISTICS = RESULTS / "exemplars" / "statistics"
ANIMATIONS = FIGURES / "animations"
REPRODUCED_TABLES = TABLES / "reproduced"
BEYOND_TABLES = TABLES / "beyond"  # numbers that the thesis does not have
SEPARATED_TABLE = BEYOND_TABLES / "table_5_1_separated.md"
BY_DISTANCE = BEYOND_TABLES / "accuracy_by_distance.csv"
LESIONS_TABLE = BEYOND_TABLES / "synthetic_lesions.md"
LABELER_TABLE = BEYOND_TABLES / "labeler_validation.md"
FUNDUS_TABLE = BEYOND_TABLES / "fundus_network.md"
TABLE_4_1 = BEYOND_TABLES / "table_4_1.md"
FEATURES_TABLE = BEYOND_TABLES / "features.csv"  # what every feature detects
NEIGHBORS_TABLE = BEYOND_TABLES / "neighboring_views.md"
EXEMPLARS_TABLE = BEYOND_TABLES / "exemplars_die360.md"
MAP_QUALITY_TABLE = BEYOND_TABLES / "map_quality.md"
EXEMPLARS_BESIDE_DATA = BEYOND_TABLES / "exemplars.md"
FOLDS_TABLE = BEYOND_TABLES / "table_5_1_folds.csv"
# The same tables, made with files that a fresh clone does not have.
WITH_MIRROR_TABLES = TABLES / "with_mirror"
COMPARISON = TABLES / "comparison.csv"
COMPARISON_TEXT = TABLES / "comparison.md"

_RECORDED = {TABLES: REPOSITORY / "thesis_tables", DATA: REPOSITORY / "data"}


def recorded(path: Any) -> Any:
    """Where the record keeps a table that a run makes, such as :data:`COMPARISON`."""
    folder = next(folder for folder in _RECORDED if path.is_relative_to(folder))
    return _RECORDED[folder] / path.relative_to(folder)


def weight_file(folder: Any, split: str, network: str, fold: int) -> Any:
    """Weights of one network, trained on one fold of one split."""
    return Path(folder) / split / f"{network}_fold{fold}.npz"


def animation(folder: Any, face: int) -> Any:
    """Animation of the views of a face of the die."""
    return Path(folder) / f"face_{face}.gif"


def features(source: str, name: str) -> Any:
    """File about the features of De Fauw's network on photographs of a source."""
    return FEATURES / source / name


def sheet_name(figure: Any) -> Any:
    """Name of the file of a saliency figure of chapter 4, "4.5" for example."""
    return f"figure_{figure.replace('.', '_')}.npz"


def manifest(folder: Any) -> Any:
    """List of a folder's weight files with their checksums."""
    return Path(folder) / "manifest.csv"
