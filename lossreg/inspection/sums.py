"""Columns of which the target is made up: it is a weighted sum of a few of them in every row."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.data.dataset import Dataset
from lossreg.data.readings import Readings
from lossreg.data.scaling import SAFE

ROWS, MOST_COLUMNS, ROWS_PER_COLUMN, MOST_TERMS = 4000, 200, 10, 5
UNEXPLAINED = 1e-3  # of the target's standard deviation, which rounding may leave
TERM = 1e-2  # of it, from which a column matters


def terms(dataset: Dataset) -> list[str]:
    """Return the columns of a table of which a target of numbers is a weighted sum in every row, none for one alone.

    At most `ROWS` development rows are looked at, and columns of numbers without gaps.
    """
    labels = dataset.rows.labels
    if labels.classes or labels.y.ndim != 1:
        return []
    rows = _some(dataset.rows.development)
    table, y = _numbers(dataset, rows), labels.y[rows].astype(np.float64)
    is_wide = len(rows) < ROWS_PER_COLUMN * len(table.columns)
    if is_wide or not len(table.columns) or not y.std():
        return []
    standard, y = ((table - table.mean()) / table.std(ddof=0)).to_numpy(), (y - y.mean()) / y.std()
    weights, *_ = np.linalg.lstsq(standard, y, rcond=1e-9)
    if np.std(y - standard @ weights) > UNEXPLAINED:
        return []
    names = [str(name) for name, weight in zip(table.columns, weights, strict=True) if abs(weight) > TERM]
    return names if 1 < len(names) <= MOST_TERMS else []


def _some(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return rows if len(rows) <= ROWS else np.sort(np.random.default_rng(0).choice(rows, ROWS, replace=False))


def _numbers(dataset: Dataset, rows: NDArray[np.int64]) -> pd.DataFrame:
    """Return the columns of numbers that have no gap in these rows, and differ."""
    x, readings = dataset.rows.raw.x, dataset.rows.readings.get("", Readings())
    kinds = Readings({name: reading for name, reading in readings.items() if reading.kind == "number"})
    if not isinstance(x, pd.DataFrame) or not 1 < len(kinds) <= MOST_COLUMNS:
        return pd.DataFrame(index=rows)
    table = kinds.apply(x[list(kinds)].iloc[rows])[0].dropna(axis=1)
    table = table.loc[:, table.abs().max() < SAFE]
    return table.loc[:, table.std(ddof=0) > 0]
