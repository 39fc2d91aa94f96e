"""Texts that are numbers in a plain form, such as -1234.5, 1.234,5 and 4e-7: all values of a column at once, in Arrow.

Other texts are left to `numerals`, which takes them one by one.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
OTHER = {".": ",", ",": "."}
TEXT_OR_GAP = {str, float, type(None)}
VISIBLE = "[!-~]"  # what is no space in any script
EXPONENT = "(?:[eE][+-]?[0-9]{1,2})?"
PYTHONIC = rf"^ *[+-]?[0-9]+\.?[0-9]*{EXPONENT} *$"
SPACES = "[ \u00a0\u2009\u202f]*"
EITHER = r"^ *[+-]?[1-9][0-9]{0,2}[.,][0-9]{3} *$"


@cache
def _pattern(decimal: str, *, grouped: bool) -> str:
    """Return the pattern of a plain number, which a float holds and which is no code: without leading zeros."""
    groups = rf"|[1-9][0-9]{{0,2}}(?:[{OTHER[decimal]}][0-9]{{3}}){{1,5}}" if grouped else ""
    return rf"^ *[+-]?(?:0|[1-9][0-9]{{0,17}}{groups})(?:[{decimal}][0-9]{{1,30}})?{EXPONENT} *$"


class Texts(NamedTuple):
    """The values of a column of texts as an Arrow array."""

    array: Any

    @classmethod
    def of(cls, column: pd.Series[Any]) -> Texts | None:
        """Return the values of a column, None where they are not all texts or missing."""
        if pd.api.types.is_numeric_dtype(column.dtype):
            return None
        held = column if isinstance(column.dtype, pd.StringDtype) else column.to_numpy(object)
        if held is not column and not set(map(type, held)) <= TEXT_OR_GAP:
            return None
        try:
            array = pa.array(held, from_pandas=True)
            array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
        except (pa.ArrowException, UnicodeError, TypeError, ValueError):  # such as several types, or half a surrogate
            return None
        return cls(array) if pa.types.is_string(array.type) or pa.types.is_large_string(array.type) else None

    def match(self, pattern: str) -> Flags:
        """Return which of them a pattern is found in, `(n,)`; missing ones have none."""
        return _flags(pc.match_substring_regex(self.array, pattern))

    def plain(self, decimal: str, *, grouped: bool) -> Flags:
        """Return which of them are plain numbers with this decimal mark, `(n,)`.

        grouped: the other of point and comma may stand between thousands.
        """
        return self.match(_pattern(decimal, grouped=grouped))

    def without(self, unit: str) -> tuple[Texts, Flags]:
        """Return the texts without a unit before or behind a number, and which of them had it, `(n,)`."""
        sign = re.escape(unit)
        pattern = f"^ *([+-]?){sign}{SPACES}|{SPACES}{sign} *$"
        bare = pc.replace_substring_regex(self.array, pattern, "\\1", max_replacements=1)
        return Texts(bare), self.match(pattern)

    def hold(self, letter: str) -> Flags:
        """Return which of them hold a letter, `(n,)`."""
        return _flags(pc.match_substring(self.array, letter))

    def present(self) -> Flags:
        """Return which of them are not missing, `(n,)`."""
        return _flags(pc.is_valid(self.array))

    def taken(self, where: Flags) -> Texts:
        """Return those that are marked."""
        return self if where.all() else Texts(self.array.filter(pa.array(where)))

    def distinct(self, most: int) -> list[str] | None:
        """Return the different texts, None where there are more than so many."""
        different = pc.unique(self.array)
        return None if len(different) > most else different.to_pylist()

    def most_frequent(self) -> str:
        """Return the most frequent text without outer spaces, the first of several; there is at least one."""
        counts = pc.value_counts(pc.ascii_trim(self.array, " "))
        place = int(np.argmax(counts.field("counts").to_numpy(zero_copy_only=False)))
        return str(counts.field("values")[place].as_py())

    def numbers(self, decimal: str) -> NDArray[np.float64]:
        """Return the numbers `(n,)` that plain texts are."""
        written = pc.replace_substring(pc.ascii_trim(self.array, " +"), OTHER[decimal], "")
        numbers = pc.replace_substring(written, decimal, ".").cast(pa.float64())
        values: NDArray[np.float64] = numbers.to_numpy(zero_copy_only=False)
        return values

    def decimals(self, decimal: str) -> int:
        """Return the largest number of digits behind the decimal mark in plain texts, 0 where none has one."""
        written = pc.replace_substring_regex(pc.ascii_trim(self.array, " "), "[eE].*", "")
        places = pc.find_substring(written, decimal).to_numpy(zero_copy_only=False)
        behind = pc.binary_length(written).to_numpy(zero_copy_only=False) - places - 1
        return int(behind[places >= 0].max(initial=0))


def _flags(values: Any) -> Flags:
    flags: Flags = pc.fill_null(values, False).to_numpy(zero_copy_only=False)
    return flags


def blanks(column: pd.Series[Any]) -> int:
    """Return the number of texts in a column that hold nothing but spaces."""
    texts = Texts.of(column)
    values = column.to_numpy(object) if texts is None else column[~texts.match(VISIBLE)].to_numpy(object)
    return sum(isinstance(value, str) and not value.strip() for value in values)
