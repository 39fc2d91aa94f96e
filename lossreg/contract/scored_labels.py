"""Labels as metrics take them: an array `(n,)` or `(n, k)`, or one of records that have columns of the table too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
LABEL = "the label"  # no name of a function's parameter


def with_columns(y: Array, columns: Mapping[str, Array]) -> Array:
    """Return labels `(n,)` or `(n, k)` as records `(n,)` with these columns `(n,)`; without columns as they are."""
    if not columns:
        return y
    fields = [(LABEL, y.dtype, y.shape[1:]), *((name, values.dtype) for name, values in columns.items())]
    records = np.empty(len(y), np.dtype(fields))
    for name, values in {LABEL: y, **columns}.items():
        records[name] = values
    return records


def labels_of(y: Array) -> Array:
    """Return the labels alone."""
    return y[LABEL] if y.dtype.names else y


def like(y: Array, row: Array) -> Array:
    """Return a row of labels as a record with the means of the columns of numbers, and the first of the others."""
    if not y.dtype.names:
        return row
    record = y[:1].copy()
    record[LABEL] = row
    for name in y.dtype.names:
        if name != LABEL and y.dtype[name].kind == "f":
            record[name] = y[name].mean()
    return record
