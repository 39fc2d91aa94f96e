"""Dates as days since 1970, of the years 1 to 9999: real dates, and text in the usual forms."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.data.numerals import MOST, SAMPLE, SHARE, is_marker

MICROSECONDS = 86_400e6
EPOCH = datetime.date(1970, 1, 1).toordinal()
NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MONTHS = {name: number for number, name in enumerate(NAMES, 1)}
MONTH = rf"(?P<month>(?:{'|'.join(NAMES)})[a-z]*)\.?"
TIME = (
    r"(?:[T ,]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r" ?(?P<half>[ap]m)? ?(?P<zone>z|utc|[+-]\d{2}:?\d{2})?)?"
)
FORMS = {
    "year first": re.compile(rf"(?P<year>\d{{4}})([-/.])(?P<month>\d{{1,2}})\2(?P<day>\d{{1,2}}){TIME}", re.I),
    "year last": re.compile(rf"(?P<first>\d{{1,2}})([-/.])(?P<last>\d{{1,2}})\2(?P<year>\d{{4}}){TIME}", re.I),
    "month by name": re.compile(rf"(?P<day>\d{{1,2}})[-/ .]+{MONTH}[-/ ,.]+(?P<year>\d{{4}}){TIME}", re.I),
    "name first": re.compile(rf"{MONTH} +(?P<day>\d{{1,2}}),? +(?P<year>\d{{4}}){TIME}", re.I),
}


@dataclass(frozen=True, slots=True)
class Dates:
    """How the dates of a column of texts are written.

    day_first: the order of day and month before a year, None where no date has them so, and then only a date that
    has one order alone is read; forms: an example of each form with its number of rows;
    doubt: a date that could be meant in the other order, empty where the rows leave no doubt.
    """

    day_first: bool | None = None
    forms: tuple[tuple[str, int], ...] = ()
    doubt: str = ""

    @property
    def plain(self) -> bool:
        """Whether all dates have the year first."""
        return len(self.forms) < 2 and all(FORMS["year first"].fullmatch(example) for example, _ in self.forms)

    def description(self) -> str:
        """What a note says of such a column."""
        if self.plain:
            return "dates, read as days since 1970"
        kinds = ", ".join(f"{rows} like {example}" for example, rows in self.forms)
        text = f"dates, read as days since 1970 ({kinds})"
        if any(FORMS["year last"].fullmatch(example) for example, _ in self.forms):
            orders = ["month before day", "day before month"]
            text += f"; {orders.pop(bool(self.day_first))}"
            if self.doubt:
                text += f", though no date rules out {orders[0]} ('{self.doubt}')"
        return text

    def day(self, text: str) -> float:
        """Days since 1970 of a text, NaN where it is no date."""
        matched = _match(text)
        return float("nan") if matched is None else _days(matched[1].groupdict(), self._order(matched[1].groupdict()))

    def _order(self, parts: dict[str, str | None]) -> bool | None:
        if self.day_first is not None or not parts.get("first"):
            return bool(self.day_first)
        first, last = int(parts["first"] or 0), int(parts["last"] or 0)
        return None if first <= 12 and last <= 12 and first != last else first > 12


def _match(text: str) -> tuple[str, re.Match[str]] | None:
    stripped = text.strip()
    found = ((name, form.fullmatch(stripped)) for name, form in FORMS.items())
    return next(((name, match) for name, match in found if match), None)


def _days(parts: dict[str, str | None], day_first: bool | None) -> float:
    if day_first is None:
        return float("nan")
    try:
        date = np.datetime64(
            f"{int(parts['year'] or 0):04d}-{_month(parts, day_first):02d}-{_day(parts, day_first):02d}"
        )
    except ValueError:
        return float("nan")
    if int(parts["year"] or 0) < 1:
        return float("nan")
    return float(date.astype(np.int64)) + _time(parts)


def _month(parts: dict[str, str | None], day_first: bool) -> int:
    if parts.get("first"):
        return int(parts["last" if day_first else "first"] or 0)
    month = str(parts["month"]).lower()
    return int(month) if month.isdigit() else MONTHS[month[:3]]


def _day(parts: dict[str, str | None], day_first: bool) -> int:
    return int(parts.get("day") or parts["first" if day_first else "last"] or 0)


def _time(parts: dict[str, str | None]) -> float:
    """Hours, minutes, seconds and time zone as a share of a day; NaN for an hour that no day has."""
    hour, minute, second = (int(parts[name] or 0) for name in ("hour", "minute", "second"))
    if half := parts["half"]:
        hour = hour % 12 + (12 if half.lower() == "pm" else 0)
    if hour > 24 or minute > 59 or second > 60:
        return float("nan")
    zone = (parts["zone"] or "").replace(":", "")
    offset = int(zone[0] + "1") * (int(zone[1:3]) * 60 + int(zone[3:5])) if zone[:1] in ("+", "-") else 0
    fraction = float(f"0.{parts['fraction'] or 0}")
    return ((hour * 60 + minute - offset) * 60 + second + fraction) / 86_400


def settle(counted: pd.Series[Any]) -> Dates | None:
    """How texts, counted as by `value_counts`, write dates; None unless nine in ten are dates."""
    if not _likely(counted.index):
        return None
    counts = {str(text): int(count) for text, count in counted.items() if not is_marker(str(text))}
    forms: dict[str, dict[str, int]] = {}
    for text, count in counts.items():
        if (matched := _match(text)) is not None:
            forms.setdefault(matched[0], {})[text] = count
    rows = sum(sum(form.values()) for form in forms.values())
    if rows < max(SHARE * sum(counts.values()), MOST * counted.sum()):
        return None
    day_first, doubt = _order(forms.get("year last", {}))
    examples = [(next(iter(form)), sum(form.values())) for form in forms.values()]
    dates = Dates(day_first, tuple(examples), doubt)
    return None if all(np.isnan(dates.day(text)) for text in counts) else dates


def _likely(distinct: pd.Index[Any]) -> bool:
    """Whether a sample of the distinct values suggests dates, for long columns of text are not worth the time."""
    sample = [str(text) for text in distinct[:: max(1, len(distinct) // SAMPLE)]]
    sample = [text for text in sample if not is_marker(text)]
    return bool(sample) and sum(_match(text) is not None for text in sample) >= MOST * len(sample)


def _order(texts: dict[str, int]) -> tuple[bool | None, str]:
    """Whether days stand before months, by what more rows need; and a text, where no row needs either."""
    if not texts:
        return None, ""
    needs = {True: 0, False: 0}
    for text, count in texts.items():
        parts = FORMS["year last"].fullmatch(text.strip())
        if parts is not None and (int(parts["first"]) > 12) != (int(parts["last"]) > 12):
            needs[int(parts["first"]) > 12] += count
    if any(needs.values()):
        return needs[True] > needs[False], ""
    first = next(iter(texts))
    return "." in first, first


def of_texts(texts: pd.Series[Any], dates: Dates) -> NDArray[np.float64]:
    """Days since 1970 `(n,)` of texts, NaN where they are no dates."""
    found = of_stamps(pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce"))
    rest = texts[np.isnan(found)]
    codes, distinct = pd.factorize(rest)
    days = np.array([dates.day(str(text)) for text in distinct] + [np.nan])
    found[np.isnan(found)] = days[codes]
    return found


def of_stamps(column: pd.Series[Any]) -> NDArray[np.float64]:
    """Days since 1970 `(n,)` of a column of time stamps, with or without a time zone, NaN where there is none."""
    stamps = column.dt.tz_convert(None) if column.dt.tz is not None else column
    days = stamps.dt.as_unit("us").astype("int64").to_numpy(np.float64) / MICROSECONDS
    return np.where(stamps.isna(), np.nan, days)
