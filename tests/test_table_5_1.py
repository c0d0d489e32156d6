"""Table 5.1's rows, the ranking, and the numbers of the text."""

import numpy as np
import pandas as pd
import pytest

from cnnviz.datasets import die360, splits
from cnnviz.experiments.die_evaluation import FoldEvaluation, Predictions
from cnnviz.networks import die
from cnnviz.runtime import paths
from cnnviz.thesis import number_tables
from cnnviz.thesis.tables import leakage, table_5_1, text_chapter_5
from cnnviz.thesis.tables.table_5_1 import reported_spreads


def fold(right, wrong, starts=1):
    """Evaluation with that many right and wrong answers."""
    labels = np.zeros(right + wrong, np.int32)
    posteriors = np.zeros((right + wrong, 6), np.float32)
    posteriors[:right, 0] = posteriors[right:, 1] = 1
    found = Predictions(np.arange(len(labels)), labels, posteriors)
    return FoldEvaluation("c1", "random", 0, 1, starts, found, found)


@pytest.fixture
def table():
    return table_5_1.rows(
        {"c1": [fold(9, 1), fold(7, 3, starts=3)], "d5": [fold(10, 0), fold(10, 0)]},
        {"c1": 4644, "d5": 5161}.get,
    )


def test_rows_hold_mean_and_distances(table):
    c1, d5 = table
    assert (c1.mean, c1.dead_starts) == (pytest.approx(0.8), 2)
    assert (c1.above, c1.below) == (pytest.approx(0.1), pytest.approx(0.1))
    assert (d5.mean, d5.above, d5.below, d5.parameters) == (1, 0, 0, 5161)


def test_reported_pairs_are_those_whose_ranges_do_not_meet():
    spreads = {"a": (0.9, 0.01, 0.02), "b": (0.87, 0.0099, 0.1), "c": (0.5, 0, 0)}
    assert table_5_1.separated_pairs(spreads) == [("a", "b"), ("a", "c"), ("b", "c")]


def test_the_thesis_separates_these_networks():
    pairs = table_5_1.separated_pairs(reported_spreads(paths.REPORTED_TABLES / "table_5_1.csv"))
    # c4 [.9640, .9874] is worse than all; d20 [.9993, .9997] better than all
    # but c9 and d10; and so on, from the printed table.
    assert sum(worse == "c4" for _, worse in pairs) == 7
    assert {worse for better, worse in pairs if better == "d20"} == {"c1", "c2", "c3", "c4", "d5"}
    assert ("d10", "c1") in pairs and ("d10", "d5") not in pairs


def test_order_counts_strictly_better_means(table):
    assert table_5_1.pairs_in_order([("d5", "c1"), ("c1", "d5")], table) == 1


def test_reproduced_rows_fit_the_reported_ones(table):
    rows = table_5_1.reproduced(table, [("d5", "c1")], "make reproduce")
    reported = number_tables.read_reported([paths.REPORTED_TABLES / "table_5_1.csv"])
    assert {row.id for row in rows} <= set(reported["id"])
    note = {row.id: row.note for row in rows}["table_5_1.c1.validation_accuracy_mean"]
    assert note == "folds 0.9000 0.7000; dead starts: 2"


def test_separated_text_compares_the_errors(table):
    random, separated = table[:1], table_5_1.rows({"c1": [fold(6, 4), fold(5, 5)]}, lambda _: 4644)
    text = leakage.separated_text(random, separated, {"c1": (0.9, 0.01, 0.02)})
    assert (
        "| c1 | 4,644 | 0.9000 (+0.0100, −0.0200) | 0.8000 (+0.1000, −0.1000) "
        "| 0.5500 (+0.0500, −0.0500) | 2× |"
    ) in text
    assert "| c1 | 0.6000 | 0.5000 | 0 |" in text


def test_text_numbers_of_the_data():
    a, b, label = die360.angles()
    numbers = text_chapter_5.data_numbers(a, b, label, np.empty((1, 1, 32, 32)), 128, range(39360))
    assert numbers["one_degree_neighbors"] == 4
    assert numbers["sequence_step"] == 140
    assert numbers["training_share"] == 0.8
    assert numbers["samples"] == 49200


def test_text_numbers_of_the_networks():
    numbers = text_chapter_5.network_numbers(die.build, die.CONVOLUTIONAL, ["d5", "d10", "d20"])
    assert numbers["c9.convolution_layers"] == 9
    assert numbers["c9.pooling_layers"] == 3
    assert numbers["d20.hidden_units"] == 20
    assert [
        numbers[key]
        for key in (
            "filters_per_layer",
            "filter_side",
            "filter_stride",
            "pool_side",
            "pool_stride",
            "output_units",
        )
    ] == [3, 3, 1, 2, 2, 6]


def test_claims_are_read_from_the_table():
    def row(name, parameters, mean):
        return table_5_1.Row(name, parameters, (mean,), 0)

    numbers = text_chapter_5.accuracy_numbers(
        [row("c1", 10, 0.9), row("c9", 20, 0.95), row("d20", 99, 0.97)], ["d20"]
    )
    assert numbers == {
        "lowest_validation_accuracy_mean": 0.9,
        "c9.validation_accuracy_best_fold": 0.95,
        "most_parameters_is_best": 1,
        "best_is_dense": 1,
        "deepest_convolutional_is_best": 1,
    }


def test_only_reported_quantities_are_passed_on():
    reported = pd.DataFrame(
        {"id": ["text_chapter_5.samples", "table_5_1.c1.x"], "unit": ["1", "1"]}
    )
    rows = text_chapter_5.reproduced({"samples": 5, "other": 6}, reported, "x")
    assert [(row.id, row.value) for row in rows] == [("text_chapter_5.samples", 5)]


def test_accuracy_by_distance_counts_every_view_once():
    _, b, label = die360.angles()
    b, label = b[::50], label[::50] - 1
    folds = []
    for fold in range(5):
        training, validation = splits.separated_split(b, fold)
        dropped = np.setdiff1d(np.arange(len(b)), np.union1d(training, validation))
        # Right on the dropped views, wrong on the others.
        found, gone = (
            Predictions(index, label[index], np.eye(6)[(label[index] + wrong) % 6])
            for index, wrong in ((validation, 1), (dropped, 0))
        )
        found = FoldEvaluation("c1", "separated", fold, 50, 1, found, gone)
        folds.append(found)
    frame = leakage.accuracy_by_distance({"c1": folds}, b)
    near = frame["distance"] <= splits.MARGIN
    assert (frame["right"][near] == frame["views"][near]).all()
    assert (frame["right"][~near] == 0).all()
    assert frame["views"][~near].sum() == len(b)
    assert frame["distance"].max() == 14
