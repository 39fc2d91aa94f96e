"""The categories of a column in the training rows, and which of them the values of new rows are."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.data import truths
from lossreg.data.cells import example, text_of
from lossreg.data.columns import MISSING, is_real, texts
from lossreg.data.lost import AS_TEXT, Lost, Reason

UNKNOWN = "\0unknown"  # no text of a table has a NUL
LEADING_ZERO = re.compile(r"[+-]?0\d")
WHOLE = re.compile(r"([+-]?(?:0|[1-9]\d*))(?:\.0+)?")
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?")
NEW = Reason("is a category that no training row has", "are categories that no training row has", "treated as unknown")
GAP = Reason("is missing, and none was in training", "are missing, and none was in training", "treated as unknown")
SEVERAL = Reason(
    "is a number that stands for several categories", "are numbers that stand for several categories",
    "treated as unknown", AS_TEXT,
)  # fmt: skip
BY_VALUE = Reason(
    "is a number, and was text in training", "are numbers, and were text in training", "matched by value", AS_TEXT
)


@dataclass(frozen=True, slots=True)
class Categories:
    """The categories of a column in the training rows.

    names: all of them; numbers: those that are numbers, by value; truths: those that mean true or false, by value.
    """

    names: frozenset[str]
    numbers: dict[Decimal, list[str]]
    truths: dict[bool, list[str]]

    @classmethod
    def of(cls, column: pd.Series[Any]) -> Categories:
        """Return the categories of a column of training rows."""
        return cls.named(texts(column))

    @classmethod
    def named(cls, every: Iterable[str]) -> Categories:
        """Return the categories with these names, of which any may be there several times."""
        names = frozenset(every)
        numbers: dict[Decimal, list[str]] = defaultdict(list)
        by_truth: dict[bool, list[str]] = defaultdict(list)
        for name in sorted(names):
            if (number := _number(name)) is not None:
                numbers[number].append(name)
            if (truth := truths.of_text(name)) is not None:
                by_truth[truth].append(name)
        return cls(names, dict(numbers), dict(by_truth))

    def match(self, column: pd.Series[Any], lost: Lost) -> pd.Series[Any]:
        """Return the column with each value replaced by its category in the training rows; unknown values stay.

        A text matches the category of the same text, a number that of the same value, so that 1234 matches `01234`;
        where all categories are whole numbers, a text `4.0` matches 4, as pandas writes it beside a gap;
        true and false match `True`, `true` or 1, and `False`, `false` or 0. `lost` counts unknown and ambiguous
        values, and codes that were matched by value.
        """
        distinct, whole = Distinct.of(column), self._whole()
        values = zip(distinct.texts, distinct.numeric, strict=True)
        matched = [self._of_number(text) if number else self._of_text(text, whole) for text, number in values]
        if matched == distinct.texts:
            return column
        distinct.count(column, matched, lost)
        known = [text or written for text, written in zip(matched, distinct.texts, strict=True)]
        return pd.Series(pd.Categorical(np.array(known, object)[distinct.codes]), column.index, name=column.name)

    def ranked(self, column: pd.Series[Any]) -> pd.Series[Any]:
        """Return the column as `match` gives it, with its gaps and without counts."""
        return self.match(column, Lost()).where(texts(column) != MISSING)

    def _whole(self) -> dict[str, str]:
        """Return the categories by whole number, without decimals; empty where one is something else."""
        names = self.names - {MISSING}
        whole = {name: match[1] for name in sorted(names, reverse=True) if (match := WHOLE.fullmatch(name))}
        return {number: name for name, number in whole.items()} if len(whole) == len(names) else {}

    def _of_text(self, text: str, whole: Mapping[str, str]) -> str:
        """Return the category that a text or a boolean is, empty for none; whole: as `_whole` has them."""
        if text in self.names:
            return text
        if (same := WHOLE.fullmatch(text)) and same[1] in whole:
            return whole[same[1]]
        truth, number = truths.of_text(text), _number(text)
        if truth is not None:
            return _only(self.truths.get(truth, ())) or self._of_truth(truth)
        return self._of_flag(number)

    def _of_number(self, text: str) -> str:
        """Return the category that a number, written as this text, is; `UNKNOWN` for several, empty for none."""
        number = _number(text)
        if number is None:
            return text if text in self.names else ""
        same = self.numbers.get(number, ())
        return UNKNOWN if len(same) > 1 else _only(same) or self._of_flag(number)

    def _of_truth(self, truth: bool) -> str:
        """Return the category 1 or 0 of a truth value, where no category is another number."""
        return _only(self.numbers.get(Decimal(truth), ())) if self.numbers.keys() <= {0, 1} else ""

    def _of_flag(self, number: Decimal | None) -> str:
        """Return the category true or false that 1 or 0 means; empty for none."""
        return _only(self.truths.get(number == 1, ())) if number in (0, 1) else ""


@dataclass(frozen=True, slots=True)
class Distinct:
    """The distinct values of a column.

    codes: the index of each row's value, `(n,)`; texts: the values as texts; numeric: which of them are numbers.
    """

    codes: NDArray[np.intp]
    texts: list[str]
    numeric: list[bool]

    @classmethod
    def of(cls, column: pd.Series[Any]) -> Distinct:
        """Return the different values of a column of any type; in objects the text 1 and the number 1 are different."""
        if column.dtype == object and not any(issubclass(held, Number) for held in set(map(type, column))):
            codes, names = pd.factorize(texts(column))
            return cls(codes, list(names), [False] * len(names))
        if column.dtype == object:
            pairs = np.empty(len(column), object)
            pairs[:] = list(zip(texts(column), map(is_real, column), strict=True))
            codes, different = pd.factorize(pairs)
            return cls(
                codes, [text for text, _ in different], [number and text != MISSING for text, number in different]
            )
        codes, values = pd.factorize(column)
        gap = [MISSING] if (codes < 0).any() else []  # a code of -1 is the last place
        return cls(
            codes,
            [*(text_of(value) or MISSING for value in values), *gap],
            [*map(is_real, values), *(False for _ in gap)],
        )

    def count(self, column: pd.Series[Any], matched: list[str], lost: Lost) -> None:
        """Count the rows whose values are no category, may be several, or are codes; matched: as `match` has them."""
        name, gaps = str(column.name), [text == MISSING for text in self.texts]
        lost.count(name, GAP, int(self._rows(not text and gap for text, gap in zip(matched, gaps, strict=True)).sum()))
        lost.add(name, NEW, column, self._rows(not (text or gap) for text, gap in zip(matched, gaps, strict=True)))
        lost.add(name, SEVERAL, column, self._rows(text == UNKNOWN for text in matched))
        coded = (number and bool(LEADING_ZERO.match(text)) for text, number in zip(matched, self.numeric, strict=True))
        rows = np.flatnonzero(self._rows(coded))
        pairs = (f"{example(column.iloc[row])} as {matched[self.codes[row]]!r}" for row in rows[:100])
        lost.count(name, BY_VALUE, len(rows), pairs)

    def _rows(self, values: Iterable[bool]) -> NDArray[np.bool_]:
        """Mark the rows `(n,)` of the values that are marked."""
        return np.array([*values], bool)[self.codes]


def _only(names: Iterable[str]) -> str:
    """Return the name where there is one alone, else empty."""
    listed = list(names)
    return listed[0] if len(listed) == 1 else ""


def _number(text: str) -> Decimal | None:
    return Decimal(text) if NUMBER.fullmatch(text) else None
