"""Columns that betray the target: one of them alone predicts it almost perfectly, on rows held out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from lossreg.data.columns import is_number, texts
from lossreg.data.dataset import Dataset
from lossreg.inspection import columns

Array = NDArray[Any]
Folds = list[tuple[Array, Array]]

ALMOST_PERFECT = 0.99  # balanced accuracy, or share of the variance of the target's ranks
ROWS, FEWEST, FOLDS, FEW = 4000, 30, 3, 15
COLUMNS = 200  # that are looked at; of more, those that correlate most with the target
LEAVES = 500  # of a tree for numbers, at most


def betrayers(dataset: Dataset, likely: Sequence[Array] = ()) -> dict[str, float]:
    """Return the columns of tables that alone predict the target almost perfectly, with their scores, best first.

    The score is the balanced accuracy on held-out rows, for numbers the share of the variance of their ranks that is
    explained, which no order of the values changes. Of several labels per row it is that of the label which is
    predicted best. At most `ROWS` development rows are looked at, equally many of each class as far as there are.
    Rows that depend on each other are held out together, and so are those of each likely grouping, numbers `(n,)`:
    otherwise a column that only identifies customers would predict whatever is constant for each customer.
    """
    labels = dataset.rows.labels
    if labels.task == "segmentation":
        return {}
    rows = _sample(labels.y, dataset.rows.development, is_classes=bool(labels.classes) and labels.y.ndim == 1)
    if len(rows) < FEWEST:
        return {}
    dependent = dataset.rows.layout.dependent
    groupings = [units[rows] for units in (*([] if dependent is None else [dependent]), *likely)]
    scores: dict[str, float] = {}
    for y, is_class in _targets(labels.y[rows], bool(labels.classes)):
        ways = [_folds(y, is_class=is_class), *(_apart(units, y, is_class=is_class) for units in groupings)]
        for name, values, is_category in _columns(dataset, rows, y):
            score = _score(values, y, ways, is_class=is_class, is_category=is_category)
            if score >= ALMOST_PERFECT:
                scores[name] = max(score, scores.get(name, 0.0))
    return dict(sorted(scores.items(), key=lambda item: -item[1]))


def _sample(y: Array, rows: NDArray[np.int64], *, is_classes: bool) -> NDArray[np.int64]:
    """Return some of the rows; of a class with fewer rows than folds none."""
    rng = np.random.default_rng(0)
    if not is_classes:
        return np.sort(rng.choice(rows, min(ROWS, len(rows)), replace=False))
    parts = [rows[y[rows] == label] for label in np.unique(y[rows])]
    parts = [part for part in parts if len(part) >= FOLDS]
    if len(parts) < 2:
        return rows[:0]
    most = max(ROWS // len(parts), 2 * FOLDS)
    return np.sort(np.concatenate([rng.choice(part, min(most, len(part)), replace=False) for part in parts]))


def _targets(y: Array, is_class: bool) -> Iterator[tuple[Array, bool]]:
    """Yield each label of a row that varies enough, numbers as ranks from 0 to 1, and whether it is a class."""
    if not is_class:
        yield pd.Series(y).rank(pct=True).to_numpy(), False
    elif y.ndim == 1:
        yield y, True
    else:
        yield from ((label, True) for label in y.T if FOLDS <= label.sum() <= len(label) - FOLDS)


def _columns(dataset: Dataset, rows: NDArray[np.int64], y: Array) -> Iterator[tuple[str, Array, bool]]:
    """Yield columns by name, numbers as they are read and categories as codes, and which of the two they are."""
    x, readings = dataset.rows.raw.x, dataset.rows.readings
    for part, frame in columns.tables(x):
        names = _screened(frame, rows, y)
        table = frame[names].iloc[rows]
        if part in readings:
            kinds = type(readings[part])({name: readings[part][name] for name in names})
            table, _ = kinds.apply(table)
        for name in names:
            column, shown = table[name], f"{part}.{name}" if part else name
            if is_number(column.dtype):
                yield shown, column.to_numpy(np.float64, na_value=np.nan), False
            elif part in readings and readings[part][name].kind == "category":
                yield shown, pd.factorize(texts(column))[0], True


def _screened(frame: pd.DataFrame, rows: NDArray[np.int64], y: Array) -> list[str]:
    """Return the columns; of very many, those of numbers that correlate most with the target."""
    names = list(frame.columns)
    if len(names) <= COLUMNS:
        return names
    numeric = [name for name in names if is_number(frame[name].dtype)]
    values = np.nan_to_num(frame[numeric].iloc[rows].to_numpy(np.float64))
    deviations, target = values - values.mean(axis=0), np.asarray(y, float) - np.mean(y)
    spread = np.sqrt((deviations**2).sum(axis=0)) + np.finfo(float).tiny
    order = np.argsort(-np.abs(target @ deviations) / spread, kind="stable")
    return [numeric[i] for i in np.sort(order[:COLUMNS])]


def _folds(y: Array, *, is_class: bool) -> Folds:
    folds = (StratifiedKFold if is_class else KFold)(FOLDS, shuffle=True, random_state=0)
    return list(folds.split(y, y))


def _apart(units: Array, y: Array, *, is_class: bool) -> Folds:
    """Return folds that take no unit apart; units of a class are spread over them evenly."""
    _, first, of_row = np.unique(units, return_index=True, return_inverse=True)
    shuffled = np.random.default_rng(0).permutation(len(first))
    order = shuffled[np.argsort(y[first][shuffled], kind="stable")] if is_class else shuffled
    fold = np.empty(len(first), np.int64)
    fold[order] = np.arange(len(first)) % FOLDS
    pairs = [
        (np.flatnonzero(fold[of_row] != number), np.flatnonzero(fold[of_row] == number)) for number in range(FOLDS)
    ]
    return [(train, held) for train, held in pairs if len(train) and len(held)]


def _score(values: Array, y: Array, ways: Sequence[Folds], *, is_class: bool, is_category: bool) -> float:
    """Return how well one column predicts the target on held-out rows, 0 where that is not almost perfect.

    ways: folds of several kinds, of which the worst counts.
    """
    if not is_category and np.isnan(values).all():
        return 0.0
    predict, score = _by_category if is_category else _by_tree, 1.0
    for folds in ways:
        predicted, done = np.zeros_like(y), np.zeros(len(y), bool)
        for train, held in folds:
            predicted[held], done[held] = predict(values, y, train, held, is_class=is_class), True
            so_far = _agreement(predicted[done], y[done], is_class=is_class)
            if so_far < ALMOST_PERFECT:
                return 0.0
        score = min(score, so_far) if done.any() else 0.0
    return score


def _by_tree(values: Array, y: Array, train: Array, held: Array, *, is_class: bool) -> Array:
    x = np.clip(values, -1e38, 1e38)[:, None]
    if is_class:
        tree: Any = DecisionTreeClassifier(max_leaf_nodes=max(8, 4 * len(np.unique(y))), class_weight="balanced",
                                           random_state=0)  # fmt: skip
    else:
        tree = DecisionTreeRegressor(min_samples_leaf=max(1, len(train) // LEAVES), random_state=0)
    predicted: Array = tree.fit(x[train], y[train]).predict(x[held])
    return predicted


def _by_category(codes: Array, y: Array, train: Array, held: Array, *, is_class: bool) -> Array:
    """Return for each held-out row the mean target of its category, or the class that is most frequent there.

    Frequencies are relative to those of the class, so that all classes count alike.
    """
    width = int(codes.max()) + 1
    if not is_class:
        sums = np.bincount(codes[train], y[train], minlength=width)
        counts = np.bincount(codes[train], minlength=width)
        means: Array = np.where(counts > 0, sums / np.maximum(counts, 1), y[train].mean())
        return means[codes[held]]
    classes, index = np.unique(y, return_inverse=True)
    shares = np.zeros((width, len(classes)))
    np.add.at(shares, (codes[train], index[train]), 1.0)
    shares /= np.maximum(shares.sum(axis=0), 1)
    chosen: Array = classes[shares.argmax(axis=1)]
    return chosen[codes[held]]


def _agreement(predicted: Array, y: Array, *, is_class: bool) -> float:
    """Return balanced accuracy, in which one wrong row of a class of `FEW` and more does not count, or R squared."""
    if is_class:
        right = [(predicted[y == label] == label) for label in np.unique(y)]
        return float(np.mean([min(1.0, (of.sum() + (len(of) >= FEW)) / len(of)) for of in right]))
    variance = float(y.var())
    return 1 - float(((predicted - y) ** 2).mean()) / variance if variance else 0.0
