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

    A column of exposures may be missing: predictions are those for an exposure of 1 then.
    """
    base = base_of(preprocessor)
    if not isinstance(rows, pd.DataFrame) or isinstance(base, InputsPreprocessor):
        return ()
    used = base.form().used if isinstance(base, TablePreprocessor) else list(map(str, rows.columns))
    table = rows.set_axis(list(map(str, rows.columns)), axis=1)
    of_features = [Column(name=name, kind=_kind(table[name]), required=not table[name].isna().any()) for name in used]
    if isinstance(preprocessor, ExposedPreprocessor):
        of_features.append(Column(name=preprocessor.column, kind="any", required=False))
    return tuple(of_features)


def _kind(column: pd.Series[Any]) -> Kind:
    """Return the type of a column for MLflow: "any" for numbers, which it would refuse where they are whole."""
    values = column.dropna()
    if pd.api.types.is_bool_dtype(values):
        return "boolean"
    return "string" if len(values) and all(isinstance(value, str) for value in values) else "any"


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
        return "text" if _kind(column) == "string" and not _are_dates(counts) else str(counts.index[0])
    first = values[values.map(text_of) == counts.index[0]].iloc[0]
    return bool(first) if isinstance(first, (bool, np.bool_)) else str(counts.index[0])


def _are_dates(counts: pd.Series[Any]) -> bool:
    return dates.infer(counts) is not None
