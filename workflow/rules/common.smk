"""Helpers: where files are, what the configuration asks for."""
import os
import shlex
from pathlib import Path

import yaml
from cnnviz.experiments import figure_parts
from cnnviz.runtime import configuration, paths
from cnnviz.runtime.paths import sheet_name
from cnnviz.experiments.fundus_stages import STAGES as FUNDUS_STAGES, WITH_PHOTOGRAPHS
from cnnviz.datasets import die360, external
from snakemake.exceptions import WorkflowError

# One thread each: the jobs themselves run side by side.
ONE_THREAD = "OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1"
FIGURE_TYPES = ["png", "pdf"]


def shipped(path):
    """A file of the repository as rules name it.

    Relative where the workflow runs in the repository: a finished run that is moved or
    copied as a whole then finds itself finished.
    """
    if Path.cwd().is_relative_to(paths.REPOSITORY):
        return Path(os.path.relpath(path))
    return path


# Documents the software of every rule; made by hand, not by snakemake.
ENVIRONMENT = str(paths.REPOSITORY / "environment.yml")
REPORTED = [shipped(path) for path in sorted(paths.REPORTED_TABLES.glob("*.csv"))]


def reported(name):
    """The thesis's numbers of one table or chapter."""
    return shipped(paths.REPORTED_TABLES / f"{name}.csv")


def check_configuration():
    """Stop with one line for each mistake in the configuration."""
    problems = configuration.problems(config)
    if problems:
        raise WorkflowError("the configuration has mistakes:\n  "
                            + "\n  ".join(problems))


def convolutional():
    """The configured networks that have pooling layers."""
    return [name for name in config["networks"] if name.startswith("c")]


def with_second_pool():
    """The configured networks that have a second pooling layer."""
    return [name for name in convolutional() if name != "c1"]


def weights_folder():
    """Folder of the weights in use."""
    if config["weights"] == "shipped":
        return shipped(paths.SHIPPED_WEIGHTS)
    return paths.TRAINED_WEIGHTS


def weights_of_folds(wildcards):
    """Weight files of all folds of a network."""
    return [paths.weight_file(weights_folder(), wildcards.split, wildcards.network, fold)
            for fold in range(config["folds"])]


def setting(key, default=None):
    """Training setting of a job's network."""
    return lambda wildcards: config["training"][wildcards.network].get(key, default)


def engine_arguments(engine="auto"):
    """What runs a job: as configured, else ``engine``."""
    if config["engine"] == "auto" and engine != "auto":
        return f"--engine {engine}"
    return f"--engine {config['engine']} --device {config['device']}"


def training_engine(wildcards):
    """What trains a job's network; see the configuration."""
    return engine_arguments(setting("engine", "auto")(wildcards))


def evaluations(split):
    """Evaluation files of all networks and folds of a split."""
    return [paths.weight_file(paths.EVALUATIONS, split, network, fold)
            for network in config["networks"] for fold in range(config["folds"])]


def figure(stem):
    """PNG and PDF file of a figure."""
    return [paths.FIGURES / f"{stem}.{suffix}" for suffix in FIGURE_TYPES]


def reported_figure(stem, category="Chapter 5"):
    """A figure's files, the PNG one with its caption in the report."""
    png, pdf = figure(stem)
    return [report(png, caption=f"../report/{stem}.rst", category=category), pdf]


# Figures of methods and networks, which need nothing but the package.
BACKGROUND = {"figure_2_1": "Chapter 2", "figure_2_2": "Chapter 2",
              "figure_2_3": "Chapter 2", "figure_2_4": "Chapter 2",
              "figure_2_5": "Chapter 2", "figure_3_1": "Chapter 3",
              "figure_4_4": "Chapter 4"}


def mirror():
    """Folder with copies of external files as the user names it, or None."""
    try:
        return external.mirror(config["fundus"]["mirror"])
    except FileNotFoundError as error:
        raise WorkflowError(str(error)) from None


def mirror_argument():
    """``--mirror`` for a command, where there is one."""
    return f"--mirror {shlex.quote(str(mirror()))}" if mirror() else ""


def fundus_source():
    """Where the photographs of chapter 4 come from."""
    return configuration.fundus_source(config["fundus"], mirror())


def kept(path):
    """Where a table goes that the mirror's files change.

    Beside the tables of a run without them, so that neither replaces the other.
    """
    return paths.WITH_MIRROR_TABLES / path.name if mirror() else path


def prepared(source):
    """Files of the prepared photographs of a source."""
    folder = paths.PHOTOGRAPHS / source
    return {"pixels": folder / "pixels.npy", "records": folder / "records.csv",
            "bad": folder / "bad.csv"}


def photographs_of(source):
    """The same as inputs: the table of records, written last, tells how old they are.

    Their pixels are too large to be compared by checksums, which is how a copied run
    finds that nothing has changed.
    """
    return [ancient(path) if path.suffix == ".npy" else path
            for path in prepared(source).values()]


def fundus_weights(stage):
    """Weights of De Fauw's network after a stage of the training."""
    return paths.PHOTOGRAPHS / "weights" / f"{stage}.npz"


def stage_before(wildcards):
    """Weights that a stage of the training begins with."""
    index = FUNDUS_STAGES.index(wildcards.stage)
    return [fundus_weights(FUNDUS_STAGES[index - 1])] if index else []


def stage_photographs(wildcards):
    """Real photographs that a stage of the training needs."""
    return photographs_of("idrid") if wildcards.stage in WITH_PHOTOGRAPHS else []


def stage_arguments(wildcards):
    """What ``cnnviz train-fundus`` is told of both."""
    words = [f"--initial {path}" for path in stage_before(wildcards)]
    if stage_photographs(wildcards):
        words.append(f"--photographs {paths.PHOTOGRAPHS / 'idrid'}")
    return " ".join(words)


def prepared_photographs(wildcards):
    """Files of the prepared photographs that a network is tried on."""
    return photographs_of(wildcards.source)


def photographs_arguments(wildcards):
    """What ``cnnviz evaluate-fundus`` is told of them."""
    split = " --split test" if wildcards.source == "idrid" else ""
    return f"--photographs {paths.PHOTOGRAPHS / wildcards.source}{split}"


def network_weights(wildcards):
    """Weight file that the configuration names for De Fauw's network."""
    return {"standin": [shipped(paths.STANDIN_WEIGHTS)], "defauw": [paths.DEFAUW_WEIGHTS],
            "random": []}[config["fundus"]["weights"]]


def evaluated_sources():
    """Sources of photographs that De Fauw's network is tried on."""
    return list(dict.fromkeys(["synthetic", fundus_source()]))


# Figures of De Fauw's features, and whether both networks are in them.
SHEETS = list(dict.fromkeys(part.figure for part in figure_parts.PARTS
                            if part.layer in config["fundus"]["layers"]))


def fundus_networks():
    """The networks whose features are looked at: trained, and random for contrast."""
    return ["random"] if config["fundus"]["weights"] == "random" else ["trained", "random"]


def label_source():
    """Photographs that features are labelled on: the configured ones, if concepts are known.

    Nobody outlined what is on the competition's.
    """
    if fundus_source() != "kaggle":
        return fundus_source()
    return "idrid" if mirror() else "synthetic"


def of_networks(stem, source):
    """Files of both networks about the features on photographs of a source."""
    return [paths.features(source, f"{stem}_{network}.npz") for network in fundus_networks()]


def marked_concepts(wildcards):
    """The file of what is on the photographs of a source, where that is known."""
    return ([] if wildcards.source == "kaggle"
            else [paths.features(wildcards.source, "concepts.npz")])


def concepts_argument(wildcards, input):
    """What ``cnnviz dissect`` is told of it."""
    return f"--concepts {input.concepts}" if input.concepts else ""


def network_choice(wildcards):
    """Weights of one of these networks, as commands name them."""
    return "random" if wildcards.network == "random" else config["fundus"]["weights"]


def weights_of_features(wildcards):
    """The file that these weights come from."""
    return [] if wildcards.network == "random" else network_weights(wildcards)


def features_argument():
    """``--layers``, and ``--features`` where not all of a layer are looked at."""
    count = config["fundus"]["features"]
    return " ".join(["--layers", *config["fundus"]["layers"],
                     *([] if count is None else ["--features", str(count)])])


# Figures of exemplars of De Fauw's features.
EXEMPLARS = ["4.22", "4.23", "4.24", "4.25", "4.26"]


def looks_at_features():
    """Whether features of De Fauw's network are looked at: it has been trained."""
    return config["fundus"]["weights"] != "random"


def table_4_1_numbers():
    """Our numbers of Table 4.1, where there are any."""
    return ([kept(paths.REPRODUCED_TABLES / "table_4_1.csv")] if looks_at_features()
            else [])


def animated_network():
    """The network whose saliency is animated."""
    return "c9" if "c9" in config["networks"] else (convolutional() or ["c9"])[-1]


def animation_files():
    """Files of the animations."""
    return [paths.animation(paths.ANIMATIONS, face)
            for face in range(1, die360.CLASSES + 1)]


# The same architecture with rectifiers and with sigmoid units.
TWINS = ["c4", "c4_sigmoid"]


def twins_folder():
    """Folder of their weights: shipped, unless the run trains the first of them."""
    if TWINS[0] in config["networks"]:
        return weights_folder()
    return shipped(paths.SHIPPED_WEIGHTS)


def twin_weights(wildcards):
    """Weight file of one of them."""
    return paths.weight_file(twins_folder(), "random", wildcards.network, 0)


def exemplar_layers():
    """Layers of De Fauw's network whose exemplars are measured."""
    there = config["fundus"]["layers"]
    return [name for name in ("pool2", "pool3", "pool4") if name in there] or there[:1]


def exemplar_steps():
    """``--at-most`` for a command, where the configuration shortens ascents."""
    steps = config["exemplars"]["steps"]
    return "" if steps is None else f"--at-most {steps}"


def exemplar_files():
    """Measurements of exemplars, network by network."""
    return [paths.EXEMPLAR_STATISTICS / f"{name}.npz" for name in (*TWINS, "defauw")]


def deepest_network():
    """The convolutional network whose maps are measured."""
    return max(convolutional() or ["c9"], key=lambda name: int(name[1:]))


def measured_layers():
    """Layers of De Fauw's network whose maps are measured."""
    there = config["fundus"]["layers"]
    return [name for name in ("pool3", "pool4", "pool5") if name in there] or there[:1]


def map_quality_files():
    """Measurements of maps, experiment by experiment."""
    return [paths.MAP_QUALITY / f"{name}.csv"
            for name in (*(["die360"] if convolutional() else []), "fundus")]


def with_rows(path):
    """A table in words, and the file of its rows."""
    return [path, path.with_suffix(".csv")]


def tables():
    """Tables that a whole run makes; the record has the same."""
    made = [*with_rows(kept(paths.COMPARISON_TEXT)),
            paths.REPRODUCED_TABLES / "table_5_1.csv",
            paths.REPRODUCED_TABLES / "text_chapter_5.csv",
            kept(paths.REPRODUCED_TABLES / "text_chapter_4.csv"), paths.FOLDS_TABLE,
            paths.LESIONS_TABLE, kept(paths.FUNDUS_TABLE),
            *with_rows(paths.EXEMPLARS_BESIDE_DATA),
            *map(kept, with_rows(paths.MAP_QUALITY_TABLE)), *table_4_1_numbers()]
    if looks_at_features():
        made += [kept(paths.TABLE_4_1), kept(paths.FEATURES_TABLE)]
    if "separated" in config["splits"]:
        made += [*with_rows(paths.SEPARATED_TABLE), paths.BY_DISTANCE]
    if config["die360"]["every"] == 1:
        made += [paths.DIE360_STATEMENT, paths.DIE360_FACTS]
    if convolutional():
        made += [paths.NEIGHBOURS_TABLE, paths.EXEMPLARS_TABLE, paths.LABELLER_TABLE]
    return made


def run_in_words():
    """Configuration and tables of a whole run, as YAML."""
    return yaml.safe_dump({"configuration": configuration.plain(config),
                           "tables": [str(path) for path in tables()]})


def everything():
    """What a whole run makes."""
    made = [*tables(), paths.RUN, paths.SOFTWARE, *figure("figure_5_1"),
            *figure("figure_fundus"), *figure("figure_4_1"), *figure("figure_4_2"),
            *figure("figure_4_3"), *figure("figure_exemplars"),
            *figure("figure_map_quality")]
    for stem in BACKGROUND:
        made += figure(stem)
    if looks_at_features():
        whole = set(figure_parts.LAYERS) <= set(config["fundus"]["layers"])
        for number in (*SHEETS, *(EXEMPLARS if whole else [])):
            made += figure(f"figure_{number.replace('.', '_')}")
        if config["fundus"]["every_feature"]:
            made.append(paths.FIGURES / "features")
    if "separated" in config["splits"]:
        made += figure("figure_leakage")
    made += figure("figure_5_5")
    if convolutional():
        made += [*figure("figure_5_2"), *figure("figure_5_3"), *figure("table_5_2")]
    # Elsewhere, views one degree apart would all be rendered anew.
    if convolutional() and config["die360"]["every"] == 1:
        made += animation_files()
    if with_second_pool():
        made += figure("figure_5_4")
    if "c9" in config["networks"]:
        made += figure("figure_methods")
    return made
