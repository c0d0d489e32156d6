"""A small run of the whole workflow in a temporary folder."""
import csv
import os
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import pytest
import yaml

from cnnviz import feature_table, paths

SMALL = {
    "die360": {"every": 120}, "networks": ["c2", "d5"], "folds": 1,
    "weights": "trained", "exemplars": {"steps": 20},
    "map_quality": {"views": 8, "photographs": 1, "selection": 1},
    "fundus": {"pairs": 4, "layers": ["pool1"], "features": 3, "overlap": 4,
               "permutations": 99},
    "training": {name: {"epochs": 2, "batch_size": 32, "learning_rate": 0.01,
                        "momentum": 0.9, "alive_accuracy": 0}
                 for name in ("c2", "d5")},
}


def snakemake(folder, *arguments, config=None):
    """Run the workflow in a folder; the completed process with its output."""
    environment = {**os.environ, "PATH": os.pathsep.join(
        [str(Path(sys.executable).parent), os.environ["PATH"]])}
    # A mirror moves the tables that its files change.
    environment.pop("CNNVIZ_MIRROR", None)
    if config is not None:
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        arguments = (*arguments, "--configfile", folder / "config.yaml")
    return subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2",
         "--snakefile", str(paths.REPOSITORY / "Snakefile"),
         "--directory", str(folder), *map(str, arguments)],
        env=environment, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Folder of a finished small run."""
    folder = tmp_path_factory.mktemp("workflow")
    run = snakemake(folder, config=SMALL)
    assert run.returncode == 0, run.stdout[-4000:]
    return folder


def test_every_output_is_there(finished):
    for name in ("figure_5_1", "figure_5_3", "figure_5_4", "figure_fundus", "figure_4_5",
                 "figure_exemplars", "figure_map_quality"):
        image = matplotlib.image.imread(finished / paths.FIGURES / f"{name}.png")
        assert image.shape[1] > 2000 and image[..., :3].std() > 0.05
        assert (finished / paths.FIGURES / f"{name}.pdf").read_bytes()[:4] == b"%PDF"
    for path in (paths.DIE360_IMAGES, paths.COMPARISON, paths.COMPARISON_TEXT,
                 paths.TABLES / "beyond" / "table_5_1_separated.md",
                 paths.LESIONS_TABLE, paths.FUNDUS_TABLE, paths.TABLE_4_1,
                 paths.EXEMPLARS_BESIDE_DATA, paths.MAP_QUALITY_TABLE, paths.LABELLER_TABLE):
        assert (finished / path).stat().st_size > 0


def test_nothing_unfinished_is_left(finished):
    assert not list(finished.rglob(".unfinished-*"))


def test_numbers_stand_beside_the_thesis(finished):
    with open(finished / paths.COMPARISON, newline="") as stream:
        rows = {row["id"]: row for row in csv.DictReader(stream)}
    parameters = rows["table_5_1.c2.parameters"]
    assert (parameters["reproduced"], parameters["verdict"]) == ("1272", "match")
    assert rows["table_5_1.c9.parameters"]["verdict"] == "not reproducible here"
    # 410 views instead of 49,200, two epochs: this cannot agree.
    accuracy = rows["table_5_1.d5.validation_accuracy_mean"]
    assert accuracy["verdict"] == "differs"
    log = (finished / "logs/compare_with_thesis.log").read_text()
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


def test_a_failing_step_names_its_log_and_leaves_no_output(tmp_path):
    images = tmp_path / paths.DIE360_IMAGES
    images.parent.mkdir(parents=True)
    images.write_bytes(b"not an array")
    target = paths.weight_file(paths.TRAINED_WEIGHTS, "random", "c2", 0)
    run = snakemake(tmp_path, target, config=SMALL)
    assert run.returncode != 0
    assert "logs/train_network/random/c2_fold0.log" in run.stdout
    log = (tmp_path / "logs/train_network/random/c2_fold0.log").read_text()
    assert "die360_32.npy: truncated or not an array file" in log
    assert not (tmp_path / target).exists()


def test_a_misspelt_key_stops_the_run_with_one_line(tmp_path):
    run = snakemake(tmp_path, "--dry-run", config={**SMALL, "fold": 3})
    assert run.returncode != 0
    assert "top level: unknown key 'fold'; did you mean 'folds'?" in run.stdout
    assert "Traceback" not in run.stdout


def test_a_mirror_keeps_the_record_of_a_run_without_it(tmp_path):
    (tmp_path / "copies").mkdir()
    run = snakemake(tmp_path, "--dry-run", config={
        **SMALL, "fundus": {**SMALL["fundus"], "mirror": str(tmp_path / "copies")}})
    assert run.returncode == 0, run.stdout[-4000:]
    written = {name for line in run.stdout.splitlines() if "output:" in line
               for name in line.partition("output:")[2].replace(",", " ").split()}
    tables = {str(paths.WITH_MIRROR_TABLES / name) for name in
              ("text_chapter_4.csv", "comparison.csv", "comparison.md")}
    assert tables <= written and str(paths.COMPARISON) not in written


def test_the_thesis_s_photographs_and_weights_get_all_figures(tmp_path):
    """Features are labelled on drawn photographs, and shown on the competition's."""
    (tmp_path / "train").mkdir()
    weights = tmp_path / paths.DEFAUW_WEIGHTS
    weights.parent.mkdir(parents=True)
    weights.touch()
    run = snakemake(tmp_path, "--dry-run", "--printshellcmds", config={
        **SMALL, "fundus": {**SMALL["fundus"], "source": "kaggle", "weights": "defauw",
                            "kaggle": "train", "layers": list(feature_table.LAYERS)}})
    assert run.returncode == 0, run.stdout[-4000:]
    commands = [line for line in run.stdout.splitlines() if "cnnviz " in line]
    for number in range(1, 27):
        assert any(f"cnnviz figure-4-{number} " in line for line in commands)
    surveys = [line for line in commands if "cnnviz dissect " in line]
    assert sum("--concepts" in line for line in surveys) == 2
    assert sum("fundus/kaggle " in line and "--concepts" not in line
               for line in surveys) == 2
    sheets, = (line for line in commands if "cnnviz fundus-sheets " in line)
    assert "--roles results/fundus/features/synthetic/roles.csv" in sheets
    assert "--dissected results/fundus/features/kaggle/dissected_trained.npz" in sheets


def test_a_mirror_that_is_not_there_stops_the_run_with_one_line(tmp_path):
    run = snakemake(tmp_path, "--dry-run", config={**SMALL, "fundus": {"mirror": "copy"}})
    assert run.returncode != 0
    assert "copy: no such folder; the mirror is named by fundus.mirror" in run.stdout
    assert "Traceback" not in run.stdout


def test_lint_finds_nothing():
    run = subprocess.run(
        [sys.executable, "-m", "snakemake", "--lint"], cwd=paths.REPOSITORY,
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert run.returncode == 0, run.stdout
    assert "Congratulations, your workflow is in a good condition!" in run.stdout


def test_the_default_profile_is_found(tmp_path):
    run = snakemake(tmp_path, "--dry-run", "--quiet", "rules", config=SMALL)
    assert "Using workflow specific profile" in run.stdout
    assert "profiles/default" in run.stdout
