"""Rows as their user finds them: the line of a text file, the row of a sheet, or the row of a table, from 1."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

SHOWN = 5
DATA = "the data"
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Place:
    """A place that rows were read from.

    name: a file as the user wrote it, or another name that is unique; unit: what is counted there; whole:
    what a place is called beside no other; find: returns the number of every row, None where they are counted from 1.
    """

    name: str = DATA
    unit: str = "row"
    whole: str = DATA
    find: Callable[[], Sequence[int]] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RowNumbers:
    """The place that each of some rows was read from.

    places: what they were read from; of_row: `(n,)` the place of each row; rows: `(n,)` its number there, from 0;
    sizes: the number of rows that were read from each place.
    """

    places: tuple[Place, ...]
    of_row: Numbers
    rows: Numbers
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, number: int, place: Place | None = None) -> RowNumbers:
        """Return the numbers of so many rows of one place."""
        return cls((place or Place(),), np.zeros(number, np.int64), np.arange(number), (number,))

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: NDArray[np.int64]) -> RowNumbers:
        """Return the numbers of some of the rows."""
        return replace(self, of_row=self.of_row[rows], rows=self.rows[rows])

    @classmethod
    def joined(cls, parts: Mapping[str, RowNumbers]) -> RowNumbers:
        """Return the numbers of all these rows; names: what their places are called that have no name of their own."""
        places: list[Place] = []
        of_row = []
        for name, part in parts.items():
            of_row.append(part.of_row + len(places))
            places += [replace(place, name=name) if place.name == DATA else place for place in part.places]
        rows = np.concatenate([part.rows for part in parts.values()])
        return cls(tuple(places), np.concatenate(of_row), rows, sum((part.sizes for part in parts.values()), ()))

    def named(self, rows: Iterable[int]) -> str:
        """Return where the first few of these rows stand: `row 4 of the data`, `lines 5, 7 of test.csv`."""
        first = np.fromiter(rows, np.int64)[:SHOWN]
        by_place = {int(at): self.rows[first[self.of_row[first] == at]] for at in dict.fromkeys(self.of_row[first])}
        return ", ".join(self._named_at(at, numbers) for at, numbers in by_place.items())

    def lacking(self, rows: NDArray[np.int64]) -> str:
        """Return that these rows have no value: `3 of 120 rows have none, the first in rows 1, 2, 3 of the data`."""
        have = "has" if len(rows) == 1 else "have"
        return f"{len(rows):,} of {len(self):,} rows {have} none, the first in {self.named(rows)}"

    def _named_at(self, at: int, rows: Numbers) -> str:
        place, numbers = self.places[at], rows + 1
        lines = None if place.find is None else place.find()
        if lines is not None and len(lines) == self.sizes[at]:
            numbers = np.asarray(lines, np.int64)[rows]
        elif lines is not None:  # the count of lines does not match the rows that were read
            place = Place(place.name)
        unit = place.unit + "s" * (len(rows) > 1)
        whole = place.whole if len(self.places) == 1 else place.name
        return f"{unit} {', '.join(map(str, numbers.tolist()))} of {whole}"
