"""The categories of a column in the training rows, and which of them the values of new rows are."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.data import truths
from lossreg.data.cells import example
from lossreg.data.lost import AS_TEXT, Lost, Reason
from lossreg.data.reading import MISSING, texts

UNKNOWN = "\0unknown"  # no text of a table has a NUL
LEADING_ZERO = re.compile(r"[+-]?0\d")
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?")
NEW = Reason("is a category that no training row has", "are categories that no training row has", "treated as unknown")
GAP = Reason("is missing, and none was in training", "are missing, and none was in training", "treated as unknown")
SEVERAL = Reason(
    "is a number that several categories are written as", "are numbers that several categories are written as",
    "treated as unknown", AS_TEXT,
)  # fmt: skip
BY_VALUE = Reason(
    "is a number, and was text in training", "are numbers, and were text in training", "matched by value", AS_TEXT
)


@dataclass(frozen=True, slots=True)
class Categories:
    """The texts that a column has in the training rows.

    numbers: the texts that are numbers, by their value; truths: those that are true or false, by their value.
    """

    names: frozenset[str]
    numbers: dict[Decimal, list[str]]
    truths: dict[bool, list[str]]

    @classmethod
    def of(cls, column: pd.Series[Any]) -> Categories:
        """The categories of a column of training rows."""
        names = frozenset(texts(column))
        numbers: dict[Decimal, list[str]] = defaultdict(list)
        by_truth: dict[bool, list[str]] = defaultdict(list)
        for name in sorted(names):
            if (number := _number(name)) is not None:
                numbers[number].append(name)
            if (truth := truths.of_text(name)) is not None:
                by_truth[truth].append(name)
        return cls(names, dict(numbers), dict(by_truth))

    def match(self, column: pd.Series[Any], name: str, lost: Lost) -> pd.Series[Any]:
        """The column with the category of the training rows that each value is; others stay as they are.

        A value is the category of its text. A number is the category of its value, so that 1234 is `01234`; true and
        false are `True`, `true` or 1, and `False`, `false` or 0. Values that are no category, or may be several, and
        codes matched by value are counted under `name` in `lost`.
        """
        written = texts(column)
        codes, distinct = pd.factorize(written)
        found = _each(map(self._of_text, distinct))[codes]
        if (numeric := _are_numbers(column)).any():
            found = np.where(numeric, _each(map(self._of_number, distinct))[codes], found)
            _count_codes(column[numeric], found[numeric], name, lost)
        fresh, gap = found == "", written == MISSING
        lost.count(name, GAP, int((fresh & gap).sum()))
        lost.add(name, NEW, column, fresh & ~gap)
        lost.add(name, SEVERAL, column, found == UNKNOWN)
        return pd.Series(pd.Categorical(np.where(fresh, written, found)), column.index, name=column.name)

    def ranked(self, column: pd.Series[Any], name: str) -> pd.Series[Any]:
        """The column as `match` gives it, with its gaps and without counts."""
        return self.match(column, name, Lost()).where(texts(column) != MISSING)

    def _of_text(self, text: str) -> str:
        """The category that a text or a boolean is, empty for none."""
        if text in self.names:
            return text
        truth, number = truths.of_text(text), _number(text)
        if truth is not None:
            return _only(self.truths.get(truth, ())) or self._of_truth(truth)
        return self._of_flag(number)

    def _of_number(self, text: str) -> str:
        """The category that a number is, written as this text; `UNKNOWN` where it may be several, empty for none."""
        number = _number(text)
        if number is None:
            return text if text in self.names else ""
        same = self.numbers.get(number, ())
        return UNKNOWN if len(same) > 1 else _only(same) or self._of_flag(number)

    def _of_truth(self, truth: bool) -> str:
        """The category 1 or 0 of a truth value, where no category is another number."""
        return _only(self.numbers.get(Decimal(truth), ())) if self.numbers.keys() <= {0, 1} else ""

    def _of_flag(self, number: Decimal | None) -> str:
        """The category true or false that 1 or 0 stands for."""
        return _only(self.truths.get(number == 1, ())) if number in (0, 1) else ""


def _count_codes(numbers: pd.Series[Any], found: NDArray[Any], name: str, lost: Lost) -> None:
    """Count numbers that are codes with leading zeros."""
    places = np.flatnonzero([LEADING_ZERO.match(text) is not None for text in found])
    pairs = (f"{example(numbers.iloc[place])} as {found[place]!r}" for place in places[:100])
    lost.count(name, BY_VALUE, len(places), pairs)


def _each(values: Iterable[str]) -> NDArray[Any]:
    return np.array([*values, ""], object)


def _only(names: Iterable[str]) -> str:
    """The name where there is one alone, else empty."""
    listed = list(names)
    return listed[0] if len(listed) == 1 else ""


def _number(text: str) -> Decimal | None:
    return Decimal(text) if NUMBER.fullmatch(text) else None


def _are_numbers(column: pd.Series[Any]) -> NDArray[np.bool_]:
    """Return which values are held as numbers, and not as texts or booleans."""
    dtype = column.dtype.categories.dtype if isinstance(column.dtype, pd.CategoricalDtype) else column.dtype
    if pd.api.types.is_bool_dtype(dtype) or isinstance(dtype, pd.StringDtype):
        return np.zeros(len(column), bool)
    if pd.api.types.is_numeric_dtype(dtype):
        return column.notna().to_numpy(bool)
    return np.array([isinstance(value, Number) and not isinstance(value, (bool, np.bool_)) for value in column], bool)
