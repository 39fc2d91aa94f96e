"""The intervals hold the true difference as often as they claim, and are no wider than that takes.

Two arms have scores from the same distribution, so that by symmetry no metric differs between them. Their scores
share a part, as those of two models do, and have effects of the row, of the repeat and of both, for each arm its own.
There are no development rows here, for which the interval makes an allowance: it may be 5% wider than it has to be.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lossreg.metrics import catalogue
from lossreg.metrics.catalogue import Metric
from lossreg.verdict.comparison import compare

REPEATS = 20
EFFECTS = {"rows": (0.8, 0.0, 0.3), "repeats": (0.1, 1.0, 0.1), "chance": (0.0, 0.0, 0.8), "all": (0.5, 0.2, 0.6)}
# studies of 100 rows and of 500, as many as take some seconds
STUDIES = {
    "accuracy": (400, 400), "f1_macro": (400, 0), "log_loss": (400, 200), "roc_auc": (100, 0),
    "neg_mean_absolute_error": (200, 0), "root_mean_squared_error": (200, 0),
}  # fmt: skip
CASES = [
    (name, n, number) for name, pair in STUDIES.items() for n, number in zip((100, 500), pair, strict=True) if number
]


def study(metric: Metric, effects: str, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels and the predictions of two arms that do not differ but by chance."""
    k = {"value": 1, "score": 2}.get(metric.response, 3)
    y = rng.normal(size=n) if k == 1 else rng.choice(k, n, p=[0.3, 0.7] if k == 2 else [0.5, 0.35, 0.15])
    shared = (y[:, None] if k == 1 else 1.5 * np.eye(k)[y]) + 0.7 * rng.normal(size=(n, k))
    shapes = (n, k), (REPEATS, 1, k), (REPEATS, n, k)
    winner, other = (
        shared + sum(size * rng.normal(size=shape) for size, shape in zip(EFFECTS[effects], shapes, strict=True))
        for _ in range(2)
    )
    return y, respond(metric, winner), respond(metric, other)


def respond(metric: Metric, scores: np.ndarray) -> np.ndarray:
    if metric.response == "value":
        return scores[..., 0]
    if metric.response == "label":
        return scores.argmax(-1)
    if metric.response == "score":
        return np.asarray(scores[..., 1] - scores[..., 0])
    powers = np.exp(scores)
    return np.asarray(powers / powers.sum(-1, keepdims=True))


def coverage_and_width(name: str, effects: str, n: int, studies: int) -> tuple[float, float]:
    """Return the share of intervals that hold 0, and their mean width relative to 2 * 1.96 standard deviations."""
    metric, rng = catalogue.BY_NAME[name], np.random.default_rng(1)
    comparisons = [compare(metric, *study(metric, effects, n, rng)) for _ in range(studies)]
    low, high, difference = np.array([(c.low, c.high, c.difference) for c in comparisons if c]).T
    assert len(low) == studies
    width = (high - low).mean() / (2 * 1.96 * np.sqrt((difference**2).mean()))
    return float(((low <= 0) & (high >= 0)).mean()), float(width)


# The standard deviation of an estimate over 150 studies has an error of 6%. Interactions counted twice make
# the interval of "chance" 1.5 times as wide, a bootstrap of rows and repeats 1.8 times.
@pytest.mark.parametrize("effects", ["rows", "repeats", "chance"])
@pytest.mark.parametrize(
    ("name", "n", "studies"), [("accuracy", 60, 150), ("log_loss", 60, 150), ("root_mean_squared_error", 40, 100)]
)
def test_an_interval_is_as_wide_as_it_has_to_be(name: str, n: int, studies: int, effects: str) -> None:
    coverage, width = coverage_and_width(name, effects, n, studies)
    assert coverage >= 0.9
    assert 0.95 < width < 1.3


@pytest.mark.long
@pytest.mark.parametrize("effects", EFFECTS)
@pytest.mark.parametrize(("name", "n", "studies"), CASES)
def test_intervals_hold_the_truth_in_95_of_100_studies(name: str, n: int, studies: int, effects: str) -> None:
    coverage, width = coverage_and_width(name, effects, n, studies)
    print(f"{name}, {effects}, {n} rows, {studies} studies: coverage {coverage:.3f}, width {width:.2f}")  # noqa: T201
    held = round(coverage * studies)
    assert stats.binomtest(held, studies, 0.95, "less").pvalue > 0.005
    assert stats.binomtest(held, studies, 0.975, "greater").pvalue > 0.005
    # at least that of a known variance; at most that of t with the fewest degrees of freedom, and the allowance
    most = 1.05 * stats.t.ppf(0.975, REPEATS - 1) / stats.norm.ppf(0.975)
    error = 2.5 / np.sqrt(2 * studies)
    assert 1 - error < width < most + 0.03 + error
