"""Marks between thousands: numbers of new rows that may have lost theirs, and texts where a comma may be one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.data.cells import text_of
from lossreg.data.lost import AS_TEXT, Lost, Reason
from lossreg.data.plain_texts import OTHER, Texts

LARGEST = 1000  # what has a single mark between thousands, read as a decimal mark, is below
TOLERANCE = 0.05  # of a thousandth, which float32 keeps
MISREAD = Reason(
    "is a number with more decimals than any of training, where text had marks between thousands",
    "are numbers with more decimals than any of training, where text had marks between thousands",
    "read as given", AS_TEXT,
)  # fmt: skip
DOUBTFUL = Reason(
    "is text that may mean another number", "are texts that may mean other numbers",
    "read with marks between thousands", "Give numbers where the mark is a decimal mark.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Thousands:
    """The marks and decimals in the numbers of a column of training rows.

    mark: the mark that may separate thousands, "." beside a decimal comma, else ","; used: the column uses it;
    decimals: the largest number of digits after the decimal mark.
    """

    mark: str
    used: bool
    decimals: int

    @classmethod
    def of(cls, column: pd.Series[Any], decimal: str) -> Thousands:
        """Return the marks and decimals of a column of training rows, where `decimal` is the decimal mark."""
        mark, sought = OTHER[decimal], re.compile(rf"{re.escape(decimal)}(\d+)")
        written, used, longest = Texts.of(column), False, 0
        if written is not None:
            plain = written.plain(decimal, grouped=True)
            used, longest = bool(written.hold(mark).any()), written.taken(plain).decimals(decimal)
            column = column[~plain]
        rest = list(_texts(column))
        behind = (len(match[1]) for text in rest if (match := sought.search(text)))
        return cls(mark, used or any(mark in text for text in rest), max(longest, *behind, 0))

    def count(self, column: pd.Series[Any], name: str, lost: Lost) -> None:
        """Count the values of new rows that may be another number than they are read as."""
        if self.used and not isinstance(column.dtype, pd.StringDtype):
            lost.add(name, MISREAD, column, self._misread(column))
        if not self.used and not pd.api.types.is_numeric_dtype(column.dtype):
            self._count_doubtful(column, name, lost)

    def _misread(self, column: pd.Series[Any]) -> NDArray[np.bool_]:
        """Return which numbers have up to three decimals, and more than any number of training rows."""
        if column.dtype == object or not pd.api.types.is_numeric_dtype(column.dtype):
            column = column.astype(object).map(lambda value: value if isinstance(value, float) else np.nan)
        thousandths = column.to_numpy(np.float64, na_value=np.nan) * LARGEST
        with np.errstate(invalid="ignore"):
            whole = np.round(thousandths)
            near = (np.abs(thousandths - whole) < TOLERANCE) & (np.abs(thousandths) < LARGEST**2)
            return np.asarray(near & (whole % 10.0 ** max(0, 3 - self.decimals) != 0))

    def _count_doubtful(self, column: pd.Series[Any], name: str, lost: Lost) -> None:
        """Count texts with a single mark, unless others have marks that can only stand between thousands."""
        mark = re.escape(self.mark)
        thousands = re.compile(rf"[+-]?[1-9]\d{{0,2}}(?:{mark}\d{{3}})+(?:(?!{mark})[.,]\d*)?")
        single = re.compile(rf"[+-]?[1-9]\d{{0,2}}{mark}\d{{3}}")
        written = Texts.of(column)
        marked = column if written is None else column[written.hold(self.mark)]
        grouped = {text for text in _texts(marked) if thousands.fullmatch(text)}
        if grouped and all(map(single.fullmatch, grouped)):
            rows = int(column.dropna().map(text_of).isin(grouped).sum())
            lost.count(name, DOUBTFUL, rows, (f"{text!r} as {text.replace(self.mark, '')}" for text in sorted(grouped)))


def _texts(column: pd.Series[Any]) -> Iterator[str]:
    """Return the different values of a column that are texts."""
    if isinstance(column.dtype, pd.StringDtype):
        yield from map(text_of, column.dropna().unique())
    elif not pd.api.types.is_numeric_dtype(column.dtype):  # lists have no hash
        yield from dict.fromkeys(text_of(value) for value in column if isinstance(value, (str, bytes)))
