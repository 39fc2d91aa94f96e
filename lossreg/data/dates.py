"""Dates as days since 1970, of the years 1 to 9999: real dates, and text in the usual forms."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.data.datetexts import (
    ANY_ORDER,
    DAY_FIRST,
    MICROSECONDS,
    MONTH_FIRST,
    PIVOT,
    YEAR_FIRST,
    Alike,
    Flags,
    Numbers,
    alike,
    matched,
    plain,
)  # fmt: skip
from lossreg.data.numerals import MOST, SHARE, likely, mostly, present

Days = NDArray[np.float64]
OF_WORDS = f"{string.ascii_letters}/_-]"
ORDERS = {"dmy": DAY_FIRST, "mdy": MONTH_FIRST, "ymd": YEAR_FIRST}


class Order(NamedTuple):
    """The order of day, month and year around a separator.

    short: years have two digits; other: the most likely other order, empty where the study names the order; rows: the
    number of dates that are valid in this order and not in the other; lost: the number that are valid in other orders
    only; example: one of the lost dates, or else one that is valid in both orders.
    """

    separator: str
    short: bool
    order: str
    other: str
    rows: int
    lost: int
    example: str

    def description(self) -> str:
        """Return the order, and the evidence where it is not plain."""
        if not self.other:
            stated = f"{self.order}, as data.columns says"
            return stated + (f"; {self.lost:,} dates ('{self.example}') are missing for it" if self.lost else "")
        if self.lost:
            need = f"{self.order}, which {self.rows:,} dates need"
            return f"{need}, while {self.lost:,} need {self.other} ('{self.example}') and are taken as missing"
        doubt = f" is assumed: no date excludes {self.other} ('{self.example}'), {_named(self.other)}"
        return self.order + ("" if self.rows else doubt)


@dataclass(frozen=True, slots=True)
class Dates:
    """The forms in which the dates of a column of texts are written.

    orders: the order of day, month and year around each separator; without any, as where the year comes first or
    the month is a word, only dates that are valid in a single order are read; forms: an example of each form with
    its number of rows; plain: all dates begin with a year of four digits; short: years may have two digits.
    """

    orders: tuple[Order, ...] = ()
    forms: tuple[tuple[str, int], ...] = ()
    plain: bool = True
    short: bool = False

    def description(self) -> str:
        """Return a note on such a column."""
        text = "dates, read as days since 1970"
        if self.plain:
            return text
        kinds = ", ".join(f"{rows:,} such as {example}" for example, rows in self.forms)
        years = f"years of two digits are {1900 + PIVOT} to {1999 + PIVOT}" if self.short else ""
        return "; ".join(filter(None, (f"{text} ({kinds})", *self._described_orders(), years)))

    def _described_orders(self) -> Iterable[str]:
        noted = [order for order in self.orders if order.other or order.rows or order.lost]
        lines = {f"with '{order.separator}'": order.description() for order in noted}
        distinct = set(lines.values())
        return distinct if len(distinct) < 2 else [f"{where} {text}" for where, text in lines.items()]

    def days(self, texts: Sequence[str]) -> Days:
        """Return days since 1970 `(n,)` of texts, NaN where they are no dates."""
        days = np.full(len(texts), np.nan)
        for group in alike(texts):
            if self.short or not group.short:
                days[group.indices] = self._days(group)
        return days

    def _days(self, group: Alike) -> Days:
        if group.form != ANY_ORDER:
            return group.days(group.form)
        order = self.order(group.separator, group.short)
        return _unambiguous(group) if order is None else group.days(order)

    def order(self, separator: str, short: bool) -> str | None:
        """Return the order around a separator; for an unknown separator that of the others, for a dot day first."""
        orders = [each for each in self.orders if short or each.order != YEAR_FIRST or not each.other]
        nearest = min(orders, key=lambda order: (order.separator != separator, order.short != short), default=None)
        if nearest is not None and separator == "." != nearest.separator:
            return DAY_FIRST
        return None if nearest is None else nearest.order


def _unambiguous(group: Alike) -> Days:
    """Return the days of dates that are valid in one order only, or mean the same day in two; NaN for others."""
    one, other = group.days(MONTH_FIRST), group.days(DAY_FIRST)
    days = np.where(np.isnan(one), other, one)
    return np.where(np.isnan(other) | (days == other), days, np.nan)


class Candidates(NamedTuple):
    """Dates around one separator: their indices among all texts `(n,)`, and by order a mask of the valid ones."""

    separator: str
    short: bool
    indices: Numbers
    readable: dict[str, Flags]


def _named(order: str) -> str:
    """Return how a study names an order."""
    return f'which is "date:{next(name for name, known in ORDERS.items() if known == order)}" in data.columns'


def infer(counted: pd.Series[Any], *, forced: bool = False, order: str = "") -> Dates | None:
    """Return how texts, counted as by `value_counts`, write dates; None unless nine in ten of them do, gaps aside.

    Where they are `forced` to be dates, one is enough. order: that of day, month and year which the study names, one of
    `ORDERS`.
    """
    if not forced and not likely(counted.index, _has_form):
        return None
    there = present(counted)
    groups, has_day = _read(list(there))
    orders = _stated_orders(ORDERS[order], groups, there) if order else _orders(groups, there)
    if order:
        has_day = ~np.isnan(Dates(tuple(orders), short=True).days(list(there)))
    rows = np.array(list(there.values()))
    few = rows[has_day].sum() < SHARE * rows.sum() or _is_lone(has_day, rows, counted)
    if not has_day.any() or (few and not forced):
        return None
    forms = _forms(groups, has_day, there)
    is_plain = forms.keys() == {("year first", False)}
    is_short = any(short for _, short in forms)
    return Dates(tuple(orders), tuple(forms.values()), is_plain, is_short)


def _stated_orders(order: str, groups: Sequence[Alike], there: Mapping[str, int]) -> list[Order]:
    """Return the study's order for every separator, with the number of dates valid in it and in others only."""
    texts, rows, orders = list(there), np.array(list(there.values())), []
    for separator, short in product("-/.", (False, True)):
        has_day, lost = np.zeros(len(texts), bool), np.zeros(len(texts), bool)
        for group in groups:
            if (group.form, group.separator, group.short) == (ANY_ORDER, separator, short):
                days = {each: ~np.isnan(group.days(each)) for each in {order, *group.orders}}
                has_day[group.indices] = days[order]
                lost[group.indices] = np.any(list(days.values()), axis=0) & ~days[order]
        first = texts[int(lost.argmax())] if lost.any() else ""
        orders.append(Order(separator, short, order, "", int(rows[has_day].sum()), int(rows[lost].sum()), first))
    return orders


def why_text(counted: pd.Series[Any]) -> str:
    """Return a note on texts, counted as by `value_counts`, of which most look like dates; empty for other texts.

    Texts with years of two digits count only where they are valid dates, since many other texts look like them.
    """
    if not likely(counted.index, _has_form):
        return ""
    there = present(counted)
    groups, has_day = _read(list(there))
    written, rows = has_day.copy(), np.array(list(there.values()))
    for group in groups:
        written[group.indices] |= not group.short
    if rows[written].sum() < MOST * rows.sum():
        return ""
    if has_day.all():
        return f"a single date and gaps ({counted.sum() - rows.sum():,} of {counted.sum():,}), read as text"
    return mostly("dates", {text: count for i, (text, count) in enumerate(there.items()) if has_day[i]}, there)


def noted(read: Dates, counted: pd.Series[Any]) -> str:
    """Return the note on dates, counted as by `value_counts`, and on those without a time zone among others."""
    return "; ".join(filter(None, (read.description(), _zones(counted))))


def behind_time(texts: Iterable[str]) -> str:
    """Return the word behind a time of day that keeps a text from being a date, such as CET; empty if none does."""
    cut = ((text.rstrip(OF_WORDS).rstrip(" ["), text) for text in texts)
    whole = ((date, text) for date, text in cut if ":" in date and date != text)
    odd = (text[len(date) :].strip(" []") for date, text in whole if _has_form(date) and not _has_form(text))
    return next(odd, "")


def _zones(counted: pd.Series[Any]) -> str:
    """Return a note on dates, counted as by `value_counts`, where some have a time zone and others have none."""
    there = present(counted)
    groups, dated = _read(list(there))
    rows, zoned = np.array(list(there.values())), np.zeros(len(there), bool)
    for group in groups:
        zoned[group.indices] = "zone" in group.letters
    without = int(rows[dated & ~zoned].sum())
    if not (dated & zoned).any() or not without:
        return ""
    return f"{without:,} of {int(rows[dated].sum()):,} name no time zone: these are read as UTC"


def _is_lone(has_day: Flags, rows: Numbers, counted: pd.Series[Any]) -> bool:
    """Return whether there is a single date, in less than half of the rows: a flag, such as when something was done."""
    return int(has_day.sum()) == 1 and bool(rows[has_day].sum() < MOST * counted.sum())


def _has_form(text: str) -> bool:
    return matched(plain(text)) is not None


def _read(texts: Sequence[str]) -> tuple[list[Alike], Flags]:
    """Return the texts in the form of a date, in groups, and a mask of the texts that are valid dates in any order."""
    groups, has_day = list(alike(texts)), np.zeros(len(texts), bool)
    for group in groups:
        has_day[group.indices] = np.any([~np.isnan(group.days(order)) for order in group.orders], axis=0)
    return groups, has_day


def _forms(
    groups: Iterable[Alike], has_day: Flags, there: Mapping[str, int]
) -> dict[tuple[str, bool], tuple[str, int]]:
    """Return an example of each form, the first one, and its number of rows."""
    indices: dict[tuple[str, bool], list[Numbers]] = {}
    for group in groups:
        indices.setdefault((group.form, group.short), []).append(group.indices[has_day[group.indices]])
    texts, rows = list(there), np.array(list(there.values()))
    joined = {form: np.sort(np.concatenate(parts)) for form, parts in indices.items()}
    return {form: (texts[each[0]], int(rows[each].sum())) for form, each in joined.items() if each.size}


def _orders(groups: Iterable[Alike], there: Mapping[str, int]) -> list[Order]:
    """Return the order around each separator: the one in which most dates are valid.

    In a tie, dots mean day first, and other separators follow those without a tie, else month first.
    """
    texts, rows = list(there), np.array(list(there.values()))
    candidates = [each for each in _candidates(groups) if np.any(list(each.readable.values()))]
    best = {each[:2]: _best(each, rows) for each in candidates}
    certain = {key: orders[0] for key, orders in best.items() if len(orders) == 1}
    chosen = []
    for each in candidates:
        near = sorted(certain, key=lambda key: (key[0] != each.separator, key[1] != each.short))
        usual = [DAY_FIRST] * (each.separator == ".") + [certain[key] for key in near]
        order = next(order for order in [*usual, MONTH_FIRST, DAY_FIRST, YEAR_FIRST] if order in best[each[:2]])
        chosen.append(_order(each, order, texts, rows))
    return chosen


def _candidates(groups: Iterable[Alike]) -> list[Candidates]:
    by_separator: dict[tuple[str, bool], list[Alike]] = {}
    for group in groups:
        if group.form == ANY_ORDER:
            by_separator.setdefault((group.separator, group.short), []).append(group)
    return [
        Candidates(
            *key, np.concatenate([part.indices for part in parts]),
            {order: np.concatenate([~np.isnan(part.days(order)) for part in parts]) for order in parts[0].orders},
        )
        for key, parts in by_separator.items()
    ]  # fmt: skip


def _best(candidates: Candidates, rows: Numbers) -> list[str]:
    """Return the orders that most rows have a day in."""
    counts = {order: int(rows[candidates.indices[flags]].sum()) for order, flags in candidates.readable.items()}
    return [order for order, count in counts.items() if count == max(counts.values())]


def _order(candidates: Candidates, order: str, texts: Sequence[str], rows: Numbers) -> Order:
    """Return an order with the evidence against it."""
    counts, readable = rows[candidates.indices], candidates.readable
    lost = np.any(list(readable.values()), axis=0) & ~readable[order]
    others = {other: flags for other, flags in readable.items() if other != order}
    other = max(others, key=lambda name: int(counts[others[name] & (lost if lost.any() else True)].sum()))
    shown = candidates.indices[lost if lost.any() else readable[order] & readable[other]]
    return Order(
        candidates.separator, candidates.short, order, other,
        rows=int(counts[readable[order] & ~readable[other]].sum()), lost=int(counts[lost].sum()),
        example=texts[int(shown.min())] if shown.size else "",
    )  # fmt: skip


def of_texts(texts: pd.Series[Any], dates: Dates) -> Days:
    """Return days since 1970 `(n,)` of texts, NaN where they are no dates."""
    codes, distinct = pd.factorize(texts)
    days: Days = np.append(dates.days([str(text) for text in distinct]), np.nan)[codes]
    return days


def are_as_in_pandas(texts: Sequence[str], dates: Dates) -> bool:
    """Return whether texts have the days that pandas reads in ISO form, which is how version 0.1.0 read all dates."""
    stamps = pd.to_datetime(pd.Series(texts), errors="coerce", utc=True, format="ISO8601")
    return np.array_equal(of_stamps(stamps), dates.days(texts), equal_nan=True)


def of_stamps(column: pd.Series[Any]) -> Days:
    """Return days since 1970 `(n,)` of time stamps, with or without a time zone; NaN where one is missing."""
    stamps = column.dt.tz_convert(None) if column.dt.tz is not None else column
    days = stamps.dt.as_unit("us").astype("int64").to_numpy(np.float64) / MICROSECONDS
    return np.where(stamps.isna(), np.nan, days)
