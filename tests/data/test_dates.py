"""Dates and times of day in text: their days, and what is said of the column."""

from __future__ import annotations

import datetime as dt
import random
import re

import numpy as np
import pandas as pd
import pytest

from lossreg.data.dates import Dates
from lossreg.data.readings import Readings

NAN = float("nan")


def day(year: int, month: int, day_of_month: int) -> float:
    return float((dt.date(year, month, day_of_month) - dt.date(1970, 1, 1)).days)


def read(texts: list[str]) -> tuple[list[object], str]:
    """The column as it is read, and all that is said of it."""
    rows = pd.DataFrame({"c": texts})
    readings = Readings.of(rows)
    table, lost = readings.apply(rows)
    return table["c"].tolist(), "\n".join([*readings.notes(), *lost.lines()])


JAN_13, JAN_25, DEC_31 = day(2020, 1, 13), day(2020, 1, 25), day(1999, 12, 31)
READ = {
    "both orders": (
        ["13/01/2020", "01/25/2020", "01/25/2020"], [NAN, JAN_25, JAN_25],
        r"month before day, which 80 dates need, while 40 need day before month \('13/01/2020'\) and are taken as miss",
    ),
    "dots beside slashes": (
        ["31.01.2024", "01/31/2024", "02.03.2024", "02/03/2024"],
        [day(2024, 1, 31), day(2024, 1, 31), day(2024, 3, 2), day(2024, 2, 3)],
        "with '.' day before month; with '/' month before day",
    ),
    "dots that are open": (
        ["02.03.2024", "01/31/2024"], [day(2024, 3, 2), day(2024, 1, 31)],
        r"with '\.' day before month is assumed: no date excludes month before day \('02.03.2024'\)",
    ),
    "dashes follow slashes": (
        ["02-03-2024", "31/01/2024"], [day(2024, 3, 2), day(2024, 1, 31)], "with '-' day before month is assumed",
    ),
    "names of months": (
        ["5 Sept 2020", "September 5, 2020", "Sep. 5 2020", "05-SEP-2020"], [day(2020, 9, 5)] * 4,
        "60 such as 5 Sept 2020, 60 such as September 5, 2020",
    ),
    "two digits": (
        ["31/12/99", "01/02/68", "01/02/69"], [DEC_31, day(2068, 2, 1), day(1969, 2, 1)],
        "day before month; years of two digits are 1969 to 2068",
    ),
    "two digits, American": (
        ["12/31/99", "01/02/05"], [DEC_31, day(2005, 1, 2)], "month before day; years of two digits",
    ),
    "two digits, year first": (
        ["99-12-31", "05-02-01"], [DEC_31, day(2005, 2, 1)], "year before month and day; years of two digits",
    ),
    "two digits, open": (
        ["21-03-15", "20-04-16"], [day(2015, 3, 21), day(2016, 4, 20)],
        r"day before month is assumed: no date excludes year before month and day \('21-03-15'\)",
    ),
    "two digits behind a name": (["31-Dec-99", "Jan 25, 20"], [DEC_31, JAN_25], "1969 to 2068"),
    "a word that pandas knows": (["2020-01-25"] * 11 + ["now"], [JAN_25] * 11 + [NAN], r"10 of 120 .* \('now'\)"),
    "an hour after noon": (["01/13/2020 8 pm", "01/25/2020 12:00 A.M."], [JAN_13 + 20 / 24, JAN_25], "month before"),
    "mostly gaps": (
        ["?", "?", "n/a", "2020-01-13", "2020-01-25"], [NAN, NAN, NAN, JAN_13, JAN_25], "72 of 120 values are not d",
    ),
    "times of day": (["08:30", "20:15"], [8.5 / 24, 20.25 / 24], r"times of day \('08:30'\), read as a share of a day"),
    "12 hours": (
        ["8:30 pm", "12:15 AM", "12:15 p.m.", "8 am"], [20.5 / 24, 0.25 / 24, 12.25 / 24, 8 / 24], "times of day",
    ),
    "minutes, seconds and tenths": (
        ["00:45.3", "61:05.5"], [45.3 / 86400, (61 * 60 + 5.5) / 86400], "durations, read as",
    ),
    "durations below zero": (["-01:30:00", "02:00:00"], [-1.5 / 24, 2 / 24], "durations, read as"),
    "hours beyond a day": (["36:15:00", "08:30:30.5"], [36.25 / 24, (8.5 + 30.5 / 3600) / 24], "durations, read as"),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_text_is_read_as_days_and_said(name: str) -> None:
    texts, days, message = READ[name]
    times = 120 // len(texts)
    actual, notes = read(texts * times)
    np.testing.assert_allclose(np.array(actual, float), days * times, rtol=1e-12)
    assert re.search(message, notes), notes


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["31/02/2020", "2020-13-45"], r"c: 0 of 120 values are dates; read as text.*\('31/02/2020'\)"),
        (["2020-01-25"] * 4 + ["2020-02-30"], r"c: 96 of 120 values are dates; read as text.*\('2020-02-30'\)"),
        (["01/13/2020 13:30 am", "01/13/2020 24:30"], "0 of 120 values are dates"),
        (["?", "?", "2020-01-25"], r"a single date and gaps \(80 of 120\)"),
        (["Marvin 5, 2020", "Mayor 1 2020"], "^$"),
        (["10.30.45", "11.45.59", "09.15.30", "14.50.01"], "c: 60 of 120 values are dates; read as text"),
        (["16:9", "4:3"], "^$"),
        (["25:30", "31:45"], "c: 0 of 120 values are durations"),
    ],
)
def test_text_that_is_no_date_stays_text(texts: list[str], message: str) -> None:
    texts = texts * (120 // len(texts))
    actual, notes = read(texts)
    assert [text if isinstance(text, str) else "?" for text in actual] == texts
    assert re.search(message, notes), notes


def test_new_rows_follow_the_column() -> None:
    column = pd.DataFrame({"c": ["2020-01-13", "01/25/2020", "03/04/2020"] * 40})
    new = pd.DataFrame({"c": ["02/03/2020", "02.03.2020", "31/12/99", "2020-01-25T00:00:00+00", None]})
    table, lost = Readings.of(column).apply(new)
    np.testing.assert_array_equal(table["c"], [day(2020, 2, 3), day(2020, 3, 2), NAN, JAN_25, NAN])
    assert lost.lines() == ["c: 1 of 5 values is not a date ('31/12/99'): taken as missing."]


WRITTEN = (
    "{0:%d} {0:%b} {1}", "{0:%B} {0:%d}, {1}", "{1}-{0:%m-%d}", "{1}/{0:%m/%d}", "{0:%d/%m}/{1}", "{0:%d.%m}.{1}",
    "{0:%d-%b}-{1}",
)  # fmt: skip
TIMES = {
    "": lambda t: dt.timedelta(hours=t.hour, minutes=t.minute, seconds=t.second, microseconds=t.microsecond),
    " %H:%M": lambda t: dt.timedelta(seconds=t.second, microseconds=t.microsecond),
    "T%H:%M:%S.%fZ": lambda t: dt.timedelta(),
    " %I:%M:%S %p": lambda t: dt.timedelta(microseconds=t.microsecond),
    ", %I:%M%p": lambda t: dt.timedelta(seconds=t.second, microseconds=t.microsecond),
    " %H:%M:%S,%f+05:30": lambda t: dt.timedelta(hours=5, minutes=30),
    "T%H:%M:%S-0815": lambda t: dt.timedelta(hours=-8, minutes=-15, microseconds=t.microsecond),
}


def test_days_of_ten_thousand_years_are_those_of_the_calendar() -> None:
    draw, texts, expected = random.Random(0), [], []
    for _ in range(3000):
        stamp = dt.datetime(1, 1, 3) + dt.timedelta(microseconds=draw.randrange(3_652_050 * 86_400_000_000))
        time = draw.choice(list(TIMES))
        texts.append(draw.choice(WRITTEN).format(stamp, f"{stamp.year:04d}") + stamp.strftime(time))
        expected.append(stamp - TIMES[time](stamp) - dt.datetime(1970, 1, 1))
    column = [*texts, "", "soon", "2023-02-29", "31/04/2023", *texts[:50]]
    dates = Dates(Readings.of(pd.DataFrame({"c": ["13.01.2020", "13/01/2020"] * 60}))["c"].read.dates.orders)
    days = np.array([each.total_seconds() / 86_400 for each in expected])
    np.testing.assert_allclose(dates.days(column), [*days, NAN, NAN, NAN, NAN, *days[:50]], rtol=1e-14, atol=1e-11)
    assert [dates.days([text])[0] for text in texts[:200]] == dates.days(texts[:200]).tolist()
