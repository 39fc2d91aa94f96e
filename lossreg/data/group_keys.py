"""Keys of groups: the same value has one key, whatever type it has in each of several files."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.data import numerals
from lossreg.data.cells import in_ascii
from lossreg.data.columns import Marks, is_real, plain, texts
from lossreg.data.kinds import as_kind
from lossreg.data.numerals import PLAIN, Numerals

Keys = NDArray[Any]


def of(column: pd.Series[Any], kind: str = "", decimal: str = "", marks: Marks | None = None) -> Keys:
    """Return a key per row `(n,)`, NaN for values that are not of the kind which all need.

    kind: that which the study names for the column; decimal, marks: as in `kinds.as_kind`. Numbers are the same as the
    texts of them, and dates too, where a column holds both; in a column of text alone `01` and `1` differ.
    """
    column = plain(column)
    has_text, has_number, has_date = (_has(column, test) for test in (_is_text, is_real, _is_date))
    kind = kind or "date" * (has_text and has_date)
    if kind.partition(":")[0] in ("number", "date"):
        read = as_kind(column, kind, decimal, marks).read
        return np.full(len(column), np.nan) if read is None else read(column)
    return _of_mixed(column, marks) if has_text and has_number else texts(column)


def _has(column: pd.Series[Any], test: Callable[[Any], bool]) -> bool:
    return column.dtype == object and any(map(test, column))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_date(value: Any) -> bool:
    return isinstance(value, dt.date) and not pd.isna(value)


def _of_mixed(column: pd.Series[Any], marks: Marks | None) -> Keys:
    """Return texts, those that are numbers, and numbers themselves, without the ways in which these may be written."""
    form, keys = numerals.said(marks), texts(column)
    for row, value in enumerate(column):
        number = float(value) if is_real(value) else _number(keys[row], form)
        if np.isfinite(number):
            keys[row] = str(int(number)) if number.is_integer() else repr(number)
    return keys


def _number(text: str, form: Numerals | None) -> float:
    if form is not None:
        return form.number(text)
    return float(in_ascii(text)) if PLAIN.fullmatch(text) else np.nan
