"""Keys of groups: the same value has one key, whatever type it has in each of several files."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal
from numbers import Rational
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.data import numerals
from lossreg.data.cells import in_ascii
from lossreg.data.columns import Marks, is_real, plain, texts
from lossreg.data.kinds import as_kind
from lossreg.data.numerals import PYTHONIC, Numerals

Keys = NDArray[Any]
NUMBER = re.compile(r"(?P<sign>[+-]?)(?P<whole>(?=\.?\d)\d*)(?:\.(?P<part>\d*))?", re.ASCII)
MOST_DIGITS = 4000


def of(column: pd.Series[Any], kind: str = "", decimal: str = "", marks: Marks | None = None) -> Keys:
    """Return a key per row `(n,)`, NaN for values that are not of the common kind.

    kind: that which the study names for the column; decimal, marks: as in `kinds.as_kind`. Numbers are the same as the
    texts of them, and dates too, where a column holds both. In a column of text alone `1.0` is `1`, while `01` and `1`
    differ, and `1.50` and `1.5`.
    """
    column = plain(column.astype(object) if isinstance(column.dtype, pd.CategoricalDtype) else column)
    has_text, has_number, has_date = (_has(column, test) for test in (_is_text, is_real, _is_date))
    kind = kind or "date" * (has_text and has_date)
    if kind.partition(":")[0] in ("number", "date"):
        read = as_kind(column, kind, decimal, marks).read
        return np.full(len(column), np.nan) if read is None else read(column)
    return _of_values(column, marks, as_numbers=has_number)


def _has(column: pd.Series[Any], test: Callable[[Any], bool]) -> bool:
    return column.dtype == object and any(map(test, column))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_date(value: Any) -> bool:
    return isinstance(value, dt.date) and not pd.isna(value)


def _of_values(column: pd.Series[Any], marks: Marks | None, *, as_numbers: bool) -> Keys:
    """Return texts, but numbers without the ways in which these may be written; no digit of them is lost.

    as_numbers: texts that are numbers are such too, else only whole ones, without the zeros behind the point.
    """
    form, keys = numerals.with_marks(marks), texts(column)
    for row, value in enumerate(column):
        number = _digits(value) if is_real(value) else _pythonic(keys[row], form)
        keys[row] = _short(number, keys[row], as_numbers=as_numbers or is_real(value))
    return keys


def _digits(number: Any) -> str:
    """Return a real number without an exponent, unless it has more than `MOST_DIGITS` digits."""
    if isinstance(number, Rational):
        return str(number)
    exact = Decimal(str(number))
    return f"{exact:f}" if exact.is_finite() and abs(exact.adjusted()) < MOST_DIGITS else str(exact)


def _pythonic(text: str, form: Numerals | None) -> str:
    """Return a text with the marks of numbers in Python, empty where it is no number of this form."""
    if form is None:
        return in_ascii(text)
    return "" if np.isnan(form.number(text)) else in_ascii(text).translate(PYTHONIC[form.decimal])


def _short(number: str, text: str, *, as_numbers: bool) -> str:
    """Return a number without needless zeros, or the text where it is not a number."""
    match = NUMBER.fullmatch(number)
    if match is None:
        return text
    sign, whole, part = match["sign"], match["whole"].lstrip("0") or "0", (match["part"] or "").rstrip("0")
    short = f"{whole}.{part}" if part else whole
    short = f"-{short}" if sign == "-" and short != "0" else short
    return short if as_numbers or number.partition(".")[0] == short else text
