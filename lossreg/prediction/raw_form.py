"""The form of raw rows, for those who give them: names, types and an example."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lossreg.data import dates
from lossreg.data.cells import text_of
from lossreg.data.columns import is_number
from lossreg.data.exposures import ExposedPreprocessor, Fitted, base_of
from lossreg.data.inputs import InputsPreprocessor
from lossreg.data.preprocess import TablePreprocessor
from lossreg.prediction.description import Array, Column, Kind


def columns(rows: Any, preprocessor: Fitted) -> tuple[Column, ...]:
    """Return the columns of a table that a model needs; none of arrays and of several inputs.

    Those that are read as numbers or dates are of any type: new rows may have texts or numbers there.
    A column of exposures may be missing: predictions are those for an exposure of 1 then.
    """
    base = base_of(preprocessor)
    if not isinstance(rows, pd.DataFrame) or isinstance(base, InputsPreprocessor):
        return ()
    table = rows.set_axis(list(map(str, rows.columns)), axis=1)
    used, as_numbers, with_gaps = list(map(str, table)), set[str](), set(map(str, table.columns[table.isna().any()]))
    if isinstance(base, TablePreprocessor):
        used, as_numbers, with_gaps = base.form().used, set(base.limits_), base.with_gaps(rows)
    of_features = [
        Column(name=name, kind="any" if name in as_numbers else _kind(table[name]), required=name not in with_gaps)
        for name in used
    ]
    if isinstance(preprocessor, ExposedPreprocessor):
        of_features.append(Column(name=preprocessor.column, kind="any", required=False))
    return tuple(of_features)


def _kind(column: pd.Series[Any]) -> Kind:
    """Return the type of a column for MLflow: "any" where it would refuse some of the values that predictors take.

    It refuses whole numbers among real ones, columns of categories, and gaps among truth values.
    """
    dtype = column.dtype
    if dtype.type is pd.CategoricalDtype.type:  # Arrow's dictionaries have it too
        return "any"
    if pd.api.types.is_bool_dtype(dtype):
        return "any" if column.isna().any() else "boolean"
    return "string" if _are_texts(column.dropna()) else "any"


def _are_texts(values: pd.Series[Any]) -> bool:
    return len(values) > 0 and all(isinstance(value, str) for value in values)


def arrays(rows: Any, preprocessor: Fitted) -> dict[str, Array]:
    """Return type and shape of each input, "" for a single one; none where one is a table, or exposures are beside."""
    if isinstance(preprocessor, ExposedPreprocessor):
        return {}
    parts = rows if isinstance(rows, dict) else {"": rows}
    if any(isinstance(part, pd.DataFrame) for part in parts.values()):
        return {}
    return {
        name: Array(dtype=part.dtype.newbyteorder("=").name, shape=tuple(part.shape[1:]))
        for name, part in parts.items()
    }


def example(rows: Any, of: tuple[Column, ...]) -> list[dict[str, Any]]:
    """Return a typical row of a table as JSON values, which is none of its rows; none of arrays."""
    if not of:
        return []
    table = rows.set_axis(list(map(str, rows.columns)), axis=1)
    return [{column.name: _typical(table[column.name]) for column in of if column.name in table.columns}]


def _typical(column: pd.Series[Any]) -> Any:
    """Return the median of numbers, else the most frequent value; a word in place of text that mostly differs."""
    values = column.dropna()
    if not len(values):
        return None
    if is_number(values.dtype):
        middle = float(values.median())
        return int(middle) if middle.is_integer() else middle
    counts = values.map(text_of).value_counts()
    if len(counts) > len(values) / 2:
        return "text" if _are_texts(values) and not _are_dates(counts) else str(counts.index[0])
    first = values[values.map(text_of) == counts.index[0]].iloc[0]
    return bool(first) if isinstance(first, (bool, np.bool_)) else str(counts.index[0])


def _are_dates(counts: pd.Series[Any]) -> bool:
    return dates.infer(counts) is not None
