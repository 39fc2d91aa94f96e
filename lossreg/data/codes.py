"""Codes, such as postcodes: whole numbers whose leading zeros mean something."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from lossreg.data.cells import example

HALF = 0.5  # of the values have leading zeros: codes of any width
FEW = 0.05  # of the values have leading zeros: codes of one width
ONE_WIDTH = 0.9  # of the values are as wide as those with leading zeros
PADDED = re.compile(r"0\d+")


def are_codes(texts: Mapping[str, int]) -> bool:
    """Return whether numbers in text, with their counts, are codes, judged by leading zeros.

    They are codes if at least half of them have leading zeros, or if at least one in twenty has and nine in ten
    have the same number of digits as these.
    """
    padded = Counter[int]()
    for text in _padded(texts):
        padded[len(text.strip())] += texts[text]
    if not padded:
        return False
    total, width = sum(texts.values()), padded.most_common(1)[0][0]
    as_wide = sum(count for text, count in texts.items() if len(text.strip()) == width)
    return padded.total() >= HALF * total or (padded[width] >= FEW * total and as_wide >= ONE_WIDTH * total)


def first(texts: Iterable[str]) -> str:
    """Return the first number with leading zeros, as a message shows it; empty where there is none."""
    return next((example(text.strip()) for text in _padded(texts)), "")


def zeros(texts: Mapping[str, int]) -> str:
    """Return a note on numbers in text, with their counts, of which some have leading zeros; empty where none has."""
    rows = sum(texts[text] for text in _padded(texts))
    verb = "has" if rows == 1 else "have"
    return f"{rows:,} of {sum(texts.values()):,} values {verb} leading zeros ({first(texts)})" if rows else ""


def _padded(texts: Iterable[str]) -> list[str]:
    return [text for text in texts if PADDED.fullmatch(text.strip())]
