"""Durations and times of day that are written as text, in days."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lossreg.data.cells import in_ascii
from lossreg.data.datetexts import CLOCK

ELAPSED = re.compile(r"(?P<sign>-?)(?P<days>\d{1,9}) days?,? ?(?:\+?(?P<rest>\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?))?")
TIME = re.compile(CLOCK, re.IGNORECASE | re.ASCII)
LONG = re.compile(r"(?P<hour>\d{2,9}):(?P<minute>\d{2}):(?P<second>\d{2})(?:[.,](?P<fraction>\d+))?", re.ASCII)
MINUTES = re.compile(r"(?P<minute>\d{1,9}):(?P<second>\d{2})[.,](?P<fraction>\d+)", re.ASCII)
NAN = float("nan")


def days(text: str) -> float:
    """Return the days of a duration or since midnight, NaN where a text is neither."""
    written = in_ascii(text)
    matched = ELAPSED.fullmatch(written)
    if matched is None:
        sign = -1 if written.startswith("-") else 1
        return sign * _hours(written.removeprefix("-")) / 24
    rest = _hours(matched["rest"]) / 24 if matched["rest"] else 0.0
    # Python writes minus one hour as "-1 days +23:00:00"
    return float(f"{matched['sign']}{matched['days']}") + (-rest if matched["sign"] and "+" not in written else rest)


def has_form(text: str) -> bool:
    """Return whether a text is written as a duration or a time of day."""
    written = in_ascii(text).removeprefix("-")
    return any(form.fullmatch(written) for form in (ELAPSED, TIME, LONG, MINUTES))


def description(texts: Mapping[str, int]) -> str:
    """Return a note on texts that are durations or times of day."""
    first = next(iter(texts))
    if all(TIME.fullmatch(in_ascii(text)) and days(text) <= 1 for text in texts):
        return f"times of day ('{first}'), read as a share of a day"
    return "durations, read as days"


def _hours(text: str) -> float:
    """Return the hours of a time of day, of hours, minutes and seconds, or of minutes and seconds with a fraction."""
    if matched := MINUTES.fullmatch(text):
        seconds = float(f"{matched['second']}.{matched['fraction']}")
        return (int(matched["minute"]) * 60 + seconds) / 3600 if seconds < 60 else NAN
    matched = TIME.fullmatch(text) or LONG.fullmatch(text)
    if matched is None:
        return NAN
    parts = matched.groupdict(default="")
    hour, half = int(parts["hour"]), parts.get("half", "")[:1].lower()
    minutes, seconds = int(parts["minute"] or 0), float(f"{parts['second'] or 0}.{parts['fraction'] or 0}")
    if minutes > 59 or seconds >= 61 or (half == "a" and hour > 12) or (hour > 23 and not _is_long(parts, half)):
        return NAN
    hour = hour % 12 + 12 * (half == "p") if half else hour
    return hour + (minutes * 60 + seconds) / 3600


def _is_long(parts: Mapping[str, str], half: str) -> bool:
    """Return whether there are seconds, so that the first number is hours, or it is the end of the day."""
    return not half and (bool(parts["second"]) or (parts["hour"] == "24" and parts["minute"] == "00"))
