"""Numbers that are written as text: with a decimal comma, thousands, a currency or a percent sign, or gaps by name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.data import codes, plain_texts
from lossreg.data.cells import example, in_ascii
from lossreg.data.plain_texts import OTHER, Texts

SHARE = 0.9  # of the values that are no marker, how many must be numbers
MOST = 0.5
SAMPLE = 500
LONGEST = 5000
MOST_GAPS = 20  # that mark gaps beside plain numbers: less than a sample
MARKERS = frozenset(
    {
        "", "?", "-", "--", "---", ".", "..", "...", "*", "\N{EN DASH}", "\N{EM DASH}", "n/a", "na", "n.a.", "n.a",
        "nan", "<na>", "nat", "nil", "none", "null", "unknown", "unk", "missing", "undefined", "not available",
        "not applicable", "no data", "tbd", "#n/a", "#na", "#value!", "#div/0!", "#ref!", "#num!", "#name?", "#null!",
        "#nv", "#wert!", "#bezug!", "#zahl!", "#valeur!", "#nom?", "\\n", "(null)", "[null]", "<null>", "(none)",
        "(blank)", "n/d", "nd", "n.d.", "k.a.", "k. a.", "inf", "-inf", "+inf", "infinity", "-infinity", "1.#inf",
        "-1.#inf", "1.#qnan", "-1.#ind", "1.#ind",
    }
)  # fmt: skip
# of these, such as unknown and none, words may be a category
WORDS = frozenset(
    {
        "na", "nil", "none", "unknown", "unk", "missing", "undefined", "not available", "not applicable", "no data",
        "tbd", "nd", "inf", "infinity",
    }
)  # fmt: skip
SPACES = "\u00a0\u202f\u2009 "
GROUPS = f"'\N{RIGHT SINGLE QUOTATION MARK}{SPACES}"
CURRENCIES = (
    "aed", "aud", "brl", "cad", "chf", "cny", "czk", "dkk", "eur", "gbp", "hkd", "huf", "ils", "inr", "jpy", "krw",
    "mxn", "nok", "nzd", "pln", "rmb", "ron", "rub", "sar", "sek", "sgd", "thb", "try", "usd", "zar", "euro", "kr\\.",
    "kr", "rs\\.", "rs", "kč", "zł", "fr\\.", "円", "元",
)  # fmt: skip
UNIT = rf"(?:(?:au|a|ca|c|hk|nz|r|s|us)?\$|[¢£¤¥\u20a0-\u20bf%‰]|{'|'.join(CURRENCIES)})"
BEFORE = re.compile(rf"[+\-]? ?({UNIT})(?=[ \d.,+\-])", re.IGNORECASE)
BEHIND = re.compile(rf"(?<=[ \d.,\-]){UNIT}$", re.IGNORECASE)
LONGEST_UNIT = 5
NO_CENTS = re.compile(r"[.,]-{1,2}$")  # 5.- is 5
MINUS_BEHIND = re.compile(r"[\d.,]\d ?-$")  # not 1-, a grade
PARTS = ("%", "‰")  # 0.45 beside 45% may mean either
SIGNS = ("+", "-")
SIGNS_ALONE = frozenset(mark for mark in MARKERS if not any(map(str.isalnum, mark))) - {"?"}
SIGN = "[+\\-\N{MINUS SIGN}]"
EXPONENT = r"(?:[eE][+\-]?\d{1,5})?"


@cache
def _pattern(decimal: str, group: str) -> re.Pattern[str]:
    """Return the pattern of a number without sign and unit; group: the mark between thousands, "" for usual ones."""
    marks = {"": (re.escape("." if decimal == "," else ","), GROUPS), "'": (GROUPS[:2],), " ": (SPACES,), "none": ()}
    groups = "".join(rf"[1-9]\d{{0,2}}(?:[{mark}]\d{{3}})+|" for mark in marks.get(group, (re.escape(group),)))
    lakhs = r"[1-9]\d?(?:,\d{2})+,\d{3}|" if decimal == "." and group in ("", ",") else ""  # as in India
    point = re.escape(decimal)
    return re.compile(rf"(?:(?:{lakhs}{groups}\d+)(?:{point}\d*)?|{point}\d+){EXPONENT}")


MARKS = (".", ",")
PYTHONIC = {".": str.maketrans("", "", f",{GROUPS}"), ",": str.maketrans(",", ".", f".{GROUPS}")}
PLAIN = re.compile(rf"{SIGN}?(?:\d+\.?\d*|\.\d+){EXPONENT}")
EITHER = re.compile(r"[1-9]\d{0,2}[.,]\d{3}")


@dataclass(frozen=True, slots=True)
class Numerals:
    """The form in which the numbers of a column are written.

    decimal: the decimal mark, "." or ","; unit: a currency or percent sign, empty for none; doubt: a value that may
    be read in two ways, empty where there is none; grouped: with a decimal point, a number has a comma, with a decimal
    comma none has (only the digests of data use it); plain: every number is written as in Python; signed: a text
    without the unit is no number; remarks: further text of the note; marks: those of "." and "," that numbers have;
    mixed: other texts are not numbers; group: the mark between thousands that a study names, or "none".
    """

    decimal: str = "."
    unit: str = ""
    doubt: str = ""
    grouped: bool = False
    plain: bool = True
    signed: bool = False
    remarks: tuple[str, ...] = field(default=(), repr=False)
    marks: str = field(default="", repr=False, compare=False)
    mixed: bool = field(default=False, repr=False, compare=False)
    group: str = field(default="", repr=False)

    @property
    def units(self) -> tuple[str, ...]:
        """The units that a number may have."""
        return (self.unit,) if self.signed else ("", self.unit)

    def number(self, text: str) -> float:
        """Return the number that a text is, NaN where it is none."""
        sign, unit, body = _parts(text)
        if unit not in self.units or _pattern(self.decimal, self.group).fullmatch(body) is None:
            return float("nan")
        return sign * float(body.translate(PYTHONIC[self.decimal]))

    def description(self) -> str:
        """Return the note on such a column."""
        group, name = (".", "points") if self.decimal == "," else (",", "commas")
        written = ["a decimal comma"] if self.decimal == "," and "," in self.marks else []
        written += [f"{name} between thousands"] if group in self.marks else []
        written += [repr(self.unit)] if self.unit else []
        text = "read as numbers" if written or self.mixed else "numbers written as text"
        text += f" with {' and '.join(written)}" if written else ", although some cells are not" if self.mixed else ""
        return "; ".join([text, *self._doubt(), *self.remarks])

    def former_description(self) -> str:
        """Return the note of versions up to 0.2.0, which is part of the digest of labels."""
        written = ["a decimal comma"] if self.decimal == "," and not (self.plain or self.grouped) else []
        written += [f"{'points' if self.decimal == ',' else 'commas'} between thousands"] if self.grouped else []
        written += [repr(self.unit)] if self.unit else []
        text = "numbers written as text" + (f", with {' and '.join(written)}" if written else "")
        return "; ".join([text, *self._doubt(), *self.remarks])

    def _doubt(self) -> list[str]:
        if not self.doubt:
            return []
        other = replace(self, decimal="," if self.decimal == "." else ".")
        value, meant = self.number(self.doubt), other.number(self.doubt)
        return [f"{self.doubt!r} is read as {value:g} and could mean {meant:g}"]


def _parts(text: str) -> tuple[float, str, str]:
    """Return the sign, the unit and the rest of a text."""
    if text.isascii() and text[:1].isdigit() and text[-1:].isdigit():
        return 1.0, "", text
    body, sign = in_ascii(text), 1.0
    if body.startswith("(") and body.endswith(")") and not body[1:].lstrip().startswith(SIGNS):
        body, sign = body[1:-1].strip(), -1.0  # how accountants write a negative number
    unit = _unit(body)
    body = NO_CENTS.sub("", body.replace(unit, "", 1).strip()) if unit else body
    if MINUS_BEHIND.search(body[-4:]) and not body.startswith(SIGNS):
        body, sign = body[:-1].rstrip(), -sign
    if body.startswith("-"):
        return -sign, unit, body[1:].strip()
    return sign, unit, body.removeprefix("+")


def _unit(body: str) -> str:
    """Return the unit before a number, behind it, or between its sign and its digits; empty for none."""
    if body[:1].isdigit() and body[-1:].isdigit():
        return ""
    if before := BEFORE.match(body):
        return before[1]
    behind = BEHIND.search(body[-LONGEST_UNIT - 1 :])
    return behind[0] if behind else ""


def with_marks(marks: tuple[str, str] | None) -> Numerals | None:
    """Return numbers with the marks that a study names, as `Options.marks` has them; None where it names none."""
    return Numerals(marks[0], group=marks[1]) if marks else None


def is_marker(text: str) -> bool:
    """Return whether a text marks a missing value, such as `?`, `n/a` or `unknown`."""
    return text.strip().lower() in MARKERS


def gaps_among_words(texts: Iterable[str]) -> frozenset[str]:
    """Return the marks of gaps that can be no category beside these texts, in lower case.

    Words may be one (`unknown`), and so may signs where other texts are signs too, such as `+` beside `-`.
    """
    signs = (text.strip().lower() for text in texts if not any(map(str.isalnum, text)))
    has_signs = any(text not in MARKERS for text in signs)
    return frozenset(mark for mark in MARKERS - WORDS if mark and not (has_signs and mark in SIGNS_ALONE))


def present(counts: pd.Series[Any]) -> dict[str, int]:
    """Return the texts that are no marker of a gap, with their counts as by `value_counts`."""
    return {str(text): int(count) for text, count in counts.items() if not is_marker(str(text))}


class Written(NamedTuple):
    """A text with its count, and the unit and digits of the number that it may be."""

    text: str
    rows: int
    unit: str
    body: str

    def reads(self, decimal: str, group: str = "") -> bool:
        """Return whether it is a number with this decimal mark and mark between thousands, in any unit."""
        return len(self.text) < LONGEST and _pattern(decimal, group).fullmatch(self.body) is not None


def _written(texts: Mapping[str, int]) -> list[Written]:
    return [Written(text, count, *_parts(text)[1:]) for text, count in texts.items()]


def _rows(written: Iterable[Written]) -> int:
    return sum(value.rows for value in written)


def _counts(written: Iterable[Written]) -> dict[str, int]:
    return {value.text: value.rows for value in written}


def infer(
    counts: pd.Series[Any], decimal: str = "", asked: tuple[str, str] | None = None, *, forced: bool = False
) -> Numerals | None:
    """Return how texts, counted as by `value_counts`, write numbers; None where they are something else.

    Texts are numbers if nine in ten of them are, in one unit or none; markers of missing values do not count. Where
    they are `forced` to be numbers, one is enough.
    decimal: the decimal mark of the rest of the table, used where this column is ambiguous; asked: the decimal mark
    and that between thousands, as `Options.marks` has them.
    """
    if not forced and not likely(counts.index, is_number):
        return None
    there, group = _written(present(counts)), asked[1] if asked else ""
    by_mark = {mark: [value for value in there if value.reads(mark, group)] for mark in (asked[:1] if asked else MARKS)}
    rows = {mark: _rows(readable) for mark, readable in by_mark.items()}
    best = asked[0] if asked else _mark(rows, decimal)
    numerals = replace(_with_unit(by_mark[best], best, _rows(there)), group=group)
    read = [value for value in by_mark[best] if value.unit in numerals.units]
    if not read or not (forced or _are_numbers(read, _rows(there), int(counts.sum()))):
        return None
    mixed = _rows(read) < sum(count for text, count in counts.items() if str(text).strip())
    return replace(_described(numerals, read, doubtful=rows.get(".") == rows.get(",")), mixed=mixed)


def of_column(values: pd.Series[Any], decimal: str = "", asked: tuple[str, str] | None = None) -> Numerals | None:
    """Return what `infer` says of the values of a column where all are plain numbers or mark gaps; None for others.

    decimal, asked: as of `infer`. Texts are not parsed one by one.
    """
    texts = Texts.of(values)
    group = asked[1] if asked else ""
    if texts is None or values.empty:
        return None
    unit = _first_unit(texts)
    bare, has_unit = texts.without(unit) if unit else (texts, texts.present())
    for mark in asked[:1] if asked else MARKS:
        plain = bare.plain(mark, grouped=_are_grouped(mark, group)) & has_unit
        gaps = _gaps_beside(texts, plain)
        if gaps is not None:
            doubtful = asked is None and bool(bare.taken(plain).plain(OTHER[mark], grouped=True).all())
            best = (decimal or ".") if doubtful else mark
            form = _of_plain(bare.taken(plain), texts.taken(plain), best, doubtful=doubtful)
            return replace(form, unit=unit, mixed=any(map(str.strip, gaps)), group=group)
    return None


def _first_unit(texts: Texts) -> str:
    """Return the unit of the first text that is no mark of a gap, empty where it has none."""
    first = (text for text in texts.array[:MOST_GAPS].to_pylist() if text is not None and not is_marker(text))
    return _parts(next(first, ""))[1]


def _gaps_beside(texts: Texts, plain: NDArray[np.bool_]) -> list[str] | None:
    """Return the marks of gaps beside plain numbers; None where there is anything else, or a single number."""
    if plain.all():
        return []
    if 2 * np.count_nonzero(plain) < len(plain):
        return None
    gaps = texts.taken(~plain).distinct(MOST_GAPS)
    return gaps if gaps and all(map(is_marker, gaps)) else None


def _of_plain(there: Texts, whole: Texts, decimal: str, *, doubtful: bool) -> Numerals:
    """Return how plain numbers are written; whole: the same with their units."""
    marks = "".join(mark for mark in MARKS if there.hold(mark).any())
    grouped = ("," in marks) == (decimal == ".")
    plain = "," not in marks and bool(whole.match(plain_texts.PYTHONIC).all())
    either = there.match(plain_texts.EITHER) if doubtful else np.zeros(0, bool)
    if decimal == "." and either.any():
        either &= there.hold(",")
    doubt = whole.taken(either).most_frequent() if either.any() else ""
    return Numerals(decimal, doubt=doubt, grouped=grouped, plain=plain, marks=marks)


def _are_numbers(read: list[Written], there: int, total: int) -> bool:
    """Return whether texts of which these are numbers are a column of numbers."""
    flag = len(read) == 1 and _rows(read) < MOST * total  # a single number among gaps
    return _rows(read) >= SHARE * there and not (flag or codes.are_codes(_counts(read)) or _are_labels(read))


def why_text(counts: pd.Series[Any], asked: tuple[str, str] | None = None) -> str:
    """Return a note on texts, counted as by `value_counts`, that look like numbers but are none; empty for others.

    asked: as of `infer`.
    """
    if not likely(counts.index, is_number):
        return ""
    there = _written(present(counts))
    read = [value for value in there if any(map(value.reads, MARKS))]
    if _rows(read) >= SHARE * _rows(there):
        return _why_not(read, int(counts.sum()), asked)
    if _rows(read) < MOST * _rows(there) or codes.are_codes(_counts(read)):
        return ""
    return mostly("numbers", _counts(read), _counts(there))


def mostly(kind: str, read: Mapping[str, int], there: Mapping[str, int]) -> str:
    """Return a note on texts, with their counts, of which too few are of a kind."""
    odd = next(text for text in there if text not in read)
    rows, total = sum(read.values()), sum(there.values())
    return f"{rows:,} of {total:,} values are {kind}; read as text, because others are not ({example(odd)})"


def _why_not(read: list[Written], rows: int, asked: tuple[str, str] | None) -> str:
    """Return the reason why texts that are numbers one by one stay text."""
    if codes.are_codes(_counts(read)):
        return f"whole numbers with leading zeros ({codes.first(_counts(read))}) are codes, read as text"
    if _are_labels(read):
        return f"numbers in brackets ({example(read[0].text)}) are labels, read as text"
    units = _units(read)
    if len(units) > 2 or (len(units) == 2 and ("" not in units or any(unit in PARTS for unit in units))):
        listed = ", ".join(
            f"{count:,} {f'with {unit!r}' if unit else 'without a sign'}" for unit, count in units.items()
        )
        return f"numbers in several units ({listed}), read as text; write all in one unit"
    if asked and (odd := [value.text for value in read if not value.reads(*asked)]):
        return f"numbers in another form than data.decimal and data.thousands say ({example(odd[0])}), read as text"
    commas, points = ([value.text for value in read if not value.reads(mark)] for mark in MARKS)
    if points and commas:
        return f"decimal commas and decimal points ({commas[0]!r}, {points[0]!r}), read as text"
    return f"a single number and gaps ({rows - _rows(read):,} of {rows:,}), read as text"


def likely(distinct: pd.Index[Any], reads: Callable[[str], Any]) -> bool:
    """Return whether a sample of distinct texts suggests a kind; to look at all of a long column takes too long."""
    sample = [str(value) for value in distinct[:: max(1, len(distinct) // SAMPLE)]]
    sample = [text for text in sample if not is_marker(text)]
    return bool(sample) and (len(distinct) <= SAMPLE or sum(bool(reads(text)) for text in sample) >= MOST * len(sample))


def is_number(text: str) -> bool:
    """Return whether a text is a number with either decimal mark."""
    return any(map(_written({text: 1})[0].reads, MARKS))


def _mark(rows: dict[str, int], decimal: str) -> str:
    if rows["."] != rows[","]:
        return max(rows, key=lambda mark: rows[mark])
    return decimal or "."


def _units(written: Iterable[Written]) -> dict[str, int]:
    """Return the number of values with each unit, "" for none, the most frequent first."""
    units: Counter[str] = Counter()
    for value in written:
        units[value.unit] += value.rows
    return dict(units.most_common())


def _with_unit(readable: list[Written], decimal: str, total: int) -> Numerals:
    """Return the form of most texts; percents and bare fractions, which may mean either, are not mixed."""
    units = _units(readable)
    unit = next((unit for unit in units if unit), "")
    fraction = _fraction(readable, decimal) if unit in PARTS else ""
    signed = bool(fraction) and units[unit] >= units[""]
    numerals = Numerals(decimal, unit if signed or not fraction else "", signed=signed)
    return replace(numerals, remarks=tuple(_on_units(numerals, units, fraction, total)))


def _fraction(readable: list[Written], decimal: str) -> str:
    """Return a number between 0 and 1 without a unit; empty where there is none."""
    plain, texts = Numerals(decimal), (value.text for value in readable if not value.unit)
    return next((text for text in texts if 0 < abs(plain.number(text)) < 1), "")


def _are_labels(written: list[Written]) -> bool:
    """Return whether texts are `(1)` to `(k)`, or from `(0)`, as in a numbered list; other brackets mean negative."""
    if not written or not all(value.text.lstrip().startswith("(") for value in written):
        return False
    sizes = sorted({-Numerals().number(value.text) for value in written})
    return sizes[0] in (0, 1) and all(size == sizes[0] + i for i, size in enumerate(sizes))


def _described(numerals: Numerals, read: list[Written], *, doubtful: bool) -> Numerals:
    open_to_both = [value.text for value in read if EITHER.fullmatch(value.body)] if doubtful else []
    doubt = next((text for text in open_to_both if "," in text or numerals.decimal == ","), "")
    has_comma = any("," in value.body for value in read)
    grouped = has_comma if numerals.decimal == "." else not has_comma
    plain = all(PLAIN.fullmatch(value.text.strip()) for value in read)
    remarks = (*numerals.remarks, _on_negatives(numerals, read), codes.zeros(_counts(read)))
    marks = "".join(mark for mark in MARKS if any(mark in value.body for value in read))
    described = replace(numerals, doubt=doubt, grouped=grouped, plain=plain, marks=marks)
    return replace(described, remarks=tuple(filter(None, remarks)))


def _on_units(numerals: Numerals, units: Mapping[str, int], fraction: str, total: int) -> Iterator[str]:
    """Yield remarks on numbers without the unit that others have, and on those of another unit."""
    sign = repr(numerals.unit)
    if numerals.unit and (rows := units.get("")):
        either = f"{fraction!r} may be a share of 1 or already in {sign}"
        lost = f": taken as missing, because {either}" if numerals.signed else ""
        yield f"{_have(rows, total)} no {sign}{lost}"
    if others := {unit: rows for unit, rows in units.items() if unit and unit not in numerals.units}:
        yield f"{_have(sum(others.values()), total)} {' or '.join(map(repr, others))}: taken as missing"


def _have(rows: int, total: int) -> str:
    return f"{rows:,} of {total:,} values {'has' if rows == 1 else 'have'}"


def _on_negatives(numerals: Numerals, read: list[Written]) -> str:
    """Return a remark on negative numbers in brackets or with the sign behind; empty where there is none."""
    text = next((value.text for value in read if _is_negative(value)), "")
    return f"{example(text)} is read as {numerals.number(text):g}" if text else ""


def _is_negative(value: Written) -> bool:
    """Return whether a number is negative without a sign before it."""
    text = value.text.strip()
    return text.startswith("(") or (text.endswith("-") and not NO_CENTS.search(text))


def reads_all(numerals: Numerals, counts: pd.Series[Any]) -> bool:
    """Return whether all texts, counted as by `value_counts`, are numbers but for the markers of gaps."""
    return not any(np.isnan(numerals.number(text)) for text in present(counts))


def values(texts: pd.Series[Any], numerals: Numerals) -> NDArray[np.float64]:
    """Return the numbers `(n,)` that texts are, NaN where they are none."""
    written = Texts.of(texts)
    if written is None:
        return _one_by_one(texts, numerals)
    bare, has_unit = written.without(numerals.unit) if numerals.unit else (written, written.present())
    plain = bare.plain(numerals.decimal, grouped=_are_grouped(numerals.decimal, numerals.group))
    plain &= has_unit | (not numerals.signed)
    numbers, rest = np.full(len(texts), np.nan), written.present() & ~plain
    numbers[plain] = bare.taken(plain).numbers(numerals.decimal)
    if rest.any():
        numbers[rest] = _one_by_one(texts[rest], numerals)
    return numbers


def _one_by_one(texts: pd.Series[Any], numerals: Numerals) -> NDArray[np.float64]:
    inverse, distinct = pd.factorize(texts)
    numbers = np.array([numerals.number(str(text)) for text in distinct] + [np.nan])
    return numbers[inverse]


def _are_grouped(decimal: str, group: str) -> bool:
    """Return whether the other of point and comma may stand between thousands."""
    return group in ("", OTHER[decimal])


def plain_numbers(column: pd.Series[Any], form: Numerals) -> pd.Series[Any] | None:
    """Return the numbers of a column of texts without units, whole ones as integers; None where a text is no number."""
    texts = column.str.strip()
    pattern = rf"[+\-]?(?:{_pattern(form.decimal, form.group).pattern})"
    if not texts.notna().any() or not texts.dropna().str.fullmatch(pattern).all():
        return None
    for mark in {".", ",", *GROUPS} - {form.decimal}:
        texts = texts.str.replace(mark, "", regex=False)
    numbers: pd.Series[Any] = pd.to_numeric(texts.str.replace(form.decimal, ".", regex=False))
    return numbers.astype(np.float64) if numbers.dtype == object else numbers
