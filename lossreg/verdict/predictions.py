"""Predictions of the test rows by arm, in few numbers for pictures, which hold no row: means over the repeats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossreg.contract.scored_labels import labels_of
from lossreg.verdict.comparison import is_finite

Array = NDArray[Any]

MOST_CLASSES = 30  # of a confusion matrix
BINS = 10  # of confidence
POINTS = 101  # of the quantiles of residuals
RECALLS = np.linspace(0.01, 1.0, 100)  # at which precision is told
MOST_NUMBERS = 20_000_000  # of an arm
HALF = 0.5  # the probability above which class 1 of two is decided for
# the value above which it is, by the kind of predictions: log odds stand for classes, and of scores there is none
THRESHOLDS = {"probability": HALF, "label": 0.0, "score": None}


def summary(
    response: str, task: str, y: Array, arms: Mapping[str, Array], *, odds: Mapping[str, Array] | None = None,
    tuned: Mapping[str, Array] | None = None, before: Mapping[str, Array] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return pictures by name, each with its numbers by arm; none of tasks and metrics that have no such picture.

    `repeats` beside them has the number of repeats of each arm that they are of.

    response: the kind of predictions, as metrics have it; arms: `(repeats, rows[, k])` predictions by name, those of
    repeats that were not finished NaN; of metrics that take classes, odds: `(repeats, rows)` log odds of the second of
    two classes, tuned: `(repeats, rows)` classes by a threshold that was tuned in each repeat; before: probabilities
    without the temperature of those in `arms`.
    """
    labels = labels_of(y)
    if labels.ndim != 1 or (response != "value" and task not in ("binary", "multiclass")):
        return {}
    known = _finished(arms)
    if not known:
        return {}
    repeats = {name: len(values) for name, values in known.items()}
    if response == "value":
        residuals = {name: _quantiles(values - labels) for name, values in known.items()}
        return {"residuals": rounded(residuals), "repeats": repeats}
    labels = labels.astype(np.int64)
    pictures: dict[str, Any] = {}
    # a score of two classes may be a probability or none, so that nothing is known of a threshold
    if response != "score" or task == "multiclass":
        decided = {name: _decided(values) for name, values in known.items()}
        classes = int(max(labels.max(), *(values.max() for values in decided.values()))) + 1
        if classes <= MOST_CLASSES:
            pictures["confusion"] = {name: _confusion(labels, values, classes) for name, values in decided.items()}
    if response == "probability":
        with_before = {**known, **_finished(before or {})}
        pictures["reliability"] = {name: _reliability(labels, values) for name, values in with_before.items()}
    if task == "binary":
        ranked, decisions = (_finished(odds or {}), _finished(tuned or {})) if response == "label" else (known, {})
        pictures["precision_recall"] = {
            name: _precision_recall(labels, values, THRESHOLDS[response], decisions.get(name))
            for name, values in ranked.items()
        }
    shown = {name: arms for name, arms in pictures.items() if arms}
    return {name: rounded(one) for name, one in {**shown, "repeats": repeats}.items()} if shown else {}


def rounded(value: Any) -> Any:
    """Return a document with its numbers in six significant digits, as many as a picture can show."""
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _finished(arms: Mapping[str, Array]) -> dict[str, Array]:
    """Return the finished repeats of each arm that has some."""
    return {name: some for name, values in arms.items() if len(some := _some_finite(values))}


def _some_finite(values: Array) -> Array:
    """Return the repeats that were finished, of many rows the first of them."""
    most = max(1, MOST_NUMBERS // max(1, values[0].size)) if len(values) else 0
    return np.asarray(values[np.flatnonzero(is_finite(values))[:most]].astype(np.float64))


def _quantiles(residuals: Array) -> list[float]:
    """Return residuals at equal steps of their share, from the smallest to the largest."""
    quantiles: list[float] = np.quantile(residuals, np.linspace(0, 1, POINTS)).tolist()
    return quantiles


def _decided(values: Array) -> Array:
    """Return the class that is decided for, `(repeats, rows)`."""
    return values.argmax(-1) if values.ndim == 3 else values.astype(np.int64)


def _confusion(labels: Array, decided: Array, classes: int) -> list[list[float]]:
    """Return the mean number of rows by their class (rows) and the one that is predicted (columns)."""
    pairs = (labels * classes + decided).ravel()
    counts = np.bincount(pairs, minlength=classes**2).reshape(classes, classes) / len(decided)
    table: list[list[float]] = counts.tolist()
    return table


def _reliability(labels: Array, values: Array) -> list[list[float]]:
    """Return mean confidence, share that is right, and share of the rows, of bins of the predicted class's probability.

    Of two classes it is the probability of the second, and how often that is the row's class.
    """
    binary = values.shape[-1] == 2
    confidence = values[..., 1] if binary else values.max(-1)
    right = np.broadcast_to(labels, confidence.shape) if binary else values.argmax(-1) == labels
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1).ravel()
    count = np.bincount(bins, minlength=BINS)
    some = count > 0
    sums = [np.bincount(bins, weights=one.ravel().astype(np.float64), minlength=BINS) for one in (confidence, right)]
    columns = [*(one[some] / count[some] for one in sums), count[some] / count.sum()]
    table: list[list[float]] = np.column_stack(columns).tolist()
    return table


def _precision_recall(
    labels: Array, values: Array, threshold: float | None, tuned: Array | None = None
) -> dict[str, list[float]]:
    """Return precision at fixed recalls, its mean over the repeats, and the point of the usual threshold.

    Each repeat has a curve of its own: the scores of one model say nothing of those of another. tuned: classes by
    thresholds that were tuned, which have a point too.
    """
    scores = values[..., 1] if values.ndim == 3 else values
    curves = [_precision(labels, one) for one in scores]
    curve = {"recall": RECALLS.tolist(), "precision": np.mean(curves, axis=0).tolist()}
    decisions = {"at": None if threshold is None else scores > threshold, "at_tuned": tuned}
    points = {name: _point(labels, one > HALF) for name, one in decisions.items() if one is not None}
    return {**curve, **{name: point for name, point in points.items() if point}}


def _precision(labels: Array, scores: Array) -> Array:
    """Return the precision of one repeat at `RECALLS`: that of the highest threshold which has so much recall."""
    from sklearn.metrics import precision_recall_curve

    precision, recall, _ = precision_recall_curve(labels, scores)
    return np.asarray(precision[::-1][np.searchsorted(recall[::-1], RECALLS - 1e-9)])


def _point(labels: Array, decided: Array) -> list[float]:
    """Return mean recall and precision of decisions `(repeats, rows)` for the second class.

    A repeat that decides for no row has no precision; empty where none has.
    """
    hits, count = (decided & (labels == 1)).sum(-1), decided.sum(-1)
    if not count.any():
        return []
    precision = hits[count > 0] / count[count > 0]
    return [float(hits.mean()) / max(1, int((labels == 1).sum())), float(precision.mean())]
