"""A bound on the difference of two arms on rows of a kind that the test rows do not show.

Where two arms agree on all of n rows, the upper 95% bound of the share of rows on which they differ is 3 / n, the rule
of three. One row on which they differ tells little more, and its variance does not say so. The bound is

    3 w 2^-d / n

with the number d of rows on which the two differ (a row on which they do in a part of the repeats counts as that part),
and the weight w of these rows in the score: 1 for a mean over rows; otherwise the rows of each class count by
themselves, with what the score loses where one is predicted wrongly, and the class with the widest bound decides. Where
ranks are scored, d counts the rows that have another place in any repeat, since places differ by degrees.

"Practically equal" needs an interval that lies within the margin with all of the bound. In the interval itself is a
sixth, half a row, as in a correction for continuity; both are added in quadrature. Simulated with two losses that are
one (`studies/benchmarks/verdict.py`), 300 to 2,000 rows, one split, accuracy and macro F1, intervals cover in .90 to
.95 without it, in .94 to .98 with half a row, and with all of the bound in up to .995, where they are three times as
wide. Arms that differ on few rows, and there completely, are the price: made up so that one of them is right on 2% of
60 rows, and both hardly ever err elsewhere, intervals cover in .72, and with all of the bound in all studies.

Sources: Hanley and Lippman-Hand 1983, If nothing goes wrong, is everything all right?; Agresti and Min 2005, Simple
improved confidence intervals for comparing matched proportions, on what few rows that differ do to an interval.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lossreg.contract.scored_labels import labels_of, like
from lossreg.verdict.variation import Array, Sample, is_mean_over_rows, row_scores, scores

RULE_OF_THREE = 3.0
HALF_A_ROW = 1 / 6  # of the bound: w / (2 n)
NEGLIGIBLE = 1e-6  # of a share whose weight takes time
Flags = NDArray[np.bool_]


def bound(sample: Sample) -> float:
    """Return by how much rows of another kind may change the difference; 0 where every row tells two arms apart.

    That is so where probabilities or numbers are scored. It is computed for labels and ranks.
    """
    if sample.metric.response != "label" and not sample.metric.ranks:
        return 0.0
    if is_mean_over_rows(sample.metric):
        return _share(sample, (sample.paired(row_scores(sample)) != 0).mean(axis=0))
    return _Columns.of(sample).bound()


def _share(sample: Sample, differ: Array, rows: Flags | slice = slice(None)) -> float:
    """Return the largest share of these rows' units that may be of another kind than the rest.

    differ: for each row the share of repeats in which the arms differ on it. Each row on which they do in all repeats
    halves it.
    """
    units, of_row = np.unique(sample.clusters[rows], return_inverse=True)
    different = np.zeros(len(units))
    np.maximum.at(different, of_row, differ[rows])
    return float(RULE_OF_THREE / len(units) * 0.5 ** different.sum())


@dataclass(frozen=True, slots=True)
class _Columns:
    """A sample with labels `(n, columns)` and predictions `(2 R, n, columns)`, a column per label or ranked class."""

    sample: Sample
    y: Array
    lanes: Array

    @classmethod
    def of(cls, sample: Sample) -> Self:
        """Return the columns of a sample."""
        y, lanes = labels_of(sample.y), sample.lanes
        if lanes.ndim == 3 and y.ndim == 1:
            y = np.eye(lanes.shape[2], dtype=np.int64)[y]
        return cls(sample, y.reshape(len(y), -1), lanes.reshape(*lanes.shape[:2], -1))

    @property
    def is_ranked(self) -> bool:
        """True if ranks are scored, False if labels are."""
        return self.sample.metric.ranks

    def bound(self) -> float:
        """Return the widest bound of the score by the rows of a label."""
        differ, widest = self._reordered() if self.is_ranked else _differ(self.lanes), 0.0
        for column, labels in enumerate(self.y.T):
            for label in np.unique(labels).tolist():
                share = _share(self.sample, differ[:, column], labels == label)
                if share > NEGLIGIBLE:
                    widest = max(widest, share * self._weight(column, label))
        return widest

    def _reordered(self) -> Array:
        """Return for each row and column 1 if it has another place among rows of the other label in any repeat."""
        differ = np.zeros(self.y.shape)
        for rows in self.sample.ranked_together():
            for column, labels in enumerate(self.y[rows].T):
                places = np.stack([_places(labels > 0, values) for values in self.lanes[:, rows, column]])
                differ[rows, column] = _differ(places) > 0
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
        y, lanes = (
            np.append(sample.y, like(sample.y, self._row(column, label)), axis=0),
            np.append(sample.lanes, predicted, axis=1),
        )
        folds = None if sample.folds is None else np.append(sample.folds, sample.folds.min())
        # places among others are no probabilities, which would be scaled to sum to 1
        metric = replace(sample.metric, response="score") if self.is_ranked else sample.metric
        return scores(metric, y, lanes, folds)

    def _row(self, column: int, label: int) -> Array:
        """Return a further row with this label in a column: no other label, or of the other classes the rarest."""
        y = labels_of(self.sample.y)
        if y.ndim == 1 and self.y.shape[1] > 1:
            classes = np.where(np.arange(self.y.shape[1]) == column, np.inf, self.y.sum(axis=0))
            return np.array([column if label else classes.argmin()])
        row = np.zeros_like(y[:1])
        row[..., column if row.ndim > 1 else 0] = label
        return row


def _differ(lanes: Array) -> Array:
    """Return for each row and column in what share of repeats the halves of lanes, which are the arms, differ."""
    return np.asarray((lanes[: len(lanes) // 2] != lanes[len(lanes) // 2 :]).mean(axis=0))


def _places(is_of: Flags, values: Array) -> NDArray[np.int64]:
    """Return how many values of the other label are below each value, counted twice, ties once."""
    places = np.empty(len(values), np.int64)
    for rows in (is_of, ~is_of):
        others = np.sort(values[~rows])
        places[rows] = np.searchsorted(others, values[rows]) + np.searchsorted(others, values[rows], side="right")
    return places
