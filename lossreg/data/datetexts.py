"""Days of texts in the usual forms of dates, all texts at once that differ in their digits alone."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lossreg.data.cells import in_ascii

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]
MICROSECONDS = 86_400e6
PIVOT = 69  # of years of two digits, as Python's %y reads them
NAMES = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
# German, French, Spanish, Italian, Portuguese and Dutch, without accents
OTHER_NAMES = (
    "januar janner janvier janv enero ene gennaio gen janeiro januari",
    "februar feber fevrier fevr fev febrero febbraio fevereiro februari",
    "marz maerz mars marzo marco maart mrt",
    "avril avr abril abr aprile",
    "mai mayo may maggio mag maio mei",
    "juni juin junio giugno giu junho",
    "juli juillet juil julio luglio lug julho",
    "aout agosto ago augustus",
    "septembre septiembre settembre setembro set sept",
    "oktober okt octobre octubre ottobre ott outubro out",
    "novembre noviembre novembro",
    "dezember dez decembre diciembre dic dicembre dezembro",
)
MONTHS = {
    text: month for month, (name, others) in enumerate(zip(NAMES, OTHER_NAMES, strict=True), 1)
    for text in (name, name[:3], *others.split())
}  # fmt: skip
MONTH = rf"(?P<month>{'|'.join(MONTHS)})\.?"
DAYS = (
    "mon|monday|tue|tues|tuesday|wed|wednesday|thu|thur|thurs|thursday|fri|friday|sat|saturday|"
    "sun|sunday|mo|montag|di|dienstag|mi|mittwoch|do|donnerstag|fr|freitag|sa|samstag|sonnabend|"
    "so|sonntag|lun|lundi|mar|mardi|mer|mercredi|jeu|jeudi|ven|vendredi|sam|samedi|dim|dimanche|"
    "lunes|martes|mie|miercoles|jue|jueves|vie|viernes|sab|sabado|dom|domingo"
)
WEEKDAY = rf"(?:(?:{DAYS})\.?,? +)?"
ZONE = r"z|utc|gmt|(?P<sign>[+-])(?P<zone_hour>\d{2})(?::?(?P<zone_minute>\d{2})(?::?(?P<zone_second>\d{2}))?)?"
CLOCK = (
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d+))?)?| ?(?=[ap]))"
    r" ?(?P<half>[ap]\.?m\.?)?"
)
TIME = rf"(?:[T ,]+{CLOCK} ?(?P<zone>{ZONE})?)?"
ANY_ORDER = "any order"
YEAR = r"(?P<year>\d{4}|\d{2})"
FORMS = {
    "year first": r"(?P<year>\d{4})(?P<separator>[-/.])(?P<month>\d{1,2})(?P=separator)(?P<day>\d{1,2})",
    ANY_ORDER: r"(?P<left>\d{1,2})(?P<separator>[-/.])(?P<middle>\d{1,2})(?P=separator)(?P<right>\d{4}|\d{2})",
    "month by name": rf"(?P<day>\d{{1,2}})[-/ .]+(?:de +)?{MONTH}[-/ ,.]+(?:de +)?{YEAR}",
    "name first": rf"{MONTH} +(?P<day>\d{{1,2}}),? +{YEAR}",
}
PATTERNS = {name: re.compile(WEEKDAY + form + TIME, re.IGNORECASE | re.ASCII) for name, form in FORMS.items()}
MONTH_FIRST, DAY_FIRST, YEAR_FIRST = "month before day", "day before month", "year before month and day"
FIELDS = {
    MONTH_FIRST: ("right", "left", "middle"), DAY_FIRST: ("right", "middle", "left"),
    YEAR_FIRST: ("left", "middle", "right"),
}  # fmt: skip
ZEROS = str.maketrans("123456789", "0" * 9)


@dataclass(frozen=True, slots=True, eq=False)
class Alike:
    """Texts in the form of a date that differ in their digits only.

    indices: their indices among all texts `(n,)`; form: the name of their form; letters: the parts that are not
    digits, by group of the form's pattern; numbers: the numbers `(n,)`, by group; short: years have two digits.
    """

    indices: Numbers
    form: str
    letters: Mapping[str, str]
    numbers: Mapping[str, Numbers]
    short: bool

    @property
    def separator(self) -> str:
        """The mark between day, month and year, empty beside names of months."""
        return self.letters.get("separator", "")

    @property
    def orders(self) -> tuple[str, ...]:
        """The orders of day, month and year that the form leaves open; the form itself where it leaves none."""
        if self.form != ANY_ORDER:
            return (self.form,)
        return (MONTH_FIRST, DAY_FIRST, YEAR_FIRST) if self.short else (MONTH_FIRST, DAY_FIRST)

    def days(self, order: str) -> NDArray[np.float64]:
        """Return days since 1970 `(n,)` in one of `orders`, NaN where there is no such day or time, or no order."""
        if not order:
            return np.full(len(self.indices), np.nan)
        start, is_day = self._starts(order)
        time, is_time = self._microseconds()
        days: NDArray[np.float64] = (start * int(MICROSECONDS) + time) / MICROSECONDS
        days[~(is_day & is_time)] = np.nan
        return days

    def _starts(self, order: str) -> tuple[Numbers, Flags]:
        """Return whole days since 1970, and a mask of those that the calendar has."""
        year, month, day = (self._number(name) for name in FIELDS.get(order, ("year", "month", "day")))
        if self.short:
            year = year + np.where(year >= PIVOT, 1900, 2000)
        is_month = (month >= 1) & (month <= 12)
        months = (year - 1970) * 12 + np.where(is_month, month - 1, 0)
        first, following = (each.astype("M8[M]").astype("M8[D]").astype(np.int64) for each in (months, months + 1))
        return first + day - 1, is_month & (year >= 1) & (day >= 1) & (day <= following - first)

    def _number(self, name: str) -> Numbers:
        if name in self.numbers:
            return self.numbers[name]
        return np.full(len(self.indices), MONTHS.get(self.letters.get(name, "").lower(), 0), np.int64)

    def _microseconds(self) -> tuple[Numbers, Flags]:
        """Return the time of day in universal time, and which of them are on a clock."""
        hour, minute, second = (self._number(name) for name in ("hour", "minute", "second"))
        valid = (minute < 60) & (second <= 60) & ((hour < 24) | ((hour == 24) & (minute + second == 0)))
        if half := self.letters.get("half", "").lower():
            valid &= (hour <= 12) | half.startswith("p")
            hour = hour % 12 + 12 * half.startswith("p")
        zone = [self._number(name) for name in ("zone_hour", "zone_minute", "zone_second")]
        valid &= (zone[0] < 24) & (zone[1] < 60) & (zone[2] < 60)
        ahead = -1 if self.letters.get("sign") == "-" else 1
        seconds = _seconds(hour, minute, second) - ahead * _seconds(*zone)
        return seconds * 1_000_000 + self._number("fraction"), valid


def _seconds(hours: Numbers, minutes: Numbers, seconds: Numbers) -> Numbers:
    return (hours * 60 + minutes) * 60 + seconds


def matched(text: str) -> tuple[str, re.Match[str]] | None:
    """Return the form of a text and its match, None for a text that does not have the form of a date."""
    return next(((name, match) for name, form in PATTERNS.items() if (match := form.fullmatch(text))), None)


def plain(text: str) -> str:
    """Return a text in ASCII as far as it goes, letters without accents."""
    text = in_ascii(text)
    if text.isascii():
        return text
    return "".join(each for each in unicodedata.normalize("NFKD", text) if not unicodedata.combining(each))


def alike(texts: Sequence[str]) -> Iterator[Alike]:
    """Return the texts that have the form of a date, in groups."""
    plain_texts = np.array([plain(text) for text in texts], object)
    codes, shapes = pd.factorize(np.array([text.translate(ZEROS) for text in plain_texts], object))
    groups = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes, minlength=len(shapes)))[:-1])
    for indices, shape in zip(groups, shapes, strict=False):
        if (form := matched(shape)) is not None:
            yield _of_shape(indices, plain_texts[indices], *form)


def _of_shape(indices: Numbers, texts: NDArray[np.object_], form: str, match: re.Match[str]) -> Alike:
    """Return a group of texts, which all have their digits at the same positions."""
    characters = texts.astype(f"S{match.end()}").view(np.uint8).reshape(len(texts), -1)
    written = {name: text for name, text in match.groupdict().items() if text}
    numbers = {
        name: _values(characters[:, slice(*match.span(name))], 6 if name == "fraction" else None)
        for name, text in written.items()
        if text.isdigit()
    }
    letters = {name: text for name, text in written.items() if name not in numbers}
    return Alike(indices, form, letters, numbers, len(written.get("year", written.get("right", ""))) == 2)


def _values(characters: NDArray[np.uint8], decimals: int | None) -> Numbers:
    """Return the numbers `(n,)` that digits `(n, k)` make; behind a decimal mark, `decimals` digits count."""
    digits = characters[:, :decimals].astype(np.int64) - ord("0")
    width = digits.shape[1] if decimals is None else decimals
    powers = 10 ** np.arange(width)[::-1]
    numbers: Numbers = digits @ powers[: digits.shape[1]]
    return numbers
