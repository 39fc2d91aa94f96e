"""Labels that are missing, or that mark among numbers that there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.data import numerals
from lossreg.data.cells import example, text_of
from lossreg.data.row_numbers import RowNumbers
from lossreg.errors import DataError

Flags = NDArray[np.bool_]
NA_HINT = (
    "Set data.drop_unlabelled = true to leave these rows out, or correct them; in text files NA, None, null and empty "
    "fields count as missing."
)
INFINITE_HINT = "Remove or correct these rows."


def are_there(y: Any) -> Flags:
    """Return which rows have a label: neither missing, nor a blank text, nor a mark of a gap among numbers."""
    if not isinstance(y, pd.Series):
        missing = np.isnan(y) if y.dtype.kind == "f" else np.zeros(y.shape, bool)
        return np.asarray(~missing.reshape(len(y), -1).any(axis=1))
    blank = [isinstance(value, (str, bytes)) and not value.strip() for value in y]
    return np.asarray(~(y.isna().to_numpy(bool) | np.array(blank, bool) | marks(y)))


def marks(y: pd.Series[Any]) -> Flags:
    """Return which labels among numbers in text mark that there is none, such as `?`; words may be a class."""
    flags = np.zeros(len(y), bool)
    if not (y.dtype == object or isinstance(y.dtype, pd.StringDtype)):
        return flags
    texts = [text_of(value) if isinstance(value, (str, bytes)) else "" for value in y]
    flags |= [bool(text) and numerals.is_marker(text) and text.lower() not in numerals.WORDS for text in texts]
    if flags.any() and numerals.infer(y[~flags].dropna().map(text_of).value_counts()) is None:
        return np.zeros(len(y), bool)
    return flags


def check(
    missing: Flags, infinite: Flags, where: str, numbers: RowNumbers, *, several: bool = False, words: str = ""
) -> None:
    """Raise `DataError` for rows `(n,)` whose label, or one of whose several labels, is missing or infinite.

    words: a hint on words that were read as missing.
    """
    of_gaps = f"{words} {NA_HINT.partition(';')[0]}.".lstrip() if words else NA_HINT
    for flags, what, hint in ((missing, "missing (NaN)", of_gaps), (infinite, "infinite", INFINITE_HINT)):
        rows = np.flatnonzero(flags)
        if len(rows):
            is_are, has_have = ("is", "has") if len(rows) == 1 else ("are", "have")
            nouns = f"rows {has_have} a label that is" if several else f"labels {is_are}"
            first = f"the first in {numbers.named(rows)}"
            raise DataError(f"{len(rows):,} of {len(flags):,} {nouns} {what}, {first}", where=where, hint=hint)


def check_marks(y: pd.Series[Any], where: str, numbers: RowNumbers) -> None:
    """Raise `DataError` for labels among numbers that mark that there is none."""
    flags = marks(y)
    if flags.any():
        hint = "Set data.drop_unlabelled = true to leave these rows out, since they have no label, or correct them."
        raise DataError(no_numbers(y, flags, numbers), where=where, hint=hint)


def no_numbers(y: pd.Series[Any], flags: Flags, numbers: RowNumbers) -> str:
    """Return the number of labels that are marked as no numbers, some of them, and where they stand."""
    count, shown = int(flags.sum()), ", ".join(dict.fromkeys(map(example, y[flags].head(100))))
    are = "is not a number" if count == 1 else "are not numbers"
    return f"{count:,} of {len(y):,} labels {are} ({shown}), the first in {numbers.named(np.flatnonzero(flags))}"
