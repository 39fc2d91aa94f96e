"""Metrics of many lanes at once, in NumPy: labels `(n,)` and stacked predictions `(lanes, n[, k])` to `(lanes,)`.

Each equals scikit-learn's function on every lane. Labels and predicted classes are indices
from 0; the probabilities of a sample sum to 1. Labels of a multilabel task are `(n, k)` of 0 and 1, and
so are their predictions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Quotient = Callable[[Floats, Floats, Floats], tuple[Floats, Floats]]
EPS = float(np.finfo(np.float64).eps)


def _sum(values: NDArray[Any]) -> Floats:
    """Return the sums over the last axis."""
    sums: Floats = values.sum(axis=-1, dtype=np.float64)
    return sums


def _mean(values: NDArray[Any]) -> Floats:
    """Return the means over the last axis."""
    means: Floats = values.mean(axis=-1, dtype=np.float64)
    return means


# ------------------------------------------------------------------ predicted classes


def _confusions(y: Indices, lanes: Indices) -> Floats:
    """Return confusion matrices `(lanes, k, k)`: true classes by predicted classes."""
    k = int(max(y.max(), lanes.max())) + 1
    if k <= 2:
        return _two_by_two(y.astype(bool), lanes.astype(bool))
    cells = (np.arange(len(lanes))[:, None] * k + y) * k + lanes
    return np.bincount(cells.ravel(), minlength=len(lanes) * k * k).reshape(-1, k, k).astype(np.float64)


def _two_by_two(y: NDArray[np.bool_], lanes: NDArray[np.bool_]) -> Floats:
    """Return the confusion matrices of two classes, without a cell number for each pixel of a mask."""
    hits, predicted, positive = _sum(y & lanes), _sum(lanes), float(y.sum())
    true_negative, false_positive = len(y) - positive - predicted + hits, predicted - hits
    return np.stack([true_negative, false_positive, positive - hits, hits], axis=-1).reshape(-1, 2, 2)


def _tallies(y: Indices, lanes: Indices) -> tuple[Floats, Floats, Floats]:
    """Return the hits, samples and predictions of each class or label, each `(lanes, k)`."""
    if y.ndim == 2:
        return _overlaps(y, lanes, axis=0)
    counts = _confusions(y, lanes)
    return np.diagonal(counts, axis1=1, axis2=2), counts.sum(axis=2), counts.sum(axis=1)


def _overlaps(y: Indices, lanes: Indices, axis: int) -> tuple[Floats, Floats, Floats]:
    """Return hits, samples and predictions per label (axis 0), or hits, labels and predictions per sample (axis 1)."""
    hits, predicted = (values.sum(axis=axis + 1, dtype=np.float64) for values in (y & lanes, lanes))
    return hits, np.broadcast_to(y.sum(axis=axis, dtype=np.float64), hits.shape), predicted


def _ratio(top: Floats, bottom: Floats) -> Floats:
    """Return the quotient, 0 where the denominator is 0."""
    return np.divide(top, bottom, out=np.zeros(np.broadcast(top, bottom).shape), where=bottom != 0)


def f1(hits: Floats, actual: Floats, predicted: Floats) -> tuple[Floats, Floats]:
    """Return numerator and denominator of the F1 score per class."""
    return 2 * hits, actual + predicted


def precision(hits: Floats, actual: Floats, predicted: Floats) -> tuple[Floats, Floats]:
    """Return numerator and denominator of the precision per class."""
    return hits, predicted


def recall(hits: Floats, actual: Floats, predicted: Floats) -> tuple[Floats, Floats]:
    """Return numerator and denominator of the recall per class."""
    return hits, actual


def jaccard(hits: Floats, actual: Floats, predicted: Floats) -> tuple[Floats, Floats]:
    """Return numerator and denominator of the Jaccard index per class."""
    return hits, actual + predicted - hits


def averaged(quotient: Quotient, average: str, y: Indices, lanes: Indices) -> Floats:
    """Return a quotient of tallies, averaged as scikit-learn does with `zero_division=0`.

    The mean is over the classes that occur; in a multilabel task over all labels, or ("samples") over samples.
    """
    if average == "samples":
        return _mean(_ratio(*quotient(*_overlaps(y, lanes, axis=1))))
    hits, actual, predicted = _tallies(y, lanes)
    top, bottom = quotient(hits, actual, predicted)
    if average == "binary":
        return _ratio(top, bottom)[:, 1] if top.shape[1] > 1 else np.zeros(len(lanes))
    if average == "micro":
        return _ratio(_sum(top), _sum(bottom))
    occurs = actual + predicted > 0 if y.ndim == 1 else np.ones(actual.shape)
    weights = actual if average == "weighted" else occurs.astype(np.float64)
    return _ratio(_sum(_ratio(top, bottom) * weights), _sum(weights))


def accuracy(y: Indices, lanes: Indices) -> Floats:
    """Return the share of samples that are right; in a multilabel task, in all labels."""
    return _mean(lanes == y if y.ndim == 1 else (lanes == y).all(axis=-1))


def hamming(y: Indices, lanes: Indices) -> Floats:
    """Return the share of labels that are wrong in a multilabel task."""
    return _mean((lanes != y).reshape(len(lanes), -1))


def balanced_accuracy(y: Indices, lanes: Indices) -> Floats:
    """Return the mean recall of the classes in `y`."""
    hits, actual, _ = _tallies(y, lanes)
    return _sum(_ratio(hits, actual)) / _sum(actual > 0)


def matthews(y: Indices, lanes: Indices) -> Floats:
    """Return the correlation of labels and predictions, 0 where either is constant."""
    hits, actual, predicted = _tallies(y, lanes)
    n = float(len(y))
    covariance = _sum(hits) * n - _sum(actual * predicted)
    return _ratio(covariance, np.sqrt((n**2 - _sum(predicted**2)) * (n**2 - _sum(actual**2))))


def kappa(y: Indices, lanes: Indices) -> Floats:
    """Return Cohen's kappa, the agreement beyond chance; 0 where labels and predictions are a single class."""
    hits, actual, predicted = _tallies(y, lanes)
    expected = _sum(actual * predicted) / len(y)
    return _ratio(_sum(hits) - expected, len(y) - expected)


def kappa_quadratic(y: Indices, lanes: Indices) -> Floats:
    """Return Cohen's kappa of ordered classes with errors weighted by squared distance; 0 for a single class."""
    counts = _confusions(y, lanes)
    classes = np.arange(counts.shape[1])
    weights = (classes[:, None] - classes) ** 2.0
    expected = counts.sum(axis=2)[:, :, None] * counts.sum(axis=1)[:, None, :] / len(y)
    observed, by_chance = ((weights * table).sum(axis=(1, 2)) for table in (counts, expected))
    return np.where(by_chance > 0, 1 - _ratio(observed, by_chance), 0.0)


# ------------------------------------------------------------------ probabilities and decision values


def log_loss(y: Indices, lanes: Floats) -> Floats:
    """Return the mean negative log probability, with probabilities clipped to a rounding error from 0 and 1."""
    right = np.clip(lanes[:, np.arange(len(y)), y], EPS, 1 - EPS)
    return -_mean(np.log(right))


def brier(y: Indices, lanes: Floats) -> Floats:
    """Return the mean squared error of probabilities, summed over classes; of two, of the positive class only."""
    k = lanes.shape[2]
    total = _mean(_sum((lanes - np.eye(k)[y]) ** 2))
    return total / 2 if k == 2 else total


def _areas(positive: NDArray[np.bool_], lanes: Floats) -> Floats:
    """Return the area under the ROC curve of decision values `(..., n)`, by rank sums; ties count half."""
    from scipy.stats import rankdata

    ones = int(positive.sum())
    ranks: Floats = rankdata(lanes, axis=-1)
    above = _sum(ranks[..., positive]) - ones * (ones + 1) / 2
    return above / (ones * (len(positive) - ones))


def _over_labels(measure: Callable[[NDArray[np.bool_], Floats], Floats], y: Indices, lanes: Floats) -> Floats:
    """Return a measure of decision values `(lanes, n)`; of several labels, `(lanes, n, k)`, its mean over labels."""
    if y.ndim == 1:
        return measure(y == 1, lanes)
    return _mean(np.stack([measure(y[:, c] == 1, lanes[..., c]) for c in range(y.shape[1])], axis=1))


def roc_auc(y: Indices, lanes: Floats) -> Floats:
    """Return the area under the ROC curve."""
    return _over_labels(_areas, y, lanes)


def average_precision(y: Indices, lanes: Floats) -> Floats:
    """Return the mean precision at each positive sample, in descending order; equal values count together."""
    return _over_labels(_precisions, y, lanes)


def _precisions(positive: NDArray[np.bool_], lanes: Floats) -> Floats:
    order = np.argsort(-lanes, axis=-1, kind="stable")
    values, hits = np.take_along_axis(lanes, order, -1), positive[order]
    n = lanes.shape[-1]
    # the end of a sample's run of equal values: the nearest end at or after it
    ends = np.concatenate([values[..., 1:] != values[..., :-1], np.ones((*lanes.shape[:-1], 1), bool)], axis=-1)
    last = np.minimum.accumulate(np.where(ends, np.arange(n), n)[..., ::-1], axis=-1)[..., ::-1]
    precision = np.take_along_axis(hits.cumsum(axis=-1), last, -1) / (last + 1)
    return _ratio(_sum(precision * hits), _sum(hits))


def roc_auc_ovr(weighted: bool, y: Indices, lanes: Floats) -> Floats:
    """Return the mean area of each class against the rest; of two classes, the area of the positive one."""
    k = lanes.shape[2]
    if k == 2:
        return _areas(y == 1, lanes[..., 1])
    areas = np.stack([_areas(y == c, lanes[..., c]) for c in range(k)], axis=1)
    weights = np.bincount(y, minlength=k) / len(y) if weighted else np.full(k, 1 / k)
    return _sum(areas * weights)


def roc_auc_ovo(weighted: bool, y: Indices, lanes: Floats) -> Floats:
    """Return the mean area of each class against each other; of two classes, the area of the positive one."""
    k = lanes.shape[2]
    if k == 2:
        return _areas(y == 1, lanes[..., 1])
    pairs = [(a, b, (y == a) | (y == b)) for a in range(k) for b in range(a)]
    areas = np.stack([_pair_area(a, b, y[either], lanes[:, either]) for a, b, either in pairs], axis=1)
    weights = np.array([either.mean() if weighted else 1.0 for _, _, either in pairs])
    return _sum(areas * (weights / weights.sum()))


def _pair_area(a: int, b: int, y: Indices, lanes: Floats) -> Floats:
    """Return the area between two classes, the mean of those by the probability of either."""
    return (_areas(y == a, lanes[..., a]) + _areas(y == b, lanes[..., b])) / 2


def log_loss_explained(y: Indices, lanes: Floats) -> Floats:
    """Return the share of the log loss of the class frequencies that is explained."""
    return _explained(log_loss(y, lanes), float(log_loss(y, _frequencies(y, lanes))[0]))


def brier_explained(y: Indices, lanes: Floats) -> Floats:
    """Return the share of the Brier score of the class frequencies that is explained."""
    return _explained(brier(y, lanes), float(brier(y, _frequencies(y, lanes))[0]))


def _frequencies(y: Indices, lanes: Floats) -> Floats:
    """Return the share of each class in `y` as the probabilities `(1, n, k)` of every sample."""
    return np.broadcast_to(np.bincount(y, minlength=lanes.shape[2]) / len(y), (1, *lanes.shape[1:]))


def top_two(y: Indices, lanes: Floats) -> Floats:
    """Return the share of samples whose class is among the two highest; of equal values the last counts as higher."""
    best = np.argsort(lanes, axis=2, kind="stable")[..., -2:]
    return _mean((best == y[:, None]).any(axis=2))


# ------------------------------------------------------------------ values


def squared(y: Floats, lanes: Floats) -> Floats:
    """Return the mean squared error."""
    errors = lanes - y
    return _mean(errors * errors)


def root_squared(y: Floats, lanes: Floats) -> Floats:
    """Return the root of the mean squared error."""
    return np.sqrt(squared(y, lanes))


def absolute(y: Floats, lanes: Floats) -> Floats:
    """Return the mean absolute error."""
    return _mean(np.abs(lanes - y))


def median(y: Floats, lanes: Floats) -> Floats:
    """Return the median absolute error."""
    errors: Floats = np.median(np.abs(lanes - y), axis=1)
    return errors


def largest(y: Floats, lanes: Floats) -> Floats:
    """Return the largest absolute error."""
    errors: Floats = np.abs(lanes - y).max(axis=1)
    return errors


def percentage(y: Floats, lanes: Floats) -> Floats:
    """Return the mean absolute error relative to the target."""
    return _mean(np.abs(lanes - y) / np.maximum(np.abs(y), EPS))


def absolute_explained(y: Floats, lanes: Floats) -> Floats:
    """Return the share of the absolute error of the median that is explained."""
    return _explained(absolute(y, lanes), float(np.abs(y - np.median(y)).mean()))


def squared_log(y: Floats, lanes: Floats) -> Floats:
    """Return the mean squared error of log(1 + value)."""
    return squared(np.log1p(y), np.log1p(lanes))


def root_squared_log(y: Floats, lanes: Floats) -> Floats:
    """Return the root of the mean squared error of log(1 + value)."""
    return np.sqrt(squared_log(y, lanes))


def poisson(y: Floats, lanes: Floats) -> Floats:
    """Return the mean Poisson deviance."""
    from scipy.special import xlogy

    deviances: Floats = xlogy(y, y / lanes) - y + lanes
    return 2 * _mean(deviances)


def gamma(y: Floats, lanes: Floats) -> Floats:
    """Return the mean gamma deviance."""
    ratio = y / lanes
    return 2 * _mean(ratio - np.log(ratio) - 1)


def r2(y: Floats, lanes: Floats) -> Floats:
    """Return the share of the variance explained."""
    return _explained(squared(y, lanes), float(y.var()))


def explained_variance(y: Floats, lanes: Floats) -> Floats:
    """Return the share of the variance explained, whatever the constant offset."""
    return _explained((y - lanes).var(axis=1), float(y.var()))


def _explained(residual: Floats, total: float) -> Floats:
    """Return `1 - residual / total`; for a constant target, 1 for a perfect lane and 0 for others."""
    return 1 - residual / total if total else np.where(residual == 0, 1.0, 0.0)
