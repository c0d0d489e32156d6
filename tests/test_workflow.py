"""A small run of the whole workflow, in a copy of the project."""

import csv
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import photograph_folders
import pytest
import yaml

from cnnviz.experiments import figure_parts
from cnnviz.runtime import paths

SMALL = {
    "die360": {"sampling_stride": 120},
    "networks": ["c2", "d5"],
    "folds": 1,
    "weights": "trained",
    "exemplars": {"steps": 20},
    "map_quality": {"views": 8, "photographs": 1, "selection": 1},
    "fundus": {
        "pairs": 4,
        "layers": ["pool1"],
        "features": 3,
        "overlap": 4,
        "permutations": 99,
        "exemplar_steps": 4,
        "lesions": 4,
    },
    "labeler_validation": {"photographs": 6, "filters": 4},
    "training": {
        name: {
            "epochs": 2,
            "batch_size": 32,
            "learning_rate": 0.01,
            "momentum": 0.9,
            "alive_accuracy": 0,
        }
        for name in ("c2", "d5")
    },
}


PROJECT = (
    "Snakefile",
    "environment.yml",
    "config",
    "data",
    "profiles",
    "src",
    "thesis_tables",
    "weights",
    "workflow",
)


def clone(folder):
    """Copy what the workflow needs of the project."""
    for name in PROJECT:
        source = paths.REPOSITORY / name
        if source.is_dir():
            # What earlier versions and earlier runs left in data/ is not the project's.
            left = ("downloads", "die360") if name == "data" else ()
            shutil.copytree(
                source,
                folder / name,
                ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", *left),
            )
        else:
            shutil.copy(source, folder)


def execute(folder, *command):
    """Run a Python module in a folder; the completed process with its output.

    In a copy of the project, it is the copy's package.
    """
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    # A mirror moves the tables that its files change; make speaks for itself in the end.
    for name in ("CNNVIZ_MIRROR", "MAKELEVEL"):
        environment.pop(name, None)
    if (folder / "src").is_dir():
        environment["PYTHONPATH"] = str(folder / "src")
    return subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def snakemake(folder, *arguments, config=None):
    """Run the workflow in a copy of the project, or that of the project in any folder."""
    if config is not None:
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        arguments = (*arguments, "--configfile", folder / "config.yaml")
    if not (folder / "Snakefile").exists():
        arguments = (
            "--snakefile",
            paths.REPOSITORY / "Snakefile",
            "--directory",
            folder,
            *arguments,
        )
    return execute(folder, "snakemake", "--cores", "2", *arguments)


def contents(folder):
    """Date and size of every file in a folder, by its path there."""
    return {
        path.relative_to(folder): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def small_run(tmp_path_factory):
    """Folder of a finished small run, its files before, and what the run said."""
    folder = tmp_path_factory.mktemp("workflow")
    clone(folder)
    (folder / "config.yaml").touch()
    before = contents(folder)
    process = snakemake(folder, config=SMALL)
    assert process.returncode == 0, process.stdout[-4000:]
    return folder, before, process.stdout


@pytest.fixture(scope="module")
def finished(small_run):
    """Folder of a finished small run."""
    return small_run[0]


def test_every_output_is_there(finished):
    for name in (
        "figure_5_1",
        "figure_5_3",
        "figure_5_4",
        "figure_fundus",
        "figure_4_5",
        "figure_exemplars",
        "figure_map_quality",
    ):
        image = matplotlib.image.imread(finished / paths.FIGURES / f"{name}.png")
        assert image.shape[1] > 2000 and image[..., :3].std() > 0.05
        assert (finished / paths.FIGURES / f"{name}.pdf").read_bytes()[:4] == b"%PDF"
    for path in (
        paths.DIE360_IMAGES,
        paths.COMPARISON,
        paths.COMPARISON_TEXT,
        paths.SEPARATED_TABLE,
        paths.LESIONS_TABLE,
        paths.FUNDUS_TABLE,
        paths.TABLE_4_1,
        paths.EXEMPLARS_BESIDE_DATA,
        paths.MAP_QUALITY_TABLE,
        paths.LABELER_TABLE,
    ):
        assert (finished / path).stat().st_size > 0


def test_nothing_unfinished_is_left(finished):
    assert not list(finished.rglob(".unfinished-*"))


def test_a_run_writes_below_results_and_figures_only(small_run):
    folder, before, _ = small_run

    def kept(files):
        # Compiled code stands beside its source, where Git ignores it.
        return {
            path: facts
            for path, facts in files.items()
            if path.name != "config.yaml"
            and "__pycache__" not in path.parts
            and path.parts[0] not in ("results", "figures", ".snakemake")
        }

    assert kept(contents(folder)) == kept(before)


def test_a_run_ends_with_its_agreement_with_the_record(small_run):
    folder, _, output = small_run
    (line,) = (line for line in output.splitlines() if "agree with the record" in line)
    assert "another configuration than the record's: die360.sampling_stride, " in line
    assert f"see {paths.AGREEMENT}" in line
    with open(folder / paths.AGREEMENT, newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {
        "table": "thesis_tables/comparison.csv",
        "row": "table_5_1.c2.parameters",
        "column": "reproduced",
    } not in [{key: row[key] for key in ("table", "row", "column")} for row in rows]
    assert any(row["row"] == "table_5_1.d5.validation_accuracy_mean" for row in rows)


def test_a_small_run_does_not_become_the_record(small_run):
    folder, _, _ = small_run
    process = execute(folder, "cnnviz.cli", "record")
    assert process.returncode == 1 and "other settings than the default" in process.stdout
    # Nor does one that only says that it is of the default configuration.
    said = (folder / paths.RUN).read_text()
    try:
        description = yaml.safe_load(said)
        description["configuration"] = yaml.safe_load((folder / "config/default.yaml").read_text())
        (folder / paths.RUN).write_text(yaml.safe_dump(description))
        process = execute(folder, "cnnviz.cli", "record")
    finally:
        (folder / paths.RUN).write_text(said)
    assert process.returncode == 1
    assert re.search(r"not complete or not up to date: \d+ jobs are left", process.stdout)


def test_no_job_depends_on_where_the_folder_is(finished):
    """What Snakemake notes of inputs, parameters and commands names no folder above."""
    notes = [path for path in (finished / ".snakemake/metadata").rglob("*") if path.is_file()]
    assert len(notes) > 50
    assert not [path for path in notes if str(finished) in path.read_text()]


@pytest.mark.parametrize("how", ["moved", "copied"])
def test_a_run_in_another_place_has_nothing_to_do(finished, tmp_path, how):
    """Copying gives files new dates, in any order; a changed input counts all the same."""
    place = tmp_path / "elsewhere"
    shutil.copytree(
        finished,
        place,
        symlinks=True,
        copy_function=shutil.copy if how == "copied" else shutil.copy2,
    )
    if how == "copied":
        dates = random.Random(0)
        for path in place.rglob("*"):
            date = path.stat().st_mtime - dates.random() * 1e5
            os.utime(path, (date, date))
    process = snakemake(place, "--dry-run", config=SMALL)
    assert process.returncode == 0 and "Nothing to be done" in process.stdout, process.stdout
    reasons = place / "thesis_tables/reasons.csv"
    reasons.write_text(reasons.read_text() + "\n")
    process = snakemake(place, "--dry-run", config=SMALL)
    assert "compare_with_thesis" in process.stdout and "train_network" not in process.stdout


def test_numbers_stand_beside_the_thesis(finished):
    with open(finished / paths.COMPARISON, newline="") as stream:
        rows = {row["id"]: row for row in csv.DictReader(stream)}
    parameters = rows["table_5_1.c2.parameters"]
    assert (parameters["reproduced"], parameters["verdict"]) == ("1272", "match")
    assert rows["table_5_1.c9.parameters"]["verdict"] == "not reproducible here"
    # 410 views instead of 49,200, two epochs: this cannot agree.
    accuracy = rows["table_5_1.d5.validation_accuracy_mean"]
    assert accuracy["verdict"] == "differs"
    log = (finished / paths.LOGS / "compare_with_thesis.log").read_text()
    assert "no reason in" in log


def test_a_second_run_has_nothing_to_do(finished):
    run = snakemake(finished, "--dry-run", config=SMALL)
    assert run.returncode == 0 and "Nothing to be done" in run.stdout


def test_an_interrupted_run_continues_where_it_stopped(finished):
    """What is missing is made again, what is finished stays."""
    (finished / paths.SALIENCY / "c2.npz").unlink()
    for suffix in ("png", "pdf"):
        (finished / paths.FIGURES / f"figure_5_4.{suffix}").unlink()
    plan = snakemake(finished, "--dry-run", "--quiet", "rules", config=SMALL)
    assert "train_network" not in plan.stdout and "render_die360" not in plan.stdout
    trained = finished / paths.weight_file(paths.TRAINED_WEIGHTS, "random", "c2", 0)
    before = trained.stat().st_mtime_ns
    assert snakemake(finished, config=SMALL).returncode == 0
    assert (finished / paths.FIGURES / "figure_5_4.png").exists()
    assert trained.stat().st_mtime_ns == before


# --- Other photographs ------------------------------------------------------------


def chapter_4(finished, **settings):
    """Run the workflow once more on other photographs; its output."""
    process = snakemake(finished, config={**SMALL, "fundus": {**SMALL["fundus"], **settings}})
    assert process.returncode == 0, process.stdout[-4000:]
    assert "train_network" not in process.stdout
    assert "agree with the record" in process.stdout
    return process.stdout


def test_the_competition_s_photographs_go_all_the_way(finished):
    """A part of them, with an eye alone, a damaged file and one that is not there."""
    photographs = finished / "photographs"
    photograph_folders.competition(photographs)
    output = chapter_4(finished, source="kaggle", kaggle="photographs")
    assert "fundus_sheets" in output
    with open(finished / paths.PHOTOGRAPHS / "kaggle/bad.csv", newline="") as stream:
        bad = [row["name"] for row in csv.DictReader(stream)]
    assert bad == [photograph_folders.DAMAGED, photograph_folders.ABSENT]
    table = (finished / paths.FUNDUS_TABLE).read_text()
    assert "| the competition's | shipped weights | every eye shown twice | 5 |" in table
    assert "| the competition's | shipped weights | both eyes of a patient | 4 |" in table
    assert (finished / paths.features("kaggle", "figure_4_5.npz")).exists()


def test_idrid_s_photographs_go_all_the_way(finished):
    """From a mirror with its checksums."""
    mirror = finished / "copies"
    photograph_folders.idrid_mirror(mirror, finished / "data/external")
    chapter_4(finished, source="idrid", mirror="copies")
    table = (finished / paths.WITH_MIRROR_TABLES / paths.FUNDUS_TABLE.name).read_text()
    assert "| IDRiD, test split | shipped weights | every eye shown twice | 3 |" in table
    assert "both eyes of a patient | 3" not in table
    assert (finished / paths.features("idrid", "figure_4_5.npz")).exists()
    # Of one small photograph the maximal neuron may see no lesion, so it may have no rows.
    quality = (finished / paths.WITH_MIRROR_TABLES / "map_quality.csv").read_text()
    assert quality.startswith("data,layer,measure,method")


# --- Mistakes ---------------------------------------------------------------------


def test_a_failing_step_names_its_log_and_leaves_no_output(tmp_path):
    images = tmp_path / paths.DIE360_IMAGES
    images.parent.mkdir(parents=True)
    images.write_bytes(b"not an array")
    target = paths.weight_file(paths.TRAINED_WEIGHTS, "random", "c2", 0)
    run = snakemake(tmp_path, target, config=SMALL)
    assert run.returncode != 0
    assert "results/logs/train_network/random/c2_fold0.log" in run.stdout
    log = (tmp_path / paths.LOGS / "train_network/random/c2_fold0.log").read_text()
    assert "die360_32.npz: " in log
    assert not (tmp_path / target).exists()


def test_a_misspelled_key_stops_the_run_with_one_line(tmp_path):
    run = snakemake(tmp_path, "--dry-run", config={**SMALL, "fold": 3})
    assert run.returncode != 0
    assert "top level: unknown key 'fold'; did you mean 'folds'?" in run.stdout
    assert "Traceback" not in run.stdout


def test_a_mirror_keeps_the_record_of_a_run_without_it(tmp_path):
    (tmp_path / "copies").mkdir()
    run = snakemake(
        tmp_path,
        "--dry-run",
        config={**SMALL, "fundus": {**SMALL["fundus"], "mirror": str(tmp_path / "copies")}},
    )
    assert run.returncode == 0, run.stdout[-4000:]
    written = {
        name
        for line in run.stdout.splitlines()
        if "output:" in line
        for name in line.partition("output:")[2].replace(",", " ").split()
    }
    tables = {
        str(paths.WITH_MIRROR_TABLES / name)
        for name in ("text_chapter_4.csv", "comparison.csv", "comparison.md")
    }
    assert tables <= written and str(paths.COMPARISON) not in written


def test_the_thesis_s_photographs_and_weights_get_all_figures(tmp_path):
    """Features are labeled on synthetic photographs, and shown on the competition's."""
    (tmp_path / "train").mkdir()
    weights = tmp_path / paths.DEFAUW_WEIGHTS
    weights.parent.mkdir(parents=True)
    weights.touch()
    run = snakemake(
        tmp_path,
        "--dry-run",
        "--printshellcmds",
        config={
            **SMALL,
            "fundus": {
                **SMALL["fundus"],
                "source": "kaggle",
                "weights": "defauw",
                "kaggle": "train",
                "layers": list(figure_parts.LAYERS),
            },
        },
    )
    assert run.returncode == 0, run.stdout[-4000:]
    commands = [line for line in run.stdout.splitlines() if "cnnviz " in line]
    for number in range(1, 27):
        assert any(f"cnnviz figure 4.{number} " in line for line in commands)
    surveys = [line for line in commands if "cnnviz dissect " in line]
    assert sum("--concepts" in line for line in surveys) == 2
    assert sum("fundus/kaggle " in line and "--concepts" not in line for line in surveys) == 2
    (sheets,) = (line for line in commands if "cnnviz fundus-sheets " in line)
    assert "--roles results/fundus/features/synthetic/roles.csv" in sheets
    assert "--dissected results/fundus/features/kaggle/dissected_trained.npz" in sheets


def test_a_mirror_that_is_not_there_stops_the_run_with_one_line(tmp_path):
    run = snakemake(tmp_path, "--dry-run", config={**SMALL, "fundus": {"mirror": "copy"}})
    assert run.returncode != 0
    assert "copy: no such folder; the mirror is named by fundus.mirror" in run.stdout
    assert "Traceback" not in run.stdout


def test_the_record_has_the_tables_of_a_default_run(tmp_path):
    run = snakemake(tmp_path, "--dry-run", "--printshellcmds", paths.RUN)
    assert run.returncode == 0, run.stdout[-4000:]
    made = {
        paths.recorded(Path(name))
        for name in re.findall(r"(?m)^\s*- (results/\S+\.(?:csv|md))$", run.stdout)
    }
    assert made == set(recorded_tables()) - set(recorded_tables("with_mirror"))


def recorded_tables(*folder):
    """Files of the record that a run makes, or those in a part of it."""
    found = paths.recorded(paths.TABLES).joinpath(*folder).rglob("*.*")
    by_hand = {
        paths.REASONS,
        *paths.REPORTED_TABLES.glob("*"),
        paths.recorded(paths.TABLES) / "README.md",
    }
    of_the_die = (
        []
        if folder
        else [paths.recorded(paths.DIE360_FACTS), paths.recorded(paths.DIE360_STATEMENT)]
    )
    return [*set(found) - by_hand, *of_the_die]


def test_lint_finds_nothing():
    run = subprocess.run(
        [sys.executable, "-m", "snakemake", "--lint"],
        cwd=paths.REPOSITORY,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert run.returncode == 0, run.stdout
    assert "Congratulations, your workflow is in a good condition!" in run.stdout


def test_the_default_profile_is_found(tmp_path):
    run = snakemake(tmp_path, "--dry-run", "--quiet", "rules", config=SMALL)
    assert "Using workflow specific profile" in run.stdout
    assert "profiles/default" in run.stdout
