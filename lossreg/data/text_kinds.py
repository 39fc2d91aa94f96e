"""Kinds of columns of text, decided by all values: numbers, dates, durations, categories or free text."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from lossreg.data import dates, durations, numerals
from lossreg.data.cells import text_of
from lossreg.data.columns import Marks
from lossreg.data.conversions import AsDays
from lossreg.data.lost import NO_DATE
from lossreg.data.reading import FEW_TEXTS, FREE_TEXT, Reading, duration, number

ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?")
MOSTLY = 0.5
WORDINGS = 4  # fewer distinct texts beside numbers stand for numbers
BEGINNING = 300  # letters of a text that tell
WITH_DIGIT = re.compile(r"\S*\d\S*")
# letters between spaces; of scripts that are written without spaces two letters
WORD = re.compile(r"(?<!\S)[^\w\s]*[^\W\d_]{2,}(?!\w)|[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]{2}")


def of_texts(values: pd.Series[Any], decimal: str, asked: Marks | None = None) -> Reading:
    """Return the reading of texts, of which there is one at least; decimal, asked: as of `kinds.infer`."""
    if (numbers := numerals.of_column(values, decimal, asked)) is not None:
        return number(numbers)
    written, rows = counted(values)
    stripped = [text_of(value) for value in written]
    if not any(stripped):
        return Reading("empty", mark="blank")
    first = [text_of(value) for value in values.head(20)]
    read = _by_text(added_up(stripped, rows), first, decimal, asked)
    if read.kind not in ("category", "text"):
        return read
    pairs = zip(written, stripped, rows, strict=True)
    padded = [(text, count) for value, text, count in pairs if isinstance(value, str) and (value != text or not text)]
    return with_gaps(_padded(padded, read), stripped)


def with_gaps(read: Reading, texts: list[str]) -> Reading:
    """Return the reading of categories with the texts that are missing among them."""
    gaps = numerals.gaps_among_words(texts)
    marks = [read.mark] if read.mark else []
    marks += ["gaps"] if any(text.lower() in gaps for text in texts) else []
    return read._replace(gaps=gaps, mark="; ".join(marks))


def counted(values: pd.Series[Any]) -> tuple[list[Any], list[int]]:
    """Return distinct texts and their counts; objects stay apart, since equal ones may be written differently."""
    if not isinstance(values.dtype, pd.StringDtype):
        return values.tolist(), [1] * len(values)
    codes, distinct = pd.factorize(values)
    return list(distinct.to_numpy(object)), np.bincount(codes).tolist()


def added_up(texts: list[str], rows: list[int]) -> pd.Series[Any]:
    """Return the rows of each text, the most frequent first, as `value_counts` has them."""
    counts: dict[str, int] = {}
    for text, count in zip(texts, rows, strict=True):
        counts[text] = counts.get(text, 0) + count
    index = pd.Index(list(counts), dtype=object)
    return pd.Series(list(counts.values()), index).sort_values(ascending=False, kind="stable")


def _padded(padded: list[tuple[str, int]], read: Reading) -> Reading:
    """Return the reading of categories; it says how many have spaces around them, and how many are blank."""
    if not padded:
        return read
    spaced, blank = (sum(count for text, count in padded if bool(text) is there) for there in (True, False))
    notes = [f"{spaced} text{'s have' if spaced > 1 else ' has'} spaces around, taken off"] if spaced else []
    notes += [f"{blank} text{'s are' if blank > 1 else ' is'} blank, taken as missing"] if blank else []
    mark = "stripped" if read.kind == "category" else read.mark
    return read._replace(note="; ".join(filter(None, (*notes, read.note))), mark=mark)


def _by_text(counts: pd.Series[Any], first: list[str], decimal: str, asked: Marks | None = None) -> Reading:
    """Return the reading of texts, counted as by `value_counts`, of which the first rows are given too."""
    if (numbers := numerals.infer(counts, decimal, asked)) is not None:
        return number(numbers)
    if (days := dates.infer(counts)) is not None:
        usual = days.plain and _are_dates(first) and dates.are_as_in_pandas(list(counts.index), days)
        return Reading("date", AsDays(days), NO_DATE, dates.noted(days, counts), "" if usual else f"{days}")
    return _by_days(counts) or _text(counts, first, numerals.why_text(counts, asked) or dates.why_text(counts))


def _text(counts: pd.Series[Any], first: list[str], note: str) -> Reading:
    """Return the reading of texts that are categories or free text.

    There is a mark where version 0.1.0 took them for dates, and of free text, which up to 0.2.0 was left out.
    """
    if _are_free(counts):
        return FREE_TEXT._replace(note="; ".join(filter(None, (note, FREE_TEXT.note))))
    return Reading("category", note=note, mark="text" if _are_dates(first) else "")


def _are_free(counts: pd.Series[Any]) -> bool:
    """Return whether texts are free text: they mostly differ, not in numbers alone, and most have several words."""
    written = {str(text): int(count) for text, count in counts.items() if text}
    rows = sum(written.values())
    if len(written) <= FEW_TEXTS or len(written) < MOSTLY * rows:
        return False
    if len({WITH_DIGIT.sub("", text[:BEGINNING]) for text in written}) < WORDINGS:
        return False
    several = sum(count for text, count in written.items() if len(WORD.findall(text[:BEGINNING])) > 1)
    return several >= MOSTLY * rows


def _are_dates(first: list[str]) -> bool:
    """Return whether the first texts are dates as version 0.1.0 knew them, which decided by these alone."""
    return all(map(ISO_DATE.fullmatch, first))


def _by_days(counts: pd.Series[Any]) -> Reading | None:
    """Return the reading of texts that are mostly durations, None for others; nine in ten must be durations."""
    if not numerals.likely(counts.index, durations.has_form):
        return None
    there = numerals.present(counts)
    total, days = sum(there.values()), sum(count for text, count in there.items() if durations.has_form(text))
    if days < numerals.MOST * total:
        return None
    read = {text: count for text, count in there.items() if not np.isnan(durations.days(text))}
    if sum(read.values()) >= numerals.SHARE * total:
        return duration(durations.description(read), "duration in text")
    return Reading("category", note=numerals.mostly("durations", read, there))
