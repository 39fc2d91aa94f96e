"""Columns that a metric of the user's own takes beside labels and predictions, as they stand before preprocessing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.contract.data_options import DROP, Options
from lossreg.data import columns as plain_columns
from lossreg.data import features, readings
from lossreg.data.cells import example, of_column
from lossreg.data.conversions import AsNumbers
from lossreg.data.origin import Origin, listed, near
from lossreg.errors import DataError

if TYPE_CHECKING:
    from lossreg.data.raw import Raw
    from lossreg.data.row_numbers import RowNumbers

Array = NDArray[Any]
METRIC = "metric"  # where a mistake is: the metric of the study
HINT = "Fill them in, leave these rows out, or let the function do without the column."


def key(name: str) -> str:
    """Return the name under which a column is kept beside the features."""
    return f"the metric's {name}"


def copied(x: Any, arrays: Mapping[str, Any], origin: Origin) -> dict[str, pd.Series[Any]]:
    """Return the columns that the metric takes, which may be features too; arrays: those beside the features.

    Raises `DataError` for one that is not there, or is the target.
    """
    columns = {}
    for name in origin.beside:
        if name in origin.targets:
            what = f"takes {name!r}, which is the target and its first argument already"
            raise DataError(what, where=METRIC, hint="Leave the parameter out.")
        if name in arrays:
            columns[key(name)] = pd.Series(features.array(arrays[name], name, origin).reshape(-1), name=name)
        elif isinstance(x, pd.DataFrame) and name in x.columns:
            columns[key(name)] = x[name].reset_index(drop=True)
        else:
            has = [*(map(str, x.columns) if isinstance(x, pd.DataFrame) else ()), *map(str, arrays)]
            what = f"takes {name!r} beside labels and predictions, and the data have no column or array of that name"
            raise DataError(what, where=METRIC, hint=near(name, has) if has else "Give it beside x and y.")
    return columns


def read(raw: Raw, names: Sequence[str], task: str, options: Options) -> dict[str, Array]:
    """Return the columns by name: numbers and booleans `(n,)`, also where they are text, and other values as they are.

    Those that are dates by the study's word are days since 1970.

    Raises `DataError` for gaps, and for data whose samples have no columns.
    """
    if not names:
        return {}
    if task == "segmentation" or key(names[0]) not in raw.aside:
        reason = "the pixels of masks are scored one by one" if task == "segmentation" else "this data has no columns"
        raise DataError(f"takes {names[0]!r} of each row, and {reason}", where=METRIC, hint="Leave the parameter out.")
    decimal = readings.decimal_mark(raw.x) if isinstance(raw.x, pd.DataFrame) else ""
    return {name: _values(raw.aside[key(name)], raw.numbers, decimal, options) for name in names}


def _values(column: pd.Series[Any], numbers: RowNumbers, decimal: str, options: Options) -> Array:
    gaps = plain_columns.texts(column) == plain_columns.MISSING
    values = _as_numbers(column, decimal, options)
    if values.dtype.kind == "f":
        gaps = gaps | ~np.isfinite(values)
    if (rows := np.flatnonzero(gaps)).size:
        first = column.iloc[int(rows[0])]
        odd = "" if pd.isna(first) else f" ({example(first)})"
        what = f"takes {listed([str(column.name)])!r}: {numbers.lacking(rows)}{odd}"
        raise DataError(what, where=METRIC, hint=HINT)
    return values


def _as_numbers(column: pd.Series[Any], decimal: str, options: Options) -> Array:
    """Return numbers, also those that a column is read as by the kind that the study names, or other values."""
    if pd.api.types.is_bool_dtype(column.dtype) and not column.isna().any():
        return column.to_numpy(bool)
    if plain_columns.is_number(column.dtype):
        return column.to_numpy(np.float64, na_value=np.nan)
    stated = options.columns.get(str(column.name), "")
    kind = "" if stated == DROP else stated
    with of_column(str(column.name)):
        reading, plain = readings.one(column, decimal, options.marks, kind), plain_columns.plain(column)
    if reading.read is not None and (kind or isinstance(reading.read, AsNumbers)):
        return np.asarray(reading.read(plain), np.float64)
    return np.asarray(plain, object)
