"""What a run of the workflow makes, and from what: pure functions of its configuration.

The rules of ``workflow/`` ask a :class:`Plan`; nothing here needs Snakemake.
"""

import os
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from cnnviz.datasets import die360
from cnnviz.experiments import figure_parts
from cnnviz.experiments.fundus_stages import STAGES as FUNDUS_STAGES
from cnnviz.experiments.fundus_stages import WITH_PHOTOGRAPHS
from cnnviz.networks.die_architectures import architecture
from cnnviz.runtime import configuration, paths

__all__ = ["BACKGROUND", "EXEMPLARS", "TWINS", "Plan", "shipped"]

FIGURE_TYPES = ("png", "pdf")
#: Figures of methods and networks, which need nothing but the package, and their chapters.
BACKGROUND = {
    "figure_2_1": "Chapter 2",
    "figure_2_2": "Chapter 2",
    "figure_2_3": "Chapter 2",
    "figure_2_4": "Chapter 2",
    "figure_2_5": "Chapter 2",
    "figure_3_1": "Chapter 3",
    "figure_4_4": "Chapter 4",
}
#: Figures of exemplars of De Fauw's features.
EXEMPLARS = ("4.22", "4.23", "4.24", "4.25", "4.26")
#: The same architecture with rectifiers and with sigmoid units.
TWINS = ("c4", "c4_sigmoid")


def shipped(path: Path) -> Path:
    """A file of the repository as rules name it.

    Relative where the workflow runs in the repository: a finished run that is moved or copied as
    a whole then finds itself finished.
    """
    if Path.cwd().is_relative_to(paths.REPOSITORY):
        return Path(os.path.relpath(path))
    return path


class Plan:
    """What a configuration asks for.

    Parameters
    ----------
    config : dict
        Checked against the schema (:func:`cnnviz.runtime.configuration.problems`).
    mirror : path, optional
        Folder with copies of external files.
    """

    def __init__(self, config: Mapping[str, Any], mirror: Path | None = None) -> None:
        self.config, self.mirror = config, mirror

    # --- Networks of the die ----------------------------------------------------------------

    def convolutional(self) -> list[str]:
        """The configured networks that have pooling layers."""
        return [name for name in self.config["networks"] if architecture(name).is_convolutional]

    def with_second_pool(self) -> list[str]:
        """The configured networks that have a second pooling layer."""
        return [name for name in self.convolutional() if len(architecture(name).pooling_layers) > 1]

    def weights_folder(self) -> Path:
        """Folder of the weights in use."""
        if self.config["weights"] == "shipped":
            return shipped(paths.SHIPPED_WEIGHTS)
        return paths.TRAINED_WEIGHTS

    def weights_of_folds(self, wildcards: Any) -> list[Path]:
        """Weight files of all folds of a network."""
        return [
            paths.weight_file(self.weights_folder(), wildcards.split, wildcards.network, fold)
            for fold in range(self.config["folds"])
        ]

    def setting(self, key: str, default: Any = None) -> Callable[[Any], Any]:
        """Training setting of a job's network."""
        return lambda wildcards: self.config["training"][wildcards.network].get(key, default)

    def engine_arguments(self, engine: str = "auto") -> str:
        """What runs a job: as configured, else ``engine``."""
        if self.config["engine"] == "auto" and engine != "auto":
            return f"--engine {engine}"
        return f"--engine {self.config['engine']} --device {self.config['device']}"

    def training_engine(self, wildcards: Any) -> str:
        """What trains a job's network; see the configuration."""
        return self.engine_arguments(self.setting("engine", "auto")(wildcards))

    def evaluations(self, split: str) -> list[Path]:
        """Evaluation files of all networks and folds of a split."""
        return [
            paths.weight_file(paths.EVALUATIONS, split, network, fold)
            for network in self.config["networks"]
            for fold in range(self.config["folds"])
        ]

    def figure(self, stem: str) -> list[Path]:
        """PNG and PDF file of a figure."""
        return [paths.FIGURES / f"{stem}.{suffix}" for suffix in FIGURE_TYPES]

    def mirror_argument(self) -> str:
        """``--mirror`` for a command, where there is one."""
        return f"--mirror {shlex.quote(str(self.mirror))}" if self.mirror else ""

    def fundus_source(self) -> str:
        """Where the photographs of chapter 4 come from."""
        return configuration.fundus_source(self.config["fundus"], self.mirror)

    def kept(self, path: Path) -> Path:
        """Where a table goes that the mirror's files change.

        Beside the tables of a run without them, so that neither replaces the other.
        """
        return paths.WITH_MIRROR_TABLES / path.name if self.mirror else path

    def prepared(self, source: str) -> dict[str, Path]:
        """Files of the prepared photographs of a source."""
        folder = paths.PHOTOGRAPHS / source
        return {
            "pixels": folder / "pixels.npy",
            "records": folder / "records.csv",
            "bad": folder / "bad.csv",
        }

    def fundus_weights(self, stage: str) -> Path:
        """Weights of De Fauw's network after a stage of the training."""
        return paths.PHOTOGRAPHS / "weights" / f"{stage}.npz"

    def stage_before(self, wildcards: Any) -> list[Path]:
        """Weights that a stage of the training begins with."""
        index = FUNDUS_STAGES.index(wildcards.stage)
        return [self.fundus_weights(FUNDUS_STAGES[index - 1])] if index else []

    def stage_arguments(self, wildcards: Any) -> str:
        """What ``cnnviz train-fundus`` is told of both."""
        words = [f"--initial {path}" for path in self.stage_before(wildcards)]
        if wildcards.stage in WITH_PHOTOGRAPHS:
            words.append(f"--photographs {paths.PHOTOGRAPHS / 'idrid'}")
        return " ".join(words)

    def photographs_arguments(self, wildcards: Any) -> str:
        """What ``cnnviz evaluate-fundus`` is told of them."""
        split = " --split test" if wildcards.source == "idrid" else ""
        return f"--photographs {paths.PHOTOGRAPHS / wildcards.source}{split}"

    def network_weights(self, wildcards: Any) -> list[Path]:
        """Weight file that the configuration names for De Fauw's network."""
        return {
            "surrogate": [shipped(paths.SURROGATE_WEIGHTS)],
            "defauw": [paths.DEFAUW_WEIGHTS],
            "random": [],
        }[self.config["fundus"]["weights"]]

    def evaluated_sources(self) -> list[str]:
        """Sources of photographs that De Fauw's network is tried on."""
        return list(dict.fromkeys(["synthetic", self.fundus_source()]))

    def fundus_networks(self) -> list[str]:
        """The networks whose features are looked at: trained, and random for contrast."""
        return ["random"] if self.config["fundus"]["weights"] == "random" else ["trained", "random"]

    def label_source(self) -> str | None:
        """Photographs that features are labeled on: the configured ones, if concepts are known.

        Nobody outlined what is on the competition's.
        """
        if self.fundus_source() != "kaggle":
            return self.fundus_source()
        return "idrid" if self.mirror else "synthetic"

    def of_networks(self, stem: str, source: str) -> list[Path]:
        """Files of both networks about the features on photographs of a source."""
        return [
            paths.features(source, f"{stem}_{network}.npz") for network in self.fundus_networks()
        ]

    def marked_concepts(self, wildcards: Any) -> list[Path]:
        """The file of what is on the photographs of a source, where that is known."""
        return (
            []
            if wildcards.source == "kaggle"
            else [paths.features(wildcards.source, "concepts.npz")]
        )

    def concepts_argument(self, wildcards: Any, input: Any) -> str:
        """What ``cnnviz dissect`` is told of it."""
        return f"--concepts {input.concepts}" if input.concepts else ""

    def network_choice(self, wildcards: Any) -> str:
        """Weights of one of these networks, as commands name them."""
        return "random" if wildcards.network == "random" else self.config["fundus"]["weights"]

    def weights_of_features(self, wildcards: Any) -> list[Path]:
        """The file that these weights come from."""
        return [] if wildcards.network == "random" else self.network_weights(wildcards)

    def features_argument(self) -> str:
        """``--layers``, and ``--features`` where not all of a layer are looked at."""
        count = self.config["fundus"]["features"]
        return " ".join(
            [
                "--layers",
                *self.config["fundus"]["layers"],
                *([] if count is None else ["--features", str(count)]),
            ]
        )

    def looks_at_features(self) -> bool:
        """Whether features of De Fauw's network are looked at: it has been trained."""
        return self.config["fundus"]["weights"] != "random"

    def table_4_1_numbers(self) -> list[Path]:
        """Our numbers of Table 4.1, where there are any."""
        return (
            [self.kept(paths.REPRODUCED_TABLES / "table_4_1.csv")]
            if self.looks_at_features()
            else []
        )

    def animated_network(self) -> str:
        """The network whose saliency is animated."""
        return "c9" if "c9" in self.config["networks"] else (self.convolutional() or ["c9"])[-1]

    def animation_files(self) -> list[Path]:
        """Files of the animations."""
        return [paths.animation(paths.ANIMATIONS, face) for face in range(1, die360.CLASSES + 1)]

    def twins_folder(self) -> Path:
        """Folder of their weights: shipped, unless the run trains the first of them."""
        if TWINS[0] in self.config["networks"]:
            return self.weights_folder()
        return shipped(paths.SHIPPED_WEIGHTS)

    def twin_weights(self, wildcards: Any) -> Path:
        """Weight file of one of them."""
        return paths.weight_file(self.twins_folder(), "random", wildcards.network, 0)

    def exemplar_layers(self) -> list[str]:
        """Layers of De Fauw's network whose exemplars are measured."""
        there = self.config["fundus"]["layers"]
        return [name for name in ("pool2", "pool3", "pool4") if name in there] or there[:1]

    def exemplar_steps(self) -> str:
        """``--max-steps`` for a command, where the configuration shortens ascents."""
        steps = self.config["exemplars"]["steps"]
        return "" if steps is None else f"--max-steps {steps}"

    def exemplar_files(self) -> list[Path]:
        """Measurements of exemplars, network by network."""
        return [paths.EXEMPLAR_STATISTICS / f"{name}.npz" for name in (*TWINS, "defauw")]

    def deepest_network(self) -> str:
        """The convolutional network whose maps are measured."""
        return max(self.convolutional() or ["c9"], key=lambda name: architecture(name).depth)

    def measured_layers(self) -> list[str]:
        """Layers of De Fauw's network whose maps are measured."""
        there = self.config["fundus"]["layers"]
        return [name for name in ("pool3", "pool4", "pool5") if name in there] or there[:1]

    def map_quality_files(self) -> list[Path]:
        """Measurements of maps, experiment by experiment."""
        return [
            paths.MAP_QUALITY / f"{name}.csv"
            for name in (*(["die360"] if self.convolutional() else []), "fundus")
        ]

    def with_rows(self, path: Path) -> list[Path]:
        """A table in words, and the file of its rows."""
        return [path, path.with_suffix(".csv")]

    def tables(self) -> list[Path]:
        """Tables that a whole run makes; the record has the same."""
        made = [
            *self.with_rows(self.kept(paths.COMPARISON_TEXT)),
            paths.REPRODUCED_TABLES / "table_5_1.csv",
            paths.REPRODUCED_TABLES / "text_chapter_5.csv",
            self.kept(paths.REPRODUCED_TABLES / "text_chapter_4.csv"),
            paths.FOLDS_TABLE,
            paths.LESIONS_TABLE,
            self.kept(paths.FUNDUS_TABLE),
            *self.with_rows(paths.EXEMPLARS_BESIDE_DATA),
            *map(self.kept, self.with_rows(paths.MAP_QUALITY_TABLE)),
            *self.table_4_1_numbers(),
        ]
        if self.looks_at_features():
            made += [self.kept(paths.TABLE_4_1), self.kept(paths.FEATURES_TABLE)]
        if "separated" in self.config["splits"]:
            made += [*self.with_rows(paths.SEPARATED_TABLE), paths.BY_DISTANCE]
        if self.config["die360"]["sampling_stride"] == 1:
            made += [paths.DIE360_STATEMENT, paths.DIE360_FACTS]
        if self.convolutional():
            made += [paths.NEIGHBORS_TABLE, paths.EXEMPLARS_TABLE, paths.LABELER_TABLE]
        return made

    def everything(self) -> list[Path]:
        """What a whole run makes."""
        made = [
            *self.tables(),
            paths.RUN,
            paths.SOFTWARE,
            *self.figure("figure_5_1"),
            *self.figure("figure_fundus"),
            *self.figure("figure_4_1"),
            *self.figure("figure_4_2"),
            *self.figure("figure_4_3"),
            *self.figure("figure_exemplars"),
            *self.figure("figure_map_quality"),
        ]
        for stem in BACKGROUND:
            made += self.figure(stem)
        if self.looks_at_features():
            whole = set(figure_parts.LAYERS) <= set(self.config["fundus"]["layers"])
            for number in (*self.sheets(), *(EXEMPLARS if whole else [])):
                made += self.figure(f"figure_{number.replace('.', '_')}")
            if self.config["fundus"]["every_feature"]:
                made.append(paths.FIGURES / "features")
        if "separated" in self.config["splits"]:
            made += self.figure("figure_leakage")
        made += self.figure("figure_5_5")
        if self.convolutional():
            made += [
                *self.figure("figure_5_2"),
                *self.figure("figure_5_3"),
                *self.figure("table_5_2"),
            ]
        # Elsewhere, views one degree apart would all be rendered anew.
        if self.convolutional() and self.config["die360"]["sampling_stride"] == 1:
            made += self.animation_files()
        if self.with_second_pool():
            made += self.figure("figure_5_4")
        if "c9" in self.config["networks"]:
            made += self.figure("figure_methods")
        return made

    def sheets(self) -> list[str]:
        """Figures of De Fauw's features on photographs, 4.5 to 4.21."""
        there = self.config["fundus"]["layers"]
        return list(
            dict.fromkeys(part.figure for part in figure_parts.PARTS if part.layer in there)
        )

    def run_in_words(self) -> str:
        """Configuration and tables of a whole run, as YAML."""
        return yaml.safe_dump(
            {
                "configuration": configuration.plain(self.config),
                "tables": [str(path) for path in self.tables()],
            }
        )
