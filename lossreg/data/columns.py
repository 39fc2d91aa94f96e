"""Columns of a table in plain storage, and their values as texts."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.data.cells import text_of

Marks = tuple[str, str]

MISSING = "(missing)"


def is_number(dtype: Any) -> bool:
    """Return whether a type of columns is one of numbers, which booleans are not."""
    return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)


def is_real(value: Any) -> bool:
    """Return whether a value is a real number, which booleans are not."""
    return (isinstance(value, Real) or type(value).__name__ == "Decimal") and not isinstance(value, (bool, np.bool_))


def plain(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return the same values in plain storage: no sparse or Arrow columns, periods, intervals or bytes."""
    if isinstance(column.dtype, pd.SparseDtype):
        return pd.Series(np.asarray(column), column.index, name=column.name)
    if isinstance(column.dtype, pd.ArrowDtype) and not is_number(column.dtype):
        column = column.astype(object).infer_objects()
    if isinstance(column.dtype, (pd.PeriodDtype, pd.IntervalDtype)):
        return column.astype(object)
    if column.dtype == object and any(isinstance(value, bytes) for value in column):
        return column.map(lambda value: text_of(value) if isinstance(value, bytes) else value)
    return column


def stripped(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return present values as texts without surrounding spaces, None for missing ones, under the same index."""
    if isinstance(column.dtype, pd.StringDtype):
        written = [text.strip() if isinstance(text, str) else None for text in column.to_numpy(object)]
        return pd.Series(written, column.index, dtype=object)
    values = [None if is_missing else text_of(v) for v, is_missing in zip(column, column.isna(), strict=True)]
    return pd.Series(values, column.index, dtype=object)


def texts(column: pd.Series[Any]) -> NDArray[Any]:
    """Return values as texts `(n,)`; what is missing or blank is `(missing)`."""
    if isinstance(column.dtype, (pd.StringDtype, pd.CategoricalDtype)):
        codes, distinct = pd.factorize(column)
        names = np.array([*(text_of(value) or MISSING for value in distinct), MISSING], object)
        written: NDArray[Any] = names[codes]
        return written
    return np.array([text or MISSING for text in stripped(column)], object)


def in_texts(values: pd.Series[Any], asked: Marks | None) -> pd.Series[Any]:
    """Return objects with the real numbers among them as texts with the decimal mark that the study names."""
    if asked is None or values.dtype != object:
        return values
    return values.map(lambda value: text_of(value).replace(".", asked[0]) if is_real(value) else value)
