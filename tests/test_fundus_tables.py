"""Tables and figure of the synthetic photographs and of the network on them."""

import csv

import numpy as np
import pytest

from cnnviz.cli import dispatch
from cnnviz.datasets import lesion_statistics, store, synthetic
from cnnviz.experiments.fundus_evaluation import FundusEvaluation, Posteriors
from cnnviz.runtime import paths
from cnnviz.runtime.records import made_from
from cnnviz.thesis.figures import figure_fundus
from cnnviz.thesis.tables import fundus_network, synthetic_lesions
from cnnviz.training.grading import quadratic_weighted_kappa


def posteriors_of(grades):
    return np.eye(5, dtype=np.float32)[grades]


def evaluation(grades, **posteriors):
    """Of eyes that are shown twice, by networks with these weights."""
    return FundusEvaluation(
        {name: Posteriors(each, None) for name, each in posteriors.items()},
        grades,
        np.arange(len(grades)),
    )


# --- The network's table -----------------------------------------------------


def test_a_perfect_reading_has_kappa_one_and_a_constant_one_none():
    grades = np.array([0, 1, 2, 3, 4, 0])
    rows = fundus_network.measured(
        evaluation(grades, surrogate=posteriors_of(grades), random=posteriors_of(np.zeros(6, int)))
    )
    assert [(row["weights"], row["reading"], row["eyes"]) for row in rows] == [
        ("surrogate", "one_eye", 6),
        ("random", "one_eye", 6),
    ]
    assert rows[0]["kappa"] == rows[0]["accuracy"] == rows[0]["low"] == 1
    assert rows[1]["kappa"] == pytest.approx(0) and rows[1]["accuracy"] == pytest.approx(1 / 3)
    np.testing.assert_array_equal(rows[0]["confusion"], np.diag([2, 1, 1, 1, 1]))


def test_eyes_that_were_not_read_do_not_count():
    posteriors = posteriors_of(np.array([0, 1, 2, 3]))
    posteriors[2:] = np.nan
    grades = np.array([0, 1, 0, 0])
    found = FundusEvaluation(
        {"surrogate": Posteriors(posteriors_of(grades), posteriors)}, grades, np.arange(4)
    )
    one, both = fundus_network.measured(found)
    assert (one["reading"], one["eyes"]) == ("one_eye", 4)
    assert (both["reading"], both["eyes"], both["kappa"]) == ("both_eyes", 2, 1)


def test_the_interval_is_wider_where_eyes_of_a_patient_stay_together():
    rng = np.random.default_rng(1)
    true = np.repeat(rng.integers(0, 5, 100), 2)
    said = np.repeat(np.clip(true[::2] + rng.integers(-1, 2, 100), 0, 4), 2)
    single, paired = (np.ptp(fundus_network._interval(true, said, n)) for n in (1, 2))
    assert paired > 1.2 * single


@pytest.mark.parametrize("together", [1, 2])
def test_the_interval_by_its_definition(together):
    rng = np.random.default_rng(2)
    true, said = rng.integers(0, 5, (2, 60))
    draws, count, kappas = np.random.default_rng(0), 60 // together, []
    for _ in range(2000):
        eyes = np.concatenate(
            [
                np.arange(together) + together * patient
                for patient in draws.integers(count, size=count)
            ]
        )
        kappas.append(quadratic_weighted_kappa(true[eyes], said[eyes]))
    np.testing.assert_allclose(
        fundus_network._interval(true, said, together),
        np.quantile(kappas, [0.025, 0.975]),
        rtol=1e-12,
    )


def test_the_text_names_weights_reading_and_confusion():
    rows = fundus_network.measured(
        evaluation(
            np.array([0, 4, 4]),
            random=posteriors_of(np.array([4, 4, 0])),
            surrogate=posteriors_of(np.array([0, 4, 4])),
        )
    )
    text = fundus_network.text({"IDRiD, test split": rows})
    assert "| IDRiD, test split | shipped weights | every eye shown twice | 3 | 1.000" in text
    assert "−0.500" in text  # a true minus, of the random reading
    assert "| **4** | 0 | 0 | 0 | 0 | 2 |" in text


@pytest.mark.filterwarnings("error")
def test_one_grade_and_random_weights_alone_have_a_table_too():
    """As of few photographs, and with ``fundus.weights: random``."""
    rows = fundus_network.measured(
        evaluation(np.zeros(3, int), random=posteriors_of(np.zeros(3, int)))
    )
    text = fundus_network.text({"few": rows})
    assert "| few | random weights | every eye shown twice | 3 | – (– to –) | – | 1.000 |" in text
    assert "Confusion, few, random weights, every eye shown twice" in text


def test_the_table_names_photographs_by_what_evaluations_say(tmp_path):
    grades = np.array([0, 4, 4])
    found = evaluation(grades, random=posteriors_of(grades))
    for source, split in (("synthetic", None), ("idrid", "test"), ("kaggle", None)):
        found.save(tmp_path / f"{source}.npz", made_from(photographs=source, split=split))
    path = tmp_path / "table.md"
    evaluations = [str(tmp_path / f"{name}.npz") for name in ("synthetic", "idrid", "kaggle")]
    assert dispatch.main(["table", "fundus", "--evaluations", *evaluations, "-o", str(path)]) == 0
    rows = [line for line in path.read_text().splitlines() if "random weights |" in line]
    assert [row.split(" | ")[0] for row in rows] == [
        "| synthetic test pairs",
        "| IDRiD, test split",
        "| the competition's",
    ]


# --- Lesions -----------------------------------------------------------------


def test_summary_gives_the_quantiles_of_each_kind():
    rows = [
        {
            "kind": "hemorrhage",
            "diameter": value,
            "elongation": 1.0,
            "red": 0.0,
            "green": -value,
            "blue": 0.0,
        }
        for value in np.linspace(0, 1, 11)
    ]
    found = {(row["kind"], row["measure"]): row for row in synthetic_lesions.summary(rows)}
    assert found["hemorrhage", "diameter"] == {
        "kind": "hemorrhage",
        "measure": "diameter",
        "count": 11,
        "q10": 0.1,
        "q50": 0.5,
        "q90": 0.9,
    }
    assert found["hemorrhage", "green"]["q10"] == -0.9
    assert found["soft exudate", "red"]["count"] == 0


def test_lesions_in_a_dark_photograph_are_refused():
    with pytest.raises(ValueError, match="dark everywhere"):
        lesion_statistics.field_of_view(np.zeros((20, 20, 3), np.uint8))


def test_the_record_of_real_lesions_is_whole():
    with open(paths.IDRID_LESIONS, newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["kind"]: int(row["count"]) for row in rows} == {
        "microaneurysm": 1069,
        "hemorrhage": 616,
        "hard exudate": 4269,
        "soft exudate": 43,
    }
    text = synthetic_lesions.text(rows, synthetic_lesions.summary([]), 0, 100)
    assert "| microaneurysm (1,069 real, 0 synthetic) | diameter" in text


# --- The figure --------------------------------------------------------------


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic")
    store.write(folder, synthetic.records(6, seed=1), synthetic.load)
    return store.read(folder)


def test_the_store_holds_what_was_drawn(photographs):
    assert len(photographs) == 12 and photographs.pairs().tolist() == [
        [k, k + 1] for k in range(0, 12, 2)
    ]
    left, right = synthetic.pair([1, 4])
    np.testing.assert_array_equal(photographs.pixels[8], synthetic.prepared(left)[0])
    assert photographs.grades[8:10].tolist() == [left.grade, right.grade]


def test_examples_are_of_different_patients(photographs):
    found = figure_fundus.examples(photographs, 3)
    assert found.shape == (3, 5, 512, 512, 3)
    chosen = list(np.flatnonzero(photographs.grades == 0))
    patients = list(dict.fromkeys(photographs.patients[index] for index in chosen))[:3]
    for row, patient in enumerate(patients):
        first = next(i for i in chosen if photographs.patients[i] == patient)
        np.testing.assert_array_equal(found[row, 0], photographs.pixels[first])


def test_a_close_up_is_around_the_spot_of_median_size():
    mask = np.zeros((100, 100), bool)
    mask[5:8, 5:8] = mask[40:45, 60:65] = mask[80:95, 10:30] = True
    image = np.arange(100 * 100 * 3).reshape(100, 100, 3).astype(np.uint8)
    part, spot = figure_fundus.close_up(image, mask, 20)
    assert spot.sum() == 25 and spot[8:13, 8:13].all()
    np.testing.assert_array_equal(part, image[32:52, 52:72])
    corner, spot = figure_fundus.close_up(
        image, mask[::-1, ::-1] & False | (np.add.outer(np.arange(100), np.arange(100)) < 3), 20
    )
    assert corner.shape == (20, 20, 3) and spot[0, 0]


def test_the_mean_grade_lies_between_far_off_ones():
    posteriors = np.array([[0.6, 0, 0, 0, 0.4], [0, 0.9, 0.1, 0, 0]])
    assert fundus_network.mean_grade(posteriors).tolist() == [2, 1]
