"""The noise of a score: by how much it would vary with other validation rows, for a model of usual quality."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossreg.metrics.catalogue import BY_NAME, Metric

Array = NDArray[Any]

RIGHT = 0.8  # of the rows are predicted as they are; the others, a class at random
AREA = 0.8  # under the ROC curve
EXPLAINED = 0.5  # of the variance
MOST_DRAWS, FEWEST_DRAWS, ELEMENTS = 400, 50, 2_000_000
MANY = 400  # rows of every class, from which the noise is no matter: 0.02 of F1 of one class
LARGEST = 400_000  # labels of which draws are made
SIZE_OF_ERROR = {  # the standard error of a mean error of n normal residuals, relative to it, times sqrt(n)
    "mean_squared_error": math.sqrt(2.0),
    "root_mean_squared_error": math.sqrt(0.5),
    "mean_absolute_error": math.sqrt(math.pi / 2 - 1),
}


def count(units: Array | None, rows: int) -> int:
    """Return the number of units, such as groups, or that of the rows where each is one."""
    return rows if units is None else len(np.unique(units))


def standard_error(metric: Metric, y: Array, units: Array | None = None) -> float:
    """Return the standard error of a score on the rows with these labels, NaN where no formula is known.

    y: `(n,)` class indices or numbers, `(n, k)` labels of 0 and 1; units: `(n,)`, equal for rows that depend on each
    other, which count as one. The difference of the scores of two models has the same standard error where these have
    a correlation of 1/2, as sqrt(2 (1 - 1/2)) = 1.
    """
    name = metric.name.removeprefix("neg_")
    if metric.name not in BY_NAME:  # of a metric of the user's own neither scale nor cost is known
        return math.nan
    if metric.response == "label":
        return _of_labels(metric, y, np.arange(len(y)) if units is None else np.unique(units, return_inverse=True)[1])
    if name == "roc_auc" and y.ndim == 1:
        positives, negatives = (
            count(None if units is None else units[y == label], int((y == label).sum())) for label in (1, 0)
        )
        return _of_area(positives, negatives)
    if name == "r2":
        # Var(R^2) is about 4 R^2 (1 - R^2)^2 / n (Olkin and Finn, 1995, Psychological Bulletin 118)
        return math.sqrt(4 * EXPLAINED * (1 - EXPLAINED) ** 2 / count(units, len(y)))
    return math.nan


def relative_error(metric: Metric, rows: int) -> float:
    """Return the standard error of a mean error relative to it, of normal residuals; NaN for other metrics."""
    return SIZE_OF_ERROR.get(metric.name.removeprefix("neg_"), math.nan) / math.sqrt(rows)


def _of_labels(metric: Metric, y: Array, units: Array) -> float:
    """Return the standard deviation of the metric over draws of predictions (a parametric bootstrap, Efron 1979).

    A row is predicted right with probability r = `RIGHT`, and else as a class by its frequency, so that every class has
    as many predictions as rows. The rows of a unit (numbers from 0) are right together, or one
    guess. Of F1 of one class with P of n rows, P << n, this is sqrt(r (1 - r) ((2 - r)^2 + r) / (4 P)) by the delta
    method: 0.1 for 9 rows.
    """
    if _smallest(y, units) >= MANY:
        return 0.0
    if y.size > LARGEST:
        return math.nan
    draws = int(np.clip(ELEMENTS // y.size, FEWEST_DRAWS, MOST_DRAWS))
    rng = np.random.default_rng(0)
    shape = (draws, *y.shape)
    guesses = rng.permuted(np.broadcast_to(y, shape), axis=1)
    right = rng.random((draws, int(units.max()) + 1, *y.shape[1:])) < RIGHT
    firsts = np.unique(units, return_index=True)[1]
    predicted = np.where(right[:, units], y, guesses[:, firsts][:, units])
    return float(np.std(metric.score_lanes(y, predicted)))


def _smallest(y: Array, units: Array) -> int:
    """Return the number of units that have a row of the class or label with the fewest of them."""
    if y.ndim == 2:
        return min(len(np.unique(units[label == 1])) for label in y.T)
    number = int(units.max()) + 1
    pairs = np.unique(y.astype(np.int64) * number + units)
    return int(np.bincount(pairs // number)[np.unique(y)].min())


def _of_area(positives: int, negatives: int) -> float:
    """Return the standard error of an area under the ROC curve (Hanley and McNeil, 1982, Radiology 143)."""
    if not positives or not negatives:
        return math.nan
    a, q1, q2 = AREA, AREA / (2 - AREA), 2 * AREA**2 / (1 + AREA)
    variance = a * (1 - a) + (positives - 1) * (q1 - a**2) + (negatives - 1) * (q2 - a**2)
    return math.sqrt(variance / (positives * negatives))
