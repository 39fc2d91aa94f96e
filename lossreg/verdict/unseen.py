"""How far two arms may differ on rows of a kind that the test rows do not show.

Where two arms agree on all of n rows, the upper 95% bound of the share of rows on which they differ is 3 / n, the rule
of three. One row on which they differ tells hardly more, and its variance does not say so: an interval of so few rows
is too narrow. Therefore half of the interval is

    sqrt((t s)^2 + (3 w a / n)^2)

with the standard error s, the quantile t, the share a of the n rows on which the two agree in every repeat, and the
weight w of these rows in the score: 1 for a mean over rows; otherwise the rows of each class count by themselves, with
what the score loses where one is predicted wrongly, and the class with the widest bound decides. Where ranks are
scored, a is 2^-d with the number d of rows that have another place, since places differ by degrees. Like the
pseudo-observations of Agresti and Min the second part fades as rows on which the two differ become many: in the designs
of tests/verdict/test_coverage.py it adds up to 2.4% where labels are scored, and nothing where ranks are, but for
rankings that are nearly perfect (16%). Sources: Hanley and Lippman-Hand 1983, If nothing goes wrong, is
everything all right?; Agresti and Min 2005, Simple improved confidence intervals for comparing matched proportions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lossreg.verdict.variation import Array, Sample, is_mean_over_rows, row_scores, scores

RULE_OF_THREE = 3.0
NEGLIGIBLE = 1e-6  # of a bound whose weight takes time
Flags = NDArray[np.bool_]


def half_width(sample: Sample) -> float:
    """Return the half of the interval that rows of another kind add; 0 where every row tells two arms apart.

    That is so where probabilities or numbers are scored. It is computed for labels and ranks.
    """
    if sample.metric.response != "label" and not sample.metric.ranks:
        return 0.0
    if is_mean_over_rows(sample.metric):
        return _bound(sample, (sample.paired(row_scores(sample)) != 0).any(axis=0))
    return _Columns.of(sample).half_width()


def _bound(sample: Sample, differ: Flags, rows: Flags | slice = slice(None), *, is_ranked: bool = False) -> float:
    """Return the bound of the share of these rows' units that are of another kind than the rest.

    It fades with the share of units on which the arms differ. Places in a ranking differ by degrees, and few show by
    how much: each halves it.
    """
    units = len(np.unique(sample.clusters[rows]))
    different = len(np.unique(sample.clusters[rows][differ[rows]]))
    return RULE_OF_THREE / units * (0.5**different if is_ranked else 1 - different / units)


@dataclass(frozen=True, slots=True)
class _Columns:
    """A sample with labels `(n, columns)` and predictions `(2 R, n, columns)`, a column per label or ranked class."""

    sample: Sample
    y: Array
    lanes: Array

    @classmethod
    def of(cls, sample: Sample) -> Self:
        """Return the columns of a sample."""
        y, lanes = sample.y, sample.lanes
        if lanes.ndim == 3 and y.ndim == 1:
            y = np.eye(lanes.shape[2], dtype=np.int64)[y]
        return cls(sample, y.reshape(len(y), -1), lanes.reshape(*lanes.shape[:2], -1))

    @property
    def is_ranked(self) -> bool:
        """True if ranks are scored, False if labels are."""
        return self.sample.metric.ranks

    def half_width(self) -> float:
        """Return the widest bound of the score by the rows of a label."""
        differ, widest = self._reordered() if self.is_ranked else _differ(self.lanes), 0.0
        for column, labels in enumerate(self.y.T):
            for label in np.unique(labels).tolist():
                bound = _bound(self.sample, differ[:, column], labels == label, is_ranked=self.is_ranked)
                if bound > NEGLIGIBLE:
                    widest = max(widest, bound * self._weight(column, label))
        return widest

    def _reordered(self) -> Flags:
        """Return for each row and column whether it has another place among rows of the other label in any repeat."""
        differ = np.zeros(self.y.shape, bool)
        for rows in self.sample.ranked_together():
            for column, labels in enumerate(self.y[rows].T):
                places = np.stack([_places(labels > 0, values) for values in self.lanes[:, rows, column]])
                differ[rows, column] = _differ(places)
        return differ

    def _weight(self, column: int, label: int) -> float:
        """Return what the score loses by one further row of a label that is predicted wrongly, times their number."""
        right, wrong = (self._scored_with(column, label, value) for value in self._predictions(column, label))
        return float(np.abs((right - wrong).mean())) * (1 + int((self.y[:, column] == label).sum()))

    def _predictions(self, column: int, label: int) -> tuple[Array | int, Array | int]:
        """Return the right prediction of a label, and the wrong one that costs most: the rarest of the others."""
        if self.is_ranked:
            values = self.lanes[..., column]
            low, high = values.min(axis=1) - 1, values.max(axis=1) + 1
            return (high, low) if label else (low, high)
        labels, counts = np.unique(self.y[:, column], return_counts=True)
        others = {int(one): int(count) for one, count in zip(labels, counts, strict=True) if one != label}
        return label, min(others, key=others.__getitem__) if others else label + 1

    def _scored_with(self, column: int, label: int, value: Array | int) -> Array:
        """Return the score of each lane with a further row that has this label, and this prediction of it."""
        predicted, sample = self.lanes.min(axis=1, keepdims=True), self.sample
        predicted[:, 0, column] = value
        predicted = predicted.reshape(len(predicted), 1, *sample.lanes.shape[2:])
        y, lanes = np.append(sample.y, self._row(column, label), axis=0), np.append(sample.lanes, predicted, axis=1)
        folds = None if sample.folds is None else np.append(sample.folds, sample.folds.min())
        # places among others are no probabilities, which would be scaled to sum to 1
        metric = replace(sample.metric, response="score") if self.is_ranked else sample.metric
        return scores(metric, y, lanes, folds)

    def _row(self, column: int, label: int) -> Array:
        """Return a further row with this label in a column: no other label, or of the other classes the rarest."""
        if self.sample.y.ndim == 1 and self.y.shape[1] > 1:
            classes = np.where(np.arange(self.y.shape[1]) == column, np.inf, self.y.sum(axis=0))
            return np.array([column if label else classes.argmin()])
        row = np.zeros_like(self.sample.y[:1])
        row[..., column if row.ndim > 1 else 0] = label
        return row


def _differ(lanes: Array) -> Flags:
    """Return for each row and column whether the halves of lanes, which are the arms, differ in any repeat."""
    return np.asarray((lanes[: len(lanes) // 2] != lanes[len(lanes) // 2 :]).any(axis=0))


def _places(is_of: Flags, values: Array) -> NDArray[np.int64]:
    """Return how many values of the other label are below each value, counted twice, ties once."""
    places = np.empty(len(values), np.int64)
    for rows in (is_of, ~is_of):
        others = np.sort(values[~rows])
        places[rows] = np.searchsorted(others, values[rows]) + np.searchsorted(others, values[rows], side="right")
    return places
