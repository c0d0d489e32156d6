"""A run's numbers beside the recorded ones, the record, and the lock of a killed run."""

import csv
import os
import re
import subprocess
import sys

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.cli import dispatch
from cnnviz.runtime import paths, workflow_lock
from cnnviz.thesis import finished_run, run_agreement

RECORDED = sorted(
    path
    for folder in ("thesis_tables", "data")
    for path in (paths.REPOSITORY / folder).rglob("*")
    if path.suffix in (".csv", ".md")
    and path.name != "README.md"
    and path.parent.name not in ("reported", "external")
    and path != paths.REASONS
)

CSV = "network,layer,value,note\nc1,pool1,{},fine\nc1,pool2,0.5,3 of 9\n"
TEXT = """# Numbers

Of {} features 3 are
silent.

| layer | mean | label |
|---|---|---|
| pool1 | {} (−0.02 to 0.71) | {} |
| pool2 | 1,024 | edge |
"""


def found(table, before, after):
    count, differences = run_agreement.compare(table, before, after)
    return count, [each[1:] for each in differences]


# --- Comparing --------------------------------------------------------------------


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name)
def test_every_recorded_table_agrees_with_itself_and_with_nothing_else(path):
    text = path.read_text(encoding="utf-8")
    count, differences = run_agreement.compare(path.name, text, text)
    assert count > 0 and not differences
    # A run without this table has none of its numbers.
    assert len(run_agreement.compare(path.name, text, "")[1]) == count


@pytest.mark.parametrize(
    "value, agrees",
    [
        ("0.25", True),
        ("0.2502", True),
        ("0.2498", True),
        ("0.26", True),
        ("0.24", True),
        ("0.27", False),
        ("0.2", False),
        ("-0.25", False),
        ("2.5e-1", True),
        ("", False),
        ("nan", False),
    ],
)
def test_a_number_may_move_in_its_last_digit(value, agrees):
    count, differences = found("other.csv", CSV.format("0.25"), CSV.format(value))
    assert count == 4 and (not differences) == agrees
    if not agrees:
        assert differences == [("c1, pool1", "value", "0.25", value)]


@given(
    st.floats(-1e6, 1e6).filter(lambda value: abs(value) > 1e-3),
    st.floats(-1, 1),
    st.sampled_from(["", "exemplars.csv", "features.csv"]),
)
def test_numbers_within_the_tolerance_agree_and_no_others(value, share, name):
    table = f"beyond/{name or 'other.csv'}"
    allowed = run_agreement.tolerance(table)
    distance = max(allowed.absolute, allowed.relative * abs(value))
    before = CSV.format(f"{value:.17g}" if "." in f"{value:.17g}" else f"{value:.1f}")

    def agrees(moved):
        return not found(table, before, CSV.format(repr(moved)))[1]

    assert agrees(value + 0.99 * share * distance)
    if distance > 0.2:  # more than a unit of the last digit
        assert not agrees(value + 1.01 * distance) and not agrees(value - 1.01 * distance)


@pytest.mark.parametrize(
    "values, difference",
    [
        ((32, 0.25, "edge"), None),
        ((32, "0.26", "edge"), None),
        ((33, 0.25, "edge"), ("Of # features # are silent.", "text", "32", "33")),
        ((32, "−0.25", "edge"), ("pool1 # (# to #)", "mean", "0.25", "−0.25")),
        ((32, 0.25, "vessel"), ("pool1 # (# to #)", "label", "edge", "vessel")),
        ((32, 0.25, "edge, 3×"), ("pool1 # (# to #)", "label", "edge", "edge, 3×")),
    ],
)
def test_text_is_compared_number_by_number(values, difference):
    before = TEXT.format(32, 0.25, "edge")
    count, differences = found("other.md", before, TEXT.format(*values))
    # What else differs is words, which count once.
    assert count == 6 + (difference is not None and difference[1] == "label")
    assert differences == ([difference] if difference else [])


def test_line_breaks_are_not_compared():
    text = TEXT.format(32, 0.25, "edge")
    assert found("other.md", text, text.replace("are\nsilent", "are silent")) == (6, [])


def test_rows_are_paired_by_what_they_are_about():
    before = CSV.format("0.25")
    lines = before.splitlines(keepends=True)
    count, differences = found("other.csv", before, "".join([*lines[:1], *lines[2:]]))
    assert (count, differences) == (4, [("c1, pool1", "value", "0.25", "no such row")])
    count, differences = found("other.csv", before, before + "c2,pool1,7,\n")
    assert (count, differences) == (5, [("c2, pool1", "value", "no such row", "7")])


def test_whole_numbers_have_a_tolerance_of_their_own():
    table = "beyond/accuracy_by_distance.csv"
    before, near, far = (f"network,fold,right\nc1,0,{right}\n" for right in (100, 103, 104))
    assert not found(table, before, near)[1] and found(table, before, far)[1]
    assert found("other.csv", before, near)[1]


def test_the_document_states_the_tolerances():
    text = (paths.REPOSITORY / "docs/reproduction.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| (`.*`) \| (\S+) \| (\S+) \| (\S+) \| (.*) \|$", text)
    assert rows == [
        (f"`{each.tables}`", *(f"{number:g}" for number in each[1:4]), each.why)
        for each in run_agreement.TOLERANCES
    ]


def test_one_line_says_how_many_agree():
    differences = [
        run_agreement.Difference(table, "", "", "", "")
        for table in ["b.md"] * 3 + ["a.csv"] * 2 + ["c", "d", "e", "f"]
    ]
    counts = {"b.md": 2000, "a.csv": 30}
    assert run_agreement.in_words(counts, []) == (
        "all 2,030 numbers of this run agree with the record within the tolerances"
    )
    line = run_agreement.in_words(counts, differences, ["folds", "fundus.pairs"])
    assert line == (
        "2,021 of 2,030 numbers of this run agree with the record within the tolerances; not: "
        "3 in b.md, 2 in a.csv, 1 in c, 1 in d, 2 in 2 more (another configuration than the "
        "record's: folds, fundus.pairs)"
    )


# --- The commands -----------------------------------------------------------------

DEFAULT = yaml.safe_load(paths.DEFAULT_CONFIG.read_text())


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Folder of a run whose tables are the recorded ones."""
    monkeypatch.chdir(tmp_path)
    tables = [paths.COMPARISON, paths.COMPARISON_TEXT, paths.DIE360_FACTS]
    for table in tables:
        table.parent.mkdir(parents=True, exist_ok=True)
        table.write_bytes(paths.recorded(table).read_bytes())
    describe(DEFAULT, tables)
    return tmp_path


def describe(configuration, tables):
    paths.RUN.write_text(
        yaml.safe_dump({"configuration": configuration, "tables": list(map(str, tables))})
    )


def test_the_command_counts_and_lists(run, capsys):
    assert dispatch.main(["agreement"]) == 0
    assert re.fullmatch(r"all [\d,]+ numbers of this run agree .*\n", capsys.readouterr().out)
    assert len(paths.AGREEMENT.read_text().splitlines()) == 1
    facts = paths.DIE360_FACTS
    facts.write_text(facts.read_text().replace("49200", "49201"))
    assert dispatch.main(["agreement"]) == 0
    assert f"not: 1 in data/die360_facts.csv; see {paths.AGREEMENT}" in (capsys.readouterr().out)
    with open(paths.AGREEMENT, newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert row == {
        "table": "data/die360_facts.csv",
        "row": "die360.samples",
        "column": "value",
        "recorded": "49200",
        "run": "49201",
    }


def test_another_configuration_is_named(run, capsys):
    describe(
        {**DEFAULT, "folds": 1, "fundus": {**DEFAULT["fundus"], "pairs": 4, "mirror": "copies"}},
        [paths.COMPARISON],
    )
    assert dispatch.main(["agreement"]) == 0
    assert "(another configuration than the record's: folds, fundus.pairs)" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize("command", ["agreement", "record"])
@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda: paths.RUN.unlink(), "results/run.yaml: no such file; finish a run"),
        (lambda: paths.RUN.write_text("tables"), "results/run.yaml: not the description of a run"),
        (lambda: paths.RUN.write_text("{a: ["), "results/run.yaml: not the description of a run"),
        (lambda: paths.COMPARISON.unlink(), "comparison.csv: no such file, and 0 more; finish"),
    ],
)
def test_a_run_that_is_not_finished_gets_one_line(run, capsys, command, spoil, message):
    spoil()
    assert dispatch.main([command]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


@pytest.fixture
def recorded(run, monkeypatch):
    """Folder that stands for the repository's record."""
    folder = run / "repository"
    monkeypatch.setattr(paths, "recorded", lambda table: folder / table.name)
    monkeypatch.setattr(paths, "REPOSITORY", folder)
    monkeypatch.setattr(finished_run, "planned", lambda: "")
    folder.mkdir()
    (folder / "comparison.csv").write_bytes(paths.COMPARISON.read_bytes())
    (folder / "comparison.md").write_text("of an earlier run")
    return folder


def test_a_finished_run_becomes_the_record(recorded, capsys):
    assert dispatch.main(["record"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "comparison.md",
        "die360_facts.csv",
        "2 of 3 recorded tables changed; look at them with 'git diff' and commit them",
    ]
    for table in (paths.COMPARISON, paths.COMPARISON_TEXT, paths.DIE360_FACTS):
        assert (recorded / table.name).read_bytes() == table.read_bytes()
    assert dispatch.main(["record"]) == 0
    assert capsys.readouterr().out == "0 of 3 recorded tables changed\n"


@pytest.mark.parametrize(
    "settings, left, message",
    [
        ({"folds": 1}, "", "other settings than the default ones (folds)"),
        ({}, "3 jobs are left", "not complete or not up to date: 3 jobs are left; run 'make"),
    ],
)
def test_another_run_does_not_become_the_record(
    recorded, monkeypatch, capsys, settings, left, message
):
    describe({**DEFAULT, **settings}, [paths.COMPARISON_TEXT])
    monkeypatch.setattr(finished_run, "planned", lambda: left)
    assert dispatch.main(["record"]) == 1
    assert message in capsys.readouterr().err
    assert (recorded / "comparison.md").read_text() == "of an earlier run"


# --- The lock ---------------------------------------------------------------------


@pytest.fixture
def locked(tmp_path, monkeypatch):
    """Folder with a lock of Snakemake's."""
    (tmp_path / workflow_lock.LOCKS).mkdir(parents=True)
    (tmp_path / workflow_lock.LOCKS / "0.input.lock").write_text("results/data/die360_32.npy\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_without_a_lock_is_free(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert dispatch.main(["lock"]) == 0
    assert capsys.readouterr() == ("", "")


def test_the_lock_of_a_killed_run_is_named_with_its_remedy(locked, capsys):
    assert dispatch.main(["lock"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "locked by a run that was killed; 'make unlock'" in line


def test_the_lock_of_a_run_at_work_is_not_removed(locked, capsys):
    """A job that outlived its snakemake counts, too; what works elsewhere does not."""
    script = locked / "cnnviz"
    script.write_text("import time\nprint(flush=True)\ntime.sleep(60)\n")
    (locked / "elsewhere").mkdir()
    for folder, status in ((locked, 1), (locked / "elsewhere", 0)):
        with subprocess.Popen(
            [sys.executable, script, "render"], cwd=folder, stdout=subprocess.PIPE
        ) as process:
            try:
                process.stdout.readline()
                assert len(workflow_lock.at_work(locked)) == status
                if status:
                    assert dispatch.main(["lock", "--remove"]) == 1
                    assert f"kill {process.pid}" in capsys.readouterr().err
            finally:
                process.kill()
    assert workflow_lock.is_locked(locked)


def test_this_process_and_its_parents_are_not_at_work(locked):
    assert os.getpid() not in [number for number, _ in workflow_lock.at_work(locked)]
