"""scikit-learn's gradient boosting on the rows of a verdict, lightly tuned: a reminder of what else there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import get_scorer_names
from sklearn.model_selection import GridSearchCV, train_test_split
from threadpoolctl import threadpool_limits

SHARE = 0.85  # of the development rows in each repeat, as in a verdict's
FOLDS = 3
MANY_CLASSES = 4  # from here on a tree for each class makes a fit long, and one learning rate is enough


def features(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose texts are categories, which these trees take as they are."""
    texts = [name for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    return table.astype(dict.fromkeys(texts, "category"))


def settings(task: str, metric: str, classes: int) -> dict[str, Sequence[Any]]:
    """Return what is tuned: speed and size of the trees, and what fits the metric."""
    grid: dict[str, Sequence[Any]] = {"learning_rate": (0.05, 0.2), "max_leaf_nodes": (7, 31)}
    if classes >= MANY_CLASSES:
        return {"max_leaf_nodes": (7, 31)}
    if metric in ("balanced_accuracy", "f1"):
        grid["class_weight"] = (None, "balanced")
    if task == "count":
        grid["loss"] = ("squared_error", "poisson")
    if metric == "mean_absolute_error":
        grid["loss"] = (*grid.get("loss", ("squared_error",)), "absolute_error")
    return grid


@threadpool_limits.wrap(limits=1, user_api="openmp")  # two threads wait for each other where other work runs
def predictions(
    table: pd.DataFrame, y: np.ndarray, parts: Sequence[tuple[np.ndarray, np.ndarray]], *, task: str, metric: str,
    response: str, repeats: int,
) -> np.ndarray:  # fmt: skip
    """Return predictions `(repeats, rows, ...)`, as a metric with that response takes them.

    table, y: all rows, labels as numbers from 0 of classes; parts: development and test rows, each test row in one of
    them; the result has the test rows in the order of their numbers. Settings are chosen on the development rows
    alone, and then trained on another part of them in each repeat.
    """
    x, is_classes = features(table), task in ("binary", "multiclass")
    model = HistGradientBoostingClassifier if is_classes else HistGradientBoostingRegressor
    grid = settings(task, metric, len(np.unique(y)) if is_classes else 0)
    by_part = []
    for development, test in parts:
        base = model(random_state=0, categorical_features="from_dtype")
        search = GridSearchCV(base, grid, scoring=scorer(metric), cv=FOLDS, refit=False)
        chosen = search.fit(x.iloc[development], y[development]).best_params_
        fitted = [_fitted(model, chosen, x, y, _part(development, y, is_classes, one)) for one in range(repeats)]
        by_part.append(np.stack([_predicted(one, x.iloc[test], response) for one in fitted]))
    order = np.argsort(np.concatenate([test for _, test in parts]), kind="stable")
    return np.concatenate(by_part, axis=1)[:, order]


def scorer(metric: str) -> str:
    """Return scikit-learn's name of a metric."""
    return metric if metric in get_scorer_names() else f"neg_{metric}"


def _part(development: np.ndarray, y: np.ndarray, is_classes: bool, seed: int) -> np.ndarray:
    strata = y[development] if is_classes else None
    return train_test_split(development, train_size=SHARE, stratify=strata, random_state=seed)[0]


def _fitted(model: Any, chosen: Mapping[str, Any], x: pd.DataFrame, y: np.ndarray, rows: np.ndarray) -> Any:
    return model(random_state=0, categorical_features="from_dtype", **chosen).fit(x.iloc[rows], y[rows])


def _predicted(fitted: Any, x: pd.DataFrame, response: str) -> np.ndarray:
    if response in ("value", "label"):
        return fitted.predict(x)
    probabilities = fitted.predict_proba(x)
    return probabilities[:, 1] if response == "score" and probabilities.shape[1] == 2 else probabilities
