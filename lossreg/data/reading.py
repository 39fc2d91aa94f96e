"""The way in which a column of a table is read: as numbers, dates, durations, ranks, categories or free text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd

from lossreg.data.conversions import AsDurations, AsNumbers, Values
from lossreg.data.lost import NO_DURATION, NO_NUMBER, Reason
from lossreg.data.numerals import Numerals

TEXT_WIDTH = 30  # columns of free text
FEW_TEXTS = 32  # that many are categories at least


class Reading(NamedTuple):
    """The way in which a column is read.

    kind: number, date, category, text (free text), empty or nested; read: turns a column into `(n,)` float64, NaN
    where a value cannot be read, None for other kinds; reason: why a value is lost; note: a note on the column, empty
    where the reading is obvious; mark: identifies an unusual reading of such values, empty for the usual one; asked:
    the study names the kind; gaps: texts that are missing among categories, in lower case.
    """

    kind: str
    read: Callable[[pd.Series[Any]], Values] | None = None
    reason: Reason = NO_NUMBER
    note: str = ""
    mark: str = ""
    asked: bool = False
    gaps: frozenset[str] = frozenset()


FREE_TEXT = Reading(
    "text", note=f"free text, read as {TEXT_WIDTH} columns made of its words or parts of words", mark="free text"
)


def number(numbers: Numerals) -> Reading:
    """Return the reading of texts that are numbers of a form."""
    return Reading("number", AsNumbers(numbers), NO_NUMBER, numbers.description(), f"{numbers}")


def duration(note: str = "durations, read as days", mark: str = "duration") -> Reading:
    """Return the reading of durations."""
    return Reading("number", AsDurations(), NO_DURATION, note, mark)
