"""Values that reading and scaling could not keep, or had to guess: counted by column, reported in few lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lossreg.data.cells import example
from lossreg.data.origin import listed
from lossreg.errors import count_of

LINES = 5
SHOWN = 10
EXAMPLES = 3
BEGINNINGS = ("note", "warning", "error")  # of lines of messages; columns of these names are quoted
TAKEN_AS_MISSING = "taken as missing"


class Reason(NamedTuple):
    """The reason why a value is replaced: worded for one value and for several, with the outcome and a hint."""

    one: str
    several: str
    outcome: str = TAKEN_AS_MISSING
    hint: str = ""

    def kind(self, rows: int) -> str:
        """Return what so many values are: `not numbers`."""
        return self.one.removeprefix("is ") if rows == 1 else self.several.removeprefix("are ")


AS_TEXT = "Read the column as text (dtype=str), or give transform the path of the file."
NO_NUMBER = Reason("is not a number", "are not numbers")
NO_DATE = Reason("is not a date", "are not dates")
NO_DURATION = Reason("is not a duration", "are not durations")
A_GAP = Reason("marks a gap", "mark gaps")
NO_RANK = Reason("is not one of the ordered categories", "are not among the ordered categories")
INFINITE = Reason("is infinite or above 1.8e308", "are infinite or above 1.8e308")
FAR = Reason("is out of all proportion to the training rows", "are out of all proportion to the training rows")


@dataclass(slots=True)
class Count:
    """The number of values of a column that were lost for a reason, and the first distinct ones."""

    rows: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, rows: int, examples: Iterable[str]) -> None:
        """Count further ones."""
        self.rows += rows
        fresh = [text for text in dict.fromkeys(examples) if text not in self.examples]
        self.examples += fresh[: EXAMPLES - len(self.examples)]


class Lost:
    """Lost values, counted by input, column and reason; "" names a single input.

    values: the number of values per input; notes: notes on the rows as a whole; filled: the number of gaps, lost
    values included, that scaling filled in a column, named with its input.
    """

    def __init__(self, values: int = 0) -> None:
        self.values = {"": values}
        self.counts: dict[tuple[str, str, Reason], Count] = {}
        self.notes: list[str] = []
        self.filled: Counter[str] = Counter()

    def add(self, column: str, reason: Reason, values: Any, where: NDArray[np.bool_]) -> None:
        """Count the values of a column where the mask `where` is set; "" is the column of an array."""
        if where.any():
            self.count(column, reason, int(where.sum()), map(example, np.asarray(values, object)[where][:100]))

    def count(self, column: str, reason: Reason, rows: int, examples: Iterable[str] = ()) -> None:
        """Count a number of values of a column, with texts that show some of them."""
        if rows:
            self.counts.setdefault(("", column, reason), Count()).add(rows, examples)

    def within(self, name: str) -> Lost:
        """Return the same counts as those of one of several inputs."""
        moved = Lost()
        moved.values, moved.notes = {name: self.values[""]}, [f"{name}: {note}" for note in self.notes]
        moved.filled = Counter({_name(name, column): count for column, count in self.filled.items()})
        moved.counts = {(name, column, reason): count for (_, column, reason), count in self.counts.items()}
        return moved

    def plus(self, other: Lost) -> Lost:
        """Return the counts of these rows plus those of further rows or further inputs."""
        total = Lost()
        total.notes, total.filled = list(dict.fromkeys([*self.notes, *other.notes])), self.filled + other.filled
        names = {**self.values, **other.values}
        total.values = {name: self.values.get(name, 0) + other.values.get(name, 0) for name in names}
        for counts in (self.counts, other.counts):
            for key, count in counts.items():
                total.counts.setdefault(key, Count()).add(count.rows, count.examples)
        return total

    def worst(self, other: Lost) -> Lost:
        """Return the larger count of two, for preprocessors that have read the same rows."""
        total = Lost()
        total.values, total.notes = self.values, self.notes
        for key in {**self.counts, **other.counts}:
            pair = [counts[key] for counts in (self.counts, other.counts) if key in counts]
            total.counts[key] = max(pair, key=lambda count: count.rows)
        return total

    def missing(self, name: str) -> dict[Reason, Count]:
        """Return the counts of a column, named with its input, whose values are taken as missing."""
        of_column = {reason: count for (*place, reason), count in self.counts.items() if _name(*place) == name}
        return {reason: count for reason, count in of_column.items() if reason.outcome == TAKEN_AS_MISSING}

    def beside(self, gaps: Iterable[str]) -> Lost:
        """Return the counts that `missing_line` does not report with the gaps of these columns."""
        shown, rest = list(gaps)[:SHOWN], Lost()
        rest.values, rest.notes = self.values, self.notes
        rest.counts = {
            (part, column, reason): count
            for (part, column, reason), count in self.counts.items()
            if _name(part, column) not in shown or reason.outcome != TAKEN_AS_MISSING
        }
        return rest

    def lines(self) -> list[str]:
        """Return the notes and a line per column and reason, the most frequent first; the last sums up the rest."""
        ranked = sorted(self.counts.items(), key=lambda item: -item[1].rows)
        lines = [*self.notes, *(self._line(*key, count) for key, count in ranked[:LINES])]
        if rest := ranked[LINES:]:
            columns = list(dict.fromkeys(_name(input_name, column) for (input_name, column, _), _ in rest))
            values = sum(count.rows for _, count in rest)
            more = count_of(len(columns), "more column")
            outcomes = " or ".join(dict.fromkeys(reason.outcome for (_, _, reason), _ in rest))
            are = "value is" if values == 1 else "values are"
            lines.append(f"{values} {are} {outcomes}, in {more}: {listed(columns, 10)}.")
        return lines

    def lines_with_fills(self) -> list[str]:
        """Return the same lines, and one on gaps that were filled."""
        rows = max(self.values.values(), default=0)
        filled = [f"{name}: {count:,} of {rows:,}" for name, count in self.filled.items()]
        more = f"; and {len(filled) - SHOWN:,} more columns" if len(filled) > SHOWN else ""
        gaps = f"Gaps filled with the median of the training rows: {'; '.join(filled[:SHOWN])}{more}."
        return [*self.lines(), *([gaps] if filled else [])]

    def _line(self, input_name: str, column: str, reason: Reason, count: Count) -> str:
        what = reason.one if count.rows == 1 else reason.several
        name, values = _name(input_name, column), self.values[input_name]
        shown = f" ({', '.join(count.examples)})" if count.examples else ""
        return f"{name}: {count.rows:,} of {values:,} values {what}{shown}: {reason.outcome}. {reason.hint}".rstrip()


def missing_line(gaps: Mapping[str, tuple[int, int]], lost: Lost) -> list[str]:
    """Return one line on the columns that have gaps, with what else is taken as missing there.

    gaps: the number of gaps and of values by column, named with its input; those beyond the first ten are only counted.
    """
    if not gaps:
        return []
    parts = [f"{listed([name])}: {_missing(empty, rows, lost.missing(name))}" for name, (empty, rows) in gaps.items()]
    more = f"; and {len(parts) - SHOWN:,} more columns have missing values" if len(parts) > SHOWN else ""
    return [f"{'; '.join(parts[:SHOWN])}{more}."]


def _missing(empty: int, rows: int, lost: Mapping[Reason, Count]) -> str:
    count = empty + sum(one.rows for one in lost.values())
    kinds = [f"{one.rows:,} {reason.kind(one.rows)}: {', '.join(one.examples)}" for reason, one in lost.items()]
    by_kind = f" ({'; '.join([f'{empty} empty', *kinds])})" if lost else ""
    return f"{count:,} of {rows:,} values {'is' if count == 1 else 'are'} missing{by_kind}"


def _name(input_name: str, column: str) -> str:
    return ".".join(part for part in (input_name, column) if part) or "x"


def grouped(described: Mapping[str, str]) -> list[str]:
    """Return a line for each description with the columns that it is of; columns beyond the first lines are counted."""
    columns: dict[str, list[str]] = {}
    for name, text in described.items():
        if text:
            columns.setdefault(text, []).append(repr(name) if name.lower() in BEGINNINGS else name)
    lines = [f"{listed(names)}: {text}." for text, names in columns.items()]
    if len(lines) <= LINES + 1:
        return lines
    rest = [name for names in list(columns.values())[LINES:] for name in names]
    return [*lines[:LINES], f"{len(rest):,} more columns were read differently: {listed(rest, 10)}."]
