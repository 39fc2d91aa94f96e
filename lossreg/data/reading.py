"""Readings of the columns of a table: as numbers, dates, durations, ranks or categories, whatever their type.

They are inferred once and kept for new rows; no statistic is computed here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.contract.data_options import TEXT, Options
from lossreg.data import dates, durations, numerals, plain_texts
from lossreg.data.cells import COMPLEX, example, of_column, text_of
from lossreg.data.dates import Dates
from lossreg.data.lost import A_GAP, INFINITE, NO_DATE, NO_DURATION, NO_NUMBER, NO_RANK, Lost, Reason, grouped
from lossreg.data.numerals import Numerals
from lossreg.errors import DataError, is_hashable

Values = NDArray[np.float64]
Marks = tuple[str, str]
MISSING = "(missing)"
ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?")
DATES = ("datetime64", "datetime", "date", "period")
DURATIONS = ("timedelta64", "timedelta", "time")
SECONDS = 86_400
EXACT = 2**53
TEXT_WIDTH = 30  # columns of free text
FEW_TEXTS = 32  # that many are categories at least
MOSTLY = 0.5
WORDINGS = 4  # fewer beside numbers are names of a number
BEGINNING = 300  # letters of a text that tell
WITH_DIGIT = re.compile(r"\S*\d\S*")
# letters between spaces; of scripts that are written without spaces two letters
WORD = re.compile(r"(?<!\S)[^\w\s]*[^\W\d_]{2,}(?!\w)|[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]{2}")
USUAL_NUMBERS, USUAL_DATES = Numerals(), Dates()


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


FREE_TEXT = Reading("text", note=f"free text, its words or their parts in {TEXT_WIDTH} columns", mark="free text")


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
        return dates.of_texts(_texts(starts), self.dates)


@dataclass(frozen=True, slots=True)
class AsDurations:
    """Durations, times of day, or texts such as `2 days 03:00:00` and `8:30 pm`."""

    def __call__(self, column: pd.Series[Any]) -> Values:
        """Return days, NaN for what is no duration."""
        if column.dtype.kind == "m":
            seconds: Values = column.dt.total_seconds().to_numpy(np.float64, na_value=np.nan)
            return seconds / SECONDS
        codes, distinct = pd.factorize(_texts(column))
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


def is_number(dtype: Any) -> bool:
    """Return whether a type of columns is one of numbers, which booleans are not."""
    return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)


def plain(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return the same values in plain storage: no sparse or Arrow columns, periods, intervals or bytes."""
    if isinstance(column.dtype, pd.SparseDtype):
        return pd.Series(np.asarray(column), column.index, name=column.name)
    if isinstance(column.dtype, pd.ArrowDtype) and not is_number(column.dtype):
        column = column.astype(object).infer_objects()
    if isinstance(column.dtype, (pd.PeriodDtype, pd.IntervalDtype)):
        return column.astype(object)
    if column.dtype == object and any(isinstance(value, bytes) for value in column):
        return column.map(lambda value: text_of(value) if isinstance(value, bytes) else value)
    return column


def _texts(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return present values as texts without surrounding spaces, None for missing ones, under the same index."""
    if isinstance(column.dtype, pd.StringDtype):
        written = [text.strip() if isinstance(text, str) else None for text in column.to_numpy(object)]
        return pd.Series(written, column.index, dtype=object)
    values = [None if is_missing else text_of(v) for v, is_missing in zip(column, column.isna(), strict=True)]
    return pd.Series(values, column.index, dtype=object)


def texts(column: pd.Series[Any]) -> NDArray[Any]:
    """Return values as texts `(n,)`; what is missing or blank is `(missing)`."""
    if isinstance(column.dtype, (pd.StringDtype, pd.CategoricalDtype)):
        codes, distinct = pd.factorize(column)
        names = np.array([*(text_of(value) or MISSING for value in distinct), MISSING], object)
        written: NDArray[Any] = names[codes]
        return written
    return np.array([text or MISSING for text in _texts(column)], object)


def infer(column: pd.Series[Any], decimal: str = "", asked: Marks | None = None) -> Reading:
    """Return the reading of a column; raises `DataError`.

    decimal: the decimal mark of the table's other texts; asked: the marks in numbers that the study names.
    """
    column = plain(column)
    values = column.dropna()
    if values.empty:
        return Reading("empty")
    by_type = _by_type(column.dtype, values)
    if by_type is not None:
        return _marked(by_type, values)
    if isinstance(values.dtype, pd.StringDtype):
        return _marked(_of_texts(values, decimal, asked), values)
    if not all(is_hashable(value) for value in values):
        return Reading("nested")
    return _marked(_by_value(values, decimal, asked), values)


def _marked(read: Reading, values: pd.Series[Any]) -> Reading:
    """Return the reading, with a mark where there are more categories than the 32 that versions up to 0.2.0 encoded."""
    if read.kind == "category" and values.nunique() > FEW_TEXTS:
        return read._replace(mark=f"many {read.mark}".strip())
    return read


def as_kind(column: pd.Series[Any], kind: str, decimal: str, asked: Marks | None) -> Reading:
    """Return the reading of a column as the kind that the study names; raises `DataError` where no value fits."""
    values = plain(column).dropna()
    if values.empty:
        return Reading("empty")
    if not all(map(is_hashable, values)):
        raise DataError(f"is to be a {kind}, and holds lists", hint='Its kind may be "drop".')
    if kind == TEXT:
        return FREE_TEXT._replace(asked=True)
    if kind == "category":
        counts = _counts(values) if isinstance(values.dtype, pd.StringDtype) or values.dtype == object else None
        usual = Reading("category") if counts is None else _with_gaps(Reading("category"), list(counts.index))
        return _marked(usual, values)._replace(asked=True)
    usual = infer(column, decimal, asked)
    if usual.kind in (kind, "empty"):
        return usual._replace(asked=True)
    forced = (_forced_number if kind == "number" else _forced_date)(values, decimal, asked)
    if forced is None:
        first = ", ".join(dict.fromkeys(map(example, values.head(100)[:3])))
        hint = f"Leave it out of data.columns, or set another kind (as it is read: {usual.kind})."
        raise DataError(f"is to be a {kind}, and no value is one ({first})", hint=hint)
    return forced._replace(asked=True)


def _forced_number(values: pd.Series[Any], decimal: str, asked: Marks | None) -> Reading | None:
    if pd.api.types.is_bool_dtype(values):
        return Reading("number", AsNumbers(), NO_NUMBER, "truth values, read as 1 and 0")
    if getattr(values.dtype, "kind", "") == "M":
        return None
    numbers = numerals.infer(_counts(values), decimal, asked, forced=True)
    return None if numbers is None else _number(numbers)


def _number(numbers: Numerals) -> Reading:
    return Reading("number", AsNumbers(numbers), NO_NUMBER, numbers.description(), f"{numbers}")


def _forced_date(values: pd.Series[Any], decimal: str, asked: Marks | None) -> Reading | None:
    days = None if is_number(values.dtype) else dates.infer(_counts(values), forced=True)
    return None if days is None else Reading("date", AsDays(days), NO_DATE, days.description(), f"{days}")


def _counts(values: pd.Series[Any]) -> pd.Series[Any]:
    """Return the texts of present values with their counts, the most frequent first."""
    written, rows = _counted(values)
    return _added_up([text_of(value) for value in written], rows)


def _by_type(dtype: Any, values: pd.Series[Any]) -> Reading | None:
    """Return the reading that a column's type suggests, None for objects and texts."""
    if getattr(dtype, "kind", "") == "c":
        raise DataError("holds complex numbers", hint=COMPLEX)
    if isinstance(dtype, pd.CategoricalDtype):
        return _ordered(dtype) if dtype.ordered else Reading("category")
    if pd.api.types.is_bool_dtype(dtype):
        return Reading("category")
    if is_number(dtype):
        return Reading("number", AsNumbers(), note=_rounded(values))
    if getattr(dtype, "kind", "") == "M":
        return Reading("date", AsDays(), NO_DATE, USUAL_DATES.description())
    if getattr(dtype, "kind", "") == "m":
        return _duration()
    return None


def _ordered(dtype: pd.CategoricalDtype) -> Reading:
    names = tuple(text_of(category) for category in dtype.categories)
    shown_names = " < ".join(names if len(names) <= 6 else (*names[:5], "...", names[-1]))
    note = f"ordered categories ({shown_names}), read as 0 to {len(names) - 1}"
    return Reading("number", AsRanks(names), NO_RANK, note, f"ordered {names}")


def _duration(note: str = "durations, read as days", mark: str = "duration") -> Reading:
    return Reading("number", AsDurations(), NO_DURATION, note, mark)


def _rounded(values: pd.Series[Any]) -> str:
    """Return a note on whole numbers that a float cannot hold."""
    whole = values.dtype == object or values.dtype.kind in "iu"
    large = whole and any(abs(int(v)) > EXACT for v in (values.min(), values.max()) if isinstance(v, (int, np.integer)))
    return f"whole numbers above {EXACT:,} are rounded" if large else ""


def _by_value(values: pd.Series[Any], decimal: str, asked: Marks | None = None) -> Reading:
    inferred = pd.api.types.infer_dtype(values, skipna=True)
    if inferred == "complex" or any(isinstance(value, (complex, np.complexfloating)) for value in values):
        raise DataError("holds complex numbers", hint=COMPLEX)
    if inferred == "boolean":
        return Reading("category")
    if inferred in DATES:
        return Reading("date", AsDays(), NO_DATE, USUAL_DATES.description(), "period" if inferred == "period" else "")
    if inferred in DURATIONS:
        return _duration()
    if inferred == "interval":
        return Reading("number", AsMiddles(), NO_NUMBER, "intervals, read as their middles", "interval")
    if all(is_real(value) for value in values):
        mark = "" if inferred in ("integer", "floating", "decimal", "mixed-integer-float") else "numbers"
        return Reading("number", AsNumbers(), note=_rounded(values), mark=mark)
    return _of_texts(in_texts(values, asked), decimal, asked)


def in_texts(values: pd.Series[Any], asked: Marks | None) -> pd.Series[Any]:
    """Return objects with the real numbers among them as texts with the decimal mark that the study names."""
    if asked is None or values.dtype != object:
        return values
    return values.map(lambda value: text_of(value).replace(".", asked[0]) if is_real(value) else value)


def _with_marks(reading: Reading, asked: Marks | None) -> Reading:
    """Return the reading of a column of numbers so that texts of further rows have the marks that the study names."""
    said = numerals.said(asked)
    if said is None or reading.read != AsNumbers():
        return reading
    return reading._replace(read=AsNumbers(said))


def _of_texts(values: pd.Series[Any], decimal: str, asked: Marks | None = None) -> Reading:
    if (numbers := numerals.of_column(values, decimal, asked)) is not None:
        return _number(numbers)
    written, rows = _counted(values)
    stripped = [text_of(value) for value in written]
    if not any(stripped):
        return Reading("empty", mark="blank")
    first = [text_of(value) for value in values.head(20)]
    read = _by_text(_added_up(stripped, rows), first, decimal, asked)
    if read.kind not in ("category", "text"):
        return read
    pairs = zip(written, stripped, rows, strict=True)
    padded = [(text, count) for value, text, count in pairs if isinstance(value, str) and (value != text or not text)]
    return _with_gaps(_padded(padded, read), stripped)


def _with_gaps(read: Reading, texts: list[str]) -> Reading:
    """Return the reading of categories with the texts that are missing among them."""
    gaps = numerals.gaps_among_words(texts)
    marks = [read.mark] if read.mark else []
    marks += ["gaps"] if any(text.lower() in gaps for text in texts) else []
    return read._replace(gaps=gaps, mark="; ".join(marks))


def _counted(values: pd.Series[Any]) -> tuple[list[Any], list[int]]:
    """Return distinct texts and their counts; objects stay apart, since equal ones may be written differently."""
    if not isinstance(values.dtype, pd.StringDtype):
        return values.tolist(), [1] * len(values)
    codes, distinct = pd.factorize(values)
    return list(distinct.to_numpy(object)), np.bincount(codes).tolist()


def _added_up(texts: list[str], rows: list[int]) -> pd.Series[Any]:
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


def is_real(value: Any) -> bool:
    """Return whether a value is a real number, which booleans are not."""
    return (isinstance(value, Real) or type(value).__name__ == "Decimal") and not isinstance(value, (bool, np.bool_))


def _by_text(counts: pd.Series[Any], first: list[str], decimal: str, asked: Marks | None = None) -> Reading:
    """Return the reading of texts, counted as by `value_counts`, of which the first rows are given too."""
    if (numbers := numerals.infer(counts, decimal, asked)) is not None:
        return _number(numbers)
    if (days := dates.infer(counts)) is not None:
        usual = days.plain and _are_dates(first) and dates.are_as_in_pandas(list(counts.index), days)
        return Reading("date", AsDays(days), NO_DATE, days.description(), "" if usual else f"{days}")
    return _by_days(counts) or _text(counts, first, numerals.why_text(counts) or dates.why_text(counts))


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
        return _duration(durations.description(read), "duration in text")
    return Reading("category", note=numerals.mostly("durations", read, there))


class Readings(dict[str, Reading]):
    """The readings of the columns of a table, by name."""

    @classmethod
    def of(cls, rows: pd.DataFrame, options: Options | None = None) -> Readings:
        """Return the readings that these rows suggest, or the study; raises `DataError` for what cannot be read."""
        options = options or Options()
        decimal, readings = decimal_mark(rows), cls()
        for name in map(str, rows.columns):
            with of_column(name):
                kind = options.columns.get(name, "")
                way = infer if not kind else partial(as_kind, kind=kind)
                inferred = way(rows[name], decimal=decimal, asked=options.marks)
                readings[name] = _with_marks(inferred, options.marks)
        return readings

    def wherever_as(self, others: Readings, rows: pd.DataFrame) -> Readings:
        """Return the others, or these where they make the same of a column of these rows."""
        same = {name for name, other in others.items() if _are_alike(self[name], other, rows[name])}
        return Readings({name: self[name] if name in same else other for name, other in others.items()})

    def notes(self) -> list[str]:
        """Return notes on columns whose reading is not obvious."""
        return grouped({name: reading.note for name, reading in self.items()})

    def missing(self, rows: pd.DataFrame) -> dict[str, int]:
        """Return the number of missing values per column, blank texts among numbers and dates included."""
        counts = {name: _gaps(rows[name], reading) for name, reading in self.items() if reading.kind != "empty"}
        return {name: count for name, count in counts.items() if count}

    def marks(self) -> Iterator[bytes]:
        """Yield bytes that tell these readings from the usual ones of the same values; none where they are usual."""
        for name, reading in self.items():
            if reading.mark:
                yield f"{name} read as {reading.kind}: {reading.mark}".encode()

    def apply(self, rows: pd.DataFrame) -> tuple[pd.DataFrame, Lost]:
        """Return the rows with numbers and dates as float64, NaN where a value cannot be read, and the lost values.

        Raises `DataError`.
        """
        lost = Lost(len(rows))
        at_once = {name: True for name, reading in self.items() if _at_once(reading, rows[name].dtype)}
        columns: dict[str, Any] = {}
        for name in [name for name in self if name not in at_once]:
            with of_column(name):
                column, read = plain(rows[name]), self[name].read
                columns[name] = (
                    _words(column, self[name], lost) if read is None else _kept(column, name, self[name], lost)
                )
        table = pd.concat([pd.DataFrame(columns, index=rows.index), _block(rows[list(at_once)], lost)], axis=1)
        return table[list(self)], lost


def _are_alike(one: Reading, other: Reading, column: pd.Series[Any]) -> bool:
    """Return whether two readings make the same of a column."""
    if one.kind != other.kind or one.read is None or other.read is None:
        return (one.kind, one.read, one.gaps) == (other.kind, other.read, other.gaps)
    column = plain(column)
    return one.read == other.read or np.array_equal(one.read(column), other.read(column), equal_nan=True)


def _gaps(column: pd.Series[Any], reading: Reading) -> int:
    gaps = int(column.isna().sum())
    if reading.read is None or not (column.dtype == object or isinstance(column.dtype, pd.StringDtype)):
        return gaps
    return gaps + plain_texts.blanks(column)


def _at_once(reading: Reading, dtype: Any) -> bool:
    """Return whether a column has a numeric type, so that it can be read together with others."""
    return isinstance(reading.read, AsNumbers) and isinstance(dtype, np.dtype) and dtype.kind in "iuf"


def _block(numbers: pd.DataFrame, lost: Lost) -> pd.DataFrame:
    values = numbers.to_numpy(np.float64)
    infinite = np.isinf(values)
    for i in np.flatnonzero(infinite.any(axis=0)):
        lost.add(str(numbers.columns[int(i)]), INFINITE, values[:, i], infinite[:, i])
    return pd.DataFrame(np.where(infinite, np.nan, values), numbers.index, numbers.columns)


def decimal_mark(rows: pd.DataFrame) -> str:
    """Return the decimal mark that texts in a table use beyond doubt, empty where they leave it open or disagree."""
    columns = (column for column in _of_text(rows) if column.str.contains(",", regex=False).any())
    forms = [numerals.of_column(column) or numerals.infer(column.value_counts()) for column in columns]
    marks = {form.decimal for form in forms if form is not None and not form.doubt}
    return marks.pop() if len(marks) == 1 else ""


def _of_text(rows: pd.DataFrame) -> Iterator[pd.Series[Any]]:
    """Return the values of the columns of text."""
    for name in rows.columns:
        with of_column(str(name)):
            column = plain(rows[name])
            is_text = _is_text(column)
        if is_text:
            yield column.dropna()


def _is_text(column: pd.Series[Any]) -> bool:
    return pd.api.types.infer_dtype(column, skipna=True) in ("string", "bytes")


def _words(column: pd.Series[Any], reading: Reading, lost: Lost) -> pd.Series[Any]:
    """Return the column with the texts that mark gaps as missing, which are counted."""
    if not reading.gaps or not (column.dtype == object or isinstance(column.dtype, pd.StringDtype)):
        return column
    known: dict[str, bool] = {}
    gaps = np.array([isinstance(value, str) and _is_gap(value, reading.gaps, known) for value in column], bool)
    lost.add(str(column.name), A_GAP, column, gaps)
    return column.mask(gaps) if gaps.any() else column


def _is_gap(text: str, gaps: frozenset[str], known: dict[str, bool]) -> bool:
    """Return whether a text is one of these; answers are kept, since texts repeat."""
    if text not in known:
        known[text] = text.strip().lower() in gaps
    return known[text]


def _kept(column: pd.Series[Any], name: str, reading: Reading, lost: Lost) -> pd.Series[Any]:
    assert reading.read is not None
    if column.dtype.kind == "c":
        raise DataError("holds complex numbers", hint=COMPLEX)
    values = reading.read(column)
    there = ~column.isna().to_numpy(bool)
    lost.add(name, INFINITE, column, there & np.isinf(values))
    lost.add(name, reading.reason, column, _unread(column, there & np.isnan(values)))
    return pd.Series(np.where(np.isinf(values), np.nan, values), column.index, name=name)


def _unread(column: pd.Series[Any], where: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`where` without blank texts, which are missing anyway."""
    for i in np.flatnonzero(where):
        value = column.iloc[i]
        if isinstance(value, str) and not value.strip():
            where[i] = False
    return where
