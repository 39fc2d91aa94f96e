"""Tuned decisions: against brute force, SciPy's minimisation, and losses that differ by nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn import metrics as sk

from lossreg.metrics import catalogue, decision
from lossreg.metrics.decision import SHIFT, TEMPERATURE, THRESHOLD, crossfit, decided, fit, halves, kind, shortage

RNG = np.random.default_rng(0)


def metric(name, task="binary"):
    return catalogue.resolve(name, task)


def binary(n=400, share=0.15, lanes=3):
    """Labels, and log odds of lanes of different quality."""
    y = (RNG.random(n) < share).astype(np.int64)
    odds = (2 * y - 1) * np.arange(1, lanes + 1)[:, None] + RNG.normal(size=(lanes, n)) * 2
    return y, np.stack([-odds / 2, odds / 2], -1)


def several(n=600, lanes=3, shares=(0.6, 0.3, 0.1)):
    """Labels of classes of these frequencies, and log probabilities of lanes."""
    y = RNG.choice(len(shares), n, p=shares)
    return y, log_softmax(np.eye(len(shares))[y] * 1.5 + RNG.normal(size=(lanes, n, len(shares))), axis=-1)


# ------------------------------------------------------------------------------ threshold


@pytest.mark.parametrize("name", ["f1", "balanced_accuracy", "matthews_corrcoef", "f1_macro"])
def test_a_threshold_is_nearly_as_good_as_the_best_of_all(name):
    y, logs = binary(4000)
    function = metric(name).one
    fitted = fit(THRESHOLD, metric(name), y, logs)
    for lane, (threshold,) in zip(logs, fitted, strict=True):
        odds = lane[:, 1] - lane[:, 0]
        best = max(function(y, (odds > other).astype(int)) for other in np.quantile(odds, np.linspace(0.01, 0.99, 99)))
        assert function(y, (odds > threshold).astype(int)) > best - 0.01
        assert function(y, (odds > threshold).astype(int)) > function(y, (odds > 0).astype(int))


def test_a_threshold_finds_the_gap_between_two_classes():
    y = np.repeat([0, 1], [60, 40])
    odds = np.concatenate([np.linspace(-9, 2, 60), np.linspace(3, 5, 40)])
    logs = np.stack([-odds / 2, odds / 2], -1)[None]
    (threshold,) = fit(THRESHOLD, metric("f1"), y, logs)[0]
    assert 2 < threshold < 3
    np.testing.assert_array_equal(decided(THRESHOLD, logs, np.array([[threshold]]))[0], y)


@pytest.mark.parametrize("labels", [np.zeros(80, int), np.ones(80, int), np.arange(80) % 2])
def test_the_default_threshold_stays_where_no_other_is_better(labels):
    odds = np.where(labels == 1, 1.0, -1.0) + RNG.normal(size=80) * 0.1
    logs = np.stack([-odds / 2, odds / 2], -1)[None]
    assert fit(THRESHOLD, metric("balanced_accuracy"), labels, logs).tolist() == [[0.0]]


def test_lanes_are_fitted_as_if_alone():
    for what, name, (y, logs) in (
        (THRESHOLD, "f1", binary()), (SHIFT, "f1_macro", several()), (TEMPERATURE, "log_loss", several()),
    ):  # fmt: skip
        one = metric(name, "binary" if what == THRESHOLD else "multiclass")
        together = fit(what, one, y, logs)
        np.testing.assert_array_equal(together, np.concatenate([fit(what, one, y, lane[None]) for lane in logs]))


# ---------------------------------------------------------------------------------- shift


def test_losses_that_differ_by_class_weights_only_agree_after_the_shift():
    y, logs = several(4000, lanes=1)
    weighted = log_softmax(logs + np.log([1.0, 4.0, 16.0]), axis=-1)
    both = np.concatenate([logs, weighted])
    for name in ("balanced_accuracy", "f1_macro", "cohen_kappa"):
        one = metric(name, "multiclass")
        shifts = fit(SHIFT, one, y, both)
        np.testing.assert_allclose(shifts[0] - shifts[1], np.log([1, 4, 16]) - np.log([1, 4, 16]).mean(), atol=1e-4)
        first, second = decided(SHIFT, both, shifts)
        assert (first == second).mean() > 0.999
        assert one.score(y, first) > max(one.score(y, lane.argmax(-1)) for lane in both) - 0.005


def test_balanced_accuracy_asks_for_the_shift_of_logit_adjustment():
    """With true posteriors the optimum is log p - log(frequencies); all shifts are relative to the first."""
    shares = np.array([0.7, 0.2, 0.1])
    y = RNG.choice(3, 20_000, p=shares)
    means = 1.5 * np.eye(3)
    x = means[y] + RNG.normal(size=(len(y), 3))
    logs = log_softmax(x @ means.T + np.log(shares), axis=-1)[None]
    (shift,) = fit(SHIFT, metric("balanced_accuracy", "multiclass"), y, logs)
    np.testing.assert_allclose(shift - shift[0], np.log(shares[0] / shares), atol=0.5)


def test_no_shift_is_found_where_nothing_is_gained():
    y = np.arange(300) % 3
    logs = log_softmax(9.0 * np.eye(3)[y], axis=-1)[None]
    assert not fit(SHIFT, metric("f1_macro", "multiclass"), y, logs).any()


# ---------------------------------------------------------------------------- temperature


@pytest.mark.parametrize("name", ["log_loss", "neg_brier_score"])
@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0])
def test_a_temperature_is_that_of_scipy(name, factor):
    y, logs = several()
    logs = factor * logs
    fitted = fit(TEMPERATURE, metric(name, "multiclass"), y, logs)
    for lane, (temperature,) in zip(logs, fitted, strict=True):
        expected = minimize_scalar(
            lambda log_t, lane=lane: sk.log_loss(y, softmax(lane / np.exp(log_t), axis=-1)), bounds=(-3, 3)
        )
        assert np.log(temperature) == pytest.approx(expected.x, abs=1e-3)
    np.testing.assert_allclose(
        decided(TEMPERATURE, logs, fitted), softmax(logs / fitted[:, :, None], axis=-1), rtol=1e-12
    )


def test_a_temperature_has_bounds():
    y = np.arange(200) % 2
    right = 2.0 * np.eye(2)[y]
    fitted = fit(TEMPERATURE, metric("log_loss"), y, np.stack([right, -right]))
    assert decision.COLDEST <= fitted[0, 0] < 2 * decision.COLDEST
    assert fitted[1, 0] == pytest.approx(decision.HOTTEST, rel=0.01)


# ------------------------------------------------------------------------------ cross-fit


def test_halves_have_half_of_each_class():
    y = RNG.choice(3, 101, p=[0.7, 0.2, 0.1])
    half = halves(y)
    counts = np.array([np.bincount(y[part], minlength=3) for part in (half, ~half)])
    assert np.abs(np.diff(counts, axis=0)).max() <= 1
    np.testing.assert_array_equal(half, halves(y))


@pytest.mark.parametrize(("what", "name"), [(THRESHOLD, "f1"), (SHIFT, "f1_macro"), (TEMPERATURE, "log_loss")])
def test_each_half_is_predicted_with_the_decision_of_the_other(what, name):
    y, logs = binary() if what == THRESHOLD else several()
    one, half = metric(name, "binary" if what == THRESHOLD else "multiclass"), halves(y)
    predicted = crossfit(what, one, y, logs, half)
    for part in (half, ~half):
        expected = decided(what, logs[:, part], fit(what, one, y[~part], logs[:, ~part]))
        np.testing.assert_array_equal(predicted[:, part], expected)


def test_labels_without_signal_gain_nothing_by_tuning():
    """The score of decisions fitted on the samples themselves is optimistic; that of cross-fitting is not."""
    y, lanes = np.repeat([0, 1], [60, 60]), 200
    odds = RNG.normal(size=(lanes, len(y)))
    logs = np.stack([-odds / 2, odds / 2], -1)
    one = metric("balanced_accuracy")
    optimistic = one.score_lanes(y, decided(THRESHOLD, logs, fit(THRESHOLD, one, y, logs))).mean()
    honest = one.score_lanes(y, crossfit(THRESHOLD, one, y, logs, halves(y))).mean()
    assert optimistic > 0.52
    assert honest == pytest.approx(0.5, abs=0.01)


# ------------------------------------------------------------------------- what is tuned


@pytest.mark.parametrize(("name", "task", "expected"), [
    ("f1", "binary", THRESHOLD), ("jaccard", "segmentation", THRESHOLD), ("f1_macro", "multiclass", SHIFT),
    ("neg_log_loss", "binary", TEMPERATURE), ("brier_score", "multiclass", TEMPERATURE), ("roc_auc", "binary", ""),
    ("roc_auc_ovr", "multiclass", ""), ("top_k_accuracy", "multiclass", ""), ("f1_macro", "multilabel", ""),
    ("r2", "regression", ""),
])  # fmt: skip
def test_the_response_says_what_is_tuned(name, task, expected):
    assert kind(metric(name, task), task) == expected


@pytest.mark.parametrize(("name", "fewest"), [("f1", 50), ("accuracy", 10_000), ("log_loss", 500)])
def test_too_few_rows_are_not_tuned_on(name, fewest):
    assert not shortage(metric(name), "binary", fewest)
    assert shortage(metric(name), "binary", fewest - 1).endswith(f"which needs {fewest}")


def test_halves_keep_units_together_and_are_about_equal():
    rng = np.random.default_rng(0)
    units = np.repeat(rng.permutation(60), rng.integers(1, 9, 60))
    y = rng.integers(0, 2, 60)[units]
    half = halves(y, units=units)
    assert all(len(set(half[units == unit])) == 1 for unit in range(60))
    for label in (0, 1):
        assert abs(half[y == label].mean() - 0.5) < 0.1


@pytest.mark.parametrize("number", [1, 2, 3])
def test_few_units_are_halved_where_they_can_be_and_not_tuned_on(number):
    units = np.arange(90) % number
    half = halves(np.arange(90) // 45, units=units)
    assert sorted({len(set(units[half])), len(set(units[~half]))}) == sorted({number // 2, number - number // 2})
    assert "of validation rows, and it needs 10" in shortage(metric("f1"), "binary", 90, number)


@pytest.mark.parametrize(("units", "is_short"), [(9, True), (10, False), (None, False)])
def test_too_few_units_are_not_tuned_on(units, is_short):
    assert bool(shortage(metric("f1"), "binary", 90, units)) is is_short
