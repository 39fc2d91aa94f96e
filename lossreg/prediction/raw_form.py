"""The form of raw rows, for those who give them: names, types and an example."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from lossreg.data.exposures import ExposedPreprocessor, Fitted, base_of
from lossreg.data.inputs import InputsPreprocessor
from lossreg.data.preprocess import TablePreprocessor
from lossreg.prediction.description import Array, Column, Kind

EXAMPLES = 3


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
    return {name: Array(dtype=str(part.dtype), shape=tuple(part.shape[1:])) for name, part in parts.items()}


def example(rows: Any, of: tuple[Column, ...]) -> list[dict[str, Any]]:
    """Return the first rows of a table as JSON values; none of arrays."""
    if not of:
        return []
    table = rows.set_axis(list(map(str, rows.columns)), axis=1).head(EXAMPLES)
    table = table[[column.name for column in of if column.name in table.columns]]
    text = table.to_json(orient="records", date_format="iso", double_precision=15)
    records: list[dict[str, Any]] = json.loads(text)
    return records
