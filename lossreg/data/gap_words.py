"""Words of a text file that pandas reads as missing, such as NA and None, which may be categories or classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

import pandas as pd

from lossreg.data import parsing
from lossreg.data.cells import example
from lossreg.data.delimited_file import Delimited
from lossreg.data.lost import grouped

PIECE = 100_000
WORDS = ("NA", "N/A", "n/a", "None", "null", "NULL", "nan", "NaN", "-nan", "-NaN")
SHOWN = 3

Counts = Mapping[str, int]


def of(file: Delimited, table: pd.DataFrame, targets: Collection[str]) -> dict[str, Counter[str]]:
    """Return the words that are missing values of targets and columns of text, with their counts, by column."""
    of_words = [name for name in table if name in targets or isinstance(table[name].dtype, pd.StringDtype)]
    gaps = table[of_words].isna()
    gaps = gaps.loc[:, gaps.any()]
    around = rf"[\s{file.separator}{file.quote}]"
    if gaps.empty or not file.holds(rf"(?<={around})(?:{'|'.join(WORDS)})(?={around}|$)"):
        return {}
    counts, start = {str(name): Counter[str]() for name in gaps}, 0
    wanted = {*map(str, gaps)} if isinstance(table.index, pd.RangeIndex) else None  # names of rows, as in R, shift all
    for piece in parsing.as_texts(file, PIECE, wanted):
        piece.columns = piece.columns.map(lambda name: str(name).strip())
        for name in gaps:
            there = gaps[name].iloc[start : start + len(piece)].to_numpy(bool)
            for text, count in piece[name][there].value_counts().items():
                counts[str(name)][str(text).strip()] += int(count)
        start += len(piece)
    words = {name: Counter({text: rows for text, rows in held.items() if text}) for name, held in counts.items()}
    return {name: held for name, held in words.items() if held}


def notes(words: Mapping[str, Counts], rows: int) -> list[str]:
    """Return notes on the words of columns of so many rows."""
    return grouped({name: f"{_described(held, f'of {rows:,} values')}" for name, held in words.items()})


def on_labels(words: Counts) -> str:
    """Return what to do about words of the target; empty where there are none."""
    if not words:
        return ""
    several = len(words) > 1
    meant, other = ("these are classes", "other words") if several else ("it is a class", "another word")
    return f"{_described(words, 'labels')}: if {meant}, write {other}, such as {next(iter(words)) + '_'!r}."


def _described(words: Counts, of_what: str) -> str:
    """Return how many labels or values are which words."""
    count, shown = sum(words.values()), " or ".join([example(word) for word in words][:SHOWN])
    are, mean = "is" if count == 1 else "are", "counts" if len(words) == 1 else "count"
    of_what = "label" if count == 1 and of_what == "labels" else of_what
    return f"{count:,} {of_what} {are} {shown}, which {mean} as missing in text files"
