"""Odd and wrong data: read as it is meant, and said; or refused in one message. Nothing is ever not finite."""

from __future__ import annotations

import datetime as dt
import functools
import gzip
import pickle
import re
import uuid
import warnings
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

import lossreg
from lossreg import data
from lossreg.data import inputs
from lossreg.data.lost import NO_NUMBER, Lost
from lossreg.data.new_forms import AS_TRAINED
from lossreg.errors import DataError, InputError

N = 120
HELD: dict[str, Any] = {}


def held() -> Any:
    """Return the object that a test has put here: the function of a study's source."""
    return HELD["value"]


def of_value(value: Any, **kwargs: Any) -> data.Dataset:
    HELD["value"] = value
    return data.load(f"{__name__}:held", **kwargs)


def base(n: int = N) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    a = rng.normal(size=n).round(4)
    return pd.DataFrame({"a": a, "b": rng.normal(size=n).round(4), "y": (a + rng.normal(size=n) > 0).astype(int)})


def with_column(values: Any) -> pd.DataFrame:
    return base().assign(c=pd.Series(values))


def parts(dataset: data.Dataset) -> list[np.ndarray]:
    return [dataset.train.x, dataset.validation.x, dataset.test.x]


def everywhere_finite(dataset: data.Dataset) -> bool:
    return all(np.isfinite(part).all() for part in parts(dataset))


def same_features(dataset: data.Dataset, numbers: Any, **kwargs: Any) -> None:
    """The column c is read as these numbers: the data set is that of a table that has them."""
    twin = of_value(with_column(np.asarray(numbers, float)), target="y", **kwargs)
    for part, expected in zip(parts(dataset), parts(twin), strict=True):
        np.testing.assert_allclose(part, expected, rtol=1e-5, atol=1e-6)


def cycled(*values: Any) -> list[Any]:
    return [values[i % len(values)] for i in range(N)]


# ------------------------------------------------------------------ cells of test rows decide nothing

# a column of development rows, what is planted in all test rows, and what is then said of it
PLANTED: dict[str, tuple[list[Any], list[Any], str]] = {
    "words among numbers": (cycled("x", *map(str, range(20, 31))), ["low"], "are not numbers"),
    "words among dates": ([f"2024-01-{1 + i % 28:02}" for i in range(N)], ["soon"], "are not dates"),
    "a date with its day first": (
        [f"{1 + i % 12:02}/{1 + i % 9:02}/2024" for i in range(N)],
        ["31/01/2024"],
        "are not dates",
    ),
    "another unit": ([f"${i}" for i in range(N)], ["€7"], "are not numbers"),
    "a decimal comma": ([f"1,{100 + i}" for i in range(N)], ["0,5"], "comma"),
    "a decimal comma among whole numbers": ([str(i) for i in range(N)], ["1,5"], ""),
    "a day first where no date decides": (cycled(*(f"0{i}/0{i}/2020" for i in range(1, 10))), ["25/02/2020"], ""),
    "numbers among words": (cycled("low", "high", *"abcdefgh"), ["1", "2", "3"], ""),
    "lists": (cycled("low", "high"), [[1, 2]], ""),
    "truth values": (cycled(0.5, 1.5, 2.5), [True, False], ""),
    "something among nothing": ([None] * N, [1.5, 2.5], "left out"),
}


@pytest.mark.parametrize("case", PLANTED)
def test_features_of_test_rows_decide_nothing_and_are_read_as_the_others(case):
    column, planted, said = PLANTED[case]
    plain = of_value(with_column(pd.Series(column, dtype=object)), target="y")
    test = plain.rows.test.tolist()
    values = [planted[i % len(planted)] if i in test else value for i, value in enumerate(column)]
    table = with_column(pd.Series(values, dtype=object))
    changed = of_value(table, target="y")
    for one, other in ((plain, changed), *zip(*(it.resampled([1, 2]).folds for it in (plain, changed)), strict=True)):
        np.testing.assert_array_equal(one.train.x, other.train.x)
        np.testing.assert_array_equal(one.validation.x, other.validation.x)
    as_new = plain.preprocessor.counted(table.drop(columns="y").iloc[test], AS_TRAINED).array
    np.testing.assert_array_equal(changed.test.x, as_new)
    assert not said or [note for note in changed.notes if note.startswith("c") and said in note]


# ------------------------------------------------------------------ text that is numbers

WHOLE = list(range(20, 20 + N))
REAL = [0.5 * i - 7.25 for i in range(N)]


def swapped(values: list[float]) -> list[str]:
    return [f"{value:,.2f}".translate(str.maketrans(",.", ".,")) for value in values]


def replaced(values: list[Any], **odd: Any) -> list[Any]:
    kept = [str(value) for value in values]
    for place, value in odd.items():
        kept[int(place[1:])] = value
    return kept


GAP = float("nan")
WIDE = str.maketrans("0123456789.", "".join(chr(0xFF10 + digit) for digit in range(10)) + "\uff0e")
ARABIC = str.maketrans("0123456789.", "".join(chr(0x660 + digit) for digit in range(10)) + "\u066b")
DURATIONS = [str(pd.Timedelta(hours=v)) for v in WHOLE]
NUMBERS = {
    "a question mark": (
        replaced(WHOLE, _7="?"), replaced(WHOLE, _7=GAP),
        r"c: 1 of 120 values is not a number \('\?'\): taken as missing\.",
    ),
    "negative dollars": ([f"-${abs(v):.2f}" for v in REAL], [-abs(v) for v in REAL], r"c: read as numbers with '\$'"),
    "words for a gap": (
        replaced(WHOLE, _3="n/a", _9="-", _30="unknown"), replaced(WHOLE, _3=GAP, _9=GAP, _30=GAP),
        r"c: 3 of 120 values are (missing \(1 empty; 2 not numbers: '.*'\)|not numbers \('.*'\): taken as missing)\.",
    ),
    "some other words": (
        replaced(WHOLE, _3="abc", _9="12x"), replaced(WHOLE, _3=GAP, _9=GAP),
        r"2 of 120 values are not numbers \('\w+', '\w+'\)",
    ),
    "more gaps than numbers": (
        [str(v) if v % 5 < 2 else "?" for v in WHOLE], [v if v % 5 < 2 else GAP for v in WHOLE],
        r"c: 72 of 120 values are not numbers \('\?'\): taken as missing",
    ),
    "a word under the name": (replaced(WHOLE, _0="cm"), replaced(WHOLE, _0=GAP), r"c: 1 of 120 .* \('cm'\)"),
    "a leading zero": (replaced(WHOLE, _7="05"), replaced(WHOLE, _7=5), r"1 of 120 values has leading zeros \('05'\)"),
    "decimal commas": ([f"{v:.2f}".replace(".", ",") for v in REAL], REAL, "c: read as numbers with a decimal comma"),
    "one decimal comma": (replaced(WHOLE, _5="181,7"), replaced(WHOLE, _5=181.7), "with a decimal comma"),
    "German thousands": (swapped([v * 1000 for v in REAL]), [v * 1000 for v in REAL], "with a decimal comma"),
    "English thousands": (
        [f"{v * 1000:,.2f}" for v in REAL], [v * 1000 for v in REAL], "with commas between thousands",
    ),
    "whole thousands": (
        [f"{v:,}" for v in range(500, 12500, 100)], list(range(500, 12500, 100)),
        "'1,000' is read as 1000 and could mean 1",
    ),
    "spaces between thousands": (
        [f"{v * 1000:,.1f}".replace(",", "\u202f") for v in REAL], [v * 1000 for v in REAL],
        "c:",
    ),
    "dollars": ([f"${v:.2f}" for v in REAL], REAL, "read as numbers with '\\$'"),
    "codes of a currency": ([f"EUR {v:.2f}" for v in REAL], REAL, "read as numbers with 'EUR'"),
    "a word for a currency": ([f"{v} kr" for v in WHOLE], WHOLE, "with 'kr'"),
    "exponents": ([f"{v}.5E{v % 3}" if v % 2 else f"{v}e-1" for v in WHOLE],
                  [(v + 0.5) * 10 ** (v % 3) if v % 2 else v / 10 for v in WHOLE], ""),
    "reais": ([f"R$ {v:.2f}".replace(".", ",") for v in REAL], REAL, "with a decimal comma and 'R\\$'"),
    "no cents": ([f"CHF {v}.-" for v in WHOLE], WHOLE, "with 'CHF'"),
    "lakhs": (
        [f"₹{1 + v % 9},{v % 90 + 10},{100 + v}.50" for v in WHOLE],
        [(1 + v % 9) * 1e5 + (v % 90 + 10) * 1e3 + 100.5 + v for v in WHOLE], "commas between thousands and '₹'",
    ),
    "points alone": (
        [f"1.{100 + v}.{200 + v}" for v in WHOLE], [1e6 + (100 + v) * 1e3 + 200 + v for v in WHOLE],
        "read as numbers with points between thousands",
    ),
    "a sign behind": (
        [f"{abs(v):.2f}{'-' if v < 0 else ''}".replace(".", ",") for v in REAL], REAL, "'7,25-' is read as -7.25",
    ),
    "wide and hidden characters": (
        [f"\u200e{v:.2f}％".translate(WIDE) if i % 2 else f"\u2013{v}%" for i, v in enumerate(WHOLE)],
        [v if i % 2 else -v for i, v in enumerate(WHOLE)], "read as numbers with '%'",
    ),
    "Arabic digits": (
        [f"{v:.2f}".translate(ARABIC) for v in REAL], REAL, "numbers written as text",
    ),
    "gaps of databases and sheets": (
        [r"\N" if v % 3 else str(v) for v in WHOLE], [GAP if v % 3 else v for v in WHOLE],
        "80 of 120 values are not numbers .* taken as missing",
    ),
    "euros behind": ([f"{v:.2f} €".replace(".", ",") for v in REAL], REAL, "a decimal comma and '€'"),
    "percent": ([f"{v}%" for v in WHOLE], WHOLE, "with '%'"),
    "another currency": (
        ["$" + str(v) for v in WHOLE[:-1]] + ["£5"], [*WHOLE[:-1], GAP], "1 of 120 values is not a number \\('£5'\\)",
    ),
    "few euros": (
        [f"${v}" if v % 24 else f"€{v}" for v in WHOLE], [v if v % 24 else GAP for v in WHOLE],
        "with '\\$'; 5 of 120 values have '€': taken as missing",
    ),
    "half without the sign": ([f"${v}" if v % 2 else str(v) for v in WHOLE], WHOLE, "60 of 120 values have no '\\$'"),
    "percents without the sign": (replaced([f"{v}%" for v in WHOLE], _5="45"), replaced(WHOLE, _5=45), "1 .* no '%'"),
    "a fraction among percents": (
        replaced([f"{v}%" for v in WHOLE], _5="0.45", _6="50"), replaced(WHOLE, _5=GAP, _6=GAP),
        "with '%'; 2 of 120 values have no '%': taken as missing, because '0.45' may be a share of 1",
    ),
    "a percent among fractions": (
        replaced([v / 200 for v in WHOLE], _5="45%"), replaced([v / 200 for v in WHOLE], _5=GAP),
        "1 of 120 values has '%': taken as missing",
    ),
    "negative numbers alone": (
        [f"({v}.50)" for v in WHOLE], [-v - 0.5 for v in WHOLE], r"'\(20.50\)' is read as -20.5",
    ),
    "whole negative numbers alone": ([f"({v})" for v in WHOLE], [-v for v in WHOLE], r"'\(20\)' is read as -20"),
    "a currency within": (replaced([f"{v}€" for v in WHOLE], _5="1€50"), replaced(WHOLE, _5=GAP), r"\('1€50'\)"),
    "a sign in brackets": (replaced(WHOLE, _5="(-5)", _6="(6)"), replaced(WHOLE, _5=GAP, _6=-6), r"\('\(-5\)'\)"),
    "bookkeeping": ([f"({-v:.2f})" if v < 0 else f"{v:.2f}" for v in REAL], REAL, "c: numbers written as text"),
    "a real minus sign": ([f"{v:.2f}".replace("-", "\N{MINUS SIGN}") for v in REAL], REAL, "c: numbers"),
    "spaces around": ([f"  {v} " for v in WHOLE[:-1]] + ["?"], [*WHOLE[:-1], GAP], "is not a number"),
    "400 digits": (replaced(WHOLE, _5="1" * 400), replaced(WHOLE, _5=GAP), r"infinite or above 1.8e308 \('?111"),
    "an exponent without end": (replaced(WHOLE, _5="1e99999"), replaced(WHOLE, _5=GAP), "infinite or above"),
}  # fmt: skip


@pytest.mark.parametrize("name", NUMBERS)
def test_text_that_is_numbers_is_read_as_numbers_and_said(tmp_path: Path, name: str) -> None:
    texts, numbers, expected = NUMBERS[name]
    frame = with_column(texts)
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    one, two = (data.load(tmp_path / f"t.{ending}", target="y") for ending in ("csv", "parquet"))
    same_features(one, [float(value) for value in numbers])
    for part, other in zip(parts(one), parts(two), strict=True):
        np.testing.assert_array_equal(part, other)
    for loaded in (one, two):
        assert any(re.search(expected, note) for note in loaded.notes), loaded.notes


def category(text: str) -> str:
    """The category that a text is among words."""
    return "(missing)" if text in ("?", "-", "n/a") else text


@pytest.mark.parametrize(
    "values",
    [
        cycled("north", "south", "1"), cycled("1", "2", "3", "x"), cycled("unknown", "?", "5"),
        [f"{i % 5:05d}" for i in range(N)], cycled("16:9", "4:3"), cycled("1-2", "3-4"), cycled("A1", "B2"),
        cycled("1", "1-", "2", "2-", "3"), cycled("18\u201324", "25\u201334"), cycled("kr", "Rs 5", "EUR"),
        cycled("$5", "€6"), cycled("45%", "0.45"), [*DURATIONS[:5] * 4, *cycled("some", "other", "words")[20:]],
    ],
)  # fmt: skip
def test_text_that_is_mostly_something_else_stays_text(values: list[str]) -> None:
    loaded = of_value(with_column(pd.Series(values, dtype=object)), target="y")
    names = loaded.preprocessor.get_feature_names_out().tolist()
    assert names[2:] == [f"c_{value}" for value in sorted(set(map(category, values)))]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (cycled("1", "2", "3", "x"), "90 of 120 values are numbers; read as text, because others are not ('x')"),
        (cycled("1", "?", "n/a", "2", "x"), "48 of 72 values are numbers; read as text, because others are not ('x')"),
        (cycled(" x", "1", "2"), "40 texts have spaces around, taken off; 80 of 120 values are"),
        (cycled("?", "5", "-"), "a single number and gaps (80 of 120), read as text"),
        (
            cycled("$5", "€6"),
            "numbers in several units (60 with '$', 60 with '€'), read as text; write all in one unit",
        ),
        (cycled("45%", "0.45"), "numbers in several units (60 with '%', 60 without a sign), read as text"),
        (cycled("1.5", "2,5"), "decimal commas and decimal points ('2,5', '1.5'), read as text"),
        (cycled("01234", "90210"), "whole numbers with leading zeros ('01234') are codes, read as text"),
        (cycled("(1)", "(2)", "(3)"), "numbers in brackets ('(1)') are labels, read as text"),
        (cycled("1 days", "3 days", "3 days", "x"), "90 of 120 values are durations; read as text, because others are"),
    ],
)
def test_text_that_looks_like_numbers_and_stays_text_is_said(values: list[str], expected: str) -> None:
    loaded = of_value(with_column(values), target="y")
    assert loaded.input_shape == (2 + len({category(value.strip()) for value in values}),)
    assert any(note.startswith(f"c: {expected}") for note in loaded.notes), loaded.notes


def test_one_decimal_comma_in_a_table_decides_what_is_open_elsewhere(tmp_path: Path) -> None:
    # 1.234 is a thousand where its neighbours write 0,5; pandas alone reads a little over one
    rows = [f"{v:.2f};{1000 + 7 * i:,};{i % 2}".replace(",", "#").replace(".", ",").replace("#", ".")
            for i, v in enumerate(REAL)]  # fmt: skip
    (tmp_path / "t.csv").write_text("\n".join(["a;c;y", *rows]))
    loaded = data.load("t.csv", target="y", base=tmp_path)
    (tmp_path / "u.csv").write_text("\n".join(["a,c,y", *(f"{v},{1000 + 7 * i},{i % 2}" for i, v in enumerate(REAL))]))
    twin = data.load("u.csv", target="y", base=tmp_path)
    for one, other in zip(parts(loaded), parts(twin), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_a_decimal_with_a_leading_zero_has_no_thousands(tmp_path: Path) -> None:
    rows = [f'{("0.125", "1", "2")[i % 3]};{("1.234", "5", "6")[i % 3]};"{i},5";{i % 2}' for i in range(N)]
    (tmp_path / "t.csv").write_bytes(lines("c;d;a;y", *rows))
    loaded = data.load("t.csv", target="y", base=tmp_path)
    frame = pd.DataFrame({"c": [0.125, 1, 2] * 40, "d": [1234.0, 5, 6] * 40, "a": np.arange(N) + 0.5})
    twin = of_value(frame.assign(y=[0, 1] * 60), target="y")
    np.testing.assert_allclose(loaded.train.x, twin.train.x, rtol=1e-5)
    assert any("d: " in note and "'1.234' is read as 1234 and could mean 1.234" in note for note in loaded.notes)


def test_a_target_with_decimal_commas_is_numbers(tmp_path: Path) -> None:
    frame = base().assign(y=REAL)
    frame.to_csv(tmp_path / "t.csv", sep=";", decimal=",", index=False)
    for task in ("auto", "regression"):
        loaded = data.load("t.csv", target="y", base=tmp_path, task=task)
        assert loaded.task == "regression"
        assert sorted(np.concatenate([loaded.train.y, loaded.validation.y, loaded.test.y]).tolist()) == sorted(REAL)
        assert "The labels are read as numbers with a decimal comma." in loaded.notes


# ------------------------------------------------------------------ dates

FIRST = dt.date(2023, 12, 1)
DAYS = [FIRST + dt.timedelta(days=i) for i in range(N)]
NUMBERED = [day.toordinal() for day in DAYS]
FORMS = {
    "ISO": ("%Y-%m-%d", "dates, read as days since 1970."),
    "slashes": ("%d/%m/%Y", "day before month"),
    "American": ("%m/%d/%Y", "month before day"),
    "dots": ("%d.%m.%Y", "day before month"),
    "names of months": ("%d %b %Y", "120 such as "),
    "a comma": ("%B %d, %Y", "120 such as "),
    "time and zone": ("%Y-%m-%dT00:00:00Z", "dates, read as days since 1970."),
    "half days": ("%d/%m/%Y 12:00 AM", "day before month"),
}


@pytest.mark.parametrize("form", FORMS)
def test_dates_in_every_usual_form_are_days(form: str) -> None:
    pattern, expected = FORMS[form]
    loaded = of_value(with_column([day.strftime(pattern) for day in DAYS]), target="y")
    same_features(loaded, NUMBERED)
    assert any(expected in note for note in loaded.notes), loaded.notes


def test_dates_in_two_forms_are_both_read_and_counted() -> None:
    texts = [d.strftime("%Y-%m-%d" if i < 60 else "%d/%m/%Y") for i, d in enumerate(DAYS)]
    loaded = of_value(with_column(texts), target="y")
    same_features(loaded, NUMBERED)
    assert any("60 such as 20" in note and "day before month" in note for note in loaded.notes)


def test_dates_that_fit_both_orders_are_said_to() -> None:
    loaded = of_value(with_column([f"0{1 + i % 9}/0{1 + i % 7}/2024" for i in range(N)]), target="y")
    assert any("month before day is assumed: no date excludes day before month" in note for note in loaded.notes)


def test_what_is_no_date_among_dates_is_counted() -> None:
    texts = [day.isoformat() for day in DAYS]
    texts[4], texts[8] = "soon", "2024-02-30"
    loaded = of_value(with_column(texts), target="y")
    same_features(loaded, [*NUMBERED[:4], GAP, *NUMBERED[5:8], GAP, *NUMBERED[9:]])
    assert "c: 2 of 120 values are not dates ('soon', '2024-02-30'): taken as missing." in loaded.notes


OLD_AND_FAR = cycled(dt.date(1, 1, 1), dt.date(1500, 6, 1), dt.date(2024, 1, 15), dt.date(9999, 12, 31))


@pytest.mark.parametrize("held_as", ["text", "date", "datetime", "stamp[s]", "stamp[us]", "zone", "arrow"])
def test_the_years_1_to_9999_are_days_in_every_type(held_as: str) -> None:
    make: dict[str, Callable[[], Any]] = {
        "text": lambda: [day.isoformat() for day in OLD_AND_FAR],
        "date": lambda: pd.Series(OLD_AND_FAR, dtype=object),
        "datetime": lambda: pd.Series([dt.datetime.combine(day, dt.time()) for day in OLD_AND_FAR], dtype=object),
        "stamp[s]": lambda: pd.Series(np.array(OLD_AND_FAR, "M8[s]")),
        "stamp[us]": lambda: pd.Series(np.array(OLD_AND_FAR, "M8[us]")),
        "zone": lambda: pd.Series(np.array(OLD_AND_FAR, "M8[s]")).dt.tz_localize("UTC"),
        "arrow": lambda: pd.Series(np.array(OLD_AND_FAR, "M8[s]")).astype("timestamp[s][pyarrow]"),
    }
    loaded = of_value(with_column(make[held_as]()), target="y")
    same_features(loaded, [day.toordinal() for day in OLD_AND_FAR])


# ------------------------------------------------------------------ other types

KINDS: dict[str, tuple[Any, Any]] = {
    "ordered categories": (
        pd.Categorical(cycled("small", "large", "medium"), ["small", "medium", "large"], ordered=True),
        cycled(0, 2, 1),
    ),
    "ordered categories with a gap": (
        pd.Categorical(cycled("s", None, "m"), ["s", "m"], ordered=True), cycled(0, GAP, 1),
    ),
    "durations": (pd.to_timedelta(WHOLE, unit="h"), [hours / 24 for hours in WHOLE]),
    "durations as objects": (pd.Series([dt.timedelta(hours=h) for h in WHOLE], dtype=object), [h / 24 for h in WHOLE]),
    "durations as text": (DURATIONS, [h / 24 for h in WHOLE]),
    "durations as text with gaps": (
        replaced(DURATIONS, _0="soon", _9="?"), replaced([h / 24 for h in WHOLE], _0=GAP, _9=GAP),
    ),
    "times of day": (pd.Series([dt.time(i % 24, i % 60) for i in range(N)], dtype=object),
                     [(i % 24) / 24 + (i % 60) / 1440 for i in range(N)]),
    "decimals": (pd.Series([Decimal(str(v)) for v in REAL], dtype=object), REAL),
    "decimals without end": (
        pd.Series([Decimal("1e400"), Decimal("NaN"), *map(Decimal, REAL[2:])], dtype=object), [GAP, GAP, *REAL[2:]],
    ),
    "fractions": (pd.Series([Fraction(i, 7) for i in range(N)], dtype=object), [i / 7 for i in range(N)]),
    "mixed numbers and texts": (pd.Series([i if i % 2 else str(i) for i in range(N)], dtype=object), list(range(N))),
    "whole numbers without end": (pd.Series([10**400, *range(1, N)], dtype=object), [GAP, *range(1, N)]),
    "nullable": (pd.array([None, *range(1, N)], dtype="Int64"), [GAP, *range(1, N)]),
    "nullable reals": (pd.array([None, *REAL[1:]], dtype="Float64"), [GAP, *REAL[1:]]),
    "sparse": (pd.arrays.SparseArray([0.0] * 100 + [2.5] * 20), [0.0] * 100 + [2.5] * 20),
    "arrow": (pd.array([None, *range(1, N)], dtype="int64[pyarrow]"), [GAP, *range(1, N)]),
    "arrow text": (pd.array(["?", *map(str, range(1, N))], dtype="string[pyarrow]"), [GAP, *range(1, N)]),
    "periods": (pd.period_range("1990-01", periods=N, freq="M"),
                [dt.date(1990 + i // 12, 1 + i % 12, 1).toordinal() for i in range(N)]),
    "intervals": (pd.arrays.IntervalArray.from_breaks(range(N + 1)), [i + 0.5 for i in range(N)]),
    "infinite": ([np.inf, -np.inf, *REAL[2:]], [GAP, GAP, *REAL[2:]]),
    "bytes that are numbers": (pd.Series([str(i).encode() for i in range(N)], dtype=object), list(range(N))),
    "half precision": (np.arange(N, dtype=np.float16), list(range(N))),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_numbers_of_any_type_are_numbers(name: str) -> None:
    values, numbers = KINDS[name]
    loaded = of_value(with_column(values), target="y")
    assert loaded.input_shape == (3,)
    same_features(loaded, numbers)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (pd.Series(cycled(True, False, None), dtype=object), ["(missing)", "False", "True"]),
        (pd.array(cycled(True, False, None), dtype="boolean"), ["(missing)", "False", "True"]),
        (pd.array(cycled(True, False, None), dtype="bool[pyarrow]"), ["(missing)", "False", "True"]),
        (pd.Series(cycled(b"yes", b"no"), dtype=object), ["no", "yes"]),
        (cycled("yes", " yes", "no "), ["no", "yes"]),
        (cycled("yes", "", "no"), ["(missing)", "no", "yes"]),
        (pd.Categorical(cycled("b", "a")), ["a", "b"]),
        (pd.Series(cycled((1, 2), (3, 4)), dtype=object), ["(1, 2)", "(3, 4)"]),
        (pd.Series(cycled(1, "a"), dtype=object), ["1", "a"]),
    ],
)
def test_categories_of_any_type_have_plain_names(values: Any, names: list[str]) -> None:
    loaded = of_value(with_column(values), target="y")
    assert loaded.preprocessor.get_feature_names_out().tolist()[2:] == [f"c_{name}" for name in names]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pd.Series([[i] for i in range(N)], dtype=object), "c: left out, because the values are lists."),
        (pd.Series([{"k": i} for i in range(N)], dtype=object), "c: left out, because the values are lists."),
        (pd.Series([(i, [i]) for i in range(N)], dtype=object), "c: left out, because the values are lists."),
        (pd.Series([b"x", *([[1]] * (N - 1))], dtype=object), "c: left out, because the values are lists."),
        (pd.Series([np.arange(2)] * N, dtype=object), "c: left out, because the values are lists."),
        (
            pd.Series([uuid.UUID(int=i) for i in range(N)], dtype=object),
            "c: left out, because the text differs in every",
        ),
        (pd.Series([None] * N, dtype=object), "c: left out, because no training row has a value."),
        (cycled("", "  "), "c: left out, because no training row has a value."),
    ],
)
def test_columns_that_say_nothing_are_left_out_and_named(values: Any, expected: str) -> None:
    loaded = of_value(with_column(values), target="y")
    assert loaded.input_shape == (2,)
    assert any(note.startswith(expected) for note in loaded.notes)


def test_whole_numbers_that_a_float_cannot_hold_are_said() -> None:
    loaded = of_value(with_column([2**60 + i for i in range(N)]), target="y")
    assert "c: whole numbers above 9,007,199,254,740,992 are rounded." in loaded.notes


def test_ordered_categories_of_a_parquet_file_order_features_and_classes(tmp_path: Path) -> None:
    level = pd.Categorical(cycled("low", "mid", "high"), ["low", "mid", "high"], ordered=True)
    base().assign(c=level, y=level).to_parquet(tmp_path / "t.parquet")
    loaded = data.load("t.parquet", target="y", base=tmp_path)
    assert loaded.classes == ("low", "mid", "high")
    assert [round(float(np.corrcoef(part.x[:, 2], part.y)[0, 1]), 6) for part in (loaded.train, loaded.test)] == [1, 1]
    assert "c: ordered categories (low < mid < high), read as 0 to 2." in loaded.notes
    assert "Classes in the order of the categories: low, mid, high." in loaded.notes
    unordered = base().assign(c=level, y=pd.Series(level).astype(str))
    assert of_value(unordered, target="y").classes == ("high", "low", "mid")


def test_another_order_is_other_data() -> None:
    one, two = (
        base().assign(y=pd.Categorical(cycled("low", "high"), order, ordered=True))
        for order in (["low", "high"], ["high", "low"])
    )
    assert of_value(one, target="y").digest != of_value(two, target="y").digest


EARLIER = [f"2024-01-{1 + i % 28:02d}" for i in range(40)]


@pytest.mark.parametrize(
    ("texts", "before", "alike"),
    [
        (EARLIER, "75cde325c9bbef9d", True),
        ([f"{text} 10:30" for text in EARLIER], "da8b7b1586cc736b", True),
        ([*EARLIER[:39], "soon"], "2508030eeafed731", True),
        (["x", "y"] * 20, "3b43005f1d28e17c", True),
        ([*EARLIER[:39], "2024-02-01T24:00"], "057111bacc21cb01", False),
        ([*EARLIER[:39], "2024-02"], "4d9a191a6fb44000", False),
        (EARLIER[:25] + ["soon"] * 15, "8395c914e1199035", False),
        (["2 days"] * 39 + ["36:15"], "4c504eb2e10b9d22", False),
    ],
)
def test_a_column_that_is_read_in_another_way_than_before_is_other_data(
    texts: list[str], before: str, alike: bool, tmp_path: Path
) -> None:
    """before: the digest that version 0.1.0, or the first one that reads durations in text, gave the same file."""
    pd.DataFrame({"c": texts, "y": [0, 1] * 20}).to_parquet(tmp_path / "t.parquet")
    rows = data.load("t.parquet", target="y", base=tmp_path).rows
    # without the mark of rows that stand twice
    assert (rows.raw.digest([*inputs.marks(rows.readings), *rows.labels.marks]) == before) is alike


def test_a_blank_column_that_version_0_1_0_took_for_categories_is_other_data(tmp_path: Path) -> None:
    pd.DataFrame({"a": range(40), "c": ["", " "] * 20, "y": [0, 1] * 20}).to_parquet(tmp_path / "t.parquet")
    assert data.load("t.parquet", target="y", base=tmp_path).digest != "474cb60814c77759"


def test_bytes_labels_are_named_as_text(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.eye(40), y=np.array([b"yes", b"no"] * 20))
    assert data.load("t.npz", base=tmp_path).classes == ("no", "yes")


def test_labels_with_spaces_around_them_are_the_same_class() -> None:
    loaded = of_value(base().assign(y=cycled("yes", "yes ", " no", "no")), target="y")
    assert loaded.classes == ("no", "yes")
    assert "60 labels have spaces around, taken off." in loaded.notes


def test_a_structured_array_is_a_table() -> None:
    rows = np.zeros(40, dtype=[("age", float), ("plan", "U4")])
    rows["age"], rows["plan"] = np.arange(40), ["free", "pro"] * 20
    loaded = of_value({"x": rows, "y": [0, 1] * 20})
    assert loaded.features == ("age", "plan")
    assert loaded.preprocessor.get_feature_names_out().tolist() == ["age", "plan_free", "plan_pro"]


# ------------------------------------------------------------------ sizes

SIZES: dict[str, tuple[Callable[[np.ndarray], None], str]] = {
    "one fill value": (lambda c: c.fill(9.96921e36), "c: the same value in every training row, 0 after preprocessing."),
    "a negative fill value": (lambda c: c.fill(-9.99e33), "c: the same value in every training row"),
    "the largest number": (lambda c: c.fill(1.7e308), "c: the same value in every training row"),
    "a fill value in some rows": (
        lambda c: put(c, slice(None, None, 10), 9.96921e36),
        "c: 12 of 120 values are out of",
    ),
    "one beyond float32": (lambda c: put(c, 17, 1e45), "c: 1 of 120 values is out of all proportion"),
    "one within float32": (lambda c: put(c, 17, -1e30), r"c: 1 of 120 values is out of all proportion .* (-1e+30)"),
    "one of many": (lambda c: put(c, 17, 1.7e308), "c: 1 of 120 values is out of all proportion"),
    "all beyond float32": (lambda c: scale(c, 1e300), ""),
    "all near the end": (lambda c: scale(c, 1e307), ""),
    "all tiny": (lambda c: scale(c, 1e-200), ""),
    "rounding alone": (lambda c: put(c, slice(None), 9.96921e36 + c * 1e21), ""),
}


def put(column: np.ndarray, where: Any, value: Any) -> None:
    column[where] = value


def scale(column: np.ndarray, factor: float) -> None:
    column *= factor


@pytest.mark.parametrize("folds", [None, 3])
@pytest.mark.parametrize("name", SIZES)
def test_preprocessed_rows_are_finite_and_of_ordinary_size(name: str, folds: int | None) -> None:
    change, note_parts = SIZES[name]
    column = base().b.to_numpy(copy=True)
    change(column)
    loaded = of_value(with_column(column), target="y", folds=folds)
    for fold in loaded.folds:
        assert all(np.abs(part).max() < 20 for part in parts(fold))
    words = note_parts.split(" .* ")
    assert not note_parts or any(all(word in note for word in words) for note in loaded.notes), loaded.notes


@pytest.mark.parametrize("factor", [1e300, 1e-200])
def test_numbers_of_any_size_keep_what_they_say(factor: float) -> None:
    same_features(of_value(with_column(base().b * factor), target="y"), base().b)


def test_far_values_do_not_hide_the_others() -> None:
    column = base().b.to_numpy(copy=True)
    column[::10] = 9.96921e36
    loaded = of_value(with_column(column), target="y")
    same_features(loaded, np.where(column > 1e30, np.nan, column))


@pytest.mark.parametrize("values", [
    np.full((N, 3, 3), 9.96921e36), np.full((N, 3, 3), -1.7e308),
    np.where(np.arange(N * 9).reshape(N, 3, 3) % 50, np.random.default_rng(0).normal(size=(N, 3, 3)), 1e45),
    np.where(np.arange(N * 9).reshape(N, 3, 3) % 50, np.random.default_rng(0).normal(size=(N, 3, 3)), -3.4e38),
    np.random.default_rng(0).normal(size=(N, 3, 3)) + 1e9,
])  # fmt: skip
def test_images_are_finite_and_of_ordinary_size(values: np.ndarray) -> None:
    loaded = of_value({"x": values, "y": [0, 1] * 60})
    assert all(np.abs(part).max() < 20 for part in parts(loaded))
    if len(np.unique(values)) > 2:
        assert abs(float(loaded.train.x.std()) - 1) < 0.1
    lost = np.abs(values) > 1e30
    if 0 < lost.mean() < 1:
        assert any(f"x: {lost.sum():,} of {values.size:,} values are out of all proportion" in n for n in loaded.notes)


def test_many_odd_columns_are_few_lines() -> None:
    rng = np.random.default_rng(0)
    wide = {f"n{i}": [f"{v:.3f}" for v in rng.normal(size=59)] + ["?" + "x" * (i % 9)] for i in range(40)}
    wide |= {f"f{i}": np.where(np.arange(60) == i % 60, 1e45, rng.normal(size=60)) for i in range(40)}
    wide |= {f"t{i}": [f"text {j} {i % 40}" for j in range(30)] * 2 for i in range(20)}
    wide |= {f"e{i}": [None] * 60 for i in range(40)} | {f"k{i}": [i] * 60 for i in range(40)}
    wide |= {f"o{i}": pd.Categorical([0, i + 1] * 30, [0, i + 1], ordered=True) for i in range(20)}
    loaded = of_value(pd.DataFrame({**wide, "y": [0, 1] * 30}), target="y")
    assert len(loaded.notes) <= 25
    assert max(map(len, loaded.notes)) < 1000
    assert everywhere_finite(loaded)


# ------------------------------------------------------------------ new rows


@functools.cache
def trained() -> data.Dataset:
    frame = base().assign(
        c=base().b, d=[day.isoformat() for day in DAYS], p=[f"{v:.2f}".replace(".", ",") for v in REAL],
        o=pd.Categorical(cycled("s", "m", "l"), ["s", "m", "l"], ordered=True), k=9.96921e36,
    )  # fmt: skip
    return of_value(frame, target="y")


NEW = {"a": 0.0, "b": 0.0, "c": 0.0, "d": "2024-01-01", "p": "1,5", "o": "m", "k": 9.96921e36}


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        ({"c": 1e45}, r"c: 1 of 1 values is out of all proportion to the training rows \(1e\+45\): taken as missing"),
        ({"c": np.inf}, "c: 1 of 1 values is infinite"),
        ({"c": "many"}, r"c: 1 of 1 values is not a number \('many'\)"),
        ({"c": 10**400}, "c: 1 of 1 values is infinite or above 1.8e308"),
        ({"d": "someday"}, r"d: 1 of 1 values is not a date \('someday'\)"),
        ({"o": "xxl"}, "o: 1 of 1 values is not one of the ordered categories"),
        ({"p": "1,5,5"}, "p: 1 of 1 values is not a number"),
        ({"k": 0.3}, "k: 1 of 1 values is out of all proportion"),
        ({"c": "many", "d": "someday"}, "c: 1 of 1 values.*\nd: 1 of 1"),
    ],
)
def test_new_rows_are_finite_and_what_is_lost_is_a_warning(odd: dict[str, Any], message: str) -> None:
    preprocessor = pickle.loads(pickle.dumps(trained().preprocessor))
    gap = preprocessor.transform(pd.DataFrame([{**NEW, **dict.fromkeys(odd)}]))
    with pytest.warns(UserWarning, match=message):
        row = preprocessor.transform(pd.DataFrame([{**NEW, **odd}]))
    assert np.isfinite(row).all()
    np.testing.assert_array_equal(row, gap)


@pytest.mark.parametrize(
    ("odd", "usual"),
    [
        ({"d": "31/12/9999"}, {"d": dt.date(9999, 12, 31)}),
        ({"d": "0001-01-01"}, {"d": np.datetime64("0001-01-01", "s")}),
        ({"d": pd.Timestamp("2024-01-02")}, {"d": "2024-01-02"}),
        ({"p": 1.5}, {"p": "1,5"}),
        ({"c": "0,25"}, {"c": 0.25}),
        ({"c": "0.25"}, {"c": 0.25}),
        ({"c": Decimal("0.25")}, {"c": 0.25}),
        ({"a": b"1.5"}, {"a": 1.5}),
        ({"c": pd.NA}, {"c": None}),
    ],
)
def test_new_rows_may_hold_the_same_values_in_another_type(odd: dict[str, Any], usual: dict[str, Any]) -> None:
    preprocessor = trained().preprocessor
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if "0,25" in map(str, odd.values()) else "error")
        one, two = (preprocessor.transform(pd.DataFrame([{**NEW, **row}])) for row in (odd, usual))
    np.testing.assert_array_equal(one, two)
    assert np.isfinite(one).all()


def test_new_rows_with_a_column_twice_are_refused() -> None:
    frame = pd.DataFrame([NEW])
    with pytest.raises(DataError, match="two columns are called 'a'"):
        trained().preprocessor.transform(pd.concat([frame, frame[["a"]]], axis=1))


def test_new_images_are_finite_and_what_is_lost_is_a_warning() -> None:
    images = np.random.default_rng(0).normal(size=(N, 3, 3))
    preprocessor = of_value({"x": {"i": images, "t": base()[["a"]]}, "y": [0, 1] * 60}).preprocessor
    images[0, 0, 0], images[1, 1, 1] = np.nan, 1e45
    with pytest.warns(UserWarning, match="i: 1 of 1,080 values is infinite.*\n?.*i: 1 of 1,080 values is out of|i: 1"):
        rows = preprocessor.transform({"i": images, "t": base()[["a"]]})
    assert np.isfinite(rows["i"]).all()
    assert rows["i"][0, 0, 0] == rows["i"][1, 1, 1] == 0


def warns_of_images() -> Any:
    images = np.arange(N * 4.0).reshape(N, 2, 2)
    return of_value({"x": images, "y": [0, 1] * 60}).preprocessor, np.full((1, 2, 2), np.nan)


def warns_of_several_inputs() -> Any:
    rows = {"i": np.arange(N * 4.0).reshape(N, 2, 2), "t": base()[["a"]]}
    preprocessor = of_value((rows, [0, 1] * 60)).preprocessor
    return preprocessor, {"i": np.full((1, 2, 2), np.inf), "t": base()[["a"]][:1]}


def warns_of_a_table() -> Any:
    return trained().preprocessor, pd.DataFrame([{**NEW, "c": "many"}])


def warns_inside_a_pipeline() -> Any:
    preprocessor, rows = warns_of_a_table()
    return make_pipeline(preprocessor), rows


@pytest.mark.parametrize(
    "case",
    [warns_of_a_table, warns_of_images, warns_of_several_inputs, warns_inside_a_pipeline],
    ids=lambda f: f.__name__,
)
def test_the_warning_names_the_line_that_transforms(case: Callable[[], Any]) -> None:
    preprocessor, rows = case()

    def transform() -> None:
        preprocessor.transform(rows)

    line = transform.__code__.co_firstlineno + 1
    with pytest.warns(UserWarning, match="taken as missing") as warned:
        transform()
    # others, such as that of a file that another test left open, are none of its own
    told = [warning for warning in warned if warning.category is UserWarning]
    assert [(warning.filename, warning.lineno) for warning in told] == [(__file__, line)]


# ------------------------------------------------------------------ files


def lines(*rows: str) -> bytes:
    return "\n".join(rows).encode() + b"\n"


BODY = [f"{0.25 * i},{i % 7},{i % 2}" for i in range(N)]
GOOD_FILES: dict[str, tuple[bytes, str]] = {
    "trailing separators": (lines("a,b,y", *(row + "," for row in BODY)), "Lines end with a separator"),
    "trailing separators with spaces": (lines("a,b,y", *(row + ", " for row in BODY)), "Lines end with a separator"),
    "trailing separators in the header too": (
        lines("a,b,y,", *(row + "," for row in BODY)),
        "Lines end with a separator: the empty last column is left out.",
    ),
    "several trailing separators": (
        lines("a,b,y,,", *(row + ",," for row in BODY)),
        "Lines end with a separator: the empty last 2 columns are",
    ),
    "a trailing separator in the header only": (
        lines("a,b,y,", *BODY),
        "Lines end with a separator: the empty last column is left out.",
    ),
    "names of rows, as R writes": (
        lines("a,b,y", *(f"r{i},{row}" for i, row in enumerate(BODY))),
        "names of rows, left",
    ),
    "numbers of rows, as R writes": (
        lines("a,b,y", *(f"{i},{row}" for i, row in enumerate(BODY))),
        "names of rows, left",
    ),
    "a saved index": (lines(",a,b,y", *(f"{i},{row}" for i, row in enumerate(BODY))), "row numbers, left out"),
    "row numbers of R": (
        lines('"","a","b","y"', *(f'"{i}",{row}' for i, row in enumerate(BODY, 1))),
        "row numbers, left out",
    ),
    "row numbers in another order": (
        lines(",a,b,y", *(f"{i * 7 % N},{row}" for i, row in enumerate(BODY))),
        "left out",
    ),
    "an index saved twice": (
        lines(",Unnamed: 0,a,b,y", *(f"{i},{i},{row}" for i, row in enumerate(BODY))),
        "Unnamed: 0.1: row numbers",
    ),
    "names of rows": (
        lines('"","a","b","y"', *(f"r{i},{row}" for i, row in enumerate(BODY))),
        "names of rows, left out",
    ),
    "units": (
        lines("a,b,y", "cm,kg,", *BODY),
        "Line 2 has words above columns of numbers, such as units (cm, kg): left out.",
    ),
    "units below blank lines": (lines('a,"b",y', "", " cm ,kg,0/1", "", *BODY), "Line 3 has words above"),
    "a line that names the separator": (
        lines("sep=;", "a;b;y", *(row.replace(",", ";") for row in BODY)),
        "Line 1 names the separator ';': left out.",
    ),
    "separators alone at the end": (
        lines("a,b,y", *BODY, ",,", ",,"),
        "The last 2 lines hold separators alone: left out.",
    ),
    "units and separators alone": (lines("sep=,", "a,b,y", "cm,kg,", *BODY, ",,"), "Line 3 has words above"),
    "a byte order mark": (b"\xef\xbb\xbf" + lines("a,b,y", *BODY), ""),
    "UTF-16": (lines("a,b,y", *BODY).decode().encode("utf-16"), "The file is utf-16, not UTF-8"),
    "Windows line ends": (lines("a,b,y", *BODY).replace(b"\n", b"\r\n"), ""),
    "bars": (lines("a,b,y", *BODY).replace(b",", b"|"), "separated by '|'"),
    "blank lines": (lines("", "a,b,y", "", *BODY, "", ""), ""),
    "quotes around all": (lines('"a","b","y"', *('"' + row.replace(",", '","') + '"' for row in BODY)), ""),
}


@pytest.mark.parametrize(
    ("name", "packed"), [*((name, False) for name in GOOD_FILES), ("trailing separators", True), ("UTF-16", True)]
)
def test_files_with_odd_manners_are_read_as_they_are_meant(tmp_path: Path, name: str, packed: bool) -> None:
    content, note_part = GOOD_FILES[name]
    (tmp_path / "plain.csv").write_bytes(lines("a,b,y", *BODY))
    path = tmp_path / ("t.csv.gz" if packed else "t.csv")
    path.write_bytes(gzip.compress(content) if packed else content)
    loaded, twin = data.load(path, target="y"), data.load(tmp_path / "plain.csv", target="y")
    assert (loaded.task, loaded.train.y.tolist()) == (twin.task, twin.train.y.tolist())
    for part, expected in zip(parts(loaded), parts(twin), strict=True):
        np.testing.assert_array_equal(part, expected)
    assert any(note_part in note for note in loaded.notes)


def test_a_first_row_of_words_that_come_again_is_a_row(tmp_path: Path) -> None:
    rows = [f"{i},{i + 0.5},{('no', 'yes')[i % 2]}" for i in range(N)]
    (tmp_path / "t.csv").write_bytes(lines("a,b,y", "low,high,yes", *rows))
    loaded = data.load("t.csv", target="y", base=tmp_path)
    assert sum(map(len, parts(loaded))) == N + 1
    assert "a: 1 of 121 values is not a number ('low'): taken as missing." in loaded.notes


def test_letters_of_western_windows_are_letters(tmp_path: Path) -> None:
    rows = [f"{i % 7},{'Zürich' if i % 3 else 'Genève'},{i % 2}" for i in range(N)]
    (tmp_path / "t.csv").write_bytes("\n".join(["größe,ort,y", *rows]).encode("cp1252"))
    loaded = data.load("t.csv", target="y", base=tmp_path)
    assert loaded.features == ("größe", "ort")
    assert loaded.preprocessor.get_feature_names_out().tolist() == ["größe", "ort_Genève", "ort_Zürich"]
    assert "The file is cp1252, not UTF-8: read as such." in loaded.notes


def test_quoted_line_ends_belong_to_their_field(tmp_path: Path) -> None:
    rows = [f'{i % 7},"one\ntwo, three",{i % 2}' if i % 2 else f"{i % 7},plain,0" for i in range(N)]
    (tmp_path / "t.csv").write_text("\n".join(['a,"b\nc",y', *rows]))
    loaded = data.load("t.csv", target="y", base=tmp_path)
    assert loaded.features == ("a", "b\nc")
    assert len(loaded.train) + len(loaded.validation) + len(loaded.test) == N
    assert r"b c: values in quotes span several lines, up to 2." in loaded.notes


def test_lines_that_are_too_short_are_counted(tmp_path: Path) -> None:
    rows = [f"{i % 2},{i},{2 * i}" if i not in (30, 60) else f"{i % 2},{i}" for i in range(N)]
    (tmp_path / "t.csv").write_text("\n".join(["y,a,b", *rows]))
    loaded = data.load("t.csv", target="y", base=tmp_path)
    assert (
        "2 of 120 lines have fewer fields than the header (line 32): the others are taken as missing." in loaded.notes
    )


CODES = {
    "postcodes": ([f"{v:05d}" for v in (1067, 2110, 30159, 7743)], "01067"),
    "with gaps": (["00123", "", "456", "00789"], "00123"),
    "in quotes": (['"007"', '"008"', '"070"', '"7"'], "007"),
    "of one width": (["01234", "90210", "10001", "60601"], "01234"),
}


@pytest.mark.parametrize("ending", ["", ","], ids=["plain", "trailing separators"])
@pytest.mark.parametrize("name", CODES)
def test_whole_numbers_with_leading_zeros_are_codes(tmp_path: Path, name: str, ending: str) -> None:
    values, first = CODES[name]
    rows = [f"{values[i % 4]},{i / 4},{i % 2}{ending}" for i in range(N)]
    (tmp_path / "t.csv").write_bytes(lines("c,a,y", *rows))
    loaded = data.load("t.csv", target="y", base=tmp_path)
    names = sorted(f"c_{value.strip(chr(34)) or '(missing)'}" for value in values)
    assert sorted(loaded.preprocessor.get_feature_names_out()) == sorted([*names, "a"])
    assert f"c: whole numbers with leading zeros ('{first}') are codes, read as text." in loaded.notes


def test_labels_in_brackets_are_no_negative_numbers() -> None:
    loaded = of_value((base()[["a"]], cycled(*(f"({i})" for i in range(1, 25)))))
    assert (loaded.task, loaded.n_classes) == ("multiclass", 24)


def test_codes_of_a_target_are_classes(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(lines("a,y", *(f"{i},{i % 3:02d}" for i in range(N))))
    loaded = data.load("t.csv", target="y", base=tmp_path)
    assert (loaded.task, loaded.classes) == ("multiclass", ("00", "01", "02"))


def test_codes_are_numbers_where_numbers_are_taken_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(lines("c,y", *(f"{i:05d},{i % 3:02d}" for i in range(N))))
    loaded = data.load("t.csv", target="y", base=tmp_path, preprocess="none")
    assert sorted(np.concatenate(parts(loaded))[:, 0].tolist()) == list(range(N))
    assert loaded.classes == ("00", "01", "02")
    assert "c: 120 of 120 values have leading zeros ('00000'), read as numbers." in loaded.notes


def test_labels_in_several_units_are_said_to_be_classes() -> None:
    loaded = of_value(base().assign(y=cycled("$5", "€6")), target="y")
    assert any(note.startswith("The labels: numbers in several units (60 with '$'") for note in loaded.notes)


@pytest.mark.parametrize(
    "values", [["0", "10", "200", "3"], ["0.5", "00.25", "1", "2"], ["-01", "5", "6", "7"], ["7", "8", "70", "07"]]
)
def test_other_numbers_with_zeros_are_numbers(tmp_path: Path, values: list[str]) -> None:
    (tmp_path / "t.csv").write_bytes(lines("c,a,b,y", *(f"{values[i % 4]},{i},{-i},{i % 2}" for i in range(N))))
    assert data.load("t.csv", target="y", base=tmp_path).input_shape == (3,)


def test_a_comma_in_quotes_behind_a_space_shifts_no_column(tmp_path: Path) -> None:
    rows = [f'{i}, "clerk, senior{i % 2}", {i % 2}' for i in range(N)]
    (tmp_path / "t.csv").write_bytes(lines("age, job, y", *rows))
    loaded = data.load("t.csv", target="y", base=tmp_path)
    assert list(loaded.preprocessor.get_feature_names_out()) == ["age", "job_clerk, senior0", "job_clerk, senior1"]
    assert "Quotes follow a separator and a space: such spaces are skipped." in loaded.notes


def gaps(source: str, folder: Path) -> data.Dataset:
    age = replaced(WHOLE, **dict.fromkeys((f"_{i}" for i in range(0, 105, 7)), "n/a"))
    rate = replaced(REAL, **dict.fromkeys((f"_{i}" for i in range(0, 104, 4)), "?"))
    town = ["" if i % 10 == 0 else "abc"[i % 3] for i in range(N)]
    text = lines("age,rate,town,y", *(",".join(map(str, row)) for row in zip(age, rate, town, base().y, strict=True)))
    (folder / "t.csv").write_bytes(text)
    pd.read_csv(folder / "t.csv").to_parquet(folder / "t.parquet")
    return data.load(f"t.{source}", target="y", base=folder)


@pytest.mark.parametrize("source", ["csv", "parquet"])
def test_missing_values_are_counted_once(tmp_path: Path, source: str) -> None:
    notes = gaps(source, tmp_path).notes
    assert "age: 15 of 120 values are missing; town: 12 of 120 values are missing." in notes
    assert "rate: 26 of 120 values are not numbers ('?'): taken as missing." in notes
    assert sum("age" in note for note in notes) == 1


def test_gaps_and_words_of_a_column_are_one_line_by_kind() -> None:
    age = [None if i % 12 == 0 else "?" if i % 12 == 1 else str(v) for i, v in enumerate(WHOLE)]
    notes = of_value(with_column(age), target="y").notes
    assert "c: 20 of 120 values are missing (10 empty; 10 not numbers: '?')." in notes
    assert "c: read as numbers, although some cells are not." in notes
    assert sum("c: " in note for note in notes) == 2


def test_the_notes_of_many_columns_are_in_the_singular_where_one_value_is_left() -> None:
    lost = Lost(9)
    for i, column in enumerate("abcdef"):
        lost.count(column, NO_NUMBER, 6 - i)
    assert lost.lines()[-1] == "1 value is taken as missing, in 1 more column: f."


def test_marks_of_thousands_are_named_only_where_there_are_some() -> None:
    comma = [f"{v:.1f}".replace(".", ",") for v in REAL]
    whole = [str(v) if i % 12 else "?" for i, v in enumerate(WHOLE)]
    both = [f"{v // 1000}.{v % 1000:03},5" for v in range(1001, 1001 + N)]
    loaded = of_value(base().assign(a=comma, b=whole, c=both), target="y")
    assert any(note.startswith("a: read as numbers with a decimal comma.") for note in loaded.notes), loaded.notes
    assert "b: read as numbers, although some cells are not." in loaded.notes
    assert "c: read as numbers with a decimal comma and points between thousands." in loaded.notes
    assert loaded.digest == "a53a1d12262b1111", "as lossreg 0.2.0 has it"


def test_digests_of_labels_do_not_depend_on_the_words_of_notes() -> None:
    texts = [f" {v // 1000}.{v % 1000:03},5" for v in range(1001, 1001 + N)]
    loaded = of_value(base().assign(y=texts), target="y", task="regression")
    assert "The labels are read as numbers with a decimal comma and points between thousands." in loaded.notes
    assert loaded.digest == "8ec90387af910723", "as lossreg 0.2.0 has it"


def test_blank_texts_and_spaces_are_counted_apart() -> None:
    notes = of_value(with_column(cycled("a", " a", "b", " ")), target="y").notes
    assert "c: 30 texts have spaces around, taken off; 30 texts are blank, taken as missing." in notes


@pytest.mark.parametrize("held_as", [float, int, object])
def test_masked_features_are_missing(held_as: Any) -> None:
    values = np.arange(N * 2).reshape(N, 2)
    hidden = values % 7 == 0
    masked = of_value((np.ma.array(values.astype(held_as), mask=hidden), [0, 1] * 60))
    twin = of_value((np.where(hidden, np.nan, values), [0, 1] * 60))
    np.testing.assert_array_equal(masked.train.x, twin.train.x)
    assert masked.notes == twin.notes
    assert any(f"x0: {hidden[:, 0].sum()} of 120 values are missing" in note for note in masked.notes)


def test_missing_values_of_many_columns_are_one_line() -> None:
    gaps = {f"c{i}": np.where(np.arange(N) == i, np.nan, np.arange(N)) for i in range(40)}
    notes = [note for note in of_value(base().assign(**gaps), target="y").notes if "missing" in note]
    assert len(notes) == 1
    assert notes[0].startswith("c0: 1 of 120 values is missing; c1: 1 of")
    assert notes[0].endswith("; and 30 more columns have missing values.")


def test_names_of_columns_have_no_spaces_around_them(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(lines("a, b , y", *(row.replace(",", ", ") for row in BODY)))
    loaded = data.load("t.csv", target="y", base=tmp_path)
    assert loaded.features == ("a", "b")
    assert "b, y: spaces around the name in the file are removed." in loaded.notes


def test_an_index_with_a_name_is_left_out_and_said() -> None:
    loaded = of_value(base().assign(customer=range(N)).set_index("customer"), target="y")
    assert loaded.features == ("a", "b")
    assert "customer: the index of the rows, left out." in loaded.notes


def test_a_column_called_like_a_second_one_is_legal(tmp_path: Path) -> None:
    base().rename(columns={"a": "y.1"}).to_csv(tmp_path / "t.csv", index=False)
    assert data.load("t.csv", target="y", base=tmp_path).features == ("y.1", "b")


# ------------------------------------------------------------------ what is refused


class Unspeakable:
    def __str__(self) -> str:
        raise ZeroDivisionError("no words")

    __repr__ = __str__


class Unhashable:
    def __hash__(self) -> int:
        raise RuntimeError("no hash")


class Unshaped:
    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise RuntimeError("no array today")


def written(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


def csv(*rows: str) -> Callable[[Path], None]:
    return written("t.csv", lines(*rows))


def npz(**arrays: Any) -> Callable[[Path], None]:
    return lambda folder: np.savez(folder / "t.npz", allow_pickle=True, **arrays)


def npy(folder: Path) -> None:
    np.save(folder / "t.npy", np.eye(4))
    (folder / "t.npy").rename(folder / "t.npz")


def parquet(cut: int) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        base().to_parquet(folder / "whole.parquet")
        (folder / "t.parquet").write_bytes((folder / "whole.parquet").read_bytes()[:cut])

    return prepare


def gz(cut: int, flip: int = 0) -> Callable[[Path], None]:
    packed = bytearray(gzip.compress(lines("a,b,y", *BODY)))
    packed[flip] ^= 255 if flip else 0
    return written("t.csv.gz", bytes(packed[:cut]))


def cut_npz(folder: Path) -> None:
    np.savez_compressed(folder / "whole.npz", x=np.random.default_rng(0).normal(size=(90, 9)), y=[0, 1] * 45)
    (folder / "t.npz").write_bytes((folder / "whole.npz").read_bytes()[:3000])


Y = {"target": "y"}
FILES: dict[str, tuple[str, dict[str, Any], Callable[[Path], Any] | None, str]] = {
    "target twice": ("t.csv", Y, csv("y,b,y", *BODY), r"two columns are called 'y' \(columns 1 and 3 of the header\)"),
    "feature twice": ("t.csv", Y, csv("b,b,y", *BODY), r"two columns are called 'b' \(columns 1 and 2"),
    "no header, a number twice": (
        "t.csv", Y, csv("0.25,1,1", *BODY),
        "two columns are called '1'. The first line holds",
    ),
    "no header": ("t.csv", Y, csv("0.25,1,0", *BODY), "no column 'y'.* The first line holds numbers"),
    "no header, with a word": ("t.csv", Y, csv("0.25,1,no", *BODY), "no column 'y'.* The first line holds numbers"),
    "a title": ("t.csv", Y, csv("Report,,", "a,b,y", *BODY), "no column 'y'.* if it is a title, remove"),
    "a title and a gap": ("t.csv", Y, csv("Report,,", ",,", "a,b,y", *BODY), "no column 'y'.* if it is a title"),
    "a page": ("t.csv", Y, csv("<!DOCTYPE html>", "<html>", "<p>a, b</p>"), "is an HTML or XML page"),
    "JSON lines": ("t.csv", Y, csv('{"a": 1, "y": 0}', '{"a": 2, "y": 1}'), "holds JSON.*call it .jsonl"),
    "a JSON document": ("t.csv", Y, csv("[", ' {"a": 1, "y": 0}', "]"), "holds JSON"),
    "an archive": ("t.zip", Y, csv("a,b,y"), "does not say what is in .zip. Call it t.csv.zip, or unpack it"),
    "header only": ("t.csv", Y, csv("a,b,y"), "no rows"),
    "one row": ("t.csv", Y, csv("a,b,y", "1,2,0"), "one class only"),
    "blank lines only": ("t.csv", Y, csv("", "", ""), "no rows"),
    "a longer line": ("t.csv", Y, csv("a,b,y", *BODY, "1,2,3,4"), "line 122 has 4 fields, and the header has 3"),
    "a longer line after a quoted one": (
        "t.csv", Y, csv("a,b,y", '1,"two\nlines",0', "1,2,3,4"), "has 4 fields, and the header has 3",
    ),
    "a name of a row twice": (
        "t.csv", Y, csv("y,a,b", *(f"{i % 2},{row}" for i, row in enumerate(BODY))),
        "line 4 has 4 fields, and the header has 3. The first field '0' is that of line 2 again",
    ),
    "a name twice but for spaces": ("t.csv", Y, csv("a,a ,y", *BODY), "two columns are called 'a'"),
    "joined files": ("t.csv", Y, csv("a,b,y", *BODY, "a,b,y", *BODY), "line 122 is the header again"),
    "two fields more": (
        "t.csv", Y, csv("a,b,y", *(f"1,2,{row}" for row in BODY)),
        "line 2 has 5 fields, and the header",
    ),
    "a title above": ("t.csv", Y, csv("Sales of 2024", "a,b,y", *BODY), "line 2 has 3 fields.*remove a title"),
    "a quote that is never closed": ("t.csv", Y, csv("a,b,y", *BODY, '1,"2,0'), "is never closed"),
    "NUL": ("t.csv", Y, csv("a,b,y", *BODY[:5], "1,\0,1", *BODY), "line 7 has a NUL character"),
    "NUL in a packed file": ("t.csv.gz", Y, written("t.csv.gz", gzip.compress(b"a,y\n1,\0\n")), "line 2 has a NUL"),
    "UTF-16 without a mark": ("t.csv", Y, written("t.csv", "a,y\n1,0\n".encode("utf-16-le")), "line 1 has a NUL"),
    "a packed file cut short": ("t.csv.gz", Y, gz(100), "cannot be read: Compressed file ended"),
    "a packed file with an error": ("t.csv.gz", Y, gz(10**6, 60), "cannot be read: "),
    "a packed file that is none": ("t.csv.gz", Y, written("t.csv.gz", b"a,y\n1,2\n"), "cannot be read: Not a gzipped"),
    "parquet cut short": ("t.parquet", Y, parquet(900), "cannot be read: "),
    "parquet of no bytes": ("t.parquet", Y, written("t.parquet", b""), "cannot be read: "),
    "parquet that is text": ("t.parquet", Y, written("t.parquet", lines("a,y", "1,2")), "cannot be read: "),
    "npz that is npy": ("t.npz", {}, npy, r"is a single array of shape \(4, 4\) \(.npy\).*numpy.savez"),
    "npz that is text": ("t.npz", {}, written("t.npz", b"x,y\n1,2\n"), "cannot be read: .*numpy.savez"),
    "npz cut short": ("t.npz", {}, cut_npz, "cannot be read: "),
    "npz of objects": ("t.npz", {}, npz(x=np.eye(2), y=np.array([{}, 1], object)), "array 'y' cannot be read: .*savez"),
    "npz of complex features": ("t.npz", {}, npz(x=np.eye(4) * 1j, y=[0, 1] * 2), "x holds complex numbers"),
    "npz of complex labels": ("t.npz", {}, npz(x=np.eye(4), y=[1j, 2, 3, 4]), "the target holds complex numbers"),
    "npz of structured labels": (
        "t.npz", {}, npz(x=np.eye(4), y=np.zeros(4, [("a", int), ("b", int)])), "y is a structured array",
    ),
    "npz of nested fields": (
        "t.npz", {}, npz(x=np.zeros(4, [("a", int, (2,))]), y=[0, 1] * 2), "structured array whose field 'a' is no",
    ),
    "a line end in a name": (
        "t.csv", {"target": "z"}, csv('"a\nb",y', *(row.split(",", 1)[1] for row in BODY)), "it has a b, y",
    ),
    "a name of 5,000 letters": ("t.csv", {"target": "z"}, csv("a" * 5000 + ",b,y", *BODY), r"it has a+\.\.\., b, y"),
    "a folder": (".", Y, None, "the folders are the classes here"),
    "a folder called like a file": ("d.csv", Y, lambda folder: (folder / "d.csv").mkdir(), "is a folder: "),
    "a path of 5,000 letters": ("a" * 5000 + ".csv", Y, None, "has 5,004 letters, and a path has up to 4,096"),
    "a name of 300 letters": ("a" * 300 + ".csv", Y, None, "cannot be read: file name too long"),
    "a path with NUL": ("a\0b.csv", Y, None, "has characters that no path has"),
    "a path with half a letter": ("a\ud800b.csv", Y, None, "has characters that no path has"),
    "nothing": ("  ", Y, None, "names no source"),
    "a file below a file": ("t.csv/u.csv", Y, csv("a,y"), "no such file|cannot be read: not a directory"),
    "a user that is not there": ("~nobody-of-that-name/t.csv", Y, None, "cannot be read: |no such file"),
    "a huge generator": (
        "sklearn:make_blobs?n_samples=10000000000", {}, None,
        r"10,000,000,000 rows .* GiB of memory, and .* GiB are free",
    ),
    "a huge width": ("sklearn:make_classification?n_features=10000000000", {}, None, "GiB of memory, and"),
    "huge beyond words": (f"sklearn:make_blobs?n_samples={10**400}", {}, None, "need over 1,000,000,000 GiB"),
    "two huge moons": ("sklearn:make_moons?n_samples=(10000000000,5)", {}, None, "GiB of memory, and"),
    "5,000 digits": ("sklearn:make_blobs?n_samples=" + "9" * 4000, {}, None, "GiB of memory|rejects its arguments"),
    "nested 3,000 deep": ("sklearn:make_blobs?n_samples=" + "[" * 1500 + "]" * 1500, {}, None, "rejects its arguments"),
    "a negative generator": ("sklearn:make_blobs?n_samples=-5", {}, None, "rejects its arguments"),
    "a generator of texts": ("sklearn:make_blobs?n_samples='many'", {}, None, "rejects its arguments"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_files_that_cannot_be_read_are_one_message(tmp_path: Path, name: str) -> None:
    source, kwargs, prepare, message = FILES[name]
    if prepare:
        prepare(tmp_path)
    with pytest.raises(InputError, match=message) as error:
        data.load(source, base=tmp_path, **kwargs)
    one_message(error.value)


def one_message(error: InputError) -> None:
    assert "\n" not in str(error)
    assert len(str(error)) < 5000
    assert error.where


@pytest.mark.parametrize(
    ("reader", "error", "message"),
    [
        ("read_csv", PermissionError(13, "Permission denied"), "cannot be read: permission denied"),
        ("read_csv", MemoryError("Unable to allocate 3 TiB"), r"memory ran out \(a file of .* GiB, .* GiB free\)"),
        ("read_csv", RecursionError("maximum depth"), "cannot be read: maximum depth"),
        ("read_csv", OverflowError("int too big"), "cannot be read: int too big"),
        ("read_parquet", MemoryError(), "memory ran out"),
        ("read_parquet", NotImplementedError("of this type"), "cannot be read: of this type"),
        ("read_parquet", KeyError("schema"), "cannot be read: 'schema'"),
    ],
)
def test_whatever_a_library_raises_is_said_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str, error: Exception, message: str
) -> None:
    def fails(*args: Any, **kwargs: Any) -> None:
        raise error

    name = "t.csv" if reader == "read_csv" else "t.parquet"
    base().to_csv(tmp_path / "t.csv", index=False)
    base().to_parquet(tmp_path / "t.parquet")
    monkeypatch.setattr(pd, reader, fails)
    with pytest.raises(DataError, match=message) as refused:
        data.load(name, target="y", base=tmp_path)
    one_message(refused.value)


def series(values: Any) -> pd.Series[Any]:
    return pd.Series(values, dtype=object)


def nested(depth: int) -> list[Any]:
    inner: list[Any] = []
    for _ in range(depth):
        inner = [inner]
    return inner


X = base()[["a", "b"]]
VALUES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "complex features": (with_column([1j] * N), Y, "column 'c' holds complex numbers.*two columns"),
    "complex objects": (with_column(series([1j, "a"] * 60)), Y, "column c: holds complex numbers"),
    "complex array": ((np.eye(N) * 1j, [0, 1] * 60), {}, "x holds complex numbers"),
    "complex images": ((np.zeros((N, 2, 2), complex), [0, 1] * 60), {}, "x holds complex numbers"),
    "complex column of a target": (base().assign(y=[1j] * N), Y, "column 'y' holds complex numbers"),
    "masked labels": ((X, np.ma.array([0, 1] * 60, mask=[1] + [0] * 119)), {}, "1 of 120 values of y is masked"),
    "masked weights": (
        (X, [0, 1] * 60, np.ma.array(np.ones(N), mask=[1] + [0] * 119)), {}, "1 of 120 weights is masked",
    ),
    "complex labels": ((X, np.array([1j, 2] * 60)), {}, "the target holds complex numbers"),
    "complex labels as objects": ((X, series([1j, "a"] * 60)), {}, "the target holds complex|task|labels"),
    "complex weights": ((X, [0, 1] * 60, np.full(N, 1j)), {}, "weights are complex numbers"),
    "dates as labels": (base().assign(y=DAYS), Y, "the target holds dates"),
    "dates in text as labels": (base().assign(y=[day.isoformat() for day in DAYS]), Y, "the target holds dates"),
    "periods as labels": (base().assign(y=pd.period_range("1990", periods=N, freq="M")), Y, "the target holds dates"),
    "durations as labels": (base().assign(y=pd.to_timedelta(WHOLE, unit="h")), Y, "holds durations.*total_seconds"),
    "times as labels": (base().assign(y=series([dt.time(3), dt.time(4)] * 60)), Y, "the target holds durations"),
    "lists as labels": ((X, series([[1], [2]] * 60)), {}, "the target holds lists"),
    "question marks among labels": (
        base().assign(y=cycled(*WHOLE[:39], "?")), Y, r"3 of 120 labels are not numbers \('\?'\).*drop_unlabelled",
    ),
    "words among labels of a regression": (
        base().assign(y=[*map(str, WHOLE[:-1]), "old"]), {**Y, "task": "regression"},
        r"1 of 120 labels is not a number",
    ),
    "blank labels": (base().assign(y=cycled("yes", "no", " ")), Y, r"40 of 120 labels are missing"),
    "endless labels": (base().assign(y=series([10**400, *range(N - 1)])), Y, "1 of 120 labels is infinite"),
    "labels beyond float32": (
        base().assign(y=[1e45, *REAL[1:]]), Y,
        r"1 of 120 labels is above 3.4e\+38 in size \(1e\+45",
    ),
    "labels without words": ((X, series([Unspeakable(), Unspeakable()] * 60)), {}, "ZeroDivisionError|single row"),
    "labels without a hash": (
        (X, series([Unhashable() for _ in range(N)])), {},
        "the target holds objects of type Unhashable",
    ),
    "features without words": (
        with_column(series([Unspeakable() for _ in range(N)])), Y,
        "column c: an object of type Unspeakable cannot",
    ),
    "features without a hash": (with_column(series([Unhashable() for _ in range(N)])), Y, ""),
    "half a letter": (with_column(series(cycled("a", "\ud800"))), Y, "column c cannot be read: UnicodeEncodeError"),
    "half a letter among labels": ((X, series(cycled("a", "\ud800"))), {}, "y cannot be read: UnicodeEncodeError"),
    "features without an array": ((Unshaped(), [0, 1] * 60), {}, "x is no array: RuntimeError: no array today"),
    "features 3,000 deep": ((nested(3000), [0, 1] * 60), {}, "x is no array|x has|no rows"),
    "labels 3,000 deep": ((X, nested(3000)), {}, "y is no array|x has 120 rows and y has|holds"),
    "uneven features": (([[1, 2], [3]] * 60, [0, 1] * 60), {}, "x is no array: ValueError"),
    "a structured target": ((X, np.zeros(N, [("a", int), ("b", int)])), {}, "y is a structured array"),
    "structured rows of rows": ((np.zeros((N, 2), [("a", int)]), [0, 1] * 60), {}, "x is a structured array"),
    "another order of the same rows": ((X, base().y.sample(frac=1, random_state=0)), {}, "same index in another order"),
    "columns twice": (pd.concat([base(), base()[["a"]]], axis=1), Y, "two columns are called 'a'"),
    "columns alike as text": (base().assign(**{"1": 0}).rename(columns={"a": 1}), Y, "two columns are called '1'"),
    "images of text": ((np.full((N, 2, 2), "a"), [0, 1] * 60), {}, "not numbers"),
    "images of dates": ((np.zeros((N, 2, 2), "M8[D]"), [0, 1] * 60), {}, "not numbers"),
    "images with no proportion": ((np.geomspace(1, 1.7e308, N * 4).reshape(N, 2, 2), [0, 1] * 60), {}, ""),
    "a target that is the index": (base().set_index("y"), Y, r"no column 'y'.*table.reset_index\(\)"),
    "other orders in the test set": (
        ((with_column(pd.Categorical(cycled(1, 2), [1, 2], ordered=True)).drop(columns="y"), [0, 1] * 60),
         (with_column(pd.Categorical(cycled(1, 2), [2, 1], ordered=True)).drop(columns="y"), [0, 1] * 60)),
        {}, "column 'c' has other ordered categories in training and test rows",
    ),
    "other orders of labels in the test set": (
        ((X, pd.Categorical(cycled(1, 2), [1, 2], ordered=True)),
         (X, pd.Categorical(cycled(1, 2), [2, 1], ordered=True))),
        {}, "y has other ordered categories in training and test rows",
    ),
    "weights beyond float32": ((X, [0, 1] * 60, [1e45] * N), {}, r"of row 1 of the data is 1e\+45 \(120 such rows\)"),
    "weights of classes beyond float32": (
        (X, [0, 1] * 60, [1e30] * N), {"class_weight": [1e30, 1]}, r"a weight of the training rows is 1e\+60",
    ),
    "nothing usable": (base()[["y"]].assign(c=None), Y, "no usable column among c"),
    "no usable text": (base()[["y"]].assign(c=[f"name {i}" for i in range(N)]), Y, "no usable column among c"),
    "two targets of text": (base().assign(z="a"), {"target": ["y", "z"]}, "target column 'z' holds 'a'"),
    "none": (None, {}, "returned None, which is no data"),
    "a set": ({1, 2}, {}, "returned set"),
    "an array": (np.eye(4), {}, "returned a single array"),
    "text with none": (with_column(cycled("a", "b")), {**Y, "preprocess": "none"}, "column c holds 'a'"),
    "infinite with none": (with_column([np.inf] * N), {**Y, "preprocess": "none"}, "76 values are missing or infinite"),
    "beyond float32 with none": (with_column([1e45] * N), {**Y, "preprocess": "none"}, "76 values are above 3.4e"),
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_values_that_cannot_be_used_are_one_message(name: str) -> None:
    value, kwargs, message = VALUES[name]
    if not message:
        assert everywhere_finite(of_value(value, **kwargs))
        return
    with pytest.raises(InputError, match=message) as error:
        of_value(value, **kwargs)
    one_message(error.value)


# ------------------------------------------------------------------ the whole way


def test_fill_values_far_values_and_the_year_9999_train_to_the_end(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    far = base().b.to_numpy(copy=True)
    rows = of_value(base().assign(n=np.arange(N)), target="y")
    scaler = rows.preprocessor.transformer_.named_transformers_["number"][-1]
    held_out = round(rows.validation.x[0, 2] * scaler.scale_[2] + scaler.mean_[2])
    far[held_out] = 1e45
    frame = base().assign(fill=-9.99e33, far=far, until=cycled("2024-01-15", "9999-12-31"))
    frame.to_csv("t.csv", index=False)
    study = {
        "name": "odd", "data": {"source": "t.csv", "target": "y"}, "model": {"hidden": [4]},
        "train": {"epochs": 2, "learning_rate": 0.01}, "search": {"trials": 4, "lanes": 4, "confirm": 0},
        "losses": {"cross_entropy": {}, "focal": {}}, "tracking": {"enabled": False}, "verdict": {"enabled": False},
    }  # fmt: skip
    result = lossreg.tune(study)
    assert [trial.state for trial in result.trials] == ["complete"] * 4
    notes = "\n".join(result.notes)
    assert "fill: the same value in every training row, 0 after preprocessing." in notes
    assert "far: 1 of 120 values is out of all proportion to the training rows (1e+45): taken as missing." in notes


def test_names_and_values_in_single_quotes_are_read_without_them(tmp_path):
    rows = pd.DataFrame({"a b": [1, 2, 3] * 20, "city": ["Ulm", "L'Aquila", "x, y"] * 20, "y": [0, 1, 0] * 20})
    quoted = rows.assign(city=["'Ulm'", "'L''Aquila'", "'x, y'"] * 20)
    lines = ["'a b','city','y'", *(f"{a},{city},{y}" for a, city, y in quoted.itertuples(index=False))]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    loaded = data.load("rows.csv", target="y", base=tmp_path)
    assert loaded.features == ("a b", "city")
    assert "The column names are in single quotes, which are removed there and around values." in loaded.notes
    assert loaded.rows.raw.x["city"].value_counts().to_dict() == {"Ulm": 20, "L'Aquila": 20, "x, y": 20}
    for names in ("'a',b", "a,'b'"):  # not all of them
        (tmp_path / "rows.csv").write_text("\n".join([f"{names},y", *["1,2,0", "2,3,1"] * 20]))
        assert "'" in "".join(data.load("rows.csv", target="y", base=tmp_path).features)
