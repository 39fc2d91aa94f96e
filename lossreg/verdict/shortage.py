"""The rows that a verdict needs, counted before any of them is predicted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lossreg.data.dataset import Dataset
from lossreg.errors import InputError
from lossreg.metrics.catalogue import Metric
from lossreg.verdict import answers, variation
from lossreg.verdict.comparison import FEWEST

# outer folds of a study that names none, if it has fewer rows than that and they take little time
USUAL, MOST_ROWS = 5, 2000
START = "no verdict on a difference is possible, and the baseline is kept"
ALL_TESTED = f"verdict.outer = {USUAL}, which tests every row once,"


class _Counts(NamedTuple):
    """The rows of a study, and those of each class or with each label; or its groups, as `what` says."""

    total: int
    of_classes: dict[str, int]
    what: str = "rows"

    @property
    def reason(self) -> str:
        """Why they are not enough; empty where they are."""
        return answers.shortage(*self)

    def remedy(self, task: str) -> str:
        """Return what would make them enough; rare classes are merged where two classes would then be left."""
        if self.total < answers.FEWEST_ROWS:
            return f"more {self.what}"
        others = sum(self.of_classes.values()) - max(self.of_classes.values())
        may_merge = task == "multiclass" and self.what == "rows" and others >= answers.FEWEST_OF_CLASS
        return f"more {self.what} of rare classes{', or these merged with others,' * may_merge}"


def foreseen(dataset: Dataset, metric: Metric, outer: int | None) -> str:
    """Return why a study will have no verdict on a difference, and what would allow one; empty where it may have one.

    outer: the outer folds that the study asks for, 0 for none, None where it names no number.
    """
    counts = _counts_of(dataset)
    if reason := counts.reason:
        return f"{START}: {reason}; {counts.remedy(dataset.task)} would allow one"
    layout, rows = dataset.rows.layout, len(dataset.rows.labels.y)
    may_have_folds = outer is None and not layout.is_fixed and rows < MOST_ROWS
    reason = "" if outer or may_have_folds else of_test_rows(dataset, metric)
    remedy = "more test rows" if layout.times is not None else ALL_TESTED
    return f"{START}: {reason}; {remedy} would allow one" if reason else ""


def of_rows(dataset: Dataset) -> str:
    """Return why the data do not allow a verdict; empty where they do."""
    return _counts_of(dataset).reason


def _counts_of(dataset: Dataset) -> _Counts:
    if dataset.loaded and dataset.loaded.layout.grouped:
        y = dataset.loaded.labels.y.reshape(len(dataset.loaded.labels.y), -1)
        counts = (
            {} if dataset.spatial_shape else dict(zip(dataset.classes, _counts(dataset, y, slice(None)), strict=True))
        )
        return _Counts(_independent(dataset, np.ones(len(y), bool)), counts, "groups")
    facts = dataset.summary()
    return _Counts(sum(facts["rows"].values()), {} if dataset.spatial_shape else facts["classes"])


def _independent(dataset: Dataset, mask: np.ndarray, rows: np.ndarray | slice = slice(None)) -> int:
    """Return how many of these rows are in a mask, or how many groups, if the study names them."""
    layout = dataset.loaded.layout if dataset.loaded else None
    groups = layout.units if layout and layout.grouped else None
    return int(mask.sum()) if groups is None else len(np.unique(groups[rows][mask]))


def _counts(dataset: Dataset, y: np.ndarray, rows: np.ndarray | slice) -> list[int]:
    """Return the rows or groups of each class, or with each label; y: `(n, columns)` of these rows."""
    if dataset.task == "multilabel":
        return [_independent(dataset, column > 0, rows) for column in y.T]
    return [_independent(dataset, (y == label).any(axis=1), rows) for label in range(dataset.n_classes)]


def of_test_rows(dataset: Dataset, metric: Metric) -> str:
    """Return why the test rows do not allow a verdict without outer folds; empty where they do."""
    try:
        metric.check(dataset.scored_labels(dataset.test.scored), dataset.n_classes)
    except InputError as error:
        return f"of the test rows, {error.what}"
    absent = dataset.rows.labels.absent(dataset.rows.test) if dataset.task in ("binary", "multiclass") else []
    if absent:
        return f"no test row is of class {absent[0]!r}"
    layout, test = dataset.rows.layout, dataset.rows.test
    if layout.dependent is not None and len(np.unique(layout.dependent[test])) < FEWEST:
        return f"the test rows are all of one {'group' if layout.times is None else 'time'}"
    what = "group" if layout.grouped else "row"
    return answers.shortage_of_tested(_tested_counts(dataset, metric), metric.name, what)


def _tested_counts(dataset: Dataset, metric: Metric) -> dict[str, int]:
    """Return the test rows or groups of each class or label, masks with a pixel of it; none where they do not matter.

    Of labels without which the metric is undefined for rows of one kind alone, it is the smaller number of both kinds.
    """
    if not variation.hangs_on_classes(metric):
        return {}
    y, rows = dataset.test.y.reshape(len(dataset.test.y), -1), dataset.rows.test
    counts = _counts(dataset, y, rows)
    if dataset.task == "multilabel" and metric.every_class:
        counts = [*map(min, counts, _counts(dataset, 1 - y, rows))]
    return dict(zip(dataset.classes, counts, strict=True))
