"""Comparisons of few rows or repeats, and of predictions that are missing, constant or all alike."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lossreg.metrics import catalogue
from lossreg.storage.verdict import Answer, Comparison
from lossreg.verdict.answers import answer
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


# weight: what the score loses where all rows of the rarest class are wrong
@pytest.mark.parametrize(
    ("name", "rows", "weight"), [("accuracy", 36, 1), ("balanced_accuracy", 12, 1 / 2), ("roc_auc", 12, 1)]
)
def test_arms_that_no_row_tells_apart_may_differ_on_other_rows(name: str, rows: int, weight: float) -> None:
    metric = catalogue.BY_NAME[name]
    predicted = np.tile(Y, (5, 1)) if metric.response == "label" else np.tile(Y + 0.01 * np.arange(len(Y)), (5, 1))
    comparison = compare(metric, Y, predicted, predicted)
    assert comparison is not None
    # the share p of rows of which n in a row show nothing in 5% of the cases: (1 - p)^n = 0.05
    bound = weight * (1 - 0.05 ** (1 / rows))
    assert comparison.difference == 0
    assert bound <= comparison.unseen <= 1.15 * bound
    # in the interval is what half a row changes
    assert (-comparison.low, comparison.high) == pytest.approx((weight / rows / 2, weight / rows / 2), rel=0.05)
    assert comparison.detectable > comparison.high


# 12, 12 and 6 in 30 rows; weight: what the score loses where all rows of the last class are ranked last in its column
@pytest.mark.parametrize(
    ("name", "weight"),
    [("roc_auc_ovr", 1 / 3), ("roc_auc_ovr_weighted", 6 / 30), ("roc_auc_ovo", 1 / 3),
     ("roc_auc_ovo_weighted", (18 + 18) / (18 + 18 + 24) / 2)],
)  # fmt: skip
def test_classes_that_both_arms_rank_without_fault_may_differ_on_other_rows(name: str, weight: float) -> None:
    y = np.tile(np.repeat([0, 1, 2], [12, 12, 6]), 10)
    winner, other = (np.tile(np.eye(3)[y] * share + (1 - share) / 3, (5, 1, 1)) for share in (0.8, 0.5))
    comparison = compare(catalogue.BY_NAME[name], y, winner, other)
    assert comparison is not None
    assert (comparison.difference, comparison.unseen) == pytest.approx((0, weight * 3 / 60), rel=0.03)


def steps(name: str, y: np.ndarray, *changes: slice | tuple[int, int] | int) -> list[float]:
    """Return the largest difference that may be, where the arms are alike and the other is wrong in more cells."""
    metric, repeats = catalogue.BY_NAME[name], 20
    winner = np.tile(y, (repeats, 1)).astype(float if metric.response == "score" else int)
    other, largest = winner.copy(), []
    for change in (slice(0), *changes):
        other.T[change] = 1 - winner.T[change]
        comparison = compare(metric, y, winner, other)
        assert comparison is not None
        largest.append(largest_of(comparison))
    return largest


def largest_of(comparison: Comparison) -> float:
    """Return the least margin that the comparison lies within."""
    return comparison.difference + float(np.hypot(comparison.half, comparison.unseen))


@pytest.mark.parametrize("name", ["accuracy", "f1_macro", "balanced_accuracy", "matthews_corrcoef"])
def test_a_first_wrong_prediction_hardly_changes_what_is_known(name: str) -> None:
    y = np.arange(60) % 2
    alike, cell, row, rows = steps(name, y, (0, 0), 0, slice(4))
    assert cell == pytest.approx(alike, rel=0.1)
    assert alike < row < 2 * alike
    assert row < rows < 3 * row


def test_a_first_misplaced_row_leaves_about_half_of_what_is_unknown_of_ranks() -> None:
    y = np.arange(60) % 2
    alike, cell = steps("roc_auc", y, (1, 0))
    assert alike == pytest.approx(3 / 30, rel=0.02)
    assert alike / 3 < cell < alike


def few(rng: np.random.Generator, n: int, often: float, at_times: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels and predictions: on some rows the winner alone is right in all repeats, on any either errs."""
    y, repeats = (np.arange(n) % 2), 20
    right = np.tile(y, (repeats, 1))
    winner, other = (right ^ (rng.random(right.shape) < at_times) for _ in range(2))
    return y, winner, other ^ (rng.random(n) < often)


@pytest.mark.parametrize(
    ("name", "n", "often", "at_times"),
    [
        ("accuracy", 60, 0.02, 0.001), ("f1_macro", 60, 0.02, 0.001), ("accuracy", 300, 0.005, 0.001),
        pytest.param("f1_macro", 60, 0.05, 0.002, marks=pytest.mark.long),
    ],
)  # fmt: skip
def test_equality_is_not_claimed_from_few_rows_that_tell_the_arms_apart(
    name: str, n: int, often: float, at_times: float
) -> None:
    """The true difference is that of the shares of right predictions; classes are alike, so that it is F1's too."""
    rng, studies = np.random.default_rng(0), 200
    comparisons = [compare(catalogue.BY_NAME[name], *few(rng, n, often, at_times)) for _ in range(studies)]
    truth = often * (1 - 2 * at_times)
    held = sum(abs(one.difference - truth) <= np.hypot(one.half, one.unseen) for one in comparisons if one)
    assert stats.binomtest(held, studies, 0.95, "less").pvalue > 0.01
    false = sum(answer(one, truth) is Answer.EQUAL for one in comparisons)
    assert stats.binomtest(false, studies, 0.05, "greater").pvalue > 0.01
    assert not any(answer(one, truth / 2) is Answer.EQUAL for one in comparisons)


def test_arms_of_equal_probabilities_do_not_differ() -> None:
    loss, predicted = catalogue.BY_NAME["neg_log_loss"], np.tile(np.eye(3)[Y + 1] * 0.7 + 0.1, (5, 1, 1))
    comparison = compare(loss, Y + 1, predicted, predicted)
    assert comparison is not None
    assert (comparison.low, comparison.high, comparison.unseen) == (0, 0, 0)


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
