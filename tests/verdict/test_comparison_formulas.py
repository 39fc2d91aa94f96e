"""Comparisons against textbook formulas and independent implementations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from lossreg.metrics import catalogue
from lossreg.storage.verdict import Comparison
from lossreg.verdict.comparison import UNSEEN, compare

WIDER = np.sqrt(1 + UNSEEN)


def compared(name: str, *arguments: Any, **options: Any) -> Comparison:
    comparison = compare(catalogue.BY_NAME[name], *arguments, **options)
    assert comparison is not None
    return comparison


def widened(low: float, high: float) -> tuple[float, float]:
    """Return the interval with the part of the variance that repeats on the same development rows do not show."""
    return (low + high) / 2 - WIDER * (high - low) / 2, (low + high) / 2 + WIDER * (high - low) / 2


def scores(seed: int = 0, repeats: int = 6, n: int = 40, k: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels and the probabilities of two arms, with effects of rows, repeats and both."""
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(k), rng.integers(0, k, n - k)])
    arms = []
    for noise in (0.5, 0.9):
        raw = np.eye(k)[y] + noise * rng.normal(size=(n, k))
        raw = raw + 0.4 * rng.normal(size=(repeats, 1, k)) + noise * rng.normal(size=(repeats, n, k))
        powers = np.exp(raw)
        arms.append(powers / powers.sum(-1, keepdims=True))
    return y, *arms


def by_analysis_of_variance(table: np.ndarray) -> tuple[float, float]:
    """Return the 95% interval of the mean of a table of repeats by rows, both random, from its mean squares."""
    repeats, n = table.shape
    mean, of_row, of_repeat = table.mean(), table.mean(axis=0), table.mean(axis=1)
    rows = repeats * ((of_row - mean) ** 2).sum() / (n - 1)
    between = n * ((of_repeat - mean) ** 2).sum() / (repeats - 1)
    rest = ((table - of_row - of_repeat[:, None] + mean) ** 2).sum() / ((n - 1) * (repeats - 1))
    variance = rows + between - rest
    assert variance > rest
    freedom = variance**2 / (rows**2 / (n - 1) + between**2 / (repeats - 1) + rest**2 / ((n - 1) * (repeats - 1)))
    half = stats.t.ppf(0.975, freedom) * np.sqrt(variance / table.size)
    return widened(mean - half, mean + half)


def test_a_mean_over_rows_has_the_interval_of_the_analysis_of_variance() -> None:
    y, winner, other = scores()
    right = np.arange(len(y)), y
    expected = by_analysis_of_variance(np.log(winner[:, *right]) - np.log(other[:, *right]))
    assert compared("log_loss", y, winner, other).interval == pytest.approx(expected, rel=1e-9)
    squares = [((arm - np.eye(3)[y]) ** 2).sum(-1) for arm in (winner, other)]
    expected = by_analysis_of_variance(squares[1] - squares[0])
    assert compared("neg_brier_score", y, winner, other).interval == pytest.approx(expected, rel=1e-9)


def test_a_mean_over_rows_of_numbers_has_the_interval_of_the_analysis_of_variance() -> None:
    _, winner, other = scores(seed=1)
    y = np.random.default_rng(0).gamma(2, size=winner.shape[1])
    winner, other = winner[..., 0], other[..., 0] + 0.3 * np.arange(len(other))[:, None]
    expected = by_analysis_of_variance(abs(other - y) - abs(winner - y))
    assert compared("mean_absolute_error", y, winner, other).interval == pytest.approx(expected, rel=1e-9)
    expected = by_analysis_of_variance(2 * (np.log(other / winner) + y / other - y / winner))
    assert compared("neg_mean_gamma_deviance", y, winner, other).interval == pytest.approx(expected, rel=1e-9)


def test_repeats_that_are_all_alike_give_the_paired_t_test_over_rows() -> None:
    y, winner, other = scores(repeats=1)
    alike = [np.repeat(arm.argmax(-1), 3, axis=0) for arm in (winner, other)]
    right = [(arm[0] == y).astype(float) for arm in alike]
    low, high = widened(*stats.ttest_rel(*right).confidence_interval())
    # and half a row, halved by each row on which the arms differ
    half = np.hypot((high - low) / 2, 0.5 / len(y) * 0.5 ** np.sum(right[0] != right[1]))
    expected = (low + high) / 2 - half, (low + high) / 2 + half
    assert compared("accuracy", y, *alike).interval == pytest.approx(expected, rel=1e-9)


def test_rows_and_repeats_that_cancel_leave_half_of_the_variance_of_the_rest() -> None:
    table = np.array([[1.0, -1.0] * 10, [-1.0, 1.0] * 10, [0.5, -0.5] * 10, [-0.5, 0.5] * 10]) + 3
    repeats, n = table.shape
    rest = ((table - 3) ** 2).sum() / ((n - 1) * (repeats - 1))
    freedom = (n - 1) * (repeats - 1) / 4
    half = WIDER * stats.t.ppf(0.975, freedom) * np.sqrt(rest / 2 / table.size)
    comparison = compared("mean_absolute_error", np.zeros(n), np.full(table.shape, 9.0), 9 + table)
    assert comparison.interval == pytest.approx((3 - half, 3 + half), rel=1e-9)


def test_rows_that_are_all_alike_give_the_paired_t_test_over_repeats() -> None:
    rng = np.random.default_rng(0)
    errors = rng.gamma(2, size=(2, 7))
    winner, other = (np.repeat(error[:, None], 30, axis=1) for error in errors)
    expected = widened(*stats.ttest_rel(errors[1], errors[0]).confidence_interval())
    for name in ("mean_absolute_error", "root_mean_squared_error", "median_absolute_error", "max_error"):
        assert compared(name, np.zeros(30), winner, other).interval == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "name",
    ["f1_macro", "matthews_corrcoef", "cohen_kappa_quadratic", "roc_auc_ovo_weighted", "d2_log_loss_score", "r2",
     "neg_root_mean_squared_error", "neg_median_absolute_error"],
)  # fmt: skip
def test_a_function_of_all_rows_varies_as_in_a_bootstrap_of_rows(name: str) -> None:
    metric = catalogue.BY_NAME[name]
    form = {"label": lambda p: p.argmax(-1), "value": lambda p: p[:, 0]}.get(metric.response, lambda p: p)
    y, winner, other = (array if array.ndim == 1 else form(array[0]) for array in scores(seed=3, repeats=1, n=300))

    def gain(rows: np.ndarray) -> float:
        one, two = metric.score_lanes(y[rows], np.stack([winner[rows], other[rows]]))
        return float(one - two)

    drawn = stats.bootstrap((np.arange(len(y)),), gain, vectorized=False, n_resamples=500, method="percentile", rng=0)
    comparison = compared(name, y, np.stack([winner] * 2), np.stack([other] * 2))
    half = (comparison.high - comparison.low) / 2
    assert comparison.difference == pytest.approx(gain(np.arange(len(y))))
    assert half == pytest.approx(1.97 * WIDER * drawn.standard_error, rel=0.12)


# what F1 loses by one further row is not quite a quarter of what it loses by four
@pytest.mark.parametrize(
    ("name", "precision"), [("log_loss", 1e-9), ("accuracy", 1e-9), ("f1_macro", 1e-3), ("r2", 1e-9)]
)
def test_copies_of_a_row_add_nothing_within_a_group(name: str, precision: float) -> None:
    metric = catalogue.BY_NAME[name]
    y, *arms = scores(seed=4)
    arms = [arm.argmax(-1) if metric.response == "label" else arm for arm in arms]
    arms = [arm[..., 0] for arm in arms] if metric.response == "value" else arms
    copies = [np.concatenate([arm] * 4, axis=1) for arm in arms]
    names = np.tile([f"patient {i}" for i in range(len(y))], 4)
    once, grouped = compared(name, y, *arms), compared(name, np.tile(y, 4), *copies, groups=names)
    assert (grouped.difference, *grouped.interval) == pytest.approx((once.difference, *once.interval), rel=precision)
    alone = compared(name, np.tile(y, 4), *copies)
    assert alone.high - alone.low < 0.9 * (once.high - once.low)


def test_many_rows_are_left_out_in_parts_that_vary_as_single_rows() -> None:
    y, winner, other = scores(seed=5, repeats=2, n=3000)
    whole = compared("log_loss", y, winner, other)
    parts = compared("d2_log_loss_score", y, winner, other)
    scale = sk.log_loss(y, np.tile(np.bincount(y) / len(y), (len(y), 1)))
    assert parts.difference == pytest.approx(whole.difference / scale)
    assert parts.high - parts.low == pytest.approx((whole.high - whole.low) / scale, rel=0.25)


def test_the_detectable_difference_is_shown_in_four_of_five_studies() -> None:
    rng = np.random.default_rng(0)
    n, shown = 60, []
    # what is detected although the interval is wider than such studies need, whose repeats are all alike
    detectable = (WIDER * stats.t.ppf(0.975, n - 1) + stats.norm.ppf(0.8)) / np.sqrt(n)
    for _ in range(400):
        errors = detectable + rng.normal(size=n)
        comparison = compared("mean_absolute_error", np.zeros(n), np.full((2, n), 9.0), np.stack([9 + errors] * 2))
        shown.append((comparison.low > 0, comparison.detectable))
    share, detected = np.mean(shown, axis=0)
    assert share == pytest.approx(0.8, abs=0.06)
    assert detectable < detected < 1.05 * detectable
