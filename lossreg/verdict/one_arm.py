"""A metric of one arm on the test rows, with the interval that few rows leave it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossreg.contract.scored_labels import labels_of
from lossreg.metrics.catalogue import Metric
from lossreg.storage.verdict import Value
from lossreg.verdict import unseen, variation
from lossreg.verdict.variation import Array, Floats, Sample

RESAMPLES, FEWEST, ELEMENTS = 400, 100, 4e8


def value(
    metric: Metric, y: NDArray[Any], lanes: NDArray[Any], *, units: NDArray[Any] | None = None,
    folds: NDArray[np.int64] | None = None, seed: int = 0,
) -> Value | None:  # fmt: skip
    """Return the metric of predictions `(repeats, n, ...)`; None where it has no value.

    units: `(n,)` of the rows, which are resampled together, None where each is by itself; folds: as `variation.scores`.
    The interval is that of a bootstrap. Where all rows of a class are predicted right, or all wrong, resamples do not
    differ; so of labels and ranks it reaches further, by what rows that are not shown may change (`unseen`).
    """
    clusters = np.arange(len(y)) if units is None else np.unique(units, return_inverse=True)[1]
    sample, of_repeats = Sample(metric, y, lanes, clusters, folds), variation.scores(metric, y, lanes, folds)
    if not len(of_repeats) or not np.isfinite(of_repeats).all():
        return None
    means = _resampled(sample, seed)
    return None if means is None else Value(*_interval(sample, float(of_repeats.mean()), means), len(lanes))


def _interval(sample: Sample, mean: float, means: Floats) -> tuple[float, float, float]:
    """Return a mean and the interval of the means of resamples, which does not go beyond what the metric can be."""
    metric, (worse, better) = sample.metric, _unseen(sample)
    below, above = (worse, better) if metric.direction == "maximize" else (better, worse)
    low, high = np.percentile(means, [2.5, 97.5]).tolist()
    low, high = mean - math.hypot(mean - min(low, mean), below), mean + math.hypot(max(high, mean) - mean, above)
    if metric.worst is not None:
        least, most = sorted((metric.worst, metric.best))
        low, high = max(low, least), min(high, most)
    return mean, low, high


def _resampled(sample: Sample, seed: int) -> Floats | None:
    """Return the mean score of each resample with a row of each class; None where most resamples have no score.

    Where most lack a class, as with classes of a single row, all count.
    """
    metric, y, lanes, folds = sample.metric, sample.y, sample.lanes, sample.folds
    labels, means, is_whole = labels_of(y), [], []
    classes = _count(labels) if variation.hangs_on_classes(metric) else 0
    for rows in _drawn(sample.clusters, seed, len(lanes)):
        drawn = variation.scores(metric, y[rows], lanes[:, rows], None if folds is None else folds[rows])
        means.append(drawn.mean())
        is_whole.append(not classes or _count(labels[rows]) == classes)
    scores, known = np.array(means), np.isfinite(means)
    if 2 * known.sum() < len(scores):
        return None
    whole = known & is_whole
    kept: Floats = scores[whole if 2 * whole.sum() >= len(scores) else known]
    return kept


def _count(labels: Array) -> int:
    """Return the number of classes, of several labels per row those of each."""
    return sum(len(np.unique(column)) for column in labels.reshape(len(labels), -1).T)


def _drawn(clusters: NDArray[np.int64], seed: int, lanes: int) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of each resample: units drawn with replacement, with all of their rows."""
    rows, order = len(clusters), np.argsort(clusters, kind="stable")
    rng, count = np.random.default_rng(seed), int(np.clip(ELEMENTS / (rows * lanes), FEWEST, RESAMPLES))
    parts = np.split(order, np.flatnonzero(np.diff(clusters[order])) + 1)
    is_single = len(parts) == rows
    for _ in range(count):
        drawn = rng.integers(len(parts), size=len(parts))
        yield order[drawn] if is_single else np.concatenate([parts[i] for i in drawn])


def _unseen(sample: Sample) -> tuple[float, float]:
    """Return by how much rows of a kind that these do not show may worsen a metric of labels or ranks, and better it.

    That bounds the difference from an arm that is right everywhere, and from one that is wrong everywhere.
    """
    metric, lanes, labels = sample.metric, sample.lanes, labels_of(sample.y)
    if metric.response != "label" and not metric.ranks:
        return 0.0, 0.0
    is_of_classes = metric.ranks and lanes.ndim == 3 and labels.ndim == 1
    right = np.broadcast_to(np.eye(lanes.shape[-1])[labels] if is_of_classes else labels, lanes.shape)
    wrong = 1 - right if metric.ranks else np.where(lanes == right, right == 0, lanes)
    worse, better = (unseen.bound(replace(sample, lanes=np.concatenate([lanes, other]))) for other in (right, wrong))
    return worse, better
