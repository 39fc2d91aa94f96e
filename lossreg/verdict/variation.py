"""The variance of the mean difference of two arms over test rows and repeats.

`differences` `(R,)` are the scores of R repeats, all on the same n test rows. In the model

    contribution of row i in repeat r = mean + row_i + repeat_r + cell_ir

their mean has the variance `s_row^2 / n + s_repeat^2 / R + s_cell^2 / (n R)`. The variance over rows and the variance
over repeats each contain the third part, so it is subtracted once, as in an analysis of variance. A bootstrap of rows
and repeats counts it three times, which is sqrt(3) of the standard error where the arms do not really differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossreg.metrics.catalogue import Metric

Array = NDArray[Any]
Floats = NDArray[np.float64]
Differences = Callable[[Array, Array], Floats]

ROW_MEANS = frozenset((
    "accuracy", "hamming_loss", "top_k_accuracy", "log_loss", "brier_score", "mean_squared_error",
    "mean_absolute_error", "mean_absolute_percentage_error", "f1_samples", "precision_samples", "recall_samples",
    "jaccard_samples", "mean_squared_log_error", "mean_poisson_deviance", "mean_gamma_deviance",
))  # fmt: skip
# the jackknife is inconsistent for quantiles; a bootstrap is wide for them (1.4 times for arms that do not differ)
NOT_SMOOTH = frozenset(("median_absolute_error", "max_error"))
RESAMPLES = 400
# The settings that an outer fold chose, and its development rows, are shared by all of its rows and repeats. What that
# adds to the variance is seen in the differences between folds only. Of its estimate, which is cut off at 0 and
# therefore too large on average, this share is taken. Simulated with 5 folds, 6 repeats and 200 rows: where it is
# 0, 0.1, 0.2, 0.5 and 1 times the other variance, the 95% interval covers in .96, .95, .94, .93 and .90 of the cases
# (without it .95, .93, .93, .90 and .84; with all of it .96, .95, .95, .94 and .92, but 7% wider where there is none).
OF_FOLDS = 0.5
# as many parts of the rows are left out in turn as take about a second; the standard error varies by 1 / sqrt(2 parts)
FEWEST_PARTS, MOST_PARTS = 40, 400
ELEMENTS = {"label": 4e7, "score": 4e6, "probability": 4e6, "value": 4e7}


@dataclass(frozen=True, slots=True)
class Components:
    """The mean squares of rows, repeats and cells, as variances of the mean difference.

    units: the number of independent units or parts that `rows` was computed from; by_fold: the variance of the mean
    difference as the outer folds show it, each left out in turn, 0 without them; folds: their number.
    """

    rows: float
    between: float
    cells: float
    units: int
    repeats: int
    by_fold: float = 0.0
    folds: int = 0

    @property
    def within(self) -> float:
        """The variance of the mean, but for that of the settings that each outer fold chose.

        The difference is unbiased; it has a lower bound, so that it does not come near 0 by chance. To take
        s_row^2 or s_repeat^2 as 0 where its estimate is below 0 would widen the interval of arms that do not really
        differ by another 6%.
        """
        return max(self.rows + self.between - self.cells, self.cells / 2)

    @property
    def of_folds(self) -> float:
        """The part of the variance that is due to the outer folds."""
        return OF_FOLDS * max(self.by_fold - self.within, 0.0)

    @property
    def variance(self) -> float:
        """The variance of the mean."""
        return self.within + self.of_folds

    @property
    def freedom(self) -> float:
        """The degrees of freedom of the variance, by Satterthwaite's approximation."""
        rows, repeats = self.units - 1, self.repeats - 1
        spread = self.rows**2 / rows + self.between**2 / repeats + self.cells**2 / (rows * repeats)
        spread += self.of_folds**2 / (self.folds - 1) if self.folds else 0.0
        return max(self.variance**2 / spread, 1.0) if spread else np.inf


@dataclass(frozen=True, slots=True)
class Sample:
    """Test rows and what both arms predict for them.

    y: labels `(n,)` or `(n, k)`; lanes: predictions `(2 R, n, ...)`, the R repeats of the winner first; clusters:
    `(n,)` numbers from 0 of the independent units that the rows belong to; folds: `(n,)` numbers from 0 of the outer
    fold whose models predicted a row, None where all rows were predicted by the same models.
    """

    metric: Metric
    y: Array
    lanes: Array
    clusters: NDArray[np.int64]
    folds: NDArray[np.int64] | None = None

    def differences(self, rows: Array | slice = slice(None)) -> Floats:
        """Return the difference of each repeat `(R,)` on these rows; above 0 the winner is better."""
        folds = None if self.folds is None else self.folds[rows]
        return self.paired(scores(self.metric, self.y[rows], self.lanes[:, rows], folds))

    def paired(self, scores: Floats) -> Floats:
        """Return the differences `(R, ...)` of scores `(2 R, ...)`; above 0 the winner is better."""
        half = len(self.lanes) // 2
        with np.errstate(invalid="ignore"):
            gain: Floats = scores[:half] - scores[half:]
        return gain if self.metric.direction == "maximize" else -gain

    def ranked_together(self) -> list[Array | slice]:
        """Return the rows whose decision values have a common order: those of each outer fold."""
        if self.folds is None:
            return [slice(None)]
        return [np.flatnonzero(self.folds == fold) for fold in np.unique(self.folds)]

    @property
    def units(self) -> int:
        """The number of independent units."""
        return int(self.clusters.max()) + 1


def scores(metric: Metric, y: Array, lanes: Array, folds: NDArray[np.int64] | None = None) -> Floats:
    """Return the score of each lane `(lanes,)`, also where outer folds were predicted by models of their own.

    Decision values of different models have no common order, so ranking metrics are averaged over the folds, weighted
    by their rows; for other metrics all predictions are scored together (Forman and Scholz 2010).
    """
    if folds is None or not metric.ranks:
        return metric.score_lanes(y, lanes)
    masks = [folds == fold for fold in np.unique(folds)]
    by_fold = [metric.score_lanes(y[mask], lanes[:, mask]) for mask in masks]
    return np.average(by_fold, axis=0, weights=[mask.sum() for mask in masks])


def is_mean_over_rows(metric: Metric) -> bool:
    """Return whether a metric is the mean of the scores of single rows."""
    return _name(metric) in ROW_MEANS


def hangs_on_classes(metric: Metric) -> bool:
    """Return whether a metric has parts that few rows decide: those of each class, or with each label."""
    return metric.response != "value" and not is_mean_over_rows(metric) and not metric.name.endswith("_micro")


def components(sample: Sample, differences: Floats, rng: np.random.Generator) -> Components:
    """Return the parts of the variance of the mean of `differences`."""
    repeats, deviations = len(differences), _deviations(sample, differences, rng)
    rows = float((deviations.mean(axis=1) ** 2).sum())
    cells = max(float((deviations**2).sum()) / repeats - rows, 0.0) / (repeats - 1)
    between = float(differences.var(ddof=1)) / repeats
    parts = Components(rows, between, cells, min(sample.units, len(deviations)), repeats)
    return parts if sample.folds is None else replace(parts, **_by_fold(sample, sample.folds))


def _by_fold(sample: Sample, folds: NDArray[np.int64]) -> dict[str, Any]:
    """Return the jackknife variance of the mean difference over outer folds, and their number."""
    numbers = np.unique(folds)
    without = np.array([sample.differences(folds != number).mean() for number in numbers])
    share = (len(numbers) - 1) / len(numbers)
    return {"by_fold": share * float(((without - without.mean()) ** 2).sum()), "folds": len(numbers)}


def _name(metric: Metric) -> str:
    return metric.name.removeprefix("neg_")


def _deviations(sample: Sample, differences: Floats, rng: np.random.Generator) -> Floats:
    """Return deviations `(m, R)` whose sums of products are the covariances of the differences over test rows."""
    if is_mean_over_rows(sample.metric):
        return _of_rows(sample, differences)
    return _resampled(sample, rng) if _name(sample.metric) in NOT_SMOOTH else _jackknifed(sample, rng)


def _of_rows(sample: Sample, differences: Floats) -> Floats:
    """Return the exact deviations of a mean over rows, summed over each cluster."""
    values = sample.paired(row_scores(sample)) - differences[:, None]
    units = sample.units
    sums = np.zeros((units, len(differences)))
    np.add.at(sums, sample.clusters, values.T / values.shape[1])
    deviations: Floats = sums * np.sqrt(units / (units - 1))
    return deviations


def row_scores(sample: Sample) -> Floats:
    """Return the score of each row alone `(2 R, n)`, computed for all rows of the same label at once."""
    labels, which = np.unique(sample.y, axis=0, return_inverse=True)
    scores = np.empty(sample.lanes.shape[:2])
    order = np.split(np.argsort(which, kind="stable"), np.cumsum(np.bincount(which))[:-1])
    for label, rows in zip(labels, order, strict=True):
        alone = sample.lanes[:, rows].reshape(-1, 1, *sample.lanes.shape[2:])
        scores[:, rows] = sample.metric.score_lanes(label[None], alone).reshape(len(scores), -1)
    return scores


def _jackknifed(sample: Sample, rng: np.random.Generator) -> Floats:
    """Return the deviations of a smooth function of the rows: each unit, or each of many parts, left out in turn."""
    most = int(np.clip(ELEMENTS[sample.metric.response] / sample.lanes.size, FEWEST_PARTS, MOST_PARTS))
    number = min(sample.units, most)
    parts = sample.clusters if sample.units <= most else (rng.permutation(sample.units) % most)[sample.clusters]
    without = np.array([sample.differences(parts != part) for part in range(number)])
    deviations: Floats = (without - without.mean(axis=0)) * np.sqrt((number - 1) / number)
    return deviations


def _resampled(sample: Sample, rng: np.random.Generator) -> Floats:
    """Return the deviations of a bootstrap of the units, with the repeats as they are."""
    units = sample.units
    draws = rng.multinomial(units, np.full(units, 1 / units), size=RESAMPLES)
    rows = np.arange(len(sample.y))
    values = np.array([sample.differences(np.repeat(rows, draw[sample.clusters])) for draw in draws])
    deviations: Floats = (values - values.mean(axis=0)) / np.sqrt(RESAMPLES - 1)
    return deviations
