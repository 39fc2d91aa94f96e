"""The noise of a score: by how much it would vary with other validation rows, for a model of usual quality."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri, softmax, xlogy

from lossreg.metrics.catalogue import BY_NAME, Metric

Array = NDArray[Any]

RIGHT = 0.8  # of the rows are predicted as they are; the others, a class at random
AREA = 0.8  # under the ROC curve
EXPLAINED = 0.5  # of the variance
MOST_DRAWS, FEWEST_DRAWS, ELEMENTS = 400, 25, 2_000_000
MANY = 400  # rows of every class, from which the noise does not matter: 0.02 of F1 of one class
LARGEST = 400_000  # labels of which draws are made
UPPER_QUARTILE = 0.6744897501960817  # of the standard normal distribution: the median of its absolute values
# standard errors times sqrt(n), of normal predictions and residuals
OF_R2 = math.sqrt(4 * EXPLAINED) * (1 - EXPLAINED)  # Olkin and Finn 1995, Psychological Bulletin 118
SIZE = {"r2": OF_R2, "explained_variance": OF_R2}
RELATIVE_SIZE = {  # of a mean error, relative to it
    "mean_squared_error": math.sqrt(2.0),
    "root_mean_squared_error": math.sqrt(0.5),
    "mean_absolute_error": math.sqrt(math.pi / 2 - 1),
    "mean_absolute_percentage_error": math.sqrt(math.pi / 2 - 1),  # relative residuals are normal
    "mean_squared_log_error": math.sqrt(2.0),  # residuals of log(1 + value) are normal
    "root_mean_squared_log_error": math.sqrt(0.5),
    # 1 / (2 f(m)) over m, of the density f of absolute values at their median m
    "median_absolute_error": math.sqrt(math.pi / 8) * math.exp(UPPER_QUARTILE**2 / 2) / UPPER_QUARTILE,
}
OF_PROBABILITIES = ("log_loss", "brier_score")  # mean errors whose noise is relative to them


def _of_absolute_errors() -> float:
    """Return the standard error of 1 - A / B times sqrt(n), A and B mean absolute errors of a model and of the median.

    By the delta method: residuals correlate with the target by r = sqrt(1 - R^2), and absolute values of normal
    variables by c = (sqrt(1 - r^2) + r asin r - 1) / (pi / 2 - 1).
    """
    r = math.sqrt(1 - EXPLAINED)
    c = (math.sqrt(1 - r**2) + r * math.asin(r) - 1) / (math.pi / 2 - 1)
    return r * math.sqrt(2 * (math.pi / 2 - 1) * (1 - c))


SIZE["d2_absolute_error_score"] = _of_absolute_errors()


def count(units: Array | None, rows: int) -> int:
    """Return the number of units, such as groups, or that of the rows where each is one."""
    return rows if units is None else len(np.unique(units))


def standard_error(metric: Metric, y: Array, units: Array | None = None) -> float:
    """Return the standard error of a score on the rows with these labels, NaN where it is relative, or none is known.

    y: `(n,)` class indices or numbers, `(n, k)` labels of 0 and 1; units: `(n,)`, equal for rows that depend on each
    other, which count as one. The difference of the scores of two models has the same standard error where these have
    a correlation of 1/2, as sqrt(2 (1 - 1/2)) = 1.
    """
    name = metric.name.removeprefix("neg_")
    # of a metric of the user's own neither scale nor cost is known
    if metric.name not in BY_NAME or name in OF_PROBABILITIES:
        return math.nan
    if metric.response == "value":
        return SIZE.get(name, math.nan) / math.sqrt(count(units, len(y)))
    if name == "roc_auc" and y.ndim == 1:
        positives, negatives = (
            count(None if units is None else units[y == label], int((y == label).sum())) for label in (1, 0)
        )
        return _of_area(positives, negatives)
    return _of_draws(metric, y, units)[1]


def relative_error(metric: Metric, y: Array, units: Array | None = None) -> float:
    """Return the standard error of a mean error relative to it, NaN for other metrics; arguments as above."""
    name, number = metric.name.removeprefix("neg_"), count(units, len(y))
    if metric.name not in BY_NAME:
        return math.nan
    if name in OF_PROBABILITIES:
        mean, error = _of_draws(metric, y, units)
        return error / abs(mean) if mean else 0.0
    if name == "max_error":
        return _of_largest(number)
    if name in ("mean_poisson_deviance", "mean_gamma_deviance"):
        return _of_deviances(np.asarray(y, np.float64), name) / math.sqrt(number)
    return RELATIVE_SIZE.get(name, math.nan) / math.sqrt(number)


def falls_with_rows(metric: Metric) -> bool:
    """Return whether the error falls with the square root of the rows, as it does but for that of the largest."""
    return metric.name.removeprefix("neg_") != "max_error"


def _of_largest(number: int) -> float:
    """Return the relative standard error of the largest of absolute values of a normal distribution.

    It has the distribution function (2 Phi(x) - 1)^n; a grid of its quantiles gives mean and deviation.
    """
    quantiles = ndtri((1 + ((np.arange(1000) + 0.5) / 1000) ** (1 / number)) / 2)
    return float(quantiles.std() / quantiles.mean())


def _of_deviances(y: Array, name: str) -> float:
    """Return the deviation of the deviances of rows relative to their mean, of a model that predicts the mean."""
    mean = float(y.mean())
    if mean <= 0:
        return math.nan
    deviances = xlogy(y, y / mean) - y + mean if name == "mean_poisson_deviance" else y / mean - 1 - np.log(y / mean)
    return float(deviances.std() / deviances.mean()) if deviances.any() else math.nan


def _of_draws(metric: Metric, y: Array, units: Array | None) -> tuple[float, float]:
    """Return mean and standard deviation of a metric of classes over draws of predictions (bootstrap, Efron 1979)."""
    numbers = np.arange(len(y)) if units is None else np.unique(units, return_inverse=True)[1]
    if _smallest(y, numbers) >= MANY:
        return 1.0, 0.0
    fewest = 2 if "binary" in metric.tasks else 3
    classes = max(int(y.max()) + 1, fewest) if y.ndim == 1 else 2
    size = y.size * (classes if classes > 2 and metric.response != "label" else 1)
    if size > LARGEST:
        return math.nan, math.nan
    draws, at_once = int(np.clip(ELEMENTS // size, FEWEST_DRAWS, MOST_DRAWS)), max(1, ELEMENTS // size)
    rng, scores = np.random.default_rng(0), np.empty(0)
    while len(scores) < draws:
        number = min(at_once, draws - len(scores))
        if metric.response == "label":
            predicted = _labels(y, numbers, number, rng)
        else:
            predicted = _predictions(metric.response, _raw_scores(y, numbers, number, classes, rng), classes)
        scores = np.append(scores, metric.score_lanes(y, predicted))
    return float(scores.mean()), float(scores.std())


def _predictions(response: str, raw_scores: Array, classes: int) -> Array:
    """Return raw scores as a metric takes them."""
    if classes > 2:
        return np.asarray(softmax(raw_scores, axis=-1))
    if response == "score":
        return raw_scores
    return np.stack([expit(-raw_scores), expit(raw_scores)], axis=-1)


def _labels(y: Array, units: Array, draws: int, rng: np.random.Generator) -> Array:
    """Return draws of predicted classes or labels.

    A row is predicted right with probability r = `RIGHT`, and else as a class by its frequency, so that every class has
    as many predictions as rows. The rows of a unit (numbers from 0) are right together, or one
    guess. Of F1 of one class with P of n rows, P << n, the error is sqrt(r (1 - r) ((2 - r)^2 + r) / (4 P)) by the
    delta method: 0.1 for 9 rows.
    """
    guesses = rng.permuted(np.broadcast_to(y, (draws, *y.shape)), axis=1)
    right = rng.random((draws, int(units.max()) + 1, *y.shape[1:])) < RIGHT
    firsts = np.unique(units, return_index=True)[1]
    predicted: Array = np.where(right[:, units], y, guesses[:, firsts][:, units])
    return predicted


def _raw_scores(y: Array, units: Array, draws: int, classes: int, rng: np.random.Generator) -> Array:
    """Return draws of log probabilities up to a constant; of two classes, and of several labels, log odds.

    They are those of normal features, one per class, with the mean d for rows of the class and 0 for others, which is
    the model of linear discriminant analysis: d x_j + log p_j. Any two classes have the area `AREA` between them, for
    which d is the quantile of `AREA`. The rows of a unit have the same deviations.
    """
    d, number = float(ndtri(AREA)), int(units.max()) + 1
    if classes > 2:
        shares = np.maximum(np.bincount(y, minlength=classes), 1) / len(y)
        noise = rng.normal(size=(draws, number, classes))[:, units]
        return np.asarray(d * (d * np.eye(classes)[y] + noise) + np.log(shares))
    share = np.clip(y.mean(axis=0), 0.5 / len(y), 1 - 0.5 / len(y))
    noise = math.sqrt(2.0) * rng.normal(size=(draws, number, *y.shape[1:]))[:, units]
    return np.asarray(d * (d * (2 * y - 1) + noise) + np.log(share / (1 - share)))


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
