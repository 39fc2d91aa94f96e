"""Comparisons of few rows or repeats, and of predictions that are missing, constant or all alike."""

from __future__ import annotations

import numpy as np
import pytest

from lossreg.metrics import catalogue
from lossreg.verdict.comparison import compare

ACCURACY, AREA, POISSON = (catalogue.BY_NAME[name] for name in ("accuracy", "roc_auc", "mean_poisson_deviance"))
RNG = np.random.default_rng(0)
Y = np.tile([0, 1, 1], 12)
WINNER, OTHER = (np.abs(Y - (RNG.random((6, len(Y))) < share)) for share in (0.1, 0.3))


@pytest.mark.parametrize("missing", [np.nan, np.inf])
def test_a_repeat_that_either_arm_did_not_finish_is_left_out(missing: float) -> None:
    winner, other = WINNER.astype(float), OTHER.astype(float)
    winner[1, 3] = other[4, 0] = missing
    kept = [0, 2, 3, 5]
    assert compare(ACCURACY, Y, winner, other) == compare(ACCURACY, Y, WINNER[kept], OTHER[kept])


def test_a_repeat_with_an_infinite_score_is_left_out() -> None:
    y = RNG.poisson(3, 30).astype(float)
    winner, other = np.exp(RNG.normal(1, 0.3, (2, 4, 30)))
    negative = other.copy()
    negative[2, 7] = -1.0
    comparison = compare(POISSON, y, winner, negative)
    assert comparison == compare(POISSON, y, winner[[0, 1, 3]], other[[0, 1, 3]])
    assert comparison is not None
    assert comparison.repeats == 3


def test_one_repeat_or_one_group_is_no_comparison() -> None:
    assert compare(ACCURACY, Y, WINNER[:1], OTHER[:1]) is None
    assert compare(ACCURACY, Y, WINNER[:0], OTHER[:0]) is None
    assert compare(ACCURACY, Y, np.where(np.arange(6)[:, None] > 0, np.nan, WINNER), OTHER) is None
    assert compare(ACCURACY, Y, WINNER, OTHER, groups=np.zeros(len(Y))) is None


def test_a_score_that_hangs_on_one_group_is_no_comparison() -> None:
    scores = RNG.normal(size=(2, 3, len(Y)))
    assert compare(AREA, Y, *scores, groups=np.arange(len(Y)) // 3) is not None
    assert compare(AREA, Y, *scores, groups=Y) is None


@pytest.mark.parametrize(
    ("winner", "other", "difference", "share"), [(1, 1, 0, 0.5), (1, 0, 1 / 3, 1), (0, 1, -1 / 3, 0)]
)
def test_arms_that_predict_one_class(winner: int, other: int, difference: float, share: float) -> None:
    comparison = compare(ACCURACY, Y, np.full((4, len(Y)), winner), np.full((4, len(Y)), other))
    assert comparison is not None
    assert (comparison.difference, comparison.share_won) == pytest.approx((difference, share))
    assert comparison.low <= comparison.difference <= comparison.high


@pytest.mark.parametrize(("name", "rows"), [("accuracy", 36), ("balanced_accuracy", 12), ("roc_auc", 12)])
def test_arms_that_no_row_tells_apart_may_differ_on_other_rows(name: str, rows: int) -> None:
    metric = catalogue.BY_NAME[name]
    predicted = np.tile(Y, (5, 1)) if metric.response == "label" else np.tile(Y + 0.01 * np.arange(len(Y)), (5, 1))
    comparison = compare(metric, Y, predicted, predicted)
    assert comparison is not None
    # the share p of rows of which n in a row show nothing in 5% of the cases: (1 - p)^n = 0.05
    bound = 1 - 0.05 ** (1 / rows)
    assert comparison.difference == 0
    assert -comparison.low == pytest.approx(comparison.high)
    assert bound <= comparison.high <= 1.15 * bound
    assert comparison.detectable > comparison.high


def test_arms_of_equal_probabilities_do_not_differ() -> None:
    loss, predicted = catalogue.BY_NAME["neg_log_loss"], np.tile(np.eye(3)[Y + 1] * 0.7 + 0.1, (5, 1, 1))
    comparison = compare(loss, Y + 1, predicted, predicted)
    assert comparison is not None
    assert (comparison.low, comparison.high) == (0, 0)


@pytest.mark.parametrize("metric", catalogue.available("multiclass"), ids=lambda metric: metric.name)
def test_a_class_that_nobody_predicts_and_few_rows_have(metric: catalogue.Metric) -> None:
    y = np.array([0, 1] * 10 + [2, 2])
    winner, other = RNG.dirichlet([4, 4, 1], (2, 2, len(y)))
    winner[..., 2] = other[..., 2] = 0
    if metric.response == "label":
        winner, other = winner.argmax(-1), other.argmax(-1)
    comparison = compare(metric, y, winner, other)
    assert comparison is not None
    assert np.isfinite([comparison.low, comparison.high, comparison.detectable]).all()


def test_more_rows_and_more_repeats_tell_more() -> None:
    few = compare(ACCURACY, Y, WINNER[:3], OTHER[:3])
    rows = compare(ACCURACY, np.tile(Y, 9), np.tile(WINNER[:3], 9), np.tile(OTHER[:3], 9))
    repeats = compare(ACCURACY, Y, np.tile(WINNER[:3], (9, 1)), np.tile(OTHER[:3], (9, 1)))
    assert few is not None
    assert rows is not None
    assert repeats is not None
    assert rows.difference == pytest.approx(few.difference)
    assert max(rows.detectable, repeats.detectable) < few.detectable


def test_a_further_right_prediction_is_a_gain() -> None:
    wrong = np.argwhere(WINNER != Y)
    better = WINNER.copy()
    before = compare(ACCURACY, Y, WINNER, OTHER)
    for repeat, row in wrong:
        better[repeat, row] = Y[row]
        after = compare(ACCURACY, Y, better, OTHER)
        assert after is not None
        assert before is not None
        assert after.difference == pytest.approx(before.difference + 1 / Y.size / len(WINNER))
        before = after
