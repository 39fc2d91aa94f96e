"""Conversions of the values of a column to numbers, whatever their type; no statistic is computed here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.data import dates, durations, numerals
from lossreg.data.cells import text_of
from lossreg.data.columns import stripped, texts
from lossreg.data.dates import Dates
from lossreg.data.numerals import Numerals

Values = NDArray[np.float64]

SECONDS = 86_400
USUAL_NUMBERS, USUAL_DATES = Numerals(), Dates()


@dataclass(frozen=True, slots=True)
class AsNumbers:
    """Numbers of any type, or texts that are numbers."""

    numerals: Numerals = USUAL_NUMBERS

    def __call__(self, column: pd.Series[Any]) -> Values:
        """Return the numbers of a column, NaN for what is none."""
        if pd.api.types.is_numeric_dtype(column.dtype):
            return column.to_numpy(np.float64, na_value=np.nan)
        if isinstance(column.dtype, pd.StringDtype):
            return numerals.values(column, self.numerals)
        return _each(column, Real, _float, lambda texts: numerals.values(texts, self.numerals))


@dataclass(frozen=True, slots=True)
class AsDays:
    """Dates, periods (where they begin) or texts that are dates."""

    dates: Dates = USUAL_DATES

    def __call__(self, column: pd.Series[Any]) -> Values:
        """Return days since 1970, NaN for what is no date."""
        if column.dtype.kind == "M":
            return dates.of_stamps(column)
        starts = column.map(_start, na_action="ignore") if column.dtype == object else column
        return dates.of_texts(stripped(starts), self.dates)


@dataclass(frozen=True, slots=True)
class AsDurations:
    """Durations, times of day, or texts such as `2 days 03:00:00` and `8:30 pm`."""

    def __call__(self, column: pd.Series[Any]) -> Values:
        """Return days, NaN for what is no duration."""
        if column.dtype.kind == "m":
            seconds: Values = column.dt.total_seconds().to_numpy(np.float64, na_value=np.nan)
            return seconds / SECONDS
        codes, distinct = pd.factorize(stripped(column))
        days: Values = np.array([durations.days(text) for text in distinct] + [np.nan])[codes]
        return days


@dataclass(frozen=True, slots=True)
class AsRanks:
    """Ordered categories by their place, the first 0."""

    categories: tuple[str, ...]

    def __call__(self, column: pd.Series[Any]) -> Values:
        """Return ranks, NaN for other values."""
        ranks = {text: float(rank) for rank, text in enumerate(self.categories)}
        return np.array([ranks.get(text, np.nan) for text in texts(column)], np.float64)


@dataclass(frozen=True, slots=True)
class AsMiddles:
    """Intervals by their middle."""

    def __call__(self, column: pd.Series[Any]) -> Values:
        """Return midpoints, NaN for what is no interval."""
        return _each(column, pd.Interval, _middle, _nothing)


def _each(
    column: pd.Series[Any], kind: type, number: Callable[[Any], float], of_texts: Callable[[pd.Series[Any]], Values]
) -> Values:
    """Return the numbers of a column of objects: those of a type by `number`, the others, as texts, by `of_texts`."""
    numbers = np.full(len(column), np.nan)
    values = column.to_numpy(object)
    present = ~column.isna().to_numpy(bool)
    of_kind = np.array([isinstance(value, kind) and not isinstance(value, bool) for value in values], bool)
    if kind is Real:
        of_kind |= np.array([type(value).__name__ == "Decimal" for value in values], bool)
    numbers[present & of_kind] = [number(value) for value in values[present & of_kind]]
    rest = present & ~of_kind
    if rest.any():
        numbers[rest] = of_texts(pd.Series([text_of(value) for value in values[rest]], dtype=object))
    return numbers


def _middle(interval: Any) -> float:
    return _float(interval.mid)


def _nothing(texts: pd.Series[Any]) -> Values:
    return np.full(len(texts), np.nan)


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")
    except (ValueError, TypeError):
        return float("nan")


def _start(value: Any) -> Any:
    return value.start_time if isinstance(value, pd.Period) else value
