"""The numbers of pictures of predictions, against scikit-learn on each repeat."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix, precision_score, recall_score

from lossreg.verdict.predictions import summary

REPEATS, ROWS = 5, 300
rng = np.random.default_rng(0)
BINARY, THREE = rng.integers(0, 2, ROWS), rng.integers(0, 3, ROWS)


def probabilities(y, classes):
    raw = rng.normal(size=(REPEATS, ROWS, classes)) + 1.5 * np.eye(classes)[y]
    values = np.exp(raw)
    return (values / values.sum(-1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(("task", "y"), [("binary", BINARY), ("multiclass", THREE)])
def test_confusion_is_the_mean_of_the_repeats(task, y):
    labels = probabilities(y, int(y.max()) + 1).argmax(-1).astype(np.float32)
    found = summary("label", task, y, {"winner": labels})
    expected = np.mean([confusion_matrix(y, one) for one in labels], axis=0)
    assert set(found) == {"confusion"}
    np.testing.assert_allclose(found["confusion"]["winner"], expected)
    assert summary("probability", task, y, {"winner": probabilities(y, 3)})["confusion"].keys() == {"winner"}


def test_reliability_is_that_of_scikit_learn():
    values = probabilities(BINARY, 2)
    (bins,) = summary("probability", "binary", BINARY, {"winner": values})["reliability"].values()
    right, said = calibration_curve(np.tile(BINARY, REPEATS), values[..., 1].ravel(), n_bins=10)
    np.testing.assert_allclose(np.array(bins)[:, :2], np.column_stack([said, right]), rtol=1e-5)
    assert np.array(bins)[:, 2].sum() == pytest.approx(1)


def test_the_dot_is_where_the_decision_is_and_lies_on_the_curve():
    values = probabilities(BINARY, 2)
    curve = summary("probability", "binary", BINARY, {"winner": values})["precision_recall"]["winner"]
    truths, decided = np.tile(BINARY, REPEATS), (values[..., 1] > 0.5).ravel()
    assert curve["at"] == pytest.approx([recall_score(truths, decided), precision_score(truths, decided)])
    raw = np.log(values[..., 1] / values[..., 0])
    (of_scores,) = summary("score", "binary", BINARY, {"winner": raw}).values()
    assert of_scores["winner"] == {name: pytest.approx(curve[name], abs=1e-6) for name in ("recall", "precision")}
    gaps = np.abs(np.array(curve["recall"]) - curve["at"][0])
    assert curve["precision"][int(gaps.argmin())] == pytest.approx(curve["at"][1], abs=0.03)


def test_classes_have_a_curve_along_their_odds_with_the_points_of_both_decisions():
    values, thresholds = probabilities(BINARY, 2), np.linspace(-1, 1, REPEATS)[:, None]
    odds = np.log(values[..., 1] / values[..., 0])
    labels, tuned = ((odds > one).astype(np.float32) for one in (0, thresholds))
    found = summary("label", "binary", BINARY, {"winner": labels}, odds={"winner": odds}, tuned={"winner": tuned})
    of_probabilities = summary("probability", "binary", BINARY, {"winner": values})
    curve, other = (one["precision_recall"]["winner"] for one in (found, of_probabilities))
    for name, expected in other.items():
        np.testing.assert_allclose(curve[name], expected, atol=1e-5)
    truths = np.tile(BINARY, REPEATS)
    assert curve["at_tuned"] == pytest.approx(
        [recall_score(truths, tuned.ravel()), precision_score(truths, tuned.ravel())]
    )


def test_residuals_and_repeats_that_did_not_finish():
    y = rng.normal(size=ROWS)
    values = (y + rng.normal(size=(REPEATS, ROWS))).astype(np.float32)
    values[2] = np.nan
    found = summary("value", "regression", y, {"winner": values, "baseline": np.full_like(values, np.nan)})
    residuals = np.delete(values, 2, axis=0) - y
    assert set(found["residuals"]) == {"winner"}
    np.testing.assert_allclose(found["residuals"]["winner"][50], np.median(residuals), rtol=1e-5)
    json.dumps(found, allow_nan=False)


def test_nothing_is_told_where_there_is_no_such_picture():
    several = np.zeros((2, ROWS, 4), np.float32)
    assert summary("label", "multilabel", np.zeros((ROWS, 4)), {"winner": several}) == {}
    assert summary("label", "segmentation", BINARY, {"winner": several[..., 0]}) == {}
    assert summary("label", "binary", BINARY, {"winner": np.full((2, ROWS), np.nan)}) == {}
    many = np.arange(ROWS)
    assert summary("label", "multiclass", many, {"winner": np.tile(many, (2, 1)).astype(np.float32)}) == {}
