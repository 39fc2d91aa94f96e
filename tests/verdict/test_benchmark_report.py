"""What the benchmark of the verdict counts as false, and of how many studies, on made-up lines."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from scipy import stats

BENCHMARKS = Path(__file__).parents[2] / "studies/benchmarks"
TRUTH = {"true": 0.01, "true_same_rate": 0.01, "true_tuned": None, "top_true": 0.01}


@pytest.fixture(scope="module")
def report():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        return importlib.import_module("verdict_report")


def line(study=0, answer="no difference shown", **changes):
    values = {
        "design": "names", "rows": 300, "metric": "accuracy", "study": study, "answer": answer, "cause": None,
        "difference": 0.0, "low": -0.02, "high": 0.02, "is_winner": True, "reason": "", "top_is_other": False,
        "top_gain": 0.0, "true_error": 0.001, "oracle": False, "seconds": 1.0, "seconds_truth": 1.0, **TRUTH,
    }  # fmt: skip
    return {**values, **changes}


def upper(hits, number):
    """The upper end of Clopper and Pearson by its beta distribution."""
    return f"{100 * stats.beta.ppf(0.95, hits + 1, number - hits):.1f}%"


def test_false_answers_are_bounded_of_all_studies_and_of_those_without_a_true_gain(report):
    null = {"true": -0.01, "true_same_rate": -0.01}
    studies = [line(0, "better", cause="loss", **null), line(1, "better", cause="loss")]
    studies += [line(n, **null) for n in range(2, 31)] + [line(n) for n in range(31, 100)]
    better = report.Figures(studies).text()[0]
    wanted = f"false 1 (of all 100 at most {upper(1, 100)}; of the 30 without a true gain at most {upper(1, 30)})"
    assert better == f"better 2 of 100, {wanted}; by loss 2, {wanted}"


def test_where_all_have_a_true_gain_there_is_no_level(report):
    assert "without a true gain" not in report.Figures([line(n, "better") for n in range(3)]).text()[0]


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({}, 0),
        ({"true_folds": -0.001}, 1),
        ({"true": -0.01, "true_folds": 0.001}, 0),
        ({"true_folds": 0.001, "true_tuned": 0.01, "true_tuned_folds": -0.001}, 1),
        ({"true_folds": 0.001, "true_tuned": -0.01, "true_tuned_folds": 0.001}, 0),
        ({"true_tuned": -0.01}, 1),
    ],
)
def test_with_outer_folds_the_gain_of_what_they_chose_counts(report, changes, number):
    text = report.Figures([line(0, "better", **changes), line(1, **changes)]).text()
    assert re.search(r"better 1 of 2, false (\d)", text[0])[1] == str(number)
    assert text[3].startswith("power: no study" if number else "power 50.0%")


def test_the_cause_of_outer_folds_is_that_of_what_they_chose(report):
    claim = line(0, "better", cause="loss", true_folds=0.01, true_same_rate_folds=-0.001)
    assert re.search(r"by loss 1, false (\d)", report.Figures([claim]).text()[0])[1] == "1"


def test_cells_are_told_apart_by_every_setting_and_named_by_unusual_ones(report):
    studies = [line(0), line(0, epochs=20), line(1, epochs=60), line(0, outer=5, noise=0.1)]
    cells = report.cells(studies)
    assert {cell.title: len(of) for cell, of in cells.items()} == {
        "names, 300 rows, accuracy": 1,
        "names, 300 rows, accuracy, epochs 60": 1,
        "names, 300 rows, accuracy, noise 0.1, outer 5": 1,
    }
    curves = report.curves({cell: report.Figures(of) for cell, of in cells.items()})
    assert set(curves) == {"names, 300 rows, accuracy", "names, 300 rows, accuracy, epochs 60",
                           "names, 300 rows, accuracy, outer 5"}  # fmt: skip
