"""Kinds of columns, inferred from all their values or named by the study."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lossreg.contract.data_options import TEXT
from lossreg.data import dates, numerals
from lossreg.data.cells import COMPLEX, example, text_of
from lossreg.data.columns import Marks, in_texts, is_number, is_real, plain
from lossreg.data.conversions import USUAL_DATES, AsDays, AsMiddles, AsNumbers, AsRanks
from lossreg.data.lost import NO_DATE, NO_NUMBER, NO_RANK
from lossreg.data.reading import FEW_TEXTS, FREE_TEXT, Reading, duration, number
from lossreg.data.text_kinds import added_up, counted, of_texts, with_gaps
from lossreg.errors import DataError, is_hashable

DATES = ("datetime64", "datetime", "date", "period")
DURATIONS = ("timedelta64", "timedelta", "time")
EXACT = 2**53


def infer(column: pd.Series[Any], decimal: str = "", asked: Marks | None = None) -> Reading:
    """Return the reading of a column; raises `DataError`.

    decimal: the decimal mark of the table's other texts; asked: the marks in numbers that the study names.
    """
    column = plain(column)
    values = column.dropna()
    if values.empty:
        return Reading("empty")
    by_type = _by_type(column.dtype, values)
    if by_type is not None:
        return _marked(by_type, values)
    if isinstance(values.dtype, pd.StringDtype):
        return _marked(of_texts(values, decimal, asked), values)
    if not all(is_hashable(value) for value in values):
        return Reading("nested")
    return _marked(_by_value(values, decimal, asked), values)


def _marked(read: Reading, values: pd.Series[Any]) -> Reading:
    """Return the reading, with a mark where there are more categories than the 32 that versions up to 0.2.0 encoded."""
    if read.kind == "category" and values.nunique() > FEW_TEXTS:
        return read._replace(mark=f"many {read.mark}".strip())
    return read


def as_kind(column: pd.Series[Any], kind: str, decimal: str, asked: Marks | None) -> Reading:
    """Return the reading of a column as the kind that the study names; raises `DataError` where no value fits."""
    kind, _, order = kind.partition(":")
    values = plain(column).dropna()
    if values.empty:
        return Reading("empty")
    if not all(map(is_hashable, values)):
        raise DataError(f"is to be a {kind}, and holds lists", hint='Its kind may be "drop".')
    if kind == TEXT:
        return FREE_TEXT._replace(asked=True)
    if kind == "category":
        counts = _counts(values) if isinstance(values.dtype, pd.StringDtype) or values.dtype == object else None
        usual = Reading("category") if counts is None else with_gaps(Reading("category"), list(counts.index))
        return _marked(usual, values)._replace(asked=True)
    usual = infer(column, decimal, asked)
    if usual.kind == "empty" or (usual.kind == kind and not (order and _are_texts(usual))):
        return usual._replace(asked=True)
    forced = _forced_number(values, decimal, asked) if kind == "number" else _forced_date(values, order)
    if forced is None:
        first = ", ".join(dict.fromkeys(map(example, values.head(100)[:3])))
        hint = f"Leave it out of data.columns, or set another kind (as it is read: {usual.kind})."
        raise DataError(f"is to be a {kind}{order and ':'}{order}, and no value is one ({first})", hint=hint)
    return forced._replace(asked=True)


def _forced_number(values: pd.Series[Any], decimal: str, asked: Marks | None) -> Reading | None:
    if pd.api.types.is_bool_dtype(values):
        return Reading("number", AsNumbers(), NO_NUMBER, "truth values, read as 1 and 0")
    if getattr(values.dtype, "kind", "") == "M":
        return None
    numbers = numerals.infer(_counts(values), decimal, asked, forced=True)
    return None if numbers is None else number(numbers)


def _are_texts(read: Reading) -> bool:
    """Return whether dates are read from texts."""
    return isinstance(read.read, AsDays) and bool(read.read.dates.forms)


def _forced_date(values: pd.Series[Any], order: str) -> Reading | None:
    counts = _counts(values)
    days = None if is_number(values.dtype) else dates.infer(counts, forced=True, order=order)
    return None if days is None else Reading("date", AsDays(days), NO_DATE, dates.noted(days, counts), f"{days}")


def _counts(values: pd.Series[Any]) -> pd.Series[Any]:
    """Return the texts of present values with their counts, the most frequent first."""
    written, rows = counted(values)
    return added_up([text_of(value) for value in written], rows)


def _by_type(dtype: Any, values: pd.Series[Any]) -> Reading | None:
    """Return the reading that a column's type suggests, None for objects and texts."""
    if getattr(dtype, "kind", "") == "c":
        raise DataError("holds complex numbers", hint=COMPLEX)
    if isinstance(dtype, pd.CategoricalDtype):
        return _ordered(dtype) if dtype.ordered else Reading("category")
    if pd.api.types.is_bool_dtype(dtype):
        return Reading("category")
    if is_number(dtype):
        return Reading("number", AsNumbers(), note=_rounded(values))
    if getattr(dtype, "kind", "") == "M":
        return Reading("date", AsDays(), NO_DATE, USUAL_DATES.description())
    if getattr(dtype, "kind", "") == "m":
        return duration()
    return None


def _ordered(dtype: pd.CategoricalDtype) -> Reading:
    names = tuple(text_of(category) for category in dtype.categories)
    shown_names = " < ".join(names if len(names) <= 6 else (*names[:5], "...", names[-1]))
    note = f"ordered categories ({shown_names}), read as 0 to {len(names) - 1}"
    return Reading("number", AsRanks(names), NO_RANK, note, f"ordered {names}")


def _rounded(values: pd.Series[Any]) -> str:
    """Return a note on whole numbers that a float cannot hold."""
    whole = values.dtype == object or values.dtype.kind in "iu"
    large = whole and any(abs(int(v)) > EXACT for v in (values.min(), values.max()) if isinstance(v, (int, np.integer)))
    return f"whole numbers above {EXACT:,} are rounded" if large else ""


def _by_value(values: pd.Series[Any], decimal: str, asked: Marks | None = None) -> Reading:
    inferred = pd.api.types.infer_dtype(values, skipna=True)
    if inferred == "complex" or any(isinstance(value, (complex, np.complexfloating)) for value in values):
        raise DataError("holds complex numbers", hint=COMPLEX)
    if inferred == "boolean":
        return Reading("category")
    if inferred in DATES:
        return Reading("date", AsDays(), NO_DATE, USUAL_DATES.description(), "period" if inferred == "period" else "")
    if inferred in DURATIONS:
        return duration()
    if inferred == "interval":
        return Reading("number", AsMiddles(), NO_NUMBER, "intervals, read as their middles", "interval")
    if all(is_real(value) for value in values):
        mark = "" if inferred in ("integer", "floating", "decimal", "mixed-integer-float") else "numbers"
        return Reading("number", AsNumbers(), note=_rounded(values), mark=mark)
    return of_texts(in_texts(values, asked), decimal, asked)
