"""Numbers that are written as text: with a decimal comma, thousands, a currency or a percent sign, or gaps by name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.data.cells import example

SHARE = 0.9  # of the values that are no marker, how many must be numbers
MOST = 0.5  # of all values that are there, how many must be numbers
SAMPLE = 500
MARKERS = frozenset(
    {
        "", "?", "-", "--", "---", ".", "..", "...", "*", "\N{EN DASH}", "\N{EM DASH}", "n/a", "na", "n.a.", "n.a",
        "nan", "<na>", "nat", "nil", "none", "null", "unknown", "unk", "missing", "undefined", "not available",
        "not applicable", "no data", "tbd", "#n/a", "#na", "#value!", "#div/0!", "#ref!", "#num!", "#name?", "#null!",
    }
)  # fmt: skip
SPACES = "\u00a0\u202f\u2009 "
GROUPS = rf"'\N{{RIGHT SINGLE QUOTATION MARK}}{SPACES}"
UNITS = "$€£¥₹%‰"
SIGN = "[+\\-\N{MINUS SIGN}]"
EXPONENT = r"(?:[eE][+\-]?\d{1,5})?"


def _pattern(decimal: str, group: str) -> re.Pattern[str]:
    whole = rf"(?:[1-9]\d{{0,2}}(?:[{re.escape(group)}]\d{{3}})+|[1-9]\d{{0,2}}(?:[{GROUPS}]\d{{3}})+|\d+)"
    point = re.escape(decimal)
    return re.compile(rf"(?:{whole}(?:{point}\d*)?|{point}\d+){EXPONENT}")


PATTERNS = {".": _pattern(".", ","), ",": _pattern(",", ".")}
# a whole number with leading zeros is a code, such as a postcode
CODE = re.compile(r"0\d+")
PLAIN = re.compile(rf"{SIGN}?(?:\d+\.?\d*|\.\d+){EXPONENT}")
WHOLE = re.compile(rf"{SIGN}?\d+")
EITHER = re.compile(r"[1-9]\d{0,2}[.,]\d{3}")


@dataclass(frozen=True, slots=True)
class Numerals:
    """How the numbers of a column are written.

    decimal: the decimal mark, "." or ","; unit: a currency or percent sign, empty for none; doubt: a value that may
    be read in two ways, empty where there is none; grouped: whether thousands are set apart by commas; plain: whether
    every number is written as Python would.
    """

    decimal: str = "."
    unit: str = ""
    doubt: str = ""
    grouped: bool = False
    plain: bool = True

    def number(self, text: str) -> float:
        """The number that a text is, NaN where it is none."""
        sign, unit, body = _parts(text)
        if unit not in ("", self.unit) or PATTERNS[self.decimal].fullmatch(body) is None:
            return float("nan")
        return sign * float(_pythonic(body, self.decimal))

    def description(self) -> str:
        """What a note says of such a column."""
        written = ["a decimal comma"] if self.decimal == "," and not self.plain else []
        written += ["commas between thousands"] if self.grouped else []
        written += [repr(self.unit)] if self.unit else []
        text = "numbers written as text" + (f", with {' and '.join(written)}" if written else "")
        if not self.doubt:
            return text
        value, other = (
            self.number(self.doubt),
            replace(self, decimal="," if self.decimal == "." else ".").number(self.doubt),
        )
        return f"{text}; {self.doubt!r} is read as {value:g} and could mean {other:g}"


def _parts(text: str) -> tuple[float, str, str]:
    """Sign, unit and the rest of a text."""
    body, sign = text.strip(), 1.0
    if (
        body.startswith("(") and body.endswith(")") and not re.match(SIGN, body[1:].strip())
    ):  # how accountants write a negative number
        body, sign = body[1:-1].strip(), -1.0
    unit = next(
        (
            char
            for char in UNITS
            if body.startswith(char) or body.endswith(char) or re.match(SIGN + re.escape(char), body)
        ),
        "",
    )
    body = body.replace(unit, "", 1).strip() if unit else body
    if body[:1] in ("-", "\N{MINUS SIGN}"):
        return -sign, unit, body[1:].strip()
    return sign, unit, body.removeprefix("+")


def _pythonic(body: str, decimal: str) -> str:
    kept = "".join(char for char in body if char.isdigit() or char in (decimal, "e", "E", "+", "-"))
    return kept.replace(decimal, ".")


def is_marker(text: str) -> bool:
    """Whether a text stands for a value that is not there, such as `?`, `n/a` or `unknown`."""
    return text.strip().lower() in MARKERS


def settle(counts: pd.Series[Any], decimal: str = "") -> Numerals | None:
    """How texts, counted as by `value_counts`, write numbers; None where they are something else.

    They are numbers when at least nine in ten of the values that are no marker of a gap are, and at least half of
    all values. decimal: the mark that the rest of the table uses, which decides where this column leaves it open.
    """
    if not len(counts) or not _likely(counts.index):
        return None
    weights = {str(text): int(count) for text, count in counts.items() if not is_marker(str(text))}
    total = sum(weights.values())
    readable = {mark: _readable(weights, mark) for mark in PATTERNS}
    rows = {mark: sum(weights[text] for text in read) for mark, read in readable.items()}
    best = _mark(rows, readable["."], decimal)
    if not total or rows[best] < max(SHARE * total, MOST * counts.sum()) or _are_codes(readable[best]):
        return None
    if all(text.strip().startswith("(") for text in readable[best]):  # numbered labels, and no negative numbers
        return None
    return _described(readable[best], best, weights, doubtful=rows["."] == rows[","])


def partly(counts: pd.Series[Any]) -> str:
    """What a note says of texts, counted as by `value_counts`, that are numbers for the most part; else empty."""
    if not len(counts) or not _likely(counts.index):
        return ""
    weights = {str(text): int(count) for text, count in counts.items() if not is_marker(str(text))}
    readable = {text for mark in PATTERNS for text in _readable(weights, mark)}
    rows, odd = sum(weights[text] for text in readable), [text for text in weights if text not in readable]
    if not odd or rows < MOST * counts.sum() or _are_codes(readable):
        return ""
    return f"{rows} of {counts.sum()} values are numbers; read as text, because others are not ({example(odd[0])})"


def _likely(distinct: pd.Index[Any]) -> bool:
    """Whether a sample of the distinct values suggests numbers, for long columns of text are not worth the time."""
    sample = [str(value) for value in distinct[:: max(1, len(distinct) // SAMPLE)]]
    sample = [text for text in sample if not is_marker(text)]
    numbers = sum(_reads(text, ".") or _reads(text, ",") for text in sample)
    return bool(sample) and (numbers >= MOST * len(sample) or len(distinct) <= SAMPLE)


def _readable(weights: Iterable[str], decimal: str) -> list[str]:
    return [text for text in weights if _reads(text, decimal)]


def _reads(text: str, decimal: str) -> bool:
    return len(text) < 5000 and PATTERNS[decimal].fullmatch(_parts(text)[2]) is not None


def _mark(rows: dict[str, int], texts: Iterable[str], decimal: str) -> str:
    if rows["."] != rows[","]:
        return max(rows, key=lambda mark: rows[mark])
    return decimal or "."


def _are_codes(texts: Iterable[str]) -> bool:
    return any(CODE.fullmatch(text.strip()) for text in texts)


def _described(texts: list[str], decimal: str, weights: dict[str, int], *, doubtful: bool) -> Numerals:
    units: dict[str, int] = {}
    for text in texts:
        unit = _parts(text)[1]
        units[unit] = units.get(unit, 0) + weights[text]
    units.pop("", None)
    open_to_both = [text for text in texts if EITHER.fullmatch(_parts(text)[2])] if doubtful else []
    doubt = next((text for text in open_to_both if "," in text or decimal == ","), "")
    grouped = decimal == "." and any("," in text for text in texts)
    plain = all(PLAIN.fullmatch(text.strip()) for text in texts)
    return Numerals(decimal, max(units, key=lambda unit: units[unit], default=""), doubt, grouped, plain)


def decimal_mark(columns: Iterable[pd.Series[Any]]) -> str:
    """The decimal mark that columns of texts use beyond doubt, empty where they leave it open or disagree."""
    marks = set()
    for column in columns:
        if not column.str.contains(",", regex=False).any():
            continue
        found = settle(column.value_counts())
        if found is not None and not found.doubt:
            marks.add(found.decimal)
    return marks.pop() if len(marks) == 1 else ""


def are_whole(texts: Iterable[str]) -> bool:
    """Whether all texts are whole numbers and nothing else."""
    return all(WHOLE.fullmatch(text.strip()) for text in texts)


def values(texts: pd.Series[Any], numerals: Numerals) -> NDArray[np.float64]:
    """The numbers `(n,)` that texts are, NaN where they are none."""
    codes, distinct = pd.factorize(texts)
    numbers = np.array([numerals.number(str(text)) for text in distinct] + [np.nan])
    return numbers[codes]
