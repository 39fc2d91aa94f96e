from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lossreg.contract.targets import TASKS
from lossreg.metrics import catalogue
from lossreg.metrics.catalogue import Metric
from lossreg.storage.verdict import Comparison
from lossreg.verdict.comparison import compare
from lossreg.verdict.variation import ROW_MEANS

CLASSES = {"binary": 2, "segmentation": 2, "multiclass": 3}
CASES = [(metric.name, task) for task in TASKS for metric in catalogue.available(task)]

ONCE = [(name, task) for name, task in CASES if task in ("multiclass", "multilabel", "positive") and name[:4] != "neg_"]


def labels(metric: Metric, task: str, n: int) -> np.ndarray:
    rng = np.random.default_rng(7)
    if task == "multilabel":
        return rng.integers(0, 2, (n, 3))
    if task in CLASSES:
        return rng.integers(0, CLASSES[task], n)
    if task == "count":
        return rng.poisson(3, n).astype(float) + ("percentage" in metric.name)
    return rng.lognormal(1, 0.5, n)


def predictions(metric: Metric, task: str, y: np.ndarray, noise: float, repeats: int) -> np.ndarray:
    """Predictions of repeats whose errors grow with the noise; those of a row are alike in all repeats."""
    rng = np.random.default_rng(round(10 * noise))
    shape = (*y.shape, CLASSES[task]) if task in CLASSES else y.shape
    error = noise * (rng.normal(size=shape) + rng.normal(size=(repeats, *shape)))
    if task == "multilabel":
        return (y - 0.5 + error > 0).astype(np.int64) if metric.response == "label" else y - 0.5 + error
    if task not in CLASSES:
        return np.asarray(np.maximum(y, 0.1) * np.exp(error / 3))
    scores = np.eye(CLASSES[task])[y] + error
    if metric.response == "label":
        return scores.argmax(-1)
    if metric.response == "score" and task != "multiclass":
        return np.asarray(scores[..., 1] - scores[..., 0])
    powers = np.exp(scores)
    return np.asarray(powers / powers.sum(-1, keepdims=True))


def both(name: str, task: str, n: int = 45, repeats: int = 4) -> tuple[Metric, np.ndarray, np.ndarray, np.ndarray]:
    metric = catalogue.resolve(name, task)
    y = labels(metric, task, n)
    good, bad = (predictions(metric, task, y, noise, repeats) for noise in (0.4, 1.2))
    return metric, y, good, bad


def compared(*arguments: Any, **options: Any) -> Comparison:
    comparison = compare(*arguments, **options)
    assert comparison is not None
    return comparison


def half_width(comparison: Comparison) -> float:
    return (comparison.high - comparison.low) / 2


@pytest.mark.parametrize(("name", "task"), CASES)
def test_the_better_arm_is_ahead_by_the_mean_difference_of_the_scores(name: str, task: str) -> None:
    metric, y, good, bad = both(name, task)
    comparison = compared(metric, y, good, bad)
    sign = 1 if metric.direction == "maximize" else -1
    expected = sign * np.mean([metric.score(y, a) - metric.score(y, b) for a, b in zip(good, bad, strict=True)])
    assert comparison.difference == pytest.approx(expected, rel=1e-9)
    assert comparison.low < comparison.difference < comparison.high
    assert comparison.difference > 0
    assert comparison.share_won > 0.5
    assert comparison.repeats == 4
    assert half_width(comparison) < comparison.detectable < 2 * half_width(comparison)


@pytest.mark.parametrize(("name", "task"), ONCE)
def test_the_comparison_depends_on_neither_the_order_of_the_arms_nor_that_of_the_rows(name: str, task: str) -> None:
    metric, y, good, bad = both(name, task)
    order = np.random.default_rng(0).permutation(len(y))
    one, other = compared(metric, y, good, bad), compared(metric, y[order], bad[:, order], good[:, order])
    # only the bootstrap of quantiles draws other rows
    tolerance = 0.2 if name in ("median_absolute_error", "max_error") else 1e-6
    assert (one.difference, one.share_won) == pytest.approx((-other.difference, 1 - other.share_won))
    assert half_width(one) == pytest.approx(half_width(other), rel=tolerance)
    same = compared(metric, y, good, good)
    assert (same.difference, same.share_won, same.low) == (0.0, 0.5, -same.high)
    assert (same.high == 0) == (metric.response in ("probability", "value") and not name.startswith("roc_auc"))


@pytest.mark.parametrize(("name", "task"), [case for case in ONCE if case[0] in ROW_MEANS])
def test_a_metric_that_is_a_mean_is_the_mean_of_the_scores_of_single_rows(name: str, task: str) -> None:
    metric, y, _, bad = both(name, task)
    alone = [metric.score_lanes(y[[row]], bad[:, [row]]) for row in range(len(y))]
    np.testing.assert_allclose(np.mean(alone, axis=0), metric.score_lanes(y, bad), rtol=1e-9)
