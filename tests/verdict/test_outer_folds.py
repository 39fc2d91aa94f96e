"""Comparisons in which the rows of each outer fold were predicted by models of their own."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from lossreg.metrics import catalogue
from lossreg.storage.verdict import Comparison
from lossreg.verdict.comparison import compare
from lossreg.verdict.variation import scores

RNG = np.random.default_rng(5)
N, REPEATS = 90, 6
FOLDS = np.repeat(np.arange(3), [40, 30, 20])[RNG.permutation(N)]
Y = RNG.integers(0, 2, N)
# models of the third fold have decision values on another scale
VALUES = (Y - 0.5 + RNG.normal(size=(4, N))) + 100.0 * (FOLDS == 2)


def test_ranking_is_averaged_over_the_folds_by_their_rows() -> None:
    expected = [
        np.average([roc_auc_score(Y[k == FOLDS], lane[k == FOLDS]) for k in range(3)], weights=[40, 30, 20])
        for lane in VALUES
    ]
    metric = catalogue.resolve("roc_auc", "binary")
    np.testing.assert_allclose(scores(metric, Y, VALUES, FOLDS), expected)


@pytest.mark.parametrize("way", ["ovr", "ovo"])
def test_ranking_of_several_classes_is_averaged_over_the_folds_too(way: str) -> None:
    y = np.arange(N) % 3
    lanes = RNG.dirichlet([1, 1, 1], (4, N)) + np.eye(3)[y]
    lanes[:, FOLDS == 2] += [0.0, 5.0, 0.0]
    lanes /= lanes.sum(axis=-1, keepdims=True)
    parts = [k == FOLDS for k in range(3)]
    expected = [
        np.average([roc_auc_score(y[one], lane[one], multi_class=way) for one in parts], weights=[40, 30, 20])
        for lane in lanes
    ]
    np.testing.assert_allclose(scores(catalogue.resolve(f"roc_auc_{way}", "multiclass"), y, lanes, FOLDS), expected)


def test_predicted_classes_of_all_folds_are_scored_together() -> None:
    lanes = (VALUES > 0.5).astype(int)
    expected = [f1_score(Y, lane, average="macro") for lane in lanes]
    np.testing.assert_allclose(scores(catalogue.resolve("f1_macro", "binary"), Y, lanes, FOLDS), expected)


def compared(effects: np.ndarray, noise: float, rng: np.random.Generator, folds: int = 5) -> Comparison:
    """Compare arms whose squared errors differ by an effect per fold, with noise of rows and repeats around it."""
    n = 40 * folds
    number = np.arange(n) % folds
    gain = effects[number] + noise * (rng.normal(size=n) + 0.5 * rng.normal(size=(REPEATS, n)))
    worse = np.sqrt(np.full((REPEATS, n), 100.0))
    better = np.sqrt(100.0 - gain)
    metric = catalogue.resolve("mean_squared_error", "regression")
    comparison = compare(metric, np.zeros(n), better, worse, folds=number)
    assert comparison is not None
    return comparison


def test_the_interval_is_wider_where_folds_differ() -> None:
    effects = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    alike, different = (compared(size * effects, 1.0, np.random.default_rng(1)) for size in (0.0, 1.0))
    assert alike.difference == pytest.approx(different.difference)
    assert different.high - different.low > 4 * (alike.high - alike.low)
    # the plain interval of the five effects alone, half of whose variance is taken
    from scipy import stats

    plain = stats.t.interval(0.95, 4, scale=np.sqrt(effects.var(ddof=1) / 5 / 2))
    assert different.high - different.low == pytest.approx(plain[1] - plain[0], rel=0.1)


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0.93, 0.99), (0.2, 0.92, 0.985), (0.5, 0.9, 0.975)])
def test_the_interval_covers_where_the_choice_of_each_fold_adds_to_the_variance(
    share: float, least: float, most: float
) -> None:
    """share: the variance that the folds' own choice adds, relative to that of rows and repeats."""
    rng, studies = np.random.default_rng(11), 600
    spread = np.sqrt(share * 5 * (1 / 200 + 0.25 / (200 * REPEATS)))
    covered = 0
    for _ in range(studies):
        comparison = compared(spread * rng.normal(size=5), 1.0, rng)
        covered += comparison.low <= 0 <= comparison.high
    assert least <= covered / studies <= most
