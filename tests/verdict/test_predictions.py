"""The numbers of pictures of predictions, against scikit-learn on each repeat."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, confusion_matrix, precision_score, recall_score

from lossreg.verdict import predictions
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
    assert set(found) == {"confusion", "repeats"}
    np.testing.assert_allclose(found["confusion"]["winner"], expected, rtol=1e-5)
    assert summary("probability", task, y, {"winner": probabilities(y, 3)})["confusion"].keys() == {"winner"}


def test_reliability_is_that_of_scikit_learn():
    values = probabilities(BINARY, 2)
    (bins,) = summary("probability", "binary", BINARY, {"winner": values})["reliability"].values()
    right, said = calibration_curve(np.tile(BINARY, REPEATS), values[..., 1].ravel(), n_bins=10)
    np.testing.assert_allclose(np.array(bins)[:, :2], np.column_stack([said, right]), rtol=1e-5)
    assert np.array(bins)[:, 2].sum() == pytest.approx(1)


def test_only_the_reliability_shows_what_a_temperature_changes():
    values = probabilities(BINARY, 2)
    found = summary("probability", "binary", BINARY, {"winner": values}, before={"winner_before": values**2})
    assert set(found["reliability"]) == {"winner", "winner_before"}
    assert found["reliability"]["winner"] != found["reliability"]["winner_before"]
    assert all(set(found[name]) == {"winner"} for name in ("confusion", "precision_recall", "repeats"))


def test_a_curve_is_the_mean_of_those_of_the_repeats_whose_scores_have_scales_of_their_own():
    """The scores of five good models that are offset against each other say little where they are taken together."""
    noise = rng.normal(size=(REPEATS, ROWS)) * 0.6
    raw = BINARY + noise + np.linspace(-3, 3, REPEATS)[:, None]
    curve = summary("score", "binary", BINARY, {"winner": raw})["precision_recall"]["winner"]
    each = np.mean([average_precision_score(BINARY, one) for one in raw])
    pooled = average_precision_score(np.tile(BINARY, REPEATS), raw.ravel())
    assert each - pooled > 0.2
    assert np.mean(curve["precision"]) == pytest.approx(each, abs=0.01)
    assert "at" not in curve


def test_the_dot_is_the_mean_decision_of_the_repeats_and_lies_at_the_curve():
    values = probabilities(BINARY, 2)
    curve = summary("probability", "binary", BINARY, {"winner": values})["precision_recall"]["winner"]
    assert curve["at"] == pytest.approx(mean_of(values[..., 1] > 0.5), rel=1e-5)
    raw = np.log(values[..., 1] / values[..., 0])
    of_scores = summary("score", "binary", BINARY, {"winner": raw})["precision_recall"]
    assert of_scores["winner"] == {name: pytest.approx(curve[name], abs=1e-6) for name in ("recall", "precision")}
    gaps = np.abs(np.array(curve["recall"]) - curve["at"][0])
    assert curve["precision"][int(gaps.argmin())] == pytest.approx(curve["at"][1], abs=0.03)


def mean_of(decisions):
    """Mean recall and precision over the repeats."""
    scores = (recall_score, precision_score)
    return [np.mean([score(BINARY, one.astype(int)) for one in decisions]) for score in scores]


def test_a_repeat_that_decides_for_no_row_has_no_precision():
    decided = probabilities(BINARY, 2)[..., 1] > 0.5
    decided[0] = False
    odds = np.where(decided, 1.0, -1.0)
    (curve,) = summary(
        "label", "binary", BINARY, {"winner": decided * 1.0}, odds={"winner": odds}, tuned={"winner": decided * 0.0}
    )["precision_recall"].values()
    recall, precision = mean_of(decided[1:])
    assert curve["at"] == pytest.approx([recall * (REPEATS - 1) / REPEATS, precision], rel=1e-5)
    assert "at_tuned" not in curve


def test_classes_have_a_curve_along_their_odds_with_the_points_of_both_decisions():
    values, thresholds = probabilities(BINARY, 2), np.linspace(-1, 1, REPEATS)[:, None]
    odds = np.log(values[..., 1] / values[..., 0])
    labels, tuned = ((odds > one).astype(np.float32) for one in (0, thresholds))
    found = summary("label", "binary", BINARY, {"winner": labels}, odds={"winner": odds}, tuned={"winner": tuned})
    of_probabilities = summary("probability", "binary", BINARY, {"winner": values})
    curve, other = (one["precision_recall"]["winner"] for one in (found, of_probabilities))
    for name, expected in other.items():
        np.testing.assert_allclose(curve[name], expected, atol=1e-5)
    assert curve["at_tuned"] == pytest.approx(mean_of(tuned), rel=1e-5)


def test_residuals_and_repeats_that_did_not_finish():
    y = rng.normal(size=ROWS)
    values = (y + rng.normal(size=(REPEATS, ROWS))).astype(np.float32)
    values[2] = np.nan
    found = summary("value", "regression", y, {"winner": values, "baseline": np.full_like(values, np.nan)})
    residuals = np.delete(values, 2, axis=0) - y
    assert set(found["residuals"]) == {"winner"}
    assert found["repeats"] == {"winner": REPEATS - 1}
    np.testing.assert_allclose(found["residuals"]["winner"][50], np.median(residuals), rtol=1e-5)
    json.dumps(found, allow_nan=False)


def test_of_very_many_numbers_the_first_repeats_are_told_and_counted(monkeypatch):
    monkeypatch.setattr(predictions, "MOST_NUMBERS", 3 * ROWS)
    labels = probabilities(BINARY, 2).argmax(-1).astype(np.float32)
    found = summary("label", "binary", BINARY, {"winner": labels})
    assert found["repeats"] == {"winner": 3}
    expected = np.mean([confusion_matrix(BINARY, one) for one in labels[:3]], axis=0)
    np.testing.assert_allclose(found["confusion"]["winner"], expected, rtol=1e-5)


def test_numbers_have_no_more_digits_than_a_picture_shows():
    found = summary("probability", "binary", BINARY, {"winner": probabilities(BINARY, 2)})
    numbers = re.findall(r"\d\.(\d+)", json.dumps(found))
    assert len(numbers) > 100
    assert max(map(len, numbers)) <= 8


def test_nothing_is_told_where_there_is_no_such_picture():
    several = np.zeros((2, ROWS, 4), np.float32)
    assert summary("label", "multilabel", np.zeros((ROWS, 4)), {"winner": several}) == {}
    assert summary("label", "segmentation", BINARY, {"winner": several[..., 0]}) == {}
    assert summary("label", "binary", BINARY, {"winner": np.full((2, ROWS), np.nan)}) == {}
    many = np.arange(ROWS)
    assert summary("label", "multiclass", many, {"winner": np.tile(many, (2, 1)).astype(np.float32)}) == {}
