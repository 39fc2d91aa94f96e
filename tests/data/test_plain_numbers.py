"""Columns of plain numbers, which are read at once, against the reading of their texts one by one."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

from lossreg.data import kinds, numerals
from lossreg.data.plain_texts import blanks
from lossreg.data.thousands import Thousands

FORMS = {
    "comma": lambda r: f"{r.uniform(-2000, 2000):.{r.randint(0, 6)}f}".replace(".", ","),
    "point": lambda r: f"{r.uniform(-2000, 2000):.{r.randint(0, 6)}f}",
    "whole": lambda r: str(r.randint(-5000, 5000)),
    "either": lambda r: f"{r.randint(1, 999)}{r.mark}{r.randint(0, 999):03}",
    "three": lambda r: f"{r.uniform(-3, 9999):.3f}".replace(".", r.mark),
    "thousands": lambda r: f"{r.uniform(-1e7, 1e7):,.{r.randint(0, 3)}f}",
    "German": lambda r: f"{r.uniform(-1e7, 1e7):,.{r.randint(0, 3)}f}".translate(str.maketrans(",.", ".,")),
    "Swiss": lambda r: f"{r.uniform(0, 1e7):,.2f}".replace(",", "'"),
    "Indian": lambda r: f"{r.randint(1, 99)},{r.randint(10, 99)},{r.randint(100, 999)}",
    "signed": lambda r: f"{r.choice('+-−')}{r.uniform(0, 20):.2f}",
    "plus": lambda r: f"{r.uniform(-20, 2000):+.{r.randint(0, 4)}f}".replace(".", r.mark),
    "behind": lambda r: f"{r.uniform(1, 99):.1f}-",
    "brackets": lambda r: f"({r.uniform(0, 99):.{r.randint(0, 2)}f})",
    "currency": lambda r: f"{r.choice(['$', 'EUR ', '€'])}{r.uniform(0, 99):.2f}",
    "percent": lambda r: f"{r.uniform(0, 99):.1f}{r.choice(['%', ' %', ''])}",
    "dollar": lambda r: f"{r.choice(['', '-'])}${r.uniform(0, 1e6):,.{r.randint(0, 3)}f}",
    "dollars": lambda r: r.choice(["$5", "-$5", "$-5", "- $5", "+ $5", "$ +5", "$5$", "US$5", "$05", "$5%", "5 $"]),
    "euro": lambda r: f"{r.uniform(-1e6, 1e6):,.2f}{r.choice([' €', '€'])}".translate(str.maketrans(",.", ".,")),
    "either euro": lambda r: f"{r.randint(1, 999)}{r.mark}{r.randint(0, 999):03} €",
    "krone": lambda r: f"{r.choice(['kr ', 'kr', 'kr. ', 'KR ', 'kr '])}{r.uniform(0, 99):.{r.randint(0, 2)}f}",
    "whole percent": lambda r: f"{r.randint(-99, 99)}%",
    "exponents": lambda r: r.choice(["1e5", "1E+05", "-2.5e-3", "1e400", "0e0", "1,5e3", "1e", "1.234e5", "e5"]),
    "exponent": lambda r: f"{r.uniform(-1, 1):.3e}",
    "long": lambda r: f"{r.randint(1, 9)}{'0' * r.randint(0, 40)}.{'0' * r.randint(0, 40)}1",
    "huge": lambda r: f"{r.randint(1, 9)}{'0' * r.randint(290, 320)}",
    "bare": lambda r: r.choice([".5", "5.", ",5", "5,", "-.5", "-0,0", "0", "-0", "00", "- 5", "--5", "5-6"]),
    "code": lambda r: f"{r.randint(0, 99999):05}",
    "padded": lambda r: f"{' ' * r.randint(0, 2)}{r.randint(0, 99)},{r.randint(0, 9)}{r.choice(['', ' ', chr(160)])}",
    "Arabic": lambda r: "".join(chr(0x660 + r.randint(0, 9)) for _ in range(3)),
    "gap": lambda r: r.choice(["", " ", "-", "?", "n/a", "N/A", "NaN", "none", "...", "1.#INF", "inf"]),
    "word": lambda r: "".join(r.choices("abcde", k=4)),
    "date": lambda r: f"{r.randint(1, 28):02}.{r.randint(1, 12):02}.{r.randint(1990, 2020)}",
    "lines": lambda r: f"{r.randint(0, 9)},5\n",
}  # fmt: skip
ASKED = [None, None, None, (",", ""), (".", ""), (",", "none"), (".", ","), (",", "."), (".", "'"), (",", " ")]


def random_texts(seed: int) -> tuple[random.Random, list[str]]:
    """Return texts of one form, or of a few, some of them several times."""
    generator = random.Random(seed)
    generator.mark = generator.choice(".,")
    first, *others = generator.sample(sorted(FORMS), generator.choice([1, 1, 2, 3]))
    if generator.random() < 0.3:
        others.append("gap")
    length, share = generator.choice([1, 2, 5, 40, 700]), generator.choice([0.01, 0.2, 0.6])
    names = [generator.choice(others) if others and generator.random() < share else first for _ in range(length)]
    texts = [FORMS[name](generator) for name in names]
    if generator.random() < 0.5:
        texts += generator.choices(texts, k=length)
    return generator, texts


def counted(texts: list[str]) -> pd.Series:
    """Return stripped texts with their counts, the most frequent first, in a tie the first one."""
    pairs = Counter(text.strip() for text in texts).most_common()
    return pd.Series([count for _, count in pairs], pd.Index([text for text, _ in pairs], dtype=object))


def told(form: numerals.Numerals | None) -> dict | None:
    """Return all fields of a form, those that equality leaves out too."""
    return None if form is None else {field.name: getattr(form, field.name) for field in fields(form)}


@pytest.mark.parametrize("dtype", ["str", object])
@pytest.mark.parametrize("start", range(0, 160, 80))
def test_a_column_at_once_is_read_as_its_texts_one_by_one(start: int, dtype: object) -> None:
    settled = 0
    for seed in range(start, start + 80):
        generator, texts = random_texts(seed)
        decimal, asked = generator.choice(["", ",", "."]), generator.choice(ASKED)
        column = pd.Series(texts, dtype=dtype)
        at_once = numerals.of_column(column, decimal, asked)
        form = numerals.infer(counted(texts), decimal, asked)
        settled += at_once is not None
        assert at_once is None or told(at_once) == told(form), (seed, texts[:5])
        form = form or numerals.Numerals(decimal or ".")
        with_gaps = pd.Series([*texts, None], dtype=dtype)
        expected = [*(form.number(text) for text in texts), np.nan]
        values = numerals.values(with_gaps, form)
        assert np.array_equal(values, expected, equal_nan=True), (seed, texts[:5])
        assert np.array_equal(np.signbit(values), np.signbit(expected)), (seed, texts[:5])
        assert blanks(with_gaps) == sum(not text.strip() for text in texts)
    assert settled > 5  # so that the comparison says something


@pytest.mark.parametrize("form", ["dollar", "euro", "whole percent", "exponent"])
def test_numbers_with_one_unit_or_an_exponent_are_read_at_once(form: str) -> None:
    generator = random.Random(form)
    texts = [FORMS[form](generator) for _ in range(300)]
    at_once = numerals.of_column(pd.Series([*texts, "?"]))
    assert told(at_once) == told(numerals.infer(counted([*texts, "?"])))


@pytest.mark.parametrize("decimal", [",", "."])
def test_thousands_of_a_column_of_texts_are_those_of_its_texts_one_by_one(decimal: str) -> None:
    for seed in range(100):
        texts = random_texts(seed)[1]
        at_once = Thousands.of(pd.Series(texts, dtype="str"), decimal)
        with_a_number = pd.Series([*texts, 1], dtype=object)  # which is not read at once
        assert at_once == Thousands.of(with_a_number, decimal), (seed, texts[:5])


@pytest.mark.parametrize("form", ["comma", "three", "German", "padded", "percent", "word"])
def test_texts_as_strings_and_as_objects_have_the_same_reading(form: str) -> None:
    generator = random.Random(form)
    generator.mark = ","
    texts = [FORMS[form](generator) for _ in range(300)]
    read = [kinds.infer(pd.Series(texts, dtype=dtype)) for dtype in ("str", object)]
    assert read[0] == read[1]
    assert read[0].mark == read[1].mark


def test_objects_of_several_types_are_no_plain_texts() -> None:
    assert numerals.of_column(pd.Series(["1,5", 2.5], dtype=object)) is None
    assert numerals.of_column(pd.Series(["1,5", b"2,5"], dtype=object)) is None
    assert numerals.of_column(pd.Series(["1,5", "\ud800"], dtype=object)) is None
